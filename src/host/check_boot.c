/* SPDX-License-Identifier: MIT */
/* How the kernel was started: options that it doesn't know, that never reached it, and its log. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "host/check.h"
#include "host/grub.h"

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

	if (!wr_words(exam->m->cmdline, "amd_iommu=", list) || !unknown_value(list, known, value))
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
		"noaperture", "calgary", "fullflush", "nofullflush", "leak",
		/* A number is the size of the old GART's aperture. */
		"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL };
	const char *table = exam->m->table;
	char list[WR_LINE_MAX], value[64], option[128];

	if (!wr_is_x86(exam->m) ||
	    !wr_words(exam->m->cmdline, "iommu=", list) || !unknown_value(list, known, value))
		return;
	snprintf(option, sizeof(option), "iommu=%s", value);
	wr_cure_no_option(exam, option);
	if (table ? !!strstr(table, "DMAR") : exam->m->cpu == WR_CPU_INTEL)
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

	if (!wr_words(exam->m->cmdline, "intel_iommu=", list))
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
	wr_cure(exam, "'weir groups --check' shows which groups the hardware doesn't keep apart");
	wr_report(exam, WEIR_HOST_WARNING, "/proc/cmdline",
		  "pcie_acs_override=%.100s: a kernel with "
		  "that patch takes devices for isolated that can reach each other past the IOMMU; "
		  "one without it doesn't know the option", value);
}

/* The options that concern giving away. */
static const char *const concerned[] = {
	"intel_iommu=", "amd_iommu=", "iommu=", "iommu.passthrough=", "iommu.strict=",
	"vfio-pci.", "vfio.", "vfio_iommu_type1.", "iommufd.", "pcie_acs_override=",
	"default_hugepagesz=", "hugepagesz=", "hugepages=",
};

#define CONCERNED (sizeof(concerned) / sizeof(concerned[0]))
#define GRUB_FOLDER "/etc/default/grub.d"
#define SETTINGS_MAX (64 << 10)

/* Those that are set, and the file that did; NULL: not set. */
struct settings {
	char value[CONCERNED][WR_LINE_MAX];
	const char *file[CONCERNED];
};

/* @after: what follows those that were set before; NULL: @text takes their place. */
static void set(struct settings *settings, const char *file, const char *text, const char *after)
{
	for (size_t i = 0; i < CONCERNED; i++) {
		bool kept = after && settings->file[i];
		char word[WR_LINE_MAX];

		if ((after && wr_word(after, concerned[i], word)) ||
		    (!kept && wr_word(text, concerned[i], word))) {
			strcpy(settings->value[i], word);
			settings->file[i] = file;
		} else if (!kept) {
			settings->file[i] = NULL;
		}
	}
}

/* The files that the boot loader's configuration is made of. */
struct boot_files {
	struct settings all;	/* of all kernels, */
	struct settings usual;	/* and behind these, unless one is started to mend something */
	char **names;		/* of GRUB_FOLDER, to which the settings point */
	int n;
	bool quiet;		/* what can't be read isn't reported */
};

static const struct settings *that_counts(const struct boot_files *files, size_t i)
{
	return files->usual.file[i] ? &files->usual : &files->all;
}

static void unread(struct wr_exam *exam, const struct boot_files *files, const char *file, int err)
{
	if (!files->quiet)
		wr_unread(exam, file, err);
}

/* What is set in one file; false when that can't be told. */
static bool read_grub(struct wr_exam *exam, const char *file, struct boot_files *files)
{
	char *text, *save = NULL;
	int ret = wr_load(exam->m->root, file, SETTINGS_MAX, &text);
	bool sure = ret < SETTINGS_MAX;

	if (ret < 0 && ret != -ENOENT)
		unread(exam, files, file, ret);
	if (ret < 0)
		return ret == -ENOENT;
	for (char *c = strtok_r(text, "\n", &save); c && sure; c = strtok_r(NULL, "\n", &save)) {
		struct wr_grub_line line;
		enum wr_grub_kind kind = wr_grub_line(c, &line);

		sure = kind != WR_GRUB_SCRIPT;
		if (kind == WR_GRUB_OPTIONS)
			set(strcmp(line.name, "GRUB_CMDLINE_LINUX") ? &files->usual : &files->all,
			    file, line.value, line.after);
	}
	free(text);
	return sure;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is read in GRUB_FOLDER, as a shell's glob has it. Returns how many files or -errno. */
static int list_grub(const struct wr_exam *exam, char ***files)
{
	int n = wr_names(exam->m->root, GRUB_FOLDER, files), kept = 0, ret = 0;

	for (int i = 0; i < n; i++) {
		char *name = (*files)[i], *path;

		if (!fnmatch("*.cfg", name, 0)) {
			if (asprintf(&path, GRUB_FOLDER "/%s", name) < 0)
				ret = -ENOMEM;
			else
				(*files)[kept++] = path;
		}
		free(name);
	}
	if (kept)
		qsort(*files, (size_t)kept, sizeof(**files), by_bytes);
	if (n < 0)
		return n;
	if (ret < 0)
		wr_names_free(*files, kept);
	return ret < 0 ? ret : kept;
}

/*
 * grub-mkconfig of Debian and Ubuntu reads the folder as well, and its 10_linux starts kernels with
 * "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT". Elsewhere there is no such folder.
 */
static bool read_grubs(struct wr_exam *exam, struct boot_files *files)
{
	bool sure = read_grub(exam, "/etc/default/grub", files);
	char **names;
	int n = list_grub(exam, &names);

	if (n < 0 && n != -ENOENT && n != -ENOTDIR) {
		unread(exam, files, GRUB_FOLDER, n);
		return false;
	}
	if (n >= 0) {
		files->names = names;
		files->n = n;
	}
	for (int i = 0; i < files->n && sure; i++)
		sure = read_grub(exam, names[i], files);
	return sure;
}

static bool read_kernel_cmdline(struct wr_exam *exam, struct boot_files *files)
{
	static const char file[] = "/etc/kernel/cmdline";
	char *text;
	int ret = wr_load(exam->m->root, file, SETTINGS_MAX, &text);

	if (ret < 0 && ret != -ENOENT)
		unread(exam, files, file, ret);
	if (ret < 0)
		return false;
	set(&files->all, file, text, NULL);
	free(text);
	return true;
}

/* False when it can't be told what they set; forget_files() in either case. */
static bool read_files(struct wr_exam *exam, struct boot_files *files)
{
	switch (exam->m->boot) {
	case WR_BOOT_RPM_OSTREE:
	case WR_BOOT_BOOTC:
		/* They use neither, and what a boot loader doesn't use says nothing. */
		return false;
	case WR_BOOT_PROXMOX:
	case WR_BOOT_KERNEL_CMDLINE:
		return read_kernel_cmdline(exam, files);
	default:
		return read_grubs(exam, files);
	}
}

static void forget_files(struct boot_files *files)
{
	wr_names_free(files->names, files->n);
}

bool wr_boot_sets(struct wr_exam *exam, const char *key, const char *item, char file[WR_LINE_MAX])
{
	struct boot_files files = { .quiet = true };
	bool found = false;

	if (read_files(exam, &files))
		for (size_t i = 0; !found && i < CONCERNED; i++) {
			const struct settings *counts = that_counts(&files, i);

			found = !strcmp(concerned[i], key) && counts->file[i] &&
				wr_listed(counts->value[i], item);
			if (found)
				snprintf(file, WR_LINE_MAX, "%s", counts->file[i]);
		}
	forget_files(&files);
	return found;
}

/* The first option that is set and didn't reach the kernel. */
static void report_stale(struct wr_exam *exam, const struct boot_files *files)
{
	for (size_t i = 0; i < CONCERNED; i++) {
		const struct settings *counts = that_counts(files, i);
		const char *file = counts->file[i], *wanted = counts->value[i];
		char has[WR_LINE_MAX];

		if (!file || (wr_word(exam->m->cmdline, concerned[i], has) && !strcmp(has, wanted)))
			continue;
		wr_cure_refresh(exam);
		wr_report(exam, WEIR_HOST_WARNING, file, "%s has %s%.90s, but the kernel was "
			  "started without (/proc/cmdline): the boot loader's own configuration "
			  "wasn't made again, the machine not restarted, or another file counts "
			  "here", file, concerned[i], wanted);
		return;
	}
}

static void check_stale(struct wr_exam *exam)
{
	struct boot_files files = { .quiet = false };

	if (read_files(exam, &files))
		report_stale(exam, &files);
	forget_files(&files);
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
	    "/etc/default/grub /etc/default/grub.d/*.cfg /etc/kernel/cmdline /proc/cmdline" },
	  check_stale },
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
