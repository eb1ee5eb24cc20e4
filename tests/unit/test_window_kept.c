/* SPDX-License-Identifier: MIT */
/*
 * Windows outlive the devices, over a kernel that is made up (fake_spapr.c): they come back with
 * the next one, where they were, and on each domain or on none.
 */
#include "window_rig.h"

static void windows_come_back_with_the_next_device(void **state)
{
	struct rig *rig = *state;
	struct weir_window w, kept[2];

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(add(rig, GIB, 4096, &w), 0);
	assert_int_equal(map_at(rig, HIGH + GIB - page, rig->memory, page), 0);
	detach(rig, 0);
	assert_int_equal(fake.spapr.locked, 0);
	assert_int_equal(weir_ioas_windows(rig->as, kept, 2), 2);
	assert_same(&kept[1], &w);
	/* Meanwhile IOVAs lie in them. */
	assert_int_equal(map_at(rig, HIGH, rig->memory + page, page), 0);
	assert_int_equal(map_at(rig, 2 * GIB, rig->memory + page, page), -EINVAL);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(fake_windows(0), 2);
	assert_true(fake_has(0, HIGH + GIB - page, page, rig->memory, BOTH));
	assert_true(fake_has(0, HIGH, page, rig->memory + page, BOTH));
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
	/* Without a device it can be given up; with it the next one would be refused. */
	assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), 0);
	assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(fake_windows(0), 1);
	detach(rig, 0);
}

/* In every order that they can have come about. */
static void windows_come_back_as_they_were(void **state)
{
	struct rig *rig = *state;
	struct weir_window before[2], after[2];

	for (unsigned int how = 0; how < 12; how++) {
		bool high_first = how & 2, low = how / 4, high_last = how / 4 == 2;
		int n = low + (high_first || high_last);

		fake.spapr.pseries = how & 1;
		fake.spapr.levels = how & 1 ? 1 : 5;
		if ((high_first && high_last) || (high_first && low && how & 1))
			continue;
		assert_int_equal(attach(rig, 0), 0);
		if (high_first)
			assert_int_equal(add(rig, 4 * GIB, 65536, NULL), 0);
		assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
		if (low)
			assert_int_equal(add(rig, GIB / 2, 4096, NULL), 0);
		if (high_last)
			assert_int_equal(add(rig, 4 * GIB, 65536, NULL), 0);
		assert_int_equal(weir_ioas_windows(rig->as, before, 2), n);
		detach(rig, 0);
		assert_int_equal(attach(rig, 0), 0);
		assert_int_equal(fake_windows(0), n);
		assert_int_equal(weir_ioas_windows(rig->as, after, 2), n);
		for (int i = 0; i < n; i++)
			assert_same(&before[i], &after[i]);
		detach(rig, 0);
		assert_int_equal(weir_ioas_close(rig->as), 0);
		assert_int_equal(weir_ioas_open(rig->iommu, &rig->as), 0);
	}
}

static void what_cannot_come_back_is_refused(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(add(rig, GIB, 65536, NULL), 0);
	detach(rig, 0);
	fake.spapr.page_sizes = 4096;
	assert_int_equal(attach(rig, 0), -EINVAL);
	assert_says("can't be made again");
	assert_null(fake.groups[0].in);
	fake.spapr.page_sizes = 0;
	assert_int_equal(attach(rig, 0), -ENOTSUP);
	assert_says("has other windows than the default one");
	assert_null(fake.groups[0].in);
	assert_int_equal(fake.open_fds, 0);
	fake.spapr.page_sizes = 65536;
	assert_int_equal(attach(rig, 0), 0);
	detach(rig, 0);
}

static void what_is_kept_comes_back_at_its_place_or_not(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(add(rig, GIB, 65536, NULL), 0);
	detach(rig, 0);
	/* Another host, as it were. */
	pseries();
	assert_int_equal(attach(rig, 0), -EINVAL);
	assert_says("at IOVA 0x0 comes to lie at 0x800000000000000");
	assert_null(fake.groups[0].in);
}

static void kept_windows_are_where_iovas_lie(void **state)
{
	struct rig *rig = *state;
	weir_iova iova;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(add(rig, GIB, 4096, NULL), 0);
	detach(rig, 0);
	/* Where Arm has its doorbell, which without a window would be kept free. */
	assert_int_equal(map_at(rig, 0x8000000, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, 0x8000000, page), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_int_equal(iova, HIGH);
	assert_int_equal(attach(rig, 0), 0);
	assert_true(fake_has(0, HIGH, page, rig->memory, BOTH));
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
}

/* Adds, unmaps all, removes; what fails on either of two domains leaves both as they were. */
static int try(struct rig *rig, int what)
{
	if (what == 0)
		return add(rig, 2 * GIB, 4096, NULL);
	return what == 1 ? weir_ioas_unmap_all(rig->as) : weir_ioas_remove_window(rig->as, HIGH);
}

static void windows_are_had_on_all_domains_or_on_none(void **state)
{
	struct rig *rig = *state;
	unsigned int failed = 0, n = 1;

	pseries();
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(attach(rig, 1), 0);
	for (int what = 0; what < 3; what++) {
		int ret = -EREMOTEIO;

		/* What lets go of memory may fail, too, but that isn't what this is about. */
		for (unsigned long at = 1; ret; at += what == 1 ? 2 : 1) {
			fake.calls = 0;
			fake.fail_at = at;
			ret = try(rig, what);
			fake.fail_at = 0;
			if (ret) {
				assert_int_equal(ret, -EREMOTEIO);
				failed++;
			} else {
				n = what == 0 ? 2 : 2 - (unsigned int)what;
			}
			assert_int_equal(fake_windows(0), n);
			assert_int_equal(fake_windows(1), n);
			assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), n);
			if (what == 1 && ret)
				assert_true(fake_has(0, HIGH, page, rig->memory, BOTH) &&
					    fake_has(1, HIGH, page, rig->memory, BOTH));
		}
		if (what)
			continue;
		/* One window each, so that unmapping all is one call of each. */
		assert_int_equal(map_at(rig, HIGH, rig->memory, page), 0);
		assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
		n = 1;
	}
	assert_true(failed >= 6);
	detach(rig, 1);
	detach(rig, 0);
}

/* pSeries has a container for each group. */
static void windows_are_had_on_all_domains(void **state)
{
	struct rig *rig = *state;
	uint64_t locked;

	pseries();
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(caps_of(rig).domains, 2);
	locked = fake.spapr.locked;
	assert_int_equal(add(rig, 2 * GIB, 4096, NULL), 0);
	assert_int_equal(fake_windows(0), 2);
	assert_int_equal(fake_windows(1), 2);
	assert_int_equal(map_at(rig, HIGH, rig->memory, page), 0);
	assert_true(fake_has(0, HIGH, page, rig->memory, BOTH));
	assert_true(fake_has(1, HIGH, page, rig->memory, BOTH));
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	/* A third gets it, too. */
	assert_int_equal(attach(rig, 2), 0);
	assert_int_equal(fake_windows(2), 2);
	detach(rig, 2);
	assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), 0);
	assert_int_equal(fake_windows(0) + fake_windows(1), 2);
	assert_int_equal(fake.spapr.locked, locked);
	detach(rig, 1);
	detach(rig, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(windows_come_back_with_the_next_device, setup,
						teardown),
		cmocka_unit_test_setup_teardown(windows_come_back_as_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_come_back_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_kept_comes_back_at_its_place_or_not, setup,
						teardown),
		cmocka_unit_test_setup_teardown(kept_windows_are_where_iovas_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(windows_are_had_on_all_domains_or_on_none, setup,
						teardown),
		cmocka_unit_test_setup_teardown(windows_are_had_on_all_domains, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
