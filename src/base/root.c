/* SPDX-License-Identifier: MIT */
/*
 * A path is opened first without effect (O_PATH), and where it led is looked at then: that can't be
 * raced, and needs no more of the kernel than /proc. openat2(2) would do it in one call, but not
 * everywhere that this must run (valgrind).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/root.h"
#include "base/sys.h"

#define FD_PATH_MAX 32

static void fd_path(char path[FD_PATH_MAX], int fd)
{
	snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* Where an open file or folder lies. */
static int where(int fd, char place[PATH_MAX])
{
	char path[FD_PATH_MAX];
	ssize_t len;

	fd_path(path, fd);
	len = readlink(path, place, PATH_MAX);
	if (len < 0)
		return -errno;
	if (len == PATH_MAX)
		return -ENAMETOOLONG;
	place[len] = '\0';
	return (int)len;
}

static int is_inside(int base, int fd)
{
	char outer[PATH_MAX], inner[PATH_MAX];
	int len = where(base, outer), ret;

	if (len < 0)
		return len;
	ret = where(fd, inner);
	if (ret < 0)
		return ret;
	if (!strcmp(outer, "/"))
		return 0;
	return !strncmp(inner, outer, (size_t)len) && (!inner[len] || inner[len] == '/') ? 0 :
	       -EXDEV;
}

/* A handle of what lies below another root, which can't be read yet. */
static int find(const char *root, const char *path, int flags)
{
	int base, fd, ret;

	base = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return -errno;
	while (*path == '/')
		path++;
	fd = openat(base, *path ? path : ".", O_PATH | O_CLOEXEC | flags);
	ret = fd < 0 ? -errno : is_inside(base, fd);
	close(base);
	if (ret < 0 && fd >= 0)
		close(fd);
	return ret < 0 ? ret : fd;
}

static int reopen(int fd, int flags)
{
	char path[FD_PATH_MAX];
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EINVAL;
	fd_path(path, fd);
	ret = open(path, O_RDONLY | O_CLOEXEC | flags);
	return ret < 0 ? -errno : ret;
}

int wr_root_open(const char *root, const char *path, int flags)
{
	int fd, ret;

	if (!*root)
		return wr_sys->open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | flags);
	fd = find(root, path, flags);
	if (fd < 0)
		return fd;
	ret = reopen(fd, flags);
	close(fd);
	return ret;
}

int wr_root_text(const char *root, const char *path, char *buf, size_t size)
{
	int fd = wr_root_open(root, path, 0), ret;

	if (fd < 0)
		return fd;
	ret = wr_read_fd_text(fd, buf, size);
	wr_close(fd);
	return ret;
}

int wr_root_u64(const char *root, const char *path, uint64_t *value)
{
	char text[WR_U64_TEXT];
	int ret = wr_root_text(root, path, text, sizeof(text));

	return ret < 0 ? ret : wr_parse_u64(text, value);
}

int wr_root_link(const char *root, const char *path, char *buf, size_t size)
{
	ssize_t len;
	int fd;

	if (!size)
		return -EINVAL;
	if (!*root) {
		len = wr_sys->readlink(path, buf, size);
	} else {
		fd = find(root, path, O_NOFOLLOW);
		if (fd < 0)
			return fd;
		len = readlinkat(fd, "", buf, size);
		/* ENOENT: it is no link. */
		len = len < 0 ? errno == ENOENT ? -EINVAL : -errno : len;
		close(fd);
	}
	if (len < 0)
		return (int)len;
	if ((size_t)len == size)
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return (int)len;
}

bool wr_root_has(const char *root, const char *path)
{
	int fd;

	if (!*root)
		return !wr_sys->access(path);
	fd = find(root, path, 0);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}
