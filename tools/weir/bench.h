/* SPDX-License-Identifier: MIT */
/* What the families of weir bench share. Nothing they make is given back: the process ends. */
#ifndef WEIR_TOOL_BENCH_H
#define WEIR_TOOL_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/weir.h>

#define BENCH_QUERIES	(1u << 16)
#define PAGE		4096ul
#define MB		(1ul << 20)
#define GB		(1ul << 30)

/*
 * Add a case, to be measured when all have been added. @run measures weir and @bare the machine's
 * limit; both return in @unit: "ns", the time of one operation, or "x", how many times as much all
 * processors do as one. @arg must stay.
 */
void bench_add(const char *bench, const char *name, const char *unit, double (*run)(void *arg),
	       double (*bare)(void *arg), void *arg);

/* Measure in turns; the medians. @bare may be NULL: then the limit is NAN. */
void bench_measure(double (*run)(void *arg), double (*bare)(void *arg), void *arg, double *value,
		   double *limit);

/* Add what is measured already; or NAN for @value, and @note says why. @note may be NULL or "". */
void bench_row(const char *bench, const char *name, const char *unit, double value, double bare,
	       const char *note);

/* Where results go that would otherwise be computed for nobody. */
extern uint64_t bench_sink;

double bench_now(void);			/* nanoseconds */
uint64_t bench_random(uint64_t *state);	/* @state isn't 0 */
void *bench_memory(size_t len);		/* zeroed pages, all there */
char *bench_reserve(size_t len);	/* addresses without memory, at a multiple of 1 GiB */
void bench_failed(void) __attribute__((noreturn));

/* A call of weir's must not fail: that ends the command. Inlined, since it is in what is timed. */
static inline void bench_must(int ret)
{
	if (ret < 0)
		bench_failed();
}

/*
 * Mapped memory, where to look in it, and for the limit a buffer of the size of what a look-up
 * can't do without: one entry of 8 bytes for each query's page, spread as the pages are.
 */
struct lookup {
	struct weir_ioas *as;
	char *queries[BENCH_QUERIES];
	uint64_t *lines;
	uint32_t where[BENCH_QUERIES];
};

/* 4096 mappings, a third each of 4 KiB, 64 KiB and 2 MiB; the same for all who ask. */
struct lookup *bench_lookup_mixed(void);

/* The families. */
void bench_lookup(void);
void bench_segs(void);
void bench_threads(void);
void bench_map(void);
void bench_prefault(void);
void bench_translate(void);
void bench_dma(void);

/*
 * Map and unmap on the IOMMU of a device, with at most @memory bytes at once: times, or with @count
 * what is done. Returns GO_ON, or the exit status when there is nothing more to do.
 */
int bench_device(const char *device, bool count, size_t memory, bool unsafe_noiommu);

#endif
