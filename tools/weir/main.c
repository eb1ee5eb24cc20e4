/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "clean.h"
#include "out.h"
#include "weir.h"

/* In the order in which one comes to need them: look, take, drive, measure. */
static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "list", cmd_list, "the machine's PCI functions" },
	{ "groups", cmd_groups, "IOMMU groups: what they are, why, and what would be if" },
	{ "doctor", cmd_doctor, "why a device can't be given away, and the cure" },
	{ "report", cmd_report, "a page about what this machine can give away" },
	{ "capture", cmd_capture, "all that is read of a machine, in one file" },
	{ "info", cmd_info, "all about one device" },
	{ "bind", cmd_bind, "give devices from their drivers to vfio-pci" },
	{ "release", cmd_release, "and give them back" },
	{ "selftest", cmd_selftest, "drive a device and see that it can do only what it may" },
	{ "nvme", cmd_nvme, "identify, read, write and measure an NVMe controller" },
	{ "eeh", cmd_eeh, "on POWER: whether a device is stopped, and have it back" },
	{ "bench", cmd_bench, "what weir itself costs, beside the limit of the machine" },
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static void usage(FILE *to)
{
	fputs("usage: weir [-v] VERB [OPTION...] [DEVICE]\n"
	      "\n"
	      "Gives a PCI device to a userspace driver or a guest, safely.\n"
	      "\n", to);
	for (size_t i = 0; i < VERBS; i++)
		fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].help);
	fputs("\n"
	      "  -v, --verbose  say what is decided and why\n"
	      "      --version  print weir's version\n"
	      "  -h, --help     this text; 'weir help VERB' for one verb\n"
	      "\n"
	      "Exit status: 0 yes, 1 no, 2 could not tell.\n"
	      "\n"
	      "Example: weir selftest soft:edu\n", to);
}

/* May be called by several threads at once: one call prints one line. */
static void print_log(void *arg, enum weir_log_level level, const char *msg)
{
	char *text = strdup(msg);

	(void)arg;
	(void)level;
	if (text)
		fprintf(stderr, "weir: %s\n", clean(text));
	free(text);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	optind = 0;	/* getopt starts anew */
	return finish(verb->run(argc, argv));
}

static int no_verb(const char *name)
{
	return fail("there is no verb '%s'; 'weir help' lists them", name);
}

static int help(int argc, char **argv)
{
	char option[] = "--help";
	const struct verb *verb;

	if (argc < 2) {
		usage(stdout);
		return finish(EXIT_YES);
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return no_verb(argv[1]);
	return run(verb, 2, (char *[]){ argv[1], option, NULL });
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const struct verb *verb;
	int option;

	setlocale(LC_CTYPE, "");
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+hv", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			usage(stdout);
			return finish(EXIT_YES);
		case 'v':
			weir_log_set(print_log, NULL, WEIR_LOG_INFO);
			break;
		case 'V':
			say("weir %s", WEIR_VERSION);
			return finish(EXIT_YES);
		default:
			return fail("there is no option %s before the verb; see 'weir help'",
				    argv[optind - 1]);
		}
	}
	argc -= optind;
	argv += optind;
	if (!argc) {
		usage(stderr);
		return EXIT_UNKNOWN;
	}
	if (!strcmp(argv[0], "help"))
		return help(argc, argv);
	verb = find_verb(argv[0]);
	return verb ? run(verb, argc, argv) : no_verb(argv[0]);
}
