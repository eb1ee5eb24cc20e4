/* SPDX-License-Identifier: MIT */
/*
 * What one address space has mapped, mapped in another, too. The copy is a unit of its own, made of
 * as many mappings as its source, and outlives it: where weir mapped the memory itself, both hold
 * it (batch.h).
 */
#include <inttypes.h>

#include "base/err.h"
#include "ioas/map.h"

static const char *word_for(enum weir_dma_dir dir)
{
	return dir == WEIR_DMA_TO_DEVICE ? "read" : dir == WEIR_DMA_FROM_DEVICE ? "write" :
	       "read and write";
}

/* The kernel lets no copy write what was pinned to be read (iopt_insert_area()). */
static int check_dir(enum weir_dma_dir dir, enum weir_dma_dir source)
{
	if (source == WEIR_DMA_BOTH || dir == source)
		return 0;
	return wr_fail(-EACCES, "a copy that devices can %s, of a mapping that they can %s only",
		       word_for(dir), word_for(source));
}

static int copy_locked(struct weir_ioas *as, const struct wr_source *source, uint64_t len,
		       const struct weir_map_opts *given, weir_iova *iova)
{
	struct weir_map_opts opts = given ? *given : (struct weir_map_opts){ 0 };
	const struct wr_batch *batch = NULL;
	struct wr_mapping is, m;
	struct wr_batch *copy;
	int ret = wr_map_find_unit(source->as, source->iova, len, &is);

	if (ret)
		return ret;
	if (is.part) {
		batch = wr_batch_at(source->as, source->iova);
		is.dir = batch->dir;
	}
	if (batch && batch->lender)
		return wr_fail(-ENOTSUP, "IOVA 0x%" PRIx64 ": a bar's registers can't be copied; "
			       "weir_ioas_map_bar() maps them here, too", source->iova);
	if (!given)
		opts.dir = is.dir;
	ret = check_dir(opts.dir, is.dir);
	if (ret)
		return ret;
	if (batch) {
		copy = wr_batch_copy(batch);
		return copy ? wr_map_batch_locked(as, copy, &opts, iova, source) : -ENOMEM;
	}
	m = (struct wr_mapping){
		.iova = opts.fixed ? *iova : 0, .len = is.len, .vaddr = is.vaddr, .dir = opts.dir,
	};
	ret = wr_map_single_locked(as, &m, &opts, source);
	if (!ret)
		*iova = m.iova;
	return ret;
}

int weir_ioas_copy(struct weir_ioas *as, struct weir_ioas *from, weir_iova src_iova, size_t len,
		   const struct weir_map_opts *opts, weir_iova *iova)
{
	static const struct weir_map_opts automatic;
	const struct wr_source source = { from, src_iova };
	int ret = wr_map_check(opts ? opts : &automatic, opts && opts->fixed ? *iova : 0, len);

	if (!ret)
		ret = wr_ioas_check_change(as);
	if (!ret && as->iommu != from->iommu)
		ret = wr_fail(-EINVAL, "an address space of another context: what it has mapped "
			      "can't be copied");
	if (!ret)
		ret = wr_ioas_check_change(from);
	if (ret)
		return ret;
	wr_ioas_lock_both(as, from);
	ret = copy_locked(as, &source, len, opts, iova);
	wr_ioas_unlock_both(as, from);
	return ret;
}
