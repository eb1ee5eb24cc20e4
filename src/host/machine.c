/* SPDX-License-Identifier: MIT */
/* What is read once for all checks. What isn't there stays empty: the checks say so. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/root.h"
#include "host/machine.h"

#define CPUINFO_MAX	(16 << 10)	/* the first processor says it all */
#define LOG_MAX		(4 << 20)

/* What follows "key :" in lines as of /proc/cpuinfo and /proc/meminfo; "" without such a line. */
static void field_of(const char *text, const char *key, char value[WR_LINE_MAX])
{
	size_t len = strlen(key);

	value[0] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *rest;

		line += *line == '\n';
		rest = line + len + strspn(line + (strncmp(line, key, len) ? 0 : len), " \t");
		if (strncmp(line, key, len) || *rest != ':')
			continue;
		rest += 1 + strspn(rest + 1, " \t");
		snprintf(value, WR_LINE_MAX, "%.*s", (int)strcspn(rest, "\n"), rest);
		return;
	}
}

static int load_field(const char *root, const char *path, const char *key,
		      char value[WR_LINE_MAX])
{
	char *text;
	int ret = wr_load(root, path, CPUINFO_MAX, &text);

	value[0] = '\0';
	if (ret < 0)
		return ret;
	field_of(text, key, value);
	free(text);
	return 0;
}

static void read_release(struct wr_machine *m)
{
	unsigned int major, minor;

	if (wr_root_text(m->root, "/proc/sys/kernel/osrelease", m->release,
			 sizeof(m->release)) < 0)
		m->release[0] = '\0';
	/* It becomes part of paths. */
	if (strchr(m->release, '/'))
		m->release[0] = '\0';
	if (sscanf(m->release, "%3u.%3u", &major, &minor) == 2)
		m->version = WR_VERSION(major, minor);
}

static bool has_file(const struct wr_machine *m, const char *path)
{
	return wr_root_has(m->root, path);
}

/* A bus has links to its devices; of a capture they lead nowhere. */
static bool has_device(const struct wr_machine *m, const char *folder, const char *begin)
{
	bool found = false;
	char **names;
	int n = wr_names(m->root, folder, &names);

	for (int i = 0; !found && i < n; i++)
		found = !strncmp(names[i], begin, strlen(begin));
	if (n > 0)
		wr_names_free(names, n);
	return found;
}

static bool is_virtual(struct wr_machine *m, const char *file, const char *name)
{
	m->virtual = true;
	snprintf(m->virtual_file, sizeof(m->virtual_file), "%s", file);
	snprintf(m->virtual_name, sizeof(m->virtual_name), "%s", name);
	return true;
}

/* Amazon's firmware names its maker on all machines: "m6g.metal", "c7g.metal-48xl" are no VMs. */
static bool is_metal(const struct wr_machine *m)
{
	char name[64];
	const char *metal = NULL;

	if (wr_root_text(m->root, "/sys/class/dmi/id/product_name", name, sizeof(name)) > 0)
		metal = strstr(name, ".metal");
	return metal && (!metal[6] || metal[6] == '-');
}

/* What firmware, or who plays it, says that the machine is. */
static bool read_model(struct wr_machine *m)
{
	static const char amazon[] = "Amazon EC2";
	static const char *const makers[] = { "QEMU", "KVM", "VMware", "Xen", "innotek", "Bochs",
					      amazon, "Google Compute Engine",
					      "Virtual Machine", "linux,dummy-virt",
					      "emulated by qemu" };
	static const char *const files[] = {
		"/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name",
		"/proc/device-tree/model", "/proc/device-tree/compatible",
	};
	/* Its firmware's device, for machines that say nothing else (QEMU's docs/specs/fw_cfg). */
	static const char fw_cfg[] = "/sys/bus/acpi/devices/QEMU0002:00";
	bool found = has_device(m, "/sys/bus/acpi/devices", strrchr(fw_cfg, '/') + 1) &&
		     is_virtual(m, fw_cfg, "QEMU");

	for (size_t i = 0; !found && i < sizeof(files) / sizeof(files[0]); i++) {
		char *text;

		if (wr_load(m->root, files[i], WR_LINE_MAX, &text) < 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		for (size_t k = 0; !found && k < sizeof(makers) / sizeof(makers[0]); k++)
			if (strstr(text, makers[k]) && !(makers[k] == amazon && is_metal(m)))
				found = is_virtual(m, files[i], makers[k]);
		free(text);
	}
	return found;
}

/* XENFEAT_dom0 (include/xen/interface/features.h), in the last of words without "0x". */
static bool is_dom0(const struct wr_machine *m)
{
	char words[64];
	int len = wr_root_text(m->root, WR_XEN_FEATURES, words, sizeof(words));

	return len > 0 && strtoul(words + (len > 8 ? len - 8 : 0), NULL, 16) >> 11 & 1;
}

/* A processor without the flag, and POWER's platform, say for sure that it is none. */
static void read_virtual(struct wr_machine *m, const char *flags, const char *platform)
{
	char type[32];

	if (wr_root_text(m->root, "/sys/hypervisor/type", type, sizeof(type)) > 0) {
		m->dom0 = !strcmp(type, "xen") && is_dom0(m);
		if (!m->dom0)
			is_virtual(m, "/sys/hypervisor/type", type);
		return;
	}
	if (*flags && !strstr(flags, " hypervisor"))
		return;
	if (m->power_nv || read_model(m))
		return;
	if (*flags)
		is_virtual(m, "/proc/cpuinfo", "unknown hypervisor");
	else if (strstr(platform, "pSeries"))
		is_virtual(m, "/proc/cpuinfo", "pSeries");
}

static int read_cpu(struct wr_machine *m)
{
	char vendor[WR_LINE_MAX], platform[WR_LINE_MAX];
	const char *flags, *line;
	char *text;
	int ret = wr_load(m->root, "/proc/cpuinfo", CPUINFO_MAX, &text);

	if (ret == -ENOMEM)
		return ret;
	if (ret < 0)
		return 0;
	field_of(text, "vendor_id", vendor);
	field_of(text, "platform", platform);
	if (!strcmp(vendor, "GenuineIntel"))
		m->cpu = WR_CPU_INTEL;
	else if (!strcmp(vendor, "AuthenticAMD") || !strcmp(vendor, "HygonGenuine"))
		m->cpu = WR_CPU_AMD;
	else if (strstr(platform, "pSeries") || strstr(platform, "PowerNV"))
		m->cpu = WR_CPU_POWER;
	else if (strstr(text, "CPU implementer"))
		m->cpu = WR_CPU_ARM;
	else if (strstr(text, "\nflags\t"))	/* arch/x86/kernel/cpu/proc.c alone */
		m->cpu = WR_CPU_X86;
	m->power_nv = strstr(platform, "PowerNV");

	/* Longer than a line is elsewhere. */
	line = strstr(text, "\nflags");
	flags = line ? line + 1 : "";
	if (line)
		text[line + 1 - text + strcspn(flags, "\n")] = '\0';
	read_virtual(m, flags, platform);
	free(text);
	return 0;
}

static void read_family(struct wr_machine *m)
{
	static const struct {
		const char *id;
		enum wr_family family;
	} families[] = {
		{ "debian", WR_FAMILY_DEBIAN }, { "ubuntu", WR_FAMILY_DEBIAN },
		{ "fedora", WR_FAMILY_FEDORA }, { "rhel", WR_FAMILY_FEDORA },
		{ "centos", WR_FAMILY_FEDORA }, { "arch", WR_FAMILY_ARCH },
		{ "suse", WR_FAMILY_SUSE }, { "opensuse", WR_FAMILY_SUSE },
	};
	char *text, *save = NULL;

	if (wr_load(m->root, "/etc/os-release", CPUINFO_MAX, &text) < 0)
		return;
	/* os-release(5): ID=…, and ID_LIKE="… …" for those that come of another. */
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *word_save = NULL, *word;

		if (strncmp(line, "ID=", 3) && strncmp(line, "ID_LIKE=", 8))
			continue;
		word = strtok_r(strchr(line, '=') + 1, "\"' ", &word_save);
		for (; word; word = strtok_r(NULL, "\"' ", &word_save))
			for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
				if (!strcmp(word, families[i].id) && m->family == WR_FAMILY_OTHER)
					m->family = families[i].family;
	}
	free(text);
}

/* By what is installed, the most particular first: several of them are on many machines. */
static void read_boot(struct wr_machine *m)
{
	static const struct {
		const char *file;
		const char *and;	/* or NULL */
		enum wr_boot boot;
	} loaders[] = {
		{ "/run/ostree-booted", "/usr/bin/rpm-ostree", WR_BOOT_RPM_OSTREE },
		{ "/run/ostree-booted", "/usr/bin/bootc", WR_BOOT_BOOTC },
		{ "/etc/kernel/proxmox-boot-uuids", "/etc/kernel/cmdline", WR_BOOT_PROXMOX },
		{ "/usr/bin/kernelstub", NULL, WR_BOOT_KERNELSTUB },
		{ "/usr/sbin/grubby", NULL, WR_BOOT_GRUBBY },
		{ "/usr/bin/grubby", NULL, WR_BOOT_GRUBBY },
		{ "/etc/default/grub", "/usr/sbin/update-grub", WR_BOOT_UPDATE_GRUB },
		{ "/etc/default/grub", "/usr/sbin/grub2-mkconfig", WR_BOOT_GRUB2 },
		{ "/etc/default/grub", NULL, WR_BOOT_GRUB },
		{ "/etc/kernel/cmdline", NULL, WR_BOOT_KERNEL_CMDLINE },
	};

	for (size_t i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++)
		if (has_file(m, loaders[i].file) &&
		    (!loaders[i].and || has_file(m, loaders[i].and))) {
			m->boot = loaders[i].boot;
			return;
		}
}

/*
 * What the kernel makes of the SMMUs in IORT, with a driver or without
 * (iort_init_platform_devices() in drivers/acpi/arm64/iort.c). "arm-smmu-v3-pmcg.…" counts events.
 */
static bool has_smmu(const struct wr_machine *m)
{
	static const char folder[] = "/sys/bus/platform/devices";

	return has_device(m, folder, "arm-smmu.") || has_device(m, folder, "arm-smmu-v3.");
}

/* Intel's, AMD's, Arm's, and the one of paravirtual IOMMUs. */
static void read_table(struct wr_machine *m)
{
	static const char *const tables[] = {
		WR_ACPI "/DMAR", WR_ACPI "/IVRS", WR_ACPI "/IORT", WR_ACPI "/VIOT",
	};

	/* IORT has interrupt controllers and root complexes as well, on each machine of Arm's. */
	for (size_t i = 0; !m->table && i < sizeof(tables) / sizeof(tables[0]); i++)
		if (has_file(m, tables[i]) && (!strstr(tables[i], "IORT") || has_smmu(m)))
			m->table = tables[i];
}

int wr_meminfo(const char *root, const char *key, char value[WR_LINE_MAX])
{
	return load_field(root, "/proc/meminfo", key, value);
}

bool wr_may_lock_all(const char *root, const char *status)
{
	char value[WR_LINE_MAX];
	uint64_t caps;

	return !load_field(root, status, "CapEff", value) &&
	       sscanf(value, "%" SCNx64, &caps) == 1 && caps >> 14 & 1;
}

static void read_limits(struct wr_machine *m)
{
	static const char key[] = "Max locked memory";
	char line[WR_LINE_MAX], *text;
	uint64_t bytes, kib;

	if (!wr_meminfo(m->root, "MemTotal", line) &&
	    sscanf(line, "%" SCNu64 " kB", &kib) == 1 && kib < UINT64_MAX >> 10)
		m->memory = kib << 10;
	if (wr_load(m->root, "/proc/self/limits", CPUINFO_MAX, &text) < 0)
		return;
	if (wr_line(text, key, line)) {
		/* proc_pid_limits() in fs/proc/base.c: a number, or that word. */
		const char *value = strstr(line, key) + strlen(key);
		bool all = wr_may_lock_all(m->root, "/proc/self/status") ||
			   !strncmp(value + strspn(value, " "), "unlimited ", 10);

		m->memlock_known = all || sscanf(value, "%" SCNu64, &bytes) == 1;
		if (m->memlock_known)
			m->memlock = all ? UINT64_MAX : bytes;
	}
	free(text);
}

/* In place, the lines that have one of @words in them. */
static void keep_lines(char *text, const char *const *words)
{
	char *to = text;

	for (char *line = text, *end; *line; line = end) {
		bool kept = false;
		char next;

		end = line + strcspn(line, "\n");
		end += *end == '\n';
		next = *end;
		*end = '\0';
		for (size_t i = 0; !kept && words[i]; i++)
			kept = strstr(line, words[i]);
		*end = next;
		if (kept) {
			memmove(to, line, (size_t)(end - line));
			to += end - line;
		}
	}
	*to = '\0';
}

/* Each read() of /dev/kmsg gives one record; a plain file has them one after another. */
static int read_log(struct wr_machine *m)
{
	/* What the checks look for; what concerns functions is looked through for each of them. */
	static const char *const words[] = {
		"DMAR", "AMD-Vi", "Firmware Bug", "Your BIOS is broken", "RMRR", "x2apic",
		"interrupt remapping", "RLIMIT_MEMLOCK", "; giving up", "D3cold", "fault addr",
		"IO_PAGE_FAULT", NULL,
	};
	int ret = wr_load(m->root, "/dev/kmsg", LOG_MAX, &m->log);

	m->log_error = ret < 0 ? ret : 0;
	if (m->log)
		keep_lines(m->log, words);
	return ret == -ENOMEM ? ret : 0;
}

static int read_ids(struct wr_machine *m)
{
	/* modprobe.d(5); files that end otherwise are passed over. */
	static const char *const folders[] = { "/etc/modprobe.d", "/run/modprobe.d",
					       "/lib/modprobe.d" };
	char path[WR_LINE_MAX], list[WR_LINE_MAX], *text, *more;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char **names, *save = NULL;
		int n = wr_names(m->root, folders[i], &names), ret = 0;

		for (int k = 0; k < n; k++, save = NULL) {
			if (fnmatch("*.conf", names[k], 0))
				continue;
			snprintf(path, sizeof(path), "%s/%s", folders[i], names[k]);
			if (wr_load(m->root, path, 64 << 10, &text) < 0)
				continue;
			for (char *line = strtok_r(text, "\n", &save); !ret && line;
			     line = strtok_r(NULL, "\n", &save)) {
				if ((strncmp(line, "options vfio-pci ", 17) &&
				     strncmp(line, "options vfio_pci ", 17)) ||
				    !wr_word(line, "ids=", list))
					continue;
				ret = asprintf(&more, "%s%s %s\n", m->ids ? m->ids : "", path,
					       list) < 0 ? -ENOMEM : 0;
				if (!ret) {
					free(m->ids);
					m->ids = more;
				}
			}
			free(text);
		}
		if (n > 0)
			wr_names_free(names, n);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* What is named so and has no option isn't one. */
static int read_config(struct wr_machine *m)
{
	for (int i = 0; m->release[0] && !m->config && i < 2; i++) {
		int ret;

		snprintf(m->config_file, sizeof(m->config_file),
			 i ? "/lib/modules/%s/config" : "/boot/config-%s", m->release);
		ret = wr_load(m->root, m->config_file, LOG_MAX, &m->config);
		if (ret == -ENOMEM)
			return ret;
		if (ret >= 0 && !strstr(m->config, "CONFIG_")) {
			free(m->config);
			m->config = NULL;
		}
	}
	return 0;
}

/* What couldn't be read is empty. */
static int fill_in(char **text)
{
	if (!*text)
		*text = strdup("");
	return *text ? 0 : -ENOMEM;
}

/* Where /proc/cpuinfo doesn't tell. */
static void guess_cpu(struct wr_machine *m, const struct weir_host *host)
{
	struct weir_host_iommu unit;

	for (unsigned int n = 0; m->cpu == WR_CPU_OTHER && !weir_host_iommu(host, n, &unit); n++) {
		if (unit.kind == WEIR_HOST_IOMMU_VTD || unit.kind == WEIR_HOST_IOMMU_AMD)
			m->cpu = WR_CPU_X86;
		else if (unit.kind == WEIR_HOST_IOMMU_SMMUV3 || unit.kind == WEIR_HOST_IOMMU_SMMU)
			m->cpu = WR_CPU_ARM;
	}
	if (m->cpu == WR_CPU_OTHER && m->table)
		m->cpu = strstr(m->table, "DMAR") || strstr(m->table, "IVRS") ? WR_CPU_X86 :
			 strstr(m->table, "IORT") ? WR_CPU_ARM : WR_CPU_OTHER;
}

static int read_all(struct wr_machine *m, const struct weir_host *host)
{
	int ret = wr_load(m->root, "/proc/cmdline", WR_CMDLINE_MAX, &m->cmdline);

	ret = ret == -ENOMEM ? ret : read_cpu(m);
	if (!ret)
		ret = read_log(m);
	if (!ret)
		ret = read_ids(m);
	read_release(m);
	if (!ret)
		ret = read_config(m);
	if (ret || fill_in(&m->cmdline) || fill_in(&m->log) || fill_in(&m->ids) ||
	    fill_in(&m->config))
		return -ENOMEM;
	read_table(m);
	guess_cpu(m, host);
	read_family(m);
	read_boot(m);
	read_limits(m);
	return 0;
}

struct wr_machine *wr_machine(const struct weir_host *host)
{
	/* To the caller the scan is as it was. */
	struct wr_machine **place = &((struct weir_host *)host)->machine, *m;

	if (*place)
		return *place;
	m = calloc(1, sizeof(*m));
	if (m) {
		m->root = host->root;
		m->ports = wr_find_ports(host);
	}
	if (!m || !m->ports || read_all(m, host) < 0) {
		wr_message("no memory for the facts of the machine");
		wr_machine_free(m);
		return NULL;
	}
	*place = m;
	return m;
}

void wr_machine_free(struct wr_machine *m)
{
	if (!m)
		return;
	free(m->cmdline);
	free(m->log);
	free(m->ids);
	free(m->config);
	free(m->ports);
	free(m);
}

bool wr_is_x86(const struct wr_machine *m)
{
	return m->cpu == WR_CPU_INTEL || m->cpu == WR_CPU_AMD || m->cpu == WR_CPU_X86;
}

bool wr_module_here(const struct wr_machine *m, const char *name)
{
	char path[WR_LINE_MAX];

	/* What is built in shows when it has parameters, or says its version. */
	snprintf(path, sizeof(path), "/sys/module/%s", name);
	if (wr_root_has(m->root, path))
		return true;
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", name);
	for (char *c = path; *c; c++)
		*c = (char)(*c == '_' ? '-' : *c);
	return wr_root_has(m->root, path);
}

bool wr_module_known(const struct wr_machine *m, const char *name)
{
	static const char *const lists[] = { "modules.dep", "modules.builtin" };
	char path[WR_LINE_MAX], needle[64], line[WR_LINE_MAX], *text;
	bool found = wr_module_here(m, name);

	for (size_t i = 0; !found && m->release[0] && i < sizeof(lists) / sizeof(lists[0]); i++) {
		snprintf(path, sizeof(path), "/lib/modules/%s/%s", m->release, lists[i]);
		if (wr_load(m->root, path, LOG_MAX, &text) < 0)
			continue;
		snprintf(needle, sizeof(needle), "/%s.ko", name);
		found = wr_line(text, needle, line);
		/* A file's name has either. */
		for (char *c = needle; *c; c++)
			*c = (char)(*c == '_' ? '-' : *c);
		found = found || wr_line(text, needle, line);
		free(text);
	}
	return found;
}

int wr_module_param(const struct wr_machine *m, const char *module, const char *name,
		    char path[WR_LINE_MAX], char *value, size_t size)
{
	snprintf(path, WR_LINE_MAX, "/sys/module/%s/parameters/%s", module, name);
	return wr_root_text(m->root, path, value, size);
}

int wr_kernel_config(const struct wr_machine *m, const char *name, char path[WR_LINE_MAX])
{
	char option[96];

	if (!*m->config)
		return -ENOENT;
	strcpy(path, m->config_file);
	snprintf(option, sizeof(option), "\nCONFIG_%s=", name);
	return strstr(m->config, option) || !strncmp(m->config, option + 1, strlen(option + 1));
}
