/* SPDX-License-Identifier: MIT */
/* A translation map for a test, whose calls for memory can be made to fail. */
#ifndef MAPS_RIG_H
#define MAPS_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys.h"
#include "mem/maps.h"

#define PAGE 4096ull
#define MB2 (2ull << 20)
#define GB (1ull << 30)
#define TOP UINT64_MAX
#define MEMORY 0x7e0000000000ull	/* aligned to everything; nothing touches it */

static const struct wr_ranges everything = { 1, { { 0, TOP } } };

static struct wr_sys seam;
static int calls_left;		/* of mmap, before one fails; -1: it never does */

static inline int failing_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset,
			       void **out)
{
	if (calls_left >= 0 && calls_left-- == 0)
		return -ENOMEM;
	return wr_sys_kernel.mmap(hint, len, prot, flags, fd, offset, out);
}

static inline int setup(void **state)
{
	struct wr_maps *maps = test_malloc(sizeof(*maps));

	seam = wr_sys_kernel;
	seam.mmap = failing_mmap;
	calls_left = -1;
	wr_sys = &seam;
	*state = maps;
	return wr_maps_init(maps) || wr_maps_set_ranges(maps, &everything);
}

static inline int teardown(void **state)
{
	wr_maps_free(*state);
	test_free(*state);
	wr_sys = &wr_sys_kernel;
	return 0;
}

static inline struct wr_mapping mapping(weir_iova iova, uint64_t vaddr, uint64_t len)
{
	return (struct wr_mapping){ .iova = iova, .len = len, .vaddr = (char *)(uintptr_t)vaddr };
}

static inline void add_at(struct wr_maps *maps, weir_iova iova, uint64_t vaddr, uint64_t len)
{
	const struct wr_mapping m = mapping(iova, vaddr, len);

	assert_int_equal(wr_maps_add(maps, &m), 0);
}

/* Memory of its own for each IOVA. */
static inline void add(struct wr_maps *maps, weir_iova iova, uint64_t len)
{
	add_at(maps, iova, iova ^ 1ull << 60, len);
}

/* The mapping that starts at @iova, without memory that must be had. */
static inline void remove_at(struct wr_maps *maps, weir_iova iova)
{
	struct wr_mapping m;

	assert_true(wr_maps_next(maps, iova, iova, &m) && m.iova == iova);
	assert_int_equal(wr_maps_prepare_remove(maps, &m, 1), 0);
	calls_left = 0;
	wr_maps_remove(maps, &m);
	assert_int_equal(calls_left, 0);
	calls_left = -1;
}

static inline void assert_choice(const struct wr_maps *maps, uint64_t len,
				 enum wr_space_align align, weir_iova limit, weir_iova expected)
{
	weir_iova iova = 0;

	assert_int_equal(wr_maps_find_free(maps, len, align, limit, &iova),
			 expected ? 0 : -ENOSPC);
	assert_true(iova == expected);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
