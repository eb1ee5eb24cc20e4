/* SPDX-License-Identifier: MIT */
/* Kernel modules without libkmod: there, or not. */
#include <stdio.h>

#include "base/sys.h"
#include "host/step.h"

static int load(const char *name)
{
	char path[WR_PCI_PATH_MAX];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	/* sysfs has them all with underscores. */
	for (char *c = path; *c; c++)
		if (*c == '-')
			*c = '_';
	return wr_sys->access(path) ? -ENOSYS : 0;
}

int (*wr_module_load)(const char *name) = load;
