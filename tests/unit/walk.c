/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/sys.h"
#include "device/device.h"
#include "fail_heap.h"
#include "fake_noiommu.h"
#include "ioas/hwpt.h"
#include "ioas/iommu.h"
#include "kernel/group.h"
#include "walk.h"

#define VIEW_MAX (32 << 10)
#define FDS_MAX 256

/* An errno that no layer of weir makes of itself comes first: where it went can be seen. */
static const int errors[] = { -EIO, -ENOMEM, -EINTR };

/* ---- the world ---- */

static uint64_t no_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			unsigned int width)
{
	(void)model, (void)bar, (void)offset, (void)width;
	return 0x5a;
}

static void no_write(struct weir_model *model, unsigned int bar, uint64_t offset,
		     unsigned int width, uint64_t value)
{
	(void)model, (void)bar, (void)offset, (void)width, (void)value;
}

static void no_reset(struct weir_model *model)
{
	(void)model;
}

static const struct weir_model_ops model_ops = {
	.read = no_read, .write = no_write, .reset = no_reset,
};

static void fill_fake_device(void)
{
	struct fake_device *d = &fake.device;

	d->info.flags |= WR_VFIO_DEVICE_RESETS;
	d->regions[WEIR_REGION_BAR0] = (struct wr_vfio_region_info){
		.flags = WR_VFIO_REGION_READ | WR_VFIO_REGION_WRITE | WR_VFIO_REGION_MMAP,
		.size = wr_page_size(),
	};
	d->regions[WEIR_REGION_CONFIG] = (struct wr_vfio_region_info){
		.flags = WR_VFIO_REGION_READ | WR_VFIO_REGION_WRITE,
		.size = 256,
		.offset = WALK_CONFIG_AT,
	};
	d->n_dependents = 2;
	d->dependents[0].group = d->dependents[1].group = FAKE_GROUP(0);
	d->features = 7u << WEIR_FEATURE_LOW_POWER;
	d->irqs[WEIR_IRQ_INTX] = (struct wr_vfio_irq_info){
		.flags = WR_VFIO_IRQ_EVENTFD | WR_VFIO_IRQ_MASKABLE, .count = 1,
	};
	d->irqs[WEIR_IRQ_MSIX] = (struct wr_vfio_irq_info){
		.flags = WR_VFIO_IRQ_EVENTFD, .count = 4,
	};
}

/* The same memory for all worlds, so that one view can be compared with another. */
static char *memory(void)
{
	static char *at;
	size_t page = wr_page_size();
	char *all;

	if (!at) {
		all = mmap(NULL, 3 * WALK_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(all != MAP_FAILED);
		at = (char *)(((uintptr_t)all + WALK_HUGE - 1) & ~(WALK_HUGE - 1));
	}
	memset(at, 0x77, WALK_PAGES * page);
	return at;
}

static void start_fake(const struct world *w, const struct operation *op)
{
	if (!(op->with & WITHOUT_IOMMU)) {
		fake_start();
		fake.iommufd.exists = op->with & BY_IOMMUFD;
		fake.no_type1 = fake.spapr.exists = op->with & ON_POWER;
		return;
	}
	fake_bare_start();
	bare.step = -2 * (int64_t)FAKE_HUGE;
	fake_huge_here(w->memory, 2 * WALK_HUGE);
	if (!(op->with & BY_NODE))
		return;
	bare.has_node = true;
	fake.iommufd.exists = true;
	fake.groups[0].n_ranges = 1;
	fake.groups[0].ranges[0] = (struct wr_vfio_iova_range){ 0, UINT64_MAX };
}

static void set_up(struct world *w, const struct operation *op)
{
	const struct weir_model_desc desc = {
		.name = "tiny", .vendor = 1, .msi = 4, .intx = true, .bars = { { .size = 4096 } },
	};
	const struct weir_map_opts fixed = { .fixed = true };
	const struct weir_iommu_opts how = { .unsafe_noiommu = op->with & WITHOUT_IOMMU };
	struct weir_device_opts opts = { 0 };

	*w = (struct world){ .memory = memory(), .iova = wr_page_size(), .fd = -1 };
	start_fake(w, op);
	fill_fake_device();
	assert_int_equal(weir_model_create(&desc, &model_ops, NULL, &w->model), 0);
	assert_int_equal(weir_iommu_open(&how, &w->iommu), 0);
	assert_int_equal(weir_ioas_open(w->iommu, &w->as), 0);
	if (!(op->with & WITHOUT_IOMMU))
		assert_int_equal(weir_ioas_map(w->as, w->memory, wr_page_size(), &fixed, &w->iova),
				 0);
	opts.ioas = w->as;
	if (op->with & WITH_SOFT) {
		assert_int_equal(weir_device_open_model(NULL, w->model, &opts, &w->soft), 0);
		assert_int_equal(weir_device_bus_master(w->soft, true), 0);
	}
	if (op->with & WITH_DEV) {
		assert_int_equal(weir_device_open(NULL, "0000:01:00.0", &opts, &w->dev), 0);
		assert_int_equal(weir_device_bus_master(w->dev, true), 0);
	}
	if (op->setup)
		op->setup(w);
}

/* In the order in which it is possible: a device goes before what it is attached to. */
static void give_tables_back(struct world *w)
{
	assert_int_equal(weir_vdevice_free(w->vdevice), 0);
	if (w->hwpt || w->nested) {
		assert_int_equal(weir_device_close(w->dev), 0);
		assert_int_equal(weir_device_close(w->soft), 0);
		w->dev = w->soft = NULL;
	}
	assert_int_equal(weir_eventq_close(w->events), 0);
	assert_int_equal(weir_hwqueue_free(w->queue), 0);
	if (w->lent)
		assert_int_equal(weir_viommu_unmap(w->viommu, w->lent), 0);
	assert_int_equal(weir_hwpt_free(w->nested), 0);
	assert_int_equal(weir_viommu_free(w->viommu), 0);
	assert_int_equal(weir_hwpt_free(w->parent), 0);
	assert_int_equal(weir_hwpt_free(w->hwpt), 0);
	assert_int_equal(weir_hwpt_free(w->another), 0);
	assert_int_equal(weir_faultq_close(w->faults), 0);
}

static void tear_down(struct world *w, const struct operation *op)
{
	give_tables_back(w);
	if (w->fd >= 0)
		close(w->fd);
	assert_int_equal(weir_bar_close(w->bar), 0);
	assert_int_equal(weir_mem_free(w->mem), 0);
	assert_int_equal(weir_device_close(w->new_dev), 0);
	assert_int_equal(weir_device_close(w->dev), 0);
	assert_int_equal(weir_device_close(w->soft), 0);
	assert_int_equal(weir_ioas_close(w->new_as), 0);
	assert_int_equal(weir_ioas_close(w->as), 0);
	assert_int_equal(weir_iommu_close(w->new_iommu), 0);
	assert_int_equal(weir_iommu_close(w->iommu), 0);
	assert_int_equal(weir_model_destroy(w->new_model), 0);
	assert_int_equal(weir_model_destroy(w->model), 0);
	assert_int_equal(fake.open_fds, 0);
	assert_int_equal(fake.mapped, 0);
	for (unsigned int i = 0; i < FAKE_GROUPS; i++)
		assert_null(fake.groups[i].in);
	if (op->with & WITHOUT_IOMMU)
		fake_bare_stop();
	else
		fake_stop();
}

/* ---- the view: what a caller, the kernel and the device can see of it, as text ---- */

static void view_mapping(struct world *w, struct weir_ioas *as, const struct wr_mapping *m,
			 char *text)
{
	size_t offset = (size_t)(m->vaddr - w->memory), len;
	weir_iova iova = 0;
	void *vaddr = NULL;
	char byte;

	assert_int_equal(weir_ioas_to_vaddr(as, m->iova, &vaddr, &len), 0);
	assert_ptr_equal(vaddr, m->vaddr);
	assert_int_equal(len, m->len);
	assert_int_equal(weir_ioas_to_iova(as, m->vaddr, &iova, NULL), 0);
	/* Memory that weir made is somewhere else each time. */
	wr_append(text, VIEW_MAX, "  0x%" PRIx64 " %" PRIu64 " bytes, direction %d, at %zd, "
		  "its memory shows at 0x%" PRIx64, m->iova, m->len, (int)m->dir,
		  offset < 2 * WALK_HUGE ? (ssize_t)offset : -1, iova);
	if (w->soft && as == w->as && m->dir != WEIR_DMA_FROM_DEVICE)
		wr_append(text, VIEW_MAX, ", reached: %d",
			  weir_model_dma_read(w->model, m->iova, &byte, 1));
	for (unsigned int i = 0; i < FAKE_GROUPS; i++)
		wr_append(text, VIEW_MAX, " %d", fake_has(i, m->iova, m->len, m->vaddr,
			  (m->dir != WEIR_DMA_FROM_DEVICE ? WR_VFIO_MAP_READ : 0) |
			  (m->dir != WEIR_DMA_TO_DEVICE ? WR_VFIO_MAP_WRITE : 0)));
	wr_append(text, VIEW_MAX, "\n");
}

static void view_ioas(struct world *w, struct weir_ioas *as, bool ranges_too, char *text)
{
	struct weir_window windows[4];
	struct weir_iova_range ranges[8];
	struct weir_ioas_caps caps;
	struct wr_mapping m;
	weir_iova at, free_at[2] = { 0 };
	int n = weir_ioas_ranges(as, ranges, 8);
	char byte;

	assert_int_equal(weir_ioas_caps(as, &caps), 0);
	wr_append(text, VIEW_MAX, "address space: %u domains, pages 0x%" PRIx64 ", dirty %d, "
		  "isolation %d, degraded %d, tracking %d, %u mems, %zu ranges allowed, small "
		  "pages %d\n", caps.domains, caps.page_sizes, (int)caps.dirty, caps.isolation,
		  caps.degraded, as->tracking, as->mems, as->allowed.n, as->small_pages);
	for (int i = 0; i < weir_ioas_windows(as, windows, 4); i++)
		wr_append(text, VIEW_MAX, "  window 0x%" PRIx64 "-0x%" PRIx64 ", pages of %" PRIu64
			  ", made %d\n", windows[i].first, windows[i].last, windows[i].page_size,
			  windows[i].made);
	for (at = 0; wr_ioas_next(as, at, UINT64_MAX, &m); at = m.iova + m.len)
		view_mapping(w, as, &m, text);
	wr_maps_find_free(&as->maps, wr_page_size(), WR_SPACE_PAGE, UINT64_MAX, &free_at[0]);
	wr_maps_find_free(&as->maps, WALK_HUGE, WR_SPACE_2M, UINT64_MAX, &free_at[1]);
	if (w->soft && as == w->as)
		wr_append(text, VIEW_MAX, "  what is free is reached: %d\n",
			  weir_model_dma_read(w->model, free_at[0], &byte, 1));
	if (!ranges_too)
		return;
	wr_append(text, VIEW_MAX, "  free: 0x%" PRIx64 ", 0x%" PRIx64 "; below 0x%" PRIx64,
		  free_at[0], free_at[1], as->limit);
	for (int i = 0; i < n && i < 8; i++)
		wr_append(text, VIEW_MAX, ", 0x%" PRIx64 "-0x%" PRIx64, ranges[i].first,
			  ranges[i].last);
	wr_append(text, VIEW_MAX, "\n");
}

static void view_device(const struct weir_device *dev, char *text)
{
	if (!dev)
		return;
	wr_append(text, VIEW_MAX, "%s: %s, %u bars, interrupts", dev->name,
		  dev->ep.domain->ops->name, dev->bars);
	for (unsigned int i = 0; i < WEIR_IRQS; i++)
		wr_append(text, VIEW_MAX, " %u", dev->irqs[i].count);
	for (unsigned int i = 0; i < dev->irqs[WEIR_IRQ_MSIX].count; i++)
		wr_append(text, VIEW_MAX, ", %s",
			  dev->irqs[WEIR_IRQ_MSIX].v[i].fd < 0 ? "none" :
			  dev->irqs[WEIR_IRQ_MSIX].v[i].given < 0 ? "weir's" : "given");
	wr_append(text, VIEW_MAX, "\n");
}

static void view_registers(off_t at, char *text)
{
	unsigned char bytes[8] = { 0 };

	assert_int_equal(pread(fake.device.memory, bytes, 8, at), 8);
	for (unsigned int i = 0; i < 8; i++)
		wr_append(text, VIEW_MAX, " %02x", bytes[i]);
}

static void view_tables(const struct world *w, char *text)
{
	const struct weir_hwpt *hwpt;

	wr_append(text, VIEW_MAX, "page tables: in use 0x%x, 0x%x;", fake_table(0, 0),
		  fake_table(1, 0));
	wr_list_for_each(hwpt, &w->as->hwpts, link)
		wr_append(text, VIEW_MAX, " %u made from one, attached %d, %u users, tracking %d;",
			  hwpt->children, hwpt->attached != NULL, hwpt->table->users,
			  hwpt->tracking);
	wr_append(text, VIEW_MAX, " new: %d %d %d %d, faults %d, vIOMMU %d, device %d, events %d, "
		  "queue %d, lent %d\n", w->hwpt != NULL, w->another != NULL, w->parent != NULL,
		  w->nested != NULL, w->faults != NULL, w->viommu != NULL, w->vdevice != NULL,
		  w->events != NULL, w->queue != NULL, w->lent != NULL);
}

static void view_fake(char *text)
{
	const struct fake_device *d = &fake.device;
	struct wr_iommu_iova_range first;

	wr_append(text, VIEW_MAX, "kernel: %u fds\n", fake.open_fds);
	for (unsigned int i = 0; i < FAKE_GROUPS; i++)
		wr_append(text, VIEW_MAX, "  group %u: open %d, %u devices, bound 0x%x, in a "
			  "container %d, %u mappings there, %u windows, %u in IOMMUFD, %u ranges "
			  "allowed, small pages %d\n", i, fake.groups[i].open,
			  fake.groups[i].devices, fake.groups[i].bound, fake.groups[i].in != NULL,
			  fake_mappings(i), fake.spapr.exists ? fake_windows(i) : 0,
			  fake_ioas_mappings(i), fake_ioas_allowed(i, &first), fake_ioas_small(i));
	wr_append(text, VIEW_MAX, "  interrupts: %u, masked %d, unmasked %d, signalled", d->active,
		  d->masked, d->unmask >= 0);
	for (unsigned int i = 0; i < FAKE_VECTORS; i++)
		wr_append(text, VIEW_MAX, " %d", d->signals[i] >= 0);
	wr_append(text, VIEW_MAX, "; an ioeventfd of %u bytes\n  registers",
		  d->ioeventfds[0].width + d->ioeventfds[1].width + d->ioeventfds[2].width);
	view_registers(0, text);
	view_registers(WALK_CONFIG_AT, text);
	wr_append(text, VIEW_MAX, "; %u hot resets, low power %d\n", d->hot_resets, d->low_power);
}

static void view(struct world *w, const struct operation *op, char *text)
{
	struct weir_iommu *iommus[] = { w->iommu, w->new_iommu };
	struct weir_ioas *spaces[] = { w->as, w->new_as };
	struct wr_group *group;

	*text = '\0';
	for (int i = 0; i < 2; i++) {
		if (!iommus[i])
			continue;
		wr_append(text, VIEW_MAX, "context: %u address spaces, groups", iommus[i]->spaces);
		wr_list_for_each(group, &iommus[i]->groups, link)
			wr_append(text, VIEW_MAX, " %d (%u users, %u attached)", group->number,
				  group->users, group->attached);
		wr_append(text, VIEW_MAX, "\n");
	}
	for (int i = 0; i < 2; i++)
		if (spaces[i])
			view_ioas(w, spaces[i], !op->keeps_ranges, text);
	view_device(w->soft, text);
	view_device(w->dev, text);
	view_device(w->new_dev, text);
	view_tables(w, text);
	wr_append(text, VIEW_MAX, "new: bar %d, memory %d, model %d\n", w->bar != NULL,
		  w->mem != NULL, w->new_model != NULL);
	view_fake(text);
	if (op->with & WITHOUT_IOMMU)
		wr_append(text, VIEW_MAX, "held: %zu bytes\n", bare.pinned);
	assert_true(strlen(text) < VIEW_MAX - 1);
}

/* ---- walking ---- */

/* The n-th call of one kind fails with this. Allocations say nothing but that they failed. */
struct failure {
	bool allocations;
	int err;
	unsigned long n;	/* 0: none does */
};

static const char *named(const struct operation *op, const struct failure *f)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s%s%s: %s %lu fails with %s", op->function,
		 op->how ? ", " : "", op->how ? op->how : "",
		 f->allocations ? "allocation" : "system call", f->n, strerror(-f->err));
	return text;
}

static void compare(const struct operation *op, const struct failure *f, const char *when,
		    const char *is, const char *was)
{
	if (!strcmp(is, was))
		return;
	/* More than cmocka puts into a message. */
	fprintf(stderr, "%s, it is\n%snot\n%s", when, is, was);
	fail_msg("%s: %s, it isn't as it should be", named(op, f), when);
}

static int run(const struct operation *op, struct world *w, const struct failure *f, bool *reached)
{
	unsigned long at = f->allocations ? heap.calls : fake.calls, calls;
	int ret;

	wr_message("nothing");
	fake.fail_with = f->err;
	if (f->n)
		*(f->allocations ? &heap.fail_at : &fake.fail_at) = at + f->n;
	ret = op->run(w);
	heap.fail_at = fake.fail_at = 0;
	calls = (f->allocations ? heap.calls : fake.calls) - at;
	*reached = f->n ? calls >= f->n : calls;
	return ret;
}

static void check_error(const struct operation *op, const struct failure *f, int ret)
{
	/*
	 * Memory that can't be mapped is no memory, whatever the kernel said; and its -EIO isn't
	 * the one that says that half of a change is done.
	 */
	bool said = ret == f->err || ret == -ENOMEM || (f->err == -EIO && ret == -EREMOTEIO) ||
		    (!f->allocations && ret == op->says);

	if (op->must)
		fail_msg("%s: it fails with %d, \"%s\"", named(op, f), ret, weir_errmsg());
	if (!said)
		fail_msg("%s: it says %d, \"%s\"", named(op, f), ret, weir_errmsg());
	if (!strcmp(weir_errmsg(), "nothing"))
		fail_msg("%s: no message", named(op, f));
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < FDS_MAX; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Returns whether there was such a call. @after: of an undisturbed run, or filled by one. */
static bool step(const struct operation *op, const struct failure *f, char *after, int *result)
{
	static char before[VIEW_MAX], text[VIEW_MAX];
	unsigned int fds = open_fds();
	long alive = heap.alive;
	struct world w;
	bool reached, again;
	int ret;

	set_up(&w, op);
	view(&w, op, before);
	ret = run(op, &w, f, &reached);
	if (f->n && ret < 0) {
		check_error(op, f, ret);
		view(&w, op, text);
		compare(op, f, "after the failure", text, before);
		ret = run(op, &w, &(struct failure){ .err = -EIO }, &again);
	}
	if (ret < 0)
		fail_msg("%s: and undisturbed it says %d, \"%s\"", named(op, f), ret,
			 weir_errmsg());
	view(&w, op, f->n ? text : after);
	if (f->n) {
		compare(op, f, "done", text, after);
		assert_int_equal(ret, *result);
	}
	*result = ret;
	if (op->undo)
		op->undo(&w);
	tear_down(&w, op);
	if (heap.alive != alive || open_fds() != fds)
		fail_msg("%s: %ld allocations and %d fds leaked", named(op, f),
			 heap.alive - alive, (int)open_fds() - (int)fds);
	return reached;
}

void walk(const struct operation *op)
{
	static char after[VIEW_MAX];
	unsigned long steps = 0;
	struct failure f;
	int result;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		f = (struct failure){ .err = errors[i] };
		step(op, &f, after, &result);
		for (f.n = 1; step(op, &f, after, &result); f.n++)
			steps++;
	}
	f = (struct failure){ .allocations = true, .err = -ENOMEM, .n = 1 };
	for (; step(op, &f, after, &result); f.n++)
		steps++;
	if (!steps != !!op->silent)
		fail_msg("%s%s%s: %lu calls can fail in it, but it is said that %s", op->function,
			 op->how ? ", " : "", op->how ? op->how : "", steps,
			 op->silent ? op->silent : "some can");
}
