/* SPDX-License-Identifier: MIT */
/* The look-ups of load.h's mixed load, and a device's. */
#include <errno.h>
#include <string.h>

#include "load_list.h"

#define RUNS 4		/* that there is room for */
#define BUFFERS 4
#define MANY 150

/* Memory of which this worker knows what is mapped: its stripe, and the files of its own. */
static bool is_own(const struct worker *w, uint64_t vaddr, uint64_t len)
{
	uint64_t at = vaddr - ((uintptr_t)w->field->memory + w->number * STRIPE);
	const struct entry *e = oldest_at(w, vaddr);

	return w->alone || (at < STRIPE && len <= STRIPE - at) ||
	       (e && len <= e->len - (vaddr - e->vaddr));
}

/* In what is mapped or just behind it, or anywhere in its memory. */
static uint64_t choose_vaddr(struct worker *w)
{
	uint64_t stripe = (uintptr_t)w->field->memory + w->number * STRIPE;
	const struct entry *e = w->n ? &w->e[any(w, w->n)] : NULL;
	uint64_t vaddr = stripe + any(w, STRIPE);

	if (e && any(w, 4))
		vaddr = e->vaddr + any(w, e->len + PAGE);
	return is_own(w, vaddr, 1) ? vaddr : stripe;
}

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

static void look_up_many(struct worker *w)
{
	const void *vaddrs[MANY];
	weir_iova iovas[MANY];
	size_t n = any(w, 4) ? any(w, 8) : any(w, MANY + 1), mapped = 0, found;

	for (size_t i = 0; i < n; i++)
		vaddrs[i] = (void *)(uintptr_t)choose_vaddr(w);
	found = weir_ioas_to_iovas(w->field->as, vaddrs, iovas, n);
	w->done++;
	for (size_t i = 0; i < n; i++) {
		uint64_t vaddr = (uintptr_t)vaddrs[i];
		const struct entry *e = oldest_at(w, vaddr);

		expect(w, "one of many IOVAs", iovas[i],
		       e ? e->iova + (vaddr - e->vaddr) : WEIR_IOVA_NONE);
		mapped += !!e;
	}
	expect(w, "how many are mapped", found, mapped);
}

/* The runs that a buffer adds to @n; -ENOENT for what isn't mapped. */
static int add_runs(const struct worker *w, const struct iovec *iov, struct weir_seg *runs, int n,
		    uint64_t *next)
{
	uint64_t vaddr = (uintptr_t)iov->iov_base, end = vaddr + iov->iov_len;

	while (vaddr < end) {
		const struct entry *e = oldest_at(w, vaddr);
		uint64_t run, iova;

		if (!e)
			return -ENOENT;
		iova = e->iova + (vaddr - e->vaddr);
		run = e->len - (vaddr - e->vaddr);
		run = run < end - vaddr ? run : end - vaddr;
		if (!n || iova != *next)
			n++;
		if (n <= RUNS && runs[n - 1].len)
			runs[n - 1].len += run;
		else if (n <= RUNS)
			runs[n - 1] = (struct weir_seg){ iova, run };
		*next = iova + run;
		vaddr += run;
	}
	return n;
}

static void look_at_segs(struct worker *w, const struct iovec *iov, size_t n_iov)
{
	struct weir_seg segs[RUNS] = { 0 }, should[RUNS] = { 0 };
	uint64_t next = 0;
	int ret, n = 0;

	w->done++;
	for (size_t i = 0; i < n_iov && n >= 0; i++)
		n = add_runs(w, &iov[i], should, n, &next);
	if (n_iov == 1 && any(w, 2))
		ret = weir_ioas_segs(w->field->as, iov->iov_base, iov->iov_len, segs, RUNS);
	else
		ret = weir_ioas_segsv(w->field->as, iov, n_iov, segs, RUNS);
	expect(w, "the number of runs", (uint64_t)ret, (uint64_t)(n ? n : -EINVAL));
	if (n >= 0 && memcmp(segs, should, sizeof(segs)))
		wrong(w, "runs differ");
}

/* Much or little of it, and now and then some of what is behind. */
static struct iovec choose_buffer(struct worker *w, const struct entry *e)
{
	uint64_t from = any(w, 2) ? any(w, e->len) : 0, len = e->len - from;

	if (any(w, 2))
		len = any(w, len + 1);
	else if (!any(w, 4) && is_own(w, e->vaddr, e->len + PAGE))
		len += any(w, PAGE);
	return (struct iovec){ (void *)(uintptr_t)(e->vaddr + from), len };
}

/* Of neighbours in IOVA, so that a run may go on in the next one. */
static void look_at_buffers(struct worker *w)
{
	struct iovec iov[BUFFERS];
	size_t n = any(w, BUFFERS + 1);
	uint64_t first = any(w, w->n);

	for (size_t i = 0; i < n; i++)
		iov[i] = choose_buffer(w, &w->e[(first + i) % w->n]);
	look_at_segs(w, iov, n);
}

/* The pages tell which they are, and are only ever written what they say. */
static void do_dma(struct worker *w, uint64_t iova)
{
	const struct entry *e = at_iova(w, iova);
	bool write = any(w, 2), may;
	uint64_t value = 0, says;
	int ret;

	w->done++;
	iova &= ~(PAGE - 1);
	says = e ? e->says + (iova - e->iova) : 0;
	if (e && is_giant(w, e->vaddr))
		return;
	may = e && e->dir != (write ? WEIR_DMA_TO_DEVICE : WEIR_DMA_FROM_DEVICE);
	ret = write ? weir_model_dma_write(w->field->model, iova, &says, 8) :
		      weir_model_dma_read(w->field->model, iova, &value, 8);
	expect(w, write ? "DMA to memory" : "DMA from memory", (uint64_t)ret,
	       (uint64_t)(may ? 0 : -EFAULT));
	if (may && !write)
		expect(w, "what DMA read", value, says);
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
	uint64_t vaddr = choose_vaddr(w), iova = choose_iova(w) + any(w, PAGE);
	struct iovec buffer = { (void *)(uintptr_t)vaddr, 1 + any(w, 90 * PAGE) };

	if (e && any(w, 4))
		iova = e->iova + any(w, e->len);
	look_up_iova(w, vaddr);
	look_up_vaddr(w, iova);
	if (!any(w, 8) && is_own(w, vaddr, buffer.iov_len))
		look_at_segs(w, &buffer, 1);
	if (e && !any(w, 16))
		look_at_buffers(w);
	if (!any(w, 16))
		look_up_many(w);
	if (w->dev[SOFT])
		do_dma(w, iova);
	if (!w->alone)
		look_at_another(w);
}
