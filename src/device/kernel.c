/* SPDX-License-Identifier: MIT */
/* The transport to real hardware: a VFIO device fd, which the domain has opened. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/file.h"
#include "base/sys.h"
#include "device/device.h"
#include "ioas/iommu.h"
#include "kernel/container.h"
#include "kernel/group.h"
#include "kernel/vdev.h"
#include "pci/config.h"
#include "pci/sysfs.h"

struct kernel {
	struct weir_iommu *iommu;
	int fd;				/* the endpoint's */
	bool resets;
	struct wr_vdev_region regions[WEIR_REGIONS];
};

static const char lost[] = "it can be used all the same, but then its DMA reaches all of this "
			   "machine's memory, by a bug of its driver as well";

/* It has no IOMMU group, and gets one from VFIO when it is bound, if that may be. */
static int no_group(const char *addr)
{
	char on[8];
	int ret = wr_read_text(WR_NOIOMMU_SWITCH, on, sizeof(on));

	if (ret < 0)
		return wr_fail(-ENODEV, "%s: it is in no IOMMU group: this machine's IOMMU is off "
			       "or missing (intel_iommu=on, firmware settings); without one it "
			       "can't be used: there is no %s, so that vfio isn't loaded, or built "
			       "without CONFIG_VFIO_NOIOMMU", addr, WR_NOIOMMU_SWITCH);
	return wr_fail(-ENODEV, "%s: it is in no IOMMU group: this machine's IOMMU is off or "
		       "missing (intel_iommu=on, firmware settings); %s: %sbind it to vfio-pci "
		       "again, and consent (--unsafe-noiommu, weir_iommu_opts.unsafe_noiommu)",
		       addr, lost, *on == 'Y' ? "" : "write 1 to " WR_NOIOMMU_SWITCH ", ");
}

/* The environment can choose among interfaces; this is not for it to decide. */
static int check_consent(const struct weir_iommu *iommu, const char *addr,
			 const struct wr_group *group)
{
	if (iommu->unsafe_noiommu || !group->noiommu)
		return 0;
	return wr_fail(-EPERM, "%s: no IOMMU is in front of it; %s: consent to that by "
		       "--unsafe-noiommu, in a program by weir_iommu_opts.unsafe_noiommu", addr,
		       lost);
}

/* The number of the function's IOMMU group, and that it is in VFIO's hands. */
static int find_group(const char *addr, int *group)
{
	char driver[WR_PCI_NAME_MAX], number[WR_PCI_NAME_MAX] = "", *end;
	int ret = wr_pci_exists("", addr);

	if (ret)
		return ret;
	/* Where there is an IOMMU, binding may give it one. */
	if (wr_pci_link("", addr, "iommu_group", number) && !wr_pci_any_iommu(""))
		return no_group(addr);
	if (wr_pci_link("", addr, "driver", driver))
		return wr_fail(-ENODEV, "%s: no driver is bound to it: bind it to vfio-pci first "
			       "('weir info %s' shows how)", addr, addr);
	if (wr_pci_role("", addr, driver) != WEIR_ROLE_VFIO)
		return wr_fail(-ENODEV, "%s: it is bound to %s: bind it to vfio-pci first "
			       "('weir info %s' shows how)", addr, driver, addr);
	if (!*number)
		return no_group(addr);
	*group = (int)strtol(number, &end, 10);
	if (*end)
		return wr_fail(-ENODEV, "%s: its IOMMU group has no number but a name, %s", addr,
			       number);
	return 0;
}

static int kernel_prepare(struct weir_device *dev, struct weir_iommu *iommu)
{
	struct kernel *k;
	int number = -1, ret = find_group(dev->name, &number);

	if (ret)
		return ret;
	k = calloc(1, sizeof(*k));
	if (!k)
		return wr_fail(-ENOMEM, "%s: no memory", dev->name);
	k->iommu = iommu;
	k->fd = -1;
	ret = wr_iommu_group_get(iommu, number, &dev->ep.group);
	if (ret) {
		ret = wr_fail_in(ret, "%s", dev->name);
		goto free_kernel;
	}
	ret = check_consent(iommu, dev->name, dev->ep.group);
	if (ret)
		goto put_group;
	dev->t = k;
	return 0;
put_group:
	wr_iommu_group_put(iommu, dev->ep.group);
free_kernel:
	free(k);
	return ret;
}

static void kernel_undo(struct weir_device *dev)
{
	struct kernel *k = dev->t;

	wr_iommu_group_put(k->iommu, dev->ep.group);
	for (unsigned int i = 0; i < WEIR_REGIONS; i++)
		free(k->regions[i].areas);
	free(k);
}

static int read_regions(struct kernel *k)
{
	for (unsigned int i = 0; i < WEIR_REGIONS; i++) {
		int ret = wr_vdev_region(k->fd, i, &k->regions[i]);

		/* That is said of VGA, when the device isn't, or support for it isn't built in. */
		if (ret && ret != -EINVAL)
			return ret;
	}
	return 0;
}

/*
 * The kernel turns bus mastering off and tries to reset the function when it is opened, and tells
 * whether that worked (vfio_pci_core_enable() in drivers/vfio/pci/vfio_pci_core.c). Who used it
 * before may have been killed.
 */
static void tell_reset(const char *name, bool resets)
{
	if (resets)
		wr_log(WEIR_LOG_INFO, "%s: it was reset as it was opened", name);
	else
		wr_log(WEIR_LOG_WARN, "%s: it can't be reset by itself, so it is as whoever used "
		       "it last has left it, but for bus mastering, which is off", name);
}

static int kernel_open(struct weir_device *dev, const struct weir_device_opts *opts)
{
	struct kernel *k = dev->t;
	struct wr_vfio_device_info info;
	int ret;

	(void)opts;
	k->fd = dev->ep.fd;
	ret = wr_vdev_info(k->fd, &info);
	if (!ret && !(info.flags & WR_VFIO_DEVICE_PCI))
		ret = wr_fail(-EINVAL, "VFIO says that it isn't a PCI device");
	if (!ret)
		ret = read_regions(k);
	if (ret)
		return wr_fail_in(ret, "%s", dev->name);
	k->resets = info.flags & WR_VFIO_DEVICE_RESETS;
	if (!dev->ep.parcel)
		tell_reset(dev->name, k->resets);
	return 0;
}

static int kernel_region_info(struct weir_device *dev, unsigned int region,
			      struct weir_region_info *info)
{
	const struct wr_vdev_region *r = &((struct kernel *)dev->t)->regions[region];

	*info = (struct weir_region_info){
		.size = r->size,
		.readable = r->flags & WR_VFIO_REGION_READ,
		.writable = r->flags & WR_VFIO_REGION_WRITE,
		.mappable = r->n_areas,
		.msix_mappable = r->msix_mappable,
	};
	return 0;
}

static int kernel_region_read(struct weir_device *dev, unsigned int region, uint64_t offset,
			      void *buf, size_t len)
{
	struct kernel *k = dev->t;

	return wr_vdev_read(k->fd, k->regions[region].offset + offset, buf, len);
}

static int kernel_region_write(struct weir_device *dev, unsigned int region, uint64_t offset,
			       const void *buf, size_t len)
{
	struct kernel *k = dev->t;

	return wr_vdev_write(k->fd, k->regions[region].offset + offset, buf, len);
}

static unsigned int kernel_region_areas(struct weir_device *dev, unsigned int region,
					const struct weir_area **areas)
{
	const struct wr_vdev_region *r = &((struct kernel *)dev->t)->regions[region];

	*areas = r->areas;
	return r->n_areas;
}

static int kernel_region_map(struct weir_device *dev, unsigned int region,
			     const struct weir_area *area, void **out)
{
	struct kernel *k = dev->t;
	const struct wr_vdev_region *r = &k->regions[region];
	int prot = (r->flags & WR_VFIO_REGION_READ ? PROT_READ : 0) |
		   (r->flags & WR_VFIO_REGION_WRITE ? PROT_WRITE : 0);
	void *map;
	int ret;

	ret = wr_sys->mmap(NULL, area->len, prot, MAP_SHARED, k->fd,
			   (off_t)(r->offset + area->offset), &map);
	if (ret)
		return wr_fail(ret, "%s", strerror(-ret));
	ret = wr_sys->madvise(map, area->len, MADV_DONTFORK);
	if (ret) {
		wr_sys->munmap(map, area->len);
		return wr_fail(ret, "keeping it from child processes: %s", strerror(-ret));
	}
	*out = map;
	return 0;
}

static void kernel_region_unmap(struct weir_device *dev, void *map, uint64_t len)
{
	(void)dev;
	wr_sys->munmap(map, len);
}

static int kernel_region_export(struct weir_device *dev, unsigned int region, uint64_t offset,
				uint64_t len)
{
	return wr_vdev_export(((struct kernel *)dev->t)->fd, region, offset, len);
}

static int kernel_ioeventfd(struct weir_device *dev, unsigned int region, uint64_t offset,
			    unsigned int width, uint64_t value, int fd)
{
	struct kernel *k = dev->t;

	return wr_vdev_ioeventfd(k->fd, k->regions[region].offset + offset, width, value, fd);
}

static int kernel_irq_info(struct weir_device *dev, enum weir_irq irq, struct weir_irq_info *info)
{
	struct wr_vfio_irq_info v;
	int ret = wr_vdev_irq(((struct kernel *)dev->t)->fd, irq, &v);

	if (ret)
		return ret;
	info->count = v.flags & WR_VFIO_IRQ_EVENTFD ? v.count : 0;
	info->maskable = v.flags & WR_VFIO_IRQ_MASKABLE;
	info->automasked = v.flags & WR_VFIO_IRQ_AUTOMASKED;
	info->resizable = !(v.flags & WR_VFIO_IRQ_NORESIZE);
	return 0;
}

static int kernel_irq_set(struct weir_device *dev, enum weir_irq irq, unsigned int first,
			  unsigned int count, const int *fds)
{
	return wr_vdev_irq_set(((struct kernel *)dev->t)->fd, irq, first, count, fds);
}

static int kernel_irq_disable(struct weir_device *dev, enum weir_irq irq)
{
	return wr_vdev_irq_disable(((struct kernel *)dev->t)->fd, irq);
}

static int kernel_irq_mask(struct weir_device *dev, enum weir_irq irq, unsigned int vector,
			   bool mask)
{
	return wr_vdev_irq_act(((struct kernel *)dev->t)->fd, irq, vector,
			       mask ? WR_VFIO_IRQ_SET_MASK : WR_VFIO_IRQ_SET_UNMASK);
}

static int kernel_irq_trigger(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	return wr_vdev_irq_act(((struct kernel *)dev->t)->fd, irq, vector,
			       WR_VFIO_IRQ_SET_TRIGGER);
}

static int kernel_irq_unmask_fd(struct weir_device *dev, enum weir_irq irq, unsigned int vector,
				int fd)
{
	return wr_vdev_irq_unmask_fd(((struct kernel *)dev->t)->fd, irq, vector, fd);
}

static bool kernel_can_reset(struct weir_device *dev)
{
	return ((struct kernel *)dev->t)->resets;
}

static int kernel_reset(struct weir_device *dev)
{
	return wr_vdev_reset(((struct kernel *)dev->t)->fd);
}

/*
 * Of a device that was opened by its group the kernel names groups, of one that was by its own node
 * devices. Under the context's attach_lock, under which groups are opened and closed.
 */
static void tell_dependent(struct kernel *k, const struct wr_vfio_dependent *raw, bool by_device,
			   struct weir_dependent *d)
{
	struct wr_group *group;
	char number[WR_PCI_NAME_MAX];

	snprintf(d->address, sizeof(d->address), "%04x:%02x:%02x.%x", raw->segment, raw->bus,
		 raw->devfn >> 3, raw->devfn & 7);
	if (by_device) {
		d->group = wr_pci_link("", d->address, "iommu_group", number) ? -1 : atoi(number);
		d->owned = raw->group != WR_VFIO_DEVID_NOT_OWNED;
		return;
	}
	d->group = (int)raw->group;
	group = wr_iommu_group_find(k->iommu, d->group);
	d->owned = group && group->fd >= 0;
	if (group)
		wr_iommu_group_put(k->iommu, group);
}

static int dependents(struct kernel *k, struct weir_dependent **out, uint32_t *flags)
{
	struct wr_vfio_dependent *raw;
	struct weir_dependent *list;
	int n = wr_vdev_hot_reset_info(k->fd, &raw, flags);

	if (n < 0)
		return n;
	list = calloc((size_t)n + 1, sizeof(*list));
	for (int i = 0; list && i < n; i++)
		tell_dependent(k, &raw[i], *flags & WR_VFIO_HOT_RESET_DEV_ID, &list[i]);
	free(raw);
	if (!list)
		return wr_fail(-ENOMEM, "no memory for %d functions", n);
	*out = list;
	return n;
}

static int kernel_hot_reset_info(struct weir_device *dev, struct weir_dependent **out)
{
	struct kernel *k = dev->t;
	uint32_t flags;
	int n;

	pthread_mutex_lock(&k->iommu->attach_lock);
	n = dependents(k, out, &flags);
	pthread_mutex_unlock(&k->iommu->attach_lock);
	return n;
}

static bool is_first_of_group(const struct weir_dependent *list, int i)
{
	for (int j = 0; j < i; j++)
		if (list[j].group == list[i].group)
			return false;
	return true;
}

static int not_owned(const struct weir_dependent *d, bool by_device)
{
	if (by_device)
		return wr_fail(-EPERM, "%s would be reset as well, and isn't this context's: bind "
			       "it to vfio-pci, and open it here, too", d->address);
	return wr_fail(-EPERM, "%s would be reset as well, and its group %d isn't open in this "
		       "context: open a device of it here, too", d->address, d->group);
}

static int reset_all(struct kernel *k, const struct weir_dependent *list, int n, bool by_device)
{
	unsigned int groups = 0;
	int ret = 0, *fds = calloc((size_t)n + 1, sizeof(*fds));

	if (!fds)
		return wr_fail(-ENOMEM, "no memory for the groups of %d functions", n);
	for (int i = 0; i < n && !ret; i++) {
		struct wr_group *group;

		if (!list[i].owned)
			ret = not_owned(&list[i], by_device);
		if (ret || by_device || !is_first_of_group(list, i))
			continue;
		group = wr_iommu_group_find(k->iommu, list[i].group);
		fds[groups++] = group->fd;
		wr_iommu_group_put(k->iommu, group);
	}
	if (!ret)
		ret = wr_vdev_hot_reset(k->fd, fds, groups);
	free(fds);
	return ret;
}

static int kernel_hot_reset(struct weir_device *dev)
{
	struct kernel *k = dev->t;
	struct weir_dependent *list;
	uint32_t flags;
	int ret, n;

	pthread_mutex_lock(&k->iommu->attach_lock);
	ret = n = dependents(k, &list, &flags);
	if (n >= 0) {
		ret = reset_all(k, list, n, flags & WR_VFIO_HOT_RESET_DEV_ID);
		free(list);
	}
	pthread_mutex_unlock(&k->iommu->attach_lock);
	return ret;
}

/* To probe how a feature is used asks for nothing to be done. */
static int kernel_has(struct weir_device *dev, enum weir_feature feature)
{
	bool get = feature == WEIR_FEATURE_MIGRATION || feature == WEIR_FEATURE_DMA_BUF;
	uint32_t flags = (uint32_t)feature | WR_VFIO_FEATURE_PROBE |
			 (get ? WR_VFIO_FEATURE_GET : WR_VFIO_FEATURE_SET);
	int ret = wr_vdev_feature(((struct kernel *)dev->t)->fd, flags, NULL, 0);

	/*
	 * Before Linux 5.7 there are no features at all, and other ways to say so. Drivers beside
	 * vfio-pci (mlx5-vfio-pci, say) don't all export BARs (vfio_pci_core_feature_dma_buf()).
	 */
	if (ret == -ENOTTY || ret == -EINVAL || ret == -EOPNOTSUPP)
		return 0;
	return ret < 0 ? wr_fail(ret, "asking for feature %d: %s", (int)feature, strerror(-ret))
		       : 1;
}

static int kernel_low_power(struct weir_device *dev, bool on, int wakeup)
{
	const struct wr_vfio_low_power_wakeup eventfd = { .eventfd = wakeup };
	uint32_t feature = !on ? WR_VFIO_FEATURE_LOW_POWER_EXIT :
			   wakeup < 0 ? WR_VFIO_FEATURE_LOW_POWER_ENTRY :
			   WR_VFIO_FEATURE_LOW_POWER_WAKEUP;
	int ret = wr_vdev_feature(((struct kernel *)dev->t)->fd, feature | WR_VFIO_FEATURE_SET,
				  &eventfd, wakeup < 0 ? 0 : sizeof(eventfd));

	switch (ret) {
	case -ENOTTY:
		return wr_fail(-ENOTSUP, "this kernel has no low power for devices (Linux 6.1)");
	case -EINVAL:
		return wr_fail(ret, "low power is on already");
	default:
		return ret < 0 ? wr_fail(ret, "low power: %s", strerror(-ret)) : 0;
	}
}

/* Class and revision come from the device as they are; the kernel answers for what is before. */
static int kernel_gone(struct weir_device *dev)
{
	struct kernel *k = dev->t;
	uint32_t class;
	int ret = wr_vdev_read(k->fd, k->regions[WEIR_REGION_CONFIG].offset + WR_PCI_REVISION,
			       &class, sizeof(class));

	if (ret == -ENODEV || ret == -ENXIO)
		return 1;
	return ret ? ret : class == UINT32_MAX;
}

const struct wr_transport wr_transport_kernel = {
	.prepare = kernel_prepare,
	.open = kernel_open,
	.undo = kernel_undo,
	.region_info = kernel_region_info,
	.region_read = kernel_region_read,
	.region_write = kernel_region_write,
	.region_areas = kernel_region_areas,
	.region_map = kernel_region_map,
	.region_unmap = kernel_region_unmap,
	.region_export = kernel_region_export,
	.ioeventfd = kernel_ioeventfd,
	.irq_info = kernel_irq_info,
	.irq_set = kernel_irq_set,
	.irq_disable = kernel_irq_disable,
	.irq_mask = kernel_irq_mask,
	.irq_trigger = kernel_irq_trigger,
	.irq_unmask_fd = kernel_irq_unmask_fd,
	.can_reset = kernel_can_reset,
	.reset = kernel_reset,
	.hot_reset_info = kernel_hot_reset_info,
	.hot_reset = kernel_hot_reset,
	.has = kernel_has,
	.low_power = kernel_low_power,
	.gone = kernel_gone,
};
