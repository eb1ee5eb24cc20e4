/* SPDX-License-Identifier: MIT */
/*
 * Free space in IOVAs: extents that may be given out, in a B-tree by address whose nodes know the
 * largest fit below them, so that the lowest extent that fits is found without looking at others.
 * The caller locks.
 */
#ifndef WR_MEM_SPACE_H
#define WR_MEM_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The alignments that can be asked for: a page of the system, and the IOMMUs' larger ones. */
enum wr_space_align {
	WR_SPACE_PAGE,
	WR_SPACE_2M,
	WR_SPACE_1G,
	WR_SPACE_ALIGNS
};

#define WR_SPACE_FAN 32

/*
 * What fits is told apart up to here. So the extents that are as good as endless, and that most
 * changes are made to, look the same to the nodes above them after a change.
 */
#define WR_SPACE_FIT_MAX (64ull << 30)

/* Leaves hold extents, inner nodes their children. */
struct wr_space_node {
	unsigned int n;
	uint64_t first[WR_SPACE_FAN];		/* of the extent; of the lowest one below */
	union {
		uint64_t last[WR_SPACE_FAN];	/* of the extent */
		struct wr_space_node *child[WR_SPACE_FAN];
	};
	uint64_t fit[WR_SPACE_ALIGNS][WR_SPACE_FAN];	/* bytes to be had there */
};

struct wr_space {
	struct wr_space_node *root;
	unsigned int height;		/* levels above the leaves */
	struct wr_space_node *spare;	/* nodes in no use, enough for the next change */
	unsigned int spares;
	size_t nodes;			/* all of them */
};

/* An empty space. wr_space_free() forgets all extents and gives the memory back. */
void wr_space_init(struct wr_space *s);
void wr_space_free(struct wr_space *s);

/*
 * Have the memory that the next @n changes may need: without it wr_space_take() and
 * wr_space_give() must not be called. Returns 0 or -ENOMEM.
 */
int wr_space_reserve(struct wr_space *s, size_t n);

/*
 * The lowest place for @len bytes at that alignment whose last byte isn't above @limit. Returns 0,
 * or -ENOSPC. It is taken with wr_space_take().
 */
int wr_space_find(const struct wr_space *s, uint64_t len, enum wr_space_align align, uint64_t limit,
		  uint64_t *start);

/*
 * The lowest place at or above @from, at a multiple of @align, a power of two. What is too small is
 * passed over as above, but by pages alone: an extent that only its alignment makes too small is
 * looked at.
 */
int wr_space_find_from(const struct wr_space *s, uint64_t from, uint64_t len, uint64_t align,
		       uint64_t limit, uint64_t *start);

/* Is all of [first, last] free? */
bool wr_space_is_free(const struct wr_space *s, uint64_t first, uint64_t last);

/* Take [first, last], which is_free. */
void wr_space_take(struct wr_space *s, uint64_t first, uint64_t last);

/*
 * Give back [first, last], no byte of which is free. It becomes one with its neighbours inside
 * [lowest, highest], the bounds that nothing may cross. Never 0 to UINT64_MAX at once.
 */
void wr_space_give(struct wr_space *s, uint64_t first, uint64_t last, uint64_t lowest,
		   uint64_t highest);

#endif
