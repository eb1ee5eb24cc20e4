/* SPDX-License-Identifier: MIT */
/* What a verb of the command prints, caught: stdout or stderr goes to a file. Behind cmocka.h. */
#ifndef TESTS_CAPTURE_H
#define TESTS_CAPTURE_H

#include <stdio.h>
#include <unistd.h>

struct capture {
	FILE *stream, *to;
	int saved;
};

static inline struct capture capture(FILE *stream)
{
	struct capture c = { .stream = stream, .to = tmpfile(), .saved = dup(fileno(stream)) };

	fflush(stream);
	assert_non_null(c.to);
	assert_true(c.saved >= 0);
	assert_int_equal(dup2(fileno(c.to), fileno(stream)), fileno(stream));
	return c;
}

/* As it was; @text: what has been printed, cut at @size bytes with a NUL. Returns its length. */
static inline size_t captured(struct capture *c, char *text, size_t size)
{
	size_t len;

	fflush(c->stream);
	assert_int_equal(dup2(c->saved, fileno(c->stream)), fileno(c->stream));
	close(c->saved);
	rewind(c->to);
	len = fread(text, 1, size - 1, c->to);
	text[len] = '\0';
	fclose(c->to);
	return len;
}

#endif
