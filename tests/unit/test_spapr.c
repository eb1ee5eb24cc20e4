/* SPDX-License-Identifier: MIT */
/*
 * The domains of POWER over a kernel that is made up (fake_spapr.c): windows are the ranges, memory
 * is registered as long as something maps it, and what the kernel lets pass isn't asked of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "fake_spapr.h"
#include "fake_vfio.h"
#include "ioas/ioas.h"
#include "rig.h"

#define GIB (1ull << 30)
#define BOTH (WR_VFIO_MAP_READ | WR_VFIO_MAP_WRITE)

static int setup(void **state)
{
	int ret = rig_setup(state);

	fake.no_type1 = true;
	fake.spapr.exists = true;
	return ret;
}

static int teardown(void **state)
{
	assert_int_equal(fake.spapr.overrun + fake.spapr.replaced, 0);
	assert_int_equal(fake.spapr.forsaken + fake.spapr.borrowed, 0);
	assert_int_equal(fake.spapr.locked, 0);
	return rig_teardown(state);
}

static void version_2_is_preferred(void **state)
{
	struct rig *rig = *state;

	assert_string_equal(backend(rig), "spaprv2");
	fake.spapr.page_sizes = 0;
	assert_string_equal(backend(rig), "spapr");
	fake.spapr.low_size = 0;
	assert_int_equal(attach(rig, 0), -ENODEV);
	assert_says("no default window");
	assert_null(fake.groups[0].in);
	assert_int_equal(fake.open_fds, 0);
}

static void forced_version_2_says_what_it_needs(void **state)
{
	struct rig rig;
	void *r = &rig;

	(void)state;
	rig_setup_for(&rig, "spaprv2");
	fake.spapr.exists = true;
	fake.spapr.page_sizes = 0;
	assert_int_equal(attach(&rig, 0), -ENOTSUP);
	assert_says("no dynamic windows for it");
	fake.spapr.exists = false;
	fake.spapr.power = true;
	assert_int_equal(attach(&rig, 0), -ENOTSUP);
	assert_says("load the module vfio_iommu_spapr_tce");
	rig_teardown(&r);
}

static char tried[256];

static void note(void *arg, enum weir_log_level level, const char *text)
{
	const char *end = strstr(text, " doesn't work");

	(void)level, (void)arg;
	if (end)
		wr_append(tried, sizeof(tried), "%.*s ", (int)(end - text - 14), text + 14);
}

/* Without a word on those that no kernel of the machine can have. */
static void only_what_the_machine_can_have_is_tried(void **state)
{
	struct rig *rig = *state;

	fake.container_error = -ENOENT;
	weir_log_set(note, NULL, WEIR_LOG_INFO);
	*tried = 0;
	assert_int_equal(attach(rig, 0), -ENOTSUP);
	assert_string_equal(tried, "iommufd spaprv2 spapr ");
	fake.spapr.exists = false;
	*tried = 0;
	assert_int_equal(attach(rig, 0), -ENOTSUP);
	assert_string_equal(tried, "iommufd type1v2 type1 compat ");
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
}

static void other_machines_interface_can_be_asked_for(void **state)
{
	static const struct {
		const char *interface, *part;
		bool power;
	} cases[] = {
		{ "spaprv2", "is for POWER alone, which this machine isn't", false },
		{ "spapr", "is for POWER alone, which this machine isn't", false },
		{ "type1v2", "isn't on POWER, which has spaprv2 and spapr", true },
		{ "compat", "isn't on POWER, which has spaprv2 and spapr", true },
	};
	struct rig rig;
	void *r = &rig;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_setup_for(&rig, cases[i].interface);
		fake.spapr.power = cases[i].power;
		assert_int_equal(attach(&rig, 0), -ENOTSUP);
		assert_says(cases[i].interface);
		assert_says(cases[i].part);
		assert_int_equal(fake.open_fds, 0);
		rig_teardown(&r);
	}
}

static void iovas_are_the_windows(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(caps_of(rig).page_sizes, 4096);
	assert_int_equal(map_at(rig, GIB - page, rig->memory, 2 * page), -EINVAL);
	assert_int_equal(map_at(rig, GIB, rig->memory, page), -EINVAL);
	assert_int_equal(fake_regions(0), 0);
	assert_int_equal(map_at(rig, GIB - page, rig->memory, page), 0);
	assert_true(fake_has(0, GIB - page, page, rig->memory, BOTH));
	assert_int_equal(weir_ioas_unmap(rig->as, GIB - page, page), 0);
	detach(rig, 0);
}

/* Memory counts once, however often it is mapped, and goes with the last mapping of it. */
static void memory_is_registered_while_it_is_mapped(void **state)
{
	struct rig *rig = *state;
	uint64_t locked;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory + 4 * page, 4 * page), 0);
	locked = fake.spapr.locked;
	/* Its middle again; and something that reaches over it at both ends. */
	assert_int_equal(map_at(rig, GIB / 4, rig->memory + 5 * page, page), 0);
	assert_int_equal(fake.spapr.locked, locked);
	assert_int_equal(map_at(rig, GIB / 8, rig->memory + 2 * page, 8 * page), 0);
	assert_int_equal(fake.spapr.locked, locked + 4 * page);
	assert_int_equal(fake_regions(0), 3);
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 2, 4 * page), 0);
	assert_int_equal(fake_regions(0), 3);
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 8, 8 * page), 0);
	assert_int_equal(fake_regions(0), 1);
	assert_int_equal(fake.spapr.locked, locked);
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 4, page), 0);
	assert_int_equal(fake_regions(0), 0);
	assert_int_equal(fake.spapr.locked, locked - 4 * page);
	detach(rig, 0);
}

static void what_cannot_be_mapped_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t locked;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory + page, page), 0);
	locked = fake.spapr.locked;
	/* The second of two regions. */
	fake.bad_memory = rig->memory + 2 * page;
	assert_int_equal(map_at(rig, GIB / 4, rig->memory, 3 * page), -EFAULT);
	fake.bad_memory = rig->memory + 3 * page;
	assert_int_equal(map_at(rig, GIB / 4, rig->memory, 4 * page), -EFAULT);
	assert_says("not all of it is memory that can be written");
	fake.bad_memory = NULL;
	fake.spapr.memlock = locked;
	assert_int_equal(map_at(rig, GIB / 4, rig->memory, 3 * page), -ENOMEM);
	fake.spapr.memlock = UINT64_MAX;
	assert_int_equal(fake.spapr.locked, locked);
	assert_int_equal(fake_regions(0), 1);
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 2, page), 0);
	detach(rig, 0);
}

/* But of what the hypervisor refuses the kernel never lets go (tce_iommu_build_v2()). */
static void what_the_hypervisor_refuses_stays_pinned(void **state)
{
	struct rig *rig = *state;
	uint64_t locked;

	assert_int_equal(attach(rig, 0), 0);
	locked = fake.spapr.locked;
	fake.spapr.map_error = -44;
	assert_int_equal(map_at(rig, GIB / 4, rig->memory, 3 * page), -ENOMEM);
	assert_says("H_NOT_ENOUGH_RESOURCES");
	fake.spapr.map_error = 1;
	assert_int_equal(map_at(rig, GIB / 4, rig->memory, 3 * page), -EREMOTEIO);
	fake.spapr.map_error = 0;
	assert_int_equal(fake_regions(0), 0);
	assert_int_equal(fake_mappings(0), 0);
	assert_int_equal(fake.spapr.locked, locked + 3 * page);
	assert_int_equal(map_at(rig, GIB / 4, rig->memory, 2 * page), -EINVAL);
	assert_says("for good");
	assert_int_equal(map_at(rig, GIB / 4, rig->memory, 3 * page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
	assert_int_equal(fake.spapr.locked, 3 * page);
	assert_int_equal(fake_memory(), 1);
	fake.spapr.locked = fake.spapr.forsaken = 0;
}

/* The kernel would map over what is there, and drop that. */
static void nothing_is_mapped_over_anything(void **state)
{
	struct rig *rig = *state;
	unsigned long calls;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, 4 * page), 0);
	calls = fake.calls;
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, 4 * page), -EEXIST);
	assert_int_equal(map_at(rig, GIB / 2 + 3 * page, rig->memory, 4 * page), -EEXIST);
	assert_int_equal(fake.calls, calls);
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 2, 4 * page), 0);
	/* It says nothing of what wasn't mapped, either. */
	calls = fake.calls;
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 2, 4 * page), -ENOENT);
	assert_int_equal(fake.calls, calls);
	detach(rig, 0);
}

/* Its pages may not be what is at the address by then. */
static void memory_that_stays_pinned_is_not_mapped_again(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	fake.spapr.unregister_error = -EBUSY;
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 2, page), 0);
	assert_false(is_mapped(rig, GIB / 2));
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), -EBUSY);
	/* Nor does that hide why something else was refused. */
	fake.bad_memory = rig->memory + 3 * page;
	assert_int_equal(map_at(rig, GIB / 2, rig->memory + 2 * page, 2 * page), -EFAULT);
	assert_says("can be written");
	fake.bad_memory = NULL;
	assert_int_equal(map_at(rig, GIB / 2, rig->memory + 4 * page, page), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), -EEXIST);
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 2, page), 0);
	assert_says("overlaps the mapping");
	fake.spapr.unregister_error = 0;
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(fake_regions(0), 0);
	assert_int_equal(fake_mappings(0), 0);
	detach(rig, 0);
}

/* What is mapped for two groups counts @locked bytes, and stays with one when the other leaves. */
static void two_groups_count(struct rig *rig, uint64_t locked)
{
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	assert_true(fake_has(0, GIB / 2, page, rig->memory, BOTH));
	assert_true(fake_has(1, GIB / 2, page, rig->memory, BOTH));
	assert_int_equal(fake.spapr.locked, locked);
	assert_int_equal(caps_of(rig).domains, 2);
	detach(rig, 1);
	assert_true(fake_has(0, GIB / 2, page, rig->memory, BOTH));
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 2, page), 0);
	detach(rig, 0);
}

static void groups_have_containers_of_their_own(void **state)
{
	struct rig *rig = *state;

	two_groups_count(rig, 2 * (GIB >> 12 << 4) + page);
	fake.spapr.page_sizes = 0;
	two_groups_count(rig, 2 * (GIB + (GIB >> 12 << 4)));
}

static void groups_of_pseries_have_containers_of_their_own(void **state)
{
	struct rig *rig = *state;

	fake.spapr.pseries = true;
	fake.spapr.levels = 1;
	two_groups_count(rig, 2 * (GIB >> 12 << 3) + page);
}

/* Before anything is mapped: version 1 all of its window, and both the window's table. */
static void locked_memory_is_had_at_attach(void **state)
{
	struct rig *rig = *state;
	uint64_t table = 2 * (GIB >> 12 << 3);

	fake.spapr.memlock = table - page;
	assert_int_equal(attach(rig, 0), -ENOMEM);
	assert_says("making the default window");
	fake.spapr.memlock = table;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), -ENOMEM);
	assert_says("registering");
	detach(rig, 0);
	fake.spapr.page_sizes = 0;
	fake.spapr.memlock = GIB - page;
	assert_int_equal(attach(rig, 0), -ENOMEM);
	assert_says("enabling the container");
	fake.spapr.memlock = GIB + table - page;
	assert_int_equal(attach(rig, 0), -ENOMEM);
	assert_says("making the default window");
	fake.spapr.memlock = GIB + table;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
	assert_null(fake.groups[0].in);
}

/* spapr_tce_init_table_group(): it says so by 2^32 - 1 windows and no levels. */
static void host_may_make_no_windows(void **state)
{
	struct rig *rig = *state;
	struct weir_window_info info;

	fake.spapr.pseries = true;
	fake.spapr.windows = UINT32_MAX;
	fake.spapr.levels = 0;
	fake.spapr.page_sizes = 4096;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_window_info(rig->as, &info), 0);
	assert_int_equal(info.page_sizes, 0);
	assert_int_equal(weir_ioas_add_window(rig->as, NULL, NULL), -EINVAL);
	assert_says("it has none");
	assert_int_equal(fake.spapr.creates, 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
}

static void registers_and_moves_are_refused(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, GIB / 2, page, rig->memory + page),
			 -ENOTSUP);
	assert_says("unmap it and map it again");
	assert_int_equal(weir_ioas_unmap(rig->as, GIB / 2, page), 0);
	detach(rig, 0);
}

/* Open, map twice, and back: what fails tells its errno, and nothing is left. */
static bool use(struct rig *rig)
{
	bool ok = !attach(rig, 0);

	if (!ok)
		return false;
	ok = !map_at(rig, GIB / 2, rig->memory, 2 * page);
	if (ok && map_at(rig, GIB / 4, rig->memory + page, 2 * page)) {
		ok = false;
		assert_int_equal(fake_regions(0), fake.spapr.page_sizes ? 1 : 0);
	}
	weir_ioas_unmap_all(rig->as);
	detach(rig, 0);
	return ok;
}

static void any_call_may_fail(void **state)
{
	struct rig *rig = *state;
	unsigned int refused = 0;

	for (unsigned int v = 0; v < 2; v++) {
		fake.calls = 0;
		for (unsigned long at = 1; fake.calls < 1000; at++) {
			fake.calls = 0;
			fake.fail_at = at;
			refused += !use(rig);
			assert_int_equal(fake.open_fds, 0);
			assert_int_equal(fake.open_fds, 0);
			assert_int_equal(fake.spapr.locked, 0);
			if (fake.calls < at)
				break;
			weir_ioas_unmap_all(rig->as);
		}
		fake.fail_at = 0;
		assert_true(use(rig));
		fake.spapr.page_sizes = 0;
	}
	assert_true(refused > 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(version_2_is_preferred, setup, teardown),
		cmocka_unit_test(forced_version_2_says_what_it_needs),
		cmocka_unit_test_setup_teardown(only_what_the_machine_can_have_is_tried, setup,
						teardown),
		cmocka_unit_test(other_machines_interface_can_be_asked_for),
		cmocka_unit_test_setup_teardown(iovas_are_the_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_registered_while_it_is_mapped, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_mapped_leaves_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_the_hypervisor_refuses_stays_pinned, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nothing_is_mapped_over_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_that_stays_pinned_is_not_mapped_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(groups_have_containers_of_their_own,
						setup, teardown),
		cmocka_unit_test_setup_teardown(groups_of_pseries_have_containers_of_their_own,
						setup, teardown),
		cmocka_unit_test_setup_teardown(locked_memory_is_had_at_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(host_may_make_no_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(any_call_may_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(registers_and_moves_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
