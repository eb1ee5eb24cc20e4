/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "mem/maps.h"

/* What the owner's bits of a leaf mean in by_iova: a weir_dma_dir, or that it is of a part. */
#define DIR_SHIFT 4
#define PART 3ull

int wr_maps_init(struct wr_maps *maps)
{
	int ret;

	memset(maps, 0, sizeof(*maps));
	wr_space_init(&maps->space);
	ret = wr_radix_init(&maps->by_iova);
	if (ret)
		return ret;
	ret = wr_radix_init(&maps->by_vaddr);
	if (ret)
		wr_radix_free(&maps->by_iova);
	return ret;
}

void wr_maps_free(struct wr_maps *maps)
{
	wr_radix_free(&maps->by_iova);
	wr_radix_free(&maps->by_vaddr);
	wr_space_free(&maps->space);
	free(maps->hidden);
	memset(maps, 0, sizeof(*maps));
}

/* ---- free IOVAs ---- */

/* Page 0 is nobody's, so that 0 is no automatic IOVA. */
static weir_iova without_page_0(weir_iova first)
{
	return first ? first : wr_page_size();
}

/* The whole pages of a range, without page 0. */
static bool whole_pages(const struct weir_iova_range *range, struct weir_iova_range *whole)
{
	uint64_t page = wr_page_size();

	if (range->first > UINT64_MAX - (page - 1))
		return false;
	whole->first = without_page_0((range->first + page - 1) & ~(page - 1));
	whole->last = ((range->last + 1) & ~(page - 1)) - 1;	/* 2^64 is 0 */
	return range->last >= page - 1 && whole->first <= whole->last;
}

static int give(struct wr_space *space, weir_iova first, weir_iova last)
{
	int ret;

	if (first > last)
		return 0;
	ret = wr_space_reserve(space, 1);
	if (!ret)
		wr_space_give(space, first, last, first, last);
	return ret;
}

/* What of a range no mapping has. */
static int give_gaps(struct wr_maps *maps, struct wr_space *space,
		     const struct weir_iova_range *range)
{
	struct weir_iova_range whole;
	struct wr_mapping m;
	weir_iova at;
	int ret;

	if (!whole_pages(range, &whole))
		return 0;
	at = whole.first;
	while (at <= whole.last && wr_maps_next(maps, at, whole.last, &m)) {
		ret = m.iova > at ? give(space, at, m.iova - 1) : 0;
		if (ret)
			return ret;
		at = m.iova + m.len;
		if (!at)
			return 0;	/* it ends with the last byte there is */
	}
	return give(space, at, whole.last);
}

int wr_maps_set_ranges(struct wr_maps *maps, const struct wr_ranges *ranges)
{
	struct wr_space space;

	if (ranges->n == maps->ranges.n &&
	    !memcmp(ranges->r, maps->ranges.r, ranges->n * sizeof(ranges->r[0])))
		return 0;
	wr_space_init(&space);
	for (size_t i = 0; i < ranges->n; i++) {
		int ret = give_gaps(maps, &space, &ranges->r[i]);

		if (ret) {
			wr_space_free(&space);
			return ret;
		}
	}
	wr_space_free(&maps->space);
	maps->space = space;
	maps->ranges = *ranges;
	return 0;
}

int wr_maps_find_free(const struct wr_maps *maps, uint64_t len, enum wr_space_align align,
		      weir_iova limit, weir_iova *iova)
{
	uint64_t start;
	int ret = wr_space_find(&maps->space, len, align, limit, &start);

	if (!ret)
		*iova = start;
	return ret;
}

int wr_maps_find_from(const struct wr_maps *maps, weir_iova from, uint64_t len, uint64_t align,
		      weir_iova limit, weir_iova *iova)
{
	uint64_t start;
	int ret = wr_space_find_from(&maps->space, from, len, align, limit, &start);

	if (!ret)
		*iova = start;
	return ret;
}

/* ---- mappings ---- */

/* For two: one that is added, and one that must be added back. */
static int reserve_hidden(struct wr_maps *maps)
{
	size_t room = maps->hidden_room ? 2 * maps->hidden_room : 16;
	struct wr_mapping *hidden;

	if (maps->n_hidden + 1 < maps->hidden_room)
		return 0;
	hidden = reallocarray(maps->hidden, room, sizeof(*hidden));
	if (!hidden)
		return -ENOMEM;
	maps->hidden = hidden;
	maps->hidden_room = room;
	return 0;
}

static int set_by_iova(struct wr_maps *maps, const struct wr_mapping *m)
{
	uint64_t bits = m->part ? PART : (uint64_t)m->dir;
	bool hidden;

	__atomic_store_n(&maps->adds, maps->adds + 1, __ATOMIC_RELEASE);
	return wr_radix_set(&maps->by_iova, m->iova, (uintptr_t)m->vaddr, m->len,
			    WR_RADIX_FIRST | bits << DIR_SHIFT, &hidden);
}

/* Room in the list of the hidden has been reserved. */
static int set_by_vaddr(struct wr_maps *maps, const struct wr_mapping *m)
{
	bool hidden;
	int ret = wr_radix_set(&maps->by_vaddr, (uintptr_t)m->vaddr, m->iova, m->len, 0, &hidden);

	if (!ret && hidden)
		maps->hidden[maps->n_hidden++] = *m;
	return ret;
}

int wr_maps_add(struct wr_maps *maps, const struct wr_mapping *m)
{
	weir_iova first = without_page_0(m->iova), last = m->iova + (m->len - 1);
	int ret = reserve_hidden(maps);

	if (!ret)
		ret = wr_space_reserve(&maps->space, 1);
	if (!ret)
		ret = set_by_iova(maps, m);
	if (ret)
		return ret;
	ret = set_by_vaddr(maps, m);
	if (ret) {
		wr_radix_clear(&maps->by_iova, m->iova, (uintptr_t)m->vaddr, m->len);
		return ret;
	}
	if (first <= last)
		wr_space_take(&maps->space, first, last);
	maps->n++;
	return 0;
}

static bool share_memory(const struct wr_mapping *a, const struct wr_mapping *b)
{
	uint64_t a_at = (uintptr_t)a->vaddr, b_at = (uintptr_t)b->vaddr;

	return a_at - b_at < b->len || b_at - a_at < a->len;
}

/*
 * May it hide another, or is it in the list of the hidden itself? Its leaves say so, those also
 * that show since another went.
 */
static bool is_shared(struct wr_maps *maps, const struct wr_mapping *m)
{
	return maps->n_hidden &&
	       wr_radix_shares(&maps->by_vaddr, (uintptr_t)m->vaddr, m->iova, m->len);
}

/* How many pages of that size @h begins or ends in the middle of, where @m is. */
static size_t cuts(const struct wr_mapping *h, const struct wr_mapping *m, uint64_t size)
{
	uint64_t first = (uintptr_t)h->vaddr, end = first + h->len, at = (uintptr_t)m->vaddr;
	bool cuts_first = first % size && first - at < m->len;
	bool cuts_end = end % size && end - at < m->len;

	if (cuts_first && cuts_end && first / size == end / size)
		return 1;
	return (size_t)cuts_first + cuts_end;
}

/* How many tables, at most, it takes to uncover what @m hides: where its large pages are cut. */
static size_t tables_below(const struct wr_maps *maps, const struct wr_mapping *m)
{
	static const uint64_t sizes[] = { 2ul << 20, 1ul << 30 };
	size_t all = 0;

	for (size_t i = 0; i < 2; i++) {
		size_t n = 0, most = m->len / sizes[i];

		for (size_t j = 0; j < maps->n_hidden && n < most; j++)
			n += cuts(&maps->hidden[j], m, sizes[i]);
		all += n < most ? n : most;
	}
	return all;
}

/*
 * How many extents that makes, at most: one in each range that has a part of it, since each mapping
 * follows what was given back before it.
 */
static size_t free_pieces(const struct wr_maps *maps, weir_iova first, weir_iova last)
{
	size_t n = 0;

	for (size_t i = 0; i < maps->ranges.n; i++)
		n += maps->ranges.r[i].first <= last && first <= maps->ranges.r[i].last;
	return n;
}

int wr_maps_prepare_remove(struct wr_maps *maps, const struct wr_mapping *m, size_t n)
{
	weir_iova last = m[n - 1].iova + (m[n - 1].len - 1);
	size_t tables = 0;
	int ret = 0;

	for (size_t i = 0; i < n; i++)
		if (m[i].len >= 2ul << 20 && is_shared(maps, &m[i]))
			tables += tables_below(maps, &m[i]);
	if (tables)
		ret = wr_radix_reserve(&maps->by_vaddr, tables);
	return ret ? ret : wr_space_reserve(&maps->space, free_pieces(maps, m->iova, last));
}

/* Only what lies in a range is free then; and nothing free crosses from one into the next. */
static void give_back(struct wr_maps *maps, const struct wr_mapping *m)
{
	weir_iova last = m->iova + (m->len - 1);

	for (size_t i = 0; i < maps->ranges.n; i++) {
		struct weir_iova_range whole;
		weir_iova from, to;

		if (!whole_pages(&maps->ranges.r[i], &whole) || whole.last < m->iova)
			continue;
		if (whole.first > last)
			break;
		from = m->iova > whole.first ? m->iova : whole.first;
		to = last < whole.last ? last : whole.last;
		wr_space_give(&maps->space, from, to, whole.first, whole.last);
	}
}

/*
 * Take the mapping out of by_vaddr, and let those that it hid show, the oldest first. Look-ups wait
 * meanwhile: memory that stays mapped must not seem unmapped.
 */
static void uncover(struct wr_maps *maps, const struct wr_mapping *m)
{
	size_t kept = 0;
	bool hidden;

	wr_radix_hold(&maps->by_vaddr);
	wr_radix_clear(&maps->by_vaddr, (uintptr_t)m->vaddr, m->iova, m->len);
	for (size_t i = 0; i < maps->n_hidden; i++) {
		struct wr_mapping h = maps->hidden[i];

		if (h.iova == m->iova && h.vaddr == m->vaddr)
			continue;
		maps->hidden[kept++] = h;
		if (share_memory(&h, m))
			wr_radix_set(&maps->by_vaddr, (uintptr_t)h.vaddr, h.iova, h.len,
				     WR_RADIX_COVERS, &hidden);
	}
	maps->n_hidden = kept;
	wr_radix_release(&maps->by_vaddr);
}

static void clear_by_vaddr(struct wr_maps *maps, const struct wr_mapping *m)
{
	if (is_shared(maps, m))
		uncover(maps, m);
	else
		wr_radix_clear(&maps->by_vaddr, (uintptr_t)m->vaddr, m->iova, m->len);
}

void wr_maps_remove(struct wr_maps *maps, const struct wr_mapping *m)
{
	clear_by_vaddr(maps, m);
	wr_radix_clear(&maps->by_iova, m->iova, (uintptr_t)m->vaddr, m->len);
	give_back(maps, m);
	maps->n--;
}

int wr_maps_move_begin(struct wr_maps *maps, const struct wr_mapping *m, char *vaddr)
{
	struct wr_mapping moved = *m;
	int ret = reserve_hidden(maps);

	moved.vaddr = vaddr;
	if (!ret)
		ret = set_by_vaddr(maps, &moved);
	if (ret)
		return ret;
	ret = wr_maps_prepare_remove(maps, m, 1);
	if (ret)
		wr_maps_move_undo(maps, m, vaddr);
	return ret;
}

/*
 * At its new address it is the youngest mapping of that memory, and hides no other: it is taken out
 * by clearing what shows of it; and if it is in the list of the hidden, it is the last there.
 */
void wr_maps_move_undo(struct wr_maps *maps, const struct wr_mapping *m, char *vaddr)
{
	size_t n = maps->n_hidden;

	wr_radix_clear(&maps->by_vaddr, (uintptr_t)vaddr, m->iova, m->len);
	if (n && maps->hidden[n - 1].iova == m->iova && maps->hidden[n - 1].vaddr == vaddr)
		maps->n_hidden--;
}

/* By IOVA it takes the leaves that it had, and no table is needed; look-ups wait meanwhile. */
void wr_maps_move_end(struct wr_maps *maps, const struct wr_mapping *m, char *vaddr)
{
	struct wr_mapping moved = *m;

	moved.vaddr = vaddr;
	wr_radix_hold(&maps->by_iova);
	wr_radix_clear(&maps->by_iova, m->iova, (uintptr_t)m->vaddr, m->len);
	set_by_iova(maps, &moved);
	wr_radix_release(&maps->by_iova);
	clear_by_vaddr(maps, m);
}

int wr_maps_prepare_clear(struct wr_maps *maps, struct wr_space *space)
{
	wr_space_init(space);
	for (size_t i = 0; i < maps->ranges.n; i++) {
		struct weir_iova_range whole;

		if (whole_pages(&maps->ranges.r[i], &whole) &&
		    give(space, whole.first, whole.last)) {
			wr_space_free(space);
			return -ENOMEM;
		}
	}
	return 0;
}

/* What was hidden needn't show for the moment between two removals. */
void wr_maps_clear(struct wr_maps *maps, const struct wr_space *space)
{
	struct wr_mapping m = { 0 };

	maps->n_hidden = 0;
	while (maps->n-- && wr_maps_next(maps, m.iova + m.len, UINT64_MAX, &m)) {
		wr_radix_clear(&maps->by_vaddr, (uintptr_t)m.vaddr, m.iova, m.len);
		wr_radix_clear(&maps->by_iova, m.iova, (uintptr_t)m.vaddr, m.len);
	}
	wr_space_free(&maps->space);
	maps->space = *space;
	maps->n = 0;
}

/* The first leaf of the mapping that @leaf belongs to. */
static void go_to_first(struct wr_maps *maps, struct wr_radix_leaf *leaf)
{
	while (!(leaf->entry & WR_RADIX_FIRST)) {
		uint64_t before = leaf->key - 1;

		leaf->entry = wr_radix_find(&maps->by_iova, before, &leaf->shift);
		leaf->key = before & ~((1ull << leaf->shift) - 1);
	}
}

bool wr_maps_next(struct wr_maps *maps, weir_iova first, weir_iova last, struct wr_mapping *m)
{
	struct wr_radix_leaf leaf;
	uint64_t bits;
	void *vaddr;
	size_t len;

	if (!wr_radix_next(&maps->by_iova, first, last, &leaf))
		return false;
	go_to_first(maps, &leaf);
	if (!wr_maps_to_vaddr(maps, leaf.key, &vaddr, &len))
		return false;
	bits = (leaf.entry & WR_RADIX_USER) >> DIR_SHIFT;
	*m = (struct wr_mapping){
		.iova = leaf.key,
		.len = len,
		.vaddr = vaddr,
		.dir = bits == PART ? WEIR_DMA_BOTH : (enum weir_dma_dir)bits,
		.part = bits == PART,
	};
	return true;
}

bool wr_maps_have(const struct wr_maps *maps, const void *vaddr, uint64_t len, weir_iova *iova)
{
	uint64_t first = (uintptr_t)vaddr;
	struct wr_radix_leaf leaf;

	if (!wr_radix_next(&maps->by_vaddr, first, first + (len - 1), &leaf))
		return false;
	*iova = wr_radix_value(leaf.entry, leaf.key > first ? leaf.key : first);
	return true;
}

/* ---- look-ups ---- */

/*
 * A leaf is read as it is at one moment; several aren't, and between two of them their mapping may
 * be replaced by another. Then they are read again, but not for ever: so many new mappings during
 * one look-up are taken for others'.
 */
#define TRIES 64

enum followed { WHOLE, IN_DOUBT, BROKEN };

/* From @iova on to the mapping's end. BROKEN: it is being added or removed. */
static enum followed follow(const struct wr_maps *maps, weir_iova iova, void **vaddr, size_t *len)
{
	uint64_t adds = __atomic_load_n(&maps->adds, __ATOMIC_ACQUIRE), value, run = 0;
	unsigned int shift;
	uint64_t entry = wr_radix_find(&maps->by_iova, iova, &shift);

	if (!entry)
		return BROKEN;
	value = wr_radix_value(entry, iova);
	for (;;) {
		run += wr_radix_run(entry, shift, iova + run);
		if (!(entry & WR_RADIX_MORE))
			break;
		entry = wr_radix_find(&maps->by_iova, iova + run, &shift);
		if (!entry || entry & WR_RADIX_FIRST ||
		    wr_radix_value(entry, iova + run) != value + run)
			return BROKEN;
	}
	*vaddr = (void *)(uintptr_t)value;
	*len = run;
	return __atomic_load_n(&maps->adds, __ATOMIC_RELAXED) == adds ? WHOLE : IN_DOUBT;
}

bool wr_maps_to_vaddr(const struct wr_maps *maps, weir_iova iova, void **vaddr, size_t *len)
{
	enum followed followed = BROKEN;
	unsigned int shift;
	uint64_t entry;

	if (!len) {
		entry = wr_radix_find(&maps->by_iova, iova, &shift);
		if (entry)
			*vaddr = (void *)(uintptr_t)wr_radix_value(entry, iova);
		return entry;
	}
	for (int tries = 0; tries < TRIES && followed != WHOLE; tries++) {
		if (!wr_radix_find(&maps->by_iova, iova, &shift))
			return false;
		followed = follow(maps, iova, vaddr, len);
	}
	return followed != BROKEN;
}

/*
 * Behind a leaf's run, another mapping of the same memory may show: by IOVA none does. A mapping is
 * there before its memory is here, and after: if it isn't, the memory's leaf has gone as well.
 */
bool wr_maps_to_iova(const struct wr_maps *maps, const void *vaddr, weir_iova *iova, size_t *len)
{
	uint64_t key = (uintptr_t)vaddr, entry;
	unsigned int shift;
	void *same;
	size_t run;

	for (int tries = 0; tries < TRIES; tries++) {
		entry = wr_radix_find(&maps->by_vaddr, key, &shift);
		if (!entry)
			return false;
		*iova = wr_radix_value(entry, key);
		if (!len)
			return true;
		*len = wr_radix_run(entry, shift, key);
		if (!(entry & WR_RADIX_MORE))
			return true;
		if (wr_maps_to_vaddr(maps, *iova, &same, &run) && same == vaddr) {
			*len = run;
			return true;
		}
	}
	return true;
}

#define GROUP 256

/*
 * Of a group, all leaves are on their way to the cache before the first one is needed. Most groups
 * are of pages that are mapped, every one: this is for them, with branches that are foreseen and
 * nothing that isn't needed then. False: something else is among them, or one takes more than one
 * try.
 */
static bool try_pages(const struct wr_radix *r, const void *const *vaddrs, weir_iova *iovas,
		      size_t n)
{
	uint64_t seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE), places[GROUP];
	const uint64_t *root = r->root;

#pragma GCC unroll 4
	for (size_t i = 0; i < n; i++) {
		uint64_t key = (uintptr_t)vaddrs[i], entry;

		if (key >= seq)
			return false;
		entry = wr_radix_load(&root[key >> 30]);
		if (!(entry & WR_RADIX_TABLE))
			return false;
		entry = wr_radix_load(wr_radix_at(wr_radix_place(entry, key, 21)));
		if (!(entry & WR_RADIX_TABLE))
			return false;
		places[i] = wr_radix_place(entry, key, 12);
		__builtin_prefetch(wr_radix_at(places[i]));
	}
#pragma GCC unroll 4
	for (size_t i = 0; i < n; i++) {
		uint64_t entry = wr_radix_load(wr_radix_at(places[i]));

		if (!entry)
			return false;
		iovas[i] = wr_radix_value(entry, (uintptr_t)vaddrs[i]);
	}
	return __atomic_load_n(&r->seq, __ATOMIC_RELAXED) == seq;
}

/* The same for leaves of any size, or none. False: one of them takes more than one try. */
static bool try_group(const struct wr_radix *r, const void *const *vaddrs, weir_iova *iovas,
		      size_t n, size_t *found)
{
	uint64_t seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE);
	const uint64_t *leaves[GROUP];
	size_t mapped = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t key = (uintptr_t)vaddrs[i];

		if (key >= seq)
			return false;
		leaves[i] = wr_radix_walk(&r->root[key >> 30], key, NULL);
		__builtin_prefetch(leaves[i]);
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t entry = wr_radix_load(leaves[i]);

		iovas[i] = entry ? wr_radix_value(entry, (uintptr_t)vaddrs[i]) : WEIR_IOVA_NONE;
		mapped += !!entry;
	}
	if (__atomic_load_n(&r->seq, __ATOMIC_RELAXED) != seq)
		return false;
	*found += mapped;
	return true;
}

size_t wr_maps_to_iovas(const struct wr_maps *maps, const void *const *vaddrs, weir_iova *iovas,
			size_t n)
{
	size_t found = 0, group;

	for (size_t at = 0; at < n; at += group) {
		group = n - at < GROUP ? n - at : GROUP;
		if (try_pages(&maps->by_vaddr, &vaddrs[at], &iovas[at], group)) {
			found += group;
			continue;
		}
		if (try_group(&maps->by_vaddr, &vaddrs[at], &iovas[at], group, &found))
			continue;
		for (size_t i = at; i < at + group; i++) {
			if (wr_maps_to_iova(maps, vaddrs[i], &iovas[i], NULL))
				found++;
			else
				iovas[i] = WEIR_IOVA_NONE;
		}
	}
	return found;
}

/* ---- ranges ---- */

const struct wr_ranges wr_ranges_default = {
	.n = 3,
	.r = {
		{ 0, 0x7ffffff },
		/* 0x08000000: where the kernel puts the MSI doorbell on Arm (arm-smmu-v3.c) */
		{ 0x8100000, 0xfedfffff },
		/* 0xfee00000: interrupt messages on x86, never translated */
		{ 0xfef00000, UINT64_MAX },
	},
};

static void append(struct wr_ranges *ranges, weir_iova first, weir_iova last)
{
	if (first <= last && ranges->n < WR_RANGES_MAX)
		ranges->r[ranges->n++] = (struct weir_iova_range){ first, last };
}

void wr_ranges_add(struct wr_ranges *ranges, weir_iova first, weir_iova last)
{
	struct weir_iova_range *before = ranges->n ? &ranges->r[ranges->n - 1] : NULL;

	if (before && before->last == first - 1)
		before->last = last;
	else
		append(ranges, first, last);
}

void wr_ranges_of_windows(const struct wr_windows *windows, struct wr_ranges *out)
{
	const weir_iova low = windows->low_end, high = 1ull << 32;

	*out = (struct wr_ranges){ 0 };
	for (size_t i = 0; i < windows->n; i++) {
		const struct wr_window *w = &windows->w[i];

		if (w->first >= high || w->last <= low) {
			append(out, w->first, w->last);
			continue;
		}
		append(out, w->first, low);
		append(out, high, w->last);
	}
}

void wr_ranges_intersect(struct wr_ranges *ranges, const struct wr_ranges *other)
{
	struct wr_ranges both = { 0 };
	size_t i = 0, j = 0;

	while (i < ranges->n && j < other->n) {
		const struct weir_iova_range *a = &ranges->r[i], *b = &other->r[j];
		weir_iova first = a->first > b->first ? a->first : b->first;
		weir_iova last = a->last < b->last ? a->last : b->last;

		append(&both, first, last);
		if (a->last < b->last)
			i++;
		else
			j++;
	}
	*ranges = both;
}

bool wr_ranges_hold(const struct wr_ranges *ranges, weir_iova first, weir_iova last)
{
	for (size_t i = 0; i < ranges->n; i++)
		if (ranges->r[i].first <= first && last <= ranges->r[i].last)
			return true;
	return false;
}
