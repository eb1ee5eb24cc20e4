/* SPDX-License-Identifier: MIT */
/* What keeps a function from being bound: each use, in a tree, is refused and named. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/host.h>

#include "base/sys.h"
#include "fake_sysfs.h"
#include "host/use.h"
#include "tree.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ADDR "0000:01:00.0"
#define OTHER "0000:01:00.1"
#define BELOW "../../devices/pci0000:00/0000:00:1c.0/" ADDR
#define DISK BELOW "/nvme/nvme0/nvme0n1"

static int start(void **state)
{
	*state = tree_new();
	fake_sysfs_start(*state);
	fake_function(ADDR, 5, "nvme");
	return 0;
}

static int stop(void **state)
{
	fake_sysfs_stop();
	tree_free(*state);
	return 0;
}

/* A block device by its link; as a class shows it, the attributes lie behind that. */
static void put_disk(const char *root, const char *name, const char *link, const char *number)
{
	char path[PATH_MAX];

	/* "../../devices" in sys/class/block is sys/devices. */
	snprintf(path, sizeof(path), "sys/%s/dev", link + strlen("../../"));
	tree_text(root, path, number);
	snprintf(path, sizeof(path), "sys/class/block/%s", name);
	tree_link(root, path, link);
}

static int try(bool force)
{
	const struct weir_host_bind_opts opts = { .force = force, .dry_run = true };
	const char *address = ADDR;

	return weir_host_bind(fake_sysfs->root, &address, 1, &opts);
}

static void assert_free(void)
{
	if (try(false))
		fail_msg("not free: %s", weir_errmsg());
}

/* Refused, unless by force, with both parts in the sentence. */
static void assert_used(const char *what, const char *file)
{
	assert_int_equal(try(false), -EBUSY);
	if (!strstr(weir_errmsg(), what) || !strstr(weir_errmsg(), file) ||
	    !strstr(weir_errmsg(), "--force"))
		fail_msg("'%s' and '%s' aren't in: %s", what, file, weir_errmsg());
	assert_int_equal(try(true), 0);
}

static void put_mounts(const char *root, const char *text)
{
	tree_text(root, "proc/self/mountinfo", text);
}

static void test_disk(void **state)
{
	const char *root = *state;

	put_disk(root, "nvme0n1", DISK, "259:0\n");
	put_disk(root, "nvme0n1p1", DISK "/nvme0n1p1", "259:1\n");
	/* Another function's, whose address begins alike. */
	put_disk(root, "sda", "../../devices/pci0000:00/" OTHER "/ata1/sda", "8:0\n");
	put_disk(root, "sdb", "../../devices/pci0000:00/" ADDR "0/ata1/sdb", "8:16\n");
	put_mounts(root, "30 1 8:0 / /mnt rw - ext4 /dev/sda rw\n"
		   "31 1 8:16 / /opt rw - ext4 /dev/sdb rw\n"
		   "32 1 0:5 / /proc rw - proc proc rw\n");
	assert_free();

	put_mounts(root, "30 1 259:0 / /data\\040here rw - ext4 /dev/nvme0n1 rw\n");
	assert_used("nvme0n1 is mounted on /data here", "/proc/self/mountinfo");
	put_mounts(root, "30 1 259:1 / /boot rw - vfat /dev/nvme0n1p1 rw\n");
	assert_used("nvme0n1p1 is mounted on /boot", "/proc/self/mountinfo");
	/* btrfs: the number isn't the disk's. */
	put_mounts(root, "30 1 0:41 /sub /home rw - btrfs /dev/nvme0n1p1 rw\n");
	assert_used("nvme0n1p1 is mounted on /home", "/proc/self/mountinfo");

	put_mounts(root, "");
	tree_text(root, "proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"
		  "/dev/sda partition 1 0 -2\n");
	assert_free();
	tree_text(root, "proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"
		  "/dev/nvme0n1p1  partition\t1000\t0\t-2\n");
	assert_used("nvme0n1p1 is swap", "/proc/swaps");
	tree_text(root, "proc/swaps", "");
	assert_free();
}

static void test_root_disk(void **state)
{
	const char *root = *state;

	put_disk(root, "nvme0n1", DISK, "259:0\n");
	put_disk(root, "nvme0n1p2", DISK "/nvme0n1p2", "259:2\n");
	put_disk(root, "dm-0", "../../devices/virtual/block/dm-0", "253:0\n");
	put_disk(root, "md0", "../../devices/virtual/block/md0", "9:0\n");
	put_mounts(root, "29 1 259:0 / /mnt rw - ext4 /dev/nvme0n1 rw\n"
		   "30 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n");
	assert_int_equal(try(true), -EBUSY);
	assert_non_null(strstr(weir_errmsg(), "mounted on / "));

	/* Below RAID and LVM, where btrfs has its own numbers and dm its own names. */
	put_mounts(root, "30 1 0:40 / / rw - btrfs /dev/mapper/vg-root rw\n");
	tree_text(root, "sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
	tree_folder(root, "sys/class/block/nvme0n1p2/holders/md0");
	tree_folder(root, "sys/class/block/md0/holders/dm-0");
	assert_int_equal(try(true), -EBUSY);
	assert_non_null(strstr(weir_errmsg(), "not even with --force"));
	assert_non_null(strstr(weir_errmsg(), "nvme0n1p2 is below md0"));
	/* Though another use is found first. */
	tree_text(root, "proc/swaps", "Filename Type Size Used Priority\n/dev/dm-0 p 1 0 -2\n"
		  "/dev/nvme0n1 partition 1 0 -2\n/dev/nvme0n1p2 partition 1 0 -2\n");
	assert_int_equal(try(true), -EBUSY);
}

static void test_holders(void **state)
{
	const char *root = *state;

	put_disk(root, "nvme0n1", DISK, "259:0\n");
	tree_folder(root, "sys/class/block/nvme0n1/holders");
	assert_free();
	put_disk(root, "dm-3", "../../devices/virtual/block/dm-3", "253:3\n");
	tree_folder(root, "sys/class/block/nvme0n1/holders/dm-3");
	assert_used("nvme0n1 is below dm-3", "nvme0n1/holders");
	put_mounts(root, "30 1 253:3 / /srv rw - xfs /dev/mapper/x rw\n");
	assert_used("dm-3 is mounted on /srv", "/proc/self/mountinfo");

	/* A circle, which the kernel never makes. */
	tree_folder(root, "sys/class/block/dm-3/holders/dm-3");
	put_mounts(root, "");
	assert_int_equal(try(false), -ELOOP);
}

static void test_node(void **state)
{
	const char *root = *state;
	char path[PATH_MAX];
	int fd;

	fake_sysfs->holders = true;
	put_disk(root, "cciss!c0d0", BELOW "/cciss!c0d0", "104:0\n");
	tree_text(root, "dev/cciss/c0d0", "");
	assert_free();
	fake_sysfs->busy = "/dev/cciss/c0d0";
	assert_used("exclusively", "/dev/cciss/c0d0");
	fake_sysfs->busy = NULL;
	fake_sysfs->denied = "/dev/cciss/c0d0";
	assert_int_equal(try(true), -EACCES);
	assert_non_null(strstr(weir_errmsg(), "/dev/cciss/c0d0 open can't be told"));
	fake_sysfs->denied = NULL;
	snprintf(path, sizeof(path), "%s/dev/cciss/c0d0", root);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_used("process ", "/dev/cciss/c0d0 open");
	close(fd);
	assert_free();
}

/* The disk hangs below a subsystem that links to its controllers. */
static void test_multipath(void **state)
{
	const char *root = *state;

	put_disk(root, "nvme0n1", "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1",
		 "259:0\n");
	tree_link(root, "sys/class/nvme-subsystem/nvme-subsys0",
		  "../../devices/virtual/nvme-subsystem/nvme-subsys0");
	put_mounts(root, "30 1 259:0 / /srv rw - xfs /dev/nvme0n1 rw\n");
	tree_link(root, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme1",
		  "../../../pci0000:00/" OTHER "/nvme/nvme1");
	assert_free();
	tree_link(root, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0",
		  "../../../pci0000:00/" ADDR "/nvme/nvme0");
	assert_used("nvme0n1 is mounted on /srv", "/proc/self/mountinfo");
	/* A path has no number. */
	tree_folder(root, "sys/devices/pci0000:00/" ADDR "/nvme/nvme0/nvme0c0n1");
	tree_link(root, "sys/class/block/nvme0c0n1",
		  "../../devices/pci0000:00/" ADDR "/nvme/nvme0/nvme0c0n1");
	assert_used("nvme0n1 is mounted on /srv", "/proc/self/mountinfo");
}

static void test_unknown(void **state)
{
	const char *root = *state;

	put_disk(root, "nvme0n1", DISK, "259:0\n");
	tree_remove(root, "proc/self/mountinfo");
	assert_int_equal(try(true), -ENOENT);
	assert_non_null(strstr(weir_errmsg(), "mountinfo"));
	put_mounts(root, "");
	put_disk(root, "nvme0n1", DISK, "none\n");
	assert_int_equal(try(true), -EIO);
	assert_non_null(strstr(weir_errmsg(), "device number"));
}

/* ---- networks ---- */

static void put_interface(const char *root, const char *flags)
{
	tree_text(root, "sys/devices/pci0000:00/0000:00:1c.0/" ADDR "/net/eth0/flags", flags);
	tree_link(root, "sys/class/net/eth0", BELOW "/net/eth0");
	tree_link(root, "sys/class/net/lo", "../../devices/virtual/net/lo");
}

static const char *here;

static int open_here(const char *path, int flags)
{
	char below[PATH_MAX];

	snprintf(below, sizeof(below), "%s%s", here, path);
	return wr_sys_kernel.open(below, flags);
}

/* Whether its interface is in use, when the tree is this machine. */
static int use_here(const char *root)
{
	const struct weir_host_function fn = { .address = ADDR };
	const struct wr_sys *outer = wr_sys;
	struct wr_sys sys = *wr_sys;
	char use[WR_USE_MAX];
	int ret;

	here = root;
	sys.open = open_here;
	wr_sys = &sys;
	ret = wr_use_net("", &fn, use);
	wr_sys = outer;
	return ret;
}

#define ROUTES "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
#define ZERO "00000000000000000000000000000000"

static void test_net_routes(void **state)
{
	const char *root = *state;

	put_interface(root, "0x1003\n");
	tree_text(root, "proc/net/route", ROUTES
		  "eth1\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
		  "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
		  "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n");
	tree_text(root, "proc/net/ipv6_route",
		  ZERO " 00 " ZERO " 00 " ZERO " ffffffff 00000001 00000000 00200200       lo\n"
		  ZERO " 01 " ZERO " 00 " ZERO " 00000400 00000001 00000000 00000003     eth0\n");
	assert_int_equal(use_here(root), WR_USE_NONE);
	tree_text(root, "proc/net/ipv6_route",
		  ZERO " 00 " ZERO " 00 fe800000000000000000000000000001 00000400 00000001 "
		  "00000000 00000003     eth0\n");
	assert_used("default route goes over its interface eth0", "/proc/net/ipv6_route");
	tree_text(root, "proc/net/route", ROUTES
		  "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	assert_used("default route goes over its interface eth0", "/proc/net/route");
	/* A default route over an interface that is down can't be. */
	put_interface(root, "0x1002\n");
	assert_free();
	put_interface(root, "up");
	assert_int_equal(try(false), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "eth0/flags"));
}

/* Of this machine, the kernel is asked. */
static void test_net_here(void **state)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct ifaddrs none = { .ifa_name = (char *)"eth0" };
	struct ifaddrs its = { .ifa_next = &none, .ifa_name = (char *)"eth0" };
	struct ifaddrs other = { .ifa_next = &its, .ifa_name = (char *)"eth1",
				 .ifa_addr = (struct sockaddr *)&four };
	const char *root = *state;

	put_interface(root, "0x1003\n");
	fake_sysfs->addresses = &other;
	assert_int_equal(use_here(root), WR_USE_NONE);
	its.ifa_addr = (struct sockaddr *)&six;
	six.sin6_addr.s6_addr[0] = 0xfe;
	six.sin6_addr.s6_addr[1] = 0x80;
	assert_int_equal(use_here(root), WR_USE_NONE);
	six.sin6_addr.s6_addr[0] = 0x20;
	assert_int_equal(use_here(root), WR_USE_SOME);
	its.ifa_addr = (struct sockaddr *)&four;
	assert_int_equal(use_here(root), WR_USE_SOME);
	put_interface(root, "0x1002\n");
	assert_int_equal(use_here(root), WR_USE_NONE);
}

/* Of another its files, though this one has an interface of that name, with addresses. */
static void test_net_addresses(void **state)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct ifaddrs its = { .ifa_name = (char *)"eth0", .ifa_addr = (struct sockaddr *)&four };
	const char *root = *state;

	put_interface(root, "0x1003\n");
	fake_sysfs->addresses = &its;
	assert_int_equal(try(false), -ENOENT);
	assert_non_null(strstr(weir_errmsg(), "whether eth0 has an address can't be told"));
	assert_non_null(strstr(weir_errmsg(), "/proc/net/route"));
	tree_text(root, "proc/net/route", ROUTES
		  "eth1\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
	assert_free();

	fake_sysfs->addresses = NULL;
	tree_text(root, "proc/net/if_inet6",
		  "20010db8000000000000000000000001 03 40 00 80     eth1\n"
		  "fe800000000000000000000000000001 02 40 20 80     eth0\n");
	assert_free();
	tree_text(root, "proc/net/if_inet6",
		  "20010db8000000000000000000000001 02 40 00 80     eth0\n");
	assert_used("interface eth0 is up", "eth0/flags");
	tree_remove(root, "proc/net/if_inet6");
	tree_text(root, "proc/net/route", ROUTES
		  "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
	assert_used("interface eth0 is up", "eth0/flags");
	put_interface(root, "0x1002\n");
	assert_free();

	put_interface(root, "0x1003\n");
	tree_link(root, "sys/class/net/eth0/upper_br0", "../br0");
	assert_used("below br0", "eth0/upper_br0");
}

/* The kernel lets an interface be called so (dev_valid_name()), and a tree anything. */
static void test_net_names(void **state)
{
	static const char *const names[] = { "$(reboot)", "a';reboot'", "-all", "x&y" };
	char path[128], below[128], routes[256];
	const char *root = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(routes, sizeof(routes), ROUTES "%s\t0002A8C0\t00000000\t0001\n", names[i]);
		tree_text(root, "proc/net/route", routes);
		snprintf(path, sizeof(path), "sys/devices/pci0000:00/0000:00:1c.0/" ADDR
			 "/net/%s/flags", names[i]);
		tree_text(root, path, "0x1003\n");
		snprintf(path, sizeof(path), "sys/class/net/%s", names[i]);
		snprintf(below, sizeof(below), BELOW "/net/%s", names[i]);
		tree_link(root, path, below);
		assert_used("is up", "has an address");
		assert_null(strstr(weir_errmsg(), "ip link"));
		tree_remove(root, path);
	}
	put_interface(root, "0x1003\n");
	tree_text(root, "proc/net/route", ROUTES "eth0\t0002A8C0\t00000000\t0001\n");
	assert_used("'ip link set eth0 down'", "eth0/flags");
	fake_sysfs->addresses = NULL;
}

/* ---- the rest ---- */

static void test_graphics(void **state)
{
	const char *root = *state;

	tree_attr(root, ADDR, "boot_vga", "0\n");
	assert_free();
	tree_attr(root, ADDR, "boot_vga", "1\n");
	assert_used("first graphics", "boot_vga");
	tree_attr(root, ADDR, "boot_vga", "0\n");

	tree_text(root, "sys/class/vtconsole/vtcon0/name", "(S) VGA+\n");
	tree_text(root, "sys/class/vtconsole/vtcon0/bind", "1\n");
	tree_text(root, "sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
	tree_text(root, "sys/class/vtconsole/vtcon1/bind", "0\n");
	tree_link(root, "sys/class/graphics/fb0", BELOW "/graphics/fb0");
	assert_free();
	tree_text(root, "sys/class/vtconsole/vtcon1/bind", "1\n");
	assert_used("framebuffer fb0", "sys/class/vtconsole");
	tree_link(root, "sys/class/graphics/fb0",
		  "../../devices/pci0000:00/" OTHER "/graphics/fb0");
	assert_free();
}

static void test_vfs(void **state)
{
	const char *root = *state;

	tree_attr(root, ADDR, "sriov_numvfs", "0\n");
	assert_free();
	tree_attr(root, ADDR, "sriov_numvfs", "4\n");
	assert_used("4 VFs", "sriov_numvfs");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_disk),
		TEST(test_root_disk),
		TEST(test_holders),
		TEST(test_node),
		TEST(test_multipath),
		TEST(test_unknown),
		TEST(test_net_routes),
		TEST(test_net_here),
		TEST(test_net_addresses),
		TEST(test_net_names),
		TEST(test_graphics),
		TEST(test_vfs),
	};

	return cmocka_run_group_tests_name("use", tests, NULL, NULL);
}
