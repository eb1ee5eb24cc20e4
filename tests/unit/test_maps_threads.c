/* SPDX-License-Identifier: MIT */
/*
 * Look-ups beside one thread that maps and unmaps. What a reader is told must have been so at some
 * moment of its look-up: each place publishes what it is mapped to, before and after each change.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ioas/ioas.h"
#include "tests/chance.h"

#define PAGE 4096ull
#define MB2 (2ull << 20)
#define GB (1ull << 30)

#define PLACES 512		/* more than there are tables, so that they move all the time */
#define SWAPPED 8		/* the first of them: always mapped, by turns in other ways */
#define LIVE 12			/* others that are mapped at once */
#define READERS 3
#define MANY 300		/* at once: more than a group of them */
#define SECONDS 1.5

static struct weir_ioas *as;
static bool stop;
/*
 * Where a place stands: its generation, four times, plus 0: not mapped; 1: being mapped; 2: mapped;
 * 3: being unmapped. Of those that are swapped: 0: mapped; 1: the next one is taking over.
 */
static uint64_t where[PLACES];

/* ---- what a place is mapped to: a function of its number and its generation ---- */

struct shape {
	uint64_t vaddr, iova, len;
};

static struct shape shape_of(uint64_t place, uint64_t generation)
{
	static const uint64_t lens[] = { PAGE, 3 * PAGE, 70 * PAGE, MB2, MB2 + PAGE, 600 * PAGE };
	uint64_t seed = place << 32 | generation;
	uint64_t vaddr = (0x500000ull + place * 4) * MB2, len = lens[chance(&seed, 6)], base;

	/* What is swapped always has its first 4 MiB, which readers ask for. */
	if (place < SWAPPED) {
		static const uint64_t more[] = { 0, PAGE, MB2, MB2 + PAGE, 500 * PAGE };
		uint64_t before = more[chance(&seed, 5)];

		vaddr = 0x600000ull * MB2 + place * 4 * GB - before;
		len = before + 2 * MB2 + more[chance(&seed, 5)] + (chance(&seed, 4) ? 0 : GB);
	} else {
		vaddr += chance(&seed, 2) * chance(&seed, 300) * PAGE;
	}
	/*
	 * Below and above 2^48. Some places come back in another piece of the same translation,
	 * some have other memory at the same IOVA; the others' generations are told apart mod 64.
	 */
	base = (place + 1) << 40 | (uint64_t)(place % 3 == 0) << 50;
	if (place >= SWAPPED && place % 4 == 1)
		base += vaddr % (4 * MB2);
	else if (place < SWAPPED || place % 4 != 2)
		base += (generation % 64) << 32 | chance(&seed, 3) * PAGE;
	return (struct shape){ vaddr, base, len };
}

/* ---- the writer ---- */

static void say(uint64_t place, uint64_t state)
{
	__atomic_store_n(&where[place], state, __ATOMIC_SEQ_CST);
}

static uint64_t said(uint64_t place)
{
	return __atomic_load_n(&where[place], __ATOMIC_SEQ_CST);
}

static void map_it(uint64_t place, uint64_t generation)
{
	struct shape s = shape_of(place, generation);
	struct weir_map_opts opts = { .fixed = true };

	assert_int_equal(weir_ioas_map(as, (void *)(uintptr_t)s.vaddr, s.len, &opts, &s.iova), 0);
}

static void unmap_it(uint64_t place, uint64_t generation)
{
	struct shape s = shape_of(place, generation);

	assert_int_equal(weir_ioas_unmap(as, s.iova, s.len), 0);
}

static void swap(uint64_t place)
{
	uint64_t now = said(place), next = now / 4 + 1;

	say(place, now + 1);
	map_it(place, next);
	unmap_it(place, next - 1);
	say(place, next * 4);
}

static void toggle(uint64_t place)
{
	uint64_t now = said(place);

	say(place, now + 1);
	if (now % 4)
		unmap_it(place, now / 4);
	else
		map_it(place, now / 4);
	say(place, now + 2);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Look-ups of all readers that found something; each adds its own now and then. */
static size_t hits;

/* On a busy machine it takes longer until the threads have met often enough. */
static bool enough(size_t writes, double end)
{
	double now = seconds();

	return now > end + 60 ||
	       (now > end && writes > 500 && __atomic_load_n(&hits, __ATOMIC_RELAXED) > 500);
}

static size_t write_for_a_while(void)
{
	uint64_t live[LIVE] = { 0 }, seed = 1;
	double end = seconds() + SECONDS;
	size_t n = 0;

	for (; n % 64 || !enough(n, end); n++) {
		uint64_t *slot = &live[chance(&seed, LIVE)];
		uint64_t place = SWAPPED + chance(&seed, chance(&seed, 3) ? PLACES - SWAPPED
									  : SWAPPED);

		if (!chance(&seed, 4)) {
			swap(chance(&seed, SWAPPED));
			continue;
		}
		if (*slot)
			toggle(*slot);
		*slot = 0;
		if (!(said(place) % 4)) {
			toggle(place);
			*slot = place;
		}
	}
	for (size_t i = 0; i < LIVE; i++)
		if (live[i])
			toggle(live[i]);
	return n;
}

/* ---- the readers ---- */

struct reader {
	pthread_t thread;
	uint64_t seed;
	size_t lookups, found, wrong;
	char what[256];
};

static void wrong(struct reader *r, const char *what, uint64_t place, uint64_t from, uint64_t to,
		  uint64_t got, uint64_t len)
{
	if (!r->wrong++)
		snprintf(r->what, sizeof(r->what), "%s: place %lu, %lu+%lu to %lu+%lu: 0x%lx, %lu",
			 what, (unsigned long)place, (unsigned long)(from / 4),
			 (unsigned long)(from % 4), (unsigned long)(to / 4),
			 (unsigned long)(to % 4), (unsigned long)got, (unsigned long)len);
}

/*
 * The generations that may have been there, of those that the answer can stand for. @len may be
 * 0: it wasn't asked for.
 */
static bool could_be(uint64_t place, uint64_t from, uint64_t to, uint64_t vaddr, uint64_t iova,
		     uint64_t len)
{
	uint64_t last = to / 4 + (place < SWAPPED && to % 4);

	for (uint64_t g = from / 4; g <= last; g++) {
		struct shape s = shape_of(place, g);

		if (place >= SWAPPED && g == to / 4 && !(to % 4))
			continue;
		if (vaddr - s.vaddr < s.len && iova == s.iova + (vaddr - s.vaddr) &&
		    (!len || len == s.len - (vaddr - s.vaddr)))
			return true;
	}
	return false;
}

/* Was it, or was it not, mapped at some moment? */
static bool could_be_missing(uint64_t place, uint64_t from, uint64_t to, uint64_t vaddr)
{
	struct shape s = shape_of(place, from / 4);

	if (place < SWAPPED)
		return false;
	return from != to || from % 4 != 2 || !(vaddr - s.vaddr < s.len);
}

/* An address that the place has or, if it isn't one of those swapped, may have. */
static uint64_t vaddr_in(struct reader *r, uint64_t place, uint64_t state)
{
	struct shape s = shape_of(place, state / 4);

	if (place < SWAPPED)
		return 0x600000ull * MB2 + place * 4 * GB + chance(&r->seed, 2 * MB2);
	return s.vaddr + chance(&r->seed, s.len + PAGE);
}

/* Of all places; or one address only, since what is all of mapped pages has a way of its own. */
static void ask_for_many(struct reader *r)
{
	bool same = chance(&r->seed, 2);
	uint64_t places[MANY], from[MANY];
	const void *vaddrs[MANY];
	weir_iova iovas[MANY];
	size_t found, n = 0;

	for (size_t i = 0; i < MANY; i++) {
		places[i] = chance(&r->seed, i % 2 ? PLACES : SWAPPED);
		from[i] = said(places[i]);
		vaddrs[i] = (void *)(uintptr_t)vaddr_in(r, places[i], from[i]);
		if (i && same) {
			places[i] = places[0];
			from[i] = from[0];
			vaddrs[i] = vaddrs[0];
		}
	}
	found = weir_ioas_to_iovas(as, vaddrs, iovas, MANY);
	for (size_t i = 0; i < MANY; i++) {
		uint64_t to = said(places[i]), vaddr = (uintptr_t)vaddrs[i];

		if (iovas[i] == WEIR_IOVA_NONE ?
		    !could_be_missing(places[i], from[i], to, vaddr) :
		    !could_be(places[i], from[i], to, vaddr, iovas[i], 0))
			wrong(r, "of many", places[i], from[i], to, iovas[i], 0);
		n += iovas[i] != WEIR_IOVA_NONE;
	}
	if (n != found)
		wrong(r, "count", 0, 0, 0, n, found);
}

static void ask_for_iova(struct reader *r, uint64_t place)
{
	uint64_t from = said(place), vaddr = vaddr_in(r, place, from), to;
	weir_iova iova = 0;
	size_t len = 0;
	int ret;

	ret = weir_ioas_to_iova(as, (void *)(uintptr_t)vaddr, &iova, &len);
	to = said(place);
	r->found += !ret;
	if (ret ? !could_be_missing(place, from, to, vaddr) :
		  !could_be(place, from, to, vaddr, iova, len))
		wrong(r, ret ? "no IOVA" : "IOVA", place, from, to, iova, len);
}

static void ask_for_vaddr(struct reader *r, uint64_t place)
{
	uint64_t from = said(place), generation = from / 4, at, to;
	struct shape s = shape_of(place, generation);
	void *vaddr = NULL;
	size_t len = 0;
	int ret;

	at = chance(&r->seed, s.len);
	ret = weir_ioas_to_vaddr(as, s.iova + at, &vaddr, &len);
	to = said(place);
	r->found += !ret;
	/* A later generation with that IOVA may have come. */
	if (to / 4 > generation + 32)
		return;
	if (ret) {
		if (from == to && from % 4 == (place < SWAPPED ? 0 : 2))
			wrong(r, "no vaddr", place, from, to, 0, 0);
	} else if (!could_be(place, from, to, (uintptr_t)vaddr, s.iova + at, len)) {
		wrong(r, "vaddr", place, from, to, (uintptr_t)vaddr, len);
	}
}

static void *read_for_a_while(void *arg)
{
	struct reader *r = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		static const uint64_t most[] = { SWAPPED, PLACES, 2 * SWAPPED };
		uint64_t place = chance(&r->seed, most[chance(&r->seed, 3)]);

		if (!chance(&r->seed, 64))
			ask_for_many(r);
		else if (chance(&r->seed, 2))
			ask_for_iova(r, place);
		else
			ask_for_vaddr(r, place);
		if (!(++r->lookups % 64)) {
			__atomic_fetch_add(&hits, r->found, __ATOMIC_RELAXED);
			r->found = 0;
		}
	}
	return NULL;
}

static void look_ups_are_true_while_mappings_change(void **state)
{
	static struct reader readers[READERS];
	size_t writes;

	(void)state;
	assert_int_equal(weir_ioas_open(NULL, &as), 0);
	for (uint64_t place = 0; place < SWAPPED; place++)
		map_it(place, 0);
	for (size_t i = 0; i < READERS; i++) {
		readers[i].seed = i << 40;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_for_a_while,
						&readers[i]), 0);
	}
	writes = write_for_a_while();
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		if (readers[i].wrong)
			print_error("%zu wrong of %zu: %s\n", readers[i].wrong, readers[i].lookups,
				    readers[i].what);
	}
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(readers[i].wrong, 0);
	assert_true(writes > 500 && hits > 500);
	/* Of those swapped, at most two are there at once. */
	assert_in_range(as->maps.by_vaddr.tables, 63, 2 * 63);
	assert_in_range(as->maps.by_iova.tables, 63, 3 * 63);
	for (uint64_t place = 0; place < SWAPPED; place++)
		unmap_it(place, said(place) / 4);
	assert_int_equal(as->maps.n, 0);
	assert_int_equal(as->maps.n_hidden, 0);
	assert_int_equal(weir_ioas_close(as), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(look_ups_are_true_while_mappings_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
