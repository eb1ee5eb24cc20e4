/* SPDX-License-Identifier: MIT */
/*
 * The domain soft: the software IOMMU's driver half. It writes VT-d second-stage tables and tells
 * the hardware half (viommu/unit.c) which requester uses them and when to forget what it read.
 * What a table entry calls a physical address is an address of this process.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <weir/hw.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/domain.h"
#include "ioas/iommu.h"
#include "mem/prefault.h"
#include "pgtable/vtdss.h"
#include "viommu/unit.h"

#define SMALL_SHIFT 12
#define LARGEST_SHIFT 30

/* Tables that say the same, one for all devices that aren't attached to another by hand. */
struct soft_table {
	struct wr_table base;
	struct wr_vtdss *pt;
	bool tracking;
};

struct soft {
	struct wr_domain base;
	struct wr_list tables;		/* the automatic one first */
	struct wr_unit *unit;
	bool tracking;			/* by the address space */
	bool small_pages;
};

static struct soft *soft_of(struct wr_domain *d)
{
	return wr_container_of(d, struct soft, base);
}

static struct soft_table *table_of(struct wr_table *table)
{
	return wr_container_of(table, struct soft_table, base);
}

static struct soft_table *automatic(struct soft *s)
{
	return table_of(wr_container_of(s->tables.next, struct wr_table, link));
}

/* With each of a domain's tables in turn as @table, a struct wr_table. */
#define for_each_table(table, s) wr_list_for_each(table, &(s)->tables, link)

struct wr_unit *wr_domain_unit(struct wr_domain *d)
{
	return soft_of(d)->unit;
}

static bool soft_fits(const struct wr_endpoint *ep)
{
	return !ep->group;
}

/* The first free device number: requesters are 00:01.0, 00:02.0, … and further buses. */
static int soft_join(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct soft *s = soft_of(d);
	const struct wr_vtdss *pt = automatic(s)->pt;

	for (unsigned int requester = 8; requester <= UINT16_MAX; requester += 8) {
		int ret = wr_unit_attach(s->unit, (uint16_t)requester, wr_vtdss_root(pt),
					 wr_vtdss_levels(pt));

		if (ret == -EEXIST)
			continue;
		if (!ret) {
			__atomic_store_n(&ep->requester, (uint16_t)requester, __ATOMIC_RELAXED);
			ep->table = &automatic(s)->base;
		}
		return ret;
	}
	return wr_fail(-ENOSPC, "the software IOMMU has no requester id left");
}

static void drop_table(struct soft_table *table)
{
	wr_list_del(&table->base.link);
	wr_vtdss_destroy(table->pt);
	free(table);
}

static int new_table(struct soft *s, unsigned int levels, struct soft_table **out)
{
	struct soft_table *table = calloc(1, sizeof(*table));
	int ret;

	if (!table)
		return wr_fail(-ENOMEM, "no memory for a page table");
	ret = wr_vtdss_create(levels, &table->pt);
	if (ret) {
		free(table);
		return ret;
	}
	table->base.dirty = true;
	wr_list_init(&table->base.link);
	wr_list_add_tail(&s->tables, &table->base.link);
	*out = table;
	return 0;
}

static void soft_destroy(struct wr_domain *d)
{
	struct soft *s = soft_of(d);

	if (s->unit)
		wr_unit_destroy(s->unit);
	while (!wr_list_empty(&s->tables))
		drop_table(automatic(s));
	free(s);
}

static int soft_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	struct soft *s = calloc(1, sizeof(*s));
	struct soft_table *table;
	int ret;

	(void)ep;
	if (!s)
		return wr_fail(-ENOMEM, "no memory for a software IOMMU");
	s->base = (struct wr_domain){
		.ops = &wr_domain_soft,
		.page_sizes = 1ull << 12 | 1ull << 21 | 1ull << 30,
		.dirty = WEIR_DIRTY_EXACT,
		.isolation = true,
		.room = UINT64_MAX,
	};
	wr_list_init(&s->base.link);
	wr_list_init(&s->tables);
	/* As VT-d: the interrupt window is never translated. */
	wr_ranges_add(&s->base.ranges, 0, 0xfedfffff);
	wr_ranges_add(&s->base.ranges, 0xfef00000, (1ull << iommu->soft_bits) - 1);

	ret = new_table(s, (iommu->soft_bits - 12) / 9, &table);
	if (!ret)
		ret = wr_unit_create(&s->unit);
	if (ret)
		soft_destroy(&s->base);
	else
		*out = &s->base;
	return ret;
}

static void soft_leave(struct wr_domain *d, struct wr_endpoint *ep)
{
	wr_unit_detach(soft_of(d)->unit, ep->requester);
}

/* The device holds its DMA meanwhile; what it is called may be another's in that unit. */
static int soft_take(struct wr_domain *d, struct wr_endpoint *ep)
{
	uint16_t old = ep->requester;
	int ret = soft_join(d, ep);

	if (!ret)
		wr_unit_detach(soft_of(ep->domain)->unit, old);
	return ret;
}

/*
 * Fault the pages in, which is how the kernel's interfaces find out that memory isn't there or
 * may not be accessed, when they pin it. Memory of devices hasn't got pages and is refused as well.
 * On kernels before 5.14 a bad address shows when a device uses it.
 */
static int populate(const struct wr_mapping *m)
{
	bool write = m->dir != WEIR_DMA_TO_DEVICE;
	int ret = wr_populate(m->vaddr, m->len, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);

	if (!ret || ret == -ENOSYS)
		return 0;
	return wr_fail(-EFAULT, "mapping %" PRIu64 " bytes at %p: not all of it is memory that can "
		       "be %s", m->len, (void *)m->vaddr, write ? "written" : "read");
}

/* While writes are tracked, leaves are small, so that what is reported is exact. */
static int map_in(const struct soft *s, struct soft_table *table, const struct wr_mapping *m)
{
	return wr_vtdss_map(table->pt, m->iova, (uintptr_t)m->vaddr, m->len,
			    m->dir != WEIR_DMA_FROM_DEVICE, m->dir != WEIR_DMA_TO_DEVICE,
			    table->tracking || s->small_pages ? SMALL_SHIFT : LARGEST_SHIFT);
}

static int unmap_range(struct soft *s, weir_iova iova, uint64_t len)
{
	struct wr_table *table;

	for_each_table(table, s)
		wr_vtdss_unmap(table_of(table)->pt, iova, len);
	wr_unit_sync(s->unit);
	for_each_table(table, s)
		wr_vtdss_reap(table_of(table)->pt);
	return 0;
}

static int soft_map(struct wr_domain *d, const struct wr_mapping *m)
{
	struct soft *s = soft_of(d);
	struct wr_table *table;
	int ret;

	if (m->bar)
		return wr_fail(-ENOTSUP, "the software IOMMU can't map a device's registers: a "
			       "model's access to them could be this process's SIGBUS");
	ret = populate(m);
	if (ret)
		return ret;
	for_each_table(table, s) {
		ret = map_in(s, table_of(table), m);
		/* Where it isn't mapped there is nothing to be unmapped. */
		if (ret && table->link.prev != &s->tables)
			unmap_range(s, m->iova, m->len);
		if (ret)
			return ret;
	}
	return 0;
}

static int soft_small_pages(struct wr_domain *d, bool small)
{
	soft_of(d)->small_pages = small;
	return 0;
}

static int soft_unmap(struct wr_domain *d, const struct wr_mapping *m, size_t n)
{
	return unmap_range(soft_of(d), m->iova, m[n - 1].iova - m->iova + m[n - 1].len);
}

static int soft_unmap_all(struct wr_domain *d)
{
	return unmap_range(soft_of(d), 0, d->ranges.r[d->ranges.n - 1].last + 1);
}

/* No access is blocked meanwhile; on return none uses the old address any more. */
static int soft_move(struct wr_domain *d, const struct wr_mapping *m, void *vaddr)
{
	struct soft *s = soft_of(d);
	struct wr_mapping moved = *m;
	struct wr_table *table, *undo;
	int ret;

	moved.vaddr = vaddr;
	ret = populate(&moved);
	if (ret)
		return ret;
	for_each_table(table, s) {
		ret = wr_vtdss_move(table_of(table)->pt, m->iova, (uintptr_t)vaddr, m->len);
		if (ret)
			goto move_back;
	}
	wr_unit_sync(s->unit);
	return 0;
move_back:
	/* What has been split needs no memory. */
	for_each_table(undo, s) {
		if (undo == table)
			break;
		wr_vtdss_move(table_of(undo)->pt, m->iova, (uintptr_t)m->vaddr, m->len);
	}
	/* Nobody writes to the new address any more. */
	wr_unit_sync(s->unit);
	return wr_fail(ret, "no memory to split large pages");
}

/* ---- dirty tracking ---- */

/* The hardware half marks for all tables, or for none: marks that nobody asked for do no harm. */
static void tell_unit(struct soft *s)
{
	struct wr_table *table;
	bool any = false;

	for_each_table(table, s)
		any |= table_of(table)->tracking;
	wr_unit_track_dirty(s->unit, any);
	wr_unit_sync(s->unit);
}

static int start(const struct soft *s, struct soft_table *table)
{
	uint64_t last = s->base.ranges.r[s->base.ranges.n - 1].last;
	int ret = wr_vtdss_split(table->pt, 0, last + 1, SMALL_SHIFT);

	if (ret)
		return wr_fail(ret, "dirty tracking: no memory to split large pages");
	/* Marks of an earlier tracking go first: what is marked from here on must stay. */
	wr_vtdss_dirty(table->pt, 0, last + 1, NULL);
	table->tracking = true;
	return 0;
}

static int soft_dirty_stop(struct wr_domain *d)
{
	struct soft *s = soft_of(d);
	struct wr_table *table;

	s->tracking = false;
	for_each_table(table, s)
		table_of(table)->tracking = false;
	tell_unit(s);
	return 0;
}

static int soft_dirty_start(struct wr_domain *d)
{
	struct soft *s = soft_of(d);
	struct wr_table *table;
	int ret;

	for_each_table(table, s) {
		ret = start(s, table_of(table));
		if (ret) {
			soft_dirty_stop(d);
			return ret;
		}
	}
	s->tracking = true;
	tell_unit(s);
	return 0;
}

/* Dirty bits are of 4 KiB pages, and reported for larger ones: OR-ed into @bitmap. */
static int read_table(struct soft *s, struct soft_table *table, weir_iova iova, uint64_t len,
		      uint64_t granularity, bool keep, uint64_t *bitmap)
{
	size_t ratio = granularity >> SMALL_SHIFT, pages = len >> SMALL_SHIFT;
	uint64_t *small = bitmap;

	if (ratio > 1)
		small = calloc((pages + 63) / 64, sizeof(*small));
	if (!small)
		return wr_fail(-ENOMEM, "no memory for a bitmap of %zu pages", pages);
	if (keep)
		wr_vtdss_dirty_keep(table->pt, iova, len, small);
	else
		wr_vtdss_dirty(table->pt, iova, len, small);
	wr_unit_sync(s->unit);
	for (size_t i = 0; ratio > 1 && i < pages; i++)
		if (small[i / 64] >> (i % 64) & 1)
			bitmap[i / ratio / 64] |= 1ull << (i / ratio % 64);
	if (ratio > 1)
		free(small);
	return 0;
}

static int soft_dirty_read(struct wr_domain *d, const struct wr_mapping *m, uint64_t *bitmap)
{
	struct soft *s = soft_of(d);
	struct wr_table *table;
	int ret = 0;

	for_each_table(table, s)
		if (!ret)
			ret = read_table(s, table_of(table), m->iova, m->len, wr_page_size(),
					 false, bitmap);
	return ret;
}

/* ---- page tables by hand ---- */

static int soft_table_alloc(struct wr_domain *d, struct wr_endpoint *ep,
			    const struct wr_table_spec *spec, struct wr_table **out)
{
	struct soft *s = soft_of(d);
	struct soft_table *table;
	int ret;

	(void)ep;
	if (spec->nest_parent || spec->pasid || spec->faults)
		return wr_fail(-ENOTSUP, "the software IOMMU has paging tables alone: without "
			       "nesting, PASIDs and page faults");
	ret = new_table(s, wr_vtdss_levels(automatic(s)->pt), &table);
	if (ret)
		return ret;
	table->base.by_hand = true;
	table->tracking = s->tracking;
	*out = &table->base;
	return 0;
}

static int soft_table_map(struct wr_domain *d, struct wr_table *table, const struct wr_mapping *m)
{
	return map_in(soft_of(d), table_of(table), m);
}

static void soft_table_free(struct wr_domain *d, struct wr_table *table)
{
	drop_table(table_of(table));
	tell_unit(soft_of(d));
}

static int soft_table_use(struct wr_domain *d, struct wr_endpoint *ep, struct wr_table *table,
			  struct wr_table *was)
{
	struct soft *s = soft_of(d);
	const struct wr_vtdss *pt = table ? table_of(table)->pt : automatic(s)->pt;

	(void)was;
	wr_unit_replace(s->unit, ep->requester, wr_vtdss_root(pt), wr_vtdss_levels(pt));
	return 0;
}

static int soft_table_track(struct wr_domain *d, struct wr_table *table, bool on)
{
	struct soft *s = soft_of(d);
	int ret = on ? start(s, table_of(table)) : 0;

	if (ret)
		return ret;
	table_of(table)->tracking = on;
	tell_unit(s);
	return 0;
}

static int soft_table_dirty(struct wr_domain *d, struct wr_table *table, weir_iova iova,
			    uint64_t len, uint64_t granularity, bool keep, uint64_t *bitmap)
{
	return read_table(soft_of(d), table_of(table), iova, len, granularity, keep, bitmap);
}

static int soft_hw_info(struct wr_domain *d, const struct wr_endpoint *ep, uint32_t type,
			struct weir_hw_info *info)
{
	(void)d, (void)ep;
	if (type)
		return wr_fail(-ENOTSUP, "the software IOMMU is of no make");
	*info = (struct weir_hw_info){ .dirty = true };
	return 0;
}

static int soft_faults(struct wr_domain *d, struct weir_fault *faults, size_t n)
{
	return wr_unit_faults(soft_of(d)->unit, faults, n);
}

const struct wr_domain_ops wr_domain_soft = {
	.name = "soft",
	.fits = soft_fits,
	.create = soft_create,
	.destroy = soft_destroy,
	.join = soft_join,
	.leave = soft_leave,
	.take = soft_take,
	.map = soft_map,
	.unmap = soft_unmap,
	.unmap_all = soft_unmap_all,
	.small_pages = soft_small_pages,
	.move = soft_move,
	.dirty_start = soft_dirty_start,
	.dirty_stop = soft_dirty_stop,
	.dirty_read = soft_dirty_read,
	.table_alloc = soft_table_alloc,
	.table_map = soft_table_map,
	.table_free = soft_table_free,
	.table_use = soft_table_use,
	.table_track = soft_table_track,
	.table_dirty = soft_table_dirty,
	.hw_info = soft_hw_info,
	.faults = soft_faults,
};
