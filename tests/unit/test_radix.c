/* SPDX-License-Identifier: MIT */
/* The radix map by itself: leaves of every size, runs, tables coming and going. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys.h"
#include "mem/radix.h"
#include "tests/chance.h"

#define PAGE 4096ull
#define MB2 (2ull << 20)
#define GB (1ull << 30)
#define TOP UINT64_MAX
#define VALUE 0x7f0000000000ull

static struct wr_sys seam;
static int calls_left;		/* of mmap, before it fails; -1: it never does */

static int failing_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset,
			void **out)
{
	if (calls_left >= 0 && calls_left-- == 0)
		return -ENOMEM;
	return wr_sys_kernel.mmap(hint, len, prot, flags, fd, offset, out);
}

static int setup(void **state)
{
	struct wr_radix *r = test_malloc(sizeof(*r));

	seam = wr_sys_kernel;
	seam.mmap = failing_mmap;
	calls_left = -1;
	wr_sys = &seam;
	*state = r;
	return wr_radix_init(r);
}

/* No table is lost: when nothing is set, all of them can be had. */
static int teardown(void **state)
{
	struct wr_radix *r = *state;
	struct wr_radix_leaf leaf;
	size_t tables = r->tables;
	int ret = wr_radix_next(r, 0, TOP, &leaf);

	calls_left = 0;
	if (wr_radix_reserve(r, tables) || r->spares != tables || r->tables != tables ||
	    !r->seq)
		ret = -1;
	wr_radix_free(r);
	test_free(r);
	wr_sys = &wr_sys_kernel;
	return ret;
}

static void set_to(struct wr_radix *r, uint64_t key, uint64_t value, uint64_t len)
{
	bool hidden;

	assert_int_equal(wr_radix_set(r, key, value, len, WR_RADIX_FIRST, &hidden), 0);
	assert_false(hidden);
}

/* The page at @key lies in a leaf of that size, and @run bytes are known from @key on. */
static void assert_leaf(const struct wr_radix *r, uint64_t key, uint64_t value,
			unsigned int size, uint64_t run, bool more)
{
	unsigned int shift = 0;
	uint64_t entry = wr_radix_find(r, key, &shift);

	assert_true(entry & WR_RADIX_LEAF);
	assert_int_equal(shift, size);
	assert_true(wr_radix_value(entry, key) == value);
	assert_true(wr_radix_run(entry, shift, key) == run);
	assert_true(!(entry & WR_RADIX_MORE) == !more);
}

static void assert_none(const struct wr_radix *r, uint64_t key)
{
	unsigned int shift;

	assert_true(wr_radix_find(r, key, &shift) == 0);
}

/* ---- shapes ---- */

static void empty_map_has_nothing_anywhere(void **state)
{
	const uint64_t keys[] = { 0, PAGE, GB, (1ull << 48) - 1, 1ull << 48, 1ull << 57, TOP };
	struct wr_radix *r = *state;
	struct wr_radix_leaf leaf;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		assert_none(r, keys[i]);
		assert_false(wr_radix_next(r, keys[i], TOP, &leaf));
		wr_radix_clear(r, keys[i] & ~(PAGE - 1), VALUE, PAGE);
	}
	assert_int_equal(r->tables, 0);
}

static void leaves_are_as_large_as_they_can_be(void **state)
{
	struct wr_radix *r = *state;
	uint64_t at = 3 * GB - PAGE, len = 2 * GB + MB2 + 3 * PAGE;

	/* 1 page, 2 GiB, 2 MiB, 2 pages; the value's alignment doesn't matter. */
	set_to(r, at, VALUE + PAGE, len);
	assert_none(r, at - 1);
	assert_leaf(r, at + 5, VALUE + PAGE + 5, 12, 64 * PAGE - 5, true);
	assert_leaf(r, at + PAGE, VALUE + 2 * PAGE, 30, 2 * GB, true);
	assert_leaf(r, at + PAGE + GB + 9, VALUE + 2 * PAGE + GB + 9, 30, GB - 9, true);
	assert_leaf(r, at + PAGE + 2 * GB, VALUE + 2 * PAGE + 2 * GB, 21, MB2, true);
	assert_leaf(r, at + len - PAGE, VALUE + len, 12, PAGE, false);
	assert_leaf(r, at + len - 1, VALUE + len + PAGE - 1, 12, 1, false);
	assert_none(r, at + len);
	wr_radix_clear(r, at, VALUE + PAGE, len);
}

static void runs_saturate_at_64_leaves(void **state)
{
	static const struct {
		unsigned int shift;
		uint64_t leaves;
	} cases[] = {
		{ 12, 63 }, { 12, 64 }, { 12, 65 }, { 12, 511 }, { 21, 63 }, { 21, 64 }, { 21, 65 },
		{ 30, 64 }, { 30, 65 }, { 30, 1000 },
	};
	struct wr_radix *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t size = 1ull << cases[i].shift, len = size * cases[i].leaves;

		set_to(r, 4 * GB, VALUE, len);
		for (uint64_t j = 0; j < cases[i].leaves; j++) {
			uint64_t left = cases[i].leaves - j;

			assert_leaf(r, 4 * GB + j * size, VALUE + j * size, cases[i].shift,
				    (left < 64 ? left : 64) * size, left > 64);
		}
		assert_none(r, 4 * GB + len);
		wr_radix_clear(r, 4 * GB, VALUE, len);
		assert_none(r, 4 * GB);
	}
}

static void neighbours_are_told_apart(void **state)
{
	struct wr_radix *r = *state;
	struct wr_radix_leaf leaf;

	/* Values continue, too, but it's another that was set. */
	for (unsigned int i = 0; i < 4; i++)
		set_to(r, MB2 + i * PAGE, VALUE + i * PAGE, PAGE);
	for (unsigned int i = 0; i < 4; i++) {
		assert_leaf(r, MB2 + i * PAGE, VALUE + i * PAGE, 12, PAGE, false);
		assert_true(wr_radix_next(r, MB2 + i * PAGE + 1, TOP, &leaf));
		assert_true(leaf.key == MB2 + i * PAGE && leaf.entry & WR_RADIX_FIRST);
	}
	assert_false(wr_radix_next(r, 0, MB2 - 1, &leaf));
	assert_false(wr_radix_next(r, MB2 + 4 * PAGE, TOP, &leaf));
	wr_radix_clear(r, MB2, VALUE, 4 * PAGE);
}

static void high_keys_work_like_others(void **state)
{
	static const uint64_t keys[] = {
		0, (1ull << 47) - 2 * GB, (1ull << 48) - GB, 1ull << 48, (1ull << 48) + 5 * MB2,
		(1ull << 57) - GB, 1ull << 57, (1ull << 57) + PAGE, (1ull << 63) - 2 * GB,
		0xffull << 56, 0 - 2 * GB, 0 - GB - PAGE, 0 - GB, 0 - MB2, 0 - PAGE,
	};
	struct wr_radix *r = *state;
	struct wr_radix_leaf leaf;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		uint64_t key = keys[i], len = 0 - key;

		if (!key || len > 2 * GB + MB2 + PAGE)
			len = 2 * GB + MB2 + PAGE;
		set_to(r, key, VALUE, len);
		for (uint64_t at = 0; at < len; at += len > GB ? 61 * MB2 + PAGE : PAGE) {
			unsigned int shift;
			uint64_t entry = wr_radix_find(r, key + at, &shift);

			assert_true(entry && wr_radix_value(entry, key + at) == VALUE + at);
			assert_true(wr_radix_next(r, key + at, key + at, &leaf));
			assert_true(leaf.entry == entry && leaf.shift == shift);
		}
		assert_true(wr_radix_next(r, 0, TOP, &leaf) && leaf.key == key);
		assert_true(wr_radix_next(r, key + len - 1, TOP, &leaf));
		if (key) {
			assert_none(r, key - 1);
			assert_false(wr_radix_next(r, 0, key - 1, &leaf));
		}
		if (key + len) {
			assert_none(r, key + len);
			assert_false(wr_radix_next(r, key + len, TOP, &leaf));
		}
		wr_radix_clear(r, key, VALUE, len);
		assert_false(wr_radix_next(r, 0, TOP, &leaf));
	}
}

/* ---- what is set already ---- */

static void the_older_stays_and_is_marked(void **state)
{
	struct wr_radix *r = *state;
	unsigned int shift;
	bool hidden;

	set_to(r, MB2, VALUE, MB2);
	assert_false(wr_radix_shares(r, MB2, VALUE, MB2));
	assert_int_equal(wr_radix_set(r, MB2 - PAGE, 2 * VALUE, MB2 + 2 * PAGE, 0, &hidden), 0);
	assert_true(hidden);
	assert_true(wr_radix_find(r, MB2, &shift) & WR_RADIX_COVERS);
	assert_leaf(r, MB2 + 7, VALUE + 7, 21, MB2 - 7, false);
	assert_leaf(r, MB2 - PAGE, 2 * VALUE, 12, 64 * PAGE, true);
	assert_leaf(r, 2 * MB2, 2 * VALUE + MB2 + PAGE, 12, PAGE, false);
	assert_true(wr_radix_shares(r, MB2, VALUE, MB2));
	assert_true(wr_radix_shares(r, MB2 - PAGE, 2 * VALUE, MB2 + 2 * PAGE));

	/* The younger goes: only what is its own. */
	wr_radix_clear(r, MB2 - PAGE, 2 * VALUE, MB2 + 2 * PAGE);
	assert_none(r, MB2 - PAGE);
	assert_none(r, 2 * MB2);
	assert_leaf(r, MB2, VALUE, 21, MB2, false);
	wr_radix_clear(r, MB2, VALUE, MB2);
}

static void small_leaves_in_the_way_split_large_ones(void **state)
{
	struct wr_radix *r = *state;
	bool hidden;

	set_to(r, GB + 7 * PAGE, VALUE, PAGE);
	assert_int_equal(wr_radix_set(r, GB, 2 * VALUE, GB, 0, &hidden), 0);
	assert_true(hidden);
	assert_leaf(r, GB, 2 * VALUE, 12, 64 * PAGE, true);
	assert_leaf(r, GB + 7 * PAGE, VALUE, 12, PAGE, false);
	assert_leaf(r, GB + 8 * PAGE, 2 * VALUE + 8 * PAGE, 12, 64 * PAGE, true);
	assert_leaf(r, GB + MB2, 2 * VALUE + MB2, 21, 64 * MB2, true);
	assert_leaf(r, 2 * GB - 1, 2 * VALUE + GB - 1, 21, 1, false);
	wr_radix_clear(r, GB, 2 * VALUE, GB);
	assert_leaf(r, GB + 7 * PAGE, VALUE, 12, PAGE, false);
	wr_radix_clear(r, GB + 7 * PAGE, VALUE, PAGE);
	/* Nothing is left of the tables: the next one is a single leaf. */
	set_to(r, GB, VALUE, GB);
	assert_leaf(r, GB, VALUE, 30, GB, false);
	wr_radix_clear(r, GB, VALUE, GB);
}

/* ---- tables ---- */

static void tables_are_those_of_the_busiest_moment(void **state)
{
	struct wr_radix *r = *state;

	/* Each takes two tables where none was: 20 at once make a chunk of 63 do. */
	for (uint64_t i = 0; i < 5000; i++) {
		set_to(r, i * 3 * GB + PAGE, VALUE, PAGE);
		if (i >= 20)
			wr_radix_clear(r, (i - 20) * 3 * GB + PAGE, VALUE, PAGE);
		assert_leaf(r, i * 3 * GB + PAGE, VALUE, 12, PAGE, false);
	}
	assert_int_equal(r->tables, 63);
	for (uint64_t i = 4980; i < 5000; i++)
		wr_radix_clear(r, i * 3 * GB + PAGE, VALUE, PAGE);
	/* High ones take five, and tables that hold tables are recycled, too. */
	for (uint64_t i = 0; i < 5000; i++) {
		set_to(r, (1ull << 48) + (i << 50) % (1ull << 63) + i * PAGE, VALUE, PAGE);
		if (i >= 8)
			wr_radix_clear(r, (1ull << 48) + ((i - 8) << 50) % (1ull << 63) +
				       (i - 8) * PAGE, VALUE, PAGE);
	}
	assert_int_equal(r->tables, 63);
	for (uint64_t i = 4992; i < 5000; i++)
		wr_radix_clear(r, (1ull << 48) + (i << 50) % (1ull << 63) + i * PAGE, VALUE, PAGE);
}

static void moving_a_table_is_seen(void **state)
{
	struct wr_radix *r = *state;
	uint64_t seq;

	set_to(r, PAGE, VALUE, PAGE);
	seq = r->seq;
	wr_radix_clear(r, PAGE, VALUE, PAGE);
	set_to(r, PAGE, VALUE, PAGE);
	assert_true(r->seq == seq);
	wr_radix_clear(r, PAGE, VALUE, PAGE);
	assert_int_equal(wr_radix_reserve(r, 63), 0);
	set_to(r, 5 * GB, VALUE, PAGE);
	assert_true(r->seq > seq);
	wr_radix_clear(r, 5 * GB, VALUE, PAGE);
}

static bool tried(const struct wr_radix *r, uint64_t key)
{
	unsigned int shift;
	uint64_t entry = wr_radix_try(r, key, &shift);

	assert_true(entry == wr_radix_try(r, key, NULL));
	return entry;
}

/* Also where the number of holds lets keys from 2^48 on through, and where it starts again. */
static void what_is_held_is_not_tried(void **state)
{
	static const uint64_t holds[] = { 0, 2 * GB, (1ull << 48) - 2, (1ull << 48) - 1 };
	struct wr_radix *r = *state;

	set_to(r, 0, VALUE, PAGE);
	set_to(r, 3 * GB, VALUE, PAGE);
	set_to(r, 1ull << 48, VALUE, PAGE);
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		uint64_t seq = r->seq;

		r->holds = holds[i];
		wr_radix_hold(r);
		assert_false(tried(r, 0) || tried(r, 3 * GB));
		wr_radix_release(r);
		assert_true(r->seq != seq);
		assert_true(tried(r, 0) && tried(r, 3 * GB + PAGE - 1));
		assert_false(tried(r, PAGE) || tried(r, (1ull << 48) - 1));
		assert_false(tried(r, 1ull << 48) || tried(r, (1ull << 48) + GB));
		assert_false(tried(r, (1ull << 49) - 1) || tried(r, TOP));
		assert_leaf(r, 1ull << 48, VALUE, 12, PAGE, false);
	}
	wr_radix_clear(r, 0, VALUE, PAGE);
	wr_radix_clear(r, 3 * GB, VALUE, PAGE);
	wr_radix_clear(r, 1ull << 48, VALUE, PAGE);
}

static void without_memory_nothing_changes(void **state)
{
	struct wr_radix *r = *state;
	uint64_t len = 300 * GB + 2 * PAGE;
	struct wr_radix_leaf leaf;
	unsigned int shift;
	bool hidden;
	int ret, n = 0;

	set_to(r, 1000 * GB, VALUE, PAGE);
	/* Each of these takes 2 tables to itself, until no more are to be had. */
	calls_left = 0;
	for (; n < 100; n++) {
		uint64_t key = (1ull << 48) + n * (1ull << 42) + GB - PAGE;

		ret = wr_radix_set(r, key, 2 * VALUE, len, 0, &hidden);
		if (ret)
			break;
	}
	assert_int_equal(ret, -ENOMEM);
	assert_int_equal(r->tables, 63);
	assert_true(r->seq);
	assert_false(wr_radix_next(r, (1ull << 48) + n * (1ull << 42), TOP, &leaf));
	assert_leaf(r, 1000 * GB, VALUE, 12, PAGE, false);
	while (n-- > 0) {
		uint64_t key = (1ull << 48) + n * (1ull << 42) + GB - PAGE;

		assert_true(wr_radix_find(r, key + len - 1, &shift));
		wr_radix_clear(r, key, 2 * VALUE, len);
	}
	wr_radix_clear(r, 1000 * GB, VALUE, PAGE);
	calls_left = 0;
	assert_int_equal(wr_radix_reserve(r, 64), -ENOMEM);
	assert_int_equal(wr_radix_reserve(r, 63), 0);
}

static void each_allocation_of_a_new_map_can_fail(void **state)
{
	struct wr_radix r;
	int n = 0;

	(void)state;
	for (;; n++) {
		calls_left = n;
		if (!wr_radix_init(&r))
			break;
	}
	assert_int_equal(n, 3);
	wr_radix_free(&r);
	calls_left = -1;
}

/* ---- at random ---- */

static uint64_t seed;

static unsigned int any(unsigned int below)
{
	return (unsigned int)chance(&seed, below);
}

#define N 24

/* What is set, the oldest first. */
static struct reference {
	uint64_t key, value, len;
} refs[N];
static int n_refs;

static uint64_t random_len(void)
{
	static const uint64_t sizes[] = { PAGE, 16 * PAGE, MB2, 3 * MB2, 70 * MB2, GB, 2 * GB };
	uint64_t len = sizes[any(7)];

	if (!any(3))
		len += any(3) * PAGE;
	if (!any(3) && len > PAGE)
		len -= PAGE;
	return len;
}

static uint64_t random_key(void)
{
	static const uint64_t bases[] = {
		2 * GB, (1ull << 47) - GB, (1ull << 48) - 2 * GB, (1ull << 57) - 2 * GB, 0 - 8 * GB,
	};

	return bases[any(5)] + any(3) * GB + any(3) * (MB2 << any(8)) + any(2) * PAGE * any(600);
}

static bool overlap(const struct reference *a, const struct reference *b)
{
	return a->key - b->key < b->len || b->key - a->key < a->len;
}

static void check_random(const struct wr_radix *r)
{
	const struct reference *in = &refs[any((unsigned int)n_refs)], *oldest = NULL;
	uint64_t key = in->key + (any(2) ? any((unsigned int)(in->len / PAGE)) * PAGE :
				  any(2) ? in->len : 0 - 1ull);
	unsigned int shift;
	uint64_t entry;

	for (int i = n_refs; i-- > 0;)
		if (key - refs[i].key < refs[i].len)
			oldest = &refs[i];
	entry = wr_radix_find(r, key, &shift);
	assert_true(!entry == !oldest);
	if (!oldest)
		return;
	assert_true(wr_radix_value(entry, key) == oldest->value + (key - oldest->key));
	assert_true(wr_radix_run(entry, shift, key) <= oldest->len - (key - oldest->key));
	assert_true(entry & WR_RADIX_MORE ||
		    wr_radix_run(entry, shift, key) == oldest->len - (key - oldest->key));
}

/* Remove one, as the owner of a map does: those it shares with show, the oldest first. */
static void remove_one(struct wr_radix *r, int i)
{
	struct reference gone = refs[i];
	bool hidden;

	wr_radix_hold(r);
	wr_radix_clear(r, gone.key, gone.value, gone.len);
	n_refs--;
	memmove(&refs[i], &refs[i + 1], (size_t)(n_refs - i) * sizeof(refs[0]));
	for (i = 0; i < n_refs; i++)
		if (overlap(&refs[i], &gone))
			assert_int_equal(wr_radix_set(r, refs[i].key, refs[i].value, refs[i].len,
						      0, &hidden), 0);
	wr_radix_release(r);
}

static void random_steps_match_the_reference(void **state)
{
	struct wr_radix *r = *state;
	uint64_t value = PAGE;

	seed = 20240302;
	n_refs = 0;
	for (int step = 0; step < 30000; step++) {
		struct reference new = { random_key(), value, random_len() };
		bool hidden, shares = false;

		if (n_refs == N || (n_refs && !any(3)))
			remove_one(r, (int)any((unsigned int)n_refs));
		for (int i = 0; i < n_refs; i++)
			shares = shares || overlap(&refs[i], &new);
		assert_int_equal(wr_radix_set(r, new.key, new.value, new.len, 0, &hidden), 0);
		assert_int_equal(hidden, shares);
		refs[n_refs++] = new;
		value = (value + new.len + PAGE) % (1ull << 60);
		for (int i = 0; i < 20; i++)
			check_random(r);
	}
	while (n_refs)
		remove_one(r, 0);
	assert_true(r->tables <= 10 * 63);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(empty_map_has_nothing_anywhere),
		TEST(leaves_are_as_large_as_they_can_be),
		TEST(runs_saturate_at_64_leaves),
		TEST(neighbours_are_told_apart),
		TEST(high_keys_work_like_others),
		TEST(the_older_stays_and_is_marked),
		TEST(small_leaves_in_the_way_split_large_ones),
		TEST(tables_are_those_of_the_busiest_moment),
		TEST(moving_a_table_is_seen),
		TEST(what_is_held_is_not_tried),
		TEST(without_memory_nothing_changes),
		TEST(each_allocation_of_a_new_map_can_fail),
		TEST(random_steps_match_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
