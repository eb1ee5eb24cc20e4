/* SPDX-License-Identifier: MIT */
/* Admin commands: what the controller says of itself, and its half of I/O queues. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "drivers/nvme/priv.h"

/* How long a shutdown may take at least; a controller's own figure (RTD3E) may be more. */
#define SHUTDOWN_MS	5000
#define SHUTDOWN_MAX_MS	60000

/*
 * A command's list of pages is one page at most, so that lists needn't be chained: 2 MiB in pages
 * of 4 KiB.
 */
#define LIST_ENTRIES	512

struct admin {
	bool done;
	int result;
};

static void admin_done(void *arg, int result)
{
	struct admin *admin = arg;

	admin->done = true;
	admin->result = result;
}

/* One at a time, and nobody is in a hurry. */
static int admin_command(struct nvme *nvme, struct nvme_command *command, uint32_t *result)
{
	struct nvme_queue *queue = &nvme->admin;
	struct nvme_slot *slot = nvme_queue_slot(queue);
	struct admin admin = { 0 };
	int ret = nvme_failure(nvme);

	if (ret)
		return ret;
	slot->done = admin_done;
	slot->arg = &admin;
	nvme_queue_send(queue, slot, command);
	while (nvme_poll(queue), !admin.done)
		nvme_pause();
	if (!admin.result && result)
		*result = queue->result;
	return admin.result;
}

/* The answer is in nvme->data. */
static int identify(struct nvme *nvme, uint32_t cns, uint32_t nsid)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_IDENTIFY,
		.nsid = htole32(nsid),
		.prp1 = htole64(nvme->data_at),
		.dw10 = htole32(cns),
	};

	return admin_command(nvme, &command, NULL);
}

static const uint8_t *answer(const struct nvme *nvme)
{
	return weir_mem_ptr(nvme->data);
}

static uint32_t get32(const uint8_t *bytes)
{
	uint32_t raw;

	memcpy(&raw, bytes, sizeof(raw));
	return le32toh(raw);
}

static uint64_t get64(const uint8_t *bytes)
{
	return get32(bytes) | (uint64_t)get32(bytes + 4) << 32;
}

static void get_text(char *to, const uint8_t *from, size_t len)
{
	while (len && from[len - 1] == ' ')
		len--;
	for (; len && *from == ' '; len--)
		from++;
	memcpy(to, from, len);
	to[len] = '\0';
}

/* ---- identify ---- */

/* Section 5.17.2.1. */
int nvme_identify_controller(struct nvme *nvme)
{
	struct nvme_info *info = &nvme->info;
	const uint8_t *id = answer(nvme);
	unsigned int mdts;
	uint32_t exit_us;
	int ret = identify(nvme, NVME_CNS_CONTROLLER, 0);

	if (ret)
		return ret;
	get_text(info->model, id + NVME_ID_MN, 40);
	get_text(info->serial, id + NVME_ID_SN, 20);
	get_text(info->firmware, id + NVME_ID_FR, 8);
	info->vendor = (uint16_t)(id[NVME_ID_VID] | id[NVME_ID_VID + 1] << 8);
	info->version = weir_read32(nvme->regs, NVME_VS);
	info->namespaces = get32(id + NVME_ID_NN);
	info->write_cache = id[NVME_ID_VWC] & 1;
	info->max_depth = NVME_CAP_MQES(nvme->cap);
	info->ready_ms = NVME_CAP_TO(nvme->cap) * 500;
	mdts = id[NVME_ID_MDTS];
	if (mdts && mdts + nvme->page_shift < sizeof(size_t) * 8)
		info->mdts = (size_t)1 << (mdts + nvme->page_shift);
	nvme->list_entries = LIST_ENTRIES;
	if (info->mdts && info->mdts >> nvme->page_shift < LIST_ENTRIES)
		nvme->list_entries = (unsigned int)(info->mdts >> nvme->page_shift);
	info->max_transfer = (size_t)nvme->list_entries << nvme->page_shift;
	exit_us = get32(id + NVME_ID_RTD3E);
	nvme->shutdown_ms = exit_us / 1000 > SHUTDOWN_MS ? exit_us / 1000 : SHUTDOWN_MS;
	if (nvme->shutdown_ms > SHUTDOWN_MAX_MS)
		nvme->shutdown_ms = SHUTDOWN_MAX_MS;
	return 0;
}

void nvme_info(const struct nvme *nvme, struct nvme_info *info)
{
	*info = nvme->info;
}

int nvme_namespaces(struct nvme *nvme, uint32_t after, uint32_t *ids, size_t n)
{
	int ret = identify(nvme, NVME_CNS_ACTIVE, after);
	size_t i;

	if (ret)
		return ret;
	for (i = 0; i < n && i < NVME_IDENTIFY_SIZE / 4; i++) {
		ids[i] = get32(answer(nvme) + 4 * i);
		if (!ids[i])
			break;
	}
	return (int)i;
}

/* Section 4.1.5.1 of the NVM Command Set. One that isn't active is all zeros. */
int nvme_namespace(struct nvme *nvme, uint32_t id, struct nvme_ns *ns)
{
	const uint8_t *data = answer(nvme);
	unsigned int format, shift;
	uint32_t lbaf;
	int ret = 0;

	if (id && id <= nvme->info.namespaces)
		ret = identify(nvme, NVME_CNS_NAMESPACE, id);
	if (ret)
		return ret;
	if (!id || id > nvme->info.namespaces || !get64(data + NVME_NS_NSZE))
		return nvme_error(nvme, -ENOENT, "there is no namespace %u", id);
	format = data[NVME_NS_FLBAS] & 0xf;
	if (data[NVME_NS_NLBAF] > 15)
		format |= (data[NVME_NS_FLBAS] >> 5 & 3) << 4;
	lbaf = get32(data + NVME_NS_LBAF + 4 * format);
	shift = lbaf >> 16 & 0xff;
	if (format > data[NVME_NS_NLBAF] || shift < 9 || shift > 31 ||
	    get64(data + NVME_NS_NSZE) > UINT64_MAX >> shift)
		return nvme_error(nvme, -EIO, "namespace %u says that it has %" PRIu64 " blocks of "
				  "2^%u bytes, format %u of %u", id, get64(data + NVME_NS_NSZE),
				  shift, format, data[NVME_NS_NLBAF] + 1);
	*ns = (struct nvme_ns){
		.id = id,
		.block_size = (uint32_t)1 << shift,
		.blocks = get64(data + NVME_NS_NSZE),
		.used = get64(data + NVME_NS_NUSE),
		.metadata = (uint16_t)lbaf,
	};
	return 0;
}

/* ---- the controller's half of I/O queues ---- */

static int command_about(struct nvme_queue *queue, uint8_t opcode, weir_iova at, uint32_t dw11)
{
	/* Deleting names the queue alone, making one its size, too. */
	uint32_t size = at ? queue->entries - 1 : 0;
	struct nvme_command command = {
		.opcode = opcode,
		.prp1 = htole64(at),
		.dw10 = htole32(size << 16 | queue->id),
		.dw11 = htole32(dw11),
	};

	return admin_command(queue->nvme, &command, NULL);
}

/* Sections 5.4 and 5.5. Submissions name the queue that their completions go to. */
int nvme_queue_create(struct nvme_queue *queue)
{
	uint32_t irq = queue->nvme->irq ? queue->id << 16 | NVME_QUEUE_INTERRUPTS : 0;
	int ret = command_about(queue, NVME_ADMIN_CREATE_CQ, queue->cq_at,
				irq | NVME_QUEUE_CONTIGUOUS);

	if (ret)
		return ret;
	ret = command_about(queue, NVME_ADMIN_CREATE_SQ, queue->sq_at,
			    queue->id << 16 | NVME_QUEUE_CONTIGUOUS);
	if (ret && command_about(queue, NVME_ADMIN_DELETE_CQ, 0, 0))
		nvme_stop(queue->nvme, ret);
	return ret;
}

/* Sections 5.6 and 5.7: submissions first. One that stays could still write to its memory. */
int nvme_queue_delete(struct nvme_queue *queue)
{
	int ret = command_about(queue, NVME_ADMIN_DELETE_SQ, 0, 0);

	if (!ret)
		ret = command_about(queue, NVME_ADMIN_DELETE_CQ, 0, 0);
	return ret ? nvme_stop(queue->nvme, ret) : 0;
}

/* Section 5.27.1.5. They must be asked for before the first is made. */
int nvme_ask_for_queues(struct nvme *nvme)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.dw10 = htole32(NVME_FEATURE_QUEUES),
		.dw11 = htole32((nvme->n_queues - 1) << 16 | (nvme->n_queues - 1)),
	};
	uint32_t granted, least;
	int ret = admin_command(nvme, &command, &granted);

	if (ret)
		return ret;
	least = (granted & 0xffff) < granted >> 16 ? granted & 0xffff : granted >> 16;
	if (least + 1 < nvme->n_queues)
		return nvme_error(nvme, -ENOSPC, "the controller has %u I/O queues, not %u",
				  least + 1, nvme->n_queues);
	return 0;
}
