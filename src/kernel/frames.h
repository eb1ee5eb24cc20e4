/* SPDX-License-Identifier: MIT */
/*
 * Where memory lies: the physical addresses of this process's pages, in a virtual machine those
 * that the guest sees (Documentation/admin-guide/mm/pagemap.rst).
 */
#ifndef WR_KERNEL_FRAMES_H
#define WR_KERNEL_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/* What is read at once: an entry costs some 50 ns then, and more than 1 us one by one. */
#define WR_FRAMES_MAX 512

struct wr_frames {
	int pagemap;	/* which frame a page has */
	int flags;	/* what a frame is */
};

/* -EPERM, with a message, when this process may not know. */
int wr_frames_open(struct wr_frames *frames);
void wr_frames_close(const struct wr_frames *frames);

/*
 * The addresses of @n pages of the system, at most WR_FRAMES_MAX, from @vaddr on; they must be held
 * still. Returns 0; -EINVAL when they aren't all of hugetlb; or another -errno; with a message.
 */
int wr_frames_read(const struct wr_frames *frames, const void *vaddr, size_t n, uint64_t *phys);

#endif
