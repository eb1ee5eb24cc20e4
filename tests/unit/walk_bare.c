/* SPDX-License-Identifier: MIT */
/* The ways through what devices without an IOMMU do otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/sys.h"
#include "fake_noiommu.h"
#include "walk.h"

#define PAGE wr_page_size()

static const struct weir_map_opts scattered = { .scattered = true };

static int device_open(struct world *w)
{
	const struct weir_device_opts opts = { .ioas = w->as };

	return weir_device_open(w->iommu, "0000:01:00.0", &opts, &w->new_dev);
}

static void close_device(struct world *w)
{
	assert_int_equal(weir_device_close(w->new_dev), 0);
	w->new_dev = NULL;
}

static int map(struct world *w)
{
	return weir_ioas_map(w->as, w->memory, 2 * WALK_HUGE, &scattered, &w->iova);
}

static void unmap(struct world *w)
{
	assert_int_equal(weir_ioas_unmap(w->as, w->iova, 2 * WALK_HUGE), 0);
}

static int mapv(struct world *w)
{
	const struct iovec pieces[] = {
		{ w->memory + WALK_HUGE, WALK_HUGE }, { w->memory + PAGE, PAGE },
	};

	return weir_ioas_mapv(w->as, pieces, 2, &scattered, &w->iova);
}

static void unmapv(struct world *w)
{
	assert_int_equal(weir_ioas_unmap(w->as, w->iova, WALK_HUGE + PAGE), 0);
}

/* Each time where it would have been the first time. */
static int mem_alloc(struct world *w)
{
	bare.next = 256ul << 20;
	return weir_mem_alloc(w->as, WALK_HUGE, NULL, &w->mem);
}

#define BOTH(function, devices, ...)                                                         \
	{ function, "noiommu", .with = BY_GROUP | (devices), __VA_ARGS__ },                   \
	{ function, "iommufd-noiommu", .with = BY_NODE | (devices), __VA_ARGS__ }

const struct operation walk_bare[] = {
	BOTH("weir_device_open", 0, .run = device_open, .undo = close_device),
	BOTH("weir_ioas_map", WITH_DEV, .run = map, .undo = unmap),
	BOTH("weir_ioas_mapv", WITH_DEV, .run = mapv, .undo = unmapv),
	BOTH("weir_mem_alloc", WITH_DEV, .run = mem_alloc),
	{ 0 },
};
