/* SPDX-License-Identifier: MIT */
/* VFIO, IOMMUFD and KVM: whether this kernel has them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "host/check.h"

static void check_vfio(struct wr_exam *exam)
{
	static const char *const parts[] = { "vfio", "vfio_pci" };
	char file[WR_LINE_MAX], config[WR_LINE_MAX];
	bool listed;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (wr_module_known(exam->m, parts[i]))
			continue;
		snprintf(file, sizeof(file), "/lib/modules/%s/modules.dep", exam->m->release);
		/* A container has none, and what is captured in parts. */
		listed = *exam->m->release && wr_root_has(exam->m->root, file);
		if (!listed && wr_kernel_config(exam->m, "VFIO_PCI", config)) {
			wr_report(exam, WEIR_HOST_UNKNOWN,
				  *exam->m->release ? file : "/lib/modules",
				  "%s isn't loaded, and whether it could be can't be told: there "
				  "is no list of this kernel's modules", parts[i]);
			return;
		}
		wr_cure(exam, "install the distribution's package with all modules of this kernel, "
			"or one that has CONFIG_VFIO and CONFIG_VFIO_PCI");
		wr_report(exam, WEIR_HOST_STOP, listed ? file : config, "this kernel (%s) has no "
			  "%s, neither loaded nor as a module that could be", exam->m->release,
			  parts[i]);
		return;
	}
	if (wr_module_here(exam->m, "vfio_pci"))
		wr_report(exam, WEIR_HOST_OK, "/sys/module/vfio_pci", "vfio-pci is there");
	else
		wr_report(exam, WEIR_HOST_OK, "/sys/module", "vfio-pci isn't loaded yet; 'weir "
			  "bind' does that");
}

static void check_iommufd(struct wr_exam *exam)
{
	char file[WR_LINE_MAX];

	if (wr_root_has(exam->m->root, "/dev/iommu")) {
		wr_report(exam, WEIR_HOST_OK, "/dev/iommu", "IOMMUFD is there");
		return;
	}
	/* POWER's IOMMU isn't for it. */
	if (exam->m->cpu == WR_CPU_POWER)
		return;
	if (wr_module_here(exam->m, "iommufd"))
		wr_cure(exam, "have the node made: udev does, or the container must be given it");
	else if (wr_module_known(exam->m, "iommufd"))
		wr_cure(exam, "'modprobe iommufd'");
	else if (wr_kernel_config(exam->m, "IOMMUFD", file) == 0)
		wr_cure(exam, "a kernel with CONFIG_IOMMUFD");
	else
		wr_cure(exam, "a kernel from 6.2 on with CONFIG_IOMMUFD");
	wr_report(exam, WEIR_HOST_NOTE, "/dev/iommu",
		  "IOMMUFD isn't there (no /dev/iommu): programs "
		  "that know nothing else fail, others take VFIO's containers");
}

static void check_p2p(struct wr_exam *exam)
{
	/* "VFIO_DEVICE_FEATURE_DMA_BUF"; the version is all that tells without opening a device. */
	if (!exam->m->version || exam->m->version >= WR_VERSION(6, 19) ||
	    exam->m->cpu == WR_CPU_POWER)
		return;
	wr_cure(exam, "nothing, if the devices needn't reach each other; else a kernel from 6.19 "
		"on, and a QEMU that uses dma-bufs (11 or later)");
	wr_report(exam, WEIR_HOST_NOTE, "/proc/sys/kernel/osrelease", "under IOMMUFD this kernel "
		  "(%s) can't map a device's registers for another: QEMU says \"IOMMU_IOAS_MAP "
		  "failed: Bad address, PCI BAR?\" and goes on without", exam->m->release);
}

/* The limit of mappings; vfio_iommu_type1's default is 65535 (U16_MAX). */
static void check_entries(struct wr_exam *exam)
{
	char file[WR_LINE_MAX], text[32], pool[32];
	unsigned long limit;
	char *end;

	if (wr_module_param(exam->m, "vfio_iommu_type1", "dma_entry_limit", file, text,
			    sizeof(text)) <= 0)
		return;
	limit = strtoul(text, &end, 10);
	if (*end)
		return;
	if (limit < 65535) {
		wr_cure_module(exam, "vfio_iommu_type1", "dma_entry_limit=65535");
		wr_report(exam, WEIR_HOST_WARNING, file, "a type1 container may have %lu mappings "
			  "and no more (ENOSPC), fewer than the kernel's default of 65535", limit);
		return;
	}
	if (!exam->m->memory || limit >= exam->m->memory >> 12 ||
	    (wr_root_text(exam->m->root, "/proc/sys/vm/nr_hugepages", pool, sizeof(pool)) > 0 &&
	     strcmp(pool, "0"))) {
		wr_report(exam, WEIR_HOST_OK, file, "a type1 container may have %lu mappings",
			  limit);
		return;
	}
	wr_cure(exam, "hugepages");
	wr_cure_module(exam, "vfio_iommu_type1", "dma_entry_limit=512000");
	wr_report(exam, WEIR_HOST_NOTE, file, "a type1 container may have %lu mappings: a program "
		  "that maps page by page, without hugepages, gets ENOSPC after %lu MiB", limit,
		  limit >> 8);
}

static void check_kvm(struct wr_exam *exam)
{
	static const char *const modules[] = { "kvm_intel", "kvm_amd", "kvm_hv" };

	if (wr_root_has(exam->m->root, "/dev/kvm")) {
		wr_report(exam, WEIR_HOST_OK, "/dev/kvm", "KVM is there");
		return;
	}
	/* Nothing keeps a program that isn't a VMM. */
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		if (wr_module_here(exam->m, modules[i])) {
			wr_report(exam, WEIR_HOST_NOTE, "/dev/kvm",
				  "KVM's module %s is loaded, but "
				  "there is no /dev/kvm: the processor's virtualization is off in "
				  "the firmware's setup, or the node isn't given to this container",
				  modules[i]);
			return;
		}
	if (exam->m->virtual)
		wr_cure(exam, "give the VM a processor with virtualization (QEMU: -cpu host, and "
			"nested=1 of the host's KVM)");
	else
		wr_cure(exam, "switch virtualization (VT-x, SVM) on in the firmware's setup; "
			"'modprobe kvm_intel' or 'kvm_amd'");
	wr_report(exam, WEIR_HOST_NOTE, "/dev/kvm",
		  "KVM isn't there: VMs are slow, programs that use "
		  "devices by themselves don't care");
}

const struct wr_check wr_checks_vfio[] = {
	{ { "vfio", false, WEIR_HOST_STOP, "has this kernel VFIO for PCI devices?",
	    "/sys/module/{vfio,vfio_pci} /lib/modules/*/{modules.dep,modules.builtin}" },
	  check_vfio },
	{ { "iommufd", false, WEIR_HOST_NOTE, "is IOMMUFD there?",
	    "/dev/iommu /sys/module/iommufd /lib/modules/*/modules.dep /boot/config-*" },
	  check_iommufd },
	{ { "bar-p2p", false, WEIR_HOST_NOTE,
	    "can devices reach each other's registers under IOMMUFD?",
	    "/proc/sys/kernel/osrelease" }, check_p2p },
	{ { "dma-entry-limit", false, WEIR_HOST_WARNING,
	    "how many mappings may a type1 container have?",
	    "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit /proc/meminfo "
	    "/proc/sys/vm/nr_hugepages" }, check_entries },
	{ { "kvm", false, WEIR_HOST_NOTE, "is KVM there, for VMs?", "/dev/kvm /sys/module" },
	  check_kvm },
	{ .run = NULL },
};
