/* SPDX-License-Identifier: MIT */
/* What the checks of weir_host_check() found, kept with its texts. */
#ifndef WEIR_TOOL_FINDINGS_H
#define WEIR_TOOL_FINDINGS_H

#include <stddef.h>

#include <weir/doctor.h>

struct finding {
	char *id, *device, *text, *file, *cure;
	enum weir_host_severity severity;
	size_t order;		/* in which it was told */
};

/* Zeroed to begin with. */
struct findings {
	struct finding *all;
	size_t n, room;
};

/* For weir_host_check(): add a copy of what it tells to @findings, a struct findings. */
void findings_keep(void *findings, const struct weir_host_finding *found);

void findings_free(struct findings *findings);

#endif
