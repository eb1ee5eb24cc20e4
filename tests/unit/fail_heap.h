/* SPDX-License-Identifier: MIT */
/*
 * Allocations that are counted, and can be made to fail: for programs that are linked with
 * -Wl,--wrap of malloc() and its kin. Single-threaded, but for the count of what is alive.
 */
#ifndef FAIL_HEAP_H
#define FAIL_HEAP_H

#include <stdatomic.h>

struct heap {
	unsigned long calls;	/* made so far */
	unsigned long fail_at;	/* the call that fails, 1 for the first; 0: none */
	atomic_long alive;	/* allocations not yet freed */
};

extern struct heap heap;

#endif
