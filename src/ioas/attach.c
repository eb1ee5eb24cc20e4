/* SPDX-License-Identifier: MIT */
/*
 * Devices and their PASIDs on page tables by hand. An attachment is in two lists, so that each side
 * knows who holds it, by name.
 */
#include <stdlib.h>

#include "base/err.h"
#include "ioas/hwpt.h"
#include "kernel/cdev.h"
#include "kernel/group.h"

/* Where what is mapped is: for a nested table, the one it is nested on. */
static struct wr_table *paging(const struct weir_hwpt *hwpt)
{
	return hwpt->parent ? hwpt->parent->table : hwpt->table;
}

/* ---- what is attached ---- */

static struct wr_attached *find(const struct wr_endpoint *ep, uint32_t pasid)
{
	struct wr_attached *a = ep->attached;

	while (a && a->pasid != pasid)
		a = a->next_of_ep;
	return a;
}

static bool has_pasids(const struct wr_endpoint *ep)
{
	for (const struct wr_attached *a = ep->attached; a; a = a->next_of_ep)
		if (a->pasid)
			return true;
	return false;
}

static void link_attached(struct wr_attached *a)
{
	a->next_of_hwpt = a->hwpt->attached;
	a->hwpt->attached = a;
	a->next_of_ep = a->ep->attached;
	a->ep->attached = a;
	a->hwpt->table->users++;
	if (a->hwpt->parent)
		a->hwpt->parent->table->users++;
}

static void unlink_attached(struct wr_attached *a)
{
	struct wr_attached **at;

	for (at = &a->hwpt->attached; *at != a;)
		at = &(*at)->next_of_hwpt;
	*at = a->next_of_hwpt;
	for (at = &a->ep->attached; *at != a;)
		at = &(*at)->next_of_ep;
	*at = a->next_of_ep;
	a->hwpt->table->users--;
	if (a->hwpt->parent)
		a->hwpt->parent->table->users--;
	if (a->hwpt->faults)
		wr_faultq_remove(a->hwpt->faults, a->ep);
	free(a);
}

static void used(struct wr_domain *d)
{
	if (d->ops->table_used)
		d->ops->table_used(d);
}

/* The next of the devices that go along with @ep, itself included; from the start after NULL. */
static struct wr_endpoint *next_of_group(const struct wr_endpoint *ep, struct wr_endpoint *at)
{
	struct wr_endpoint *other;
	bool behind = !at;

	wr_list_for_each(other, &ep->as->endpoints, link) {
		if (behind && (other == ep || (ep->group && other->group == ep->group)))
			return other;
		behind |= other == at;
	}
	return NULL;
}

static void drop_new(struct wr_attached *list)
{
	while (list) {
		struct wr_attached *a = list;

		list = a->next_of_ep;
		if (a->hwpt->faults)
			wr_faultq_remove(a->hwpt->faults, a->ep);
		free(a);
	}
}

/* What will say that it is attached: for one device and PASID, or for its group. */
static int new_attached(struct weir_hwpt *hwpt, struct wr_endpoint *ep, uint32_t pasid,
			struct wr_attached **list)
{
	struct wr_attached *a = calloc(1, sizeof(*a));

	if (!a)
		return wr_fail(-ENOMEM, "no memory");
	*a = (struct wr_attached){ .hwpt = hwpt, .ep = ep, .pasid = pasid };
	/* A page fault can come at once. */
	if (hwpt->faults && wr_faultq_add(hwpt->faults, ep)) {
		free(a);
		return -ENOMEM;
	}
	a->next_of_ep = *list;
	*list = a;
	return 0;
}

static int new_for_group(struct weir_hwpt *hwpt, struct wr_endpoint *ep, struct wr_attached **list)
{
	struct wr_endpoint *other = NULL;
	int ret = 0;

	while (!ret && (other = next_of_group(ep, other)))
		ret = new_attached(hwpt, other, WR_NO_PASID, list);
	return ret;
}

/* They are what holds from now on, in place of what was before. */
static void take_over(struct wr_attached *list)
{
	while (list) {
		struct wr_attached *a = list, *old = find(a->ep, a->pasid);

		list = a->next_of_ep;
		if (old)
			unlink_attached(old);
		link_attached(a);
	}
}

static int check_group(const struct wr_endpoint *ep)
{
	struct wr_endpoint *other = NULL;

	while ((other = next_of_group(ep, other)))
		if (other->unclaimed)
			return wr_fail(-EBUSY, "%s, of the same group, would go along, and came "
				       "with the address space from another process: open it first",
				       other->name);
	return 0;
}

static int check_attach(const struct weir_hwpt *hwpt, const struct wr_endpoint *ep)
{
	struct wr_endpoint *other = NULL;

	if (hwpt->as != ep->as)
		return wr_fail(-EINVAL, "the page table is of another address space: "
			       "weir_device_move() the device there first");
	if (hwpt->domain != ep->domain)
		return wr_fail(-EINVAL, "the page table is of %s, and the device attached by %s",
			       hwpt->domain->ops->name, ep->domain->ops->name);
	while ((other = next_of_group(ep, other))) {
		if (!hwpt->pasid && has_pasids(other))
			return wr_fail(-EINVAL, "PASIDs of %s are attached, and the page table "
				       "can't be used beside them: make it with .pasid",
				       other->name);
		if (hwpt->by_number && other->virtual_on != hwpt->viommu)
			return wr_fail(-EINVAL, "the guest's entry translates, and its vIOMMU has "
				       "no number for %s: weir_vdevice_alloc() first",
				       other->name);
	}
	if (ep->as->tracking && !paging(hwpt)->dirty)
		return wr_fail(-EINVAL, "dirty tracking of the address space is on, and the page "
			       "table has none: make it with weir_hwpt_opts.dirty");
	return check_group(ep);
}

static int attach(struct weir_hwpt *hwpt, struct wr_endpoint *ep)
{
	const struct wr_attached *now = find(ep, WR_NO_PASID);
	struct wr_attached *list = NULL;
	int ret;

	if (now && now->hwpt == hwpt)
		return 0;
	ret = check_attach(hwpt, ep);
	if (!ret)
		ret = new_for_group(hwpt, ep, &list);
	if (!ret)
		ret = ep->domain->ops->table_use(ep->domain, ep, hwpt->table,
						 now ? now->hwpt->table : NULL);
	if (ret) {
		drop_new(list);
		return ret;
	}
	take_over(list);
	if (ep->group)
		ep->group->by_hand = true;
	used(ep->domain);
	return 0;
}

static int check_pasid(const struct weir_hwpt *hwpt, const struct wr_endpoint *ep, uint32_t pasid)
{
	const struct wr_attached *self = find(ep, WR_NO_PASID);
	struct weir_hw_info info;
	int ret;

	if (ep->domain->ops != &wr_domain_iommufd)
		return wr_fail(-ENOTSUP, "it is attached by %s, which has no PASIDs: \"iommufd\" "
			       "has", ep->domain->ops->name);
	if (hwpt->as->iommu != ep->as->iommu)
		return wr_fail(-EINVAL, "the page table is of another context than the device");
	ret = ep->domain->ops->hw_info(ep->domain, ep, WEIR_HW_NONE, &info);
	if (ret)
		return ret;
	if (!info.pasid_bits)
		return wr_fail(-ENOTSUP, "the device has no PASIDs, or the kernel uses none");
	if (pasid >> info.pasid_bits)
		return wr_fail(-EINVAL, "PASID %u: the device's are %u bits wide", pasid,
			       info.pasid_bits);
	if (!hwpt->pasid)
		return wr_fail(-EINVAL, "the page table isn't made for PASIDs: make it with "
			       ".pasid");
	if (!self || !self->hwpt->pasid)
		return wr_fail(-EINVAL, "the device itself uses a page table that isn't made for "
			       "PASIDs: weir_hwpt_attach() it to one with .pasid first");
	if (hwpt->as->tracking && !paging(hwpt)->dirty)
		return wr_fail(-EINVAL, "dirty tracking of the page table's address space is on, "
			       "and it has none: make it with weir_hwpt_opts.dirty");
	return 0;
}

static int attach_pasid(struct weir_hwpt *hwpt, struct wr_endpoint *ep, uint32_t pasid)
{
	const struct wr_attached *now = find(ep, pasid);
	const struct weir_hwpt *old = now ? now->hwpt : NULL;
	struct wr_attached *list = NULL;
	int ret;

	if (old == hwpt)
		return 0;
	ret = check_pasid(hwpt, ep, pasid);
	if (!ret)
		ret = new_attached(hwpt, ep, pasid, &list);
	if (!ret)
		ret = wr_cdev_attach_pasid(ep->fd, pasid, hwpt->table->number);
	if (ret) {
		drop_new(list);
		return ret;
	}
	take_over(list);
	used(hwpt->domain);
	if (old)
		used(old->domain);
	return 0;
}

int wr_hwpt_attach(struct weir_hwpt *hwpt, struct wr_endpoint *ep, uint32_t pasid)
{
	struct weir_iommu *iommu = wr_endpoint_ioas(ep)->iommu;
	struct weir_ioas *as;
	int ret = wr_ioas_check_change(wr_endpoint_ioas(ep));

	if (ret)
		return ret;
	/* Who moves the device to another address space holds this, too. */
	pthread_mutex_lock(&iommu->attach_lock);
	as = ep->as;
	wr_ioas_lock_both(as, hwpt->as);
	ret = pasid ? attach_pasid(hwpt, ep, pasid) : attach(hwpt, ep);
	wr_ioas_unlock_both(as, hwpt->as);
	pthread_mutex_unlock(&iommu->attach_lock);
	return ret;
}

static int detach(struct weir_hwpt *hwpt, struct wr_endpoint *ep)
{
	struct wr_endpoint *other = NULL;
	int ret;

	while ((other = next_of_group(ep, other)))
		if (has_pasids(other))
			return wr_fail(-EINVAL, "PASIDs of %s are attached, and the automatic page "
				       "table can't be used beside them: weir_hwpt_detach_pasid() "
				       "them first", other->name);
	if (ep->as->tracking && !ep->table->dirty)
		return wr_fail(-EINVAL, "dirty tracking is on, and the automatic page table has "
			       "none");
	ret = ep->domain->ops->table_use(ep->domain, ep, NULL, hwpt->table);
	if (ret)
		return ret;
	for (other = NULL; (other = next_of_group(ep, other));)
		unlink_attached(find(other, WR_NO_PASID));
	if (ep->group)
		ep->group->by_hand = false;
	used(hwpt->domain);
	return 0;
}

static int detach_pasid(struct weir_hwpt *hwpt, struct wr_endpoint *ep, uint32_t pasid)
{
	int ret = wr_cdev_detach_pasid(ep->fd, pasid);

	if (ret)
		return ret;
	unlink_attached(find(ep, pasid));
	used(hwpt->domain);
	return 0;
}

int wr_hwpt_detach(struct weir_hwpt *hwpt, struct wr_endpoint *ep, uint32_t pasid)
{
	struct weir_iommu *iommu = wr_endpoint_ioas(ep)->iommu;
	const struct wr_attached *a;
	struct weir_ioas *as;
	int ret = wr_ioas_check_change(wr_endpoint_ioas(ep));

	if (ret)
		return ret;
	pthread_mutex_lock(&iommu->attach_lock);
	as = ep->as;
	wr_ioas_lock_both(as, hwpt->as);
	a = find(ep, pasid);
	if (!a || a->hwpt != hwpt)
		ret = wr_fail(-EINVAL, "it isn't attached to that page table");
	else
		ret = pasid ? detach_pasid(hwpt, ep, pasid) : detach(hwpt, ep);
	wr_ioas_unlock_both(as, hwpt->as);
	pthread_mutex_unlock(&iommu->attach_lock);
	return ret;
}

void wr_hwpt_leave(struct wr_endpoint *ep)
{
	while (ep->attached) {
		struct wr_attached *a = ep->attached;
		struct wr_domain *d = a->hwpt->domain;

		/* The kernel does it as well, but only when the last fd of the device is closed. */
		if (a->pasid && wr_cdev_detach_pasid(ep->fd, a->pasid))
			wr_log(WEIR_LOG_WARN, "%s: %s", ep->name, weir_errmsg());
		if (!a->pasid && ep->group && ep->group->attached == 1)
			ep->group->by_hand = false;
		unlink_attached(a);
		used(d);
	}
}
