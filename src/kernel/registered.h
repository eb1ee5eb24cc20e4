/* SPDX-License-Identifier: MIT */
/*
 * Memory that is registered with POWER's containers, in version 2. The kernel has one list of it
 * for the process, whichever container it came by (mm->context.iommu_group_mem_list,
 * arch/powerpc/mm/book3s64/iommu_api.c): pieces don't overlap unless they are the same, and those
 * are pinned and counted once. So here is one book of the pieces of the process; each container
 * registers whole pieces of it, all those that it maps something of, and new ones where there is
 * none yet.
 *
 * A container has a piece from before the first mapping of it until after the last is unmapped,
 * whatever other containers do. That is what MAP needs to be all or nothing: it stops in the
 * middle, and says that all went well, when the last container that has a piece gives it back at
 * that moment (mm_iommu_mapped_inc() in tce_iommu_build_v2()). The last one can't be another.
 *
 * The kernel goes through its list for each page that it maps or unmaps: few large pieces are
 * better than many small ones.
 */
#ifndef WR_KERNEL_REGISTERED_H
#define WR_KERNEL_REGISTERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What memory is registered for. */
enum wr_registered_use {
	WR_REGISTERED_MAP,	/* a mapping */
	WR_REGISTERED_AHEAD,
};

/* What a container has registered. Its caller locks, a container by itself; the book does so. */
struct wr_registered {
	int fd;			/* the container */
	/*
	 * Windows of pages larger than the system's can be made: they take memory of such pages
	 * only from pieces that are made of whole ones (mm_iommu_table_group_mem_t.pageshift).
	 */
	bool whole_pages;
	void *holds;		/* a tree of the pieces, by address */
};

/*
 * Have memory registered, once more, until it is released. Pieces of hugetlb's memory are made of
 * its pages, and reach further than what was asked for, if .whole_pages is set and the kernel says
 * what they are (Linux 6.11). Returns 0 or -errno with a message.
 */
int wr_registered_hold(struct wr_registered *r, uint64_t start, uint64_t end,
		       enum wr_registered_use use);

/*
 * The same memory is needed once less. It must not be mapped any more unless it is held still. If
 * the kernel keeps a piece, that is logged, and its pages could be others than those at the address
 * by then: it is given back before that memory is held again, or that fails. Leaves this thread's
 * last message.
 */
void wr_registered_release(struct wr_registered *r, uint64_t start, uint64_t end,
			   enum wr_registered_use use);

/* Nothing is mapped any more: release all that was held for that. */
void wr_registered_unmapped(struct wr_registered *r);

/* The container is closed, and with it all that it had. */
void wr_registered_forget(struct wr_registered *r);

#endif
