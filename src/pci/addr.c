/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>

#include "pci/addr.h"

#define SHOWN_MAX 40

/* Read min to max hexadecimal digits; false when there are fewer or more. */
static bool read_hex(const char **text, unsigned int min, unsigned int max, uint32_t *value)
{
	const char *c = *text;
	unsigned int n;

	*value = 0;
	for (n = 0; isxdigit((unsigned char)c[n]); n++) {
		if (n == max)
			return false;
		*value = *value << 4 | (uint32_t)(isdigit((unsigned char)c[n]) ?
			 c[n] - '0' : tolower((unsigned char)c[n]) - 'a' + 10);
	}
	*text = c + n;
	return n >= min;
}

/* Read the rest, after the domain; NULL, or what is wrong. */
static const char *read_slot(const char *text, struct wr_pci_addr *out)
{
	uint32_t bus, device, function;

	if (!read_hex(&text, 2, 2, &bus) || *text++ != ':')
		return "its bus isn't two hexadecimal digits and a colon";
	if (!read_hex(&text, 2, 2, &device) || *text++ != '.')
		return "its device isn't two hexadecimal digits and a dot";
	if (device > 0x1f)
		return "a bus has no device above 1f";
	if (!read_hex(&text, 1, 1, &function))
		return "its function isn't one digit";
	if (function > 7)
		return "a device has no function above 7";
	if (*text)
		return "something follows the function";
	out->bus = (uint8_t)bus;
	out->device = (uint8_t)device;
	out->function = (uint8_t)function;
	return NULL;
}

static const char *read_addr(const char *text, struct wr_pci_addr *out)
{
	const char *first = strchr(text, ':');

	out->domain = 0;
	if (!first)
		return "there is no colon in it";
	if (strchr(first + 1, ':')) {
		if (!read_hex(&text, 4, 8, &out->domain) || *text++ != ':')
			return "its domain isn't four to eight hexadecimal digits";
	}
	return read_slot(text, out);
}

/* What comes from outside is shown in messages, which may end on a terminal. */
static const char *shown(const char *text, char buf[SHOWN_MAX + 4])
{
	size_t i;

	for (i = 0; text[i] && i < SHOWN_MAX; i++)
		buf[i] = (char)(text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?');
	strcpy(buf + i, text[i] ? "..." : "");
	return buf;
}

int wr_pci_addr_parse(const char *text, struct wr_pci_addr *out)
{
	char buf[SHOWN_MAX + 4];
	struct wr_pci_addr addr;
	const char *wrong;

	if (!text || !*text)
		return wr_fail(-EINVAL, "an empty name is no PCI address; one looks like "
			       "0000:01:00.0");
	wrong = read_addr(text, &addr);
	if (wrong)
		return wr_fail(-EINVAL, "'%s' is no PCI address: %s; one looks like 0000:01:00.0",
			       shown(text, buf), wrong);
	*out = addr;
	return 0;
}

void wr_pci_addr_format(const struct wr_pci_addr *addr, char buf[WR_PCI_ADDR_MAX])
{
	snprintf(buf, WR_PCI_ADDR_MAX, "%04x:%02x:%02x.%x", (unsigned int)addr->domain, addr->bus,
		 addr->device & 0x1fU, addr->function & 7U);
}

uint16_t wr_pci_addr_requester(const struct wr_pci_addr *addr)
{
	return (uint16_t)(addr->bus << 8 | (addr->device & 0x1f) << 3 | (addr->function & 7));
}
