/* SPDX-License-Identifier: MIT */
/*
 * A sorted array: exact, small, and as simple as it can be. Adding and removing move what lies
 * above, and vaddr→IOVA looks at every mapping.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/maps.h"

void wr_maps_free(struct wr_maps *maps)
{
	free(maps->v);
	memset(maps, 0, sizeof(*maps));
}

int wr_maps_reserve(struct wr_maps *maps)
{
	size_t room = maps->room ? 2 * maps->room : 16;
	struct wr_mapping *v;

	if (maps->n < maps->room)
		return 0;
	v = reallocarray(maps->v, room, sizeof(*v));
	if (!v)
		return -ENOMEM;
	maps->v = v;
	maps->room = room;
	return 0;
}

/* The index of the first mapping whose last byte isn't below @iova. */
static size_t lower_bound(const struct wr_maps *maps, weir_iova iova)
{
	size_t lo = 0, hi = maps->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (maps->v[mid].iova + (maps->v[mid].len - 1) < iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void wr_maps_add(struct wr_maps *maps, const struct wr_mapping *mapping)
{
	size_t at = lower_bound(maps, mapping->iova);

	memmove(&maps->v[at + 1], &maps->v[at], (maps->n - at) * sizeof(maps->v[0]));
	maps->v[at] = *mapping;
	maps->v[at].age = ++maps->age;
	maps->n++;
}

void wr_maps_remove(struct wr_maps *maps, const struct wr_mapping *mapping)
{
	size_t at = (size_t)(mapping - maps->v);

	memmove(&maps->v[at], &maps->v[at + 1], (maps->n - at - 1) * sizeof(maps->v[0]));
	maps->n--;
}

const struct wr_mapping *wr_maps_find(const struct wr_maps *maps, weir_iova first, weir_iova last)
{
	size_t at = lower_bound(maps, first);

	return at < maps->n && maps->v[at].iova <= last ? &maps->v[at] : NULL;
}

const struct wr_mapping *wr_maps_find_vaddr(const struct wr_maps *maps, const void *vaddr)
{
	const struct wr_mapping *oldest = NULL;

	for (size_t i = 0; i < maps->n; i++) {
		const struct wr_mapping *m = &maps->v[i];

		if ((uintptr_t)vaddr - (uintptr_t)m->vaddr < m->len &&
		    (!oldest || m->age < oldest->age))
			oldest = m;
	}
	return oldest;
}

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

void wr_ranges_add(struct wr_ranges *ranges, weir_iova first, weir_iova last)
{
	if (ranges->n < WR_RANGES_MAX)
		ranges->r[ranges->n++] = (struct weir_iova_range){ first, last };
}

void wr_ranges_intersect(struct wr_ranges *ranges, const struct wr_ranges *other)
{
	struct wr_ranges both = { 0 };
	size_t i = 0, j = 0;

	while (i < ranges->n && j < other->n) {
		const struct weir_iova_range *a = &ranges->r[i], *b = &other->r[j];
		weir_iova first = a->first > b->first ? a->first : b->first;
		weir_iova last = a->last < b->last ? a->last : b->last;

		if (first <= last)
			wr_ranges_add(&both, first, last);
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

/* Round up to a multiple of @align; false when there is none in 64 bits. */
static bool align_up(weir_iova *iova, uint64_t align)
{
	weir_iova up = (*iova + align - 1) & ~(align - 1);

	if (up < *iova)
		return false;
	*iova = up;
	return true;
}

int wr_iova_find(const struct wr_maps *maps, const struct wr_ranges *ranges, uint64_t len,
		 uint64_t align, weir_iova limit, weir_iova *iova)
{
	for (size_t i = 0; i < ranges->n; i++) {
		weir_iova last = ranges->r[i].last < limit ? ranges->r[i].last : limit;
		weir_iova at = ranges->r[i].first ? ranges->r[i].first : 1;

		while (align_up(&at, align) && at <= last && last - at >= len - 1) {
			const struct wr_mapping *in_the_way;

			in_the_way = wr_maps_find(maps, at, at + (len - 1));
			if (!in_the_way) {
				*iova = at;
				return 0;
			}
			at = in_the_way->iova + (in_the_way->len - 1);
			if (at == UINT64_MAX)
				break;
			at++;
		}
	}
	return -ENOSPC;
}
