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
#include "load.h"
#include "load_list.h"

/* ---- mapping ---- */

static bool is_giant(const struct worker *w, uint64_t vaddr)
{
	return vaddr - (uintptr_t)w->field->giant < GIANT;
}

static void choose_memory(struct worker *w, uint64_t *vaddr, uint64_t *len)
{
	static const uint64_t lens[] = { PAGE, PAGE, 3 * PAGE, 16 * PAGE, 70 * PAGE, MB2 };
	uint64_t stripe = (uintptr_t)w->field->memory + w->number * STRIPE;

	*len = lens[any(w, any(w, 4) ? 4 : 6)] + any(w, 3) * PAGE;
	if (w->alone && !any(w, 32)) {
		*vaddr = (uintptr_t)w->field->giant + any(w, 2) * GB + any(w, 2) * any(w, 9) * PAGE;
		*len += any(w, 3) * GB;
	} else if (any(w, 3)) {
		*vaddr = stripe + any(w, (STRIPE - *len) / PAGE) * PAGE;
	} else {
		*vaddr = stripe + any(w, 3) * MB2;
	}
}

/* Near what is there, anywhere in what is this worker's, or at the ends of ranges. */
static uint64_t choose_iova(struct worker *w)
{
	const struct entry *e = w->n ? &w->e[any(w, w->n)] : NULL;
	const struct range *r = &w->ranges[any(w, w->n_ranges)];
	uint64_t base = (w->number + 1ull) << 33;

	if (e && (w->alone || e->iova >= base) && any(w, 2))
		return e->iova + any(w, 2) * e->len + any(w, 3) * PAGE;
	if (w->alone && !any(w, 4))
		return (any(w, 2) ? r->first : r->last + 1) + (any(w, 40) - 20) * PAGE;
	return base + any(w, 4 * GB / PAGE) * PAGE;
}

/* What no address space takes, and changes nothing. */
static void map_nonsense(struct worker *w)
{
	struct weir_map_opts opts = { .fixed = any(w, 2) };
	uint64_t vaddr, len;
	weir_iova iova = choose_iova(w), was;

	choose_memory(w, &vaddr, &len);
	switch (any(w, 6)) {
	case 0: vaddr += 1 + any(w, PAGE - 1); break;
	case 1: len = any(w, 2) * (1 + any(w, PAGE - 1)); break;
	case 2: vaddr = 0 - PAGE; len = 2 * PAGE; break;
	case 3: opts.dir = (enum weir_dma_dir)(3 + any(w, 9)); break;
	case 4: opts.reserved[any(w, 4)] = 1 + any(w, 9); break;
	default: opts.fixed = true; iova += 1 + any(w, PAGE - 1); break;
	}
	was = iova;
	expect(w, "nonsense mapped",
	       (uint64_t)weir_ioas_map(w->field->as, (void *)(uintptr_t)vaddr, len, &opts, &iova),
	       (uint64_t)-EINVAL);
	expect(w, "its IOVA", iova, was);
}

/* What mapping it must answer; where it goes if it isn't fixed. */
static int foretell(struct worker *w, const struct weir_map_opts *opts, struct entry *e)
{
	uint64_t last;

	if (!opts->fixed) {
		e->iova = lowest(w, e->vaddr, e->len, opts->limit);
		if (!e->iova)
			return -ENOSPC;
	}
	last = e->iova + (e->len - 1);
	if (last < e->iova)
		return -EINVAL;
	if (!is_free(w, e->iova, e->len))
		return -EEXIST;
	if (!within(w->ranges, w->n_ranges, e->iova, last))
		return -EINVAL;
	return w->dev[SOFT] && is_giant(w, e->vaddr) ? -EFAULT : 0;
}

/* Of several workers, one can't know where an automatic mapping goes, but where it must not. */
static void check_place(struct worker *w, const struct weir_map_opts *opts, const struct entry *e)
{
	uint64_t last = e->iova + (e->len - 1);

	if (!e->iova || last < e->iova || (opts->limit && last > opts->limit) ||
	    !is_free(w, e->iova, e->len) || !within(untold, 3, e->iova, last))
		wrong(w, "IOVA 0x%" PRIx64 " was given, up to 0x%" PRIx64, e->iova, opts->limit);
}

static void map_something(struct worker *w)
{
	static const uint64_t limits[] = { 40 * PAGE, MB2, 64ull << 20, 1ull << 32, 1ull << 40 };
	struct weir_map_opts opts = { .dir = (enum weir_dma_dir)any(w, 3) };
	struct entry e = { .dir = opts.dir };
	weir_iova iova;
	int ret, should;

	w->done++;
	if (!any(w, 20)) {
		map_nonsense(w);
		return;
	}
	choose_memory(w, &e.vaddr, &e.len);
	opts.fixed = any(w, 2);
	if (opts.fixed)
		e.iova = choose_iova(w);
	else if (!any(w, 4))
		opts.limit = limits[any(w, 5)] - 1 + any(w, 2);
	iova = e.iova;
	ret = weir_ioas_map(w->field->as, (void *)(uintptr_t)e.vaddr, e.len, &opts, &iova);
	if (w->alone || opts.fixed) {
		should = foretell(w, &opts, &e);
		expect(w, "mapping", (uint64_t)ret, (uint64_t)should);
		if (!ret)
			expect(w, "the IOVA", iova, e.iova);
	} else if (ret != -ENOSPC || !opts.limit) {
		expect(w, "mapping", (uint64_t)ret, 0);
		e.iova = iova;
		check_place(w, &opts, &e);
	}
	if (!ret)
		enter(w, &e);
}

static void unmap_something(struct worker *w)
{
	const struct entry *e = &w->e[any(w, w->n)], *found;
	uint64_t iova = e->iova, len = e->len;
	int should = 0;

	w->done++;
	if (!any(w, 4)) {
		if (any(w, 2))
			iova = choose_iova(w);
		else
			iova += any(w, 3) * any(w, e->len / PAGE + 1) * PAGE;
		len = any(w, 2) ? len : any(w, 70) * PAGE;
		found = at_iova(w, iova);
		/* An automatic IOVA behind one of this worker's may be another's. */
		if (!found && !w->alone && iova < 8 * GB)
			return;
		should = !found ? -ENOENT : found->iova != iova || found->len != len ? -EINVAL : 0;
		e = found;
	}
	expect(w, "unmapping", (uint64_t)weir_ioas_unmap(w->field->as, iova, len),
	       (uint64_t)should);
	if (!should)
		leave(w, e);
}

/* ---- looking ---- */

static void look_up_iova(struct worker *w, uint64_t vaddr)
{
	const struct entry *e = oldest_at(w, vaddr);
	weir_iova iova = 0;
	size_t len = 0;
	int ret = weir_ioas_to_iova(w->field->as, (void *)(uintptr_t)vaddr, &iova,
				    any(w, 2) ? &len : NULL);

	w->done++;
	expect(w, "looking up an address", (uint64_t)ret, (uint64_t)(e ? 0 : -ENOENT));
	if (!e)
		return;
	expect(w, "its IOVA", iova, e->iova + (vaddr - e->vaddr));
	if (len)
		expect(w, "its length", len, e->len - (vaddr - e->vaddr));
}

static void look_up_vaddr(struct worker *w, uint64_t at)
{
	const struct entry *e = at_iova(w, at);
	void *vaddr = NULL;
	size_t len = 0;
	int ret = weir_ioas_to_vaddr(w->field->as, at, &vaddr, any(w, 2) ? &len : NULL);

	w->done++;
	expect(w, "looking up an IOVA", (uint64_t)ret, (uint64_t)(e ? 0 : -ENOENT));
	if (!e)
		return;
	expect(w, "its address", (uintptr_t)vaddr, e->vaddr + (at - e->iova));
	if (len)
		expect(w, "its length", len, e->len - (at - e->iova));
}

static void look_at_segs(struct worker *w, uint64_t vaddr, size_t len)
{
	struct weir_seg segs[4] = { 0 }, should[4] = { 0 };
	int ret = weir_ioas_segs(w->field->as, (void *)(uintptr_t)vaddr, len, segs, 4), n = 0;
	uint64_t end = vaddr + len, next = 0;

	w->done++;
	while (vaddr < end) {
		const struct entry *e = oldest_at(w, vaddr);
		uint64_t run, iova;

		if (!e) {
			expect(w, "runs of what isn't mapped", (uint64_t)ret, (uint64_t)-ENOENT);
			return;
		}
		iova = e->iova + (vaddr - e->vaddr);
		run = e->len - (vaddr - e->vaddr);
		run = run < end - vaddr ? run : end - vaddr;
		if (!n || iova != next)
			n++;
		if (n <= 4 && should[n - 1].len)
			should[n - 1].len += run;
		else if (n <= 4)
			should[n - 1] = (struct weir_seg){ iova, run };
		next = iova + run;
		vaddr += run;
	}
	expect(w, "the number of runs", (uint64_t)ret, (uint64_t)n);
	if (memcmp(segs, should, sizeof(segs)))
		wrong(w, "runs differ");
}

/* The pages tell who they are, and are only ever written what they say. */
static void do_dma(struct worker *w, uint64_t iova)
{
	const struct entry *e = at_iova(w, iova);
	bool write = any(w, 2), may;
	uint64_t value = 0, vaddr;
	int ret;

	w->done++;
	iova &= ~(PAGE - 1);
	vaddr = e ? e->vaddr + (iova - e->iova) : 0;
	if (e && is_giant(w, vaddr))
		return;
	may = e && e->dir != (write ? WEIR_DMA_TO_DEVICE : WEIR_DMA_FROM_DEVICE);
	ret = write ? weir_model_dma_write(w->field->model, iova, &vaddr, 8) :
		      weir_model_dma_read(w->field->model, iova, &value, 8);
	expect(w, write ? "DMA to memory" : "DMA from memory", (uint64_t)ret,
	       (uint64_t)(may ? 0 : -EFAULT));
	if (may && !write)
		expect(w, "what DMA read", value, vaddr);
}

/* What another worker has isn't known, but whose it must be. */
static void look_at_another(struct worker *w)
{
	uint64_t other = (w->number + 1 + any(w, WORKERS - 1)) % WORKERS;
	uint64_t iova = ((other + 1) << 33) + any(w, 4 * GB / PAGE) * PAGE;
	uint64_t stripe = (uintptr_t)w->field->memory + other * STRIPE;
	struct weir_ioas_caps caps;
	weir_iova found = 0;
	void *vaddr = NULL;
	size_t len = 0;
	int ret = weir_ioas_to_vaddr(w->field->as, iova, &vaddr, &len);

	w->done += 3;
	if (ret)
		expect(w, "looking up another's IOVA", (uint64_t)ret, (uint64_t)-ENOENT);
	else if ((uintptr_t)vaddr - stripe >= STRIPE || len % PAGE)
		wrong(w, "another's IOVA is %p, %zu bytes", vaddr, len);
	ret = weir_ioas_to_iova(w->field->as, (char *)(uintptr_t)stripe + any(w, STRIPE), &found,
				NULL);
	if (ret)
		expect(w, "looking up another's memory", (uint64_t)ret, (uint64_t)-ENOENT);
	weir_ioas_caps(w->field->as, &caps);
	expect(w, "degraded", caps.degraded, false);
}

static void look(struct worker *w)
{
	const struct entry *e = w->n ? &w->e[any(w, w->n)] : NULL;
	uint64_t stripe = (uintptr_t)w->field->memory + w->number * STRIPE;
	uint64_t vaddr = stripe + any(w, STRIPE), iova = choose_iova(w) + any(w, PAGE);

	if (e && any(w, 4))
		vaddr = e->vaddr + any(w, e->len + PAGE);
	if (e && any(w, 4))
		iova = e->iova + any(w, e->len);
	if (!is_giant(w, vaddr) && vaddr - stripe >= STRIPE)
		vaddr = stripe;
	look_up_iova(w, vaddr);
	look_up_vaddr(w, iova);
	if (!any(w, 4) && !is_giant(w, vaddr))
		look_at_segs(w, vaddr, 1 + any(w, stripe + STRIPE - vaddr > 90 * PAGE ? 90 * PAGE :
					       stripe + STRIPE - vaddr));
	if (w->dev[SOFT])
		do_dma(w, iova);
	if (!w->alone)
		look_at_another(w);
}

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
		if (dev == SOFT && is_giant(w, w->e[i].vaddr))
			return -EFAULT;
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

static void *work(void *arg)
{
	struct worker *w = arg;
	struct weir_ioas_caps caps;

	w->first_seed = w->seed;
	w->seed += w->number;
	recompute(w);
	for (unsigned long step = 0; w->done < w->ops; step++) {
		if (!any(w, 128))
			come_or_go(w);
		else if (w->n < LIVE && (w->n < 4 || any(w, 2)))
			map_something(w);
		else
			unmap_something(w);
		look(w);
		if (step % COMPARED == 0)
			compare_all(w);
	}
	compare_all(w);
	while (w->n) {
		expect(w, "unmapping", (uint64_t)weir_ioas_unmap(w->field->as, w->e[0].iova,
								 w->e[0].len), 0);
		leave(w, &w->e[0]);
	}
	for (unsigned int i = 0; i < DEVICES; i++)
		expect(w, "closing", (uint64_t)weir_device_close(w->dev[i]), 0);
	weir_ioas_caps(w->field->as, &caps);
	expect(w, "degraded", caps.degraded, false);
	return NULL;
}

static uint64_t no_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			unsigned int width)
{
	(void)model, (void)bar, (void)offset, (void)width;
	return 0;
}

static void no_write(struct weir_model *model, unsigned int bar, uint64_t offset,
		     unsigned int width, uint64_t value)
{
	(void)model, (void)bar, (void)offset, (void)width, (void)value;
}

static const struct weir_model_ops model_ops = { .read = no_read, .write = no_write };

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
	fake.device.regions[WEIR_REGION_CONFIG] = (struct wr_vfio_region_info){
		.flags = rw, .size = 256,
	};
	field->memory = memory;
	field->giant = giant;
	expect(w, "making a model", (uint64_t)weir_model_create(&desc, &model_ops, NULL,
								&field->model), 0);
	expect(w, "making a context", (uint64_t)weir_iommu_open(NULL, &field->iommu), 0);
	expect(w, "making an address space",
	       (uint64_t)weir_ioas_open(field->iommu, &field->as), 0);
}

static void end(struct field *field, struct worker *w)
{
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
	end(&field, &w);
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
	end(&field, &w[0]);
}

/* ---- what the environment asks for ---- */

double load_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
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
