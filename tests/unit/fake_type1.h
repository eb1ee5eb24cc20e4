/* SPDX-License-Identifier: MIT */
/* A container of the fake kernel, as drivers/vfio/vfio_iommu_type1.c has it. */
#ifndef FAKE_TYPE1_H
#define FAKE_TYPE1_H

#include "fake_vfio.h"

struct mapping {
	struct mapping *next;
	struct wr_vfio_map_dma dma;
	bool lost;			/* its address, by WR_VFIO_UNMAP_FLAG_VADDR */
};

struct fake_container {
	bool used;			/* by a file or a group */
	bool open;
	unsigned int groups;
	unsigned long type;		/* 0: none chosen yet */
	unsigned int entries_left;
	struct mapping *mappings;	/* by IOVA */
	bool tracking;
	struct fake_windows spapr;	/* where the type is one of POWER's */
};

struct mapping **fake_find_mapping(struct fake_container *c, uint64_t iova, uint64_t last);
bool fake_in_ranges(const struct fake_group *g, uint64_t iova, uint64_t last);
void fake_drop(struct fake_container *c, struct mapping **at);
int fake_map_dma(struct fake_container *c, const struct wr_vfio_map_dma *map);
int fake_unmap_dma(struct fake_container *c, struct wr_vfio_unmap_dma *unmap);
int fake_dirty_pages(struct fake_container *c, const struct wr_vfio_dirty *arg);
int fake_iommu_info(const struct fake_container *c, struct wr_vfio_iommu_info *info);

#endif
