/* SPDX-License-Identifier: MIT */
/*
 * weir capture: what is read of a machine, as one file.
 *
 * --json prints {"file": text, "masked": true, "files": number, "unreadable": number,
 *	"asleep": number, "cut": number}: see struct weir_host_captured.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/host.h>

#include "options.h"
#include "out.h"
#include "weir.h"

static const char usage[] =
	"usage: weir capture [OPTION...] FILE\n"
	"\n"
	"Puts all that weir reads of this machine into FILE, which other verbs take by --root,\n"
	"on any machine. What tells who you are isn't in it: MAC and IP addresses, UUIDs,\n"
	"serial numbers, users' folders. The models of devices and the versions of software\n"
	"are. Without root, config space is cut, and some more is missing.\n"
	"\n"
	"      --unmasked  with addresses, UUIDs and serial numbers\n"
	"      --wake      wake sleeping devices to read their config space, too\n"
	"      --force     replace FILE\n"
	"      --json      for programs\n"
	"      --root DIR  of another machine: the folder in which its sys/ lies\n"
	"  -h, --help      this text\n"
	"\n"
	"Example: sudo weir capture /tmp/host.tar.gz && weir list --root /tmp/host.tar.gz";

static void print_json(const char *file, const struct weir_host_capture_opts *opts,
		       const struct weir_host_captured *told)
{
	struct json_object *object = js_object();

	js_add(object, "file", js_text(file));
	js_add(object, "masked", js_bool(!opts->unmasked));
	js_add(object, "files", js_size(told->files));
	js_add(object, "unreadable", js_size(told->unreadable));
	js_add(object, "asleep", js_size(told->asleep));
	js_add(object, "cut", js_size(told->cut));
	js_print(object);
}

static void print_text(const char *file, const struct weir_host_capture_opts *opts,
		       const struct weir_host_captured *told)
{
	say("%s: %u files, %s", file, told->files,
	    opts->unmasked ? "with addresses, UUIDs and serial numbers" : "addresses, UUIDs and "
	    "serial numbers masked");
	if (told->unreadable)
		say("%u more can't be read; the same with 'weir -v capture --force' tells which",
		    told->unreadable);
	if (told->cut)
		say("the config space of %u functions is cut to its header; run as root",
		    told->cut);
	if (told->asleep)
		say("%u functions sleep, and their config space wasn't read; --wake does that",
		    told->asleep);
}

int cmd_capture(int argc, char **argv)
{
	struct weir_host_capture_opts opts = { 0 };
	struct weir_host_captured told;
	struct options options = { 0 };
	const struct own_option own[] = {
		{ .name = "root", .value = &options.root },
		{ .name = "unmasked", .flag = &opts.unmasked },
		{ .name = "wake", .flag = &opts.wake },
		{ .name = "force", .flag = &opts.force },
	};
	int status;

	status = read_own_options(argc, argv, own, sizeof(own) / sizeof(own[0]), usage, &options);
	if (status != GO_ON)
		return status;
	if (optind == argc)
		return fail("capture needs the name of the file that it is to make; see 'weir "
			    "capture --help'");
	if (!strcmp(argv[optind], "-"))
		return fail("capture writes no archive to stdout; './-' is a file of that name");
	if (argc - optind > 1)
		return fail("capture makes one file, so '%s' is too much", argv[optind + 1]);
	status = weir_host_capture(options.root, argv[optind], &opts, &told);
	if (status < 0)
		return fail("%s", weir_errmsg());
	if (options.json)
		print_json(argv[optind], &opts, &told);
	else
		print_text(argv[optind], &opts, &told);
	return EXIT_YES;
}
