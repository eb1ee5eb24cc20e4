/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "fake_sysfs.h"
#include "host/step.h"
#include "tree.h"

struct fake_sysfs *fake_sysfs;

static struct wr_sys sys;
static int (*real_load)(const char *name);

/* Before anything is changed: fail, end, or go on. */
static int change(void)
{
	int n = ++fake_sysfs->calls;

	if (n == fake_sysfs->kill_at)
		_exit(FAKE_KILLED);
	if (fake_sysfs->fail_at && (n == fake_sysfs->fail_at ||
				    (fake_sysfs->fail_on && n > fake_sysfs->fail_at)))
		return -EIO;
	return 0;
}

/* ---- a small kernel ---- */

static void attr(const char *address, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/%s", fake_sysfs->root, address,
		 name);
	text[0] = '\0';
	file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(text, (int)size, file))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(file);
}

static void link_of(const char *address, const char *name, char *last, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/%s", fake_sysfs->root, address,
		 name);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = '\0';
	snprintf(last, size, "%.60s", strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

static bool exists(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", fake_sysfs->root, name);
	return !access(path, F_OK);
}

struct fake_node *fake_owner(const char *path)
{
	for (int i = 0; i < FAKE_NODES; i++)
		if (!strcmp(fake_sysfs->nodes[i].path, path))
			return &fake_sysfs->nodes[i];
	return NULL;
}

static void remove_node(const char *path)
{
	struct fake_node *node = fake_owner(path);

	tree_remove(fake_sysfs->root, path + 1);
	if (node)
		node->path[0] = '\0';
}

/* The group's node is there while a member is; each function's own has the number of its slot. */
static void nodes(const char *address, bool come)
{
	const char *kind = fake_sysfs->noiommu ? "noiommu-" : "";
	char group[16], node[64], cdev[64], users[64], target[256];

	link_of(address, "iommu_group", group, sizeof(group));
	if (!group[0])
		return;
	snprintf(node, sizeof(node), "/dev/vfio/%s%s", kind, group);
	snprintf(cdev, sizeof(cdev), "/dev/vfio/devices/%svfio%c", kind, address[11]);
	snprintf(users, sizeof(users), "users/%.15s/%s", group, address);
	if (come) {
		tree_text(fake_sysfs->root, users, "");
		if (!exists(node + 1))
			tree_text(fake_sysfs->root, node + 1, "");
		if (!fake_sysfs->no_cdev)
			tree_text(fake_sysfs->root, cdev + 1, "");
		snprintf(target, sizeof(target), "vfio-dev/%.16s/%s", strrchr(cdev, '/') + 1,
			 fake_sysfs->no_cdev ? "power" : "dev");
		tree_attr(fake_sysfs->root, address, target, "");
		return;
	}
	tree_remove(fake_sysfs->root, users);
	*strrchr(users, '/') = '\0';
	snprintf(target, sizeof(target), "%s/%s", fake_sysfs->root, users);
	if (!rmdir(target))
		remove_node(node);
	remove_node(cdev);
	snprintf(target, sizeof(target), "sys/bus/pci/devices/%.20s/vfio-dev", address);
	tree_remove(fake_sysfs->root, target);
}

static int unbind(const char *driver, const char *address)
{
	char now[64];

	link_of(address, "driver", now, sizeof(now));
	if (strcmp(now, driver))
		return -ENODEV;
	snprintf(now, sizeof(now), "sys/bus/pci/devices/%.20s/driver", address);
	tree_remove(fake_sysfs->root, now);
	if (!strcmp(driver, "vfio-pci"))
		nodes(address, false);
	return 0;
}

static void late_group(const char *address)
{
	char target[64];

	link_of(address, "iommu_group", target, sizeof(target));
	if (target[0])
		return;
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%d",
		 fake_sysfs->late_group);
	tree_attr_link(fake_sysfs->root, address, "iommu_group", target);
}

static int bind_to(const char *driver, const char *address)
{
	char now[64], override[64], own[64], target[128];

	link_of(address, "driver", now, sizeof(now));
	attr(address, "driver_override", override, sizeof(override));
	attr(address, "test_own_driver", own, sizeof(own));
	if (now[0])
		return -EBUSY;
	if (strcmp(strcmp(override, "(null)") ? override : own, driver))
		return -ENODEV;
	if (!strcmp(driver, "vfio-pci") && fake_sysfs->late_group)
		late_group(address);
	if (!strcmp(driver, "vfio-pci") && fake_sysfs->stubborn)
		return -EINVAL;
	if (!strcmp(driver, "vfio-pci") && fake_sysfs->deaf)
		return 0;
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	tree_attr_link(fake_sysfs->root, address, "driver", target);
	if (!strcmp(driver, "vfio-pci"))
		nodes(address, true);
	return 0;
}

static void put_driver(const char *driver)
{
	static const char *const attrs[] = { "bind", "unbind" };
	char path[PATH_MAX];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/%s", driver, attrs[i]);
		tree_text(fake_sysfs->root, path, "");
	}
}

/* ---- the seam ---- */

static ssize_t fake_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	char link[64], path[PATH_MAX], text[64], *rest, *last;
	int ret = change();
	ssize_t got;

	if (ret < 0)
		return ret;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = readlink(link, path, sizeof(path) - 1);
	path[got < 0 ? 0 : got] = '\0';
	if (!strstr(path, "/sys/bus/pci/"))
		return wr_sys_kernel.pwrite(fd, buf, len, offset);
	snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)buf);
	text[strcspn(text, "\n")] = '\0';
	last = strrchr(path, '/');
	*last++ = '\0';
	rest = strrchr(path, '/') + 1;
	if (!strcmp(last, "driver_override"))
		tree_attr(fake_sysfs->root, rest, last, text[0] ? text : "(null)");
	else if (!strcmp(last, "unbind"))
		ret = unbind(rest, text);
	else if (!strcmp(last, "bind"))
		ret = bind_to(rest, text);
	else
		ret = -EACCES;
	return ret < 0 ? ret : (ssize_t)len;
}

static bool fake_power(void)
{
	return fake_sysfs->power;
}

static int fake_openat(int folder, const char *path, int flags)
{
	/* Below a root the path is without its first slash. */
	if (fake_sysfs->busy && !strcmp(path, fake_sysfs->busy + 1))
		return -EBUSY;
	if (fake_sysfs->denied && !strcmp(path, fake_sysfs->denied + 1))
		return -EACCES;
	return wr_sys_kernel.openat(folder, path, flags);
}

static int fake_create(const char *path, mode_t mode)
{
	int ret = change();

	return ret < 0 ? ret : wr_sys_kernel.create(path, mode);
}

static int fake_mkdir(const char *path, mode_t mode)
{
	int ret = change();

	return ret < 0 ? ret : wr_sys_kernel.mkdir(path, mode);
}

static int fake_rename(const char *from, const char *to)
{
	int ret = change();

	return ret < 0 ? ret : wr_sys_kernel.rename(from, to);
}

static int fake_unlink(const char *path)
{
	int ret = change();

	return ret < 0 ? ret : wr_sys_kernel.unlink(path);
}

static int fake_fsync(int fd)
{
	int ret = change();

	return ret < 0 ? ret : wr_sys_kernel.fsync(fd);
}

static struct fake_node *own(const char *path)
{
	struct fake_node *node;

	path += strlen(fake_sysfs->root);
	node = fake_owner(path);
	if (node)
		return node;
	node = fake_owner("");
	if (!node)
		abort();
	*node = (struct fake_node){ .mode = 0600 };
	snprintf(node->path, sizeof(node->path), "%s", path);
	return node;
}

static int fake_stat(const char *path, struct stat *st)
{
	int ret = wr_sys_kernel.stat(path, st);
	struct fake_node *node = fake_owner(path + strlen(fake_sysfs->root));

	st->st_uid = node ? node->uid : 0;
	st->st_gid = node ? node->gid : 0;
	st->st_mode = node ? node->mode : 0600;
	return ret;
}

static int fake_chown(const char *path, uid_t uid, gid_t gid)
{
	int ret = change();
	struct fake_node *node;

	if (!ret)
		ret = wr_sys_kernel.access(path);
	if (ret < 0)
		return ret;
	node = own(path);
	node->uid = uid;
	node->gid = gid;
	return 0;
}

static int fake_chmod(const char *path, mode_t mode)
{
	int ret = change();

	if (!ret)
		ret = wr_sys_kernel.access(path);
	if (ret < 0)
		return ret;
	own(path)->mode = mode;
	return 0;
}

static int fake_getifaddrs(struct ifaddrs **list)
{
	*list = fake_sysfs->addresses;
	return 0;
}

static void fake_freeifaddrs(struct ifaddrs *list)
{
	(void)list;
}

static int fake_load(const char *name)
{
	int ret = change();

	if (ret < 0)
		return ret;
	fake_sysfs->loads++;
	if (!strcmp(name, "vfio-pci"))
		put_driver(name);
	else if (!strcmp(name, "vfio_iommu_type1"))
		tree_folder(fake_sysfs->root, "sys/module/vfio_iommu_type1");
	else
		return -ENOENT;
	return 0;
}

static int fake_holder(const char *path, char *buf, size_t size)
{
	return fake_sysfs->holders ? wr_sys_kernel.holder(path, buf, size) : -ENOENT;
}

void fake_sysfs_start(const char *root)
{
	fake_sysfs = mmap(NULL, sizeof(*fake_sysfs), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fake_sysfs == MAP_FAILED)
		abort();
	fake_sysfs->root = root;
	sys = wr_sys_kernel;
	sys.power = fake_power;
	sys.openat = fake_openat;
	sys.pwrite = fake_pwrite;
	sys.create = fake_create;
	sys.mkdir = fake_mkdir;
	sys.rename = fake_rename;
	sys.unlink = fake_unlink;
	sys.fsync = fake_fsync;
	sys.stat = fake_stat;
	sys.chown = fake_chown;
	sys.chmod = fake_chmod;
	sys.getifaddrs = fake_getifaddrs;
	sys.freeifaddrs = fake_freeifaddrs;
	sys.holder = fake_holder;
	wr_sys = &sys;
	real_load = wr_module_load;
	wr_module_load = fake_load;
	put_driver("vfio-pci");
	tree_folder(root, "sys/module/vfio_iommu_type1");
	tree_text(root, "proc/sys/kernel/random/boot_id", "11111111-2222\n");
	tree_text(root, "proc/self/mountinfo", "");
}

void fake_sysfs_stop(void)
{
	wr_sys = &wr_sys_kernel;
	wr_module_load = real_load;
	munmap(fake_sysfs, sizeof(*fake_sysfs));
}

void fake_function(const char *address, int group, const char *driver)
{
	char target[64];

	tree_function(fake_sysfs->root, address);
	tree_attr(fake_sysfs->root, address, "driver_override", "(null)\n");
	tree_attr(fake_sysfs->root, address, "test_own_driver", driver ? driver : "");
	snprintf(target, sizeof(target), "sys/bus/pci/devices/%.20s/config", address);
	tree_bytes(fake_sysfs->root, target, (char[64]){ 0 }, 64);
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%d", group);
	if (group >= 0)
		tree_attr_link(fake_sysfs->root, address, "iommu_group", target);
	if (driver) {
		put_driver(driver);
		snprintf(target, sizeof(target), "../../../bus/pci/drivers/%.32s", driver);
		tree_attr_link(fake_sysfs->root, address, "driver", target);
	}
}

const char *fake_state(const char *address)
{
	static char texts[8][160];
	static unsigned int next;
	char driver[64], override[64], *text = texts[next++ % 8];

	link_of(address, "driver", driver, sizeof(driver));
	attr(address, "driver_override", override, sizeof(override));
	snprintf(text, sizeof(texts[0]), "%s/%s", driver[0] ? driver : "-",
		 strcmp(override, "(null)") ? override : "-");
	return text;
}
