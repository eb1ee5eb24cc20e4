/* SPDX-License-Identifier: MIT */
/* Whatever a machine has in its files, it can be captured, and what was captured is a root. */
#include <stdio.h>
#include <sys/stat.h>

#include <weir/host.h>

#include "host/unpack.h"
#include "machine.h"

void add_seeds(void)
{
	machine_seeds();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct weir_host_capture_opts opts = {
		.force = true, .unmasked = size && data[size - 1] & 1 };
	struct wr_unpacked unpacked = { 0 };
	char path[256];

	temporary("archive", path);
	machine_change(data, size);
	if (!weir_host_capture(machine_root(), path, &opts, NULL)) {
		if (wr_unpack(path, &unpacked))
			fprintf(stderr, "%s\n", weir_errmsg());
		must(unpacked.folder != NULL);
		wr_unpacked_remove(&unpacked);
	}
	machine_restore();
	return 0;
}
