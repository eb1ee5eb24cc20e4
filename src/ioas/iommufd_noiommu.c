/* SPDX-License-Identifier: MIT */
/*
 * The domain iommufd-noiommu: devices that no IOMMU translates for, by their own nodes and by
 * IOMMUFD, where the kernel has that (Linux 7.3, drivers/iommu/iommufd/hwpt_noiommu.c). The IOAS
 * gets a page table that no hardware reads. It holds pages in their place, as every IOAS does, and
 * tells their physical addresses, which are what devices are given. Memory is mapped there at its
 * own address: so the kernel refuses the same memory twice.
 *
 * The domain noiommu does the same by other means. Here it takes neither hugetlb's memory nor
 * io_uring nor CAP_SYS_ADMIN, and what a killed process had mapped is others' only when its devices
 * are closed: a bound device holds the IOMMUFD, and is switched off before it lets go of it
 * (vfio_df_device_last_close()).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/bare.h"
#include "ioas/iommu.h"
#include "kernel/cdev.h"
#include "kernel/group.h"
#include "kernel/iommufd.h"

struct bare {
	struct wr_domain base;
	struct weir_iommu *iommu;
	int fd;				/* the context's */
	uint32_t ioas;
};

static struct bare *bare_of(struct wr_domain *d)
{
	return wr_container_of(d, struct bare, base);
}

static bool bare_fits(const struct wr_endpoint *ep)
{
	return ep->group && ep->group->noiommu;
}

static void bare_destroy(struct wr_domain *d)
{
	struct bare *b = bare_of(d);

	wr_iommufd_destroy(b->fd, b->ioas);
	wr_iommu_iommufd_put(b->iommu);
	free(b);
}

/* Asked where nothing is mapped, a kernel that can tell says just that. */
static int check_kernel(const struct bare *b)
{
	uint64_t phys, len = wr_page_size();
	int ret = wr_iommufd_phys(b->fd, b->ioas, 0, &len, &phys);

	return ret == -ENOENT ? 0 : ret;
}

static int bare_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	struct bare *b;
	int ret = wr_iommu_iommufd_get(iommu);

	(void)ep;
	if (ret)
		return ret;
	b = calloc(1, sizeof(*b));
	if (!b) {
		ret = wr_fail(-ENOMEM, "no memory");
		goto put_iommufd;
	}
	wr_bare_init(&b->base, &wr_domain_iommufd_noiommu);
	b->iommu = iommu;
	b->fd = iommu->iommufd;
	ret = wr_iommufd_ioas_alloc(b->fd, &b->ioas);
	if (ret)
		goto free_domain;
	ret = check_kernel(b);
	if (ret) {
		bare_destroy(&b->base);
		return ret;
	}
	*out = &b->base;
	return 0;
free_domain:
	free(b);
put_iommufd:
	wr_iommu_iommufd_put(iommu);
	return ret;
}

static int bare_join(struct wr_domain *d, struct wr_endpoint *ep)
{
	struct bare *b = bare_of(d);
	int ret;

	ep->fd = ret = ep->use_fd ? wr_cdev_dup(ep->name, ep->group, ep->given_fd) :
				    wr_cdev_open(ep->name, ep->group);
	if (ret < 0)
		return ret;
	ret = wr_cdev_bind(ep->fd, b->fd, ep->name, ep->group, ep->vf_token, &ep->devid);
	if (!ret)
		ret = wr_cdev_attach(ep->fd, b->ioas);
	if (ret)
		wr_close(ep->fd);
	else
		wr_bare_warn(ep);
	return ret;
}

/* Without being detached first: only a closed device is off the memory that then isn't held. */
static void bare_leave(struct wr_domain *d, struct wr_endpoint *ep)
{
	(void)d;
	wr_close(ep->fd);
}

/* What follows one another in the process does so in the IOAS. */
static int bare_unmap(struct wr_domain *d, const struct wr_mapping *m, size_t n)
{
	struct bare *b = bare_of(d);
	size_t next;

	for (size_t i = 0; i < n; i = next) {
		uint64_t len = m[i].len;

		for (next = i + 1; next < n && m[next].vaddr == m[i].vaddr + len; next++)
			len += m[next].len;
		if (wr_iommufd_unmap(b->fd, b->ioas, (uintptr_t)m[i].vaddr, len, next - i))
			wr_log(WEIR_LOG_WARN, "%" PRIu64 " bytes at %p stay held until all devices "
			       "of the address space are closed: %s", len, (void *)m[i].vaddr,
			       weir_errmsg());
	}
	return 0;
}

static int bare_unmap_all(struct wr_domain *d)
{
	return wr_iommufd_unmap_all(bare_of(d)->fd, bare_of(d)->ioas);
}

static int hold(struct bare *b, const struct wr_mapping *piece)
{
	struct wr_mapping m = *piece;
	int ret;

	m.iova = (uintptr_t)m.vaddr;
	ret = wr_iommufd_map(b->fd, b->ioas, &m, b->iommu->memlock);
	return ret == -EEXIST ? wr_bare_twice(m.vaddr, m.len) : ret;
}

static int add_piece(struct bare *b, const struct wr_mapping *piece, struct wr_runs *runs)
{
	uint64_t done = 0;

	while (done < piece->len) {
		char *vaddr = piece->vaddr + done;
		uint64_t phys, len = piece->len - done;
		int ret = wr_iommufd_phys(b->fd, b->ioas, (uintptr_t)vaddr, &len, &phys);

		if (!ret)
			ret = wr_runs_add(runs, vaddr, phys, len);
		if (ret)
			return ret;
		done += len;
	}
	return 0;
}

static int bare_place(struct wr_domain *d, const struct wr_mapping *pieces, size_t n,
		      struct wr_mapping **runs, size_t *n_runs)
{
	struct bare *b = bare_of(d);
	struct wr_runs all = { 0 };
	size_t held = 0;
	int ret = 0;

	for (; held < n && !ret; held += !ret)
		ret = hold(b, &pieces[held]);
	for (size_t i = 0; i < n && !ret; i++)
		ret = add_piece(b, &pieces[i], &all);
	if (ret) {
		bare_unmap(d, pieces, held);
		free(all.m);
		return ret;
	}
	*runs = all.m;
	*n_runs = all.n;
	return 0;
}

const struct wr_domain_ops wr_domain_iommufd_noiommu = {
	.name = "iommufd-noiommu",
	.fits = bare_fits,
	.create = bare_create,
	.destroy = bare_destroy,
	.join = bare_join,
	.leave = bare_leave,
	.place = bare_place,
	.unmap = bare_unmap,
	.unmap_all = bare_unmap_all,
};
