/* SPDX-License-Identifier: MIT */
/*
 * The fake kernel's page tables, nested ones, fault queues and vIOMMUs (drivers/iommu/iommufd/
 * {hw_pagetable,eventq,viommu}.c), as far as user programs see them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "fake_ioas.h"

/* ---- page tables ---- */

static int pin_all(const struct object *ioas)
{
	uint64_t bytes = 0;

	for (const struct area *a = ioas->areas; a; a = a->next) {
		int ret = fake_pin(a, bytes);

		if (ret)
			return ret;
		bytes += a->map.length;
	}
	return 0;
}

int fake_new_hwpt(struct object *ioas, struct fake_group *g, bool dirty, struct object **out)
{
	struct object *hwpt;
	int ret = fake_has_table(ioas) ? 0 : pin_all(ioas);

	if (ret)
		return ret;
	for (const struct area *a = ioas->areas; a; a = a->next)
		if (!fake_in_aperture(g, a->map.iova + (a->map.length - 1)))
			return -EADDRINUSE;
	if (!fake_allowed_in(ioas, g, true))
		return -EADDRINUSE;
	hwpt = fake_new_object(ioas->ctx, HWPT);
	if (!hwpt)
		return -ENOMEM;
	hwpt->ioas = ioas;
	hwpt->group = g;
	hwpt->dirty = dirty;
	ioas->users++;
	*out = hwpt;
	return 0;
}

/* On a page table, or on a vIOMMU, whose type says what it takes. */
static int new_nested(struct object *parent, struct object *device,
		      const struct wr_iommu_hwpt_alloc *alloc, struct object **out)
{
	uint32_t wanted = fake.iommufd.nested_type;

	if (alloc->flags & ~(WR_IOMMU_HWPT_FAULT | WR_IOMMU_HWPT_PASID) || !alloc->data_len ||
	    !wanted)
		return -EOPNOTSUPP;
	if (parent->type == HWPT && !parent->nest_parent)
		return -EINVAL;
	if (parent->type == VIOMMU ? fake.iommufd.nests_without_viommu :
	    !fake.iommufd.nests_without_viommu)
		return -EOPNOTSUPP;
	if (parent->group->iommu != device->group->iommu)
		return -EINVAL;
	if (alloc->data_type != wanted)
		return -EOPNOTSUPP;
	if (fake.iommufd.nested_error)
		return fake.iommufd.nested_error;
	*out = fake_new_object(parent->ctx, NESTED);
	if (!*out)
		return -ENOMEM;
	(*out)->group = device->group;
	(*out)->parent = parent;
	parent->users++;
	return 0;
}

static int new_paging(struct object *ioas, struct object *device,
		      const struct wr_iommu_hwpt_alloc *alloc, struct object **out)
{
	bool dirty = alloc->flags & WR_IOMMU_HWPT_DIRTY;
	bool pasid = alloc->flags & WR_IOMMU_HWPT_PASID;
	bool nest = alloc->flags & WR_IOMMU_HWPT_NEST_PARENT;
	int ret;

	if (alloc->flags & ~15u || alloc->data_type)
		return -EOPNOTSUPP;
	if (dirty && !device->group->tracks_dirty)
		return -EOPNOTSUPP;
	if ((pasid && !fake.iommufd.pasid_bits) || (nest && !fake.iommufd.nested_type))
		return -EOPNOTSUPP;
	ret = fake_new_hwpt(ioas, device->group, dirty, out);
	if (!ret)
		(*out)->nest_parent = nest;
	return ret;
}

int fake_hwpt_alloc(struct fake_context *ctx, struct wr_iommu_hwpt_alloc *given)
{
	struct wr_iommu_hwpt_alloc alloc = { 0 };
	struct object *device, *on, *fault = NULL, *hwpt;
	int ret;

	memcpy(&alloc, given, given->size < sizeof(alloc) ? given->size : sizeof(alloc));
	if (given->size > 24 && fake.iommufd.old)
		return -E2BIG;
	device = fake_find_object(ctx, alloc.dev_id, DEVICE);
	on = fake_find_object(ctx, alloc.pt_id, ANY);
	if (alloc.reserved || alloc.reserved2)
		return -EOPNOTSUPP;
	if (!alloc.data_type != !alloc.data_len)
		return -EINVAL;
	if (!device)
		return -ENOENT;
	if (!on || (on->type != IOAS && on->type != HWPT && on->type != VIOMMU))
		return -EINVAL;
	if (alloc.flags & WR_IOMMU_HWPT_FAULT) {
		if (on->type == IOAS && alloc.flags & WR_IOMMU_HWPT_NEST_PARENT)
			return -EOPNOTSUPP;
		fault = fake_find_object(ctx, alloc.fault_id, FAULT);
		if (!fault)
			return -ENOENT;
	}
	ret = on->type == IOAS ? new_paging(on, device, &alloc, &hwpt) :
				 new_nested(on, device, &alloc, &hwpt);
	if (ret)
		return ret;
	hwpt->pasid = alloc.flags & WR_IOMMU_HWPT_PASID;
	hwpt->fault = fault;
	if (fault)
		fault->users++;
	given->out_hwpt_id = fake_object_id(hwpt);
	return 0;
}

/*
 * What is invalidated are words: the one that is a multiple of 7 isn't liked, and then those before
 * it are counted and not done, as an SMMUv3's driver does.
 */
int fake_invalidate(struct fake_context *ctx, struct wr_iommu_invalidate *arg)
{
	const struct object *on = fake_find_object(ctx, arg->hwpt_id, ANY);
	uint32_t n = arg->entry_num;

	arg->entry_num = 0;
	if (!on)
		return -ENOENT;
	if (n && (!arg->entry_len || n > WR_IOMMU_INVALIDATE_MAX))
		return -EINVAL;
	if (on->type != NESTED && on->type != VIOMMU)
		return -EINVAL;
	if ((on->type == VIOMMU) == fake.iommufd.nests_without_viommu)
		return -EOPNOTSUPP;
	if (arg->data_type != fake.iommufd.invalidate_type)
		return -EINVAL;
	for (; arg->entry_num < n; arg->entry_num++) {
		uint64_t word;

		memcpy(&word, (char *)(uintptr_t)arg->data_uptr +
		       (size_t)arg->entry_num * arg->entry_len, sizeof(word));
		if (word && !(word % 7))
			return -EINVAL;
	}
	fake.iommufd.invalidated += n;
	arg->entry_num -= fake.iommufd.invalidate_less;
	return 0;
}

/* ---- dirty tracking ---- */

int fake_set_dirty(struct fake_context *ctx, const struct wr_iommu_set_dirty *arg)
{
	struct object *hwpt = fake_find_object(ctx, arg->hwpt_id, HWPT);

	if (!hwpt)
		return -ENOENT;
	if (!hwpt->dirty)
		return -EOPNOTSUPP;
	hwpt->tracking = arg->flags & WR_IOMMU_DIRTY_ENABLE;
	hwpt->n_written = 0;
	return 0;
}

int fake_get_dirty(struct fake_context *ctx, const struct wr_iommu_get_dirty *arg)
{
	uint64_t *bitmap = (uint64_t *)(uintptr_t)arg->data, mask = arg->page_size - 1;
	struct object *hwpt = fake_find_object(ctx, arg->hwpt_id, HWPT);
	unsigned int kept = 0;

	if (!hwpt)
		return -ENOENT;
	if (!arg->page_size || (arg->iova | arg->length) & mask || !hwpt->tracking)
		return -EINVAL;
	for (unsigned int i = 0; i < hwpt->n_written; i++) {
		uint64_t bit = (hwpt->written[i] - arg->iova) / arg->page_size;

		if (hwpt->written[i] - arg->iova < arg->length)
			bitmap[bit / 64] |= 1ull << (bit % 64);
		if (hwpt->written[i] - arg->iova >= arg->length ||
		    arg->flags & WR_IOMMU_DIRTY_NO_CLEAR)
			hwpt->written[kept++] = hwpt->written[i];
	}
	hwpt->n_written = kept;
	return 0;
}

/* ---- PASIDs ---- */

static struct object **place_of(struct object *device, uint32_t pasid)
{
	for (unsigned int i = 0; i < PASIDS; i++)
		if (device->pasids[i].pasid == pasid)
			return &device->pasids[i].hwpt;
	return NULL;
}

int fake_attach_pasid(struct object *device, const struct wr_vfio_attach *arg)
{
	struct object *hwpt = fake_find_object(device->ctx, arg->pt_id, ANY);
	struct object **place = place_of(device, arg->pasid);

	if (arg->argsz < 16 || fake.iommufd.old)
		return -EINVAL;
	if (!hwpt)
		return -ENOENT;
	if (arg->pasid >> fake.iommufd.pasid_bits || !hwpt->pasid ||
	    (device->hwpt && !device->hwpt->pasid))
		return -EINVAL;
	for (unsigned int i = 0; !place && i < PASIDS; i++) {
		if (device->pasids[i].pasid)
			continue;
		device->pasids[i].pasid = arg->pasid;
		place = &device->pasids[i].hwpt;
	}
	if (!place)
		return -ENOSPC;
	if (*place)
		(*place)->users--;
	*place = hwpt;
	hwpt->users++;
	return 0;
}

int fake_detach_pasid(struct object *device, uint32_t pasid)
{
	for (unsigned int i = 0; i < PASIDS; i++) {
		if (!device->pasids[i].pasid || device->pasids[i].pasid != pasid)
			continue;
		device->pasids[i].hwpt->users--;
		device->pasids[i].pasid = 0;
		device->pasids[i].hwpt = NULL;
	}
	return 0;
}

bool fake_has_pasids(const struct object *device)
{
	for (unsigned int i = 0; i < PASIDS; i++)
		if (device->pasids[i].pasid)
			return true;
	return false;
}

/* ---- queues with an fd ---- */

int fake_fault_alloc(struct fake_context *ctx, struct wr_iommu_fault_alloc *arg)
{
	struct object *queue;
	int fd;

	if (fake.iommufd.old)
		return -ENOTTY;
	queue = fake_new_object(ctx, FAULT);
	if (!queue)
		return -ENOMEM;
	fd = fake_queue_fd(queue);
	if (fd < 0) {
		fake_free_object(queue);
		return fd;
	}
	queue->users++;
	arg->out_fault_id = fake_object_id(queue);
	arg->out_fault_fd = (uint32_t)fd;
	return 0;
}

int fake_veventq_alloc(struct fake_context *ctx, struct wr_iommu_veventq_alloc *arg)
{
	struct object *viommu = fake_find_object(ctx, arg->viommu_id, VIOMMU), *queue;
	int fd;

	if (fake.iommufd.old)
		return -ENOTTY;
	if (!arg->depth || arg->depth > 1 << 19)
		return -EINVAL;
	if (!viommu)
		return -ENOENT;
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (fake_object_table[i].type == VEVENTQ && fake_object_table[i].parent == viommu &&
		    fake_object_table[i].kind == arg->type)
			return -EEXIST;
	queue = fake_new_object(ctx, VEVENTQ);
	if (!queue)
		return -ENOMEM;
	fd = fake_queue_fd(queue);
	if (fd < 0) {
		fake_free_object(queue);
		return fd;
	}
	queue->parent = viommu;
	queue->kind = arg->type;
	viommu->users++;
	queue->users++;
	arg->out_veventq_id = fake_object_id(queue);
	arg->out_veventq_fd = (uint32_t)fd;
	return 0;
}

void fake_queue_put(struct object *queue, const void *bytes, size_t len)
{
	memcpy(queue->bytes + queue->n_bytes, bytes, len);
	queue->n_bytes += len;
}

/* Whole groups of faults alone; of events one. */
ssize_t fake_queue_read(struct object *queue, void *buf, size_t len)
{
	const size_t size = sizeof(struct wr_iommu_pgfault);
	const struct wr_iommu_pgfault *faults = (const void *)queue->bytes;
	size_t done = 0, n = queue->n_bytes / size;

	if (queue->type == VEVENTQ) {
		done = queue->n_bytes < len ? queue->n_bytes : len;
	} else {
		if (len % size)
			return -ESPIPE;
		for (size_t i = 0; i < n && (i + 1) * size <= len; i++)
			if (i + 1 == n || faults[i + 1].cookie != faults[i].cookie)
				done = (i + 1) * size;
		if (n && !done)
			return -EINVAL;
	}
	memcpy(buf, queue->bytes, done);
	queue->n_bytes -= done;
	memmove(queue->bytes, queue->bytes + done, queue->n_bytes);
	return (ssize_t)done;
}

ssize_t fake_queue_write(struct object *queue, const void *buf, size_t len)
{
	const struct wr_iommu_page_response *answer = buf;

	if (queue->type != FAULT || len != sizeof(*answer))
		return -ESPIPE;
	if (answer->code > WR_IOMMU_RESPONSE_INVALID ||
	    !(fake.iommufd.cookies >> answer->cookie & 1))
		return -EINVAL;
	fake.iommufd.cookies &= ~(1u << answer->cookie);
	fake.iommufd.answers[answer->code]++;
	return (ssize_t)len;
}

/* ---- vIOMMUs ---- */

int fake_viommu_alloc(struct fake_context *ctx, struct wr_iommu_viommu_alloc *arg)
{
	struct object *device = fake_find_object(ctx, arg->dev_id, DEVICE), *viommu;
	struct object *hwpt = fake_find_object(ctx, arg->hwpt_id, HWPT);

	if (fake.iommufd.old)
		return -ENOTTY;
	if (!device || !hwpt)
		return -ENOENT;
	if (fake.iommufd.nests_without_viommu || arg->type != fake.iommufd.viommu_type)
		return -EOPNOTSUPP;
	if (!hwpt->nest_parent)
		return -EINVAL;
	viommu = fake_new_object(ctx, VIOMMU);
	if (!viommu)
		return -ENOMEM;
	viommu->parent = hwpt;
	viommu->group = device->group;
	hwpt->users++;
	arg->out_viommu_id = fake_object_id(viommu);
	return 0;
}

int fake_vdevice_alloc(struct fake_context *ctx, struct wr_iommu_vdevice_alloc *arg)
{
	struct object *viommu = fake_find_object(ctx, arg->viommu_id, VIOMMU), *vdevice;
	struct object *device = fake_find_object(ctx, arg->dev_id, DEVICE);

	if (!viommu || !device)
		return -ENOENT;
	if (viommu->group->iommu != device->group->iommu)
		return -EINVAL;
	for (unsigned int i = 0; i < OBJECTS; i++) {
		const struct object *o = &fake_object_table[i];

		if (o->type == VDEVICE && (o->device == device ||
		    (o->parent == viommu && o->number == arg->virt_id)))
			return -EEXIST;
	}
	vdevice = fake_new_object(ctx, VDEVICE);
	if (!vdevice)
		return -ENOMEM;
	vdevice->parent = viommu;
	vdevice->device = device;
	vdevice->number = arg->virt_id;
	viommu->users++;
	arg->out_vdevice_id = fake_object_id(vdevice);
	return 0;
}

int fake_hw_queue_alloc(struct fake_context *ctx, struct wr_iommu_hw_queue_alloc *arg)
{
	struct object *viommu = fake_find_object(ctx, arg->viommu_id, VIOMMU), *queue;

	if (fake.iommufd.old)
		return -ENOTTY;
	if (!viommu)
		return -ENOENT;
	if (arg->type != fake.iommufd.hwqueue_type)
		return -EOPNOTSUPP;
	if (!*fake_find_area(viommu->parent->ioas, arg->nesting_parent_iova,
			     arg->nesting_parent_iova + (arg->length - 1)))
		return -ENOENT;
	queue = fake_new_object(ctx, HW_QUEUE);
	if (!queue)
		return -ENOMEM;
	queue->parent = viommu;
	viommu->users++;
	arg->out_hw_queue_id = fake_object_id(queue);
	return 0;
}
