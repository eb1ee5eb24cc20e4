/* SPDX-License-Identifier: MIT */
/*
 * Each slot says how many bytes could be had in or below it at each alignment. A full node is split
 * on the way down, so that an insertion never has to go up again; one that runs empty is dropped.
 * Nodes are not merged: a sparse one fills up again, and there are never more leaves than there
 * were extents at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/space.h"

#define FAN WR_SPACE_FAN
/* 8-fold at least, after splits: more extents than there are pages in 64 bits. */
#define LEVELS_MAX 18

/* The way to a slot, from the root (level 0) to a leaf. */
struct path {
	struct wr_space_node *node[LEVELS_MAX];
	unsigned int slot[LEVELS_MAX];
};

static const uint64_t align_mask[WR_SPACE_ALIGNS] = {
	[WR_SPACE_PAGE] = 0,			/* extents begin and end with pages */
	[WR_SPACE_2M] = (2ull << 20) - 1,
	[WR_SPACE_1G] = (1ull << 30) - 1,
};

/* ---- nodes ---- */

void wr_space_init(struct wr_space *s)
{
	memset(s, 0, sizeof(*s));
}

static void free_below(struct wr_space_node *node, unsigned int height)
{
	for (unsigned int i = 0; height && i < node->n; i++)
		free_below(node->child[i], height - 1);
	free(node);
}

void wr_space_free(struct wr_space *s)
{
	if (s->root)
		free_below(s->root, s->height);
	while (s->spare) {
		struct wr_space_node *next = s->spare->child[0];

		free(s->spare);
		s->spare = next;
	}
	wr_space_init(s);
}

static void put_spare(struct wr_space *s, struct wr_space_node *node)
{
	node->child[0] = s->spare;
	s->spare = node;
	s->spares++;
}

static struct wr_space_node *get_spare(struct wr_space *s)
{
	struct wr_space_node *node = s->spare;

	s->spare = node->child[0];
	s->spares--;
	node->n = 0;
	return node;
}

/* One extent at most is inserted by a change: that splits each level once, and may add a root. */
int wr_space_reserve(struct wr_space *s, size_t n)
{
	while (s->spares < n * (s->height + 1 + n) + !s->root) {
		struct wr_space_node *node = malloc(sizeof(*node));

		if (!node)
			return -ENOMEM;
		put_spare(s, node);
		s->nodes++;
	}
	if (!s->root)
		s->root = get_spare(s);
	return 0;
}

static uint64_t extent_fit(uint64_t first, uint64_t last, unsigned int align)
{
	uint64_t start = (first + align_mask[align]) & ~align_mask[align];

	if (start < first || start > last)
		return 0;
	return last - start < WR_SPACE_FIT_MAX ? last - start + 1 : WR_SPACE_FIT_MAX;
}

static uint64_t node_fit(const struct wr_space_node *node, unsigned int align)
{
	uint64_t most = 0;

	/* From the end, where the endless extent is if there is one. */
	for (unsigned int i = node->n; i-- > 0 && most < WR_SPACE_FIT_MAX;)
		most = node->fit[align][i] > most ? node->fit[align][i] : most;
	return most;
}

static void set_extent(struct wr_space_node *leaf, unsigned int slot, uint64_t first, uint64_t last)
{
	leaf->first[slot] = first;
	leaf->last[slot] = last;
	for (unsigned int a = 0; a < WR_SPACE_ALIGNS; a++)
		leaf->fit[a][slot] = extent_fit(first, last, a);
}

static void set_child(struct wr_space_node *node, unsigned int slot, struct wr_space_node *child)
{
	node->first[slot] = child->first[0];
	node->child[slot] = child;
	for (unsigned int a = 0; a < WR_SPACE_ALIGNS; a++)
		node->fit[a][slot] = node_fit(child, a);
}

/* Move the slots [from, n) of @src to @to in @dst, which may be the same node. */
static void move_slots(struct wr_space_node *dst, unsigned int to, const struct wr_space_node *src,
		       unsigned int from, unsigned int n)
{
	size_t bytes = (n - from) * sizeof(uint64_t);

	memmove(&dst->first[to], &src->first[from], bytes);
	memmove(&dst->last[to], &src->last[from], bytes);
	for (unsigned int a = 0; a < WR_SPACE_ALIGNS; a++)
		memmove(&dst->fit[a][to], &src->fit[a][from], bytes);
}

_Static_assert(sizeof(struct wr_space_node *) == sizeof(uint64_t),
	       "children are moved as extents are");

/* The last slot that begins at or below @key, or 0. */
static unsigned int slot_for(const struct wr_space_node *node, uint64_t key)
{
	unsigned int slot = 0;

	/* The end is where most changes are; elsewhere there is no predicting a branch by keys. */
	if (node->n && node->first[node->n - 1] <= key)
		return node->n - 1;
	for (unsigned int n = node->n; n > 1; n -= n / 2)
		slot += n / 2 * (node->first[slot + n / 2] <= key);
	return slot;
}

/* The way to the last extent that begins at or below @key. False: there is none. */
static bool seek(const struct wr_space *s, uint64_t key, struct path *p)
{
	struct wr_space_node *node = s->root;

	for (unsigned int level = 0; ; level++) {
		p->node[level] = node;
		p->slot[level] = slot_for(node, key);
		if (level == s->height)
			return node->n && node->first[p->slot[level]] <= key;
		node = node->child[p->slot[level]];
	}
}

/* A node's slots have changed: let those above it know, as far up as it shows. */
static void tell(struct path *p, unsigned int level)
{
	for (; level; level--) {
		struct wr_space_node *node = p->node[level], *above = p->node[level - 1];
		unsigned int slot = p->slot[level - 1];
		bool same = above->first[slot] == node->first[0];

		above->first[slot] = node->first[0];
		for (unsigned int a = 0; a < WR_SPACE_ALIGNS; a++) {
			uint64_t fit = node_fit(node, a);

			same = same && fit == above->fit[a][slot];
			above->fit[a][slot] = fit;
		}
		if (same)
			return;
	}
}

/* ---- extents ---- */

/*
 * Split the full child in @slot of @node, which has room. The last one more to the right, because
 * space that is used from below on is given back there, too.
 */
static void split_child(struct wr_space *s, struct wr_space_node *node, unsigned int slot)
{
	struct wr_space_node *left = node->child[slot], *right = get_spare(s);
	unsigned int keep = slot == node->n - 1 ? FAN - FAN / 4 : FAN / 2;

	move_slots(right, 0, left, keep, FAN);
	right->n = FAN - keep;
	left->n = keep;
	move_slots(node, slot + 2, node, slot + 1, node->n);
	node->n++;
	set_child(node, slot, left);
	set_child(node, slot + 1, right);
}

static void insert(struct wr_space *s, uint64_t first, uint64_t last)
{
	struct wr_space_node *node = s->root;
	struct path p;
	unsigned int slot;

	if (node->n == FAN) {
		s->root = get_spare(s);
		s->root->n = 1;
		set_child(s->root, 0, node);
		s->height++;
		node = s->root;
	}
	for (unsigned int level = 0; level < s->height; level++) {
		slot = slot_for(node, first);
		if (node->child[slot]->n == FAN) {
			split_child(s, node, slot);
			slot = slot_for(node, first);
		}
		p.node[level] = node;
		p.slot[level] = slot;
		node = node->child[slot];
	}
	p.node[s->height] = node;
	slot = node->n && node->first[0] < first ? slot_for(node, first) + 1 : 0;
	move_slots(node, slot + 1, node, slot, node->n);
	node->n++;
	set_extent(node, slot, first, last);
	tell(&p, s->height);
}

static void erase(struct wr_space *s, struct path *p)
{
	unsigned int level = s->height;

	for (;; level--) {
		struct wr_space_node *node = p->node[level];

		move_slots(node, p->slot[level], node, p->slot[level] + 1, node->n);
		node->n--;
		if (node->n || !level)
			break;
		put_spare(s, node);
	}
	tell(p, level);
	while (s->height && s->root->n == 1) {
		struct wr_space_node *root = s->root;

		s->root = root->child[0];
		s->height--;
		put_spare(s, root);
	}
	if (!s->root->n)
		s->height = 0;
}

static void resize(struct wr_space *s, struct path *p, uint64_t first, uint64_t last)
{
	struct wr_space_node *leaf = p->node[s->height];
	unsigned int slot = p->slot[s->height];
	uint64_t fits[WR_SPACE_ALIGNS];
	bool shows = !slot && leaf->first[0] != first;

	for (unsigned int a = 0; a < WR_SPACE_ALIGNS; a++)
		fits[a] = leaf->fit[a][slot];
	set_extent(leaf, slot, first, last);
	for (unsigned int a = 0; a < WR_SPACE_ALIGNS; a++)
		shows = shows || leaf->fit[a][slot] != fits[a];
	if (shows)
		tell(p, s->height);
}

static uint64_t last_of(const struct wr_space *s, const struct path *p)
{
	return p->node[s->height]->last[p->slot[s->height]];
}

static uint64_t first_of(const struct wr_space *s, const struct path *p)
{
	return p->node[s->height]->first[p->slot[s->height]];
}

/* ---- what is offered ---- */

/* The first slot from @slot on in which @len bytes fit, or the number of slots. */
static unsigned int fitting(const struct wr_space_node *node, unsigned int slot, uint64_t len,
			    enum wr_space_align align)
{
	const uint64_t *fit = node->fit[align];

	/* Four at a time, for where there are many that don't. */
	for (; slot + 4 <= node->n; slot += 4)
		if ((fit[slot] >= len) | (fit[slot + 1] >= len) | (fit[slot + 2] >= len) |
		    (fit[slot + 3] >= len))
			break;
	while (slot < node->n && fit[slot] < len)
		slot++;
	return slot;
}

/* The lowest extent with room; among those at WR_SPACE_FIT_MAX there may be some without. */
static bool find_below(const struct wr_space_node *node, unsigned int height, uint64_t len,
		       enum wr_space_align align, uint64_t *start)
{
	uint64_t fit = len < WR_SPACE_FIT_MAX ? len : WR_SPACE_FIT_MAX;

	for (unsigned int slot = 0; ; slot++) {
		slot = fitting(node, slot, fit, align);
		if (slot == node->n)
			return false;
		if (height) {
			if (find_below(node->child[slot], height - 1, len, align, start))
				return true;
			continue;
		}
		*start = (node->first[slot] + align_mask[align]) & ~align_mask[align];
		if (node->last[slot] - *start >= len - 1)
			return true;
	}
}

int wr_space_find(const struct wr_space *s, uint64_t len, enum wr_space_align align, uint64_t limit,
		  uint64_t *start)
{
	uint64_t at;

	/* If the lowest lies above the limit, all others do. */
	if (!s->root || !find_below(s->root, s->height, len, align, &at) || at > limit ||
	    limit - at < len - 1)
		return -ENOSPC;
	*start = at;
	return 0;
}

/* As find_below(), of what lies at or above @from, at a multiple of @mask + 1. */
static bool find_above(const struct wr_space_node *node, unsigned int height, uint64_t from,
		       uint64_t len, uint64_t mask, uint64_t *start)
{
	uint64_t fit = len < WR_SPACE_FIT_MAX ? len : WR_SPACE_FIT_MAX;

	for (unsigned int slot = slot_for(node, from); ; slot++) {
		uint64_t first;

		slot = fitting(node, slot, fit, WR_SPACE_PAGE);
		if (slot == node->n)
			return false;
		if (height) {
			if (find_above(node->child[slot], height - 1, from, len, mask, start))
				return true;
			continue;
		}
		first = node->first[slot] > from ? node->first[slot] : from;
		*start = (first + mask) & ~mask;
		if (*start >= first && *start <= node->last[slot] &&
		    node->last[slot] - *start >= len - 1)
			return true;
	}
}

int wr_space_find_from(const struct wr_space *s, uint64_t from, uint64_t len, uint64_t align,
		       uint64_t limit, uint64_t *start)
{
	uint64_t at;

	if (!s->root || !find_above(s->root, s->height, from, len, align - 1, &at) || at > limit ||
	    limit - at < len - 1)
		return -ENOSPC;
	*start = at;
	return 0;
}

bool wr_space_is_free(const struct wr_space *s, uint64_t first, uint64_t last)
{
	struct path p;

	return s->root && seek(s, first, &p) && last_of(s, &p) >= last;
}

/* Let [first, last], out of the middle of an extent, be none any more. */
static void cut(struct wr_space *s, struct path *p, uint64_t first, uint64_t last)
{
	struct wr_space_node *leaf = p->node[s->height];
	unsigned int slot = p->slot[s->height];
	uint64_t old_last = leaf->last[slot];

	if (leaf->n == FAN) {
		resize(s, p, leaf->first[slot], first - 1);
		insert(s, last + 1, old_last);
		return;
	}
	move_slots(leaf, slot + 1, leaf, slot, leaf->n);
	leaf->n++;
	set_extent(leaf, slot, leaf->first[slot], first - 1);
	set_extent(leaf, slot + 1, last + 1, old_last);
	tell(p, s->height);
}

/* The extents of @before and @behind become one that ends with @last. */
static void join(struct wr_space *s, struct path *before, struct path *behind, uint64_t last)
{
	struct wr_space_node *leaf = before->node[s->height];
	unsigned int slot = before->slot[s->height];

	if (leaf != behind->node[s->height]) {
		/* First what leaves the slots on the other way where they are. */
		resize(s, before, leaf->first[slot], last);
		erase(s, behind);
		return;
	}
	move_slots(leaf, slot + 1, leaf, slot + 2, leaf->n);
	leaf->n--;
	set_extent(leaf, slot, leaf->first[slot], last);
	tell(before, s->height);
}

void wr_space_take(struct wr_space *s, uint64_t first, uint64_t last)
{
	uint64_t old_first, old_last;
	struct path p;

	seek(s, first, &p);
	old_first = first_of(s, &p);
	old_last = last_of(s, &p);
	if (old_first == first && old_last == last) {
		erase(s, &p);
	} else if (old_first == first) {
		resize(s, &p, last + 1, old_last);
	} else if (old_last == last) {
		resize(s, &p, old_first, first - 1);
	} else {
		cut(s, &p, first, last);
	}
}

/* Is there an extent that begins at @first? @before is the way to the one before, if there is. */
static bool next_to(const struct wr_space *s, const struct path *before, bool is_before,
		    uint64_t first, struct path *behind)
{
	const struct wr_space_node *leaf = before->node[s->height];
	unsigned int slot = before->slot[s->height] + is_before;

	if (slot >= leaf->n)
		return s->height && seek(s, first, behind) && first_of(s, behind) == first;
	if (leaf->first[slot] != first)
		return false;
	*behind = *before;
	behind->slot[s->height] = slot;
	return true;
}

void wr_space_give(struct wr_space *s, uint64_t first, uint64_t last, uint64_t lowest,
		   uint64_t highest)
{
	struct path before, behind;
	bool joins_before, joins_behind, is_before = seek(s, first, &before);
	uint64_t end = last;

	joins_before = is_before && first > lowest && last_of(s, &before) + 1 == first;
	joins_behind = last < highest && next_to(s, &before, is_before, last + 1, &behind);
	if (joins_behind)
		end = last_of(s, &behind);
	if (joins_before && joins_behind) {
		join(s, &before, &behind, end);
	} else if (joins_before) {
		resize(s, &before, first_of(s, &before), end);
	} else if (joins_behind) {
		resize(s, &behind, first, end);
	} else {
		insert(s, first, end);
	}
}
