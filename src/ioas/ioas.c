/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: what is mapped, and where it is projected. Checks come first, then the domains,
 * then the books, so that a refusal changes nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/process.h"
#include "base/sys.h"
#include "ioas/handover.h"
#include "ioas/hwpt.h"
#include "ioas/ioas.h"
#include "ioas/iommu.h"
#include "kernel/group.h"
#include "kernel/uapi.h"
#include "mem/pages.h"
#include "viommu/unit.h"

/* IOVAs that every IOMMU reaches, until a domain says how far its own does. */
#define LIMIT_UNTOLD ((1ull << 39) - 1)

int weir_ioas_open(struct weir_iommu *iommu, struct weir_ioas **out)
{
	struct weir_ioas *as;
	int ret = iommu ? wr_check_process(iommu->process) : 0;

	if (ret)
		return ret;
	as = calloc(1, sizeof(*as));
	if (!as)
		return wr_fail(-ENOMEM, "no memory for an address space");
	if (!iommu) {
		ret = weir_iommu_open(NULL, &iommu);
		if (ret) {
			free(as);
			return ret;
		}
		as->private_iommu = true;
	}
	ret = wr_maps_init(&as->maps);
	if (!ret) {
		ret = wr_maps_set_ranges(&as->maps, &wr_ranges_default);
		if (ret)
			wr_maps_free(&as->maps);
	}
	if (ret) {
		if (as->private_iommu)
			weir_iommu_close(iommu);
		free(as);
		return wr_fail(ret, "no memory for an address space");
	}
	pthread_mutex_init(&as->lock, NULL);
	pthread_mutex_init(&as->books, NULL);
	as->iommu = iommu;
	wr_list_init(&as->domains);
	wr_list_init(&as->endpoints);
	wr_list_init(&as->ahead);
	wr_list_init(&as->hwpts);
	wr_list_init(&as->queues);
	as->limit = LIMIT_UNTOLD;
	as->record = -1;
	pthread_mutex_lock(&iommu->lock);
	iommu->spaces++;
	pthread_mutex_unlock(&iommu->lock);
	*out = as;
	return 0;
}

static int check_unused(struct weir_ioas *as)
{
	struct wr_endpoint *ep;

	wr_list_for_each(ep, &as->endpoints, link)
		if (!ep->unclaimed)
			return wr_fail(-EBUSY, "the address space is in use by %s: close the "
				       "device first", ep->name);
	if (as->mems)
		return wr_fail(-EBUSY, "the address space has memory from weir_mem_alloc() (%u "
			       "times): free it first", as->mems);
	if (!wr_list_empty(&as->hwpts))
		return wr_fail(-EBUSY, "the address space has page tables made by hand: "
			       "weir_hwpt_free() them first");
	return 0;
}

int weir_ioas_close(struct weir_ioas *as)
{
	struct weir_iommu *iommu;
	int ret;

	if (!as)
		return 0;
	ret = wr_ioas_check_process(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = check_unused(as);
	pthread_mutex_unlock(&as->lock);
	if (ret)
		return ret;

	iommu = as->iommu;
	wr_ioas_drop_parcels(as);
	wr_close(as->record);
	pthread_mutex_lock(&iommu->lock);
	iommu->spaces--;
	if (wr_iommu_handed(iommu) == as)
		__atomic_store_n(&iommu->handed, NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&iommu->lock);
	if (as->private_iommu)
		weir_iommu_close(iommu);
	wr_maps_free(&as->maps);
	wr_ioas_forget(as);
	wr_ioas_forget_ahead(as);
	pthread_mutex_destroy(&as->books);
	pthread_mutex_destroy(&as->lock);
	free(as);
	return 0;
}

int wr_ioas_in_use(struct weir_ioas *as, const char *name)
{
	struct wr_endpoint *ep;
	int ret = 0;

	pthread_mutex_lock(&as->lock);
	if (as->mems)
		ret = wr_fail(-EBUSY, "%s: memory from weir_mem_alloc() is in its private address "
			      "space: free it first", name);
	if (!ret && !wr_list_empty(&as->hwpts))
		ret = wr_fail(-EBUSY, "%s: its private address space has page tables made by hand: "
			      "weir_hwpt_free() them first", name);
	wr_list_for_each(ep, &as->endpoints, link)
		if (!ret && ep->name != name)
			ret = wr_fail(-EBUSY, "%s: %s uses its private address space: close that "
				      "device first", name, ep->name);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

/* ---- attach and detach ---- */

/* How far all devices reach. */
static weir_iova reach(const struct weir_ioas *as)
{
	bool told = as->allowed.n || as->windows.n || !wr_list_empty(&as->domains);
	weir_iova limit = told ? UINT64_MAX : LIMIT_UNTOLD;
	struct wr_endpoint *ep;

	wr_list_for_each(ep, &as->endpoints, link)
		if (ep->dma_bits < 64 && limit >> ep->dma_bits)
			limit = (1ull << ep->dma_bits) - 1;
	return limit;
}

/* Learn what holds on all domains; -ENOMEM leaves it as it was. */
static int recompute(struct weir_ioas *as)
{
	struct wr_ranges ranges = wr_ranges_default, in_windows;
	struct wr_windows windows;
	struct wr_domain *d;

	wr_ioas_learn_windows(as, &windows);
	if (as->allowed.n)
		ranges = as->allowed;
	else if (windows.n || !wr_list_empty(&as->domains))
		ranges = (struct wr_ranges){ .n = 1, .r = { { 0, UINT64_MAX } } };
	wr_list_for_each(d, &as->domains, link)
		wr_ranges_intersect(&ranges, &d->ranges);
	if (windows.n) {
		wr_ranges_of_windows(&windows, &in_windows);
		wr_ranges_intersect(&ranges, &in_windows);
	}
	if (wr_maps_set_ranges(&as->maps, &ranges))
		return wr_fail(-ENOMEM, "no memory for the free IOVAs");
	as->windows = windows;
	as->limit = reach(as);
	return 0;
}

static void add_domain(struct weir_ioas *as, struct wr_domain *d)
{
	pthread_mutex_lock(&as->books);
	wr_list_add_tail(&as->domains, &d->link);
	pthread_mutex_unlock(&as->books);
}

/* What doesn't translate dictates the IOVAs. */
static int check_alone(struct weir_ioas *as, const struct wr_domain_ops *ops)
{
	struct wr_domain *d = wr_ioas_placing(as);

	if (d)
		return wr_fail(-EINVAL, "a device without an IOMMU (%s) is in the address space, "
			       "whose IOVAs are physical addresses: take another one",
			       d->ops->name);
	if (as->placed)
		return wr_fail(-EINVAL, "the address space had a device without an IOMMU, and "
			       "still has what was mapped for it (%u times), at addresses where it "
			       "may no longer be: unmap that, or take another one", as->placed);
	if (ops->place && !wr_list_empty(&as->domains))
		return wr_fail(-EINVAL, "it has no IOMMU (%s), so that IOVAs are physical "
			       "addresses, and the address space has a device with other ones: "
			       "take another one", ops->name);
	if (ops->place && as->maps.n)
		return wr_fail(-EINVAL, "it has no IOMMU (%s), so that IOVAs are physical "
			       "addresses, and the address space has mappings with other ones: "
			       "open the device first, then map", ops->name);
	return 0;
}

static int open_domain(struct weir_ioas *as, const struct wr_domain_ops *ops,
		       struct wr_endpoint *ep)
{
	struct wr_domain *d;
	int ret = check_alone(as, ops);

	if (!ret)
		ret = ops->create(as->iommu, ep, &d);
	if (ret)
		return ret;
	ret = ops->join(d, ep);
	if (ret)
		goto destroy;
	ret = wr_ioas_replay(as, d);
	if (ret)
		goto leave;
	add_domain(as, d);
	d->endpoints = 1;
	ep->domain = d;
	return 0;
leave:
	ops->leave(d, ep);
destroy:
	ops->destroy(d);
	return ret;
}

/* A device more in a domain, which must go on to have what is allowed. */
static int join(const struct weir_ioas *as, struct wr_domain *d, struct wr_endpoint *ep)
{
	int ret = d->ops->join(d, ep);

	if (ret)
		return ret;
	ret = wr_ioas_check_served(as, d);
	if (ret)
		d->ops->leave(d, ep);
	return ret;
}

/* Another device of its group is attached: it goes where the group is, which must be here. */
static int follow_group(struct weir_ioas *as, struct wr_endpoint *ep)
{
	struct wr_domain *d;

	if (ep->group->by_hand)
		return wr_fail(-EBUSY, "group %d, which it is in, is attached to a page table made "
			       "by hand: weir_hwpt_detach() it, open this device, and attach them "
			       "again", ep->group->number);
	wr_list_for_each(d, &as->domains, link) {
		if (d == ep->group->domain) {
			int ret = join(as, d, ep);

			if (ret)
				return ret;
			d->endpoints++;
			ep->domain = d;
			return 0;
		}
	}
	return wr_fail(-EBUSY, "group %d, which it is in, is attached to another address space: "
		       "open it in that one (weir_device_opts.ioas)", ep->group->number);
}

/*
 * Interfaces can lack, or be refused to a device or a user; other errors, of memory for instance,
 * are the same on all.
 */
static bool is_refusal(int ret)
{
	switch (ret) {
	case -ENOTSUP:
	case -EINVAL:
	case -EPERM:
	case -EACCES:
	case -EBUSY:
	case -ENODEV:
		return true;
	default:
		return false;
	}
}

static int join_domain(struct weir_ioas *as, struct wr_endpoint *ep)
{
	struct wr_domain *d;
	int ret;

	wr_list_for_each(d, &as->domains, link) {
		if (!d->ops->fits(ep))
			continue;
		ret = join(as, d, ep);
		if (ret)
			wr_log(WEIR_LOG_INFO, "%s: can't join the address space's %s domain: %s",
			       ep->name, d->ops->name, weir_errmsg());
		/* It may do by itself. */
		if (is_refusal(ret))
			continue;
		if (ret)
			return ret;
		d->endpoints++;
		ep->domain = d;
		wr_log(WEIR_LOG_INFO, "%s: joins the address space's %s domain", ep->name,
		       d->ops->name);
		return 0;
	}
	return -ENOENT;
}

/* Why no interface works: of those that the kernel has, why the first one doesn't. */
struct refusals {
	int err;			/* 0: none was tried */
	unsigned int n;
	char why[512];
};

static void refused(struct refusals *r, const char *name, int err)
{
	if (r->err && r->err != -ENOTSUP)
		return;
	if (!r->err || err != -ENOTSUP) {
		snprintf(r->why, sizeof(r->why), "%s", weir_errmsg());
		r->n = 1;
	} else if (!strstr(r->why, weir_errmsg())) {
		wr_append(r->why, sizeof(r->why), "; %s: %s", name, weir_errmsg());
		r->n++;
	}
	r->err = err;
}

static bool is_for_this_machine(const struct wr_domain_ops *ops)
{
	return ops->where == WR_ANYWHERE || (ops->where == WR_POWER_ALONE) == wr_sys->power();
}

/* The first interface that works, with a word on each that doesn't. */
static int choose_domain(struct weir_ioas *as, struct wr_endpoint *ep)
{
	const struct wr_domain_ops *forced = ep->group ? as->iommu->forced : NULL;
	struct refusals refusals = { 0 };
	int ret;

	if (forced && !is_for_this_machine(forced))
		return wr_fail(-ENOTSUP, "%s, which is asked for, %s", forced->name,
			       wr_sys->power() ? "isn't on POWER, which has spaprv2 and spapr" :
			       "is for POWER alone, which this machine isn't");
	for (size_t i = 0; wr_domains[i]; i++) {
		const struct wr_domain_ops *ops = wr_domains[i];

		if (!ops->fits(ep) || !is_for_this_machine(ops))
			continue;
		if (forced && ops != forced) {
			wr_log(WEIR_LOG_INFO, "%s: %s not tried: %s is asked for", ep->name,
			       ops->name, forced->name);
			continue;
		}
		ret = open_domain(as, ops, ep);
		if (!ret) {
			wr_log(WEIR_LOG_INFO, "%s: attached by %s", ep->name, ops->name);
			return 0;
		}
		wr_log(WEIR_LOG_INFO, "%s: %s doesn't work: %s", ep->name, ops->name,
		       weir_errmsg());
		if (!is_refusal(ret))
			return ret;
		refused(&refusals, ops->name, ret);
	}
	if (!refusals.err && forced && !forced->place == ep->group->noiommu)
		return wr_fail(-ENOTSUP, "%s, which is asked for, is for devices %s an IOMMU",
			       forced->name, forced->place ? "without" : "with");
	if (!refusals.err)
		return wr_fail(-ENOTSUP, "no IOMMU interface for such a device");
	return wr_fail(refusals.err, "%s%s", refusals.n > 1 ? "no IOMMU interface works: " : "",
		       refusals.why);
}

int wr_ioas_check_process(const struct weir_ioas *as)
{
	return wr_check_process(as->iommu->process);
}

int wr_ioas_check_close(const struct weir_ioas *as)
{
	int ret = wr_ioas_check_process(as);

	if (ret || !wr_unit_in_bracket())
		return ret;
	return wr_fail(-EDEADLK, "a device model changes mappings between weir_model_dma_begin() "
		       "and _end(), which the change would wait for");
}

int wr_ioas_check_change(const struct weir_ioas *as)
{
	int ret = wr_ioas_check_close(as);

	if (ret || !wr_ioas_handed(as))
		return ret;
	return wr_fail(-EPERM, "the address space was handed over by weir_ioas_export(), and is "
		       "another process's: weir_ioas_keep() takes it back");
}

static void leave(struct weir_ioas *as, struct wr_domain *d, struct wr_endpoint *ep)
{
	pthread_mutex_lock(&as->books);
	wr_list_del(&ep->link);
	d->endpoints--;
	if (!wr_domain_kept(d))
		wr_list_del(&d->link);
	pthread_mutex_unlock(&as->books);
}

static void detach_locked(struct weir_ioas *as, struct wr_endpoint *ep)
{
	struct wr_domain *d = ep->domain;

	wr_hwpt_leave(ep);
	leave(as, d, ep);
	ep->domain = NULL;
	if (ep->group && !--ep->group->attached)
		ep->group->domain = NULL;
	d->ops->leave(d, ep);
	if (!wr_domain_kept(d))
		d->ops->destroy(d);
	pthread_mutex_lock(&as->books);
	if (wr_list_empty(&as->domains))
		as->tracking = false;
	/* Without memory for others, the old ranges will do: an attach checks what is mapped. */
	recompute(as);
	pthread_mutex_unlock(&as->books);
}

static int attach_locked(struct weir_ioas *as, struct wr_endpoint *ep)
{
	int ret;

	if (ep->group && ep->group->attached) {
		ret = follow_group(as, ep);
	} else {
		ret = join_domain(as, ep);
		if (ret == -ENOENT)
			ret = choose_domain(as, ep);
	}
	if (ret)
		return ret;
	if (ep->group) {
		ep->group->domain = ep->domain;
		ep->group->attached++;
	}
	__atomic_store_n(&ep->as, as, __ATOMIC_RELAXED);
	pthread_mutex_lock(&as->books);
	wr_list_add_tail(&as->endpoints, &ep->link);
	ret = recompute(as);
	pthread_mutex_unlock(&as->books);
	if (ret)
		detach_locked(as, ep);
	return ret;
}

int wr_ioas_attach(struct weir_ioas *as, struct wr_endpoint *ep)
{
	struct wr_parcel *parcel;
	int ret;

	ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->iommu->attach_lock);
	pthread_mutex_lock(&as->lock);
	parcel = wr_ioas_parcel_for(as, ep);
	ret = parcel ? wr_ioas_claim(as, ep, parcel) : attach_locked(as, ep);
	pthread_mutex_unlock(&as->lock);
	pthread_mutex_unlock(&as->iommu->attach_lock);
	return ret ? wr_fail_in(ret, "%s", ep->name) : 0;
}

void wr_ioas_detach(struct wr_endpoint *ep)
{
	struct weir_ioas *as = ep->as;

	pthread_mutex_lock(&as->iommu->attach_lock);
	pthread_mutex_lock(&as->lock);
	if (ep->parcel && !ep->unclaimed)
		wr_ioas_unclaim(as, ep);
	else
		detach_locked(as, ep);
	pthread_mutex_unlock(&as->lock);
	pthread_mutex_unlock(&as->iommu->attach_lock);
}

void wr_ioas_replace(struct weir_ioas *as, struct wr_endpoint *old, struct wr_endpoint *ep)
{
	pthread_mutex_lock(&as->books);
	wr_list_del(&old->link);
	wr_list_add_tail(&as->endpoints, &ep->link);
	as->limit = reach(as);
	pthread_mutex_unlock(&as->books);
}

/* ---- from one address space to another ---- */

int wr_ioas_domain_like(struct weir_ioas *as, struct wr_endpoint *ep, struct wr_domain **out)
{
	const struct wr_domain_ops *ops = ep->domain->ops;
	struct wr_domain *d;
	int ret;

	wr_list_for_each(d, &as->domains, link) {
		if (d->ops == ops) {
			*out = d;
			return 0;
		}
	}
	ret = check_alone(as, ops);
	return ret ? ret : ops->create(as->iommu, ep, out);
}

/* The domain of @as that @ep can go to, or a new one, not yet in its list. */
static int domain_for(struct weir_ioas *as, struct wr_endpoint *ep, struct wr_domain **out)
{
	int ret = wr_ioas_domain_like(as, ep, out);

	if (ret || wr_domain_kept(*out))
		return ret;
	ret = wr_ioas_replay(as, *out);
	if (ret)
		(*out)->ops->destroy(*out);
	return ret;
}

void wr_ioas_enter(struct weir_ioas *as, struct wr_domain *d, struct wr_endpoint *ep)
{
	pthread_mutex_lock(&as->books);
	if (!wr_domain_kept(d))
		wr_list_add_tail(&as->domains, &d->link);
	d->endpoints++;
	wr_list_add_tail(&as->endpoints, &ep->link);
	pthread_mutex_unlock(&as->books);
	__atomic_store_n(&ep->as, as, __ATOMIC_RELAXED);
	ep->domain = d;
	if (ep->group)
		ep->group->domain = d;
}

int wr_ioas_recompute(struct weir_ioas *as)
{
	int ret;

	pthread_mutex_lock(&as->books);
	if (wr_list_empty(&as->domains))
		as->tracking = false;
	ret = recompute(as);
	pthread_mutex_unlock(&as->books);
	return ret;
}

static int go_to(struct weir_ioas *to, struct wr_domain *d, struct wr_endpoint *ep)
{
	struct weir_ioas *from = ep->as;
	struct wr_domain *old = ep->domain;
	char cause[512];
	int ret = d->ops->take(d, ep);

	if (ret)
		return ret;
	leave(from, old, ep);
	wr_ioas_enter(to, d, ep);
	ret = wr_ioas_recompute(to);
	if (!ret) {
		if (!wr_domain_kept(old))
			old->ops->destroy(old);
		/* Ranges only grow here: without memory for that, the old ones will do. */
		wr_ioas_recompute(from);
		return 0;
	}
	snprintf(cause, sizeof(cause), "%s", weir_errmsg());
	if (old->ops->take(old, ep))
		return wr_fail(ret, "%s; and it can't go back: %s", cause, weir_errmsg());
	leave(to, d, ep);
	wr_ioas_enter(from, old, ep);
	return wr_fail(ret, "%s", cause);
}

static int move_locked(struct weir_ioas *to, struct wr_endpoint *ep)
{
	struct wr_domain *d;
	int ret;

	if (!ep->domain->ops->take)
		return wr_fail(-ENOTSUP, "%s can't move a device to another address space while it "
			       "is open", ep->domain->ops->name);
	if (ep->attached)
		return wr_fail(-EBUSY, "it, or a PASID of it, is attached to a page table made by "
			       "hand: weir_hwpt_detach() it first");
	if (ep->group && ep->group->attached > 1)
		return wr_fail(-EBUSY, "others of group %d are attached, and can't be in another "
			       "address space than it: close them first", ep->group->number);
	ret = domain_for(to, ep, &d);
	if (ret)
		return ret;
	if (ep->hold)
		ep->hold(ep);
	ret = go_to(to, d, ep);
	if (ep->go_on)
		ep->go_on(ep);
	if (!wr_domain_kept(d))
		d->ops->destroy(d);
	return ret;
}

void wr_ioas_lock_both(struct weir_ioas *a, struct weir_ioas *b)
{
	pthread_mutex_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		pthread_mutex_lock(a < b ? &b->lock : &a->lock);
}

void wr_ioas_unlock_both(struct weir_ioas *a, struct weir_ioas *b)
{
	pthread_mutex_unlock(&a->lock);
	if (a != b)
		pthread_mutex_unlock(&b->lock);
}

int wr_ioas_move(struct wr_endpoint *ep, struct weir_ioas *to)
{
	struct weir_iommu *iommu = to->iommu;
	struct weir_ioas *from;
	int ret = wr_ioas_check_change(to);

	if (ret)
		return ret;
	pthread_mutex_lock(&iommu->attach_lock);
	from = ep->as;
	if (from != to) {
		wr_ioas_lock_both(from, to);
		ret = move_locked(to, ep);
		wr_ioas_unlock_both(from, to);
	}
	pthread_mutex_unlock(&iommu->attach_lock);
	return ret ? wr_fail_in(ret, "%s", ep->name) : 0;
}

/* Whether, under its lock, it is still the address space of a device, which may have moved. */
static bool is_space_of(const struct weir_ioas *as, const struct wr_endpoint *ep)
{
	return __atomic_load_n(&ep->as, __ATOMIC_RELAXED) == as;
}

int wr_ioas_eeh(struct wr_endpoint *ep, unsigned int op, const struct weir_eeh_error *error)
{
	struct weir_ioas *as = __atomic_load_n(&ep->as, __ATOMIC_RELAXED);
	const struct wr_domain_ops *ops;
	int ret;

	pthread_mutex_lock(&as->lock);
	ops = is_space_of(as, ep) ? ep->domain->ops : NULL;
	/* POWER's devices don't move. */
	if (ops && ops->eeh)
		ret = ops->eeh(ep->domain, op, error);
	else
		ret = wr_fail(-ENOTSUP, "EEH is POWER's, and the device isn't attached by its "
			      "interfaces");
	pthread_mutex_unlock(&as->lock);
	return ret;
}

bool wr_ioas_frozen(struct wr_endpoint *ep)
{
	struct weir_ioas *as = __atomic_load_n(&ep->as, __ATOMIC_RELAXED);
	bool frozen;

	/* Registers are read in a model's bracket, too, for which the lock's holder may wait. */
	if (pthread_mutex_trylock(&as->lock))
		return false;
	frozen = is_space_of(as, ep) && ep->domain->ops->eeh &&
		 ep->domain->ops->eeh(ep->domain, WR_VFIO_EEH_GET_STATE, NULL) > 0;
	pthread_mutex_unlock(&as->lock);
	return frozen;
}

/* ---- ranges, capabilities, faults ---- */

int weir_ioas_ranges(struct weir_ioas *as, struct weir_iova_range *ranges, size_t n)
{
	int count = wr_ioas_check_process(as);

	if (count)
		return count;
	pthread_mutex_lock(&as->books);
	count = (int)as->maps.ranges.n;
	for (size_t i = 0; i < n && i < as->maps.ranges.n; i++)
		ranges[i] = as->maps.ranges.r[i];
	pthread_mutex_unlock(&as->books);
	return count;
}

static void caps_locked(struct weir_ioas *as, struct weir_ioas_caps *caps)
{
	enum weir_dirty dirty;
	struct wr_domain *d;
	uint64_t room;

	*caps = (struct weir_ioas_caps){ .degraded = as->degraded, .mappings = UINT64_MAX };
	wr_list_for_each(d, &as->domains, link) {
		if (!caps->domains++) {
			caps->page_sizes = ~0ull;
			caps->isolation = true;
			caps->dirty = WEIR_DIRTY_EXACT;
		}
		caps->page_sizes &= __atomic_load_n(&d->page_sizes, __ATOMIC_RELAXED);
		caps->isolation = caps->isolation && d->isolation;
		caps->faults = caps->faults || d->ops->faults;
		dirty = __atomic_load_n(&d->dirty, __ATOMIC_RELAXED);
		if (dirty < caps->dirty)
			caps->dirty = dirty;
		room = __atomic_load_n(&d->room, __ATOMIC_RELAXED);
		if (room < caps->mappings)
			caps->mappings = room;
	}
}

int weir_ioas_caps(struct weir_ioas *as, struct weir_ioas_caps *caps)
{
	int ret = wr_ioas_check_process(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->books);
	caps_locked(as, caps);
	pthread_mutex_unlock(&as->books);
	return 0;
}

int weir_ioas_faults(struct weir_ioas *as, struct weir_fault *faults, size_t n)
{
	int count = -ENOTSUP, ret = wr_ioas_check_process(as);
	struct wr_domain *d;

	if (ret)
		return ret;
	pthread_mutex_lock(&as->books);
	wr_list_for_each(d, &as->domains, link) {
		if (!d->ops->faults)
			continue;
		if (count < 0)
			count = 0;
		count += d->ops->faults(d, faults + count, n - (size_t)count);
	}
	pthread_mutex_unlock(&as->books);
	if (count < 0)
		return wr_fail(count, "no attached IOMMU interface records faults; those of the "
			       "kernel are in its log");
	return count;
}
