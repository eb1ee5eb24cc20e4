/* SPDX-License-Identifier: MIT */
/* Devices of the fake kernel's by IOMMUFD, whose IOMMU has page tables by hand of all kinds. */
#ifndef HWPT_RIG_H
#define HWPT_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "fake_vfio.h"
#include "kernel/uapi_hwpt.h"

#define RAW	0x77			/* of the fake IOMMU's nested tables, vIOMMUs and queues */
#define PAGES	16

struct hwpt_rig {
	struct weir_iommu *iommu;
	struct weir_ioas *as;		/* PAGES of memory are mapped at 1 page */
	struct weir_device *dev[3];	/* two functions of one group, and one of another */
	char *memory;
	size_t page;
};

/* The message of what has just failed holds this. */
static inline void must_fail(int ret, int err, const char *part)
{
	if (ret != err || !strstr(weir_errmsg(), part))
		fail_msg("returned %d, \"%s\"", ret, weir_errmsg());
}

static inline struct weir_device *open_function(struct hwpt_rig *r, const char *name)
{
	const struct weir_device_opts opts = { .ioas = r->as };
	struct weir_device *dev;
	int ret = weir_device_open(r->iommu, name, &opts, &dev);

	if (ret)
		fail_msg("%s: %d, %s", name, ret, weir_errmsg());
	return dev;
}

static inline int setup(void **state)
{
	static const char *const names[] = { "0000:01:00.0", "0000:01:00.1", "0000:02:00.0" };
	const struct weir_map_opts fixed = { .fixed = true };
	static struct hwpt_rig r;
	weir_iova at;

	fake_start();
	fake.iommufd.exists = true;
	fake.iommufd.pasid_bits = 8;
	fake.iommufd.nested_type = fake.iommufd.viommu_type = RAW;
	fake.iommufd.hwqueue_type = fake.iommufd.invalidate_type = RAW;
	fake.groups[0].tracks_dirty = fake.groups[1].tracks_dirty = true;
	fake.device.info.flags |= WR_VFIO_DEVICE_RESETS;
	fake.device.regions[WEIR_REGION_CONFIG] = (struct wr_vfio_region_info){
		.flags = WR_VFIO_REGION_READ | WR_VFIO_REGION_WRITE, .size = 256,
	};
	at = r.page = wr_page_size();
	r.memory = mmap(NULL, PAGES * r.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	assert_true(r.memory != MAP_FAILED);
	assert_int_equal(weir_iommu_open(NULL, &r.iommu), 0);
	assert_int_equal(weir_ioas_open(r.iommu, &r.as), 0);
	assert_int_equal(weir_ioas_map(r.as, r.memory, PAGES * r.page, &fixed, &at), 0);
	for (int i = 0; i < 3; i++)
		r.dev[i] = open_function(&r, names[i]);
	*state = &r;
	return 0;
}

static inline int teardown(void **state)
{
	struct hwpt_rig *r = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(weir_device_close(r->dev[i]), 0);
	assert_int_equal(weir_ioas_close(r->as), 0);
	assert_int_equal(weir_iommu_close(r->iommu), 0);
	assert_int_equal(fake.open_fds, 0);
	assert_int_equal(fake.mapped, 0);
	fake_stop();
	munmap(r->memory, PAGES * r->page);
	return 0;
}

static inline struct weir_hwpt *alloc(struct hwpt_rig *r, const struct weir_hwpt_opts *opts)
{
	struct weir_hwpt *hwpt;
	int ret = weir_hwpt_alloc(r->as, r->dev[0], opts, &hwpt);

	if (ret)
		fail_msg("%d, %s", ret, weir_errmsg());
	return hwpt;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
