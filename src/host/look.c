/* SPDX-License-Identifier: MIT */
/*
 * Looking at all functions. On a big machine that is many thousands of system calls, none of which
 * waits for anything, so threads share them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/workers.h"
#include "host/host.h"

/* What is taken at a time; one thread alone has done so many in about a millisecond. */
#define SLICE 64

/* Beyond that the kernel's locks are what is waited for. */
#define WORKERS_MAX 8

struct work {
	struct weir_host *host;
	int *results;		/* of each function */
	int taken;		/* changed by all threads, as is: */
	int failed;		/* the first function that couldn't be read, or INT_MAX */
	pthread_mutex_t lock;	/* of the first failure's message: */
	char message[1024];
	int message_of;
};

/* A message is the thread's own, and the caller's is another. */
static void fail(struct work *work, int i)
{
	pthread_mutex_lock(&work->lock);
	if (i < work->message_of) {
		work->message_of = i;
		snprintf(work->message, sizeof(work->message), "%s", weir_errmsg());
		__atomic_store_n(&work->failed, i, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&work->lock);
}

static bool look_at_slice(struct work *work, struct wr_scan *scan)
{
	int first = __atomic_fetch_add(&work->taken, SLICE, __ATOMIC_RELAXED);
	int n = work->host->count;

	/* What comes behind a failure needn't be looked at. */
	if (first >= n || first > __atomic_load_n(&work->failed, __ATOMIC_RELAXED))
		return false;
	for (int i = first; i < n && i < first + SLICE; i++) {
		int ret = wr_scan_function(scan, &work->host->functions[i]);

		work->results[i] = ret;
		if (ret < 0 && ret != -ENOENT) {
			fail(work, i);
			return false;
		}
	}
	return true;
}

static void *worker(void *arg)
{
	struct work *work = arg;
	struct wr_scan scan;

	/* Without it, the others have more to do. */
	if (wr_scan_open(&scan, work->host->root) < 0)
		return NULL;
	while (look_at_slice(work, &scan))
		;
	wr_scan_close(&scan);
	return NULL;
}

/* Forget the functions that vanished. */
static void keep_found(struct weir_host *host, const int *results)
{
	int n = host->count;

	host->count = 0;
	for (int i = 0; i < n; i++) {
		if (!results[i])
			host->functions[host->count++] = host->functions[i];
		else
			wr_log(WEIR_LOG_INFO, "%s is left out: it has no identity, or vanished "
			       "while it was looked at", host->functions[i].address);
	}
}

int wr_host_look(struct weir_host *host)
{
	unsigned int slices = ((unsigned int)host->count + SLICE - 1) / SLICE;
	unsigned int n = wr_processors();
	struct work work = { .host = host, .failed = INT_MAX, .message_of = INT_MAX };
	pthread_t workers[WORKERS_MAX];
	int ret = 0;

	work.results = calloc((size_t)host->count + 1, sizeof(*work.results));
	if (!work.results)
		return wr_fail(-ENOMEM, "no memory for the list of PCI functions");
	pthread_mutex_init(&work.lock, NULL);
	/* Two slices each, or a thread isn't worth while. This thread is one of them. */
	n = n < WORKERS_MAX ? n : WORKERS_MAX;
	n = n < slices / 2 ? n : slices / 2;
	n = n > 1 ? wr_workers(workers, n - 1, worker, &work) : 0;
	while (look_at_slice(&work, &host->scan))
		;
	while (n)
		pthread_join(workers[--n], NULL);
	pthread_mutex_destroy(&work.lock);
	if (work.message_of < INT_MAX)
		ret = wr_fail(work.results[work.message_of], "%s", work.message);
	else
		keep_found(host, work.results);
	free(work.results);
	return ret;
}
