/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups computed, as the kernel computes them, from topology and config space: to say why
 * functions share a group, and what would be if. Part of libweir-host.
 *
 * The rules are those of Linux 7.3 (drivers/iommu/iommu.c, pci_device_group()), which are the same
 * in older kernels; only its list of quirks (drivers/pci/quirks.c) has grown. They hold where
 * groups follow from PCI: for VT-d, AMD-Vi, SMMU, virtio-iommu and RISC-V; not on POWER, where
 * firmware makes them (partitionable endpoints), and on s390, where each function has its own.
 */
#ifndef WEIR_GROUPS_H
#define WEIR_GROUPS_H

#include <weir/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/** weir_host_assume_kind - what is assumed to be other than it is. */
enum weir_host_assume_kind {
	/**
	 * Root ports and switches' downstream ports without ACS isolate, as in the override patch's
	 * pcie_acs_override=downstream, which leaves alone what has ACS.
	 */
	WEIR_ASSUME_DOWNSTREAM,
	/** Functions of multifunction devices without ACS isolate: …=multifunction. */
	WEIR_ASSUME_MULTIFUNCTION,
	/** @function isolates, whether it has ACS or not. */
	WEIR_ASSUME_ACS,
	/**
	 * The kernel was started with pci=config_acs= for @function: bits of its ACS control
	 * register in @mask are as in @bits, the others as firmware left them.
	 */
	WEIR_ASSUME_CONFIG_ACS,
	/** The device of which @function is one is behind @port instead. */
	WEIR_ASSUME_MOVED,
};

/** weir_host_assume - one assumption. */
struct weir_host_assume {
	enum weir_host_assume_kind kind;
	const struct weir_host_function *function;	/**< or NULL, where the kind needs none; the
							 * scan's own, no copy: @port as well */
	const struct weir_host_function *port;		/**< of WEIR_ASSUME_MOVED */
	uint16_t mask, bits;				/**< of WEIR_ASSUME_CONFIG_ACS */
	uint64_t reserved[4];
};

/** weir_host_compute_opts - zero what isn't used. */
struct weir_host_compute_opts {
	const struct weir_host_assume *assume;	/**< @n assumptions, or NULL */
	size_t n;
	bool wake;		/**< read config space also where that wakes what sleeps */
	bool as_booted;		/**< assume besides what weir_host_acs_override() says */
	uint64_t reserved[4];
};

struct weir_host_computed;

/**
 * weir_host_acs_override() - what the kernel's command line tells the ACS override patch to
 * pretend, the value of pcie_acs_override=: "downstream,multifunction,id:8086:a33c", or "".
 *
 * A kernel without the patch takes no notice of it, and nothing tells whether it has the patch but
 * its groups.
 *
 * Returns 0; -EOVERFLOW when @size is too small; -errno when there is a command line that can't be
 * read.
 */
WEIR_API int weir_host_acs_override(const struct weir_host *host, char *buf, size_t size);

/**
 * weir_host_compute() - compute all groups of a machine.
 * @host: must outlive what comes out.
 * @opts: NULL: none.
 * @out: close it with weir_host_computed_close().
 *
 * Reads config space, of which users without privilege see too little. Where the machine has its
 * IOMMU off, the groups are those that it would have with it on.
 *
 * Returns 0; -EINVAL for an assumption that makes no sense; -EBUSY for a move to a port that has a
 * device already; -ENOTSUP on a machine whose groups aren't made so, or that has groups, but those
 * of no-IOMMU mode, and shows no IOMMU; -ENOMEM; as weir_host_acs_override().
 */
WEIR_API int weir_host_compute(const struct weir_host *host,
			       const struct weir_host_compute_opts *opts,
			       struct weir_host_computed **out);

/** weir_host_computed_close() - NULL is fine. Returns 0. */
WEIR_API int weir_host_computed_close(struct weir_host_computed *computed);

/** weir_host_place - where a function is, computed. Groups are numbered from 0 on. */
struct weir_host_place {
	int group;		/**< with all that is assumed; -1: none */
	int held;		/**< with what of that the hardware can do; numbered by itself */
	bool unsure;		/**< its group may have other members, by what couldn't be known */
	bool unread;		/**< its config space couldn't be read, or not enough of it */
	bool asleep;		/**< that is since it would have woken something */
	uint64_t reserved[4];
};

/**
 * weir_host_place() - where a function is: the scan's own, no copy of it.
 *
 * Functions share a group if their .group is the same. Of functions with the same .held and other
 * .group the IOMMU is only told that they are isolated from each other.
 */
WEIR_API struct weir_host_place weir_host_place(const struct weir_host_computed *computed,
						const struct weir_host_function *function);

/** weir_host_sentence - told one sentence after the other, without a full stop. */
typedef void (*weir_host_sentence)(void *arg, const char *sentence);

/**
 * weir_host_why() - explain in words why functions share the group of @function, with all that is
 * assumed: first its own path to the root, then what else is connected to that; and, where nothing
 * is assumed, behind which free ports its device would share with no other.
 * @function: the scan's own, no copy of it.
 *
 * Returns 0, or -ENOMEM.
 */
WEIR_API int weir_host_why(const struct weir_host_computed *computed,
			   const struct weir_host_function *function, weir_host_sentence tell,
			   void *arg);

#ifdef __cplusplus
}
#endif

#endif
