/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>

#include "base/root.h"
#include "pci/sysfs.h"

/* A name that is one component of a path, so that it can't lead elsewhere. */
static bool is_component(const char *name)
{
	return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

static int device_path(char path[WR_PCI_PATH_MAX], const char *bus, const char *addr,
		       const char *attr)
{
	int len;

	if (!is_component(addr))
		return -ENOENT;
	len = snprintf(path, WR_PCI_PATH_MAX, "/sys/bus/%s/devices/%s%s%s", bus, addr,
		       *attr ? "/" : "", attr);
	return len < WR_PCI_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool on_bus(const char *root, const char *bus, const char *addr)
{
	char path[WR_PCI_PATH_MAX];

	return !device_path(path, bus, addr, "") && wr_root_has(root, path);
}

/* Which other bus has a device of that name; false for none. */
static bool other_bus(const char *root, const char *addr, char bus[NAME_MAX + 1])
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (wr_root_dir(root, "/sys/bus", &dir) < 0)
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
	int ret = device_path(path, "pci", addr, attr);

	return ret < 0 ? ret : wr_root_text(root, path, buf, size);
}

int wr_pci_attr_u64(const char *root, const char *addr, const char *attr, uint64_t *value)
{
	char path[WR_PCI_PATH_MAX];
	int ret = device_path(path, "pci", addr, attr);

	return ret < 0 ? ret : wr_root_u64(root, path, value);
}

/* The name that a link's text, of which that is the length or -errno, ends in. */
static int last_name(const char *target, int len, char name[WR_PCI_NAME_MAX])
{
	const char *last;

	if (len < 0)
		return len;
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (!is_component(last))
		return -EINVAL;
	if (strlen(last) >= WR_PCI_NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(name, last);
	return 0;
}

int wr_pci_link(const char *root, const char *addr, const char *link, char name[WR_PCI_NAME_MAX])
{
	char path[WR_PCI_PATH_MAX], target[PATH_MAX];
	int ret = device_path(path, "pci", addr, link);

	if (ret < 0)
		return ret;
	ret = wr_root_link(root, path, target, sizeof(target));
	if (ret == -EINVAL && strlen(path) + sizeof("/.") <= sizeof(path) &&
	    wr_root_has(root, strcat(path, "/.")))
		return -EISDIR;
	return last_name(target, ret, name);
}

int wr_pci_folder_link(const struct wr_folder *function, const char *link,
		       char name[WR_PCI_NAME_MAX])
{
	char target[PATH_MAX];
	struct wr_folder folder;
	int ret = wr_folder_link(function, link, target, sizeof(target));

	if (ret == -EINVAL && !wr_folder_enter(function, link, &folder)) {
		wr_folder_leave(&folder);
		return -EISDIR;
	}
	return last_name(target, ret, name);
}

bool wr_pci_any_iommu(const char *root)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	/* iommu_device_sysfs_add() in drivers/iommu/iommu-sysfs.c */
	if (wr_root_dir(root, "/sys/class/iommu", &dir) < 0)
		return false;
	while (!found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.';
	closedir(dir);
	return found;
}

/* By the driver alone. */
static enum weir_role role_of(const char *driver)
{
	if (!*driver)
		return WEIR_ROLE_FREE;
	if (strstr(driver, "vfio"))
		return WEIR_ROLE_VFIO;
	if (!strcmp(driver, "pcieport") || !strcmp(driver, "pci-stub"))
		return WEIR_ROLE_HARMLESS;
	return WEIR_ROLE_IN_THE_WAY;
}

enum weir_role wr_pci_role(const char *root, const char *addr, const char *driver)
{
	enum weir_role role = role_of(driver);
	char path[WR_PCI_PATH_MAX];

	if (role == WEIR_ROLE_IN_THE_WAY && !device_path(path, "pci", addr, "vfio-dev") &&
	    wr_root_has(root, path))
		return WEIR_ROLE_VFIO;
	return role;
}

enum weir_role wr_pci_folder_role(const struct wr_folder *function, const char *driver,
				  bool vfio_says)
{
	enum weir_role role = role_of(driver);

	if (role == WEIR_ROLE_IN_THE_WAY && vfio_says && wr_folder_has(function, "vfio-dev"))
		return WEIR_ROLE_VFIO;
	return role;
}
