/* SPDX-License-Identifier: MIT */
/*
 * VT-d second-stage page tables: what the builder makes, read by the walker and, for the format,
 * by hand. Tables that no builder makes are in test_vtdss_walk.c.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/sys.h"
#include "pgtable/vtdss.h"

#define K4	0x1000ull
#define M2	0x200000ull
#define G1	0x40000000ull
#define RW	true, true

/* ---- the seam: memory for tables, counted, and refused when a test says so ---- */

static size_t memory_held;
static unsigned long mmap_calls, mmap_fails_at;

static int counting_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset,
			 void **out)
{
	int ret;

	if (++mmap_calls == mmap_fails_at)
		return -ENOMEM;
	ret = wr_sys_kernel.mmap(hint, len, prot, flags, fd, offset, out);
	if (!ret)
		memory_held += len;
	return ret;
}

static int counting_munmap(void *addr, size_t len)
{
	memory_held -= len;
	return wr_sys_kernel.munmap(addr, len);
}

static struct wr_sys counting;

static int setup(void **state)
{
	(void)state;
	counting = wr_sys_kernel;
	counting.mmap = counting_mmap;
	counting.munmap = counting_munmap;
	wr_sys = &counting;
	memory_held = 0;
	mmap_calls = mmap_fails_at = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wr_sys = &wr_sys_kernel;
	return memory_held ? -1 : 0;
}

static struct wr_vtdss *make(unsigned int levels)
{
	struct wr_vtdss *pt = NULL;

	assert_int_equal(wr_vtdss_create(levels, &pt), 0);
	assert_int_equal(wr_vtdss_levels(pt), levels);
	return pt;
}

static int walk(struct wr_vtdss *pt, uint64_t iova, bool write, struct wr_walk *w)
{
	memset(w, 0, sizeof(*w));
	return wr_vtdss_walk(&wr_pt_here, wr_vtdss_root(pt), wr_vtdss_levels(pt), iova, write,
			     false, w);
}

static void mark(struct wr_vtdss *pt, uint64_t iova, bool write)
{
	struct wr_walk w;

	assert_int_equal(wr_vtdss_walk(&wr_pt_here, wr_vtdss_root(pt), wr_vtdss_levels(pt), iova,
				       write, true, &w), 0);
}

static void assert_at(struct wr_vtdss *pt, uint64_t iova, uint64_t addr, unsigned int shift)
{
	struct wr_walk w;

	assert_int_equal(walk(pt, iova, false, &w), 0);
	assert_int_equal(w.addr, addr);
	assert_int_equal(w.shift, shift);
	assert_int_equal(w.run, (1ull << shift) - (iova & ((1ull << shift) - 1)));
}

static void assert_unmapped(struct wr_vtdss *pt, uint64_t iova)
{
	struct wr_walk w;

	assert_int_equal(walk(pt, iova, false, &w), 0x6);
	assert_int_equal(walk(pt, iova, true, &w), 0x5);
}

static uint64_t width(unsigned int levels)
{
	return 1ull << (levels == 3 ? 39 : levels == 4 ? 48 : 57);
}

/* ---- bad input to the builder ---- */

static void create_refuses_other_levels(void **state)
{
	struct wr_vtdss *pt = NULL;

	(void)state;
	for (unsigned int levels = 0; levels < 70; levels++) {
		if (levels >= 3 && levels <= 5)
			continue;
		assert_int_equal(wr_vtdss_create(levels, &pt), -EINVAL);
	}
	assert_null(pt);
	wr_vtdss_destroy(NULL);
}

static void map_refuses_bad_ranges(void **state)
{
	(void)state;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		struct wr_vtdss *pt = make(levels);
		const uint64_t end = width(levels), top = 1ull << 52;
		const struct { uint64_t iova, addr, len; } bad[] = {
			{ 0x1001, 0x1000, K4 }, { 0x1000, 0x1800, K4 }, { 0x1000, 0x1000, 0xfff },
			{ 0x1000, 0x1000, 0 }, { 0x1000, 0x1000, 1 },
			{ end, 0x1000, K4 }, { end - K4, 0x1000, 2 * K4 },
			{ 0, 0, end + K4 }, { ~0xfffull, 0x1000, K4 },
			{ K4, 0x1000, ~0xfffull }, { ~0xfffull, 0x1000, ~0xfffull },
			{ 0, top, K4 }, { 0, top - K4, 2 * K4 }, { 0, ~0xfffull, K4 },
			{ 0, ~0xfffull, 2 * K4 }, { 0, 1ull << 63, K4 },
		};
		size_t held = memory_held;

		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			assert_int_equal(wr_vtdss_map(pt, bad[i].iova, bad[i].addr, bad[i].len, RW,
						      30), -EINVAL);
		assert_int_equal(wr_vtdss_map(pt, 0, 0, K4, false, false, 12), -EINVAL);
		assert_int_equal(wr_vtdss_map(pt, 0, 0, K4, RW, 11), -EINVAL);
		assert_int_equal(memory_held, held);
		assert_unmapped(pt, 0);
		assert_unmapped(pt, end - 1);
		wr_vtdss_destroy(pt);
	}
}

static void map_refuses_what_is_mapped(void **state)
{
	struct wr_vtdss *pt = make(4);

	(void)state;
	assert_int_equal(wr_vtdss_map(pt, M2, 7 * M2, M2, RW, 21), 0);
	assert_int_equal(wr_vtdss_map(pt, 4 * M2 - K4, 0x5000, K4, RW, 21), 0);
	assert_int_equal(wr_vtdss_map(pt, M2 + K4, 0, K4, RW, 12), -EEXIST);
	assert_int_equal(wr_vtdss_map(pt, 0, 0, 2 * M2, RW, 12), -EEXIST);
	assert_int_equal(wr_vtdss_map(pt, 0, 0, G1, RW, 30), -EEXIST);
	assert_int_equal(wr_vtdss_map(pt, 2 * M2, 0, 2 * M2, RW, 21), -EEXIST);
	assert_unmapped(pt, 0);
	assert_unmapped(pt, 2 * M2);
	assert_at(pt, M2, 7 * M2, 21);
	assert_at(pt, 4 * M2 - K4, 0x5000, 12);
	wr_vtdss_destroy(pt);
}

/* Nonsense from outside may at most do nothing. */
static void other_calls_take_any_range(void **state)
{
	const uint64_t odd[] = { 0, K4, G1, 1ull << 39, 1ull << 57, 1ull << 63, ~0xfffull };
	struct wr_vtdss *pt = make(3);

	(void)state;
	assert_int_equal(wr_vtdss_map(pt, 5 * G1, 0, K4, RW, 12), 0);
	for (size_t i = 0; i < 7; i++) {
		for (size_t j = 0; j < 7; j++) {
			if (odd[i] <= 5 * G1 && odd[j] > 4 * G1)
				continue;
			wr_vtdss_unmap(pt, odd[i], odd[j]);
			assert_int_equal(wr_vtdss_split(pt, odd[i], odd[j], 12), 0);
			assert_int_equal(wr_vtdss_dirty(pt, odd[i], odd[j], NULL), 0);
		}
	}
	assert_at(pt, 5 * G1, 0, 12);
	wr_vtdss_unmap(pt, 5 * G1, K4);
	wr_vtdss_reap(pt);
	assert_unmapped(pt, 5 * G1);
	wr_vtdss_destroy(pt);
}

/* ---- the format, bit by bit ---- */

static uint64_t *only_entry(uint64_t table, unsigned int index)
{
	uint64_t *entry = (uint64_t *)(uintptr_t)table;

	assert_int_equal(table & 0xfff, 0);
	for (unsigned int i = 0; i < 512; i++)
		if (i != index)
			assert_int_equal(entry[i], 0);
	return &entry[index];
}

static void entries_are_golden(void **state)
{
	static const struct { unsigned int shift; uint64_t addr, entry[3]; } leaf[] = {
		{ 12, 0x000edcba98765000, { 0x000edcba98765001, 0x000edcba98765002,
					    0x000edcba98765003 } },
		{ 21, 0x000edcba98600000, { 0x000edcba98600081, 0x000edcba98600082,
					    0x000edcba98600083 } },
		{ 30, 0x000edcba80000000, { 0x000edcba80000081, 0x000edcba80000082,
					    0x000edcba80000083 } },
	};
	/* Indices into the tables whose entries are 256 TiB, 512 GiB, 1 GiB, 2 MiB and 4 KiB. */
	static const unsigned int at[5] = { 0x0ab, 0x1ff, 0x001, 0x100, 0x155 };

	(void)state;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		for (unsigned int i = 0; i < 9; i++) {
			unsigned int shift = leaf[i / 3].shift, prot = i % 3 + 1, n = 5 - levels;
			struct wr_vtdss *pt = make(levels);
			uint64_t table = wr_vtdss_root(pt), iova = 0;
			unsigned int last = 4 - (shift - 12) / 9;

			for (unsigned int k = n; k <= last; k++)
				iova |= (uint64_t)at[k] << (48 - 9 * k);
			assert_int_equal(wr_vtdss_map(pt, iova, leaf[i / 3].addr, 1ull << shift,
						      prot & 1, prot & 2, 30), 0);
			for (; n < last; n++) {
				table = *only_entry(table, at[n]);
				assert_int_equal(table & 0xfff0000000000fff, 3);
				table &= ~0xfffull;
			}
			assert_int_equal(*only_entry(table, at[n]), leaf[i / 3].entry[prot - 1]);
			wr_vtdss_destroy(pt);
		}
	}
}

static void leaves_of_each_size_at_each_level(void **state)
{
	static const unsigned int shifts[] = { 12, 21, 30 };
	struct wr_walk w;

	(void)state;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		for (unsigned int i = 0; i < 3; i++) {
			struct wr_vtdss *pt = make(levels);
			uint64_t size = 1ull << shifts[i], last = width(levels) - size;

			assert_int_equal(wr_vtdss_map(pt, 0, 3 * G1, size, true, false, 30), 0);
			assert_int_equal(wr_vtdss_map(pt, last, (1ull << 52) - size, size, RW,
						      shifts[i]), 0);
			assert_at(pt, 0, 3 * G1, shifts[i]);
			assert_at(pt, size - 1, 3 * G1 + size - 1, shifts[i]);
			assert_at(pt, last + 0x123, (1ull << 52) - size + 0x123, shifts[i]);
			assert_int_equal(walk(pt, size - 1, true, &w), 0x5);
			assert_int_equal(walk(pt, last + size, true, &w), 0x4);
			assert_unmapped(pt, size);
			assert_unmapped(pt, last - 1);
			wr_vtdss_unmap(pt, 0, size);
			wr_vtdss_unmap(pt, last, size);
			assert_unmapped(pt, 0);
			assert_unmapped(pt, last);
			wr_vtdss_reap(pt);
			wr_vtdss_destroy(pt);
		}
	}
}

static void leaves_are_as_large_as_both_allow(void **state)
{
	struct wr_vtdss *pt = make(4);
	uint64_t iova = G1 - M2 - K4, len = K4 + M2 + G1 + M2 + K4;

	(void)state;
	assert_int_equal(wr_vtdss_map(pt, iova, 4 * G1 + iova, len, RW, 63), 0);
	assert_at(pt, iova, 4 * G1 + iova, 12);
	assert_at(pt, G1 - M2, 5 * G1 - M2, 21);
	assert_at(pt, G1 + 5, 5 * G1 + 5, 30);
	assert_at(pt, 2 * G1, 6 * G1, 21);
	assert_at(pt, 2 * G1 + M2, 6 * G1 + M2, 12);
	assert_unmapped(pt, iova - 1);
	assert_unmapped(pt, iova + len);
	wr_vtdss_unmap(pt, iova, len);

	/* The limit, then the address's alignment, holds them down. */
	assert_int_equal(wr_vtdss_map(pt, 8 * G1, 0, G1, RW, 29), 0);
	assert_at(pt, 8 * G1, 0, 21);
	assert_int_equal(wr_vtdss_map(pt, 9 * G1, 0, M2, RW, 20), 0);
	assert_at(pt, 9 * G1, 0, 12);
	assert_int_equal(wr_vtdss_map(pt, 10 * G1, M2, G1, RW, 30), 0);
	assert_at(pt, 10 * G1, M2, 21);
	assert_int_equal(wr_vtdss_map(pt, 11 * G1, K4, G1, RW, 30), 0);
	assert_at(pt, 11 * G1, K4, 12);
	wr_vtdss_destroy(pt);
}

/* ---- split, dirty ---- */

static void split_keeps_translations(void **state)
{
	(void)state;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		struct wr_vtdss *pt = make(levels);
		struct wr_walk w;

		assert_int_equal(wr_vtdss_map(pt, G1, 8 * G1, 2 * G1, true, false, 30), 0);
		assert_int_equal(wr_vtdss_map(pt, 5 * G1, 0, M2, RW, 30), 0);
		mark(pt, 5 * G1, true);
		assert_int_equal(wr_vtdss_split(pt, 0, 6 * G1, 12), 0);
		for (uint64_t page = 0; page < 2 * G1; page += K4 * 97)
			assert_at(pt, G1 + page, 8 * G1 + page, 12);
		assert_at(pt, 3 * G1 - 1, 10 * G1 - 1, 12);
		assert_int_equal(walk(pt, 2 * G1, true, &w), 0x5);
		/* The dirty bit went to every page. */
		assert_int_equal(wr_vtdss_dirty(pt, G1, 2 * G1, NULL), 0);
		assert_int_equal(wr_vtdss_dirty(pt, 5 * G1, M2, NULL), 512);
		assert_int_equal(wr_vtdss_dirty(pt, 5 * G1, M2, NULL), 0);
		/* In part; what lies outside may stay large. */
		assert_int_equal(wr_vtdss_map(pt, 6 * G1, 0, G1, RW, 30), 0);
		assert_int_equal(wr_vtdss_split(pt, 6 * G1 + 3 * M2, K4, 12), 0);
		assert_at(pt, 6 * G1 + 3 * M2, 3 * M2, 12);
		assert_at(pt, 6 * G1 + 4 * M2, 4 * M2, 21);
		wr_vtdss_destroy(pt);
	}
}

/* As large as the new address allows; with its dirty bit, and without its neighbours. */
static void move_changes_addresses_alone(void **state)
{
	static const struct {
		uint64_t to;
		unsigned int shift;
	} cases[] = { { 12 * G1, 30 }, { 12 * G1 + M2, 21 }, { 12 * G1 + K4, 12 } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct wr_vtdss *pt = make(4);
		struct wr_walk w;

		assert_int_equal(wr_vtdss_map(pt, G1, 8 * G1, 2 * G1, RW, 30), 0);
		assert_int_equal(wr_vtdss_map(pt, 3 * G1, 0, M2, true, false, 30), 0);
		mark(pt, 2 * G1, true);
		assert_int_equal(wr_vtdss_move(pt, G1, cases[i].to, 2 * G1), 0);
		for (uint64_t page = 0; page < 2 * G1; page += K4 * 97)
			assert_at(pt, G1 + page, cases[i].to + page, cases[i].shift);
		assert_at(pt, 3 * G1 - 1, cases[i].to + 2 * G1 - 1, cases[i].shift);
		assert_at(pt, 3 * G1, 0, 21);
		assert_int_equal(walk(pt, 3 * G1, true, &w), 0x5);
		assert_int_equal(wr_vtdss_dirty(pt, G1, G1, NULL), 0);
		assert_int_equal(wr_vtdss_dirty(pt, 2 * G1, G1, NULL), G1 / K4);
		wr_vtdss_destroy(pt);
	}
}

static void split_leaves_entries_golden(void **state)
{
	struct wr_vtdss *pt = make(3);
	uint64_t *root, *middle, *low;

	(void)state;
	assert_int_equal(wr_vtdss_map(pt, 0, 2 * G1, G1, true, false, 30), 0);
	root = only_entry(wr_vtdss_root(pt), 0);
	assert_int_equal(*root, 0x80000081);
	mark(pt, 0, false);
	assert_int_equal(*root, 0x80000181);
	assert_int_equal(wr_vtdss_split(pt, 511 * M2, M2, 12), 0);
	assert_int_equal(*root & 0xfff, 3);
	middle = (uint64_t *)(uintptr_t)(*root & ~0xfffull);
	assert_int_equal(middle[0], 0x80000181);
	assert_int_equal(middle[510], 0xbfc00181);
	assert_int_equal(middle[511] & 0xfff, 3);
	low = (uint64_t *)(uintptr_t)(middle[511] & ~0xfffull);
	assert_int_equal(low[0], 0xbfe00101);
	assert_int_equal(low[511], 0xbffff101);
	wr_vtdss_destroy(pt);
}

static void split_survives_no_memory(void **state)
{
	struct wr_vtdss *pt = make(4);
	int ret = -ENOMEM;

	(void)state;
	assert_int_equal(wr_vtdss_map(pt, 0, 4 * G1, G1, RW, 30), 0);
	for (unsigned long n = 1; ret; n++) {
		mmap_calls = 0;
		mmap_fails_at = n;
		ret = wr_vtdss_split(pt, 0, G1, 12);
		assert_true(!ret || ret == -ENOMEM);
		for (uint64_t iova = 0; iova < G1; iova += M2 / 2 + K4) {
			struct wr_walk w;

			assert_int_equal(walk(pt, iova, true, &w), 0);
			assert_int_equal(w.addr, 4 * G1 + iova);
		}
	}
	mmap_fails_at = 0;
	wr_vtdss_unmap(pt, 0, G1);
	wr_vtdss_reap(pt);
	wr_vtdss_destroy(pt);
}

static void dirty_is_read_and_cleared(void **state)
{
	struct wr_vtdss *pt = make(4);
	uint64_t bits[16];

	(void)state;
	/* 512 small pages, then a large one. */
	assert_int_equal(wr_vtdss_map(pt, M2, 0, M2, RW, 12), 0);
	assert_int_equal(wr_vtdss_map(pt, 2 * M2, 0, M2, RW, 21), 0);
	mark(pt, M2, true);
	mark(pt, M2 + 63 * K4 + 5, true);
	mark(pt, M2 + 64 * K4, true);
	mark(pt, M2 + 100 * K4, false);
	mark(pt, M2 + 511 * K4, true);
	memset(bits, 0, sizeof(bits));
	bits[1] = 1ull << 63;
	assert_int_equal(wr_vtdss_dirty(pt, M2, 2 * M2, bits), 4);
	assert_int_equal(bits[0], 0x8000000000000001);
	assert_int_equal(bits[1], 0x8000000000000001);
	assert_int_equal(bits[7], 0x8000000000000000);
	assert_int_equal(bits[8], 0);
	assert_int_equal(wr_vtdss_dirty(pt, M2, 2 * M2, bits), 0);

	mark(pt, 2 * M2 + 7 * K4, true);
	memset(bits, 0, sizeof(bits));
	/* Part of a leaf is told, but the bit stays for the rest. */
	assert_int_equal(wr_vtdss_dirty(pt, 2 * M2 - K4, 2 * K4, bits), 1);
	assert_int_equal(bits[0], 2);
	assert_int_equal(wr_vtdss_dirty(pt, 2 * M2, M2, bits), 512);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(bits[i], ~0ull);
	assert_int_equal(bits[8], 0);
	assert_int_equal(wr_vtdss_dirty(pt, 2 * M2, M2, NULL), 0);

	mark(pt, M2, true);
	assert_int_equal(wr_vtdss_dirty(pt, 0, 4 * M2, NULL), 1);
	assert_int_equal(wr_vtdss_dirty(pt, 0, 4 * M2, NULL), 0);
	wr_vtdss_destroy(pt);
}

/* ---- memory ---- */

static void map_is_all_or_nothing(void **state)
{
	/* 2 GiB of small pages: 1024 tables at the bottom, many chunks. */
	const uint64_t iova = (1ull << 47) - G1, len = 2 * G1;
	struct wr_vtdss *pt = make(4);
	size_t held;
	int ret = -ENOMEM;
	unsigned long n;

	(void)state;
	assert_int_equal(wr_vtdss_map(pt, iova - K4, 0, K4, RW, 12), 0);
	held = memory_held;
	for (n = 1; ret; n++) {
		mmap_calls = 0;
		mmap_fails_at = n;
		ret = wr_vtdss_map(pt, iova, 0, len, RW, 12);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(memory_held, held);
		assert_unmapped(pt, iova);
		assert_unmapped(pt, iova + len - 1);
	}
	assert_true(n > 50);
	assert_at(pt, iova + len - K4, len - K4, 12);
	wr_vtdss_destroy(pt);

	mmap_calls = 0;
	mmap_fails_at = 1;
	assert_int_equal(wr_vtdss_create(4, &pt), -ENOMEM);
}

static void reap_frees_what_unmap_unhooked(void **state)
{
	(void)state;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		struct wr_vtdss *pt = make(levels);
		size_t held = memory_held, full;
		uint64_t iova = width(levels) - 3 * G1;

		assert_int_equal(wr_vtdss_map(pt, iova, 0, 2 * G1, RW, 12), 0);
		full = memory_held;
		assert_true(full > held + 2 * 512 * K4);
		/* In two halves, so that tables empty in steps. */
		wr_vtdss_unmap(pt, iova, G1 + 5 * K4);
		wr_vtdss_unmap(pt, iova + G1 + 5 * K4, G1 - 5 * K4);
		assert_unmapped(pt, iova);
		assert_unmapped(pt, iova + G1);
		assert_int_equal(memory_held, full);
		wr_vtdss_reap(pt);
		assert_int_equal(memory_held, held);
		only_entry(wr_vtdss_root(pt), 0);
		assert_int_equal(*(uint64_t *)(uintptr_t)wr_vtdss_root(pt), 0);
		/* Used tables come back clean. */
		assert_int_equal(wr_vtdss_map(pt, iova + M2, 0, K4, RW, 12), 0);
		wr_vtdss_unmap(pt, iova + M2, K4);
		wr_vtdss_reap(pt);
		assert_int_equal(wr_vtdss_map(pt, iova, 0, K4, RW, 12), 0);
		assert_unmapped(pt, iova + M2);
		assert_unmapped(pt, iova + K4);
		wr_vtdss_destroy(pt);
	}
}

/* Memory that the kernel hands out off any 64 KiB boundary. */
static int shifted_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset,
			void **out)
{
	char *area;
	void *ptr;
	int ret;

	(void)hint;
	ret = wr_sys_kernel.mmap(NULL, len + 0x20000, prot, flags, fd, offset, &ptr);
	if (ret < 0)
		return ret;
	area = (char *)(((uintptr_t)ptr + 0xffff) & ~0xffffull) + 0x3000;
	wr_sys_kernel.munmap(ptr, (size_t)(area - (char *)ptr));
	wr_sys_kernel.munmap(area + len, (size_t)((char *)ptr + 0x20000 - area));
	memory_held += len;
	*out = area;
	return 0;
}

static void chunks_are_trimmed(void **state)
{
	struct wr_vtdss *pt;

	(void)state;
	if (wr_page_size() != 4096)
		skip();
	counting.mmap = shifted_mmap;
	pt = make(3);
	assert_int_equal(memory_held, 0x10000);
	assert_int_equal(wr_vtdss_map(pt, 0, 0, 64 * M2, RW, 12), 0);
	assert_int_equal(memory_held % 0x10000, 0);
	assert_at(pt, 64 * M2 - 1, 64 * M2 - 1, 12);
	wr_vtdss_destroy(pt);
}

/* ---- against a plain model ---- */

#define PAGES	8192u		/* of IOVA, around a boundary of all levels */
#define MAPS	64u

struct map {
	uint64_t addr;
	unsigned int first, pages;
	bool read, write;
};

static uint64_t seed;

static unsigned int rnd(unsigned int below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)(seed >> 20) % below;
}

static struct map *map_over(struct map *maps, unsigned int first, unsigned int pages)
{
	for (unsigned int i = 0; i < MAPS; i++)
		if (maps[i].pages && maps[i].first < first + pages &&
		    first < maps[i].first + maps[i].pages)
			return &maps[i];
	return NULL;
}

static void random_map(struct wr_vtdss *pt, uint64_t base, struct map *maps)
{
	static const unsigned int shifts[] = { 12, 21, 30 };
	struct map map = {
		.first = rnd(PAGES),
		.pages = 1 + (rnd(4) ? rnd(16) : rnd(2048)),
		.addr = (uint64_t)rnd(1u << 30) * K4,
		.read = rnd(4),
	};
	struct map *slot = NULL;
	int expect = 0;

	map.write = !map.read || rnd(2);
	if (rnd(2))	/* so that large leaves are possible */
		map.addr = map.addr / M2 * M2 + map.first % 512 * K4;
	if (map.pages > PAGES - map.first)
		map.pages = PAGES - map.first;
	for (unsigned int i = 0; i < MAPS && !slot; i++)
		if (!maps[i].pages)
			slot = &maps[i];
	if (!slot)
		return;
	if (map_over(maps, map.first, map.pages))
		expect = -EEXIST;
	assert_int_equal(wr_vtdss_map(pt, base + map.first * K4, map.addr, map.pages * K4, map.read,
				      map.write, shifts[rnd(3)]), expect);
	if (!expect)
		*slot = map;
}

static void random_translate(struct wr_vtdss *pt, uint64_t base, struct map *maps)
{
	unsigned int page = rnd(PAGES), offset = rnd(4096);
	struct map *map = map_over(maps, page, 1);
	bool write = rnd(2);
	struct wr_walk w;
	int ret = walk(pt, base + page * K4 + offset, write, &w);

	if (!map || !(write ? map->write : map->read)) {
		assert_int_equal(ret, write ? 0x5 : 0x6);
		return;
	}
	assert_int_equal(ret, 0);
	assert_int_equal(w.addr, map->addr + (page - map->first) * K4 + offset);
	assert_int_equal(w.read, map->read);
	assert_int_equal(w.write, map->write);
	assert_true(w.run >= 1 && w.run <= (map->first + map->pages - page) * K4 - offset);
}

static void random_operations_match_a_model(void **state)
{
	(void)state;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		struct wr_vtdss *pt = make(levels);
		uint64_t base = width(levels) / 2 - PAGES / 2 * K4;
		struct map maps[MAPS] = { 0 }, *map;
		size_t held = memory_held;

		seed = 0x9e3779b97f4a7c15 + levels;
		for (unsigned int n = 0; n < 100000; n++) {
			map = &maps[rnd(MAPS)];
			switch (rnd(8)) {
			case 0:
			case 1:
				random_map(pt, base, maps);
				break;
			case 2:
				wr_vtdss_unmap(pt, base + map->first * K4, map->pages * K4);
				map->pages = 0;
				break;
			case 3:
				if (!rnd(4))
					assert_int_equal(wr_vtdss_split(pt, base + map->first * K4,
									map->pages * K4,
									rnd(2) ? 12 : 21), 0);
				if (!rnd(4))
					wr_vtdss_reap(pt);
				break;
			default:
				random_translate(pt, base, maps);
			}
		}
		wr_vtdss_unmap(pt, base, PAGES * K4);
		wr_vtdss_reap(pt);
		assert_int_equal(memory_held, held);
		wr_vtdss_destroy(pt);
	}
}

/* ---- with a walker in another thread ---- */

#define LEAVES	64u
#define TOUCHED	(LEAVES * 512u)

static uint8_t touched[TOUCHED];

/* Write once to every other page, in an order without rhythm. */
static void *touch(void *arg)
{
	struct wr_vtdss *pt = arg;
	struct wr_walk w;

	for (unsigned int i = 0; i < TOUCHED; i += 2) {
		unsigned int page = i * 10007u % TOUCHED;

		if (wr_vtdss_walk(&wr_pt_here, wr_vtdss_root(pt), 4, page * K4, true, true, &w) ||
		    w.addr != G1 + page * K4)
			return pt;
		touched[page] = 1;
	}
	return NULL;
}

static void no_dirty_bit_is_lost(void **state)
{
	static uint64_t bits[TOUCHED / 64];
	pthread_t thread;
	void *failed;

	(void)state;
	for (unsigned int round = 0; round < 10; round++) {
		struct wr_vtdss *pt = make(4);

		memset(bits, 0, sizeof(bits));
		memset(touched, 0, sizeof(touched));
		assert_int_equal(wr_vtdss_map(pt, 0, G1, LEAVES * M2, RW, 21), 0);
		assert_int_equal(pthread_create(&thread, NULL, touch, pt), 0);
		for (unsigned int leaf = 0; leaf < LEAVES; leaf++) {
			assert_int_equal(wr_vtdss_split(pt, leaf * M2, M2, 12), 0);
			wr_vtdss_dirty(pt, 0, LEAVES * M2, bits);
		}
		pthread_join(thread, &failed);
		assert_null(failed);
		wr_vtdss_dirty(pt, 0, LEAVES * M2, bits);
		for (unsigned int page = 0; page < TOUCHED; page++)
			if (touched[page])
				assert_true(bits[page / 64] >> page % 64 & 1);
		assert_int_equal(wr_vtdss_dirty(pt, 0, LEAVES * M2, NULL), 0);
		wr_vtdss_destroy(pt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(create_refuses_other_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(map_refuses_bad_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(map_refuses_what_is_mapped, setup, teardown),
		cmocka_unit_test_setup_teardown(other_calls_take_any_range, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_are_golden, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_of_each_size_at_each_level, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_are_as_large_as_both_allow, setup, teardown),
		cmocka_unit_test_setup_teardown(split_keeps_translations, setup, teardown),
		cmocka_unit_test_setup_teardown(move_changes_addresses_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(split_leaves_entries_golden, setup, teardown),
		cmocka_unit_test_setup_teardown(split_survives_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(dirty_is_read_and_cleared, setup, teardown),
		cmocka_unit_test_setup_teardown(map_is_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(reap_frees_what_unmap_unhooked, setup, teardown),
		cmocka_unit_test_setup_teardown(chunks_are_trimmed, setup, teardown),
		cmocka_unit_test_setup_teardown(random_operations_match_a_model, setup, teardown),
		cmocka_unit_test_setup_teardown(no_dirty_bit_is_lost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
