/* SPDX-License-Identifier: MIT */
/* weir bench: memory for DMA, faulted in by several threads, beside one that does only that. */
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"
#include "out.h"

#define LEN	(128 * MB)

static double mem_alloc(void *arg)
{
	double start = bench_now();
	struct weir_mem *mem;

	bench_must(weir_mem_alloc(arg, LEN, NULL, &mem));
	bench_must(weir_mem_free(mem));
	return (bench_now() - start) / (LEN / PAGE);
}

static double populate(void *arg)
{
	double start = bench_now();
	void *mem = bench_memory(LEN);

	(void)arg;
	munmap(mem, LEN);
	return (bench_now() - start) / (LEN / PAGE);
}

void bench_prefault(void)
{
	struct weir_ioas *as;

	bench_must(weir_ioas_open(NULL, &as));
	bench_add("prefault", "128 MiB, a page", "ns", mem_alloc, populate, as);
}
