/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "host/capture.h"

int weir_host_capture(const char *root, const char *file, const struct weir_host_capture_opts *opts,
		      struct weir_host_captured *captured)
{
	(void)root, (void)opts, (void)captured;
	return wr_fail(-ENOTSUP, "%s can't be made: weir was built without libarchive", file);
}
