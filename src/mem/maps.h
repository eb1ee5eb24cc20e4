/* SPDX-License-Identifier: MIT */
/*
 * The translation map: which memory lies behind which IOVA, and the other way round; and which
 * IOVAs are free. Look-ups (wr_maps_to_…) take no lock and may run in any thread beside one that
 * changes the map; for all else the caller locks.
 */
#ifndef WR_MEM_MAPS_H
#define WR_MEM_MAPS_H

#include <weir/ioas.h>

#include "mem/radix.h"
#include "mem/space.h"

/* Where memory is in a file. */
struct wr_file {
	int fd;
	uint64_t offset;
	bool write;			/* this process may write to it, too */
};

/* One mapping: memory that is contiguous both ways. It is unmapped as it was made. */
struct wr_mapping {
	weir_iova iova;
	uint64_t len;
	char *vaddr;
	enum weir_dma_dir dir;		/* unless it is a part */
	bool part;			/* of something larger, whose book the map's owner has */
	bool bar;			/* a device's registers, the file being their dma-buf */
	const struct wr_file *file;	/* that the memory is of; NULL: none, or unless a part */
};

/* Ranges in which IOVAs are usable: ascending; where two touch, nothing lies across. */
#define WR_RANGES_MAX 64

struct wr_ranges {
	size_t n;
	struct weir_iova_range r[WR_RANGES_MAX];
};

/* Windows of IOVAs, where those lie in such: each with pages of its own. */
#define WR_WINDOWS_MAX 2	/* the kernel's IOMMU_TABLE_GROUP_MAX_TABLES */

struct wr_window {
	weir_iova first, last;
	unsigned int page_shift, levels;	/* of its table */
};

struct wr_windows {
	size_t n;
	struct wr_window w[WR_WINDOWS_MAX];	/* ascending */
	/*
	 * The last IOVA of the default window, which may be gone; 0: IOVAs lie in no windows. What
	 * is behind it and below 4 GiB is no memory to a device, but registers of others
	 * (pnv_pci_ioda2_setup_default_config()).
	 */
	weir_iova low_end;
};

struct wr_maps {
	struct wr_radix by_iova;
	struct wr_radix by_vaddr;	/* has the oldest mapping of each page */
	struct wr_space space;		/* what is free of the ranges, but page 0 */
	struct wr_ranges ranges;
	/* Mappings of memory that an older one has, at least in part; by age. */
	struct wr_mapping *hidden;
	size_t n_hidden, hidden_room;
	size_t n;			/* mappings */
	uint64_t adds;			/* mappings there ever were; for look-ups */
};

/* No mappings, no ranges. Returns 0 or -ENOMEM; so do the others below that return an int. */
int wr_maps_init(struct wr_maps *maps);
void wr_maps_free(struct wr_maps *maps);

/* Where wr_maps_find_free() may choose from now on; the mappings lie within. */
int wr_maps_set_ranges(struct wr_maps *maps, const struct wr_ranges *ranges);

/* The lowest free place, not IOVA 0, that doesn't end above @limit. Returns 0 or -ENOSPC. */
int wr_maps_find_free(const struct wr_maps *maps, uint64_t len, enum wr_space_align align,
		      weir_iova limit, weir_iova *iova);

/* The same from @from on, at a multiple of @align, a power of two: slower. */
int wr_maps_find_from(const struct wr_maps *maps, weir_iova from, uint64_t len, uint64_t align,
		      weir_iova limit, weir_iova *iova);

/* Add a mapping where none is, inside a range and of at most WR_RADIX_LEN_MAX bytes. */
int wr_maps_add(struct wr_maps *maps, const struct wr_mapping *m);

/*
 * Have the memory that removing all these needs, so that wr_maps_remove() of each can't fail. They
 * follow one another in IOVA, and are removed from the first on or from the last.
 */
int wr_maps_prepare_remove(struct wr_maps *maps, const struct wr_mapping *m, size_t n);
void wr_maps_remove(struct wr_maps *maps, const struct wr_mapping *m);

/*
 * Let a mapping's memory lie at another address, @vaddr: from begin on it is found there as well,
 * from end on there alone. Undo ends it with everything as it was. Begin returns 0, or -ENOMEM with
 * nothing changed; the other two can't fail.
 */
int wr_maps_move_begin(struct wr_maps *maps, const struct wr_mapping *m, char *vaddr);
void wr_maps_move_end(struct wr_maps *maps, const struct wr_mapping *m, char *vaddr);
void wr_maps_move_undo(struct wr_maps *maps, const struct wr_mapping *m, char *vaddr);

/* The lowest mapping that has a byte in [first, last]. */
bool wr_maps_next(struct wr_maps *maps, weir_iova first, weir_iova last, struct wr_mapping *m);

/* Whether something of [vaddr, vaddr + len) is mapped; and where the lowest that is, is. */
bool wr_maps_have(const struct wr_maps *maps, const void *vaddr, uint64_t len, weir_iova *iova);

/*
 * Remove all mappings: first have the memory, then do it. Between the two nothing may be changed;
 * without doing it, free @space.
 */
int wr_maps_prepare_clear(struct wr_maps *maps, struct wr_space *space);
void wr_maps_clear(struct wr_maps *maps, const struct wr_space *space);

/* As weir_ioas_to_iova() and weir_ioas_to_vaddr(), without a message; @len may be NULL. */
bool wr_maps_to_iova(const struct wr_maps *maps, const void *vaddr, weir_iova *iova, size_t *len);
bool wr_maps_to_vaddr(const struct wr_maps *maps, weir_iova iova, void **vaddr, size_t *len);

/* As weir_ioas_to_iovas(). */
size_t wr_maps_to_iovas(const struct wr_maps *maps, const void *const *vaddrs, weir_iova *iovas,
			size_t n);

/* One try, which answers most look-ups; false: ask those above. */
static inline bool wr_maps_try(const struct wr_radix *r, uint64_t key, uint64_t *value, size_t *len)
{
	unsigned int shift;
	uint64_t entry;

	if (__builtin_expect(!len, 1))
		entry = wr_radix_try(r, key, NULL);
	else
		entry = wr_radix_try(r, key, &shift);
	if (__builtin_expect(!entry, 0))
		return false;
	*value = wr_radix_value(entry, key);
	if (!len)
		return true;
	*len = wr_radix_run(entry, shift, key);
	return !(entry & WR_RADIX_MORE);
}

/* Everything but the interrupt windows of x86 and Arm, which no domain has told us of yet. */
extern const struct wr_ranges wr_ranges_default;

/*
 * Append a range, to the last one if it goes on there. Beyond WR_RANGES_MAX it is dropped, which
 * loses room but no safety.
 */
void wr_ranges_add(struct wr_ranges *ranges, weir_iova first, weir_iova last);

/* Keep of @ranges what @other has too; where ranges of either touch, they go on to. */
void wr_ranges_intersect(struct wr_ranges *ranges, const struct wr_ranges *other);

/* What IOVAs there are in windows. */
void wr_ranges_of_windows(const struct wr_windows *windows, struct wr_ranges *out);

/* Whether [first, last] lies within one range. */
bool wr_ranges_hold(const struct wr_ranges *ranges, weir_iova first, weir_iova last);

static inline uint64_t wr_window_size(const struct wr_window *window)
{
	return window->last - window->first + 1;
}

#endif
