/* SPDX-License-Identifier: MIT */
/* Devices without an IOMMU whose memory IOMMUFD holds and knows: Linux 7.3. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/sys.h"
#include "bare_rig.h"

#define NODE "/dev/vfio/devices/noiommu-vfio0"

static char log_text[4096];

static void keep(void *arg, enum weir_log_level level, const char *text)
{
	size_t used = strlen(log_text);

	(void)level, (void)arg;
	snprintf(log_text + used, sizeof(log_text) - used, "%s\n", text);
}

static void assert_logged(const char *part)
{
	if (!strstr(log_text, part))
		fail_msg("\"%s\" isn't logged:\n%s", part, log_text);
}

static void assert_backend(const char *name)
{
	struct weir_device_info info;

	assert_int_equal(weir_device_info(dev, &info), 0);
	assert_string_equal(info.backend, name);
}

static bool is_held(const char *vaddr, size_t len)
{
	return fake_ioas_has(0, (uintptr_t)vaddr, len, (uintptr_t)vaddr,
			     WR_IOMMU_MAP_READ | WR_IOMMU_MAP_WRITE, 0);
}

/* ---- which of the two ---- */

static void it_is_preferred(void **state)
{
	struct weir_ioas_caps caps;
	struct weir_fault fault;

	(void)state;
	assert_backend("iommufd-noiommu");
	assert_int_equal(weir_ioas_caps(as, &caps), 0);
	assert_int_equal(caps.domains, 1);
	assert_false(caps.isolation);
	assert_false(caps.faults);
	assert_int_equal(caps.dirty, WEIR_DIRTY_NONE);
	assert_int_equal(caps.page_sizes, page);
	assert_int_equal(weir_ioas_faults(as, &fault, 1), -ENOTSUP);
	assert_true(weir_iommu_fd(iommu) >= 0);
}

static void consent_is_needed(void **state)
{
	static const char *const interfaces[] = { NULL, "iommufd-noiommu" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		open_context(interfaces[i], false);
		assert_wont_open(-EPERM, "no IOMMU is in front of it");
		assert_int_equal(weir_ioas_close(as), 0);
		assert_int_equal(weir_iommu_close(iommu), 0);
	}
	iommu = NULL;
	as = NULL;
}

static void older_kernels_go_on(void **state)
{
	(void)state;
	fake.iommufd.phys = NULL;
	log_text[0] = '\0';
	weir_log_set(keep, NULL, WEIR_LOG_INFO);
	open_context(NULL, true);
	assert_int_equal(open_device(0), 0);
	weir_log_set(NULL, NULL, WEIR_LOG_WARN);
	assert_backend("noiommu");
	assert_logged("iommufd-noiommu doesn't work: this kernel's IOMMUFD tells no physical "
		      "addresses");
	assert_logged("it can read and write all of this machine's memory");
}

static void what_is_missing_is_named(void **state)
{
	(void)state;
	open_context("iommufd-noiommu", true);
	fake.iommufd.exists = false;
	assert_wont_open(-ENOTSUP, "this kernel has no IOMMUFD");
	fake.iommufd.exists = true;
	fake.iommufd.phys = NULL;
	assert_wont_open(-ENOTSUP, "Linux 7.3");
	fake.iommufd.phys = fake_phys;
	fake.iommufd.phys_error = -EPERM;
	assert_wont_open(-EPERM, "CAP_SYS_RAWIO");
	fake.iommufd.phys_error = 0;
	bare.has_node = false;
	assert_wont_open(-ENOTSUP, "Linux 7.3");
	bare.has_node = true;
	fake.iommufd.no_nodes = true;
	assert_wont_open(-ENOTSUP, "has no noiommu-vfioN");
	fake.iommufd.no_nodes = false;
	fake.iommufd.node_error = -EPERM;
	assert_wont_open(-EPERM, NODE ": Operation not permitted: without an IOMMU it takes the "
			 "capability CAP_SYS_RAWIO");
	fake.iommufd.node_error = 0;
	fake.iommufd.bind_error = -EBUSY;
	assert_wont_open(-EBUSY, "/dev/vfio/noiommu-10 is open");
	fake.iommufd.bind_error = 0;
	fake.groups[0].attach_error = -EINVAL;
	assert_wont_open(-EINVAL, "refuses it this page table");
	fake.groups[0].attach_error = 0;
	assert_int_equal(open_device(0), 0);
}

static void node_is_given(void **state)
{
	struct weir_device_opts opts = { .use_fd = true };

	(void)state;
	opts.fd = wr_sys->open(NODE, 2);
	assert_true(opts.fd >= 0);
	fake.iommufd.node_error = -EACCES;
	open_context(NULL, true);
	opts.ioas = as;
	assert_int_equal(weir_device_open(iommu, BARE, &opts, &dev), 0);
	wr_sys->close(opts.fd);
	assert_backend("iommufd-noiommu");
}

/* ---- memory ---- */

static void iova_is_the_physical_address(void **state)
{
	char *huge = fake_huge(4 * FAKE_HUGE);
	struct weir_seg segs[2];
	weir_iova iova;

	(void)state;
	assert_int_equal(weir_ioas_map(as, huge, 4 * FAKE_HUGE, NULL, &iova), 0);
	assert_int_equal(iova, AT);
	assert_true(is_held(huge, 4 * FAKE_HUGE));
	assert_int_equal(weir_ioas_segs(as, huge + 100, 3 * FAKE_HUGE, segs, 2), 1);
	assert_int_equal(segs[0].iova, AT + 100);
	assert_int_equal(weir_ioas_unmap(as, AT, 4 * FAKE_HUGE), 0);
	assert_int_equal(fake_ioas_mappings(0), 0);
	/* Without a ring, and without the list of pages. */
	assert_int_equal(bare.pins, 0);
	assert_int_equal(bare.reads, 0);
}

static void other_memory_will_do(void **state)
{
	const struct weir_map_opts from_device = { .dir = WEIR_DMA_FROM_DEVICE };
	weir_iova iova;
	void *small;

	(void)state;
	assert_int_equal(wr_sys->mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE |
				      MAP_ANONYMOUS, -1, 0, &small), 0);
	assert_int_equal(weir_ioas_map(as, small, 2 * page, &from_device, &iova), 0);
	assert_int_equal(iova, fake_phys(small));
	assert_true(fake_ioas_has(0, (uintptr_t)small, 2 * page, (uintptr_t)small,
				  WR_IOMMU_MAP_WRITE, 0));
	assert_int_equal(weir_ioas_unmap(as, iova, 2 * page), 0);
	assert_int_equal(wr_sys->munmap(small, 2 * page), 0);
}

static void memory_is_of_huge_pages(void **state)
{
	struct weir_mem *mem;
	struct weir_seg segs[3];

	(void)state;
	bare.step = -2 * (int64_t)FAKE_HUGE;
	assert_int_equal(weir_mem_alloc(as, 2 * FAKE_HUGE, NULL, &mem), 0);
	assert_int_equal(weir_ioas_segs(as, weir_mem_ptr(mem), 2 * FAKE_HUGE, segs, 3), 2);
	assert_int_equal(segs[0].iova, weir_mem_iova(mem));
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(fake_ioas_mappings(0), 0);
}

static void same_memory_twice(void **state)
{
	char *huge = fake_huge(2 * FAKE_HUGE), *again = fake_huge_again(huge, 2 * FAKE_HUGE);
	const struct iovec twice[] = { { huge, FAKE_HUGE }, { huge, FAKE_HUGE } };
	weir_iova iova;

	(void)state;
	assert_int_equal(weir_ioas_mapv(as, twice, 2, NULL, &iova), -EEXIST);
	assert_int_equal(fake_ioas_mappings(0), 0);
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), 0);
	assert_int_equal(map(huge, 2 * FAKE_HUGE, false, &iova), -EEXIST);
	assert_says("some of it is mapped already, and without an IOMMU memory has one IOVA alone");
	assert_int_equal(map(again, FAKE_HUGE, false, &iova), -EEXIST);
	assert_says("overlaps the mapping at 0x4000000 (2097152 bytes)");
	assert_int_equal(fake_ioas_mappings(0), 1);
	assert_int_equal(map(again + FAKE_HUGE, FAKE_HUGE, false, &iova), 0);
}

static void scattered_memory_is_one_unit(void **state)
{
	char *huge = descending(3);
	struct weir_seg segs[4];
	weir_iova iova;

	(void)state;
	assert_int_equal(map(huge, 3 * FAKE_HUGE, false, &iova), -EINVAL);
	assert_says("in 3 pieces");
	assert_int_equal(fake_ioas_mappings(0), 0);
	assert_int_equal(map(huge, 3 * FAKE_HUGE, true, &iova), 0);
	assert_int_equal(iova, 512 * MIB);
	assert_int_equal(fake_ioas_mappings(0), 1);
	assert_int_equal(weir_ioas_segs(as, huge + page, 3 * FAKE_HUGE - page, segs, 4), 3);
	assert_int_equal(segs[2].iova, 504 * MIB);
	assert_int_equal(weir_ioas_unmap(as, 508 * MIB, FAKE_HUGE), -EINVAL);
	assert_int_equal(weir_ioas_unmap(as, iova, 3 * FAKE_HUGE), 0);
	assert_int_equal(fake_ioas_mappings(0), 0);
}

/* Some lie behind one another in the process, so that one call could unmap both. */
static void batches_are_where_they_are(void **state)
{
	char *huge = fake_huge(4 * FAKE_HUGE);
	const struct iovec in_order[] = { { huge, page }, { huge + page, page } };
	const struct iovec turned[] = { { huge + 3 * FAKE_HUGE, FAKE_HUGE },
					{ huge + FAKE_HUGE, FAKE_HUGE },
					{ huge + 2 * FAKE_HUGE, page } };
	const struct weir_map_opts scattered = { .scattered = true };
	weir_iova first, second;

	(void)state;
	assert_int_equal(weir_ioas_mapv(as, in_order, 2, NULL, &first), 0);
	assert_int_equal(first, AT);
	assert_int_equal(weir_ioas_mapv(as, turned, 3, &scattered, &second), 0);
	assert_int_equal(second, AT + 3 * FAKE_HUGE);
	assert_int_equal(fake_ioas_mappings(0), 5);
	assert_int_equal(weir_ioas_unmap(as, second, 2 * FAKE_HUGE + page), 0);
	assert_int_equal(fake_ioas_mappings(0), 2);
	assert_int_equal(weir_ioas_unmap_all(as), 0);
	assert_int_equal(fake_ioas_mappings(0), 0);
}

/* The second piece is refused: the first is let go of. */
static void refused_memory_is_explained(void **state)
{
	char *huge = fake_huge(2 * FAKE_HUGE);
	const struct iovec pieces[] = { { huge, FAKE_HUGE }, { huge + FAKE_HUGE, FAKE_HUGE } };
	weir_iova iova;

	(void)state;
	fake.bad_memory = huge + FAKE_HUGE;
	assert_int_equal(weir_ioas_mapv(as, pieces, 2, NULL, &iova), -EFAULT);
	assert_says("not all of it is memory that can be written");
	assert_int_equal(fake_ioas_mappings(0), 0);
	fake.bad_memory = NULL;
	fake.memlock = FAKE_HUGE;
	assert_int_equal(weir_ioas_mapv(as, pieces, 2, NULL, &iova), -ENOMEM);
	assert_int_equal(fake_ioas_mappings(0), 0);
	fake.memlock = UINT64_MAX;
	assert_int_equal(weir_ioas_mapv(as, pieces, 2, NULL, &iova), 0);
}

static void kernel_is_not_believed(void **state)
{
	const struct wr_iommu_get_pa answers[] = {
		{ .length = 0, .out_phys = AT },
		{ .length = 2 * FAKE_HUGE, .out_phys = AT },
		{ .length = 5, .out_phys = AT },
		{ .length = FAKE_HUGE, .out_phys = 0 },
		{ .length = FAKE_HUGE, .out_phys = AT + 1 },
	};
	char *huge = fake_huge(FAKE_HUGE);
	weir_iova iova;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		fake.iommufd.phys_answer = &answers[i];
		assert_int_equal(map(huge, FAKE_HUGE, false, &iova), -EIO);
		assert_says("the kernel says that IOVA");
		assert_int_equal(fake_ioas_mappings(0), 0);
	}
	fake.iommufd.phys_answer = NULL;
	fake.iommufd.phys_error = -EINVAL;
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), -EINVAL);
	assert_says("asking for the physical address");
	fake.iommufd.phys_error = 0;
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), 0);
}

static void memory_that_cant_be_let_go_of(void **state)
{
	char *huge = fake_huge(FAKE_HUGE);
	weir_iova iova;

	(void)state;
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), 0);
	fake.unmap_error = -EBUSY;
	log_text[0] = '\0';
	weir_log_set(keep, NULL, WEIR_LOG_WARN);
	assert_int_equal(weir_ioas_unmap(as, iova, FAKE_HUGE), 0);
	weir_log_set(NULL, NULL, WEIR_LOG_WARN);
	fake.unmap_error = 0;
	assert_logged("stay held until all devices of the address space are closed");
	assert_true(is_held(huge, FAKE_HUGE));
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), -EEXIST);
}

/* To be detached leaves a device running: it is to be closed before its memory is let go of. */
static void device_is_closed_first(void **state)
{
	char *huge = fake_huge(FAKE_HUGE);
	weir_iova iova;

	(void)state;
	assert_int_equal(map(huge, FAKE_HUGE, false, &iova), 0);
	assert_int_equal(weir_device_close(dev), 0);
	dev = NULL;
	assert_int_equal(fake.iommufd.detaches, 0);
	assert_wont_open(-EINVAL, "still has what was mapped for it");
	assert_int_equal(weir_ioas_unmap(as, iova, FAKE_HUGE), 0);
	assert_int_equal(open_device(0), 0);
	assert_backend("iommufd-noiommu");
}

static void it_isnt_handed_over(void **state)
{
	struct weir_device_opts opts = { 0 };
	struct weir_device *other;
	struct weir_ioas *with;
	int fds[8];

	(void)state;
	assert_int_equal(weir_ioas_export(as, fds, 8), -ENOTSUP);
	assert_says("by iommufd-noiommu can't go to another process");
	/* Nor what is in the same /dev/iommu, with which it would go. */
	assert_int_equal(weir_ioas_open(iommu, &with), 0);
	opts.ioas = with;
	assert_int_equal(weir_device_open(NULL, WITH, &opts, &other), 0);
	assert_int_equal(weir_ioas_export(with, fds, 8), -EBUSY);
	assert_says("group 10 is attached to another address space");
	assert_int_equal(weir_device_close(dev), 0);
	dev = NULL;
	assert_int_equal(weir_ioas_export(with, fds, 8), 3);
	assert_int_equal(open_device(0), 0);
	assert_backend("noiommu");
	assert_int_equal(weir_ioas_keep(with), 0);
	assert_int_equal(weir_device_close(other), 0);
	assert_int_equal(weir_ioas_close(with), 0);
}

static void any_call_may_fail(void **state)
{
	(void)state;
	fail_each_call();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, node_setup, bare_teardown)
#define TEST_CLOSED(f) cmocka_unit_test_setup_teardown(f, node_start, bare_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_preferred),
		TEST_CLOSED(consent_is_needed),
		TEST_CLOSED(older_kernels_go_on),
		TEST_CLOSED(what_is_missing_is_named),
		TEST_CLOSED(node_is_given),
		TEST(iova_is_the_physical_address),
		TEST(other_memory_will_do),
		TEST(memory_is_of_huge_pages),
		TEST(same_memory_twice),
		TEST(scattered_memory_is_one_unit),
		TEST(batches_are_where_they_are),
		TEST(refused_memory_is_explained),
		TEST(kernel_is_not_believed),
		TEST(memory_that_cant_be_let_go_of),
		TEST(device_is_closed_first),
		TEST(it_isnt_handed_over),
		TEST_CLOSED(any_call_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
