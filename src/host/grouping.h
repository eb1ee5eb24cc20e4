/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups as the kernel makes them: pci_device_group() in drivers/iommu/iommu.c, with
 * pci_for_each_dma_alias() of drivers/pci/search.c, over all functions of a machine in the order
 * in which the kernel finds them. Nothing here reads anything. Functions and buses are named by
 * their index; -1 is none.
 */
#ifndef WR_HOST_GROUPING_H
#define WR_HOST_GROUPING_H

#include "host/acs.h"

struct wr_grouping_function {
	struct wr_acs acs;
	uint8_t devfn;
	bool translated;	/* it is behind an IOMMU: the kernel gives it a group */
	bool lost;		/* not all that it is behind is known */
	int bus;
	int dma;		/* as which function its DMA goes: itself, or its VMD */

	/* Filled by wr_grouping_prepare(). */
	struct wr_acs_verdict verdict;
	bool path;		/* it and all bridges above it isolate */
	bool unknown_aliases;
	bool keeps_ids, translates;	/* a bridge of WR_ALIAS_NONE, WR_ALIAS_END */
	uint64_t aliases[4];	/* a bit for each devfn that its DMA may come from besides */
};

struct wr_grouping_bus {
	int self;	/* the bridge that it is below; none: a root bus, or one of VFs */
	int parent;	/* the bus of that; of VFs their PF's; none: a root bus */
};

struct wr_grouping {
	struct wr_grouping_function *functions;
	struct wr_grouping_bus *buses;
	int *order;	/* of the functions, in which the kernel finds them */
	int n, n_buses;
};

/* Why the kernel looks from one function on to another. */
enum wr_grouping_rule {
	WR_GROUPING_DMA,	/* its DMA goes as that of the other, its VMD */
	WR_GROUPING_BRIDGE,	/* its DMA carries the id of the bridge, or of the bus below it */
	WR_GROUPING_PATH,	/* between the bridge and the root something doesn't isolate */
	WR_GROUPING_ALIAS,	/* the DMA of one of them may come with the other's id */
	WR_GROUPING_PEER,	/* functions of one slot, of which neither isolates */
};

struct wr_grouping_step {
	enum wr_grouping_rule rule;
	int of;			/* the function whose group was looked for */
	int from, to;
};

/* What came of a function: whose group it joined at the end of its steps. */
struct wr_grouping_place {
	int group;		/* from 0 on, none: the kernel gives it none */
	int joined;		/* the function whose group it joined, none: it began one */
};

struct wr_grouping_result {
	struct wr_grouping_place *places;	/* of the functions */
	struct wr_grouping_step *steps;
	int n_groups, n_steps;
};

/* How to take what isn't sure. */
enum wr_grouping_guess {
	WR_GUESS_BEST,		/* as is most likely */
	WR_GUESS_ISOLATES,
	WR_GUESS_DOESNT,
};

/* Judge all functions and fill in what follows from that, and the order. */
void wr_grouping_prepare(struct wr_grouping *grouping, enum wr_grouping_guess guess);

/* Returns 0, or -ENOMEM without a message. wr_grouping_free() frees what @result points at. */
int wr_grouping_run(const struct wr_grouping *grouping, struct wr_grouping_result *result);
void wr_grouping_free(struct wr_grouping_result *result);

/* The function nearest to the bridge @function, itself included, that breaks the path; or none. */
int wr_grouping_breaks(const struct wr_grouping *grouping, int function);

#endif
