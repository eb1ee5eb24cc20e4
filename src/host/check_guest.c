/* SPDX-License-Identifier: MIT */
/*
 * Whether this is a VM, with or without an IOMMU of its own; and without one, what no-IOMMU mode
 * asks for on both sides. There the device's addresses are the guest's physical ones, which the
 * host's IOMMU translates: so the guest's memory must be all there and stay, and the guest's kernel
 * must give the device away though nothing holds it back from the rest of the guest.
 */
#include <stdio.h>

#include "base/root.h"
#include "host/check.h"

static void check_guest(struct wr_exam *exam)
{
	if (exam->m->dom0)
		wr_report(exam, WEIR_HOST_NOTE, WR_XEN_FEATURES, "this is no VM but Xen's dom0: "
			  "Xen has the machine's IOMMU, and its own tools (xl) give devices away, "
			  "not VFIO");
	else if (!exam->m->virtual)
		wr_report(exam, WEIR_HOST_OK, "/proc/cpuinfo", "this is no VM, as far as it shows");
	else if (wr_has_iommu(exam))
		wr_report(exam, WEIR_HOST_OK, exam->m->virtual_file, "this is a VM (%s) with an "
			  "IOMMU of its own: devices are given away as on a real machine",
			  exam->m->virtual_name);
	else if (exam->m->table)
		wr_report(exam, WEIR_HOST_NOTE, exam->m->virtual_file, "this is a VM (%s) with an "
			  "IOMMU of its own (%s), which is off", exam->m->virtual_name,
			  exam->m->table);
	else
		wr_report(exam, WEIR_HOST_NOTE, exam->m->virtual_file, "this is a VM (%s) without "
			  "an IOMMU of its own: devices can be given away in no-IOMMU mode alone, "
			  "and who has one reaches all memory of this VM, but not the host's",
			  exam->m->virtual_name);
}

static bool is_bare(const struct wr_exam *exam)
{
	return exam->m->virtual && !wr_has_iommu(exam) && !exam->m->table;
}

static void check_mode(struct wr_exam *exam)
{
	char file[WR_LINE_MAX];

	if (!is_bare(exam))
		return;
	if (wr_intel_told_on(exam->m)) {
		wr_cure_no_option(exam, "intel_iommu=on");
		wr_report(exam, WEIR_HOST_NOTE, "/proc/cmdline", "intel_iommu=on finds no IOMMU in "
			  "this VM; for no-IOMMU mode it isn't wanted");
	}
	if (wr_noiommu_mode(exam, file)) {
		wr_report(exam, WEIR_HOST_OK, file, "no-IOMMU mode, which this VM needs to give "
			  "devices away, is on");
		return;
	}
	wr_cure(exam, "give the VM an IOMMU: see firmware-table");
	wr_cure_noiommu(exam);
	wr_report(exam, WEIR_HOST_STOP, file, "no-IOMMU mode, by which alone this VM could give "
		  "devices away, is off");
}

static void check_host_side(struct wr_exam *exam)
{
	if (!is_bare(exam))
		return;
	wr_cure(exam, "on the host: hugepages for the VM's memory (hugepages= or "
		"/proc/sys/vm/nr_hugepages), from a mount of hugetlbfs");
	wr_cure(exam, "QEMU: -object memory-backend-file,id=mem0,mem-path=/mnt/hugepages,size=SIZE,"
		"share=on,prealloc=on -machine memory-backend=mem0");
	wr_cure(exam, "the device given by -device vfio-pci,host=..., with the host's own IOMMU "
		"on, and without -device intel-iommu");
	wr_cure(exam, "'weir doctor BDF' on the host");
	wr_report(exam, WEIR_HOST_NOTE, exam->m->virtual_file, "what can't be seen from inside: "
		  "the host must hold all of this VM's memory in place, since its IOMMU "
		  "translates the guest's physical addresses that the devices are given");
}

const struct wr_check wr_checks_guest[] = {
	{ { "guest", false, WEIR_HOST_NOTE, "is this a VM, with or without an IOMMU of its own?",
	    "/proc/cpuinfo /sys/hypervisor/{type,properties/features} "
	    "/sys/class/dmi/id/{sys_vendor,product_name} "
	    "/sys/bus/acpi/devices/QEMU0002:00 "
	    "/proc/device-tree/{model,compatible} /sys/class/iommu" }, check_guest },
	{ { "guest-noiommu", false, WEIR_HOST_STOP,
	    "a VM without an IOMMU: is no-IOMMU mode on?",
	    WR_NOIOMMU_MODE " /proc/cmdline" }, check_mode },
	{ { "guest-host", false, WEIR_HOST_NOTE,
	    "a VM without an IOMMU: what must its host have?", "/proc/cpuinfo" },
	  check_host_side },
	{ .run = NULL },
};
