/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/container.h"
#include "kernel/locked.h"
#include "kernel/memlock.h"
#include "kernel/refused.h"
#include "kernel/spapr.h"
#include "kernel/uapi.h"

/* tce_iommu_create_default_window() */
#define LOW_PAGE_SHIFT 12

/*
 * Answers of the hypervisor (arch/powerpc/include/asm/hvcall.h) that come out of MAP as if they
 * were errnos (tce_exchange_pseries()). Of these the kernel itself has none there; H_HARDWARE,
 * which is -EPERM, it has.
 */
static const struct {
	int code, err;
	const char *name;
} hcalls[] = {
	{ -2, -ENOTSUP, "H_FUNCTION" },
	{ -4, -EINVAL, "H_PARAMETER" },
	{ -11, -EACCES, "H_PERMISSION" },
	{ -16, -ENOMEM, "H_RESOURCE" },
	{ -44, -ENOMEM, "H_NOT_ENOUGH_RESOURCES" },
	{ -55, -EINVAL, "H_P2" },
	{ -56, -EINVAL, "H_P3" },
	{ -57, -EINVAL, "H_P4" },
};

/*
 * What MAP or UNMAP said, if it is no errno: an errno with a message, else 0. A boolean comes from
 * iommu_tce_put_param_check() and its like, and H_BUSY and its like are positive, too.
 */
static int no_errno(int ret, const char *what, weir_iova iova, uint64_t len)
{
	if (ret > 0)
		return wr_fail(-EREMOTEIO, "%s %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": the kernel "
			       "refuses it with %d, which is no error number: the IOVA isn't one "
			       "of the window, or the hypervisor is busy", what, len, iova, ret);
	for (size_t i = 0; i < sizeof(hcalls) / sizeof(hcalls[0]); i++)
		if (ret == hcalls[i].code)
			return wr_fail(hcalls[i].err, "%s %" PRIu64 " bytes at IOVA 0x%" PRIx64
				       ": the hypervisor refuses it (%s)", what, len, iova,
				       hcalls[i].name);
	return 0;
}

int wr_spapr_info(int fd, struct wr_spapr_info *out)
{
	struct wr_vfio_spapr_info info = { .argsz = sizeof(info) };
	int ret = wr_sys->ioctl(fd, WR_VFIO_SPAPR_GET_INFO, &info);

	if (ret < 0)
		return wr_fail(ret, "reading the container's windows: %s", strerror(-ret));
	if (!info.dma32_size)
		return wr_fail(-ENODEV, "the platform has no default window for the device");
	*out = (struct wr_spapr_info){
		.low = {
			.first = info.dma32_start,
			.last = info.dma32_start + (uint64_t)(info.dma32_size - 1),
			.page_shift = LOW_PAGE_SHIFT,
			.levels = 1,
		},
		.windows = 1,
		.levels = 1,
	};
	/* spapr_tce_init_table_group(): where none can be made it says 2^32 - 1, and no levels. */
	if (info.flags & WR_VFIO_SPAPR_DDW && info.levels) {
		out->page_sizes = info.pgsizes;
		out->windows = info.max_windows;
		out->levels = info.levels;
	}
	return 0;
}

static uint64_t low_table(const struct wr_window *low)
{
	return wr_locked_table(wr_window_size(low), low->page_shift, low->levels);
}

/* The table is charged behind it (wr_spapr_have_low()): the limit that is named does for both. */
int wr_spapr_enable(int fd, const struct wr_window *low)
{
	int ret = wr_sys->ioctl(fd, WR_VFIO_SPAPR_ENABLE, NULL);

	if (ret == -ENOMEM &&
	    wr_memlock_explains_bytes("enabling the container, whose whole window and its table "
				      "count", wr_window_size(low) + low_table(low)))
		return ret;
	return ret < 0 ? wr_fail(ret, "enabling the container: %s", strerror(-ret)) : 0;
}

void wr_spapr_disable(int fd)
{
	int ret = wr_sys->ioctl(fd, WR_VFIO_SPAPR_DISABLE, NULL);

	if (ret < 0)
		wr_log(WEIR_LOG_WARN, "disabling a container: %s", strerror(-ret));
}

/*
 * spapr_tce_create_table() puts a device for which it failed on a list, failed_ddw_pdn_list, and
 * makes no window for what is on it.
 */
static const char *not_made(int err)
{
	switch (err) {
	case -ENOSPC:
		return "the container has as many as it can have";
	case -EINVAL:
		return "the host refuses this size, these pages or the levels of its table";
	case -EPERM:
		return "the platform makes none, or no other one";
	case -ENODEV:
		return "the platform makes none for this device: it failed, now or before, and "
		       "pSeries makes no window any more then, not even the default one when the "
		       "device is opened again, until the machine restarts";
	default:
		return strerror(-err);
	}
}

/*
 * In version 2 by asking for a window of pages of 1 byte, which no platform has: that is refused
 * after the default one was made, and before anything is charged (tce_iommu_create_window()). In
 * version 1 by unmapping a page, where none is mapped.
 */
int wr_spapr_have_low(int fd, bool v2, const struct wr_window *low)
{
	struct wr_vfio_spapr_create create = { .argsz = sizeof(create), .window_size = 1 };
	struct wr_vfio_unmap_dma unmap = {
		.argsz = sizeof(unmap),
		.iova = low->first,
		.size = 1ull << low->page_shift,
	};
	int ret = v2 ? wr_sys->ioctl(fd, WR_VFIO_SPAPR_CREATE, &create) :
		       wr_sys->ioctl(fd, WR_VFIO_IOMMU_UNMAP_DMA, &unmap);

	if (v2 && ret == -EINVAL)
		return 0;
	if (ret == -ENOMEM &&
	    wr_memlock_explains_bytes("making the default window, whose table counts",
				      low_table(low)))
		return ret;
	return ret ? wr_fail(ret < 0 ? ret : -EREMOTEIO, "making the default window: %s",
			     ret < 0 ? not_made(ret) : "the kernel refuses it without a reason") :
		     0;
}

static int register_failed(uint64_t vaddr, uint64_t len, int err)
{
	switch (err) {
	case -ENOMEM:
		if (wr_memlock_explains_bytes("registering memory", len))
			return err;
		break;
	case -EFAULT:
		return wr_fail(err, "registering %" PRIu64 " bytes at 0x%" PRIx64 ": not all of it "
			       "is memory that can be written and pinned for long, which POWER's "
			       "container asks for even of what devices only read", len, vaddr);
	case -EINVAL:
		return wr_fail(err, "registering %" PRIu64 " bytes at 0x%" PRIx64 ": the kernel "
			       "refuses it: a part of it is registered already, by a container "
			       "that isn't weir's, or for good, since the hypervisor refused to "
			       "map it", len, vaddr);
	default:
		break;
	}
	return wr_fail(err, "registering %" PRIu64 " bytes at 0x%" PRIx64 ": %s", len, vaddr,
		       strerror(-err));
}

/*
 * mm_iommu_do_alloc(): where pages could be pinned up to some point, their number is what is
 * returned; and nothing is registered.
 */
int wr_spapr_register(int fd, uint64_t vaddr, uint64_t len)
{
	struct wr_vfio_spapr_memory memory = {
		.argsz = sizeof(memory),
		.vaddr = vaddr,
		.size = len,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_SPAPR_REGISTER, &memory);

	return ret ? register_failed(vaddr, len, ret < 0 ? ret : -EFAULT) : 0;
}

int wr_spapr_unregister(int fd, uint64_t vaddr, uint64_t len)
{
	struct wr_vfio_spapr_memory memory = {
		.argsz = sizeof(memory),
		.vaddr = vaddr,
		.size = len,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_SPAPR_UNREGISTER, &memory);

	return ret < 0 ? wr_fail(wr_refusal(ret), "unregistering %" PRIu64 " bytes at 0x%" PRIx64
				 ": %s", len, vaddr, strerror(-ret)) : 0;
}

static int check_window(const struct wr_window *w, const char *what, uint64_t vaddr, weir_iova iova,
			uint64_t len)
{
	uint64_t page = 1ull << w->page_shift;

	if (!len || iova < w->first || iova > w->last || len - 1 > w->last - iova)
		return wr_fail(-EINVAL, "%s %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": the window "
			       "has 0x%" PRIx64 " to 0x%" PRIx64, what, len, iova, w->first,
			       w->last);
	if ((vaddr | iova | len) & (page - 1))
		return wr_fail(-EINVAL, "%s %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": the window's "
			       "pages have %" PRIu64 " KiB: address, IOVA and length must be "
			       "multiples of that", what, len, iova, page >> 10);
	return 0;
}

static int map_failed(const struct wr_window *w, const struct wr_mapping *m, int err)
{
	uint64_t page = (uint64_t)1 << w->page_shift;

	switch (err) {
	case -EPERM:
	case -EINVAL:
		/* tce_page_is_contained() and mm_iommu_ua_to_hpa() */
		if (page > wr_page_size())
			return wr_fail(err, "mapping %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": the "
				       "memory's pages are smaller than the window's (%" PRIu64
				       " KiB; take hugetlb memory, or a window of smaller pages), "
				       "or the hypervisor refuses it: %s", m->len, m->iova,
				       page >> 10, strerror(-err));
		return wr_fail(err, "mapping %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": the kernel "
			       "or the hypervisor refuses it: %s", m->len, m->iova,
			       strerror(-err));
	case -ENOMEM:
		/* Nothing is charged here: it was by enabling, or by registering. */
		return wr_fail(err, "mapping %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": the kernel "
			       "has no memory for the window's table", m->len, m->iova);
	default:
		return wr_map_refused(m, wr_refusal(err), WR_MEMLOCK_PROCESS);
	}
}

int wr_spapr_map(int fd, const struct wr_window *window, const struct wr_mapping *m)
{
	int ret = check_window(window, "mapping", (uintptr_t)m->vaddr, m->iova, m->len), err;

	if (ret)
		return ret;
	ret = wr_container_ask_map(fd, m);
	err = no_errno(ret, "mapping", m->iova, m->len);
	return err ? err : ret ? map_failed(window, m, ret) : 0;
}

int wr_spapr_unmap(int fd, const struct wr_window *window, weir_iova iova, uint64_t len)
{
	struct wr_vfio_unmap_dma unmap = { .argsz = sizeof(unmap), .iova = iova, .size = len };
	int ret = check_window(window, "unmapping", 0, iova, len), err;

	if (ret)
		return ret;
	ret = wr_sys->ioctl(fd, WR_VFIO_IOMMU_UNMAP_DMA, &unmap);
	err = no_errno(ret, "unmapping", iova, len);
	if (err)
		return err;
	/* The kernel doesn't say how many bytes it unmapped; what wasn't mapped it passes over. */
	return wr_unmap_answered(wr_refusal(ret), iova, len, len);
}

static int create_failed(const struct wr_vfio_spapr_create *create, int err)
{
	if (err == -ENOMEM &&
	    wr_memlock_explains_bytes("making a window, whose table counts",
				      wr_locked_table(create->window_size, create->page_shift,
						      create->levels)))
		return err;
	return wr_fail(wr_refusal(err), "making a window of %" PRIu64 " MiB with pages of %" PRIu64
		       " KiB: %s", create->window_size >> 20,
		       (uint64_t)1 << create->page_shift >> 10, not_made(err));
}

int wr_spapr_create(int fd, unsigned int page_shift, uint64_t size, unsigned int levels,
		    struct wr_window *out)
{
	struct wr_vfio_spapr_create create = {
		.argsz = sizeof(create),
		.page_shift = page_shift,
		.window_size = size,
		.levels = levels,
	};
	int ret = wr_sys->ioctl(fd, WR_VFIO_SPAPR_CREATE, &create);

	/* On pSeries query_ddw() hands on what RTAS says. */
	if (ret)
		return create_failed(&create, ret < 0 ? ret : -EREMOTEIO);
	*out = (struct wr_window){
		.first = create.start,
		.last = create.start + (size - 1),
		.page_shift = page_shift,
		.levels = levels,
	};
	return 0;
}

int wr_spapr_remove(int fd, const struct wr_window *window)
{
	struct wr_vfio_spapr_remove remove = { .argsz = sizeof(remove), .start = window->first };
	int ret = wr_sys->ioctl(fd, WR_VFIO_SPAPR_REMOVE, &remove);

	return ret < 0 ? wr_fail(wr_refusal(ret), "removing the window at IOVA 0x%" PRIx64 ": %s",
				 window->first, strerror(-ret)) : 0;
}

static const char *const eeh_ops[] = {
	[WR_VFIO_EEH_DISABLE] = "turning EEH off",
	[WR_VFIO_EEH_ENABLE] = "turning EEH on",
	[WR_VFIO_EEH_UNFREEZE_IO] = "letting registers be reached again",
	[WR_VFIO_EEH_UNFREEZE_DMA] = "letting DMA go on",
	[WR_VFIO_EEH_GET_STATE] = "asking for EEH's state",
	[WR_VFIO_EEH_RESET_DEACTIVATE] = "ending EEH's reset",
	[WR_VFIO_EEH_RESET_HOT] = "EEH's hot reset",
	[WR_VFIO_EEH_RESET_FUNDAMENTAL] = "EEH's fundamental reset",
	[WR_VFIO_EEH_CONFIGURE] = "configuring the bridges",
	[WR_VFIO_EEH_INJECT_ERR] = "injecting an error",
};

/* eeh_pe_set_option(), eeh_pe_reset(), eeh_pe_inject_err() and what the platforms say below them */
static int eeh_failed(unsigned int op, int err)
{
	switch (err) {
	case -ENODEV:
	case -ENOTTY:
	case -ENOENT:
		return wr_fail(-ENOTSUP, "this host has no EEH for the device: %s", strerror(-err));
	case -ENXIO:
		return wr_fail(-ENOTSUP, "%s: the host's firmware doesn't do that", eeh_ops[op]);
	case -ERANGE:
		return wr_fail(-EINVAL, "%s: the platform makes no such error", eeh_ops[op]);
	case -EIO:
		return wr_fail(err, "%s: %s", eeh_ops[op], op == WR_VFIO_EEH_ENABLE ?
			       "EEH is off on this host (the kernel's parameter eeh=off)" :
			       "the host's firmware or the bridge failed to do it");
	default:
		return wr_fail(err, "%s: %s", eeh_ops[op], strerror(-err));
	}
}

int wr_spapr_eeh(int fd, unsigned int op, const struct weir_eeh_error *error)
{
	struct wr_vfio_eeh eeh = { .argsz = sizeof(eeh), .op = op };
	int ret;

	if (error) {
		eeh.type = error->wide;
		eeh.func = error->function;
		eeh.addr = error->address;
		eeh.mask = error->mask;
	}
	ret = wr_sys->ioctl(fd, WR_VFIO_EEH_PE_OP, &eeh);
	if (ret < 0)
		return eeh_failed(op, ret);
	if (ret && op != WR_VFIO_EEH_GET_STATE)
		return wr_fail(-EREMOTEIO, "%s: the kernel says %d, which is no error number",
			       eeh_ops[op], ret);
	return ret;
}
