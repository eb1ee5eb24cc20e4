/* SPDX-License-Identifier: MIT */
/*
 * What a machine without an IOMMU has more than fake_vfio.h: its group 10 is one that VFIO made for
 * want of another; and there is hugetlb memory, whose physical addresses are known, and which an
 * io_uring holds. It lies over that fake, whose counting and failing of calls it shares.
 */
#ifndef FAKE_NOIOMMU_H
#define FAKE_NOIOMMU_H

#include "fake_vfio.h"

#define FAKE_HUGE (2ul << 20)

struct fake_bare {
	/* VFIO */
	const char *mode;		/* what the kernel's switch says; NULL: there is none */
	bool no_group;			/* vfio-pci took the device without a group */
	bool no_container, no_iommufd;	/* nodes that are missing */
	bool cant;			/* the container isn't for such groups */
	int node_error;			/* what opening the group's node says */
	/*
	 * Linux 7.3: the device has a node of its own, and IOMMUFD is fake_iommufd.c's. Else no
	 * device has one, and IOMMUFD is a container for the group, and no more.
	 */
	bool has_node;
	/* memory */
	const char *secret;		/* this file may not be opened */
	bool no_frames;			/* the process may not know addresses */
	bool files_are_huge;		/* files that are mapped are hugetlb's */
	uint64_t next;			/* physical address of the next huge page, */
	int64_t step;			/* and how far it is from there to the one after it */
	uint64_t moves;			/* memory moves so far when it is pinned */
	unsigned long reads;		/* of physical addresses */
	/* io_uring */
	int uring_error, table_error, pin_error, unpin_error;
	unsigned int pins;		/* pieces that are held, */
	size_t pinned;			/* and their bytes */
};

extern struct fake_bare bare;

/* Instead of fake_start() and fake_stop(). */
void fake_bare_start(void);
void fake_bare_stop(void);

/* Huge pages, never touched; and the same pages at another address. Until the end. */
char *fake_huge(size_t len);
char *fake_huge_again(const char *pages, size_t len);

/* The same, of memory that is there, which stays the caller's. */
void fake_huge_here(char *pages, size_t len);

/* Where a byte of them is now. */
uint64_t fake_phys(const void *vaddr);

#endif
