/* SPDX-License-Identifier: MIT */
/*
 * weir_iommu: the context, this process's hold on the IOMMU interfaces. It keeps the group nodes
 * that are open, so that several devices of one IOMMU group can be used, which takes one context:
 * the kernel lets a group node be opened once (drivers/vfio/group.c).
 */
#ifndef WEIR_IOMMU_H
#define WEIR_IOMMU_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_iommu;

/** weir_iommu_opts - all zero means automatic. */
struct weir_iommu_opts {
	/**
	 * Use exactly this interface for kernel devices: "type1v2" or "type1". NULL: what the
	 * environment's WEIR_IOMMU names, or else the first that works. Devices of the software
	 * IOMMU ("soft:…") are not concerned.
	 */
	const char *interface;
	/**
	 * Width of IOVAs on the software IOMMU, in bits: 39, 48 or 57, by tables of 3, 4 or 5
	 * levels. 0: what the environment's WEIR_SOFT_BITS says, or else 48.
	 */
	unsigned int soft_bits;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_iommu_open() - make a context. No node is opened before a device needs it.
 * @opts: may be NULL.
 * @out: the context; close it with weir_iommu_close().
 *
 * Returns 0; -EINVAL for an unknown interface or width; -ENOMEM.
 *
 * Thread rules, for every object of weir unless its own header says otherwise: calls on
 * different objects, and on one object, may run at the same time in different threads; closing
 * an object must not run beside another call on the same object.
 *
 * After fork(), a child's calls with what the parent opened fail with -EPERM, closing included, and
 * change nothing; the child may open its own. Look-ups alone answer, with what was mapped at the
 * fork. Memory of a weir_mem, files that weir mapped, and mapped registers aren't inherited: to
 * touch them in the child is a fault. The caller's own memory is left alone; but see
 * madvise(MADV_DONTFORK), since the kernel may copy pinned pages when one of the two writes.
 */
WEIR_API int weir_iommu_open(const struct weir_iommu_opts *opts, struct weir_iommu **out);

/**
 * weir_iommu_close() - give the context up. NULL is fine.
 *
 * Returns 0; -EBUSY, and nothing done, while a device or an address space made from it is open.
 */
WEIR_API int weir_iommu_close(struct weir_iommu *iommu);

#ifdef __cplusplus
}
#endif

#endif
