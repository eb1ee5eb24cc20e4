/* SPDX-License-Identifier: MIT */
/*
 * Page tables by hand in front of real DMA: an edu that is alone, and two that share a group. What
 * none of the emulated IOMMUs of these machines can do is refused with a sentence; the objects
 * themselves are proved on the kernel's mock devices (mock/).
 */
#include "tests/vm/guest/guest.h"

struct rig {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct opened edu;
	struct weir_mem *mem;
	uint32_t make;			/* of the IOMMU */
};

static int setup(void **state)
{
	struct weir_hw_info info;
	static struct rig r;

	r.iommu = open_iommu("iommufd");
	MUST(weir_ioas_open(r.iommu, &r.as));
	r.edu = open_edu(r.iommu, device("WEIR_TEST_EDU"), r.as);
	MUST(weir_mem_alloc(r.as, 2 * PAGE, NULL, &r.mem));
	MUST(weir_device_hw_info(r.edu.dev, WEIR_HW_NONE, &info));
	r.make = info.type;
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	MUST(weir_mem_free(r->mem));
	close_edu(r->edu);
	MUST(weir_ioas_close(r->as));
	MUST(weir_iommu_close(r->iommu));
	return 0;
}

static struct weir_hwpt *alloc(struct rig *r, const struct weir_hwpt_opts *opts)
{
	struct weir_hwpt *hwpt;

	MUST(weir_hwpt_alloc(r->as, r->edu.dev, opts, &hwpt));
	return hwpt;
}

static void dma_goes_through_it(void **state)
{
	unsigned char *more = page_of(0, 2);
	struct rig *r = *state;
	struct weir_hwpt *hwpt = alloc(r, NULL);
	weir_iova iova;

	MUST(weir_hwpt_attach(hwpt, r->edu.dev));
	round_trip(r->edu.edu, weir_mem_ptr(r->mem), 0x21);
	MUST(weir_ioas_map(r->as, more, 2 * PAGE, NULL, &iova));
	round_trip(r->edu.edu, more, 0x22);
	MUST(weir_ioas_unmap(r->as, iova, 2 * PAGE));
	must_be_blocked(r->edu.edu, iova, more);
	MUST(weir_hwpt_detach(hwpt, r->edu.dev));
	round_trip(r->edu.edu, weir_mem_ptr(r->mem), 0x23);
	MUST(weir_hwpt_free(hwpt));
	munmap(more, 2 * PAGE);
}

static void group_goes_along(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *hwpt;
	struct opened a = open_edu(r->iommu, device("WEIR_TEST_PAIR0"), r->as);
	struct opened b = open_edu(r->iommu, device("WEIR_TEST_PAIR1"), r->as);
	const struct weir_device_opts in = { .ioas = r->as };
	struct weir_device *dev;

	MUST(weir_hwpt_alloc(r->as, a.dev, NULL, &hwpt));
	MUST(weir_hwpt_attach(hwpt, a.dev));
	round_trip(a.edu, weir_mem_ptr(r->mem), 0x41);
	round_trip(b.edu, weir_mem_ptr(r->mem), 0x42);
	must_fail(weir_hwpt_free(hwpt), -EBUSY, "is attached to it");
	close_edu(b);
	must_fail(weir_device_open(r->iommu, device("WEIR_TEST_PAIR1"), &in, &dev), -EBUSY,
		  "is attached to a page table made by hand");
	MUST(weir_hwpt_detach(hwpt, a.dev));
	b = open_edu(r->iommu, device("WEIR_TEST_PAIR1"), r->as);
	MUST(weir_hwpt_attach(hwpt, b.dev));
	round_trip(a.edu, weir_mem_ptr(r->mem), 0x43);
	/* Closing one leaves the other where it is. */
	close_edu(b);
	round_trip(a.edu, weir_mem_ptr(r->mem), 0x44);
	MUST(weir_hwpt_detach(hwpt, a.dev));
	round_trip(a.edu, weir_mem_ptr(r->mem), 0x45);
	close_edu(a);
	MUST(weir_hwpt_free(hwpt));
}

/* A space that a device isn't in: the page table is for its IOMMU all the same. */
static void table_of_another_space(void **state)
{
	struct rig *r = *state;
	struct weir_ioas *other;
	struct weir_hwpt *hwpt;
	struct weir_mem *mem;

	MUST(weir_ioas_open(r->iommu, &other));
	MUST(weir_mem_alloc(other, 2 * PAGE, NULL, &mem));
	MUST(weir_hwpt_alloc(other, r->edu.dev, NULL, &hwpt));
	must_fail(weir_hwpt_attach(hwpt, r->edu.dev), -EINVAL, "of another address space");
	MUST(weir_device_move(r->edu.dev, other));
	MUST(weir_hwpt_attach(hwpt, r->edu.dev));
	round_trip(r->edu.edu, weir_mem_ptr(mem), 0x51);
	MUST(weir_hwpt_detach(hwpt, r->edu.dev));
	MUST(weir_device_move(r->edu.dev, r->as));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_mem_free(mem));
	MUST(weir_ioas_close(other));
}

/* The interrupts' window isn't the table's: it is the device's, and so the space's. */
static void table_reaches_further(void **state)
{
	struct weir_iova_range table[2], space[8];
	struct rig *r = *state;
	int n = MUST(weir_ioas_ranges(r->as, space, 8));

	assert_int_equal(MUST(weir_hwpt_ranges(r->edu.dev, NULL, table, 2)), 1);
	assert_in_range(n, 2, 8);
	for (int i = 0; i < n; i++)
		assert_true(table[0].first <= space[i].first && space[i].last <= table[0].last);
	assert_true(table[0].last == space[n - 1].last);
	round_trip(r->edu.edu, weir_mem_ptr(r->mem), 0x55);
}

static void what_the_iommu_has(void **state)
{
	const struct weir_hwpt_opts pasid = { .pasid = true };
	struct rig *r = *state;
	struct weir_hwpt *hwpt;

	if (r->make != WEIR_HW_VTD && r->make != WEIR_HW_SMMUV3) {
		must_fail(weir_hwpt_alloc(r->as, r->edu.dev, &pasid, &hwpt), -ENOTSUP,
			  "no page table for PASIDs");
		return;
	}
	hwpt = alloc(r, &pasid);
	MUST(weir_hwpt_attach(hwpt, r->edu.dev));
	round_trip(r->edu.edu, weir_mem_ptr(r->mem), 0x61);
	must_fail(weir_hwpt_attach_pasid(hwpt, r->edu.dev, 1), -ENOTSUP, "has no PASIDs");
	MUST(weir_hwpt_detach(hwpt, r->edu.dev));
	MUST(weir_hwpt_free(hwpt));
}

/* VT-d has them attached to who can make page requests (PRI) alone, which an edu can't. */
static void faults_are_told_of(void **state)
{
	struct weir_hwpt_opts opts = { 0 };
	struct rig *r = *state;
	struct weir_hwpt *hwpt;

	MUST(weir_faultq_open(r->iommu, &opts.faults));
	if (r->make == WEIR_HW_NONE) {
		/* virtio-iommu's driver makes plain ones alone. */
		must_fail(weir_hwpt_alloc(r->as, r->edu.dev, &opts, &hwpt), -ENOTSUP,
			  "no page table with page faults");
	} else {
		hwpt = alloc(r, &opts);
		must_fail(weir_faultq_close(opts.faults), -EBUSY, "in use by 1 page tables");
		if (r->make == WEIR_HW_VTD)
			must_fail(weir_hwpt_attach(hwpt, r->edu.dev), -ENODEV, "No such device");
		else
			MUST(weir_hwpt_attach(hwpt, r->edu.dev));
		/* Linux 7.3 leaves a device blocked that couldn't be attached; weir doesn't. */
		round_trip(r->edu.edu, weir_mem_ptr(r->mem), 0x71);
		if (r->make != WEIR_HW_VTD)
			MUST(weir_hwpt_detach(hwpt, r->edu.dev));
		MUST(weir_hwpt_free(hwpt));
	}
	MUST(weir_faultq_close(opts.faults));
}

/* On an SMMUv3 alone: see nested.c. */
static void nest_parents(void **state)
{
	const struct weir_hwpt_opts parent = { .nest_parent = true };
	struct rig *r = *state;
	struct weir_hwpt *hwpt;

	if (r->make != WEIR_HW_SMMUV3) {
		must_fail(weir_hwpt_alloc(r->as, r->edu.dev, &parent, &hwpt), -ENOTSUP,
			  "no page table that is a nest parent");
		return;
	}
	hwpt = alloc(r, &parent);
	MUST(weir_hwpt_attach(hwpt, r->edu.dev));
	round_trip(r->edu.edu, weir_mem_ptr(r->mem), 0x71);
	MUST(weir_hwpt_detach(hwpt, r->edu.dev));
	MUST(weir_hwpt_free(hwpt));
}

static void what_no_emulated_iommu_has(void **state)
{
	const struct weir_hwpt_opts dirty = { .dirty = true };
	struct weir_hw_word words[64];
	struct weir_hw_info info;
	struct rig *r = *state;
	struct weir_hwpt *hwpt;

	MUST(weir_device_hw_info(r->edu.dev, WEIR_HW_NONE, &info));
	assert_false(info.dirty);
	assert_int_equal(info.pasid_bits, 0);
	assert_true((weir_hw_words(&info, words, 64) > 0) == (info.type != WEIR_HW_NONE));
	must_fail(weir_hwpt_alloc(r->as, r->edu.dev, &dirty, &hwpt), -ENOTSUP,
		  "no page table with dirty tracking");
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_RIG(dma_goes_through_it),
		ON_RIG(group_goes_along),
		ON_RIG(table_of_another_space),
		ON_RIG(table_reaches_further),
		ON_RIG(what_the_iommu_has),
		ON_RIG(faults_are_told_of),
		ON_RIG(nest_parents),
		ON_RIG(what_no_emulated_iommu_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
