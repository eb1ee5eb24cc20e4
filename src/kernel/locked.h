/* SPDX-License-Identifier: MIT */
/* What counts as locked memory with POWER's containers; as one sum, see weir_spapr_locked(). */
#ifndef WR_KERNEL_LOCKED_H
#define WR_KERNEL_LOCKED_H

#include "mem/maps.h"

/* Bytes that a window's table counts on this host. */
uint64_t wr_locked_table(uint64_t size, unsigned int page_shift, unsigned int levels);

#endif
