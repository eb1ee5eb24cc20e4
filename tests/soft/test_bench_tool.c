/* SPDX-License-Identifier: MIT */
/*
 * weir bench map with a device, on the software IOMMU, where there are no ioctls; and the counting
 * itself. Each command is a process of its own, since nothing that it makes is given back.
 *
 * With an argument, what steps through instructions: of a program that valgrind runs these are
 * valgrind's.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "count.h"
#include "options.h"
#include "out.h"
#include "weir.h"

#include <cmocka.h>
#include <json-c/json.h>

static char out[1 << 16], err[4096];

static void take(FILE *from, char *text, size_t size)
{
	size_t len;

	rewind(from);
	len = fread(text, 1, size - 1, from);
	text[len] = '\0';
	fclose(from);
}

/* What @run returns, in a process of its own; what it prints is in out and err. */
static int in_child(int (*run)(void *arg), void *arg)
{
	FILE *to_out = tmpfile(), *to_err = tmpfile();
	pid_t pid;
	int status;

	assert_true(to_out && to_err);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fileno(to_out), STDOUT_FILENO);
		dup2(fileno(to_err), STDERR_FILENO);
		_exit(finish(run(arg)));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	take(to_out, out, sizeof(out));
	take(to_err, err, sizeof(err));
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- the command ---- */

static int bench(void *arg)
{
	char words[256], *argv[16] = { NULL }, *save = NULL;
	int argc = 0;

	snprintf(words, sizeof(words), "%s", (const char *)arg);
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	optind = 0;
	return cmd_bench(argc, argv);
}

static void test_bad_input(void **state)
{
	static const struct {
		const char *line, *word;
	} all[] = {
		{ "bench nothing", "there is no bench 'nothing'" },
		{ "bench lookup soft:edu", "there is no bench 'soft:edu'" },
		{ "bench map soft:edu soft:edu", "there is no bench 'soft:edu'" },
		{ "bench map soft:nothing", "soft:nothing" },
		{ "bench map 00:zz", "00:zz" },
		{ "bench map --count 0000:7f:1f.7", "0000:7f:1f.7" },
		{ "bench --count", "--count goes with a device" },
		{ "bench map --count", "--count goes with a device" },
		{ "bench map --memory 2M", "--memory goes with a device" },
		{ "bench --unsafe-noiommu", "--unsafe-noiommu goes with a device" },
		{ "bench map --memory", "--memory needs a value" },
		{ "bench map --memory much soft:edu", "--memory much: that isn't a number" },
		{ "bench map --memory 3M soft:edu", "a power of two, from 2M to 1G" },
		{ "bench map --memory 1M soft:edu", "a power of two, from 2M to 1G" },
		{ "bench map --memory 2G soft:edu", "a power of two, from 2M to 1G" },
		{ "bench map --memory 0 soft:edu", "a power of two, from 2M to 1G" },
		{ "bench map --device soft:edu", "there is no option --device" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (in_child(bench, (void *)all[i].line) != EXIT_UNKNOWN ||
		    strncmp(err, "weir: ", 6) || !strstr(err, all[i].word) ||
		    strchr(err, '\n') != err + strlen(err) - 1 || *out)
			fail_msg("weir %s: '%s' and '%s', not one sentence with '%s'", all[i].line,
				 out, err, all[i].word);
	}
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("the JSON has no '%s'", key);
	return value;
}

/* The row of this case in this unit; NULL: there is none. */
static struct json_object *find(struct json_object *list, const char *name, const char *unit)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *row = json_object_array_get_idx(list, i);
		const char *has = json_object_get_string(member(row, "unit"));

		assert_string_equal(json_object_get_string(member(row, "bench")), "map");
		if (!strcmp(json_object_get_string(member(row, "case")), name) && has &&
		    !strcmp(has, unit))
			return row;
	}
	return NULL;
}

/* Its value; there is no limit on the software IOMMU. */
static double value(struct json_object *list, const char *name, const char *unit, const char *note)
{
	struct json_object *row = find(list, name, unit);
	const char *text;

	if (!row)
		fail_msg("%s, in %s, isn't in %s", name, unit, out);
	assert_null(member(row, "bare"));
	assert_null(member(row, "ratio"));
	text = json_object_get_string(member(row, "note"));
	if (!note)
		assert_null(text);
	else if (!text || strncmp(text, note, strlen(note)))
		fail_msg("%s: the note is '%s', not '%s'", name, text, note);
	return json_object_get_double(member(row, "value"));
}

/* Of the pool there are rows, or it's said how many pages it lacks. */
static void check_pool(struct json_object *list, const char *unit)
{
	static const char name[] = "soft, 2 MiB pages";

	if (find(list, "soft, 2 MiB pages, 2 MiB", unit))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *row = json_object_array_get_idx(list, i);

		if (strcmp(json_object_get_string(member(row, "case")), name))
			continue;
		assert_null(member(row, "value"));
		assert_non_null(strstr(json_object_get_string(member(row, "note")),
				       "2 hugetlb pages of 2 MiB"));
		return;
	}
	fail_msg("nothing is said of the pool: %s", out);
}

static void test_counts(void **state)
{
	struct json_object *list;
	double page, large;

	(void)state;
	assert_int_equal(in_child(bench, "bench map soft:edu --count --memory 4M --json"),
			 EXIT_YES);
	list = json_tokener_parse(out);
	assert_non_null(list);
	assert_true(value(list, "soft, 4 KiB pages, 4 KiB", "ioctls", "other system") == 0);
	assert_true(value(list, "soft, 4 KiB pages, 2 MiB", "ioctls", "other system") == 0);
	assert_true(value(list, "soft, 4 KiB pages, 1 GiB", "ioctls", "other system") == 0);
	page = value(list, "soft, 4 KiB pages, 4 KiB", "instructions", NULL);
	large = value(list, "soft, 4 KiB pages, 1 GiB", "instructions", "by 4 MiB");
	/* A GiB is 256 times 4 MiB, which take no less than a page, or half of it. */
	assert_true(page > 100 && large > 128 * page);
	check_pool(list, "ioctls");
	json_object_put(list);
}

static void test_times(void **state)
{
	struct json_object *list;

	(void)state;
	assert_int_equal(in_child(bench, "bench map soft:edu --memory 4M --json"), EXIT_YES);
	list = json_tokener_parse(out);
	assert_non_null(list);
	assert_true(value(list, "soft, 4 KiB pages, 4 KiB", "ns", NULL) > 0);
	assert_true(value(list, "soft, 4 KiB pages, 1 GiB", "us", "by 4 MiB") > 0);
	check_pool(list, "ns");
	json_object_put(list);
	assert_int_equal(in_child(bench, "bench --memory 2M map soft:edu"), EXIT_YES);
	assert_non_null(strstr(out, "soft, 4 KiB pages, 1 GiB"));
	assert_non_null(strstr(out, "by 2 MiB"));
}

/* ---- counting ---- */

static void calls(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		ioctl(-1, 0, arg);
		ioctl(-1, 1, arg);
		syscall(SYS_getppid);
	}
}

static void loop(void *arg)
{
	for (volatile int i = 0; i < *(int *)arg; i++)
		;
}

static int count_all(void *arg)
{
	int n = 7, once = 100, twice = 200, thrice = 300;
	struct count c, a, b, d;
	int status = count_start();

	(void)arg;
	if (status != GO_ON)
		return status;
	count_run(calls, &n, &c);
	count_run(loop, &once, &a);
	count_run(loop, &twice, &b);
	count_run(loop, &thrice, &d);
	count_end();
	say("%d %d %d %d", (int)c.ioctls, (int)c.other_calls, (int)a.ioctls, (int)a.other_calls);
	/* Exactly as many more, and more than one for each round. */
	say("%s", b.instructions - a.instructions == d.instructions - b.instructions &&
	    b.instructions > a.instructions + 100 ? "exact" : "not exact");
	return 17;
}

static void test_exact(void **state)
{
	(void)state;
	assert_int_equal(in_child(count_all, NULL), 17);
	assert_string_equal(err, "");
	assert_string_equal(out, "14 7 0 0\nexact\n");
}

static void die(void *arg)
{
	(void)arg;
	raise(SIGKILL);
}

static void leave(void *arg)
{
	(void)arg;
	_exit(5);
}

static int count_one(void *arg)
{
	void (*const *run)(void *) = arg;
	struct count count;
	int status = count_start();

	if (status == GO_ON)
		count_run(*run, NULL, &count);
	return status == GO_ON ? EXIT_YES : status;
}

/* Signals of others' get through to it. */
static void handler(int signal)
{
	(void)signal;
	_exit(6);
}

static void interrupted(void *arg)
{
	(void)arg;
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
}

static void test_child_ends(void **state)
{
	void (*run)(void *) = die;

	(void)state;
	assert_int_equal(in_child(count_one, &run), EXIT_UNKNOWN);
	assert_non_null(strstr(err, "ended: Killed"));
	run = leave;
	assert_int_equal(in_child(count_one, &run), 5);
	assert_string_equal(err, "");
	run = interrupted;
	assert_int_equal(in_child(count_one, &run), 6);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(test_bad_input),
		cmocka_unit_test(test_times),
	};
	const struct CMUnitTest stepped[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_child_ends),
	};

	(void)argv;
	return argc > 1 ? cmocka_run_group_tests_name("bench-count", stepped, NULL, NULL) :
	       cmocka_run_group_tests_name("bench-tool", plain, NULL, NULL);
}
