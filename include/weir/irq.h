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

/** weir_irq_info() - returns 0; -EINVAL when @irq isn't a weir_irq; or what the kernel says. */
WEIR_API int weir_irq_info(struct weir_device *dev, enum weir_irq irq, struct weir_irq_info *info);

/**
 * weir_irq_enable() - enable vectors 0 to @count - 1 of one kind, each with an eventfd of weir's.
 *
 * Returns 0, or, with everything as it was: -EINVAL for 0 vectors or more than the device has;
 * -EBUSY when this kind, or another of INTx, MSI and MSI-X, is enabled; otherwise as
 * weir_irq_set().
 */
WEIR_API int weir_irq_enable(struct weir_device *dev, enum weir_irq irq, unsigned int count);

/**
 * weir_irq_set() - choose what vectors @first to @first + @count - 1 signal: enables the kind when
 * it isn't, otherwise adds vectors or replaces what they signal. Other vectors go on undisturbed.
 * @fds: an eventfd for each, -1 for none. The fds stay the caller's, who may close them: weir keeps
 *	a duplicate while the vector signals it. NULL: each signals an eventfd of weir's, and those
 *	that do so already aren't touched, so that no signal is lost.
 *
 * The first call decides how many vectors there are: @first + @count; those before @first signal
 * nothing yet. Vectors beyond can be added later where weir_irq_info() says resizable, which MSI-X
 * may be; elsewhere the kind must be disabled first. An interrupt that comes while its own vector
 * is being replaced may be lost, as may one of a vector that signals nothing. What a vector had
 * signalled by then stays in its old eventfd; one of weir's is empty when it is taken up again.
 * The error and the request line have one vector; -1 disables them.
 *
 * Returns 0, or, with everything as it was: -EINVAL for no vectors, or ones that the device hasn't
 * got or that can't be added; for an fd below -1, or one that is no eventfd; -EBADF for an fd that
 * isn't open; -EBUSY when another of INTx, MSI and MSI-X is enabled; -ENOSPC when the host has
 * fewer vectors to give, the message says how many where the kernel does; -ENODEV of a model that
 * was removed; -ENOMEM, -EMFILE.
 * -EIO when the kernel dropped what a vector signalled, failed to set the new one, and fails to set
 * the old one again: the message lists the vectors that worked, and now signal nothing.
 */
WEIR_API int weir_irq_set(struct weir_device *dev, enum weir_irq irq, unsigned int first,
			  unsigned int count, const int *fds);

/** weir_irq_disable() - disable all vectors of one kind; none enabled is fine. Who waits for one
 *  goes on waiting. Returns 0, or what the kernel says. */
WEIR_API int weir_irq_disable(struct weir_device *dev, enum weir_irq irq);

/**
 * weir_irq_fd() - the eventfd that a vector signals, for the caller's own poll loop. One of weir's
 * stays weir's: don't close it; it is non-blocking, and lives until the device is closed. Of one
 * that the caller gave it is the number that was given, whether the caller has closed it or not.
 *
 * Returns the fd, or -EINVAL when the vector isn't enabled, or signals nothing.
 */
WEIR_API int weir_irq_fd(struct weir_device *dev, enum weir_irq irq, unsigned int vector);

/**
 * weir_irq_wait() - wait until a vector with an eventfd of weir's has fired.
 * @timeout_ms: 0 doesn't wait, -1 waits for good.
 *
 * Returns how often it fired since the last wait (at least 1, capped at INT_MAX); -ETIMEDOUT;
 * -EINTR when a signal handler ran; -EINVAL when the vector isn't enabled, or signals an eventfd of
 * the caller's, which is the caller's to wait on.
 */
WEIR_API int weir_irq_wait(struct weir_device *dev, enum weir_irq irq, unsigned int vector,
			   int timeout_ms);

/**
 * weir_irq_mask(), weir_irq_unmask() - hold a vector back and let it go again. A line that is
 * still asserted when it is unmasked fires at once.
 *
 * Returns 0; -ENOTSUP when weir_irq_info() says it isn't maskable; -EINVAL when not enabled;
 * -ENODEV of a model that was removed.
 */
WEIR_API int weir_irq_mask(struct weir_device *dev, enum weir_irq irq, unsigned int vector);
WEIR_API int weir_irq_unmask(struct weir_device *dev, enum weir_irq irq, unsigned int vector);

/**
 * weir_irq_unmask_fd() - have the kernel unmask a vector whenever an eventfd is written, as a
 * VMM's interrupt controller does at the end of an interrupt (KVM's resample eventfd). It ends
 * when the kind is disabled. The fd stays the caller's, who may close it.
 * @fd: -1 ends it.
 *
 * Returns 0; -ENOTSUP when the vector isn't maskable, or the device is a model in this process;
 * -EINVAL when the vector isn't enabled, or @fd is no eventfd; -EBADF when it isn't open; -EBUSY
 * when there is one already.
 */
WEIR_API int weir_irq_unmask_fd(struct weir_device *dev, enum weir_irq irq, unsigned int vector,
				int fd);

/**
 * weir_irq_trigger() - signal a vector as if the device had: tests the path from the kernel, or
 * from the model's host, to the driver.
 *
 * Returns 0; -EINVAL when the vector isn't enabled, or signals nothing; -ENODEV of a model that was
 * removed.
 */
WEIR_API int weir_irq_trigger(struct weir_device *dev, enum weir_irq irq, unsigned int vector);

#ifdef __cplusplus
}
#endif

#endif
