/* SPDX-License-Identifier: MIT */
/*
 * Memory that the kernel must really have: hugepages of both sizes, on the node that is asked for;
 * and the limits at which it refuses. The machine has two nodes with hugepages on each.
 */
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/vm/guest/guest.h"

#define KIB	1024ul
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)

static unsigned long long free_hugepages(unsigned int node, size_t page_size)
{
	char path[128];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%u/hugepages/hugepages-%lukB/free_hugepages", node,
		 (unsigned long)(page_size / KIB));
	return read_number(path);
}

/* The node that holds a page, by the kernel's move_pages(2), which moves nothing when no target is
 * given. */
static int node_of(void *page)
{
	int status = -1;

	MUST((int)syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0));
	return status;
}

/* Pages of one size on a node: the pool's counter says so, the pages say so, and the device
 * reaches their first and last bytes. */
static void hugepages_of(struct opened a, size_t page_size, size_t pages, unsigned int node,
			 bool shared)
{
	struct weir_mem_opts opts = {
		.page_size = page_size, .bind = true, .node = node, .shared = shared,
	};
	unsigned long long here = free_hugepages(node, page_size);
	unsigned long long there = free_hugepages(!node, page_size);
	unsigned long locked = status_kib("VmLck");
	struct weir_mem *mem;
	unsigned char *ptr;

	assert_true(here >= pages);
	MUST(weir_mem_alloc(weir_device_ioas(a.dev), pages * page_size - PAGE, &opts, &mem));
	assert_int_equal(weir_mem_len(mem), pages * page_size);
	assert_int_equal(weir_mem_iova(mem) % page_size, 0);
	assert_int_equal(free_hugepages(node, page_size), here - pages);
	assert_int_equal(free_hugepages(!node, page_size), there);
	assert_int_equal(status_kib("VmLck") - locked, pages * page_size / KIB);
	ptr = weir_mem_ptr(mem);
	for (size_t i = 0; i < pages; i++)
		assert_int_equal(node_of(ptr + i * page_size), node);
	round_trip(a.edu, ptr, 0x21);
	round_trip(a.edu, ptr + pages * page_size - 2 * PAGE, 0x22);
	assert_int_equal(weir_mem_fd(mem) >= 0, shared);
	MUST(weir_mem_free(mem));
	assert_int_equal(free_hugepages(node, page_size), here);
	assert_int_equal(status_kib("VmLck"), locked);
}

static void hugepages_on_each_node(void **state)
{
	struct opened a;

	(void)state;
	/* The machine's edu drives all address bits. */
	MUST(weir_device_open(NULL, device("WEIR_TEST_EDU"), NULL, &a.dev));
	MUST(edu_open(a.dev, &a.edu));
	for (unsigned int node = 0; node < 2; node++) {
		hugepages_of(a, 2 * MIB, 2, node, false);
		hugepages_of(a, 2 * MIB, 3, node, true);
		hugepages_of(a, GIB, 1, node, node);
	}
	close_edu(a);
}

/* Small pages go to the node as well. */
static void small_pages_on_each_node(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct weir_mem_opts opts = { .bind = true, .node = i / 2, .shared = i % 2 };
		struct weir_mem *mem;
		unsigned char *ptr;

		MUST(weir_mem_alloc(weir_device_ioas(a.dev), 64 * PAGE, &opts, &mem));
		ptr = weir_mem_ptr(mem);
		for (size_t page = 0; page < 64; page++)
			assert_int_equal(node_of(ptr + page * PAGE), opts.node);
		round_trip(a.edu, ptr + 62 * PAGE, 0x31);
		MUST(weir_mem_free(mem));
	}
	close_edu(a);
}

/* More than a node's pool has, though the other node's would do: refused, and nothing taken. */
static void empty_pool(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	unsigned long long before[2] = { free_hugepages(0, 2 * MIB), free_hugepages(1, 2 * MIB) };
	unsigned long locked = status_kib("VmLck");
	struct weir_mem *mem;

	(void)state;
	for (unsigned int node = 0; node < 2; node++) {
		struct weir_mem_opts opts = { .page_size = 2 * MIB, .bind = true, .node = node };
		char part[64];

		snprintf(part, sizeof(part), "on node %u are needed, and %llu are free", node,
			 before[node]);
		must_fail(weir_mem_alloc(weir_device_ioas(a.dev), (before[node] + 1) * 2 * MIB,
					 &opts, &mem), -ENOMEM, part);
		opts.shared = true;
		must_fail(weir_mem_alloc(weir_device_ioas(a.dev), (before[node] + 1) * 2 * MIB,
					 &opts, &mem), -ENOMEM, part);
	}
	must_fail(weir_mem_alloc(weir_device_ioas(a.dev), PAGE,
				 &(struct weir_mem_opts){ .bind = true, .node = 2 }, &mem),
		  -ENODEV, "node 2");
	assert_int_equal(free_hugepages(0, 2 * MIB), before[0]);
	assert_int_equal(free_hugepages(1, 2 * MIB), before[1]);
	assert_int_equal(status_kib("VmLck"), locked);
	hugepages_of(a, 2 * MIB, 1, 0, false);
	close_edu(a);
}

/* Beyond RLIMIT_MEMLOCK: refused with the limit and what is needed, nothing of it is pinned, and
 * what is mapped goes on working, up to the limit. */
static void memlock_limit(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	struct weir_ioas *as = weir_device_ioas(a.dev);
	struct rlimit before, low;
	unsigned char *memory = page_of(0, 512);
	weir_iova iova, more;
	unsigned long locked;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	low = (struct rlimit){ .rlim_cur = MIB, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	may(CAP_IPC_LOCK, false);

	MUST(weir_ioas_map(as, memory, 512 * KIB, NULL, &iova));
	locked = status_kib("VmLck");
	assert_int_equal(locked, 512);
	must_fail(weir_ioas_map(as, memory + MIB, 768 * KIB, NULL, &more), -ENOMEM,
		  "mapping 768 KiB");
	assert_non_null(strstr(weir_errmsg(), "limit of locked memory is 1024 KiB"));
	assert_int_equal(status_kib("VmLck"), locked);
	must_fail(weir_ioas_to_iova(as, memory + MIB, &more, NULL), -ENOENT, "isn't mapped");
	round_trip(a.edu, memory, 0x41);
	MUST(weir_ioas_map(as, memory + MIB, 512 * KIB, NULL, &more));
	round_trip(a.edu, memory + MIB, 0x42);
	must_fail(weir_ioas_map(as, memory + 512 * KIB, PAGE, NULL, &more), -ENOMEM, "ulimit -l");

	may(CAP_IPC_LOCK, true);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
	MUST(weir_ioas_map(as, memory + 512 * KIB, 512 * KIB, NULL, &more));
	round_trip(a.edu, memory + 512 * KIB, 0x43);
	close_edu(a);
	assert_int_equal(status_kib("VmLck"), 0);
	munmap(memory, 512 * PAGE);
}

#define ENTRY_LIMIT "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define ENTRIES 8

static char limit_before[32];

static int limit_back(void **state)
{
	(void)state;
	write_text(ENTRY_LIMIT, limit_before);
	return 0;
}

static uint64_t mappings_left(struct weir_ioas *as)
{
	struct weir_ioas_caps caps;

	MUST(weir_ioas_caps(as, &caps));
	return caps.mappings;
}

/* The kernel's limit of mappings: counted down, reached, and left again. */
static void mapping_limit(void **state)
{
	unsigned char *memory = page_of(0, 2 * (ENTRIES + 1));
	weir_iova iova[ENTRIES + 1];
	struct weir_ioas *as;
	struct opened a;

	(void)state;
	snprintf(limit_before, sizeof(limit_before), "%llu", read_number(ENTRY_LIMIT));
	write_text(ENTRY_LIMIT, "8");
	a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	as = weir_device_ioas(a.dev);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(mappings_left(as), ENTRIES - i);
		MUST(weir_ioas_map(as, memory + 2 * i * PAGE, PAGE, NULL, &iova[i]));
	}
	assert_int_equal(mappings_left(as), 0);
	must_fail(weir_ioas_map(as, memory + 2 * ENTRIES * PAGE, PAGE, NULL, &iova[ENTRIES]),
		  -ENOSPC, "the kernel's limit of 8 mappings");
	MUST(weir_ioas_unmap(as, iova[0], PAGE));
	assert_int_equal(mappings_left(as), 1);
	MUST(weir_ioas_map(as, memory, 2 * PAGE, NULL, &iova[0]));
	round_trip(a.edu, memory, 0x51);
	for (size_t i = 0; i < ENTRIES; i++)
		MUST(weir_ioas_unmap(as, iova[i], i ? PAGE : 2 * PAGE));
	assert_int_equal(mappings_left(as), ENTRIES);
	close_edu(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hugepages_on_each_node),
		cmocka_unit_test(small_pages_on_each_node),
		cmocka_unit_test(empty_pool),
		cmocka_unit_test(memlock_limit),
		cmocka_unit_test_teardown(mapping_limit, limit_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
