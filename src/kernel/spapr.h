/* SPDX-License-Identifier: MIT */
/*
 * A VFIO container with POWER's IOMMU (drivers/vfio/vfio_iommu_spapr_tce.c): IOVAs lie in windows,
 * each with a table of one entry (TCE) per page. Version 1 has one window, and pins a page as it is
 * mapped. Version 2 makes and removes windows, and maps only memory that was registered before,
 * which is what pins it. Calls return -errno with a message, unless they say otherwise.
 *
 * On pSeries the kernel hands on what the hypervisor answers to a mapping, which is no errno, and
 * it can return a positive number where it refuses. Here both are errors, and told as what they
 * are.
 */
#ifndef WR_KERNEL_SPAPR_H
#define WR_KERNEL_SPAPR_H

#include <stdbool.h>

#include <weir/spapr.h>

#include "mem/maps.h"

struct wr_spapr_info {
	struct wr_window low;		/* the default window, which 32 bits reach */
	uint64_t page_sizes;		/* of windows that can be made; 0: none can */
	unsigned int windows;		/* that there can be, the default one among them */
	unsigned int levels;		/* that a window's table can have */
};

/* A group is in the container. -ENODEV: its devices have no default window. */
int wr_spapr_info(int fd, struct wr_spapr_info *info);

/*
 * The kernel makes the default window when one is needed, and charges its table then. Have it made,
 * in version 1 after enabling: so a limit that is too low shows when a device is attached.
 */
int wr_spapr_have_low(int fd, bool v2, const struct wr_window *low);

/*
 * Version 1, before anything is mapped: the whole window counts as locked memory from here on, used
 * or not. And not any more; what is mapped stays so.
 */
int wr_spapr_enable(int fd, const struct wr_window *low);
void wr_spapr_disable(int fd);

/*
 * Version 2: pin pages of the system, writable ones only, and count them as locked. They overlap
 * nothing that is registered, in any container of the process, unless they are the same pages: then
 * they count once. Out go exactly the pages that went in, of which none is mapped: the kernel would
 * say that it let go of them, and pin and count them for good (tce_iommu_unregister_pages() doesn't
 * look at the -EBUSY of its last mm_iommu_put()).
 */
int wr_spapr_register(int fd, uint64_t vaddr, uint64_t len);
int wr_spapr_unregister(int fd, uint64_t vaddr, uint64_t len);

/*
 * Map and unmap in a window of the container. The kernel checks where a mapping begins, but not
 * where it ends, nor did Linux 6.12 of what is unmapped: -EINVAL if not all of it lies in the
 * window, or isn't made of its pages. It replaces without a word what is mapped there: the caller
 * knows that nothing is. In version 2 the memory is registered in this very container, and stays so
 * until it is unmapped: if it went meanwhile, the kernel would map a part and say that it mapped
 * all (tce_iommu_build_v2()). What the hypervisor refused to map stays pinned and counted for good,
 * since the kernel forgets to take back its count of it. Devices may read whatever they may write.
 */
int wr_spapr_map(int fd, const struct wr_window *window, const struct wr_mapping *m);
int wr_spapr_unmap(int fd, const struct wr_window *window, weir_iova iova, uint64_t len);

/*
 * Version 2: make a window, of a size that is a power of two, where the platform has a place for
 * it. -ENOSPC: there are as many as there can be; -ENODEV: on pSeries, also when an earlier try
 * failed, which the kernel remembers until the machine restarts. A failure can leave the table's
 * size counted as locked memory: the kernel doesn't give it back (tce_iommu_create_window()). And
 * remove one, with all that is mapped in it.
 */
int wr_spapr_create(int fd, unsigned int page_shift, uint64_t size, unsigned int levels,
		    struct wr_window *out);
int wr_spapr_remove(int fd, const struct wr_window *window);

/*
 * EEH: what WR_VFIO_EEH_… does, to the group of the container. @error: for _INJECT_ERR, else NULL.
 * Returns 0, for _GET_STATE a state; -ENOTSUP: this host hasn't got it for such a device.
 */
int wr_spapr_eeh(int fd, unsigned int op, const struct weir_eeh_error *error);

#endif
