/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

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
	char path[NAME_MAX];
	int ret;

	class->address = address;
	class->dir = NULL;
	snprintf(path, sizeof(path), "/sys/class/%s", name);
	ret = wr_folder_open(root, path, &class->folder);
	if (ret == -ENOENT)
		return 0;
	if (!ret) {
		ret = wr_folder_dir(&class->folder, &class->dir);
		if (ret < 0)
			wr_folder_close(&class->folder);
	}
	return ret < 0 ? wr_fail(ret, "%s%s can't be listed: %s", root, path, strerror(-ret)) : 0;
}

const char *wr_class_any(struct wr_class *class)
{
	struct dirent *entry;

	while (class->dir && (entry = readdir(class->dir))) {
		/* A slash in front, so that every part has one. */
		class->target[0] = '/';
		if (wr_folder_link(&class->folder, entry->d_name, class->target + 1,
				   sizeof(class->target) - 1) > 0)
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
	if (!class->dir)
		return;
	closedir(class->dir);
	wr_folder_close(&class->folder);
}

void wr_cdev(const char *root, const char *address, char node[64])
{
	char path[WR_PCI_PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	node[0] = '\0';
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", address);
	if (wr_root_dir(root, path, &dir) < 0)
		return;
	while (!node[0] && (entry = readdir(dir))) {
		/* vfio_device_set_noiommu_and_name() */
		if (strncmp(entry->d_name, "vfio", 4) && strncmp(entry->d_name, "noiommu-vfio", 12))
			continue;
		/* Without CONFIG_VFIO_DEVICE_CDEV it has no number, and no node. */
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/%s/dev", address,
			 entry->d_name);
		if (strlen(entry->d_name) < 40 && wr_root_has(root, path))
			snprintf(node, 64, "/dev/vfio/devices/%.40s", entry->d_name);
	}
	closedir(dir);
}

int wr_is_busy(const char *root, const char *node, int flags)
{
	/* Below another root it can't be a device, and isn't written to. */
	int fd = *root ? wr_root_open(root, node, 0) : wr_sys->open(node, flags);

	wr_close(fd);
	if (fd == -EACCES || fd == -EPERM)
		return wr_fail(fd, "whether anybody has %s%s open can't be told: %s", root, node,
			       strerror(-fd));
	return fd == -EBUSY;
}

int wr_use_vfio(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX])
{
	char node[64], path[WR_PCI_PATH_MAX], who[64];
	int untold = 0;

	for (int cdev = 0; cdev < 2; cdev++) {
		if (cdev)
			wr_cdev(root, fn->address, node);
		else
			snprintf(node, sizeof(node), "%s", fn->vfio_node);
		if (!node[0] || snprintf(path, sizeof(path), "%s%s", root, node) >=
		    (int)sizeof(path))
			continue;
		/* Another user of a group shows by -EBUSY: a group is opened once
		 * (drivers/vfio/group.c), and its devices, however they were opened, keep it so. */
		if (wr_sys->holder(path, who, sizeof(who))) {
			int busy = cdev ? 0 : wr_is_busy(root, node, O_RDWR);

			untold = busy < 0 ? busy : untold;
			if (busy <= 0)
				continue;
			strcpy(who, "another process");
		}
		snprintf(use, WR_USE_MAX, "%s has it open (%.300s)", who, path);
		return WR_USE_SOME;
	}
	return untold;
}

/* VFs vanish with their PF's driver, and vfio-pci refuses such a PF. */
static int use_vfs(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX])
{
	uint64_t vfs;

	if (wr_pci_attr_u64(root, fn->address, "sriov_numvfs", &vfs) || !vfs)
		return WR_USE_NONE;
	snprintf(use, WR_USE_MAX, "it has %llu VFs (/sys/bus/pci/devices/%s/sriov_numvfs); write "
		 "0 there first", (unsigned long long)vfs, fn->address);
	return WR_USE_VFS;
}

/* Whether the kernel's text console is on framebuffers now. */
static bool fbcon_is_bound(const char *root)
{
	char path[64], name[64];
	uint64_t bound;

	for (int i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "/sys/class/vtconsole/vtcon%d/name", i);
		if (wr_root_text(root, path, name, sizeof(name)) < 0 ||
		    !strstr(name, "frame buffer"))
			continue;
		snprintf(path, sizeof(path), "/sys/class/vtconsole/vtcon%d/bind", i);
		if (!wr_root_u64(root, path, &bound) && bound)
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
			 "(/sys/bus/pci/devices/%s/boot_vga)", fn->address);
		return WR_USE_SOME;
	}
	ret = wr_class_open(&class, root, "graphics", fn->address);
	if (ret < 0)
		return ret;
	while ((name = wr_class_next(&class)))
		if (!strncmp(name, "fb", 2) && fbcon_is_bound(root)) {
			snprintf(use, WR_USE_MAX, "the text console is on its framebuffer %.32s "
				 "(/sys/class/vtconsole)", name);
			ret = WR_USE_SOME;
			break;
		}
	wr_class_close(&class);
	return ret;
}

int wr_use(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX])
{
	/* The first that finds one decides: VFs come last. */
	static int (*const kinds[])(const char *, const struct weir_host_function *, char *) = {
		wr_use_block, wr_use_net, use_console, use_vfs,
	};
	int ret = WR_USE_NONE;

	use[0] = '\0';
	for (size_t i = 0; !ret && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		ret = kinds[i](root, fn, use);
	return ret;
}
