/* SPDX-License-Identifier: MIT */
/*
 * Page tables by hand. What can't be is found out here, before the kernel says EBUSY or EINVAL and
 * no more.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "ioas/hwpt.h"
#include "kernel/hwpt.h"
#include "kernel/iommufd.h"

static void lock(struct weir_ioas *as)
{
	pthread_mutex_lock(&as->iommu->attach_lock);
	pthread_mutex_lock(&as->lock);
}

static void unlock(struct weir_ioas *as)
{
	pthread_mutex_unlock(&as->lock);
	pthread_mutex_unlock(&as->iommu->attach_lock);
}

/* ---- making and freeing ---- */

static struct weir_hwpt *new_hwpt(struct weir_ioas *as, struct weir_faultq *faults)
{
	struct weir_hwpt *hwpt = calloc(1, sizeof(*hwpt));

	if (!hwpt) {
		wr_fail(-ENOMEM, "no memory for a page table");
		return NULL;
	}
	hwpt->as = as;
	hwpt->faults = faults;
	wr_list_init(&hwpt->link);
	return hwpt;
}

static int check_faults(const struct weir_faultq *faults, const struct weir_iommu *iommu)
{
	if (!faults || wr_faultq_is_of(faults, iommu))
		return 0;
	return wr_fail(-EINVAL, "the fault queue is of another context than the device");
}

static int has_none(const struct wr_domain *d)
{
	return wr_fail(-ENOTSUP, "it is attached by %s, which has no page tables made by hand: "
		       "\"iommufd\" and the software IOMMU have", d->ops->name);
}

static int fill_table(struct weir_ioas *as, struct wr_domain *d, struct wr_table *table)
{
	int ret = wr_ioas_check_served(as, d);
	struct wr_mapping m;
	weir_iova at = 0;

	while (!ret && d->ops->table_map && wr_ioas_next(as, at, UINT64_MAX, &m)) {
		ret = d->ops->table_map(d, table, &m);
		at = m.iova + m.len;
		if (!at)
			break;
	}
	return ret;
}

/* On a domain without a page table there was nothing yet that could be mapped, or refused. */
static int fill_domain(struct weir_ioas *as, struct wr_domain *d, struct weir_hwpt *hwpt)
{
	bool old = wr_domain_kept(d);
	int ret = old ? fill_table(as, d, hwpt->table) : wr_ioas_replay(as, d);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->books);
	if (!old)
		wr_list_add_tail(&as->domains, &d->link);
	wr_list_add_tail(&as->hwpts, &hwpt->link);
	pthread_mutex_unlock(&as->books);
	d->hwpts++;
	hwpt->domain = d;
	return wr_ioas_recompute(as);
}

/* With its page table, which nobody uses; and the domain, if nobody else needs it. */
static void drop_paging(struct weir_hwpt *hwpt)
{
	struct weir_ioas *as = hwpt->as;
	struct wr_domain *d = hwpt->domain;

	pthread_mutex_lock(&as->books);
	wr_list_del(&hwpt->link);
	d->hwpts--;
	if (!wr_domain_kept(d))
		wr_list_del(&d->link);
	pthread_mutex_unlock(&as->books);
	d->ops->table_free(d, hwpt->table);
	if (!wr_domain_kept(d))
		d->ops->destroy(d);
	/* Without memory for it the ranges stay the narrower. */
	wr_ioas_recompute(as);
}

static int make_paging(struct weir_ioas *as, struct wr_endpoint *ep,
		       const struct wr_table_spec *spec, struct weir_hwpt *hwpt)
{
	struct wr_domain *d;
	int ret;

	if (!ep->domain->ops->table_alloc)
		return has_none(ep->domain);
	ret = wr_ioas_domain_like(as, ep, &d);
	if (ret)
		return ret;
	ret = d->ops->table_alloc(d, ep, spec, &hwpt->table);
	if (ret)
		goto put_domain;
	ret = fill_domain(as, d, hwpt);
	if (!ret)
		return 0;
	if (hwpt->domain) {
		drop_paging(hwpt);
		return ret;
	}
	d->ops->table_free(d, hwpt->table);
put_domain:
	if (!wr_domain_kept(d))
		d->ops->destroy(d);
	return ret;
}

static int check_opts(const struct weir_hwpt_opts *opts, const struct weir_ioas *as)
{
	int ret = WR_RESERVED(opts, "weir_hwpt_opts");

	if (!ret)
		ret = wr_ioas_check_change(as);
	if (!ret)
		ret = check_faults(opts->faults, as->iommu);
	if (!ret && opts->nest_parent && opts->faults)
		ret = wr_fail(-EINVAL, "a nest parent has no page faults: those of a nested table "
			      "are its own");
	return ret;
}

/* With a fault queue it is held until wr_faultq_put(). */
static struct wr_table_spec spec_of(const struct weir_hwpt_opts *opts)
{
	return (struct wr_table_spec){
		.nest_parent = opts->nest_parent,
		.dirty = opts->dirty,
		.pasid = opts->pasid,
		.faults = opts->faults ? wr_faultq_get(opts->faults) : 0,
	};
}

static const struct weir_hwpt_opts plain_opts;

int wr_hwpt_alloc(struct weir_ioas *as, struct wr_endpoint *ep, const struct weir_hwpt_opts *opts,
		  struct weir_hwpt **out)
{
	struct wr_table_spec spec;
	struct weir_hwpt *hwpt;
	int ret;

	if (!opts)
		opts = &plain_opts;
	ret = check_opts(opts, as);
	if (ret)
		return ret;
	hwpt = new_hwpt(as, opts->faults);
	if (!hwpt)
		return -ENOMEM;
	hwpt->nest_parent = opts->nest_parent;
	hwpt->pasid = opts->pasid;
	hwpt->dirty = opts->dirty;
	lock(as);
	spec = spec_of(opts);
	ret = make_paging(as, ep, &spec, hwpt);
	if (ret && opts->faults)
		wr_faultq_put(opts->faults);
	unlock(as);
	if (ret)
		free(hwpt);
	else
		*out = hwpt;
	return ret;
}

/* The interface tells of what all tables of a domain can have: one has a domain for itself. */
static int ranges_of(struct wr_endpoint *ep, const struct wr_table_spec *spec,
		     struct wr_ranges *ranges)
{
	const struct wr_domain_ops *ops = ep->domain->ops;
	struct wr_table *table;
	struct wr_domain *d;
	int ret;

	if (!ops->table_alloc)
		return has_none(ep->domain);
	ret = ops->create(ep->as->iommu, ep, &d);
	if (ret)
		return ret;
	ret = ops->table_alloc(d, ep, spec, &table);
	if (!ret) {
		*ranges = d->ranges;
		ops->table_free(d, table);
	}
	ops->destroy(d);
	return ret;
}

int wr_hwpt_ranges(struct wr_endpoint *ep, const struct weir_hwpt_opts *opts,
		   struct wr_ranges *ranges)
{
	struct weir_iommu *iommu = wr_endpoint_ioas(ep)->iommu;
	struct wr_table_spec spec;
	int ret;

	if (!opts)
		opts = &plain_opts;
	ret = check_opts(opts, wr_endpoint_ioas(ep));
	if (ret)
		return ret;
	pthread_mutex_lock(&iommu->attach_lock);
	spec = spec_of(opts);
	ret = ranges_of(ep, &spec, ranges);
	if (opts->faults)
		wr_faultq_put(opts->faults);
	pthread_mutex_unlock(&iommu->attach_lock);
	return ret;
}

/* What holds a page table, in a sentence: -EBUSY, or 0 for nothing. */
static int check_free(const struct weir_hwpt *hwpt)
{
	const struct wr_attached *a = hwpt->attached;

	if (a && a->pasid)
		return wr_fail(-EBUSY, "the page table is in use: PASID %u of %s is attached to "
			       "it: weir_hwpt_detach_pasid() first", a->pasid, a->ep->name);
	if (a)
		return wr_fail(-EBUSY, "the page table is in use: %s is attached to it: "
			       "weir_hwpt_detach() first", a->ep->name);
	if (hwpt->children)
		return wr_fail(-EBUSY, "the page table is in use: %u nested page tables or vIOMMUs "
			       "are made from it: free them first", hwpt->children);
	return 0;
}

static void drop_nested(struct weir_hwpt *hwpt)
{
	wr_iommufd_destroy(hwpt->as->iommu->iommufd, hwpt->table->number);
	free(hwpt->table);
	hwpt->parent->children -= !hwpt->viommu;
	if (hwpt->viommu)
		hwpt->viommu->children--;
}

int weir_hwpt_free(struct weir_hwpt *hwpt)
{
	struct weir_ioas *as;
	int ret;

	if (!hwpt)
		return 0;
	as = hwpt->as;
	ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	lock(as);
	ret = check_free(hwpt);
	if (!ret) {
		if (hwpt->parent)
			drop_nested(hwpt);
		else
			drop_paging(hwpt);
		if (hwpt->faults)
			wr_faultq_put(hwpt->faults);
	}
	unlock(as);
	if (!ret)
		free(hwpt);
	return ret;
}

/* ---- nested tables ---- */

static int check_vtd(const struct weir_vtd_s1 *s1)
{
	const uint64_t known = WEIR_VTD_S1_SRE | WEIR_VTD_S1_EAFE | WEIR_VTD_S1_WPE;

	if (s1->width != 48 && s1->width != 57)
		return wr_fail(-EINVAL, "weir_vtd_s1.width is %u: VT-d's first stage is 48 or 57 "
			       "bits wide", s1->width);
	if (s1->flags & ~known || s1->reserved)
		return wr_fail(-EINVAL, "weir_vtd_s1.flags or .reserved has a bit that nobody "
			       "knows");
	if (s1->flags & WEIR_VTD_S1_WPE && !(s1->flags & WEIR_VTD_S1_SRE))
		return wr_fail(-EINVAL, "weir_vtd_s1.flags: WPE is for supervisor requests, which "
			       "SRE allows");
	if (s1->table & 0xfff)
		return wr_fail(-EINVAL, "weir_vtd_s1.table, 0x%" PRIx64 ", isn't the address of a "
			       "page", s1->table);
	return 0;
}

/* What a guest may say of its stage 1, and nothing of stage 2: specification, section 5.2. */
#define STE0_ALLOWED	UINT64_C(0xf80fffffffffffff) /* V, Config, S1Fmt, S1ContextPtr, S1CDMax */
#define STE1_ALLOWED	UINT64_C(0x380000ff)	/* S1DSS, S1CIR, S1COR, S1CSH; S1STALLD, EATS */

/* arm_smmu_validate_vste(); without V nothing else counts. */
static int check_ste(const struct weir_smmuv3_ste *guest)
{
	uint64_t first = le64toh(guest->ste[0]), second = le64toh(guest->ste[1]);
	unsigned int config = first >> 1 & 7, eats = second >> 28 & 3;

	if (!(first & 1))
		return 0;
	if (first & ~STE0_ALLOWED || second & ~STE1_ALLOWED)
		return wr_fail(-EINVAL, "weir_smmuv3_ste has bits that a guest's stage 1 hasn't "
			       "got: 0x%" PRIx64 ", 0x%" PRIx64, first & ~STE0_ALLOWED,
			       second & ~STE1_ALLOWED);
	if (config != 0 && config != 4 && config != 5)
		return wr_fail(-EINVAL, "weir_smmuv3_ste: Config is %u: a guest's is 0 (abort), 4 "
			       "(bypass) or 5 (stage 1)", config);
	if (eats > 1)
		return wr_fail(-EINVAL, "weir_smmuv3_ste: EATS is %u: a guest's is 0 or 1", eats);
	return 0;
}

/* arm_smmu_attach_prepare_vmaster(): one that stops all, or lets all through, needs no number. */
static bool needs_number(const struct weir_nested *nested)
{
	return nested->type == WEIR_NESTED_SMMUV3 &&
	       (le64toh(nested->u.smmuv3.ste[0]) & 0xf) == (1 | 5 << 1);
}

/* What the kernel gets of it, checked as far as can be without knowing the hardware. */
static int describe(const struct weir_nested *nested, bool on_viommu, struct wr_hwpt_spec *spec)
{
	switch (nested->type) {
	case WEIR_NESTED_VTD_S1:
		spec->type = nested->type;
		spec->data = &nested->u.vtd_s1;
		spec->len = sizeof(nested->u.vtd_s1);
		return check_vtd(&nested->u.vtd_s1);
	case WEIR_NESTED_SMMUV3:
		spec->data = &nested->u.smmuv3;
		spec->len = sizeof(nested->u.smmuv3);
		break;
	case WEIR_NESTED_AMD:
		spec->data = &nested->u.amd;
		spec->len = sizeof(nested->u.amd);
		break;
	case WEIR_NESTED_RAW:
		spec->type = nested->u.raw.type;
		spec->data = nested->u.raw.data;
		spec->len = nested->u.raw.len;
		if (!spec->type || !spec->len || !spec->data)
			return wr_fail(-EINVAL, "weir_nested.u.raw has no type, or no data");
		return 0;
	default:
		return wr_fail(-EINVAL, "weir_nested.type is %d, which weir doesn't know: "
			       "WEIR_NESTED_RAW takes any", (int)nested->type);
	}
	spec->type = nested->type;
	if (!on_viommu)
		return wr_fail(-ENOTSUP, "nested tables of this type are made by a vIOMMU: "
			       "weir_viommu_nest()");
	return nested->type == WEIR_NESTED_SMMUV3 ? check_ste(&nested->u.smmuv3) : 0;
}

static int make_nested(struct weir_hwpt *hwpt, const struct wr_hwpt_spec *spec)
{
	struct wr_table *table = calloc(1, sizeof(*table));
	int ret;

	if (!table)
		return wr_fail(-ENOMEM, "no memory for a page table");
	table->by_hand = true;
	table->pasid = spec->flags & WR_IOMMU_HWPT_PASID;
	ret = wr_iommufd_hwpt_alloc(hwpt->as->iommu->iommufd, spec, &table->number);
	if (ret) {
		free(table);
		return ret;
	}
	hwpt->table = table;
	hwpt->parent->children += !hwpt->viommu;
	if (hwpt->viommu)
		hwpt->viommu->children++;
	return 0;
}

int wr_hwpt_check_parent(const struct weir_hwpt *parent, const struct wr_endpoint *ep)
{
	if (ep->as->iommu != parent->as->iommu)
		return wr_fail(-EINVAL, "the page table is of another context than the device");
	if (ep->domain->ops != &wr_domain_iommufd)
		return has_none(ep->domain);
	if (!parent->nest_parent)
		return wr_fail(-EINVAL, "the page table is no nest parent: make it with "
			       "weir_hwpt_opts.nest_parent");
	return 0;
}

/* Only IOMMUFD makes nest parents. */
int wr_hwpt_nest(struct weir_hwpt *parent, struct weir_viommu *viommu, struct wr_endpoint *ep,
		 const struct weir_nested *nested, const struct weir_nested_opts *opts,
		 struct weir_hwpt **out)
{
	static const struct weir_nested_opts plain;
	struct wr_hwpt_spec spec = {
		.devid = ep->devid,
		.on = viommu ? viommu->number : parent->table->number,
	};
	struct weir_hwpt *hwpt;
	int ret;

	if (!opts)
		opts = &plain;
	ret = WR_RESERVED(opts, "weir_nested_opts");
	if (!ret)
		ret = wr_ioas_check_change(parent->as);
	if (!ret)
		ret = check_faults(opts->faults, parent->as->iommu);
	if (!ret)
		ret = describe(nested, viommu, &spec);
	if (ret)
		return ret;
	hwpt = new_hwpt(parent->as, opts->faults);
	if (!hwpt)
		return -ENOMEM;
	hwpt->parent = parent;
	hwpt->viommu = viommu;
	hwpt->domain = parent->domain;
	hwpt->pasid = opts->pasid;
	hwpt->by_number = needs_number(nested);
	spec.flags = (opts->pasid ? WR_IOMMU_HWPT_PASID : 0) |
		     (opts->faults ? WR_IOMMU_HWPT_FAULT : 0);
	lock(parent->as);
	if (opts->faults)
		spec.faults = wr_faultq_get(opts->faults);
	ret = wr_hwpt_check_parent(parent, ep);
	if (!ret)
		ret = make_nested(hwpt, &spec);
	if (ret && opts->faults)
		wr_faultq_put(opts->faults);
	unlock(parent->as);
	if (ret)
		free(hwpt);
	else
		*out = hwpt;
	return ret;
}

int weir_hwpt_invalidate(struct weir_hwpt *hwpt, uint32_t type, const void *entries, size_t size,
			 size_t n, size_t *done)
{
	size_t unused;
	int ret = wr_ioas_check_process(hwpt->as);

	done = done ? done : &unused;
	*done = 0;
	if (ret)
		return ret;
	if (!hwpt->parent)
		return wr_fail(-ENOTSUP, "the page table isn't nested: weir invalidates what it "
			       "maps and unmaps itself");
	return wr_iommufd_invalidate(hwpt->as->iommu->iommufd, hwpt->table->number, type, entries,
				     size, n, done);
}

/* ---- the hardware ---- */

int wr_hw_info(const struct wr_endpoint *ep, uint32_t type, struct weir_hw_info *info)
{
	struct weir_iommu *iommu = wr_endpoint_ioas(ep)->iommu;
	int ret = wr_ioas_check_change(wr_endpoint_ioas(ep));

	if (ret)
		return ret;
	pthread_mutex_lock(&iommu->attach_lock);
	if (ep->domain->ops->hw_info)
		ret = ep->domain->ops->hw_info(ep->domain, ep, type, info);
	else
		ret = wr_fail(-ENOTSUP, "it is attached by %s, which doesn't tell what the IOMMU "
			      "can do: \"iommufd\" does", ep->domain->ops->name);
	pthread_mutex_unlock(&iommu->attach_lock);
	return ret;
}
