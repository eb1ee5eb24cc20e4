/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/bare.h"

void wr_bare_init(struct wr_domain *d, const struct wr_domain_ops *ops)
{
	d->ops = ops;
	d->ranges = (struct wr_ranges){ .n = 1, .r = { { 0, UINT64_MAX } } };
	d->dirty = WEIR_DIRTY_NONE;
	d->page_sizes = wr_page_size();
	d->isolation = false;
	d->room = UINT64_MAX;
	wr_list_init(&d->link);
}

void wr_bare_warn(const struct wr_endpoint *ep)
{
	wr_log(WEIR_LOG_WARN, "%s: no IOMMU holds it back: it can read and write all of this "
	       "machine's memory", ep->name);
}

int wr_bare_twice(const void *vaddr, size_t len)
{
	return wr_fail(-EEXIST, "%zu bytes at %p: some of it is mapped already, and without an "
		       "IOMMU memory has one IOVA alone", len, vaddr);
}

int wr_runs_add(struct wr_runs *runs, char *vaddr, uint64_t phys, uint64_t len)
{
	struct wr_mapping *last = runs->n ? &runs->m[runs->n - 1] : NULL;

	if (last && last->iova + last->len == phys && last->vaddr + last->len == vaddr) {
		last->len += len;
		return 0;
	}
	if (runs->n == runs->room) {
		size_t room = runs->room ? 2 * runs->room : 16;
		struct wr_mapping *m = reallocarray(runs->m, room, sizeof(*m));

		if (!m)
			return wr_fail(-ENOMEM, "no memory for a list of %zu runs", room);
		runs->m = m;
		runs->room = room;
	}
	runs->m[runs->n++] = (struct wr_mapping){ .iova = phys, .len = len, .vaddr = vaddr };
	return 0;
}
