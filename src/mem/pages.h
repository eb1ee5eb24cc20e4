/* SPDX-License-Identifier: MIT */
#ifndef WR_MEM_PAGES_H
#define WR_MEM_PAGES_H

#include <weir/mem.h>

#define WR_HUGE_PAGE (2ul << 20)

struct wr_pages {
	void *addr;	/* a multiple of the pages' size, and of 2 MiB for opts.huge */
	size_t len;
	int fd;		/* the file that they are, from its beginning; -1 unless shared */
};

/*
 * Memory as @opts say but for what concerns its mapping: zeroed, faulted in, not inherited by a
 * child; of @len bytes, rounded up. Returns 0 or -errno with a message.
 */
int wr_pages_alloc(size_t len, const struct weir_mem_opts *opts, struct wr_pages *out);
void wr_pages_free(const struct wr_pages *pages);

/*
 * The smallest size of hugetlb pages that the system has from @page on; @page if it has none.
 * Returns 0 or -errno with a message.
 */
int wr_pages_at_least(uint64_t page, uint64_t *out);

/*
 * A file of memory of that length, which stays so; of hugetlb pages unless their size is 0. Returns
 * its fd, or -errno without a message.
 */
int wr_pages_file(size_t len, uint64_t page_size);

/*
 * A part of a file, which has its own pages and isn't inherited by a child either. Returns 0 or
 * -errno with a message.
 */
int wr_pages_map(int fd, uint64_t offset, size_t len, bool write, void **out);
void wr_pages_unmap(void *pages, size_t len);

#endif
