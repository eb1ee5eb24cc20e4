/* SPDX-License-Identifier: MIT */
/*
 * weir_faultq: page faults of devices. A device that can ask for a page that isn't there (PCIe PRI,
 * a stall of an SMMU) waits until it is told that it is there now, or won't be. A page table that
 * was made with a fault queue (weir_hwpt_opts.faults) leaves these answers to who has the queue
 * (drivers/iommu/iommufd/eventq.c; IOMMU_FAULT_QUEUE_ALLOC, Linux 6.11).
 *
 * A device sends several requests as one group, which is answered as a whole. One thread may read
 * while others answer.
 *
 * After fork() the child has the queue's fd as well, until it calls execve(2) or ends, and the
 * kernel keeps a queue as long as one of its fds is open. One that is closed before that is gone
 * for weir, and in the kernel lives until all that has the context's /dev/iommu open is gone.
 */
#ifndef WEIR_FAULTQ_H
#define WEIR_FAULTQ_H

#include <weir/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_faultq;

/**
 * weir_faultq_open() - make a fault queue, for page tables of a context.
 * @out: the queue; close it with weir_faultq_close().
 *
 * Returns 0; -ENOTSUP where there is no IOMMUFD, or none with fault queues; -EPERM as
 * weir_ioas_map() when the context's /dev/iommu was handed over; -EMFILE; -ENOMEM.
 */
WEIR_API int weir_faultq_open(struct weir_iommu *iommu, struct weir_faultq **out);

/**
 * weir_faultq_close() - close a fault queue. NULL is fine. Groups that were taken and not answered
 * are answered as invalid.
 *
 * Returns 0; -EBUSY, and nothing done, while a page table was made with it.
 */
WEIR_API int weir_faultq_close(struct weir_faultq *queue);

/**
 * weir_faultq_fd() - an fd that is readable (poll(2), POLLIN) while the kernel has a group, for the
 * caller's event loop. The kernel gives several at once, which the queue keeps: before the fd is
 * waited for again, weir_faultq_read() must have returned 0.
 *
 * Returns the fd, which stays weir's: don't close it, don't read from it.
 */
WEIR_API int weir_faultq_fd(struct weir_faultq *queue);

/** weir_page - a page that a device asks for. */
struct weir_page {
	weir_iova iova;		/**< an address in it */
	uint32_t len;		/**< bytes that it is going to ask for from there on; 0: unknown */
	bool read, write;	/**< what for */
	bool exec, priv;	/**< with a PASID: to execute, privileged */
};

/** weir_page_group - pages that a device asks for at once, and that are answered at once. */
struct weir_page_group {
	struct weir_device *dev;	/**< who asks */
	bool has_pasid;			/**< in its address space @pasid */
	uint32_t pasid;
	uint32_t index;			/**< the device's number for the group (PRGI) */
	uint64_t id;			/**< for weir_faultq_answer(); none is used twice */
	size_t n;			/**< how many pages */
	const struct weir_page *pages;	/**< good until the next weir_faultq_read() */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/**
 * weir_faultq_read() - take the oldest group of page requests. One thread at a time.
 * @timeout: milliseconds to wait for one; 0: not at all; negative: without end.
 * @group: filled. Its .dev must not be used once that device is closed.
 *
 * Each group must be answered, by weir_faultq_answer() or weir_faultq_expire(); the device waits
 * meanwhile. Groups of a device that is detached from the page table, or closed, are answered by
 * the kernel, as invalid: those not taken yet aren't seen any more. Requests of a device that has
 * the queue twice, by itself and by a PASID, are told apart by .has_pasid.
 *
 * Returns 1 with @group filled; 0 when there was none in that time; -EINTR when a signal came;
 * -ENOMEM, and the group can be taken again; -EIO when the kernel says what can't be; -EPERM in a
 * child after fork().
 */
WEIR_API int weir_faultq_read(struct weir_faultq *queue, int timeout,
			      struct weir_page_group *group);

/**
 * weir_faultq_answer() - answer a group.
 * @id: that of the group.
 * @mapped: the pages are there now: the device tries again; otherwise it is told that the request
 *	was invalid.
 *
 * Returns 0; -ENOENT when no such group is waiting: it was answered before, or its device was
 * detached meanwhile; or what the kernel says, and it goes on waiting.
 */
WEIR_API int weir_faultq_answer(struct weir_faultq *queue, uint64_t id, bool mapped);

/**
 * weir_faultq_expire() - answer as invalid what was taken and has waited for too long.
 * @age: milliseconds since it was taken; 0: all.
 *
 * Returns how many were answered so; or what the kernel says, of the first that it refuses.
 */
WEIR_API int weir_faultq_expire(struct weir_faultq *queue, unsigned int age);

#ifdef __cplusplus
}
#endif

#endif
