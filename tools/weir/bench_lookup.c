/* SPDX-License-Identifier: MIT */
/* weir bench: memory to IOVA, for an address and for a buffer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "out.h"

#define BATCH	256u		/* addresses a call: a MiB */

static double lookup_each(void *arg)
{
	struct lookup *l = arg;
	double start = bench_now();
	weir_iova iova = 0;

	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		weir_ioas_to_iova(l->as, l->queries[i], &iova, NULL);
		bench_sink += iova;
	}
	return (bench_now() - start) / BENCH_QUERIES;
}

static double lookup_batch(void *arg)
{
	struct lookup *l = arg;
	double start = bench_now();
	weir_iova iovas[BATCH];

	for (unsigned int i = 0; i < BENCH_QUERIES; i += BATCH) {
		weir_ioas_to_iovas(l->as, (const void *const *)&l->queries[i], iovas, BATCH);
		bench_sink += iovas[BATCH - 1];
	}
	return (bench_now() - start) / BENCH_QUERIES;
}

static double lookup_len(void *arg)
{
	struct lookup *l = arg;
	double start = bench_now();
	weir_iova iova = 0;
	size_t len = 0;

	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		weir_ioas_to_iova(l->as, l->queries[i], &iova, &len);
		bench_sink += iova + len;
	}
	return (bench_now() - start) / BENCH_QUERIES;
}

/* Each needs the one before. */
static double lookup_chain(void *arg)
{
	struct lookup *l = arg;
	double start = bench_now();
	weir_iova iova = 0;

	for (unsigned int i = 0; i < BENCH_QUERIES; i++)
		weir_ioas_to_iova(l->as, l->queries[(i + (iova & 1)) % BENCH_QUERIES], &iova, NULL);
	bench_sink += iova;
	return (bench_now() - start) / BENCH_QUERIES;
}

static double load_each(void *arg)
{
	struct lookup *l = arg;
	double start = bench_now();

	for (unsigned int i = 0; i < BENCH_QUERIES; i++)
		bench_sink += *(volatile uint64_t *)&l->lines[l->where[i]];
	return (bench_now() - start) / BENCH_QUERIES;
}

static double load_chain(void *arg)
{
	struct lookup *l = arg;
	double start = bench_now();
	uint64_t value = 0;

	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		uint32_t where = l->where[(i + (value & 1)) % BENCH_QUERIES];

		value = *(volatile uint64_t *)&l->lines[where];
	}
	bench_sink += value;
	return (bench_now() - start) / BENCH_QUERIES;
}

/*
 * As little as any call can do that answers a look-up by one load: out of line, as calls into a
 * library are, with the same arguments and the same answer.
 */
static int one_load(const struct lookup *l, uint32_t where, weir_iova *iova, size_t *len)
{
	uint64_t entry = *(volatile uint64_t *)&l->lines[where];

	if (!entry || len)
		return -ENOENT;
	*iova = (entry & ~0xfffull) + where;
	return 0;
}

static double call_each(void *arg)
{
	static int (*volatile call)(const struct lookup *, uint32_t, weir_iova *, size_t *) =
		one_load;
	struct lookup *l = arg;
	double start = bench_now();
	weir_iova iova = 0;

	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		call(l, l->where[i], &iova, NULL);
		bench_sink += iova;
	}
	return (bench_now() - start) / BENCH_QUERIES;
}

/* @n mappings of these sizes by turns, each followed by a gap; @entries: words of the limit. */
static struct lookup *lookup_over(size_t n, const size_t *sizes, size_t n_sizes, size_t gap,
				  size_t entries)
{
	struct lookup *l = malloc(sizeof(*l));
	char **starts = malloc(n * sizeof(*starts)), *at;
	uint64_t random = 88172645463325252ull;
	size_t span = n * (sizes[n_sizes - 1] + gap);
	weir_iova iova;

	if (!l || !starts)
		exit(fail("no memory for %zu mappings", n));
	/* In pages of the size that the map has. */
	l->lines = (uint64_t *)(void *)bench_reserve(entries * sizeof(uint64_t));
	if (mprotect(l->lines, entries * sizeof(uint64_t), PROT_READ | PROT_WRITE))
		exit(fail("no memory for the limit's buffer"));
	madvise(l->lines, entries * sizeof(uint64_t), MADV_NOHUGEPAGE);
	memset(l->lines, 2, entries * sizeof(uint64_t));
	bench_must(weir_ioas_open(NULL, &l->as));
	at = bench_reserve(span);
	for (size_t i = 0; i < n; i++) {
		size_t size = sizes[i % n_sizes];

		at = (char *)(((uintptr_t)at + size - 1) & ~(size - 1));
		bench_must(weir_ioas_map(l->as, at, size, NULL, &iova));
		starts[i] = at;
		at += size + gap;
	}
	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		size_t which = bench_random(&random) % n;

		l->queries[i] = starts[which] + bench_random(&random) % sizes[which % n_sizes];
		l->where[i] = (uint32_t)(bench_random(&random) % entries);
	}
	free(starts);
	return l;
}

struct lookup *bench_lookup_mixed(void)
{
	static const size_t sizes[] = { PAGE, 64 << 10, 2 * MB };
	static struct lookup *made;

	if (!made)
		made = lookup_over(4096, sizes, 3, 0, 4096 * 8);
	return made;
}

void bench_lookup(void)
{
	static const size_t pages[] = { PAGE };
	struct lookup *some = bench_lookup_mixed();
	/* Each page and the hole behind it have an entry in the map, and the limit's buffer too. */
	struct lookup *many = lookup_over(1000000, pages, 1, PAGE, 2000000);

	bench_add("lookup", "4096 mappings", "ns", lookup_each, load_each, some);
	bench_add("lookup", "4096, with length", "ns", lookup_len, load_each, some);
	bench_add("lookup", "4096, dependent", "ns", lookup_chain, load_chain, some);
	bench_add("lookup", "4096, 256 a call", "ns", lookup_batch, load_each, some);
	bench_add("lookup", "1000000 mappings", "ns", lookup_each, load_each, many);
	bench_add("lookup", "1000000, 256 a call", "ns", lookup_batch, load_each, many);
	bench_add("lookup", "1000000, an ideal call", "ns", call_each, load_each, many);
}

/* ---- buffers ---- */

#define PIECES	4096u		/* mappings of a page, no two of them contiguous in IOVA */
#define SPAN	16u		/* of them in the largest buffer */

struct pieces {
	struct weir_ioas *as;
	char *mem;
	size_t span;
	uint64_t lines[PIECES];		/* the limit's: one entry a page */
	uint32_t first[BENCH_QUERIES];	/* of a buffer's pages */
};

static double segs_each(void *arg)
{
	struct pieces *p = arg;
	double start = bench_now();
	struct weir_seg segs[SPAN];

	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		bench_must(weir_ioas_segs(p->as, p->mem + p->first[i] * PAGE, p->span * PAGE, segs,
					  SPAN));
		bench_sink += segs[p->span - 1].iova;
	}
	return (bench_now() - start) / BENCH_QUERIES;
}

static double load_span(void *arg)
{
	struct pieces *p = arg;
	double start = bench_now();

	for (unsigned int i = 0; i < BENCH_QUERIES; i++)
		for (size_t k = 0; k < p->span; k++)
			bench_sink += *(volatile uint64_t *)&p->lines[p->first[i] + k];
	return (bench_now() - start) / BENCH_QUERIES;
}

static struct pieces *pieces_of(size_t span)
{
	struct pieces *p = calloc(1, sizeof(*p));
	uint64_t random = 88172645463325252ull;
	weir_iova iova;

	if (!p)
		exit(fail("no memory for %u mappings", PIECES));
	bench_must(weir_ioas_open(NULL, &p->as));
	p->mem = bench_reserve(PIECES * PAGE);
	p->span = span;
	/* The lowest IOVA goes to the last page. */
	for (size_t i = PIECES; i-- > 0;)
		bench_must(weir_ioas_map(p->as, p->mem + i * PAGE, PAGE, NULL, &iova));
	for (unsigned int i = 0; i < BENCH_QUERIES; i++)
		p->first[i] = (uint32_t)(bench_random(&random) % (PIECES - span + 1));
	return p;
}

void bench_segs(void)
{
	bench_add("segs", "1 mapping", "ns", segs_each, load_span, pieces_of(1));
	bench_add("segs", "16 mappings", "ns", segs_each, load_span, pieces_of(SPAN));
}
