/* SPDX-License-Identifier: MIT */
/*
 * A userspace driver for "edu", QEMU's educational PCI device (docs/specs/edu.rst in its source),
 * and for weir's model of it. It is a sample: what a driver over weir looks like. Its registers may
 * be in either byte order.
 *
 * Thread rules: one thread at a time per device.
 */
#ifndef DRIVERS_EDU_EDU_H
#define DRIVERS_EDU_EDU_H

#include <weir/weir.h>

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8

/*
 * How many address bits the device drives, unless QEMU was told otherwise (-device edu,dma_mask=):
 * put it into weir_device_opts.dma_bits, or memory may be mapped where the device can't reach.
 */
#define EDU_DMA_BITS	28

/*
 * The device's buffer, as its DMA engine addresses it. QEMU before 8.2.1 has an off-by-one and
 * stops the whole machine when a transfer includes the buffer's last byte: leave it alone there.
 */
#define EDU_BUFFER	0x40000
#define EDU_BUFFER_SIZE	4096

/* Bits of the interrupt status that the device sets by itself. */
#define EDU_IRQ_FACTORIAL	0x001
#define EDU_IRQ_DMA		0x100

struct edu;

/**
 * edu_open() - take the device over: check that it is an edu, quiet what an earlier driver may
 * have left, turn bus mastering on.
 * @dev: stays the caller's and must outlive @out.
 * @out: close it with edu_close().
 *
 * Returns 0; -ENODEV when it isn't an edu; -ETIMEDOUT when an earlier transfer doesn't end; or
 * what weir said, with a message. Errors of the driver's own have none.
 */
int edu_open(struct weir_device *dev, struct edu **out);

/** edu_close() - bus mastering and interrupts off. NULL is fine. Returns 0. */
int edu_close(struct edu *edu);

/** edu_live() - ask the device whether it lives. Returns 0, or -EIO when it doesn't answer. */
int edu_live(struct edu *edu);

/** edu_lived() - is there what an edu_live() left in the device, of whichever driver? */
bool edu_lived(struct edu *edu);

/**
 * edu_factorial() - let the device compute n!, modulo 2^32.
 *
 * Returns 0; -ETIMEDOUT; -EBUSY while an earlier one that timed out is still being computed.
 */
int edu_factorial(struct edu *edu, uint32_t n, uint32_t *result);

/**
 * edu_irq_enable() - end waits by interrupt: MSI if the device has it, else INTx. Without it the
 * driver polls.
 *
 * Returns the kind, WEIR_IRQ_MSI or WEIR_IRQ_INTX; or -errno as weir_irq_enable().
 *
 * edu_irq_enable_kind() - that kind and no other; for tests. Returns 0, or -errno.
 */
int edu_irq_enable(struct edu *edu);
int edu_irq_enable_kind(struct edu *edu, enum weir_irq kind);

/** edu_irq_disable() - back to polling. Returns 0. */
int edu_irq_disable(struct edu *edu);

/** edu_irq_raise() - let the device raise an interrupt with these status bits; not 0. */
int edu_irq_raise(struct edu *edu, uint32_t bits);

/**
 * edu_irq_wait() - wait for an interrupt, acknowledge it, and make ready for the next.
 * @timeout_ms: 0 doesn't wait, -1 waits for good.
 * @bits: the status bits that were set, and are cleared now; not 0.
 *
 * Returns 0; -ETIMEDOUT; -EINTR; -EINVAL when interrupts aren't enabled.
 */
int edu_irq_wait(struct edu *edu, int timeout_ms, uint32_t *bits);

/**
 * edu_dma() - one transfer between the device's buffer and an IOVA, whatever is there.
 * @iova: handed to the device as it is. It puts only its address bits on the bus.
 * @offset, @len: in the device's buffer, whose end a transfer must not cross.
 * @to_device: from memory into the buffer; otherwise from the buffer into memory.
 *
 * The device doesn't say whether the transfer got through: when the IOMMU blocks it this returns
 * 0 as well, see weir_ioas_faults().
 *
 * Returns 0; -EINVAL outside the buffer, or @len 0; -EBUSY while an earlier transfer that timed
 * out is still running; -ETIMEDOUT, and then the device may still access the memory: reset it
 * before the memory goes away.
 */
int edu_dma(struct edu *edu, weir_iova iova, uint32_t offset, size_t len, bool to_device);

/**
 * edu_dma_start() - begin such a transfer, and don't wait for its end; for tests. If interrupts are
 * enabled, one tells of it.
 *
 * Returns 0; -EINVAL and -EBUSY as edu_dma().
 */
int edu_dma_start(struct edu *edu, weir_iova iova, uint32_t offset, size_t len, bool to_device);

/**
 * edu_write(), edu_read() - copy between the device's buffer and memory that is mapped for it.
 * @buf, @len: inside the address space of the device.
 * @offset: in the device's buffer.
 *
 * Returns 0; -ENOENT when not all of @buf is mapped; otherwise as edu_dma().
 */
int edu_write(struct edu *edu, const void *buf, size_t len, uint32_t offset);
int edu_read(struct edu *edu, void *buf, size_t len, uint32_t offset);

#endif
