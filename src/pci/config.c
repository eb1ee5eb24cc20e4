/* SPDX-License-Identifier: MIT */
/*
 * The walk along both chains of capabilities: PCI Local Bus 3.0 section 6.7, PCI Express Base
 * sections 7.5.1.1.11 and 7.6.3. Whatever a config space holds, each offset is visited once at
 * most, so the walk ends.
 */
#include <weir/device.h>

#include "pci/config.h"

#define CARDBUS_CAP_POINTER	0x14	/* header type 2 keeps it elsewhere */
#define HEADER_TYPE_MASK	0x7f
#define HEADER_CARDBUS		2
#define FIRST_CAP		0x40
#define FIRST_EXT_CAP		WR_PCI_CONFIG_SIZE

struct walk {
	weir_config_reader read;
	void *arg;
	struct weir_cap *caps;
	size_t n;
	int count;
	uint32_t seen[WR_PCI_EXT_CONFIG_SIZE / 4 / 32];	/* one bit per aligned offset */
};

static int read_le(struct walk *w, unsigned int offset, unsigned int len, uint32_t *value)
{
	uint8_t raw[4] = { 0 };
	int ret = w->read(w->arg, offset, raw, len);

	if (ret < 0)
		return ret;
	*value = (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 |
		 (uint32_t)raw[3] << 24;
	return 0;
}

/* Whether @offset is new to the walk. */
static bool visit(struct walk *w, unsigned int offset)
{
	uint32_t *word = &w->seen[offset / 4 / 32];
	uint32_t bit = 1U << (offset / 4 % 32);
	bool is_new = !(*word & bit);

	*word |= bit;
	return is_new;
}

static void add(struct walk *w, unsigned int id, unsigned int offset, unsigned int version,
		bool extended)
{
	/* The null capability has no registers: it pads a chain, and vfio-pci hides others so. */
	if (!id)
		return;
	if ((size_t)w->count < w->n)
		w->caps[w->count] = (struct weir_cap){
			.id = (uint16_t)id,
			.offset = (uint16_t)offset,
			.version = (uint8_t)version,
			.extended = extended,
		};
	w->count++;
}

static int walk_standard(struct walk *w, unsigned int size)
{
	uint32_t value, pointer_at = WR_PCI_CAP_POINTER;
	unsigned int offset;
	int ret;

	ret = read_le(w, WR_PCI_STATUS, 2, &value);
	if (ret < 0 || !(value & WR_PCI_STATUS_CAPS))
		return ret;
	ret = read_le(w, WR_PCI_HEADER_TYPE, 1, &value);
	if (ret < 0)
		return ret;
	if ((value & HEADER_TYPE_MASK) == HEADER_CARDBUS)
		pointer_at = CARDBUS_CAP_POINTER;
	ret = read_le(w, pointer_at, 1, &value);
	if (ret < 0)
		return ret;

	/* The lowest two bits of a pointer are reserved and must be masked. */
	for (offset = value & 0xfc; offset >= FIRST_CAP && offset + 4 <= size;
	     offset = value >> 8 & 0xfc) {
		if (!visit(w, offset))
			break;
		ret = read_le(w, offset, 2, &value);
		if (ret < 0)
			return ret;
		if ((value & 0xff) == 0xff)
			break;
		add(w, value & 0xff, offset, 0, false);
	}
	return 0;
}

static int walk_extended(struct walk *w, unsigned int size)
{
	unsigned int offset = FIRST_EXT_CAP;
	uint32_t header;
	int ret;

	while (offset >= FIRST_EXT_CAP && offset + 4 <= size && visit(w, offset)) {
		ret = read_le(w, offset, 4, &header);
		if (ret < 0)
			return ret;
		if ((header & 0xffff) == 0xffff)
			break;
		add(w, header & 0xffff, offset, header >> 16 & 0xf, true);
		offset = header >> 20 & 0xffc;
	}
	return 0;
}

int weir_config_walk(weir_config_reader read, void *arg, unsigned int size, struct weir_cap *caps,
		   size_t n)
{
	struct walk w = { .read = read, .arg = arg, .caps = caps, .n = n };
	int ret;

	if (size > WR_PCI_EXT_CONFIG_SIZE)
		size = WR_PCI_EXT_CONFIG_SIZE;
	if (size <= FIRST_CAP)
		return 0;
	ret = walk_standard(&w, size < WR_PCI_CONFIG_SIZE ? size : WR_PCI_CONFIG_SIZE);
	if (ret < 0)
		return ret;
	ret = walk_extended(&w, size);
	return ret < 0 ? ret : w.count;
}

/* PCI Code and ID Assignment 1.16, sections 2 and 3. */
static const char *const standard_names[] = {
	[0x01] = "Power Management",
	[0x02] = "AGP",
	[0x03] = "Vital Product Data",
	[0x04] = "Slot Identification",
	[0x05] = "MSI",
	[0x06] = "CompactPCI Hot Swap",
	[0x07] = "PCI-X",
	[0x08] = "HyperTransport",
	[0x09] = "Vendor Specific",
	[0x0a] = "Debug Port",
	[0x0b] = "CompactPCI Central Resource Control",
	[0x0c] = "Hot-Plug",
	[0x0d] = "Bridge Subsystem ID",
	[0x0e] = "AGP 8x",
	[0x0f] = "Secure Device",
	[0x10] = "PCI Express",
	[0x11] = "MSI-X",
	[0x12] = "SATA Data/Index",
	[0x13] = "Advanced Features",
	[0x14] = "Enhanced Allocation",
	[0x15] = "Flattening Portal Bridge",
};

static const char *const extended_names[] = {
	[0x0001] = "Advanced Error Reporting",
	[0x0002] = "Virtual Channel",
	[0x0003] = "Device Serial Number",
	[0x0004] = "Power Budgeting",
	[0x0005] = "Root Complex Link Declaration",
	[0x0006] = "Root Complex Internal Link Control",
	[0x0007] = "Root Complex Event Collector Endpoint Association",
	[0x0008] = "Multi-Function Virtual Channel",
	[0x0009] = "Virtual Channel with MFVC",
	[0x000a] = "Root Complex Register Block",
	[0x000b] = "Vendor-Specific Extended",
	[0x000c] = "Configuration Access Correlation",
	[0x000d] = "Access Control Services",
	[0x000e] = "Alternative Routing-ID Interpretation",
	[0x000f] = "Address Translation Services",
	[0x0010] = "Single Root I/O Virtualization",
	[0x0011] = "Multi-Root I/O Virtualization",
	[0x0012] = "Multicast",
	[0x0013] = "Page Request Interface",
	[0x0015] = "Resizable BAR",
	[0x0016] = "Dynamic Power Allocation",
	[0x0017] = "TPH Requester",
	[0x0018] = "Latency Tolerance Reporting",
	[0x0019] = "Secondary PCI Express",
	[0x001a] = "Protocol Multiplexing",
	[0x001b] = "Process Address Space ID",
	[0x001c] = "LN Requester",
	[0x001d] = "Downstream Port Containment",
	[0x001e] = "L1 PM Substates",
	[0x001f] = "Precision Time Measurement",
	[0x0020] = "PCI Express over M-PHY",
	[0x0021] = "FRS Queueing",
	[0x0022] = "Readiness Time Reporting",
	[0x0023] = "Designated Vendor-Specific",
	[0x0024] = "VF Resizable BAR",
	[0x0025] = "Data Link Feature",
	[0x0026] = "Physical Layer 16.0 GT/s",
	[0x0027] = "Lane Margining at the Receiver",
	[0x0028] = "Hierarchy ID",
	[0x0029] = "Native PCIe Enclosure Management",
	[0x002a] = "Physical Layer 32.0 GT/s",
	[0x002b] = "Alternate Protocol",
	[0x002c] = "System Firmware Intermediary",
	[0x002d] = "Shadow Functions",
	[0x002e] = "Data Object Exchange",
	[0x002f] = "Device 3",
	[0x0030] = "Integrity and Data Encryption",
	[0x0031] = "Physical Layer 64.0 GT/s",
	[0x0032] = "Flit Logging",
	[0x0033] = "Flit Performance Measurement",
	[0x0034] = "Flit Error Injection",
	[0x0035] = "Streamlined Virtual Channel",
	[0x0036] = "MMIO Register Block Locator",
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

const char *weir_cap_name(const struct weir_cap *cap)
{
	if (cap->extended)
		return cap->id < ARRAY_SIZE(extended_names) ? extended_names[cap->id] : NULL;
	return cap->id < ARRAY_SIZE(standard_names) ? standard_names[cap->id] : NULL;
}
