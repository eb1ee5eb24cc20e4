/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_OPTIONS_H
#define WEIR_TOOL_OPTIONS_H

#include <getopt.h>	/* optind */
#include <stdbool.h>

/* The options that verbs have in common. */
struct options {
	bool json;
	const char *root;	/* NULL: this machine */
};

#define GO_ON (-1)

/*
 * Read a verb's options, up to argv[optind]. @rooted: it takes --root. @usage: what --help prints.
 * Returns GO_ON, or the exit status when there is nothing more to do.
 */
int read_options(int argc, char **argv, bool rooted, const char *usage, struct options *options);

#endif
