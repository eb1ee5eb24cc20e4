/* SPDX-License-Identifier: MIT */
/* What is told of the IOMMU, and that its reasons are those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "doctor_rig.h"
#include "tree.h"

#define ECAP "sys/class/iommu/dmar0/intel-iommu/ecap"
#define CONFIG "boot/config-7.2.0-test"

/* The groups stay: a card in one shows that nothing is told by them. */
static void switch_off(const char *root)
{
	tree_remove(root, "sys/class/iommu");
	tree_remove(root, "etc/default/grub");
}

/* An option's parser is called for each time that it is given. */
static void test_several(void **state)
{
	static const struct {
		const char *cmdline, *part, *file;
	} all[] = {
		{ "intel_iommu=on intel_iommu=igfx_off", "no driver for it, or that failed",
		  "/sys/class/iommu" },
		{ "intel_iommu=off,on", "no driver for it, or that failed", "/sys/class/iommu" },
		{ "intel_iommu=off intel_iommu=sm_on", "has intel_iommu=off", "/proc/cmdline" },
		{ "intel_iommu=on,off", "has intel_iommu=off", "/proc/cmdline" },
		{ "iommu=off iommu=pt", "has iommu=off", "/proc/cmdline" },
		{ "intel_iommu=sm_on intel_iommu=", "only when told to", "/sys/class/iommu" },
	};
	const char *root = *state;

	switch_off(root);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		tree_text(root, "proc/cmdline", all[i].cmdline);
		assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, all[i].part, all[i].file);
	}
	tree_text(root, "proc/cmdline", "amd_iommu=on amd_iommu=pgtbl_v2");
	assert_found(root, NULL, "amd-iommu-value", WEIR_HOST_NOTE, "amd_iommu=on is no", NULL);
	tree_text(root, "proc/cmdline", "intel_iommu=yes intel_iommu=on");
	assert_found(root, NULL, "intel-iommu-value", WEIR_HOST_WARNING, "intel_iommu=yes is no",
		     NULL);
	tree_text(root, "proc/cmdline", "iommu=on iommu=pt,64");
	assert_found(root, NULL, "iommu-value", WEIR_HOST_WARNING, "iommu=on is no", NULL);
	tree_text(root, "proc/cmdline", "iommu=soft iommu=pt,64");
	assert_silent(root, NULL, "iommu-value");
}

/* What this kernel was built with is told where it was read. */
static void test_built(void **state)
{
	const char *root = *state;

	switch_off(root);
	tree_text(root, "proc/cmdline", "quiet\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "configuration isn't there to be read",
		     "/sys/class/iommu");
	tree_text(root, CONFIG, "CONFIG_INTEL_IOMMU=y\n"
		  "# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "CONFIG_INTEL_IOMMU_DEFAULT_ON isn't "
		     "set", "/sys/class/iommu");
	tree_text(root, CONFIG, "CONFIG_INTEL_IOMMU=y\n"
		  "CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF=y\n");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "no driver for it, or that failed",
		     "/sys/class/iommu");
}

/* An option is a reason only where it agrees with what is seen, and of several the last counts. */
static void test_reasons(void **state)
{
	static const char id[] = "dma-domain", file[] = "/sys/kernel/iommu_groups/*/type";
	static const struct {
		const char *cmdline, *part;
	} passed[] = {
		{ "iommu=nopt iommu=pt", "the command line has iommu=pt;" },
		{ "iommu.passthrough=0 iommu=pt", "the command line has iommu=pt;" },
		{ "iommu.passthrough=on iommu=soft", "the command line has iommu.passthrough=on;" },
		{ "iommu=pt iommu.passthrough=off", "in spite of the command line's "
		  "iommu.passthrough=off: the IOMMU's driver" },
		{ "iommu.passthrough=maybe", "no option asks for it, so it is this kernel's "
		  "default (CONFIG_IOMMU_DEFAULT_PASSTHROUGH)" },
	}, translated[] = {
		{ "iommu=pt", "in spite of the command line's iommu=pt: the IOMMU's driver" },
		{ "iommu=pt,nopt", "the command line has iommu=nopt;" },
		{ "iommu.passthrough=n", "the command line has iommu.passthrough=n;" },
		{ "quiet", "no option asks for it, so it is this kernel's default "
		  "(CONFIG_IOMMU_DEFAULT_DMA_LAZY or _STRICT)" },
	};
	const char *root = *state;

	for (size_t i = 0; i < sizeof(translated) / sizeof(translated[0]); i++) {
		tree_text(root, "proc/cmdline", translated[i].cmdline);
		assert_found(root, NULL, id, WEIR_HOST_OK, translated[i].part, file);
	}
	/* Without bit 6 VT-d can't, whatever is asked for. */
	tree_text(root, ECAP, "f0209f\n");
	tree_text(root, "proc/cmdline", "iommu=pt\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, "iommu=pt: VT-d can't let DMA pass here", file);
	assert_found(root, NULL, "dma-pass", WEIR_HOST_WARNING, "though iommu=pt was", NULL);
	tree_text(root, "proc/cmdline", "iommu=pt iommu.passthrough=0\n");
	assert_found(root, NULL, "dma-pass", WEIR_HOST_NOTE, "though iommu=pt were", NULL);
	tree_text(root, "proc/cmdline", "quiet\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, "no more; VT-d can't let DMA pass here", file);
	tree_text(root, CONFIG, "CONFIG_IOMMU_DEFAULT_PASSTHROUGH=y\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, "in spite of CONFIG_IOMMU_DEFAULT_PASSTHROUGH: "
		     "VT-d can't", file);
	tree_text(root, CONFIG, "CONFIG_IOMMU_DEFAULT_DMA_LAZY=y\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, "the kernel was built so", file);
	tree_remove(root, CONFIG);

	tree_text(root, ECAP, "f020df\n");
	tree_text(root, GROUP "type", "identity\n");
	tree_text(root, "sys/kernel/iommu_groups/4/type", "identity\n");
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		tree_text(root, "proc/cmdline", passed[i].cmdline);
		assert_found(root, NULL, id, WEIR_HOST_OK, passed[i].part, file);
	}
	/* On Arm iommu= is nothing. */
	tree_text(root, "proc/cpuinfo", "processor : 0\nCPU implementer : 0x41\n");
	tree_text(root, "proc/cmdline", "iommu=pt\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, "no option asks for it", file);
}

/* It switches VT-d on where that is, and waits to be. */
static void test_switched(void **state)
{
	static const char id[] = "dma-domain", on[] = "intel_iommu=on switched VT-d on: devices";
	const char *root = *state;

	tree_text(root, "proc/cmdline", "intel_iommu=on\n");
	assert_found(root, NULL, id, WEIR_HOST_OK, on, NULL);
	tree_text(root, CONFIG, "CONFIG_INTEL_IOMMU_DEFAULT_ON=y\n");
	assert_not_said(root, NULL, id, on);
	tree_remove(root, CONFIG);
	tree_remove(root, "sys/class/iommu/dmar0");
	tree_text(root, "sys/class/iommu/ivhd0/amd-iommu/features", "ef\n");
	assert_not_said(root, NULL, id, on);
}

/* As sysfs has them. */
static void put_device(const char *root, const char *bus, const char *name)
{
	char link[128], target[128];

	snprintf(link, sizeof(link), "sys/bus/%s/devices/%s", bus, name);
	snprintf(target, sizeof(target), "../../../devices/%s/%s", bus, name);
	tree_link(root, link, target);
	snprintf(link, sizeof(link), "sys/devices/%s/%s", bus, name);
	tree_folder(root, link);
}

/* Each machine of Arm's with ACPI has an IORT: it's an SMMU in it that counts. */
static void test_iort(void **state)
{
	static const char *const smmus[] = { "arm-smmu.4.auto", "arm-smmu-v3.0.auto" };
	const char *root = *state;

	switch_off(root);
	tree_remove(root, "sys/kernel/iommu_groups");
	tree_remove(root, "sys/firmware");
	tree_text(root, "proc/cpuinfo", "processor : 0\nCPU implementer : 0x41\n");
	tree_text(root, "sys/class/dmi/id/sys_vendor", "QEMU\n");
	tree_text(root, "sys/firmware/acpi/tables/IORT", "");
	assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "without an IOMMU of its own", NULL);
	assert_found(root, NULL, "guest-noiommu", WEIR_HOST_STOP, "is off", NULL);
	put_device(root, "platform", "arm-smmu-v3-pmcg.1.auto");
	assert_found(root, NULL, "firmware-table", WEIR_HOST_NOTE, "and no SMMU in IORT",
		     "/sys/firmware/acpi/tables");
	assert_cure(root, NULL, "firmware-table", "iommu=smmuv3");
	for (size_t i = 0; i < sizeof(smmus) / sizeof(smmus[0]); i++) {
		put_device(root, "platform", smmus[i]);
		assert_well(root, NULL, "firmware-table");
		assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "which is off", NULL);
		assert_silent(root, NULL, "guest-noiommu");
		/* Not on Arm. */
		tree_text(root, "proc/cmdline", "iommu=off\n");
		assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "no driver for it", NULL);
		tree_remove(root, "sys/bus/platform");
	}
	/* The one of a paravirtual IOMMU comes beside it. */
	tree_text(root, "sys/firmware/acpi/tables/VIOT", "");
	assert_found(root, NULL, "firmware-table", WEIR_HOST_OK, "(VIOT)",
		     "/sys/firmware/acpi/tables/VIOT");
}

static void keep_text(void *arg, const struct weir_host_finding *finding)
{
	if (!strcmp(finding->id, "vfio-cdev"))
		snprintf(arg, 1024, "%s", finding->text);
}

/* It is large, and the same for all functions: it is read once. */
static void test_config_once(void **state)
{
	static const char no_cdev[] = "CONFIG_VFIO=m\n# CONFIG_VFIO_DEVICE_CDEV is not set\n";
	const struct weir_host_function *fn;
	const char *root = *state;
	struct weir_host *host;
	char text[1024] = "";

	put_function(root, PORT "/" CARD, 5, "vfio-pci");
	tree_text(root, CONFIG, no_cdev);
	assert_int_equal(weir_host_open(root, &host), 0);
	assert_int_equal(weir_host_find(host, CARD, &fn), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(weir_host_check(host, fn, keep_text, text), 0);
		assert_non_null(strstr(text, "built without CONFIG_VFIO_DEVICE_CDEV"));
		tree_text(root, CONFIG, "CONFIG_VFIO_DEVICE_CDEV=y\n");
	}
	weir_host_close(host);
	assert_found(root, CARD, "vfio-cdev", WEIR_HOST_NOTE, "no node under /dev/vfio/devices:",
		     NULL);
	/* What holds no option is no configuration: the other file may be. */
	tree_text(root, CONFIG, "nothing\n");
	tree_text(root, "lib/modules/7.2.0-test/config", no_cdev);
	assert_found(root, CARD, "vfio-cdev", WEIR_HOST_NOTE, "built without",
		     "/lib/modules/7.2.0-test/config");
}

static void put_arm(const char *root, const char *vendor, const char *product)
{
	tree_text(root, "proc/cpuinfo", "processor : 0\nCPU implementer : 0x41\n");
	tree_text(root, "sys/class/dmi/id/sys_vendor", vendor);
	tree_text(root, "sys/class/dmi/id/product_name", product);
}

/* What has a cloud's maker, or Xen below it, and is no VM. */
static void test_no_guest(void **state)
{
	static const char features[] = "sys/hypervisor/properties/features";
	static const char file[] = "/sys/hypervisor/properties/features";
	const char *root = *state;

	put_arm(root, "Amazon EC2\n", "m6g.metal\n");
	assert_found(root, NULL, "guest", WEIR_HOST_OK, "this is no VM", "/proc/cpuinfo");
	put_arm(root, "Amazon EC2\n", "c7g.metal-48xl\n");
	assert_found(root, NULL, "guest", WEIR_HOST_OK, "this is no VM", "/proc/cpuinfo");
	put_arm(root, "Amazon EC2\n", "m6g.metallic\n");
	assert_found(root, NULL, "guest", WEIR_HOST_OK, "a VM (Amazon EC2)",
		     "/sys/class/dmi/id/sys_vendor");
	put_arm(root, "Maker\n", "Board\n");
	assert_well(root, NULL, "guest");
	put_device(root, "acpi", "QEMU0002:00");
	assert_found(root, NULL, "guest", WEIR_HOST_OK, "a VM (QEMU)",
		     "/sys/bus/acpi/devices/QEMU0002:00");
	tree_remove(root, "sys/bus/acpi");
	put_arm(root, "QEMU\n", "x.metal\n");
	assert_found(root, NULL, "guest", WEIR_HOST_OK, "a VM (QEMU)", NULL);

	tree_text(root, "proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t: fpu hypervisor\n");
	tree_text(root, "sys/hypervisor/type", "xen\n");
	tree_text(root, features, "00000800000002f7\n");
	assert_found(root, NULL, "guest", WEIR_HOST_OK, "a VM (xen)", "/sys/hypervisor/type");
	tree_text(root, features, "00002af7\n");
	switch_off(root);
	tree_remove(root, "sys/kernel/iommu_groups");
	assert_found(root, NULL, "guest", WEIR_HOST_NOTE, "Xen's dom0", file);
	assert_silent(root, NULL, "guest-noiommu");
	assert_found(root, NULL, "iommu-on", WEIR_HOST_STOP, "the machine's is Xen's", file);
	assert_cure(root, NULL, "iommu-on", "without Xen");
	tree_remove(root, "sys/firmware");
	assert_found(root, NULL, "firmware-table", WEIR_HOST_UNKNOWN, "from its dom0", NULL);
	assert_silent(root, NULL, "guest-host");
}

/* VT-d isn't Intel's alone, and of what isn't known nothing is said to be well. */
static void test_processors(void **state)
{
	static const char id[] = "interrupt-remapping";
	const char *root = *state;

	tree_text(root, "proc/cmdline", "iommu=on\n");
	tree_text(root, "proc/cpuinfo", "vendor_id\t: CentaurHauls\nflags\t\t: fpu vmx\n");
	assert_well(root, NULL, id);
	tree_text(root, "proc/interrupts", " 9:  0  IO-APIC   9-fasteoi acpi\n");
	assert_found(root, NULL, id, WEIR_HOST_STOP, "no chip", "/proc/interrupts");
	assert_cure(root, NULL, "iommu-value", "what was meant is intel_iommu=on");
	/* By its table, by its IOMMU, and by neither. */
	tree_text(root, "proc/cpuinfo", "processor : 0\n");
	assert_found(root, NULL, id, WEIR_HOST_STOP, "no chip", "/proc/interrupts");
	tree_remove(root, "sys/firmware");
	assert_found(root, NULL, id, WEIR_HOST_STOP, "no chip", "/proc/interrupts");
	assert_found(root, NULL, "iommu-value", WEIR_HOST_WARNING, "iommu=on is no", NULL);
	tree_remove(root, "sys/class/iommu/dmar0");
	tree_folder(root, "sys/class/iommu/smmu3.0x0000000009050000");
	assert_found(root, NULL, id, WEIR_HOST_NOTE, "whether an ITS", "/proc/interrupts");
	assert_silent(root, NULL, "iommu-value");
	tree_remove(root, "sys/class/iommu/smmu3.0x0000000009050000");
	tree_folder(root, "sys/class/iommu/riscv-iommu.0");
	assert_found(root, NULL, id, WEIR_HOST_UNKNOWN, "can't be told", "/proc/cpuinfo");
	assert_silent(root, NULL, "iommu-value");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doctor_start, doctor_stop)

void run_iommu_tests(int *failed)
{
	const struct CMUnitTest iommu[] = {
		TEST(test_several),
		TEST(test_built),
		TEST(test_processors),
		TEST(test_reasons),
		TEST(test_switched),
		TEST(test_iort),
		TEST(test_no_guest),
		TEST(test_config_once),
	};

	*failed += cmocka_run_group_tests(iommu, NULL, NULL);
}
