/* SPDX-License-Identifier: MIT */
/* All checks, of the machine and of each function. */
#include <errno.h>
#include <string.h>

#include <weir/doctor.h>
#include <weir/error.h>

#include "base/holder.h"
#include "machine.h"

/* Who has nodes open here isn't the input's affair; the linker puts this in its place. */
int __wrap_wr_holder(const char *path, char *buf, size_t size);
int __wrap_wr_holder(const char *path, char *buf, size_t size)
{
	(void)path, (void)buf, (void)size;
	return -ENOENT;
}

void add_seeds(void)
{
	machine_seeds();
}

static void look(void *arg, const struct weir_host_finding *finding)
{
	const char *address = arg;

	must(*finding->id && *finding->text && finding->file[0] == '/');
	must(finding->severity <= WEIR_HOST_STOP);
	must(!strcmp(finding->device, address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct weir_host_function *fn;
	struct weir_host *host;

	machine_change(data, size);
	if (!weir_host_open(machine_root(), &host)) {
		must(!weir_host_check(host, NULL, look, ""));
		for (unsigned int i = 0; (fn = weir_host_function(host, i)); i++)
			must(!weir_host_check(host, fn, look, (void *)fn->address));
		weir_host_close(host);
	}
	machine_restore();
	return 0;
}
