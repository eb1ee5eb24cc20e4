/* SPDX-License-Identifier: MIT */
#ifndef WR_HOST_COMPUTED_H
#define WR_HOST_COMPUTED_H

#include <weir/groups.h>

#include "host/facts.h"
#include "host/text.h"

struct weir_host_computed {
	const struct weir_host *host;
	struct wr_grouping grouping;		/* with all that is assumed */
	struct wr_grouping_result result;
	struct wr_grouping_result held;		/* with what of that the hardware can do */
	bool *unsure;				/* of each function */
	bool assumed;				/* something is */
	char override[WR_LINE_MAX];		/* what isn't assumed, and the kernel pretends */
};

/*
 * Change @grouping, a copy of @facts with room for a bus more for each assumption, as assumed;
 * @real: as far as the hardware can do it. Returns 0, or -errno with a message.
 */
int wr_assume(const struct weir_host *host, const struct wr_grouping *facts,
	      const struct weir_host_compute_opts *opts, bool real, struct wr_grouping *grouping);

#endif
