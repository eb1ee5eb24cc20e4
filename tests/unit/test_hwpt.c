/* SPDX-License-Identifier: MIT */
/*
 * Page tables by hand on a made-up IOMMUFD (fake_hwpt.c): groups of several functions, what older
 * kernels and other interfaces say, and what the kernel's mock devices can't show. The rest is
 * proved on those, in a machine (tests/vm/guest/mock).
 */
#include <endian.h>

#include "hwpt_rig.h"

static const struct weir_hwpt_opts parents = { .nest_parent = true };

/* ---- groups ---- */

static void group_goes_along(void **state)
{
	struct hwpt_rig *r = *state;
	struct weir_hwpt *a = alloc(r, NULL), *b = alloc(r, NULL);
	uint32_t automatic = fake_table(0, 0), other = fake_table(1, 0);

	assert_int_equal(fake_table(0, 1), automatic);
	assert_int_equal(weir_hwpt_attach(a, r->dev[1]), 0);
	assert_int_not_equal(fake_table(0, 0), automatic);
	assert_int_equal(fake_table(0, 0), fake_table(0, 1));
	assert_int_equal(fake_table(1, 0), other);
	/* Both are attached to it, by weir's books as well. */
	assert_int_equal(weir_hwpt_attach(a, r->dev[0]), 0);
	must_fail(weir_hwpt_free(a), -EBUSY, "0000:01:00.");
	assert_int_equal(weir_hwpt_attach(b, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(a), 0);
	assert_int_equal(weir_hwpt_detach(b, r->dev[1]), 0);
	assert_int_equal(fake_table(0, 0), automatic);
	assert_int_equal(fake_table(0, 1), automatic);
	must_fail(weir_hwpt_detach(b, r->dev[0]), -EINVAL, "0000:01:00.0: it isn't attached");
	assert_int_equal(weir_hwpt_free(b), 0);
}

static void group_on_a_table_takes_no_device(void **state)
{
	struct hwpt_rig *r = *state;
	const struct weir_device_opts in = { .ioas = r->as };
	struct weir_hwpt *hwpt = alloc(r, NULL);
	struct weir_device *dev;

	assert_int_equal(weir_device_close(r->dev[1]), 0);
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	must_fail(weir_device_open(r->iommu, "0000:01:00.1", &in, &dev), -EBUSY,
		  "group 10, which it is in, is attached to a page table made by hand");
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	r->dev[1] = open_function(r, "0000:01:00.1");
	/* And not either when it has been closed while it was attached. */
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_device_close(r->dev[0]), 0);
	must_fail(weir_device_open(r->iommu, "0000:01:00.0", &in, &dev), -EBUSY, "made by hand");
	assert_int_equal(weir_device_close(r->dev[1]), 0);
	r->dev[0] = open_function(r, "0000:01:00.0");
	r->dev[1] = open_function(r, "0000:01:00.1");
	assert_int_equal(weir_hwpt_free(hwpt), 0);
}

static void pasids_of_one_concern_its_group(void **state)
{
	const struct weir_hwpt_opts pasids = { .pasid = true };
	struct hwpt_rig *r = *state;
	struct weir_hwpt *hwpt = alloc(r, &pasids), *plain = alloc(r, NULL);

	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_attach_pasid(hwpt, r->dev[1], 3), 0);
	must_fail(weir_hwpt_attach(plain, r->dev[0]), -EINVAL, "PASIDs of 0000:01:00.1");
	must_fail(weir_hwpt_detach(hwpt, r->dev[0]), -EINVAL, "PASIDs of 0000:01:00.1");
	must_fail(weir_hwpt_attach_pasid(hwpt, r->dev[1], 256), -EINVAL, "8 bits wide");
	assert_int_equal(weir_hwpt_detach_pasid(hwpt, r->dev[1], 3), 0);
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_hwpt_free(plain), 0);
}

static void another_iommu_cant_use_it(void **state)
{
	struct hwpt_rig *r = *state;
	struct weir_hwpt *hwpt = alloc(r, &parents);
	uint32_t table;

	assert_int_equal(weir_device_close(r->dev[2]), 0);
	fake.groups[1].iommu = 1;
	r->dev[2] = open_function(r, "0000:02:00.0");
	table = fake_table(1, 0);
	must_fail(weir_hwpt_attach(hwpt, r->dev[2]), -EINVAL, "0000:02:00.0: the kernel refuses");
	assert_int_equal(fake_table(1, 0), table);
	assert_false(fake.groups[1].blocked);
	fake.groups[1].attach_error = -EBUSY;
	must_fail(weir_hwpt_attach(hwpt, r->dev[2]), -EBUSY, "it is being reset; try again");
	fake.groups[1].attach_error = -ENOMEM;
	must_fail(weir_hwpt_attach(hwpt, r->dev[2]), -ENOMEM, "may be blocked from now on");
	assert_int_equal(weir_hwpt_free(hwpt), 0);
}

/* ---- where they reach ---- */

static int ranges_in(struct weir_ioas *as, uint64_t *last)
{
	struct weir_iova_range list[4] = { 0 };
	int n = weir_ioas_ranges(as, list, 4);

	assert_in_range(n, 1, 4);
	*last = list[n - 1].last;
	return n;
}

/* By itself it has the window of interrupts, too, which is the device's. */
static void ranges_of_one_table(void **state)
{
	const uint64_t all = (1ull << 48) - 1, less = (1ull << 39) - 1;
	struct hwpt_rig *r = *state;
	struct weir_iova_range range;
	struct weir_hwpt *hwpt;
	uint64_t last;

	fake.iommufd.parent_last = less;
	assert_int_equal(weir_hwpt_ranges(r->dev[0], NULL, &range, 1), 1);
	assert_true(range.first == 0 && range.last == all);
	assert_int_equal(weir_hwpt_ranges(r->dev[0], &parents, NULL, 0), 1);
	assert_int_equal(weir_hwpt_ranges(r->dev[0], &parents, &range, 1), 1);
	assert_true(range.first == 0 && range.last == less);
	assert_int_equal(ranges_in(r->as, &last), 2);
	assert_true(last == all);
	/* Making it narrows the address space; attaching changes nothing there. */
	hwpt = alloc(r, &parents);
	assert_int_equal(ranges_in(r->as, &last), 2);
	assert_true(last == less);
	assert_int_equal(weir_hwpt_ranges(r->dev[0], NULL, &range, 1), 1);
	assert_true(range.last == all);
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(ranges_in(r->as, &last), 2);
	assert_true(last == less);
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(ranges_in(r->as, &last), 2);
	assert_true(last == all);
}

/* In a space without devices there is no other table, whose narrower ranges would count. */
static void ranges_of_a_table_alone(void **state)
{
	const uint64_t more = (1ull << 52) - 1;
	struct hwpt_rig *r = *state;
	struct weir_hwpt *hwpt;
	struct weir_ioas *as;
	uint64_t last;

	fake.iommufd.parent_last = more;
	assert_int_equal(weir_ioas_open(r->iommu, &as), 0);
	assert_int_equal(weir_hwpt_alloc(as, r->dev[0], &parents, &hwpt), 0);
	assert_int_equal(ranges_in(as, &last), 1);
	assert_true(last == more);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_ioas_close(as), 0);
}

static void ranges_of_what_cant_be(void **state)
{
	const struct weir_hwpt_opts later = { .reserved = { [3] = 1 } };
	struct weir_hwpt_opts opts = { .nest_parent = true };
	struct hwpt_rig *r = *state;
	struct weir_iommu *foreign;

	must_fail(weir_hwpt_ranges(r->dev[0], &later, NULL, 0), -EINVAL, "weir_hwpt_opts");
	assert_int_equal(weir_faultq_open(r->iommu, &opts.faults), 0);
	must_fail(weir_hwpt_ranges(r->dev[0], &opts, NULL, 0), -EINVAL, "has no page faults");
	opts.nest_parent = false;
	assert_int_equal(weir_hwpt_ranges(r->dev[0], &opts, NULL, 0), 1);
	assert_int_equal(weir_faultq_close(opts.faults), 0);
	assert_int_equal(weir_iommu_open(NULL, &foreign), 0);
	assert_int_equal(weir_faultq_open(foreign, &opts.faults), 0);
	must_fail(weir_hwpt_ranges(r->dev[0], &opts, NULL, 0), -EINVAL, "another context");
	assert_int_equal(weir_faultq_close(opts.faults), 0);
	assert_int_equal(weir_iommu_close(foreign), 0);
	fake.iommufd.nested_type = 0;
	must_fail(weir_hwpt_ranges(r->dev[0], &parents, NULL, 0), -ENOTSUP,
		  "0000:01:00.0: its IOMMU, or this kernel, makes no page table that is a nest");
}

/* ---- what isn't there ---- */

static void old_kernel_has_plain_tables_alone(void **state)
{
	struct hwpt_rig *r = *state;
	struct weir_hwpt *hwpt, *nested;
	struct weir_faultq *queue;
	struct weir_viommu *viommu;
	const struct weir_nested vtd = {
		.type = WEIR_NESTED_VTD_S1, .u.vtd_s1 = { .width = 48 },
	};

	fake.iommufd.old = true;
	hwpt = alloc(r, &parents);
	must_fail(weir_hwpt_nest(hwpt, r->dev[0], &vtd, NULL, &nested), -ENOTSUP,
		  "nests no page table of that type");
	must_fail(weir_faultq_open(r->iommu, &queue), -ENOTSUP, "Linux 6.11");
	must_fail(weir_viommu_alloc(hwpt, r->dev[0], RAW, NULL, 0, &viommu), -ENOTSUP,
		  "Linux 6.13");
	assert_int_equal(weir_hwpt_free(hwpt), 0);
}

static void iommu_without_nesting_or_pasids(void **state)
{
	const struct weir_hwpt_opts all = { .nest_parent = true, .dirty = true, .pasid = true };
	struct hwpt_rig *r = *state;
	struct weir_hwpt *hwpt;

	fake.iommufd.nested_type = 0;
	must_fail(weir_hwpt_alloc(r->as, r->dev[0], &all, &hwpt), -ENOTSUP,
		  "no page table that is a nest parent with dirty tracking for PASIDs");
	fake.iommufd.pasid_bits = 0;
	must_fail(weir_hwpt_alloc(r->as, r->dev[0],
				  &(struct weir_hwpt_opts){ .reserved = { 1 } }, &hwpt), -EINVAL,
		  "weir_hwpt_opts");
}

static void other_interfaces_have_none(void **state)
{
	const struct weir_iommu_opts type1 = { .interface = "type1v2" };
	struct hwpt_rig *r = *state;
	struct weir_hw_info info;
	struct weir_iommu *iommu;
	struct weir_device *dev;
	struct weir_hwpt *hwpt;

	assert_int_equal(weir_iommu_open(&type1, &iommu), 0);
	assert_int_equal(weir_device_open(iommu, "0000:03:00.0", NULL, &dev), 0);
	must_fail(weir_hwpt_alloc(weir_device_ioas(dev), dev, NULL, &hwpt), -ENOTSUP,
		  "0000:03:00.0: it is attached by type1v2, which has no page tables");
	must_fail(weir_hwpt_alloc(r->as, dev, NULL, &hwpt), -EINVAL, "another context");
	must_fail(weir_hwpt_ranges(dev, NULL, NULL, 0), -ENOTSUP, "no page tables made by hand");
	must_fail(weir_device_hw_info(dev, WEIR_HW_NONE, &info), -ENOTSUP, "type1v2");
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
}

/* ---- nested tables ---- */

static void stage1_is_checked(void **state)
{
	struct hwpt_rig *r = *state;
	struct weir_hwpt *parent = alloc(r, &parents), *hwpt;
	struct weir_nested vtd = { .type = WEIR_NESTED_VTD_S1, .u.vtd_s1 = { .width = 57 } };

	vtd.u.vtd_s1.flags = 8;
	must_fail(weir_hwpt_nest(parent, r->dev[0], &vtd, NULL, &hwpt), -EINVAL, "nobody knows");
	vtd.u.vtd_s1.flags = WEIR_VTD_S1_WPE;
	must_fail(weir_hwpt_nest(parent, r->dev[0], &vtd, NULL, &hwpt), -EINVAL, "SRE allows");
	vtd.u.vtd_s1.flags = 0;
	vtd.u.vtd_s1.table = 0x123;
	must_fail(weir_hwpt_nest(parent, r->dev[0], &vtd, NULL, &hwpt), -EINVAL, "0x123");
	vtd.u.vtd_s1.table = 0;
	vtd.u.vtd_s1.width = 47;
	must_fail(weir_hwpt_nest(parent, r->dev[0], &vtd, NULL, &hwpt), -EINVAL, "47");
	vtd.type = (enum weir_nested_type)99;
	must_fail(weir_hwpt_nest(parent, r->dev[0], &vtd, NULL, &hwpt), -EINVAL, "is 99");
	vtd = (struct weir_nested){ .type = WEIR_NESTED_AMD };
	must_fail(weir_hwpt_nest(parent, r->dev[0], &vtd, NULL, &hwpt), -ENOTSUP,
		  "made by a vIOMMU");
	/* As it should be. */
	fake.iommufd.nested_type = WEIR_NESTED_VTD_S1;
	fake.iommufd.nests_without_viommu = true;
	vtd = (struct weir_nested){ .type = WEIR_NESTED_VTD_S1, .u.vtd_s1 = { .width = 48 } };
	assert_int_equal(weir_hwpt_nest(parent, r->dev[0], &vtd, NULL, &hwpt), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	fake.iommufd.nested_error = -EIO;
	must_fail(weir_hwpt_nest(parent, r->dev[0], &vtd, NULL, &hwpt), -EIO, "must be zero");
	assert_int_equal(weir_hwpt_free(parent), 0);
}

/* Each field that the kernel looks at, as arm_smmu_validate_vste() does. */
static void smmu_stage1_is_checked(void **state)
{
	static const struct {
		uint64_t ste[2];
		const char *says;		/* NULL: it can be so */
	} cases[] = {
		{ { 0, 0 }, NULL },
		{ { ~1ull, ~0ull }, NULL },	/* not valid: nothing of it counts */
		{ { 1, 0 }, NULL },
		{ { 1 | 4 << 1, 0 }, NULL },
		{ { 0xf80ffffffffffff1 | 5 << 1, 0x180000ff }, NULL },
		{ { 1 | 6 << 1, 0 }, "Config is 6" },
		{ { 1 | 7 << 1, 0 }, "Config is 7" },
		{ { 1 | 1ull << 52, 0 }, "0x10000000000000, 0x0" },
		{ { 1 | 5 << 1, 1ull << 25 }, "0x0, 0x2000000" },
		{ { 1 | 5 << 1, 1ull << 44 }, "0x0, 0x100000000000" },
		{ { 1 | 5 << 1, 2ull << 28 }, "EATS is 2" },
	};
	struct hwpt_rig *r = *state;
	struct weir_hwpt *parent = alloc(r, &parents), *hwpt;
	struct weir_viommu *viommu;

	fake.iommufd.nested_type = WEIR_NESTED_SMMUV3;
	assert_int_equal(weir_viommu_alloc(parent, r->dev[0], RAW, NULL, 0, &viommu), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct weir_nested nested = {
			.type = WEIR_NESTED_SMMUV3,
			.u.smmuv3 = { { htole64(cases[i].ste[0]), htole64(cases[i].ste[1]) } },
		};
		int ret = weir_viommu_nest(viommu, r->dev[0], &nested, NULL, &hwpt);

		if (cases[i].says)
			must_fail(ret, -EINVAL, cases[i].says);
		else if (ret)
			fail_msg("case %zu: %d, %s", i, ret, weir_errmsg());
		else
			assert_int_equal(weir_hwpt_free(hwpt), 0);
	}
	assert_int_equal(weir_viommu_free(viommu), 0);
	assert_int_equal(weir_hwpt_free(parent), 0);
}

/* Who is attached with a group has a number, too. */
static void entry_that_translates_wants_numbers(void **state)
{
	const struct weir_nested stage1 = { .type = WEIR_NESTED_SMMUV3,
					    .u.smmuv3 = { { htole64(1 | 5 << 1), 0 } } };
	const struct weir_nested bypass = { .type = WEIR_NESTED_SMMUV3,
					    .u.smmuv3 = { { htole64(1 | 4 << 1), 0 } } };
	struct hwpt_rig *r = *state;
	struct weir_hwpt *parent = alloc(r, &parents), *hwpt, *through;
	struct weir_viommu *viommu, *other;
	struct weir_vdevice *a, *b;

	fake.iommufd.nested_type = WEIR_NESTED_SMMUV3;
	assert_int_equal(weir_viommu_alloc(parent, r->dev[0], RAW, NULL, 0, &viommu), 0);
	assert_int_equal(weir_viommu_alloc(parent, r->dev[0], RAW, NULL, 0, &other), 0);
	assert_int_equal(weir_viommu_nest(viommu, r->dev[0], &stage1, NULL, &hwpt), 0);
	assert_int_equal(weir_viommu_nest(viommu, r->dev[0], &bypass, NULL, &through), 0);
	must_fail(weir_hwpt_attach(hwpt, r->dev[0]), -EINVAL, "no number for 0000:01:00.");
	assert_int_equal(weir_hwpt_attach(through, r->dev[0]), 0);
	assert_int_equal(weir_vdevice_alloc(viommu, r->dev[0], 1, &a), 0);
	assert_int_equal(weir_vdevice_alloc(other, r->dev[1], 2, &b), 0);
	must_fail(weir_hwpt_attach(hwpt, r->dev[0]), -EINVAL, "no number for 0000:01:00.1");
	assert_int_equal(weir_vdevice_free(b), 0);
	assert_int_equal(weir_vdevice_alloc(viommu, r->dev[1], 2, &b), 0);
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[1]), 0);
	assert_int_equal(weir_vdevice_free(a), 0);
	assert_int_equal(weir_vdevice_free(b), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_hwpt_free(through), 0);
	assert_int_equal(weir_viommu_free(viommu), 0);
	assert_int_equal(weir_viommu_free(other), 0);
	assert_int_equal(weir_hwpt_free(parent), 0);
}

/* More than the kernel takes at once; and a kernel that says what can't be. */
static void many_invalidations(void **state)
{
	const size_t n = WR_IOMMU_INVALIDATE_MAX + 3;
	uint64_t *words = calloc(n, sizeof(*words)), one = 1;
	const struct weir_nested nested = { .u.raw = { RAW, sizeof(one), &one } };
	struct hwpt_rig *r = *state;
	struct weir_hwpt *parent = alloc(r, &parents), *hwpt;
	size_t done;

	assert_non_null(words);
	fake.iommufd.nests_without_viommu = true;
	assert_int_equal(weir_hwpt_nest(parent, r->dev[0], &nested, NULL, &hwpt), 0);
	assert_int_equal(weir_hwpt_invalidate(hwpt, RAW, words, sizeof(one), n, &done), 0);
	assert_int_equal(done, n);
	assert_int_equal(fake.iommufd.invalidated, n);
	words[n - 2] = 7;
	must_fail(weir_hwpt_invalidate(hwpt, RAW, words, sizeof(one), n, &done), -EINVAL,
		  "invalidation 4097 of 4099");
	assert_int_equal(done, n - 2);
	assert_int_equal(fake.iommufd.invalidated, n + n - 2);
	words[n - 2] = 0;
	/* Of none it says that all are done (SMMUv3, without memory): they are, then. */
	fake.iommufd.invalidated = 0;
	fake.fail_with = -ENOMEM;
	fake.fail_at = fake.calls + 1;
	assert_int_equal(weir_hwpt_invalidate(hwpt, RAW, words, sizeof(one), n, &done), 0);
	assert_int_equal(done, n);
	assert_int_equal(fake.iommufd.invalidated, n);
	fake.fail_at = fake.calls + 1;
	must_fail(weir_hwpt_invalidate(hwpt, RAW, NULL, 0, 0, &done), -ENOMEM, "can't be asked");
	fake.fail_at = 0;
	fake.iommufd.invalidate_less = 1;
	must_fail(weir_hwpt_invalidate(hwpt, RAW, words, sizeof(one), 5, &done), -EIO,
		  "of 5 invalidations the kernel says that it did 4");
	fake.iommufd.invalidate_less = 0;
	must_fail(weir_hwpt_invalidate(hwpt, RAW + 1, words, sizeof(one), 1, NULL), -EINVAL,
		  "of type 120");
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_hwpt_free(parent), 0);
	free(words);
}

/* ---- dirty tracking ---- */

/* One call of the kernel where bits lie as it writes them; and large granules. */
static void bitmaps_of_any_granularity(void **state)
{
	const struct weir_hwpt_opts tracked = { .dirty = true };
	struct hwpt_rig *r = *state;
	const size_t page = r->page;
	struct weir_hwpt *hwpt = alloc(r, &tracked);
	struct weir_dirty_opts opts = { .keep = true };
	uint64_t bitmap[3] = { 0 };
	unsigned long calls;

	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_dirty_start(hwpt), 0);
	fake_written(0, page);
	fake_written(0, 12 * page);
	calls = fake.calls;
	assert_int_equal(weir_hwpt_dirty_read(hwpt, page, 16 * page, &opts, bitmap), 0);
	assert_int_equal(fake.calls - calls, 1);
	assert_int_equal(bitmap[0], 0x801);
	memset(bitmap, 0, sizeof(bitmap));
	assert_int_equal(weir_hwpt_dirty_read(hwpt, 0, 130 * page, &opts, bitmap), 0);
	assert_int_equal(bitmap[0], 0x1002);
	assert_int_equal(bitmap[1] | bitmap[2], 0);
	opts.granularity = 8 * page;
	memset(bitmap, 0, sizeof(bitmap));
	assert_int_equal(weir_hwpt_dirty_read(hwpt, 0, 16 * page, &opts, bitmap), 0);
	assert_int_equal(bitmap[0], 3);
	opts.granularity = 1ull << 40;
	bitmap[0] = 0;
	assert_int_equal(weir_hwpt_dirty_read(hwpt, 0, 1ull << 40, &opts, bitmap), 0);
	assert_int_equal(bitmap[0], 1);
	opts.granularity = 3 * page;
	must_fail(weir_hwpt_dirty_read(hwpt, 0, 3 * page, &opts, bitmap), -EINVAL, "power of two");
	opts.granularity = page / 2;
	must_fail(weir_hwpt_dirty_read(hwpt, 0, page, &opts, bitmap), -EINVAL, "a page or more");
	opts.granularity = 2 * page;
	must_fail(weir_hwpt_dirty_read(hwpt, page, 2 * page, &opts, bitmap), -EINVAL, "granules");
	must_fail(weir_hwpt_dirty_read(hwpt, 0, 0, &opts, bitmap), -EINVAL, "length");
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
}

/* ---- hardware in words ---- */

static uint64_t word(const struct weir_hw_info *info, const char *name)
{
	struct weir_hw_word words[40];
	int n = weir_hw_words(info, words, 40);

	assert_in_range(n, 1, 40);
	assert_int_equal(weir_hw_words(info, NULL, 0), n);
	for (int i = 0; i < n; i++) {
		assert_non_null(words[i].meaning);
		if (!strcmp(words[i].name, name))
			return words[i].value;
	}
	fail_msg("no word \"%s\"", name);
	return 0;
}

/* What QEMU's VT-d in scalable mode says. */
static void hardware_in_words(void **state)
{
	const struct weir_hw_vtd vtd = { 1, 0, 0x81d2008c222f0606, 0x8d7a20f00f4e };
	const struct weir_hw_amd amd = { 0x10012f29d3, 8 };
	struct hwpt_rig *r = *state;
	struct weir_hw_info info;

	fake.iommufd.hw_type = WEIR_HW_VTD;
	fake.iommufd.hw_data = &vtd;
	fake.iommufd.hw_len = sizeof(vtd);
	fake.iommufd.hw_caps = WR_IOMMU_HW_NO_ATS | WR_IOMMU_HW_PASID_EXEC;
	assert_int_equal(weir_device_hw_info(r->dev[0], WEIR_HW_NONE, &info), 0);
	assert_int_equal(info.u.vtd.cap, vtd.cap);
	assert_true(info.dirty && info.pasid_exec && !info.pasid_priv && !info.ats);
	assert_int_equal(word(&info, "MGAW"), 48);
	assert_int_equal(word(&info, "PSS"), 16);
	assert_int_equal(word(&info, "SMTS"), 1);
	assert_int_equal(word(&info, "NEST"), 0);
	assert_int_equal(word(&info, "FSTS"), 1);
	assert_int_equal(word(&info, "PRS"), 1);
	assert_int_equal(word(&info, "ERRATA_772415"), 1);
	must_fail(weir_device_hw_info(r->dev[0], WEIR_HW_AMD, &info), -ENOTSUP, "of type 4");
	fake.iommufd.hw_type = WEIR_HW_AMD;
	fake.iommufd.hw_data = &amd;
	fake.iommufd.hw_len = sizeof(amd);
	assert_int_equal(weir_device_hw_info(r->dev[0], WEIR_HW_NONE, &info), 0);
	assert_int_equal(word(&info, "PASmax"), 17);
	assert_int_equal(word(&info, "GCR3TRPMode"), 1);
	fake.iommufd.hw_type = 1234;
	assert_int_equal(weir_device_hw_info(r->dev[0], WEIR_HW_NONE, &info), 0);
	assert_int_equal(weir_hw_words(&info, NULL, 0), 0);
	fake.iommufd.no_hw_info = true;
	assert_int_equal(weir_device_hw_info(r->dev[0], WEIR_HW_NONE, &info), 0);
	assert_int_equal(info.type, WEIR_HW_NONE);
}

/* Of an SMMUv3: each register's fields are where its specification has them. */
static void smmu_in_words(void **state)
{
	struct weir_hw_info info = { .type = WEIR_HW_SMMUV3 };

	(void)state;
	info.u.smmuv3.idr[0] = 1u << 27 | 1u << 19 | 2u << 2;
	info.u.smmuv3.idr[1] = 20u << 6 | 16;
	info.u.smmuv3.idr[3] = 1u << 10 | 2u << 11;
	info.u.smmuv3.idr[5] = 1u << 4 | 1u << 10;
	assert_int_equal(word(&info, "ST_LEVEL"), 1);
	assert_int_equal(word(&info, "CD2L"), 1);
	assert_int_equal(word(&info, "TTF"), 2);
	assert_int_equal(word(&info, "SSIDSIZE"), 20);
	assert_int_equal(word(&info, "SIDSIZE"), 16);
	assert_int_equal(word(&info, "RIL"), 1);
	assert_int_equal(word(&info, "BBML"), 2);
	assert_int_equal(word(&info, "GRAN4K"), 1);
	assert_int_equal(word(&info, "VAX"), 1);
	info = (struct weir_hw_info){ .type = WEIR_HW_TEGRA241_CMDQV };
	info.u.tegra241_cmdqv.log2vcmdqs = 3;
	assert_int_equal(word(&info, "LOG2VCMDQS"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(group_goes_along),
		TEST(group_on_a_table_takes_no_device),
		TEST(pasids_of_one_concern_its_group),
		TEST(another_iommu_cant_use_it),
		TEST(ranges_of_one_table),
		TEST(ranges_of_a_table_alone),
		TEST(ranges_of_what_cant_be),
		TEST(old_kernel_has_plain_tables_alone),
		TEST(iommu_without_nesting_or_pasids),
		TEST(other_interfaces_have_none),
		TEST(stage1_is_checked),
		TEST(smmu_stage1_is_checked),
		TEST(entry_that_translates_wants_numbers),
		TEST(many_invalidations),
		TEST(bitmaps_of_any_granularity),
		TEST(hardware_in_words),
		cmocka_unit_test(smmu_in_words),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
