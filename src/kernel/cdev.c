/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/err.h"
#include "base/file.h"
#include "base/holder.h"
#include "base/sys.h"
#include "kernel/cdev.h"
#include "kernel/group.h"
#include "kernel/uapi.h"
#include "pci/sysfs.h"

/* What sysfs says of it: its node, and which character device that must be. */
static int find_node(const char *addr, bool noiommu, char node[WR_PCI_NAME_MAX], dev_t *device)
{
	char folder[128], path[256], name[32], text[32];
	unsigned int major_number, minor_number;
	int ret;

	snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%s/vfio-dev", addr);
	ret = wr_sys->find(folder, noiommu ? "noiommu-vfio" : "vfio", name, sizeof(name));
	if (ret == -ENOENT && noiommu)
		return wr_fail(-ENOTSUP, "%s has no noiommu-vfioN: this kernel's VFIO knows "
			       "devices without an IOMMU by groups only (CONFIG_VFIO_DEVICE_CDEV, "
			       "Linux 7.3)", folder);
	if (ret == -ENOENT)
		return wr_fail(-ENOTSUP, "%s tells of no VFIO device: this kernel's VFIO has none "
			       "(Linux 6.6), or another driver was bound meanwhile", folder);
	if (ret)
		return wr_fail(ret, "%s: %s", folder, strerror(-ret));
	snprintf(path, sizeof(path), "%s/%s/dev", folder, name);
	ret = wr_read_text(path, text, sizeof(text));
	if (ret == -ENOENT)
		return wr_fail(-ENOTSUP, "it has no node of its own, %s/%s has no dev: this "
			       "kernel's VFIO goes by groups only (CONFIG_VFIO_DEVICE_CDEV, Linux "
			       "6.6)", folder, name);
	if (ret < 0)
		return wr_fail(ret, "%s: %s", path, strerror(-ret));
	if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return wr_fail(-ENOTSUP, "%s says \"%s\", which is no device", path, text);
	snprintf(node, WR_PCI_NAME_MAX, "/dev/vfio/devices/%s", name);
	*device = makedev(major_number, minor_number);
	return 0;
}

static int check_node(int fd, const char *what, dev_t device)
{
	dev_t found;

	if (wr_sys->char_device(fd, &found))
		return wr_fail(-EINVAL, "%s is no character device", what);
	if (found != device)
		return wr_fail(-EINVAL, "%s is device %u:%u, and sysfs says that this function is "
			       "%u:%u", what, major(found), minor(found), major(device),
			       minor(device));
	return 0;
}

int wr_cdev_open(const char *addr, const struct wr_group *group)
{
	char node[WR_PCI_NAME_MAX];
	dev_t device;
	int fd, ret = find_node(addr, group->noiommu, node, &device);

	if (ret)
		return ret;
	fd = wr_sys->open(node, O_RDWR);
	switch (fd) {
	case -ENOENT:
	case -ENXIO:
		return wr_fail(-ENOTSUP, "%s doesn't exist, though the kernel has it: nobody made "
			       "the node here (a container without it, a /dev without devtmpfs)",
			       node);
	case -EACCES:
		return wr_may_not_open(node);
	default:
		if (fd < 0)
			return wr_fail(fd, "opening %s: %s%s", node, strerror(-fd),
				       wr_group_cure(group, fd));
	}
	ret = check_node(fd, node, device);
	if (ret)
		wr_close(fd);
	return ret ? ret : fd;
}

int wr_cdev_dup(const char *addr, const struct wr_group *group, int fd)
{
	char node[WR_PCI_NAME_MAX], what[64];
	dev_t device;
	int copy, ret = find_node(addr, group->noiommu, node, &device);

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "the fd that was given (%d)", fd);
	ret = check_node(fd, what, device);
	if (ret)
		return ret;
	copy = wr_sys->dup(fd);
	return copy < 0 ? wr_fail(copy, "%s: %s", what, strerror(-copy)) : copy;
}

/* The bytes of a UUID, in the order of its text, as the kernel's uuid_parse() has them. */
static int parse_uuid(const char *text, unsigned char uuid[16])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t digits = 0;

	memset(uuid, 0, 16);
	if (strlen(text) != sizeof(form) - 1)
		return wr_fail(-EINVAL, "a VF token is a UUID of %zu characters, this one has %zu",
			       sizeof(form) - 1, strlen(text));
	for (size_t i = 0; form[i]; i++) {
		char c = text[i] | 0x20;
		int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
			    -1;

		if (form[i] == '-' ? text[i] != '-' : value < 0)
			return wr_fail(-EINVAL, "the VF token is no UUID: its character %zu is "
				       "'%c'", i, text[i]);
		if (form[i] == '-')
			continue;
		uuid[digits / 2] |= (unsigned char)(digits % 2 ? value : value << 4);
		digits++;
	}
	return 0;
}

/* Another of the group has its node open: with another IOMMUFD, since the kernel refuses ours. */
static int member_in_use(const char *addr, int group)
{
	char path[64], node[WR_PCI_NAME_MAX], holder[64];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices", group);
	dir = opendir(path);
	while (dir && !ret && (entry = readdir(dir))) {
		dev_t device;

		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, addr) ||
		    find_node(entry->d_name, false, node, &device) ||
		    wr_holder(node, holder, sizeof(holder)))
			continue;
		ret = wr_fail(-EBUSY, "group %d, which it is in, is in use by another context: %s, "
			      "which is %s, is open in %s", group, node, entry->d_name, holder);
	}
	if (dir)
		closedir(dir);
	return ret;
}

static int not_bound(int err, const char *addr, const struct wr_group *group, const char *vf_token)
{
	char holder[64];
	int ret;

	switch (err) {
	case -EPERM:
		ret = wr_group_in_the_way(group->number);
		if (!ret)
			ret = member_in_use(addr, group->number);
		if (ret)
			return ret;
		return wr_fail(err, "the kernel doesn't bind it to IOMMUFD: interrupts aren't "
			       "isolated here, or a member of group %d is in the hands of a kernel "
			       "driver (see the kernel's log, and allow_unsafe_interrupts of "
			       "iommufd)", group->number);
	case -EBUSY:
		if (wr_holder(group->node, holder, sizeof(holder)))
			return wr_fail(err, "it is in use: %s is open, in a process that this user "
				       "can't see", group->node);
		return wr_fail(err, "it is in use: %s is open, in %s", group->node, holder);
	case -EACCES:
		return wr_fail(err, "a VF token is needed, and %s",
			       vf_token ? "the one given is wrong" : "none was given");
	case -EAGAIN:
		return wr_fail(err, "the kernel is busy resetting it; try again");
	case -ENODEV:
		return wr_fail(err, "it is no longer a VFIO device: it was unbound or unplugged");
	case -EINVAL:
		if (vf_token)
			return wr_fail(err, "the kernel refuses to bind it with a VF token: the "
				       "function needs none, or the kernel takes one by groups "
				       "only (before Linux 6.17)");
		return wr_fail(err, "the kernel refuses to bind it to IOMMUFD: it is bound "
			       "already, in this process or another, or firmware reserved memory "
			       "for it (RMRR, see the kernel's log)");
	default:
		return wr_fail(err, "binding it to IOMMUFD: %s", strerror(-err));
	}
}

int wr_cdev_bind(int fd, int iommufd, const char *addr, const struct wr_group *group,
		 const char *vf_token, uint32_t *devid)
{
	struct wr_vfio_bind bind = {
		.argsz = offsetof(struct wr_vfio_bind, token),
		.iommufd = iommufd,
	};
	unsigned char uuid[16];
	int ret = vf_token ? parse_uuid(vf_token, uuid) : 0;

	if (ret)
		return ret;
	if (vf_token) {
		bind.argsz = sizeof(bind);
		bind.flags = WR_VFIO_BIND_TOKEN;
		bind.token = (uintptr_t)uuid;
	}
	ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (ret < 0)
		return not_bound(ret, addr, group, vf_token);
	*devid = bind.out_devid;
	return 0;
}

/* vfio_df_ioctl_attach_pt() */
static int attached(int ret)
{
	switch (ret) {
	case -EADDRINUSE:
		return wr_fail(-EINVAL, "the kernel refuses it this address space: a mapping, or "
			       "what weir_ioas_allow() demands, lies where the device can't have "
			       "it, in its interrupt window or in memory that firmware reserved");
	case -EBUSY:
		return wr_fail(ret, "it is being reset; try again");
	default:
		return ret < 0 ? wr_fail(ret, "attaching it to its page table: %s",
					 strerror(-ret)) : 0;
	}
}

int wr_cdev_attach(int fd, uint32_t id)
{
	struct wr_vfio_attach attach = {
		.argsz = offsetof(struct wr_vfio_attach, pasid), .pt_id = id,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_ATTACH_PT, &attach);

	if (ret == -EINVAL)
		return wr_fail(ret, "the kernel refuses it this page table: the device's IOMMU "
			       "can't use it, or a device of its group uses another");
	/* arm_smmu_attach_prepare_vmaster(), of each in the group: those that are open have one. */
	if (ret == -ENOENT)
		return wr_fail(ret, "the guest's entry translates, and a device of its group that "
			       "isn't open has no number in the guest's vIOMMU: open it, and "
			       "weir_vdevice_alloc()");
	return attached(ret);
}

int wr_cdev_attach_pasid(int fd, uint32_t pasid, uint32_t id)
{
	struct wr_vfio_attach attach = {
		.argsz = sizeof(attach), .flags = WR_VFIO_ATTACH_PASID, .pt_id = id,
		.pasid = pasid,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_ATTACH_PT, &attach);

	if (ret == -EINVAL)
		return wr_fail(ret, "the kernel refuses PASID %u this page table: the device's "
			       "IOMMU can't use it, or the kernel is older than Linux 6.15", pasid);
	if (ret == -EOPNOTSUPP)
		return wr_fail(ret, "its VFIO driver has no PASIDs");
	return attached(ret);
}

void wr_cdev_detach(int fd)
{
	struct wr_vfio_detach detach = { .argsz = offsetof(struct wr_vfio_detach, pasid) };
	int ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_DETACH_PT, &detach);

	if (ret < 0)
		wr_log(WEIR_LOG_WARN, "a device stays attached to its page table until it is "
		       "closed: %s", strerror(-ret));
}

int wr_cdev_detach_pasid(int fd, uint32_t pasid)
{
	struct wr_vfio_detach detach = {
		.argsz = sizeof(detach), .flags = WR_VFIO_ATTACH_PASID, .pasid = pasid,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_DEVICE_DETACH_PT, &detach);

	return ret < 0 ? wr_fail(ret, "detaching PASID %u: %s", pasid, strerror(-ret)) : 0;
}
