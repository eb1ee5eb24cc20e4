/* SPDX-License-Identifier: MIT */
/*
 * Page tables by hand, and what is made from them. All of it is under the context's attach_lock,
 * unless something else is said; the lock of the address space comes within that.
 */
#ifndef WR_IOAS_HWPT_H
#define WR_IOAS_HWPT_H

#include <weir/faultq.h>
#include <weir/hw.h>
#include <weir/viommu.h>

#include "ioas/ioas.h"

struct weir_hwpt {
	struct weir_ioas *as;		/* whose mappings it has; nested: its parent has */
	struct wr_domain *domain;	/* of the same */
	struct wr_table *table;
	struct weir_hwpt *parent;	/* nested: what translates further; NULL: it is paging */
	struct weir_viommu *viommu;	/* nested on it; NULL: on the parent by itself */
	struct weir_faultq *faults;	/* NULL: none */
	struct wr_list link;		/* in its address space, also under that lock */
	struct wr_attached *attached;	/* what is attached to it */
	unsigned int children;		/* nested tables and vIOMMUs made from it */
	bool nest_parent, dirty, pasid;	/* as its maker wanted it */
	bool by_number;			/* nested: for devices that the vIOMMU has a number for */
	bool tracking;			/* by itself; under the address space's lock */
};

/* A device is attached to a page table by hand: in two lists, the page table's and the device's. */
struct wr_attached {
	struct wr_attached *next_of_hwpt, *next_of_ep;
	struct weir_hwpt *hwpt;
	struct wr_endpoint *ep;
	uint32_t pasid;			/* WR_NO_PASID: the device itself */
};

#define WR_NO_PASID 0			/* as the kernel's IOMMU_NO_PASID */

/* Where a device is, for who holds no lock; it can't go to another context. */
static inline struct weir_ioas *wr_endpoint_ioas(const struct wr_endpoint *ep)
{
	return __atomic_load_n(&ep->as, __ATOMIC_RELAXED);
}

struct weir_viommu {
	struct weir_hwpt *parent;
	uint32_t number;		/* the kernel's */
	unsigned int children;		/* nested tables, virtual devices, event queues */
	struct wr_list queues;		/* weir_hwqueue, the lowest index first */
	struct wr_list maps;		/* registers that are mapped */
};

/* As the public calls, of a device that is this process's; messages don't name it. */
int wr_hwpt_alloc(struct weir_ioas *as, struct wr_endpoint *ep, const struct weir_hwpt_opts *opts,
		  struct weir_hwpt **out);
int wr_hwpt_ranges(struct wr_endpoint *ep, const struct weir_hwpt_opts *opts,
		   struct wr_ranges *ranges);
int wr_hwpt_nest(struct weir_hwpt *parent, struct weir_viommu *viommu, struct wr_endpoint *ep,
		 const struct weir_nested *nested, const struct weir_nested_opts *opts,
		 struct weir_hwpt **out);
int wr_hwpt_attach(struct weir_hwpt *hwpt, struct wr_endpoint *ep, uint32_t pasid);
int wr_hwpt_detach(struct weir_hwpt *hwpt, struct wr_endpoint *ep, uint32_t pasid);
int wr_viommu_alloc(struct weir_hwpt *parent, struct wr_endpoint *ep, uint32_t type, void *data,
		    size_t len, struct weir_viommu **out);
int wr_vdevice_alloc(struct weir_viommu *viommu, struct wr_endpoint *ep, uint64_t number,
		     struct weir_vdevice **out);
int wr_hw_info(const struct wr_endpoint *ep, uint32_t type, struct weir_hw_info *info);

/* Whether something for the device can be made from that page table: 0 or -errno. */
int wr_hwpt_check_parent(const struct weir_hwpt *parent, const struct wr_endpoint *ep);

/* A device leaves its address space: it is detached from all. Both locks are held. */
void wr_hwpt_leave(struct wr_endpoint *ep);

/* Whether no page table of it is tracked by itself: 0, or -EBUSY. Under its lock. */
int wr_hwpt_check_untracked(const struct weir_ioas *as);

/* Page tables with that queue come and go; and the devices that are attached to one. */
uint32_t wr_faultq_get(struct weir_faultq *queue);
void wr_faultq_put(struct weir_faultq *queue);
bool wr_faultq_is_of(const struct weir_faultq *queue, const struct weir_iommu *iommu);
int wr_faultq_add(struct weir_faultq *queue, struct wr_endpoint *ep);
void wr_faultq_remove(struct weir_faultq *queue, struct wr_endpoint *ep);

#endif
