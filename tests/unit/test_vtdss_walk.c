/* SPDX-License-Identifier: MIT */
/* The walker of VT-d second-stage page tables, on tables that nobody sane makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgtable/vtdss.h"

#define K4	0x1000ull

static uint64_t width(unsigned int levels)
{
	return 1ull << (levels == 3 ? 39 : levels == 4 ? 48 : 57);
}

/* Guest memory: eight tables at GUEST, nothing anywhere else. */
#define GUEST	0x7f0000000000ull

static uint64_t guest[8][512];
static unsigned int mark_refusals;
static uint64_t change_on_refusal;

static bool guest_load(void *arg, uint64_t addr, uint64_t *entry)
{
	assert_ptr_equal(arg, guest);
	assert_int_equal(addr % 8, 0);
	if (addr - GUEST >= sizeof(guest))
		return false;
	*entry = guest[(addr - GUEST) / K4][addr % K4 / 8];
	return true;
}

static bool guest_mark(void *arg, uint64_t addr, uint64_t old, uint64_t bits)
{
	uint64_t *entry = &guest[(addr - GUEST) / K4][addr % K4 / 8];

	assert_ptr_equal(arg, guest);
	if (mark_refusals) {
		mark_refusals--;
		*entry ^= change_on_refusal;
		return false;
	}
	if (*entry != old)
		return false;
	*entry |= bits;
	return true;
}

static const struct wr_pt_mem guest_mem = { guest, guest_load, guest_mark };

/* Five levels, table n at page n; IOVA 0 translates to 0x8765432100000 by a leaf of level @leaf. */
static void guest_chain(unsigned int leaf)
{
	static const uint64_t leaves[] = { 0x8765432100003, 0x8765432000083, 0x8765400000083 };

	memset(guest, 0, sizeof(guest));
	mark_refusals = 0;
	for (unsigned int level = 4; level > leaf; level--)
		guest[4 - level][0] = (GUEST + (5 - level) * K4) | 3;
	guest[4 - leaf][0] = leaves[leaf];
}

static int guest_walk(uint64_t root, unsigned int levels, uint64_t iova, bool write, bool dirty,
		      struct wr_walk *w)
{
	return wr_vtdss_walk(&guest_mem, root, levels, iova, write, dirty, w);
}

static void walk_checks_reserved_bits(void **state)
{
	/* Bits that must be 0, level by level from 4 KiB up; of leaves, and of the tables above. */
	static const uint64_t leaf_bits[3] = {
		0x4000000000000000, 0x40000000001ff000, 0x400000003ffff000,
	};
	struct wr_walk w;

	(void)state;
	for (unsigned int leaf = 0; leaf < 3; leaf++) {
		for (unsigned int level = leaf; level < 5; level++) {
			uint64_t reserved = level == leaf ? leaf_bits[leaf] : 0x4000000000000800;

			if (level > 2)
				reserved |= 0x80;
			for (unsigned int bit = 2; bit < 64; bit++) {
				int expect = reserved >> bit & 1 ? 0xc : 0;

				/* These bits mean something else there. */
				if (level != leaf && (bit == 7 || (bit >= 12 && bit < 52)))
					if (level <= 2 || bit != 7)
						continue;
				if (level == leaf && level > 0 && bit == 7)
					continue;
				guest_chain(leaf);
				guest[4 - level][0] |= 1ull << bit;
				assert_int_equal(guest_walk(GUEST, 5, 0, false, true, &w), expect);
				assert_int_equal(guest_walk(GUEST, 5, 0, true, false, &w), expect);
			}
		}
	}
}

static void walk_survives_loops(void **state)
{
	struct wr_walk w;

	(void)state;
	memset(guest, 0, sizeof(guest));
	for (unsigned int i = 0; i < 512; i++)
		guest[0][i] = GUEST | 3;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		assert_int_equal(guest_walk(GUEST, levels, width(levels) - 1, true, true, &w), 0);
		assert_int_equal(w.addr, GUEST | 0xfff);
		assert_int_equal(w.run, 1);
		assert_int_equal(w.shift, 12);
	}
	/* A leaf bit where the top level has no leaves. */
	memset(guest, 0, sizeof(guest));
	guest[0][0] = 0x83;
	assert_int_equal(guest_walk(GUEST, 3, 0, true, false, &w), 0);
	assert_int_equal(w.shift, 30);
	assert_int_equal(guest_walk(GUEST, 4, 0, true, false, &w), 0xc);
	assert_int_equal(guest_walk(GUEST, 5, 0, true, false, &w), 0xc);
}

static void walk_reports_tables_out_of_reach(void **state)
{
	struct wr_walk w;

	(void)state;
	guest_chain(0);
	assert_int_equal(guest_walk(GUEST + sizeof(guest), 5, 0, false, false, &w), 0x7);
	assert_int_equal(guest_walk(0, 5, 0, false, false, &w), 0x7);
	for (unsigned int level = 1; level < 5; level++) {
		guest_chain(0);
		guest[4 - level][0] = (GUEST + sizeof(guest)) | 3;
		assert_int_equal(guest_walk(GUEST, 5, 0, false, true, &w), 0x7);
		guest[4 - level][0] = 0x000ffffffffff003;
		assert_int_equal(guest_walk(GUEST, 5, 0, true, true, &w), 0x7);
	}
}

static void walk_ands_permissions(void **state)
{
	struct wr_walk w;

	(void)state;
	for (unsigned int level = 0; level < 5; level++) {
		for (uint64_t prot = 0; prot < 4; prot++) {
			guest_chain(0);
			guest[4 - level][0] = (guest[4 - level][0] & ~3ull) | prot;
			assert_int_equal(guest_walk(GUEST, 5, 0, true, false, &w),
					 prot & 2 ? 0 : 0x5);
			assert_int_equal(guest_walk(GUEST, 5, 0, false, false, &w),
					 prot & 1 ? 0 : 0x6);
			if (prot & 1) {
				assert_true(w.read);
				assert_int_equal(w.write, prot == 3);
			}
			/* An entry that isn't present may hold anything. */
			guest[4 - level][0] = 0xfffffffffffffffc;
			assert_int_equal(guest_walk(GUEST, 5, 0, true, false, &w), 0x5);
		}
	}
}

static void walk_marks_entries(void **state)
{
	struct wr_walk w;

	(void)state;
	for (unsigned int leaf = 0; leaf < 3; leaf++) {
		guest_chain(leaf);
		assert_int_equal(guest_walk(GUEST, 5, 0, true, false, &w), 0);
		for (unsigned int level = leaf; level < 5; level++)
			assert_int_equal(guest[4 - level][0] & 0x300, 0);
		assert_int_equal(guest_walk(GUEST, 5, 0, false, true, &w), 0);
		for (unsigned int level = leaf; level < 5; level++)
			assert_int_equal(guest[4 - level][0] & 0x300, 0x100);
		assert_int_equal(guest_walk(GUEST, 5, 0, true, true, &w), 0);
		for (unsigned int level = leaf; level < 5; level++)
			assert_int_equal(guest[4 - level][0] & 0x300,
					 level == leaf ? 0x300 : 0x100);
	}
}

static void walk_retries_a_lost_mark(void **state)
{
	struct wr_walk w;

	(void)state;
	/* Another walker was first with the accessed bit. */
	guest_chain(0);
	mark_refusals = 1;
	change_on_refusal = 0x100;
	assert_int_equal(guest_walk(GUEST, 5, 0, true, true, &w), 0);
	assert_int_equal(guest[4][0] & 0x300, 0x300);
	/* The entry went away. */
	guest_chain(2);
	mark_refusals = 1;
	change_on_refusal = 3;
	assert_int_equal(guest_walk(GUEST, 5, 0, true, true, &w), 0x5);
	assert_int_equal(guest[0][0] & 0x300, 0);
	/* It can't be written at all: a fault, not a hang. */
	guest_chain(0);
	mark_refusals = ~0u;
	change_on_refusal = 0;
	assert_int_equal(guest_walk(GUEST, 5, 0, false, true, &w), 0x7);
	change_on_refusal = 1ull << 55;
	assert_int_equal(guest_walk(GUEST, 5, 0, false, true, &w), 0x7);
}

static void walk_refuses_addresses_beyond_width(void **state)
{
	struct wr_walk w;

	(void)state;
	memset(guest, 0, sizeof(guest));
	for (unsigned int levels = 3; levels <= 5; levels++) {
		for (unsigned int bit = 30; bit < 64; bit++)
			assert_int_equal(guest_walk(GUEST, levels, 1ull << bit, true, false, &w),
					 1ull << bit < width(levels) ? 0x5 : 0x4);
		assert_int_equal(guest_walk(GUEST, levels, ~0ull, false, false, &w), 0x4);
	}
}

static void reasons_have_words(void **state)
{
	(void)state;
	for (unsigned int reason = 0; reason < 0x200; reason++)
		assert_non_null(wr_vtd_reason_text(reason));
	assert_non_null(strstr(wr_vtd_reason_text(5), "writing"));
	assert_non_null(strstr(wr_vtd_reason_text(6), "reading"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walk_checks_reserved_bits),
		cmocka_unit_test(walk_survives_loops),
		cmocka_unit_test(walk_reports_tables_out_of_reach),
		cmocka_unit_test(walk_ands_permissions),
		cmocka_unit_test(walk_marks_entries),
		cmocka_unit_test(walk_retries_a_lost_mark),
		cmocka_unit_test(walk_refuses_addresses_beyond_width),
		cmocka_unit_test(reasons_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
