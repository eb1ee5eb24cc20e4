/* SPDX-License-Identifier: MIT */
/*
 * Windows of IOVAs that are made and removed, where the IOMMU has such. What is in a window is
 * mapped on all domains, and each would have its own: so there is one domain.
 */
#include <inttypes.h>

#include "base/err.h"
#include "ioas/ioas.h"

static int find_domain(struct weir_ioas *as, struct wr_domain **out)
{
	struct wr_domain *d, *found = NULL;
	unsigned int n = 0;

	wr_list_for_each(d, &as->domains, link) {
		found = d;
		n++;
	}
	if (n != 1 || !found->ops->add_window)
		return wr_fail(-ENOTSUP, "windows of IOVAs are made and removed where an address "
			       "space has one domain, which is POWER's (spaprv2); here it has %s",
			       !n ? "none" : n > 1 ? "several" : found->ops->name);
	*out = found;
	return 0;
}

static int add_locked(struct weir_ioas *as, uint64_t size, uint64_t page,
		      struct weir_iova_range *out)
{
	struct wr_domain *d;
	int ret = find_domain(as, &d);

	if (!ret)
		ret = d->ops->add_window(d, size, page, out);
	if (ret)
		return ret;
	ret = wr_ioas_recompute(as);
	if (ret && d->ops->remove_window(d, out->first))
		wr_log(WEIR_LOG_WARN, "a window stays: %s", weir_errmsg());
	return ret;
}

int wr_ioas_add_window(struct weir_ioas *as, uint64_t size, uint64_t page,
		       struct weir_iova_range *out)
{
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	if (!size || size & (size - 1) || !page || page & (page - 1))
		return wr_fail(-EINVAL, "a window of %" PRIu64 " bytes for pages of %" PRIu64
			       ": both must be powers of two", size, page);
	pthread_mutex_lock(&as->lock);
	ret = add_locked(as, size, page, out);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

static int remove_locked(struct weir_ioas *as, const struct weir_iova_range *window)
{
	struct wr_domain *d;
	struct wr_mapping m;
	int ret = find_domain(as, &d);

	if (ret)
		return ret;
	if (wr_ioas_next(as, window->first, window->last, &m))
		return wr_fail(-EBUSY, "the mapping at IOVA 0x%" PRIx64 " (%" PRIu64 " bytes) lies "
			       "in the window: unmap it first", m.iova, m.len);
	ret = d->ops->remove_window(d, window->first);
	if (ret)
		return ret;
	/* Without memory for the new ranges, the domain refuses what is chosen from the old. */
	wr_ioas_recompute(as);
	return 0;
}

int wr_ioas_remove_window(struct weir_ioas *as, const struct weir_iova_range *window)
{
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = remove_locked(as, window);
	pthread_mutex_unlock(&as->lock);
	return ret;
}
