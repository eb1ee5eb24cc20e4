/* SPDX-License-Identifier: MIT */
/*
 * One thread carries out commands beside the driver's threads. It holds the lock all the time
 * while it does: a register access waits, as it would on a slow bus.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/nvme/spec.h"
#include "tests/soft/nvme_model.h"

#define REVERSED	4		/* commands that NVME_BACKWARDS waits for */

struct ring {
	weir_iova at;
	unsigned int size;		/* 0: there is no such queue */
	unsigned int head, tail;
	unsigned int phase;		/* of completions */
	unsigned int vector;
	bool interrupts;
};

struct model {
	struct weir_model *model;
	struct nvme_model_opts opts;
	pthread_t engine;
	pthread_mutex_t lock;
	pthread_cond_t work;
	bool quit;

	uint32_t cc, csts, aqa;
	uint64_t asq, acq;
	struct ring sq[NVME_MODEL_QUEUES + 1], cq[NVME_MODEL_QUEUES + 1];
	unsigned int granted;		/* I/O queues that the driver asked for; 0: not yet */
	unsigned int reads;		/* of CSTS since it was to become ready */

	enum nvme_trouble trouble;
	unsigned int status;
	unsigned int commands, flushes;
	bool shut_down;
	char complaint[128];
	uint8_t *disks[NVME_MODEL_NAMESPACES];
};

static void complain(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct model *m, const char *fmt, ...)
{
	va_list ap;

	if (m->complaint[0])
		return;
	va_start(ap, fmt);
	vsnprintf(m->complaint, sizeof(m->complaint), fmt, ap);
	va_end(ap);
}

static unsigned int page_shift(const struct model *m)
{
	return m->opts.page_shift ? m->opts.page_shift : 12;
}

static unsigned int mdts(const struct model *m)
{
	return m->opts.mdts == 255 ? 0 : m->opts.mdts ? m->opts.mdts : NVME_MODEL_MDTS;
}

/* Namespace 2 alone has large blocks. */
static unsigned int block_shift(uint32_t nsid)
{
	return nsid == 2 ? 12 : 9;
}

static bool active(uint32_t nsid)
{
	return nsid && nsid <= NVME_MODEL_NAMESPACES && nsid != 3;
}

/* ---- completions ---- */

static bool room(const struct ring *cq)
{
	return (cq->tail + 1) % cq->size != cq->head;
}

/* The phase goes last, and in one piece: the driver is looking at it meanwhile. */
static void put_completion(struct model *m, unsigned int queue, uint16_t id, unsigned int sc,
			   uint32_t result)
{
	struct ring *cq = &m->cq[queue];
	struct nvme_completion *entry;
	void *ptr;
	size_t run;

	if (!room(cq)) {
		complain(m, "completion queue %u is full", queue);
		return;
	}
	if (weir_model_dma_begin(m->model))
		return;
	if (!weir_model_dma_translate(m->model, cq->at + cq->tail * sizeof(*entry),
				      sizeof(*entry), true, &ptr, &run) && run == sizeof(*entry)) {
		entry = ptr;
		entry->result = htole32(result);
		entry->sq_head = htole16((uint16_t)m->sq[queue].head);
		entry->sq_id = htole16((uint16_t)queue);
		entry->id = id;
		__atomic_store_n(&entry->status, htole16((uint16_t)(sc << 1 | cq->phase)),
				 __ATOMIC_RELEASE);
	}
	weir_model_dma_end(m->model);
	cq->tail = (cq->tail + 1) % cq->size;
	if (!cq->tail)
		cq->phase ^= 1;
	if (cq->interrupts && weir_model_msi_enabled(m->model))
		weir_model_msi(m->model, cq->vector);
}

/* ---- I/O commands ---- */

/* The address of a command's n-th page; the driver's rules about pages are held against it. */
static int page_at(struct model *m, const struct nvme_command *c, unsigned int nth,
		   unsigned int pages, uint64_t *at)
{
	uint64_t in_page = (1ull << page_shift(m)) - 1, list = le64toh(c->prp2), entry;

	*at = le64toh(c->prp1);
	if (!nth)
		return *at & 3 ? NVME_SC_PRP_OFFSET : 0;
	*at = list;
	if (pages > 2) {
		list += (nth - 1) * 8;
		/* A list that reaches the end of its page would have to go on in another. */
		if (list & 7 || (list & in_page) + 8 * (pages - nth) > in_page + 1)
			return NVME_SC_PRP_OFFSET;
		if (weir_model_dma_read(m->model, list, &entry, sizeof(entry)))
			return NVME_SC_DATA_TRANSFER;
		*at = le64toh(entry);
	}
	return *at & in_page ? NVME_SC_PRP_OFFSET : 0;
}

static int move(struct model *m, const struct nvme_command *c, uint8_t *disk, uint64_t len)
{
	uint64_t page = 1ull << page_shift(m), offset = le64toh(c->prp1) & (page - 1), at;
	unsigned int pages = (unsigned int)((offset + len + page - 1) / page);

	for (unsigned int i = 0; i < pages; i++) {
		uint64_t part = page - (i ? 0 : offset);
		int sc = page_at(m, c, i, pages, &at);

		if (sc)
			return sc;
		if (part > len)
			part = len;
		if (c->opcode == NVME_CMD_READ ? weir_model_dma_write(m->model, at, disk, part) :
						 weir_model_dma_read(m->model, at, disk, part))
			return NVME_SC_DATA_TRANSFER;
		disk += part;
		len -= part;
	}
	return 0;
}

static int io_command(struct model *m, const struct nvme_command *c)
{
	uint32_t nsid = le32toh(c->nsid);
	uint64_t lba = le32toh(c->dw10) | (uint64_t)le32toh(c->dw11) << 32;
	uint64_t blocks = (le32toh(c->dw12) & 0xffff) + 1ull, all;
	unsigned int shift = block_shift(nsid);

	if (!active(nsid))
		return NVME_SC_NAMESPACE;
	all = NVME_MODEL_DISK >> shift;
	if (c->opcode == NVME_CMD_FLUSH) {
		m->flushes++;
		return 0;
	}
	if (c->opcode != NVME_CMD_READ && c->opcode != NVME_CMD_WRITE)
		return NVME_SC_INVALID_OPCODE;
	if (lba >= all || blocks > all - lba)
		return NVME_SC_LBA_RANGE;
	if (mdts(m) && blocks << shift > 1ull << (mdts(m) + page_shift(m))) {
		complain(m, "%llu blocks at once", (unsigned long long)blocks);
		return NVME_SC_INVALID_FIELD;
	}
	return move(m, c, m->disks[nsid - 1] + (lba << shift), blocks << shift);
}

/* ---- admin commands ---- */

static void put32(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static void put_text(uint8_t *to, const char *text, size_t len)
{
	memset(to, ' ', len);
	memcpy(to, text, strlen(text));
}

static int identify(struct model *m, const struct nvme_command *c)
{
	uint32_t nsid = le32toh(c->nsid);
	uint8_t data[NVME_IDENTIFY_SIZE] = { 0 };
	unsigned int n = 0;

	switch (le32toh(c->dw10)) {
	case NVME_CNS_CONTROLLER:
		data[NVME_ID_VID] = 0x34;
		data[NVME_ID_VID + 1] = 0x12;
		put_text(data + NVME_ID_SN, "  S 1", 20);
		put_text(data + NVME_ID_MN, "a model of a model with 40 bytes of name", 40);
		put_text(data + NVME_ID_FR, "f1", 8);
		data[NVME_ID_MDTS] = (uint8_t)mdts(m);
		put32(data + NVME_ID_NN, NVME_MODEL_NAMESPACES);
		data[NVME_ID_VWC] = 1;
		break;
	case NVME_CNS_NAMESPACE:
		if (!nsid || nsid > NVME_MODEL_NAMESPACES)
			return NVME_SC_NAMESPACE;
		if (!active(nsid))
			break;
		put32(data + NVME_NS_NSZE, NVME_MODEL_DISK >> block_shift(nsid));
		put32(data + NVME_NS_NUSE, 7);
		data[NVME_NS_NLBAF] = 2;
		data[NVME_NS_FLBAS] = (uint8_t)(nsid == 1 ? 0 : nsid == 2 ? 1 : 2);
		put32(data + NVME_NS_LBAF, 9 << 16);
		put32(data + NVME_NS_LBAF + 4, 12 << 16);
		put32(data + NVME_NS_LBAF + 8, 9 << 16 | 8);
		break;
	case NVME_CNS_ACTIVE:
		for (uint32_t i = nsid + 1; i <= NVME_MODEL_NAMESPACES; i++)
			if (active(i))
				put32(data + 4 * n++, i);
		break;
	default:
		return NVME_SC_INVALID_FIELD;
	}
	if (le64toh(c->prp1) & ((1ull << page_shift(m)) - 1))
		complain(m, "identify's memory isn't a page");
	return weir_model_dma_write(m->model, le64toh(c->prp1), data, sizeof(data)) ?
		NVME_SC_DATA_TRANSFER : 0;
}

static int create(struct model *m, const struct nvme_command *c)
{
	uint32_t dw10 = le32toh(c->dw10), dw11 = le32toh(c->dw11);
	unsigned int id = dw10 & 0xffff, size = (dw10 >> 16) + 1;
	bool cq = c->opcode == NVME_ADMIN_CREATE_CQ;
	struct ring *ring;

	if (!id || id > m->granted || (cq ? m->cq : m->sq)[id].size)
		return NVME_SC_QUEUE_ID;
	if (size < 2 || size > NVME_MODEL_MQES + 1)
		return NVME_SC_QUEUE_SIZE;
	if (!(dw11 & NVME_QUEUE_CONTIGUOUS) || le64toh(c->prp1) & ((1ull << page_shift(m)) - 1))
		return NVME_SC_INVALID_FIELD;
	if (!cq && (dw11 >> 16 != id || !m->cq[id].size))
		return NVME_SC_CQ_INVALID;
	if (cq && dw11 & NVME_QUEUE_INTERRUPTS && (m->opts.no_msix || dw11 >> 16 > id))
		return NVME_SC_VECTOR;
	ring = cq ? &m->cq[id] : &m->sq[id];
	*ring = (struct ring){ .at = le64toh(c->prp1), .size = size, .phase = 1 };
	if (cq) {
		ring->interrupts = dw11 & NVME_QUEUE_INTERRUPTS;
		ring->vector = dw11 >> 16;
	}
	return 0;
}

static int delete(struct model *m, const struct nvme_command *c)
{
	unsigned int id = le32toh(c->dw10) & 0xffff;
	bool cq = c->opcode == NVME_ADMIN_DELETE_CQ;

	if (!id || id > NVME_MODEL_QUEUES || !(cq ? m->cq : m->sq)[id].size)
		return NVME_SC_QUEUE_ID;
	if (cq && m->sq[id].size)
		complain(m, "completion queue %u goes before its submission queue", id);
	(cq ? m->cq : m->sq)[id].size = 0;
	return 0;
}

static int admin_command(struct model *m, const struct nvme_command *c, uint32_t *result)
{
	unsigned int all = m->opts.queues ? m->opts.queues : NVME_MODEL_QUEUES;

	switch (c->opcode) {
	case NVME_ADMIN_IDENTIFY:
		return identify(m, c);
	case NVME_ADMIN_CREATE_CQ:
	case NVME_ADMIN_CREATE_SQ:
		return create(m, c);
	case NVME_ADMIN_DELETE_CQ:
	case NVME_ADMIN_DELETE_SQ:
		return delete(m, c);
	case NVME_ADMIN_SET_FEATURES:
		if (le32toh(c->dw10) != NVME_FEATURE_QUEUES)
			return NVME_SC_INVALID_FIELD;
		m->granted = (le32toh(c->dw11) & 0xffff) + 1;
		if (m->granted > all)
			m->granted = all;
		/* It has more submission queues than completion queues, say. */
		*result = (m->granted - 1) << 16 | m->granted;
		return 0;
	default:
		return NVME_SC_INVALID_OPCODE;
	}
}

/* ---- the engine ---- */

static unsigned int waiting(const struct ring *sq)
{
	return sq->size ? (sq->tail + sq->size - sq->head) % sq->size : 0;
}

/* Whether a queue has something to do now. */
static bool ready(const struct model *m, unsigned int queue)
{
	const struct ring *sq = &m->sq[queue];

	if (!(m->csts & NVME_CSTS_RDY) || m->csts & NVME_CSTS_CFS || !waiting(sq) ||
	    !room(&m->cq[queue]))
		return false;
	if (queue && m->trouble == NVME_SILENT)
		return false;
	return !queue || m->trouble != NVME_BACKWARDS || waiting(sq) >= REVERSED;
}

static bool fetch(struct model *m, unsigned int queue, struct nvme_command *command)
{
	struct ring *sq = &m->sq[queue];

	if (weir_model_dma_read(m->model, sq->at + sq->head * sizeof(*command), command,
				sizeof(*command)))
		return false;
	sq->head = (sq->head + 1) % sq->size;
	if (command->flags)
		complain(m, "a command with flags 0x%02x", command->flags);
	return true;
}

/* What is to go wrong with this command; true when it is dealt with. */
static bool misbehave(struct model *m, unsigned int queue, const struct nvme_command *c)
{
	enum nvme_trouble trouble = m->trouble;

	if (trouble == NVME_BACKWARDS ||
	    (trouble == NVME_LOSES_WRITE && c->opcode != NVME_CMD_WRITE) ||
	    (trouble == NVME_LOSES_READ && c->opcode != NVME_CMD_READ))
		return false;
	m->trouble = NVME_GOOD;
	switch (trouble) {
	case NVME_FATAL:
		m->csts |= NVME_CSTS_CFS;
		return true;
	case NVME_REMOVED:
		weir_model_remove(m->model);
		return true;
	case NVME_FAILS:
		put_completion(m, queue, c->id, m->status, 0);
		return true;
	case NVME_LOSES_WRITE:
	case NVME_LOSES_READ:
		put_completion(m, queue, c->id, 0, 0);
		return true;
	case NVME_TWICE:
		put_completion(m, queue, c->id, 0, 0);
		return false;
	default:
		m->trouble = trouble;
		return false;
	}
}

static void work(struct model *m, unsigned int queue)
{
	struct nvme_command commands[REVERSED];
	unsigned int n = 0, most = queue && m->trouble == NVME_BACKWARDS ? REVERSED : 1;

	while (n < most && fetch(m, queue, &commands[n]))
		n++;
	if (!n) {	/* the driver has turned bus mastering off, or is gone */
		m->csts |= NVME_CSTS_CFS;
		return;
	}
	while (n--) {
		uint32_t result = 0;
		int sc;

		m->commands += queue != 0;
		if (queue && misbehave(m, queue, &commands[n]))
			continue;
		sc = queue ? io_command(m, &commands[n]) :
			     admin_command(m, &commands[n], &result);
		put_completion(m, queue, commands[n].id, (unsigned int)sc, result);
	}
}

static void *engine_main(void *arg)
{
	struct model *m = arg;

	pthread_mutex_lock(&m->lock);
	while (!m->quit) {
		bool idle = true;

		for (unsigned int i = 0; i <= NVME_MODEL_QUEUES; i++) {
			if (ready(m, i)) {
				work(m, i);
				idle = false;
			}
		}
		if (idle)
			pthread_cond_wait(&m->work, &m->lock);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* ---- registers ---- */

/* Ready within 2 seconds, at most: its thread may have to wait for a processor. */
static uint64_t capabilities(const struct model *m)
{
	unsigned int mps = page_shift(m) - 12;

	return NVME_MODEL_MQES | 1ull << 16 | 4ull << 24 | (uint64_t)m->opts.stride << 32 |
	       (m->opts.no_nvm ? 1ull << 43 : 1ull << 37) | (uint64_t)mps << 48 |
	       (uint64_t)mps << 52;
}

/* It takes a few looks until it is ready. */
static uint32_t status(struct model *m)
{
	if (m->cc & NVME_CC_EN && !(m->csts & NVME_CSTS_RDY) && ++m->reads > 3 &&
	    m->trouble != NVME_NEVER_READY)
		m->csts |= NVME_CSTS_RDY;
	return m->csts;
}

static uint64_t model_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			   unsigned int width)
{
	struct model *m = weir_model_priv(model);
	uint64_t value = 0;

	(void)bar;
	pthread_mutex_lock(&m->lock);
	if (offset == NVME_CAP && width == 8)
		value = capabilities(m);
	else if (offset == NVME_VS && width == 4)
		value = 0x20000;
	else if (offset == NVME_CC && width == 4)
		value = m->cc;
	else if (offset == NVME_CSTS && width == 4)
		value = status(m);
	else
		complain(m, "a read of %u bytes at 0x%llx", width, (unsigned long long)offset);
	pthread_mutex_unlock(&m->lock);
	return value;
}

static void forget(struct model *m)
{
	m->shut_down = (m->csts & NVME_CSTS_SHST_MASK) == NVME_CSTS_SHST_DONE;
	m->cc = 0;
	m->csts = 0;
	m->granted = 0;
	memset(m->sq, 0, sizeof(m->sq));
	memset(m->cq, 0, sizeof(m->cq));
}

static void enable(struct model *m)
{
	uint64_t in_page = (1ull << page_shift(m)) - 1;

	m->reads = 0;
	m->shut_down = false;
	if (m->cc >> 7 & 0xf & ~(page_shift(m) - 12) ||
	    (m->cc & (0xffu << 16)) != (NVME_CC_IOSQES | NVME_CC_IOCQES) || m->asq & in_page ||
	    m->acq & in_page || !m->asq || !m->acq)
		complain(m, "it was enabled with CC 0x%x", m->cc);
	m->sq[0] = (struct ring){ .at = m->asq, .size = (m->aqa & 0xfff) + 1, .phase = 1 };
	m->cq[0] = (struct ring){ .at = m->acq, .size = (m->aqa >> 16 & 0xfff) + 1, .phase = 1,
				  .interrupts = true };
}

static void write_cc(struct model *m, uint32_t value)
{
	uint32_t changed = m->cc ^ value;

	if (m->trouble == NVME_NEVER_DISABLED && !(value & NVME_CC_EN))
		return;
	m->cc = value;
	if (value & NVME_CC_SHN_MASK && changed & NVME_CC_SHN_MASK &&
	    m->trouble != NVME_NEVER_SHUT_DOWN) {
		m->csts |= NVME_CSTS_SHST_DONE;
		m->shut_down = true;
		for (unsigned int i = 1; i <= NVME_MODEL_QUEUES; i++)
			if (m->sq[i].size || m->cq[i].size)
				complain(m, "it was shut down with queue %u", i);
	}
	if (!(changed & NVME_CC_EN))
		return;
	if (value & NVME_CC_EN)
		enable(m);
	else
		forget(m);
}

static void write_doorbell(struct model *m, uint64_t offset, uint64_t value)
{
	uint64_t nth = offset >> (2 + m->opts.stride);
	struct ring *ring = (nth & 1 ? m->cq : m->sq) + nth / 2;

	if (nth / 2 > NVME_MODEL_QUEUES || nth << (2 + m->opts.stride) != offset ||
	    !(m->csts & NVME_CSTS_RDY) || value >= ring->size) {
		complain(m, "doorbell 0x%llx: %llu", (unsigned long long)offset,
			 (unsigned long long)value);
		return;
	}
	if (nth & 1)
		ring->head = (unsigned int)value;
	else
		ring->tail = (unsigned int)value;
	pthread_cond_signal(&m->work);
}

static void model_write(struct weir_model *model, unsigned int bar, uint64_t offset,
			unsigned int width, uint64_t value)
{
	struct model *m = weir_model_priv(model);

	(void)bar;
	pthread_mutex_lock(&m->lock);
	if (offset >= NVME_DOORBELLS && width == 4)
		write_doorbell(m, offset - NVME_DOORBELLS, value);
	else if (offset == NVME_CC && width == 4)
		write_cc(m, (uint32_t)value);
	else if (offset == NVME_AQA && width == 4)
		m->aqa = (uint32_t)value;
	else if (offset == NVME_ASQ && width == 8)
		m->asq = value;
	else if (offset == NVME_ACQ && width == 8)
		m->acq = value;
	else
		complain(m, "a write of %u bytes at 0x%llx", width, (unsigned long long)offset);
	pthread_mutex_unlock(&m->lock);
}

static void model_reset(struct weir_model *model)
{
	struct model *m = weir_model_priv(model);

	pthread_mutex_lock(&m->lock);
	if (m->cc & NVME_CC_EN)
		forget(m);
	if (m->trouble != NVME_NEVER_READY && m->trouble != NVME_NEVER_SHUT_DOWN)
		m->trouble = NVME_GOOD;
	pthread_mutex_unlock(&m->lock);
}

/* ---- for the test ---- */

#define LOCKED(m, what) \
	do { pthread_mutex_lock(&(m)->lock); what; pthread_mutex_unlock(&(m)->lock); } while (0)

void nvme_model_trouble(struct weir_model *model, enum nvme_trouble trouble)
{
	struct model *m = weir_model_priv(model);

	LOCKED(m, m->trouble = trouble; pthread_cond_signal(&m->work));
}

void nvme_model_status(struct weir_model *model, unsigned int sc)
{
	struct model *m = weir_model_priv(model);

	LOCKED(m, m->status = sc);
}

uint8_t *nvme_model_disk(struct weir_model *model, uint32_t nsid)
{
	struct model *m = weir_model_priv(model);

	return m->disks[nsid - 1];
}

unsigned int nvme_model_commands(struct weir_model *model)
{
	struct model *m = weir_model_priv(model);
	unsigned int n;

	LOCKED(m, n = m->commands);
	return n;
}

unsigned int nvme_model_flushes(struct weir_model *model)
{
	struct model *m = weir_model_priv(model);
	unsigned int n;

	LOCKED(m, n = m->flushes);
	return n;
}

bool nvme_model_was_shut_down(struct weir_model *model)
{
	struct model *m = weir_model_priv(model);
	bool was;

	LOCKED(m, was = m->shut_down);
	return was;
}

const char *nvme_model_complaint(struct weir_model *model)
{
	struct model *m = weir_model_priv(model);

	LOCKED(m, );
	return m->complaint;
}

static void free_model(struct model *m)
{
	for (unsigned int i = 0; i < NVME_MODEL_NAMESPACES; i++)
		free(m->disks[i]);
	pthread_cond_destroy(&m->work);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int nvme_model_create(const struct nvme_model_opts *opts, struct weir_model **out)
{
	static const struct weir_model_ops with_reset = {
		.read = model_read, .write = model_write, .reset = model_reset,
	};
	static const struct weir_model_ops without_reset = {
		.read = model_read, .write = model_write,
	};
	struct weir_model_desc desc = {
		.name = "nvme",
		.vendor = 0x1234,
		.device = 0x0010,
		.class_code = opts && opts->class_code ? opts->class_code : 0x010802,
		.bars = { { .size = 1 << 14, .is64 = true }, [4] = { .size = 4096 } },
	};
	struct model *m = calloc(1, sizeof(*m));
	int ret = -ENOMEM;

	if (!m)
		return ret;
	if (opts)
		m->opts = *opts;
	if (!m->opts.no_msix) {
		desc.msix = NVME_MODEL_QUEUES + 1;
		desc.msix_bar = 4;
		desc.msix_pba = 2048;
	}
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->work, NULL);
	for (unsigned int i = 0; i < NVME_MODEL_NAMESPACES; i++) {
		m->disks[i] = calloc(1, NVME_MODEL_DISK);
		if (!m->disks[i])
			goto err;
	}
	ret = weir_model_create(&desc, m->opts.no_reset ? &without_reset : &with_reset, m,
				&m->model);
	if (ret)
		goto err;
	ret = -pthread_create(&m->engine, NULL, engine_main, m);
	if (ret) {
		weir_model_destroy(m->model);
		goto err;
	}
	*out = m->model;
	return 0;

err:
	free_model(m);
	return ret;
}

int nvme_model_destroy(struct weir_model *model)
{
	struct model *m = weir_model_priv(model);
	int ret = weir_model_destroy(model);

	if (ret)
		return ret;
	LOCKED(m, m->quit = true; pthread_cond_signal(&m->work));
	pthread_join(m->engine, NULL);
	free_model(m);
	return 0;
}
