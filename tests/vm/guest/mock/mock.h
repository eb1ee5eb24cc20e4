/* SPDX-License-Identifier: MIT */
/* What the tests on mock devices share: a context on a /dev/iommu of their own. */
#ifndef TESTS_VM_GUEST_MOCK_MOCK_H
#define TESTS_VM_GUEST_MOCK_MOCK_H

#include "src/ioas/hwpt.h"
#include "tests/vm/guest/guest.h"
#include "tests/vm/guest/mock/seam.h"

#define AT		0x2000000ull	/* of mappings: mock page tables begin at 0x1000000 */
#define PAGES		16

/* Two devices in @as; and another space with the same memory, without a device. */
struct rig {
	int iommufd;
	struct weir_iommu *iommu;
	struct weir_ioas *as, *other;
	struct weir_device *dev, *second;
	unsigned char *memory;		/* PAGES, mapped at AT in both */
	unsigned long pinned;		/* before that, in KiB */
};

int rig_setup(void **state);
int rig_teardown(void **state);

/* The number of a page table by hand in the kernel. */
static inline uint32_t number(const struct weir_hwpt *hwpt)
{
	return hwpt->table->number;
}

static inline struct weir_hwpt *paging(struct rig *r, const struct weir_hwpt_opts *opts)
{
	struct weir_hwpt *hwpt;

	MUST(weir_hwpt_alloc(r->as, r->dev, opts, &hwpt));
	return hwpt;
}

static const struct weir_hwpt_opts nest_parent = { .nest_parent = true };

static inline struct weir_nested mock_stage1(const struct mock_nested *data)
{
	return (struct weir_nested){
		.u.raw = { MOCK_NESTED_TYPE, sizeof(*data), data },
	};
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

/* The tests of nested.c and walk.c; they return their number, at most @room. */
size_t mock_nested_tests(struct CMUnitTest *tests, size_t room);
size_t mock_walks(struct CMUnitTest *tests, size_t room);

#endif
