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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memlock_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
