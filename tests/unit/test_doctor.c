/* SPDX-License-Identifier: MIT */
/* weir_host_check(): every check both ways, and of the forty causes as many as can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "doctor_rig.h"
#include "tree.h"

static bool is_check(const char *id)
{
	const struct weir_host_check_info *check;

	for (unsigned int n = 0; (check = weir_host_check_info(n)); n++)
		if (!strcmp(check->id, id))
			return true;
	return false;
}

static void test_causes(void **state)
{
	const struct weir_host_cause *cause;
	unsigned int n, readable = 0;

	(void)state;
	for (n = 0; (cause = weir_host_cause(n)); n++) {
		assert_true(cause->cause && cause->symptom);
		assert_true(!cause->check == !!cause->why_not);
		if (!cause->check)
			continue;
		if (!is_check(cause->check) || !seen_both(cause->check))
			fail_msg("the cause '%s' has no test that shows check '%s' both ways",
				 cause->cause, cause->check);
		readable++;
	}
	assert_int_equal(n, 40);
	assert_true(readable >= 34);
}

/* Each id once, and each check tested both ways, but the one that has nothing to find. */
static void test_checks(void **state)
{
	const struct weir_host_check_info *check, *other;

	(void)state;
	for (unsigned int n = 0; (check = weir_host_check_info(n)); n++) {
		assert_true(check->id[0] && check->asks[0] && check->reads[0] == '/');
		for (unsigned int k = 0; k < n && (other = weir_host_check_info(k)); k++)
			assert_string_not_equal(check->id, other->id);
		if (!seen_both(check->id))
			fail_msg("%s has no test that shows it both ways", check->id);
	}
}

struct told {
	char ids[4096];
	enum weir_host_severity worst;
};

static void tell(void *arg, const struct weir_host_finding *finding)
{
	const struct weir_host_check_info *check;
	struct told *told = arg;

	if (finding->severity > told->worst) {
		told->worst = finding->severity;
		snprintf(told->ids, sizeof(told->ids), "%s: %s", finding->id, finding->text);
	}
	for (unsigned int n = 0; (check = weir_host_check_info(n)); n++)
		if (!strcmp(check->id, finding->id) && finding->severity > check->worst &&
		    finding->severity != WEIR_HOST_UNKNOWN)
			fail_msg("%s finds what is worse than it says", check->id);
	assert_true(!finding->device[0] || !strcmp(finding->device, CARD));
}

static void test_all_well(void **state)
{
	const struct weir_host_function *fn;
	struct told told = { 0 };
	struct weir_host *host;

	assert_int_equal(weir_host_open(*state, &host), 0);
	assert_int_equal(weir_host_find(host, CARD, &fn), 0);
	assert_int_equal(weir_host_check(host, NULL, tell, &told), 0);
	assert_int_equal(weir_host_check(host, fn, tell, &told), 0);
	if (told.worst > WEIR_HOST_NOTE)
		fail_msg("nothing is wrong, but %s", told.ids);
	weir_host_close(host);
}

/* A tree with a bus and nothing else; and one in which every file is what it shouldn't be. */
static void test_bad_trees(void **state)
{
	static const char *const files[] = {
		"proc/cmdline", "proc/cpuinfo", "proc/meminfo", "proc/interrupts", "proc/iomem",
		"proc/sys/kernel/osrelease", "proc/self/limits", "proc/self/status", "dev/kmsg",
		"etc/os-release", "etc/default/grub", "sys/class/dmi/id/sys_vendor",
		GROUP "reserved_regions", GROUP "type", "proc/77/cmdline", "proc/77/limits",
		"sys/class/iommu/dmar0/intel-iommu/ecap", "etc/modprobe.d/x.conf", "etc/modules",
		"boot/config-7.2.0-test", "lib/modules/7.2.0-test/modules.dep",
		"sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
		"sys/bus/pci/devices/" CARD "/config", "sys/bus/pci/devices/" CARD "/reset_method",
	};
	char *root = *state, *large = malloc(1 << 20), outside[64];
	const struct weir_host_function *fn;
	struct told told = { 0 };
	struct weir_host *host;

	assert_non_null(large);
	memset(large, 'x', (1 << 20) - 1);
	large[(1 << 20) - 1] = '\0';
	for (int kind = 0; kind < 4; kind++) {
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
			snprintf(outside, sizeof(outside), "/proc/self/environ");
			switch (kind) {
			case 0: tree_text(root, files[i], large); break;
			case 1: tree_folder(root, files[i]); break;
			case 2: tree_link(root, files[i], outside); break;
			default: tree_bytes(root, files[i], "\0\xff\x1b[2J\n%s%n\n", 12); break;
			}
		}
		assert_int_equal(weir_host_open(root, &host), 0);
		assert_int_equal(weir_host_find(host, CARD, &fn), 0);
		assert_int_equal(weir_host_check(host, NULL, tell, &told), 0);
		assert_int_equal(weir_host_check(host, fn, tell, &told), 0);
		weir_host_close(host);
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			tree_remove(root, files[i]);
	}
	free(large);
	tree_remove(root, "proc");
	tree_remove(root, "etc");
	tree_remove(root, "dev");
	tree_remove(root, "sys/class");
	assert_int_equal(weir_host_open(root, &host), 0);
	assert_int_equal(weir_host_check(host, NULL, tell, &told), 0);
	assert_int_equal(told.worst, WEIR_HOST_STOP);
	weir_host_close(host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doctor_start, doctor_stop)

int main(void)
{
	const struct CMUnitTest first[] = {
		TEST(test_all_well),
		TEST(test_bad_trees),
	};
	const struct CMUnitTest last[] = {
		cmocka_unit_test(test_causes),
		cmocka_unit_test(test_checks),
	};
	int failed = cmocka_run_group_tests(first, NULL, NULL);

	run_machine_tests(&failed);
	run_boot_tests(&failed);
	run_iommu_tests(&failed);
	run_device_tests(&failed);
	run_edge_tests(&failed);
	/* Not everything is captured: who has a device open, say. */
#ifndef DOCTOR_CAPTURED
	failed += cmocka_run_group_tests(last, NULL, NULL);
#else
	(void)last;
#endif
	return failed;
}
