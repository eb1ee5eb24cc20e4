/* SPDX-License-Identifier: MIT */
/*
 * weir bench: do look-ups of many threads hold each other up? Each processor that the command may
 * use gets a thread of its own, for the same span of time.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "out.h"

#define CHUNK	4096u		/* operations between two looks at the clock */
#define WINDOW	5e5		/* nanoseconds */
#define WINDOWS	10

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	uint64_t (*chunk)(struct lookup *l, unsigned int from);
	struct lookup *l;
	int cpu;
	double rate;		/* operations a nanosecond */
	uint64_t sum;
};

static uint64_t chunk_lookup(struct lookup *l, unsigned int from)
{
	weir_iova iova = 0;
	uint64_t sum = 0;

	for (unsigned int i = from; i < from + CHUNK; i++) {
		weir_ioas_to_iova(l->as, l->queries[i], &iova, NULL);
		sum += iova;
	}
	return sum;
}

static uint64_t chunk_load(struct lookup *l, unsigned int from)
{
	uint64_t sum = 0;

	for (unsigned int i = from; i < from + CHUNK; i++)
		sum += *(volatile uint64_t *)&l->lines[l->where[i]];
	return sum;
}

static double rate_in_window(struct worker *w)
{
	double start = bench_now(), now;
	unsigned long done = 0;

	do {
		w->sum += w->chunk(w->l, done % BENCH_QUERIES);
		done += CHUNK;
		now = bench_now();
	} while (now - start < WINDOW);
	return (double)done / (now - start);
}

/* The best of its windows is one in which no other process had the processor. */
static void *work(void *arg)
{
	struct worker *w = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		exit(fail("a thread can't be bound to processor %d", w->cpu));
	pthread_barrier_wait(w->start);
	for (int i = 0; i < WINDOWS; i++) {
		double rate = rate_in_window(w);

		if (rate > w->rate)
			w->rate = rate;
	}
	return NULL;
}

/* Operations a nanosecond of the first @n processors of @set together. */
static double rate(const cpu_set_t *set, int n, struct lookup *l,
		   uint64_t (*chunk)(struct lookup *l, unsigned int from))
{
	struct worker *workers = calloc((size_t)n, sizeof(*workers));
	pthread_barrier_t start;
	double sum = 0;

	if (!workers || pthread_barrier_init(&start, NULL, (unsigned int)n))
		exit(fail("no memory for %d threads", n));
	for (int i = 0, cpu = 0; i < n; i++, cpu++) {
		while (!CPU_ISSET(cpu, set))
			cpu++;
		workers[i] = (struct worker){ .start = &start, .chunk = chunk, .l = l, .cpu = cpu };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			exit(fail("no thread for processor %d", cpu));
	}
	for (int i = 0; i < n; i++) {
		pthread_join(workers[i].thread, NULL);
		sum += workers[i].rate;
		bench_sink += workers[i].sum;
	}
	pthread_barrier_destroy(&start);
	free(workers);
	return sum;
}

static double scaling(struct lookup *l, uint64_t (*chunk)(struct lookup *l, unsigned int from))
{
	cpu_set_t set;
	double one;

	if (sched_getaffinity(0, sizeof(set), &set))
		exit(fail("which processors there are can't be told"));
	one = rate(&set, 1, l, chunk);
	return rate(&set, CPU_COUNT(&set), l, chunk) / one;
}

static double scaling_lookup(void *arg)
{
	return scaling(arg, chunk_lookup);
}

static double scaling_load(void *arg)
{
	return scaling(arg, chunk_load);
}

void bench_threads(void)
{
	bench_add("threads", "4096 mappings, all processors", "x", scaling_lookup, scaling_load,
		  bench_lookup_mixed());
}
