/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "out.h"
#include "weir.h"

/* getopt_long() has said '?' or ':': say which option is wrong. */
static int fail_option(int said, char **argv)
{
	const char *option = argv[optind - 1];

	if (said == ':')
		return fail("%s: %s needs a value; see 'weir %s --help'", argv[0], option, argv[0]);
	/*
	 * getopt() names a short one. It names a long one too when that came with a value that it
	 * doesn't take; argv then still has it, while a short one among others (-xy) isn't there.
	 */
	if (optopt && (strncmp(option, "--", 2) || !strchr(option, '=')))
		return fail("%s: there is no option -%c; see 'weir %s --help'", argv[0], optopt,
			    argv[0]);
	return fail("%s: there is no option %s; see 'weir %s --help'", argv[0], option, argv[0]);
}

int read_options(int argc, char **argv, bool rooted, const char *usage, struct options *options)
{
	static const struct option known[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "root", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct option unrooted[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	int said;

	opterr = 0;
	while ((said = getopt_long(argc, argv, ":h", rooted ? known : unrooted, NULL)) != -1) {
		switch (said) {
		case 'h':
			puts(usage);
			return EXIT_YES;
		case 'j':
			options->json = true;
			break;
		case 'r':
			options->root = optarg;
			break;
		default:
			return fail_option(said, argv);
		}
	}
	return GO_ON;
}
