/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/sys.h"
#include "base/workers.h"
#include "mem/pages.h"
#include "mem/prefault.h"

/*
 * Threads take slices until none is left. They are large enough for the system call not to matter,
 * and small enough for all threads to end at about the same time, and for news of progress.
 */
#define SLICE_MAX (16ul << 20)

/* Less than that takes one thread some 20 ms: no reason to surprise a program with threads. */
#define PARALLEL_MIN (64ul << 20)

/* What bounds clearing in the end is the memory's bandwidth; not measured beyond 4 processors. */
#define AUTOMATIC_MAX 16u

struct work {
	char *start;
	size_t len, slice;
	bool touch;
	/* Changed by all threads. */
	size_t taken, done;	/* bytes */
	int error;		/* the first one; nobody takes a slice after it */
};

int wr_populate(void *addr, size_t len, int advice)
{
	int ret = wr_sys->madvise(addr, len, advice);

	/* Where the advice is known, nothing is wrong with no bytes. */
	if (ret < 0 && wr_sys->madvise(addr, 0, advice) < 0)
		return -ENOSYS;
	return ret;
}

static int fault_in(const struct work *w, char *start, size_t len)
{
	int ret = wr_populate(start, len, MADV_POPULATE_WRITE);

	if (ret != -ENOSYS)
		return ret;
	for (size_t at = 0; w->touch && at < len; at += wr_page_size())
		((volatile char *)start)[at] = 0;
	return 0;
}

static bool next_slice(struct work *w)
{
	size_t at, len;
	int ret, none = 0;

	if (__atomic_load_n(&w->error, __ATOMIC_RELAXED))
		return false;
	at = __atomic_fetch_add(&w->taken, w->slice, __ATOMIC_RELAXED);
	if (at >= w->len)
		return false;
	len = w->len - at < w->slice ? w->len - at : w->slice;
	ret = fault_in(w, w->start + at, len);
	if (ret) {
		__atomic_compare_exchange_n(&w->error, &none, ret, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
		return false;
	}
	__atomic_fetch_add(&w->done, len, __ATOMIC_RELAXED);
	return true;
}

static void *worker(void *work)
{
	while (next_slice(work))
		;
	return NULL;
}

static unsigned int automatic_threads(size_t len)
{
	unsigned int n;

	if (len < PARALLEL_MIN)
		return 1;
	n = wr_processors();
	return n < AUTOMATIC_MAX ? n : AUTOMATIC_MAX;
}

static size_t slice_for(size_t len, size_t page, unsigned int threads)
{
	/* Two threads in the 2 MiB of one table of small pages would wait for each other. */
	size_t unit = page > WR_HUGE_PAGE ? page : WR_HUGE_PAGE;
	size_t slice = len / threads < SLICE_MAX ? len / threads : SLICE_MAX;

	return (slice + unit - 1) & ~(unit - 1);
}

int wr_prefault(void *addr, size_t len, const struct wr_prefault *how)
{
	unsigned int threads = how->threads ? how->threads : automatic_threads(len);
	struct work w = { .start = addr, .len = len, .touch = how->touch };
	pthread_t workers[WR_PREFAULT_THREADS_MAX];
	size_t slices, done;
	unsigned int n;

	w.slice = slice_for(len, how->page, threads);
	slices = (len - 1) / w.slice + 1;
	if (threads > slices)
		threads = (unsigned int)slices;
	/* This thread is one of them. */
	n = threads > 1 ? wr_workers(workers, threads - 1, worker, &w) : 0;
	while (next_slice(&w)) {
		done = __atomic_load_n(&w.done, __ATOMIC_RELAXED);
		if (how->progress && done < len)
			how->progress(how->progress_arg, done, len);
	}
	while (n)
		pthread_join(workers[--n], NULL);
	if (!w.error && how->progress)
		how->progress(how->progress_arg, len, len);
	return w.error;
}
