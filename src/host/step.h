/* SPDX-License-Identifier: MIT */
/* The steps by which a function gets from one driver to another: planned, then taken. */
#ifndef WR_HOST_STEP_H
#define WR_HOST_STEP_H

#include "host/journal.h"

#define WR_VFIO_PCI "vfio-pci"

struct wr_plan {
	size_t n;
	struct weir_host_step *steps;
};

/* Returns 0, or -ENOMEM with a message. */
int wr_plan_add(struct wr_plan *plan, enum weir_host_action action, const char *subject,
		const char *from, const char *to, const char *why);
void wr_plan_free(struct wr_plan *plan);

/*
 * What a function has now: its identity, driver and override, but no nodes. Returns 0; -ENOENT
 * without a message when it isn't there; others with one.
 */
int wr_state_read(const char *root, const char *address, struct wr_entry *state);

/*
 * Add the steps that bring a function from one driver and override to others. The override comes
 * first, so that no other driver takes the function while it has none.
 */
int wr_plan_move(struct wr_plan *plan, const struct wr_entry *now, const char *driver,
		 const char *override);

/*
 * Take a step, but for WEIR_HOST_OWNER, and see that it came true. Returns 0, or -errno with a
 * message.
 */
int wr_step_take(const char *root, const struct weir_host_step *step);

/* Bring a function back to what it had, from whatever it has now. Returns 0 or -errno. */
int wr_restore(const char *root, const struct wr_entry *had);

/* Give a node another owner and mode; one that is gone needs none. Returns 0 or -errno. */
int wr_node_set(const char *root, const struct wr_node *node);

/* The module that VFIO's containers need on this architecture. Kernels whose VFIO stands on IOMMUFD
 * alone haven't got it. */
const char *wr_container_module(void);

/*
 * Load a kernel module, unless it is there already. Returns 0; -ENOENT when the kernel has none of
 * that name; -ENOSYS when it isn't there, and libkmod isn't either; other -errno, all without a
 * message. A variable, so that tests load none.
 */
extern int (*wr_module_load)(const char *name);

/* The same by libkmod: -ENOSYS without it. */
int wr_libkmod_load(const char *name);

#endif
