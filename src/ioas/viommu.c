/* SPDX-License-Identifier: MIT */
/*
 * A slice of a real IOMMU for a guest, the guest's devices on it, and queues in the guest's memory
 * that the hardware reads. All are objects of IOMMUFD, under the context's attach_lock.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/hwpt.h"
#include "kernel/hwpt.h"
#include "kernel/iommufd.h"

/* Registers that the kernel lends. */
struct lent {
	struct wr_list link;
	void *at;
	size_t len;
};

struct weir_vdevice {
	struct weir_viommu *viommu;
	struct wr_endpoint *ep;
	uint32_t number;
};

struct weir_hwqueue {
	struct wr_list link;		/* of its vIOMMU, by index */
	struct wr_list held;		/* of the address space; under its lock, too */
	struct weir_viommu *viommu;
	uint32_t number, index;
	weir_iova first, last;
};

static struct weir_iommu *iommu_of(const struct weir_viommu *viommu)
{
	return viommu->parent->as->iommu;
}

/* ---- the vIOMMU ---- */

int wr_viommu_alloc(struct weir_hwpt *parent, struct wr_endpoint *ep, uint32_t type, void *data,
		    size_t len, struct weir_viommu **out)
{
	struct weir_iommu *iommu = parent->as->iommu;
	struct weir_viommu *viommu;
	int ret = wr_ioas_check_change(parent->as);

	if (!ret && (!data != !len || len > UINT32_MAX))
		ret = wr_fail(-EINVAL, "%zu bytes of data for a vIOMMU at %p", len, data);
	if (ret)
		return ret;
	viommu = calloc(1, sizeof(*viommu));
	if (!viommu)
		return wr_fail(-ENOMEM, "no memory for a vIOMMU");
	viommu->parent = parent;
	wr_list_init(&viommu->queues);
	wr_list_init(&viommu->maps);
	pthread_mutex_lock(&iommu->attach_lock);
	ret = wr_hwpt_check_parent(parent, ep);
	if (!ret)
		ret = wr_iommufd_viommu_alloc(iommu->iommufd, parent->table->number, ep->devid,
					      type, data, len, &viommu->number);
	parent->children += !ret;
	pthread_mutex_unlock(&iommu->attach_lock);
	if (ret)
		free(viommu);
	else
		*out = viommu;
	return ret;
}

static int check_free(const struct weir_viommu *viommu)
{
	if (viommu->children)
		return wr_fail(-EBUSY, "the vIOMMU is in use: %u nested page tables, virtual "
			       "devices or event queues are made from it: free them first",
			       viommu->children);
	if (!wr_list_empty(&viommu->queues))
		return wr_fail(-EBUSY, "the vIOMMU is in use: the hardware reads a queue of it: "
			       "weir_hwqueue_free() first");
	if (!wr_list_empty(&viommu->maps))
		return wr_fail(-EBUSY, "the vIOMMU is in use: registers of it are mapped: "
			       "weir_viommu_unmap() first");
	return 0;
}

int weir_viommu_free(struct weir_viommu *viommu)
{
	struct weir_iommu *iommu;
	int ret;

	if (!viommu)
		return 0;
	ret = wr_ioas_check_change(viommu->parent->as);
	if (ret)
		return ret;
	iommu = iommu_of(viommu);
	pthread_mutex_lock(&iommu->attach_lock);
	ret = check_free(viommu);
	if (!ret) {
		wr_iommufd_destroy(iommu->iommufd, viommu->number);
		viommu->parent->children--;
	}
	pthread_mutex_unlock(&iommu->attach_lock);
	if (!ret)
		free(viommu);
	return ret;
}

int weir_viommu_invalidate(struct weir_viommu *viommu, uint32_t type, const void *entries,
			   size_t size, size_t n, size_t *done)
{
	size_t unused;
	int ret = wr_ioas_check_process(viommu->parent->as);

	done = done ? done : &unused;
	*done = 0;
	if (ret)
		return ret;
	return wr_iommufd_invalidate(iommu_of(viommu)->iommufd, viommu->number, type, entries,
				     size, n, done);
}

/* ---- registers ---- */

int weir_viommu_map(struct weir_viommu *viommu, uint64_t offset, uint64_t len, void **out)
{
	struct weir_iommu *iommu = iommu_of(viommu);
	struct lent *lent;
	void *at;
	int ret = wr_ioas_check_change(viommu->parent->as);

	if (ret)
		return ret;
	if (!len || len > SIZE_MAX || offset > INT64_MAX)
		return wr_fail(-EINVAL, "%" PRIu64 " bytes of registers at 0x%" PRIx64, len,
			       offset);
	lent = calloc(1, sizeof(*lent));
	if (!lent)
		return wr_fail(-ENOMEM, "no memory");
	ret = wr_sys->mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, iommu->iommufd,
			   (off_t)offset, &at);
	/* iommufd_fops_mmap() */
	if (ret == -ENXIO || ret == -EINVAL)
		ret = wr_fail(-EINVAL, "the vIOMMU has no %" PRIu64 " bytes of registers at 0x%"
			      PRIx64 " to lend", len, offset);
	else if (ret)
		ret = wr_fail(ret, "mapping registers of the vIOMMU: %s", strerror(-ret));
	if (ret)
		goto free_lent;
	ret = wr_sys->madvise(at, len, MADV_DONTFORK);
	if (ret) {
		wr_fail(ret, "keeping registers from child processes: %s", strerror(-ret));
		goto unmap;
	}
	lent->at = at;
	lent->len = len;
	wr_list_init(&lent->link);
	pthread_mutex_lock(&iommu->attach_lock);
	wr_list_add_tail(&viommu->maps, &lent->link);
	pthread_mutex_unlock(&iommu->attach_lock);
	*out = at;
	return 0;
unmap:
	wr_sys->munmap(at, len);
free_lent:
	free(lent);
	return ret;
}

int weir_viommu_unmap(struct weir_viommu *viommu, void *ptr)
{
	struct weir_iommu *iommu = iommu_of(viommu);
	struct lent *lent, *found = NULL;
	int ret = wr_ioas_check_change(viommu->parent->as);

	if (ret)
		return ret;
	pthread_mutex_lock(&iommu->attach_lock);
	wr_list_for_each(lent, &viommu->maps, link)
		if (lent->at == ptr)
			found = lent;
	if (found)
		wr_list_del(&found->link);
	pthread_mutex_unlock(&iommu->attach_lock);
	if (!found)
		return wr_fail(-EINVAL, "no registers of the vIOMMU are mapped at %p", ptr);
	wr_sys->munmap(found->at, found->len);
	free(found);
	return 0;
}

/* ---- devices ---- */

int wr_vdevice_alloc(struct weir_viommu *viommu, struct wr_endpoint *ep, uint64_t number,
		     struct weir_vdevice **out)
{
	struct weir_iommu *iommu = iommu_of(viommu);
	struct weir_vdevice *vdevice;
	int ret = wr_ioas_check_change(viommu->parent->as);

	if (ret)
		return ret;
	vdevice = calloc(1, sizeof(*vdevice));
	if (!vdevice)
		return wr_fail(-ENOMEM, "no memory for a virtual device");
	vdevice->viommu = viommu;
	vdevice->ep = ep;
	pthread_mutex_lock(&iommu->attach_lock);
	ret = wr_hwpt_check_parent(viommu->parent, ep);
	if (!ret)
		ret = wr_iommufd_vdevice_alloc(iommu->iommufd, viommu->number, ep->devid, number,
					       &vdevice->number);
	if (!ret) {
		viommu->children++;
		ep->virtual_on = viommu;
	}
	pthread_mutex_unlock(&iommu->attach_lock);
	if (ret)
		free(vdevice);
	else
		*out = vdevice;
	return ret;
}

int weir_vdevice_free(struct weir_vdevice *vdevice)
{
	struct weir_iommu *iommu;
	int ret;

	if (!vdevice)
		return 0;
	ret = wr_ioas_check_change(vdevice->viommu->parent->as);
	if (ret)
		return ret;
	iommu = iommu_of(vdevice->viommu);
	pthread_mutex_lock(&iommu->attach_lock);
	wr_iommufd_destroy(iommu->iommufd, vdevice->number);
	vdevice->viommu->children--;
	vdevice->ep->virtual_on = NULL;
	pthread_mutex_unlock(&iommu->attach_lock);
	free(vdevice);
	return 0;
}

/* The kernel would keep its number until the /dev/iommu is closed (iommufd_device_destroy()). */
int wr_ioas_check_virtual(const struct wr_endpoint *ep)
{
	struct weir_iommu *iommu = ep->as->iommu;
	bool virtual;

	pthread_mutex_lock(&iommu->attach_lock);
	virtual = ep->virtual_on;
	pthread_mutex_unlock(&iommu->attach_lock);
	return virtual ? wr_fail(-EBUSY, "%s: a virtual device is made of it: weir_vdevice_free() "
				 "it first", ep->name) : 0;
}

/* ---- queues that the hardware reads ---- */

static struct weir_hwqueue *queue_above(const struct weir_viommu *viommu, uint32_t index)
{
	struct weir_hwqueue *queue;

	wr_list_for_each(queue, &viommu->queues, link)
		if (queue->index > index)
			return queue;
	return NULL;
}

int weir_hwqueue_alloc(struct weir_viommu *viommu, uint32_t type, uint32_t index, weir_iova iova,
		       uint64_t len, struct weir_hwqueue **out)
{
	struct weir_ioas *as = viommu->parent->as;
	struct weir_hwqueue *queue;
	int ret = wr_ioas_check_change(as);

	if (ret)
		return ret;
	if (!len || iova + (len - 1) < iova)
		return wr_fail(-EINVAL, "a queue of %" PRIu64 " bytes at IOVA 0x%" PRIx64, len,
			       iova);
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return wr_fail(-ENOMEM, "no memory for a queue");
	*queue = (struct weir_hwqueue){
		.viommu = viommu, .index = index, .first = iova, .last = iova + (len - 1),
	};
	wr_list_init(&queue->link);
	wr_list_init(&queue->held);
	pthread_mutex_lock(&as->iommu->attach_lock);
	pthread_mutex_lock(&as->lock);
	ret = wr_iommufd_hwqueue_alloc(as->iommu->iommufd, viommu->number, type, index, iova, len,
				       &queue->number);
	if (!ret) {
		wr_list_add_tail(&viommu->queues, &queue->link);
		wr_list_add_tail(&as->queues, &queue->held);
	}
	pthread_mutex_unlock(&as->lock);
	pthread_mutex_unlock(&as->iommu->attach_lock);
	if (ret)
		free(queue);
	else
		*out = queue;
	return ret;
}

int weir_hwqueue_free(struct weir_hwqueue *queue)
{
	struct weir_ioas *as;
	int ret;

	if (!queue)
		return 0;
	as = queue->viommu->parent->as;
	ret = wr_ioas_check_change(as);
	if (ret)
		return ret;
	pthread_mutex_lock(&as->iommu->attach_lock);
	pthread_mutex_lock(&as->lock);
	if (queue_above(queue->viommu, queue->index)) {
		ret = wr_fail(-EBUSY, "the vIOMMU's queue %u can't go before those with higher "
			      "numbers", queue->index);
	} else {
		wr_iommufd_destroy(as->iommu->iommufd, queue->number);
		wr_list_del(&queue->link);
		wr_list_del(&queue->held);
	}
	pthread_mutex_unlock(&as->lock);
	pthread_mutex_unlock(&as->iommu->attach_lock);
	if (!ret)
		free(queue);
	return ret;
}

int wr_ioas_check_held(const struct weir_ioas *as, weir_iova iova, uint64_t len)
{
	const struct weir_hwqueue *queue;

	wr_list_for_each(queue, &as->queues, held)
		if (len && queue->first <= iova + (len - 1) && iova <= queue->last)
			return wr_fail(-EBUSY, "IOVA 0x%" PRIx64 " to 0x%" PRIx64 ": the hardware "
				       "reads a queue there: weir_hwqueue_free() it first",
				       queue->first, queue->last);
	return 0;
}
