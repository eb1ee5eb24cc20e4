/* SPDX-License-Identifier: MIT */
/* weir bench: map and unmap. Without a device there is nothing of the kernel's in it. */
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"
#include "out.h"

struct mapping {
	struct weir_ioas *as;
	char *mem;
	size_t size;
};

static double map_unmap(void *arg)
{
	struct mapping *m = arg;
	double start = bench_now();
	weir_iova iova;

	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		bench_must(weir_ioas_map(m->as, m->mem, m->size, NULL, &iova));
		bench_must(weir_ioas_unmap(m->as, iova, m->size));
	}
	return (bench_now() - start) / BENCH_QUERIES;
}

/* Two calls that lock something can't be had for less. */
static double lock_twice(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	double start = bench_now();

	(void)arg;
	for (unsigned int i = 0; i < 2 * BENCH_QUERIES; i++) {
		pthread_mutex_lock(&lock);
		bench_sink++;
		pthread_mutex_unlock(&lock);
	}
	return (bench_now() - start) / BENCH_QUERIES;
}

/* With @n mappings of a page alive; @holes: every other one of them is unmapped again. */
static struct mapping *mapping_beside(size_t n, size_t size, bool holes)
{
	struct mapping *m = malloc(sizeof(*m));
	weir_iova *iovas = malloc(n * sizeof(*iovas));
	char *mem;

	if (!m || !iovas)
		exit(fail("no memory for %zu mappings", n));
	bench_must(weir_ioas_open(NULL, &m->as));
	mem = bench_reserve(2 * n * PAGE);
	for (size_t i = 0; i < n; i++)
		bench_must(weir_ioas_map(m->as, mem + 2 * i * PAGE, PAGE, NULL, &iovas[i]));
	for (size_t i = 0; holes && i < n; i += 2)
		bench_must(weir_ioas_unmap(m->as, iovas[i], PAGE));
	free(iovas);
	m->mem = bench_reserve(size);
	m->size = size;
	return m;
}

void bench_map(void)
{
	static const struct {
		const char *name;
		size_t n, size;
		bool holes;
	} cases[] = {
		{ "4 KiB beside 4096", 4096, PAGE, false },
		{ "4 KiB beside 1000000", 1000000, PAGE, false },
		{ "8 KiB, 8192 holes of 4 KiB", 16384, 2 * PAGE, true },
		{ "2 MiB beside 4096", 4096, 2 * MB, false },
		{ "1 GiB beside 4096", 4096, GB, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		bench_add("map", cases[i].name, "ns", map_unmap, lock_twice,
			  mapping_beside(cases[i].n, cases[i].size, cases[i].holes));
}
