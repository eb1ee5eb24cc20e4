/* SPDX-License-Identifier: MIT */
/* What is easily taken for something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "doctor_rig.h"
#include "tree.h"

#define PCI "/sys/bus/pci/devices/"

/* By the header's type, as the kernel decides it; a class with "bridge" in its name says little. */
static void test_endpoint_header(void **state)
{
	unsigned char config[64] = { 0x34, 0x12 };
	const char *root = *state;

	tree_attr(root, CARD, "class", "0x068000\n");	/* an NVSwitch */
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", config, sizeof(config));
	assert_well(root, CARD, "endpoint");
	config[0x0e] = 0x81;
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", config, sizeof(config));
	assert_found(root, CARD, "endpoint", WEIR_HOST_STOP, "is a bridge (header type 1",
		     PCI CARD "/config");
	/* What answers with ones has no such type: then its class says it. */
	memset(config, 0xff, sizeof(config));
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", config, sizeof(config));
	assert_well(root, CARD, "endpoint");
	tree_attr(root, CARD, "class", "0x060900\n");
	assert_found(root, CARD, "endpoint", WEIR_HOST_STOP, "is a bridge (class 060900",
		     PCI CARD "/class");
}

/* Arm's pages of 64 KiB, and sizes that are no whole number of the next unit. */
static void test_pools(void **state)
{
	static const char *const pools[][2] = {
		{ "64", "7 of 64 KiB" }, { "1024", "7 of 1 MiB" }, { "1536", "7 of 1536 KiB" },
		{ "32768", "7 of 32 MiB" }, { "16777216", "7 of 16 GiB" },
	};
	const char *root = *state;
	char path[128];

	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		tree_remove(root, "sys/kernel/mm/hugepages");
		snprintf(path, sizeof(path), "sys/kernel/mm/hugepages/hugepages-%skB/nr_hugepages",
			 pools[i][0]);
		tree_text(root, path, "7\n");
		assert_found(root, NULL, "hugepages", WEIR_HOST_OK, pools[i][1], NULL);
	}
}

/* What isn't known is no reason to say that all is well. */
static void test_limits(void **state)
{
	const char *root = *state;

	put_limit(root, "proc/self/limits", "8388608");
	tree_remove(root, "proc/meminfo");
	assert_found(root, NULL, "memlock", WEIR_HOST_NOTE, "may lock 8192 KiB for devices",
		     "/proc/meminfo");
	put_limit(root, "proc/self/limits", "unlimited");
	assert_well(root, NULL, "memlock");
	assert_found(root, NULL, "memlock", WEIR_HOST_OK, "all memory", "/proc/self/limits");
	put_limit(root, "proc/self/limits", "much");
	assert_found(root, NULL, "memlock", WEIR_HOST_NOTE, "no number", "/proc/self/limits");
	assert_silent(root, CARD, "bar-memlock");
}

/* As QEMU reads its option -m; the limit is so small that each guest is a finding. */
static void test_guest_memory(void **state)
{
	static const char *const sizes[][2] = {
		{ "64", " 64 MiB" }, { "4096", " 4096 MiB" }, { "1.5G", " 1536 MiB" },
		{ "2g,maxmem=64G", " 2048 MiB" }, { "maxmem=64G,size=16G,slots=4", " 16384 MiB" },
		{ "slots=4,size=1024k", " 1 MiB" }, { "size=1073741824k", " 1048576 MiB" },
		{ "size=17179869184b", " 16384 MiB" }, { "0.5T", " 524288 MiB" },
		{ "1G -m 2G", " 2048 MiB" },
	};
	static const char *const bad[] = {
		"", "maxmem=64G", "size=", "size=G", "size=16X", "size=16GG", "size=-1",
		"99999999999999999999", "17592186044416", "16777216T", "1.5.5G", "mysize=4G",
	};
	const char *root = *state;
	char text[256];

	put_limit(root, "proc/77/limits", "1");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(text, sizeof(text), "qemu-kvm -m %s -device vfio-pci,host=1:0.0 ",
			 sizes[i][0]);
		tree_text(root, "proc/77/cmdline", text);
		assert_found(root, NULL, "vmm-memlock", WEIR_HOST_WARNING, sizes[i][1],
			     "/proc/77/limits");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "qemu-kvm -m %s -device vfio-pci,host=1:0.0 ",
			 bad[i]);
		tree_text(root, "proc/77/cmdline", text);
		assert_well(root, NULL, "vmm-memlock");
	}
}

/* All six numbers of an id count, as in vfio_pci_fill_ids(). */
static void test_ids(void **state)
{
	static const char *const hits[] = {
		"1234:11e8", "1234:11e8:1af4:1100", "1234:11e8:ffffffff:1100", "ffffffff:ffffffff",
		"1234:11e8:ffffffff:ffffffff:020000:ffff00", "x,1234:11e8:1af4", "0x1234:0x11e8",
	};
	static const char *const misses[] = {
		"1234:11e8:1043:85a0", "1234:11e8:1af4:1101", "11234:11e8", "1234", "1234:11e8:0",
		"1234:11e8:ffffffff:ffffffff:030000:ff0000", "", ",,", "1234;11e8",
	};
	const char *root = *state;
	char text[256];

	tree_attr(root, CARD, "subsystem_vendor", "0x1af4\n");
	tree_attr(root, CARD, "subsystem_device", "0x1100\n");
	tree_attr(root, CARD, "class", "0x020000\n");
	for (size_t i = 0; i < sizeof(hits) / sizeof(hits[0]); i++) {
		snprintf(text, sizeof(text), CMDLINE " vfio-pci.ids=%s\n", hits[i]);
		tree_text(root, "proc/cmdline", text);
		assert_found(root, CARD, "vfio-late", WEIR_HOST_WARNING, "was to take it",
			     "/proc/cmdline");
	}
	for (size_t i = 0; i < sizeof(misses) / sizeof(misses[0]); i++) {
		snprintf(text, sizeof(text), CMDLINE " vfio-pci.ids=%s\n", misses[i]);
		tree_text(root, "proc/cmdline", text);
		assert_silent(root, CARD, "vfio-late");
	}
}

/* Of two cards with one id, the subsystem's may tell which. */
static void test_ids_of_one(void **state)
{
	const char *root = *state;

	tree_attr(root, PORT, "device", "0x0001\n");
	put_function(root, "0000:00:1c.1/0000:02:00.0", 6, NULL);
	tree_attr(root, CARD, "subsystem_device", "0x0001\n");
	tree_attr(root, "0000:02:00.0", "subsystem_device", "0x0002\n");
	tree_text(root, "proc/cmdline", CMDLINE " vfio-pci.ids=1234:11e8:ffffffff:1\n");
	assert_found(root, CARD, "identical", WEIR_HOST_NOTE, "who chooses by id", NULL);
	tree_text(root, "proc/cmdline", CMDLINE " vfio-pci.ids=1234:11e8\n");
	assert_found(root, CARD, "identical", WEIR_HOST_WARNING, "takes them all", "/proc/cmdline");
}

/* Without a domain in the kernel's line it may be another's. */
static void test_faults_of_domains(void **state)
{
	const char *root = *state;

	tree_text(root, "dev/kmsg", "3,1,1,-;DMAR: [DMA Write NO_PASID] Request device [01:00.0] "
		  "fault addr 0x1000 [fault reason 0x05] PTE Write access is not set\n");
	assert_found(root, CARD, "dma-faults", WEIR_HOST_WARNING, "stopped its DMA", "/dev/kmsg");
	tree_function_at(root, "sys/devices/pci0001:00/0001:01:00.0");
	assert_found(root, CARD, "dma-faults", WEIR_HOST_WARNING, "its DMA or that of 0001:01:00.0 "
		     "(no domain", "/dev/kmsg");
	assert_found(root, "0001:01:00.0", "dma-faults", WEIR_HOST_WARNING, "or that of " CARD,
		     "/dev/kmsg");
	tree_text(root, "dev/kmsg", "3,1,1,-;DMAR: [DMA Write NO_PASID] Request device "
		  "[0001:01:00.0] fault addr 0x1000 [fault reason 0x05] PTE Write access is not "
		  "set\n");
	assert_silent(root, CARD, "dma-faults");
	assert_found(root, "0001:01:00.0", "dma-faults", WEIR_HOST_WARNING, "stopped its DMA:",
		     "/dev/kmsg");
}

/* However many regions come before it. */
static void test_many_reserved(void **state)
{
	const char *root = *state;
	char text[4096];
	size_t len = 0;

	for (unsigned int i = 0; i < 80; i++)
		len += (size_t)sprintf(text + len, "%#x000 %#xfff reserved\n", i + 1, i + 1);
	strcpy(text + len, "0xbdf6f000 0xbdf82fff direct\n");
	tree_text(root, GROUP "reserved_regions", text);
	assert_found(root, CARD, "reserved-direct", WEIR_HOST_STOP, "0xbdf6f000 to 0xbdf82fff",
		     "/" GROUP "reserved_regions");
	assert_found(root, CARD, "reserved-iova", WEIR_HOST_NOTE, "and 72 more", NULL);
}

/* A driver's name is the last part of a link, which may be anything below another root. */
static void test_names_in_commands(void **state)
{
	static const char *const names[] = { "x';reboot;'", "-x", "$(reboot)", "a b", "x`id`" };
	const char *root = *state;
	char target[128];

	tree_text(root, "proc/cmdline", CMDLINE " vfio-pci.ids=1234:11e8\n");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", names[i]);
		tree_attr_link(root, CARD, "driver", target);
		assert_found(root, CARD, "vfio-late", WEIR_HOST_WARNING, "was there first", NULL);
		assert_no_cure(root, CARD, "vfio-late", "softdep");
		assert_cure(root, CARD, "vfio-late", "initramfs");
	}
	tree_attr_link(root, CARD, "driver", "../../../../bus/pci/drivers/snd-hda_intel.0");
	assert_cure(root, CARD, "vfio-late", "softdep snd-hda_intel.0 pre: vfio-pci");
}

/* The file may have lines of its own. */
static void test_modprobe_lines(void **state)
{
	const char *root = *state;

	tree_attr(root, CARD, "vendor", "0x8086\n");
	tree_attr(root, CARD, "device", "0x37c8\n");
	assert_cure(root, CARD, "denylist", "add the line 'options vfio_pci disable_denylist=1' to "
		    "/etc/modprobe.d/vfio.conf");
	tree_text(root, "proc/cmdline", CMDLINE " vfio-pci.ids=8086:37c8\n");
	assert_cure(root, CARD, "vfio-late", "add the line 'softdep e1000e pre: vfio-pci' to");
}

/* VFs are the check's pf-vfs, but not for who else has such a name. */
static void test_use_beside_vfs(void **state)
{
	const char *root = *state;

	tree_attr(root, CARD, "sriov_numvfs", "1\n");
	assert_well(root, CARD, "in-use");
	tree_text(root, "sys/devices/pci0000:00/" PORT "/" CARD "/net/sriov_numvfs/flags",
		  "0x1003\n");
	tree_link(root, "sys/class/net/sriov_numvfs", "../../devices/pci0000:00/" PORT "/" CARD
		  "/net/sriov_numvfs");
	tree_text(root, "proc/net/route", "Iface\tDestination\n"
		  "sriov_numvfs\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	assert_found(root, CARD, "in-use", WEIR_HOST_STOP, "the default route goes over", NULL);
}

/* A switch's downstream port (SWITCH) below PORT, and a card behind that. */
#define SWITCH "0000:01:00.0"
#define BEHIND "0000:02:00.0"

static void put_config(const char *root, const char *address, unsigned char type, int ctrl,
		       size_t len)
{
	unsigned char config[4096] = { 0x34, 0x12 };
	char path[128];

	config[0x06] = 0x10;		/* it has capabilities */
	config[0x0e] = 1;
	config[0x34] = 0x40;
	config[0x40] = 0x10;
	config[0x42] = (unsigned char)(type << 4 | 2);
	config[0x100] = ctrl < 0 ? 0x01 : 0x0d;
	config[0x102] = 0x01;
	config[0x104] = 0x5d;
	config[0x106] = (unsigned char)ctrl;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", address);
	tree_bytes(root, path, config, len);
}

static void put_switch(const char *root, int ctrl, size_t len)
{
	put_config(root, PORT, 4, 0x1d, len);
	tree_attr(root, SWITCH, "class", "0x060400\n");
	put_config(root, SWITCH, 6, ctrl, len);
	put_function(root, PORT "/" SWITCH "/" BEHIND, 6, NULL);
}

static void test_switch_off(void **state)
{
	const char *root = *state;

	put_switch(root, 0x1d, 4096);
	assert_silent(root, BEHIND, "switch-acs");
	put_switch(root, -1, 4096);
	assert_found(root, BEHIND, "switch-acs", WEIR_HOST_WARNING, "whose port " SWITCH " has no "
		     "ACS", PCI SWITCH "/config");
	put_switch(root, 0x01, 4096);
	assert_found(root, BEHIND, "switch-acs", WEIR_HOST_WARNING, "whose port " SWITCH " has "
		     "ACS, but not all of it on", PCI SWITCH "/config");
	assert_cure(root, BEHIND, "switch-acs", "disable_acs_redir");
	/* Without an IOMMU it is off everywhere, and comes on with it. */
	tree_remove(root, "sys/class/iommu");
	assert_silent(root, BEHIND, "switch-acs");
	put_switch(root, -1, 4096);
	assert_found(root, BEHIND, "switch-acs", WEIR_HOST_WARNING, "has no ACS", NULL);
}

/* What a user without privilege sees; of what is on a root bus nobody has to ask. */
static void test_switch_unread(void **state)
{
	const char *root = *state;

	put_switch(root, -1, 64);
	assert_found(root, BEHIND, "switch-acs", WEIR_HOST_NOTE, SWITCH " shows no capabilities",
		     PCI SWITCH "/config");
	assert_cure(root, BEHIND, "switch-acs", "as root");
	put_switch(root, -1, 4096);
	tree_attr(root, SWITCH, "power/runtime_status", "suspended\n");
	assert_found(root, BEHIND, "switch-acs", WEIR_HOST_NOTE, SWITCH " sleeps", NULL);
	tree_attr(root, SWITCH, "power/runtime_status", "active\n");
	tree_text(root, "sys/bus/pci/devices/" PORT "/config", "short");
	assert_found(root, BEHIND, "switch-acs", WEIR_HOST_WARNING, "has no ACS", NULL);
	put_switch(root, 0x1d, 4096);
	tree_text(root, "sys/bus/pci/devices/" PORT "/config", "short");
	assert_silent(root, BEHIND, "switch-acs");
}

/* No ACS helps there. */
static void test_conventional(void **state)
{
	unsigned char config[256] = { 0x34, 0x12, [0x0e] = 1 };
	const char *root = *state;

	put_function(root, PORT "/0000:01:01.0", 5, NULL);
	assert_found(root, CARD, "group-shared", WEIR_HOST_WARNING, "a port above them", NULL);
	assert_cure(root, CARD, "group-shared", "ACS");
	tree_bytes(root, "sys/bus/pci/devices/" PORT "/config", config, sizeof(config));
	assert_found(root, CARD, "group-shared", WEIR_HOST_WARNING, "all behind the bridge " PORT
		     " to conventional PCI hear each other", NULL);
	assert_no_cure(root, CARD, "group-shared", "ACS");
	assert_cure(root, CARD, "group-shared", "a slot that isn't behind that bridge");
	/* That isn't all that joins them. */
	put_function(root, "0000:00:1c.1/0000:02:00.0", 5, NULL);
	assert_found(root, CARD, "group-shared", WEIR_HOST_WARNING, "a port above them", NULL);
	/* Of PCI Express itself. */
	put_config(root, PORT, 7, -1, 4096);
	tree_remove(root, "sys/bus/pci/devices/0000:02:00.0");
	assert_found(root, CARD, "group-shared", WEIR_HOST_WARNING, "conventional PCI", NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doctor_start, doctor_stop)

void run_edge_tests(int *failed)
{
	const struct CMUnitTest edges[] = {
		TEST(test_endpoint_header),
		TEST(test_pools),
		TEST(test_limits),
		TEST(test_guest_memory),
		TEST(test_ids),
		TEST(test_ids_of_one),
		TEST(test_faults_of_domains),
		TEST(test_many_reserved),
		TEST(test_names_in_commands),
		TEST(test_modprobe_lines),
		TEST(test_use_beside_vfs),
		TEST(test_switch_off),
		TEST(test_switch_unread),
		TEST(test_conventional),
	};

	*failed += cmocka_run_group_tests(edges, NULL, NULL);
}
