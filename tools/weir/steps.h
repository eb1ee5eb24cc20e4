/* SPDX-License-Identifier: MIT */
/* What bind and release have in common: they show steps, then say what came of them. */
#ifndef WEIR_TOOL_STEPS_H
#define WEIR_TOOL_STEPS_H

#include <stdbool.h>

#include <weir/host.h>

struct steps {
	bool json;
	bool dry_run;
	struct json_object *list;	/* for programs; NULL before they are shown */
};

/* A weir_host_show, for which @arg is a struct steps: prints for people, keeps for programs. */
void steps_show(void *arg, const struct weir_host_step *steps, size_t n);

/*
 * The end: @ret is what the library returned, @done what to say if all went well. Returns the exit
 * status.
 */
int steps_end(struct steps *steps, int ret, const char *done);

#endif
