/* SPDX-License-Identifier: MIT */
/* POWER's container of the fake kernel, as drivers/vfio/vfio_iommu_spapr_tce.c has it. */
#ifndef FAKE_SPAPR_H
#define FAKE_SPAPR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FAKE_WINDOWS	2
#define FAKE_REGIONS	64

struct fake_container;
struct wr_procmap_query;

struct fake_windows {
	bool enabled, pending;		/* the default window comes when it is needed */
	pid_t mm;			/* whose container it is; 0: nobody's yet */
	struct { uint64_t start, size, charged; unsigned int shift; } w[FAKE_WINDOWS];
	bool registered[FAKE_REGIONS];	/* by this container: of fake.spapr.memory[] */
	uint64_t charged;		/* version 1 */
};

bool fake_is_spapr(unsigned long type);
bool fake_has_spapr(unsigned long type);	/* the kernel has it */
int fake_spapr_attach(struct fake_container *c, unsigned long type);
void fake_spapr_detach(struct fake_container *c);
void fake_spapr_drop(struct fake_container *c);
int fake_spapr_ioctl(struct fake_container *c, unsigned long request, void *arg);
int fake_procmap(struct wr_procmap_query *query);

/* How many regions, and windows that aren't pending, the container of a group has. */
unsigned int fake_regions(unsigned int group);
unsigned int fake_memory(void);		/* regions of all; of processes that are gone, too */
unsigned int fake_windows(unsigned int group);

#endif
