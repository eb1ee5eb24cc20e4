/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "idle_model.h"
#include "load.h"
#include "load_list.h"

/* ---- devices ---- */

/* What kernels may say of a group: as on x86, on Arm, and with holes. */
static const struct {
	unsigned int n;
	struct wr_vfio_iova_range r[4];
} kernel_ranges[] = {
	{ 2, { { 0, 0xfedfffff }, { 0xfef00000, (1ull << 48) - 1 } } },
	{ 2, { { 0, 0xfedfffff }, { 0xfef00000, (1ull << 39) - 1 } } },
	{ 2, { { 0, 0x7ffffff }, { 0x8100000, UINT64_MAX } } },
	{ 4, { { 0x1000, 0xfffff }, { 0x300000, 0x7ffffff }, { 0x40000000, 0xdfffffff },
	       { 0x200000000, 0xfffffffffff } } },
};

static int foretell_open(struct worker *w, unsigned int dev)
{
	struct range ranges[FAKE_RANGES];
	unsigned int n = ranges_of(dev, ranges);

	for (unsigned int i = 0; i < w->n; i++) {
		if (!within(ranges, n, w->e[i].iova, w->e[i].iova + (w->e[i].len - 1)))
			return -EINVAL;
		if (dev == SOFT && is_refused(w, w->e[i].vaddr))
			return -EFAULT;
		if (dev < SOFT && i >= w->room)
			return -ENOSPC;
	}
	return 0;
}

static int open_device(struct worker *w, unsigned int dev)
{
	struct weir_device_opts opts = { .ioas = w->field->as, .dma_bits = w->dma_bits[dev] };
	int ret;

	if (dev < SOFT)
		return weir_device_open(w->field->iommu, fake.groups[dev].device, &opts,
					&w->dev[dev]);
	ret = weir_device_open_model(w->field->iommu, w->field->model, &opts, &w->dev[dev]);
	return ret ? ret : weir_device_bus_master(w->dev[dev], true);
}

static void come_or_go(struct worker *w)
{
	static const unsigned int bits[] = { 64, 64, 48, 40, 36, 32 };
	unsigned int dev = w->alone ? (unsigned int)any(w, DEVICES) : w->number, set;
	int ret;

	w->done++;
	if (w->dev[dev]) {
		expect(w, "closing", (uint64_t)weir_device_close(w->dev[dev]), 0);
		w->dev[dev] = NULL;
		recompute(w);
		return;
	}
	w->dma_bits[dev] = bits[any(w, 6)];
	if (w->alone && dev < SOFT) {
		set = (unsigned int)any(w, 2) * (unsigned int)any(w, 4);
		fake.groups[dev].n_ranges = kernel_ranges[set].n;
		memcpy(fake.groups[dev].ranges, kernel_ranges[set].r, sizeof(kernel_ranges[set].r));
		fake.groups[dev].alone = any(w, 2);
	}
	ret = open_device(w, dev);
	expect(w, "opening", (uint64_t)ret, (uint64_t)(w->alone ? foretell_open(w, dev) : 0));
	if (ret)
		w->dev[dev] = NULL;
	recompute(w);
}

/* ---- all of it ---- */

static void compare_ranges(struct worker *w)
{
	struct weir_iova_range ranges[RANGES_MAX];
	int n = weir_ioas_ranges(w->field->as, ranges, RANGES_MAX);

	expect(w, "the number of ranges", (uint64_t)n, w->n_ranges);
	for (unsigned int i = 0; i < w->n_ranges; i++) {
		expect(w, "a range's first", ranges[i].first, w->ranges[i].first);
		expect(w, "a range's last", ranges[i].last, w->ranges[i].last);
	}
}

static void compare_caps(struct worker *w)
{
	uint64_t mappings = UINT64_MAX;
	struct weir_ioas_caps caps;

	for (unsigned int dev = 0; dev < SOFT; dev++)
		if (w->dev[dev])
			mappings = w->room - w->n;
	weir_ioas_caps(w->field->as, &caps);
	expect(w, "room for mappings", caps.mappings, mappings);
	expect(w, "degraded", caps.degraded, false);
}

static void compare_all(struct worker *w)
{
	for (unsigned int i = 0; i < w->n; i++) {
		const struct entry *e = &w->e[i];

		look_up_vaddr(w, e->iova);
		look_up_vaddr(w, e->iova + (e->len - 1));
		look_up_iova(w, e->vaddr);
		look_up_iova(w, e->vaddr + (e->len - 1));
	}
	if (!w->alone)
		return;
	compare_ranges(w);
	compare_caps(w);
	for (unsigned int dev = 0; dev < SOFT; dev++) {
		expect(w, "the kernel's number of mappings", fake_mappings(dev),
		       w->dev[dev] ? w->n : 0);
		for (unsigned int i = 0; w->dev[dev] && i < w->n; i++) {
			const struct entry *e = &w->e[i];
			uint32_t flags = (e->dir != WEIR_DMA_FROM_DEVICE ? WR_VFIO_MAP_READ : 0) |
					 (e->dir != WEIR_DMA_TO_DEVICE ? WR_VFIO_MAP_WRITE : 0);

			if (!fake_has(dev, e->iova, e->len, (void *)(uintptr_t)e->vaddr, flags))
				wrong(w, "the kernel hasn't got IOVA 0x%" PRIx64, e->iova);
		}
	}
}

static void change_something(struct worker *w)
{
	if (!any(w, 128))
		come_or_go(w);
	else if (w->alone && !any(w, 512))
		unmap_all(w);
	else if (w->n && !any(w, 8))
		move_something(w);
	else if (w->n && w->n < LIVE && !any(w, 12))
		copy_something(w);
	else if (w->n < LIVE && (w->n < 4 || any(w, 2)))
		map_something(w);
	else
		unmap_something(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	w->first_seed = w->seed;
	w->seed += w->number;
	recompute(w);
	open_file(w);
	w->room = fake.entry_limit;
	if (w->alone)
		w->room = fake.entry_limit = LIVE / 2 + (unsigned int)any(w, LIVE);
	for (unsigned long step = 0; w->done < w->ops; step++) {
		change_something(w);
		look(w);
		if (step % COMPARED == 0)
			compare_all(w);
	}
	compare_all(w);
	close(w->fd);
	return NULL;
}

/* Memory at a multiple of @align. The rest stays until the program ends, and is never touched. */
static char *addresses(size_t len, size_t align, int prot)
{
	char *all = mmap(NULL, len + align, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			 0);

	if (all == MAP_FAILED) {
		perror("mmap");
		abort();
	}
	return (char *)(((uintptr_t)all + align - 1) & ~(align - 1));
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void start(struct field *field, struct worker *w)
{
	static const struct weir_model_desc desc = { .name = "memory", .vendor = 1 };
	const uint32_t rw = WR_VFIO_REGION_READ | WR_VFIO_REGION_WRITE;
	static char *memory, *giant;

	if (!memory) {
		memory = addresses(WORKERS * STRIPE, MB2, PROT_READ | PROT_WRITE);
		giant = addresses(GIANT, GB, PROT_NONE);
		for (uint64_t at = (uintptr_t)memory, left = WORKERS * STRIPE; left; left -= PAGE) {
			memcpy((void *)(uintptr_t)at, &at, sizeof(at));
			at += PAGE;
		}
	}
	fake_start();
	fake.fail_with = -ENOMEM;
	fake.device.regions[WEIR_REGION_CONFIG] = (struct wr_vfio_region_info){
		.flags = rw, .size = 256,
	};
	field->memory = memory;
	field->giant = giant;
	field->blind = variable("WEIR_TEST_BLIND");
	expect(w, "making a model", (uint64_t)weir_model_create(&desc, &idle_model, NULL,
								&field->model), 0);
	expect(w, "making a context", (uint64_t)weir_iommu_open(NULL, &field->iommu), 0);
	expect(w, "making an address space",
	       (uint64_t)weir_ioas_open(field->iommu, &field->as), 0);
}

/* All is unmapped while the devices are there still, of all workers at once. */
static void end(struct field *field, struct worker *w, unsigned int n)
{
	expect(w, "unmapping all", (uint64_t)weir_ioas_unmap_all(field->as), 0);
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int dev = 0; dev < DEVICES; dev++) {
			if (dev < SOFT)
				expect(&w[i], "what is mapped", fake_mappings(dev), 0);
			expect(&w[i], "closing", (uint64_t)weir_device_close(w[i].dev[dev]), 0);
		}
	}
	expect(w, "closing it", (uint64_t)weir_ioas_close(field->as), 0);
	expect(w, "closing the context", (uint64_t)weir_iommu_close(field->iommu), 0);
	expect(w, "destroying the model", (uint64_t)weir_model_destroy(field->model), 0);
	expect(w, "the kernel's fds", fake.open_fds, 0);
	expect(w, "memory left", (uint64_t)fake.mapped, 0);
	fake_stop();
}

void load_alone(unsigned long long seed, unsigned long ops)
{
	struct field field;
	struct worker w = { .field = &field, .alone = true, .seed = seed, .ops = ops };

	start(&field, &w);
	work(&w);
	end(&field, &w, 1);
}

void load_together(unsigned long long seed, unsigned long ops)
{
	static struct worker w[WORKERS];
	struct field field;
	pthread_t threads[WORKERS];

	memset(w, 0, sizeof(w));
	start(&field, &w[0]);
	for (unsigned int i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){
			.field = &field, .number = i, .seed = seed, .ops = ops / WORKERS,
		};
		expect(&w[i], "making a thread",
		       (uint64_t)pthread_create(&threads[i], NULL, work, &w[i]), 0);
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	end(&field, w, WORKERS);
}

/* ---- what the environment asks for ---- */

double load_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

unsigned long long load_seed(void)
{
	const char *value = variable("WEIR_TEST_SEED");
	struct timespec now;

	if (value)
		return strtoull(value, NULL, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	return (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
}

unsigned long load_ops(unsigned long otherwise)
{
	const char *value = variable("WEIR_TEST_OPS");

	return value ? strtoul(value, NULL, 0) : otherwise;
}

double load_seconds(double otherwise)
{
	const char *value = variable("WEIR_TEST_SECONDS");

	return value ? strtod(value, NULL) : otherwise;
}
