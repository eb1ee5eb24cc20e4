/* SPDX-License-Identifier: MIT */
/*
 * The transport within the process: register accesses are calls of the model's host, DMA goes
 * through the software IOMMU's hardware half, interrupts are written to eventfds.
 */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "device/device.h"
#include "models/edu/edu.h"
#include "models/lab/lab.h"
#include "model/model.h"
#include "viommu/unit.h"

static int create_edu(struct weir_model **out)
{
	return edu_model_create(NULL, out);
}

static int create_edu_be(struct weir_model **out)
{
	const struct edu_model_opts opts = { .big_endian = true };

	return edu_model_create(&opts, out);
}

static int create_lab(struct weir_model **out)
{
	return lab_model_create(NULL, out);
}

/* The sample models that "soft:NAME" opens. */
static const struct sample {
	const char *name;
	int (*create)(struct weir_model **out);
	int (*destroy)(struct weir_model *model);
} samples[] = {
	{ "edu", create_edu, edu_model_destroy },
	{ "edu-be", create_edu_be, edu_model_destroy },
	{ "lab", create_lab, lab_model_destroy },
};

struct soft {
	struct weir_model *model;
	const struct sample *sample;	/* that made the model, NULL for the caller's own */
	struct wr_unit *unit;
	uint16_t requester;
	/*
	 * The model raises interrupts from threads of its own while the driver enables and
	 * disables them. This lock is a leaf: nothing is called under it.
	 */
	pthread_mutex_t irq_lock;
	struct {
		unsigned int count;
		int *fds;
	} irqs[WEIR_IRQS];
};

int wr_soft_use(struct weir_device *dev, struct weir_model *model)
{
	struct soft *s = calloc(1, sizeof(*s));

	if (!s)
		return wr_fail(-ENOMEM, "%s: no memory", dev->name);
	pthread_mutex_init(&s->irq_lock, NULL);
	s->model = model;
	dev->t = s;
	return 0;
}

int wr_soft_sample(struct weir_device *dev, const char *name)
{
	char known[128] = "";

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct weir_model *model;
		int ret;

		if (strcmp(name, samples[i].name)) {
			wr_append(known, sizeof(known), "%ssoft:%s", *known ? ", " : "",
				  samples[i].name);
			continue;
		}
		ret = samples[i].create(&model);
		if (ret)
			return wr_fail(ret, "%s: making the sample model: %s", dev->name,
				       strerror(-ret));
		ret = wr_soft_use(dev, model);
		if (ret)
			samples[i].destroy(model);
		else
			((struct soft *)dev->t)->sample = &samples[i];
		return ret;
	}
	return wr_fail(-ENOENT, "%s: no such sample model; there are %s", dev->name, known);
}

static void soft_hold(struct wr_endpoint *ep)
{
	struct weir_device *dev = wr_container_of(ep, struct weir_device, ep);

	wr_model_hold(((struct soft *)dev->t)->model);
}

static void soft_go_on(struct wr_endpoint *ep)
{
	struct weir_device *dev = wr_container_of(ep, struct weir_device, ep);
	struct soft *s = dev->t;

	s->unit = wr_domain_unit(ep->domain);
	s->requester = ep->requester;
	wr_model_go_on(s->model);
}

static int soft_prepare(struct weir_device *dev, struct weir_iommu *iommu)
{
	struct soft *s = dev->t;
	unsigned int bits = wr_model_dma_bits(s->model);

	(void)iommu;
	dev->ep.hold = soft_hold;
	dev->ep.go_on = soft_go_on;
	if (bits < dev->ep.dma_bits)
		dev->ep.dma_bits = bits;
	return 0;
}

static void soft_undo(struct weir_device *dev)
{
	struct soft *s = dev->t;

	if (s->sample)
		s->sample->destroy(s->model);
	for (unsigned int irq = 0; irq < WEIR_IRQS; irq++)
		free(s->irqs[irq].fds);
	pthread_mutex_destroy(&s->irq_lock);
	free(s);
	dev->t = NULL;
}

/* ---- what the model reaches ---- */

static int bus_dma(void *arg, weir_iova iova, void *buf, size_t len, bool write)
{
	struct soft *s = arg;

	return wr_unit_dma(s->unit, s->requester, iova, buf, len, write);
}

static void bus_begin(void *arg)
{
	wr_unit_begin(((struct soft *)arg)->unit);
}

static void bus_end(void *arg)
{
	wr_unit_end(((struct soft *)arg)->unit);
}

static int bus_translate(void *arg, weir_iova iova, size_t len, bool write, void **ptr,
			 size_t *run)
{
	struct soft *s = arg;

	return wr_unit_translate(s->unit, s->requester, iova, len, write, ptr, run);
}

static void bus_irq(void *arg, enum weir_irq irq, unsigned int vector)
{
	struct pollfd eventfd = { .fd = -1, .events = POLLOUT };
	struct soft *s = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&s->irq_lock);
	if (vector < s->irqs[irq].count)
		eventfd.fd = s->irqs[irq].fds[vector];
	/* As in the kernel there is no waiting for a full one (2^64 - 2): its reader is told. */
	if (eventfd.fd >= 0 && (poll(&eventfd, 1, 0) != 1 || !(eventfd.revents & POLLOUT) ||
				write(eventfd.fd, &one, sizeof(one)) < 0))
		wr_log(WEIR_LOG_WARN, "an interrupt was lost: the eventfd is full");
	pthread_mutex_unlock(&s->irq_lock);
}

static const struct wr_model_bus bus = {
	.dma = bus_dma,
	.begin = bus_begin,
	.end = bus_end,
	.translate = bus_translate,
	.irq = bus_irq,
};

/* ---- what the driver reaches ---- */

static int soft_open(struct weir_device *dev, const struct weir_device_opts *opts)
{
	struct soft *s = dev->t;

	if (opts->vf_token)
		return wr_fail(-EINVAL, "%s: a model isn't a virtual function and takes no VF "
			       "token", dev->name);
	if (opts->use_fd)
		return wr_fail(-EINVAL, "%s: a model has no node whose fd could be given",
			       dev->name);
	s->unit = wr_domain_unit(dev->ep.domain);
	s->requester = dev->ep.requester;
	return wr_model_attach(s->model, &bus, s);
}

static void soft_close(struct weir_device *dev)
{
	wr_model_detach(((struct soft *)dev->t)->model);
}

static int soft_region_info(struct weir_device *dev, unsigned int region,
			    struct weir_region_info *info)
{
	return wr_model_region_info(((struct soft *)dev->t)->model, region, info);
}

static int soft_region_read(struct weir_device *dev, unsigned int region, uint64_t offset,
			    void *buf, size_t len)
{
	return wr_model_region_read(((struct soft *)dev->t)->model, region, offset, buf, len);
}

static int soft_region_write(struct weir_device *dev, unsigned int region, uint64_t offset,
			     const void *buf, size_t len)
{
	return wr_model_region_write(((struct soft *)dev->t)->model, region, offset, buf, len);
}

static int soft_irq_info(struct weir_device *dev, enum weir_irq irq, struct weir_irq_info *info)
{
	return wr_model_irq_info(((struct soft *)dev->t)->model, irq, info);
}

/* Room for @count fds; new ones signal nothing. */
static int grow_fds(struct soft *s, enum weir_irq irq, unsigned int count)
{
	int *fds, ret = 0;

	pthread_mutex_lock(&s->irq_lock);
	fds = reallocarray(s->irqs[irq].fds, count, sizeof(*fds));
	if (fds) {
		s->irqs[irq].fds = fds;
		for (unsigned int i = s->irqs[irq].count; i < count; i++)
			fds[i] = -1;
	} else {
		ret = wr_fail(-ENOMEM, "no memory for %u interrupt vectors", count);
	}
	pthread_mutex_unlock(&s->irq_lock);
	return ret;
}

static void set_fds(struct soft *s, enum weir_irq irq, unsigned int total, unsigned int first,
		    unsigned int count, const int *fds)
{
	pthread_mutex_lock(&s->irq_lock);
	s->irqs[irq].count = total;
	if (count)
		memcpy(s->irqs[irq].fds + first, fds, count * sizeof(*fds));
	pthread_mutex_unlock(&s->irq_lock);
}

/* They are set before the model is told, which may signal at once. */
static int soft_irq_set(struct weir_device *dev, enum weir_irq irq, unsigned int first,
			unsigned int count, const int *fds)
{
	struct soft *s = dev->t;
	unsigned int was = s->irqs[irq].count, total = first + count;
	int ret;

	if (wr_model_gone(s->model))
		return wr_fail(-ENODEV, "the device was removed");
	if (total <= was) {
		set_fds(s, irq, was, first, count, fds);
		return 0;
	}
	ret = grow_fds(s, irq, total);
	if (ret)
		return ret;
	set_fds(s, irq, total, first, count, fds);
	ret = wr_model_irq_enable(s->model, irq, total);
	if (ret)
		set_fds(s, irq, was, 0, 0, NULL);
	return ret;
}

static int soft_irq_disable(struct weir_device *dev, enum weir_irq irq)
{
	struct soft *s = dev->t;
	int ret = wr_model_irq_enable(s->model, irq, 0);

	if (!ret)
		set_fds(s, irq, 0, 0, 0, NULL);
	return ret;
}

static int soft_irq_mask(struct weir_device *dev, enum weir_irq irq, unsigned int vector, bool mask)
{
	(void)vector;	/* only INTx can be masked, and has one */
	return wr_model_irq_mask(((struct soft *)dev->t)->model, irq, mask);
}

static int soft_irq_trigger(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	if (wr_model_gone(((struct soft *)dev->t)->model))
		return wr_fail(-ENODEV, "the device was removed");
	bus_irq(dev->t, irq, vector);
	return 0;
}

static bool soft_can_reset(struct weir_device *dev)
{
	return wr_model_can_reset(((struct soft *)dev->t)->model);
}

static int soft_reset(struct weir_device *dev)
{
	return wr_model_reset(((struct soft *)dev->t)->model);
}

static int soft_gone(struct weir_device *dev)
{
	return wr_model_gone(((struct soft *)dev->t)->model);
}

const struct wr_transport wr_transport_soft = {
	.prepare = soft_prepare,
	.open = soft_open,
	.close = soft_close,
	.undo = soft_undo,
	.region_info = soft_region_info,
	.region_read = soft_region_read,
	.region_write = soft_region_write,
	.irq_info = soft_irq_info,
	.irq_set = soft_irq_set,
	.irq_disable = soft_irq_disable,
	.irq_mask = soft_irq_mask,
	.irq_trigger = soft_irq_trigger,
	.can_reset = soft_can_reset,
	.reset = soft_reset,
	.gone = soft_gone,
};
