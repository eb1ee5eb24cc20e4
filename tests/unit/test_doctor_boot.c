/* SPDX-License-Identifier: MIT */
/* How the machine was started, and the cures in the words of each distribution. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "doctor_rig.h"
#include "tree.h"

static void test_amd_value(void **state)
{
	const char *root = *state;

	tree_text(root, "proc/cmdline", "quiet amd_iommu=fullflush,pgtbl_v2\n");
	assert_silent(root, NULL, "amd-iommu-value");
	tree_text(root, "proc/cmdline", "quiet amd_iommu=on\n");
	assert_found(root, NULL, "amd-iommu-value", WEIR_HOST_NOTE, "Unknown option - 'on'",
		     "/proc/cmdline");
	assert_cure(root, NULL, "amd-iommu-value", "remove amd_iommu=on");
	/* What isn't an option of the kernel's at all. */
	tree_text(root, "proc/cmdline", "quiet xamd_iommu=on \n");
	assert_silent(root, NULL, "amd-iommu-value");
}

static void test_iommu_value(void **state)
{
	static const char *const good[] = { "pt", "soft,pt", "off", "nopt", "force", "1024" };
	const char *root = *state;
	char text[64];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "quiet iommu=%s\n", good[i]);
		tree_text(root, "proc/cmdline", text);
		assert_silent(root, NULL, "iommu-value");
	}
	tree_text(root, "proc/cmdline", "iommu=on\n");
	assert_found(root, NULL, "iommu-value", WEIR_HOST_WARNING, "iommu=on is no valid value",
		     "/proc/cmdline");
	tree_text(root, "proc/cmdline", "iommu=pt,on\n");
	assert_found(root, NULL, "iommu-value", WEIR_HOST_WARNING, "iommu=on is no", NULL);
	/* There it is another's. */
	tree_text(root, "proc/cpuinfo", "cpu : POWER9\nplatform : PowerNV\n");
	assert_silent(root, NULL, "iommu-value");
}

static void test_intel_value(void **state)
{
	const char *root = *state;

	assert_silent(root, NULL, "intel-iommu-value");
	tree_text(root, "proc/cmdline", "intel_iommu=on,sm_on,pt\n");
	assert_found(root, NULL, "intel-iommu-value", WEIR_HOST_WARNING, "intel_iommu=pt is no",
		     "/proc/cmdline");
	tree_text(root, "proc/cmdline", "intel_iommu=on\n");
	/* A VM's processor and its IOMMU may be different makers'. */
	tree_text(root, "proc/cpuinfo", "vendor_id : AuthenticAMD\n");
	assert_silent(root, NULL, "intel-iommu-value");
	tree_remove(root, "sys/firmware/acpi/tables/DMAR");
	tree_text(root, "sys/firmware/acpi/tables/IVRS", "");
	assert_found(root, NULL, "intel-iommu-value", WEIR_HOST_NOTE, "does nothing", NULL);
}

static void test_override(void **state)
{
	const char *root = *state;

	assert_silent(root, NULL, "acs-override");
	tree_text(root, "proc/cmdline", "quiet pcie_acs_override=downstream,multifunction\n");
	assert_found(root, NULL, "acs-override", WEIR_HOST_WARNING,
		     "pcie_acs_override=downstream,multifunction: ", "/proc/cmdline");
	assert_cure(root, NULL, "acs-override", "'weir groups --check' shows");
}

static void test_stale(void **state)
{
	const char *root = *state;

	assert_silent(root, NULL, "cmdline-stale");
	tree_text(root, "proc/cmdline", "quiet intel_iommu=on\n");
	assert_found(root, NULL, "cmdline-stale", WEIR_HOST_WARNING, "has iommu=pt, but",
		     "/etc/default/grub");
	assert_cure(root, NULL, "cmdline-stale", "update-grub");
	tree_text(root, "etc/default/grub", "#GRUB_CMDLINE_LINUX=\"iommu=pt\"\nGRUB_TIMEOUT=5\n");
	assert_silent(root, NULL, "cmdline-stale");
	/* Proxmox with systemd-boot takes another file. */
	tree_text(root, "etc/kernel/proxmox-boot-uuids", "ABCD\n");
	tree_text(root, "etc/kernel/cmdline",
		  "root=ZFS=rpool intel_iommu=on vfio-pci.ids=10de:1\n");
	assert_found(root, NULL, "cmdline-stale", WEIR_HOST_WARNING, "has vfio-pci.ids=10de:1",
		     "/etc/kernel/cmdline");
	assert_cure(root, NULL, "cmdline-stale", "proxmox-boot-tool refresh");
	/* '-' and '_' are the same to the kernel. */
	tree_text(root, "proc/cmdline", "intel_iommu=on vfio_pci.ids=10de:1\n");
	assert_silent(root, NULL, "cmdline-stale");
}

#define MAIN "etc/default/grub"
#define FOLDER "etc/default/grub.d/"
#define USUAL "GRUB_CMDLINE_LINUX_DEFAULT"

/* The files of the folder come after that, as the shell orders them, and the last one wins. */
static void test_stale_folder(void **state)
{
	const char *root = *state;

	tree_text(root, FOLDER "50-a.cfg", USUAL "=\"$" USUAL " vfio-pci.ids=10de:1\"\n");
	assert_found(root, NULL, "cmdline-stale", WEIR_HOST_WARNING, "has vfio-pci.ids=10de:1, but",
		     "/" FOLDER "50-a.cfg");
	tree_text(root, "proc/cmdline", CMDLINE " vfio-pci.ids=10de:1\n");
	assert_silent(root, NULL, "cmdline-stale");
	/* What it goes on from still counts. */
	tree_text(root, "proc/cmdline", "intel_iommu=on vfio-pci.ids=10de:1\n");
	assert_found(root, NULL, "cmdline-stale", WEIR_HOST_WARNING, "has iommu=pt, but",
		     "/" MAIN);
	/* What is in its place doesn't. */
	tree_text(root, FOLDER "50-a.cfg", USUAL "=\"quiet vfio-pci.ids=10de:1\"\n");
	assert_silent(root, NULL, "cmdline-stale");
	/* 10 comes before 9. */
	tree_text(root, FOLDER "10-c.cfg", USUAL "=iommu=soft\n");
	assert_silent(root, NULL, "cmdline-stale");
	tree_remove(root, FOLDER "50-a.cfg");
	tree_text(root, FOLDER "9-b.cfg", USUAL "='intel_iommu=on'\n");
	assert_silent(root, NULL, "cmdline-stale");
	tree_text(root, FOLDER "9-b.cfg", "GRUB_TIMEOUT=1\n");
	assert_found(root, NULL, "cmdline-stale", WEIR_HOST_WARNING, "has iommu=soft, but",
		     "/" FOLDER "10-c.cfg");
	/* No others are read. */
	tree_remove(root, FOLDER "10-c.cfg");
	tree_text(root, MAIN, USUAL "=quiet\n");
	tree_text(root, FOLDER "a.cfg.dpkg-old", USUAL "=iommu=soft\n");
	tree_text(root, FOLDER ".b.cfg", USUAL "=iommu=soft\n");
	assert_silent(root, NULL, "cmdline-stale");
	/* Nor is it said what can't be known. */
	tree_text(root, MAIN, USUAL "=iommu=soft\n");
	tree_folder(root, FOLDER "c.cfg");
	assert_found(root, NULL, "cmdline-stale", WEIR_HOST_NOTE, "can't be read: Is a directory",
		     "/" FOLDER "c.cfg");
	tree_remove(root, "etc/default/grub.d");
	assert_found(root, NULL, "cmdline-stale", WEIR_HOST_WARNING, "has iommu=soft, but",
		     "/" MAIN);
	tree_text(root, "etc/default/grub.d", "no folder\n");
	assert_found(root, NULL, "cmdline-stale", WEIR_HOST_WARNING, "has iommu=soft, but",
		     "/" MAIN);
}

/* The forms of an assignment; and all else, of which only a shell knows what comes of it. */
static void test_stale_forms(void **state)
{
	static const char *const plain[] = {
		USUAL "=iommu=soft", USUAL "='iommu=soft'", USUAL "=\"a iommu=soft b\" # c",
		"\t " USUAL "=\"iommu=soft\" ", USUAL "=\"iommu=soft ${" USUAL "}\"",
		USUAL "=$" USUAL "\n" USUAL "=\"$" USUAL " iommu=soft\"",
		"GRUB_CMDLINE_LINUX=iommu=soft",
		"GRUB_DISTRIBUTOR=`( . /etc/os-release; echo ${NAME} ) 2>/dev/null || echo x`\n"
		"GRUB_DISTRIBUTOR=\"$(sed 's, release .*$,,g' /etc/system-release)\"\n"
		"#GRUB_BADRAM=\"0x01234567,0xfefefefe\"\nGRUB_INIT_TUNE=\"480 \\\" 1\"\n\n"
		USUAL "=iommu=soft",
	};
	static const char *const script[] = {
		USUAL "=\"iommu=soft $OTHER\"", USUAL "=\"iommu=soft $(cat /etc/more)\"",
		USUAL "=\"iommu=soft `cat /etc/more`\"", USUAL "=\"iommu=soft\"more",
		USUAL "=\"iommu=soft \\\n more\"", USUAL "=\"iommu=soft", USUAL "=iommu=soft;true",
		USUAL "+=\" iommu=soft\"", "export " USUAL "=iommu=soft", USUAL "=iommu=soft true",
		"if true; then\n" USUAL "=iommu=soft\nfi", USUAL "=iommu=soft\n. /etc/more",
		USUAL "=iommu=soft\nunset " USUAL, USUAL "=\"iommu=soft $GRUB_CMDLINE_LINUX\"",
		USUAL "=\"iommu=soft x$" USUAL "\"", USUAL "=\"iommu=soft $" USUAL "_OF_MINE\"",
		USUAL "=iommu=soft#\n" USUAL "#=", USUAL "=\"$" USUAL " iommu=soft $" USUAL "\"",
		"GRUB_X=\"\n" USUAL "=iommu=soft\n\"",
	};
	static const char *const others[] = {
		"GRUB_CMDLINE_LINUX_RECOVERY=iommu=soft", "GRUB_CMDLINE_XEN=\"iommu=soft $X\"",
		USUAL "=iommu=soft\n" USUAL "=", "# " USUAL "=iommu=soft",
		/* The usual ones come behind. */
		USUAL "=iommu=pt\nGRUB_CMDLINE_LINUX=iommu=soft",
	};
	const char *root = *state;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		tree_text(root, MAIN, plain[i]);
		assert_found(root, NULL, "cmdline-stale", WEIR_HOST_WARNING, "has iommu=soft, but",
			     "/" MAIN);
	}
	for (size_t i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
		tree_text(root, MAIN, script[i]);
		assert_silent(root, NULL, "cmdline-stale");
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		tree_text(root, MAIN, others[i]);
		assert_silent(root, NULL, "cmdline-stale");
	}
	/* One file that isn't understood leaves all of them open. */
	tree_text(root, MAIN, USUAL "=iommu=soft\n");
	tree_text(root, FOLDER "x.cfg", "echo hello\n");
	assert_silent(root, NULL, "cmdline-stale");
}

static void test_virqfd(void **state)
{
	static const char *const files[] = { "etc/initramfs-tools/modules", "etc/mkinitcpio.conf",
					     "etc/modules", "etc/dracut.conf.d/vfio.conf" };
	const char *root = *state;
	char name[64];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		tree_text(root, files[i], "# vfio_virqfd was once\nvfio\n");
		assert_silent(root, NULL, "virqfd");
		tree_text(root, files[i], "vfio\nvfio_virqfd\n");
		snprintf(name, sizeof(name), "/%s", files[i]);
		assert_found(root, NULL, "virqfd", WEIR_HOST_WARNING, "part of vfio", name);
		tree_remove(root, files[i]);
	}
	tree_text(root, "etc/modules", "vfio_virqfd\n");
	tree_text(root, "proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
	assert_silent(root, NULL, "virqfd");
}

static void test_log(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "kernel-log");
	tree_remove(root, "dev/kmsg");
	assert_silent(root, NULL, "kernel-log");
	tree_folder(root, "dev/kmsg");
	assert_found(root, NULL, "kernel-log", WEIR_HOST_NOTE, "can't be read", "/dev/kmsg");
}

/* The same finding, cured by each. */
static void test_cures(void **state)
{
	static const struct {
		const char *os, *file, *more, *cure;
	} systems[] = {
		{ "ID=debian", "usr/sbin/update-grub", "etc/default/grub",
		  "add intel_iommu=on to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, run "
		  "'update-grub', and restart" },
		{ "ID=arch", "etc/default/grub", NULL, "grub-mkconfig -o /boot/grub/grub.cfg" },
		{ "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"", "etc/default/grub",
		  "usr/sbin/grub2-mkconfig", "grub2-mkconfig -o /boot/grub2/grub.cfg" },
		{ "ID=fedora", "usr/sbin/grubby", "etc/default/grub",
		  "grubby --update-kernel=ALL --args=\"intel_iommu=on\"" },
		{ "ID=pop\nID_LIKE=\"ubuntu debian\"", "usr/bin/kernelstub", NULL,
		  "kernelstub -a \"intel_iommu=on\"" },
		{ "ID=debian", "etc/kernel/proxmox-boot-uuids", "etc/kernel/cmdline",
		  "proxmox-boot-tool refresh" },
		{ "ID=arch", "etc/kernel/cmdline", NULL, "(kernel-install)" },
		{ "ID=fedora", "run/ostree-booted", "usr/bin/rpm-ostree",
		  "rpm-ostree kargs --append=intel_iommu=on" },
		{ "ID=fedora", "run/ostree-booted", "usr/bin/bootc", "/usr/lib/bootc/kargs.d" },
		{ "ID=none", "etc/nothing", NULL, "in the boot loader's configuration" },
	};
	const char *root = *state;

	tree_text(root, "proc/cmdline", "quiet\n");
	tree_remove(root, "sys/class/iommu");
	for (size_t i = 0; i < sizeof(systems) / sizeof(systems[0]); i++) {
		tree_remove(root, "etc");
		tree_remove(root, "usr");
		tree_remove(root, "run");
		tree_text(root, "etc/os-release", systems[i].os);
		tree_text(root, systems[i].file, "");
		if (systems[i].more)
			tree_text(root, systems[i].more, "");
		assert_cure(root, NULL, "iommu-on", systems[i].cure);
	}
}

/* What was read can't be more than a word to the shell that a cure is for. */
static void test_no_shell(void **state)
{
	const char *root = *state;

	tree_remove(root, "etc");
	tree_text(root, "usr/sbin/grubby", "");
	tree_text(root, "proc/cmdline", "intel_iommu=bad\n");
	assert_cure(root, NULL, "intel-iommu-value", "--remove-args=\"intel_iommu=bad\"");
	tree_text(root, "proc/cmdline", "intel_iommu=$(reboot)\n");
	assert_cure(root, NULL, "intel-iommu-value", "remove that from the kernel's");
}

static void test_initramfs(void **state)
{
	static const char *const systems[][2] = {
		{ "ID=debian", "update-initramfs -u -k all" },
		{ "ID=linuxmint\nID_LIKE=\"ubuntu debian\"", "update-initramfs -u -k all" },
		{ "ID='rocky'\nID_LIKE=\"rhel centos fedora\"", "dracut -f" },
		{ "ID=arch", "mkinitcpio -P" },
		{ "ID=suse", "dracut -f" },
		{ "", "have the initramfs made again" },
	};
	const char *root = *state;

	put_module(root, "vfio_iommu_type1", "dma_entry_limit", "1\n");
	for (size_t i = 0; i < sizeof(systems) / sizeof(systems[0]); i++) {
		tree_text(root, "etc/os-release", systems[i][0]);
		assert_cure(root, NULL, "dma-entry-limit", systems[i][1]);
	}
	tree_text(root, "run/ostree-booted", "");
	tree_text(root, "usr/bin/rpm-ostree", "");
	assert_cure(root, NULL, "dma-entry-limit", "rpm-ostree initramfs --enable");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doctor_start, doctor_stop)

void run_boot_tests(int *failed)
{
	const struct CMUnitTest boot[] = {
		TEST(test_amd_value),
		TEST(test_iommu_value),
		TEST(test_intel_value),
		TEST(test_override),
		TEST(test_stale),
		TEST(test_stale_folder),
		TEST(test_stale_forms),
		TEST(test_virqfd),
		TEST(test_log),
		TEST(test_cures),
		TEST(test_no_shell),
		TEST(test_initramfs),
	};

	*failed += cmocka_run_group_tests(boot, NULL, NULL);
}
