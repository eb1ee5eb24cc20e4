/* SPDX-License-Identifier: MIT */
/* Threads that share one piece of work with the thread that starts them. */
#ifndef WR_BASE_WORKERS_H
#define WR_BASE_WORKERS_H

#include <pthread.h>

#include "base/err.h"

/* On how many processors the calling thread, and so those that it starts, may run. */
WR_PRIVATE unsigned int wr_processors(void);

/* Start up to @n, to be joined; returns how many: without one, the others have more to do. */
WR_PRIVATE unsigned int wr_workers(pthread_t *threads, unsigned int n, void *(*worker)(void *),
				   void *work);

#endif
