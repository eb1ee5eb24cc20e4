/* SPDX-License-Identifier: MIT */
/*
 * Page tables by hand, and what belongs to them, on the kernel's mock devices (mock/seam.h): the
 * kernel's IOMMUFD is real, the IOMMU below it plays its part. What weir says is compared with what
 * the mock's own calls see. And every call with each of the kernel's allocations in it failing.
 */
#include "src/base/sys.h"
#include "tests/vm/guest/mock/mock.h"

int rig_setup(void **state)
{
	static struct rig rig;
	struct weir_iommu_opts opts = { .interface = "iommufd", .use_iommufd = true };
	struct weir_device_opts in = { 0 };
	const struct weir_map_opts fixed = { .fixed = true };
	weir_iova at = AT;

	mock_start();
	mock_be(0, MOCK_PASID);
	mock_be(1, MOCK_PASID);
	rig = (struct rig){ .iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC) };
	assert_true(rig.iommufd >= 0);
	opts.iommufd = rig.iommufd;
	MUST(weir_iommu_open(&opts, &rig.iommu));
	MUST(weir_ioas_open(rig.iommu, &rig.as));
	MUST(weir_ioas_open(rig.iommu, &rig.other));
	/* Pages that happen to follow one another would be written as one. */
	MUST(weir_ioas_small_pages(rig.as, true));
	rig.pinned = status_kib("VmPin");
	rig.memory = page_of(0x11, PAGES);
	MUST(weir_ioas_map(rig.as, rig.memory, PAGES * PAGE, &fixed, &at));
	MUST(weir_ioas_map(rig.other, rig.memory, PAGES * PAGE, &fixed, &at));
	in.ioas = rig.as;
	MUST(weir_device_open(rig.iommu, mock_name(0), &in, &rig.dev));
	MUST(weir_device_open(rig.iommu, mock_name(1), &in, &rig.second));
	*state = &rig;
	return 0;
}

/* All that was made is freed, and nothing of it is left in the kernel. */
int rig_teardown(void **state)
{
	struct rig *r = *state;

	MUST(weir_device_close(r->second));
	MUST(weir_device_close(r->dev));
	MUST(weir_ioas_close(r->other));
	MUST(weir_ioas_close(r->as));
	MUST(weir_iommu_close(r->iommu));
	assert_int_equal(mock_objects(r->iommufd), 0);
	close(r->iommufd);
	munmap(r->memory, PAGES * PAGE);
	assert_int_equal(status_kib("VmPin"), r->pinned);
	mock_stop();
	return 0;
}

/* ---- paging tables ---- */

static void automatic_table_has_what_is_mapped(void **state)
{
	struct rig *r = *state;

	assert_int_equal(mock_table(0), r->dev ? mock_table(1) : 0);
	assert_int_equal(mock_check_map(r->iommufd, mock_table(0), AT, r->memory, PAGES * PAGE), 0);
}

static void paging_table_has_what_is_mapped(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	unsigned char *more = page_of(0x22, 1);
	struct rig *r = *state;
	struct weir_hwpt *hwpt = paging(r, NULL);
	weir_iova at = AT + PAGES * PAGE;
	uint32_t automatic = mock_table(0);

	assert_int_equal(mock_check_map(r->iommufd, number(hwpt), AT, r->memory, PAGES * PAGE), 0);
	MUST(weir_ioas_map(r->as, more, PAGE, &fixed, &at));
	assert_int_equal(mock_check_map(r->iommufd, number(hwpt), at, more, PAGE), 0);
	MUST(weir_hwpt_attach(hwpt, r->dev));
	assert_int_equal(mock_table(0), number(hwpt));
	assert_int_equal(mock_table(1), automatic);
	MUST(weir_hwpt_attach(hwpt, r->dev));
	MUST(weir_hwpt_detach(hwpt, r->dev));
	assert_int_equal(mock_table(0), automatic);
	MUST(weir_ioas_unmap(r->as, at, PAGE));
	assert_int_equal(mock_check_map(r->iommufd, number(hwpt), at, more, PAGE), -EINVAL);
	MUST(weir_hwpt_free(hwpt));
	munmap(more, PAGE);
}

static void one_replaces_another(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *a = paging(r, NULL), *b = paging(r, NULL);

	for (int i = 0; i < 4; i++) {
		MUST(weir_hwpt_attach(i & 1 ? b : a, r->dev));
		assert_int_equal(mock_table(0), number(i & 1 ? b : a));
	}
	must_fail(weir_hwpt_detach(a, r->dev), -EINVAL, "isn't attached to that page table");
	MUST(weir_hwpt_free(a));
	MUST(weir_hwpt_detach(b, r->dev));
	MUST(weir_hwpt_free(b));
}

/* A stage 2 of two devices; the second outlives the first, and the page table outlives both. */
static void devices_share_one(void **state)
{
	struct rig *r = *state;
	struct weir_device_opts in = { .ioas = r->as };
	struct weir_hwpt *hwpt = paging(r, &nest_parent);

	MUST(weir_hwpt_attach(hwpt, r->dev));
	MUST(weir_hwpt_attach(hwpt, r->second));
	assert_int_equal(mock_table(0), mock_table(1));
	must_fail(weir_hwpt_free(hwpt), -EBUSY, "is attached to it");
	MUST(weir_device_close(r->dev));
	must_fail(weir_hwpt_free(hwpt), -EBUSY, mock_name(1));
	MUST(weir_device_close(r->second));
	must_fail(weir_ioas_close(r->as), -EBUSY, "page tables made by hand");
	assert_int_equal(mock_check_map(r->iommufd, number(hwpt), AT, r->memory, PAGES * PAGE), 0);
	/* The domain is still there, and takes them. */
	MUST(weir_device_open(r->iommu, mock_name(0), &in, &r->dev));
	MUST(weir_device_open(r->iommu, mock_name(1), &in, &r->second));
	MUST(weir_hwpt_attach(hwpt, r->second));
	MUST(weir_hwpt_detach(hwpt, r->second));
	MUST(weir_hwpt_free(hwpt));
}

static void wrong_orders_are_refused(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *hwpt = paging(r, NULL), *theirs, *none;
	struct weir_iommu *foreign;
	struct weir_ioas *strange;
	int fds[8];

	MUST(weir_iommu_open(NULL, &foreign));
	MUST(weir_ioas_open(foreign, &strange));
	must_fail(weir_hwpt_alloc(strange, r->dev, NULL, &none), -EINVAL, "another context");
	must_fail(weir_hwpt_alloc(NULL, r->dev, NULL, &none), -EINVAL, "no address space");
	MUST(weir_ioas_close(strange));
	MUST(weir_iommu_close(foreign));
	MUST(weir_hwpt_alloc(r->other, r->dev, NULL, &theirs));
	must_fail(weir_hwpt_attach(theirs, r->dev), -EINVAL, "of another address space");
	must_fail(weir_hwpt_detach(hwpt, r->dev), -EINVAL, "isn't attached");
	MUST(weir_hwpt_attach(hwpt, r->dev));
	must_fail(weir_hwpt_free(hwpt), -EBUSY, "is attached to it: weir_hwpt_detach() first");
	must_fail(weir_device_move(r->dev, r->other), -EBUSY, "weir_hwpt_detach() it first");
	must_fail(weir_ioas_export(r->as, fds, 8), -ENOTSUP, "made by hand can't go");
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_device_move(r->dev, r->other));
	MUST(weir_hwpt_attach(theirs, r->dev));
	MUST(weir_hwpt_detach(theirs, r->dev));
	MUST(weir_device_move(r->dev, r->as));
	MUST(weir_hwpt_free(theirs));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_hwpt_free(NULL));
}

static void private_space_is_held(void **state)
{
	struct rig *r = *state;
	struct weir_device *alone;
	struct weir_hwpt *hwpt;

	MUST(weir_device_open(r->iommu, mock_name(2), NULL, &alone));
	MUST(weir_hwpt_alloc(weir_device_ioas(alone), alone, NULL, &hwpt));
	must_fail(weir_device_close(alone), -EBUSY, "page tables made by hand");
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_device_close(alone));
}

/* What a page table can't have, the address space hasn't got either, as long as it is there. */
static void ranges_are_those_of_all(void **state)
{
	struct rig *r = *state;
	struct weir_iova_range range, alone;
	struct weir_hwpt *hwpt;
	weir_iova iova = 0x1000;
	const struct weir_map_opts fixed = { .fixed = true };
	unsigned char *more = page_of(0, 1);

	MUST(weir_ioas_unmap(r->other, AT, PAGES * PAGE));
	MUST(weir_ioas_map(r->other, more, PAGE, &fixed, &iova));
	must_fail(weir_hwpt_alloc(r->other, r->dev, NULL, &hwpt), -EINVAL, "lies outside what");
	MUST(weir_ioas_unmap(r->other, iova, PAGE));
	MUST(weir_hwpt_alloc(r->other, r->dev, NULL, &hwpt));
	assert_int_equal(weir_ioas_ranges(r->other, &range, 1), 1);
	assert_int_equal(range.first, 0x1000000);
	assert_int_equal(range.last, 0x7fffffff);
	assert_int_equal(weir_hwpt_ranges(r->dev, NULL, &alone, 1), 1);
	assert_memory_equal(&alone, &range, sizeof(range));
	must_fail(weir_ioas_map(r->other, more, PAGE, &fixed, &iova), -EINVAL, "usable range");
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_ioas_map(r->other, more, PAGE, &fixed, &iova));
	MUST(weir_ioas_unmap(r->other, iova, PAGE));
	munmap(more, PAGE);
}

static void bad_memory_makes_no_table(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	unsigned char *gone = page_of(1, 1);
	weir_iova iova = AT + PAGES * PAGE;
	struct rig *r = *state;
	struct weir_hwpt *hwpt;

	MUST(weir_ioas_map(r->other, gone, PAGE, &fixed, &iova));
	munmap(gone, PAGE);
	must_fail(weir_hwpt_alloc(r->other, r->dev, NULL, &hwpt), -EFAULT,
		  "not all of it is memory");
	MUST(weir_ioas_unmap(r->other, iova, PAGE));
	MUST(weir_hwpt_alloc(r->other, r->dev, NULL, &hwpt));
	MUST(weir_hwpt_free(hwpt));
}

static void hardware_is_told_of(void **state)
{
	struct weir_hw_info info;
	struct rig *r = *state;

	MUST(weir_device_hw_info(r->dev, WEIR_HW_NONE, &info));
	assert_int_equal(info.type, MOCK_HW_TYPE);
	assert_int_equal(info.len, 8);
	assert_int_equal(((const uint32_t *)info.u.bytes)[1], MOCK_HW_REGISTER);
	assert_true(info.dirty);
	assert_int_equal(info.pasid_bits, 20);
	assert_int_equal(weir_hw_words(&info, NULL, 0), 0);
	MUST(weir_device_hw_info(r->dev, MOCK_HW_TYPE, &info));
	must_fail(weir_device_hw_info(r->dev, WEIR_HW_VTD, &info), -ENOTSUP, "isn't of type 1");
}

/* ---- PASIDs ---- */

static const struct weir_hwpt_opts for_pasids = { .pasid = true };

static void pasid_has_an_address_space_of_its_own(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *self = paging(r, &for_pasids), *theirs, *again;

	MUST(weir_hwpt_alloc(r->other, r->dev, &for_pasids, &theirs));
	MUST(weir_hwpt_alloc(r->other, r->dev, &for_pasids, &again));
	MUST(weir_hwpt_attach(self, r->dev));
	MUST(weir_hwpt_attach_pasid(theirs, r->dev, 7));
	assert_int_equal(mock_check_pasid(0, 7, number(theirs)), 0);
	MUST(weir_hwpt_attach_pasid(again, r->dev, 7));
	assert_int_equal(mock_check_pasid(0, 7, number(again)), 0);
	MUST(weir_hwpt_free(theirs));
	MUST(weir_hwpt_attach_pasid(self, r->dev, 8));
	assert_int_equal(mock_check_pasid(0, 8, number(self)), 0);
	must_fail(weir_hwpt_free(again), -EBUSY, "PASID 7 of ");
	must_fail(weir_hwpt_detach_pasid(again, r->dev, 8), -EINVAL, "isn't attached");
	MUST(weir_hwpt_detach_pasid(self, r->dev, 8));
	assert_int_equal(mock_check_pasid(0, 8, 0), 0);
	MUST(weir_hwpt_detach_pasid(again, r->dev, 7));
	MUST(weir_hwpt_detach(self, r->dev));
	MUST(weir_hwpt_free(again));
	MUST(weir_hwpt_free(self));
}

static void pasid_needs_tables_for_it(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *self = paging(r, &for_pasids), *plain = paging(r, NULL), *another;

	must_fail(weir_hwpt_attach_pasid(self, r->dev, 0), -EINVAL, "PASID 0 is the device itself");
	must_fail(weir_hwpt_attach_pasid(self, r->dev, 7), -EINVAL, "the device itself uses");
	MUST(weir_hwpt_attach(plain, r->dev));
	must_fail(weir_hwpt_attach_pasid(self, r->dev, 7), -EINVAL, "the device itself uses");
	MUST(weir_hwpt_attach(self, r->dev));
	must_fail(weir_hwpt_attach_pasid(plain, r->dev, 7), -EINVAL, "isn't made for PASIDs");
	must_fail(weir_hwpt_attach_pasid(self, r->dev, 1 << 20), -EINVAL, "20 bits wide");
	MUST(weir_hwpt_attach_pasid(self, r->dev, (1 << 20) - 1));
	must_fail(weir_hwpt_attach(plain, r->dev), -EINVAL, "PASIDs of ");
	must_fail(weir_hwpt_detach(self, r->dev), -EINVAL, "PASIDs of ");
	another = paging(r, &for_pasids);
	MUST(weir_hwpt_attach(another, r->dev));
	MUST(weir_hwpt_attach(self, r->dev));
	MUST(weir_hwpt_free(another));
	/* Closing the device detaches all. */
	MUST(weir_device_close(r->dev));
	MUST(weir_hwpt_free(self));
	MUST(weir_hwpt_free(plain));
	MUST(weir_device_open(r->iommu, mock_name(0), &(struct weir_device_opts){ .ioas = r->as },
			      &r->dev));
}

static void device_without_pasids(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *hwpt;
	struct weir_device *dev;

	MUST(weir_device_open(r->iommu, mock_name(2), NULL, &dev));
	MUST(weir_hwpt_alloc(weir_device_ioas(dev), dev, &for_pasids, &hwpt));
	MUST(weir_hwpt_attach(hwpt, dev));
	must_fail(weir_hwpt_attach_pasid(hwpt, dev, 1), -ENOTSUP, "the device has no PASIDs");
	MUST(weir_hwpt_detach(hwpt, dev));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_device_close(dev));
}

/* ---- dirty tracking ---- */

static const struct weir_hwpt_opts tracked = { .dirty = true };

static void written(struct rig *r, const struct weir_hwpt *hwpt, uint64_t pages)
{
	assert_int_equal(mock_write(r->iommufd, number(hwpt), AT, PAGES, &pages), 0);
}

static uint64_t dirty(struct weir_hwpt *hwpt, uint64_t granularity, bool keep)
{
	const struct weir_dirty_opts opts = { .granularity = granularity, .keep = keep };
	uint64_t bitmap = 0;

	MUST(weir_hwpt_dirty_read(hwpt, AT, PAGES * PAGE, &opts, &bitmap));
	return bitmap;
}

static void dirty_pages_of_one_table(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *hwpt = paging(r, &tracked);
	uint64_t bitmap[2] = { 0 };

	must_fail(weir_hwpt_dirty_read(hwpt, AT, PAGE, NULL, bitmap), -EINVAL, "is off");
	MUST(weir_hwpt_attach(hwpt, r->dev));
	MUST(weir_hwpt_dirty_start(hwpt));
	MUST(weir_hwpt_dirty_start(hwpt));
	must_fail(weir_ioas_dirty_start(r->as), -EBUSY, "weir_hwpt_dirty_stop() first");
	assert_int_equal(dirty(hwpt, 0, false), 0);
	written(r, hwpt, 0x8421);
	assert_int_equal(dirty(hwpt, 0, true), 0x8421);
	assert_int_equal(dirty(hwpt, 2 * PAGE, true), 0xa5);
	assert_int_equal(dirty(hwpt, 4 * PAGE, true), 0xf);
	assert_int_equal(dirty(hwpt, 16 * PAGE, true), 1);
	assert_int_equal(dirty(hwpt, 0, false), 0x8421);
	assert_int_equal(dirty(hwpt, 0, false), 0);
	/* Into the middle of a bitmap, over what isn't mapped. */
	written(r, hwpt, 0x3);
	MUST(weir_hwpt_dirty_read(hwpt, AT - 65 * PAGE, 128 * PAGE, NULL, bitmap));
	assert_int_equal(bitmap[0], 0);
	assert_int_equal(bitmap[1], 6);
	/* What is reported stays in it. */
	written(r, hwpt, 0x4);
	MUST(weir_hwpt_dirty_read(hwpt, AT, PAGES * PAGE, NULL, &bitmap[1]));
	assert_int_equal(bitmap[1], 6);
	MUST(weir_hwpt_dirty_stop(hwpt));
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_hwpt_free(hwpt));
}

static void granules_larger_than_a_mapping(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	const struct weir_dirty_opts large = { .granularity = 0x200000 };
	unsigned char *more = page_of(0, 2);
	struct rig *r = *state;
	weir_iova at = AT + 0x200000 - PAGE;
	struct weir_hwpt *hwpt;
	uint64_t bitmap = 0, one = 1;

	/* Two mappings, neither of which begins or ends where a granule does. */
	MUST(weir_ioas_map(r->as, more, PAGE, &fixed, &at));
	at += PAGE;
	MUST(weir_ioas_map(r->as, more + PAGE, PAGE, &fixed, &at));
	hwpt = paging(r, &tracked);
	MUST(weir_hwpt_dirty_start(hwpt));
	assert_int_equal(mock_write(r->iommufd, number(hwpt), at, 1, &one), 0);
	MUST(weir_hwpt_dirty_read(hwpt, AT, 0x400000, &large, &bitmap));
	assert_int_equal(bitmap, 2);
	assert_int_equal(mock_write(r->iommufd, number(hwpt), at - PAGE, 1, &one), 0);
	MUST(weir_hwpt_dirty_read(hwpt, AT, 0x400000, &large, &bitmap));
	assert_int_equal(bitmap, 3);
	must_fail(weir_hwpt_dirty_read(hwpt, AT + PAGE, 0x400000, &large, &bitmap), -EINVAL,
		  "isn't made of granules");
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_ioas_unmap(r->as, at, PAGE));
	MUST(weir_ioas_unmap(r->as, at - PAGE, PAGE));
	munmap(more, 2 * PAGE);
}

static void dirty_pages_of_all_tables(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *hwpt = paging(r, &tracked), *plain = paging(r, NULL);
	uint64_t bitmap = 0, pages = 0x10;

	must_fail(weir_hwpt_dirty_start(plain), -ENOTSUP, "weir_hwpt_opts.dirty");
	MUST(weir_hwpt_attach(hwpt, r->dev));
	MUST(weir_ioas_dirty_start(r->as));
	must_fail(weir_hwpt_dirty_start(hwpt), -EBUSY, "weir_ioas_dirty_stop() first");
	must_fail(weir_hwpt_attach(plain, r->dev), -EINVAL, "dirty tracking of the address space");
	written(r, hwpt, 0x1);
	assert_int_equal(mock_write(r->iommufd, mock_table(1), AT, PAGES, &pages), 0);
	assert_int_equal(MUST(weir_ioas_dirty_read(r->as, AT, PAGES * PAGE, &bitmap)), 2);
	assert_int_equal(bitmap, 0x11);
	MUST(weir_ioas_dirty_stop(r->as));
	/* With a device on a page table that has none, nor has the address space. */
	MUST(weir_hwpt_attach(plain, r->dev));
	must_fail(weir_ioas_dirty_start(r->as), -ENOTSUP, "has no dirty tracking");
	MUST(weir_hwpt_detach(plain, r->dev));
	MUST(weir_ioas_dirty_start(r->as));
	MUST(weir_ioas_dirty_stop(r->as));
	MUST(weir_hwpt_free(plain));
	MUST(weir_hwpt_free(hwpt));
}

static void device_without_dirty_tracking(void **state)
{
	struct rig *r = *state;
	struct weir_device *dev;
	struct weir_hwpt *hwpt;

	mock_be(2, MOCK_NO_DIRTY);
	MUST(weir_device_open(r->iommu, mock_name(2), NULL, &dev));
	must_fail(weir_hwpt_alloc(weir_device_ioas(dev), dev, &tracked, &hwpt), -ENOTSUP,
		  "no page table with dirty tracking");
	must_fail(weir_ioas_dirty_start(weir_device_ioas(dev)), -ENOTSUP, "no dirty tracking");
	MUST(weir_device_close(dev));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		ON_RIG(automatic_table_has_what_is_mapped),
		ON_RIG(paging_table_has_what_is_mapped),
		ON_RIG(one_replaces_another),
		ON_RIG(devices_share_one),
		ON_RIG(wrong_orders_are_refused),
		ON_RIG(private_space_is_held),
		ON_RIG(ranges_are_those_of_all),
		ON_RIG(bad_memory_makes_no_table),
		ON_RIG(hardware_is_told_of),
		ON_RIG(pasid_has_an_address_space_of_its_own),
		ON_RIG(pasid_needs_tables_for_it),
		ON_RIG(device_without_pasids),
		ON_RIG(dirty_pages_of_one_table),
		ON_RIG(granules_larger_than_a_mapping),
		ON_RIG(dirty_pages_of_all_tables),
		ON_RIG(device_without_dirty_tracking),
	};

	struct CMUnitTest all[100];
	size_t n = sizeof(tests) / sizeof(tests[0]);

	memcpy(all, tests, sizeof(tests));
	n += mock_nested_tests(all + n, 100 - n);
	n += mock_walks(all + n, 100 - n);
	return _cmocka_run_group_tests("tests", all, n, NULL, NULL);
}
