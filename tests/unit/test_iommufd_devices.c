/* SPDX-License-Identifier: MIT */
/*
 * Devices on a made-up IOMMUFD (fake_iommufd.c): what they wrote, other address spaces, fds that
 * the caller has opened; and IOMMUFD in a container's place.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"
#include "ioas/iommu.h"
#include "iommufd_rig.h"

/* ---- dirty tracking ---- */

static void dirty_pages_are_exact(void **state)
{
	struct rig *rig = *state;
	uint64_t bitmap = 0;

	for (unsigned int i = 0; i < 3; i++)
		fake.groups[i].tracks_dirty = true;
	fake.groups[1].iommu = 1;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(caps_of(rig).dirty, WEIR_DIRTY_EXACT);
	assert_int_equal(map_at(rig, page, rig->memory, 8 * page), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	/* A page table that comes later tracks at once. */
	assert_int_equal(attach(rig, 1), 0);
	assert_false(fake_same_table(0, 1));
	fake_written(0, 2 * page);
	fake_written(1, 8 * page);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, 8 * page, &bitmap), 2);
	assert_int_equal(bitmap, 0x82);
	bitmap = 0;
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, 8 * page, &bitmap), 0);

	/* Without tracking of its own a device isn't among those that have it. */
	fake.groups[2].tracks_dirty = false;
	assert_int_equal(attach(rig, 2), 0);
	assert_int_equal(caps_of(rig).domains, 2);
	assert_int_equal(caps_of(rig).dirty, WEIR_DIRTY_NONE);
	detach(rig, 2);
	assert_int_equal(weir_ioas_dirty_stop(rig->as), 0);
	assert_int_equal(attach(rig, 2), 0);
	assert_int_equal(caps_of(rig).domains, 1);
	assert_int_equal(caps_of(rig).dirty, WEIR_DIRTY_NONE);
	detach(rig, 2);
	assert_int_equal(caps_of(rig).dirty, WEIR_DIRTY_EXACT);
	detach(rig, 0);
	detach(rig, 1);
}

static void iommu_that_tells_nothing_will_do(void **state)
{
	fake.iommufd.no_hw_info = true;
	assert_string_equal(backend_alone(*state), "iommufd");
}

/* ---- from one address space to another ---- */

static void device_moves_while_it_is_attached(void **state)
{
	struct rig *rig = *state;
	struct weir_ioas *other;
	unsigned int attaches;
	weir_iova iova;
	int fd;

	assert_int_equal(weir_ioas_open(rig->iommu, &other), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_map(other, rig->memory + page, page, NULL, &iova), 0);
	attaches = fake.iommufd.attaches;
	fd = rig->eps[0].fd;
	assert_int_equal(wr_ioas_move(&rig->eps[0], rig->as), 0);
	assert_int_equal(fake.iommufd.attaches, attaches);

	/* By one call of the kernel; to a new domain, and back to one that is there. */
	assert_int_equal(wr_ioas_move(&rig->eps[0], other), 0);
	assert_int_equal(fake.iommufd.attaches, attaches + 1);
	assert_int_equal(rig->eps[0].fd, fd);
	assert_true(fake_ioas_has(0, iova, page, (uintptr_t)rig->memory + page, BOTH, 0));
	assert_true(fake_ioas_has(1, page, page, (uintptr_t)rig->memory, BOTH, 0));
	assert_false(fake_same_ioas(0, 1));
	assert_int_equal(weir_ioas_close(other), -EBUSY);
	assert_int_equal(wr_ioas_move(&rig->eps[0], rig->as), 0);
	assert_true(fake_same_table(0, 1));
	assert_int_equal(weir_ioas_close(other), 0);
	detach(rig, 0);
	detach(rig, 1);
}

static void page_table_goes_with_its_last_device(void **state)
{
	struct rig *rig = *state;
	struct weir_ioas *other;
	unsigned int n;

	fake.groups[1].iommu = 1;
	assert_int_equal(weir_ioas_open(rig->iommu, &other), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(attach(rig, 1), 0);
	n = fake_objects();
	/* An IOAS and a page table more, and one page table less. */
	assert_int_equal(wr_ioas_move(&rig->eps[0], other), 0);
	assert_int_equal(fake_objects(), n + 1);
	assert_int_equal(wr_ioas_move(&rig->eps[0], rig->as), 0);
	assert_int_equal(fake_objects(), n);
	detach(rig, 0);
	detach(rig, 1);
	assert_int_equal(weir_ioas_close(other), 0);
}

static void refused_move_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct weir_ioas *other;
	weir_iova iova;

	assert_int_equal(weir_ioas_open(rig->iommu, &other), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_map(other, rig->memory + page, page, NULL, &iova), 0);
	fake.bad_memory = rig->memory + page;
	assert_int_equal(wr_ioas_move(&rig->eps[0], other), -EFAULT);
	assert_says("0000:01:00.0: mapping ");
	fake.bad_memory = NULL;
	fake.groups[0].attach_error = -EBUSY;
	assert_int_equal(wr_ioas_move(&rig->eps[0], other), -EBUSY);
	fake.groups[0].attach_error = 0;
	for (unsigned int i = 1; i < 12; i++) {
		int ret;

		fake.fail_at = fake.calls + i;
		ret = wr_ioas_move(&rig->eps[0], other);
		fake.fail_at = 0;
		if (!ret)
			break;
		assert_int_equal(ret, -EIO);
		assert_true(fake_ioas_has(0, page, page, (uintptr_t)rig->memory, BOTH, 0));
	}
	assert_true(fake_ioas_has(0, iova, page, (uintptr_t)rig->memory + page, BOTH, 0));
	assert_int_equal(wr_ioas_move(&rig->eps[0], rig->as), 0);
	assert_int_equal(weir_ioas_close(other), 0);
	detach(rig, 0);
}

static void container_cant_move_a_device(void **state)
{
	struct rig *rig = *state;
	struct weir_ioas *other;

	fake.iommufd.exists = false;
	assert_int_equal(weir_ioas_open(rig->iommu, &other), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(wr_ioas_move(&rig->eps[0], other), -ENOTSUP);
	assert_says("0000:01:00.0: type1v2 ");
	detach(rig, 0);
	assert_int_equal(weir_ioas_close(other), 0);
}

/* ---- fds that are given ---- */

static void given_fds_are_used(void **state)
{
	const struct weir_device_opts with_fd = { .use_fd = true };
	struct weir_iommu_opts opts = { .use_iommufd = true };
	struct weir_device_opts device_opts = with_fd;
	struct weir_iommu *iommu;
	struct weir_device *dev;
	int given, node;

	(void)state;
	given = opts.iommufd = wr_sys->open("/dev/iommu", O_RDWR);
	assert_int_equal(weir_iommu_open(&opts, &iommu), 0);
	assert_int_not_equal(weir_iommu_fd(iommu), given);
	wr_close(given);
	node = device_opts.fd = wr_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	assert_int_equal(weir_device_open(iommu, "0000:01:00.0", &device_opts, &dev), 0);
	wr_close(node);
	assert_int_not_equal(weir_device_fd(dev), node);
	assert_int_equal(weir_device_close(dev), 0);

	/* Of another device, of none; and no IOMMUFD. */
	device_opts.fd = wr_sys->open("/dev/vfio/devices/vfio2", O_RDWR);
	assert_int_equal(weir_device_open(iommu, "0000:01:00.0", &device_opts, &dev), -EINVAL);
	assert_says("0000:01:00.0: the fd that was given (");
	assert_says("is device 240:2, and sysfs says that this function is 240:0");
	wr_close(device_opts.fd);
	device_opts.fd = memory_file(1);
	assert_int_equal(weir_device_open(iommu, "0000:01:00.0", &device_opts, &dev), -EINVAL);
	assert_says("is no character device");
	assert_int_equal(weir_iommu_close(iommu), 0);
	opts.iommufd = device_opts.fd;
	assert_int_equal(weir_iommu_open(&opts, &iommu), -EINVAL);
	assert_says("isn't a /dev/iommu");
	close(device_opts.fd);
	opts.interface = "compat";
	assert_int_equal(weir_iommu_open(&opts, &iommu), -EINVAL);
	assert_says("\"compat\"");
}

/* ---- in a container's place ---- */

static void compat_knows_its_ranges(void **state)
{
	struct rig *rig = *state;
	struct weir_iova_range ranges[4];
	struct weir_ioas_caps caps;

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_string_equal(rig->eps[0].domain->ops->name, "compat");
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 2);
	assert_true(ranges[0].last == 0xfedfffff && ranges[1].last == (1ull << 48) - 1);
	caps = caps_of(rig);
	assert_true(caps.mappings == UINT64_MAX && caps.dirty == WEIR_DIRTY_NONE);
	assert_int_equal(fake_ioas_mappings(0), 1);
	assert_int_equal(attach(rig, 1), 0);
	assert_true(fake_same_ioas(0, 1));
	assert_int_equal(weir_ioas_update_vaddr(rig->as, page, page, rig->memory + page), -ENOTSUP);
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(fake_ioas_mappings(0), 0);
	detach(rig, 0);
	detach(rig, 1);
}

static void compat_refuses_when_the_device_is_opened(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(map_at(rig, 1ull << 50, rig->memory, page), 0);
	assert_refused(rig, -EINVAL, "the mapping at IOVA 0x4000000000000 ");
	assert_int_equal(weir_ioas_unmap(rig->as, 1ull << 50, page), 0);
	fake.groups[0].device_error = -EPERM;
	assert_refused(rig, -EPERM, "allow_unsafe_interrupts of iommufd");
	fake.groups[0].device_error = 0;
	fake.groups[1].ranges[0].start = 2 * page;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(attach(rig, 1), -EINVAL);
	assert_says("0000:02:00.0: the mapping at IOVA 0x1000 ");
	detach(rig, 0);
}

static void container_of_iommufd_is_recognised(void **state)
{
	struct rig *rig = *state;

	fake.iommufd.no_nodes = true;
	fake.iommufd.is_container = true;
	assert_passed_over(rig, "/dev/vfio/vfio is IOMMUFD's");
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(caps_of(rig).dirty, WEIR_DIRTY_NONE);
	assert_true(caps_of(rig).mappings == UINT64_MAX);
	detach(rig, 0);
}

/* ---- every call may fail ---- */

static void every_call_may_fail(void **state)
{
	struct rig *rig = *state;
	int ret = -EIO;

	fake.groups[0].tracks_dirty = true;
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	weir_log_set(hear, NULL, WEIR_LOG_WARN);
	for (unsigned int i = 1; ret; i++) {
		assert_true(i < 100);
		said[0] = '\0';
		fake.fail_at = fake.calls + i;
		ret = attach(rig, 0);
		fake.fail_at = 0;
		if (!ret)
			break;
		assert_int_equal(caps_of(rig).domains, 0);
		assert_int_equal(fake.open_fds, 0);
		assert_int_equal(fake_objects(), 0);
		assert_true(is_mapped(rig, page));
	}
	weir_log_set(NULL, NULL, WEIR_LOG_WARN);
	assert_string_equal(rig->eps[0].domain->ops->name, "iommufd");
	detach(rig, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dirty_pages_are_exact),
		TEST(iommu_that_tells_nothing_will_do),
		TEST(device_moves_while_it_is_attached),
		TEST(page_table_goes_with_its_last_device),
		TEST(refused_move_changes_nothing),
		TEST(container_cant_move_a_device),
		TEST(given_fds_are_used),
		TEST_COMPAT(compat_knows_its_ranges),
		TEST_COMPAT(compat_refuses_when_the_device_is_opened),
		TEST(container_of_iommufd_is_recognised),
		TEST_FORCED(every_call_may_fail),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
