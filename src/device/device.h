/* SPDX-License-Identifier: MIT */
#ifndef WR_DEVICE_DEVICE_H
#define WR_DEVICE_DEVICE_H

#include <pthread.h>

#include <weir/bar.h>
#include <weir/device.h>
#include <weir/irq.h>

#include "ioas/ioas.h"

struct wr_vector {
	/*
	 * weir's eventfd, made when it is first needed. Kept until the device is closed: another
	 * thread may be waiting on it, and must not find a stranger's fd in its place. -1: none.
	 */
	int own;
	int given;	/* the caller's number for the eventfd; -1: it isn't the caller's */
	int fd;		/* what it signals: own, a duplicate of given, or -1 for nothing */
};

/* Interrupts of one kind. */
struct wr_irqs {
	unsigned int count;	/* vectors there are, 0 while the kind is disabled */
	unsigned int room;	/* in v, count or more */
	struct wr_vector *v;
};

struct weir_device {
	char *name;
	const struct wr_transport *transport;
	void *t;			/* the transport's part */
	unsigned int process;		/* whose it is */
	struct weir_ioas *own;		/* the private address space, wherever it is attached */
	struct wr_endpoint ep;
	const char *backend;		/* the name of its domain's kind */
	pthread_mutex_t lock;
	/* under the lock */
	unsigned int bars;		/* open */
	bool irqs_suspended;		/* see wr_irqs_suspend() */
	struct wr_irqs irqs[WEIR_IRQS];
};

/*
 * How a device is reached. Calls return 0 or -errno, with a message that doesn't name the device;
 * regions and interrupts have been checked against their number.
 */
struct wr_transport {
	/*
	 * What comes before the device is attached (prepare, which fills the endpoint) and after
	 * (open). close gives back what open took (NULL: nothing), undo what prepare did, and all
	 * of dev->t.
	 */
	int (*prepare)(struct weir_device *dev, struct weir_iommu *iommu);
	int (*open)(struct weir_device *dev, const struct weir_device_opts *opts);
	void (*close)(struct weir_device *dev);
	void (*undo)(struct weir_device *dev);

	int (*region_info)(struct weir_device *dev, unsigned int region,
			   struct weir_region_info *info);
	int (*region_read)(struct weir_device *dev, unsigned int region, uint64_t offset,
			   void *buf, size_t len);
	int (*region_write)(struct weir_device *dev, unsigned int region, uint64_t offset,
			    const void *buf, size_t len);
	/*
	 * What can be mapped of a region, ascending; returns the number of areas, which are the
	 * transport's. Map one of them. NULL: the transport can map nothing.
	 */
	unsigned int (*region_areas)(struct weir_device *dev, unsigned int region,
				     const struct weir_area **areas);
	int (*region_map)(struct weir_device *dev, unsigned int region,
			  const struct weir_area *area, void **out);
	void (*region_unmap)(struct weir_device *dev, void *map, uint64_t len);
	/* A dma-buf of a part of it: its fd, the caller's; -ENOTSUP: there is none to be had. */
	int (*region_export)(struct weir_device *dev, unsigned int region, uint64_t offset,
			     uint64_t len);
	/* NULL: it has none. */
	int (*ioeventfd)(struct weir_device *dev, unsigned int region, uint64_t offset,
			 unsigned int width, uint64_t value, int fd);

	int (*irq_info)(struct weir_device *dev, enum weir_irq irq, struct weir_irq_info *info);
	/*
	 * Have vectors [first, first + count) signal these eventfds, -1 for none; the fds live
	 * until they are replaced or the kind is disabled. A kind that isn't enabled becomes so,
	 * with first + count vectors, or stays as it is. For one that is, count is 1; when it
	 * fails, the vector may have lost what it signalled.
	 */
	int (*irq_set)(struct weir_device *dev, enum weir_irq irq, unsigned int first,
		       unsigned int count, const int *fds);
	int (*irq_disable)(struct weir_device *dev, enum weir_irq irq);
	int (*irq_mask)(struct weir_device *dev, enum weir_irq irq, unsigned int vector,
			bool mask);
	int (*irq_trigger)(struct weir_device *dev, enum weir_irq irq, unsigned int vector);
	/* NULL: it has none. */
	int (*irq_unmask_fd)(struct weir_device *dev, enum weir_irq irq, unsigned int vector,
			     int fd);

	bool (*can_reset)(struct weir_device *dev);
	int (*reset)(struct weir_device *dev);

	/* As the public calls; NULL: the transport has no bus, and no kernel to be asked. */
	int (*hot_reset_info)(struct weir_device *dev, struct weir_dependent **out);
	int (*hot_reset)(struct weir_device *dev);
	int (*has)(struct weir_device *dev, enum weir_feature feature);
	int (*low_power)(struct weir_device *dev, bool on, int wakeup);
	/* As weir_device_gone(). */
	int (*gone)(struct weir_device *dev);
};

extern const struct wr_transport wr_transport_kernel;
extern const struct wr_transport wr_transport_soft;

/* Make the in-process transport's part for a model: the caller's own, or a sample by its name. */
int wr_soft_use(struct weir_device *dev, struct weir_model *model);
int wr_soft_sample(struct weir_device *dev, const char *sample);

/* Whether it is this process's, and wasn't handed over: 0, or -EPERM. */
int wr_device_check(struct weir_device *dev);

/* Interrupts that are disabled for the moment. */
struct wr_suspended {
	enum weir_irq irq;
	unsigned int count;	/* vectors; 0: none was enabled */
	int *fds;		/* what each signals */
};

/*
 * For who takes the device's set-up from it behind the kernel's back: disable INTx, MSI or MSI-X,
 * whatever is enabled; and @again enable it as it was, or else leave it disabled. If that fails, it
 * is disabled, too. In between interrupts can't be changed: that, and to suspend them twice, is
 * -EAGAIN.
 */
int wr_irqs_suspend(struct weir_device *dev, struct wr_suspended *suspended);
int wr_irqs_resume(struct weir_device *dev, struct wr_suspended *suspended, bool again);

/* Has EEH stopped it? And if so, say that behind this thread's last message. Returns @err. */
bool wr_eeh_frozen(struct weir_device *dev);
int wr_eeh_explain(struct weir_device *dev, int err);

/* At close: disable whatever is enabled, unless it was handed over, and close the eventfds. */
void wr_irqs_close(struct weir_device *dev, bool handed);

/* For who hands it over, see wr_endpoint.vector; and what is enabled of a device that came so. */
bool wr_irqs_vector(const struct wr_endpoint *ep, unsigned int irq, unsigned int vector,
		    int *eventfd);
int wr_irqs_unpack(struct weir_device *dev, struct wr_parcel *parcel);

/* "BAR 0", for messages. */
const char *wr_region_name(unsigned int region);

#endif
