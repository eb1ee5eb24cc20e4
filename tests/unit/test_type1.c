/* SPDX-License-Identifier: MIT */
/*
 * The type1 domain and what it stands on, over a kernel that is made up (fake_vfio.c): what goes
 * wrong there must be told in words, and leave nothing behind.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "fake_vfio.h"
#include "ioas/ioas.h"
#include "ioas/iommu.h"
#include "kernel/group.h"
#include "rig.h"

#define BOTH (WR_VFIO_MAP_READ | WR_VFIO_MAP_WRITE)

/* Refused, with nothing attached and no fd left. */
static void assert_refused(struct rig *rig, int err, const char *part)
{
	assert_int_equal(attach(rig, 0), err);
	assert_says("0000:01:00.0: ");
	assert_says(part);
	assert_int_equal(caps_of(rig).domains, 0);
	assert_int_equal(fake.open_fds, 0);
	assert_null(fake.groups[0].in);
}

/* ---- which interface ---- */

static void version_2_is_preferred(void **state)
{
	struct rig *rig = *state;

	assert_string_equal(backend(rig), "type1v2");
	fake.no_v2 = true;
	assert_string_equal(backend(rig), "type1");
	fake.no_type1 = true;
	assert_refused(rig, -ENOTSUP, "load the module vfio_iommu_type1");
}

static void forced_interface_is_used_or_none(void **state)
{
	struct rig rig;
	void *r = &rig;

	(void)state;
	rig_setup_for(&rig, "type1");
	assert_string_equal(backend(&rig), "type1");
	rig_teardown(&r);
	rig_setup_for(&rig, "type1v2");
	assert_string_equal(backend(&rig), "type1v2");
	fake.no_v2 = true;
	assert_refused(&rig, -ENOTSUP, "(version 2)");
	rig_teardown(&r);
}

static void no_vfio_is_said_so(void **state)
{
	struct rig *rig = *state;

	fake.container_error = -ENOENT;
	assert_refused(rig, -ENOTSUP, "the module vfio isn't loaded");
	fake.container_error = -ENODEV;
	assert_refused(rig, -ENOTSUP, "the module vfio isn't loaded");
	fake.container_error = -EACCES;
	assert_refused(rig, -EACCES, "opening /dev/vfio/vfio");
	fake.container_error = 0;
	fake.api_version = 7;
	assert_refused(rig, -ENOTSUP, "version 7");
}

/* ---- groups ---- */

static void group_without_container_is_explained(void **state)
{
	static const struct {
		int err;
		const char *part;
	} cases[] = {
		{ -EPERM, "claimed it meanwhile" },
		{ -EINVAL, "RMRR" },
		{ -EBUSY, "its IOMMU domain is in use" },
		{ -ENODEV, "No such device" },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.groups[0].set_container_error = cases[i].err;
		assert_refused(rig, cases[i].err, cases[i].part);
		fake.groups[0].set_container_error = 0;
		fake.groups[0].attach_error = cases[i].err;
		assert_refused(rig, cases[i].err, cases[i].part);
		fake.groups[0].attach_error = 0;
	}
	assert_int_equal(attach(rig, 0), 0);
	detach(rig, 0);
}

/* ---- attaching ---- */

static void mappings_are_replayed(void **state)
{
	struct rig *rig = *state;
	const struct weir_map_opts to = { .dir = WEIR_DMA_TO_DEVICE };
	const struct weir_map_opts from = { .dir = WEIR_DMA_FROM_DEVICE };
	weir_iova a, b, c;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &a), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory + page, page, &to, &b), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory + 2 * page, page, &from, &c), 0);
	assert_int_equal(fake_mappings(0), 3);
	assert_true(fake_has(0, a, page, rig->memory, BOTH));
	assert_true(fake_has(0, b, page, rig->memory + page, WR_VFIO_MAP_READ));
	assert_true(fake_has(0, c, page, rig->memory + 2 * page, WR_VFIO_MAP_WRITE));
	assert_int_equal(weir_ioas_unmap(rig->as, b, page), 0);
	assert_int_equal(fake_mappings(0), 2);

	/* Detached, they are recorded as before. */
	detach(rig, 0);
	assert_true(is_mapped(rig, a));
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(fake_mappings(0), 2);
	detach(rig, 0);
}

static void replay_is_all_or_none(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(map_at(rig, 1ull << 50, rig->memory, page), 0);
	assert_refused(rig, -EINVAL, "IOVA 0x4000000000000 ");
	assert_true(is_mapped(rig, page));
	assert_int_equal(weir_ioas_unmap(rig->as, 1ull << 50, page), 0);

	/* What the kernel refuses while the rest is in place. */
	assert_int_equal(map_at(rig, 2 * page, rig->memory + page, page), 0);
	fake.bad_memory = rig->memory + page;
	assert_refused(rig, -EFAULT, "not all of it is memory");
	fake.bad_memory = NULL;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(fake_mappings(0), 2);
	detach(rig, 0);
}

static void second_group_joins_the_container(void **state)
{
	struct rig *rig = *state;
	struct weir_iova_range ranges[4];
	weir_iova iova;

	fake.groups[1].n_ranges = 1;
	fake.groups[1].ranges[0] = (struct wr_vfio_iova_range){ 0x100000, 0xffffffff };
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 2);
	assert_int_equal(map_at(rig, 0x200000, rig->memory, page), 0);
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(caps_of(rig).domains, 1);
	assert_ptr_equal(fake.groups[0].in, fake.groups[1].in);

	/* What both can. */
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 2);
	assert_true(ranges[0].first == 0x100000 && ranges[0].last == 0xfedfffff);
	assert_true(ranges[1].first == 0xfef00000 && ranges[1].last == 0xffffffff);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_true(iova == 0x100000);
	assert_int_equal(map_at(rig, page, rig->memory, page), -EINVAL);
	assert_says("0x100000-0xfedfffff, 0xfef00000-0xffffffff");

	detach(rig, 1);
	assert_null(fake.groups[1].in);
	assert_int_equal(fake_mappings(0), 2);
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 2);
	assert_true(ranges[0].first == 0 && ranges[1].last == (1ull << 48) - 1);
	detach(rig, 0);
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 3);
}

static void group_that_cant_join_gets_its_own_container(void **state)
{
	struct rig *rig = *state;
	weir_iova iova;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	fake.groups[1].alone = true;
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(caps_of(rig).domains, 2);
	assert_ptr_not_equal(fake.groups[0].in, fake.groups[1].in);
	assert_true(fake_has(1, iova, page, rig->memory, BOTH));

	/* And one that can't have what is mapped gets nothing. */
	fake.groups[2].ranges[0].start = iova + page;
	assert_int_equal(attach(rig, 2), -EINVAL);
	assert_says("0000:03:00.0: the mapping at IOVA 0x");
	assert_null(fake.groups[2].in);
	assert_int_equal(caps_of(rig).domains, 2);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, page), 0);
	assert_int_equal(fake_mappings(0) + fake_mappings(1), 0);
	detach(rig, 0);
	detach(rig, 1);
}

static void devices_of_a_group_stay_together(void **state)
{
	struct rig *rig = *state;
	struct wr_endpoint second = { .name = "0000:01:00.1", .dma_bits = 40 };
	struct weir_ioas *other;
	weir_iova iova;

	assert_int_equal(weir_ioas_open(rig->iommu, &other), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(wr_iommu_group_get(rig->iommu, FAKE_GROUP(0), &second.group), 0);
	assert_int_equal(wr_ioas_attach(other, &second), -EBUSY);
	assert_says("0000:01:00.1: group 10");
	assert_says("another address space");
	assert_null(second.domain);

	assert_int_equal(wr_ioas_attach(rig->as, &second), 0);
	assert_ptr_equal(second.domain, rig->eps[0].domain);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);

	/* The first one leaves, the group stays. */
	detach(rig, 0);
	assert_true(fake_has(0, iova, page, rig->memory, BOTH));
	wr_ioas_detach(&second);
	assert_null(fake.groups[0].in);

	/* And now it may go elsewhere. */
	assert_int_equal(wr_ioas_attach(other, &second), 0);
	assert_int_equal(weir_ioas_close(other), -EBUSY);
	wr_ioas_detach(&second);
	wr_iommu_group_put(rig->iommu, second.group);
	assert_int_equal(weir_ioas_close(other), 0);
}

/* Somebody else, a child after fork() for one, still has a device fd. */
static void container_is_closed_though_the_group_wont_leave(void **state)
{
	struct rig *rig = *state;
	int fd;

	assert_int_equal(attach(rig, 0), 0);
	fd = fake_device_fd(0);
	detach(rig, 0);
	assert_int_equal(fake.open_fds, 1);
	assert_int_equal(attach(rig, 0), -EBUSY);
	assert_int_equal(wr_sys->close(fd), 0);
	assert_int_equal(attach(rig, 0), 0);
	detach(rig, 0);
}

/* ---- map and unmap ---- */

static void kernels_limits_are_explained(void **state)
{
	struct rig *rig = *state;
	struct rlimit old, limit;

	assert_int_equal(attach(rig, 0), 0);
	fake.memlock = page;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	limit = old;
	limit.rlim_cur = page;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(map_at(rig, page, rig->memory, 2 * page), -ENOMEM);
	assert_says("the limit of locked memory is 4 KiB in all");
	assert_says("has 0 locked or pinned, and needs 8");
	/* Whatever that kernel had too little of, it wasn't this. */
	limit.rlim_cur = 2 * page;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(map_at(rig, page, rig->memory, 2 * page), -ENOMEM);
	assert_says("Cannot allocate memory");
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
	fake.memlock = UINT64_MAX;

	fake.bad_memory = rig->memory + page;
	assert_int_equal(map_at(rig, page, rig->memory, 2 * page), -EFAULT);
	assert_says("memory that can be written");
	fake.bad_memory = NULL;
	fake.map_error = -EOVERFLOW;
	assert_int_equal(map_at(rig, page, rig->memory, page), -EOVERFLOW);
	assert_says("at IOVA 0x");
	fake.map_error = 0;
	assert_int_equal(fake_mappings(0), 0);
	assert_false(is_mapped(rig, page));
	detach(rig, 0);

	fake.entry_limit = 1;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(map_at(rig, 2 * page, rig->memory, page), -ENOSPC);
	assert_says("dma_entry_limit");
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	assert_int_equal(map_at(rig, 2 * page, rig->memory, page), 0);
	detach(rig, 0);
}

static void map_is_on_both_domains_or_on_none(void **state)
{
	struct rig *rig = *state;
	void *gone;

	/* The soft one is asked first, and the kernel refuses. */
	attach_soft(rig);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(caps_of(rig).domains, 2);
	fake.map_error = -EOVERFLOW;
	assert_int_equal(map_at(rig, page, rig->memory, page), -EOVERFLOW);
	assert_int_equal(soft_reaches(rig, page), -EFAULT);
	assert_false(is_mapped(rig, page));
	fake.map_error = 0;
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(soft_reaches(rig, page), 0);
	assert_int_equal(fake_mappings(0), 1);
	assert_int_equal(weir_device_close(rig->soft), 0);

	/* Now the kernel comes first, and the soft one refuses what isn't there. */
	attach_soft(rig);
	gone = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(gone != MAP_FAILED);
	munmap(gone, page);
	assert_int_equal(map_at(rig, 2 * page, gone, page), -EFAULT);
	assert_int_equal(fake_mappings(0), 1);
	assert_false(is_mapped(rig, 2 * page));
	assert_false(caps_of(rig).degraded);
	detach(rig, 0);
}

static void unmap_is_on_both_domains_or_on_none(void **state)
{
	struct rig *rig = *state;

	attach_soft(rig);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	fake.unmap_error = -EBUSY;
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), -EBUSY);
	assert_says("unmapping");
	assert_true(is_mapped(rig, page));
	assert_int_equal(soft_reaches(rig, page), 0);
	assert_true(fake_has(0, page, page, rig->memory, BOTH));
	assert_false(caps_of(rig).degraded);
	fake.unmap_error = 0;
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	assert_int_equal(soft_reaches(rig, page), -EFAULT);
	detach(rig, 0);
}

static void half_an_unmap_degrades(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, 4 * page), 0);
	assert_false(caps_of(rig).degraded);
	fake.unmap_less = page;
	assert_int_equal(weir_ioas_unmap(rig->as, page, 4 * page), -EIO);
	assert_says("the kernel unmapped ");
	assert_true(caps_of(rig).degraded);
	/* What is left of it can't be had back, and it isn't in the way of anything. */
	assert_false(is_mapped(rig, page));
	assert_int_equal(weir_ioas_unmap(rig->as, page, 4 * page), -ENOENT);
	detach(rig, 0);
}

static void failed_rollback_degrades_and_keeps_the_cause(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	fake.groups[1].alone = true;
	assert_int_equal(attach(rig, 1), 0);

	/* The second container refuses; then the first won't give it back. */
	fake.groups[1].ranges[0].start = 8 * page;
	fake.unmap_error = -EBUSY;
	assert_int_equal(map_at(rig, page, rig->memory, page), -EINVAL);
	assert_says("mapping ");
	assert_says("Invalid argument");
	assert_says("degraded");
	assert_true(caps_of(rig).degraded);
	assert_false(is_mapped(rig, page));
	detach(rig, 1);
	detach(rig, 0);
}

static void failed_unmap_rollback_degrades_and_keeps_the_cause(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	fake.groups[1].alone = true;
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	fake.fail_at = fake.calls + 2;
	fake.fail_with = -EBUSY;
	fake.map_error = -EFAULT;
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), -EBUSY);
	assert_says("unmapping ");
	assert_says("degraded");
	assert_true(caps_of(rig).degraded);
	assert_true(is_mapped(rig, page));
	detach(rig, 1);
	detach(rig, 0);
}

/* ---- dirty pages ---- */

static void version_2_reports_all_pages_dirty(void **state)
{
	struct rig *rig = *state;
	uint64_t bits[2] = { 0 };

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(caps_of(rig).dirty, WEIR_DIRTY_ALL);
	assert_int_equal(map_at(rig, page, rig->memory, 3 * page), 0);
	assert_int_equal(map_at(rig, 6 * page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, 3 * page, bits), -EINVAL);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(fake.dirty_calls, 1);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 0, 8 * page, bits), 4);
	assert_true(bits[0] == 0x4e && !bits[1]);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 0, 3 * page, bits), -EINVAL);
	assert_int_equal(weir_ioas_dirty_stop(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_stop(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, 3 * page, bits), -EINVAL);
	detach(rig, 0);
}

static void version_1_has_no_dirty_tracking(void **state)
{
	struct rig *rig = *state;
	uint64_t bits;

	fake.no_v2 = true;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(caps_of(rig).dirty, WEIR_DIRTY_NONE);
	assert_int_equal(weir_ioas_dirty_start(rig->as), -ENOTSUP);
	assert_says("type1 has no dirty tracking");
	assert_int_equal(weir_ioas_dirty_stop(rig->as), -ENOTSUP);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, page, &bits), -ENOTSUP);
	assert_int_equal(fake.dirty_calls, 0);
	detach(rig, 0);
}

static void two_domains_can_what_both_can(void **state)
{
	struct rig *rig = *state;
	struct weir_fault fault;
	uint64_t bits = 0;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_faults(rig->as, &fault, 1), -ENOTSUP);
	assert_false(caps_of(rig).faults);
	attach_soft(rig);
	assert_int_equal(caps_of(rig).dirty, WEIR_DIRTY_ALL);
	assert_true(caps_of(rig).isolation);
	assert_true(caps_of(rig).page_sizes == ((page & 4096) | 1ull << 21 | 1ull << 30));
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, page, &bits), 1);
	assert_int_equal(weir_ioas_dirty_stop(rig->as), 0);
	/* The kernel's refusal stops neither. */
	fake.fail_at = fake.calls + 1;
	assert_int_equal(weir_ioas_dirty_start(rig->as), fake.fail_with);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, page, &bits), -EINVAL);
	detach(rig, 0);
}

/* A domain forgets what it was read: that mustn't be lost with a later one's failure. */
static void dirty_pages_survive_a_failure(void **state)
{
	struct rig *rig = *state;
	uint64_t bits = 0;

	attach_soft(rig);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, 4 * page), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_model_dma_write(rig->model, 3 * page, "x", 1), 0);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, 4 * page, &bits), -EIO);
	assert_true(bits == 1 << 2);
	detach(rig, 0);
}

static void domain_that_joins_tracks_too(void **state)
{
	struct rig *rig = *state;
	uint64_t bits = 0;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	fake.groups[1].alone = true;
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(caps_of(rig).domains, 2);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, page, &bits), 1);
	detach(rig, 0);
	detach(rig, 1);
	/* With the last domain tracking has ended. */
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, page, &bits), -EINVAL);
	detach(rig, 0);
}

/* ---- every call fails once ---- */

/* As it was before the attach: nothing is open. */
static void assert_detached(struct rig *rig)
{
	assert_int_equal(caps_of(rig).domains, 0);
	assert_null(rig->eps[0].domain);
	assert_null(rig->eps[0].group->domain);
	assert_int_equal(rig->eps[0].group->attached, 0);
	assert_null(fake.groups[0].in);
	assert_int_equal(fake.open_fds, 0);
	assert_true(is_mapped(rig, page));
}

/* Returns whether the call to fail was reached. */
static bool life_with_a_failure(unsigned int n, int err, bool with_soft)
{
	struct rig rig;
	void *r = &rig;
	weir_iova iova;
	bool reached;

	rig_setup_for(&rig, NULL);
	assert_int_equal(map_at(&rig, page, rig.memory, page), 0);
	if (with_soft)
		attach_soft(&rig);
	fake.fail_with = err;
	fake.fail_at = fake.calls + n;

	if (get_group(&rig, 0)) {
		assert_int_equal(fake.open_fds, 0);
		assert_int_equal(get_group(&rig, 0), 0);
	}
	if (wr_ioas_attach(rig.as, &rig.eps[0])) {
		if (!with_soft)
			assert_detached(&rig);
		assert_int_equal(wr_ioas_attach(rig.as, &rig.eps[0]), 0);
	}
	assert_int_equal(fake_mappings(0), 1);
	if (weir_ioas_map(rig.as, rig.memory + page, 2 * page, NULL, &iova)) {
		assert_int_equal(fake_mappings(0), 1);
		assert_false(is_mapped(&rig, 2 * page));
		assert_int_equal(weir_ioas_map(rig.as, rig.memory + page, 2 * page, NULL, &iova),
				 0);
	}
	assert_int_equal(fake_mappings(0), 2);
	if (weir_ioas_unmap(rig.as, page, page)) {
		assert_true(is_mapped(&rig, page));
		assert_int_equal(fake_mappings(0), 2);
		if (with_soft)
			assert_int_equal(soft_reaches(&rig, page), 0);
		assert_int_equal(weir_ioas_unmap(rig.as, page, page), 0);
	}
	assert_int_equal(fake_mappings(0), 1);
	if (with_soft)
		assert_int_equal(soft_reaches(&rig, page), -EFAULT);
	assert_false(caps_of(&rig).degraded);
	detach(&rig, 0);
	reached = fake.calls >= fake.fail_at;
	rig_teardown(&r);
	return reached;
}

static void every_call_may_fail(void **state)
{
	static const int errors[] = { -ENOMEM, -EINVAL, -EPERM, -ENODEV, -EINTR };

	(void)state;
	for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		for (int with_soft = 0; with_soft < 2; with_soft++) {
			unsigned int n = 1;

			while (life_with_a_failure(n, errors[e], with_soft))
				n++;
			/* Opening, seven ioctls, mapping thrice, unmapping, leaving, closing. */
			assert_true(n > 12);
		}
	}
}

/* ---- threads ---- */

struct worker {
	struct rig *rig;
	unsigned int n;
};

static void *come_and_go(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < 50; i++) {
		assert_int_equal(attach(w->rig, w->n), 0);
		detach(w->rig, w->n);
	}
	return NULL;
}

static void *map_and_unmap(void *arg)
{
	struct worker *w = arg;
	weir_iova iova, again;

	for (int i = 0; i < 200; i++) {
		char *memory = w->rig->memory + w->n * page;

		assert_int_equal(weir_ioas_map(w->rig->as, memory, page, NULL, &iova), 0);
		assert_int_equal(weir_ioas_to_iova(w->rig->as, memory, &again, NULL), 0);
		assert_true(iova == again);
		assert_int_equal(weir_ioas_unmap(w->rig->as, iova, page), 0);
	}
	return NULL;
}

static void threads_attach_and_map_at_once(void **state)
{
	struct rig *rig = *state;
	struct worker workers[FAKE_GROUPS + 2];
	pthread_t threads[FAKE_GROUPS + 2];

	for (unsigned int i = 0; i < FAKE_GROUPS + 2; i++) {
		workers[i] = (struct worker){ rig, i };
		assert_int_equal(pthread_create(&threads[i], NULL,
						i < FAKE_GROUPS ? come_and_go : map_and_unmap,
						&workers[i]), 0);
	}
	for (unsigned int i = 0; i < FAKE_GROUPS + 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(caps_of(rig).domains, 0);
	assert_false(caps_of(rig).degraded);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(version_2_is_preferred),
		cmocka_unit_test(forced_interface_is_used_or_none),
		TEST(no_vfio_is_said_so),
		TEST(group_without_container_is_explained),
		TEST(mappings_are_replayed),
		TEST(replay_is_all_or_none),
		TEST(second_group_joins_the_container),
		TEST(group_that_cant_join_gets_its_own_container),
		TEST(devices_of_a_group_stay_together),
		TEST(container_is_closed_though_the_group_wont_leave),
		TEST(kernels_limits_are_explained),
		TEST(map_is_on_both_domains_or_on_none),
		TEST(unmap_is_on_both_domains_or_on_none),
		TEST(half_an_unmap_degrades),
		TEST(failed_rollback_degrades_and_keeps_the_cause),
		TEST(failed_unmap_rollback_degrades_and_keeps_the_cause),
		TEST(version_2_reports_all_pages_dirty),
		TEST(version_1_has_no_dirty_tracking),
		TEST(two_domains_can_what_both_can),
		TEST(dirty_pages_survive_a_failure),
		TEST(domain_that_joins_tracks_too),
		cmocka_unit_test(every_call_may_fail),
		TEST(threads_attach_and_map_at_once),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
