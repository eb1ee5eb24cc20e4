/* SPDX-License-Identifier: MIT */
/*
 * weir bench: a device model's DMA through the software IOMMU. All memory is mapped by leaves of
 * 4 KiB in tables of 4 levels.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "out.h"

static uint64_t no_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			unsigned int width)
{
	(void)model;
	(void)bar;
	(void)offset;
	(void)width;
	return 0;
}

static void no_write(struct weir_model *model, unsigned int bar, uint64_t offset,
		     unsigned int width, uint64_t value)
{
	(void)model;
	(void)bar;
	(void)offset;
	(void)width;
	(void)value;
}

/* A device that only does DMA, and its address space. */
static struct weir_model *model_in(struct weir_ioas **as)
{
	static const struct weir_model_desc desc = {
		.name = "bench",
		.vendor = 0x1234,
		.device = 0x0001,
		.bars[0].size = PAGE,
	};
	static const struct weir_model_ops ops = { .read = no_read, .write = no_write };
	const struct weir_iommu_opts levels = { .soft_bits = 48 };
	struct weir_iommu *iommu;
	struct weir_model *model;
	struct weir_device *dev;

	bench_must(weir_iommu_open(&levels, &iommu));
	bench_must(weir_model_create(&desc, &ops, NULL, &model));
	bench_must(weir_device_open_model(iommu, model, NULL, &dev));
	bench_must(weir_device_bus_master(dev, true));
	*as = weir_device_ioas(dev);
	return model;
}

/* ---- translate ---- */

#define TABLE	512u

struct table {
	uint64_t entry[TABLE];
};

struct translate {
	struct weir_ioas *as;
	struct weir_model *model;
	struct table *root, *leaf;	/* for the limit: tables of the same shape, one leaf's */
	char *spare;			/* a page, to be mapped and unmapped */
	weir_iova queries[BENCH_QUERIES];
};

static double translate_each(void *arg)
{
	struct translate *t = arg;
	uint64_t sum = 0;
	double start;
	void *ptr;
	size_t run;

	bench_must(weir_model_dma_begin(t->model));
	start = bench_now();
	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		bench_must(weir_model_dma_translate(t->model, t->queries[i], 8, false, &ptr, &run));
		sum += (uintptr_t)ptr;
	}
	start = bench_now() - start;
	bench_sink += sum;
	weir_model_dma_end(t->model);
	return start / BENCH_QUERIES;
}

/* Unmapping invalidates: nothing is left of the round before. */
static double translate_afresh(void *arg)
{
	struct translate *t = arg;
	weir_iova iova;

	bench_must(weir_ioas_map(t->as, t->spare, PAGE, NULL, &iova));
	bench_must(weir_ioas_unmap(t->as, iova, PAGE));
	return translate_each(arg);
}

static struct table *table_below(uint64_t *entry)
{
	if (!*entry)
		*entry = (uintptr_t)bench_memory(sizeof(struct table));
	return (struct table *)(uintptr_t)*entry;
}

/* What can't be done without: the leaf's entry where all the rest is known, and else the walk. */
static double load_leaf(void *arg)
{
	struct translate *t = arg;
	double start = bench_now();

	for (unsigned int i = 0; i < BENCH_QUERIES; i++)
		bench_sink += *(volatile uint64_t *)&t->leaf->entry[t->queries[i] >> 12 &
								    (TABLE - 1)];
	return (bench_now() - start) / BENCH_QUERIES;
}

static double load_levels(void *arg)
{
	struct translate *t = arg;
	double start = bench_now();

	for (unsigned int i = 0; i < BENCH_QUERIES; i++) {
		uint64_t entry = (uintptr_t)t->root;

		for (int shift = 39; shift >= 12; shift -= 9)
			entry = *(volatile uint64_t *)&((struct table *)(uintptr_t)entry)->entry[
				t->queries[i] >> shift & (TABLE - 1)];
		bench_sink += entry;
	}
	return (bench_now() - start) / BENCH_QUERIES;
}

/* @pages mappings of a page, each of a page that isn't next to the one before. */
static struct translate *translate_over(size_t pages)
{
	struct translate *t = calloc(1, sizeof(*t));
	weir_iova *iovas = calloc(pages, sizeof(*iovas));
	char *mem = bench_memory(pages * PAGE);
	uint64_t random = 88172645463325252ull;

	if (!t || !iovas)
		exit(fail("no memory for %zu mappings", pages));
	t->model = model_in(&t->as);
	t->root = bench_memory(sizeof(*t->root));
	t->spare = bench_memory(PAGE);
	for (size_t i = 0; i < pages; i++) {
		struct table *table = t->root;

		bench_must(weir_ioas_map(t->as, mem + (i * 40503 % pages) * PAGE, PAGE, NULL,
					 &iovas[i]));
		for (int shift = 39; shift > 12; shift -= 9)
			table = table_below(&table->entry[iovas[i] >> shift & (TABLE - 1)]);
		table->entry[iovas[i] >> 12 & (TABLE - 1)] = i;
		t->leaf = table;
	}
	for (unsigned int i = 0; i < BENCH_QUERIES; i++)
		t->queries[i] = iovas[bench_random(&random) % pages] +
				bench_random(&random) % (PAGE - 8);
	free(iovas);
	return t;
}

void bench_translate(void)
{
	bench_add("translate", "256 pages", "ns", translate_each, load_leaf, translate_over(256));
	bench_add("translate", "16384 pages, invalidated", "ns", translate_afresh, load_levels,
		  translate_over(16384));
}

/* ---- dma ---- */

#define COPY_PAGES	256u
#define COPY_LEN	(COPY_PAGES * PAGE)
#define COPIES		32u

struct copy {
	struct weir_model *model;
	char *device;			/* the device's side */
	char *memory;			/* the driver's */
	weir_iova iova;
	size_t piece;			/* bytes that are contiguous in the driver's memory */
	uint32_t page[COPY_PAGES];	/* the page of the driver's memory behind each of IOVA */
};

static double dma_write(void *arg)
{
	struct copy *c = arg;
	double start = bench_now();

	for (unsigned int i = 0; i < COPIES; i++)
		bench_must(weir_model_dma_write(c->model, c->iova, c->device, COPY_LEN));
	return (bench_now() - start) / COPIES;
}

static double dma_read(void *arg)
{
	struct copy *c = arg;
	double start = bench_now();

	for (unsigned int i = 0; i < COPIES; i++)
		bench_must(weir_model_dma_read(c->model, c->iova, c->device, COPY_LEN));
	return (bench_now() - start) / COPIES;
}

/* The same bytes to and from the same places, as large pieces as there are. */
static double copy_all(struct copy *c, bool write)
{
	double start = bench_now();

	for (unsigned int i = 0; i < COPIES; i++) {
		for (size_t at = 0; at < COPY_LEN; at += c->piece) {
			char *memory = c->memory + c->page[at / PAGE] * PAGE;

			memcpy(write ? memory : c->device + at, write ? c->device + at : memory,
			       c->piece);
		}
		/* Each copy counts, though the next one overwrites it. */
		__asm__ volatile("" : : "r"(c->memory), "r"(c->device) : "memory");
	}
	return (bench_now() - start) / COPIES;
}

static double copy_out(void *arg)
{
	return copy_all(arg, true);
}

static double copy_in(void *arg)
{
	return copy_all(arg, false);
}

static struct copy *copy_over(bool scattered)
{
	struct copy *c = calloc(1, sizeof(*c));
	struct weir_map_opts opts = { .fixed = true };
	uint64_t random = 88172645463325252ull;
	struct weir_ioas *as;

	if (!c)
		exit(fail("no memory for a copy"));
	c->model = model_in(&as);
	c->device = bench_memory(COPY_LEN);
	c->memory = bench_memory(COPY_LEN);
	c->iova = MB;
	c->piece = scattered ? PAGE : COPY_LEN;
	for (uint32_t i = 0; i < COPY_PAGES; i++)
		c->page[i] = i;
	for (uint32_t i = COPY_PAGES - 1; scattered && i; i--) {
		uint32_t other = (uint32_t)(bench_random(&random) % (i + 1)), page = c->page[i];

		c->page[i] = c->page[other];
		c->page[other] = page;
	}
	for (uint32_t i = 0; i < COPY_PAGES; i++) {
		weir_iova iova = c->iova + i * PAGE;

		bench_must(weir_ioas_map(as, c->memory + c->page[i] * PAGE, PAGE, &opts, &iova));
	}
	return c;
}

void bench_dma(void)
{
	struct copy *whole = copy_over(false), *scattered = copy_over(true);

	bench_add("dma", "1 MiB written", "ns", dma_write, copy_out, whole);
	bench_add("dma", "1 MiB read", "ns", dma_read, copy_in, whole);
	bench_add("dma", "1 MiB written, scattered", "ns", dma_write, copy_out, scattered);
	bench_add("dma", "1 MiB read, scattered", "ns", dma_read, copy_in, scattered);
}
