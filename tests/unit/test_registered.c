/* SPDX-License-Identifier: MIT */
/*
 * Memory that is registered with POWER's containers, over the fake kernel (fake_spapr.c): by two
 * address spaces of one process, whose pieces the kernel wants apart or equal.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/spapr.h>

#include "fake_spapr.h"
#include "fake_vfio.h"
#include "ioas/ioas.h"
#include "rig.h"

#define GIB (1ull << 30)

/* A space that has the n-th device. */
static struct weir_ioas *open_space(struct rig *rig, unsigned int n)
{
	struct weir_ioas *as;

	assert_int_equal(weir_ioas_open(rig->iommu, &as), 0);
	assert_int_equal(get_group(rig, n), 0);
	assert_int_equal(wr_ioas_attach(as, &rig->eps[n]), 0);
	return as;
}

static void leave_space(struct rig *rig, unsigned int n)
{
	wr_ioas_detach(&rig->eps[n]);
	wr_iommu_group_put(rig->iommu, rig->eps[n].group);
}

struct two {
	struct rig *rig;
	struct weir_ioas *spaces[2];
	uint64_t locked;		/* by the windows */
};

static int setup(void **state)
{
	static struct two two;

	rig_setup((void **)&two.rig);
	fake.no_type1 = true;
	fake.spapr.exists = true;
	for (unsigned int i = 0; i < 2; i++)
		two.spaces[i] = open_space(two.rig, i);
	two.locked = fake.spapr.locked;
	*state = &two;
	return 0;
}

static int teardown(void **state)
{
	struct two *two = *state;

	for (unsigned int i = 0; i < 2; i++) {
		if (two->rig->eps[i].domain)
			leave_space(two->rig, i);
		assert_int_equal(weir_ioas_close(two->spaces[i]), 0);
	}
	assert_int_equal(fake.spapr.overrun + fake.spapr.replaced, 0);
	assert_int_equal(fake.spapr.forsaken + fake.spapr.borrowed, 0);
	assert_int_equal(fake.spapr.locked, 0);
	assert_int_equal(fake_memory(), 0);
	return rig_teardown((void **)&two->rig);
}

/* Pages of the rig's memory, at the place in IOVA that they have there. */
static int map(struct two *two, unsigned int space, size_t first, size_t n)
{
	const struct weir_map_opts opts = { .fixed = true };
	weir_iova iova = GIB / 2 + first * page;

	return weir_ioas_map(two->spaces[space], two->rig->memory + first * page, n * page, &opts,
			     &iova);
}

static int unmap(struct two *two, unsigned int space, size_t first, size_t n)
{
	return weir_ioas_unmap(two->spaces[space], GIB / 2 + first * page, n * page);
}

/* How many pages are pinned. */
static size_t pinned(const struct two *two)
{
	return (fake.spapr.locked - two->locked) / page;
}

static void spaces_share_memory(void **state)
{
	struct two *two = *state;

	assert_int_equal(map(two, 0, 0, 4), 0);
	assert_int_equal(map(two, 1, 0, 4), 0);
	assert_int_equal(pinned(two), 4);
	assert_int_equal(fake_memory(), 1);
	assert_int_equal(unmap(two, 0, 0, 4), 0);
	assert_int_equal(pinned(two), 4);
	assert_int_equal(fake_regions(0), 0);
	assert_int_equal(fake_regions(1), 1);
	assert_int_equal(unmap(two, 1, 0, 4), 0);
	assert_int_equal(pinned(two), 0);
}

/* The kernel would refuse the second, which is neither the same memory nor another. */
static void spaces_map_memory_that_overlaps(void **state)
{
	struct two *two = *state;

	assert_int_equal(map(two, 0, 2, 4), 0);
	assert_int_equal(map(two, 1, 4, 8), 0);
	assert_int_equal(pinned(two), 10);
	assert_int_equal(fake_regions(0), 1);
	assert_int_equal(fake_regions(1), 2);
	/* And over both. */
	assert_int_equal(map(two, 0, 0, 2), 0);
	assert_int_equal(map(two, 0, 12, 4), 0);
	assert_int_equal(unmap(two, 0, 2, 4), 0);
	assert_int_equal(map(two, 0, 2, 10), 0);
	assert_int_equal(pinned(two), 16);
	assert_int_equal(fake_memory(), 4);
	/* The first piece is the second space's now, and whole. */
	assert_int_equal(weir_ioas_unmap_all(two->spaces[0]), 0);
	assert_int_equal(pinned(two), 10);
	assert_int_equal(unmap(two, 1, 4, 8), 0);
	assert_int_equal(pinned(two), 0);
}

static void space_goes_and_leaves_the_other_its_memory(void **state)
{
	struct two *two = *state;

	assert_int_equal(map(two, 0, 0, 4), 0);
	assert_int_equal(map(two, 1, 2, 4), 0);
	leave_space(two->rig, 0);
	two->locked /= 2;
	assert_int_equal(pinned(two), 6);
	assert_true(fake_has(1, GIB / 2 + 2 * page, 4 * page, two->rig->memory + 2 * page, 3));
	/* What nobody has any more is had anew, as what is mapped now. */
	assert_int_equal(unmap(two, 1, 2, 4), 0);
	assert_int_equal(pinned(two), 0);
	assert_int_equal(map(two, 1, 1, 3), 0);
	assert_int_equal(pinned(two), 3);
}

/* Out of the way, what was registered for it; but not what is another's. */
static void refused_memory_is_given_back(void **state)
{
	struct two *two = *state;

	assert_int_equal(map(two, 0, 4, 2), 0);
	fake.bad_memory = two->rig->memory + 9 * page;
	assert_int_equal(map(two, 1, 2, 8), -EFAULT);
	assert_int_equal(pinned(two), 2);
	assert_int_equal(fake_regions(1), 0);
	fake.bad_memory = NULL;
	fake.spapr.memlock = fake.spapr.locked + page;
	assert_int_equal(map(two, 1, 2, 8), -ENOMEM);
	assert_int_equal(map(two, 1, 3, 3), 0);
	assert_int_equal(pinned(two), 3);
}

/* ---- registered ahead ---- */

static int reg(struct two *two, unsigned int space, size_t first, size_t n)
{
	return weir_ioas_register(two->spaces[space], two->rig->memory + first * page, n * page);
}

static int unreg(struct two *two, unsigned int space, size_t first, size_t n)
{
	return weir_ioas_unregister(two->spaces[space], two->rig->memory + first * page, n * page);
}

static void memory_is_registered_ahead(void **state)
{
	struct two *two = *state;

	assert_int_equal(reg(two, 0, 0, PAGES), 0);
	assert_int_equal(pinned(two), PAGES);
	/* What is mapped of it needs nothing: it is all one piece, also where another maps it. */
	fake.spapr.memlock = fake.spapr.locked;
	assert_int_equal(map(two, 0, 2, 3), 0);
	assert_int_equal(map(two, 1, 4, 3), 0);
	assert_int_equal(fake_memory(), 1);
	assert_int_equal(unmap(two, 0, 2, 3), 0);
	assert_int_equal(unmap(two, 1, 4, 3), 0);
	assert_int_equal(fake_regions(1), 0);
	assert_int_equal(weir_ioas_unmap_all(two->spaces[0]), 0);
	assert_int_equal(pinned(two), PAGES);
	assert_int_equal(unreg(two, 0, 0, PAGES), 0);
	assert_int_equal(pinned(two), 0);
}

/* As often as it was; and ranges that overlap are each by themselves. */
static void registering_is_counted(void **state)
{
	struct two *two = *state;

	assert_int_equal(reg(two, 0, 0, 4), 0);
	assert_int_equal(reg(two, 0, 0, 4), 0);
	assert_int_equal(reg(two, 0, 2, 4), 0);
	assert_int_equal(pinned(two), 6);
	assert_int_equal(unreg(two, 0, 0, 4), 0);
	assert_int_equal(pinned(two), 6);
	assert_int_equal(unreg(two, 0, 0, 4), 0);
	/* The piece is whole, or not there. */
	assert_int_equal(pinned(two), 6);
	assert_int_equal(unreg(two, 0, 0, 4), -ENOENT);
	assert_says("aren't registered");
	assert_int_equal(unreg(two, 0, 2, 4), 0);
	assert_int_equal(pinned(two), 0);
}

static void bad_ranges_are_not_registered(void **state)
{
	struct two *two = *state;
	char *memory = two->rig->memory;

	assert_int_equal(weir_ioas_register(two->spaces[0], memory + 1, page), -EINVAL);
	assert_int_equal(weir_ioas_register(two->spaces[0], memory, page + 1), -EINVAL);
	assert_int_equal(weir_ioas_register(two->spaces[0], memory, 0), -EINVAL);
	assert_int_equal(weir_ioas_register(two->spaces[0], (char *)-(2 * page), 4 * page),
			 -EINVAL);
	assert_int_equal(weir_ioas_unregister(two->spaces[0], memory, page), -ENOENT);
	fake.bad_memory = memory + 2 * page;
	assert_int_equal(reg(two, 0, 0, 4), -EFAULT);
	assert_int_equal(unreg(two, 0, 0, 4), -ENOENT);
	fake.bad_memory = NULL;
	fake.spapr.memlock = fake.spapr.locked + page;
	assert_int_equal(reg(two, 0, 0, 4), -ENOMEM);
	assert_int_equal(reg(two, 0, 0, 1), 0);
	assert_int_equal(unreg(two, 0, 0, 1), 0);
}

/* The kernel would say that it did, and keep the pages for good. */
static void what_is_mapped_is_not_unregistered(void **state)
{
	struct two *two = *state;

	assert_int_equal(reg(two, 0, 2, 6), 0);
	assert_int_equal(map(two, 0, 7, 4), 0);
	assert_int_equal(unreg(two, 0, 2, 6), -EBUSY);
	assert_says("is mapped, at IOVA 0x20007000");
	assert_int_equal(reg(two, 0, 2, 6), 0);
	assert_int_equal(unreg(two, 0, 2, 6), 0);
	assert_int_equal(unreg(two, 0, 2, 6), -EBUSY);
	assert_int_equal(unmap(two, 0, 7, 4), 0);
	assert_int_equal(map(two, 0, 0, 2), 0);
	assert_int_equal(map(two, 0, 8, 2), 0);
	assert_int_equal(unreg(two, 0, 2, 6), 0);
	assert_int_equal(pinned(two), 4);
}

/* It is the address space's, which outlives devices. */
static void registered_memory_waits_for_devices(void **state)
{
	struct two *two = *state;

	assert_int_equal(reg(two, 0, 0, 4), 0);
	leave_space(two->rig, 0);
	two->locked /= 2;
	assert_int_equal(pinned(two), 0);
	assert_int_equal(reg(two, 0, 8, 2), 0);
	assert_int_equal(map(two, 0, 2, 1), 0);
	assert_int_equal(pinned(two), 0);
	fake.spapr.memlock = fake.spapr.locked + two->locked + 5 * page;
	assert_int_equal(get_group(two->rig, 0), 0);
	assert_int_equal(wr_ioas_attach(two->spaces[0], &two->rig->eps[0]), -ENOMEM);
	assert_says("registering");
	assert_int_equal(pinned(two), 0);
	fake.spapr.memlock = UINT64_MAX;
	assert_int_equal(wr_ioas_attach(two->spaces[0], &two->rig->eps[0]), 0);
	two->locked *= 2;
	assert_int_equal(pinned(two), 6);
	assert_int_equal(unmap(two, 0, 2, 1), 0);
	assert_int_equal(pinned(two), 6);
	assert_int_equal(unreg(two, 0, 0, 4), 0);
	assert_int_equal(pinned(two), 2);
	/* What still is goes with the address space. */
}

static void others_have_no_memory_ahead(void **state)
{
	struct two *two = *state;
	struct wr_endpoint *ep = &two->rig->eps[2];

	fake.spapr.page_sizes = 0;
	assert_int_equal(get_group(two->rig, 2), 0);
	assert_int_equal(wr_ioas_attach(two->spaces[1], ep), 0);
	assert_string_equal(ep->domain->ops->name, "spapr");
	assert_int_equal(reg(two, 1, 0, 4), -ENOTSUP);
	assert_says("spapr has no memory registered ahead");
	assert_int_equal(pinned(two), GIB / page + (GIB >> 12 << 4) / page);
	assert_int_equal(fake_memory(), 0);
	wr_ioas_detach(ep);
	assert_int_equal(reg(two, 1, 0, 4), 0);
	assert_int_equal(wr_ioas_attach(two->spaces[1], ep), -ENOTSUP);
	assert_says("spapr has no memory registered ahead");
	wr_iommu_group_put(two->rig->iommu, ep->group);
	assert_int_equal(pinned(two), 4);
}

/* ---- pages of hugetlb ---- */

/* As if the rig's memory were hugetlb's from its fourth page on, of pages of four of the system. */
static uint64_t huge_from(struct two *two, size_t first, size_t n)
{
	uint64_t at = (uintptr_t)two->rig->memory, page4 = 4 * page;
	uint64_t huge = (at + first * page + page4 - 1) / page4 * page4;

	fake.spapr.vmas[0].start = at;
	fake.spapr.vmas[0].end = huge;
	fake.spapr.vmas[0].page = page;
	fake.spapr.vmas[1].start = huge;
	fake.spapr.vmas[1].end = huge + n * page4;
	fake.spapr.vmas[1].page = page4;
	fake.spapr.vmas[2].start = huge + n * page4;
	fake.spapr.vmas[2].end = at + PAGES * page;
	fake.spapr.vmas[2].page = page;
	return (huge - at) / page;
}

/* Windows of its pages take it only from pieces that begin and end where its pages do. */
static void hugetlb_is_registered_by_its_pages(void **state)
{
	struct two *two = *state;
	size_t huge = huge_from(two, 1, 2);

	assert_int_equal(map(two, 0, huge + 1, 1), 0);
	assert_int_equal(pinned(two), 4);
	assert_int_equal(map(two, 0, huge + 3, 2), 0);
	assert_int_equal(pinned(two), 8);
	assert_int_equal(unmap(two, 0, huge + 1, 1), 0);
	assert_int_equal(pinned(two), 8);
	assert_int_equal(unmap(two, 0, huge + 3, 2), 0);
	assert_int_equal(pinned(two), 0);
}

static void pages_of_one_size_are_one_piece(void **state)
{
	struct two *two = *state;
	size_t huge = huge_from(two, 1, 2);

	/* One page before, all of it, one page behind. */
	assert_int_equal(map(two, 0, huge - 1, 10), 0);
	assert_int_equal(pinned(two), 10);
	assert_int_equal(fake_regions(0), 3);
	assert_int_equal(unmap(two, 0, huge - 1, 10), 0);
	/* Neighbours of one size are one, and what isn't memory is the kernel's to refuse. */
	fake.spapr.vmas[1].page = page;
	assert_int_equal(map(two, 0, 0, PAGES), 0);
	assert_int_equal(fake_regions(0), 1);
	assert_int_equal(unmap(two, 0, 0, PAGES), 0);
	fake.spapr.vmas[2].end = 0;
	fake.bad_memory = two->rig->memory + (PAGES - 1) * page;
	assert_int_equal(map(two, 0, 0, PAGES), -EFAULT);
	assert_int_equal(pinned(two), 0);
}

/* Where a part was registered before anyone knew of pages, its neighbours can't be whole. */
static void whole_pages_never_overlap_a_piece(void **state)
{
	struct two *two = *state;
	size_t huge;

	huge = huge_from(two, 1, 2);
	fake.spapr.vmas[0].page = 0;
	assert_int_equal(map(two, 0, huge + 1, 1), 0);
	assert_int_equal(map(two, 0, huge + 5, 1), 0);
	assert_int_equal(pinned(two), 2);
	fake.spapr.vmas[0].page = page;
	assert_int_equal(map(two, 1, huge + 2, 1), 0);
	assert_int_equal(map(two, 1, huge + 4, 1), 0);
	assert_int_equal(map(two, 1, huge, 1), 0);
	assert_int_equal(map(two, 1, huge + 6, 1), 0);
	assert_int_equal(pinned(two), 8);
}

/* ---- threads, and processes ---- */

struct worker {
	struct two *two;
	unsigned int space, seed;
	int ret;
};

/* Overlapping pieces of the same memory come and go in both spaces. */
static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < 400 && !w->ret; i++) {
		size_t first = (size_t)rand_r(&w->seed) % (PAGES - 1);
		size_t n = 1 + (size_t)rand_r(&w->seed) % (PAGES - first);

		w->ret = map(w->two, w->space, first, n);
		if (!w->ret && i % 3)
			w->ret = unmap(w->two, w->space, first, n);
		else if (!w->ret)
			w->ret = weir_ioas_unmap_all(w->two->spaces[w->space]);
	}
	return NULL;
}

static void spaces_map_in_threads(void **state)
{
	struct worker workers[2];
	pthread_t threads[2];

	for (unsigned int i = 0; i < 2; i++) {
		workers[i] = (struct worker){ .two = *state, .space = i, .seed = i + 1 };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].ret, 0);
	}
	assert_int_equal(pinned(*state), 0);
}

/* What its parent has registered isn't registered in a child, which has pages of its own. */
static int in_child(const struct rig *parent)
{
	struct rig rig = *parent;
	struct weir_ioas *as;
	weir_iova iova;

	if (weir_iommu_open(NULL, &rig.iommu) || weir_ioas_open(rig.iommu, &as) ||
	    get_group(&rig, 2) || wr_ioas_attach(as, &rig.eps[2]))
		return 1;
	if (weir_ioas_map(as, rig.memory + page, 2 * page, NULL, &iova))
		return 2;
	if (fake_regions(2) != 1 || weir_ioas_unmap(as, iova, 2 * page) || fake_regions(2))
		return 3;
	return 0;
}

static void child_has_a_book_of_its_own(void **state)
{
	struct two *two = *state;
	uint64_t before;
	int status;
	pid_t child;

	assert_int_equal(map(two, 0, 0, 2), 0);
	before = fake.spapr.locked;
	child = fork();
	if (!child)
		_exit(in_child(two->rig));
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(fake.spapr.locked, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(spaces_share_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(spaces_map_memory_that_overlaps, setup, teardown),
		cmocka_unit_test_setup_teardown(space_goes_and_leaves_the_other_its_memory, setup,
						teardown),
		cmocka_unit_test_setup_teardown(refused_memory_is_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_registered_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(registering_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_ranges_are_not_registered, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_mapped_is_not_unregistered, setup,
						teardown),
		cmocka_unit_test_setup_teardown(registered_memory_waits_for_devices, setup,
						teardown),
		cmocka_unit_test_setup_teardown(others_have_no_memory_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(hugetlb_is_registered_by_its_pages, setup,
						teardown),
		cmocka_unit_test_setup_teardown(pages_of_one_size_are_one_piece, setup, teardown),
		cmocka_unit_test_setup_teardown(whole_pages_never_overlap_a_piece, setup, teardown),
		cmocka_unit_test_setup_teardown(spaces_map_in_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(child_has_a_book_of_its_own, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
