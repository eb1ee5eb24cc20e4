/* SPDX-License-Identifier: MIT */
/* As libvirt counts: qemuDomainGetMemLockLimitBytes(), getPPC64MemLockLimitBytes(). */
#include "host/host.h"

#include <weir/doctor.h>

#include "base/err.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

static bool add(uint64_t *sum, uint64_t factor, uint64_t of)
{
	uint64_t product;

	return !__builtin_mul_overflow(factor, of, &product) &&
	       !__builtin_add_overflow(*sum, product, sum);
}

static bool count_power(const struct weir_host_memlock_opts *opts, uint64_t *bytes)
{
	uint64_t bridges = opts->bridges ? opts->bridges : 1;
	uint64_t max = opts->max_memory ? opts->max_memory : opts->memory;
	uint64_t windows = 0, all = opts->memory;

	*bytes = max / 128 + 8 * MIB;
	/* Windows of 2 GiB; or all memory, and tables of 8 bytes for each 4 KiB of it. */
	if (!add(bytes, bridges, 4 * MIB) || !add(&windows, bridges, 2 * GIB) ||
	    !add(&all, bridges, opts->memory / 512) || !add(&all, 8, MIB))
		return false;
	return add(bytes, 1, windows > all ? windows : all);
}

int weir_host_memlock(const struct weir_host_memlock_opts *opts, uint64_t *bytes)
{
	uint64_t devices = opts->devices ? opts->devices : 1;
	uint64_t spaces = (opts->viommu ? devices : 1) + opts->vdpa, sum = 0;
	int ret = WR_RESERVED(opts, "weir_host_memlock_opts");

	if (ret < 0)
		return ret;
	if (!opts->memory || (opts->max_memory && opts->max_memory < opts->memory))
		return wr_fail(-EINVAL, "a guest has some memory, and at most as much as it may "
			       "come to have");
	if (opts->power ? !count_power(opts, &sum) :
	    !add(&sum, spaces, opts->memory) || !add(&sum, 1, GIB))
		return wr_fail(-EINVAL, "so much locked memory doesn't fit into 64 bits");
	*bytes = sum;
	return 0;
}
