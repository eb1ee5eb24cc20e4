/* SPDX-License-Identifier: MIT */
/* The same memory in two address spaces, on a made-up IOMMUFD and on others. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "base/sys.h"
#include "ioas/iommu.h"
#include "iommufd_rig.h"

#define RW (WR_VFIO_MAP_READ | WR_VFIO_MAP_WRITE)

/* The rig's address space has device 0, the second has device 1. */
static struct weir_ioas *second;

static int setup_two(void **state)
{
	int ret = setup(state);
	struct rig *rig = *state;

	assert_int_equal(weir_ioas_open(rig->iommu, &second), 0);
	return ret;
}

static int teardown_two(void **state)
{
	assert_int_equal(weir_ioas_close(second), 0);
	return teardown(state);
}

static int attach_second(struct rig *rig, unsigned int n)
{
	assert_int_equal(get_group(rig, n), 0);
	return wr_ioas_attach(second, &rig->eps[n]);
}

static void attach_both(struct rig *rig)
{
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(attach_second(rig, 1), 0);
}

static int copy_at(struct rig *rig, weir_iova from, size_t len, weir_iova to)
{
	const struct weir_map_opts fixed = { .fixed = true };

	return weir_ioas_copy(second, rig->as, from, len, &fixed, &to);
}

static bool second_has(weir_iova iova, const void *vaddr)
{
	void *found = NULL;

	return !weir_ioas_to_vaddr(second, iova, &found, NULL) && found == vaddr;
}

/* ---- what isn't copied ---- */

static void nonsense_is_refused(void **state)
{
	const struct weir_map_opts reserved = { .reserved = { 1 } }, fixed = { .fixed = true };
	struct rig *rig = *state;
	struct weir_ioas *stranger;
	weir_iova iova = 7;

	assert_int_equal(weir_ioas_open(NULL, &stranger), 0);
	assert_int_equal(map_at(rig, page, rig->memory, 2 * page), 0);
	assert_int_equal(weir_ioas_copy(second, rig->as, 8 * page, page, NULL, &iova), -ENOENT);
	assert_says("nothing is mapped at IOVA 0x8000");
	assert_int_equal(weir_ioas_copy(second, rig->as, page, page, NULL, &iova), -EINVAL);
	assert_says("starts at 0x1000 and has 8192 bytes");
	assert_int_equal(weir_ioas_copy(second, rig->as, 2 * page, page, NULL, &iova), -EINVAL);
	assert_int_equal(weir_ioas_copy(second, rig->as, page, 0, NULL, &iova), -EINVAL);
	assert_int_equal(weir_ioas_copy(second, rig->as, page + 1, page, NULL, &iova), -EINVAL);
	assert_int_equal(weir_ioas_copy(second, rig->as, page, 2 * page, &reserved, &iova),
			 -EINVAL);
	assert_int_equal(weir_ioas_copy(second, rig->as, page, 2 * page, &fixed, &iova), -EINVAL);
	assert_int_equal(weir_ioas_copy(stranger, rig->as, page, 2 * page, NULL, &iova), -EINVAL);
	assert_says("another context");
	assert_int_equal(iova, 7);
	assert_int_equal(copy_at(rig, page, 2 * page, 4 * page), 0);
	assert_int_equal(copy_at(rig, page, 2 * page, 5 * page), -EEXIST);
	assert_int_equal(copy_at(rig, page, 2 * page, 0xfee00000), -EINVAL);
	assert_int_equal(weir_ioas_close(stranger), 0);
}

static void copy_does_no_more_than_its_source(void **state)
{
	const struct weir_map_opts to = { .dir = WEIR_DMA_TO_DEVICE };
	const struct weir_map_opts from = { .dir = WEIR_DMA_FROM_DEVICE }, both = { 0 };
	struct rig *rig = *state;
	weir_iova read, write, all, iova;

	attach_both(rig);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &to, &read), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &from, &write), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &all), 0);
	assert_int_equal(weir_ioas_copy(second, rig->as, read, page, &both, &iova), -EACCES);
	assert_says("a copy that devices can read and write, of a mapping that they can read only");
	assert_int_equal(weir_ioas_copy(second, rig->as, read, page, &from, &iova), -EACCES);
	assert_int_equal(weir_ioas_copy(second, rig->as, write, page, &to, &iova), -EACCES);
	assert_int_equal(fake_ioas_mappings(1), 0);
	assert_int_equal(weir_ioas_copy(second, rig->as, read, page, NULL, &iova), 0);
	assert_true(fake_ioas_has(1, iova, page, (uintptr_t)rig->memory, WR_IOMMU_MAP_READ, 0));
	assert_int_equal(weir_ioas_copy(second, rig->as, all, page, &from, &iova), 0);
	assert_true(fake_ioas_has(1, iova, page, (uintptr_t)rig->memory, WR_IOMMU_MAP_WRITE, 0));
	/* Of a copy, too. */
	assert_int_equal(weir_ioas_copy(rig->as, second, iova, page, &both, &iova), -EACCES);
	detach(rig, 0);
	detach(rig, 1);
}

/* ---- by the kernel's own copy ---- */

static void memory_is_pinned_once(void **state)
{
	struct rig *rig = *state;
	weir_iova iova;

	fake.memlock = 4 * page;
	/* What the source has besides makes no difference. */
	attach_soft(rig);
	attach_both(rig);
	assert_int_equal(map_at(rig, page, rig->memory, 3 * page), 0);
	assert_int_equal(copy_at(rig, page, 3 * page, 8 * page), 0);
	assert_int_equal(fake.iommufd.copies, 1);
	assert_int_equal(fake_pinned(), 3 * page);
	assert_true(fake_ioas_has(1, 8 * page, 3 * page, (uintptr_t)rig->memory, BOTH, 0));
	assert_true(second_has(8 * page, rig->memory));
	/* In the same space, at another IOVA. */
	assert_int_equal(weir_ioas_copy(rig->as, rig->as, page, 3 * page, NULL, &iova), 0);
	assert_int_equal(fake_pinned(), 3 * page);
	assert_int_equal(fake_ioas_mappings(0), 2);
	/* What isn't copied is counted again. */
	assert_int_equal(weir_ioas_map(second, rig->memory, 3 * page, NULL, &iova), -ENOMEM);

	/* Either goes by itself, and with the last of them what is pinned. */
	assert_int_equal(weir_ioas_unmap(rig->as, page, 3 * page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(fake_pinned(), 3 * page);
	assert_true(fake_ioas_has(1, 8 * page, 3 * page, (uintptr_t)rig->memory, BOTH, 0));
	assert_int_equal(weir_ioas_unmap(second, 8 * page, 3 * page), 0);
	assert_int_equal(fake_pinned(), 0);
	detach(rig, 0);
	detach(rig, 1);
	fake.memlock = UINT64_MAX;
}

static void batch_is_copied_as_a_whole(void **state)
{
	struct rig *rig = *state;
	const struct iovec iov[3] = {
		{ rig->memory, page }, { rig->memory + 4 * page, 2 * page }, { rig->memory, page },
	};
	weir_iova iova, copy;

	attach_both(rig);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), 0);
	assert_int_equal(weir_ioas_copy(second, rig->as, iova, page, NULL, &copy), -EINVAL);
	assert_int_equal(weir_ioas_copy(second, rig->as, iova, 4 * page, NULL, &copy), 0);
	assert_int_equal(fake.iommufd.copies, 1);
	assert_int_equal(fake_ioas_mappings(1), 3);
	assert_true(second_has(copy + 2 * page, rig->memory + 5 * page));
	assert_true(second_has(copy + 3 * page, rig->memory));
	assert_int_equal(weir_ioas_unmap(second, copy, page), -EINVAL);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(fake_ioas_mappings(1), 3);
	assert_int_equal(weir_ioas_unmap(second, copy, 4 * page), 0);
	assert_int_equal(fake_ioas_mappings(1), 0);
	detach(rig, 0);
	detach(rig, 1);
}

/* A second domain that refuses: what the first one has copied it gives back. */
static void one_that_refuses_undoes_all(void **state)
{
	struct rig *rig = *state;
	const struct iovec iov[2] = { { rig->memory, page }, { rig->memory + 4 * page, page } };
	weir_iova iova, copy = 0;

	attach_both(rig);
	fake.iommufd.no_nodes = true;
	assert_int_equal(attach_second(rig, 2), 0);
	assert_string_equal(rig->eps[2].domain->ops->name, "type1v2");
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, NULL, &iova), 0);
	fake.bad_memory = rig->memory + 4 * page;
	assert_int_equal(weir_ioas_copy(second, rig->as, iova, 2 * page, NULL, &copy), -EFAULT);
	assert_says("not all of it is memory");
	assert_int_equal(fake_ioas_mappings(1), 0);
	assert_int_equal(fake_mappings(2), 0);
	assert_int_equal(copy, 0);
	fake.bad_memory = NULL;
	/* One by the kernel's copy, the other by mapping. */
	assert_int_equal(weir_ioas_copy(second, rig->as, iova, 2 * page, NULL, &copy), 0);
	assert_int_equal(fake_ioas_mappings(1), 2);
	assert_true(fake_has(2, copy, page, rig->memory, RW));
	fake.map_error = -EIO;
	assert_int_equal(weir_ioas_copy(second, rig->as, iova, 2 * page, NULL, &copy), -EIO);
	assert_says("copying 8192 bytes at IOVA");
	fake.map_error = 0;
	assert_int_equal(weir_ioas_unmap_all(second), 0);
	detach(rig, 0);
	detach(rig, 1);
	detach(rig, 2);
}

/* ---- by mapping it again ---- */

static void spaces_without_devices_record_it(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(copy_at(rig, page, page, 4 * page), 0);
	assert_int_equal(attach_second(rig, 1), 0);
	assert_true(fake_ioas_has(1, 4 * page, page, (uintptr_t)rig->memory, BOTH, 0));
	/* The source has no domain: there is nothing to copy from. */
	assert_int_equal(copy_at(rig, page, page, 5 * page), 0);
	assert_int_equal(fake.iommufd.copies, 0);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(fake_pinned(), 3 * page);
	assert_int_equal(copy_at(rig, page, page, 6 * page), 0);
	assert_int_equal(fake_pinned(), 3 * page);
	/* Replayed it counts by itself. */
	detach(rig, 1);
	assert_int_equal(attach_second(rig, 1), 0);
	assert_int_equal(fake_pinned(), 4 * page);
	detach(rig, 0);
	detach(rig, 1);
}

static void device_that_moves_has_the_copy(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(copy_at(rig, page, page, 4 * page), 0);
	assert_int_equal(wr_ioas_move(&rig->eps[0], second), 0);
	assert_true(fake_ioas_has(0, 4 * page, page, (uintptr_t)rig->memory, BOTH, 0));
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	assert_true(fake_ioas_has(0, 4 * page, page, (uintptr_t)rig->memory, BOTH, 0));
	detach(rig, 0);
}

static void soft_devices_reach_it(void **state)
{
	struct rig *rig = *state;

	attach_soft(rig);
	assert_int_equal(weir_ioas_map(second, rig->memory, 2 * page, NULL,
				       &(weir_iova){ 0 }), 0);
	assert_int_equal(weir_ioas_copy(rig->as, second, page, 2 * page, &(struct weir_map_opts){
			 .fixed = true }, &(weir_iova){ 8 * page }), 0);
	assert_int_equal(soft_reaches(rig, 9 * page), 0);
	assert_int_equal(weir_model_dma_begin(rig->model), 0);
	assert_int_equal(copy_at(rig, 8 * page, 2 * page, 4 * page), -EDEADLK);
	weir_model_dma_end(rig->model);
	assert_int_equal(weir_ioas_unmap_all(second), 0);
	assert_int_equal(soft_reaches(rig, 9 * page), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, 8 * page, 2 * page), 0);
	assert_int_equal(soft_reaches(rig, 9 * page), -EFAULT);
}

/* Each is where it was told to be. */
static void copies_are_given_new_addresses_one_by_one(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(copy_at(rig, page, page, 4 * page), 0);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, page, page, rig->memory + page), 0);
	assert_true(second_has(4 * page, rig->memory));
	assert_int_equal(weir_ioas_update_vaddr(second, 4 * page, page, rig->memory + page), 0);
	assert_true(second_has(4 * page, rig->memory + page));
}

/* ---- memory that weir has ---- */

/* Whichever goes first, the file stays mapped for the other, and the kernel can have it again. */
static void files_stay_for_the_last(void **state)
{
	struct rig *rig = *state;
	const struct weir_map_opts fixed = { .fixed = true };
	int fd = memory_file(2);
	weir_iova a = page;
	long mapped;
	char *vaddr;

	assert_int_equal(pwrite(fd, "file", 4, (off_t)page), 4);
	attach_both(rig);
	for (int first = 0; first < 2; first++) {
		assert_int_equal(weir_ioas_map_fd(rig->as, fd, page, page, &fixed, &a), 0);
		assert_int_equal(copy_at(rig, page, page, 4 * page), 0);
		mapped = fake.mapped;
		assert_int_equal(weir_ioas_unmap(first ? second : rig->as, first ? 4 * page : page,
						 page), 0);
		assert_int_equal(fake.mapped, mapped);
		assert_int_equal(weir_ioas_to_vaddr(first ? rig->as : second,
						    first ? page : 4 * page, (void **)&vaddr,
						    NULL), 0);
		assert_memory_equal(vaddr, "file", 4);
		if (!first) {
			detach(rig, 1);
			assert_int_equal(attach_second(rig, 1), 0);
			assert_int_equal(fake_ioas_mappings(1), 1);
			assert_false(fake_ioas_has(1, 4 * page, page, (uintptr_t)vaddr, BOTH, 0));
		}
		assert_int_equal(weir_ioas_unmap_all(first ? rig->as : second), 0);
		assert_int_equal(fake.mapped, mapped - (long)page);
	}
	/* Nor does closing one take it from the other. */
	assert_int_equal(weir_ioas_map_fd(second, fd, page, page, &fixed, &a), 0);
	assert_int_equal(weir_ioas_copy(rig->as, second, page, page, &fixed, &a), 0);
	detach(rig, 1);
	assert_int_equal(weir_ioas_close(second), 0);
	second = NULL;
	assert_int_equal(weir_ioas_to_vaddr(rig->as, page, (void **)&vaddr, NULL), 0);
	assert_memory_equal(vaddr, "file", 4);
	detach(rig, 0);
	close(fd);
}

static void memory_isnt_freed_under_its_copies(void **state)
{
	const struct weir_mem_opts opts[] = { { 0 }, { .shared = true } };
	struct rig *rig = *state;
	struct weir_mem *mem;
	weir_iova iova, again;

	attach_both(rig);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(weir_mem_alloc(rig->as, page, &opts[i], &mem), 0);
		assert_int_equal(weir_ioas_copy(second, rig->as, weir_mem_iova(mem), page, NULL,
						&iova), 0);
		assert_int_equal(weir_ioas_copy(rig->as, second, iova, page, NULL, &again), 0);
		assert_int_equal(weir_mem_free(mem), -EBUSY);
		assert_says("mapped elsewhere, too, by weir_ioas_copy()");
		/* A copy isn't a weir_mem. */
		assert_int_equal(weir_ioas_unmap(second, iova, page), 0);
		assert_int_equal(weir_mem_free(mem), -EBUSY);
		assert_int_equal(weir_ioas_unmap(rig->as, again, page), 0);
		assert_int_equal(weir_mem_free(mem), 0);
		assert_int_equal(fake_ioas_mappings(0), 0);
	}
	detach(rig, 0);
	detach(rig, 1);
}

/* ---- two at once ---- */

struct direction {
	struct weir_ioas *to, *from;
	unsigned int wrong;
};

static void *copy_and_unmap(void *arg)
{
	struct direction *d = arg;

	for (int i = 0; i < 2000; i++) {
		weir_iova iova;

		d->wrong += weir_ioas_copy(d->to, d->from, page, page, NULL, &iova) != 0;
		d->wrong += weir_ioas_unmap(d->to, iova, page) != 0;
	}
	return NULL;
}

static void opposite_copies_dont_wait_for_each_other(void **state)
{
	struct rig *rig = *state;
	const struct weir_map_opts fixed = { .fixed = true };
	struct direction d[2] = { { second, rig->as, 0 }, { rig->as, second, 0 } };
	weir_iova iova = page;
	pthread_t threads[2];

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_map(second, rig->memory + page, page, &fixed, &iova), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, copy_and_unmap, &d[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(d[i].wrong, 0);
	}
}

#define TEST_TWO(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown_two)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_TWO(nonsense_is_refused),
		TEST_TWO(copy_does_no_more_than_its_source),
		TEST_TWO(memory_is_pinned_once),
		TEST_TWO(batch_is_copied_as_a_whole),
		TEST_TWO(one_that_refuses_undoes_all),
		TEST_TWO(spaces_without_devices_record_it),
		TEST_TWO(device_that_moves_has_the_copy),
		TEST_TWO(soft_devices_reach_it),
		TEST_TWO(copies_are_given_new_addresses_one_by_one),
		TEST_TWO(files_stay_for_the_last),
		TEST_TWO(memory_isnt_freed_under_its_copies),
		TEST_TWO(opposite_copies_dont_wait_for_each_other),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
