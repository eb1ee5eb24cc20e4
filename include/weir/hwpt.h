/* SPDX-License-Identifier: MIT */
/*
 * weir_hwpt: a page table of an IOMMU, made by hand. Each device of an address space translates by
 * a page table that weir and the kernel choose: the automatic one. Who wants another, for what it
 * can do, makes it here and attaches devices to it:
 *
 *  - a paging table has all that is mapped in its address space, now and later. It can be the
 *    stage 2 of a guest (nest parent), be used by PASIDs, tell of dirty pages by itself, or have
 *    page faults answered;
 *  - a nested table is stage 1: a guest's own table in the guest's memory, whose addresses a nest
 *    parent translates further.
 *
 * Devices attached by "iommufd" have all of it (drivers/iommu/iommufd/hw_pagetable.c), as far as
 * their IOMMU does; weir_device_hw_info() tells. Those of the software IOMMU have paging tables,
 * without PASIDs, page faults or nesting. All others have none: -ENOTSUP. weir_errmsg() says what
 * lacks.
 *
 * Order: what is made from an object is freed before it. An address space can't be closed while it
 * has page tables, a page table not freed while a device is attached to it or something is made
 * from it: -EBUSY, with a sentence that names it.
 *
 * Attaching and freeing wait for devices that are being opened or closed in the same context. Calls
 * that change something, freeing and closing included, are refused to a device model between
 * weir_model_dma_begin() and _end(), with -EDEADLK.
 */
#ifndef WEIR_HWPT_H
#define WEIR_HWPT_H

#include <weir/device.h>
#include <weir/ioas.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_hwpt;
struct weir_faultq;
struct weir_viommu;

/* ---- making them ---- */

/** weir_hwpt_opts - all zero: a plain paging table. */
struct weir_hwpt_opts {
	/** Nested tables and a weir_viommu can be made from it. Not with @faults. */
	bool nest_parent;
	/** weir_hwpt_dirty_start() and weir_ioas_dirty_start() work with it. */
	bool dirty;
	/**
	 * It can be attached to PASIDs; and a device that has PASIDs attached can itself only use
	 * such a table (IOMMU_HWPT_ALLOC_PASID).
	 */
	bool pasid;
	/**
	 * Page requests of the devices that use it go there; NULL: they are refused. It must
	 * outlive the page table, and be of the same context.
	 */
	struct weir_faultq *faults;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_hwpt_alloc() - make a paging table of an address space.
 * @as: whose mappings it has; of the device's context, not necessarily the device's own.
 * @dev: behind the IOMMU that it is for. It can be closed afterwards.
 * @opts: may be NULL.
 * @out: the page table; give it back with weir_hwpt_free().
 *
 * The usable IOVAs of the address space shrink to what the page table can have, as long as it is
 * there (weir_ioas_ranges()); mapping takes time and memory for each page table.
 *
 * Returns 0, or with everything as it was:
 *  -ENOTSUP  the device's interface has no page tables by hand, or its IOMMU none of that kind
 *  -EINVAL   @as or the fault queue is of another context; something is mapped, or must be usable
 *            by weir_ioas_allow(), where it can't have it; options that contradict each other
 *  -EPERM    the address space was handed over
 *  -ENOMEM, -EFAULT, -EDEADLK as weir_ioas_map()
 * and what IOMMU_HWPT_ALLOC says.
 */
WEIR_API int weir_hwpt_alloc(struct weir_ioas *as, struct weir_device *dev,
			     const struct weir_hwpt_opts *opts, struct weir_hwpt **out);

/**
 * weir_hwpt_ranges() - where a paging table can have mappings, by itself, in ascending order. Asked
 * before it is made; nothing of it stays.
 * @dev: behind the IOMMU that it is for.
 * @opts: as for weir_hwpt_alloc(): kinds of tables may reach differently far.
 *
 * What is mapped is in all page tables of an address space, so that each, from its making to its
 * freeing, takes away from weir_ioas_ranges() what it can't have; attaching a device to one of them
 * or to another changes nothing there. What devices keep for themselves, as the windows of their
 * interrupts, isn't the table's: it is taken away as long as they are in the address space.
 *
 * Returns the number of ranges, of which at most @n are stored; or as weir_hwpt_alloc().
 */
WEIR_API int weir_hwpt_ranges(struct weir_device *dev, const struct weir_hwpt_opts *opts,
			      struct weir_iova_range *ranges, size_t n);

/** Flags of weir_vtd_s1 (struct iommu_hwpt_vtd_s1). */
enum weir_vtd_s1_flags {
	WEIR_VTD_S1_SRE = 1,	/**< supervisor requests are allowed */
	WEIR_VTD_S1_EAFE = 2,	/**< the extended accessed flag is set */
	WEIR_VTD_S1_WPE = 4,	/**< supervisor writes keep to write protection; with SRE */
};

/** weir_vtd_s1 - a first-stage table of VT-d (specification, section 3.6). */
struct weir_vtd_s1 {
	uint64_t flags;		/**< of enum weir_vtd_s1_flags */
	uint64_t table;		/**< the guest's address of its top-level table, page aligned */
	uint32_t width;		/**< bits of the addresses that it translates: 48 or 57 */
	uint32_t reserved;	/**< zero */
};

/**
 * weir_smmuv3_ste - the first half of a guest's stream table entry, as it is in its memory, little
 * endian (Arm SMMUv3 specification, section 5.2): V, Config, S1Fmt, S1ContextPtr, S1CDMax; EATS,
 * S1DSS, S1CIR, S1COR, S1CSH, S1STALLD; all else zero.
 */
struct weir_smmuv3_ste {
	uint64_t ste[2];
};

/** weir_amd_dte - a guest's device table entry (AMD IOMMU specification, section 2.2.2). */
struct weir_amd_dte {
	uint64_t dte[4];
};

/** weir_nested_type - whose stage 1 it is: the kernel's numbers (enum iommu_hwpt_data_type). */
enum weir_nested_type {
	WEIR_NESTED_RAW = 0,	/**< of a type that weir doesn't know */
	WEIR_NESTED_VTD_S1 = 1,
	WEIR_NESTED_SMMUV3 = 2,	/**< by a weir_viommu alone */
	/**
	 * By a weir_viommu alone. The kernel has no type for AMD's: Linux 7.3's driver makes one of
	 * whatever type but 0 it is asked for (amd_iommufd_get_viommu_size()).
	 */
	WEIR_NESTED_AMD = 3,
};

/** weir_nested - where a nested table is, in its hardware's words. */
struct weir_nested {
	enum weir_nested_type type;	/**< which of these it is */
	union {
		struct weir_vtd_s1 vtd_s1;
		struct weir_smmuv3_ste smmuv3;
		struct weir_amd_dte amd;
		/** The kernel's number of the type, not 0, and what it takes with it. */
		struct {
			uint32_t type;
			uint32_t len;
			const void *data;
		} raw;
	} u;
};

/** weir_nested_opts - all zero: no PASIDs, no page faults. */
struct weir_nested_opts {
	bool pasid;			/**< as in weir_hwpt_opts */
	struct weir_faultq *faults;	/**< the same */
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_hwpt_nest() - make a nested table on a nest parent. weir_viommu_nest() does it on a vIOMMU.
 * @parent: made with opts.nest_parent.
 * @dev: behind the IOMMU that it is for.
 * @nested: the stage 1. What the kernel would find out at attach, or not say, is checked here:
 *	widths, flags, and fields that must be zero.
 * @opts: may be NULL.
 * @out: the page table; give it back with weir_hwpt_free(), before @parent.
 *
 * Returns 0; -EINVAL when @parent is no nest parent or of another context, or @nested isn't as it
 * must be; -ENOTSUP as weir_hwpt_alloc(), and for types that need a vIOMMU; -ENOMEM; and what
 * IOMMU_HWPT_ALLOC says.
 */
WEIR_API int weir_hwpt_nest(struct weir_hwpt *parent, struct weir_device *dev,
			    const struct weir_nested *nested, const struct weir_nested_opts *opts,
			    struct weir_hwpt **out);

/**
 * weir_hwpt_free() - give a page table back. NULL is fine.
 *
 * Returns 0; -EBUSY, and nothing done, while a device or PASID is attached to it, or something
 * is made from it.
 */
WEIR_API int weir_hwpt_free(struct weir_hwpt *hwpt);

/* ---- attaching devices ---- */

/**
 * weir_hwpt_attach() - let a device translate by this page table, instead of what it uses: the
 * automatic one, or another of these, in one step (iommufd_device_do_replace()). Of DMA meanwhile
 * the kernel promises only that it goes by the old one, by the new one, or nowhere
 * (drivers/iommu/iommu.c). VT-d and AMD-Vi block it for a moment, virtio-iommu until all is mapped
 * anew, unless another device uses the table, too: let the device's commands end before.
 * @hwpt: of the device's address space; nested: on a parent of it.
 *
 * All open devices of its IOMMU group go along, since a group has one page table. Page requests
 * that nobody has answered are answered by the kernel, as invalid. When it fails, too, DMA may be
 * blocked for a moment and requests be answered so, since the old page table is attached anew.
 *
 * Returns 0, also when it is attached to it already; or, with everything as it was, unless the
 * message says otherwise:
 *  -EINVAL  another address space's: weir_device_move() first; PASIDs of the device are attached
 *           and the page table isn't made for them; the table is nested on a weir_viommu that has
 *           no weir_vdevice of it, and needs one; dirty tracking is on and it has none; or its
 *           IOMMU can't use it
 *  -ENOENT  that vIOMMU has no weir_vdevice of a device of its group that isn't open
 *  -EBUSY   the device is being reset
 *  -ENOMEM, and what VFIO_DEVICE_ATTACH_IOMMUFD_PT says.
 */
WEIR_API int weir_hwpt_attach(struct weir_hwpt *hwpt, struct weir_device *dev);

/**
 * weir_hwpt_detach() - let a device translate by the automatic page table of its address space
 * again; its group goes along. A device that is closed is detached by that.
 *
 * Returns 0; -EINVAL when it isn't attached to @hwpt, or PASIDs of it are attached, which the
 * automatic table can't be used beside: detach those first; or as weir_hwpt_attach().
 */
WEIR_API int weir_hwpt_detach(struct weir_hwpt *hwpt, struct weir_device *dev);

/**
 * weir_hwpt_attach_pasid() - let what a device does in one of its own address spaces, which it
 * marks with a PASID, translate by this page table, instead of what that PASID uses, if any.
 * @hwpt: made with opts.pasid; of any address space of the device's context.
 * @pasid: 1 or more, of as many bits as weir_device_hw_info() says.
 *
 * The device itself must be attached to a page table with opts.pasid before. What it drives
 * (weir_device_opts.dma_bits) isn't looked at in another address space than its own.
 *
 * Returns 0; -ENOTSUP when the interface has no PASIDs (Linux 6.15), or the device none; -EINVAL
 * for a number beyond that, or when one of the two tables isn't made for it; -EBUSY and -ENOMEM as
 * weir_hwpt_attach(); and what VFIO_DEVICE_ATTACH_IOMMUFD_PT says.
 */
WEIR_API int weir_hwpt_attach_pasid(struct weir_hwpt *hwpt, struct weir_device *dev,
				    uint32_t pasid);

/**
 * weir_hwpt_detach_pasid() - from here on what the device does with this PASID is blocked.
 *
 * Returns 0; -EINVAL when it isn't attached to @hwpt; and what VFIO_DEVICE_DETACH_IOMMUFD_PT says.
 */
WEIR_API int weir_hwpt_detach_pasid(struct weir_hwpt *hwpt, struct weir_device *dev,
				    uint32_t pasid);

/* ---- nested: what the guest has changed ---- */

/** weir_invalidation_type - the kernel's numbers (enum iommu_hwpt_invalidate_data_type). */
enum weir_invalidation_type {
	WEIR_INVALIDATE_VTD_S1 = 0,	/**< of a nested table: weir_vtd_invalidation */
	WEIR_INVALIDATE_SMMUV3 = 1,	/**< of a vIOMMU: weir_smmuv3_command */
};

#define WEIR_VTD_INVALIDATE_LEAF 1	/**< in .flags: leaves alone have changed */

/**
 * weir_vtd_invalidation - translations of a first stage that the guest has changed; the device's
 * own cache (ATS) is invalidated as well. Address 0 and UINT64_MAX pages: all of them.
 */
struct weir_vtd_invalidation {
	uint64_t addr;		/**< of the first page; 4 KiB aligned */
	uint64_t pages;		/**< of 4 KiB */
	uint32_t flags;
	uint32_t reserved;	/**< zero */
};

/**
 * weir_smmuv3_command - a command of the guest's command queue as it is in its memory, little
 * endian (Arm SMMUv3 specification, section 4.1): CMD_TLBI_NSNH_ALL, _NH_ALL, _NH_VA, _NH_VAA,
 * _NH_ASID, CMD_ATC_INV, CMD_CFGI_CD and _CD_ALL, with the guest's stream ids.
 */
struct weir_smmuv3_command {
	uint64_t cmd[2];
};

/**
 * weir_hwpt_invalidate() - tell the hardware what a guest has changed in its stage 1. On return it
 * uses none of what it had read before.
 * @hwpt: a nested table.
 * @type: of the entries; enum weir_invalidation_type, or a number of the kernel's.
 * @entries, @size, @n: an array of @n entries, each of that many bytes. None: only whether there
 *	is such a type is asked for.
 * @done: how many of them were done, in order, also when this fails; may be NULL.
 *
 * Takes no lock.
 *
 * Returns 0; -EINVAL for a type or an entry that it can't be; -ENOTSUP when the table isn't nested,
 * or its IOMMU invalidates by a vIOMMU; or what the kernel says to the first entry not done.
 */
WEIR_API int weir_hwpt_invalidate(struct weir_hwpt *hwpt, uint32_t type, const void *entries,
				  size_t size, size_t n, size_t *done);

/* ---- dirty tracking of one page table ---- */

/**
 * weir_hwpt_dirty_start(), weir_hwpt_dirty_stop() - switch dirty tracking of a paging table on and
 * off: of what the devices write that use it, or a nested table on it. Starting what is started,
 * and stopping what is stopped, does nothing. While the address space tracks
 * (weir_ioas_dirty_start()), its reports have this table's pages, too, and it isn't tracked by
 * itself: -EBUSY; and the other way round.
 *
 * Returns 0; -ENOTSUP for a table made without opts.dirty; or what the kernel says.
 */
WEIR_API int weir_hwpt_dirty_start(struct weir_hwpt *hwpt);
WEIR_API int weir_hwpt_dirty_stop(struct weir_hwpt *hwpt);

/** weir_dirty_opts - all zero: a bit for each page of the system; what is reported is forgotten. */
struct weir_dirty_opts {
	/** Bytes that a bit stands for: a power of two, a page of the system or more. 0: a page. */
	uint64_t granularity;
	/** Pages stay dirty, to be reported again (IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR). */
	bool keep;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_hwpt_dirty_read() - which memory devices wrote by this page table, since tracking started or
 * since it was last read.
 * @iova, @len: a range of IOVAs, aligned to the granularity. What isn't mapped in it isn't dirty.
 * @opts: may be NULL.
 * @bitmap: a bit for each granule from @iova on, bit 0 of word 0 for the first, in whole words;
 *	bits are only ever set, so that several page tables can be read into one bitmap.
 *
 * The IOMMU marks its own pages: of a large one, all of it is reported.
 *
 * Returns 0; -EINVAL when the range is empty or not aligned, or the page table isn't tracked by
 * itself: what its address space tracks, weir_ioas_dirty_read() reads; -ENOTSUP as above; -ENOMEM;
 * or what the kernel says: then what was read already is in the bitmap.
 */
WEIR_API int weir_hwpt_dirty_read(struct weir_hwpt *hwpt, weir_iova iova, uint64_t len,
				  const struct weir_dirty_opts *opts, uint64_t *bitmap);

#ifdef __cplusplus
}
#endif

#endif
