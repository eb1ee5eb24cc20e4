/* SPDX-License-Identifier: MIT */
/*
 * A model of QEMU's educational PCI device, "edu", written from its published description
 * (docs/specs/edu.rst in QEMU's source). A driver for the one works with the other.
 */
#ifndef MODELS_EDU_EDU_H
#define MODELS_EDU_EDU_H

#include <weir/model.h>

/** edu_model_opts - all zero means QEMU's defaults. */
struct edu_model_opts {
	unsigned int dma_bits;	/**< address bits of its DMA engine, 12 to 64; 0: 28 */
	bool big_endian;	/**< registers as QEMU's has them in a machine of POWER */
};

/**
 * edu_model_create() - make one; open it with weir_device_open_model().
 * @opts: may be NULL.
 * @out: destroy it with edu_model_destroy().
 *
 * Returns 0, -EINVAL, -ENOMEM or -EAGAIN (no thread for its engine).
 */
int edu_model_create(const struct edu_model_opts *opts, struct weir_model **out);

/** edu_model_destroy() - NULL is fine. Returns 0; -EBUSY, and nothing done, while it is opened. */
int edu_model_destroy(struct weir_model *model);

#endif
