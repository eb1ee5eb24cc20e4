/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "kernel/memlock.h"

/* KiB, by a line of /proc/self/status. */
static uint64_t kib_of(const char *field)
{
	FILE *status = fopen("/proc/self/status", "re");
	size_t len = strlen(field);
	uint64_t kib = 0;
	char line[128];

	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, field, len) && sscanf(line + len, ": %" SCNu64, &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib;
}

/*
 * By user (user->locked_vm, incr_user_locked_vm()): io_uring and others count there too, and how
 * much it is the kernel doesn't tell; but of the process what it pinned (mm->pinned_vm).
 */
static void explain_user(uint64_t more, uint64_t most)
{
	uint64_t pinned = kib_of("VmPin");

	wr_message("mapping %" PRIu64 " KiB: the kernel has no memory for it, or may not pin that "
		   "much: the limit of locked memory is %" PRIu64 " KiB, and all that the "
		   "processes of user %u have pinned through IOMMUFD or io_uring counts together: "
		   "this one has %" PRIu64 ", and needs %" PRIu64 " besides what others have; "
		   "raise it (ulimit -l, LimitMEMLOCK=), or have each process counted by itself, "
		   "which takes CAP_SYS_RESOURCE (weir_iommu_opts.accounting)", more, most,
		   getuid(), pinned, pinned + more);
}

/*
 * By process: vfio_lock_acct() of vfio_iommu_type1.c, update_mm_locked_vm() of iommufd/pages.c,
 * account_locked_vm() for POWER's containers.
 */
static bool explain_process(const char *what, uint64_t more, uint64_t most)
{
	uint64_t locked = kib_of("VmLck");

	if (locked + more <= most)
		return false;
	wr_message("%s %" PRIu64 " KiB: the kernel may not pin that much: the limit of locked "
		   "memory is %" PRIu64 " KiB in all, this process has %" PRIu64 " locked or "
		   "pinned, and needs %" PRIu64 "; raise it (ulimit -l, LimitMEMLOCK=)", what, more,
		   most, locked, locked + more);
	return true;
}

/* In KiB; false: there is none. Who has CAP_IPC_LOCK has none either, which isn't seen here. */
static bool read_limit(uint64_t *most)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return false;
	*most = limit.rlim_cur >> 10;
	return true;
}

bool wr_memlock_explains(const struct wr_mapping *m, enum wr_memlock whose)
{
	uint64_t more = m->len >> 10, most;

	if (!read_limit(&most))
		return false;
	if (whose == WR_MEMLOCK_PROCESS)
		return explain_process("mapping", more, most);
	explain_user(more, most);
	return true;
}

bool wr_memlock_explains_bytes(const char *what, uint64_t bytes)
{
	uint64_t most;

	return read_limit(&most) && explain_process(what, bytes >> 10, most);
}
