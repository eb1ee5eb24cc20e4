/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/host.h>

#include "base/sys.h"
#include "tree.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ADDR "0000:01:00.0"

static int new_tree(void **state)
{
	*state = tree_new();
	tree_function(*state, ADDR);
	return 0;
}

static int free_tree(void **state)
{
	wr_sys = &wr_sys_kernel;
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
	tree_free(*state);
	return 0;
}

/* Scan a tree that has one function, as a copy. */
static struct weir_host_function scan_one(const char *root)
{
	struct weir_host_function fn;
	struct weir_host *host;

	assert_int_equal(weir_host_open(root, &host), 0);
	assert_int_equal(weir_host_count(host), 1);
	fn = *weir_host_function(host, 0);
	weir_host_close(host);
	return fn;
}

static int count(const char *root)
{
	struct weir_host *host;
	int n;

	assert_int_equal(weir_host_open(root, &host), 0);
	n = (int)weir_host_count(host);
	weir_host_close(host);
	return n;
}

/* ---- opening ---- */

static void test_no_bus(void **state)
{
	struct weir_host *host = NULL;
	const char *root = *state;
	char huge[2 * PATH_MAX];

	assert_int_equal(weir_host_open("/nonexistent", &host), -ENOENT);
	assert_non_null(strstr(weir_errmsg(), "/nonexistent"));
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(weir_host_open(huge, &host), -ENAMETOOLONG);

	tree_remove(root, "sys/bus/pci/devices");
	assert_int_equal(weir_host_open(root, &host), -ENOENT);
	assert_non_null(strstr(weir_errmsg(), " holds no PCI bus: "));
	assert_non_null(strstr(weir_errmsg(), "'weir capture'"));
	tree_text(root, "sys/bus/pci/devices", "a file");
	assert_int_equal(weir_host_open(root, &host), -ENOENT);
	assert_null(host);
	assert_int_equal(weir_host_close(NULL), 0);
}

/* What can't be a root isn't opened: a FIFO would block. */
static void test_no_root(void **state)
{
	const char *root = *state;
	struct weir_host *host = NULL;
	char path[256];

	assert_int_equal(weir_host_open("/nonexistent/host.tgz", &host), -ENOENT);
	assert_non_null(strstr(weir_errmsg(), "there is no /nonexistent/host.tgz; a root is "));
	assert_int_equal(weir_host_open("/dev/null", &host), -ENOTDIR);
	assert_non_null(strstr(weir_errmsg(), "/dev/null is neither a folder nor a file; a root "));
	snprintf(path, sizeof(path), "%s/fifo", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(weir_host_open(path, &host), -ENOTDIR);
	assert_non_null(strstr(weir_errmsg(), "fifo is neither a folder nor a file"));
	tree_text(root, "file", "");
	snprintf(path, sizeof(path), "%s/file/sys", root);
	assert_int_equal(weir_host_open(path, &host), -ENOTDIR);
	assert_non_null(strstr(weir_errmsg(), "file/sys can't be reached: Not a directory"));
	assert_null(host);
}

static void test_empty_bus(void **state)
{
	const struct weir_host_function *fn;
	const char *root = *state;
	struct weir_host *host;

	tree_remove(root, "sys/bus/pci/devices/" ADDR);
	assert_int_equal(weir_host_open(root, &host), 0);
	assert_int_equal(weir_host_count(host), 0);
	assert_null(weir_host_function(host, 0));
	assert_int_equal(weir_host_find(host, ADDR, &fn), -ENOENT);
	weir_host_close(host);
}

/* ---- which machine ---- */

static void assert_about(const char *root, const char *model, const char *kernel)
{
	struct weir_host_about about = { .reserved = { 1 } };
	struct weir_host *host;

	assert_int_equal(weir_host_open(root, &host), 0);
	assert_int_equal(weir_host_about(host, &about), 0);
	assert_string_equal(about.model, model);
	assert_string_equal(about.kernel, kernel);
	weir_host_close(host);
}

static void test_about(void **state)
{
	const char *root = *state;
	char huge[4096];

	assert_about(root, "", "");
	tree_bytes(root, "proc/device-tree/model", "PowerNV", 8);
	tree_text(root, "proc/sys/kernel/osrelease", "6.12.107\n");
	assert_about(root, "PowerNV", "6.12.107");
	tree_text(root, "sys/class/dmi/id/product_name", "Z390 M  \nmore\n");
	assert_about(root, "Z390 M", "6.12.107");
	tree_text(root, "sys/class/dmi/id/sys_vendor", "Gigabyte\n");
	assert_about(root, "Gigabyte Z390 M", "6.12.107");
	/* What leads out of the root isn't read, what is too long is cut. */
	tree_link(root, "proc/sys/kernel/osrelease", "/etc/hostname");
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	tree_text(root, "sys/class/dmi/id/product_name", huge);
	huge[63] = '\0';
	tree_text(root, "sys/class/dmi/id/sys_vendor", "   \n");
	assert_about(root, huge, "");
}

/* ---- attributes ---- */

#define CLASS "PCI_CLASS=20000\n"
#define IDS "PCI_ID=1234:11E8\nPCI_SUBSYS_ID=1AF4:1100\n"

static void test_garbage(void **state)
{
	static const struct {
		const char *attr, *text;
	} bad[] = {
		{ "uevent", "" }, { "uevent", "\n\n\n" }, { "uevent", "\033[31m" },
		{ "uevent", "PCI_CLASS=\n" IDS }, { "uevent", "PCI_CLASS=1000000\n" IDS },
		{ "uevent", "PCI_CLASS=0x20000\n" IDS }, { "uevent", "PCI_CLASS=-1\n" IDS },
		{ "uevent", "PCI_CLASS= 20000\n" IDS }, { "uevent", "PCI_CLASS=20000 \n" IDS },
		{ "uevent", IDS }, { "uevent", "XPCI_CLASS=20000\n" IDS },
		{ "uevent", "PCI_CLASS=20000\nPCI_SUBSYS_ID=1AF4:1100\n" },
		{ "uevent", "PCI_CLASS=20000\nPCI_ID=1234:11E8\n" },
		{ "uevent", CLASS "PCI_ID=1234\nPCI_SUBSYS_ID=1AF4:1100\n" },
		{ "uevent", CLASS "PCI_ID=1234\n:11E8\nPCI_SUBSYS_ID=1AF4:1100\n" },
		{ "uevent", CLASS "PCI_ID=10000:11E8\nPCI_SUBSYS_ID=1AF4:1100\n" },
		{ "uevent", CLASS "PCI_ID=1234:11E8\nPCI_SUBSYS_ID=1AF4:10000\n" },
		{ "uevent", CLASS "PCI_ID=1234:11E8\nPCI_SUBSYS_ID=1AF4:" },
		{ "uevent", CLASS "PCI_ID=\033[2J:11E8\nPCI_SUBSYS_ID=1AF4:1100\n" },
		{ "revision", "0x100" }, { "revision", "" },
		{ "numa_node", "" }, { "numa_node", "-2" }, { "numa_node", "2147483648" },
		{ "numa_node", "0 1" }, { "numa_node", "00000000000000000000000" },
		{ "driver", "a file" }, { "iommu", "a file" }, { "iommu_group", "5" },
		{ "physfn", "a file" },
	};
	const char *root = *state;
	struct weir_host *host;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_attr(root, ADDR, bad[i].attr, bad[i].text);
		if (weir_host_open(root, &host) != -EIO)
			fail_msg("%s '%s' was accepted", bad[i].attr, bad[i].text);
		/* It names the function and the file, and doesn't quote what it found. */
		assert_non_null(strstr(weir_errmsg(), ADDR));
		assert_non_null(strstr(weir_errmsg(), bad[i].attr));
		assert_null(strchr(weir_errmsg(), '\033'));
		tree_remove(root, "sys/bus/pci/devices/" ADDR);
		tree_function(root, ADDR);
	}
	assert_int_equal(count(root), 1);
}

static void test_bad_groups(void **state)
{
	static const char *const bad[] = {
		"groups/x", "groups/-1", "groups/5a", "groups/ 5", "groups/+5",
		"groups/2147483648", "groups/99999999999999999999", "groups/..", "groups/",
	};
	const char *root = *state;
	struct weir_host *host;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_attr_link(root, ADDR, "iommu_group", bad[i]);
		if (weir_host_open(root, &host) != -EIO)
			fail_msg("group '%s' was accepted", bad[i]);
	}
	tree_attr_link(root, ADDR, "iommu_group", "groups/2147483647");
	assert_int_equal(scan_one(root).group, INT_MAX);
}

static void test_long_names(void **state)
{
	const char *root = *state;
	struct weir_host *host;
	char target[128];

	memset(target, 'n', sizeof(target) - 1);
	target[64] = '\0';
	tree_attr_link(root, ADDR, "driver", target);
	assert_int_equal(weir_host_open(root, &host), -EIO);
	target[63] = '\0';
	tree_attr_link(root, ADDR, "driver", target);
	assert_string_equal(scan_one(root).driver, target);
}

static void test_missing(void **state)
{
	static const char *const optional[] = { "revision", "numa_node" };
	const char *root = *state;
	struct weir_host_function fn;
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
		snprintf(path, sizeof(path), "sys/bus/pci/devices/" ADDR "/%s", optional[i]);
		tree_remove(root, path);
	}
	fn = scan_one(root);
	assert_string_equal(fn.address, ADDR);
	assert_int_equal(fn.vendor, 0x1234);
	assert_int_equal(fn.device, 0x11e8);
	assert_int_equal(fn.class_code, 0x00ff00);
	assert_int_equal(fn.subsystem_vendor, 0x1af4);
	assert_int_equal(fn.subsystem_device, 0x1100);
	assert_int_equal(fn.revision, 0);
	assert_int_equal(fn.numa_node, -1);
	assert_int_equal(fn.group, -1);
	assert_string_equal(fn.driver, "");
	assert_string_equal(fn.iommu, "");
	assert_string_equal(fn.vfio_node, "");
	assert_string_equal(fn.parent, "");
	assert_string_equal(fn.root_bus, "");
	assert_string_equal(fn.physfn, "");
	assert_int_equal(fn.vfs, 0);

	tree_remove(root, "sys/bus/pci/devices/" ADDR "/uevent");
	assert_int_equal(count(root), 0);
}

static void test_attributes(void **state)
{
	const char *root = *state;
	struct weir_host_function fn;

	tree_attr(root, ADDR, "vendor", "0xffff\n");
	tree_attr(root, ADDR, "class", "0x010802\n");
	tree_attr(root, ADDR, "numa_node", "1\n");
	tree_attr_link(root, ADDR, "driver", "../../../bus/pci/drivers/nvme");
	tree_attr_link(root, ADDR, "iommu_group", "../../../kernel/iommu_groups/5");
	tree_attr_link(root, ADDR, "iommu", "../../virtual/iommu/dmar0");
	fn = scan_one(root);
	assert_int_equal(fn.vendor, 0xffff);
	assert_int_equal(fn.class_code, 0x010802);
	assert_int_equal(fn.subsystem_vendor, 0x1af4);
	assert_int_equal(fn.subsystem_device, 0x1100);
	assert_int_equal(fn.revision, 0x10);
	assert_int_equal(fn.numa_node, 1);
	assert_int_equal(fn.group, 5);
	assert_string_equal(fn.driver, "nvme");
	assert_string_equal(fn.iommu, "dmar0");
	assert_string_equal(fn.vfio_node, "");

	/* An IOMMU that is a function has a folder there, and is behind none. */
	tree_remove(root, "sys/bus/pci/devices/" ADDR "/iommu");
	tree_folder(root, "sys/bus/pci/devices/" ADDR "/iommu/ivhd0");
	assert_string_equal(scan_one(root).iommu, "");

	/* Names are given as they are; who prints them filters them. */
	tree_attr_link(root, ADDR, "driver", "drivers/a\033[2Jb");
	assert_string_equal(scan_one(root).driver, "a\033[2Jb");
}

/* By what the kernel's drivers have as driver_managed_dma. */
static void test_roles(void **state)
{
	static const struct {
		const char *driver;
		enum weir_role role;
	} drivers[] = {
		{ "pcieport", WEIR_ROLE_HARMLESS }, { "pci-stub", WEIR_ROLE_HARMLESS },
		{ "pci-pf-stub", WEIR_ROLE_IN_THE_WAY }, { "shpchp", WEIR_ROLE_IN_THE_WAY },
		{ "vfio-pci", WEIR_ROLE_VFIO }, { "mlx5_vfio_pci", WEIR_ROLE_VFIO },
	};

	assert_int_equal(scan_one(*state).role, WEIR_ROLE_FREE);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		tree_attr_link(*state, ADDR, "driver", drivers[i].driver);
		if (scan_one(*state).role != drivers[i].role)
			fail_msg("%s isn't %d", drivers[i].driver, drivers[i].role);
	}
}

static void test_vfio_node(void **state)
{
	static const char *const drivers[] = {
		"vfio-pci", "mlx5_vfio_pci", "nvgrace_gpu_vfio_pci",
	};
	const char *root = *state;

	/* The group's node alone says nothing of this function: it may be a sibling's. */
	tree_attr_link(root, ADDR, "iommu_group", "groups/5");
	tree_text(root, "dev/vfio/5", "");
	assert_string_equal(scan_one(root).vfio_node, "");
	tree_attr_link(root, ADDR, "driver", "drivers/nvme");
	assert_string_equal(scan_one(root).vfio_node, "");

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		tree_attr_link(root, ADDR, "driver", drivers[i]);
		assert_string_equal(scan_one(root).vfio_node, "/dev/vfio/5");
	}
	/* VFIO's own word, whatever the driver is called. */
	tree_attr_link(root, ADDR, "driver", "drivers/odd");
	tree_folder(root, "sys/bus/pci/devices/" ADDR "/vfio-dev/vfio0");
	tree_folder(root, "sys/class/vfio-dev/vfio0");
	assert_string_equal(scan_one(root).vfio_node, "/dev/vfio/5");

	/* Another group's node isn't its own. */
	tree_remove(root, "dev/vfio/5");
	tree_text(root, "dev/vfio/55", "");
	assert_string_equal(scan_one(root).vfio_node, "");
	tree_text(root, "dev/vfio/noiommu-5", "");
	assert_string_equal(scan_one(root).vfio_node, "/dev/vfio/noiommu-5");

	/* A captured tree has no dev/. */
	tree_remove(root, "dev");
	assert_string_equal(scan_one(root).vfio_node, "");
	tree_folder(root, "sys/class/vfio/5");
	assert_string_equal(scan_one(root).vfio_node, "/dev/vfio/5");
	tree_remove(root, "sys/bus/pci/devices/" ADDR "/iommu_group");
	assert_string_equal(scan_one(root).vfio_node, "");
}

/* ---- the list ---- */

static void remember(void *arg, enum weir_log_level level, const char *msg)
{
	(void)level;
	snprintf(arg, 256, "%s", msg);
}

static void test_strangers(void **state)
{
	const char *root = *state;
	char log[256] = "";

	tree_folder(root, "sys/bus/platform/devices/0000:02:00.0");
	assert_int_equal(count(root), 1);

	/* Neither a name that is no address nor a second spelling of one that is. */
	weir_log_set(remember, log, WEIR_LOG_INFO);
	tree_function(root, "serial8250");
	assert_int_equal(count(root), 1);
	assert_non_null(strstr(log, "serial8250"));
	tree_function(root, "01:00.0");
	tree_function(root, "00000000:01:00.0");
	tree_function(root, "0000:0A:00.0");
	tree_text(root, "sys/bus/pci/devices/README", "captured");
	assert_int_equal(count(root), 1);

	/* A file in the place of a function has no attributes. */
	tree_text(root, "sys/bus/pci/devices/0000:02:00.0", "");
	tree_link(root, "sys/bus/pci/devices/0000:03:00.0", "nowhere");
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
	assert_int_equal(count(root), 1);
}

static void test_order(void **state)
{
	static const char *const sorted[] = {
		"0000:00:00.0", "0000:00:01.0", "0000:00:01.1", "0000:00:1f.7", "0000:01:00.0",
		"0000:0a:00.0", "0000:ff:00.0", "0001:00:00.0", "2000:00:00.0", "10000:00:00.0",
		"10000:e1:00.0", "fffff:00:00.0", "ffffffff:00:00.0",
	};
	const char *root = *state;
	struct weir_host *host;

	for (size_t i = ARRAY_SIZE(sorted); i-- > 0;)
		tree_function(root, sorted[i]);
	assert_int_equal(weir_host_open(root, &host), 0);
	assert_int_equal(weir_host_count(host), ARRAY_SIZE(sorted));
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		const struct weir_host_function *found = NULL;

		assert_int_equal(weir_host_find(host, sorted[i], &found), 0);
		assert_string_equal(found->address, sorted[i]);
		assert_ptr_equal(found, weir_host_function(host, (unsigned int)i));
	}
	weir_host_close(host);
}

/* Enough that threads share them. */
static void test_many(void **state)
{
	const char *root = *state;
	struct weir_host *host;
	char addr[20];

	for (unsigned int i = 0; i < 600; i++) {
		snprintf(addr, sizeof(addr), "0000:%02x:%02x.%u", 2 + i / 256, i / 8 % 32, i % 8);
		tree_function(root, addr);
		tree_attr(root, addr, "device", addr + strlen("0000:02:"));
	}
	assert_int_equal(weir_host_open(root, &host), 0);
	assert_int_equal(weir_host_count(host), 601);
	for (unsigned int i = 0; i < 600; i++) {
		const struct weir_host_function *fn = weir_host_function(host, i + 1);

		snprintf(addr, sizeof(addr), "0000:%02x:%02x.%u", 2 + i / 256, i / 8 % 32, i % 8);
		assert_string_equal(fn->address, addr);
		assert_int_equal(fn->device, i / 8 % 32);
	}
	weir_host_close(host);

	/* What has no identity is left out, wherever it is. */
	tree_remove(root, "sys/bus/pci/devices/" ADDR "/uevent");
	tree_remove(root, "sys/bus/pci/devices/0000:03:1f.7/uevent");
	tree_remove(root, "sys/bus/pci/devices/0000:04:0a.7/uevent");
	assert_int_equal(count(root), 598);
	/* Of several failures it's always the first, whoever finds his first. */
	tree_attr(root, "0000:03:0f.4", "numa_node", "x\n");
	tree_attr(root, "0000:03:08.0", "numa_node", "x\n");
	tree_attr(root, "0000:03:00.1", "numa_node", "x\n");
	for (int i = 0; i < 50; i++) {
		assert_int_equal(weir_host_open(root, &host), -EIO);
		assert_non_null(strstr(weir_errmsg(), "0000:03:00.1/numa_node"));
	}
}

/* ---- functions that vanish in mid-scan ---- */

static struct {
	const char *root;
	int opens;
	int vanish_at;
	int error;
} vanish;

/* Whether what is opened is the second function's folder or lies in it. */
static bool is_its(int folder, const char *path)
{
	char link[64], place[PATH_MAX];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
	len = readlink(link, place, sizeof(place) - 1);
	place[len < 0 ? 0 : len] = '\0';
	return strstr(place, "/0000:02:00.0") || !strcmp(path, "0000:02:00.0");
}

/* The function goes away just before its attribute number vanish_at is opened; 0: its folder. */
static int vanish_openat(int folder, const char *path, int flags)
{
	if (is_its(folder, path) && vanish.opens++ == vanish.vanish_at) {
		if (vanish.error)
			return vanish.error;
		tree_remove(vanish.root, "sys/bus/pci/devices/0000:02:00.0");
	}
	return wr_sys_kernel.openat(folder, path, flags);
}

static void test_vanishing(void **state)
{
	static struct wr_sys sys;
	const char *root = *state;

	vanish.root = root;
	vanish.error = 0;
	sys = wr_sys_kernel;
	sys.openat = vanish_openat;
	/* The first two lead to its identity; without the others it's still a function. */
	for (vanish.vanish_at = 0; vanish.vanish_at < 4; vanish.vanish_at++) {
		tree_function(root, "0000:02:00.0");
		vanish.opens = 0;
		wr_sys = &sys;
		assert_int_equal(count(root), vanish.vanish_at < 2 ? 1 : 2);
		assert_in_range(vanish.opens, vanish.vanish_at + 1, 4);
		wr_sys = &wr_sys_kernel;
		tree_remove(root, "sys/bus/pci/devices/0000:02:00.0");
	}
	tree_function(root, "0000:02:00.0");
	vanish.error = -ENODEV;
	for (vanish.vanish_at = 0; vanish.vanish_at < 2; vanish.vanish_at++) {
		vanish.opens = 0;
		wr_sys = &sys;
		assert_int_equal(count(root), 1);
	}
}

static void test_system_errors(void **state)
{
	static const int errors[] = { -EACCES, -EMFILE, -ENOMEM };
	static struct wr_sys sys;
	const char *root = *state;
	struct weir_host *host;

	tree_function(root, "0000:02:00.0");
	sys = wr_sys_kernel;
	sys.openat = vanish_openat;
	wr_sys = &sys;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		for (vanish.vanish_at = 0; vanish.vanish_at < 4; vanish.vanish_at++) {
			vanish.opens = 0;
			vanish.error = errors[i];
			assert_int_equal(weir_host_open(root, &host), errors[i]);
			assert_non_null(strstr(weir_errmsg(), "0000:02:00.0"));
		}
	}
}

/* ---- finding ---- */

static void test_find_bad(void **state)
{
	static const char *const malformed[] = {
		"", "00:zz", "0000:01:00", "0000:01:00.8", "eth0", "../0000:01:00.0",
		"01:00.0 ", ".",
	};
	const struct weir_host_function *fn = NULL;
	const char *root = *state;
	struct weir_host *host;

	tree_folder(root, "sys/bus/platform/devices/serial8250");
	tree_folder(root, "sys/bus/platform/devices/0000:05:00.0");
	assert_int_equal(weir_host_open(root, &host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
		assert_int_equal(weir_host_find(host, malformed[i], &fn), -EINVAL);
		assert_non_null(strstr(weir_errmsg(), malformed[i]));
		assert_non_null(strstr(weir_errmsg(), "no PCI address"));
	}
	assert_int_equal(weir_host_find(host, NULL, &fn), -EINVAL);

	assert_int_equal(weir_host_find(host, "serial8250", &fn), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "platform"));
	assert_int_equal(weir_host_find(host, "05:00.0", &fn), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "platform"));

	assert_int_equal(weir_host_find(host, "7f:1f.7", &fn), -ENOENT);
	assert_non_null(strstr(weir_errmsg(), "0000:7f:1f.7"));
	/* One that wasn't there yet when the tree was scanned. */
	tree_function(root, "0000:7f:1f.7");
	assert_int_equal(weir_host_find(host, "7f:1f.7", &fn), -ENOENT);
	assert_null(fn);
	weir_host_close(host);
}

static void test_find(void **state)
{
	static const char *const spellings[] = { "0000:0a:00.0", "0a:00.0", "0A:00.0",
						 "00000000:0a:00.0" };
	const struct weir_host_function *fn;
	const char *root = *state;
	struct weir_host *host;

	tree_function(root, "0000:0a:00.0");
	tree_function(root, "0001:0a:00.0");
	assert_int_equal(weir_host_open(root, &host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		assert_int_equal(weir_host_find(host, spellings[i], &fn), 0);
		assert_string_equal(fn->address, "0000:0a:00.0");
	}
	weir_host_close(host);
}

/* ---- details ---- */

#define NONE "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"

struct one {
	struct weir_host *host;
	const struct weir_host_function *fn;
};

static struct one open_one(const char *root)
{
	struct one one;

	assert_int_equal(weir_host_open(root, &one.host), 0);
	assert_int_equal(weir_host_find(one.host, ADDR, &one.fn), 0);
	return one;
}

static void test_regions_bad(void **state)
{
	static const char *const bad[] = {
		"x\n", "0x0\n", "0x0 0x0\n", "0x0 0x0 0x0 0x0\n", "0x0  0x0 0x0\n",
		"0x1000 0xfff 0x200\n", "0x1000 0x10 0x200\n",
		"0x0 0xffffffffffffffff 0x200\n", "0x10000000000000000 0x0 0x0",
		"0 0 0\n", "0x 0x 0x\n", "0x0 0x0 0x200x\n", NONE "\n" NONE, NONE "-0x1 0x1 0x1",
	};
	struct weir_host_region regions[7];
	const char *root = *state;
	struct one one = open_one(root);
	char huge[8192];

	assert_int_equal(weir_host_regions(one.host, one.fn, regions, 7), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_attr(root, ADDR, "resource", bad[i]);
		if (weir_host_regions(one.host, one.fn, regions, 7) != -EIO)
			fail_msg("'%s' was accepted", bad[i]);
		assert_non_null(strstr(weir_errmsg(), ADDR));
	}
	memset(huge, '0', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	tree_attr(root, ADDR, "resource", huge);
	assert_int_equal(weir_host_regions(one.host, one.fn, regions, 7), -EOVERFLOW);
	weir_host_close(one.host);
}

static void test_regions(void **state)
{
	struct weir_host_region regions[7] = { 0 };
	const char *root = *state;
	struct one one = open_one(root);

	tree_attr(root, ADDR, "resource", "");
	assert_int_equal(weir_host_regions(one.host, one.fn, regions, 7), 0);
	tree_attr(root, ADDR, "resource",
		  "0x00000000fe000000 0x00000000fe0fffff 0x0000000000040200\n" NONE
		  "0x0000004000000000 0x00000040000fffff 0x000000000014220c\n" NONE
		  "0x000000000000e000 0x000000000000e01f 0x0000000000040101\n" NONE
		  "0x0000000000000000 0x000000000000ffff 0x0000000020040200\n"
		  /* SR-IOV's, not the function's own. */
		  "0x00000000fd000000 0x00000000fdffffff 0x0000000000040200\n" NONE NONE);
	assert_int_equal(weir_host_regions(one.host, one.fn, regions, 7), 4);
	assert_int_equal(regions[0].region, WEIR_REGION_BAR0);
	assert_true(regions[0].start == 0xfe000000 && regions[0].size == 1 << 20);
	assert_false(regions[0].io || regions[0].is64 || regions[0].prefetchable);
	assert_int_equal(regions[1].region, WEIR_REGION_BAR2);
	assert_true(regions[1].start == 0x4000000000 && regions[1].size == 1 << 20);
	assert_true(!regions[1].io && regions[1].is64 && regions[1].prefetchable);
	assert_int_equal(regions[2].region, WEIR_REGION_BAR4);
	assert_true(regions[2].io && !regions[2].is64 && regions[2].size == 32);
	/* One without an address yet still has its size. */
	assert_int_equal(regions[3].region, WEIR_REGION_ROM);
	assert_true(regions[3].start == 0 && regions[3].size == 65536);

	memset(regions, 0xee, sizeof(regions));
	assert_int_equal(weir_host_regions(one.host, one.fn, regions, 1), 4);
	assert_int_equal(regions[1].region, 0xeeeeeeee);
	assert_int_equal(weir_host_regions(one.host, one.fn, NULL, 0), 4);
	weir_host_close(one.host);
}

static void test_config(void **state)
{
	static const size_t sizes[] = { 0, 64, 256, 4096 };
	unsigned char bytes[8192], buf[8192];
	const char *root = *state;
	struct one one = open_one(root);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + i / 256);
	assert_int_equal(weir_host_config(one.host, one.fn, buf, sizeof(buf)), -ENOENT);
	assert_non_null(strstr(weir_errmsg(), ADDR));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		tree_bytes(root, "sys/bus/pci/devices/" ADDR "/config", bytes, sizes[i]);
		assert_int_equal(weir_host_config(one.host, one.fn, buf, sizeof(buf)), sizes[i]);
		assert_memory_equal(buf, bytes, sizes[i]);
	}
	/* Never more than there is room, nor than a config space has. */
	buf[16] = 0xa5;
	assert_int_equal(weir_host_config(one.host, one.fn, buf, 16), 16);
	assert_int_equal(buf[16], 0xa5);
	assert_int_equal(weir_host_config(one.host, one.fn, NULL, 0), 0);
	tree_bytes(root, "sys/bus/pci/devices/" ADDR "/config", bytes, sizeof(bytes));
	assert_int_equal(weir_host_config(one.host, one.fn, buf, sizeof(buf)), 4096);
	tree_remove(root, "sys/bus/pci/devices/" ADDR "/config");
	tree_folder(root, "sys/bus/pci/devices/" ADDR "/config");
	assert_int_equal(weir_host_config(one.host, one.fn, buf, sizeof(buf)), -EISDIR);
	weir_host_close(one.host);
}

static void test_reset_methods(void **state)
{
	const char *root = *state;
	struct one one = open_one(root);
	char buf[16] = "x";

	assert_int_equal(weir_host_reset_methods(one.host, one.fn, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	tree_attr(root, ADDR, "reset_method", "flr pm bus\n");
	assert_int_equal(weir_host_reset_methods(one.host, one.fn, buf, sizeof(buf)), 10);
	assert_string_equal(buf, "flr pm bus");
	assert_int_equal(weir_host_reset_methods(one.host, one.fn, buf, 4), -EOVERFLOW);
	assert_int_equal(weir_host_reset_methods(one.host, one.fn, buf, 0), -EINVAL);
	tree_attr(root, ADDR, "reset_method", "\n");
	assert_int_equal(weir_host_reset_methods(one.host, one.fn, buf, sizeof(buf)), 0);
	weir_host_close(one.host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_tree, free_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_bus),
		TEST(test_no_root),
		TEST(test_about),
		TEST(test_empty_bus),
		TEST(test_garbage),
		TEST(test_bad_groups),
		TEST(test_long_names),
		TEST(test_missing),
		TEST(test_attributes),
		TEST(test_roles),
		TEST(test_vfio_node),
		TEST(test_strangers),
		TEST(test_order),
		TEST(test_many),
		TEST(test_vanishing),
		TEST(test_system_errors),
		TEST(test_find_bad),
		TEST(test_find),
		TEST(test_regions_bad),
		TEST(test_regions),
		TEST(test_config),
		TEST(test_reset_methods),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
