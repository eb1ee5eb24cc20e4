/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/info.h"
#include "kernel/vdev.h"

int wr_vdev_info(int fd, struct wr_vfio_device_info *info)
{
	int ret;

	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_GET_INFO, info);
	return ret < 0 ? wr_fail(ret, "reading device information: %s", strerror(-ret)) : 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct weir_area *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Whether areas in order can be what they are said to be: whole pages of the region, apart. */
static bool make_sense(const struct weir_area *areas, unsigned int n, uint64_t size)
{
	uint64_t page = wr_page_size(), end = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct weir_area *a = &areas[i];

		if (a->offset % page || a->len % page || !a->len || a->offset < end ||
		    a->offset > size || a->len > size - a->offset)
			return false;
		end = a->offset + a->len;
	}
	return true;
}

/* The areas of a capability with @room bytes, in order. A list that can't be true is no list. */
static int sparse_areas(const struct wr_vfio_cap_sparse *cap, uint32_t room,
			struct wr_vdev_region *region)
{
	size_t n = room < sizeof(*cap) ? SIZE_MAX : cap->nr_areas;

	if (!n)
		return 0;
	if (n <= (room - sizeof(*cap)) / sizeof(cap->areas[0])) {
		region->areas = calloc(n, sizeof(*region->areas));
		if (!region->areas)
			return -ENOMEM;
		for (size_t i = 0; i < n; i++)
			region->areas[i] = (struct weir_area){ cap->areas[i].offset,
							       cap->areas[i].size };
		qsort(region->areas, n, sizeof(*region->areas), by_offset);
		region->n_areas = (unsigned int)n;
		if (make_sense(region->areas, region->n_areas, region->size))
			return 0;
		free(region->areas);
		region->areas = NULL;
		region->n_areas = 0;
	}
	wr_log(WEIR_LOG_WARN, "the kernel's list of what can be mapped of a region makes no sense; "
	       "the region is reached by calls");
	return 0;
}

static int mappable_areas(const void *all, uint32_t size, uint32_t first,
			  struct wr_vdev_region *region)
{
	const struct wr_vfio_cap_sparse *cap;
	uint32_t room;

	if (!(region->flags & WR_VFIO_REGION_MMAP) || !region->size)
		return 0;
	cap = wr_vfio_cap(all, size, first, WR_VFIO_REGION_CAP_SPARSE_MMAP, sizeof(cap->header),
			  &room);
	if (cap)
		return sparse_areas(cap, room, region);
	region->areas = malloc(sizeof(*region->areas));
	if (!region->areas)
		return -ENOMEM;
	region->areas[0] = (struct weir_area){ 0, region->size };
	region->n_areas = 1;
	return 0;
}

int wr_vdev_region(int fd, unsigned int index, struct wr_vdev_region *region)
{
	const struct wr_vfio_region_info head = { .index = index };
	const struct wr_vfio_region_info *info;
	uint32_t first, room;
	void *all;
	int ret, size = wr_vfio_info(fd, WR_VFIO_DEVICE_GET_REGION_INFO, &head, sizeof(head), &all);

	*region = (struct wr_vdev_region){ 0 };
	if (size < 0)
		return wr_fail(size, "reading information on region %u: %s", index,
			       strerror(-size));
	info = all;
	/* What is added to an offset must stay an off_t. */
	if (info->offset > INT64_MAX || info->size > INT64_MAX - info->offset) {
		free(all);
		return wr_fail(-EOVERFLOW, "the kernel says that region %u goes beyond what a file "
			       "can have", index);
	}
	region->offset = info->offset;
	region->size = info->size;
	region->flags = info->flags;
	first = info->flags & WR_VFIO_REGION_CAPS ? info->cap_offset : 0;
	region->msix_mappable = wr_vfio_cap(all, (uint32_t)size, first,
					    WR_VFIO_REGION_CAP_MSIX_MAPPABLE,
					    sizeof(struct wr_vfio_cap), &room);
	ret = mappable_areas(all, (uint32_t)size, first, region);
	free(all);
	return ret ? wr_fail(ret, "no memory for the areas of region %u", index) : 0;
}

int wr_vdev_irq(int fd, unsigned int irq, struct wr_vfio_irq_info *info)
{
	int ret;

	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = irq;
	ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_GET_IRQ_INFO, info);
	/* Not a PCI Express device: it hasn't got that line. */
	if (ret == -EINVAL)
		return 0;
	return ret < 0 ? wr_fail(ret, "reading information on interrupts %u: %s", irq,
				 strerror(-ret)) : 0;
}

static int moved(ssize_t ret, size_t len, const char *what)
{
	if (ret == -EIO)
		return wr_fail(-EIO, "%s registers: the device doesn't answer: its memory space is "
			       "off, or it is in a low-power state that it can't leave", what);
	if (ret < 0)
		return wr_fail((int)ret, "%s registers: %s", what, strerror((int)-ret));
	if ((size_t)ret != len)
		return wr_fail(-EIO, "%s registers: %zd of %zu bytes", what, ret, len);
	return 0;
}

int wr_vdev_read(int fd, uint64_t offset, void *buf, size_t len)
{
	return moved(wr_sys->pread(fd, buf, len, (off_t)offset), len, "reading");
}

int wr_vdev_write(int fd, uint64_t offset, const void *buf, size_t len)
{
	return moved(wr_sys->pwrite(fd, buf, len, (off_t)offset), len, "writing");
}

int wr_check_eventfd(int fd)
{
	static const char link[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(link)];
	ssize_t len;

	if (fd < 0)
		return wr_fail(-EINVAL, "%d is no fd", fd);
	if (fcntl(fd, F_GETFD) < 0)
		return wr_fail(-EBADF, "fd %d isn't open", fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = wr_sys->readlink(path, target, sizeof(target));
	/* Without /proc it's left to the kernel to find out. */
	if (len >= 0 && ((size_t)len != sizeof(link) - 1 || memcmp(target, link, sizeof(link) - 1)))
		return wr_fail(-EINVAL, "fd %d is no eventfd", fd);
	return 0;
}

/* VFIO_DEVICE_SET_IRQS with eventfds; returns what the kernel says, which can be positive. */
static int set_eventfds(int fd, unsigned int irq, uint32_t action, unsigned int first,
			unsigned int count, const int *fds)
{
	size_t size = sizeof(struct wr_vfio_irq_set) + count * sizeof(int32_t);
	struct wr_vfio_irq_set *set = calloc(1, size);
	int ret;

	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)size;
	set->flags = WR_VFIO_IRQ_SET_EVENTFDS | action;
	set->index = irq;
	set->start = first;
	set->count = count;
	memcpy(set + 1, fds, count * sizeof(int32_t));
	ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return ret;
}

int wr_vdev_irq_set(int fd, unsigned int irq, unsigned int first, unsigned int count,
		    const int *fds)
{
	int ret = set_eventfds(fd, irq, WR_VFIO_IRQ_SET_TRIGGER, first, count, fds);

	if (ret > 0)
		return wr_fail(-ENOSPC, "enabling %u interrupt vectors: the host has %d to give",
			       first + count, ret);
	return ret < 0 ? wr_fail(ret, "setting up vectors %u to %u: %s", first,
				 first + count - 1, strerror(-ret)) : 0;
}

int wr_vdev_irq_unmask_fd(int fd, unsigned int irq, unsigned int vector, int eventfd)
{
	int ret = set_eventfds(fd, irq, WR_VFIO_IRQ_SET_UNMASK, vector, 1, &eventfd);

	if (ret == -EBUSY)
		return wr_fail(ret, "an eventfd unmasks it already: remove that first, by -1");
	return ret < 0 ? wr_fail(ret, "having an eventfd unmask it: %s", strerror(-ret)) : 0;
}

static int act(int fd, unsigned int irq, unsigned int start, unsigned int count, uint32_t action,
	       const char *what)
{
	struct wr_vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = WR_VFIO_IRQ_SET_NONE | action,
		.index = irq,
		.start = start,
		.count = count,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_SET_IRQS, &set);

	return ret < 0 ? wr_fail(ret, "%s interrupts: %s", what, strerror(-ret)) : 0;
}

int wr_vdev_irq_disable(int fd, unsigned int irq)
{
	return act(fd, irq, 0, 0, WR_VFIO_IRQ_SET_TRIGGER, "disabling");
}

int wr_vdev_irq_act(int fd, unsigned int irq, unsigned int vector, uint32_t action)
{
	const char *what = action == WR_VFIO_IRQ_SET_MASK ? "masking" :
			   action == WR_VFIO_IRQ_SET_UNMASK ? "unmasking" : "triggering";

	return act(fd, irq, vector, 1, action, what);
}

int wr_vdev_ioeventfd(int fd, uint64_t offset, unsigned int width, uint64_t value, int eventfd)
{
	struct wr_vfio_ioeventfd io = {
		.argsz = sizeof(io),
		.flags = width,
		.offset = offset,
		.data = value,
		.fd = eventfd,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_IOEVENTFD, &io);

	switch (ret) {
	case -EINVAL:
		return wr_fail(ret, "the kernel refuses: it takes registers of 1, 2 and 4 bytes, "
			       "of 8 on some machines, that aren't in the MSI-X table");
	case -EEXIST:
		return wr_fail(ret, "an eventfd writes this value there already");
	case -ENODEV:
		return wr_fail(ret, "there is no eventfd that writes this value there");
	case -ENOSPC:
		return wr_fail(ret, "the device has as many of them as the kernel allows, 1000: "
			       "remove one first");
	default:
		return ret < 0 ? wr_fail(ret, "%s", strerror(-ret)) : 0;
	}
}

int wr_vdev_reset(int fd)
{
	int ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_RESET, NULL);

	if (ret == -EAGAIN)
		return wr_fail(ret, "the kernel is busy resetting it; try again");
	return ret < 0 ? wr_fail(ret, "reset: %s", strerror(-ret)) : 0;
}

/* vfio_pci_ioctl_get_pci_hot_reset_info(): what doesn't fit is counted, with -ENOSPC */
int wr_vdev_hot_reset_info(int fd, struct wr_vfio_dependent **out, uint32_t *flags)
{
	struct wr_vfio_hot_reset_info *info = NULL;
	size_t count = 0, size;
	int ret;

	do {
		struct wr_vfio_hot_reset_info *bigger;

		size = sizeof(*info) + count * sizeof(info->devices[0]);
		bigger = realloc(info, size);
		if (!bigger) {
			free(info);
			return wr_fail(-ENOMEM, "no memory for %zu functions", count);
		}
		info = bigger;
		*info = (struct wr_vfio_hot_reset_info){ .argsz = (uint32_t)size };
		ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_HOT_RESET_INFO, info);
		/* More were plugged in, between two calls or in the middle of one. */
		if (ret == -EAGAIN && info->count > count)
			ret = -ENOSPC;
		if (info->count <= count && ret == -ENOSPC)
			ret = -EIO;
		if (ret == -ENOSPC)
			count = info->count;
	} while (ret == -ENOSPC && count <= UINT16_MAX + 1u);
	if (!ret && info->count <= count) {
		count = info->count;
		*flags = info->flags;
		memmove(info, info->devices, count * sizeof(info->devices[0]));
		*out = (struct wr_vfio_dependent *)(void *)info;
		return (int)count;
	}
	free(info);
	if (ret == -ENODEV)
		return wr_fail(-ENOTSUP, "it can't be reset with its bus or slot: it sits on a "
			       "root bus, or its port can't do that");
	ret = ret < 0 ? ret : -EIO;
	return wr_fail(ret, "asking what a hot reset would reset: %s", strerror(-ret));
}

int wr_vdev_hot_reset(int fd, const int *groups, unsigned int n)
{
	size_t size = sizeof(struct wr_vfio_hot_reset) + n * sizeof(int32_t);
	struct wr_vfio_hot_reset *reset = calloc(1, size);
	int ret;

	if (!reset)
		return wr_fail(-ENOMEM, "no memory for %u groups", n);
	reset->argsz = (uint32_t)size;
	reset->count = n;
	memcpy(reset->groups, groups, n * sizeof(int32_t));
	ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_HOT_RESET, reset);
	free(reset);
	switch (ret) {
	case -EBUSY:
	case -EAGAIN:
		return wr_fail(ret, "the kernel is busy with one of the functions; try again");
	case -EINVAL:
		return wr_fail(ret, "the kernel refuses a hot reset: a function that it would "
			       "reset isn't bound to vfio-pci, or was plugged in meanwhile");
	/* pci_bridge_wait_for_secondary_bus(): no link, or no answer */
	case -ENOTTY:
		return wr_fail(-EIO, "hot reset: the functions didn't come back after it (see the "
			       "kernel's log)");
	default:
		return ret < 0 ? wr_fail(ret, "hot reset: %s", strerror(-ret)) : 0;
	}
}

int wr_vdev_feature(int fd, uint32_t flags, const void *data, size_t len)
{
	struct {
		struct wr_vfio_feature head;
		_Alignas(8) unsigned char data[64];
	} feature = { .head = { .argsz = (uint32_t)(sizeof(feature.head) + len), .flags = flags } };

	if (len)
		memcpy(feature.data, data, len);
	return wr_sys->ioctl(fd, WR_VFIO_DEVICE_FEATURE, &feature);
}

int wr_vdev_export(int fd, unsigned int region, uint64_t offset, uint64_t len)
{
	const struct {
		struct wr_vfio_dma_buf head;
		struct wr_vfio_dma_range range;
	} get = {
		.head = {
			.region_index = region,
			.open_flags = O_CLOEXEC | O_RDWR,
			.nr_ranges = 1,
		},
		.range = { offset, len },
	};
	int ret = wr_vdev_feature(fd, WR_VFIO_FEATURE_DMA_BUF | WR_VFIO_FEATURE_GET, &get,
				  sizeof(get));

	switch (ret) {
	case -ENOTTY:
	case -EOPNOTSUPP:
	case -EINVAL:		/* before Linux 5.7, or where PCI_P2PDMA has nothing for the BAR */
		return wr_fail(-ENOTSUP, "the kernel makes no dma-buf of it: %s", strerror(-ret));
	default:
		return ret < 0 ? wr_fail(ret, "making a dma-buf of it: %s", strerror(-ret)) : ret;
	}
}
