/* SPDX-License-Identifier: MIT */
/* What the files of 'weir groups' share. */
#ifndef WEIR_TOOL_GROUPS_H
#define WEIR_TOOL_GROUPS_H

#include <weir/groups.h>

#include "function.h"
#include "options.h"

/* What was asked for. */
struct groups_wish {
	struct options options;
	bool plain, check, wake;
	const char *why;
	const char *what_if[OPTION_TIMES];
	size_t n_what_if;

	const struct weir_host *host;
	struct names *names;
	const struct weir_host_function *about;	/* of --why */
	int *numbers;		/* of the groups that are wanted, none for all */
	size_t n_numbers;
	struct weir_host_assume *assume;	/* one or more of each of those */
	size_t n_assume;
	bool unread;		/* something couldn't be read, and that was said */
	bool off;		/* the IOMMU is off, or there is none */
	char override[512];	/* what the kernel pretends by pcie_acs_override=, or "" */
	struct weir_host_computed *before;	/* without what is assumed, or NULL */
	const struct weir_host_computed *now;	/* that, where it stands for the kernel's groups */
	/* Of each function of the scan, once groups are computed: */
	bool *agrees;		/* it shares its group with the same others as it does now */
	bool *pretended;	/* what holds it comes apart only in what the IOMMU is told */
	bool *was_pretended;	/* so it does now */
};

/* Whether a group is among those wanted. */
bool is_wanted(const struct groups_wish *wish, int number);

/*
 * The group of a function now: the kernel's, or the one computed without what is assumed. That is
 * so where the machine has none, and where the computed ones aren't sure: held against the
 * kernel's, they would show what couldn't be read rather than what is assumed.
 */
int group_now(const struct groups_wish *wish, const struct weir_host_function *fn);

/* The member that keeps a group from being given away, NULL if none does. */
const struct weir_host_function *in_the_way(const struct weir_host *host, int number);

/* Read what --what-if says. Returns GO_ON, or the exit status when that makes no sense. */
int read_what_if(struct groups_wish *wish);

/*
 * Whether there are functions apart now which, without a doubt, @plain, computed without an
 * assumption, has in one group.
 */
bool is_split(const struct groups_wish *wish, const struct weir_host_computed *plain);

/* The computed groups beside those that there are, and what of them is only pretended. */
int show_computed(const struct groups_wish *wish, const struct weir_host_computed *computed);

/* Compare the computed groups with those there are, and with what holds: see above. */
void compare_groups(struct groups_wish *wish, const struct weir_host_computed *computed);

bool agrees(const struct groups_wish *wish, const struct weir_host_function *fn);

/* Whether the answer isn't sure of a function that it is about. */
bool is_unsure(const struct groups_wish *wish, const struct weir_host_computed *computed);

/* The answer to --why, in words and as a list of sentences. */
int show_why(const struct groups_wish *wish, const struct weir_host_computed *computed);
struct json_object *js_why(const struct groups_wish *wish,
			   const struct weir_host_computed *computed);

#endif
