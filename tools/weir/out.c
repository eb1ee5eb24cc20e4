/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "out.h"
#include "weir.h"

#define BOLD "\033[1m"
#define PLAIN "\033[0m"

static void no_memory(void) __attribute__((noreturn));

static void no_memory(void)
{
	fputs("weir: no memory left\n", stderr);
	exit(EXIT_UNKNOWN);
}

static void *need(void *ptr)
{
	if (!ptr)
		no_memory();
	return ptr;
}

static char *format(const char *fmt, va_list ap)
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

struct libscols_table *table_new(const struct column *columns, size_t n, bool headings)
{
	struct libscols_table *table = need(scols_new_table());

	scols_table_enable_noheadings(table, !headings);
	scols_table_enable_colors(table, coloured());
	for (size_t i = 0; i < n; i++) {
		int flags = (columns[i].cut ? SCOLS_FL_TRUNC : 0) |
			    (columns[i].wrap ? SCOLS_FL_WRAP : 0) |
			    (columns[i].right ? SCOLS_FL_RIGHT : 0);
		struct libscols_column *column =
			need(scols_table_new_column(table, columns[i].name, 0, flags));

		if (headings && coloured())
			scols_cell_set_color(scols_column_get_header(column), "bold");
	}
	return table;
}

struct libscols_line *table_row(struct libscols_table *table)
{
	return need(scols_table_new_line(table, NULL));
}

void table_cell(struct libscols_line *row, size_t column, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	if (scols_line_set_data(row, column, text))
		no_memory();
	free(text);
}

void table_colour(struct libscols_line *row, size_t column, const char *colour)
{
	scols_cell_set_color(scols_line_get_cell(row, column), colour);
}

void table_print(struct libscols_table *table)
{
	if (scols_table_get_nlines(table) && scols_print_table(table))
		no_memory();
	scols_unref_table(table);
}

struct json_object *js_object(void)
{
	return need(json_object_new_object());
}

struct json_object *js_list(void)
{
	return need(json_object_new_array());
}

struct json_object *js_text(const char *text)
{
	struct json_object *value;
	char *copy;

	if (!text || !*text)
		return NULL;
	copy = clean(need(strdup(text)));
	value = need(json_object_new_string(copy));
	free(copy);
	return value;
}

struct json_object *js_hex(uint64_t value, int digits)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%0*llx", digits, (unsigned long long)value);
	return need(json_object_new_string(text));
}

struct json_object *js_size(uint64_t value)
{
	return need(json_object_new_uint64(value));
}

struct json_object *js_number(int value)
{
	return value < 0 ? NULL : need(json_object_new_int(value));
}

struct json_object *js_real(double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%.2f", value);
	return need(json_object_new_double_s(value, text));
}

struct json_object *js_bool(bool value)
{
	return need(json_object_new_boolean(value));
}

void js_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value))
		no_memory();
}

void js_append(struct json_object *list, struct json_object *value)
{
	if (json_object_array_add(list, value))
		no_memory();
}

void js_print(struct json_object *value)
{
	puts(need((void *)json_object_to_json_string_ext(value, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_SPACED |
						      JSON_C_TO_STRING_NOSLASHESCAPE)));
	json_object_put(value);
}
