/* SPDX-License-Identifier: MIT */
/*
 * Mappings of every kind, at random, each with a copy of what must be in its memory. Calls return
 * 0 or -errno; only making one may fail, for lack of hugepages.
 */
#ifndef SOAK_MAPPING_H
#define SOAK_MAPPING_H

#include <sys/uio.h>

#include <weir/weir.h>

#define PIECES 4

struct mapping {
	weir_iova iova;
	size_t len;		/* 0: there is none */
	unsigned int n;
	struct iovec piece[PIECES];
	struct weir_mem *mem;	/* else the memory is the worker's, or a file's */
	bool file;		/* weir has mapped it */
	unsigned char *copy;	/* of all pieces, one behind the other */
};

/* A part of one piece, and of the copy. */
struct spot {
	unsigned char *at, *copy;
	size_t len;
};

/* @pool: pages of the pool may be used. -EAGAIN: it has none left. */
int mapping_make(struct weir_ioas *as, struct mapping *m, uint64_t *random, bool pool);

/* Its memory is as it should be; true, or false. */
bool mapping_right(const struct mapping *m);

/* Unmap it, and give the memory back. */
int mapping_drop(struct weir_ioas *as, struct mapping *m);

/* Some bytes of it, @len at most. */
struct spot mapping_spot(const struct mapping *m, uint64_t *random, size_t len);

#endif
