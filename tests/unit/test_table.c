/* SPDX-License-Identifier: MIT */
/* Tables on a terminal: a process of its own, whose stdout is a pty of some width. */
#include <locale.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "out.h"
#include "weir.h"

#include <cmocka.h>

#include "tree.h"
#include "verb.h"

#define PORT "0000:00:01.0"
#define ADDR "0000:01:00.0"
#define UMLAUT "M\xc3\xbcller GmbH"

/* A child prints for ever only if it is broken; then it must not do so for long. */
#define SECONDS 60

struct screen {
	char text[65536];
	size_t lines;
	char *line[1024];
};

static int new_tree(void **state)
{
	*state = tree_new();
	tree_function(*state, PORT);
	tree_function(*state, ADDR);
	tree_attr_link(*state, ADDR, "driver", "drivers/snd_hda_intel");
	tree_attr_link(*state, ADDR, "iommu", "iommu/dmar0");
	tree_attr_link(*state, ADDR, "iommu_group", "groups/14");
	tree_text(*state, "usr/share/misc/pci.ids",
		  "1234  " UMLAUT "\n\t11e8  Grafikkarte mit Zubeh\xc3\xb6r und Kabeln\n"
		  "C 00  Unclassified device\n\tff  Unassigned class\n");
	return 0;
}

static int free_tree(void **state)
{
	tree_free(*state);
	return 0;
}

/* What a terminal shows of it, line by line, with what a program of that locale prints. */
static void show(struct screen *screen, const char *locale, unsigned short width,
		 void (*print)(const char *root), const char *root)
{
	const struct winsize size = { .ws_row = 50, .ws_col = width };
	size_t len = 0;
	ssize_t got;
	int master, status;
	pid_t child = forkpty(&master, NULL, NULL, &size);

	assert_true(child >= 0);
	if (!child) {
		alarm(SECONDS);
		unsetenv("COLUMNS");
		setenv("NO_COLOR", "1", 1);
		if (!setlocale(LC_CTYPE, locale))
			_exit(3);
		print(root);
		_exit(fflush(stdout) ? 4 : 0);
	}
	while ((got = read(master, screen->text + len, sizeof(screen->text) - 1 - len)) > 0)
		len += (size_t)got;
	screen->text[len] = '\0';
	assert_int_equal(waitpid(child, &status, 0), child);
	close(master);
	assert_int_equal(status, 0);
	screen->lines = 0;
	for (char *save, *line = strtok_r(screen->text, "\r\n", &save); line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		assert_true(screen->lines < ARRAY_SIZE(screen->line));
		screen->line[screen->lines++] = line;
	}
}

/* In characters, each of which is one column wide here. */
static size_t width_of(const char *line)
{
	size_t width = 0;

	for (; *line; line++)
		width += (*line & 0xc0) != 0x80;
	return width;
}

static void assert_fits(const struct screen *screen, size_t width)
{
	for (size_t i = 0; i < screen->lines; i++)
		if (width_of(screen->line[i]) > width)
			fail_msg("wider than %zu: %s", width, screen->line[i]);
}

static void assert_shows(const struct screen *screen, const char *part, bool expected)
{
	bool shown = false;

	for (size_t i = 0; i < screen->lines; i++)
		shown |= !!strstr(screen->line[i], part);
	if (shown != expected)
		fail_msg("'%s' is%s there, as in: %s", part, shown ? "" : "n't", screen->line[0]);
}

/* ---- wrapped ---- */

#define PROSE "'weir bind --group 0000:01:00.0' takes them, too; give all of them to the same " \
	      "owner, which has to have them open as well, and add hugepages=N to the kernel's " \
	      "command line in the boot loader's configuration"

static void print_prose(const char *text)
{
	static const struct column columns[] = {
		{ .name = "CHECK" }, { .name = "FINDING", .wrap = true },
		{ .name = "NOTE", .wrap = true },
	};
	struct out_table *table = table_new(columns, ARRAY_SIZE(columns), true);
	struct out_row *row = table_row(table);

	table_cell(row, 0, "reset-siblings");
	table_cell(row, 1, "%s", text);
	table_cell(row, 2, "short");
	row = table_row(table);
	table_cell(row, 0, "kvm");
	table_cell(row, 1, "none");
	table_print(table);
}

/* A column of the lines that go on below a row, put together again. */
static void join(const struct screen *screen, size_t from, size_t column, size_t width, char *out)
{
	*out = '\0';
	for (size_t i = from; i < screen->lines && screen->line[i][0] != 'k'; i++) {
		char part[256];
		size_t len;

		snprintf(part, sizeof(part), "%.*s", (int)width,
			 strlen(screen->line[i]) > column ? screen->line[i] + column : "");
		len = strlen(part);
		while (len && part[len - 1] == ' ')
			part[--len] = '\0';
		sprintf(out + strlen(out), "%s%s", *out ? " " : "", part);
	}
}

static void test_wraps_at_blanks(void **state)
{
	static const unsigned short widths[] = { 200, 80, 60 };
	static struct screen screen;
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		unsigned short width = widths[i];

		show(&screen, "C", width, print_prose, PROSE);
		assert_fits(&screen, width);
		assert_int_equal(screen.lines > 4, width < 200);
		join(&screen, 1, strlen("reset-siblings "), width - strlen("reset-siblings  short"),
		     text);
		assert_string_equal(text, PROSE);
		/* What is in one line stays beside the others' first. */
		assert_string_equal(strrchr(screen.line[1], ' '), " short");
	}
}

/* None of a word that is longer than a line is lost, and the next word begins a line. */
static void test_wraps_long_words(void **state)
{
	static const char path[] = "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/power_state";
	static struct screen screen;
	char text[1024], *at = text;

	(void)state;
	show(&screen, "C", 40, print_prose, path);
	assert_fits(&screen, 40);
	join(&screen, 1, strlen("reset-siblings "), 40 - strlen("reset-siblings  short"), text);
	for (const char *c = path; *c; c++, at++) {
		at += *at == ' ';
		assert_int_equal(*at, *c);
	}
	/* Narrower than any table, it ends all the same. */
	show(&screen, "C", 1, print_prose, PROSE);
	assert_shows(&screen, "reset-siblings", true);
}

#define UMLAUTS UMLAUT " " UMLAUT " " UMLAUT " " UMLAUT " " UMLAUT

static void wrap_umlauts(const char *locale, const char *shown)
{
	static struct screen screen;

	for (unsigned short width = 30; width <= 120; width++) {
		show(&screen, locale, width, print_prose, UMLAUTS);
		assert_shows(&screen, shown, true);
		if (width >= 40)
			assert_fits(&screen, width);
	}
}

/* What the locale can't show is shown byte by byte, and wrapped as that. */
static void test_wraps_bytes(void **state)
{
	(void)state;
	wrap_umlauts("C", "M\\xc3\\xbcl");
}

static void test_wraps_utf8(void **state)
{
	(void)state;
	wrap_umlauts("C.UTF-8", "M\xc3\xbcl");
}

static void run_verb(int (*verb)(int, char **), const char *name, const char *root)
{
	char option[] = "--root";
	char *argv[] = { (char *)name, option, (char *)root, NULL };

	verb(3, argv);
}

static void print_doctor(const char *root)
{
	run_verb(cmd_doctor, "doctor", root);
}

/* The real command's: all that is copied from it is in one piece. */
static void test_doctor(void **state)
{
	static const unsigned short widths[] = { 80, 60 };
	static struct screen screen;
	size_t verdict;

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		show(&screen, "C", widths[i], print_doctor, *state);
		/* The last line is no table's. */
		verdict = --screen.lines;
		assert_non_null(strstr(screen.line[verdict], "this machine"));
		assert_fits(&screen, widths[i]);
		assert_shows(&screen, "/proc/sys/vm/nr_hugepages", true);
		assert_shows(&screen, "CONFIG_IOMMUFD", true);
		assert_shows(&screen, "\\x", false);
	}
}

/* ---- cut, left out ---- */

static void print_list(const char *root)
{
	run_verb(cmd_list, "list", root);
}

static void test_list(void **state)
{
	static struct screen screen;

	show(&screen, "C", 200, print_list, *state);
	assert_string_equal(screen.line[0], "ADDRESS      ID        GROUP IOMMU NUMA DRIVER        "
			    "VFIO CLASS            NAME");
	assert_shows(&screen, " und Kabeln", true);
	show(&screen, "C", 80, print_list, *state);
	assert_fits(&screen, 80);
	assert_string_equal(screen.line[0], "ADDRESS      ID        GROUP DRIVER        "
			    "CLASS            NAME");
	assert_shows(&screen, "M\\xc3\\xbcller Gmb...", true);
	show(&screen, "C", 60, print_list, *state);
	assert_fits(&screen, 60);
	assert_string_equal(screen.line[0], "ADDRESS      ID        GROUP DRIVER        NAME");
	assert_shows(&screen, "M\\xc3\\xbcller ...", true);
	/* Narrower than what is never left out. */
	show(&screen, "C", 20, print_list, *state);
	assert_shows(&screen, "M\\xc3...", true);
}

static void test_list_in_utf8(void **state)
{
	static struct screen screen;

	show(&screen, "C.UTF-8", 80, print_list, *state);
	assert_fits(&screen, 80);
	assert_shows(&screen, UMLAUT " Grafikk\xe2\x80\xa6", true);
	show(&screen, "C.UTF-8", 60, print_list, *state);
	assert_fits(&screen, 60);
	assert_shows(&screen, UMLAUT " Graf\xe2\x80\xa6", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wraps_at_blanks),
		cmocka_unit_test(test_wraps_long_words),
		cmocka_unit_test(test_wraps_bytes),
		cmocka_unit_test(test_wraps_utf8),
		cmocka_unit_test_setup_teardown(test_doctor, new_tree, free_tree),
		cmocka_unit_test_setup_teardown(test_list, new_tree, free_tree),
		cmocka_unit_test_setup_teardown(test_list_in_utf8, new_tree, free_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
