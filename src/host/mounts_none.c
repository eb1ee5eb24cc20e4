/* SPDX-License-Identifier: MIT */
/* Without libmount nobody knows what is mounted: then a disk isn't taken. */
#include "host/mounts.h"

static int unknown(void)
{
	return wr_fail(-ENOTSUP, "it has a disk, and weir was built without libmount, so it can't "
		       "tell whether that is mounted or swap");
}

int wr_mounts_read(const char *root, struct wr_mounts **out)
{
	(void)root, (void)out;
	return unknown();
}

void wr_mounts_free(struct wr_mounts *mounts)
{
	(void)mounts;
}

int wr_mounts_use(struct wr_mounts *mounts, const char *name, dev_t number, char use[WR_USE_MAX])
{
	(void)mounts, (void)name, (void)number, (void)use;
	return unknown();
}
