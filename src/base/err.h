/* SPDX-License-Identifier: MIT */
/*
 * Errors that teach: -errno and a sentence, kept together. The sentence names the thing, the
 * cause and, where known, the cure; it begins in lower case unless with a name, and has no full
 * stop at the end.
 */
#ifndef WR_BASE_ERR_H
#define WR_BASE_ERR_H

#include <errno.h>
#include <string.h>

#include <weir/error.h>

/* Exported for libweir-host alone, in a version node of its own: no ABI. */
#define WR_PRIVATE __attribute__((visibility("default")))

WR_PRIVATE void wr_message(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
WR_PRIVATE void wr_message_in(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline int wr_error(int err)
{
	return err;
}

/*
 * wr_fail(err, format, ...): make the sentence this thread's last failure; is @err, a negative
 * errno. wr_fail_in(err, format, ...): put "sentence: " before this thread's last failure, for
 * callers that know whom it concerns. Macros, so that the compiler sees the error being returned.
 */
#define wr_fail(err, ...)	(wr_message(__VA_ARGS__), wr_error(err))
#define wr_fail_in(err, ...)	(wr_message_in(__VA_ARGS__), wr_error(err))

/* Print behind what @buf holds already, cut at its end. For lists in sentences. */
WR_PRIVATE void wr_append(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

WR_PRIVATE void wr_log(enum weir_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether the reserved words of an options structure are zero, as they must be; else -EINVAL. */
WR_PRIVATE int wr_reserved(const uint64_t *words, size_t n, const char *what);
#define WR_RESERVED(opts, what)                                                                    \
	wr_reserved((opts)->reserved, sizeof((opts)->reserved) / sizeof((opts)->reserved[0]), what)

#endif
