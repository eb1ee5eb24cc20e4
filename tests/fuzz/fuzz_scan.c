/* SPDX-License-Identifier: MIT */
/* The scan, and all that can be asked of it. */
#include <string.h>

#include <weir/error.h>
#include <weir/host.h>

#include "machine.h"

void add_seeds(void)
{
	machine_seeds();
}

static void look_at(const struct weir_host *host, const struct weir_host_function *fn)
{
	const struct weir_host_function *found = NULL;
	struct weir_host_region regions[7] = { 0 };
	uint8_t config[4096];
	char methods[64];
	int n;

	must(!weir_host_find(host, fn->address, &found) && found == fn);
	must(memchr(fn->driver, 0, sizeof(fn->driver)) && !strchr(fn->driver, '/'));
	must(memchr(fn->iommu, 0, sizeof(fn->iommu)) && !strchr(fn->iommu, '/'));
	n = weir_host_regions(host, fn, regions, 7);
	must(n <= 7);
	for (int i = 0; i < n; i++)
		must(regions[i].size && regions[i].start + regions[i].size - 1 >= regions[i].start);
	must(weir_host_config(host, fn, config, sizeof(config)) <= (int)sizeof(config));
	weir_host_reset_methods(host, fn, methods, sizeof(methods));
	weir_host_is_asleep(host, fn);
	/* However many bridges are claimed to be above one another. */
	for (int i = 0; fn && i < 100; i++)
		fn = weir_host_parent(host, fn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_host_reserved reserved[8];
	struct weir_host_iommu iommu;
	struct weir_host_group group;
	struct weir_host *host;

	machine_change(data, size);
	if (!weir_host_open(machine_root(), &host)) {
		for (unsigned int i = 0; i < weir_host_count(host); i++)
			look_at(host, weir_host_function(host, i));
		for (int n = -1; (n = weir_host_next_group(host, n)) >= 0;) {
			must(weir_host_member(host, n, 0) != NULL);
			if (!weir_host_group(host, n, &group))
				must(group.members && group.number == n);
			weir_host_reserved(host, n, reserved, 8);
		}
		for (unsigned int i = 0; !weir_host_iommu(host, i, &iommu); i++)
			;
		weir_host_close(host);
	} else {
		must(*weir_errmsg());
	}
	machine_restore();
	return 0;
}
