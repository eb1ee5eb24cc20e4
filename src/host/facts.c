/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "host/facts.h"
#include "pci/addr.h"

#define CONFIG_MAX	4096
#define CLASS_IOMMU	0x0806
#define VMD_DOMAINS	0x10000	/* drivers/pci/controller/vmd.c: VMD's are from there on */

/* Where a function is in the scan; none if it isn't there, or was left out. */
static int index_of(const struct weir_host *host, const char *address)
{
	const struct weir_host_function *fn = wr_host_search(host, address);

	return fn ? (int)(fn - host->functions) : -1;
}

static int parse(const struct weir_host *host, int i, struct wr_pci_addr *addr)
{
	return wr_pci_addr_parse(host->functions[i].address, addr);
}

static bool same_bus(const struct weir_host *host, int i, int j)
{
	struct wr_pci_addr a, b;

	parse(host, i, &a);
	parse(host, j, &b);
	return a.domain == b.domain && a.bus == b.bus;
}

/*
 * Whether @above may be above @below, buses being numbered downwards in a domain
 * (pci_scan_bridge_extend() sees to that), so that a damaged tree can't make a ring.
 */
static bool is_above(const struct weir_host *host, int above, int below)
{
	struct wr_pci_addr a, b;

	parse(host, above, &a);
	parse(host, below, &b);
	return a.domain == b.domain && a.bus < b.bus;
}

/* A bus begins with its first function, and goes by it until all have theirs. */
static void find_buses(const struct weir_host *host, struct wr_grouping *g)
{
	for (int i = 0; i < g->n; i++) {
		if (!i || !same_bus(host, i, i - 1))
			g->buses[g->n_buses++] = (struct wr_grouping_bus){ -1, -1 };
		g->functions[i].bus = g->n_buses - 1;
	}
}

static void link_bus(const struct weir_host *host, struct wr_grouping *g, int i)
{
	const struct weir_host_function *fn = &host->functions[i];
	struct wr_grouping_function *f = &g->functions[i];
	struct wr_grouping_bus *bus = &g->buses[f->bus];
	const char *above = f->acs.vf ? fn->physfn : fn->parent;
	int up;

	if (!*above)
		return;
	up = index_of(host, above);
	/* What is above comes first in the list. */
	f->lost = up >= 0 && up < i && g->functions[up].lost;
	if (up >= 0 && f->acs.vf && g->functions[up].bus == f->bus)
		return;
	if (up < 0 || !is_above(host, up, i)) {
		f->lost = true;
		return;
	}
	/* A bus of VFs alone has no bridge (virtfn_add_bus()). */
	if (bus->parent < 0)
		bus->parent = g->functions[up].bus;
	if (!f->acs.vf && bus->self < 0) {
		bus->self = up;
		bus->parent = g->functions[up].bus;
	}
}

/* pci_real_dma_dev(): VMD's children do DMA as the VMD, below which their root bus is. */
static int find_dma(const struct weir_host *host, int i)
{
	char path[PATH_MAX], link[WR_PCI_PATH_MAX], *part, *save, *last = NULL;
	const struct weir_host_function *fn = &host->functions[i];
	struct wr_pci_addr addr;
	int found;

	if (parse(host, i, &addr) < 0 || addr.domain < VMD_DOMAINS)
		return i;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", fn->address);
	if (wr_root_link(host->root, path, link, sizeof(link)) < 0)
		return i;
	for (part = strtok_r(link, "/", &save); part && strcmp(part, fn->root_bus);
	     part = strtok_r(NULL, "/", &save))
		last = part;
	found = part && last ? index_of(host, last) : -1;
	return found < 0 ? i : found;
}

/*
 * Whether reading the config space would wake a device: pci_config_pm_runtime_get() in
 * drivers/pci/pci.c wakes the bridge, and a device itself only from D3cold.
 */
static bool would_wake(const struct weir_host *host, const struct weir_host_function *fn)
{
	const struct weir_host_function *up = weir_host_parent(host, fn);
	char text[32];

	if (wr_pci_attr(host->root, fn->address, "power_state", text, sizeof(text)) > 0 &&
	    !strcmp(text, "D3cold"))
		return true;
	for (int depth = 0; up && depth < 256; up = weir_host_parent(host, up), depth++)
		if (weir_host_is_asleep(host, up))
			return true;
	return false;
}

static void read_config(const struct weir_host *host, const struct weir_host_function *fn,
			bool wake, struct wr_acs *acs)
{
	uint8_t config[CONFIG_MAX];
	bool asleep = !wake && would_wake(host, fn);
	int len = asleep ? 0 : weir_host_config(host, fn, config, sizeof(config));

	wr_facts_acs(host, fn, config, len > 0 ? (size_t)len : 0, acs);
	if (asleep)
		acs->config = WR_CONFIG_ASLEEP;
}

void wr_facts_acs(const struct weir_host *host, const struct weir_host_function *fn,
		  const uint8_t *config, size_t len, struct wr_acs *acs)
{
	acs->vendor = fn->vendor;
	acs->device = fn->device;
	acs->subsystem_vendor = fn->subsystem_vendor;
	acs->subsystem_device = fn->subsystem_device;
	acs->class_code = fn->class_code;
	acs->vf = fn->physfn[0];
	/* pcie_portdrv_probe() in drivers/pci/pcie/portdrv.c takes nothing else */
	acs->port = !strcmp(fn->driver, "pcieport");
	acs->on_root_bus = !fn->parent[0];
	wr_acs_parse(acs, config, len);
	/* pci_std_enable_acs(): with an IOMMU the kernel switches on what there is. */
	if (!weir_host_has_iommu(host)) {
		acs->ctrl |= acs->cap & WR_ACS_NEEDED;
		acs->wide_ctrl |= acs->cap & WR_ACS_NEEDED;
	}
}

static void read_function(const struct weir_host *host, bool wake, struct wr_grouping *g, int i)
{
	const struct weir_host_function *fn = &host->functions[i];
	struct wr_grouping_function *f = &g->functions[i];
	struct wr_pci_addr addr = { 0 };

	parse(host, i, &addr);
	f->devfn = (uint8_t)(addr.device << 3 | addr.function);
	f->dma = find_dma(host, i);
	read_config(host, fn, wake, &f->acs);
}

/*
 * Groups that don't follow from PCI: pSeries' and PowerNV's partitionable endpoints
 * (arch/powerpc/kernel/iommu.c), s390's functions (drivers/iommu/s390-iommu.c). Older kernels show
 * no IOMMU there, only groups; but so do those in no-IOMMU mode (drivers/vfio/group.c).
 */
static int check_rules(const struct weir_host *host, const struct weir_host_function *fn)
{
	struct weir_host_group group;

	if (!strncmp(fn->iommu, "iommu-phb", 9) || !strncmp(fn->iommu, "s390-iommu", 10))
		return wr_fail(-ENOTSUP, "IOMMU groups of this machine (%s) aren't made by the "
			       "rules of PCI, so weir can't compute them", fn->iommu);
	if (fn->group < 0 || weir_host_has_iommu(host) ||
	    (!weir_host_group(host, fn->group, &group) && !strcmp(group.name, "vfio-noiommu")))
		return 0;
	return wr_fail(-ENOTSUP, "%s is in IOMMU group %d, and no IOMMU shows in %s/sys/class/"
		       "iommu: by which rules that was made isn't known, so weir can't compute it",
		       fn->address, fn->group, host->root);
}

int wr_facts_read(const struct weir_host *host, bool wake, struct wr_grouping *g)
{
	bool on = weir_host_has_iommu(host);
	bool ivrs = wr_root_has(host->root, "/sys/firmware/acpi/tables/IVRS");
	struct wr_grouping empty = { .n = host->count };
	int ret = 0;

	for (int i = 0; !ret && i < host->count; i++)
		ret = check_rules(host, &host->functions[i]);
	if (!ret)
		ret = wr_facts_copy(&empty, host->count, g);
	if (ret < 0)
		return ret;
	for (int i = 0; i < g->n; i++) {
		const struct weir_host_function *fn = &host->functions[i];
		struct wr_grouping_function *f = &g->functions[i];

		read_function(host, wake, g, i);
		f->acs.ivrs = ivrs;
		/* Without an IOMMU: all but IOMMUs would have one. */
		f->translated = on ? fn->group >= 0 || fn->iommu[0] :
				     fn->class_code >> 8 != CLASS_IOMMU;
	}
	find_buses(host, g);
	for (int i = 0; i < g->n; i++)
		link_bus(host, g, i);
	return 0;
}

static void *copy_of(const void *from, size_t used, size_t room, size_t size)
{
	void *copy = calloc(room + 1, size);

	if (copy && from)
		memcpy(copy, from, used * size);
	return copy;
}

int wr_facts_copy(const struct wr_grouping *g, int buses, struct wr_grouping *copy)
{
	size_t n = (size_t)g->n, used = (size_t)g->n_buses;

	*copy = (struct wr_grouping){
		.functions = copy_of(g->functions, n, n, sizeof(*g->functions)),
		.buses = copy_of(g->buses, used, used + (size_t)buses, sizeof(*g->buses)),
		.order = copy_of(g->order, n, n, sizeof(*g->order)),
		.n = g->n,
		.n_buses = g->n_buses,
	};
	if (copy->functions && copy->buses && copy->order)
		return 0;
	wr_facts_free(copy);
	return wr_fail(-ENOMEM, "no memory to compute IOMMU groups");
}

void wr_facts_free(struct wr_grouping *g)
{
	free(g->functions);
	free(g->buses);
	free(g->order);
	*g = (struct wr_grouping){ 0 };
}
