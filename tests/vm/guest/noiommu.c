/* SPDX-License-Identifier: MIT */
/*
 * A machine without an IOMMU: devices by consent, memory that is held where it is, and what the
 * kernel says of where that is, by either of the two interfaces. Its devices are an edu, an NVMe,
 * and another edu; it wants 64 hugetlb pages of 2 MiB, io_uring, and MADV_SOFT_OFFLINE
 * (CONFIG_MEMORY_FAILURE), which moves pages on demand.
 */
#include <linux/capability.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/vm/guest/guest.h"

#define HUGE		(2ul << 20)
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101		/* include/uapi/asm-generic/mman-common.h */
#endif
#define URING_SWITCH	"/proc/sys/kernel/io_uring_disabled"

static const char by_fd[] = "iommufd-noiommu", by_group[] = "noiommu";
static struct weir_iommu_opts consent = { .unsafe_noiommu = true };
static struct weir_iommu *iommu;
static struct weir_ioas *as;

static int setup(void **state)
{
	consent.interface = *state;
	MUST(weir_iommu_open(&consent, &iommu));
	MUST(weir_ioas_open(iommu, &as));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	MUST(weir_ioas_close(as));
	MUST(weir_iommu_close(iommu));
	return 0;
}

/* QEMU's edu drives 64 bits in these machines. */
static struct opened open_wide(const char *which)
{
	const struct weir_device_opts opts = { .ioas = as };
	struct weir_device_info info;
	struct opened o;

	MUST(weir_device_open(iommu, device(which), &opts, &o.dev));
	MUST(weir_device_info(o.dev, &info));
	assert_string_equal(info.backend, consent.interface ? consent.interface : by_fd);
	MUST(edu_open(o.dev, &o.edu));
	return o;
}

/* Where a page is: asked of the kernel one by one. */
static uint64_t physical(const void *vaddr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	assert_int_equal(pread(fd, &entry, 8, (off_t)((uintptr_t)vaddr / PAGE * 8)), 8);
	close(fd);
	assert_true(entry >> 63);
	return (entry & ((1ull << 55) - 1)) * PAGE + (uintptr_t)vaddr % PAGE;
}

static char *huge_pages(size_t n)
{
	char *pages = mmap(NULL, n * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			   MAP_HUGETLB | 21 << 26, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	memset(pages, 0, n * HUGE);
	return pages;
}

static void consent_is_needed(void **state)
{
	static const char *const interfaces[] = { "", by_fd, by_group };
	struct weir_device *dev;

	(void)state;
	for (int i = 0; i < 3; i++) {
		setenv("WEIR_IOMMU", interfaces[i], 1);
		must_fail(weir_device_open(NULL, device("WEIR_TEST_EDU"), NULL, &dev), -EPERM,
			  "weir_iommu_opts.unsafe_noiommu");
	}
	unsetenv("WEIR_IOMMU");
}

static void every_page_is_where_it_is_said_to_be(void **state)
{
	struct opened o = open_wide("WEIR_TEST_EDU");
	struct weir_ioas_caps caps;
	struct weir_seg segs[8];
	struct weir_mem *mem;
	size_t at = 0;
	char *p;
	int n;

	(void)state;
	MUST(weir_ioas_caps(as, &caps));
	assert_false(caps.isolation);
	MUST(weir_mem_alloc(as, 8 * HUGE, NULL, &mem));
	p = weir_mem_ptr(mem);
	n = MUST(weir_ioas_segs(as, p, 8 * HUGE, segs, 8));
	assert_in_range(n, 1, 8);
	assert_int_equal(segs[0].iova, weir_mem_iova(mem));
	for (int i = 0; i < n; i++)
		for (size_t in = 0; in < segs[i].len; in += PAGE, at += PAGE)
			assert_int_equal(physical(p + at), segs[i].iova + in);
	assert_int_equal(at, 8 * HUGE);
	/* By content, both ways, over the ends of huge pages too. */
	for (size_t i = 1; i < 8; i++)
		round_trip(o.edu, (unsigned char *)p + i * HUGE - PAGE, (unsigned char)(0x10 + i));
	assert_int_equal(weir_ioas_map(as, p, HUGE, NULL, &(weir_iova){ 0 }), -EEXIST);
	MUST(weir_mem_free(mem));
	close_edu(o);
}

/* The kernel moves huge pages, locked ones too; those that are mapped it doesn't. */
static void held_memory_isnt_moved(void **state)
{
	struct opened o = open_wide("WEIR_TEST_EDU");
	char *pages = huge_pages(2);
	uint64_t moving = physical(pages), held;
	weir_iova iova;

	(void)state;
	assert_int_equal(mlock(pages, 2 * HUGE), 0);
	memset(pages, 0x77, HUGE);
	MUST(weir_ioas_map(as, pages + HUGE, PAGE, NULL, &iova));
	held = physical(pages + HUGE);
	assert_int_equal(held, iova);

	assert_int_equal(madvise(pages, PAGE, MADV_SOFT_OFFLINE), 0);
	assert_int_not_equal(physical(pages), moving);
	assert_int_equal(pages[PAGE], 0x77);
	assert_int_equal(madvise(pages + HUGE, PAGE, MADV_SOFT_OFFLINE), -1);
	assert_int_equal(physical(pages + HUGE), held);
	MUST(weir_ioas_unmap(as, iova, PAGE));
	munmap(pages, 2 * HUGE);
	close_edu(o);
}

static void small_pages_are_refused(void **state)
{
	struct opened o = open_wide("WEIR_TEST_EDU");
	void *small = page_of(1, 512);
	weir_iova iova;

	(void)state;
	must_fail(weir_ioas_map(as, small, PAGE, NULL, &iova), -EINVAL, "isn't hugetlb's");
	munmap(small, 512 * PAGE);
	close_edu(o);
}

/* IOMMUFD holds all kinds: a device's transfer goes by the pieces that they are in. */
static void small_pages_are_in_pieces(void **state)
{
	const struct weir_map_opts scattered = { .scattered = true };
	struct opened o = open_wide("WEIR_TEST_EDU");
	unsigned char *small = page_of(1, 512);
	struct weir_seg segs[512];
	weir_iova iova;
	size_t at = 0;
	int n;

	(void)state;
	MUST(weir_ioas_map(as, small, 512 * PAGE, &scattered, &iova));
	n = MUST(weir_ioas_segs(as, small, 512 * PAGE, segs, 512));
	assert_in_range(n, 1, 512);
	for (int i = 0; i < n; i++)
		for (size_t in = 0; in < segs[i].len; in += PAGE, at += PAGE)
			assert_int_equal(physical(small + at), segs[i].iova + in);
	assert_int_equal(at, 512 * PAGE);
	round_trip(o.edu, small, 0x41);
	MUST(weir_ioas_unmap(as, iova, 512 * PAGE));
	munmap(small, 512 * PAGE);
	close_edu(o);
}

static void pool_that_is_too_small(void **state)
{
	struct opened o = open_wide("WEIR_TEST_EDU");
	struct weir_mem *mem;

	(void)state;
	must_fail(weir_mem_alloc(as, 1ul << 30, NULL, &mem), -ENOMEM,
		  "512 hugetlb pages of 2 MiB are needed");
	close_edu(o);
}

static void two_devices_in_one_address_space(void **state)
{
	struct opened a = open_wide("WEIR_TEST_EDU"), b = open_wide("WEIR_TEST_PAIR0");
	struct weir_ioas_caps caps;
	struct weir_mem *mem;

	(void)state;
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	MUST(weir_ioas_caps(as, &caps));
	assert_int_equal(caps.domains, 1);
	round_trip(a.edu, weir_mem_ptr(mem), 0x51);
	round_trip(b.edu, weir_mem_ptr(mem), 0x52);
	close_edu(a);
	round_trip(b.edu, weir_mem_ptr(mem), 0x53);
	MUST(weir_mem_free(mem));
	close_edu(b);
}

/* Kernels needn't have another container than IOMMUFD's. */
static void iommufd_is_a_container(void **state)
{
	struct weir_mem *mem;
	struct opened o;

	(void)state;
	assert_int_equal(rename("/dev/vfio/vfio", "/dev/vfio/hidden"), 0);
	o = open_wide("WEIR_TEST_EDU");
	assert_int_equal(rename("/dev/vfio/hidden", "/dev/vfio/vfio"), 0);
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	round_trip(o.edu, weir_mem_ptr(mem), 0x61);
	MUST(weir_mem_free(mem));
	close_edu(o);
}

static void no_io_uring(void **state)
{
	struct weir_device *dev;
	int ret;

	(void)state;
	write_text(URING_SWITCH, "2");
	ret = weir_device_open(iommu, device("WEIR_TEST_EDU"), NULL, &dev);
	write_text(URING_SWITCH, "0");
	must_fail(ret, -EPERM, URING_SWITCH);
}

/* Without a capability, in a process of its own: what opening says, and that it names it. */
static void without(unsigned int capability, int err, const char *name)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	struct weir_device *dev;
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct weir_iommu *own;
		int ret;

		if (syscall(SYS_capget, &header, data))
			_exit(2);
		data[capability / 32].effective &= ~(1u << capability % 32);
		if (syscall(SYS_capset, &header, data) || weir_iommu_open(&consent, &own))
			_exit(2);
		ret = weir_device_open(own, device("WEIR_TEST_EDU"), NULL, &dev);
		if (ret != err || (ret && !strstr(weir_errmsg(), name))) {
			fprintf(stderr, "%d: %s\n", ret, weir_errmsg());
			_exit(1);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void capabilities(void **state)
{
	bool fd = *state == by_fd;

	without(CAP_SYS_RAWIO, -EPERM, "CAP_SYS_RAWIO");
	without(CAP_SYS_ADMIN, fd ? 0 : -EPERM, "CAP_SYS_ADMIN");
}

/* Bus Master Enable of its command register, as the kernel sees it. */
static bool is_master(const char *which)
{
	char path[64];
	uint16_t command;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", device(which));
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, &command, 2, 4), 2);
	close(fd);
	return command & 4;
}

/* Killed with its device at work. The next one finds it reset or, as QEMU's edu, at least still. */
static void killed(void **state)
{
	struct weir_mem *mem;
	struct opened o;
	int pipes[2], status;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		/* A context is its process's own. */
		if (weir_iommu_open(&consent, &iommu) || weir_ioas_open(iommu, &as))
			_exit(1);
		o = open_wide("WEIR_TEST_EDU");
		if (weir_mem_alloc(as, 2 * PAGE, NULL, &mem) || weir_device_bus_master(o.dev, true))
			_exit(1);
		round_trip(o.edu, weir_mem_ptr(mem), 0x71);
		if (write(pipes[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	assert_true(is_master("WEIR_TEST_EDU"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pipes[0]);
	assert_false(is_master("WEIR_TEST_EDU"));
	o = open_wide("WEIR_TEST_EDU");
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	round_trip(o.edu, weir_mem_ptr(mem), 0x72);
	MUST(weir_mem_free(mem));
	close_edu(o);
}

/* The command says that, so often, and ends so. */
static void must_say(const char *command, const char *which, int status, const char *part,
		     int times)
{
	char line[256], out[16384];
	const char *at = out;
	size_t len;
	FILE *from;
	int ended;

	snprintf(line, sizeof(line), "%s %s 2>&1", command, device(which));
	from = popen(line, "r");
	assert_non_null(from);
	len = fread(out, 1, sizeof(out) - 1, from);
	out[len] = '\0';
	ended = pclose(from);
	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != status)
		fail_msg("%s ended with 0x%x: %s", line, ended, out);
	while (times-- > 0) {
		at = strstr(at, part);
		if (!at++)
			fail_msg("%s doesn't say \"%s\" often enough: %s", line, part, out);
	}
}

static void the_command_shows_it(void **state)
{
	(void)state;
	must_say("weir selftest", "WEIR_TEST_EDU", 2, "--unsafe-noiommu", 1);
	must_say("weir selftest --unsafe-noiommu --json", "WEIR_TEST_EDU", 0, "NOT BLOCKED", 2);
	must_say("WEIR_IOMMU=noiommu weir selftest --unsafe-noiommu --json", "WEIR_TEST_EDU", 0,
		 "NOT BLOCKED", 2);
	must_say("weir selftest --unsafe-noiommu", "WEIR_TEST_NVME", 0,
		 "ALL of this machine's memory", 1);
	must_say("weir nvme identify", "WEIR_TEST_NVME", 2, "--unsafe-noiommu", 1);
	must_say("weir nvme identify --unsafe-noiommu", "WEIR_TEST_NVME", 0,
		 "by iommufd-noiommu", 1);
	must_say("weir nvme bench --count 64 --irq --unsafe-noiommu", "WEIR_TEST_NVME", 0, "", 0);
	must_say("weir info", "WEIR_TEST_EDU", 2, "--unsafe-noiommu", 1);
	must_say("weir info --unsafe-noiommu", "WEIR_TEST_EDU", 0,
		 "NO, it reaches all memory", 1);
}

#define TEST(f, by) { #f "_" #by, f, setup, teardown, (void *)(uintptr_t)(by) }
#define TEST_BOTH(f) TEST(f, by_fd), TEST(f, by_group)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(consent_is_needed),
		cmocka_unit_test_setup_teardown(two_devices_in_one_address_space, setup,
						teardown),
		TEST_BOTH(every_page_is_where_it_is_said_to_be),
		TEST_BOTH(held_memory_isnt_moved),
		TEST(small_pages_are_in_pieces, by_fd),
		TEST(small_pages_are_refused, by_group),
		TEST_BOTH(pool_that_is_too_small),
		TEST_BOTH(two_devices_in_one_address_space),
		TEST(iommufd_is_a_container, by_group),
		TEST(no_io_uring, by_group),
		TEST_BOTH(capabilities),
		TEST_BOTH(killed),
		cmocka_unit_test(the_command_shows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
