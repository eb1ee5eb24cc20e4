/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/root.h"
#include "base/sys.h"
#include "host/text.h"

/* One read() of /dev/kmsg must have room for a whole record (PRINTK_MESSAGE_MAX, 2048). */
#define PIECE 8192

/* Returns how much there was, at most @max + PIECE, or -errno. */
static ssize_t fill(int fd, size_t max, char **data)
{
	size_t len = 0, room = 0;

	while (len <= max) {
		ssize_t got;

		if (room - len < PIECE + 1) {
			char *more = realloc(*data, room = room * 2 + 2 * PIECE);

			if (!more)
				return -ENOMEM;
			*data = more;
		}
		got = wr_sys->read(fd, *data + len, PIECE);
		/* EPIPE: /dev/kmsg has dropped records meanwhile. */
		if (got == -EINTR || got == -EPIPE)
			continue;
		/* EAGAIN: it has no more of them. */
		if (!got || got == -EAGAIN)
			break;
		if (got < 0)
			return got;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

int wr_read_all(int fd, size_t max, char **data, size_t *len)
{
	ssize_t got;

	*data = NULL;
	*len = 0;
	got = fill(fd, max, data);
	if (got < 0) {
		free(*data);
		*data = NULL;
		return (int)got;
	}
	*len = (size_t)got < max ? (size_t)got : max;
	(*data)[*len] = '\0';
	return (size_t)got > max ? -EFBIG : 0;
}

int wr_load(const char *root, const char *path, size_t max, char **text)
{
	int fd = wr_root_open(root, path, O_NONBLOCK), ret;
	size_t len;

	*text = NULL;
	if (fd < 0)
		return fd;
	ret = wr_read_all(fd, max, text, &len);
	wr_close(fd);
	if (ret < 0 && ret != -EFBIG)
		return ret;
	for (size_t i = 0; i < len; i++)
		if (!(*text)[i])
			(*text)[i] = ' ';
	return (int)len;
}

bool wr_line(const char *text, const char *needle, char line[WR_LINE_MAX])
{
	const char *at = needle ? strstr(text, needle) : text;

	if (!at || !*at)
		return false;
	while (at > text && at[-1] != '\n')
		at--;
	snprintf(line, WR_LINE_MAX, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

#define BETWEEN " \t\n\"'"

/* The next word and its length; NULL behind the last. */
static const char *next_word(const char **text, size_t *len)
{
	const char *word = *text + strspn(*text, BETWEEN);

	*len = strcspn(word, BETWEEN);
	*text = word + *len;
	return *len ? word : NULL;
}

static bool is_key(const char *word, const char *key, size_t len)
{
	for (; len; word++, key++, len--)
		if ((*word == '-' ? '_' : *word) != (*key == '-' ? '_' : *key))
			return false;
	return true;
}

/* What follows @key in the next word that begins with it, and its length; NULL for no more. */
static const char *next_value(const char **text, const char *key, size_t *len)
{
	size_t key_len = strlen(key);
	const char *word;

	while ((word = next_word(text, len)))
		if (*len >= key_len && is_key(word, key, key_len)) {
			*len -= key_len;
			return word + key_len;
		}
	return NULL;
}

bool wr_word(const char *text, const char *key, char value[WR_LINE_MAX])
{
	bool found = false;
	const char *next;
	size_t len;

	while ((next = next_value(&text, key, &len))) {
		snprintf(value, WR_LINE_MAX, "%.*s", (int)len, next);
		found = true;
	}
	return found;
}

bool wr_words(const char *text, const char *key, char list[WR_LINE_MAX])
{
	bool found = false;
	const char *next;
	size_t len;

	while ((next = next_value(&text, key, &len))) {
		if (!found)
			list[0] = '\0';
		wr_append(list, WR_LINE_MAX, "%s%.*s", found ? "," : "", (int)len, next);
		found = true;
	}
	return found;
}

/* As the kernel's parsers compare: an item has what is wanted at its beginning. */
static const char *last_of_word(const char *word, size_t len, const char *const *options)
{
	const char *last = NULL;

	for (const char *item = memchr(word, '=', len); item && item < word + len;
	     item += strcspn(item, "," BETWEEN)) {
		item++;
		for (size_t i = 0; options[i]; i++) {
			const char *wanted = strchr(options[i], '=') + 1;

			if (is_key(word, options[i], (size_t)(wanted - options[i])) &&
			    !strncmp(item, wanted, strlen(wanted)))
				last = options[i];
		}
	}
	return last;
}

const char *wr_last_option(const char *text, const char *const *options)
{
	const char *last = NULL, *word, *of_word;
	size_t len;

	while ((word = next_word(&text, &len))) {
		of_word = last_of_word(word, len, options);
		last = of_word ? of_word : last;
	}
	return last;
}

bool wr_listed(const char *list, const char *item)
{
	size_t len = strlen(item);

	for (const char *c = list; *c; c += strcspn(c, ",")) {
		c += *c == ',';
		if (strcspn(c, ",") == len && !strncmp(c, item, len))
			return true;
	}
	return false;
}

void wr_names_free(char **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int add_name(char ***names, int n, const char *name)
{
	/* Whenever it is full, as large again. */
	char **more = n & (n - 1) ? *names :
		      realloc(*names, (n ? 2 * (size_t)n : 1) * sizeof(**names));

	if (!more)
		return -ENOMEM;
	*names = more;
	more[n] = strdup(name);
	return more[n] ? 0 : -ENOMEM;
}

int wr_read_names(int fd, const char *pattern, char ***names)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int n = 0, ret = 0;

	*names = NULL;
	if (!dir) {
		wr_close(fd);
		return -ENOMEM;
	}
	while (!ret && (entry = readdir(dir))) {
		if (fnmatch(pattern, entry->d_name, FNM_PERIOD))
			continue;
		ret = add_name(names, n, entry->d_name);
		n += !ret;
	}
	closedir(dir);
	if (ret < 0) {
		wr_names_free(*names, n);
		*names = NULL;
		return ret;
	}
	return n;
}

static int compare(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

int wr_names(const char *root, const char *path, char ***names)
{
	int fd = wr_root_open(root, path, O_DIRECTORY), n;

	*names = NULL;
	n = fd < 0 ? fd : wr_read_names(fd, "*", names);
	if (n > 0)
		qsort(*names, (size_t)n, sizeof(**names), compare);
	return n;
}

/* ---- lists ---- */

void wr_few_add(struct wr_few *few, const char *fmt, ...)
{
	char item[128];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(item, sizeof(item), fmt, ap);
	va_end(ap);
	/* Once one wasn't shown none behind it is. */
	if (few->n == few->shown && few->n < WR_FEW && len < (int)sizeof(item) &&
	    few->len + sizeof(", ") + (size_t)len + sizeof(" and 4294967295 more") <=
	    sizeof(few->text)) {
		few->len += (size_t)sprintf(few->text + few->len, "%s%s", few->n ? ", " : "", item);
		few->shown++;
	}
	few->n++;
	if (few->n > few->shown)
		sprintf(few->text + few->len, " and %u more", few->n - few->shown);
}

bool wr_is_plain(const char *name)
{
	return *name && *name != '-' &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_.,:=+-")];
}

/* ---- numbers ---- */

bool wr_hex(const char **text, uint64_t *value)
{
	size_t len = strspn(*text, "0123456789abcdefABCDEF");

	if (!len || len > 16)
		return false;
	*value = strtoull(*text, NULL, 16);
	*text += len;
	return true;
}

bool wr_hex_0x(const char **text, uint64_t *value)
{
	const char *c = *text;

	if (strncmp(c, "0x", 2))
		return false;
	c += 2;
	if (!wr_hex(&c, value))
		return false;
	*text = c;
	return true;
}
