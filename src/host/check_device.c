/* SPDX-License-Identifier: MIT */
/* The device itself: what it is, its registers, its ROM, and who else has its memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "host/check.h"
#include "pci/config.h"

bool wr_has_bridge_class(const struct weir_host_function *fn)
{
	unsigned int class = fn->class_code >> 8;

	/* PCI to PCI, to CardBus, and to PCI semi-transparently. */
	return class == 0x0604 || class == 0x0607 || class == 0x0609;
}

/* As wr_peek_config(), for two checks. */
static int peek_header(struct wr_exam *exam)
{
	if (!exam->header_len)
		exam->header_len = wr_peek_config(exam->host, exam->fn, exam->header,
						  sizeof(exam->header));
	return exam->header_len;
}

/* vfio_pci_core_register_device() takes only headers of type 0. */
static void check_endpoint(struct wr_exam *exam)
{
	bool read = peek_header(exam) == (int)sizeof(exam->header);
	unsigned int header = exam->header[WR_PCI_HEADER_TYPE];
	bool answers = read && header != 0xff;
	bool bridge = answers ? header & 0x7f : wr_has_bridge_class(exam->fn);
	char file[WR_LINE_MAX], why[32];

	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/%s", exam->fn->address,
		 answers ? "config" : "class");
	if (answers)
		snprintf(why, sizeof(why), "header type %u", header & 0x7f);
	else
		snprintf(why, sizeof(why), "class %06x", exam->fn->class_code);
	if (!bridge) {
		wr_report(exam, WEIR_HOST_OK, file, "it is no bridge (%s)", why);
		return;
	}
	/* What others say of devices, and how these are bound or reset, isn't for it. */
	exam->settled = true;
	wr_cure(exam, "give away what is behind it");
	wr_report(exam, WEIR_HOST_STOP, file, "it is a bridge (%s), which can't be given away: "
		  "vfio-pci refuses it (EINVAL; libvirt: \"Non-endpoint PCI devices cannot be "
		  "assigned to guests\")", why);
}

/* What a device gives that doesn't answer: all ones. Without privilege it is 64 bytes. */
static void check_config(struct wr_exam *exam)
{
	int ret = peek_header(exam);
	char file[WR_LINE_MAX];

	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/config", exam->fn->address);
	if (ret < (int)sizeof(exam->header)) {
		if (ret < 0 && ret != -ENOENT && ret != -EBUSY)
			wr_unread(exam, file, ret);
		return;
	}
	for (size_t i = 0; i < sizeof(exam->header); i++)
		if (exam->header[i] != 0xff)
			return;
	wr_cure(exam, "switch the machine off and on; update the firmware; for some of AMD's "
		"graphics the module vendor-reset, loaded before vfio-pci");
	wr_report(exam, WEIR_HOST_STOP, file, "it doesn't answer: all of its config space reads "
		  "as ones (libvirt: \"Unknown PCI header type '127'\")");
}

/* Memory regions of it; the number of those stored. */
static int regions_of(const struct wr_exam *exam, struct weir_host_region regions[16])
{
	int n = weir_host_regions(exam->host, exam->fn, regions, 16);

	return n > 16 ? 16 : n;
}

static void check_bars(struct wr_exam *exam)
{
	struct weir_host_region regions[16];
	char file[WR_LINE_MAX];
	uint64_t sum = 0;
	int n;

	if (!exam->m->memlock_known || exam->m->memlock == UINT64_MAX ||
	    !wr_root_has(exam->m->root, "/dev/iommu"))
		return;
	n = regions_of(exam, regions);
	for (int i = 0; i < n; i++)
		if (!regions[i].io && regions[i].region != WEIR_REGION_ROM &&
		    __builtin_add_overflow(sum, regions[i].size, &sum))
			sum = UINT64_MAX;
	if (sum <= exam->m->memlock)
		return;
	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/resource", exam->fn->address);
	wr_cure(exam, "raise the limit by as much ('LimitMEMLOCK=', /etc/security/limits.d), or "
		"CAP_IPC_LOCK");
	wr_report(exam, WEIR_HOST_WARNING, file, "its registers are %" PRIu64 " MiB, more than "
		  "the %" PRIu64
		  " KiB that may be locked here: a program that maps them for other devices under "
		  "IOMMUFD gets ENOMEM, where they count as memory does", sum >> 20,
		  exam->m->memlock >> 10);
}

/* Who has a part of a range, by a line of /proc/iomem that is further in than the device's. */
static bool boot_owner(const char *iomem, uint64_t first, uint64_t last, char name[64])
{
	static const char *const owners[] = { "BOOTFB", "efifb", "simplefb", "simple-framebuffer",
					      "vesafb" };

	for (const char *line = iomem; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		uint64_t start, end;
		char what[64];

		if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %63[^\n]", &start, &end, what) != 3 ||
		    start > last || end < first)
			continue;
		for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++)
			if (!strncmp(what, owners[i], strlen(owners[i]))) {
				strcpy(name, what);
				return true;
			}
	}
	return false;
}

/* Users without privilege see all addresses as zero (kernel/resource.c). */
static bool is_hidden(const char *iomem)
{
	return !strncmp(iomem, "00000000-00000000 ", 18);
}

/* aperture_remove_conflicting_pci_devices() in vfio_pci_vga_init(), since Linux 6.0 */
static bool leaves_to_vfio(const struct wr_exam *exam)
{
	return exam->m->version >= WR_VERSION(6, 0) && exam->fn->class_code >> 8 == 0x0300 &&
	       exam->fn->role != WEIR_ROLE_VFIO;
}

static void check_framebuffer(struct wr_exam *exam)
{
	struct weir_host_region regions[16];
	char *text, name[64];
	int n, ret;

	if (exam->fn->class_code >> 16 != 0x03)
		return;
	ret = wr_load(exam->m->root, "/proc/iomem", 4 << 20, &text);
	if (ret < 0 || is_hidden(text)) {
		if (ret != -ENOENT)
			wr_unread(exam, "/proc/iomem", ret < 0 ? ret : -EACCES);
		free(text);
		return;
	}
	n = regions_of(exam, regions);
	for (int i = 0; i < n; i++) {
		if (regions[i].io || !boot_owner(text, regions[i].start, regions[i].start +
						 regions[i].size - 1, name))
			continue;
		if (leaves_to_vfio(exam)) {
			wr_report(exam, WEIR_HOST_WARNING, "/proc/iomem", "the firmware's "
				  "framebuffer lies in its region %u (%s): vfio-pci takes it away "
				  "as it gets the device, and the machine's console goes dark",
				  regions[i].region, name);
			break;
		}
		wr_cure(exam, "another card for the console; remove and rescan the bridge above it "
			"before it is bound");
		wr_cure_option(exam, exam->m->version >= WR_VERSION(5, 15) ?
			       "initcall_blacklist=sysfb_init" : "video=efifb:off");
		wr_report(exam, WEIR_HOST_STOP, "/proc/iomem",
			  "the firmware's framebuffer lies in its "
			  "region %u (%s): VFIO can't have that (\"BAR %u: can't reserve\")",
			  regions[i].region, name, regions[i].region);
		break;
	}
	free(text);
}

static void check_rom(struct wr_exam *exam)
{
	struct weir_host_region regions[16];
	char file[WR_LINE_MAX], value[8];
	bool has_rom = false;
	int n;

	if (exam->fn->class_code >> 16 != 0x03)
		return;
	n = regions_of(exam, regions);
	if (n < 0)
		return;
	for (int i = 0; i < n; i++)
		has_rom = has_rom || regions[i].region == WEIR_REGION_ROM;
	if (wr_attr(exam, "boot_vga", file, value, sizeof(value)) > 0 && !strcmp(value, "1")) {
		wr_cure(exam, "a file with its ROM (QEMU: romfile=), read while another card is "
			"the first, or another card as the first in the firmware's setup");
		wr_report(exam, WEIR_HOST_WARNING, file, "it is the graphics that the machine "
			  "started with: what its ROM reads as may be a copy that the firmware "
			  "changed (\"Cannot read device rom\", a black screen)");
	} else if (!has_rom && exam->fn->class_code >> 8 == 0x0300) {
		snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/resource", exam->fn->address);
		wr_cure(exam, "a file with its ROM (QEMU: romfile=), or none wanted (rombar=0)");
		wr_report(exam, WEIR_HOST_WARNING, file, "it has no ROM, which a guest's firmware "
			  "needs to show anything on it");
	}
}

const struct wr_check wr_checks_device[] = {
	{ { "endpoint", true, WEIR_HOST_STOP, "is it a device, and no bridge?",
	    "/sys/bus/pci/devices/*/{config,class}" }, check_endpoint },
	{ { "config-ones", true, WEIR_HOST_STOP, "does it answer?",
	    "/sys/bus/pci/devices/*/config" }, check_config },
	{ { "boot-framebuffer", true, WEIR_HOST_STOP,
	    "does the firmware's framebuffer lie in its memory?",
	    "/proc/iomem /sys/bus/pci/devices/*/resource" }, check_framebuffer },
	{ { "rom", true, WEIR_HOST_WARNING, "will a guest find its ROM?",
	    "/sys/bus/pci/devices/*/{boot_vga,resource}" }, check_rom },
	{ { "bar-memlock", true, WEIR_HOST_WARNING,
	    "may its registers be mapped under IOMMUFD, where they count as locked memory?",
	    "/sys/bus/pci/devices/*/resource /proc/self/limits" }, check_bars },
	{ .run = NULL },
};
