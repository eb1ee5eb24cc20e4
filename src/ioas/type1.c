/* SPDX-License-Identifier: MIT */
/*
 * The domain type1: a VFIO container, which the kernel pins and maps for. Version 2 and version 1
 * differ for us in dirty tracking only, since weir always unmaps what it mapped; where the
 * kernel's version 1 would unmap more than asked, it is asked for whole mappings.
 *
 * IOMMUFD can stand in for such a container (drivers/iommu/iommufd/vfio_compat.c): it is put into
 * the group in the container's place (the domain compat), or is /dev/vfio/vfio itself. It tells of
 * no limit of mappings, and has neither dirty tracking nor new addresses for what is mapped.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/domain.h"
#include "ioas/iommu.h"
#include "kernel/container.h"
#include "kernel/iommufd.h"
#include "kernel/uapi.h"

struct type1 {
	struct wr_domain base;
	int fd;			/* the container */
	unsigned long type;
	bool unmaps_all, moves;	/* what its kernel can do */
	enum wr_memlock memlock;
	bool iommufd;		/* it is, in the container's place */
	uint64_t limit;		/* of mappings, UINT64_MAX: it doesn't say */
	bool warned;		/* that the limit is near */
};

static struct type1 *type1_of(struct wr_domain *d)
{
	return wr_container_of(d, struct type1, base);
}

static bool type1_fits(const struct wr_endpoint *ep)
{
	return ep->group && !ep->use_fd && !ep->group->noiommu;
}

static void set_room(struct type1 *t, uint64_t room)
{
	__atomic_store_n(&t->base.room, room, __ATOMIC_RELAXED);
}

static int refresh(struct type1 *t)
{
	struct wr_container_info info;
	int ret = wr_container_info(t->fd, &info);

	if (ret)
		return ret;
	__atomic_store_n(&t->base.page_sizes, info.page_sizes, __ATOMIC_RELAXED);
	/* The kernel can't see which pages a device wrote, and reports all (vfio_iommu_type1.c). */
	__atomic_store_n(&t->base.dirty, t->type == WR_VFIO_TYPE1v2 && info.tracks_dirty ?
			 WEIR_DIRTY_ALL : WEIR_DIRTY_NONE, __ATOMIC_RELAXED);
	t->base.ranges = info.ranges;
	set_room(t, info.room);
	return 0;
}

/* @compat: whose IOMMUFD is to be the container; NULL: VFIO's own. */
static int create(unsigned long type, const struct weir_iommu *compat,
		  const struct wr_domain_ops *ops, struct wr_domain **out)
{
	struct type1 *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return wr_fail(-ENOMEM, "no memory");
	t->base.ops = ops;
	t->base.isolation = true;
	wr_list_init(&t->base.link);
	t->type = type;
	t->fd = ret = compat ? wr_container_open_iommufd(type, compat->accounting) :
			       wr_container_open(type);
	if (ret < 0) {
		free(t);
		return ret;
	}
	t->memlock = compat ? wr_iommufd_memlock(t->fd) : WR_MEMLOCK_PROCESS;
	t->iommufd = compat || wr_iommufd_is(t->fd);
	if (t->iommufd && !compat)
		wr_log(WEIR_LOG_INFO, "/dev/vfio/vfio is IOMMUFD's, which stands in for VFIO's "
		       "containers here");
	*out = &t->base;
	return 0;
}

static int type1v2_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	(void)iommu, (void)ep;
	return create(WR_VFIO_TYPE1v2, NULL, &wr_domain_type1v2, out);
}

static int type1v1_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	(void)iommu, (void)ep;
	return create(WR_VFIO_TYPE1, NULL, &wr_domain_type1, out);
}

static int compat_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	(void)ep;
	return create(WR_VFIO_TYPE1v2, iommu, &wr_domain_compat, out);
}

static void type1_destroy(struct wr_domain *d)
{
	wr_close(type1_of(d)->fd);
	free(type1_of(d));
}

/*
 * The kernel replays the container's mappings for the group, and checks them against it. The device
 * is opened before anything is asked or mapped: IOMMUFD attaches a group only then, and knows no
 * ranges before.
 */
static int type1_join(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct type1 *t = type1_of(d);
	int ret = 0;

	if (!ep->group->attached)
		ret = wr_container_add(t->fd, ep->group, d->endpoints ? 0 : t->type);
	if (ret)
		return ret;
	ret = wr_group_device_fd(ep->group, ep->name, ep->vf_token);
	if (ret < 0)
		goto leave_group;
	ep->fd = ret;
	ret = refresh(t);
	if (ret)
		goto close_device;
	if (d->endpoints)
		return 0;
	t->limit = t->base.room;
	t->unmaps_all = wr_container_has(t->fd, WR_VFIO_UNMAP_ALL);
	t->moves = wr_container_has(t->fd, WR_VFIO_UPDATE_VADDR);
	return 0;
close_device:
	wr_close(ep->fd);
leave_group:
	if (!ep->group->attached)
		wr_container_remove(ep->group);
	return ret;
}

static void type1_leave(struct wr_domain *d, struct wr_endpoint *ep)
{
	wr_close(ep->fd);
	/* The group's other devices stay; the last one takes it along. */
	if (!ep->group->attached)
		wr_container_remove(ep->group);
	/* Its ranges may have grown; where they can't be read, the old ones still hold. */
	if (d->endpoints)
		refresh(type1_of(d));
}

/* The limit is the container's, from when it got its type (dma_entry_limit). */
static int check_room(struct type1 *t)
{
	if (t->base.room == UINT64_MAX)
		return 0;
	if (!t->base.room)
		return wr_fail(-ENOSPC, "the kernel's limit of %" PRIu64 " mappings is reached "
			       "(dma_entry_limit of vfio_iommu_type1, for containers made from "
			       "then on): map fewer, larger pieces", t->limit);
	if (!t->warned && t->base.room <= t->limit / 16) {
		t->warned = true;
		wr_log(WEIR_LOG_WARN, "%" PRIu64 " of the kernel's %" PRIu64 " mappings are in "
		       "use (dma_entry_limit of vfio_iommu_type1)", t->limit - t->base.room,
		       t->limit);
	}
	return 0;
}

/* type1 finds what is behind the address (follow_fault_pfn()), where IOMMUFD only pins memory. */
static int map_bar(struct type1 *t, const struct wr_mapping *m)
{
	uint32_t ioas;
	int ret;

	if (!t->iommufd)
		return wr_container_map(t->fd, m, t->memlock);
	ret = wr_iommufd_vfio_ioas(t->fd, &ioas);
	return ret ? ret : wr_iommufd_map_bar(t->fd, ioas, m, t->memlock);
}

static int type1_map(struct wr_domain *d, const struct wr_mapping *m)
{
	struct type1 *t = type1_of(d);
	int ret = check_room(t);

	if (!ret)
		ret = m->bar ? map_bar(t, m) : wr_container_map(t->fd, m, t->memlock);
	if (!ret && d->room != UINT64_MAX)
		set_room(t, d->room - 1);
	return ret;
}

/* Where it went wrong only the kernel knows how many mappings are left. */
static void unmapped(struct type1 *t, int ret, uint64_t room)
{
	struct wr_container_info info;

	if (t->base.room == UINT64_MAX)
		return;
	if (!ret)
		set_room(t, room);
	else if (ret == -EIO && !wr_container_info(t->fd, &info))
		set_room(t, info.room);
}

static int type1_unmap(struct wr_domain *d, const struct wr_mapping *m, size_t n)
{
	struct type1 *t = type1_of(d);
	int ret = wr_container_unmap(t->fd, m->iova, m[n - 1].iova - m->iova + m[n - 1].len);

	unmapped(t, ret, d->room + n);
	return ret;
}

static int type1_unmap_all(struct wr_domain *d)
{
	struct type1 *t = type1_of(d);
	int ret = wr_container_unmap_all(t->fd, t->unmaps_all);

	unmapped(t, ret, t->limit);
	return ret;
}

static int type1_move(struct wr_domain *d, const struct wr_mapping *m, void *vaddr)
{
	struct type1 *t = type1_of(d);

	if (!t->moves)
		return wr_fail(-ENOTSUP, "this kernel's type1 can't be told that memory has "
			       "another address: unmap it and map it again");
	return wr_container_move(t->fd, m, vaddr);
}

static int type1_dirty_start(struct wr_domain *d)
{
	return wr_container_dirty_start(type1_of(d)->fd);
}

static int type1_dirty_stop(struct wr_domain *d)
{
	return wr_container_dirty_stop(type1_of(d)->fd);
}

static int type1_dirty_read(struct wr_domain *d, const struct wr_mapping *m, uint64_t *bitmap)
{
	return wr_container_dirty_read(type1_of(d)->fd, m, bitmap);
}

const struct wr_domain_ops wr_domain_type1v2 = {
	.name = "type1v2",
	.where = WR_NOT_ON_POWER,
	.fits = type1_fits,
	.create = type1v2_create,
	.destroy = type1_destroy,
	.join = type1_join,
	.leave = type1_leave,
	.map = type1_map,
	.unmap = type1_unmap,
	.unmap_all = type1_unmap_all,
	.move = type1_move,
	.dirty_start = type1_dirty_start,
	.dirty_stop = type1_dirty_stop,
	.dirty_read = type1_dirty_read,
};

const struct wr_domain_ops wr_domain_type1 = {
	.name = "type1",
	.where = WR_NOT_ON_POWER,
	.fits = type1_fits,
	.create = type1v1_create,
	.destroy = type1_destroy,
	.join = type1_join,
	.leave = type1_leave,
	.map = type1_map,
	.unmap = type1_unmap,
	.unmap_all = type1_unmap_all,
	.move = type1_move,
};

const struct wr_domain_ops wr_domain_compat = {
	.name = "compat",
	.where = WR_NOT_ON_POWER,
	.fits = type1_fits,
	.create = compat_create,
	.destroy = type1_destroy,
	.join = type1_join,
	.leave = type1_leave,
	.map = type1_map,
	.unmap = type1_unmap,
	.unmap_all = type1_unmap_all,
	.move = type1_move,
};
