/* SPDX-License-Identifier: MIT */
/*
 * Files below a root: "" for this machine, otherwise a folder with another machine's sys/, proc/ and
 * so on in it, which may be captured, damaged or hostile. @path is absolute, as it is on the
 * machine. What a link leads to outside of the folder isn't read: -EXDEV. Nothing but files and
 * folders is opened there, -EINVAL: no FIFO, which would block, and no device. No messages: the
 * callers know what for.
 */
#ifndef WR_BASE_ROOT_H
#define WR_BASE_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Open for reading, or a folder with O_DIRECTORY. Returns the fd, or -errno. */
WR_PRIVATE int wr_root_open(const char *root, const char *path, int flags);

/* As wr_read_text() and wr_read_u64(). */
WR_PRIVATE int wr_root_text(const char *root, const char *path, char *buf, size_t size);
WR_PRIVATE int wr_root_u64(const char *root, const char *path, uint64_t *value);

/* What a link says, with its NUL. Returns the length, or -errno: -EINVAL when it is no link. */
WR_PRIVATE int wr_root_link(const char *root, const char *path, char *buf, size_t size);

/* Whether there is such a path. */
WR_PRIVATE bool wr_root_has(const char *root, const char *path);

#endif
