/* SPDX-License-Identifier: MIT */
/* The limit of locked memory, RLIMIT_MEMLOCK, which what the kernel pins for devices counts to. */
#ifndef WR_KERNEL_MEMLOCK_H
#define WR_KERNEL_MEMLOCK_H

#include "mem/maps.h"

/* Whose pinned memory is counted together. */
enum wr_memlock {
	WR_MEMLOCK_PROCESS,
	WR_MEMLOCK_USER,
};

/*
 * The kernel refused to map @m for lack of memory: if the limit can be why, leave a message that
 * says so, and return true.
 */
bool wr_memlock_explains(const struct wr_mapping *m, enum wr_memlock whose);

/* The same for what a process does that counts so much as its own locked memory. */
bool wr_memlock_explains_bytes(const char *what, uint64_t bytes);

#endif
