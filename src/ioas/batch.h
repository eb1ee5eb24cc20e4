/* SPDX-License-Identifier: MIT */
/* What was mapped as one unit and is more than one mapping of the caller's memory. */
#ifndef WR_IOAS_BATCH_H
#define WR_IOAS_BATCH_H

#include "ioas/ioas.h"

/* IOVAs that belong to one batch. */
struct wr_span {
	weir_iova iova;
	uint64_t len;
	struct wr_batch *batch;
};

/* Its parts follow one another in IOVA; or, where a domain says where they are, don't. */
struct wr_batch {
	weir_iova iova;		/* of the first part */
	uint64_t len;		/* of all */
	enum weir_dma_dir dir;
	void *mapped;		/* where weir mapped the caller's file; NULL: the caller's memory */
	struct wr_file file;	/* that its memory is; if weir mapped it, by a duplicate */
	bool mem;		/* a weir_mem's, and counted in as->mems */
	bool placed;		/* where a domain said, and counted in as->placed */
	size_t n, n_spans;
	struct wr_span *spans;	/* one, or as many as there are parts */
	struct wr_mapping parts[];
};

/* An empty one. Returns NULL, with a message, without memory. */
struct wr_batch *wr_batch_new(size_t n, size_t n_spans);
void wr_batch_free(struct wr_batch *batch);

/* Enter it into the address space's book, its parts having their IOVAs: 0 or -ENOMEM. */
int wr_batch_enter(struct weir_ioas *as, struct wr_batch *batch);
void wr_batch_leave(struct weir_ioas *as, struct wr_batch *batch);

/* The one that has a part at @iova; there is one. */
struct wr_batch *wr_batch_at(const struct weir_ioas *as, weir_iova iova);

#endif
