/* SPDX-License-Identifier: MIT */
/*
 * weir_mem: memory made for DMA, allocated, mapped and given back in one step: a convenience over
 * weir_ioas_map().
 */
#ifndef WEIR_MEM_H
#define WEIR_MEM_H

#include <weir/ioas.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_mem;

/** weir_mem_opts - all zero: both directions, an automatic IOVA, private memory in small pages. */
struct weir_mem_opts {
	enum weir_dma_dir dir;
	/**
	 * Align to 2 MiB, in IOVA where there is room, and ask for transparent hugepages: for
	 * private memory /sys/kernel/mm/transparent_hugepage/enabled has the last word, for shared
	 * memory shmem_enabled beside it. Not together with page_size.
	 */
	bool huge;
	/** A file's memory (memfd_create(2)), for other processes to map: see weir_mem_fd(). */
	bool shared;
	/** Take all pages from @node and from no other (mbind(2), MPOL_BIND). */
	bool bind;
	/** The NUMA node; 0 unless @bind. */
	unsigned int node;
	/**
	 * Threads that fault the memory in, the calling one included: 256 at most. 0: one for less
	 * than 64 MiB, otherwise one for each processor that the calling thread may run on, up to
	 * 16. Never more than the memory has parts to share out.
	 */
	unsigned int threads;
	/** As in weir_map_opts. */
	weir_iova limit;
	/**
	 * Bytes: pages from the system's pool of that size (hugetlb: 2 MiB, 1 GiB, …; the folders
	 * in /sys/kernel/mm/hugepages), and aligned to it, in IOVA up to 1 GiB where there is room.
	 * 0: no pool; but 2 MiB where a device of the address space has no IOMMU, with @huge too,
	 * and where IOVAs lie in windows of larger pages than the system's alone (<weir/spapr.h>),
	 * the smallest of the system's sizes that does for one of them.
	 */
	uint64_t page_size;
	/**
	 * Called while the memory is faulted in, by the calling thread: @done bytes of @len, rising
	 * with each call; @done is @len in the last call, unless it fails. May be NULL.
	 */
	void (*progress)(void *arg, size_t done, size_t len);
	void *progress_arg;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_mem_alloc() - memory that the devices of an address space can reach.
 * @as: must outlive the memory; weir_ioas_close() and closing a device whose private address
 *	space it is answer -EBUSY until then.
 * @len: bytes, rounded up to whole pages (to opts.page_size; to 2 MiB with opts.huge).
 * @opts: may be NULL.
 * @out: the memory, zeroed; give it back with weir_mem_free().
 *
 * All of it is faulted in before it is mapped, with several threads if it is large, so that a lack
 * of memory is found here (Documentation/admin-guide/mm/hugetlbpage.rst, MADV_POPULATE_WRITE in
 * mm/madvise.c). Linux before 5.14 can't be asked for that: there private memory is written to
 * instead, and memory that is shared or from a pool is faulted in when a device's interface pins
 * it, since a write would raise SIGBUS if a page is missing.
 *
 * Not inherited by a child after fork(), shared memory neither; its file is.
 *
 * Returns 0; -EINVAL (options that contradict each other, a length of 0 or beyond all memory);
 * -ENODEV (no such page size, node, or memory on that node); -ENOMEM, also when the pool hasn't got
 * enough pages; -EPERM (mbind() is forbidden); -ENOTSUP (bind on a kernel without NUMA); -errno of
 * memfd_create(2); or -errno as weir_ioas_map(). weir_errmsg() names the file to write for a larger
 * pool.
 */
WEIR_API int weir_mem_alloc(struct weir_ioas *as, size_t len, const struct weir_mem_opts *opts,
			    struct weir_mem **out);

/**
 * weir_mem_free() - unmap the memory and give it back. NULL is fine.
 *
 * Returns 0; -EBUSY while a copy of it (weir_ioas_copy()) is mapped; -EIO as weir_ioas_unmap(), and
 * then it is gone all the same; otherwise -errno as weir_ioas_unmap(), with the memory as it was.
 */
WEIR_API int weir_mem_free(struct weir_mem *mem);

/** weir_mem_ptr() - where it is in the process; good until it is freed. */
WEIR_API void *weir_mem_ptr(const struct weir_mem *mem);

/**
 * weir_mem_iova() - where it is for the devices. Without an IOMMU, where its first byte is: it may
 * be in several runs, which weir_ioas_segs() lists.
 */
WEIR_API weir_iova weir_mem_iova(const struct weir_mem *mem);

/** weir_mem_len() - its length in bytes, after rounding. */
WEIR_API size_t weir_mem_len(const struct weir_mem *mem);

/**
 * weir_mem_fd() - the file of shared memory, to be passed to other processes (unix(7), SCM_RIGHTS).
 *
 * It is as long as the memory, sealed against becoming longer or shorter, and closed by exec() and
 * by weir_mem_free(); a duplicate keeps the pages. A process that has it can write all of it: see
 * fcntl(2), F_ADD_SEALS, for what else can be forbidden.
 *
 * Returns the fd, which stays weir's: don't close it; -EINVAL for memory that isn't shared.
 */
WEIR_API int weir_mem_fd(const struct weir_mem *mem);

#ifdef __cplusplus
}
#endif

#endif
