/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys.h"
#include "bare_rig.h"
#include "says.h"

struct weir_iommu *iommu;
struct weir_ioas *as;
struct weir_device *dev;
size_t page;

void open_context(const char *interface, bool unsafe)
{
	const struct weir_iommu_opts opts = { .interface = interface, .unsafe_noiommu = unsafe };

	assert_int_equal(weir_iommu_open(&opts, &iommu), 0);
	assert_int_equal(weir_ioas_open(iommu, &as), 0);
}

int open_device(unsigned int dma_bits)
{
	const struct weir_device_opts opts = { .ioas = as, .dma_bits = dma_bits };

	return weir_device_open(iommu, BARE, &opts, &dev);
}

int bare_start(void **state)
{
	(void)state;
	page = wr_page_size();
	fake_bare_start();
	fake.device.regions[7] = (struct wr_vfio_region_info){ .flags = 3, .size = 256 };
	iommu = NULL;
	as = NULL;
	dev = NULL;
	return 0;
}

int bare_setup(void **state)
{
	bare_start(state);
	open_context(NULL, true);
	assert_int_equal(open_device(0), 0);
	return 0;
}

int node_start(void **state)
{
	bare_start(state);
	bare.has_node = true;
	fake.iommufd.exists = true;
	fake.groups[0].n_ranges = 1;
	fake.groups[0].ranges[0] = (struct wr_vfio_iova_range){ 0, UINT64_MAX };
	return 0;
}

int node_setup(void **state)
{
	node_start(state);
	open_context(NULL, true);
	assert_int_equal(open_device(0), 0);
	return 0;
}

int bare_teardown(void **state)
{
	(void)state;
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(weir_ioas_close(as), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
	assert_int_equal(fake.open_fds, 0);
	assert_int_equal(fake_objects(), 0);
	assert_int_equal(bare.pins, 0);
	assert_int_equal(fake.mapped, 0);
	fake_bare_stop();
	return 0;
}

int map(void *vaddr, size_t len, bool scattered, weir_iova *iova)
{
	const struct weir_map_opts opts = { .scattered = scattered };

	return weir_ioas_map(as, vaddr, len, &opts, iova);
}

void assert_wont_open(int err, const char *part)
{
	assert_int_equal(open_device(0), err);
	assert_says(BARE ": ");
	assert_says(part);
	assert_int_equal(fake.open_fds, 0);
}

char *descending(size_t n)
{
	bare.next = 512 * MIB;
	bare.step = -2 * (int64_t)FAKE_HUGE;
	return fake_huge(n * FAKE_HUGE);
}

/* From opening to closing; whatever fails, nothing is left. */
static int whole_life(void)
{
	const struct weir_iommu_opts opts = { .unsafe_noiommu = true };
	struct weir_mem *mem = NULL;
	int ret = weir_iommu_open(&opts, &iommu);

	if (!ret)
		ret = weir_ioas_open(iommu, &as);
	if (!ret)
		ret = open_device(0);
	if (!ret)
		ret = weir_mem_alloc(as, 2 * FAKE_HUGE, NULL, &mem);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(weir_ioas_close(as), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
	dev = NULL;
	as = NULL;
	iommu = NULL;
	return ret;
}

void fail_each_call(void)
{
	unsigned long failed = 0;

	bare.step = -2 * (int64_t)FAKE_HUGE;
	for (unsigned long at = 1;; at++) {
		fake.calls = 0;
		fake.fail_at = at;
		fake.fail_with = -ENXIO;
		failed += whole_life() < 0;
		if (fake.calls < at)
			break;
		/* Of what couldn't be closed or given back, nothing is the library's any more. */
		bare.pins = 0;
		fake.mapped = 0;
		assert_int_equal(fake.open_fds, 0);
	}
	assert_true(failed > 15);
	fake.fail_at = 0;
	assert_int_equal(whole_life(), 0);
}
