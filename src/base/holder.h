/* SPDX-License-Identifier: MIT */
#ifndef WR_BASE_HOLDER_H
#define WR_BASE_HOLDER_H

#include <stddef.h>

#include "base/err.h"

/*
 * Say who has @path open, as "process 123 (qemu-system-x86)", this process included. Only
 * processes whose /proc/PID/fd may be read are seen: all of them for root, otherwise the user's
 * own. Returns 0, or -ENOENT when none is seen.
 */
int wr_holder(const char *path, char *buf, size_t size);

/* This user may not open @node: -EACCES, with a message that says who may. */
int wr_may_not_open(const char *node);

#endif
