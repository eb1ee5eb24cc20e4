/* SPDX-License-Identifier: MIT */
/* Without libarchive only folders are roots. */
#include "host/unpack.h"

int wr_unpack(const char *file, struct wr_unpacked *out)
{
	(void)out;
	return wr_fail(-ENOTSUP, "%s is a file, and weir was built without libarchive: unpack it "
		       "by 'tar -xf' into a folder of its own, and give that as the root", file);
}

void wr_unpacked_remove(struct wr_unpacked *unpacked)
{
	(void)unpacked;
}
