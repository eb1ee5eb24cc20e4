/* SPDX-License-Identifier: MIT */
/*
 * The edu driver and the edu model, over the public interface alone: registers, interrupts and
 * DMA end to end through the software IOMMU, with contents compared and every fault accounted for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <errno.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "drivers/edu/edu.h"
#include "models/edu/edu.h"

/* Where nothing is mapped: automatic IOVAs start at the bottom. */
#define NOWHERE 0x8000000

/* Which edu: the argument says whether its registers are little- or big-endian. */
static const char *name = "soft:edu";

struct fixture {
	struct weir_device *dev;
	struct weir_ioas *as;
	struct edu *edu;
	struct weir_mem *mem;
	uint8_t *data;
	size_t page;
};

static void fill(uint8_t *data, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(seed + i * 13 + (i >> 8));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->page = (size_t)sysconf(_SC_PAGESIZE);
	if (weir_device_open(NULL, name, NULL, &f->dev) < 0)
		fail_msg("%s", weir_errmsg());
	f->as = weir_device_ioas(f->dev);
	assert_int_equal(weir_mem_alloc(f->as, 4 * f->page, NULL, &f->mem), 0);
	f->data = weir_mem_ptr(f->mem);
	assert_int_equal(edu_open(f->dev, &f->edu), 0);
	*state = f;
	return 0;
}

/* A test that expects faults takes them out: what is left over nobody expected. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	struct weir_fault fault;
	uint16_t command;

	assert_int_equal(weir_ioas_faults(f->as, &fault, 1), 0);
	assert_int_equal(edu_close(f->edu), 0);
	assert_int_equal(weir_config_read16(f->dev, 4, &command), 0);
	assert_int_equal(command & 4, 0);
	assert_int_equal(weir_mem_free(f->mem), 0);
	assert_int_equal(weir_device_close(f->dev), 0);
	free(f);
	return 0;
}

static void one_fault(struct fixture *f, uint64_t iova, bool write)
{
	struct weir_device_info info;
	struct weir_fault fault;

	assert_int_equal(weir_device_info(f->dev, &info), 0);
	assert_int_equal(weir_ioas_faults(f->as, &fault, 1), 1);
	assert_true(fault.iova == iova);
	assert_int_equal(fault.write, write);
	assert_int_equal(fault.requester, info.requester);
	assert_true(fault.text && *fault.text);
	assert_int_equal(weir_ioas_faults(f->as, &fault, 1), 0);
}

/* Not every device is an edu, and not every edu gets done. */

struct wrong {
	uint32_t id;
	uint32_t busy;		/* what all registers but the first read */
};

static uint64_t wrong_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			   unsigned int width)
{
	struct wrong *wrong = weir_model_priv(model);

	(void)bar;
	(void)width;
	return offset ? wrong->busy : wrong->id;
}

static void wrong_write(struct weir_model *model, unsigned int bar, uint64_t offset,
			unsigned int width, uint64_t value)
{
	(void)model;
	(void)bar;
	(void)offset;
	(void)width;
	(void)value;
}

static const struct weir_model_ops wrong_ops = { .read = wrong_read, .write = wrong_write };

static void test_wrong_device(void **state)
{
	struct weir_model_desc desc = {
		.name = "wrong", .vendor = EDU_VENDOR, .device = EDU_DEVICE + 1,
		.bars = { { .size = 1 << 20 } },
	};
	struct wrong wrong = { .id = 0x0100beed };

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct weir_model *model;
		struct weir_device *dev;
		struct edu *edu = NULL;
		uint16_t command;

		assert_int_equal(weir_model_create(&desc, &wrong_ops, &wrong, &model), 0);
		assert_int_equal(weir_device_open_model(NULL, model, NULL, &dev), 0);
		assert_int_equal(edu_open(dev, &edu), -ENODEV);
		assert_null(edu);
		assert_int_equal(weir_config_read16(dev, 4, &command), 0);
		assert_int_equal(command & 4, 0);
		assert_int_equal(weir_device_close(dev), 0);
		assert_int_equal(weir_model_destroy(model), 0);
		desc.device = EDU_DEVICE;	/* now only the register tells */
	}
	assert_int_equal(edu_close(NULL), 0);
}

/* What is still at work isn't given more to do. */
static void test_busy_device(void **state)
{
	const struct weir_model_desc desc = {
		.name = "busy", .vendor = EDU_VENDOR, .device = EDU_DEVICE,
		.bars = { { .size = 1 << 20 } },
	};
	struct wrong wrong = { .id = 0x010000ed };
	struct weir_model *model;
	struct weir_device *dev;
	struct edu *edu;
	uint32_t result;

	(void)state;
	assert_int_equal(weir_model_create(&desc, &wrong_ops, &wrong, &model), 0);
	assert_int_equal(weir_device_open_model(NULL, model, NULL, &dev), 0);
	assert_int_equal(edu_open(dev, &edu), 0);
	assert_int_equal(edu_live(edu), -EIO);
	/* It has neither MSI nor INTx. */
	assert_int_equal(edu_irq_enable(edu), -EINVAL);
	wrong.busy = 1;
	assert_int_equal(edu_dma(edu, NOWHERE, 0, 1, true), -EBUSY);
	assert_int_equal(edu_dma_start(edu, NOWHERE, 0, 1, true), -EBUSY);
	assert_int_equal(edu_factorial(edu, 1, &result), -EBUSY);
	assert_int_equal(edu_close(edu), 0);
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(weir_model_destroy(model), 0);
}

static void test_live(void **state)
{
	struct fixture *f = *state;
	struct weir_device_info info;

	assert_false(edu_lived(f->edu));
	assert_int_equal(edu_live(f->edu), 0);
	assert_true(edu_lived(f->edu));
	assert_int_equal(weir_device_info(f->dev, &info), 0);
	assert_string_equal(info.name, name);
	assert_string_equal(info.backend, "soft");
	assert_int_equal(info.vendor, EDU_VENDOR);
	assert_int_equal(info.device, EDU_DEVICE);
	assert_true(info.can_reset);
	/* While memory space is off nothing answers. */
	assert_int_equal(weir_config_write16(f->dev, 4, 4), 0);
	assert_int_equal(edu_live(f->edu), -EIO);
	assert_int_equal(weir_config_write16(f->dev, 4, 6), 0);
	assert_int_equal(edu_live(f->edu), 0);
}

/* The three ways to learn of an end: by polling, by MSI, by INTx. */

static void with_each_kind(struct fixture *f, void (*test)(struct fixture *f))
{
	test(f);
	assert_int_equal(edu_irq_enable_kind(f->edu, WEIR_IRQ_INTX), 0);
	assert_int_equal(edu_irq_enable(f->edu), -EBUSY);
	test(f);
	assert_int_equal(edu_irq_disable(f->edu), 0);
	assert_int_equal(edu_irq_disable(f->edu), 0);
	assert_int_equal(edu_irq_enable(f->edu), WEIR_IRQ_MSI);
	assert_true(weir_irq_fd(f->dev, WEIR_IRQ_MSI, 0) >= 0);
	test(f);
	assert_int_equal(edu_irq_disable(f->edu), 0);
	test(f);
}

static void factorials(struct fixture *f)
{
	uint32_t result, expected = 1;

	for (uint32_t n = 0; n < 40; n++) {
		expected *= n ? n : 1;
		result = ~expected;
		assert_int_equal(edu_factorial(f->edu, n, &result), 0);
		assert_int_equal(result, expected);
	}
}

static void test_factorial(void **state)
{
	with_each_kind(*state, factorials);
}

static void both_ways(struct fixture *f)
{
	uint8_t copy[EDU_BUFFER_SIZE];
	static unsigned int seed;

	fill(f->data, EDU_BUFFER_SIZE, ++seed);
	memcpy(copy, f->data, sizeof(copy));
	assert_int_equal(edu_write(f->edu, f->data, EDU_BUFFER_SIZE, 0), 0);
	assert_memory_equal(f->data, copy, sizeof(copy));
	memset(f->data, 0, f->page);
	assert_int_equal(edu_read(f->edu, f->data, EDU_BUFFER_SIZE, 0), 0);
	assert_memory_equal(f->data, copy, sizeof(copy));

	/* Odd lengths at odd places, and not a byte beside them. */
	memset(f->data, 0xee, f->page);
	assert_int_equal(edu_read(f->edu, f->data + 3, 1, 4095), 0);
	assert_int_equal(edu_read(f->edu, f->data + 5, 333, 77), 0);
	assert_int_equal(f->data[3], copy[4095]);
	assert_memory_equal(f->data + 5, copy + 77, 333);
	assert_int_equal(f->data[2], 0xee);
	assert_int_equal(f->data[4], 0xee);
	assert_int_equal(f->data[338], 0xee);
	assert_int_equal(edu_write(f->edu, f->data + 4, 2, 4000), 0);
	assert_int_equal(edu_read(f->edu, f->data + 400, 4, 3999), 0);
	assert_int_equal(f->data[400], copy[3999]);
	assert_int_equal(f->data[401], 0xee);
	assert_int_equal(f->data[402], copy[77]);
	assert_int_equal(f->data[403], copy[4002]);
}

static void test_dma(void **state)
{
	with_each_kind(*state, both_ways);
}

/* The caller's own memory, two pages side by side that the device finds far apart. */
static void test_dma_scattered(void **state)
{
	struct fixture *f = *state;
	const struct weir_map_opts fixed = { .fixed = true };
	weir_iova high = 0x4000000, low = 0x2000000;
	uint8_t copy[EDU_BUFFER_SIZE];
	struct weir_seg segs[4];
	uint8_t *pages;

	pages = mmap(NULL, 2 * f->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(weir_ioas_map(f->as, pages, f->page, &fixed, &high), 0);
	assert_int_equal(weir_ioas_map(f->as, pages + f->page, f->page, &fixed, &low), 0);
	fill(pages, 2 * f->page, 99);
	memcpy(copy, pages + f->page - 1000, sizeof(copy));
	assert_int_equal(weir_ioas_segs(f->as, pages + f->page - 1000, 4000, segs, 4), 2);
	assert_int_equal(edu_write(f->edu, pages + f->page - 1000, 4000, 96), 0);
	memset(pages, 0, 2 * f->page);
	assert_int_equal(edu_read(f->edu, pages + f->page - 1000, 4000, 96), 0);
	assert_memory_equal(pages + f->page - 1000, copy, 4000);
	assert_int_equal(pages[f->page - 1001], 0);
	assert_int_equal(pages[f->page + 3000], 0);
	assert_int_equal(weir_ioas_unmap(f->as, high, f->page), 0);
	/* Half of it is enough to refuse all of it, before anything moves. */
	assert_int_equal(edu_read(f->edu, pages + f->page - 1000, 4000, 96), -ENOENT);
	assert_int_equal(weir_ioas_unmap(f->as, low, f->page), 0);
	munmap(pages, 2 * f->page);
}

static void test_refusals(void **state)
{
	static const struct {
		uint32_t offset;
		size_t len;
	} bad[] = {
		{ 0, 0 }, { 0, 4097 }, { 1, 4096 }, { 4095, 2 }, { 4096, 1 }, { UINT32_MAX, 1 },
		{ 1, SIZE_MAX }, { UINT32_MAX, UINT32_MAX }, { EDU_BUFFER, 1 },
	};
	struct fixture *f = *state;
	uint8_t own[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(edu_dma(f->edu, 0x1000, bad[i].offset, bad[i].len, true),
				 -EINVAL);
		assert_int_equal(edu_dma(f->edu, 0x1000, bad[i].offset, bad[i].len, false),
				 -EINVAL);
		assert_int_equal(edu_write(f->edu, f->data, bad[i].len, bad[i].offset), -EINVAL);
		assert_int_equal(edu_read(f->edu, f->data, bad[i].len, bad[i].offset), -EINVAL);
	}
	assert_int_equal(edu_write(f->edu, own, sizeof(own), 0), -ENOENT);
	assert_int_equal(edu_read(f->edu, own, sizeof(own), 0), -ENOENT);
	assert_int_equal(edu_irq_raise(f->edu, 0), -EINVAL);
}

static void interrupts(struct fixture *f, enum weir_irq kind)
{
	uint32_t bits = 0;

	assert_int_equal(edu_irq_wait(f->edu, 0, &bits), -ETIMEDOUT);
	for (uint32_t i = 1; i < 10; i++) {
		assert_int_equal(edu_irq_raise(f->edu, i), 0);
		assert_int_equal(edu_irq_wait(f->edu, 5000, &bits), 0);
		assert_int_equal(bits, i);
		assert_int_equal(edu_irq_wait(f->edu, 0, &bits), -ETIMEDOUT);
	}
	/* An interrupt without a cause is none, and doesn't hide the next. */
	assert_int_equal(weir_irq_trigger(f->dev, kind, 0), 0);
	assert_int_equal(edu_irq_wait(f->edu, 0, &bits), -ETIMEDOUT);
	assert_int_equal(weir_irq_trigger(f->dev, kind, 0), 0);
	assert_int_equal(edu_write(f->edu, f->data, 16, 0), 0);
	/* Nobody waited for this one: the next transfer must not take it for its end. */
	assert_int_equal(edu_irq_raise(f->edu, 0x8000), 0);
	assert_int_equal(edu_write(f->edu, f->data, 16, 0), 0);
	assert_int_equal(edu_irq_wait(f->edu, 0, &bits), -ETIMEDOUT);
}

static void test_interrupts(void **state)
{
	struct fixture *f = *state;
	uint32_t bits;

	assert_int_equal(edu_irq_wait(f->edu, 0, &bits), -EINVAL);
	assert_int_equal(edu_irq_enable_kind(f->edu, WEIR_IRQ_MSIX), -EINVAL);
	/* Raised while nobody listened: enabling clears it away. */
	assert_int_equal(edu_irq_raise(f->edu, 1), 0);
	assert_int_equal(edu_irq_enable_kind(f->edu, WEIR_IRQ_INTX), 0);
	interrupts(f, WEIR_IRQ_INTX);
	assert_int_equal(edu_irq_disable(f->edu), 0);
	assert_int_equal(edu_irq_raise(f->edu, 1), 0);
	assert_int_equal(edu_irq_enable(f->edu), WEIR_IRQ_MSI);
	interrupts(f, WEIR_IRQ_MSI);
}

/* A message is a memory write: without bus mastering it doesn't come. */
static void test_msi_needs_bus_master(void **state)
{
	struct fixture *f = *state;
	uint32_t bits;

	assert_int_equal(edu_irq_enable(f->edu), WEIR_IRQ_MSI);
	assert_int_equal(weir_device_bus_master(f->dev, false), 0);
	assert_int_equal(edu_irq_raise(f->edu, 1), 0);
	assert_int_equal(edu_irq_wait(f->edu, 20, &bits), -ETIMEDOUT);
	assert_int_equal(weir_device_bus_master(f->dev, true), 0);
	assert_int_equal(edu_irq_raise(f->edu, 2), 0);
	assert_int_equal(edu_irq_wait(f->edu, 5000, &bits), 0);
	assert_int_equal(bits, 3);
}

/* Outside of what is mapped the device reaches nothing, and the IOMMU says who tried. */
static void test_dma_blocked(void **state)
{
	struct fixture *f = *state;
	uint8_t copy[64];

	fill(f->data, f->page, 1);
	memcpy(copy, f->data, sizeof(copy));
	assert_int_equal(edu_write(f->edu, f->data, 64, 0), 0);
	assert_int_equal(edu_dma(f->edu, NOWHERE, 0, 64, true), 0);
	one_fault(f, NOWHERE, false);
	assert_int_equal(edu_dma(f->edu, NOWHERE + 8, 0, 64, false), 0);
	one_fault(f, NOWHERE + 8, true);
	/* Address 0 is never mapped by itself. */
	assert_int_equal(edu_dma(f->edu, 0, 0, 64, false), 0);
	one_fault(f, 0, true);
	/* The buffer still has what it had. */
	memset(f->data, 0, 64);
	assert_int_equal(edu_read(f->edu, f->data, 64, 0), 0);
	assert_memory_equal(f->data, copy, 64);
}

/* Out of the end of a mapping: what lies before is transferred, as on hardware. */
static void test_dma_runs_out(void **state)
{
	struct fixture *f = *state;
	const struct weir_map_opts fixed = { .fixed = true };
	weir_iova iova = NOWHERE;
	uint8_t *page;

	page = mmap(NULL, f->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(weir_ioas_map(f->as, page, f->page, &fixed, &iova), 0);
	fill(f->data, EDU_BUFFER_SIZE, 5);
	assert_int_equal(edu_write(f->edu, f->data, EDU_BUFFER_SIZE, 0), 0);
	assert_int_equal(edu_dma(f->edu, iova + f->page - 100, 0, 200, false), 0);
	one_fault(f, NOWHERE + f->page, true);
	assert_memory_equal(page + f->page - 100, f->data, 100);
	assert_int_equal(page[f->page - 101], 0);
	assert_int_equal(weir_ioas_unmap(f->as, iova, f->page), 0);
	munmap(page, f->page);
}

static void test_dma_direction(void **state)
{
	struct fixture *f = *state;
	const struct weir_mem_opts to = { .dir = WEIR_DMA_TO_DEVICE };
	struct weir_mem *mem;
	uint8_t *data;

	assert_int_equal(weir_mem_alloc(f->as, f->page, &to, &mem), 0);
	data = weir_mem_ptr(mem);
	memset(data, 0x42, f->page);
	memset(f->data, 0, f->page);
	assert_int_equal(edu_write(f->edu, data, 64, 0), 0);
	assert_int_equal(edu_read(f->edu, f->data, 64, 0), 0);
	assert_memory_equal(f->data, data, 64);
	memset(f->data, 0x11, 64);
	assert_int_equal(edu_write(f->edu, f->data, 64, 0), 0);
	assert_int_equal(edu_read(f->edu, data, 64, 0), 0);
	one_fault(f, weir_mem_iova(mem), true);
	assert_int_equal(data[0], 0x42);
	assert_int_equal(weir_mem_free(mem), 0);
}

static void test_dma_after_unmap(void **state)
{
	struct fixture *f = *state;
	weir_iova iova;
	uint8_t *page;

	page = mmap(NULL, f->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(weir_ioas_map(f->as, page, f->page, NULL, &iova), 0);
	assert_true(iova + f->page <= 1ull << EDU_DMA_BITS);
	/* Used before, so that whatever may be cached is cached. */
	assert_int_equal(edu_dma(f->edu, iova, 0, 64, true), 0);
	assert_int_equal(edu_dma(f->edu, iova, 0, 64, false), 0);
	assert_int_equal(weir_ioas_unmap(f->as, iova, f->page), 0);
	fill(f->data, 64, 7);
	assert_int_equal(edu_write(f->edu, f->data, 64, 0), 0);
	assert_int_equal(edu_dma(f->edu, iova, 0, 64, false), 0);
	one_fault(f, iova, true);
	for (int i = 0; i < 64; i++)
		assert_int_equal(page[i], 0);
	assert_int_equal(edu_dma(f->edu, iova, 0, 64, true), 0);
	one_fault(f, iova, false);
	munmap(page, f->page);
}

/* No bus mastering, no DMA: it never gets as far as the IOMMU. */
static void test_bus_master_off(void **state)
{
	struct fixture *f = *state;

	fill(f->data, 64, 3);
	assert_int_equal(edu_write(f->edu, f->data, 64, 0), 0);
	memset(f->data, 0, 64);
	assert_int_equal(weir_device_bus_master(f->dev, false), 0);
	assert_int_equal(edu_read(f->edu, f->data, 64, 0), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(f->data[i], 0);
	assert_int_equal(edu_dma(f->edu, NOWHERE, 0, 64, false), 0);
	assert_int_equal(weir_device_bus_master(f->dev, true), 0);
	assert_int_equal(edu_read(f->edu, f->data, 64, 0), 0);
	assert_int_equal(f->data[1], (uint8_t)(3 + 13));
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edu_irq_enable(f->edu), WEIR_IRQ_MSI);
	fill(f->data, 64, 3);
	assert_int_equal(edu_write(f->edu, f->data, 64, 0), 0);
	assert_int_equal(edu_live(f->edu), 0);
	assert_int_equal(weir_device_reset(f->dev), 0);
	assert_false(edu_lived(f->edu));
	assert_int_equal(edu_live(f->edu), 0);
	/* Mappings, interrupts and bus mastering stay, the device's own memory is empty. */
	assert_int_equal(edu_read(f->edu, f->data, 64, 0), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(f->data[i], 0);
	both_ways(f);
}

static void test_dma_start(void **state)
{
	struct fixture *f = *state;
	uint32_t bits;

	fill(f->data, 64, 9);
	assert_int_equal(edu_write(f->edu, f->data, 64, 0), 0);
	assert_int_equal(edu_irq_enable(f->edu), WEIR_IRQ_MSI);
	memset(f->data, 0, 64);
	assert_int_equal(edu_dma_start(f->edu, weir_mem_iova(f->mem), EDU_BUFFER_SIZE, 1, false),
			 -EINVAL);
	assert_int_equal(edu_dma_start(f->edu, weir_mem_iova(f->mem), 0, 64, false), 0);
	assert_int_equal(edu_irq_wait(f->edu, -1, &bits), 0);
	assert_int_equal(bits, EDU_IRQ_DMA);
	for (int i = 0; i < 64; i++)
		assert_int_equal(f->data[i], (uint8_t)(9 + i * 13));
}

/* A driver that doesn't wait, and goes: nothing of it may come later. */
static void test_close_in_flight(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		struct weir_device *dev;
		struct weir_mem *mem;
		struct weir_bar *bar;
		struct weir_ioas *as;

		assert_int_equal(weir_ioas_open(NULL, &as), 0);
		assert_int_equal(weir_device_open(NULL, "soft:edu", &(struct weir_device_opts){
			.ioas = as }, &dev), 0);
		assert_int_equal(weir_mem_alloc(as, 4096, NULL, &mem), 0);
		assert_int_equal(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_AUTO, &bar), 0);
		assert_int_equal(weir_device_bus_master(dev, true), 0);
		weir_write64(bar, 0x80, EDU_BUFFER);
		weir_write64(bar, 0x88, weir_mem_iova(mem));
		weir_write64(bar, 0x90, 4096);
		weir_write64(bar, 0x98, 7);
		assert_int_equal(weir_bar_close(bar), 0);
		if (round & 1)
			usleep((useconds_t)round);
		assert_int_equal(weir_device_close(dev), 0);
		memset(weir_mem_ptr(mem), 0x5a, 4096);
		assert_int_equal(weir_mem_free(mem), 0);
		assert_int_equal(weir_ioas_close(as), 0);
	}
}

/* What one device leaves in memory the other one finds; each is known by its own name. */
static void test_two_devices(void **state)
{
	struct weir_device_opts opts = { 0 };
	struct weir_device_info info[2];
	struct weir_device *dev[2];
	struct edu *edu[2];
	struct weir_fault fault;
	struct weir_mem *mem;
	struct weir_ioas *as;
	uint8_t copy[256];
	uint8_t *data;

	(void)state;
	assert_int_equal(weir_ioas_open(NULL, &as), 0);
	/* Mapped before there is a device, for both. */
	assert_int_equal(weir_mem_alloc(as, 4096, &(struct weir_mem_opts){
		.limit = (1ull << EDU_DMA_BITS) - 1 }, &mem), 0);
	data = weir_mem_ptr(mem);
	opts.ioas = as;
	opts.dma_bits = EDU_DMA_BITS;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(weir_device_open(NULL, name, &opts, &dev[i]), 0);
		assert_ptr_equal(weir_device_ioas(dev[i]), as);
		assert_int_equal(weir_device_info(dev[i], &info[i]), 0);
		assert_int_equal(edu_open(dev[i], &edu[i]), 0);
		assert_int_equal(edu_irq_enable(edu[i]), WEIR_IRQ_MSI);
	}
	assert_int_not_equal(info[0].requester, info[1].requester);

	fill(data, 256, 21);
	memcpy(copy, data, 256);
	assert_int_equal(edu_write(edu[0], data, 256, 0), 0);
	memset(data, 0, 256);
	assert_int_equal(edu_read(edu[0], data + 1024, 256, 0), 0);
	assert_int_equal(edu_write(edu[1], data + 1024, 256, 512), 0);
	memset(data, 0, 4096);
	assert_int_equal(edu_read(edu[1], data + 2048, 256, 512), 0);
	assert_memory_equal(data + 2048, copy, 256);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(edu_dma(edu[i], NOWHERE, 0, 8, true), 0);
		assert_int_equal(weir_ioas_faults(as, &fault, 1), 1);
		assert_int_equal(fault.requester, info[i].requester);
	}
	/* One goes; the other works on. */
	assert_int_equal(edu_close(edu[0]), 0);
	assert_int_equal(weir_device_close(dev[0]), 0);
	assert_int_equal(weir_ioas_close(as), -EBUSY);
	assert_int_equal(edu_write(edu[1], data + 2048, 256, 0), 0);
	assert_int_equal(edu_close(edu[1]), 0);
	assert_int_equal(weir_device_close(dev[1]), 0);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(weir_ioas_close(as), 0);
}

/* The caller's own model, with an engine that reaches everywhere. */
static void test_own_model(void **state)
{
	const struct edu_model_opts wide = { .dma_bits = 64 };
	const struct weir_map_opts fixed = { .fixed = true };
	struct weir_device *dev, *second = NULL;
	weir_iova iova = 0x7000000000;
	struct weir_model *model;
	struct edu *edu;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *data;

	(void)state;
	assert_int_equal(edu_model_create(&wide, &model), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(weir_device_open_model(NULL, model, NULL, &dev), 0);
		assert_int_equal(weir_device_open_model(NULL, model, NULL, &second), -EBUSY);
		assert_null(second);
		assert_int_equal(edu_model_destroy(model), -EBUSY);
		assert_int_equal(edu_open(dev, &edu), 0);
		data = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
		assert_ptr_not_equal(data, MAP_FAILED);
		assert_int_equal(weir_ioas_map(weir_device_ioas(dev), data, page, &fixed, &iova),
				 0);
		memset(data, 0xff, 64);
		/* What the round before has left in the device is gone. */
		assert_int_equal(edu_read(edu, data, 64, 0), 0);
		for (int i = 0; i < 64; i++)
			assert_int_equal(data[i], 0);
		fill(data, 64, 77);
		assert_int_equal(edu_write(edu, data, 64, 0), 0);
		memset(data, 0, 64);
		assert_int_equal(edu_read(edu, data, 64, 0), 0);
		assert_int_equal(data[0], 77);
		assert_int_equal(edu_close(edu), 0);
		assert_int_equal(weir_ioas_unmap(weir_device_ioas(dev), iova, page), 0);
		assert_int_equal(weir_device_close(dev), 0);
		munmap(data, page);
	}
	assert_int_equal(edu_model_destroy(model), 0);
}

/* What one device writes another reads, each in a space of its own, until it is unmapped there. */
static void test_shared_memory(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const struct weir_map_opts fixed = { .fixed = true, .dir = WEIR_DMA_TO_DEVICE };
	struct weir_device *dev[2];
	struct weir_iommu *iommu;
	struct weir_ioas *spaces[2];
	struct weir_fault fault;
	struct weir_mem *mem;
	struct edu *edu[2];
	weir_iova copy = NOWHERE;
	uint8_t *data;

	(void)state;
	assert_int_equal(weir_iommu_open(NULL, &iommu), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(weir_ioas_open(iommu, &spaces[i]), 0);
		assert_int_equal(weir_device_open(iommu, name, &(struct weir_device_opts){
				 .ioas = spaces[i] }, &dev[i]), 0);
		assert_int_equal(edu_open(dev[i], &edu[i]), 0);
	}
	assert_int_equal(weir_mem_alloc(spaces[0], 2 * page, NULL, &mem), 0);
	assert_int_equal(weir_ioas_copy(spaces[1], spaces[0], weir_mem_iova(mem), 2 * page,
					&fixed, &copy), 0);
	data = weir_mem_ptr(mem);
	fill(data + page, page, 7);
	assert_int_equal(edu_write(edu[0], data + page, page, 0), 0);
	assert_int_equal(edu_read(edu[0], data, page, 0), 0);
	assert_int_equal(edu_dma(edu[1], copy, 0, page, true), 0);
	/* The copy is for reading alone. */
	assert_int_equal(weir_ioas_faults(spaces[1], &fault, 1), 0);
	assert_int_equal(edu_dma(edu[1], copy, 0, page, false), 0);
	assert_int_equal(weir_ioas_faults(spaces[1], &fault, 1), 1);
	assert_true(fault.iova == NOWHERE && fault.write);
	assert_memory_equal(data, data + page, page);

	assert_int_equal(weir_ioas_unmap(spaces[1], copy, 2 * page), 0);
	assert_int_equal(edu_dma(edu[1], copy, 0, page, true), 0);
	assert_int_equal(weir_ioas_faults(spaces[1], &fault, 1), 1);
	assert_int_equal(weir_mem_free(mem), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(edu_close(edu[i]), 0);
		assert_int_equal(weir_device_close(dev[i]), 0);
		assert_int_equal(weir_ioas_close(spaces[i]), 0);
	}
	assert_int_equal(weir_iommu_close(iommu), 0);
}

#define WITH_EDU(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_device),
		cmocka_unit_test(test_busy_device),
		WITH_EDU(test_live),
		WITH_EDU(test_factorial),
		WITH_EDU(test_dma),
		WITH_EDU(test_dma_scattered),
		WITH_EDU(test_refusals),
		WITH_EDU(test_interrupts),
		WITH_EDU(test_msi_needs_bus_master),
		WITH_EDU(test_dma_blocked),
		WITH_EDU(test_dma_runs_out),
		WITH_EDU(test_dma_direction),
		WITH_EDU(test_dma_after_unmap),
		WITH_EDU(test_bus_master_off),
		WITH_EDU(test_reset),
		WITH_EDU(test_dma_start),
		cmocka_unit_test(test_close_in_flight),
		cmocka_unit_test(test_two_devices),
		cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_own_model),
	};

	if (argc > 1)
		name = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
