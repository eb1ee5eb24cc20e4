/* SPDX-License-Identifier: MIT */
#include "host/libarchive.h"

const struct wr_libarchive *wr_libarchive(void)
{
	static const char *const names[] = { WR_LIBARCHIVE(WR_LATE_NAME) };
	static struct wr_libarchive functions;
	static struct wr_late late = { .soname = "libarchive.so.13", .names = names,
				       .functions = &functions,
				       .n = sizeof(names) / sizeof(names[0]) };
	const char *missing = wr_late_load(&late);

	if (!missing)
		return &functions;
	wr_message("archives need libarchive, but %s can't be loaded; install it (Debian: "
		   "libarchive13)", missing);
	return NULL;
}
