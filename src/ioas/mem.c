/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <weir/mem.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/ioas.h"
#include "mem/pages.h"

struct weir_mem {
	struct weir_ioas *as;
	struct wr_pages pages;
	weir_iova iova;
};

/*
 * The pages that memory must have by itself, 0 for any: where no IOMMU joins small ones, and where
 * IOVAs lie in windows of larger ones alone.
 */
static int pages_needed(struct weir_ioas *as, weir_iova limit, uint64_t *out)
{
	uint64_t page;

	pthread_mutex_lock(&as->books);
	page = wr_ioas_placing(as) ? WR_HUGE_PAGE :
	       wr_ioas_least_page(as, limit && limit < as->limit ? limit : as->limit);
	pthread_mutex_unlock(&as->books);
	*out = 0;
	return page > wr_page_size() ? wr_pages_at_least(page, out) : 0;
}

int weir_mem_alloc(struct weir_ioas *as, size_t len, const struct weir_mem_opts *opts,
		   struct weir_mem **out)
{
	static const struct weir_mem_opts automatic;
	struct weir_map_opts map = { .scattered = true };
	struct weir_mem_opts huge;
	struct weir_mem *mem;
	uint64_t needed = 0;
	int ret;

	if (!opts)
		opts = &automatic;
	ret = wr_ioas_check_change(as);
	if (!ret)
		ret = WR_RESERVED(opts, "weir_mem_opts");
	if (!ret && !opts->page_size)
		ret = pages_needed(as, opts->limit, &needed);
	if (ret)
		return ret;
	if (needed) {
		huge = *opts;
		huge.page_size = needed;
		huge.huge = false;
		opts = &huge;
	}

	mem = calloc(1, sizeof(*mem));
	if (!mem)
		return wr_fail(-ENOMEM, "no memory");
	ret = wr_pages_alloc(len, opts, &mem->pages);
	if (ret)
		goto free_mem;
	map.dir = opts->dir;
	map.limit = opts->limit;
	ret = wr_ioas_map_mem(as, mem->pages.addr, mem->pages.len, mem->pages.fd, &map, &mem->iova);
	if (ret)
		goto free_pages;
	mem->as = as;
	*out = mem;
	return 0;
free_pages:
	wr_pages_free(&mem->pages);
free_mem:
	free(mem);
	return ret;
}

int weir_mem_free(struct weir_mem *mem)
{
	int ret;

	if (!mem)
		return 0;
	ret = wr_ioas_unmap_mem(mem->as, mem->iova, mem->pages.len);
	if (ret && ret != -EIO)
		return ret;
	/* What the kernel didn't unmap it keeps pinned: a device reaches no memory of others. */
	wr_pages_free(&mem->pages);
	free(mem);
	return ret;
}

void *weir_mem_ptr(const struct weir_mem *mem)
{
	return mem->pages.addr;
}

weir_iova weir_mem_iova(const struct weir_mem *mem)
{
	return mem->iova;
}

size_t weir_mem_len(const struct weir_mem *mem)
{
	return mem->pages.len;
}

int weir_mem_fd(const struct weir_mem *mem)
{
	if (mem->pages.fd < 0)
		return wr_fail(-EINVAL, "the memory isn't a file's: ask for it with "
			       "weir_mem_opts.shared");
	return mem->pages.fd;
}
