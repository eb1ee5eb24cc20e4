/* SPDX-License-Identifier: MIT */
/* The ways through page tables by hand, and what is made from them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys.h"
#include "fake_vfio.h"
#include "ioas/hwpt.h"
#include "walk.h"

#define PAGE	wr_page_size()
#define RAW	0x77			/* of the fake IOMMU's nested tables, vIOMMUs and queues */
#define EVENT	4			/* bytes of a fake event */

/* An IOMMU that has everything, by vIOMMUs. */
static void has_all(struct world *w)
{
	(void)w;
	fake.iommufd.pasid_bits = 8;
	fake.iommufd.nested_type = fake.iommufd.viommu_type = RAW;
	fake.iommufd.hwqueue_type = fake.iommufd.invalidate_type = RAW;
	fake.iommufd.lent_at = fake.iommufd.lent_len = PAGE;
	fake.groups[0].tracks_dirty = true;
}

static int make(struct world *w, const struct weir_hwpt_opts *opts, struct weir_hwpt **out)
{
	return weir_hwpt_alloc(w->as, w->dev ? w->dev : w->soft, opts, out);
}

static int alloc(struct world *w)
{
	return make(w, &(struct weir_hwpt_opts){ .dirty = true, .pasid = w->dev != NULL },
		    &w->hwpt);
}

static int alloc_parent(struct world *w)
{
	return make(w, &(struct weir_hwpt_opts){ .nest_parent = true }, &w->parent);
}

static int alloc_faults(struct world *w)
{
	return make(w, &(struct weir_hwpt_opts){ .faults = w->faults }, &w->hwpt);
}

static void has_faults(struct world *w)
{
	has_all(w);
	assert_int_equal(weir_faultq_open(w->iommu, &w->faults), 0);
}

static void has_space(struct world *w)
{
	const struct weir_map_opts fixed = { .fixed = true };
	weir_iova iova = PAGE;

	has_all(w);
	assert_int_equal(weir_ioas_open(w->iommu, &w->new_as), 0);
	assert_int_equal(weir_ioas_map(w->new_as, w->memory, PAGE, &fixed, &iova), 0);
}

static int alloc_elsewhere(struct world *w)
{
	return weir_hwpt_alloc(w->new_as, w->dev, NULL, &w->another);
}

static int ranges(struct world *w)
{
	const struct weir_hwpt_opts opts = { .nest_parent = w->dev };

	return weir_hwpt_ranges(w->dev ? w->dev : w->soft, &opts, NULL, 0);
}

static int ranges_with_faults(struct world *w)
{
	return weir_hwpt_ranges(w->dev, &(struct weir_hwpt_opts){ .faults = w->faults }, NULL, 0);
}

static void tracks(struct world *w)
{
	(void)w;
	assert_int_equal(weir_ioas_dirty_start(w->as), 0);
}

static void has_hwpt(struct world *w)
{
	has_all(w);
	assert_int_equal(alloc(w), 0);
}

static int hwpt_free(struct world *w)
{
	int ret = weir_hwpt_free(w->hwpt);

	w->hwpt = ret ? w->hwpt : NULL;
	return ret;
}

static int attach(struct world *w)
{
	return weir_hwpt_attach(w->hwpt, w->dev ? w->dev : w->soft);
}

static void is_attached(struct world *w)
{
	has_hwpt(w);
	assert_int_equal(attach(w), 0);
}

static int detach(struct world *w)
{
	return weir_hwpt_detach(w->hwpt, w->dev ? w->dev : w->soft);
}

static int attach_pasid(struct world *w)
{
	return weir_hwpt_attach_pasid(w->hwpt, w->dev, 7);
}

static void has_pasid(struct world *w)
{
	is_attached(w);
	assert_int_equal(attach_pasid(w), 0);
}

/* Closing the device turns bus mastering off, or tries to. */
static void has_pasid_and_rests(struct world *w)
{
	has_pasid(w);
	assert_int_equal(weir_device_bus_master(w->dev, false), 0);
}

static int detach_pasid(struct world *w)
{
	return weir_hwpt_detach_pasid(w->hwpt, w->dev, 7);
}

static int close_attached(struct world *w)
{
	int ret = weir_device_close(w->dev);

	w->dev = ret ? w->dev : NULL;
	return ret;
}

static int map_beside(struct world *w)
{
	return weir_ioas_map(w->as, w->memory + 2 * PAGE, 3 * PAGE, NULL, &w->iova);
}

static void unmap_beside(struct world *w)
{
	assert_int_equal(weir_ioas_unmap(w->as, w->iova, 3 * PAGE), 0);
}

/* ---- nested tables ---- */

static const uint64_t stage1 = 1;
static const struct weir_nested nested = { .u.raw = { RAW, sizeof(stage1), &stage1 } };

static void has_parent(struct world *w)
{
	has_all(w);
	assert_int_equal(alloc_parent(w), 0);
}

static void has_vtd_parent(struct world *w)
{
	has_parent(w);
	fake.iommufd.nests_without_viommu = true;
}

static int nest(struct world *w)
{
	return weir_hwpt_nest(w->parent, w->dev, &nested, NULL, &w->nested);
}

static void has_nested(struct world *w)
{
	has_vtd_parent(w);
	assert_int_equal(nest(w), 0);
}

static int free_nested(struct world *w)
{
	int ret = weir_hwpt_free(w->nested);

	w->nested = ret ? w->nested : NULL;
	return ret;
}

static int invalidate(struct world *w)
{
	const uint64_t entries[] = { 1, 2, 3 };

	return weir_hwpt_invalidate(w->nested, RAW, entries, sizeof(entries[0]), 3, NULL);
}

/* ---- dirty tracking ---- */

static int dirty_start(struct world *w)
{
	return weir_hwpt_dirty_start(w->hwpt);
}

static void is_tracked(struct world *w)
{
	has_hwpt(w);
	assert_int_equal(dirty_start(w), 0);
}

static int dirty_stop(struct world *w)
{
	return weir_hwpt_dirty_stop(w->hwpt);
}

static int dirty_read(struct world *w)
{
	const struct weir_dirty_opts opts = { .granularity = 2 * PAGE, .keep = true };

	return weir_hwpt_dirty_read(w->hwpt, 0, 4 * PAGE, &opts, w->bitmap);
}

/* ---- page faults ---- */

static int faultq_open(struct world *w)
{
	return weir_faultq_open(w->iommu, &w->faults);
}

static int faultq_close(struct world *w)
{
	int ret = weir_faultq_close(w->faults);

	w->faults = ret ? w->faults : NULL;
	return ret;
}

static void has_request(struct world *w)
{
	has_faults(w);
	assert_int_equal(alloc_faults(w), 0);
	assert_int_equal(attach(w), 0);
	fake_page_request(0, PAGE, 3, 5);
}

static int faultq_read(struct world *w)
{
	return weir_faultq_read(w->faults, 0, &w->group);
}

static void has_taken(struct world *w)
{
	has_request(w);
	assert_int_equal(faultq_read(w), 1);
}

static int faultq_answer(struct world *w)
{
	return weir_faultq_answer(w->faults, w->group.id, true);
}

static int faultq_expire(struct world *w)
{
	return weir_faultq_expire(w->faults, 0);
}

/* ---- vIOMMUs ---- */

static int viommu_alloc(struct world *w)
{
	uint64_t data = 0;

	return weir_viommu_alloc(w->parent, w->dev, RAW, &data, sizeof(data), &w->viommu);
}

static void has_viommu(struct world *w)
{
	has_parent(w);
	assert_int_equal(viommu_alloc(w), 0);
}

static int viommu_free(struct world *w)
{
	int ret = weir_viommu_free(w->viommu);

	w->viommu = ret ? w->viommu : NULL;
	return ret;
}

static int viommu_nest(struct world *w)
{
	return weir_viommu_nest(w->viommu, w->dev, &nested, NULL, &w->nested);
}

static int viommu_invalidate(struct world *w)
{
	const uint64_t entry = 1;

	return weir_viommu_invalidate(w->viommu, RAW, &entry, sizeof(entry), 1, NULL);
}

static int viommu_map(struct world *w)
{
	return weir_viommu_map(w->viommu, PAGE, PAGE, &w->lent);
}

static void has_lent(struct world *w)
{
	has_viommu(w);
	assert_int_equal(viommu_map(w), 0);
}

static int viommu_unmap(struct world *w)
{
	int ret = weir_viommu_unmap(w->viommu, w->lent);

	w->lent = ret ? w->lent : NULL;
	return ret;
}

static int vdevice_alloc(struct world *w)
{
	return weir_vdevice_alloc(w->viommu, w->dev, 9, &w->vdevice);
}

static void has_vdevice(struct world *w)
{
	has_viommu(w);
	assert_int_equal(vdevice_alloc(w), 0);
}

static int vdevice_free(struct world *w)
{
	int ret = weir_vdevice_free(w->vdevice);

	w->vdevice = ret ? w->vdevice : NULL;
	return ret;
}

static int eventq_open(struct world *w)
{
	return weir_eventq_open(w->viommu, RAW, EVENT, 2, &w->events);
}

static void has_eventq(struct world *w)
{
	has_viommu(w);
	assert_int_equal(eventq_open(w), 0);
}

static int eventq_close(struct world *w)
{
	int ret = weir_eventq_close(w->events);

	w->events = ret ? w->events : NULL;
	return ret;
}

static void has_event(struct world *w)
{
	has_eventq(w);
	fake_event(0, 1, false);
}

static int eventq_read(struct world *w)
{
	uint32_t event;

	return weir_eventq_read(w->events, 0, &event, NULL);
}

static int hwqueue_alloc(struct world *w)
{
	return weir_hwqueue_alloc(w->viommu, RAW, 0, PAGE, PAGE, &w->queue);
}

static void has_hwqueue(struct world *w)
{
	has_viommu(w);
	assert_int_equal(hwqueue_alloc(w), 0);
}

static int hwqueue_free(struct world *w)
{
	int ret = weir_hwqueue_free(w->queue);

	w->queue = ret ? w->queue : NULL;
	return ret;
}

static int hw_info(struct world *w)
{
	struct weir_hw_info info;

	return weir_device_hw_info(w->dev, WEIR_HW_NONE, &info);
}

const struct operation walk_hwpt[] = {
	{ "weir_hwpt_alloc", "iommufd", .with = WITH_IOMMUFD, .setup = has_all, .run = alloc },
	{ "weir_hwpt_alloc", "nest parent", .with = WITH_IOMMUFD, .setup = has_all,
	  .run = alloc_parent },
	{ "weir_hwpt_alloc", "faults", .with = WITH_IOMMUFD, .setup = has_faults,
	  .run = alloc_faults },
	{ "weir_hwpt_alloc", "elsewhere", .with = WITH_IOMMUFD, .setup = has_space,
	  .run = alloc_elsewhere, .keeps_ranges = true },
	{ "weir_hwpt_alloc", "soft", .with = WITH_SOFT, .run = alloc },
	{ "weir_hwpt_alloc", "soft, tracking", .with = WITH_SOFT, .setup = tracks, .run = alloc },
	{ "weir_hwpt_ranges", "iommufd", .with = WITH_IOMMUFD, .setup = has_all, .run = ranges },
	{ "weir_hwpt_ranges", "faults", .with = WITH_IOMMUFD, .setup = has_faults,
	  .run = ranges_with_faults },
	{ "weir_hwpt_ranges", "soft", .with = WITH_SOFT, .run = ranges },
	{ "weir_hwpt_free", "iommufd", .with = WITH_IOMMUFD, .setup = has_hwpt, .run = hwpt_free,
	  .must = true, .keeps_ranges = true },
	{ "weir_hwpt_free", "soft", .with = WITH_SOFT, .setup = has_hwpt, .run = hwpt_free,
	  .must = true, .silent = "it gives memory back" },
	{ "weir_hwpt_free", "nested", .with = WITH_IOMMUFD, .setup = has_nested,
	  .run = free_nested, .must = true },
	{ "weir_hwpt_nest", .with = WITH_IOMMUFD, .setup = has_vtd_parent, .run = nest },
	{ "weir_hwpt_attach", "iommufd", .with = WITH_IOMMUFD, .setup = has_hwpt, .run = attach },
	{ "weir_hwpt_attach", "soft", .with = WITH_SOFT, .setup = has_hwpt, .run = attach },
	{ "weir_hwpt_detach", "iommufd", .with = WITH_IOMMUFD, .setup = is_attached,
	  .run = detach },
	{ "weir_hwpt_detach", "soft", .with = WITH_SOFT, .setup = is_attached, .run = detach,
	  .silent = "it is a store" },
	{ "weir_hwpt_attach_pasid", .with = WITH_IOMMUFD, .setup = is_attached,
	  .run = attach_pasid },
	{ "weir_hwpt_detach_pasid", .with = WITH_IOMMUFD, .setup = has_pasid,
	  .run = detach_pasid },
	{ "weir_hwpt_invalidate", .with = WITH_IOMMUFD, .setup = has_nested, .run = invalidate },
	{ "weir_device_close", "with a PASID", .with = WITH_IOMMUFD,
	  .setup = has_pasid_and_rests, .run = close_attached, .must = true, .keeps_ranges = true },
	{ "weir_ioas_map", "two tables on iommufd", .with = WITH_IOMMUFD, .setup = is_attached,
	  .run = map_beside, .undo = unmap_beside },
	{ "weir_ioas_map", "two tables on soft", .with = WITH_SOFT, .setup = is_attached,
	  .run = map_beside, .undo = unmap_beside, .says = -EFAULT },

	{ "weir_hwpt_dirty_start", "iommufd", .with = WITH_IOMMUFD, .setup = has_hwpt,
	  .run = dirty_start },
	{ "weir_hwpt_dirty_start", "soft", .with = WITH_SOFT, .setup = has_hwpt,
	  .run = dirty_start, .silent = "there is no large page to be split" },
	{ "weir_hwpt_dirty_stop", .with = WITH_IOMMUFD, .setup = is_tracked, .run = dirty_stop },
	{ "weir_hwpt_dirty_read", "iommufd", .with = WITH_IOMMUFD, .setup = is_tracked,
	  .run = dirty_read },
	{ "weir_hwpt_dirty_read", "soft", .with = WITH_SOFT, .setup = is_tracked,
	  .run = dirty_read, .silent = "it reads tables" },

	{ "weir_faultq_open", .with = WITH_IOMMUFD, .setup = has_all, .run = faultq_open },
	{ "weir_faultq_close", .with = WITH_IOMMUFD, .setup = has_faults, .run = faultq_close,
	  .must = true },
	{ "weir_faultq_read", .with = WITH_IOMMUFD, .setup = has_request, .run = faultq_read },
	{ "weir_faultq_answer", .with = WITH_IOMMUFD, .setup = has_taken, .run = faultq_answer },
	{ "weir_faultq_expire", .with = WITH_IOMMUFD, .setup = has_taken, .run = faultq_expire },

	{ "weir_viommu_alloc", .with = WITH_IOMMUFD, .setup = has_parent, .run = viommu_alloc },
	{ "weir_viommu_free", .with = WITH_IOMMUFD, .setup = has_viommu, .run = viommu_free,
	  .must = true },
	{ "weir_viommu_nest", .with = WITH_IOMMUFD, .setup = has_viommu, .run = viommu_nest },
	{ "weir_viommu_invalidate", .with = WITH_IOMMUFD, .setup = has_viommu,
	  .run = viommu_invalidate },
	{ "weir_viommu_map", .with = WITH_IOMMUFD, .setup = has_viommu, .run = viommu_map },
	{ "weir_viommu_unmap", .with = WITH_IOMMUFD, .setup = has_lent, .run = viommu_unmap,
	  .must = true, .silent = "it gives memory back" },
	{ "weir_vdevice_alloc", .with = WITH_IOMMUFD, .setup = has_viommu, .run = vdevice_alloc },
	{ "weir_vdevice_free", .with = WITH_IOMMUFD, .setup = has_vdevice, .run = vdevice_free,
	  .must = true },
	{ "weir_eventq_open", .with = WITH_IOMMUFD, .setup = has_viommu, .run = eventq_open },
	{ "weir_eventq_close", .with = WITH_IOMMUFD, .setup = has_eventq, .run = eventq_close,
	  .must = true },
	{ "weir_eventq_read", .with = WITH_IOMMUFD, .setup = has_event, .run = eventq_read },
	{ "weir_hwqueue_alloc", .with = WITH_IOMMUFD, .setup = has_viommu, .run = hwqueue_alloc },
	{ "weir_hwqueue_free", .with = WITH_IOMMUFD, .setup = has_hwqueue, .run = hwqueue_free,
	  .must = true },
	{ "weir_device_hw_info", .with = WITH_IOMMUFD, .setup = has_all, .run = hw_info },
	{ 0 }
};
