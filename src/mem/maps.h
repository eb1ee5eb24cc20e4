/* SPDX-License-Identifier: MIT */
/*
 * The translation map: which memory lies behind which IOVA, and the other way round. And the
 * choice of a free IOVA, since what is free is what the map doesn't hold.
 *
 * The caller locks.
 */
#ifndef WR_MEM_MAPS_H
#define WR_MEM_MAPS_H

#include <weir/ioas.h>

/* One mapping. What made it is the unit that unmaps it. */
struct wr_mapping {
	weir_iova iova;
	uint64_t len;
	char *vaddr;
	enum weir_dma_dir dir;
	uint64_t age;		/* a younger mapping has a larger one */
};

struct wr_maps {
	struct wr_mapping *v;	/* by IOVA, ascending */
	size_t n, room;
	uint64_t age;		/* of the youngest */
};

void wr_maps_free(struct wr_maps *maps);

/* Make room, so that the next wr_maps_add() can't fail. Returns 0 or -ENOMEM. */
int wr_maps_reserve(struct wr_maps *maps);
void wr_maps_add(struct wr_maps *maps, const struct wr_mapping *mapping);
void wr_maps_remove(struct wr_maps *maps, const struct wr_mapping *mapping);

/* The lowest mapping that has a byte in [first, last], or NULL. Good until the map changes. */
const struct wr_mapping *wr_maps_find(const struct wr_maps *maps, weir_iova first, weir_iova last);

/* The oldest mapping of the memory at @vaddr, or NULL. */
const struct wr_mapping *wr_maps_find_vaddr(const struct wr_maps *maps, const void *vaddr);

/* Ranges in which IOVAs are usable: ascending, apart. */
#define WR_RANGES_MAX 64

struct wr_ranges {
	size_t n;
	struct weir_iova_range r[WR_RANGES_MAX];
};

/* Everything but the interrupt windows of x86 and Arm, which no domain has told us of yet. */
extern const struct wr_ranges wr_ranges_default;

/* Append a range; beyond WR_RANGES_MAX it is dropped, which loses room but no safety. */
void wr_ranges_add(struct wr_ranges *ranges, weir_iova first, weir_iova last);

/* Keep of @ranges what @other has too. */
void wr_ranges_intersect(struct wr_ranges *ranges, const struct wr_ranges *other);

/* Whether [first, last] lies within one range. */
bool wr_ranges_hold(const struct wr_ranges *ranges, weir_iova first, weir_iova last);

/*
 * The lowest free IOVA, not 0, for @len bytes at a multiple of @align (a power of two), within one
 * range, with its last byte not above @limit. Returns 0 or -ENOSPC, without a message.
 */
int wr_iova_find(const struct wr_maps *maps, const struct wr_ranges *ranges, uint64_t len,
		 uint64_t align, weir_iova limit, weir_iova *iova);

#endif
