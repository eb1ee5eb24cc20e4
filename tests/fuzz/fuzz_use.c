/* SPDX-License-Identifier: MIT */
/* What a function is used for: sysfs' classes, mounts, swap, routes, consoles. */
#include <string.h>

#include "host/use.h"
#include "machine.h"

void add_seeds(void)
{
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
