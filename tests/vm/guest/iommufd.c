/* SPDX-License-Identifier: MIT */
/*
 * What IOMMUFD alone can do, on a real one: files mapped as files, a device that goes from one
 * address space to another, memory that is pinned once for two of them, fds that the caller has
 * opened; that groups and nodes keep out of each other's way; and limits of all kinds. Its devices
 * are two edu functions that share a group, and one that is alone.
 */
#include <dirent.h>
#include <inttypes.h>
#include <sys/ioctl.h>

#include "src/kernel/uapi.h"
#include "tests/vm/guest/guest.h"

static const struct weir_iommu_opts by_iommufd = { .interface = "iommufd" };

static void files_are_reached(void **state)
{
	const struct weir_mem_opts shared = { .shared = true };
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct weir_mem *mem;
	struct opened a;
	weir_iova iova;
	void *at;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	MUST(weir_iommu_open(&by_iommufd, &iommu));
	MUST(weir_ioas_open(iommu, &as));
	/* Recorded, and with a device there. */
	MUST(weir_ioas_map_fd(as, fd, PAGE, 2 * PAGE, NULL, &iova));
	a = open_edu(iommu, device("WEIR_TEST_EDU"), as);
	MUST(weir_mem_alloc(as, 2 * PAGE, &shared, &mem));
	round_trip(a.edu, weir_mem_ptr(mem), 0x31);
	MUST(weir_ioas_to_vaddr(as, iova, &at, NULL));
	round_trip(a.edu, at, 0x32);
	assert_int_equal(pread(fd, at, 1, PAGE), 1);
	assert_int_equal(*(unsigned char *)at, 0x32);
	MUST(weir_ioas_unmap(as, iova, 2 * PAGE));
	MUST(weir_mem_free(mem));
	close_edu(a);
	MUST(weir_ioas_close(as));
	MUST(weir_iommu_close(iommu));
	close(fd);
}

/* One goes to another space and back while the other stays; each reaches what its own has. */
static void device_moves(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	struct weir_ioas *spaces[2];
	unsigned char *memory[2];
	struct weir_iommu *iommu;
	struct opened a, b;

	(void)state;
	MUST(weir_iommu_open(&by_iommufd, &iommu));
	for (int i = 0; i < 2; i++) {
		weir_iova iova = 0x100000;

		memory[i] = page_of((unsigned char)(0x40 + i), 2);
		MUST(weir_ioas_open(iommu, &spaces[i]));
		MUST(weir_ioas_map(spaces[i], memory[i], 2 * PAGE, &fixed, &iova));
	}
	a = open_edu(iommu, device("WEIR_TEST_EDU"), spaces[0]);
	b = open_edu(iommu, device("WEIR_TEST_PAIR0"), spaces[0]);
	for (int i = 1; i <= 8; i++) {
		unsigned char *mine = memory[i & 1];

		MUST(weir_device_move(a.dev, spaces[i & 1]));
		memset(mine, 0x50 + i, PAGE);
		memset(mine + PAGE, 0, PAGE);
		MUST(edu_dma(a.edu, 0x100000, 0, PAGE, true));
		MUST(edu_dma(a.edu, 0x100000 + PAGE, 0, PAGE, false));
		assert_memory_equal(mine, mine + PAGE, PAGE);
		round_trip(b.edu, memory[0], (unsigned char)i);
	}
	/* What the space that it left has is out of its reach. */
	MUST(weir_device_move(a.dev, spaces[1]));
	MUST(weir_ioas_unmap(spaces[1], 0x100000, 2 * PAGE));
	must_be_blocked(a.edu, 0x100000, memory[0]);
	MUST(weir_ioas_unmap(spaces[0], 0x100000, 2 * PAGE));
	close_edu(a);
	close_edu(b);
	for (int i = 0; i < 2; i++)
		MUST(weir_ioas_close(spaces[i]));
	MUST(weir_iommu_close(iommu));
}

static void bad_memory_keeps_a_device_where_it_is(void **state)
{
	unsigned char *gone = page_of(1, 1);
	struct weir_iommu *iommu;
	struct weir_ioas *as, *other;
	struct weir_mem *mem;
	struct opened a;
	weir_iova iova;

	(void)state;
	MUST(weir_iommu_open(&by_iommufd, &iommu));
	MUST(weir_ioas_open(iommu, &as));
	MUST(weir_ioas_open(iommu, &other));
	a = open_edu(iommu, device("WEIR_TEST_EDU"), as);
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	MUST(weir_ioas_map(other, gone, PAGE, NULL, &iova));
	munmap(gone, PAGE);
	must_fail(weir_device_move(a.dev, other), -EFAULT, "not all of it is memory");
	round_trip(a.edu, weir_mem_ptr(mem), 0x61);
	MUST(weir_mem_free(mem));
	close_edu(a);
	MUST(weir_ioas_close(as));
	MUST(weir_ioas_close(other));
	MUST(weir_iommu_close(iommu));
}

static void group_moves_as_one_or_not(void **state)
{
	struct weir_iommu *iommu;
	struct weir_ioas *as, *other;
	struct weir_mem *mem;
	struct opened a, b;

	(void)state;
	MUST(weir_iommu_open(&by_iommufd, &iommu));
	MUST(weir_ioas_open(iommu, &as));
	MUST(weir_ioas_open(iommu, &other));
	a = open_edu(iommu, device("WEIR_TEST_PAIR0"), as);
	b = open_edu(iommu, device("WEIR_TEST_PAIR1"), as);
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	round_trip(a.edu, weir_mem_ptr(mem), 0x71);
	round_trip(b.edu, weir_mem_ptr(mem), 0x72);
	must_fail(weir_device_move(a.dev, other), -EBUSY, "others of group");
	close_edu(b);
	MUST(weir_device_move(a.dev, other));
	MUST(weir_device_move(a.dev, as));
	round_trip(a.edu, weir_mem_ptr(mem), 0x73);
	MUST(weir_mem_free(mem));
	close_edu(a);
	MUST(weir_ioas_close(as));
	MUST(weir_ioas_close(other));
	MUST(weir_iommu_close(iommu));
}

/* A group that is open keeps the nodes of its devices shut, and the other way round. */
static void interfaces_exclude_each_other(void **state)
{
	const struct weir_iommu_opts by_group = { .interface = "type1v2" };
	struct weir_iommu *iommu, *other;
	struct weir_device *dev;
	struct opened a;

	(void)state;
	MUST(weir_iommu_open(&by_iommufd, &iommu));
	MUST(weir_iommu_open(&by_group, &other));
	a = open_edu(iommu, device("WEIR_TEST_EDU"), NULL);
	must_fail(weir_device_open(other, device("WEIR_TEST_EDU"), NULL, &dev), -EBUSY,
		  "/dev/vfio/devices");
	must_fail(weir_device_open(iommu, device("WEIR_TEST_EDU"), NULL, &dev), -EBUSY,
		  "another address space");
	close_edu(a);
	a = open_edu(other, device("WEIR_TEST_EDU"), NULL);
	must_fail(weir_device_open(iommu, device("WEIR_TEST_EDU"), NULL, &dev), -EBUSY,
		  "it is in use: /dev/vfio/");
	close_edu(a);
	MUST(weir_iommu_close(iommu));
	MUST(weir_iommu_close(other));
}

static int open_node_of(const char *addr)
{
	char path[300];
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", addr);
	dir = opendir(path);
	assert_non_null(dir);
	while (fd < 0 && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	closedir(dir);
	assert_true(fd >= 0);
	return fd;
}

static void given_fds_are_used(void **state)
{
	struct weir_iommu_opts opts = { .use_iommufd = true };
	struct weir_device_opts device_opts = { .use_fd = true };
	struct weir_device *dev, *again;
	struct weir_iommu *iommu;
	uint16_t vendor;

	(void)state;
	opts.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	assert_true(opts.iommufd >= 0);
	MUST(weir_iommu_open(&opts, &iommu));
	close(opts.iommufd);
	device_opts.fd = open_node_of(device("WEIR_TEST_PAIR0"));
	must_fail(weir_device_open(iommu, device("WEIR_TEST_EDU"), &device_opts, &dev), -EINVAL,
		  "and sysfs says that this function is");
	MUST(weir_device_open(iommu, device("WEIR_TEST_PAIR0"), &device_opts, &dev));
	MUST(weir_config_read16(dev, 0, &vendor));
	assert_int_equal(vendor, 0x1234);
	assert_true(weir_device_fd(dev) >= 0 && weir_iommu_fd(iommu) >= 0);
	MUST(weir_device_close(dev));
	/* As long as the caller has it, it is bound. */
	must_fail(weir_device_open(iommu, device("WEIR_TEST_PAIR0"), &device_opts, &again), -EINVAL,
		  "it is bound already");
	close(device_opts.fd);
	MUST(weir_iommu_close(iommu));
}

/* ---- the same memory in two spaces ---- */

#define KIB 1024
#define MIB (1024ul * KIB)

/* Two spaces of one context, with a device in each. */
struct two {
	struct weir_iommu *iommu;
	struct weir_ioas *spaces[2];
	struct opened dev[2];
};

static struct two open_two(const struct weir_iommu_opts *opts)
{
	struct two t;

	MUST(weir_iommu_open(opts, &t.iommu));
	for (int i = 0; i < 2; i++) {
		MUST(weir_ioas_open(t.iommu, &t.spaces[i]));
		t.dev[i] = open_edu(t.iommu, device(i ? "WEIR_TEST_PAIR0" : "WEIR_TEST_EDU"),
				    t.spaces[i]);
	}
	return t;
}

static void close_two(struct two t)
{
	for (int i = 0; i < 2; i++) {
		close_edu(t.dev[i]);
		MUST(weir_ioas_close(t.spaces[i]));
	}
	MUST(weir_iommu_close(t.iommu));
}

/* The kernel counts it once, and lets go of it with the last of the two. */
static void copy_is_pinned_once(void **state)
{
	static const struct weir_iommu_opts by_process = {
		.interface = "iommufd", .accounting = WEIR_ACCOUNTING_PROCESS,
	};
	struct two t = open_two(&by_process);
	unsigned long locked = status_kib("VmLck"), pinned = status_kib("VmPin");
	struct rlimit before = limit_to(MIB);
	unsigned char *memory = page_of(0, 192);
	weir_iova iova, copy, more;

	(void)state;
	MUST(weir_ioas_map(t.spaces[0], memory, 768 * KIB, NULL, &iova));
	assert_int_equal(status_kib("VmPin") - pinned, 768);
	assert_int_equal(status_kib("VmLck") - locked, 768);
	must_fail(weir_ioas_map(t.spaces[1], memory, 768 * KIB, NULL, &more), -ENOMEM,
		  "limit of locked memory is 1024 KiB in all");
	MUST(weir_ioas_copy(t.spaces[1], t.spaces[0], iova, 768 * KIB, NULL, &copy));
	assert_int_equal(status_kib("VmPin") - pinned, 768);
	assert_int_equal(status_kib("VmLck") - locked, 768);
	round_trip(t.dev[0].edu, memory, 0x11);
	round_trip(t.dev[1].edu, memory + 64 * PAGE, 0x12);

	MUST(weir_ioas_unmap(t.spaces[0], iova, 768 * KIB));
	assert_int_equal(status_kib("VmPin") - pinned, 768);
	round_trip(t.dev[1].edu, memory, 0x13);
	must_be_blocked(t.dev[0].edu, iova, memory);
	MUST(weir_ioas_unmap(t.spaces[1], copy, 768 * KIB));
	assert_int_equal(status_kib("VmPin"), pinned);
	assert_int_equal(status_kib("VmLck"), locked);
	unlimit(&before);
	close_two(t);
	munmap(memory, 192 * PAGE);
}

/* What one device writes the other reads, in files, batches and memory of weir's. */
static void copies_of_all_sorts(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	unsigned char *memory = page_of(0, 4), *at;
	const struct iovec pieces[] = { { memory + 2 * PAGE, PAGE }, { memory, PAGE } };
	struct two t = open_two(&by_iommufd);
	weir_iova iova, copy;
	struct weir_mem *mem;

	(void)state;
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	MUST(weir_ioas_map_fd(t.spaces[0], fd, 0, 2 * PAGE, NULL, &iova));
	MUST(weir_ioas_copy(t.spaces[1], t.spaces[0], iova, 2 * PAGE, NULL, &copy));
	MUST(weir_ioas_unmap(t.spaces[0], iova, 2 * PAGE));
	MUST(weir_ioas_to_vaddr(t.spaces[1], copy, (void **)&at, NULL));
	round_trip(t.dev[1].edu, at, 0x21);
	MUST(weir_ioas_unmap(t.spaces[1], copy, 2 * PAGE));

	MUST(weir_ioas_mapv(t.spaces[0], pieces, 2, NULL, &iova));
	MUST(weir_ioas_copy(t.spaces[1], t.spaces[0], iova, 2 * PAGE, NULL, &copy));
	memset(memory + 2 * PAGE, 0x22, PAGE);
	MUST(edu_dma(t.dev[1].edu, copy, 0, PAGE, true));
	MUST(edu_dma(t.dev[1].edu, copy + PAGE, 0, PAGE, false));
	assert_memory_equal(memory, memory + 2 * PAGE, PAGE);
	MUST(weir_ioas_unmap_all(t.spaces[0]));
	MUST(weir_ioas_unmap(t.spaces[1], copy, 2 * PAGE));

	MUST(weir_mem_alloc(t.spaces[0], 2 * PAGE, NULL, &mem));
	MUST(weir_ioas_copy(t.spaces[1], t.spaces[0], weir_mem_iova(mem), 2 * PAGE, NULL, &copy));
	must_fail(weir_mem_free(mem), -EBUSY, "mapped elsewhere");
	round_trip(t.dev[0].edu, weir_mem_ptr(mem), 0x23);
	round_trip(t.dev[1].edu, weir_mem_ptr(mem), 0x24);
	MUST(weir_ioas_unmap_all(t.spaces[1]));
	MUST(weir_mem_free(mem));
	close_two(t);
	close(fd);
	munmap(memory, 4 * PAGE);
}

/* A device that may only read doesn't get to write by a copy; nor is memory given new rights. */
static void copy_gives_no_rights(void **state)
{
	const struct weir_map_opts to = { .dir = WEIR_DMA_TO_DEVICE }, both = { 0 };
	struct two t = open_two(&by_iommufd);
	unsigned char *memory = page_of(0x31, 1);
	weir_iova iova, copy;

	(void)state;
	MUST(weir_ioas_map(t.spaces[0], memory, PAGE, &to, &iova));
	must_fail(weir_ioas_copy(t.spaces[1], t.spaces[0], iova, PAGE, &both, &copy), -EACCES,
		  "that they can read only");
	MUST(weir_ioas_copy(t.spaces[1], t.spaces[0], iova, PAGE, NULL, &copy));
	must_be_blocked(t.dev[1].edu, copy, memory);
	MUST(weir_ioas_unmap_all(t.spaces[0]));
	MUST(weir_ioas_unmap_all(t.spaces[1]));
	close_two(t);
	munmap(memory, PAGE);
}

/* ---- limits ---- */

/* What the kernel says of the first IOAS that there is. */
static uint32_t first_ioas(int fd)
{
	struct wr_iommu_option get = {
		.size = sizeof(get), .option_id = WR_IOMMU_OPTION_HUGE_PAGES,
		.op = WR_IOMMU_OPTION_GET,
	};

	for (get.object_id = 1; get.object_id < 64; get.object_id++)
		if (!ioctl(fd, WR_IOMMU_OPTION, &get))
			return get.object_id;
	fail_msg("no IOAS is in it");
	return 0;
}

/* What the IOMMU in front of a device keeps for interrupts. */
static struct weir_iova_range interrupts_of(const char *name)
{
	struct weir_iova_range range = { 0 };
	char path[128], line[128];
	bool found = false;
	FILE *regions;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group/reserved_regions", name);
	regions = fopen(path, "r");
	assert_non_null(regions);
	while (!found && fgets(line, sizeof(line), regions))
		found = strstr(line, " msi") &&
			sscanf(line, "%" SCNx64 " %" SCNx64, &range.first, &range.last) == 2;
	fclose(regions);
	assert_true(found);
	return range;
}

/* By weir, and by the kernel itself for who asks it past weir. */
static void allowed_ranges_are_kept_to(void **state)
{
	const struct weir_iova_range window = interrupts_of(device("WEIR_TEST_EDU"));
	const struct weir_iova_range allowed = { 64 * MIB, 128 * MIB - 1 };
	const struct weir_map_opts fixed = { .fixed = true };
	unsigned char *memory = page_of(0, 2);
	struct wr_iommu_map map = {
		.size = sizeof(map), .flags = WR_IOMMU_MAP_READ, .user_va = (uintptr_t)memory,
		.length = PAGE,
	};
	struct weir_iommu *iommu;
	struct weir_device *dev;
	struct weir_ioas *as;
	weir_iova iova = MIB;
	struct opened a;

	(void)state;
	MUST(weir_iommu_open(&by_iommufd, &iommu));
	MUST(weir_ioas_open(iommu, &as));
	MUST(weir_ioas_allow(as, &window, 1));
	must_fail(weir_device_open(iommu, device("WEIR_TEST_EDU"),
				   &(struct weir_device_opts){ .ioas = as }, &dev),
		  -EINVAL, "must be had, by weir_ioas_allow()");
	MUST(weir_ioas_allow(as, &allowed, 1));
	a = open_edu(iommu, device("WEIR_TEST_EDU"), as);
	must_fail(weir_ioas_allow(as, &window, 1), -EINVAL, "must be had, by weir_ioas_allow()");
	must_fail(weir_ioas_map(as, memory, 2 * PAGE, &fixed, &iova), -EINVAL, "usable range");
	MUST(weir_ioas_map(as, memory, 2 * PAGE, NULL, &iova));
	assert_int_equal(iova, 64 * MIB);
	round_trip(a.edu, memory, 0x41);
	map.ioas_id = first_ioas(weir_iommu_fd(iommu));
	assert_int_equal(ioctl(weir_iommu_fd(iommu), WR_IOMMU_IOAS_MAP, &map), 0);
	assert_in_range(map.iova, 64 * MIB, 128 * MIB - 1);
	close_edu(a);
	MUST(weir_ioas_close(as));
	MUST(weir_iommu_close(iommu));
	munmap(memory, 2 * PAGE);
}

static void small_pages_alone(void **state)
{
	unsigned char *memory = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *aligned = (void *)(((uintptr_t)memory + 2 * MIB - 1) & ~(2 * MIB - 1));
	struct wr_iommu_option get = {
		.size = sizeof(get), .option_id = WR_IOMMU_OPTION_HUGE_PAGES,
		.op = WR_IOMMU_OPTION_GET,
	};
	struct opened a;
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	weir_iova iova;

	(void)state;
	assert_true(memory != MAP_FAILED);
	MUST(weir_iommu_open(&by_iommufd, &iommu));
	MUST(weir_ioas_open(iommu, &as));
	a = open_edu(iommu, device("WEIR_TEST_EDU"), as);
	get.object_id = first_ioas(weir_iommu_fd(iommu));
	for (int small = 1; small >= 0; small--) {
		MUST(weir_ioas_small_pages(as, small));
		assert_int_equal(ioctl(weir_iommu_fd(iommu), WR_IOMMU_OPTION, &get), 0);
		assert_int_equal(get.val64, !small);
		MUST(weir_ioas_map(as, aligned, 2 * MIB, NULL, &iova));
		must_fail(weir_ioas_small_pages(as, !small), -EBUSY, "there is a mapping");
		round_trip(a.edu, aligned + MIB, (unsigned char)(0x51 + small));
		MUST(weir_ioas_unmap(as, iova, 2 * MIB));
	}
	close_edu(a);
	/* And from the first on, where a container could not. */
	MUST(weir_ioas_small_pages(as, true));
	MUST(weir_ioas_map(as, aligned, 2 * MIB, NULL, &iova));
	a = open_edu(iommu, device("WEIR_TEST_EDU"), as);
	round_trip(a.edu, aligned, 0x53);
	close_edu(a);
	MUST(weir_ioas_close(as));
	MUST(weir_iommu_close(iommu));
	munmap(memory, 4 * MIB);
}

/* By user nothing is locked, as far as the process sees, but pinned; the limit is the user's. */
static void pinned_memory_is_counted_as_asked(void **state)
{
	struct weir_iommu_opts opts = {
		.interface = "iommufd", .accounting = WEIR_ACCOUNTING_USER,
	};
	struct two t = open_two(&opts);
	unsigned long locked = status_kib("VmLck"), pinned = status_kib("VmPin");
	struct rlimit before = limit_to(MIB);
	unsigned char *memory = page_of(0, 192);
	weir_iova iova, copy;
	struct weir_iommu *iommu;
	struct weir_device *dev;

	(void)state;
	MUST(weir_ioas_map(t.spaces[0], memory, 768 * KIB, NULL, &iova));
	assert_int_equal(status_kib("VmPin") - pinned, 768);
	assert_int_equal(status_kib("VmLck"), locked);
	must_fail(weir_ioas_map(t.spaces[1], memory, 768 * KIB, NULL, &copy), -ENOMEM,
		  "all that the processes of user 0 have pinned");
	MUST(weir_ioas_copy(t.spaces[1], t.spaces[0], iova, 768 * KIB, NULL, &copy));
	round_trip(t.dev[1].edu, memory, 0x61);
	unlimit(&before);
	close_two(t);

	opts.accounting = WEIR_ACCOUNTING_PROCESS;
	MUST(weir_iommu_open(&opts, &iommu));
	may(CAP_SYS_RESOURCE, false);
	must_fail(weir_device_open(iommu, device("WEIR_TEST_EDU"), NULL, &dev), -EPERM,
		  "this process hasn't got CAP_SYS_RESOURCE");
	may(CAP_SYS_RESOURCE, true);
	MUST(weir_device_open(iommu, device("WEIR_TEST_EDU"), NULL, &dev));
	MUST(weir_device_close(dev));
	MUST(weir_iommu_close(iommu));
	munmap(memory, 192 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_reached),
		cmocka_unit_test(device_moves),
		cmocka_unit_test(bad_memory_keeps_a_device_where_it_is),
		cmocka_unit_test(group_moves_as_one_or_not),
		cmocka_unit_test(interfaces_exclude_each_other),
		cmocka_unit_test(given_fds_are_used),
		cmocka_unit_test(copy_is_pinned_once),
		cmocka_unit_test(copies_of_all_sorts),
		cmocka_unit_test(copy_gives_no_rights),
		cmocka_unit_test(allowed_ranges_are_kept_to),
		cmocka_unit_test(small_pages_alone),
		cmocka_unit_test(pinned_memory_is_counted_as_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
