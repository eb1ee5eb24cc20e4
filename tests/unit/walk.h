/* SPDX-License-Identifier: MIT */
/*
 * A walk through an operation of the library: it is run again and again, and each time the next of
 * its system calls, or of its allocations, fails. What it then leaves behind is compared with what
 * was there before, and what it makes at the second try with what it makes undisturbed.
 */
#ifndef WALK_H
#define WALK_H

#include <weir/weir.h>

#define WALK_PAGES 16
#define WALK_HUGE (2ul << 20)
#define WALK_CONFIG_AT (1 << 16)		/* config space in the registers of 0000:01:00.0 */

/* What an operation is run on; and what it makes. */
struct world {
	struct weir_iommu *iommu;
	struct weir_ioas *as;		/* of it; a page is mapped at IOVA 1 page, and reached */
	char *memory;			/* WALK_PAGES of them, and at a multiple of 2 MiB */
	struct weir_model *model;
	struct weir_device *soft;	/* the model, opened on the address space */
	struct weir_device *dev;	/* 0000:01:00.0 of the fake kernel, too, or alone */
	struct weir_device *new_dev;
	struct weir_iommu *new_iommu;
	struct weir_ioas *new_as;
	struct weir_model *new_model;
	struct weir_bar *bar;
	struct weir_mem *mem;
	weir_iova iova;
	uint64_t bitmap[WALK_PAGES];
	int fd;				/* -1: none */
	int fds[8];			/* of an address space that was handed over */
	/* page tables by hand, and what is made from them; given back by who has the world */
	struct weir_hwpt *hwpt, *another, *parent, *nested;
	struct weir_faultq *faults;
	struct weir_page_group group;
	struct weir_viommu *viommu;
	struct weir_vdevice *vdevice;
	struct weir_eventq *events;
	struct weir_hwqueue *queue;
	void *lent;
};

/*
 * Without an IOMMU nothing is mapped at first, and the memory is two hugetlb pages, of which the
 * second doesn't follow the first; the device goes by its group, or by its node. With one it goes
 * by its group, on POWER too, or by IOMMUFD.
 */
enum {
	WITH_SOFT = 1, WITH_DEV = 2, WITH_BOTH = WITH_SOFT | WITH_DEV,
	BY_GROUP = 4, BY_NODE = 8, WITHOUT_IOMMU = BY_GROUP | BY_NODE,
	BY_IOMMUFD = 16, WITH_IOMMUFD = BY_IOMMUFD | WITH_DEV,
	ON_POWER = 32, WITH_WINDOWS = ON_POWER | WITH_DEV,
};

struct operation {
	const char *function;		/* of libweir.map */
	const char *how;		/* is it run, where there are several ways */
	unsigned int with;		/* which devices there are, and how: those above */
	void (*setup)(struct world *w);
	int (*run)(struct world *w);	/* a negative errno: it failed, and left all as it was */
	void (*undo)(struct world *w);	/* what it made; not of what closes something */
	/* What else it may say of a failed system call than that call's errno. */
	int says;
	/* It gives something up, and does so whatever fails. */
	bool must;
	/* Without memory, or when the kernel doesn't tell, the usable ranges stay the narrower. */
	bool keeps_ranges;
	/* Without a failing call: why there is none that can fail. */
	const char *silent;
};

/* By what they are of; the last has no function. */
extern const struct operation walk_ioas[], walk_device[], walk_model[], walk_bare[],
			      walk_hwpt[], walk_spapr[];

/* Through each system call with each of the errors, and through each allocation. */
void walk(const struct operation *op);

#endif
