/* SPDX-License-Identifier: MIT */
/* What the domains of devices without an IOMMU have in common. */
#ifndef WR_IOAS_BARE_H
#define WR_IOAS_BARE_H

#include "ioas/domain.h"

/* What such a domain can do: all, except for what an IOMMU is for. */
void wr_bare_init(struct wr_domain *d, const struct wr_domain_ops *ops);

/* It has joined: tell whoever reads the log what that means. */
void wr_bare_warn(const struct wr_endpoint *ep);

/* -EEXIST, with a message: some of this memory is held already. */
int wr_bare_twice(const void *vaddr, size_t len);

/* Where memory is, in as few runs as it takes. */
struct wr_runs {
	struct wr_mapping *m;		/* freed by who has it */
	size_t n, room;
};

/* Some more, which lengthens the last run if it goes on there in both. 0 or -ENOMEM. */
int wr_runs_add(struct wr_runs *runs, char *vaddr, uint64_t phys, uint64_t len);

#endif
