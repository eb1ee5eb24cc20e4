/* SPDX-License-Identifier: MIT */
/* Facts of a machine under any root, as the checks of weir_host_check() need them. */
#ifndef WR_HOST_MACHINE_H
#define WR_HOST_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "host/host.h"
#include "host/text.h"

enum wr_cpu {
	WR_CPU_OTHER,
	WR_CPU_INTEL,
	WR_CPU_AMD,
	WR_CPU_X86,	/* another maker's */
	WR_CPU_ARM,
	WR_CPU_POWER,
};

/* By how the initramfs is made. */
enum wr_family {
	WR_FAMILY_OTHER,
	WR_FAMILY_DEBIAN,
	WR_FAMILY_FEDORA,
	WR_FAMILY_ARCH,
	WR_FAMILY_SUSE,
};

/* By how an option gets into the kernel's command line. */
enum wr_boot {
	WR_BOOT_OTHER,
	WR_BOOT_UPDATE_GRUB,
	WR_BOOT_GRUB,		/* grub-mkconfig */
	WR_BOOT_GRUB2,		/* grub2-mkconfig */
	WR_BOOT_GRUBBY,
	WR_BOOT_KERNELSTUB,
	WR_BOOT_PROXMOX,	/* proxmox-boot-tool with systemd-boot */
	WR_BOOT_KERNEL_CMDLINE,	/* /etc/kernel/cmdline for kernel-install and unified images */
	WR_BOOT_RPM_OSTREE,
	WR_BOOT_BOOTC,
	WR_BOOTS,
};

/* What a bridge's registers say of how it keeps apart what is behind it. */
enum wr_port {
	WR_PORT_OTHER,		/* no bridge, a root port, or one that does what it should */
	WR_PORT_UNREAD,		/* it couldn't be read, or not without waking it */
	WR_PORT_NO_ACS,		/* a switch's port without ACS, or without any to be trusted */
	WR_PORT_ACS_OFF,	/* a switch's port with ACS, of which a part is off */
	WR_PORT_CONVENTIONAL,	/* all on the bus behind it hear each other */
};

#define WR_XEN_FEATURES "/sys/hypervisor/properties/features"
#define WR_ACPI "/sys/firmware/acpi/tables"

struct wr_machine {
	const char *root;
	char release[128];	/* of the kernel; "" when it can't be read */
	unsigned int version;	/* WR_VERSION() of that, 0: unknown */
	char *cmdline;		/* these are never NULL */
	char *log;		/* the kernel's lines about devices, IOMMUs and limits */
	int log_error;		/* why it can't be read; -ENOENT: a tree without it */
	enum wr_cpu cpu;
	const char *table;	/* the ACPI table that describes IOMMUs, or NULL */
	bool power_nv;		/* POWER without a hypervisor */
	bool dom0;		/* no VM, but Xen is below and has the IOMMU */
	bool virtual;		/* a VM */
	char virtual_file[64];	/* which says so */
	char virtual_name[64];
	enum wr_family family;
	enum wr_boot boot;
	uint64_t memory;	/* bytes, 0: unknown */
	uint64_t memlock;	/* the caller's limit, bytes; UINT64_MAX: none */
	bool memlock_known;
	char *config;		/* the kernel's own, "" when it can't be read; and its file */
	char config_file[WR_LINE_MAX];
	/* "FILE LIST" of each of modprobe's files that tells vfio-pci by ids= what to take. */
	char *ids;
	unsigned char *ports;	/* of each function of the scan, an enum wr_port */
};

#define WR_VERSION(major, minor) ((major) << 16 | (minor))

/*
 * The facts of the machine of a scan: read at the first call, and as they were then from there on.
 * NULL, with a message: no memory.
 */
struct wr_machine *wr_machine(const struct weir_host *host);

/* NULL is fine. */
void wr_machine_free(struct wr_machine *m);

/* Look at all bridges that are awake. Returns NULL when there is no memory. */
unsigned char *wr_find_ports(const struct weir_host *host);

bool wr_is_x86(const struct wr_machine *m);

/* What a line of /proc/meminfo has behind "@key:", "" without such a line; or -errno. */
int wr_meminfo(const char *root, const char *key, char value[WR_LINE_MAX]);

/*
 * Whether a process, by its status in /proc, has CAP_IPC_LOCK: then the kernel doesn't look at its
 * limit (lock_cap of vfio_iommu_type1.c).
 */
bool wr_may_lock_all(const char *root, const char *status);

/* Whether the kernel has it now: loaded or built in; and whether it could be loaded. */
bool wr_module_here(const struct wr_machine *m, const char *name);
bool wr_module_known(const struct wr_machine *m, const char *name);

/* A parameter of a module; path[] gets its file. Returns the length or -errno. */
int wr_module_param(const struct wr_machine *m, const char *module, const char *name,
		    char path[WR_LINE_MAX], char *value, size_t size);

/*
 * Whether the kernel was built with CONFIG_@name: 1 yes, 0 no, and path[] gets what says so;
 * -ENOENT when nothing tells.
 */
int wr_kernel_config(const struct wr_machine *m, const char *name, char path[WR_LINE_MAX]);

#endif
