/* SPDX-License-Identifier: MIT */
/*
 * IOMMUFD's node, /dev/iommu (drivers/iommu/iommufd/): address spaces, called IOAS, and the page
 * tables of IOMMUs that are filled from them, called HWPT (kernel/hwpt.h). Objects are known by
 * numbers, in one open file. Calls return -errno with a message unless they say something else.
 */
#ifndef WR_KERNEL_IOMMUFD_H
#define WR_KERNEL_IOMMUFD_H

#include <weir/iommu.h>

#include "kernel/memlock.h"
#include "mem/maps.h"

#define WR_IOMMUFD_NODE "/dev/iommu"

/* Returns its fd, which counts so what is pinned. -ENOTSUP when the kernel hasn't got it. */
int wr_iommufd_open(enum weir_accounting accounting);

/* Whether an fd is IOMMUFD's, which /dev/vfio/vfio can be too. */
bool wr_iommufd_is(int fd);

/* Have one that is open count so, which must have no object yet; and how it does. */
int wr_iommufd_account(int fd, enum weir_accounting how);
enum wr_memlock wr_iommufd_memlock(int fd);

int wr_iommufd_ioas_alloc(int fd, uint32_t *ioas);

/* That which VFIO's calls on the fd use, in a container's place. */
int wr_iommufd_vfio_ioas(int fd, uint32_t *ioas);

/* What nobody uses any more; that this fails is a mistake of somebody's, and logged. */
void wr_iommufd_destroy(int fd, uint32_t id);

/* Usable IOVAs, and the smallest page, of all the page tables of an IOAS. */
int wr_iommufd_ranges(int fd, uint32_t ioas, struct wr_ranges *ranges, uint64_t *page_size);

/* Promise that these ranges stay usable, whatever is attached; none: nothing is promised. */
int wr_iommufd_allow(int fd, uint32_t ioas, const struct wr_ranges *ranges);

/* Whether page tables get the smallest pages alone; only changed while nothing is mapped. */
int wr_iommufd_small_pages(int fd, uint32_t ioas, bool small);

/*
 * Map by the memory's address, or by its file. As long as the IOAS has no page table, nothing is
 * pinned, and the memory isn't looked at. -ENOTTY without a message: a kernel before 6.13, which
 * hasn't got the second. -EINVAL: nor does it do so with every file.
 */
int wr_iommufd_map(int fd, uint32_t ioas, const struct wr_mapping *m, enum wr_memlock whose);
int wr_iommufd_map_file(int fd, uint32_t ioas, const struct wr_mapping *m, enum wr_memlock whose);

/* Map a bar, by its dma-buf. -ENOTSUP: this kernel can't. */
int wr_iommufd_map_bar(int fd, uint32_t ioas, const struct wr_mapping *m, enum wr_memlock whose);

/*
 * Map the memory of @n mappings, which another IOAS has from @source on, once more: the kernel pins
 * and counts it once for both, as long as one of them has it.
 */
int wr_iommufd_copy(int fd, uint32_t ioas, uint32_t from, weir_iova source,
		    const struct wr_mapping *m, size_t n);

/*
 * Unmap @n mappings that follow one another and are @len bytes in all. -EIO: something else was
 * unmapped, or that can't be known.
 */
int wr_iommufd_unmap(int fd, uint32_t ioas, weir_iova iova, uint64_t len, size_t n);
int wr_iommufd_unmap_all(int fd, uint32_t ioas);

/*
 * Where the memory lies that is mapped from @iova on, for devices without an IOMMU; *len: so much
 * of that at most, and so much of it in one piece. -ENOTSUP: this kernel can't tell.
 */
int wr_iommufd_phys(int fd, uint32_t ioas, weir_iova iova, uint64_t *len, uint64_t *phys);

/*
 * Have all that is pinned count as this process's, and no longer as that of who mapped it. -ENOTSUP
 * when something is mapped that isn't a file's, by its file; or on a kernel before 6.14.
 */
int wr_iommufd_change_process(int fd);

#endif
