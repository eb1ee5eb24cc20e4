/* SPDX-License-Identifier: MIT */
/*
 * The software remapping unit. cmocka's assertions belong to the main thread; other threads count
 * what went wrong, and the main thread looks at the count.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "pgtable/vtdss.h"
#include "viommu/unit.h"

#define K4	0x1000ull
#define G1	0x40000000ull
#define DEV	0x0110		/* 01:02.0 */
#define RW	true, true

struct rig {
	struct wr_unit *unit;
	struct wr_vtdss *pt;
	uint8_t *memory;	/* PAGES of 4 KiB */
};

#define PAGES	16u

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	if (wr_unit_create(&rig.unit) || wr_vtdss_create(3, &rig.pt) ||
	    wr_unit_attach(rig.unit, DEV, wr_vtdss_root(rig.pt), 3))
		return -1;
	rig.memory = aligned_alloc(K4, PAGES * K4);
	memset(rig.memory, 0x5a, PAGES * K4);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wr_unit_destroy(rig.unit);
	wr_vtdss_destroy(rig.pt);
	free(rig.memory);
	return wr_unit_in_bracket() ? -1 : 0;
}

static void map(uint64_t iova, unsigned int page, unsigned int pages, bool read, bool write)
{
	assert_int_equal(wr_vtdss_map(rig.pt, iova, (uintptr_t)rig.memory + page * K4, pages * K4,
				      read, write, 12), 0);
}

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* One fault is recorded, this one. */
static void assert_fault(uint16_t requester, uint64_t iova, bool write, unsigned int reason)
{
	struct weir_fault fault[2];

	assert_int_equal(wr_unit_faults(rig.unit, fault, 2), 1);
	assert_int_equal(fault[0].requester, requester);
	assert_int_equal(fault[0].iova, iova);
	assert_int_equal(fault[0].write, write);
	assert_int_equal(fault[0].reason, reason);
	assert_string_equal(fault[0].text, wr_vtd_reason_text(reason));
}

static void assert_blocked(uint16_t requester, uint64_t iova, bool write, unsigned int reason)
{
	char buf[8] = "unused";
	size_t run = 77;
	void *ptr = buf;

	wr_unit_begin(rig.unit);
	assert_int_equal(wr_unit_translate(rig.unit, requester, iova, 8, write, &ptr, &run),
			 -EFAULT);
	wr_unit_end(rig.unit);
	assert_fault(requester, iova, write, reason);
	assert_int_equal(wr_unit_dma(rig.unit, requester, iova, buf, 8, write), -EFAULT);
	assert_fault(requester, iova, write, reason);
	assert_string_equal(buf, "unused");
}

/* ---- requesters ---- */

static void attach_refuses_nonsense(void **state)
{
	uint64_t root = wr_vtdss_root(rig.pt);

	(void)state;
	assert_int_equal(wr_unit_attach(rig.unit, 0, 0, 3), -EINVAL);
	assert_int_equal(wr_unit_attach(rig.unit, 0, root + 8, 3), -EINVAL);
	assert_int_equal(wr_unit_attach(rig.unit, 0, root | 1ull << 52, 3), -EINVAL);
	assert_int_equal(wr_unit_attach(rig.unit, 0, root, 2), -EINVAL);
	assert_int_equal(wr_unit_attach(rig.unit, 0, root, 6), -EINVAL);
	assert_int_equal(wr_unit_attach(rig.unit, 0, root, 11), -EINVAL);
	assert_blocked(0, 0, false, 0x2);
	assert_int_equal(wr_unit_attach(rig.unit, DEV, root, 3), -EEXIST);
	assert_non_null(strstr(weir_errmsg(), "01:02.0"));
	wr_unit_detach(rig.unit, 0x4242);
	wr_unit_destroy(NULL);
}

static void requesters_have_their_own_tables(void **state)
{
	struct wr_vtdss *other = NULL;
	uint8_t byte = 0;

	(void)state;
	assert_int_equal(wr_vtdss_create(5, &other), 0);
	map(0, 0, 1, RW);
	rig.memory[0] = 1;
	rig.memory[K4] = 2;
	assert_int_equal(wr_vtdss_map(other, 0, (uintptr_t)rig.memory + K4, K4, RW, 12), 0);
	for (unsigned int r = 0; r < 0x10000; r += 0x35)
		if (r != DEV)
			assert_int_equal(wr_unit_attach(rig.unit, (uint16_t)r,
							wr_vtdss_root(other), 5), 0);
	for (unsigned int r = 0; r < 0x10000; r++) {
		if (r != DEV && r % 0x35) {
			if (r % 101 == 0)
				assert_blocked((uint16_t)r, 0, false, 0x2);
			continue;
		}
		assert_int_equal(wr_unit_dma(rig.unit, (uint16_t)r, 0, &byte, 1, false), 0);
		assert_int_equal(byte, r == DEV ? 1 : 2);
	}
	/* Widths differ as well. */
	assert_blocked(DEV, 1ull << 39, false, 0x4);
	assert_blocked(0, 1ull << 39, false, 0x6);

	wr_unit_detach(rig.unit, DEV);
	assert_blocked(DEV, 0, true, 0x2);
	assert_int_equal(wr_unit_attach(rig.unit, DEV, wr_vtdss_root(other), 5), 0);
	assert_int_equal(wr_unit_dma(rig.unit, DEV, 0, &byte, 1, false), 0);
	assert_int_equal(byte, 2);
	wr_unit_detach(rig.unit, DEV);
	wr_vtdss_destroy(other);
}

/* ---- faults ---- */

static void faults_say_what_was_blocked(void **state)
{
	uint8_t buf[3 * K4];

	(void)state;
	map(0x10000, 0, 2, RW);
	map(0x20000, 0, 1, true, false);
	map(0x21000, 0, 1, false, true);
	assert_blocked(DEV, 0, false, 0x6);
	assert_blocked(DEV, 0xffff, true, 0x5);
	assert_blocked(DEV, 0x20000, true, 0x5);
	assert_blocked(DEV, 0x21ff0, false, 0x6);
	assert_blocked(DEV, ~0ull, true, 0x4);

	/* The first byte that was blocked, not the first of the access; what is before was done. */
	memset(buf, 0x77, sizeof(buf));
	assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x10800, buf, sizeof(buf), true), -EFAULT);
	assert_fault(DEV, 0x12000, true, 0x5);
	assert_int_equal(rig.memory[0x7ff], 0x5a);
	assert_int_equal(rig.memory[0x800], 0x77);
	assert_int_equal(rig.memory[0x1fff], 0x77);
	assert_int_equal(rig.memory[0x2000], 0x5a);
	assert_non_null(strstr(weir_errmsg(), "01:02.0"));
	assert_non_null(strstr(weir_errmsg(), "write"));
	assert_non_null(strstr(weir_errmsg(), "0x12000"));
	assert_non_null(strstr(weir_errmsg(), wr_vtd_reason_text(5)));
	assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x11800, buf, sizeof(buf), false), -EFAULT);
	assert_fault(DEV, 0x12000, false, 0x6);
	assert_non_null(strstr(weir_errmsg(), "read"));
}

static void interrupt_range_is_never_memory(void **state)
{
	uint8_t buf[16] = { 0 };
	size_t run = 0;
	void *ptr;

	(void)state;
	/* A leaf over all of it; nothing of it is touched. */
	assert_int_equal(wr_vtdss_map(rig.pt, 3 * G1, 5 * G1, G1, RW, 30), 0);
	assert_blocked(DEV, 0xfee00000, false, 0xe);
	assert_blocked(DEV, 0xfee00000, true, 0xe);
	assert_blocked(DEV, 0xfeefffff, true, 0xe);
	wr_unit_begin(rig.unit);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0xfedff000, G1, true, &ptr, &run), 0);
	assert_int_equal(run, K4);
	assert_int_equal((uintptr_t)ptr, 5 * G1 + 0x3edff000);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0xfedfffff, 2, true, &ptr, &run), 0);
	assert_int_equal(run, 1);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0xfef00000, G1, true, &ptr, &run), 0);
	assert_int_equal(run, 0x1100000);
	wr_unit_end(rig.unit);
	/* Up to its edge, and then not. */
	wr_vtdss_unmap(rig.pt, 3 * G1, G1);
	wr_unit_sync(rig.unit);
	wr_vtdss_reap(rig.pt);
	map(0xfedff000, 0, 2, RW);
	assert_int_equal(wr_unit_dma(rig.unit, DEV, 0xfedffff8, buf, 16, true), -EFAULT);
	assert_fault(DEV, 0xfee00000, true, 0xe);
	assert_int_equal(rig.memory[0xfff], 0);
	assert_int_equal(rig.memory[0x1000], 0x5a);
	assert_non_null(strstr(weir_errmsg(), "interrupt"));
}

static char last_line[256];

static void keep_line(void *arg, enum weir_log_level level, const char *msg)
{
	(void)arg;
	(void)level;
	snprintf(last_line, sizeof(last_line), "%s", msg);
}

static void faults_are_dropped_when_full(void **state)
{
	struct weir_fault faults[100];
	uint8_t byte;

	(void)state;
	assert_int_equal(wr_unit_faults(rig.unit, faults, 100), 0);
	weir_log_set(keep_line, NULL, WEIR_LOG_WARN);
	for (unsigned int round = 0; round < 3; round++) {
		last_line[0] = '\0';
		for (unsigned int i = 0; i < 74; i++)
			assert_int_equal(wr_unit_dma(rig.unit, DEV, i * K4, &byte, 1, false),
					 -EFAULT);
		assert_int_equal(wr_unit_faults(rig.unit, faults, 0), 0);
		assert_string_equal(last_line, "");
		assert_int_equal(wr_unit_faults(rig.unit, faults, 10), 10);
		assert_int_equal(strncmp(last_line, "10 DMA faults", 13), 0);
		assert_int_equal(wr_unit_dma(rig.unit, DEV, 500 * K4, &byte, 1, true), -EFAULT);
		last_line[0] = '\0';
		assert_int_equal(wr_unit_faults(rig.unit, faults + 10, 90), 55);
		assert_string_equal(last_line, "");
		for (unsigned int i = 0; i < 64; i++)
			assert_int_equal(faults[i].iova, i * K4);
		assert_int_equal(faults[64].iova, 500 * K4);
		assert_true(faults[64].write);
	}
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
}

/* ---- copies ---- */

static void dma_copies_every_byte(void **state)
{
	uint8_t buf[2 * K4], expect[4 * K4];

	(void)state;
	/* IOVA order differs from memory's: 1, 0, 3, 2. */
	for (unsigned int i = 0; i < 4; i++)
		map(0x40000 + i * K4, i ^ 1, 1, RW);
	assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x123456789, NULL, 0, true), 0);
	for (unsigned int i = 0; i < sizeof(expect); i++)
		expect[i] = 0x5a;
	for (unsigned int len = 1; len < 600; len += len < 40 ? 1 : 67) {
		for (unsigned int at = K4 - 20; at < K4 + 20; at++) {
			for (unsigned int i = 0; i < len; i++)
				buf[i] = expect[at + i] = (uint8_t)(len * 31 + at * 7 + i);
			assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x40000 + at, buf, len, true),
					 0);
			memset(buf, 0, sizeof(buf));
			assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x40000 + at, buf, len, false),
					 0);
			assert_memory_equal(buf, expect + at, len);
		}
	}
	for (unsigned int i = 0; i < 4; i++)
		assert_memory_equal(rig.memory + (i ^ 1) * K4, expect + i * K4, K4);
	assert_int_equal(rig.memory[4 * K4], 0x5a);
	/* Larger than a page, off its start. */
	assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x40ff1, buf, 2 * K4, false), 0);
	assert_memory_equal(buf, expect + 0xff1, 2 * K4);
}

static void dma_crosses_where_memory_does_and_doesnt(void **state)
{
	static const unsigned int pages[] = { 4, 5, 6, 2, 3, 9, 8 };
	uint8_t buf[7 * K4], back[7 * K4];

	(void)state;
	for (unsigned int i = 0; i < 7; i++)
		map(0x40000 + i * K4, pages[i], 1, RW);
	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 7 + i / K4);
	for (unsigned int round = 0; round < 2; round++) {
		memset(rig.memory, 0x5a, PAGES * K4);
		assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x40000, buf, sizeof(buf), true), 0);
		for (unsigned int i = 0; i < 7; i++)
			assert_memory_equal(rig.memory + pages[i] * K4, buf + i * K4, K4);
		assert_int_equal(rig.memory[7 * K4], 0x5a);
		memset(back, 0, sizeof(back));
		assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x40000, back, sizeof(back), false), 0);
		assert_memory_equal(back, buf, sizeof(buf));
		/* Up to the end of what is mapped, and not a byte further. */
		memset(rig.memory, 0x5a, PAGES * K4);
		assert_int_equal(wr_unit_dma(rig.unit, DEV, 0x45ff0, buf, sizeof(buf), true),
				 -EFAULT);
		assert_fault(DEV, 0x47000, true, 0x5);
		assert_memory_equal(rig.memory + 9 * K4 + 0xff0, buf, 16);
		assert_memory_equal(rig.memory + 8 * K4, buf + 16, K4);
		assert_int_equal(rig.memory[10 * K4], 0x5a);
	}
}

static void translate_gives_runs(void **state)
{
	size_t run;
	void *ptr;

	(void)state;
	map(0x40000, 2, 2, RW);
	wr_unit_begin(rig.unit);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0x40010, 5, true, &ptr, &run), 0);
	assert_ptr_equal(ptr, rig.memory + 2 * K4 + 0x10);
	assert_int_equal(run, 5);
	assert_int_equal(wr_unit_translate(rig.unit, DEV, 0x40010, SIZE_MAX, false, &ptr, &run), 0);
	assert_true(run >= K4 - 0x10 && run <= 2 * K4 - 0x10);
	wr_unit_end(rig.unit);
}

#define RECORDS	100000ul

/* A driver that polls the last word of 32-byte records finds the rest of them complete. */
static void *complete_records(void *arg)
{
	uint64_t record[4];

	(void)arg;
	for (uint64_t i = 1; i <= RECORDS; i++) {
		record[0] = record[1] = record[2] = record[3] = i;
		if (wr_unit_dma(rig.unit, DEV, 0x40000 + i % 64 * 32, record, 32, true))
			return &rig;
	}
	return NULL;
}

static void last_word_comes_last(void **state)
{
	uint64_t *records = (uint64_t *)rig.memory, seen = 0;
	pthread_t thread;
	void *failed;

	(void)state;
	memset(rig.memory, 0, K4);
	map(0x40000, 0, 1, RW);
	assert_int_equal(pthread_create(&thread, NULL, complete_records, NULL), 0);
	while (seen < RECORDS) {
		for (unsigned int i = 0; i < 64; i++) {
			uint64_t *record = &records[i * 4];
			uint64_t last = __atomic_load_n(&record[3], __ATOMIC_ACQUIRE);

			for (unsigned int k = 0; k < 3; k++)
				assert_true(__atomic_load_n(&record[k], __ATOMIC_RELAXED) >= last);
			if (last > seen)
				seen = last;
		}
	}
	pthread_join(thread, &failed);
	assert_null(failed);
}

/* ---- brackets ---- */

struct waiter {
	pthread_t thread;
	struct wr_unit *unit;
	bool done, was_in_bracket;
};

static void *sync_once(void *arg)
{
	struct waiter *w = arg;

	w->was_in_bracket = wr_unit_in_bracket();
	wr_unit_sync(w->unit);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start_sync(struct waiter *w, struct wr_unit *unit)
{
	*w = (struct waiter){ .unit = unit };
	assert_int_equal(pthread_create(&w->thread, NULL, sync_once, w), 0);
}

static bool still_waits(struct waiter *w)
{
	nap(20);
	return !__atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

static void sync_waits_for_the_outer_bracket(void **state)
{
	struct waiter w;

	(void)state;
	wr_unit_sync(rig.unit);
	for (unsigned int round = 0; round < 3; round++) {
		assert_false(wr_unit_in_bracket());
		wr_unit_begin(rig.unit);
		wr_unit_begin(rig.unit);
		assert_true(wr_unit_in_bracket());
		start_sync(&w, rig.unit);
		assert_true(still_waits(&w));
		wr_unit_begin(rig.unit);
		wr_unit_end(rig.unit);
		wr_unit_end(rig.unit);
		assert_true(wr_unit_in_bracket());
		assert_true(still_waits(&w));
		wr_unit_end(rig.unit);
		pthread_join(w.thread, NULL);
		assert_false(w.was_in_bracket);
		assert_false(wr_unit_in_bracket());
	}
}

static void brackets_of_many_units(void **state)
{
	struct wr_unit *units[7];
	struct waiter w[7];

	(void)state;
	for (unsigned int i = 0; i < 7; i++)
		assert_int_equal(wr_unit_create(&units[i]), 0);
	for (unsigned int i = 0; i < 7; i++) {
		wr_unit_begin(units[i]);
		wr_unit_begin(units[i]);
	}
	/* Ended in the order they began, which frees places for others. */
	for (unsigned int i = 0; i < 7; i++) {
		start_sync(&w[i], units[i]);
		wr_unit_end(units[i]);
		wr_unit_begin(units[6]);
		wr_unit_end(units[6]);
		assert_true(still_waits(&w[i]));
		wr_unit_end(units[i]);
		pthread_join(w[i].thread, NULL);
		assert_int_equal(wr_unit_in_bracket(), i < 6);
	}
	/* A bracket of one unit doesn't hold another's sync. */
	wr_unit_begin(units[0]);
	wr_unit_sync(units[1]);
	wr_unit_end(units[0]);
	for (unsigned int i = 0; i < 7; i++) {
		wr_unit_sync(units[i]);
		wr_unit_destroy(units[i]);
	}
}

static void *detach_once(void *arg)
{
	struct waiter *w = arg;

	wr_unit_detach(w->unit, DEV);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void detach_waits_for_accesses(void **state)
{
	struct waiter w = { .unit = rig.unit };
	uint8_t byte;
	int ret = 0;

	(void)state;
	map(0, 0, 1, RW);
	wr_unit_begin(rig.unit);
	assert_int_equal(pthread_create(&w.thread, NULL, detach_once, &w), 0);
	/* On a busy machine that thread may begin late. */
	for (int ms = 0; !ret && ms < 60000; ms++) {
		nap(1);
		ret = wr_unit_dma(rig.unit, DEV, 0, &byte, 1, false);
	}
	assert_int_equal(ret, -EFAULT);
	assert_true(still_waits(&w));
	wr_unit_end(rig.unit);
	pthread_join(w.thread, NULL);
}

/* ---- many threads ---- */

static bool stop;
static unsigned int begun, mistakes;
static time_t started;

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Where threads take turns on one processor, or under valgrind, fewer rounds must do. */
static bool late(void)
{
	return seconds() - started > 2;
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* Leave a bracket only when another thread has begun a later one: never a moment without. */
static void *relay(void *arg)
{
	unsigned int mine;

	(void)arg;
	while (!stopped()) {
		wr_unit_begin(rig.unit);
		mine = __atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
		while (!stopped() && __atomic_load_n(&begun, __ATOMIC_SEQ_CST) == mine)
			sched_yield();
		wr_unit_end(rig.unit);
	}
	return NULL;
}

static void *sync_often(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 200 && !late(); i++)
		wr_unit_sync(rig.unit);
	return NULL;
}

static void sync_returns_amid_new_brackets(void **state)
{
	pthread_t relays[3], syncs[2];

	(void)state;
	stop = false;
	begun = 0;
	started = seconds();
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&relays[i], NULL, relay, NULL), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&syncs[i], NULL, sync_often, NULL), 0);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(syncs[i], NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(relays[i], NULL);
}

#define POISON	0xdeadbeefdeadbeefull
#define GOOD	0x600d600d600d600dull

/* Plain reads, so that ThreadSanitizer sees whether sync orders them before the poison. */
static void *read_pages(void *arg)
{
	unsigned int page = 0, found = 0;
	const uint64_t *words;
	size_t run;
	void *ptr;

	(void)arg;
	while (!stopped() || !found) {
		page = (page * 5 + 1) % PAGES;
		wr_unit_begin(rig.unit);
		if (!wr_unit_translate(rig.unit, DEV, page * K4, K4, false, &ptr, &run)) {
			words = ptr;
			found++;
			for (unsigned int i = 0; i < run / 8; i += 61)
				if (words[i] != GOOD)
					__atomic_fetch_add(&mistakes, 1, __ATOMIC_RELAXED);
		}
		wr_unit_end(rig.unit);
	}
	return NULL;
}

static void fill(unsigned int page, uint64_t value)
{
	uint64_t *words = (uint64_t *)(rig.memory + page * K4);

	for (unsigned int i = 0; i < 512; i++)
		words[i] = value;
}

static void no_reader_sees_memory_after_sync(void **state)
{
	pthread_t readers[3];
	unsigned int page;

	(void)state;
	stop = false;
	mistakes = 0;
	started = seconds();
	for (page = 0; page < PAGES; page++)
		fill(page, GOOD);
	map(0, 0, PAGES, RW);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_pages, NULL), 0);
	for (unsigned int i = 0; i < 3000 && !late(); i++) {
		/* Every other time the last one mapped: the table goes too, and is used again. */
		page = i * 7 % PAGES;
		if (i % 2) {
			wr_vtdss_unmap(rig.pt, page * K4, K4);
			wr_unit_sync(rig.unit);
			wr_vtdss_reap(rig.pt);
			fill(page, POISON);
			fill(page, GOOD);
			map(page * K4, page, 1, RW);
		} else {
			wr_vtdss_unmap(rig.pt, 0, PAGES * K4);
			wr_unit_sync(rig.unit);
			wr_vtdss_reap(rig.pt);
			for (page = 0; page < PAGES; page++)
				fill(page, POISON);
			for (page = 0; page < PAGES; page++)
				fill(page, GOOD);
			map(0, 0, PAGES, RW);
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(mistakes, 0);
}

static unsigned long writes_done;

static void *write_pages(void *arg)
{
	uint64_t n = (uintptr_t)arg;
	uint32_t seed = (uint32_t)n * 2654435761u;

	while (!stopped()) {
		seed = seed * 1664525 + 1013904223;
		n += 16;
		/* Each thread has its own word of each page. */
		if (wr_unit_dma(rig.unit, DEV, (seed >> 16) % PAGES * K4 + n % 16 * 8, &n, 8, true))
			__atomic_fetch_add(&mistakes, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&writes_done, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * As a migration does it: copy what is dirty, again and again. After the last copy, made when the
 * device is still, the copy is the memory.
 */
static void copies_of_dirty_pages_are_whole(void **state)
{
	uint8_t *copy = malloc(PAGES * K4);
	pthread_t writers[2];
	bool last = false;
	uint64_t bits;

	(void)state;
	stop = false;
	mistakes = 0;
	started = seconds();
	writes_done = 0;
	assert_non_null(copy);
	memcpy(copy, rig.memory, PAGES * K4);
	map(0, 0, PAGES, RW);
	wr_unit_track_dirty(rig.unit, true);
	wr_unit_sync(rig.unit);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_pages,
						(void *)(uintptr_t)i), 0);
	for (unsigned int pass = 1; !last; pass++) {
		last = pass == 2000 || late();
		if (last) {
			while (__atomic_load_n(&writes_done, __ATOMIC_RELAXED) < 1000)
				sched_yield();
			__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
			for (unsigned int i = 0; i < 2; i++)
				pthread_join(writers[i], NULL);
		}
		bits = 0;
		wr_vtdss_dirty(rig.pt, 0, PAGES * K4, &bits);
		wr_unit_sync(rig.unit);
		for (unsigned int page = 0; page < PAGES; page++)
			for (unsigned int i = 0; i < 16 && bits >> page & 1; i++)
				*(uint64_t *)(copy + page * K4 + i * 8) = __atomic_load_n(
					(uint64_t *)(rig.memory + page * K4 + i * 8),
					__ATOMIC_ACQUIRE);
	}
	assert_int_equal(mistakes, 0);
	assert_memory_equal(copy, rig.memory, PAGES * K4);
	wr_unit_track_dirty(rig.unit, false);
	assert_int_equal(wr_unit_dma(rig.unit, DEV, 0, &bits, 8, true), 0);
	assert_int_equal(wr_vtdss_dirty(rig.pt, 0, PAGES * K4, NULL), 0);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(attach_refuses_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(requesters_have_their_own_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(faults_say_what_was_blocked, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupt_range_is_never_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(faults_are_dropped_when_full, setup, teardown),
		cmocka_unit_test_setup_teardown(dma_copies_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(dma_crosses_where_memory_does_and_doesnt, setup,
						teardown),
		cmocka_unit_test_setup_teardown(translate_gives_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(last_word_comes_last, setup, teardown),
		cmocka_unit_test_setup_teardown(sync_waits_for_the_outer_bracket, setup, teardown),
		cmocka_unit_test_setup_teardown(brackets_of_many_units, setup, teardown),
		cmocka_unit_test_setup_teardown(detach_waits_for_accesses, setup, teardown),
		cmocka_unit_test_setup_teardown(sync_returns_amid_new_brackets, setup, teardown),
		cmocka_unit_test_setup_teardown(no_reader_sees_memory_after_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(copies_of_dirty_pages_are_whole, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
