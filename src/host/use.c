/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/holder.h"
#include "base/sys.h"
#include "host/use.h"

bool wr_path_has(const char *path, const char *part)
{
	size_t len = strlen(part);

	while ((path = strstr(path, part))) {
		if (path[-1] == '/' && (!path[len] || path[len] == '/'))
			return true;
		path++;
	}
	return false;
}

int wr_class_open(struct wr_class *class, const char *root, const char *name, const char *address)
{
	class->address = address;
	if (snprintf(class->path, sizeof(class->path), "%s/sys/class/%s", root, name) >=
	    (int)sizeof(class->path))
		return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
	class->dir = opendir(class->path);
	if (!class->dir && errno != ENOENT)
		return wr_fail(-errno, "%s can't be listed: %s", class->path, strerror(errno));
	return 0;
}

const char *wr_class_any(struct wr_class *class)
{
	char path[WR_PCI_PATH_MAX + 256];
	struct dirent *entry;

	while (class->dir && (entry = readdir(class->dir))) {
		ssize_t len;

		snprintf(path, sizeof(path), "%s/%s", class->path, entry->d_name);
		/* A slash in front, so that every part has one. */
		class->target[0] = '/';
		len = wr_sys->readlink(path, class->target + 1, sizeof(class->target) - 2);
		if (len <= 0)
			continue;
		class->target[len + 1] = '\0';
		return entry->d_name;
	}
	return NULL;
}

const char *wr_class_next(struct wr_class *class)
{
	const char *name;

	do {
		name = wr_class_any(class);
	} while (name && !wr_path_has(class->target, class->address));
	return name;
}

void wr_class_close(struct wr_class *class)
{
	if (class->dir)
		closedir(class->dir);
}

void wr_cdev(const char *root, const char *address, char node[64])
{
	char folder[WR_PCI_PATH_MAX], path[WR_PCI_PATH_MAX + 64], name[40];

	node[0] = '\0';
	if (snprintf(folder, sizeof(folder), "%s/sys/bus/pci/devices/%s/vfio-dev", root, address) >=
	    (int)sizeof(folder))
		return;
	/* vfio_device_set_noiommu_and_name() */
	if (wr_sys->find(folder, "vfio", name, sizeof(name)) &&
	    wr_sys->find(folder, "noiommu-vfio", name, sizeof(name)))
		return;
	/* Without CONFIG_VFIO_DEVICE_CDEV it has no number, and no node. */
	snprintf(path, sizeof(path), "%s/%s/dev", folder, name);
	if (!wr_sys->access(path))
		snprintf(node, 64, "/dev/vfio/devices/%s", name);
}

/* Another user of a group shows by -EBUSY: a group is opened once (drivers/vfio/group.c), and its
 * devices, by whichever way they were opened, keep it so. */
static bool is_open(const char *path)
{
	int fd = wr_sys->open(path, O_RDWR);

	if (fd >= 0)
		wr_close(fd);
	return fd == -EBUSY;
}

int wr_use_vfio(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX])
{
	char node[64], path[WR_PCI_PATH_MAX], who[64];

	for (int cdev = 0; cdev < 2; cdev++) {
		if (cdev)
			wr_cdev(root, fn->address, node);
		else
			snprintf(node, sizeof(node), "%s", fn->vfio_node);
		if (!node[0] || snprintf(path, sizeof(path), "%s%s", root, node) >=
		    (int)sizeof(path))
			continue;
		if (!wr_holder(path, who, sizeof(who)) || (!cdev && is_open(path))) {
			snprintf(use, WR_USE_MAX, "%s has it open (%.300s)",
				 wr_holder(path, who, sizeof(who)) ? "another process" : who, path);
			return WR_USE_SOME;
		}
	}
	return WR_USE_NONE;
}

/* VFs vanish with their PF's driver, and vfio-pci refuses such a PF. */
static int use_vfs(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX])
{
	uint64_t vfs;

	if (wr_pci_attr_u64(root, fn->address, "sriov_numvfs", &vfs) || !vfs)
		return WR_USE_NONE;
	snprintf(use, WR_USE_MAX, "it has %llu VFs (%.200s/sys/bus/pci/devices/%s/sriov_numvfs); "
		 "write 0 there first", (unsigned long long)vfs, root, fn->address);
	return WR_USE_SOME;
}

/* Whether the kernel's text console is on framebuffers now. */
static bool fbcon_is_bound(const char *root)
{
	char path[WR_PCI_PATH_MAX], name[64];
	uint64_t bound;

	for (int i = 0; i < 16; i++) {
		if (snprintf(path, sizeof(path), "%s/sys/class/vtconsole/vtcon%d/name", root, i) >=
		    (int)sizeof(path) || wr_read_text(path, name, sizeof(name)) < 0)
			continue;
		path[strlen(path) - strlen("name")] = '\0';
		strcat(path, "bind");
		if (strstr(name, "frame buffer") && !wr_read_u64(path, &bound) && bound)
			return true;
	}
	return false;
}

static int use_console(const char *root, const struct weir_host_function *fn,
		       char use[WR_USE_MAX])
{
	struct wr_class class;
	const char *name;
	uint64_t boot;
	int ret;

	if (!wr_pci_attr_u64(root, fn->address, "boot_vga", &boot) && boot) {
		snprintf(use, WR_USE_MAX, "it is the machine's first graphics "
			 "(%.200s/sys/bus/pci/devices/%s/boot_vga)", root, fn->address);
		return WR_USE_SOME;
	}
	ret = wr_class_open(&class, root, "graphics", fn->address);
	if (ret < 0)
		return ret;
	while ((name = wr_class_next(&class)))
		if (!strncmp(name, "fb", 2) && fbcon_is_bound(root)) {
			snprintf(use, WR_USE_MAX, "the text console is on its framebuffer %.32s "
				 "(%.200s/sys/class/vtconsole)", name, root);
			ret = WR_USE_SOME;
			break;
		}
	wr_class_close(&class);
	return ret;
}

int wr_use(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX])
{
	static int (*const kinds[])(const char *, const struct weir_host_function *, char *) = {
		wr_use_block, wr_use_net, use_console, use_vfs,
	};
	int ret = WR_USE_NONE;

	use[0] = '\0';
	for (size_t i = 0; !ret && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		ret = kinds[i](root, fn, use);
	return ret;
}
