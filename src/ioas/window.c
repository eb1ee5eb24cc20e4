/* SPDX-License-Identifier: MIT */
/*
 * Windows of IOVAs, where the IOMMU has such: which are made and removed, and which of them an
 * automatic IOVA lies in. They are the address space's, as mappings are: each domain has them at
 * the same IOVAs, and a new one gets them before what is mapped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/ioas.h"

/* By itself, a window has no more pages than this, and no table that needs more in one piece. */
#define PAGES_MAX	(1ull << 18)
#define LEVEL_SHIFT	20

static uint64_t page_of(const struct wr_window *w)
{
	return (uint64_t)1 << w->page_shift;
}

static bool same(const struct wr_window *a, const struct wr_window *b)
{
	return a->first == b->first && a->last == b->last && a->page_shift == b->page_shift;
}

static const struct wr_window *find(const struct wr_windows *windows, weir_iova first)
{
	for (size_t i = 0; i < windows->n; i++)
		if (windows->w[i].first == first)
			return &windows->w[i];
	return NULL;
}

static void forget(struct wr_windows *windows, weir_iova first)
{
	size_t n = windows->n;

	windows->n = 0;
	for (size_t i = 0; i < n; i++)
		if (windows->w[i].first != first)
			windows->w[windows->n++] = windows->w[i];
}

static bool is_default(const struct weir_window_info *info, const struct wr_window *w)
{
	return w->first == info->standard.first && w->last == info->standard.last &&
	       page_of(w) == info->standard.page_size;
}

/* ---- what there is ---- */

/* What all domains have; false: one of them has no windows. */
static bool info_of(const struct weir_ioas *as, struct weir_window_info *info)
{
	bool first = true;
	struct wr_domain *d;

	wr_list_for_each(d, &as->domains, link) {
		const struct weir_window_info *other = &d->window_info;

		if (!other->windows)
			return false;
		if (first)
			*info = *other;
		first = false;
		info->page_sizes &= other->page_sizes;
		info->windows = other->windows < info->windows ? other->windows : info->windows;
		info->levels = other->levels < info->levels ? other->levels : info->levels;
	}
	return !first;
}

/* What of windows lies in others, too. */
static void intersect(struct wr_windows *windows, const struct wr_windows *other)
{
	struct wr_windows both = { .low_end = windows->low_end };

	if (other->low_end < both.low_end)
		both.low_end = other->low_end;
	for (size_t i = 0; i < windows->n; i++) {
		for (size_t j = 0; j < other->n && both.n < WR_WINDOWS_MAX; j++) {
			struct wr_window w = windows->w[i];
			const struct wr_window *o = &other->w[j];

			w.first = o->first > w.first ? o->first : w.first;
			w.last = o->last < w.last ? o->last : w.last;
			if (o->page_shift > w.page_shift)
				w.page_shift = o->page_shift;
			if (w.first <= w.last)
				both.w[both.n++] = w;
		}
	}
	*windows = both;
}

void wr_ioas_learn_windows(const struct weir_ioas *as, struct wr_windows *out)
{
	bool first = true;
	struct wr_domain *d;

	*out = (struct wr_windows){ 0 };
	/* Those of the caller's are made again for the next device. */
	if (wr_list_empty(&as->domains) && (as->made.n || as->no_default))
		*out = as->windows;
	wr_list_for_each(d, &as->domains, link) {
		if (!d->window_info.windows)
			continue;
		if (first)
			*out = d->windows;
		else
			intersect(out, &d->windows);
		first = false;
	}
}

int weir_ioas_window_info(struct weir_ioas *as, struct weir_window_info *info)
{
	struct weir_window_info all;
	int ret = wr_ioas_check_process(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->books);
	if (wr_list_empty(&as->domains))
		ret = wr_fail(-ENODEV, "no device is attached, whose IOMMU says which windows "
			      "there can be");
	else if (!info_of(as, &all))
		ret = wr_fail(-ENOTSUP, "IOVAs lie in windows on POWER alone, by \"spaprv2\" and "
			      "\"spapr\"");
	else
		*info = all;
	pthread_mutex_unlock(&as->books);
	return ret;
}

static void tell(const struct weir_ioas *as, const struct wr_window *w, struct weir_window *out)
{
	*out = (struct weir_window){
		.first = w->first,
		.last = w->last,
		.page_size = page_of(w),
		.levels = w->levels,
		.made = find(&as->made, w->first),
	};
}

int weir_ioas_windows(struct weir_ioas *as, struct weir_window *windows, size_t n)
{
	int count = wr_ioas_check_process(as);

	if (count)
		return count;
	pthread_mutex_lock(&as->books);
	count = (int)as->windows.n;
	for (size_t i = 0; i < n && i < as->windows.n; i++)
		tell(as, &as->windows.w[i], &windows[i]);
	pthread_mutex_unlock(&as->books);
	return count;
}

/* ---- where IOVAs lie ---- */

static bool is_coarse(const struct wr_window *w)
{
	return page_of(w) > wr_page_size();
}

/* The lowest place in a window, and if that can be, one for large entries of the look-ups. */
static int find_in(const struct weir_ioas *as, const struct wr_window *w, uint64_t misaligned,
		   uint64_t len, weir_iova limit, weir_iova *iova)
{
	static const uint64_t aligns[] = { 1ull << 30, 2ull << 20, 1 };
	const uint64_t page = page_of(w);

	if (is_coarse(w) && (misaligned | len) & (page - 1))
		return -EINVAL;
	if (limit > w->last)
		limit = w->last;
	for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
		uint64_t align = aligns[i] > page ? aligns[i] : page;

		if (len >= aligns[i] && !(misaligned & (aligns[i] - 1)) &&
		    !wr_maps_find_from(&as->maps, w->first, len, align, limit, iova))
			return 0;
	}
	return -ENOSPC;
}

static int no_place(const struct weir_ioas *as, uint64_t len, weir_iova limit)
{
	char text[384] = "";

	for (size_t i = 0; i < as->windows.n; i++) {
		const struct wr_window *w = &as->windows.w[i];

		wr_append(text, sizeof(text), "%s0x%" PRIx64 "-0x%" PRIx64 " in pages of %" PRIu64
			  " KiB%s", i ? ", " : "", w->first, w->last, page_of(w) >> 10,
			  is_coarse(w) ? ", of which address and length must be multiples" : "");
	}
	return wr_fail(-ENOSPC, "no free IOVA for %" PRIu64 " bytes up to 0x%" PRIx64 ", which the "
		       "attached devices, weir_ioas_allow() and the options allow; the windows: "
		       "%s", len, limit, *text ? text : "none, weir_ioas_add_window() makes one");
}

int wr_ioas_choose_window(const struct weir_ioas *as, uint64_t misaligned, uint64_t len,
			  weir_iova limit, weir_iova *iova)
{
	for (int coarse = 0; coarse < 2; coarse++)
		for (size_t i = 0; i < as->windows.n; i++)
			if (is_coarse(&as->windows.w[i]) == coarse &&
			    !find_in(as, &as->windows.w[i], misaligned, len, limit, iova))
				return 0;
	return no_place(as, len, limit);
}

uint64_t wr_ioas_least_page(const struct weir_ioas *as, weir_iova limit)
{
	const struct wr_ranges *ranges = &as->maps.ranges;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < as->windows.n; i++) {
		const struct wr_window *w = &as->windows.w[i];

		for (size_t r = 0; r < ranges->n; r++)
			if (w->first <= ranges->r[r].first && ranges->r[r].last <= w->last &&
			    ranges->r[r].first <= limit && page_of(w) < least)
				least = page_of(w);
	}
	return least == UINT64_MAX ? 0 : least;
}

/* ---- what is asked for ---- */

/* Of two, or not said. */
static bool is_power(uint64_t n)
{
	return !(n & (n - 1));
}

/* As many pages as the machine's memory has of 4 KiB, which is what a hypervisor has tables for. */
static uint64_t default_pages(void)
{
	long have = sysconf(_SC_PHYS_PAGES);
	uint64_t memory = have > 0 ? (uint64_t)have * wr_page_size() / 4096 : PAGES_MAX;

	return memory < PAGES_MAX ? 1ull << (63 - __builtin_clzll(memory | 1)) : PAGES_MAX;
}

/*
 * The fewest levels that need no table of more than 2^@shift bytes in one piece, or as near to that
 * as can be (pnv_pci_ioda2_table_alloc_pages()).
 */
static unsigned int levels_for(const struct wr_window_asked *asked, unsigned int most,
			       unsigned int shift)
{
	unsigned int entries = (unsigned int)__builtin_ctzll(asked->size) - asked->page_shift;
	unsigned int page = (unsigned int)__builtin_ctzl(wr_page_size()) - 3, levels = 1;

	while (levels < most && (entries + levels - 1) / levels + 3 > shift) {
		unsigned int per_level = (entries + levels) / (levels + 1);

		per_level = per_level < page ? page : per_level;
		if (per_level * (levels + 1) + asked->page_shift >= 55)
			break;
		levels++;
	}
	return levels;
}

static int no_such_pages(const struct weir_window_info *info, uint64_t page, const char *less)
{
	char list[256] = "";

	for (unsigned int shift = 0; shift < 64; shift++)
		if (info->page_sizes >> shift & 1)
			wr_append(list, sizeof(list), "%s%" PRIu64 " KiB", *list ? ", " : "",
				  ((uint64_t)1 << shift) >> 10);
	return wr_fail(-EINVAL, "the host makes no windows with pages of %" PRIu64 " bytes%s: "
		       "it has %s", page, less, *list ? list : "none");
}

/* Fills in what isn't said. */
static int choose(const struct weir_window_info *info, const struct weir_window_opts *opts,
		  struct wr_window_asked *out)
{
	uint64_t page = opts->page_size ? opts->page_size :
			opts->memory ? opts->memory : wr_page_size();
	uint64_t offered = info->page_sizes & (page | (page - 1));

	if (opts->page_size && !(info->page_sizes & page))
		return no_such_pages(info, page, "");
	if (!offered)
		return no_such_pages(info, page, " or less");
	out->page_shift = 63 - (unsigned int)__builtin_clzll(offered);
	out->size = opts->size ? opts->size : default_pages() << out->page_shift;
	if (out->size < wr_page_size() || !(out->size >> out->page_shift))
		return wr_fail(-EINVAL, "a window of %" PRIu64 " bytes is smaller than its pages, "
			       "which would have 2^%u, or the system's", out->size,
			       out->page_shift);
	if (opts->levels > info->levels)
		return wr_fail(-EINVAL, "a window's table of %u levels: this host has %u at most",
			       opts->levels, info->levels);
	out->levels = opts->levels ? opts->levels : levels_for(out, info->levels, LEVEL_SHIFT);
	return 0;
}

static int check_opts(const struct weir_window_opts *opts)
{
	int ret = WR_RESERVED(opts, "weir_window_opts");

	if (ret)
		return ret;
	if (!is_power(opts->size) || !is_power(opts->page_size) || !is_power(opts->memory))
		return wr_fail(-EINVAL, "a window of %" PRIu64 " bytes with pages of %" PRIu64
			       " for memory in pages of %" PRIu64 ": all must be powers of two",
			       opts->size, opts->page_size, opts->memory);
	return 0;
}

/* ---- on all domains ---- */

static int check_domains(const struct weir_ioas *as)
{
	struct wr_domain *d;

	wr_list_for_each(d, &as->domains, link)
		if (!d->ops->add_window)
			return wr_fail(-ENOTSUP, "windows of IOVAs are made and removed on POWER, "
				       "by \"spaprv2\" alone; a device is attached by %s",
				       d->ops->name);
	return 0;
}

static void remove_again(struct wr_domain *d, weir_iova first)
{
	char cause[512];

	snprintf(cause, sizeof(cause), "%s", weir_errmsg());
	if (d->ops->remove_window(d, first))
		wr_log(WEIR_LOG_WARN, "a window stays at IOVA 0x%" PRIx64 ": %s", first,
		       weir_errmsg());
	wr_message("%s", cause);
}

/* Make it, where @where has it unless that is NULL. */
static int make_one(struct wr_domain *d, const struct wr_window_asked *asked,
		    const struct wr_window *where, struct wr_window *out)
{
	int ret = d->ops->add_window(d, asked, out);

	if (ret || !where || same(out, where))
		return ret;
	ret = wr_fail(-EINVAL, "the window that the address space has at IOVA 0x%" PRIx64 " comes "
		      "to lie at 0x%" PRIx64 " for this device", where->first, out->first);
	remove_again(d, out->first);
	return ret;
}

static int make_on_all(struct weir_ioas *as, const struct wr_window_asked *asked,
		       struct wr_window *out)
{
	struct wr_domain *d, *undo;
	struct wr_window made;
	bool first = true;
	int ret = 0;

	wr_list_for_each(d, &as->domains, link) {
		ret = make_one(d, asked, first ? NULL : out, &made);
		if (ret)
			break;
		if (first)
			*out = made;
		first = false;
	}
	if (!ret)
		return 0;
	wr_list_for_each(undo, &as->domains, link) {
		if (undo == d)
			break;
		remove_again(undo, out->first);
	}
	return ret;
}

/* What a window is, to be made once more. */
static struct wr_window_asked again(const struct wr_window *w)
{
	return (struct wr_window_asked){
		.size = wr_window_size(w),
		.page_shift = w->page_shift,
		.levels = w->levels,
	};
}

static int remove_on_all(struct weir_ioas *as, const struct wr_window *w)
{
	const struct wr_window_asked asked = again(w);
	struct wr_domain *d, *undo;
	struct wr_window made;
	char cause[512];
	int ret = 0;

	wr_list_for_each(d, &as->domains, link) {
		ret = d->ops->remove_window(d, w->first);
		if (ret)
			break;
	}
	if (!ret)
		return 0;
	snprintf(cause, sizeof(cause), "%s", weir_errmsg());
	wr_list_for_each(undo, &as->domains, link) {
		if (undo == d)
			break;
		if (!make_one(undo, &asked, w, &made))
			continue;
		wr_log(WEIR_LOG_WARN, "a window is gone: %s", weir_errmsg());
	}
	return wr_fail(ret, "%s", cause);
}

/* ---- add and remove ---- */

static int make(struct weir_ioas *as, const struct weir_window_info *info,
		const struct weir_window_opts *opts, struct wr_window *out)
{
	struct wr_window_asked asked;
	unsigned int more;
	int ret = choose(info, opts, &asked);

	if (ret)
		return ret;
	ret = make_on_all(as, &asked, out);
	more = levels_for(&asked, info->levels, (unsigned int)__builtin_ctzl(wr_page_size()));
	if (ret != -ENOMEM || opts->levels || more <= asked.levels)
		return ret;
	/* Single pages may be had. If it's the limit of locked memory, that is said once more. */
	wr_log(WEIR_LOG_INFO, "%s; tried again with %u levels", weir_errmsg(), more);
	asked.levels = more;
	return make_on_all(as, &asked, out);
}

/* The default window may be one that was removed, and is back. */
static void enter(struct weir_ioas *as, const struct weir_window_info *info,
		  const struct wr_window *w)
{
	pthread_mutex_lock(&as->books);
	if (is_default(info, w))
		as->no_default = false;
	else
		as->made.w[as->made.n++] = *w;
	pthread_mutex_unlock(&as->books);
}

static int add_locked(struct weir_ioas *as, const struct weir_window_opts *opts,
		      struct weir_window *out)
{
	struct weir_window_info info;
	struct wr_window made;
	struct wr_domain *d;
	int ret;

	if (wr_list_empty(&as->domains))
		return wr_fail(-ENODEV, "no device is attached, whose IOMMU could make a window");
	ret = check_domains(as);
	if (ret)
		return ret;
	info_of(as, &info);
	ret = make(as, &info, opts, &made);
	if (ret)
		return ret;
	ret = wr_ioas_recompute(as);
	if (ret) {
		wr_list_for_each(d, &as->domains, link)
			remove_again(d, made.first);
		return ret;
	}
	enter(as, &info, &made);
	if (out)
		tell(as, &made, out);
	return 0;
}

int weir_ioas_add_window(struct weir_ioas *as, const struct weir_window_opts *opts,
			 struct weir_window *window)
{
	static const struct weir_window_opts automatic;
	int ret = wr_ioas_check_change(as);

	if (!opts)
		opts = &automatic;
	if (!ret)
		ret = check_opts(opts);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = add_locked(as, opts, window);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

static int check_unused(struct weir_ioas *as, const struct wr_window *w)
{
	struct wr_mapping m;

	if (wr_ioas_next(as, w->first, w->last, &m))
		return wr_fail(-EBUSY, "the mapping at IOVA 0x%" PRIx64 " (%" PRIu64 " bytes) lies "
			       "in the window: unmap it first", m.iova, m.len);
	for (size_t i = 0; i < as->allowed.n; i++)
		if (as->allowed.r[i].first <= w->last && w->first <= as->allowed.r[i].last)
			return wr_fail(-EBUSY, "IOVAs of the window are to be had, by "
				       "weir_ioas_allow(): allow others first");
	return 0;
}

static int remove_locked(struct weir_ioas *as, weir_iova first)
{
	const struct wr_window *found = find(&as->windows, first);
	struct wr_window w;
	int ret;

	if (!found)
		return wr_fail(-ENOENT, "no window begins at IOVA 0x%" PRIx64, first);
	w = *found;
	ret = check_domains(as);
	if (!ret)
		ret = check_unused(as, &w);
	if (!ret)
		ret = remove_on_all(as, &w);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->books);
	if (!find(&as->made, first))
		as->no_default = true;
	forget(&as->made, first);
	forget(&as->windows, first);
	pthread_mutex_unlock(&as->books);
	if (!as->windows.n)
		wr_log(WEIR_LOG_WARN, "the address space has no window left: nothing can be mapped "
		       "until one is made");
	/* Without memory for the new ranges, the domain refuses what is chosen from the old. */
	wr_ioas_recompute(as);
	return 0;
}

int weir_ioas_remove_window(struct weir_ioas *as, weir_iova first)
{
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = remove_locked(as, first);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

/* ---- a new domain ---- */

static int remove_default(struct wr_domain *d)
{
	for (size_t i = 0; i < d->windows.n; i++)
		if (is_default(&d->window_info, &d->windows.w[i]))
			return d->ops->remove_window(d, d->windows.w[i].first);
	return 0;
}

/* Whether it is where the default one was. */
static bool is_low(const struct wr_domain *d, const struct wr_window *w)
{
	const struct weir_window *low = &d->window_info.standard;

	return w->first <= low->last && low->first <= w->last;
}

static int make_made(const struct weir_ioas *as, struct wr_domain *d, bool low)
{
	for (size_t i = 0; i < as->made.n; i++) {
		const struct wr_window *w = &as->made.w[i];
		const struct wr_window *there = find(&d->windows, w->first);
		const struct wr_window_asked asked = again(w);
		struct wr_window made;
		int ret;

		if (is_low(d, w) != low || (there && same(there, w)))
			continue;
		/* The platform gives the default one's place to the first that is made. */
		ret = low ? remove_default(d) : 0;
		if (!ret)
			ret = make_one(d, &asked, w, &made);
		if (ret)
			return ret;
	}
	return 0;
}

int wr_ioas_make_windows(const struct weir_ioas *as, struct wr_domain *d)
{
	int ret;

	if (!as->made.n && !as->no_default)
		return 0;
	if (!d->ops->add_window)
		return wr_fail(-ENOTSUP, "the address space has other windows than the default "
			       "one, by weir_ioas_add_window() or _remove_window(), and %s makes "
			       "none", d->ops->name);
	ret = make_made(as, d, true);
	if (!ret)
		ret = make_made(as, d, false);
	if (!ret && as->no_default)
		ret = remove_default(d);
	return ret ? wr_fail_in(ret, "the address space's windows can't be made again") : 0;
}
