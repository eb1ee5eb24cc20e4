/* SPDX-License-Identifier: MIT */
/*
 * Disks: mounted, swap, or below md, dm and LVM, themselves or their partitions. Mount tables show
 * this process's namespace alone; but all of these, and ZFS, hold a disk exclusively, which every
 * namespace notices.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/sys.h"
#include "host/mounts.h"
#include "host/use.h"

#define STACK_MAX 16	/* layers of dm and md upon each other */

struct disks {
	const char *root;
	struct wr_mounts *mounts;
	bool nodes;	/* look who has the nodes open, rather than into the tables */
	int depth;
};

static int use_disk(struct disks *disks, const char *name, char use[WR_USE_MAX]);

/* What is built on it: in use by being there, and the root file system may be on that. */
static int use_holders(struct disks *disks, const char *name, char use[WR_USE_MAX])
{
	char path[WR_PCI_PATH_MAX], on_it[WR_USE_MAX];
	struct dirent *entry;
	DIR *dir;
	int ret;

	snprintf(path, sizeof(path), "/sys/class/block/%s/holders", name);
	ret = wr_root_dir(disks->root, path, &dir);
	if (ret == -ENOENT || ret == -ENODEV)
		return WR_USE_NONE;
	if (ret < 0)
		return wr_fail(ret, "%s%s can't be listed: %s", disks->root, path, strerror(-ret));
	while (ret >= 0 && ret != WR_USE_ROOT && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		ret = disks->depth < STACK_MAX ? use_disk(disks, entry->d_name, on_it) :
		      wr_fail(-ELOOP, "%s: more than %d layers of block devices", name, STACK_MAX);
		if (ret > 0)
			snprintf(use, WR_USE_MAX, "%s is below %.32s (%.75s%.75s), and %.250s",
				 name, entry->d_name, disks->root, path, on_it);
		else if (!ret)
			snprintf(use, WR_USE_MAX, "%s is below %.32s (%.150s%.150s)", name,
				 entry->d_name, disks->root, path);
		if (!ret)
			ret = WR_USE_SOME;
	}
	closedir(dir);
	return ret;
}

static int use_node(struct disks *disks, const char *name, char use[WR_USE_MAX])
{
	char node[NAME_MAX + sizeof("/dev/")], path[WR_PCI_PATH_MAX], who[64], *bang;
	int ret;

	snprintf(node, sizeof(node), "/dev/%s", name);
	/* sysfs writes ! for the slash in cciss/c0d0. */
	for (bang = node; (bang = strchr(bang, '!'));)
		*bang = '/';
	if (snprintf(path, sizeof(path), "%s%s", disks->root, node) >= (int)sizeof(path))
		return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
	if (!wr_sys->holder(path, who, sizeof(who))) {
		snprintf(use, WR_USE_MAX, "%s has %.300s open", who, path);
		return WR_USE_SOME;
	}
	ret = wr_is_busy(disks->root, node, O_RDONLY | O_EXCL | O_NONBLOCK);
	if (ret <= 0)
		return ret;
	snprintf(use, WR_USE_MAX, "%.300s is held exclusively: mounted in another namespace, or "
		 "by ZFS, say", path);
	return WR_USE_SOME;
}

/* Adding up, for the root file system may be a later use of several. */
static int use_disk(struct disks *disks, const char *name, char use[WR_USE_MAX])
{
	char path[WR_PCI_PATH_MAX], text[32], also[WR_USE_MAX];
	unsigned int major, minor;
	int ret, more;

	snprintf(path, sizeof(path), "/sys/class/block/%s/dev", name);
	ret = wr_root_text(disks->root, path, text, sizeof(text));
	if (ret == -ENOENT || ret == -ENODEV)
		return WR_USE_NONE;	/* vanished, or a path of a multipath NVMe: no disk */
	if (ret < 0 || sscanf(text, "%u:%u", &major, &minor) != 2)
		return wr_fail(ret < 0 ? ret : -EIO, "%s%s holds no device number", disks->root,
			       path);

	if (disks->nodes)
		return use_node(disks, name, use);
	disks->depth++;
	ret = wr_mounts_use(disks->mounts, name, makedev(major, minor), use);
	if (ret == WR_USE_NONE || ret == WR_USE_SOME) {
		more = use_holders(disks, name, also);
		if (more < 0 || more == WR_USE_ROOT || (more && !ret)) {
			ret = more;
			snprintf(use, WR_USE_MAX, "%s", more > 0 ? also : "");
		}
	}
	disks->depth--;
	return ret;
}

/*
 * Disks of NVMe controllers that may have several paths hang below their subsystem, not below the
 * function; the subsystem's folder links to its controllers (drivers/nvme/host/core.c).
 */
static bool is_by_path(const char *root, const char *target, const char *address)
{
	const char *subsystem = strstr(target, "/nvme-subsystem/");
	char path[WR_PCI_PATH_MAX];
	struct wr_class class;
	bool found;

	if (!subsystem)
		return false;
	subsystem += strlen("/nvme-subsystem/");
	snprintf(path, sizeof(path), "nvme-subsystem/%.*s", (int)strcspn(subsystem, "/"),
		 subsystem);
	if (wr_class_open(&class, root, path, address) < 0)
		return false;
	found = wr_class_next(&class);
	wr_class_close(&class);
	return found;
}

static int use_disks(struct disks *disks, const char *address, char use[WR_USE_MAX])
{
	char one[WR_USE_MAX];
	struct wr_class class;
	const char *name;
	int ret, found;

	ret = wr_class_open(&class, disks->root, "block", address);
	if (ret < 0)
		return ret;
	while (ret >= 0 && ret != WR_USE_ROOT && (name = wr_class_any(&class))) {
		if (!wr_path_has(class.target, address) &&
		    !is_by_path(disks->root, class.target, address))
			continue;
		found = disks->mounts ? 0 : wr_mounts_read(disks->root, &disks->mounts);
		if (found)
			wr_fail_in(found, "%s", address);
		else
			found = use_disk(disks, name, one);
		if (found < 0 || found > ret) {
			ret = found;
			snprintf(use, WR_USE_MAX, "%s", found > 0 ? one : "");
		}
	}
	wr_class_close(&class);
	return ret;
}

int wr_use_block(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX])
{
	struct disks disks = { .root = root };
	int ret;

	/* The tables say more; what they say of a partition, the whole disk's node hides. */
	ret = use_disks(&disks, fn->address, use);
	disks.nodes = true;
	if (!ret)
		ret = use_disks(&disks, fn->address, use);
	wr_mounts_free(disks.mounts);
	return ret;
}
