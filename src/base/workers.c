/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <signal.h>

#include "base/workers.h"

unsigned int wr_processors(void)
{
	/* As many as a kernel can have (NR_CPUS): it refuses sets that are too small for it. */
	cpu_set_t set[8192 / CPU_SETSIZE];

	if (sched_getaffinity(0, sizeof(set), set) < 0)
		return 1;
	return (unsigned int)CPU_COUNT_S(sizeof(set), set);
}

unsigned int wr_workers(pthread_t *threads, unsigned int n, void *(*worker)(void *), void *work)
{
	sigset_t all, before;
	unsigned int i;
	int ret = 0;

	/* The process's signals are for its own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (i = 0; i < n; i++) {
		ret = pthread_create(&threads[i], NULL, worker, work);
		if (ret)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		wr_log(WEIR_LOG_INFO, "%u of %u threads to share the work: %s", i + 1, n + 1,
		       strerror(ret));
	return i;
}
