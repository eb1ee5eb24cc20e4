/* SPDX-License-Identifier: MIT */
/* How the kernel was started: options that it doesn't know, that never reached it, and its log. */
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "host/check.h"

/* The first of a list's values that isn't known; each may have more behind it, as the kernel's
 * own parsers have it. */
static bool unknown_value(const char *list, const char *const *known, char value[64])
{
	for (const char *c = list; *c; c += strcspn(c, ",")) {
		bool found = false;

		c += *c == ',';
		for (size_t i = 0; !found && known[i]; i++)
			found = !strncmp(c, known[i], strlen(known[i]));
		if (found || !strcspn(c, ","))
			continue;
		snprintf(value, 64, "%.*s", (int)strcspn(c, ","), c);
		return true;
	}
	return false;
}

/* parse_amd_iommu_options() in drivers/iommu/amd/init.c */
static void check_amd_value(struct wr_exam *exam)
{
	static const char *const known[] = { "fullflush", "force_enable", "off", "force_isolation",
					     "pgtbl_v1", "pgtbl_v2", "irtcachedis", "nohugepages",
					     "v2_pgsizes_only", NULL };
	char list[WR_LINE_MAX], value[64], option[128];

	if (!wr_word(exam->m->cmdline, "amd_iommu=", list) || !unknown_value(list, known, value))
		return;
	snprintf(option, sizeof(option), "amd_iommu=%s", value);
	wr_cure_no_option(exam, option);
	wr_report(exam, WEIR_HOST_NOTE, "/proc/cmdline", "amd_iommu=%s is no option of the kernel, "
		  "which answers \"AMD-Vi: Unknown option - '%s'\" and goes on as without it%s",
		  value, value, strcmp(value, "on") ? "" : ": AMD's IOMMU is on by itself");
}

/* iommu_setup() in arch/x86/kernel/pci-dma.c, and gart_parse_options() of aperture_64.c */
static void check_iommu_value(struct wr_exam *exam)
{
	static const char *const known[] = {
		"off", "force", "noforce", "biomerge", "panic", "nopanic", "merge", "nomerge",
		"forcesac", "allowdac", "nodac", "usedac", "soft", "pt", "nopt", "memaper", "noagp",
		"noaperture", "calgary", "fullflush", "nofullflush", "leak", NULL };
	char list[WR_LINE_MAX], value[64], option[128];

	if ((exam->m->cpu != WR_CPU_INTEL && exam->m->cpu != WR_CPU_AMD) ||
	    !wr_word(exam->m->cmdline, "iommu=", list))
		return;
	/* A number is the size of the old GART's aperture. */
	if ((*list >= '0' && *list <= '9') || !unknown_value(list, known, value))
		return;
	snprintf(option, sizeof(option), "iommu=%s", value);
	wr_cure_no_option(exam, option);
	if (exam->m->cpu == WR_CPU_INTEL)
		wr_cure(exam, "what was meant is intel_iommu=on");
	wr_report(exam, WEIR_HOST_WARNING, "/proc/cmdline",
		  "iommu=%s is no valid value: the kernel ignores it without a word; what "
		  "switches VT-d on is intel_iommu=on, and AMD's is on by itself", value);
}

/* intel_iommu_setup() in drivers/iommu/intel/iommu.c */
static void check_intel_value(struct wr_exam *exam)
{
	static const char *const known[] = { "on", "off", "igfx_off", "intgpu_off", "forcedac",
					     "strict", "sp_off", "sm_on", "sm_off",
					     "tboot_noforce", NULL };
	char list[WR_LINE_MAX], value[64], option[128];

	if (!wr_word(exam->m->cmdline, "intel_iommu=", list))
		return;
	if (unknown_value(list, known, value)) {
		snprintf(option, sizeof(option), "intel_iommu=%s", value);
		wr_cure_no_option(exam, option);
		wr_report(exam, WEIR_HOST_WARNING, "/proc/cmdline", "intel_iommu=%s is no valid "
			  "value: the kernel answers \"Unknown option - '%s'\" and goes on as "
			  "without it", value, value);
	} else if (exam->m->cpu == WR_CPU_AMD && exam->m->table &&
		   strstr(exam->m->table, "IVRS")) {
		wr_report(exam, WEIR_HOST_NOTE, "/proc/cmdline", "intel_iommu=%s does nothing "
			  "here: the IOMMU is AMD's", list);
	}
}

/* Of the patch that isn't in Linux; others' kernels ignore it. */
static void check_override(struct wr_exam *exam)
{
	char value[WR_LINE_MAX];

	if (!wr_word(exam->m->cmdline, "pcie_acs_override=", value))
		return;
	wr_cure(exam, "'weir groups' shows which groups the hardware doesn't keep apart");
	wr_report(exam, WEIR_HOST_WARNING, "/proc/cmdline",
		  "pcie_acs_override=%.100s: a kernel with "
		  "that patch takes devices for isolated that can reach each other past the IOMMU; "
		  "one without it doesn't know the option", value);
}

/* Options that concern giving away, in a file that the boot loader's configuration is made from,
 * and not in what the kernel was started with. Fills in the first. */
static bool is_missing(const struct wr_machine *m, const char *text, char option[128])
{
	static const char *const keys[] = {
		"intel_iommu=", "amd_iommu=", "iommu=", "iommu.passthrough=", "iommu.strict=",
		"vfio-pci.", "vfio.", "vfio_iommu_type1.", "iommufd.", "pcie_acs_override=",
		"default_hugepagesz=", "hugepagesz=", "hugepages=",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char wanted[WR_LINE_MAX], has[WR_LINE_MAX];

		if (!wr_word(text, keys[i], wanted))
			continue;
		if (wr_word(m->cmdline, keys[i], has) && !strcmp(has, wanted))
			continue;
		snprintf(option, 128, "%s%.90s", keys[i], wanted);
		return true;
	}
	return false;
}

/* The values of GRUB_CMDLINE_LINUX… alone; comments are no settings. */
static char *grub_options(char *text)
{
	char *save = NULL, *out = calloc(1, strlen(text) + 2);

	if (!out)
		return NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "GRUB_CMDLINE_LINUX", 18) || !strchr(line, '='))
			continue;
		strcat(out, strchr(line, '=') + 1);
		strcat(out, " ");
	}
	return out;
}

static void check_stale(struct wr_exam *exam)
{
	static const char *const files[] = { "/etc/default/grub", "/etc/kernel/cmdline" };
	bool grub = exam->m->boot != WR_BOOT_PROXMOX && exam->m->boot != WR_BOOT_KERNEL_CMDLINE;
	char option[128], *text, *options;
	const char *file = files[!grub];
	int ret = wr_load(exam->m->root, file, 64 << 10, &text);

	/* What a boot loader doesn't use says nothing. */
	if (ret < 0 || exam->m->boot == WR_BOOT_RPM_OSTREE || exam->m->boot == WR_BOOT_BOOTC) {
		free(text);
		return;
	}
	options = grub ? grub_options(text) : text;
	if (options && is_missing(exam->m, options, option)) {
		wr_cure_refresh(exam);
		wr_report(exam, WEIR_HOST_WARNING, file, "%s has %s, but the kernel was started "
			  "without (/proc/cmdline): the boot loader's own configuration wasn't "
			  "made again, the machine not restarted, or another file counts here",
			  file, option);
	}
	if (options != text)
		free(options);
	free(text);
}

/* Folded into vfio by Linux 6.2; what makes initramfses stops at a module that isn't there. */
static void check_virqfd(struct wr_exam *exam)
{
	static const char *const folders[] = { "/etc", "/etc/modules-load.d", "/etc/dracut.conf.d",
					       "/etc/initramfs-tools", "/etc/mkinitcpio.conf.d" };
	static const char *const names[] = { "modules", "mkinitcpio.conf", "booster.yaml" };

	if (!exam->m->version || exam->m->version < WR_VERSION(6, 2))
		return;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char **files, path[WR_LINE_MAX], line[WR_LINE_MAX], *text;
		int n = wr_names(exam->m->root, folders[i], &files);

		for (int k = 0; k < n; k++) {
			bool ours = i != 0;

			for (size_t j = 0; !ours && j < sizeof(names) / sizeof(names[0]); j++)
				ours = !strcmp(files[k], names[j]);
			if (!ours)
				continue;
			snprintf(path, sizeof(path), "%s/%s", folders[i], files[k]);
			if (wr_load(exam->m->root, path, 64 << 10, &text) < 0)
				continue;
			if (wr_line(text, "vfio_virqfd", line) &&
			    line[strspn(line, " \t")] != '#') {
				wr_cure(exam, "take vfio_virqfd out of %s", path);
				wr_cure_initramfs(exam);
				wr_report(exam, WEIR_HOST_WARNING, path, "%s asks for the module "
					  "vfio_virqfd, which is part of vfio since Linux 6.2 "
					  "(this is %s): the initramfs may not be made for want "
					  "of it",
					  path, exam->m->release);
			}
			free(text);
		}
		if (n > 0)
			wr_names_free(files, n);
	}
}

static void check_log(struct wr_exam *exam)
{
	if (!exam->m->log_error)
		wr_report(exam, WEIR_HOST_OK, "/dev/kmsg", "the kernel's log can be read");
	else if (exam->m->log_error != -ENOENT)
		wr_unread(exam, "/dev/kmsg", exam->m->log_error);
}

const struct wr_check wr_checks_boot[] = {
	{ { "amd-iommu-value", false, WEIR_HOST_NOTE,
	    "does the kernel know what amd_iommu= was given? amd_iommu=on isn't an option",
	    "/proc/cmdline" }, check_amd_value },
	{ { "iommu-value", false, WEIR_HOST_WARNING,
	    "does the kernel know what iommu= was given? A bare iommu=on isn't a valid value",
	    "/proc/cmdline" }, check_iommu_value },
	{ { "intel-iommu-value", false, WEIR_HOST_WARNING,
	    "does the kernel know what intel_iommu= was given?", "/proc/cmdline" },
	  check_intel_value },
	{ { "acs-override", false, WEIR_HOST_WARNING,
	    "is the kernel told that devices are isolated which aren't?", "/proc/cmdline" },
	  check_override },
	{ { "cmdline-stale", false, WEIR_HOST_WARNING,
	    "did what the boot loader's files ask for reach the kernel?",
	    "/etc/default/grub /etc/kernel/cmdline /proc/cmdline" }, check_stale },
	{ { "virqfd", false, WEIR_HOST_WARNING,
	    "does anything ask for the module vfio_virqfd, which is no more?",
	    "/etc/{modules,mkinitcpio.conf,booster.yaml} /etc/modules-load.d/* "
	    "/etc/dracut.conf.d/* /etc/initramfs-tools/* /etc/mkinitcpio.conf.d/*" },
	  check_virqfd },
	{ { "kernel-log", false, WEIR_HOST_NOTE,
	    "can the kernel's log be read? Some of what goes wrong is said only there",
	    "/dev/kmsg" }, check_log },
	{ .run = NULL },
};
