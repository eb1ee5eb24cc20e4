/* SPDX-License-Identifier: MIT */
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

int wr_vdev_region(int fd, unsigned int region, struct wr_vfio_region_info *info, bool *sparse)
{
	const struct wr_vfio_region_info head = { .index = region };
	uint32_t first, room;
	void *all;
	int size = wr_vfio_info(fd, WR_VFIO_DEVICE_GET_REGION_INFO, &head, sizeof(head), &all);

	*sparse = false;
	if (size < 0)
		return wr_fail(size, "reading information on region %u: %s", region,
			       strerror(-size));
	memcpy(info, all, sizeof(*info));
	first = info->flags & WR_VFIO_REGION_CAPS ? info->cap_offset : 0;
	*sparse = wr_vfio_cap(all, (uint32_t)size, first, WR_VFIO_REGION_CAP_SPARSE_MMAP,
			      sizeof(struct wr_vfio_cap), &room);
	free(all);
	return 0;
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

int wr_vdev_reset(int fd)
{
	int ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_RESET, NULL);

	if (ret == -EAGAIN)
		return wr_fail(ret, "the kernel is busy resetting it; try again");
	return ret < 0 ? wr_fail(ret, "reset: %s", strerror(-ret)) : 0;
}
