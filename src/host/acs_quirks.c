/* SPDX-License-Identifier: MIT */
/*
 * What the kernel knows of devices beyond their registers, as of Linux 7.3: pci_dev_acs_enabled[]
 * and the fixups about requester ids in drivers/pci/quirks.c. Older kernels have fewer; since new
 * entries come to stable and distributions' kernels as well, a version number doesn't say which.
 */
#include "host/acs.h"

#define ONE(vendor, device, rule, name) { vendor, device, device, 1, rule, name }
#define SPAN(vendor, first, last, rule, name) { vendor, first, last, 1, rule, name }
#define EVEN(vendor, first, last, rule, name) { vendor, first, last, 2, rule, name }
#define ANY(vendor, rule, name) { vendor, 0, 0xffff, 1, rule, name }

const struct wr_acs_quirk wr_acs_quirks[] = {
	ONE(0x1002, 0x4385, WR_RULE_AMD_SB, "AMD SBx00 SMBus"),
	ONE(0x1002, 0x439c, WR_RULE_AMD_SB, "AMD SB7x0 to SB9x0 IDE"),
	ONE(0x1002, 0x4383, WR_RULE_AMD_SB, "AMD SBx00 audio"),
	ONE(0x1002, 0x439d, WR_RULE_AMD_SB, "AMD SB7x0 to SB9x0 LPC"),
	ONE(0x1002, 0x4384, WR_RULE_AMD_SB, "AMD SBx00 PCI bridge"),
	ONE(0x1002, 0x4399, WR_RULE_AMD_SB, "AMD SB7x0 to SB9x0 OHCI"),
	ONE(0x1022, 0x780f, WR_RULE_AMD_SB, "AMD FCH PCI bridge"),
	ONE(0x1022, 0x7809, WR_RULE_AMD_SB, "AMD FCH OHCI"),
	ONE(0x1924, 0x0903, WR_RULE_PEERLESS, "Solarflare"),
	ONE(0x1924, 0x0923, WR_RULE_PEERLESS, "Solarflare"),
	ONE(0x1924, 0x0a03, WR_RULE_PEERLESS, "Solarflare"),
	ONE(0x8086, 0x10c6, WR_RULE_PEERLESS, "Intel 82598"),
	ONE(0x8086, 0x10db, WR_RULE_PEERLESS, "Intel 82598"),
	ONE(0x8086, 0x10dd, WR_RULE_PEERLESS, "Intel 82598"),
	ONE(0x8086, 0x10e1, WR_RULE_PEERLESS, "Intel 82598"),
	ONE(0x8086, 0x10f1, WR_RULE_PEERLESS, "Intel 82598"),
	SPAN(0x8086, 0x10f7, 0x10fc, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x1507, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x1514, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x151c, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x1529, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x152a, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x154d, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x154f, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x1551, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x1558, WR_RULE_PEERLESS, "Intel 82599"),
	ONE(0x8086, 0x1509, WR_RULE_PEERLESS, "Intel 82580"),
	SPAN(0x8086, 0x150e, 0x1511, WR_RULE_PEERLESS, "Intel 82580"),
	ONE(0x8086, 0x1516, WR_RULE_PEERLESS, "Intel 82580"),
	ONE(0x8086, 0x1527, WR_RULE_PEERLESS, "Intel 82580"),
	ONE(0x8086, 0x10c9, WR_RULE_PEERLESS, "Intel 82576"),
	SPAN(0x8086, 0x10e6, 0x10e8, WR_RULE_PEERLESS, "Intel 82576"),
	ONE(0x8086, 0x150a, WR_RULE_PEERLESS, "Intel 82576"),
	ONE(0x8086, 0x150d, WR_RULE_PEERLESS, "Intel 82576"),
	ONE(0x8086, 0x1518, WR_RULE_PEERLESS, "Intel 82576"),
	ONE(0x8086, 0x1526, WR_RULE_PEERLESS, "Intel 82576"),
	ONE(0x8086, 0x10a7, WR_RULE_PEERLESS, "Intel 82575"),
	ONE(0x8086, 0x10a9, WR_RULE_PEERLESS, "Intel 82575"),
	ONE(0x8086, 0x10d6, WR_RULE_PEERLESS, "Intel 82575"),
	SPAN(0x8086, 0x1521, 0x1524, WR_RULE_PEERLESS, "Intel I350"),
	SPAN(0x8086, 0x105e, 0x1060, WR_RULE_PEERLESS, "Intel 82571"),
	ONE(0x8086, 0x10d9, WR_RULE_PEERLESS, "Intel 82571"),
	SPAN(0x8086, 0x15b7, 0x15b8, WR_RULE_PEERLESS, "Intel I219"),
	ANY(0x8086, WR_RULE_INTEGRATED, "Intel, integrated endpoints"),
	SPAN(0x17cb, 0x0400, 0x0401, WR_RULE_LIKE_ACS, "Qualcomm QDF2xxx"),
	ONE(0x17cb, 0x0115, WR_RULE_LIKE_ACS, "Qualcomm SA8775P"),
	ONE(0x17cb, 0x0111, WR_RULE_LIKE_ACS, "Qualcomm Hamoa"),
	ONE(0x17cb, 0x0120, WR_RULE_LIKE_ACS, "Qualcomm Glymur"),
	ONE(0x1dbf, 0x0401, WR_RULE_LIKE_ACS, "HXT SD4800"),
	SPAN(0x8086, 0x3b42, 0x3b51, WR_RULE_INTEL_PCH, "Intel Ibex Peak"),
	SPAN(0x8086, 0x1c10, 0x1c1f, WR_RULE_INTEL_PCH, "Intel Cougar Point"),
	SPAN(0x8086, 0x1e10, 0x1e1f, WR_RULE_INTEL_PCH, "Intel Panther Point"),
	SPAN(0x8086, 0x8c10, 0x8c1f, WR_RULE_INTEL_PCH, "Intel Lynx Point-H"),
	SPAN(0x8086, 0x9c10, 0x9c1b, WR_RULE_INTEL_PCH, "Intel Lynx Point-LP"),
	SPAN(0x8086, 0x9c90, 0x9c9b, WR_RULE_INTEL_PCH, "Intel Wildcat Point"),
	EVEN(0x8086, 0x1d10, 0x1d1e, WR_RULE_INTEL_PCH, "Intel Patsburg (X79)"),
	SPAN(0x8086, 0x8d10, 0x8d1e, WR_RULE_INTEL_PCH, "Intel Wellsburg (X99)"),
	EVEN(0x8086, 0x8c90, 0x8c9e, WR_RULE_INTEL_PCH, "Intel Lynx Point (9 series)"),
	SPAN(0x8086, 0xa110, 0xa11f, WR_RULE_INTEL_WIDE, "Intel Sunrise Point"),
	SPAN(0x8086, 0xa167, 0xa16a, WR_RULE_INTEL_WIDE, "Intel Sunrise Point"),
	SPAN(0x8086, 0xa290, 0xa29f, WR_RULE_INTEL_WIDE, "Intel Union Point"),
	SPAN(0x8086, 0xa2e7, 0xa2ee, WR_RULE_INTEL_WIDE, "Intel Union Point"),
	SPAN(0x8086, 0x9d10, 0x9d1b, WR_RULE_INTEL_WIDE, "Intel 7th and 8th generation mobile"),
	ONE(0x19a2, 0x0710, WR_RULE_PEERLESS, "Emulex BE3-R"),
	ONE(0x10df, 0x0720, WR_RULE_PEERLESS, "Emulex Skyhawk-R"),
	SPAN(0x177d, 0xa000, 0xa7ff, WR_RULE_ROOT_PORT, "Cavium ThunderX"),
	ONE(0x177d, 0xaf84, WR_RULE_ROOT_PORT, "Cavium ThunderX2"),
	ONE(0x177d, 0xb884, WR_RULE_ROOT_PORT, "Cavium ThunderX3"),
	ONE(0x177d, 0xa026, WR_RULE_PEERLESS, "Cavium"),
	ONE(0x177d, 0xa059, WR_RULE_PEERLESS, "Cavium"),
	ONE(0x177d, 0xa060, WR_RULE_PEERLESS, "Cavium"),
	ONE(0x10e8, 0xe004, WR_RULE_LIKE_ACS, "APM X-Gene"),
	SPAN(0x1def, 0xe005, 0xe00c, WR_RULE_LIKE_ACS, "Ampere"),
	ONE(0x14e4, 0x16d7, WR_RULE_PEERLESS, "Broadcom"),
	SPAN(0x14e4, 0x1750, 0x1752, WR_RULE_PEERLESS, "Broadcom"),
	SPAN(0x14e4, 0x1760, 0x1763, WR_RULE_PEERLESS, "Broadcom"),
	ONE(0x14e4, 0xd714, WR_RULE_LIKE_ACS, "Broadcom iProc"),
	ONE(0x0014, 0x3c09, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x3c19, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x3c29, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x7a09, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x7a19, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x7a29, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x7a39, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x7a49, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x7a59, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x0014, 0x7a69, WR_RULE_LIKE_ACS, "Loongson"),
	ONE(0x1c36, 0x0031, WR_RULE_ROOT_PORT, "Amazon Annapurna Labs"),
	ONE(0x1d17, 0x3038, WR_RULE_PEERLESS, "Zhaoxin"),
	ONE(0x1d17, 0x3104, WR_RULE_PEERLESS, "Zhaoxin"),
	ONE(0x1d17, 0x9083, WR_RULE_PEERLESS, "Zhaoxin"),
	SPAN(0x1957, 0x8d80, 0x8d83, WR_RULE_LIKE_ACS, "NXP LX2"),
	SPAN(0x1957, 0x8d88, 0x8d8b, WR_RULE_LIKE_ACS, "NXP LX2"),
	SPAN(0x1957, 0x8d90, 0x8d93, WR_RULE_LIKE_ACS, "NXP LX2"),
	SPAN(0x1957, 0x8d98, 0x8d9b, WR_RULE_LIKE_ACS, "NXP LX2"),
	SPAN(0x1957, 0x8da0, 0x8da1, WR_RULE_LIKE_ACS, "NXP LX2"),
	SPAN(0x1957, 0x8da8, 0x8da9, WR_RULE_LIKE_ACS, "NXP LX2"),
	SPAN(0x1957, 0x8db0, 0x8db1, WR_RULE_LIKE_ACS, "NXP LX2"),
	SPAN(0x1957, 0x8db8, 0x8db9, WR_RULE_LIKE_ACS, "NXP LX2"),
	SPAN(0x1d17, 0x0710, 0x071e, WR_RULE_PORT, "Zhaoxin"),
	ONE(0x1d17, 0x0721, WR_RULE_PORT, "Zhaoxin"),
	SPAN(0x1d17, 0x0723, 0x0752, WR_RULE_PORT, "Zhaoxin"),
	ANY(0x1d17, WR_RULE_PORT_NOT, "Zhaoxin, other ports"),
	SPAN(0x8088, 0x0100, 0x010f, WR_RULE_LIKE_ACS, "Wangxun EM"),
	ONE(0x8088, 0x1001, WR_RULE_LIKE_ACS, "Wangxun SP"),
	ONE(0x8088, 0x2001, WR_RULE_LIKE_ACS, "Wangxun SP"),
	ONE(0x8088, 0x5010, WR_RULE_LIKE_ACS, "Wangxun AML"),
	ONE(0x8088, 0x5025, WR_RULE_LIKE_ACS, "Wangxun AML"),
	ONE(0x8088, 0x5040, WR_RULE_LIKE_ACS, "Wangxun AML"),
	ONE(0x8088, 0x5110, WR_RULE_LIKE_ACS, "Wangxun AML"),
	ONE(0x8088, 0x5125, WR_RULE_LIKE_ACS, "Wangxun AML"),
	ONE(0x8088, 0x5140, WR_RULE_LIKE_ACS, "Wangxun AML"),
	ANY(0x8088, WR_RULE_NOT, "Wangxun, others"),
};

const size_t wr_acs_n_quirks = sizeof(wr_acs_quirks) / sizeof(wr_acs_quirks[0]);

#define DEVFN(slot, function) ((slot) << 3 | (function))
#define FUNCTION(vendor, device, function) \
	{ vendor, device, device, 0, WR_ALIAS_FUNCTION, function, 1 }
#define DEVFNS(vendor, device, from, count) \
	{ vendor, device, device, 0, WR_ALIAS_DEVFN, from, count }
#define BRIDGE(vendor, device, rule) { vendor, device, device, 0, rule, 0, 0 }
#define NTB(vendor, first, last) { vendor, first, last, 0, WR_ALIAS_UNKNOWN, 0, 0 }

/* All that fit apply. */
const struct wr_alias_quirk wr_alias_quirks[] = {
	/* Ricoh, Glenfly */
	FUNCTION(0x1180, 0xe832, 0),
	FUNCTION(0x1180, 0xe476, 0),
	FUNCTION(0x6766, 0x3d40, 0),
	FUNCTION(0x6766, 0x3d41, 0),
	/* SATA controllers by Marvell, and cards with them: HighPoint, JMicron, Lite-On */
	FUNCTION(0x1b4b, 0x9120, 1),
	FUNCTION(0x1b4b, 0x9123, 1),
	FUNCTION(0x1b4b, 0x9125, 1),
	FUNCTION(0x1b4b, 0x9128, 1),
	FUNCTION(0x1b4b, 0x9130, 1),
	FUNCTION(0x1b4b, 0x9170, 1),
	FUNCTION(0x1b4b, 0x9172, 1),
	FUNCTION(0x1b4b, 0x917a, 1),
	FUNCTION(0x1b4b, 0x9182, 1),
	FUNCTION(0x1b4b, 0x9183, 1),
	FUNCTION(0x1b4b, 0x91a0, 1),
	FUNCTION(0x1b4b, 0x9215, 1),
	FUNCTION(0x1b4b, 0x9220, 1),
	FUNCTION(0x1b4b, 0x9230, 1),
	FUNCTION(0x1b4b, 0x9235, 1),
	FUNCTION(0x1103, 0x0642, 1),
	FUNCTION(0x1103, 0x0645, 1),
	FUNCTION(0x197b, 0x2392, 1),
	FUNCTION(0x1c28, 0x0122, 1),
	/* Adaptec 3405 and 3805 */
	{ 0x9005, 0x0285, 0x0285, 0x02bb, WR_ALIAS_DEVFN, DEVFN(1, 0), 1 },
	{ 0x9005, 0x0285, 0x0285, 0x02bc, WR_ALIAS_DEVFN, DEVFN(1, 0), 1 },
	/* Intel MIC x200 */
	DEVFNS(0x8086, 0x2260, DEVFN(0x10, 0), 1),
	DEVFNS(0x8086, 0x2260, DEVFN(0x11, 0), 1),
	DEVFNS(0x8086, 0x2260, DEVFN(0x12, 3), 1),
	DEVFNS(0x8086, 0x2264, DEVFN(0x10, 0), 1),
	DEVFNS(0x8086, 0x2264, DEVFN(0x11, 0), 1),
	DEVFNS(0x8086, 0x2264, DEVFN(0x12, 3), 1),
	/* Intel VCA */
	{ 0x8086, 0x2954, 0x2956, 0, WR_ALIAS_SLOTS, 0, 5 },
	{ 0x8086, 0x2958, 0x295a, 0, WR_ALIAS_SLOTS, 0, 5 },
	/* PLX NTB */
	DEVFNS(0x10b5, 0x87b0, 0, 256),
	DEVFNS(0x10b5, 0x87b1, 0, 256),
	/* Switchtec NTB: in registers, behind a BAR */
	NTB(0x11f8, 0x4000, 0x4000),
	NTB(0x11f8, 0x4028, 0x4028),
	NTB(0x11f8, 0x4036, 0x4036),
	NTB(0x11f8, 0x4052, 0x4052),
	NTB(0x11f8, 0x4068, 0x4068),
	NTB(0x11f8, 0x4084, 0x4084),
	NTB(0x11f8, 0x4100, 0x4552),
	NTB(0x11f8, 0x5000, 0x5584),
	NTB(0x11f8, 0x8531, 0x8576),
	NTB(0x1055, 0x1001, 0x1006),
	NTB(0x1055, 0x1008, 0x1008),
	/* Broadcom and Cavium ThunderX2 */
	BRIDGE(0x14e4, 0x9000, WR_ALIAS_END),
	BRIDGE(0x14e4, 0x9084, WR_ALIAS_END),
	/* ASPEED AST1150 */
	BRIDGE(0x1a03, 0x1150, WR_ALIAS_NONE),
};

const size_t wr_alias_n_quirks = sizeof(wr_alias_quirks) / sizeof(wr_alias_quirks[0]);
