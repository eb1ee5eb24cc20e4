/* SPDX-License-Identifier: MIT */
/*
 * The domain spapr: a VFIO container on POWER, in its two versions. IOVAs lie in windows, which are
 * the domain's ranges; a mapping lies in one.
 *
 * Version 2 maps what is registered: a mapping holds the memory that it is of, from before until
 * after the kernel has it (kernel/registered.h).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/domain.h"
#include "ioas/iommu.h"
#include "kernel/container.h"
#include "kernel/registered.h"
#include "kernel/spapr.h"
#include "kernel/uapi.h"

struct spapr {
	struct wr_domain base;
	int fd;			/* the container */
	bool v2;
	struct wr_spapr_info info;
	struct wr_window windows[WR_WINDOWS_MAX];	/* by IOVA */
	size_t n_windows;
	struct wr_registered registered;		/* version 2 */
};

static struct spapr *spapr_of(struct wr_domain *d)
{
	return wr_container_of(d, struct spapr, base);
}

static bool spapr_fits(const struct wr_endpoint *ep)
{
	return ep->group && !ep->use_fd && !ep->group->noiommu;
}

static unsigned long type_of(const struct spapr *s)
{
	return s->v2 ? WR_VFIO_SPAPRv2 : WR_VFIO_SPAPR;
}

static int create(bool v2, const struct wr_domain_ops *ops, struct wr_domain **out)
{
	struct spapr *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return wr_fail(-ENOMEM, "no memory");
	s->base.ops = ops;
	s->base.isolation = true;
	s->base.room = UINT64_MAX;
	wr_list_init(&s->base.link);
	s->v2 = v2;
	s->fd = ret = wr_container_open(type_of(s));
	if (ret < 0) {
		free(s);
		return ret;
	}
	s->registered.fd = s->fd;
	*out = &s->base;
	return 0;
}

static int spapr_v2_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	(void)iommu, (void)ep;
	return create(true, &wr_domain_spapr_v2, out);
}

static int spapr_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	(void)iommu, (void)ep;
	return create(false, &wr_domain_spapr, out);
}

/* With the container's end the kernel unregisters what is. */
static void spapr_destroy(struct wr_domain *d)
{
	struct spapr *s = spapr_of(d);

	wr_close(s->fd);
	wr_registered_forget(&s->registered);
	free(s);
}

/* ---- windows ---- */

/* What the windows are is what IOVAs there are. */
static void set_windows(struct spapr *s)
{
	struct wr_ranges ranges = { 0 };
	uint64_t sizes = 0;

	for (size_t i = 0; i < s->n_windows; i++) {
		wr_ranges_add(&ranges, s->windows[i].first, s->windows[i].last);
		sizes |= 1ull << s->windows[i].page_shift;
	}
	s->base.ranges = ranges;
	__atomic_store_n(&s->base.page_sizes, sizes, __ATOMIC_RELAXED);
}

/* The window of an IOVA. Where a range's end is one's end, kernel/spapr.c sees to that. */
static const struct wr_window *window_of(const struct spapr *s, weir_iova iova)
{
	for (size_t i = 0; i < s->n_windows; i++)
		if (s->windows[i].first <= iova && iova <= s->windows[i].last)
			return &s->windows[i];
	return NULL;
}

static int no_window(weir_iova iova)
{
	return wr_fail(-EINVAL, "IOVA 0x%" PRIx64 " lies in no window", iova);
}

/*
 * A table of one level is the fastest, but has to be had in one piece: where memory hasn't got
 * that, more levels do it.
 */
static int try_levels(struct spapr *s, unsigned int shift, uint64_t size, struct wr_window *out)
{
	int ret = -ENOMEM;

	for (unsigned int levels = 1; ret == -ENOMEM && levels <= s->info.levels; levels++)
		ret = wr_spapr_create(s->fd, shift, size, levels, out);
	return ret;
}

/*
 * The largest pages that the memory has, too, need the smallest table. A host can refuse what it
 * offers; but not all that fails is tried again: on pSeries nothing works any more after one
 * failure, and each can leave locked memory behind.
 */
static int try_pages(struct spapr *s, uint64_t size, uint64_t page, struct wr_window *out)
{
	int ret = wr_fail(-ENOTSUP, "the host makes no windows of such pages, or smaller ones, and "
			  "of such a size: it has 0x%" PRIx64, s->info.page_sizes);

	for (unsigned int shift = 63; shift >= 12; shift--) {
		if (!(s->info.page_sizes >> shift & 1) || 1ull << shift > page ||
		    1ull << shift > size)
			continue;
		ret = try_levels(s, shift, size, out);
		if (ret != -EINVAL)
			return ret;
	}
	return ret;
}

static int spapr_add_window(struct wr_domain *d, uint64_t size, uint64_t page,
			    struct weir_iova_range *out)
{
	struct spapr *s = spapr_of(d);
	struct wr_window made;
	size_t at = 0;
	int ret;

	if (s->n_windows == s->info.windows || s->n_windows == WR_WINDOWS_MAX)
		return wr_fail(-ENOSPC, "there are %zu windows, as many as there can be: remove "
			       "one", s->n_windows);
	ret = try_pages(s, size, page, &made);
	if (ret)
		return ret;
	while (at < s->n_windows && s->windows[at].first < made.first)
		at++;
	for (size_t i = s->n_windows++; i > at; i--)
		s->windows[i] = s->windows[i - 1];
	s->windows[at] = made;
	set_windows(s);
	*out = (struct weir_iova_range){ .first = made.first, .last = made.last };
	return 0;
}

static int spapr_remove_window(struct wr_domain *d, weir_iova first)
{
	struct spapr *s = spapr_of(d);

	for (size_t i = 0; i < s->n_windows; i++) {
		int ret;

		if (s->windows[i].first != first)
			continue;
		ret = wr_spapr_remove(s->fd, &s->windows[i]);
		if (ret)
			return ret;
		for (s->n_windows--; i < s->n_windows; i++)
			s->windows[i] = s->windows[i + 1];
		set_windows(s);
		return 0;
	}
	return wr_fail(-ENOENT, "no window begins at IOVA 0x%" PRIx64, first);
}

/* ---- devices ---- */

static int add_group(struct spapr *s, struct wr_group *group)
{
	bool first = !s->base.endpoints;
	int ret;

	/* tce_iommu_attach_group() */
	if (!first && !s->v2)
		return wr_fail(-EINVAL, "group %d: version 1 of POWER's container has one group",
			       group->number);
	ret = wr_container_add(s->fd, group, first ? type_of(s) : 0);
	if (ret == -EINVAL && first && s->v2)
		return wr_fail(-ENOTSUP, "group %d: the kernel refuses it a container: the "
			       "platform has no dynamic windows for it, which version 2 needs",
			       group->number);
	if (ret == -EPERM && !first)
		return wr_fail(-EINVAL, "group %d: the kernel refuses it this container: on this "
			       "host each group has windows of its own", group->number);
	return ret;
}

static int first_join(struct spapr *s)
{
	int ret = wr_spapr_info(s->fd, &s->info);

	if (!ret && !s->v2)
		ret = wr_spapr_enable(s->fd, &s->info.low);
	if (!ret)
		ret = wr_spapr_have_low(s->fd, s->v2, &s->info.low);
	if (ret)
		return ret;
	s->registered.whole_pages = s->info.page_sizes / wr_page_size() > 1;
	s->windows[0] = s->info.low;
	s->n_windows = 1;
	set_windows(s);
	return 0;
}

static int spapr_join(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct spapr *s = spapr_of(d);
	int ret = 0;

	if (!ep->group->attached)
		ret = add_group(s, ep->group);
	if (ret)
		return ret;
	ret = wr_group_device_fd(ep->group, ep->name, ep->vf_token);
	if (ret < 0)
		goto leave_group;
	ep->fd = ret;
	ret = d->endpoints ? 0 : first_join(s);
	if (!ret)
		return 0;
	wr_close(ep->fd);
leave_group:
	if (!ep->group->attached)
		wr_container_remove(ep->group);
	return ret;
}

static void spapr_leave(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct spapr *s = spapr_of(d);

	wr_close(ep->fd);
	if (!d->endpoints && !s->v2)
		wr_spapr_disable(s->fd);
	if (!ep->group->attached)
		wr_container_remove(ep->group);
}

/* ---- mappings ---- */

static int spapr_map(struct wr_domain *d, const struct wr_mapping *m)
{
	struct spapr *s = spapr_of(d);
	const struct wr_window *window = window_of(s, m->iova);
	uint64_t start = (uintptr_t)m->vaddr;
	int ret;

	if (m->bar)
		return wr_fail(-ENOTSUP, "POWER's containers map memory alone, no registers");
	if (!window)
		return no_window(m->iova);
	if (!s->v2)
		return wr_spapr_map(s->fd, window, m);
	ret = wr_registered_hold(&s->registered, start, start + m->len, WR_REGISTERED_MAP);
	if (ret)
		return ret;
	ret = wr_spapr_map(s->fd, window, m);
	if (ret)
		wr_registered_release(&s->registered, start, start + m->len, WR_REGISTERED_MAP);
	return ret;
}

static int spapr_unmap(struct wr_domain *d, const struct wr_mapping *m, size_t n)
{
	struct spapr *s = spapr_of(d);
	const struct wr_window *window = window_of(s, m->iova);
	int ret;

	if (!window)
		return no_window(m->iova);
	ret = wr_spapr_unmap(s->fd, window, m->iova, m[n - 1].iova - m->iova + m[n - 1].len);
	for (size_t i = 0; !ret && s->v2 && i < n; i++) {
		uint64_t start = (uintptr_t)m[i].vaddr;

		wr_registered_release(&s->registered, start, start + m[i].len, WR_REGISTERED_MAP);
	}
	return ret;
}

static int spapr_unmap_all(struct wr_domain *d)
{
	struct spapr *s = spapr_of(d);

	for (size_t i = 0; i < s->n_windows; i++) {
		const struct wr_window *w = &s->windows[i];
		int ret = wr_spapr_unmap(s->fd, w, w->first, wr_window_size(w));

		if (ret)
			return i ? wr_fail_in(-EIO, "only some windows were cleared") : ret;
	}
	wr_registered_unmapped(&s->registered);
	return 0;
}

static int spapr_move(struct wr_domain *d, const struct wr_mapping *m, void *vaddr)
{
	(void)d, (void)m, (void)vaddr;
	return wr_fail(-ENOTSUP, "POWER's containers can't be told that memory has another "
		       "address: unmap it and map it again");
}

const struct wr_domain_ops wr_domain_spapr_v2 = {
	.name = "spaprv2",
	.fits = spapr_fits,
	.create = spapr_v2_create,
	.destroy = spapr_destroy,
	.join = spapr_join,
	.leave = spapr_leave,
	.map = spapr_map,
	.unmap = spapr_unmap,
	.unmap_all = spapr_unmap_all,
	.add_window = spapr_add_window,
	.remove_window = spapr_remove_window,
	.move = spapr_move,
};

const struct wr_domain_ops wr_domain_spapr = {
	.name = "spapr",
	.fits = spapr_fits,
	.create = spapr_create,
	.destroy = spapr_destroy,
	.join = spapr_join,
	.leave = spapr_leave,
	.map = spapr_map,
	.unmap = spapr_unmap,
	.unmap_all = spapr_unmap_all,
	.move = spapr_move,
};
