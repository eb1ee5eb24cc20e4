/* SPDX-License-Identifier: MIT */
/* IOMMU groups computed from whatever a tree and its config space hold, and their reasons. */
#include <string.h>

#include <weir/error.h>
#include <weir/groups.h>

#include "machine.h"

void add_seeds(void)
{
	machine_seeds();
}

static void hear(void *arg, const char *sentence)
{
	must(*sentence && strlen(sentence) < 4096);
	++*(unsigned int *)arg;
}

/* Each function is in a group or in none, those of a group are there, and all have reasons. */
static void look_at(const struct weir_host *host, const struct weir_host_compute_opts *opts)
{
	int n = (int)weir_host_count(host);
	struct weir_host_computed *computed;
	unsigned int told = 0;

	if (weir_host_compute(host, opts, &computed) < 0) {
		must(*weir_errmsg());
		return;
	}
	for (int i = 0; i < n; i++) {
		const struct weir_host_function *fn = weir_host_function(host, (unsigned int)i);
		struct weir_host_place place = weir_host_place(computed, fn);

		must(place.group >= -1 && place.group < n && place.held >= -1 && place.held < n);
		must((place.group < 0) == (place.held < 0));
		must(!weir_host_why(computed, fn, hear, &told));
	}
	must(!n || told);
	weir_host_computed_close(computed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_host *host;

	machine_change(data, size);
	if (!weir_host_open(machine_root(), &host)) {
		unsigned int n = weir_host_count(host);
		const struct weir_host_assume assume[] = {
			{ .kind = WEIR_ASSUME_DOWNSTREAM },
			{ .kind = WEIR_ASSUME_MULTIFUNCTION },
			{ .kind = WEIR_ASSUME_MOVED, .function = weir_host_function(host, n - 1),
			  .port = weir_host_function(host, 0) },
		};

		look_at(host, NULL);
		look_at(host, &(struct weir_host_compute_opts){ .as_booted = true });
		look_at(host, &(struct weir_host_compute_opts){ .assume = assume, .n = 2 });
		look_at(host, &(struct weir_host_compute_opts){ .assume = assume, .n = 3 });
		weir_host_close(host);
	} else {
		must(*weir_errmsg());
	}
	machine_restore();
	return 0;
}
