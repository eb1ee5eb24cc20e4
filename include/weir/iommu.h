/* SPDX-License-Identifier: MIT */
/*
 * weir_iommu: the context, this process's hold on the IOMMU interfaces: one /dev/iommu, or the
 * group nodes that are open. Several devices of one IOMMU group can be used by one context only:
 * the kernel lets a group node be opened once (drivers/vfio/group.c), and a group have one IOMMUFD.
 */
#ifndef WEIR_IOMMU_H
#define WEIR_IOMMU_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_iommu;

/**
 * weir_accounting - with what the memory that IOMMUFD pins is counted, against the limit of locked
 * memory of the process that maps it (RLIMIT_MEMLOCK; drivers/iommu/iommufd/pages.c). A process
 * with CAP_IPC_LOCK has no limit.
 */
enum weir_accounting {
	/** As the kernel has it by itself: by user. */
	WEIR_ACCOUNTING_AUTO,
	/** With what all processes of the user have pinned, by IOMMUFD and by io_uring. */
	WEIR_ACCOUNTING_USER,
	/**
	 * With what the process has locked and pinned, as VFIO's containers do. It takes
	 * CAP_SYS_RESOURCE.
	 */
	WEIR_ACCOUNTING_PROCESS,
};

/** weir_iommu_opts - all zero means automatic. */
struct weir_iommu_opts {
	/**
	 * Use exactly this interface for kernel devices. In the order in which they are tried:
	 *  "iommufd"  IOMMUFD, and each device by a node of its own (/dev/vfio/devices/vfioN)
	 *  "type1v2"  the container of the device's IOMMU group, /dev/vfio/vfio
	 *  "type1"    the same, version 1
	 *  "compat"   IOMMUFD as that container: /dev/iommu in the place of /dev/vfio/vfio
	 *  "spaprv2"  POWER's container, /dev/vfio/vfio: IOVAs in windows, memory that is
	 *	       registered as it is mapped, and pinned for writing even if it is read only
	 *  "spapr"    the same, version 1: there is one window, all of which counts as locked
	 *	       memory, used or not
	 *  "iommufd-noiommu"  /dev/iommu for devices without an IOMMU, and for them alone, by their
	 *	       own nodes: Linux 7.3; needs @unsafe_noiommu too
	 *  "noiommu"  the same by /dev/vfio/vfio or /dev/iommu as a container, and io_uring
	 * NULL: what the environment's WEIR_IOMMU names, or else the first that works. Devices of
	 * the software IOMMU ("soft:…") are not concerned.
	 */
	const char *interface;
	/**
	 * Width of IOVAs on the software IOMMU, in bits: 39, 48 or 57, by tables of 3, 4 or 5
	 * levels. 0: what the environment's WEIR_SOFT_BITS says, or else 48.
	 */
	unsigned int soft_bits;
	/**
	 * Use @iommufd, an open /dev/iommu, for all devices that are attached by "iommufd". It
	 * stays the caller's, and may be closed at once: weir makes a duplicate.
	 */
	bool use_iommufd;
	int iommufd;
	/**
	 * How IOMMUFD counts what is pinned (IOMMU_OPTION_RLIMIT_MODE): automatic leaves @iommufd
	 * as it is. VFIO's own containers count by process, always. Where it can't be had, IOMMUFD
	 * is refused to devices with -EPERM, and the next interface is tried.
	 */
	enum weir_accounting accounting;
	/**
	 * Consent to devices that no IOMMU holds back ("iommufd-noiommu", "noiommu"): each can read
	 * and write all of the machine's memory, by a bug of its driver as well. They are refused
	 * without it, whatever @interface or WEIR_IOMMU say (drivers/vfio/group.c).
	 */
	bool unsafe_noiommu;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_iommu_open() - make a context. No node is opened before a device needs it.
 * @opts: may be NULL.
 * @out: the context; close it with weir_iommu_close().
 *
 * Returns 0; -EINVAL for an unknown interface, width or accounting, or an fd that isn't IOMMUFD's;
 * -EPERM and -EBUSY when that fd can't be told to count as asked, for lack of CAP_SYS_RESOURCE or
 * because something was made in it already; -ENOMEM.
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
 * Returns 0; -EBUSY, and nothing done, while a device, an address space or a fault queue made from
 * it is open.
 */
WEIR_API int weir_iommu_close(struct weir_iommu *iommu);

/**
 * weir_iommu_fd() - the /dev/iommu that devices are attached by, for calls that weir doesn't make
 * (include/uapi/linux/iommufd.h). What weir made in it is weir's.
 *
 * Returns the fd, which stays weir's: don't close it; it is good as long as a device is attached by
 * "iommufd", or the one that was given as long as the context. -ENODEV when there is none.
 */
WEIR_API int weir_iommu_fd(struct weir_iommu *iommu);

#ifdef __cplusplus
}
#endif

#endif
