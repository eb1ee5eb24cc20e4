/* SPDX-License-Identifier: MIT */
/* VT-d second-stage page tables: the walker. */
#include "pgtable/vtdss.h"

/*
 * Bits that must be zero in a present entry. The other ones that the builder leaves zero (2-6,
 * 10, 52-61 and 63) are ignored by hardware and may be software's own, as is bit 7 of a 4 KiB
 * leaf; bit 62 is reserved where there are no device TLBs.
 */
#define RESERVED_LEAF	(1ull << 62)
#define RESERVED_TABLE	(1ull << 62 | WR_VTDSS_SNOOP | WR_VTDSS_LEAF)

/*
 * An entry may change between being read and being marked, as often as somebody changes it, but
 * a device must not be made to wait for ever by who writes the table (a guest), nor by a mark()
 * that can't write there.
 */
#define MARK_TRIES	65536

/*
 * The body of the walk. It is instantiated once for tables in this process's memory, where load
 * and mark become single instructions, and once for tables anywhere. The order of the checks is
 * hardware's: an entry's permission, then its reserved bits.
 */
static inline __attribute__((always_inline)) int
walk_tables(bool (*load)(void *arg, uint64_t addr, uint64_t *entry),
	    bool (*mark)(void *arg, uint64_t addr, uint64_t old, uint64_t bits), void *arg,
	    uint64_t table, unsigned int levels, uint64_t iova, bool write, bool dirty,
	    struct wr_walk *walk)
{
	const uint64_t need = write ? WR_VTDSS_WRITE : WR_VTDSS_READ;
	uint64_t allowed = WR_VTDSS_READ | WR_VTDSS_WRITE;
	unsigned int shift = 12 + 9 * (levels - 1);
	unsigned int tries = 0;

	if (iova >> (shift + 9))
		return WR_VTD_BEYOND_WIDTH;
	for (;;) {
		uint64_t addr = table + (iova >> shift & 511) * sizeof(uint64_t);
		uint64_t offset_mask = (1ull << shift) - 1;
		uint64_t entry, marks;
		bool leaf;

		if (!load(arg, addr, &entry))
			return WR_VTD_TABLE_ACCESS;
		if (!(entry & need))
			return write ? WR_VTD_NO_WRITE : WR_VTD_NO_READ;
		leaf = shift == 12 || (entry & WR_VTDSS_LEAF && shift <= 30);
		if (entry & (leaf ? RESERVED_LEAF | (offset_mask & WR_VTDSS_ADDR) : RESERVED_TABLE))
			return WR_VTD_RESERVED_BITS;
		if (dirty) {
			marks = WR_VTDSS_ACCESSED | (leaf && write ? WR_VTDSS_DIRTY : 0);
			if (marks & ~entry && !mark(arg, addr, entry, marks)) {
				if (++tries < MARK_TRIES)
					continue;
				return WR_VTD_TABLE_ACCESS;
			}
		}
		allowed &= entry;
		if (leaf) {
			walk->addr = (entry & WR_VTDSS_ADDR) | (iova & offset_mask);
			walk->run = offset_mask + 1 - (iova & offset_mask);
			walk->shift = shift;
			walk->read = allowed & WR_VTDSS_READ;
			walk->write = allowed & WR_VTDSS_WRITE;
			return 0;
		}
		table = entry & WR_VTDSS_ADDR;
		shift -= 9;
	}
}

/* Acquire: what was written before the entry, the next table first of all, is seen. */
static inline bool here_load(void *arg, uint64_t addr, uint64_t *entry)
{
	(void)arg;
	*entry = __atomic_load_n((const uint64_t *)(uintptr_t)addr, __ATOMIC_ACQUIRE);
	return true;
}

static inline bool here_mark(void *arg, uint64_t addr, uint64_t old, uint64_t bits)
{
	(void)arg;
	return __atomic_compare_exchange_n((uint64_t *)(uintptr_t)addr, &old, old | bits, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

const struct wr_pt_mem wr_pt_here = {
	.load = here_load,
	.mark = here_mark,
};

/* Not inlined, so that the other instance doesn't save and restore the registers of this one. */
static __attribute__((noinline)) int
walk_elsewhere(const struct wr_pt_mem *mem, uint64_t root, unsigned int levels, uint64_t iova,
	       bool write, bool dirty, struct wr_walk *walk)
{
	return walk_tables(mem->load, mem->mark, mem->arg, root, levels, iova, write, dirty, walk);
}

int wr_vtdss_walk(const struct wr_pt_mem *mem, uint64_t root, unsigned int levels, uint64_t iova,
		  bool write, bool dirty, struct wr_walk *walk)
{
	if (mem != &wr_pt_here)
		return walk_elsewhere(mem, root, levels, iova, write, dirty, walk);
	return walk_tables(here_load, here_mark, NULL, root, levels, iova, write, dirty, walk);
}

const char *wr_vtd_reason_text(unsigned int reason)
{
	switch (reason) {
	case WR_VTD_CONTEXT_NOT_PRESENT:
		return "the requester has no context entry: it isn't attached to an address space";
	case WR_VTD_BEYOND_WIDTH:
		return "the address is beyond the width of the page table";
	case WR_VTD_NO_WRITE:
		return "nothing is mapped there for writing";
	case WR_VTD_NO_READ:
		return "nothing is mapped there for reading";
	case WR_VTD_TABLE_ACCESS:
		return "a page table lies where it can't be accessed";
	case WR_VTD_RESERVED_BITS:
		return "a page-table entry has reserved bits set";
	case WR_VTD_INTERRUPT_RANGE:
		return "0xfee00000-0xfeefffff is for interrupt messages and never translated";
	default:
		return "a reason that weir has no words for";
	}
}
