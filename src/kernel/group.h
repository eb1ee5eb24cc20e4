/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups: devices that can't be held apart. VFIO offers them as /dev/vfio/N, and as
 * /dev/vfio/noiommu-N a device without an IOMMU, which has a group of its own. That node can be
 * opened once, and not beside a device's own node: so it is only opened when a domain needs it.
 */
#ifndef WR_KERNEL_GROUP_H
#define WR_KERNEL_GROUP_H

#include <stdbool.h>

#include "base/list.h"

struct wr_domain;

struct wr_group {
	int number;
	bool noiommu;			/* there is no IOMMU in front of its device */
	char node[32];
	/* under its context's lock */
	unsigned int users;		/* devices being opened, open, or being closed */
	struct wr_list link;
	/* under its context's attach_lock */
	int fd;				/* of the node, while a domain needs it; -1 */
	struct wr_domain *domain;	/* that it is attached to, NULL for none */
	unsigned int attached;		/* devices */
	bool by_hand;			/* they use a page table of weir_hwpt_attach() */
};

/*
 * Whether VFIO made the group, for a device without an IOMMU (vfio_noiommu_group_alloc()): 1, 0 or
 * -errno.
 */
int wr_group_is_noiommu(int number);

/*
 * Open the group's node, and see that the group is viable. Each trap is told in words: see
 * weir_device_open(). Returns 0 or -errno.
 */
int wr_group_open(struct wr_group *group);
void wr_group_close(struct wr_group *group);

/* What to add to a refusal to open its node or its device's: words, or none. */
const char *wr_group_cure(const struct wr_group *group, int err);

/* A new fd of the function at @addr; the group must be in a container. */
int wr_group_device_fd(struct wr_group *group, const char *addr, const char *vf_token);

/* Is a member in the hands of a kernel driver? -EPERM, with a message that names it, or 0. */
int wr_group_in_the_way(int number);

#endif
