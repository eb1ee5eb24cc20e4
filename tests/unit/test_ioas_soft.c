/* SPDX-License-Identifier: MIT */
/* Address spaces on the software IOMMU, seen from both sides: the driver's and a model's. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "idle_model.h"
#include "says.h"
#include "tests/chance.h"

#define PAGES 256
#define READ_BLOCKED 6		/* of VT-d's fault reasons */
#define WRITE_BLOCKED 5

struct rig {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct weir_model *model;
	struct weir_device *dev;
	char *memory;
};

static size_t page;

static struct weir_model *new_model(unsigned int dma_bits)
{
	const struct weir_model_desc desc = { .name = "tiny", .vendor = 1, .dma_bits = dma_bits };
	struct weir_model *model;

	assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &model), 0);
	return model;
}

static void open_device(struct rig *rig)
{
	const struct weir_device_opts opts = { .ioas = rig->as };

	assert_int_equal(weir_device_open_model(rig->iommu, rig->model, &opts, &rig->dev), 0);
	assert_int_equal(weir_device_bus_master(rig->dev, true), 0);
}

static void close_device(struct rig *rig)
{
	assert_int_equal(weir_device_close(rig->dev), 0);
	rig->dev = NULL;
}

static void setup_bits(struct rig *rig, unsigned int soft_bits)
{
	const struct weir_iommu_opts opts = { .soft_bits = soft_bits };

	page = (size_t)sysconf(_SC_PAGESIZE);
	memset(rig, 0, sizeof(*rig));
	rig->memory = aligned_alloc(page, PAGES * page);
	assert_non_null(rig->memory);
	memset(rig->memory, 0, PAGES * page);
	rig->model = new_model(0);
	assert_int_equal(weir_iommu_open(&opts, &rig->iommu), 0);
	assert_int_equal(weir_ioas_open(rig->iommu, &rig->as), 0);
}

/* Without the device. */
static int setup_bare(void **state)
{
	static struct rig rig;

	setup_bits(&rig, 0);
	*state = &rig;
	return 0;
}

static int setup(void **state)
{
	setup_bare(state);
	open_device(*state);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_device_close(rig->dev), 0);
	assert_int_equal(weir_ioas_close(rig->as), 0);
	assert_int_equal(weir_iommu_close(rig->iommu), 0);
	assert_int_equal(weir_model_destroy(rig->model), 0);
	free(rig->memory);
	return 0;
}

static int map_at(struct weir_ioas *as, weir_iova iova, void *vaddr, size_t len,
		  enum weir_dma_dir dir)
{
	const struct weir_map_opts opts = { .fixed = true, .dir = dir };

	return weir_ioas_map(as, vaddr, len, &opts, &iova);
}

static bool is_mapped(struct rig *rig, weir_iova iova)
{
	void *vaddr;

	return !weir_ioas_to_vaddr(rig->as, iova, &vaddr, NULL);
}

static int dma_read(struct rig *rig, weir_iova iova)
{
	char byte;

	return weir_model_dma_read(rig->model, iova, &byte, 1);
}

static int dma_write(struct rig *rig, weir_iova iova, char byte)
{
	return weir_model_dma_write(rig->model, iova, &byte, 1);
}

/* ---- mapping ---- */

static void device_reaches_what_is_mapped_and_how(void **state)
{
	struct rig *rig = *state;
	char bytes[4];

	rig->memory[0] = 'a';
	assert_int_equal(dma_read(rig, page), -EFAULT);
	assert_int_equal(map_at(rig->as, page, rig->memory, page, WEIR_DMA_TO_DEVICE), 0);
	assert_int_equal(map_at(rig->as, 2 * page, rig->memory + page, page,
				WEIR_DMA_FROM_DEVICE), 0);
	assert_int_equal(map_at(rig->as, 3 * page, rig->memory + 3 * page, page,
				WEIR_DMA_BOTH), 0);
	assert_int_equal(weir_model_dma_read(rig->model, page, bytes, 1), 0);
	assert_int_equal(bytes[0], 'a');
	assert_int_equal(dma_write(rig, page, 'b'), -EFAULT);
	assert_int_equal(rig->memory[0], 'a');
	assert_int_equal(dma_write(rig, 2 * page, 'b'), 0);
	assert_int_equal(rig->memory[page], 'b');
	assert_int_equal(dma_read(rig, 2 * page), -EFAULT);
	/* Across a border: memory isn't contiguous there. */
	assert_int_equal(weir_model_dma_write(rig->model, 3 * page - 2, "wxyz", 4), 0);
	assert_memory_equal(rig->memory + 2 * page - 2, "wx", 2);
	assert_memory_equal(rig->memory + 3 * page, "yz", 2);
	assert_int_equal(dma_read(rig, 4 * page), -EFAULT);

	assert_int_equal(weir_ioas_unmap(rig->as, 3 * page, page), 0);
	assert_int_equal(dma_read(rig, 3 * page), -EFAULT);
	assert_int_equal(dma_write(rig, 2 * page, 'c'), 0);
}

static void memory_that_isnt_there_is_refused(void **state)
{
	struct rig *rig = *state;
	char *hole = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *text = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	weir_iova iova = 77;

	assert_true(hole != MAP_FAILED && text != MAP_FAILED);
	munmap(hole + page, page);
	assert_int_equal(weir_ioas_map(rig->as, hole, 3 * page, NULL, &iova), -EFAULT);
	assert_says("not all of it is memory that can be written");
	assert_int_equal(map_at(rig->as, page, hole, 3 * page, WEIR_DMA_TO_DEVICE), -EFAULT);
	assert_says("not all of it is memory that can be read");
	/* What may only be read the device may only read. */
	assert_int_equal(weir_ioas_map(rig->as, text, page, NULL, &iova), -EFAULT);
	assert_int_equal(map_at(rig->as, page, text, page, WEIR_DMA_FROM_DEVICE), -EFAULT);
	assert_true(iova == 77);
	assert_false(is_mapped(rig, page));
	assert_int_equal(dma_read(rig, page), -EFAULT);
	assert_int_equal(map_at(rig->as, page, text, page, WEIR_DMA_TO_DEVICE), 0);
	assert_int_equal(dma_read(rig, page), 0);
	assert_int_equal(dma_write(rig, page, 1), -EFAULT);
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	/* A page that nobody may touch, such as a guard page, would end the process at DMA. */
	mprotect(text, page, PROT_NONE);
	assert_int_equal(map_at(rig->as, page, text, page, WEIR_DMA_BOTH), -EFAULT);
	assert_int_equal(map_at(rig->as, page, text, page, WEIR_DMA_TO_DEVICE), -EFAULT);
	munmap(hole, page);
	munmap(hole + 2 * page, page);
	munmap(text, page);
}

static void mappings_are_replayed_and_kept(void **state)
{
	struct rig *rig = *state;
	weir_iova a, b;

	rig->memory[5] = 'x';
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &a), 0);
	for (int i = 0; i < 2; i++) {
		open_device(rig);
		assert_int_equal(dma_read(rig, a + 5), 0);
		close_device(rig);
		assert_true(is_mapped(rig, a));
	}
	open_device(rig);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory + page, page, NULL, &b), 0);
	assert_true(b != a);
	assert_int_equal(dma_read(rig, b), 0);
}

static void conflict_is_named_and_nothing_attached(void **state)
{
	struct rig rig;
	void *r = &rig;
	struct weir_device *dev = (void *)1;
	struct weir_device_opts opts;
	struct weir_ioas_caps caps;

	(void)state;
	setup_bits(&rig, 39);
	opts = (struct weir_device_opts){ .ioas = rig.as };
	assert_int_equal(map_at(rig.as, page, rig.memory, page, WEIR_DMA_BOTH), 0);
	assert_int_equal(map_at(rig.as, 1ull << 45, rig.memory, page, WEIR_DMA_BOTH), 0);
	assert_int_equal(weir_device_open_model(rig.iommu, rig.model, &opts, &dev), -EINVAL);
	assert_says("tiny: the mapping at IOVA 0x200000000000 (");
	assert_says("outside what soft can map");
	assert_ptr_equal(dev, (void *)1);
	assert_int_equal(weir_ioas_caps(rig.as, &caps), 0);
	assert_int_equal(caps.domains, 0);
	assert_true(is_mapped(&rig, 1ull << 45));
	assert_int_equal(weir_ioas_unmap(rig.as, 1ull << 45, page), 0);
	open_device(&rig);
	assert_int_equal(dma_read(&rig, page), 0);
	assert_int_equal(map_at(rig.as, 1ull << 39, rig.memory, page, WEIR_DMA_BOTH), -EINVAL);
	assert_says("0xfef00000-0x7fffffffff");
	assert_int_equal(map_at(rig.as, (1ull << 39) - page, rig.memory, page, WEIR_DMA_BOTH), 0);
	teardown(&r);
}

static void width_may_come_from_the_environment(void **state)
{
	struct weir_iova_range ranges[3];
	struct weir_device *dev;

	(void)state;
	for (unsigned int bits = 39; bits <= 57; bits += 9) {
		setenv("WEIR_SOFT_BITS", bits == 39 ? "39" : bits == 48 ? "48" : "57", 1);
		assert_int_equal(weir_device_open(NULL, "soft:edu", NULL, &dev), 0);
		assert_int_equal(weir_ioas_ranges(weir_device_ioas(dev), ranges, 3), 2);
		assert_true(ranges[0].first == 0 && ranges[0].last == 0xfedfffff);
		assert_true(ranges[1].first == 0xfef00000 &&
			    ranges[1].last == (1ull << bits) - 1);
		assert_int_equal(weir_device_close(dev), 0);
	}
	unsetenv("WEIR_SOFT_BITS");
}

static void capabilities_are_those_of_software(void **state)
{
	struct rig *rig = *state;
	struct weir_ioas_caps caps;

	assert_int_equal(weir_ioas_caps(rig->as, &caps), 0);
	assert_int_equal(caps.domains, 1);
	assert_true(caps.page_sizes == (1ull << 12 | 1ull << 21 | 1ull << 30));
	assert_true(caps.isolation && caps.faults && !caps.degraded);
	assert_int_equal(caps.dirty, WEIR_DIRTY_EXACT);
}

/* ---- how far devices reach ---- */

static weir_iova automatic(struct rig *rig)
{
	weir_iova iova;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, page), 0);
	return iova;
}

static void automatic_iovas_are_in_every_devices_reach(void **state)
{
	struct rig *rig = *state;
	struct weir_device_opts opts = { .ioas = rig->as, .dma_bits = 20 };
	struct weir_model *narrow = new_model(18);
	struct weir_device *first, *second;
	weir_iova iova;

	/* All but page 0 below 2^20 is taken, before the device that reaches no further joins. */
	assert_int_equal(map_at(rig->as, page, rig->memory, (1ull << 20) - page, WEIR_DMA_BOTH), 0);
	assert_true(automatic(rig) == 1ull << 20);
	assert_int_equal(weir_device_open(rig->iommu, "soft:edu", &opts, &first), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), -ENOSPC);
	assert_says("up to 0xfffff");
	/* Fixed ones are the caller's own affair. */
	assert_int_equal(map_at(rig->as, 1ull << 24, rig->memory, page, WEIR_DMA_BOTH), 0);

	/* A narrower one, by its own account, may join though most is out of its reach. */
	opts.dma_bits = 0;
	assert_int_equal(weir_device_open_model(rig->iommu, narrow, &opts, &second), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), -ENOSPC);
	assert_says("up to 0x3ffff");
	assert_int_equal(weir_device_close(first), 0);
	assert_int_equal(weir_device_close(second), 0);
	assert_true(automatic(rig) == 1ull << 20);
	assert_int_equal(weir_model_destroy(narrow), 0);
}

static void devices_share_a_domain_or_dont(void **state)
{
	struct rig *rig = *state;
	struct rig other = { .iommu = rig->iommu, .model = new_model(0) };
	struct rig joined = { .iommu = rig->iommu, .as = rig->as, .model = new_model(0) };
	struct weir_ioas_caps caps;
	struct weir_fault fault;

	assert_int_equal(weir_ioas_open(rig->iommu, &other.as), 0);
	open_device(&other);
	open_device(&joined);
	assert_int_equal(weir_ioas_caps(rig->as, &caps), 0);
	assert_int_equal(caps.domains, 1);
	assert_int_equal(map_at(rig->as, page, rig->memory, page, WEIR_DMA_BOTH), 0);
	assert_int_equal(dma_read(rig, page), 0);
	assert_int_equal(dma_read(&joined, page), 0);
	assert_int_equal(dma_read(&other, page), -EFAULT);
	assert_int_equal(weir_ioas_faults(rig->as, &fault, 1), 0);
	assert_int_equal(weir_ioas_faults(other.as, &fault, 1), 1);

	/* Whoever was first may leave first. */
	close_device(rig);
	assert_int_equal(dma_read(&joined, page), 0);
	assert_int_equal(dma_read(rig, page), -ENODEV);
	close_device(&joined);
	close_device(&other);
	assert_int_equal(weir_ioas_close(other.as), 0);
	assert_int_equal(weir_model_destroy(other.model), 0);
	assert_int_equal(weir_model_destroy(joined.model), 0);
}

static void closing_has_an_order(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_ioas_close(rig->as), -EBUSY);
	assert_says("in use by tiny");
	assert_int_equal(weir_iommu_close(rig->iommu), -EBUSY);
	assert_int_equal(map_at(rig->as, page, rig->memory, page, WEIR_DMA_BOTH), 0);
	assert_int_equal(dma_read(rig, page), 0);
}

/* ---- faults ---- */

static void faults_tell_what_was_blocked(void **state)
{
	struct rig *rig = *state;
	struct weir_fault faults[4] = { { 0 } };
	struct weir_device_info info;

	assert_int_equal(weir_device_info(rig->dev, &info), 0);
	assert_int_equal(weir_ioas_faults(rig->as, faults, 4), 0);
	assert_int_equal(map_at(rig->as, page, rig->memory, page, WEIR_DMA_TO_DEVICE), 0);
	assert_int_equal(dma_read(rig, 5 * page + 3), -EFAULT);
	assert_int_equal(dma_write(rig, page + 7, 1), -EFAULT);
	assert_int_equal(dma_read(rig, 0), -EFAULT);
	assert_int_equal(weir_ioas_faults(rig->as, faults, 0), 0);
	assert_int_equal(weir_ioas_faults(rig->as, faults, 2), 2);
	assert_true(faults[0].iova == 5 * page + 3 && !faults[0].write);
	assert_int_equal(faults[0].reason, READ_BLOCKED);
	assert_int_equal(faults[0].requester, info.requester);
	assert_true(faults[1].iova == page + 7 && faults[1].write);
	assert_int_equal(faults[1].reason, WRITE_BLOCKED);
	assert_true(strlen(faults[1].text) > 0);
	assert_int_equal(weir_ioas_faults(rig->as, faults, 4), 1);
	assert_true(faults[0].iova == 0);
	assert_int_equal(weir_ioas_faults(rig->as, faults, 4), 0);
}

/* ---- dirty pages ---- */

static void dirty_pages_are_exact(void **state)
{
	struct rig *rig = *state;
	uint64_t bits[PAGES / 64 + 2] = { 0 };
	const size_t n = 130;

	/* Two mappings with a page between, more than a word of bits. */
	assert_int_equal(map_at(rig->as, 16 * page, rig->memory, n * page, WEIR_DMA_BOTH), 0);
	assert_int_equal(map_at(rig->as, (17 + n) * page, rig->memory + n * page, page,
				WEIR_DMA_BOTH), 0);
	assert_int_equal(dma_write(rig, 16 * page, 1), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 16 * page, n * page, bits), -EINVAL);
	assert_says("dirty tracking is off");
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 16 * page, (n + 2) * page, bits), 0);

	assert_int_equal(dma_write(rig, 17 * page - 1, 1), 0);
	assert_int_equal(dma_read(rig, 20 * page), 0);
	assert_int_equal(weir_model_dma_write(rig->model, (16 + 63) * page + 100, rig->memory,
					      page), 0);
	assert_int_equal(dma_write(rig, (17 + n) * page, 1), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 16 * page, (n + 2) * page, bits), 4);
	assert_true(bits[0] == (1 | 1ull << 63) && bits[1] == 1);
	assert_true(bits[(n + 1) / 64] == 1ull << ((n + 1) % 64));

	/* Read once, they are clean; and the caller's bits are only ever set. */
	assert_int_equal(weir_ioas_dirty_read(rig->as, 16 * page, n * page, bits), 0);
	assert_true(bits[0] == (1 | 1ull << 63));
	/* Nothing but whole mappings. */
	assert_int_equal(weir_ioas_dirty_read(rig->as, 17 * page, n * page, bits), -EINVAL);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 16 * page, (n - 1) * page, bits), -EINVAL);
	assert_int_equal(weir_ioas_dirty_read(rig->as, page, page, bits), -EINVAL);
	assert_says("whole mappings");

	/* Starting again forgets nothing. */
	assert_int_equal(dma_write(rig, 18 * page, 1), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 16 * page, n * page, bits), 1);
	assert_int_equal(weir_ioas_dirty_stop(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_stop(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 16 * page, n * page, bits), -EINVAL);

	/* What is written while it is off isn't told later. */
	assert_int_equal(dma_write(rig, 19 * page, 1), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, 16 * page, n * page, bits), 0);
}

/* Large leaves are split, and those mapped while tracking is on are small. */
static void dirty_pages_of_large_mappings_are_exact(void **state)
{
	struct rig *rig = *state;
	const struct weir_mem_opts huge = { .huge = true };
	struct weir_mem *before, *after;
	uint64_t bits[(4 << 20) / 4096 / 64];

	assert_int_equal(weir_mem_alloc(rig->as, 4 << 20, &huge, &before), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_mem_alloc(rig->as, 4 << 20, &huge, &after), 0);
	for (int i = 0; i < 2; i++) {
		struct weir_mem *mem = i ? after : before;
		weir_iova iova = weir_mem_iova(mem);

		memset(bits, 0, sizeof(bits));
		assert_int_equal(dma_write(rig, iova + 100 * page, 1), 0);
		assert_int_equal(dma_write(rig, iova + (4 << 20) - 1, 1), 0);
		assert_int_equal(weir_ioas_dirty_read(rig->as, iova, 4 << 20, bits), 2);
		assert_true(bits[100 / 64] == 1ull << (100 % 64));
	}
	/* A second domain of the same kind starts with tracking on. */
	close_device(rig);
	open_device(rig);
	assert_int_equal(weir_ioas_dirty_read(rig->as, weir_mem_iova(after), 4 << 20, bits),
			 -EINVAL);
	assert_int_equal(weir_mem_free(before), 0);
	assert_int_equal(weir_mem_free(after), 0);
}

/* ---- inside a bracket ---- */

static void nothing_changes_inside_a_bracket(void **state)
{
	struct rig *rig = *state;
	const struct weir_device_opts opts = { .ioas = rig->as };
	struct weir_device *dev;
	struct weir_mem *mem, *second;
	weir_iova iova, at;
	uint64_t bits;
	size_t run;
	void *ptr;

	assert_int_equal(weir_mem_alloc(rig->as, page, NULL, &mem), 0);
	iova = weir_mem_iova(mem);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_model_dma_begin(rig->model), 0);
	assert_int_equal(weir_model_dma_translate(rig->model, iova, page, true, &ptr, &run), 0);
	assert_ptr_equal(ptr, weir_mem_ptr(mem));

	assert_int_equal(map_at(rig->as, 8 * page, rig->memory, page, WEIR_DMA_BOTH), -EDEADLK);
	assert_says("weir_model_dma_begin()");
	assert_int_equal(weir_ioas_unmap(rig->as, iova, page), -EDEADLK);
	assert_int_equal(weir_mem_alloc(rig->as, page, NULL, &second), -EDEADLK);
	assert_int_equal(weir_mem_free(mem), -EDEADLK);
	assert_int_equal(weir_ioas_dirty_stop(rig->as), -EDEADLK);
	assert_int_equal(weir_ioas_dirty_start(rig->as), -EDEADLK);
	assert_int_equal(weir_ioas_dirty_read(rig->as, iova, page, &bits), -EDEADLK);
	assert_int_equal(weir_device_open(rig->iommu, "soft:edu", &opts, &dev), -EDEADLK);
	/* Looking is no change. */
	assert_int_equal(weir_ioas_to_iova(rig->as, ptr, &at, NULL), 0);
	assert_true(at == iova);
	weir_model_dma_end(rig->model);
	assert_int_equal(dma_read(rig, iova), 0);
	assert_int_equal(weir_mem_free(mem), 0);
}

static void *unmaps(void *arg)
{
	struct rig *rig = arg;

	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	return NULL;
}

/* An unmap in another thread waits for the bracket; what is looked up in the bracket doesn't. */
static void looking_inside_a_bracket_waits_for_no_unmap(void **state)
{
	struct rig *rig = *state;
	struct weir_iova_range range;
	struct weir_ioas_caps caps;
	struct weir_fault fault;
	struct weir_seg seg;
	pthread_t thread;
	weir_iova iova;
	void *vaddr;

	assert_int_equal(map_at(rig->as, page, rig->memory, page, WEIR_DMA_BOTH), 0);
	assert_int_equal(weir_model_dma_begin(rig->model), 0);
	assert_int_equal(pthread_create(&thread, NULL, unmaps, rig), 0);
	usleep(20000);	/* it is inside by then, or the test shows less */
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory, &iova, NULL), 0);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, page, &vaddr, NULL), 0);
	assert_int_equal(weir_ioas_segs(rig->as, rig->memory, 1, &seg, 1), 1);
	assert_true(weir_ioas_ranges(rig->as, &range, 1) > 0);
	assert_int_equal(weir_ioas_caps(rig->as, &caps), 0);
	assert_int_equal(weir_ioas_faults(rig->as, &fault, 1), 0);
	weir_model_dma_end(rig->model);
	pthread_join(thread, NULL);
	assert_false(is_mapped(rig, page));
}

/* ---- many at once ---- */

struct worker {
	struct rig *rig;
	unsigned int n;
	atomic_bool *stop;
};

/* Each thread has a page of its own: what it maps it reaches, what it unmapped it doesn't. */
static void *map_and_reach(void *arg)
{
	struct worker *w = arg;
	char *memory = w->rig->memory + w->n * page;
	weir_iova iova, again;
	char byte = (char)w->n;

	for (int i = 0; i < 300; i++) {
		assert_int_equal(weir_ioas_map(w->rig->as, memory, page, NULL, &iova), 0);
		assert_int_equal(weir_ioas_to_iova(w->rig->as, memory, &again, NULL), 0);
		assert_true(iova == again);
		assert_int_equal(weir_model_dma_write(w->rig->model, iova, &byte, 1), 0);
		assert_int_equal(weir_ioas_unmap(w->rig->as, iova, page), 0);
		assert_int_equal(memory[0], byte);
	}
	return NULL;
}

static void *do_dma_anywhere(void *arg)
{
	struct worker *w = arg;
	char bytes[64];

	while (!atomic_load(w->stop))
		for (unsigned int i = 0; i < 8; i++)
			(void)weir_model_dma_read(w->rig->model, i * page, bytes, sizeof(bytes));
	return NULL;
}

static void threads_map_and_reach_at_once(void **state)
{
	struct rig *rig = *state;
	atomic_bool stop = false;
	struct worker workers[4];
	pthread_t threads[4];

	for (unsigned int i = 0; i < 4; i++) {
		workers[i] = (struct worker){ rig, i, &stop };
		assert_int_equal(pthread_create(&threads[i], NULL,
						i < 3 ? map_and_reach : do_dma_anywhere,
						&workers[i]), 0);
	}
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(threads[3], NULL), 0);
}

/* ---- at random ---- */

static uint64_t seed;

static unsigned int any(unsigned int below)
{
	return (unsigned int)chance(&seed, below);
}

/* Which page of memory is behind each page of IOVA, by the plainest of books; 0 is none. */
struct book {
	unsigned int behind[PAGES];
	unsigned int start[PAGES], len[PAGES];	/* of the mapping it is in */
};

static void map_something(struct rig *rig, struct book *book)
{
	unsigned int at = any(PAGES), len = 1 + any(10), from = 1 + any(PAGES - 11), taken = 0;
	int ret;

	if (len > PAGES - at)
		len = PAGES - at;
	for (unsigned int i = 0; i < len; i++)
		taken += book->behind[at + i] != 0;
	ret = map_at(rig->as, at * page, rig->memory + from * page, len * page, WEIR_DMA_BOTH);
	assert_int_equal(ret, taken ? -EEXIST : 0);
	for (unsigned int i = 0; !taken && i < len; i++) {
		book->behind[at + i] = from + i;
		book->start[at + i] = at;
		book->len[at + i] = len;
	}
}

static void unmap_something(struct rig *rig, struct book *book)
{
	unsigned int at = any(PAGES), len = any(3) ? book->len[at] : 1 + any(10);
	int expected = !book->behind[at] ? -ENOENT :
		       book->start[at] != at || book->len[at] != len ? -EINVAL : 0;

	assert_int_equal(weir_ioas_unmap(rig->as, at * page, len * page), expected);
	for (unsigned int i = 0; !expected && i < len; i++)
		book->behind[at + i] = 0;
}

static void random_mappings_match_the_book(void **state)
{
	struct rig *rig = *state;
	struct book book = { 0 };
	unsigned int value;

	seed = 4711;
	for (unsigned int i = 0; i < PAGES; i++)
		memcpy(rig->memory + i * page, &i, sizeof(i));
	for (int step = 0; step < 4000; step++) {
		if (any(2))
			map_something(rig, &book);
		else
			unmap_something(rig, &book);
		/* The device and the look-ups see the same. */
		for (int look = 0; look < 4; look++) {
			unsigned int at = any(PAGES);
			weir_iova iova = at * page;
			void *vaddr;
			int ret;

			ret = weir_model_dma_read(rig->model, iova, &value, sizeof(value));
			assert_int_equal(ret, book.behind[at] ? 0 : -EFAULT);
			if (!ret)
				assert_int_equal(value, book.behind[at]);
			ret = weir_ioas_to_vaddr(rig->as, iova, &vaddr, NULL);
			assert_int_equal(ret, book.behind[at] ? 0 : -ENOENT);
			if (!ret)
				assert_ptr_equal(vaddr, rig->memory + book.behind[at] * page);
		}
		if (any(500) == 0) {
			close_device(rig);
			open_device(rig);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(device_reaches_what_is_mapped_and_how),
		TEST(memory_that_isnt_there_is_refused),
		cmocka_unit_test_setup_teardown(mappings_are_replayed_and_kept, setup_bare,
						teardown),
		cmocka_unit_test(conflict_is_named_and_nothing_attached),
		cmocka_unit_test(width_may_come_from_the_environment),
		TEST(capabilities_are_those_of_software),
		TEST(automatic_iovas_are_in_every_devices_reach),
		TEST(devices_share_a_domain_or_dont),
		TEST(closing_has_an_order),
		TEST(faults_tell_what_was_blocked),
		TEST(dirty_pages_are_exact),
		TEST(dirty_pages_of_large_mappings_are_exact),
		TEST(nothing_changes_inside_a_bracket),
		TEST(looking_inside_a_bracket_waits_for_no_unmap),
		TEST(threads_map_and_reach_at_once),
		TEST(random_mappings_match_the_book),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
