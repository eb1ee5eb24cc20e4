/* SPDX-License-Identifier: MIT */
/*
 * Tables, by libsmartcols: an out_row is its line. How wide columns are on a terminal is decided
 * here, since libsmartcols breaks lines in the middle of words, makes all columns that may be cut
 * narrow alike, down to nothing, and doesn't show where it cut.
 */
#include <langinfo.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "out.h"
#include "out_parts.h"

/* What is cut or wrapped has so much room before other columns are left out for it... */
#define ENOUGH 20
/* ...and this however narrow the terminal is. */
#define LEAST 10

struct out_table {
	struct libscols_table *table;
	const struct column *columns;
	size_t n;
};

struct out_table *table_new(const struct column *columns, size_t n, bool headings)
{
	struct out_table *table = need(malloc(sizeof(*table)));

	*table = (struct out_table){ .table = need(scols_new_table()), .columns = columns, .n = n };
	scols_table_enable_noheadings(table->table, !headings);
	scols_table_enable_colors(table->table, coloured());
	for (size_t i = 0; i < n; i++) {
		int flags = (columns[i].wrap ? SCOLS_FL_WRAP : 0) |
			    (columns[i].right ? SCOLS_FL_RIGHT : 0) |
			    (columns[i].tree ? SCOLS_FL_TREE : 0);
		struct libscols_column *column =
			need(scols_table_new_column(table->table, columns[i].name, 0, flags));

		if (columns[i].wrap && (scols_column_set_safechars(column, "\n") ||
					scols_column_set_wrapfunc(column, scols_wrapnl_chunksize,
								  scols_wrapnl_nextchunk, NULL)))
			no_memory();
		if (headings && coloured())
			scols_cell_set_color(scols_column_get_header(column), "bold");
	}
	return table;
}

struct out_row *table_row(struct out_table *table)
{
	return table_child(table, NULL);
}

struct out_row *table_child(struct out_table *table, struct out_row *parent)
{
	return need(scols_table_new_line(table->table, (struct libscols_line *)parent));
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

/* ---- what fits ---- */

/*
 * One character's bytes, and how wide it is. What the locale can't show, libsmartcols prints as
 * "\xe2", byte by byte.
 */
static size_t character(const char *text, size_t *width)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t len = mbrtowc(&c, text, strnlen(text, MB_CUR_MAX), &state);

	if (!len || len > MB_CUR_MAX || !iswprint((wint_t)c) || wcwidth(c) < 0) {
		*width = 4;
		return 1;
	}
	*width = (size_t)wcwidth(c);
	return len;
}

static size_t width_of(const char *text)
{
	size_t sum = 0, width;

	while (*text) {
		text += character(text, &width);
		sum += width;
	}
	return sum;
}

/* How many bytes of a text fit into a width; one character at least. */
static size_t that_fit(const char *text, size_t room)
{
	size_t at = 0, sum = 0, width, len;

	while (text[at]) {
		len = character(text + at, &width);
		if (at && sum + width > room)
			break;
		at += len;
		sum += width;
	}
	return at;
}

/* In lines, broken at blanks; a word that is longer than a line is broken where that ends. */
static char *wrapped(const char *text, size_t room)
{
	char *out = need(malloc(2 * strlen(text) + 1)), *to = out;

	for (;;) {
		size_t len = that_fit(text, room), line = len;

		if (text[len]) {
			while (line && text[line] != ' ')
				line--;
			len = line ? line + 1 : len;
			line = line ? line : len;
		}
		to = mempcpy(to, text, line);
		text += len;
		if (!*text)
			break;
		*to++ = '\n';
	}
	*to = '\0';
	return out;
}

/* What fits, and a mark that this isn't all. */
static char *cut(const char *text, size_t room)
{
	const char *mark = strcmp(nl_langinfo(CODESET), "UTF-8") ? "..." : "…";
	size_t len = that_fit(text, room - width_of(mark));
	char *out = need(malloc(len + strlen(mark) + 1));

	strcpy(mempcpy(out, text, len), mark);
	return out;
}

static const char *text_of(struct libscols_line *line, size_t column)
{
	const char *text = scols_cell_get_data(scols_line_get_cell(line, column));

	return text ? text : "";
}

/* What a column that shows the tree has in front of its text: two for each level. */
static size_t indent_of(struct libscols_line *line)
{
	size_t indent = 0;

	while ((line = scols_line_get_parent(line)))
		indent += 2;
	return indent;
}

static size_t natural_width(const struct out_table *table, size_t column)
{
	bool headings = !scols_table_is_noheadings(table->table);
	size_t widest = headings ? width_of(table->columns[column].name) : 0;
	struct libscols_iter *lines = need(scols_new_iter(SCOLS_ITER_FORWARD));
	struct libscols_line *line;

	while (!scols_table_next_line(table->table, lines, &line)) {
		size_t width = width_of(text_of(line, column));

		if (table->columns[column].tree)
			width += indent_of(line);
		if (width > widest)
			widest = width;
	}
	scols_free_iter(lines);
	return widest;
}

static bool yields(const struct column *column)
{
	return column->cut || column->wrap;
}

static bool is_shown(const struct out_table *table, size_t column)
{
	return !scols_column_is_hidden(scols_table_get_column(table->table, column));
}

/* How wide the table is, with a blank between columns and @most in those that yield. */
static size_t width_with(const struct out_table *table, const size_t *widths, size_t most)
{
	size_t sum = 0;

	for (size_t i = 0; i < table->n; i++)
		if (is_shown(table, i))
			sum += 1 + (yields(&table->columns[i]) && widths[i] > most ? most :
				    widths[i]);
	return sum ? sum - 1 : 0;
}

/* Those that matter least go first. */
static void leave_out(const struct out_table *table, const size_t *widths, size_t room)
{
	for (unsigned int order = 1; order <= COLUMN_SPARES; order++)
		for (size_t i = 0; i < table->n; i++)
			if (table->columns[i].spare == order &&
			    width_with(table, widths, ENOUGH) > room)
				scols_column_set_flags(scols_table_get_column(table->table, i),
						       SCOLS_FL_HIDDEN);
}

/* The most that each that yields may have, so that those which need less leave more to others. */
static size_t fair_share(const struct out_table *table, const size_t *widths, size_t room)
{
	size_t share = LEAST;

	while (share < room && width_with(table, widths, share + 1) <= room)
		share++;
	return share;
}

static void fit_column(const struct out_table *table, size_t column, size_t room)
{
	struct libscols_iter *lines = need(scols_new_iter(SCOLS_ITER_FORWARD));
	struct libscols_line *line;

	while (!scols_table_next_line(table->table, lines, &line)) {
		const char *text = text_of(line, column);

		if (width_of(text) > room &&
		    scols_line_refer_data(line, column, table->columns[column].wrap ?
					  wrapped(text, room) : cut(text, room)))
			no_memory();
	}
	scols_free_iter(lines);
}

static void fit(const struct out_table *table)
{
	size_t room = scols_table_get_termwidth(table->table), share;
	size_t *widths = need(calloc(table->n, sizeof(*widths)));

	for (size_t i = 0; i < table->n; i++)
		widths[i] = natural_width(table, i);
	leave_out(table, widths, room);
	share = fair_share(table, widths, room);
	for (size_t i = 0; i < table->n; i++)
		if (yields(&table->columns[i]) && is_shown(table, i) && widths[i] > share)
			fit_column(table, i, share);
	free(widths);
}

void table_print(struct out_table *table)
{
	if (isatty(STDOUT_FILENO))
		fit(table);
	if (scols_table_get_nlines(table->table) && scols_print_table(table->table))
		no_memory();
	scols_unref_table(table->table);
	free(table);
}
