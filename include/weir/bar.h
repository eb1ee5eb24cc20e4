/* SPDX-License-Identifier: MIT */
/*
 * weir_bar: a device's registers, mapped into the process where the kernel and the device allow
 * it, and reached by calls where they don't. The accessors are the same for both, so that drivers
 * need no second path.
 *
 * Registers are little-endian unless the accessor says _be. Accesses are made in program order
 * among themselves. Mapped, each is a single volatile access of that width; by calls, the kernel
 * may split one of 8 bytes in two. They are no barriers for DMA memory: see the end of this file.
 *
 * Mapped registers raise SIGBUS when they are touched while the kernel has taken them away
 * (__vfio_pci_memory_enabled() in drivers/vfio/pci/vfio_pci_config.c): while Memory Space Enable
 * in the command register is off, and in D3 or a lower state, whether the driver put the device
 * there or the device lost its power, as at hot-unplug. During a reset a touch waits until the
 * reset is over. A bar that is opened with WEIR_BAR_CALLS never raises SIGBUS: it reads all ones
 * instead. weir_bar_sigbus() lets a driver with mapped registers survive as well.
 *
 * Of a device that has left the bus with its memory space on, reads are all ones without SIGBUS.
 * Ones where a register never has them are the moment to ask weir_device_gone().
 *
 * A child after fork() hasn't got the mapped registers: two processes don't share a device, so
 * touching them there is SIGSEGV (MADV_DONTFORK).
 */
#ifndef WEIR_BAR_H
#define WEIR_BAR_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_device;
struct weir_ioas;
struct weir_map_opts;

/* One mapped part of a bar. */
struct weir_bar_part {
	volatile unsigned char *map;
	uint64_t first;			/* offset in the bar at which it starts */
	uint64_t len;
};

/**
 * weir_bar - opened registers. The members are for the accessors below; leave them alone.
 */
struct weir_bar {
	volatile unsigned char *map;	/* the largest mapped part, NULL when there is none */
	uint64_t map_first;		/* offset in the bar at which it starts */
	uint64_t map_len;		/* its length */
	uint64_t size;			/* of the whole bar */
	struct weir_device *dev;
	unsigned int region;
	unsigned int n_parts;		/* all mapped parts, ascending */
	struct weir_bar_part *parts;
};

/** How to open a bar. */
enum weir_bar_map {
	WEIR_BAR_AUTO,		/**< mapped where weir_region_areas() says so, else by calls */
	WEIR_BAR_CALLS,		/**< not mapped: each access is a call */
	WEIR_BAR_MAPPED,	/**< mapped as a whole, or -ENOTSUP */
};

/**
 * weir_bar_open() - open one of a device's BARs.
 * @region: WEIR_REGION_BAR0 to 5, or WEIR_REGION_ROM.
 * @how: whether to map it.
 * @out: the bar; close it with weir_bar_close() before the device. It may be opened several times.
 *
 * Returns 0; -EINVAL for another region; -ENOENT when the device hasn't got it; -ENOTSUP.
 */
WEIR_API int weir_bar_open(struct weir_device *dev, unsigned int region, enum weir_bar_map how,
			   struct weir_bar **out);

/**
 * weir_bar_close() - unmap and close it. NULL is fine.
 *
 * Returns 0; -EBUSY, and nothing done, while a part of it is mapped by weir_ioas_map_bar(): the
 * message says where.
 */
WEIR_API int weir_bar_close(struct weir_bar *bar);

/**
 * weir_ioas_map_bar() - let the devices of an address space reach a part of a bar, as if it were
 * memory: then two devices exchange data without a detour. It is one unit, which weir_ioas_unmap()
 * takes back; look-ups find it by weir_bar_ptr().
 * @as: any address space of this process; the bar's device need not be attached to it.
 * @bar: a kernel device's, mapped there (weir_bar_ptr()). It stays open until this is unmapped.
 * @offset, @len: in the bar; multiples of the page size.
 * @opts, @iova: as of weir_ioas_map().
 *
 * "type1v2" and "type1" map what they find behind the address (follow_fault_pfn() in
 * drivers/vfio/vfio_iommu_type1.c). IOMMUFD ("iommufd", "compat", and as /dev/vfio/vfio) takes a
 * dma-buf of the bar, for which the kernel must be Linux 6.19 with CONFIG_PCI_P2PDMA
 * (drivers/vfio/pci/vfio_pci_dmabuf.c, iopt_map_dmabuf() in drivers/iommu/iommufd/pages.c). A
 * device that is attached later, by an interface that can't do it, is refused.
 *
 * While the bar's device is reset, gone or in a low-power state, or its memory space is off, what
 * is written there is lost, and what is read is undefined. By type1 the mapping leads there again
 * when the device is back. By IOMMUFD the kernel blocks it for good: unmap it, and map it again.
 * Whether one device can reach the other at all is up to the bridges between them (ACS, PCI
 * Express, section 6.12), and no interface tells.
 *
 * Returns 0, or, with everything as it was:
 *  -EINVAL   not in the bar, the ROM; as weir_ioas_map()
 *  -ENOTSUP  it isn't mapped into the process: opened for calls, I/O ports, a model's; or an
 *            interface of the address space can't do it: "soft", none (no-IOMMU), a kernel that
 *            is too old
 *  -EFAULT, -ENODEV  the device's memory space is off, or it is in a low-power state
 * and otherwise as weir_ioas_map().
 */
WEIR_API int weir_ioas_map_bar(struct weir_ioas *as, struct weir_bar *bar, uint64_t offset,
			       size_t len, const struct weir_map_opts *opts, weir_iova *iova);

/**
 * weir_bar_ptr() - where registers are mapped, for what the accessors can't do, such as vector
 * stores. The caller sees to widths, alignment and byte order.
 *
 * Returns the address of @offset, with @len bytes that are mapped behind it, good until the bar is
 * closed; NULL, and no message, when not all of them are mapped, or @len is 0.
 */
WEIR_API volatile void *weir_bar_ptr(const struct weir_bar *bar, uint64_t offset, uint64_t len);

/**
 * weir_bar_sigbus() - for the caller's handler of SIGBUS: if @addr (siginfo_t.si_addr) is in mapped
 * registers of this bar, put memory that reads all ones in place of their page, so that the access
 * goes on and reads ones, or writes into the void. That page stays ones, whatever becomes of the
 * device, until the bar is closed and opened again. Other pages of the bar are as they were. Don't
 * map such a page for other devices afterwards: by type1 they would reach it, not the device.
 *
 *	static void on_sigbus(int sig, siginfo_t *info, void *context)
 *	{
 *		if (!weir_bar_sigbus(bar, info->si_addr)) {
 *			signal(sig, SIG_DFL);	// not ours: the access repeats, and ends us
 *		}
 *	}
 *
 * installed by sigaction() with SA_SIGINFO. What the driver did meanwhile it did for nothing: once
 * it is out of the handler, and reads ones, it should find out what happened (weir_device_gone()),
 * and begin anew, or close the device.
 *
 * Async-signal-safe: takes no lock, leaves no message, and keeps errno. The bar must not be closed
 * meanwhile.
 *
 * Returns 1 when the access can go on; 0 when @addr isn't this bar's, @bar is NULL, or there is no
 * memory.
 */
WEIR_API int weir_bar_sigbus(const struct weir_bar *bar, const void *addr);

/*
 * What the accessors do outside the largest mapped part: look into the others, then ask the
 * device's transport. An access that can't be made (past the end, unaligned, refused) reads all
 * ones, writes nothing, and leaves a message; so does a read by call of a device that is gone, or
 * that POWER's EEH has stopped (weir/spapr.h). A
 * write to a device that is gone is lost without one where the kernel doesn't notice, as on the
 * bus.
 */
WEIR_API uint64_t weir_bar_read_slow(const struct weir_bar *bar, uint64_t offset,
				     unsigned int width);
WEIR_API void weir_bar_write_slow(const struct weir_bar *bar, uint64_t offset, unsigned int width,
				  uint64_t value);

/* The address of a register that is mapped and aligned, otherwise NULL. */
static inline volatile void *weir_bar_reg(const struct weir_bar *bar, uint64_t offset,
					  unsigned int width)
{
	uint64_t at = offset - bar->map_first;

	if (__builtin_expect(bar->map_len >= width && at <= bar->map_len - width &&
			     !(offset & (width - 1)), 1))
		return bar->map + at;
	return (volatile void *)0;
}

/*
 * On POWER a load of a register may overtake an earlier store to another one, and the other way
 * round; eieio is what holds them (Power ISA, Book II, sections 1.7.1 and 4.6.3).
 */
static inline void weir_bar_order(void)
{
#if defined(__powerpc__)
	__asm__ __volatile__("eieio" ::: "memory");
#endif
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WEIR_LE(bits, x) (x)
#else
#define WEIR_LE(bits, x) WEIR_SWAP##bits(x)
#endif
#define WEIR_SWAP8(x) (x)
#define WEIR_SWAP16(x) __builtin_bswap16(x)
#define WEIR_SWAP32(x) __builtin_bswap32(x)
#define WEIR_SWAP64(x) __builtin_bswap64(x)

/* weir_bar_read_slow() and _write_slow() speak of little-endian registers, as numbers. */
#define WEIR_ACCESSORS(bits)                                                                       \
	static inline uint##bits##_t weir_read##bits(const struct weir_bar *bar, uint64_t offset)  \
	{                                                                                          \
		volatile void *reg = weir_bar_reg(bar, offset, bits / 8);                          \
                                                                                                   \
		if (__builtin_expect(reg != (volatile void *)0, 1)) {                              \
			uint##bits##_t raw;                                                        \
                                                                                                   \
			weir_bar_order();                                                          \
			raw = *(volatile uint##bits##_t *)reg;                                     \
			return (uint##bits##_t)WEIR_LE(bits, raw);                                 \
		}                                                                                  \
		return (uint##bits##_t)weir_bar_read_slow(bar, offset, bits / 8);                  \
	}                                                                                          \
	static inline void weir_write##bits(const struct weir_bar *bar, uint64_t offset,           \
					    uint##bits##_t value)                                  \
	{                                                                                          \
		volatile void *reg = weir_bar_reg(bar, offset, bits / 8);                          \
                                                                                                   \
		if (__builtin_expect(reg != (volatile void *)0, 1)) {                              \
			weir_bar_order();                                                          \
			*(volatile uint##bits##_t *)reg = (uint##bits##_t)WEIR_LE(bits, value);    \
		} else {                                                                           \
			weir_bar_write_slow(bar, offset, bits / 8, value);                         \
		}                                                                                  \
	}

#define WEIR_ACCESSORS_BE(bits)                                                                    \
	static inline uint##bits##_t weir_read##bits##_be(const struct weir_bar *bar,              \
							  uint64_t offset)                         \
	{                                                                                          \
		return WEIR_SWAP##bits(weir_read##bits(bar, offset));                              \
	}                                                                                          \
	static inline void weir_write##bits##_be(const struct weir_bar *bar, uint64_t offset,      \
						 uint##bits##_t value)                             \
	{                                                                                          \
		weir_write##bits(bar, offset, WEIR_SWAP##bits(value));                             \
	}

/**
 * weir_read8/16/32/64(bar, offset), weir_write8/16/32/64(bar, offset, value) - a little-endian
 * register at @offset bytes, which must be a multiple of the width; the value is in the host's
 * byte order.
 *
 * weir_read16/32/64_be(), weir_write16/32/64_be() - the same for a big-endian register.
 */
WEIR_ACCESSORS(8)
WEIR_ACCESSORS(16)
WEIR_ACCESSORS(32)
WEIR_ACCESSORS(64)
WEIR_ACCESSORS_BE(16)
WEIR_ACCESSORS_BE(32)
WEIR_ACCESSORS_BE(64)

#undef WEIR_ACCESSORS
#undef WEIR_ACCESSORS_BE
#undef WEIR_LE
#undef WEIR_SWAP8
#undef WEIR_SWAP16
#undef WEIR_SWAP32
#undef WEIR_SWAP64

/*
 * Barriers between DMA memory and registers.
 *
 * x86 orders stores to memory before later uncached stores, and uncached loads before later
 * loads, so there it suffices to hold the compiler back (Intel SDM volume 3, section 9.2; the
 * kernel's dma_wmb() and dma_rmb() in arch/x86/include/asm/barrier.h).
 */

/** weir_dma_wmb() - what was written to DMA memory is seen before a register written after. */
static inline void weir_dma_wmb(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ __volatile__("" ::: "memory");
#elif defined(__aarch64__)
	__asm__ __volatile__("dmb oshst" ::: "memory");
#else
	__sync_synchronize();
#endif
}

/** weir_dma_rmb() - DMA memory read after is at least as new as the register, or the descriptor in
 *  DMA memory, read before. */
static inline void weir_dma_rmb(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ __volatile__("" ::: "memory");
#elif defined(__aarch64__)
	__asm__ __volatile__("dmb oshld" ::: "memory");
#else
	__sync_synchronize();
#endif
}

/** weir_dma_mb() - both, and stores before later loads. */
static inline void weir_dma_mb(void)
{
	__sync_synchronize();
}

#ifdef __cplusplus
}
#endif

#endif
