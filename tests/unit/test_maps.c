/* SPDX-License-Identifier: MIT */
/* The translation map, ranges of IOVAs, and the choice of a free one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/maps.h"

#define PAGE 4096ull
#define K64 0x10000ull
#define TOP UINT64_MAX

static const struct wr_ranges everything = { 1, { { 0, TOP } } };

static void add_at(struct wr_maps *maps, weir_iova iova, uint64_t len, void *vaddr)
{
	const struct wr_mapping m = { .iova = iova, .len = len, .vaddr = vaddr };

	assert_int_equal(wr_maps_reserve(maps), 0);
	wr_maps_add(maps, &m);
}

static void add(struct wr_maps *maps, weir_iova iova, uint64_t len)
{
	add_at(maps, iova, len, NULL);
}

/* ---- the map ---- */

static void empty_map_finds_nothing(void **state)
{
	struct wr_maps maps = { 0 };

	(void)state;
	assert_null(wr_maps_find(&maps, 0, TOP));
	assert_null(wr_maps_find_vaddr(&maps, &maps));
	wr_maps_free(&maps);
}

static void find_knows_bounds_to_the_byte(void **state)
{
	struct wr_maps maps = { 0 };

	(void)state;
	add(&maps, 2 * PAGE, 2 * PAGE);
	assert_null(wr_maps_find(&maps, 0, 2 * PAGE - 1));
	assert_null(wr_maps_find(&maps, 4 * PAGE, TOP));
	assert_non_null(wr_maps_find(&maps, 0, 2 * PAGE));
	assert_non_null(wr_maps_find(&maps, 2 * PAGE, 2 * PAGE));
	assert_non_null(wr_maps_find(&maps, 3 * PAGE + 1, 3 * PAGE + 1));
	assert_non_null(wr_maps_find(&maps, 4 * PAGE - 1, TOP));
	assert_non_null(wr_maps_find(&maps, 0, TOP));
	wr_maps_free(&maps);
}

static void find_gives_the_lowest_of_neighbours(void **state)
{
	struct wr_maps maps = { 0 };

	(void)state;
	/* Not in order, adjacent, and the last byte of 64 bits. */
	add(&maps, 2 * PAGE, PAGE);
	add(&maps, TOP - PAGE + 1, PAGE);
	add(&maps, 1 * PAGE, PAGE);
	add(&maps, 0, PAGE);
	assert_int_equal(maps.n, 4);
	for (weir_iova iova = 0; iova < 3; iova++)
		assert_true(wr_maps_find(&maps, iova * PAGE, TOP)->iova == iova * PAGE);
	assert_true(wr_maps_find(&maps, 3 * PAGE, TOP)->iova == TOP - PAGE + 1);
	assert_true(wr_maps_find(&maps, TOP, TOP)->iova == TOP - PAGE + 1);
	assert_null(wr_maps_find(&maps, 3 * PAGE, TOP - PAGE));
	wr_maps_remove(&maps, wr_maps_find(&maps, PAGE, PAGE));
	assert_int_equal(maps.n, 3);
	assert_null(wr_maps_find(&maps, PAGE, 2 * PAGE - 1));
	assert_true(wr_maps_find(&maps, PAGE, TOP)->iova == 2 * PAGE);
	wr_maps_remove(&maps, wr_maps_find(&maps, TOP, TOP));
	assert_null(wr_maps_find(&maps, 3 * PAGE, TOP));
	wr_maps_free(&maps);
}

static void the_whole_space_is_one_mapping(void **state)
{
	struct wr_maps maps = { 0 };
	weir_iova iova = 7;

	(void)state;
	/* All but its first page, so that the length fits. */
	add(&maps, PAGE, TOP - PAGE + 1);
	assert_null(wr_maps_find(&maps, 0, PAGE - 1));
	assert_non_null(wr_maps_find(&maps, TOP, TOP));
	assert_int_equal(wr_iova_find(&maps, &everything, PAGE, PAGE, TOP, &iova), -ENOSPC);
	assert_true(iova == 7);
	wr_maps_free(&maps);
}

static void memory_answers_with_its_oldest_mapping(void **state)
{
	static char bytes[6 * PAGE];
	char *memory = bytes + PAGE;
	struct wr_maps maps = { 0 };

	(void)state;
	add_at(&maps, 8 * PAGE, 2 * PAGE, memory + PAGE);
	add_at(&maps, 1 * PAGE, 4 * PAGE, memory);
	assert_null(wr_maps_find_vaddr(&maps, memory - 1));
	assert_true(wr_maps_find_vaddr(&maps, memory)->iova == PAGE);
	assert_true(wr_maps_find_vaddr(&maps, memory + PAGE - 1)->iova == PAGE);
	assert_true(wr_maps_find_vaddr(&maps, memory + PAGE)->iova == 8 * PAGE);
	assert_true(wr_maps_find_vaddr(&maps, memory + 3 * PAGE - 1)->iova == 8 * PAGE);
	assert_true(wr_maps_find_vaddr(&maps, memory + 3 * PAGE)->iova == PAGE);
	assert_true(wr_maps_find_vaddr(&maps, memory + 4 * PAGE - 1)->iova == PAGE);
	assert_null(wr_maps_find_vaddr(&maps, memory + 4 * PAGE));

	/* Mapped anew, the oldest has become the youngest. */
	wr_maps_remove(&maps, wr_maps_find(&maps, 8 * PAGE, 8 * PAGE));
	add_at(&maps, 8 * PAGE, 2 * PAGE, memory + PAGE);
	assert_true(wr_maps_find_vaddr(&maps, memory + PAGE)->iova == PAGE);
	wr_maps_free(&maps);
}

/* ---- ranges ---- */

static void assert_ranges(const struct wr_ranges *ranges, size_t n,
			  const struct weir_iova_range *expected)
{
	assert_int_equal(ranges->n, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(ranges->r[i].first == expected[i].first);
		assert_true(ranges->r[i].last == expected[i].last);
	}
}

static void ranges_hold_what_lies_in_one(void **state)
{
	const struct wr_ranges ranges = { 2, { { 0, PAGE - 1 }, { PAGE, 2 * PAGE - 1 } } };
	const struct wr_ranges none = { 0 };

	(void)state;
	assert_true(wr_ranges_hold(&ranges, 0, PAGE - 1));
	assert_true(wr_ranges_hold(&ranges, PAGE, 2 * PAGE - 1));
	assert_true(wr_ranges_hold(&ranges, PAGE, PAGE));
	/* Adjacent, but a mapping may not cross from one into the other. */
	assert_false(wr_ranges_hold(&ranges, 0, PAGE));
	assert_false(wr_ranges_hold(&ranges, PAGE, 2 * PAGE));
	assert_false(wr_ranges_hold(&ranges, TOP, TOP));
	assert_false(wr_ranges_hold(&none, 0, 0));
	assert_true(wr_ranges_hold(&everything, 0, TOP));
}

static void ranges_intersect(void **state)
{
	struct wr_ranges a = { 3, { { 0, 9 }, { 20, 29 }, { 40, TOP } } };
	const struct wr_ranges b = { 3, { { 5, 24 }, { 29, 39 }, { 50, TOP } } };
	const struct weir_iova_range both[] = { { 5, 9 }, { 20, 24 }, { 29, 29 }, { 50, TOP } };
	const struct wr_ranges none = { 0 };

	(void)state;
	wr_ranges_intersect(&a, &b);
	assert_ranges(&a, 4, both);
	wr_ranges_intersect(&a, &everything);
	assert_ranges(&a, 4, both);
	wr_ranges_intersect(&a, &none);
	assert_int_equal(a.n, 0);
	wr_ranges_intersect(&a, &b);
	assert_int_equal(a.n, 0);
}

/* More than there is room for: the rest is lost, and nothing that isn't in both comes in. */
static void too_many_ranges_lose_room_only(void **state)
{
	struct wr_ranges odd = { 0 }, even = { 0 }, all = { 1, { { 0, TOP } } };

	(void)state;
	for (weir_iova i = 0; i < 2 * WR_RANGES_MAX; i++)
		wr_ranges_add(i & 1 ? &odd : &even, i * 10, i * 10 + 9);
	assert_int_equal(odd.n, WR_RANGES_MAX);
	wr_ranges_add(&odd, TOP, TOP);
	assert_int_equal(odd.n, WR_RANGES_MAX);
	assert_false(wr_ranges_hold(&odd, TOP, TOP));
	wr_ranges_intersect(&even, &odd);
	assert_int_equal(even.n, 0);
	wr_ranges_intersect(&all, &odd);
	assert_int_equal(all.n, WR_RANGES_MAX);

	/* Each range of the one is cut into two by the other: 65 pieces would come of it. */
	even = (struct wr_ranges){ 0 };
	for (weir_iova i = 0; i < WR_RANGES_MAX; i++)
		wr_ranges_add(&even, i * 10 + 5, i * 10 + 14);
	all = (struct wr_ranges){ 0 };
	for (weir_iova i = 0; i < WR_RANGES_MAX; i++)
		wr_ranges_add(&all, i * 10, i * 10 + 9);
	wr_ranges_intersect(&even, &all);
	assert_int_equal(even.n, WR_RANGES_MAX);
	for (size_t i = 0; i < even.n; i++)
		assert_true(wr_ranges_hold(&all, even.r[i].first, even.r[i].last));
}

static void default_ranges_leave_out_interrupts(void **state)
{
	(void)state;
	assert_true(wr_ranges_hold(&wr_ranges_default, 0, 0x7ffffff));
	assert_false(wr_ranges_hold(&wr_ranges_default, 0x8000000, 0x8000000));
	assert_false(wr_ranges_hold(&wr_ranges_default, 0x80fffff, 0x80fffff));
	assert_true(wr_ranges_hold(&wr_ranges_default, 0x8100000, 0xfedfffff));
	assert_false(wr_ranges_hold(&wr_ranges_default, 0xfee00000, 0xfee00000));
	assert_false(wr_ranges_hold(&wr_ranges_default, 0xfeefffff, 0xfeefffff));
	assert_true(wr_ranges_hold(&wr_ranges_default, 0xfef00000, TOP));
}

/* ---- the choice ---- */

static int choose(const struct wr_maps *maps, const struct wr_ranges *ranges, uint64_t len,
		  uint64_t align, weir_iova limit, weir_iova *iova)
{
	*iova = 0;
	return wr_iova_find(maps, ranges, len, align, limit, iova);
}

static void lowest_free_iova_comes_first_and_is_never_0(void **state)
{
	struct wr_maps maps = { 0 };
	weir_iova iova;

	(void)state;
	assert_int_equal(choose(&maps, &everything, PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == PAGE);
	/* Where 0 is all there is, there is nothing. */
	assert_int_equal(choose(&maps, &everything, PAGE, PAGE, PAGE - 1, &iova), -ENOSPC);
	assert_int_equal(choose(&maps, &everything, PAGE, PAGE, 0, &iova), -ENOSPC);
	add(&maps, PAGE, PAGE);
	add(&maps, 3 * PAGE, PAGE);
	assert_int_equal(choose(&maps, &everything, PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == 2 * PAGE);
	assert_int_equal(choose(&maps, &everything, 2 * PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == 4 * PAGE);
	assert_int_equal(choose(&maps, &everything, PAGE, K64, TOP, &iova), 0);
	assert_true(iova == K64);
	wr_maps_free(&maps);
}

static void limits_are_of_the_last_byte(void **state)
{
	struct wr_maps maps = { 0 };
	weir_iova iova;

	(void)state;
	assert_int_equal(choose(&maps, &everything, PAGE, PAGE, 2 * PAGE - 1, &iova), 0);
	assert_true(iova == PAGE);
	assert_int_equal(choose(&maps, &everything, PAGE, PAGE, 2 * PAGE - 2, &iova), -ENOSPC);
	assert_int_equal(choose(&maps, &everything, 2 * PAGE, PAGE, 2 * PAGE - 1, &iova), -ENOSPC);
	assert_int_equal(choose(&maps, &everything, TOP, PAGE, TOP, &iova), -ENOSPC);
	assert_int_equal(choose(&maps, &everything, TOP - PAGE + 1, PAGE, TOP, &iova), 0);
	assert_true(iova == PAGE);
	assert_int_equal(choose(&maps, &everything, PAGE, 1ull << 63, TOP, &iova), 0);
	assert_true(iova == 1ull << 63);
	add(&maps, 1ull << 63, PAGE);
	assert_int_equal(choose(&maps, &everything, PAGE, 1ull << 63, TOP, &iova), -ENOSPC);
	wr_maps_free(&maps);
}

static void nothing_crosses_a_windows_end(void **state)
{
	const struct wr_ranges windows = { 3, { { 0, 4 * PAGE - 1 },
						{ 4 * PAGE, 6 * PAGE - 1 },
						{ 7 * PAGE + 1, TOP } } };
	struct wr_maps maps = { 0 };
	weir_iova iova;

	(void)state;
	assert_int_equal(choose(&maps, &windows, 3 * PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == PAGE);
	assert_int_equal(choose(&maps, &windows, 4 * PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == 8 * PAGE);
	add(&maps, 2 * PAGE, PAGE);
	assert_int_equal(choose(&maps, &windows, 2 * PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == 4 * PAGE);
	add(&maps, 4 * PAGE, 2 * PAGE);
	assert_int_equal(choose(&maps, &windows, 2 * PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == 8 * PAGE);
	assert_int_equal(choose(&maps, &windows, 2 * PAGE, PAGE, 10 * PAGE - 2, &iova), -ENOSPC);
	/* The last page of 64 bits. */
	add(&maps, 8 * PAGE, TOP - 9 * PAGE + 1);
	assert_int_equal(choose(&maps, &windows, PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == PAGE);
	add(&maps, PAGE, PAGE);
	add(&maps, 3 * PAGE, PAGE);
	assert_int_equal(choose(&maps, &windows, PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == TOP - PAGE + 1);
	add(&maps, iova, PAGE);
	assert_int_equal(choose(&maps, &windows, PAGE, PAGE, TOP, &iova), -ENOSPC);
	wr_maps_free(&maps);
}

static void exhaustion_ends(void **state)
{
	const struct wr_ranges small = { 1, { { 0, 64 * PAGE - 1 } } };
	struct wr_maps maps = { 0 };
	weir_iova iova;

	(void)state;
	for (weir_iova n = 1; n < 64; n++) {
		assert_int_equal(choose(&maps, &small, PAGE, PAGE, TOP, &iova), 0);
		assert_true(iova == n * PAGE);
		add(&maps, iova, PAGE);
	}
	assert_int_equal(choose(&maps, &small, PAGE, PAGE, TOP, &iova), -ENOSPC);
	wr_maps_remove(&maps, wr_maps_find(&maps, 33 * PAGE, 33 * PAGE));
	assert_int_equal(choose(&maps, &small, 2 * PAGE, PAGE, TOP, &iova), -ENOSPC);
	assert_int_equal(choose(&maps, &small, PAGE, PAGE, TOP, &iova), 0);
	assert_true(iova == 33 * PAGE);
	wr_maps_free(&maps);
}

/* ---- at random, against the plainest of allocators ---- */

#define PAGES 256u

static unsigned long long seed;

/* splitmix64 */
static unsigned int any(unsigned int below)
{
	unsigned long long z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (unsigned int)((z ^ z >> 31) % below);
}

/* 0: free; a mapping's pages have its number. Windows by page. */
struct reference {
	unsigned int owner[PAGES];
	unsigned int window[PAGES];	/* 0: in none */
	char *vaddr[PAGES];
};

static unsigned int reference_choose(const struct reference *r, unsigned int len,
				     unsigned int align, unsigned int limit)
{
	for (unsigned int at = align; at + len <= limit; at += align) {
		unsigned int n = 0;

		while (n < len && !r->owner[at + n] && r->window[at] &&
		       r->window[at + n] == r->window[at])
			n++;
		if (n == len)
			return at;
	}
	return 0;
}

static void random_windows(struct reference *r, struct wr_ranges *ranges)
{
	unsigned int window = 0;

	ranges->n = 0;
	for (unsigned int at = any(8); at < PAGES; at += any(3)) {
		unsigned int len = 1 + any(PAGES / 2);

		if (len > PAGES - at)
			len = PAGES - at;
		window++;
		wr_ranges_add(ranges, at * PAGE, (at + len) * PAGE - 1);
		for (unsigned int i = 0; i < len; i++)
			r->window[at++] = window;
	}
}

static void check_finds(const struct wr_maps *maps, const struct reference *r)
{
	for (int i = 0; i < 20; i++) {
		unsigned int first = any(PAGES), last = first + any(PAGES - first);
		const struct wr_mapping *m;

		m = wr_maps_find(maps, first * PAGE + any(PAGE), last * PAGE + PAGE - 1);
		while (first <= last && !r->owner[first])
			first++;
		if (first > last)
			assert_null(m);
		else
			assert_true(m->vaddr == r->vaddr[first] && m->age == r->owner[first]);
	}
}

static void one_random_run(unsigned int steps)
{
	struct reference r = { 0 };
	struct wr_maps maps = { 0 };
	struct wr_ranges ranges;

	random_windows(&r, &ranges);
	for (unsigned int step = 1; step <= steps; step++) {
		unsigned int len = 1 + any(12), align = 1u << any(5), limit = 1 + any(PAGES + 32);
		unsigned int expected = reference_choose(&r, len, align,
							 limit < PAGES ? limit : PAGES);
		const struct wr_mapping *m;
		weir_iova iova = 0;
		int ret;

		ret = wr_iova_find(&maps, &ranges, len * PAGE, align * PAGE, limit * PAGE - 1,
				   &iova);
		assert_int_equal(ret, expected ? 0 : -ENOSPC);
		assert_true(iova == expected * PAGE);
		if (!ret) {
			/* A different address for each, for telling them apart only. */
			char *vaddr = (char *)(uintptr_t)(step * 64 * PAGE);

			add_at(&maps, iova, len * PAGE, vaddr);
			for (unsigned int i = 0; i < len; i++) {
				r.owner[expected + i] = (unsigned int)maps.age;
				r.vaddr[expected + i] = vaddr;
			}
			m = wr_maps_find_vaddr(&maps, vaddr + len * PAGE - 1);
			assert_true(m->iova == iova);
		}
		if (any(3) && (m = wr_maps_find(&maps, any(PAGES) * PAGE, TOP))) {
			for (unsigned int i = 0; i < m->len / PAGE; i++)
				r.owner[m->iova / PAGE + i] = 0;
			wr_maps_remove(&maps, m);
		}
		check_finds(&maps, &r);
	}
	for (size_t i = 1; i < maps.n; i++)
		assert_true(maps.v[i - 1].iova + maps.v[i - 1].len <= maps.v[i].iova);
	wr_maps_free(&maps);
}

static void random_choices_match_the_reference(void **state)
{
	(void)state;
	seed = 20240229;
	for (int run = 0; run < 200; run++)
		one_random_run(200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map_finds_nothing),
		cmocka_unit_test(find_knows_bounds_to_the_byte),
		cmocka_unit_test(find_gives_the_lowest_of_neighbours),
		cmocka_unit_test(the_whole_space_is_one_mapping),
		cmocka_unit_test(memory_answers_with_its_oldest_mapping),
		cmocka_unit_test(ranges_hold_what_lies_in_one),
		cmocka_unit_test(ranges_intersect),
		cmocka_unit_test(too_many_ranges_lose_room_only),
		cmocka_unit_test(default_ranges_leave_out_interrupts),
		cmocka_unit_test(lowest_free_iova_comes_first_and_is_never_0),
		cmocka_unit_test(limits_are_of_the_last_byte),
		cmocka_unit_test(nothing_crosses_a_windows_end),
		cmocka_unit_test(exhaustion_ends),
		cmocka_unit_test(random_choices_match_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
