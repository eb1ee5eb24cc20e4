/* SPDX-License-Identifier: MIT */
/*
 * The seam: the system calls that can fail in an interesting way, as a table that tests replace.
 * Each returns -errno instead of setting errno. Everything that opens a node, drives the kernel
 * or makes memory goes through here.
 */
#ifndef WR_BASE_SYS_H
#define WR_BASE_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct ifaddrs;
struct stat;

struct wr_sys {
	/* Whether this is POWER, whose VFIO has containers of its own, and not those of others. */
	bool (*power)(void);
	/* Always adds O_CLOEXEC. */
	int (*open)(const char *path, int flags);
	int (*openat)(int folder, const char *path, int flags);
	int (*close)(int fd);
	/* Close on exec. */
	int (*dup)(int fd);
	/* Whether there is such a path. */
	int (*access)(const char *path);
	ssize_t (*readlink)(const char *path, char *buf, size_t size);
	ssize_t (*readlinkat)(int folder, const char *path, char *buf, size_t size);
	/* The name of a folder's first entry that starts with @prefix: 0, or -ENOENT for none. */
	int (*find)(const char *folder, const char *prefix, char *name, size_t size);
	/* Of which character device @fd is: 0, or -ENODEV for anything else. */
	int (*char_device)(int fd, dev_t *device);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	ssize_t (*pread)(int fd, void *buf, size_t len, off_t offset);
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, off_t offset);
	ssize_t (*read)(int fd, void *buf, size_t len);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	/* Until it can be read from: 1; 0: not in @timeout milliseconds, negative: without end. */
	int (*poll)(int fd, int timeout);
	int (*mmap)(void *hint, size_t len, int prot, int flags, int fd, off_t offset, void **out);
	int (*munmap)(void *addr, size_t len);
	int (*madvise)(void *addr, size_t len, int advice);
	/* Always adds MFD_CLOEXEC. */
	int (*memfd)(const char *name, unsigned int flags);
	int (*ftruncate)(int fd, off_t len);
	int (*seal)(int fd, int seals);
	/* As the system call: the mask has @bits - 1 bits. */
	int (*mbind)(void *addr, size_t len, int mode, const unsigned long *nodes,
		     unsigned long bits, unsigned int flags);
	/* Non-blocking, close on exec. */
	int (*eventfd)(void);
	/* An empty file, open for writing: made if there is none. Close on exec. */
	int (*create)(const char *path, mode_t mode);
	int (*mkdir)(const char *path, mode_t mode);
	int (*rename)(const char *from, const char *to);
	int (*unlink)(const char *path);
	int (*fsync)(int fd);
	int (*flock)(int fd, int operation);
	int (*stat)(const char *path, struct stat *st);
	int (*chown)(const char *path, uid_t uid, gid_t gid);
	int (*chmod)(const char *path, mode_t mode);
	int (*getifaddrs)(struct ifaddrs **list);
	void (*freeifaddrs)(struct ifaddrs *list);
	/* Which process has a path open: wr_holder() (base/holder.h). */
	int (*holder)(const char *path, char *buf, size_t size);
	/* A small io_uring, close on exec; and io_uring_register(2). */
	int (*uring)(void);
	int (*uring_register)(int fd, unsigned int opcode, void *arg, unsigned int n);
};

/* What libweir calls; the kernel's calls unless a test has put its own table here. */
extern WR_PRIVATE const struct wr_sys *wr_sys;

/* The kernel's calls, for tests that replace a few of them. */
extern const struct wr_sys wr_sys_kernel;

/* Close @fd if it is one; there is nothing to be done about an error. */
WR_PRIVATE void wr_close(int fd);

/* Milliseconds since some moment (CLOCK_MONOTONIC). */
int64_t wr_now_ms(void);

/* The system's page size, in bytes. */
size_t wr_page_size(void);

#endif
