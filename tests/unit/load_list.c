/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load_list.h"
#include "tests/chance.h"

/* Automatic IOVAs end here until a device says how far it reaches. */
#define FIRST_UNTOLD (1ull << 39)

/* ---- chance ---- */

uint64_t any(struct worker *w, uint64_t below)
{
	return chance(&w->seed, below);
}

void wrong(const struct worker *w, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "WEIR_TEST_SEED=%llu, worker %u, operation %lu: ", w->first_seed, w->number,
		w->done);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n(message: %s)\n", weir_errmsg());
	abort();
}

void expect(const struct worker *w, const char *what, uint64_t is, uint64_t should)
{
	if (is != should)
		wrong(w, "%s is 0x%" PRIx64 " (%" PRId64 "), should be 0x%" PRIx64 " (%" PRId64 ")",
		      what, is, (int64_t)is, should, (int64_t)should);
}

/* Near what is there, anywhere in what is this worker's, or at the ends of ranges. */
uint64_t choose_iova(struct worker *w)
{
	const struct entry *e = w->n ? &w->e[any(w, w->n)] : NULL;
	const struct range *r = &w->ranges[any(w, w->n_ranges)];
	uint64_t base = (w->number + 1ull) << 33;

	if (e && (w->alone || e->iova >= base) && any(w, 2))
		return e->iova + any(w, 2) * e->len + any(w, 3) * PAGE;
	if (w->alone && !any(w, 4))
		return (any(w, 2) ? r->first : r->last + 1) + (any(w, 40) - 20) * PAGE;
	return base + any(w, 4 * GB / PAGE) * PAGE;
}

/* ---- the reference ---- */

bool is_giant(const struct worker *w, uint64_t vaddr)
{
	return vaddr - (uintptr_t)w->field->giant < GIANT;
}

bool is_refused(const struct worker *w, uint64_t vaddr)
{
	return !w->field->blind && is_giant(w, vaddr);
}

const struct range untold[3] = {
	{ 0, 0x7ffffff }, { 0x8100000, 0xfedfffff }, { 0xfef00000, UINT64_MAX },
};
static const struct range soft_ranges[] = {
	{ 0, 0xfedfffff }, { 0xfef00000, (1ull << 48) - 1 },
};

static void intersect(struct worker *w, const struct range *other, unsigned int n)
{
	struct range both[RANGES_MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < w->n_ranges; i++) {
		for (unsigned int j = 0; j < n; j++) {
			const struct range *a = &w->ranges[i], *b = &other[j];
			uint64_t first = a->first > b->first ? a->first : b->first;
			uint64_t last = a->last < b->last ? a->last : b->last;

			if (first <= last)
				both[count++] = (struct range){ first, last };
		}
	}
	memcpy(w->ranges, both, count * sizeof(both[0]));
	w->n_ranges = count;
}

unsigned int ranges_of(unsigned int dev, struct range *ranges)
{
	const struct fake_group *g = &fake.groups[dev];

	if (dev == SOFT) {
		memcpy(ranges, soft_ranges, sizeof(soft_ranges));
		return 2;
	}
	for (unsigned int i = 0; i < g->n_ranges; i++)
		ranges[i] = (struct range){ g->ranges[i].start, g->ranges[i].end };
	return g->n_ranges;
}

/* Where mappings may be, by the devices there are. */
void recompute(struct worker *w)
{
	struct range ranges[FAKE_RANGES];
	bool told = false;

	w->ranges[0] = (struct range){ 0, UINT64_MAX };
	w->n_ranges = 1;
	w->limit = UINT64_MAX;
	for (unsigned int i = 0; i < DEVICES; i++) {
		if (!w->dev[i])
			continue;
		told = true;
		intersect(w, ranges, ranges_of(i, ranges));
		if (w->dma_bits[i] < 64 && w->limit >> w->dma_bits[i])
			w->limit = (1ull << w->dma_bits[i]) - 1;
	}
	if (told)
		return;
	intersect(w, untold, 3);
	w->limit = FIRST_UNTOLD - 1;
}

bool within(const struct range *ranges, unsigned int n, uint64_t first, uint64_t last)
{
	for (unsigned int i = 0; i < n; i++)
		if (ranges[i].first <= first && last <= ranges[i].last)
			return true;
	return false;
}

const struct entry *at_iova(const struct worker *w, uint64_t iova)
{
	for (unsigned int i = 0; i < w->n; i++)
		if (iova - w->e[i].iova < w->e[i].len)
			return &w->e[i];
	return NULL;
}

const struct entry *oldest_at(const struct worker *w, uint64_t vaddr)
{
	const struct entry *oldest = NULL;

	for (unsigned int i = 0; i < w->n; i++)
		if (vaddr - w->e[i].vaddr < w->e[i].len && (!oldest || w->e[i].age < oldest->age))
			oldest = &w->e[i];
	return oldest;
}

bool is_free(const struct worker *w, uint64_t iova, uint64_t len)
{
	for (unsigned int i = 0; i < w->n; i++)
		if (iova - w->e[i].iova < w->e[i].len || w->e[i].iova - iova < len)
			return false;
	return true;
}

void enter(struct worker *w, const struct entry *e)
{
	unsigned int i = w->n++;

	for (; i && w->e[i - 1].iova > e->iova; i--)
		w->e[i] = w->e[i - 1];
	w->e[i] = *e;
	w->e[i].age = w->age++;
}

void leave(struct worker *w, const struct entry *e)
{
	uint64_t unit = e->unit;
	unsigned int kept = 0;

	for (unsigned int i = 0; i < w->n; i++)
		if (w->e[i].unit != unit)
			w->e[kept++] = w->e[i];
	w->n = kept;
}

/* There it is the youngest. */
void move(struct worker *w, const struct entry *e, uint64_t vaddr)
{
	struct entry *moved = &w->e[e - w->e];

	moved->vaddr = moved->says = vaddr;
	moved->age = w->age++;
}

/* The lowest place for it in a range, from left to right; 0 for none, which is no place. */
static uint64_t lowest_in(const struct worker *w, const struct range *r, uint64_t len,
			  uint64_t align)
{
	uint64_t first = r->first ? r->first : PAGE, at = (first + align - 1) & ~(align - 1);

	for (unsigned int i = 0; i < w->n; i++) {
		uint64_t last = w->e[i].iova + (w->e[i].len - 1);

		if (last < at)
			continue;
		if (w->e[i].iova > at && w->e[i].iova - at >= len)
			break;
		at = (last + align) & ~(align - 1);
		if (at <= last)
			return 0;
	}
	return at >= first && at <= r->last && len - 1 <= r->last - at ? at : 0;
}

uint64_t lowest(const struct worker *w, uint64_t bits, uint64_t len, uint64_t limit)
{
	static const uint64_t aligns[] = { GB, MB2, PAGE };

	if (!limit || limit > w->limit)
		limit = w->limit;
	for (unsigned int i = 0; i < 3; i++) {
		if (len < aligns[i] || bits % aligns[i])
			continue;
		for (unsigned int j = 0; j < w->n_ranges; j++) {
			uint64_t at = lowest_in(w, &w->ranges[j], len, aligns[i]);

			if (at && at + (len - 1) <= limit)
				return at;
		}
	}
	return 0;
}
