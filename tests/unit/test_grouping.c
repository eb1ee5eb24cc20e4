/* SPDX-License-Identifier: MIT */
/* IOMMU groups, computed: each rule of pci_device_group() on a machine that is built for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/groups.h>

#include "machine.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PORT	.kind = ROOT_PORT, .header = BRIDGE
#define SAFE	.cap = ALL_ACS, .ctrl = ALL_ACS

static char *root;

static int new_tree(void **state)
{
	(void)state;
	root = tree_new();
	return 0;
}

static int free_tree(void **state)
{
	(void)state;
	tree_free(root);
	return 0;
}

/* "00:01.0 01:00.0 | 00:02.0", with a '?' behind what isn't sure. */
static const char *text_of(const struct weir_host *host, const struct weir_host_computed *computed,
			   bool held)
{
	static char text[4096];
	const struct weir_host_function *fn;
	size_t len = 0;
	bool any = true;

	text[0] = '\0';
	for (int group = 0; any; group++) {
		any = false;
		for (unsigned int i = 0; (fn = weir_host_function(host, i)); i++) {
			struct weir_host_place place = weir_host_place(computed, fn);

			if ((held ? place.held : place.group) != group)
				continue;
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s",
						any ? " " : group ? " | " : "",
						strchr(fn->address, ':') + 1,
						place.unsure ? "?" : "");
			any = true;
		}
	}
	return text;
}

static void expect_assumed(const struct weir_host *host, const struct weir_host_compute_opts *opts,
			   const char *groups, const char *held)
{
	struct weir_host_computed *computed;

	if (weir_host_compute(host, opts, &computed) < 0)
		fail_msg("%s", weir_errmsg());
	assert_string_equal(text_of(host, computed, false), groups);
	assert_string_equal(text_of(host, computed, true), held);
	weir_host_computed_close(computed);
}

static struct weir_host *open_host(void)
{
	struct weir_host *host;

	if (weir_host_open(root, &host) < 0)
		fail_msg("%s", weir_errmsg());
	return host;
}

static void expect(const struct machine_function *functions, size_t n, const char *groups)
{
	struct weir_host *host;

	tree_remove(root, "sys");
	tree_folder(root, "sys/bus/pci/devices");
	machine_build(root, functions, n);
	host = open_host();
	expect_assumed(host, NULL, groups, groups);
	weir_host_close(host);
}

#define EXPECT(groups, ...)                                                                        \
	do {                                                                                       \
		const struct machine_function list_[] = { __VA_ARGS__ };                           \
		expect(list_, ARRAY_SIZE(list_), groups);                                          \
	} while (0)

/* With an IOMMU: then nothing is switched on that isn't, as it is without. */
#define ON	.group = 1

/* ---- ports ---- */

static void test_port(void **state)
{
	(void)state;
	EXPECT("00:01.0 01:00.0",
	       { .path = "00:01.0", PORT, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON });
	EXPECT("00:01.0 | 01:00.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON });
}

/* Each of the four bits is needed, if it is there; the others aren't. */
static void test_bits(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit < 7; bit++) {
		bool needed = 0x1d >> bit & 1;
		uint16_t off = (uint16_t)(0x7f & ~(1U << bit));

		EXPECT(needed ? "00:01.0 01:00.0" : "00:01.0 | 01:00.0",
		       { .path = "00:01.0", PORT, ON, .cap = 0x7f, .ctrl = off },
		       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON });
		EXPECT("00:01.0 | 01:00.0",
		       { .path = "00:01.0", PORT, ON, .cap = off, .ctrl = off },
		       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON });
	}
}

static void test_switch(void **state)
{
	(void)state;
	EXPECT("00:01.0 | 01:00.0 | 02:00.0 03:00.0 | 02:01.0 | 04:00.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = UPSTREAM, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0", .kind = DOWNSTREAM, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:01.0", .kind = DOWNSTREAM,
		 .header = BRIDGE, SAFE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0/03:00.0", .kind = ENDPOINT, ON },
	       { .path = "00:01.0/01:00.0/02:01.0/04:00.0", .kind = ENDPOINT, ON });
	/* A root port that doesn't isolate takes all that is below it. */
	EXPECT("00:01.0 01:00.0 02:00.0 02:01.0 03:00.0 04:00.0",
	       { .path = "00:01.0", PORT, ON },
	       { .path = "00:01.0/01:00.0", .kind = UPSTREAM, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0", .kind = DOWNSTREAM,
		 .header = BRIDGE, SAFE, ON },
	       { .path = "00:01.0/01:00.0/02:01.0", .kind = DOWNSTREAM,
		 .header = BRIDGE, SAFE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0/03:00.0", .kind = ENDPOINT, ON },
	       { .path = "00:01.0/01:00.0/02:01.0/04:00.0", .kind = ENDPOINT, ON });
}

/* set_pcie_port_type(): ports that can't be where they are go for endpoints. */
static void test_wrong_type(void **state)
{
	(void)state;
	EXPECT("00:01.0 | 01:00.0 | 02:00.0 | 03:00.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = DOWNSTREAM, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0", .kind = DOWNSTREAM,
		 .header = BRIDGE, SAFE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0/03:00.0", .kind = ENDPOINT, ON });
	EXPECT("00:01.0 | 01:00.0 | 02:00.0 | 03:00.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = UPSTREAM, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0", .kind = UPSTREAM, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0/03:00.0", .kind = ENDPOINT, ON });
	/* So that the next one isn't where it can't be. */
	EXPECT("00:01.0 | 01:00.0 | 02:00.0 | 03:00.0 04:00.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = DOWNSTREAM, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0", .kind = UPSTREAM, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0/03:00.0", .kind = DOWNSTREAM,
		 .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0/03:00.0/04:00.0", .kind = ENDPOINT, ON });
}

static void test_multifunction_ports(void **state)
{
	(void)state;
	EXPECT("00:01.0 00:01.1 01:00.0 02:00.0",
	       { .path = "00:01.0", .kind = ROOT_PORT, .header = BRIDGE | MULTI, ON },
	       { .path = "00:01.1", .kind = ROOT_PORT, .header = BRIDGE | MULTI, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON },
	       { .path = "00:01.1/02:00.0", .kind = ENDPOINT, ON });
	/* One of them isolates. */
	EXPECT("00:01.0 | 00:01.1 00:01.2 02:00.0 | 01:00.0",
	       { .path = "00:01.0", .kind = ROOT_PORT, .header = BRIDGE | MULTI, SAFE, ON },
	       { .path = "00:01.1", .kind = ROOT_PORT, .header = BRIDGE | MULTI, ON },
	       { .path = "00:01.2", .kind = ROOT_PORT, .header = BRIDGE | MULTI, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON },
	       { .path = "00:01.1/02:00.0", .kind = ENDPOINT, ON });
}

/* ---- endpoints ---- */

static void test_endpoints(void **state)
{
	(void)state;
	EXPECT("00:01.0 | 01:00.0 01:00.1",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, ON },
	       { .path = "00:01.0/01:00.1", .kind = LEGACY, .header = MULTI, ON });
	EXPECT("00:01.0 | 01:00.0 01:00.2 | 01:00.1",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, ON },
	       { .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, SAFE, ON },
	       { .path = "00:01.0/01:00.2", .kind = ENDPOINT, .header = MULTI, ON });
	/* The first says that it is alone, and isn't asked again. */
	EXPECT("00:01.0 | 01:00.0 | 01:00.1 01:00.2",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON },
	       { .path = "00:01.0/01:00.1", .kind = ENDPOINT, ON },
	       { .path = "00:01.0/01:00.2", .kind = ENDPOINT, ON });
	EXPECT("00:02.0 | 00:02.1 00:02.2",
	       { .path = "00:02.0", .kind = ENDPOINT, ON },
	       { .path = "00:02.1", .kind = ENDPOINT, ON },
	       { .path = "00:02.2", .kind = ENDPOINT, ON });
	/* ARI: the ninth function has the number of another slot, and the kernel takes it so. */
	EXPECT("00:01.0 | 01:00.0 01:00.1 | 01:01.0 01:01.1",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, ON },
	       { .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, ON },
	       { .path = "00:01.0/01:01.0", .kind = ENDPOINT, ON },
	       { .path = "00:01.0/01:01.1", .kind = ENDPOINT, ON });
	EXPECT("00:1f.0 00:1f.2 00:1f.3",
	       { .path = "00:1f.0", .kind = PCI, .header = MULTI, ON },
	       { .path = "00:1f.2", .kind = PCI, .header = MULTI, ON },
	       { .path = "00:1f.3", .kind = COLLECTOR, .header = MULTI, ON });
}

/* ---- conventional PCI ---- */

static void test_conventional(void **state)
{
	(void)state;
	EXPECT("00:01.0 | 01:00.0 02:00.0 02:01.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = TO_PCI, .header = BRIDGE, ON },
	       { .path = "00:01.0/01:00.0/02:00.0", .kind = PCI, ON },
	       { .path = "00:01.0/01:00.0/02:01.0", .kind = PCI, ON });
	EXPECT("00:1e.0 01:00.0 01:01.0 02:00.0 | 00:1f.0",
	       { .path = "00:1e.0", .kind = PCI, .header = BRIDGE, ON },
	       { .path = "00:1f.0", .kind = PCI, ON },
	       { .path = "00:1e.0/01:00.0", .kind = PCI, ON },
	       { .path = "00:1e.0/01:01.0", .kind = FROM_PCI, .header = BRIDGE, ON },
	       { .path = "00:1e.0/01:01.0/02:00.0", .kind = ENDPOINT, ON });
	/* Who shares with a bridge finds the others by its group, so that has to have one. */
	EXPECT("01:00.0 | 01:01.0",
	       { .path = "00:1e.0", .kind = PCI, .header = BRIDGE },
	       { .path = "00:1e.0/01:00.0", .kind = PCI, ON },
	       { .path = "00:1e.0/01:01.0", .kind = PCI, ON });
}

/* ---- VFs ---- */

static void test_vfs(void **state)
{
	(void)state;
	/* On the bus of their PF and on one that has no bridge. */
	EXPECT("00:01.0 | 01:00.0 01:00.1 | 01:10.0 | 01:10.1 | 02:10.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, ON },
	       { .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, ON },
	       { .path = "00:01.0/01:10.0", .kind = ENDPOINT, .pf = "01:00.0", ON },
	       { .path = "00:01.0/01:10.1", .kind = ENDPOINT, .header = MULTI, ON,
		 .pf = "01:00.0" },
	       { .path = "00:01.0/02:10.0", .kind = ENDPOINT, .pf = "01:00.0", ON });
	EXPECT("00:01.0 01:00.0 01:10.0 02:10.0",
	       { .path = "00:01.0", PORT, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON },
	       { .path = "00:01.0/01:10.0", .kind = ENDPOINT, .pf = "01:00.0", ON },
	       { .path = "00:01.0/02:10.0", .kind = ENDPOINT, .pf = "01:00.0", ON });
}

/* ---- ids that belong to others ---- */

static void test_aliases(void **state)
{
	(void)state;
	/* A SATA controller by Marvell whose DMA comes from function 1 of its slot. */
	EXPECT("00:01.0 | 01:00.0 01:00.1",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, SAFE, ON,
		 .vendor = 0x1b4b, .device = 0x9230 },
	       { .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, SAFE, ON });
	/* Ricoh: from function 0. */
	EXPECT("00:01.0 | 01:00.0 01:00.3 | 01:00.1",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, SAFE, ON },
	       { .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, SAFE, ON },
	       { .path = "00:01.0/01:00.3", .kind = ENDPOINT, .header = MULTI, SAFE, ON,
		 .vendor = 0x1180, .device = 0xe832 });
	/* PLX: from anywhere on the bus. Only from there. */
	EXPECT("00:01.0 00:02.0 00:1f.0 | 01:00.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:02.0", .kind = ENDPOINT, ON },
	       { .path = "00:1f.0", .kind = ENDPOINT, ON, .vendor = 0x10b5, .device = 0x87b0 },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON });
	/* Intel MIC x200, and VCA: from the first five functions of each slot. */
	EXPECT("00:02.0 00:10.0 00:12.3 | 00:10.1",
	       { .path = "00:02.0", .kind = ENDPOINT, ON, .vendor = 0x8086, .device = 0x2264 },
	       { .path = "00:10.0", .kind = ENDPOINT, ON },
	       { .path = "00:10.1", .kind = ENDPOINT, SAFE, ON },
	       { .path = "00:12.3", .kind = ENDPOINT, SAFE, ON });
	EXPECT("00:02.0 00:10.4 | 00:10.5",
	       { .path = "00:02.0", .kind = ENDPOINT, ON, .vendor = 0x8086, .device = 0x295a },
	       { .path = "00:10.4", .kind = ENDPOINT, SAFE, ON },
	       { .path = "00:10.5", .kind = ENDPOINT, SAFE, ON });
	/* What has no group itself leads to who isn't kept apart from it. */
	EXPECT("00:12.0 00:1f.0",
	       { .path = "00:12.0", .kind = ENDPOINT, .header = MULTI, ON },
	       { .path = "00:12.3", .kind = ENDPOINT, .header = MULTI },
	       { .path = "00:1f.0", .kind = ENDPOINT, ON, .vendor = 0x8086, .device = 0x2264 });
	/* Who shares with one that is known by another's id shares with that too. */
	EXPECT("00:01.0 | 01:00.0 01:00.1 01:00.2",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, ON,
		 .vendor = 0x1b4b, .device = 0x9230 },
	       { .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, SAFE, ON },
	       { .path = "00:01.0/01:00.2", .kind = ENDPOINT, .header = MULTI, ON });
}

/* Where Switchtec's NTB takes its ids from is behind a BAR. */
static void test_unknown_aliases(void **state)
{
	(void)state;
	EXPECT("00:02.0? | 00:1f.0?",
	       { .path = "00:02.0", .kind = ENDPOINT, ON },
	       { .path = "00:1f.0", .kind = ENDPOINT, ON, .vendor = 0x11f8, .device = 0x8531,
		 .class_code = 0x068000 });
	/* The switch itself has the same id. */
	EXPECT("00:02.0 | 00:1f.0",
	       { .path = "00:02.0", .kind = ENDPOINT, ON },
	       { .path = "00:1f.0", .kind = ENDPOINT, ON, .vendor = 0x11f8, .device = 0x8531,
		 .class_code = 0x060400 });
}

static void add_below_vmd(const char *address, const char *above)
{
	char path[256];

	snprintf(path, sizeof(path), "sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/%s%s", above,
		 address);
	tree_function_at(root, path);
	tree_attr_link(root, address, "iommu_group", "../../../../kernel/iommu_groups/0");
}

/* Behind a VMD all DMA is the VMD's. */
static void test_vmd(void **state)
{
	static const struct machine_function functions[] = {
		{ .path = "00:02.0", .kind = ENDPOINT, ON },
		{ .path = "00:0e.0", .kind = INTEGRATED, ON, .vendor = 0x8086, .device = 0x9a0b },
	};
	struct weir_host *host;

	(void)state;
	machine_build(root, functions, ARRAY_SIZE(functions));
	add_below_vmd("10000:e0:06.0", "");
	add_below_vmd("10000:e1:00.0", "10000:e0:06.0/");
	host = open_host();
	expect_assumed(host, NULL, "00:02.0 | 00:0e.0 e0:06.0 e1:00.0",
		       "00:02.0 | 00:0e.0 e0:06.0 e1:00.0");
	weir_host_close(host);
}

static void truncate_config(const char *address)
{
	static const uint8_t config[64] = { [0x0e] = 0x80 };
	char path[128];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", machine_address(address));
	tree_bytes(root, path, config, sizeof(config));
}

/* ---- in words ---- */

#define WHY_MAX 8192

static void keep(void *arg, const char *sentence)
{
	char *text = arg;

	strcat(strcat(text, sentence), ".\n");
}

static void why(const char *address, char text[WHY_MAX])
{
	struct weir_host *host = open_host();
	const struct weir_host_function *fn;
	struct weir_host_computed *computed;

	text[0] = '\0';
	assert_int_equal(weir_host_compute(host, NULL, &computed), 0);
	assert_int_equal(weir_host_find(host, address, &fn), 0);
	assert_int_equal(weir_host_why(computed, fn, keep, text), 0);
	weir_host_computed_close(computed);
	weir_host_close(host);
}

static void expect_why(const char *address, const char *part)
{
	char text[WHY_MAX];

	why(address, text);
	if (!strstr(text, part))
		fail_msg("'%s' isn't in: %s", part, text);
}

static void expect_no_advice(const char *address)
{
	char text[WHY_MAX];

	why(address, text);
	assert_null(strstr(text, "ports that isolate"));
}

static void test_why(void **state)
{
	static const struct machine_function functions[] = {
		{ .path = "00:01.0", PORT, .cap = ALL_ACS, .ctrl = 0x14, ON },
		{ .path = "00:02.0", .kind = TO_PCI, .header = BRIDGE, ON },
		{ .path = "00:03.0", .kind = TO_PCI, .header = BRIDGE, ON, .vendor = 0x1a03,
		  .device = 0x1150 },
		{ .path = "00:04.0", .kind = PCI, .header = BRIDGE, ON, .vendor = 0x14e4,
		  .device = 0x9084 },
		{ .path = "00:05.0", PORT, SAFE, ON },
		{ .path = "00:06.0", .kind = ENDPOINT },
		{ .path = "00:01.0/01:00.0", .kind = UPSTREAM, .header = BRIDGE, ON },
		{ .path = "00:02.0/02:00.0", .kind = PCI, ON },
		{ .path = "00:03.0/03:00.0", .kind = PCI, ON },
		{ .path = "00:04.0/04:00.0", .kind = PCI, ON },
		{ .path = "00:05.0/05:00.0", .kind = FROM_PCI, .header = BRIDGE, ON },
		{ .path = "00:05.0/05:00.0/06:00.0", .kind = ENDPOINT, ON },
		{ .path = "00:01.0/01:00.0/07:00.0", .kind = DOWNSTREAM, .header = BRIDGE, SAFE,
		  ON },
	};

	(void)state;
	machine_build(root, functions, ARRAY_SIZE(functions));
	expect_why("01:00.0", "behind 0000:00:01.0, a root port which has SV CR switched off");
	expect_why("07:00.0", "behind 0000:01:00.0, and between that and the root is 0000:00:01.0");
	expect_why("02:00.0", "the DMA arrives under the id of 0000:00:02.0, a bridge to");
	/* The kernel's list says of these that ids stay as they are. */
	expect_why("03:00.0", "behind 0000:00:03.0, a bridge to conventional PCI which is of");
	expect_why("04:00.0", "behind 0000:00:04.0, a conventional PCI bridge which is");
	expect_why("06:00.0", "the DMA arrives under the id of 0000:05:00.0, a bridge from");
	expect_why("05:00.0", "0000:06:00.0: the DMA arrives");
	expect_why("00:05.0", "0000:00:05.0 is alone in its group: it is on a root bus");
	expect_why("00:06.0", "is in no group");
	truncate_config("00:02.0");
	expect_why("02:00.0", "if 0000:00:02.0 is a conventional PCI bridge");
}

/* Where a device would be better, by what there is: ports that isolate, whose slot is empty. */
static void test_why_ports(void **state)
{
	static const char said[] = "ports that isolate and have nothing behind them: 0000:00:03.0, "
				   "0000:00:04.0; if there is a slot, try 'weir groups --what-if "
				   "move=0000:01:00.0@0000:00:03.0'.\n";
	static const struct machine_function functions[] = {
		{ .path = "00:01.0", PORT, ON },
		{ .path = "00:02.0", PORT, SAFE, ON },		/* taken */
		{ .path = "00:03.0", PORT, SAFE, ON },
		{ .path = "00:04.0", PORT, SAFE, ON },
		{ .path = "00:05.0", PORT, ON },		/* doesn't isolate */
		{ .path = "00:06.0", PORT, SAFE },		/* no IOMMU */
		{ .path = "00:07.0", PORT, ON },
		/* by the ids of the other, in a group with it */
		{ .path = "00:08.0", .kind = ENDPOINT, .header = MULTI, SAFE, ON,
		  .vendor = 0x1b4b, .device = 0x9230 },
		{ .path = "00:08.1", .kind = ROOT_PORT, .header = BRIDGE | MULTI, SAFE, ON },
		{ .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, ON },
		{ .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, ON },
		{ .path = "00:01.0/01:10.0", .kind = ENDPOINT, .pf = "01:00.0", ON },
		{ .path = "00:02.0/02:00.0", .kind = ENDPOINT, .header = MULTI, ON },
		{ .path = "00:02.0/02:00.1", .kind = ENDPOINT, .header = MULTI, ON },
		{ .path = "00:02.0/03:10.0", .kind = ENDPOINT, .pf = "02:00.0", ON },
		/* isolates, and what is above it doesn't */
		{ .path = "00:05.0/04:00.0", .kind = UPSTREAM, .header = BRIDGE, ON },
		{ .path = "00:05.0/04:00.0/05:00.0", .kind = DOWNSTREAM, .header = BRIDGE, SAFE,
		  ON },
	};

	(void)state;
	machine_build(root, functions, ARRAY_SIZE(functions));
	expect_why("01:00.0", said);
	/* A group of one device's own functions is as good as it gets; ports and VFs stay. */
	expect_no_advice("02:00.0");
	expect_no_advice("00:01.0");
	expect_no_advice("01:10.0");
	expect_no_advice("05:00.0");
	truncate_config("00:03.0");
	truncate_config("00:04.0");
	expect_no_advice("01:00.0");
}

/* ---- what the machine is ---- */

/* Buses are found port by port, whatever their numbers are: the first port's come first. */
static void test_order(void **state)
{
	(void)state;
	EXPECT("00:01.0 | 00:02.0 | 05:00.0 | 06:00.0 | 01:00.0 | 80:00.0",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:02.0", PORT, SAFE, ON },
	       { .path = "00:02.0/01:00.0", .kind = ENDPOINT, ON },
	       { .path = "00:01.0/05:00.0", .kind = UPSTREAM, .header = BRIDGE, SAFE, ON },
	       { .path = "00:01.0/05:00.0/06:00.0", .kind = DOWNSTREAM,
		 .header = BRIDGE, SAFE, ON },
	       { .path = "80:00.0", .kind = ENDPOINT, ON });
}

/* Without an IOMMU: as it were with it, which switches on what ACS there is. */
static void test_off(void **state)
{
	(void)state;
	EXPECT("00:01.0 | 00:02.0 02:00.0 | 01:00.0",
	       { .path = "00:01.0", PORT, .cap = ALL_ACS },
	       { .path = "00:02.0", PORT },
	       { .path = "00:03.0", .kind = PCI, .class_code = 0x080600 },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT },
	       { .path = "00:02.0/02:00.0", .kind = ENDPOINT });
}

/* What isn't behind the IOMMU has no group, and is no reason to share one. */
static void test_untranslated(void **state)
{
	(void)state;
	EXPECT("01:00.0 | 01:00.1",
	       { .path = "00:01.0", PORT, SAFE },
	       { .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, SAFE, ON },
	       { .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, ON },
	       { .path = "00:01.0/01:00.2", .kind = ENDPOINT, .header = MULTI });
}

/* ---- what can't be read ---- */

static void test_unread(void **state)
{
	static const struct machine_function functions[] = {
		{ .path = "00:01.0", PORT, SAFE, ON },
		{ .path = "00:02.0", .kind = ENDPOINT, ON },
		{ .path = "00:01.0/01:00.0", .kind = ENDPOINT, ON },
	};
	struct weir_host_computed *computed;
	struct weir_host *host;

	(void)state;
	machine_build(root, functions, ARRAY_SIZE(functions));
	truncate_config("00:01.0");
	host = open_host();
	expect_assumed(host, NULL, "00:01.0? 01:00.0? | 00:02.0", "00:01.0? 01:00.0? | 00:02.0");
	assert_int_equal(weir_host_compute(host, NULL, &computed), 0);
	assert_true(weir_host_place(computed, weir_host_function(host, 0)).unread);
	assert_false(weir_host_place(computed, weir_host_function(host, 1)).unread);
	weir_host_computed_close(computed);
	weir_host_close(host);
	/* Nothing at all, then ones, which is what a dead device answers. */
	tree_remove(root, "sys/bus/pci/devices/0000:00:01.0/config");
	host = open_host();
	expect_assumed(host, NULL, "00:01.0? 01:00.0? | 00:02.0", "00:01.0? 01:00.0? | 00:02.0");
	weir_host_close(host);
}

/* A bridge with the driver of PCI Express's ports is one, so that its id isn't that of others. */
static void test_unread_port(void **state)
{
	static const struct machine_function functions[] = {
		{ .path = "00:01.0", PORT, SAFE, ON, .driver = "pcieport" },
		{ .path = "00:02.0", .kind = PCI, .header = BRIDGE, ON },
		{ .path = "00:01.0/01:00.0", .kind = UPSTREAM, .header = BRIDGE, ON,
		  .driver = "pcieport" },
		{ .path = "00:01.0/01:00.0/03:00.0", .kind = ENDPOINT, ON },
		{ .path = "00:02.0/02:00.0", .kind = PCI, ON },
	};
	struct weir_host *host;

	(void)state;
	machine_build(root, functions, ARRAY_SIZE(functions));
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		const char *last = strrchr(functions[i].path, '/');

		truncate_config(last ? last + 1 : functions[i].path);
	}
	host = open_host();
	expect_assumed(host, NULL, "00:01.0? 01:00.0? 03:00.0? | 00:02.0? 02:00.0?",
		       "00:01.0? 01:00.0? 03:00.0? | 00:02.0? 02:00.0?");
	weir_host_close(host);
}

/* What sleeps stays asleep: its config space is read only when somebody wants that. */
static void test_asleep(void **state)
{
	static const struct machine_function functions[] = {
		{ .path = "00:01.0", PORT, SAFE, ON },
		{ .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, ON },
		{ .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, ON },
	};
	const struct weir_host_compute_opts wake = { .wake = true };
	struct weir_host_computed *computed;
	struct weir_host *host;

	(void)state;
	machine_build(root, functions, ARRAY_SIZE(functions));
	/* A bridge on a root bus can be read in D3hot; what is behind it can't without it. */
	tree_attr(root, "0000:00:01.0", "power/runtime_status", "suspended\n");
	tree_attr(root, "0000:00:01.0", "power_state", "D3hot\n");
	host = open_host();
	expect_assumed(host, NULL, "00:01.0 | 01:00.0? 01:00.1?",
		       "00:01.0 | 01:00.0? 01:00.1?");
	expect_assumed(host, &wake, "00:01.0 | 01:00.0 01:00.1", "00:01.0 | 01:00.0 01:00.1");
	assert_int_equal(weir_host_compute(host, NULL, &computed), 0);
	assert_false(weir_host_place(computed, weir_host_function(host, 0)).asleep);
	assert_true(weir_host_place(computed, weir_host_function(host, 1)).asleep);
	weir_host_computed_close(computed);
	weir_host_close(host);
	tree_attr(root, "0000:00:01.0", "power_state", "D3cold\n");
	host = open_host();
	expect_assumed(host, NULL, "00:01.0? 01:00.0? 01:00.1?", "00:01.0? 01:00.0? 01:00.1?");
	weir_host_close(host);
}

/* Trees that no kernel makes: bridges that aren't there, or lie in a ring. */
static void test_damaged(void **state)
{
	(void)state;
	EXPECT("00:01.0 | 01:00.0?",
	       { .path = "00:01.0", PORT, SAFE, ON },
	       { .path = "00:05.0/01:00.0", .kind = ENDPOINT, ON });
	EXPECT("01:00.0? | 02:00.0?",
	       { .path = "00:05.0/01:00.0", PORT, SAFE, ON },
	       { .path = "00:05.0/01:00.0/02:00.0", .kind = ENDPOINT, ON });
	EXPECT("01:00.0? | 02:00.0?",
	       { .path = "02:00.0/01:00.0", PORT, SAFE, ON },
	       { .path = "01:00.0/02:00.0", PORT, SAFE, ON });
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, new_tree, free_tree)
	static const struct CMUnitTest tests[] = {
		TEST(test_port),
		TEST(test_bits),
		TEST(test_switch),
		TEST(test_wrong_type),
		TEST(test_multifunction_ports),
		TEST(test_endpoints),
		TEST(test_conventional),
		TEST(test_vfs),
		TEST(test_aliases),
		TEST(test_unknown_aliases),
		TEST(test_vmd),
		TEST(test_why),
		TEST(test_why_ports),
		TEST(test_order),
		TEST(test_off),
		TEST(test_untranslated),
		TEST(test_unread),
		TEST(test_unread_port),
		TEST(test_asleep),
		TEST(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
