/* SPDX-License-Identifier: MIT */
/* Who has the function now, who uses it, and what its driver or VFIO's makes of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/root.h"
#include "host/check.h"
#include "host/use.h"

static void check_use(struct wr_exam *exam)
{
	char use[WR_USE_MAX], file[WR_LINE_MAX];
	int ret;

	if (exam->fn->role != WEIR_ROLE_IN_THE_WAY)
		return;
	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s", exam->fn->address);
	ret = wr_use(exam->m->root, exam->fn, use);
	if (ret < 0) {
		if (ret == -EACCES || ret == -EPERM)
			wr_cure(exam, "run it as root");
		wr_report(exam, WEIR_HOST_UNKNOWN, file, "whether the kernel uses it can't be "
			  "told: %s",
			  weir_errmsg());
		return;
	}
	/* VFs have a finding of their own. */
	if (ret == WR_USE_NONE || ret == WR_USE_VFS) {
		/* A disk of another namespace's, or of ZFS, shows by its node alone. */
		if (*exam->m->root && exam->fn->class_code >> 16 == 0x01)
			wr_report(exam, WEIR_HOST_NOTE, file, "%s has it, and no table says that "
				  "it is in use; who has its disks open can be seen on that "
				  "machine alone", exam->fn->driver);
		else
			wr_report(exam, WEIR_HOST_OK, file, "%s has it, and nothing uses it",
				  exam->fn->driver);
		return;
	}
	wr_cure(exam, ret == WR_USE_ROOT ? "none: without it nobody could give it back" :
		"end that use first, or 'weir bind --force %s'", exam->fn->address);
	wr_report(exam, WEIR_HOST_STOP, file, "it is in use: %s", use);
}

static void check_bound(struct wr_exam *exam)
{
	char file[WR_LINE_MAX];

	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/driver", exam->fn->address);
	if (exam->fn->role == WEIR_ROLE_VFIO) {
		wr_report(exam, WEIR_HOST_OK, file, "%s has it", exam->fn->driver);
		return;
	}
	wr_cure(exam, "'weir bind %s'", exam->fn->address);
	wr_report(exam, WEIR_HOST_NOTE, file, "VFIO hasn't got it: %s%s (QEMU: \"error getting "
		  "device from group ... verify all devices in group are bound to vfio-<bus> or "
		  "pci-stub and not already in use\")",
		  *exam->fn->driver ? "its driver is " : "it has no driver",
		  exam->fn->driver);
}

static void check_open(struct wr_exam *exam)
{
	const char *file = exam->fn->vfio_node[0] ? exam->fn->vfio_node : "/dev/vfio/devices";
	char use[WR_USE_MAX];
	int ret;

	if (exam->fn->role != WEIR_ROLE_VFIO)
		return;
	ret = wr_use_vfio(exam->m->root, exam->fn, use);
	if (ret == WR_USE_SOME) {
		wr_cure(exam, "end that process; a group, and a device by its own node, is opened "
			"once, and not by both ways (EBUSY)");
		wr_report(exam, WEIR_HOST_STOP, file, "it is taken: %s", use);
	} else if (ret < 0) {
		wr_unread(exam, file, ret);
	} else if (*exam->m->root) {
		wr_report(exam, WEIR_HOST_NOTE, file, "whether a process has it open can be seen "
			  "on that machine alone");
	}
}

static void check_node(struct wr_exam *exam)
{
	struct stat st;

	if (!exam->fn->vfio_node[0] ||
	    wr_root_stat(exam->m->root, exam->fn->vfio_node, &st) < 0)
		return;
	if (st.st_uid || st.st_mode & 0066) {
		wr_report(exam, WEIR_HOST_OK, exam->fn->vfio_node, "%s is user %u's, group %u's, "
			  "mode %04o",
			  exam->fn->vfio_node, st.st_uid, st.st_gid, st.st_mode & 07777U);
		return;
	}
	wr_cure(exam, "'weir bind --owner USER %s'", exam->fn->address);
	wr_report(exam, WEIR_HOST_NOTE, exam->fn->vfio_node, "only root may open %s (mode %04o): "
		  "others get \"Permission denied\"", exam->fn->vfio_node, st.st_mode & 07777U);
}

static void check_cdev(struct wr_exam *exam)
{
	char node[64], file[WR_LINE_MAX], config[WR_LINE_MAX];
	int built;

	if (exam->fn->role != WEIR_ROLE_VFIO || exam->m->cpu == WR_CPU_POWER)
		return;
	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/vfio-dev", exam->fn->address);
	wr_cdev(exam->m->root, exam->fn->address, node);
	if (*node) {
		wr_report(exam, WEIR_HOST_OK, file, "it has a node of its own, %s", node);
		return;
	}
	built = wr_kernel_config(exam->m, "VFIO_DEVICE_CDEV", config);
	wr_cure(exam, "use VFIO's groups (QEMU: without iommufd=), or a kernel from 6.6 on with "
		"CONFIG_VFIO_DEVICE_CDEV");
	wr_report(exam, WEIR_HOST_NOTE, built ? file : config, "it has no node under "
		  "/dev/vfio/devices%s: programs that open devices by these alone fail (QEMU: "
		  "\"failed to find vfio-dev/vfioX/dev\")", built ? "" : ", since this kernel was "
		  "built without CONFIG_VFIO_DEVICE_CDEV");
}

/*
 * Whether ids= of vfio-pci has the function in its list: vfio_pci_fill_ids(), which takes up to six
 * numbers, and pci_match_one_id().
 */
static bool ids_hold(const struct weir_host_function *fn, const char *list)
{
	const unsigned int any = ~0U;

	for (const char *c = list; *c; c += strcspn(c, ",")) {
		unsigned int vendor, device, subvendor = any, subdevice = any, class = 0, mask = 0;

		c += *c == ',';
		if (sscanf(c, "%x:%x:%x:%x:%x:%x", &vendor, &device, &subvendor, &subdevice, &class,
			   &mask) >= 2 &&
		    (vendor == any || vendor == fn->vendor) &&
		    (device == any || device == fn->device) &&
		    (subvendor == any || subvendor == fn->subsystem_vendor) &&
		    (subdevice == any || subdevice == fn->subsystem_device) &&
		    !((class ^ fn->class_code) & mask))
			return true;
	}
	return false;
}

/* Whether vfio-pci was told to take such devices, and by which file. */
static bool ids_wanted(const struct wr_exam *exam, const struct weir_host_function *fn,
		       char file[WR_LINE_MAX])
{
	char list[WR_LINE_MAX];

	strcpy(file, "/proc/cmdline");
	if (wr_word(exam->m->cmdline, "vfio-pci.ids=", list) && ids_hold(fn, list))
		return true;
	for (const char *line = exam->m->ids; *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, " ");

		snprintf(file, WR_LINE_MAX, "%.*s", (int)len, line);
		snprintf(list, sizeof(list), "%.*s", (int)strcspn(line + len, "\n"), line + len);
		if (ids_hold(fn, list + 1))
			return true;
	}
	return false;
}

static void check_late(struct wr_exam *exam)
{
	char file[WR_LINE_MAX];

	if (exam->fn->role != WEIR_ROLE_IN_THE_WAY || !ids_wanted(exam, exam->fn, file))
		return;
	wr_cure_early(exam);
	if (wr_is_plain(exam->fn->driver))
		wr_cure(exam, "add the line 'softdep %s pre: vfio-pci' to "
			"/etc/modprobe.d/vfio.conf", exam->fn->driver);
	wr_report(exam, WEIR_HOST_WARNING, file, "vfio-pci was to take it (its id is in %s), but "
		  "%s was there first: vfio-pci was loaded after it, from the disk rather than "
		  "the initramfs", file, exam->fn->driver);
}

/* To ids= they are one. */
static bool is_alike(const struct weir_host_function *a, const struct weir_host_function *b)
{
	return a->subsystem_vendor == b->subsystem_vendor &&
	       a->subsystem_device == b->subsystem_device && a->class_code == b->class_code;
}

static void check_identical(struct wr_exam *exam)
{
	struct wr_few list = { .n = 0 }, taken = { .n = 0 };
	char file[WR_LINE_MAX], path[WR_LINE_MAX], same[WR_LINE_MAX];
	bool wanted = ids_wanted(exam, exam->fn, file);
	const struct weir_host_function *fn;

	for (unsigned int n = 0; (fn = weir_host_function(exam->host, n)); n++) {
		if (fn->vendor != exam->fn->vendor || fn->device != exam->fn->device ||
		    !strcmp(fn->address, exam->fn->address))
			continue;
		wr_few_add(&list, "%s", fn->address);
		/* Their subsystems may differ. */
		if (wanted && (is_alike(fn, exam->fn) || ids_wanted(exam, fn, same)))
			wr_few_add(&taken, "%s", fn->address);
	}
	if (!list.n)
		return;
	wanted = taken.n;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/device", exam->fn->address);
	wr_cure(exam, "choose by address: 'weir bind %s', or driver_override", exam->fn->address);
	wr_report(exam, wanted ? WEIR_HOST_WARNING : WEIR_HOST_NOTE, wanted ? file : path,
		  "there are others with its id, %04x:%04x (%s): %s", exam->fn->vendor,
		  exam->fn->device, wanted ? taken.text : list.text,
		  wanted ? "vfio-pci.ids= takes them all" :
		  "who chooses by id (vfio-pci.ids=, new_id) takes them all");
}

/* vfio_pci_dev_in_denylist() in drivers/vfio/pci/vfio_pci.c */
static void check_denylist(struct wr_exam *exam)
{
	static const struct {
		uint16_t device;
		const char *name;
	} denied[] = {
		{ 0x0435, "QAT DH895XCC" }, { 0x0443, "QAT DH895XCC VF" }, { 0x19e2, "QAT C3XXX" },
		{ 0x19e3, "QAT C3XXX VF" }, { 0x37c8, "QAT C62X" }, { 0x37c9, "QAT C62X VF" },
		{ 0x0b25, "DSA of Sapphire Rapids" }, { 0x0cfe, "IAX of Sapphire Rapids" },
	};
	char file[WR_LINE_MAX], value[8];
	bool allowed;
	int ret;

	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		if (exam->fn->vendor != 0x8086 || exam->fn->device != denied[i].device)
			continue;
		ret = wr_module_param(exam->m, "vfio_pci", "disable_denylist", file, value,
				      sizeof(value));
		allowed = ret > 0 && value[0] == 'Y';
		/* Before the module is there its ids tell all. */
		if (ret < 0)
			snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/device",
				 exam->fn->address);
		if (!allowed)
			wr_cure_module(exam, "vfio_pci", "disable_denylist=1");
		wr_cure(exam, "only for those whom you would trust with the machine, or a newer "
			"device");
		wr_report(exam, allowed ? WEIR_HOST_WARNING : WEIR_HOST_STOP, file, "%04x:%04x "
			  "(%s) is one that vfio-pci %s: it has faults that who has it can use "
			  "against the machine (\"exists in vfio-pci device denylist, driver "
			  "probing disallowed\")",
			  exam->fn->vendor, exam->fn->device, denied[i].name,
			  allowed ? "takes only since disable_denylist is set" : "refuses");
		return;
	}
}

static void check_vfs(struct wr_exam *exam)
{
	char file[WR_LINE_MAX];

	if (!exam->fn->vfs)
		return;
	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/sriov_numvfs", exam->fn->address);
	if (exam->fn->role == WEIR_ROLE_VFIO) {
		wr_report(exam, WEIR_HOST_NOTE, file, "it has %u VFs, made while VFIO has it: who "
			  "opens them needs its VF token", exam->fn->vfs);
		return;
	}
	wr_cure(exam, "give the VFs away instead, or 'echo 0 > %s' first", file);
	wr_report(exam, WEIR_HOST_STOP, file, "it has %u VFs: vfio-pci refuses a PF with SR-IOV "
		  "enabled (EBUSY)", exam->fn->vfs);
}

static void check_token(struct wr_exam *exam)
{
	const struct weir_host_function *pf;
	char file[WR_LINE_MAX];

	if (!exam->fn->physfn[0] || weir_host_find(exam->host, exam->fn->physfn, &pf) < 0 ||
	    pf->role != WEIR_ROLE_VFIO)
		return;
	snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/physfn", exam->fn->address);
	wr_cure(exam, "give both the same token, a UUID (QEMU: vf-token=)");
	wr_report(exam, WEIR_HOST_WARNING, file, "its PF %s is with %s, too: it opens only with "
		  "the PF's VF token (\"VF token required to access device\", EACCES)", pf->address,
		  pf->driver);
}

/* The guide of QATlib; the faulty releases are those between. */
static void check_qat(struct wr_exam *exam)
{
	static const uint16_t pfs[] = { 0x0435, 0x19e2, 0x37c8, 0x6f54, 0x18a0, 0x4940, 0x4942,
					0x4944, 0x4946, 0x4948 };
	bool qat = false;

	for (size_t i = 0; i < sizeof(pfs) / sizeof(pfs[0]); i++)
		qat = qat || exam->fn->device == pfs[i];
	if (!qat || exam->fn->vendor != 0x8086 || exam->m->version < WR_VERSION(6, 12) ||
	    exam->m->version > WR_VERSION(6, 15) || wr_has_iommu(exam))
		return;
	wr_cure(exam, "the IOMMU on, another kernel, or QAT's driver with the patch that QATlib's "
		"guide for no-IOMMU mode names");
	wr_report(exam, WEIR_HOST_WARNING, "/proc/sys/kernel/osrelease",
		  "from Linux 6.12 to 6.15 (this "
		  "is %s) QAT's driver makes no VFs while the IOMMU is off", exam->m->release);
}

const struct wr_check wr_checks_driver[] = {
	{ { "in-use", true, WEIR_HOST_STOP,
	    "is it in use: mounted, swap, below md, dm or LVM, network, the console?",
	    "/proc/self/mountinfo /proc/swaps /sys/class/{block,net,graphics,vtconsole} "
	    "/proc/net/{route,ipv6_route,if_inet6} /sys/bus/pci/devices/*/boot_vga" }, check_use },
	{ { "vfio-bound", true, WEIR_HOST_NOTE, "has VFIO got it?",
	    "/sys/bus/pci/devices/*/driver" }, check_bound },
	{ { "vfio-open", true, WEIR_HOST_STOP, "has another process opened it by VFIO?",
	    "/dev/vfio/* /dev/vfio/devices/* /proc/*/fd" }, check_open },
	{ { "vfio-node", true, WEIR_HOST_NOTE, "who may open its node?", "/dev/vfio/*" },
	  check_node },
	{ { "vfio-cdev", true, WEIR_HOST_NOTE, "has it a node of its own, for IOMMUFD?",
	    "/sys/bus/pci/devices/*/vfio-dev /boot/config-*" }, check_cdev },
	{ { "vfio-late", true, WEIR_HOST_WARNING, "was vfio-pci to have it, and came too late?",
	    "/proc/cmdline /{etc,run,lib}/modprobe.d/*.conf /sys/bus/pci/devices/*/driver" },
	  check_late },
	{ { "identical", true, WEIR_HOST_WARNING, "are there other devices with its id?",
	    "/sys/bus/pci/devices/*/{vendor,device} /proc/cmdline /etc/modprobe.d/*" },
	  check_identical },
	{ { "denylist", true, WEIR_HOST_STOP, "does vfio-pci refuse such devices?",
	    "/sys/bus/pci/devices/*/{vendor,device} /sys/module/vfio_pci/parameters/"
	    "disable_denylist" }, check_denylist },
	{ { "pf-vfs", true, WEIR_HOST_STOP, "has it VFs?",
	    "/sys/bus/pci/devices/*/sriov_numvfs" }, check_vfs },
	{ { "vf-token", true, WEIR_HOST_WARNING, "is it a VF of a PF that VFIO has?",
	    "/sys/bus/pci/devices/*/{physfn,driver}" }, check_token },
	{ { "qat-sriov", true, WEIR_HOST_WARNING,
	    "is it a QAT whose driver makes no VFs without an IOMMU (Linux 6.12 to 6.15)?",
	    "/sys/bus/pci/devices/*/{vendor,device} /proc/sys/kernel/osrelease" }, check_qat },
	{ .run = NULL },
};
