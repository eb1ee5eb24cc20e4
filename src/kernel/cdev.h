/* SPDX-License-Identifier: MIT */
/*
 * A device's own node, /dev/vfio/devices/vfioN (drivers/vfio/device_cdev.c, since Linux 6.6), or
 * without an IOMMU noiommu-vfioN (since 7.3): bound to an IOMMUFD and attached to a page table of
 * it, it is a device fd as a group gives. It is bound until its last fd is closed. Messages don't
 * name the device.
 */
#ifndef WR_KERNEL_CDEV_H
#define WR_KERNEL_CDEV_H

#include <stdint.h>

struct wr_group;

/* Open the node of the function at @addr, of that group. Returns its fd; -ENOTSUP: it has none. */
int wr_cdev_open(const char *addr, const struct wr_group *group);

/* Another fd for one that was given, which must be of that node; the caller closes it. */
int wr_cdev_dup(const char *addr, const struct wr_group *group, int fd);

/*
 * Bind it, which is the function at @addr; *devid: its number in the IOMMUFD. @vf_token: a UUID as
 * text, or NULL. 0 or -errno.
 */
int wr_cdev_bind(int fd, int iommufd, const char *addr, const struct wr_group *group,
		 const char *vf_token, uint32_t *devid);

/*
 * Let it use a page table, instead of the one that it uses, if any, at once; or an IOAS, for which
 * the kernel finds or makes one. -EINVAL: not that one. 0 or -errno.
 */
int wr_cdev_attach(int fd, uint32_t id);
void wr_cdev_detach(int fd);

/* The same for what the device does with a PASID; the second: 0 or -errno. */
int wr_cdev_attach_pasid(int fd, uint32_t pasid, uint32_t id);
int wr_cdev_detach_pasid(int fd, uint32_t pasid);

#endif
