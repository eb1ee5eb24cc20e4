/* SPDX-License-Identifier: MIT */
/*
 * The device has one thread beside the driver's, its engine, for all that takes time: the ring, and
 * trouble. Registers are plain storage; the few that do something are told apart in one place.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/weir.h>

#include "models/lab/lab.h"

#define BAR_REGISTERS	0
#define BAR_MEMORY	2
#define BAR_MSIX	4
#define MEMORY_SIZE	65536u
#define REGISTERS	(0xb8 / 8)

/* A register by its name in the data sheet. */
#define REG(lab, name) ((lab)->reg[LAB_##name / 8])

struct trouble {
	uint64_t command, address, count;
	uint64_t went_through, refused, error;
};

struct lab {
	struct weir_model *model;
	enum lab_caps caps;
	pthread_t engine;

	/* Registers are accessed by many threads at once, and by the engine. */
	pthread_mutex_t lock;
	pthread_cond_t work;		/* for the engine: something to do, or to quit */
	pthread_cond_t idle;		/* for reset: the engine has finished */
	bool quit;
	bool engine_busy;
	bool hang;
	bool late;			/* LAB_TROUBLE_LATE, and where: */
	uint64_t late_address;
	unsigned int resets;		/* how many there were, see engine_run() */
	uint64_t reg[REGISTERS];
	uint8_t memory[MEMORY_SIZE];

	/* The engine's own. */
	uint8_t buffer[4096];
};

/*
 * Raise a vector, with the lock held. A message that can't be sent is lost, as on hardware; there
 * is a register to tell, for tests.
 */
static void irq_raise(struct lab *lab, uint32_t vector)
{
	if (vector == LAB_NO_VECTOR)
		return;
	if (weir_model_msi_enabled(lab->model)) {
		if (weir_model_msi(lab->model, vector))
			REG(lab, LOST)++;
		return;
	}
	REG(lab, IRQ_STATUS) |= 1ull << (vector % LAB_VECTORS);
	weir_model_intx(lab->model, true);
}

static void irq_acknowledge(struct lab *lab, uint64_t bits)
{
	REG(lab, IRQ_STATUS) &= ~bits;
	if (!REG(lab, IRQ_STATUS))
		weir_model_intx(lab->model, false);
}

/* ---- the ring ---- */

static uint32_t copy(struct lab *lab, uint64_t source, uint64_t dest, uint32_t len)
{
	if (!len || len > LAB_LEN_MAX)
		return LAB_BAD_LEN;
	while (len) {
		uint32_t n = len < sizeof(lab->buffer) ? len : sizeof(lab->buffer);

		if (weir_model_dma_read(lab->model, source, lab->buffer, n))
			return LAB_SOURCE_BLOCKED;
		if (weir_model_dma_write(lab->model, dest, lab->buffer, n))
			return LAB_DEST_BLOCKED;
		source += n;
		dest += n;
		len -= n;
	}
	return LAB_DONE;
}

/* Do the descriptor at an IOVA, without the lock. False: it can't be read, or not be answered. */
static bool do_descriptor(struct lab *lab, uint64_t at, uint32_t *vector)
{
	struct lab_descriptor d;
	uint32_t status;

	if (weir_model_dma_read(lab->model, at, &d, sizeof(d)))
		return false;
	*vector = le32toh(d.vector);
	status = htole32(copy(lab, le64toh(d.source), le64toh(d.dest), le32toh(d.len)));
	return !weir_model_dma_write(lab->model, at + offsetof(struct lab_descriptor, status),
				     &status, sizeof(status));
}

static bool ring_busy(const struct lab *lab)
{
	return REG(lab, RING_HEAD) != REG(lab, RING_TAIL) &&
	       !(REG(lab, STATUS) & LAB_STATUS_STOPPED);
}

/* What the engine holds of the ring counts as busy, too, so that nobody changes it meanwhile. */
static void ring_settle(struct lab *lab)
{
	if (!lab->engine_busy && !ring_busy(lab))
		REG(lab, STATUS) &= ~(uint64_t)LAB_STATUS_BUSY;
}

/* With the lock held: one descriptor is done, or has stopped the ring. */
static void ring_advance(struct lab *lab, bool ok, uint32_t vector)
{
	if (ok)
		REG(lab, RING_HEAD) = (REG(lab, RING_HEAD) + 1) % REG(lab, RING_SIZE);
	else
		REG(lab, STATUS) |= LAB_STATUS_STOPPED;
	ring_settle(lab);
	if (ok)
		irq_raise(lab, vector);
}

static void ring_empty(struct lab *lab)
{
	REG(lab, RING_HEAD) = 0;
	REG(lab, RING_TAIL) = 0;
	REG(lab, STATUS) &= ~(uint64_t)LAB_STATUS_STOPPED;
}

static void ring_kick(struct lab *lab)
{
	if (REG(lab, RING_TAIL) >= REG(lab, RING_SIZE)) {
		REG(lab, STATUS) |= LAB_STATUS_STOPPED;
		ring_settle(lab);
	} else if (ring_busy(lab)) {
		REG(lab, STATUS) |= LAB_STATUS_BUSY;
		pthread_cond_signal(&lab->work);
	}
}

/* ---- trouble ---- */

/* Vendor-specific, with 12 bytes of its own of which a driver may change the last 4. */
static const uint8_t vendor_cap[16] = { 0x09, 0, 16, 0, 'l', 'a', 'b' };
/* Device serial number, version 1: PCI Express Base, section 7.9.3. */
static const uint8_t serial_cap[12] = { 0x03, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8 };

static int set_caps(struct lab *lab, uint64_t kind)
{
	uint8_t own[4096 - WEIR_MODEL_CONFIG_OWN] = { 0 };
	uint8_t writable[sizeof(own)] = { 0 };
	uint8_t *extended = own + 0x100 - WEIR_MODEL_CONFIG_OWN;
	uint32_t noise = 1;

	if (kind > LAB_CAPS_GARBAGE)
		return -EINVAL;
	for (size_t i = 0; kind == LAB_CAPS_GARBAGE && i < sizeof(own); i++) {
		noise = noise * 1664525 + 1013904223;
		own[i] = (uint8_t)(noise >> 24);
	}
	memcpy(own, vendor_cap, sizeof(vendor_cap));
	memset(writable + 12, 0xff, 4);
	memcpy(extended, serial_cap, sizeof(serial_cap));
	if (kind == LAB_CAPS_LOOP) {
		/* Another one each, that leads back. */
		own[1] = WEIR_MODEL_CONFIG_OWN + 16;
		memcpy(own + 16, vendor_cap, sizeof(vendor_cap));
		own[17] = WEIR_MODEL_CONFIG_OWN;
		extended[3] = 0x14;
		memcpy(extended + 0x40, serial_cap, sizeof(serial_cap));
		extended[0x43] = 0x10;
	} else if (kind == LAB_CAPS_GARBAGE) {
		own[1] = 0xdd;
		extended[2] |= 0xf0;
		extended[3] = 0x7f;
	}
	return weir_model_config(lab->model, WEIR_MODEL_CONFIG_OWN, own, writable, sizeof(own));
}

static void show_holding(struct lab *lab, bool on)
{
	pthread_mutex_lock(&lab->lock);
	REG(lab, STATUS) &= ~(uint64_t)LAB_STATUS_HOLDING;
	if (on)
		REG(lab, STATUS) |= LAB_STATUS_HOLDING;
	pthread_mutex_unlock(&lab->lock);
}

static int slow_write(struct lab *lab, const struct trouble *t)
{
	const struct timespec ts = {
		.tv_sec = (time_t)(t->count / 1000),
		.tv_nsec = (long)(t->count % 1000) * 1000000,
	};
	const uint64_t pattern = LAB_PATTERN;
	size_t run;
	void *ptr;
	int ret = weir_model_dma_begin(lab->model);

	if (ret)
		return ret;
	ret = weir_model_dma_translate(lab->model, t->address, sizeof(pattern), true, &ptr, &run);
	if (!ret) {
		show_holding(lab, true);
		nanosleep(&ts, NULL);
		memcpy(ptr, &pattern, run);
		show_holding(lab, false);
	}
	weir_model_dma_end(lab->model);
	return ret;
}

static int stray_irq(struct lab *lab, uint64_t vector)
{
	int ret;

	if (weir_model_msi_enabled(lab->model))
		return weir_model_msi(lab->model, (unsigned int)vector);
	/* No status bit tells of it. The pin may be asserted for a reason: then it stays. */
	pthread_mutex_lock(&lab->lock);
	ret = weir_model_intx(lab->model, true);
	if (!REG(lab, IRQ_STATUS))
		weir_model_intx(lab->model, false);
	pthread_mutex_unlock(&lab->lock);
	return ret;
}

static int trouble_once(struct lab *lab, const struct trouble *t, uint64_t i)
{
	uint64_t data = LAB_PATTERN;

	switch (t->command) {
	case LAB_TROUBLE_READ:
		return weir_model_dma_read(lab->model, t->address + i * 4096, &data, sizeof(data));
	case LAB_TROUBLE_WRITE:
		return weir_model_dma_write(lab->model, t->address + i * 4096, &data, sizeof(data));
	case LAB_TROUBLE_STORM:
		return stray_irq(lab, t->address);
	case LAB_TROUBLE_SLOW:
		return slow_write(lab, t);
	case LAB_TROUBLE_CAPS:
		return set_caps(lab, t->address);
	case LAB_TROUBLE_ERR:
		return weir_model_signal(lab->model, WEIR_IRQ_ERR);
	case LAB_TROUBLE_REQ:
		return weir_model_signal(lab->model, WEIR_IRQ_REQ);
	case LAB_TROUBLE_REMOVE:
		return weir_model_remove(lab->model);
	default:
		/* HANG and LATE are for the registers; more there isn't. */
		return t->command <= LAB_TROUBLE_REMOVE ? 0 : -EINVAL;
	}
}

static bool reset_since(struct lab *lab, unsigned int resets)
{
	bool reset;

	pthread_mutex_lock(&lab->lock);
	reset = lab->resets != resets;
	pthread_mutex_unlock(&lab->lock);
	return reset;
}

/* Without the lock. The pin is never refused, so it is asked each time whether a reset waits. */
static void make_trouble(struct lab *lab, struct trouble *t, unsigned int resets)
{
	bool many = t->command <= LAB_TROUBLE_STORM;

	for (uint64_t i = 0; i < (many ? t->count : 1) && !reset_since(lab, resets); i++) {
		int ret = trouble_once(lab, t, i);

		if (ret) {
			t->refused++;
			t->error = (uint64_t)-ret;
		} else {
			t->went_through++;
		}
		/* Nothing will ever go through again: it was removed, or is being reset. */
		if (ret == -ENODEV)
			break;
	}
}

/* With the lock held: it is over. */
static void trouble_done(struct lab *lab, const struct trouble *t)
{
	if (t->command == LAB_TROUBLE_HANG)
		lab->hang = true;
	if (t->command == LAB_TROUBLE_LATE) {
		lab->late = true;
		lab->late_address = t->address;
	}
	REG(lab, WENT_THROUGH) = t->went_through;
	REG(lab, REFUSED) = t->refused;
	REG(lab, ERROR) = t->error;
	REG(lab, TROUBLE) = 0;
	ring_settle(lab);
}

/* ---- the engine ---- */

/*
 * One round, with the lock held, which it gives up while it works. What it did before a reset must
 * not show after it: a reset that came meanwhile is waiting.
 */
static void engine_run(struct lab *lab)
{
	struct trouble t = {
		.command = REG(lab, TROUBLE),
		.address = REG(lab, ADDRESS),
		.count = REG(lab, COUNT),
	};
	uint64_t at = REG(lab, RING_BASE) + REG(lab, RING_HEAD) * sizeof(struct lab_descriptor);
	unsigned int resets = lab->resets;
	uint32_t vector = LAB_NO_VECTOR;
	bool ok = false;

	lab->engine_busy = true;
	pthread_mutex_unlock(&lab->lock);
	if (t.command)
		make_trouble(lab, &t, resets);
	else
		ok = do_descriptor(lab, at, &vector);
	pthread_mutex_lock(&lab->lock);
	lab->engine_busy = false;
	pthread_cond_broadcast(&lab->idle);
	if (lab->resets != resets)
		return;
	if (t.command)
		trouble_done(lab, &t);
	else
		ring_advance(lab, ok, vector);
}

static void *engine_main(void *arg)
{
	struct lab *lab = arg;

	pthread_mutex_lock(&lab->lock);
	while (!lab->quit) {
		if (REG(lab, TROUBLE) || (ring_busy(lab) && !lab->hang))
			engine_run(lab);
		else
			pthread_cond_wait(&lab->work, &lab->lock);
	}
	pthread_mutex_unlock(&lab->lock);
	return NULL;
}

/* ---- registers ---- */

/* A number as it looks big-endian on a little-endian bus. */
static uint64_t swap(uint64_t value, unsigned int width)
{
	return __builtin_bswap64(value) >> (64 - 8 * width);
}

static uint64_t lab_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			 unsigned int width)
{
	struct lab *lab = weir_model_priv(model);
	uint64_t value = 0;

	pthread_mutex_lock(&lab->lock);
	if (bar == BAR_MEMORY) {
		memcpy(&value, lab->memory + offset, width);
		value = le64toh(value);
	} else if (bar == BAR_MSIX || offset / 8 >= REGISTERS) {
		value = UINT64_MAX;
	} else if (offset == LAB_BE) {
		value = swap(REG(lab, BE) + 1, width);
	} else {
		value = lab->reg[offset / 8] >> (8 * (offset % 8));
	}
	pthread_mutex_unlock(&lab->lock);
	return value;
}

/* @value are the bits that are written, of those in @mask; both where they are in the register. */
static void write_register(struct lab *lab, uint64_t offset, uint64_t value, uint64_t mask)
{
	uint64_t *reg = &lab->reg[offset / 8];
	uint64_t merged = (*reg & ~mask) | (value & mask);

	switch (offset & ~7ull) {
	case LAB_SCRATCH:
	case LAB_ADDRESS:
	case LAB_COUNT:
		*reg = merged;
		break;
	case LAB_IRQ_STATUS:
		irq_acknowledge(lab, value & mask);
		break;
	case LAB_RING_BASE:
	case LAB_RING_SIZE:
		if (REG(lab, STATUS) & LAB_STATUS_BUSY)
			break;
		*reg = merged;
		ring_empty(lab);
		break;
	case LAB_RING_TAIL:
		if (REG(lab, STATUS) & LAB_STATUS_STOPPED)
			break;
		*reg = merged;
		ring_kick(lab);
		break;
	case LAB_TROUBLE:
		if (*reg)
			break;
		*reg = merged;
		pthread_cond_signal(&lab->work);
		break;
	}
}

static void lab_write(struct weir_model *model, unsigned int bar, uint64_t offset,
		      unsigned int width, uint64_t value)
{
	struct lab *lab = weir_model_priv(model);
	uint64_t mask = UINT64_MAX >> (64 - 8 * width);
	unsigned int shift = 8 * (offset % 8);

	pthread_mutex_lock(&lab->lock);
	if (bar == BAR_MEMORY) {
		value = htole64(value);
		memcpy(lab->memory + offset, &value, width);
	} else if (bar == BAR_REGISTERS && offset == LAB_BE) {
		REG(lab, BE) = swap(value, width);
	} else if (bar == BAR_REGISTERS && offset / 8 < REGISTERS) {
		write_register(lab, offset, value << shift, mask << shift);
	}
	pthread_mutex_unlock(&lab->lock);
}

static void clear(struct lab *lab)
{
	uint64_t late = REG(lab, LATE);

	lab->hang = false;
	memset(lab->reg, 0, sizeof(lab->reg));
	REG(lab, ID) = LAB_ID_VALUE;
	REG(lab, LATE) = late;
	memset(lab->memory, 0, sizeof(lab->memory));
	weir_model_intx(lab->model, false);
}

/*
 * The host has cut the device off, so what the engine still holds ends soon, and what comes late is
 * refused. Once it has finished, clear what a driver that didn't wait may have written meanwhile.
 */
static void lab_reset(struct weir_model *model)
{
	struct lab *lab = weir_model_priv(model);
	const uint64_t pattern = LAB_PATTERN;

	pthread_mutex_lock(&lab->lock);
	if (lab->late) {
		lab->late = false;
		REG(lab, LATE) = (uint64_t)-weir_model_dma_write(model, lab->late_address, &pattern,
								 sizeof(pattern));
	}
	lab->resets++;
	clear(lab);
	while (lab->engine_busy)
		pthread_cond_wait(&lab->idle, &lab->lock);
	clear(lab);
	set_caps(lab, lab->caps);
	pthread_mutex_unlock(&lab->lock);
}

static const struct weir_model_ops lab_ops = {
	.read = lab_read,
	.write = lab_write,
	.reset = lab_reset,
};

static void lab_free(struct lab *lab)
{
	pthread_cond_destroy(&lab->idle);
	pthread_cond_destroy(&lab->work);
	pthread_mutex_destroy(&lab->lock);
	free(lab);
}

static const struct weir_model_desc lab_desc = {
	.name = "lab",
	.vendor = LAB_VENDOR,
	.device = LAB_DEVICE,
	.class_code = 0x00ff00,		/* a device of no class */
	.revision = 1,
	.intx = true,
	.msi = 4,
	.msix = LAB_VECTORS,
	.msix_bar = BAR_MSIX,
	.msix_table = 0,
	.msix_pba = 0x1000,
	.pcie = true,
	.bars = {
		[BAR_REGISTERS] = { .size = 4096 },
		[BAR_MEMORY] = { .size = MEMORY_SIZE, .is64 = true, .prefetchable = true },
		[BAR_MSIX] = { .size = 8192 },
	},
};

int lab_model_create(const struct lab_model_opts *opts, struct weir_model **out)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	int ret;

	if (!lab)
		return -ENOMEM;
	pthread_mutex_init(&lab->lock, NULL);
	pthread_cond_init(&lab->work, NULL);
	pthread_cond_init(&lab->idle, NULL);
	lab->caps = opts ? opts->caps : LAB_CAPS_SOUND;
	ret = weir_model_create(&lab_desc, &lab_ops, lab, &lab->model);
	if (ret) {
		lab_free(lab);
		return ret;
	}
	clear(lab);
	ret = set_caps(lab, lab->caps);
	if (!ret)
		ret = -pthread_create(&lab->engine, NULL, engine_main, lab);
	if (ret) {
		weir_model_destroy(lab->model);
		lab_free(lab);
		return ret;
	}
	*out = lab->model;
	return 0;
}

int lab_model_destroy(struct weir_model *model)
{
	struct lab *lab;
	int ret;

	if (!model)
		return 0;
	lab = weir_model_priv(model);
	/* Refused while a driver has it. Otherwise its driver's leaving has reset the engine, so
	 * that it sleeps, and doesn't touch what is gone. */
	ret = weir_model_destroy(model);
	if (ret)
		return ret;
	pthread_mutex_lock(&lab->lock);
	lab->quit = true;
	pthread_cond_signal(&lab->work);
	pthread_mutex_unlock(&lab->lock);
	pthread_join(lab->engine, NULL);
	lab_free(lab);
	return 0;
}
