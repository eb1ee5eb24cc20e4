/* SPDX-License-Identifier: MIT */
/*
 * weir groups, on a machine that was described in public: a desktop whose accelerator card shares
 * its IOMMU group with the graphics card (the series "Setup KVM with PCIe passthrough", part 3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "out.h"
#include "weir.h"

#include <cmocka.h>
#include <json-c/json.h>

#include "machine.h"
#include "verb.h"

#define GROUP(n) .group = (n) + 1

static char *root;

static const struct machine_function desktop[] = {
	{ .path = "00:01.0", .kind = ROOT_PORT, .header = BRIDGE | MULTI, GROUP(1),
	  .revision = 0x0a, .vendor = 0x8086, .device = 0x1901, .driver = "pcieport" },
	{ .path = "00:01.1", .kind = ROOT_PORT, .header = BRIDGE | MULTI, GROUP(1),
	  .revision = 0x0a, .vendor = 0x8086, .device = 0x1905, .driver = "pcieport" },
	{ .path = "00:02.0", .kind = INTEGRATED, GROUP(2), .vendor = 0x8086, .device = 0x3e98,
	  .class_code = 0x038000, .driver = "i915" },
	{ .path = "00:12.0", .kind = PCI, GROUP(3), .revision = 0x10, .vendor = 0x8086,
	  .device = 0xa379, .class_code = 0x118000, .driver = "intel_pch_thermal" },
	{ .path = "00:14.0", .kind = PCI, GROUP(4), .revision = 0x10, .vendor = 0x8086,
	  .device = 0xa36d, .class_code = 0x0c0330, .driver = "xhci_hcd" },
	{ .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, GROUP(1), .vendor = 0x10ee,
	  .device = 0x5000, .class_code = 0x120000, .driver = "vfio-pci" },
	{ .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, GROUP(1), .vendor = 0x10ee,
	  .device = 0x5001, .class_code = 0x120000, .driver = "vfio-pci" },
	{ .path = "00:01.1/02:00.0", .kind = LEGACY, .header = MULTI, GROUP(1), .revision = 0xa1,
	  .vendor = 0x10de, .device = 0x2489, .class_code = 0x030000, .driver = "nvidia" },
	{ .path = "00:01.1/02:00.1", .kind = ENDPOINT, .header = MULTI, GROUP(1), .revision = 0xa1,
	  .vendor = 0x10de, .device = 0x228b, .class_code = 0x040300,
	  .driver = "snd_hda_intel" },
};

/* What that machine's pci.ids knew of them. */
static const char pci_ids[] =
	"10de  NVIDIA Corporation\n"
	"10ee  Xilinx Corporation\n"
	"8086  Intel Corporation\n"
	"\t1901  Xeon E3-1200 v5/E3-1500 v5/6th Gen Core Processor PCIe Controller (x16)\n"
	"\t1905  Xeon E3-1200 v5/E3-1500 v5/6th Gen Core Processor PCIe Controller (x8)\n"
	"\t3e98  UHD Graphics 630 (Desktop 9 Series)\n"
	"\ta36d  Cannon Lake PCH USB 3.1 xHCI Host Controller\n"
	"\ta379  Cannon Lake PCH Thermal Controller\n"
	"C 03  Display controller\n"
	"\t00  VGA compatible controller\n"
	"\t80  Display controller\n"
	"C 04  Multimedia controller\n"
	"\t03  Audio device\n"
	"C 06  Bridge\n"
	"\t04  PCI bridge\n"
	"C 0c  Serial bus controller\n"
	"\t03  USB controller\n"
	"C 11  Signal processing controller\n"
	"\t80  Signal processing controller\n"
	"C 12  Processing accelerators\n"
	"\t00  Processing accelerators\n";

/* As it was printed there. */
static const char listing[] =
	"Group:  1   0000:00:01.0 PCI bridge [0604]: Intel Corporation Xeon E3-1200 v5/E3-1500 "
	"v5/6th Gen Core Processor PCIe Controller (x16) [8086:1901] (rev 0a)   Driver: pcieport\n"
	"Group:  1   0000:00:01.1 PCI bridge [0604]: Intel Corporation Xeon E3-1200 v5/E3-1500 "
	"v5/6th Gen Core Processor PCIe Controller (x8) [8086:1905] (rev 0a)   Driver: pcieport\n"
	"Group:  1   0000:01:00.0 Processing accelerators [1200]: Xilinx Corporation Device "
	"[10ee:5000]   Driver: vfio-pci\n"
	"Group:  1   0000:01:00.1 Processing accelerators [1200]: Xilinx Corporation Device "
	"[10ee:5001]   Driver: vfio-pci\n"
	"Group:  1   0000:02:00.0 VGA compatible controller [0300]: NVIDIA Corporation Device "
	"[10de:2489] (rev a1)   Driver: nvidia\n"
	"Group:  1   0000:02:00.1 Audio device [0403]: NVIDIA Corporation Device [10de:228b] (rev "
	"a1)   Driver: snd_hda_intel\n"
	"Group:  2   0000:00:02.0 Display controller [0380]: Intel Corporation UHD Graphics 630 "
	"(Desktop 9 Series) [8086:3e98]   Driver: i915\n"
	"Group:  3   0000:00:12.0 Signal processing controller [1180]: Intel Corporation Cannon "
	"Lake PCH Thermal Controller [8086:a379] (rev 10)   Driver: intel_pch_thermal\n"
	"Group:  4   0000:00:14.0 USB controller [0c03]: Intel Corporation Cannon Lake PCH USB 3.1 "
	"xHCI Host Controller [8086:a36d] (rev 10)   Driver: xhci_hcd\n";

static int open_desktop(void **state)
{
	(void)state;
	root = tree_new();
	machine_build(root, desktop, ARRAY_SIZE(desktop));
	tree_text(root, "usr/share/misc/pci.ids", pci_ids);
	return 0;
}

static int free_desktop(void **state)
{
	(void)state;
	tree_free(root);
	return 0;
}

#define GROUPS(...) run(cmd_groups, "groups", "--root", root, __VA_ARGS__, NULL)

static void assert_said(const struct outcome *outcome, int status, const char *text)
{
	assert_int_equal(outcome->status, status);
	assert_string_equal(outcome->err, "");
	assert_string_equal(outcome->out, text);
}

static void assert_part(const struct outcome *outcome, const char *part)
{
	if (!strstr(outcome->out, part))
		fail_msg("'%s' isn't in: %s", part, outcome->out);
}

static void test_bad_input(void **state)
{
	struct outcome outcome;

	(void)state;
	outcome = GROUPS("seven");
	assert_complaint(&outcome, "'seven' isn't a group's number or a function's address");
	outcome = GROUPS("09:00.0");
	assert_complaint(&outcome, "no such PCI function");
	machine_add(root, &(struct machine_function){ .path = "00:1f.0", .kind = PCI });
	outcome = GROUPS("00:1f.0");
	assert_complaint(&outcome, "0000:00:1f.0 is in no group");
	outcome = GROUPS("7");
	assert_complaint(&outcome, "there is no group 7");
	outcome = GROUPS("99999999999999999999");
	assert_complaint(&outcome, "isn't a group's number");
	outcome = GROUPS("--plain", "--json");
	assert_complaint(&outcome, "--plain");
	outcome = GROUPS("--why", "0000:09:00.0");
	assert_complaint(&outcome, "no such PCI function");
	outcome = GROUPS("--why", "01:00.0", "1");
	assert_complaint(&outcome, "--why is about the group of its function");
	outcome = GROUPS("--why", "nonsense");
	assert_complaint(&outcome, "nonsense");
	outcome = GROUPS("--what-if", "miracle");
	assert_complaint(&outcome, "acs=, config_acs= or move=");
	outcome = GROUPS("--what-if", "pcie_acs_override=downstream");
	assert_complaint(&outcome, "what pcie_acs_override= takes is acs= here");
	outcome = GROUPS("--what-if", "acs=downstream,");
	assert_complaint(&outcome, "PCI address");
	outcome = GROUPS("--what-if", "acs=");
	assert_complaint(&outcome, "PCI address");
	outcome = GROUPS("--what-if", "acs=downstream,upstream");
	assert_complaint(&outcome, "'upstream'");
	outcome = GROUPS("--what-if", "acs=upstream");
	assert_complaint(&outcome, "upstream");
	outcome = GROUPS("--what-if", "config_acs=@00:01.0");
	assert_complaint(&outcome, "FLAGS@BDF");
	outcome = GROUPS("--what-if", "config_acs=11111111@00:01.0");
	assert_complaint(&outcome, "FLAGS@BDF");
	outcome = GROUPS("--what-if", "config_acs=12@00:01.0");
	assert_complaint(&outcome, "FLAGS@BDF");
	outcome = GROUPS("--what-if", "config_acs=1@00:01.0");
	assert_complaint(&outcome, "no ACS capability");
	outcome = GROUPS("--what-if", "move=01:00.0");
	assert_complaint(&outcome, "BDF@PORT");
	outcome = GROUPS("--what-if", "move=01:00.0@00:01.1");
	assert_complaint(&outcome, "0000:02:00.0 is there");
}

static void test_plain(void **state)
{
	struct outcome outcome = GROUPS("--plain");

	(void)state;
	assert_said(&outcome, EXIT_YES, listing);
	outcome = GROUPS("--plain", "4", "3");
	assert_said(&outcome, EXIT_YES, strstr(listing, "Group:  3"));
	outcome = GROUPS("--plain", "00:14.0", "0000:00:12.0", "4");
	assert_said(&outcome, EXIT_YES, strstr(listing, "Group:  3"));
	/* No driver, and a number of two digits. */
	machine_add(root, &(struct machine_function){ .path = "00:1f.0", .kind = PCI, GROUP(12),
						      .vendor = 0x8086, .device = 0xffff });
	outcome = GROUPS("--plain", "12");
	assert_said(&outcome, EXIT_YES, "Group:  12  0000:00:1f.0 Class [00ff]: Intel Corporation "
		    "Device [8086:ffff]\n");
}

/* Another machine's names come from its file, but not from what that leads to elsewhere. */
static void test_names(void **state)
{
	char path[256], *elsewhere = tree_new();
	struct outcome outcome;

	(void)state;
	tree_text(root, "inside", "10ee  Somebody here\n");
	tree_link(root, "usr/share/misc/pci.ids", "../../../inside");
	outcome = GROUPS("--plain", "1");
	assert_part(&outcome, "Somebody here");
	tree_text(elsewhere, "share/misc/pci.ids", "10ee  Somebody else\n");
	snprintf(path, sizeof(path), "%s/share/misc/pci.ids", elsewhere);
	tree_link(root, "usr/share/misc/pci.ids", path);
	outcome = GROUPS("--plain", "1");
	assert_int_equal(outcome.status, EXIT_YES);
	assert_null(strstr(outcome.out, "Somebody"));
	tree_remove(root, "usr");
	tree_link(root, "usr", elsewhere);
	outcome = GROUPS("--plain", "1");
	assert_null(strstr(outcome.out, "Somebody"));
	tree_remove(root, "usr");
	tree_free(elsewhere);
	tree_text(root, "usr/share/misc/pci.ids", "10ee  \033[31mred\n");
	outcome = GROUPS("--plain", "1");
	assert_null(strchr(outcome.out, '\033'));
	assert_part(&outcome, "?[31mred");
}

static void test_tree(void **state)
{
	struct outcome outcome = GROUPS("1", "2");

	(void)state;
	assert_int_equal(outcome.status, EXIT_YES);
	assert_part(&outcome, "1 DMA-FQ");
	assert_part(&outcome, "kept by 0000:02:00.0: nvidia");
	assert_part(&outcome, "0000:01:00.1");
	assert_part(&outcome, "kept by 0000:00:02.0: i915");
	assert_null(strstr(outcome.out, "xhci_hcd"));
	tree_attr_link(root, "0000:02:00.0", "driver", "../../../bus/pci/drivers/vfio-pci");
	tree_attr_link(root, "0000:02:00.1", "driver", "../../../bus/pci/drivers/vfio-pci");
	tree_attr(root, "0000:02:00.0", "reset_method", "flr bus\n");
	outcome = GROUPS("1");
	assert_part(&outcome, "given away");
	assert_part(&outcome, "flr bus");
	tree_remove(root, "sys/bus/pci/devices/0000:02:00.1/driver");
	outcome = GROUPS("1");
	assert_part(&outcome, "can be given away");
}

/* As on older kernels of POWER; no-IOMMU mode's groups are the one sort that needs no IOMMU. */
static void test_no_rules(void **state)
{
	static const struct machine_function alone = { .path = "00:01.0", .kind = ENDPOINT,
						       .group = 5 };
	struct outcome outcome;

	(void)state;
	tree_remove(root, "sys");
	machine_add(root, &alone);
	tree_remove(root, "sys/class/iommu");
	tree_remove(root, "sys/bus/pci/devices/0000:00:01.0/iommu");
	outcome = GROUPS("--check");
	assert_complaint(&outcome, "0000:00:01.0 is in IOMMU group 4, and no IOMMU shows in ");
	outcome = GROUPS("--why", "00:01.0");
	assert_complaint(&outcome, "weir can't compute it");
	tree_text(root, "sys/kernel/iommu_groups/4/name", "vfio-noiommu\n");
	outcome = GROUPS("--why", "00:01.0");
	assert_part(&outcome, "The IOMMU is off");
	assert_part(&outcome, "0000:00:01.0 would be in group 0: 0000:00:01.0\n");
	tree_text(root, "sys/kernel/iommu_groups/4/name", "mine\n");
	tree_attr_link(root, "0000:00:01.0", "iommu", "../iommu-phb0000");
	outcome = GROUPS("--why", "00:01.0");
	assert_complaint(&outcome, "(iommu-phb0000) aren't made by the rules of PCI");
}

static void test_no_groups(void **state)
{
	static const struct machine_function alone = { .path = "00:01.0", .kind = ENDPOINT };
	/* AMD's is a function as well, that has no group with the IOMMU on either. */
	static const struct machine_function iommu = { .path = "00:00.2", .kind = PCI,
						      .class_code = 0x080600 };
	struct outcome outcome;

	(void)state;
	tree_remove(root, "sys");
	machine_add(root, &alone);
	outcome = run(cmd_groups, "groups", "--root", root, NULL);
	assert_said(&outcome, EXIT_YES,
		    "There are no IOMMU groups: the IOMMU is off, or there is none.\n");
	outcome = GROUPS("--plain");
	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.out, "");
	assert_string_equal(outcome.err, "weir: There are no IOMMU groups: the IOMMU is off, or "
			    "there is none.\n");
	outcome = GROUPS("--check");
	assert_complaint(&outcome, "no groups to compare with");
	outcome = GROUPS("--why", "00:01.0");
	assert_part(&outcome, "The IOMMU is off");
	assert_part(&outcome, "0000:00:01.0 would be in group 0: 0000:00:01.0\n");
	machine_add(root, &iommu);
	outcome = GROUPS("--why", "00:01.0");
	assert_part(&outcome, "0000:00:01.0 would be in group 0: 0000:00:01.0\n");
	assert_null(strstr(outcome.out, "The kernel's group"));
}

/* The question of that series: why does the card share its group, and through which ports? */
static void test_why(void **state)
{
	struct outcome outcome = GROUPS("--why", "0000:01:00.0");

	(void)state;
	assert_said(&outcome, EXIT_YES,
		    "0000:01:00.0 is in group 1: 0000:00:01.0 0000:00:01.1 0000:01:00.0 "
		    "0000:01:00.1 0000:02:00.0 0000:02:00.1\n"
		    "0000:01:00.0 and 0000:01:00.1: they are behind 0000:00:01.0, a root port "
		    "which has no ACS capability.\n"
		    "0000:00:01.1 and 0000:00:01.0: they are functions of one device, which aren't "
		    "kept apart, since 0000:00:01.0 has no ACS capability.\n"
		    "0000:02:00.0 and 0000:02:00.1: they are behind 0000:00:01.1, a root port "
		    "which has no ACS capability.\n");
	outcome = GROUPS("--why", "00:02.0");
	assert_part(&outcome, "0000:00:02.0 is alone in its group");
}

/* And what comes of the patch that it goes on to use. */
static void test_what_if(void **state)
{
	struct outcome outcome = GROUPS("--what-if", "acs=downstream");

	(void)state;
	assert_int_equal(outcome.status, EXIT_YES);
	assert_part(&outcome, "  1    0 0000:00:01.0");
	assert_part(&outcome, "  1    5 0000:01:00.1");
	assert_part(&outcome, "  1    6 0000:02:00.1");
	assert_part(&outcome, "\n\nTHEN is numbered anew: its groups aren't those of the same "
		    "numbers in NOW.\n\nThis isolation is only pretended.");
	assert_part(&outcome, "    5: 0000:01:00.0 0000:01:00.1\n"
			      "    6: 0000:02:00.0 0000:02:00.1\n");
	assert_null(strstr(outcome.out, "i915"));
	outcome = GROUPS("--what-if", "acs=multifunction");
	assert_said(&outcome, EXIT_YES, "No group changes.\n");
	outcome = GROUPS("--what-if", "acs=downstream,multifunction,00:02.0");
	assert_part(&outcome, "  1    5 0000:01:00.0");
	assert_part(&outcome, "  1    6 0000:01:00.1");
}

/* The answer, its price and its doubts are about the groups that were asked for. */
static void test_what_if_of_some(void **state)
{
	struct outcome outcome = GROUPS("--what-if", "acs=downstream", "1");

	(void)state;
	assert_part(&outcome, "  1    5 0000:01:00.1");
	assert_part(&outcome, "This isolation is only pretended.");
	outcome = GROUPS("--what-if", "acs=downstream", "2");
	assert_said(&outcome, EXIT_YES, "Group 2 doesn't change; others do.\n");
	outcome = GROUPS("--what-if", "acs=downstream", "2", "3");
	assert_said(&outcome, EXIT_YES, "No group changes of those asked for; others do.\n");
	outcome = GROUPS("--what-if", "acs=multifunction", "2");
	assert_said(&outcome, EXIT_YES, "Group 2 doesn't change.\n");
	outcome = GROUPS("--why", "00:02.0", "--what-if", "acs=downstream");
	assert_int_equal(outcome.status, EXIT_YES);
	assert_null(strstr(outcome.out, "pretended"));
	tree_remove(root, "sys/bus/pci/devices/0000:00:01.1/config");
	outcome = GROUPS("--what-if", "acs=00:01.0", "2");
	assert_said(&outcome, EXIT_YES, "Group 2 doesn't change; others do.\n");
	outcome = GROUPS("--what-if", "acs=00:01.0", "1");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
}

/* The last of the flags is bit 0, as on the kernel's command line. */
static void test_flags(void **state)
{
	struct outcome outcome;

	(void)state;
	machine_add(root, &(struct machine_function){ .path = "00:1c.0", .kind = ROOT_PORT,
						      GROUP(7), .header = BRIDGE,
						      .cap = ALL_ACS });
	machine_add(root, &(struct machine_function){ .path = "00:1c.0/07:00.0", .kind = ENDPOINT,
						      GROUP(7) });
	outcome = GROUPS("--what-if", "config_acs=0011101@00:1c.0");
	assert_part(&outcome, "0000:07:00.0");
	assert_null(strstr(outcome.out, "pretended"));
	outcome = GROUPS("--what-if", "config_acs=1011100@00:1c.0");
	assert_said(&outcome, EXIT_YES, "No group changes.\n");
}

/* The groups that a kernel with the patch makes then. */
static void override_acs(void)
{
	for (size_t i = 5; i < ARRAY_SIZE(desktop); i++) {
		char target[64];

		snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d",
			 i < 7 ? 13 : 14);
		tree_attr_link(root, machine_address(strchr(desktop[i].path, '/') + 1),
			       "iommu_group", target);
	}
	tree_text(root, "proc/cmdline", "quiet intel_iommu=on pcie_acs_override=downstream\n");
}

/* After that: the kernel pretends, and the computation doesn't. */
static void test_pretended(void **state)
{
	struct outcome outcome;
	char cmdline[10000];

	(void)state;
	override_acs();
	outcome = GROUPS("--check");
	assert_int_equal(outcome.status, EXIT_NO);
	assert_part(&outcome, "\nCOMPUTED is numbered anew: ");
	assert_part(&outcome, "\nThe kernel was started with pcie_acs_override=downstream: what is "
		    "apart in NOW and\ntogether in COMPUTED only pretends to be isolated.\n");
	outcome = GROUPS("13");
	assert_int_equal(outcome.status, EXIT_YES);
	assert_part(&outcome, "\n\nThe kernel was started with pcie_acs_override=downstream:\n"
		    "'weir groups --check' shows which groups, if any, it only pretends.\n");
	outcome = GROUPS("--why", "01:00.0");
	assert_part(&outcome, "0000:01:00.0 is in group 13: 0000:01:00.0 0000:01:00.1\nAs weir "
			      "computes it, its group would be: 0000:00:01.0 0000:00:01.1 ");
	assert_part(&outcome, "pcie_acs_override=downstream: with the ACS override patch it "
			      "pretends");
	outcome = GROUPS("--check", "--what-if", "acs=downstream");
	assert_int_equal(outcome.status, EXIT_NO);	/* the ports, one from another, are left */
	/* As the kernel spells it, and however long the line is. */
	snprintf(cmdline, sizeof(cmdline), "%09000d pcie-acs-override=multifunction\n", 0);
	tree_text(root, "proc/cmdline", cmdline);
	outcome = GROUPS("--why", "01:00.0");
	assert_part(&outcome, "pcie_acs_override=multifunction: with the ACS override patch");
}

/* What is assumed comes on top of what the kernel pretends already. */
static void test_what_if_pretended(void **state)
{
	static const char made_real[] =
		"The isolation of these is pretended now, and would be real then:\n"
		"  0000:01:00.0\n  0000:01:00.1\n";
	struct outcome outcome;

	(void)state;
	override_acs();
	/* As the patch has it, ports that are functions of one device are apart, too. */
	tree_attr_link(root, "0000:00:01.1", "iommu_group", "../../../../kernel/iommu_groups/15");
	machine_add(root, &(struct machine_function){ .path = "00:1c.0", .kind = ROOT_PORT,
						      GROUP(7), .header = BRIDGE,
						      .cap = ALL_ACS, .ctrl = ALL_ACS });
	outcome = GROUPS("--what-if", "move=01:00.0@00:1c.0");
	assert_int_equal(outcome.status, EXIT_YES);
	assert_ptr_equal(strstr(outcome.out, "The kernel was started with "
				"pcie_acs_override=downstream; THEN is with it, too.\n"
				"No group changes.\n"), outcome.out);
	assert_part(&outcome, made_real);
	assert_part(&outcome, "    0: 0000:00:01.0\n    1: 0000:00:01.1\n");
	outcome = GROUPS("--what-if", "acs=downstream");
	assert_part(&outcome, "No group changes.\n");
	assert_null(strstr(outcome.out, made_real));
	outcome = GROUPS("--why", "01:00.0", "--what-if", "move=01:00.0@00:1c.0");
	assert_null(strstr(outcome.out, "what is told here isn't so"));
	tree_remove(root, "proc/cmdline");
	tree_folder(root, "proc/cmdline");
	outcome = GROUPS("--what-if", "acs=downstream");
	assert_complaint(&outcome, "proc/cmdline can't be read");
	outcome = run(cmd_groups, "groups", "--root", root, NULL);
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_non_null(strstr(outcome.err, "proc/cmdline can't be read"));
}

/* A kernel without the patch takes no notice of the option. */
static void test_override_ignored(void **state)
{
	struct outcome outcome;

	(void)state;
	tree_text(root, "proc/cmdline", "pcie_acs_override=downstream\n");
	outcome = GROUPS("--what-if", "acs=downstream");
	assert_part(&outcome, "  1    5 0000:01:00.1");
	assert_null(strstr(outcome.out, "pcie_acs_override="));
	/* Nor is it why groups come together that are assumed to. */
	machine_add(root, &(struct machine_function){ .path = "00:1c.0", .kind = ROOT_PORT,
						      GROUP(7), .header = BRIDGE,
						      .cap = ALL_ACS, .ctrl = ALL_ACS });
	machine_add(root, &(struct machine_function){ .path = "00:1c.0/07:00.0", .kind = ENDPOINT,
						      GROUP(8) });
	machine_add(root, &(struct machine_function){ .path = "00:1d.0", .kind = ROOT_PORT,
						      GROUP(9), .header = BRIDGE });
	outcome = GROUPS("--why", "07:00.0", "--what-if", "move=07:00.0@00:1d.0");
	assert_part(&outcome, "0000:07:00.0 would be in group 5: 0000:00:1d.0 0000:07:00.0\n");
	assert_null(strstr(outcome.out, "pcie_acs_override="));
	outcome = GROUPS("--check");
	assert_said(&outcome, EXIT_YES, "The groups are as weir computes them.\n");
}

/* ACS that came too late: the kernel doesn't go back on a group. */
static void test_late(void **state)
{
	struct outcome outcome;

	(void)state;
	tree_attr_link(root, "0000:00:12.0", "iommu_group", "../../../../kernel/iommu_groups/4");
	outcome = GROUPS("--why", "00:14.0");
	assert_part(&outcome, "0000:00:14.0 is in group 4: 0000:00:12.0 0000:00:14.0\n");
	assert_part(&outcome, "The kernel's group 4 has more members");
	outcome = GROUPS("--why", "01:00.0");
	assert_null(strstr(outcome.out, "The kernel's group"));
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(object, key, &value));
	return value;
}

static void test_json(void **state)
{
	struct outcome outcome = GROUPS("--check", "--json", "1");
	struct json_object *answer = json_tokener_parse(outcome.out), *group, *fn, *list;

	(void)state;
	assert_int_equal(outcome.status, EXIT_YES);
	assert_int_equal(json_object_array_length(member(answer, "groups")), 1);
	group = json_object_array_get_idx(member(answer, "groups"), 0);
	assert_int_equal(json_object_get_int(member(group, "group")), 1);
	assert_string_equal(json_object_get_string(member(group, "type")), "DMA-FQ");
	assert_false(json_object_get_boolean(member(group, "viable")));
	assert_string_equal(json_object_get_string(member(group, "in_the_way")), "0000:02:00.0");
	assert_int_equal(json_object_array_length(member(group, "functions")), 6);
	fn = json_object_array_get_idx(member(group, "functions"), 0);
	assert_string_equal(json_object_get_string(member(fn, "role")), "harmless");
	list = member(answer, "computed");
	assert_int_equal(json_object_array_length(list), ARRAY_SIZE(desktop));
	for (size_t i = 0; i < ARRAY_SIZE(desktop); i++) {
		fn = json_object_array_get_idx(list, i);
		assert_true(json_object_get_boolean(member(fn, "agrees")));
		assert_false(json_object_get_boolean(member(fn, "unsure")));
		assert_string_equal(json_object_get_string(member(fn, "config")), "read");
	}
	json_object_put(answer);
	outcome = GROUPS("--json", "--why", "01:00.0");
	answer = json_tokener_parse(outcome.out);
	assert_int_equal(json_object_array_length(member(answer, "why")), 3);
	json_object_put(answer);
}

/* What can't be read is said, and --check doesn't know then. */
static void test_unread(void **state)
{
	struct outcome outcome;

	(void)state;
	tree_remove(root, "sys/bus/pci/devices/0000:00:01.1/config");
	tree_attr(root, "0000:00:01.0", "power_state", "D3cold\n");
	outcome = GROUPS("--check");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_part(&outcome, "Of 6 functions this isn't sure:\n  0000:00:01.0\n");
	assert_part(&outcome, "The config space of 1 wasn't captured: capture it as root.");
	assert_part(&outcome, "--wake reads it.");
}

/* Config space as users without privilege see it. */
static void cut_config(const struct machine_function *functions, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *slash = strrchr(functions[i].path, '/');
		const char *bdf = slash ? slash + 1 : functions[i].path;
		uint8_t bytes[64] = { [0x0e] = functions[i].header };
		char path[128];

		snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", machine_address(bdf));
		tree_bytes(root, path, bytes, sizeof(bytes));
	}
}

/* What is shown is what the assumption changes, not what couldn't be read; and it isn't sure. */
static void test_unsure_what_if(void **state)
{
	static const struct machine_function chipset[] = {
		{ .path = "00:1c.0", .kind = ROOT_PORT, GROUP(7), .header = BRIDGE },
		{ .path = "00:1c.0/07:00.0", .kind = ENDPOINT, GROUP(7) },
		{ .path = "00:1d.0", .kind = ROOT_PORT, GROUP(9), .header = BRIDGE,
		  .cap = ALL_ACS, .ctrl = ALL_ACS },
		/* These are apart, which can't be seen any more. */
		{ .path = "00:1e.0", .kind = ROOT_PORT, GROUP(10), .header = BRIDGE },
		{ .path = "00:1e.0/09:00.0", .kind = ENDPOINT, GROUP(11) },
	};
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(chipset); i++)
		machine_add(root, &chipset[i]);
	cut_config(desktop, ARRAY_SIZE(desktop));
	cut_config(chipset + 3, 2);
	outcome = GROUPS("--what-if", "acs=multifunction");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_ptr_equal(strstr(outcome.out, "Of 8 functions this isn't sure:\n"), outcome.out);
	assert_null(strstr(outcome.out, " more\n"));
	assert_part(&outcome, "\nNo group is known to change.\n");
	assert_null(strstr(outcome.out, "THEN"));
	outcome = GROUPS("--what-if", "move=07:00.0@00:1d.0");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_part(&outcome, "NOW is computed from the same");
	assert_part(&outcome, " 0000:07:00.0");
	assert_null(strstr(outcome.out, " 0000:09:00.0 "));
	outcome = GROUPS("--what-if", "acs=downstream", "--json");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	outcome = GROUPS("--check");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_part(&outcome, "\nNo group is known to differ.\n");
	assert_null(strstr(outcome.out, "COMPUTED"));
	outcome = GROUPS("--why", "01:00.0");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_ptr_equal(strstr(outcome.out, "Of 6 functions this isn't sure:\n"), outcome.out);
	assert_part(&outcome, "since its config space wasn't captured, which takes root.\n");
	assert_null(strstr(outcome.out, "NOW"));
	outcome = GROUPS("--why", "00:1d.0");
	assert_int_equal(outcome.status, EXIT_YES);
	assert_null(strstr(outcome.out, "isn't sure"));
	cut_config(chipset, 2);
	outcome = GROUPS("--check");
	assert_part(&outcome, "Of 10 functions this isn't sure:\n");
	assert_part(&outcome, "\n  and 3 more\n");
}

/* Nor is an attribute blank that can't be read: it shows, and the first is said. */
static void test_unread_attributes(void **state)
{
	struct json_object *answer, *group;
	struct outcome outcome;

	(void)state;
	tree_attr(root, "0000:00:14.0", "reset_method", "\n");
	tree_folder(root, "sys/bus/pci/devices/0000:00:12.0/reset_method");
	outcome = run(cmd_groups, "groups", "--root", root, NULL);
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_string_equal(outcome.err, "weir: 0000:00:12.0: its reset methods (attribute "
			    "reset_method) can't be read: Is a directory\n");
	assert_part(&outcome, "intel_pch_thermal ?");
	assert_part(&outcome, "xhci_hcd          -");
	tree_remove(root, "sys/kernel/iommu_groups/3/type");
	tree_folder(root, "sys/kernel/iommu_groups/3/type");
	outcome = GROUPS("3");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_non_null(strstr(outcome.err, "iommu_groups/3/type can't be read: Is a directory\n"));
	assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
	assert_part(&outcome, "3 ?");
	outcome = GROUPS("--json", "3");
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	answer = json_tokener_parse(outcome.out);
	group = json_object_array_get_idx(member(answer, "groups"), 0);
	assert_null(member(group, "type"));
	assert_null(member(json_object_array_get_idx(member(group, "functions"), 0),
			   "reset_methods"));
	json_object_put(answer);
	/* Of the others there is nothing to say. */
	outcome = GROUPS("4");
	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.err, "");
	/* Whether the groups are the same was told. */
	outcome = GROUPS("--check", "--json");
	assert_int_equal(outcome.status, EXIT_YES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_desktop, free_desktop)
	static const struct CMUnitTest tests[] = {
		TEST(test_bad_input),
		TEST(test_plain),
		TEST(test_names),
		TEST(test_tree),
		TEST(test_no_rules),
		TEST(test_no_groups),
		TEST(test_why),
		TEST(test_what_if),
		TEST(test_what_if_of_some),
		TEST(test_flags),
		TEST(test_pretended),
		TEST(test_what_if_pretended),
		TEST(test_override_ignored),
		TEST(test_late),
		TEST(test_json),
		TEST(test_unread),
		TEST(test_unsure_what_if),
		TEST(test_unread_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
