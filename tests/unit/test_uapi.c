/* SPDX-License-Identifier: MIT */
/* Every number, size and offset of kernel/uapi.h against the installed header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/vfio.h>

#include <weir/device.h>
#include <weir/irq.h>

#include "kernel/uapi.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct pair {
	const char *name;
	unsigned long ours, theirs;
};

#define SAME(ours, theirs)		{ #ours, ours, theirs }
#define SIZE(ours, theirs)		{ "size of " #ours, sizeof(struct ours), theirs }
#define FIELD(ours, field, theirs, other)                                                          \
	{ #ours "." #field, offsetof(struct ours, field), offsetof(struct theirs, other) },        \
	{ "size of " #ours "." #field, sizeof(((struct ours *)0)->field),                          \
	  sizeof(((struct theirs *)0)->other) }

static void check(const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pairs[i].ours != pairs[i].theirs)
			fail_msg("%s is 0x%lx here and 0x%lx in linux/vfio.h\n", pairs[i].name,
				 pairs[i].ours, pairs[i].theirs);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(numbers),
		cmocka_unit_test(public_numbers),
		cmocka_unit_test(device_layouts),
		cmocka_unit_test(iommu_layouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
