/* SPDX-License-Identifier: MIT */
/*
 * The kernel's interfaces as far as weir uses them: numbers and layouts of
 * include/uapi/linux/vfio.h, iommufd.h, io_uring.h and fs.h, declared here because distributions'
 * headers are older than their users' kernels. tests/unit/test_uapi.c holds each of them against
 * the installed headers, tests/vm/test_headers.py against the newest packaged ones.
 */
#ifndef WR_KERNEL_UAPI_H
#define WR_KERNEL_UAPI_H

#include <stdint.h>
#include <sys/ioctl.h>

/* Without direction and size, which POWER says by a bit. */
#define WR_VFIO_IO(n)			((unsigned long)_IO(';', 100 + (n)))

/* On a container, /dev/vfio/vfio */
#define WR_VFIO_GET_API_VERSION		WR_VFIO_IO(0)
#define WR_VFIO_CHECK_EXTENSION		WR_VFIO_IO(1)
#define WR_VFIO_SET_IOMMU		WR_VFIO_IO(2)
#define WR_VFIO_IOMMU_GET_INFO		WR_VFIO_IO(12)
#define WR_VFIO_IOMMU_MAP_DMA		WR_VFIO_IO(13)
#define WR_VFIO_IOMMU_UNMAP_DMA		WR_VFIO_IO(14)
#define WR_VFIO_IOMMU_DIRTY_PAGES	WR_VFIO_IO(17)

/* On one with POWER's IOMMU, where 13 and 14 are the same, and 17 isn't */
#define WR_VFIO_SPAPR_GET_INFO		WR_VFIO_IO(12)
#define WR_VFIO_SPAPR_ENABLE		WR_VFIO_IO(15)
#define WR_VFIO_SPAPR_DISABLE		WR_VFIO_IO(16)
#define WR_VFIO_SPAPR_REGISTER		WR_VFIO_IO(17)
#define WR_VFIO_SPAPR_UNREGISTER	WR_VFIO_IO(18)
#define WR_VFIO_SPAPR_CREATE		WR_VFIO_IO(19)
#define WR_VFIO_SPAPR_REMOVE		WR_VFIO_IO(20)
#define WR_VFIO_EEH_PE_OP		WR_VFIO_IO(21)

#define WR_VFIO_API_VERSION		0
#define WR_VFIO_TYPE1			1
#define WR_VFIO_SPAPR			2
#define WR_VFIO_TYPE1v2			3
#define WR_VFIO_EEH			5
#define WR_VFIO_SPAPRv2			7
#define WR_VFIO_NOIOMMU			8
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

/* On a device's own node, /dev/vfio/devices/vfioN */
#define WR_VFIO_DEVICE_BIND_IOMMUFD	WR_VFIO_IO(18)
#define WR_VFIO_DEVICE_ATTACH_PT	WR_VFIO_IO(19)
#define WR_VFIO_DEVICE_DETACH_PT	WR_VFIO_IO(20)

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
#define WR_VFIO_DEVID_NOT_OWNED		UINT32_MAX

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

#define WR_VFIO_FEATURE_DMA_BUF		11

struct wr_vfio_dma_range {
	uint64_t offset;	/* in the region */
	uint64_t length;
};

/* Followed by nr_ranges of them. GET returns the dma-buf's fd. */
struct wr_vfio_dma_buf {
	uint32_t region_index;
	uint32_t open_flags;
	uint32_t flags;
	uint32_t nr_ranges;
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
#define WR_VFIO_IOMMU_CAP_MIGRATION	2
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

/* The dynamic windows are told by version 2 alone, with its flag. */
struct wr_vfio_spapr_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t dma32_start;
	uint32_t dma32_size;
	uint64_t pgsizes;	/* that a dynamic window can have */
	uint32_t max_windows;	/* the default one counts, too */
	uint32_t levels;
};

#define WR_VFIO_SPAPR_DDW		(1u << 0)

/* To register it, and back. */
struct wr_vfio_spapr_memory {
	uint32_t argsz;
	uint32_t flags;
	uint64_t vaddr;
	uint64_t size;
};

struct wr_vfio_spapr_create {
	uint32_t argsz;
	uint32_t flags;
	uint32_t page_shift;
	uint32_t reserved;
	uint64_t window_size;
	uint32_t levels;
	uint32_t reserved2;
	uint64_t start;		/* out */
};

struct wr_vfio_spapr_remove {
	uint32_t argsz;
	uint32_t flags;
	uint64_t start;
};

struct wr_vfio_eeh {
	uint32_t argsz;
	uint32_t flags;
	uint32_t op;
	uint32_t pad;
	/* of an error to be injected */
	uint32_t type;
	uint32_t func;
	uint64_t addr;
	uint64_t mask;
};

#define WR_VFIO_EEH_DISABLE		0
#define WR_VFIO_EEH_ENABLE		1
#define WR_VFIO_EEH_UNFREEZE_IO		2
#define WR_VFIO_EEH_UNFREEZE_DMA	3
#define WR_VFIO_EEH_GET_STATE		4
#define WR_VFIO_EEH_RESET_DEACTIVATE	5
#define WR_VFIO_EEH_RESET_HOT		6
#define WR_VFIO_EEH_RESET_FUNDAMENTAL	7
#define WR_VFIO_EEH_CONFIGURE		8
#define WR_VFIO_EEH_INJECT_ERR		9

/* What _GET_STATE returns. */
#define WR_VFIO_EEH_NORMAL		0
#define WR_VFIO_EEH_RESET		1
#define WR_VFIO_EEH_STOPPED		2
#define WR_VFIO_EEH_STOPPED_DMA		4
#define WR_VFIO_EEH_UNAVAIL		5

/* Without a token as long as up to the token, for kernels before 6.17. */
struct wr_vfio_bind {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token;		/* where the 16 bytes of the UUID are */
};

#define WR_VFIO_BIND_TOKEN		(1u << 0)

/* Both as long as up to the PASID without one, for kernels before 6.15. */
struct wr_vfio_attach {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;		/* out: the page table that it has got */
	uint32_t pasid;
};

struct wr_vfio_detach {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pasid;
};

#define WR_VFIO_ATTACH_PASID		(1u << 0)	/* of both */

/* ---- IOMMUFD, /dev/iommu ---- */

#define WR_IOMMU_IO(n)			((unsigned long)_IO(';', 0x80 + (n)))

#define WR_IOMMU_DESTROY		WR_IOMMU_IO(0)
#define WR_IOMMU_IOAS_ALLOC		WR_IOMMU_IO(1)
#define WR_IOMMU_IOAS_ALLOW_IOVAS	WR_IOMMU_IO(2)
#define WR_IOMMU_IOAS_COPY		WR_IOMMU_IO(3)
#define WR_IOMMU_IOAS_IOVA_RANGES	WR_IOMMU_IO(4)
#define WR_IOMMU_IOAS_MAP		WR_IOMMU_IO(5)
#define WR_IOMMU_IOAS_UNMAP		WR_IOMMU_IO(6)
#define WR_IOMMU_OPTION			WR_IOMMU_IO(7)
#define WR_IOMMU_VFIO_IOAS		WR_IOMMU_IO(8)
#define WR_IOMMU_HWPT_ALLOC		WR_IOMMU_IO(9)
#define WR_IOMMU_GET_HW_INFO		WR_IOMMU_IO(10)
#define WR_IOMMU_SET_DIRTY_TRACKING	WR_IOMMU_IO(11)
#define WR_IOMMU_GET_DIRTY_BITMAP	WR_IOMMU_IO(12)
#define WR_IOMMU_IOAS_MAP_FILE		WR_IOMMU_IO(15)
#define WR_IOMMU_IOAS_CHANGE_PROCESS	WR_IOMMU_IO(18)
#define WR_IOMMU_IOAS_GET_PA		WR_IOMMU_IO(21)

struct wr_iommu_destroy {
	uint32_t size;
	uint32_t id;
};

struct wr_iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_ioas_id;
};

struct wr_iommu_iova_range {
	uint64_t start;
	uint64_t last;
};

struct wr_iommu_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;	/* in: that there is room for; out: that there are */
	uint32_t reserved;
	uint64_t allowed_iovas;	/* where they go */
	uint64_t out_iova_alignment;
};

struct wr_iommu_allow {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t reserved;
	uint64_t allowed_iovas;	/* where they are */
};

#define WR_IOMMU_MAP_FIXED		(1u << 0)
#define WR_IOMMU_MAP_WRITE		(1u << 1)
#define WR_IOMMU_MAP_READ		(1u << 2)

struct wr_iommu_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t reserved;
	uint64_t user_va;
	uint64_t length;
	uint64_t iova;
};

struct wr_iommu_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	uint64_t start;
	uint64_t length;
	uint64_t iova;
};

/* Of devices without an IOMMU, since Linux 7.3: where the memory at an IOVA lies. */
struct wr_iommu_get_pa {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t reserved;
	uint64_t iova;
	uint64_t length;	/* in: at most; out: what is contiguous */
	uint64_t out_phys;
};

struct wr_iommu_copy {
	uint32_t size;
	uint32_t flags;		/* as for a map */
	uint32_t dst_ioas_id;
	uint32_t src_ioas_id;
	uint64_t length;
	uint64_t dst_iova;
	uint64_t src_iova;
};

struct wr_iommu_change_process {
	uint32_t size;
	uint32_t reserved;
};

struct wr_iommu_unmap {
	uint32_t size;
	uint32_t ioas_id;
	uint64_t iova;
	uint64_t length;	/* out: what was unmapped */
};

#define WR_IOMMU_OPTION_RLIMIT_MODE	0
#define WR_IOMMU_OPTION_HUGE_PAGES	1
#define WR_IOMMU_OPTION_SET		0
#define WR_IOMMU_OPTION_GET		1

struct wr_iommu_option {
	uint32_t size;
	uint32_t option_id;
	uint16_t op;
	uint16_t reserved;
	uint32_t object_id;
	uint64_t val64;
};

#define WR_IOMMU_VFIO_IOAS_GET		0

/* The IOAS of what stands in a container's place. */
struct wr_iommu_vfio_ioas {
	uint32_t size;
	uint32_t ioas_id;
	uint16_t op;
	uint16_t reserved;
};

/* What belongs to page tables made by hand, and nested ones, is in kernel/uapi_hwpt.h. */
struct wr_iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pt_id;		/* an IOAS, a nest parent or a vIOMMU */
	uint32_t out_hwpt_id;
	uint32_t reserved;
	/* behind this since Linux 6.7; the fault queue since 6.11 */
	uint32_t data_type;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t fault_id;
	uint32_t reserved2;
};

#define WR_IOMMU_HWPT_NEST_PARENT	(1u << 0)
#define WR_IOMMU_HWPT_DIRTY		(1u << 1)
#define WR_IOMMU_HWPT_FAULT		(1u << 2)
#define WR_IOMMU_HWPT_PASID		(1u << 3)

struct wr_iommu_hw_info {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t data_type;	/* in: with the flag; out: what it is */
	uint8_t out_max_pasid_log2;
	uint8_t reserved[3];
	uint64_t out_capabilities;
};

#define WR_IOMMU_HW_INFO_TYPE		(1u << 0)	/* flags: of this type */

#define WR_IOMMU_HW_DIRTY		(1u << 0)
#define WR_IOMMU_HW_PASID_EXEC		(1u << 1)
#define WR_IOMMU_HW_PASID_PRIV		(1u << 2)
#define WR_IOMMU_HW_NO_ATS		(1u << 3)

struct wr_iommu_set_dirty {
	uint32_t size;
	uint32_t flags;
	uint32_t hwpt_id;
	uint32_t reserved;
};

#define WR_IOMMU_DIRTY_ENABLE		(1u << 0)

struct wr_iommu_get_dirty {
	uint32_t size;
	uint32_t hwpt_id;
	uint32_t flags;
	uint32_t reserved;
	uint64_t iova;
	uint64_t length;
	uint64_t page_size;
	uint64_t data;		/* where the bitmap is */
};

#define WR_IOMMU_DIRTY_NO_CLEAR		(1u << 0)

/* ---- io_uring ---- */

/* For io_uring_register(2); the number of buffers isn't in the header (IORING_MAX_REG_BUFFERS) */
#define WR_URING_REGISTER_BUFFERS	0
#define WR_URING_BUFFERS_UPDATE		16	/* Linux 5.13 */
#define WR_URING_BUFFERS_MAX		16384

struct wr_uring_update {
	uint32_t first;
	uint32_t reserved;
	uint64_t iovecs;
	uint64_t tags;
	uint32_t n;
	uint32_t reserved2;
};

/* ---- /proc/PID/maps, Linux 6.11 ---- */

struct wr_procmap_query {
	uint64_t size;
	uint64_t flags;
	uint64_t addr;
	uint64_t start;		/* out, from here on */
	uint64_t end;
	uint64_t vma_flags;
	uint64_t page_size;
	uint64_t offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t name_size;	/* in, too: 0, and there is no name */
	uint32_t build_id_size;
	uint64_t name_addr;
	uint64_t build_id_addr;
};

#define WR_PROCMAP_QUERY		((unsigned long)_IOWR('f', 17, struct wr_procmap_query))

#endif
