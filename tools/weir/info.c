/* SPDX-License-Identifier: MIT */
/*
 * weir info: all about one device. Unlike 'weir list' it reads config space, which resumes a
 * sleeping device; and one that is bound to VFIO it opens, which resets it.
 *
 * --json prints what 'weir list --json' says of the function (of a device model only the ids and
 * their names; the rest is null), and
 *	{"name": "0000:01:00.0" or "soft:edu",
 *	 "group_members": [{"address", "vendor", "device", "class", "driver",
 *		"role": "free", "vfio", "harmless" (its driver does no DMA of its own: bridges
 *			on pcieport) or "in the way"}], itself included,
 *	 "regions": [{"region": "BAR0" to "BAR5" or "ROM", "size": bytes, "type": "memory" or "io",
 *		"bits": 32 or 64, "prefetchable": bool,
 *		"address": "0xfe000000", null when unknown}],
 *	 "interrupts": {"intx": "A" to "D", null for none, "msi": vectors, "msix": vectors},
 *	 "capabilities": [{"id": "0x0010", "offset": "0x070", "extended": bool, "version": number,
 *		"name": text, null for an unknown one}],
 *	 "reset_methods": ["flr", "bus"], best first,
 *	 "weir": {"opened": false, "why": text}, or
 *		{"opened": true, "backend": "type1v2", "isolation": bool, "page_sizes": [bytes],
 *		 "iova_ranges": [{"first": "0x1000", "last": "0xfedfffff"}],
 *		 "windows": null where IOVAs lie in none, else {"are": [{"first", "last",
 *			"page_size": bytes, "made": bool}], "page_sizes": [bytes] of those that can
 *			be made, "most": so many at once, "levels": of their tables, at most},
 *		 "dirty_tracking": "none", "all" or "exact", "faults": bool, "can_reset": bool,
 *		 "features": ["vf-token", "migration", "low-power", "low-power-wakeup",
 *			"dma-logging", "dma-buf"], those of them that the device has,
 *		 "iommu": null where the interface doesn't tell, else {"make": "vtd", "smmuv3",
 *			"amd" or "soft", null for others, "type": the kernel's number of that,
 *			"pasid_bits": of the device's PASIDs, 0 for none, "pasid_exec": bool,
 *			"pasid_priv": bool, "ats": bool, false when it is ruled out,
 *			"page_tables": {"plain", "nest_parent", "dirty", "pasid", "faults": where
 *				such a one can have mappings, as "iova_ranges"; null: it can't be
 *				made}, "words": [{"name", "value": number, "meaning"}] of the
 *				IOMMU's registers}}}
 * What can't be known is null: for a user without privilege the MSI and MSI-X vectors and the
 * capabilities, since sysfs shows users the first 64 bytes of config space.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "options.h"
#include "weir.h"

static const char usage[] =
	"usage: weir info [--json] [--root ROOT] [--unsafe-noiommu] DEVICE\n"
	"\n"
	"Says all about one device: a PCI function (0000:01:00.0) or a device model\n"
	"(soft:edu). This wakes a sleeping device, and resets one that is bound to VFIO.\n"
	"\n"
	"      --json      for programs\n"
	"      --root ROOT one of another machine: the folder in which its sys/ lies, or what\n"
	"                  'weir capture' made of it\n"
	UNSAFE_USAGE
	"  -h, --help      this text\n"
	"\n"
	"Example: weir info 0000:01:00.0";

/* Config space that was read as a whole. */
struct config {
	uint8_t bytes[PCI_CFG_SPACE_EXP_SIZE];
	unsigned int size;
};

static int read_bytes(void *arg, unsigned int offset, void *buf, unsigned int len)
{
	const struct config *config = arg;

	if (len > config->size || offset > config->size - len)
		return -EINVAL;
	memcpy(buf, config->bytes + offset, len);
	return 0;
}

static int read_device(void *arg, unsigned int offset, void *buf, unsigned int len)
{
	return weir_region_read(arg, WEIR_REGION_CONFIG, offset, buf, len);
}

/* Read a number from config space; false when it can't be. */
static bool field(weir_config_reader read, void *arg, unsigned int offset, unsigned int len,
		  uint32_t *value)
{
	uint8_t raw[4] = { 0 };

	if (read(arg, offset, raw, len) < 0)
		return false;
	*value = (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 |
		 (uint32_t)raw[3] << 24;
	return true;
}

static void learn_vectors(struct info *info, weir_config_reader read, void *arg)
{
	uint32_t control;

	info->msi = 0;
	info->msix = 0;
	for (int i = 0; i < info->n_caps; i++) {
		const struct weir_cap *cap = &info->caps[i];

		if (cap->extended)
			continue;
		if (cap->id == PCI_CAP_ID_MSI &&
		    field(read, arg, cap->offset + PCI_MSI_FLAGS, 2, &control))
			info->msi = 1 << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
		if (cap->id == PCI_CAP_ID_MSIX &&
		    field(read, arg, cap->offset + PCI_MSIX_FLAGS, 2, &control))
			info->msix = (int)(control & PCI_MSIX_FLAGS_QSIZE) + 1;
	}
}

/* Learn interrupts and capabilities from @size bytes of config space. */
static int learn_config(struct info *info, weir_config_reader read, void *arg, unsigned int size)
{
	uint32_t pin;

	info->intx_pin = -1;
	info->n_caps = info->msi = info->msix = -1;
	if (field(read, arg, PCI_INTERRUPT_PIN, 1, &pin) && pin <= 4)
		info->intx_pin = (int)pin;
	if (size < PCI_CFG_SPACE_SIZE)
		return 0;	/* shortened for users without privilege */
	info->n_caps = weir_config_walk(read, arg, size, NULL, 0);
	if (info->n_caps < 0)
		return fail("%s: its capabilities can't be read: %s", info->name,
			    strerror(-info->n_caps));
	info->caps = calloc((size_t)info->n_caps + 1, sizeof(*info->caps));
	if (!info->caps) {
		info->n_caps = -1;
		return fail("no memory for the capabilities");
	}
	/* A device may change under our eyes: what there is now, if fewer. */
	pin = (uint32_t)info->n_caps;
	info->n_caps = weir_config_walk(read, arg, size, info->caps, pin);
	if (info->n_caps > (int)pin)
		info->n_caps = (int)pin;
	learn_vectors(info, read, arg);
	return 0;
}

static int learn_group(struct info *info, const struct weir_host *host)
{
	const struct weir_host_function *fn;

	if (info->fn.group < 0)
		return 0;
	info->members = calloc(weir_host_count(host), sizeof(*info->members));
	if (!info->members)
		return fail("no memory for the group's members");
	for (unsigned int i = 0; (fn = weir_host_function(host, i)); i++)
		if (fn->group == info->fn.group)
			info->members[info->n_members++] = fn;
	return 0;
}

static int learn_host_regions(struct info *info, const struct weir_host *host,
			      const struct weir_host_function *fn)
{
	struct weir_host_region regions[WEIR_REGION_ROM + 1];
	int n = weir_host_regions(host, fn, regions, WEIR_REGION_ROM + 1);

	info->n_regions = n < 0 ? -1 : n;
	if (n < 0)
		return fail("%s", weir_errmsg());
	for (int i = 0; i < n; i++)
		info->regions[i] = (struct info_region){
			.region = regions[i].region,
			.start = regions[i].start,
			.size = regions[i].size,
			.io = regions[i].io,
			.is64 = regions[i].is64,
			.prefetchable = regions[i].prefetchable,
		};
	return 0;
}

const struct info_feature info_features[INFO_FEATURES] = {
	{ WEIR_FEATURE_VF_TOKEN, "vf-token" },
	{ WEIR_FEATURE_MIGRATION, "migration" },
	{ WEIR_FEATURE_LOW_POWER, "low-power" },
	{ WEIR_FEATURE_LOW_POWER_WAKEUP, "low-power-wakeup" },
	{ WEIR_FEATURE_DMA_LOGGING, "dma-logging" },
	{ WEIR_FEATURE_DMA_BUF, "dma-buf" },
};

static int learn_features(struct info_interface *itf, struct weir_device *dev)
{
	for (int i = 0; i < INFO_FEATURES; i++) {
		int has = weir_device_has(dev, info_features[i].feature);

		if (has < 0)
			return fail("%s", weir_errmsg());
		itf->features[i] = has;
	}
	return 0;
}

static int worse(int a, int b)
{
	return a > b ? a : b;
}

static int learn_interface(struct info *info, struct weir_iommu *iommu, struct weir_device *dev)
{
	struct weir_ioas *as = weir_device_ioas(dev);
	struct info_interface *itf = &info->interface;
	struct weir_device_info about;

	if (weir_device_info(dev, &about) < 0 || weir_ioas_caps(as, &itf->caps) < 0)
		return fail("%s", weir_errmsg());
	snprintf(itf->backend, sizeof(itf->backend), "%s", about.backend);
	itf->can_reset = about.can_reset;
	itf->n_ranges = weir_ioas_ranges(as, NULL, 0);
	if (itf->n_ranges < 0)
		return fail("%s", weir_errmsg());
	itf->ranges = calloc((size_t)itf->n_ranges + 1, sizeof(*itf->ranges));
	if (!itf->ranges) {
		itf->n_ranges = 0;
		return fail("no memory for the IOVA ranges");
	}
	weir_ioas_ranges(as, itf->ranges, (size_t)itf->n_ranges);
	/* Elsewhere than on POWER there are none, and nothing is known of them. */
	itf->n_windows = weir_ioas_windows(as, itf->windows, 4);
	if (weir_ioas_window_info(as, &itf->can) < 0)
		itf->can.windows = 0;
	info->opened = true;
	return worse(learn_features(itf, dev), info_learn_iommu(&itf->iommu, iommu, dev));
}

static bool others_in_the_way(const struct info *info)
{
	for (int i = 0; i < info->n_members; i++)
		if (info->members[i]->role == WEIR_ROLE_IN_THE_WAY &&
		    strcmp(info->members[i]->address, info->fn.address))
			return true;
	return false;
}

/* Why it isn't worth while to try and open it, with the cure; false when it is. */
static bool not_ready(struct info *info, const char *root)
{
	const struct weir_host_function *fn = &info->fn;
	char cause[128];

	if (root) {
		snprintf(info->why, sizeof(info->why), "--root shows another tree; only a function "
			 "of this machine can be opened");
		return true;
	}
	if (fn->role == WEIR_ROLE_VFIO)
		return false;
	if (info->header_type) {
		snprintf(info->why, sizeof(info->why), "it is a bridge, and vfio-pci takes none; "
			 "give away the functions behind it");
		return true;
	}
	if (fn->group < 0 && !info->iommu) {
		snprintf(info->why, sizeof(info->why), "it is in no IOMMU group; switch the IOMMU "
			 "on, in the firmware (VT-d, AMD-Vi) and on the kernel's command line "
			 "(intel_iommu=on); without one, nothing holds it back: see "
			 "enable_unsafe_noiommu_mode of the module vfio, and --unsafe-noiommu");
		return true;
	}
	if (fn->driver[0])
		snprintf(cause, sizeof(cause), "it is bound to %s, not to vfio-pci", fn->driver);
	else
		snprintf(cause, sizeof(cause), "it is bound to no driver, so not to vfio-pci");
	snprintf(info->why, sizeof(info->why), "%s; to give it away: weir bind %s%s", cause,
		 fn->address, others_in_the_way(info) ? " --group" : "");
	return true;
}

static int open_function(struct info *info, bool unsafe_noiommu)
{
	const struct weir_iommu_opts opts = { .unsafe_noiommu = unsafe_noiommu };
	struct weir_iommu *iommu = NULL;
	struct weir_device *dev;
	int status;

	if (weir_iommu_open(&opts, &iommu) < 0 ||
	    weir_device_open(iommu, info->name, NULL, &dev) < 0) {
		snprintf(info->why, sizeof(info->why), "%s", weir_errmsg());
		weir_iommu_close(iommu);
		return EXIT_UNKNOWN;
	}
	status = learn_interface(info, iommu, dev);
	if (weir_device_close(dev) < 0 || weir_iommu_close(iommu) < 0)
		status = fail("%s", weir_errmsg());
	return status;
}

/* A PCI function, as its machine shows it. */
static int learn_function(struct info *info, const struct weir_host *host,
			  const struct weir_host_function *fn)
{
	struct config config;
	uint32_t header = 0;
	int n, status;

	info->name = fn->address;
	info->on_bus = true;
	info->fn = *fn;
	info->iommu = weir_host_has_iommu(host);
	status = learn_group(info, host);
	status = worse(status, learn_host_regions(info, host, fn));

	n = weir_host_config(host, fn, config.bytes, sizeof(config.bytes));
	config.size = n < 0 ? 0 : (unsigned int)n;
	if (n < 0)
		status = fail("%s", weir_errmsg());
	status = worse(status, learn_config(info, read_bytes, &config, config.size));
	if (field(read_bytes, &config, PCI_HEADER_TYPE, 1, &header))
		info->header_type = header & 0x7f;

	if (weir_host_reset_methods(host, fn, info->reset, sizeof(info->reset)) < 0) {
		info->reset[0] = '\0';
		status = fail("%s", weir_errmsg());
	}
	return status;
}

/* What a BAR says of itself; its size comes from elsewhere (PCI Local Bus 3.0, 6.2.5.1). */
static void learn_bar(struct info_region *region, uint32_t bar)
{
	region->io = bar & 1;
	region->is64 = !region->io && (bar & 6) == 4;
	region->prefetchable = !region->io && bar & 8;
}

static int learn_device_regions(struct info *info, struct weir_device *dev)
{
	info->n_regions = 0;
	for (unsigned int i = 0; i <= WEIR_REGION_ROM; i++) {
		struct info_region *region = &info->regions[info->n_regions];
		struct weir_region_info about;
		uint32_t bar;

		if (weir_region_info(dev, i, &about) < 0)
			return fail("%s", weir_errmsg());
		if (!about.size)
			continue;
		*region = (struct info_region){ .region = i, .size = about.size };
		if (i < WEIR_REGION_ROM &&
		    field(read_device, dev, PCI_BASE_ADDRESS_0 + 4 * i, 4, &bar))
			learn_bar(region, bar);
		info->n_regions++;
	}
	return 0;
}

/* A device model: everything comes from the opened device. */
static int learn_device(struct info *info, struct weir_device *dev)
{
	struct weir_device_info about;
	struct weir_region_info config;
	struct weir_irq_info irq;
	int status;

	if (weir_device_info(dev, &about) < 0 ||
	    weir_region_info(dev, WEIR_REGION_CONFIG, &config) < 0)
		return fail("%s", weir_errmsg());
	info->fn = (struct weir_host_function){
		.vendor = about.vendor,
		.device = about.device,
		.subsystem_vendor = about.subsystem_vendor,
		.subsystem_device = about.subsystem_device,
		.class_code = about.class_code,
		.revision = about.revision,
		.group = -1,
		.numa_node = -1,
	};
	status = learn_device_regions(info, dev);
	status = worse(status, learn_config(info, read_device, dev, (unsigned int)config.size));
	if (!weir_irq_info(dev, WEIR_IRQ_MSI, &irq))
		info->msi = (int)irq.count;
	if (!weir_irq_info(dev, WEIR_IRQ_MSIX, &irq))
		info->msix = (int)irq.count;
	return worse(status, learn_interface(info, NULL, dev));
}

static void forget(struct info *info)
{
	free(info->members);
	free(info->caps);
	free(info->interface.ranges);
	free(info->interface.iommu.words);
}

static int info_model(const char *name, bool json)
{
	struct info info = { .name = name };
	struct weir_device *dev;
	struct names *names;
	int status;

	if (weir_device_open(NULL, name, NULL, &dev) < 0)
		return fail("%s", weir_errmsg());
	status = learn_device(&info, dev);
	if (weir_device_close(dev) < 0)
		status = fail("%s", weir_errmsg());
	if (status == EXIT_YES) {
		names = names_open(NULL);
		if (json)
			info_print_json(&info, names);
		else
			info_print_text(&info, names);
		names_close(names);
	}
	forget(&info);
	return status;
}

/* What the machine shows comes out before the device is touched, for it may not answer. */
static int show_function(struct info *info, const struct options *options, struct names *names)
{
	int status = EXIT_YES;

	if (!options->json) {
		info_print_facts(info, names);
		fflush(stdout);
	}
	if (!not_ready(info, options->root))
		status = open_function(info, options->unsafe_noiommu);
	if (options->json)
		info_print_json(info, names);
	else if (info->opened || status == EXIT_YES)
		info_print_interface(info);
	if (status != EXIT_YES && info->why[0])
		fail("%s", info->why);
	return status;
}

static int info_function(const char *name, const struct options *options)
{
	const struct weir_host_function *fn;
	struct info info = { 0 };
	struct weir_host *host;
	struct names *names;
	int status;

	if (weir_host_open(options->root, &host) < 0)
		return fail("%s", weir_errmsg());
	if (weir_host_find(host, name, &fn) < 0) {
		status = fail("%s", weir_errmsg());
	} else {
		names = names_open(options->root);
		status = learn_function(&info, host, fn);
		status = worse(status, show_function(&info, options, names));
		names_close(names);
	}
	forget(&info);
	weir_host_close(host);
	return status;
}

int cmd_info(int argc, char **argv)
{
	struct options options = { 0 };
	int status = read_options(argc, argv, TAKES_ROOT | TAKES_UNSAFE, usage, &options);
	const char *name;

	if (status != GO_ON)
		return status;
	if (optind != argc - 1)
		return fail("info wants one device, as in 'weir info 0000:01:00.0'; 'weir list' "
			    "shows those there are");
	name = argv[optind];
	if (strncmp(name, "soft:", 5))
		return info_function(name, &options);
	if (options.root)
		return fail("%s is in no tree: it is a device model of this process; leave out "
			    "--root", name);
	return info_model(name, options.json);
}
