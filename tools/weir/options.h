/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_OPTIONS_H
#define WEIR_TOOL_OPTIONS_H

#include <getopt.h>	/* optind */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The options that verbs have in common. */
struct options {
	bool json;
	const char *root;	/* NULL: this machine */
	bool unsafe_noiommu;	/* consent to a device that no IOMMU holds back */
	const char *window;	/* that is to be made: window.h; NULL: none */
};

/* Those of them that not every verb takes. */
#define TAKES_ROOT	1u
#define TAKES_UNSAFE	2u
#define TAKES_WINDOW	4u

/* What a verb that opens a device says of it. */
#define UNSAFE_USAGE "      --unsafe-noiommu\n"                                                    \
		     "                  even if no IOMMU holds it back: then it can read and\n"    \
		     "                  write all of the machine's memory\n"

#define GO_ON (-1)

/*
 * Read a verb's options, up to argv[optind]. @takes: TAKES_… @usage: what --help prints. Returns
 * GO_ON, or the exit status when there is nothing more to do.
 */
int read_options(int argc, char **argv, unsigned int takes, const char *usage,
		 struct options *options);

/* An option of a verb's own: with a value, or without. */
struct own_option {
	const char *name;	/* without the dashes */
	const char **value;	/* where the value goes; or NULL, and then */
	bool *flag;		/* what becomes true */
	size_t *count;		/* NULL, or how often it came: up to OPTION_TIMES, and its values
				 * go to value[0] and on */
};

#define OPTION_TIMES 16

#define OWN_OPTIONS_MAX 16

/* As read_options(), with @n options of the verb's own instead of --root. */
int read_own_options(int argc, char **argv, const struct own_option *own, size_t n,
		     const char *usage, struct options *options);

/*
 * A number that was given as text: decimal or 0x…, with K, M, G or T for powers of 1024 behind it.
 * Returns false, and says so in the name of @verb and @option, when it is none.
 */
bool read_number(const char *verb, const char *option, const char *text, uint64_t *number);

#endif
