/* SPDX-License-Identifier: MIT */
/* A verb of the command, run in this process, with its output caught. Behind cmocka.h. */
#ifndef VERB_H
#define VERB_H

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/capture.h"
#include "weir.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct outcome {
	int status;
	char out[65536];
	char err[4096];
};

/* The arguments end with a NULL; getopt() may change their order. */
static inline struct outcome run(int (*verb)(int, char **), ...)
{
	static struct outcome outcome;
	char *argv[16];
	struct capture out, err;
	int argc = 0;
	va_list ap;

	va_start(ap, verb);
	do {
		assert_true((size_t)argc < ARRAY_SIZE(argv));
		argv[argc] = va_arg(ap, char *);
	} while (argv[argc++]);
	va_end(ap);
	out = capture(stdout);
	err = capture(stderr);
	optind = 0;
	outcome.status = verb(argc - 1, argv);
	captured(&out, outcome.out, sizeof(outcome.out));
	captured(&err, outcome.err, sizeof(outcome.err));
	return outcome;
}

/* Exit status 2, nothing on stdout, one sentence on stderr that has @part in it. */
static inline void assert_complaint(const struct outcome *outcome, const char *part)
{
	assert_int_equal(outcome->status, EXIT_UNKNOWN);
	assert_string_equal(outcome->out, "");
	assert_int_equal(strncmp(outcome->err, "weir: ", 6), 0);
	assert_ptr_equal(strchr(outcome->err, '\n'), outcome->err + strlen(outcome->err) - 1);
	if (!strstr(outcome->err, part))
		fail_msg("'%s' isn't in: %s", part, outcome->err);
}

#endif
