/* SPDX-License-Identifier: MIT */
/* What an address space can have that goes to another process: copies, limits; and what not. */
#include "handover_rig.h"
#include "ioas/record.h"

#define ARRAY(...) ((const struct weir_iova_range[]){ __VA_ARGS__ })
#define MIB (1ull << 20)
#define LOW { MIB, 2 * MIB - 1 }
#define HIGH { 1ull << 40, (1ull << 40) + MIB - 1 }

static void assert_refused(int ret, int err, const char *part)
{
	if (ret != err)
		fail_msg("%d instead of %d: %s", ret, err, weir_errmsg());
	assert_says(part);
}

/* ---- copies ---- */

static void copies_go_as_units_of_their_own(void **state)
{
	const struct weir_map_opts read_only = { .dir = WEIR_DMA_TO_DEVICE };
	weir_iova mem_at = weir_mem_iova(mem), file_copy, mem_copy;
	ino_t inodes[2] = { inode(file), inode(weir_mem_fd(mem)) };
	struct weir_ioas *space;
	char *bytes, *same;
	int list[FDS];

	(void)state;
	assert_int_equal(weir_ioas_copy(as, as, file_at, 4 * PAGE, &read_only, &file_copy), 0);
	assert_int_equal(weir_ioas_copy(as, as, mem_at, 2 * PAGE, NULL, &mem_copy), 0);
	n_fds = weir_ioas_export(as, fds, FDS);
	assert_int_equal(n_fds, 10);
	receive(list);
	assert_refused(weir_ioas_unmap(as, mem_copy, 2 * PAGE), -EPERM, "handed over");
	/* Here the weir_mem goes with its copies, which nobody could unmap. */
	close_here();
	assert_int_equal(fake_objects(), objects);
	space = import(list);
	close_list(list);
	assert_int_equal(fake_charged(0), 0);
	assert_int_equal(fake_ioas_mappings(0), 4);
	assert_true(fake_ioas_has(0, file_at, 4 * PAGE, 2 * PAGE, BOTH, inodes[0]));
	assert_int_equal(weir_ioas_to_vaddr(space, file_at, (void **)&bytes, NULL), 0);
	assert_int_equal(weir_ioas_to_vaddr(space, file_copy, (void **)&same, NULL), 0);
	assert_ptr_not_equal(bytes, same);
	strcpy(bytes, "weir");
	assert_string_equal(same, "weir");
	assert_int_equal(weir_ioas_to_vaddr(space, mem_at, (void **)&bytes, NULL), 0);
	assert_int_equal(weir_ioas_to_vaddr(space, mem_copy, (void **)&same, NULL), 0);
	bytes[5] = 5;
	assert_int_equal(same[5], 5);

	/* Each goes by itself; and a device that comes has those that stay. */
	assert_int_equal(weir_ioas_unmap(space, file_at, 4 * PAGE), 0);
	assert_int_equal(weir_ioas_unmap(space, mem_at, 2 * PAGE), 0);
	assert_true(fake_ioas_has(0, mem_copy, 2 * PAGE, 0, WR_IOMMU_MAP_READ, inodes[1]));
	assert_int_equal(weir_ioas_close(space), 0);
	assert_int_equal(fake_objects(), 0);
}

static void copies_elsewhere_stay(void **state)
{
	struct weir_iommu *iommu;
	struct weir_device *second;
	struct weir_ioas *one, *other;
	struct weir_mem *shared;
	weir_iova at, copy, here;
	void *vaddr;

	(void)state;
	assert_int_equal(weir_iommu_open(NULL, &iommu), 0);
	assert_int_equal(weir_ioas_open(iommu, &one), 0);
	assert_int_equal(weir_ioas_open(iommu, &other), 0);
	second = open_by("0000:02:00.0", one);
	assert_int_equal(weir_mem_alloc(one, PAGE, &(struct weir_mem_opts){ .shared = true },
					&shared), 0);
	at = weir_mem_iova(shared);
	assert_int_equal(weir_ioas_copy(other, one, at, PAGE, NULL, &copy), 0);
	assert_int_equal(weir_ioas_copy(one, one, at, PAGE, NULL, &here), 0);
	assert_int_equal(weir_ioas_export(one, fds, FDS), 5);
	assert_refused(weir_ioas_copy(other, one, at, PAGE, NULL, &copy), -EPERM, "handed over");
	assert_refused(weir_ioas_copy(one, other, copy, PAGE, NULL, &at), -EPERM, "handed over");
	assert_int_equal(weir_ioas_to_vaddr(other, copy, &vaddr, NULL), 0);
	assert_ptr_equal(vaddr, weir_mem_ptr(shared));
	assert_refused(weir_mem_free(shared), -EBUSY, "unmap the copies first");
	assert_int_equal(weir_ioas_to_vaddr(one, here, &vaddr, NULL), 0);
	assert_int_equal(weir_ioas_unmap(other, copy, PAGE), 0);
	assert_int_equal(weir_mem_free(shared), 0);
	assert_int_equal(weir_ioas_to_vaddr(one, here, &vaddr, NULL), -ENOENT);
	assert_int_equal(weir_device_close(second), 0);
	assert_int_equal(weir_ioas_close(one), 0);
	assert_int_equal(weir_ioas_close(other), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
}

/* ---- registers ---- */

static void registers_stay(void **state)
{
	struct weir_bar *bar;
	weir_iova iova;
	char text[64];

	(void)state;
	fake.device.features |= 1u << WEIR_FEATURE_DMA_BUF;
	assert_int_equal(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &bar), 0);
	assert_int_equal(weir_ioas_map_bar(as, bar, 0, PAGE, NULL, &iova), 0);
	snprintf(text, sizeof(text), "IOVA 0x%llx, %zu bytes: a bar's registers",
		 (unsigned long long)iova, PAGE);
	assert_refused(weir_ioas_export(as, fds, FDS), -ENOTSUP, text);
	assert_int_equal(weir_ioas_unmap(as, iova, PAGE), 0);
	hand_over();
	assert_refused(weir_ioas_map_bar(as, bar, 0, PAGE, NULL, &iova), -EPERM, "handed over");
	assert_int_equal(weir_ioas_keep(as), 0);
	assert_int_equal(weir_bar_close(bar), 0);
	assert_whole();
}

/* ---- limits ---- */

static struct weir_ioas *limited;
static struct weir_device *there;

/* Two ranges and small pages, a mapping in the upper one, and a device that has handed it over. */
static void hand_over_limited(void)
{
	const struct weir_map_opts fixed = { .fixed = true };

	assert_int_equal(weir_ioas_open(NULL, &limited), 0);
	assert_int_equal(weir_ioas_small_pages(limited, true), 0);
	assert_int_equal(weir_ioas_allow(limited, ARRAY(LOW, HIGH), 2), 0);
	there = open_by("0000:02:00.0", limited);
	file_at = 1ull << 40;
	assert_int_equal(weir_ioas_map_fd(limited, file, 0, PAGE, &fixed, &file_at), 0);
	n_fds = weir_ioas_export(limited, fds, FDS);
	assert_int_equal(n_fds, 4);
}

static void close_limited(void)
{
	assert_int_equal(weir_device_close(there), 0);
	assert_int_equal(weir_ioas_close(limited), 0);
}

static void limits_go_on(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	struct weir_device_opts opts = { 0 };
	struct weir_iova_range is[4];
	weir_iova iova = 4 * MIB;
	struct weir_device *more;
	struct weir_ioas *space;
	int list[FDS];

	(void)state;
	hand_over_limited();
	assert_refused(weir_ioas_allow(limited, NULL, 0), -EPERM, "handed over");
	assert_refused(weir_ioas_small_pages(limited, false), -EPERM, "handed over");
	receive(list);
	close_limited();
	space = import(list);
	close_list(list);
	assert_int_equal(weir_ioas_ranges(space, is, 4), 2);
	assert_memory_equal(is, ARRAY(LOW, HIGH), sizeof(is[0]) * 2);
	assert_refused(weir_ioas_map_fd(space, file, 0, PAGE, &fixed, &iova), -EINVAL,
		       "usable range: 0x100000-0x1fffff, 0x10000000000-0x100000fffff");
	assert_refused(weir_ioas_small_pages(space, false), -EBUSY, "while nothing is mapped");
	assert_true(fake_ioas_small(1));
	/* Who can't do with them isn't let in, by an interface of its own neither. */
	opts.ioas = space;
	fake.groups[2].n_ranges = 1;
	fake.groups[2].ranges[0] = (struct wr_vfio_iova_range){ 0, 0xffffffff };
	assert_refused(weir_device_open(NULL, "0000:03:00.0", &opts, &more), -EINVAL,
		       "must be had, by weir_ioas_allow()");
	assert_int_equal(weir_ioas_unmap_all(space), 0);
	assert_int_equal(weir_ioas_allow(space, NULL, 0), 0);
	assert_int_equal(weir_ioas_small_pages(space, false), 0);
	assert_false(fake_ioas_small(1));
	assert_int_equal(weir_ioas_map_fd(space, file, 0, PAGE, &fixed, &iova), 0);
	assert_int_equal(weir_ioas_close(space), 0);
}

static void limits_that_lie_are_refused(void **state)
{
	static const struct {
		struct weir_iova_range first;
		const char *part;
	} lies[] = {
		{ { 1, 2 * MIB - 1 }, "range 0, 0x1 to 0x1fffff, isn't made of pages" },
		{ { 1ull << 40, (2ull << 40) - 1 }, "range 1, from 0x10000000000 on, doesn't" },
		{ { 0xfee00000, 0xfeefffff }, "IOVA 0xfee00000 to 0xfeefffff must be had" },
	};
	unsigned char bytes[1024], was[1024];
	struct wr_record r = { .head = (struct wr_record_head *)bytes };
	struct weir_ioas *space;
	ssize_t len;
	int list[FDS];

	(void)state;
	hand_over_limited();
	memcpy(list, fds, sizeof(list));
	len = pread(fds[0], was, sizeof(was), 0);
	assert_true(len > 0 && len < (ssize_t)sizeof(was));
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		memcpy(bytes, was, (size_t)len);
		r = wr_record_in(bytes);
		r.ranges[0] = lies[i].first;
		list[0] = wr_record_write(&r);
		assert_refused(weir_ioas_import(NULL, list, (size_t)n_fds, &space), -EINVAL,
			       lies[i].part);
		wr_close(list[0]);
	}
	/* Ranges that the mapping isn't in. */
	memcpy(bytes, was, (size_t)len);
	r = wr_record_in(bytes);
	r.ranges[1].first += PAGE;
	list[0] = wr_record_write(&r);
	assert_refused(weir_ioas_import(NULL, list, (size_t)n_fds, &space), -EINVAL,
		       "doesn't lie within a usable range");
	wr_close(list[0]);
	assert_int_equal(weir_ioas_keep(limited), 0);
	assert_int_equal(fake_ioas_mappings(1), 1);
	close_limited();
}

/* ---- how pinned memory counts ---- */

static void who_counts_by_process_cant_have_it(void **state)
{
	struct weir_iommu_opts opts = { .accounting = WEIR_ACCOUNTING_PROCESS };
	struct weir_iommu *iommu;
	struct weir_device *second;
	struct weir_ioas *space;

	(void)state;
	assert_int_equal(weir_iommu_open(&opts, &iommu), 0);
	hand_over();
	assert_refused(weir_ioas_import(iommu, fds, (size_t)n_fds, &space), -EINVAL,
		       "weir_iommu_opts.accounting demands");
	assert_int_equal(weir_ioas_keep(as), 0);
	/* Nor hand over. */
	assert_int_equal(weir_ioas_open(iommu, &space), 0);
	second = open_by("0000:02:00.0", space);
	assert_true(fake_by_process(1));
	assert_refused(weir_ioas_export(space, fds, FDS), -ENOTSUP, "IOMMU_OPTION_RLIMIT_MODE");
	assert_int_equal(weir_device_close(second), 0);
	assert_int_equal(weir_ioas_close(space), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);

	opts.accounting = WEIR_ACCOUNTING_USER;
	assert_int_equal(weir_iommu_open(&opts, &iommu), 0);
	hand_over();
	assert_int_equal(weir_ioas_import(iommu, fds, (size_t)n_fds, &space), 0);
	assert_int_equal(weir_ioas_export(space, fds, FDS), n_fds);
	assert_int_equal(weir_ioas_close(space), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
	assert_int_equal(weir_ioas_keep(as), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers_stay),
		TEST(limits_that_lie_are_refused),
		TEST(who_counts_by_process_cant_have_it),
		TEST(copies_go_as_units_of_their_own),
		TEST(copies_elsewhere_stay),
		TEST(limits_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
