/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups as VFIO offers them: /dev/vfio/N. The node can be opened once, so a context keeps
 * each group that one of its devices needs, counted.
 */
#ifndef WR_KERNEL_GROUP_H
#define WR_KERNEL_GROUP_H

#include "base/list.h"

struct wr_domain;

struct wr_group {
	int fd;
	int number;
	char node[32];
	/* under its context's lock */
	unsigned int users;		/* devices being opened, open, or being closed */
	struct wr_list link;
	/* under its context's attach_lock */
	struct wr_domain *domain;	/* that it is attached to, NULL for none */
	unsigned int attached;		/* devices */
};

/*
 * Open the group's node for the function at @addr, and see that the group is viable. Each trap is
 * told in words: see weir_device_open(). Returns 0 or -errno.
 */
int wr_group_open(int number, const char *addr, struct wr_group **out);
void wr_group_close(struct wr_group *group);

/* A new fd of the function at @addr; the group must be in a container. */
int wr_group_device_fd(struct wr_group *group, const char *addr, const char *vf_token);

#endif
