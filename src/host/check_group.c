/* SPDX-License-Identifier: MIT */
/* The function's IOMMU group: its members, what it reserves, and what lies on the path to it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "host/acs.h"
#include "host/check.h"
#include "host/facts.h"
#include "pci/config.h"

#define GROUP "/sys/kernel/iommu_groups"

/* The next other member of its group from the n-th on, or NULL. */
static const struct weir_host_function *mate(const struct wr_exam *exam, unsigned int *n)
{
	const struct weir_host_function *fn;

	while (exam->fn->group >= 0 &&
	       (fn = weir_host_member(exam->host, exam->fn->group, (*n)++)))
		if (strcmp(fn->address, exam->fn->address))
			return fn;
	return NULL;
}

/* "domain:bus:device" is what of an address says the slot. */
static bool same_slot(const struct weir_host_function *a, const struct weir_host_function *b)
{
	return !strncmp(a->address, b->address, strcspn(a->address, "."));
}

static void devices_of(const struct wr_exam *exam, char file[WR_LINE_MAX])
{
	snprintf(file, WR_LINE_MAX, GROUP "/%d/devices", exam->fn->group);
}

static void check_group(struct wr_exam *exam)
{
	const char *address = exam->fn->address;
	char file[WR_LINE_MAX], mode[WR_LINE_MAX];
	struct weir_host_group group;

	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/iommu_group", address);
	if (exam->fn->group >= 0) {
		snprintf(mode, sizeof(mode), GROUP "/%d/name", exam->fn->group);
		if (!weir_host_group(exam->host, exam->fn->group, &group) &&
		    !strcmp(group.name, "vfio-noiommu"))
			wr_report(exam, WEIR_HOST_WARNING, mode, "%s is given away without an "
				  "IOMMU: who has it reaches all memory", address);
		else
			wr_report(exam, WEIR_HOST_OK, file, "%s is in IOMMU group %d", address,
				  exam->fn->group);
		return;
	}
	if (wr_has_iommu(exam) && wr_root_has(exam->m->root, "/sys/firmware/devicetree/base")) {
		wr_cure(exam, "'weir bind %s' tries; a reason may be in the kernel's log", address);
		wr_report(exam, WEIR_HOST_NOTE, file, "%s is in no IOMMU group yet: where devices "
			  "are found by a device tree it gets one when its first driver is tried, "
			  "elsewhere no IOMMU is in front of it", address);
	} else if (wr_noiommu_mode(exam, mode)) {
		wr_report(exam, WEIR_HOST_WARNING, mode, "%s is behind no IOMMU; in no-IOMMU mode "
			  "it can be given away, unsafely", address);
	} else if (wr_has_iommu(exam)) {
		wr_cure(exam, "another slot, or an update of the firmware, which says what each "
			"IOMMU is in front of; 'dmesg | grep %s'", address);
		wr_report(exam, WEIR_HOST_STOP, file, "%s is in no IOMMU group: no IOMMU is in "
			  "front of it, though the machine's is on", address);
	} else {
		wr_cure(exam, "see the findings iommu-on and firmware-table");
		wr_report(exam, WEIR_HOST_STOP, file, "%s is in no IOMMU group: no IOMMU is in "
			  "front of it", address);
	}
}

/*
 * How the members in the way are got out of it. Those of the same slot are nearly always of the
 * same card; who takes another's along may lose what the machine itself works with.
 */
static void cure_viable(struct wr_exam *exam)
{
	const char *address = exam->fn->address;
	const struct weir_host_function *fn;
	struct wr_few others = { .n = 0 }, bridges = { .n = 0 };
	unsigned int n = 0, mates = 0;

	while ((fn = mate(exam, &n))) {
		if (fn->role != WEIR_ROLE_IN_THE_WAY)
			continue;
		if (wr_has_bridge_class(fn)) {
			wr_few_add(&bridges, "%s", fn->address);
			continue;
		}
		mates++;
		if (!same_slot(fn, exam->fn))
			wr_few_add(&others, "%s", fn->address);
	}
	/* 'weir bind' takes none. */
	if (bridges.n)
		wr_cure(exam, "what is a bridge leaves its driver by 'echo BDF > /sys/bus/pci/"
			"devices/BDF/driver/unbind': %s", bridges.text);
	if (others.n)
		wr_cure(exam, "another slot for %s, away from %s (see group-shared); if this "
			"machine can do without, 'weir bind --group %s' takes all that is in the "
			"way, too", address, others.text, address);
	else if (mates)
		wr_cure(exam, "'weir bind --group %s' takes what is in the way, too, which is of "
			"the same slot", address);
	if (mates)
		wr_cure(exam, "'weir doctor' of each says what it is used for");
}

static void check_viable(struct wr_exam *exam)
{
	const struct weir_host_function *fn;
	char file[WR_LINE_MAX];
	struct wr_few list = { .n = 0 };
	unsigned int n = 0;

	if (exam->fn->group < 0)
		return;
	while ((fn = mate(exam, &n)))
		if (fn->role == WEIR_ROLE_IN_THE_WAY)
			wr_few_add(&list, "%s (%.40s)", fn->address, fn->driver);
	devices_of(exam, file);
	if (!list.n) {
		wr_report(exam, WEIR_HOST_OK, file, "no other member of group %d is in the way",
			  exam->fn->group);
		return;
	}
	cure_viable(exam);
	wr_report(exam, WEIR_HOST_STOP, file, "group %d isn't viable: %s %s with the kernel's "
		  "drivers, and devices of one group can reach each other (\"group %d is not "
		  "viable, please ensure all devices within the iommu_group are bound to their "
		  "vfio bus driver\")", exam->fn->group, list.text, list.n > 1 ? "are" : "is",
		  exam->fn->group);
}

static void check_bridges(struct wr_exam *exam)
{
	const struct weir_host_function *fn;
	char file[WR_LINE_MAX];
	struct wr_few list = { .n = 0 };
	unsigned int n = 0;

	while ((fn = mate(exam, &n)))
		if (wr_has_bridge_class(fn) && fn->role == WEIR_ROLE_HARMLESS)
			wr_few_add(&list, "%s", fn->address);
	if (!list.n)
		return;
	devices_of(exam, file);
	wr_report(exam, WEIR_HOST_NOTE, file, "the bridges in its group stay as they are, with "
		  "pcieport: %s; that driver does no DMA, and VFIO asks for no more, whatever "
		  "other tools say", list.text);
}

static enum wr_port port_of(const struct wr_exam *exam, const struct weir_host_function *bridge)
{
	return exam->m->ports[bridge - exam->host->functions];
}

/* The bridge to a conventional bus that is above @fn; the topmost. */
static const struct weir_host_function *conventional_above(const struct wr_exam *exam,
							   const struct weir_host_function *fn)
{
	const struct weir_host_function *found = NULL;

	for (int depth = 0; depth < 64 && (fn = weir_host_parent(exam->host, fn)); depth++)
		if (port_of(exam, fn) == WR_PORT_CONVENTIONAL)
			found = fn;
	return found;
}

static void cure_shared(struct wr_exam *exam, bool conventional)
{
	if (exam->m->cpu == WR_CPU_POWER)
		wr_cure(exam, "a slot of another host bridge");
	else if (conventional)
		wr_cure(exam, "a slot that isn't behind that bridge; 'weir groups --why %s' says "
			"what joins them", exam->fn->address);
	else
		wr_cure(exam, "another slot; ACS (and AER, ARI) in the firmware's setup; 'weir "
			"groups --why %s' says what joins them, 'weir groups --what-if' what an "
			"override would change", exam->fn->address);
}

static void check_shared(struct wr_exam *exam)
{
	const struct weir_host_function *bridge = NULL, *fn;
	char file[WR_LINE_MAX], why[128] = "a port above them doesn't keep them apart";
	struct wr_few list = { .n = 0 };
	unsigned int n = 0;

	while ((fn = mate(exam, &n))) {
		if (wr_has_bridge_class(fn) || same_slot(fn, exam->fn))
			continue;
		if (!list.n)
			bridge = conventional_above(exam, exam->fn);
		if (bridge && bridge != conventional_above(exam, fn))
			bridge = NULL;
		wr_few_add(&list, "%s", fn->address);
	}
	if (!list.n)
		return;
	devices_of(exam, file);
	if (exam->m->cpu == WR_CPU_POWER)
		strcpy(why, "here a group is what is behind one host bridge");
	else if (bridge)
		snprintf(why, sizeof(why), "all behind the bridge %s to conventional PCI hear each "
			 "other", bridge->address);
	cure_shared(exam, bridge);
	wr_report(exam, WEIR_HOST_WARNING, file, "it shares group %d with devices of other slots, "
		  "and can be given away only together with them: %s; %s", exam->fn->group,
		  list.text, why);
}

/* VFIO_GROUP_… "used in multiple address spaces" is QEMU's, for groups behind a guest's IOMMU. */
static void check_spaces(struct wr_exam *exam)
{
	const struct weir_host_function *fn;
	char file[WR_LINE_MAX];
	unsigned int n = 0, others = 0;

	while ((fn = mate(exam, &n)))
		others += !wr_has_bridge_class(fn);
	if (!others)
		return;
	devices_of(exam, file);
	wr_cure(exam, "give a guest with an IOMMU of its own one of them only, or no IOMMU");
	wr_report(exam, WEIR_HOST_NOTE, file, "group %d has %u devices, which share one address "
		  "space: a guest with an IOMMU of its own can't have each translated by itself "
		  "(\"group %d used in multiple address spaces\")", exam->fn->group, others + 1,
		  exam->fn->group);
}

/* All of the group's regions, to be freed: their number, or -errno. */
static int read_reserved(const struct wr_exam *exam, struct weir_host_reserved **regions)
{
	int n = weir_host_reserved(exam->host, exam->fn->group, NULL, 0), got;

	*regions = n > 0 ? calloc((size_t)n, sizeof(**regions)) : NULL;
	if (n <= 0)
		return n;
	if (!*regions)
		return -ENOMEM;
	got = weir_host_reserved(exam->host, exam->fn->group, *regions, (size_t)n);
	/* Another driver may have added some meanwhile. */
	return got < n ? got : n;
}

/* Adds the regions that are of that type, or that aren't. Returns how many there are, or less. */
static int list_reserved(struct wr_exam *exam, const char *type, bool is, struct wr_few *list,
			 char file[WR_LINE_MAX])
{
	struct weir_host_reserved *regions;
	int n;

	if (exam->fn->group < 0)
		return -ENOENT;
	snprintf(file, WR_LINE_MAX, GROUP "/%d/reserved_regions", exam->fn->group);
	n = read_reserved(exam, &regions);
	if (n < 0 && n != -ENOENT)
		wr_unread(exam, file, n);
	for (int i = 0; i < n; i++)
		if (!strcmp(regions[i].type, type) == is)
			wr_few_add(list, "%#" PRIx64 " to %#" PRIx64 "%s%s", regions[i].first,
				   regions[i].last, is ? "" : " ", is ? "" : regions[i].type);
	free(regions);
	return n;
}

static void check_direct(struct wr_exam *exam)
{
	struct wr_few list = { .n = 0 };
	char file[WR_LINE_MAX];

	if (list_reserved(exam, "direct", true, &list, file) < 0 || !list.n)
		return;
	wr_cure(exam, "in the firmware's setup what uses such memory (RMRR on HP and Dell "
		"servers, legacy USB); an update of it; another device");
	wr_report(exam, WEIR_HOST_STOP, file, "the firmware itself has the device use memory (%s, "
		  "type direct: an RMRR or IVMD), which must stay mapped: VFIO refuses it "
		  "(\"Firmware has requested this device have a 1:1 IOMMU mapping, rejecting "
		  "configuring the device without a 1:1 mapping\")", list.text);
}

static void check_iova(struct wr_exam *exam)
{
	struct wr_few list = { .n = 0 };
	char file[WR_LINE_MAX];

	if (list_reserved(exam, "direct", false, &list, file) > 0 && list.n)
		wr_report(exam, WEIR_HOST_NOTE, file, "IOVAs can't lie in %s; mapping there "
			  "is refused (EINVAL, EADDRINUSE)", list.text);
}

static enum wr_port find_port(const struct weir_host *host, const struct weir_host_function *port)
{
	uint8_t config[WR_PCI_EXT_CONFIG_SIZE];
	int len = wr_peek_config(host, port, config, sizeof(config));
	struct wr_acs_verdict verdict;
	struct wr_acs acs = { 0 };

	wr_facts_acs(host, port, config, len > 0 ? (size_t)len : 0, &acs);
	if (acs.config != WR_CONFIG_READ)
		return WR_PORT_UNREAD;
	if (!acs.express || acs.type == WR_EXPRESS_TO_PCI)
		return WR_PORT_CONVENTIONAL;
	if (acs.type != WR_EXPRESS_DOWNSTREAM)
		return WR_PORT_OTHER;
	verdict = wr_acs_verdict(&acs);
	if (verdict.isolates)
		return WR_PORT_OTHER;
	return verdict.reason == WR_ACS_BITS ? WR_PORT_ACS_OFF : WR_PORT_NO_ACS;
}

unsigned char *wr_find_ports(const struct weir_host *host)
{
	unsigned char *found = calloc((size_t)host->count + 1, sizeof(*found));

	for (int i = 0; found && i < host->count; i++)
		if (wr_has_bridge_class(&host->functions[i]))
			found[i] = (unsigned char)find_port(host, &host->functions[i]);
	return found;
}

static void report_unread(struct wr_exam *exam, const struct weir_host_function *port)
{
	bool asleep = weir_host_is_asleep(exam->host, port);
	char file[WR_LINE_MAX];

	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/config", port->address);
	if (!asleep)
		wr_cure(exam, "run it as root");
	wr_report(exam, WEIR_HOST_NOTE, file, "whether it is behind a switch's port without ACS "
		  "can't be told: %s %s", port->address, asleep ?
		  "sleeps, and isn't woken for that" : "shows no capabilities to who called this");
}

static void check_switch(struct wr_exam *exam)
{
	const struct weir_host_function *port = exam->fn, *unread = NULL;
	char file[WR_LINE_MAX];
	enum wr_port kind;

	/* Links of a damaged tree may lead in a circle. */
	for (int depth = 0; depth < 64 && (port = weir_host_parent(exam->host, port)); depth++) {
		kind = port_of(exam, port);
		/* No port of a switch is on a root bus. */
		if (kind == WR_PORT_UNREAD && !unread && weir_host_parent(exam->host, port))
			unread = port;
		if (kind != WR_PORT_NO_ACS && kind != WR_PORT_ACS_OFF)
			continue;
		snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/config", port->address);
		/* pci_enable_acs() in drivers/pci/pci.c */
		if (kind == WR_PORT_ACS_OFF)
			wr_cure(exam, "no 'pci=disable_acs_redir=' or 'pci=config_acs=' on the "
				"kernel's command line: else it switches ACS on with the IOMMU");
		wr_cure(exam, "another slot; 'weir groups --why %s'", exam->fn->address);
		wr_report(exam, WEIR_HOST_WARNING, file, "it is behind a switch whose port %s has "
			  "%s: devices below such ports can reach each other past the IOMMU, and "
			  "libvirt refuses to give them away other than by VFIO (\"is behind a "
			  "switch lacking ACS and cannot be assigned\")", port->address,
			  kind == WR_PORT_NO_ACS ? "no ACS" : "ACS, but not all of it on");
		return;
	}
	if (unread)
		report_unread(exam, unread);
}

const struct wr_check wr_checks_group[] = {
	{ { "iommu-group", true, WEIR_HOST_STOP, "is an IOMMU in front of the device?",
	    "/sys/bus/pci/devices/*/iommu_group " GROUP "/*/name" }, check_group },
	{ { "group-viable", true, WEIR_HOST_STOP,
	    "are other members of its group with the kernel's drivers?",
	    GROUP "/*/devices /sys/bus/pci/devices/*/driver" }, check_viable },
	{ { "group-bridge", true, WEIR_HOST_NOTE, "are there bridges in its group, which may stay?",
	    GROUP "/*/devices /sys/bus/pci/devices/*/{class,driver}" }, check_bridges },
	{ { "group-shared", true, WEIR_HOST_WARNING,
	    "does it share its group with devices of other slots?",
	    GROUP "/*/devices /sys/bus/pci/devices/*/config" }, check_shared },
	{ { "group-spaces", true, WEIR_HOST_NOTE,
	    "are there several devices in its group, for a guest with an IOMMU of its own?",
	    GROUP "/*/devices" }, check_spaces },
	{ { "switch-acs", true, WEIR_HOST_WARNING,
	    "is it below a switch's port whose ACS isn't there, or is off?",
	    "/sys/bus/pci/devices/*/config" }, check_switch },
	{ { "reserved-direct", true, WEIR_HOST_STOP,
	    "does the firmware itself have the device use memory?",
	    GROUP "/*/reserved_regions" }, check_direct },
	{ { "reserved-iova", true, WEIR_HOST_NOTE, "where can't IOVAs lie?",
	    GROUP "/*/reserved_regions" }, check_iova },
	{ .run = NULL },
};
