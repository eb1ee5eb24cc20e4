/* SPDX-License-Identifier: MIT */
/*
 * POWER's windows of IOVAs on a real kernel, with a pSeries' hypervisor or with PowerNV's tables:
 * DMA in each, as seen by the device; what is refused; and what they leave behind.
 */
#include "guest.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static size_t page;			/* the system's */
static struct weir_window_info can;
static struct weir_ioas *as;
static struct opened edu;

/* The device reaches all there is: machines.py says so to QEMU. */
static void open_device(void)
{
	const struct weir_device_opts opts = { .ioas = as };

	MUST(weir_device_open(NULL, device("WEIR_TEST_EDU"), &opts, &edu.dev));
	MUST(edu_open(edu.dev, &edu.edu));
}

static bool is_pseries(void)
{
	return can.levels == 1;
}

static unsigned int windows(void)
{
	return (unsigned int)MUST(weir_ioas_windows(as, NULL, 0));
}

static struct weir_window add(uint64_t page_size, uint64_t size)
{
	const struct weir_window_opts opts = { .page_size = page_size, .size = size };
	struct weir_window w;

	MUST(weir_ioas_add_window(as, &opts, &w));
	assert_int_equal(w.page_size, page_size);
	assert_true(w.made);
	return w;
}

/* IOVAs in this window alone; NULL: anywhere. */
static void allow(const struct weir_window *w)
{
	const struct weir_iova_range range = { w ? w->first : 0, w ? w->last : 0 };

	MUST(weir_ioas_allow(as, &range, w ? 1 : 0));
}

/* Memory of at least two of the edu's buffers, which its DMA goes through. */
static void dma_in(const struct weir_window *w, unsigned char byte)
{
	struct weir_mem *mem;

	allow(w);
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	assert_in_range(weir_mem_iova(mem), w->first, w->last);
	assert_int_equal(weir_mem_len(mem) % w->page_size, 0);
	round_trip(edu.edu, weir_mem_ptr(mem), byte);
	MUST(weir_mem_free(mem));
	allow(NULL);
}

static struct weir_window default_window(void)
{
	struct weir_window w;

	assert_int_equal(weir_ioas_windows(as, &w, 1), 1);
	return w;
}

/* ---- the tests, in an address space that each finds with one window, and nothing mapped ---- */

static void default_window_is_as_said(void **state)
{
	struct weir_window w = default_window();

	(void)state;
	print_message("windows of 0x%llx, %u at once, %u levels; the default one to 0x%llx\n",
		      (unsigned long long)can.page_sizes, can.windows, can.levels,
		      (unsigned long long)can.standard.last);
	assert_int_equal(w.first, can.standard.first);
	assert_int_equal(w.last, can.standard.last);
	assert_int_equal(w.page_size, 4096);
	assert_false(w.made);
	assert_true(can.page_sizes & 4096 && can.page_sizes & 65536);
	assert_int_equal(can.windows, 2);
	dma_in(&w, 0x11);
}

static bool has_huge(uint64_t size)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		 (unsigned long long)size / 1024);
	return !access(path, R_OK);
}

/* 4 KiB, 64 KiB, 2 MiB: in larger pages than the system's, by memory of its pool. */
static void dma_reaches_windows_of_each_page_size(void **state)
{
	struct weir_mem *mem;

	(void)state;
	for (unsigned int shift = 12; shift <= 21; shift++) {
		struct weir_window w;

		if (!(can.page_sizes >> shift & 1))
			continue;
		w = add(1ull << shift, GIB);
		assert_true(w.first > UINT32_MAX);
		if (w.page_size <= page || has_huge(2 * MIB)) {
			dma_in(&w, (unsigned char)shift);
			print_message("DMA in pages of %llu KiB at 0x%llx\n",
				      (unsigned long long)w.page_size >> 10,
				      (unsigned long long)w.first);
		} else {
			allow(&w);
			must_fail(weir_mem_alloc(as, 2 * PAGE, NULL, &mem), -ENODEV,
				  "no hugetlb pages");
			allow(NULL);
		}
		MUST(weir_ioas_remove_window(as, w.first));
	}
}

static void automatic_iovas_stay_where_small_pages_are(void **state)
{
	struct weir_window low = default_window(), w = add(65536, GIB);
	struct weir_mem *mem;

	(void)state;
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	assert_in_range(weir_mem_iova(mem), low.first, low.last);
	MUST(weir_mem_free(mem));
	MUST(weir_ioas_remove_window(as, w.first));
}

static void windows_run_out(void **state)
{
	struct weir_window w = add(65536, GIB);
	unsigned long locked = status_kib("VmLck");

	(void)state;
	must_fail(weir_ioas_add_window(as, NULL, NULL), -ENOSPC, "as many as there can be");
	assert_int_equal(status_kib("VmLck"), locked);
	MUST(weir_ioas_remove_window(as, w.first));
}

/* A window of pages larger than the system's, and memory that only looks as if it were made so. */
static void small_pages_do_not_fit_into_large_ones(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	uint64_t large = page < 65536 ? 65536 : 2 * MIB;
	struct weir_window w;
	weir_iova iova;
	char *memory;
	int ret;

	(void)state;
	if (!(can.page_sizes & large))
		large = 16 * MIB;
	assert_true(can.page_sizes & large);
	w = add(large, 16 * GIB);
	memory = mmap(NULL, 2 * large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	MUST(madvise(memory, 2 * large, MADV_NOHUGEPAGE));
	memory += large - (uintptr_t)memory % large;
	iova = w.first + page;
	must_fail(weir_ioas_map(as, memory, page, &fixed, &iova), -EINVAL, "must be multiples");
	iova = w.first;
	ret = weir_ioas_map(as, memory, large, &fixed, &iova);
	if (ret != -EINVAL && ret != -EPERM)
		fail_msg("small pages are mapped in large ones: %d", ret);
	if (!strstr(weir_errmsg(), "the memory's pages are smaller than the window's"))
		fail_msg("it isn't said why: %s", weir_errmsg());
	print_message("%s\n", weir_errmsg());
	/* Nor by itself: there is room below. */
	MUST(weir_ioas_map(as, memory, large, NULL, &iova));
	assert_true(iova <= can.standard.last);
	MUST(weir_ioas_unmap(as, iova, large));
	MUST(weir_ioas_remove_window(as, w.first));
}

static void nothing_lies_across_an_end(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	struct weir_window w = add(4096, GIB);
	weir_iova iova = w.last + 1 - page;
	char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	must_fail(weir_ioas_map(as, memory, 2 * page, &fixed, &iova), -EINVAL, "usable range");
	MUST(weir_ioas_map(as, memory, page, &fixed, &iova));
	must_fail(weir_ioas_remove_window(as, w.first), -EBUSY, "unmap it first");
	MUST(weir_ioas_unmap(as, iova, page));
	MUST(weir_ioas_remove_window(as, w.first));
	munmap(memory, 2 * page);
}

/* pSeries gives the default window back when no other one is there, PowerNV at any time. */
static void default_window_goes_and_comes_back(void **state)
{
	const struct weir_window_opts again = {
		.page_size = 4096, .size = can.standard.last - can.standard.first + 1,
	};
	struct weir_window w = add(4096, GIB), low;
	unsigned long locked;

	(void)state;
	MUST(weir_ioas_remove_window(as, can.standard.first));
	assert_int_equal(windows(), 1);
	dma_in(&w, 0x21);
	locked = status_kib("VmLck");
	if (is_pseries()) {
		must_fail(weir_ioas_add_window(as, &again, NULL), -EPERM, "remove that first");
		assert_int_equal(status_kib("VmLck"), locked);
		MUST(weir_ioas_remove_window(as, w.first));
		must_fail(weir_ioas_map(as, page_of(0, 1), page, NULL, &w.first), -ENOSPC,
			  "weir_ioas_add_window() makes one");
	}
	MUST(weir_ioas_add_window(as, &again, &low));
	assert_false(low.made);
	assert_int_equal(low.first, can.standard.first);
	assert_int_equal(low.last, can.standard.last);
	dma_in(&low, 0x22);
	if (!is_pseries())
		MUST(weir_ioas_remove_window(as, w.first));
}

/* In its place, a window of other pages. */
static void another_takes_the_default_ones_place(void **state)
{
	const struct weir_window_opts again = {
		.page_size = 4096, .size = can.standard.last - can.standard.first + 1,
	};
	struct weir_window w;

	(void)state;
	MUST(weir_ioas_remove_window(as, can.standard.first));
	w = add(page < 65536 ? 4096 : 65536, 16 * GIB);
	print_message("at 0x%llx\n", (unsigned long long)w.first);
	dma_in(&(struct weir_window){ .first = w.first, .last = w.first + GIB - 1,
				      .page_size = w.page_size }, 0x31);
	if (is_pseries())
		must_fail(weir_ioas_add_window(as, &again, NULL), -EPERM, "remove that first");
	MUST(weir_ioas_remove_window(as, w.first));
	MUST(weir_ioas_add_window(as, &again, NULL));
}

/*
 * The kernel forgets it with the device; weir makes it again, with what is mapped. Once: on PowerNV
 * each time that a device is opened takes seconds.
 */
static void windows_are_kept(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	struct weir_window w = add(4096, GIB);
	weir_iova iova = w.last + 1 - 4 * 65536;
	unsigned char *memory = mmap(NULL, 2 * 65536, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long locked;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	MUST(weir_ioas_map(as, memory, 2 * 65536, &fixed, &iova));
	MUST(weir_ioas_remove_window(as, can.standard.first));
	locked = status_kib("VmLck");
	close_edu(edu);
	assert_true(status_kib("VmLck") < locked);
	assert_int_equal(windows(), 1);
	open_device();
	assert_int_equal(windows(), 1);
	assert_int_equal(status_kib("VmLck"), locked);
	round_trip(edu.edu, memory, 0x41);
	MUST(weir_ioas_unmap(as, iova, 2 * 65536));
	MUST(weir_ioas_remove_window(as, w.first));
	MUST(weir_ioas_add_window(as, &(struct weir_window_opts){ .page_size = 4096,
				  .size = can.standard.last + 1 }, NULL));
	munmap(memory, 2 * 65536);
}

#define TIMES 1000

static void a_thousand_windows_leave_nothing(void **state)
{
	unsigned long locked = status_kib("VmLck");

	(void)state;
	for (int i = 0; i < TIMES; i++) {
		/* Small, since the kernel goes through all its entries as it removes it. */
		struct weir_window w = add(65536, 64 * MIB);

		if (i % 100 == 0 && page >= 65536)
			dma_in(&w, (unsigned char)i);
		MUST(weir_ioas_remove_window(as, w.first));
		if (status_kib("VmLck") != locked)
			fail_msg("after %d windows %lu KiB are locked, not %lu", i + 1,
				 status_kib("VmLck"), locked);
	}
}

/*
 * What the platform refuses stays charged: tce_iommu_create_table() doesn't give back what it took
 * with account_locked_vm(). A size that neither hypervisor nor firmware has tables for.
 */
static void kernel_keeps_what_it_charged_for_a_refused_window(void **state)
{
	const struct weir_window_opts opts = {
		.page_size = 65536, .size = 1ull << 54, .levels = 1,
	};
	unsigned long locked = status_kib("VmLck"), kept;
	int ret = weir_ioas_add_window(as, &opts, NULL);

	(void)state;
	assert_true(ret == -EINVAL || ret == -ENOMEM);
	assert_int_equal(windows(), 1);
	kept = status_kib("VmLck") - locked;
	print_message("the kernel's own leak: %lu KiB for a window that it refused (%s)\n", kept,
		      weir_errmsg());
	assert_true(kept > 0);
}

static int start(void **state)
{
	(void)state;
	page = (size_t)sysconf(_SC_PAGESIZE);
	/* The kernel says a line or more for each window, at the level of errors. */
	if (system("echo 1 > /proc/sys/kernel/printk; echo 16 > /proc/sys/vm/nr_hugepages"))
		print_message("no hugetlb pages here\n");
	MUST(weir_ioas_open(NULL, &as));
	open_device();
	MUST(weir_ioas_window_info(as, &can));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close_edu(edu);
	MUST(weir_ioas_close(as));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_window_is_as_said),
		cmocka_unit_test(dma_reaches_windows_of_each_page_size),
		cmocka_unit_test(automatic_iovas_stay_where_small_pages_are),
		cmocka_unit_test(windows_run_out),
		cmocka_unit_test(small_pages_do_not_fit_into_large_ones),
		cmocka_unit_test(nothing_lies_across_an_end),
		cmocka_unit_test(default_window_goes_and_comes_back),
		cmocka_unit_test(another_takes_the_default_ones_place),
		cmocka_unit_test(windows_are_kept),
		cmocka_unit_test(a_thousand_windows_leave_nothing),
		cmocka_unit_test(kernel_keeps_what_it_charged_for_a_refused_window),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
