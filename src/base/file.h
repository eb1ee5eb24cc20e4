/* SPDX-License-Identifier: MIT */
/* Small text files, such as the attributes in sysfs. No messages: the callers know what for. */
#ifndef WR_BASE_FILE_H
#define WR_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Read what is open already from its beginning, at most @size bytes. Returns the bytes read, or
 * -errno. */
WR_PRIVATE int wr_read_fd(int fd, void *buf, size_t size);

/*
 * Read a file's text without its newline. Returns its length, or -errno: -EOVERFLOW when it
 * doesn't fit with its NUL, -EINVAL when it isn't text.
 */
WR_PRIVATE int wr_read_text(const char *path, char *buf, size_t size);

/* The same of what is open already, from its beginning. */
WR_PRIVATE int wr_read_fd_text(int fd, char *buf, size_t size);

/* The same of an attribute in sysfs, which comes in one piece (fs/kernfs/file.c). */
int wr_read_attr_text(int fd, char *buf, size_t size);

/*
 * Read a number ("0x1234" or "12"). Returns 0, or -errno as wr_read_text(), -EINVAL for anything
 * but one number, -ERANGE.
 */
WR_PRIVATE int wr_read_u64(const char *path, uint64_t *value);

/* The same of text, which has room in as many bytes if it is one. */
#define WR_U64_TEXT 32
WR_PRIVATE int wr_parse_u64(const char *text, uint64_t *value);

#endif
