/* SPDX-License-Identifier: MIT */
/*
 * One function's attributes (Documentation/ABI/testing/sysfs-bus-pci in the kernel's tree). None
 * of those read here resumes a sleeping device.
 *
 * What isn't there has its default; vendor, device and class are always there, so a function
 * without them is vanishing. What is there and makes no sense is an error: it can only come from
 * a damaged capture, and to guess would be to give wrong advice.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/host.h"

static bool is_gone(int err)
{
	/*
	 * -ENODEV: the attribute was open already when the device went (fs/kernfs/file.c).
	 * -ENOTDIR: in a captured tree, something that is no function.
	 */
	return err == -ENOENT || err == -ENODEV || err == -ENOTDIR;
}

static int unreadable(const char *root, const char *address, const char *attr, const char *what,
		      int err)
{
	if (err == -EINVAL || err == -ERANGE || err == -EOVERFLOW || err == -ENAMETOOLONG)
		return wr_fail(-EIO, "%s: %s/sys/bus/pci/devices/%s/%s %s; the kernel never "
			       "writes that, so the tree is damaged", address, root, address, attr,
			       what);
	return wr_fail(err, "%s: %s/sys/bus/pci/devices/%s/%s can't be read: %s", address, root,
		       address, attr, strerror(-err));
}

/* Returns 0; -ENOENT when there is no such attribute; others with a message. */
static int read_number(const char *root, const char *address, const char *attr, uint64_t max,
		       uint64_t *value)
{
	uint64_t number = 0;
	int ret = wr_pci_attr_u64(root, address, attr, &number);

	if (!ret && number > max)
		ret = -ERANGE;
	if (is_gone(ret))
		return -ENOENT;
	if (ret < 0)
		return unreadable(root, address, attr, "holds no number in its range", ret);
	*value = number;
	return 0;
}

static int read_ids(const char *root, struct weir_host_function *fn)
{
	struct {
		const char *attr;
		uint64_t max;
		bool needed;
		uint64_t value;
	} ids[] = {
		{ "vendor", UINT16_MAX, true, 0 },
		{ "device", UINT16_MAX, true, 0 },
		{ "class", 0xffffff, true, 0 },
		{ "subsystem_vendor", UINT16_MAX, false, 0 },
		{ "subsystem_device", UINT16_MAX, false, 0 },
		{ "revision", UINT8_MAX, false, 0 },	/* since kernel 4.10 */
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		int ret = read_number(root, fn->address, ids[i].attr, ids[i].max, &ids[i].value);

		if (ret < 0 && (ret != -ENOENT || ids[i].needed))
			return ret;
	}
	fn->vendor = (uint16_t)ids[0].value;
	fn->device = (uint16_t)ids[1].value;
	fn->class_code = (uint32_t)ids[2].value;
	fn->subsystem_vendor = (uint16_t)ids[3].value;
	fn->subsystem_device = (uint16_t)ids[4].value;
	fn->revision = (uint8_t)ids[5].value;
	return 0;
}

static int read_numa_node(const char *root, struct weir_host_function *fn)
{
	char text[16];
	uint64_t node;
	int ret = wr_pci_attr(root, fn->address, "numa_node", text, sizeof(text));

	fn->numa_node = -1;
	/* Kernels without CONFIG_NUMA have no such attribute. */
	if (is_gone(ret) || (ret > 0 && !strcmp(text, "-1")))
		return 0;
	if (ret < 0)
		return unreadable(root, fn->address, "numa_node", "holds no number", ret);
	ret = read_number(root, fn->address, "numa_node", INT_MAX, &node);
	if (!ret)
		fn->numa_node = (int)node;
	return ret == -ENOENT ? 0 : ret;
}

static int read_name(const char *root, const char *address, const char *link,
		     char name[WR_PCI_NAME_MAX])
{
	int ret = wr_pci_link(root, address, link, name);

	if (is_gone(ret)) {
		name[0] = '\0';
		return 0;
	}
	if (ret < 0)
		return unreadable(root, address, link, "is no link to a name", ret);
	return 0;
}

/*
 * A function that is an IOMMU itself, as AMD's are, isn't behind one: its "iommu" is no link but
 * the folder of what it registered (iommu_device_sysfs_add() in drivers/iommu/iommu-sysfs.c).
 */
static int read_iommu(const char *root, struct weir_host_function *fn)
{
	if (wr_pci_link(root, fn->address, "iommu", fn->iommu) == -EISDIR) {
		fn->iommu[0] = '\0';
		return 0;
	}
	return read_name(root, fn->address, "iommu", fn->iommu);
}

static int read_group(const char *root, struct weir_host_function *fn)
{
	char name[WR_PCI_NAME_MAX], *end;
	long number;
	int ret = read_name(root, fn->address, "iommu_group", name);

	fn->group = -1;
	if (ret < 0 || !name[0])
		return ret;
	errno = 0;
	number = strtol(name, &end, 10);
	if (errno || name[0] < '0' || name[0] > '9' || *end || number > INT_MAX)
		return unreadable(root, fn->address, "iommu_group",
				  "is no link to a group's number", -EINVAL);
	fn->group = (int)number;
	return 0;
}

/*
 * The group's node is there while any of its members is bound to VFIO. The kernel's own list of
 * nodes is as good a witness as /dev, which a container may hide and a captured tree may lack.
 */
static bool has_node(const char *root, const char *prefix, int group)
{
	static const char *const folders[] = { "/dev/vfio", "/sys/class/vfio" };
	char path[WR_PCI_PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (snprintf(path, sizeof(path), "%s%s/%s%d", root, folders[i], prefix, group) <
		    (int)sizeof(path) && !access(path, F_OK))
			return true;
	return false;
}

static void find_node(const char *root, struct weir_host_function *fn)
{
	static const char *const prefixes[] = { "", "noiommu-" };

	fn->vfio_node[0] = '\0';
	if (fn->group < 0 || fn->role != WEIR_ROLE_VFIO)
		return;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (has_node(root, prefixes[i], fn->group)) {
			snprintf(fn->vfio_node, sizeof(fn->vfio_node), "/dev/vfio/%s%d",
				 prefixes[i], fn->group);
			return;
		}
}

int wr_host_scan(const char *root, struct weir_host_function *fn)
{
	int ret = read_ids(root, fn);

	if (!ret)
		ret = read_numa_node(root, fn);
	if (!ret)
		ret = read_name(root, fn->address, "driver", fn->driver);
	if (!ret)
		ret = read_iommu(root, fn);
	if (!ret)
		ret = read_group(root, fn);
	if (!ret) {
		fn->role = wr_pci_role(root, fn->address, fn->driver);
		find_node(root, fn);
	}
	return ret;
}
