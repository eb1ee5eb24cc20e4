/* SPDX-License-Identifier: MIT */
/* Fault memory in ahead of its mapping, with several threads: clearing pages is what takes time. */
#ifndef WR_MEM_PREFAULT_H
#define WR_MEM_PREFAULT_H

#include <stdbool.h>
#include <stddef.h>

#define WR_PREFAULT_THREADS_MAX 256

/*
 * Have the kernel fault in [@addr, @addr + @len), with MADV_POPULATE_READ or _WRITE. Returns 0,
 * -errno as madvise() without a message, or -ENOSYS from kernels before 5.14, which know neither.
 */
int wr_populate(void *addr, size_t len, int advice);

struct wr_prefault {
	size_t page;		/* the size of the memory's pages, a power of two */
	unsigned int threads;	/* up to WR_PREFAULT_THREADS_MAX; 0: as many as are good for it */
	/* For kernels that can't be asked: may pages be written to? Nobody else uses them yet. */
	bool touch;
	/* Told of in the calling thread, rising; @len at the end. May be NULL. */
	void (*progress)(void *arg, size_t done, size_t len);
	void *progress_arg;
};

/*
 * Fault in, for writing, memory of whole pages. Returns 0, or -errno as wr_populate() without a
 * message; then some of it is faulted in.
 */
int wr_prefault(void *addr, size_t len, const struct wr_prefault *how);

#endif
