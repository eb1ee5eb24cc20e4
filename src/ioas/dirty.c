/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking of an address space: over all its domains, page by page of the system. And of one
 * page table by hand.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/hwpt.h"
#include "ioas/ioas.h"

static int check_dirty(struct weir_ioas *as)
{
	struct wr_domain *d;

	if (wr_list_empty(&as->domains))
		return wr_fail(-ENODEV, "dirty tracking: no device is attached");
	wr_list_for_each(d, &as->domains, link)
		if (d->dirty == WEIR_DIRTY_NONE)
			return wr_fail(-ENOTSUP, "%s has no dirty tracking", d->ops->name);
	return 0;
}

static void set_tracking(struct weir_ioas *as, bool on)
{
	pthread_mutex_lock(&as->books);
	as->tracking = on;
	pthread_mutex_unlock(&as->books);
}

static int start_tracking(struct weir_ioas *as)
{
	struct wr_domain *d, *undo;
	int ret = 0;

	wr_list_for_each(d, &as->domains, link) {
		ret = d->ops->dirty_start(d);
		if (ret)
			break;
	}
	if (!ret) {
		set_tracking(as, true);
		return 0;
	}
	wr_list_for_each(undo, &as->domains, link) {
		if (undo == d)
			break;
		undo->ops->dirty_stop(undo);
	}
	return ret;
}

/*
 * A domain without tracking may have joined meanwhile: the others are stopped all the same. One
 * that refuses tracks on in vain; to start the others again would lose what they have marked.
 */
static void stop_tracking(struct weir_ioas *as)
{
	struct wr_domain *d;

	wr_list_for_each(d, &as->domains, link)
		if (d->dirty != WEIR_DIRTY_NONE && d->ops->dirty_stop(d))
			wr_log(WEIR_LOG_WARN, "%s goes on tracking writes, and nobody asks: %s",
			       d->ops->name, weir_errmsg());
	set_tracking(as, false);
}

static int track_locked(struct weir_ioas *as, bool on)
{
	int ret;

	if (as->tracking && !on) {
		stop_tracking(as);
		return 0;
	}
	ret = check_dirty(as);
	if (!ret && on && !as->tracking)
		ret = wr_hwpt_check_untracked(as);
	return ret || as->tracking == on ? ret : start_tracking(as);
}

static int track(struct weir_ioas *as, bool on)
{
	int ret;

	ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = track_locked(as, on);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

int weir_ioas_dirty_start(struct weir_ioas *as)
{
	return track(as, true);
}

int weir_ioas_dirty_stop(struct weir_ioas *as)
{
	return track(as, false);
}

/*
 * OR the pages of one mapping, over all domains, into @bitmap from bit @first on. A domain forgets
 * what it was read: if a later one fails, what is known is in @bitmap all the same, or else it
 * would be lost.
 */
static int read_mapping(struct weir_ioas *as, const struct wr_mapping *m, uint64_t *bitmap,
			size_t first)
{
	size_t pages = m->len / wr_page_size(), words = (pages + 63) / 64, count = 0;
	uint64_t *all = calloc(words, 2 * sizeof(*all)), *one;
	struct wr_domain *d;
	int ret = 0;

	if (!all)
		return wr_fail(-ENOMEM, "no memory for a bitmap of %zu pages", pages);
	one = all + words;
	wr_list_for_each(d, &as->domains, link) {
		memset(one, 0, words * sizeof(*one));
		ret = d->ops->dirty_read(d, m, one);
		if (ret)
			break;
		for (size_t i = 0; i < words; i++)
			all[i] |= one[i];
	}
	for (size_t i = 0; i < pages; i++) {
		if (all[i / 64] >> (i % 64) & 1) {
			bitmap[(first + i) / 64] |= 1ull << ((first + i) % 64);
			count++;
		}
	}
	free(all);
	return ret ? ret : (int)count;
}

/* The mappings that make up the range, which must be whole ones. */
static int dirty_read_locked(struct weir_ioas *as, weir_iova iova, uint64_t len, uint64_t *bitmap)
{
	weir_iova last = iova + (len - 1), at;
	int ret = check_dirty(as), count = 0;
	struct wr_mapping m, end;

	if (!ret && !as->tracking)
		ret = wr_fail(-EINVAL, "dirty tracking is off: weir_ioas_dirty_start() first");
	if (ret)
		return ret;
	if (!wr_maps_next(&as->maps, iova, last, &m) || wr_ioas_unit(as, &m).first < iova ||
	    (wr_maps_next(&as->maps, last, last, &end) && wr_ioas_unit(as, &end).last > last))
		return wr_fail(-EINVAL, "IOVA 0x%" PRIx64 " to 0x%" PRIx64 " doesn't consist of "
			       "whole mappings", iova, last);
	do {
		ret = read_mapping(as, &m, bitmap, (m.iova - iova) / wr_page_size());
		if (ret < 0)
			return ret;
		count += ret;
		at = m.iova + m.len;
	} while (at && at <= last && wr_maps_next(&as->maps, at, last, &m));
	return count;
}

int weir_ioas_dirty_read(struct weir_ioas *as, weir_iova iova, size_t len, uint64_t *bitmap)
{
	int ret = wr_ioas_check_range(iova, len, "IOVA");

	if (ret)
		return ret;
	ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = dirty_read_locked(as, iova, len, bitmap);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

/* ---- one page table ---- */

int wr_hwpt_check_untracked(const struct weir_ioas *as)
{
	const struct weir_hwpt *hwpt;

	wr_list_for_each(hwpt, &as->hwpts, link)
		if (hwpt->tracking)
			return wr_fail(-EBUSY, "dirty tracking of a page table made by hand is on: "
				       "weir_hwpt_dirty_stop() first");
	return 0;
}

static int hwpt_check(const struct weir_hwpt *hwpt)
{
	int ret = wr_ioas_check_change(hwpt->as);

	if (!ret && !hwpt->dirty)
		ret = wr_fail(-ENOTSUP, "the page table has no dirty tracking: make it with "
			      "weir_hwpt_opts.dirty");
	return ret;
}

static int hwpt_track_locked(struct weir_hwpt *hwpt, bool on)
{
	int ret;

	if (hwpt->tracking == on)
		return 0;
	if (hwpt->as->tracking)
		return wr_fail(-EBUSY, "dirty tracking of its address space is on, and tells of "
			       "the page table, too: weir_ioas_dirty_stop() first");
	ret = hwpt->domain->ops->table_track(hwpt->domain, hwpt->table, on);
	if (!ret)
		hwpt->tracking = on;
	return ret;
}

static int hwpt_track(struct weir_hwpt *hwpt, bool on)
{
	int ret = hwpt_check(hwpt);

	if (ret)
		return ret;
	pthread_mutex_lock(&hwpt->as->lock);
	ret = hwpt_track_locked(hwpt, on);
	pthread_mutex_unlock(&hwpt->as->lock);
	return ret;
}

int weir_hwpt_dirty_start(struct weir_hwpt *hwpt)
{
	return hwpt_track(hwpt, true);
}

int weir_hwpt_dirty_stop(struct weir_hwpt *hwpt)
{
	return hwpt_track(hwpt, false);
}

#define PIECE_WORDS 512

/* In pieces, by a bitmap of their own: a bit for each @unit bytes, which become granules. */
static int read_pieces(struct weir_hwpt *hwpt, weir_iova base, weir_iova first, uint64_t len,
		       uint64_t unit, const struct weir_dirty_opts *opts, uint64_t *bitmap)
{
	uint64_t words[PIECE_WORDS], at, piece;

	for (at = 0; at < len; at += piece) {
		int ret;

		piece = len - at < unit * 64 * PIECE_WORDS ? len - at : unit * 64 * PIECE_WORDS;
		memset(words, 0, sizeof(words));
		ret = hwpt->domain->ops->table_dirty(hwpt->domain, hwpt->table, first + at, piece,
						     unit, opts->keep, words);
		if (ret)
			return ret;
		for (size_t i = 0; i < piece / unit; i++) {
			uint64_t bit = (first + at + i * unit - base) / opts->granularity;

			if (words[i / 64] >> (i % 64) & 1)
				bitmap[bit / 64] |= 1ull << (bit % 64);
		}
	}
	return 0;
}

/*
 * A part of a mapping into @bitmap, whose bit 0 is for @base. The interface's bits begin with what
 * it is asked for; and what is mapped needn't begin or end where a granule does.
 */
static int read_part(struct weir_hwpt *hwpt, weir_iova base, weir_iova first, uint64_t len,
		     const struct weir_dirty_opts *opts, uint64_t *bitmap)
{
	uint64_t bit = (first - base) / opts->granularity;

	if ((first | len) & (opts->granularity - 1))
		return read_pieces(hwpt, base, first, len, wr_page_size(), opts, bitmap);
	if (bit % 64)
		return read_pieces(hwpt, base, first, len, opts->granularity, opts, bitmap);
	return hwpt->domain->ops->table_dirty(hwpt->domain, hwpt->table, first, len,
					      opts->granularity, opts->keep, bitmap + bit / 64);
}

static int hwpt_read_locked(struct weir_hwpt *hwpt, weir_iova iova, uint64_t len,
			    const struct weir_dirty_opts *opts, uint64_t *bitmap)
{
	weir_iova last = iova + (len - 1), at = iova;
	struct wr_mapping m;
	int ret = 0;

	if (!hwpt->tracking)
		return wr_fail(-EINVAL, hwpt->as->tracking ?
			       "dirty tracking of the address space is on, and has what is written "
			       "by the page table, too: weir_ioas_dirty_read()" :
			       "dirty tracking of the page table is off: weir_hwpt_dirty_start() "
			       "first");
	while (!ret && wr_maps_next(&hwpt->as->maps, at, last, &m)) {
		weir_iova first = m.iova > iova ? m.iova : iova;
		weir_iova end = m.iova + (m.len - 1) < last ? m.iova + (m.len - 1) : last;

		ret = read_part(hwpt, iova, first, end - first + 1, opts, bitmap);
		at = end + 1;
		if (!at || at > last)
			break;
	}
	return ret;
}

int weir_hwpt_dirty_read(struct weir_hwpt *hwpt, weir_iova iova, uint64_t len,
			 const struct weir_dirty_opts *opts, uint64_t *bitmap)
{
	struct weir_dirty_opts how = opts ? *opts : (struct weir_dirty_opts){ 0 };
	int ret = WR_RESERVED(&how, "weir_dirty_opts");

	if (!ret)
		ret = hwpt_check(hwpt);
	if (ret)
		return ret;
	if (!how.granularity)
		how.granularity = wr_page_size();
	if (how.granularity & (how.granularity - 1) || how.granularity < wr_page_size())
		return wr_fail(-EINVAL, "a granularity of %" PRIu64 " bytes: it is a power of two, "
			       "a page or more", how.granularity);
	ret = wr_ioas_check_range(iova, len, "IOVA");
	if (!ret && (iova | len) & (how.granularity - 1))
		ret = wr_fail(-EINVAL, "IOVA 0x%" PRIx64 ", %" PRIu64 " bytes, isn't made of "
			      "granules of %" PRIu64 " bytes", iova, len, how.granularity);
	if (ret)
		return ret;
	pthread_mutex_lock(&hwpt->as->lock);
	ret = hwpt_read_locked(hwpt, iova, len, &how, bitmap);
	pthread_mutex_unlock(&hwpt->as->lock);
	return ret;
}
