/* SPDX-License-Identifier: MIT */
/* weir capture, and that the verbs say of an archive what they say of the machine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "out.h"
#include "weir.h"

#include <cmocka.h>

#include "capture_rig.h"
#include "verb.h"

#define ADDR "0000:01:00.0"

static int start(void **state)
{
	struct machine *m = machine_new();

	for (int i = 0; i < 3; i++) {
		char addr[32];

		snprintf(addr, sizeof(addr), "0000:01:00.%d", i);
		tree_function(m->root, addr);
		tree_attr_link(m->root, addr, "iommu_group", "../../../../kernel/iommu_groups/7");
		tree_attr_link(m->root, addr, "driver", "../../../../bus/pci/drivers/e1000e");
		tree_attr(m->root, addr, "reset_method", "flr bus\n");
		tree_attr(m->root, addr, "config", "0123456789abcdef0123456789abcdef"
			  "0123456789abcdef0123456789abcdef");
		tree_attr(m->root, addr, "resource",
			  "0x00000000fe000000 0x00000000fe0fffff 0x0000000000040200\n");
	}
	tree_text(m->root, "sys/devices/virtual/iommu/dmar0/intel-iommu/ecap", "f020df\n");
	tree_link(m->root, "sys/class/iommu/dmar0", "../../devices/virtual/iommu/dmar0");
	*state = m;
	return 0;
}

static void test_bad_options(void **state)
{
	struct machine *m = *state;
	struct outcome outcome;

	outcome = run(cmd_capture, "capture", NULL);
	assert_complaint(&outcome, "needs the name of the file");
	outcome = run(cmd_capture, "capture", "--bogus", m->file, NULL);
	assert_complaint(&outcome, "--bogus");
	outcome = run(cmd_capture, "capture", m->file, "more", NULL);
	assert_complaint(&outcome, "'more' is too much");
	outcome = run(cmd_capture, "capture", "--root", "/nonexistent", m->file, NULL);
	assert_complaint(&outcome, "/nonexistent");
	outcome = run(cmd_capture, "capture", "--root", m->root, "-", NULL);
	assert_complaint(&outcome, "no archive to stdout");
	assert_int_not_equal(access("-", F_OK), 0);
	outcome = run(cmd_capture, "capture", "-v", m->file, NULL);
	assert_complaint(&outcome, "'weir -v capture'");
	outcome = run(cmd_capture, "capture", "--verbose", m->file, NULL);
	assert_complaint(&outcome, "'weir -v capture'");
	tree_text(m->other, "m.tar.gz", "mine");
	outcome = run(cmd_capture, "capture", "--root", m->root, m->file, NULL);
	assert_complaint(&outcome, "--force replaces it");
	outcome = run(cmd_list, "list", "--root", m->file, NULL);
	assert_complaint(&outcome, "no tar archive");
	outcome = run(cmd_capture, "capture", "--help", NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "Example:"));
}

/* The same words for who looks and for who captures. */
static void test_bad_roots(void **state)
{
	struct machine *m = *state;
	char *const roots[] = { "/nonexistent", "/dev/null", m->other };
	struct outcome looked, captured;

	tree_remove(m->other, "sys/bus");
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		looked = run(cmd_list, "list", "--root", roots[i], NULL);
		assert_complaint(&looked, "a root is ");
		captured = run(cmd_capture, "capture", "--root", roots[i], "/nonexistent/m", NULL);
		assert_complaint(&captured, "a root is ");
		assert_string_equal(looked.err, captured.err);
	}
	captured = run(cmd_capture, "capture", "--root", m->root, m->file, NULL);
	assert_int_equal(captured.status, EXIT_YES);
	captured = run(cmd_capture, "capture", "--root", m->file, "/nonexistent/m", NULL);
	assert_complaint(&captured, "is a file; a capture is made of a machine, or of the folder");
}

static void test_told(void **state)
{
	struct machine *m = *state;
	struct outcome outcome;

	outcome = run(cmd_capture, "capture", "--root", m->root, m->file, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.err, "");
	assert_non_null(strstr(outcome.out, "serial numbers masked\n"));
	assert_non_null(strstr(outcome.out, "the config space of 3 functions is cut"));
	assert_null(strstr(outcome.out, "sleep"));

	tree_attr(m->root, ADDR, "power/runtime_status", "suspended\n");
	outcome = run(cmd_capture, "capture", "--json", "--force", "--unmasked", "--root", m->root,
		      m->file, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "\"masked\": false"));
	assert_non_null(strstr(outcome.out, "\"asleep\": 1"));
	assert_non_null(strstr(outcome.out, "\"cut\": 2"));

	tree_attr_link(m->root, ADDR, "driver", "/etc");
	outcome = run(cmd_capture, "capture", "--force", "--root", m->root, m->file, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "\n1 more can't be read; the same with 'weir -v "
			       "capture --force' tells which\n"));
}

static void assert_same(const struct machine *m, int (*verb)(int, char **), char *name,
			char *option, char *device)
{
	struct outcome of_tree = run(verb, name, "--root", m->root, option, device, NULL);
	struct outcome of_file = run(verb, name, "--root", m->file, option, device, NULL);

	assert_int_equal(of_tree.status, of_file.status);
	assert_string_equal(of_tree.out, of_file.out);
	assert_string_equal(of_tree.err, of_file.err);
	assert_non_null(strstr(of_file.out, ADDR));
}

static void test_round_trip(void **state)
{
	struct machine *m = *state;
	struct outcome outcome;

	outcome = run(cmd_capture, "capture", "--root", m->root, m->file, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_same(m, cmd_list, "list", NULL, NULL);
	assert_same(m, cmd_list, "list", "--json", NULL);
	assert_same(m, cmd_info, "info", ADDR, NULL);
	assert_same(m, cmd_info, "info", "--json", ADDR);
	assert_same(m, cmd_groups, "groups", NULL, NULL);
	assert_same(m, cmd_groups, "groups", "--plain", NULL);
	assert_same(m, cmd_groups, "groups", "--why", ADDR);
	assert_same(m, cmd_doctor, "doctor", ADDR, NULL);
	assert_same(m, cmd_doctor, "doctor", "--all", ADDR);
	assert_same(m, cmd_doctor, "doctor", "--json", ADDR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bad_options, start, stop),
		cmocka_unit_test_setup_teardown(test_bad_roots, start, stop),
		cmocka_unit_test_setup_teardown(test_told, start, stop),
		cmocka_unit_test_setup_teardown(test_round_trip, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
