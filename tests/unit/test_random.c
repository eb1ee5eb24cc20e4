/* SPDX-License-Identifier: MIT */
/* Random operations on an address space, held against a plain list: see load.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "load.h"

#define OPS 100000		/* unless the environment says how many */
#define ROUND 50000		/* between two looks at the clock */

static unsigned long long seed;

/* Several address spaces after one another, so that the beginning is met often, too. */
static void run(void (*load)(unsigned long long seed, unsigned long ops))
{
	double seconds = load_seconds(0), end = load_now() + seconds;
	unsigned long left = load_ops(OPS);

	for (unsigned long long i = 0; seconds > 0 ? load_now() < end : left; i++) {
		unsigned long ops = seconds > 0 || left > ROUND ? ROUND : left;

		load(seed + 1000 * i, ops);
		left -= seconds > 0 ? 0 : ops;
	}
}

static void one_thread_knows_all(void **state)
{
	(void)state;
	run(load_alone);
}

static void threads_know_their_own(void **state)
{
	(void)state;
	run(load_together);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thread_knows_all),
		cmocka_unit_test(threads_know_their_own),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	seed = load_seed();
	printf("# random: WEIR_TEST_SEED=%llu\n", seed);
	fflush(stdout);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
