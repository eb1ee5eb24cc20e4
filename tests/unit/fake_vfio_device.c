/* SPDX-License-Identifier: MIT */
/* The devices of the fake kernel. They share one set of registers and interrupts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys.h"
#include "fake_vfio.h"

#define MEMORY_SIZE	(1 << 20)

/* ---- information ---- */

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

/* ---- interrupts, as in vfio_pci_intrs.c of Linux 6.12 ---- */

/* eventfd_ctx_fdget(): a hold on the eventfd that doesn't depend on the fd. */
static int hold_eventfd(int fd, int *hold)
{
	char path[32], target[32] = "";
	int copy = wr_sys_kernel.dup(fd);

	if (copy < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof(target) - 1) < 0 ||
	    strcmp(target, "anon_inode:[eventfd]")) {
		close(copy);
		return -EINVAL;
	}
	*hold = copy;
	return 0;
}

static void drop_eventfd(int *hold)
{
	if (*hold >= 0)
		close(*hold);
	*hold = -1;
}

static bool signal_eventfd(int hold)
{
	const uint64_t one = 1;

	return hold >= 0 && write(hold, &one, sizeof(one)) == sizeof(one);
}

/* vfio_pci_set_ctx_trigger_single() */
static int set_line(int *hold, const struct wr_vfio_irq_set *set, uint32_t data, const int32_t *fds)
{
	int next = -1, ret;

	if (data == WR_VFIO_IRQ_SET_NONE) {
		if (*hold < 0)
			return -EINVAL;
		if (set->count)
			signal_eventfd(*hold);
		else
			drop_eventfd(hold);
		return 0;
	}
	if (!set->count || fds[0] < -1)
		return -EINVAL;
	ret = fds[0] >= 0 ? hold_eventfd(fds[0], &next) : 0;
	if (ret)
		return ret;
	drop_eventfd(hold);
	*hold = next;
	return 0;
}

static void disable(void)
{
	for (unsigned int i = 0; i < FAKE_VECTORS; i++)
		drop_eventfd(&fake.device.signals[i]);
	drop_eventfd(&fake.device.unmask);
	fake.device.allocated = 0;
	fake.device.active = NO_IRQ;
}

/* vfio_pci_set_intx_trigger(): the eventfd is looked at first. */
static int set_intx(const struct wr_vfio_irq_set *set, uint32_t data, const int32_t *fds)
{
	struct fake_device *d = &fake.device;
	int next = -1, ret;

	if (d->active == 0 && !set->count && data == WR_VFIO_IRQ_SET_NONE) {
		disable();
		return 0;
	}
	if ((d->active != 0 && d->active != NO_IRQ) || set->start || set->count != 1)
		return -EINVAL;
	if (data == WR_VFIO_IRQ_SET_NONE) {
		if (d->active != 0)
			return -EINVAL;
		signal_eventfd(d->signals[0]);
		return 0;
	}
	ret = fds[0] >= 0 ? hold_eventfd(fds[0], &next) : 0;
	if (ret)
		return ret;
	drop_eventfd(&d->signals[0]);
	d->signals[0] = next;
	d->active = 0;
	d->handlers[0]++;
	return 0;
}

/* vfio_pci_set_intx_unmask(), vfio_pci_set_intx_mask() */
static int mask_intx(const struct wr_vfio_irq_set *set, uint32_t data, const int32_t *fds,
		     bool mask)
{
	struct fake_device *d = &fake.device;

	if (d->active != 0 || set->start || set->count != 1)
		return -EINVAL;
	if (data == WR_VFIO_IRQ_SET_NONE) {
		d->masked = mask;
		return 0;
	}
	if (mask)
		return -ENOTTY;
	if (fds[0] < 0) {
		drop_eventfd(&d->unmask);
		return 0;
	}
	return d->unmask >= 0 ? -EBUSY : hold_eventfd(fds[0], &d->unmask);
}

/* vfio_msi_set_vector_signal() */
static int set_vector(unsigned int vector, int32_t fd)
{
	struct fake_device *d = &fake.device;
	uint32_t bit = 1u << vector;

	if (d->signals[vector] >= 0)
		d->handlers[vector]++;
	drop_eventfd(&d->signals[vector]);
	if (fd < 0)
		return 0;
	if (!(d->allocated & bit)) {
		if (d->active != 2 || d->irqs[2].flags & WR_VFIO_IRQ_NORESIZE)
			return -EINVAL;
		if (vector >= d->vectors_free)
			return -ENOSPC;
		d->allocated |= bit;
	}
	if (d->bad_vectors & bit && d->bad_times) {
		d->bad_times--;
		return -ENOMEM;
	}
	d->handlers[vector]++;
	return hold_eventfd(fd, &d->signals[vector]);
}

/* vfio_msi_set_block(): with the one that failed go all before it. */
static int set_block(const struct wr_vfio_irq_set *set, const int32_t *fds)
{
	for (unsigned int i = 0; i < set->count; i++) {
		int ret = set_vector(set->start + i, fds[i]);

		if (!ret)
			continue;
		for (unsigned int j = 0; j <= i; j++)
			set_vector(set->start + j, -1);
		return ret;
	}
	return 0;
}

/* vfio_pci_set_msi_trigger() */
static int set_msi(const struct wr_vfio_irq_set *set, uint32_t data, const int32_t *fds)
{
	struct fake_device *d = &fake.device;
	uint32_t end = set->start + set->count;
	int ret;

	if (d->active == set->index && !set->count && data == WR_VFIO_IRQ_SET_NONE) {
		disable();
		return 0;
	}
	if (d->active != set->index && d->active != NO_IRQ)
		return -EINVAL;
	if (data == WR_VFIO_IRQ_SET_NONE) {
		if (d->active != set->index)
			return -EINVAL;
		for (unsigned int i = set->start; i < end; i++)
			signal_eventfd(d->signals[i]);
		return 0;
	}
	if (d->active == set->index)
		return set_block(set, fds);
	if (end > d->vectors_free)
		return (int)d->vectors_free;
	d->active = set->index;
	d->msi_lost = false;
	d->allocated = (1u << end) - 1;
	ret = set_block(set, fds);
	if (ret)
		disable();
	return ret;
}

/* vfio_set_irqs_validate_and_prepare(), then vfio_pci_set_irqs_ioctl() */
static int set_irqs(const struct wr_vfio_irq_set *set)
{
	const uint32_t all = (1u << 6) - 1, data = set->flags & 7, action = set->flags & 0x38;
	const int32_t *fds = (const int32_t *)(set + 1);
	uint32_t available;

	if (set->argsz < sizeof(*set) || set->index >= 5 || set->flags & ~all ||
	    set->count >= UINT32_MAX - set->start)
		return -EINVAL;
	available = fake.device.irqs[set->index].count;
	if (set->start >= available || set->start + set->count > available)
		return -EINVAL;
	/* Booleans, 2, are more than weir uses. */
	if (data != WR_VFIO_IRQ_SET_NONE && data != WR_VFIO_IRQ_SET_EVENTFDS)
		return -EINVAL;
	if (data == WR_VFIO_IRQ_SET_EVENTFDS &&
	    (!set->count || set->argsz - sizeof(*set) < set->count * sizeof(*fds)))
		return -EINVAL;
	fake.device.last_set = *set;
	if (set->index == 0 && action == WR_VFIO_IRQ_SET_MASK)
		return mask_intx(set, data, fds, true);
	if (set->index == 0 && action == WR_VFIO_IRQ_SET_UNMASK)
		return mask_intx(set, data, fds, false);
	if (action != WR_VFIO_IRQ_SET_TRIGGER)
		return -ENOTTY;
	if (set->index == 0)
		return set_intx(set, data, fds);
	if (set->index <= 2)
		return set_msi(set, data, fds);
	return set_line(&fake.device.line_signals[set->index - 3], set, data, fds);
}

bool fake_interrupt(unsigned int irq, unsigned int vector)
{
	if (irq >= 3)
		return signal_eventfd(fake.device.line_signals[irq - 3]);
	return fake.device.active == irq && (!irq || !fake.device.msi_lost) &&
	       signal_eventfd(fake.device.signals[vector]);
}

/* ---- registers ---- */

/* vfio_pci_ioeventfd(); BAR 5 has the MSI-X table. */
static int ioeventfd(const struct wr_vfio_ioeventfd *io)
{
	struct fake_device *d = &fake.device;
	const struct wr_vfio_region_info *r;
	unsigned int bar = 0, place = FAKE_IOEVENTFDS;
	int hold, ret;

	if (io->argsz < 28 || io->fd < -1 ||
	    (io->flags != 1 && io->flags != 2 && io->flags != 4 && io->flags != 8))
		return -EINVAL;
	while (bar < 6 && (io->offset < d->regions[bar].offset ||
			   io->offset - d->regions[bar].offset >= d->regions[bar].size))
		bar++;
	r = &d->regions[bar];
	if (bar >= 5 || io->offset - r->offset + io->flags > r->size || io->flags == 8)
		return -EINVAL;
	for (unsigned int i = 0; i < FAKE_IOEVENTFDS; i++) {
		if (!d->ioeventfds[i].width) {
			place = i;
		} else if (d->ioeventfds[i].offset == io->offset &&
			   d->ioeventfds[i].width == io->flags &&
			   d->ioeventfds[i].data == io->data) {
			if (io->fd >= 0)
				return -EEXIST;
			d->ioeventfds[i].width = 0;
			return 0;
		}
	}
	if (io->fd < 0)
		return -ENODEV;
	if (place == FAKE_IOEVENTFDS)
		return -ENOSPC;
	ret = hold_eventfd(io->fd, &hold);
	if (ret)
		return ret;
	/* Nothing here listens to it. */
	drop_eventfd(&hold);
	d->ioeventfds[place].offset = io->offset;
	d->ioeventfds[place].data = io->data;
	d->ioeventfds[place].width = io->flags;
	return 0;
}

/* vfio_pci_ioctl_get_pci_hot_reset_info() */
static int hot_reset_info(struct wr_vfio_hot_reset_info *info)
{
	struct fake_device *d = &fake.device;

	if (info->argsz < sizeof(*info))
		return -EINVAL;
	if (!d->n_dependents)
		return -ENODEV;
	if (d->dependents_growth) {
		d->dependents_growth--;
		d->n_dependents++;
	}
	info->flags = 0;
	info->count = d->n_dependents;
	if (info->argsz < sizeof(*info) + d->n_dependents * sizeof(info->devices[0]))
		return -ENOSPC;
	memcpy(info->devices, d->dependents, d->n_dependents * sizeof(info->devices[0]));
	if (d->by_node)
		info->flags = WR_VFIO_HOT_RESET_DEV_ID;
	return 0;
}

/* vfio_pci_ioctl_pci_hot_reset(), but which groups they are */
static int hot_reset(const struct wr_vfio_hot_reset *reset)
{
	struct fake_device *d = &fake.device;

	if (reset->argsz < sizeof(*reset) + reset->count * sizeof(int32_t) || reset->flags ||
	    !reset->count != d->by_node || reset->count > d->n_dependents)
		return -EINVAL;
	d->reset_groups = reset->count;
	if (!d->hot_reset_error)
		d->hot_resets++;
	return d->hot_reset_error;
}

/* vfio_pci_core_feature_dma_buf(), for one range. What it makes is a file, known by its name. */
static int export(const struct wr_vfio_dma_buf *get, uint32_t size)
{
	struct fake_device *d = &fake.device;
	const struct wr_vfio_dma_range *range = (const void *)(get + 1);
	const struct wr_vfio_region_info *r;
	struct stat st;
	int fd;

	if (size < sizeof(*get) + sizeof(*range) || get->nr_ranges != 1 || get->flags)
		return -EINVAL;
	if (get->region_index > 5)
		return -ENODEV;
	r = &d->regions[get->region_index];
	if (!range->length || (range->offset | range->length) & (wr_page_size() - 1) ||
	    range->offset > r->size || range->length > r->size - range->offset)
		return -EINVAL;
	fd = memfd_create("dma-buf", get->open_flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd < 0)
		return -errno;
	d->exported = *get;
	d->exported_range = *range;
	d->exported_file = fstat(fd, &st) ? 0 : st.st_ino;
	d->exports++;
	return fd;
}

bool fake_is_dma_buf(int fd)
{
	char path[32], target[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 &&
	       !strncmp(target, "/memfd:dma-buf", 14);
}

/* vfio_ioctl_device_feature(); of the features themselves low power and dma-bufs do something */
static int feature(const struct wr_vfio_feature *f)
{
	struct fake_device *d = &fake.device;
	uint32_t id = f->flags & 0xffff, need = id == WR_VFIO_FEATURE_LOW_POWER_WAKEUP ? 8 : 0;
	bool get = id == 1 || id == 11, on = id != WR_VFIO_FEATURE_LOW_POWER_EXIT;
	uint32_t op = get ? WR_VFIO_FEATURE_GET : WR_VFIO_FEATURE_SET;

	if (f->argsz < sizeof(*f) || f->flags >> 19)
		return -EINVAL;
	if (id >= 32 || !(d->features >> id & 1))
		return -ENOTTY;
	if (id == WR_VFIO_FEATURE_DMA_BUF && d->no_exports)
		return -EOPNOTSUPP;
	if (!(f->flags & op))
		return -EINVAL;
	if (f->flags & WR_VFIO_FEATURE_PROBE)
		return 0;
	if (id == WR_VFIO_FEATURE_DMA_BUF)
		return export((const void *)(f + 1), f->argsz - (uint32_t)sizeof(*f));
	if (f->argsz < sizeof(*f) + need || (on && d->low_power))
		return -EINVAL;
	d->low_power = on;
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
	case WR_VFIO_DEVICE_IOEVENTFD:
		return ioeventfd(arg);
	case WR_VFIO_DEVICE_HOT_RESET_INFO:
		return hot_reset_info(arg);
	case WR_VFIO_DEVICE_HOT_RESET:
		return hot_reset(arg);
	case WR_VFIO_DEVICE_FEATURE:
		return feature(arg);
	default:
		return -ENOTTY;
	}
}

static bool is_config(off_t offset)
{
	return (uint64_t)offset - fake.device.regions[7].offset < fake.device.regions[7].size;
}

ssize_t fake_device_read(void *buf, size_t len, off_t offset)
{
	fake.device.accesses++;
	if (fake.device.access_error)
		return fake.device.access_error;
	if (len > fake.device.most)
		len = fake.device.most;
	if (fake.eeh.asserted && is_config(offset))
		return -ENODEV;
	if (fake_eeh_silent() || (fake.eeh.config_dead && is_config(offset))) {
		memset(buf, 0xff, len);
		return (ssize_t)len;
	}
	return wr_sys_kernel.pread(fake.device.memory, buf, len, offset);
}

ssize_t fake_device_write(const void *buf, size_t len, off_t offset)
{
	fake.device.accesses++;
	if (fake.device.access_error)
		return fake.device.access_error;
	if (len > fake.device.most)
		len = fake.device.most;
	if (fake.eeh.asserted && is_config(offset))
		return -ENODEV;
	if (fake_eeh_silent())
		return (ssize_t)len;
	return wr_sys_kernel.pwrite(fake.device.memory, buf, len, offset);
}

/* vfio_pci_core_mmap() */
int fake_device_mmap(void *hint, size_t len, int prot, int flags, off_t offset, void **out)
{
	const size_t page = wr_page_size();

	len = (len + page - 1) & ~(page - 1);
	for (unsigned int i = 0; i < 9; i++) {
		const struct wr_vfio_region_info *r = &fake.device.regions[i];
		uint64_t end = (r->size + page - 1) & ~(page - 1);
		uint64_t at = (uint64_t)offset - r->offset;

		if ((uint64_t)offset < r->offset || at >= end)
			continue;
		if (!(r->flags & WR_VFIO_REGION_MMAP) || !(flags & MAP_SHARED) || len > end - at)
			return -EINVAL;
		return wr_sys_kernel.mmap(hint, len, prot, flags, fake.device.memory, offset, out);
	}
	return -EINVAL;
}

/* ---- sysfs ---- */

/* The group whose device's folder @path is or is in; what comes after the folder. */
static const struct fake_group *in_sysfs(const char *path, const char **rest)
{
	static const char devices[] = "/sys/bus/pci/devices/";

	if (strncmp(path, devices, sizeof(devices) - 1))
		return NULL;
	path += sizeof(devices) - 1;
	for (unsigned int i = 0; i < FAKE_GROUPS; i++) {
		size_t len = strlen(fake.groups[i].device);

		/* Two functions of a slot. */
		if (strncmp(path, fake.groups[i].device, len - 1) ||
		    (path[len - 1] != '0' && path[len - 1] != '1'))
			continue;
		*rest = path + len;
		if (!**rest || **rest == '/')
			return &fake.groups[i];
	}
	return NULL;
}

int fake_access(const char *path)
{
	const char *rest;

	if (fake.spapr.exists && !strcmp(path, "/sys/firmware/opal"))
		return fake.spapr.pseries ? -ENOENT : 0;
	if (!in_sysfs(path, &rest))
		return wr_sys_kernel.access(path);
	return *rest ? -ENOENT : 0;
}

/* The function's own VFIO node, as sysfs tells of it. */
static bool its_node(const char *path, const char **rest, const struct fake_group **g,
		     unsigned int *function)
{
	*g = in_sysfs(path, rest);
	if (!*g || strncmp(*rest, "/vfio-dev", 9) || fake.iommufd.no_nodes)
		return false;
	*function = (unsigned int)((*rest)[-1] - '0');
	*rest += 9;
	return true;
}

int fake_find(const char *folder, const char *prefix, char *name, size_t size)
{
	const struct fake_group *g;
	unsigned int function;
	const char *rest;

	if (!its_node(folder, &rest, &g, &function))
		return wr_sys_kernel.find(folder, prefix, name, size);
	snprintf(name, size, "vfio%u", (unsigned int)(g - fake.groups) * 2 + function);
	return 0;
}

int fake_open_sysfs(const char *path)
{
	const struct fake_group *g;
	unsigned int function;
	const char *rest;
	dev_t number;
	int fd;

	if (!its_node(path, &rest, &g, &function) || fake.iommufd.no_dev)
		return -ENOENT;
	number = fake_iommufd_number(g, function + fake.iommufd.other_node);
	fd = memfd_create("dev", MFD_CLOEXEC);
	if (fd >= 0 && dprintf(fd, "%u:%u\n", major(number), minor(number)) < 0)
		perror("sysfs of the fake device");
	return fd;
}

ssize_t fake_readlink(const char *path, char *buf, size_t size)
{
	const char *rest;
	const struct fake_group *g = in_sysfs(path, &rest);

	if (!g)
		return wr_sys_kernel.readlink(path, buf, size);
	if (!strcmp(rest, "/driver"))
		return snprintf(buf, size, "../../../bus/pci/drivers/vfio-pci");
	if (!strcmp(rest, "/iommu_group"))
		return snprintf(buf, size, "../../../kernel/iommu_groups/%d",
				FAKE_GROUP((int)(g - fake.groups)));
	return -ENOENT;
}

/* ---- its life ---- */

void fake_device_closed(void)
{
	disable();
	drop_eventfd(&fake.device.line_signals[0]);
	drop_eventfd(&fake.device.line_signals[1]);
	memset(fake.device.ioeventfds, 0, sizeof(fake.device.ioeventfds));
}

void fake_device_start(void)
{
	struct fake_device *d = &fake.device;

	for (unsigned int i = 0; i < FAKE_VECTORS; i++)
		d->signals[i] = -1;
	d->line_signals[0] = d->line_signals[1] = d->unmask = -1;
	d->active = NO_IRQ;
	d->memory = memfd_create("registers", MFD_CLOEXEC);
	if (d->memory >= 0 && ftruncate(d->memory, MEMORY_SIZE) < 0)
		perror("registers of the fake device");
}

void fake_device_stop(void)
{
	close(fake.device.memory);
}
