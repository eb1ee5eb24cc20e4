/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "base/err.h"
#include "base/process.h"

/* How many forks lie between the first process that had the library, and this one. */
static unsigned int forks;

static void in_child(void)
{
	forks++;
}

/* Fails for want of memory alone, so early that nothing else would work either. */
static __attribute__((constructor)) void count_forks(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

unsigned int wr_process(void)
{
	return forks;
}

int wr_check_process(unsigned int process)
{
	if (__builtin_expect(process == forks, 1))
		return 0;
	return wr_fail(-EPERM, "this was opened before a fork(), and is the parent process's: open "
		       "it anew in the child");
}
