/* SPDX-License-Identifier: MIT */
/* Hugepages, and how much memory may be locked: by this caller, and by VMs that run. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "host/check.h"

#define POOLS "/sys/kernel/mm/hugepages"

/* The largest unit in which it is a whole number: Arm's smallest are 64 KiB. */
static const char *unit_of(uint64_t *kib)
{
	if (*kib && !(*kib % (1 << 20))) {
		*kib >>= 20;
		return "GiB";
	}
	if (*kib && !(*kib % (1 << 10))) {
		*kib >>= 10;
		return "MiB";
	}
	return "KiB";
}

/* Adds "512 of 2 MiB (512 free)" for each pool in a folder. Returns how many pages there are. */
static uint64_t list_pools(const struct wr_exam *exam, const char *folder, char *list, size_t size)
{
	char **names, path[WR_LINE_MAX];
	int n = wr_names(exam->m->root, folder, &names);
	uint64_t all = 0;

	for (int i = 0; i < n; i++) {
		uint64_t kib, total = 0, left = 0;
		const char *unit;

		if (sscanf(names[i], "hugepages-%" SCNu64 "kB", &kib) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/nr_hugepages", folder, names[i]);
		if (wr_root_u64(exam->m->root, path, &total) || !total)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", folder, names[i]);
		wr_root_u64(exam->m->root, path, &left);
		unit = unit_of(&kib);
		wr_append(list, size, "%s%" PRIu64 " of %" PRIu64 " %s (%" PRIu64 " free)",
			  *list ? ", " : "", total, kib, unit, left);
		all += total;
	}
	if (n > 0)
		wr_names_free(names, n);
	return all;
}

static void list_nodes(const struct wr_exam *exam, char *list, size_t size)
{
	char **names, path[WR_LINE_MAX], pools[256];
	int n = wr_names(exam->m->root, "/sys/devices/system/node", &names);

	for (int i = 0; i < n; i++) {
		if (strncmp(names[i], "node", 4))
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/node/%s/hugepages", names[i]);
		pools[0] = '\0';
		list_pools(exam, path, pools, sizeof(pools));
		wr_append(list, size, "; %.16s: %s", names[i], pools[0] ? pools : "none");
	}
	if (n > 0)
		wr_names_free(names, n);
}

static void check_hugepages(struct wr_exam *exam)
{
	char list[512] = "", nodes[1024] = "", file[WR_LINE_MAX], size[WR_LINE_MAX];
	bool needed = !wr_has_iommu(exam) && wr_noiommu_mode(exam, file);

	if (list_pools(exam, POOLS, list, sizeof(list))) {
		list_nodes(exam, nodes, sizeof(nodes));
		wr_report(exam, WEIR_HOST_OK, POOLS, "hugepages: %s%s", list, nodes);
		return;
	}
	/* From 2 MiB on x86 to 512 MiB on Arm with pages of 64 KiB. */
	if (wr_meminfo(exam->m->root, "Hugepagesize", size) < 0 || !*size)
		strcpy(size, "one size");
	wr_cure(exam, "'echo N > /proc/sys/vm/nr_hugepages', with as many pages of %.32s as VMs "
		"or programs with devices need, and no more: the rest of the machine can't use "
		"them", size);
	wr_cure_option(exam, "hugepages=N");
	if (needed)
		wr_report(exam, WEIR_HOST_WARNING, POOLS, "there are no hugepages: without an "
			  "IOMMU a driver's memory must be contiguous and stay where it is, which "
			  "only hugepages do");
	else
		wr_report(exam, WEIR_HOST_NOTE, POOLS, "there are no hugepages: giving memory to "
			  "devices goes page by page, so VMs start slowly, and the IOMMU has more "
			  "to look up");
}

static void check_memlock(struct wr_exam *exam)
{
	char line[WR_LINE_MAX];

	if (wr_line(exam->m->log, "RLIMIT_MEMLOCK", line)) {
		wr_cure(exam, "raise it for that program: 'LimitMEMLOCK=' of its unit, or a line "
			"'USER - memlock KIB' in /etc/security/limits.d; 'weir doctor --memlock' "
			"says how much");
		wr_report(exam, WEIR_HOST_WARNING, "/dev/kmsg", "a program was refused to lock "
			  "memory for a device: the kernel said \"%.300s\"", wr_log_text(line));
		return;
	}
	if (!exam->m->memlock_known) {
		if (wr_root_has(exam->m->root, "/proc/self/limits"))
			wr_report(exam, WEIR_HOST_NOTE, "/proc/self/limits", "how much memory this "
				  "user may lock for devices can't be told: there is no number "
				  "of it in /proc/self/limits");
		return;
	}
	if (exam->m->memlock == UINT64_MAX ||
	    (exam->m->memory && exam->m->memlock >= exam->m->memory)) {
		wr_report(exam, WEIR_HOST_OK, "/proc/self/limits", "this user may lock all memory "
			  "for devices");
		return;
	}
	wr_cure(exam, "a line '%s - memlock KIB' in /etc/security/limits.d, 'LimitMEMLOCK=' of a "
		"unit; 'weir doctor --memlock' says how much", "USER");
	if (!exam->m->memory) {
		wr_report(exam, WEIR_HOST_NOTE, "/proc/meminfo", "who called this may lock %" PRIu64
			  " KiB for devices; whether that is all memory can't be told, since "
			  "/proc/meminfo doesn't say how much there is",
			  exam->m->memlock >> 10);
		return;
	}
	wr_report(exam, WEIR_HOST_WARNING, "/proc/self/limits", "who called this may lock %" PRIu64
		  " KiB for devices, of %" PRIu64 " KiB of memory: mapping more fails (ENOMEM), "
		  "and so does a VM of that size", exam->m->memlock >> 10, exam->m->memory >> 10);
}

/* What a command line of QEMU's gives its guest. */
struct guest {
	uint64_t memory;
	unsigned int devices;
	bool viommu;
};

/*
 * A size as QEMU's options have it (qemu_strtosz_MiB() in its util/cutils.c), up to the end of its
 * argument or of its part of it: in MiB unless it says otherwise, and it may have a fraction. 0 for
 * what is none.
 */
static uint64_t parse_size(const char *text)
{
	static const char units[] = "bkmgtpe";
	uint64_t number, bytes, scale = 1 << 20;
	char *end, *unit;
	double fraction = 0;

	if (!isdigit((unsigned char)*text))
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return 0;
	if (*end == '.') {
		size_t digits = strspn(end + 1, "0123456789");

		for (size_t i = digits; i; i--)
			fraction = (fraction + end[i] - '0') / 10;
		end += 1 + digits;
	}
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (unit) {
		scale = 1ULL << 10 * (unit - units);
		end++;
	}
	if ((*end && *end != ',' && *end != ' ') ||
	    __builtin_mul_overflow(number, scale, &bytes) ||
	    __builtin_add_overflow(bytes, (uint64_t)(fraction * (double)scale), &bytes))
		return 0;
	return bytes;
}

/* "-m 4G", "-m maxmem=…,size=4096": the last one counts. */
static uint64_t guest_memory(const char *text)
{
	uint64_t bytes = 0;

	for (const char *at = text; (at = strstr(at, " -m ")); ) {
		at += strlen(" -m ");
		if (at[strcspn(at, "=, ")] != '=')
			bytes = parse_size(at);
		for (const char *part = at; part; ) {
			if (!strncmp(part, "size=", 5))
				bytes = parse_size(part + 5);
			part += strcspn(part, ", ");
			part = *part == ',' ? part + 1 : NULL;
		}
		at--;	/* The blank behind it may be the next one's. */
	}
	return bytes;
}

static bool read_guest(const struct wr_exam *exam, const char *pid, struct guest *guest)
{
	static const char *const iommus[] = { "intel-iommu", "amd-iommu", "virtio-iommu",
					      "iommu=smmuv3", "arm-smmuv3" };
	char path[WR_LINE_MAX], *text;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	if (wr_load(exam->m->root, path, 256 << 10, &text) < 0)
		return false;
	memset(guest, 0, sizeof(*guest));
	for (const char *at = text; (at = strstr(at, "vfio-pci")); at++)
		guest->devices++;
	for (size_t i = 0; i < sizeof(iommus) / sizeof(iommus[0]); i++)
		guest->viommu = guest->viommu || strstr(text, iommus[i]);
	guest->memory = guest_memory(text);
	free(text);
	return guest->devices && guest->memory;
}

static void check_vmm(struct wr_exam *exam, const char *pid)
{
	char path[WR_LINE_MAX], line[WR_LINE_MAX], *text;
	struct weir_host_memlock_opts opts = { 0 };
	struct guest guest;
	uint64_t limit, need;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	if (!read_guest(exam, pid, &guest) || wr_may_lock_all(exam->m->root, path))
		return;
	opts.memory = guest.memory;
	opts.devices = guest.devices;
	opts.viommu = guest.viommu;
	opts.power = exam->m->cpu == WR_CPU_POWER;
	snprintf(path, sizeof(path), "/proc/%s/limits", pid);
	if (weir_host_memlock(&opts, &need) || wr_load(exam->m->root, path, 16 << 10, &text) < 0)
		return;
	if (wr_line(text, "Max locked memory", line) &&
	    sscanf(line, "Max locked memory %" SCNu64, &limit) == 1 && limit < need) {
		wr_cure(exam, "'prlimit --pid %s --memlock=%" PRIu64 "', and the same in its unit "
			"('LimitMEMLOCK=')", pid, need);
		wr_report(exam, WEIR_HOST_WARNING, path, "process %s, a VM with %" PRIu64 " MiB, "
			  "%u device%s%s, may lock %" PRIu64 " MiB and may come to need %" PRIu64
			  " MiB%s", pid, guest.memory >> 20, guest.devices,
			  guest.devices > 1 ? "s" : "", guest.viommu ? " and an IOMMU of its own" :
			  "", limit >> 20, need >> 20, guest.viommu && guest.devices > 1 ?
			  ": behind its IOMMU each device counts all of its memory" : "");
	}
	free(text);
}

/* CAP_SYS_RESOURCE, without which prlimit(2) of another process can't raise a limit. */
static void check_libvirt(struct wr_exam *exam, const char *pid)
{
	char path[WR_LINE_MAX], name[64], line[WR_LINE_MAX], *text;
	uint64_t caps;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (wr_root_text(exam->m->root, path, name, sizeof(name)) < 0 ||
	    (strcmp(name, "virtqemud") && strcmp(name, "libvirtd")))
		return;
	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	if (wr_load(exam->m->root, path, 16 << 10, &text) < 0)
		return;
	if (wr_line(text, "CapEff:", line) && sscanf(line, "CapEff: %" SCNx64, &caps) == 1 &&
	    !(caps >> 24 & 1)) {
		wr_cure(exam, "give it the capability, or raise the limit from outside: "
			"'prlimit --pid %s --memlock=BYTES'", pid);
		wr_report(exam, WEIR_HOST_WARNING, path, "%s (process %s) lacks CAP_SYS_RESOURCE: "
			  "\"cannot limit locked memory of process ... Operation not permitted\" "
			  "when a VM gets a device", name, pid);
	}
	free(text);
}

static void for_processes(struct wr_exam *exam, void (*check)(struct wr_exam *, const char *))
{
	char **names;
	int n = wr_names(exam->m->root, "/proc", &names);

	for (int i = 0; i < n; i++)
		/* The number becomes part of a command. */
		if (!names[i][strspn(names[i], "0123456789")])
			check(exam, names[i]);
	if (n > 0)
		wr_names_free(names, n);
}

static void check_vmms(struct wr_exam *exam)
{
	for_processes(exam, check_vmm);
}

static void check_libvirts(struct wr_exam *exam)
{
	for_processes(exam, check_libvirt);
}

const struct wr_check wr_checks_memory[] = {
	{ { "hugepages", false, WEIR_HOST_WARNING, "which hugepages are there, on which NUMA node?",
	    POOLS "/*/{nr_hugepages,free_hugepages} /sys/devices/system/node/node*/hugepages/*" },
	  check_hugepages },
	{ { "memlock", false, WEIR_HOST_WARNING,
	    "how much memory may be locked for devices, and was it too little?",
	    "/proc/self/{limits,status} /proc/meminfo /dev/kmsg" }, check_memlock },
	{ { "vmm-memlock", false, WEIR_HOST_WARNING,
	    "may the VMs that run lock what their devices can come to need?",
	    "/proc/*/{cmdline,limits,status}" }, check_vmms },
	{ { "libvirt-limit", false, WEIR_HOST_WARNING, "may libvirt raise the limits of its VMs?",
	    "/proc/*/{comm,status}" }, check_libvirts },
	{ .run = NULL },
};
