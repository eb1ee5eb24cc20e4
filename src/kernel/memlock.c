/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "kernel/memlock.h"

/* KiB that count against this process's limit: what it locked itself, and what is pinned. */
static uint64_t locked_now(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	uint64_t locked = 0;
	char line[128];

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmLck: %" SCNu64, &locked) == 1)
			break;
	if (status)
		fclose(status);
	return locked;
}

/*
 * vfio_lock_acct() of vfio_iommu_type1.c and iopt_pages_update_pinned() of iommufd/pages.c; who
 * has CAP_IPC_LOCK has no limit. What a user's processes have pinned together the kernel doesn't
 * tell.
 */
bool wr_memlock_explains(const struct wr_mapping *m, enum wr_memlock whose)
{
	uint64_t locked = locked_now(), more = m->len >> 10, most;
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return false;
	most = limit.rlim_cur >> 10;
	if (whose == WR_MEMLOCK_USER) {
		wr_message("mapping %" PRIu64 " KiB: the kernel may not pin that much: the limit "
			   "of locked memory is %" PRIu64 " KiB, and all that the processes of "
			   "user %u have pinned through IOMMUFD counts together (a process with "
			   "CAP_SYS_RESOURCE is counted by itself); raise it (ulimit -l, "
			   "LimitMEMLOCK=)", more, most, getuid());
		return true;
	}
	if (locked + more <= most)
		return false;
	wr_message("mapping %" PRIu64 " KiB: the kernel may not pin that much: the limit of locked "
		   "memory is %" PRIu64 " KiB in all, this process has %" PRIu64 " locked or "
		   "pinned, and needs %" PRIu64 "; raise it (ulimit -l, LimitMEMLOCK=)", more,
		   most, locked, locked + more);
	return true;
}
