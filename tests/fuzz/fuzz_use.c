/* SPDX-License-Identifier: MIT */
/* What a function is used for: sysfs' classes, mounts, swap, routes, consoles. */
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>

#include "base/holder.h"
#include "base/sys.h"
#include "host/use.h"
#include "machine.h"

/* Who has nodes open here isn't the input's affair; the linker puts this in its place. */
int __wrap_wr_holder(const char *path, char *buf, size_t size);
int __wrap_wr_holder(const char *path, char *buf, size_t size)
{
	(void)path, (void)buf, (void)size;
	return -ENOENT;
}

static int no_addresses(struct ifaddrs **list)
{
	*list = NULL;
	return 0;
}

static void free_none(struct ifaddrs *list)
{
	(void)list;
}

void add_seeds(void)
{
	static struct wr_sys sys;

	sys = wr_sys_kernel;
	sys.getifaddrs = no_addresses;
	sys.freeifaddrs = free_none;
	wr_sys = &sys;
	machine_seeds();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_host_function fn = { .address = "0000:01:00.0", .vfio_node = "/dev/vfio/1" };
	char use[WR_USE_MAX];
	int ret;

	machine_change(data, size);
	ret = wr_use(machine_root(), &fn, use);
	must(ret <= WR_USE_ROOT && strlen(use) < sizeof(use));
	must(ret <= 0 || *use);
	wr_use_vfio(machine_root(), &fn, use);
	machine_restore();
	return 0;
}
