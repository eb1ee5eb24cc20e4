/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the model's host: a toy model, and a bus that only notes what it is asked.
 */
#ifndef TESTS_UNIT_TOY_H
#define TESTS_UNIT_TOY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "gate.h"
#include "model/model.h"
#include "pci/config.h"

/* A bus that is 64 KiB of memory, from address 0 on, and notes what happened. */
#define MEMORY 65536

struct bus {
	uint8_t memory[MEMORY];
	atomic_int dmas, begun, ended, translated;
	atomic_int intx, msi[32], msix[64], err, req;
	atomic_int inside;		/* bus calls under way */
	atomic_bool slow;		/* a transfer stays until told otherwise */
};

static inline int bus_dma(void *arg, weir_iova iova, void *buf, size_t len, bool write)
{
	struct bus *bus = arg;

	atomic_fetch_add(&bus->inside, 1);
	atomic_fetch_add(&bus->dmas, 1);
	while (atomic_load(&bus->slow))
		usleep(100);
	if (iova < MEMORY && len <= MEMORY - iova) {
		if (write)
			memcpy(bus->memory + iova, buf, len);
		else
			memcpy(buf, bus->memory + iova, len);
	}
	atomic_fetch_sub(&bus->inside, 1);
	return iova < MEMORY && len <= MEMORY - iova ? 0 : wr_fail(-EFAULT, "test: blocked");
}

static inline void bus_begin(void *arg)
{
	atomic_fetch_add(&((struct bus *)arg)->begun, 1);
}

static inline void bus_end(void *arg)
{
	atomic_fetch_add(&((struct bus *)arg)->ended, 1);
}

static inline int bus_translate(void *arg, weir_iova iova, size_t len, bool write, void **ptr,
				size_t *run)
{
	struct bus *bus = arg;

	(void)write;
	atomic_fetch_add(&bus->translated, 1);
	*ptr = bus->memory + iova;
	*run = len;
	return 0;
}

static inline void bus_irq(void *arg, enum weir_irq irq, unsigned int vector)
{
	struct bus *bus = arg;

	atomic_fetch_add(irq == WEIR_IRQ_INTX ? &bus->intx :
			 irq == WEIR_IRQ_MSI ? &bus->msi[vector] :
			 irq == WEIR_IRQ_MSIX ? &bus->msix[vector] :
			 irq == WEIR_IRQ_ERR ? &bus->err : &bus->req, 1);
}

static const struct wr_model_bus test_bus = {
	.dma = bus_dma,
	.begin = bus_begin,
	.end = bus_end,
	.translate = bus_translate,
	.irq = bus_irq,
};

static const struct wr_model_bus plain_bus = {
	.dma = bus_dma,
	.irq = bus_irq,
};

/* A model that notes the last access, and how often it was reset. */
struct toy {
	struct weir_model *model;
	unsigned int accesses;
	unsigned int bar, widths[16];
	uint64_t offsets[16], values[16];
	uint64_t answer;
	int resets;
	bool dma_in_write;
	int dma_ret;
	/* What it does while it is being reset. */
	bool dma_in_reset;
	atomic_bool in_reset, slow_reset;
};

static inline void toy_note(struct toy *toy, unsigned int bar, uint64_t offset, unsigned int width,
			    uint64_t value)
{
	unsigned int n = toy->accesses++ % 16;

	toy->bar = bar;
	toy->offsets[n] = offset;
	toy->widths[n] = width;
	toy->values[n] = value;
}

static inline uint64_t toy_read(struct weir_model *model, unsigned int bar, uint64_t offset,
				unsigned int width)
{
	struct toy *toy = weir_model_priv(model);

	toy_note(toy, bar, offset, width, 0);
	return toy->answer;
}

static inline void toy_write(struct weir_model *model, unsigned int bar, uint64_t offset,
			     unsigned int width, uint64_t value)
{
	struct toy *toy = weir_model_priv(model);
	uint32_t word = 0;

	toy_note(toy, bar, offset, width, value);
	if (toy->dma_in_write)
		toy->dma_ret = weir_model_dma_read(model, value, &word, sizeof(word));
}

static inline void toy_reset(struct weir_model *model)
{
	struct toy *toy = weir_model_priv(model);

	toy->resets++;
	atomic_store(&toy->in_reset, true);
	while (atomic_load(&toy->slow_reset))
		usleep(100);
	if (toy->dma_in_reset)
		toy->dma_ret = weir_model_dma_write(model, 0, "late", 4);
	atomic_store(&toy->in_reset, false);
}

static const struct weir_model_ops toy_ops = {
	.read = toy_read,
	.write = toy_write,
	.reset = toy_reset,
};

static const struct weir_model_ops no_reset_ops = {
	.read = toy_read,
	.write = toy_write,
};

static const struct weir_model_desc toy_desc = {
	.name = "toy",
	.vendor = 0x1af4,
	.device = 0x10f0,
	.subsystem_vendor = 0x1111,
	.subsystem_device = 0x2222,
	.class_code = 0x0880ff,
	.revision = 7,
	.dma_bits = 32,
	.intx = true,
	.msi = 4,
	.bars = {
		[0] = { .size = 4096 },
		[1] = { .size = 1ull << 36, .is64 = true, .prefetchable = true },
		[5] = { .size = 16 },
	},
};

struct fixture {
	struct toy toy;
	struct bus bus;
};

static inline struct weir_model *make(const struct weir_model_desc *desc, struct toy *toy)
{
	struct weir_model *model = NULL;

	assert_int_equal(weir_model_create(desc, &toy_ops, toy, &model), 0);
	return model;
}

/* What describes no device. */
static inline void refused(const struct weir_model_desc *desc, const char *why)
{
	struct weir_model *model = NULL;

	assert_int_equal(weir_model_create(desc, &toy_ops, NULL, &model), -EINVAL);
	assert_null(model);
	if (!strstr(weir_errmsg(), why))
		fail_msg("'%s' doesn't say '%s'", weir_errmsg(), why);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->toy.model = make(&toy_desc, &f->toy);
	*state = f;
	return wr_model_attach(f->toy.model, &test_bus, &f->bus);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	wr_model_detach(f->toy.model);
	assert_int_equal(weir_model_destroy(f->toy.model), 0);
	free(f);
	return 0;
}

static inline uint32_t config_read(struct weir_model *model, unsigned int offset,
				   unsigned int width)
{
	uint8_t bytes[4] = { 0 };

	assert_int_equal(wr_model_region_read(model, WEIR_REGION_CONFIG, offset, bytes, width), 0);
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline void config_write(struct weir_model *model, unsigned int offset, unsigned int width,
				uint32_t value)
{
	uint8_t bytes[4];

	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	assert_int_equal(wr_model_region_write(model, WEIR_REGION_CONFIG, offset, bytes, width), 0);
}

static inline void command(struct weir_model *model, uint32_t value)
{
	config_write(model, WR_PCI_COMMAND, 2, value);
}

static inline void bus_master(struct weir_model *model)
{
	command(model, WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_MASTER);
}

#define WITH_TOY(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
