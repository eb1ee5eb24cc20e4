/* SPDX-License-Identifier: MIT */
/*
 * Access Control Services (PCI Express Base, sections 6.12 and 7.7.11): whether a function sends on
 * towards the root complex, where the IOMMU is, what could reach another device without it. That is
 * pci_acs_enabled() in the kernel's drivers/pci/pci.c for the four controls that IOMMU groups need,
 * with the quirks of drivers/pci/quirks.c as tables. Nothing here reads anything.
 */
#ifndef WR_HOST_ACS_H
#define WR_HOST_ACS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_ACS_SV	0x01	/* source validation */
#define WR_ACS_TB	0x02	/* translation blocking */
#define WR_ACS_RR	0x04	/* P2P request redirect */
#define WR_ACS_CR	0x08	/* P2P completion redirect */
#define WR_ACS_UF	0x10	/* upstream forwarding */
#define WR_ACS_EC	0x20	/* P2P egress control */
#define WR_ACS_DT	0x40	/* direct translated P2P */
#define WR_ACS_ALL	0x7f

/* REQ_ACS_FLAGS in drivers/iommu/iommu.c: what keeps groups apart. */
#define WR_ACS_NEEDED	(WR_ACS_SV | WR_ACS_RR | WR_ACS_CR | WR_ACS_UF)

/* PCI Express Base, section 7.5.3.2: device/port types. */
enum wr_express {
	WR_EXPRESS_ENDPOINT = 0,
	WR_EXPRESS_LEGACY = 1,
	WR_EXPRESS_ROOT_PORT = 4,
	WR_EXPRESS_UPSTREAM = 5,
	WR_EXPRESS_DOWNSTREAM = 6,
	WR_EXPRESS_TO_PCI = 7,		/* a bridge from PCI Express to PCI */
	WR_EXPRESS_FROM_PCI = 8,	/* a bridge from PCI to PCI Express */
	WR_EXPRESS_INTEGRATED = 9,	/* an endpoint in the root complex */
	WR_EXPRESS_COLLECTOR = 10,	/* the root complex's event collector */
};

/* How much of its config space could be read. */
enum wr_config {
	WR_CONFIG_READ,
	WR_CONFIG_SHORT,	/* the first 64 bytes, all that there is without privilege */
	WR_CONFIG_ASLEEP,	/* nothing, since that would have woken something */
	WR_CONFIG_NONE,		/* nothing */
};

/* Somebody wants to know what would be if it isolated. */
enum wr_acs_assumed {
	WR_ASSUMED_NOTHING,
	WR_ASSUMED_OVERRIDE,	/* by the override patch, which comes behind all quirks */
	WR_ASSUMED_ON,
};

/* What the verdict depends on. */
struct wr_acs {
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code;
	bool on_root_bus;
	bool vf;

	enum wr_config config;
	bool port;		/* by its driver, a port of PCI Express */
	bool multifunction;
	bool express;		/* it has a PCI Express capability, of that type: */
	enum wr_express type;
	bool has_acs;		/* it has an ACS capability, with these registers: */
	uint16_t cap, ctrl;
	uint32_t wide_ctrl;	/* where Intel's 100 and 200 series have their control register */

	bool ivrs;		/* the machine's firmware describes an AMD IOMMU */
	enum wr_acs_assumed assumed;
	uint16_t doubtful;	/* bits of the registers that may be on or off */
};

enum wr_acs_reason {
	WR_ACS_ASSUMED,
	WR_ACS_QUIRK,		/* a quirk of the kernel's says so, whatever the registers say */
	WR_ACS_CONVENTIONAL,	/* no PCI Express: all on the bus hear each other */
	WR_ACS_NEVER,		/* of a type that the kernel never takes as isolating */
	WR_ACS_NO_CAPABILITY,
	WR_ACS_BITS,		/* the control register decides */
	WR_ACS_SINGLE,		/* a single function: there is nothing in it to isolate */
	WR_ACS_UNREADABLE,
};

struct wr_acs_quirk;

struct wr_acs_verdict {
	bool isolates;		/* the best guess, when it isn't sure */
	bool sure;
	enum wr_acs_reason reason;
	uint16_t lacks;		/* of WR_ACS_BITS: the bits that are off */
	const struct wr_acs_quirk *quirk;
};

enum wr_acs_rule {
	WR_RULE_PEERLESS,	/* functions that don't talk to each other: isolates */
	WR_RULE_LIKE_ACS,	/* isolates, though without ACS */
	WR_RULE_ROOT_PORT,	/* root ports: as LIKE_ACS */
	WR_RULE_INTEGRATED,	/* endpoints in the root complex: as LIKE_ACS */
	WR_RULE_PORT,		/* root and downstream ports: as LIKE_ACS */
	WR_RULE_PORT_NOT,	/* those of them that are left: doesn't isolate */
	WR_RULE_NOT,		/* those devices that are left: doesn't isolate */
	WR_RULE_AMD_SB,		/* on the root bus, multifunction, with an AMD IOMMU: isolates */
	WR_RULE_INTEL_PCH,	/* root ports that isolate if the kernel could make them */
	WR_RULE_INTEL_WIDE,	/* root ports with ACS registers of 32 bits */
};

struct wr_acs_quirk {
	uint16_t vendor, first, last;	/* device ids; */
	uint8_t step;			/* of which every one, or every second */
	uint8_t rule;			/* wr_acs_rule */
	const char *name;
};

/* In the kernel's order: the first that says something decides. */
extern const struct wr_acs_quirk wr_acs_quirks[];
extern const size_t wr_acs_n_quirks;

/*
 * Of the fixups about requester ids those that IOMMU groups depend on. That some bridges are PCI
 * Express ones without saying so changes the id, but not whose it is.
 */
enum wr_alias_rule {
	WR_ALIAS_FUNCTION,	/* its DMA may come from that function of its slot */
	WR_ALIAS_DEVFN,		/* from those of its bus: from, and how many */
	WR_ALIAS_SLOTS,		/* from the first functions of all slots: how many */
	WR_ALIAS_UNKNOWN,	/* from where only its registers say */
	WR_ALIAS_NONE,		/* a bridge that leaves requester ids alone */
	WR_ALIAS_END,		/* a bridge at which the IOMMU is */
};

struct wr_alias_quirk {
	uint16_t vendor, first, last;
	uint16_t subsystem;		/* of the same vendor; 0: any */
	uint8_t rule;			/* wr_alias_rule */
	uint8_t from;
	uint16_t count;
};

extern const struct wr_alias_quirk wr_alias_quirks[];
extern const size_t wr_alias_n_quirks;

/*
 * Take what matters from @len bytes of config space; of ids, class and the machine nothing is
 * touched. Less than 64 bytes, or all ones, which is no device's answer: WR_CONFIG_NONE.
 */
void wr_acs_parse(struct wr_acs *acs, const uint8_t *config, size_t len);

/* Whether it is a root port or a switch's downstream port: one device is behind it. */
bool wr_acs_is_port(const struct wr_acs *acs);

struct wr_acs_verdict wr_acs_verdict(const struct wr_acs *acs);

/* Whether the bits that are needed could all be switched on in its own registers. */
bool wr_acs_can(const struct wr_acs *acs);

/* Whether a quirk covers the device. */
bool wr_alias_matches(const struct wr_alias_quirk *quirk, const struct wr_acs *acs);

/* "SV RR", of the names that lspci and the kernel's documentation have. */
#define WR_ACS_BITS_MAX 32
const char *wr_acs_bits(uint16_t bits, char buf[WR_ACS_BITS_MAX]);

#endif
