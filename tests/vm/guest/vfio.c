/* SPDX-License-Identifier: MIT */
/*
 * The library on a real kernel's VFIO, for what 'weir selftest' doesn't come by: several devices
 * in one address space, replay, refusals. Its devices are an edu, an NVMe, and two edu functions
 * that share a group.
 */
#include <signal.h>
#include <sys/wait.h>

#include "tests/vm/guest/guest.h"

/*
 * Two functions of one group in one context; then a model behind the software IOMMU joins the
 * address space: what was mapped before is replayed on its domain, and DMA works through both.
 */
static void group_and_second_domain(void **state)
{
	struct weir_ioas_caps caps;
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct opened a, b, soft;
	unsigned char *before, *after;
	weir_iova before_iova, after_iova;

	(void)state;
	MUST(weir_iommu_open(NULL, &iommu));
	MUST(weir_ioas_open(iommu, &as));
	before = page_of(1, 2);
	MUST(weir_ioas_map(as, before, 2 * PAGE, NULL, &before_iova));

	a = open_edu(iommu, device("WEIR_TEST_PAIR0"), as);
	b = open_edu(iommu, device("WEIR_TEST_PAIR1"), as);
	round_trip(a.edu, before, 0xa1);
	round_trip(b.edu, before, 0xb1);
	MUST(weir_ioas_caps(as, &caps));
	assert_int_equal(caps.domains, 1);
	assert_false(caps.faults);

	soft = open_edu(iommu, "soft:edu", as);
	MUST(weir_ioas_caps(as, &caps));
	assert_int_equal(caps.domains, 2);
	assert_true(caps.faults);
	round_trip(soft.edu, before, 0xc1);
	round_trip(a.edu, before, 0xa2);

	after = page_of(2, 2);
	MUST(weir_ioas_map(as, after, 2 * PAGE, NULL, &after_iova));
	round_trip(soft.edu, after, 0xc2);
	round_trip(a.edu, after, 0xa3);
	round_trip(b.edu, after, 0xb3);

	MUST(weir_ioas_unmap(as, after_iova, 2 * PAGE));
	must_be_blocked(soft.edu, after_iova, after);
	must_be_blocked(a.edu, after_iova, after);
	must_be_blocked(b.edu, after_iova, after);

	/* The second function works on after the first has left. */
	close_edu(a);
	round_trip(b.edu, before, 0xb4);
	close_edu(b);
	MUST(weir_ioas_caps(as, &caps));
	assert_int_equal(caps.domains, 1);
	round_trip(soft.edu, before, 0xc4);
	close_edu(soft);
	MUST(weir_ioas_close(as));
	MUST(weir_iommu_close(iommu));
}

/* Devices of two groups share one container, and one mapping serves both. */
static void two_groups(void **state)
{
	struct weir_ioas_caps caps;
	struct weir_ioas *as;
	struct opened a, b;
	struct weir_mem *mem;

	(void)state;
	MUST(weir_ioas_open(NULL, &as));
	a = open_edu(NULL, device("WEIR_TEST_EDU"), as);
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	b = open_edu(NULL, device("WEIR_TEST_PAIR0"), as);
	MUST(weir_ioas_caps(as, &caps));
	assert_int_equal(caps.domains, 1);
	round_trip(a.edu, weir_mem_ptr(mem), 0x11);
	round_trip(b.edu, weir_mem_ptr(mem), 0x22);
	close_edu(a);
	round_trip(b.edu, weir_mem_ptr(mem), 0x33);
	close_edu(b);
	must_fail(weir_ioas_close(as), -EBUSY, "free it first");
	MUST(weir_mem_free(mem));
	MUST(weir_ioas_close(as));
}

static void group_belongs_together(void **state)
{
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct weir_device *dev;
	struct opened a;
	char pid[32];

	(void)state;
	MUST(weir_iommu_open(NULL, &iommu));
	a = open_edu(iommu, device("WEIR_TEST_PAIR0"), NULL);
	must_fail(weir_device_open(iommu, device("WEIR_TEST_PAIR1"), NULL, &dev), -EBUSY,
		  "another address space");
	snprintf(pid, sizeof(pid), "process %d", getpid());
	must_fail(weir_device_open(NULL, device("WEIR_TEST_PAIR1"), NULL, &dev), -EBUSY, pid);
	MUST(weir_ioas_open(NULL, &as));
	must_fail(weir_device_open(iommu, device("WEIR_TEST_PAIR1"),
				   &(struct weir_device_opts){ .ioas = as }, &dev),
		  -EINVAL, "another context");
	MUST(weir_ioas_close(as));
	must_fail(weir_iommu_close(iommu), -EBUSY, "address spaces");
	close_edu(a);
	MUST(weir_iommu_close(iommu));
}

/* A mapping that the IOMMU can't have makes attaching fail, by name, and then nothing is left. */
static void replay_conflict(void **state)
{
	struct weir_map_opts fixed = { .fixed = true };
	/* Above what most tables reach, and what AMD's IOMMUs keep for HyperTransport. */
	weir_iova high = 1ull << 56, hole = 0xfd00000000;
	struct weir_device *dev;
	struct weir_ioas *as;
	struct opened a;
	void *page = page_of(0, 2);
	weir_iova good;

	(void)state;
	MUST(weir_ioas_open(NULL, &as));
	MUST(weir_ioas_map(as, page, PAGE, NULL, &good));
	MUST(weir_ioas_map(as, page, PAGE, &fixed, &high));
	MUST(weir_ioas_map(as, page, PAGE, &fixed, &hole));
	must_fail(weir_device_open(NULL, device("WEIR_TEST_EDU"),
				   &(struct weir_device_opts){ .ioas = as }, &dev),
		  -EINVAL, "0x");
	assert_true(strstr(weir_errmsg(), "0x100000000000000") ||
		    strstr(weir_errmsg(), "0xfd00000000"));
	MUST(weir_ioas_unmap(as, high, PAGE));
	MUST(weir_ioas_unmap(as, hole, PAGE));
	MUST(weir_ioas_unmap(as, good, PAGE));
	MUST(weir_ioas_map(as, page, 2 * PAGE, NULL, &good));
	a = open_edu(NULL, device("WEIR_TEST_EDU"), as);
	round_trip(a.edu, page, 0x44);
	close_edu(a);
	MUST(weir_ioas_close(as));
}

/* The last page that the IOMMU's tables reach works, and the next one is refused. */
static void top_of_the_address_space(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	struct weir_ioas *as = weir_device_ioas(a.dev);
	struct weir_map_opts fixed = { .fixed = true };
	struct weir_iova_range ranges[8];
	unsigned char *pages = page_of(0xcc, 2);
	int n = MUST(weir_ioas_ranges(as, ranges, 8));
	weir_iova top, beyond;

	(void)state;
	assert_in_range(n, 1, 8);
	top = ranges[n - 1].last - (PAGE - 1);
	beyond = ranges[n - 1].last + 1;
	assert_true(top > 1ull << 38);
	if (beyond)	/* AMD's tables reach all 64 bits */
		must_fail(weir_ioas_map(as, pages, PAGE, &fixed, &beyond), -EINVAL,
			  "usable range");
	MUST(weir_ioas_map(as, pages, PAGE, &fixed, &top));
	/* The machines' edu drives all address bits, whatever is said to weir. */
	MUST(edu_dma(a.edu, top, 0, PAGE, true));
	memset(pages, 0, PAGE);
	MUST(edu_dma(a.edu, top, 0, PAGE, false));
	memset(pages + PAGE, 0xcc, PAGE);
	assert_memory_equal(pages, pages + PAGE, PAGE);
	MUST(weir_ioas_unmap(as, top, PAGE));
	close_edu(a);
}

/* Whatever is refused, the mapping goes on working. */
static void refusals(void **state)
{
	struct weir_map_opts fixed = { .fixed = true };
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	struct weir_ioas *as = weir_device_ioas(a.dev);
	struct weir_iova_range ranges[8];
	char *hole = page_of(0, 3);
	struct weir_mem *mem;
	weir_iova iova, at;

	(void)state;
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	iova = weir_mem_iova(mem);
	assert_true(iova && iova + 2 * PAGE <= 1ull << EDU_DMA_BITS);

	must_fail(weir_ioas_unmap(as, iova, PAGE), -EINVAL, "as a whole");
	must_fail(weir_ioas_unmap(as, iova + PAGE, PAGE), -EINVAL, "as a whole");
	must_fail(weir_ioas_unmap(as, iova + 16 * PAGE, PAGE), -ENOENT, "nothing is mapped");
	at = iova + PAGE;
	must_fail(weir_ioas_map(as, hole, PAGE, &fixed, &at), -EEXIST, "overlaps");
	/* Where interrupts are written to: what the kernel keeps of the lowest addresses. */
	MUST(weir_ioas_ranges(as, ranges, 8));
	at = ranges[0].last + 1;
	must_fail(weir_ioas_map(as, hole, PAGE, &fixed, &at), -EINVAL, "usable range");
	munmap(hole + PAGE, PAGE);
	must_fail(weir_ioas_map(as, hole, 3 * PAGE, NULL, &at), -EFAULT, "not all of it");
	must_fail(weir_ioas_to_iova(as, hole, &at, NULL), -ENOENT, "isn't mapped");
	must_fail(weir_device_close(a.dev), -EBUSY, "bars");
	round_trip(a.edu, weir_mem_ptr(mem), 0x55);
	MUST(weir_mem_free(mem));
	close_edu(a);
}

/* Memory that the device may only read is mapped, and stays unwritten. */
static void direction(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	struct weir_ioas *as = weir_device_ioas(a.dev);
	struct weir_map_opts readable = { .dir = WEIR_DMA_TO_DEVICE };
	unsigned char *page = page_of(0x66, 1);
	struct weir_mem *in;
	weir_iova iova;

	(void)state;
	MUST(mprotect(page, PAGE, PROT_READ));
	must_fail(weir_ioas_map(as, page, PAGE, NULL, &iova), -EFAULT, "written");
	MUST(weir_ioas_map(as, page, PAGE, &readable, &iova));
	MUST(weir_mem_alloc(as, PAGE, &(struct weir_mem_opts){ .dir = WEIR_DMA_FROM_DEVICE },
			    &in));
	MUST(edu_write(a.edu, page, PAGE, 0));
	MUST(edu_read(a.edu, weir_mem_ptr(in), PAGE, 0));
	assert_memory_equal(weir_mem_ptr(in), page, PAGE);
	memset(weir_mem_ptr(in), 0x77, PAGE);
	must_be_blocked(a.edu, iova, page);
	MUST(weir_ioas_unmap(as, iova, PAGE));
	MUST(weir_mem_free(in));
	close_edu(a);
}

static void intx(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	struct weir_irq_info info;
	uint32_t bits;

	(void)state;
	MUST(weir_irq_info(a.dev, WEIR_IRQ_INTX, &info));
	assert_int_equal(info.count, 1);
	assert_true(info.maskable && info.automasked);
	MUST(edu_irq_enable_kind(a.edu, WEIR_IRQ_INTX));
	must_fail(weir_irq_enable(a.dev, WEIR_IRQ_MSI, 1), -EBUSY, "INTx is enabled");
	for (uint32_t i = 1; i < 4; i++) {
		MUST(edu_irq_raise(a.edu, i));
		MUST(edu_irq_wait(a.edu, 5000, &bits));
		assert_int_equal(bits, i);
	}

	/* Masked it stays silent, and comes as soon as it is let go. */
	MUST(weir_irq_mask(a.dev, WEIR_IRQ_INTX, 0));
	MUST(edu_irq_raise(a.edu, 8));
	must_fail(weir_irq_wait(a.dev, WEIR_IRQ_INTX, 0, 200), -ETIMEDOUT, "INTx");
	MUST(weir_irq_unmask(a.dev, WEIR_IRQ_INTX, 0));
	MUST(edu_irq_wait(a.edu, 5000, &bits));
	assert_int_equal(bits, 8);
	close_edu(a);
}

static void msi(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	struct weir_irq_info info;
	uint32_t bits;

	(void)state;
	MUST(weir_irq_info(a.dev, WEIR_IRQ_MSI, &info));
	assert_int_equal(info.count, 1);
	must_fail(weir_irq_enable(a.dev, WEIR_IRQ_MSI, 2), -EINVAL, "it has 1 to 1");
	must_fail(weir_irq_enable(a.dev, WEIR_IRQ_MSIX, 1), -EINVAL, "hasn't got");
	must_fail(weir_irq_wait(a.dev, WEIR_IRQ_MSI, 0, 0), -EINVAL, "isn't enabled");
	MUST(weir_irq_enable(a.dev, WEIR_IRQ_MSI, 1));
	must_fail(weir_irq_mask(a.dev, WEIR_IRQ_MSI, 0), -ENOTSUP, "can't be masked");
	MUST(weir_irq_trigger(a.dev, WEIR_IRQ_MSI, 0));
	assert_int_equal(MUST(weir_irq_wait(a.dev, WEIR_IRQ_MSI, 0, 5000)), 1);
	MUST(weir_irq_disable(a.dev, WEIR_IRQ_MSI));
	MUST(edu_irq_enable_kind(a.edu, WEIR_IRQ_MSI));
	MUST(edu_irq_raise(a.edu, 0x10));
	MUST(edu_irq_wait(a.edu, 5000, &bits));
	assert_int_equal(bits, 0x10);
	close_edu(a);
}

/* The same register, mapped and by calls; and what both do past the end. */
static void registers(void **state)
{
	struct weir_bar *mapped, *calls;
	struct weir_region_info info;
	struct weir_device *dev;
	uint64_t cap;

	(void)state;
	MUST(weir_device_open(NULL, device("WEIR_TEST_NVME"), NULL, &dev));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &mapped));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_CALLS, &calls));
	assert_non_null(mapped->map);
	assert_null(calls->map);

	/* NVMe's CAP and VS registers (NVM Express Base 2.0, section 3.1.3). */
	cap = weir_read64(mapped, 0);
	assert_true(cap && cap != UINT64_MAX);
	assert_int_equal(weir_read64(calls, 0), cap);
	assert_int_equal(weir_read32(calls, 8), weir_read32(mapped, 8));
	assert_int_equal(weir_read32_be(calls, 8), __builtin_bswap32(weir_read32(mapped, 8)));
	/* Interrupt mask set and clear: written by one way, read by the other. */
	weir_write32(mapped, 0x0c, 0x5);
	assert_int_equal(weir_read32(calls, 0x0c), 0x5);
	weir_write32(calls, 0x10, 0x4);
	assert_int_equal(weir_read32(mapped, 0x0c), 0x1);

	MUST(weir_region_info(dev, WEIR_REGION_BAR0, &info));
	assert_int_equal(weir_read32(mapped, info.size), UINT32_MAX);
	assert_non_null(strstr(weir_errmsg(), "aren't in it"));
	assert_int_equal(weir_read32(calls, 2), UINT32_MAX);
	assert_non_null(strstr(weir_errmsg(), "multiple"));
	must_fail(weir_device_close(dev), -EBUSY, "2 of its bars");
	MUST(weir_bar_close(calls));
	MUST(weir_device_reset(dev));
	assert_int_equal(weir_read32(mapped, 0x0c), 0);
	MUST(weir_bar_close(mapped));
	MUST(weir_device_close(dev));
}

/* After a process is killed, with mappings and interrupts, the next one finds the device usable. */
static void killed(void **state)
{
	struct opened a;
	struct weir_mem *mem;
	int ready[2], status;
	char byte;
	pid_t pid;

	(void)state;
	MUST(pipe(ready));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
		if (weir_mem_alloc(weir_device_ioas(a.dev), 2 * PAGE, NULL, &mem) ||
		    edu_irq_enable(a.edu) < 0 || write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	close(ready[1]);	/* so that a child that fails ends the wait */
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(ready[0]);

	a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	MUST(weir_mem_alloc(weir_device_ioas(a.dev), 2 * PAGE, NULL, &mem));
	round_trip(a.edu, weir_mem_ptr(mem), 0x88);
	MUST(weir_mem_free(mem));
	close_edu(a);
}

/* Large pages in memory and IOVA, and many mappings at once. */
static void sizes(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	struct weir_ioas *as = weir_device_ioas(a.dev);
	struct weir_mem *huge, *small[64];
	unsigned char *buf;

	(void)state;
	MUST(weir_mem_alloc(as, 3 << 20, &(struct weir_mem_opts){ .huge = true }, &huge));
	assert_int_equal(weir_mem_len(huge), 4 << 20);
	assert_int_equal(weir_mem_iova(huge) % (2 << 20), 0);
	for (size_t i = 0; i < 64; i++)
		MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &small[i]));
	/* Across the border between two large pages. */
	buf = (unsigned char *)weir_mem_ptr(huge) + (2 << 20) - PAGE;
	round_trip(a.edu, buf, 0x99);
	round_trip(a.edu, weir_mem_ptr(small[63]), 0xaa);
	for (size_t i = 0; i < 64; i++)
		MUST(weir_mem_free(small[i]));
	round_trip(a.edu, buf, 0xbb);
	MUST(weir_mem_free(huge));
	close_edu(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(group_and_second_domain),
		cmocka_unit_test(two_groups),
		cmocka_unit_test(group_belongs_together),
		cmocka_unit_test(replay_conflict),
		cmocka_unit_test(top_of_the_address_space),
		cmocka_unit_test(refusals),
		cmocka_unit_test(direction),
		cmocka_unit_test(intx),
		cmocka_unit_test(msi),
		cmocka_unit_test(registers),
		cmocka_unit_test(killed),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
