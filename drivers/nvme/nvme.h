/* SPDX-License-Identifier: MIT */
/*
 * A userspace driver for NVMe controllers on PCI Express (NVM Express Base Specification 2.0, NVM
 * Command Set Specification 1.0), over weir's public interface alone. It is a sample: small, but
 * one that data can be trusted to.
 *
 * struct nvme is a controller with its admin queue, struct nvme_queue a pair of queues for I/O.
 *
 * Thread rules: one thread at a time per queue, different queues at the same time. Calls on the
 * controller, and opening and closing of its queues, one thread at a time. nvme_reset() and
 * nvme_close() not beside any other call on the controller or its queues.
 *
 * When a command doesn't end in time, or the controller fails or is gone, the driver turns bus
 * mastering off: from then on no memory is touched any more, and all commands end with the error,
 * those of other queues as soon as these are polled. Then all calls fail until nvme_reset().
 */
#ifndef DRIVERS_NVME_NVME_H
#define DRIVERS_NVME_NVME_H

#include <weir/weir.h>

#define NVME_CLASS	0x010802	/* as in weir_device_info */

struct nvme;
struct nvme_queue;

/** nvme_opts - all zero is fine. */
struct nvme_opts {
	/** How many I/O queues may be open at once, at most 65535. 0: 1. */
	unsigned int queues;
	/** nvme_wait() sleeps until an interrupt: MSI-X, one vector a queue. Otherwise it polls. */
	bool irq;
	/** How long a command may take, in ms. 0: 30 s. The controller's own limits hold for the
	 *  rest: enabling, disabling, shutting down. */
	unsigned int timeout_ms;
	/** Pages for the driver's own memory, as in weir_mem_opts. */
	uint64_t page_size;
};

/**
 * nvme_errmsg() - the calling thread's last failure in this driver, in one sentence without a
 * newline; weir's own sentence where it was weir that failed. In nvme_done_fn, why the command
 * failed. Good until the thread's next call of this driver.
 */
const char *nvme_errmsg(void);

/**
 * nvme_open() - take a controller over: reset it, whatever an earlier driver left, turn bus
 * mastering on, make the admin queue, enable it, identify it.
 * @dev: stays the caller's and must outlive @out.
 * @opts: may be NULL.
 * @out: close it with nvme_close().
 *
 * Returns 0, or, with the controller disabled and bus mastering off:
 *  -ENODEV    it isn't an NVMe controller, or is gone
 *  -ENOTSUP   it has no NVM command set, or needs pages larger than the machine's; no MSI-X
 *  -ENOSPC    it has fewer queues or vectors than opts asks for
 *  -ETIMEDOUT it doesn't come up, or doesn't answer
 *  -EIO       it reports a fatal status, or fails a command
 * or what weir said.
 */
int nvme_open(struct weir_device *dev, const struct nvme_opts *opts, struct nvme **out);

/**
 * nvme_close() - shut the controller down, so that what it has cached is safe, and turn
 * interrupts and bus mastering off. NULL is fine.
 *
 * Returns 0; -EBUSY, and nothing done, while a queue is open. Otherwise the controller is closed:
 * -ETIMEDOUT when it didn't say that the shutdown is complete; or the failure of before.
 */
int nvme_close(struct nvme *nvme);

/**
 * nvme_reset() - disable the controller and start it anew, its queues too, also after a failure.
 * A controller that doesn't even let itself be disabled is reset by weir_device_reset(), where
 * that works. Commands that are outstanding end with -ECANCELED: they may have been carried out.
 *
 * Returns 0; otherwise as nvme_open(), and the controller goes on as failed.
 */
int nvme_reset(struct nvme *nvme);

/** nvme_sigbus() - for the caller's handler of SIGBUS: weir_bar_sigbus() of its registers. */
int nvme_sigbus(const struct nvme *nvme, const void *addr);

struct nvme_info {
	char model[41], serial[21], firmware[9];	/**< without the blanks at their ends */
	uint16_t vendor;
	uint32_t version;	/**< major << 16 | minor << 8 | tertiary */
	uint32_t namespaces;	/**< the highest number that a namespace can have */
	size_t max_transfer;	/**< bytes that nvme_submit() takes: the controller's MDTS, or what
				 *   one list of pages holds */
	size_t mdts;		/**< the controller's limit in bytes; 0: none */
	unsigned int max_depth;	/**< as in nvme_queue_open() */
	unsigned int ready_ms;	/**< how long it may take to be enabled (CAP.TO) */
	bool write_cache;	/**< it has a volatile one: see nvme_flush() */
};

/** nvme_info() - what the controller said when it was opened. */
void nvme_info(const struct nvme *nvme, struct nvme_info *info);

/** nvme_ns - a namespace: blocks, all of the same size. */
struct nvme_ns {
	uint32_t id;		/**< from 1 on */
	uint32_t block_size;	/**< bytes, a power of two of at least 512 */
	uint64_t blocks;
	uint64_t used;		/**< blocks that have something in them, as far as it knows */
	uint16_t metadata;	/**< bytes beside each block; the driver moves none: -ENOTSUP */
};

/**
 * nvme_namespaces() - the numbers of the active namespaces, ascending, from after @after on.
 *
 * Returns how many are stored, at most @n and 1024; 0: there are no more; or as a failed command.
 */
int nvme_namespaces(struct nvme *nvme, uint32_t after, uint32_t *ids, size_t n);

/**
 * nvme_namespace() - look at a namespace.
 *
 * Returns 0; -ENOENT when it isn't there; -EIO for one that contradicts itself, or as a failed
 * command.
 */
int nvme_namespace(struct nvme *nvme, uint32_t id, struct nvme_ns *ns);

/**
 * nvme_queue_open() - make a pair of I/O queues.
 * @depth: how many commands may be outstanding: 1 to nvme_info.max_depth.
 * @out: close it with nvme_queue_close().
 *
 * Returns 0; -EINVAL for another depth; -ENOSPC when nvme_opts.queues are open; -ENOTSUP when its
 * memory is scattered for the device; or as a failed command.
 */
int nvme_queue_open(struct nvme *nvme, unsigned int depth, struct nvme_queue **out);

/** nvme_queue_close() - NULL is fine. Returns 0; -EBUSY while commands are outstanding; otherwise
 *  it is closed, and what went wrong with it. */
int nvme_queue_close(struct nvme_queue *queue);

enum nvme_op { NVME_FLUSH, NVME_WRITE, NVME_READ };

/**
 * nvme_done_fn - a command has ended. @result: 0 or -errno, see nvme_submit(). Called by the thread
 * that polls or resets. It may call nvme_submit() on the same queue, and nothing else there.
 */
typedef void (*nvme_done_fn)(void *arg, int result);

/**
 * nvme_submit() - start one command.
 * @op: NVME_READ or NVME_WRITE of whole blocks; NVME_FLUSH, with @lba, @buf and @len zero.
 * @ns: as nvme_namespace() described it.
 * @lba: the first block.
 * @buf, @len: memory in the device's address space, scattered or not, at a multiple of 4; it must
 *	be left alone until the end.
 * @done, @arg: called at the end, never from within this call.
 *
 * Returns 0, or, with nothing done: -EAGAIN when the queue is full; -EINVAL for a buffer or length
 * that doesn't fit, -ERANGE beyond the namespace's end, -ENOENT when not all of @buf is mapped,
 * -ENOTSUP for a namespace with metadata; or the failure of the controller.
 *
 * How a command ends: 0; -EINVAL, -ENOENT, -ERANGE, -EROFS, -ENOSPC, -EACCES where the controller
 * said so, -EIO for all else that it says; -ETIMEDOUT; -ENODEV when it is gone; -ECANCELED.
 */
int nvme_submit(struct nvme_queue *queue, enum nvme_op op, const struct nvme_ns *ns, uint64_t lba,
		void *buf, size_t len, nvme_done_fn done, void *arg);

/**
 * nvme_poll() - call done for all commands that have ended. Doesn't wait.
 *
 * Returns how many; or the failure of the controller, when all outstanding ones have ended by it.
 */
int nvme_poll(struct nvme_queue *queue);

/**
 * nvme_wait() - nvme_poll() once there is something to do, or nothing outstanding.
 *
 * Returns as nvme_poll(); -EINTR when a signal handler ran while it slept.
 */
int nvme_wait(struct nvme_queue *queue);

/** nvme_outstanding() - how many commands haven't ended. */
unsigned int nvme_outstanding(const struct nvme_queue *queue);

/**
 * nvme_read(), nvme_write() - move blocks, however many: in commands as large as the controller
 * takes, as many at once as the queue holds. @buf as in nvme_submit().
 *
 * Returns 0; what nvme_submit() returns, before anything has moved; or how the first command that
 * failed ended, when none is under way any more: the others may have been carried out.
 */
int nvme_read(struct nvme_queue *queue, const struct nvme_ns *ns, uint64_t lba, void *buf,
	      size_t len);
int nvme_write(struct nvme_queue *queue, const struct nvme_ns *ns, uint64_t lba, const void *buf,
	       size_t len);

/** nvme_flush() - all that was written before is safe from a loss of power. Returns as above. */
int nvme_flush(struct nvme_queue *queue, const struct nvme_ns *ns);

#endif
