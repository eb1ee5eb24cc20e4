/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/hwpt.h"
#include "kernel/iommufd.h"

/* ---- page tables ---- */

static int paging_refused(int err, uint32_t flags)
{
	switch (err) {
	case -EADDRINUSE:
		return wr_fail(-EINVAL, "making its page table: a mapping, or what "
			       "weir_ioas_allow() demands, lies where its IOMMU can't have it");
	case -EOPNOTSUPP:
		return wr_fail(err, "its IOMMU, or this kernel, makes no page table%s%s%s%s",
			       flags & WR_IOMMU_HWPT_NEST_PARENT ? " that is a nest parent" : "",
			       flags & WR_IOMMU_HWPT_DIRTY ? " with dirty tracking" : "",
			       flags & WR_IOMMU_HWPT_PASID ? " for PASIDs" : "",
			       flags & WR_IOMMU_HWPT_FAULT ? " with page faults" : "");
	default:
		return wr_fail(err, "making its page table (HWPT): %s", strerror(-err));
	}
}

static int nested_refused(int err)
{
	switch (err) {
	case -EOPNOTSUPP:
		return wr_fail(err, "its IOMMU nests no page table of that type here, or with "
			       "such options (domain_alloc_nested() of its driver): VT-d does on "
			       "a page table, others on a weir_viommu");
	case -EIO:
		return wr_fail(err, "the IOMMU's driver refuses the guest's entry: a field that "
			       "must be zero isn't, or it can't be so");
	case -EINVAL:
		return wr_fail(err, "the IOMMU's driver refuses the nested page table: it isn't "
			       "as its hardware wants it, or the parent is of another IOMMU");
	default:
		return wr_fail(err, "making a nested page table: %s", strerror(-err));
	}
}

int wr_iommufd_hwpt_alloc(int fd, const struct wr_hwpt_spec *spec, uint32_t *hwpt)
{
	bool more = spec->type || spec->flags & WR_IOMMU_HWPT_FAULT;
	struct wr_iommu_hwpt_alloc alloc = {
		.size = more ? sizeof(alloc) : offsetof(struct wr_iommu_hwpt_alloc, data_type),
		.flags = spec->flags,
		.dev_id = spec->devid,
		.pt_id = spec->on,
		.data_type = spec->type,
		.data_len = spec->len,
		.data_uptr = (uintptr_t)spec->data,
		.fault_id = spec->faults,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_HWPT_ALLOC, &alloc);

	/* A kernel that has never heard of what is behind its own structure. */
	if (ret == -E2BIG)
		ret = -EOPNOTSUPP;
	if (ret < 0)
		return spec->type ? nested_refused(ret) : paging_refused(ret, spec->flags);
	*hwpt = alloc.out_hwpt_id;
	return 0;
}

static int not_invalidated(int err, uint32_t type, size_t done, size_t n)
{
	if (err == -ENOTTY)
		return wr_fail(-ENOTSUP, "this kernel has no invalidation of nested page tables "
			       "(Linux 6.8)");
	if (err == -EOPNOTSUPP && !done)
		return wr_fail(err, "its IOMMU invalidates otherwise, by a weir_viommu or by the "
			       "nested page table, or hasn't got what entry 0 asks for");
	if (!n)
		return wr_fail(err, "invalidations of type %u: the IOMMU hasn't got them, or, as "
			       "an SMMUv3, can't be asked", type);
	return wr_fail(err, "invalidation %zu of %zu, of type %u, was refused: %s", done, n, type,
		       strerror(-err));
}

/*
 * After @err, when the kernel says of how many of @asked they are done: have it do those again, and
 * say what to answer. Of commands to an SMMUv3 it counts those that it has read before one that it
 * refuses, and may have issued none of them; and all, when it has no memory to read them
 * (arm_vsmmu_cache_invalidate()).
 */
static int confirm(int fd, struct wr_iommu_invalidate *inv, uint32_t asked, int err)
{
	int ret;

	if (!inv->entry_num)
		return err;
	ret = wr_sys->ioctl(fd, WR_IOMMU_HWPT_INVALIDATE, inv);
	if (ret) {
		inv->entry_num = 0;
		return ret;
	}
	return inv->entry_num == asked ? 0 : err;
}

int wr_iommufd_invalidate(int fd, uint32_t id, uint32_t type, const void *entries,
			  size_t size, size_t n, size_t *done)
{
	const char *at = entries;

	*done = 0;
	if (size > UINT32_MAX)
		return wr_fail(-EINVAL, "invalidations of %zu bytes each", size);
	do {
		size_t left = n - *done;
		struct wr_iommu_invalidate inv = {
			.size = sizeof(inv),
			.hwpt_id = id,
			.data_uptr = (uintptr_t)(at + *done * size),
			.data_type = type,
			.entry_len = (uint32_t)size,
			.entry_num = left < WR_IOMMU_INVALIDATE_MAX ? (uint32_t)left :
				     WR_IOMMU_INVALIDATE_MAX,
		};
		uint32_t asked = inv.entry_num;
		int ret = wr_sys->ioctl(fd, WR_IOMMU_HWPT_INVALIDATE, &inv);

		/* Untouched by a kernel that hasn't got the call. */
		if (ret == -ENOTTY)
			inv.entry_num = 0;
		if (inv.entry_num > asked || (!ret && inv.entry_num != asked))
			return wr_fail(-EIO, "of %u invalidations the kernel says that it did %u",
				       asked, inv.entry_num);
		if (ret < 0)
			ret = confirm(fd, &inv, asked, ret);
		*done += inv.entry_num;
		if (ret < 0)
			return not_invalidated(ret, type, *done, n);
	} while (*done < n);
	return 0;
}

/* ---- hardware information ---- */

int wr_iommufd_hw_info(int fd, uint32_t devid, uint32_t type, struct weir_hw_info *info)
{
	struct wr_iommu_hw_info get = {
		.size = sizeof(get),
		.flags = type ? WR_IOMMU_HW_INFO_TYPE : 0,
		.dev_id = devid,
		.data_len = sizeof(info->u),
		.data_type = type,
	};
	int ret;

	*info = (struct weir_hw_info){ 0 };
	get.data_uptr = (uintptr_t)&info->u;
	ret = wr_sys->ioctl(fd, WR_IOMMU_GET_HW_INFO, &get);
	/* Said by drivers that can't tell anything of their IOMMU. */
	if (ret == -EOPNOTSUPP && !type)
		return 0;
	if (ret == -EOPNOTSUPP)
		return wr_fail(ret, "its IOMMU isn't of type %u, or this kernel can't be asked for "
			       "one of several (Linux 6.17)", type);
	if (ret < 0)
		return wr_fail(ret, "asking what its IOMMU can do: %s", strerror(-ret));
	info->type = get.data_type;
	info->pasid_bits = get.out_max_pasid_log2;
	info->pasid_exec = get.out_max_pasid_log2 && get.out_capabilities & WR_IOMMU_HW_PASID_EXEC;
	info->pasid_priv = get.out_max_pasid_log2 && get.out_capabilities & WR_IOMMU_HW_PASID_PRIV;
	info->dirty = get.out_capabilities & WR_IOMMU_HW_DIRTY;
	info->ats = !(get.out_capabilities & WR_IOMMU_HW_NO_ATS);
	info->len = get.data_len;
	return 0;
}

/* ---- dirty tracking ---- */

int wr_iommufd_track(int fd, uint32_t hwpt, bool on)
{
	struct wr_iommu_set_dirty set = {
		.size = sizeof(set),
		.flags = on ? WR_IOMMU_DIRTY_ENABLE : 0,
		.hwpt_id = hwpt,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_SET_DIRTY_TRACKING, &set);

	return ret < 0 ? wr_fail(ret, "%s dirty tracking: %s", on ? "starting" : "stopping",
				 strerror(-ret)) : 0;
}

/*
 * A hole in what is mapped, and a bitmap that can't be written, the kernel doesn't tell of: its
 * iova_bitmap_for_each() forgets what a part of it said.
 */
int wr_iommufd_dirty(int fd, uint32_t hwpt, weir_iova iova, uint64_t len, uint64_t granularity,
		     bool keep, uint64_t *bitmap)
{
	struct wr_iommu_get_dirty get = {
		.size = sizeof(get),
		.hwpt_id = hwpt,
		.flags = keep ? WR_IOMMU_DIRTY_NO_CLEAR : 0,
		.iova = iova,
		.length = len,
		.page_size = granularity,
		.data = (uintptr_t)bitmap,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_GET_DIRTY_BITMAP, &get);

	return ret < 0 ? wr_fail(ret, "reading dirty tracking: %s", strerror(-ret)) : 0;
}

/* ---- page faults ---- */

int wr_iommufd_faultq_alloc(int fd, uint32_t *queue, int *queue_fd)
{
	struct wr_iommu_fault_alloc alloc = { .size = sizeof(alloc) };
	int ret = wr_sys->ioctl(fd, WR_IOMMU_FAULT_QUEUE_ALLOC, &alloc);

	if (ret == -ENOTTY)
		return wr_fail(-ENOTSUP, "this kernel's IOMMUFD has no fault queues (Linux 6.11)");
	if (ret < 0)
		return wr_fail(ret, "making a fault queue: %s", strerror(-ret));
	*queue = alloc.out_fault_id;
	*queue_fd = (int)alloc.out_fault_fd;
	return 0;
}

/* ---- vIOMMUs ---- */

int wr_iommufd_viommu_alloc(int fd, uint32_t hwpt, uint32_t devid, uint32_t type, void *data,
			    size_t len, uint32_t *viommu)
{
	struct wr_iommu_viommu_alloc alloc = {
		.size = len ? sizeof(alloc) : offsetof(struct wr_iommu_viommu_alloc, data_len),
		.type = type,
		.dev_id = devid,
		.hwpt_id = hwpt,
		.data_len = (uint32_t)len,
		.data_uptr = (uintptr_t)data,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_VIOMMU_ALLOC, &alloc);

	switch (ret) {
	case -ENOTTY:
		return wr_fail(-ENOTSUP, "this kernel's IOMMUFD has no vIOMMUs (Linux 6.13)");
	case -E2BIG:
	case -EOPNOTSUPP:
		return wr_fail(-ENOTSUP, "its IOMMU, or this kernel's driver of it, has no vIOMMU "
			       "of type %u with %zu bytes of data; an SMMUv3 needs stage 2 with "
			       "forced attributes (S2FWB) or CANWBS of its firmware (IORT)", type,
			       len);
	default:
		if (ret < 0)
			return wr_fail(ret, "making a vIOMMU: %s", strerror(-ret));
	}
	*viommu = alloc.out_viommu_id;
	return 0;
}

int wr_iommufd_vdevice_alloc(int fd, uint32_t viommu, uint32_t devid, uint64_t number,
			     uint32_t *vdevice)
{
	struct wr_iommu_vdevice_alloc alloc = {
		.size = sizeof(alloc),
		.viommu_id = viommu,
		.dev_id = devid,
		.virt_id = number,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_VDEVICE_ALLOC, &alloc);

	switch (ret) {
	case -EEXIST:
		return wr_fail(ret, "it has a virtual device already, or 0x%" PRIx64 " is "
			       "another's in the vIOMMU", number);
	case -EINVAL:
		return wr_fail(ret, "it is behind another IOMMU than the vIOMMU is a slice of, or "
			       "0x%" PRIx64 " is no number for a device", number);
	default:
		if (ret < 0)
			return wr_fail(ret, "making a virtual device: %s", strerror(-ret));
	}
	*vdevice = alloc.out_vdevice_id;
	return 0;
}

int wr_iommufd_eventq_alloc(int fd, uint32_t viommu, uint32_t type, uint32_t depth,
			    uint32_t *queue, int *queue_fd)
{
	struct wr_iommu_veventq_alloc alloc = {
		.size = sizeof(alloc),
		.viommu_id = viommu,
		.type = type,
		.depth = depth,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_VEVENTQ_ALLOC, &alloc);

	switch (ret) {
	case -ENOTTY:
		return wr_fail(-ENOTSUP, "this kernel's IOMMUFD has no queues of events (Linux "
			       "6.15)");
	case -EEXIST:
		return wr_fail(ret, "the vIOMMU has an event queue of type %u already", type);
	case -EINVAL:
		return wr_fail(ret, "an event queue of %u events: it has 1 to 524288", depth);
	default:
		if (ret < 0)
			return wr_fail(ret, "making an event queue of type %u: %s", type,
				       strerror(-ret));
	}
	*queue = alloc.out_veventq_id;
	*queue_fd = (int)alloc.out_veventq_fd;
	return 0;
}

int wr_iommufd_hwqueue_alloc(int fd, uint32_t viommu, uint32_t type, uint32_t index,
			     weir_iova iova, uint64_t len, uint32_t *queue)
{
	struct wr_iommu_hw_queue_alloc alloc = {
		.size = sizeof(alloc),
		.viommu_id = viommu,
		.type = type,
		.index = index,
		.nesting_parent_iova = iova,
		.length = len,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_HW_QUEUE_ALLOC, &alloc);

	switch (ret) {
	case -ENOTTY:
	case -EOPNOTSUPP:
		return wr_fail(-ENOTSUP, "this kernel or the vIOMMU has no queues of type %u that "
			       "the hardware reads (Linux 6.17)", type);
	case -ENOENT:
		return wr_fail(ret, "IOVA 0x%" PRIx64 ", %" PRIu64 " bytes, isn't mapped in the "
			       "nest parent's address space", iova, len);
	case -EFAULT:
		return wr_fail(ret, "the memory at IOVA 0x%" PRIx64 ", %" PRIu64 " bytes, isn't "
			       "contiguous: take it from one hugepage", iova, len);
	case -EEXIST:
		return wr_fail(ret, "the vIOMMU's queue %u is there already", index);
	case -EIO:
		return wr_fail(ret, "queue %u: those below it come first, or it isn't as the "
			       "hardware wants it", index);
	default:
		if (ret < 0)
			return wr_fail(ret, "making queue %u: %s", index, strerror(-ret));
	}
	*queue = alloc.out_hw_queue_id;
	return 0;
}

/* ---- reading queues ---- */

/* Another thread can be faster, and the kernel can take back what it had: then it isn't there. */
int64_t wr_iommufd_end(int timeout)
{
	return timeout < 0 ? INT64_MAX : wr_now_ms() + timeout;
}

int wr_iommufd_wait(int fd, int64_t end)
{
	int64_t left = end == INT64_MAX ? -1 : end - wr_now_ms();

	return wr_sys->poll(fd, left < 0 && end != INT64_MAX ? 0 : (int)left);
}

ssize_t wr_iommufd_read(int fd, void *buf, size_t len, int timeout)
{
	int64_t end = wr_iommufd_end(timeout);
	ssize_t ret;

	do {
		ret = wr_iommufd_wait(fd, end);
		if (ret > 0)
			ret = wr_sys->read(fd, buf, len);
		else
			return ret;
	} while (!ret && wr_now_ms() < end);
	return ret;
}
