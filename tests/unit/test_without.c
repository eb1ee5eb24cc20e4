/* SPDX-License-Identifier: MIT */
/* What weir does without its optional libraries: the files that are in their place. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "options.h"
#include "out.h"
#include "weir.h"

#include <cmocka.h>

#include <weir/error.h>
#include <weir/host.h>

#include "base/sys.h"
#include "fake_sysfs.h"
#include "host/step.h"
#include "tree.h"
#include "verb.h"

#define ADDR "0000:01:00.0"
#define DISK "../../devices/pci0000:00/" ADDR "/nvme/nvme0/nvme0n1"

static struct wr_sys sys;
static int (*load)(const char *name);
static const char *there;	/* the one module that is */
static char looked_for[256];

static int has_module(const char *path)
{
	if (strncmp(path, "/sys/module/", 12))
		return wr_sys_kernel.access(path);
	snprintf(looked_for, sizeof(looked_for), "%s", path + 12);
	return there && !strcmp(path + 12, there) ? 0 : -ENOENT;
}

static int start(void **state)
{
	load = wr_module_load;
	*state = tree_new();
	fake_sysfs_start(*state);
	fake_function(ADDR, 5, "nvme");
	sys = *wr_sys;
	sys.access = has_module;
	wr_sys = &sys;
	wr_module_load = load;
	there = NULL;
	return 0;
}

static int stop(void **state)
{
	fake_sysfs_stop();
	tree_free(*state);
	return 0;
}

static int take(bool force)
{
	const struct weir_host_bind_opts opts = { .force = force };
	const char *address = ADDR;

	return weir_host_bind(fake_sysfs->root, &address, 1, &opts);
}

/* Nobody can tell whether it is mounted: so it isn't taken, by force neither. */
static void test_disk(void **state)
{
	tree_text(*state, "sys/devices/pci0000:00/" ADDR "/nvme/nvme0/nvme0n1/dev", "259:1\n");
	tree_link(*state, "sys/class/block/nvme0n1", DISK);
	for (int force = 0; force < 2; force++) {
		assert_int_equal(take(force), -ENOTSUP);
		assert_non_null(strstr(weir_errmsg(), ADDR ": it has a disk, and weir was built "
				       "without libmount"));
		assert_string_equal(fake_state(ADDR), "nvme/-");
	}
	tree_remove(*state, "sys/class/block/nvme0n1");
	assert_int_equal(take(false), 0);
	assert_string_equal(fake_state(ADDR), "vfio-pci/vfio-pci");
}

static void test_module(void **state)
{
	assert_int_equal(load("vfio-pci"), -ENOSYS);
	assert_string_equal(looked_for, "vfio_pci");
	there = "vfio_pci";
	assert_int_equal(load("vfio-pci"), 0);

	there = NULL;
	tree_remove(*state, "sys/bus/pci/drivers/vfio-pci");
	assert_int_equal(take(false), -ENOSYS);
	assert_non_null(strstr(weir_errmsg(), "the module vfio-pci isn't loaded, and weir has no "
			       "libkmod to load it: 'modprobe vfio-pci' does"));
	assert_string_equal(fake_state(ADDR), "nvme/-");
}

static char heard[512];

static void hear(void *arg, enum weir_log_level level, const char *msg)
{
	(void)arg, (void)level;
	snprintf(heard, sizeof(heard), "%s", msg);
}

/* Not all kernels have this one, and a container without it says so itself. */
static void test_type1(void **state)
{
	tree_remove(*state, "sys/module/vfio_iommu_type1");
	weir_log_set(hear, NULL, WEIR_LOG_WARN);
	assert_int_equal(take(false), 0);
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
	assert_non_null(strstr(heard, "'modprobe vfio_iommu_type1'"));
}

static void test_json(void **state)
{
	struct outcome outcome = run(cmd_list, "list", "--json", "--root", *state, NULL);

	assert_complaint(&outcome, "list: weir was built without json-c, so there is no --json");
	assert_false(js_there());
}

static void test_archives(void **state)
{
	struct outcome outcome;
	char path[300];

	snprintf(path, sizeof(path), "%s/m.tar.gz", (char *)*state);
	outcome = run(cmd_capture, "capture", "--root", *state, path, NULL);
	assert_complaint(&outcome, "m.tar.gz can't be made: weir was built without libarchive");
	assert_int_equal(access(path, F_OK), -1);
	tree_text(*state, "m.tar.gz", "");
	outcome = run(cmd_list, "list", "--root", path, NULL);
	assert_complaint(&outcome, "weir was built without libarchive: unpack it by 'tar -xf'");
}

/* Numbers where names would be. */
static void test_list(void **state)
{
	struct outcome outcome = run(cmd_list, "list", "--root", *state, NULL);

	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.err, "");
	assert_string_equal(outcome.out,
		"ADDRESS      ID        GROUP IOMMU NUMA DRIVER VFIO CLASS NAME\n"
		"0000:01:00.0 1234:11e8     5 -        - nvme   -    -     "
		"vendor 1234 device 11e8\n");
}

static void print_tables(void)
{
	static const struct column columns[] = {
		{ .name = "NAME" }, { .name = "N", .right = true }, { .name = "MORE" },
	};
	struct out_table *table = table_new(columns, 3, true);
	struct out_row *row = table_row(table);

	table_cell(row, 2, "last");
	table_cell(row, 0, "first");
	table_colour(row, 0, "red");
	row = table_row(table);
	table_cell(row, 1, "%d", 1);
	table_cell(row, 1, "%d", 4096);
	table_cell(row, 2, "a\nline");
	table_print(table);
	table_print(table_new(columns, 3, true));
	table = table_new(columns, 2, false);
	row = table_row(table);
	table_cell(row, 0, "x");
	table_cell(row, 1, "10");
	table_print(table);
}

static int verb_tables(int argc, char **argv)
{
	(void)argc, (void)argv;
	print_tables();
	return EXIT_YES;
}

static void test_tables(void **state)
{
	struct outcome outcome = run(verb_tables, "tables", NULL);

	(void)state;
	assert_string_equal(outcome.out,
		"NAME     N MORE\n"
		"first      last\n"
		"      4096 a?line\n"
		"x 10\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_disk, start, stop),
		cmocka_unit_test_setup_teardown(test_module, start, stop),
		cmocka_unit_test_setup_teardown(test_type1, start, stop),
		cmocka_unit_test_setup_teardown(test_json, start, stop),
		cmocka_unit_test_setup_teardown(test_archives, start, stop),
		cmocka_unit_test_setup_teardown(test_list, start, stop),
		cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
