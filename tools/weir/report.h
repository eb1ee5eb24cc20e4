/* SPDX-License-Identifier: MIT */
/*
 * What 'weir report' knows of a machine: report.c collects it, report_page.c writes it down as
 * HTML, with the style of report_style.c.
 */
#ifndef WEIR_TOOL_REPORT_H
#define WEIR_TOOL_REPORT_H

#include <stdio.h>

#include <weir/host.h>

#include "findings.h"
#include "function.h"

/* What can be done with a function. */
enum verdict {
	REPORT_FREE,		/* it can be given away */
	REPORT_TOGETHER,	/* it can, with others of its group */
	REPORT_GIVEN,		/* VFIO has it */
	REPORT_TAKEN,		/* it can't, as things are: the findings say why, or its group's */
	REPORT_UNTOLD,		/* what might forbid it can't be read */
	REPORT_BRIDGE,		/* nothing to give away: what is behind it can be */
	REPORT_VERDICTS,
};

struct report_function {
	const struct weir_host_function *fn;
	enum verdict verdict;
	struct findings findings;
	unsigned int parent;		/* its index, or REPORT_ROOT */
	unsigned int first, next;	/* child, and sibling; REPORT_ROOT: none */
	unsigned int leaves;		/* functions at and below it that aren't bridges */
};

#define REPORT_ROOT (~0u)

struct report {
	struct weir_host *host;
	struct names *names;
	struct report_function *functions;	/* in the scan's order */
	unsigned int n;
	struct findings machine;
	unsigned int counts[REPORT_VERDICTS];
};

extern const char report_style[];

void report_page(const struct report *report, FILE *file);

#endif
