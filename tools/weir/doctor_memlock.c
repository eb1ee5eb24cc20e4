/* SPDX-License-Identifier: MIT */
/* weir doctor --memlock: how much a VM must be allowed to lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/doctor.h>
#include <weir/error.h>
#include <weir/spapr.h>

#include "doctor.h"
#include "options.h"
#include "out.h"
#include "out_parts.h"
#include "weir.h"

struct plan {
	struct weir_host_memlock_opts opts;
	enum weir_spapr_host host;
};

static bool read_count(const char *text, unsigned int *count)
{
	uint64_t number;

	if (!read_number("doctor", "memlock", text, &number))
		return false;
	if (number > 65536) {
		fail("doctor: --memlock: %s is more than there can be", text);
		return false;
	}
	*count = (unsigned int)number;
	return true;
}

/* QEMU's -m takes a bare number for MiB; here it is bytes, and nobody means so few. */
static bool read_memory(const char *text, uint64_t *bytes)
{
	if (!read_number("doctor", "memlock", text, bytes))
		return false;
	if (*bytes && *bytes < 1 << 20) {
		fail("doctor: --memlock: %s is less than a MiB; give a unit (K, M, G or T), as in "
		     "8192M or 8G", text);
		return false;
	}
	return true;
}

static bool read_part(char *part, struct plan *plan)
{
	if (!strncmp(part, "devices=", 8))
		return read_count(part + 8, &plan->opts.devices);
	if (!strncmp(part, "vdpa=", 5))
		return read_count(part + 5, &plan->opts.vdpa);
	if (!strncmp(part, "bridges=", 8))
		return read_count(part + 8, &plan->opts.bridges);
	if (!strncmp(part, "max=", 4))
		return read_memory(part + 4, &plan->opts.max_memory);
	if (!strcmp(part, "viommu")) {
		plan->opts.viommu = true;
	} else if (!strcmp(part, "powernv") || !strcmp(part, "pseries")) {
		plan->opts.power = true;
		plan->host = part[1] == 'o' ? WEIR_SPAPR_POWERNV : WEIR_SPAPR_PSERIES;
	} else {
		fail("doctor: --memlock: there is no part '%s'; see 'weir doctor --help'", part);
		return false;
	}
	return true;
}

static bool read_plan(char *text, struct plan *plan)
{
	char *save = NULL, *part = strtok_r(text, ",", &save);

	if (!part) {
		fail("doctor: --memlock needs the VM's memory, as in 8G");
		return false;
	}
	if (!read_memory(part, &plan->opts.memory))
		return false;
	while ((part = strtok_r(NULL, ",", &save)))
		if (!read_part(part, plan))
			return false;
	return true;
}

/* What maps as much in the window that each group has by itself: of 2 GiB, in pages of 4 KiB
 * (pnv_pci_ioda2_setup_default_config(), the firmware's on pSeries). */
static int count_program(const struct plan *plan, uint64_t *bytes)
{
	const struct weir_window window = { .last = (1ULL << 31) - 1, .page_size = 4096 };
	struct weir_spapr_locked_opts opts = {
		.version = 2,
		.host = plan->host,
		.page_size = 65536,
		.memory = (plan->opts.memory + 65535) & ~65535ULL,
		.windows = &window,
		.n_windows = 1,
		.containers = plan->opts.devices,
	};
	struct weir_spapr_locked locked;
	int ret = weir_spapr_locked(&opts, &locked);

	if (!ret)
		*bytes = locked.total;
	return ret;
}

static void print_limit(const char *who, uint64_t bytes)
{
	/* Kernel and shell count in KiB. */
	uint64_t kib = (bytes >> 10) + !!(bytes & 1023);

	say("%s: %llu KiB (%.2f GiB): LimitMEMLOCK=%lluK in its unit, 'ulimit -l %llu', or a line "
	    "'USER - memlock %llu' in /etc/security/limits.d", who, (unsigned long long)kib,
	    (double)bytes / (1 << 30), (unsigned long long)kib, (unsigned long long)kib,
	    (unsigned long long)kib);
}

/* What was understood, so that a number that was meant otherwise shows. */
static void print_plan(const struct plan *plan)
{
	const struct weir_host_memlock_opts *opts = &plan->opts;
	unsigned int devices = opts->devices ? opts->devices : 1;
	bool large = opts->memory >= 1 << 30;
	char most[64] = "";

	if (opts->max_memory)
		snprintf(most, sizeof(most), ", at most %.10g GiB,",
			 (double)opts->max_memory / (1 << 30));
	say("a VM of %.10g %s%s with %u device%s%s:",
	    (double)opts->memory / (large ? 1 << 30 : 1 << 20), large ? "GiB" : "MiB", most,
	    devices, devices == 1 ? "" : "s", opts->viommu ? " and an IOMMU of its own" : "");
}

static void print_json(const struct plan *plan, uint64_t limit, uint64_t program)
{
	const struct weir_host_memlock_opts *opts = &plan->opts;
	struct json_object *report = js_object();

	js_add(report, "memory", js_size(opts->memory));
	js_add(report, "devices", js_size(opts->devices ? opts->devices : 1));
	js_add(report, "viommu", js_bool(opts->viommu));
	js_add(report, "platform", js_text(!opts->power ? "x86" :
					   plan->host == WEIR_SPAPR_POWERNV ? "powernv" :
					   "pseries"));
	js_add(report, "limit", js_size(limit));
	js_add(report, "program", opts->power ? js_size(program) : NULL);
	js_print(report);
}

int doctor_memlock(const char *text, bool json)
{
	struct plan plan = { .host = WEIR_SPAPR_POWERNV };
	char *parts = need(strdup(text));
	uint64_t limit, program = 0;
	bool good = read_plan(parts, &plan);

	free(parts);
	if (!good)
		return EXIT_UNKNOWN;
	if (weir_host_memlock(&plan.opts, &limit) < 0 ||
	    (plan.opts.power && count_program(&plan, &program) < 0))
		return fail("doctor: --memlock: %s", weir_errmsg());
	if (json) {
		print_json(&plan, limit, program);
		return EXIT_YES;
	}
	print_plan(&plan);
	print_limit("QEMU must be allowed to lock", limit);
	if (plan.opts.power)
		print_limit("a program that maps as much by weir, in the default windows", program);
	return EXIT_YES;
}
