/* SPDX-License-Identifier: MIT */
/*
 * Devices that go from one address space to another while they run, on the software IOMMU. What
 * the kernel's interfaces say to it is in test_iommufd.c.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "idle_model.h"

#define IOVA	0x100000

static struct weir_iommu *iommu;
static struct weir_ioas *spaces[2];
static struct weir_mem *memory[2];
static struct weir_model *model;
static struct weir_device *dev;

static const struct weir_model_desc desc = { .name = "mover", .vendor = 1 };

/* Two spaces, with different memory at one IOVA; the device is in the first. */
static int setup(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };

	(void)state;
	assert_int_equal(weir_iommu_open(NULL, &iommu), 0);
	for (int i = 0; i < 2; i++) {
		weir_iova iova = IOVA;

		assert_int_equal(weir_ioas_open(iommu, &spaces[i]), 0);
		assert_int_equal(weir_mem_alloc(spaces[i], 4096, NULL, &memory[i]), 0);
		memset(weir_mem_ptr(memory[i]), '0' + i, weir_mem_len(memory[i]));
		assert_int_equal(weir_ioas_map(spaces[i], weir_mem_ptr(memory[i]),
					       weir_mem_len(memory[i]), &fixed, &iova), 0);
	}
	assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &model), 0);
	assert_int_equal(weir_device_open_model(iommu, model, &(struct weir_device_opts){
			 .ioas = spaces[0] }, &dev), 0);
	assert_int_equal(weir_device_bus_master(dev, true), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(weir_model_destroy(model), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(weir_mem_free(memory[i]), 0);
		assert_int_equal(weir_ioas_close(spaces[i]), 0);
	}
	assert_int_equal(weir_iommu_close(iommu), 0);
	return 0;
}

static char seen(struct weir_model *m)
{
	char byte = 0;

	return weir_model_dma_read(m, IOVA, &byte, 1) ? '!' : byte;
}

static void device_sees_the_space_it_is_in(void **state)
{
	struct weir_ioas_caps caps;

	(void)state;
	assert_int_equal(seen(model), '0');
	assert_int_equal(weir_device_move(dev, spaces[1]), 0);
	assert_int_equal(seen(model), '1');
	assert_ptr_equal(weir_device_ioas(dev), spaces[1]);
	assert_int_equal(weir_ioas_caps(spaces[0], &caps), 0);
	assert_int_equal(caps.domains, 0);
	/* What is mapped and unmapped now is so for it. */
	assert_int_equal(weir_ioas_unmap(spaces[0], IOVA, weir_mem_len(memory[0])), 0);
	assert_int_equal(seen(model), '1');
	assert_int_equal(weir_ioas_unmap(spaces[1], IOVA, weir_mem_len(memory[1])), 0);
	assert_int_equal(seen(model), '!');
	assert_int_equal(weir_device_move(dev, spaces[1]), 0);
}

/* In its new space another device has the number that it had in the old one. */
static void devices_keep_apart(void **state)
{
	struct weir_model *other_model;
	struct weir_device *other;
	struct weir_device_info a, b;

	(void)state;
	assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &other_model), 0);
	assert_int_equal(weir_device_open_model(iommu, other_model, &(struct weir_device_opts){
			 .ioas = spaces[1] }, &other), 0);
	assert_int_equal(weir_device_bus_master(other, true), 0);
	assert_int_equal(weir_device_move(dev, spaces[1]), 0);
	assert_int_equal(seen(model), '1');
	assert_int_equal(seen(other_model), '1');
	assert_int_equal(weir_device_info(dev, &a), 0);
	assert_int_equal(weir_device_info(other, &b), 0);
	assert_int_not_equal(a.requester, b.requester);
	assert_int_equal(weir_device_move(other, spaces[0]), 0);
	assert_int_equal(seen(model), '1');
	assert_int_equal(seen(other_model), '0');
	assert_int_equal(weir_device_close(other), 0);
	assert_int_equal(weir_model_destroy(other_model), 0);
}

static void private_space_stays_the_devices(void **state)
{
	struct weir_model *own_model;
	struct weir_device *own;
	struct weir_ioas *private;
	struct weir_mem *mem;

	(void)state;
	assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &own_model), 0);
	assert_int_equal(weir_device_open_model(iommu, own_model, NULL, &own), 0);
	assert_int_equal(weir_device_bus_master(own, true), 0);
	private = weir_device_ioas(own);
	assert_int_equal(weir_mem_alloc(private, 4096, NULL, &mem), 0);
	assert_int_equal(weir_device_move(own, spaces[1]), 0);
	assert_int_equal(seen(own_model), '1');
	assert_int_equal(weir_device_close(own), -EBUSY);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(weir_device_move(own, private), 0);
	assert_int_equal(weir_device_move(own, spaces[0]), 0);
	assert_int_equal(weir_device_close(own), 0);
	assert_int_equal(weir_model_destroy(own_model), 0);
}

static void wrong_spaces_are_refused(void **state)
{
	struct weir_ioas *stranger;

	(void)state;
	assert_int_equal(weir_device_move(dev, NULL), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "no address space is given"));
	assert_int_equal(weir_ioas_open(NULL, &stranger), 0);
	assert_int_equal(weir_device_move(dev, stranger), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "another context"));
	assert_int_equal(weir_ioas_close(stranger), 0);
	assert_int_equal(weir_model_dma_begin(model), 0);
	assert_int_equal(weir_device_move(dev, spaces[1]), -EDEADLK);
	weir_model_dma_end(model);
	assert_int_equal(seen(model), '0');
	assert_int_equal(weir_device_fd(dev), -ENODEV);
	assert_int_equal(weir_iommu_fd(iommu), -ENODEV);
}

/* ---- while it runs ---- */

static atomic_bool stop;
static atomic_ulong transfers, wrong;

/* By calls, and by pointers inside brackets, in which more DMA is nested. */
static void *run(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		void *ptr;
		size_t len;
		char byte = seen(model), inside = 0;

		if (byte != '0' && byte != '1')
			atomic_fetch_add(&wrong, 1);
		if (weir_model_dma_begin(model))
			atomic_fetch_add(&wrong, 1);
		if (weir_model_dma_translate(model, IOVA, 1, false, &ptr, &len))
			atomic_fetch_add(&wrong, 1);
		else
			inside = *(char *)ptr;
		/* A bracket is in one space from its beginning to its end. */
		if (seen(model) != inside)
			atomic_fetch_add(&wrong, 1);
		weir_model_dma_end(model);
		atomic_fetch_add(&transfers, 1);
	}
	return NULL;
}

static void no_transfer_is_lost(void **state)
{
	pthread_t threads[2];
	unsigned long before = 0;

	(void)state;
	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, NULL), 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(weir_device_move(dev, spaces[!(i & 1)]), 0);
		while (atomic_load(&transfers) == before)
			;
		before = atomic_load(&transfers);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(device_sees_the_space_it_is_in),
		TEST(devices_keep_apart),
		TEST(private_space_stays_the_devices),
		TEST(wrong_spaces_are_refused),
		TEST(no_transfer_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
