/* SPDX-License-Identifier: MIT */
/*
 * Counting what a process does outside of the kernel: its system calls, and its instructions one by
 * one. Unlike time, these don't depend on how fast a processor is, or an emulated one.
 */
#ifndef WEIR_TOOL_COUNT_H
#define WEIR_TOOL_COUNT_H

#include <stdint.h>

struct count {
	uint64_t ioctls;
	uint64_t other_calls;	/* system calls that are no ioctl */
	uint64_t instructions;
};

/*
 * Go on in a child, which this process traces. Returns GO_ON in the child; and in this process,
 * when the child has ended, its exit status, or what fail() returned.
 */
int count_start(void);

/* In the child: what @run does, which is called three times, the first one uncounted. */
void count_run(void (*run)(void *arg), void *arg, struct count *count);

/* In the child: nothing is counted from here on. */
void count_end(void);

#endif
