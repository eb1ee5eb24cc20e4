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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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
	/* It is open, so it must be /proc that isn't there. */
	if (len < 0)
		return errno == ENOENT ? -ENOSYS : -errno;
	if (len == PATH_MAX)
		return -ENAMETOOLONG;
	place[len] = '\0';
	return 0;
}

static int is_inside(const char *outer, int fd)
{
	size_t len = strlen(outer);
	char inner[PATH_MAX];
	int ret = where(fd, inner);

	if (ret < 0)
		return ret;
	if (!strcmp(outer, "/"))
		return 0;
	return !strncmp(inner, outer, len) && (!inner[len] || inner[len] == '/') ? 0 : -EXDEV;
}

/* The root itself, and where it lies. */
static int open_base(const char *root, char place[PATH_MAX])
{
	int base = wr_sys->open(root, O_PATH | O_DIRECTORY), ret;

	if (base < 0)
		return base;
	ret = where(base, place);
	if (ret < 0) {
		wr_close(base);
		return ret;
	}
	return base;
}

/* A handle of what lies below another root, which can't be read yet. */
static int find_in(int base, const char *place, const char *path, int flags)
{
	int fd, ret;

	while (*path == '/')
		path++;
	fd = wr_sys->openat(base, *path ? path : ".", O_PATH | flags);
	if (fd < 0)
		return fd;
	ret = is_inside(place, fd);
	if (ret < 0) {
		wr_close(fd);
		return ret;
	}
	return fd;
}

static int find(const char *root, const char *path, int flags)
{
	char place[PATH_MAX];
	int base = open_base(root, place), fd;

	if (base < 0)
		return base;
	fd = find_in(base, place, path, flags);
	wr_close(base);
	return fd;
}

static int is_readable(mode_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) ? 0 : S_ISLNK(mode) ? -ELOOP : -EINVAL;
}

static int reopen(int fd, int flags)
{
	char path[FD_PATH_MAX];
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0)
		return -errno;
	ret = is_readable(st.st_mode);
	if (ret < 0)
		return ret;
	fd_path(path, fd);
	return wr_sys->open(path, O_RDONLY | flags);
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
	wr_close(fd);
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

/* What readlink() stored, as text. */
static int end_link(ssize_t len, char *buf, size_t size)
{
	if (len < 0)
		return (int)len;
	if ((size_t)len == size)
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return (int)len;
}

int wr_root_link(const char *root, const char *path, char *buf, size_t size)
{
	ssize_t len;
	int fd;

	if (!size)
		return -EINVAL;
	if (!*root)
		return end_link(wr_sys->readlink(path, buf, size), buf, size);
	fd = find(root, path, O_NOFOLLOW);
	if (fd < 0)
		return fd;
	len = wr_sys->readlinkat(fd, "", buf, size);
	wr_close(fd);
	/* ENOENT: it is no link. */
	return end_link(len == -ENOENT ? -EINVAL : len, buf, size);
}

bool wr_root_has(const char *root, const char *path)
{
	int fd;

	if (!*root)
		return !wr_sys->access(path);
	fd = find(root, path, 0);
	wr_close(fd);
	return fd >= 0;
}

static int list(int fd, DIR **dir)
{
	if (fd < 0)
		return fd;
	*dir = fdopendir(fd);
	if (!*dir) {
		wr_close(fd);
		return -ENOMEM;
	}
	return 0;
}

int wr_root_dir(const char *root, const char *path, DIR **dir)
{
	return list(wr_root_open(root, path, O_DIRECTORY), dir);
}

int wr_folder_open(const char *root, const char *path, struct wr_folder *folder)
{
	char place[PATH_MAX];
	int base;

	folder->root = NULL;
	if (!*root) {
		folder->fd = wr_sys->open(path, O_PATH | O_DIRECTORY);
		return folder->fd < 0 ? folder->fd : 0;
	}
	base = open_base(root, place);
	if (base < 0)
		return base;
	folder->fd = find_in(base, place, path, O_DIRECTORY);
	wr_close(base);
	if (folder->fd < 0)
		return folder->fd;
	folder->root = strdup(place);
	if (!folder->root) {
		wr_close(folder->fd);
		return -ENOMEM;
	}
	return 0;
}

void wr_folder_close(struct wr_folder *folder)
{
	wr_close(folder->fd);
	free((char *)folder->root);
}

int wr_folder_enter(const struct wr_folder *folder, const char *path, struct wr_folder *sub)
{
	sub->root = folder->root;
	/* What isn't reached by a link lies inside. */
	if (!strchr(path, '/') && strcmp(path, "..")) {
		sub->fd = wr_sys->openat(folder->fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
		if (sub->fd != -ENOTDIR)
			return sub->fd < 0 ? sub->fd : 0;
	}
	sub->fd = folder->root ? find_in(folder->fd, folder->root, path, O_DIRECTORY) :
		  wr_sys->openat(folder->fd, path, O_PATH | O_DIRECTORY);
	return sub->fd < 0 ? sub->fd : 0;
}

void wr_folder_leave(struct wr_folder *sub)
{
	wr_close(sub->fd);
}

int wr_folder_file(const struct wr_folder *folder, const char *name)
{
	struct stat st;
	int ret;

	if (folder->root) {
		if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		ret = is_readable(st.st_mode);
		if (ret < 0)
			return ret;
	}
	return wr_sys->openat(folder->fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
}

int wr_folder_text(const struct wr_folder *folder, const char *name, char *buf, size_t size)
{
	int fd = wr_folder_file(folder, name), ret;

	if (fd < 0)
		return fd;
	ret = wr_read_attr_text(fd, buf, size);
	wr_close(fd);
	return ret;
}

int wr_folder_u64(const struct wr_folder *folder, const char *name, uint64_t *value)
{
	char text[WR_U64_TEXT];
	int ret = wr_folder_text(folder, name, text, sizeof(text));

	return ret < 0 ? ret : wr_parse_u64(text, value);
}

int wr_folder_link(const struct wr_folder *folder, const char *name, char *buf, size_t size)
{
	if (!size)
		return -EINVAL;
	return end_link(wr_sys->readlinkat(folder->fd, name, buf, size), buf, size);
}

bool wr_folder_has(const struct wr_folder *folder, const char *name)
{
	struct stat st;

	/* faccessat() costs twice as much in the kernel. */
	return !fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW);
}

int wr_folder_dir(const struct wr_folder *folder, DIR **dir)
{
	return list(wr_sys->openat(folder->fd, ".", O_RDONLY | O_DIRECTORY), dir);
}

static void read_node(int fd, struct stat *st)
{
	static const char bits[] = "rwxrwxrwx";
	unsigned int uid, gid, major, minor;
	char text[64], type, mode[10];
	mode_t permissions = 0;
	int file = reopen(fd, 0), ret;

	ret = file < 0 ? file : wr_read_fd_text(file, text, sizeof(text));
	wr_close(file);
	if (ret < 0 || sscanf(text, "%c%9[rwx-] %u:%u %u:%u", &type, mode, &uid, &gid, &major,
			      &minor) != 6 || strlen(mode) != 9 || !strchr("c-", type))
		return;
	for (int i = 0; i < 9; i++)
		if (mode[i] == bits[i])
			permissions |= 0400U >> i;
	st->st_mode = (type == 'c' ? S_IFCHR : S_IFREG) | permissions;
	st->st_uid = uid;
	st->st_gid = gid;
	st->st_rdev = makedev(major, minor);
}

int wr_root_stat(const char *root, const char *path, struct stat *st)
{
	int fd, ret;

	if (!*root)
		return wr_sys->stat(path, st);
	fd = find(root, path, 0);
	if (fd < 0)
		return fd;
	ret = fstat(fd, st) ? -errno : 0;
	if (!ret && S_ISREG(st->st_mode) && !strncmp(path, "/dev/", 5))
		read_node(fd, st);
	close(fd);
	return ret;
}
