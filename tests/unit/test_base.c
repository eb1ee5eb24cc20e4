/* SPDX-License-Identifier: MIT */
/* Errors, the log, who holds a file, and the seam to the system's calls. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/holder.h"
#include "base/sys.h"

/* What a message holds at most, without its NUL. */
#define MESSAGE_MAX 1023

/* ---- errors ---- */

static void *fresh_message(void *arg)
{
	char *seen = arg;

	strcpy(seen, weir_errmsg());
	wr_message("the other thread's");
	return NULL;
}

static void message_is_the_threads_own(void **state)
{
	char seen[MESSAGE_MAX + 1] = "not empty";
	pthread_t thread;

	(void)state;
	assert_int_equal(wr_fail(-EBUSY, "%s: %d of %d", "mine", 1, 2), -EBUSY);
	assert_string_equal(weir_errmsg(), "mine: 1 of 2");
	assert_int_equal(pthread_create(&thread, NULL, fresh_message, seen), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(seen, "");
	assert_string_equal(weir_errmsg(), "mine: 1 of 2");
}

static void long_message_is_cut(void **state)
{
	char text[4 * MESSAGE_MAX];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(wr_fail(-EIO, "%s", text), -EIO);
	assert_int_equal(strlen(weir_errmsg()), MESSAGE_MAX);
	assert_int_equal(strspn(weir_errmsg(), "x"), MESSAGE_MAX);

	/* And what comes before a full one pushes its end out. */
	assert_int_equal(wr_fail_in(-EIO, "before"), -EIO);
	assert_int_equal(strlen(weir_errmsg()), MESSAGE_MAX);
	assert_memory_equal(weir_errmsg(), "before: xxx", 11);

	assert_int_equal(wr_fail_in(-EIO, "%s", text), -EIO);
	assert_int_equal(strspn(weir_errmsg(), "x"), MESSAGE_MAX);
}

static void message_may_quote_itself(void **state)
{
	(void)state;
	wr_message("inner");
	assert_int_equal(wr_fail(-EINVAL, "outer (%s)", weir_errmsg()), -EINVAL);
	assert_string_equal(weir_errmsg(), "outer (inner)");
	assert_int_equal(wr_fail_in(-EPERM, "%s", weir_errmsg()), -EPERM);
	assert_string_equal(weir_errmsg(), "outer (inner): outer (inner)");
}

static void fail_in_puts_the_name_first(void **state)
{
	(void)state;
	wr_message("the cause");
	assert_int_equal(wr_fail_in(-ENODEV, "%04x:%s", 1, "dev"), -ENODEV);
	assert_string_equal(weir_errmsg(), "0001:dev: the cause");
}

static void reserved_words_must_be_zero(void **state)
{
	struct {
		uint64_t reserved[4];
	} opts = { { 0 } };

	(void)state;
	wr_message("as it was");
	assert_int_equal(WR_RESERVED(&opts, "opts"), 0);
	assert_string_equal(weir_errmsg(), "as it was");
	for (size_t i = 0; i < 4; i++) {
		char word[32];

		opts.reserved[i] = 1ull << 63;
		snprintf(word, sizeof(word), "opts.reserved[%zu] ", i);
		assert_int_equal(WR_RESERVED(&opts, "opts"), -EINVAL);
		assert_non_null(strstr(weir_errmsg(), word));
		opts.reserved[i] = 0;
	}
}

/* ---- the log ---- */

struct heard {
	unsigned int lines;
	enum weir_log_level level;
	char text[2 * MESSAGE_MAX];
};

static void hear(void *arg, enum weir_log_level level, const char *msg)
{
	struct heard *heard = arg;

	heard->lines++;
	heard->level = level;
	snprintf(heard->text, sizeof(heard->text), "%s", msg);
}

static void log_is_off_by_default(void **state)
{
	(void)state;
	/* Nothing to see, nothing to crash. */
	wr_log(WEIR_LOG_ERROR, "%s", "nobody listens");
}

static void log_has_levels(void **state)
{
	struct heard heard = { 0 };

	(void)state;
	for (int max = WEIR_LOG_ERROR; max <= WEIR_LOG_DEBUG; max++) {
		weir_log_set(hear, &heard, max);
		heard.lines = 0;
		for (int level = WEIR_LOG_ERROR; level <= WEIR_LOG_DEBUG; level++) {
			wr_log(level, "level %d", level);
			if (level <= max)
				assert_int_equal(heard.level, level);
		}
		assert_int_equal(heard.lines, max + 1);
	}
	weir_log_set(NULL, &heard, WEIR_LOG_DEBUG);
	heard.lines = 0;
	wr_log(WEIR_LOG_ERROR, "nobody listens");
	assert_int_equal(heard.lines, 0);
}

static void failures_are_logged_for_debugging(void **state)
{
	struct heard heard = { 0 };
	char text[4 * MESSAGE_MAX];

	(void)state;
	weir_log_set(hear, &heard, WEIR_LOG_DEBUG);
	wr_message("it broke");
	assert_string_equal(heard.text, "failed: it broke");
	assert_int_equal(heard.level, WEIR_LOG_DEBUG);
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	wr_log(WEIR_LOG_WARN, "%s", text);
	assert_int_equal(strlen(heard.text), MESSAGE_MAX);
	weir_log_set(hear, &heard, WEIR_LOG_INFO);
	heard.lines = 0;
	wr_message("it broke again");
	assert_int_equal(heard.lines, 0);
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
}

/* ---- who holds a file ---- */

static void new_file(char *path)
{
	int fd;

	strcpy(path, "/tmp/weir-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

/* A child that has @path open, and is @name if that isn't NULL, otherwise the program sleep. */
static pid_t hold(const char *path, const char *name)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (open(path, O_RDONLY) < 0)
			_exit(1);
		if (!name) {
			/* The pipe closes itself when the program starts. */
			execlp("sleep", "sleep", "100", NULL);
			_exit(1);
		}
		prctl(PR_SET_NAME, name);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_true(read(ready[0], &byte, 1) >= 0);
	close(ready[0]);
	return pid;
}

static void let_go(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void holder_is_found_by_pid(void **state)
{
	char path[64], who[64], expected[64];
	pid_t pid;

	(void)state;
	new_file(path);
	strcpy(who, "untouched");
	assert_int_equal(wr_holder(path, who, sizeof(who)), -ENOENT);
	assert_string_equal(who, "untouched");
	pid = hold(path, NULL);
	snprintf(expected, sizeof(expected), "process %d (sleep)", pid);
	assert_int_equal(wr_holder(path, who, sizeof(who)), 0);
	assert_string_equal(who, expected);
	let_go(pid);
	assert_int_equal(wr_holder(path, who, sizeof(who)), -ENOENT);
	unlink(path);
}

/* A process chooses its name, and the message may end on a terminal. */
static void holder_has_a_printable_name(void **state)
{
	char path[64], who[64], expected[64];
	pid_t pid;

	(void)state;
	new_file(path);
	pid = hold(path, "\033[2Ja\nb");
	snprintf(expected, sizeof(expected), "process %d (?[2Ja)", pid);
	assert_int_equal(wr_holder(path, who, sizeof(who)), 0);
	assert_string_equal(who, expected);
	let_go(pid);
	unlink(path);
}

static void holder_may_be_this_process(void **state)
{
	char path[64], who[12], expected[64];
	int fd;

	(void)state;
	new_file(path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(wr_holder(path, who, sizeof(who)), 0);
	snprintf(expected, sizeof(who), "process %d (", getpid());
	assert_string_equal(who, expected);
	close(fd);
	unlink(path);
	assert_int_equal(wr_holder(path, who, sizeof(who)), -ENOENT);
	assert_int_equal(wr_holder("", who, sizeof(who)), -ENOENT);
}

/* ---- the seam ---- */

static void seam_returns_errors(void **state)
{
	void *out = &out;
	char byte = 0;
	int number;

	(void)state;
	errno = 0;
	assert_int_equal(wr_sys->open("/nonexistent/node", O_RDWR), -ENOENT);
	assert_int_equal(wr_sys->close(-1), -EBADF);
	assert_int_equal(wr_sys->ioctl(-1, FIONREAD, &number), -EBADF);
	assert_int_equal(wr_sys->pread(-1, &byte, 1, 0), -EBADF);
	assert_int_equal(wr_sys->pwrite(-1, &byte, 1, 0), -EBADF);
	assert_int_equal(wr_sys->mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &out),
			 -EINVAL);
	assert_ptr_equal(out, &out);
	assert_int_equal(wr_sys->munmap((void *)1, 1), -EINVAL);
	assert_int_equal(wr_sys->madvise((void *)1, 1, MADV_NORMAL), -EINVAL);
	assert_int_equal(wr_sys->memfd("test", ~0u), -EINVAL);
	assert_int_equal(wr_sys->ftruncate(-1, 1), -EBADF);
	assert_int_equal(wr_sys->seal(-1, F_SEAL_GROW), -EBADF);
	/* -EINVAL, where it isn't forbidden. */
	assert_true(wr_sys->mbind((void *)1, 1, -1, NULL, 0, 0) < 0);
}

static void seam_does_what_it_says(void **state)
{
	size_t page = wr_page_size();
	int fd = wr_sys->open("/proc/self/status", O_RDONLY);
	char bytes[4];
	void *map;

	(void)state;
	assert_true(page >= 4096 && !(page & (page - 1)));
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(wr_sys->pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(wr_sys->close(fd), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);

	assert_int_equal(wr_sys->mmap(NULL, page, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &map), 0);
	memset(map, 1, page);
	assert_int_equal(wr_sys->madvise(map, page, MADV_DONTFORK), 0);
	assert_int_equal(wr_sys->munmap(map, page), 0);

	fd = wr_sys->memfd("test", MFD_ALLOW_SEALING);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(wr_sys->ftruncate(fd, (off_t)page), 0);
	assert_int_equal(wr_sys->seal(fd, F_SEAL_SHRINK), 0);
	assert_int_equal(wr_sys->ftruncate(fd, 0), -EPERM);
	wr_close(fd);
}

static void eventfds_dont_block_and_arent_inherited(void **state)
{
	int fd = wr_sys->eventfd();
	uint64_t value = 3;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(read(fd, &value, sizeof(value)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(write(fd, &value, sizeof(value)), sizeof(value));
	value = 0;
	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 3);
	wr_close(fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static int closed;

static int count_close(int fd)
{
	closed++;
	return wr_sys_kernel.close(fd);
}

static void seam_can_be_replaced(void **state)
{
	struct wr_sys mine = wr_sys_kernel;
	int fd;

	(void)state;
	mine.close = count_close;
	fd = wr_sys->eventfd();
	wr_sys = &mine;
	wr_close(-1);
	assert_int_equal(closed, 0);
	wr_close(fd);
	assert_int_equal(closed, 1);
	wr_sys = &wr_sys_kernel;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_is_off_by_default),
		cmocka_unit_test(message_is_the_threads_own),
		cmocka_unit_test(long_message_is_cut),
		cmocka_unit_test(message_may_quote_itself),
		cmocka_unit_test(fail_in_puts_the_name_first),
		cmocka_unit_test(reserved_words_must_be_zero),
		cmocka_unit_test(log_has_levels),
		cmocka_unit_test(failures_are_logged_for_debugging),
		cmocka_unit_test(holder_is_found_by_pid),
		cmocka_unit_test(holder_has_a_printable_name),
		cmocka_unit_test(holder_may_be_this_process),
		cmocka_unit_test(seam_returns_errors),
		cmocka_unit_test(seam_does_what_it_says),
		cmocka_unit_test(eventfds_dont_block_and_arent_inherited),
		cmocka_unit_test(seam_can_be_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
