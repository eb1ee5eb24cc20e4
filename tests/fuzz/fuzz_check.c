/* SPDX-License-Identifier: MIT */
/* The checks of weir doctor. */
#include <string.h>

#include <weir/doctor.h>

#include "machine.h"

void add_seeds(void)
{
	machine_seeds();
}

static void look(void *arg, const struct weir_host_finding *finding)
{
	(void)arg;
	must(finding->id && *finding->id && *finding->file && *finding->text);
	must(finding->severity >= WEIR_HOST_OK && finding->severity <= WEIR_HOST_STOP);
	must(strlen(finding->text) < 100000 && strlen(finding->cure) < 100000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_host *host;

	machine_change(data, size);
	if (!weir_host_open(machine_root(), &host)) {
		must(!weir_host_check(host, NULL, look, NULL));
		for (unsigned int i = 0; i < weir_host_count(host); i++)
			must(!weir_host_check(host, weir_host_function(host, i), look, NULL));
		weir_host_close(host);
	}
	machine_restore();
	return 0;
}
