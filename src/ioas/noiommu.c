/* SPDX-License-Identifier: MIT */
/*
 * The domain noiommu: devices that no IOMMU translates for, which VFIO hands out all the same when
 * root allows it. An IOVA is a physical address, in a virtual machine one of the guest's, and the
 * device reaches all there is: this domain holds nobody back. What it does is to hold memory where
 * it is and say where that is. Only hugetlb's memory is taken, in whose pages DMA can be of a
 * useful length.
 */
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/bare.h"
#include "kernel/container.h"
#include "kernel/frames.h"
#include "kernel/pin.h"
#include "kernel/uapi.h"

/* Memory that is held; no two overlap. */
struct held {
	char *vaddr;
	size_t len;
	uint16_t slot;
};

struct noiommu {
	struct wr_domain base;
	int container;
	int ring;
	struct wr_frames frames;
	void *held;			/* a tree, by address */
	unsigned int n_free;
	uint16_t free[WR_PIN_SLOTS];	/* slots of the ring */
};

static struct noiommu *noiommu_of(struct wr_domain *d)
{
	return wr_container_of(d, struct noiommu, base);
}

static bool noiommu_fits(const struct wr_endpoint *ep)
{
	return ep->group && ep->group->noiommu && !ep->use_fd;
}

static void set_room(struct noiommu *t)
{
	__atomic_store_n(&t->base.room, t->n_free, __ATOMIC_RELAXED);
}

static struct noiommu *new_domain(void)
{
	struct noiommu *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	wr_bare_init(&t->base, &wr_domain_noiommu);
	while (t->n_free < WR_PIN_SLOTS) {
		t->free[t->n_free] = (uint16_t)(WR_PIN_SLOTS - 1 - t->n_free);
		t->n_free++;
	}
	set_room(t);
	return t;
}

/*
 * Whether memory can be held and found is known before there is a device. The ring is open before
 * it, too: of a process that is killed, memory that is in it outlives the process's own.
 */
static int noiommu_create(struct weir_iommu *iommu, struct wr_endpoint *ep, struct wr_domain **out)
{
	struct noiommu *t = new_domain();
	int ret;

	(void)iommu, (void)ep;
	if (!t)
		return wr_fail(-ENOMEM, "no memory");
	ret = wr_frames_open(&t->frames);
	if (ret)
		goto free_domain;
	t->ring = ret = wr_pin_open();
	if (ret < 0)
		goto close_frames;
	t->container = ret = wr_container_open_noiommu();
	if (ret < 0)
		goto close_ring;
	*out = &t->base;
	return 0;
close_ring:
	wr_close(t->ring);
close_frames:
	wr_frames_close(&t->frames);
free_domain:
	free(t);
	return ret;
}

static int noiommu_join(struct wr_domain *d, struct wr_endpoint *ep)
{
	int ret = 0;

	if (!ep->group->attached)
		ret = wr_container_add(noiommu_of(d)->container, ep->group,
				       d->endpoints ? 0 : WR_VFIO_NOIOMMU);
	if (ret)
		return ret;
	ret = wr_group_device_fd(ep->group, ep->name, ep->vf_token);
	if (ret < 0) {
		if (!ep->group->attached)
			wr_container_remove(ep->group);
		return ret;
	}
	ep->fd = ret;
	wr_bare_warn(ep);
	return 0;
}

static void noiommu_leave(struct wr_domain *d, struct wr_endpoint *ep)
{
	(void)d;
	wr_close(ep->fd);
	if (!ep->group->attached)
		wr_container_remove(ep->group);
}

/* ---- held memory ---- */

static int compare(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	if (x->vaddr + (x->len - 1) < y->vaddr)
		return -1;
	return y->vaddr + (y->len - 1) < x->vaddr;
}

/* A slot that can't be emptied holds its memory until the ring is closed: lost, but harmless. */
static void let_go_of(struct noiommu *t, struct held *h)
{
	int ret = wr_unpin(t->ring, h->slot);

	if (!ret)
		t->free[t->n_free++] = h->slot;
	else
		wr_log(WEIR_LOG_WARN, "%zu bytes at %p stay held until all devices of the address "
		       "space are closed: %s", h->len, (void *)h->vaddr, strerror(-ret));
	tdelete(h, &t->held, compare);
	free(h);
}

static void let_go(struct noiommu *t, char *vaddr, size_t len)
{
	const struct held place = { .vaddr = vaddr, .len = len };
	struct held **found;

	while (len && (found = tfind(&place, &t->held, compare)))
		let_go_of(t, *found);
}

/* At most what a slot takes. */
static int hold_some(struct noiommu *t, char *vaddr, size_t len)
{
	struct held *h, **entry;
	int ret;

	if (!t->n_free)
		return wr_fail(-ENOSPC, "no more than %u pieces of memory can be held still (of "
			       "1 GiB each): map fewer, larger pieces", WR_PIN_SLOTS);
	h = calloc(1, sizeof(*h));
	if (!h)
		return wr_fail(-ENOMEM, "no memory to record what is held");
	*h = (struct held){ .vaddr = vaddr, .len = len, .slot = t->free[t->n_free - 1] };
	entry = tsearch(h, &t->held, compare);
	if (!entry) {
		free(h);
		return wr_fail(-ENOMEM, "no memory to record what is held");
	}
	if (*entry != h) {
		free(h);
		return wr_bare_twice(vaddr, len);
	}
	ret = wr_pin(t->ring, h->slot, vaddr, len);
	if (ret) {
		tdelete(h, &t->held, compare);
		free(h);
		return ret;
	}
	t->n_free--;
	return 0;
}

static int hold(struct noiommu *t, const struct wr_mapping *piece)
{
	size_t done = 0;

	while (done < piece->len) {
		size_t left = piece->len - done, len = left < WR_PIN_MAX ? left : WR_PIN_MAX;
		int ret = hold_some(t, piece->vaddr + done, len);

		if (ret) {
			let_go(t, piece->vaddr, done);
			return ret;
		}
		done += len;
	}
	return 0;
}

/* ---- where it is ---- */

static int add_piece(struct noiommu *t, const struct wr_mapping *piece, struct wr_runs *runs)
{
	size_t page = wr_page_size(), pages = piece->len / page, n;
	uint64_t phys[WR_FRAMES_MAX];

	for (size_t at = 0; at < pages; at += n) {
		char *vaddr = piece->vaddr + at * page;
		int ret;

		n = pages - at < WR_FRAMES_MAX ? pages - at : WR_FRAMES_MAX;
		ret = wr_frames_read(&t->frames, vaddr, n, phys);
		for (size_t i = 0; i < n && !ret; i++)
			ret = wr_runs_add(runs, vaddr + i * page, phys[i], page);
		if (ret)
			return ret;
	}
	return 0;
}

/* Only once it is held does it matter where it is: to be held, it may have been moved. */
static int noiommu_place(struct wr_domain *d, const struct wr_mapping *pieces, size_t n,
			 struct wr_mapping **runs, size_t *n_runs)
{
	struct noiommu *t = noiommu_of(d);
	struct wr_runs all = { 0 };
	size_t held = 0;
	int ret = 0;

	for (; held < n && !ret; held += !ret)
		ret = hold(t, &pieces[held]);
	for (size_t i = 0; i < n && !ret; i++)
		ret = add_piece(t, &pieces[i], &all);
	if (ret) {
		while (held--)
			let_go(t, pieces[held].vaddr, pieces[held].len);
		free(all.m);
	} else {
		*runs = all.m;
		*n_runs = all.n;
	}
	set_room(t);
	return ret;
}

/* A device reaches the memory still, as it reaches all: but now the kernel may move it. */
static int noiommu_unmap(struct wr_domain *d, const struct wr_mapping *m, size_t n)
{
	struct noiommu *t = noiommu_of(d);

	for (size_t i = 0; i < n; i++)
		let_go(t, m[i].vaddr, m[i].len);
	set_room(t);
	return 0;
}

static int noiommu_unmap_all(struct wr_domain *d)
{
	struct noiommu *t = noiommu_of(d);

	while (t->held)
		let_go_of(t, *(struct held **)t->held);
	set_room(t);
	return 0;
}

static void noiommu_destroy(struct wr_domain *d)
{
	struct noiommu *t = noiommu_of(d);

	noiommu_unmap_all(d);
	wr_close(t->container);
	wr_close(t->ring);
	wr_frames_close(&t->frames);
	free(t);
}

const struct wr_domain_ops wr_domain_noiommu = {
	.name = "noiommu",
	.fits = noiommu_fits,
	.create = noiommu_create,
	.destroy = noiommu_destroy,
	.join = noiommu_join,
	.leave = noiommu_leave,
	.place = noiommu_place,
	.unmap = noiommu_unmap,
	.unmap_all = noiommu_unmap_all,
};
