/* SPDX-License-Identifier: MIT */
/* The edu model, register by register as docs/specs/edu.rst of QEMU has them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "gate.h"
#include "model/model.h"
#include "models/edu/edu.h"
#include "pci/config.h"

#define MEMORY	(256 * 1024)
#define BUFFER	0x40000

struct fixture {
	struct weir_model *model;
	uint8_t memory[MEMORY];
	pthread_mutex_t lock;		/* guards the memory: a driver would not need it */
	_Atomic uint64_t last_iova;
	atomic_int dmas, intx, msi;
	atomic_int inside;
	atomic_bool hold;		/* transfers stay until let go */
};

static int bus_dma(void *arg, weir_iova iova, void *buf, size_t len, bool write)
{
	struct fixture *f = arg;
	bool ok = iova < MEMORY && len <= MEMORY - iova;

	atomic_store(&f->last_iova, iova);
	atomic_fetch_add(&f->dmas, 1);
	atomic_fetch_add(&f->inside, 1);
	while (atomic_load(&f->hold))
		usleep(100);
	pthread_mutex_lock(&f->lock);
	if (ok && write)
		memcpy(f->memory + iova, buf, len);
	else if (ok)
		memcpy(buf, f->memory + iova, len);
	pthread_mutex_unlock(&f->lock);
	atomic_fetch_sub(&f->inside, 1);
	return ok ? 0 : wr_fail(-EFAULT, "test: blocked");
}

static void bus_irq(void *arg, enum weir_irq irq, unsigned int vector)
{
	struct fixture *f = arg;

	(void)vector;
	atomic_fetch_add(irq == WEIR_IRQ_INTX ? &f->intx : &f->msi, 1);
}

static const struct wr_model_bus test_bus = { .dma = bus_dma, .irq = bus_irq };

static void command(struct weir_model *model, uint8_t value)
{
	const uint8_t bytes[2] = { value, 0 };

	assert_int_equal(wr_model_region_write(model, WEIR_REGION_CONFIG, WR_PCI_COMMAND, bytes,
					       2), 0);
}

static void attach(struct fixture *f)
{
	assert_int_equal(wr_model_attach(f->model, &test_bus, f), 0);
	command(f->model, WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_MASTER);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	pthread_mutex_init(&f->lock, NULL);
	for (unsigned int i = 0; i < MEMORY; i++)
		f->memory[i] = (uint8_t)(i * 7 + (i >> 8));
	assert_int_equal(edu_model_create(NULL, &f->model), 0);
	attach(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	wr_model_detach(f->model);
	assert_int_equal(edu_model_destroy(f->model), 0);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return 0;
}

static uint64_t reg(struct fixture *f, uint64_t offset, unsigned int width)
{
	uint8_t bytes[8] = { 0 };
	uint64_t value = 0;

	assert_int_equal(wr_model_region_read(f->model, 0, offset, bytes, width), 0);
	for (unsigned int i = width; i--;)
		value = value << 8 | bytes[i];
	return value;
}

static void set(struct fixture *f, uint64_t offset, unsigned int width, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	assert_int_equal(wr_model_region_write(f->model, 0, offset, bytes, width), 0);
}

/* Wait for a bit of a register to clear, as a driver that polls. */
static void wait_clear(struct fixture *f, uint64_t offset, uint32_t bit)
{
	for (int i = 0; i < 50000 && (reg(f, offset, 4) & bit); i++)
		usleep(100);
	assert_int_equal(reg(f, offset, 4) & bit, 0);
}

static void start_dma(struct fixture *f, uint64_t source, uint64_t dest, uint64_t count,
		      uint32_t cmd)
{
	set(f, 0x80, 8, source);
	set(f, 0x88, 8, dest);
	set(f, 0x90, 8, count);
	set(f, 0x98, 8, cmd);
}

static void run_dma(struct fixture *f, uint64_t source, uint64_t dest, uint64_t count,
		    uint32_t cmd)
{
	start_dma(f, source, dest, count, cmd);
	wait_clear(f, 0x98, 1);
}

static int create(unsigned int dma_bits, struct weir_model **model)
{
	return edu_model_create(&(struct edu_model_opts){ .dma_bits = dma_bits }, model);
}

static void test_bad_options(void **state)
{
	struct weir_model *model = NULL;

	(void)state;
	for (unsigned int bits = 1; bits < 12; bits++)
		assert_int_equal(create(bits, &model), -EINVAL);
	assert_int_equal(create(65, &model), -EINVAL);
	assert_null(model);
	assert_int_equal(edu_model_destroy(NULL), 0);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;
	static const uint8_t head[16] = { 0x34, 0x12, 0xe8, 0x11, 0x06, 0, 0x10, 0, 0x10, 0x00,
					  0xff, 0x00 };
	struct weir_region_info info;
	struct weir_irq_info irq;
	uint8_t bytes[16];

	assert_int_equal(wr_model_region_read(f->model, WEIR_REGION_CONFIG, 0, bytes, 16), 0);
	assert_memory_equal(bytes, head, 16);
	assert_int_equal(wr_model_region_info(f->model, 0, &info), 0);
	assert_int_equal(info.size, 1 << 20);
	for (unsigned int n = 1; n <= WEIR_REGION_ROM; n++) {
		assert_int_equal(wr_model_region_info(f->model, n, &info), 0);
		assert_int_equal(info.size, 0);
	}
	assert_int_equal(wr_model_irq_info(f->model, WEIR_IRQ_MSI, &irq), 0);
	assert_int_equal(irq.count, 1);
	assert_int_equal(wr_model_irq_info(f->model, WEIR_IRQ_INTX, &irq), 0);
	assert_int_equal(irq.count, 1);
	assert_int_equal(wr_model_dma_bits(f->model), 28);
	assert_int_equal(reg(f, 0x00, 4), 0x010000ed);
	set(f, 0x00, 4, 0);
	assert_int_equal(reg(f, 0x00, 4), 0x010000ed);
}

/* Access sizes: 4 below 0x80, 4 or 8 above. Others read all ones and write nothing. */
static void test_access_sizes(void **state)
{
	struct fixture *f = *state;

	set(f, 0x04, 4, 1);
	for (unsigned int width = 1; width <= 2; width++) {
		assert_int_equal(reg(f, 0x00, width), width == 1 ? 0xff : 0xffff);
		assert_int_equal(reg(f, 0x80, width), width == 1 ? 0xff : 0xffff);
		set(f, 0x04, width, 0);
		set(f, 0x80, width, 1);
	}
	assert_true(reg(f, 0x00, 8) == UINT64_MAX);
	assert_true(reg(f, 0x08, 8) == UINT64_MAX);
	set(f, 0x08, 8, 5);
	set(f, 0x60, 8, 5);
	assert_int_equal(reg(f, 0x04, 4), 0xfffffffe);
	assert_int_equal(reg(f, 0x08, 4), 0);
	assert_int_equal(reg(f, 0x20, 4), 0);
	assert_int_equal(reg(f, 0x24, 4), 0);
	assert_int_equal(reg(f, 0x80, 8), 0);

	set(f, 0x80, 8, 0x1122334455667788);
	assert_true(reg(f, 0x80, 8) == 0x1122334455667788);
	assert_int_equal(reg(f, 0x80, 4), 0x55667788);
	assert_int_equal(reg(f, 0x84, 4), 0xffffffff);
	set(f, 0x84, 4, 0);
	assert_true(reg(f, 0x80, 8) == 0x1122334455667788);
	set(f, 0x80, 4, 0x99aabbcc);
	assert_int_equal(reg(f, 0x80, 8), 0x99aabbcc);
}

/* Holes, registers that can only be written, and the buffer, which only DMA reaches. */
static void test_holes(void **state)
{
	static const uint64_t holes[] = { 0x0c, 0x10, 0x28, 0x60, 0x64, 0x7c, 0xa0, 0x100, BUFFER,
					  0xffffc };
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		if (holes[i] != 0x60)
			set(f, holes[i], 4, 0x12345678);
		assert_int_equal(reg(f, holes[i], 4), 0xffffffff);
	}
	assert_true(reg(f, BUFFER, 8) == UINT64_MAX);
}

static void test_liveness(void **state)
{
	static const uint32_t values[] = { 0, 1, 0xffffffff, 0x12345678 };
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 4; i++) {
		set(f, 0x04, 4, values[i]);
		assert_int_equal(reg(f, 0x04, 4), ~values[i]);
	}
}

/* As seen from a little-endian CPU, which knows nothing of it. */
static void test_big_endian(void **state)
{
	const struct edu_model_opts opts = { .big_endian = true };
	struct fixture *f = *state;

	wr_model_detach(f->model);
	assert_int_equal(edu_model_destroy(f->model), 0);
	assert_int_equal(edu_model_create(&opts, &f->model), 0);
	attach(f);
	assert_int_equal(reg(f, 0x00, 4), 0xed000001);
	set(f, 0x04, 4, 0x12345678);
	assert_int_equal(reg(f, 0x04, 4), ~0x12345678u);
	set(f, 0x08, 4, 0x05000000);
	wait_clear(f, 0x20, 0x01000000);
	assert_int_equal(reg(f, 0x08, 4), 0x78000000);	/* 120 */
	set(f, 0x80, 8, 0x0010000000000000);
	set(f, 0x88, 8, 0x0000040000000000);
	assert_true(reg(f, 0x80, 8) == 0x0010000000000000);
	assert_int_equal(reg(f, 0x80, 4), 0x00100000);
	set(f, 0x90, 4, 0x00100000);
	set(f, 0x98, 8, 0x0100000000000000);
	wait_clear(f, 0x98, 0x01000000);
	/* Memory keeps its order. */
	set(f, 0x80, 8, 0x0000040000000000);
	set(f, 0x88, 8, 0x0020000000000000);
	set(f, 0x98, 8, 0x0300000000000000);
	wait_clear(f, 0x98, 0x01000000);
	assert_memory_equal(f->memory + 0x1000, f->memory + 0x2000, 4096);
	/* What isn't there is ones in either order. */
	assert_int_equal(reg(f, 0x60, 4), 0xffffffff);
}

static void test_factorial(void **state)
{
	static const uint32_t table[][2] = {
		{ 0, 1 }, { 1, 1 }, { 2, 2 }, { 5, 120 }, { 12, 479001600 },
		{ 13, 1932053504 },		/* 13! modulo 2^32 */
		{ 33, 0x80000000 }, { 34, 0 }, { 0xffffffff, 0 },
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		set(f, 0x08, 4, table[i][0]);
		wait_clear(f, 0x20, 1);
		assert_int_equal(reg(f, 0x08, 4), table[i][1]);
	}
	assert_int_equal(f->intx, 0);
	assert_int_equal(reg(f, 0x24, 4), 0);
}

static void test_status_register(void **state)
{
	struct fixture *f = *state;

	/* Only the interrupt bit can be written. */
	set(f, 0x20, 4, 0xffffffff);
	assert_int_equal(reg(f, 0x20, 4), 0x80);
	set(f, 0x20, 4, 0x01);
	assert_int_equal(reg(f, 0x20, 4), 0);
}

static void test_factorial_interrupt(void **state)
{
	struct fixture *f = *state;

	wr_model_irq_enable(f->model, WEIR_IRQ_MSI, 1);
	set(f, 0x20, 4, 0x80);
	set(f, 0x08, 4, 5);
	wait_clear(f, 0x20, 1);
	assert_int_equal(reg(f, 0x20, 4), 0x80);
	assert_int_equal(f->msi, 1);
	assert_int_equal(reg(f, 0x24, 4), 0x001);
	set(f, 0x64, 4, 0x001);
	assert_int_equal(reg(f, 0x24, 4), 0);
}

static void test_interrupt_registers(void **state)
{
	struct fixture *f = *state;

	wr_model_irq_enable(f->model, WEIR_IRQ_INTX, 1);
	set(f, 0x60, 4, 0);
	assert_int_equal(f->intx, 0);
	set(f, 0x60, 4, 0x11);
	assert_int_equal(f->intx, 1);
	set(f, 0x60, 4, 0x22);
	assert_int_equal(reg(f, 0x24, 4), 0x33);
	set(f, 0x24, 4, 0);
	assert_int_equal(reg(f, 0x24, 4), 0x33);
	/* In part acknowledged, the pin is still asserted. */
	set(f, 0x64, 4, 0x30);
	assert_int_equal(reg(f, 0x24, 4), 0x03);
	wr_model_irq_mask(f->model, WEIR_IRQ_INTX, false);
	assert_int_equal(f->intx, 2);
	set(f, 0x64, 4, 0x03);
	wr_model_irq_mask(f->model, WEIR_IRQ_INTX, false);
	assert_int_equal(f->intx, 2);
	assert_int_equal(f->msi, 0);
}

/* A message for each event, whether or not the last one was acknowledged; INTx keeps still. */
static void test_msi(void **state)
{
	struct fixture *f = *state;

	wr_model_irq_enable(f->model, WEIR_IRQ_MSI, 1);
	set(f, 0x60, 4, 1);
	set(f, 0x60, 4, 2);
	assert_int_equal(f->msi, 2);
	set(f, 0x64, 4, 3);
	assert_int_equal(f->msi, 2);
	/* Without bus mastering the message is lost, not what it was about. */
	command(f->model, WR_PCI_COMMAND_MEMORY);
	set(f, 0x60, 4, 4);
	assert_int_equal(f->msi, 2);
	assert_int_equal(reg(f, 0x24, 4), 4);
	wr_model_irq_enable(f->model, WEIR_IRQ_MSI, 0);
	wr_model_irq_enable(f->model, WEIR_IRQ_INTX, 1);
	assert_int_equal(f->intx, 0);
}

static void test_dma_both_ways(void **state)
{
	struct fixture *f = *state;

	/* The document's example. */
	run_dma(f, 0x1000, BUFFER, 100, 1);
	assert_int_equal(reg(f, 0x98, 8), 0);
	run_dma(f, BUFFER, 0x1000 + 100, 100, 3);
	assert_int_equal(reg(f, 0x98, 8), 2);
	assert_memory_equal(f->memory + 0x1000, f->memory + 0x1064, 100);
	assert_int_equal(f->dmas, 2);
	assert_int_equal(reg(f, 0x24, 4), 0);
	/* All of the buffer, and its last byte. */
	run_dma(f, 0x2000, BUFFER, 4096, 1);
	run_dma(f, BUFFER, 0x8000, 4096, 3);
	assert_memory_equal(f->memory + 0x2000, f->memory + 0x8000, 4096);
	run_dma(f, BUFFER + 4095, 0x9fff, 1, 3);
	assert_int_equal(f->memory[0x9fff], f->memory[0x2fff]);
	assert_int_equal(f->dmas, 5);
}

/* Transfers that leave the buffer do nothing, and end. */
static void test_dma_outside_buffer(void **state)
{
	static const uint64_t bad[][2] = {
		{ BUFFER, 4097 }, { BUFFER + 1, 4096 }, { BUFFER - 1, 1 }, { BUFFER - 1, 4096 },
		{ BUFFER + 4096, 1 }, { 0, 1 }, { UINT64_MAX, 1 }, { BUFFER, UINT64_MAX },
		{ BUFFER + 100, UINT64_MAX - 50 }, { UINT64_MAX, BUFFER + 10 },
		{ (1ull << 32) + BUFFER, 1 },
	};
	struct fixture *f = *state;

	wr_model_irq_enable(f->model, WEIR_IRQ_MSI, 1);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		run_dma(f, 0, bad[i][0], bad[i][1], 1);
		run_dma(f, bad[i][0], 0, bad[i][1], 3);
	}
	run_dma(f, 0, BUFFER, 0, 1);
	run_dma(f, 0, BUFFER + 4096, 0, 1);
	assert_int_equal(f->dmas, 0);
	run_dma(f, 0, 0, 1, 5);
	assert_int_equal(f->msi, 1);
	assert_int_equal(f->dmas, 0);
}

static void test_dma_clamps(void **state)
{
	struct fixture *f = *state;

	run_dma(f, 0xabcdef0010001000, BUFFER, 16, 1);
	assert_true(f->last_iova == 0x1000);
	run_dma(f, BUFFER, 0xffffffffffffffff, 1, 3);
	assert_true(f->last_iova == 0xfffffff);
	/* The register itself keeps what was written. */
	assert_true(reg(f, 0x88, 8) == 0xffffffffffffffff);
	assert_int_equal(f->dmas, 2);
	/* Clamped at its start only: what would run over the last line is refused by the host. */
	run_dma(f, BUFFER, 0xfffffff, 2, 3);
	assert_int_equal(f->dmas, 2);
}

static void test_dma_bits_option(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)state;
	assert_non_null(f);
	pthread_mutex_init(&f->lock, NULL);
	assert_int_equal(create(64, &f->model), 0);
	assert_int_equal(wr_model_dma_bits(f->model), 64);
	attach(f);
	run_dma(f, 0xabcdef0010001000, BUFFER, 16, 1);
	assert_true(f->last_iova == 0xabcdef0010001000);
	wr_model_detach(f->model);
	assert_int_equal(edu_model_destroy(f->model), 0);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void test_dma_interrupt(void **state)
{
	struct fixture *f = *state;

	wr_model_irq_enable(f->model, WEIR_IRQ_INTX, 1);
	run_dma(f, 0, BUFFER, 16, 5);
	assert_int_equal(f->intx, 1);
	assert_int_equal(reg(f, 0x24, 4), 0x100);
	assert_int_equal(reg(f, 0x98, 4), 4);
	set(f, 0x64, 4, 0x100);
	wr_model_irq_mask(f->model, WEIR_IRQ_INTX, false);
	assert_int_equal(f->intx, 1);
	run_dma(f, 0, BUFFER, 16, 1);
	assert_int_equal(f->intx, 1);
}

/* The IOMMU's refusal, and bus mastering off: the device can't tell, the transfer just ends. */
static void test_dma_refused(void **state)
{
	struct fixture *f = *state;

	wr_model_irq_enable(f->model, WEIR_IRQ_INTX, 1);
	run_dma(f, 0x1000, BUFFER, 16, 1);
	run_dma(f, MEMORY, BUFFER, 16, 5);
	assert_int_equal(f->dmas, 2);
	assert_int_equal(f->intx, 1);
	command(f->model, WR_PCI_COMMAND_MEMORY);
	set(f, 0x64, 4, 0x100);
	run_dma(f, 0, BUFFER, 16, 1);
	assert_int_equal(f->dmas, 2);
	/* The buffer still has what came first. */
	command(f->model, WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_MASTER);
	run_dma(f, BUFFER, 0x3000, 16, 3);
	assert_memory_equal(f->memory + 0x1000, f->memory + 0x3000, 16);
}

static void wait_inside(struct fixture *f)
{
	for (int i = 0; i < 50000 && !atomic_load(&f->inside); i++)
		usleep(100);
	assert_int_equal(f->inside, 1);
}

/* It doesn't end before it has ended, and while it runs its registers keep still. */
static void test_dma_takes_time(void **state)
{
	struct fixture *f = *state;

	f->hold = true;
	start_dma(f, 0x1000, BUFFER, 16, 5);
	wait_inside(f);
	assert_int_equal(reg(f, 0x98, 8), 5);
	set(f, 0x80, 8, 1);
	set(f, 0x88, 8, 2);
	set(f, 0x90, 8, 3);
	set(f, 0x98, 8, 3);
	assert_int_equal(reg(f, 0x80, 8), 0x1000);
	assert_int_equal(reg(f, 0x88, 8), BUFFER);
	assert_int_equal(reg(f, 0x90, 8), 16);
	assert_int_equal(reg(f, 0x98, 8), 5);
	assert_int_equal(reg(f, 0x24, 4), 0);
	/* The other registers answer meanwhile. */
	set(f, 0x04, 4, 0);
	assert_int_equal(reg(f, 0x04, 4), 0xffffffff);
	/* A factorial started now waits its turn in the engine, and keeps its argument. */
	set(f, 0x08, 4, 4);
	set(f, 0x08, 4, 5);
	assert_int_equal(reg(f, 0x20, 4), 1);
	f->hold = false;
	wait_clear(f, 0x98, 1);
	wait_clear(f, 0x20, 1);
	assert_int_equal(reg(f, 0x08, 4), 24);
	assert_int_equal(reg(f, 0x24, 4), 0x100);
	assert_int_equal(f->dmas, 1);
	/* Without the start bit nothing happens. */
	set(f, 0x98, 8, 2);
	assert_int_equal(reg(f, 0x98, 8), 4);
}

struct call {
	struct weir_model *model;
	int ret;
	atomic_bool done;
};

static void *do_reset(void *arg)
{
	struct call *call = arg;

	call->ret = wr_model_reset(call->model);
	atomic_store(&call->done, true);
	return NULL;
}

static void *do_detach(void *arg)
{
	struct call *call = arg;

	wr_model_detach(call->model);
	atomic_store(&call->done, true);
	return NULL;
}

static void test_reset_in_flight(void **state)
{
	struct fixture *f = *state;
	struct call call = { .model = f->model };
	pthread_t thread;

	wr_model_irq_enable(f->model, WEIR_IRQ_MSI, 1);
	run_dma(f, 0x1000, BUFFER, 4096, 1);
	set(f, 0x04, 4, 0);
	set(f, 0x20, 4, 0x80);
	f->hold = true;
	start_dma(f, BUFFER, 0x8000, 16, 7);
	wait_inside(f);
	set(f, 0x08, 4, 5);
	assert_int_equal(pthread_create(&thread, NULL, do_reset, &call), 0);
	wait_until_closed(f->model);
	usleep(20000);
	assert_false(call.done);
	f->hold = false;
	pthread_join(thread, NULL);
	assert_int_equal(call.ret, 0);
	assert_int_equal(f->inside, 0);
	usleep(5000);
	assert_int_equal(f->msi, 0);
	assert_int_equal(f->dmas, 2);
	for (uint64_t offset = 0x80; offset <= 0x98; offset += 8)
		assert_int_equal(reg(f, offset, 8), 0);
	assert_int_equal(reg(f, 0x04, 4), 0);
	assert_int_equal(reg(f, 0x08, 4), 0);
	assert_int_equal(reg(f, 0x20, 4), 0);
	assert_int_equal(reg(f, 0x24, 4), 0);
	/* The engine lives, the buffer is empty. */
	run_dma(f, BUFFER, 0x8000, 4096, 3);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(f->memory[0x8000 + i], 0);
}

static void test_reset_releases_pin(void **state)
{
	struct fixture *f = *state;

	wr_model_irq_enable(f->model, WEIR_IRQ_INTX, 1);
	set(f, 0x60, 4, 1);
	assert_int_equal(f->intx, 1);
	assert_int_equal(wr_model_reset(f->model), 0);
	wr_model_irq_mask(f->model, WEIR_IRQ_INTX, false);
	assert_int_equal(f->intx, 1);
}

/* The driver leaves while the engine works: the bus is not touched afterwards. */
static void test_detach_in_flight(void **state)
{
	struct fixture *f = *state;
	struct call call = { .model = f->model };
	pthread_t thread;

	f->hold = true;
	start_dma(f, BUFFER, 0x8000, 16, 7);
	wait_inside(f);
	assert_int_equal(pthread_create(&thread, NULL, do_detach, &call), 0);
	wait_until_closed(f->model);
	usleep(20000);
	assert_false(call.done);
	f->hold = false;
	pthread_join(thread, NULL);
	assert_int_equal(f->inside, 0);
	attach(f);
	assert_int_equal(reg(f, 0x98, 8), 0);
	assert_int_equal(reg(f, 0x24, 4), 0);
}

static void test_destroy_busy(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edu_model_destroy(f->model), -EBUSY);
	/* And nothing done: the engine still works. */
	run_dma(f, 0x1000, BUFFER, 16, 1);
	assert_int_equal(f->dmas, 1);
}

/* Drivers that all write to the same registers, with resets and detach in between. */
struct storm {
	struct fixture *f;
	atomic_bool stop;
	unsigned int seed;
};

static void *storm_main(void *arg)
{
	static const uint64_t offsets[] = { 0x04, 0x08, 0x20, 0x24, 0x60, 0x64, 0x80, 0x88, 0x90,
					    0x98 };
	static const uint32_t values[] = { 0, 1, 2, 3, 5, 7, 0x80, 0x100, 0x1000, BUFFER };
	struct storm *s = arg;
	unsigned int seed = s->seed;
	uint32_t value, word;

	while (!atomic_load(&s->stop)) {
		value = values[rand_r(&seed) % 10];
		wr_model_region_write(s->f->model, 0, offsets[rand_r(&seed) % 10], &value, 4);
		wr_model_region_read(s->f->model, 0, offsets[rand_r(&seed) % 10], &word, 4);
		/* Leave room for the others where threads take turns, as under valgrind. */
		if (!(seed & 0x3f00))
			usleep(50);
	}
	return NULL;
}

static void test_storm(void **state)
{
	struct fixture *f = *state;
	struct storm s[4];
	pthread_t threads[4];

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 4; i++) {
			s[i].f = f;
			s[i].seed = (unsigned int)(round * 4 + i);
			atomic_init(&s[i].stop, false);
			assert_int_equal(pthread_create(&threads[i], NULL, storm_main, &s[i]), 0);
		}
		wr_model_irq_enable(f->model, round & 1 ? WEIR_IRQ_MSI : WEIR_IRQ_INTX, 1);
		for (int i = 0; i < 20; i++) {
			usleep(100);
			assert_int_equal(wr_model_reset(f->model), 0);
		}
		/* A driver's own threads have ended before it closes the device. */
		for (int i = 0; i < 4; i++) {
			atomic_store(&s[i].stop, true);
			pthread_join(threads[i], NULL);
		}
		wr_model_detach(f->model);
		assert_int_equal(f->inside, 0);
		attach(f);
	}
	run_dma(f, 0x1000, BUFFER, 4096, 1);
	run_dma(f, BUFFER, 0x8000, 4096, 3);
	assert_memory_equal(f->memory + 0x1000, f->memory + 0x8000, 4096);
}

#define WITH_EDU(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_options),
		WITH_EDU(test_identity),
		WITH_EDU(test_access_sizes),
		WITH_EDU(test_holes),
		WITH_EDU(test_liveness),
		WITH_EDU(test_big_endian),
		WITH_EDU(test_factorial),
		WITH_EDU(test_status_register),
		WITH_EDU(test_factorial_interrupt),
		WITH_EDU(test_interrupt_registers),
		WITH_EDU(test_msi),
		WITH_EDU(test_dma_both_ways),
		WITH_EDU(test_dma_outside_buffer),
		WITH_EDU(test_dma_clamps),
		cmocka_unit_test(test_dma_bits_option),
		WITH_EDU(test_dma_interrupt),
		WITH_EDU(test_dma_refused),
		WITH_EDU(test_dma_takes_time),
		WITH_EDU(test_reset_in_flight),
		WITH_EDU(test_reset_releases_pin),
		WITH_EDU(test_detach_in_flight),
		WITH_EDU(test_destroy_busy),
		WITH_EDU(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
