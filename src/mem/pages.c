/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/sys.h"
#include "mem/pages.h"

static int map_anonymous(size_t len, void **out)
{
	int ret = wr_sys->mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0, out);

	if (ret < 0)
		return wr_fail(ret, "no memory for %zu bytes: %s", len, strerror(-ret));
	return 0;
}

/* Map more, and give back what lies outside the aligned part. */
static int map_aligned(size_t len, void **out)
{
	char *start, *aligned;
	void *mapped;
	int ret;

	if (len > SIZE_MAX - WR_HUGE_PAGE)
		return wr_fail(-ENOMEM, "no memory for %zu bytes", len);
	ret = map_anonymous(len + WR_HUGE_PAGE, &mapped);
	if (ret)
		return ret;
	start = mapped;
	aligned = (char *)(((uintptr_t)start + WR_HUGE_PAGE - 1) & ~(WR_HUGE_PAGE - 1));
	if (aligned > start)
		wr_sys->munmap(start, (size_t)(aligned - start));
	if (aligned < start + WR_HUGE_PAGE)
		wr_sys->munmap(aligned + len, (size_t)(start + WR_HUGE_PAGE - aligned));
	*out = aligned;
	return 0;
}

/*
 * After a fork, the first of parent and child to write a shared page gets a copy, and the device
 * would go on with the original: keep these pages the parent's.
 */
static int keep_from_children(void *pages, size_t len)
{
	int ret = wr_sys->madvise(pages, len, MADV_DONTFORK);

	if (ret < 0) {
		wr_sys->munmap(pages, len);
		return wr_fail(ret, "memory can't be kept from child processes: %s",
			       strerror(-ret));
	}
	return 0;
}

int wr_pages_alloc(size_t len, bool huge, void **out)
{
	int ret = huge ? map_aligned(len, out) : map_anonymous(len, out);

	if (ret)
		return ret;
	ret = keep_from_children(*out, len);
	if (ret)
		return ret;
	/* Kernels without transparent hugepages refuse; small pages do, only slower. */
	if (huge && wr_sys->madvise(*out, len, MADV_HUGEPAGE) < 0)
		wr_log(WEIR_LOG_INFO, "no transparent hugepages here: %zu bytes in small pages",
		       len);
	return 0;
}

int wr_pages_map(int fd, uint64_t offset, size_t len, bool write, void **out)
{
	int prot = write ? PROT_READ | PROT_WRITE : PROT_READ;
	int ret = wr_sys->mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset, out);

	if (ret < 0)
		return wr_fail(ret, "the file (fd %d), %zu bytes from offset 0x%llx on, can't be "
			       "mapped to be %s: %s", fd, len, (unsigned long long)offset,
			       write ? "written" : "read", strerror(-ret));
	return keep_from_children(*out, len);
}

void wr_pages_free(void *pages, size_t len)
{
	wr_sys->munmap(pages, len);
}
