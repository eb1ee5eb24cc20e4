/* SPDX-License-Identifier: MIT */
/* Files and words of a machine's text, for machine.c and the checks. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "base/sys.h"
#include "host/machine.h"

/* One read() of /dev/kmsg must have room for a whole record (PRINTK_MESSAGE_MAX, 2048). */
#define PIECE 8192
#define NAMES_MAX 65536

static int fill(int fd, size_t max, char **text)
{
	size_t len = 0, room = 0;

	while (len < max) {
		ssize_t got;

		if (room - len < PIECE + 1) {
			char *more;

			room = room * 2 + 2 * PIECE;
			more = realloc(*text, room);
			if (!more)
				return -ENOMEM;
			*text = more;
		}
		got = wr_sys->read(fd, *text + len, PIECE);
		/* EPIPE: /dev/kmsg has dropped records meanwhile. */
		if (got == -EINTR || got == -EPIPE)
			continue;
		if (got == -EAGAIN)
			break;
		if (got <= 0) {
			if (got < 0)
				return (int)got;
			break;
		}
		len += (size_t)got;
	}
	if (len > max)
		len = max;
	for (size_t i = 0; i < len; i++)
		if (!(*text)[i])
			(*text)[i] = ' ';
	(*text)[len] = '\0';
	return (int)len;
}

int wr_load(const char *root, const char *path, size_t max, char **text)
{
	int fd = wr_root_open(root, path, O_NONBLOCK), ret;

	*text = NULL;
	if (fd < 0)
		return fd;
	ret = fill(fd, max, text);
	wr_close(fd);
	if (ret < 0) {
		free(*text);
		*text = NULL;
	}
	return ret;
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

static bool is_key(const char *word, const char *key)
{
	for (; *key; word++, key++)
		if ((*word == '-' ? '_' : *word) != (*key == '-' ? '_' : *key))
			return false;
	return true;
}

bool wr_word(const char *text, const char *key, char value[WR_LINE_MAX])
{
	bool found = false;

	for (const char *c = text; *c; ) {
		size_t len;

		c += strspn(c, " \t\n\"'");
		len = strcspn(c, " \t\n\"'");
		if (len >= strlen(key) && is_key(c, key)) {
			snprintf(value, WR_LINE_MAX, "%.*s", (int)(len - strlen(key)),
				 c + strlen(key));
			found = true;
		}
		c += len;
	}
	return found;
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

static int compare(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

void wr_names_free(char **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int add_name(char ***names, int n, const char *name)
{
	char **more = n & (n - 1) ? *names :
		      realloc(*names, (n ? 2 * (size_t)n : 1) * sizeof(**names));

	if (!more)
		return -ENOMEM;
	*names = more;
	more[n] = strdup(name);
	return more[n] ? 0 : -ENOMEM;
}

int wr_names(const char *root, const char *path, char ***names)
{
	int fd = wr_root_open(root, path, O_DIRECTORY), n = 0, ret = 0;
	struct dirent *entry;
	DIR *dir;

	*names = NULL;
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		wr_close(fd);
		return -ENOMEM;
	}
	while (!ret && n < NAMES_MAX && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
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
	if (n)
		qsort(*names, (size_t)n, sizeof(**names), compare);
	return n;
}
