/* SPDX-License-Identifier: MIT */
/* The controller, from reset to shutdown, and the queues that it has. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/nvme/priv.h"

#define TIMEOUT_MS	30000
#define ADMIN_ENTRIES	32

int64_t nvme_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void nvme_pause(void)
{
	const struct timespec ts = { .tv_nsec = 50 * 1000 };

	nanosleep(&ts, NULL);
}

/* ---- failures ---- */

int nvme_stop(struct nvme *nvme, int ret)
{
	int none = 0;

	/*
	 * What the device has sent before gets to memory before the answer to this access, and
	 * after it there is no more (PCI Express Base 5.0, sections 2.4.1 and 7.5.1.1.3). Only
	 * then may other queues see the failure, and give their buffers back.
	 */
	weir_device_bus_master(nvme->dev, false);
	__atomic_compare_exchange_n(&nvme->failure, &none, ret, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_ACQUIRE);
	return ret;
}

int nvme_failure(struct nvme *nvme)
{
	int ret = __atomic_load_n(&nvme->failure, __ATOMIC_ACQUIRE);

	if (!ret)
		return 0;
	return nvme_error(nvme, ret, "the controller was stopped (%s): reset it",
			  ret == -ENODEV ? "it is gone" :
			  ret == -ETIMEDOUT ? "it didn't answer in time" :
			  ret == -ECANCELED ? "it is being reset" : "it failed");
}

/* No register of the controller reads all ones. */
static int ones(struct nvme *nvme)
{
	if (weir_device_gone(nvme->dev) == 1)
		return nvme_error(nvme, -ENODEV, "the controller is gone");
	return nvme_error(nvme, -EIO, "the controller doesn't answer: its registers read all ones");
}

static int fatal(struct nvme *nvme)
{
	return nvme_error(nvme, -EIO, "the controller reports a fatal status (CSTS.CFS): reset it");
}

int nvme_look(struct nvme *nvme)
{
	uint32_t csts = weir_read32(nvme->regs, NVME_CSTS);

	if (csts == UINT32_MAX)
		return nvme_stop(nvme, ones(nvme));
	if (csts & NVME_CSTS_CFS)
		return nvme_stop(nvme, fatal(nvme));
	return 0;
}

/* ---- from reset to ready ---- */

/* Wait until some bits of the status say so. One that is to be disabled may be in any state. */
static int wait_status(struct nvme *nvme, uint32_t mask, uint32_t value, unsigned int ms,
		       const char *what)
{
	int64_t end = nvme_now_ms() + ms;

	for (;;) {
		bool late = nvme_now_ms() >= end;
		uint32_t csts = weir_read32(nvme->regs, NVME_CSTS);

		if (csts == UINT32_MAX)
			return ones(nvme);
		if ((csts & mask) == value)
			return 0;
		if (value && (csts & NVME_CSTS_CFS))
			return fatal(nvme);
		if (late)
			return nvme_error(nvme, -ETIMEDOUT, "the controller isn't %s after %u ms",
					  what, ms);
		nvme_pause();
	}
}

/* Section 3.7.2, controller level resets: by CC.EN, and if it ignores that, from outside. */
static int disable(struct nvme *nvme)
{
	uint32_t cc = weir_read32(nvme->regs, NVME_CC);
	int ret;

	if (cc != UINT32_MAX && (cc & NVME_CC_EN))
		weir_write32(nvme->regs, NVME_CC, cc & ~(NVME_CC_EN | NVME_CC_SHN_MASK));
	ret = wait_status(nvme, NVME_CSTS_RDY, 0, nvme->ready_ms, "disabled");
	if (ret != -ETIMEDOUT)
		return ret;
	if (weir_device_reset(nvme->dev))
		return nvme_weir_error(-ETIMEDOUT);
	return wait_status(nvme, NVME_CSTS_RDY, 0, nvme->ready_ms, "disabled, even by a reset");
}

/* Section 3.5.1, initialization. The admin queue is empty, the controller disabled. */
static int enable(struct nvme *nvme)
{
	uint32_t size = ADMIN_ENTRIES - 1;
	uint32_t cc = NVME_CC_MPS(nvme->page_shift - 12) | NVME_CC_IOSQES | NVME_CC_IOCQES;

	if (weir_device_bus_master(nvme->dev, true))
		return nvme_weir_error(-EIO);
	weir_write32(nvme->regs, NVME_AQA, size << 16 | size);
	weir_write64(nvme->regs, NVME_ASQ, nvme->admin.sq_at);
	weir_write64(nvme->regs, NVME_ACQ, nvme->admin.cq_at);
	weir_write32(nvme->regs, NVME_CC, cc);
	weir_write32(nvme->regs, NVME_CC, cc | NVME_CC_EN);
	return wait_status(nvme, NVME_CSTS_RDY, NVME_CSTS_RDY, nvme->ready_ms, "ready");
}

static int start(struct nvme *nvme)
{
	int ret = enable(nvme);

	return ret ? ret : nvme_ask_for_queues(nvme);
}

/* ---- open and close ---- */

static int read_capabilities(struct nvme *nvme)
{
	struct weir_region_info region;
	unsigned int half_s;
	uint64_t doorbells;
	int ret = weir_region_info(nvme->dev, WEIR_REGION_BAR0, &region);

	if (ret)
		return nvme_weir_error(ret);
	nvme->cap = weir_read64(nvme->regs, NVME_CAP);
	if (nvme->cap == UINT64_MAX)
		return ones(nvme);
	if (!NVME_CAP_NVM(nvme->cap))
		return nvme_error(nvme, -ENOTSUP, "the controller has no NVM command set: it isn't "
				  "for I/O");
	nvme->page_shift = 12 + NVME_CAP_MPSMIN(nvme->cap);
	if ((uint64_t)1 << nvme->page_shift > (uint64_t)sysconf(_SC_PAGESIZE))
		return nvme_error(nvme, -ENOTSUP, "the controller's pages have %u KiB at least, "
				  "the machine's have %ld", 1u << (nvme->page_shift - 10),
				  sysconf(_SC_PAGESIZE) >> 10);
	doorbells = (2 * (uint64_t)nvme->n_queues + 2) << (2 + NVME_CAP_DSTRD(nvme->cap));
	if (region.size < NVME_DOORBELLS + doorbells)
		return nvme_error(nvme, -ENOSPC, "BAR 0 has no room for the doorbells of %u queues",
				  nvme->n_queues);
	half_s = NVME_CAP_TO(nvme->cap);
	if (NVME_CAP_CRWMS(nvme->cap)) {
		uint32_t crto = weir_read32(nvme->regs, NVME_CRTO);

		if (NVME_CRTO_CRWMT(crto) > half_s)
			half_s = NVME_CRTO_CRWMT(crto);
	}
	/* In units of 500 ms. How they are rounded isn't said: one more. */
	nvme->ready_ms = (half_s + 1) * 500;
	return 0;
}

/* One vector for each queue; the admin queue, which is polled, has vector 0. */
static int enable_irqs(struct nvme *nvme)
{
	struct weir_irq_info info;
	int ret = weir_irq_info(nvme->dev, WEIR_IRQ_MSIX, &info);

	if (!ret && info.count < nvme->n_queues + 1)
		return nvme_error(nvme, info.count ? -ENOSPC : -ENOTSUP, "the controller has %u "
				  "MSI-X vectors, and %u queues need %u: open fewer, or poll",
				  info.count, nvme->n_queues, nvme->n_queues + 1);
	if (!ret)
		ret = weir_irq_enable(nvme->dev, WEIR_IRQ_MSIX, nvme->n_queues + 1);
	return ret ? nvme_weir_error(ret) : 0;
}

static int take_over(struct nvme *nvme, bool irq)
{
	struct weir_mem_opts opts = { .page_size = nvme->mem_page_size };
	struct weir_ioas *as = weir_device_ioas(nvme->dev);
	struct weir_seg seg;
	int ret = read_capabilities(nvme);

	if (!ret)
		ret = disable(nvme);
	if (!ret)
		ret = nvme_queue_init(&nvme->admin, nvme, 0, ADMIN_ENTRIES);
	if (ret)
		return ret;
	ret = weir_mem_alloc(as, NVME_IDENTIFY_SIZE, &opts, &nvme->data);
	if (!ret)	/* a page, and so one run */
		ret = weir_ioas_segs(as, weir_mem_ptr(nvme->data), NVME_IDENTIFY_SIZE, &seg, 1);
	if (ret < 0)
		return nvme_weir_error(ret);
	nvme->data_at = seg.iova;
	ret = irq ? enable_irqs(nvme) : 0;
	if (ret)
		return ret;
	nvme->irq = irq;
	ret = start(nvme);
	return ret ? ret : nvme_identify_controller(nvme);
}

/* Nothing of it is used any more: it is disabled, shut down, or has no bus mastering. */
static void let_go(struct nvme *nvme)
{
	weir_device_bus_master(nvme->dev, false);
	if (nvme->irq)
		weir_irq_disable(nvme->dev, WEIR_IRQ_MSIX);
	weir_mem_free(nvme->data);
	nvme_queue_free(&nvme->admin);
	weir_bar_close(nvme->regs);
	free(nvme->queues);
	free(nvme);
}

int nvme_open(struct weir_device *dev, const struct nvme_opts *opts, struct nvme **out)
{
	static const struct nvme_opts defaults;
	struct weir_device_info info;
	struct nvme *nvme = calloc(1, sizeof(*nvme));
	int ret;

	if (!opts)
		opts = &defaults;
	if (!nvme)
		return nvme_error(NULL, -ENOMEM, "no memory for a controller");
	nvme->dev = dev;
	nvme->n_queues = opts->queues ? opts->queues : 1;
	nvme->timeout_ms = opts->timeout_ms ? opts->timeout_ms : TIMEOUT_MS;
	nvme->mem_page_size = opts->page_size;
	ret = weir_device_info(dev, &info);
	if (ret) {
		nvme_weir_error(ret);
		goto err;
	}
	nvme->name = info.name;
	ret = -ENODEV;
	if (info.class_code != NVME_CLASS) {
		nvme_error(nvme, ret, "its class is 0x%06x; an NVMe controller's is 0x%06x",
			   info.class_code, NVME_CLASS);
		goto err;
	}
	ret = -EINVAL;
	if (nvme->n_queues > UINT16_MAX) {
		nvme_error(nvme, ret, "there are no %u I/O queues", nvme->n_queues);
		goto err;
	}
	ret = -ENOMEM;
	nvme->queues = calloc(nvme->n_queues, sizeof(struct nvme_queue *));
	if (!nvme->queues) {
		nvme_error(nvme, ret, "no memory for %u queues", nvme->n_queues);
		goto err;
	}
	ret = weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_AUTO, &nvme->regs);
	if (ret) {
		nvme_weir_error(ret);
		goto err;
	}
	ret = take_over(nvme, opts->irq);
	if (ret) {
		weir_device_bus_master(dev, false);
		weir_write32(nvme->regs, NVME_CC, 0);
		goto err;
	}
	*out = nvme;
	return 0;

err:
	let_go(nvme);
	return ret;
}

/* Section 3.6.1: what it has cached gets to the medium. */
static int shut_down(struct nvme *nvme)
{
	uint32_t cc = weir_read32(nvme->regs, NVME_CC);

	if (cc == UINT32_MAX)
		return ones(nvme);
	weir_write32(nvme->regs, NVME_CC, (cc & ~NVME_CC_SHN_MASK) | NVME_CC_SHN_NORMAL);
	return wait_status(nvme, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE, nvme->shutdown_ms,
			   "shut down: what was written last may be lost,");
}

int nvme_close(struct nvme *nvme)
{
	int ret;

	if (!nvme)
		return 0;
	for (unsigned int i = 0; i < nvme->n_queues; i++)
		if (nvme->queues[i])
			return nvme_error(nvme, -EBUSY, "I/O queue %u is open: close it first",
					  i + 1);
	ret = nvme_failure(nvme);
	if (!ret)
		ret = shut_down(nvme);
	let_go(nvme);
	return ret;
}

int nvme_reset(struct nvme *nvme)
{
	int ret;

	/* Until it works again nothing is to be submitted, by those whose commands end here. */
	nvme_stop(nvme, -ECANCELED);
	nvme_error(nvme, -ECANCELED, "the controller was reset");
	nvme_queue_cancel(&nvme->admin, -ECANCELED);
	for (unsigned int i = 0; i < nvme->n_queues; i++)
		if (nvme->queues[i])
			nvme_queue_cancel(nvme->queues[i], -ECANCELED);
	ret = disable(nvme);
	__atomic_store_n(&nvme->failure, ret, __ATOMIC_RELEASE);
	if (ret)
		return ret;
	nvme_queue_restart(&nvme->admin);
	ret = start(nvme);
	for (unsigned int i = 0; i < nvme->n_queues && !ret; i++) {
		if (nvme->queues[i]) {
			nvme_queue_restart(nvme->queues[i]);
			ret = nvme_queue_create(nvme->queues[i]);
		}
	}
	return ret ? nvme_stop(nvme, ret) : 0;
}

int nvme_sigbus(const struct nvme *nvme, const void *addr)
{
	return weir_bar_sigbus(nvme->regs, addr);
}

/* ---- I/O queues ---- */

int nvme_queue_open(struct nvme *nvme, unsigned int depth, struct nvme_queue **out)
{
	struct nvme_queue *queue;
	unsigned int free_id = 0;
	int ret;

	if (!depth || depth > nvme->info.max_depth)
		return nvme_error(nvme, -EINVAL, "a queue depth of %u: the controller takes 1 to "
				  "%u", depth, nvme->info.max_depth);
	while (free_id < nvme->n_queues && nvme->queues[free_id])
		free_id++;
	if (free_id == nvme->n_queues)
		return nvme_error(nvme, -ENOSPC, "all %u I/O queues are open", nvme->n_queues);
	ret = nvme_failure(nvme);
	if (ret)
		return ret;
	queue = malloc(sizeof(*queue));
	if (!queue)
		return nvme_error(nvme, -ENOMEM, "no memory for a queue");
	ret = nvme_queue_init(queue, nvme, free_id + 1, depth + 1);
	if (ret) {
		free(queue);
		return ret;
	}
	ret = nvme_queue_create(queue);
	if (ret) {
		nvme_queue_free(queue);
		free(queue);
		return ret;
	}
	nvme->queues[free_id] = queue;
	*out = queue;
	return 0;
}

int nvme_queue_close(struct nvme_queue *queue)
{
	int ret;

	if (!queue)
		return 0;
	if (queue->outstanding)
		return nvme_error(queue->nvme, -EBUSY, "%u commands of queue %u are outstanding",
				  queue->outstanding, queue->id);
	ret = nvme_queue_delete(queue);
	queue->nvme->queues[queue->id - 1] = NULL;
	nvme_queue_free(queue);
	free(queue);
	return ret;
}
