/* SPDX-License-Identifier: MIT */
/*
 * The iommufd domain, over a kernel that is made up (fake_iommufd.c): each refusal is told in
 * words, leaves nothing behind, and makes way for the next interface.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "ioas/iommu.h"
#include "iommufd_rig.h"

#define TOKEN "00112233-4455-6677-8899-aabbccddeeff"

/* ---- which interface ---- */

static void iommufd_is_preferred(void **state)
{
	assert_string_equal(backend_alone(*state), "iommufd");
}

static void passing_it_over_is_explained(void **state)
{
	struct rig *rig = *state;
	struct fake_iommufd *f = &fake.iommufd;

	f->exists = false;
	assert_passed_over(rig, "/dev/iommu doesn't exist: this kernel has no IOMMUFD");
	f->exists = true;
	f->open_error = -EACCES;
	assert_passed_over(rig, "/dev/iommu may not be opened by");
	f->open_error = 0;
	f->no_nodes = true;
	assert_passed_over(rig, "tells of no VFIO device");
	f->no_nodes = false;
	f->no_dev = true;
	assert_passed_over(rig, "it has no node of its own");
	f->no_dev = false;
	f->node_error = -ENOENT;
	assert_passed_over(rig, "/dev/vfio/devices/vfio0 doesn't exist, though the kernel has it");
	f->node_error = -EACCES;
	assert_passed_over(rig, "/dev/vfio/devices/vfio0 may not be opened by");
	f->node_error = 0;
	f->other_node = true;
	assert_passed_over(rig, "/dev/vfio/devices/vfio0 is device 240:0, and sysfs says that this "
			   "function is 240:1");
	f->other_node = false;
	assert_string_equal(backend_alone(rig), "iommufd");
}

static void refused_bind_is_explained(void **state)
{
	static const struct {
		int err;
		const char *part;
	} cases[] = {
		{ -EPERM, "interrupts aren't isolated here" },
		{ -EBUSY, "/dev/vfio/10 is open" },
		{ -EINVAL, "it is bound already" },
		{ -ENODEV, "no longer a VFIO device" },
		{ -EAGAIN, "busy resetting" },
		{ -EACCES, "a VF token is needed, and none was given" },
		{ -EIO, "binding it to IOMMUFD: Input/output error" },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.iommufd.bind_error = cases[i].err;
		assert_refused(rig, cases[i].err, cases[i].part);
	}
}

static void refused_attach_is_explained(void **state)
{
	static const struct {
		int says, err;
		const char *part;
	} cases[] = {
		{ -EINVAL, -EINVAL, "the device's IOMMU can't use it" },
		{ -EADDRINUSE, -EINVAL, "in its interrupt window" },
		{ -EBUSY, -EBUSY, "it is being reset" },
		{ -EIO, -EIO, "attaching it to its page table" },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.groups[0].attach_error = cases[i].says;
		assert_refused(rig, cases[i].err, cases[i].part);
	}
}

/* The node is closed, which alone unbinds it: only then its group can be opened. */
static void refused_attach_falls_back(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	fake.iommufd.bind_error = -EPERM;
	assert_passed_over(rig, "interrupts aren't isolated here");
	fake.iommufd.bind_error = 0;
	fake.groups[0].iommu = 1;
	fake.memlock = UINT64_MAX;
	assert_string_equal(backend_alone(rig), "iommufd");
}

/* Of memory it is the same on all interfaces, and not tried again. */
static void bad_memory_is_refused_once(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(map_at(rig, 4 * page, rig->memory + page, page), 0);
	fake.bad_memory = rig->memory + page;
	said[0] = '\0';
	weir_log_set(hear, NULL, WEIR_LOG_INFO);
	assert_refused(rig, -EFAULT, "not all of it is memory");
	weir_log_set(NULL, NULL, WEIR_LOG_WARN);
	assert_null(strstr(said, "type1"));
	fake.bad_memory = NULL;
}

static void each_reason_is_told_where_nothing_is_there(void **state)
{
	struct rig *rig = *state;

	fake.iommufd.no_nodes = true;
	fake.no_type1 = true;
	assert_int_equal(attach(rig, 0), 0);
	assert_string_equal(rig->eps[0].domain->ops->name, "compat");
	detach(rig, 0);
	fake.iommufd.exists = false;
	assert_int_equal(attach(rig, 0), -ENOTSUP);
	assert_says("no IOMMU interface works: /dev/iommu doesn't exist");
	assert_says("; type1v2: this kernel has no VFIO type1 IOMMU");
}

static void token_is_sent_as_bytes(void **state)
{
	struct rig *rig = *state;

	fake.groups[0].token = TOKEN;
	assert_refused(rig, -EACCES, "a VF token is needed, and none was given");
	rig->eps[0].vf_token = "00112233-4455-6677-8899-aabbccddeeF";
	assert_refused(rig, -EINVAL, "a UUID of 36 characters, this one has 35");
	rig->eps[0].vf_token = "00112233-4455-6677-8899-aabbccddeegg";
	assert_refused(rig, -EINVAL, "its character 34 is 'g'");
	rig->eps[0].vf_token = "00112233-4455-6677-8899Aaabbccddeeff";
	assert_refused(rig, -EINVAL, "its character 23 is 'A'");
	rig->eps[0].vf_token = "10112233-4455-6677-8899-aabbccddeeff";
	assert_refused(rig, -EACCES, "the one given is wrong");
	rig->eps[0].vf_token = "00112233-4455-6677-8899-AABBCCDDEEFF";
	assert_string_equal(backend_alone(rig), "iommufd");
	fake.groups[0].token = NULL;
	assert_refused(rig, -EINVAL, "before Linux 6.17");
}

/* ---- mappings ---- */

static void mappings_are_replayed(void **state)
{
	struct rig *rig = *state;
	const struct weir_map_opts to = { .dir = WEIR_DMA_TO_DEVICE };
	const struct weir_map_opts from = { .dir = WEIR_DMA_FROM_DEVICE };
	weir_iova a, b, c;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &a), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory + page, page, &to, &b), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_true(weir_iommu_fd(rig->iommu) >= 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory + 2 * page, page, &from, &c), 0);
	assert_int_equal(fake_ioas_mappings(0), 3);
	assert_true(fake_ioas_has(0, a, page, (uintptr_t)rig->memory, BOTH, 0));
	assert_true(fake_ioas_has(0, b, page, (uintptr_t)rig->memory + page, WR_IOMMU_MAP_READ, 0));
	assert_true(fake_ioas_has(0, c, page, (uintptr_t)rig->memory + 2 * page, WR_IOMMU_MAP_WRITE,
				  0));
	assert_int_equal(weir_ioas_unmap(rig->as, b, page), 0);
	assert_int_equal(fake_ioas_mappings(0), 2);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(fake_ioas_mappings(0), 0);
	detach(rig, 0);
	assert_int_equal(weir_iommu_fd(rig->iommu), -ENODEV);
}

static void mapping_out_of_reach_is_named(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(map_at(rig, 1ull << 50, rig->memory, page), 0);
	assert_refused(rig, -EINVAL, "IOVA 0x4000000000000 ");
	assert_int_equal(weir_ioas_unmap(rig->as, 1ull << 50, page), 0);
	assert_string_equal(backend_alone(rig), "iommufd");
}

static void ranges_and_pages_are_read(void **state)
{
	struct rig *rig = *state;
	struct weir_iova_range ranges[4];
	struct weir_ioas_caps caps;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 2);
	assert_true(ranges[0].first == 0 && ranges[0].last == 0xfedfffff);
	assert_true(ranges[1].first == 0xfef00000 && ranges[1].last == (1ull << 48) - 1);
	caps = caps_of(rig);
	assert_true(caps.page_sizes == page && caps.isolation && !caps.faults);
	assert_true(caps.mappings == UINT64_MAX && caps.dirty == WEIR_DIRTY_NONE);
	assert_int_equal(weir_ioas_dirty_start(rig->as), -ENOTSUP);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, page, page, rig->memory + page), -ENOTSUP);
	assert_says("IOMMUFD can't be told");
	assert_int_equal(weir_ioas_faults(rig->as, NULL, 0), -ENOTSUP);
	detach(rig, 0);
}

static void second_device_joins_what_is_pinned(void **state)
{
	struct rig *rig = *state;
	struct weir_iova_range ranges[4];

	fake.groups[1].n_ranges = 1;
	fake.groups[1].ranges[0] = (struct wr_vfio_iova_range){ 0x100000, 0xffffffff };
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, 0x200000, rig->memory, page), 0);
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(caps_of(rig).domains, 1);
	assert_true(fake_same_table(0, 1));
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 2);
	assert_true(ranges[0].first == 0x100000 && ranges[0].last == 0xfedfffff);
	assert_true(ranges[1].first == 0xfef00000 && ranges[1].last == 0xffffffff);

	/* Another IOMMU: a page table more, the same pinned memory. */
	fake.groups[2].iommu = 1;
	assert_int_equal(attach(rig, 2), 0);
	assert_int_equal(caps_of(rig).domains, 1);
	assert_true(fake_same_ioas(0, 2) && !fake_same_table(0, 2));
	detach(rig, 1);
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 2);
	assert_true(ranges[0].first == 0 && ranges[1].last == (1ull << 48) - 1);
	detach(rig, 0);
	assert_int_equal(fake_ioas_mappings(2), 1);
	detach(rig, 2);
}

/* A mapping in the way of one device: it can't join, nor have a domain of its own. */
static void device_that_cant_join_is_told_why(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	fake.groups[1].ranges[0].start = 2 * page;
	assert_int_equal(attach(rig, 1), -EINVAL);
	assert_says("0000:02:00.0: the mapping at IOVA 0x1000 ");
	assert_int_equal(caps_of(rig).domains, 1);
	assert_int_equal(fake_ioas_mappings(0), 1);
	detach(rig, 0);
}

/* One by its node, one by its group: two domains, and each mapping in both. */
static void device_without_node_gets_a_container(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	fake.iommufd.no_nodes = true;
	assert_int_equal(attach(rig, 1), 0);
	assert_string_equal(rig->eps[1].domain->ops->name, "type1v2");
	assert_int_equal(map_at(rig, 2 * page, rig->memory, page), 0);
	assert_int_equal(fake_mappings(1), 2);
	assert_int_equal(fake_ioas_mappings(0), 2);
	detach(rig, 0);
	detach(rig, 1);
}

static void devices_of_a_group_stay_together(void **state)
{
	struct rig *rig = *state;
	struct wr_endpoint second = { .name = "0000:01:00.1", .dma_bits = 40 };
	struct weir_ioas *other;

	assert_int_equal(weir_ioas_open(rig->iommu, &other), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(wr_iommu_group_get(rig->iommu, FAKE_GROUP(0), &second.group), 0);
	assert_int_equal(wr_ioas_attach(other, &second), -EBUSY);
	assert_says("another address space");
	assert_int_equal(wr_ioas_attach(rig->as, &second), 0);
	assert_ptr_equal(second.domain, rig->eps[0].domain);
	assert_int_not_equal(second.fd, rig->eps[0].fd);
	assert_int_equal(wr_ioas_move(&second, other), -EBUSY);
	assert_says("others of group 10");
	detach(rig, 0);
	assert_int_equal(fake.groups[0].bound, 2);
	wr_ioas_detach(&second);
	wr_iommu_group_put(rig->iommu, second.group);
	assert_int_equal(weir_ioas_close(other), 0);
}

/* ---- files ---- */

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void files_are_mapped_as_files(void **state)
{
	struct rig *rig = *state;
	const struct weir_mem_opts shared = { .shared = true };
	struct weir_mem *mem;
	weir_iova a, b;
	int fd = memory_file(4);

	/* Before a device is there, and with one; the caller's fd is only needed for the call. */
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, page, page, NULL, &a), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_true(fake_ioas_has(0, a, page, page, BOTH, inode(fd)));
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 2 * page, 2 * page, NULL, &b), 0);
	assert_true(fake_ioas_has(0, b, 2 * page, 2 * page, BOTH, inode(fd)));
	assert_int_equal(weir_mem_alloc(rig->as, page, &shared, &mem), 0);
	assert_true(fake_ioas_has(0, weir_mem_iova(mem), page, 0, BOTH, inode(weir_mem_fd(mem))));
	detach(rig, 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_true(fake_ioas_has(0, b, 2 * page, 2 * page, BOTH, inode(fd)));
	assert_true(fake_ioas_has(0, weir_mem_iova(mem), page, 0, BOTH, inode(weir_mem_fd(mem))));
	assert_int_equal(close(fd), 0);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, a, page), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, b, 2 * page), 0);
	assert_int_equal(fake_ioas_mappings(0), 0);
	detach(rig, 0);
}

static void assert_by_address(struct rig *rig, weir_iova iova, uint32_t flags)
{
	void *vaddr;

	assert_int_equal(weir_ioas_to_vaddr(rig->as, iova, &vaddr, NULL), 0);
	assert_true(fake_ioas_has(0, iova, page, (uintptr_t)vaddr, flags, 0));
}

/* An older kernel, and a file that the kernel doesn't take: by address, as type1 would. */
static void other_files_are_mapped_by_address(void **state)
{
	struct rig *rig = *state;
	const struct weir_map_opts to = { .dir = WEIR_DMA_TO_DEVICE };
	char name[] = "weir-test-XXXXXX";
	weir_iova a, b;
	int fd = memory_file(1), disk = mkstemp(name);

	assert_true(disk >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(ftruncate(disk, (off_t)page), 0);
	assert_int_equal(attach(rig, 0), 0);
	if (fcntl(disk, F_GET_SEALS) < 0) {
		assert_int_equal(weir_ioas_map_fd(rig->as, disk, 0, page, &to, &a), 0);
		assert_by_address(rig, a, WR_IOMMU_MAP_READ);
	}
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 0, page, NULL, &b), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, b, page), 0);
	fake.iommufd.no_map_file = true;
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 0, page, NULL, &b), 0);
	assert_by_address(rig, b, BOTH);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
	close(fd);
	close(disk);
}

/* ---- limits ---- */

static void memory_limit_is_explained(void **state)
{
	struct rig *rig = *state;
	struct rlimit old, limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	limit = old;
	limit.rlim_cur = page;
	fake.memlock = page;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, 2 * page), -ENOMEM);
	assert_says("the limit of locked memory is 4 KiB");
	assert_says("all that the processes of user ");
	assert_says("this one has 0, and needs 8 besides what others have");
	detach(rig, 0);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
	fake.memlock = UINT64_MAX;
}

static void half_an_unmap_is_told(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[2] = { { rig->memory, page }, { rig->memory + 4 * page, page } };
	weir_iova iova;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	fake.unmap_error = -EBUSY;
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), -EBUSY);
	assert_true(is_mapped(rig, page));
	assert_int_equal(weir_ioas_unmap_all(rig->as), -EBUSY);
	fake.unmap_error = 0;
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);

	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, NULL, &iova), 0);
	weir_log_set(hear, NULL, WEIR_LOG_WARN);
	fake.unmap_stops = page;
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 2 * page), -EIO);
	assert_says("the first of them may be unmapped");
	fake.unmap_stops = 0;
	assert_true(caps_of(rig).degraded);
	assert_false(is_mapped(rig, iova));
	assert_int_equal(map_at(rig, 8 * page, rig->memory, page), 0);
	fake.unmap_less = 1;
	assert_int_equal(weir_ioas_unmap(rig->as, 8 * page, page), -EIO);
	assert_says("the kernel unmapped 4095");
	fake.unmap_less = 0;
	weir_log_set(NULL, NULL, WEIR_LOG_WARN);
	detach(rig, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(iommufd_is_preferred),
		TEST(passing_it_over_is_explained),
		TEST_FORCED(refused_bind_is_explained),
		TEST_FORCED(refused_attach_is_explained),
		TEST(refused_attach_falls_back),
		TEST(bad_memory_is_refused_once),
		TEST(each_reason_is_told_where_nothing_is_there),
		TEST_FORCED(token_is_sent_as_bytes),
		TEST(mappings_are_replayed),
		TEST_FORCED(mapping_out_of_reach_is_named),
		TEST(ranges_and_pages_are_read),
		TEST(second_device_joins_what_is_pinned),
		TEST_FORCED(device_that_cant_join_is_told_why),
		TEST(device_without_node_gets_a_container),
		TEST(devices_of_a_group_stay_together),
		TEST(files_are_mapped_as_files),
		TEST(other_files_are_mapped_by_address),
		TEST(memory_limit_is_explained),
		TEST(half_an_unmap_is_told),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
