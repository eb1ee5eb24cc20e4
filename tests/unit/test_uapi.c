/* SPDX-License-Identifier: MIT */
/*
 * Every number, size and offset of kernel/uapi.h against the headers that it is built with. Those
 * of IOMMUFD come in where they are: Debian 12 has none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/vfio.h>
#if __has_include(<linux/iommufd.h>)
#define WITH_IOMMUFD
#include <linux/iommufd.h>
#endif

#include <weir/device.h>
#include <weir/irq.h>

#include "kernel/uapi.h"
#include "uapi_pairs.h"

static void requests(void **state)
{
	static const struct pair pairs[] = {
		SAME(WR_VFIO_GET_API_VERSION, VFIO_GET_API_VERSION),
		SAME(WR_VFIO_CHECK_EXTENSION, VFIO_CHECK_EXTENSION),
		SAME(WR_VFIO_SET_IOMMU, VFIO_SET_IOMMU),
		SAME(WR_VFIO_IOMMU_GET_INFO, VFIO_IOMMU_GET_INFO),
		SAME(WR_VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_MAP_DMA),
		SAME(WR_VFIO_IOMMU_UNMAP_DMA, VFIO_IOMMU_UNMAP_DMA),
		SAME(WR_VFIO_IOMMU_DIRTY_PAGES, VFIO_IOMMU_DIRTY_PAGES),
		SAME(WR_VFIO_GROUP_GET_STATUS, VFIO_GROUP_GET_STATUS),
		SAME(WR_VFIO_GROUP_SET_CONTAINER, VFIO_GROUP_SET_CONTAINER),
		SAME(WR_VFIO_GROUP_UNSET_CONTAINER, VFIO_GROUP_UNSET_CONTAINER),
		SAME(WR_VFIO_GROUP_GET_DEVICE_FD, VFIO_GROUP_GET_DEVICE_FD),
		SAME(WR_VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_INFO),
		SAME(WR_VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_REGION_INFO),
		SAME(WR_VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_GET_IRQ_INFO),
		SAME(WR_VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_SET_IRQS),
		SAME(WR_VFIO_DEVICE_RESET, VFIO_DEVICE_RESET),
		SAME(WR_VFIO_DEVICE_IOEVENTFD, VFIO_DEVICE_IOEVENTFD),
		SAME(WR_VFIO_DEVICE_FEATURE, VFIO_DEVICE_FEATURE),
		SAME(WR_VFIO_DEVICE_HOT_RESET_INFO, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO),
		SAME(WR_VFIO_DEVICE_HOT_RESET, VFIO_DEVICE_PCI_HOT_RESET),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

static void numbers(void **state)
{
	static const struct pair pairs[] = {
		SAME(WR_VFIO_API_VERSION, VFIO_API_VERSION),
		SAME(WR_VFIO_TYPE1, VFIO_TYPE1_IOMMU),
		SAME(WR_VFIO_TYPE1v2, VFIO_TYPE1v2_IOMMU),
		SAME(WR_VFIO_NOIOMMU, VFIO_NOIOMMU_IOMMU),
		SAME(WR_VFIO_UNMAP_ALL, VFIO_UNMAP_ALL),
		SAME(WR_VFIO_FEATURE_GET, VFIO_DEVICE_FEATURE_GET),
		SAME(WR_VFIO_FEATURE_SET, VFIO_DEVICE_FEATURE_SET),
		SAME(WR_VFIO_FEATURE_PROBE, VFIO_DEVICE_FEATURE_PROBE),
		SAME(WR_VFIO_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY),
		SAME(WR_VFIO_FEATURE_LOW_POWER_WAKEUP,
		     VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP),
		SAME(WR_VFIO_FEATURE_LOW_POWER_EXIT, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT),
		SAME(WR_VFIO_UPDATE_VADDR, VFIO_UPDATE_VADDR),
		SAME(WR_VFIO_GROUP_VIABLE, VFIO_GROUP_FLAGS_VIABLE),
		SAME(WR_VFIO_DEVICE_RESETS, VFIO_DEVICE_FLAGS_RESET),
		SAME(WR_VFIO_DEVICE_PCI, VFIO_DEVICE_FLAGS_PCI),
		SAME(WR_VFIO_REGION_READ, VFIO_REGION_INFO_FLAG_READ),
		SAME(WR_VFIO_REGION_WRITE, VFIO_REGION_INFO_FLAG_WRITE),
		SAME(WR_VFIO_REGION_MMAP, VFIO_REGION_INFO_FLAG_MMAP),
		SAME(WR_VFIO_REGION_CAPS, VFIO_REGION_INFO_FLAG_CAPS),
		SAME(WR_VFIO_REGION_CAP_SPARSE_MMAP, VFIO_REGION_INFO_CAP_SPARSE_MMAP),
		SAME(WR_VFIO_REGION_CAP_MSIX_MAPPABLE, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE),
		/* A width is its own flag. */
		SAME(1, VFIO_DEVICE_IOEVENTFD_8),
		SAME(2, VFIO_DEVICE_IOEVENTFD_16),
		SAME(4, VFIO_DEVICE_IOEVENTFD_32),
		SAME(8, VFIO_DEVICE_IOEVENTFD_64),
		SAME(WR_VFIO_IRQ_EVENTFD, VFIO_IRQ_INFO_EVENTFD),
		SAME(WR_VFIO_IRQ_MASKABLE, VFIO_IRQ_INFO_MASKABLE),
		SAME(WR_VFIO_IRQ_AUTOMASKED, VFIO_IRQ_INFO_AUTOMASKED),
		SAME(WR_VFIO_IRQ_NORESIZE, VFIO_IRQ_INFO_NORESIZE),
		SAME(WR_VFIO_IRQ_SET_NONE, VFIO_IRQ_SET_DATA_NONE),
		SAME(WR_VFIO_IRQ_SET_EVENTFDS, VFIO_IRQ_SET_DATA_EVENTFD),
		SAME(WR_VFIO_IRQ_SET_MASK, VFIO_IRQ_SET_ACTION_MASK),
		SAME(WR_VFIO_IRQ_SET_UNMASK, VFIO_IRQ_SET_ACTION_UNMASK),
		SAME(WR_VFIO_IRQ_SET_TRIGGER, VFIO_IRQ_SET_ACTION_TRIGGER),
		SAME(WR_VFIO_IOMMU_PGSIZES, VFIO_IOMMU_INFO_PGSIZES),
		SAME(WR_VFIO_IOMMU_CAPS, VFIO_IOMMU_INFO_CAPS),
		SAME(WR_VFIO_IOMMU_CAP_IOVA_RANGE, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE),
		SAME(WR_VFIO_MAP_READ, VFIO_DMA_MAP_FLAG_READ),
		SAME(WR_VFIO_MAP_WRITE, VFIO_DMA_MAP_FLAG_WRITE),
		SAME(WR_VFIO_MAP_VADDR, VFIO_DMA_MAP_FLAG_VADDR),
		SAME(WR_VFIO_UNMAP_FLAG_ALL, VFIO_DMA_UNMAP_FLAG_ALL),
		SAME(WR_VFIO_UNMAP_FLAG_VADDR, VFIO_DMA_UNMAP_FLAG_VADDR),
		SAME(WR_VFIO_IOMMU_CAP_DMA_AVAIL, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL),
		SAME(WR_VFIO_DIRTY_START, VFIO_IOMMU_DIRTY_PAGES_FLAG_START),
		SAME(WR_VFIO_DIRTY_STOP, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP),
		SAME(WR_VFIO_DIRTY_GET, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

/* The public headers promise VFIO's numbers. */
static void public_numbers(void **state)
{
	static const struct pair pairs[] = {
		SAME(WEIR_FEATURE_VF_TOKEN, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN),
		SAME(WEIR_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_MIGRATION),
		SAME(WEIR_FEATURE_LOW_POWER, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY),
		SAME(WEIR_FEATURE_LOW_POWER_WAKEUP,
		     VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP),
		SAME(WEIR_FEATURE_DMA_LOGGING, VFIO_DEVICE_FEATURE_DMA_LOGGING_START),
		SAME(WEIR_REGION_BAR0, VFIO_PCI_BAR0_REGION_INDEX),
		SAME(WEIR_REGION_BAR5, VFIO_PCI_BAR5_REGION_INDEX),
		SAME(WEIR_REGION_ROM, VFIO_PCI_ROM_REGION_INDEX),
		SAME(WEIR_REGION_CONFIG, VFIO_PCI_CONFIG_REGION_INDEX),
		SAME(WEIR_REGION_VGA, VFIO_PCI_VGA_REGION_INDEX),
		SAME(WEIR_REGIONS, VFIO_PCI_NUM_REGIONS),
		SAME(WEIR_IRQ_INTX, VFIO_PCI_INTX_IRQ_INDEX),
		SAME(WEIR_IRQ_MSI, VFIO_PCI_MSI_IRQ_INDEX),
		SAME(WEIR_IRQ_MSIX, VFIO_PCI_MSIX_IRQ_INDEX),
		SAME(WEIR_IRQ_ERR, VFIO_PCI_ERR_IRQ_INDEX),
		SAME(WEIR_IRQ_REQ, VFIO_PCI_REQ_IRQ_INDEX),
		SAME(WEIR_IRQS, VFIO_PCI_NUM_IRQS),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

#define DEVICE_INFO(field) FIELD(wr_vfio_device_info, field, vfio_device_info, field)
#define REGION_INFO(field) FIELD(wr_vfio_region_info, field, vfio_region_info, field)
#define IRQ_INFO(field) FIELD(wr_vfio_irq_info, field, vfio_irq_info, field)
#define IRQ_SET(field) FIELD(wr_vfio_irq_set, field, vfio_irq_set, field)
#define IOEVENTFD(field) FIELD(wr_vfio_ioeventfd, field, vfio_device_ioeventfd, field)
#define SPARSE(field, other)                                                                       \
	FIELD(wr_vfio_cap_sparse, field, vfio_region_info_cap_sparse_mmap, other)

static void device_layouts(void **state)
{
	static const struct pair pairs[] = {
		SIZE(wr_vfio_group_status, sizeof(struct vfio_group_status)),
		FIELD(wr_vfio_group_status, argsz, vfio_group_status, argsz),
		FIELD(wr_vfio_group_status, flags, vfio_group_status, flags),
		/*
		 * Header by header this grew: cap_offset came first, then pad. Ours is what the
		 * kernel's documentation has today, of which older headers have the beginning.
		 */
		SIZE(wr_vfio_device_info, 24),
		DEVICE_INFO(argsz), DEVICE_INFO(flags), DEVICE_INFO(num_regions),
		DEVICE_INFO(num_irqs), DEVICE_INFO(cap_offset),
		SIZE(wr_vfio_region_info, sizeof(struct vfio_region_info)),
		REGION_INFO(argsz), REGION_INFO(flags), REGION_INFO(index),
		REGION_INFO(cap_offset), REGION_INFO(size), REGION_INFO(offset),
		SIZE(wr_vfio_irq_info, sizeof(struct vfio_irq_info)),
		IRQ_INFO(argsz), IRQ_INFO(flags), IRQ_INFO(index), IRQ_INFO(count),
		/* The data follows at once. */
		SIZE(wr_vfio_irq_set, offsetof(struct vfio_irq_set, data)),
		IRQ_SET(argsz), IRQ_SET(flags), IRQ_SET(index), IRQ_SET(start), IRQ_SET(count),
		SIZE(wr_vfio_cap, sizeof(struct vfio_info_cap_header)),
		FIELD(wr_vfio_cap, id, vfio_info_cap_header, id),
		FIELD(wr_vfio_cap, version, vfio_info_cap_header, version),
		FIELD(wr_vfio_cap, next, vfio_info_cap_header, next),
		/* Older headers end behind fd, with padding to the same size. */
		SIZE(wr_vfio_ioeventfd, sizeof(struct vfio_device_ioeventfd)),
		IOEVENTFD(argsz), IOEVENTFD(flags), IOEVENTFD(offset), IOEVENTFD(data),
		IOEVENTFD(fd),
		SIZE(wr_vfio_sparse_area, sizeof(struct vfio_region_sparse_mmap_area)),
		FIELD(wr_vfio_sparse_area, offset, vfio_region_sparse_mmap_area, offset),
		FIELD(wr_vfio_sparse_area, size, vfio_region_sparse_mmap_area, size),
		SIZE(wr_vfio_cap_sparse,
		     offsetof(struct vfio_region_info_cap_sparse_mmap, areas)),
		SPARSE(header, header), SPARSE(nr_areas, nr_areas), SPARSE(reserved, reserved),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

#ifdef VFIO_DEVICE_FEATURE_DMA_BUF
#define DMA_BUF(field) FIELD(wr_vfio_dma_buf, field, vfio_device_feature_dma_buf, field)

/* From Linux 6.19 on. */
static void dma_buf(void **state)
{
	static const struct pair pairs[] = {
		SAME(WEIR_FEATURE_DMA_BUF, VFIO_DEVICE_FEATURE_DMA_BUF),
		SAME(WR_VFIO_FEATURE_DMA_BUF, VFIO_DEVICE_FEATURE_DMA_BUF),
		SIZE(wr_vfio_dma_buf, offsetof(struct vfio_device_feature_dma_buf, dma_ranges)),
		DMA_BUF(region_index), DMA_BUF(open_flags), DMA_BUF(flags), DMA_BUF(nr_ranges),
		SIZE(wr_vfio_dma_range, sizeof(struct vfio_region_dma_range)),
		FIELD(wr_vfio_dma_range, offset, vfio_region_dma_range, offset),
		FIELD(wr_vfio_dma_range, length, vfio_region_dma_range, length),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}
#endif

#define IOMMU_INFO(field) FIELD(wr_vfio_iommu_info, field, vfio_iommu_type1_info, field)
#define CAP_IOVA(field, other)                                                                     \
	FIELD(wr_vfio_cap_iova_range, field, vfio_iommu_type1_info_cap_iova_range, other)
#define MAP(field) FIELD(wr_vfio_map_dma, field, vfio_iommu_type1_dma_map, field)
#define UNMAP(field) FIELD(wr_vfio_unmap_dma, field, vfio_iommu_type1_dma_unmap, field)
#define DIRTY(field) FIELD(wr_vfio_dirty, field, vfio_iommu_type1_dirty_bitmap, field)
#define BITMAP(field) FIELD(wr_vfio_bitmap, field, vfio_bitmap, field)

/* The kernel's structure for a read of dirty pages is two, one behind the other. */
#define GET(field)                                                                                 \
	{ "wr_vfio_dirty_get." #field, offsetof(struct wr_vfio_dirty_get, field),                  \
	  offsetof(struct vfio_iommu_type1_dirty_bitmap, data) +                                   \
	  offsetof(struct vfio_iommu_type1_dirty_bitmap_get, field) }

static void iommu_layouts(void **state)
{
	static const struct pair pairs[] = {
		SIZE(wr_vfio_iommu_info, sizeof(struct vfio_iommu_type1_info)),
		IOMMU_INFO(argsz), IOMMU_INFO(flags), IOMMU_INFO(iova_pgsizes),
		IOMMU_INFO(cap_offset),
		SIZE(wr_vfio_iova_range, sizeof(struct vfio_iova_range)),
		FIELD(wr_vfio_iova_range, start, vfio_iova_range, start),
		FIELD(wr_vfio_iova_range, end, vfio_iova_range, end),
		SIZE(wr_vfio_cap_iova_range,
		     offsetof(struct vfio_iommu_type1_info_cap_iova_range, iova_ranges)),
		CAP_IOVA(header, header), CAP_IOVA(nr_iovas, nr_iovas),
		CAP_IOVA(reserved, reserved),
		SIZE(wr_vfio_map_dma, sizeof(struct vfio_iommu_type1_dma_map)),
		MAP(argsz), MAP(flags), MAP(vaddr), MAP(iova), MAP(size),
		SIZE(wr_vfio_unmap_dma, offsetof(struct vfio_iommu_type1_dma_unmap, data)),
		UNMAP(argsz), UNMAP(flags), UNMAP(iova), UNMAP(size),
		SIZE(wr_vfio_dirty, offsetof(struct vfio_iommu_type1_dirty_bitmap, data)),
		DIRTY(argsz), DIRTY(flags),
		SIZE(wr_vfio_bitmap, sizeof(struct vfio_bitmap)),
		BITMAP(pgsize), BITMAP(size), BITMAP(data),
		SIZE(wr_vfio_dirty_get, offsetof(struct vfio_iommu_type1_dirty_bitmap, data) +
		     sizeof(struct vfio_iommu_type1_dirty_bitmap_get)),
		GET(iova), GET(size), GET(bitmap),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

#ifdef PROCMAP_QUERY
#define PROCMAP(field, other) FIELD(wr_procmap_query, field, procmap_query, other)

/* Since Linux 6.11. */
static void procmap(void **state)
{
	static const struct pair pairs[] = {
		SAME(WR_PROCMAP_QUERY, PROCMAP_QUERY),
		SIZE(wr_procmap_query, sizeof(struct procmap_query)),
		PROCMAP(size, size), PROCMAP(flags, query_flags), PROCMAP(addr, query_addr),
		PROCMAP(start, vma_start), PROCMAP(end, vma_end), PROCMAP(vma_flags, vma_flags),
		PROCMAP(page_size, vma_page_size), PROCMAP(offset, vma_offset),
		PROCMAP(inode, inode), PROCMAP(dev_major, dev_major),
		PROCMAP(dev_minor, dev_minor), PROCMAP(name_size, vma_name_size),
		PROCMAP(build_id_size, build_id_size), PROCMAP(name_addr, vma_name_addr),
		PROCMAP(build_id_addr, build_id_addr),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}
#endif

#define UPDATE(field, other) FIELD(wr_uring_update, field, io_uring_rsrc_update2, other)

#define SPAPR_INFO(field, other) FIELD(wr_vfio_spapr_info, field, vfio_iommu_spapr_tce_info, other)
#define MEMORY(field)                                                                              \
	FIELD(wr_vfio_spapr_memory, field, vfio_iommu_spapr_register_memory, field)
#define CREATE(field, other)                                                                       \
	FIELD(wr_vfio_spapr_create, field, vfio_iommu_spapr_tce_create, other)
#define REMOVE(field, other)                                                                       \
	FIELD(wr_vfio_spapr_remove, field, vfio_iommu_spapr_tce_remove, other)
#define EEH(field, other) FIELD(wr_vfio_eeh, field, vfio_eeh_pe_op, other)

static void spapr_numbers(void **state)
{
	static const struct pair pairs[] = {
		SAME(WR_VFIO_SPAPR_GET_INFO, VFIO_IOMMU_SPAPR_TCE_GET_INFO),
		SAME(WR_VFIO_SPAPR_ENABLE, VFIO_IOMMU_ENABLE),
		SAME(WR_VFIO_SPAPR_DISABLE, VFIO_IOMMU_DISABLE),
		SAME(WR_VFIO_SPAPR_REGISTER, VFIO_IOMMU_SPAPR_REGISTER_MEMORY),
		SAME(WR_VFIO_SPAPR_UNREGISTER, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY),
		SAME(WR_VFIO_SPAPR_CREATE, VFIO_IOMMU_SPAPR_TCE_CREATE),
		SAME(WR_VFIO_SPAPR_REMOVE, VFIO_IOMMU_SPAPR_TCE_REMOVE),
		SAME(WR_VFIO_SPAPR, VFIO_SPAPR_TCE_IOMMU),
		SAME(WR_VFIO_SPAPRv2, VFIO_SPAPR_TCE_v2_IOMMU),
		SAME(WR_VFIO_SPAPR_DDW, VFIO_IOMMU_SPAPR_INFO_DDW),
		SAME(WR_VFIO_EEH, VFIO_EEH),
		SAME(WR_VFIO_EEH_PE_OP, VFIO_EEH_PE_OP),
		SAME(WR_VFIO_EEH_DISABLE, VFIO_EEH_PE_DISABLE),
		SAME(WR_VFIO_EEH_ENABLE, VFIO_EEH_PE_ENABLE),
		SAME(WR_VFIO_EEH_UNFREEZE_IO, VFIO_EEH_PE_UNFREEZE_IO),
		SAME(WR_VFIO_EEH_UNFREEZE_DMA, VFIO_EEH_PE_UNFREEZE_DMA),
		SAME(WR_VFIO_EEH_GET_STATE, VFIO_EEH_PE_GET_STATE),
		SAME(WR_VFIO_EEH_RESET_DEACTIVATE, VFIO_EEH_PE_RESET_DEACTIVATE),
		SAME(WR_VFIO_EEH_RESET_HOT, VFIO_EEH_PE_RESET_HOT),
		SAME(WR_VFIO_EEH_RESET_FUNDAMENTAL, VFIO_EEH_PE_RESET_FUNDAMENTAL),
		SAME(WR_VFIO_EEH_CONFIGURE, VFIO_EEH_PE_CONFIGURE),
		SAME(WR_VFIO_EEH_INJECT_ERR, VFIO_EEH_PE_INJECT_ERR),
		SAME(WR_VFIO_EEH_NORMAL, VFIO_EEH_PE_STATE_NORMAL),
		SAME(WR_VFIO_EEH_RESET, VFIO_EEH_PE_STATE_RESET),
		SAME(WR_VFIO_EEH_STOPPED, VFIO_EEH_PE_STATE_STOPPED),
		SAME(WR_VFIO_EEH_STOPPED_DMA, VFIO_EEH_PE_STATE_STOPPED_DMA),
		SAME(WR_VFIO_EEH_UNAVAIL, VFIO_EEH_PE_STATE_UNAVAIL),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

static void spapr_layouts(void **state)
{
	static const struct pair pairs[] = {
		SIZE(wr_vfio_spapr_info, sizeof(struct vfio_iommu_spapr_tce_info)),
		SPAPR_INFO(argsz, argsz), SPAPR_INFO(flags, flags),
		SPAPR_INFO(dma32_start, dma32_window_start),
		SPAPR_INFO(dma32_size, dma32_window_size), SPAPR_INFO(pgsizes, ddw.pgsizes),
		SPAPR_INFO(max_windows, ddw.max_dynamic_windows_supported),
		SPAPR_INFO(levels, ddw.levels),
		SIZE(wr_vfio_spapr_memory, sizeof(struct vfio_iommu_spapr_register_memory)),
		MEMORY(argsz), MEMORY(flags), MEMORY(vaddr), MEMORY(size),
		SIZE(wr_vfio_spapr_create, sizeof(struct vfio_iommu_spapr_tce_create)),
		CREATE(argsz, argsz), CREATE(flags, flags), CREATE(page_shift, page_shift),
		CREATE(reserved, __resv1), CREATE(window_size, window_size),
		CREATE(levels, levels), CREATE(reserved2, __resv2), CREATE(start, start_addr),
		SIZE(wr_vfio_spapr_remove, sizeof(struct vfio_iommu_spapr_tce_remove)),
		REMOVE(argsz, argsz), REMOVE(flags, flags), REMOVE(start, start_addr),
		SIZE(wr_vfio_eeh, sizeof(struct vfio_eeh_pe_op)),
		EEH(argsz, argsz), EEH(flags, flags), EEH(op, op), EEH(type, err.type),
		EEH(func, err.func), EEH(addr, err.addr), EEH(mask, err.mask),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

static void uring(void **state)
{
	static const struct pair pairs[] = {
		SAME(WR_URING_REGISTER_BUFFERS, IORING_REGISTER_BUFFERS),
		SAME(WR_URING_BUFFERS_UPDATE, IORING_REGISTER_BUFFERS_UPDATE),
		SIZE(wr_uring_update, sizeof(struct io_uring_rsrc_update2)),
		UPDATE(first, offset), UPDATE(reserved, resv), UPDATE(iovecs, data),
		UPDATE(tags, tags), UPDATE(n, nr), UPDATE(reserved2, resv2),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

#ifdef WITH_IOMMUFD
static void iommufd_numbers(void **state)
{
	static const struct pair pairs[] = {
		SAME(WR_VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_BIND_IOMMUFD),
		SAME(WR_VFIO_DEVICE_ATTACH_PT, VFIO_DEVICE_ATTACH_IOMMUFD_PT),
		SAME(WR_VFIO_DEVICE_DETACH_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT),
		SAME(WR_VFIO_BIND_TOKEN, VFIO_DEVICE_BIND_FLAG_TOKEN),
		SAME(WR_VFIO_HOT_RESET_DEV_ID, VFIO_PCI_HOT_RESET_FLAG_DEV_ID),
		SAME(WR_VFIO_DEVID_NOT_OWNED, (uint32_t)VFIO_PCI_DEVID_NOT_OWNED),
		SAME(WR_IOMMU_DESTROY, IOMMU_DESTROY),
		SAME(WR_IOMMU_IOAS_ALLOC, IOMMU_IOAS_ALLOC),
		SAME(WR_IOMMU_IOAS_ALLOW_IOVAS, IOMMU_IOAS_ALLOW_IOVAS),
		SAME(WR_IOMMU_IOAS_COPY, IOMMU_IOAS_COPY),
		SAME(WR_IOMMU_IOAS_IOVA_RANGES, IOMMU_IOAS_IOVA_RANGES),
		SAME(WR_IOMMU_IOAS_MAP, IOMMU_IOAS_MAP),
		SAME(WR_IOMMU_IOAS_UNMAP, IOMMU_IOAS_UNMAP),
		SAME(WR_IOMMU_OPTION, IOMMU_OPTION),
		SAME(WR_IOMMU_VFIO_IOAS, IOMMU_VFIO_IOAS),
		SAME(WR_IOMMU_VFIO_IOAS_GET, IOMMU_VFIO_IOAS_GET),
		SAME(WR_IOMMU_HWPT_ALLOC, IOMMU_HWPT_ALLOC),
		SAME(WR_IOMMU_GET_HW_INFO, IOMMU_GET_HW_INFO),
		SAME(WR_IOMMU_SET_DIRTY_TRACKING, IOMMU_HWPT_SET_DIRTY_TRACKING),
		SAME(WR_IOMMU_GET_DIRTY_BITMAP, IOMMU_HWPT_GET_DIRTY_BITMAP),
		SAME(WR_IOMMU_IOAS_MAP_FILE, IOMMU_IOAS_MAP_FILE),
		SAME(WR_IOMMU_IOAS_CHANGE_PROCESS, IOMMU_IOAS_CHANGE_PROCESS),
		SAME(WR_IOMMU_MAP_FIXED, IOMMU_IOAS_MAP_FIXED_IOVA),
		SAME(WR_IOMMU_MAP_WRITE, IOMMU_IOAS_MAP_WRITEABLE),
		SAME(WR_IOMMU_MAP_READ, IOMMU_IOAS_MAP_READABLE),
		SAME(WR_IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_RLIMIT_MODE),
		SAME(WR_IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_HUGE_PAGES),
		SAME(WR_IOMMU_OPTION_SET, IOMMU_OPTION_OP_SET),
		SAME(WR_IOMMU_OPTION_GET, IOMMU_OPTION_OP_GET),
		SAME(WR_VFIO_ATTACH_PASID, VFIO_DEVICE_ATTACH_PASID),
		SAME(WR_VFIO_ATTACH_PASID, VFIO_DEVICE_DETACH_PASID),
		SAME(WR_IOMMU_HWPT_NEST_PARENT, IOMMU_HWPT_ALLOC_NEST_PARENT),
		SAME(WR_IOMMU_HWPT_DIRTY, IOMMU_HWPT_ALLOC_DIRTY_TRACKING),
		SAME(WR_IOMMU_HWPT_FAULT, IOMMU_HWPT_FAULT_ID_VALID),
		SAME(WR_IOMMU_HWPT_PASID, IOMMU_HWPT_ALLOC_PASID),
		SAME(WR_IOMMU_HW_INFO_TYPE, IOMMU_HW_INFO_FLAG_INPUT_TYPE),
		SAME(WR_IOMMU_HW_PASID_EXEC, IOMMU_HW_CAP_PCI_PASID_EXEC),
		SAME(WR_IOMMU_HW_PASID_PRIV, IOMMU_HW_CAP_PCI_PASID_PRIV),
		SAME(WR_IOMMU_HW_NO_ATS, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED),
		SAME(WR_IOMMU_DIRTY_NO_CLEAR, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR),
		SAME(WR_IOMMU_HW_DIRTY, IOMMU_HW_CAP_DIRTY_TRACKING),
		SAME(WR_IOMMU_DIRTY_ENABLE, IOMMU_HWPT_DIRTY_TRACKING_ENABLE),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

#define BIND(field, other) FIELD(wr_vfio_bind, field, vfio_device_bind_iommufd, other)
#define ATTACH(field) FIELD(wr_vfio_attach, field, vfio_device_attach_iommufd_pt, field)
#define DETACH(field) FIELD(wr_vfio_detach, field, vfio_device_detach_iommufd_pt, field)
#define RANGES(field, other) FIELD(wr_iommu_ranges, field, iommu_ioas_iova_ranges, other)
#define ALLOW(field, other) FIELD(wr_iommu_allow, field, iommu_ioas_allow_iovas, other)
#define COPY(field) FIELD(wr_iommu_copy, field, iommu_ioas_copy, field)
#define IOAS_MAP(field, other) FIELD(wr_iommu_map, field, iommu_ioas_map, other)
#define MAP_FILE(field) FIELD(wr_iommu_map_file, field, iommu_ioas_map_file, field)
#define IOAS_UNMAP(field) FIELD(wr_iommu_unmap, field, iommu_ioas_unmap, field)
#define OPTION(field, other) FIELD(wr_iommu_option, field, iommu_option, other)
#define VFIO_IOAS(field, other) FIELD(wr_iommu_vfio_ioas, field, iommu_vfio_ioas, other)
#define HWPT(field, other) FIELD(wr_iommu_hwpt_alloc, field, iommu_hwpt_alloc, other)
#define HW_INFO(field, other) FIELD(wr_iommu_hw_info, field, iommu_hw_info, other)
#define SET_DIRTY(field, other)                                                                    \
	FIELD(wr_iommu_set_dirty, field, iommu_hwpt_set_dirty_tracking, other)
#define GET_DIRTY(field, other) FIELD(wr_iommu_get_dirty, field, iommu_hwpt_get_dirty_bitmap, other)

static void iommufd_layouts(void **state)
{
	static const struct pair pairs[] = {
		SIZE(wr_vfio_bind, sizeof(struct vfio_device_bind_iommufd)),
		BIND(argsz, argsz), BIND(flags, flags), BIND(iommufd, iommufd),
		BIND(out_devid, out_devid), BIND(token, token_uuid_ptr),
		SIZE(wr_vfio_attach, sizeof(struct vfio_device_attach_iommufd_pt)),
		ATTACH(argsz), ATTACH(flags), ATTACH(pt_id), ATTACH(pasid),
		SIZE(wr_vfio_detach, sizeof(struct vfio_device_detach_iommufd_pt)),
		DETACH(argsz), DETACH(flags), DETACH(pasid),
		SIZE(wr_iommu_destroy, sizeof(struct iommu_destroy)),
		FIELD(wr_iommu_destroy, size, iommu_destroy, size),
		FIELD(wr_iommu_destroy, id, iommu_destroy, id),
		SIZE(wr_iommu_ioas_alloc, sizeof(struct iommu_ioas_alloc)),
		FIELD(wr_iommu_ioas_alloc, size, iommu_ioas_alloc, size),
		FIELD(wr_iommu_ioas_alloc, flags, iommu_ioas_alloc, flags),
		FIELD(wr_iommu_ioas_alloc, out_ioas_id, iommu_ioas_alloc, out_ioas_id),
		SIZE(wr_iommu_iova_range, sizeof(struct iommu_iova_range)),
		FIELD(wr_iommu_iova_range, start, iommu_iova_range, start),
		FIELD(wr_iommu_iova_range, last, iommu_iova_range, last),
		SIZE(wr_iommu_ranges, sizeof(struct iommu_ioas_iova_ranges)),
		RANGES(size, size), RANGES(ioas_id, ioas_id), RANGES(num_iovas, num_iovas),
		RANGES(reserved, __reserved), RANGES(allowed_iovas, allowed_iovas),
		RANGES(out_iova_alignment, out_iova_alignment),
		SIZE(wr_iommu_allow, sizeof(struct iommu_ioas_allow_iovas)),
		ALLOW(size, size), ALLOW(ioas_id, ioas_id), ALLOW(num_iovas, num_iovas),
		ALLOW(reserved, __reserved), ALLOW(allowed_iovas, allowed_iovas),
		SIZE(wr_iommu_copy, sizeof(struct iommu_ioas_copy)),
		COPY(size), COPY(flags), COPY(dst_ioas_id), COPY(src_ioas_id), COPY(length),
		COPY(dst_iova), COPY(src_iova),
		SIZE(wr_iommu_map, sizeof(struct iommu_ioas_map)),
		IOAS_MAP(size, size), IOAS_MAP(flags, flags), IOAS_MAP(ioas_id, ioas_id),
		IOAS_MAP(reserved, __reserved), IOAS_MAP(user_va, user_va),
		IOAS_MAP(length, length), IOAS_MAP(iova, iova),
		SIZE(wr_iommu_map_file, sizeof(struct iommu_ioas_map_file)),
		MAP_FILE(size), MAP_FILE(flags), MAP_FILE(ioas_id), MAP_FILE(fd), MAP_FILE(start),
		MAP_FILE(length), MAP_FILE(iova),
		SIZE(wr_iommu_change_process, sizeof(struct iommu_ioas_change_process)),
		FIELD(wr_iommu_change_process, size, iommu_ioas_change_process, size),
		FIELD(wr_iommu_change_process, reserved, iommu_ioas_change_process, __reserved),
		SIZE(wr_iommu_unmap, sizeof(struct iommu_ioas_unmap)),
		IOAS_UNMAP(size), IOAS_UNMAP(ioas_id), IOAS_UNMAP(iova), IOAS_UNMAP(length),
		SIZE(wr_iommu_option, sizeof(struct iommu_option)),
		OPTION(size, size), OPTION(option_id, option_id), OPTION(op, op),
		OPTION(reserved, __reserved), OPTION(object_id, object_id), OPTION(val64, val64),
		SIZE(wr_iommu_vfio_ioas, sizeof(struct iommu_vfio_ioas)),
		VFIO_IOAS(size, size), VFIO_IOAS(ioas_id, ioas_id), VFIO_IOAS(op, op),
		VFIO_IOAS(reserved, __reserved),
		SIZE(wr_iommu_hwpt_alloc, sizeof(struct iommu_hwpt_alloc)),
		HWPT(size, size), HWPT(flags, flags), HWPT(dev_id, dev_id), HWPT(pt_id, pt_id),
		HWPT(out_hwpt_id, out_hwpt_id), HWPT(reserved, __reserved),
		HWPT(data_type, data_type), HWPT(data_len, data_len), HWPT(data_uptr, data_uptr),
		HWPT(fault_id, fault_id), HWPT(reserved2, __reserved2),
		SIZE(wr_iommu_hw_info, sizeof(struct iommu_hw_info)),
		HW_INFO(size, size), HW_INFO(flags, flags), HW_INFO(dev_id, dev_id),
		HW_INFO(data_len, data_len), HW_INFO(data_uptr, data_uptr),
		HW_INFO(data_type, out_data_type),
		HW_INFO(out_max_pasid_log2, out_max_pasid_log2), HW_INFO(reserved, __reserved),
		HW_INFO(out_capabilities, out_capabilities),
		SIZE(wr_iommu_set_dirty, sizeof(struct iommu_hwpt_set_dirty_tracking)),
		SET_DIRTY(size, size), SET_DIRTY(flags, flags), SET_DIRTY(hwpt_id, hwpt_id),
		SET_DIRTY(reserved, __reserved),
		SIZE(wr_iommu_get_dirty, sizeof(struct iommu_hwpt_get_dirty_bitmap)),
		GET_DIRTY(size, size), GET_DIRTY(hwpt_id, hwpt_id), GET_DIRTY(flags, flags),
		GET_DIRTY(reserved, __reserved), GET_DIRTY(iova, iova), GET_DIRTY(length, length),
		GET_DIRTY(page_size, page_size), GET_DIRTY(data, data),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

#ifdef IOMMU_IOAS_NOIOMMU_GET_PA
#define GET_PA(field, other) FIELD(wr_iommu_get_pa, field, iommu_ioas_noiommu_get_pa, other)

/* Since Linux 7.3. */
static void iommufd_noiommu(void **state)
{
	static const struct pair pairs[] = {
		SAME(WR_IOMMU_IOAS_GET_PA, IOMMU_IOAS_NOIOMMU_GET_PA),
		SIZE(wr_iommu_get_pa, sizeof(struct iommu_ioas_noiommu_get_pa)),
		GET_PA(size, size), GET_PA(flags, flags), GET_PA(ioas_id, ioas_id),
		GET_PA(reserved, __reserved), GET_PA(iova, iova), GET_PA(length, length),
		GET_PA(out_phys, out_phys),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}
#endif
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(numbers),
		cmocka_unit_test(public_numbers),
		cmocka_unit_test(device_layouts),
		cmocka_unit_test(iommu_layouts),
		cmocka_unit_test(spapr_numbers),
		cmocka_unit_test(spapr_layouts),
		cmocka_unit_test(uring),
#ifdef PROCMAP_QUERY
		cmocka_unit_test(procmap),
#endif
#ifdef VFIO_DEVICE_FEATURE_DMA_BUF
		cmocka_unit_test(dma_buf),
#endif
#ifdef WITH_IOMMUFD
		cmocka_unit_test(iommufd_numbers),
		cmocka_unit_test(iommufd_layouts),
#ifdef IOMMU_IOAS_NOIOMMU_GET_PA
		cmocka_unit_test(iommufd_noiommu),
#endif
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
