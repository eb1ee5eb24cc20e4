/* SPDX-License-Identifier: MIT */
/*
 * What the owner of an address space wants of it: where IOVAs are to lie, and how large pages may
 * be (for windows see window.c). It holds on all domains, those also that come later, on which all
 * that is mapped is mapped.
 */
#include <inttypes.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/ioas.h"

void wr_ioas_list_ranges(const struct wr_ranges *ranges, char *text, size_t size)
{
	for (size_t i = 0; i < ranges->n; i++)
		wr_append(text, size, "%s0x%" PRIx64 "-0x%" PRIx64, i ? ", " : "",
			  ranges->r[i].first, ranges->r[i].last);
	if (!ranges->n)
		wr_append(text, size, "there is none");
}

/* ---- where IOVAs lie ---- */

static int check_served(const struct wr_domain *d, const struct wr_ranges *allowed)
{
	char text[256] = "";

	for (size_t i = 0; i < allowed->n; i++) {
		const struct weir_iova_range *r = &allowed->r[i];

		if (wr_ranges_hold(&d->ranges, r->first, r->last))
			continue;
		wr_ioas_list_ranges(&d->ranges, text, sizeof(text));
		return wr_fail(-EINVAL, "IOVA 0x%" PRIx64 " to 0x%" PRIx64 " must be had, by "
			       "weir_ioas_allow(), and can't on %s here, whose usable ranges are: "
			       "%s", r->first, r->last, d->ops->name, text);
	}
	return 0;
}

int wr_ioas_check_served(const struct weir_ioas *as, const struct wr_domain *d)
{
	return check_served(d, &as->allowed);
}

static int tell_allowed(struct wr_domain *d, const struct wr_ranges *allowed)
{
	return d->ops->allow ? d->ops->allow(d, allowed) : 0;
}

static int check_inside(struct weir_ioas *as, const struct wr_ranges *allowed)
{
	struct wr_mapping m;
	weir_iova at = 0;

	while (allowed->n && wr_ioas_next(as, at, UINT64_MAX, &m)) {
		if (!wr_ranges_hold(allowed, m.iova, m.iova + (m.len - 1)))
			return wr_fail(-EBUSY, "the mapping at IOVA 0x%" PRIx64 " (%" PRIu64
				       " bytes) lies outside of the ranges that are to be allowed: "
				       "unmap it first", m.iova, m.len);
		at = m.iova + m.len;
		if (!at)
			break;
	}
	return 0;
}

static int allow_locked(struct weir_ioas *as, const struct wr_ranges *allowed)
{
	struct wr_ranges old = as->allowed;
	struct wr_domain *d, *undo;
	int ret = check_inside(as, allowed);

	wr_list_for_each(d, &as->domains, link)
		if (!ret)
			ret = check_served(d, allowed);
	if (ret)
		return ret;
	wr_list_for_each(d, &as->domains, link) {
		ret = tell_allowed(d, allowed);
		if (ret)
			goto tell_old;
	}
	as->allowed = *allowed;
	ret = wr_ioas_recompute(as);
	if (!ret)
		return 0;
	as->allowed = old;
tell_old:
	/* What a kernel promises too much refuses a device that could do without, no more. */
	wr_list_for_each(undo, &as->domains, link) {
		if (undo == d)
			break;
		if (tell_allowed(undo, &old))
			wr_log(WEIR_LOG_WARN, "%s goes on to promise other ranges of IOVAs: %s",
			       undo->ops->name, weir_errmsg());
	}
	return ret;
}

int wr_ioas_check_allowed(const struct weir_iova_range *ranges, size_t n, struct wr_ranges *out)
{
	uint64_t page = wr_page_size();

	if (n > WR_RANGES_MAX)
		return wr_fail(-EINVAL, "%zu ranges to be allowed: at most %d", n, WR_RANGES_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct weir_iova_range *r = &ranges[i];

		if (r->first & (page - 1) || (r->last + 1) & (page - 1) || r->first > r->last)
			return wr_fail(-EINVAL, "range %zu, 0x%" PRIx64 " to 0x%" PRIx64 ", isn't "
				       "made of pages of %" PRIu64 " bytes", i, r->first, r->last,
				       page);
		if (i && ranges[i - 1].last >= r->first)
			return wr_fail(-EINVAL, "range %zu, from 0x%" PRIx64 " on, doesn't begin "
				       "behind the one before it", i, r->first);
	}
	*out = (struct wr_ranges){ 0 };
	for (size_t i = 0; i < n; i++)
		wr_ranges_add(out, ranges[i].first, ranges[i].last);
	return 0;
}

int weir_ioas_allow(struct weir_ioas *as, const struct weir_iova_range *ranges, size_t n)
{
	struct wr_ranges allowed;
	int ret = wr_ioas_check_allowed(ranges, n, &allowed);

	if (!ret)
		ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = allow_locked(as, &allowed);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

/* ---- how large pages may be ---- */

static int tell_small_pages(struct wr_domain *d, bool small)
{
	if (d->ops->small_pages)
		return d->ops->small_pages(d, small);
	return wr_fail(-ENOTSUP, "%s can't be told to use small pages alone "
		       "(weir_ioas_small_pages()); \"iommufd\" can", d->ops->name);
}

static int set_small_pages(struct weir_ioas *as, bool small)
{
	struct wr_domain *d, *undo;
	struct wr_mapping m;
	int ret = 0;

	if (as->small_pages == small)
		return 0;
	if (wr_ioas_next(as, 0, UINT64_MAX, &m))
		return wr_fail(-EBUSY, "how large pages are can be changed while nothing is mapped "
			       "alone, and there is a mapping at IOVA 0x%" PRIx64, m.iova);
	wr_list_for_each(d, &as->domains, link) {
		ret = tell_small_pages(d, small);
		if (ret)
			break;
	}
	if (!ret) {
		as->small_pages = small;
		return 0;
	}
	wr_list_for_each(undo, &as->domains, link) {
		if (undo == d)
			break;
		if (tell_small_pages(undo, !small))
			wr_log(WEIR_LOG_WARN, "%s goes on with pages of another size: %s",
			       undo->ops->name, weir_errmsg());
	}
	return ret;
}

int weir_ioas_small_pages(struct weir_ioas *as, bool small)
{
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = set_small_pages(as, small);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

/* ---- a new domain ---- */

/* Or, if it can't have it, a reason. */
static int impose(const struct weir_ioas *as, struct wr_domain *d)
{
	int ret = wr_ioas_make_windows(as, d);

	if (!ret)
		ret = check_served(d, &as->allowed);
	if (!ret && as->allowed.n)
		ret = tell_allowed(d, &as->allowed);
	if (!ret && as->small_pages)
		ret = tell_small_pages(d, true);
	return ret;
}

int wr_ioas_map_all(struct weir_ioas *as, struct wr_domain *d)
{
	weir_iova at = 0;
	struct wr_mapping m;
	int ret;

	while (wr_ioas_next(as, at, UINT64_MAX, &m)) {
		if (!wr_ranges_hold(&d->ranges, m.iova, m.iova + (m.len - 1)))
			return wr_fail(-EINVAL, "the mapping at IOVA 0x%" PRIx64 " (%" PRIu64
				       " bytes) lies outside what %s can map here", m.iova, m.len,
				       d->ops->name);
		ret = d->ops->map(d, &m);
		if (ret)
			return ret;
		at = m.iova + m.len;
		if (!at)
			break;
	}
	return as->tracking && d->dirty != WEIR_DIRTY_NONE ? d->ops->dirty_start(d) : 0;
}

int wr_ioas_replay(struct weir_ioas *as, struct wr_domain *d)
{
	int ret = impose(as, d);

	if (!ret)
		ret = wr_ioas_register_on(as, d);
	return ret ? ret : wr_ioas_map_all(as, d);
}
