/* SPDX-License-Identifier: MIT */
/* What counts as locked memory on POWER: by weir's arithmetic, and by the fake kernel's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include <weir/spapr.h>

#include "base/sys.h"
#include "fake_spapr.h"
#include "fake_vfio.h"
#include "kernel/container.h"
#include "kernel/spapr.h"
#include "rig.h"

#define GIB (1ull << 30)
#define MIB (1ull << 20)
#define KIB 1024ull
#define HIGH (1ull << 59)
#define WINDOW(start, size, page, n) \
	{ .first = start, .last = (start) + (size) - 1, .page_size = page, .levels = n }

static struct weir_spapr_locked sum(const struct weir_spapr_locked_opts *opts)
{
	struct weir_spapr_locked out;

	assert_int_equal(weir_spapr_locked(opts, &out), 0);
	assert_int_equal(out.total, out.memory + out.tables);
	return out;
}

/*
 * "VFIO on sPAPR/POWER", KVM Forum: a guest of 4 GiB with three IOMMUs, each with a default window
 * of 2 GiB and one for all of the guest, was counted as 18 GiB.
 */
static void guest_of_the_talk(void **state)
{
	static const struct weir_window windows[] = {
		WINDOW(0, 2 * GIB, 4 * KIB, 0), WINDOW(HIGH, 4 * GIB, 64 * KIB, 1),
	};
	struct weir_spapr_locked_opts opts = {
		.version = 1, .host = WEIR_SPAPR_POWERNV, .page_size = 64 * KIB,
		.memory = 4 * GIB, .windows = windows, .n_windows = 2, .containers = 3,
	};

	(void)state;
	assert_int_equal(sum(&opts).memory, 18 * GIB);
	/* Version 2: the guest once. 2 GiB / 4 KiB and 4 GiB / 64 KiB entries of 8 bytes, twice. */
	opts.version = 2;
	assert_int_equal(sum(&opts).memory, 4 * GIB);
	assert_int_equal(sum(&opts).total, 4 * GIB + 3 * 2 * (4 * MIB + 512 * KIB));
	opts.host = WEIR_SPAPR_PSERIES;
	assert_int_equal(sum(&opts).total, 4 * GIB + 3 * (4 * MIB + 512 * KIB));
	opts.containers = 0;
	assert_int_equal(sum(&opts).total, 4 * GIB + 4 * MIB + 512 * KIB);
}

static void tables_have_levels(void **state)
{
	static const struct {
		struct weir_window window;
		uint64_t page, powernv, pseries;	/* 0: there is no such */
	} cases[] = {
		{ WINDOW(0, 64 * GIB, 64 * KIB, 1), 64 * KIB, 2 * 8 * MIB, 8 * MIB },
		{ WINDOW(0, 64 * GIB, 16 * MIB, 1), 4 * KIB, 2 * 32 * KIB, 32 * KIB },
		/* Of a table smaller than a page, a page; or nothing. */
		{ WINDOW(0, 64 * GIB, 16 * MIB, 1), 64 * KIB, 2 * 64 * KIB, 0 },
		{ WINDOW(0, GIB, 16 * MIB, 1), 4 * KIB, 2 * 4 * KIB, 0 },
		/* 2^20 entries in two levels of 2^10 each: 1024 tables of 8 KiB, and one. */
		{ WINDOW(HIGH, 64 * GIB, 64 * KIB, 2), 4 * KIB, 2 * (8 * MIB + 8 * KIB), 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weir_spapr_locked_opts opts = {
			.version = 2, .host = WEIR_SPAPR_POWERNV, .page_size = cases[i].page,
			.windows = &cases[i].window, .n_windows = 1,
		};

		assert_int_equal(sum(&opts).total, cases[i].powernv);
		opts.host = WEIR_SPAPR_PSERIES;
		if (cases[i].window.levels == 1)
			assert_int_equal(sum(&opts).total, cases[i].pseries);
	}
}

static void what_no_host_has_is_refused(void **state)
{
	static const struct {
		struct weir_window window;
		const char *part;
	} cases[] = {
		{ WINDOW(0, GIB + 1, 4096, 1), "must be powers of two" },
		{ WINDOW(0, GIB, 4097, 1), "must be powers of two" },
		{ WINDOW(0, GIB, 2048, 1), "4 KiB or more" },
		{ WINDOW(0, GIB, 2 * GIB, 1), "have one" },
		{ WINDOW(0, 0ull, 4096, 1), "must be powers of two" },
		{ WINDOW(0, GIB, 4096, 6), "there are 5 at most" },
		{ WINDOW(0, GIB, 64 * KIB, 3), "walks through" },
	};
	struct weir_spapr_locked out = { .total = 7 };
	struct weir_spapr_locked_opts opts = {
		.version = 3, .host = WEIR_SPAPR_POWERNV, .page_size = 64 * KIB, .n_windows = 1,
	};
	const struct weir_window large = WINDOW(0, 1ull << 40, 4096, 1);

	(void)state;
	opts.windows = &large;
	assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
	assert_says("there are 1 and 2");
	opts.version = 2;
	opts.page_size = 1000;
	assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
	opts.page_size = 64 * KIB;
	opts.host = 3;
	assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
	if (!wr_sys->power()) {
		opts.host = WEIR_SPAPR_HERE;
		assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
		assert_says("name the host");
	}
	opts.host = WEIR_SPAPR_POWERNV;
	opts.reserved[3] = 1;
	assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
	opts.reserved[3] = 0;
	opts.memory = UINT64_MAX;
	assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
	assert_says("more than 64 bits");
	opts.version = 1;
	opts.containers = 1u << 24;
	assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
	assert_says("more than 64 bits");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		opts.windows = &cases[i].window;
		assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
		assert_says(cases[i].part);
	}
	opts.host = WEIR_SPAPR_PSERIES;
	opts.windows = &(struct weir_window)WINDOW(HIGH, GIB, 4096, 2);
	assert_int_equal(weir_spapr_locked(&opts, &out), -EINVAL);
	assert_says("there are 1 at most");
	assert_int_equal(out.total, 7);
}

/* ---- and as a kernel counts ---- */

static int setup(void **state)
{
	int ret = rig_setup(state);

	fake.no_type1 = true;
	fake.spapr.exists = true;
	return ret;
}

static int teardown(void **state)
{
	assert_int_equal(fake.spapr.locked, 0);
	return rig_teardown(state);
}

static void check_count(struct rig *rig, unsigned int version, const struct weir_window *windows,
			size_t n)
{
	const struct weir_spapr_locked_opts opts = {
		.version = version, .memory = 3 * page, .windows = windows, .n_windows = n,
		.containers = 2,
	};

	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(attach(rig, i), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, 3 * page), 0);
	assert_int_equal(fake.spapr.locked, sum(&opts).total);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	for (unsigned int i = 0; i < 2; i++)
		detach(rig, i);
	assert_int_equal(fake.spapr.locked, 0);
}

static void it_is_what_the_kernel_counts(void **state)
{
	static const struct weir_window low = WINDOW(0, GIB, 4 * KIB, 0);

	check_count(*state, 2, &low, 1);
	fake.spapr.pseries = true;
	fake.spapr.levels = 1;
	check_count(*state, 2, &low, 1);
	fake.spapr.page_sizes = 0;
	check_count(*state, 1, &low, 1);
	fake.spapr.pseries = false;
	check_count(*state, 1, &low, 1);
}

/* Which limit, how much of it is used, and how much is needed. */
static void limit_is_named(void **state)
{
	struct rlimit before, limit;
	struct rig *rig = *state;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	limit = (struct rlimit){ .rlim_cur = 32 * KIB, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	fake.spapr.memlock = 32 * KIB;
	assert_int_equal(attach(rig, 0), -ENOMEM);
	assert_says("making the default window, whose table counts 4096 KiB");
	assert_says("the limit of locked memory is 32 KiB in all");
	assert_says("this process has 0 locked or pinned, and needs 4096");
	fake.spapr.pseries = true;
	fake.spapr.levels = 1;
	assert_int_equal(attach(rig, 0), -ENOMEM);
	assert_says("making the default window, whose table counts 2048 KiB");
	fake.spapr.page_sizes = 0;
	assert_int_equal(attach(rig, 0), -ENOMEM);
	assert_says("enabling the container, whose whole window and its table count 1050624 KiB");
	assert_says("the limit of locked memory is 32 KiB in all");
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_of_the_talk),
		cmocka_unit_test(tables_have_levels),
		cmocka_unit_test(what_no_host_has_is_refused),
		cmocka_unit_test_setup_teardown(it_is_what_the_kernel_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(limit_is_named, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
