/* SPDX-License-Identifier: MIT */
/*
 * POWER's container on a real kernel: what counts as locked memory, to the byte; memory that is
 * registered ahead, and shared by two address spaces; limits that are too low. And the kernel by
 * itself, past weir, where it isn't what one would think: what tests/unit/fake_spapr.c does is what
 * is seen here. What needs no DMA takes the NVMe controller, which is reset fast: PowerNV's edu
 * takes seconds.
 */
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <weir/spapr.h>

#include "src/kernel/uapi.h"
#include "tests/vm/guest/guest.h"

#define KIB	1024ul
#define MIB	(1024 * KIB)

static const struct weir_iommu_opts by_v2 = { .interface = "spaprv2" };
static const struct weir_iommu_opts by_v1 = { .interface = "spapr" };

static size_t page;

static unsigned char *pages_of(size_t n)
{
	return page_of(0, n * (page / PAGE));
}

static void drop(unsigned char *memory, size_t n)
{
	munmap(memory, n * page);
}

/* A device in an address space of its own: an edu, or one without a driver. */
struct one {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct opened dev;
};

static void open_plain(struct one *o)
{
	struct weir_device_opts opts = { .ioas = o->as };

	o->dev.edu = NULL;
	MUST(weir_device_open(o->iommu, device("WEIR_TEST_NVME"), &opts, &o->dev.dev));
}

static void close_device(struct one *o)
{
	MUST(edu_close(o->dev.edu));
	MUST(weir_device_close(o->dev.dev));
}

static struct one open_one(const struct weir_iommu_opts *opts, const char *edu)
{
	struct one o;

	MUST(weir_iommu_open(opts, &o.iommu));
	MUST(weir_ioas_open(o.iommu, &o.as));
	if (edu)
		o.dev = open_edu(o.iommu, device(edu), o.as);
	else
		open_plain(&o);
	return o;
}

static void close_one(struct one o)
{
	close_device(&o);
	MUST(weir_ioas_close(o.as));
	MUST(weir_iommu_close(o.iommu));
}

/* What weir says that counts, with so much memory and the windows that there are. In KiB. */
static unsigned long expected(const struct one *o, unsigned int version, uint64_t memory)
{
	struct weir_window windows[2];
	struct weir_spapr_locked_opts opts = {
		.version = version, .memory = memory, .windows = windows,
	};
	struct weir_spapr_locked out;

	opts.n_windows = (size_t)MUST(weir_ioas_windows(o->as, windows, 2));
	MUST(weir_spapr_locked(&opts, &out));
	return out.total / KIB;
}

/* ---- what counts ---- */

static void version_2_counts_to_the_byte(void **state)
{
	unsigned long before = status_kib("VmLck");
	struct one o = open_one(&by_v2, NULL);
	unsigned char *memory = pages_of(16);
	weir_iova iova, again;

	(void)state;
	assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 0));
	MUST(weir_ioas_map(o.as, memory, 8 * page, NULL, &iova));
	assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 8 * page));
	/* Once more, in part, and what follows it. */
	MUST(weir_ioas_map(o.as, memory + 4 * page, 8 * page, NULL, &again));
	assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 12 * page));
	MUST(weir_ioas_register(o.as, memory, 16 * page));
	assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 16 * page));
	MUST(weir_ioas_unmap(o.as, iova, 8 * page));
	MUST(weir_ioas_unmap(o.as, again, 8 * page));
	assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 16 * page));
	MUST(weir_ioas_unregister(o.as, memory, 16 * page));
	assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 0));
	MUST(weir_ioas_map(o.as, memory, 8 * page, NULL, &iova));
	close_one(o);
	assert_int_equal(status_kib("VmLck"), before);
	drop(memory, 16);
}

static void version_1_counts_its_window(void **state)
{
	unsigned long before = status_kib("VmLck"), counted;
	struct one o = open_one(&by_v1, NULL);
	unsigned char *memory = pages_of(4);
	struct weir_iova_range low;
	weir_iova iova;

	(void)state;
	assert_int_equal(weir_ioas_ranges(o.as, &low, 1), 1);
	counted = status_kib("VmLck") - before;
	assert_int_equal(counted, expected(&o, 1, 0));
	assert_true(counted > (low.last - low.first + 1) / KIB);
	MUST(weir_ioas_map(o.as, memory, 4 * page, NULL, &iova));
	assert_int_equal(status_kib("VmLck") - before, counted);
	must_fail(weir_ioas_register(o.as, memory, page), -ENOTSUP, "spapr has no memory");
	close_one(o);
	assert_int_equal(status_kib("VmLck"), before);
	drop(memory, 4);
}

/* PowerNV's tables know no pages that can be written alone (pnv_tce_xchg()). */
static void directions_are_kept_to(void **state)
{
	const struct weir_map_opts to = { .dir = WEIR_DMA_TO_DEVICE };
	const struct weir_map_opts from = { .dir = WEIR_DMA_FROM_DEVICE };
	bool powernv = !access("/sys/firmware/opal", F_OK);
	struct one o = open_one(&by_v2, "WEIR_TEST_EDU");
	unsigned char *memory = pages_of(2), *back = pages_of(1);
	weir_iova read, write;

	(void)state;
	MUST(weir_ioas_map(o.as, memory, page, &to, &read));
	memset(memory, 0x91, PAGE);
	MUST(edu_dma(o.dev.edu, read, 0, PAGE, true));
	must_be_blocked(o.dev.edu, read, memory);
	MUST(weir_ioas_map(o.as, memory + page, page, &from, &write));
	MUST(edu_dma(o.dev.edu, write, 0, PAGE, false));
	assert_memory_equal(memory + page, memory, PAGE);
	/* What it holds, if it could read that, it writes elsewhere. */
	memset(memory + page, 0x92, PAGE);
	MUST(edu_dma(o.dev.edu, write, 0, PAGE, true));
	MUST(weir_ioas_map(o.as, back, page, &from, &read));
	MUST(edu_dma(o.dev.edu, read, 0, PAGE, false));
	assert_int_equal(!memcmp(back, memory + page, PAGE), powernv);
	close_one(o);
	drop(memory, 2);
	drop(back, 1);
}

/* ---- registered ahead ---- */

static void devices_reach_what_is_registered_ahead(void **state)
{
	struct one o = open_one(&by_v2, "WEIR_TEST_EDU");
	unsigned char *memory = pages_of(64);
	unsigned long locked;
	weir_iova iova[8];

	(void)state;
	MUST(weir_ioas_register(o.as, memory, 64 * page));
	locked = status_kib("VmLck");
	for (int i = 0; i < 8; i++) {
		unsigned char *at = memory + i * 8 * page;

		MUST(weir_ioas_map(o.as, at, 4 * page, NULL, &iova[i]));
		round_trip(o.dev.edu, at + 2 * page, (unsigned char)(0x31 + i));
	}
	assert_int_equal(status_kib("VmLck"), locked);
	must_fail(weir_ioas_unregister(o.as, memory, 64 * page), -EBUSY, "is mapped, at IOVA 0x");
	must_fail(weir_ioas_unregister(o.as, memory, page), -ENOENT, "as it was registered");
	round_trip(o.dev.edu, memory + 2 * page, 0x41);
	for (int i = 0; i < 8; i++)
		MUST(weir_ioas_unmap(o.as, iova[i], 4 * page));
	must_be_blocked(o.dev.edu, iova[0], memory);
	assert_int_equal(status_kib("VmLck"), locked);
	MUST(weir_ioas_unregister(o.as, memory, 64 * page));
	assert_int_equal(locked - status_kib("VmLck"), 64 * page / KIB);
	close_one(o);
	drop(memory, 64);
}

/* And the address space outlives its device. */
static void registered_memory_waits_for_a_device(void **state)
{
	unsigned long before = status_kib("VmLck");
	unsigned char *memory = pages_of(8);
	struct one o;
	weir_iova iova;

	(void)state;
	MUST(weir_iommu_open(&by_v2, &o.iommu));
	MUST(weir_ioas_open(o.iommu, &o.as));
	MUST(weir_ioas_register(o.as, memory, 8 * page));
	MUST(weir_ioas_map(o.as, memory + page, 2 * page, NULL, &iova));
	assert_int_equal(status_kib("VmLck"), before);
	for (int i = 0; i < 2; i++) {
		open_plain(&o);
		assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 8 * page));
		close_device(&o);
		assert_int_equal(status_kib("VmLck"), before);
	}
	MUST(weir_ioas_close(o.as));
	MUST(weir_iommu_close(o.iommu));
	drop(memory, 8);
}

/* The kernel alone would refuse the second what is neither the same memory nor other memory. */
static void spaces_share_memory_that_overlaps(void **state)
{
	unsigned long before = status_kib("VmLck"), tables;
	struct one a = open_one(&by_v2, "WEIR_TEST_EDU"), b = open_one(&by_v2, "WEIR_TEST_PAIR0");
	unsigned char *memory = pages_of(12);
	weir_iova in_a, in_b;

	(void)state;
	tables = status_kib("VmLck") - before;
	MUST(weir_ioas_map(a.as, memory, 8 * page, NULL, &in_a));
	MUST(weir_ioas_map(b.as, memory + 4 * page, 8 * page, NULL, &in_b));
	assert_int_equal(status_kib("VmLck") - before - tables, 12 * page / KIB);
	round_trip(a.dev.edu, memory + 5 * page, 0x61);
	round_trip(b.dev.edu, memory + 5 * page, 0x62);
	round_trip(b.dev.edu, memory + 9 * page, 0x63);
	MUST(weir_ioas_unmap(a.as, in_a, 8 * page));
	must_be_blocked(a.dev.edu, in_a + 5 * page, memory + 5 * page);
	round_trip(b.dev.edu, memory + 5 * page, 0x64);
	/* The piece is whole as long as one uses it. */
	assert_int_equal(status_kib("VmLck") - before - tables, 12 * page / KIB);
	close_one(a);
	round_trip(b.dev.edu, memory + 4 * page, 0x65);
	MUST(weir_ioas_unmap(b.as, in_b, 8 * page));
	assert_int_equal(status_kib("VmLck") - before, expected(&b, 2, 0));
	close_one(b);
	assert_int_equal(status_kib("VmLck"), before);
	drop(memory, 12);
}

/* With a container for each: what is mapped outlives the other group. */
static void one_space_has_two_groups(void **state)
{
	unsigned long before = status_kib("VmLck"), tables;
	struct one o = open_one(&by_v2, "WEIR_TEST_EDU");
	struct one other = { .iommu = o.iommu, .as = o.as };
	unsigned char *memory = pages_of(4);
	weir_iova iova;

	(void)state;
	open_plain(&other);
	tables = status_kib("VmLck") - before;
	MUST(weir_ioas_map(o.as, memory, 4 * page, NULL, &iova));
	assert_int_equal(status_kib("VmLck") - before - tables, 4 * page / KIB);
	round_trip(o.dev.edu, memory, 0x68);
	close_device(&other);
	round_trip(o.dev.edu, memory, 0x69);
	MUST(weir_ioas_unmap(o.as, iova, 4 * page));
	must_be_blocked(o.dev.edu, iova, memory);
	close_one(o);
	assert_int_equal(status_kib("VmLck"), before);
	drop(memory, 4);
}

/* Memory in part: the kernel says how many pages of it are good, and that isn't success. */
static void memory_with_a_hole_is_refused(void **state)
{
	struct one o = open_one(&by_v2, NULL);
	unsigned long locked = status_kib("VmLck");
	unsigned char *memory = pages_of(8);
	weir_iova iova;

	(void)state;
	drop(memory + 6 * page, 2);
	must_fail(weir_ioas_map(o.as, memory, 8 * page, NULL, &iova), -EFAULT,
		  "not all of it is memory that can be written");
	must_fail(weir_ioas_register(o.as, memory, 8 * page), -EFAULT, "can be written");
	assert_int_equal(mprotect(memory + 4 * page, 2 * page, PROT_READ), 0);
	must_fail(weir_ioas_register(o.as, memory, 6 * page), -EFAULT, "can be written");
	assert_int_equal(status_kib("VmLck"), locked);
	MUST(weir_ioas_map(o.as, memory, 4 * page, NULL, &iova));
	close_one(o);
	drop(memory, 6);
}

/* ---- pages of hugetlb ---- */

static void pool(unsigned int pages)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", pages);
	write_text("/proc/sys/vm/nr_hugepages", text);
}

/* The largest pages of windows that hugetlb's are made of, and larger than the system's; or 0. */
static uint64_t large_pages(const struct one *o)
{
	struct weir_window_info info;
	uint64_t found = 0;

	MUST(weir_ioas_window_info(o->as, &info));
	for (uint64_t size = 2 * page; size <= 2 * MIB; size *= 2)
		if (info.page_sizes & size)
			found = size;
	return found;
}

/* A small mapping of it registers whole pages, so that a window of large ones can have it, too. */
static void hugetlb_is_registered_whole(void **state)
{
	unsigned long before = status_kib("VmLck");
	uint64_t large, counted;
	struct weir_map_opts fixed = { .fixed = true };
	struct weir_window_opts opts = { 0 };
	struct weir_window window;
	unsigned char *memory;
	weir_iova iova;
	struct one o;

	(void)state;
	/* PowerNV's machine has none. */
	if (access("/proc/sys/vm/nr_hugepages", W_OK))
		return;
	o = open_one(&by_v2, "WEIR_TEST_EDU");
	large = large_pages(&o);
	counted = large ? 2 * MIB : 2 * page;
	opts.page_size = large;
	pool(2);
	memory = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	MUST(weir_ioas_map(o.as, memory + MIB, 2 * page, NULL, &iova));
	assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, counted));
	if (large) {
		MUST(weir_ioas_add_window(o.as, &opts, &window));
		MUST(weir_ioas_map(o.as, memory, 4 * MIB, &fixed, &window.first));
		assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 4 * MIB));
		MUST(weir_ioas_unmap(o.as, window.first, 4 * MIB));
	}
	round_trip(o.dev.edu, memory + MIB, 0x81);
	MUST(weir_ioas_unmap(o.as, iova, 2 * page));
	assert_int_equal(status_kib("VmLck") - before, expected(&o, 2, 0));
	close_one(o);
	assert_int_equal(status_kib("VmLck"), before);
	munmap(memory, 4 * MIB);
	pool(0);
}

/* ---- limits ---- */

static void limits_are_named(void **state)
{
	struct one o = open_one(&by_v2, NULL);
	unsigned long before = status_kib("VmLck"), table = expected(&o, 2, 0);
	unsigned char *memory = pages_of(64);
	struct weir_iommu *iommu;
	struct weir_device *dev;
	char sentence[128];
	struct rlimit old;
	weir_iova iova;

	(void)state;
	close_one(o);
	before -= table;
	old = limit_to((before + table) * KIB - page);
	MUST(weir_iommu_open(&by_v2, &iommu));
	snprintf(sentence, sizeof(sentence), "whose table counts %lu KiB: the kernel may not pin "
		 "that much: the limit of locked memory is %lu KiB in all", table,
		 (unsigned long)(before + table - page / KIB));
	must_fail(weir_device_open(iommu, device("WEIR_TEST_NVME"), NULL, &dev), -ENOMEM, sentence);
	MUST(weir_iommu_close(iommu));
	unlimit(&old);

	old = limit_to((before + table) * KIB + 63 * page);
	o = open_one(&by_v2, NULL);
	snprintf(sentence, sizeof(sentence), "this process has %lu locked or pinned, and needs %lu",
		 before + table, (unsigned long)(before + table + 64 * page / KIB));
	must_fail(weir_ioas_map(o.as, memory, 64 * page, NULL, &iova), -ENOMEM, sentence);
	must_fail(weir_ioas_register(o.as, memory, 64 * page), -ENOMEM, sentence);
	MUST(weir_ioas_register(o.as, memory, 63 * page));
	MUST(weir_ioas_unregister(o.as, memory, 63 * page));
	close_one(o);
	unlimit(&old);

	o = open_one(&by_v1, NULL);
	table = expected(&o, 1, 0);
	close_one(o);
	old = limit_to((before + table) * KIB - page);
	MUST(weir_iommu_open(&by_v1, &iommu));
	must_fail(weir_device_open(iommu, device("WEIR_TEST_NVME"), NULL, &dev), -ENOMEM,
		  "making the default window");
	MUST(weir_iommu_close(iommu));
	unlimit(&old);
	old = limit_to(64 * MIB);
	MUST(weir_iommu_open(&by_v1, &iommu));
	must_fail(weir_device_open(iommu, device("WEIR_TEST_NVME"), NULL, &dev), -ENOMEM,
		  "enabling the container, whose whole window and its table count");
	MUST(weir_iommu_close(iommu));
	unlimit(&old);
	assert_int_equal(status_kib("VmLck"), before);
	drop(memory, 64);
}

/* ---- the kernel by itself ---- */

struct raw {
	int container, group;
	struct wr_vfio_spapr_info info;
};

static struct raw open_raw(void)
{
	struct raw r = { .container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC) };
	char path[128], target[128] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 device("WEIR_TEST_NVME"));
	assert_true(readlink(path, target, sizeof(target) - 1) > 0);
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	r.group = open(path, O_RDWR | O_CLOEXEC);
	assert_true(r.container >= 0 && r.group >= 0);
	assert_int_equal(ioctl(r.group, WR_VFIO_GROUP_SET_CONTAINER, &r.container), 0);
	assert_int_equal(ioctl(r.container, WR_VFIO_SET_IOMMU, WR_VFIO_SPAPRv2), 0);
	r.info.argsz = sizeof(r.info);
	assert_int_equal(ioctl(r.container, WR_VFIO_SPAPR_GET_INFO, &r.info), 0);
	return r;
}

static void close_raw(struct raw r)
{
	close(r.group);
	close(r.container);
}

/* What it returns, or -errno. */
static int said(int ret)
{
	return ret < 0 ? -errno : ret;
}

static int memory_call(struct raw r, unsigned long request, const void *vaddr, size_t n)
{
	struct wr_vfio_spapr_memory arg = {
		.argsz = sizeof(arg), .vaddr = (uintptr_t)vaddr, .size = n * page,
	};

	return said(ioctl(r.container, request, &arg));
}

static int reg(struct raw r, const void *vaddr, size_t n)
{
	return memory_call(r, WR_VFIO_SPAPR_REGISTER, vaddr, n);
}

static int unreg(struct raw r, const void *vaddr, size_t n)
{
	return memory_call(r, WR_VFIO_SPAPR_UNREGISTER, vaddr, n);
}

static int map(struct raw r, uint64_t iova, const void *vaddr, uint64_t size, uint32_t flags)
{
	struct wr_vfio_map_dma arg = {
		.argsz = sizeof(arg), .flags = flags, .vaddr = (uintptr_t)vaddr, .iova = iova,
		.size = size,
	};

	return said(ioctl(r.container, WR_VFIO_IOMMU_MAP_DMA, &arg));
}

static int unmap(struct raw r, uint64_t iova, uint64_t size)
{
	struct wr_vfio_unmap_dma arg = { .argsz = sizeof(arg), .iova = iova, .size = size };
	int ret = said(ioctl(r.container, WR_VFIO_IOMMU_UNMAP_DMA, &arg));

	assert_int_equal(arg.size, size);
	return ret;
}

static void kernel_registers(void **state)
{
	unsigned char *memory = pages_of(8);
	struct raw r = open_raw();

	(void)state;
	assert_int_equal(map(r, 0, memory, page, 3), -EPERM);
	assert_int_equal(unmap(r, 0, page), -EPERM);
	assert_int_equal(unreg(r, memory, 1), -EPERM);
	assert_int_equal(reg(r, memory + 1, 1), -EINVAL);
	assert_int_equal(reg(r, memory, 4), 0);
	assert_int_equal(reg(r, memory, 4), -EBUSY);
	assert_int_equal(reg(r, memory + page, 4), -EINVAL);
	assert_int_equal(unreg(r, memory, 3), -ENOENT);
	/* Of three pages two are there; of two none is. */
	drop(memory + 6 * page, 2);
	assert_int_equal(reg(r, memory + 4 * page, 3), 2);
	assert_int_equal(reg(r, memory + 6 * page, 2), -EFAULT);
	assert_int_equal(unreg(r, memory + 4 * page, 3), -ENOENT);
	assert_int_equal(unreg(r, memory, 4), 0);
	close_raw(r);
	drop(memory, 6);
}

static void kernel_maps(void **state)
{
	unsigned char *memory = pages_of(4);
	struct raw r = open_raw();
	uint64_t end = (uint64_t)r.info.dma32_start + r.info.dma32_size;

	(void)state;
	assert_int_equal(reg(r, memory, 2), 0);
	assert_int_equal(map(r, 0, memory, page, 4), -EINVAL);
	assert_int_equal(map(r, end, memory, page, 3), -ENXIO);
	assert_int_equal(map(r, 0, memory, 2048, 3), -EINVAL);
	assert_int_equal(map(r, 0, memory, page, 0), -EINVAL);
	assert_int_equal(map(r, 2048, memory, page, 3), 1);
	assert_int_equal(map(r, 0, memory + page, 2 * page, 3), -EINVAL);
	assert_int_equal(map(r, 0, memory, 2 * page, 3), 0);
	/* In the place of what is there. */
	assert_int_equal(map(r, page, memory, page, 3), 0);
	assert_int_equal(unmap(r, 2048, page), 1);
	assert_int_equal(unmap(r, end, page), -ENXIO);
	assert_int_equal(unmap(r, 0, 2048), -EINVAL);
	assert_int_equal(unmap(r, 0, 3 * page), 0);
	assert_int_equal(unmap(r, 0, 3 * page), 0);
	assert_int_equal(unreg(r, memory, 2), 0);
	close_raw(r);
	drop(memory, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2_counts_to_the_byte),
		cmocka_unit_test(version_1_counts_its_window),
		cmocka_unit_test(directions_are_kept_to),
		cmocka_unit_test(devices_reach_what_is_registered_ahead),
		cmocka_unit_test(registered_memory_waits_for_a_device),
		cmocka_unit_test(spaces_share_memory_that_overlaps),
		cmocka_unit_test(one_space_has_two_groups),
		cmocka_unit_test(memory_with_a_hole_is_refused),
		cmocka_unit_test(hugetlb_is_registered_whole),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(kernel_registers),
		cmocka_unit_test(kernel_maps),
	};

	page = (size_t)sysconf(_SC_PAGESIZE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
