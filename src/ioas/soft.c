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

#include "base/err.h"
#include "base/sys.h"
#include "ioas/domain.h"
#include "ioas/iommu.h"
#include "mem/prefault.h"
#include "pgtable/vtdss.h"
#include "viommu/unit.h"

#define SMALL_SHIFT 12
#define LARGEST_SHIFT 30

struct soft {
	struct wr_domain base;
	struct wr_vtdss *tables;
	struct wr_unit *unit;
	bool tracking, small_pages;
};

static struct soft *soft_of(struct wr_domain *d)
{
	return wr_container_of(d, struct soft, base);
}

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

	for (unsigned int requester = 8; requester <= UINT16_MAX; requester += 8) {
		int ret = wr_unit_attach(s->unit, (uint16_t)requester, wr_vtdss_root(s->tables),
					 wr_vtdss_levels(s->tables));

		if (ret == -EEXIST)
			continue;
		if (!ret)
			__atomic_store_n(&ep->requester, (uint16_t)requester, __ATOMIC_RELAXED);
		return ret;
	}
	return wr_fail(-ENOSPC, "the software IOMMU has no requester id left");
}

static void soft_destroy(struct wr_domain *d)
{
	struct soft *s = soft_of(d);

	if (s->unit)
		wr_unit_destroy(s->unit);
	if (s->tables)
		wr_vtdss_destroy(s->tables);
	free(s);
}

static int soft_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	struct soft *s = calloc(1, sizeof(*s));
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
	/* As VT-d: the interrupt window is never translated. */
	wr_ranges_add(&s->base.ranges, 0, 0xfedfffff);
	wr_ranges_add(&s->base.ranges, 0xfef00000, (1ull << iommu->soft_bits) - 1);

	ret = wr_vtdss_create((iommu->soft_bits - 12) / 9, &s->tables);
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

static int soft_map(struct wr_domain *d, const struct wr_mapping *m)
{
	struct soft *s = soft_of(d);
	int ret;

	if (m->bar)
		return wr_fail(-ENOTSUP, "the software IOMMU can't map a device's registers: a "
			       "model's access to them could be this process's SIGBUS");
	ret = populate(m);
	if (ret)
		return ret;
	/* While writes are tracked, leaves are small, so that what is reported is exact. */
	return wr_vtdss_map(s->tables, m->iova, (uintptr_t)m->vaddr, m->len,
			    m->dir != WEIR_DMA_FROM_DEVICE, m->dir != WEIR_DMA_TO_DEVICE,
			    s->tracking || s->small_pages ? SMALL_SHIFT : LARGEST_SHIFT);
}

static int soft_small_pages(struct wr_domain *d, bool small)
{
	soft_of(d)->small_pages = small;
	return 0;
}

static int unmap_range(struct soft *s, weir_iova iova, uint64_t len)
{
	wr_vtdss_unmap(s->tables, iova, len);
	wr_unit_sync(s->unit);
	wr_vtdss_reap(s->tables);
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
	int ret;

	moved.vaddr = vaddr;
	ret = populate(&moved);
	if (ret)
		return ret;
	ret = wr_vtdss_move(s->tables, m->iova, (uintptr_t)vaddr, m->len);
	if (ret)
		return wr_fail(ret, "no memory to split large pages");
	wr_unit_sync(s->unit);
	return 0;
}

static int soft_dirty_start(struct wr_domain *d)
{
	struct soft *s = soft_of(d);
	uint64_t last = s->base.ranges.r[s->base.ranges.n - 1].last;
	int ret = wr_vtdss_split(s->tables, 0, last + 1, SMALL_SHIFT);

	if (ret)
		return wr_fail(ret, "dirty tracking: no memory to split large pages");
	/* Marks of an earlier tracking go first: what is marked from here on must stay. */
	wr_vtdss_dirty(s->tables, 0, last + 1, NULL);
	s->tracking = true;
	wr_unit_track_dirty(s->unit, true);
	wr_unit_sync(s->unit);
	return 0;
}

static int soft_dirty_stop(struct wr_domain *d)
{
	struct soft *s = soft_of(d);

	s->tracking = false;
	wr_unit_track_dirty(s->unit, false);
	wr_unit_sync(s->unit);
	return 0;
}

/* Dirty bits are of 4 KiB pages, and reported for the system's, which may be larger. */
static int soft_dirty_read(struct wr_domain *d, const struct wr_mapping *m, uint64_t *bitmap)
{
	struct soft *s = soft_of(d);
	size_t ratio = wr_page_size() >> SMALL_SHIFT;
	size_t pages = m->len >> SMALL_SHIFT;
	uint64_t *small;

	if (ratio == 1) {
		wr_vtdss_dirty(s->tables, m->iova, m->len, bitmap);
		wr_unit_sync(s->unit);
		return 0;
	}
	small = calloc((pages + 63) / 64, sizeof(*small));
	if (!small)
		return wr_fail(-ENOMEM, "no memory for a bitmap of %zu pages", pages);
	wr_vtdss_dirty(s->tables, m->iova, m->len, small);
	wr_unit_sync(s->unit);
	for (size_t i = 0; i < pages; i++)
		if (small[i / 64] >> (i % 64) & 1)
			bitmap[i / ratio / 64] |= 1ull << (i / ratio % 64);
	free(small);
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
	.faults = soft_faults,
};
