/* SPDX-License-Identifier: MIT */
/* Whether the function can be reset, what is reset with it, and how the last time went. */
#include <ctype.h>
#include <stdio.h>

#include "base/root.h"
#include "host/check.h"

/* Methods that reset nothing but the function (pci_reset_fn_methods in drivers/pci/pci.c). */
static bool resets_alone(const char *methods)
{
	static const char *const alone[] = { "device_specific", "acpi", "flr", "af_flr", "pm" };
	char value[WR_LINE_MAX];

	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++)
		if (wr_word(methods, alone[i], value) && !*value)
			return true;
	return false;
}

/* Others on its bus, which a reset of the bus reaches; none on a root bus, which has no reset. */
static void list_siblings(const struct wr_exam *exam, struct wr_few *list)
{
	size_t bus = (size_t)(strrchr(exam->fn->address, ':') - exam->fn->address);
	const struct weir_host_function *fn;

	if (!weir_host_parent(exam->host, exam->fn))
		return;
	for (unsigned int n = 0; (fn = weir_host_function(exam->host, n)); n++)
		if (!strncmp(fn->address, exam->fn->address, bus + 1) &&
		    strcmp(fn->address, exam->fn->address))
			wr_few_add(list, "%s", fn->address);
}

static void check_none(struct wr_exam *exam)
{
	char methods[256], file[WR_LINE_MAX];
	struct wr_few siblings = { .n = 0 };
	int ret = weir_host_reset_methods(exam->host, exam->fn, methods, sizeof(methods));

	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/reset", exam->fn->address);
	/* Before Linux 5.15 it is this one alone, which says no more than that there is a way. */
	if (ret == 0 && wr_root_has(exam->m->root, file)) {
		wr_report(exam, WEIR_HOST_OK, file, "it can be reset");
		return;
	}
	strcat(file, "_method");
	if (ret < 0) {
		wr_unread(exam, file, ret);
		return;
	}
	if (*methods) {
		wr_report(exam, WEIR_HOST_OK, file, "it can be reset: %s", methods);
		return;
	}
	list_siblings(exam, &siblings);
	if (siblings.n)
		return;		/* The next check's. */
	wr_cure(exam, "another device; a module that knows how to (vendor-reset for some of AMD's "
		"graphics)");
	wr_report(exam, WEIR_HOST_WARNING, file, "it can't be reset: who gets it finds it as the "
		  "last one left it, and it may not start a second time (\"Cannot reset device, "
		  "no available reset mechanism\")");
}

static void check_siblings(struct wr_exam *exam)
{
	char methods[256], file[WR_LINE_MAX];
	struct wr_few siblings = { .n = 0 };

	if (weir_host_reset_methods(exam->host, exam->fn, methods, sizeof(methods)) < 0 ||
	    resets_alone(methods))
		return;
	/* Before Linux 5.15: there is a way, but which isn't said. */
	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/reset", exam->fn->address);
	if (!*methods && wr_root_has(exam->m->root, file))
		return;
	strcat(file, "_method");
	list_siblings(exam, &siblings);
	if (!siblings.n)
		return;
	wr_cure(exam, "give all of them to the same owner, which has to have them open as well");
	wr_report(exam, WEIR_HOST_WARNING, file, "only a reset of its bus resets it (%s), which "
		  "resets %s, too (\"Cannot reset device, depends on group which is not owned\")",
		  *methods ? methods : "VFIO's hot reset", siblings.text);
}

/* What the kernel's log says of @name, with one of @signs in it. */
static bool log_of(const struct wr_exam *exam, const char *name, const char *const *signs,
		   char line[WR_LINE_MAX])
{
	for (const char *at = exam->m->log; (at = strstr(at, name)); at++) {
		const char *begin = at;

		/* "10000:01:00.0" is another's, behind a VMD. */
		if (at > exam->m->log && isxdigit((unsigned char)at[-1]))
			continue;
		while (begin > exam->m->log && begin[-1] != '\n')
			begin--;
		wr_line(begin, NULL, line);
		for (size_t i = 0; signs[i]; i++)
			if (strstr(line, signs[i]))
				return true;
	}
	return false;
}

/* pci_dev_wait() in drivers/pci/pci.c */
static void check_dead(struct wr_exam *exam)
{
	static const char *const signs[] = { "; giving up", NULL };
	char line[WR_LINE_MAX];

	if (!log_of(exam, exam->fn->address, signs, line))
		return;
	wr_cure(exam, "switch the machine off and on; then another order in reset_method ('weir "
		"info %s' shows it)", exam->fn->address);
	wr_report(exam, WEIR_HOST_WARNING, "/dev/kmsg",
		  "it didn't come back after a reset: the kernel "
		  "said \"%.300s\"", wr_log_text(line));
}

/* pci_power_up(): also what a device that is gone gives. */
static void check_d3cold(struct wr_exam *exam)
{
	static const char *const signs[] = { "Unable to change power state from D3cold", NULL };
	char line[WR_LINE_MAX], file[WR_LINE_MAX], state[32];

	if (log_of(exam, exam->fn->address, signs, line)) {
		wr_cure(exam, "'echo 0 > /sys/bus/pci/devices/%s/d3cold_allowed' and 'echo on > "
			"/sys/bus/pci/devices/%s/power/control', for all of its group",
			exam->fn->address, exam->fn->address);
		wr_cure_module(exam, "vfio_pci", "disable_idle_d3=1");
		wr_cure(exam, "no pcie_aspm=off");
		wr_report(exam, WEIR_HOST_WARNING, "/dev/kmsg",
			  "it didn't wake up from D3cold: the "
			  "kernel said \"%.300s\"", wr_log_text(line));
	} else if (wr_attr(exam, "power_state", file, state, sizeof(state)) > 0 &&
		   !strcmp(state, "D3cold")) {
		wr_cure(exam, "if it doesn't wake up: 'echo 0 > /sys/bus/pci/devices/%s/"
			"d3cold_allowed'", exam->fn->address);
		wr_report(exam, WEIR_HOST_NOTE, file, "it sleeps without power (D3cold); some "
			  "devices don't wake up from that");
	}
}

/* Others of the same bus, slot and function, in other domains. */
static void list_namesakes(const struct wr_exam *exam, const char *name, struct wr_few *list)
{
	const struct weir_host_function *fn;

	for (unsigned int n = 0; (fn = weir_host_function(exam->host, n)); n++)
		if (strcmp(fn->address, exam->fn->address) &&
		    !strcmp(fn->address + strcspn(fn->address, ":") + 1, name))
			wr_few_add(list, "%s", fn->address);
}

/*
 * dmar_fault_do_one() in drivers/iommu/intel/dmar.c, which says the domain only in newer kernels;
 * amd_iommu_report_page_fault() in amd's.
 */
static void check_faults(struct wr_exam *exam)
{
	static const char *const signs[] = { "fault addr", "IO_PAGE_FAULT", NULL };
	const char *name = exam->fn->address + strcspn(exam->fn->address, ":") + 1;
	struct wr_few others = { .n = 0 };
	char line[WR_LINE_MAX], device[64];

	if (!log_of(exam, exam->fn->address, signs, line)) {
		snprintf(device, sizeof(device), "Request device [%s]", name);
		if (!log_of(exam, device, signs, line))
			return;
		list_namesakes(exam, name, &others);
	}
	wr_cure(exam, "its driver used memory that isn't mapped, or no longer: mend that; the "
		"kernel's own driver, before it was given away, may have left it running");
	wr_report(exam, WEIR_HOST_WARNING, "/dev/kmsg",
		  "the IOMMU stopped its DMA%s%s%s: the kernel said \"%.300s\"",
		  others.n ? " or that of " : "", others.text,
		  others.n ? " (no domain is told)" : "", wr_log_text(line));
}

const struct wr_check wr_checks_reset[] = {
	{ { "reset-none", true, WEIR_HOST_WARNING, "can it be reset?",
	    "/sys/bus/pci/devices/*/{reset,reset_method}" }, check_none },
	{ { "reset-siblings", true, WEIR_HOST_WARNING, "does its reset reset others?",
	    "/sys/bus/pci/devices/*/reset_method /sys/bus/pci/devices" }, check_siblings },
	{ { "reset-dead", true, WEIR_HOST_WARNING, "did it come back from its last reset?",
	    "/dev/kmsg" }, check_dead },
	{ { "d3cold", true, WEIR_HOST_WARNING, "does it wake up from D3cold?",
	    "/dev/kmsg /sys/bus/pci/devices/*/power_state" }, check_d3cold },
	{ { "dma-faults", true, WEIR_HOST_WARNING, "did the IOMMU stop its DMA?", "/dev/kmsg" },
	  check_faults },
	{ .run = NULL },
};
