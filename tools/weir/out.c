/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "out.h"
#include "out_parts.h"
#include "weir.h"

#define BOLD "\033[1m"
#define PLAIN "\033[0m"

void no_memory(void)
{
	fputs("weir: no memory left\n", stderr);
	exit(EXIT_UNKNOWN);
}

void *need(void *ptr)
{
	if (!ptr)
		no_memory();
	return ptr;
}

char *format(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		no_memory();
	return clean(text);
}

int fail(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	/* What was printed so far comes first where both go to one place. */
	fflush(stdout);
	fprintf(stderr, "weir: %s\n", text);
	free(text);
	return EXIT_UNKNOWN;
}

void say(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	puts(text);
	free(text);
}

void say_heading(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	if (coloured())
		printf(BOLD "%s" PLAIN "\n", text);
	else
		puts(text);
	free(text);
}

bool coloured(void)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") && !(no_color && *no_color);
}

int finish(int status)
{
	if (fflush(stdout) || ferror(stdout))
		return fail("the output can't be written: %s", strerror(errno));
	return status;
}

void table_number(struct out_row *row, size_t column, int number)
{
	if (number < 0)
		table_cell(row, column, "-");
	else
		table_cell(row, column, "%d", number);
}

const char *size_text(uint64_t bytes, char buf[SIZE_TEXT_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t unit = 0;

	while (bytes && !(bytes % 1024) && unit < sizeof(units) / sizeof(units[0]) - 1) {
		bytes /= 1024;
		unit++;
	}
	snprintf(buf, SIZE_TEXT_MAX, "%llu %s", (unsigned long long)bytes, units[unit]);
	return buf;
}
