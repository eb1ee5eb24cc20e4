/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>

#include "base/file.h"
#include "base/sys.h"
#include "pci/sysfs.h"

/* A name that is one component of a path, so that it can't lead elsewhere. */
static bool is_component(const char *name)
{
	return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

static int device_path(char path[WR_PCI_PATH_MAX], const char *root, const char *bus,
		       const char *addr, const char *attr)
{
	int len;

	if (!is_component(addr))
		return -ENOENT;
	len = snprintf(path, WR_PCI_PATH_MAX, "%s/sys/bus/%s/devices/%s%s%s", root, bus, addr,
		       *attr ? "/" : "", attr);
	return len < WR_PCI_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool on_bus(const char *root, const char *bus, const char *addr)
{
	char path[WR_PCI_PATH_MAX];

	return !device_path(path, root, bus, addr, "") && !wr_sys->access(path);
}

/* Which other bus has a device of that name; false for none. */
static bool other_bus(const char *root, const char *addr, char bus[NAME_MAX + 1])
{
	char path[WR_PCI_PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (snprintf(path, sizeof(path), "%s/sys/bus", root) >= (int)sizeof(path))
		return false;
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "pci"))
			continue;
		found = on_bus(root, entry->d_name, addr);
		if (found)
			strcpy(bus, entry->d_name);
	}
	closedir(dir);
	return found;
}

int wr_pci_exists(const char *root, const char *addr)
{
	char bus[NAME_MAX + 1], name[WR_PCI_NAME_MAX];
	size_t i;

	if (on_bus(root, "pci", addr))
		return 0;

	/* It may be anything a user typed, and the message may end on a terminal. */
	for (i = 0; addr[i] && i < sizeof(name) - 1; i++)
		name[i] = (char)(addr[i] >= 0x20 && addr[i] < 0x7f ? addr[i] : '?');
	name[i] = '\0';
	if (other_bus(root, addr, bus))
		return wr_fail(-EINVAL, "%s is a device of the %s bus; weir takes PCI functions, "
			       "which 'weir list' shows", name, bus);
	return wr_fail(-ENOENT, "%s: there is no such PCI function%s%s; 'weir list' shows those "
		       "there are", name, *root ? " under " : "", root);
}

int wr_pci_attr(const char *root, const char *addr, const char *attr, char *buf, size_t size)
{
	char path[WR_PCI_PATH_MAX];
	int ret = device_path(path, root, "pci", addr, attr);

	return ret < 0 ? ret : wr_read_text(path, buf, size);
}

int wr_pci_attr_u64(const char *root, const char *addr, const char *attr, uint64_t *value)
{
	char path[WR_PCI_PATH_MAX];
	int ret = device_path(path, root, "pci", addr, attr);

	return ret < 0 ? ret : wr_read_u64(path, value);
}

int wr_pci_link(const char *root, const char *addr, const char *link, char name[WR_PCI_NAME_MAX])
{
	char path[WR_PCI_PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t len;
	int ret = device_path(path, root, "pci", addr, link);

	if (ret < 0)
		return ret;
	len = wr_sys->readlink(path, target, sizeof(target));
	if (len == -EINVAL && strlen(path) + sizeof("/.") <= sizeof(path) &&
	    !wr_sys->access(strcat(path, "/.")))
		return -EISDIR;
	if (len < 0)
		return (int)len;
	if ((size_t)len == sizeof(target))
		return -ENAMETOOLONG;
	target[len] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (!is_component(last))
		return -EINVAL;
	if (strlen(last) >= WR_PCI_NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(name, last);
	return 0;
}

bool wr_pci_any_iommu(const char *root)
{
	char path[WR_PCI_PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	/* iommu_device_sysfs_add() in drivers/iommu/iommu-sysfs.c */
	if (snprintf(path, sizeof(path), "%s/sys/class/iommu", root) >= (int)sizeof(path))
		return false;
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.';
	closedir(dir);
	return found;
}

enum weir_role wr_pci_role(const char *root, const char *addr, const char *driver)
{
	char path[WR_PCI_PATH_MAX];

	if (!*driver)
		return WEIR_ROLE_FREE;
	if (strstr(driver, "vfio") ||
	    (snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/vfio-dev", root, addr) <
	     (int)sizeof(path) && !wr_sys->access(path)))
		return WEIR_ROLE_VFIO;
	if (!strcmp(driver, "pcieport") || !strcmp(driver, "pci-stub") ||
	    !strcmp(driver, "pci-pf-stub"))
		return WEIR_ROLE_HARMLESS;
	return WEIR_ROLE_IN_THE_WAY;
}
