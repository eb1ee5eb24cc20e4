/* SPDX-License-Identifier: MIT */
/* Mapping through the type1 domain: what goes wrong where books and kernel are kept apart. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "fake_vfio.h"
#include "ioas/ioas.h"
#include "rig.h"

#define BOTH (WR_VFIO_MAP_READ | WR_VFIO_MAP_WRITE)
#define MANY 1000

static int setup(void **state)
{
	rig_setup(state);
	return attach(*state, 0);
}

static int teardown(void **state)
{
	detach(*state, 0);
	return rig_teardown(state);
}

/* That the start of a buffer is mapped says nothing of the rest of it. */
static void longer_mapping_of_the_same_memory_is_whole(void **state)
{
	struct rig *rig = *state;
	weir_iova first, second, iova;
	size_t len;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &first), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, 4 * page, NULL, &second), 0);
	assert_true(fake_has(0, first, page, rig->memory, BOTH));
	assert_true(fake_has(0, second, 4 * page, rig->memory, BOTH));
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &iova, &len), 0);
	assert_true(iova == second + page && len == 3 * page);
}

/* A place that was fixed is free once it is unmapped, and taken once it is mapped again. */
static void fixed_iova_isnt_given_twice(void **state)
{
	struct rig *rig = *state;
	weir_iova iova;

	assert_int_equal(map_at(rig, 2 * page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, 2 * page, page), 0);
	assert_int_equal(map_at(rig, 2 * page, rig->memory, page), 0);
	for (weir_iova should = page; should < 5 * page; should += page) {
		if (should == 2 * page)
			continue;
		assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
		assert_true(iova == should);
	}
	assert_int_equal(weir_ioas_unmap(rig->as, 2 * page, page), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_true(iova == 2 * page);
}

static struct rig *watched;
static const struct wr_sys *below;
static unsigned int unmaps, too_early;

/* While the kernel unmaps, a mapping isn't free yet: a device may still reach it. */
static int watch_ioctl(int fd, unsigned long request, void *arg)
{
	const struct wr_vfio_unmap_dma *unmap = arg;
	weir_iova iova = 0;

	/* Nothing is asserted here, since locks are held. */
	if (request == WR_VFIO_IOMMU_UNMAP_DMA) {
		unmaps++;
		wr_maps_find_free(&watched->as->maps, unmap->size, WR_SPACE_PAGE, UINT64_MAX,
				  &iova);
		too_early += iova == unmap->iova;
	}
	return below->ioctl(fd, request, arg);
}

static void iova_is_free_after_the_kernel_let_go(void **state)
{
	struct wr_sys sys = *wr_sys;
	weir_iova iova, again;

	watched = *state;
	below = wr_sys;
	unmaps = too_early = 0;
	sys.ioctl = watch_ioctl;
	wr_sys = &sys;
	assert_int_equal(weir_ioas_map(watched->as, watched->memory, page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_unmap(watched->as, iova, page), 0);
	wr_sys = below;
	assert_int_equal(unmaps, 1);
	assert_int_equal(too_early, 0);
	assert_int_equal(weir_ioas_map(watched->as, watched->memory, page, NULL, &again), 0);
	assert_true(again == iova);
}

/* That it has something there already doesn't mean that it has this. */
static void what_the_kernel_has_already_is_refused(void **state)
{
	struct rig *rig = *state;
	weir_iova iova;

	fake.map_error = -EEXIST;
	assert_int_equal(map_at(rig, page, rig->memory, page), -EEXIST);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), -EEXIST);
	assert_false(is_mapped(rig, page));
	fake.map_error = 0;
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_true(fake_has(0, page, page, rig->memory, BOTH));
}

/* No table of a fixed size, and a place that begins anew when all is unmapped. */
static void many_mappings_come_and_go(void **state)
{
	static weir_iova iovas[MANY];
	struct rig *rig = *state;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iovas[i]),
					 0);
			assert_true(iovas[i] == (weir_iova)(i + 1) * page);
		}
		assert_int_equal(fake_mappings(0), MANY);
		for (int i = 0; i < MANY; i++)
			assert_int_equal(weir_ioas_unmap(rig->as, iovas[i], page), 0);
		assert_int_equal(fake_mappings(0), 0);
	}
}

/* More than a few words of a bitmap. */
static void dirty_pages_of_a_long_mapping_are_all_reported(void **state)
{
	struct rig *rig = *state;
	uint64_t bitmap[17] = { 0 };
	weir_iova iova = page;

	/* The fake doesn't look at the memory. */
	assert_int_equal(map_at(rig, iova, rig->memory, MANY * page), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, iova, MANY * page, bitmap), MANY);
	for (unsigned int i = 0; i < sizeof(bitmap) * 8; i++)
		assert_int_equal(bitmap[i / 64] >> i % 64 & 1, i < MANY);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(longer_mapping_of_the_same_memory_is_whole),
		TEST(fixed_iova_isnt_given_twice),
		TEST(iova_is_free_after_the_kernel_let_go),
		TEST(what_the_kernel_has_already_is_refused),
		TEST(many_mappings_come_and_go),
		TEST(dirty_pages_of_a_long_mapping_are_all_reported),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
