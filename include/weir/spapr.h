/* SPDX-License-Identifier: MIT */
/*
 * What POWER's IOMMU has and others don't (sPAPR TCE, drivers/vfio/vfio_iommu_spapr_tce.c): windows
 * of IOVAs that are made and removed, memory that is registered ahead of its mapping, another count
 * of what is locked, and EEH. What concerns address spaces is for those whose devices are attached
 * by "spaprv2"; elsewhere it is refused with -ENOTSUP.
 */
#ifndef WEIR_SPAPR_H
#define WEIR_SPAPR_H

#include <weir/ioas.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_device;

/* ---- windows ---- */

/*
 * IOVAs lie in windows, each with a table of one entry (TCE) per page of the window's own size. A
 * mapping lies in one window; address, IOVA and length are multiples of the window's pages, and the
 * memory is made of pages at least as large: of the system's pool (hugetlb) if that is more than
 * the system's own page. There is a default window of 4 KiB pages in the lowest 4 GiB; one
 * more can be made, beyond what 32 bits reach, or in the default one's place.
 *
 * An automatic IOVA lies in a window whose pages are no larger than the system's, the lowest that
 * has room; where there is none, in one of larger pages, if address and length are multiples of
 * them. weir_ioas_allow() with a window's range directs what is mapped from then on into it.
 */

/** weir_window - a window of IOVAs, as it is. */
struct weir_window {
	weir_iova first;	/**< its IOVAs, */
	weir_iova last;		/**< the last one included */
	uint64_t page_size;	/**< of its pages, bytes */
	unsigned int levels;	/**< of its table */
	bool made;		/**< by weir_ioas_add_window(); else it is the default window */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/** weir_window_info - what windows there can be. */
struct weir_window_info {
	uint64_t page_sizes;	/**< bit n set: with pages of 2^n bytes; 0: none can be made */
	unsigned int windows;	/**< so many at once, the default one among them */
	unsigned int levels;	/**< so many at most has a table */
	struct weir_window standard;	/**< the default window, also when it was removed */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/**
 * weir_ioas_window_info() - what windows can be made, as the kernel says
 * (VFIO_IOMMU_SPAPR_TCE_GET_INFO).
 *
 * Returns 0; -ENODEV when no device is attached; -ENOTSUP when one is that has no windows.
 */
WEIR_API int weir_ioas_window_info(struct weir_ioas *as, struct weir_window_info *info);

/**
 * weir_ioas_windows() - the windows that there are, in ascending order. While no device is
 * attached, those that will be made again, or none.
 *
 * Returns their number, of which at most @n are stored; 0 where IOVAs don't lie in windows.
 */
WEIR_API int weir_ioas_windows(struct weir_ioas *as, struct weir_window *windows, size_t n);

/** weir_window_opts - all zero: for memory in pages of the system. */
struct weir_window_opts {
	/**
	 * Bytes, a power of two. 0: 2^18 pages of the window, fewer where the machine has less
	 * memory than so many times 4 KiB. The kernel goes through all of them when the window is
	 * removed, its last device is closed, or everything is unmapped at once.
	 */
	uint64_t size;
	/** Of the window's pages, bytes, one of weir_window_info.page_sizes. 0: see @memory. */
	uint64_t page_size;
	/**
	 * Without @page_size: the pages of the memory that is to be mapped there, bytes. The window
	 * gets the largest pages that the host has up to that size. 0: the system's.
	 */
	uint64_t memory;
	/**
	 * Of its table. 0: as few as need no more than 1 MiB of memory in one piece; and if the
	 * kernel hasn't got that, no more than a page.
	 */
	unsigned int levels;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_ioas_add_window() - make a window. A device is attached.
 * @opts: may be NULL.
 * @window: what was made; may be NULL. Where it lies the platform says.
 *
 * The window belongs to the address space: when its last device leaves, the kernel forgets it, and
 * when the next one joins it is made again, with what is mapped in it. A device for which it can't
 * be had at the same IOVAs is refused.
 *
 * Its table counts as locked memory. The kernel has a fault: what counted for a window that the
 * platform then refused goes on to count until the process ends (tce_iommu_create_table()). So weir
 * asks for what the host said that it has, and tries once more only where the kernel had no memory
 * for a table.
 *
 * Returns 0, or with all as it was:
 *  -EINVAL   sizes that are no powers of two, pages or levels that the host doesn't have, or
 *            a size that it refuses
 *  -ENOSPC   there are as many windows as there can be
 *  -EPERM    the platform (pSeries) makes none beside the one that weir_ioas_add_window() made
 *  -ENOMEM   no memory for the table, or RLIMIT_MEMLOCK is too low for it
 *  -ENODEV   no device is attached; or the platform failed to make it. pSeries remembers that
 *            until the machine restarts, and then makes the device no windows at all: what there is
 *            goes on, but once the device is closed it can't be used by VFIO any more
 *  -ENOTSUP, -EDEADLK as weir_ioas_allow()
 */
WEIR_API int weir_ioas_add_window(struct weir_ioas *as, const struct weir_window_opts *opts,
				  struct weir_window *window);

/**
 * weir_ioas_remove_window() - remove a window, the default one too. That one can't be had back on
 * pSeries while another exists. Without a device, a window isn't made again.
 * @first: its first IOVA.
 *
 * Returns 0, or with all as it was: -ENOENT when no window begins there; -EBUSY while something is
 * mapped in it, or weir_ioas_allow() wants it; -ENOTSUP and -EDEADLK as above; or what the kernel
 * says.
 */
WEIR_API int weir_ioas_remove_window(struct weir_ioas *as, weir_iova first);

/* ---- memory that is registered ahead ---- */

/**
 * weir_ioas_register() - pin memory now, and have it counted as locked, so that mapping it needs
 * nothing but a look-up and can't fail for want of pages or limits. It stays so until it is
 * unregistered as often, whatever is mapped of it meanwhile.
 * @vaddr, @len: memory that this process may write, which the kernel asks for even of what devices
 *	only read; page aligned. It may overlap what is registered or mapped here, or by other
 *	address spaces of the process: all of it counts once.
 *
 * Without it each mapping of memory that isn't registered yet registers it, until the last mapping
 * of it goes. That is as good for a few large mappings. But the kernel looks through all pieces
 * that are registered for each page that it maps: many small ones make all mappings slow. So
 * register large memory as a whole before small parts of it are mapped.
 *
 * Of memory from the system's pools (hugetlb) whole pages are registered, if the host makes windows
 * of pages that are larger than the system's.
 *
 * It may be called before a device is attached, and stays when the last one leaves: then it takes
 * effect when one comes, which is refused otherwise (-ENOTSUP when the device's interface pins
 * memory when it maps, as all but "spaprv2").
 *
 * As with what is mapped: memory that is registered must not be unmapped from the process. What is
 * at the address afterwards isn't what devices reach.
 *
 * Returns 0, or with everything as it was:
 *  -EINVAL   not made of pages; or a part of it is registered in this process by others than weir
 *  -EFAULT   not all of it is memory that can be written and pinned for long
 *  -ENOMEM   no memory, or more than RLIMIT_MEMLOCK allows: the message has the limit, what counts
 *            against it, and what is needed
 *  -ENOTSUP  a device is attached by another interface
 *  -EDEADLK, -EPERM as weir_ioas_map()
 * and whatever else VFIO_IOMMU_SPAPR_REGISTER_MEMORY says (arch/powerpc/mm/book3s64/iommu_api.c).
 */
WEIR_API int weir_ioas_register(struct weir_ioas *as, void *vaddr, size_t len);

/**
 * weir_ioas_unregister() - take one weir_ioas_register() back. With the last one the memory is
 * unpinned, but for what other address spaces have of it.
 * @vaddr, @len: as it was registered.
 *
 * Returns 0; -ENOENT when it isn't registered so; -EBUSY when some of it is mapped here, which the
 * message names by its IOVA; -EDEADLK and -EPERM as weir_ioas_map().
 */
WEIR_API int weir_ioas_unregister(struct weir_ioas *as, void *vaddr, size_t len);

/* ---- locked memory ---- */

/** weir_spapr_host - who has the windows' tables. */
enum weir_spapr_host {
	WEIR_SPAPR_HERE,	/**< this machine says, if it is POWER */
	WEIR_SPAPR_POWERNV,	/**< the kernel, and a copy of each with the program's addresses */
	WEIR_SPAPR_PSERIES,	/**< the hypervisor; the kernel has the copy */
};

/** weir_spapr_locked_opts - what is to be locked by one process. */
struct weir_spapr_locked_opts {
	/** 1: it counts as by "spapr"; 2: as by "spaprv2". */
	unsigned int version;
	enum weir_spapr_host host;
	/** The system's page, bytes. 0: this one's. */
	uint64_t page_size;
	/** Version 2: memory that is mapped or registered, bytes; each byte once. */
	uint64_t memory;
	/**
	 * The windows of a container, which are the same in all; the default one is among them.
	 * Of each its IOVAs, @page_size and @levels (0: 1).
	 */
	const struct weir_window *windows;
	size_t n_windows;
	/**
	 * How many containers: weir has one for each IOMMU group in each address space. 0: 1.
	 */
	unsigned int containers;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/** weir_spapr_locked - bytes that count as locked memory of the process. */
struct weir_spapr_locked {
	uint64_t memory;	/**< version 2: what is mapped; 1: the windows, whatever is */
	uint64_t tables;	/**< of the windows */
	uint64_t total;		/**< which RLIMIT_MEMLOCK must allow, besides all else */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/**
 * weir_spapr_locked() - how much RLIMIT_MEMLOCK must allow for what is planned. Nothing is done,
 * and no device needed; it may be asked on any machine, of another.
 *
 * As the kernel counts: version 1 all of each window when a device is attached, used or not
 * (tce_iommu_enable()), version 2 memory once, however often it is mapped; both the tables
 * (tce_iommu_create_table(), pnv_pci_ioda2_get_table_size(), spapr_tce_get_table_size()).
 *
 * Returns 0; -EINVAL for what no such host has, or more than 64 bits.
 */
WEIR_API int weir_spapr_locked(const struct weir_spapr_locked_opts *opts,
			       struct weir_spapr_locked *out);

/* ---- EEH ---- */

/*
 * Extended error handling (Documentation/arch/powerpc/eeh-pci-error-recovery.rst). When a bridge of
 * POWER sees an error of a device, a DMA that isn't allowed, say, it freezes the device's
 * partitionable endpoint (PE): registers read all ones, what is written is lost, and there is no
 * DMA, until it is reset. weir_eeh_recover() does all that is needed. The others are the steps one
 * by one, as a guest's firmware calls have them (PAPR: ibm,set-eeh-option, ibm,set-slot-reset,
 * ibm,read-slot-reset-state2, ibm,configure-pe).
 *
 * A PE is an IOMMU group: what is done to a device is done to all of its group. It is for devices
 * that are attached by "spaprv2" or "spapr".
 *
 * Mappings stay through all of this. It holds the lock of the device's address space: nothing is
 * mapped or unmapped there meanwhile, which of a reset is some seconds.
 *
 * All these calls return -ENOTSUP, with nothing done, when this host has no EEH for the device, or
 * its address space is no POWER's.
 */

/** weir_eeh_state - of a device's PE; the numbers of VFIO_EEH_PE_STATE_… in linux/vfio.h. */
enum weir_eeh_state {
	WEIR_EEH_NORMAL = 0,
	WEIR_EEH_RESET = 1,		/**< a reset is active; PowerNV doesn't tell */
	WEIR_EEH_STOPPED = 2,		/**< frozen: neither registers nor DMA */
	WEIR_EEH_STOPPED_DMA = 4,	/**< registers, but no DMA */
	WEIR_EEH_UNAVAILABLE = 5,	/**< while the host recovers what is above; or for good */
};

/** weir_eeh_state() - returns one of enum weir_eeh_state; or -errno. */
WEIR_API int weir_eeh_state(struct weir_device *dev);

/** weir_eeh_state_name() - "normal", "frozen", …; NULL for a number that is none of them. */
WEIR_API const char *weir_eeh_state_name(int state);

/**
 * weir_eeh_enable() - watch the device, or don't. The kernel always does: to turn it on lets a
 * frozen device go, and to turn it off does nothing (eeh_pe_set_option() in
 * arch/powerpc/kernel/eeh.c).
 *
 * Returns 0; -EIO when EEH is off on this host (the kernel's parameter eeh=off).
 */
WEIR_API int weir_eeh_enable(struct weir_device *dev, bool on);

/**
 * weir_eeh_unfreeze() - let the registers of a frozen device be reached again, to look what is
 * wrong with it; or its DMA go on. Nothing is reset by it.
 * @dma: its DMA, otherwise its registers.
 *
 * Returns 0, also of what isn't frozen; -EIO when it stays so.
 */
WEIR_API int weir_eeh_unfreeze(struct weir_device *dev, bool dma);

/** How to reset a PE. */
enum weir_eeh_reset {
	WEIR_EEH_RESET_END,		/**< end the reset that is active */
	WEIR_EEH_RESET_HOT,		/**< begin one of the bus */
	WEIR_EEH_RESET_FUNDAMENTAL,	/**< begin one of its slot, where there is such; else hot */
};

/**
 * weir_eeh_reset() - begin or end a reset of the device's PE. From its beginning to its end
 * registers read all ones, and config space can't be accessed (-ENODEV). Its end lets the PE go, be
 * it frozen, with its BARs restored. A reset turns bus mastering and message-signalled interrupts
 * off, and the kernel doesn't know of that: disable interrupts before, and enable them behind it.
 * weir_eeh_recover() does. If it can't begin, end it all the same.
 *
 * The kernel waits as long as PAPR says, 250 ms that it is held, and 1.8 s until the device has
 * settled (EEH_PE_RST_HOLD_TIME and EEH_PE_RST_SETTLE_TIME in arch/powerpc/include/asm/eeh.h).
 *
 * Returns 0; -EINVAL for something else than these; -EIO when it doesn't work.
 */
WEIR_API int weir_eeh_reset(struct weir_device *dev, enum weir_eeh_reset how);

/**
 * weir_eeh_configure() - after a reset: have firmware set up the bridges of the PE again.
 *
 * Returns 0; -EIO.
 */
WEIR_API int weir_eeh_configure(struct weir_device *dev);

/**
 * weir_eeh_recover() - bring a device back that is frozen, or that a driver wants reset: reset its
 * PE, as often as three times until it is normal, and set up its bridges. Then bus mastering is as
 * it was, and so is the interrupt set-up; what came meanwhile is lost, INTx isn't masked, and an
 * eventfd of weir_irq_unmask_fd() is to be set again. The device's own state is gone: its driver
 * begins anew. Other devices of its group are reset with it: for each of those disable interrupts,
 * enable them, and turn bus mastering on.
 * @how: WEIR_EEH_RESET_HOT, which does for most, or _FUNDAMENTAL.
 *
 * Meanwhile interrupts can't be set up: -EAGAIN.
 *
 * Returns 0; -EINVAL for another @how; -EAGAIN while the PE is unavailable, or another thread is
 * about it; -EIO when it can't be reset, or doesn't come back. What was well before is as it was
 * then, if it still is; of what was frozen, or is now, interrupts and bus mastering are off, and it
 * can be tried again. If the command register read all ones even when it could be reached, bus
 * mastering stays off, which the log says.
 */
WEIR_API int weir_eeh_recover(struct weir_device *dev, enum weir_eeh_reset how);

/** weir_eeh_error - an error to be made on purpose; the numbers of arch/powerpc's asm/eeh.h. */
struct weir_eeh_error {
	unsigned int function;	/**< EEH_ERR_FUNC_…, 0 to 19: at which access, and of what */
	bool wide;		/**< EEH_ERR_TYPE_64: the address has 64 bits, not 32 */
	uint64_t address;	/**< at which it happens */
	uint64_t mask;		/**< the bits of it that count */
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_eeh_inject() - have the bridge make an error, to see what becomes of it.
 *
 * Returns 0; -EINVAL for no such error, or one that the platform doesn't make; -ENOTSUP also when
 * its firmware makes none; -EIO when that fails.
 */
WEIR_API int weir_eeh_inject(struct weir_device *dev, const struct weir_eeh_error *error);

#ifdef __cplusplus
}
#endif

#endif
