/* SPDX-License-Identifier: MIT */
/*
 * Interrupts, delivered by eventfd.
 *
 * One of INTx, MSI and MSI-X can be enabled at a time, as on the bus; the error and the request
 * line are independent of them.
 */
#ifndef WEIR_IRQ_H
#define WEIR_IRQ_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_device;

/** weir_irq - the kinds of interrupts, numbered as VFIO does. */
enum weir_irq {
	WEIR_IRQ_INTX,
	WEIR_IRQ_MSI,
	WEIR_IRQ_MSIX,
	WEIR_IRQ_ERR,		/**< an uncorrectable error was reported (PCIe AER) */
	WEIR_IRQ_REQ,		/**< the host asks for the device back */
	WEIR_IRQS
};

struct weir_irq_info {
	unsigned int count;	/**< vectors the device has; 0: it hasn't got this kind */
	bool maskable;		/**< weir_irq_mask() and weir_irq_unmask() work */
	bool automasked;	/**< masked each time it fires: unmask it to get the next one */
	bool resizable;		/**< vectors can be added while others are in use */
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/** weir_irq_info() - returns 0; -EINVAL when @irq isn't a weir_irq. */
WEIR_API int weir_irq_info(struct weir_device *dev, enum weir_irq irq, struct weir_irq_info *info);

/**
 * weir_irq_enable() - enable vectors 0 to @count - 1 of one kind, each with an eventfd of weir's.
 *
 * Returns 0, or, with everything as it was: -EINVAL for 0 vectors or more than the device has;
 * -EBUSY when this kind, or another of INTx, MSI and MSI-X, is enabled; -ENOSPC when the host has
 * fewer vectors to give, the message says how many.
 */
WEIR_API int weir_irq_enable(struct weir_device *dev, enum weir_irq irq, unsigned int count);

/** weir_irq_disable() - disable all vectors of one kind; none enabled is fine. Who waits for one
 *  goes on waiting. Returns 0, or what the kernel says. */
WEIR_API int weir_irq_disable(struct weir_device *dev, enum weir_irq irq);

/**
 * weir_irq_fd() - the eventfd of a vector, for the caller's own poll loop. It stays weir's: don't
 * close it; it is non-blocking, and lives until the device is closed.
 *
 * Returns the fd, or -EINVAL when the vector isn't enabled.
 */
WEIR_API int weir_irq_fd(struct weir_device *dev, enum weir_irq irq, unsigned int vector);

/**
 * weir_irq_wait() - wait until a vector has fired.
 * @timeout_ms: 0 doesn't wait, -1 waits for good.
 *
 * Returns how often it fired since the last wait (at least 1, capped at INT_MAX); -ETIMEDOUT;
 * -EINTR when a signal handler ran; -EINVAL when the vector isn't enabled.
 */
WEIR_API int weir_irq_wait(struct weir_device *dev, enum weir_irq irq, unsigned int vector,
			   int timeout_ms);

/**
 * weir_irq_mask(), weir_irq_unmask() - hold a vector back and let it go again. A line that is
 * still asserted when it is unmasked fires at once.
 *
 * Returns 0; -ENOTSUP when weir_irq_info() says it isn't maskable; -EINVAL when not enabled.
 */
WEIR_API int weir_irq_mask(struct weir_device *dev, enum weir_irq irq, unsigned int vector);
WEIR_API int weir_irq_unmask(struct weir_device *dev, enum weir_irq irq, unsigned int vector);

/**
 * weir_irq_trigger() - signal a vector as if the device had: tests the path from the kernel, or
 * from the model's host, to the driver.
 *
 * Returns 0; -EINVAL when the vector isn't enabled.
 */
WEIR_API int weir_irq_trigger(struct weir_device *dev, enum weir_irq irq, unsigned int vector);

#ifdef __cplusplus
}
#endif

#endif
