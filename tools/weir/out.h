/* SPDX-License-Identifier: MIT */
/*
 * What verbs share to speak: sentences, tables for people, JSON for programs. All text that goes
 * out passes clean(). Memory that runs out ends the command: there is nothing to undo here.
 */
#ifndef WEIR_TOOL_OUT_H
#define WEIR_TOOL_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;	/* json-c's */
struct out_row;
struct out_table;

/* Print "weir: SENTENCE" to stderr; returns EXIT_UNKNOWN. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print one line to stdout. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print a heading to stdout. */
void say_heading(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Whether colours are wanted: on a terminal that has them, unless NO_COLOR says otherwise. */
bool coloured(void);

/* Flush stdout at the end; returns @status, or EXIT_UNKNOWN when the output didn't get out. */
int finish(int status);

/* "4 KiB", "96 MiB", "12345 B": exact, in the greatest unit that divides it. */
#define SIZE_TEXT_MAX 32
const char *size_text(uint64_t bytes, char buf[SIZE_TEXT_MAX]);

#define COLUMN_SPARES 4	/* the greatest number in .spare */

struct column {
	const char *name;
	bool cut;	/* may be cut where the terminal is narrow */
	bool wrap;	/* goes on in further lines there, broken at blanks */
	unsigned int spare;	/* left out there, the one with 1 first; 0: never */
	bool right;
	bool tree;	/* shows which row is below which */
};

/* Of @columns, which must live as long as the table. */
struct out_table *table_new(const struct column *columns, size_t n, bool headings);
struct out_row *table_row(struct out_table *table);
/* A row below another one, in a table with a column that shows that. */
struct out_row *table_child(struct out_table *table, struct out_row *parent);
void table_cell(struct out_row *row, size_t column, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "-" for a negative number. */
void table_number(struct out_row *row, size_t column, int number);
/* @colour: a name that smartcols knows ("green"). */
void table_colour(struct out_row *row, size_t column, const char *colour);
/* Print the table and free it. */
void table_print(struct out_table *table);

/* Whether there is JSON: not without json-c. */
bool js_there(void);

struct json_object *js_object(void);
struct json_object *js_list(void);
/* null for NULL and "". */
struct json_object *js_text(const char *text);
struct json_object *js_hex(uint64_t value, int digits);
struct json_object *js_size(uint64_t value);
/* null for a negative number. */
struct json_object *js_number(int value);
struct json_object *js_bool(bool value);
/* With two digits behind the point. */
struct json_object *js_real(double value);
void js_add(struct json_object *object, const char *key, struct json_object *value);
void js_append(struct json_object *list, struct json_object *value);
/* Print the value and free it; or free it alone. */
void js_print(struct json_object *value);
void js_free(struct json_object *value);

#endif
