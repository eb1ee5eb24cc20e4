/* SPDX-License-Identifier: MIT */
/* The kernel's limits: where it refuses, with which sentence, and what stays as it was. */
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/vm/guest/guest.h"

#define KIB	1024ul
#define MIB	(1024 * KIB)

/* The kernel's count of what this process has pinned, in KiB. */
static unsigned long locked_kib(void)
{
	unsigned long kib = 0;
	bool found = false;
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		found |= sscanf(line, "VmLck: %lu kB", &kib) == 1;
	fclose(status);
	assert_true(found);
	return kib;
}

/* With the right to lock as much as it likes, or without; it can be had back. */
static void may_lock(bool may)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	MUST((int)syscall(SYS_capget, &header, data));
	if (may)
		data[0].effective |= 1u << CAP_IPC_LOCK;
	else
		data[0].effective &= ~(1u << CAP_IPC_LOCK);
	MUST((int)syscall(SYS_capset, &header, data));
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
	may_lock(false);

	MUST(weir_ioas_map(as, memory, 512 * KIB, NULL, &iova));
	locked = locked_kib();
	assert_int_equal(locked, 512);
	must_fail(weir_ioas_map(as, memory + MIB, 768 * KIB, NULL, &more), -ENOMEM,
		  "mapping 768 KiB");
	assert_non_null(strstr(weir_errmsg(), "limit of locked memory is 1024 KiB"));
	assert_int_equal(locked_kib(), locked);
	must_fail(weir_ioas_to_iova(as, memory + MIB, &more, NULL), -ENOENT, "isn't mapped");
	round_trip(a.edu, memory, 0x41);
	MUST(weir_ioas_map(as, memory + MIB, 512 * KIB, NULL, &more));
	round_trip(a.edu, memory + MIB, 0x42);
	must_fail(weir_ioas_map(as, memory + 512 * KIB, PAGE, NULL, &more), -ENOMEM, "ulimit -l");

	may_lock(true);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
	MUST(weir_ioas_map(as, memory + 512 * KIB, 512 * KIB, NULL, &more));
	round_trip(a.edu, memory + 512 * KIB, 0x43);
	close_edu(a);
	assert_int_equal(locked_kib(), 0);
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
		cmocka_unit_test(memlock_limit),
		cmocka_unit_test_teardown(mapping_limit, limit_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
