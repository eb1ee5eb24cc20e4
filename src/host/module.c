/* SPDX-License-Identifier: MIT */
/* Kernel modules: loaded by libkmod where there is one; else they are here, or not. */
#include <stdio.h>

#include "base/sys.h"
#include "host/step.h"

static bool is_here(const char *name)
{
	char path[WR_PCI_PATH_MAX];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	/* sysfs has them all with underscores. */
	for (char *c = path; *c; c++)
		if (*c == '-')
			*c = '_';
	return !wr_sys->access(path);
}

static int load(const char *name)
{
	int ret = wr_libkmod_load(name);

	return ret == -ENOSYS && is_here(name) ? 0 : ret;
}

int (*wr_module_load)(const char *name) = load;
