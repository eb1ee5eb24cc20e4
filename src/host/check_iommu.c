/* SPDX-License-Identifier: MIT */
/* The IOMMU: in the firmware's tables, switched on, what it does for whom, and interrupts. */
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "host/check.h"

#define GROUPS "/sys/kernel/iommu_groups"

/* VT-d specification 10.4.3, extended capability register. */
#define ECAP_IR			(1ULL << 3)
#define ECAP_PASS_THROUGH	(1ULL << 6)

static const char *firmware_switch(const struct wr_machine *m)
{
	switch (m->cpu) {
	case WR_CPU_INTEL:
		return "VT-d (\"Intel Virtualization Technology for Directed I/O\")";
	case WR_CPU_AMD:
		return "IOMMU (AMD-Vi), and SVM";
	default:
		return "the IOMMU or SMMU";
	}
}

static void check_table(struct wr_exam *exam)
{
	const char *table = exam->m->table;

	if (table) {
		wr_report(exam, WEIR_HOST_OK, table, "the firmware describes an IOMMU (%s)",
			  strrchr(table, '/') + 1);
		return;
	}
	if (wr_has_iommu(exam)) {
		wr_report(exam, WEIR_HOST_OK, "/sys/class/iommu",
			  "the machine has an IOMMU, though no ACPI table describes it: by a "
			  "device tree, or by itself");
		return;
	}
	if (exam->m->dom0) {
		wr_report(exam, WEIR_HOST_UNKNOWN, WR_ACPI, "whether the firmware describes an "
			  "IOMMU can't be told: Xen keeps such tables from its dom0");
		return;
	}
	if (exam->m->virtual)
		wr_cure(exam, "give the VM an IOMMU (QEMU: %s, or -device virtio-iommu-pci)",
			exam->m->cpu == WR_CPU_ARM ? "-machine virt,iommu=smmuv3" :
			"-device intel-iommu");
	else
		wr_cure(exam, "switch %s on in the firmware's setup, and restart",
			firmware_switch(exam->m));
	/* A VM may do without: that is what no-IOMMU mode is for. */
	wr_report(exam, exam->m->virtual ? WEIR_HOST_NOTE : WEIR_HOST_STOP, WR_ACPI,
		  "%s shows no IOMMU: there is none of the tables DMAR, IVRS and VIOT, "
		  "and no SMMU in IORT%s",
		  exam->m->virtual ? "the hypervisor" : "the firmware",
		  exam->m->virtual ? "" : "; the machine has none, or it is off in its setup");
}

/* Of VT-d's the last of both counts (intel_iommu_setup()); the others can't be taken back. */
static const char *const intel_switch[] = { "intel_iommu=on", "intel_iommu=off", NULL };
static const char *const amd_switch[] = { "amd_iommu=off", NULL };
static const char *const x86_switch[] = { "iommu=off", NULL };

/* The option that keeps the IOMMU off, or NULL. */
static const char *off_option(const struct wr_machine *m)
{
	static const struct {
		const char *const *options;
		const char *tables;	/* of whose IOMMUs, whatever the processor */
	} keys[] = {
		{ x86_switch, "DMAR IVRS" }, { intel_switch, "DMAR" }, { amd_switch, "IVRS" },
	};

	if (!wr_is_x86(m))
		return NULL;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *option = wr_last_option(m->cmdline, keys[i].options);

		if (option && strstr(option, "=off") &&
		    (!m->table || strstr(keys[i].tables, strrchr(m->table, '/') + 1)))
			return option;
	}
	return NULL;
}

bool wr_intel_told_on(const struct wr_machine *m)
{
	return wr_last_option(m->cmdline, intel_switch) == intel_switch[0];
}

/* The driver's option in the kernel's configuration. */
static const char *driver_option(const char *table)
{
	return strstr(table, "DMAR") ? "INTEL_IOMMU" : strstr(table, "IVRS") ? "AMD_IOMMU" : NULL;
}

/*
 * Whether VT-d is on without an option: 1 yes, 0 no, -ENOENT when nothing tells. The second is of
 * newer kernels (drivers/iommu/intel/Kconfig).
 */
static int built_on(const struct wr_machine *m)
{
	char file[WR_LINE_MAX];
	int on = wr_kernel_config(m, "INTEL_IOMMU_DEFAULT_ON", file);

	return on ? on : wr_kernel_config(m, "INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF", file);
}

/* VT-d waits for it; true also when nothing tells that the kernel was built not to. */
static bool wants_option(const struct wr_machine *m)
{
	return strstr(m->table, "DMAR") && !wr_intel_told_on(m) && built_on(m) != 1;
}

static void report_off(struct wr_exam *exam, bool unsafe)
{
	const char *table = exam->m->table, *driver = table ? driver_option(table) : NULL;
	enum weir_host_severity severity = unsafe ? WEIR_HOST_WARNING : WEIR_HOST_STOP;
	const char *option = off_option(exam->m);
	char file[WR_LINE_MAX];

	if (exam->m->dom0) {
		/* pci_iommu_alloc() in arch/x86/kernel/pci-dma.c looks for none there. */
		wr_cure(exam, "start this kernel without Xen, or give devices away by Xen's tools "
			"('xl pci-assignable-add')");
		wr_report(exam, severity, WR_XEN_FEATURES, "there is no IOMMU for VFIO: the "
			  "machine's is Xen's, whose dom0 this is");
	} else if (option) {
		wr_cure_no_option(exam, option);
		wr_report(exam, severity, "/proc/cmdline", "the IOMMU is off: the kernel's command "
			  "line has %s", option);
	} else if (driver && !wr_kernel_config(exam->m, driver, file)) {
		wr_cure(exam, "a kernel with CONFIG_%s", driver);
		wr_report(exam, severity, file, "the IOMMU is off, though the firmware describes "
			  "it (%s): this kernel was built without CONFIG_%s", table, driver);
	} else if (table && wants_option(exam->m) &&
		   wr_boot_sets(exam, "intel_iommu=", "on", file)) {
		wr_cure_refresh(exam);
		wr_report(exam, severity, file, "the IOMMU is off, though the firmware describes "
			  "it (%s): %s has intel_iommu=on, which didn't reach the kernel "
			  "(/proc/cmdline)", table, file);
	} else if (table && wants_option(exam->m)) {
		wr_cure_option(exam, "intel_iommu=on");
		wr_report(exam, severity, "/sys/class/iommu", "the IOMMU is off, though the "
			  "firmware describes it (%s): this kernel uses VT-d only when told to "
			  "(%s)", table, built_on(exam->m) ? "most are built so, and this one's "
			  "configuration isn't there to be read" :
			  "CONFIG_INTEL_IOMMU_DEFAULT_ON isn't set");
	} else if (table) {
		wr_cure(exam, "see why in the kernel's log ('dmesg | grep -i iommu')");
		wr_report(exam, severity, "/sys/class/iommu", "the IOMMU is off, though the "
			  "firmware describes it (%s): the kernel has no driver for it, or that "
			  "failed", table);
	} else {
		wr_report(exam, severity, "/sys/class/iommu", "there is no IOMMU, without which "
			  "VFIO gives no device away%s", unsafe ? ", but in no-IOMMU mode" : "");
	}
}

static void check_on(struct wr_exam *exam)
{
	struct wr_few list = { .n = 0 };
	char **names, file[WR_LINE_MAX];
	int n;

	if (!wr_has_iommu(exam)) {
		report_off(exam, wr_noiommu_mode(exam, file));
		return;
	}
	n = wr_names(exam->m->root, "/sys/class/iommu", &names);
	for (int i = 0; i < n; i++)
		wr_few_add(&list, "%s", names[i]);
	if (n > 0)
		wr_names_free(names, n);
	wr_report(exam, WEIR_HOST_OK, list.n ? "/sys/class/iommu" : GROUPS, "the IOMMU is on%s%s",
		  list.n ? ": " : "", list.text);
}

/* How many groups have which type; those with others than these count as unknown. */
enum { TRANSLATED, IDENTITY, UNKNOWN, TYPES };

static void count_types(const struct wr_exam *exam, unsigned int counts[TYPES])
{
	struct weir_host_group group;
	int number = -1;

	memset(counts, 0, TYPES * sizeof(*counts));
	while ((number = weir_host_next_group(exam->host, number)) >= 0) {
		if (weir_host_group(exam->host, number, &group) < 0)
			counts[UNKNOWN]++;
		else
			counts[!strncmp(group.type, "DMA", 3) ? TRANSLATED :
			       !strcmp(group.type, "identity") ? IDENTITY : UNKNOWN]++;
	}
}

/* How many units of VT-d there are, and how many of them have all of @bits; or -errno. */
static int count_units(const struct wr_exam *exam, uint64_t bits, unsigned int *have,
		       char file[WR_LINE_MAX])
{
	struct weir_host_iommu unit;
	int units = 0, ret;

	*have = 0;
	for (unsigned int n = 0; (ret = weir_host_iommu(exam->host, n, &unit)) != -ENOENT; n++) {
		if (!ret && unit.kind == WEIR_HOST_IOMMU_VTD && !unit.ecap_known)
			ret = -ENODATA;
		if (ret < 0)
			return ret;
		if (unit.kind != WEIR_HOST_IOMMU_VTD)
			continue;
		*have += (unit.ecap & bits) == bits;
		if (!units++ || (unit.ecap & bits) != bits)
			snprintf(file, WR_LINE_MAX, "/sys/class/iommu/%s/intel-iommu/ecap",
				 unit.name);
	}
	return units;
}

/* kstrtobool() in lib/kstrtox.c: 1, 0 or -EINVAL. */
static int truth(const char *value)
{
	bool two = *value == 'o' || *value == 'O';

	value += two;
	if (!*value)
		return -EINVAL;
	if (strchr(two ? "nN" : "eEyYtT1", *value))
		return 1;
	return strchr(two ? "fF" : "dDnNfF0", *value) ? 0 : -EINVAL;
}

#define OPTION_MAX 64

/*
 * What the command line asks for, by the last option that does: 1 that DMA passes, 0 that it is
 * translated, -ENOENT nothing.
 */
static int asked_domain(const struct wr_machine *m, char option[OPTION_MAX])
{
	/* The first two are x86's (arch/x86/kernel/pci-dma.c). */
	static const char *const options[] = { "iommu=pt", "iommu=nopt", "iommu.passthrough=",
					       NULL };
	const char *last = wr_last_option(m->cmdline, options + (wr_is_x86(m) ? 0 : 2));
	char value[WR_LINE_MAX] = "";
	int pass;

	if (!last)
		return -ENOENT;
	if (last == options[2])
		wr_word(m->cmdline, last, value);
	snprintf(option, OPTION_MAX, "%s%.32s", last, value);
	pass = last == options[2] ? truth(value) : last == options[0];
	return pass < 0 ? -ENOENT : pass;
}

/*
 * Why DMA passes, or is translated: the last to choose is the IOMMU's driver (def_domain_type() in
 * drivers/iommu/), or who writes to a group's file.
 */
static void tell_why(const struct wr_exam *exam, bool pass, char why[WR_LINE_MAX])
{
	char option[OPTION_MAX], file[WR_LINE_MAX];
	int asked = asked_domain(exam->m, option);
	bool by_option = asked >= 0;
	const char *forced = NULL;
	unsigned int have;

	if (!by_option) {
		asked = wr_kernel_config(exam->m, "IOMMU_DEFAULT_PASSTHROUGH", file);
		snprintf(option, sizeof(option), "CONFIG_IOMMU_DEFAULT_%s",
			 (asked < 0 ? pass : asked) ? "PASSTHROUGH" : "DMA_LAZY or _STRICT");
	}
	if (!pass && count_units(exam, ECAP_PASS_THROUGH, &have, file) > 0 && !have)
		forced = "VT-d can't let DMA pass here (bit 6 of its extended capabilities is 0)";
	if (asked == pass)
		snprintf(why, WR_LINE_MAX, by_option ? "the command line has %s" :
			 "the kernel was built so (%s)", option);
	else if (asked >= 0)
		snprintf(why, WR_LINE_MAX, "that is in spite of %s%s: %s",
			 by_option ? "the command line's " : "", option,
			 forced ? forced :
			 "the IOMMU's driver chose otherwise, or who wrote to these files");
	else if (forced)
		snprintf(why, WR_LINE_MAX, "%s", forced);
	else
		snprintf(why, WR_LINE_MAX, "no option asks for it, so it is this kernel's default "
			 "(%s)", option);
}

#define ONCE_GIVEN "once a device is given to VFIO its DMA is translated through page tables of " \
	"its new owner's, with iommu=pt as without; the group's file 'type' goes on to show the " \
	"default"

/* Whether VT-d is there, and on since the command line says so. */
static bool is_switched_on(const struct wr_exam *exam)
{
	char file[WR_LINE_MAX];
	unsigned int have;

	return wr_intel_told_on(exam->m) && built_on(exam->m) != 1 &&
	       count_units(exam, 0, &have, file) > 0;
}

/* iommu_def_domain_type in drivers/iommu/iommu.c; what VFIO attaches is another domain. */
static void check_domain(struct wr_exam *exam)
{
	bool on = is_switched_on(exam);
	unsigned int counts[TYPES];
	char why[WR_LINE_MAX];

	count_types(exam, counts);
	if (!(counts[TRANSLATED] + counts[IDENTITY]))
		return;
	tell_why(exam, !counts[TRANSLATED], why);
	if (!counts[IDENTITY])
		wr_report(exam, WEIR_HOST_OK, GROUPS "/*/type", "%sdevices that the kernel drives "
			  "are translated now (all of %u groups): each reaches what its driver "
			  "mapped and no more; %s; " ONCE_GIVEN,
			  on ? "intel_iommu=on switched VT-d on: " : "", counts[TRANSLATED], why);
	else if (!counts[TRANSLATED])
		wr_report(exam, WEIR_HOST_OK, GROUPS "/*/type", "%sDMA of devices that the kernel "
			  "drives passes untranslated now (all of %u groups): it is as fast as "
			  "without an IOMMU, and each of them reaches all memory; %s; " ONCE_GIVEN,
			  on ? "intel_iommu=on switched VT-d on, but " : "", counts[IDENTITY], why);
	else
		wr_report(exam, WEIR_HOST_OK, GROUPS "/*/type", "of devices that the kernel "
			  "drives, those of %u groups are translated now, those of %u pass: a "
			  "driver or its IOMMU wants another type than the rest; " ONCE_GIVEN,
			  counts[TRANSLATED], counts[IDENTITY]);
}

/* device_def_domain_type() in drivers/iommu/intel/iommu.c */
static void check_pass(struct wr_exam *exam)
{
	char file[WR_LINE_MAX], option[OPTION_MAX];
	bool wanted = asked_domain(exam->m, option) == 1;
	unsigned int have;
	int units = count_units(exam, ECAP_PASS_THROUGH, &have, file);

	if (units < 0)
		wr_unread(exam, "/sys/class/iommu", units);
	if (units <= 0)
		return;
	if ((int)have == units)
		wr_report(exam, WEIR_HOST_OK, file, "VT-d can let DMA pass untranslated (bit 6 of "
			  "the extended capabilities, in all of %d units): iommu=pt works here",
			  units);
	else
		wr_report(exam, wanted ? WEIR_HOST_WARNING : WEIR_HOST_NOTE, file,
			  "%d of %d units of VT-d can't let DMA pass (bit 6 of the extended "
			  "capabilities is 0): the kernel translates for devices behind them "
			  "though iommu=pt %s; giving them away needs none of it",
			  units - (int)have, units, wanted ? "was asked for" : "were asked for");
}

/* Parameters of type1 and of IOMMUFD that accept interrupts that aren't remapped. */
static unsigned int unsafe_allowed(const struct wr_exam *exam, char file[WR_LINE_MAX])
{
	static const char *const modules[] = { "vfio_iommu_type1", "iommufd" };
	char value[8], path[WR_LINE_MAX];
	unsigned int allowed = 0;

	for (size_t i = 0; i < 2; i++)
		if (wr_module_param(exam->m, modules[i], "allow_unsafe_interrupts", path, value,
				    sizeof(value)) > 0 && (value[0] == 'Y' || value[0] == '1')) {
			allowed |= 1U << i;
			strcpy(file, path);
		}
	return allowed;
}

static void report_not_remapped(struct wr_exam *exam, const char *why)
{
	static const char *const whose[] = { "", "type1's containers", "IOMMUFD", "both" };
	char file[WR_LINE_MAX] = "/proc/interrupts", line[WR_LINE_MAX];
	unsigned int allowed = unsafe_allowed(exam, file);

	if (wr_line(exam->m->log, "x2apic opt out", line) ||
	    wr_line(exam->m->log, "Not enabling interrupt remapping", line))
		why = wr_log_text(line);
	if (allowed) {
		wr_report(exam, WEIR_HOST_WARNING, file, "interrupts aren't remapped (%s), and "
			  "that is accepted for %s (allow_unsafe_interrupts): who has a device can "
			  "raise any interrupt of this machine", why, whose[allowed]);
		return;
	}
	wr_cure(exam, "switch interrupt remapping (or x2APIC) on in the firmware's setup; a VM's "
		"IOMMU has it as an option (intremap=on)");
	wr_cure(exam, "at your own risk, 'vfio_iommu_type1 allow_unsafe_interrupts=1' for "
		"containers, 'iommufd allow_unsafe_interrupts=1' for IOMMUFD, which are two "
		"parameters");
	wr_report(exam, WEIR_HOST_STOP, file, "interrupts aren't remapped (%s), so VFIO gives no "
		  "device away (EPERM): a device could raise any interrupt", why);
}

/*
 * The names of interrupt chips, which everybody may read: IR-… on x86 (msi_create_irq_domain() of
 * both vendors). On Arm the ITS isolates, GICv2m doesn't (irq-gic-v3-its.c, irq-gic-v2m.c).
 */
static void check_interrupts(struct wr_exam *exam)
{
	char *text, line[WR_LINE_MAX], file[WR_LINE_MAX];
	unsigned int have;
	int ret, units;

	if (!wr_has_iommu(exam) || exam->m->cpu == WR_CPU_POWER)
		return;
	if (exam->m->cpu != WR_CPU_ARM && !wr_is_x86(exam->m)) {
		wr_report(exam, WEIR_HOST_UNKNOWN, "/proc/cpuinfo", "whether interrupts are "
			  "remapped can't be told: it is known how that shows on x86 and Arm, and "
			  "this is neither");
		return;
	}
	ret = wr_load(exam->m->root, "/proc/interrupts", 4 << 20, &text);
	if (ret < 0) {
		wr_unread(exam, "/proc/interrupts", ret);
		return;
	}
	units = count_units(exam, ECAP_IR, &have, file);
	if (units < 0)
		wr_unread(exam, "/sys/class/iommu", units);
	if (strstr(text, " IR-"))
		wr_report(exam, WEIR_HOST_OK, "/proc/interrupts", "interrupts are remapped (%s)",
			  strstr(text, "IR-PCI-MSI") ? "IR-PCI-MSI" : "IR-IO-APIC");
	else if (exam->m->cpu == WR_CPU_ARM && wr_line(text, "ITS-", line))
		wr_report(exam, WEIR_HOST_OK, "/proc/interrupts", "interrupts go through an ITS, "
			  "which tells devices apart");
	else if (exam->m->cpu == WR_CPU_ARM && !wr_line(text, "GICv2m", line))
		wr_report(exam, WEIR_HOST_NOTE, "/proc/interrupts", "no device uses an MSI now, so "
			  "nothing tells whether an ITS keeps them apart");
	else if ((int)have < units)
		report_not_remapped(exam, "a unit of VT-d can't: bit 3 of its extended "
				    "capabilities is 0");
	else
		report_not_remapped(exam, exam->m->cpu == WR_CPU_ARM ? "GICv2m" :
				    "no chip in /proc/interrupts is an IR- one");
	free(text);
}

static void check_noiommu(struct wr_exam *exam)
{
	char file[WR_LINE_MAX];

	if (wr_noiommu_mode(exam, file)) {
		wr_cure(exam, "where there is an IOMMU, switch it off again: 'echo 0 > %s'", file);
		wr_report(exam, WEIR_HOST_WARNING, file, "no-IOMMU mode is on: devices without an "
			  "IOMMU can be given away, and who has one reads and writes all memory, "
			  "the kernel's too; that takes CAP_SYS_RAWIO, taints the kernel, and "
			  "makes nodes /dev/vfio/noiommu-N");
	} else if (!wr_has_iommu(exam)) {
		/* With one that is merely off nobody should want it. */
		if (exam->m->table) {
			wr_cure(exam, "switch the IOMMU on instead: see iommu-on");
		} else {
			wr_cure(exam, "an IOMMU: see firmware-table");
			wr_cure_noiommu(exam);
		}
		wr_report(exam, WEIR_HOST_NOTE, file, "no-IOMMU mode, by which VFIO would give "
			  "devices away without an IOMMU, unsafely, is off%s",
			  wr_noiommu_missing(exam) ? ": this kernel was built without it" : "");
	} else {
		wr_report(exam, WEIR_HOST_OK, file, "no-IOMMU mode is off, as it should be");
	}
}

static void check_firmware_bug(struct wr_exam *exam)
{
	static const char *const signs[] = {
		"[Firmware Bug]: DMAR", "[Firmware Bug]: RMRR", "[Firmware Bug]: AMD-Vi",
		"[Firmware Bug]: IVRS", "Your BIOS is broken; ", "DMAR: [Firmware Bug]",
		"AMD-Vi: [Firmware Bug]", "DMAR: RMRR entry for device",
	};
	char line[WR_LINE_MAX];

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		/* "Firmware Warn" is no bug; of broken tables DMAR's alone concern us. */
		if (!wr_line(exam->m->log, signs[i], line))
			continue;
		wr_cure(exam, "update the firmware (BIOS)");
		wr_report(exam, WEIR_HOST_WARNING, "/dev/kmsg", "the firmware's description of the "
			  "IOMMU is wrong: the kernel said \"%.300s\"", wr_log_text(line));
		return;
	}
}

const struct wr_check wr_checks_iommu[] = {
	{ { "firmware-table", false, WEIR_HOST_STOP,
	    "does the firmware describe an IOMMU?",
	    WR_ACPI "/{DMAR,IVRS,IORT,VIOT} /sys/bus/platform/devices/arm-smmu* "
	    "/sys/class/iommu" }, check_table },
	{ { "iommu-on", false, WEIR_HOST_STOP,
	    "is the IOMMU on, and if not, why?",
	    "/sys/class/iommu /proc/cmdline " GROUPS }, check_on },
	{ { "dma-domain", false, WEIR_HOST_OK,
	    "whose DMA is translated and whose passes, now and once given to VFIO: what "
	    "intel_iommu=on and iommu=pt mean here",
	    GROUPS "/*/type /proc/cmdline /sys/class/iommu/*/intel-iommu/ecap /boot/config-*" },
	  check_domain },
	{ { "dma-pass", false, WEIR_HOST_WARNING,
	    "can the units of VT-d let DMA pass, as iommu=pt asks for?",
	    "/sys/class/iommu/*/intel-iommu/ecap /proc/cmdline" }, check_pass },
	{ { "interrupt-remapping", false, WEIR_HOST_STOP,
	    "are interrupts remapped, so that a device can raise only its own?",
	    "/proc/interrupts /proc/cpuinfo /sys/class/iommu/*/intel-iommu/ecap "
	    "/sys/module/{vfio_iommu_type1,iommufd}/parameters/allow_unsafe_interrupts "
	    "/dev/kmsg" }, check_interrupts },
	{ { "firmware-bug", false, WEIR_HOST_WARNING,
	    "did the kernel find mistakes in the firmware's description of the IOMMU?",
	    "/dev/kmsg" }, check_firmware_bug },
	{ { "noiommu-mode", false, WEIR_HOST_WARNING,
	    "are devices given away without an IOMMU?",
	    WR_NOIOMMU_MODE }, check_noiommu },
	{ .run = NULL },
};
