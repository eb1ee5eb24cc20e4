/* SPDX-License-Identifier: MIT */
/*
 * A kernel that binds drivers, behind the seam: what is written to the attributes of a tree
 * (tree.h) comes true in it. Each call that changes something can be made to fail, or to be the
 * last of its process.
 */
#ifndef FAKE_SYSFS_H
#define FAKE_SYSFS_H

#include <ifaddrs.h>
#include <stdbool.h>
#include <sys/types.h>

#define FAKE_NODES 8
#define FAKE_KILLED 42

struct fake_sysfs {
	const char *root;
	int calls;		/* that change something, so far */
	int fail_at;		/* that one fails with -EIO; 0: none */
	bool fail_on;		/* and all after it */
	int kill_at;		/* at that one the process ends with FAKE_KILLED; 0: none */
	const char *busy;	/* opening that path below the root is -EBUSY */
	const char *denied;	/* and that one -EACCES */
	bool no_cdev;		/* built without CONFIG_VFIO_DEVICE_CDEV */
	bool noiommu;		/* what nodes there are is said to be without an IOMMU */
	bool stubborn;		/* drivers/vfio-pci/bind answers -EINVAL */
	bool deaf;		/* drivers/vfio-pci/bind does nothing, and says that all is well */
	bool power;
	bool holders;		/* processes are asked who has nodes open; else nobody has */
	int late_group;		/* for functions without one when vfio-pci is tried; 0: none */
	int loads;
	struct ifaddrs *addresses;
	/* Owners of nodes: a test that isn't root couldn't change them. */
	struct fake_node {
		char path[128];
		uid_t uid;
		gid_t gid;
		mode_t mode;
	} nodes[FAKE_NODES];
};

/* Shared with children, who may be killed. */
extern struct fake_sysfs *fake_sysfs;

/* Put it behind the seam, with a tree that has what every machine has; and back. */
void fake_sysfs_start(const char *root);
void fake_sysfs_stop(void);

/*
 * A function with a header of type 0, in a group (-1: none), whose own driver is that (NULL: none)
 * and bound. Its VFIO nodes come and go with vfio-pci.
 */
void fake_function(const char *address, int group, const char *driver);

/* Whose a node is: NULL when it is root's, as it came. */
struct fake_node *fake_owner(const char *path);

/* The state of a function, "nvme/vfio-pci": driver and override, "-" for none. Good until the next
 * eight calls. */
const char *fake_state(const char *address);

#endif
