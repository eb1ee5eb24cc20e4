/* SPDX-License-Identifier: MIT */
/* Machines for tests that look at topology: trees whose functions have config space. */
#ifndef TEST_MACHINE_H
#define TEST_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "tree.h"

/* What a function is, PCI Express types after the first. */
enum machine_kind {
	PCI, ENDPOINT, LEGACY, ROOT_PORT, UPSTREAM, DOWNSTREAM, TO_PCI, FROM_PCI, INTEGRATED,
	COLLECTOR,
};

#define MULTI	0x80	/* of .header: one of several functions */
#define BRIDGE	0x01
#define NO_ACS	0	/* of .cap */
#define ALL_ACS	0x1f	/* SV TB RR CR UF */

struct machine_function {
	const char *path;	/* below its root bus: "00:01.0/01:00.0", all in domain 0 */
	enum machine_kind kind;
	uint8_t header;
	uint16_t cap, ctrl;	/* ACS */
	uint16_t vendor, device;	/* 1234:11e8 when they are zero */
	uint32_t class_code;	/* when it is zero, a bridge's or 0x00ff00 */
	uint8_t revision;
	int group;		/* 0: none, else the number plus one */
	const char *driver;	/* or NULL */
	const char *pf;		/* of a VF: "01:00.0" */
};

/* "01:00.0" as "0000:01:00.0"; the buffer is one of a few that take turns. */
const char *machine_address(const char *text);

void machine_add(const char *root, const struct machine_function *function);

/* All of a list, and an IOMMU that they are behind, if any of them has a group. */
void machine_build(const char *root, const struct machine_function *functions, size_t n);

#endif
