/* SPDX-License-Identifier: MIT */
/* What is mounted, and what is swap, as this process sees it. */
#ifndef WR_HOST_MOUNTS_H
#define WR_HOST_MOUNTS_H

#include <sys/types.h>

#include "host/use.h"

struct wr_mounts;

/* Read the tables below @root. -ENOTSUP: weir was built without libmount, and can't tell. */
int wr_mounts_read(const char *root, struct wr_mounts **out);
void wr_mounts_free(struct wr_mounts *mounts);

/* Whether a disk or partition is mounted, or is swap: as wr_use(). */
int wr_mounts_use(struct wr_mounts *mounts, const char *name, dev_t number, char use[WR_USE_MAX]);

#endif
