/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/file.h"
#include "base/sys.h"
#include "mem/pages.h"
#include "mem/prefault.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u	/* Linux 6.3, include/uapi/linux/memfd.h */
#endif

#define NODES_MAX	1024	/* the kernel's largest: NODES_SHIFT is 10 at most */
#define LONG_BITS	(8 * sizeof(unsigned long))
#define PATH_SIZE	128
#define POOL_MAX	(1ull << 40)

/* ---- errors that teach ---- */

static const char *size_text(char buf[32], uint64_t size)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB" };
	size_t unit = 0;

	for (; size && size % 1024 == 0 && unit < 3; unit++)
		size /= 1024;
	snprintf(buf, 32, "%" PRIu64 " %s", size, units[unit]);
	return buf;
}

/* A number that the kernel keeps for a size of hugetlb pages: for one node with opts.bind. */
static int pool_number(const struct weir_mem_opts *opts, const char *name, char path[PATH_SIZE],
		       uint64_t *value)
{
	char node[64] = "/sys/kernel/mm";

	if (opts->bind)
		snprintf(node, sizeof(node), "/sys/devices/system/node/node%u", opts->node);
	snprintf(path, PATH_SIZE, "%s/hugepages/hugepages-%" PRIu64 "kB/%s", node,
		 opts->page_size / 1024, name);
	return wr_read_u64(path, value);
}

/* Of a size that the system hasn't got there is no folder. */
static int has_pool(uint64_t page_size)
{
	const struct weir_mem_opts opts = { .page_size = page_size };
	char path[PATH_SIZE];
	uint64_t value;
	int ret = pool_number(&opts, "nr_hugepages", path, &value);

	if (ret == -ENOENT)
		return 0;
	return ret < 0 ? wr_fail(ret, "reading %s: %s", path, strerror(-ret)) : 1;
}

int wr_pages_at_least(uint64_t page, uint64_t *out)
{
	*out = page;
	for (uint64_t size = page; size <= POOL_MAX; size *= 2) {
		int ret = has_pool(size);

		if (ret > 0)
			*out = size;
		if (ret)
			return ret < 0 ? ret : 0;
	}
	return 0;
}

static int no_such_size(uint64_t size)
{
	char list[256] = "", text[32];

	for (uint64_t other = 2 * wr_page_size(); other <= POOL_MAX; other *= 2)
		if (has_pool(other) > 0)
			wr_append(list, sizeof(list), "%s%s", *list ? ", " : "",
				  size_text(text, other));
	return wr_fail(-ENODEV, "this system has no hugetlb pages of %s; those in "
		       "/sys/kernel/mm/hugepages: %s", size_text(text, size),
		       *list ? list : "none");
}

/* The numbers are those after the attempt was undone. */
static int pool_is_short(size_t len, const struct weir_mem_opts *opts)
{
	char path[PATH_SIZE], text[32], node[32] = "";
	uint64_t need = len / opts->page_size, nr, unused, reserved = 0;

	size_text(text, opts->page_size);
	if (opts->bind)
		snprintf(node, sizeof(node), " on node %u", opts->node);
	/* The kernel keeps this one for all nodes together: a node alone hasn't got it. */
	if (pool_number(opts, "resv_hugepages", path, &reserved) < 0)
		reserved = 0;
	if (pool_number(opts, "free_hugepages", path, &unused) < 0 ||
	    pool_number(opts, "nr_hugepages", path, &nr) < 0)
		return wr_fail(-ENOMEM, "no %" PRIu64 " hugetlb pages of %s%s: %s can't be read",
			       need, text, node, path);
	unused = unused > reserved ? unused - reserved : 0;
	if (unused >= need)
		return wr_fail(-ENOMEM, "%" PRIu64 " hugetlb pages of %s%s are needed, and can't "
			       "be had though %" PRIu64 " are free: others have reserved them, or "
			       "a limit is in the way (the cgroup's hugetlb limit, 'ulimit -v')",
			       need, text, node, unused);
	return wr_fail(-ENOMEM, "%" PRIu64 " hugetlb pages of %s%s are needed, and %" PRIu64 " are "
		       "free: write %" PRIu64 " or more to %s", need, text, node, unused,
		       nr + (need - unused), path);
}

/* Address space, or a file, that the kernel refuses. */
static int not_mapped(int err, size_t len, const struct weir_mem_opts *opts)
{
	if (opts->page_size && err == -ENOMEM)
		return pool_is_short(len, opts);
	/* From mmap(); from memfd_create(); from a kernel without hugetlbfs. */
	if (opts->page_size && (err == -EINVAL || err == -ENODEV || err == -ENOSYS))
		return no_such_size(opts->page_size);
	return wr_fail(err, "no memory for %zu bytes: %s%s", len, strerror(-err), err == -ENOMEM ?
		       " ('ulimit -v' and vm.overcommit_memory are limits)" : "");
}

/* Pages that the kernel hasn't got. */
static int not_faulted_in(int err, size_t len, const struct weir_mem_opts *opts)
{
	char node[32] = "";

	/* A touch would raise SIGBUS: so the kernel says it of files when it lacks memory. */
	if (err == -EFAULT)
		err = -ENOMEM;
	if (opts->page_size && err == -ENOMEM)
		return pool_is_short(len, opts);
	if (opts->bind)
		snprintf(node, sizeof(node), " on node %u", opts->node);
	return wr_fail(err, "%zu bytes of memory%s can't be faulted in: %s%s", len, node,
		       strerror(-err), err == -ENOMEM ?
		       " (the machine's, the node's or the cgroup's is used up)" : "");
}

static int not_bound(int err, unsigned int node)
{
	static const char list[] = "/sys/devices/system/node/has_memory";
	char nodes[256];

	if (err == -ENOSYS)
		return wr_fail(-ENOTSUP, "memory can't be bound to node %u: this kernel has no "
			       "NUMA", node);
	if (err == -EPERM)
		return wr_fail(err, "memory can't be bound to node %u: mbind() is forbidden, as in "
			       "containers without CAP_SYS_NICE", node);
	if (err != -EINVAL)
		return wr_fail(err, "memory can't be bound to node %u: %s", node, strerror(-err));
	if (wr_read_text(list, nodes, sizeof(nodes)) < 0)
		strcpy(nodes, "unknown");
	return wr_fail(-ENODEV, "memory can't be bound to node %u: nodes with memory are %s (%s), "
		       "and this process may use those in Mems_allowed_list of /proc/self/status",
		       node, nodes, list);
}

/* ---- allocation ---- */

static int check_opts(const struct weir_mem_opts *opts)
{
	if (opts->huge && opts->page_size)
		return wr_fail(-EINVAL, "weir_mem_opts: huge asks for transparent hugepages, "
			       "page_size for hugetlb's: choose one");
	if (opts->page_size & (opts->page_size - 1))
		return wr_fail(-EINVAL, "weir_mem_opts.page_size: %" PRIu64 " isn't a power of two",
			       opts->page_size);
	/* To the kernel, pages of one byte would be those of its default size. */
	if (opts->page_size && opts->page_size <= wr_page_size())
		return no_such_size(opts->page_size);
	if (opts->node && !opts->bind)
		return wr_fail(-EINVAL, "weir_mem_opts: node %u without bind", opts->node);
	if (opts->threads > WR_PREFAULT_THREADS_MAX)
		return wr_fail(-EINVAL, "weir_mem_opts.threads: %u are more than %u", opts->threads,
			       WR_PREFAULT_THREADS_MAX);
	return 0;
}

/* The base-2 logarithm of the pages' size, where mmap() and memfd_create() both want it. */
static unsigned int size_flag(uint64_t page_size)
{
	return (unsigned int)__builtin_ctzll(page_size) << MAP_HUGE_SHIFT;
}

int wr_pages_file(size_t len, uint64_t page_size)
{
	unsigned int flags = MFD_ALLOW_SEALING;
	int fd, ret;

	if (page_size)
		flags |= MFD_HUGETLB | size_flag(page_size);
	/* vm.memfd_noexec can demand the flag, and kernels before 6.3 don't know it. */
	fd = wr_sys->memfd("weir", flags | MFD_NOEXEC_SEAL);
	if (fd == -EINVAL)
		fd = wr_sys->memfd("weir", flags);
	if (fd < 0)
		return fd;
	ret = wr_sys->ftruncate(fd, (off_t)len);
	/* A shorter file's process would get SIGBUS, and the devices keep the pages it lost. */
	if (!ret)
		ret = wr_sys->seal(fd, F_SEAL_SHRINK | F_SEAL_GROW);
	if (!ret)
		return fd;
	wr_close(fd);
	return ret;
}

/* Map more, and give back what lies outside the aligned part. -errno without a message. */
static int map_aligned(size_t len, int prot, void **out)
{
	char *start, *aligned;
	void *mapped;
	int ret;

	ret = wr_sys->mmap(NULL, len + WR_HUGE_PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
			   &mapped);
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

/* hugetlb aligns by itself to its pages, which are all of one size in a mapping. */
static int map_pages(struct wr_pages *p, const struct weir_mem_opts *opts)
{
	int flags = p->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	int prot = PROT_READ | PROT_WRITE;
	int ret;

	if (p->fd < 0 && opts->page_size)
		flags |= MAP_HUGETLB | (int)size_flag(opts->page_size);
	if (!opts->huge)
		return wr_sys->mmap(NULL, p->len, prot, flags, p->fd, 0, &p->addr);
	ret = map_aligned(p->len, p->fd < 0 ? prot : PROT_NONE, &p->addr);
	if (ret || p->fd < 0)
		return ret;
	/* In the place that was found. */
	ret = wr_sys->mmap(p->addr, p->len, prot, flags | MAP_FIXED, p->fd, 0, &p->addr);
	if (ret)
		wr_sys->munmap(p->addr, p->len);
	return ret;
}

static int bind_pages(const struct wr_pages *p, unsigned int node)
{
	unsigned long nodes[NODES_MAX / LONG_BITS] = { 0 };
	int ret;

	if (node >= NODES_MAX)
		return not_bound(-EINVAL, node);
	nodes[node / LONG_BITS] = 1ul << (node % LONG_BITS);
	/* After mlockall(MCL_FUTURE), pages are there already: they must move. */
	ret = wr_sys->mbind(p->addr, p->len, MPOL_BIND, nodes, NODES_MAX + 1,
			    MPOL_MF_STRICT | MPOL_MF_MOVE);
	return ret < 0 ? not_bound(ret, node) : 0;
}

/*
 * After a fork, the first of parent and child to write a private page gets a copy, and the device
 * would go on with the original: keep these pages the parent's. Shared ones would stay the same,
 * but the device isn't the child's.
 */
static int keep_from_children(void *pages, size_t len)
{
	int ret = wr_sys->madvise(pages, len, MADV_DONTFORK);

	if (ret < 0)
		return wr_fail(ret, "memory can't be kept from child processes: %s",
			       strerror(-ret));
	return 0;
}

/* What has to be said of the memory before its pages are there. */
static int advise(const struct wr_pages *p, const struct weir_mem_opts *opts)
{
	int ret = keep_from_children(p->addr, p->len);

	if (ret)
		return ret;
	/* Kernels without transparent hugepages refuse; small pages do, only slower. */
	if (opts->huge && wr_sys->madvise(p->addr, p->len, MADV_HUGEPAGE) < 0)
		wr_log(WEIR_LOG_INFO, "no transparent hugepages here: %zu bytes in small pages",
		       p->len);
	return opts->bind ? bind_pages(p, opts->node) : 0;
}

int wr_pages_alloc(size_t len, const struct weir_mem_opts *opts, struct wr_pages *out)
{
	struct wr_pages p = { .fd = -1 };
	struct wr_prefault prefault = {
		.page = opts->page_size ? opts->page_size : wr_page_size(),
		.threads = opts->threads,
		/* Of private small pages alone, a touch never raises SIGBUS. */
		.touch = !opts->shared && !opts->page_size,
		.progress = opts->progress,
		.progress_arg = opts->progress_arg,
	};
	size_t unit = opts->huge ? WR_HUGE_PAGE : prefault.page;
	int ret = check_opts(opts);

	if (ret)
		return ret;
	if (!len || len > PTRDIFF_MAX || unit > PTRDIFF_MAX - len)
		return wr_fail(-EINVAL, "%zu bytes of memory can't be had", len);
	p.len = (len + unit - 1) & ~(unit - 1);

	if (opts->shared) {
		p.fd = wr_pages_file(p.len, opts->page_size);
		if (p.fd < 0)
			return not_mapped(p.fd, p.len, opts);
	}
	ret = map_pages(&p, opts);
	if (ret < 0) {
		wr_close(p.fd);
		return not_mapped(ret, p.len, opts);
	}
	ret = advise(&p, opts);
	if (ret) {
		wr_pages_free(&p);
		return ret;
	}
	ret = wr_prefault(p.addr, p.len, &prefault);
	if (ret) {
		wr_pages_free(&p);
		return not_faulted_in(ret, p.len, opts);
	}
	*out = p;
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
	ret = keep_from_children(*out, len);
	if (ret)
		wr_pages_unmap(*out, len);
	return ret;
}

void wr_pages_unmap(void *pages, size_t len)
{
	wr_sys->munmap(pages, len);
}

void wr_pages_free(const struct wr_pages *pages)
{
	wr_sys->munmap(pages->addr, pages->len);
	wr_close(pages->fd);
}
