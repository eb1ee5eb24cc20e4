/* SPDX-License-Identifier: MIT */
/*
 * Map and unmap. Checks come first, then the books, then the domains, so that a refusal changes
 * nothing, and nothing can fail once the domains have agreed.
 *
 * What a call maps is one unit. Most are one mapping, and then nothing is kept of the unit itself;
 * of the others, those of several parts, of a file and of a weir_mem, there is a book
 * (batch.c).
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/map.h"
#include "mem/pages.h"

bool wr_ioas_next(struct weir_ioas *as, weir_iova first, weir_iova last, struct wr_mapping *m)
{
	if (!wr_maps_next(&as->maps, first, last, m))
		return false;
	if (m->part) {
		const struct wr_batch *batch = wr_batch_at(as, m->iova);

		m->dir = batch->dir;
		/* Only what is one part is of a file, or of a bar. */
		m->file = batch->parts[0].file;
		m->bar = batch->parts[0].bar;
	}
	return true;
}

struct weir_iova_range wr_ioas_unit(const struct weir_ioas *as, const struct wr_mapping *m)
{
	const struct wr_batch *batch = m->part ? wr_batch_at(as, m->iova) : NULL;
	weir_iova first = batch ? batch->iova : m->iova;
	uint64_t len = batch ? batch->len : m->len;

	return (struct weir_iova_range){ first, first + (len - 1) };
}

/* ---- on all domains ---- */

/* What is to change: these mappings; of what; and for a move where the memory is now. */
struct change {
	const struct wr_mapping *m;
	size_t n;
	const struct wr_source *source;
	void *vaddr;
};

/*
 * A change of one domain, which holds there or, with -errno, didn't happen. Positive: something
 * else happened, and there is no way back.
 */
typedef int (*change_fn)(struct weir_ioas *as, struct wr_domain *d, const struct change *c);

/* Record that a domain isn't what the maps say, which only a kernel that half did it can cause. */
static void degrade(struct weir_ioas *as, const struct wr_domain *d, const struct change *c)
{
	pthread_mutex_lock(&as->books);
	as->degraded = true;
	pthread_mutex_unlock(&as->books);
	wr_log(WEIR_LOG_ERROR, "address space degraded: on %s, what is mapped from IOVA 0x%" PRIx64
	       " on isn't as it should be: %s", d->ops->name, c->n ? c->m->iova : 0, weir_errmsg());
}

/* Undoing failed as well. The caller is told why it had to be done, and of this. */
static void undo_failed(struct weir_ioas *as, const struct wr_domain *d, const struct change *c,
			const char *cause)
{
	degrade(as, d, c);
	wr_message("%s; and it can't be undone on %s, the address space is degraded: %s", cause,
		   d->ops->name, weir_errmsg());
}

/*
 * On every domain or on none; of what was handed over, in the books. Returns 0, -errno, or -EIO
 * with no way back.
 */
static int on_all_domains(struct weir_ioas *as, const struct change *c, change_fn change,
			  change_fn revert)
{
	struct wr_domain *d, *undo;
	char cause[512];
	int ret = 0, gone = 0;

	if (wr_ioas_handed(as))
		return 0;
	wr_list_for_each(d, &as->domains, link) {
		ret = change(as, d, c);
		if (ret > 0) {
			degrade(as, d, c);
			gone = -EIO;
		}
		if (ret < 0)
			break;
	}
	if (ret >= 0)
		return gone;
	snprintf(cause, sizeof(cause), "%s", weir_errmsg());
	wr_list_for_each(undo, &as->domains, link) {
		if (undo == d)
			break;
		if (revert(as, undo, c))
			undo_failed(as, undo, c, cause);
	}
	return ret;
}

static int unmap_one(struct weir_ioas *as, struct wr_domain *d, const struct change *c)
{
	int ret = d->ops->unmap(d, c->m, c->n);

	(void)as;
	return ret == -EIO ? 1 : ret;
}

/* A domain that has the memory already, and from which @d can copy it. */
static struct wr_domain *twin_of(const struct wr_domain *d, const struct wr_source *source)
{
	struct wr_domain *twin;

	if (source && d->ops->copy)
		wr_list_for_each(twin, &source->as->domains, link)
			if (twin->ops == d->ops)
				return twin;
	return NULL;
}

static int map_one(struct weir_ioas *as, struct wr_domain *d, const struct change *c)
{
	struct wr_domain *twin = twin_of(d, c->source);
	struct change done = { .m = c->m };
	char cause[512];
	int ret = 0;

	if (twin)
		return d->ops->copy(d, c->m, c->n, twin, c->source->iova);
	for (; done.n < c->n && !ret; done.n += !ret)
		ret = d->ops->map(d, &c->m[done.n]);
	if (!ret || !done.n)
		return ret;
	snprintf(cause, sizeof(cause), "%s", weir_errmsg());
	if (unmap_one(as, d, &done))
		undo_failed(as, d, &done, cause);
	return ret;
}

static int clear_one(struct weir_ioas *as, struct wr_domain *d, const struct change *c)
{
	int ret = d->ops->unmap_all(d);

	(void)as;
	(void)c;
	return ret == -EIO ? 1 : ret;
}

static int replay_one(struct weir_ioas *as, struct wr_domain *d, const struct change *c)
{
	(void)c;
	return wr_ioas_map_all(as, d);
}

static int move_one(struct weir_ioas *as, struct wr_domain *d, const struct change *c)
{
	int ret;

	(void)as;
	ret = d->ops->move(d, c->m, c->vaddr);
	return ret == -EIO ? 1 : ret;
}

static int move_back(struct weir_ioas *as, struct wr_domain *d, const struct change *c)
{
	struct wr_mapping moved = *c->m;

	(void)as;
	moved.vaddr = c->vaddr;
	return d->ops->move(d, &moved, c->m->vaddr);
}

/* ---- checks ---- */

int wr_ioas_check_range(uint64_t start, uint64_t len, const char *what)
{
	size_t page = wr_page_size();

	if (!len || len & (page - 1))
		return wr_fail(-EINVAL, "a length of %" PRIu64 " bytes isn't a positive multiple "
			       "of the page size, %zu", len, page);
	if (start & (page - 1))
		return wr_fail(-EINVAL, "%s 0x%" PRIx64 " isn't a multiple of the page size, %zu",
			       what, start, page);
	if (start > UINT64_MAX - (len - 1))
		return wr_fail(-EINVAL, "%" PRIu64 " bytes from %s 0x%" PRIx64 " on don't fit into "
			       "64 bits", len, what, start);
	return 0;
}

int wr_map_check(const struct weir_map_opts *opts, weir_iova iova, uint64_t len)
{
	int ret = WR_RESERVED(opts, "weir_map_opts");

	if (ret)
		return ret;
	if ((unsigned int)opts->dir > WEIR_DMA_FROM_DEVICE)
		return wr_fail(-EINVAL, "%d is no weir_dma_dir", (int)opts->dir);
	if (opts->fixed)
		ret = wr_ioas_check_range(iova, len, "IOVA");
	if (ret)
		return ret;
	if (len > WR_RADIX_LEN_MAX)
		return wr_fail(-EFAULT, "%" PRIu64 " bytes: a process hasn't that much memory",
			       len);
	return 0;
}

static int check_fixed(struct weir_ioas *as, weir_iova iova, uint64_t len)
{
	weir_iova last = iova + (len - 1);
	const struct wr_ranges *ranges = &as->maps.ranges;
	struct wr_mapping m;

	if (wr_maps_next(&as->maps, iova, last, &m)) {
		struct weir_iova_range unit = wr_ioas_unit(as, &m);

		return wr_fail(-EEXIST, "IOVA 0x%" PRIx64 " to 0x%" PRIx64 " overlaps the mapping "
			       "at 0x%" PRIx64 " (%" PRIu64 " bytes)", iova, last, unit.first,
			       unit.last - unit.first + 1);
	}
	if (!wr_ranges_hold(ranges, iova, last)) {
		char text[256] = "";

		wr_ioas_list_ranges(ranges, text, sizeof(text));
		return wr_fail(-EINVAL, "IOVA 0x%" PRIx64 " to 0x%" PRIx64 " doesn't lie within a "
			       "usable range: %s", iova, last, text);
	}
	return 0;
}

/* ---- map ---- */

/* Bits that are set show where large pages aren't possible in all of that memory. */
static uint64_t misaligned(const struct wr_mapping *m, size_t n)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < n; i++)
		bits |= (uintptr_t)m[i].vaddr | (i + 1 < n ? m[i].len : 0);
	return bits;
}

/* Where large pages are possible in memory, make them possible in IOVA, if there is room. */
static int choose_iova(struct weir_ioas *as, uint64_t misaligned, uint64_t len, weir_iova limit,
		       weir_iova *iova)
{
	static const struct {
		uint64_t size;
		enum wr_space_align align;
	} pages[] = {
		{ 1ull << 30, WR_SPACE_1G }, { WR_HUGE_PAGE, WR_SPACE_2M }, { 1, WR_SPACE_PAGE },
	};

	if (!limit || limit > as->limit)
		limit = as->limit;
	if (as->windows.low_end)
		return wr_ioas_choose_window(as, misaligned, len, limit, iova);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (len >= pages[i].size && !(misaligned & (pages[i].size - 1)) &&
		    !wr_maps_find_free(&as->maps, len, pages[i].align, limit, iova))
			return 0;
	if (as->maps.ranges.n && as->maps.ranges.r[as->maps.ranges.n - 1].last < limit)
		limit = as->maps.ranges.r[as->maps.ranges.n - 1].last;
	return wr_fail(-ENOSPC, "no free IOVA for %" PRIu64 " bytes up to 0x%" PRIx64 ", which the "
		       "attached devices, their IOMMUs and the options allow", len, limit);
}

/* The youngest first, as if they had never been: that needs no memory. */
static void take_back(struct weir_ioas *as, const struct wr_mapping *m, size_t n)
{
	while (n--)
		wr_maps_remove(&as->maps, &m[n]);
}

static int record(struct weir_ioas *as, const struct wr_mapping *m, size_t n)
{
	size_t added = 0;
	int ret = 0;

	for (; added < n && !ret; added += !ret)
		ret = wr_maps_add(&as->maps, &m[added]);
	if (!ret)
		ret = wr_maps_prepare_remove(&as->maps, m, n);
	if (!ret)
		return 0;
	take_back(as, m, added);
	return wr_fail(ret, "no memory to record a mapping");
}

/* First what can fail without a trace; then what the domains would have to undo. */
static int map_parts(struct weir_ioas *as, const struct wr_mapping *m, size_t n,
		     const struct wr_source *source)
{
	const struct change change = { .m = m, .n = n, .source = source };
	int ret = record(as, m, n);

	if (ret)
		return ret;
	ret = on_all_domains(as, &change, map_one, unmap_one);
	if (ret)
		take_back(as, m, n);
	return ret;
}

/* At m[0].iova, or where there is room; the others follow. @batch: what they make up, or NULL. */
static int map_locked(struct weir_ioas *as, struct wr_mapping *m, struct wr_batch *batch,
		      const struct weir_map_opts *opts, const struct wr_source *source)
{
	uint64_t len = batch ? batch->len : m->len;
	size_t n = batch ? batch->n : 1;
	int ret;

	if (opts->fixed)
		ret = check_fixed(as, m->iova, len);
	else
		ret = choose_iova(as, misaligned(m, n), len, opts->limit, &m->iova);
	if (ret)
		return ret;
	for (size_t i = 1; i < n; i++)
		m[i].iova = m[i - 1].iova + m[i - 1].len;
	if (!batch)
		return map_parts(as, m, n, source);
	ret = wr_batch_enter(as, batch);
	if (ret)
		return ret;
	ret = map_parts(as, m, n, source);
	if (ret)
		wr_batch_leave(as, batch);
	return ret;
}

/* ---- map where memory is ---- */

static int not_there(weir_iova asked, const struct wr_mapping *run)
{
	return wr_fail(-EINVAL, "IOVA 0x%" PRIx64 " can't be had for the memory at %p: without an "
		       "IOMMU it is at its physical address, 0x%" PRIx64, asked,
		       (void *)run->vaddr, run->iova);
}

/* Whether the memory can be used from where it is. @asked: the IOVA that opts->fixed demands. */
static int check_runs(struct weir_ioas *as, const struct wr_mapping *runs, size_t n,
		      const struct weir_map_opts *opts, weir_iova asked)
{
	weir_iova limit = opts->limit && opts->limit < as->limit ? opts->limit : as->limit;
	size_t gaps = 0;

	if (opts->fixed && runs->iova != asked)
		return not_there(asked, runs);
	for (size_t i = 0; i < n; i++) {
		int ret = check_fixed(as, runs[i].iova, runs[i].len);

		if (ret)
			return ret;
		if (runs[i].iova + (runs[i].len - 1) > limit)
			return wr_fail(-ENOSPC, "the memory at %p is at physical address 0x%" PRIx64
				       ", above 0x%" PRIx64 ", as far as the attached devices and "
				       "the options allow: without an IOMMU it stays there",
				       (void *)runs[i].vaddr, runs[i].iova, limit);
		gaps += i && runs[i].iova != runs[i - 1].iova + runs[i - 1].len;
	}
	if (gaps && !opts->scattered)
		return wr_fail(-EINVAL, "the memory is in %zu pieces, and without an IOMMU stays "
			       "so: take weir_map_opts.scattered and weir_ioas_segs(), or larger "
			       "pages (weir_mem_opts.page_size)", gaps + 1);
	return 0;
}

static int record_runs(struct weir_ioas *as, const struct wr_mapping *runs, size_t n,
		       enum weir_dma_dir dir, struct wr_batch **out)
{
	struct wr_batch *batch = wr_batch_new(n, n);
	int ret;

	if (!batch)
		return -ENOMEM;
	batch->dir = dir;
	batch->placed = true;
	for (size_t i = 0; i < n; i++) {
		batch->parts[i] = runs[i];
		batch->parts[i].part = true;
		batch->len += runs[i].len;
	}
	ret = wr_batch_enter(as, batch);
	if (ret)
		goto free_batch;
	ret = record(as, batch->parts, n);
	if (ret)
		goto leave;
	*out = batch;
	return 0;
leave:
	wr_batch_leave(as, batch);
free_batch:
	free(batch);
	return ret;
}

/* Pieces of memory at the IOVAs that the domain says; *iova is that of the first. */
static int map_placed(struct weir_ioas *as, struct wr_domain *d, const struct wr_mapping *pieces,
		      size_t n, const struct weir_map_opts *opts, weir_iova *iova,
		      struct wr_batch **out)
{
	struct wr_mapping *runs;
	size_t n_runs;
	int ret = d->ops->place(d, pieces, n, &runs, &n_runs);

	if (ret)
		return ret;
	ret = check_runs(as, runs, n_runs, opts, *iova);
	if (!ret)
		ret = record_runs(as, runs, n_runs, opts->dir, out);
	if (ret) {
		d->ops->unmap(d, runs, n_runs);
	} else {
		*iova = runs->iova;
		as->placed++;
	}
	free(runs);
	return ret;
}

int wr_map_single_locked(struct weir_ioas *as, struct wr_mapping *m,
			 const struct weir_map_opts *opts, const struct wr_source *source)
{
	struct wr_domain *placing = wr_ioas_placing(as);
	struct wr_batch *placed;

	return placing ? map_placed(as, placing, m, 1, opts, &m->iova, &placed) :
			 map_locked(as, m, NULL, opts, source);
}

static const struct weir_map_opts automatic;

int weir_ioas_map(struct weir_ioas *as, void *vaddr, size_t len, const struct weir_map_opts *opts,
		  weir_iova *iova)
{
	struct wr_mapping m = { .vaddr = vaddr, .len = len };
	int ret;

	if (!opts)
		opts = &automatic;
	m.dir = opts->dir;
	if (opts->fixed)
		m.iova = *iova;
	ret = wr_ioas_check_range((uintptr_t)vaddr, len, "address");
	if (!ret)
		ret = wr_map_check(opts, m.iova, len);
	if (!ret)
		ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = wr_map_single_locked(as, &m, opts, NULL);
	pthread_mutex_unlock(&as->lock);
	if (!ret)
		*iova = m.iova;
	return ret;
}

/* The batch of the pieces gives way to that of their runs. */
static int map_batch_placed(struct weir_ioas *as, struct wr_domain *d, struct wr_batch *batch,
			    const struct weir_map_opts *opts, weir_iova *iova)
{
	struct wr_batch *placed;
	int ret = map_placed(as, d, batch->parts, batch->n, opts, iova, &placed);

	if (ret)
		return ret;
	placed->memory = batch->memory;
	placed->mem = batch->mem;
	free(batch);
	return 0;
}

int wr_map_batch_locked(struct weir_ioas *as, struct wr_batch *batch,
			const struct weir_map_opts *opts, weir_iova *iova,
			const struct wr_source *source)
{
	struct wr_domain *placing = wr_ioas_placing(as);
	weir_iova at = opts->fixed ? *iova : 0;
	bool mem = batch->mem;
	int ret;

	batch->dir = opts->dir;
	for (size_t i = 0; i < batch->n; i++) {
		batch->parts[i].dir = opts->dir;
		batch->parts[i].part = true;
	}
	batch->parts[0].iova = at;
	if (placing && batch->lender) {
		ret = wr_fail(-ENOTSUP, "without an IOMMU devices reach each other's registers by "
			      "their bus addresses alone; nothing is to be mapped");
	} else if (placing) {
		ret = map_batch_placed(as, placing, batch, opts, &at);
	} else {
		ret = map_locked(as, batch->parts, batch, opts, source);
		at = batch->parts[0].iova;
	}
	if (ret) {
		wr_batch_free(batch);
		return ret;
	}
	as->mems += mem;
	*iova = at;
	return 0;
}

int wr_map_batch(struct weir_ioas *as, struct wr_batch *batch, const struct weir_map_opts *opts,
		 weir_iova *iova)
{
	int ret = wr_map_check(opts, opts->fixed ? *iova : 0, batch->len);

	if (ret) {
		wr_batch_free(batch);
		return ret;
	}
	pthread_mutex_lock(&as->lock);
	ret = wr_map_batch_locked(as, batch, opts, iova, NULL);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

int weir_ioas_mapv(struct weir_ioas *as, const struct iovec *iov, size_t n,
		   const struct weir_map_opts *opts, weir_iova *iova)
{
	struct wr_batch *batch;
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	if (!n || n > INT_MAX)
		return wr_fail(-EINVAL, "%zu pieces of memory to be mapped: at least 1, and at "
			       "most %d", n, INT_MAX);
	batch = wr_batch_new(n, 1);
	if (!batch)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint64_t len = iov[i].iov_len;

		ret = wr_ioas_check_range((uintptr_t)iov[i].iov_base, len, "address");
		if (!ret && len > WR_RADIX_LEN_MAX - batch->len)
			ret = wr_fail(-EFAULT, "more than %" PRIu64 " bytes in all: a process "
				      "hasn't that much memory", (uint64_t)WR_RADIX_LEN_MAX);
		if (ret) {
			wr_batch_free(batch);
			return wr_fail_in(ret, "piece %zu", i);
		}
		batch->parts[i].vaddr = iov[i].iov_base;
		batch->parts[i].len = len;
		batch->len += len;
	}
	return wr_map_batch(as, batch, opts ? opts : &automatic, iova);
}

int wr_ioas_map_mem(struct weir_ioas *as, void *vaddr, size_t len, int fd,
		    const struct weir_map_opts *opts, weir_iova *iova)
{
	struct wr_batch *batch = wr_batch_of(vaddr, len, (struct wr_file){ fd, 0, true });

	if (!batch)
		return -ENOMEM;
	batch->mem = true;
	return wr_map_batch(as, batch, opts, iova);
}

/* ---- unmap ---- */

int wr_ioas_nothing_at(weir_iova iova)
{
	return wr_fail(-ENOENT, "nothing is mapped at IOVA 0x%" PRIx64, iova);
}

int wr_map_find_unit(struct weir_ioas *as, weir_iova iova, uint64_t len, struct wr_mapping *m)
{
	struct weir_iova_range unit;

	if (!wr_maps_next(&as->maps, iova, iova, m))
		return wr_ioas_nothing_at(iova);
	unit = wr_ioas_unit(as, m);
	if (unit.first != iova || unit.last - unit.first != len - 1)
		return wr_fail(-EINVAL, "IOVA 0x%" PRIx64 ", %" PRIu64 " bytes: the mapping there "
			       "starts at 0x%" PRIx64 " and has %" PRIu64 " bytes, and is unmapped "
			       "as a whole", iova, len, unit.first, unit.last - unit.first + 1);
	return 0;
}

static int unmap_locked(struct weir_ioas *as, const struct wr_mapping *m, size_t n)
{
	const struct change change = { .m = m, .n = n };
	int ret;

	if (wr_maps_prepare_remove(&as->maps, m, n))
		return wr_fail(-ENOMEM, "no memory to record that IOVA 0x%" PRIx64 " is unmapped",
			       m->iova);
	ret = on_all_domains(as, &change, unmap_one, map_one);
	for (size_t i = 0; (!ret || ret == -EIO) && i < n; i++)
		wr_maps_remove(&as->maps, &m[i]);
	return ret;
}

static int unmap_batch(struct weir_ioas *as, struct wr_batch *batch)
{
	int ret = unmap_locked(as, batch->parts, batch->n);

	if (!ret || ret == -EIO) {
		as->mems -= batch->mem;
		as->placed -= batch->placed;
		wr_batch_leave(as, batch);
		wr_batch_free(batch);
	}
	return ret;
}

/*
 * The copies of a weir_mem in its own address space: their number or -errno. When that was handed
 * over nobody can unmap them; but the books are all that is left of them, and they go with it.
 */
static int copies_here(struct weir_ioas *as, const struct wr_batch *mem, bool forget)
{
	struct wr_mapping m;
	weir_iova at = 0;
	int ret = 0, n = 0;

	while (!ret && wr_ioas_next(as, at, UINT64_MAX, &m)) {
		struct wr_batch *batch = m.part ? wr_batch_at(as, m.iova) : NULL;

		if (batch && batch != mem && batch->memory == mem->memory) {
			ret = forget ? unmap_batch(as, batch) : 0;
			n++;
		}
		at = m.iova + m.len;
		if (!at)
			break;
	}
	return ret ? ret : n;
}

/* @mem: it is weir_mem_free() that asks. */
static int unmap_unit(struct weir_ioas *as, weir_iova iova, uint64_t len, bool mem)
{
	struct wr_batch *batch;
	struct wr_mapping m;
	unsigned int here = 0;
	int ret = wr_map_find_unit(as, iova, len, &m);

	if (ret)
		return ret;
	if (!m.part)
		return unmap_locked(as, &m, 1);
	batch = wr_batch_at(as, iova);
	if (batch->mem && !mem)
		return wr_fail(-EBUSY, "IOVA 0x%" PRIx64 ": what is mapped there is memory from "
			       "weir_mem_alloc(): weir_mem_free() unmaps it", iova);
	if (mem && wr_ioas_handed(as))
		here = (unsigned int)copies_here(as, batch, false);
	/* A copy is made from it, under this lock, or from another copy. */
	if (mem && __atomic_load_n(&batch->memory->units, __ATOMIC_ACQUIRE) > 1 + here)
		return wr_fail(-EBUSY, "the memory at IOVA 0x%" PRIx64 " is mapped elsewhere, too, "
			       "by weir_ioas_copy(): unmap the copies first", iova);
	ret = here ? copies_here(as, batch, true) : 0;
	return ret < 0 ? ret : unmap_batch(as, batch);
}

static int unmap(struct weir_ioas *as, weir_iova iova, size_t len, bool mem)
{
	int ret = mem ? wr_ioas_check_close(as) : wr_ioas_check_change(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = wr_ioas_check_held(as, iova, len);
	if (!ret)
		ret = unmap_unit(as, iova, len, mem);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

int weir_ioas_unmap(struct weir_ioas *as, weir_iova iova, size_t len)
{
	return unmap(as, iova, len, false);
}

int wr_ioas_unmap_mem(struct weir_ioas *as, weir_iova iova, size_t len)
{
	return unmap(as, iova, len, true);
}

static int unmap_all_locked(struct weir_ioas *as)
{
	const struct change change = { 0 };
	struct wr_space space;
	int ret;

	if (as->mems)
		return wr_fail(-EBUSY, "the address space has memory from weir_mem_alloc() (%u "
			       "times): free it first", as->mems);
	if (wr_ioas_check_held(as, 0, UINT64_MAX))
		return -EBUSY;
	if (wr_maps_prepare_clear(&as->maps, &space))
		return wr_fail(-ENOMEM, "no memory to record that nothing is mapped");
	ret = on_all_domains(as, &change, clear_one, replay_one);
	if (ret && ret != -EIO) {
		wr_space_free(&space);
		return ret;
	}
	wr_maps_clear(&as->maps, &space);
	wr_ioas_forget(as);
	return ret;
}

int weir_ioas_unmap_all(struct weir_ioas *as)
{
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = unmap_all_locked(as);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

/* ---- the same memory at another address ---- */

static int move_locked(struct weir_ioas *as, const struct wr_mapping *m, void *vaddr)
{
	const struct change change = { .m = m, .n = 1, .vaddr = vaddr };
	int ret = wr_maps_move_begin(&as->maps, m, vaddr);

	if (ret)
		return wr_fail(ret, "no memory to record where the memory is now");
	ret = on_all_domains(as, &change, move_one, move_back);
	if (ret && ret != -EIO)
		wr_maps_move_undo(&as->maps, m, vaddr);
	else
		wr_maps_move_end(&as->maps, m, vaddr);
	return ret;
}

int weir_ioas_update_vaddr(struct weir_ioas *as, weir_iova iova, size_t len, void *vaddr)
{
	struct wr_mapping m;
	int ret = wr_ioas_check_range((uintptr_t)vaddr, len, "address");

	if (!ret)
		ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = wr_map_find_unit(as, iova, len, &m);
	if (!ret && wr_ioas_placing(as))
		ret = wr_fail(-ENOTSUP, "without an IOMMU memory can't be given another address: "
			      "unmap it and map it again");
	if (!ret && m.part)
		ret = wr_fail(-EINVAL, "IOVA 0x%" PRIx64 ": only what weir_ioas_map() mapped can "
			      "have another address, not a batch, a file that weir mapped, "
			      "memory from weir_mem_alloc(), nor a bar", iova);
	if (!ret && m.vaddr != vaddr)
		ret = move_locked(as, &m, vaddr);
	pthread_mutex_unlock(&as->lock);
	return ret;
}
