/* SPDX-License-Identifier: MIT */
#ifndef WR_HOST_HOST_H
#define WR_HOST_HOST_H

#include <weir/host.h>

#include "pci/sysfs.h"

struct weir_host {
	char *root;
	struct weir_host_function *functions;	/* by address */
	int count;
};

/*
 * Read what is known of the function at fn->address without waking it. Returns 0; -ENOENT when it
 * isn't there (any more); other errors with a message.
 */
int wr_host_scan(const char *root, struct weir_host_function *fn);

#endif
