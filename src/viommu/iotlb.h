/* SPDX-License-Identifier: MIT */
/*
 * The IOTLB of a remapping unit: what walks of its tables found, by requester and IOVA page.
 *
 * An entry counts only in the generation that it was made in, and invalidating is to begin the
 * next one. Who inserts has read the generation before it walked, so an entry of a generation
 * never tells of tables as they were before that generation began. unit.c says when all threads
 * know of it.
 *
 * Any number of threads look up and insert at once. An entry is a sequence lock: its version is
 * odd while somebody writes it, and a look-up that finds the version changed finds nothing. There
 * are no fences in it, which ThreadSanitizer doesn't know: each word is stored by release, so who
 * loads a new word by acquire sees the odd version after it.
 */
#ifndef WR_VIOMMU_IOTLB_H
#define WR_VIOMMU_IOTLB_H

#include <stdbool.h>
#include <stdint.h>

#include "pgtable/vtdss.h"

#define WR_IOTLB_ENTRIES	1024
#define WR_IOTLB_WIDTH		57	/* IOVA bits of the widest tables */

struct wr_iotlb_entry {
	uint64_t version;
	uint64_t generation;
	uint64_t key;		/* the requester above the number of the IOVA's 4 KiB page */
	uint64_t value;		/* that page's address, the leaf's size, and what is allowed */
};

/* All zero to begin with, but for the generation, which is 1: no entry counts. */
struct wr_iotlb {
	uint64_t generation;	/* 64 bits don't wrap */
	_Alignas(64) struct wr_iotlb_entry entries[WR_IOTLB_ENTRIES];
};

/* A value's bits beside those of a page-table entry: whether the leaf is large, log2 of it. */
#define WR_IOTLB_LARGE		(1ull << 2)
#define WR_IOTLB_SHIFT		3

static inline uint64_t wr_iotlb_key(uint16_t requester, uint64_t iova)
{
	return (uint64_t)requester << (WR_IOTLB_WIDTH - 12) | iova >> 12;
}

/*
 * Which entry is a key's. The pages of a buffer get entries side by side; pages that are a large
 * power of two apart, and requesters, don't share one.
 */
static inline unsigned int wr_iotlb_index(uint64_t key)
{
	return (key ^ key >> 9 ^ key >> 18 ^ key >> (WR_IOTLB_WIDTH - 12)) % WR_IOTLB_ENTRIES;
}

/* Begin a generation, after what has changed in the tables. */
static inline void wr_iotlb_invalidate(struct wr_iotlb *tlb)
{
	/* An addition, so that who sees a later generation sees the changes before this one too. */
	__atomic_fetch_add(&tlb->generation, 1, __ATOMIC_RELEASE);
}

/* To be read before the walk whose result is inserted. */
static inline uint64_t wr_iotlb_generation(const struct wr_iotlb *tlb)
{
	return __atomic_load_n(&tlb->generation, __ATOMIC_ACQUIRE);
}

/*
 * Whether it is known that @requester may access @iova. @addr: what it translates to; @run: bytes
 * from there to the end of its leaf.
 */
static inline bool wr_iotlb_find(const struct wr_iotlb *tlb, uint16_t requester, uint64_t iova,
				 bool write, uint64_t *addr, uint64_t *run)
{
	uint64_t key = wr_iotlb_key(requester, iova), value, leaf = 0x1000;
	const struct wr_iotlb_entry *e = &tlb->entries[wr_iotlb_index(key)];
	uint64_t version = __atomic_load_n(&e->version, __ATOMIC_ACQUIRE);

	if (version & 1 || iova >> WR_IOTLB_WIDTH)
		return false;
	if (__atomic_load_n(&e->key, __ATOMIC_ACQUIRE) != key)
		return false;
	if (__atomic_load_n(&e->generation, __ATOMIC_ACQUIRE) !=
	    __atomic_load_n(&tlb->generation, __ATOMIC_RELAXED))
		return false;
	value = __atomic_load_n(&e->value, __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&e->version, __ATOMIC_RELAXED) != version)
		return false;
	if (!(value & (write ? WR_VTDSS_WRITE : WR_VTDSS_READ)))
		return false;
	/* A branch, so that what comes after a small leaf doesn't wait for the entry. */
	if (__builtin_expect(value & WR_IOTLB_LARGE, 0))
		leaf = 1ull << (value >> WR_IOTLB_SHIFT & 63);
	*addr = (value & WR_VTDSS_ADDR) | (iova & 0xfff);
	*run = leaf - (iova & (leaf - 1));
	return true;
}

/*
 * Keep what a walk for @iova found that began in @generation. @writable: a write need not walk
 * again.
 */
void wr_iotlb_insert(struct wr_iotlb *tlb, uint64_t generation, uint16_t requester, uint64_t iova,
		     const struct wr_walk *walk, bool writable);

#endif
