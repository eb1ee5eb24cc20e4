/* SPDX-License-Identifier: MIT */
/*
 * A map from page-aligned addresses to page-aligned addresses, shaped like a page table: leaves of
 * 4 KiB, 2 MiB and 1 GiB, an entry of 8 bytes for each. Look-ups take no lock and may run beside
 * one writer.
 *
 * Below 2^48 there is one flat table of 1 GiB slots, of which only the pages in use take memory;
 * what lies higher goes through three levels more.
 */
#ifndef WR_MEM_RADIX_H
#define WR_MEM_RADIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/select.h"

/*
 * An entry: in bits 12 to 63, for a leaf, what is to be added to a key in it to get the value, the
 * same all over a mapping; and how far it goes on. Its run are the leaves of that size, this one
 * included, whose values follow one another; MORE says that the mapping goes on after them.
 */
#define WR_RADIX_LEAF	0x001ull
#define WR_RADIX_TABLE	0x002ull	/* a table of 512 entries instead */
#define WR_RADIX_MORE	0x004ull
#define WR_RADIX_USER	0x038ull	/* three bits for the map's owner */
#define WR_RADIX_FIRST	0x008ull	/* the owner's: for the first leaf of what was set */
#define WR_RADIX_COVERS	0x010ull	/* set where something else was to be set; or the owner's */
#define WR_RADIX_RUN	0xfc0ull	/* the run's length less one */
#define WR_RADIX_VALUE	(~0xfffull)

struct wr_radix {
	/*
	 * Keys below it may be looked up by one try. It is 0 while a look-up could go wrong because
	 * a table is being put to another use, or because what was hidden is being uncovered; and
	 * otherwise 2^48 and the number of such times: look-ups that met one start again.
	 */
	uint64_t seq;
	uint64_t *root;			/* slots of 1 GiB, up to 2^48; then as many unused ones */
	uint64_t *high;			/* the table for what is above, by bits 57 to 63 */
	uint64_t *used;			/* a bit per word of the root's slots: has it been used? */
	/* the writer's */
	uint64_t holds;
	void *chunks;			/* memory of tables */
	struct wr_list spare;		/* tables in no use */
	size_t spares;
	struct wr_list empty;		/* tables that are linked, but have no entry */
	size_t tables;			/* all of them */
};

int wr_radix_init(struct wr_radix *r);
void wr_radix_free(struct wr_radix *r);

/*
 * Set [key, key + len) to [value, value + len), where nothing is set yet; what is stays as it is,
 * but is marked with WR_RADIX_COVERS. All in bytes, multiples of 4 KiB, at most WR_RADIX_LEN_MAX
 * of them. @user: bits of WR_RADIX_USER for each leaf, but FIRST for the first only. *hidden:
 * whether something was set already.
 *
 * Returns 0, or -ENOMEM with nothing changed.
 */
int wr_radix_set(struct wr_radix *r, uint64_t key, uint64_t value, uint64_t len, uint64_t user,
		 bool *hidden);

/* Have @n tables for calls of wr_radix_set() that mustn't fail. Returns 0 or -ENOMEM. */
int wr_radix_reserve(struct wr_radix *r, size_t n);

/*
 * Of [key, key + len), set to [value, value + len): may it hide something else, or is some of it
 * hidden?
 */
bool wr_radix_shares(struct wr_radix *r, uint64_t key, uint64_t value, uint64_t len);

/* Clear the part of [key, key + len) that is set to [value, value + len). */
void wr_radix_clear(struct wr_radix *r, uint64_t key, uint64_t value, uint64_t len);

/* Between these, look-ups wait: for changes of several steps that must show as one. */
void wr_radix_hold(struct wr_radix *r);
void wr_radix_release(struct wr_radix *r);

/* The first leaf that lies above or includes @key, and not above @last. */
struct wr_radix_leaf {
	uint64_t key;		/* its start */
	uint64_t entry;
	unsigned int shift;	/* its size: 12, 21 or 30 */
};

bool wr_radix_next(const struct wr_radix *r, uint64_t key, uint64_t last,
		   struct wr_radix_leaf *leaf);

#define WR_RADIX_DIRECT_BITS 48

/* More than the memory of a process; the time and memory it takes are 8 bytes for each GiB. */
#define WR_RADIX_LEN_MAX (1ull << 48)

static inline uint64_t wr_radix_load(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

/*
 * The place of @key's entry in the table that @entry points at. Tables lie on page boundaries, and
 * mappings tend to begin at round addresses: their entries would compete for few of a cache's sets.
 * So each table has its lines in an order of its own, given by the bits 6 to 11 of what points at
 * it. A place is an entry's address with WR_RADIX_TABLE, which is left in because that is free.
 */
static inline uint64_t wr_radix_place(uint64_t entry, uint64_t key, unsigned int shift)
{
	return entry ^ (key >> (shift - 3) & 0xff8);
}

static inline uint64_t *wr_radix_at(uint64_t place)
{
	return (uint64_t *)(uintptr_t)(place - WR_RADIX_TABLE);
}

/*
 * One step down, if @entry points at a table; otherwise @place again. Which size a leaf has can't
 * be predicted where sizes are mixed.
 */
static inline uint64_t wr_radix_down(uint64_t place, uint64_t entry, uint64_t key,
				     unsigned int shift)
{
	return wr_select(entry, WR_RADIX_TABLE, wr_radix_place(entry, key, shift), place);
}

/* The place of the leaf that includes @key, below the 1 GiB slot @at; and, if asked, its size. */
static inline const uint64_t *wr_radix_walk(const uint64_t *at, uint64_t key, unsigned int *shift)
{
	uint64_t place = (uintptr_t)at + WR_RADIX_TABLE, first, second;

	first = wr_radix_load(at);
	place = wr_radix_down(place, first, key, 21);
	second = wr_radix_load(wr_radix_at(place));
	place = wr_radix_down(place, second, key, 12);
	if (shift)
		*shift = 30 - 9 * (unsigned int)((first >> 1 & 1) + (second >> 1 & 1));
	return wr_radix_at(place);
}

/*
 * The leaf that includes @key, or 0, and its size. In any thread, beside a writer: again until no
 * table has moved meanwhile.
 */
uint64_t wr_radix_find(const struct wr_radix *r, uint64_t key, unsigned int *shift);

/*
 * The same, for the path that must be fast: one try, for addresses below 2^48. 0 means nothing but
 * that wr_radix_find() is to be asked. Its caller does best to end with that call. @shift may be
 * NULL.
 */
static inline uint64_t wr_radix_try(const struct wr_radix *r, uint64_t key, unsigned int *shift)
{
	uint64_t seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE), entry;

	/* Keys from 2^48 on that are let through find an unused slot. */
	if (__builtin_expect(key >= seq, 0))
		return 0;
	entry = wr_radix_load(wr_radix_walk(&r->root[key >> 30], key, shift));
	/* The walk's loads are acquires: this one comes after them. */
	return __builtin_expect(__atomic_load_n(&r->seq, __ATOMIC_RELAXED) == seq, 1) ? entry : 0;
}

/* What @key is set to, given its leaf. */
static inline uint64_t wr_radix_value(uint64_t entry, uint64_t key)
{
	return (entry & WR_RADIX_VALUE) + key;
}

/* Bytes from @key to the end of the leaf's run. */
static inline uint64_t wr_radix_run(uint64_t entry, unsigned int shift, uint64_t key)
{
	return (((key >> shift) + ((entry & WR_RADIX_RUN) >> 6) + 1) << shift) - key;
}

#endif
