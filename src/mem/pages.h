/* SPDX-License-Identifier: MIT */
#ifndef WR_MEM_PAGES_H
#define WR_MEM_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_HUGE_PAGE (2ul << 20)

/*
 * Zeroed memory that a child doesn't inherit, of @len bytes, a multiple of the page size. @huge:
 * aligned to 2 MiB, @len a multiple of it, with transparent hugepages asked for. Returns 0 or
 * -errno with a message.
 */
int wr_pages_alloc(size_t len, bool huge, void **out);

/* The same of a file's pages, which are the file's. */
int wr_pages_map(int fd, uint64_t offset, size_t len, bool write, void **out);

void wr_pages_free(void *pages, size_t len);

#endif
