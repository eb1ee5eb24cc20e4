/* SPDX-License-Identifier: MIT */
/*
 * The device has one BAR with a few registers, a 4 KiB buffer that only its DMA engine reaches,
 * and one interrupt. It does two things that take time, factorials and DMA: software writes a
 * register to start one, and learns the end of it by reading a bit or by an interrupt.
 *
 * On hardware the engine works beside the CPU; here it is a thread beside the driver's, so that a
 * driver that doesn't wait for the end fails here as it would there.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <weir/weir.h>

#include "models/edu/edu.h"

/* Registers. Those below 0x80 are accessed by 4 bytes only, the others by 4 or 8. */
#define REG_ID		0x00
#define REG_LIVE	0x04
#define REG_FACTORIAL	0x08
#define REG_STATUS	0x20
#define REG_IRQ_STATUS	0x24
#define REG_IRQ_RAISE	0x60
#define REG_IRQ_ACK	0x64
#define REG_WIDE	0x80
#define REG_DMA_SOURCE	0x80
#define REG_DMA_DEST	0x88
#define REG_DMA_COUNT	0x90
#define REG_DMA_COMMAND	0x98

#define ID		0x010000edu	/* version 1.0; the u is C's, for unsigned */

#define STATUS_BUSY	0x01u		/* computing a factorial */
#define STATUS_IRQ	0x80u		/* interrupt when that is done */

#define DMA_START	0x1u
#define DMA_TO_RAM	0x2u		/* otherwise from RAM into the buffer */
#define DMA_IRQ		0x4u		/* interrupt when done */

#define IRQ_FACTORIAL	0x001u
#define IRQ_DMA		0x100u

/* The buffer, as the DMA engine addresses it; registers don't show it. */
#define BUFFER		0x40000u
#define BUFFER_SIZE	4096u

#define DMA_BITS	28

struct edu_dma {
	uint64_t source;
	uint64_t dest;
	uint64_t count;
	uint64_t command;
};

struct edu {
	struct weir_model *model;
	uint64_t dma_mask;
	bool big_endian;
	pthread_t engine;

	/* Registers are accessed by many threads at once, and by the engine. */
	pthread_mutex_t lock;
	pthread_cond_t work;		/* for the engine: something to do, or to quit */
	pthread_cond_t idle;		/* for reset: the engine has finished */
	bool quit;
	bool engine_busy;
	unsigned int resets;		/* how many there were, see engine_run() */

	uint32_t live;
	uint32_t factorial;
	uint32_t status;
	uint32_t irq_status;
	struct edu_dma dma;

	/* The engine's own while it is busy, hence not locked. */
	uint8_t buffer[BUFFER_SIZE];
};

/*
 * Interrupts. An interrupt status bit stays set until the driver acknowledges it; the pin is
 * asserted as long as any is set. MSI is a message instead, one for each event. The lock is held
 * throughout, or else the pin could be left behind by an acknowledge that overtakes.
 *
 * Raising can fail when the driver has turned off what it needs; then the interrupt is lost, as on
 * hardware, and the status register still tells of it.
 */
static void irq_raise(struct edu *edu, uint32_t bits)
{
	edu->irq_status |= bits;
	if (!edu->irq_status)
		return;
	if (weir_model_msi_enabled(edu->model))
		weir_model_msi(edu->model, 0);
	else
		weir_model_intx(edu->model, true);
}

static void irq_acknowledge(struct edu *edu, uint32_t bits)
{
	edu->irq_status &= ~bits;
	if (!edu->irq_status)
		weir_model_intx(edu->model, false);
}

/* In 32 bits, as the register is. From 34! on the product is a multiple of 2^32 and stays 0. */
static uint32_t factorial(uint32_t n)
{
	uint32_t product = 1;

	while (n > 1 && product)
		product *= n--;
	return product;
}

/*
 * Where in the buffer a transfer is, or NULL when it isn't. What happens then isn't specified:
 * QEMU's device stops the whole machine with a "hardware error" (newer ones write to QEMU's log),
 * this one transfers nothing.
 */
static uint8_t *buffer_at(struct edu *edu, uint64_t address, uint64_t count)
{
	if (address < BUFFER || address - BUFFER > BUFFER_SIZE ||
	    count > BUFFER_SIZE - (address - BUFFER))
		return NULL;
	return edu->buffer + (address - BUFFER);
}

/*
 * The address goes out on the bus with as many bits as the engine has: software must not give it
 * memory above. When the IOMMU blocks the access, or bus mastering is off, the device has no way
 * to tell: the transfer ends like any other. Drivers learn of it from the IOMMU alone.
 */
static void transfer(struct edu *edu, const struct edu_dma *dma)
{
	uint8_t *data;

	if (dma->command & DMA_TO_RAM) {
		data = buffer_at(edu, dma->source, dma->count);
		if (data)
			weir_model_dma_write(edu->model, dma->dest & edu->dma_mask, data,
					     dma->count);
	} else {
		data = buffer_at(edu, dma->dest, dma->count);
		if (data)
			weir_model_dma_read(edu->model, dma->source & edu->dma_mask, data,
					    dma->count);
	}
}

/*
 * One round of the engine, with the lock held, which it gives up while it works. What it has
 * computed before a reset must not show after it: a reset that came meanwhile is waiting.
 */
static void engine_run(struct edu *edu)
{
	bool computing = edu->status & STATUS_BUSY;
	bool moving = edu->dma.command & DMA_START;
	struct edu_dma dma = edu->dma;
	uint32_t n = edu->factorial;
	unsigned int resets = edu->resets;

	edu->engine_busy = true;
	pthread_mutex_unlock(&edu->lock);
	if (computing)
		n = factorial(n);
	if (moving)
		transfer(edu, &dma);
	pthread_mutex_lock(&edu->lock);
	edu->engine_busy = false;
	pthread_cond_broadcast(&edu->idle);
	if (edu->resets != resets)
		return;

	/* First the results, then the interrupt that tells of them. */
	if (computing) {
		edu->factorial = n;
		edu->status &= ~STATUS_BUSY;
		if (edu->status & STATUS_IRQ)
			irq_raise(edu, IRQ_FACTORIAL);
	}
	if (moving) {
		edu->dma.command &= ~(uint64_t)DMA_START;
		if (dma.command & DMA_IRQ)
			irq_raise(edu, IRQ_DMA);
	}
}

static void *engine_main(void *arg)
{
	struct edu *edu = arg;

	pthread_mutex_lock(&edu->lock);
	while (!edu->quit) {
		if ((edu->status & STATUS_BUSY) || (edu->dma.command & DMA_START))
			engine_run(edu);
		else
			pthread_cond_wait(&edu->work, &edu->lock);
	}
	pthread_mutex_unlock(&edu->lock);
	return NULL;
}

static bool access_allowed(uint64_t offset, unsigned int width)
{
	return width == 4 || (width == 8 && offset >= REG_WIDE);
}

/* The DMA engine's registers, 64 bits wide, or NULL. */
static uint64_t *dma_register(struct edu *edu, uint64_t offset)
{
	switch (offset) {
	case REG_DMA_SOURCE:
		return &edu->dma.source;
	case REG_DMA_DEST:
		return &edu->dma.dest;
	case REG_DMA_COUNT:
		return &edu->dma.count;
	case REG_DMA_COMMAND:
		return &edu->dma.command;
	default:
		return NULL;
	}
}

/* Accesses are numbers, as little-endian registers have them. */
static uint64_t in_order(const struct edu *edu, uint64_t value, unsigned int width)
{
	return edu->big_endian ? __builtin_bswap64(value) >> (64 - 8 * width) : value;
}

/* What isn't there reads all ones, as on the bus; so does what can only be written. */
static uint64_t edu_model_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			       unsigned int width)
{
	struct edu *edu = weir_model_priv(model);
	uint64_t value = UINT64_MAX;
	uint64_t *dma;

	(void)bar;	/* there is one */
	if (!access_allowed(offset, width))
		return value;
	pthread_mutex_lock(&edu->lock);
	switch (offset) {
	case REG_ID:
		value = ID;
		break;
	case REG_LIVE:
		value = edu->live;
		break;
	case REG_FACTORIAL:
		value = edu->factorial;
		break;
	case REG_STATUS:
		value = edu->status;
		break;
	case REG_IRQ_STATUS:
		value = edu->irq_status;
		break;
	default:
		dma = dma_register(edu, offset);
		if (dma)
			value = *dma;
	}
	pthread_mutex_unlock(&edu->lock);
	return in_order(edu, value, width);
}

/*
 * While a transfer runs its registers keep still. A write of 4 bytes to one of them clears the
 * upper half: QEMU's device does so, and 32-bit drivers count on it.
 */
static void write_dma(struct edu *edu, uint64_t offset, uint64_t value)
{
	uint64_t *dma = dma_register(edu, offset);

	if (!dma || (edu->dma.command & DMA_START))
		return;
	if (dma == &edu->dma.command && !(value & DMA_START))
		return;
	*dma = value;
	if (dma == &edu->dma.command)
		pthread_cond_signal(&edu->work);
}

static void edu_model_write(struct weir_model *model, unsigned int bar, uint64_t offset,
			    unsigned int width, uint64_t value)
{
	struct edu *edu = weir_model_priv(model);

	(void)bar;
	if (!access_allowed(offset, width))
		return;
	value = in_order(edu, value, width);
	pthread_mutex_lock(&edu->lock);
	switch (offset) {
	case REG_LIVE:
		edu->live = ~(uint32_t)value;
		break;
	case REG_FACTORIAL:
		if (edu->status & STATUS_BUSY)
			break;
		edu->factorial = (uint32_t)value;
		edu->status |= STATUS_BUSY;
		pthread_cond_signal(&edu->work);
		break;
	case REG_STATUS:
		edu->status = (edu->status & ~STATUS_IRQ) | ((uint32_t)value & STATUS_IRQ);
		break;
	case REG_IRQ_RAISE:
		irq_raise(edu, (uint32_t)value);
		break;
	case REG_IRQ_ACK:
		irq_acknowledge(edu, (uint32_t)value);
		break;
	default:
		write_dma(edu, offset, value);
	}
	pthread_mutex_unlock(&edu->lock);
}

static void clear_registers(struct edu *edu)
{
	edu->live = 0;
	edu->factorial = 0;
	edu->status = 0;
	memset(&edu->dma, 0, sizeof(edu->dma));
	irq_acknowledge(edu, UINT32_MAX);
}

/*
 * The engine can't be stopped in the middle of a bus transaction: reset gives it nothing more to
 * do, waits until it has put down what it holds, and then clears what a driver that didn't wait
 * for the reset may have written meanwhile.
 */
static void edu_model_reset(struct weir_model *model)
{
	struct edu *edu = weir_model_priv(model);

	pthread_mutex_lock(&edu->lock);
	edu->resets++;
	clear_registers(edu);
	while (edu->engine_busy)
		pthread_cond_wait(&edu->idle, &edu->lock);
	clear_registers(edu);
	memset(edu->buffer, 0, sizeof(edu->buffer));
	pthread_mutex_unlock(&edu->lock);
}

static const struct weir_model_ops edu_model_ops = {
	.read = edu_model_read,
	.write = edu_model_write,
	.reset = edu_model_reset,
};

static void edu_free(struct edu *edu)
{
	pthread_cond_destroy(&edu->idle);
	pthread_cond_destroy(&edu->work);
	pthread_mutex_destroy(&edu->lock);
	free(edu);
}

int edu_model_create(const struct edu_model_opts *opts, struct weir_model **out)
{
	struct weir_model_desc desc = {
		.name = "edu",
		.vendor = 0x1234,
		.device = 0x11e8,
		.class_code = 0x00ff00,		/* a device of no class */
		.revision = 0x10,
		.dma_bits = opts && opts->dma_bits ? opts->dma_bits : DMA_BITS,
		.intx = true,
		.msi = 1,
		.bars = { { .size = 1 << 20 } },
	};
	struct edu *edu;
	int ret;

	edu = calloc(1, sizeof(*edu));
	if (!edu)
		return -ENOMEM;
	pthread_mutex_init(&edu->lock, NULL);
	pthread_cond_init(&edu->work, NULL);
	pthread_cond_init(&edu->idle, NULL);
	ret = weir_model_create(&desc, &edu_model_ops, edu, &edu->model);
	if (ret) {
		edu_free(edu);
		return ret;
	}
	edu->dma_mask = UINT64_MAX >> (64 - desc.dma_bits);
	edu->big_endian = opts && opts->big_endian;
	ret = pthread_create(&edu->engine, NULL, engine_main, edu);
	if (ret) {
		weir_model_destroy(edu->model);
		edu_free(edu);
		return -ret;
	}
	*out = edu->model;
	return 0;
}

int edu_model_destroy(struct weir_model *model)
{
	struct edu *edu;
	int ret;

	if (!model)
		return 0;
	edu = weir_model_priv(model);
	/* Refused while a driver has it. Otherwise its driver's leaving has reset the engine, so
	 * that it sleeps, and doesn't touch what is gone. */
	ret = weir_model_destroy(model);
	if (ret)
		return ret;
	pthread_mutex_lock(&edu->lock);
	edu->quit = true;
	pthread_cond_signal(&edu->work);
	pthread_mutex_unlock(&edu->lock);
	pthread_join(edu->engine, NULL);
	edu_free(edu);
	return 0;
}
