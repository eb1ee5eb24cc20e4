/* SPDX-License-Identifier: MIT */
/* Facts changed as somebody assumes them to be. */
#include <stdlib.h>
#include <string.h>

#include "host/computed.h"

static const char *name_of(const struct weir_host *host, int i)
{
	return host->functions[i].address;
}

/* pcie_acs_overrides() of the patch: of the types for which the kernel looks at ACS at all. */
static bool is_multifunction(const struct wr_acs *acs)
{
	return acs->express && acs->multifunction &&
	       (acs->type == WR_EXPRESS_ENDPOINT || acs->type == WR_EXPRESS_UPSTREAM ||
		acs->type == WR_EXPRESS_LEGACY || acs->type == WR_EXPRESS_INTEGRATED);
}

/* It leaves alone what has ACS, and what isn't PCI Express. */
static void override(struct wr_acs *acs)
{
	if (acs->config == WR_CONFIG_READ && acs->express && !acs->has_acs && !acs->assumed)
		acs->assumed = WR_ASSUMED_OVERRIDE;
}

/* The patch pretends; there is nothing in it that hardware could do. */
static void assume_override(struct wr_grouping *g, bool (*applies)(const struct wr_acs *acs))
{
	for (int i = 0; i < g->n; i++)
		if (applies(&g->functions[i].acs))
			override(&g->functions[i].acs);
}

/* Its item "id:8086:a33c". */
static void override_id(struct wr_grouping *g, const char *item)
{
	const char *c = item + strlen("id:");
	uint64_t vendor, device;

	if (!wr_hex(&c, &vendor) || *c++ != ':' || !wr_hex(&c, &device))
		return;
	for (int i = 0; i < g->n; i++)
		if (g->functions[i].acs.vendor == vendor && g->functions[i].acs.device == device)
			override(&g->functions[i].acs);
}

/* pcie_acs_override_setup() of the patch: by beginnings, and what it doesn't know is nothing. */
static int assume_booted(const struct weir_host *host, struct wr_grouping *g)
{
	char list[WR_LINE_MAX], *item, *save;
	int ret = weir_host_acs_override(host, list, sizeof(list));

	if (ret < 0)
		return ret;
	for (item = strtok_r(list, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		if (!strncmp(item, "downstream", 10))
			assume_override(g, wr_acs_is_port);
		else if (!strncmp(item, "multifunction", 13))
			assume_override(g, is_multifunction);
		else if (!strncmp(item, "id:", 3))
			override_id(g, item);
	}
	return 0;
}

static int assume_acs(const struct weir_host *host, struct wr_grouping *g, int i, bool real)
{
	struct wr_acs *acs = &g->functions[i].acs;

	if (acs->config == WR_CONFIG_READ && !acs->express)
		return wr_fail(-EINVAL, "%s can't be assumed to have ACS: it is a conventional PCI "
			       "function, and those have none", name_of(host, i));
	if (!real || wr_acs_can(acs))
		acs->assumed = WR_ASSUMED_ON;
	return 0;
}

/*
 * __pci_config_acs(): bits that aren't forced are firmware's, also those that the kernel would have
 * switched on itself. What firmware had there isn't to be seen any more, so of those that are on it
 * isn't sure.
 */
static int assume_config(const struct weir_host *host, struct wr_grouping *g, int i,
			 const struct weir_host_assume *assume)
{
	struct wr_acs *acs = &g->functions[i].acs;

	if (acs->config == WR_CONFIG_READ && !acs->has_acs)
		return wr_fail(-EINVAL, "%s has no ACS capability: config_acs does nothing there",
			       name_of(host, i));
	acs->doubtful = (uint16_t)(acs->ctrl & ~assume->mask);
	acs->ctrl = assume->bits & assume->mask;
	/* pci_quirk_disable_intel_spt_pch_acs_redir(), whatever was asked for */
	acs->wide_ctrl &= ~(uint32_t)(WR_ACS_RR | WR_ACS_CR | WR_ACS_EC);
	return 0;
}

/* The bus below a port, a new one if there is none. */
static int bus_below(struct wr_grouping *g, int port)
{
	for (int i = 0; i < g->n_buses; i++)
		if (g->buses[i].self == port)
			return i;
	g->buses[g->n_buses] = (struct wr_grouping_bus){ port, g->functions[port].bus };
	return g->n_buses++;
}

static bool is_below(const struct wr_grouping *g, int function, int bridge)
{
	for (int bus = g->functions[function].bus; bus >= 0; bus = g->buses[bus].parent)
		if (g->buses[bus].self == bridge)
			return true;
	return false;
}

static int check_move(const struct weir_host *host, const struct wr_grouping *g, int i, int port)
{
	int up = g->buses[g->functions[i].bus].self;

	if (g->functions[i].acs.vf)
		return wr_fail(-EINVAL, "%s is a VF: it goes where its PF %s goes",
			       name_of(host, i), host->functions[i].physfn);
	if (g->functions[i].acs.config == WR_CONFIG_READ && !g->functions[i].acs.express)
		return wr_fail(-EINVAL, "%s is conventional PCI, and so can't be behind a port of "
			       "PCI Express", name_of(host, i));
	if (up < 0)
		return wr_fail(-EINVAL, "%s is on a root bus, soldered to the machine: it can't be "
			       "moved", name_of(host, i));
	if (!wr_acs_is_port(&g->functions[up].acs))
		return wr_fail(-EINVAL, "%s is a part of what %s is the upper end of, and can't be "
			       "moved without it", name_of(host, i), name_of(host, up));
	if (!wr_acs_is_port(&g->functions[port].acs))
		return wr_fail(-EINVAL, "%s isn't a root port or a switch's downstream port, so "
			       "nothing can be put behind it", name_of(host, port));
	if (i == port || is_below(g, port, i))
		return wr_fail(-EINVAL, "%s can't be moved behind itself", name_of(host, i));
	return 0;
}

/* A port of PCI Express leads to a single device, whatever numbers its functions and VFs have. */
static bool of_one_device(const struct wr_grouping *g, int i, int j)
{
	int up = g->buses[g->functions[i].bus].self;

	return g->functions[i].bus == g->functions[j].bus &&
	       (g->functions[i].devfn >> 3 == g->functions[j].devfn >> 3 ||
		(up >= 0 && wr_acs_is_port(&g->functions[up].acs)));
}

/*
 * All functions of the device go, and with them what is on buses of their own: VFs, and the buses
 * below. @facts says what was where before all moves, so that two can swap places.
 */
static void move(const struct wr_grouping *facts, struct wr_grouping *g, int i, int port)
{
	int to = bus_below(g, port);

	for (int j = 0; j < facts->n; j++)
		if (of_one_device(facts, i, j))
			g->functions[j].bus = to;
	for (int bus = 0; bus < facts->n_buses; bus++) {
		int self = facts->buses[bus].self;

		if (self < 0 ? facts->buses[bus].parent == facts->functions[i].bus :
			       of_one_device(facts, i, self))
			g->buses[bus].parent = to;
	}
}

/* After all moves, since two may swap places. */
static int check_room(const struct weir_host *host, const struct wr_grouping *facts,
		      const struct wr_grouping *g, int i, int port)
{
	for (int j = 0; j < g->n; j++)
		if (g->functions[j].bus == g->functions[i].bus && !of_one_device(facts, i, j))
			return wr_fail(-EBUSY, "%s can't be moved behind %s: %s is there",
				       name_of(host, i), name_of(host, port), name_of(host, j));
	return 0;
}

static int check_function(const struct weir_host_assume *assume)
{
	bool alone = assume->kind == WEIR_ASSUME_DOWNSTREAM ||
		     assume->kind == WEIR_ASSUME_MULTIFUNCTION;

	if ((unsigned int)assume->kind > WEIR_ASSUME_MOVED)
		return wr_fail(-EINVAL, "there is no assumption of kind %d", (int)assume->kind);
	if (!alone && !assume->function)
		return wr_fail(-EINVAL, "an assumption about a function needs a function");
	if (assume->kind == WEIR_ASSUME_MOVED && !assume->port)
		return wr_fail(-EINVAL, "a move needs a port");
	return 0;
}

static int apply(const struct weir_host *host, const struct wr_grouping *facts, bool real,
		 const struct weir_host_assume *assume, struct wr_grouping *g)
{
	int ret = check_function(assume), i, port;

	if (ret < 0)
		return ret;
	i = assume->function ? (int)(assume->function - host->functions) : -1;
	switch (assume->kind) {
	case WEIR_ASSUME_DOWNSTREAM:
		if (!real)
			assume_override(g, wr_acs_is_port);
		return 0;
	case WEIR_ASSUME_MULTIFUNCTION:
		if (!real)
			assume_override(g, is_multifunction);
		return 0;
	case WEIR_ASSUME_ACS:
		return assume_acs(host, g, i, real);
	case WEIR_ASSUME_CONFIG_ACS:
		return assume_config(host, g, i, assume);
	case WEIR_ASSUME_MOVED:
		port = (int)(assume->port - host->functions);
		ret = check_move(host, g, i, port);
		if (!ret)
			move(facts, g, i, port);
		return ret;
	}
	return 0;
}

int wr_assume(const struct weir_host *host, const struct wr_grouping *facts,
	      const struct weir_host_compute_opts *opts, bool real, struct wr_grouping *g)
{
	int ret = 0;

	/* Types and multifunction are settled by it. */
	wr_grouping_prepare(g, WR_GUESS_BEST);
	if (opts->as_booted && !real)
		ret = assume_booted(host, g);
	for (size_t i = 0; !ret && i < opts->n; i++)
		ret = apply(host, facts, real, &opts->assume[i], g);
	for (size_t i = 0; !ret && i < opts->n; i++)
		if (opts->assume[i].kind == WEIR_ASSUME_MOVED)
			ret = check_room(host, facts, g,
					 (int)(opts->assume[i].function - host->functions),
					 (int)(opts->assume[i].port - host->functions));
	return ret;
}
