/* SPDX-License-Identifier: MIT */
/*
 * An address space goes from one process to another: what attaching, closing and opening have to
 * do with it. All under the locks of attaching, unless they say something else.
 */
#ifndef WR_IOAS_HANDOVER_H
#define WR_IOAS_HANDOVER_H

#include <weir/irq.h>

#include "ioas/ioas.h"
#include "pci/addr.h"

/* A device that came with its address space, until it is open. */
struct wr_parcel {
	struct wr_endpoint ep;			/* in the address space's list while unclaimed */
	char name[WR_PCI_ADDR_MAX];
	unsigned int vectors[WEIR_IRQS];	/* enabled, */
	int *eventfds;				/* and what they signal, by kind; -1: none */
	size_t n_eventfds;
};

/* The parcel that such a device came in, or NULL. Take it out: the kernel isn't called. */
struct wr_parcel *wr_ioas_parcel_for(struct weir_ioas *as, const struct wr_endpoint *ep);
int wr_ioas_claim(struct weir_ioas *as, struct wr_endpoint *ep, struct wr_parcel *parcel);

/* It couldn't be opened: put it back. */
void wr_ioas_unclaim(struct weir_ioas *as, struct wr_endpoint *ep);

/* It is open: the end of its parcel, if it came in one, and of eventfds left in it. No lock. */
void wr_ioas_unpacked(struct wr_endpoint *ep);

/* At close: the devices that nobody opened are closed. No lock. */
void wr_ioas_drop_parcels(struct weir_ioas *as);

#endif
