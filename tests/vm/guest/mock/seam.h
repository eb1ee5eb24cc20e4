/* SPDX-License-Identifier: MIT */
/*
 * A transport for IOMMUFD's mock devices (drivers/iommu/iommufd/selftest.c, CONFIG_IOMMUFD_TEST),
 * behind the library's seam: sysfs and nodes of PCI functions that aren't there. Binding, attaching
 * and detaching one becomes the mock's calls; all else of /dev/iommu goes to the kernel as it is.
 * Config space is memory. So the library drives real IOMMUFD objects, as if by VFIO.
 *
 * What differs from VFIO: a mock device is always attached to something. Where a device of VFIO's
 * isn't, it is attached to a page table of its own.
 */
#ifndef TESTS_VM_GUEST_MOCK_SEAM_H
#define TESTS_VM_GUEST_MOCK_SEAM_H

#include <stdbool.h>
#include <stdint.h>

#define MOCKS		4

/* The name of the n-th, for weir_device_open(); and what the kernel calls it, while it is open. */
const char *mock_name(unsigned int n);
uint32_t mock_devid(unsigned int n);

/* What it is to be from the next open on. */
#define MOCK_NO_DIRTY	1
#define MOCK_PASID	4
void mock_be(unsigned int n, uint32_t flags);

/* Put the mocks behind the seam, and the kernel back. */
void mock_start(void);
void mock_stop(void);

/* ---- what the mock is asked for past weir, on an open /dev/iommu: 0 or -errno ---- */

/* How many objects there are in it: none is left of what has been freed. */
unsigned int mock_objects(int iommufd);

/* The kernel's number of the page table that a device uses; of a PASID, whether it is that one. */
uint32_t mock_table(unsigned int n);
int mock_check_pasid(unsigned int n, uint32_t pasid, uint32_t hwpt);

/* Whether that page table has @len bytes at @vaddr behind @iova. */
int mock_check_map(int iommufd, uint32_t hwpt, uint64_t iova, const void *vaddr, uint64_t len);

/* Mark pages of the system dirty in it, a bit for each from @iova on. */
int mock_write(int iommufd, uint32_t hwpt, uint64_t iova, uint64_t pages, const uint64_t *bitmap);

/* The value of a nested table's cache, or of a device's, must be this. */
int mock_check_iotlb(int iommufd, uint32_t hwpt, uint32_t id, uint32_t value);
int mock_check_cache(unsigned int n, uint32_t id, uint32_t value);

/* The device asks for a page; PASID 0: for itself. It has an event for its vIOMMU. */
int mock_page_request(unsigned int n, uint32_t pasid, uint32_t group, uint32_t perm,
		      uint64_t addr);
int mock_event(unsigned int n);

/* No IOVA of this range in that IOAS. */
int mock_reserve(int iommufd, uint32_t ioas, uint64_t first, uint64_t len);

/* What selftest.c takes and gives: numbers, and the layouts of its data. */
#define MOCK_NESTED_TYPE	0xdead
#define MOCK_IOTLB_DEFAULT	0xbadbeefu
#define MOCK_CACHE_DEFAULT	0xbaddadu
#define MOCK_INVALIDATE_TYPE	0xdeadbeefu	/* of nested tables and of vIOMMUs */
#define MOCK_INVALIDATE_ALL	1
#define MOCK_VIOMMU_TYPE	0xdeadbeefu
#define MOCK_EVENTQ_TYPE	0xbeefbeefu
#define MOCK_HWQUEUE_TYPE	0xdeadbeefu
#define MOCK_HW_TYPE		0xfeedbeefu
#define MOCK_HW_REGISTER	0xdeadbeefu

struct mock_nested {
	uint32_t iotlb;
	uint32_t pagetable_type;
};

struct mock_invalidation {
	uint32_t flags;
	uint32_t iotlb_id;
};

struct mock_viommu_invalidation {
	uint32_t flags;
	uint32_t vdev_id;
	uint32_t cache_id;
};

struct mock_viommu {
	uint32_t in_data;
	uint32_t out_data;
	uint64_t map_offset;
	uint64_t map_len;
};

#endif
