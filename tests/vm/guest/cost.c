/* SPDX-License-Identifier: MIT */
/*
 * What weir adds to the kernel's work: the system calls and the instructions outside of the kernel
 * that mapping and unmapping takes, counted by stepping through it. Instructions don't depend on
 * how fast an emulated processor is.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/vm/guest/guest.h"

#define WARM_UP		64
#define CALLS		16

/* What a pair must stay below; docs/performance.md has the figure. */
#define INSTRUCTIONS	10000

/* The child stops here, and the parent counts from one stop to the next. */
static void stop(pid_t pid)
{
	syscall(SYS_tgkill, pid, pid, SIGUSR1);
}

/* Two stops with nothing between them, two with a pair between them: each for the system calls,
 * and for the instructions. Nothing is returned here; the parent sees how it ends. */
static void child(void)
{
	struct weir_device_opts opts = { .dma_bits = EDU_DMA_BITS };
	struct weir_device *dev;
	struct weir_ioas *as;
	void *page = page_of(0, 1);
	pid_t pid = getpid();
	weir_iova iova;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) ||
	    weir_device_open(NULL, device("WEIR_TEST_EDU"), &opts, &dev))
		_exit(1);
	as = weir_device_ioas(dev);
	for (int i = 0; i < WARM_UP; i++) {
		if (weir_ioas_map(as, page, PAGE, NULL, &iova) || weir_ioas_unmap(as, iova, PAGE))
			_exit(2);
	}
	for (int i = 0; i < 2; i++) {
		stop(pid);
		stop(pid);
		if (weir_ioas_map(as, page, PAGE, NULL, &iova) || weir_ioas_unmap(as, iova, PAGE))
			_exit(3);
		stop(pid);
	}
	_exit(weir_device_close(dev) ? 4 : 0);
}

/* Let the child go on to its next stop of any kind; the signal that stopped it. */
static int go_on(int request, pid_t pid)
{
	int status;

	assert_int_equal(ptrace(request, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		fail_msg("the child ended: %#x", status);
	return WSTOPSIG(status);
}

/* The system calls from this stop to the next, which is a system call itself. */
static int system_calls(pid_t pid, uint64_t *numbers, int n)
{
	struct __ptrace_syscall_info info;
	int found = 0;
	int sig;

	while ((sig = go_on(PTRACE_SYSCALL, pid)) != SIGUSR1) {
		assert_int_equal(sig, SIGTRAP | 0x80);
		MUST((int)ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info));
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		if (found < n)
			numbers[found] = info.entry.nr;
		found++;
	}
	return found;
}

static int instructions(pid_t pid)
{
	int count = 0;
	int sig;

	while ((sig = go_on(PTRACE_SINGLESTEP, pid)) != SIGUSR1) {
		assert_int_equal(sig, SIGTRAP);
		count++;
	}
	return count;
}

static void map_and_unmap(void **state)
{
	uint64_t numbers[CALLS] = { 0 };
	int nothing, pair, status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		child();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL,
				PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);

	assert_int_equal(system_calls(pid, numbers, CALLS), 1);
	assert_int_equal(system_calls(pid, numbers, CALLS), 3);
	assert_int_equal(numbers[0], SYS_ioctl);
	assert_int_equal(numbers[1], SYS_ioctl);

	assert_int_equal(go_on(PTRACE_CONT, pid), SIGUSR1);
	nothing = instructions(pid);
	pair = instructions(pid) - nothing;
	assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	print_message("# map and unmap of a page: 2 system calls, %d instructions\n", pair);
	assert_in_range(pair, 1, INSTRUCTIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_and_unmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
