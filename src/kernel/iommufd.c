/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>

#include "base/err.h"
#include "base/holder.h"
#include "base/sys.h"
#include "kernel/iommufd.h"
#include "kernel/refused.h"
#include "kernel/uapi.h"

/* ---- options ---- */

static int option(int fd, uint32_t id, uint32_t object, uint16_t op, uint64_t *value)
{
	struct wr_iommu_option option = {
		.size = sizeof(option),
		.option_id = id,
		.op = op,
		.object_id = object,
		.val64 = *value,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_OPTION, &option);

	*value = option.val64;
	return ret;
}

/* Whether it counts by process: 1, 0 or -errno. */
static int counts_by_process(int fd)
{
	uint64_t mode = 0;
	int ret = option(fd, WR_IOMMU_OPTION_RLIMIT_MODE, 0, WR_IOMMU_OPTION_GET, &mode);

	return ret < 0 ? ret : !!mode;
}

bool wr_iommufd_is(int fd)
{
	return counts_by_process(fd) >= 0;
}

enum wr_memlock wr_iommufd_memlock(int fd)
{
	return counts_by_process(fd) > 0 ? WR_MEMLOCK_PROCESS : WR_MEMLOCK_USER;
}

int wr_iommufd_account(int fd, enum weir_accounting how)
{
	const char *by = how == WEIR_ACCOUNTING_USER ? "user" : "process";
	uint64_t mode = how != WEIR_ACCOUNTING_USER;
	int ret;

	if (how == WEIR_ACCOUNTING_AUTO || counts_by_process(fd) == (int)mode)
		return 0;
	ret = option(fd, WR_IOMMU_OPTION_RLIMIT_MODE, 0, WR_IOMMU_OPTION_SET, &mode);
	if (ret >= 0)
		return 0;
	return wr_fail(ret, "%s can't be told to count what is pinned by %s, which "
		       "weir_iommu_opts.accounting demands: %s", WR_IOMMUFD_NODE, by,
		       ret == -EPERM ? "this process hasn't got CAP_SYS_RESOURCE" :
		       ret == -EBUSY ? "something was made in it already" : strerror(-ret));
}

/* ---- the node ---- */

static int open_failed(int err)
{
	switch (err) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return wr_fail(-ENOTSUP, "%s doesn't exist: this kernel has no IOMMUFD "
			       "(CONFIG_IOMMUFD, Linux 6.2), or its module, iommufd, isn't loaded",
			       WR_IOMMUFD_NODE);
	case -EACCES:
		return wr_may_not_open(WR_IOMMUFD_NODE);
	default:
		return wr_fail(err, "opening %s: %s", WR_IOMMUFD_NODE, strerror(-err));
	}
}

int wr_iommufd_open(enum weir_accounting accounting)
{
	int fd = wr_sys->open(WR_IOMMUFD_NODE, O_RDWR), ret;

	if (fd < 0)
		return open_failed(fd);
	ret = wr_iommufd_account(fd, accounting);
	if (!ret)
		return fd;
	wr_close(fd);
	return ret;
}

/* ---- objects ---- */

int wr_iommufd_ioas_alloc(int fd, uint32_t *ioas)
{
	struct wr_iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_ALLOC, &alloc);

	if (ret < 0)
		return wr_fail(ret, "making an address space (IOAS): %s", strerror(-ret));
	*ioas = alloc.out_ioas_id;
	return 0;
}

int wr_iommufd_vfio_ioas(int fd, uint32_t *ioas)
{
	struct wr_iommu_vfio_ioas get = { .size = sizeof(get), .op = WR_IOMMU_VFIO_IOAS_GET };
	int ret = wr_sys->ioctl(fd, WR_IOMMU_VFIO_IOAS, &get);

	if (ret < 0)
		return wr_fail(ret, "asking for the container's address space (IOAS): %s",
			       strerror(-ret));
	*ioas = get.ioas_id;
	return 0;
}

void wr_iommufd_destroy(int fd, uint32_t id)
{
	struct wr_iommu_destroy destroy = { .size = sizeof(destroy), .id = id };
	int ret = wr_sys->ioctl(fd, WR_IOMMU_DESTROY, &destroy);

	if (ret < 0)
		wr_log(WEIR_LOG_WARN, "object %u of %s stays until it is closed: %s", id,
		       WR_IOMMUFD_NODE, strerror(-ret));
}

int wr_iommufd_ranges(int fd, uint32_t ioas, struct wr_ranges *ranges, uint64_t *page_size)
{
	struct wr_iommu_iova_range list[WR_RANGES_MAX];
	struct wr_iommu_ranges get = {
		.size = sizeof(get),
		.ioas_id = ioas,
		.num_iovas = WR_RANGES_MAX,
		.allowed_iovas = (uintptr_t)list,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_IOVA_RANGES, &get);

	/* There are more: these are good. */
	if (ret == -EMSGSIZE) {
		get.num_iovas = WR_RANGES_MAX;
		ret = 0;
	}
	if (ret < 0)
		return wr_fail(ret, "reading the usable IOVAs: %s", strerror(-ret));
	if (get.num_iovas > WR_RANGES_MAX)
		return wr_fail(-EIO, "the kernel tells of %u ranges of usable IOVAs in room for "
			       "%u", get.num_iovas, WR_RANGES_MAX);
	ranges->n = 0;
	for (uint32_t i = 0; i < get.num_iovas; i++)
		if (list[i].start <= list[i].last &&
		    (!ranges->n || ranges->r[ranges->n - 1].last < list[i].start))
			wr_ranges_add(ranges, list[i].start, list[i].last);
	*page_size = get.out_iova_alignment;
	return 0;
}

int wr_iommufd_allow(int fd, uint32_t ioas, const struct wr_ranges *ranges)
{
	struct wr_iommu_iova_range list[WR_RANGES_MAX];
	struct wr_iommu_allow allow = {
		.size = sizeof(allow),
		.ioas_id = ioas,
		.num_iovas = (uint32_t)ranges->n,
		.allowed_iovas = (uintptr_t)list,
	};
	int ret;

	for (size_t i = 0; i < ranges->n; i++)
		list[i] = (struct wr_iommu_iova_range){ ranges->r[i].first, ranges->r[i].last };
	ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_ALLOW_IOVAS, &allow);
	return ret < 0 ? wr_fail(ret, "allowing %zu ranges of IOVAs: %s", ranges->n,
				 strerror(-ret)) : 0;
}

int wr_iommufd_small_pages(int fd, uint32_t ioas, bool small)
{
	uint64_t huge = !small;
	int ret = option(fd, WR_IOMMU_OPTION_HUGE_PAGES, ioas, WR_IOMMU_OPTION_SET, &huge);

	return ret < 0 ? wr_fail(ret, "%s large pages: %s", small ? "forbidding" : "allowing",
				 strerror(-ret)) : 0;
}

/* ---- mappings ---- */

static uint32_t map_flags(const struct wr_mapping *m)
{
	return WR_IOMMU_MAP_FIXED | (m->dir != WEIR_DMA_FROM_DEVICE ? WR_IOMMU_MAP_READ : 0) |
	       (m->dir != WEIR_DMA_TO_DEVICE ? WR_IOMMU_MAP_WRITE : 0);
}

static int map_failed(const struct wr_mapping *m, int err, enum wr_memlock whose)
{
	/* vfio_pci_dma_buf_attach() */
	return err == -ENODEV && m->bar ? wr_bar_refused(m, err) : wr_map_refused(m, err, whose);
}

int wr_iommufd_map(int fd, uint32_t ioas, const struct wr_mapping *m, enum wr_memlock whose)
{
	struct wr_iommu_map map = {
		.size = sizeof(map),
		.flags = map_flags(m),
		.ioas_id = ioas,
		.user_va = (uintptr_t)m->vaddr,
		.length = m->len,
		.iova = m->iova,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_MAP, &map);

	return ret < 0 ? map_failed(m, ret, whose) : 0;
}

int wr_iommufd_map_file(int fd, uint32_t ioas, const struct wr_mapping *m, enum wr_memlock whose)
{
	struct wr_iommu_map_file map = {
		.size = sizeof(map),
		.flags = map_flags(m),
		.ioas_id = ioas,
		.fd = m->file->fd,
		.start = m->file->offset,
		.length = m->len,
		.iova = m->iova,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_MAP_FILE, &map);

	if (ret == -ENOTTY)
		return ret;
	return ret < 0 ? map_failed(m, ret, whose) : 0;
}

/* iopt_get_pages() takes all that there are in that range, one behind the other. */
int wr_iommufd_copy(int fd, uint32_t ioas, uint32_t from, weir_iova source,
		    const struct wr_mapping *m, size_t n)
{
	struct wr_iommu_copy copy = {
		.size = sizeof(copy),
		.flags = map_flags(m),
		.dst_ioas_id = ioas,
		.src_ioas_id = from,
		.length = m[n - 1].iova - m->iova + m[n - 1].len,
		.dst_iova = m->iova,
		.src_iova = source,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_COPY, &copy);

	return ret < 0 ? wr_fail(ret, "copying %" PRIu64 " bytes at IOVA 0x%" PRIx64 " to IOVA 0x%"
				 PRIx64 ": %s", copy.length, source, m->iova, strerror(-ret)) : 0;
}

int wr_iommufd_map_bar(int fd, uint32_t ioas, const struct wr_mapping *m, enum wr_memlock whose)
{
	int ret = m->file ? wr_iommufd_map_file(fd, ioas, m, whose) : -ENOTTY;

	/* Of a dma-buf a kernel that knows none says that it is no file of memory. */
	if (ret == -ENOTTY || ret == -EINVAL || ret == -EOPNOTSUPP)
		return wr_fail(-ENOTSUP, "this kernel's IOMMUFD can't map a device's registers: "
			       "that takes Linux 6.19 with CONFIG_PCI_P2PDMA, or VFIO's own "
			       "container (type1v2)");
	return ret;
}

static int unmap(int fd, uint32_t ioas, weir_iova iova, uint64_t *len)
{
	struct wr_iommu_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = *len,
	};
	int ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_UNMAP, &unmap);

	*len = unmap.length;
	return ret;
}

/* iopt_unmap_iova_range() goes from one to the next, and stops at the first that it can't. */
int wr_iommufd_unmap(int fd, uint32_t ioas, weir_iova iova, uint64_t len, size_t n)
{
	uint64_t done = len;
	int ret = unmap(fd, ioas, iova, &done);

	if (ret < 0 && n > 1)
		return wr_fail(-EIO, "unmapping %zu mappings, %" PRIu64 " bytes at IOVA 0x%" PRIx64
			       ": %s; the first of them may be unmapped", n, len, iova,
			       strerror(-ret));
	return wr_unmap_answered(ret, iova, len, done);
}

int wr_iommufd_unmap_all(int fd, uint32_t ioas)
{
	uint64_t all = UINT64_MAX;
	int ret = unmap(fd, ioas, 0, &all);

	return ret < 0 ? wr_fail(ret, "unmapping all: %s", strerror(-ret)) : 0;
}

/* iommufd_ioas_noiommu_get_pa() */
int wr_iommufd_phys(int fd, uint32_t ioas, weir_iova iova, uint64_t *len, uint64_t *phys)
{
	struct wr_iommu_get_pa get = {
		.size = sizeof(get),
		.ioas_id = ioas,
		.iova = iova,
		.length = *len,
	};
	uint64_t in_page = wr_page_size() - 1;
	int ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_GET_PA, &get);

	switch (ret) {
	case -ENOTTY:
	case -EOPNOTSUPP:
		return wr_fail(-ENOTSUP, "this kernel's IOMMUFD tells no physical addresses "
			       "(CONFIG_VFIO_NOIOMMU and CONFIG_VFIO_DEVICE_CDEV, Linux 7.3)");
	case -EPERM:
		return wr_fail(ret, "IOMMUFD tells no physical addresses to this process: it needs "
			       "the capability CAP_SYS_RAWIO, outside of user namespaces; run as "
			       "root");
	default:
		if (ret < 0)
			return wr_fail(ret, "asking for the physical address of IOVA 0x%" PRIx64
				       ": %s", iova, strerror(-ret));
	}
	if (!get.length || get.length > *len || !get.out_phys ||
	    (get.length | get.out_phys) & in_page)
		return wr_fail(-EIO, "the kernel says that IOVA 0x%" PRIx64 " is at 0x%" PRIx64
			       ", %" PRIu64 " bytes of it", iova, get.out_phys, get.length);
	*len = get.length;
	*phys = get.out_phys;
	return 0;
}

/* iommufd_ioas_change_process(): who gets the charge is charged before the other is relieved. */
int wr_iommufd_change_process(int fd)
{
	struct wr_iommu_change_process change = { .size = sizeof(change) };
	int ret = wr_sys->ioctl(fd, WR_IOMMU_IOAS_CHANGE_PROCESS, &change);

	switch (ret) {
	case -ENOTTY:
		return wr_fail(-ENOTSUP, "this kernel's IOMMUFD can't have what is pinned count as "
			       "another process's (Linux 6.14)");
	case -EINVAL:
		return wr_fail(-ENOTSUP, "the kernel can't have what is pinned count as another "
			       "process's: something is mapped in this %s by its address, not by "
			       "its file", WR_IOMMUFD_NODE);
	case -ENOMEM:
		return wr_fail(ret, "what is pinned is more than this process's limit of locked "
			       "memory allows, to which a user's memory counts twice while it goes "
			       "from one process to another: raise it (ulimit -l, LimitMEMLOCK=)");
	default:
		return ret < 0 ? wr_fail(ret, "having what is pinned count as this process's: %s",
					 strerror(-ret)) : 0;
	}
}
