/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

/*
 * A fixed buffer, so that saying what failed can't fail itself. Sentences longer than this are
 * cut; ours name at most two devices and a path.
 */
#define MESSAGE_MAX 1024

static _Thread_local char message[MESSAGE_MAX];

static struct {
	weir_log_fn fn;
	void *arg;
	enum weir_log_level max;
} log_hook;

const char *weir_errmsg(void)
{
	return message;
}

/* The text is formatted aside first: its arguments may quote the message that it replaces. */
void wr_message(const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(message, text, sizeof(text));
	wr_log(WEIR_LOG_DEBUG, "failed: %s", message);
}

void wr_message_in(const char *fmt, ...)
{
	char text[MESSAGE_MAX], rest[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(rest, message, sizeof(rest));
	if (snprintf(message, sizeof(message), "%s: %s", text, rest) >= MESSAGE_MAX)
		wr_log(WEIR_LOG_DEBUG, "a message was cut");
}

void wr_append(char *buf, size_t size, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
}

void weir_log_set(weir_log_fn fn, void *arg, enum weir_log_level max)
{
	log_hook.fn = fn;
	log_hook.arg = arg;
	log_hook.max = max;
}

void wr_log(enum weir_log_level level, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	if (!log_hook.fn || level > log_hook.max)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_hook.fn(log_hook.arg, level, text);
}

int wr_reserved(const uint64_t *words, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (words[i])
			return wr_fail(-EINVAL, "%s.reserved[%zu] isn't zero: set the whole "
				       "structure to zero first, or use a newer libweir", what, i);
	return 0;
}
