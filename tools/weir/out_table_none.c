/* SPDX-License-Identifier: MIT */
/* Tables without libsmartcols: aligned, but not fitted to the terminal, and without colours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "out_parts.h"

struct out_row {
	struct out_row *next;
	int depth;
	char *cells[];		/* one for each column; NULL: empty */
};

struct out_table {
	const struct column *columns;
	size_t n;
	bool headings;
	struct out_row *first, **end;
};

struct out_table *table_new(const struct column *columns, size_t n, bool headings)
{
	struct out_table *table = need(malloc(sizeof(*table)));

	*table = (struct out_table){ .columns = columns, .n = n, .headings = headings };
	table->end = &table->first;
	return table;
}

struct out_row *table_row(struct out_table *table)
{
	return table_child(table, NULL);
}

struct out_row *table_child(struct out_table *table, struct out_row *parent)
{
	struct out_row *row = need(calloc(1, sizeof(*row) + table->n * sizeof(row->cells[0])));

	row->depth = parent ? parent->depth + 1 : 0;
	*table->end = row;
	table->end = &row->next;
	return row;
}

void table_cell(struct out_row *row, size_t column, const char *fmt, ...)
{
	va_list ap;

	free(row->cells[column]);
	va_start(ap, fmt);
	row->cells[column] = format(fmt, ap);
	va_end(ap);
}

void table_colour(struct out_row *row, size_t column, const char *colour)
{
	(void)row, (void)column, (void)colour;
}

static const char *text_of(const struct out_table *table, const struct out_row *row, size_t column)
{
	const char *text = row ? row->cells[column] : table->columns[column].name;

	return text ? text : "";
}

/* What a column that shows the tree has in front of its text. */
static int indent_of(const struct out_table *table, const struct out_row *row, size_t column)
{
	return row && table->columns[column].tree ? 2 * row->depth : 0;
}

/* @row: NULL for the headings. The last column isn't filled up. */
static void print_row(const struct out_table *table, const struct out_row *row, const int *widths)
{
	for (size_t i = 0; i < table->n; i++) {
		bool fill = table->columns[i].right || i + 1 < table->n;
		int indent = indent_of(table, row, i), width = widths[i] - indent;

		if (!table->columns[i].right)
			width = -width;
		printf("%s%*s%*s", i ? " " : "", indent, "", fill ? width : 0,
		       text_of(table, row, i));
	}
	putchar('\n');
}

void table_print(struct out_table *table)
{
	int *widths = need(calloc(table->n + 1, sizeof(*widths)));
	struct out_row *row;

	for (size_t i = 0; i < table->n; i++) {
		widths[i] = table->headings ? (int)strlen(text_of(table, NULL, i)) : 0;
		for (row = table->first; row; row = row->next)
			if (indent_of(table, row, i) + (int)strlen(text_of(table, row, i)) >
			    widths[i])
				widths[i] = indent_of(table, row, i) +
					    (int)strlen(text_of(table, row, i));
	}
	if (table->headings && table->first)
		print_row(table, NULL, widths);
	while ((row = table->first)) {
		print_row(table, row, widths);
		table->first = row->next;
		for (size_t i = 0; i < table->n; i++)
			free(row->cells[i]);
		free(row);
	}
	free(widths);
	free(table);
}
