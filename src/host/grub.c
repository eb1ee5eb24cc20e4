/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "host/grub.h"

#define BLANKS " \t"

/* Where a value ends that has no quotes, or one that has them; NULL when it takes a shell. */
static char *end_of(char *value, char quote)
{
	char *c = value;

	if (!quote) {
		c += strcspn(c, BLANKS ";&|<>()\"'`\\");
		return strchr(BLANKS, *c) ? c : NULL;
	}
	while (*c && *c != quote)
		c += *c == '\\' && quote == '"' && c[1] ? 2 : 1;
	return *c ? c : NULL;
}

/* Only a comment may follow. */
static bool is_rest(const char *rest)
{
	size_t blanks = strspn(rest, BLANKS);

	return !rest[blanks] || (blanks && rest[blanks] == '#');
}

/* The length of "$NAME" or "${NAME}", as a word of its own; 0 for anything else. */
static size_t reference(const char *value, const char *at, const char *name)
{
	bool braces = at[1] == '{';
	const char *c = at + 1 + braces;
	size_t len = strlen(name);

	if (strncmp(c, name, len) || (braces && c[len] != '}'))
		return 0;
	c += len + braces;
	if ((at > value && !strchr(BLANKS, at[-1])) || !strchr(BLANKS, *c))
		return 0;
	return (size_t)(c - at);
}

/* Find what options go on from. False when they have more in them for a shell. */
static bool read_options(struct wr_grub_line *line)
{
	char *at;
	size_t len;

	if (line->quote == '\'')
		return true;
	if (line->quote == '`' || strpbrk(line->value, "`\\"))
		return false;
	at = strchr(line->value, '$');
	if (!at)
		return true;
	len = reference(line->value, at, line->name);
	if (!len || strchr(at + len, '$'))
		return false;
	*at = '\0';
	line->after = at + len;
	return true;
}

enum wr_grub_kind wr_grub_line(char *line, struct wr_grub_line *out)
{
	char *name = line + strspn(line, BLANKS), *value, *end;
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789_");
	char quote;

	*out = (struct wr_grub_line){ 0 };
	if (!*name || *name == '#')
		return WR_GRUB_NOTHING;
	if (!len || name[len] != '=')
		return WR_GRUB_SCRIPT;
	value = name + len + 1;
	quote = *value && strchr("\"'`", *value) ? *value++ : '\0';
	end = end_of(value, quote);
	if (!end || !is_rest(end + !!quote))
		return WR_GRUB_SCRIPT;
	name[len] = '\0';
	*end = '\0';
	*out = (struct wr_grub_line){ .name = name, .value = value, .quote = quote };
	if (strcmp(name, "GRUB_CMDLINE_LINUX") && strcmp(name, "GRUB_CMDLINE_LINUX_DEFAULT"))
		return WR_GRUB_NOTHING;
	return read_options(out) ? WR_GRUB_OPTIONS : WR_GRUB_SCRIPT;
}
