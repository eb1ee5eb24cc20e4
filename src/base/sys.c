/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/holder.h"
#include "base/sys.h"

static bool sys_power(void)
{
#ifdef __powerpc64__
	return true;
#else
	return false;
#endif
}

static int sys_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int sys_openat(int folder, const char *path, int flags)
{
	int fd = openat(folder, path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int sys_close(int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

static int sys_dup(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

static int sys_access(const char *path)
{
	return access(path, F_OK) < 0 ? -errno : 0;
}

static ssize_t sys_readlink(const char *path, char *buf, size_t size)
{
	ssize_t ret = readlink(path, buf, size);

	return ret < 0 ? -errno : ret;
}

static ssize_t sys_readlinkat(int folder, const char *path, char *buf, size_t size)
{
	ssize_t ret = readlinkat(folder, path, buf, size);

	return ret < 0 ? -errno : ret;
}

static int sys_find(const char *folder, const char *prefix, char *name, size_t size)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int ret = -ENOENT;

	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
		    snprintf(name, size, "%s", entry->d_name) < (int)size)
			ret = 0;
	closedir(dir);
	return ret;
}

static int sys_char_device(int fd, dev_t *device)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*device = st.st_rdev;
	return S_ISCHR(st.st_mode) ? 0 : -ENODEV;
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static ssize_t sys_pread(int fd, void *buf, size_t len, off_t offset)
{
	ssize_t ret = pread(fd, buf, len, offset);

	return ret < 0 ? -errno : ret;
}

static ssize_t sys_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	ssize_t ret = pwrite(fd, buf, len, offset);

	return ret < 0 ? -errno : ret;
}

static ssize_t sys_read(int fd, void *buf, size_t len)
{
	ssize_t ret = read(fd, buf, len);

	return ret < 0 ? -errno : ret;
}

static ssize_t sys_write(int fd, const void *buf, size_t len)
{
	ssize_t ret = write(fd, buf, len);

	return ret < 0 ? -errno : ret;
}

static int sys_poll(int fd, int timeout)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int ret = poll(&pfd, 1, timeout);

	return ret < 0 ? -errno : ret;
}

static int sys_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	void *addr = mmap(hint, len, prot, flags, fd, offset);

	if (addr == MAP_FAILED)
		return -errno;
	*out = addr;
	return 0;
}

static int sys_munmap(void *addr, size_t len)
{
	return munmap(addr, len) < 0 ? -errno : 0;
}

static int sys_madvise(void *addr, size_t len, int advice)
{
	return madvise(addr, len, advice) < 0 ? -errno : 0;
}

static int sys_memfd(const char *name, unsigned int flags)
{
	int fd = memfd_create(name, flags | MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int sys_ftruncate(int fd, off_t len)
{
	return ftruncate(fd, len) < 0 ? -errno : 0;
}

static int sys_seal(int fd, int seals)
{
	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

/* The C library hasn't got it, and libnuma is much for one call. */
static int sys_mbind(void *addr, size_t len, int mode, const unsigned long *nodes,
		     unsigned long bits, unsigned int flags)
{
	return syscall(SYS_mbind, addr, len, mode, nodes, bits, flags) < 0 ? -errno : 0;
}

static int sys_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static int sys_create(const char *path, mode_t mode)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	return fd < 0 ? -errno : fd;
}

static int sys_mkdir(const char *path, mode_t mode)
{
	return mkdir(path, mode) < 0 ? -errno : 0;
}

static int sys_rename(const char *from, const char *to)
{
	return rename(from, to) < 0 ? -errno : 0;
}

static int sys_unlink(const char *path)
{
	return unlink(path) < 0 ? -errno : 0;
}

static int sys_fsync(int fd)
{
	return fsync(fd) < 0 ? -errno : 0;
}

static int sys_flock(int fd, int operation)
{
	return flock(fd, operation) < 0 ? -errno : 0;
}

static int sys_stat(const char *path, struct stat *st)
{
	return stat(path, st) < 0 ? -errno : 0;
}

static int sys_chown(const char *path, uid_t uid, gid_t gid)
{
	return chown(path, uid, gid) < 0 ? -errno : 0;
}

static int sys_chmod(const char *path, mode_t mode)
{
	return chmod(path, mode) < 0 ? -errno : 0;
}

static int sys_getifaddrs(struct ifaddrs **list)
{
	return getifaddrs(list) < 0 ? -errno : 0;
}

/* The C library hasn't got these two, and liburing is much for them. */
static int sys_uring(void)
{
	struct io_uring_params params = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);

	return fd < 0 ? -errno : fd;
}

static int sys_uring_register(int fd, unsigned int opcode, void *arg, unsigned int n)
{
	int ret = (int)syscall(SYS_io_uring_register, fd, opcode, arg, n);

	return ret < 0 ? -errno : ret;
}

const struct wr_sys wr_sys_kernel = {
	.power = sys_power,
	.open = sys_open,
	.openat = sys_openat,
	.close = sys_close,
	.dup = sys_dup,
	.access = sys_access,
	.readlink = sys_readlink,
	.readlinkat = sys_readlinkat,
	.find = sys_find,
	.char_device = sys_char_device,
	.ioctl = sys_ioctl,
	.pread = sys_pread,
	.pwrite = sys_pwrite,
	.read = sys_read,
	.write = sys_write,
	.poll = sys_poll,
	.mmap = sys_mmap,
	.munmap = sys_munmap,
	.madvise = sys_madvise,
	.memfd = sys_memfd,
	.ftruncate = sys_ftruncate,
	.seal = sys_seal,
	.mbind = sys_mbind,
	.eventfd = sys_eventfd,
	.create = sys_create,
	.mkdir = sys_mkdir,
	.rename = sys_rename,
	.unlink = sys_unlink,
	.fsync = sys_fsync,
	.flock = sys_flock,
	.stat = sys_stat,
	.chown = sys_chown,
	.chmod = sys_chmod,
	.getifaddrs = sys_getifaddrs,
	.freeifaddrs = freeifaddrs,
	.holder = wr_holder,
	.uring = sys_uring,
	.uring_register = sys_uring_register,
};

const struct wr_sys *wr_sys = &wr_sys_kernel;

void wr_close(int fd)
{
	if (fd >= 0)
		wr_sys->close(fd);
}

int64_t wr_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

size_t wr_page_size(void)
{
	static size_t known;
	size_t size = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (!size) {
		size = (size_t)sysconf(_SC_PAGESIZE);
		__atomic_store_n(&known, size, __ATOMIC_RELAXED);
	}
	return size;
}
