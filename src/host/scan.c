/* SPDX-License-Identifier: MIT */
/*
 * One function's attributes (Documentation/ABI/testing/sysfs-bus-pci in the kernel's tree). None
 * of those read here resumes a sleeping device.
 *
 * What isn't there has its default; uevent is always there, so a function without it is vanishing.
 * What is there and makes no sense is an error: it can only come from a damaged capture, and to
 * guess would be to give wrong advice.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "host/host.h"
#include "host/text.h"

/* A uevent's environment has 2 KiB (UEVENT_BUFFER_SIZE in include/linux/kobject.h). */
#define UEVENT_MAX 4096

/* A function that is being looked at. */
struct look {
	const struct wr_scan *scan;
	struct wr_folder folder;
	struct weir_host_function *fn;
	bool brief;			/* not all of it is wanted */
	struct wr_reset *reset;		/* what isn't the function's identity, or NULL */
};

static bool is_gone(int err)
{
	/*
	 * -ENODEV: the attribute was open already when the device went (fs/kernfs/file.c).
	 * -ENOTDIR: in a captured tree, something that is no function.
	 */
	return err == -ENOENT || err == -ENODEV || err == -ENOTDIR;
}

static int unreadable(const struct look *look, const char *attr, const char *what, int err)
{
	const char *root = look->scan->root, *address = look->fn->address;

	if (err == -EINVAL || err == -ERANGE || err == -EOVERFLOW || err == -ENAMETOOLONG ||
	    err == -ELOOP || err == -EISDIR)
		return wr_fail(-EIO, "%s: %s/sys/bus/pci/devices/%s/%s %s; the kernel never "
			       "writes that, so the tree is damaged", address, root, address, attr,
			       what);
	return wr_fail(err, "%s: %s/sys/bus/pci/devices/%s/%s can't be read: %s", address, root,
		       address, attr, strerror(-err));
}

/* ---- attributes ---- */

/* A number that ends at @end, or at the line's, which may be the text's, too. */
static bool read_hex(const char **text, char end, uint32_t max, uint32_t *value)
{
	uint64_t number;

	if (!wr_hex(text, &number) || number > max ||
	    (**text != end && !(end == '\n' && !**text)))
		return false;
	*value = (uint32_t)number;
	*text += **text != '\0';
	return true;
}

/* The value on the line NAME=VALUE; NULL for none. */
static const char *value_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	while (text && (strncmp(text, name, len) || text[len] != '=')) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return text ? text + len + 1 : NULL;
}

/* pci_uevent() in drivers/pci/pci-driver.c: all of a function's ids in one file. */
static int read_ids(const struct look *look)
{
	uint32_t class, vendor, device, subvendor, subdevice;
	struct weir_host_function *fn = look->fn;
	const char *classes, *ids, *subsystem;
	char text[UEVENT_MAX];
	int ret = wr_folder_text(&look->folder, "uevent", text, sizeof(text));

	if (is_gone(ret))
		return -ENOENT;
	if (ret < 0)
		return unreadable(look, "uevent", "is no text", ret);
	classes = value_of(text, "PCI_CLASS");
	ids = value_of(text, "PCI_ID");
	subsystem = value_of(text, "PCI_SUBSYS_ID");
	if (!classes || !read_hex(&classes, '\n', 0xffffff, &class) ||
	    !ids || !read_hex(&ids, ':', UINT16_MAX, &vendor) ||
	    !read_hex(&ids, '\n', UINT16_MAX, &device) ||
	    !subsystem || !read_hex(&subsystem, ':', UINT16_MAX, &subvendor) ||
	    !read_hex(&subsystem, '\n', UINT16_MAX, &subdevice))
		return unreadable(look, "uevent", "doesn't tell what it is", -EINVAL);
	fn->class_code = class;
	fn->vendor = (uint16_t)vendor;
	fn->device = (uint16_t)device;
	fn->subsystem_vendor = (uint16_t)subvendor;
	fn->subsystem_device = (uint16_t)subdevice;
	return 0;
}

/* Since kernel 4.10. */
static int read_revision(const struct look *look)
{
	uint64_t number = 0;
	int ret = wr_folder_u64(&look->folder, "revision", &number);

	if (!ret && number > UINT8_MAX)
		ret = -ERANGE;
	if (ret < 0 && !is_gone(ret))
		return unreadable(look, "revision", "holds no number in its range", ret);
	look->fn->revision = (uint8_t)number;
	return 0;
}

static int read_numa_node(const struct look *look)
{
	char text[16];
	uint64_t node;
	int ret = wr_folder_text(&look->folder, "numa_node", text, sizeof(text));

	/* Kernels without CONFIG_NUMA have no such attribute. */
	if (is_gone(ret) || (ret > 0 && !strcmp(text, "-1")))
		return 0;
	if (ret >= 0)
		ret = wr_parse_u64(text, &node);
	if (!ret && node > INT_MAX)
		ret = -ERANGE;
	if (ret < 0)
		return unreadable(look, "numa_node", "holds no number in its range", ret);
	look->fn->numa_node = (int)node;
	return 0;
}

/* ---- links ---- */

/* Returns 0, with an empty name when there is no such link, or -errno with a message. */
static int read_name(const struct look *look, const char *link, char name[WR_PCI_NAME_MAX])
{
	int ret = wr_pci_folder_link(&look->folder, link, name);

	if (!ret)
		return 0;
	name[0] = '\0';
	/*
	 * A function that is an IOMMU itself, as AMD's are, isn't behind one: its "iommu" is the
	 * folder of what it registered (iommu_device_sysfs_add() in drivers/iommu/iommu-sysfs.c).
	 */
	if (is_gone(ret) || (ret == -EISDIR && !strcmp(link, "iommu")))
		return 0;
	return unreadable(look, link, "is no link to a name", ret);
}

static int read_group(const struct look *look)
{
	char name[WR_PCI_NAME_MAX], *end;
	long number;
	int ret = read_name(look, "iommu_group", name);

	look->fn->group = -1;
	if (ret < 0 || !name[0])
		return ret;
	errno = 0;
	number = strtol(name, &end, 10);
	if (errno || name[0] < '0' || name[0] > '9' || *end || number > INT_MAX)
		return unreadable(look, "iommu_group", "is no link to a group's number", -EINVAL);
	look->fn->group = (int)number;
	return 0;
}

static int read_physfn(const struct look *look)
{
	char name[WR_PCI_NAME_MAX];
	int ret = read_name(look, "physfn", name);

	look->fn->physfn[0] = '\0';
	if (ret < 0 || !name[0])
		return ret;
	if (!wr_is_address(name))
		return unreadable(look, "physfn", "is no link to a function", -EINVAL);
	strcpy(look->fn->physfn, name);
	return 0;
}

/*
 * The group's node is there while any of its members is bound to VFIO. The kernel's own list of
 * nodes is as good a witness as /dev, which a container may hide and a captured tree may lack.
 */
static void find_node(const struct look *look)
{
	static const char *const prefixes[] = { "", "noiommu-" };
	struct weir_host_function *fn = look->fn;
	char name[32];

	fn->vfio_node[0] = '\0';
	if (fn->group < 0 || fn->role != WEIR_ROLE_VFIO)
		return;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		snprintf(name, sizeof(name), "%s%d", prefixes[i], fn->group);
		for (int j = 0; j < 2; j++)
			if (look->scan->nodes[j].fd >= 0 &&
			    wr_folder_has(&look->scan->nodes[j], name)) {
				snprintf(fn->vfio_node, sizeof(fn->vfio_node), "/dev/vfio/%s",
					 name);
				return;
			}
	}
}

/* ---- where it lies ---- */

/* "pci0000:00": pci_create_root_bus() in drivers/pci/probe.c */
static bool is_root_bus(const char *name)
{
	const char *colon = strchr(name, ':');

	return !strncmp(name, "pci", 3) && colon && colon - name >= 7 && colon - name <= 11 &&
	       strspn(name + 3, "0123456789abcdef") == (size_t)(colon - name - 3) &&
	       strspn(colon + 1, "0123456789abcdef") == 2 && !colon[3];
}

/*
 * What the path of the folder above says: ".../pci0000:00/0000:00:01.0". A bridge that is a root
 * bus's owner, as VMD's, isn't a parent in PCI's sense.
 */
static void tell_place(const char *above, struct weir_host_function *fn)
{
	char path[PATH_MAX], *last;

	snprintf(path, sizeof(path), "%s", above);
	while ((last = strrchr(path, '/'))) {
		*last++ = '\0';
		if (is_root_bus(last)) {
			strcpy(fn->root_bus, last);
			return;
		}
		if (!wr_is_address(last))
			return;
		if (!fn->parent[0])
			strcpy(fn->parent, last);
	}
}

static void leave_above(struct wr_scan *scan)
{
	if (scan->above_path[0])
		wr_folder_leave(&scan->above);
	scan->above_path[0] = '\0';
}

static int enter_above(struct wr_scan *scan, const char *path)
{
	int ret;

	if (!strcmp(path, scan->above_path))
		return 0;
	leave_above(scan);
	ret = wr_folder_enter(&scan->devices, path, &scan->above);
	if (!ret)
		strcpy(scan->above_path, path);
	return ret;
}

int wr_scan_enter(struct wr_scan *scan, const char *address, struct wr_folder *folder,
		  struct weir_host_function *fn)
{
	char path[PATH_MAX], *name;
	int ret = wr_folder_link(&scan->devices, address, path, sizeof(path));

	if (fn)
		fn->parent[0] = fn->root_bus[0] = '\0';
	/*
	 * The kernel's links have "../../.." in front, which is cut into the folder above and the
	 * name. What else a tree may have, folders and links to "/x", is followed as a whole.
	 */
	name = ret < 0 ? NULL : strrchr(path, '/');
	if (ret == -EINVAL || (ret >= 0 && (path[0] == '/' || !name || !name[1])))
		return wr_folder_enter(&scan->devices, address, folder);
	if (ret < 0)
		return ret;
	*name++ = '\0';
	if (fn)
		tell_place(path, fn);
	ret = enter_above(scan, path);
	if (!ret)
		ret = wr_folder_enter(&scan->above, name, folder);
	/* The bridge may have gone, and have come again. */
	if (ret == -ENOENT && scan->above_path[0]) {
		leave_above(scan);
		ret = enter_above(scan, path);
		if (!ret)
			ret = wr_folder_enter(&scan->above, name, folder);
	}
	return ret;
}

/* ---- all of it ---- */

static int look_at(const struct look *look)
{
	int ret = read_ids(look);

	look->fn->numa_node = -1;
	if (!ret && !look->brief)
		ret = read_revision(look);
	if (!ret && !look->brief)
		ret = read_numa_node(look);
	if (!ret)
		ret = read_name(look, "driver", look->fn->driver);
	if (!ret)
		ret = read_name(look, "iommu", look->fn->iommu);
	if (!ret)
		ret = read_group(look);
	if (!ret)
		ret = read_physfn(look);
	if (!ret) {
		look->fn->role = wr_pci_folder_role(&look->folder, look->fn->driver,
						    look->scan->vfio_devices);
		find_node(look);
	}
	return ret;
}

/* What can't be read is left to who asks for it, and is told why. */
static void read_reset(const struct look *look)
{
	struct wr_reset *reset = look->reset;

	reset->len = wr_folder_text(&look->folder, "reset_method", reset->methods,
				    sizeof(reset->methods));
	if (reset->len == -ENOENT)
		reset->len = 0;
}

int wr_scan_function(struct wr_scan *scan, struct weir_host_function *fn, bool brief,
		     struct wr_reset *reset)
{
	struct look look = { .scan = scan, .fn = fn, .brief = brief, .reset = reset };
	int ret = wr_scan_enter(scan, fn->address, &look.folder, fn);

	if (is_gone(ret))
		return -ENOENT;
	if (ret == -EXDEV)
		return wr_fail(ret, "%s/sys/bus/pci/devices/%s leads out of that root, where "
			       "nothing is read", scan->root, fn->address);
	if (ret < 0)
		return wr_fail(ret, "%s/sys/bus/pci/devices/%s can't be opened: %s", scan->root,
			       fn->address, strerror(-ret));
	ret = look_at(&look);
	if (!ret && reset)
		read_reset(&look);
	wr_folder_leave(&look.folder);
	return ret;
}

int wr_scan_open(struct wr_scan *scan, const char *root)
{
	static const char *const folders[] = { "/dev/vfio", "/sys/class/vfio" };
	int ret;

	scan->root = root;
	scan->above_path[0] = '\0';
	ret = wr_folder_open(root, "/sys/bus/pci/devices", &scan->devices);
	if (ret < 0)
		return ret;
	for (int i = 0; i < 2; i++)
		if (wr_folder_open(root, folders[i], &scan->nodes[i]) < 0)
			scan->nodes[i] = (struct wr_folder){ .fd = -1 };
	scan->vfio_devices = wr_root_has(root, "/sys/class/vfio-dev");
	return 0;
}

void wr_scan_close(struct wr_scan *scan)
{
	leave_above(scan);
	for (int i = 0; i < 2; i++)
		wr_folder_close(&scan->nodes[i]);
	wr_folder_close(&scan->devices);
}

int wr_host_scan(const char *root, struct weir_host_function *fn)
{
	struct wr_scan scan;
	int ret = wr_scan_open(&scan, root);

	if (ret < 0)
		return is_gone(ret) ? -ENOENT : wr_fail(ret, "%s/sys/bus/pci/devices can't be "
							"opened: %s", root, strerror(-ret));
	ret = wr_scan_function(&scan, fn, false, NULL);
	wr_scan_close(&scan);
	return ret;
}
