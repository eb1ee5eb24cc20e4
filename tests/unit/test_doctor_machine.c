/* SPDX-License-Identifier: MIT */
/* The machine's checks: IOMMU, VFIO, memory, and inside a VM. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>

#include "doctor_rig.h"
#include "says.h"
#include "tree.h"

#define ECAP "sys/class/iommu/dmar0/intel-iommu/ecap"
#define NOIOMMU "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static void no_iommu(const char *root)
{
	tree_remove(root, "sys/class/iommu");
	tree_remove(root, "sys/kernel/iommu_groups");
	tree_remove(root, "sys/bus/pci/devices/" CARD "/iommu_group");
	tree_remove(root, "sys/bus/pci/devices/" PORT "/iommu_group");
}

static void make_guest(const char *root)
{
	tree_text(root, "proc/cpuinfo",
		  "vendor_id\t: GenuineIntel\nflags\t: fpu hypervisor sse2\n");
	tree_text(root, "sys/class/dmi/id/sys_vendor", "QEMU\n");
}

static void test_firmware_table(void **state)
{
	static const char *const tables[] = { "DMAR", "IVRS", "IORT", "VIOT" };
	const char *root = *state;
	char path[64];

	assert_well(root, NULL, "firmware-table");
	tree_remove(root, "sys/firmware");
	/* A device tree has none. */
	assert_well(root, NULL, "firmware-table");
	no_iommu(root);
	assert_found(root, NULL, "firmware-table", WEIR_HOST_STOP, "shows no IOMMU",
		     "/sys/firmware/acpi/tables");
	assert_cure(root, NULL, "firmware-table", "VT-d");
	tree_text(root, "proc/cpuinfo", "vendor_id\t: AuthenticAMD\nflags\t: svm\n");
	assert_cure(root, NULL, "firmware-table", "AMD-Vi");
	/* Of these IORT alone is no proof. */
	tree_folder(root, "sys/bus/platform/devices/arm-smmu-v3.0.auto");
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "sys/firmware/acpi/tables/%s", tables[i]);
		tree_text(root, path, "");
		assert_well(root, NULL, "firmware-table");
		tree_remove(root, path);
	}
}

static void test_iommu_on(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "iommu-on");
	no_iommu(root);
	/* The kernel's own for tests isn't one. */
	tree_folder(root, "sys/class/iommu/iommufd_selftest_iommu.0");
	tree_text(root, "proc/cmdline", "quiet\n");
	/* Who was told already needs no more than that it comes true. */
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "which didn't reach the kernel",
		     "/etc/default/grub");
	assert_cure(root, NULL, "iommu-on", "run 'update-grub', and restart");
	assert_no_cure(root, NULL, "iommu-on", "add intel_iommu=on");
	tree_text(root, "etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=intel_iommu=sm_on\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "only when told to",
		     "/sys/class/iommu");
	tree_text(root, "etc/default/grub.d/vfio.cfg", "GRUB_CMDLINE_LINUX=\"intel_iommu=on\"\n"
		  "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "which didn't reach the kernel",
		     "/etc/default/grub.d/vfio.cfg");
	/* What can't be read isn't this finding's. */
	tree_remove(root, "etc/default/grub.d");
	tree_folder(root, "etc/default/grub.d/vfio.cfg");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "only when told to",
		     "/sys/class/iommu");
	assert_once(root, NULL, "iommu-on");
	tree_remove(root, "etc/default/grub.d");
	assert_cure(root, NULL, "iommu-on", "intel_iommu=on to GRUB_CMDLINE_LINUX_DEFAULT");
	tree_text(root, "proc/cmdline", "quiet intel_iommu=on intel_iommu=off\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "has intel_iommu=off",
		     "/proc/cmdline");
	tree_text(root, "proc/cmdline", "quiet iommu=soft,off\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "has iommu=off", "/proc/cmdline");
	/* To VT-d the other's option is nothing; and what is on already is no cure. */
	tree_text(root, "proc/cmdline", "quiet amd_iommu=off\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "only when told to", NULL);
	tree_text(root, "proc/cmdline", "quiet amd_iommu=off intel_iommu=on,sm_on\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "no driver for it, or that failed",
		     NULL);
	tree_text(root, "proc/cmdline", "quiet\n");
	tree_text(root, "boot/config-7.2.0-test", "CONFIG_INTEL_IOMMU_DEFAULT_ON=y\n"
		  "CONFIG_INTEL_IOMMU=y\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "no driver for it, or that failed",
		     NULL);
	tree_text(root, "boot/config-7.2.0-test", "CONFIG_AMD_IOMMU=y\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "without CONFIG_INTEL_IOMMU",
		     "/boot/config-7.2.0-test");
	tree_remove(root, "boot");
	tree_remove(root, "sys/firmware");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "there is no IOMMU", NULL);
	/* It goes without. */
	put_module(root, "vfio", "enable_unsafe_noiommu_mode", "Y\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_WARNING, "there is no IOMMU", NULL);
	/* POWER's shows by its groups alone. */
	put_module(root, "vfio", "enable_unsafe_noiommu_mode", "N\n");
	tree_text(root, "proc/cpuinfo", "cpu\t: POWER9\nplatform\t: PowerNV\n");
	tree_attr_link(root, CARD, "iommu_group", "../../../../kernel/iommu_groups/5");
	assert_well(root, NULL, "iommu-on");
}

/* What intel_iommu=on and iommu=pt mean. */
static void test_domain(void **state)
{
	static const char id[] = "dma-domain", file[] = "/sys/kernel/iommu_groups/*/type";
	const char *root = *state;

	tree_text(root, "proc/cmdline", "intel_iommu=on\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, "intel_iommu=on switched VT-d on: devices that "
		     "the kernel drives are translated now (all of 2 groups)", file);
	assert_found(root, NULL, id, WEIR_HOST_OK, "the group's file 'type' goes on to show the "
		     "default", file);
	tree_text(root, GROUP "type", "identity\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, "those of 1 groups are translated now, those "
		     "of 1 pass", file);
	tree_text(root, "sys/kernel/iommu_groups/4/type", "identity\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, "passes untranslated now (all of 2 groups)",
		     file);
	assert_found(root, NULL, id, WEIR_HOST_OK, "CONFIG_IOMMU_DEFAULT_PASSTHROUGH", file);
	tree_text(root, "proc/cmdline", CMDLINE);
	assert_found(root, NULL, id, WEIR_HOST_OK, "the command line has iommu=pt", file);
	tree_text(root, "proc/cmdline", "iommu.passthrough=1");
	assert_found(root, NULL, id, WEIR_HOST_OK, "has iommu.passthrough=1", file);
	tree_text(root, GROUP "type", "\033[2J");
	tree_remove(root, "sys/kernel/iommu_groups/4");
	assert_silent(root, NULL, id);
}

static void test_pass(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "dma-pass");
	tree_text(root, ECAP, "f0209f\n");
	assert_found(root, NULL, "dma-pass", WEIR_HOST_WARNING, "1 of 1 units", "/" ECAP);
	tree_text(root, "proc/cmdline", "intel_iommu=on\n");
	assert_found(root, NULL, "dma-pass", WEIR_HOST_NOTE, "were asked for", "/" ECAP);
	tree_text(root, ECAP, "rubbish\n");
	assert_found(root, NULL, "dma-pass", WEIR_HOST_NOTE, "can't be read", "/sys/class/iommu");
	tree_remove(root, ECAP);
	assert_found(root, NULL, "dma-pass", WEIR_HOST_NOTE, "can't be read", "/sys/class/iommu");
	tree_remove(root, "sys/class/iommu/dmar0");
	assert_silent(root, NULL, "dma-pass");
}

static void test_interrupts(void **state)
{
	static const char id[] = "interrupt-remapping";
	const char *root = *state;

	assert_well(root, NULL, id);
	tree_text(root, "proc/interrupts", " 9:  0  IO-APIC   9-fasteoi acpi\n");
	assert_found(root, NULL, id, WEIR_HOST_STOP, "no chip", "/proc/interrupts");
	tree_text(root, "dev/kmsg",
		  "4,1,0,-;x\n4,2,0,-;DMAR-IR: x2apic is disabled because BIOS sets "
		  "x2apic opt out bit.\n");
	assert_well(root, NULL, "firmware-bug");
	tree_text(root, "dev/kmsg", "4,2,0,-;Not enabling interrupt remapping\n");
	assert_found(root, NULL, id, WEIR_HOST_STOP, "(Not enabling interrupt remapping)", NULL);
	tree_text(root, "dev/kmsg", "");
	tree_text(root, ECAP, "f020d7\n");
	assert_found(root, NULL, id, WEIR_HOST_STOP, "bit 3", "/proc/interrupts");
	put_module(root, "iommufd", "allow_unsafe_interrupts", "Y\n");
	assert_found(root, NULL, id, WEIR_HOST_WARNING, "accepted for IOMMUFD",
		     "/sys/module/iommufd/parameters/allow_unsafe_interrupts");
	put_module(root, "vfio_iommu_type1", "allow_unsafe_interrupts", "Y\n");
	assert_found(root, NULL, id, WEIR_HOST_WARNING, "accepted for both", NULL);
	tree_remove(root, "proc/interrupts");
	assert_found(root, NULL, id, WEIR_HOST_UNKNOWN, "can't be read", "/proc/interrupts");

	tree_remove(root, "sys/class/iommu/dmar0");
	tree_folder(root, "sys/class/iommu/smmu3.0x0000000009050000");
	tree_text(root, "proc/cpuinfo", "processor : 0\nCPU implementer : 0x41\n");
	tree_text(root, "proc/interrupts", " 9:  0  ITS-PCI-MSI-0000:00:04.0 0 Edge nvme0q0\n");
	assert_well(root, NULL, id);
	tree_text(root, "proc/interrupts", " 9:  0  GICv2m-PCI-MSI-0000:00:04.0 0 Edge nvme0q0\n");
	assert_found(root, NULL, id, WEIR_HOST_WARNING, "GICv2m", NULL);
	no_iommu(root);
	assert_silent(root, NULL, id);
}

static void test_firmware_bug(void **state)
{
	static const char *const lines[] = {
		"4,5,0,-;DMAR: [Firmware Bug]: Your BIOS is broken; DMAR reported at address 0!\n",
		"4,5,0,-;[Firmware Bug]: AMD-Vi: IVRS invalid checksum\n",
		"4,5,0,-;DMAR: [Firmware Bug]: No DRHD structure found in DMAR table\n",
	};
	const char *root = *state;

	assert_well(root, NULL, "firmware-bug");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		tree_text(root, "dev/kmsg", lines[i]);
		assert_found(root, NULL, "firmware-bug", WEIR_HOST_WARNING, "irmware", "/dev/kmsg");
	}
	/* Of something else. */
	tree_text(root, "dev/kmsg", "4,5,0,-;[Firmware Bug]: TSC_DEADLINE disabled\n");
	assert_well(root, NULL, "firmware-bug");
}

static void test_noiommu(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "noiommu-mode");
	put_module(root, "vfio", "enable_unsafe_noiommu_mode", "Y\n");
	assert_found(root, NULL, "noiommu-mode", WEIR_HOST_WARNING, "all memory", NOIOMMU);
	no_iommu(root);
	put_module(root, "vfio", "enable_unsafe_noiommu_mode", "N\n");
	assert_found(root, NULL, "noiommu-mode", WEIR_HOST_NOTE, "is off", NOIOMMU);
	/* VT-d is there, merely off. */
	assert_cure(root, NULL, "noiommu-mode", "switch the IOMMU on instead: see iommu-on");
	assert_no_cure(root, NULL, "noiommu-mode", "risk");
	tree_remove(root, "sys/firmware");
	assert_cure(root, NULL, "noiommu-mode", "an IOMMU: see firmware-table; or, at your own "
		    "risk, 'echo 1 > " NOIOMMU "'");
	put_module(root, "vfio", NULL, "live\n");
	tree_remove(root, "sys/module/vfio/parameters");
	assert_found(root, NULL, "noiommu-mode", WEIR_HOST_NOTE, "built without it", NOIOMMU);
	assert_cure(root, NULL, "noiommu-mode", "; or, at your own risk, a kernel with CONFIG");
	/* The module isn't there, and so no parameter either. */
	tree_remove(root, "sys/module/vfio");
	assert_found(root, NULL, "noiommu-mode", WEIR_HOST_NOTE, "is off", "/sys/module/vfio");
	assert_cure(root, NULL, "noiommu-mode", "; or, at your own risk, 'modprobe vfio");
}

static void test_vfio(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "vfio");
	tree_remove(root, "sys/module/vfio_pci");
	tree_text(root, "lib/modules/7.2.0-test/modules.dep", "kernel/drivers/vfio/vfio.ko:\n");
	assert_found(root, NULL, "vfio", WEIR_HOST_STOP, "has no vfio_pci",
		     "/lib/modules/7.2.0-test/modules.dep");
	tree_text(root, "lib/modules/7.2.0-test/modules.dep",
		  "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n");
	assert_well(root, NULL, "vfio");
	/* A release that would lead elsewhere isn't followed. */
	tree_text(root, "proc/sys/kernel/osrelease", "../7.2.0-test\n");
	assert_found(root, NULL, "vfio", WEIR_HOST_UNKNOWN, "no list of this kernel's modules",
		     "/lib/modules");
	tree_text(root, "proc/sys/kernel/osrelease", "7.3.0-test\n");
	assert_found(root, NULL, "vfio", WEIR_HOST_UNKNOWN, "no list of this kernel's modules",
		     "/lib/modules/7.3.0-test/modules.dep");
	tree_text(root, "boot/config-7.3.0-test", "CONFIG_KVM=y\n");
	assert_found(root, NULL, "vfio", WEIR_HOST_STOP, "has no vfio_pci",
		     "/boot/config-7.3.0-test");
	tree_text(root, "proc/sys/kernel/osrelease", "7.2.0-test\n");
	tree_text(root, "lib/modules/7.2.0-test/modules.dep", "kernel/fs/notvfio-pci.ko:\n");
	assert_found(root, NULL, "vfio", WEIR_HOST_STOP, "has no vfio_pci", NULL);
	tree_folder(root, "sys/bus/pci/drivers/vfio-pci");
	assert_well(root, NULL, "vfio");
}

static void test_iommufd(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "iommufd");
	tree_remove(root, "dev/iommu");
	assert_found(root, NULL, "iommufd", WEIR_HOST_NOTE, "isn't there", "/dev/iommu");
	assert_cure(root, NULL, "iommufd", "have the node made");
	tree_remove(root, "sys/module/iommufd");
	tree_text(root, "boot/config-7.2.0-test", "CONFIG_VFIO=m\n# CONFIG_IOMMUFD is not set\n");
	assert_cure(root, NULL, "iommufd", "a kernel with CONFIG_IOMMUFD");
	tree_text(root, "lib/modules/7.2.0-test/modules.builtin", "kernel/drivers/iommu/iommufd/"
		  "iommufd.ko\n");
	assert_cure(root, NULL, "iommufd", "modprobe iommufd");
}

static void test_p2p(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "bar-p2p");
	tree_text(root, "proc/sys/kernel/osrelease", "6.18.3\n");
	assert_found(root, NULL, "bar-p2p", WEIR_HOST_NOTE, "PCI BAR?",
		     "/proc/sys/kernel/osrelease");
	tree_text(root, "proc/sys/kernel/osrelease", "unheard of\n");
	assert_well(root, NULL, "bar-p2p");
}

static void test_entries(void **state)
{
	static const char file[] = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit";
	const char *root = *state;

	assert_well(root, NULL, "dma-entry-limit");
	tree_text(root, "proc/sys/vm/nr_hugepages", "0\n");
	assert_found(root, NULL, "dma-entry-limit", WEIR_HOST_NOTE, "ENOSPC after 255 MiB", file);
	put_module(root, "vfio_iommu_type1", "dma_entry_limit", "5000000\n");
	assert_well(root, NULL, "dma-entry-limit");
	put_module(root, "vfio_iommu_type1", "dma_entry_limit", "64\n");
	assert_found(root, NULL, "dma-entry-limit", WEIR_HOST_WARNING, "64 mappings", file);
	assert_cure(root, NULL, "dma-entry-limit", "update-initramfs");
	put_module(root, "vfio_iommu_type1", "dma_entry_limit", "many\n");
	assert_silent(root, NULL, "dma-entry-limit");
}

static void test_kvm(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "kvm");
	tree_remove(root, "dev/kvm");
	assert_found(root, NULL, "kvm", WEIR_HOST_NOTE, "isn't there", "/dev/kvm");
	put_module(root, "kvm_intel", NULL, "live\n");
	assert_found(root, NULL, "kvm", WEIR_HOST_NOTE, "kvm_intel is loaded", "/dev/kvm");
}

static void test_hugepages(void **state)
{
	static const char pool[] = "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
	const char *root = *state;

	tree_text(root, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages",
		  "512\n");
	tree_folder(root, "sys/devices/system/node/node1/hugepages/hugepages-2048kB");
	tree_text(root, pool, "3\n");
	assert_well(root, NULL, "hugepages");
	assert_found(root, NULL, "hugepages", WEIR_HOST_OK, "512 of 2 MiB (500 free), 3 of 1 GiB "
		     "(0 free); node0: 512 of 2 MiB (0 free); node1: none", NULL);
	tree_text(root, pool, "0\n");
	tree_text(root, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	assert_found(root, NULL, "hugepages", WEIR_HOST_NOTE, "no hugepages",
		     "/sys/kernel/mm/hugepages");
	tree_text(root, "proc/meminfo", "MemTotal: 4194304 kB\nHugepagesize:     524288 kB\n");
	assert_cure(root, NULL, "hugepages", "as many pages of 524288 kB as");
	no_iommu(root);
	put_module(root, "vfio", "enable_unsafe_noiommu_mode", "Y\n");
	assert_found(root, NULL, "hugepages", WEIR_HOST_WARNING, "contiguous", NULL);
}

static void test_memlock(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "memlock");
	put_limit(root, "proc/self/limits", "8388608");
	assert_found(root, NULL, "memlock", WEIR_HOST_WARNING, "lock 8192 KiB for devices, of "
		     "16384000 KiB", "/proc/self/limits");
	/* CAP_IPC_LOCK */
	tree_text(root, "proc/self/status", "CapEff:\t0000000000004000\n");
	assert_well(root, NULL, "memlock");
	tree_text(root, "dev/kmsg",
		  "4,9,0,-;vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded\n");
	assert_found(root, NULL, "memlock", WEIR_HOST_WARNING, "said \"vfio_pin_pages_remote: "
		     "RLIMIT_MEMLOCK (65536)", "/dev/kmsg");
}

static void put_vmm(const char *root, const char *arguments, const char *limit)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "qemu-system-x86_64 %s ", arguments);

	/* As the kernel has it: NULs between arguments. */
	for (int i = 0; i < len; i++)
		text[i] = (char)(text[i] == ' ' ? '\0' : text[i]);
	tree_bytes(root, "proc/77/cmdline", text, (size_t)len);
	put_limit(root, "proc/77/limits", limit);
}

static void test_vmm(void **state)
{
	static const char two[] = "-m 4G -device vfio-pci,host=1:0.0 -device vfio-pci,host=2:0.0";
	static const char both[] = "-device intel-iommu -m size=4096 -device vfio-pci,host=1:0.0 "
		"-device vfio-pci,host=2:0.0";
	const char *root = *state;

	put_vmm(root, two, "5368709120");
	assert_well(root, NULL, "vmm-memlock");
	/* A process is a number: its name comes to stand in a command. */
	tree_bytes(root, "proc/7;reboot/cmdline", "q -m 4G vfio-pci", 16);
	put_limit(root, "proc/7;reboot/limits", "1");
	assert_well(root, NULL, "vmm-memlock");
	put_vmm(root, two, "5368709119");
	assert_found(root, NULL, "vmm-memlock",
		     WEIR_HOST_WARNING, "a VM with 4096 MiB, 2 devices, may",
		     "/proc/77/limits");
	/* The limit isn't for who has CAP_IPC_LOCK. */
	tree_text(root, "proc/77/status", "CapEff:\t000001ffffffffff\n");
	assert_well(root, NULL, "vmm-memlock");
	tree_text(root, "proc/77/status", "CapEff:\t0000000000000000\n");
	/* Behind an IOMMU of its own both count. */
	put_vmm(root, both, "5368709120");
	assert_found(root, NULL, "vmm-memlock", WEIR_HOST_WARNING, "come to need 9216 MiB",
		     "/proc/77/limits");
	put_vmm(root, both, "unlimited");
	assert_well(root, NULL, "vmm-memlock");
	put_vmm(root, "-m 4G", "65536");
	assert_well(root, NULL, "vmm-memlock");
}

static void test_libvirt(void **state)
{
	const char *root = *state;

	tree_text(root, "proc/88/comm", "virtqemud\n");
	tree_text(root, "proc/88/status", "CapEff:\t000001ffffffffff\n");
	assert_well(root, NULL, "libvirt-limit");
	tree_text(root, "proc/88/status", "CapEff:\t0000000000000000\n");
	assert_found(root, NULL, "libvirt-limit", WEIR_HOST_WARNING, "lacks CAP_SYS_RESOURCE",
		     "/proc/88/status");
	tree_text(root, "proc/88/comm", "virtqemu\n");
	assert_well(root, NULL, "libvirt-limit");
}

static void test_guest(void **state)
{
	const char *root = *state;

	assert_well(root, NULL, "guest");
	assert_silent(root, NULL, "guest-noiommu");
	assert_silent(root, NULL, "guest-host");
	make_guest(root);
	assert_found(root, NULL, "guest",
		     WEIR_HOST_OK, "this is a VM (QEMU) with an IOMMU of its own",
		     "/sys/class/dmi/id/sys_vendor");
	assert_silent(root, NULL, "guest-noiommu");
	no_iommu(root);
	assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "which is off",
		     "/sys/class/dmi/id/sys_vendor");
	assert_silent(root, NULL, "guest-noiommu");
	assert_found(root, NULL, "firmware-table", WEIR_HOST_OK, "describes an IOMMU", NULL);
	tree_remove(root, "sys/firmware");
	assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "without an IOMMU of its own",
		     "/sys/class/dmi/id/sys_vendor");
	assert_found(root, NULL, "firmware-table", WEIR_HOST_NOTE, "the hypervisor shows no", NULL);
	assert_found(root, NULL, "guest-noiommu", WEIR_HOST_NOTE, "finds no IOMMU in this VM",
		     "/proc/cmdline");
	assert_found(root, NULL, "guest-noiommu", WEIR_HOST_STOP, "is off", NOIOMMU);
	assert_cure(root, NULL, "guest-noiommu", "give the VM an IOMMU: see firmware-table; or, "
		    "at your own risk, 'echo 1 > " NOIOMMU "'");
	tree_remove(root, "sys/module/vfio");
	assert_found(root, NULL, "guest-noiommu", WEIR_HOST_STOP, "is off", "/sys/module/vfio");
	assert_cure(root, NULL, "guest-noiommu", "; or, at your own risk, 'modprobe vfio");
	assert_cure(root, NULL, "guest-host", "memory-backend-file");
	assert_found(root, NULL, "guest-host", WEIR_HOST_NOTE, "the host must hold", NULL);
	put_module(root, "vfio", "enable_unsafe_noiommu_mode", "Y\n");
	tree_text(root, "proc/cmdline", "quiet\n");
	assert_found(root, NULL, "guest-noiommu", WEIR_HOST_OK, "is on", NOIOMMU);
	assert_well(root, NULL, "guest-noiommu");
	/* Other signs. */
	tree_text(root, "sys/class/dmi/id/sys_vendor", "Maker\n");
	assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "is a VM (unknown hypervisor)",
		     "/proc/cpuinfo");
	tree_text(root, "sys/hypervisor/type", "xen\n");
	assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "xen", "/sys/hypervisor/type");
	tree_remove(root, "sys/hypervisor");
	tree_folder(root, "sys/bus/acpi/devices/QEMU0002:00");
	assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "QEMU",
		     "/sys/bus/acpi/devices/QEMU0002:00");
	tree_remove(root, "sys/bus/acpi");
	tree_text(root, "proc/cpuinfo", "cpu\t: POWER9\nplatform\t: pSeries\n");
	assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "pSeries", "/proc/cpuinfo");
}

static void test_calculator(void **state)
{
	struct weir_host_memlock_opts opts = { 0 };
	uint64_t bytes;

	(void)state;
	assert_int_equal(weir_host_memlock(&opts, &bytes), -EINVAL);
	opts.memory = 8ULL << 30;
	assert_int_equal(weir_host_memlock(&opts, &bytes), 0);
	assert_int_equal(bytes, 9ULL << 30);
	opts.devices = 3;
	assert_int_equal(weir_host_memlock(&opts, &bytes), 0);
	assert_int_equal(bytes, 9ULL << 30);
	opts.viommu = true;
	opts.vdpa = 1;
	assert_int_equal(weir_host_memlock(&opts, &bytes), 0);
	assert_int_equal(bytes, 33ULL << 30);
	opts.max_memory = 1;
	assert_int_equal(weir_host_memlock(&opts, &bytes), -EINVAL);
	opts.max_memory = 0;
	opts.memory = UINT64_MAX / 2;
	assert_int_equal(weir_host_memlock(&opts, &bytes), -EINVAL);
	assert_says("64 bits");
	opts.power = true;
	opts.bridges = 1000;
	opts.memory = UINT64_MAX;
	assert_int_equal(weir_host_memlock(&opts, &bytes), -EINVAL);
	assert_int_equal(bytes, 33ULL << 30);

	/* POWER: 8 GiB / 128 + 4 MiB + 8 MiB, and 8 GiB + 16 MiB + 8 MiB. */
	opts = (struct weir_host_memlock_opts){ .memory = 8ULL << 30, .power = true };
	assert_int_equal(weir_host_memlock(&opts, &bytes), 0);
	assert_int_equal(bytes, (64 + 4 + 8 + 8192 + 16 + 8) * (1ULL << 20));
	/* A small guest: the windows are more. */
	opts.memory = 1ULL << 30;
	opts.max_memory = 2ULL << 30;
	opts.bridges = 2;
	assert_int_equal(weir_host_memlock(&opts, &bytes), 0);
	assert_int_equal(bytes, (16 + 8 + 8 + 4096) * (1ULL << 20));
	opts.reserved[3] = 1;
	assert_int_equal(weir_host_memlock(&opts, &bytes), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doctor_start, doctor_stop)

void run_machine_tests(int *failed)
{
	const struct CMUnitTest machine[] = {
		TEST(test_firmware_table),
		TEST(test_iommu_on),
		TEST(test_domain),
		TEST(test_pass),
		TEST(test_interrupts),
		TEST(test_firmware_bug),
		TEST(test_noiommu),
		TEST(test_vfio),
		TEST(test_iommufd),
		TEST(test_p2p),
		TEST(test_entries),
		TEST(test_kvm),
		TEST(test_hugepages),
		TEST(test_memlock),
		TEST(test_vmm),
		TEST(test_libvirt),
		TEST(test_guest),
		cmocka_unit_test(test_calculator),
	};

	*failed += cmocka_run_group_tests(machine, NULL, NULL);
}
