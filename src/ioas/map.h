/* SPDX-License-Identifier: MIT */
/* What other ways of mapping need of map.c. */
#ifndef WR_IOAS_MAP_H
#define WR_IOAS_MAP_H

#include "ioas/batch.h"

/* Where the memory that is to be mapped is mapped already, in the same order and as a whole. */
struct wr_source {
	struct weir_ioas *as;		/* locked as well */
	weir_iova iova;
};

/* Of what is to be mapped, what can be checked without the lock. @iova: with opts->fixed. */
int wr_map_check(const struct weir_map_opts *opts, weir_iova iova, uint64_t len);

/*
 * Map a batch whose parts have their memory. It is the address space's then, or else freed. With
 * the lock held: the options are checked, and @source is NULL where there is none.
 */
int wr_map_batch(struct weir_ioas *as, struct wr_batch *batch, const struct weir_map_opts *opts,
		 weir_iova *iova);
int wr_map_batch_locked(struct weir_ioas *as, struct wr_batch *batch,
			const struct weir_map_opts *opts, weir_iova *iova,
			const struct wr_source *source);

/* The same of a single piece, which gets its IOVA. */
int wr_map_single_locked(struct weir_ioas *as, struct wr_mapping *m,
			 const struct weir_map_opts *opts, const struct wr_source *source);

/* The unit that is exactly [iova, iova + len), or a word on what is there instead. Locked, too. */
int wr_map_find_unit(struct weir_ioas *as, weir_iova iova, uint64_t len, struct wr_mapping *m);

#endif
