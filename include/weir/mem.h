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

/** weir_mem_opts - all zero: both directions, an automatic IOVA, small pages. */
struct weir_mem_opts {
	enum weir_dma_dir dir;
	/** Align to 2 MiB, in IOVA where there is room, and ask for transparent hugepages. */
	bool huge;
	/** As in weir_map_opts. */
	weir_iova limit;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_mem_alloc() - memory that the devices of an address space can reach.
 * @as: must outlive the memory; weir_ioas_close() and closing a device whose private address
 *	space it is answer -EBUSY until then.
 * @len: bytes, rounded up to whole pages (to 2 MiB with opts.huge).
 * @opts: may be NULL.
 * @out: the memory, zeroed; give it back with weir_mem_free().
 *
 * Not inherited by a child after fork().
 *
 * Returns 0, or -errno as weir_ioas_map().
 */
WEIR_API int weir_mem_alloc(struct weir_ioas *as, size_t len, const struct weir_mem_opts *opts,
			    struct weir_mem **out);

/**
 * weir_mem_free() - unmap the memory and give it back. NULL is fine.
 *
 * Returns 0; -EIO as weir_ioas_unmap(), and then it is gone all the same; otherwise -errno as
 * weir_ioas_unmap(), with the memory as it was.
 */
WEIR_API int weir_mem_free(struct weir_mem *mem);

/** weir_mem_ptr() - where it is in the process; good until it is freed. */
WEIR_API void *weir_mem_ptr(const struct weir_mem *mem);

/** weir_mem_iova() - where it is for the devices. */
WEIR_API weir_iova weir_mem_iova(const struct weir_mem *mem);

/** weir_mem_len() - its length in bytes, after rounding. */
WEIR_API size_t weir_mem_len(const struct weir_mem *mem);

#ifdef __cplusplus
}
#endif

#endif
