/* SPDX-License-Identifier: MIT */
/*
 * The mixed load of load.h, and a driver at its device, for WEIR_TEST_SECONDS: neither memory nor
 * fds may grow once all of it has run for a while.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "drivers/edu/edu.h"
#include "load.h"

#define OPS 50000		/* of a round */
#define FDS_MAX 1024
#define WARM_UP 0.2		/* of the time */

/*
 * By how much rounds may differ in what stays in the heap. A page lost in each of them is more
 * after two minutes at most.
 */
#define GROWTH (4ul << 20)

static unsigned long long seed;

/* Bytes resident now. */
static size_t resident(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%*u %lu", &pages), 1);
	fclose(statm);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < FDS_MAX; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

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
	double seconds = load_seconds(5), begin = load_now();
	size_t warm = 0, most = 0, now;
	unsigned int fds = open_fds();
	unsigned long rounds = 0;

	(void)state;
	for (; load_now() < begin + seconds || rounds < 5; rounds++) {
		load_alone(seed + 2 * rounds, OPS);
		load_together(seed + 2 * rounds + 1, OPS);
		drive_edu();
		now = resident();
		if (load_now() < begin + seconds * WARM_UP || rounds < 2) {
			warm = now > warm ? now : warm;
			continue;
		}
		most = now > most ? now : most;
		if (now > warm + GROWTH)
			fail_msg("round %lu: %zu KiB resident, %zu after warming up", rounds,
				 now >> 10, warm >> 10);
		assert_int_equal(open_fds(), fds);
	}
	printf("# soak: %lu rounds, %zu KiB resident after warming up, %zu at most since\n", rounds,
	       warm >> 10, most >> 10);
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
