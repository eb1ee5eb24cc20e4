/* SPDX-License-Identifier: MIT */
/* Ranges of IOVAs, and the choice of a free one. */
#include "maps_rig.h"

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
		wr_ranges_add(&even, i * 10 + 5, i * 10 + 13);
	all = (struct wr_ranges){ 0 };
	for (weir_iova i = 0; i < WR_RANGES_MAX; i++)
		wr_ranges_add(&all, i * 10, i * 10 + 8);
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

static void lowest_free_iova_comes_first_and_is_never_0(void **state)
{
	struct wr_maps *maps = *state;

	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, PAGE);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, PAGE - 1, 0);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, 0, 0);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, 2 * PAGE - 1, PAGE);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, 2 * PAGE - 2, 0);
	add(maps, PAGE, PAGE);
	add(maps, 3 * PAGE, PAGE);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 2 * PAGE);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, TOP, 4 * PAGE);
	assert_choice(maps, PAGE, WR_SPACE_2M, TOP, MB2);
	assert_choice(maps, PAGE, WR_SPACE_1G, TOP, GB);
	assert_choice(maps, PAGE, WR_SPACE_1G, GB + PAGE - 2, 0);
	assert_choice(maps, TOP, WR_SPACE_PAGE, TOP, 0);
	/* Page 0 can be had by asking for it, and is nobody's again afterwards. */
	add(maps, 0, PAGE);
	remove_at(maps, 0);
	remove_at(maps, PAGE);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, PAGE);
	add(maps, 0, 3 * PAGE);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 4 * PAGE);
	remove_at(maps, 0);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, TOP, PAGE);
}

static void nothing_crosses_a_windows_end(void **state)
{
	const struct wr_ranges windows = { 3, { { 0, 4 * PAGE - 1 },
						{ 4 * PAGE, 6 * PAGE - 1 },
						{ 7 * PAGE + 1, TOP } } };
	struct wr_maps *maps = *state;

	assert_int_equal(wr_maps_set_ranges(maps, &windows), 0);
	assert_choice(maps, 3 * PAGE, WR_SPACE_PAGE, TOP, PAGE);
	assert_choice(maps, 4 * PAGE, WR_SPACE_PAGE, TOP, 8 * PAGE);
	add(maps, 2 * PAGE, PAGE);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, TOP, 4 * PAGE);
	add(maps, 4 * PAGE, 2 * PAGE);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, TOP, 8 * PAGE);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, 10 * PAGE - 2, 0);
	/* Nor does it once the windows were in use. */
	remove_at(maps, 2 * PAGE);
	remove_at(maps, 4 * PAGE);
	assert_choice(maps, 4 * PAGE, WR_SPACE_PAGE, TOP, 8 * PAGE);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, 6 * PAGE - 1, PAGE);
	add(maps, PAGE, 2 * PAGE);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, TOP, 4 * PAGE);
}

static void parts_of_pages_and_nothing_at_all(void **state)
{
	const struct wr_ranges odd = { 3, { { 5, PAGE + 7 }, { 2 * PAGE - 1, 3 * PAGE - 1 },
					    { TOP - 5, TOP } } };
	const struct wr_ranges none = { 0 }, page_0 = { 1, { { 0, PAGE - 1 } } };
	struct wr_maps *maps = *state;

	assert_int_equal(wr_maps_set_ranges(maps, &odd), 0);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 2 * PAGE);
	add(maps, 2 * PAGE, PAGE);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 0);
	remove_at(maps, 2 * PAGE);
	assert_int_equal(wr_maps_set_ranges(maps, &none), 0);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 0);
	assert_int_equal(wr_maps_set_ranges(maps, &page_0), 0);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 0);
	add(maps, 0, PAGE);
	remove_at(maps, 0);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 0);
}

/* Mappings stay where they are; what of them was in a range becomes free, and nothing else. */
static void ranges_change_under_mappings(void **state)
{
	struct wr_ranges many = { 0 };
	struct wr_maps *maps = *state;

	add(maps, PAGE, GB);
	add(maps, 0 - GB, GB);
	for (weir_iova i = 0; i < WR_RANGES_MAX; i++)
		wr_ranges_add(&many, 4 * i * PAGE, (4 * i + 3) * PAGE - 1);
	assert_int_equal(wr_maps_set_ranges(maps, &many), 0);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 0);
	remove_at(maps, 0 - GB);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 0);
	remove_at(maps, PAGE);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, TOP, PAGE);
	assert_choice(maps, 3 * PAGE, WR_SPACE_PAGE, TOP, 4 * PAGE);
	assert_choice(maps, 4 * PAGE, WR_SPACE_PAGE, TOP, 0);
	/* Fixed and automatic ones together, until nothing is left. */
	for (weir_iova i = 1; i < WR_RANGES_MAX; i += 2)
		add(maps, 4 * i * PAGE, 3 * PAGE);
	for (weir_iova i = 2; i < WR_RANGES_MAX; i += 2) {
		assert_choice(maps, 3 * PAGE, WR_SPACE_PAGE, TOP, 4 * i * PAGE);
		add(maps, 4 * i * PAGE, 3 * PAGE);
	}
	assert_choice(maps, 3 * PAGE, WR_SPACE_PAGE, TOP, 0);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, TOP, PAGE);
	assert_int_equal(wr_maps_set_ranges(maps, &everything), 0);
	assert_choice(maps, 3 * PAGE, WR_SPACE_PAGE, TOP, PAGE);
	assert_choice(maps, 4 * PAGE, WR_SPACE_PAGE, TOP, 4 * WR_RANGES_MAX * PAGE - PAGE);
	remove_at(maps, 8 * PAGE);
	assert_choice(maps, 5 * PAGE, WR_SPACE_PAGE, TOP, 7 * PAGE);
}

static void exhaustion_ends(void **state)
{
	const struct wr_ranges small = { 1, { { 0, 64 * PAGE - 1 } } };
	struct wr_maps *maps = *state;

	assert_int_equal(wr_maps_set_ranges(maps, &small), 0);
	for (weir_iova n = 1; n < 64; n++) {
		assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, n * PAGE);
		add(maps, n * PAGE, PAGE);
	}
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 0);
	remove_at(maps, 33 * PAGE);
	assert_choice(maps, 2 * PAGE, WR_SPACE_PAGE, TOP, 0);
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 33 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ranges_hold_what_lies_in_one),
		TEST(ranges_intersect),
		TEST(too_many_ranges_lose_room_only),
		TEST(default_ranges_leave_out_interrupts),
		TEST(lowest_free_iova_comes_first_and_is_never_0),
		TEST(nothing_crosses_a_windows_end),
		TEST(parts_of_pages_and_nothing_at_all),
		TEST(ranges_change_under_mappings),
		TEST(exhaustion_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
