/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/frames.h"

#define PAGEMAP		"/proc/self/pagemap"
#define FLAGS		"/proc/kpageflags"

#define PRESENT		(1ull << 63)
#define FRAME		((1ull << 55) - 1)
#define HUGETLB		(1ull << 17)		/* include/uapi/linux/kernel-page-flags.h */

static int open_file(const char *path)
{
	int fd = wr_sys->open(path, O_RDONLY);

	if (fd == -EACCES || fd == -EPERM)
		return wr_fail(-EPERM, "%s, by which weir learns physical addresses, may not be "
			       "opened by this user: run as root", path);
	if (fd == -ENOENT)
		return wr_fail(-ENOTSUP, "there is no %s, by which weir learns physical addresses: "
			       "this kernel is built without CONFIG_PROC_PAGE_MONITOR", path);
	return fd < 0 ? wr_fail(fd, "opening %s: %s", path, strerror(-fd)) : fd;
}

/* Entries of 8 bytes. */
static int read_entries(int fd, const char *path, uint64_t first, uint64_t *entries, size_t n)
{
	ssize_t ret = wr_sys->pread(fd, entries, 8 * n, (off_t)(8 * first));

	if (ret < 0)
		return wr_fail((int)ret, "reading %s: %s", path, strerror((int)-ret));
	if ((size_t)ret != 8 * n)
		return wr_fail(-EIO, "reading %s: %zd bytes came, not %zu", path, ret, 8 * n);
	return 0;
}

static int no_frames(void)
{
	return wr_fail(-EPERM, PAGEMAP " shows no physical addresses to this process: it needs the "
		       "capability CAP_SYS_ADMIN, outside of user namespaces; run as root");
}

/* To who may not know them, frames are zero: seen at a page that is certainly there. */
int wr_frames_open(struct wr_frames *frames)
{
	volatile char here = 0;
	uint64_t entry;
	int ret;

	frames->pagemap = open_file(PAGEMAP);
	if (frames->pagemap < 0)
		return frames->pagemap;
	frames->flags = open_file(FLAGS);
	if (frames->flags < 0) {
		wr_close(frames->pagemap);
		return frames->flags;
	}
	ret = read_entries(frames->pagemap, PAGEMAP, (uintptr_t)&here / wr_page_size(), &entry, 1);
	if (!ret && !(entry & FRAME))
		ret = no_frames();
	if (ret)
		wr_frames_close(frames);
	return ret;
}

void wr_frames_close(const struct wr_frames *frames)
{
	wr_close(frames->flags);
	wr_close(frames->pagemap);
}

static int not_huge(const void *vaddr)
{
	return wr_fail(-EINVAL, "the memory at %p isn't hugetlb's, which alone is used without an "
		       "IOMMU: take it from weir_mem_alloc(), with weir_mem_opts.page_size, or "
		       "map it with MAP_HUGETLB", vaddr);
}

/* Frames that follow one another. */
static int check_huge(const struct wr_frames *frames, uint64_t first, size_t n, const char *vaddr)
{
	uint64_t flags[WR_FRAMES_MAX];
	int ret = read_entries(frames->flags, FLAGS, first, flags, n);

	if (ret)
		return ret;
	for (size_t i = 0; i < n; i++)
		if (!(flags[i] & HUGETLB))
			return not_huge(vaddr + i * wr_page_size());
	return 0;
}

int wr_frames_read(const struct wr_frames *frames, const void *vaddr, size_t n, uint64_t *phys)
{
	size_t page = wr_page_size(), done;
	int ret = read_entries(frames->pagemap, PAGEMAP, (uintptr_t)vaddr / page, phys, n);

	if (ret)
		return ret;
	for (size_t i = 0; i < n; i++) {
		if (!(phys[i] & PRESENT))
			return wr_fail(-EFAULT, "the memory at %p has no page, though it is held",
				       (const char *)vaddr + i * page);
		phys[i] &= FRAME;
		if (!phys[i])
			return no_frames();
	}
	for (size_t at = 0; at < n; at += done) {
		for (done = 1; at + done < n && phys[at + done] == phys[at] + done; done++)
			;
		ret = check_huge(frames, phys[at], done, (const char *)vaddr + at * page);
		if (ret)
			return ret;
	}
	for (size_t i = 0; i < n; i++)
		phys[i] *= page;
	return 0;
}
