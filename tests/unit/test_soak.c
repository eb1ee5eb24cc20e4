/* SPDX-License-Identifier: MIT */
/*
 * The mixed load of load.h, and a driver at its device, for WEIR_TEST_SECONDS: neither memory nor
 * fds may grow once all of it has run for a while.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "drivers/edu/edu.h"
#include "growth.h"
#include "load.h"

#define OPS 50000	/* of a round */

/* A page lost in each round is more after two minutes at most. */
#define SLACK (4ul << 20)

static unsigned long long seed;

static void drive_edu(void)
{
	const struct weir_device_opts opts = { .dma_bits = EDU_DMA_BITS };
	struct weir_device *dev;
	struct weir_mem *mem;
	uint32_t result;
	struct edu *edu;
	char *bytes;

	assert_int_equal(weir_device_open(NULL, "soft:edu", &opts, &dev), 0);
	assert_int_equal(edu_open(dev, &edu), 0);
	assert_int_equal(weir_mem_alloc(weir_device_ioas(dev), 4096, NULL, &mem), 0);
	assert_true(edu_irq_enable(edu) >= 0);
	bytes = weir_mem_ptr(mem);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(edu_factorial(edu, 5 + i % 5, &result), 0);
		memset(bytes, (int)i, 2048);
		assert_int_equal(edu_write(edu, bytes, 1024, 0), 0);
		assert_int_equal(edu_read(edu, bytes + 2048, 1024, 0), 0);
		assert_memory_equal(bytes, bytes + 2048, 1024);
	}
	assert_int_equal(edu_irq_disable(edu), 0);
	assert_int_equal(edu_close(edu), 0);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(weir_device_close(dev), 0);
}

static void nothing_grows(void **state)
{
	struct growth memory = { .what = "memory that is resident", .slack = SLACK };
	double seconds = load_seconds(5), begin = load_now();
	unsigned int fds = growth_open_fds();
	unsigned long rounds = 0;
	size_t now;

	(void)state;
	for (; load_now() < begin + seconds || rounds < 5; rounds++) {
		load_alone(seed + 2 * rounds, OPS);
		load_together(seed + 2 * rounds + 1, OPS);
		drive_edu();
		now = growth_resident();
		assert_true(now);
		if (!growth_look(&memory, now,
				 load_now() < begin + seconds * GROWTH_WARM_UP || rounds < 2))
			fail_msg("round %lu: %zu KiB resident, %zu after warming up", rounds,
				 now >> 10, memory.warm >> 10);
		assert_int_equal(growth_open_fds(), fds);
	}
	printf("# soak: %lu rounds, %zu KiB resident after warming up, %zu at most since\n", rounds,
	       memory.warm >> 10, memory.most >> 10);
	fflush(stdout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_grows),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	seed = load_seed();
	printf("# soak: WEIR_TEST_SEED=%llu\n", seed);
	fflush(stdout);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
