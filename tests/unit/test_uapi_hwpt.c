/* SPDX-License-Identifier: MIT */
/*
 * What kernel/uapi_hwpt.h declares, and what each vendor's hardware is given or tells in the public
 * headers, against a kernel header that has all of it: that of Linux 7.3, or newer. Built with an
 * older one there is nothing to be compared; tests/vm/test_headers.py builds it with the newest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#endif

#include <weir/hw.h>
#include <weir/viommu.h>

#include "kernel/uapi_hwpt.h"
#include "uapi_pairs.h"

/* The last of these that came in. */
#ifdef IOMMU_IOAS_NOIOMMU_GET_PA
static void iommufd_hwpt_numbers(void **state)
{
	static const struct pair pairs[] = {
		SAME(WR_IOMMU_HWPT_INVALIDATE, IOMMU_HWPT_INVALIDATE),
		SAME(WR_IOMMU_FAULT_QUEUE_ALLOC, IOMMU_FAULT_QUEUE_ALLOC),
		SAME(WR_IOMMU_VIOMMU_ALLOC, IOMMU_VIOMMU_ALLOC),
		SAME(WR_IOMMU_VDEVICE_ALLOC, IOMMU_VDEVICE_ALLOC),
		SAME(WR_IOMMU_VEVENTQ_ALLOC, IOMMU_VEVENTQ_ALLOC),
		SAME(WR_IOMMU_HW_QUEUE_ALLOC, IOMMU_HW_QUEUE_ALLOC),
		SAME(WR_IOMMU_FAULT_HAS_PASID, IOMMU_PGFAULT_FLAGS_PASID_VALID),
		SAME(WR_IOMMU_FAULT_LAST, IOMMU_PGFAULT_FLAGS_LAST_PAGE),
		SAME(WR_IOMMU_FAULT_READ, IOMMU_PGFAULT_PERM_READ),
		SAME(WR_IOMMU_FAULT_WRITE, IOMMU_PGFAULT_PERM_WRITE),
		SAME(WR_IOMMU_FAULT_EXEC, IOMMU_PGFAULT_PERM_EXEC),
		SAME(WR_IOMMU_FAULT_PRIV, IOMMU_PGFAULT_PERM_PRIV),
		SAME(WR_IOMMU_RESPONSE_SUCCESS, IOMMUFD_PAGE_RESP_SUCCESS),
		SAME(WR_IOMMU_RESPONSE_INVALID, IOMMUFD_PAGE_RESP_INVALID),
		SAME(WR_IOMMU_VEVENT_LOST, IOMMU_VEVENTQ_FLAG_LOST_EVENTS),
		/* public ones */
		SAME(WEIR_NESTED_RAW, IOMMU_HWPT_DATA_NONE),
		SAME(WEIR_NESTED_VTD_S1, IOMMU_HWPT_DATA_VTD_S1),
		SAME(WEIR_NESTED_SMMUV3, IOMMU_HWPT_DATA_ARM_SMMUV3),
		SAME(WEIR_NESTED_AMD, IOMMU_HWPT_DATA_AMD_GUEST),
		SAME(WEIR_VTD_S1_SRE, IOMMU_VTD_S1_SRE),
		SAME(WEIR_VTD_S1_EAFE, IOMMU_VTD_S1_EAFE),
		SAME(WEIR_VTD_S1_WPE, IOMMU_VTD_S1_WPE),
		SAME(WEIR_INVALIDATE_VTD_S1, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1),
		SAME(WEIR_INVALIDATE_SMMUV3, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3),
		SAME(WEIR_VTD_INVALIDATE_LEAF, IOMMU_VTD_INV_FLAGS_LEAF),
		SAME(WEIR_HW_NONE, IOMMU_HW_INFO_TYPE_NONE),
		SAME(WEIR_HW_VTD, IOMMU_HW_INFO_TYPE_INTEL_VTD),
		SAME(WEIR_HW_SMMUV3, IOMMU_HW_INFO_TYPE_ARM_SMMUV3),
		SAME(WEIR_HW_TEGRA241_CMDQV, IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV),
		SAME(WEIR_HW_AMD, IOMMU_HW_INFO_TYPE_AMD),
		SAME(WEIR_VIOMMU_SMMUV3, IOMMU_VIOMMU_TYPE_ARM_SMMUV3),
		SAME(WEIR_VIOMMU_TEGRA241_CMDQV, IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV),
		SAME(WEIR_EVENTQ_SMMUV3, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3),
		SAME(WEIR_EVENTQ_TEGRA241_CMDQV, IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV),
		SAME(WEIR_HWQUEUE_TEGRA241_CMDQV, IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

#define INVALIDATE(field, other) FIELD(wr_iommu_invalidate, field, iommu_hwpt_invalidate, other)
#define FAULTQ(field) FIELD(wr_iommu_fault_alloc, field, iommu_fault_alloc, field)
#define FAULT(field, other) FIELD(wr_iommu_pgfault, field, iommu_hwpt_pgfault, other)
#define VIOMMU(field, other) FIELD(wr_iommu_viommu_alloc, field, iommu_viommu_alloc, other)
#define VDEVICE(field) FIELD(wr_iommu_vdevice_alloc, field, iommu_vdevice_alloc, field)
#define EVENTQ(field, other) FIELD(wr_iommu_veventq_alloc, field, iommu_veventq_alloc, other)
#define HWQUEUE(field) FIELD(wr_iommu_hw_queue_alloc, field, iommu_hw_queue_alloc, field)

static void iommufd_hwpt_layouts(void **state)
{
	static const struct pair pairs[] = {
		SIZE(wr_iommu_invalidate, sizeof(struct iommu_hwpt_invalidate)),
		INVALIDATE(size, size), INVALIDATE(hwpt_id, hwpt_id),
		INVALIDATE(data_uptr, data_uptr), INVALIDATE(data_type, data_type),
		INVALIDATE(entry_len, entry_len), INVALIDATE(entry_num, entry_num),
		INVALIDATE(reserved, __reserved),
		SIZE(wr_iommu_fault_alloc, sizeof(struct iommu_fault_alloc)),
		FAULTQ(size), FAULTQ(flags), FAULTQ(out_fault_id), FAULTQ(out_fault_fd),
		SIZE(wr_iommu_pgfault, sizeof(struct iommu_hwpt_pgfault)),
		FAULT(flags, flags), FAULT(dev_id, dev_id), FAULT(pasid, pasid),
		FAULT(grpid, grpid), FAULT(perm, perm), FAULT(reserved, __reserved),
		FAULT(addr, addr), FAULT(length, length), FAULT(cookie, cookie),
		SIZE(wr_iommu_page_response, sizeof(struct iommu_hwpt_page_response)),
		FIELD(wr_iommu_page_response, cookie, iommu_hwpt_page_response, cookie),
		FIELD(wr_iommu_page_response, code, iommu_hwpt_page_response, code),
		SIZE(wr_iommu_viommu_alloc, sizeof(struct iommu_viommu_alloc)),
		VIOMMU(size, size), VIOMMU(flags, flags), VIOMMU(type, type),
		VIOMMU(dev_id, dev_id), VIOMMU(hwpt_id, hwpt_id),
		VIOMMU(out_viommu_id, out_viommu_id), VIOMMU(data_len, data_len),
		VIOMMU(reserved, __reserved), VIOMMU(data_uptr, data_uptr),
		SIZE(wr_iommu_vdevice_alloc, sizeof(struct iommu_vdevice_alloc)),
		VDEVICE(size), VDEVICE(viommu_id), VDEVICE(dev_id), VDEVICE(out_vdevice_id),
		VDEVICE(virt_id),
		SIZE(wr_iommu_veventq_alloc, sizeof(struct iommu_veventq_alloc)),
		EVENTQ(size, size), EVENTQ(flags, flags), EVENTQ(viommu_id, viommu_id),
		EVENTQ(type, type), EVENTQ(depth, veventq_depth),
		EVENTQ(out_veventq_id, out_veventq_id), EVENTQ(out_veventq_fd, out_veventq_fd),
		EVENTQ(reserved, __reserved),
		SIZE(wr_iommu_vevent_header, sizeof(struct iommufd_vevent_header)),
		FIELD(wr_iommu_vevent_header, flags, iommufd_vevent_header, flags),
		FIELD(wr_iommu_vevent_header, sequence, iommufd_vevent_header, sequence),
		SIZE(wr_iommu_hw_queue_alloc, sizeof(struct iommu_hw_queue_alloc)),
		HWQUEUE(size), HWQUEUE(flags), HWQUEUE(viommu_id), HWQUEUE(type), HWQUEUE(index),
		HWQUEUE(out_hw_queue_id), HWQUEUE(nesting_parent_iova), HWQUEUE(length),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

#define VTD_S1(field, other) FIELD(weir_vtd_s1, field, iommu_hwpt_vtd_s1, other)
#define VTD_INV(field, other)                                                                      \
	FIELD(weir_vtd_invalidation, field, iommu_hwpt_vtd_s1_invalidate, other)
#define VTD(field, other) FIELD(weir_hw_vtd, field, iommu_hw_info_vtd, other)
#define SMMU(field, other) FIELD(weir_hw_smmuv3, field, iommu_hw_info_arm_smmuv3, other)
#define TEGRA(field, other)                                                                        \
	FIELD(weir_hw_tegra241_cmdqv, field, iommu_hw_info_tegra241_cmdqv, other)
#define TEGRA_VIOMMU(field, other)                                                                 \
	FIELD(weir_tegra241_viommu, field, iommu_viommu_tegra241_cmdqv, other)

static void iommufd_vendors(void **state)
{
	static const struct pair pairs[] = {
		SIZE(weir_vtd_s1, sizeof(struct iommu_hwpt_vtd_s1)),
		VTD_S1(flags, flags), VTD_S1(table, pgtbl_addr), VTD_S1(width, addr_width),
		VTD_S1(reserved, __reserved),
		SIZE(weir_smmuv3_ste, sizeof(struct iommu_hwpt_arm_smmuv3)),
		FIELD(weir_smmuv3_ste, ste, iommu_hwpt_arm_smmuv3, ste),
		SIZE(weir_amd_dte, sizeof(struct iommu_hwpt_amd_guest)),
		FIELD(weir_amd_dte, dte, iommu_hwpt_amd_guest, dte),
		SIZE(weir_vtd_invalidation, sizeof(struct iommu_hwpt_vtd_s1_invalidate)),
		VTD_INV(addr, addr), VTD_INV(pages, npages), VTD_INV(flags, flags),
		VTD_INV(reserved, __reserved),
		SIZE(weir_smmuv3_command, sizeof(struct iommu_viommu_arm_smmuv3_invalidate)),
		FIELD(weir_smmuv3_command, cmd, iommu_viommu_arm_smmuv3_invalidate, cmd),
		SIZE(weir_hw_vtd, sizeof(struct iommu_hw_info_vtd)),
		VTD(flags, flags), VTD(reserved, __reserved), VTD(cap, cap_reg),
		VTD(ecap, ecap_reg),
		SIZE(weir_hw_smmuv3, sizeof(struct iommu_hw_info_arm_smmuv3)),
		SMMU(flags, flags), SMMU(reserved, __reserved), SMMU(idr, idr), SMMU(iidr, iidr),
		SMMU(aidr, aidr),
		SIZE(weir_hw_tegra241_cmdqv, sizeof(struct iommu_hw_info_tegra241_cmdqv)),
		TEGRA(flags, flags), TEGRA(version, version), TEGRA(log2vcmdqs, log2vcmdqs),
		TEGRA(log2vsids, log2vsids), TEGRA(reserved, __reserved),
		SIZE(weir_hw_amd, sizeof(struct iommu_hw_info_amd)),
		FIELD(weir_hw_amd, efr, iommu_hw_info_amd, efr),
		FIELD(weir_hw_amd, efr2, iommu_hw_info_amd, efr2),
		SIZE(weir_tegra241_viommu, sizeof(struct iommu_viommu_tegra241_cmdqv)),
		TEGRA_VIOMMU(map_offset, out_vintf_mmap_offset),
		TEGRA_VIOMMU(map_len, out_vintf_mmap_length),
		SIZE(weir_smmuv3_event, sizeof(struct iommu_vevent_arm_smmuv3)),
		FIELD(weir_smmuv3_event, evt, iommu_vevent_arm_smmuv3, evt),
		/* The library knows the other by its size alone. */
		{ "size of an event of CMDQ-V", 16, sizeof(struct iommu_vevent_tegra241_cmdqv) },
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}
#endif

/* In any build: the compiler and weir agree on what the kernel's ABI has without padding. */
static void sizes_are_whole(void **state)
{
	static const struct pair pairs[] = {
		SIZE(wr_iommu_pgfault, 40), SIZE(wr_iommu_viommu_alloc, 40),
		SIZE(wr_iommu_hw_queue_alloc, 40), SIZE(wr_iommu_invalidate, 32),
		SIZE(weir_vtd_s1, 24), SIZE(weir_vtd_invalidation, 24), SIZE(weir_hw_smmuv3, 40),
	};

	(void)state;
	check(pairs, ARRAY_SIZE(pairs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_whole),
#ifdef IOMMU_IOAS_NOIOMMU_GET_PA
		cmocka_unit_test(iommufd_hwpt_numbers),
		cmocka_unit_test(iommufd_hwpt_layouts),
		cmocka_unit_test(iommufd_vendors),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
