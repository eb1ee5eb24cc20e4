/* SPDX-License-Identifier: MIT */
/*
 * Memory that is mapped when a device asks for it: page faults are answered one group after the
 * other. For fault.c, and for the test of it on devices that do ask (tests/vm/guest/mock).
 */
#ifndef EXAMPLES_DEMAND_H
#define EXAMPLES_DEMAND_H

#include <errno.h>
#include <stdbool.h>

#include <weir/weir.h>

/* The memory, and where devices may have it. */
struct demand {
	struct weir_ioas *as;
	unsigned char *ram;
	weir_iova first;
	size_t len, page;		/* multiples of the page size of the system */
};

/* 0 when it is mapped now, or was; or -errno: the device may not have it. */
static inline int demand_page(const struct demand *d, const struct weir_page *page)
{
	const struct weir_map_opts there = { .fixed = true };
	weir_iova at = page->iova & ~(weir_iova)(d->page - 1);
	int ret;

	if (at < d->first || at - d->first >= d->len)
		return -EFAULT;
	ret = weir_ioas_map(d->as, d->ram + (at - d->first), d->page, &there, &at);
	/* Asked for twice, in one group or by two devices. */
	return ret == -EEXIST ? 0 : ret;
}

/*
 * Answer until nothing more is asked for @timeout milliseconds (negative: without end): how many
 * groups, or -errno.
 */
static inline int demand_serve(const struct demand *d, struct weir_faultq *queue, int timeout)
{
	struct weir_page_group group;
	int ret, n = 0;

	while ((ret = weir_faultq_read(queue, timeout, &group)) > 0) {
		/* Of a PASID they would be another address space's. */
		bool mapped = !group.has_pasid;

		for (size_t i = 0; i < group.n && mapped; i++)
			mapped = !demand_page(d, &group.pages[i]);
		ret = weir_faultq_answer(queue, group.id, mapped);
		/* It was detached meanwhile: nobody waits. */
		if (ret < 0 && ret != -ENOENT)
			return ret;
		n++;
	}
	return ret < 0 ? ret : n;
}

#endif
