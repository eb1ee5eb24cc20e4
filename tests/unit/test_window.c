/* SPDX-License-Identifier: MIT */
/*
 * Windows of IOVAs over a kernel that is made up (fake_spapr.c): which are made and removed, and
 * where in them IOVAs are chosen.
 */
#include "window_rig.h"

/* ---- made and removed ---- */

static void window_is_made_used_and_removed(void **state)
{
	struct rig *rig = *state;
	struct weir_window w, windows[3];
	uint64_t locked;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, HIGH, rig->memory, page), -EINVAL);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	locked = fake.spapr.locked;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(add(rig, GIB, 4096, &w), 0);
		assert_int_equal(w.first, HIGH);
		assert_int_equal(w.last, HIGH + GIB - 1);
		assert_int_equal(map_at(rig, w.last + 1 - page, rig->memory, page), 0);
		assert_int_equal(weir_ioas_remove_window(rig->as, w.first), -EBUSY);
		assert_says("unmap it first");
		assert_int_equal(weir_ioas_windows(rig->as, windows, 3), 2);
		assert_same(&windows[1], &w);
		assert_int_equal(weir_ioas_unmap(rig->as, w.last + 1 - page, page), 0);
		assert_int_equal(weir_ioas_remove_window(rig->as, w.first), 0);
		assert_int_equal(fake.spapr.locked, locked);
	}
	assert_int_equal(weir_ioas_windows(rig->as, windows, 3), 1);
	assert_int_equal(windows[0].first, 0);
	assert_int_equal(windows[0].last, GIB - 1);
	assert_int_equal(windows[0].page_size, 4096);
	assert_false(windows[0].made);
	assert_int_equal(rig->as->maps.ranges.n, 1);
	assert_int_equal(map_at(rig, HIGH, rig->memory, page), -EINVAL);
	assert_int_equal(weir_ioas_remove_window(rig->as, w.first), -ENOENT);
	detach(rig, 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
}

static void bad_windows_are_refused_before_they_are_asked_for(void **state)
{
	static const struct {
		struct weir_window_opts opts;
		const char *says;
	} bad[] = {
		{ { .size = GIB + 1 }, "must be powers of two" },
		{ { .page_size = 12288 }, "must be powers of two" },
		{ { .memory = 6 * MIB }, "must be powers of two" },
		{ { .page_size = MIB }, "it has 4 KiB, 64 KiB, 2048 KiB, 16384 KiB" },
		{ { .memory = 2048 }, "2048 bytes or less" },
		{ { .page_size = 2 * MIB, .size = MIB }, "smaller than its pages" },
		{ { .page_size = 4096, .size = 2048 }, "smaller than its pages" },
		{ { .levels = 6 }, "has 5 at most" },
		{ { .reserved = { 0, 0, 0, 1 } }, "reserved" },
	};
	struct rig *rig = *state;
	struct weir_window_info info;

	assert_int_equal(weir_ioas_add_window(rig->as, NULL, NULL), -ENODEV);
	assert_int_equal(weir_ioas_window_info(rig->as, &info), -ENODEV);
	assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), -ENOENT);
	assert_int_equal(attach(rig, 0), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(weir_ioas_add_window(rig->as, &bad[i].opts, NULL), -EINVAL);
		assert_says(bad[i].says);
	}
	assert_int_equal(fake.spapr.creates, 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 4096), -ENOENT);
	detach(rig, 0);
}

static void other_interfaces_have_no_windows(void **state)
{
	struct rig *rig = *state;
	struct weir_window_info info;
	struct weir_window w;

	attach_soft(rig);
	assert_int_equal(weir_ioas_window_info(rig->as, &info), -ENOTSUP);
	assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), 0);
	assert_int_equal(weir_ioas_add_window(rig->as, NULL, NULL), -ENOTSUP);
	assert_says("by soft");
	assert_int_equal(weir_device_close(rig->soft), 0);
	rig->soft = NULL;
	/* Version 1 has the default one, and makes no other. */
	fake.spapr.page_sizes = 0;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_windows(rig->as, &w, 1), 1);
	assert_int_equal(w.last, GIB - 1);
	assert_int_equal(weir_ioas_window_info(rig->as, &info), 0);
	assert_int_equal(info.page_sizes, 0);
	assert_int_equal(info.standard.last, GIB - 1);
	assert_int_equal(weir_ioas_add_window(rig->as, NULL, NULL), -ENOTSUP);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), -ENOTSUP);
	/* One of two has none: what was told before stays. */
	attach_soft(rig);
	info.windows = 77;
	assert_int_equal(weir_ioas_window_info(rig->as, &info), -ENOTSUP);
	assert_int_equal(info.windows, 77);
	assert_int_equal(weir_device_close(rig->soft), 0);
	rig->soft = NULL;
	detach(rig, 0);
}

static void info_is_the_hosts(void **state)
{
	struct rig *rig = *state;
	struct weir_window_info info;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_window_info(rig->as, &info), 0);
	assert_int_equal(info.page_sizes, 0x1211000);
	assert_int_equal(info.windows, 2);
	assert_int_equal(info.levels, 5);
	assert_int_equal(info.standard.first, 0);
	assert_int_equal(info.standard.last, GIB - 1);
	assert_int_equal(info.standard.page_size, 4096);
	detach(rig, 0);
}

static void windows_run_out(void **state)
{
	struct rig *rig = *state;
	struct weir_window w;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(add(rig, GIB, 4096, &w), 0);
	assert_int_equal(add(rig, GIB, 4096, &w), -ENOSPC);
	assert_says("as many as there can be");
	/* The default one goes, and another comes in its place where the host can. */
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), -EINVAL);
	assert_int_equal(add(rig, GIB / 4, 65536, &w), 0);
	assert_int_equal(w.first, 0);
	assert_true(w.made);
	assert_int_equal(rig->as->maps.ranges.n, 2);
	assert_int_equal(rig->as->maps.ranges.r[0].last, GIB / 4 - 1);
	assert_int_equal(rig->as->maps.ranges.r[1].first, HIGH);
	assert_int_equal(map_at(rig, HIGH, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	/* And in turn the default one, which then isn't the caller's. */
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(add(rig, GIB, 4096, &w), 0);
	assert_false(w.made);
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), 0);
	detach(rig, 0);
	assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), 0);
}

/* What pSeries would refuse, or never forget, isn't asked of it. */
static void pseries_has_one_beside_the_default_one(void **state)
{
	struct rig *rig = *state;
	struct weir_window w;
	uint64_t locked;

	pseries();
	assert_int_equal(attach(rig, 0), 0);
	locked = fake.spapr.locked;
	/* It differs from the default one by its place alone. */
	assert_int_equal(add(rig, GIB, 4096, &w), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	fake.spapr.creates = 0;
	assert_int_equal(add(rig, GIB, 4096, &w), -EPERM);
	assert_says("nor the default one again");
	assert_int_equal(add(rig, GIB, 65536, &w), -EPERM);
	assert_int_equal(fake.spapr.creates, 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), 0);
	assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), 0);
	assert_int_equal(add(rig, GIB, 4096, &w), 0);
	assert_false(w.made);
	assert_int_equal(fake.spapr.locked, locked);
	detach(rig, 0);
}

static void nothing_is_mapped_without_a_window(void **state)
{
	struct rig *rig = *state;
	weir_iova iova;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), -ENOSPC);
	assert_says("none, weir_ioas_add_window() makes one");
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), -EINVAL);
	detach(rig, 0);
	/* Nor when the next device comes: that is how the address space is. */
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), -ENOSPC);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(fake_windows(0), 0);
	assert_int_equal(add(rig, GIB, 4096, NULL), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
}

static void what_is_allowed_stays(void **state)
{
	const struct weir_iova_range high = { HIGH, HIGH + GIB - 1 };
	struct rig *rig = *state;
	weir_iova iova;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_allow(rig->as, &high, 1), -EINVAL);
	assert_int_equal(add(rig, GIB, 4096, NULL), 0);
	assert_int_equal(weir_ioas_allow(rig->as, &high, 1), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), -EBUSY);
	assert_says("weir_ioas_allow()");
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_int_equal(iova, HIGH);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(weir_ioas_allow(rig->as, NULL, 0), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), 0);
	detach(rig, 0);
}

/* ---- chosen ---- */

/* 4 KiB, 64 KiB, 2 MiB and 16 MiB are offered. */
static void pages_are_the_largest_that_the_memory_has(void **state)
{
	static const struct {
		uint64_t memory;
		unsigned int shift;
	} cases[] = {
		{ 4096, 12 }, { 16384, 12 }, { 65536, 16 }, { 2 * MIB, 21 }, { GIB, 24 },
	};
	struct rig *rig = *state;
	struct weir_window w;

	assert_int_equal(attach(rig, 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct weir_window_opts opts = { .memory = cases[i].memory };

		assert_int_equal(weir_ioas_add_window(rig->as, &opts, &w), 0);
		assert_int_equal(w.page_size, 1ull << cases[i].shift);
		assert_int_equal(w.last - w.first + 1, 1ull << (18 + cases[i].shift));
		assert_int_equal(caps_of(rig).page_sizes, 4096 | 1ull << cases[i].shift);
		assert_int_equal(weir_ioas_remove_window(rig->as, w.first), 0);
	}
	assert_int_equal(weir_ioas_add_window(rig->as, NULL, &w), 0);
	assert_true(w.page_size <= page);
	assert_int_equal(weir_ioas_remove_window(rig->as, w.first), 0);
	assert_int_equal(fake.spapr.creates, 6);
	detach(rig, 0);
}

static void levels_are_as_few_as_do(void **state)
{
	/* The last ones would be refused with more: the levels' bits and the page's are < 55. */
	static const struct { uint64_t page, size; unsigned int levels; } cases[] = {
		{ 4096, 512 * MIB, 1 }, { 4096, GIB, 2 }, { 4096, 1ull << 46, 2 },
		{ 4096, 1ull << 47, 3 }, { 4096, 1ull << 54, 3 }, { 65536, 1ull << 54, 2 },
	};
	struct rig *rig = *state;
	struct weir_window w;
	uint64_t locked;

	assert_int_equal(attach(rig, 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(add(rig, cases[i].size, cases[i].page, &w), 0);
		assert_int_equal(w.levels, cases[i].levels);
		assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), 0);
	}
	/* Asked for, they are what is asked for. */
	assert_int_equal(weir_ioas_add_window(rig->as, &(struct weir_window_opts){
			 .page_size = 4096, .size = GIB, .levels = 3 }, &w), 0);
	assert_int_equal(w.levels, 3);
	assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), 0);
	/* Tried once more, where smaller tables can be; and where not, or all is said, not. */
	locked = fake.spapr.locked;
	fake.spapr.creates = 0;
	fake.spapr.create_error = -ENOMEM;
	assert_int_equal(add(rig, 512 * MIB, 4096, &w), -ENOMEM);
	assert_int_equal(fake.spapr.creates, page == 4096 ? 2 : 1);
	fake.spapr.creates = 0;
	assert_int_equal(add(rig, 16 * MIB, 65536, &w), -ENOMEM);
	assert_int_equal(weir_ioas_add_window(rig->as, &(struct weir_window_opts){
			 .page_size = 4096, .size = GIB, .levels = 1 }, &w), -ENOMEM);
	fake.spapr.create_error = -EINVAL;
	assert_int_equal(add(rig, 512 * MIB, 4096, &w), -EINVAL);
	assert_int_equal(fake.spapr.creates, 3);
	detach(rig, 0);
	/* The kernel's own leak. */
	assert_true(fake.spapr.locked >= locked - (GIB >> 12 << 4));
	fake.spapr.locked = 0;
}

static void pseries_never_forgets_a_failure(void **state)
{
	struct rig *rig = *state;

	pseries();
	assert_int_equal(attach(rig, 0), 0);
	fake.spapr.create_error = -ENODEV;
	assert_int_equal(add(rig, GIB, 65536, NULL), -ENODEV);
	assert_says("until the machine restarts");
	assert_int_equal(fake.spapr.creates, 1);
	/* What there is goes on. */
	assert_int_equal(map_at(rig, GIB / 2, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
	fake.spapr.create_error = 0;
	assert_int_equal(attach(rig, 0), -ENODEV);
	assert_says("until the machine restarts");
	fake.spapr.locked = 0;
}

/* What comes out of a kernel isn't always what it should be. */
static void odd_answers_are_refused(void **state)
{
	struct rig *rig = *state;
	uint64_t locked;

	assert_int_equal(attach(rig, 0), 0);
	locked = fake.spapr.locked;
	for (int i = 0; i < 3; i++) {
		fake.spapr.place = i == 0 ? GIB / 2 : i == 1 ? HIGH + 4096 : 0 - GIB / 2;
		assert_int_equal(add(rig, GIB, 65536, NULL), -EREMOTEIO);
		assert_says("where one is, or none can be");
		assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), 1);
		fake.spapr.place = 0;
		detach(rig, 0);
		assert_int_equal(attach(rig, 0), 0);
	}
	assert_int_equal(fake.spapr.locked, locked);
	/* RTAS' answer, which query_ddw() hands on: busy. */
	fake.spapr.create_error = 9900;
	assert_int_equal(add(rig, GIB, 65536, NULL), -EREMOTEIO);
	assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), 1);
	detach(rig, 0);
	fake.spapr.locked = fake.spapr.create_error = 0;
	/* A virtual function can have one window alone. */
	fake.spapr.windows = 1;
	assert_int_equal(attach(rig, 0), 0);
	fake.spapr.creates = 0;
	assert_int_equal(add(rig, GIB, 65536, NULL), -ENOSPC);
	assert_int_equal(fake.spapr.creates, 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(add(rig, GIB, 65536, NULL), 0);
	detach(rig, 0);
}

static void limit_of_locked_memory_is_told(void **state)
{
	struct rig *rig = *state;
	uint64_t locked;

	assert_int_equal(attach(rig, 0), 0);
	locked = fake.spapr.locked;
	fake.spapr.memlock = locked + 2 * page;
	assert_int_equal(add(rig, GIB, 4096, NULL), -ENOMEM);
	assert_int_equal(fake.spapr.locked, locked);
	assert_int_equal(weir_ioas_windows(rig->as, NULL, 0), 1);
	detach(rig, 0);
}

/* ---- where IOVAs lie ---- */

static int map(struct rig *rig, uint64_t offset, size_t len, weir_iova limit, weir_iova *iova)
{
	const struct weir_map_opts opts = { .limit = limit };

	return weir_ioas_map(rig->as, rig->memory + offset, len, &opts, iova);
}

/* The lowest with small pages; only when those are full, one with larger ones. */
static void iovas_are_in_the_lowest_window_of_small_pages(void **state)
{
	char *large = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	char *aligned = (char *)(((uintptr_t)large + 2 * MIB - 1) & ~(2 * MIB - 1));
	struct rig *rig = *state;
	struct weir_window w;
	weir_iova iova;

	fake.spapr.backing = 21;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(add(rig, 512 * GIB, 2 * MIB, &w), 0);
	/* Also if the memory could lie in the larger ones. */
	assert_int_equal(weir_ioas_map(rig->as, aligned, 2 * MIB, NULL, &iova), 0);
	assert_int_equal(iova, 2 * MIB);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 2 * MIB), 0);
	/* In the default one's place larger pages: now the small ones are above. */
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, HIGH), 0);
	assert_int_equal(add(rig, GIB, 2 * MIB, &w), 0);
	assert_int_equal(w.first, 0);
	assert_int_equal(add(rig, GIB, 4096, &w), 0);
	assert_int_equal(w.first, HIGH);
	assert_int_equal(map(rig, 0, page, 0, &iova), 0);
	assert_int_equal(iova, HIGH);
	assert_int_equal(weir_ioas_map(rig->as, aligned, 2 * MIB, NULL, &iova), 0);
	assert_int_equal(iova, HIGH + 2 * MIB);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 2 * MIB), 0);
	/* Up to there is only the one with larger pages. */
	assert_int_equal(weir_ioas_map(rig->as, aligned, 2 * MIB, &(struct weir_map_opts){
			 .limit = HIGH }, &iova), 0);
	assert_int_equal(iova, 2 * MIB);
	assert_int_equal(map(rig, page, page, HIGH - 1, &iova), -ENOSPC);
	assert_says("0x0-0x3fffffff in pages of 2048 KiB, of which address and length must be");
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
	assert_int_equal(munmap(large, 4 * MIB), 0);
}

/* That the memory isn't made of such pages only the kernel knows. */
static void small_pages_in_large_ones_are_refused_in_words(void **state)
{
	char *large = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	char *aligned = (char *)(((uintptr_t)large + 2 * MIB - 1) & ~(2 * MIB - 1));
	struct rig *rig = *state;
	weir_iova iova = HIGH;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(add(rig, GIB, 2 * MIB, NULL), 0);
	assert_int_equal(map_at(rig, HIGH, aligned, 2 * MIB), -EINVAL);
	assert_says("smaller than the window's (2048 KiB; take hugetlb memory, or a window of");
	assert_int_equal(map_at(rig, HIGH, aligned, page), -EINVAL);
	assert_says("must be multiples");
	assert_int_equal(fake_mappings(0), 0);
	/* Where the small ones have no room, the next place that has isn't one. */
	assert_int_equal(weir_ioas_allow(rig->as, (struct weir_iova_range[]){
			 { 0, 2 * page - 1 }, { HIGH, HIGH + GIB - 1 } }, 2), 0);
	assert_int_equal(weir_ioas_map(rig->as, aligned, 2 * page, NULL, &iova), -ENOSPC);
	assert_int_equal(weir_ioas_map(rig->as, aligned, page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, page), 0);
	assert_int_equal(weir_ioas_allow(rig->as, NULL, 0), 0);
	/* With the other gone, it is the only place, and the answer is the same. */
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(weir_ioas_map(rig->as, aligned, 2 * MIB, NULL, &iova), -EINVAL);
	assert_int_equal(weir_ioas_map(rig->as, aligned, page, NULL, &iova), -ENOSPC);
	detach(rig, 0);
	assert_int_equal(munmap(large, 4 * MIB), 0);
}

/* Of a window at 0, the first of its pages isn't used: 0 is no automatic IOVA. */
static void iovas_are_multiples_of_the_windows_pages(void **state)
{
	struct rig *rig = *state;
	char *memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = (char *)(((uintptr_t)memory + 65535) & ~65535ull);
	struct iovec iov[2];
	weir_iova iova;

	fake.spapr.backing = 16;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(add(rig, 8 * 65536, 65536, NULL), 0);
	for (unsigned int i = 1; i < 7; i += 2) {
		assert_int_equal(weir_ioas_map(rig->as, aligned + i * 65536, 2 * 65536, NULL,
					       &iova), 0);
		assert_int_equal(iova, i * 65536);
	}
	assert_int_equal(weir_ioas_unmap(rig->as, 3 * 65536, 2 * 65536), 0);
	iov[0] = (struct iovec){ aligned, 65536 };
	iov[1] = (struct iovec){ aligned + 3 * 65536, 65536 };
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, NULL, &iova), 0);
	assert_int_equal(iova, 3 * 65536);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 2 * 65536), 0);
	iov[0].iov_len = page;
	if (page < 65536) {
		assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, NULL, &iova), -ENOSPC);
		assert_int_equal(weir_ioas_map(rig->as, aligned + page, 65536, NULL, &iova),
				 -ENOSPC);
		assert_says("of which address and length must be multiples");
	}
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
	assert_int_equal(munmap(memory, MIB), 0);
}

/* A device that doesn't reach 2^59 keeps automatic IOVAs low. */
static void devices_keep_iovas_in_their_reach(void **state)
{
	struct rig *rig = *state;
	weir_iova iova;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(add(rig, GIB, 4096, NULL), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(map(rig, 0, page, 0, &iova), 0);
	assert_int_equal(iova, HIGH);
	assert_int_equal(map(rig, page, page, HIGH - 1, &iova), -ENOSPC);
	rig->eps[1].dma_bits = 40;
	assert_int_equal(attach(rig, 1), 0);
	assert_int_equal(map(rig, page, page, 0, &iova), -ENOSPC);
	assert_says("up to 0xffffffffff");
	detach(rig, 1);
	assert_int_equal(map(rig, page, page, 0, &iova), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
}

/* One may begin where another ends: that is no way across. */
static void nothing_lies_in_two_windows(void **state)
{
	struct rig *rig = *state;
	struct wr_domain *d;
	struct iovec iov[2] = { { rig->memory, page }, { rig->memory + page, page } };
	const struct weir_map_opts fixed = { .fixed = true };
	weir_iova iova = GIB - page;

	assert_int_equal(attach(rig, 0), 0);
	d = rig->eps[0].domain;
	/* No platform has it so; but what a kernel says is up to it. */
	d->windows.n = 2;
	d->windows.w[1] = (struct wr_window){ .first = GIB, .last = 2 * GIB - 1, .page_shift = 12 };
	d->windows.low_end = UINT32_MAX;
	wr_ranges_of_windows(&d->windows, &d->ranges);
	assert_int_equal(wr_ioas_recompute(rig->as), 0);
	assert_int_equal(rig->as->maps.ranges.n, 2);
	assert_int_equal(map_at(rig, GIB - page, rig->memory, 2 * page), -EINVAL);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, &fixed, &iova), -EINVAL);
	assert_int_equal(weir_ioas_allow(rig->as, &(struct weir_iova_range){ 0, 2 * GIB - 1 }, 1),
			 -EINVAL);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_ioas_allow(rig->as, (struct weir_iova_range[]){
			 { page, 2 * page - 1 }, { GIB - page, GIB - 1 } }, 2), 0);
	assert_int_equal(map(rig, 0, 2 * page, 0, &iova), -ENOSPC);
	assert_int_equal(map(rig, 0, page, 0, &iova), 0);
	assert_int_equal(iova, GIB - page);
	assert_int_equal(weir_ioas_unmap(rig->as, page, page), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, page), 0);
	detach(rig, 0);
}

/* What is below 4 GiB and no window by itself are registers of devices. */
static void large_low_window_has_a_hole(void **state)
{
	struct rig *rig = *state;
	struct weir_window w;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_remove_window(rig->as, 0), 0);
	assert_int_equal(add(rig, 8 * GIB, 4096, &w), 0);
	assert_int_equal(w.last, 8 * GIB - 1);
	assert_int_equal(rig->as->maps.ranges.n, 2);
	assert_int_equal(map_at(rig, GIB - page, rig->memory, page), 0);
	assert_int_equal(map_at(rig, GIB, rig->memory, page), -EINVAL);
	assert_int_equal(map_at(rig, 4 * GIB - page, rig->memory, page), -EINVAL);
	assert_int_equal(map_at(rig, 4 * GIB, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	detach(rig, 0);
}

/* Of larger pages alone, memory is asked of the system's pool. */
static void memory_has_the_pages_that_its_window_needs(void **state)
{
	const struct weir_iova_range low = { 0, GIB - 1 };
	struct rig *rig = *state;
	struct weir_mem *mem;

	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(add(rig, GIB, 16 * MIB, NULL), 0);
	assert_int_equal(weir_mem_alloc(rig->as, page, NULL, &mem), 0);
	assert_int_equal(weir_mem_len(mem), page);
	assert_true(weir_mem_iova(mem) < GIB);
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(wr_ioas_least_page(rig->as, UINT64_MAX), 4096);
	assert_int_equal(weir_ioas_allow(rig->as, &(struct weir_iova_range){ HIGH, HIGH + GIB - 1 },
					 1), 0);
	assert_int_equal(wr_ioas_least_page(rig->as, UINT64_MAX), 16 * MIB);
	assert_int_equal(wr_ioas_least_page(rig->as, HIGH - 1), 0);
	/* Which this machine may have or not; they aren't what the fake kernel finds. */
	assert_true(weir_mem_alloc(rig->as, page, NULL, &mem) < 0);
	assert_says("hugetlb");
	assert_true(weir_mem_alloc(rig->as, page, &(struct weir_mem_opts){ .huge = true },
				   &mem) < 0);
	assert_says("hugetlb");
	assert_int_equal(weir_ioas_allow(rig->as, &low, 1), 0);
	assert_int_equal(wr_ioas_least_page(rig->as, UINT64_MAX), 4096);
	assert_int_equal(weir_ioas_allow(rig->as, NULL, 0), 0);
	detach(rig, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(window_is_made_used_and_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			bad_windows_are_refused_before_they_are_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(other_interfaces_have_no_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(info_is_the_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(windows_run_out, setup, teardown),
		cmocka_unit_test_setup_teardown(pseries_has_one_beside_the_default_one, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nothing_is_mapped_without_a_window, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_allowed_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_are_the_largest_that_the_memory_has, setup,
						teardown),
		cmocka_unit_test_setup_teardown(levels_are_as_few_as_do, setup, teardown),
		cmocka_unit_test_setup_teardown(pseries_never_forgets_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_answers_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(limit_of_locked_memory_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			iovas_are_in_the_lowest_window_of_small_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(
			small_pages_in_large_ones_are_refused_in_words, setup, teardown),
		cmocka_unit_test_setup_teardown(iovas_are_multiples_of_the_windows_pages, setup,
						teardown),
		cmocka_unit_test_setup_teardown(devices_keep_iovas_in_their_reach, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_lies_in_two_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(large_low_window_has_a_hole, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_has_the_pages_that_its_window_needs, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
