/* SPDX-License-Identifier: MIT */
/*
 * A VFIO device fd, however it was opened (drivers/vfio/vfio_main.c, drivers/vfio/pci/). Calls
 * return 0 or -errno, with a message that doesn't name the device: the caller puts that first.
 */
#ifndef WR_KERNEL_VDEV_H
#define WR_KERNEL_VDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/device.h>

#include "kernel/uapi.h"

/* A region as the kernel tells of it. */
struct wr_vdev_region {
	uint64_t offset;		/* in the fd */
	uint64_t size;			/* 0: the device hasn't got it */
	uint32_t flags;
	bool msix_mappable;
	unsigned int n_areas;		/* that can be mapped, ascending */
	struct weir_area *areas;	/* the caller frees them */
};

int wr_vdev_info(int fd, struct wr_vfio_device_info *info);
int wr_vdev_region(int fd, unsigned int index, struct wr_vdev_region *region);
int wr_vdev_irq(int fd, unsigned int irq, struct wr_vfio_irq_info *info);

/* All of it, or -EIO. @offset is the fd's: that of the region and inside it. */
int wr_vdev_read(int fd, uint64_t offset, void *buf, size_t len);
int wr_vdev_write(int fd, uint64_t offset, const void *buf, size_t len);

/* An fd from outside must be an eventfd: 0, -EBADF or -EINVAL. */
int wr_check_eventfd(int fd);

/*
 * Have vectors [first, first + count) signal these eventfds, -1 for none. The first call allocates
 * vectors 0 to first + count - 1; -ENOSPC, and nothing allocated, when the host has fewer to give.
 * When a later call fails, any of its vectors may have lost its eventfd.
 */
int wr_vdev_irq_set(int fd, unsigned int irq, unsigned int first, unsigned int count,
		    const int *fds);
int wr_vdev_irq_disable(int fd, unsigned int irq);

/* @action: WR_VFIO_IRQ_SET_MASK, _UNMASK or _TRIGGER, on one vector. */
int wr_vdev_irq_act(int fd, unsigned int irq, unsigned int vector, uint32_t action);

/* Unmask a vector whenever @eventfd is written; -1: no longer. */
int wr_vdev_irq_unmask_fd(int fd, unsigned int irq, unsigned int vector, int eventfd);

/* @offset as of wr_vdev_write(). @eventfd -1 removes it. */
int wr_vdev_ioeventfd(int fd, uint64_t offset, unsigned int width, uint64_t value, int eventfd);

int wr_vdev_reset(int fd);

/*
 * The functions that a hot reset of this one resets, itself included. Returns their number; the
 * caller frees *@out. -ENOTSUP: it can't be reset so. @flags: of struct wr_vfio_hot_reset_info.
 */
int wr_vdev_hot_reset_info(int fd, struct wr_vfio_dependent **out, uint32_t *flags);

/* Reset them; @groups are the fds of all their groups, or none for a device without a group fd. */
int wr_vdev_hot_reset(int fd, const int *groups, unsigned int n);

/*
 * A dma-buf of a part of a BAR (vfio_pci_core_feature_dma_buf()). Returns its fd; -ENOTSUP when the
 * kernel makes none.
 */
int wr_vdev_export(int fd, unsigned int region, uint64_t offset, uint64_t len);

/* VFIO_DEVICE_FEATURE: returns what the kernel says, without a message. */
int wr_vdev_feature(int fd, uint32_t flags, const void *data, size_t len);

#endif
