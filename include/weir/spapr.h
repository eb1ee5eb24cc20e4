/* SPDX-License-Identifier: MIT */
/*
 * What POWER's IOMMU has and others don't (sPAPR TCE, drivers/vfio/vfio_iommu_spapr_tce.c): windows
 * of IOVAs that are made and removed. All of it is for address spaces whose devices are attached by
 * "spaprv2"; elsewhere it is refused with -ENOTSUP.
 */
#ifndef WEIR_SPAPR_H
#define WEIR_SPAPR_H

#include <weir/ioas.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- windows ---- */

/*
 * IOVAs lie in windows, each with a table of one entry (TCE) per page of the window's own size. A
 * mapping lies in one window; address, IOVA and length are multiples of the window's pages, and the
 * memory is made of pages at least as large: of the system's pool (hugetlb) if that is more than
 * the system's own page. There is a default window of 4 KiB pages in the lowest 4 GiB; one
 * more can be made, beyond what 32 bits reach, or in the default one's place.
 *
 * An automatic IOVA lies in a window whose pages are no larger than the system's, the lowest that
 * has room; where there is none, in one of larger pages, if address and length are multiples of
 * them. weir_ioas_allow() with a window's range directs what is mapped from then on into it.
 */

/** weir_window - a window of IOVAs, as it is. */
struct weir_window {
	weir_iova first;	/**< its IOVAs, */
	weir_iova last;		/**< the last one included */
	uint64_t page_size;	/**< of its pages, bytes */
	unsigned int levels;	/**< of its table */
	bool made;		/**< by weir_ioas_add_window(); else it is the default window */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/** weir_window_info - what windows there can be. */
struct weir_window_info {
	uint64_t page_sizes;	/**< bit n set: with pages of 2^n bytes; 0: none can be made */
	unsigned int windows;	/**< so many at once, the default one among them */
	unsigned int levels;	/**< so many at most has a table */
	struct weir_window standard;	/**< the default window, also when it was removed */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/**
 * weir_ioas_window_info() - what windows can be made, as the kernel says
 * (VFIO_IOMMU_SPAPR_TCE_GET_INFO).
 *
 * Returns 0; -ENODEV when no device is attached; -ENOTSUP when one is that has no windows.
 */
WEIR_API int weir_ioas_window_info(struct weir_ioas *as, struct weir_window_info *info);

/**
 * weir_ioas_windows() - the windows that there are, in ascending order. While no device is
 * attached, those that will be made again, or none.
 *
 * Returns their number, of which at most @n are stored; 0 where IOVAs don't lie in windows.
 */
WEIR_API int weir_ioas_windows(struct weir_ioas *as, struct weir_window *windows, size_t n);

/** weir_window_opts - all zero: for memory in pages of the system. */
struct weir_window_opts {
	/**
	 * Bytes, a power of two. 0: 2^18 pages of the window, fewer where the machine has less
	 * memory than so many times 4 KiB.
	 */
	uint64_t size;
	/** Of the window's pages, bytes, one of weir_window_info.page_sizes. 0: see @memory. */
	uint64_t page_size;
	/**
	 * Without @page_size: the pages of the memory that is to be mapped there, bytes. The window
	 * gets the largest pages that the host has up to that size. 0: the system's.
	 */
	uint64_t memory;
	/**
	 * Of its table. 0: as few as need no more than 1 MiB of memory in one piece; and if the
	 * kernel hasn't got that, no more than a page.
	 */
	unsigned int levels;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_ioas_add_window() - make a window. A device is attached.
 * @opts: may be NULL.
 * @window: what was made; may be NULL. Where it lies the platform says.
 *
 * The window belongs to the address space: when its last device leaves, the kernel forgets it, and
 * when the next one joins it is made again, with what is mapped in it. A device for which it can't
 * be had at the same IOVAs is refused.
 *
 * Its table counts as locked memory. The kernel has a fault: what counted for a window that the
 * platform then refused goes on to count until the process ends (tce_iommu_create_table()). So weir
 * asks for what the host said that it has, and tries once more only where the kernel had no memory
 * for a table.
 *
 * Returns 0, or with all as it was:
 *  -EINVAL   sizes that are no powers of two, pages or levels that the host doesn't have, or
 *            a size that it refuses
 *  -ENOSPC   there are as many windows as there can be
 *  -EPERM    the platform (pSeries) makes none beside the one that weir_ioas_add_window() made
 *  -ENOMEM   no memory for the table, or RLIMIT_MEMLOCK is too low for it
 *  -ENODEV   no device is attached; or the platform failed to make it. pSeries remembers that
 *            until the machine restarts, and then makes the device no windows at all: what there is
 *            goes on, but once the device is closed it can't be used by VFIO any more
 *  -ENOTSUP, -EDEADLK as weir_ioas_allow()
 */
WEIR_API int weir_ioas_add_window(struct weir_ioas *as, const struct weir_window_opts *opts,
				  struct weir_window *window);

/**
 * weir_ioas_remove_window() - remove a window, the default one too. That one can't be had back on
 * pSeries while another exists. Without a device, a window isn't made again.
 * @first: its first IOVA.
 *
 * Returns 0, or with all as it was: -ENOENT when no window begins there; -EBUSY while something is
 * mapped in it, or weir_ioas_allow() wants it; -ENOTSUP and -EDEADLK as above; or what the kernel
 * says.
 */
WEIR_API int weir_ioas_remove_window(struct weir_ioas *as, weir_iova first);

#ifdef __cplusplus
}
#endif

#endif
