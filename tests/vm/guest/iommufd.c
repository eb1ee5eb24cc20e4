/* SPDX-License-Identifier: MIT */
/*
 * What IOMMUFD alone can do, on a real one: files mapped as files, a device that goes from one
 * address space to another, fds that the caller has opened; and that groups and nodes keep out of
 * each other's way. Its devices are two edu functions that share a group, and one that is alone.
 */
#include <dirent.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_reached),
		cmocka_unit_test(device_moves),
		cmocka_unit_test(bad_memory_keeps_a_device_where_it_is),
		cmocka_unit_test(group_moves_as_one_or_not),
		cmocka_unit_test(interfaces_exclude_each_other),
		cmocka_unit_test(given_fds_are_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
