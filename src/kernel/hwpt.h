/* SPDX-License-Identifier: MIT */
/*
 * IOMMUFD's page tables (HWPT), and what belongs to them: hardware information, dirty tracking,
 * nested tables, page faults and vIOMMUs. As kernel/iommufd.h: objects are known by numbers, calls
 * return -errno with a message that doesn't name the device.
 */
#ifndef WR_KERNEL_HWPT_H
#define WR_KERNEL_HWPT_H

#include <sys/types.h>

#include <weir/hw.h>
#include <weir/hwpt.h>

#include "kernel/uapi_hwpt.h"
#include "mem/maps.h"

/* What a page table is to be. */
struct wr_hwpt_spec {
	uint32_t devid;			/* for the IOMMU in front of that device */
	uint32_t on;			/* an IOAS; nested: a nest parent, or a vIOMMU */
	uint32_t flags;			/* WR_IOMMU_HWPT_ */
	uint32_t faults;		/* a fault queue, with that flag */
	uint32_t type, len;		/* nested: the hardware's own */
	const void *data;
};

/* -EINVAL: something is mapped, or promised, where it can't have it; nested: it can't be so. */
int wr_iommufd_hwpt_alloc(int fd, const struct wr_hwpt_spec *spec, uint32_t *hwpt);

/* *done of @n entries, in order, are done; so many also when it fails. */
int wr_iommufd_invalidate(int fd, uint32_t id, uint32_t type, const void *entries,
			  size_t size, size_t n, size_t *done);

/* -ENOTSUP: not of that type. */
int wr_iommufd_hw_info(int fd, uint32_t devid, uint32_t type, struct weir_hw_info *info);

/* Dirty tracking of a page table that was made for it. Bits are set, none is cleared. */
int wr_iommufd_track(int fd, uint32_t hwpt, bool on);

/* Of mapped memory alone: a bit for each @granularity bytes from @iova on. @keep: all stays so. */
int wr_iommufd_dirty(int fd, uint32_t hwpt, weir_iova iova, uint64_t len, uint64_t granularity,
		     bool keep, uint64_t *bitmap);

/* Each gives a number, and the second and fifth an fd as well, close on exec. */
int wr_iommufd_viommu_alloc(int fd, uint32_t hwpt, uint32_t devid, uint32_t type, void *data,
			    size_t len, uint32_t *viommu);
int wr_iommufd_faultq_alloc(int fd, uint32_t *queue, int *queue_fd);
int wr_iommufd_vdevice_alloc(int fd, uint32_t viommu, uint32_t devid, uint64_t number,
			     uint32_t *vdevice);
int wr_iommufd_hwqueue_alloc(int fd, uint32_t viommu, uint32_t type, uint32_t index,
			     weir_iova iova, uint64_t len, uint32_t *queue);
int wr_iommufd_eventq_alloc(int fd, uint32_t viommu, uint32_t type, uint32_t depth,
			    uint32_t *queue, int *queue_fd);

/*
 * Wait until one of those fds can be read, which never blocks: 1, 0 when the end of @timeout
 * milliseconds (negative: there is none) came before, or -errno. No message.
 */
int64_t wr_iommufd_end(int timeout);
int wr_iommufd_wait(int fd, int64_t end);

/*
 * And read what is there: 0 for nothing, or -errno, -EINVAL when the first doesn't fit. No message.
 */
ssize_t wr_iommufd_read(int fd, void *buf, size_t len, int timeout);

#endif
