/* SPDX-License-Identifier: MIT */
/* What the kernel uses a function for: what must not vanish from under the machine. */
#ifndef WR_HOST_USE_H
#define WR_HOST_USE_H

#include "host/host.h"

enum {
	WR_USE_NONE,
	WR_USE_VFS,	/* it has VFs, and there is no other use */
	WR_USE_SOME,	/* who asks for it may end that use */
	WR_USE_ROOT,	/* the root file system: without it nobody can give it back */
};

#define WR_USE_MAX 512

/*
 * Whether a function is in use: by which use, and which file says so, in @use. Returns one of the
 * above, or -errno with a message when that can't be told.
 */
int wr_use(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX]);

/* Its parts: below a disk, by the network, by VFIO's users. */
int wr_use_block(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX]);
int wr_use_net(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX]);
int wr_use_vfio(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX]);

/* The node under /dev/vfio/devices (vfio0, or noiommu-vfio0 without an IOMMU), or "". */
void wr_cdev(const char *root, const char *address, char node[64]);

/*
 * What of a class of devices belongs to a function: the entries of ROOT/sys/class/CLASS whose
 * path leads through it.
 */
struct wr_class {
	const char *address;
	struct wr_folder folder;
	DIR *dir;			/* NULL: it isn't there */
	char target[WR_PCI_PATH_MAX];	/* of the entry's link */
};

/* Begin; the next entry's name, or NULL, which ends it. A class that isn't there is empty. */
int wr_class_open(struct wr_class *class, const char *root, const char *name, const char *address);
const char *wr_class_next(struct wr_class *class);
void wr_class_close(struct wr_class *class);

/* The same for all of its entries, with each one's target at hand. */
const char *wr_class_any(struct wr_class *class);

/* Whether an absolute path has such a part. */
bool wr_path_has(const char *path, const char *part);

/*
 * Whether a node can't be opened so because it is open already: 1 or 0; -EACCES or -EPERM with a
 * message for a user who may not open it at all. Below a root nodes are files, and nobody has them.
 */
int wr_is_busy(const char *root, const char *node, int flags);

#endif
