/* SPDX-License-Identifier: MIT */
/*
 * What every weir header needs: the export mark and the type of an I/O virtual address.
 */
#ifndef WEIR_TYPES_H
#define WEIR_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_API __attribute__((visibility("default")))

/*
 * sparse (__CHECKER__) refuses to pass a plain integer or a converted pointer where a weir_iova
 * is wanted, and the other way round; compilers see an unsigned 64-bit integer.
 */
#ifdef __CHECKER__
#define WEIR_NOCAST __attribute__((nocast))
#else
#define WEIR_NOCAST
#endif

/**
 * weir_iova - an I/O virtual address, in bytes: what a device puts on the bus and the IOMMU
 * translates. Never a pointer, and no physical address either, except under no-IOMMU.
 */
typedef uint64_t WEIR_NOCAST weir_iova;

/** weir_dma_dir - which way data may move through a mapping, seen from memory. */
enum weir_dma_dir {
	WEIR_DMA_BOTH,		/**< the device may read and write the memory */
	WEIR_DMA_TO_DEVICE,	/**< the device may only read it */
	WEIR_DMA_FROM_DEVICE,	/**< the device may only write it; on PowerNV it can read it, too */
};

#endif
