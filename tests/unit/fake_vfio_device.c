/* SPDX-License-Identifier: MIT */
/* The devices of the fake kernel. */
#include <errno.h>
#include <string.h>

#include "fake_vfio.h"

static int region_info(struct wr_vfio_region_info *info)
{
	const struct wr_vfio_region_info *region;
	uint32_t argsz = info->argsz, index = info->index;

	if (argsz < sizeof(*info) || index >= 9)
		return -EINVAL;
	region = &fake.device.regions[index];
	/* Of VGA the kernel says so, where it isn't. */
	if (index == 8 && !region->size)
		return -EINVAL;
	*info = *region;
	info->argsz = argsz;
	info->index = index;
	if (index || !fake.device.chain_size)
		return 0;
	info->flags |= WR_VFIO_REGION_CAPS;
	if (argsz < sizeof(*info) + fake.device.chain_size) {
		info->argsz = (uint32_t)sizeof(*info) + fake.device.chain_size;
		return 0;
	}
	memcpy(info + 1, fake.device.chain, fake.device.chain_size);
	info->cap_offset = fake.device.chain_offset;
	return 0;
}

static int irq_info(struct wr_vfio_irq_info *info)
{
	uint32_t argsz = info->argsz, index = info->index;

	if (argsz < sizeof(*info) || index >= 5 || (index == 3 && !fake.device.irqs[3].count))
		return -EINVAL;
	*info = fake.device.irqs[index];
	info->argsz = argsz;
	info->index = index;
	return 0;
}

/* vfio_set_irqs_validate_and_prepare(), and of vfio_pci_intrs.c what a caller sees */
static int set_irqs(const struct wr_vfio_irq_set *set)
{
	bool eventfds = set->flags & WR_VFIO_IRQ_SET_EVENTFDS;
	size_t data = eventfds ? set->count * sizeof(int32_t) : 0;
	const int32_t *fds = (const int32_t *)(set + 1);
	uint32_t available;

	if (set->argsz < sizeof(*set) || set->index >= 5)
		return -EINVAL;
	available = fake.device.irqs[set->index].count;
	if (set->start >= available || set->count > available - set->start ||
	    set->argsz < sizeof(*set) + data || (eventfds && !set->count))
		return -EINVAL;
	if (eventfds && set->start + set->count > fake.device.vectors_free)
		return (int)fake.device.vectors_free;
	fake.device.last_set = *set;
	for (uint32_t i = 0; eventfds && i < set->count && i < 8; i++)
		fake.device.last_fds[i] = fds[i];
	return 0;
}

int fake_device_ioctl(unsigned long request, void *arg)
{
	struct wr_vfio_device_info *info = arg;
	uint32_t argsz;

	switch (request) {
	case WR_VFIO_DEVICE_GET_INFO:
		argsz = info->argsz;
		if (argsz < 16)
			return -EINVAL;
		memcpy(info, &fake.device.info, argsz < sizeof(*info) ? argsz : sizeof(*info));
		info->argsz = argsz;
		return 0;
	case WR_VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case WR_VFIO_DEVICE_GET_IRQ_INFO:
		return irq_info(arg);
	case WR_VFIO_DEVICE_SET_IRQS:
		return set_irqs(arg);
	case WR_VFIO_DEVICE_RESET:
		return fake.device.reset_error;
	default:
		return -ENOTTY;
	}
}

ssize_t fake_device_read(void *buf, size_t len)
{
	if (len > fake.device.most)
		len = fake.device.most;
	memcpy(buf, fake.device.bytes, len);
	return (ssize_t)len;
}

ssize_t fake_device_write(const void *buf, size_t len)
{
	if (len > fake.device.most)
		len = fake.device.most;
	memcpy(fake.device.bytes, buf, len);
	return (ssize_t)len;
}
