/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/pin.h"

static int no_ring(int err)
{
	static const char why[] = "memory can't be held still: io_uring, whose registered buffers "
				  "do that,";

	if (err == -EPERM)
		return wr_fail(err, "%s is forbidden (/proc/sys/kernel/io_uring_disabled, or a "
			       "filter of system calls)", why);
	if (err == -ENOSYS)
		return wr_fail(-ENOTSUP, "%s isn't there: the kernel is older than Linux 5.13, is "
			       "built without it, or a filter of system calls hides it", why);
	return wr_fail(err, "%s can't be set up: %s", why, strerror(-err));
}

int wr_pin_open(void)
{
	struct iovec *empty = calloc(WR_PIN_SLOTS, sizeof(*empty));
	int fd, ret;

	if (!empty)
		return wr_fail(-ENOMEM, "no memory");
	fd = wr_sys->uring();
	if (fd < 0) {
		free(empty);
		return no_ring(fd);
	}
	ret = wr_sys->uring_register(fd, WR_URING_REGISTER_BUFFERS, empty, WR_PIN_SLOTS);
	free(empty);
	if (ret >= 0)
		return fd;
	wr_close(fd);
	/* What kernels before 5.13 say to an empty slot. */
	return no_ring(ret == -EFAULT ? -ENOSYS : ret);
}

/* Returns 0 or -errno, without a message. */
static int update(int ring, unsigned int slot, void *addr, size_t len)
{
	struct iovec iov = { .iov_base = addr, .iov_len = len };
	struct wr_uring_update arg = { .first = slot, .iovecs = (uintptr_t)&iov, .n = 1 };
	int ret = wr_sys->uring_register(ring, WR_URING_BUFFERS_UPDATE, &arg, sizeof(arg));

	return ret < 0 ? ret : 0;
}

static int not_pinned(int err, const void *addr, size_t len)
{
	struct rlimit limit;

	switch (err) {
	case -EFAULT:
		return wr_fail(err, "%zu bytes at %p: not all of it is memory that can be written, "
			       "or its pool of huge pages is used up", len, addr);
	case -EOPNOTSUPP:
		return wr_fail(err, "%zu bytes at %p: the kernel doesn't hold pages of such a file "
			       "for long", len, addr);
	case -ENOMEM:
		/* __io_account_mem(): of the user's, not of the process's alone. */
		if (!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY)
			return wr_fail(err, "%zu bytes at %p can't be held still: without "
				       "CAP_IPC_LOCK the limit is %" PRIu64 " KiB for all that "
				       "this user has in io_uring (ulimit -l, LimitMEMLOCK=); or "
				       "the kernel has no memory", len, addr,
				       (uint64_t)limit.rlim_cur >> 10);
		/* fall through */
	default:
		return wr_fail(err, "%zu bytes at %p can't be held still: %s", len, addr,
			       strerror(-err));
	}
}

int wr_pin(int ring, unsigned int slot, void *addr, size_t len)
{
	int ret = update(ring, slot, addr, len);

	return ret ? not_pinned(ret, addr, len) : 0;
}

int wr_unpin(int ring, unsigned int slot)
{
	return update(ring, slot, NULL, 0);
}
