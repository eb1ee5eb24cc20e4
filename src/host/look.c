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
	/* Returns 0; -ENOENT where there is nothing; others with a message, which end it. */
	int (*each)(struct weir_host *host, struct wr_scan *scan, int i);
	int n;
	int *results;		/* of each, or NULL */
	int taken;		/* changed by all threads, as is: */
	int failed;		/* the first that couldn't be read, or INT_MAX */
	pthread_mutex_t lock;	/* of the first failure's message: */
	char message[1024];
	int message_of, error;
};

/* A message is the thread's own, and the caller's is another. */
static void fail(struct work *work, int i, int err)
{
	pthread_mutex_lock(&work->lock);
	if (i < work->message_of) {
		work->message_of = i;
		work->error = err;
		snprintf(work->message, sizeof(work->message), "%s", weir_errmsg());
		__atomic_store_n(&work->failed, i, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&work->lock);
}

static bool do_slice(struct work *work, struct wr_scan *scan)
{
	int first = __atomic_fetch_add(&work->taken, SLICE, __ATOMIC_RELAXED);

	/* What comes behind a failure needn't be looked at. */
	if (first >= work->n || first > __atomic_load_n(&work->failed, __ATOMIC_RELAXED))
		return false;
	for (int i = first; i < work->n && i < first + SLICE; i++) {
		int ret = work->each(work->host, scan, i);

		if (work->results)
			work->results[i] = ret;
		if (ret < 0 && ret != -ENOENT) {
			fail(work, i, ret);
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
	while (do_slice(work, &scan))
		;
	wr_scan_close(&scan);
	return NULL;
}

static int share(struct work *work)
{
	unsigned int slices = ((unsigned int)work->n + SLICE - 1) / SLICE;
	unsigned int n = wr_processors();
	pthread_t workers[WORKERS_MAX];

	work->failed = work->message_of = INT_MAX;
	pthread_mutex_init(&work->lock, NULL);
	/* Two slices each, or a thread isn't worth while. This thread is one of them. */
	n = n < WORKERS_MAX ? n : WORKERS_MAX;
	n = n < slices / 2 ? n : slices / 2;
	n = n > 1 ? wr_workers(workers, n - 1, worker, work) : 0;
	while (do_slice(work, &work->host->scan))
		;
	while (n)
		pthread_join(workers[--n], NULL);
	pthread_mutex_destroy(&work->lock);
	return work->error ? wr_fail(work->error, "%s", work->message) : 0;
}

/* ---- the functions ---- */

static int look(struct weir_host *host, struct wr_scan *scan, int i)
{
	return wr_scan_function(scan, &host->functions[i], host->wishes & WEIR_HOST_BRIEF,
				host->resets ? &host->resets[i] : NULL);
}

/* Forget the functions that vanished. */
static void keep_found(struct weir_host *host, const int *results)
{
	int n = host->count;

	host->count = 0;
	for (int i = 0; i < n; i++) {
		if (!results[i]) {
			if (host->resets)
				host->resets[host->count] = host->resets[i];
			host->functions[host->count++] = host->functions[i];
		} else {
			wr_log(WEIR_LOG_INFO, "%s is left out: it has no identity, or vanished "
			       "while it was looked at", host->functions[i].address);
		}
	}
}

int wr_host_look(struct weir_host *host)
{
	bool ahead = host->wishes & WEIR_HOST_AHEAD;
	struct work work = { .host = host, .each = look, .n = host->count };
	int ret;

	work.results = calloc((size_t)host->count + 1, sizeof(*work.results));
	if (ahead)
		host->resets = calloc((size_t)host->count + 1, sizeof(*host->resets));
	if (!work.results || (ahead && !host->resets)) {
		free(work.results);
		return wr_fail(-ENOMEM, "no memory for the list of PCI functions");
	}
	ret = share(&work);
	if (!ret)
		keep_found(host, work.results);
	free(work.results);
	return ret;
}

/* ---- the groups ---- */

/* What can't be read is left to who asks for it, and is told why. */
static int look_at_group(struct weir_host *host, struct wr_scan *scan, int i)
{
	struct wr_told *told = &host->told[i];

	(void)scan;
	told->read = !wr_host_group_read(host, told->group.number, &told->group);
	return 0;
}

int wr_host_look_at_groups(struct weir_host *host)
{
	struct work work = { .host = host, .each = look_at_group };
	int n = 0;

	for (int group = -1; (group = weir_host_next_group(host, group)) >= 0;)
		n++;
	host->told = calloc((size_t)n + 1, sizeof(*host->told));
	if (!host->told)
		return wr_fail(-ENOMEM, "no memory for the list of IOMMU groups");
	for (int group = -1; (group = weir_host_next_group(host, group)) >= 0;)
		host->told[host->n_told++].group.number = group;
	work.n = n;
	return share(&work);
}
