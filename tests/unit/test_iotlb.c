/* SPDX-License-Identifier: MIT */
/*
 * The IOTLB: by itself, and in a unit, where nothing may show that it is there. Each page of the
 * memory says in every word which page it is.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "pgtable/vtdss.h"
#include "viommu/iotlb.h"
#include "viommu/unit.h"

#define K4	0x1000ull
#define M2	0x200000ull
#define G1	0x40000000ull
#define DEV	0x0110
#define OTHER	0x0118
#define PAGES	16u
#define RW	true, true

static struct {
	struct wr_unit *unit;
	struct wr_vtdss *pt;
	uint64_t *memory;	/* PAGES of 4 KiB */
} rig;

static uint64_t *page_at(unsigned int page)
{
	return rig.memory + page * (K4 / 8);
}

static void fill(unsigned int page, uint64_t value)
{
	for (unsigned int i = 0; i < K4 / 8; i++)
		page_at(page)[i] = value;
}

static int setup(void **state)
{
	(void)state;
	if (wr_unit_create(&rig.unit) || wr_vtdss_create(4, &rig.pt) ||
	    wr_unit_attach(rig.unit, DEV, wr_vtdss_root(rig.pt), 4))
		return -1;
	rig.memory = aligned_alloc(K4, PAGES * K4);
	for (unsigned int page = 0; page < PAGES; page++)
		fill(page, page);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wr_unit_destroy(rig.unit);
	wr_vtdss_destroy(rig.pt);
	free(rig.memory);
	return 0;
}

static void map_in(struct wr_vtdss *pt, uint64_t iova, unsigned int page, bool read, bool write)
{
	assert_int_equal(wr_vtdss_map(pt, iova, (uintptr_t)page_at(page), K4, read, write, 12), 0);
}

static void map(uint64_t iova, unsigned int page)
{
	map_in(rig.pt, iova, page, RW);
}

static void unmap(uint64_t iova)
{
	wr_vtdss_unmap(rig.pt, iova, K4);
	wr_unit_sync(rig.unit);
	wr_vtdss_reap(rig.pt);
}

/* Returns the run, 0 when the access is blocked. */
static size_t reach(uint16_t requester, uint64_t iova, bool write, void **ptr)
{
	struct weir_fault fault;
	size_t run = 0;

	*ptr = NULL;
	wr_unit_begin(rig.unit);
	if (wr_unit_translate(rig.unit, requester, iova, SIZE_MAX, write, ptr, &run)) {
		assert_int_equal(wr_unit_faults(rig.unit, &fault, 1), 1);
		assert_int_equal(fault.iova, iova);
	}
	wr_unit_end(rig.unit);
	return run;
}

/* The first walks, the second may find what the first left. */
static void assert_page(uint16_t requester, uint64_t iova, bool write, unsigned int page)
{
	void *ptr;

	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(reach(requester, iova + 8 * i, write, &ptr), K4 - 8 * i);
		assert_ptr_equal(ptr, page_at(page) + i);
	}
}

static void assert_blocked(uint16_t requester, uint64_t iova, bool write)
{
	void *ptr;

	assert_int_equal(reach(requester, iova, write, &ptr), 0);
}

/* ---- by itself ---- */

static bool find(const struct wr_iotlb *tlb, uint64_t iova, bool write)
{
	uint64_t addr, run;

	return wr_iotlb_find(tlb, DEV, iova, write, &addr, &run);
}

static void entries_count_in_their_generation(void **state)
{
	static struct wr_iotlb tlb = { .generation = 1 };
	const struct wr_walk walk = { .addr = 0x5123, .run = 0xedd, .shift = 12, .read = true };
	struct wr_iotlb_entry *e = &tlb.entries[wr_iotlb_index(wr_iotlb_key(DEV, 0x7123))];
	uint64_t before = wr_iotlb_generation(&tlb), addr, run;

	(void)state;
	assert_false(find(&tlb, 0, false));
	assert_false(wr_iotlb_find(&tlb, 0, 0, false, &addr, &run));
	wr_iotlb_insert(&tlb, before, DEV, 0x7123, &walk, true);
	assert_true(wr_iotlb_find(&tlb, DEV, 0x7ff0, true, &addr, &run));
	assert_int_equal(addr, 0x5ff0);
	assert_int_equal(run, 0x10);
	assert_false(wr_iotlb_find(&tlb, DEV ^ 1 << 10, 0x7ff0, true, &addr, &run));
	assert_false(find(&tlb, 0x7123 | 1ull << 63, false));

	/* A walk that began before the invalidation comes too late. */
	wr_iotlb_invalidate(&tlb);
	assert_false(find(&tlb, 0x7123, false));
	wr_iotlb_insert(&tlb, before, DEV, 0x7123, &walk, true);
	assert_false(find(&tlb, 0x7123, false));

	wr_iotlb_insert(&tlb, wr_iotlb_generation(&tlb), DEV, 0x7123, &walk, false);
	assert_true(find(&tlb, 0x7123, false));
	assert_false(find(&tlb, 0x7123, true));

	/* While somebody writes it. */
	e->version++;
	assert_false(find(&tlb, 0x7123, false));
	wr_iotlb_insert(&tlb, wr_iotlb_generation(&tlb), DEV, 0x7123, &walk, true);
	e->version++;
	assert_true(find(&tlb, 0x7123, false));
	assert_false(find(&tlb, 0x7123, true));
}

/* ---- in a unit ---- */

/* Were this not so, no case below would test anything. */
static void translations_are_remembered(void **state)
{
	void *ptr;

	(void)state;
	map(0x7000, 3);
	assert_page(DEV, 0x7000, false, 3);
	wr_vtdss_unmap(rig.pt, 0x7000, K4);
	assert_int_equal(reach(DEV, 0x7000, false, &ptr), K4);
	wr_unit_sync(rig.unit);
	assert_blocked(DEV, 0x7000, false);
	wr_vtdss_reap(rig.pt);
}

static void nothing_is_remembered_that_was_blocked(void **state)
{
	(void)state;
	assert_blocked(DEV, 0x7000, false);
	assert_blocked(OTHER, 0x7000, false);
	map(0x7000, 3);
	assert_int_equal(wr_unit_attach(rig.unit, OTHER, wr_vtdss_root(rig.pt), 4), 0);
	assert_page(DEV, 0x7000, false, 3);
	assert_page(OTHER, 0x7000, false, 3);
}

static void unmapped_and_mapped_elsewhere(void **state)
{
	uint64_t value;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		unsigned int page = i % PAGES;

		assert_blocked(DEV, 0x7000, i % 2);
		map(0x7000, page);
		assert_page(DEV, 0x7000, i % 3, page);
		assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x7ff8, &value, 8, false), 0);
		assert_int_equal(value, page);
		unmap(0x7000);
	}
}

static void memory_that_moves(void **state)
{
	(void)state;
	map(0x7000, 0);
	for (unsigned int page = 0; page < PAGES; page++) {
		assert_int_equal(wr_vtdss_move(rig.pt, 0x7000, (uintptr_t)page_at(page), K4), 0);
		wr_unit_sync(rig.unit);
		assert_page(DEV, 0x7000, page % 2, page);
	}
}

static void requesters_dont_share(void **state)
{
	struct wr_vtdss *other = NULL;

	(void)state;
	assert_int_equal(wr_vtdss_create(5, &other), 0);
	assert_int_equal(wr_unit_attach(rig.unit, OTHER, wr_vtdss_root(other), 5), 0);
	map(0x7000, 3);
	map_in(other, 0x7000, 4, true, false);
	for (unsigned int i = 0; i < 3; i++) {
		assert_page(DEV, 0x7000, true, 3);
		assert_page(OTHER, 0x7000, false, 4);
		assert_blocked(OTHER, 0x7000, true);
		assert_blocked(OTHER ^ 1 << 10, 0x7000, false);
	}
	/* The widest IOVAs, and beyond. */
	map_in(other, (1ull << 57) - K4, 5, RW);
	assert_page(OTHER, (1ull << 57) - K4, true, 5);
	for (unsigned int bit = 57; bit < 64; bit++)
		assert_blocked(DEV, 0x7000 | 1ull << bit, false);

	wr_unit_detach(rig.unit, DEV);
	assert_blocked(DEV, 0x7000, true);
	assert_page(OTHER, 0x7000, false, 4);
	assert_int_equal(wr_unit_attach(rig.unit, DEV, wr_vtdss_root(other), 5), 0);
	assert_page(DEV, 0x7000, false, 4);
	assert_blocked(DEV, 0x7000, true);
	wr_unit_detach(rig.unit, DEV);
	wr_unit_detach(rig.unit, OTHER);
	wr_vtdss_destroy(other);
}

static void what_is_allowed_is_remembered_too(void **state)
{
	(void)state;
	map_in(rig.pt, 0x7000, 3, true, false);
	map_in(rig.pt, 0x8000, 4, false, true);
	map(0x9000, 5);
	for (unsigned int i = 0; i < 3; i++) {
		assert_page(DEV, 0x7000, false, 3);
		assert_blocked(DEV, 0x7000, true);
		assert_page(DEV, 0x8000, true, 4);
		assert_blocked(DEV, 0x8000, false);
		assert_page(DEV, 0x9000, i % 2, 5);
		assert_page(DEV, 0x9000, !(i % 2), 5);
	}
}

static void more_pages_than_entries(void **state)
{
	const unsigned int n = 5 * WR_IOTLB_ENTRIES + 3;

	(void)state;
	for (unsigned int i = 0; i < n; i++)
		map(i * K4, i * 7 % PAGES);
	for (unsigned int i = 0; i < 3 * n; i++) {
		unsigned int which = i * 2654435761u % n;

		assert_page(DEV, which * K4, i % 2, which * 7 % PAGES);
	}
}

static void large_leaves_run_to_their_end(void **state)
{
	const uint64_t at[] = { 0, 0x12345678, G1 - 1 };
	void *ptr;

	(void)state;
	assert_int_equal(wr_vtdss_map(rig.pt, 8 * G1, 5 * G1, G1, RW, 30), 0);
	assert_int_equal(wr_vtdss_map(rig.pt, 9 * G1, 7 * G1, M2, RW, 30), 0);
	/* This one goes over the interrupt range. */
	assert_int_equal(wr_vtdss_map(rig.pt, 3 * G1, 11 * G1, G1, RW, 30), 0);
	for (unsigned int i = 0; i < 6; i++) {
		uint64_t offset = at[i % 3];

		assert_int_equal(reach(DEV, 8 * G1 + offset, i / 3, &ptr), G1 - offset);
		assert_int_equal((uintptr_t)ptr, 5 * G1 + offset);
		offset %= M2;
		assert_int_equal(reach(DEV, 9 * G1 + offset, i / 3, &ptr), M2 - offset);
		assert_int_equal((uintptr_t)ptr, 7 * G1 + offset);
		assert_true(reach(DEV, 3 * G1 + i % 2, false, &ptr) <= 0x3ee00000);
		assert_int_equal((uintptr_t)ptr, 11 * G1 + i % 2);
		assert_blocked(DEV, 0xfee00000, false);
	}
	/* Smaller leaves translate the same; what is gone is gone wherever one looks. */
	assert_int_equal(wr_vtdss_split(rig.pt, 8 * G1, G1, 12), 0);
	wr_unit_sync(rig.unit);
	assert_int_equal(reach(DEV, 8 * G1 + 0x12345678, true, &ptr), 0x988);
	assert_int_equal((uintptr_t)ptr, 5 * G1 + 0x12345678);
	wr_vtdss_unmap(rig.pt, 8 * G1, 2 * G1);
	wr_unit_sync(rig.unit);
	for (unsigned int i = 0; i < 3; i++) {
		assert_blocked(DEV, 8 * G1 + at[i], false);
		assert_blocked(DEV, 9 * G1 + at[i] % M2, true);
	}
	wr_vtdss_reap(rig.pt);
}

static size_t take_dirty(uint64_t iova)
{
	size_t pages = wr_vtdss_dirty(rig.pt, iova, K4, NULL);

	wr_unit_sync(rig.unit);
	return pages;
}

static void no_write_goes_unnoticed(void **state)
{
	(void)state;
	map(0x7000, 3);
	assert_page(DEV, 0x7000, true, 3);
	assert_int_equal(take_dirty(0x7000), 0);
	wr_unit_track_dirty(rig.unit, true);
	wr_unit_sync(rig.unit);
	for (unsigned int i = 0; i < 3; i++) {
		assert_page(DEV, 0x7000, true, 3);
		assert_int_equal(take_dirty(0x7000), 1);
		assert_int_equal(take_dirty(0x7000), 0);
		/* Reading isn't writing, and what is known from it doesn't do for a write. */
		assert_page(DEV, 0x7000, false, 3);
		assert_int_equal(take_dirty(0x7000), 0);
		assert_page(DEV, 0x7000, false, 3);
		assert_page(DEV, 0x7000, true, 3);
		assert_page(DEV, 0x7000, false, 3);
		assert_page(DEV, 0x7000, true, 3);
		assert_int_equal(take_dirty(0x7000), 1);
	}
	assert_page(DEV, 0x7000, true, 3);
	assert_int_equal(take_dirty(0x7000), 1);
	wr_unit_track_dirty(rig.unit, false);
	wr_unit_sync(rig.unit);
	assert_page(DEV, 0x7000, true, 3);
	assert_int_equal(take_dirty(0x7000), 0);
}

/* ---- many threads ---- */

/*
 * IOVAs for two requesters. The page behind each holds its number while it is mapped, and something
 * else as soon as it isn't. Where all want the same entry, half-written ones would show; where each
 * has one for itself, what is stale lives long enough to be found.
 */
#define CROWD	8u
#define POISON	0xdeadbeefdeadbeefull

static uint64_t crowd[CROWD];
static bool stop;
static unsigned int mistakes, hits;

static void gather(bool together)
{
	unsigned int n = 0, index = wr_iotlb_index(wr_iotlb_key(DEV, 0));

	for (uint64_t iova = 0; n < CROWD; iova += K4)
		if (!together ||
		    wr_iotlb_index(wr_iotlb_key(n % 2 ? OTHER : DEV, iova)) == index)
			crowd[n++] = iova;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void *sync_once(void *arg)
{
	wr_unit_sync(arg);
	return NULL;
}

/*
 * A walk that an invalidation overtakes: the top-level table can't be read at first, and before it
 * can, another thread has called sync, which waits for this bracket. Were the walk's finding kept
 * for good, the change that follows wouldn't be seen.
 */
static bool overtaken, syncing;

static void *sync_when_told(void *arg)
{
	while (!__atomic_load_n(&overtaken, __ATOMIC_ACQUIRE))
		nap();
	__atomic_store_n(&syncing, true, __ATOMIC_RELEASE);
	wr_unit_sync(arg);
	return NULL;
}

static void on_fault(int sig)
{
	(void)sig;
	__atomic_store_n(&overtaken, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&syncing, __ATOMIC_ACQUIRE))
		nap();
	for (unsigned int i = 0; i < 20; i++)
		nap();
	mprotect((void *)(uintptr_t)wr_vtdss_root(rig.pt), K4, PROT_READ | PROT_WRITE);
}

static void overtaken_walks_are_not_kept(void **state)
{
	struct sigaction action = { .sa_handler = on_fault }, old;
	pthread_t thread;
	size_t run;
	void *ptr;

	(void)state;
	overtaken = syncing = false;
	map(0x7000, 3);
	assert_int_equal(sigaction(SIGSEGV, &action, &old), 0);
	assert_int_equal(pthread_create(&thread, NULL, sync_when_told, rig.unit), 0);
	assert_int_equal(mprotect((void *)(uintptr_t)wr_vtdss_root(rig.pt), K4, PROT_NONE), 0);
	wr_unit_begin(rig.unit);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0x7000, 8, false, &ptr, &run), 0);
	assert_true(overtaken);
	wr_vtdss_unmap(rig.pt, 0x7000, K4);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0x7000, 8, false, &ptr, &run), -EFAULT);
	wr_unit_end(rig.unit);
	pthread_join(thread, NULL);
	assert_int_equal(sigaction(SIGSEGV, &old, NULL), 0);
	wr_vtdss_reap(rig.pt);
}

/* It forgets before it waits: a bracket that it doesn't wait for mustn't find what was. */
static void sync_forgets_before_it_waits(void **state)
{
	pthread_t thread;
	size_t run;
	void *ptr;
	int tries;

	(void)state;
	map(0x7000, 3);
	wr_unit_begin(rig.unit);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0x7000, 8, false, &ptr, &run), 0);
	wr_vtdss_unmap(rig.pt, 0x7000, K4);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0x7000, 8, false, &ptr, &run), 0);
	assert_int_equal(pthread_create(&thread, NULL, sync_once, rig.unit), 0);
	for (tries = 0; tries < 5000; tries++, nap())
		if (wr_unit_translate(rig.unit, DEV, 0x7000, 8, false, &ptr, &run))
			break;
	wr_unit_end(rig.unit);
	pthread_join(thread, NULL);
	assert_in_range(tries, 0, 4999);
	wr_vtdss_reap(rig.pt);
}

static void *look(void *arg)
{
	unsigned int found = 0, n = (unsigned int)(uintptr_t)arg;
	size_t run;
	void *ptr;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || !found) {
		n = (n * 5 + 1) % CROWD;
		wr_unit_begin(rig.unit);
		for (unsigned int i = 0; i < 4; i++) {
			if (wr_unit_translate(rig.unit, n % 2 ? OTHER : DEV, crowd[n] + 8 * i, 8,
					      false, &ptr, &run))
				continue;
			found++;
			if (*(const uint64_t *)ptr != n || run != 8)
				__atomic_fetch_add(&mistakes, 1, __ATOMIC_RELAXED);
		}
		wr_unit_end(rig.unit);
	}
	__atomic_fetch_add(&hits, found, __ATOMIC_RELAXED);
	return NULL;
}

static bool late(time_t started)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - started > 1;
}

static void hammer(bool together)
{
	pthread_t threads[3];
	struct timespec start;

	stop = false;
	mistakes = hits = 0;
	gather(together);
	assert_int_equal(wr_unit_attach(rig.unit, OTHER, wr_vtdss_root(rig.pt), 4), 0);
	/* Of its two pages the one that isn't mapped is poisoned. */
	for (unsigned int page = 0; page < PAGES; page++)
		fill(page, page < CROWD ? page : POISON);
	for (unsigned int i = 0; i < CROWD; i++)
		map(crowd[i], i);
	for (uintptr_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look, (void *)i), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned int i = 0; i < 20000 && !late(start.tv_sec); i++) {
		unsigned int n = i % CROWD, old = n + (i / CROWD % 2 ? CROWD : 0);

		unmap(crowd[n]);
		fill(old, POISON);
		fill(old ^ CROWD, n);
		map(crowd[n], old ^ CROWD);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(mistakes, 0);
	assert_true(hits);
}

static void nothing_stale_among_threads(void **state)
{
	(void)state;
	hammer(false);
}

static void nothing_torn_among_threads(void **state)
{
	(void)state;
	hammer(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_count_in_their_generation),
		cmocka_unit_test_setup_teardown(translations_are_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_remembered_that_was_blocked, setup,
						teardown),
		cmocka_unit_test_setup_teardown(unmapped_and_mapped_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_that_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(requesters_dont_share, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_allowed_is_remembered_too, setup, teardown),
		cmocka_unit_test_setup_teardown(more_pages_than_entries, setup, teardown),
		cmocka_unit_test_setup_teardown(large_leaves_run_to_their_end, setup, teardown),
		cmocka_unit_test_setup_teardown(no_write_goes_unnoticed, setup, teardown),
		cmocka_unit_test_setup_teardown(overtaken_walks_are_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(sync_forgets_before_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_stale_among_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_torn_among_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
