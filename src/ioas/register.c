/* SPDX-License-Identifier: MIT */
/*
 * Memory that is registered ahead of its mapping. Which it is the address space keeps, for domains
 * that come later.
 */
#include <inttypes.h>
#include <stdlib.h>

#include <weir/spapr.h>

#include "base/err.h"
#include "ioas/ioas.h"

struct ahead {
	struct wr_list link;
	uint64_t vaddr, len;
	unsigned int times;
};

static struct ahead *find(const struct weir_ioas *as, uint64_t vaddr, uint64_t len)
{
	struct ahead *a;

	wr_list_for_each(a, &as->ahead, link)
		if (a->vaddr == vaddr && a->len == len)
			return a;
	return NULL;
}

static int register_one(struct wr_domain *d, uint64_t vaddr, uint64_t len)
{
	if (d->ops->register_memory)
		return d->ops->register_memory(d, vaddr, len);
	return wr_fail(-ENOTSUP, "%s has no memory registered ahead (weir_ioas_register()), but "
		       "pins it when it is mapped; \"spaprv2\" has", d->ops->name);
}

int wr_ioas_register_on(const struct weir_ioas *as, struct wr_domain *d)
{
	const struct ahead *a;
	int ret = 0;

	wr_list_for_each(a, &as->ahead, link)
		if (!ret)
			ret = register_one(d, a->vaddr, a->len);
	return ret;
}

void wr_ioas_forget_ahead(struct weir_ioas *as)
{
	while (!wr_list_empty(&as->ahead)) {
		struct ahead *a = wr_container_of(as->ahead.next, struct ahead, link);

		wr_list_del(&a->link);
		free(a);
	}
}

static int register_locked(struct weir_ioas *as, uint64_t vaddr, uint64_t len)
{
	struct ahead *a = find(as, vaddr, len);
	struct wr_domain *d, *undo;

	if (a) {
		a->times++;
		return 0;
	}
	a = malloc(sizeof(*a));
	if (!a)
		return wr_fail(-ENOMEM, "no memory to record what is registered");
	*a = (struct ahead){ .vaddr = vaddr, .len = len, .times = 1 };
	wr_list_for_each(d, &as->domains, link) {
		int ret = register_one(d, vaddr, len);

		if (!ret)
			continue;
		wr_list_for_each(undo, &as->domains, link) {
			if (undo == d)
				break;
			undo->ops->unregister_memory(undo, vaddr, len);
		}
		free(a);
		return ret;
	}
	wr_list_add_tail(&as->ahead, &a->link);
	return 0;
}

int weir_ioas_register(struct weir_ioas *as, void *vaddr, size_t len)
{
	int ret = wr_ioas_check_range((uintptr_t)vaddr, len, "address");

	if (!ret)
		ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = register_locked(as, (uintptr_t)vaddr, len);
	pthread_mutex_unlock(&as->lock);
	return ret;
}

static int unregister_locked(struct weir_ioas *as, char *vaddr, uint64_t len)
{
	struct ahead *a = find(as, (uintptr_t)vaddr, len);
	struct wr_domain *d;
	weir_iova iova;

	if (!a)
		return wr_fail(-ENOENT, "%" PRIu64 " bytes at %p aren't registered: memory is "
			       "unregistered as it was registered", len, (void *)vaddr);
	if (a->times > 1) {
		a->times--;
		return 0;
	}
	if (wr_maps_have(&as->maps, vaddr, len, &iova))
		return wr_fail(-EBUSY, "%" PRIu64 " bytes at %p can't be unregistered: some of it "
			       "is mapped, at IOVA 0x%" PRIx64 ": unmap that first", len,
			       (void *)vaddr, iova);
	wr_list_for_each(d, &as->domains, link)
		d->ops->unregister_memory(d, (uintptr_t)vaddr, len);
	wr_list_del(&a->link);
	free(a);
	return 0;
}

int weir_ioas_unregister(struct weir_ioas *as, void *vaddr, size_t len)
{
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	pthread_mutex_lock(&as->lock);
	ret = unregister_locked(as, vaddr, len);
	pthread_mutex_unlock(&as->lock);
	return ret;
}
