/* SPDX-License-Identifier: MIT */
/*
 * weir_ioas: an I/O address space, the mappings IOVA → memory that should hold for the devices
 * attached to it.
 *
 * Mappings may be made before any device is attached: they are recorded, and replayed when a
 * device joins. Each kind of IOMMU interface that the attached devices need holds a copy of them,
 * called a domain; a mapping holds on every domain or on none.
 *
 * The unit of unmap is what one call mapped, as it was mapped. Mappings never overlap in IOVA; the
 * same memory may be mapped at several IOVAs. Lengths, addresses and IOVAs are in bytes and
 * multiples of the system's page size (sysconf(_SC_PAGESIZE)).
 *
 * Memory that is mapped is pinned by the kernel's interfaces and reachable by the devices until
 * it is unmapped: don't unmap it from the process (munmap, free) before. After fork() the kernel
 * may copy pinned pages that the parent writes; memory from weir_mem_alloc() is not inherited,
 * for the caller's own use madvise(MADV_DONTFORK).
 */
#ifndef WEIR_IOAS_H
#define WEIR_IOAS_H

#include <sys/uio.h>

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_iommu;
struct weir_ioas;

/**
 * weir_ioas_open() - make an empty address space.
 * @iommu: the context whose devices may join it; NULL for a private one, closed with it.
 * @out: the address space; close it with weir_ioas_close().
 *
 * Returns 0; -EINVAL (WEIR_IOMMU names no interface), -ENOMEM.
 */
WEIR_API int weir_ioas_open(struct weir_iommu *iommu, struct weir_ioas **out);

/**
 * weir_ioas_close() - drop all its mappings, then the address space. NULL is fine. The memory
 * that was mapped stays the caller's.
 *
 * Returns 0; -EBUSY, and nothing done, while a device is attached, or a weir_mem or a weir_hwpt of
 * it lives.
 */
WEIR_API int weir_ioas_close(struct weir_ioas *as);

/** weir_map_opts - all zero: both directions, an automatic IOVA. */
struct weir_map_opts {
	enum weir_dma_dir dir;
	/** Map at the IOVA given in *iova, or fail. */
	bool fixed;
	/** Automatic IOVA: the last byte mapped must not lie above this one. 0: no such limit. */
	weir_iova limit;
	/**
	 * Without an IOMMU, the memory may lie in several runs: then its IOVA is that of the first,
	 * and weir_ioas_segs() lists them. It makes no difference otherwise.
	 */
	bool scattered;
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_ioas_map() - let the attached devices reach memory.
 * @as: the address space.
 * @vaddr: start of the memory, the caller's; page aligned.
 * @len: bytes; a multiple of the page size, not 0.
 * @opts: may be NULL.
 * @iova: where it was mapped; in with opts.fixed, out otherwise.
 *
 * An automatic IOVA is the lowest that fits: never 0, inside weir_ioas_ranges(), below what the
 * attached devices can drive, below 2^39 until a domain or weir_ioas_allow() says how far it
 * reaches, and aligned for large pages where the memory is. Once returned it stays, whatever
 * devices join. On POWER it lies in a window: see <weir/spapr.h>.
 *
 * Returns 0, or, with everything as it was:
 *  -EINVAL   zero, unaligned or wrapping; outside the usable ranges; reserved fields not zero
 *  -EEXIST   fixed, and it overlaps a mapping, which the message names
 *  -ENOSPC   no room for an automatic IOVA, or the kernel's limit of mappings is reached: see
 *            weir_ioas_caps.mappings; the log warns when little is left
 *  -ENOMEM   no memory, or more than RLIMIT_MEMLOCK lets the kernel pin; the message has the limit,
 *            what counts against it, and what is needed
 *  -EFAULT   @vaddr isn't readable, or not writable where @opts asks for that
 *  -EDEADLK  called by a device model between weir_model_dma_begin() and _end()
 * and whatever else the kernel's VFIO_IOMMU_MAP_DMA says (drivers/vfio/vfio_iommu_type1.c).
 *
 * Without an IOMMU (weir_iommu_opts.unsafe_noiommu) an IOVA is the memory's physical address. The
 * memory is mapped once at a time, and devices can read and write it whatever opts.dir says; by
 * "noiommu" it must be hugetlb's, and writable. What is mapped when the last such device is closed
 * must be unmapped before another device comes. Then also:
 *  -EINVAL   other memory; a fixed IOVA that isn't its address; several runs without opts.scattered
 *  -EEXIST   some of the memory is mapped already
 *  -ENOSPC   it lies above what the attached devices drive, or opts.limit
 */
WEIR_API int weir_ioas_map(struct weir_ioas *as, void *vaddr, size_t len,
			   const struct weir_map_opts *opts, weir_iova *iova);

/**
 * weir_ioas_mapv() - map several pieces of memory, one behind the other in IOVA, as one unit: all
 * or none, unmapped by the first IOVA and the total length.
 * @iov, @n: the pieces; each as @vaddr and @len of weir_ioas_map(), each a mapping of its own for
 *	the kernel's limit. They may be of the same memory.
 *
 * Otherwise as weir_ioas_map(). Without an IOMMU the pieces are where they are, and opts.scattered
 * is needed unless they happen to follow one another.
 */
WEIR_API int weir_ioas_mapv(struct weir_ioas *as, const struct iovec *iov, size_t n,
			    const struct weir_map_opts *opts, weir_iova *iova);

/**
 * weir_ioas_map_fd() - map a file's memory (a memfd's, hugetlbfs's, tmpfs's) without an address of
 * the caller's. weir maps it into the process, shared, until it is unmapped; weir_ioas_to_vaddr()
 * says where. It is not inherited by a child after fork().
 * @fd: open for reading, and for writing where @opts lets devices write. Needed during the call
 *	only: weir makes a duplicate.
 * @offset: where the memory starts in the file; page aligned (to the file's own pages on
 *	hugetlbfs).
 *
 * Returns as weir_ioas_map(), with -EINVAL also for what lies beyond the file's end; or what
 * mmap(2) says.
 */
WEIR_API int weir_ioas_map_fd(struct weir_ioas *as, int fd, uint64_t offset, size_t len,
			      const struct weir_map_opts *opts, weir_iova *iova);

/**
 * weir_ioas_copy() - map what is mapped in an address space once more: in another one of the same
 * context, or in itself at another IOVA. Where devices of both are attached by "iommufd", the
 * kernel pins and counts the memory once for both (IOMMU_IOAS_COPY); else, and when a device is
 * attached later, it is mapped again as if by itself.
 * @as: where it is to be mapped.
 * @from: where it is mapped.
 * @src_iova, @len: a unit there, as for weir_ioas_unmap(); whichever call mapped it.
 * @opts: as for weir_ioas_map(), but that opts.dir can be no more than the unit's. NULL: an
 *	automatic IOVA, and the unit's direction.
 * @iova: as for weir_ioas_map().
 *
 * The copy is a unit of its own, and stays when the other is unmapped: a file that weir mapped,
 * too, stays so until the last of them goes. Memory of weir_mem_alloc() can't be freed before its
 * copies are unmapped. weir_ioas_update_vaddr() is for each of them: the caller's memory must stay
 * where each one has it.
 *
 * Returns as weir_ioas_map(), and: -ENOENT when nothing is mapped at @src_iova; -EINVAL when the
 * unit there isn't the one named, or @from is of another context; -EACCES when opts.dir is more
 * than the unit's; -ENOTSUP for a bar's registers: weir_ioas_map_bar() maps them in both.
 */
WEIR_API int weir_ioas_copy(struct weir_ioas *as, struct weir_ioas *from, weir_iova src_iova,
			    size_t len, const struct weir_map_opts *opts, weir_iova *iova);

/**
 * weir_ioas_unmap() - take one unit back. When it returns, no device reaches the memory; without an
 * IOMMU, where that can't be helped, the kernel may move it or give it to others from then on.
 * @iova: where it starts.
 * @len: its length, as it was mapped; of a batch, the total.
 *
 * Returns 0; -ENOENT when nothing is mapped at @iova; -EINVAL when the unit there is longer or
 * shorter, or @iova lies inside it: the message names it, and nothing changes. -EBUSY when it is a
 * weir_mem's, which weir_mem_free() unmaps, or a weir_hwqueue is there. -EDEADLK as in
 * weir_ioas_map(). -EIO when the kernel unmapped something other than it was asked to: then the
 * unit is given up, the address space is degraded, and the message says what was unmapped.
 */
WEIR_API int weir_ioas_unmap(struct weir_ioas *as, weir_iova iova, size_t len);

/**
 * weir_ioas_unmap_all() - take everything back, by one call of the kernel where it has one
 * (VFIO_DMA_UNMAP_FLAG_ALL, Linux 5.12).
 *
 * Returns 0; -EBUSY while a weir_mem or a weir_hwqueue of the address space lives; otherwise as
 * weir_ioas_unmap().
 */
WEIR_API int weir_ioas_unmap_all(struct weir_ioas *as);

/**
 * weir_ioas_update_vaddr() - the memory of a mapping is at another address of the process now, too:
 * the same pages, of a memfd for instance. Devices go on reaching it meanwhile. From then on
 * look-ups answer with the new address, where it is the youngest mapping, and the old one may be
 * unmapped from the process. Whether the pages are the same nobody checks.
 * @iova, @len: a unit that weir_ioas_map() made.
 * @vaddr: the new address; page aligned.
 *
 * Returns 0; -ENOENT and -EINVAL as weir_ioas_unmap(); -ENOTSUP where the kernel can't be told (by
 * "iommufd" and "compat"; VFIO_UPDATE_VADDR, Linux 5.12, not beside mediated devices), and without
 * an IOMMU; -EFAULT as weir_ioas_map(), on the software IOMMU; -ENOMEM; -EIO when the kernel forgot
 * the old address and doesn't take the new one.
 */
WEIR_API int weir_ioas_update_vaddr(struct weir_ioas *as, weir_iova iova, size_t len, void *vaddr);

/**
 * weir_ioas_to_iova() - the IOVA of an address in mapped memory.
 * @vaddr: any address; exact to the byte.
 * @iova: its IOVA. Memory mapped more than once answers with its oldest mapping.
 * @len: if not NULL, how many bytes from there on are contiguous in IOVA, in that mapping.
 *
 * Takes no lock, and may be called beside map and unmap in other threads: what it answers was true
 * at some moment during the call.
 *
 * Returns 0, or -ENOENT.
 */
WEIR_API int weir_ioas_to_iova(struct weir_ioas *as, const void *vaddr, weir_iova *iova,
			       size_t *len);

/**
 * weir_ioas_to_vaddr() - the memory behind an IOVA, as weir_ioas_to_iova() the other way round.
 *
 * Returns 0, or -ENOENT.
 */
WEIR_API int weir_ioas_to_vaddr(struct weir_ioas *as, weir_iova iova, void **vaddr, size_t *len);

/** What weir_ioas_to_iovas() answers for an address that isn't mapped. */
#define WEIR_IOVA_NONE (~(weir_iova)0)

/**
 * weir_ioas_to_iovas() - the IOVAs of many addresses at once, which is faster than one by one.
 * @vaddrs, @n: the addresses.
 * @iovas: their IOVAs, in the same order; WEIR_IOVA_NONE where one isn't mapped.
 *
 * Otherwise as weir_ioas_to_iova(). Returns how many are mapped, and leaves no message.
 */
WEIR_API size_t weir_ioas_to_iovas(struct weir_ioas *as, const void *const *vaddrs,
				   weir_iova *iovas, size_t n);

/** weir_seg - one run of a buffer that is contiguous in IOVA. */
struct weir_seg {
	weir_iova iova;
	size_t len;
};

/**
 * weir_ioas_segs() - the runs a device must be given to reach a buffer, in the buffer's order.
 * @vaddr, @len: the buffer, exact to the byte; it may span several mappings.
 * @segs: filled with at most @n runs.
 *
 * Drivers that use this and nothing else to learn IOVAs work on every back end, those included
 * where one buffer is scattered.
 *
 * Returns the number of runs, which may be more than @n; -ENOENT when a byte of it isn't mapped;
 * -EINVAL for an empty or wrapping buffer.
 */
WEIR_API int weir_ioas_segs(struct weir_ioas *as, const void *vaddr, size_t len,
			    struct weir_seg *segs, size_t n);

/**
 * weir_ioas_segsv() - as weir_ioas_segs() for several buffers, as if they were one: where the end
 * of one and the start of the next follow one another in IOVA, they share a run.
 * @iov, @n_iov: the buffers; empty ones are passed over.
 */
WEIR_API int weir_ioas_segsv(struct weir_ioas *as, const struct iovec *iov, size_t n_iov,
			     struct weir_seg *segs, size_t n);

/** weir_iova_range - IOVAs from @first to @last, both included. */
struct weir_iova_range {
	weir_iova first;
	weir_iova last;
};

/**
 * weir_ioas_ranges() - where IOVAs can be mapped on all domains, in ascending order. Without a
 * domain: all of them but the interrupt windows that are known in advance; or in both cases what
 * weir_ioas_allow() said.
 *
 * Returns the number of ranges, of which at most @n are stored.
 */
WEIR_API int weir_ioas_ranges(struct weir_ioas *as, struct weir_iova_range *ranges, size_t n);

/**
 * weir_ioas_allow() - IOVAs lie in these ranges alone from now on, automatic and fixed ones, and
 * weir_ioas_ranges() shows them. Devices that are attached must be able to have all of them:
 * one whose IOMMU can't is refused. The kernel is told where it knows of this
 * (IOMMU_IOAS_ALLOW_IOVAS), so that the same holds for what is attached there by other means.
 * @ranges, @n: ascending, not overlapping, and made of whole pages; at most 64. None: IOVAs lie
 *	wherever the attached devices can have them, as if this had never been called.
 *
 * May be called before a device is attached or afterwards. What a device drives
 * (weir_device_opts.dma_bits) is still kept to.
 *
 * Returns 0, or with all as it was: -EINVAL for ranges that aren't as above, or that an attached
 * device's IOMMU can't have; -EBUSY when a mapping lies outside of them; -EDEADLK as
 * weir_ioas_map(); -ENOMEM; or what the kernel says.
 */
WEIR_API int weir_ioas_allow(struct weir_ioas *as, const struct weir_iova_range *ranges, size_t n);

/**
 * weir_ioas_small_pages() - map by the IOMMU's smallest pages alone, or again by the largest that
 * the memory allows, which is the default. Large pages are faster; with small ones dirty tracking
 * by "iommufd" tells of single pages, and what large ones are worth can be measured.
 * @small: whether.
 *
 * Returns 0, also when it is so already; or with all as it was: -EBUSY when something is mapped;
 * -ENOTSUP when an attached device's interface can't ("iommufd" and the software IOMMU can;
 * IOMMU_OPTION_HUGE_PAGES): such a device isn't attached later, either. -EDEADLK as
 * weir_ioas_map(); or what the kernel says.
 */
WEIR_API int weir_ioas_small_pages(struct weir_ioas *as, bool small);

enum weir_dirty {
	WEIR_DIRTY_NONE,	/**< no dirty tracking */
	WEIR_DIRTY_ALL,		/**< reports every mapped page, the interface knows no better */
	WEIR_DIRTY_EXACT,	/**< reports the pages that a device wrote */
};

/** weir_ioas_caps - what all domains of an address space can do. */
struct weir_ioas_caps {
	unsigned int domains;	/**< how many; without one, all but mappings is zero */
	/**
	 * Bit n set: the IOMMU, or without one the system, has pages of 2^n bytes. By "iommufd" the
	 * smallest alone is told; on POWER those of all windows, of which a mapping uses its own's.
	 */
	uint64_t page_sizes;
	bool isolation;		/**< a device can't reach what isn't mapped */
	bool faults;		/**< weir_ioas_faults() tells of blocked accesses */
	enum weir_dirty dirty;
	bool degraded;		/**< the kernel half did something, as the log tells */
	/**
	 * How many more mappings the kernel takes (type1: dma_entry_limit, 65535 unless changed;
	 * without an IOMMU 16384, one for each GiB);
	 * UINT64_MAX: no limit, or none that it tells.
	 */
	uint64_t mappings;
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/** weir_ioas_caps() - returns 0. */
WEIR_API int weir_ioas_caps(struct weir_ioas *as, struct weir_ioas_caps *caps);

/**
 * weir_ioas_dirty_start(), weir_ioas_dirty_stop() - switch dirty tracking on and off, on every
 * domain. Starting what is started, and stopping what is stopped, does nothing. It stops by itself
 * when the last device has left, and the last weir_hwpt is freed.
 *
 * Returns 0; -ENOTSUP when weir_ioas_caps() says WEIR_DIRTY_NONE; -ENODEV without a domain; -EBUSY
 * while a weir_hwpt is tracked by itself; -EDEADLK as in weir_ioas_map().
 */
WEIR_API int weir_ioas_dirty_start(struct weir_ioas *as);
WEIR_API int weir_ioas_dirty_stop(struct weir_ioas *as);

/**
 * weir_ioas_dirty_read() - which pages a device wrote since tracking started or since they were
 * last read.
 * @iova, @len: a range of whole mappings.
 * @bitmap: one bit per system page, bit 0 of word 0 for the first; bits are only ever set. It
 *	has room for @len / page size bits, in whole words. By "iommufd" all pages of a large one
 *	that is written to are reported: see weir_ioas_small_pages().
 *
 * Returns the number of pages reported; -EINVAL when the range is empty, unaligned or cuts a
 * mapping, or tracking is off; -ENOTSUP, -ENODEV and -EDEADLK as above; -ENOMEM.
 */
WEIR_API int weir_ioas_dirty_read(struct weir_ioas *as, weir_iova iova, size_t len,
				  uint64_t *bitmap);

/** weir_fault - an access of a device that the IOMMU blocked. */
struct weir_fault {
	weir_iova iova;		/**< the address of the first byte that was blocked */
	uint16_t requester;	/**< bus << 8 | device << 3 | function */
	bool write;		/**< the device wanted to write; otherwise to read */
	/**
	 * What it was, by the numbers of the IOMMU's own specification; on the software IOMMU
	 * those of VT-d's, section 7.1.3.
	 */
	uint32_t reason;
	const char *text;	/**< the reason in words; constant */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/**
 * weir_ioas_faults() - take the oldest recorded faults, at most @n, out of the record.
 *
 * The record is short: when it is full, new faults are dropped, as VT-d hardware does.
 *
 * Returns the number taken, 0 when there are none; -ENOTSUP when no domain records faults (the
 * kernel's VFIO interfaces put them into the kernel's log only).
 */
WEIR_API int weir_ioas_faults(struct weir_ioas *as, struct weir_fault *faults, size_t n);

/**
 * weir_ioas_export() - hand an address space over to another process, with its devices and all that
 * is mapped, while the devices run: to a broker's client, or to a new version of the program, be it
 * a process of its own or what this one executes. Devices go on reaching the memory at the same
 * IOVAs, and interrupts signal the same eventfds, whichever process has it, or none for a while.
 * @fds: filled with the fds that the other process needs, in the order in which
 *	weir_ioas_import() wants them. They stay weir's, close on exec, and good until the address
 *	space is kept or closed: pass them by SCM_RIGHTS (unix(7); the kernel takes 253 at once), or
 *	let them be inherited (FD_CLOEXEC). Who has them has the devices and the memory.
 * @n: room in @fds.
 *
 * It goes when its devices are attached by "iommufd", all in one domain, no other address space of
 * its context is, and all that is mapped is files' memory: from weir_ioas_map_fd(), or a weir_mem
 * with opts.shared, or copied from such (weir_ioas_copy()). What weir_ioas_allow() and
 * weir_ioas_small_pages() asked for goes with it. Of interrupts those go that signal eventfds of
 * weir's; the caller's own (weir_irq_set()) are the caller's to hand over, and go on being
 * signalled.
 *
 * From then on it is another process's: here calls that concern it or its devices fail with
 * -EPERM; look-ups answer still. Closing it, its devices, bars and weir_mem closes what this
 * process has of it, and leaves all as it is for the other; when nobody has the fds any more, the
 * kernel resets the devices and drops the mappings. A weir_mem that is freed takes its copies in
 * this address space along. weir can't stop accesses to mapped registers and memory: leave them
 * alone. No other device can be attached by "iommufd" in this context before the address space is
 * closed.
 *
 * As with closing, no other call but look-ups may run on the address space or its devices beside
 * it.
 *
 * Returns the number of fds, 3 or more; when that is more than @n, nothing is handed over. Or, with
 * everything as it was:
 *  -ENOTSUP  something is mapped that isn't a file's memory, a bar's registers for instance, or
 *            that the kernel couldn't map by its file, or devices are attached by another
 *            interface, without an IOMMU for instance: the message names it; the kernel is older
 *            than Linux 6.14; what is pinned counts by process (weir_iommu_opts.accounting, or
 *            that of the /dev/iommu that was given); or there are page tables made by hand
 *            (weir_hwpt)
 *  -ENODEV   no device is attached
 *  -EBUSY    another address space of the context is attached by "iommufd" or "iommufd-noiommu",
 *            or has page tables made by hand; or the context has a fault queue
 *  -EIO      the address space is degraded
 *  -EPERM    it is handed over already
 *  -ENOMEM, -EMFILE, -EDEADLK as weir_ioas_map()
 * and what IOMMU_IOAS_CHANGE_PROCESS says (drivers/iommu/iommufd/ioas.c).
 */
WEIR_API int weir_ioas_export(struct weir_ioas *as, int *fds, size_t n);

/**
 * weir_ioas_keep() - take back an address space that was handed over: the other process couldn't
 * import it, or is gone, and has changed nothing. While it uses it this isn't noticed, and both
 * would change the same devices and mappings.
 *
 * Returns 0; -EINVAL when it isn't handed over; -ENODEV when its devices have been closed here;
 * -ENOMEM when what is pinned, if it counts as the other process's, is beyond this one's limit.
 */
WEIR_API int weir_ioas_keep(struct weir_ioas *as);

/**
 * weir_ioas_import() - open an address space that another process handed over.
 * @iommu: the context that it becomes one of, which has no device by "iommufd"; NULL for a private
 *	one, closed with it.
 * @fds, @n: all that weir_ioas_export() gave, in that order. They stay the caller's, who may close
 *	them: weir makes duplicates. A device is only closed when all its fds are.
 * @out: the address space; close it with weir_ioas_close().
 *
 * What is mapped is as if weir_ioas_map_fd() had mapped it here, that of a weir_mem as well: at the
 * same IOVAs; weir_ioas_to_vaddr() says where it is in this process, each copy at an address of its
 * own. What is pinned counts as this process's from now on (RLIMIT_MEMLOCK; for a moment twice,
 * where both are the same user's). Dirty tracking is on if it was, and the limits that
 * weir_ioas_allow() and weir_ioas_small_pages() set hold on.
 *
 * The devices are opened by their names, with weir_device_opts.ioas: they come as they are, without
 * a reset, with the address bits that they drive unless fewer are asked for, and with those
 * interrupts enabled that were, by eventfds of weir's, in which what had been signalled still is
 * (those that signal eventfds of the exporting program's: set them anew). Those that nobody opens
 * are closed with the address space.
 *
 * The exporter may be gone, and mustn't use it any more. Which process has it only the two can
 * know: import it once. What comes is checked, but whether the files are those that the kernel has
 * mapped can't be known: import from who is trusted with the devices.
 *
 * Returns 0, or, with everything as it was:
 *  -EINVAL   too few or too many fds, or not what they should be: the message says which; the
 *            record is damaged, or what it says can't be; another interface is forced; or
 *            @iommu counts by process what is pinned (weir_iommu_opts.accounting)
 *  -ENOTSUP  the record is of another version of weir; or the kernel's part can't go to another
 *            process, as weir_ioas_export() says
 *  -ENODEV   a device isn't in this machine, or in no IOMMU group
 *  -EBUSY    @iommu has devices by "iommufd", or one in the same IOMMU group
 *  -ENOMEM   no memory, or the limit of locked memory is too low
 *  -EMFILE   too many open files
 * and what mmap(2) says.
 */
WEIR_API int weir_ioas_import(struct weir_iommu *iommu, const int *fds, size_t n,
			      struct weir_ioas **out);

#ifdef __cplusplus
}
#endif

#endif
