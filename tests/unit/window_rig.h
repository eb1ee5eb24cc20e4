/* SPDX-License-Identifier: MIT */
/* An address space on POWER: rig.h with the fake kernel of fake_spapr.c. */
#ifndef WINDOW_RIG_H
#define WINDOW_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "fake_spapr.h"
#include "fake_vfio.h"
#include "ioas/ioas.h"
#include "rig.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define HIGH (1ull << 59)
#define BOTH (WR_VFIO_MAP_READ | WR_VFIO_MAP_WRITE)

static inline int setup(void **state)
{
	int ret = rig_setup(state);

	fake.no_type1 = true;
	fake.spapr.exists = true;
	return ret;
}

static inline int teardown(void **state)
{
	assert_int_equal(fake.spapr.overrun + fake.spapr.replaced, 0);
	assert_int_equal(fake.spapr.locked, 0);
	return rig_teardown(state);
}

static inline int add(struct rig *rig, uint64_t size, uint64_t page_size, struct weir_window *w)
{
	const struct weir_window_opts opts = { .size = size, .page_size = page_size };

	return weir_ioas_add_window(rig->as, &opts, w);
}

/* The same window; what lies between its members is nobody's. */
static inline void assert_same(const struct weir_window *a, const struct weir_window *b)
{
	assert_int_equal(a->first, b->first);
	assert_int_equal(a->last, b->last);
	assert_int_equal(a->page_size, b->page_size);
	assert_int_equal(a->levels, b->levels);
	assert_int_equal(a->made, b->made);
}

static inline void pseries(void)
{
	fake.spapr.pseries = true;
	fake.spapr.levels = 1;
}

#endif
