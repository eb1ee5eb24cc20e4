/* SPDX-License-Identifier: MIT */
/* Page tables by hand on the software IOMMU, seen by a model's DMA. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "idle_model.h"

#define PAGES	8
#define AT	0x100000ull

static const struct weir_model_desc desc = { .name = "model", .vendor = 1 };

struct rig {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct weir_model *model[2];
	struct weir_device *dev[2];
	struct weir_mem *mem;
	unsigned char *bytes;
	size_t page;
};

static void must_fail(int ret, int err, const char *part)
{
	if (ret != err || !strstr(weir_errmsg(), part))
		fail_msg("returned %d, \"%s\"", ret, weir_errmsg());
}

static int setup(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	static struct rig r;
	weir_iova at = AT;

	r.page = wr_page_size();
	assert_int_equal(weir_iommu_open(NULL, &r.iommu), 0);
	assert_int_equal(weir_ioas_open(r.iommu, &r.as), 0);
	assert_int_equal(weir_mem_alloc(r.as, PAGES * r.page, NULL, &r.mem), 0);
	r.bytes = weir_mem_ptr(r.mem);
	assert_int_equal(weir_ioas_map(r.as, r.bytes, PAGES * r.page, &fixed, &at), 0);
	for (int i = 0; i < 2; i++) {
		const struct weir_device_opts opts = { .ioas = r.as };

		assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &r.model[i]), 0);
		assert_int_equal(weir_device_open_model(r.iommu, r.model[i], &opts, &r.dev[i]), 0);
		assert_int_equal(weir_device_bus_master(r.dev[i], true), 0);
	}
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(weir_device_close(r->dev[i]), 0);
		assert_int_equal(weir_model_destroy(r->model[i]), 0);
	}
	assert_int_equal(weir_ioas_unmap(r->as, AT, PAGES * r->page), 0);
	assert_int_equal(weir_mem_free(r->mem), 0);
	assert_int_equal(weir_ioas_close(r->as), 0);
	assert_int_equal(weir_iommu_close(r->iommu), 0);
	return 0;
}

static int write_to(struct rig *r, int n, weir_iova iova, unsigned char byte)
{
	return weir_model_dma_write(r->model[n], iova, &byte, 1);
}

static struct weir_hwpt *alloc(struct rig *r, bool dirty)
{
	const struct weir_hwpt_opts opts = { .dirty = dirty };
	struct weir_hwpt *hwpt;

	assert_int_equal(weir_hwpt_alloc(r->as, r->dev[0], &opts, &hwpt), 0);
	return hwpt;
}

static void it_has_what_is_mapped(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	struct rig *r = *state;
	struct weir_hwpt *a = alloc(r, false), *b = alloc(r, false);
	weir_iova more = AT + PAGES * r->page;

	for (int i = 0; i < 6; i++) {
		assert_int_equal(weir_hwpt_attach(i & 1 ? a : b, r->dev[0]), 0);
		assert_int_equal(write_to(r, 0, AT + 5, (unsigned char)i), 0);
		assert_int_equal(r->bytes[5], i);
		assert_int_equal(write_to(r, 1, AT + 6, (unsigned char)i), 0);
	}
	/* What is mapped and unmapped then, too. */
	assert_int_equal(weir_ioas_map(r->as, r->bytes, r->page, &fixed, &more), 0);
	assert_int_equal(write_to(r, 0, more, 0x77), 0);
	assert_int_equal(r->bytes[0], 0x77);
	assert_int_equal(weir_ioas_unmap(r->as, more, r->page), 0);
	assert_int_equal(write_to(r, 0, more, 0x78), -EFAULT);
	must_fail(weir_hwpt_free(a), -EBUSY, "model is attached to it");
	assert_int_equal(weir_hwpt_detach(a, r->dev[0]), 0);
	assert_int_equal(write_to(r, 0, AT, 0x79), 0);
	assert_int_equal(weir_hwpt_free(a), 0);
	assert_int_equal(weir_hwpt_free(b), 0);
}

/* Memory is at another address; devices on each table see it there. */
static void memory_moves_in_all_tables(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *hwpt = alloc(r, false);
	struct weir_mem *other;

	assert_int_equal(weir_mem_alloc(r->as, PAGES * r->page, NULL, &other), 0);
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_ioas_update_vaddr(r->as, AT, PAGES * r->page, weir_mem_ptr(other)),
			 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write_to(r, i, AT + (size_t)i, 0x30), 0);
		assert_int_equal(((unsigned char *)weir_mem_ptr(other))[i], 0x30);
	}
	assert_int_equal(weir_ioas_update_vaddr(r->as, AT, PAGES * r->page, r->bytes), 0);
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_mem_free(other), 0);
}

static uint64_t dirty(struct rig *r, struct weir_hwpt *hwpt, uint64_t pages, bool keep)
{
	const struct weir_dirty_opts opts = { .granularity = pages * r->page, .keep = keep };
	uint64_t bitmap = 0;

	assert_int_equal(weir_hwpt_dirty_read(hwpt, AT, PAGES * r->page, &opts, &bitmap), 0);
	return bitmap;
}

/* Of the device that uses it, and not of the other. */
static void dirty_pages_of_one_table(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *hwpt = alloc(r, true), *plain = alloc(r, false);

	must_fail(weir_hwpt_dirty_start(plain), -ENOTSUP, "weir_hwpt_opts.dirty");
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(write_to(r, 0, AT, 1), 0);
	assert_int_equal(weir_hwpt_dirty_start(hwpt), 0);
	assert_int_equal(dirty(r, hwpt, 1, false), 0);
	assert_int_equal(write_to(r, 0, AT + 3 * r->page, 1), 0);
	assert_int_equal(write_to(r, 1, AT + 4 * r->page, 1), 0);
	assert_int_equal(dirty(r, hwpt, 1, true), 8);
	assert_int_equal(dirty(r, hwpt, 2, true), 2);
	assert_int_equal(dirty(r, hwpt, 8, true), 1);
	assert_int_equal(dirty(r, hwpt, 1, false), 8);
	assert_int_equal(dirty(r, hwpt, 1, false), 0);
	must_fail(weir_ioas_dirty_start(r->as), -EBUSY, "weir_hwpt_dirty_stop() first");
	assert_int_equal(weir_hwpt_dirty_stop(hwpt), 0);
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(plain), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
}

static void dirty_pages_of_all_tables(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *hwpt = alloc(r, false), *later;
	uint64_t bitmap = 0;

	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_ioas_dirty_start(r->as), 0);
	later = alloc(r, true);
	must_fail(weir_hwpt_dirty_read(later, AT, r->page, NULL, &bitmap), -EINVAL,
		  "weir_ioas_dirty_read()");
	assert_int_equal(write_to(r, 0, AT, 1), 0);
	assert_int_equal(write_to(r, 1, AT + r->page, 1), 0);
	assert_int_equal(weir_hwpt_attach(later, r->dev[0]), 0);
	assert_int_equal(write_to(r, 0, AT + 2 * r->page, 1), 0);
	assert_int_equal(weir_ioas_dirty_read(r->as, AT, PAGES * r->page, &bitmap), 3);
	assert_int_equal(bitmap, 7);
	/* The automatic table tells of what is written by it from now on. */
	assert_int_equal(weir_hwpt_detach(later, r->dev[0]), 0);
	assert_int_equal(write_to(r, 0, AT + 3 * r->page, 1), 0);
	bitmap = 0;
	assert_int_equal(weir_ioas_dirty_read(r->as, AT, PAGES * r->page, &bitmap), 1);
	assert_int_equal(bitmap, 8);
	assert_int_equal(weir_ioas_dirty_stop(r->as), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_hwpt_free(later), 0);
}

/* A table that is made while writes are tracked has no large pages, which would all be reported. */
static void later_table_is_exact(void **state)
{
	const struct weir_mem_opts huge = { .huge = true };
	const size_t len = 2ul << 20;
	struct rig *r = *state;
	struct weir_hwpt *hwpt;
	struct weir_mem *mem;
	uint64_t *bitmap = calloc(len / r->page / 64 + 1, sizeof(*bitmap));

	assert_non_null(bitmap);
	assert_int_equal(weir_mem_alloc(r->as, len, &huge, &mem), 0);
	assert_int_equal(weir_ioas_dirty_start(r->as), 0);
	hwpt = alloc(r, false);
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	assert_int_equal(write_to(r, 0, weir_mem_iova(mem) + 3 * r->page, 1), 0);
	assert_int_equal(weir_ioas_dirty_read(r->as, weir_mem_iova(mem), len, bitmap), 1);
	assert_int_equal(bitmap[0], 8);
	assert_int_equal(weir_ioas_dirty_stop(r->as), 0);
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_mem_free(mem), 0);
	free(bitmap);
}

static void table_reaches_as_far_as_the_space(void **state)
{
	struct weir_iova_range table[4], space[4];
	struct rig *r = *state;
	int n = weir_ioas_ranges(r->as, space, 4);

	assert_int_equal(n, 2);
	assert_int_equal(weir_hwpt_ranges(r->dev[0], NULL, table, 4), n);
	assert_memory_equal(table, space, (size_t)n * sizeof(space[0]));
}

static void what_soft_hasnt_got(void **state)
{
	static const struct weir_hwpt_opts opts[] = { { .nest_parent = true }, { .pasid = true } };
	const struct weir_nested vtd = {
		.type = WEIR_NESTED_VTD_S1, .u.vtd_s1 = { .width = 48 },
	};
	struct weir_hwpt *hwpt, *nested;
	struct weir_hw_info info;
	struct rig *r = *state;

	for (int i = 0; i < 2; i++) {
		must_fail(weir_hwpt_alloc(r->as, r->dev[0], &opts[i], &hwpt), -ENOTSUP,
			  "the software IOMMU has paging tables alone");
		must_fail(weir_hwpt_ranges(r->dev[0], &opts[i], NULL, 0), -ENOTSUP,
			  "the software IOMMU has paging tables alone");
	}
	hwpt = alloc(r, false);
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	must_fail(weir_hwpt_attach_pasid(hwpt, r->dev[0], 1), -ENOTSUP, "which has no PASIDs");
	must_fail(weir_hwpt_nest(hwpt, r->dev[0], &vtd, NULL, &nested), -ENOTSUP, "which has no");
	assert_int_equal(weir_device_hw_info(r->dev[0], WEIR_HW_NONE, &info), 0);
	assert_true(info.dirty && !info.pasid_bits && !info.type);
	must_fail(weir_device_hw_info(r->dev[0], WEIR_HW_VTD, &info), -ENOTSUP, "of no make");
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
}

/* One table is put in the other's place while the device writes through them. */
struct writer {
	struct rig *r;
	bool stop;
	unsigned long failed, done;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		w->failed += write_to(w->r, 0, AT + w->done % PAGES * w->r->page, 1) != 0;
		w->done++;
	}
	return NULL;
}

static void replacing_loses_nothing(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *a = alloc(r, false), *b = alloc(r, false);
	struct writer w = { .r = r };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(weir_hwpt_attach(i & 1 ? a : b, r->dev[0]), 0);
		if (i % 50 == 49)
			assert_int_equal(weir_hwpt_detach(a, r->dev[0]), 0);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(w.failed, 0);
	assert_int_equal(weir_hwpt_free(a), 0);
	assert_int_equal(weir_hwpt_free(b), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_has_what_is_mapped),
		TEST(memory_moves_in_all_tables),
		TEST(dirty_pages_of_one_table),
		TEST(dirty_pages_of_all_tables),
		TEST(later_table_is_exact),
		TEST(table_reaches_as_far_as_the_space),
		TEST(what_soft_hasnt_got),
		TEST(replacing_loses_nothing),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
