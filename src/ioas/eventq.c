/* SPDX-License-Identifier: MIT */
/*
 * What happens to a vIOMMU. The kernel numbers events from 0 on; a gap is what was lost, and when
 * nothing came after that, a header alone says so (struct iommufd_vevent_header).
 */
#include <endian.h>
#include <limits.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/hwpt.h"
#include "kernel/hwpt.h"
#include "kernel/iommufd.h"

#define EVENT_MOST	4096

struct weir_eventq {
	struct weir_viommu *viommu;
	uint32_t number;		/* the kernel's */
	int fd;
	size_t size;			/* of an event */
	/* who reads */
	uint32_t next;			/* the sequence number that the next event has */
	uint64_t lost;			/* and not told yet */
	struct wr_iommu_vevent_header buf[];	/* one, and an event behind it */
};

static struct weir_iommu *iommu_of(const struct weir_eventq *queue)
{
	return queue->viommu->parent->as->iommu;
}

static size_t size_of(uint32_t type, size_t size)
{
	if (size)
		return size;
	return type == WEIR_EVENTQ_SMMUV3 ? sizeof(struct weir_smmuv3_event) :
	       type == WEIR_EVENTQ_TEGRA241_CMDQV ? 16 : 0;
}

int weir_eventq_open(struct weir_viommu *viommu, uint32_t type, size_t size, uint32_t depth,
		     struct weir_eventq **out)
{
	struct weir_iommu *iommu = viommu->parent->as->iommu;
	struct weir_eventq *queue;
	int ret = wr_ioas_check_change(viommu->parent->as);

	if (ret)
		return ret;
	size = size_of(type, size);
	if (!size || size > EVENT_MOST)
		return wr_fail(-EINVAL, "events of type %u and %zu bytes: weir doesn't know the "
			       "type's size, or it can't be", type, size);
	queue = calloc(1, sizeof(*queue) + sizeof(queue->buf[0]) + size);
	if (!queue)
		return wr_fail(-ENOMEM, "no memory for an event queue");
	queue->viommu = viommu;
	queue->size = size;
	pthread_mutex_lock(&iommu->attach_lock);
	ret = wr_iommufd_eventq_alloc(iommu->iommufd, viommu->number, type, depth, &queue->number,
				      &queue->fd);
	viommu->children += !ret;
	pthread_mutex_unlock(&iommu->attach_lock);
	if (ret)
		free(queue);
	else
		*out = queue;
	return ret;
}

int weir_eventq_close(struct weir_eventq *queue)
{
	struct weir_iommu *iommu;
	int ret;

	if (!queue)
		return 0;
	ret = wr_ioas_check_change(queue->viommu->parent->as);
	if (ret)
		return ret;
	iommu = iommu_of(queue);
	/* The fd holds the queue, too. */
	wr_close(queue->fd);
	pthread_mutex_lock(&iommu->attach_lock);
	wr_iommufd_destroy(iommu->iommufd, queue->number);
	queue->viommu->children--;
	pthread_mutex_unlock(&iommu->attach_lock);
	free(queue);
	return 0;
}

int weir_eventq_fd(struct weir_eventq *queue)
{
	int ret = wr_ioas_check_process(queue->viommu->parent->as);

	return ret ? ret : queue->fd;
}

/*
 * Of the kernel's header. Where it says that events were lost, it has the number of the last of
 * them, and stands alone: the buffer hasn't got room for an event behind it.
 */
static int parse(struct weir_eventq *queue, size_t len, void *event)
{
	const struct wr_iommu_vevent_header *header = queue->buf;
	bool lost = header->flags & WR_IOMMU_VEVENT_LOST;

	if (len != sizeof(*header) + (lost ? 0 : queue->size))
		return wr_fail(-EIO, "the event queue gives %zu bytes, where an event and its "
			       "header have %zu", len, sizeof(*header) + queue->size);
	queue->lost += ((header->sequence - queue->next) & INT_MAX) + lost;
	queue->next = (header->sequence + 1) & INT_MAX;
	if (!lost)
		memcpy(event, header + 1, queue->size);
	return !lost;
}

int weir_eventq_read(struct weir_eventq *queue, int timeout, void *event, uint64_t *lost)
{
	int ret = wr_ioas_check_process(queue->viommu->parent->as);
	ssize_t len;

	if (ret)
		return ret;
	len = wr_iommufd_read(queue->fd, queue->buf, sizeof(queue->buf[0]) + queue->size, timeout);
	if (len == -EINVAL)
		return wr_fail(-EIO, "the event queue has an event of more than %zu bytes",
			       queue->size);
	if (len < 0)
		return wr_fail((int)len, "reading events: %s", strerror((int)-len));
	ret = len ? parse(queue, (size_t)len, event) : 0;
	if (ret >= 0 && lost) {
		*lost = queue->lost;
		queue->lost = 0;
	}
	return ret;
}

/* ---- SMMUv3 ---- */

/* Arm SMMUv3 specification, 7.3: those that the kernel passes on (arm_smmu_handle_event()). */
static const struct {
	unsigned int type;
	bool access;			/* it has an address, and what was done there */
	const char *text;
} smmuv3_events[] = {
	{ 0x04, false, "C_BAD_STE: the stream table entry can't be so" },
	{ 0x06, false, "F_STREAM_DISABLED: without a PASID the entry allows nothing (S1DSS)" },
	{ 0x08, false, "C_BAD_SUBSTREAMID: no such PASID" },
	{ 0x0a, false, "C_BAD_CD: the context descriptor can't be so" },
	{ 0x10, true, "F_TRANSLATION: nothing is mapped there" },
	{ 0x11, true, "F_ADDR_SIZE: an address is too wide" },
	{ 0x12, true, "F_ACCESS: the access flag isn't set" },
	{ 0x13, true, "F_PERMISSION: that isn't allowed there" },
};

void weir_smmuv3_event_decode(const struct weir_smmuv3_event *event,
			      struct weir_smmuv3_event_info *info)
{
	uint64_t first = le64toh(event->evt[0]), second = le64toh(event->evt[1]);

	*info = (struct weir_smmuv3_event_info){
		.type = first & 0xff,
		.text = "an event that weir doesn't know",
		.stream = (uint32_t)(first >> 32),
		.has_substream = first >> 11 & 1,
	};
	if (info->has_substream)
		info->substream = first >> 12 & 0xfffff;
	for (size_t i = 0; i < sizeof(smmuv3_events) / sizeof(smmuv3_events[0]); i++) {
		if (smmuv3_events[i].type != info->type)
			continue;
		info->text = smmuv3_events[i].text;
		info->has_address = smmuv3_events[i].access;
	}
	if (!info->has_address)
		return;
	info->address = le64toh(event->evt[2]);
	info->stalled = second >> 31 & 1;
	info->priv = second >> 33 & 1;
	info->exec = second >> 34 & 1;
	info->read = second >> 35 & 1;
	info->stage2 = second >> 39 & 1;
}
