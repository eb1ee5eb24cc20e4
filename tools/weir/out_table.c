/* SPDX-License-Identifier: MIT */
/* Tables, by libsmartcols: an out_table is its table, an out_row its line. */
#include <libsmartcols/libsmartcols.h>

#include "out.h"
#include "out_parts.h"

struct out_table *table_new(const struct column *columns, size_t n, bool headings)
{
	struct libscols_table *table = need(scols_new_table());

	scols_table_enable_noheadings(table, !headings);
	scols_table_enable_colors(table, coloured());
	for (size_t i = 0; i < n; i++) {
		int flags = (columns[i].cut ? SCOLS_FL_TRUNC : 0) |
			    (columns[i].wrap ? SCOLS_FL_WRAP : 0) |
			    (columns[i].right ? SCOLS_FL_RIGHT : 0) |
			    (columns[i].tree ? SCOLS_FL_TREE : 0);
		struct libscols_column *column =
			need(scols_table_new_column(table, columns[i].name, 0, flags));

		if (headings && coloured())
			scols_cell_set_color(scols_column_get_header(column), "bold");
	}
	return (struct out_table *)table;
}

struct out_row *table_row(struct out_table *table)
{
	return table_child(table, NULL);
}

struct out_row *table_child(struct out_table *table, struct out_row *parent)
{
	return need(scols_table_new_line((struct libscols_table *)table,
					 (struct libscols_line *)parent));
}

void table_cell(struct out_row *row, size_t column, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	if (scols_line_refer_data((struct libscols_line *)row, column, text))
		no_memory();
}

void table_colour(struct out_row *row, size_t column, const char *colour)
{
	scols_cell_set_color(scols_line_get_cell((struct libscols_line *)row, column), colour);
}

void table_print(struct out_table *plain)
{
	struct libscols_table *table = (struct libscols_table *)plain;

	if (scols_table_get_nlines(table) && scols_print_table(table))
		no_memory();
	scols_unref_table(table);
}
