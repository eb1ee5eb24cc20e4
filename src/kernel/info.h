/* SPDX-License-Identifier: MIT */
/* VFIO's information structures with their chains of capabilities: how to get one whole. */
#ifndef WR_KERNEL_INFO_H
#define WR_KERNEL_INFO_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/uapi.h"

/*
 * Ask for an information structure until all of it has come: the kernel says in argsz how much
 * there is, which can grow between two calls. @head: the structure's fixed part, @size bytes that
 * begin with argsz, with what the call wants to be told filled in.
 *
 * Returns the number of bytes in *out, which the caller frees; or -errno without a message.
 */
int wr_vfio_info(int fd, unsigned long request, const void *head, uint32_t size, void **out);

/*
 * The capability @id with at least @min bytes, or NULL. @first: the chain's first offset, 0 for
 * none. *room: the bytes from there to the structure's end.
 */
const void *wr_vfio_cap(const void *info, uint32_t size, uint32_t first, unsigned int id,
			uint32_t min, uint32_t *room);

#endif
