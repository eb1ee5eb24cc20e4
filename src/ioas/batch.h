/* SPDX-License-Identifier: MIT */
/* What was mapped as one unit and is more than one mapping of the caller's memory. */
#ifndef WR_IOAS_BATCH_H
#define WR_IOAS_BATCH_H

#include "ioas/ioas.h"

/*
 * Memory of which weir knows more than its address: a weir_mem's, or of a file that weir mapped.
 * All units that are of it share this, in whatever address spaces; the last one gives it back.
 */
struct wr_memory {
	unsigned int units;	/* by atomic accesses */
	void *mapped;		/* where weir mapped the caller's file; NULL: a weir_mem's */
	uint64_t len;
	struct wr_file file;	/* that it is; if weir mapped it, by a duplicate */
};

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
	struct wr_memory *memory;	/* that it is of; NULL: the caller's */
	bool mem;		/* the weir_mem itself, and counted in as->mems */
	struct wr_lender *lender;	/* of a bar's registers; the file is their dma-buf */
	struct wr_list lent;		/* in its list */
	bool placed;		/* where a domain said, and counted in as->placed */
	size_t n, n_spans;
	struct wr_span *spans;	/* one, or as many as there are parts */
	struct wr_mapping parts[];
};

/* An empty one. Returns NULL, with a message, without memory. */
struct wr_batch *wr_batch_new(size_t n, size_t n_spans);
void wr_batch_free(struct wr_batch *batch);

/* One of memory at @vaddr, which is a file's unless its fd is -1; the same as to memory. */
struct wr_batch *wr_batch_of(void *vaddr, uint64_t len, struct wr_file file);

/* One of the same memory, all of whose parts are to follow one another. Or NULL, as above. */
struct wr_batch *wr_batch_copy(const struct wr_batch *source);

/* Enter it into the address space's book, its parts having their IOVAs: 0 or -ENOMEM. */
int wr_batch_enter(struct weir_ioas *as, struct wr_batch *batch);
void wr_batch_leave(struct weir_ioas *as, struct wr_batch *batch);

/* The one that has a part at @iova; there is one. */
struct wr_batch *wr_batch_at(const struct weir_ioas *as, weir_iova iova);

#endif
