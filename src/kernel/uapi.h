/* SPDX-License-Identifier: MIT */
/*
 * The kernel's VFIO interface as far as weir uses it: numbers and layouts of
 * include/uapi/linux/vfio.h, declared here because distributions' headers are older than their
 * users' kernels. tests/unit/test_uapi.c holds each of them against the installed header.
 */
#ifndef WR_KERNEL_UAPI_H
#define WR_KERNEL_UAPI_H

#include <stdint.h>

/* All are _IO(';', 100 + n): without direction and size. */
#define WR_VFIO_IO(n)			(0x3b00ul + 100 + (n))

/* On a container, /dev/vfio/vfio */
#define WR_VFIO_GET_API_VERSION		WR_VFIO_IO(0)
#define WR_VFIO_CHECK_EXTENSION		WR_VFIO_IO(1)
#define WR_VFIO_SET_IOMMU		WR_VFIO_IO(2)
#define WR_VFIO_IOMMU_GET_INFO		WR_VFIO_IO(12)
#define WR_VFIO_IOMMU_MAP_DMA		WR_VFIO_IO(13)
#define WR_VFIO_IOMMU_UNMAP_DMA		WR_VFIO_IO(14)
#define WR_VFIO_IOMMU_DIRTY_PAGES	WR_VFIO_IO(17)

#define WR_VFIO_API_VERSION		0
#define WR_VFIO_TYPE1			1
#define WR_VFIO_TYPE1v2			3
#define WR_VFIO_UNMAP_ALL		9	/* what the flag _ALL needs */
#define WR_VFIO_UPDATE_VADDR		10	/* what the flags _VADDR need */

/* On a group, /dev/vfio/N */
#define WR_VFIO_GROUP_GET_STATUS	WR_VFIO_IO(3)
#define WR_VFIO_GROUP_SET_CONTAINER	WR_VFIO_IO(4)
#define WR_VFIO_GROUP_UNSET_CONTAINER	WR_VFIO_IO(5)
#define WR_VFIO_GROUP_GET_DEVICE_FD	WR_VFIO_IO(6)

/* On a device */
#define WR_VFIO_DEVICE_GET_INFO		WR_VFIO_IO(7)
#define WR_VFIO_DEVICE_GET_REGION_INFO	WR_VFIO_IO(8)
#define WR_VFIO_DEVICE_GET_IRQ_INFO	WR_VFIO_IO(9)
#define WR_VFIO_DEVICE_SET_IRQS		WR_VFIO_IO(10)
#define WR_VFIO_DEVICE_RESET		WR_VFIO_IO(11)
#define WR_VFIO_DEVICE_HOT_RESET_INFO	WR_VFIO_IO(12)
#define WR_VFIO_DEVICE_HOT_RESET	WR_VFIO_IO(13)
#define WR_VFIO_DEVICE_IOEVENTFD	WR_VFIO_IO(16)
#define WR_VFIO_DEVICE_FEATURE		WR_VFIO_IO(17)

struct wr_vfio_group_status {
	uint32_t argsz;
	uint32_t flags;
};

#define WR_VFIO_GROUP_VIABLE		(1u << 0)

struct wr_vfio_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
	uint32_t cap_offset;
	uint32_t pad;
};

#define WR_VFIO_DEVICE_RESETS		(1u << 0)
#define WR_VFIO_DEVICE_PCI		(1u << 1)

struct wr_vfio_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

#define WR_VFIO_REGION_READ		(1u << 0)
#define WR_VFIO_REGION_WRITE		(1u << 1)
#define WR_VFIO_REGION_MMAP		(1u << 2)
#define WR_VFIO_REGION_CAPS		(1u << 3)

#define WR_VFIO_REGION_CAP_SPARSE_MMAP	1
#define WR_VFIO_REGION_CAP_MSIX_MAPPABLE 3

struct wr_vfio_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

#define WR_VFIO_IRQ_EVENTFD		(1u << 0)
#define WR_VFIO_IRQ_MASKABLE		(1u << 1)
#define WR_VFIO_IRQ_AUTOMASKED		(1u << 2)
#define WR_VFIO_IRQ_NORESIZE		(1u << 3)

struct wr_vfio_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	/* followed by the data that flags tell of */
};

#define WR_VFIO_IRQ_SET_NONE		(1u << 0)
#define WR_VFIO_IRQ_SET_EVENTFDS	(1u << 2)
#define WR_VFIO_IRQ_SET_MASK		(1u << 3)
#define WR_VFIO_IRQ_SET_UNMASK		(1u << 4)
#define WR_VFIO_IRQ_SET_TRIGGER		(1u << 5)

struct wr_vfio_ioeventfd {
	uint32_t argsz;
	uint32_t flags;		/* the width in bytes: 1, 2, 4 or 8 */
	uint64_t offset;	/* in the fd */
	uint64_t data;
	int32_t fd;
	uint32_t reserved;
};

/* A function that a hot reset would reset, too. */
struct wr_vfio_dependent {
	uint32_t group;		/* its IOMMU group; or by WR_VFIO_HOT_RESET_DEV_ID its device id */
	uint16_t segment;
	uint8_t bus;
	uint8_t devfn;
};

struct wr_vfio_hot_reset_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	struct wr_vfio_dependent devices[];
};

#define WR_VFIO_HOT_RESET_DEV_ID	(1u << 0)

/* Followed by count fds of groups. */
struct wr_vfio_hot_reset {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	int32_t groups[];
};

/* Followed by the feature's data. */
struct wr_vfio_feature {
	uint32_t argsz;
	uint32_t flags;		/* the feature's number, and: */
};

#define WR_VFIO_FEATURE_GET		(1u << 16)
#define WR_VFIO_FEATURE_SET		(1u << 17)
#define WR_VFIO_FEATURE_PROBE		(1u << 18)

#define WR_VFIO_FEATURE_LOW_POWER_ENTRY	3
#define WR_VFIO_FEATURE_LOW_POWER_WAKEUP 4
#define WR_VFIO_FEATURE_LOW_POWER_EXIT	5

struct wr_vfio_low_power_wakeup {
	int32_t eventfd;
	uint32_t reserved;
};

/* What follows an info structure when its flags say so; next counts from the structure's start. */
struct wr_vfio_cap {
	uint16_t id;
	uint16_t version;
	uint32_t next;
};

struct wr_vfio_sparse_area {
	uint64_t offset;	/* in the region */
	uint64_t size;
};

struct wr_vfio_cap_sparse {
	struct wr_vfio_cap header;
	uint32_t nr_areas;
	uint32_t reserved;
	struct wr_vfio_sparse_area areas[];
};

struct wr_vfio_iommu_info {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova_pgsizes;
	uint32_t cap_offset;
	uint32_t pad;
};

#define WR_VFIO_IOMMU_PGSIZES		(1u << 0)
#define WR_VFIO_IOMMU_CAPS		(1u << 1)

#define WR_VFIO_IOMMU_CAP_IOVA_RANGE	1
#define WR_VFIO_IOMMU_CAP_DMA_AVAIL	3

struct wr_vfio_iova_range {
	uint64_t start;
	uint64_t end;
};

struct wr_vfio_cap_iova_range {
	struct wr_vfio_cap header;
	uint32_t nr_iovas;
	uint32_t reserved;
	struct wr_vfio_iova_range ranges[];
};

struct wr_vfio_cap_dma_avail {
	struct wr_vfio_cap header;
	uint32_t avail;
};

struct wr_vfio_map_dma {
	uint32_t argsz;
	uint32_t flags;
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size;
};

#define WR_VFIO_MAP_READ		(1u << 0)
#define WR_VFIO_MAP_WRITE		(1u << 1)
#define WR_VFIO_MAP_VADDR		(1u << 2)

struct wr_vfio_unmap_dma {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova;
	uint64_t size;
};

#define WR_VFIO_UNMAP_FLAG_ALL		(1u << 1)
#define WR_VFIO_UNMAP_FLAG_VADDR	(1u << 2)

struct wr_vfio_dirty {
	uint32_t argsz;
	uint32_t flags;
};

#define WR_VFIO_DIRTY_START		(1u << 0)
#define WR_VFIO_DIRTY_STOP		(1u << 1)
#define WR_VFIO_DIRTY_GET		(1u << 2)

struct wr_vfio_bitmap {
	uint64_t pgsize;
	uint64_t size;		/* bytes */
	uint64_t data;		/* where it is */
};

struct wr_vfio_dirty_get {
	struct wr_vfio_dirty header;
	uint64_t iova;
	uint64_t size;
	struct wr_vfio_bitmap bitmap;
};

#endif
