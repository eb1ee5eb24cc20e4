/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/err.h"
#include "base/file.h"
#include "base/holder.h"
#include "base/sys.h"
#include "kernel/group.h"
#include "kernel/uapi.h"
#include "pci/sysfs.h"

#define UUID_LEN 36

int wr_group_in_the_way(int number)
{
	char path[64], driver[WR_PCI_NAME_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices", number);
	dir = opendir(path);
	while (dir && !ret && (entry = readdir(dir))) {
		if (wr_pci_link("", entry->d_name, "driver", driver) ||
		    wr_pci_role("", entry->d_name, driver) != WEIR_ROLE_IN_THE_WAY)
			continue;
		ret = wr_fail(-EPERM, "group %d is not viable: %s is bound to %s; bind it to "
			      "vfio-pci too, or unbind it from %s", number, entry->d_name, driver,
			      driver);
	}
	if (dir)
		closedir(dir);
	return ret;
}

static int not_viable(int number)
{
	int ret = wr_group_in_the_way(number);

	return ret ? ret : wr_fail(-EPERM, "group %d is not viable: a member of it (see "
				   "/sys/kernel/iommu_groups/%d/devices) is in the hands of a "
				   "kernel driver", number, number);
}

/* vfio_group_fops_open(), vfio_device_fops_cdev_open() */
const char *wr_group_cure(const struct wr_group *group, int err)
{
	return group->noiommu && err == -EPERM ? ": without an IOMMU it takes the capability "
						 "CAP_SYS_RAWIO: run as root" : "";
}

static int open_node(const struct wr_group *group)
{
	const char *node = group->node;
	char holder[64];
	int fd = wr_sys->open(node, O_RDWR);

	switch (fd) {
	case -ENOENT:
	case -ENXIO:
		return wr_fail(-ENODEV, "%s doesn't exist: this kernel's VFIO has no groups, or "
			       "another driver than vfio-pci was bound meanwhile", node);
	case -EACCES:
		return wr_may_not_open(node);
	case -EBUSY:
		if (wr_holder(node, holder, sizeof(holder)))
			return wr_fail(-EBUSY, "%s is open elsewhere, in a process that this user "
				       "can't see, or a device of the group is in use through "
				       "/dev/vfio/devices", node);
		return wr_fail(-EBUSY, "%s is open already, in %s; a group can be used by one "
			       "context at a time", node, holder);
	default:
		if (fd < 0)
			return wr_fail(fd, "opening %s: %s%s", node, strerror(-fd),
				       wr_group_cure(group, fd));
		return fd;
	}
}

int wr_group_is_noiommu(int number)
{
	char path[64], name[32];
	int ret;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name", number);
	ret = wr_read_text(path, name, sizeof(name));
	if (ret == -ENOENT)
		return 0;
	return ret < 0 ? wr_fail(ret, "%s: %s", path, strerror(-ret)) :
			 !strcmp(name, "vfio-noiommu");
}

int wr_group_open(struct wr_group *group)
{
	struct wr_vfio_group_status status = { .argsz = sizeof(status) };
	int ret = open_node(group);

	if (ret < 0)
		return ret;
	group->fd = ret;
	ret = wr_sys->ioctl(group->fd, WR_VFIO_GROUP_GET_STATUS, &status);
	if (ret < 0)
		wr_fail(ret, "status of %s: %s", group->node, strerror(-ret));
	else if (!(status.flags & WR_VFIO_GROUP_VIABLE))
		ret = not_viable(group->number);
	else
		return 0;
	wr_group_close(group);
	return ret;
}

void wr_group_close(struct wr_group *group)
{
	wr_close(group->fd);
	group->fd = -1;
}

int wr_group_device_fd(struct wr_group *group, const char *addr, const char *vf_token)
{
	char name[WR_PCI_ADDR_MAX + sizeof(" vf_token=") + UUID_LEN];
	int fd;

	if (vf_token && strlen(vf_token) != UUID_LEN)
		return wr_fail(-EINVAL, "a VF token is a UUID of %d characters, this one has %zu",
			       UUID_LEN, strlen(vf_token));
	if (vf_token)
		snprintf(name, sizeof(name), "%s vf_token=%s", addr, vf_token);
	else
		snprintf(name, sizeof(name), "%s", addr);
	fd = wr_sys->ioctl(group->fd, WR_VFIO_GROUP_GET_DEVICE_FD, name);
	switch (fd) {
	case -ENODEV:
		return wr_fail(fd, "no longer a VFIO device of group %d: it was unbound from "
			       "vfio-pci or unplugged", group->number);
	case -EACCES:
		return wr_fail(fd, "a VF token is needed, and %s",
			       vf_token ? "the one given is wrong" : "none was given");
	case -EAGAIN:
		return wr_fail(fd, "the kernel is busy resetting it; try again");
	/* The following two IOMMUFD says, which looks at group and device only now. */
	case -EADDRINUSE:
		return wr_fail(-EINVAL, "a mapping lies where the device can't have it, in its "
			       "interrupt window or in memory that firmware reserved");
	case -EPERM:
		return wr_group_in_the_way(group->number) ? fd :
		       wr_fail(fd, "the kernel refuses it: interrupts aren't isolated here (see "
			       "the kernel's log, and allow_unsafe_interrupts of iommufd)");
	case -EINVAL:
		if (vf_token)
			return wr_fail(fd, "the kernel refuses the VF token: it is no UUID, or "
				       "the function needs none");
		/* fall through */
	default:
		if (fd < 0)
			return wr_fail(fd, "opening the device in %s: %s", group->node,
				       strerror(-fd));
		return fd;
	}
}
