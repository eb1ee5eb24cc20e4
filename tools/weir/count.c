/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "count.h"
#include "options.h"
#include "out.h"
#include "weir.h"

/* Both processes have it: the child says when it ends, the other what it counted. */
static struct shared {
	struct count count;
	bool ended;
} *shared;

/*
 * The child stops, and the other process counts from one stop to the next. It never becomes a stop
 * of the whole child: the signal isn't delivered.
 */
static void stop(void)
{
	syscall(SYS_tgkill, getpid(), getpid(), SIGSTOP);
}

/* Three stops, for what happens between them: nothing, and then @run, from which that is taken. */
static void between_stops(void (*run)(void *arg), void *arg)
{
	stop();
	stop();
	run(arg);
	stop();
}

void count_run(void (*run)(void *arg), void *arg, struct count *count)
{
	run(arg);
	between_stops(run, arg);	/* for the system calls */
	between_stops(run, arg);	/* for the instructions */
	*count = shared->count;
}

void count_end(void)
{
	shared->ended = true;
	stop();
}

/* ---- the process that counts ---- */

struct child {
	pid_t pid;
	int status;	/* as waitpid() says */
};

/* Let it go on to the next stop of any kind. Returns false when it has ended. */
static bool go_on(struct child *child, int request, int signal)
{
	if (ptrace(request, child->pid, NULL, (long)signal) ||
	    waitpid(child->pid, &child->status, 0) != child->pid)
		return false;
	return WIFSTOPPED(child->status);
}

/* Up to its next stop(); what stops it on the way there is told to @seen, signals are delivered. */
static bool to_stop(struct child *child, int request, void (*seen)(struct child *child))
{
	int signal = 0;

	while (go_on(child, request, signal)) {
		signal = WSTOPSIG(child->status);
		if (signal == SIGSTOP)
			return true;
		if (signal == SIGTRAP || signal == (SIGTRAP | 0x80)) {
			seen(child);
			signal = 0;
		}
	}
	return false;
}

static void see_nothing(struct child *child)
{
	(void)child;
}

/* PTRACE_GET_SYSCALL_INFO, Linux 5.3 */
static void see_call(struct child *child)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, child->pid, sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (info.entry.nr == SYS_ioctl)
		shared->count.ioctls++;
	else
		shared->count.other_calls++;
}

static void see_instruction(struct child *child)
{
	(void)child;
	shared->count.instructions++;
}

/* What one stop() is, and then what lies between two of them. */
static bool counted(struct child *child, int request, void (*seen)(struct child *child),
		    uint64_t *count)
{
	uint64_t of_stop;

	*count = 0;
	if (!to_stop(child, request, seen))
		return false;
	of_stop = *count;
	*count = 0;
	if (!to_stop(child, request, seen))
		return false;
	*count -= of_stop;
	return true;
}

/* What count_run() wants, until the child says that it ends, or ends, or can't be traced. */
static void serve(struct child *child)
{
	struct count *count = &shared->count;

	while (to_stop(child, PTRACE_CONT, see_nothing)) {
		if (shared->ended) {
			if (!ptrace(PTRACE_DETACH, child->pid, NULL, NULL))
				waitpid(child->pid, &child->status, 0);
			return;
		}
		count->ioctls = 0;
		if (!counted(child, PTRACE_SYSCALL, see_call, &count->other_calls) ||
		    !to_stop(child, PTRACE_CONT, see_nothing) ||
		    !counted(child, PTRACE_SINGLESTEP, see_instruction, &count->instructions))
			return;
	}
}

/* On one processor one process takes over from the other twice as fast as on two. */
static void stay_here(void)
{
	int cpu = sched_getcpu();
	cpu_set_t here;

	CPU_ZERO(&here);
	if (cpu >= 0 && cpu < CPU_SETSIZE) {
		CPU_SET(cpu, &here);
		sched_setaffinity(0, sizeof(here), &here);
	}
}

int count_start(void)
{
	struct child child;

	stay_here();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return fail("no memory");
	child.pid = fork();
	if (child.pid < 0)
		return fail("no process can be made: %s", strerror(errno));
	if (!child.pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			exit(fail("a process can't be traced here: %s (see "
				  "/proc/sys/kernel/yama/ptrace_scope)", strerror(errno)));
		stop();
		return GO_ON;
	}
	if (waitpid(child.pid, &child.status, 0) != child.pid)
		return fail("the process that is counted is lost: %s", strerror(errno));
	if (WIFSTOPPED(child.status) && !ptrace(PTRACE_SETOPTIONS, child.pid, NULL,
						PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		serve(&child);
	if (WIFEXITED(child.status))
		return WEXITSTATUS(child.status);
	return fail("the process that is counted %s%s", WIFSIGNALED(child.status) ? "ended: " :
		    "can't be traced: ", WIFSIGNALED(child.status) ?
		    strsignal(WTERMSIG(child.status)) : strerror(errno));
}
