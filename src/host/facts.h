/* SPDX-License-Identifier: MIT */
/* What the computation of groups needs to know of a machine. */
#ifndef WR_HOST_FACTS_H
#define WR_HOST_FACTS_H

#include "host/grouping.h"
#include "host/host.h"

/*
 * Fill @grouping from the scan and from config space, functions as in the scan; what would wake a
 * device is read only with @wake. Returns 0, -ENOTSUP or -ENOMEM, with a message.
 */
int wr_facts_read(const struct weir_host *host, bool wake, struct wr_grouping *grouping);

/*
 * What the scan and @len bytes of config space, which may be none, say of one function's ACS: its
 * registers as they will be once the kernel has an IOMMU. Of the firmware (ivrs) nothing.
 */
void wr_facts_acs(const struct weir_host *host, const struct weir_host_function *fn,
		  const uint8_t *config, size_t len, struct wr_acs *acs);

/* Another one with the same content, with room for @buses more. Returns 0 or -ENOMEM, as above. */
int wr_facts_copy(const struct wr_grouping *grouping, int buses, struct wr_grouping *copy);

void wr_facts_free(struct wr_grouping *grouping);

#endif
