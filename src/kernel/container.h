/* SPDX-License-Identifier: MIT */
/*
 * A VFIO container with a type1 IOMMU (drivers/vfio/vfio_iommu_type1.c): /dev/vfio/vfio; or with
 * none (drivers/vfio/container.c). What one with POWER's IOMMU has of its own is in spapr.h. Calls
 * return -errno; those that say nothing else leave a message.
 */
#ifndef WR_KERNEL_CONTAINER_H
#define WR_KERNEL_CONTAINER_H

#include <weir/iommu.h>

#include "kernel/group.h"
#include "kernel/memlock.h"
#include "mem/maps.h"

/* The kernel's switch for devices without an IOMMU: "Y" or "N", and root may write it. */
#define WR_NOIOMMU_SWITCH "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

/*
 * Open a container for @type (WR_VFIO_TYPE1v2, WR_VFIO_TYPE1, WR_VFIO_SPAPRv2 or WR_VFIO_SPAPR).
 * Returns its fd; -ENOTSUP when the kernel hasn't got it.
 */
int wr_container_open(unsigned long type);

/* The same with IOMMUFD in its place, /dev/iommu, that counts so what is pinned. */
int wr_container_open_iommufd(unsigned long type, enum weir_accounting accounting);

/* The same for groups that have no IOMMU: WR_VFIO_NOIOMMU, in one of VFIO's own or IOMMUFD's. */
int wr_container_open_noiommu(void);

/*
 * Open a group's node and put the group in. @type: for the first one, that the container gets; 0:
 * it has it. And take it out and close it again.
 */
int wr_container_add(int fd, struct wr_group *group, unsigned long type);
void wr_container_remove(struct wr_group *group);

/* What may change when a group joins or leaves. */
struct wr_container_info {
	uint64_t page_sizes;
	struct wr_ranges ranges;	/* usable IOVAs */
	uint64_t room;		/* mappings that it takes still; UINT64_MAX: it doesn't say */
	bool tracks_dirty;
};

int wr_container_info(int fd, struct wr_container_info *info);

/* Whether the container, with its type set, has WR_VFIO_UNMAP_ALL or WR_VFIO_UPDATE_VADDR. */
bool wr_container_has(int fd, unsigned long extension);

int wr_container_map(int fd, const struct wr_mapping *mapping, enum wr_memlock whose);

/* The call alone: returns what it says, which isn't the same in each kind of container. */
int wr_container_ask_map(int fd, const struct wr_mapping *mapping);

/*
 * Unmap whole mappings. -EIO when the kernel unmapped another number of bytes than asked, which
 * the message tells: what it did is done.
 */
int wr_container_unmap(int fd, weir_iova iova, uint64_t len);

/* Unmap all; @at_once: it has WR_VFIO_UNMAP_ALL. */
int wr_container_unmap_all(int fd, bool at_once);

/*
 * A mapping's memory has another address now; needs WR_VFIO_UPDATE_VADDR. -EIO: the kernel knows
 * none of it any more.
 */
int wr_container_move(int fd, const struct wr_mapping *mapping, void *vaddr);

int wr_container_dirty_start(int fd);
int wr_container_dirty_stop(int fd);
/* Set a bit for each dirty page of a mapping, from bit 0 of @bitmap on, which is zero before. */
int wr_container_dirty_read(int fd, const struct wr_mapping *mapping, uint64_t *bitmap);

#endif
