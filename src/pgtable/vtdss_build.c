/* SPDX-License-Identifier: MIT */
/*
 * VT-d second-stage page tables: the builder.
 *
 * Tables come from chunks of 64 KiB, aligned to their size, whose first 4 KiB say what the
 * builder knows of the other fifteen tables; so what is known of a table is found from its
 * address, and entries carry nothing but what hardware defines.
 *
 * One thread builds at a time, but walkers in other threads read all the while, and set accessed
 * and dirty bits. An entry is therefore only ever replaced whole, or by a compare where bits of a
 * walker must survive. A table is unhooked with all that is below it by clearing the one entry
 * that points at it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/list.h"
#include "base/sys.h"
#include "pgtable/vtdss.h"

#define TABLE_SHIFT	12
#define TABLE_SIZE	(1u << TABLE_SHIFT)
#define ENTRIES		512
#define CHUNK_SIZE	0x10000u
#define CHUNK_TABLES	(CHUNK_SIZE / TABLE_SIZE)
#define ALL_FREE	0xfffeu		/* all of a chunk's tables but the first */
#define LARGEST_SHIFT	30
#define ADDRESS_END	(1ull << 52)

struct table {
	uint64_t entry[ENTRIES];
};

struct table_info {
	struct table *next;	/* among the unhooked ones */
	unsigned int shift;	/* bits of IOVA below one of its entries */
	unsigned int live;	/* present entries */
};

struct chunk {
	struct wr_list link;
	unsigned int free;	/* bit n: table n isn't in use */
	unsigned int stale;	/* bit n: it was, and has entries still */
	struct table_info info[CHUNK_TABLES];
};

_Static_assert(sizeof(struct chunk) <= TABLE_SIZE, "a chunk's header takes one table");

struct wr_vtdss {
	struct table *root;
	unsigned int levels;
	struct wr_list partial;	/* chunks with free tables */
	struct wr_list full;
	size_t free;		/* tables, over all chunks */
	struct table *unhooked;	/* each with what is below it */
};

/* ---- tables ---- */

static struct chunk *chunk_of(const struct table *table)
{
	return (struct chunk *)((uintptr_t)table & ~(uintptr_t)(CHUNK_SIZE - 1));
}

static unsigned int number_of(const struct table *table)
{
	return (uintptr_t)table / TABLE_SIZE % CHUNK_TABLES;
}

static struct table_info *info_of(const struct table *table)
{
	return &chunk_of(table)->info[number_of(table)];
}

static int map_memory(size_t len, void **out)
{
	return wr_sys->mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
			    out);
}

/* Chunks mostly come to lie side by side; where one isn't aligned, map twice as much and trim. */
static int map_chunk(void **out)
{
	uintptr_t head;
	char *map;
	void *ptr;
	int ret;

	ret = map_memory(CHUNK_SIZE, &ptr);
	if (ret < 0)
		return ret;
	if ((uintptr_t)ptr % CHUNK_SIZE) {
		wr_sys->munmap(ptr, CHUNK_SIZE);
		ret = map_memory(2 * CHUNK_SIZE, &ptr);
		if (ret < 0)
			return ret;
		map = ptr;
		head = -(uintptr_t)map % CHUNK_SIZE;
		if (head)
			wr_sys->munmap(map, head);
		ptr = map + head;
		wr_sys->munmap(map + head + CHUNK_SIZE, CHUNK_SIZE - head);
	}
	*out = ptr;
	return 0;
}

static void chunk_release(struct wr_vtdss *pt, struct chunk *chunk)
{
	pt->free -= CHUNK_TABLES - 1;
	wr_list_del(&chunk->link);
	wr_sys->munmap(chunk, CHUNK_SIZE);
}

/* Have @n free tables, or change nothing. */
static int tables_reserve(struct wr_vtdss *pt, uint64_t n)
{
	struct chunk *chunk;
	struct wr_list *pos;
	void *ptr;

	while (pt->free < n) {
		if (map_chunk(&ptr) < 0)
			goto no_memory;
		chunk = ptr;
		chunk->free = ALL_FREE;
		wr_list_add_tail(&pt->partial, &chunk->link);
		pt->free += CHUNK_TABLES - 1;
	}
	return 0;

no_memory:
	for (pos = pt->partial.next; pos != &pt->partial;) {
		chunk = wr_container_of(pos, struct chunk, link);
		pos = pos->next;
		if (chunk->free == ALL_FREE)
			chunk_release(pt, chunk);
	}
	return wr_fail(-ENOMEM, "no memory for %llu I/O page tables of 4 KiB",
		       (unsigned long long)n);
}

/* Take a table, all zero; it has been reserved. */
static struct table *table_take(struct wr_vtdss *pt, unsigned int shift)
{
	struct chunk *chunk = wr_container_of(pt->partial.next, struct chunk, link);
	unsigned int number = __builtin_ctz(chunk->free);
	struct table *table = (struct table *)chunk + number;

	chunk->free &= ~(1u << number);
	pt->free--;
	if (!chunk->free) {
		wr_list_del(&chunk->link);
		wr_list_add_tail(&pt->full, &chunk->link);
	}
	if (chunk->stale & 1u << number)
		memset(table, 0, sizeof(*table));
	chunk->info[number] = (struct table_info){ .shift = shift };
	return table;
}

static void table_give(struct wr_vtdss *pt, struct table *table)
{
	struct chunk *chunk = chunk_of(table);

	if (!chunk->free) {
		wr_list_del(&chunk->link);
		wr_list_add_tail(&pt->partial, &chunk->link);
	}
	chunk->free |= 1u << number_of(table);
	if (info_of(table)->live)
		chunk->stale |= 1u << number_of(table);
	else
		chunk->stale &= ~(1u << number_of(table));
	pt->free++;
	if (chunk->free == ALL_FREE)
		chunk_release(pt, chunk);
}

/* ---- entries ---- */

static uint64_t *slot_of(struct table *table, unsigned int shift, uint64_t iova)
{
	return &table->entry[iova >> shift & (ENTRIES - 1)];
}

/* Where the entry after @iova's begins, or the end. */
static uint64_t slot_end(unsigned int shift, uint64_t iova, uint64_t end)
{
	uint64_t next = (iova | ((1ull << shift) - 1)) + 1;

	return next < end ? next : end;
}

static uint64_t entry_get(const uint64_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static void entry_set(uint64_t *slot, uint64_t entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

static bool present(uint64_t entry)
{
	return entry & (WR_VTDSS_READ | WR_VTDSS_WRITE);
}

static bool is_leaf(uint64_t entry, unsigned int shift)
{
	return present(entry) && (shift == TABLE_SHIFT || entry & WR_VTDSS_LEAF);
}

static struct table *table_at(uint64_t entry)
{
	return (struct table *)(uintptr_t)(entry & WR_VTDSS_ADDR);
}

static uint64_t entry_to(const struct table *table)
{
	return (uint64_t)(uintptr_t)table | WR_VTDSS_READ | WR_VTDSS_WRITE;
}

static unsigned int top_shift(const struct wr_vtdss *pt)
{
	return TABLE_SHIFT + 9 * (pt->levels - 1);
}

static uint64_t width_end(const struct wr_vtdss *pt)
{
	return 1ull << (top_shift(pt) + 9);
}

/* The end of a range, or of the tables where it reaches beyond. */
static uint64_t range_end(const struct wr_vtdss *pt, uint64_t iova, uint64_t len)
{
	uint64_t end = width_end(pt);

	return iova < end && len < end - iova ? iova + len : end;
}

/* ---- map ---- */

struct job {
	uint64_t offset;	/* from IOVA to address, modulo 2^64 */
	uint64_t prot;
	unsigned int max_shift;
};

static bool leaf_fits(const struct job *job, unsigned int shift, uint64_t iova, uint64_t end)
{
	uint64_t size = 1ull << shift;

	return shift <= LARGEST_SHIFT && shift <= job->max_shift && end - iova >= size &&
	       !((iova | (iova + job->offset)) & (size - 1));
}

/*
 * How many tables the job needs below @table, which itself is yet to be made if NULL; -EEXIST if
 * something is mapped in the range.
 */
static int64_t plan(const struct job *job, struct table *table, unsigned int shift, uint64_t iova,
		    uint64_t end)
{
	int64_t tables = 0, below;
	uint64_t entry, next;

	if (!table && shift == TABLE_SHIFT)
		return 0;
	for (; iova < end; iova = next) {
		next = slot_end(shift, iova, end);
		entry = table ? entry_get(slot_of(table, shift, iova)) : 0;
		if (is_leaf(entry, shift))
			return wr_fail(-EEXIST, "IOVA 0x%llx is mapped already",
				       (unsigned long long)iova);
		if (!present(entry) && leaf_fits(job, shift, iova, next))
			continue;
		below = plan(job, present(entry) ? table_at(entry) : NULL, shift - 9, iova, next);
		if (below < 0)
			return below;
		tables += below + !present(entry);
	}
	return tables;
}

/* Write what plan() found room for. A new table is hooked in when all below it is complete. */
static void build(struct wr_vtdss *pt, const struct job *job, struct table *table,
		  unsigned int shift, uint64_t iova, uint64_t end)
{
	uint64_t entry, next, *slot;
	struct table *child;

	for (; iova < end; iova = next) {
		next = slot_end(shift, iova, end);
		slot = slot_of(table, shift, iova);
		entry = entry_get(slot);
		if (present(entry)) {
			build(pt, job, table_at(entry), shift - 9, iova, next);
			continue;
		}
		if (leaf_fits(job, shift, iova, next)) {
			entry = (iova + job->offset) | job->prot;
			if (shift != TABLE_SHIFT)
				entry |= WR_VTDSS_LEAF;
		} else {
			child = table_take(pt, shift - 9);
			build(pt, job, child, shift - 9, iova, next);
			entry = entry_to(child);
		}
		entry_set(slot, entry);
		info_of(table)->live++;
	}
}

int wr_vtdss_map(struct wr_vtdss *pt, uint64_t iova, uint64_t addr, uint64_t len, bool read,
		 bool write, unsigned int max_shift)
{
	struct job job = {
		.offset = addr - iova,
		.prot = (read ? WR_VTDSS_READ : 0) | (write ? WR_VTDSS_WRITE : 0),
		.max_shift = max_shift,
	};
	unsigned long long i = iova, a = addr, l = len;
	int64_t tables;
	int ret;

	if (!len || (iova | addr | len) % TABLE_SIZE)
		return wr_fail(-EINVAL, "IOVA 0x%llx, address 0x%llx or length 0x%llx: zero length "
			       "or not a multiple of 4 KiB", i, a, l);
	if (iova >= width_end(pt) || len > width_end(pt) - iova)
		return wr_fail(-EINVAL, "IOVA 0x%llx, length 0x%llx: beyond the %u bits of a "
			       "%u-level page table", i, l, top_shift(pt) + 9, pt->levels);
	if (addr >= ADDRESS_END || len > ADDRESS_END - addr)
		return wr_fail(-EINVAL, "address 0x%llx, length 0x%llx: beyond the 52 bits of a "
			       "page-table entry", a, l);
	if (!job.prot || max_shift < TABLE_SHIFT)
		return wr_fail(-EINVAL, "IOVA 0x%llx: mapped for no access, or by leaves of less "
			       "than 4 KiB", i);

	tables = plan(&job, pt->root, top_shift(pt), iova, iova + len);
	if (tables < 0)
		return (int)tables;
	ret = tables_reserve(pt, (uint64_t)tables);
	if (ret < 0)
		return ret;
	build(pt, &job, pt->root, top_shift(pt), iova, iova + len);
	return 0;
}

/* ---- unmap ---- */

static void clear(struct wr_vtdss *pt, struct table *table, unsigned int shift, uint64_t iova,
		  uint64_t end)
{
	uint64_t entry, next, *slot;
	struct table *child;

	for (; iova < end; iova = next) {
		next = slot_end(shift, iova, end);
		slot = slot_of(table, shift, iova);
		entry = entry_get(slot);
		if (!present(entry))
			continue;
		child = is_leaf(entry, shift) ? NULL : table_at(entry);
		if (child && next - iova < 1ull << shift) {
			clear(pt, child, shift - 9, iova, next);
			if (info_of(child)->live)
				continue;
		}
		entry_set(slot, 0);
		info_of(table)->live--;
		if (child) {
			info_of(child)->next = pt->unhooked;
			pt->unhooked = child;
		}
	}
}

void wr_vtdss_unmap(struct wr_vtdss *pt, uint64_t iova, uint64_t len)
{
	clear(pt, pt->root, top_shift(pt), iova, range_end(pt, iova, len));
}

static void free_tree(struct wr_vtdss *pt, struct table *table)
{
	unsigned int shift = info_of(table)->shift, live = info_of(table)->live;

	for (unsigned int i = 0; shift != TABLE_SHIFT && live; i++) {
		uint64_t entry = entry_get(&table->entry[i]);

		live -= present(entry);
		if (present(entry) && !is_leaf(entry, shift))
			free_tree(pt, table_at(entry));
	}
	table_give(pt, table);
}

void wr_vtdss_reap(struct wr_vtdss *pt)
{
	struct table *table;

	while ((table = pt->unhooked)) {
		pt->unhooked = info_of(table)->next;
		free_tree(pt, table);
	}
}

/* ---- split, and dirty bits ---- */

/*
 * Put a table of the next smaller leaves in a leaf's place. A walker may mark the leaf meanwhile:
 * then the exchange fails, and the copies get the bits as well.
 */
static int split_leaf(struct wr_vtdss *pt, uint64_t *slot, unsigned int shift)
{
	uint64_t leaf = entry_get(slot), first;
	struct table *child;
	int ret;

	ret = tables_reserve(pt, 1);
	if (ret < 0)
		return ret;
	child = table_take(pt, shift - 9);
	info_of(child)->live = ENTRIES;
	do {
		first = shift - 9 == TABLE_SHIFT ? leaf & ~WR_VTDSS_LEAF : leaf;
		for (uint64_t i = 0; i < ENTRIES; i++)
			entry_set(&child->entry[i], first | i << (shift - 9));
	} while (!__atomic_compare_exchange_n(slot, &leaf, entry_to(child), false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return 0;
}

static int split(struct wr_vtdss *pt, struct table *table, unsigned int shift, uint64_t iova,
		 uint64_t end, unsigned int max_shift)
{
	uint64_t entry, next, *slot;
	int ret;

	for (; shift > max_shift && iova < end; iova = next) {
		next = slot_end(shift, iova, end);
		slot = slot_of(table, shift, iova);
		entry = entry_get(slot);
		if (!present(entry))
			continue;
		if (is_leaf(entry, shift)) {
			ret = split_leaf(pt, slot, shift);
			if (ret < 0)
				return ret;
			entry = entry_get(slot);
		}
		ret = split(pt, table_at(entry), shift - 9, iova, next, max_shift);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int wr_vtdss_split(struct wr_vtdss *pt, uint64_t iova, uint64_t len, unsigned int max_shift)
{
	return split(pt, pt->root, top_shift(pt), iova, range_end(pt, iova, len), max_shift);
}

static void move_leaf(uint64_t *slot, uint64_t addr)
{
	uint64_t leaf = entry_get(slot);

	/* A walker may mark it meanwhile. */
	while (!__atomic_compare_exchange_n(slot, &leaf, (leaf & ~WR_VTDSS_ADDR) | addr, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
}

static void move(struct table *table, unsigned int shift, uint64_t iova, uint64_t end,
		 uint64_t addr)
{
	uint64_t entry, next, *slot;

	for (; iova < end; addr += next - iova, iova = next) {
		next = slot_end(shift, iova, end);
		slot = slot_of(table, shift, iova);
		entry = entry_get(slot);
		if (!present(entry))
			continue;
		if (is_leaf(entry, shift))
			move_leaf(slot, addr);
		else
			move(table_at(entry), shift - 9, iova, next, addr);
	}
}

int wr_vtdss_move(struct wr_vtdss *pt, uint64_t iova, uint64_t addr, uint64_t len)
{
	uint64_t apart = addr - iova;
	unsigned int shift = 30;
	int ret;

	while (apart & ((1ull << shift) - 1) && shift > TABLE_SHIFT)
		shift -= 9;
	ret = wr_vtdss_split(pt, iova, len, shift);
	if (!ret)
		move(pt->root, top_shift(pt), iova, range_end(pt, iova, len), addr);
	return ret;
}

static void set_bits(uint64_t *bitmap, uint64_t first, uint64_t n)
{
	for (uint64_t bit = first; bit < first + n; bit++)
		bitmap[bit / 64] |= 1ull << bit % 64;
}

/*
 * A leaf that reaches out of the range keeps its dirty bit: it is also about pages that weren't
 * asked for, and for them it would be lost.
 */
static size_t collect(struct table *table, unsigned int shift, uint64_t iova, uint64_t end,
		      uint64_t first, bool keep, uint64_t *bitmap)
{
	uint64_t entry, next, pages, *slot;
	size_t dirty = 0;

	for (; iova < end; iova = next) {
		next = slot_end(shift, iova, end);
		slot = slot_of(table, shift, iova);
		entry = entry_get(slot);
		if (present(entry) && !is_leaf(entry, shift))
			dirty += collect(table_at(entry), shift - 9, iova, next, first, keep,
					 bitmap);
		if (!is_leaf(entry, shift) || !(entry & WR_VTDSS_DIRTY))
			continue;
		if (!keep && next - iova == 1ull << shift)
			__atomic_fetch_and(slot, ~WR_VTDSS_DIRTY, __ATOMIC_ACQ_REL);
		pages = (next - iova) / TABLE_SIZE;
		if (bitmap)
			set_bits(bitmap, (iova - first) / TABLE_SIZE, pages);
		dirty += pages;
	}
	return dirty;
}

size_t wr_vtdss_dirty(struct wr_vtdss *pt, uint64_t iova, uint64_t len, uint64_t *bitmap)
{
	return collect(pt->root, top_shift(pt), iova, range_end(pt, iova, len), iova, false,
		       bitmap);
}

size_t wr_vtdss_dirty_keep(struct wr_vtdss *pt, uint64_t iova, uint64_t len, uint64_t *bitmap)
{
	return collect(pt->root, top_shift(pt), iova, range_end(pt, iova, len), iova, true, bitmap);
}

/* ---- the whole ---- */

int wr_vtdss_create(unsigned int levels, struct wr_vtdss **out)
{
	struct wr_vtdss *pt;
	int ret;

	if (levels < 3 || levels > 5)
		return wr_fail(-EINVAL, "VT-d has no second-stage page tables of %u levels, only "
			       "of 3, 4 and 5", levels);
	pt = calloc(1, sizeof(*pt));
	if (!pt)
		return wr_fail(-ENOMEM, "no memory for a page table");
	pt->levels = levels;
	wr_list_init(&pt->partial);
	wr_list_init(&pt->full);
	ret = tables_reserve(pt, 1);
	if (ret < 0) {
		free(pt);
		return ret;
	}
	pt->root = table_take(pt, top_shift(pt));
	*out = pt;
	return 0;
}

static void release_all(struct wr_list *chunks)
{
	while (!wr_list_empty(chunks)) {
		struct chunk *chunk = wr_container_of(chunks->next, struct chunk, link);

		wr_list_del(&chunk->link);
		wr_sys->munmap(chunk, CHUNK_SIZE);
	}
}

void wr_vtdss_destroy(struct wr_vtdss *pt)
{
	if (!pt)
		return;
	release_all(&pt->partial);
	release_all(&pt->full);
	free(pt);
}

uint64_t wr_vtdss_root(const struct wr_vtdss *pt)
{
	return (uint64_t)(uintptr_t)pt->root;
}

unsigned int wr_vtdss_levels(const struct wr_vtdss *pt)
{
	return pt->levels;
}
