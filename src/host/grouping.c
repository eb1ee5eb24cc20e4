/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/grouping.h"

#define SLOT(devfn)	((devfn) >> 3)
#define DEVFNS		256
#define CLASS_BRIDGE	0x0604

static void set_devfns(uint64_t map[4], unsigned int from, unsigned int count)
{
	for (unsigned int i = from; i < from + count && i < DEVFNS; i++)
		map[i / 64] |= 1ULL << i % 64;
}

static bool has_devfn(const uint64_t map[4], unsigned int devfn)
{
	return map[devfn / 64] >> devfn % 64 & 1;
}

static int upstream(const struct wr_grouping *g, int function)
{
	return g->buses[g->functions[function].bus].self;
}

static void apply_alias_quirk(struct wr_grouping_function *f, const struct wr_alias_quirk *quirk,
			      enum wr_grouping_guess guess)
{
	switch ((enum wr_alias_rule)quirk->rule) {
	case WR_ALIAS_FUNCTION:
		if ((f->devfn & 7) != quirk->from)
			set_devfns(f->aliases, (f->devfn & ~7U) | quirk->from, 1);
		break;
	case WR_ALIAS_DEVFN:
		set_devfns(f->aliases, quirk->from, quirk->count);
		break;
	case WR_ALIAS_SLOTS:
		for (unsigned int slot = 0; slot < DEVFNS / 8; slot++)
			set_devfns(f->aliases, slot * 8, quirk->count);
		break;
	case WR_ALIAS_UNKNOWN:
		/* The fixups are for the class of "other bridges". */
		if (f->acs.class_code >> 8 != 0x0680)
			break;
		f->unknown_aliases = true;
		if (guess == WR_GUESS_DOESNT)
			set_devfns(f->aliases, 0, DEVFNS);
		break;
	case WR_ALIAS_NONE:
		f->keeps_ids = true;
		break;
	case WR_ALIAS_END:
		f->translates = true;
		break;
	}
}

/*
 * What a bridge is whose config space couldn't be read: conventional PCI, at worst. Ports of PCI
 * Express take turns on the way down.
 */
static void guess_type(const struct wr_grouping *g, int function, enum wr_grouping_guess guess)
{
	struct wr_acs *acs = &g->functions[function].acs;
	int up = upstream(g, function);

	if (acs->config == WR_CONFIG_READ || acs->class_code >> 8 != CLASS_BRIDGE)
		return;
	acs->express = acs->port || guess == WR_GUESS_ISOLATES;
	if (up < 0)
		acs->type = WR_EXPRESS_ROOT_PORT;
	else if (g->functions[up].acs.type == WR_EXPRESS_UPSTREAM)
		acs->type = WR_EXPRESS_DOWNSTREAM;
	else
		acs->type = WR_EXPRESS_UPSTREAM;
}

/*
 * set_pcie_port_type(): of two ports that follow each other one must look up and one down, so one
 * that says otherwise of itself is corrected. But the kernel (6.12, 7.3) puts the right type into
 * the wrong bits of its copy of the flags, so that it goes on with an endpoint.
 */
static void correct_type(const struct wr_grouping *g, int function)
{
	struct wr_acs *acs = &g->functions[function].acs;
	const struct wr_acs *up;

	if (upstream(g, function) < 0 || !acs->express)
		return;
	up = &g->functions[upstream(g, function)].acs;
	if (!up->express)
		return;
	if ((acs->type == WR_EXPRESS_DOWNSTREAM &&
	     (up->type == WR_EXPRESS_ROOT_PORT || up->type == WR_EXPRESS_DOWNSTREAM ||
	      up->type == WR_EXPRESS_FROM_PCI)) ||
	    (acs->type == WR_EXPRESS_UPSTREAM && up->type == WR_EXPRESS_UPSTREAM))
		acs->type = WR_EXPRESS_ENDPOINT;
}

/*
 * pci_scan_slot(): a function other than the first is one of several, whatever it says; below a
 * port of PCI Express there is one device, whose functions may have all numbers (ARI). A VF never
 * is: pci_iov_add_virtfn() in drivers/pci/iov.c.
 */
static bool is_multifunction(const struct wr_grouping *g, int function)
{
	const struct wr_grouping_function *f = &g->functions[function];
	int up = upstream(g, function);

	if (f->acs.vf)
		return false;
	if (f->acs.multifunction || f->devfn & 7)
		return true;
	return f->devfn && up >= 0 && wr_acs_is_port(&g->functions[up].acs);
}

static void judge(const struct wr_grouping *g, int function, enum wr_grouping_guess guess)
{
	struct wr_grouping_function *f = &g->functions[function];
	int up = upstream(g, function);

	guess_type(g, function, guess);
	correct_type(g, function);
	f->acs.multifunction = is_multifunction(g, function);
	f->verdict = wr_acs_verdict(&f->acs);
	if (!f->verdict.sure && guess != WR_GUESS_BEST)
		f->verdict.isolates = guess == WR_GUESS_ISOLATES;
	f->path = f->verdict.isolates && (up < 0 || g->functions[up].path);
	f->unknown_aliases = f->keeps_ids = f->translates = false;
	memset(f->aliases, 0, sizeof(f->aliases));
	for (size_t i = 0; i < wr_alias_n_quirks; i++)
		if (wr_alias_matches(&wr_alias_quirks[i], &f->acs))
			apply_alias_quirk(f, &wr_alias_quirks[i], guess);
}

/*
 * pci_scan_child_bus(): all functions of a bus, which are by address, then the buses below it, one
 * by one. VFs come later, when a driver asks for them.
 */
static int scan_bus(const struct wr_grouping *g, int bus, int count)
{
	int first = count;

	for (int i = 0; i < g->n; i++)
		if (g->functions[i].bus == bus && !g->functions[i].acs.vf)
			g->order[count++] = i;
	for (int i = first, end = count; i < end; i++)
		for (int child = 0; child < g->n_buses; child++)
			if (g->buses[child].self == g->order[i])
				count = scan_bus(g, child, count);
	return count;
}

void wr_grouping_prepare(struct wr_grouping *g, enum wr_grouping_guess guess)
{
	int count = 0;

	for (int bus = 0; bus < g->n_buses; bus++)
		if (g->buses[bus].parent < 0)
			count = scan_bus(g, bus, count);
	for (int i = 0; i < g->n; i++)
		if (g->functions[i].acs.vf)
			g->order[count++] = i;
	for (int i = 0; i < g->n; i++)
		judge(g, g->order[i], guess);
}

int wr_grouping_breaks(const struct wr_grouping *g, int function)
{
	while (function >= 0 && g->functions[function].verdict.isolates)
		function = upstream(g, function);
	return function;
}

/* One search for the group of a function. */
struct search {
	const struct wr_grouping *g;
	struct wr_grouping_result *result;
	int function;		/* of this one */
	int room;		/* for steps */
	bool no_memory;
	uint64_t seen[4];	/* devfns of the bus that is searched */
};

static bool has_group(const struct search *s, int function)
{
	return s->result->places[function].group >= 0;
}

static void step(struct search *s, enum wr_grouping_rule rule, int from, int to)
{
	struct wr_grouping_result *result = s->result;
	struct wr_grouping_step *more;

	if (result->n_steps == s->room) {
		more = reallocarray(result->steps, (size_t)s->room * 2 + 64, sizeof(*more));
		if (!more) {
			s->no_memory = true;
			return;
		}
		result->steps = more;
		s->room = s->room * 2 + 64;
	}
	result->steps[result->n_steps++] = (struct wr_grouping_step){ rule, s->function, from, to };
}

/*
 * pci_for_each_dma_alias() with get_pci_alias_or_group(): the last function with whose id the DMA
 * of @function may arrive, or the first of them that has a group.
 */
static int find_alias(struct search *s, int function)
{
	const struct wr_grouping *g = s->g;
	int last = g->functions[function].dma;

	if (last != function)
		step(s, WR_GROUPING_DMA, function, last);
	for (int bus = g->functions[last].bus; !has_group(s, last) && bus >= 0;
	     bus = g->buses[bus].parent) {
		int up = g->buses[bus].self;
		const struct wr_grouping_function *bridge;

		if (up < 0)
			continue;
		bridge = &g->functions[up];
		if (bridge->translates)
			break;
		if (bridge->acs.express && bridge->acs.type != WR_EXPRESS_FROM_PCI &&
		    (bridge->acs.type != WR_EXPRESS_TO_PCI || bridge->keeps_ids))
			continue;
		step(s, WR_GROUPING_BRIDGE, last, up);
		last = up;
	}
	return last;
}

/* Up to where the path to the root is safe, or to something that has a group. */
static int climb(struct search *s, int last)
{
	const struct wr_grouping *g = s->g;

	for (int bus = g->functions[last].bus; !has_group(s, last) && bus >= 0;
	     bus = g->buses[bus].parent) {
		int up = g->buses[bus].self;

		if (up < 0)
			continue;
		if (g->functions[up].path)
			break;
		step(s, WR_GROUPING_PATH, last, up);
		last = up;
	}
	return last;
}

/* pci_devs_are_dma_aliases(); a VMD's children aren't on its bus. */
static bool are_aliases(const struct wr_grouping *g, int one, int other)
{
	const struct wr_grouping_function *f = &g->functions[one], *o = &g->functions[other];

	return has_devfn(f->aliases, o->devfn) || has_devfn(o->aliases, f->devfn);
}

static int search_aliases(struct search *s, int function);

/* Go to @to, and keep the step only if that leads to a group. */
static int try(struct search *s, enum wr_grouping_rule rule, int from, int to,
	       int (*search)(struct search *s, int function))
{
	int before = s->result->n_steps, found;

	step(s, rule, from, to);
	found = search(s, to);
	if (found < 0)
		s->result->n_steps = before;
	return found;
}

/* get_pci_function_alias_group() */
static int search_peers(struct search *s, int function)
{
	const struct wr_grouping *g = s->g;
	const struct wr_grouping_function *f = &g->functions[function];
	int found = -1;

	if (!f->acs.multifunction || f->verdict.isolates)
		return -1;
	for (int i = 0; i < g->n && found < 0; i++) {
		int other = g->order[i];
		const struct wr_grouping_function *o = &g->functions[other];

		if (other != function && o->bus == f->bus && SLOT(o->devfn) == SLOT(f->devfn) &&
		    !o->verdict.isolates)
			found = try(s, WR_GROUPING_PEER, function, other, search_aliases);
	}
	return found;
}

/* get_pci_alias_group() */
static int search_aliases(struct search *s, int function)
{
	const struct wr_grouping *g = s->g;
	const struct wr_grouping_function *f = &g->functions[function];
	int found = -1;

	if (has_devfn(s->seen, f->devfn))
		return -1;
	set_devfns(s->seen, f->devfn, 1);
	if (has_group(s, function))
		return function;
	for (int i = 0; i < g->n && found < 0; i++) {
		int other = g->order[i];

		if (other == function || g->functions[other].bus != f->bus ||
		    !are_aliases(g, function, other))
			continue;
		found = try(s, WR_GROUPING_ALIAS, function, other, search_aliases);
		if (found < 0)
			found = try(s, WR_GROUPING_ALIAS, function, other, search_peers);
	}
	return found;
}

static void place(struct search *s, int function)
{
	struct wr_grouping_place *p = &s->result->places[function];
	int last;

	s->function = function;
	last = climb(s, find_alias(s, function));
	p->joined = has_group(s, last) ? last : -1;
	memset(s->seen, 0, sizeof(s->seen));
	if (p->joined < 0)
		p->joined = search_aliases(s, last);
	if (p->joined < 0)
		p->joined = search_peers(s, last);
	p->group = p->joined < 0 ? s->result->n_groups++ : s->result->places[p->joined].group;
}

int wr_grouping_run(const struct wr_grouping *g, struct wr_grouping_result *result)
{
	struct search s = { .g = g, .result = result };

	*result = (struct wr_grouping_result){ 0 };
	result->places = calloc((size_t)g->n + 1, sizeof(*result->places));
	if (!result->places)
		return -ENOMEM;
	for (int i = 0; i < g->n; i++)
		result->places[i].group = result->places[i].joined = -1;
	for (int i = 0; i < g->n; i++)
		if (g->functions[g->order[i]].translated)
			place(&s, g->order[i]);
	if (s.no_memory) {
		wr_grouping_free(result);
		return -ENOMEM;
	}
	return 0;
}

void wr_grouping_free(struct wr_grouping_result *result)
{
	free(result->places);
	free(result->steps);
	*result = (struct wr_grouping_result){ 0 };
}
