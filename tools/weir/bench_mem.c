/* SPDX-License-Identifier: MIT */
/*
 * weir bench: memory for DMA, faulted in by several threads, beside as many that do only that, each
 * its share.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"
#include "out.h"

#define LEN		(128 * MB)
#define THREADS		16u	/* at most, as weir_mem_alloc() chooses by itself */

struct share {
	pthread_t thread;
	char *start;
	size_t len;
};

static double mem_alloc(void *arg)
{
	double start = bench_now();
	struct weir_mem *mem;

	bench_must(weir_mem_alloc(arg, LEN, NULL, &mem));
	bench_must(weir_mem_free(mem));
	return (bench_now() - start) / (LEN / PAGE);
}

static void *populate(void *arg)
{
	struct share *s = arg;

	if (madvise(s->start, s->len, MADV_POPULATE_WRITE))
		exit(fail("this kernel can't be asked to fault memory in"));
	return NULL;
}

static unsigned int processors(void)
{
	unsigned int n = 1;
	cpu_set_t set;

	if (!sched_getaffinity(0, sizeof(set), &set))
		n = (unsigned int)CPU_COUNT(&set);
	return n < THREADS ? n : THREADS;
}

static double bare_threads(void *arg)
{
	unsigned int n = processors();
	struct share shares[THREADS];
	double start = bench_now();
	char *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (mem == MAP_FAILED)
		exit(fail("no %lu MiB of memory", LEN / MB));
	for (unsigned int i = 0; i < n; i++) {
		size_t first = LEN / PAGE * i / n * PAGE, end = LEN / PAGE * (i + 1) / n * PAGE;

		shares[i] = (struct share){ .start = mem + first, .len = end - first };
		if (i && pthread_create(&shares[i].thread, NULL, populate, &shares[i]))
			exit(fail("no thread can be made"));
	}
	populate(&shares[0]);
	for (unsigned int i = 1; i < n; i++)
		pthread_join(shares[i].thread, NULL);
	munmap(mem, LEN);
	return (bench_now() - start) / (LEN / PAGE);
}

void bench_prefault(void)
{
	struct weir_ioas *as;

	bench_must(weir_ioas_open(NULL, &as));
	bench_add("prefault", "128 MiB, a page", "ns", mem_alloc, bare_threads, as);
}
