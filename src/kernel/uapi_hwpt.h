/* SPDX-License-Identifier: MIT */
/*
 * More of include/uapi/linux/iommufd.h, as kernel/uapi.h: what nested translation, page faults and
 * a VMM's vIOMMU need. What each vendor's hardware is given or tells is public, in the headers
 * weir/hwpt.h, weir/viommu.h and weir/hw.h, in the kernel's own layout.
 * tests/unit/test_uapi_hwpt.c holds all of it against the newest packaged headers.
 */
#ifndef WR_KERNEL_UAPI_HWPT_H
#define WR_KERNEL_UAPI_HWPT_H

#include "kernel/uapi.h"

#define WR_IOMMU_HWPT_INVALIDATE	WR_IOMMU_IO(13)
#define WR_IOMMU_FAULT_QUEUE_ALLOC	WR_IOMMU_IO(14)
#define WR_IOMMU_VIOMMU_ALLOC		WR_IOMMU_IO(16)
#define WR_IOMMU_VDEVICE_ALLOC		WR_IOMMU_IO(17)
#define WR_IOMMU_VEVENTQ_ALLOC		WR_IOMMU_IO(19)
#define WR_IOMMU_HW_QUEUE_ALLOC		WR_IOMMU_IO(20)

struct wr_iommu_invalidate {
	uint32_t size;
	uint32_t hwpt_id;	/* a nested page table, or a vIOMMU */
	uint64_t data_uptr;
	uint32_t data_type;
	uint32_t entry_len;
	uint32_t entry_num;	/* out: how many were done */
	uint32_t reserved;
};

/*
 * So many entries at once. The kernel takes more (IOMMU_HWPT_INVALIDATE_ENTRY_NUM_MAX in its
 * source); but an SMMUv3's driver wants 16 bytes for each in one piece of the kernel's memory, of
 * which there is none larger than 4 MiB, and seldom a large one (arm_vsmmu_cache_invalidate()).
 */
#define WR_IOMMU_INVALIDATE_MAX		4096u

struct wr_iommu_fault_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_fault_id;
	uint32_t out_fault_fd;
};

/* What is read from a fault queue, */
struct wr_iommu_pgfault {
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pasid;
	uint32_t grpid;
	uint32_t perm;
	uint32_t reserved;
	uint64_t addr;
	uint32_t length;
	uint32_t cookie;
};

#define WR_IOMMU_FAULT_HAS_PASID	(1u << 0)
#define WR_IOMMU_FAULT_LAST		(1u << 1)

#define WR_IOMMU_FAULT_READ		(1u << 0)
#define WR_IOMMU_FAULT_WRITE		(1u << 1)
#define WR_IOMMU_FAULT_EXEC		(1u << 2)
#define WR_IOMMU_FAULT_PRIV		(1u << 3)

/* and what is written to it. */
struct wr_iommu_page_response {
	uint32_t cookie;
	uint32_t code;
};

#define WR_IOMMU_RESPONSE_SUCCESS	0
#define WR_IOMMU_RESPONSE_INVALID	1

struct wr_iommu_viommu_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t type;
	uint32_t dev_id;
	uint32_t hwpt_id;	/* a nest parent */
	uint32_t out_viommu_id;
	/* behind this since Linux 6.17 */
	uint32_t data_len;
	uint32_t reserved;
	uint64_t data_uptr;
};

struct wr_iommu_vdevice_alloc {
	uint32_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t out_vdevice_id;
	uint64_t virt_id;
};

struct wr_iommu_veventq_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t viommu_id;
	uint32_t type;
	uint32_t depth;
	uint32_t out_veventq_id;
	uint32_t out_veventq_fd;
	uint32_t reserved;
};

/* What is read from it, in front of each event. */
struct wr_iommu_vevent_header {
	uint32_t flags;
	uint32_t sequence;	/* 0 to INT_MAX, and then 0 again */
};

#define WR_IOMMU_VEVENT_LOST		(1u << 0)	/* no event follows */

struct wr_iommu_hw_queue_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t viommu_id;
	uint32_t type;
	uint32_t index;
	uint32_t out_hw_queue_id;
	uint64_t nesting_parent_iova;
	uint64_t length;
};

#endif
