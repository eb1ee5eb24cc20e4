/* SPDX-License-Identifier: MIT */
/*
 * Two devices that talk to each other without a detour: an edu, and the memory that an
 * ivshmem-plain has as its BAR 2 (docs/specs/ivshmem-spec.rst in QEMU's source).
 */
#include "tests/vm/guest/guest.h"

#define PCI_COMMAND		4
#define PCI_COMMAND_MEMORY	2

struct pair {
	struct weir_iommu *iommu;
	struct weir_ioas *as;		/* the edu's */
	struct opened a;
	struct weir_device *shared;	/* in a context of its own, as any other device */
	struct weir_bar *bar;
	unsigned char *memory;		/* a page, mapped for the edu */
	weir_iova memory_iova;
};

static void open_shared(struct pair *p)
{
	MUST(weir_device_open(NULL, device("WEIR_TEST_SHARED"), NULL, &p->shared));
	MUST(weir_bar_open(p->shared, WEIR_REGION_BAR2, WEIR_BAR_MAPPED, &p->bar));
}

static void close_shared(struct pair *p)
{
	MUST(weir_bar_close(p->bar));
	MUST(weir_device_close(p->shared));
}

/* @interface: NULL for the best. */
static void open_pair(struct pair *p, const char *interface)
{
	p->iommu = open_iommu(interface);
	MUST(weir_ioas_open(p->iommu, &p->as));
	p->a = open_edu(p->iommu, device("WEIR_TEST_EDU"), p->as);
	p->memory = page_of(0, 1);
	MUST(weir_ioas_map(p->as, p->memory, PAGE, NULL, &p->memory_iova));
	open_shared(p);
}

static void close_pair(struct pair *p)
{
	close_shared(p);
	close_edu(p->a);
	MUST(weir_ioas_close(p->as));
	MUST(weir_iommu_close(p->iommu));
	munmap(p->memory, PAGE);
}

/* Each byte of a page different from its neighbours, and from another page's. */
static unsigned char pattern(unsigned int seed, size_t i)
{
	return (unsigned char)(seed + i * 7 + (i >> 8) * 13);
}

static void fill(volatile unsigned char *page, unsigned int seed)
{
	for (size_t i = 0; i < PAGE; i++)
		page[i] = pattern(seed, i);
}

static void assert_holds(const volatile unsigned char *page, unsigned int seed)
{
	for (size_t i = 0; i < PAGE; i++)
		if (page[i] != pattern(seed, i))
			fail_msg("byte %zu is 0x%02x, not 0x%02x", i, page[i], pattern(seed, i));
}

static volatile unsigned char *page_in(const struct pair *p, unsigned int n)
{
	volatile unsigned char *page = weir_bar_ptr(p->bar, n * PAGE, PAGE);

	assert_non_null(page);
	return page;
}

/* From memory into the edu, and from there into that page of the bar; and back. */
static void goes_through(struct pair *p, unsigned int n, unsigned int seed)
{
	volatile unsigned char *page = page_in(p, n);

	fill(page, ~seed);
	fill(p->memory, seed);
	MUST(edu_write(p->a.edu, p->memory, PAGE, 0));
	MUST(edu_read(p->a.edu, (void *)page, PAGE, 0));
	assert_holds(page, seed);

	fill(page, seed + 1);
	MUST(edu_write(p->a.edu, (const void *)page, PAGE, 0));
	MUST(edu_read(p->a.edu, p->memory, PAGE, 0));
	assert_holds(p->memory, seed + 1);
}

/* The edu's write to that page doesn't arrive. */
static void is_blocked(struct pair *p, unsigned int n, weir_iova iova)
{
	volatile unsigned char *page = page_in(p, n);

	fill(page, 0x5a);
	fill(p->memory, 0xa5);
	MUST(edu_write(p->a.edu, p->memory, PAGE, 0));
	MUST(edu_dma(p->a.edu, iova, 0, PAGE, false));
	assert_holds(page, 0x5a);
}

static void both_ways(struct pair *p)
{
	weir_iova iova;

	for (unsigned int n = 0; n < 6; n++)
		fill(page_in(p, n), 0xc0 + n);
	MUST(weir_ioas_map_bar(p->as, p->bar, 2 * PAGE, 2 * PAGE, NULL, &iova));
	goes_through(p, 2, 0x11);
	goes_through(p, 3, 0x22);
	assert_holds(page_in(p, 1), 0xc1);
	assert_holds(page_in(p, 4), 0xc4);
	MUST(weir_ioas_unmap(p->as, iova, 2 * PAGE));
	is_blocked(p, 2, iova);
	is_blocked(p, 3, iova + PAGE);
	/* All of it, to its last page. */
	MUST(weir_ioas_map_bar(p->as, p->bar, 0, p->bar->size, NULL, &iova));
	goes_through(p, (unsigned int)(p->bar->size / PAGE) - 1, 0x33);
	goes_through(p, 0, 0x44);
	MUST(weir_ioas_unmap(p->as, iova, p->bar->size));
}

static void data_goes_both_ways(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, NULL);
	both_ways(&p);
	close_pair(&p);
}

/*
 * By each interface that there is: VFIO's container knows the address, IOMMUFD in its place takes a
 * dma-buf, if the kernel makes one.
 */
static void other_interfaces_can_too(void **state)
{
	static const char *const interfaces[] = { "type1v2", "type1", "compat" };
	bool has_iommufd = !access("/dev/iommu", F_OK);
	struct weir_ioas_caps caps;
	weir_iova iova;
	struct pair p;

	(void)state;
	for (int i = 0; i < 2 + has_iommufd; i++) {
		open_pair(&p, interfaces[i]);
		MUST(weir_ioas_caps(p.as, &caps));
		/* Only IOMMUFD has no limit of mappings. */
		if (caps.mappings == UINT64_MAX &&
		    !MUST(weir_device_has(p.shared, WEIR_FEATURE_DMA_BUF)))
			must_fail(weir_ioas_map_bar(p.as, p.bar, 0, PAGE, NULL, &iova), -ENOTSUP,
				  "takes Linux 6.19");
		else
			both_ways(&p);
		close_pair(&p);
	}
}

/* What is mapped for one direction is closed for the other. */
static void direction_holds(void **state)
{
	const struct weir_map_opts opts = { .dir = WEIR_DMA_TO_DEVICE };
	weir_iova iova;
	struct pair p;

	(void)state;
	open_pair(&p, NULL);
	MUST(weir_ioas_map_bar(p.as, p.bar, 0, PAGE, &opts, &iova));
	fill(page_in(&p, 0), 0x77);
	MUST(edu_dma(p.a.edu, iova, 0, PAGE, true));
	MUST(edu_read(p.a.edu, p.memory, PAGE, 0));
	assert_holds(p.memory, 0x77);
	is_blocked(&p, 0, iova);
	MUST(weir_ioas_unmap(p.as, iova, PAGE));
	close_pair(&p);
}

/* Recorded, it is there for the edu that comes, in the order in which things can be closed. */
static void recorded_one_is_replayed(void **state)
{
	struct pair p = { .memory = page_of(0, 1) };
	weir_iova iova;

	(void)state;
	MUST(weir_ioas_open(NULL, &p.as));
	open_shared(&p);
	MUST(weir_ioas_map_bar(p.as, p.bar, PAGE, PAGE, NULL, &iova));
	MUST(weir_ioas_map(p.as, p.memory, PAGE, NULL, &p.memory_iova));
	p.a = open_edu(NULL, device("WEIR_TEST_EDU"), p.as);
	goes_through(&p, 1, 0x88);
	must_fail(weir_bar_close(p.bar), -EBUSY, "BAR 2: its registers are mapped at IOVA 0x");
	must_fail(weir_device_close(p.shared), -EBUSY, "bars are open");
	goes_through(&p, 1, 0x99);
	close_edu(p.a);
	p.a = open_edu(NULL, device("WEIR_TEST_EDU"), p.as);
	goes_through(&p, 1, 0xaa);
	close_edu(p.a);
	MUST(weir_ioas_close(p.as));
	close_shared(&p);
	munmap(p.memory, PAGE);
}

static void memory_space(struct pair *p, bool on)
{
	uint16_t command;

	MUST(weir_config_read16(p->shared, PCI_COMMAND, &command));
	command = (uint16_t)(on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
	MUST(weir_config_write16(p->shared, PCI_COMMAND, command));
}

/*
 * While the bar's device doesn't decode nothing arrives. Then a container's mapping leads there
 * again, and IOMMUFD's is dead until it is made anew.
 */
static void memory_space_goes_and_comes(void **state)
{
	struct weir_device_info info;
	weir_iova iova, other;
	struct pair p;
	bool dies;

	(void)state;
	open_pair(&p, NULL);
	MUST(weir_device_info(p.a.dev, &info));
	dies = !strcmp(info.backend, "iommufd");
	MUST(weir_ioas_map_bar(p.as, p.bar, 0, PAGE, NULL, &iova));
	fill(page_in(&p, 0), 0x5a);
	fill(p.memory, 0xa5);
	MUST(edu_write(p.a.edu, p.memory, PAGE, 0));
	memory_space(&p, false);
	MUST(edu_dma(p.a.edu, iova, 0, PAGE, false));
	must_fail(weir_ioas_map_bar(p.as, p.bar, PAGE, PAGE, NULL, &other),
		  dies ? -ENODEV : -EFAULT, "its memory space is off");
	memory_space(&p, true);
	assert_holds(page_in(&p, 0), 0x5a);
	if (dies) {
		is_blocked(&p, 0, iova);
		MUST(weir_ioas_unmap(p.as, iova, PAGE));
		MUST(weir_ioas_map_bar(p.as, p.bar, 0, PAGE, NULL, &iova));
	}
	goes_through(&p, 0, 0xbb);
	MUST(weir_ioas_unmap(p.as, iova, PAGE));
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_goes_both_ways),
		cmocka_unit_test(other_interfaces_can_too),
		cmocka_unit_test(direction_holds),
		cmocka_unit_test(recorded_one_is_replayed),
		cmocka_unit_test(memory_space_goes_and_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
