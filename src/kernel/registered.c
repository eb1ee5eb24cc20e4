/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/registered.h"
#include "kernel/spapr.h"
#include "kernel/uapi.h"

/* Addresses from start to before end. First in what is in a tree, where none overlap. */
struct span {
	uint64_t start, end;
};

/* A piece of memory that the kernel has in the process's list. */
struct piece {
	struct span at;
	unsigned int containers;	/* that have it registered */
};

/* That a container has it. */
struct hold {
	struct span at;
	struct piece *piece;
	size_t users[2];		/* by use; none: the kernel didn't let go of it */
};

/*
 * The book of the process. Its lock is taken behind those of address spaces, and held while the
 * kernel pins: who needs nothing that isn't registered yet doesn't take it.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *pieces;
static __attribute__((used)) void *of_parent;	/* a child's, for who looks for leaks there */

/*
 * A child has an address space of its own, where nothing is registered, and the kernel refuses it
 * its parent's containers (-EPERM). What was in the book can't be freed: another thread may have
 * been changing it.
 */
static void in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	of_parent = pieces;
	pieces = NULL;
}

static __attribute__((constructor)) void start_book(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

/* ---- trees ---- */

/* What overlaps is equal. */
static int compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->end <= y->start)
		return -1;
	return y->end <= x->start;
}

/*
 * The lowest that has a byte of [start, end). The tree answers with any of them, the nearest to its
 * root; each further question has one less above it.
 */
static void *lowest(void *const *tree, uint64_t start, uint64_t end)
{
	struct span place = { start, end }, **at;
	void *found = NULL;

	while (place.start < place.end && (at = tfind(&place, tree, compare))) {
		found = *at;
		place.end = (*at)->start;
	}
	return found;
}

/* ---- pages ---- */

/* The mapping of the process at an address: false if there is none, or the kernel doesn't tell. */
static bool memory_at(int maps, uint64_t vaddr, struct wr_procmap_query *query)
{
	*query = (struct wr_procmap_query){ .size = sizeof(*query), .addr = vaddr };
	return maps >= 0 && !wr_sys->ioctl(maps, WR_PROCMAP_QUERY, query);
}

/*
 * From @gap.start on, in a gap of the book, what is best registered as one: memory of pages of one
 * size, whole ones if they are hugetlb's.
 */
static struct span choose(struct span gap)
{
	int maps = wr_sys->open("/proc/self/maps", O_RDONLY);
	struct wr_procmap_query query;
	struct span s = gap, around;
	uint64_t page = 0;

	for (s.end = s.start; s.end < gap.end && memory_at(maps, s.end, &query);
	     s.end = query.end) {
		if (page && query.page_size != page)
			break;
		page = query.page_size;
	}
	wr_close(maps);
	if (s.end == s.start)
		return gap;
	if (page <= wr_page_size())
		return (struct span){ gap.start, s.end < gap.end ? s.end : gap.end };
	around.start = gap.start / page * page;
	around.end = gap.end + (page - 1 - (gap.end - 1) % page);
	if (lowest(&pieces, around.start, gap.start))
		around.start = gap.start;
	if (around.end > s.end)
		around.end = s.end;
	if (lowest(&pieces, gap.end, around.end))
		around.end = gap.end;
	return around;
}

/* ---- pieces ---- */

static int no_memory(void)
{
	return wr_fail(-ENOMEM, "no memory to record what is registered");
}

/* A container registers a piece. */
static int join(struct wr_registered *r, struct piece *piece)
{
	struct hold *h = calloc(1, sizeof(*h));
	int ret;

	if (!h)
		return no_memory();
	h->at = piece->at;
	h->piece = piece;
	if (!tsearch(h, &r->holds, compare)) {
		free(h);
		return no_memory();
	}
	ret = wr_spapr_register(r->fd, h->at.start, h->at.end - h->at.start);
	if (ret) {
		tdelete(h, &r->holds, compare);
		free(h);
		return ret;
	}
	piece->containers++;
	return 0;
}

static void put(struct piece *piece)
{
	if (--piece->containers)
		return;
	tdelete(piece, &pieces, compare);
	free(piece);
}

static int add(struct wr_registered *r, struct span at)
{
	struct piece *piece = calloc(1, sizeof(*piece));
	int ret;

	if (!piece)
		return no_memory();
	piece->at = at;
	if (!tsearch(piece, &pieces, compare)) {
		free(piece);
		return no_memory();
	}
	ret = join(r, piece);
	if (ret) {
		tdelete(piece, &pieces, compare);
		free(piece);
	}
	return ret;
}

/* Give back what nobody uses, as far as the kernel takes it. */
static int sweep(struct wr_registered *r, uint64_t start, uint64_t end)
{
	int first = 0;
	struct hold *h;

	while ((h = lowest(&r->holds, start, end))) {
		int ret = 0;

		start = h->at.end;
		if (h->users[WR_REGISTERED_MAP] || h->users[WR_REGISTERED_AHEAD])
			continue;
		ret = wr_spapr_unregister(r->fd, h->at.start, h->at.end - h->at.start);
		if (ret) {
			first = first ? first : ret;
			continue;
		}
		tdelete(h, &r->holds, compare);
		put(h->piece);
		free(h);
	}
	return first;
}

/* The same, where there is a message already that tells why. */
static void sweep_after(struct wr_registered *r, uint64_t start, uint64_t end)
{
	char cause[512];

	snprintf(cause, sizeof(cause), "%s", weir_errmsg());
	if (sweep(r, start, end)) {
		wr_log(WEIR_LOG_WARN, "memory stays pinned: %s", weir_errmsg());
		wr_message("%s", cause);
	}
}

/* Register what this container hasn't got yet. */
static int fill(struct wr_registered *r, uint64_t start, uint64_t end)
{
	int ret = sweep(r, start, end);

	while (!ret && start < end) {
		const struct hold *h = lowest(&r->holds, start, end);
		struct span gap = { start, h ? h->at.start : end };
		struct piece *piece = lowest(&pieces, start, gap.end);

		if (h && h->at.start <= start) {
			start = h->at.end;
			continue;
		}
		if (piece && piece->at.start <= start) {
			start = piece->at.end;
			ret = join(r, piece);
			continue;
		}
		if (piece)
			gap.end = piece->at.start;
		if (r->whole_pages)
			gap = choose(gap);
		start = gap.end;
		ret = add(r, gap);
	}
	return ret;
}

/* ---- what is held ---- */

/* Whether all of it is registered and used: then it stays, as long as the caller's lock is held. */
static bool is_held(const struct wr_registered *r, uint64_t start, uint64_t end)
{
	while (start < end) {
		const struct hold *h = lowest(&r->holds, start, end);

		if (!h || h->at.start > start ||
		    (!h->users[WR_REGISTERED_MAP] && !h->users[WR_REGISTERED_AHEAD]))
			return false;
		start = h->at.end;
	}
	return true;
}

/* Returns whether something isn't used any more. */
static bool count(struct wr_registered *r, uint64_t start, uint64_t end,
		  enum wr_registered_use use, size_t change)
{
	bool unused = false;
	struct hold *h;

	while ((h = lowest(&r->holds, start, end))) {
		h->users[use] += change;
		unused |= !h->users[WR_REGISTERED_MAP] && !h->users[WR_REGISTERED_AHEAD];
		start = h->at.end;
	}
	return unused;
}

int wr_registered_hold(struct wr_registered *r, uint64_t start, uint64_t end,
		       enum wr_registered_use use)
{
	int ret = 0;

	if (!is_held(r, start, end)) {
		pthread_mutex_lock(&lock);
		ret = fill(r, start, end);
		if (ret)
			sweep_after(r, start, end);
		pthread_mutex_unlock(&lock);
	}
	if (!ret)
		count(r, start, end, use, 1);
	return ret;
}

void wr_registered_release(struct wr_registered *r, uint64_t start, uint64_t end,
			   enum wr_registered_use use)
{
	if (!count(r, start, end, use, (size_t)-1))
		return;
	pthread_mutex_lock(&lock);
	sweep_after(r, start, end);
	pthread_mutex_unlock(&lock);
}

void wr_registered_unmapped(struct wr_registered *r)
{
	uint64_t start = 0;
	struct hold *h;

	while ((h = lowest(&r->holds, start, UINT64_MAX))) {
		h->users[WR_REGISTERED_MAP] = 0;
		start = h->at.end;
	}
	pthread_mutex_lock(&lock);
	sweep_after(r, 0, UINT64_MAX);
	pthread_mutex_unlock(&lock);
}

static void forget(void *hold)
{
	struct hold *h = hold;

	put(h->piece);
	free(h);
}

void wr_registered_forget(struct wr_registered *r)
{
	pthread_mutex_lock(&lock);
	tdestroy(r->holds, forget);
	r->holds = NULL;
	pthread_mutex_unlock(&lock);
}
