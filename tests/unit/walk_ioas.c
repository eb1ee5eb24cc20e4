/* SPDX-License-Identifier: MIT */
/* The ways through what contexts, address spaces and weir_mem do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "fake_vfio.h"
#include "ioas/ioas.h"
#include "walk.h"

#define PAGE wr_page_size()

/* ---- contexts and address spaces ---- */

static int iommu_open(struct world *w)
{
	return weir_iommu_open(NULL, &w->new_iommu);
}

static int iommu_close(struct world *w)
{
	int ret = weir_iommu_close(w->new_iommu);

	w->new_iommu = NULL;
	return ret;
}

static void close_iommu(struct world *w)
{
	assert_int_equal(iommu_close(w), 0);
}

static void has_iommu(struct world *w)
{
	assert_int_equal(iommu_open(w), 0);
}

static int ioas_open(struct world *w)
{
	return weir_ioas_open(w->iommu, &w->new_as);
}

static int ioas_open_private(struct world *w)
{
	return weir_ioas_open(NULL, &w->new_as);
}

static int ioas_close(struct world *w)
{
	int ret = weir_ioas_close(w->new_as);

	w->new_as = NULL;
	return ret;
}

static void has_ioas(struct world *w)
{
	weir_iova iova;

	assert_int_equal(ioas_open_private(w), 0);
	assert_int_equal(weir_ioas_map(w->new_as, w->memory, PAGE, NULL, &iova), 0);
}

static void close_ioas(struct world *w)
{
	assert_int_equal(ioas_close(w), 0);
}

static int map_pages(struct world *w)
{
	return weir_ioas_map(w->as, w->memory + 2 * PAGE, 3 * PAGE, NULL, &w->iova);
}

static void unmap_pages(struct world *w)
{
	assert_int_equal(weir_ioas_unmap(w->as, w->iova, 3 * PAGE), 0);
}

static int map_huge(struct world *w)
{
	return weir_ioas_map(w->as, w->memory, WALK_HUGE, NULL, &w->iova);
}

static void undo_map_huge(struct world *w)
{
	assert_int_equal(weir_ioas_unmap(w->as, w->iova, WALK_HUGE), 0);
}

static int map_to_device(struct world *w)
{
	const struct weir_map_opts opts = { .dir = WEIR_DMA_TO_DEVICE, .fixed = true };

	w->iova = 3ul << 30;
	return weir_ioas_map(w->as, w->memory + 2 * PAGE, 3 * PAGE, &opts, &w->iova);
}

/*
 * Mappings until no table is left over, nor room in the list of those that others hide: then memory
 * for more must be had. Nothing reaches these addresses.
 */
static void exhaust(struct world *w)
{
	const struct weir_map_opts opts = { .fixed = true };
	const struct wr_maps *maps = &w->as->maps;
	weir_iova iova = 8ul << 30;

	for (; maps->by_iova.spares || maps->by_vaddr.spares; iova += 1ul << 30)
		assert_int_equal(weir_ioas_map(w->as, (char *)(1ul << 40) + iova, PAGE, &opts,
					       &iova), 0);
	for (; maps->n_hidden + 1 < maps->hidden_room; iova += PAGE)
		assert_int_equal(weir_ioas_map(w->as, w->memory, PAGE, &opts, &iova), 0);
}

static int map_far(struct world *w)
{
	const struct weir_map_opts opts = { .fixed = true };

	w->iova = 1ul << 40;
	return weir_ioas_map(w->as, (char *)(1ul << 30), 3 * PAGE, &opts, &w->iova);
}

static void has_pages(struct world *w)
{
	assert_int_equal(map_pages(w), 0);
}

static int unmap(struct world *w)
{
	return weir_ioas_unmap(w->as, w->iova, 3 * PAGE);
}

static int mapv(struct world *w)
{
	const struct iovec pieces[] = {
		{ w->memory + 8 * PAGE, PAGE }, { w->memory + 4 * PAGE, 2 * PAGE },
	};

	return weir_ioas_mapv(w->as, pieces, 2, NULL, &w->iova);
}

static void has_batch(struct world *w)
{
	assert_int_equal(mapv(w), 0);
}

static void has_file(struct world *w)
{
	w->fd = memfd_create("walk", MFD_CLOEXEC);
	assert_true(w->fd >= 0);
	assert_int_equal(ftruncate(w->fd, (off_t)(4 * PAGE)), 0);
}

static int map_fd(struct world *w)
{
	return weir_ioas_map_fd(w->as, w->fd, PAGE, 3 * PAGE, NULL, &w->iova);
}

/* Another address space of the context, with that mapped in it. */
static void has_source(struct world *w, int (*map)(struct world *w))
{
	struct weir_ioas *as = w->as;

	assert_int_equal(weir_ioas_open(w->iommu, &w->new_as), 0);
	w->as = w->new_as;
	assert_int_equal(map(w), 0);
	w->as = as;
}

static void has_source_pages(struct world *w)
{
	has_source(w, map_pages);
}

static void has_source_batch(struct world *w)
{
	has_source(w, mapv);
}

static void has_source_file(struct world *w)
{
	has_file(w);
	has_source(w, map_fd);
}

/* On a device of its own. */
static void has_source_device(struct world *w)
{
	struct weir_device_opts opts = { 0 };

	has_source_batch(w);
	opts.ioas = w->new_as;
	assert_int_equal(weir_device_open(NULL, "0000:02:00.0", &opts, &w->new_dev), 0);
}

/* To a place where there is room in both. */
static int copy(struct world *w)
{
	const struct weir_map_opts opts = { .dir = WEIR_DMA_TO_DEVICE, .fixed = true };
	weir_iova to = 2ul << 30;
	int ret = weir_ioas_copy(w->as, w->new_as, w->iova, 3 * PAGE, &opts, &to);

	return ret ? ret : (int)(to >> 20);
}

static void unmap_copy(struct world *w)
{
	assert_int_equal(weir_ioas_unmap(w->as, 2ul << 30, 3 * PAGE), 0);
}

static int allow(struct world *w)
{
	const struct weir_iova_range ranges[] = {
		{ 0, (1ul << 21) - 1 }, { 1ul << 30, (2ul << 30) - 1 },
	};

	return weir_ioas_allow(w->as, ranges, 2);
}

static void allow_all(struct world *w)
{
	assert_int_equal(weir_ioas_allow(w->as, NULL, 0), 0);
}

static void has_nothing(struct world *w)
{
	assert_int_equal(weir_ioas_unmap_all(w->as), 0);
}

static int small_pages(struct world *w)
{
	return weir_ioas_small_pages(w->as, true);
}

static void all_pages(struct world *w)
{
	assert_int_equal(weir_ioas_small_pages(w->as, false), 0);
}

static int unmap_all(struct world *w)
{
	return weir_ioas_unmap_all(w->as);
}

static void has_all_sorts(struct world *w)
{
	has_batch(w);
	has_file(w);
	assert_int_equal(map_fd(w), 0);
	has_pages(w);
}

static int update_vaddr(struct world *w)
{
	return weir_ioas_update_vaddr(w->as, w->iova, 3 * PAGE, w->memory + 9 * PAGE);
}

/* A mapping of a whole table's memory, of which a younger one has a page. */
static void has_shared_huge(struct world *w)
{
	char *memory = w->memory + WALK_HUGE;
	weir_iova iova;

	assert_int_equal(weir_ioas_map(w->as, memory, WALK_HUGE, NULL, &w->iova), 0);
	assert_int_equal(weir_ioas_map(w->as, memory + PAGE, PAGE, NULL, &iova), 0);
	exhaust(w);
}

static int unmap_huge(struct world *w)
{
	return weir_ioas_unmap(w->as, w->iova, WALK_HUGE);
}

/* Each of them takes a table of its own when it is split. */
static void has_large_leaves(struct world *w)
{
	const struct weir_map_opts opts = { .fixed = true };

	for (weir_iova iova = 1ul << 32; iova < 80ul << 30; iova += 1ul << 30)
		assert_int_equal(weir_ioas_map(w->as, w->memory, WALK_HUGE, &opts, &iova), 0);
}

static int dirty_start(struct world *w)
{
	return weir_ioas_dirty_start(w->as);
}

static int dirty_stop(struct world *w)
{
	return weir_ioas_dirty_stop(w->as);
}

static void stop_dirty(struct world *w)
{
	assert_int_equal(dirty_stop(w), 0);
}

static void tracks(struct world *w)
{
	assert_int_equal(dirty_start(w), 0);
}

/* Two mappings of which the device wrote a page each. */
static void has_dirty_pages(struct world *w)
{
	const struct weir_map_opts fixed = { .fixed = true };
	weir_iova second = 2 * PAGE;

	assert_int_equal(weir_ioas_map(w->as, w->memory + PAGE, 2 * PAGE, &fixed, &second), 0);
	tracks(w);
	if (w->soft) {
		assert_int_equal(weir_model_dma_write(w->model, PAGE, "x", 1), 0);
		assert_int_equal(weir_model_dma_write(w->model, 3 * PAGE, "x", 1), 0);
	}
}

/* What one try reported and the next didn't counts: it was dirty. */
static int dirty_read(struct world *w)
{
	int ret = weir_ioas_dirty_read(w->as, PAGE, 3 * PAGE, w->bitmap);

	return ret < 0 ? ret : (int)w->bitmap[0];
}

/* ---- memory ---- */

static int mem_alloc(struct world *w)
{
	return weir_mem_alloc(w->as, 3 * PAGE, NULL, &w->mem);
}

static int mem_alloc_huge(struct world *w)
{
	const struct weir_mem_opts opts = { .huge = true };

	return weir_mem_alloc(w->as, WALK_HUGE, &opts, &w->mem);
}

static int mem_free(struct world *w)
{
	int ret = weir_mem_free(w->mem);

	if (!ret)
		w->mem = NULL;
	return ret;
}

static int mem_alloc_shared(struct world *w)
{
	const struct weir_mem_opts opts = { .shared = true, .bind = true };

	return weir_mem_alloc(w->as, 3 * PAGE, &opts, &w->mem);
}

static int mem_alloc_shared_huge(struct world *w)
{
	const struct weir_mem_opts opts = { .shared = true, .huge = true };

	return weir_mem_alloc(w->as, WALK_HUGE, &opts, &w->mem);
}

static void free_mem(struct world *w)
{
	assert_int_equal(mem_free(w), 0);
}

static void has_mem(struct world *w)
{
	assert_int_equal(mem_alloc(w), 0);
}

/* ---- to another process ---- */

/* With an IOMMUFD, and with files' memory alone. */
static void can_go(struct world *w)
{
	const struct weir_device_opts opts = { .ioas = w->as };

	fake.iommufd.exists = true;
	assert_int_equal(weir_ioas_unmap_all(w->as), 0);
	has_file(w);
	assert_int_equal(map_fd(w), 0);
	assert_int_equal(weir_device_open(NULL, "0000:01:00.0", &opts, &w->dev), 0);
	assert_int_equal(weir_irq_enable(w->dev, WEIR_IRQ_MSIX, 2), 0);
}

#define MOST_FDS 8

static int export(struct world *w)
{
	return weir_ioas_export(w->as, w->fds, MOST_FDS);
}

static int keep(struct world *w)
{
	return weir_ioas_keep(w->as);
}

static void take_back(struct world *w)
{
	assert_int_equal(keep(w), 0);
}

static void has_gone(struct world *w)
{
	can_go(w);
	assert_int_equal(export(w), 6);
}

static int import(struct world *w)
{
	return weir_ioas_import(NULL, w->fds, 6, &w->new_as);
}

static int import_here(struct world *w)
{
	return weir_ioas_import(w->new_iommu, w->fds, 6, &w->new_as);
}

static void has_gone_to_context(struct world *w)
{
	has_gone(w);
	has_iommu(w);
}

static void has_come(struct world *w)
{
	has_gone(w);
	assert_int_equal(import(w), 0);
}

/* The last to have it, so that what isn't destroyed goes with the fds. */
static void is_here_alone(struct world *w)
{
	has_come(w);
	assert_int_equal(weir_device_close(w->dev), 0);
	w->dev = NULL;
}

static int open_what_came(struct world *w)
{
	const struct weir_device_opts opts = { .ioas = w->new_as };

	return weir_device_open(NULL, "0000:01:00.0", &opts, &w->new_dev);
}

static int close_what_went(struct world *w)
{
	int ret = weir_device_close(w->dev);

	w->dev = NULL;
	return ret;
}

const struct operation walk_ioas[] = {
	{ "weir_iommu_open", .run = iommu_open, .undo = close_iommu },
	{ "weir_iommu_close", .setup = has_iommu, .run = iommu_close, .must = true,
	  .silent = "it gives memory back" },
	{ "weir_ioas_open", .run = ioas_open, .undo = close_ioas },
	{ "weir_ioas_open", "private", .run = ioas_open_private, .undo = close_ioas },
	{ "weir_ioas_close", .setup = has_ioas, .run = ioas_close, .must = true,
	  .silent = "it gives memory back" },
	{ "weir_ioas_map", "recorded", .setup = exhaust, .run = map_far,
	  .undo = unmap_pages },
	{ "weir_ioas_map", "kernel", .with = WITH_DEV, .run = map_pages, .undo = unmap_pages },
	{ "weir_ioas_map", "soft", .with = WITH_SOFT, .run = map_pages, .undo = unmap_pages,
	  .says = -EFAULT },
	{ "weir_ioas_map", "both", .with = WITH_BOTH, .run = map_huge, .undo = undo_map_huge,
	  .says = -EFAULT },
	{ "weir_ioas_map", "one way", .with = WITH_BOTH, .run = map_to_device,
	  .undo = unmap_pages, .says = -EFAULT },
	{ "weir_ioas_unmap", "kernel", .with = WITH_DEV, .setup = has_pages, .run = unmap,
	  .undo = has_pages },
	{ "weir_ioas_unmap", "both", .with = WITH_BOTH, .setup = has_pages, .run = unmap,
	  .undo = has_pages },
	{ "weir_ioas_mapv", "recorded", .setup = exhaust, .run = mapv, .undo = unmap_pages },
	{ "weir_ioas_mapv", "kernel", .with = WITH_DEV, .run = mapv, .undo = unmap_pages },
	{ "weir_ioas_mapv", "both", .with = WITH_BOTH, .run = mapv, .undo = unmap_pages,
	  .says = -EFAULT },
	{ "weir_ioas_map_fd", "recorded", .setup = has_file, .run = map_fd, .undo = unmap_pages },
	{ "weir_ioas_map_fd", "both", .with = WITH_BOTH, .setup = has_file, .run = map_fd,
	  .undo = unmap_pages, .says = -EFAULT },
	{ "weir_ioas_copy", "recorded", .setup = has_source_batch, .run = copy,
	  .undo = unmap_copy },
	{ "weir_ioas_copy", "kernel", .with = WITH_DEV, .setup = has_source_pages, .run = copy,
	  .undo = unmap_copy },
	{ "weir_ioas_copy", "batch", .with = WITH_BOTH, .setup = has_source_batch, .run = copy,
	  .undo = unmap_copy, .says = -EFAULT },
	{ "weir_ioas_copy", "file", .with = WITH_BOTH, .setup = has_source_file, .run = copy,
	  .undo = unmap_copy, .says = -EFAULT },
	{ "weir_ioas_copy", "iommufd", .with = WITH_IOMMUFD, .setup = has_source_device,
	  .run = copy, .undo = unmap_copy },
	{ "weir_ioas_unmap", "batch", .with = WITH_BOTH, .setup = has_batch, .run = unmap,
	  .undo = has_batch },
	{ "weir_ioas_unmap_all", "kernel", .with = WITH_DEV, .setup = has_all_sorts,
	  .run = unmap_all },
	{ "weir_ioas_unmap_all", "both", .with = WITH_BOTH, .setup = has_all_sorts,
	  .run = unmap_all },
	{ "weir_ioas_update_vaddr", "kernel", .with = WITH_DEV, .setup = has_pages,
	  .run = update_vaddr },
	{ "weir_ioas_update_vaddr", "both", .with = WITH_BOTH, .setup = has_pages,
	  .run = update_vaddr, .says = -EFAULT },
	{ "weir_ioas_unmap", "shared", .setup = has_shared_huge, .run = unmap_huge },
	{ "weir_ioas_allow", "recorded", .run = allow, .undo = allow_all },
	{ "weir_ioas_allow", "both", .with = WITH_BOTH, .run = allow, .undo = allow_all },
	{ "weir_ioas_allow", "iommufd", .with = WITH_IOMMUFD | WITH_SOFT, .run = allow,
	  .undo = allow_all },
	{ "weir_ioas_small_pages", "soft", .with = WITH_SOFT, .setup = has_nothing,
	  .run = small_pages, .undo = all_pages, .silent = "it sets a flag" },
	{ "weir_ioas_small_pages", "iommufd", .with = WITH_IOMMUFD | WITH_SOFT,
	  .setup = has_nothing, .run = small_pages, .undo = all_pages },
	{ "weir_ioas_dirty_start", "kernel", .with = WITH_DEV, .run = dirty_start,
	  .undo = stop_dirty },
	{ "weir_ioas_dirty_start", "soft", .with = WITH_SOFT, .setup = has_large_leaves,
	  .run = dirty_start, .undo = stop_dirty },
	{ "weir_ioas_dirty_start", "both", .with = WITH_BOTH, .run = dirty_start,
	  .undo = stop_dirty },
	{ "weir_ioas_dirty_stop", "both", .with = WITH_BOTH, .setup = tracks,
	  .run = dirty_stop, .must = true },
	{ "weir_ioas_dirty_read", "soft", .with = WITH_SOFT, .setup = has_dirty_pages,
	  .run = dirty_read },
	{ "weir_ioas_dirty_read", "both", .with = WITH_BOTH, .setup = has_dirty_pages,
	  .run = dirty_read },

	{ "weir_mem_alloc", "recorded", .run = mem_alloc, .undo = free_mem },
	{ "weir_mem_alloc", "kernel", .with = WITH_DEV, .run = mem_alloc, .undo = free_mem },
	{ "weir_mem_alloc", "both", .with = WITH_BOTH, .run = mem_alloc, .undo = free_mem,
	  .says = -EFAULT },
	{ "weir_mem_alloc", "huge", .with = WITH_BOTH, .run = mem_alloc_huge, .undo = free_mem,
	  .says = -EFAULT },
	{ "weir_mem_alloc", "shared, bound", .with = WITH_BOTH, .run = mem_alloc_shared,
	  .undo = free_mem, .says = -EFAULT },
	{ "weir_mem_alloc", "shared, huge", .run = mem_alloc_shared_huge, .undo = free_mem },
	{ "weir_mem_free", .with = WITH_BOTH, .setup = has_mem, .run = mem_free },

	{ "weir_ioas_export", .setup = can_go, .run = export, .undo = take_back },
	{ "weir_ioas_keep", .setup = has_gone, .run = keep },
	{ "weir_ioas_import", "private", .setup = has_gone, .run = import, .undo = close_ioas,
	  .says = -EINVAL },
	{ "weir_ioas_import", "context", .setup = has_gone_to_context, .run = import_here,
	  .undo = close_ioas, .says = -EINVAL },
	{ "weir_ioas_close", "unclaimed", .setup = is_here_alone, .run = ioas_close, .must = true,
	  .keeps_ranges = true },
	{ "weir_device_open", "came", .setup = has_come, .run = open_what_came },
	{ "weir_device_close", "went", .setup = has_gone, .run = close_what_went, .must = true,
	  .keeps_ranges = true },
	{ 0 }
};
