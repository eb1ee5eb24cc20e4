/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <weir/device.h>

#include "host/acs.h"
#include "pci/config.h"

#define CONFIG_SHORT	64
#define EXPRESS_TYPE(flags)	((flags) >> 4 & 0xf)	/* of WR_PCI_EXP_FLAGS */
#define MULTIFUNCTION	0x80				/* of WR_PCI_HEADER_TYPE */
#define ACS_CAP		0x04
#define ACS_CTRL	0x06
#define ACS_WIDE_CTRL	0x08

struct config {
	const uint8_t *bytes;
	size_t len;
};

static int read_bytes(void *arg, unsigned int offset, void *buf, unsigned int len)
{
	const struct config *config = arg;

	if (offset > config->len || len > config->len - offset)
		memset(buf, 0, len);
	else
		memcpy(buf, config->bytes + offset, len);
	return 0;
}

static uint32_t read_le(const struct config *config, unsigned int offset, unsigned int len)
{
	uint8_t raw[4] = { 0 };

	read_bytes((void *)config, offset, raw, len);
	return (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 |
	       (uint32_t)raw[3] << 24;
}

void wr_acs_parse(struct wr_acs *acs, const uint8_t *bytes, size_t len)
{
	struct config config = { bytes, len };
	struct weir_cap caps[64];
	uint8_t header;
	int n;

	/* A VF's vendor reads as ones, too, but not its header type (section 9.3.4.1). */
	if (len < CONFIG_SHORT || bytes[WR_PCI_HEADER_TYPE] == 0xff) {
		acs->config = WR_CONFIG_NONE;
		return;
	}
	acs->config = len > CONFIG_SHORT ? WR_CONFIG_READ : WR_CONFIG_SHORT;
	header = bytes[WR_PCI_HEADER_TYPE];
	acs->multifunction = header & MULTIFUNCTION;
	n = weir_config_walk(read_bytes, &config, (unsigned int)len, caps,
			     sizeof(caps) / sizeof(caps[0]));
	for (int i = 0; i < n && (size_t)i < sizeof(caps) / sizeof(caps[0]); i++) {
		unsigned int at = caps[i].offset;

		if (!caps[i].extended && caps[i].id == WR_PCI_CAP_EXPRESS && !acs->express) {
			acs->express = true;
			acs->type = EXPRESS_TYPE(read_le(&config, at + WR_PCI_EXP_FLAGS, 2));
		}
		if (caps[i].extended && caps[i].id == WR_PCI_EXT_CAP_ACS && !acs->has_acs) {
			acs->has_acs = true;
			acs->cap = (uint16_t)read_le(&config, at + ACS_CAP, 2);
			acs->ctrl = (uint16_t)read_le(&config, at + ACS_CTRL, 2);
			acs->wide_ctrl = read_le(&config, at + ACS_WIDE_CTRL, 4);
		}
	}
}

bool wr_acs_is_port(const struct wr_acs *acs)
{
	return acs->express &&
	       (acs->type == WR_EXPRESS_ROOT_PORT || acs->type == WR_EXPRESS_DOWNSTREAM);
}

static struct wr_acs_verdict say(bool isolates, enum wr_acs_reason reason)
{
	return (struct wr_acs_verdict){ .isolates = isolates, .sure = true, .reason = reason };
}

/*
 * pci_acs_flags_enabled(): what the capability doesn't have counts as if it were wired on. Egress
 * control is never wanted here.
 */
static struct wr_acs_verdict judge_bits(const struct wr_acs *acs, uint32_t ctrl)
{
	struct wr_acs_verdict verdict = say(false, WR_ACS_NO_CAPABILITY);
	uint16_t cap = acs->cap;

	if (!acs->has_acs)
		return verdict;
	/* pci_disable_broken_acs_cap(): IDT's switches drop what they should validate. */
	if (acs->vendor == 0x111d && (acs->device == 0x80b5 || acs->device == 0x8090))
		cap &= (uint16_t)~WR_ACS_SV;
	verdict.reason = WR_ACS_BITS;
	verdict.lacks = (uint16_t)(WR_ACS_NEEDED & cap & ~ctrl);
	verdict.isolates = !verdict.lacks;
	verdict.sure = !verdict.lacks || verdict.lacks & ~acs->doubtful;
	return verdict;
}

/* Whether the quirk has a verdict about it: false when it doesn't apply. */
static bool judge_quirk(const struct wr_acs_quirk *quirk, const struct wr_acs *acs,
			struct wr_acs_verdict *verdict)
{
	bool root_port = acs->express && acs->type == WR_EXPRESS_ROOT_PORT;

	*verdict = say(true, WR_ACS_QUIRK);
	verdict->quirk = quirk;
	switch ((enum wr_acs_rule)quirk->rule) {
	case WR_RULE_PEERLESS:
	case WR_RULE_LIKE_ACS:
		return true;
	case WR_RULE_ROOT_PORT:
		return root_port;
	case WR_RULE_INTEGRATED:
		return acs->express && acs->type == WR_EXPRESS_INTEGRATED;
	case WR_RULE_PORT:
		return wr_acs_is_port(acs);
	case WR_RULE_PORT_NOT:
		verdict->isolates = false;
		return wr_acs_is_port(acs);
	case WR_RULE_NOT:
		verdict->isolates = false;
		return true;
	case WR_RULE_AMD_SB:
		return acs->multifunction && acs->on_root_bus && acs->ivrs;
	case WR_RULE_INTEL_PCH:
		/* The kernel keeps to itself whether it could; it nearly always can. */
		verdict->sure = false;
		return root_port;
	case WR_RULE_INTEL_WIDE:
		if (!root_port || !acs->has_acs)
			return false;
		*verdict = judge_bits(acs, acs->wide_ctrl);
		verdict->quirk = quirk;
		return true;
	}
	return false;
}

static bool find_quirk(const struct wr_acs *acs, struct wr_acs_verdict *verdict)
{
	for (size_t i = 0; i < wr_acs_n_quirks; i++) {
		const struct wr_acs_quirk *quirk = &wr_acs_quirks[i];

		if (quirk->vendor == acs->vendor && acs->device >= quirk->first &&
		    acs->device <= quirk->last && !((acs->device - quirk->first) % quirk->step) &&
		    judge_quirk(quirk, acs, verdict))
			return true;
	}
	return false;
}

/* What the kernel says of it without a quirk. */
static struct wr_acs_verdict judge(const struct wr_acs *acs)
{
	if (!acs->express)
		return say(false, WR_ACS_CONVENTIONAL);
	switch (acs->type) {
	case WR_EXPRESS_FROM_PCI:
	case WR_EXPRESS_TO_PCI:
	case WR_EXPRESS_COLLECTOR:
		return say(false, WR_ACS_NEVER);
	case WR_EXPRESS_DOWNSTREAM:
	case WR_EXPRESS_ROOT_PORT:
		return judge_bits(acs, acs->ctrl);
	case WR_EXPRESS_ENDPOINT:
	case WR_EXPRESS_UPSTREAM:
	case WR_EXPRESS_LEGACY:
	case WR_EXPRESS_INTEGRATED:
		if (acs->multifunction)
			return judge_bits(acs, acs->ctrl);
		break;
	}
	return say(true, WR_ACS_SINGLE);
}

struct wr_acs_verdict wr_acs_verdict(const struct wr_acs *acs)
{
	struct wr_acs_verdict verdict;

	if (acs->assumed == WR_ASSUMED_ON)
		return say(true, WR_ACS_ASSUMED);
	if (find_quirk(acs, &verdict))
		return verdict;
	if (acs->assumed)
		return say(true, WR_ACS_ASSUMED);
	/* A VF is an endpoint of PCI Express with a single function, whatever can be read of it. */
	if (acs->vf)
		return say(true, WR_ACS_SINGLE);
	if (acs->config != WR_CONFIG_READ) {
		verdict = say(false, WR_ACS_UNREADABLE);
		verdict.sure = false;
		return verdict;
	}
	return judge(acs);
}

bool wr_acs_can(const struct wr_acs *acs)
{
	struct wr_acs on = *acs;

	on.assumed = WR_ASSUMED_NOTHING;
	on.ctrl |= on.cap;
	on.wide_ctrl |= on.cap;
	return wr_acs_verdict(&on).isolates;
}

bool wr_alias_matches(const struct wr_alias_quirk *quirk, const struct wr_acs *acs)
{
	return quirk->vendor == acs->vendor && acs->device >= quirk->first &&
	       acs->device <= quirk->last &&
	       (!quirk->subsystem || (acs->subsystem_vendor == quirk->vendor &&
				      acs->subsystem_device == quirk->subsystem));
}

const char *wr_acs_bits(uint16_t bits, char buf[WR_ACS_BITS_MAX])
{
	static const char *const names[] = { "SV", "TB", "RR", "CR", "UF", "EC", "DT" };
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bits & 1U << i)
			len += (size_t)snprintf(buf + len, WR_ACS_BITS_MAX - len, "%s%s",
						len ? " " : "", names[i]);
	return buf;
}
