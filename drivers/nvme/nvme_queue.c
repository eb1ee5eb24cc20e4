/* SPDX-License-Identifier: MIT */
/*
 * A pair of queues: the host puts commands into one ring and moves its tail, the controller puts
 * completions into the other, with a phase bit that changes with each round (section 3.3.1).
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/nvme/priv.h"

/* How often waiting for a command asks whether the controller lives. */
#define LOOK_MS		100

/* Looks at an empty ring before another thread, which may be the device, gets its turn. */
#define SPINS		64

/* The runs of the largest buffer: see the limit of list_entries in nvme.c. */
#define SEGS_MAX	513

static size_t round_up(size_t len, size_t to)
{
	return (len + to - 1) & ~(to - 1);
}

/* ---- memory ---- */

/* Where memory is for the controller, which wants it in one run. */
static int find(struct nvme *nvme, const void *ptr, size_t len, weir_iova *iova)
{
	struct weir_seg seg;
	int n = weir_ioas_segs(weir_device_ioas(nvme->dev), ptr, len, &seg, 1);

	if (n < 0)
		return nvme_weir_error(n);
	if (n > 1)
		return nvme_error(nvme, -ENOTSUP, "a queue of %zu bytes lies in %d pieces for the "
				  "controller: take fewer commands, or larger pages", len, n);
	*iova = seg.iova;
	return 0;
}

/* The lists' size divides the page's, so that none crosses a page, and is in pieces. */
static int find_all(struct nvme_queue *queue, size_t sq_len, size_t cq_len)
{
	struct nvme *nvme = queue->nvme;
	size_t list_len = nvme->list_entries * sizeof(*queue->lists);
	char *mem = weir_mem_ptr(queue->mem);
	int ret;

	queue->sq = (struct nvme_command *)mem;
	queue->cq = (struct nvme_completion *)(mem + sq_len);
	queue->lists = (uint64_t *)(mem + sq_len + cq_len);
	ret = find(nvme, queue->sq, queue->entries * sizeof(*queue->sq), &queue->sq_at);
	if (!ret)
		ret = find(nvme, queue->cq, queue->entries * sizeof(*queue->cq), &queue->cq_at);
	for (unsigned int i = 0; i < queue->entries - 1 && queue->id && !ret; i++)
		ret = find(nvme, queue->lists + (size_t)i * nvme->list_entries, list_len,
			   &queue->slots[i].list_at);
	return ret;
}

int nvme_queue_init(struct nvme_queue *queue, struct nvme *nvme, unsigned int id,
		    unsigned int entries)
{
	struct weir_mem_opts opts = { .page_size = nvme->mem_page_size };
	size_t page = (size_t)1 << nvme->page_shift;
	size_t sq_len = round_up(entries * sizeof(*queue->sq), page);
	size_t cq_len = round_up(entries * sizeof(*queue->cq), page);
	/* The admin queue's commands move a page at most. */
	size_t lists = id ? (size_t)(entries - 1) * nvme->list_entries * sizeof(*queue->lists) : 0;
	int ret;

	*queue = (struct nvme_queue){ .nvme = nvme, .id = id, .entries = entries };
	queue->slots = calloc(entries - 1, sizeof(*queue->slots));
	if (!queue->slots)
		return nvme_error(nvme, -ENOMEM, "no memory for a queue of %u commands",
				  entries - 1);
	ret = weir_mem_alloc(weir_device_ioas(nvme->dev), sq_len + cq_len + lists, &opts,
			     &queue->mem);
	if (ret)
		nvme_weir_error(ret);
	else
		ret = find_all(queue, sq_len, cq_len);
	if (ret)
		nvme_queue_free(queue);
	else
		nvme_queue_restart(queue);
	return ret;
}

void nvme_queue_free(struct nvme_queue *queue)
{
	weir_mem_free(queue->mem);
	free(queue->slots);
	queue->mem = NULL;
	queue->slots = NULL;
}

void nvme_queue_restart(struct nvme_queue *queue)
{
	queue->tail = 0;
	queue->head = 0;
	queue->phase = 1;
	queue->free = 0;
	for (unsigned int i = 0; i < queue->entries - 1; i++)
		queue->slots[i].next = i + 1;
	memset(queue->cq, 0, queue->entries * sizeof(*queue->cq));
}

/* ---- sending ---- */

static void doorbell(struct nvme_queue *queue, unsigned int completions, unsigned int value)
{
	struct nvme *nvme = queue->nvme;
	uint64_t nth = 2 * (uint64_t)queue->id + completions;

	weir_write32(nvme->regs, NVME_DOORBELLS + (nth << (2 + NVME_CAP_DSTRD(nvme->cap))), value);
}

struct nvme_slot *nvme_queue_slot(struct nvme_queue *queue)
{
	if (queue->free == queue->entries - 1)
		return NULL;
	return &queue->slots[queue->free];
}

void nvme_queue_send(struct nvme_queue *queue, struct nvme_slot *slot,
		     struct nvme_command *command)
{
	command->id = htole16((uint16_t)(slot - queue->slots));
	slot->opcode = command->opcode;
	slot->deadline = nvme_now_ms() + queue->nvme->timeout_ms;
	queue->free = slot->next;
	queue->outstanding++;
	queue->sq[queue->tail] = *command;
	queue->tail = (queue->tail + 1) % queue->entries;
	/* The controller must see the command, and the data, before it sees the tail. */
	weir_dma_wmb();
	doorbell(queue, 0, queue->tail);
}

/*
 * Tell the controller where a buffer is: PRP entries (section 4.1.1). Each names a page; only the
 * first may start inside one. The second field is the second page, or a list of all further ones.
 *
 * Mappings consist of whole pages, so runs end and begin at the pages' bounds.
 */
static int fill_pages(struct nvme_queue *queue, const struct nvme_slot *slot, const void *buf,
		      size_t len, struct nvme_command *command)
{
	struct nvme *nvme = queue->nvme;
	uint64_t *list = queue->lists + (size_t)(slot - queue->slots) * nvme->list_entries;
	uint64_t in_page = ((uint64_t)1 << nvme->page_shift) - 1;
	struct weir_seg segs[SEGS_MAX];
	unsigned int pages = 0;
	int n = weir_ioas_segs(weir_device_ioas(nvme->dev), buf, len, segs, SEGS_MAX);

	if (n < 0)
		return nvme_weir_error(n);
	for (int i = 0; i < n; i++) {
		uint64_t end = segs[i].iova + segs[i].len;

		for (uint64_t at = segs[i].iova; at < end; at = (at | in_page) + 1, pages++) {
			if (!pages)
				command->prp1 = htole64(at);
			else
				list[pages - 1] = htole64(at);
		}
	}
	if (pages == 2)
		command->prp2 = list[0];
	else if (pages > 2)
		command->prp2 = htole64(slot->list_at);
	return 0;
}

static int check_blocks(const struct nvme *nvme, const struct nvme_ns *ns, uint64_t lba,
			const void *buf, size_t len)
{
	if (ns->metadata)
		return nvme_error(nvme, -ENOTSUP, "namespace %u has %u bytes of metadata beside "
				  "each block, which this driver doesn't move: format it without",
				  ns->id, ns->metadata);
	if (ns->block_size > nvme->info.max_transfer)
		return nvme_error(nvme, -ENOTSUP, "a block of namespace %u has %u bytes, but a "
				  "command moves %zu at most", ns->id, ns->block_size,
				  nvme->info.max_transfer);
	if (!len || len % ns->block_size)
		return nvme_error(nvme, -EINVAL, "%zu bytes aren't whole blocks of %u", len,
				  ns->block_size);
	if ((uintptr_t)buf % 4)
		return nvme_error(nvme, -EINVAL, "the buffer at %p isn't at a multiple of 4", buf);
	if (lba >= ns->blocks || len / ns->block_size > ns->blocks - lba)
		return nvme_error(nvme, -ERANGE, "%zu blocks at LBA %" PRIu64 " go beyond the end "
				  "of namespace %u, which has %" PRIu64, len / ns->block_size,
				  lba, ns->id, ns->blocks);
	return 0;
}

static int check(const struct nvme *nvme, enum nvme_op op, const struct nvme_ns *ns, uint64_t lba,
		 const void *buf, size_t len)
{
	if (op == NVME_READ || op == NVME_WRITE)
		return check_blocks(nvme, ns, lba, buf, len);
	if (op == NVME_FLUSH && !lba && !buf && !len)
		return 0;
	return nvme_error(nvme, -EINVAL, "no command of this kind, or a flush with blocks");
}

int nvme_submit(struct nvme_queue *queue, enum nvme_op op, const struct nvme_ns *ns, uint64_t lba,
		void *buf, size_t len, nvme_done_fn done, void *arg)
{
	static const uint8_t opcodes[] = {
		[NVME_FLUSH] = NVME_CMD_FLUSH,
		[NVME_WRITE] = NVME_CMD_WRITE,
		[NVME_READ] = NVME_CMD_READ,
	};
	struct nvme *nvme = queue->nvme;
	struct nvme_command command = { .nsid = htole32(ns->id) };
	struct nvme_slot *slot;
	uint32_t blocks;
	int ret = check(nvme, op, ns, lba, buf, len);

	if (!ret && len > nvme->info.max_transfer)
		ret = nvme_error(nvme, -EINVAL, "%zu bytes are more than a command moves: %zu", len,
				 nvme->info.max_transfer);
	if (!ret)
		ret = nvme_failure(nvme);
	if (ret)
		return ret;
	slot = nvme_queue_slot(queue);
	if (!slot)
		return nvme_error(nvme, -EAGAIN, "all %u commands of the queue are outstanding",
				  queue->entries - 1);
	blocks = (uint32_t)(len / ns->block_size);
	if (len) {
		ret = fill_pages(queue, slot, buf, len, &command);
		if (ret)
			return ret;
		command.dw10 = htole32((uint32_t)lba);
		command.dw11 = htole32((uint32_t)(lba >> 32));
		command.dw12 = htole32(blocks - 1);
	}
	command.opcode = opcodes[op];
	slot->done = done;
	slot->arg = arg;
	slot->nsid = ns->id;
	slot->lba = lba;
	slot->blocks = blocks;
	nvme_queue_send(queue, slot, &command);
	return 0;
}

/* ---- ending ---- */

static void end(struct nvme_queue *queue, struct nvme_slot *slot, int result)
{
	nvme_done_fn done = slot->done;

	slot->done = NULL;
	slot->next = queue->free;
	queue->free = (unsigned int)(slot - queue->slots);
	queue->outstanding--;
	done(slot->arg, result);
}

/* What is submitted meanwhile is refused: the controller's failure is set. */
void nvme_queue_cancel(struct nvme_queue *queue, int result)
{
	for (unsigned int i = 0; i < queue->entries - 1 && queue->outstanding; i++)
		if (queue->slots[i].done)
			end(queue, &queue->slots[i], result);
}

/* The sentence for the commands that moved blocks; nvme.c has one for its own. */
static int command_failed(struct nvme_queue *queue, const struct nvme_slot *slot, unsigned int sc)
{
	struct nvme *nvme = queue->nvme;
	int ret = nvme_status_errno(sc);

	if (!queue->id)
		return nvme_error(nvme, ret, "admin command 0x%02x: %s (status 0x%03x)",
				  slot->opcode, nvme_status_text(sc), sc);
	if (slot->opcode == NVME_CMD_FLUSH)
		return nvme_error(nvme, ret, "flush of namespace %u: %s (status 0x%03x)",
				  slot->nsid, nvme_status_text(sc), sc);
	return nvme_error(nvme, ret, "%s of %u blocks at LBA %" PRIu64 " of namespace %u: %s "
			  "(status 0x%03x)", slot->opcode == NVME_CMD_READ ? "read" : "write",
			  slot->blocks, slot->lba, slot->nsid, nvme_status_text(sc), sc);
}

static bool completed(const struct nvme_queue *queue)
{
	const struct nvme_completion *c = &queue->cq[queue->head];
	uint16_t status = le16toh(__atomic_load_n(&c->status, __ATOMIC_ACQUIRE));

	return (status & 1) == queue->phase;
}

static int take(struct nvme_queue *queue)
{
	struct nvme_completion *c = &queue->cq[queue->head];
	unsigned int id, sc;

	/* The rest of the entry, and the data, are not older than the phase. */
	weir_dma_rmb();
	id = le16toh(c->id);
	sc = NVME_SC(le16toh(c->status));
	queue->result = le32toh(c->result);
	if (++queue->head == queue->entries) {
		queue->head = 0;
		queue->phase ^= 1;
	}
	if (id >= queue->entries - 1 || !queue->slots[id].done)
		return nvme_stop(queue->nvme,
				 nvme_error(queue->nvme, -EIO, "the controller ended command %u of "
					    "queue %u, which isn't outstanding", id, queue->id));
	end(queue, &queue->slots[id],
	    sc ? command_failed(queue, &queue->slots[id], sc) : 0);
	return 0;
}

/* Nothing has come: is there still somebody who could send it, and in time? */
static int look(struct nvme_queue *queue)
{
	struct nvme *nvme = queue->nvme;
	int64_t now = nvme_now_ms();
	int ret;

	if (now < queue->look_at)
		return 0;
	queue->look_at = now + LOOK_MS;
	ret = nvme_look(nvme);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < queue->entries - 1; i++) {
		const struct nvme_slot *slot = &queue->slots[i];

		if (!slot->done || now < slot->deadline)
			continue;
		nvme_error(nvme, -ETIMEDOUT, "command 0x%02x of queue %u didn't end within %u ms",
			   slot->opcode, queue->id, nvme->timeout_ms);
		return nvme_stop(nvme, -ETIMEDOUT);
	}
	return 0;
}

int nvme_poll(struct nvme_queue *queue)
{
	int ret = nvme_failure(queue->nvme);
	unsigned int n = 0;

	/* One round at most: a fast controller could keep us here for good. */
	for (; !ret && n < queue->entries && completed(queue); n++)
		ret = take(queue);
	if (n)
		doorbell(queue, 1, queue->head);
	else if (!ret && queue->outstanding)
		ret = look(queue);
	if (ret)
		nvme_queue_cancel(queue, ret);
	return ret ? ret : (int)n;
}

int nvme_wait(struct nvme_queue *queue)
{
	struct nvme *nvme = queue->nvme;

	for (unsigned int spins = 1;; spins++) {
		int ret = nvme_poll(queue);

		if (ret || !queue->outstanding)
			return ret;
		if (!nvme->irq || !queue->id) {
			if (!(spins % SPINS))
				sched_yield();
			continue;
		}
		/* One of before may still be recorded: then it is a round more. */
		ret = weir_irq_wait(nvme->dev, WEIR_IRQ_MSIX, queue->id, LOOK_MS);
		if (ret < 0 && ret != -ETIMEDOUT)
			return nvme_weir_error(ret);
	}
}

unsigned int nvme_outstanding(const struct nvme_queue *queue)
{
	return queue->outstanding;
}

/* ---- many blocks ---- */

struct transfer {
	unsigned int pending;
	int result;
};

static void part_done(void *arg, int result)
{
	struct transfer *transfer = arg;

	transfer->pending--;
	if (result)
		transfer->result = result;
}

static int transfer_all(struct nvme_queue *queue, enum nvme_op op, const struct nvme_ns *ns,
			uint64_t lba, char *buf, size_t len)
{
	size_t most = queue->nvme->info.max_transfer;
	struct transfer transfer = { 0 };
	bool more = true;
	int ret;

	while (transfer.pending || (more && !transfer.result)) {
		size_t part = len < most ? len : most;

		ret = -EAGAIN;
		if (more && !transfer.result)
			ret = nvme_submit(queue, op, ns, lba, buf, part, part_done, &transfer);
		if (!ret) {
			transfer.pending++;
			lba += part / ns->block_size;
			buf += part;
			len -= part;
			more = len;
		} else if (ret == -EAGAIN) {
			nvme_wait(queue);	/* if that fails, all have ended by it */
		} else {
			transfer.result = ret;
		}
	}
	return transfer.result;
}

static int move(struct nvme_queue *queue, enum nvme_op op, const struct nvme_ns *ns, uint64_t lba,
		char *buf, size_t len)
{
	int ret = check(queue->nvme, op, ns, lba, buf, len);

	if (ret)
		return ret;
	/* All of it is mapped, or nothing moves. */
	ret = weir_ioas_segs(weir_device_ioas(queue->nvme->dev), buf, len, NULL, 0);
	if (ret < 0)
		return nvme_weir_error(ret);
	return transfer_all(queue, op, ns, lba, buf, len);
}

int nvme_read(struct nvme_queue *queue, const struct nvme_ns *ns, uint64_t lba, void *buf,
	      size_t len)
{
	return move(queue, NVME_READ, ns, lba, buf, len);
}

int nvme_write(struct nvme_queue *queue, const struct nvme_ns *ns, uint64_t lba, const void *buf,
	       size_t len)
{
	return move(queue, NVME_WRITE, ns, lba, (char *)(uintptr_t)buf, len);
}

int nvme_flush(struct nvme_queue *queue, const struct nvme_ns *ns)
{
	return transfer_all(queue, NVME_FLUSH, ns, 0, NULL, 0);
}
