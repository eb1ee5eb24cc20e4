/* SPDX-License-Identifier: MIT */
/*
 * "lab", a laboratory device: what edu lacks, and misbehaviour on demand. There is no such
 * hardware; its ids are nobody's. This header is its data sheet.
 *
 * It is a PCI Express function that can be reset, with INTx, 4 MSI or 16 MSI-X vectors, and drives
 * all 64 address bits. Its BARs:
 *
 *	0	32 bits		4 KiB	registers
 *	2	64 bits		64 KiB	memory, prefetchable; zero after a reset
 *	4	32 bits		8 KiB	MSI-X table at 0, pending bits at 0x1000
 *
 * Registers are 64 bits wide and take aligned accesses of 1, 2, 4 or 8 bytes. They are
 * little-endian, but for LAB_BE. What isn't listed reads all ones and ignores writes. Reset makes
 * them 0, but for LAB_ID and LAB_LATE.
 */
#ifndef MODELS_LAB_LAB_H
#define MODELS_LAB_LAB_H

#include <weir/model.h>

#define LAB_VENDOR	0x1234
#define LAB_DEVICE	0x01ab
#define LAB_VECTORS	16

#define LAB_ID		0x00	/* reads LAB_ID_VALUE */
#define LAB_ID_VALUE	0x000000010062616cull	/* "lab", version 1 */
#define LAB_SCRATCH	0x08	/* keeps what is written */
#define LAB_STATUS	0x10	/* read only */
#define LAB_STATUS_BUSY		1u	/* the ring has descriptors that aren't done */
#define LAB_STATUS_STOPPED	2u	/* a descriptor can't be reached: set up the ring anew */
#define LAB_STATUS_HOLDING	4u	/* LAB_TROUBLE_SLOW has got hold of the memory */
/*
 * While neither MSI nor MSI-X is enabled a vector sets its bit here instead, and pin A is asserted
 * as long as any bit is set. Write ones to clear.
 */
#define LAB_IRQ_STATUS	0x18
#define LAB_LOST	0x20	/* read only: messages that couldn't be sent */
#define LAB_BE		0x28	/* big-endian: keeps a number of the width written; reads it + 1 */

/*
 * The DMA engine copies memory to memory, as told by a ring of descriptors in memory. It works from
 * LAB_RING_HEAD on until it reaches LAB_RING_TAIL, which the driver moves. To write base or size
 * empties the ring; while it is busy they keep still.
 */
#define LAB_RING_BASE	0x40	/* IOVA of the first descriptor */
#define LAB_RING_SIZE	0x48	/* descriptors; one less can be outstanding */
#define LAB_RING_HEAD	0x50	/* read only: the next to be done */
#define LAB_RING_TAIL	0x58	/* the first that isn't to be done yet */

#define LAB_LEN_MAX	65536u
#define LAB_NO_VECTOR	0xffffffffu

/* A descriptor, little-endian. The device writes status alone, then interrupts. */
struct lab_descriptor {
	uint64_t source;	/* IOVA */
	uint64_t dest;		/* IOVA */
	uint32_t len;		/* 1 to LAB_LEN_MAX */
	uint32_t vector;	/* interrupt when done, or LAB_NO_VECTOR */
	uint32_t status;
	uint32_t reserved;
};

#define LAB_PENDING		0u	/* what the driver puts there */
#define LAB_DONE		1u
#define LAB_SOURCE_BLOCKED	2u
#define LAB_DEST_BLOCKED	3u
#define LAB_BAD_LEN		4u

/*
 * Trouble: fill in address and count, write a LAB_TROUBLE_… to LAB_TROUBLE, and wait until that
 * reads 0. Then LAB_WENT_THROUGH and LAB_REFUSED tell how often it worked and how often it was
 * held back, and LAB_ERROR why the last time: an errno.
 */
#define LAB_ADDRESS	0x80
#define LAB_COUNT	0x88
#define LAB_TROUBLE	0x90
#define LAB_WENT_THROUGH 0x98	/* read only */
#define LAB_REFUSED	0xa0	/* read only */
#define LAB_ERROR	0xa8	/* read only */
/*
 * Read only, and reset leaves it: what became of LAB_TROUBLE_LATE, an errno; 0: it wasn't tried,
 * or it went through.
 */
#define LAB_LATE	0xb0

#define LAB_TROUBLE_READ	1	/* read 8 bytes of each of count pages from address on */
#define LAB_TROUBLE_WRITE	2	/* the same, but write LAB_PATTERN there */
#define LAB_TROUBLE_STORM	3	/* count interrupts by vector address, or the pin */
#define LAB_TROUBLE_HANG	4	/* the ring stands still from now on, until reset */
#define LAB_TROUBLE_SLOW	5	/* as WRITE once, but hold the memory for count ms before */
#define LAB_TROUBLE_CAPS	6	/* capabilities turn into those of enum lab_caps, address */
#define LAB_TROUBLE_ERR		7	/* report an uncorrectable error */
#define LAB_TROUBLE_REQ		8	/* the host wants the device back */
#define LAB_TROUBLE_LATE	9	/* at the next reset, during it, write to address */
#define LAB_TROUBLE_REMOVE	10	/* pull the device out */

#define LAB_PATTERN	0xbad1bad2bad3bad4ull

/* Its own capabilities: vendor-specific, and the extended one of a serial number. */
enum lab_caps {
	LAB_CAPS_SOUND,
	LAB_CAPS_LOOP,		/* both chains lead back to where they began */
	LAB_CAPS_GARBAGE,	/* both lead into noise */
};

/** lab_model_opts - all zero: a device that behaves until it is told not to. */
struct lab_model_opts {
	enum lab_caps caps;	/**< after power-on */
};

/**
 * lab_model_create() - make one; open it with weir_device_open_model().
 * @opts: may be NULL.
 * @out: destroy it with lab_model_destroy().
 *
 * Returns 0, -EINVAL, -ENOMEM or -EAGAIN (no thread for its engine).
 */
int lab_model_create(const struct lab_model_opts *opts, struct weir_model **out);

/** lab_model_destroy() - NULL is fine. Returns 0; -EBUSY, and nothing done, while it is opened. */
int lab_model_destroy(struct weir_model *model);

#endif
