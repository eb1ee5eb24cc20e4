/* SPDX-License-Identifier: MIT */
/* Contexts, address spaces and weir_mem without any device: mappings are recorded only. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "says.h"

#define HUGE (2ul << 20)
#define GIGA (1ul << 30)
#define PAGES 16

struct rig {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	char *memory;
};

static size_t page;

static int setup(void **state)
{
	static struct rig rig;

	page = (size_t)sysconf(_SC_PAGESIZE);
	rig.memory = aligned_alloc(page, PAGES * page);
	assert_non_null(rig.memory);
	assert_int_equal(weir_iommu_open(NULL, &rig.iommu), 0);
	assert_int_equal(weir_ioas_open(rig.iommu, &rig.as), 0);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_ioas_close(rig->as), 0);
	assert_int_equal(weir_iommu_close(rig->iommu), 0);
	free(rig->memory);
	return 0;
}

/* The same with numbers in it, which depend on the system's page size. */
__attribute__((format(printf, 1, 2))) static void assert_says_that(const char *fmt, ...)
{
	char part[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(part, sizeof(part), fmt, ap);
	va_end(ap);
	assert_says(part);
}

static int map_at(struct weir_ioas *as, weir_iova iova, void *vaddr, size_t len)
{
	const struct weir_map_opts opts = { .fixed = true };
	weir_iova at = iova;
	int ret = weir_ioas_map(as, vaddr, len, &opts, &at);

	assert_true(at == iova);
	return ret;
}

static bool is_mapped(struct weir_ioas *as, weir_iova iova)
{
	void *vaddr;

	return !weir_ioas_to_vaddr(as, iova, &vaddr, NULL);
}

/* ---- contexts ---- */

static int open_iommu(const char *interface, unsigned int soft_bits)
{
	const struct weir_iommu_opts opts = { .interface = interface, .soft_bits = soft_bits };
	struct weir_iommu *iommu = (void *)1;
	int ret = weir_iommu_open(&opts, &iommu);

	if (ret)
		assert_ptr_equal(iommu, (void *)1);
	else
		assert_int_equal(weir_iommu_close(iommu), 0);
	return ret;
}

static void unknown_interfaces_are_refused(void **state)
{
	static const char *const bad[] = {
		"nosuch", "soft", "type1v3", "type1v2 ", "TYPE1", "type", "type1,type1v2",
	};
	struct weir_iommu_opts opts = { 0 };
	struct weir_iommu *iommu;
	struct weir_ioas *as;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(open_iommu(bad[i], 0), -EINVAL);
		assert_says("weir_iommu_opts.interface: no IOMMU interface \"");
		assert_says("type1v2, type1");
		setenv("WEIR_IOMMU", bad[i], 1);
		assert_int_equal(open_iommu(NULL, 0), -EINVAL);
		assert_says("WEIR_IOMMU: no IOMMU interface \"");
		assert_int_equal(weir_ioas_open(NULL, &as), -EINVAL);
		/* What the caller says counts. */
		assert_int_equal(open_iommu("type1", 0), 0);
	}
	setenv("WEIR_IOMMU", "type1v2", 1);
	assert_int_equal(open_iommu(NULL, 0), 0);
	setenv("WEIR_IOMMU", "", 1);
	assert_int_equal(open_iommu(NULL, 0), 0);
	unsetenv("WEIR_IOMMU");
	for (size_t i = 0; i < 4; i++) {
		opts.reserved[i] = 1;
		assert_int_equal(weir_iommu_open(&opts, &iommu), -EINVAL);
		assert_says("weir_iommu_opts.reserved");
		opts.reserved[i] = 0;
	}
}

static void odd_widths_are_refused(void **state)
{
	static const unsigned int bad[] = { 1, 38, 40, 47, 52, 56, 58, 64, ~0u };
	static const char *const bad_env[] = {
		"40", "-39", "39x", "x", "0x27", "39.0", "18446744073709551655", "4294967335",
	};
	static const char *const good_env[] = { "39", "48", "57", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(open_iommu(NULL, bad[i]), -EINVAL);
		assert_says("39, 48 or 57");
	}
	for (size_t i = 0; i < sizeof(bad_env) / sizeof(bad_env[0]); i++) {
		setenv("WEIR_SOFT_BITS", bad_env[i], 1);
		assert_int_equal(open_iommu(NULL, 0), -EINVAL);
		assert_says("WEIR_SOFT_BITS");
		assert_int_equal(open_iommu(NULL, 57), 0);
	}
	for (size_t i = 0; i < sizeof(good_env) / sizeof(good_env[0]); i++) {
		setenv("WEIR_SOFT_BITS", good_env[i], 1);
		assert_int_equal(open_iommu(NULL, 0), 0);
		assert_int_equal(open_iommu(NULL, 40), -EINVAL);
	}
	unsetenv("WEIR_SOFT_BITS");
}

static void closing_has_an_order(void **state)
{
	struct rig *rig = *state;
	struct weir_ioas *second;
	struct weir_mem *mem;

	assert_int_equal(weir_iommu_close(NULL), 0);
	assert_int_equal(weir_ioas_close(NULL), 0);
	assert_int_equal(weir_mem_free(NULL), 0);
	assert_int_equal(weir_ioas_open(rig->iommu, &second), 0);
	assert_int_equal(weir_iommu_close(rig->iommu), -EBUSY);
	assert_says("2 address spaces");
	assert_int_equal(weir_mem_alloc(second, 1, NULL, &mem), 0);
	assert_int_equal(weir_ioas_close(second), -EBUSY);
	assert_says("weir_mem_alloc() (1 times)");
	assert_true(is_mapped(second, weir_mem_iova(mem)));
	assert_int_equal(weir_mem_free(mem), 0);
	/* What the caller mapped goes with it. */
	assert_int_equal(map_at(second, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_close(second), 0);
	/* A private context goes with its address space. */
	assert_int_equal(weir_ioas_open(NULL, &second), 0);
	assert_int_equal(weir_ioas_close(second), 0);
}

/* ---- map ---- */

static void nonsense_isnt_mapped(void **state)
{
	struct rig *rig = *state;
	const struct {
		uint64_t vaddr, len, iova;
	} bad[] = {
		{ 0, 0, page }, { 0, 1, page }, { 0, page + 1, page }, { 0, page - 1, page },
		{ 1, page, page }, { page / 2, page, page },
		{ 0, page, 1 }, { 0, page, page + 8 },
		/* Beyond 64 bits. */
		{ 0, 2 * page, -page },
		{ -page - (uintptr_t)rig->memory, 2 * page, page },
		{ 0, -page, 2 * page },
		/* Across, into and out of the interrupt windows. */
		{ 0, page, 0xfee00000 }, { 0, 2 * page, 0xfee00000 - page },
		{ 0, page, 0xfef00000 - page }, { 0, page, 0x8000000 },
		{ 0, 2 * page, 0x8100000 - page }, { 0, GIGA, 3ull << 30 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *vaddr = (void *)((uintptr_t)rig->memory + bad[i].vaddr);

		assert_int_equal(map_at(rig->as, bad[i].iova, vaddr, bad[i].len), -EINVAL);
		assert_false(is_mapped(rig->as, bad[i].iova));
	}
	assert_int_equal(map_at(rig->as, 0xfee00000, rig->memory, page), -EINVAL);
	assert_says_that("0xfee00000 to 0x%zx doesn't lie within a usable range: 0x0-0x7ffffff, "
			 "0x8100000-0xfedfffff, 0xfef00000-0xffffffffffffffff",
			 0xfee00000 + page - 1);
}

static void bad_options_are_refused(void **state)
{
	struct rig *rig = *state;
	struct weir_map_opts opts = { 0 };
	struct weir_mem_opts mem_opts = { 0 };
	struct weir_mem *mem = (void *)1;
	weir_iova iova = 77;

	for (size_t i = 0; i < 4; i++) {
		opts.reserved[i] = mem_opts.reserved[i] = 1ull << 40;
		assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), -EINVAL);
		assert_says("weir_map_opts.reserved");
		assert_int_equal(weir_mem_alloc(rig->as, page, &mem_opts, &mem), -EINVAL);
		assert_says("weir_mem_opts.reserved");
		opts.reserved[i] = mem_opts.reserved[i] = 0;
	}
	opts.dir = mem_opts.dir = (enum weir_dma_dir)3;
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), -EINVAL);
	assert_says("3 is no weir_dma_dir");
	assert_int_equal(weir_mem_alloc(rig->as, page, &mem_opts, &mem), -EINVAL);
	opts.dir = (enum weir_dma_dir)-1;
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), -EINVAL);
	assert_true(iova == 77);
	assert_ptr_equal(mem, (void *)1);
}

static void fixed_mappings_never_overlap(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(map_at(rig->as, 4 * page, rig->memory, 4 * page), 0);
	assert_int_equal(map_at(rig->as, 4 * page, rig->memory, 4 * page), -EEXIST);
	assert_int_equal(map_at(rig->as, 3 * page, rig->memory, 2 * page), -EEXIST);
	assert_int_equal(map_at(rig->as, 7 * page, rig->memory, page), -EEXIST);
	assert_int_equal(map_at(rig->as, 0, rig->memory, PAGES * page), -EEXIST);
	assert_says_that("overlaps the mapping at 0x%zx (%zu bytes)", 4 * page, 4 * page);
	assert_int_equal(map_at(rig->as, 3 * page, rig->memory, page), 0);
	assert_int_equal(map_at(rig->as, 8 * page, rig->memory, page), 0);
	/* The ends of the space. */
	assert_int_equal(map_at(rig->as, 0, rig->memory, page), 0);
	assert_int_equal(map_at(rig->as, -page, rig->memory, page), 0);
	assert_true(is_mapped(rig->as, UINT64_MAX));
}

static void automatic_iovas_are_the_lowest(void **state)
{
	struct rig *rig = *state;
	weir_iova iova = 12345;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_true(iova == page);
	assert_int_equal(map_at(rig->as, 3 * page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, 2 * page, NULL, &iova), 0);
	assert_true(iova == 4 * page);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_true(iova == 2 * page);
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_true(iova == page);
}

/* Address space without memory: nothing looks at it while nothing is attached. */
static void *reserve(size_t len, size_t align, void **whole)
{
	*whole = mmap(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		      -1, 0);
	assert_true(*whole != MAP_FAILED);
	return (void *)(((uintptr_t)*whole + align - 1) & ~(align - 1));
}

static void automatic_iovas_keep_to_limits(void **state)
{
	struct rig *rig = *state;
	struct weir_map_opts opts = { .limit = 2 * page - 1 };
	weir_iova iova = 77;

	opts.limit = 2 * page - 2;
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), -ENOSPC);
	assert_says("no free IOVA");
	opts.limit = 1;
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), -ENOSPC);
	assert_true(iova == 77);
	opts.limit = 2 * page - 1;
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), 0);
	assert_true(iova == page);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), -ENOSPC);
	/* A limit says nothing on a fixed one. */
	opts.fixed = true;
	iova = 1ull << 60;
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), 0);

	/* Below 2^39 until a domain says more, even if the caller allows more. */
	assert_int_equal(map_at(rig->as, 2 * page, rig->memory, 0x8000000 - 2 * page), 0);
	assert_int_equal(map_at(rig->as, 0x8100000, rig->memory, 0xfee00000 - 0x8100000), 0);
	assert_int_equal(map_at(rig->as, 0xfef00000, rig->memory,
				(1ull << 39) - 0xfef00000 - page), 0);
	opts.fixed = false;
	opts.limit = UINT64_MAX;
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), 0);
	assert_true(iova == (1ull << 39) - page);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, &opts, &iova), -ENOSPC);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), -ENOSPC);
}

static void large_pages_stay_possible(void **state)
{
	struct rig *rig = *state;
	struct weir_map_opts opts = { 0 };
	weir_iova iova;
	void *whole;
	char *memory = reserve(GIGA, GIGA, &whole);

	assert_int_equal(weir_ioas_map(rig->as, memory, HUGE, NULL, &iova), 0);
	assert_true(iova == HUGE);
	assert_int_equal(weir_ioas_map(rig->as, memory + page, HUGE, NULL, &iova), 0);
	assert_true(iova == 2 * HUGE);
	assert_int_equal(weir_ioas_map(rig->as, memory, HUGE - page, NULL, &iova), 0);
	assert_true(iova == page);
	assert_int_equal(weir_ioas_map(rig->as, memory, GIGA, NULL, &iova), 0);
	assert_true(iova == GIGA);
	assert_int_equal(weir_ioas_unmap(rig->as, GIGA, GIGA), 0);
	/* Where the largest don't fit, the next do: 1 GiB below 2 GiB. */
	opts.limit = 2 * GIGA - 2;
	assert_int_equal(weir_ioas_map(rig->as, memory, GIGA, &opts, &iova), 0);
	assert_true(iova == 0x8200000);
	munmap(whole, 2 * GIGA);
}

/* ---- unmap ---- */

static void a_mapping_is_unmapped_as_a_whole(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_ioas_unmap(rig->as, page, page), -ENOENT);
	assert_says_that("nothing is mapped at IOVA 0x%zx", page);
	assert_int_equal(map_at(rig->as, 2 * page, rig->memory, 2 * page), 0);
	assert_int_equal(map_at(rig->as, 4 * page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), -ENOENT);
	assert_int_equal(weir_ioas_unmap(rig->as, page, 3 * page), -ENOENT);
	assert_int_equal(weir_ioas_unmap(rig->as, 2 * page, page), -EINVAL);
	assert_int_equal(weir_ioas_unmap(rig->as, 2 * page, 3 * page), -EINVAL);
	assert_int_equal(weir_ioas_unmap(rig->as, 2 * page, 0), -EINVAL);
	assert_int_equal(weir_ioas_unmap(rig->as, 2 * page + 1, 2 * page), -EINVAL);
	assert_int_equal(weir_ioas_unmap(rig->as, 3 * page, page), -EINVAL);
	assert_says_that("starts at 0x%zx and has %zu bytes", 2 * page, 2 * page);
	assert_true(is_mapped(rig->as, 2 * page));
	assert_int_equal(weir_ioas_unmap(rig->as, 2 * page, 2 * page), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, 2 * page, 2 * page), -ENOENT);
	assert_true(is_mapped(rig->as, 4 * page));
}

/* ---- look-ups ---- */

static void look_ups_are_exact_to_the_byte(void **state)
{
	struct rig *rig = *state;
	weir_iova iova = 77;
	size_t len = 77;
	void *vaddr = &len;

	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory, &iova, &len), -ENOENT);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, page, &vaddr, &len), -ENOENT);
	assert_true(iova == 77 && len == 77 && vaddr == &len);
	assert_int_equal(map_at(rig->as, 8 * page, rig->memory + page, 2 * page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page - 1, &iova, &len), -ENOENT);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + 3 * page, &iova, &len), -ENOENT);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &iova, &len), 0);
	assert_true(iova == 8 * page && len == 2 * page);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + 3 * page - 1, &iova, &len), 0);
	assert_true(iova == 10 * page - 1 && len == 1);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &iova, NULL), 0);

	assert_int_equal(weir_ioas_to_vaddr(rig->as, 8 * page - 1, &vaddr, &len), -ENOENT);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, 10 * page, &vaddr, &len), -ENOENT);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, 9 * page + 5, &vaddr, &len), 0);
	assert_true(vaddr == rig->memory + 2 * page + 5 && len == page - 5);

	/* Mapped once more, the oldest one answers, until it goes. */
	assert_int_equal(map_at(rig->as, page, rig->memory, 4 * page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &iova, &len), 0);
	assert_true(iova == 8 * page && len == 2 * page);
	assert_int_equal(weir_ioas_unmap(rig->as, 8 * page, 2 * page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &iova, &len), 0);
	assert_true(iova == 2 * page && len == 3 * page);
}

/* More than the memory of a process can't be memory: refused before the books grow by it. */
static void no_mapping_is_larger_than_memory(void **state)
{
	struct rig *rig = *state;
	weir_iova iova = 7;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, (1ull << 48) + page, NULL, &iova),
			 -EFAULT);
	assert_says("hasn't that much memory");
	assert_int_equal(weir_ioas_map(rig->as, (void *)page, 0 - page, NULL, &iova), -EFAULT);
	assert_true(iova == 7);
}

static void segments_are_runs_in_the_buffers_order(void **state)
{
	struct rig *rig = *state;
	struct weir_seg segs[3];
	char *memory = rig->memory;

	assert_int_equal(weir_ioas_segs(rig->as, memory, 0, segs, 3), -EINVAL);
	assert_int_equal(weir_ioas_segs(rig->as, memory, SIZE_MAX, segs, 3), -EINVAL);
	assert_says("wraps");
	assert_int_equal(weir_ioas_segs(rig->as, memory, 1, segs, 3), -ENOENT);

	/* Two that lie side by side in IOVA too, then two that don't. */
	assert_int_equal(map_at(rig->as, 8 * page, memory, page), 0);
	assert_int_equal(map_at(rig->as, 9 * page, memory + page, page), 0);
	assert_int_equal(map_at(rig->as, 2 * page, memory + 2 * page, page), 0);
	assert_int_equal(map_at(rig->as, 5 * page, memory + 3 * page, page), 0);
	assert_int_equal(weir_ioas_segs(rig->as, memory + 8, 4 * page - 16, segs, 3), 3);
	assert_true(segs[0].iova == 8 * page + 8 && segs[0].len == 2 * page - 8);
	assert_true(segs[1].iova == 2 * page && segs[1].len == page);
	assert_true(segs[2].iova == 5 * page && segs[2].len == page - 8);
	/* Fewer are stored than there are, and whole ones. */
	memset(segs, 0, sizeof(segs));
	assert_int_equal(weir_ioas_segs(rig->as, memory, 4 * page, segs, 1), 3);
	assert_true(segs[0].iova == 8 * page && segs[0].len == 2 * page && !segs[1].len);
	assert_int_equal(weir_ioas_segs(rig->as, memory, 4 * page, NULL, 0), 3);
	assert_int_equal(weir_ioas_segs(rig->as, memory, 4 * page + 1, segs, 3), -ENOENT);
	assert_int_equal(weir_ioas_unmap(rig->as, 9 * page, page), 0);
	assert_int_equal(weir_ioas_segs(rig->as, memory, 4 * page, segs, 3), -ENOENT);
	assert_int_equal(weir_ioas_segs(rig->as, memory, page, segs, 3), 1);
}

/* ---- what needs a device ---- */

static void without_a_domain_little_is_known(void **state)
{
	struct rig *rig = *state;
	struct weir_iova_range ranges[4] = { { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 } };
	struct weir_ioas_caps caps;
	struct weir_fault fault;
	uint64_t bits = 0;

	assert_int_equal(weir_ioas_ranges(rig->as, NULL, 0), 3);
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 1), 3);
	assert_true(ranges[0].first == 0 && ranges[0].last == 0x7ffffff);
	assert_true(ranges[1].first == 1);
	assert_int_equal(weir_ioas_ranges(rig->as, ranges, 4), 3);
	assert_true(ranges[2].first == 0xfef00000 && ranges[2].last == UINT64_MAX);
	assert_true(ranges[3].first == 1);

	memset(&caps, 0xff, sizeof(caps));
	assert_int_equal(weir_ioas_caps(rig->as, &caps), 0);
	assert_true(!caps.domains && !caps.page_sizes && !caps.isolation && !caps.faults &&
		    caps.dirty == WEIR_DIRTY_NONE && !caps.degraded);

	assert_int_equal(map_at(rig->as, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), -ENODEV);
	assert_int_equal(weir_ioas_dirty_stop(rig->as), -ENODEV);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, page, &bits), -ENODEV);
	assert_says("no device is attached");
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, 0, &bits), -EINVAL);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 1, page, &bits), -EINVAL);
	assert_int_equal(weir_ioas_dirty_read(rig->as, -page, 2 * page, &bits), -EINVAL);
	assert_int_equal(weir_ioas_faults(rig->as, &fault, 1), -ENOTSUP);
}

/* ---- memory ---- */

static int refuse_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset,
		       void **out)
{
	(void)hint, (void)len, (void)prot, (void)flags, (void)fd, (void)offset, (void)out;
	return -ENOMEM;
}

static int refuse_madvise(void *addr, size_t len, int advice)
{
	(void)addr, (void)len, (void)advice;
	return -EINVAL;
}

static long mapped;

static int count_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset,
		      void **out)
{
	mapped += (long)len;
	return wr_sys_kernel.mmap(hint, len, prot, flags, fd, offset, out);
}

static int count_munmap(void *addr, size_t len)
{
	mapped -= (long)len;
	return wr_sys_kernel.munmap(addr, len);
}

static void memory_that_cant_be_had(void **state)
{
	struct wr_sys sys = wr_sys_kernel;
	struct rig *rig = *state;
	struct weir_mem_opts opts = { .limit = page };
	struct weir_mem *mem = (void *)1;

	sys.mmap = count_mmap;
	sys.munmap = count_munmap;
	wr_sys = &sys;
	assert_int_equal(weir_mem_alloc(rig->as, 0, NULL, &mem), -EINVAL);
	assert_int_equal(weir_mem_alloc(rig->as, SIZE_MAX, NULL, &mem), -EINVAL);
	assert_says("can't be had");
	assert_int_equal(weir_mem_alloc(rig->as, page, &opts, &mem), -ENOSPC);
	opts.huge = true;
	assert_int_equal(weir_mem_alloc(rig->as, SIZE_MAX, &opts, &mem), -EINVAL);
	assert_int_equal(weir_mem_alloc(rig->as, 1, &opts, &mem), -ENOSPC);
	sys.madvise = refuse_madvise;
	for (int huge = 0; huge < 2; huge++) {
		opts = (struct weir_mem_opts){ .huge = huge };
		assert_int_equal(weir_mem_alloc(rig->as, 1, &opts, &mem), -EINVAL);
		assert_says("can't be kept from child processes");
	}
	assert_int_equal(mapped, 0);
	sys.mmap = refuse_mmap;
	for (int huge = 0; huge < 2; huge++) {
		opts = (struct weir_mem_opts){ .huge = huge };
		assert_int_equal(weir_mem_alloc(rig->as, 1, &opts, &mem), -ENOMEM);
		assert_says("no memory for");
	}
	wr_sys = &wr_sys_kernel;
	assert_ptr_equal(mem, (void *)1);
}

static void memory_is_zeroed_mapped_and_rounded(void **state)
{
	struct rig *rig = *state;
	const struct weir_mem_opts huge = { .huge = true };
	struct weir_mem *small, *large;
	weir_iova iova;

	assert_int_equal(weir_mem_alloc(rig->as, page + 1, NULL, &small), 0);
	assert_int_equal(weir_mem_len(small), 2 * page);
	assert_true(weir_mem_iova(small) == page);
	for (size_t i = 0; i < 2 * page; i++)
		assert_int_equal(((char *)weir_mem_ptr(small))[i], 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, weir_mem_ptr(small), &iova, NULL), 0);
	assert_true(iova == page);

	assert_int_equal(weir_mem_alloc(rig->as, HUGE + 1, &huge, &large), 0);
	assert_int_equal(weir_mem_len(large), 2 * HUGE);
	assert_int_equal((uintptr_t)weir_mem_ptr(large) % HUGE, 0);
	assert_true(weir_mem_iova(large) % HUGE == 0 && weir_mem_iova(large));
	((char *)weir_mem_ptr(large))[2 * HUGE - 1] = 1;
	assert_int_equal(weir_mem_free(small), 0);
	assert_false(is_mapped(rig->as, page));
	assert_int_equal(weir_mem_free(large), 0);
}

/* The mapping is the memory's; if the caller took it away, it is said so, and nothing crashes. */
/* Or it could never be freed, and the address space never be closed. */
static void memory_is_unmapped_by_its_owner_alone(void **state)
{
	struct rig *rig = *state;
	struct weir_mem *mem;
	weir_iova iova, found;

	assert_int_equal(weir_mem_alloc(rig->as, page, NULL, &mem), 0);
	iova = weir_mem_iova(mem);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, page), -EBUSY);
	assert_non_null(strstr(weir_errmsg(), "weir_mem_free()"));
	assert_int_equal(weir_ioas_unmap_all(rig->as), -EBUSY);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, page, weir_mem_ptr(mem)), -EINVAL);
	assert_int_equal(weir_ioas_to_iova(rig->as, weir_mem_ptr(mem), &found, NULL), 0);
	assert_int_equal(found, iova);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, iova, &(void *){ NULL }, NULL), -ENOENT);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
}

static void memory_isnt_inherited(void **state)
{
	/* Where it is found in the child too, which leaves it behind. */
	static struct weir_mem *mem;
	struct rig *rig = *state;
	int status;
	pid_t pid;

	assert_int_equal(weir_mem_alloc(rig->as, page, NULL, &mem), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		unsigned char in_core;

		_exit(mincore(weir_mem_ptr(mem), page, &in_core) && errno == ENOMEM ? 42 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(weir_mem_free(mem), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_interfaces_are_refused),
		cmocka_unit_test(odd_widths_are_refused),
		TEST(closing_has_an_order),
		TEST(nonsense_isnt_mapped),
		TEST(bad_options_are_refused),
		TEST(fixed_mappings_never_overlap),
		TEST(automatic_iovas_are_the_lowest),
		TEST(automatic_iovas_keep_to_limits),
		TEST(large_pages_stay_possible),
		TEST(a_mapping_is_unmapped_as_a_whole),
		TEST(look_ups_are_exact_to_the_byte),
		TEST(no_mapping_is_larger_than_memory),
		TEST(segments_are_runs_in_the_buffers_order),
		TEST(without_a_domain_little_is_known),
		TEST(memory_that_cant_be_had),
		TEST(memory_is_zeroed_mapped_and_rounded),
		TEST(memory_is_unmapped_by_its_owner_alone),
		TEST(memory_isnt_inherited),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
