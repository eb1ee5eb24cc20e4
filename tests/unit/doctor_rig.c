/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>

#include "doctor_rig.h"
#include "tree.h"

#define SEEN_MAX 96

static struct seen {
	const char *id;
	bool found, well;
} seen[SEEN_MAX];

static struct seen *seen_of(const char *id)
{
	const struct weir_host_check_info *check;
	size_t i;

	for (unsigned int n = 0; (check = weir_host_check_info(n)); n++)
		if (!strcmp(check->id, id))
			break;
	if (!check)
		fail_msg("there is no check %s", id);
	for (i = 0; i < SEEN_MAX - 1 && seen[i].id && strcmp(seen[i].id, id); i++)
		;
	seen[i].id = check->id;
	return &seen[i];
}

bool seen_both(const char *id)
{
	struct seen *one = seen_of(id);

	return one->found && one->well;
}

struct wanted {
	const char *id;
	enum weir_host_severity severity;
	const char *part, *file, *cure;
	bool found;
	int others;		/* of this check */
	enum weir_host_severity worst;
	char said[4096];
};

static void look(void *arg, const struct weir_host_finding *finding)
{
	struct wanted *wanted = arg;
	size_t len;

	assert_true(finding->text[0] && finding->file[0] == '/');
	if (strcmp(finding->id, wanted->id))
		return;
	wanted->others++;
	if (finding->severity > wanted->worst)
		wanted->worst = finding->severity;
	len = strlen(wanted->said);
	snprintf(wanted->said + len, sizeof(wanted->said) - len, "%d: %s [%s] cure: %s\n",
		 finding->severity, finding->text, finding->file, finding->cure);
	if (finding->severity == wanted->severity &&
	    (!wanted->part || strstr(finding->text, wanted->part)) &&
	    (!wanted->file || !strcmp(finding->file, wanted->file)) &&
	    (!wanted->cure || strstr(finding->cure, wanted->cure)))
		wanted->found = true;
}

/* Of the tree, or of what 'weir capture' makes of it. */
static int open_host(const char *root, struct weir_host **host)
{
#ifdef DOCTOR_CAPTURED
	const struct weir_host_capture_opts opts = { .force = true };
	char file[300];
	int ret;

	snprintf(file, sizeof(file), "%s.tar.gz", root);
	ret = weir_host_capture(root, file, &opts, NULL);
	if (!ret)
		ret = weir_host_open(file, host);
	remove(file);
	return ret;
#else
	return weir_host_open(root, host);
#endif
}

static void check(const char *root, const char *device, struct wanted *wanted)
{
	const struct weir_host_function *fn = NULL;
	struct weir_host *host;

	if (open_host(root, &host) < 0 || (device && weir_host_find(host, device, &fn) < 0))
		fail_msg("%s", weir_errmsg());
	assert_int_equal(weir_host_check(host, fn, look, wanted), 0);
	weir_host_close(host);
}

void assert_found(const char *root, const char *device, const char *id,
		  enum weir_host_severity severity, const char *part, const char *file)
{
	struct wanted wanted = { .id = id, .severity = severity, .part = part, .file = file };

	check(root, device, &wanted);
	if (!wanted.found)
		fail_msg("%s doesn't say '%s' (%d) from %s but:\n%s", id, part, severity, file,
			 wanted.said);
	seen_of(id)->found = true;
}

void assert_cure(const char *root, const char *device, const char *id, const char *part)
{
	struct wanted wanted = { .id = id, .cure = part };

	for (wanted.severity = WEIR_HOST_NOTE; wanted.severity <= WEIR_HOST_STOP &&
	     !wanted.found; wanted.severity++)
		check(root, device, &wanted);
	if (!wanted.found)
		fail_msg("%s has no cure '%s' but:\n%s", id, part, wanted.said);
}

void assert_no_cure(const char *root, const char *device, const char *id, const char *part)
{
	struct wanted wanted = { .id = id, .cure = part, .severity = WEIR_HOST_NOTE };

	for (; wanted.severity <= WEIR_HOST_STOP && !wanted.found; wanted.severity++)
		check(root, device, &wanted);
	if (wanted.found || wanted.worst <= WEIR_HOST_OK)
		fail_msg("%s has a cure '%s', or none is needed:\n%s", id, part, wanted.said);
}

void assert_once(const char *root, const char *device, const char *id)
{
	struct wanted wanted = { .id = id };

	check(root, device, &wanted);
	if (wanted.others != 1)
		fail_msg("%s says:\n%s", id, wanted.said);
}

void assert_not_said(const char *root, const char *device, const char *id, const char *part)
{
	struct wanted wanted = { .id = id };

	check(root, device, &wanted);
	if (!wanted.others || strstr(wanted.said, part))
		fail_msg("%s says '%s', or nothing:\n%s", id, part, wanted.said);
}

void assert_well(const char *root, const char *device, const char *id)
{
	struct wanted wanted = { .id = id };

	check(root, device, &wanted);
	if (wanted.worst > WEIR_HOST_OK)
		fail_msg("%s says:\n%s", id, wanted.said);
	seen_of(id)->well = true;
}

void assert_silent(const char *root, const char *device, const char *id)
{
	struct wanted wanted = { .id = id };

	check(root, device, &wanted);
	if (wanted.others)
		fail_msg("%s says:\n%s", id, wanted.said);
	seen_of(id)->well = true;
}

/* As sysfs has it from a place below the root bus. */
static void relative(char target[256], const char *place, const char *path)
{
	size_t len = (size_t)snprintf(target, 256, "../../../");

	for (; (place = strchr(place, '/')); place++)
		len += (size_t)snprintf(target + len, 256 - len, "../");
	snprintf(target + len, 256 - len, "%s", path);
}

void put_function(const char *root, const char *place, int group, const char *driver)
{
	const char *address = strrchr(place, '/') ? strrchr(place, '/') + 1 : place;
	char path[256], target[256], to[128];

	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s", place);
	tree_folder(root, path);
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s", place);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", address);
	tree_link(root, path, target);
	tree_function(root, address);
	snprintf(to, sizeof(to), "kernel/iommu_groups/%d", group);
	relative(target, place, to);
	tree_attr_link(root, address, "iommu_group", target);
	tree_attr(root, address, "reset_method", "flr bus\n");
	if (driver) {
		snprintf(to, sizeof(to), "bus/pci/drivers/%s", driver);
		relative(target, place, to);
		tree_attr_link(root, address, "driver", target);
	}
}

void put_module(const char *root, const char *module, const char *name, const char *value)
{
	char path[256];

	if (name)
		snprintf(path, sizeof(path), "sys/module/%s/parameters/%s", module, name);
	else
		snprintf(path, sizeof(path), "sys/module/%s/initstate", module);
	tree_text(root, path, value);
}

static void put_card(const char *root)
{
	put_function(root, PORT, 4, "pcieport");
	tree_attr(root, PORT, "class", "0x060400\n");
	put_function(root, PORT "/" CARD, 5, "e1000e");
	tree_attr(root, CARD, "resource",
		  "0x00000000e0000000 0x00000000e0ffffff 0x0000000000040200\n");
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config",
		   "\x34\x12\xe8\x11\0\0\0\0\x10\0\0\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 64);
	tree_text(root, GROUP "type", "DMA-FQ\n");
	tree_text(root, GROUP "reserved_regions",
		  "0x00000000fee00000 0x00000000feefffff msi\n");
	tree_text(root, "sys/kernel/iommu_groups/4/type", "DMA-FQ\n");
}

static void put_proc(const char *root)
{
	tree_text(root, "proc/sys/kernel/osrelease", "7.2.0-test\n");
	tree_text(root, "proc/sys/vm/nr_hugepages", "512\n");
	tree_text(root, "proc/cmdline", CMDLINE "\n");
	tree_text(root, "proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n"
		  "flags\t\t: fpu vmx sse2\n\nprocessor\t: 1\n");
	tree_text(root, "proc/interrupts", "           CPU0\n   9:   0  IR-IO-APIC    9-fasteoi "
		  "acpi\n 120:   0  IR-PCI-MSI-0000:01:00.0    0-edge  eth0\n");
	tree_text(root, "proc/iomem", "00000000-00000fff : Reserved\n"
		  "e0000000-efffffff : PCI Bus 0000:00\n  e0000000-e0ffffff : 0000:01:00.0\n"
		  "    e0000000-e0ffffff : e1000e\n");
	tree_text(root, "proc/meminfo", "MemTotal:       16384000 kB\nMemFree:  1 kB\n");
	tree_text(root, "proc/self/limits", "Limit  Soft Limit  Hard Limit  Units\n"
		  "Max locked memory         unlimited            unlimited            bytes\n");
	tree_text(root, "proc/self/status", "Name:\tweir\nCapEff:\t0000000000000000\n");
	tree_text(root, "proc/self/mountinfo", "");
	tree_text(root, "proc/swaps", "");
}

int doctor_start(void **state)
{
	char *root = tree_new();

	*state = root;
	put_card(root);
	put_proc(root);
	tree_text(root, "sys/firmware/acpi/tables/DMAR", "");
	tree_text(root, "sys/class/iommu/dmar0/intel-iommu/ecap", "f020df\n");
	tree_text(root, "sys/class/dmi/id/sys_vendor", "Maker\n");
	tree_text(root, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
	tree_text(root, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n");
	put_module(root, "vfio", "enable_unsafe_noiommu_mode", "N\n");
	put_module(root, "vfio_pci", "disable_denylist", "N\n");
	put_module(root, "vfio_iommu_type1", "allow_unsafe_interrupts", "N\n");
	put_module(root, "vfio_iommu_type1", "dma_entry_limit", "65535\n");
	put_module(root, "iommufd", "allow_unsafe_interrupts", "N\n");
	tree_text(root, "dev/iommu", "");
	tree_text(root, "dev/kvm", "");
	tree_text(root, "dev/kmsg", "6,1,0,-;Linux version 7.2.0-test\n"
		  "6,2,10,-;DMAR: IOMMU enabled\n SUBSYSTEM=x\n");
	tree_text(root, "etc/os-release", "PRETTY_NAME=\"Debian\"\nID=debian\n");
	tree_text(root, "etc/default/grub", "# GRUB_CMDLINE_LINUX=\"amd_iommu=on\"\n"
		  "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet intel_iommu=on iommu=pt\"\n");
	tree_text(root, "usr/sbin/update-grub", "");
	return 0;
}

int doctor_stop(void **state)
{
	tree_free(*state);
	return 0;
}

void put_limit(const char *root, const char *file, const char *soft)
{
	char text[256];

	snprintf(text, sizeof(text), "Limit Soft Hard Units\nMax locked memory         %s    %s    "
		 "bytes\n", soft, soft);
	tree_text(root, file, text);
}
