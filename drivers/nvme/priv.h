/* SPDX-License-Identifier: MIT */
/* What the driver's files share. */
#ifndef DRIVERS_NVME_PRIV_H
#define DRIVERS_NVME_PRIV_H

#include "drivers/nvme/nvme.h"
#include "drivers/nvme/spec.h"

/* A command that is outstanding, or its place while there is none. */
struct nvme_slot {
	nvme_done_fn done;	/* NULL: free */
	void *arg;
	int64_t deadline;	/* ms */
	unsigned int next;	/* while it is free: the next free one, or as many as there are */
	weir_iova list_at;	/* of its page list */
	/* For the sentence when it fails. */
	uint8_t opcode;
	uint32_t nsid;
	uint64_t lba;
	uint32_t blocks;
};

/* A submission queue and its completion queue, of the same size, with the same number. */
struct nvme_queue {
	struct nvme *nvme;
	unsigned int id;		/* 0: the admin queue */
	unsigned int entries;		/* one more than commands, since a full ring looks empty */
	unsigned int outstanding;
	unsigned int tail;		/* of submissions */
	unsigned int head;		/* of completions */
	unsigned int phase;		/* the phase that a new completion has */
	unsigned int free;		/* the first slot that is, see nvme_slot.next */
	uint32_t result;		/* what the last completion brought along */
	int64_t look_at;		/* when to ask after the controller's health, ms */
	struct nvme_slot *slots;	/* entries - 1 of them; a command's id is its slot */

	struct weir_mem *mem;		/* submissions, completions, and then a page list a slot */
	struct nvme_command *sq;
	struct nvme_completion *cq;
	uint64_t *lists;		/* nvme.list_entries a slot; none for the admin queue */
	weir_iova sq_at, cq_at;
};

struct nvme {
	struct weir_device *dev;
	struct weir_bar *regs;
	const char *name;
	uint64_t cap;
	unsigned int page_shift;	/* of the controller's pages, CC.MPS */
	unsigned int list_entries;	/* pages that a command's list holds, a power of two */
	unsigned int timeout_ms;
	unsigned int ready_ms;
	unsigned int shutdown_ms;
	uint64_t mem_page_size;
	bool irq;
	int failure;			/* -errno, atomic: why bus mastering is off; 0: it works */
	struct nvme_info info;
	struct nvme_queue admin;
	struct weir_mem *data;		/* where the admin queue's commands put theirs */
	weir_iova data_at;
	unsigned int n_queues;
	struct nvme_queue **queues;	/* queues[id - 1], NULL where none is open */
};

/* nvme_error.c */

/* Leave a sentence that starts with the controller's name, if there is one; returns @ret. */
int nvme_error(const struct nvme *nvme, int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Leave weir's own sentence; returns @ret. */
int nvme_weir_error(int ret);
const char *nvme_status_text(unsigned int sc);
int nvme_status_errno(unsigned int sc);

/* nvme.c */

int64_t nvme_now_ms(void);
/* Between two looks, where nobody is in a hurry. */
void nvme_pause(void);
/* The controller works no more: turn bus mastering off. The sentence is there. Returns @ret. */
int nvme_stop(struct nvme *nvme, int ret);
/* 0, or the failure of before, with a sentence. */
int nvme_failure(struct nvme *nvme);
/* 0, or stops the controller when it is gone or has a fatal status. */
int nvme_look(struct nvme *nvme);

/* nvme_admin.c */

int nvme_identify_controller(struct nvme *nvme);
/* Section 5.27.1.5: must come before the first I/O queue is made. */
int nvme_ask_for_queues(struct nvme *nvme);
/* Make and take back the controller's half of an I/O queue. */
int nvme_queue_create(struct nvme_queue *queue);
int nvme_queue_delete(struct nvme_queue *queue);

/* nvme_queue.c */

int nvme_queue_init(struct nvme_queue *queue, struct nvme *nvme, unsigned int id,
		    unsigned int entries);
void nvme_queue_free(struct nvme_queue *queue);
/* Both rings empty, as the controller takes them to be; no command is outstanding. */
void nvme_queue_restart(struct nvme_queue *queue);
/* End all outstanding commands. */
void nvme_queue_cancel(struct nvme_queue *queue, int result);
/* The slot for the next command, or NULL when all are in use. */
struct nvme_slot *nvme_queue_slot(struct nvme_queue *queue);
/* Send a command in it. All but the command's id is set, and the slot's done and its arg. */
void nvme_queue_send(struct nvme_queue *queue, struct nvme_slot *slot,
		     struct nvme_command *command);

#endif
