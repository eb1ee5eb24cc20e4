/* SPDX-License-Identifier: MIT */
/*
 * weir_model: a device, the other side of weir_device. A model answers register accesses, does
 * DMA through the IOMMU and raises interrupts; it never knows whether its driver is in the same
 * process or elsewhere.
 *
 * weir keeps the model's config space: ids, BARs, the command register, and the capabilities for
 * PCI Express, MSI and MSI-X, as the description asks for. Others are the model's own, see
 * weir_model_config().
 */
#ifndef WEIR_MODEL_H
#define WEIR_MODEL_H

#include <weir/irq.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_model;

/**
 * weir_model_ops - what a model does. Called by the threads of its driver, several at once: the
 * model locks what it shares. @offset is inside the BAR and a multiple of @width (1, 2, 4 or 8
 * bytes); values are numbers in the host's byte order, registers are little-endian on the bus.
 */
struct weir_model_ops {
	uint64_t (*read)(struct weir_model *model, unsigned int bar, uint64_t offset,
			 unsigned int width);
	void (*write)(struct weir_model *model, unsigned int bar, uint64_t offset,
		      unsigned int width, uint64_t value);
	/**
	 * Back to the state after power-on. No DMA and no interrupt of before may come after it
	 * returns. While it runs the device is cut off: DMA that was under way has ended, and new
	 * DMA and messages are refused with -ENODEV. Also called when a driver lets go of the
	 * device. NULL: the model keeps no state and the device has no function-level reset.
	 */
	void (*reset)(struct weir_model *model);
	/** For later versions; must be NULL. */
	void (*reserved[8])(void);
};

struct weir_model_bar {
	uint64_t size;		/**< bytes, a power of two of at least 16; 0: no such BAR */
	bool is64;		/**< a 64-bit BAR; the next one must then have size 0 */
	bool prefetchable;
};

/** weir_model_desc - what a model looks like; copied by weir_model_create(). */
struct weir_model_desc {
	const char *name;	/**< for messages */
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class_code;	/**< as in weir_device_info */
	uint8_t revision;
	unsigned int dma_bits;	/**< address bits it drives; 0: 64 */
	bool intx;		/**< it has interrupt pin A */
	unsigned int msi;	/**< MSI vectors: 0, 1, 2, 4, 8, 16 or 32 */
	unsigned int msix;	/**< MSI-X vectors: 0 to 2048; the next three say where they are */
	unsigned int msix_bar;	/**< the BAR that holds the table and the pending bits */
	/**
	 * Where in it, in bytes: the table, 16 bytes for each vector, and the pending bits, 8 bytes
	 * for each 64; multiples of 8, below 4 GiB. Best in pages, or a BAR, of their own, so that
	 * what shares their page can be mapped. That part of the BAR is weir's: the model isn't
	 * asked for it. As under VFIO the table reads all ones and what is written there is
	 * dropped; the pending bits are zero, since no vector is ever held back.
	 */
	uint64_t msix_table;
	uint64_t msix_pba;
	/**
	 * A PCI Express device: its capability, of an endpoint integrated into the root complex,
	 * and 4 KiB of config space instead of 256 bytes.
	 */
	bool pcie;
	struct weir_model_bar bars[6];
	/** For later versions; must be zero, anything else is -EINVAL. */
	uint64_t reserved[4];
};

/**
 * weir_model_create() - make a model.
 * @desc, @ops: what it is and does; @ops must stay valid, @desc need not.
 * @priv: for the model's own use, see weir_model_priv(); stays the caller's.
 * @out: the model; destroy it with weir_model_destroy().
 *
 * Returns 0; -EINVAL for a description that no PCI function can have, the message says why;
 * -ENOMEM.
 */
WEIR_API int weir_model_create(const struct weir_model_desc *desc, const struct weir_model_ops *ops,
			       void *priv, struct weir_model **out);

/** weir_model_destroy() - NULL is fine. Returns 0; -EBUSY, and nothing done, while it is opened. */
WEIR_API int weir_model_destroy(struct weir_model *model);

/** WEIR_MODEL_CONFIG_OWN - the first byte of config space that is the model's own. */
#define WEIR_MODEL_CONFIG_OWN 0xa0

/**
 * weir_model_config() - capabilities of the model's own: bytes of its config space, now and from
 * each power-on. What was there is overwritten, and what a driver has written too.
 * @offset, @len: from WEIR_MODEL_CONFIG_OWN on, up to the end of config space: 256, with
 *	desc.pcie 4096. All before it is weir's.
 * @bytes: what the driver reads.
 * @writable: as many bytes; each bit that is set the driver may change. NULL: none.
 *
 * A capability at WEIR_MODEL_CONFIG_OWN is linked to the end of weir's; from there on the links are
 * the model's, and they need not make sense. Extended capabilities start at 0x100, as ever. The
 * model isn't told when a driver writes.
 *
 * Returns 0; -EINVAL when it touches what is weir's, or nothing.
 */
WEIR_API int weir_model_config(struct weir_model *model, unsigned int offset, const void *bytes,
			       const void *writable, size_t len);

/** weir_model_priv() - the @priv of weir_model_create(). */
WEIR_API void *weir_model_priv(const struct weir_model *model);

/**
 * weir_model_dma_read(), weir_model_dma_write() - DMA: copy from, or to, the driver's memory,
 * through the IOMMU. From any thread.
 * @iova: what the device puts on the bus.
 * @buf, @len: the device's side; @len 0 does nothing.
 *
 * Returns 0; -EFAULT when the IOMMU blocked it: the fault is recorded, and bytes before the
 * blocked page may have been copied, as on hardware; -EFAULT, without a record, when @iova is
 * beyond the address bits that the device drives, and so never reached the IOMMU; -EPERM while
 * the driver has bus mastering off; -ENODEV while no driver has the device open, while it is being
 * reset, and after weir_model_remove().
 */
WEIR_API int weir_model_dma_read(struct weir_model *model, weir_iova iova, void *buf, size_t len);
WEIR_API int weir_model_dma_write(struct weir_model *model, weir_iova iova, const void *buf,
				  size_t len);

/**
 * weir_model_dma_begin(), weir_model_dma_end() - a bracket in which weir_model_dma_translate() may
 * be used. The driver's unmap waits until brackets that began before it have ended, so keep them
 * short, and end each in the thread that began it. Brackets nest.
 *
 * Inside its own bracket a thread must not wait for another that maps or unmaps; its own calls
 * that would change a mapping are refused with -EDEADLK.
 *
 * begin returns 0; -EPERM or -ENODEV as above, or -ENOSPC in a thread that is inside brackets of 8
 * other models, and then there is no bracket.
 */
WEIR_API int weir_model_dma_begin(struct weir_model *model);
WEIR_API void weir_model_dma_end(struct weir_model *model);

/**
 * weir_model_dma_translate() - a pointer to the driver's memory, good until the bracket ends.
 * @iova, @len: what is to be accessed; @len isn't 0.
 * @write: the device will write; otherwise it will only read.
 * @ptr: the memory; @run: how many bytes from there are contiguous, 1 to @len.
 *
 * Returns 0; -EFAULT as above; -ENOTSUP when the memory can't be reached by pointer
 * here (the driver may be behind a socket): use weir_model_dma_read() and _write(), which work
 * everywhere; -EINVAL outside a bracket; -ENODEV after weir_model_remove().
 */
WEIR_API int weir_model_dma_translate(struct weir_model *model, weir_iova iova, size_t len,
				      bool write, void **ptr, size_t *run);

/**
 * weir_model_msi() - send the message of a vector: of MSI-X or MSI, whichever the driver enabled.
 *
 * Returns 0; -EINVAL for a vector that the driver hasn't enabled (if it has enabled none, use
 * weir_model_intx() where the device has it); -EPERM while bus mastering is off; -ENODEV as above.
 */
WEIR_API int weir_model_msi(struct weir_model *model, unsigned int vector);

/** weir_model_msi_enabled() - whether the driver uses MSI or MSI-X; a device then leaves INTx
 *  alone. */
WEIR_API bool weir_model_msi_enabled(const struct weir_model *model);

/** weir_model_intx() - assert or release interrupt pin A; level-triggered. Returns 0, or -EINVAL
 *  when the model has no pin. */
WEIR_API int weir_model_intx(struct weir_model *model, bool level);

/**
 * weir_model_signal() - what isn't the device's own interrupt:
 * @irq: WEIR_IRQ_ERR, the device reports an uncorrectable error (desc.pcie alone has this), or
 *	WEIR_IRQ_REQ, its host wants it back and asks the driver to close it.
 *
 * Returns 0; -EINVAL for another @irq, one that the device hasn't got, or one that the driver
 * hasn't enabled; -ENODEV as above.
 */
WEIR_API int weir_model_signal(struct weir_model *model, enum weir_irq irq);

/**
 * weir_model_remove() - the device is pulled out while its driver uses it. From now on registers
 * and config space read all ones, writes to them do nothing, DMA and messages are refused with
 * -ENODEV, and nothing interrupts. It doesn't wait for DMA that is under way, and so may be called
 * from anywhere. The driver has to close the device; the next one to open it finds it plugged in
 * again, as after power-on.
 *
 * Returns 0; -ENODEV while no driver has the device open.
 */
WEIR_API int weir_model_remove(struct weir_model *model);

#ifdef __cplusplus
}
#endif

#endif
