/* SPDX-License-Identifier: MIT */
/* Where IOVAs are allowed, and how large pages may be. */
#include <errno.h>

#include "ioas/iommu.h"
#include "iommufd_rig.h"

#define ARRAY(...) ((const struct weir_iova_range[]){ __VA_ARGS__ })
#define MIB (1ull << 20)
#define LOW { MIB, 2 * MIB - 1 }
#define HIGH { 1ull << 40, (1ull << 40) + MIB - 1 }

static void assert_ranges(struct rig *rig, const struct weir_iova_range *ranges, int n)
{
	struct weir_iova_range is[8];

	assert_int_equal(weir_ioas_ranges(rig->as, is, 8), n);
	assert_memory_equal(is, ranges, (size_t)n * sizeof(is[0]));
}

/* ---- allowed IOVAs ---- */

static void bad_ranges_are_refused(void **state)
{
	struct rig *rig = *state;
	struct weir_iova_range many[65], before[8];
	int n = weir_ioas_ranges(rig->as, before, 8);

	assert_int_equal(weir_ioas_allow(rig->as, ARRAY({ 1, MIB - 1 }), 1), -EINVAL);
	assert_says("range 0, 0x1 to 0xfffff, isn't made of pages of 4096 bytes");
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY({ 0, MIB }), 1), -EINVAL);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY({ MIB, MIB - 1 }), 1), -EINVAL);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(HIGH, LOW), 2), -EINVAL);
	assert_says("range 1, from 0x100000 on, doesn't begin behind the one before it");
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW, LOW), 2), -EINVAL);
	for (uint64_t i = 0; i < 65; i++)
		many[i] = (struct weir_iova_range){ 2 * i * MIB, (2 * i + 1) * MIB - 1 };
	assert_int_equal(weir_ioas_allow(rig->as, many, 65), -EINVAL);
	assert_says("65 ranges to be allowed: at most 64");
	attach_soft(rig);
	assert_int_equal(weir_model_dma_begin(rig->model), 0);
	assert_int_equal(weir_ioas_allow(rig->as, NULL, 0), -EDEADLK);
	weir_model_dma_end(rig->model);
	assert_int_equal(weir_device_close(rig->soft), 0);
	rig->soft = NULL;
	assert_ranges(rig, before, n);
	assert_int_equal(weir_ioas_allow(rig->as, many, 64), 0);
	assert_int_equal(weir_ioas_ranges(rig->as, before, 8), 64);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY({ 0, UINT64_MAX }), 1), 0);
}

static void mappings_keep_to_them(void **state)
{
	struct rig *rig = *state;
	const struct weir_map_opts low = { .limit = MIB };
	weir_iova iova;

	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW, HIGH), 2), 0);
	assert_ranges(rig, ARRAY(LOW, HIGH), 2);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_int_equal(iova, MIB);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &low, &iova), -ENOSPC);
	assert_int_equal(map_at(rig, 2 * MIB - page, rig->memory, 2 * page), -EINVAL);
	assert_says("usable range: 0x100000-0x1fffff, 0x10000000000-0x100000fffff");
	assert_int_equal(map_at(rig, 2 * MIB - page, rig->memory, page), 0);
	/* Beyond what is taken for granted as long as no device is there. */
	assert_int_equal(weir_ioas_map(rig->as, (char *)(3ul << 40), MIB, NULL, &iova), 0);
	assert_int_equal(iova, 1ull << 40);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW), 1), -EBUSY);
	assert_says("the mapping at IOVA 0x10000000000 (1048576 bytes) lies outside");
	assert_ranges(rig, ARRAY(LOW, HIGH), 2);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, MIB), 0);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW), 1), 0);
	assert_int_equal(weir_ioas_allow(rig->as, NULL, 0), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_int_equal(iova, page);
}

/* What lies in both of them lies in what is allowed. */
static void neighbours_are_one(void **state)
{
	static const struct weir_iova_range halves[] = { LOW, { 2 * MIB, 3 * MIB - 1 } };
	struct rig *rig = *state;
	struct wr_iommu_iova_range first;

	assert_int_equal(map_at(rig, 2 * MIB - page, rig->memory, 2 * page), 0);
	assert_int_equal(weir_ioas_allow(rig->as, halves, 2), 0);
	assert_ranges(rig, ARRAY({ MIB, 3 * MIB - 1 }), 1);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(map_at(rig, 2 * MIB - page, rig->memory, 2 * page), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(fake_ioas_allowed(0, &first), 1);
	assert_true(first.start == MIB && first.last == 3 * MIB - 1);
	detach(rig, 0);
}

static void kernel_is_told(void **state)
{
	struct rig *rig = *state;
	struct wr_iommu_iova_range first;

	/* Before a device, and with one; all or as before. */
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW, HIGH), 2), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_string_equal(rig->eps[0].domain->ops->name, "iommufd");
	assert_ranges(rig, ARRAY(LOW, HIGH), 2);
	assert_int_equal(fake_ioas_allowed(0, &first), 2);
	assert_true(first.start == MIB && first.last == 2 * MIB - 1);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(HIGH), 1), 0);
	assert_int_equal(fake_ioas_allowed(0, &first), 1);
	assert_int_equal(first.start, 1ull << 40);
	fake.iommufd.allow_error = -ENOMEM;
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW), 1), -ENOMEM);
	assert_says("allowing 1 ranges of IOVAs");
	fake.iommufd.allow_error = 0;
	assert_ranges(rig, ARRAY(HIGH), 1);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY({ 0xfed00000, 0xfeffffff }), 1), -EINVAL);
	assert_says("IOVA 0xfed00000 to 0xfeffffff must be had, by weir_ioas_allow(), and can't "
		    "on iommufd here, whose usable ranges are: 0x0-0xfedfffff, ");
	assert_ranges(rig, ARRAY(HIGH), 1);
	assert_int_equal(weir_ioas_allow(rig->as, NULL, 0), 0);
	assert_int_equal(fake_ioas_allowed(0, &first), 0);
	assert_ranges(rig, ARRAY({ 0, 0xfedfffff }, { 0xfef00000, (1ull << 48) - 1 }), 2);
	detach(rig, 0);
}

/* On whichever interface, alone or beside another device. */
static void devices_that_cant_are_refused(void **state)
{
	struct rig *rig = *state;

	fake.groups[1].n_ranges = 1;
	fake.groups[1].ranges[0] = (struct wr_vfio_iova_range){ 0, 0xffffffff };
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW, HIGH), 2), 0);
	for (int other = 0; other < 2; other++) {
		for (int nodes = 0; nodes < 2; nodes++) {
			fake.iommufd.no_nodes = !nodes;
			if (other)
				assert_int_equal(attach(rig, 0), 0);
			assert_int_equal(attach(rig, 1), -EINVAL);
			assert_says("0000:02:00.0: ");
			assert_says("IOVA 0x10000000000 to 0x100000fffff must be had, by "
				    "weir_ioas_allow()");
			assert_says("whose usable ranges are: 0x0-0xffffffff");
			assert_ranges(rig, ARRAY(LOW, HIGH), 2);
			assert_int_equal(caps_of(rig).domains, other);
			if (other)
				detach(rig, 0);
			assert_int_equal(fake.open_fds, 0);
		}
	}
	fake.iommufd.no_nodes = false;
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW), 1), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(HIGH), 1), -EINVAL);
	detach(rig, 1);
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(HIGH), 1), 0);
	detach(rig, 0);
}

/* The software IOMMU's interrupt window is seen by weir alone. */
static void soft_devices_are_no_exception(void **state)
{
	const struct weir_device_opts opts = { .ioas = ((struct rig *)*state)->as };
	struct rig *rig = *state;

	assert_int_equal(weir_ioas_allow(rig->as, ARRAY({ 0, UINT64_MAX }), 1), 0);
	assert_int_equal(weir_device_open_model(rig->iommu, rig->model, &opts, &rig->soft),
			 -EINVAL);
	assert_says("and can't on soft here");
	rig->soft = NULL;
	assert_int_equal(weir_ioas_allow(rig->as, ARRAY(LOW), 1), 0);
	attach_soft(rig);
	assert_int_equal(map_at(rig, 2 * MIB, rig->memory, page), -EINVAL);
	assert_int_equal(map_at(rig, MIB, rig->memory, page), 0);
	assert_int_equal(soft_reaches(rig, MIB), 0);
}

static void devices_that_come_from_elsewhere_are_no_exception(void **state)
{
	struct rig *rig = *state;
	struct weir_ioas *other;

	fake.groups[0].ranges[0].start = 2 * MIB;
	assert_int_equal(weir_ioas_open(rig->iommu, &other), 0);
	assert_int_equal(weir_ioas_allow(other, ARRAY(LOW), 1), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(wr_ioas_move(&rig->eps[0], other), -EINVAL);
	assert_says("what weir_ioas_allow() demands");
	assert_ptr_equal(rig->eps[0].as, rig->as);
	assert_int_equal(weir_ioas_allow(other, ARRAY(HIGH), 1), 0);
	assert_int_equal(wr_ioas_move(&rig->eps[0], other), 0);
	detach(rig, 0);
	assert_int_equal(weir_ioas_close(other), 0);
}

/* ---- small pages ---- */

static void small_pages_are_asked_of_the_kernel(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_ioas_small_pages(rig->as, true), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_string_equal(rig->eps[0].domain->ops->name, "iommufd");
	assert_true(fake_ioas_small(0));
	assert_int_equal(weir_ioas_small_pages(rig->as, true), 0);
	assert_int_equal(weir_ioas_small_pages(rig->as, false), -EBUSY);
	assert_says("there is a mapping at IOVA 0x1000");
	assert_true(fake_ioas_small(0));
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(weir_ioas_small_pages(rig->as, false), 0);
	assert_false(fake_ioas_small(0));
	assert_int_equal(weir_ioas_small_pages(rig->as, true), 0);
	assert_true(fake_ioas_small(0));
	detach(rig, 0);
}

/* Containers can't: neither when they are there, nor when they would be made. */
static void other_interfaces_say_that_they_cant(void **state)
{
	struct rig *rig = *state;

	fake.iommufd.no_nodes = true;
	assert_int_equal(attach(rig, 0), 0);
	attach_soft(rig);
	assert_int_equal(weir_ioas_small_pages(rig->as, true), -ENOTSUP);
	assert_says("type1v2 can't be told to use small pages alone");
	assert_int_equal(weir_device_close(rig->soft), 0);
	rig->soft = NULL;
	detach(rig, 0);
	assert_int_equal(weir_ioas_small_pages(rig->as, true), 0);
	assert_int_equal(attach(rig, 0), -ENOTSUP);
	assert_says("type1v2 can't be told");
	assert_int_equal(fake.open_fds, 0);
	fake.iommufd.no_nodes = false;
	assert_int_equal(attach(rig, 0), 0);
	detach(rig, 0);
}

/* How far a device gets with one look into the tables. */
static size_t leaf(struct rig *rig, weir_iova iova)
{
	size_t run = 0;
	void *ptr;

	assert_int_equal(weir_model_dma_begin(rig->model), 0);
	assert_int_equal(weir_model_dma_translate(rig->model, iova, 2 * MIB, true, &ptr, &run), 0);
	weir_model_dma_end(rig->model);
	return run;
}

static void software_iommu_has_small_leaves(void **state)
{
	struct rig *rig = *state;
	char *memory = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
	char *aligned = (char *)(((uintptr_t)memory + 2 * MIB - 1) & ~(2 * MIB - 1));

	assert_true(memory != MAP_FAILED);
	attach_soft(rig);
	for (int small = 0; small < 2; small++) {
		assert_int_equal(weir_ioas_small_pages(rig->as, small), 0);
		assert_int_equal(map_at(rig, 2 * MIB, aligned, 2 * MIB), 0);
		assert_int_equal(leaf(rig, 2 * MIB), small ? 4096 : 2 * MIB);
		assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	}
	/* Where it comes later, too. */
	assert_int_equal(weir_device_close(rig->soft), 0);
	assert_int_equal(map_at(rig, 2 * MIB, aligned, 2 * MIB), 0);
	attach_soft(rig);
	assert_int_equal(leaf(rig, 2 * MIB), 4096);
	/* It is told first, and then told that another domain can't. */
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(weir_ioas_small_pages(rig->as, false), 0);
	fake.iommufd.no_nodes = true;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_small_pages(rig->as, true), -ENOTSUP);
	assert_int_equal(map_at(rig, 2 * MIB, aligned, 2 * MIB), 0);
	assert_int_equal(leaf(rig, 2 * MIB), 2 * MIB);
	detach(rig, 0);
	munmap(memory, 4 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_ranges_are_refused),
		TEST(mappings_keep_to_them),
		TEST(neighbours_are_one),
		TEST(kernel_is_told),
		TEST(devices_that_cant_are_refused),
		TEST(soft_devices_are_no_exception),
		TEST_FORCED(devices_that_come_from_elsewhere_are_no_exception),
		TEST(small_pages_are_asked_of_the_kernel),
		TEST(other_interfaces_say_that_they_cant),
		TEST(software_iommu_has_small_leaves),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
