/* SPDX-License-Identifier: MIT */
/*
 * Tables are type-stable: memory that was a table once stays one until the map is freed, so that a
 * look-up which read a pointer to it a moment ago reads entries there, whatever happens. A table
 * that lost its last entry stays linked, since its place is likely to be wanted again; it is only
 * taken from there when another place needs a table. So the number of tables is that of the busiest
 * moment, and look-ups need to start again only when one moves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "mem/radix.h"

#define ENTRIES		512
#define DIRECT		(1ull << WR_RADIX_DIRECT_BITS)
#define SLOTS		(DIRECT >> 30)
#define ROOT_BYTES	(2 * SLOTS * sizeof(uint64_t))	/* as far as wr_radix.seq goes */
#define USED_WORDS	(SLOTS / 64)
#define HIGH		128ull		/* slots by bits 57 to 63 */

/* A chunk: 63 tables behind a page that holds what the writer knows of them. */
#define CHUNK		(256ul << 10)
#define TABLE		4096ul
#define TABLES		(CHUNK / TABLE - 1)

struct info {
	struct wr_list link;		/* spare or empty, or in neither */
	uint64_t *parent;		/* the entry that points here, NULL for none */
	unsigned int entries;		/* that aren't 0 */
};

struct chunk {
	struct chunk *next;
	struct info infos[TABLES];
};

_Static_assert(sizeof(struct chunk) <= TABLE, "a chunk's first page holds its book-keeping");

static struct info *info_of(const uint64_t *entry)
{
	uintptr_t at = (uintptr_t)entry, chunk = at & ~(CHUNK - 1);

	return &((struct chunk *)chunk)->infos[(at - chunk) / TABLE - 1];
}

static uint64_t *table_of(struct info *info)
{
	uintptr_t chunk = (uintptr_t)info & ~(CHUNK - 1);
	size_t n = (size_t)(info - ((struct chunk *)chunk)->infos);

	return (uint64_t *)(chunk + (n + 1) * TABLE);
}

static void store(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* ---- memory ---- */

/* Aligned to its size, by mapping more and giving the rest back. */
static int add_chunk(struct wr_radix *r)
{
	struct chunk *chunk;
	char *start, *aligned;
	void *mapped;
	int ret = wr_sys->mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &mapped);

	if (ret < 0)
		return -ENOMEM;
	start = mapped;
	aligned = (char *)(((uintptr_t)start + CHUNK - 1) & ~(CHUNK - 1));
	if (aligned > start)
		wr_sys->munmap(start, (size_t)(aligned - start));
	wr_sys->munmap(aligned + CHUNK, (size_t)(start + CHUNK - aligned));

	chunk = (struct chunk *)(void *)aligned;
	chunk->next = r->chunks;
	r->chunks = chunk;
	for (size_t i = 0; i < TABLES; i++)
		wr_list_add_tail(&r->spare, &chunk->infos[i].link);
	r->tables += TABLES;
	r->spares += TABLES;
	return 0;
}

static int map_zero(size_t len, uint64_t **out)
{
	void *mapped;
	int ret = wr_sys->mmap(NULL, len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &mapped);

	if (ret < 0)
		return -ENOMEM;
	*out = mapped;
	return 0;
}

int wr_radix_init(struct wr_radix *r)
{
	memset(r, 0, sizeof(*r));
	r->seq = DIRECT;
	wr_list_init(&r->spare);
	wr_list_init(&r->empty);
	if (map_zero(ROOT_BYTES, &r->root) ||
	    map_zero(TABLE, &r->high) || map_zero(USED_WORDS * sizeof(uint64_t), &r->used)) {
		wr_radix_free(r);
		return -ENOMEM;
	}
	return 0;
}

void wr_radix_free(struct wr_radix *r)
{
	struct chunk *chunk, *next;

	for (chunk = r->chunks; chunk; chunk = next) {
		next = chunk->next;
		wr_sys->munmap(chunk, CHUNK);
	}
	if (r->root)
		wr_sys->munmap(r->root, ROOT_BYTES);
	if (r->high)
		wr_sys->munmap(r->high, TABLE);
	if (r->used)
		wr_sys->munmap(r->used, USED_WORDS * sizeof(uint64_t));
	memset(r, 0, sizeof(*r));
}

/*
 * Entries are stored with release order, and so after the 0: a look-up that has seen one of them
 * sees that too, or what came after it.
 */
void wr_radix_hold(struct wr_radix *r)
{
	__atomic_store_n(&r->seq, 0, __ATOMIC_RELAXED);
}

void wr_radix_release(struct wr_radix *r)
{
	__atomic_store_n(&r->seq, DIRECT + ++r->holds % DIRECT, __ATOMIC_RELEASE);
}

/* ---- entries and their tables ---- */

/* Is @entry in a table, rather than in one of the roots, which aren't counted? */
static bool counted(const struct wr_radix *r, const uint64_t *entry)
{
	return !(entry >= r->root && entry < r->root + SLOTS) &&
	       !(entry >= r->high && entry < r->high + HIGH);
}

static void entry_set(struct wr_radix *r, uint64_t *entry, uint64_t value)
{
	struct info *info;

	store(entry, value);
	if (!counted(r, entry))
		return;
	info = info_of(entry);
	if (!info->entries++)
		wr_list_del(&info->link);	/* it was empty */
}

static void entry_clear(struct wr_radix *r, uint64_t *entry)
{
	struct info *info;

	store(entry, 0);
	if (!counted(r, entry))
		return;
	info = info_of(entry);
	if (!--info->entries)
		wr_list_add_tail(&r->empty, &info->link);
}

/* What points at a table: see wr_radix_place(). Neighbours differ in their order of lines. */
static uint64_t table_entry(const uint64_t *table)
{
	uint64_t at = (uintptr_t)table;

	return at | (at >> 6 & 0xfc0) | WR_RADIX_TABLE;
}

static uint64_t *table_at(uint64_t entry)
{
	return (uint64_t *)(uintptr_t)(entry & WR_RADIX_VALUE);
}

/* Take an empty table from its place. */
static void unlink_table(struct wr_radix *r, struct info *info)
{
	uint64_t *parent = info->parent;

	wr_list_del(&info->link);
	info->parent = NULL;
	entry_clear(r, parent);
}

/* A table in no use, or one without entries, but not that which @parent is in. */
static struct info *find_table(struct wr_radix *r, const uint64_t *parent)
{
	struct info *info, *host = counted(r, parent) ? info_of(parent) : NULL;

	if (wr_list_empty(&r->spare)) {
		wr_list_for_each(info, &r->empty, link) {
			if (info == host)
				continue;
			unlink_table(r, info);
			return info;
		}
		if (add_chunk(r))
			return NULL;
	}
	info = wr_container_of(r->spare.next, struct info, link);
	wr_list_del(&info->link);
	r->spares--;
	return info;
}

/*
 * Let @parent point at a table. One that had another place may still be walked through there: such
 * look-ups start again, for what they find in it next is of the new place.
 */
static int link_table(struct wr_radix *r, uint64_t *parent)
{
	bool held = !r->seq;
	struct info *info;

	if (!held)
		wr_radix_hold(r);
	info = find_table(r, parent);
	if (info) {
		info->parent = parent;
		entry_set(r, parent, table_entry(table_of(info)));
		wr_list_add_tail(&r->empty, &info->link);
	}
	if (!held)
		wr_radix_release(r);
	return info ? 0 : -ENOMEM;
}

/* The entry of @key's 1 GiB slot, or NULL. */
static const uint64_t *find_slot(const struct wr_radix *r, uint64_t key)
{
	const uint64_t *slot = &r->high[key >> 57];

	if (!(key >> WR_RADIX_DIRECT_BITS))
		return &r->root[key >> 30];
	for (unsigned int shift = 48; shift >= 30; shift -= 9) {
		uint64_t entry = wr_radix_load(slot);

		if (!entry)
			return NULL;
		slot = wr_radix_at(wr_radix_place(entry, key, shift));
	}
	return slot;
}

uint64_t wr_radix_find(const struct wr_radix *r, uint64_t key, unsigned int *shift)
{
	for (;;) {
		uint64_t seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE);
		const uint64_t *slot = find_slot(r, key);
		uint64_t entry = slot ? wr_radix_load(wr_radix_walk(slot, key, shift)) : 0;

		if (seq && __atomic_load_n(&r->seq, __ATOMIC_RELAXED) == seq)
			return entry;
	}
}

/* The entry of @key's 1 GiB slot, with the tables above it made. */
static uint64_t *slot_of(struct wr_radix *r, uint64_t key)
{
	uint64_t *slot = &r->high[key >> 57];

	if (!(key >> WR_RADIX_DIRECT_BITS)) {
		r->used[key >> 36] |= 1ull << (key >> 30 & 63);
		return &r->root[key >> 30];
	}
	for (unsigned int shift = 48; shift >= 30; shift -= 9) {
		if (!*slot && link_table(r, slot))
			return NULL;
		slot = wr_radix_at(wr_radix_place(*slot, key, shift));
	}
	return slot;
}

/* ---- set and clear ---- */

static uint64_t leaf_entry(uint64_t delta, uint64_t left, unsigned int shift, uint64_t user)
{
	uint64_t leaves = left >> shift, run = leaves < 64 ? leaves : 64;

	return delta | WR_RADIX_LEAF | user | (run - 1) << 6 |
	       (left > run << shift ? WR_RADIX_MORE : 0);
}

/* To be linked again it must be held, as one that is still walked through where it was. */
static void spare_table(struct wr_radix *r, struct info *info)
{
	unlink_table(r, info);
	wr_list_add_tail(&r->spare, &info->link);
	r->spares++;
}

/*
 * Is a leaf of that size possible at @entry? An empty table in its place gives way, and one of
 * empty tables: if it didn't, a large mapping would stay one of small leaves for ever.
 */
static bool make_way(struct wr_radix *r, uint64_t *entry)
{
	uint64_t *table;
	struct info *info;

	if (!*entry)
		return true;
	if (*entry & WR_RADIX_LEAF)
		return false;
	table = table_at(*entry);
	info = info_of(table);
	for (size_t i = 0; info->entries && i < ENTRIES; i++)
		if (table[i] & WR_RADIX_LEAF ||
		    (table[i] && info_of(table_at(table[i]))->entries))
			return false;
	for (size_t i = 0; info->entries; i++)
		if (table[i])
			spare_table(r, info_of(table_at(table[i])));
	spare_table(r, info);
	return true;
}

/*
 * The entry for a leaf at @key of at most @left bytes, and its size: the largest that fits, or that
 * of the leaf which is there already. NULL without memory.
 */
static uint64_t *leaf_place(struct wr_radix *r, uint64_t key, uint64_t left, unsigned int *shift)
{
	uint64_t *entry = slot_of(r, key);

	for (*shift = 30; entry && *shift > 12; *shift -= 9) {
		uint64_t size = 1ull << *shift;

		if (!(key & (size - 1)) && left >= size && make_way(r, entry))
			break;
		if (*entry & WR_RADIX_LEAF)
			break;
		if (!*entry && link_table(r, entry))
			return NULL;
		entry = wr_radix_at(wr_radix_place(*entry, key, *shift - 9));
	}
	return entry;
}

/* Bytes from @key to the end of the leaf, or of the gap, that it is in. */
static uint64_t rest(uint64_t key, unsigned int shift)
{
	return (1ull << shift) - (key & ((1ull << shift) - 1));
}

int wr_radix_set(struct wr_radix *r, uint64_t key, uint64_t value, uint64_t len, uint64_t user,
		 bool *hidden)
{
	unsigned int shift;

	*hidden = false;
	for (uint64_t at = 0, step; at < len; at += step) {
		uint64_t *entry = leaf_place(r, key + at, len - at, &shift);

		if (!entry) {
			wr_radix_clear(r, key, value, at);
			return -ENOMEM;
		}
		step = rest(key + at, shift);
		if (step > len - at)
			step = len - at;
		if (*entry) {
			*hidden = true;
			store(entry, *entry | WR_RADIX_COVERS);
			continue;
		}
		entry_set(r, entry, leaf_entry(value - key, len - at, shift, user));
		user &= ~WR_RADIX_FIRST;
	}
	return 0;
}

int wr_radix_reserve(struct wr_radix *r, size_t n)
{
	while (r->spares < n && !wr_list_empty(&r->empty))
		spare_table(r, wr_container_of(r->empty.next, struct info, link));
	while (r->spares < n)
		if (add_chunk(r))
			return -ENOMEM;
	return 0;
}

/* The entry that @key's leaf is in or would be in, without making tables; NULL: none is near. */
static uint64_t *existing(struct wr_radix *r, uint64_t key, unsigned int *shift)
{
	uint64_t *entry = (uint64_t *)find_slot(r, key);

	*shift = 30;
	for (; entry && *entry & WR_RADIX_TABLE; *shift -= 9)
		entry = wr_radix_at(wr_radix_place(*entry, key, *shift - 9));
	return entry;
}

static bool is_set_to(uint64_t entry, uint64_t delta)
{
	return entry & WR_RADIX_LEAF && (entry & WR_RADIX_VALUE) == delta;
}

void wr_radix_clear(struct wr_radix *r, uint64_t key, uint64_t value, uint64_t len)
{
	unsigned int shift;

	for (uint64_t at = 0; at < len; at += rest(key + at, shift)) {
		uint64_t *entry = existing(r, key + at, &shift);

		if (entry && is_set_to(*entry, value - key))
			entry_clear(r, entry);
	}
}

bool wr_radix_shares(struct wr_radix *r, uint64_t key, uint64_t value, uint64_t len)
{
	unsigned int shift;

	for (uint64_t at = 0; at < len; at += rest(key + at, shift)) {
		uint64_t *entry = existing(r, key + at, &shift);

		if (!entry || !is_set_to(*entry, value - key) || *entry & WR_RADIX_COVERS)
			return true;
	}
	return false;
}

/* ---- iteration ---- */

static bool next_below(uint64_t table, unsigned int shift, uint64_t base, uint64_t key,
		       uint64_t last, struct wr_radix_leaf *leaf);

/* The first leaf at or below @entry, which is that of the address @start. */
static bool next_at(uint64_t entry, unsigned int shift, uint64_t start, uint64_t key,
		    uint64_t last, struct wr_radix_leaf *leaf)
{
	if (entry & WR_RADIX_LEAF) {
		*leaf = (struct wr_radix_leaf){ start, entry, shift };
		return true;
	}
	return entry & WR_RADIX_TABLE && next_below(entry, shift - 9, start, key, last, leaf);
}

/* The same in a table, from the entry of @key on or, if that lies before, from the start. */
static bool next_below(uint64_t table, unsigned int shift, uint64_t base, uint64_t key,
		       uint64_t last, struct wr_radix_leaf *leaf)
{
	for (uint64_t i = key > base ? (key - base) >> shift : 0; i < ENTRIES; i++) {
		uint64_t start = base + (i << shift);

		if (start > last)
			return false;
		if (next_at(wr_radix_load(wr_radix_at(wr_radix_place(table, start, shift))), shift,
			    start, key, last, leaf))
			return true;
	}
	return false;
}

static bool next_direct(const struct wr_radix *r, uint64_t key, uint64_t last,
			struct wr_radix_leaf *leaf)
{
	for (uint64_t i = key >> 30; i < SLOTS && i << 30 <= last; i++) {
		if (!(r->used[i / 64] >> (i % 64))) {
			i |= 63;	/* no slot of the rest of this word was ever used */
			continue;
		}
		if (next_at(wr_radix_load(&r->root[i]), 30, i << 30, key, last, leaf))
			return true;
	}
	return false;
}

bool wr_radix_next(const struct wr_radix *r, uint64_t key, uint64_t last,
		   struct wr_radix_leaf *leaf)
{
	if (!(key >> WR_RADIX_DIRECT_BITS) && next_direct(r, key, last, leaf))
		return true;
	for (uint64_t i = key >> 57; i < HIGH && i << 57 <= last; i++)
		if (next_at(wr_radix_load(&r->high[i]), 57, i << 57, key, last, leaf))
			return true;
	return false;
}
