/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/container.h"
#include "kernel/info.h"
#include "kernel/iommufd.h"
#include "kernel/refused.h"
#include "kernel/uapi.h"

#define CONTAINER "/dev/vfio/vfio"

static int lacks(const char *node, unsigned long type)
{
	if (type == WR_VFIO_NOIOMMU)
		return wr_fail(-ENOTSUP, "%s isn't for devices without an IOMMU: this kernel is "
			       "built without CONFIG_VFIO_NOIOMMU, or %s was switched off", node,
			       WR_NOIOMMU_SWITCH);
	if (type == WR_VFIO_SPAPR || type == WR_VFIO_SPAPRv2)
		return wr_fail(-ENOTSUP, "this kernel has no VFIO IOMMU of POWER (version %d): "
			       "load the module vfio_iommu_spapr_tce",
			       type == WR_VFIO_SPAPRv2 ? 2 : 1);
	return wr_fail(-ENOTSUP, "this kernel has no VFIO type1 IOMMU (version %d): load the "
		       "module vfio_iommu_type1", type == WR_VFIO_TYPE1v2 ? 2 : 1);
}

/* Whether it can be what is wanted; else it is closed. */
static int check(int fd, const char *node, unsigned long type)
{
	int ret = wr_sys->ioctl(fd, WR_VFIO_GET_API_VERSION, NULL);

	if (ret < 0) {
		ret = wr_fail(ret, "asking %s for its version: %s", node, strerror(-ret));
		goto close_fd;
	}
	if (ret != WR_VFIO_API_VERSION) {
		ret = wr_fail(-ENOTSUP, "%s speaks version %d of VFIO, weir version %d", node, ret,
			      WR_VFIO_API_VERSION);
		goto close_fd;
	}
	ret = wr_sys->ioctl(fd, WR_VFIO_CHECK_EXTENSION, (void *)type);
	if (ret > 0)
		return fd;
	ret = ret < 0 ? wr_fail(ret, "asking %s what it can: %s", node, strerror(-ret)) :
			lacks(node, type);
close_fd:
	wr_close(fd);
	return ret;
}

static bool is_missing(int err)
{
	return err == -ENOENT || err == -ENODEV || err == -ENXIO;
}

int wr_container_open(unsigned long type)
{
	int fd = wr_sys->open(CONTAINER, O_RDWR);

	if (is_missing(fd))
		return wr_fail(-ENOTSUP, "%s doesn't work: the module vfio isn't loaded",
			       CONTAINER);
	if (fd < 0)
		return wr_fail(fd, "opening %s: %s", CONTAINER, strerror(-fd));
	return check(fd, CONTAINER, type);
}

int wr_container_open_iommufd(unsigned long type, enum weir_accounting accounting)
{
	int fd = wr_iommufd_open(accounting);

	return fd < 0 ? fd : check(fd, WR_IOMMUFD_NODE, type);
}

/*
 * Groups without an IOMMU take a /dev/iommu as their container, too, in which nothing else was made
 * (iommufd_vfio_compat_set_no_iommu()); kernels can be built without any other.
 */
int wr_container_open_noiommu(void)
{
	int fd = wr_sys->open(CONTAINER, O_RDWR);
	const char *node = CONTAINER;

	if (is_missing(fd)) {
		node = WR_IOMMUFD_NODE;
		fd = wr_sys->open(node, O_RDWR);
	}
	if (is_missing(fd))
		return wr_fail(-ENOTSUP, "neither %s nor %s works: the modules vfio and iommufd "
			       "aren't loaded", CONTAINER, WR_IOMMUFD_NODE);
	if (fd < 0)
		return wr_fail(fd, "opening %s: %s", node, strerror(-fd));
	return check(fd, node, WR_VFIO_NOIOMMU);
}

static int refused(const struct wr_group *group, int err)
{
	if (group->noiommu && err == -EPERM)
		return wr_fail(err, "group %d, which has no IOMMU: the kernel refuses it a "
			       "container without the capability CAP_SYS_RAWIO: run as root",
			       group->number);
	switch (err) {
	case -EPERM:
		return wr_fail(err, "group %d: the kernel refuses it a container: a member's "
			       "kernel driver claimed it meanwhile, or interrupts aren't isolated "
			       "here (see the kernel's log, and allow_unsafe_interrupts of "
			       "vfio_iommu_type1)", group->number);
	case -EINVAL:
		return wr_fail(err, "group %d: the kernel refuses it this container: a mapping "
			       "lies where the device's IOMMU can't have it, or firmware reserved "
			       "memory for a member (RMRR, see the kernel's log)", group->number);
	case -EBUSY:
		return wr_fail(err, "group %d: the kernel refuses it a container: its IOMMU "
			       "domain is in use", group->number);
	default:
		return wr_fail(err, "group %d: the kernel refuses it a container: %s",
			       group->number, strerror(-err));
	}
}

void wr_container_remove(struct wr_group *group)
{
	int ret = wr_sys->ioctl(group->fd, WR_VFIO_GROUP_UNSET_CONTAINER, NULL);

	if (ret < 0)
		wr_log(WEIR_LOG_WARN, "group %d stays in its container: %s; a device of it is open "
		       "still, perhaps in a child process", group->number, strerror(-ret));
	wr_group_close(group);
}

int wr_container_add(int fd, struct wr_group *group, unsigned long type)
{
	int ret = wr_group_open(group);

	if (ret)
		return ret;
	ret = wr_sys->ioctl(group->fd, WR_VFIO_GROUP_SET_CONTAINER, &fd);
	if (ret < 0) {
		refused(group, ret);
		wr_group_close(group);
		return ret;
	}
	if (!type)
		return 0;
	ret = wr_sys->ioctl(fd, WR_VFIO_SET_IOMMU, (void *)type);
	if (ret < 0) {
		refused(group, ret);
		wr_container_remove(group);
		return ret;
	}
	return 0;
}

/* They ascend; one that doesn't is left out. */
static void add_range(struct wr_ranges *ranges, const struct wr_vfio_iova_range *range)
{
	if (range->start <= range->end &&
	    (!ranges->n || ranges->r[ranges->n - 1].last < range->start))
		wr_ranges_add(ranges, range->start, range->end);
}

/* A kernel before 5.4 doesn't say: what no IOMMU has is then refused when it is mapped. */
static void read_ranges(const struct wr_vfio_iommu_info *info, uint32_t size, uint32_t first,
			struct wr_ranges *ranges)
{
	const struct wr_vfio_cap_iova_range *cap;
	uint32_t room;

	cap = wr_vfio_cap(info, size, first, WR_VFIO_IOMMU_CAP_IOVA_RANGE, sizeof(*cap), &room);
	if (!cap || cap->nr_iovas > (room - sizeof(*cap)) / sizeof(cap->ranges[0])) {
		*ranges = wr_ranges_default;
		return;
	}
	ranges->n = 0;
	for (uint32_t i = 0; i < cap->nr_iovas; i++)
		add_range(ranges, &cap->ranges[i]);
}

/* Nor does one before 5.10 say this: there its refusal comes when it comes. */
static uint64_t read_room(const struct wr_vfio_iommu_info *info, uint32_t size, uint32_t first)
{
	const struct wr_vfio_cap_dma_avail *cap;
	uint32_t room;

	cap = wr_vfio_cap(info, size, first, WR_VFIO_IOMMU_CAP_DMA_AVAIL, sizeof(*cap), &room);
	/* IOMMUFD has no limit, and says so. */
	return cap && cap->avail != UINT32_MAX ? cap->avail : UINT64_MAX;
}

int wr_container_info(int fd, struct wr_container_info *out)
{
	const struct wr_vfio_iommu_info head = { 0 };
	struct wr_vfio_iommu_info *info;
	uint32_t first, room;
	void *all;
	int size = wr_vfio_info(fd, WR_VFIO_IOMMU_GET_INFO, &head, sizeof(head), &all);

	if (size < 0)
		return wr_fail(size, "reading the container's IOMMU information: %s",
			       strerror(-size));
	info = all;
	first = info->flags & WR_VFIO_IOMMU_CAPS ? info->cap_offset : 0;
	out->page_sizes = info->flags & WR_VFIO_IOMMU_PGSIZES ? info->iova_pgsizes
							       : wr_page_size();
	read_ranges(info, (uint32_t)size, first, &out->ranges);
	out->room = read_room(info, (uint32_t)size, first);
	/* Kernels before 5.8 haven't got it, nor has IOMMUFD. */
	out->tracks_dirty = wr_vfio_cap(info, (uint32_t)size, first,
					WR_VFIO_IOMMU_CAP_MIGRATION, sizeof(struct wr_vfio_cap),
					&room);
	free(all);
	return 0;
}

bool wr_container_has(int fd, unsigned long extension)
{
	return wr_sys->ioctl(fd, WR_VFIO_CHECK_EXTENSION, (void *)extension) > 0;
}

static int map_failed(const struct wr_mapping *m, int err, enum wr_memlock whose)
{
	if (err == -EFAULT && m->bar)
		return wr_bar_refused(m, err);
	if (err == -ENOSPC)
		return wr_fail(err, "mapping at IOVA 0x%" PRIx64 ": the container's limit of "
			       "mappings is reached (dma_entry_limit of vfio_iommu_type1): map "
			       "fewer, larger pieces", m->iova);
	return wr_map_refused(m, err, whose);
}

int wr_container_ask_map(int fd, const struct wr_mapping *m)
{
	struct wr_vfio_map_dma map = {
		.argsz = sizeof(map),
		.flags = (m->dir != WEIR_DMA_FROM_DEVICE ? WR_VFIO_MAP_READ : 0) |
			 (m->dir != WEIR_DMA_TO_DEVICE ? WR_VFIO_MAP_WRITE : 0),
		.vaddr = (uintptr_t)m->vaddr,
		.iova = m->iova,
		.size = m->len,
	};

	return wr_sys->ioctl(fd, WR_VFIO_IOMMU_MAP_DMA, &map);
}

int wr_container_map(int fd, const struct wr_mapping *m, enum wr_memlock whose)
{
	int ret = wr_container_ask_map(fd, m);

	return ret < 0 ? map_failed(m, ret, whose) : 0;
}

static int unmap(int fd, uint32_t flags, weir_iova iova, uint64_t *len)
{
	struct wr_vfio_unmap_dma unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = iova,
		.size = *len,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_IOMMU_UNMAP_DMA, &unmap);

	*len = unmap.size;
	return wr_refusal(ret);
}

int wr_container_unmap(int fd, weir_iova iova, uint64_t len)
{
	uint64_t done = len;
	int ret = unmap(fd, 0, iova, &done);

	/* Success with nothing done is how the kernel says that nothing was mapped there. */
	return wr_unmap_answered(ret, iova, len, done);
}

/* Kernels before 5.12 take all there is in two halves: 2^64 bytes can't be said. */
int wr_container_unmap_all(int fd, bool at_once)
{
	const uint64_t half = 1ull << 63;
	uint64_t none = 0, lower = half, upper = half;
	int ret;

	if (at_once) {
		ret = unmap(fd, WR_VFIO_UNMAP_FLAG_ALL, 0, &none);
	} else {
		ret = unmap(fd, 0, 0, &lower);
		if (ret >= 0 && unmap(fd, 0, half, &upper) < 0)
			return wr_fail(-EIO, "unmapping all: the kernel unmapped what lies below "
				       "IOVA 0x%" PRIx64 " alone", half);
	}
	return ret < 0 ? wr_fail(ret, "unmapping all: %s", strerror(-ret)) : 0;
}

static int tell_vaddr(int fd, const struct wr_mapping *m, void *vaddr)
{
	struct wr_vfio_map_dma map = {
		.argsz = sizeof(map),
		.flags = WR_VFIO_MAP_VADDR,
		.vaddr = (uintptr_t)vaddr,
		.iova = m->iova,
		.size = m->len,
	};

	return wr_refusal(wr_sys->ioctl(fd, WR_VFIO_IOMMU_MAP_DMA, &map));
}

/* Documentation of VFIO_DMA_MAP_FLAG_VADDR in include/uapi/linux/vfio.h */
int wr_container_move(int fd, const struct wr_mapping *m, void *vaddr)
{
	uint64_t done = m->len;
	int ret = unmap(fd, WR_VFIO_UNMAP_FLAG_VADDR, m->iova, &done);

	if (ret >= 0) {
		ret = tell_vaddr(fd, m, vaddr);
		if (ret < 0 && tell_vaddr(fd, m, m->vaddr) < 0)
			return wr_fail(-EIO, "the mapping at IOVA 0x%" PRIx64 " has no address "
				       "for the kernel any more: %s", m->iova, strerror(-ret));
	}
	return ret < 0 ? wr_fail(ret, "telling the kernel where the memory of IOVA 0x%" PRIx64
				 " is now: %s", m->iova, strerror(-ret)) : 0;
}

static int dirty(int fd, struct wr_vfio_dirty *arg, const char *what)
{
	int ret = wr_sys->ioctl(fd, WR_VFIO_IOMMU_DIRTY_PAGES, arg);

	return ret < 0 ? wr_fail(ret, "%s dirty tracking: %s", what, strerror(-ret)) : 0;
}

int wr_container_dirty_start(int fd)
{
	struct wr_vfio_dirty arg = { .argsz = sizeof(arg), .flags = WR_VFIO_DIRTY_START };

	return dirty(fd, &arg, "starting");
}

int wr_container_dirty_stop(int fd)
{
	struct wr_vfio_dirty arg = { .argsz = sizeof(arg), .flags = WR_VFIO_DIRTY_STOP };

	return dirty(fd, &arg, "stopping");
}

int wr_container_dirty_read(int fd, const struct wr_mapping *m, uint64_t *bitmap)
{
	struct wr_vfio_dirty_get get = {
		.header = { .argsz = sizeof(get), .flags = WR_VFIO_DIRTY_GET },
		.iova = m->iova,
		.size = m->len,
		.bitmap = {
			.pgsize = wr_page_size(),
			.size = (m->len / wr_page_size() + 63) / 64 * 8,
			.data = (uintptr_t)bitmap,
		},
	};

	return dirty(fd, &get.header, "reading");
}
