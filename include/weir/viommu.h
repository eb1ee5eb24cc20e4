/* SPDX-License-Identifier: MIT */
/*
 * weir_viommu: a slice of a real IOMMU for one guest, by which its own stage-1 tables are nested on
 * a nest parent (weir/hwpt.h). It knows the guest's numbers for devices (weir_vdevice), takes the
 * guest's invalidations, reports what concerns the guest (weir_eventq), and where the hardware has
 * them, gives the guest command queues of its own (weir_hwqueue). drivers/iommu/iommufd/viommu.c;
 * IOMMU_VIOMMU_ALLOC, Linux 6.13. VT-d has none: its nested tables are made by weir_hwpt_nest().
 *
 * Devices attached by "iommufd" have it, as far as their IOMMU does.
 */
#ifndef WEIR_VIOMMU_H
#define WEIR_VIOMMU_H

#include <weir/hwpt.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_vdevice;
struct weir_eventq;
struct weir_hwqueue;

/* ---- the vIOMMU ---- */

/** weir_viommu_type - the kernel's numbers (enum iommu_viommu_type). */
enum weir_viommu_type {
	WEIR_VIOMMU_SMMUV3 = 1,
	WEIR_VIOMMU_TEGRA241_CMDQV = 2,	/**< SMMUv3 with NVIDIA's command queues */
};

/** weir_tegra241_viommu - what such a vIOMMU is made with; filled by weir_viommu_alloc(). */
struct weir_tegra241_viommu {
	uint64_t map_offset;	/**< of its VINTF's page 0, for weir_viommu_map() */
	uint64_t map_len;
};

/**
 * weir_viommu_alloc() - make a vIOMMU.
 * @parent: the guest's stage 2, made with opts.nest_parent.
 * @dev: behind the IOMMU that it is a slice of.
 * @type: enum weir_viommu_type, or a number of the kernel's.
 * @data, @len: what goes with the type, in and out; NULL and 0 for SMMUv3, which has none.
 * @out: the vIOMMU; give it back with weir_viommu_free(), before @parent.
 *
 * Returns 0; -ENOTSUP when the IOMMU, or its driver, has none of that type; -EINVAL when @parent
 * isn't a nest parent, of another context, or of no use to the IOMMU; -ENOMEM; and what the
 * kernel says.
 */
WEIR_API int weir_viommu_alloc(struct weir_hwpt *parent, struct weir_device *dev, uint32_t type,
			       void *data, size_t len, struct weir_viommu **out);

/**
 * weir_viommu_free() - give it back. NULL is fine.
 *
 * Returns 0; -EBUSY, and nothing done, while something made from it, or mapped of it, is there.
 */
WEIR_API int weir_viommu_free(struct weir_viommu *viommu);

/**
 * weir_viommu_nest() - as weir_hwpt_nest(), on the vIOMMU. A stream table entry that translates can
 * only be attached to a device with a weir_vdevice, since its events and invalidations need the
 * guest's stream id.
 */
WEIR_API int weir_viommu_nest(struct weir_viommu *viommu, struct weir_device *dev,
			      const struct weir_nested *nested,
			      const struct weir_nested_opts *opts, struct weir_hwpt **out);

/**
 * weir_viommu_invalidate() - as weir_hwpt_invalidate(), of what concerns the whole vIOMMU. The
 * SMMUv3's driver can't be asked whether there is a type: an array of none is -EINVAL. And when it
 * refuses a command, it counts those before as done without having sent them
 * (arm_vsmmu_cache_invalidate()): weir has them done before this returns.
 */
WEIR_API int weir_viommu_invalidate(struct weir_viommu *viommu, uint32_t type, const void *entries,
				    size_t size, size_t n, size_t *done);

/**
 * weir_viommu_map() - map registers that the kernel lends the vIOMMU, for the guest.
 * @offset, @len: as the kernel said in what weir_viommu_alloc() filled.
 * @out: where they are; unmap them with weir_viommu_unmap(). Not inherited after fork().
 *
 * Returns 0; -EINVAL when the kernel lends nothing there; -ENOMEM; and what mmap(2) says.
 */
WEIR_API int weir_viommu_map(struct weir_viommu *viommu, uint64_t offset, uint64_t len, void **out);

/** weir_viommu_unmap() - returns 0, or -EINVAL when that isn't mapped. */
WEIR_API int weir_viommu_unmap(struct weir_viommu *viommu, void *ptr);

/* ---- a device as the guest knows it ---- */

/**
 * weir_vdevice_alloc() - tell a vIOMMU what the guest calls a device.
 * @number: as the hardware's commands and events name it: on SMMUv3 the guest's stream id.
 * @out: the virtual device; give it back with weir_vdevice_free(), before the device is closed,
 *	which answers -EBUSY until then: the kernel would never free its number
 *	(struct iommu_vdevice_alloc).
 *
 * Returns 0; -EEXIST when the device has one already, or the number is another's in this vIOMMU;
 * -EINVAL when it is behind another IOMMU, or of another context; -ENOMEM; and what the kernel
 * says.
 */
WEIR_API int weir_vdevice_alloc(struct weir_viommu *viommu, struct weir_device *dev,
				uint64_t number, struct weir_vdevice **out);

/** weir_vdevice_free() - NULL is fine. Returns 0, or -EPERM in a child after fork(). */
WEIR_API int weir_vdevice_free(struct weir_vdevice *vdevice);

/* ---- events ---- */

/** weir_eventq_type - the kernel's numbers (enum iommu_veventq_type). */
enum weir_eventq_type {
	WEIR_EVENTQ_SMMUV3 = 1,		/**< events of weir_smmuv3_event */
	WEIR_EVENTQ_TEGRA241_CMDQV = 2,	/**< 16 bytes: a map of command queues with errors */
};

/**
 * weir_eventq_open() - have a queue of what happens to a vIOMMU, for the guest to be told.
 * @type: enum weir_eventq_type, or a number of the kernel's, which doesn't check it: of a type that
 *	the IOMMU hasn't got nothing ever comes.
 * @size: bytes of an event; 0 for the types above. The kernel doesn't tell: it must be right.
 * @depth: how many events it keeps, 1 to 524288; what comes while it is full is lost, and counted.
 * @out: the queue; close it with weir_eventq_close(), before the vIOMMU.
 *
 * Returns 0; -EEXIST when the vIOMMU has one of that type; -EINVAL for a size or a depth that can't
 * be; -ENOTSUP (before Linux 6.15); -EMFILE; -ENOMEM.
 */
WEIR_API int weir_eventq_open(struct weir_viommu *viommu, uint32_t type, size_t size,
			      uint32_t depth, struct weir_eventq **out);

/**
 * weir_eventq_close() - NULL is fine. Returns 0, or -EPERM in a child after fork().
 *
 * Such a child has the queue's fd as well, until it calls execve(2) or ends, and the kernel keeps a
 * queue as long as one of its fds is open, and with the queue its vIOMMU, the nest parent and what
 * is mapped there. One that is closed before that is gone for weir, and the rest can be freed; the
 * kernel frees them when all that has the context's /dev/iommu open is gone, and until then the log
 * says what stays.
 */
WEIR_API int weir_eventq_close(struct weir_eventq *queue);

/** weir_eventq_fd() - as weir_faultq_fd(). */
WEIR_API int weir_eventq_fd(struct weir_eventq *queue);

/**
 * weir_eventq_read() - take the oldest event. One thread at a time.
 * @timeout: as of weir_faultq_read().
 * @event: where it goes; as many bytes as an event of the queue has.
 * @lost: set to how many events were lost before this one, or when there is none, after the last;
 *	each is counted once. May be NULL: then they are told of later.
 *
 * Returns 1 with @event filled; 0 when there was none in that time, or when the last were lost;
 * -EINTR when a signal came; -EIO when events are of another size.
 */
WEIR_API int weir_eventq_read(struct weir_eventq *queue, int timeout, void *event, uint64_t *lost);

/**
 * weir_smmuv3_event - an event record of an SMMUv3, little endian, with the guest's stream id
 * (specification, section 7.3).
 */
struct weir_smmuv3_event {
	uint64_t evt[4];
};

/** weir_smmuv3_event_info - the same, decoded. */
struct weir_smmuv3_event_info {
	unsigned int type;	/**< the event's number */
	const char *text;	/**< its name and what it means; constant */
	uint32_t stream;	/**< the stream id */
	bool has_substream;
	uint32_t substream;	/**< the PASID */
	bool has_address;	/**< the event tells of an access: */
	weir_iova address;	/**< to this address; of stage 1 */
	bool read, exec, priv;	/**< to read, or else to write */
	bool stage2;		/**< it was stage 2 that refused it */
	bool stalled;		/**< the access waits for an answer */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/** weir_smmuv3_event_decode() - what an event says. */
WEIR_API void weir_smmuv3_event_decode(const struct weir_smmuv3_event *event,
				       struct weir_smmuv3_event_info *info);

/* ---- queues that the hardware reads by itself ---- */

/** weir_hwqueue_type - the kernel's numbers (enum iommu_hw_queue_type). */
enum weir_hwqueue_type {
	WEIR_HWQUEUE_TEGRA241_CMDQV = 1,
};

/**
 * weir_hwqueue_alloc() - let the hardware read a queue in the guest's memory.
 * @type: enum weir_hwqueue_type, or a number of the kernel's.
 * @index: which of the vIOMMU's: the lowest first.
 * @iova, @len: the memory: where it is in the nest parent's address space. It must be contiguous,
 *	as in one hugepage, and can't be unmapped as long as the queue is there: -EBUSY.
 * @out: the queue; give it back with weir_hwqueue_free(), the highest first, before the vIOMMU.
 *
 * Returns 0; -ENOTSUP when the vIOMMU has no such queues; -ENOENT when the memory isn't mapped;
 * -EFAULT when it isn't contiguous; -EEXIST when that index is in use; -EINVAL; -ENOMEM; and what
 * the kernel says.
 */
WEIR_API int weir_hwqueue_alloc(struct weir_viommu *viommu, uint32_t type, uint32_t index,
				weir_iova iova, uint64_t len, struct weir_hwqueue **out);

/**
 * weir_hwqueue_free() - NULL is fine.
 *
 * Returns 0; -EBUSY while a queue with a higher index is there.
 */
WEIR_API int weir_hwqueue_free(struct weir_hwqueue *queue);

#ifdef __cplusplus
}
#endif

#endif
