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
static void set_windows(struct spapr *s, const struct wr_windows *windows)
{
	uint64_t sizes = 0;

	for (size_t i = 0; i < windows->n; i++)
		sizes |= 1ull << windows->w[i].page_shift;
	s->base.windows = *windows;
	wr_ranges_of_windows(windows, &s->base.ranges);
	__atomic_store_n(&s->base.page_sizes, sizes, __ATOMIC_RELAXED);
}

/* The window of an IOVA. Where a range's end is one's end, kernel/spapr.c sees to that. */
static const struct wr_window *window_of(const struct spapr *s, weir_iova iova)
{
	const struct wr_windows *windows = &s->base.windows;

	for (size_t i = 0; i < windows->n; i++)
		if (windows->w[i].first <= iova && iova <= windows->w[i].last)
			return &windows->w[i];
	return NULL;
}

static int no_window(weir_iova iova)
{
	return wr_fail(-EINVAL, "IOVA 0x%" PRIx64 " lies in no window", iova);
}

/* On pSeries; PowerNV's tables can have five levels (POWERNV_IOMMU_MAX_LEVELS). */
static bool is_pseries(const struct spapr *s)
{
	return s->info.levels == 1;
}

/* Or a part of it: is_default_window_request() of platforms/pseries/iommu.c. */
static bool is_default(const struct spapr *s, const struct wr_window *w)
{
	return w->first == s->info.low.first && w->page_shift == s->info.low.page_shift &&
	       wr_window_size(w) <= wr_window_size(&s->info.low);
}

/*
 * spapr_tce_create_table(): of windows that aren't the default one, pSeries makes one. What is
 * asked of it beyond that fails, and can put the device on its list of those that get none.
 */
static int check_another(const struct spapr *s)
{
	const struct wr_windows *windows = &s->base.windows;

	if (windows->n >= s->info.windows || windows->n == WR_WINDOWS_MAX)
		return wr_fail(-ENOSPC, "there are %zu windows, as many as there can be: remove "
			       "one", windows->n);
	for (size_t i = 0; is_pseries(s) && i < windows->n; i++)
		if (!is_default(s, &windows->w[i]))
			return wr_fail(-EPERM, "pSeries makes no window, nor the default one "
				       "again, beside the one at IOVA 0x%" PRIx64 ", which isn't "
				       "the default one: remove that first",
				       windows->w[i].first);
	return 0;
}

/*
 * Windows lie apart, and begin with a page of theirs. One that doesn't isn't removed: it would be
 * by its address, which may be another's. It goes with the container.
 */
static int check_made(const struct spapr *s, const struct wr_window *w)
{
	bool fits = w->first <= w->last && !(w->first & ((1ull << w->page_shift) - 1));

	for (size_t i = 0; i < s->base.windows.n; i++)
		fits = fits && (s->base.windows.w[i].last < w->first ||
				w->last < s->base.windows.w[i].first);
	return fits ? 0 : wr_fail(-EREMOTEIO, "the kernel made a window at IOVA 0x%" PRIx64
				  " to 0x%" PRIx64 ", where one is, or none can be", w->first,
				  w->last);
}

static int spapr_add_window(struct wr_domain *d, const struct wr_window_asked *asked,
			    struct wr_window *out)
{
	struct spapr *s = spapr_of(d);
	struct wr_windows windows = d->windows;
	size_t at = 0;
	int ret = check_another(s);

	if (!ret)
		ret = wr_spapr_create(s->fd, asked->page_shift, asked->size, asked->levels, out);
	if (!ret)
		ret = check_made(s, out);
	if (ret)
		return ret;
	while (at < windows.n && windows.w[at].first < out->first)
		at++;
	for (size_t i = windows.n++; i > at; i--)
		windows.w[i] = windows.w[i - 1];
	windows.w[at] = *out;
	set_windows(s, &windows);
	return 0;
}

static int spapr_remove_window(struct wr_domain *d, weir_iova first)
{
	struct spapr *s = spapr_of(d);
	struct wr_windows windows = { .low_end = d->windows.low_end };
	const struct wr_window *gone = window_of(s, first);
	int ret = wr_spapr_remove(s->fd, gone);

	if (ret)
		return ret;
	for (size_t i = 0; i < d->windows.n; i++)
		if (&d->windows.w[i] != gone)
			windows.w[windows.n++] = d->windows.w[i];
	set_windows(s, &windows);
	return 0;
}

/* ---- devices ---- */

/*
 * One, as version 1 and pSeries have it. On PowerNV version 2 takes more. But when one leaves, the
 * kernel clears the tables that the others go on to use (tce_iommu_release_ownership(), seen in
 * Linux 6.12); and what EEH does to one it does to all.
 */
static int add_group(struct spapr *s, struct wr_group *group)
{
	int ret;

	if (s->base.endpoints)
		return wr_fail(-EINVAL, "group %d: a container of POWER's has one group alone, and "
			       "this one has another", group->number);
	ret = wr_container_add(s->fd, group, type_of(s));
	if (ret == -EINVAL && s->v2)
		return wr_fail(-ENOTSUP, "group %d: the kernel refuses it a container: the "
			       "platform has no dynamic windows for it, which version 2 needs",
			       group->number);
	return ret;
}

static int first_join(struct spapr *s)
{
	struct wr_windows windows;
	int ret = wr_spapr_info(s->fd, &s->info);

	if (!ret && !s->v2)
		ret = wr_spapr_enable(s->fd, &s->info.low);
	if (!ret)
		ret = wr_spapr_have_low(s->fd, s->v2, &s->info.low);
	if (ret)
		return ret;
	s->registered.whole_pages = s->info.page_sizes / wr_page_size() > 1;
	windows = (struct wr_windows){ .n = 1, .w = { s->info.low }, .low_end = s->info.low.last };
	s->base.window_info = (struct weir_window_info){
		.page_sizes = s->info.page_sizes,
		.windows = s->info.windows,
		.levels = s->info.levels,
		.standard = {
			.first = s->info.low.first,
			.last = s->info.low.last,
			.page_size = 1ull << s->info.low.page_shift,
			.levels = s->info.low.levels,
		},
	};
	set_windows(s, &windows);
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

	for (size_t i = 0; i < d->windows.n; i++) {
		const struct wr_window *w = &d->windows.w[i];
		int ret = wr_spapr_unmap(s->fd, w, w->first, wr_window_size(w));

		if (ret)
			return i ? wr_fail_in(-EIO, "only some windows were cleared") : ret;
	}
	wr_registered_unmapped(&s->registered);
	return 0;
}

static int spapr_register(struct wr_domain *d, uint64_t vaddr, uint64_t len)
{
	return wr_registered_hold(&spapr_of(d)->registered, vaddr, vaddr + len,
				  WR_REGISTERED_AHEAD);
}

static void spapr_unregister(struct wr_domain *d, uint64_t vaddr, uint64_t len)
{
	wr_registered_release(&spapr_of(d)->registered, vaddr, vaddr + len, WR_REGISTERED_AHEAD);
}

static int spapr_move(struct wr_domain *d, const struct wr_mapping *m, void *vaddr)
{
	(void)d, (void)m, (void)vaddr;
	return wr_fail(-ENOTSUP, "POWER's containers can't be told that memory has another "
		       "address: unmap it and map it again");
}

static int spapr_eeh(struct wr_domain *d, unsigned int op, const struct weir_eeh_error *error)
{
	return wr_spapr_eeh(spapr_of(d)->fd, op, error);
}

const struct wr_domain_ops wr_domain_spapr_v2 = {
	.name = "spaprv2",
	.where = WR_POWER_ALONE,
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
	.register_memory = spapr_register,
	.unregister_memory = spapr_unregister,
	.move = spapr_move,
	.eeh = spapr_eeh,
};

const struct wr_domain_ops wr_domain_spapr = {
	.name = "spapr",
	.where = WR_POWER_ALONE,
	.fits = spapr_fits,
	.create = spapr_create,
	.destroy = spapr_destroy,
	.join = spapr_join,
	.leave = spapr_leave,
	.map = spapr_map,
	.unmap = spapr_unmap,
	.unmap_all = spapr_unmap_all,
	.move = spapr_move,
	.eeh = spapr_eeh,
};
