/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "host/computed.h"

static int run(struct wr_grouping *grouping, enum wr_grouping_guess guess,
	       struct wr_grouping_result *result)
{
	wr_grouping_prepare(grouping, guess);
	if (wr_grouping_run(grouping, result) < 0)
		return wr_fail(-ENOMEM, "no memory to compute IOMMU groups");
	return 0;
}

/* The facts with what is assumed, and what comes of them. */
static int run_assumed(const struct weir_host *host, const struct wr_grouping *facts,
		       const struct weir_host_compute_opts *opts, bool real,
		       struct wr_grouping *grouping, struct wr_grouping_result *result)
{
	int ret = wr_facts_copy(facts, (int)opts->n, grouping);

	if (!ret)
		ret = wr_assume(host, facts, opts, real, grouping);
	return ret < 0 ? ret : run(grouping, WR_GUESS_BEST, result);
}

/* Whether @function has the same company in both. */
static bool agree(const struct wr_grouping_result *a, const struct wr_grouping_result *b, int n,
		  int function)
{
	int ga = a->places[function].group, gb = b->places[function].group;

	for (int i = 0; i < n; i++)
		if ((a->places[i].group == ga) != (b->places[i].group == gb))
			return false;
	return true;
}

static bool all_known(const struct wr_grouping *grouping)
{
	for (int i = 0; i < grouping->n; i++) {
		const struct wr_grouping_function *f = &grouping->functions[i];

		if (!f->verdict.sure || f->unknown_aliases || f->lost)
			return false;
	}
	return true;
}

/*
 * A function is unsure if its company depends on what isn't known: if it differs between all of
 * that being as bad as it can be, and as good.
 */
static int find_unsure(struct weir_host_computed *computed)
{
	struct wr_grouping_result worst = { 0 }, best = { 0 };
	struct wr_grouping other;
	int n = computed->grouping.n, ret;

	computed->unsure = calloc((size_t)n + 1, sizeof(*computed->unsure));
	if (!computed->unsure)
		return wr_fail(-ENOMEM, "no memory to compute IOMMU groups");
	if (all_known(&computed->grouping))
		return 0;
	ret = wr_facts_copy(&computed->grouping, 0, &other);
	if (!ret)
		ret = run(&other, WR_GUESS_DOESNT, &worst);
	if (!ret)
		ret = run(&other, WR_GUESS_ISOLATES, &best);
	for (int i = 0; !ret && i < n; i++)
		computed->unsure[i] = computed->grouping.functions[i].lost ||
				      !agree(&worst, &best, n, i);
	wr_grouping_free(&worst);
	wr_grouping_free(&best);
	wr_facts_free(&other);
	return ret;
}

int weir_host_acs_override(const struct weir_host *host, char *buf, size_t size)
{
	char *cmdline, value[WR_LINE_MAX] = "";
	int ret = wr_load(host->root, "/proc/cmdline", WR_CMDLINE_MAX, &cmdline);

	if (ret < 0 && ret != -ENOENT)
		return wr_fail(ret, "%s/proc/cmdline can't be read: %s", host->root,
			       strerror(-ret));
	if (ret >= 0)
		wr_word(cmdline, "pcie_acs_override=", value);
	free(cmdline);
	if (strlen(value) >= size)
		return wr_fail(-EOVERFLOW, "what pcie_acs_override= says takes %zu bytes",
			       strlen(value) + 1);
	strcpy(buf, value);
	return 0;
}

int weir_host_compute(const struct weir_host *host, const struct weir_host_compute_opts *given,
		      struct weir_host_computed **out)
{
	struct weir_host_compute_opts opts = given ? *given : (struct weir_host_compute_opts){ 0 };
	struct wr_grouping facts = { 0 }, real = { 0 };
	struct weir_host_computed *computed;
	int ret;

	computed = calloc(1, sizeof(*computed));
	if (!computed)
		return wr_fail(-ENOMEM, "no memory to compute IOMMU groups");
	computed->host = host;
	computed->assumed = opts.n || opts.as_booted;
	ret = wr_facts_read(host, opts.wake, &facts);
	if (!ret && !computed->assumed)
		ret = weir_host_acs_override(host, computed->override, sizeof(computed->override));
	if (!ret)
		ret = run_assumed(host, &facts, &opts, false, &computed->grouping,
				  &computed->result);
	if (!ret)
		ret = run_assumed(host, &facts, &opts, true, &real, &computed->held);
	if (!ret)
		ret = find_unsure(computed);
	wr_facts_free(&facts);
	wr_facts_free(&real);
	if (ret < 0)
		weir_host_computed_close(computed);
	else
		*out = computed;
	return ret;
}

int weir_host_computed_close(struct weir_host_computed *computed)
{
	if (computed) {
		wr_facts_free(&computed->grouping);
		wr_grouping_free(&computed->result);
		wr_grouping_free(&computed->held);
		free(computed->unsure);
		free(computed);
	}
	return 0;
}

struct weir_host_place weir_host_place(const struct weir_host_computed *computed,
				       const struct weir_host_function *function)
{
	ptrdiff_t i = function - computed->host->functions;
	enum wr_config config = computed->grouping.functions[i].acs.config;

	return (struct weir_host_place){
		.group = computed->result.places[i].group,
		.held = computed->held.places[i].group,
		.unsure = computed->unsure[i],
		.unread = config != WR_CONFIG_READ,
		.asleep = config == WR_CONFIG_ASLEEP,
	};
}
