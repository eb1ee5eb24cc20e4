/* SPDX-License-Identifier: MIT */
/* Whole files and folders below a root, and words and numbers of their text. No messages. */
#ifndef WR_HOST_TEXT_H
#define WR_HOST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_LINE_MAX 512

/* Of /proc/cmdline, several times what the kernel takes anywhere (COMMAND_LINE_SIZE). */
#define WR_CMDLINE_MAX (64 << 10)

/*
 * All of an open file, /dev/kmsg too, with a NUL behind it. Returns 0, or -errno: -EFBIG when it is
 * larger than @max, and then its first @max bytes are there; free() *@data, which else is NULL.
 */
int wr_read_all(int fd, size_t max, char **data, size_t *len);

/*
 * The beginning of a file, up to @max bytes, as text: NULs, as in /proc/PID/cmdline, are blanks.
 * Returns its length, or -errno; free() *@text, which is NULL then.
 */
int wr_load(const char *root, const char *path, size_t max, char **text);

/*
 * The names in a folder that match a pattern as fnmatch(3) has it, without those that begin with a
 * dot if it doesn't. Closes @fd. Returns their number, or -errno.
 */
int wr_read_names(int fd, const char *pattern, char ***names);
/* All of them, "node2" before "node10". */
int wr_names(const char *root, const char *path, char ***names);
void wr_names_free(char **names, int n);

/* The first line of @text with @needle in it, which may be any when NULL; or false. */
bool wr_line(const char *text, const char *needle, char line[WR_LINE_MAX]);

/*
 * A word of the kernel's command line by its beginning, '-' and '_' being the same there
 * (parameq() in kernel/params.c): what follows goes to @value. The last one if there are several,
 * or false.
 */
bool wr_word(const char *text, const char *key, char value[WR_LINE_MAX]);
/* What follows all of them, as one list: options with a parser of their own (__setup() and
 * early_param()) have it called for each. */
bool wr_words(const char *text, const char *key, char list[WR_LINE_MAX]);

/*
 * The one that is given last of such @options, "key=item" each and NULL behind them: "a=x,y a=z"
 * gives "a=x", "a=y" and "a=z", and with any item "a=". NULL: none is given.
 */
const char *wr_last_option(const char *text, const char *const *options);

/*
 * Whether what was read may become part of a command that somebody is told to run: nothing in it is
 * more than a letter to a shell, and it is no option.
 */
bool wr_is_plain(const char *name);

/* Whether a list "a,b,c" holds @item. */
bool wr_listed(const char *list, const char *item);

/*
 * A list that is part of a sentence. It may get hundreds of items, and their number is what counts
 * then: @text has the first few, each of them whole, and how many there are beside these.
 */
#define WR_FEW 8

struct wr_few {
	char text[512];		/* "A, B and 21 more"; "" without any */
	unsigned int n;		/* all items */
	unsigned int shown;	/* those in @text */
	size_t len;		/* of these */
};

void wr_few_add(struct wr_few *few, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Hexadecimal digits, and the same behind "0x": @text goes to what follows. False: there are none,
 * or too many. */
bool wr_hex(const char **text, uint64_t *value);
bool wr_hex_0x(const char **text, uint64_t *value);

#endif
