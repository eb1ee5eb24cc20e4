/* SPDX-License-Identifier: MIT */
/*
 * The calls of kernel/spapr.c over a kernel that is made up, with the answers that aren't what they
 * seem.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys.h"
#include "fake_spapr.h"
#include "fake_vfio.h"
#include "ioas/iommu.h"
#include "kernel/container.h"
#include "kernel/spapr.h"
#include "rig.h"

#define GIB (1ull << 30)

static const struct wr_window low = { .first = 0, .last = GIB - 1, .page_shift = 12 };

struct calls {
	struct rig rig;
	int fd;
};

static int setup_for(struct calls *c, unsigned long type)
{
	rig_setup_for(&c->rig, NULL);
	fake.spapr.exists = true;
	assert_int_equal(get_group(&c->rig, 0), 0);
	c->fd = wr_container_open(type);
	assert_true(c->fd >= 0);
	assert_int_equal(wr_container_add(c->fd, c->rig.eps[0].group, type), 0);
	return 0;
}

static int setup(void **state)
{
	static struct calls calls;

	*state = &calls;
	return setup_for(&calls, WR_VFIO_SPAPRv2);
}

static int setup_v1(void **state)
{
	static struct calls calls;

	*state = &calls;
	return setup_for(&calls, WR_VFIO_SPAPR);
}

static int teardown(void **state)
{
	struct calls *c = *state;
	void *rig = &c->rig;

	wr_container_remove(c->rig.eps[0].group);
	wr_iommu_group_put(c->rig.iommu, c->rig.eps[0].group);
	wr_close(c->fd);
	assert_int_equal(fake.spapr.overrun + fake.spapr.replaced, 0);
	assert_int_equal(fake.spapr.forsaken + fake.spapr.borrowed, 0);
	return rig_teardown(&rig);
}

static struct wr_mapping mapping(struct calls *c, weir_iova iova, size_t len)
{
	return (struct wr_mapping){ .iova = iova, .len = len, .vaddr = c->rig.memory };
}

static void windows_are_told(void **state)
{
	struct calls *c = *state;
	struct wr_spapr_info info;

	assert_int_equal(wr_spapr_info(c->fd, &info), 0);
	assert_int_equal(info.low.last, GIB - 1);
	assert_int_equal(info.low.page_shift, 12);
	assert_int_equal(info.page_sizes, 0x1211000);
	assert_int_equal(info.windows, 2);
	fake.spapr.low_size = 0;
	assert_int_equal(wr_spapr_info(c->fd, &info), -ENODEV);
	assert_says("no default window");
}

/* The kernel would write behind the table. */
static void mapping_past_the_end_is_never_asked_for(void **state)
{
	struct calls *c = *state;
	struct wr_mapping m = mapping(c, GIB - page, 2 * page);
	unsigned long calls = fake.calls;

	assert_int_equal(wr_spapr_map(c->fd, &low, &m), -EINVAL);
	assert_says("the window has 0x0 to 0x3fffffff");
	m.iova = GIB;
	assert_int_equal(wr_spapr_map(c->fd, &low, &m), -EINVAL);
	m = mapping(c, 0x800, page);
	assert_int_equal(wr_spapr_map(c->fd, &low, &m), -EINVAL);
	assert_says("must be multiples");
	assert_int_equal(wr_spapr_unmap(c->fd, &low, GIB - page, 2 * page), -EINVAL);
	assert_int_equal(wr_spapr_unmap(c->fd, &low, 0, UINT64_MAX), -EINVAL);
	assert_int_equal(wr_spapr_unmap(c->fd, &low, 0, 0), -EINVAL);
	assert_int_equal(fake.calls, calls);
}

/* Positive numbers, and the hypervisor's: each is a failure, with an errno that means it. */
static void answers_that_are_no_errnos_are_errors(void **state)
{
	static const struct {
		int said, err;
		const char *part;
	} cases[] = {
		{ 1, -EREMOTEIO, "no error number" },
		{ 9903, -EREMOTEIO, "with 9903" },
		{ -4, -EINVAL, "H_PARAMETER" },
		{ -44, -ENOMEM, "H_NOT_ENOUGH_RESOURCES" },
		{ -16, -ENOMEM, "H_RESOURCE" },
		{ -2, -ENOTSUP, "H_FUNCTION" },
		{ -EIO, -EREMOTEIO, "Remote" },
		{ -EPERM, -EPERM, "" },
	};
	struct calls *c = *state;
	struct wr_mapping m = mapping(c, 0, page);

	assert_int_equal(wr_spapr_register(c->fd, (uintptr_t)m.vaddr, page), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.spapr.map_error = fake.spapr.unmap_error = cases[i].said;
		assert_int_equal(wr_spapr_map(c->fd, &low, &m), cases[i].err);
		assert_says(cases[i].part);
		assert_int_equal(wr_spapr_unmap(c->fd, &low, 0, page), cases[i].err);
		assert_says(cases[i].part);
	}
	assert_int_equal(fake_mappings(0), 0);
	/* The count of what the hypervisor refuses isn't taken back. */
	assert_int_equal(fake.spapr.memory[0].mapped, sizeof(cases) / sizeof(cases[0]));
	fake.spapr.memory[0].mapped = 0;
}

static void memory_is_registered_before_it_is_mapped(void **state)
{
	struct calls *c = *state;
	struct wr_mapping m = mapping(c, 0, page);
	uint64_t at = (uintptr_t)m.vaddr;

	assert_int_equal(wr_spapr_map(c->fd, &low, &m), -EPERM);
	assert_int_equal(wr_spapr_register(c->fd, at, page), 0);
	assert_int_equal(wr_spapr_map(c->fd, &low, &m), 0);
	assert_int_equal(wr_spapr_unmap(c->fd, &low, 0, page), 0);
	assert_int_equal(wr_spapr_register(c->fd, at, page), -EBUSY);
	assert_int_equal(wr_spapr_register(c->fd, at, 2 * page), -EINVAL);
	assert_says("registered already");
	assert_int_equal(wr_spapr_unregister(c->fd, at, page), 0);
	assert_int_equal(wr_spapr_unregister(c->fd, at, page), -ENOENT);
}

/* How much of it could be pinned comes back as a positive number. */
static void memory_that_is_no_memory_in_part_is_refused(void **state)
{
	struct calls *c = *state;
	uint64_t at = (uintptr_t)c->rig.memory;

	for (unsigned int good = 0; good < 3; good++) {
		fake.bad_memory = c->rig.memory + good * page;
		assert_int_equal(wr_spapr_register(c->fd, at, 3 * page), -EFAULT);
		assert_says("even of what devices only read");
	}
	assert_int_equal(fake_regions(0), 0);
	assert_int_equal(fake.spapr.locked, 0);
}

/*
 * The kernel says that it let go of memory that is mapped, too, but keeps it pinned and
 * counted, and nobody can have it unregistered ever after. So this is never asked for.
 */
static void unregistering_what_is_mapped_would_be_for_good(void **state)
{
	struct calls *c = *state;
	struct wr_mapping m = mapping(c, 0, page);
	uint64_t at = (uintptr_t)m.vaddr, locked;

	assert_int_equal(wr_spapr_register(c->fd, at, page), 0);
	assert_int_equal(wr_spapr_map(c->fd, &low, &m), 0);
	locked = fake.spapr.locked;
	assert_int_equal(wr_spapr_unregister(c->fd, at, page), 0);
	assert_int_equal(fake.spapr.forsaken, 1);
	assert_int_equal(wr_spapr_unmap(c->fd, &low, 0, page), 0);
	assert_int_equal(wr_spapr_register(c->fd, at, page), 0);
	assert_int_equal(wr_spapr_unregister(c->fd, at, page), 0);
	assert_int_equal(fake.spapr.locked, locked);
	fake.spapr.forsaken = 0;
}

static void windows_are_made_and_removed(void **state)
{
	struct calls *c = *state;
	struct wr_window w, none;
	uint64_t locked;

	assert_int_equal(wr_spapr_have_low(c->fd, true, &low), 0);
	assert_int_equal(fake_windows(0), 1);
	assert_int_equal(wr_spapr_create(c->fd, 20, GIB, 1, &w), -EINVAL);
	assert_says("the host refuses");
	locked = fake.spapr.locked;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(wr_spapr_create(c->fd, 16, GIB, 1, &w), 0);
		assert_int_equal(w.first, 1ull << 59);
		assert_int_equal(w.last, (1ull << 59) + GIB - 1);
		assert_int_equal(wr_spapr_create(c->fd, 16, GIB, 1, &none), -ENOSPC);
		assert_says("as many as it can have");
		assert_int_equal(wr_spapr_remove(c->fd, &w), 0);
	}
	assert_int_equal(fake.spapr.locked, locked);
	assert_int_equal(wr_spapr_remove(c->fd, &w), -EINVAL);
	fake.spapr.pseries = fake.spapr.blacklisted = true;
	assert_int_equal(wr_spapr_create(c->fd, 16, GIB, 1, &w), -ENODEV);
	assert_says("until the machine restarts");
}

static void version_1_is_enabled_as_a_whole(void **state)
{
	struct calls *c = *state;
	struct wr_mapping m = mapping(c, 0, page);

	assert_int_equal(wr_spapr_map(c->fd, &low, &m), -EPERM);
	assert_int_equal(wr_spapr_enable(c->fd, &low), 0);
	assert_int_equal(fake.spapr.locked, GIB);
	assert_int_equal(wr_spapr_enable(c->fd, &low), -EBUSY);
	assert_int_equal(wr_spapr_have_low(c->fd, false, &low), 0);
	assert_int_equal(fake_windows(0), 1);
	assert_int_equal(wr_spapr_map(c->fd, &low, &m), 0);
	assert_int_equal(wr_spapr_unmap(c->fd, &low, 0, page), 0);
	wr_spapr_disable(c->fd);
	assert_int_equal(wr_spapr_register(c->fd, (uintptr_t)m.vaddr, page), -ENOTTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(windows_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(mapping_past_the_end_is_never_asked_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(answers_that_are_no_errnos_are_errors, setup,
						teardown),
		cmocka_unit_test_setup_teardown(memory_is_registered_before_it_is_mapped, setup,
						teardown),
		cmocka_unit_test_setup_teardown(memory_that_is_no_memory_in_part_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(unregistering_what_is_mapped_would_be_for_good,
						setup, teardown),
		cmocka_unit_test_setup_teardown(windows_are_made_and_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(version_1_is_enabled_as_a_whole, setup_v1,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
