/* SPDX-License-Identifier: MIT */
/* Free extents of IOVAs, against the plainest of allocators. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/space.h"
#include "tests/chance.h"

#define PAGE 4096ull
#define MB2 (2ull << 20)
#define GB (1ull << 30)
#define TOP UINT64_MAX

static const uint64_t aligns[WR_SPACE_ALIGNS] = { PAGE, MB2, GB };

/* ---- the checker ---- */

struct seen {
	size_t nodes, extents;
	uint64_t last;			/* of the extent before */
	bool any;
};

static uint64_t fit_of(uint64_t first, uint64_t last, unsigned int align)
{
	uint64_t mask = aligns[align] - 1, start;

	if (first > UINT64_MAX - mask)
		return 0;
	start = (first + mask) & ~mask;
	if (start > last)
		return 0;
	return last - start < WR_SPACE_FIT_MAX ? last - start + 1 : WR_SPACE_FIT_MAX;
}

static void check_node(const struct wr_space_node *node, unsigned int height, bool is_root,
		       struct seen *seen)
{
	seen->nodes++;
	assert_true(node->n <= WR_SPACE_FAN);
	assert_true(node->n || is_root);
	for (unsigned int i = 0; i < node->n; i++) {
		for (unsigned int a = 0; a < WR_SPACE_ALIGNS; a++) {
			uint64_t most = 0;

			if (!height)
				most = fit_of(node->first[i], node->last[i], a);
			for (unsigned int j = 0; height && j < node->child[i]->n; j++)
				if (node->child[i]->fit[a][j] > most)
					most = node->child[i]->fit[a][j];
			assert_true(node->fit[a][i] == most);
		}
		if (height) {
			assert_true(node->first[i] == node->child[i]->first[0]);
			check_node(node->child[i], height - 1, false, seen);
			continue;
		}
		assert_true(node->first[i] <= node->last[i]);
		assert_true(!seen->any || node->first[i] > seen->last);
		seen->last = node->last[i];
		seen->any = true;
		seen->extents++;
	}
}

static struct seen check(const struct wr_space *s)
{
	struct seen seen = { 0 };
	size_t spares = 0;

	if (s->root)
		check_node(s->root, s->height, true, &seen);
	assert_true(!s->height || s->root->n > 1);
	for (struct wr_space_node *node = s->spare; node; node = node->child[0])
		spares++;
	assert_int_equal(spares, s->spares);
	assert_int_equal(seen.nodes + spares, s->nodes);
	return seen;
}

static void give(struct wr_space *s, uint64_t first, uint64_t last)
{
	assert_int_equal(wr_space_reserve(s, 1), 0);
	wr_space_give(s, first, last, 0, TOP);
}

static void take(struct wr_space *s, uint64_t first, uint64_t last)
{
	assert_int_equal(wr_space_reserve(s, 1), 0);
	assert_true(wr_space_is_free(s, first, last));
	wr_space_take(s, first, last);
	assert_false(wr_space_is_free(s, first, last));
}

static void assert_found(const struct wr_space *s, uint64_t len, enum wr_space_align align,
			 uint64_t limit, uint64_t expected)
{
	uint64_t start = 7;
	int ret = wr_space_find(s, len, align, limit, &start);

	assert_int_equal(ret, expected ? 0 : -ENOSPC);
	assert_true(start == (expected ? expected : 7));
}

/* ---- edges ---- */

static void empty_space_has_nothing(void **state)
{
	struct wr_space s;

	(void)state;
	wr_space_init(&s);
	assert_found(&s, PAGE, WR_SPACE_PAGE, TOP, 0);
	assert_false(wr_space_is_free(&s, PAGE, PAGE));
	assert_int_equal(wr_space_reserve(&s, 1), 0);
	assert_found(&s, PAGE, WR_SPACE_1G, TOP, 0);
	assert_false(wr_space_is_free(&s, 0, TOP));
	check(&s);
	wr_space_free(&s);
	assert_int_equal(s.nodes, 0);
}

static void ends_are_to_the_byte(void **state)
{
	struct wr_space s;

	(void)state;
	wr_space_init(&s);
	give(&s, 2 * PAGE, 4 * PAGE - 1);
	assert_true(wr_space_is_free(&s, 2 * PAGE, 4 * PAGE - 1));
	assert_false(wr_space_is_free(&s, 2 * PAGE - 1, 2 * PAGE));
	assert_false(wr_space_is_free(&s, 4 * PAGE - 1, 4 * PAGE));
	assert_false(wr_space_is_free(&s, 0, 0));
	assert_found(&s, 2 * PAGE, WR_SPACE_PAGE, 4 * PAGE - 1, 2 * PAGE);
	assert_found(&s, 2 * PAGE, WR_SPACE_PAGE, 4 * PAGE - 2, 0);
	assert_found(&s, 2 * PAGE + 1, WR_SPACE_PAGE, TOP, 0);
	assert_found(&s, PAGE, WR_SPACE_PAGE, 0, 0);
	assert_found(&s, TOP, WR_SPACE_PAGE, TOP, 0);
	wr_space_free(&s);
}

static void the_top_is_usable(void **state)
{
	struct wr_space s;

	(void)state;
	wr_space_init(&s);
	give(&s, PAGE, TOP);
	assert_found(&s, TOP - PAGE + 1, WR_SPACE_PAGE, TOP, PAGE);
	assert_found(&s, TOP, WR_SPACE_PAGE, TOP, 0);
	assert_found(&s, PAGE, WR_SPACE_1G, TOP, GB);
	take(&s, PAGE, TOP - PAGE);
	assert_found(&s, PAGE, WR_SPACE_PAGE, TOP, TOP - PAGE + 1);
	assert_found(&s, PAGE, WR_SPACE_PAGE, TOP - 1, 0);
	/* Where rounding up goes beyond the last byte there is. */
	assert_found(&s, PAGE, WR_SPACE_2M, TOP, 0);
	assert_found(&s, PAGE, WR_SPACE_1G, TOP, 0);
	take(&s, TOP - PAGE + 1, TOP);
	assert_int_equal(check(&s).extents, 0);
	give(&s, TOP - PAGE + 1, TOP);
	give(&s, TOP - 2 * PAGE + 1, TOP - PAGE);
	assert_int_equal(check(&s).extents, 1);
	assert_found(&s, 2 * PAGE, WR_SPACE_PAGE, TOP, TOP - 2 * PAGE + 1);
	wr_space_free(&s);
}

static void alignment_skips_to_the_next_boundary(void **state)
{
	struct wr_space s;

	(void)state;
	wr_space_init(&s);
	give(&s, PAGE, MB2 + PAGE - 1);
	give(&s, 2 * MB2 + PAGE, 4 * MB2 - 1);
	give(&s, GB - PAGE, 2 * GB + PAGE - 1);
	assert_found(&s, PAGE, WR_SPACE_2M, TOP, MB2);
	assert_found(&s, 2 * PAGE, WR_SPACE_2M, TOP, 3 * MB2);
	assert_found(&s, MB2, WR_SPACE_2M, TOP, 3 * MB2);
	assert_found(&s, MB2 + PAGE, WR_SPACE_2M, TOP, GB);
	assert_found(&s, PAGE, WR_SPACE_1G, TOP, GB);
	assert_found(&s, GB + PAGE, WR_SPACE_1G, TOP, GB);
	assert_found(&s, GB + PAGE, WR_SPACE_1G, 2 * GB + PAGE - 2, 0);
	assert_found(&s, GB + 2 * PAGE, WR_SPACE_1G, TOP, 0);
	assert_found(&s, GB + 2 * PAGE, WR_SPACE_PAGE, TOP, GB - PAGE);
	wr_space_free(&s);
}

static void bounds_keep_neighbours_apart(void **state)
{
	struct wr_space s;

	(void)state;
	wr_space_init(&s);
	give(&s, PAGE, 2 * PAGE - 1);
	give(&s, 3 * PAGE, 4 * PAGE - 1);
	assert_int_equal(wr_space_reserve(&s, 1), 0);
	wr_space_give(&s, 2 * PAGE, 3 * PAGE - 1, 2 * PAGE, 3 * PAGE - 1);
	assert_int_equal(check(&s).extents, 3);
	assert_false(wr_space_is_free(&s, PAGE, 3 * PAGE - 1));
	assert_found(&s, 2 * PAGE, WR_SPACE_PAGE, TOP, 0);
	take(&s, 2 * PAGE, 3 * PAGE - 1);
	assert_int_equal(wr_space_reserve(&s, 1), 0);
	wr_space_give(&s, 2 * PAGE, 3 * PAGE - 1, PAGE, 3 * PAGE - 1);
	assert_int_equal(check(&s).extents, 2);
	assert_true(wr_space_is_free(&s, PAGE, 3 * PAGE - 1));
	take(&s, 2 * PAGE, 3 * PAGE - 1);
	assert_int_equal(wr_space_reserve(&s, 1), 0);
	wr_space_give(&s, 2 * PAGE, 3 * PAGE - 1, 2 * PAGE, TOP);
	assert_int_equal(check(&s).extents, 2);
	assert_true(wr_space_is_free(&s, 2 * PAGE, 4 * PAGE - 1));
	wr_space_free(&s);
}

/* Several levels, filled and emptied from either end and from the middle. */
static void many_extents_come_and_go(void **state)
{
	enum { N = 40000 };
	size_t most = 0;
	struct wr_space s;

	(void)state;
	wr_space_init(&s);
	for (int way = 0; way < 3; way++) {
		for (uint64_t i = 0; i < N; i++) {
			uint64_t at = way == 0 ? i : way == 1 ? N - 1 - i : i * 17 % N;

			give(&s, (2 * at + 1) * PAGE, (2 * at + 2) * PAGE - 1);
		}
		assert_int_equal(check(&s).extents, N);
		assert_true(s.height > 1);
		assert_found(&s, 2 * PAGE, WR_SPACE_PAGE, TOP, 0);
		most = s.nodes > most ? s.nodes : most;
		for (uint64_t i = 0; i < N; i++) {
			uint64_t at = way == 1 ? i : way == 0 ? N - 1 - i : i * 23 % N;

			take(&s, (2 * at + 1) * PAGE, (2 * at + 2) * PAGE - 1);
		}
		assert_int_equal(check(&s).extents, 0);
		assert_int_equal(s.height, 0);
	}
	assert_true(s.nodes == most && most < N / 8);
	wr_space_free(&s);
}

static void enough_is_reserved_for_several_changes(void **state)
{
	struct wr_space s;

	(void)state;
	for (uint64_t before = 0; before < 40; before++) {
		wr_space_init(&s);
		for (uint64_t i = 0; i < before; i++)
			give(&s, (2 * i + 1) * PAGE, (2 * i + 2) * PAGE - 1);
		assert_int_equal(wr_space_reserve(&s, 64), 0);
		for (uint64_t i = before; i < before + 64; i++)
			wr_space_give(&s, (2 * i + 1) * PAGE, (2 * i + 2) * PAGE - 1, 0, TOP);
		assert_int_equal(check(&s).extents, before + 64);
		wr_space_free(&s);
	}
}

/* ---- at random ---- */

#define UNITS 2048u

static uint64_t seed;

static unsigned int any(unsigned int below)
{
	return (unsigned int)chance(&seed, below);
}

struct reference {
	uint64_t base, unit;
	bool is_free[UNITS];
};

/* The lowest place from @from on, or UNITS. */
static unsigned int lowest(const struct reference *r, unsigned int from, unsigned int len,
			   uint64_t align, unsigned int limit)
{
	unsigned int run = 0;

	/* From the top, for then the free run behind each unit is known. */
	unsigned int found = UNITS;

	for (unsigned int i = limit; i-- > from;) {
		run = r->is_free[i] ? run + 1 : 0;
		if (run >= len && (r->base + i * r->unit) % align == 0)
			found = i;
	}
	return found;
}

static void mark(struct reference *r, unsigned int at, unsigned int len, bool is_free)
{
	for (unsigned int i = 0; i < len; i++) {
		assert_true(r->is_free[at + i] != is_free);
		r->is_free[at + i] = is_free;
	}
}

static unsigned int same(const struct reference *r, unsigned int at, unsigned int most)
{
	unsigned int n = 1;

	while (n < most && at + n < UNITS && r->is_free[at + n] == r->is_free[at])
		n++;
	return n;
}

/* The other search takes any alignment, and begins anywhere, between pages too. */
static void look_from(const struct wr_space *s, const struct reference *r)
{
	unsigned int from = any(UNITS), len = 1 + any(any(8) ? 6 : 200), at;
	unsigned int limit = any(4) ? UNITS : 1 + any(UNITS);
	uint64_t align = r->unit << any(12), into = any(2) ? any(4096) : 0, start;
	uint64_t last = r->base + (limit * r->unit - 1);

	at = lowest(r, from + (into > 0), len, align, limit);
	if (wr_space_find_from(s, r->base + from * r->unit + into, len * r->unit, align, last,
			       &start))
		assert_true(at == UNITS);
	else
		assert_true(at < UNITS && start == r->base + at * r->unit);
}

static void one_step(struct wr_space *s, struct reference *r)
{
	unsigned int at, len = 1 + any(any(8) ? 6 : 200), limit = any(4) ? UNITS : any(UNITS + 1);
	enum wr_space_align align = (enum wr_space_align)any(WR_SPACE_ALIGNS);
	uint64_t start, last = r->base + (limit * r->unit - 1);

	at = limit ? lowest(r, 0, len, aligns[align], limit) : UNITS;
	if (wr_space_find(s, len * r->unit, align, last, &start)) {
		assert_true(at == UNITS);
	} else {
		assert_true(at < UNITS && start == r->base + at * r->unit);
		if (any(3)) {
			take(s, start, start + (len * r->unit - 1));
			mark(r, at, len, false);
		}
	}
	look_from(s, r);
	at = any(UNITS);
	len = same(r, at, 1 + any(12));
	start = r->base + at * r->unit;
	last = start + (len * r->unit - 1);
	assert_true(wr_space_is_free(s, start, last) == r->is_free[at]);
	if (!r->is_free[at])
		give(s, start, last);
	else if (!any(4))
		take(s, start, last);
	else
		return;
	mark(r, at, len, !r->is_free[at]);
}

static void random_steps_match_the_reference(void **state)
{
	static const uint64_t units[] = { PAGE, 256 * 1024, 128ull << 20 };
	static struct reference r;
	struct wr_space s;

	(void)state;
	seed = 20240301;
	for (int run = 0; run < 24; run++) {
		memset(&r, 0, sizeof(r));
		r.unit = units[run % 3];
		r.base = run % 2 ? 0 - UNITS * r.unit :
			 3 * GB - 700 * (r.unit < GB / 8 ? r.unit : 0);
		wr_space_init(&s);
		assert_int_equal(wr_space_reserve(&s, 1), 0);
		for (int step = 0; step < 10000; step++) {
			one_step(&s, &r);
			if (step % 64 == 0)
				check(&s);
		}
		for (unsigned int at = 0, len; at < UNITS; at += len) {
			len = same(&r, at, UNITS);
			assert_true(wr_space_is_free(&s, r.base + at * r.unit,
						     r.base + (at + len) * r.unit - 1) ==
				    r.is_free[at]);
		}
		wr_space_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_space_has_nothing),
		cmocka_unit_test(ends_are_to_the_byte),
		cmocka_unit_test(the_top_is_usable),
		cmocka_unit_test(alignment_skips_to_the_next_boundary),
		cmocka_unit_test(bounds_keep_neighbours_apart),
		cmocka_unit_test(many_extents_come_and_go),
		cmocka_unit_test(enough_is_reserved_for_several_changes),
		cmocka_unit_test(random_steps_match_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
