/* SPDX-License-Identifier: MIT */
/*
 * The domain iommufd: an IOAS of /dev/iommu, which the kernel pins and maps for once, and page
 * tables (HWPT) that it fills from it for each IOMMU that needs one of its own. Devices come by
 * their own nodes.
 *
 * weir makes the page tables itself, in place of letting the kernel do so when a device is attached
 * to the IOAS: then one can have dirty tracking, and it is there before the device is, so that what
 * can't be pinned is found out mapping by mapping.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/domain.h"
#include "ioas/iommu.h"
#include "kernel/cdev.h"
#include "kernel/group.h"
#include "kernel/hwpt.h"
#include "kernel/iommufd.h"

struct iommufd {
	struct wr_domain base;
	struct weir_iommu *iommu;
	int fd;				/* the context's */
	uint32_t ioas;
	struct wr_list tables;
	bool tracking;
	bool no_files;			/* the kernel can't map them */
};

static struct iommufd *iommufd_of(struct wr_domain *d)
{
	return wr_container_of(d, struct iommufd, base);
}

static bool iommufd_fits(const struct wr_endpoint *ep)
{
	return ep->group && !ep->group->noiommu;
}

/* ---- page tables ---- */

/* Whether the IOMMU of the device can track what it writes: 1, 0 or -errno. */
static int tells_dirty(struct iommufd *i, uint32_t devid)
{
	struct weir_hw_info info;
	int ret = wr_iommufd_hw_info(i->fd, devid, WEIR_HW_NONE, &info);

	return ret < 0 ? ret : info.dirty;
}

static int new_table(struct iommufd *i, const struct wr_endpoint *ep,
		     const struct wr_table_spec *spec, struct wr_table **out)
{
	struct wr_table *table = calloc(1, sizeof(*table));
	const struct wr_hwpt_spec hwpt = {
		.devid = ep->devid,
		.on = i->ioas,
		.flags = (spec->nest_parent ? WR_IOMMU_HWPT_NEST_PARENT : 0) |
			 (spec->dirty ? WR_IOMMU_HWPT_DIRTY : 0) |
			 (spec->pasid ? WR_IOMMU_HWPT_PASID : 0) |
			 (spec->faults ? WR_IOMMU_HWPT_FAULT : 0),
		.faults = spec->faults,
	};
	int ret;

	if (!table)
		return wr_fail(-ENOMEM, "no memory");
	table->dirty = spec->dirty;
	table->pasid = spec->pasid;
	ret = wr_iommufd_hwpt_alloc(i->fd, &hwpt, &table->number);
	if (!ret && i->tracking && table->dirty) {
		ret = wr_iommufd_track(i->fd, table->number, true);
		if (ret)
			wr_iommufd_destroy(i->fd, table->number);
	}
	if (ret) {
		free(table);
		return ret;
	}
	wr_list_init(&table->link);
	wr_list_add_tail(&i->tables, &table->link);
	*out = table;
	return 0;
}

/* What was handed over goes on in another process. */
static void destroy_object(struct iommufd *i, uint32_t id)
{
	if (!wr_iommu_handed(i->iommu))
		wr_iommufd_destroy(i->fd, id);
}

/* Whether all that devices write can be tracked. One by hand may be there without a device. */
static void iommufd_table_used(struct wr_domain *d)
{
	enum weir_dirty dirty = WEIR_DIRTY_EXACT;
	struct wr_table *table;

	wr_list_for_each(table, &iommufd_of(d)->tables, link)
		if (!table->dirty && (table->users || !table->by_hand))
			dirty = WEIR_DIRTY_NONE;
	__atomic_store_n(&d->dirty, dirty, __ATOMIC_RELAXED);
}

static void drop_table(struct iommufd *i, struct wr_table *table)
{
	wr_list_del(&table->link);
	iommufd_table_used(&i->base);
	destroy_object(i, table->number);
	free(table);
}

/* By way of a table in which nothing is mapped, so that the device reaches nothing by it. */
static int attach_anew(struct iommufd *i, struct wr_endpoint *ep, const struct wr_table *table)
{
	struct wr_hwpt_spec spec = {
		.devid = ep->devid, .flags = table->pasid ? WR_IOMMU_HWPT_PASID : 0,
	};
	uint32_t empty;
	int ret = wr_iommufd_ioas_alloc(i->fd, &spec.on);

	if (ret)
		return ret;
	ret = wr_iommufd_hwpt_alloc(i->fd, &spec, &empty);
	if (!ret) {
		ret = wr_cdev_attach(ep->fd, empty);
		if (!ret)
			ret = wr_cdev_attach(ep->fd, table->number);
		wr_iommufd_destroy(i->fd, empty);
	}
	wr_iommufd_destroy(i->fd, spec.on);
	return ret;
}

/*
 * VT-d's driver blocks a device before it looks whether the table will do, and leaves it so if not
 * (intel_iommu_attach_device()). For IOMMUFD and the IOMMU core it then is where it was, and to
 * attach it there once more does nothing (iommufd_device_do_replace(),
 * __iommu_group_set_domain_internal()). @was: NULL, it was nowhere.
 */
static int attach(struct iommufd *i, struct wr_endpoint *ep, const struct wr_table *table,
		  const struct wr_table *was)
{
	int ret = wr_cdev_attach(ep->fd, table->number);
	char why[512];

	if (!ret || ret == -EBUSY || !was)
		return ret;
	snprintf(why, sizeof(why), "%s", weir_errmsg());
	if (attach_anew(i, ep, was))
		return wr_fail(ret, "%s; its DMA may be blocked from now on, since it can't be "
			       "attached anew to the table that it had: %s", why, weir_errmsg());
	return wr_fail(ret, "%s", why);
}

/*
 * One of the page tables that are there, or else a new one: only attaching shows which of them the
 * device's IOMMU can use (iommufd_hw_pagetable_attach(), intel_iommu_attach_device()).
 */
static int use_table(struct iommufd *i, struct wr_endpoint *ep, struct wr_table **out)
{
	int dirty = tells_dirty(i, ep->devid), ret;
	const struct wr_table_spec spec = { .dirty = dirty };
	struct wr_table *table;

	if (dirty < 0)
		return dirty;
	if (!dirty && i->tracking)
		return wr_fail(-EINVAL, "dirty tracking is on, and the device's IOMMU has none");
	wr_list_for_each(table, &i->tables, link) {
		if (table->by_hand || table->dirty != dirty)
			continue;
		ret = attach(i, ep, table, ep->table);
		if (!ret)
			*out = table;
		if (ret != -EINVAL)
			return ret;
	}
	ret = new_table(i, ep, &spec, &table);
	if (ret)
		return ret;
	ret = attach(i, ep, table, ep->table);
	if (ret)
		drop_table(i, table);
	else
		*out = table;
	return ret;
}

static void leave_table(struct iommufd *i, struct wr_table *table)
{
	if (!--table->users)
		drop_table(i, table);
}

/* What holds for all page tables. */
static int refresh(struct iommufd *i)
{
	uint64_t page_size;
	int ret = wr_iommufd_ranges(i->fd, i->ioas, &i->base.ranges, &page_size);

	if (ret)
		return ret;
	/* Of larger pages it doesn't tell; it uses them. */
	__atomic_store_n(&i->base.page_sizes, page_size, __ATOMIC_RELAXED);
	iommufd_table_used(&i->base);
	return 0;
}

/* ---- devices ---- */

static void iommufd_destroy(struct wr_domain *d)
{
	struct iommufd *i = iommufd_of(d);
	struct wr_table *table;

	while (!wr_list_empty(&i->tables)) {
		table = wr_container_of(i->tables.next, struct wr_table, link);
		drop_table(i, table);
	}
	destroy_object(i, i->ioas);
	wr_iommu_iommufd_put(i->iommu);
	free(i);
}

/* For a device that is bound already, which comes from another space, with its page table. */
static int prepare_to_take(struct iommufd *i, const struct wr_endpoint *ep)
{
	int dirty = tells_dirty(i, ep->devid), ret;
	const struct wr_table_spec spec = { .dirty = dirty };
	struct wr_table *table;

	if (dirty < 0)
		return dirty;
	ret = new_table(i, ep, &spec, &table);
	return ret ? ret : refresh(i);
}

/* In the context's /dev/iommu, which is held. */
static struct iommufd *new_domain(struct weir_iommu *iommu)
{
	struct iommufd *i = calloc(1, sizeof(*i));

	if (!i) {
		wr_fail(-ENOMEM, "no memory");
		return NULL;
	}
	i->base.ops = &wr_domain_iommufd;
	i->base.isolation = true;
	i->base.room = UINT64_MAX;
	wr_list_init(&i->base.link);
	wr_list_init(&i->tables);
	i->iommu = iommu;
	i->fd = iommu->iommufd;
	return i;
}

static int iommufd_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	struct iommufd *i;
	int ret = wr_iommu_iommufd_get(iommu);

	if (ret)
		return ret;
	i = new_domain(iommu);
	if (!i) {
		ret = -ENOMEM;
		goto put_iommufd;
	}
	ret = wr_iommufd_ioas_alloc(i->fd, &i->ioas);
	if (ret)
		goto free_domain;
	ret = ep->domain ? prepare_to_take(i, ep) : 0;
	if (ret) {
		iommufd_destroy(&i->base);
		return ret;
	}
	*out = &i->base;
	return 0;
free_domain:
	free(i);
put_iommufd:
	wr_iommu_iommufd_put(iommu);
	return ret;
}

static int iommufd_join(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct iommufd *i = iommufd_of(d);
	int ret;

	ep->fd = ret = ep->use_fd ? wr_cdev_dup(ep->name, ep->group, ep->given_fd) :
				    wr_cdev_open(ep->name, ep->group);
	if (ret < 0)
		return ret;
	ret = wr_cdev_bind(ep->fd, i->fd, ep->name, ep->group, ep->vf_token, &ep->devid);
	if (ret)
		goto close_node;
	ep->table = NULL;
	ret = use_table(i, ep, &ep->table);
	if (ret)
		goto close_node;
	ep->table->users++;
	ret = refresh(i);
	if (ret)
		goto leave;
	return 0;
leave:
	wr_cdev_detach(ep->fd);
	leave_table(i, ep->table);
close_node:
	wr_close(ep->fd);	/* which is what ends a binding */
	return ret;
}

static void iommufd_leave(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct iommufd *i = iommufd_of(d);

	if (!wr_iommu_handed(i->iommu))
		wr_cdev_detach(ep->fd);
	wr_close(ep->fd);
	leave_table(i, ep->table);
	/* Its ranges may have grown; where they can't be read, the old ones still hold. */
	if (d->endpoints || d->hwpts)
		refresh(i);
}

/* The kernel puts one page table in the other's place (iommufd_device_do_replace()). */
static int iommufd_take(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct iommufd *from = iommufd_of(ep->domain), *to = iommufd_of(d);
	struct wr_table *table;
	int ret = use_table(to, ep, &table);

	if (ret)
		return ret;
	table->users++;
	ret = refresh(to);
	if (ret) {
		/* It was there until a moment ago. */
		if (attach(to, ep, ep->table, table))
			wr_log(WEIR_LOG_ERROR, "%s: stays in the address space that it was to go "
			       "to: %s", ep->name, weir_errmsg());
		leave_table(to, table);
		return ret;
	}
	leave_table(from, ep->table);
	ep->table = table;
	refresh(from);
	return 0;
}

/* ---- from one process to another ---- */

static uint32_t iommufd_tell(struct wr_domain *d, const struct wr_endpoint *ep,
			     struct wr_numbers *n)
{
	*n = (struct wr_numbers){
		.devid = ep->devid,
		.table = ep->table->number,
		.dirty = ep->table->dirty,
	};
	return iommufd_of(d)->ioas;
}

static int iommufd_adopt(struct weir_iommu *iommu, uint32_t number, bool tracking,
			 struct wr_domain **out)
{
	struct iommufd *i = new_domain(iommu);
	int ret;

	if (!i)
		return -ENOMEM;
	i->ioas = number;
	i->tracking = tracking;
	ret = refresh(i);
	if (ret)
		free(i);
	else
		*out = &i->base;
	return ret;
}

/* The page table of that number, which other devices of the domain may use, too. */
static struct wr_table *known_table(struct iommufd *i, const struct wr_numbers *n)
{
	struct wr_table *table;

	wr_list_for_each(table, &i->tables, link)
		if (table->number == n->table)
			return table;
	table = calloc(1, sizeof(*table));
	if (!table) {
		wr_fail(-ENOMEM, "no memory");
		return NULL;
	}
	table->number = n->table;
	table->dirty = n->dirty;
	wr_list_init(&table->link);
	wr_list_add_tail(&i->tables, &table->link);
	return table;
}

static int iommufd_rejoin(struct wr_domain *d, struct wr_endpoint *ep, const struct wr_numbers *n)
{
	struct iommufd *i = iommufd_of(d);
	int ret = tells_dirty(i, n->devid);

	if (ret < 0)
		return wr_fail_in(ret, "device %u of this %s", n->devid, WR_IOMMUFD_NODE);
	ep->table = known_table(i, n);
	if (!ep->table)
		return -ENOMEM;
	ep->devid = n->devid;
	ep->table->users++;
	ret = refresh(i);
	if (ret)
		leave_table(i, ep->table);
	return ret;
}

static int iommufd_charge(struct wr_domain *d)
{
	struct iommufd *i = iommufd_of(d);

	/* It can't be taken from a process that is gone (update_mm_locked_vm(), with a warning). */
	if (i->iommu->memlock == WR_MEMLOCK_PROCESS)
		return wr_fail(-ENOTSUP, "this %s counts what is pinned by process "
			       "(IOMMU_OPTION_RLIMIT_MODE), which can't go to another process: let "
			       "it count by user", WR_IOMMUFD_NODE);
	return wr_iommufd_change_process(i->fd);
}

/* ---- mappings ---- */

/* Where the kernel hasn't got it, or not for such a file, weir's own mapping of it will do. */
static int iommufd_map(struct wr_domain *d, const struct wr_mapping *m)
{
	struct iommufd *i = iommufd_of(d);
	int ret;

	if (m->bar)
		return wr_iommufd_map_bar(i->fd, i->ioas, m, i->iommu->memlock);
	if (m->file && !i->no_files) {
		ret = wr_iommufd_map_file(i->fd, i->ioas, m, i->iommu->memlock);
		if (ret != -ENOTTY && ret != -EINVAL)
			return ret;
		i->no_files = ret == -ENOTTY;
		if (i->no_files)
			wr_log(WEIR_LOG_INFO, "files are mapped by address: this kernel's IOMMUFD "
			       "can't map them themselves (Linux 6.13)");
	}
	return wr_iommufd_map(i->fd, i->ioas, m, i->iommu->memlock);
}

static int iommufd_copy(struct wr_domain *d, const struct wr_mapping *m, size_t n,
			struct wr_domain *from, weir_iova source)
{
	struct iommufd *i = iommufd_of(d);

	return wr_iommufd_copy(i->fd, i->ioas, iommufd_of(from)->ioas, source, m, n);
}

static int iommufd_unmap(struct wr_domain *d, const struct wr_mapping *m, size_t n)
{
	struct iommufd *i = iommufd_of(d);

	return wr_iommufd_unmap(i->fd, i->ioas, m->iova, m[n - 1].iova - m->iova + m[n - 1].len, n);
}

static int iommufd_unmap_all(struct wr_domain *d)
{
	return wr_iommufd_unmap_all(iommufd_of(d)->fd, iommufd_of(d)->ioas);
}

static int iommufd_allow(struct wr_domain *d, const struct wr_ranges *ranges)
{
	return wr_iommufd_allow(iommufd_of(d)->fd, iommufd_of(d)->ioas, ranges);
}

static int iommufd_small_pages(struct wr_domain *d, bool small)
{
	return wr_iommufd_small_pages(iommufd_of(d)->fd, iommufd_of(d)->ioas, small);
}

static int iommufd_move(struct wr_domain *d, const struct wr_mapping *m, void *vaddr)
{
	(void)d, (void)m, (void)vaddr;
	return wr_fail(-ENOTSUP, "IOMMUFD can't be told that memory has another address: unmap it "
		       "and map it again");
}

/* ---- dirty tracking ---- */

static int iommufd_dirty_stop(struct wr_domain *d)
{
	struct iommufd *i = iommufd_of(d);
	struct wr_table *table;

	wr_list_for_each(table, &i->tables, link) {
		int ret = table->dirty ? wr_iommufd_track(i->fd, table->number, false) : 0;

		if (ret)
			return ret;
	}
	i->tracking = false;
	return 0;
}

static int iommufd_dirty_start(struct wr_domain *d)
{
	struct iommufd *i = iommufd_of(d);
	struct wr_table *table, *undo;
	int ret = 0;

	wr_list_for_each(table, &i->tables, link) {
		ret = table->dirty ? wr_iommufd_track(i->fd, table->number, true) : 0;
		if (ret)
			break;
	}
	if (!ret) {
		i->tracking = true;
		return 0;
	}
	wr_list_for_each(undo, &i->tables, link) {
		if (undo == table)
			break;
		if (undo->dirty)
			wr_iommufd_track(i->fd, undo->number, false);
	}
	return ret;
}

static int iommufd_dirty_read(struct wr_domain *d, const struct wr_mapping *m, uint64_t *bitmap)
{
	struct iommufd *i = iommufd_of(d);
	struct wr_table *table;

	wr_list_for_each(table, &i->tables, link) {
		int ret = table->dirty ? wr_iommufd_dirty(i->fd, table->number, m->iova, m->len,
						       wr_page_size(), false, bitmap) : 0;

		if (ret)
			return ret;
	}
	return 0;
}

/* ---- page tables by hand ---- */

static int iommufd_table_alloc(struct wr_domain *d, struct wr_endpoint *ep,
			       const struct wr_table_spec *spec, struct wr_table **out)
{
	struct iommufd *i = iommufd_of(d);
	struct wr_table *table, *unused = NULL, *other;
	int ret = new_table(i, ep, spec, &table);

	if (ret)
		return ret;
	table->by_hand = true;
	/* What prepare_to_take() made. The new domain is this table's alone, and so its ranges. */
	wr_list_for_each(other, &i->tables, link)
		if (!other->by_hand && !other->users)
			unused = other;
	if (unused)
		drop_table(i, unused);
	ret = refresh(i);
	if (ret)
		drop_table(i, table);
	else
		*out = table;
	return ret;
}

static void iommufd_table_free(struct wr_domain *d, struct wr_table *table)
{
	struct iommufd *i = iommufd_of(d);

	drop_table(i, table);
	if (d->endpoints || d->hwpts)
		refresh(i);
}

static int iommufd_table_use(struct wr_domain *d, struct wr_endpoint *ep, struct wr_table *table,
			     struct wr_table *was)
{
	return attach(iommufd_of(d), ep, table ? table : ep->table, was ? was : ep->table);
}

static int iommufd_table_track(struct wr_domain *d, struct wr_table *table, bool on)
{
	return wr_iommufd_track(iommufd_of(d)->fd, table->number, on);
}

static int iommufd_table_dirty(struct wr_domain *d, struct wr_table *table, weir_iova iova,
			       uint64_t len, uint64_t granularity, bool keep, uint64_t *bitmap)
{
	return wr_iommufd_dirty(iommufd_of(d)->fd, table->number, iova, len, granularity, keep,
			     bitmap);
}

static int iommufd_hw_info(struct wr_domain *d, const struct wr_endpoint *ep, uint32_t type,
			   struct weir_hw_info *info)
{
	return wr_iommufd_hw_info(iommufd_of(d)->fd, ep->devid, type, info);
}

const struct wr_domain_ops wr_domain_iommufd = {
	.name = "iommufd",
	.fits = iommufd_fits,
	.create = iommufd_create,
	.destroy = iommufd_destroy,
	.join = iommufd_join,
	.leave = iommufd_leave,
	.take = iommufd_take,
	.tell = iommufd_tell,
	.adopt = iommufd_adopt,
	.rejoin = iommufd_rejoin,
	.charge = iommufd_charge,
	.map = iommufd_map,
	.copy = iommufd_copy,
	.unmap = iommufd_unmap,
	.unmap_all = iommufd_unmap_all,
	.allow = iommufd_allow,
	.small_pages = iommufd_small_pages,
	.move = iommufd_move,
	.dirty_start = iommufd_dirty_start,
	.dirty_stop = iommufd_dirty_stop,
	.dirty_read = iommufd_dirty_read,
	.table_alloc = iommufd_table_alloc,
	.table_free = iommufd_table_free,
	.table_use = iommufd_table_use,
	.table_used = iommufd_table_used,
	.table_track = iommufd_table_track,
	.table_dirty = iommufd_table_dirty,
	.hw_info = iommufd_hw_info,
};
