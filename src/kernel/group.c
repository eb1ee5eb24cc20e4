/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/holder.h"
#include "base/sys.h"
#include "kernel/group.h"
#include "kernel/uapi.h"
#include "pci/sysfs.h"

#define UUID_LEN 36

/* Name the member that is in a kernel driver's hands. */
static int not_viable(const struct wr_group *group, const char *addr)
{
	char path[64], driver[WR_PCI_NAME_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices", group->number);
	dir = opendir(path);
	while (dir && !ret && (entry = readdir(dir))) {
		if (wr_pci_link("", entry->d_name, "driver", driver) ||
		    wr_pci_role("", entry->d_name, driver) != WEIR_ROLE_IN_THE_WAY)
			continue;
		ret = wr_fail(-EPERM, "%s: group %d is not viable: %s is bound to %s; bind it to "
			      "vfio-pci too, or unbind it from %s", addr, group->number,
			      entry->d_name, driver, driver);
	}
	if (dir)
		closedir(dir);
	if (!ret)
		ret = wr_fail(-EPERM, "%s: group %d is not viable: a member of it (see %s) is in "
			      "the hands of a kernel driver", addr, group->number, path);
	return ret;
}

static int may_not_open(const char *node, const char *addr)
{
	struct stat st;

	if (stat(node, &st))
		return wr_fail(-EACCES, "%s: %s may not be opened by this user", addr, node);
	return wr_fail(-EACCES, "%s: %s may not be opened by user %u: its owner is user %u%s, "
		       "group %u, mode %04o; run as root, or give this user the node (chown)",
		       addr, node, geteuid(), st.st_uid, st.st_uid ? "" : " (root)", st.st_gid,
		       st.st_mode & 07777);
}

static int open_node(const char *node, const char *addr)
{
	char holder[64];
	int fd = wr_sys->open(node, O_RDWR);

	switch (fd) {
	case -ENOENT:
	case -ENXIO:
		return wr_fail(-ENODEV, "%s: %s doesn't exist: this kernel's VFIO has no groups, "
			       "or another driver than vfio-pci was bound meanwhile", addr, node);
	case -EACCES:
		return may_not_open(node, addr);
	case -EBUSY:
		if (wr_holder(node, holder, sizeof(holder)))
			return wr_fail(-EBUSY, "%s: %s is open elsewhere, in a process that this "
				       "user can't see, or a device of the group is in use "
				       "through /dev/vfio/devices", addr, node);
		return wr_fail(-EBUSY, "%s: %s is open already, in %s; a group can be used by one "
			       "context at a time", addr, node, holder);
	default:
		if (fd < 0)
			return wr_fail(fd, "%s: opening %s: %s", addr, node, strerror(-fd));
		return fd;
	}
}

int wr_group_open(int number, const char *addr, struct wr_group **out)
{
	struct wr_vfio_group_status status = { .argsz = sizeof(status) };
	struct wr_group *group = calloc(1, sizeof(*group));
	int ret;

	if (!group)
		return wr_fail(-ENOMEM, "%s: no memory", addr);
	wr_list_init(&group->link);
	group->number = number;
	snprintf(group->node, sizeof(group->node), "/dev/vfio/%d", number);
	group->fd = ret = open_node(group->node, addr);
	if (ret < 0)
		goto free_group;
	ret = wr_sys->ioctl(group->fd, WR_VFIO_GROUP_GET_STATUS, &status);
	if (ret < 0) {
		wr_fail(ret, "%s: status of %s: %s", addr, group->node, strerror(-ret));
		goto close_node;
	}
	if (!(status.flags & WR_VFIO_GROUP_VIABLE)) {
		ret = not_viable(group, addr);
		goto close_node;
	}
	*out = group;
	return 0;
close_node:
	wr_close(group->fd);
free_group:
	free(group);
	return ret;
}

void wr_group_close(struct wr_group *group)
{
	wr_close(group->fd);
	free(group);
}

int wr_group_device_fd(struct wr_group *group, const char *addr, const char *vf_token)
{
	char name[WR_PCI_ADDR_MAX + sizeof(" vf_token=") + UUID_LEN];
	int fd;

	if (vf_token && strlen(vf_token) != UUID_LEN)
		return wr_fail(-EINVAL, "%s: a VF token is a UUID of %d characters, this one has "
			       "%zu", addr, UUID_LEN, strlen(vf_token));
	if (vf_token)
		snprintf(name, sizeof(name), "%s vf_token=%s", addr, vf_token);
	else
		snprintf(name, sizeof(name), "%s", addr);
	fd = wr_sys->ioctl(group->fd, WR_VFIO_GROUP_GET_DEVICE_FD, name);
	switch (fd) {
	case -ENODEV:
		return wr_fail(fd, "%s: no longer a VFIO device of group %d: it was unbound from "
			       "vfio-pci or unplugged", addr, group->number);
	case -EACCES:
		return wr_fail(fd, "%s: a VF token is needed, and %s", addr,
			       vf_token ? "the one given is wrong" : "none was given");
	case -EAGAIN:
		return wr_fail(fd, "%s: the kernel is busy resetting it; try again", addr);
	case -EINVAL:
		if (vf_token)
			return wr_fail(fd, "%s: the kernel refuses the VF token: it is no UUID, or "
				       "the function needs none", addr);
		/* fall through */
	default:
		if (fd < 0)
			return wr_fail(fd, "%s: opening the device in %s: %s", addr, group->node,
				       strerror(-fd));
		return fd;
	}
}
