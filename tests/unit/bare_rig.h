/* SPDX-License-Identifier: MIT */
/* A context, an address space, and a device without an IOMMU (fake_noiommu.h) that is in it. */
#ifndef BARE_RIG_H
#define BARE_RIG_H

#include <weir/weir.h>

#include "fake_noiommu.h"
#include "says.h"

#define BARE	"0000:01:00.0"		/* in group 10 */
#define WITH	"0000:02:00.0"		/* behind an IOMMU */
#define MIB	(1ul << 20)
#define AT	(64ul * MIB)		/* where the fake's first huge page is */

extern struct weir_iommu *iommu;
extern struct weir_ioas *as;
extern struct weir_device *dev;
extern size_t page;

/* Nothing open, or all; and on Linux 7.3, where the device has a node of its own. */
int bare_start(void **state);
int bare_setup(void **state);
int node_start(void **state);
int node_setup(void **state);

/* Close them, and see that nothing is left: no fd or object, nothing held, no memory. */
int bare_teardown(void **state);

void open_context(const char *interface, bool unsafe);
int open_device(unsigned int dma_bits);
int map(void *vaddr, size_t len, bool scattered, weir_iova *iova);

/* Huge pages, each 4 MiB below the one before it, the first at 512 MiB. */
char *descending(size_t n);

void assert_wont_open(int err, const char *part);

/* From opening to closing, with each call failing in turn: nothing is ever left. */
void fail_each_call(void);

#endif
