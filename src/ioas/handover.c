/* SPDX-License-Identifier: MIT */
/*
 * An address space goes from one process to another. What the kernel has of it, in /dev/iommu and
 * in the devices' nodes, lives in open files: they go as fds, and beside them a record, in a file
 * of its own, of what only this library knows. While it is handed over (wr_ioas_handed()), nothing
 * that is done with it comes to the kernel; so the importer puts it together as if it were handed
 * over again, and then keeps it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/process.h"
#include "base/sys.h"
#include "ioas/handover.h"
#include "ioas/iommu.h"
#include "ioas/record.h"
#include "kernel/cdev.h"
#include "kernel/group.h"
#include "kernel/vdev.h"
#include "pci/sysfs.h"

/* ---- export ---- */

/* Whether all of the address space can go, and what the kernel has of it: its only domain. */
static int check_domain(struct weir_ioas *as, struct wr_domain **out)
{
	unsigned int n = 0;
	struct wr_domain *d;

	if (!wr_list_empty(&as->hwpts))
		return wr_fail(-ENOTSUP, "an address space with page tables made by hand can't go "
			       "to another process: weir_hwpt_free() them first");
	wr_list_for_each(d, &as->domains, link) {
		if (!d->ops->tell)
			return wr_fail(-ENOTSUP, "an address space with devices by %s can't go to "
				       "another process, only one by iommufd can", d->ops->name);
		*out = d;
		n++;
	}
	if (!n)
		return wr_fail(-ENODEV, "no device is attached to the address space, and so the "
			       "kernel has nothing of it that could go to another process");
	if (n > 1)
		return wr_fail(-ENOTSUP, "the address space needs %u domains for its devices, and "
			       "only one can go to another process", n);
	return as->degraded ? wr_fail(-EIO, "the address space is degraded, as the log tells: what "
				      "the kernel has of it isn't known") : 0;
}

/* Whether domains of that interface are in the context's /dev/iommu. */
static bool in_iommufd(const struct wr_domain_ops *ops)
{
	return ops == &wr_domain_iommufd || ops == &wr_domain_iommufd_noiommu;
}

/* The /dev/iommu goes, and with it everything that is in it. */
static int check_alone(const struct weir_ioas *as, const struct wr_domain *d)
{
	struct weir_iommu *iommu = as->iommu;
	struct wr_group *group;
	int ret = 0;

	pthread_mutex_lock(&iommu->lock);
	wr_list_for_each(group, &iommu->groups, link)
		if (!ret && group->domain && group->domain != d && in_iommufd(group->domain->ops))
			ret = wr_fail(-EBUSY, "group %d is attached to another address space of "
				      "this context, which has one /dev/iommu for all: close its "
				      "devices, or use a context for each", group->number);
	if (!ret && iommu->iommufd_users > 1u + iommu->iommufd_given)
		ret = wr_fail(-EBUSY, "the context's one /dev/iommu has fault queues, or page "
			      "tables made by hand of another address space, which would go along: "
			      "free them first");
	pthread_mutex_unlock(&iommu->lock);
	return ret;
}

/* All of them must be files' memory. Returns their number. */
static int count_units(struct weir_ioas *as)
{
	struct wr_mapping m;
	weir_iova at = 0;
	int n = 0;

	while (wr_ioas_next(as, at, UINT64_MAX, &m)) {
		struct weir_iova_range unit = wr_ioas_unit(as, &m);

		if (m.bar)
			return wr_fail(-ENOTSUP, "IOVA 0x%" PRIx64 ", %" PRIu64 " bytes: a bar's "
				       "registers (weir_ioas_map_bar()) can't go to another "
				       "process: unmap them first", unit.first,
				       unit.last - unit.first + 1);
		if (!m.file)
			return wr_fail(-ENOTSUP, "IOVA 0x%" PRIx64 ", %" PRIu64 " bytes: only "
				       "memory that weir knows as a file's can go to another "
				       "process, from weir_ioas_map_fd() or weir_mem_opts.shared",
				       unit.first, unit.last - unit.first + 1);
		n++;
		at = m.iova + m.len;
		if (!at)
			break;
	}
	return n;
}

static void count_devices(const struct weir_ioas *as, struct wr_record_head *head)
{
	struct wr_endpoint *ep;
	int eventfd;

	wr_list_for_each(ep, &as->endpoints, link) {
		head->n_devices++;
		for (unsigned int irq = 0; irq < WEIR_IRQS; irq++)
			for (unsigned int v = 0; ep->vector(ep, irq, v, &eventfd); v++)
				head->n_vectors++;
	}
}

/* A list of fds, of which there is room for some. */
struct fds {
	int *fds;
	size_t room, n;
};

static void add_fd(struct fds *fds, int fd)
{
	if (fds->n < fds->room)
		fds->fds[fds->n] = fd;
	fds->n++;
}

static void tell_devices(const struct weir_ioas *as, struct wr_domain *d, struct wr_record *r,
			 struct fds *fds)
{
	struct wr_record_device *device = r->devices;
	struct wr_endpoint *ep;
	struct wr_numbers n;

	wr_list_for_each(ep, &as->endpoints, link) {
		r->head->number = d->ops->tell(d, ep, &n);
		snprintf(device->name, sizeof(device->name), "%s", ep->name);
		device->devid = n.devid;
		device->table = n.table;
		device->flags = n.dirty ? WR_RECORD_DIRTY : 0;
		device->dma_bits = ep->dma_bits;
		add_fd(fds, ep->fd);
		device++;
	}
}

static void tell_units(struct weir_ioas *as, struct wr_record *r, struct fds *fds)
{
	struct wr_mapping m;
	weir_iova at = 0;

	for (uint32_t i = 0; i < r->head->n_units; i++) {
		wr_ioas_next(as, at, UINT64_MAX, &m);
		r->units[i] = (struct wr_record_unit){
			.iova = m.iova,
			.len = m.len,
			.offset = m.file->offset,
			.dir = m.dir,
			.flags = m.file->write ? WR_RECORD_WRITE : 0,
		};
		add_fd(fds, m.file->fd);
		at = m.iova + m.len;
	}
}

static void tell_limits(const struct weir_ioas *as, struct wr_record *r)
{
	for (uint32_t i = 0; i < r->head->n_ranges; i++)
		r->ranges[i] = as->allowed.r[i];
}

static void tell_vectors(const struct weir_ioas *as, struct wr_record *r, struct fds *fds)
{
	struct wr_record_device *device = r->devices;
	uint8_t *signal = r->signals;
	struct wr_endpoint *ep;
	int eventfd;

	wr_list_for_each(ep, &as->endpoints, link) {
		for (unsigned int irq = 0; irq < WEIR_IRQS; irq++) {
			uint32_t *v = &device->vectors[irq];

			for (; ep->vector(ep, irq, *v, &eventfd); ++*v) {
				*signal = eventfd >= 0;
				if (*signal++)
					add_fd(fds, eventfd);
			}
		}
		device++;
	}
}

static void set_handed(struct weir_iommu *iommu, struct weir_ioas *as)
{
	pthread_mutex_lock(&iommu->lock);
	__atomic_store_n(&iommu->handed, as, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&iommu->lock);
}

/* The record of an address space that can go; and if there is room for all fds, it goes. */
static int hand_over(struct weir_ioas *as, struct wr_domain *d, const struct wr_record_head *head,
		     struct fds *fds)
{
	void *memory = calloc(1, head->len);
	struct wr_record r;
	int fd;

	if (!memory)
		return wr_fail(-ENOMEM, "no memory for %" PRIu64 " bytes", head->len);
	*(struct wr_record_head *)memory = *head;
	r = wr_record_in(memory);
	add_fd(fds, -1);
	add_fd(fds, as->iommu->iommufd);
	tell_devices(as, d, &r, fds);
	tell_units(as, &r, fds);
	tell_limits(as, &r);
	tell_vectors(as, &r, fds);
	if (fds->n > fds->room) {
		free(memory);
		return 0;
	}
	fd = wr_record_write(&r);
	free(memory);
	if (fd < 0)
		return fd;
	fds->fds[0] = as->record = fd;
	set_handed(as->iommu, as);
	return 0;
}

static int export_locked(struct weir_ioas *as, int *list, size_t n)
{
	struct wr_record_head head = { 0 };
	struct fds fds = { .fds = list, .room = n };
	struct wr_domain *d = NULL;
	int ret = check_domain(as, &d);

	if (!ret)
		ret = check_alone(as, d);
	if (!ret)
		ret = count_units(as);
	if (ret < 0)
		return ret;
	head.n_units = (uint32_t)ret;
	/* It counts as this process's already; but whether another can have it, the kernel says. */
	ret = d->ops->charge(d);
	if (ret)
		return ret;
	count_devices(as, &head);
	head.flags = (as->tracking ? WR_RECORD_TRACKING : 0) |
		     (as->small_pages ? WR_RECORD_SMALL_PAGES : 0);
	head.n_ranges = (uint32_t)as->allowed.n;
	head.len = wr_record_len(&head);
	ret = hand_over(as, d, &head, &fds);
	return ret ? ret : (int)fds.n;
}

int weir_ioas_export(struct weir_ioas *as, int *fds, size_t n)
{
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->iommu->attach_lock);
	pthread_mutex_lock(&as->lock);
	ret = export_locked(as, fds, n);
	pthread_mutex_unlock(&as->lock);
	pthread_mutex_unlock(&as->iommu->attach_lock);
	return ret;
}

/* ---- keep ---- */

static int keep_locked(struct weir_ioas *as)
{
	struct wr_domain *d;
	int ret;

	if (!wr_ioas_handed(as))
		return wr_fail(-EINVAL, "the address space isn't handed over");
	if (wr_list_empty(&as->domains))
		return wr_fail(-ENODEV, "the address space's devices are closed here: there is "
			       "nothing left to take back");
	d = wr_container_of(as->domains.next, struct wr_domain, link);
	ret = d->ops->charge(d);
	if (ret)
		return ret;
	wr_close(as->record);
	as->record = -1;
	set_handed(as->iommu, NULL);
	return 0;
}

int weir_ioas_keep(struct weir_ioas *as)
{
	int ret = wr_ioas_check_close(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = keep_locked(as);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

/* ---- parcels ---- */

static bool parcel_vector(const struct wr_endpoint *ep, unsigned int irq, unsigned int vector,
			  int *eventfd)
{
	const struct wr_parcel *parcel = ep->parcel;
	size_t at = vector;

	if (vector >= parcel->vectors[irq])
		return false;
	while (irq)
		at += parcel->vectors[--irq];
	*eventfd = parcel->eventfds[at];
	return true;
}

static void free_parcel(struct weir_iommu *iommu, struct wr_parcel *parcel)
{
	for (size_t i = 0; i < parcel->n_eventfds; i++)
		wr_close(parcel->eventfds[i]);
	free(parcel->eventfds);
	if (parcel->ep.group)
		wr_iommu_group_put(iommu, parcel->ep.group);
	free(parcel);
}

struct wr_parcel *wr_ioas_parcel_for(struct weir_ioas *as, const struct wr_endpoint *ep)
{
	struct wr_endpoint *other;

	wr_list_for_each(other, &as->endpoints, link)
		if (other->unclaimed && !strcmp(other->name, ep->name))
			return other->parcel;
	return NULL;
}

/* It is bound, and attached to its page table. */
int wr_ioas_claim(struct weir_ioas *as, struct wr_endpoint *ep, struct wr_parcel *parcel)
{
	const struct wr_endpoint *from = &parcel->ep;

	if (ep->group != from->group)
		return wr_fail(-ENODEV, "it came with the address space, and was in group %d then",
			       from->group->number);
	if (ep->use_fd || ep->vf_token)
		return wr_fail(-EINVAL, "it came with the address space, open: it takes no fd and "
			       "no VF token");
	ep->fd = from->fd;
	ep->devid = from->devid;
	ep->table = from->table;
	ep->domain = from->domain;
	if (ep->dma_bits > from->dma_bits)
		ep->dma_bits = from->dma_bits;
	ep->parcel = parcel;
	__atomic_store_n(&ep->as, as, __ATOMIC_RELAXED);
	wr_ioas_replace(as, &parcel->ep, ep);
	wr_log(WEIR_LOG_INFO, "%s: came with the address space, by %s", ep->name,
	       ep->domain->ops->name);
	return 0;
}

void wr_ioas_unclaim(struct weir_ioas *as, struct wr_endpoint *ep)
{
	wr_ioas_replace(as, ep, &ep->parcel->ep);
	ep->parcel = NULL;
	ep->domain = NULL;
}

void wr_ioas_unpacked(struct wr_endpoint *ep)
{
	if (ep->parcel)
		free_parcel(ep->as->iommu, ep->parcel);
	ep->parcel = NULL;
}

void wr_ioas_drop_parcels(struct weir_ioas *as)
{
	while (!wr_list_empty(&as->endpoints)) {
		struct wr_endpoint *ep = wr_container_of(as->endpoints.next, struct wr_endpoint,
							 link);

		wr_ioas_detach(ep);
		free_parcel(as->iommu, ep->parcel);
	}
}

/* ---- import ---- */

static int check_device(struct weir_ioas *as, const struct wr_record_device *device)
{
	char name[WR_PCI_ADDR_MAX];
	struct wr_pci_addr addr;
	struct wr_endpoint ep = { .name = device->name };

	if (!memchr(device->name, '\0', sizeof(device->name)))
		return wr_fail(-EINVAL, "its name doesn't end");
	if (wr_pci_addr_parse(device->name, &addr))
		return -EINVAL;
	wr_pci_addr_format(&addr, name);
	if (strcmp(name, device->name))
		return wr_fail(-EINVAL, "\"%s\" should be %s", device->name, name);
	if (wr_ioas_parcel_for(as, &ep))
		return wr_fail(-EINVAL, "%s comes twice", name);
	if (device->dma_bits < 1 || device->dma_bits > 64 || device->flags & ~WR_RECORD_DIRTY ||
	    device->reserved)
		return wr_fail(-EINVAL, "%s: %u address bits, flags 0x%x", name, device->dma_bits,
			       device->flags | device->reserved);
	return 0;
}

/* weir's own eventfds don't block: who waits reads them until they are empty. */
static int take_eventfd(int fd)
{
	int copy, ret = wr_check_eventfd(fd);

	if (ret)
		return ret;
	if (!(fcntl(fd, F_GETFL) & O_NONBLOCK))
		return wr_fail(-EINVAL, "eventfd %d isn't one that weir made", fd);
	copy = wr_sys->dup(fd);
	return copy < 0 ? wr_fail(copy, "fd %d: %s", fd, strerror(-copy)) : copy;
}

/* How far a list of fds and one of vectors has been read. */
struct cursor {
	const uint8_t *signal;
	const int *eventfd;
};

static int unpack_vectors(struct wr_parcel *parcel, const struct wr_record_device *device,
			  struct cursor *at)
{
	size_t n = 0;

	for (unsigned int irq = 0; irq < WEIR_IRQS; irq++)
		n += parcel->vectors[irq] = device->vectors[irq];
	parcel->eventfds = calloc(n + 1, sizeof(*parcel->eventfds));
	if (!parcel->eventfds)
		return wr_fail(-ENOMEM, "no memory for %zu interrupt vectors", n);
	for (; parcel->n_eventfds < n; parcel->n_eventfds++) {
		int fd = -1;

		if (*at->signal++) {
			fd = take_eventfd(*at->eventfd++);
			if (fd < 0)
				return fd;
		}
		parcel->eventfds[parcel->n_eventfds] = fd;
	}
	return 0;
}

static int join_group(struct weir_ioas *as, struct wr_parcel *parcel)
{
	char text[WR_PCI_NAME_MAX], *end;
	long number;

	if (wr_pci_link("", parcel->name, "iommu_group", text))
		return wr_fail(-ENODEV, "there is no such device here, or it is in no IOMMU group");
	number = strtol(text, &end, 10);
	if (*end)
		return wr_fail(-ENODEV, "its IOMMU group has no number but a name, %s", text);
	return wr_iommu_group_get(as->iommu, (int)number, &parcel->ep.group);
}

static int unpack_locked(struct weir_ioas *as, struct wr_domain *d, struct wr_parcel *parcel,
			 const struct wr_record_device *device, int fd)
{
	const struct wr_numbers n = {
		.devid = device->devid,
		.table = device->table,
		.dirty = device->flags & WR_RECORD_DIRTY,
	};
	int ret = join_group(as, parcel);

	if (ret)
		return ret;
	if (!d->ops->fits(&parcel->ep))
		return wr_fail(-EINVAL, "it has no IOMMU here, and comes by %s", d->ops->name);
	if (parcel->ep.group->attached && parcel->ep.group->domain != d)
		return wr_fail(-EBUSY, "others of group %d are attached to another address space "
			       "of this context", parcel->ep.group->number);
	parcel->ep.fd = ret = wr_cdev_dup(parcel->name, parcel->ep.group, fd);
	if (ret < 0)
		return ret;
	ret = d->ops->rejoin(d, &parcel->ep, &n);
	if (ret) {
		wr_close(parcel->ep.fd);
		return ret;
	}
	wr_ioas_enter(as, d, &parcel->ep);
	parcel->ep.group->attached++;
	return 0;
}

static int unpack_device(struct weir_ioas *as, struct wr_domain *d,
			 const struct wr_record_device *device, int fd, struct cursor *at)
{
	struct wr_parcel *parcel;
	int ret = check_device(as, device);

	if (ret)
		return ret;
	parcel = calloc(1, sizeof(*parcel));
	if (!parcel)
		return wr_fail(-ENOMEM, "no memory for a device");
	memcpy(parcel->name, device->name, strlen(device->name));
	parcel->ep = (struct wr_endpoint){
		.name = parcel->name,
		.dma_bits = device->dma_bits,
		.vector = parcel_vector,
		.unclaimed = true,
		.parcel = parcel,
	};
	wr_list_init(&parcel->ep.link);
	ret = unpack_vectors(parcel, device, at);
	if (!ret)
		ret = unpack_locked(as, d, parcel, device, fd);
	if (!ret)
		return 0;
	free_parcel(as->iommu, parcel);
	return wr_fail_in(ret, "%s", device->name);
}

/* The kernel maps no other files by themselves (memfd_pin_folios() in mm/gup.c). */
static int unpack_unit(struct weir_ioas *as, const struct wr_record_unit *unit, int fd)
{
	const struct weir_map_opts opts = { .dir = (enum weir_dma_dir)unit->dir, .fixed = true };
	weir_iova iova = unit->iova;
	int ret = 0;

	if (fcntl(fd, F_GET_SEALS) < 0)
		ret = wr_fail(-EINVAL, "fd %d is no file of memory", fd);
	else if (unit->flags & ~WR_RECORD_WRITE)
		ret = wr_fail(-EINVAL, "flags 0x%x", unit->flags);
	else if (unit->len > SIZE_MAX)
		ret = wr_fail(-EINVAL, "%" PRIu64 " bytes", unit->len);
	if (!ret)
		ret = wr_ioas_map_file(as, fd, unit->offset, (size_t)unit->len,
				       unit->flags & WR_RECORD_WRITE, &opts, &iova);
	return ret ? wr_fail_in(ret, "IOVA 0x%" PRIx64, unit->iova) : 0;
}

/* What its owner wants of it, and the kernel has been told (limits.c). */
static int unpack_limits(struct weir_ioas *as, const struct wr_domain *d,
			 const struct wr_record *r)
{
	int ret = wr_ioas_check_allowed(r->ranges, r->head->n_ranges, &as->allowed);

	if (!ret)
		ret = wr_ioas_check_served(as, d);
	if (ret)
		return ret;
	as->small_pages = r->head->flags & WR_RECORD_SMALL_PAGES;
	pthread_mutex_lock(&as->books);
	as->tracking = r->head->flags & WR_RECORD_TRACKING;
	pthread_mutex_unlock(&as->books);
	return wr_ioas_recompute(as);
}

/* The domain with its devices, as they are in the kernel. */
static int unpack_devices(struct weir_ioas *as, const struct wr_record *r, const int *fds)
{
	const struct wr_record_head *head = r->head;
	struct cursor at = { r->signals, fds + head->n_devices + head->n_units };
	struct wr_domain *d;
	bool tracking = head->flags & WR_RECORD_TRACKING;
	int ret = wr_domain_iommufd.adopt(as->iommu, head->number, tracking, &d);

	if (ret) {
		wr_iommu_iommufd_put(as->iommu);
		return ret;
	}
	for (uint32_t i = 0; !ret && i < head->n_devices; i++)
		ret = unpack_device(as, d, &r->devices[i], fds[i], &at);
	if (!d->endpoints) {
		d->ops->destroy(d);
		return ret;
	}
	return ret ? ret : unpack_limits(as, d, r);
}

static int unpack(struct weir_ioas *as, const struct wr_record *r, const int *fds)
{
	const int *files = fds + 2 + r->head->n_devices;
	int ret = wr_iommu_iommufd_adopt(as->iommu, fds[1]);

	if (ret)
		return ret;
	set_handed(as->iommu, as);
	pthread_mutex_lock(&as->iommu->attach_lock);
	pthread_mutex_lock(&as->lock);
	ret = unpack_devices(as, r, fds + 2);
	pthread_mutex_unlock(&as->lock);
	pthread_mutex_unlock(&as->iommu->attach_lock);
	for (uint32_t i = 0; !ret && i < r->head->n_units; i++)
		ret = unpack_unit(as, &r->units[i], files[i]);
	return ret ? ret : weir_ioas_keep(as);
}

int weir_ioas_import(struct weir_iommu *iommu, const int *fds, size_t n, struct weir_ioas **out)
{
	struct wr_record r = { 0 };
	struct weir_ioas *as;
	int ret;

	if (n < 3 || n > INT_MAX)
		return wr_fail(-EINVAL, "%zu fds: an address space comes with 3 at least", n);
	ret = iommu ? wr_check_process(iommu->process) : 0;
	if (ret)
		return ret;
	ret = wr_record_read(fds[0], n, &r);
	if (ret)
		return wr_fail_in(ret, "the record of the address space (fd %d)", fds[0]);
	ret = weir_ioas_open(iommu, &as);
	if (!ret) {
		ret = unpack(as, &r, fds);
		if (ret)
			weir_ioas_close(as);
		else
			*out = as;
	}
	free(r.head);
	return ret;
}
