/* SPDX-License-Identifier: MIT */
/* A function's checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "doctor_rig.h"
#include "fake_sysfs.h"
#include "tree.h"

#define PCI "/sys/bus/pci/devices/"
#define MEMBERS "/sys/kernel/iommu_groups/5/devices"
#define MATE "0000:01:00.1"
#define OTHER "0000:02:00.0"

static void take(const char *root, const char *driver)
{
	char target[64];

	snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", driver);
	tree_attr_link(root, CARD, "driver", target);
	tree_folder(root, "sys/bus/pci/devices/" CARD "/vfio-dev/vfio0");
	tree_text(root, "dev/vfio/5", "");
}

static void test_endpoint(void **state)
{
	const char *root = *state;

	assert_well(root, CARD, "endpoint");
	assert_found(root, PORT, "endpoint", WEIR_HOST_STOP, "is a bridge", PCI PORT "/class");
	/* There is no more to it: neither to bind nor to reset it is any use. */
	assert_silent(root, PORT, "vfio-bound");
	assert_silent(root, PORT, "iommu-group");
	tree_attr(root, PORT, "reset_method", "\n");
	assert_silent(root, PORT, "reset-none");
	tree_attr(root, PORT, "class", "0x020000\n");
	assert_found(root, PORT, "vfio-bound", WEIR_HOST_NOTE, "its driver is pcieport", NULL);
}

static void test_group(void **state)
{
	const char *root = *state;

	assert_well(root, CARD, "iommu-group");
	tree_remove(root, "sys/bus/pci/devices/" CARD "/iommu_group");
	assert_found(root, CARD, "iommu-group", WEIR_HOST_STOP, "though the machine's is on",
		     PCI CARD "/iommu_group");
	/* What is well is no help. */
	assert_cure(root, CARD, "iommu-group", "another slot, or an update of the firmware");
	assert_no_cure(root, CARD, "iommu-group", "iommu-on");
	tree_folder(root, "sys/firmware/devicetree/base");
	assert_found(root, CARD, "iommu-group", WEIR_HOST_NOTE, "in no IOMMU group yet",
		     PCI CARD "/iommu_group");
	tree_remove(root, "sys/class/iommu");
	assert_found(root, CARD, "iommu-group", WEIR_HOST_STOP, "in no IOMMU group:", NULL);
	assert_cure(root, CARD, "iommu-group", "iommu-on");
	put_module(root, "vfio", "enable_unsafe_noiommu_mode", "Y\n");
	assert_found(root, CARD, "iommu-group", WEIR_HOST_WARNING, "unsafely", NULL);
	tree_attr_link(root, CARD, "iommu_group", "../../../../kernel/iommu_groups/5");
	tree_text(root, GROUP "name", "vfio-noiommu\n");
	assert_found(root, CARD, "iommu-group", WEIR_HOST_WARNING, "without an IOMMU",
		     "/" GROUP "name");
}

static void test_viable(void **state)
{
	const char *root = *state;

	assert_well(root, CARD, "group-viable");
	put_function(root, PORT "/" MATE, 5, NULL);
	assert_well(root, CARD, "group-viable");
	put_function(root, PORT "/" MATE, 5, "snd_hda_intel");
	assert_found(root, CARD, "group-viable", WEIR_HOST_STOP, MATE " (snd_hda_intel) is with",
		     MEMBERS);
	assert_cure(root, CARD, "group-viable", "'weir bind --group " CARD "' takes what is in the "
		    "way, too, which is of the same slot; 'weir doctor' of each");
	assert_no_cure(root, CARD, "group-viable", "another slot");
	/* Another card, which the desktop may be on. */
	put_function(root, "0000:00:1c.1/" OTHER, 5, "nvidia");
	assert_cure(root, CARD, "group-viable", "another slot for " CARD ", away from " OTHER
		    " (see group-shared); if this machine can do without, 'weir bind --group "
		    CARD "' takes all");
	assert_no_cure(root, CARD, "group-viable", "same slot");
	put_function(root, "0000:00:1c.1/" OTHER, 5, "vfio-pci");
	assert_no_cure(root, CARD, "group-viable", "another slot");
	put_function(root, PORT "/" MATE, 5, "vfio-pci");
	assert_well(root, CARD, "group-viable");
	put_function(root, PORT "/" MATE, 6, "snd_hda_intel");
	assert_well(root, CARD, "group-viable");
	/* Of a bridge --group would say that it must leave its driver by hand. */
	put_function(root, PORT, 5, "shpchp");
	tree_attr(root, PORT, "class", "0x060400\n");
	assert_cure(root, CARD, "group-viable", "/driver/unbind': " PORT);
	assert_no_cure(root, CARD, "group-viable", "--group");
}

static void test_bridge(void **state)
{
	const char *root = *state;

	assert_silent(root, CARD, "group-bridge");
	tree_attr_link(root, PORT, "iommu_group", "../../../kernel/iommu_groups/5");
	assert_found(root, CARD, "group-bridge", WEIR_HOST_NOTE, "with pcieport: " PORT, MEMBERS);
	assert_well(root, CARD, "group-viable");
	assert_well(root, CARD, "group-shared");
}

static void test_shared(void **state)
{
	const char *root = *state;

	assert_silent(root, CARD, "group-shared");
	assert_silent(root, CARD, "group-spaces");
	put_function(root, PORT "/" MATE, 5, NULL);
	assert_silent(root, CARD, "group-shared");
	assert_found(root, CARD, "group-spaces", WEIR_HOST_NOTE, "2 devices", MEMBERS);
	put_function(root, "0000:00:1c.1/" OTHER, 5, NULL);
	assert_found(root, CARD, "group-shared",
		     WEIR_HOST_WARNING, "with them: " OTHER ";", MEMBERS);
}

/* A port of a switch: PCI Express, that type of port, and ACS or not. */
static void put_port(const char *root, const char *address, unsigned char type, bool acs)
{
	unsigned char config[4096] = { 0x34, 0x12 };
	char path[128];

	config[0x06] = 0x10;		/* it has capabilities */
	config[0x34] = 0x40;
	config[0x40] = 0x10;
	config[0x42] = (unsigned char)(type << 4 | 2);
	config[0x100] = acs ? 0x0d : 0x01;
	config[0x102] = 0x01;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", address);
	tree_bytes(root, path, config, sizeof(config));
}

static void test_switch(void **state)
{
	const char *root = *state;

	put_port(root, PORT, 6, true);
	assert_silent(root, CARD, "switch-acs");
	put_port(root, PORT, 4, false);	/* a root port: what that means its group says */
	assert_silent(root, CARD, "switch-acs");
	put_port(root, PORT, 6, false);
	assert_found(root, CARD, "switch-acs", WEIR_HOST_WARNING, "whose port " PORT " has no ACS",
		     PCI PORT "/config");
	/* It isn't woken for that. */
	tree_attr(root, PORT, "power/runtime_status", "suspended\n");
	assert_silent(root, CARD, "switch-acs");
	tree_attr(root, PORT, "power/runtime_status", "active\n");
	assert_found(root, CARD, "switch-acs", WEIR_HOST_WARNING, NULL, NULL);
	/* Links in a circle. */
	tree_link(root, "sys/bus/pci/devices/" PORT, "../../" PORT "/" PORT);
	tree_link(root, "sys/bus/pci/devices/" PORT, "../../../devices/pci0000:00/" PORT);
	tree_attr(root, PORT, "config", "short");
	assert_silent(root, CARD, "switch-acs");
}

static void test_reserved(void **state)
{
	static const char file[] = "/" GROUP "reserved_regions";
	const char *root = *state;

	assert_silent(root, CARD, "reserved-direct");
	assert_found(root, CARD, "reserved-iova", WEIR_HOST_NOTE, "can't lie in 0xfee00000 to "
		     "0xfeefffff msi; mapping there is refused", file);
	tree_text(root, GROUP "reserved_regions", "0x1000 0x1fff direct-relaxable\n");
	assert_silent(root, CARD, "reserved-direct");
	tree_text(root, GROUP "reserved_regions", "0x1000 0x1fff direct-relaxable\n"
		  "0xbdf6f000 0xbdf82fff direct\n");
	assert_found(root, CARD, "reserved-direct",
		     WEIR_HOST_STOP, "(0xbdf6f000 to 0xbdf82fff, type "
		     "direct", file);
	tree_text(root, GROUP "reserved_regions", "0x1000 0x1fff \x1b[2J\n0x2000\n");
	assert_found(root, CARD, "reserved-direct", WEIR_HOST_UNKNOWN, "can't be read", file);
	tree_text(root, GROUP "reserved_regions", "");
	assert_silent(root, CARD, "reserved-iova");
}

#define MANY 17

/* Slots 2 to 18 of the card's bus, in its group. */
static void put_many(const char *root, const char *driver, const char *class)
{
	char place[32];

	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(place, sizeof(place), PORT "/0000:01:%02x.0", i + 2);
		put_function(root, place, 5, driver);
		tree_attr(root, strchr(place, '/') + 1, "class", class);
	}
}

/* Eight of them by their whole address, and the number of the others. */
static void test_long_lists(void **state)
{
	static const char eight[] = "0000:01:02.0, 0000:01:03.0, 0000:01:04.0, 0000:01:05.0, "
		"0000:01:06.0, 0000:01:07.0, 0000:01:08.0, 0000:01:09.0 and 9 more";
	const char *root = *state;
	char text[1024] = "", *at;

	put_many(root, "snd_hda_intel", "0x040300\n");
	assert_found(root, CARD, "group-viable", WEIR_HOST_STOP, "isn't viable: 0000:01:02.0 "
		     "(snd_hda_intel), 0000:01:03.0 (snd_hda_intel), ", MEMBERS);
	assert_found(root, CARD, "group-viable", WEIR_HOST_STOP, ", 0000:01:09.0 (snd_hda_intel) "
		     "and 9 more are with", MEMBERS);
	assert_found(root, CARD, "group-shared", WEIR_HOST_WARNING, eight, MEMBERS);
	tree_attr(root, PORT, "device", "0x0001\n");
	assert_found(root, CARD, "identical", WEIR_HOST_NOTE, eight, NULL);
	tree_attr(root, CARD, "reset_method", "bus\n");
	assert_found(root, CARD, "reset-siblings", WEIR_HOST_WARNING, eight, NULL);
	put_many(root, "pcieport", "0x060400\n");
	assert_found(root, CARD, "group-bridge", WEIR_HOST_NOTE, eight, MEMBERS);

	put_many(root, "a_driver_whose_name_is_longer_than_forty_letters_are", "0x040300\n");
	assert_found(root, CARD, "group-viable", WEIR_HOST_STOP, "than_forty) and 9 more", NULL);

	for (int i = 0; i < MANY; i++) {
		at = text + strlen(text);
		sprintf(at, "0x%x000 0x%xfff direct\n", i + 1, i + 1);
	}
	tree_text(root, GROUP "reserved_regions", text);
	assert_found(root, CARD, "reserved-direct", WEIR_HOST_STOP, "0x8000 to 0x8fff and 9 more",
		     NULL);
}

static void test_use(void **state)
{
	const char *root = *state;

	assert_well(root, CARD, "in-use");
	tree_attr(root, CARD, "boot_vga", "1\n");
	assert_found(root, CARD, "in-use", WEIR_HOST_STOP, "first graphics", NULL);
	assert_cure(root, CARD, "in-use", "weir bind --force " CARD);
	take(root, "vfio-pci");
	assert_silent(root, CARD, "in-use");
}

static void test_bound(void **state)
{
	const char *root = *state;

	assert_found(root, CARD, "vfio-bound", WEIR_HOST_NOTE, "its driver is e1000e",
		     PCI CARD "/driver");
	tree_remove(root, "sys/bus/pci/devices/" CARD "/driver");
	assert_found(root, CARD, "vfio-bound", WEIR_HOST_NOTE, "it has no driver", NULL);
	take(root, "vfio-pci");
	assert_well(root, CARD, "vfio-bound");
}

#ifndef DOCTOR_CAPTURED
static void test_open(void **state)
{
	const char *root = *state;

	assert_silent(root, CARD, "vfio-open");
	take(root, "vfio-pci");
	assert_found(root, CARD, "vfio-open", WEIR_HOST_NOTE, "on that machine alone",
		     "/dev/vfio/5");
	fake_sysfs_start(root);
	fake_sysfs->busy = "/dev/vfio/5";
	assert_found(root, CARD, "vfio-open", WEIR_HOST_STOP, "it is taken", "/dev/vfio/5");
	fake_sysfs->busy = NULL;
	fake_sysfs->denied = "/dev/vfio/5";
	assert_found(root, CARD, "vfio-open", WEIR_HOST_UNKNOWN, "/dev/vfio/5 can't be read",
		     "/dev/vfio/5");
	assert_cure(root, CARD, "vfio-open", "run it as root");
	fake_sysfs_stop();
}

/* By its tables alone, or where they say nothing by a node that this user may not open. */
static void test_disks(void **state)
{
	const char *root = *state;

	tree_attr(root, CARD, "class", "0x010802\n");
	tree_link(root, "sys/class/block/sda",
		  "../../devices/pci0000:00/" PORT "/" CARD "/block/sda");
	tree_text(root, "sys/devices/pci0000:00/" PORT "/" CARD "/block/sda/dev", "8:0\n");
	tree_text(root, "dev/sda", "");
	tree_text(root, "proc/self/mountinfo", "");
	assert_found(root, CARD, "in-use", WEIR_HOST_NOTE, "on that machine alone", NULL);
	fake_sysfs_start(root);
	fake_sysfs->denied = "/dev/sda";
	assert_found(root, CARD, "in-use", WEIR_HOST_UNKNOWN, "/dev/sda open can't be told", NULL);
	assert_cure(root, CARD, "in-use", "run it as root");
	fake_sysfs_stop();
}
#endif

static void test_node(void **state)
{
	const char *root = *state;
	char path[4096];

	assert_silent(root, CARD, "vfio-node");
	take(root, "vfio-pci");
	snprintf(path, sizeof(path), "%s/dev/vfio/5", root);
	assert_int_equal(chmod(path, 0660), 0);
	assert_well(root, CARD, "vfio-node");
	assert_int_equal(chmod(path, 0600), 0);
	/* Only root can make a file of root's. */
	if (!geteuid())
		assert_found(root, CARD, "vfio-node", WEIR_HOST_NOTE, "only root may open",
			     "/dev/vfio/5");
	else
		assert_well(root, CARD, "vfio-node");
}

static void test_cdev(void **state)
{
	const char *root = *state;

	assert_silent(root, CARD, "vfio-cdev");
	take(root, "vfio-pci");
	assert_found(root, CARD, "vfio-cdev", WEIR_HOST_NOTE, "no node", PCI CARD "/vfio-dev");
	tree_text(root, "boot/config-7.2.0-test", "CONFIG_VFIO=m\n");
	assert_found(root, CARD, "vfio-cdev", WEIR_HOST_NOTE, "without CONFIG_VFIO_DEVICE_CDEV",
		     "/boot/config-7.2.0-test");
	tree_text(root, "sys/bus/pci/devices/" CARD "/vfio-dev/vfio0/dev", "240:0\n");
	assert_well(root, CARD, "vfio-cdev");
}

static void test_late(void **state)
{
	const char *root = *state;

	assert_silent(root, CARD, "vfio-late");
	tree_text(root, "proc/cmdline", CMDLINE " vfio-pci.ids=10de:1,1234:11e8:1af4\n");
	assert_found(root, CARD, "vfio-late", WEIR_HOST_WARNING, "e1000e was there first",
		     "/proc/cmdline");
	assert_cure(root, CARD, "vfio-late", "softdep e1000e pre: vfio-pci");
	assert_cure(root, CARD, "vfio-late", "vfio_pci to /etc/initramfs-tools/modules");
	tree_text(root, "proc/cmdline", CMDLINE " vfio-pci.ids=1234:11e9\n");
	assert_silent(root, CARD, "vfio-late");
	/* To modprobe it is no file of its. */
	tree_text(root, "etc/modprobe.d/vfio.conf.old", "options vfio-pci ids=1234:11e8\n");
	assert_silent(root, CARD, "vfio-late");
	tree_text(root, "lib/modprobe.d/a.conf", "options vfio-pci ids=1234:11e8\n");
	assert_found(root, CARD, "vfio-late", WEIR_HOST_WARNING, NULL, "/lib/modprobe.d/a.conf");
	tree_text(root, "etc/modprobe.d/vfio.conf", "# options vfio-pci ids=1234:11e8\n"
		  "options vfio-pci disable_vga=1 ids=1234:11e8\n");
	assert_found(root, CARD, "vfio-late", WEIR_HOST_WARNING, NULL, "/etc/modprobe.d/vfio.conf");
	take(root, "vfio-pci");
	assert_silent(root, CARD, "vfio-late");
}

static void test_identical(void **state)
{
	const char *root = *state;

	tree_attr(root, PORT, "device", "0x0001\n");
	assert_silent(root, CARD, "identical");
	put_function(root, "0000:00:1c.1/" OTHER, 6, NULL);
	assert_found(root, CARD, "identical", WEIR_HOST_NOTE, "1234:11e8 (" OTHER ")",
		     PCI CARD "/device");
	tree_text(root, "proc/cmdline", CMDLINE " vfio-pci.ids=1234:11e8\n");
	assert_found(root, CARD, "identical", WEIR_HOST_WARNING, "takes them all", "/proc/cmdline");
}

static void test_denylist(void **state)
{
	static const char *const devices[] = { "0x0435", "0x0443", "0x19e2", "0x19e3", "0x37c8",
					       "0x37c9", "0x0b25", "0x0cfe" };
	static const char file[] = "/sys/module/vfio_pci/parameters/disable_denylist";
	const char *root = *state;

	tree_attr(root, CARD, "device", "0x37c8\n");
	assert_silent(root, CARD, "denylist");
	tree_attr(root, CARD, "vendor", "0x8086\n");
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		tree_attr(root, CARD, "device", devices[i]);
		assert_found(root, CARD, "denylist", WEIR_HOST_STOP, "refuses", file);
	}
	put_module(root, "vfio_pci", "disable_denylist", "Y\n");
	assert_found(root, CARD, "denylist", WEIR_HOST_WARNING, "only since", file);
	tree_remove(root, "sys/module/vfio_pci");
	assert_found(root, CARD, "denylist", WEIR_HOST_STOP, "refuses", PCI CARD "/device");
	tree_attr(root, CARD, "device", "0x4940\n");
	assert_silent(root, CARD, "denylist");
}

static void test_sriov(void **state)
{
	const char *root = *state;

	assert_silent(root, CARD, "pf-vfs");
	put_function(root, PORT "/" MATE, 7, NULL);
	assert_silent(root, MATE, "vf-token");
	tree_attr(root, CARD, "sriov_numvfs", "1\n");
	tree_attr_link(root, MATE, "physfn", "../" CARD);
	assert_found(root, CARD, "pf-vfs", WEIR_HOST_STOP, "it has 1 VFs",
		     PCI CARD "/sriov_numvfs");
	assert_well(root, CARD, "in-use");
	assert_silent(root, MATE, "vf-token");
	take(root, "vfio-pci");
	assert_found(root, MATE, "vf-token", WEIR_HOST_WARNING, "PF " CARD " is with vfio-pci",
		     PCI MATE "/physfn");
	assert_found(root, CARD, "pf-vfs", WEIR_HOST_NOTE, "VF token", NULL);
}

static void test_qat(void **state)
{
	static const char *const releases[][2] = {
		{ "6.11.9", "" }, { "6.12.0", "x" }, { "6.15.7-x", "x" }, { "6.16.0", "" },
	};
	const char *root = *state;

	tree_attr(root, CARD, "vendor", "0x8086\n");
	tree_attr(root, CARD, "device", "0x4940\n");
	tree_text(root, "proc/sys/kernel/osrelease", "6.12.0\n");
	assert_silent(root, CARD, "qat-sriov");
	tree_remove(root, "sys/class/iommu");
	for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
		tree_text(root, "proc/sys/kernel/osrelease", releases[i][0]);
		if (releases[i][1][0])
			assert_found(root, CARD, "qat-sriov", WEIR_HOST_WARNING, releases[i][0],
				     "/proc/sys/kernel/osrelease");
		else
			assert_silent(root, CARD, "qat-sriov");
	}
}

static void test_reset(void **state)
{
	const char *root = *state;

	assert_well(root, CARD, "reset-none");
	assert_silent(root, CARD, "reset-siblings");
	tree_attr(root, CARD, "reset_method", "\n");
	assert_found(root, CARD, "reset-none", WEIR_HOST_WARNING, "can't be reset",
		     PCI CARD "/reset_method");
	tree_remove(root, "sys/bus/pci/devices/" CARD "/reset_method");
	assert_found(root, CARD, "reset-none", WEIR_HOST_WARNING, "can't be reset", NULL);
	/* A kernel that doesn't say how. */
	tree_attr(root, CARD, "reset", "");
	assert_well(root, CARD, "reset-none");

	tree_attr(root, CARD, "reset_method", "bus\n");
	assert_silent(root, CARD, "reset-siblings");
	put_function(root, PORT "/" MATE, 5, NULL);
	assert_found(root, CARD, "reset-siblings", WEIR_HOST_WARNING, "resets " MATE ", too",
		     PCI CARD "/reset_method");
	tree_attr(root, CARD, "reset_method", "af_flr bus\n");
	assert_silent(root, CARD, "reset-siblings");
	/* As Linux before 5.15 has it. */
	tree_remove(root, "sys/bus/pci/devices/" CARD "/reset_method");
	assert_silent(root, CARD, "reset-siblings");
}

static void test_log_of_device(void **state)
{
	static const struct {
		const char *id, *line;
	} lines[] = {
		{ "reset-dead", "pci " CARD ": not ready 65535ms after bus reset; giving up\n" },
		{ "d3cold", "vfio-pci " CARD ": Unable to change power state from D3cold to D0, "
		  "device inaccessible\n" },
		{ "dma-faults", "vfio-pci " CARD ": AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x1 "
		  "address=0x0 flags=0x0]\n" },
		{ "dma-faults", "DMAR: [DMA Write NO_PASID] Request device [" CARD "] fault addr "
		  "0x1000 [fault reason 0x05] PTE Write access is not set\n" },
		{ "dma-faults", "DMAR: [DMA Write] Request device [01:00.0] fault addr 1000\n" },
	};
	const char *root = *state;
	char text[256];

	put_function(root, PORT "/" MATE, 6, NULL);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		tree_text(root, "dev/kmsg", "6,1,1,-;e1000e " CARD ": up\n");
		assert_silent(root, CARD, lines[i].id);
		snprintf(text, sizeof(text), "6,0,0,-;" CARD " is there\n3,1,1,-;%s",
			 lines[i].line);
		tree_text(root, "dev/kmsg", text);
		snprintf(text, sizeof(text), "the kernel said \"%.20s", lines[i].line);
		assert_found(root, CARD, lines[i].id, WEIR_HOST_WARNING, text, "/dev/kmsg");
		assert_silent(root, MATE, lines[i].id);
	}
	tree_text(root, "dev/kmsg", "3,1,1,-;pci 1" CARD ": not ready 1ms after FLR; giving up\n");
	assert_silent(root, CARD, "reset-dead");
	tree_text(root, "dev/kmsg", "");
	tree_attr(root, CARD, "power_state", "D3cold\n");
	assert_found(root, CARD, "d3cold", WEIR_HOST_NOTE, "sleeps", PCI CARD "/power_state");
	tree_attr(root, CARD, "power_state", "D0\n");
	assert_silent(root, CARD, "d3cold");
}

static void test_ones(void **state)
{
	const char *root = *state;
	char ones[64];

	assert_silent(root, CARD, "config-ones");
	memset(ones, 0xff, sizeof(ones));
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", ones, sizeof(ones));
	assert_found(root, CARD, "config-ones", WEIR_HOST_STOP, "doesn't answer",
		     PCI CARD "/config");
	/* Nobody wakes it to see. */
	tree_attr(root, CARD, "power/runtime_status", "suspended\n");
	assert_silent(root, CARD, "config-ones");
	tree_attr(root, CARD, "power/runtime_status", "active\n");
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", ones, 3);
	assert_silent(root, CARD, "config-ones");
}

static void test_framebuffer(void **state)
{
	const char *root = *state;

	tree_attr(root, CARD, "class", "0x030000\n");
	assert_silent(root, CARD, "boot-framebuffer");
	tree_text(root, "proc/iomem", "e0000000-efffffff : PCI Bus 0000:00\n"
		  "  e0000000-e0ffffff : 0000:01:00.0\n    e0000000-e02fffff : BOOTFB\n");
	assert_found(root, CARD, "boot-framebuffer", WEIR_HOST_WARNING, "region 0 (BOOTFB)",
		     "/proc/iomem");
	/* Before Linux 6.0 it stays there, and so does one of what isn't VGA. */
	tree_attr(root, CARD, "class", "0x038000\n");
	assert_found(root, CARD, "boot-framebuffer", WEIR_HOST_STOP, "can't reserve",
		     "/proc/iomem");
	tree_attr(root, CARD, "class", "0x030000\n");
	tree_text(root, "proc/sys/kernel/osrelease", "5.15.0\n");
	assert_found(root, CARD, "boot-framebuffer", WEIR_HOST_STOP, "region 0 (BOOTFB)",
		     "/proc/iomem");
	assert_cure(root, CARD, "boot-framebuffer", "initcall_blacklist=sysfb_init");
	/* Another's. */
	tree_text(root, "proc/iomem", "e1000000-e12fffff : efifb\n");
	assert_silent(root, CARD, "boot-framebuffer");
	/* What is shown to users without privilege. */
	tree_text(root, "proc/iomem", "00000000-00000000 : Reserved\n00000000-00000000 : BOOTFB\n");
	assert_found(root, CARD, "boot-framebuffer", WEIR_HOST_UNKNOWN, "Permission denied",
		     "/proc/iomem");
	assert_cure(root, CARD, "boot-framebuffer", "as root");
	tree_attr(root, CARD, "class", "0x020000\n");
	assert_silent(root, CARD, "boot-framebuffer");
}

static void test_rom(void **state)
{
	const char *root = *state;

	assert_silent(root, CARD, "rom");
	tree_attr(root, CARD, "class", "0x030000\n");
	assert_found(root, CARD, "rom", WEIR_HOST_WARNING, "has no ROM", PCI CARD "/resource");
	/* It shows nothing. */
	tree_attr(root, CARD, "class", "0x030200\n");
	assert_silent(root, CARD, "rom");
	tree_attr(root, CARD, "class", "0x030000\n");
	tree_attr(root, CARD, "resource", "0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n"
		  "0x0 0x0 0x0\n0x0 0x0 0x0\n0x000c0000 0x000dffff 0x46200\n");
	assert_silent(root, CARD, "rom");
	tree_attr(root, CARD, "boot_vga", "1\n");
	assert_found(root, CARD, "rom", WEIR_HOST_WARNING, "started with", PCI CARD "/boot_vga");
	tree_attr(root, CARD, "boot_vga", "0\n");
	assert_silent(root, CARD, "rom");
}

static void test_bars(void **state)
{
	const char *root = *state;

	assert_silent(root, CARD, "bar-memlock");
	/* Its registers are 16 MiB. */
	tree_text(root, "proc/self/limits", "Max locked memory  16777215  16777215 bytes\n");
	assert_found(root, CARD, "bar-memlock",
		     WEIR_HOST_WARNING, "16 MiB, more than the 16383 KiB",
		     PCI CARD "/resource");
	tree_text(root, "proc/self/limits", "Max locked memory  16777216  16777216 bytes\n");
	assert_silent(root, CARD, "bar-memlock");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doctor_start, doctor_stop)

void run_device_tests(int *failed)
{
	const struct CMUnitTest device[] = {
		TEST(test_endpoint),
		TEST(test_group),
		TEST(test_viable),
		TEST(test_bridge),
		TEST(test_shared),
		TEST(test_switch),
		TEST(test_reserved),
		TEST(test_long_lists),
		TEST(test_use),
		TEST(test_bound),
#ifndef DOCTOR_CAPTURED
		TEST(test_open),
		TEST(test_disks),
#endif
		TEST(test_node),
		TEST(test_cdev),
		TEST(test_late),
		TEST(test_identical),
		TEST(test_denylist),
		TEST(test_sriov),
		TEST(test_qat),
		TEST(test_reset),
		TEST(test_log_of_device),
		TEST(test_ones),
		TEST(test_framebuffer),
		TEST(test_rom),
		TEST(test_bars),
	};

	*failed += cmocka_run_group_tests(device, NULL, NULL);
}
