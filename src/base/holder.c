/* SPDX-License-Identifier: MIT */
/* Who has a node open: the links in /proc/PID/fd. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/holder.h"

static int process_has_open(int pid_dir, const char *path)
{
	int fd = openat(pid_dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	char link[PATH_MAX];
	int found = 0;
	DIR *dir;

	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return 0;
	}
	while (!found && (entry = readdir(dir))) {
		ssize_t len = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

		if (len < 0)
			continue;
		link[len] = '\0';
		found = !strcmp(link, path);
	}
	closedir(dir);
	return found;
}

/* A process names itself: what isn't printable must not reach a terminal. */
static void read_comm(int pid_dir, char *comm, size_t size)
{
	int fd = openat(pid_dir, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, comm, size - 1);

	if (fd >= 0)
		close(fd);
	comm[len < 0 ? 0 : len] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
	for (char *c = comm; *c; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
}

int wr_holder(const char *path, char *buf, size_t size)
{
	struct dirent *entry;
	int ret = -ENOENT;
	DIR *proc;

	proc = opendir("/proc");
	if (!proc)
		return -ENOENT;
	while (ret && (entry = readdir(proc))) {
		char comm[32];
		int pid_dir;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		pid_dir = openat(dirfd(proc), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (pid_dir < 0)
			continue;
		if (process_has_open(pid_dir, path)) {
			read_comm(pid_dir, comm, sizeof(comm));
			snprintf(buf, size, "process %s (%s)", entry->d_name, comm);
			ret = 0;
		}
		close(pid_dir);
	}
	closedir(proc);
	return ret;
}

int wr_may_not_open(const char *node)
{
	struct stat st;

	if (stat(node, &st))
		return wr_fail(-EACCES, "%s may not be opened by this user", node);
	return wr_fail(-EACCES, "%s may not be opened by user %u: its owner is user %u%s, group "
		       "%u, mode %04o; run as root, or give this user the node (chown)", node,
		       geteuid(), st.st_uid, st.st_uid ? "" : " (root)", st.st_gid,
		       st.st_mode & 07777);
}
