/* SPDX-License-Identifier: MIT */
/* Devices without an IOMMU: consent, and memory that is where it is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "bare_rig.h"

/* ---- who gets one ---- */

static void consent_is_needed(void **state)
{
	(void)state;
	open_context(NULL, false);
	assert_wont_open(-EPERM, "no IOMMU is in front of it");
	assert_says("all of this machine's memory");
	assert_says("--unsafe-noiommu");
	assert_says("weir_iommu_opts.unsafe_noiommu");
}

static void choosing_the_interface_isnt_consent(void **state)
{
	(void)state;
	open_context("noiommu", false);
	assert_wont_open(-EPERM, "--unsafe-noiommu");
}

static void nor_is_the_environment(void **state)
{
	(void)state;
	setenv("WEIR_IOMMU", "noiommu", 1);
	open_context(NULL, false);
	unsetenv("WEIR_IOMMU");
	assert_wont_open(-EPERM, "--unsafe-noiommu");
}

static void consent_isnt_a_choice(void **state)
{
	struct weir_device_info info;

	(void)state;
	open_context(NULL, true);
	assert_int_equal(weir_device_open(iommu, WITH, NULL, &dev), 0);
	assert_int_equal(weir_device_info(dev, &info), 0);
	assert_string_equal(info.backend, "type1v2");
}

static void forced_interfaces_fit_or_not(void **state)
{
	static const char *const others[] = { "iommufd", "type1v2", "type1", "compat" };

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		open_context(others[i], true);
		assert_wont_open(-ENOTSUP, "which is asked for, is for devices with an IOMMU");
		assert_says(others[i]);
		assert_int_equal(weir_ioas_close(as), 0);
		assert_int_equal(weir_iommu_close(iommu), 0);
	}
	open_context("noiommu", true);
	assert_int_equal(weir_device_open(iommu, WITH, NULL, &dev), -ENOTSUP);
	assert_says("noiommu, which is asked for, is for devices without an IOMMU");
	assert_int_equal(open_device(0), 0);
}

static void function_without_a_group_is_explained(void **state)
{
	(void)state;
	open_context(NULL, true);
	bare.no_group = true;
	assert_wont_open(-ENODEV, "in no IOMMU group");
	assert_says("bind it to vfio-pci again");
	assert_null(strstr(weir_errmsg(), "write 1"));
	bare.mode = "N\n";
	assert_wont_open(-ENODEV, "write 1 to /sys/module/vfio/parameters/enable_unsafe_noiommu_"
			 "mode, bind it to vfio-pci again");
	bare.mode = NULL;
	assert_wont_open(-ENODEV, "CONFIG_VFIO_NOIOMMU");
}

static void what_is_missing_is_named(void **state)
{
	(void)state;
	open_context(NULL, true);
	bare.node_error = -EPERM;
	assert_wont_open(-EPERM, "CAP_SYS_RAWIO");
	bare.node_error = 0;
	fake.groups[0].set_container_error = -EPERM;
	assert_wont_open(-EPERM, "CAP_SYS_RAWIO");
	fake.groups[0].set_container_error = 0;
	bare.cant = true;
	assert_wont_open(-ENOTSUP, "CONFIG_VFIO_NOIOMMU");
	bare.cant = false;
	bare.secret = "/sys/kernel/iommu_groups/10/name";
	assert_wont_open(-EACCES, bare.secret);
	bare.secret = "/proc/self/pagemap";
	assert_wont_open(-EPERM, "/proc/self/pagemap");
	bare.secret = "/proc/kpageflags";
	assert_wont_open(-EPERM, "/proc/kpageflags");
	bare.secret = NULL;
	bare.no_frames = true;
	assert_wont_open(-EPERM, "CAP_SYS_ADMIN");
	bare.no_frames = false;
	bare.uring_error = -EPERM;
	assert_wont_open(-EPERM, "/proc/sys/kernel/io_uring_disabled");
	bare.uring_error = -ENOSYS;
	assert_wont_open(-ENOTSUP, "io_uring, whose registered buffers do that, isn't there");
	bare.uring_error = 0;
	bare.table_error = -EFAULT;
	assert_wont_open(-ENOTSUP, "older than Linux 5.13");
	bare.table_error = 0;
	bare.no_container = bare.no_iommufd = true;
	assert_wont_open(-ENOTSUP, "neither /dev/vfio/vfio nor /dev/iommu works");
	/* IOMMUFD is a container, too. */
	bare.no_iommufd = false;
	assert_int_equal(open_device(0), 0);
}

static void caps_say_what_it_is(void **state)
{
	struct weir_device_info info;
	struct weir_ioas_caps caps;
	struct weir_fault fault;

	(void)state;
	assert_int_equal(weir_device_info(dev, &info), 0);
	assert_string_equal(info.backend, "noiommu");
	assert_int_equal(weir_ioas_caps(as, &caps), 0);
	assert_int_equal(caps.domains, 1);
	assert_false(caps.isolation);
	assert_false(caps.faults);
	assert_int_equal(caps.dirty, WEIR_DIRTY_NONE);
	assert_int_equal(caps.page_sizes, page);
	assert_int_equal(caps.mappings, WR_URING_BUFFERS_MAX);
	assert_int_equal(weir_ioas_faults(as, &fault, 1), -ENOTSUP);
	assert_int_equal(weir_ioas_dirty_start(as), -ENOTSUP);
}

/* ---- alone in its address space ---- */

static void it_joins_an_empty_address_space(void **state)
{
	char *huge = fake_huge(FAKE_HUGE);
	weir_iova iova;

	(void)state;
	open_context(NULL, true);
	assert_int_equal(weir_ioas_map(as, huge, FAKE_HUGE, NULL, &iova), 0);
	assert_wont_open(-EINVAL, "open the device first, then map");
	assert_int_equal(weir_ioas_unmap(as, iova, FAKE_HUGE), 0);
	assert_int_equal(open_device(0), 0);
}

static void it_joins_no_other(void **state)
{
	struct weir_device *soft;

	(void)state;
	open_context(NULL, true);
	assert_int_equal(weir_device_open(iommu, "soft:edu",
					  &(struct weir_device_opts){ .ioas = as }, &soft), 0);
	assert_wont_open(-EINVAL, "the address space has a device with other ones");
	assert_int_equal(weir_device_close(soft), 0);
}

static void no_other_joins_it(void **state)
{
	const struct weir_device_opts opts = { .ioas = as };
	struct weir_device *other;

	(void)state;
	assert_int_equal(weir_device_open(iommu, "soft:edu", &opts, &other), -EINVAL);
	assert_says("a device without an IOMMU (noiommu) is in the address space");
	assert_int_equal(weir_device_open(iommu, WITH, &opts, &other), -EINVAL);
	assert_says("a device without an IOMMU (noiommu) is in the address space");
}

/* What it leaves mapped is in pieces, and is held no longer. */
static void what_it_leaves_behind_keeps_others_out(void **state)
{
	const struct weir_device_opts opts = { .ioas = as };
	char *huge = descending(2);
	struct weir_device *other;
	weir_iova iova;

	(void)state;
	assert_int_equal(map(huge, 2 * FAKE_HUGE, true, &iova), 0);
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(bare.pins, 0);
	dev = NULL;
	assert_int_equal(weir_device_open(iommu, WITH, &opts, &other), -EINVAL);
	assert_says("still has what was mapped for it (1 times)");
	assert_int_equal(weir_device_open(iommu, "soft:edu", &opts, &other), -EINVAL);
	assert_int_equal(weir_device_open(iommu, "soft:edu", NULL, &other), 0);
	assert_int_equal(weir_device_move(other, as), -EINVAL);
	assert_int_equal(weir_device_close(other), 0);
	assert_wont_open(-EINVAL, "still has what was mapped for it");
	assert_int_equal(weir_ioas_unmap(as, iova, 2 * FAKE_HUGE), 0);
	assert_int_equal(weir_device_open(iommu, WITH, &opts, &other), 0);
	assert_int_equal(weir_device_close(other), 0);
	/* All at once is as good. */
	assert_int_equal(open_device(0), 0);
	assert_int_equal(map(huge, 2 * FAKE_HUGE, true, &iova), 0);
	assert_int_equal(weir_device_close(dev), 0);
	dev = NULL;
	assert_int_equal(weir_ioas_unmap_all(as), 0);
	assert_int_equal(weir_device_open(iommu, WITH, &opts, &other), 0);
	assert_int_equal(weir_device_close(other), 0);
}

static void none_moves_in_or_out(void **state)
{
	struct weir_device_info info;
	struct weir_device *soft;
	struct weir_ioas *other;

	(void)state;
	assert_int_equal(weir_device_open(iommu, "soft:edu", NULL, &soft), 0);
	assert_int_equal(weir_device_move(soft, as), -EINVAL);
	assert_says("a device without an IOMMU (noiommu) is in the address space");
	assert_int_equal(weir_device_info(soft, &info), 0);
	assert_string_equal(info.backend, "soft");
	assert_int_equal(weir_device_close(soft), 0);
	assert_int_equal(weir_ioas_open(iommu, &other), 0);
	assert_int_equal(weir_device_move(dev, other), -ENOTSUP);
	assert_int_equal(weir_ioas_close(other), 0);
}

static void it_isnt_handed_over(void **state)
{
	int fds[8];

	(void)state;
	assert_int_equal(weir_ioas_export(as, fds, 8), -ENOTSUP);
	assert_says("by noiommu can't go to another process");
}

/* ---- memory ---- */

static void iova_is_the_physical_address(void **state)
{
	char *huge = fake_huge(4 * FAKE_HUGE);
	struct weir_seg segs[2];
	struct weir_ioas_caps caps;
	weir_iova iova;
	void *vaddr;
	size_t len;

	(void)state;
	assert_int_equal(weir_ioas_map(as, huge, 4 * FAKE_HUGE, NULL, &iova), 0);
	assert_int_equal(iova, AT);
	assert_int_equal(bare.pinned, 4 * FAKE_HUGE);
	/* One to see that it may, and 512 addresses at once. */
	assert_int_equal(bare.reads, 1 + 4);
	assert_int_equal(weir_ioas_segs(as, huge + 100, 3 * FAKE_HUGE, segs, 2), 1);
	assert_int_equal(segs[0].iova, AT + 100);
	assert_int_equal(weir_ioas_to_vaddr(as, AT + FAKE_HUGE, &vaddr, &len), 0);
	assert_ptr_equal(vaddr, huge + FAKE_HUGE);
	assert_int_equal(len, 3 * FAKE_HUGE);
	assert_int_equal(weir_ioas_caps(as, &caps), 0);
	assert_int_equal(caps.mappings, WR_URING_BUFFERS_MAX - 1);
	assert_int_equal(weir_ioas_unmap(as, AT, FAKE_HUGE), -EINVAL);
	assert_int_equal(weir_ioas_update_vaddr(as, AT, 4 * FAKE_HUGE, huge), -ENOTSUP);
	assert_int_equal(weir_ioas_unmap(as, AT, 4 * FAKE_HUGE), 0);
	assert_int_equal(bare.pins, 0);
	assert_int_equal(weir_ioas_to_vaddr(as, AT, &vaddr, NULL), -ENOENT);
	assert_int_equal(weir_ioas_caps(as, &caps), 0);
	assert_int_equal(caps.mappings, WR_URING_BUFFERS_MAX);
}

/* To be pinned, memory may be moved: what counts is where it is then. */
static void memory_that_moves_to_be_held_is_found(void **state)
{
	char *huge = fake_huge(FAKE_HUGE);
	weir_iova iova;

	(void)state;
	bare.moves = 32 * MIB;
	assert_int_equal(weir_ioas_map(as, huge, FAKE_HUGE, NULL, &iova), 0);
	assert_int_equal(iova, AT + 32 * MIB);
}

/* A page of a huge page will do; the others are other mappings. */
static void small_parts_of_huge_pages(void **state)
{
	char *huge = fake_huge(FAKE_HUGE);
	weir_iova iova;

	(void)state;
	assert_int_equal(weir_ioas_map(as, huge + 3 * page, page, NULL, &iova), 0);
	assert_int_equal(iova, AT + 3 * page);
	assert_int_equal(weir_ioas_map(as, huge + 4 * page, page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_map(as, huge, 4 * page, NULL, &iova), -EEXIST);
	assert_int_equal(bare.pinned, 2 * page);
}

static void other_memory_is_refused(void **state)
{
	char *small = mmap(NULL, FAKE_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	weir_iova iova;

	(void)state;
	assert_true(small != MAP_FAILED);
	assert_int_equal(map(small, page, true, &iova), -EINVAL);
	assert_says("isn't hugetlb's");
	assert_says("weir_mem_opts.page_size");
	assert_int_equal(bare.pins, 0);
	munmap(small, FAKE_HUGE);
}

/* A huge page ends, and other memory follows. */
static void other_memory_behind_huge_pages_is_refused(void **state)
{
	weir_iova iova;
	void *small;

	(void)state;
	assert_int_equal(wr_sys->mmap(NULL, FAKE_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
				      MAP_ANONYMOUS | MAP_HUGETLB, -1, 0, &small), 0);
	assert_int_equal(map(small, FAKE_HUGE + page, true, &iova), -EINVAL);
	assert_int_equal(bare.pins, 0);
	assert_int_equal(wr_sys->munmap(small, FAKE_HUGE), 0);
}

static void memory_that_cant_be_held_is_refused(void **state)
{
	static const struct {
		int says, err;
		const char *part;
	} cases[] = {
		{ -EFAULT, -EFAULT, "not all of it is memory that can be written" },
		{ -EOPNOTSUPP, -EOPNOTSUPP, "doesn't hold pages of such a file" },
		{ -ENOMEM, -ENOMEM, "can't be held still" },
		{ -EINTR, -EINTR, "can't be held still" },
	};
	char *huge = fake_huge(FAKE_HUGE);
	weir_iova iova;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bare.pin_error = cases[i].says;
		assert_int_equal(map(huge, FAKE_HUGE, true, &iova), cases[i].err);
		assert_says(cases[i].part);
	}
	bare.pin_error = 0;
	assert_int_equal(map(huge, FAKE_HUGE, true, &iova), 0);
}

/* It stays held, which does no harm, and its slot isn't used again. */
static void memory_that_cant_be_let_go_of(void **state)
{
	char *huge = fake_huge(2 * FAKE_HUGE);
	struct weir_ioas_caps caps;
	weir_iova iova;

	(void)state;
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), 0);
	bare.unpin_error = -ENOMEM;
	assert_int_equal(weir_ioas_unmap(as, iova, FAKE_HUGE), 0);
	bare.unpin_error = 0;
	assert_int_equal(bare.pins, 1);
	assert_int_equal(weir_ioas_caps(as, &caps), 0);
	assert_int_equal(caps.mappings, WR_URING_BUFFERS_MAX - 1);
	assert_int_equal(map(huge, 2 * FAKE_HUGE, false, &iova), 0);
	assert_int_equal(bare.pins, 2);
}

static void iova_cant_be_chosen(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	char *huge = fake_huge(FAKE_HUGE);
	weir_iova iova = AT + FAKE_HUGE;

	(void)state;
	assert_int_equal(weir_ioas_map(as, huge, FAKE_HUGE, &fixed, &iova), -EINVAL);
	assert_says("it is at its physical address, 0x4000000");
	assert_int_equal(iova, AT + FAKE_HUGE);
	assert_int_equal(bare.pins, 0);
	iova = AT;
	assert_int_equal(weir_ioas_map(as, huge, FAKE_HUGE, &fixed, &iova), 0);
}

static void same_memory_twice(void **state)
{
	char *huge = fake_huge(2 * FAKE_HUGE), *again = fake_huge_again(huge, 2 * FAKE_HUGE);
	const struct iovec twice[] = { { huge, FAKE_HUGE }, { huge, FAKE_HUGE } };
	weir_iova iova;

	(void)state;
	assert_int_equal(weir_ioas_mapv(as, twice, 2, NULL, &iova), -EEXIST);
	assert_int_equal(bare.pins, 0);
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), 0);
	assert_int_equal(map(huge, 2 * FAKE_HUGE, false, &iova), -EEXIST);
	assert_says("some of it is mapped already");
	assert_int_equal(map(again, FAKE_HUGE, false, &iova), -EEXIST);
	assert_says("overlaps the mapping at 0x4000000 (2097152 bytes)");
	assert_int_equal(bare.pins, 1);
	assert_int_equal(map(again + FAKE_HUGE, FAKE_HUGE, false, &iova), 0);
}

static void device_that_doesnt_reach_it(void **state)
{
	const struct weir_map_opts low = { .limit = AT + 2 * FAKE_HUGE - 1 };
	char *huge;
	weir_iova iova;

	(void)state;
	open_context(NULL, true);
	assert_int_equal(open_device(27), 0);
	bare.next = 126 * MIB;
	huge = fake_huge(2 * FAKE_HUGE);
	assert_int_equal(map(huge, 2 * FAKE_HUGE, false, &iova), -ENOSPC);
	assert_says("physical address 0x7e00000, above 0x7ffffff");
	assert_int_equal(bare.pins, 0);
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), 0);
	bare.next = AT;
	huge = fake_huge(3 * FAKE_HUGE);
	assert_int_equal(weir_ioas_map(as, huge, 3 * FAKE_HUGE, &low, &iova), -ENOSPC);
	assert_int_equal(weir_ioas_map(as, huge, 2 * FAKE_HUGE, &low, &iova), 0);
}

/* ---- scattered memory ---- */

static void scattered_memory_is_asked_for(void **state)
{
	char *huge = descending(3);
	weir_iova iova;

	(void)state;
	assert_int_equal(map(huge, 3 * FAKE_HUGE, false, &iova), -EINVAL);
	assert_says("in 3 pieces");
	assert_says("weir_map_opts.scattered");
	assert_int_equal(bare.pins, 0);
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), 0);
}

static void scattered_memory_is_one_unit(void **state)
{
	char *huge = descending(3), *other;
	struct weir_seg segs[4];
	weir_iova iova, found;
	size_t len;

	(void)state;
	assert_int_equal(map(huge, 3 * FAKE_HUGE, true, &iova), 0);
	assert_int_equal(iova, 512 * MIB);
	assert_int_equal(weir_ioas_segs(as, huge + page, 3 * FAKE_HUGE - 2 * page, segs, 4), 3);
	assert_int_equal(segs[0].iova, 512 * MIB + page);
	assert_int_equal(segs[0].len, FAKE_HUGE - page);
	assert_int_equal(segs[1].iova, 508 * MIB);
	assert_int_equal(segs[1].len, FAKE_HUGE);
	assert_int_equal(segs[2].iova, 504 * MIB);
	assert_int_equal(segs[2].len, FAKE_HUGE - page);
	assert_int_equal(weir_ioas_to_iova(as, huge + FAKE_HUGE, &found, &len), 0);
	assert_int_equal(found, 508 * MIB);
	assert_int_equal(len, FAKE_HUGE);
	/* What lies between its runs is another's; a run alone isn't unmapped. */
	bare.next = 510 * MIB;
	other = fake_huge(FAKE_HUGE);
	assert_int_equal(map(other, FAKE_HUGE, false, &found), 0);
	assert_int_equal(found, 510 * MIB);
	assert_int_equal(weir_ioas_unmap(as, 508 * MIB, FAKE_HUGE), -EINVAL);
	assert_says("starts at 0x20000000 and has 6291456 bytes");
	assert_int_equal(weir_ioas_unmap(as, iova, FAKE_HUGE), -EINVAL);
	assert_int_equal(weir_ioas_unmap(as, iova, 3 * FAKE_HUGE), 0);
	assert_int_equal(bare.pins, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(weir_ioas_to_iova(as, huge + i * FAKE_HUGE, &found, NULL),
				 -ENOENT);
	assert_int_equal(weir_ioas_unmap(as, 510 * MIB, FAKE_HUGE), 0);
}

static void unmap_all_lets_everything_go(void **state)
{
	char *huge = descending(4);
	weir_iova iova;

	(void)state;
	assert_int_equal(map(huge, 3 * FAKE_HUGE, true, &iova), 0);
	assert_int_equal(map(huge + 3 * FAKE_HUGE, FAKE_HUGE, true, &iova), 0);
	assert_int_equal(weir_ioas_unmap_all(as), 0);
	assert_int_equal(bare.pins, 0);
	assert_int_equal(map(huge, 4 * FAKE_HUGE, true, &iova), 0);
	/* The address space is closed with it. */
}

/* Pieces follow one another where they happen to. */
static void batches_are_where_they_are(void **state)
{
	char *huge = fake_huge(3 * FAKE_HUGE);
	const struct iovec in_order[] = { { huge, page }, { huge + page, page } };
	const struct iovec turned[] = { { huge + 2 * FAKE_HUGE, FAKE_HUGE },
					{ huge + FAKE_HUGE, FAKE_HUGE } };
	const struct weir_map_opts scattered = { .scattered = true };
	struct weir_seg segs[2];
	weir_iova iova;

	(void)state;
	assert_int_equal(weir_ioas_mapv(as, in_order, 2, NULL, &iova), 0);
	assert_int_equal(iova, AT);
	assert_int_equal(weir_ioas_mapv(as, turned, 2, NULL, &iova), -EINVAL);
	assert_int_equal(bare.pins, 2);
	assert_int_equal(weir_ioas_mapv(as, turned, 2, &scattered, &iova), 0);
	assert_int_equal(iova, AT + 2 * FAKE_HUGE);
	assert_int_equal(weir_ioas_segsv(as, turned, 2, segs, 2), 2);
	assert_int_equal(segs[1].iova, AT + FAKE_HUGE);
	assert_int_equal(weir_ioas_unmap(as, AT, 2 * page), 0);
	assert_int_equal(weir_ioas_unmap(as, iova, 2 * FAKE_HUGE), 0);
	assert_int_equal(bare.pins, 0);
}

static void files_of_huge_pages(void **state)
{
	const struct weir_map_opts scattered = { .scattered = true };
	int fd = memfd_create("file", MFD_CLOEXEC);
	long mapped = fake.mapped;
	weir_iova iova;
	void *vaddr;

	(void)state;
	assert_int_equal(ftruncate(fd, 2 * FAKE_HUGE), 0);
	assert_int_equal(weir_ioas_map_fd(as, fd, 0, 2 * FAKE_HUGE, &scattered, &iova), -EINVAL);
	assert_says("isn't hugetlb's");
	assert_int_equal(fake.mapped, mapped);
	bare.files_are_huge = true;
	/* The first time, there are tables to be made for the books. */
	for (int i = 0; i < 2; i++) {
		mapped = fake.mapped;
		bare.next = AT;
		assert_int_equal(weir_ioas_map_fd(as, fd, 0, 2 * FAKE_HUGE, &scattered, &iova), 0);
		assert_int_equal(iova, AT);
		assert_int_equal(weir_ioas_to_vaddr(as, AT, &vaddr, NULL), 0);
		assert_int_equal(weir_ioas_unmap(as, iova, 2 * FAKE_HUGE), 0);
	}
	assert_int_equal(fake.mapped, mapped);
	assert_int_equal(close(fd), 0);
}

/* More than a slot of the ring takes, as one run. */
static void large_memory_takes_several_slots(void **state)
{
	size_t len = (1ul << 30) + FAKE_HUGE;
	char *huge = fake_huge(len);
	weir_iova iova;

	(void)state;
	assert_int_equal(map(huge, len, false, &iova), 0);
	assert_int_equal(bare.pins, 2);
	assert_int_equal(bare.pinned, len);
	assert_int_equal(weir_ioas_unmap(as, iova, len), 0);
	assert_int_equal(bare.pins, 0);
	/* The second slot is refused: the first is let go of again. */
	fake.fail_at = fake.calls + 2;
	fake.fail_with = -ENOMEM;
	assert_int_equal(map(huge, len, false, &iova), -ENOMEM);
	assert_int_equal(bare.pins, 0);
}

static void slots_run_out(void **state)
{
	char *huge = fake_huge(WR_URING_BUFFERS_MAX * page + FAKE_HUGE);
	struct weir_ioas_caps caps;
	weir_iova iova;

	(void)state;
	for (size_t i = 0; i < WR_URING_BUFFERS_MAX; i++)
		assert_int_equal(map(huge + i * page, page, false, &iova), 0);
	assert_int_equal(weir_ioas_caps(as, &caps), 0);
	assert_int_equal(caps.mappings, 0);
	huge += WR_URING_BUFFERS_MAX * page;
	assert_int_equal(map(huge, page, false, &iova), -ENOSPC);
	assert_says("no more than 16384 pieces");
	assert_int_equal(weir_ioas_unmap(as, AT, page), 0);
	assert_int_equal(map(huge, page, false, &iova), 0);
}

/* ---- weir_mem ---- */

static void memory_is_of_huge_pages(void **state)
{
	struct weir_mem *mem, *second;
	struct weir_seg segs[3];

	(void)state;
	bare.step = -2 * (int64_t)FAKE_HUGE;
	assert_int_equal(weir_mem_alloc(as, 5, NULL, &mem), 0);
	assert_int_equal(weir_mem_len(mem), FAKE_HUGE);
	assert_int_equal(weir_mem_iova(mem), AT);
	assert_int_equal(weir_mem_alloc(as, 2 * FAKE_HUGE, &(struct weir_mem_opts){ .huge = true },
					&second), 0);
	assert_int_equal(weir_ioas_segs(as, weir_mem_ptr(second), 2 * FAKE_HUGE, segs, 3), 2);
	assert_int_equal(segs[0].iova, weir_mem_iova(second));
	assert_int_equal(weir_ioas_unmap_all(as), -EBUSY);
	assert_int_equal(weir_mem_free(second), 0);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(bare.pins, 0);
}

/* ---- failing calls ---- */

static void any_call_may_fail(void **state)
{
	(void)state;
	fail_each_call();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bare_setup, bare_teardown)
#define TEST_CLOSED(f) cmocka_unit_test_setup_teardown(f, bare_start, bare_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CLOSED(consent_is_needed),
		TEST_CLOSED(choosing_the_interface_isnt_consent),
		TEST_CLOSED(nor_is_the_environment),
		TEST_CLOSED(consent_isnt_a_choice),
		TEST_CLOSED(forced_interfaces_fit_or_not),
		TEST_CLOSED(function_without_a_group_is_explained),
		TEST_CLOSED(what_is_missing_is_named),
		TEST(caps_say_what_it_is),
		TEST_CLOSED(it_joins_an_empty_address_space),
		TEST_CLOSED(it_joins_no_other),
		TEST(no_other_joins_it),
		TEST(what_it_leaves_behind_keeps_others_out),
		TEST(none_moves_in_or_out),
		TEST(it_isnt_handed_over),
		TEST(iova_is_the_physical_address),
		TEST(memory_that_moves_to_be_held_is_found),
		TEST(small_parts_of_huge_pages),
		TEST(other_memory_is_refused),
		TEST(other_memory_behind_huge_pages_is_refused),
		TEST(memory_that_cant_be_held_is_refused),
		TEST(memory_that_cant_be_let_go_of),
		TEST(iova_cant_be_chosen),
		TEST(same_memory_twice),
		TEST_CLOSED(device_that_doesnt_reach_it),
		TEST(scattered_memory_is_asked_for),
		TEST(scattered_memory_is_one_unit),
		TEST(unmap_all_lets_everything_go),
		TEST(batches_are_where_they_are),
		TEST(files_of_huge_pages),
		TEST(large_memory_takes_several_slots),
		TEST(slots_run_out),
		TEST(memory_is_of_huge_pages),
		TEST_CLOSED(any_call_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
