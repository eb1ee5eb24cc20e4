/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include <weir/spapr.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/locked.h"

/* POWERNV_IOMMU_MAX_LEVELS */
#define LEVELS_MAX 5

static unsigned int log2_of(uint64_t power)
{
	return (unsigned int)__builtin_ctzll(power);
}

static bool is_power(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* PowerNV is what runs on OPAL, its firmware (opal_sysfs_init()). */
static enum weir_spapr_host this_host(void)
{
	return wr_sys->access("/sys/firmware/opal") ? WEIR_SPAPR_PSERIES : WEIR_SPAPR_POWERNV;
}

/* pnv_pci_ioda2_get_table_size(): the table, and as much again for a copy with user addresses. */
static uint64_t powernv_table(uint64_t size, unsigned int page_shift, unsigned int levels,
			      uint64_t page)
{
	unsigned int entries = log2_of(size) - page_shift;
	unsigned int shift = (entries + levels - 1) / levels + 3;
	uint64_t table = 8ull << entries, direct, bytes = 0;

	if (table < 0x1000)
		table = 0x1000;
	direct = shift < log2_of(page) ? page : 1ull << shift;
	for (; levels; levels--) {
		bytes += (table + direct - 1) / direct * direct;
		table = table / direct * 8;
		if (table < direct)
			table = direct;
	}
	return 2 * bytes;
}

/* tce_iommu_create_table(): whole pages count. On pSeries by spapr_tce_get_table_size(). */
static uint64_t table_of(enum weir_spapr_host host, uint64_t size, unsigned int page_shift,
			 unsigned int levels, uint64_t page)
{
	uint64_t bytes = host == WEIR_SPAPR_PSERIES ? size >> (page_shift - 3) :
			 powernv_table(size, page_shift, levels, page);

	return bytes / page * page;
}

uint64_t wr_locked_table(uint64_t size, unsigned int page_shift, unsigned int levels)
{
	return table_of(this_host(), size, page_shift, levels, wr_page_size());
}

/* ---- the sum ---- */

/* As spapr_tce_create_table() and pnv_pci_ioda2_table_alloc_pages() have it. */
static int check_window(enum weir_spapr_host host, const struct weir_window *w, uint64_t page)
{
	uint64_t size = w->last - w->first + 1;
	unsigned int levels = w->levels ? w->levels : 1, most, per_level;

	if (!is_power(size) || !is_power(w->page_size) || w->page_size < 4096 ||
	    w->page_size > size)
		return wr_fail(-EINVAL, "a window of %" PRIu64 " bytes, with pages of %" PRIu64
			       ": both must be powers of two, pages of 4 KiB or more, and the "
			       "window have one", size, w->page_size);
	most = host == WEIR_SPAPR_PSERIES ? 1 : LEVELS_MAX;
	if (levels > most)
		return wr_fail(-EINVAL, "%u levels of a window's table: there are %u at most",
			       levels, most);
	per_level = (log2_of(size / w->page_size) + levels - 1) / levels;
	if (per_level < log2_of(page) - 3)
		per_level = log2_of(page) - 3;
	if (host == WEIR_SPAPR_POWERNV && per_level * levels + log2_of(w->page_size) >= 55)
		return wr_fail(-EINVAL, "%u levels of a table for %" PRIu64 " MiB with pages of "
			       "%" PRIu64 " KiB are more than PowerNV's IOMMU walks through",
			       levels, size >> 20, w->page_size >> 10);
	return 0;
}

/* What one container counts; sizes are powers of two, and few: the sum of tables fits. */
static int add_windows(const struct weir_spapr_locked_opts *opts, enum weir_spapr_host host,
		       uint64_t page, struct weir_spapr_locked *sum)
{
	for (size_t i = 0; i < opts->n_windows; i++) {
		const struct weir_window *w = &opts->windows[i];
		uint64_t size = w->last - w->first + 1;
		int ret = check_window(host, w, page);

		if (ret)
			return wr_fail_in(ret, "window %zu", i);
		if (opts->version == 1 && __builtin_add_overflow(sum->memory, size, &sum->memory))
			return -EOVERFLOW;
		if (__builtin_add_overflow(sum->tables,
					   table_of(host, size, log2_of(w->page_size),
						    w->levels ? w->levels : 1, page),
					   &sum->tables))
			return -EOVERFLOW;
	}
	return 0;
}

static int add_up(const struct weir_spapr_locked_opts *opts, enum weir_spapr_host host,
		  uint64_t page, struct weir_spapr_locked *sum)
{
	unsigned int containers = opts->containers ? opts->containers : 1;
	int ret = add_windows(opts, host, page, sum);

	if (ret)
		return ret;
	if (__builtin_mul_overflow(sum->memory, containers, &sum->memory) ||
	    __builtin_mul_overflow(sum->tables, containers, &sum->tables))
		return -EOVERFLOW;
	if (opts->version == 2)
		sum->memory = opts->memory;
	return __builtin_add_overflow(sum->memory, sum->tables, &sum->total) ? -EOVERFLOW : 0;
}

int weir_spapr_locked(const struct weir_spapr_locked_opts *opts, struct weir_spapr_locked *out)
{
	enum weir_spapr_host host = opts->host == WEIR_SPAPR_HERE ? this_host() : opts->host;
	uint64_t page = opts->page_size ? opts->page_size : wr_page_size();
	struct weir_spapr_locked sum = { 0 };
	int ret = WR_RESERVED(opts, "weir_spapr_locked_opts");

	if (ret)
		return ret;
	if (opts->version != 1 && opts->version != 2)
		return wr_fail(-EINVAL, "version %u of POWER's container: there are 1 and 2",
			       opts->version);
	if ((unsigned int)opts->host > WEIR_SPAPR_PSERIES)
		return wr_fail(-EINVAL, "%d is no weir_spapr_host", (int)opts->host);
	if (opts->host == WEIR_SPAPR_HERE && !wr_sys->power())
		return wr_fail(-EINVAL, "this machine isn't POWER, so it doesn't say how locked "
			       "memory counts there: name the host (weir_spapr_host)");
	if (!is_power(page) || page < 4096)
		return wr_fail(-EINVAL, "%" PRIu64 " bytes are no page of a system", page);
	ret = add_up(opts, host, page, &sum);
	if (ret == -EOVERFLOW)
		return wr_fail(-EINVAL, "what is locked is more than 64 bits can say");
	if (!ret)
		*out = sum;
	return ret;
}
