/* SPDX-License-Identifier: MIT */
/* Faulting memory in with several threads, behind a seam that records the slices and fails. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "mem/prefault.h"

#define MIB (1ul << 20)
#define GIGA (1ul << 30)
#define SLICES 512

static struct {
	bool old;			/* doesn't know the advice */
	bool real;			/* pages are faulted in, not only said to be */
	unsigned int slice_ms;		/* how long one takes */
	unsigned int together;		/* so many begin before the first of them ends */
	unsigned int fail_at;		/* the slice that fails; 0: none */
	unsigned int n, late;		/* slices; begun after the one that failed */
	struct { char *start; size_t len; pthread_t by; bool signals; } slice[SLICES];
	size_t told, calls;
	bool rises;
	pthread_t told_by;
	pthread_mutex_t lock;
	pthread_cond_t begun;
} sys = { .lock = PTHREAD_MUTEX_INITIALIZER, .begun = PTHREAD_COND_INITIALIZER };

static size_t page;

/* The lock is held. Who waits in vain goes on after a while, and the test sees too few threads. */
static void wait_for_others(void)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_cond_broadcast(&sys.begun);
	while (sys.n < sys.together && !ret)
		ret = pthread_cond_timedwait(&sys.begun, &sys.lock, &until);
}

static int sys_madvise(void *addr, size_t len, int advice)
{
	unsigned int n;
	sigset_t set;

	if (advice != MADV_POPULATE_WRITE || sys.old)
		return -EINVAL;
	if (!len)
		return 0;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	pthread_mutex_lock(&sys.lock);
	n = sys.n++;
	if (n < SLICES) {
		sys.slice[n].start = addr;
		sys.slice[n].len = len;
		sys.slice[n].by = pthread_self();
		sys.slice[n].signals = !sigismember(&set, SIGUSR1);
	}
	sys.late += sys.fail_at && n >= sys.fail_at;
	wait_for_others();
	pthread_mutex_unlock(&sys.lock);
	if (n + 1 == sys.fail_at)
		return -ENOMEM;
	usleep(sys.slice_ms * 1000);
	return sys.real ? wr_sys_kernel.madvise(addr, len, advice) : 0;
}

static void start_over(void)
{
	memset(&sys, 0, offsetof(__typeof__(sys), lock));
}

static int setup(void **state)
{
	static struct wr_sys seam;

	(void)state;
	page = wr_page_size();
	start_over();
	seam = wr_sys_kernel;
	seam.madvise = sys_madvise;
	wr_sys = &seam;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wr_sys = &wr_sys_kernel;
	return 0;
}

static char *memory(size_t len)
{
	char *start = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(start, MAP_FAILED);
	return start;
}

static size_t in_core(char *start, size_t len)
{
	unsigned char *pages = malloc(len / page);
	size_t found = 0;

	assert_non_null(pages);
	assert_int_equal(mincore(start, len, pages), 0);
	for (size_t i = 0; i < len / page; i++)
		found += pages[i] & 1;
	free(pages);
	return found;
}

/* In the thread that asked, each time more, and never more than there is. */
static void progress(void *arg, size_t done, size_t len)
{
	bool right = done > sys.told && done <= len && len == *(size_t *)arg;

	sys.rises = right && (!sys.calls || (sys.rises && pthread_equal(sys.told_by,
									pthread_self())));
	sys.told_by = pthread_self();
	sys.told = done;
	sys.calls++;
}

static int prefault(char *start, size_t len, size_t page_size, unsigned int threads, bool touch)
{
	const struct wr_prefault how = {
		.page = page_size,
		.threads = threads,
		.touch = touch,
		.progress = progress,
		.progress_arg = &len,
	};

	return wr_prefault(start, len, &how);
}

/* Threads that took slices, without this one. */
static unsigned int helpers(void)
{
	unsigned int n = 0;

	assert_true(sys.n <= SLICES);
	for (unsigned int i = 0; i < sys.n; i++) {
		bool known = pthread_equal(sys.slice[i].by, pthread_self());

		for (unsigned int j = 0; j < i; j++)
			known |= !!pthread_equal(sys.slice[i].by, sys.slice[j].by);
		n += !known;
	}
	return n;
}

static int by_address(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The slices, one after the other, are the memory. */
static void assert_covered(char *start, size_t len, size_t unit)
{
	char *at = start;

	assert_true(sys.n <= SLICES);
	qsort(sys.slice, sys.n, sizeof(sys.slice[0]), by_address);
	for (unsigned int i = 0; i < sys.n; i++) {
		assert_ptr_equal(sys.slice[i].start, at);
		assert_int_equal((size_t)(at - start) % unit, 0);
		at += sys.slice[i].len;
	}
	assert_ptr_equal(at, start + len);
}

static void a_failing_thread_stops_the_others(void **state)
{
	(void)state;
	for (unsigned int at = 1; at < 8; at++) {
		start_over();
		sys.slice_ms = 5;
		sys.fail_at = at;
		/* Nothing is touched: no memory is needed. */
		assert_int_equal(prefault((char *)GIGA, 4 * GIGA, page, 4, false), -ENOMEM);
		/* Of 256; a few begin before the failure is known, more on a busy machine. */
		assert_true(sys.late < 128);
		assert_true(sys.told < 4 * GIGA);
	}
}

static void every_page_is_faulted_in_once(void **state)
{
	static const unsigned int threads[] = { 0, 1, 2, 3, WR_PREFAULT_THREADS_MAX };
	const size_t lens[] = { page, 2 * MIB, 9 * MIB + page, 64 * MIB + page, 100 * MIB };

	(void)state;
	for (size_t i = 0; i < 25; i++) {
		size_t len = lens[i / 5];
		unsigned int n = threads[i % 5];
		char *start = memory(len);

		start_over();
		sys.real = true;
		assert_int_equal(prefault(start, len, page, n, false), 0);
		assert_int_equal(in_core(start, len), len / page);
		assert_true(!n || helpers() < n);
		assert_true(sys.rises && pthread_equal(sys.told_by, pthread_self()));
		assert_int_equal(sys.told, len);
		if (n == 1)
			assert_int_equal(sys.calls, sys.n);
		assert_covered(start, len, 2 * MIB);
		munmap(start, len);
	}
}

static void slices_are_whole_pages(void **state)
{
	(void)state;
	assert_int_equal(prefault((char *)GIGA, 3 * GIGA, GIGA, 8, false), 0);
	assert_int_equal(sys.n, 3);
	assert_covered((char *)GIGA, 3 * GIGA, GIGA);
	start_over();
	assert_int_equal(prefault((char *)GIGA, 3 * GIGA, 2 * MIB, 0, false), 0);
	assert_int_equal(sys.n, 3 * GIGA / (16 * MIB));
	assert_covered((char *)GIGA, 3 * GIGA, 2 * MIB);
	/* As many threads as asked for have one, where there is enough. */
	start_over();
	assert_int_equal(prefault((char *)GIGA, 8 * MIB, page, 4, false), 0);
	assert_int_equal(sys.n, 4);
}

static void threads_are_as_many_as_pay(void **state)
{
	char *start = (char *)GIGA;
	unsigned int first = 0;
	cpu_set_t all, one;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	sys.slice_ms = 5;
	assert_int_equal(prefault(start, 64 * MIB - page, page, 0, false), 0);
	assert_int_equal(helpers(), 0);
	start_over();
	sys.together = CPU_COUNT(&all) < 4 ? (unsigned int)CPU_COUNT(&all) : 4;
	assert_int_equal(prefault(start, 64 * MIB, page, 0, false), 0);
	assert_int_equal(helpers(), sys.together - 1);
	/* The processors that count are those of this thread. */
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	start_over();
	sys.slice_ms = 5;
	assert_int_equal(prefault(start, 64 * MIB, page, 0, false), 0);
	assert_int_equal(helpers(), 0);
	/* What the caller says counts. */
	start_over();
	sys.together = 3;
	assert_int_equal(prefault(start, 64 * MIB, page, 3, false), 0);
	assert_int_equal(helpers(), 2);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* A handler of the process must not find itself in a thread that it doesn't know. */
static void signals_are_for_the_others(void **state)
{
	(void)state;
	sys.together = 4;
	assert_int_equal(prefault((char *)GIGA, 128 * MIB, page, 4, false), 0);
	assert_int_equal(helpers(), 3);
	for (unsigned int i = 0; i < sys.n; i++)
		assert_int_equal(sys.slice[i].signals,
				 !!pthread_equal(sys.slice[i].by, pthread_self()));
}

static void old_kernels_are_touched_if_allowed(void **state)
{
	(void)state;
	for (unsigned int n = 0; n < 8; n++) {
		size_t len = 9 * MIB;
		char *start = memory(len);
		bool touch = n & 1;

		start_over();
		sys.old = true;
		assert_int_equal(wr_populate(start, len, MADV_POPULATE_WRITE), -ENOSYS);
		assert_int_equal(prefault(start, len, page, n / 2, touch), 0);
		assert_int_equal(in_core(start, len), touch ? len / page : 0);
		assert_int_equal(sys.told, len);
		munmap(start, len);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_failing_thread_stops_the_others),
		TEST(every_page_is_faulted_in_once),
		TEST(slices_are_whole_pages),
		TEST(threads_are_as_many_as_pay),
		TEST(signals_are_for_the_others),
		TEST(old_kernels_are_touched_if_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
