/* SPDX-License-Identifier: MIT */
/*
 * VT-d second-stage page tables (Intel VT-d specification, section 3.7 and 9.8; the kernel's
 * drivers/iommu/generic_pt/fmt/vtdss.h): the format, a builder and a walker.
 *
 * Tables have 3, 4 or 5 levels for 39, 48 or 57 bits of IOVA, 512 entries of 8 bytes each, and
 * leaves of 4 KiB, 2 MiB and 1 GiB.
 *
 * The builder keeps its tables in this process's memory, and what an entry calls a physical
 * address is an address of this process: that is the software IOMMU. The walker knows nothing of
 * that; it reads entries through functions, and serves tables wherever they are.
 */
#ifndef WR_PGTABLE_VTDSS_H
#define WR_PGTABLE_VTDSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the builder ---- */

struct wr_vtdss;

/* @levels: 3, 4 or 5. Returns 0, -EINVAL or -ENOMEM. */
int wr_vtdss_create(unsigned int levels, struct wr_vtdss **out);
void wr_vtdss_destroy(struct wr_vtdss *pt);

/* What goes into a context entry: the address of the top-level table. */
uint64_t wr_vtdss_root(const struct wr_vtdss *pt);
unsigned int wr_vtdss_levels(const struct wr_vtdss *pt);

/*
 * Map [iova, iova + len) to [addr, addr + len), with the largest leaves that both allow and that
 * aren't larger than 1 << @max_shift. All is a multiple of 4 KiB; nothing of it is mapped yet.
 *
 * Returns 0, or with nothing changed: -EINVAL (unaligned, outside the tables' width, no access, or
 * an address that an entry can't hold, above 52 bits), -EEXIST, -ENOMEM.
 *
 * Entries are written as one 64-bit store each, a table before the entry that points at it, so
 * that a walker in another thread never sees a half-built one. One builder call at a time.
 */
int wr_vtdss_map(struct wr_vtdss *pt, uint64_t iova, uint64_t addr, uint64_t len, bool read,
		 bool write, unsigned int max_shift);

/*
 * Clear [iova, iova + len), which must consist of whole leaves. Tables that become empty are
 * unhooked but not freed, since a walker may still be inside one: wr_vtdss_reap() frees them,
 * once no walk that began before the unmap is under way.
 */
void wr_vtdss_unmap(struct wr_vtdss *pt, uint64_t iova, uint64_t len);
void wr_vtdss_reap(struct wr_vtdss *pt);

/*
 * Replace each leaf larger than 1 << @max_shift in [iova, iova + len) by a table of smaller ones
 * that translate the same, dirty bits included; translation goes on meanwhile. Returns 0 or
 * -ENOMEM (some may be split then; the translation is the same).
 */
int wr_vtdss_split(struct wr_vtdss *pt, uint64_t iova, uint64_t len, unsigned int max_shift);

/*
 * Let what [iova, iova + len) translates to, whole leaves, lie at @addr from now on: leaf by leaf,
 * without a moment in which one translates to nothing, and with its dirty bit. Returns 0 or -ENOMEM
 * (the translation is the same then).
 */
int wr_vtdss_move(struct wr_vtdss *pt, uint64_t iova, uint64_t addr, uint64_t len);

/*
 * For each 4 KiB page of [iova, iova + len), set bit (page number from @iova) of @bitmap if its
 * leaf is dirty, and clear the leaf's dirty bit. @bitmap NULL only clears. Returns the number of
 * pages that were dirty. A write that set a bit may still be under way: invalidate before reading
 * the pages. A large leaf that reaches out of the range is reported but stays dirty.
 */
size_t wr_vtdss_dirty(struct wr_vtdss *pt, uint64_t iova, uint64_t len, uint64_t *bitmap);

/* The same, and all stays dirty. */
size_t wr_vtdss_dirty_keep(struct wr_vtdss *pt, uint64_t iova, uint64_t len, uint64_t *bitmap);

/* ---- the format ---- */

#define WR_VTDSS_READ	(1ull << 0)
#define WR_VTDSS_WRITE	(1ull << 1)
#define WR_VTDSS_LEAF	(1ull << 7)	/* a leaf above the lowest level */
#define WR_VTDSS_ACCESSED (1ull << 8)
#define WR_VTDSS_DIRTY	(1ull << 9)
#define WR_VTDSS_SNOOP	(1ull << 11)
#define WR_VTDSS_ADDR	0x000ffffffffff000ull

/* ---- the walker ---- */

/* Fault reasons of VT-d's specification, section 7.1.3 (legacy mode). */
enum wr_vtd_reason {
	WR_VTD_CONTEXT_NOT_PRESENT = 0x2,
	WR_VTD_BEYOND_WIDTH = 0x4,
	WR_VTD_NO_WRITE = 0x5,
	WR_VTD_NO_READ = 0x6,
	WR_VTD_TABLE_ACCESS = 0x7,
	WR_VTD_RESERVED_BITS = 0xc,
	WR_VTD_INTERRUPT_RANGE = 0xe,
};

/* A reason in words, for any of the specification's codes that weir reports; never NULL. */
const char *wr_vtd_reason_text(unsigned int reason);

/* Where tables are: how the walker reads, and marks, the entry at an address. */
struct wr_pt_mem {
	void *arg;
	/* Load the entry at @addr, atomically. False: there is no memory there. */
	bool (*load)(void *arg, uint64_t addr, uint64_t *entry);
	/* Set @bits in the entry at @addr if it still is @old. False: it isn't. */
	bool (*mark)(void *arg, uint64_t addr, uint64_t old, uint64_t bits);
};

struct wr_walk {
	uint64_t addr;		/* what the IOVA translates to */
	uint64_t run;		/* bytes from there to the end of its leaf */
	unsigned int shift;	/* the leaf's size: 12, 21 or 30 */
	bool read, write;	/* what is allowed, over all levels */
};

/*
 * Translate @iova for an access. @write: it writes. @dirty: mark the leaf dirty when it writes
 * (scalable mode's SSADE), by which a page that may be written is known to be exact.
 *
 * Returns 0, or the fault's reason (enum wr_vtd_reason), which is positive.
 */
int wr_vtdss_walk(const struct wr_pt_mem *mem, uint64_t root, unsigned int levels, uint64_t iova,
		  bool write, bool dirty, struct wr_walk *walk);

/* Tables in this process's memory, as the builder makes them. */
extern const struct wr_pt_mem wr_pt_here;

#endif
