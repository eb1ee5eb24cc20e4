/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "out.h"
#include "weir.h"

/* What getopt_long() says for an option of a verb's own: no character. */
#define OWN 256

/* getopt_long() has said '?' or ':': say which option is wrong. */
static int fail_option(int said, char **argv)
{
	const char *option = argv[optind - 1];

	if (said == '?' && (optopt == 'v' || !strcmp(option, "--verbose")))
		return fail("%s: -v comes before the verb: 'weir -v %s'", argv[0], argv[0]);
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

static bool take_own(const struct own_option *own)
{
	if (!own->value)
		*own->flag = true;
	else if (!own->count)
		*own->value = optarg;
	else if (*own->count == OPTION_TIMES)
		return false;
	else
		own->value[(*own->count)++] = optarg;
	return true;
}

int read_own_options(int argc, char **argv, const struct own_option *own, size_t n,
		     const char *usage, struct options *options)
{
	struct option known[OWN_OPTIONS_MAX + 3] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
	};
	int said, which;

	for (size_t i = 0; i < n && i < OWN_OPTIONS_MAX; i++)
		known[i + 2] = (struct option){ own[i].name, own[i].value ? required_argument :
						no_argument, NULL, OWN };
	opterr = 0;
	while ((said = getopt_long(argc, argv, ":h", known, &which)) != -1) {
		switch (said) {
		case 'h':
			puts(usage);
			return EXIT_YES;
		case 'j':
			if (!js_there())
				return fail("%s: weir was built without json-c, so there is no "
					    "--json", argv[0]);
			options->json = true;
			break;
		case OWN:
			/* As from a script whose variable isn't set: "" would be this machine. */
			if (!strcmp(own[which - 2].name, "root") && !*optarg)
				return fail("%s: --root is empty", argv[0]);
			if (!take_own(&own[which - 2]))
				return fail("%s: --%s is there more than %d times", argv[0],
					    own[which - 2].name, OPTION_TIMES);
			break;
		default:
			return fail_option(said, argv);
		}
	}
	return GO_ON;
}

int read_options(int argc, char **argv, unsigned int takes, const char *usage,
		 struct options *options)
{
	struct own_option own[3];
	size_t n = 0;

	if (takes & TAKES_ROOT)
		own[n++] = (struct own_option){ .name = "root", .value = &options->root };
	if (takes & TAKES_UNSAFE)
		own[n++] = (struct own_option){ .name = "unsafe-noiommu",
						.flag = &options->unsafe_noiommu };
	if (takes & TAKES_WINDOW)
		own[n++] = (struct own_option){ .name = "window", .value = &options->window };
	return read_own_options(argc, argv, own, n, usage, options);
}

bool read_number(const char *verb, const char *option, const char *text, uint64_t *number)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	int shift = 0;

	errno = 0;
	*number = strtoull(text, &end, 0);
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		shift = 10 * (int)(unit - units + 1);
		end++;
	}
	if (!isdigit((unsigned char)*text) || *end || errno || *number > UINT64_MAX >> shift) {
		fail("%s: --%s %s: that isn't a number, with K, M, G or T behind it or "
		     "none", verb, option, text);
		return false;
	}
	*number <<= shift;
	return true;
}
