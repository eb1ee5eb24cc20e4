/* SPDX-License-Identifier: MIT */
#ifndef WR_PCI_ADDR_H
#define WR_PCI_ADDR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct wr_pci_addr {
	uint32_t domain;	/* VMD's domains need more than 16 bits */
	uint8_t bus, device, function;
};

/* "0000:01:00.0", with its NUL, for domains of up to 32 bits. */
#define WR_PCI_ADDR_MAX 20

/*
 * Read "DDDD:BB:DD.F" or "BB:DD.F" (domain 0), hexadecimal; nothing may follow. Returns 0, or
 * -EINVAL with a message that shows what is wrong and what an address looks like.
 */
WR_PRIVATE int wr_pci_addr_parse(const char *text, struct wr_pci_addr *out);

/* Write it as the kernel does: "0000:01:00.0". */
WR_PRIVATE void wr_pci_addr_format(const struct wr_pci_addr *addr, char buf[WR_PCI_ADDR_MAX]);

/* bus << 8 | device << 3 | function */
uint16_t wr_pci_addr_requester(const struct wr_pci_addr *addr);

#endif
