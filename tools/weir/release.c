/* SPDX-License-Identifier: MIT */
/* weir release: from vfio-pci back to their drivers. --json: see steps.c. */
#include <stdbool.h>

#include "options.h"
#include "out.h"
#include "steps.h"
#include "weir.h"

static const char usage[] =
	"usage: weir release [OPTION...] BDF... | --all\n"
	"\n"
	"Gives PCI functions back that 'weir bind' took: to the driver that each had, or to none.\n"
	"May be repeated, also after a bind that was killed. Shows the steps first.\n"
	"\n"
	"      --all       all that were bound\n"
	"      --dry-run   only show the steps\n"
	"      --json      for programs\n"
	"  -h, --help      this text\n"
	"\n"
	"Exit status: 0 given back, or there was nothing to do; 1 refused, 2 could not be done.\n"
	"\n"
	"Example: weir release 0000:01:00.0";

int cmd_release(int argc, char **argv)
{
	struct weir_host_release_opts opts = { .show = steps_show };
	struct options options = { 0 };
	struct steps steps = { 0 };
	bool all = false;
	const struct own_option own[] = {
		{ .name = "all", .flag = &all },
		{ .name = "dry-run", .flag = &opts.dry_run },
	};
	int status = read_own_options(argc, argv, own, sizeof(own) / sizeof(own[0]), usage,
				      &options);

	if (status != GO_ON)
		return status;
	if (all == (optind < argc))
		return fail("release wants either PCI functions or --all, as in 'weir release "
			    "0000:01:00.0'");
	opts.arg = &steps;
	steps.json = options.json;
	steps.dry_run = opts.dry_run;
	return steps_end(&steps, weir_host_release(NULL, (const char *const *)argv + optind,
						   (size_t)(argc - optind), &opts),
			 "given back");
}
