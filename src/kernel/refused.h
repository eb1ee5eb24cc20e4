/* SPDX-License-Identifier: MIT */
/* What VFIO's containers and IOMMUFD refuse alike, in words. */
#ifndef WR_KERNEL_REFUSED_H
#define WR_KERNEL_REFUSED_H

#include <errno.h>

#include "kernel/memlock.h"

/* -EIO means here that half of a change is done. A kernel that says so has done none of it. */
static inline int wr_refusal(int err)
{
	return err == -EIO ? -EREMOTEIO : err;
}

/* The kernel refused to map @m: returns @err, with a message. */
int wr_map_refused(const struct wr_mapping *m, int err, enum wr_memlock whose);

/* The same of a bar whose device doesn't answer. */
int wr_bar_refused(const struct wr_mapping *m, int err);

/*
 * It answered @ret to an unmap of @len bytes at @iova, of which it unmapped @done: returns 0, or
 * -errno with a message; -EIO when that isn't what was asked for.
 */
int wr_unmap_answered(int ret, weir_iova iova, uint64_t len, uint64_t done);

#endif
