/* SPDX-License-Identifier: MIT */
/*
 * weir_mem and its pages, behind a seam that records and fails: pools of hugetlb pages and NUMA
 * nodes are the test's, with files of sysfs in a tree of its own. Small and transparent huge pages
 * and memfds are real.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "mem/pages.h"
#include "says.h"
#include "tree.h"

#define MIB (1ul << 20)
#define HUGE (2 * MIB)
#define GIGA (1ul << 30)
#define NONE ((struct weir_mem *)1)
#define POOLS "sys/kernel/mm/hugepages"
#define NODE1 "sys/devices/system/node/node1/hugepages"

/* The system: what it has, what was asked of it. Threads that fault in come here as well. */
static struct {
	char *root;
	struct weir_ioas *as;
	/* what it has */
	size_t pool[2];			/* hugetlb pages that mmap() hands out: 2 MiB, 1 GiB */
	unsigned int calls, fail_at;	/* the call that fails; 0: none */
	int fail_with;
	int memfd_error, mbind_error, populate_error;
	bool old_memfd;			/* doesn't know MFD_NOEXEC_SEAL */
	bool old_madvise;		/* doesn't know MADV_POPULATE_WRITE */
	bool fake_populate;		/* pages of a pool aren't real */
	/* what was asked */
	int mmap_flags;			/* of the last that wasn't plain memory */
	unsigned int memfds, memfd_flags, mbinds, slices;
	size_t slice;			/* length of the last that was faulted in */
	int seals, mode;
	unsigned int policy_flags;
	unsigned long nodes[16], bits;
	bool bound_first;		/* nothing was faulted in before */
	/* the books */
	long mapped;
	int fds;
	pthread_mutex_t lock;
} sys = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t page;

static bool fails(void)
{
	return ++sys.calls == sys.fail_at;
}

static int sys_open(const char *path, int flags)
{
	char in_tree[4096];
	int fd;

	if (strncmp(path, "/sys/", 5))
		return wr_sys_kernel.open(path, flags);
	snprintf(in_tree, sizeof(in_tree), "%s%s", sys.root, path);
	fd = wr_sys_kernel.open(in_tree, flags);
	sys.fds += fd >= 0;
	return fd;
}

static int sys_close(int fd)
{
	sys.fds--;
	return wr_sys_kernel.close(fd);
}

static int sys_memfd(const char *name, unsigned int flags)
{
	int fd;

	sys.memfds++;
	sys.memfd_flags = flags;
	if (fails())
		return sys.fail_with;
	if (sys.old_memfd && flags & 8)
		return -EINVAL;
	if (sys.memfd_error)
		return sys.memfd_error;
	fd = wr_sys_kernel.memfd(name, MFD_ALLOW_SEALING);
	sys.fds += fd >= 0;
	return fd;
}

static int sys_ftruncate(int fd, off_t len)
{
	return fails() ? sys.fail_with : wr_sys_kernel.ftruncate(fd, len);
}

static int sys_seal(int fd, int seals)
{
	sys.seals = seals;
	return fails() ? sys.fail_with : wr_sys_kernel.seal(fd, seals);
}

/* Pages of a pool, which are aligned to their size; as in mm/hugetlb.c, all or none. */
static int map_pool(size_t len, int flags, void **out)
{
	unsigned int shift = (unsigned int)flags >> MAP_HUGE_SHIFT;
	size_t size = 1ul << shift, *pool = shift == 21 ? &sys.pool[0] : &sys.pool[1];
	char *start, *aligned;
	void *mapped;

	if (shift != 21 && shift != 30)
		return -EINVAL;
	if (len >> shift > *pool)
		return -ENOMEM;
	if (wr_sys_kernel.mmap(NULL, len + size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			       MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &mapped))
		return -ENOMEM;
	start = mapped;
	aligned = (char *)(((uintptr_t)start + size - 1) & ~(size - 1));
	if (aligned > start)
		munmap(start, (size_t)(aligned - start));
	munmap(aligned + len, (size_t)(start + size - aligned));
	*out = aligned;
	return 0;
}

static int sys_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	int ret;

	if (fd >= 0 || flags & MAP_HUGETLB)
		sys.mmap_flags = flags;
	if (fails())
		return sys.fail_with;
	if (flags & MAP_HUGETLB)
		ret = map_pool(len, flags, out);
	else
		ret = wr_sys_kernel.mmap(hint, len, prot, flags, fd, offset, out);
	if (!ret && !(flags & MAP_FIXED))
		sys.mapped += (long)len;
	return ret;
}

static int sys_munmap(void *addr, size_t len)
{
	sys.mapped -= (long)len;
	return wr_sys_kernel.munmap(addr, len);
}

static int populate(void *addr, size_t len)
{
	if (sys.old_madvise)
		return -EINVAL;
	if (!len)
		return 0;
	sys.slices++;
	sys.slice = len;
	if (sys.populate_error)
		return sys.populate_error;
	return sys.fake_populate ? 0 : wr_sys_kernel.madvise(addr, len, MADV_POPULATE_WRITE);
}

static int sys_madvise(void *addr, size_t len, int advice)
{
	int ret;

	pthread_mutex_lock(&sys.lock);
	if (len && fails())
		ret = sys.fail_with;
	else if (advice == MADV_POPULATE_WRITE)
		ret = populate(addr, len);
	else
		ret = wr_sys_kernel.madvise(addr, len, advice);
	pthread_mutex_unlock(&sys.lock);
	return ret;
}

static int sys_mbind(void *addr, size_t len, int mode, const unsigned long *nodes,
		     unsigned long bits, unsigned int flags)
{
	(void)addr, (void)len;
	sys.mbinds++;
	if (fails())
		return sys.fail_with;
	sys.mode = mode;
	memcpy(sys.nodes, nodes, sizeof(sys.nodes));
	sys.bits = bits;
	sys.policy_flags = flags;
	sys.bound_first = !sys.slices;
	return sys.mbind_error;
}

/* Another table for each test, and the books balanced after it. */
static int setup(void **state)
{
	static struct wr_sys seam;

	(void)state;
	page = wr_page_size();
	memset(&sys, 0, offsetof(__typeof__(sys), lock));
	sys.root = tree_new();
	assert_int_equal(weir_ioas_open(NULL, &sys.as), 0);
	seam = wr_sys_kernel;
	seam.open = sys_open;
	seam.close = sys_close;
	seam.mmap = sys_mmap;
	seam.munmap = sys_munmap;
	seam.madvise = sys_madvise;
	seam.memfd = sys_memfd;
	seam.ftruncate = sys_ftruncate;
	seam.seal = sys_seal;
	seam.mbind = sys_mbind;
	wr_sys = &seam;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wr_sys = &wr_sys_kernel;
	assert_int_equal(weir_ioas_close(sys.as), 0);
	tree_free(sys.root);
	assert_int_equal(sys.fds, 0);
	return 0;
}

/* That it fails so, with nothing left of it. */
static void refused(size_t len, const struct weir_mem_opts *opts, int err)
{
	long mapped = sys.mapped;
	struct weir_mem *mem = NONE;
	int ret = weir_mem_alloc(sys.as, len, opts, &mem);

	if (ret != err)
		fail_msg("%d, not %d: %s", ret, err, ret ? weir_errmsg() : "");
	assert_ptr_equal(mem, NONE);
	assert_int_equal(sys.mapped, mapped);
	assert_int_equal(sys.fds, 0);
}

static struct weir_mem *allocated(size_t len, const struct weir_mem_opts *opts)
{
	struct weir_mem *mem = NONE;

	if (weir_mem_alloc(sys.as, len, opts, &mem))
		fail_msg("%s", weir_errmsg());
	return mem;
}

static size_t in_core(const struct weir_mem *mem)
{
	size_t n = weir_mem_len(mem) / page, found = 0;
	unsigned char *pages = malloc(n);

	assert_non_null(pages);
	assert_int_equal(mincore(weir_mem_ptr(mem), weir_mem_len(mem), pages), 0);
	for (size_t i = 0; i < n; i++)
		found += pages[i] & 1;
	free(pages);
	return found;
}

/* ---- options ---- */

static void contradictions_are_refused(void **state)
{
	static const struct {
		size_t len;
		struct weir_mem_opts opts;
		int err;
		const char *says;
	} bad[] = {
		{ 1, { .huge = true, .page_size = HUGE }, -EINVAL, "choose one" },
		{ 1, { .page_size = 3 * MIB }, -EINVAL, "3145728 isn't a power of two" },
		{ 1, { .page_size = 1 }, -ENODEV, "no hugetlb pages of 1 bytes" },
		{ 1, { .page_size = 4096 }, -ENODEV, "no hugetlb pages of 4 KiB" },
		{ 1, { .node = 1 }, -EINVAL, "node 1 without bind" },
		{ 1, { .threads = 257 }, -EINVAL, "257 are more than 256" },
		{ 0, { .page_size = HUGE }, -EINVAL, "0 bytes" },
		{ SIZE_MAX, { .page_size = GIGA }, -EINVAL, "can't be had" },
		{ SIZE_MAX, { .shared = true }, -EINVAL, "can't be had" },
		{ PTRDIFF_MAX, { .huge = true }, -EINVAL, "can't be had" },
		{ 1, { .page_size = 1ull << 63 }, -EINVAL, "can't be had" },
		{ 1, { .reserved = { 0, 0, 0, 1 } }, -EINVAL, "weir_mem_opts.reserved[3]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refused(bad[i].len, &bad[i].opts, bad[i].err);
		assert_says(bad[i].says);
	}
	assert_int_equal(sys.calls, 0);
}

/* ---- hugetlb ---- */

/* As the kernel keeps it for a size, in kB. */
static void pool(const char *where, unsigned int kb, const char *nr, const char *unused,
		 const char *reserved)
{
	const char *const names[] = { "nr_hugepages", "free_hugepages", "resv_hugepages" };
	const char *const texts[] = { nr, unused, reserved };
	char path[256];

	for (int i = 0; i < 3; i++) {
		if (!texts[i])
			continue;
		snprintf(path, sizeof(path), "%s/hugepages-%ukB/%s", where, kb, names[i]);
		tree_text(sys.root, path, texts[i]);
	}
}

static void sizes_that_the_system_hasnt(void **state)
{
	struct weir_mem_opts opts = { .page_size = 4 * MIB };

	(void)state;
	refused(1, &opts, -ENODEV);
	assert_says("no hugetlb pages of 4 MiB; those in /sys/kernel/mm/hugepages: none");
	pool(POOLS, 2048, "0\n", "0\n", "0\n");
	pool(POOLS, 1048576, "0\n", "0\n", "0\n");
	refused(1, &opts, -ENODEV);
	assert_says("no hugetlb pages of 4 MiB; those in /sys/kernel/mm/hugepages: 2 MiB, 1 GiB");
	/* What memfd_create() says to it, and a kernel without hugetlbfs. */
	opts.shared = true;
	sys.memfd_error = -ENODEV;
	refused(1, &opts, -ENODEV);
	assert_says("2 MiB, 1 GiB");
	sys.memfd_error = -ENOSYS;
	refused(1, &opts, -ENODEV);
	/* Not the size's fault. */
	sys.memfd_error = -EMFILE;
	refused(1, &opts, -EMFILE);
	assert_says("no memory for 4194304 bytes: Too many open files");
}

static void pools_that_are_short(void **state)
{
	struct weir_mem_opts opts = { .page_size = HUGE };

	(void)state;
	sys.pool[0] = 3;
	refused(8 * HUGE, &opts, -ENOMEM);
	assert_says("8 hugetlb pages of 2 MiB: /sys/kernel/mm/hugepages/hugepages-2048kB/"
		    "free_hugepages can't be read");
	pool(POOLS, 2048, "10\n", "5\n", "2\n");
	refused(8 * HUGE - 1, &opts, -ENOMEM);
	assert_says("8 hugetlb pages of 2 MiB are needed, and 3 are free: write 15 or more to "
		    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
	/* More reserved than free, which can be read between two changes. */
	pool(POOLS, 2048, "10\n", "1\n", "2\n");
	refused(8 * HUGE, &opts, -ENOMEM);
	assert_says("and 0 are free: write 18 or more");
	pool(POOLS, 2048, "20\n", "20\n", "0\n");
	refused(8 * HUGE, &opts, -ENOMEM);
	assert_says("though 20 are free");
	assert_says("cgroup's hugetlb limit");
	pool(POOLS, 1048576, "0\n", "0\n", "0\n");
	opts.page_size = GIGA;
	refused(1, &opts, -ENOMEM);
	assert_says("1 hugetlb pages of 1 GiB are needed, and 0 are free: write 1 or more to "
		    "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages");
}

/* What is reserved for all nodes together can be missing on one: that shows when faulting in. */
static void nodes_that_are_short(void **state)
{
	struct weir_mem_opts opts = { .page_size = HUGE, .bind = true, .node = 1 };

	(void)state;
	pool(POOLS, 2048, "64\n", "64\n", "1\n");
	pool(NODE1, 2048, "4\n", "1\n", NULL);
	sys.pool[0] = 64;
	sys.populate_error = -EFAULT;
	refused(2 * HUGE, &opts, -ENOMEM);
	assert_says("2 hugetlb pages of 2 MiB on node 1 are needed, and 1 are free: write 5 or more"
		    " to /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
	sys.populate_error = -EHWPOISON;
	refused(2 * HUGE, &opts, -EHWPOISON);
	assert_says("4194304 bytes of memory on node 1 can't be faulted in: Memory page has");
	opts.page_size = 0;
	sys.populate_error = -EFAULT;
	refused(page, &opts, -ENOMEM);
	assert_says("on node 1 can't be faulted in: Cannot allocate memory (the machine's");
}

static void hugetlb_pages_are_asked_for_by_size(void **state)
{
	static const uint64_t sizes[] = { HUGE, GIGA };
	struct weir_mem_opts opts = { 0 };
	struct weir_mem *mem;

	(void)state;
	sys.pool[0] = sys.pool[1] = 4;
	sys.fake_populate = true;
	for (int i = 0; i < 2; i++) {
		opts = (struct weir_mem_opts){ .page_size = sizes[i] };
		mem = allocated(sizes[i] + 1, &opts);
		assert_int_equal(sys.mmap_flags, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
				 (i ? 30 : 21) << 26);
		assert_int_equal(weir_mem_len(mem), 2 * sizes[i]);
		assert_int_equal((uintptr_t)weir_mem_ptr(mem) % sizes[i], 0);
		assert_true(weir_mem_iova(mem) % sizes[i] == 0);
		assert_int_equal(weir_mem_free(mem), 0);

		/* The file's pages are of that size, so its mapping isn't told. */
		opts.shared = true;
		mem = allocated(1, &opts);
		assert_int_equal(sys.memfd_flags, MFD_ALLOW_SEALING | 8 | MFD_HUGETLB |
				 (i ? 30u : 21u) << 26);
		assert_int_equal(sys.mmap_flags, MAP_SHARED);
		assert_int_equal(weir_mem_len(mem), sizes[i]);
		assert_int_equal(weir_mem_free(mem), 0);
	}
	/* Slices are whole pages. */
	sys.slices = 0;
	opts = (struct weir_mem_opts){ .page_size = GIGA, .threads = 4 };
	assert_int_equal(weir_mem_free(allocated(2 * GIGA, &opts)), 0);
	assert_int_equal(sys.slices, 2);
	assert_int_equal(sys.slice, GIGA);
}

/* ---- shared ---- */

static void shared_memory_is_a_sealed_file(void **state)
{
	static const struct weir_mem_opts opts = { .shared = true };
	/* Static, so that the child that ends below hasn't lost them, as valgrind sees it. */
	static struct weir_mem *mem, *private;
	struct stat st;
	char *theirs;
	int fd, dup_fd, status;
	pid_t pid;

	(void)state;
	private = allocated(1, NULL);
	assert_int_equal(weir_mem_fd(private), -EINVAL);
	assert_says("weir_mem_opts.shared");
	mem = allocated(3 * page - 1, &opts);
	fd = weir_mem_fd(mem);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 3 * page);
	assert_int_equal(fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
			 F_SEAL_SHRINK | F_SEAL_GROW);
	assert_int_equal(ftruncate(fd, (off_t)page), -1);
	assert_int_equal(in_core(mem), 3);

	dup_fd = dup(fd);
	theirs = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_SHARED, dup_fd, 0);
	assert_ptr_not_equal(theirs, MAP_FAILED);
	((char *)weir_mem_ptr(mem))[2 * page] = 42;
	assert_int_equal(theirs[2 * page], 42);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		unsigned char core;

		_exit(mincore(weir_mem_ptr(mem), page, &core) && errno == ENOMEM ? 42 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 42);

	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(theirs[2 * page], 42);
	munmap(theirs, 3 * page);
	close(dup_fd);
	assert_int_equal(weir_mem_free(private), 0);
}

static void *unmap_all(void *stop)
{
	int ret = 0;

	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED) && (!ret || ret == -EBUSY))
		ret = weir_ioas_unmap_all(sys.as);
	return (void *)(intptr_t)(ret == -EBUSY ? 0 : ret);
}

/* From the moment it is mapped it is a weir_mem. */
static void it_isnt_unmapped_while_it_is_made(void **state)
{
	bool stop = false;
	pthread_t thread;
	void *ret;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, unmap_all, &stop), 0);
	for (int i = 0; i < 20000; i++)
		assert_int_equal(weir_mem_free(allocated(page, NULL)), 0);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_null(ret);
}

static void shared_memory_can_be_huge(void **state)
{
	static const struct weir_mem_opts opts = { .shared = true, .huge = true };
	struct weir_mem *mem;
	struct stat st;

	(void)state;
	mem = allocated(HUGE + 1, &opts);
	assert_int_equal((uintptr_t)weir_mem_ptr(mem) % HUGE, 0);
	assert_true(weir_mem_iova(mem) % HUGE == 0);
	assert_int_equal(fstat(weir_mem_fd(mem), &st), 0);
	assert_int_equal(st.st_size, 2 * HUGE);
	((char *)weir_mem_ptr(mem))[2 * HUGE - 1] = 7;
	assert_int_equal(pread(weir_mem_fd(mem), &(char){ 0 }, 1, 2 * HUGE - 1), 1);
	assert_int_equal(in_core(mem), 2 * HUGE / page);
	assert_int_equal(weir_mem_free(mem), 0);
}

static void old_kernels_make_files_without_noexec(void **state)
{
	static const struct weir_mem_opts opts = { .shared = true };

	(void)state;
	sys.old_memfd = true;
	assert_int_equal(weir_mem_free(allocated(1, &opts)), 0);
	assert_int_equal(sys.memfds, 2);
	assert_int_equal(sys.memfd_flags, MFD_ALLOW_SEALING);
	sys.old_memfd = false;
	sys.memfd_error = -EACCES;
	refused(1, &opts, -EACCES);
	assert_int_equal(sys.memfds, 3);
}

/* ---- nodes ---- */

static void nodes_are_bound_before_the_first_touch(void **state)
{
	static const struct weir_mem_opts opts = { .bind = true, .node = 70 };
	struct weir_mem *mem;

	(void)state;
	mem = allocated(1, &opts);
	assert_true(sys.bound_first);
	assert_int_equal(sys.slices, 1);
	assert_int_equal(sys.mode, MPOL_BIND);
	/* The kernel takes one bit less than it is told: get_nodes(), mm/mempolicy.c. */
	assert_int_equal(sys.bits, 1025);
	assert_int_equal(sys.policy_flags, MPOL_MF_STRICT | MPOL_MF_MOVE);
	for (unsigned int i = 0; i < 16; i++)
		assert_true(sys.nodes[i] == (i == 1 ? 1ul << 6 : 0));
	assert_int_equal(weir_mem_free(mem), 0);
}

static void nodes_that_cant_be_bound(void **state)
{
	struct weir_mem_opts opts = { .bind = true, .node = 3 };

	(void)state;
	sys.mbind_error = -EINVAL;
	refused(1, &opts, -ENODEV);
	assert_says("nodes with memory are unknown");
	tree_text(sys.root, "sys/devices/system/node/has_memory", "0-1\n");
	refused(1, &opts, -ENODEV);
	assert_says("bound to node 3: nodes with memory are 0-1 (/sys/devices/system/node/");
	sys.mbind_error = -EPERM;
	refused(1, &opts, -EPERM);
	assert_says("CAP_SYS_NICE");
	sys.mbind_error = -ENOSYS;
	refused(1, &opts, -ENOTSUP);
	assert_says("no NUMA");
	sys.mbind_error = -EIO;
	refused(1, &opts, -EIO);
	sys.mbind_error = 0;
	sys.mbinds = 0;
	opts.node = 1024;
	refused(1, &opts, -ENODEV);
	opts.node = UINT32_MAX;
	refused(1, &opts, -ENODEV);
	assert_says("node 4294967295: nodes with memory are 0-1");
	assert_int_equal(sys.mbinds, 0);
	assert_int_equal(sys.slices, 0);
}

/* ---- every call fails once ---- */

static void nothing_is_left_of_a_failure(void **state)
{
	static const struct weir_mem_opts opts[] = {
		{ 0 }, { .huge = true }, { .shared = true }, { .bind = true },
		{ .shared = true, .huge = true, .bind = true },
	};

	(void)state;
	sys.fail_with = -EIO;
	/* Without the mapping, since its books keep memory for the next one. */
	for (size_t i = 0; i < sizeof(opts) / sizeof(opts[0]); i++) {
		unsigned int failed = 0;

		for (sys.fail_at = 1; ; sys.fail_at++) {
			long mapped = sys.mapped;
			struct wr_pages pages = { .fd = -42 };
			int ret;

			sys.calls = 0;
			ret = wr_pages_alloc(page, &opts[i], &pages);
			if (!ret)
				wr_pages_free(&pages);
			assert_int_equal(sys.mapped, mapped);
			assert_int_equal(sys.fds, 0);
			if (sys.calls < sys.fail_at)
				break;
			/* Without transparent hugepages small ones do. */
			assert_true(ret == -EIO || (!ret && opts[i].huge));
			if (ret)
				assert_int_equal(pages.fd, -42);
			failed += !!ret;
		}
		/* mmap() and two times madvise(), at least. */
		assert_true(failed >= 3);
	}
}

/* ---- faulting in, but for the threads: see test_prefault.c ---- */

static void note(void *arg, size_t done, size_t len)
{
	*(size_t *)arg = done == len ? len : 0;
}

/* Where nobody can say whether a touch would raise SIGBUS, mapping has to find out. */
static void old_kernels_are_touched(void **state)
{
	size_t told = 0;
	struct weir_mem_opts opts = { .progress = note, .progress_arg = &told };
	struct weir_mem *mem;

	(void)state;
	sys.old_madvise = true;
	mem = allocated(9 * MIB, &opts);
	assert_int_equal(in_core(mem), 9 * MIB / page);
	assert_int_equal(told, 9 * MIB);
	assert_int_equal(weir_mem_free(mem), 0);
	opts.shared = true;
	mem = allocated(9 * MIB, &opts);
	assert_int_equal(in_core(mem), 0);
	assert_int_equal(weir_mem_free(mem), 0);
	sys.pool[0] = 1;
	opts = (struct weir_mem_opts){ .page_size = HUGE };
	mem = allocated(HUGE, &opts);
	assert_int_equal(in_core(mem), 0);
	assert_int_equal(weir_mem_free(mem), 0);
}

/* The options reach those who act on them. */
static void threads_and_progress_are_passed_on(void **state)
{
	size_t told = 0;
	const struct weir_mem_opts opts = {
		.threads = 2, .progress = note, .progress_arg = &told,
	};
	struct weir_mem *mem = allocated(4 * MIB, &opts);

	(void)state;
	assert_int_equal(sys.slices, 2);
	assert_int_equal(told, 4 * MIB);
	assert_int_equal(in_core(mem), 4 * MIB / page);
	assert_int_equal(weir_mem_free(mem), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(contradictions_are_refused),
		TEST(sizes_that_the_system_hasnt),
		TEST(pools_that_are_short),
		TEST(nodes_that_are_short),
		TEST(hugetlb_pages_are_asked_for_by_size),
		TEST(shared_memory_is_a_sealed_file),
		TEST(it_isnt_unmapped_while_it_is_made),
		TEST(shared_memory_can_be_huge),
		TEST(old_kernels_make_files_without_noexec),
		TEST(nodes_are_bound_before_the_first_touch),
		TEST(nodes_that_cant_be_bound),
		TEST(nothing_is_left_of_a_failure),
		TEST(old_kernels_are_touched),
		TEST(threads_and_progress_are_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
