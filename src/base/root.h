/* SPDX-License-Identifier: MIT */
/*
 * Files below a root: "" for this machine, otherwise a folder with another machine's sys/, proc/
 * and so on in it, which may be captured, damaged or hostile. @path is absolute, as it is on the
 * machine. What a link leads to outside of the folder isn't read: -EXDEV. Nothing but files and
 * folders is opened there, -EINVAL: no FIFO, which would block, and no device. No messages: the
 * callers know what for.
 */
#ifndef WR_BASE_ROOT_H
#define WR_BASE_ROOT_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct stat;

/* Open for reading, or a folder with O_DIRECTORY. Returns the fd, or -errno. */
WR_PRIVATE int wr_root_open(const char *root, const char *path, int flags);

/* As wr_read_text() and wr_read_u64(). */
WR_PRIVATE int wr_root_text(const char *root, const char *path, char *buf, size_t size);
WR_PRIVATE int wr_root_u64(const char *root, const char *path, uint64_t *value);

/* What a link says, with its NUL. Returns the length, or -errno: -EINVAL when it is no link. */
WR_PRIVATE int wr_root_link(const char *root, const char *path, char *buf, size_t size);

/* Whether there is such a path. */
WR_PRIVATE bool wr_root_has(const char *root, const char *path);

/*
 * What a path is, a device node too; -errno. A file below another root's /dev that says whose it
 * is, "crw-rw---- UID:GID MAJOR:MINOR", is one that was captured: then what it was on its machine.
 */
WR_PRIVATE int wr_root_stat(const char *root, const char *path, struct stat *st);

/* A folder's entries, to be closed with closedir(). Returns 0, or -errno. */
WR_PRIVATE int wr_root_dir(const char *root, const char *path, DIR **dir);

/*
 * A folder kept open, for who reads much in it: then a file costs a few short calls, however long
 * its path is.
 */
struct wr_folder {
	int fd;
	const char *root;	/* where the root really lies, NULL for this machine */
};

/* Returns 0, or -errno. */
WR_PRIVATE int wr_folder_open(const char *root, const char *path, struct wr_folder *folder);
WR_PRIVATE void wr_folder_close(struct wr_folder *folder);

/*
 * A folder by its path from @folder, which is to be closed after it. Returns 0, or -errno.
 */
WR_PRIVATE int wr_folder_enter(const struct wr_folder *folder, const char *path,
			       struct wr_folder *sub);
WR_PRIVATE void wr_folder_leave(struct wr_folder *sub);

/*
 * As wr_root_open() and so on, but @name is an entry of the folder and no link: -ELOOP. The text is
 * one of sysfs, which comes in one piece.
 */
WR_PRIVATE int wr_folder_file(const struct wr_folder *folder, const char *name);
WR_PRIVATE int wr_folder_text(const struct wr_folder *folder, const char *name, char *buf,
			      size_t size);
WR_PRIVATE int wr_folder_u64(const struct wr_folder *folder, const char *name, uint64_t *value);
WR_PRIVATE int wr_folder_link(const struct wr_folder *folder, const char *name, char *buf,
			      size_t size);
WR_PRIVATE bool wr_folder_has(const struct wr_folder *folder, const char *name);
WR_PRIVATE int wr_folder_dir(const struct wr_folder *folder, DIR **dir);

#endif
