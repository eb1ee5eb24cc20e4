/* SPDX-License-Identifier: MIT */
/* The changes of load.h's mixed load: each is foretold from the list. */
#include <errno.h>
#include <inttypes.h>

#include "load_list.h"

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

void map_something(struct worker *w)
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

void unmap_something(struct worker *w)
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
