/* SPDX-License-Identifier: MIT */
/*
 * weir bind and weir release are killed before each of their system calls that change something,
 * which is after the one before. Whatever was left then, weir release gives each function back as
 * it was.
 */
#include <glob.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/vm/guest/guest.h"

#define STOP BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)
#define STOP_AT(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), STOP

/* The kernel stops the command before the calls that change something, and nowhere else: to stop
 * it at each call, and an emulated processor at each stop, would take minutes. */
static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_rename
	STOP_AT(SYS_rename),
	STOP_AT(SYS_unlink),
	STOP_AT(SYS_mkdir),
	STOP_AT(SYS_chown),
	STOP_AT(SYS_chmod),
#endif
	STOP_AT(SYS_renameat2),
	STOP_AT(SYS_unlinkat),
	STOP_AT(SYS_mkdirat),
	STOP_AT(SYS_fchownat),
	STOP_AT(SYS_fchmodat),
	STOP_AT(SYS_pwrite64),
	STOP_AT(SYS_fsync),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1),
	STOP,
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static void start(char *const *argv)
{
	const struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = (struct sock_filter *)filter,
	};
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	execv("/bin/weir", argv);
	_exit(127);
}

/* Kill a command before its @n-th such call; false when it ended before. */
static bool killed_at(char *const *argv, int n)
{
	int status, seen = 0;
	pid_t pid;

	pid = fork();
	if (!pid)
		start(argv);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
	for (;;) {
		ptrace(PTRACE_CONT, pid, NULL, NULL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
		if (status >> 8 != (SIGTRAP | PTRACE_EVENT_SECCOMP << 8) || ++seen < n)
			continue;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		return true;
	}
}

static void add(char *text, size_t size, const char *more)
{
	strncat(text, more, size - strlen(text) - 1);
}

/* Driver and override of every function, and which VFIO nodes there are. */
static void state_of_machine(char *text, size_t size)
{
	char part[512], driver[256];
	glob_t found;
	ssize_t len;
	FILE *file;

	text[0] = '\0';
	assert_int_equal(glob("/sys/bus/pci/devices/*/driver_override", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *path = found.gl_pathv[i];

		add(text, size, path);
		file = fopen(path, "re");
		assert_non_null(file);
		add(text, size, fgets(part, sizeof(part), file) ? part : "?");
		fclose(file);
		*strrchr(path, '_') = '\0';
		len = readlink(path, driver, sizeof(driver) - 1);
		driver[len < 0 ? 0 : len] = '\0';
		add(text, size, driver);
		add(text, size, "\n");
	}
	globfree(&found);
	if (!glob("/dev/vfio/[0-9]*", 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			add(text, size, found.gl_pathv[i]);
		globfree(&found);
	}
}

static void must_run(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("%s: %d", command, status);
}

/*
 * Each time later, until it isn't killed any more: what it left is released, and the machine is as
 * it was. @before_it: a command, NULL for none. Returns how often it was killed.
 */
static int kill_at_every_moment(char *const argv[], const char *before_it)
{
	char before[4096], after[4096];
	int n = 0;
	bool again;

	state_of_machine(before, sizeof(before));
	do {
		if (before_it)
			must_run(before_it);
		again = killed_at(argv, ++n);
		must_run("weir release --all > /dev/null");
		state_of_machine(after, sizeof(after));
		if (strcmp(before, after))
			fail_msg("killed at moment %d:\n%s\n%s", n, before, after);
	} while (again);
	printf("# weir %s was killed at %d moments\n", argv[1], n - 1);
	return n - 1;
}

static void test_bind(void **state)
{
	char *const argv[] = {
		(char *)"weir", (char *)"bind", (char *)device("WEIR_TEST_MIXED_EDU"),
		(char *)"--group", (char *)"--owner", (char *)"nobody:nogroup", NULL,
	};

	(void)state;
	assert_true(kill_at_every_moment(argv, NULL) >= 20);
}

static void test_release(void **state)
{
	char *const argv[] = { (char *)"weir", (char *)"release", (char *)"--all", NULL };
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "weir bind --group --owner nobody %s > /dev/null",
		 device("WEIR_TEST_MIXED_EDU"));
	assert_true(kill_at_every_moment(argv, command) >= 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_release),
	};

	return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
