/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller for the driver's tests: its disks are memory, it checks what the driver does
 * more strictly than hardware would, and it can be told to misbehave.
 */
#ifndef TESTS_SOFT_NVME_MODEL_H
#define TESTS_SOFT_NVME_MODEL_H

#include <weir/weir.h>

/* Its namespaces: of 512 and of 4096 bytes a block, one that isn't active, one with metadata. */
#define NVME_MODEL_NAMESPACES	4
#define NVME_MODEL_DISK		(4u << 20)	/* bytes of each */
#define NVME_MODEL_QUEUES	4		/* for I/O */
#define NVME_MODEL_MDTS		3		/* 8 pages of 4 KiB */
#define NVME_MODEL_MQES		63

enum nvme_trouble {
	NVME_GOOD,
	NVME_SILENT,		/* I/O commands don't end */
	NVME_FATAL,		/* the next I/O command: a fatal status instead of an end */
	NVME_REMOVED,		/* the next I/O command: it is pulled out */
	NVME_FAILS,		/* the next I/O command fails, with nvme_model_status() */
	NVME_TWICE,		/* the next I/O command ends twice */
	NVME_LOSES_WRITE,	/* the next write is done in name only */
	NVME_LOSES_READ,	/* the next read */
	NVME_BACKWARDS,		/* commands end in the reverse order, when there are four */
	NVME_NEVER_READY,
	NVME_NEVER_DISABLED,	/* except by a reset of the function */
	NVME_NEVER_SHUT_DOWN,
};

struct nvme_model_opts {
	unsigned int class_code;	/* 0: NVMe's */
	unsigned int mdts;		/* 0: NVME_MODEL_MDTS; 255: no limit */
	unsigned int page_shift;	/* 0: 12 */
	unsigned int stride;		/* CAP.DSTRD */
	unsigned int queues;		/* that it grants; 0: NVME_MODEL_QUEUES */
	bool no_msix;
	bool no_nvm;			/* another command set alone */
	bool no_reset;			/* of the function */
};

int nvme_model_create(const struct nvme_model_opts *opts, struct weir_model **out);
int nvme_model_destroy(struct weir_model *model);

void nvme_model_trouble(struct weir_model *model, enum nvme_trouble trouble);
void nvme_model_status(struct weir_model *model, unsigned int sc);

/* What a namespace holds. */
uint8_t *nvme_model_disk(struct weir_model *model, uint32_t nsid);

/* How many I/O commands it has seen, and flushes among them. */
unsigned int nvme_model_commands(struct weir_model *model);
unsigned int nvme_model_flushes(struct weir_model *model);

/* Whether it was shut down in good order when it was last disabled or given up. */
bool nvme_model_was_shut_down(struct weir_model *model);

/* What the driver did that it mustn't, the first of it; "" when nothing. */
const char *nvme_model_complaint(struct weir_model *model);

#endif
