/* SPDX-License-Identifier: MIT */
/* The look-ups of load.h's mixed load, and a device's. */
#include <errno.h>
#include <string.h>

#include "load_list.h"

void look_up_iova(struct worker *w, uint64_t vaddr)
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

void look_up_vaddr(struct worker *w, uint64_t at)
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

void look(struct worker *w)
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
