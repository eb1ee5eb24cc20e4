/* SPDX-License-Identifier: MIT */
/*
 * The domain type1: a VFIO container, which the kernel pins and maps for. Version 2 and version 1
 * differ for us in dirty tracking only, since weir always unmaps what it mapped; where the
 * kernel's version 1 would unmap more than asked, it is asked for whole mappings.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/domain.h"
#include "kernel/container.h"
#include "kernel/uapi.h"

struct type1 {
	struct wr_domain base;
	int fd;			/* the container */
};

static struct type1 *type1_of(struct wr_domain *d)
{
	return wr_container_of(d, struct type1, base);
}

static bool type1_fits(const struct wr_endpoint *ep)
{
	return ep->group;
}

static int refresh(struct type1 *t)
{
	return wr_container_info(t->fd, &t->base.page_sizes, &t->base.ranges);
}

static int type1_open(unsigned long type, const struct wr_domain_ops *ops, struct wr_endpoint *ep,
		      struct wr_domain **out)
{
	struct type1 *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return wr_fail(-ENOMEM, "no memory");
	t->base.ops = ops;
	t->base.isolation = true;
	/* The kernel can't see which pages a device wrote, and reports all (vfio_iommu_type1.c). */
	t->base.dirty = type == WR_VFIO_TYPE1v2 ? WEIR_DIRTY_ALL : WEIR_DIRTY_NONE;
	wr_list_init(&t->base.link);
	t->fd = ret = wr_container_open(type);
	if (ret < 0)
		goto free_domain;
	ret = wr_container_add(t->fd, ep->group);
	if (ret)
		goto close_container;
	ret = wr_container_set_iommu(t->fd, type, ep->group);
	if (!ret)
		ret = refresh(t);
	if (ret)
		goto remove_group;
	ep->group->domain = &t->base;
	*out = &t->base;
	return 0;
remove_group:
	wr_container_remove(ep->group);
close_container:
	wr_close(t->fd);
free_domain:
	free(t);
	return ret;
}

static int type1v2_open(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	(void)iommu;
	return type1_open(WR_VFIO_TYPE1v2, &wr_domain_type1v2, ep, out);
}

static int type1v1_open(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	(void)iommu;
	return type1_open(WR_VFIO_TYPE1, &wr_domain_type1, ep, out);
}

/* The kernel replays the container's mappings for the new group, and checks them against it. */
static int type1_join(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct type1 *t = type1_of(d);
	int ret = wr_container_add(t->fd, ep->group);

	if (ret)
		return ret;
	ret = refresh(t);
	if (ret) {
		wr_container_remove(ep->group);
		return ret;
	}
	ep->group->domain = d;
	return 0;
}

static void type1_leave(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct type1 *t = type1_of(d);

	/* The group's other devices stay; the last one takes it along. */
	if (!ep->group->attached) {
		wr_container_remove(ep->group);
		ep->group->domain = NULL;
	}
	if (d->endpoints) {
		/* Its ranges may have grown; where they can't be read, the old ones still hold. */
		refresh(t);
		return;
	}
	wr_close(t->fd);
	free(t);
}

static int type1_map(struct wr_domain *d, const struct wr_mapping *m)
{
	return wr_container_map(type1_of(d)->fd, m);
}

static int type1_unmap(struct wr_domain *d, const struct wr_mapping *m)
{
	return wr_container_unmap(type1_of(d)->fd, m);
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
	.fits = type1_fits,
	.open = type1v2_open,
	.join = type1_join,
	.leave = type1_leave,
	.map = type1_map,
	.unmap = type1_unmap,
	.dirty_start = type1_dirty_start,
	.dirty_stop = type1_dirty_stop,
	.dirty_read = type1_dirty_read,
};

const struct wr_domain_ops wr_domain_type1 = {
	.name = "type1",
	.fits = type1_fits,
	.open = type1v1_open,
	.join = type1_join,
	.leave = type1_leave,
	.map = type1_map,
	.unmap = type1_unmap,
};
