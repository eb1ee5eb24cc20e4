/* SPDX-License-Identifier: MIT */
/*
 * Memory that stays where it is, for devices that no IOMMU translates for. mlock(2) keeps pages
 * from being swapped out and no more: the kernel still moves them, to make room for large pages, to
 * take memory offline, to another node; those of hugetlb too. What it never moves are pages that
 * are pinned for the long term (FOLL_LONGTERM, Documentation/core-api/pin_user_pages.rst), and
 * the way to that without an IOMMU are the registered buffers of io_uring (io_uring/rsrc.c). No
 * request is ever made to the ring.
 */
#ifndef WR_KERNEL_PIN_H
#define WR_KERNEL_PIN_H

#include <stddef.h>

#include "kernel/uapi.h"

#define WR_PIN_SLOTS	WR_URING_BUFFERS_MAX
#define WR_PIN_MAX	(1ul << 30)		/* bytes that a slot holds at most */

/* A ring with that many empty slots. Returns its fd, or -errno with a message. */
int wr_pin_open(void);

/*
 * Hold the pages of a piece of memory, which are faulted in for it, and brought where they can
 * stay; @slot is empty. Returns 0 or -errno with a message.
 */
int wr_pin(int ring, unsigned int slot, void *addr, size_t len);

/* Let them go. -errno, without a message, leaves them held until the ring is closed. */
int wr_unpin(int ring, unsigned int slot);

#endif
