/* SPDX-License-Identifier: MIT */
#ifndef WR_HOST_HOST_H
#define WR_HOST_HOST_H

#include <limits.h>

#include <weir/host.h>

#include "base/root.h"
#include "host/unpack.h"
#include "pci/sysfs.h"

/* What is kept open while functions are looked at. A folder that isn't there has the fd -1. */
struct wr_scan {
	const char *root;
	struct wr_folder devices;	/* /sys/bus/pci/devices */
	struct wr_folder nodes[2];	/* where the nodes of VFIO's groups show */
	bool vfio_devices;		/* VFIO is there and says which functions it has */
	struct wr_folder above;		/* where the last function lay, and so its siblings */
	char above_path[PATH_MAX];	/* by the text of its link, "" for none */
};

/* A function in a group. */
struct wr_grouped {
	int group;
	int function;	/* its place in the list */
};

/* What was read of a function or a group before anybody asked. */
struct wr_reset {
	char methods[128];
	int len;		/* negative: it couldn't be read */
};

struct wr_told {
	struct weir_host_group group;
	bool read;
};

struct weir_host {
	char *root;
	unsigned int wishes;			/* of enum weir_host_wish */
	struct wr_unpacked unpacked;		/* the root, if it was an archive */
	struct wr_scan scan;
	struct wr_folder groups;		/* /sys/kernel/iommu_groups, or fd -1 */
	struct weir_host_function *functions;	/* by address */
	int count;
	struct wr_grouped *grouped;		/* by group, then by address */
	int n_grouped;
	char (*iommus)[64];			/* by name */
	int n_iommus;
	struct wr_reset *resets;		/* of each function, or NULL */
	struct wr_told *told;			/* groups, by number, or NULL */
	int n_told;
	/* What all checks need, from the first on: machine.h. */
	struct wr_machine *machine;
};

/*
 * Whether another machine's root can be looked into: S_IFDIR, or S_IFREG, which may be an archive.
 * Returns 0, or -errno with a message.
 */
int wr_root_type(const char *root, mode_t *type);

/* @root must live as long. Returns 0, or -errno without a message. */
int wr_scan_open(struct wr_scan *scan, const char *root);
/*
 * The same with a message, in which the root has the @name that its user gave it: -ENOENT when
 * there is no PCI bus in it.
 */
int wr_open_bus(struct wr_scan *scan, const char *root, const char *name);
void wr_scan_close(struct wr_scan *scan);

/*
 * A function's folder, to be left by wr_folder_leave(). @fn, which may be NULL, is told what the
 * path says of its place. Returns 0, or -errno without a message: -EXDEV when it leads out of the
 * root.
 */
int wr_scan_enter(struct wr_scan *scan, const char *address, struct wr_folder *folder,
		  struct weir_host_function *fn);

/*
 * Read what is known of the function at fn->address without waking it, and its reset methods if
 * they are wanted. Returns 0; -ENOENT when it isn't there (any more); other errors with a message.
 */
int wr_scan_function(struct wr_scan *scan, struct weir_host_function *fn, bool brief,
		     struct wr_reset *reset);

/* The same for one alone. */
int wr_host_scan(const char *root, struct weir_host_function *fn);

/* The function at an address as the kernel writes it; NULL for none of the list. */
const struct weir_host_function *wr_host_search(const struct weir_host *host, const char *address);

/* Whether a name is an address as the kernel writes it. */
bool wr_is_address(const char *name);

/* Look at all functions of the list, and drop those that vanish; and at all groups. As below. */
int wr_host_look(struct weir_host *host);
int wr_host_look_at_groups(struct weir_host *host);

/* As weir_host_group(), from the files. */
int wr_host_group_read(const struct weir_host *host, int number, struct weir_host_group *out);

/* Order the functions that are in groups; note the IOMMUs; tell functions their slots. Return 0, or
 * -errno with a message. */
int wr_host_find_groups(struct weir_host *host);
int wr_host_find_iommus(struct weir_host *host);
int wr_host_find_slots(struct weir_host *host);

#endif
