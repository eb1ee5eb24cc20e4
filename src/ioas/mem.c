/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <weir/mem.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/ioas.h"
#include "mem/pages.h"

struct weir_mem {
	struct weir_ioas *as;
	void *pages;
	size_t len;
	weir_iova iova;
};

int weir_mem_alloc(struct weir_ioas *as, size_t len, const struct weir_mem_opts *opts,
		   struct weir_mem **out)
{
	static const struct weir_mem_opts automatic;
	struct weir_map_opts map = { 0 };
	struct weir_mem *mem;
	size_t unit;
	int ret;

	if (!opts)
		opts = &automatic;
	ret = wr_ioas_check_change(as);
	if (!ret)
		ret = WR_RESERVED(opts, "weir_mem_opts");
	if (ret)
		return ret;
	unit = opts->huge ? WR_HUGE_PAGE : wr_page_size();
	if (!len || len > SIZE_MAX - unit)
		return wr_fail(-EINVAL, "%zu bytes of memory can't be had", len);
	len = (len + unit - 1) & ~(unit - 1);

	mem = calloc(1, sizeof(*mem));
	if (!mem)
		return wr_fail(-ENOMEM, "no memory");
	ret = wr_pages_alloc(len, opts->huge, &mem->pages);
	if (ret)
		goto free_mem;
	map.dir = opts->dir;
	map.limit = opts->limit;
	ret = weir_ioas_map(as, mem->pages, len, &map, &mem->iova);
	if (ret)
		goto free_pages;
	mem->as = as;
	mem->len = len;
	wr_ioas_hold(as, 1);
	*out = mem;
	return 0;
free_pages:
	wr_pages_free(mem->pages, len);
free_mem:
	free(mem);
	return ret;
}

int weir_mem_free(struct weir_mem *mem)
{
	int ret;

	if (!mem)
		return 0;
	ret = weir_ioas_unmap(mem->as, mem->iova, mem->len);
	if (ret && ret != -EIO)
		return ret;
	/* What the kernel didn't unmap it keeps pinned: a device reaches no memory of others. */
	wr_ioas_hold(mem->as, -1);
	wr_pages_free(mem->pages, mem->len);
	free(mem);
	return ret;
}

void *weir_mem_ptr(const struct weir_mem *mem)
{
	return mem->pages;
}

weir_iova weir_mem_iova(const struct weir_mem *mem)
{
	return mem->iova;
}

size_t weir_mem_len(const struct weir_mem *mem)
{
	return mem->len;
}
