/* SPDX-License-Identifier: MIT */
/* What 'weir info' says of an IOMMU: the software one, and the fake kernel's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "info.h"
#include "weir.h"

#include <cmocka.h>

#include "fake_vfio.h"
#include "json_rig.h"
#include "verb.h"

#define ADDR "0000:01:00.0"

static struct json_object *table_of(struct json_object *iommu, const char *kind)
{
	return get(get(iommu, "page_tables"), kind);
}

static void test_soft_iommu(void **state)
{
	struct outcome outcome = run(cmd_info, "info", "--json", "soft:edu", NULL);
	struct json_object *info, *iommu, *ranges;

	(void)state;
	assert_int_equal(outcome.status, EXIT_YES);
	info = parse(outcome.out);
	iommu = get(get(info, "weir"), "iommu");
	assert_string_equal(get_text(iommu, "make"), "soft");
	ranges = get(get(info, "weir"), "iova_ranges");
	assert_true(json_object_equal(table_of(iommu, "plain"), ranges));
	assert_true(json_object_equal(table_of(iommu, "dirty"), ranges));
	assert_null(table_of(iommu, "nest_parent"));
	assert_null(table_of(iommu, "pasid"));
	assert_null(table_of(iommu, "faults"));
	assert_int_equal(json_object_array_length(get(iommu, "words")), 0);
	json_object_put(info);
	outcome = run(cmd_info, "info", "soft:edu", NULL);
	assert_non_null(strstr(outcome.out, "weir's own, in software\n"));
	assert_non_null(strstr(outcome.out, "  nest parents        none\n"));
	assert_null(strstr(outcome.out, "registers"));
}

static unsigned long fail_in;	/* the call of the kernel's that fails meanwhile; 0: none */

/* Of the fake kernel's device by an interface; --json, or its name alone. */
static int show_iommu(int argc, char **argv)
{
	const struct weir_iommu_opts opts = { .interface = argv[0] };
	struct info_interface itf = { 0 };
	struct weir_iommu *iommu;
	struct weir_device *dev;
	int status;

	snprintf(itf.backend, sizeof(itf.backend), "%s", argv[0]);
	itf.caps.isolation = true;
	assert_int_equal(weir_iommu_open(&opts, &iommu), 0);
	assert_int_equal(weir_device_open(iommu, ADDR, NULL, &dev), 0);
	fake.fail_at = fail_in ? fake.calls + fail_in : 0;
	status = info_learn_iommu(&itf.iommu, iommu, dev);
	fake.fail_at = 0;
	if (argc > 1)
		js_print(info_js_iommu(&itf));
	else
		info_print_iommu(&itf);
	free(itf.iommu.words);
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
	return status;
}

static void test_iommu(void **state)
{
	/* MGAW is 48 bits, SAGAW.48; in scalable mode */
	static const struct weir_hw_vtd vtd = { .cap = 47ull << 16 | 1 << 10, .ecap = 1ull << 43 };
	struct json_object *iommu, *words, *range;
	struct outcome outcome;

	(void)state;
	fake.iommufd.hw_type = WEIR_HW_VTD;
	fake.iommufd.hw_data = &vtd;
	fake.iommufd.hw_len = sizeof(vtd);
	fake.iommufd.nested_type = 1;
	fake.iommufd.parent_last = (1ull << 39) - 1;
	outcome = run(show_iommu, "iommufd", NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "  make                Intel VT-d\n"));
	assert_non_null(strstr(outcome.out, "  page tables         IOVAs 0x0 to 0xffffffffffff\n"));
	assert_non_null(strstr(outcome.out, "  nest parents        IOVAs 0x0 to 0x7fffffffff\n"));
	assert_non_null(strstr(outcome.out, "  with dirty tracking none\n"));
	assert_non_null(strstr(outcome.out, "  with page faults    IOVAs 0x0"));
	assert_non_null(strstr(outcome.out, " 48 bits of the addresses that"));
	assert_non_null(strstr(outcome.out, "  1 scalable mode\n"));

	outcome = run(show_iommu, "iommufd", "--json", NULL);
	iommu = parse(outcome.out);
	assert_string_equal(get_text(iommu, "make"), "vtd");
	range = json_object_array_get_idx(table_of(iommu, "nest_parent"), 0);
	assert_string_equal(get_text(range, "last"), "0x7fffffffff");
	assert_null(table_of(iommu, "pasid"));
	words = get(iommu, "words");
	assert_true(json_object_array_length(words) > 10);
	assert_string_equal(get_text(json_object_array_get_idx(words, 3), "name"), "SAGAW.39");
	assert_int_equal(json_object_get_int(get(json_object_array_get_idx(words, 3), "value")), 0);
	json_object_put(iommu);
}

/* What isn't told isn't made up: by an interface that can't, and where asking fails. */
static void test_untold_iommu(void **state)
{
	struct outcome outcome = run(show_iommu, "type1v2", NULL);

	(void)state;
	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.out, "IOMMU\n"
			    "  type1v2 doesn't tell what it can do; iommufd does\n");
	outcome = run(show_iommu, "type1v2", "--json", NULL);
	assert_string_equal(outcome.out, "null\n");
	fake.iommufd.hw_type = 1234;
	outcome = run(show_iommu, "iommufd", NULL);
	assert_non_null(strstr(outcome.out, "one that weir doesn't know\n"));
}

/* An interface without an opened device; what it says of blocked accesses. */
static int show_faults(int argc, char **argv)
{
	struct info info = { .opened = true };

	(void)argc;
	snprintf(info.interface.backend, sizeof(info.interface.backend), "%s", argv[0]);
	info.interface.caps.isolation = !strstr(argv[0], "noiommu");
	info.interface.caps.faults = !strcmp(argv[0], "soft");
	info_print_interface(&info);
	return EXIT_YES;
}

static void test_faults(void **state)
{
	static const struct {
		char *interface;
		const char *text;
	} said[] = {
		{ "soft", "  faults         told\n" },
		{ "iommufd", "  faults         in the kernel's log only\n" },
		{ "spaprv2", "  faults         not told; 'weir eeh' says" },
		{ "spapr", "  faults         not told; 'weir eeh' says" },
		{ "noiommu", "  faults         none, since nothing is blocked\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		struct outcome outcome = run(show_faults, said[i].interface, NULL);

		assert_non_null(strstr(outcome.out, said[i].text));
		assert_true(!strstr(outcome.out, "\nIOMMU\n") == !strcmp(said[i].interface,
									 "noiommu"));
	}
}

/* What fails otherwise than by not being there is shown; one table that can't be made is no end. */
static void test_failing_iommu(void **state)
{
	unsigned int shown = 0, ended = 0;
	struct outcome outcome;

	(void)state;
	fake.fail_with = -EIO;
	for (fail_in = 1; fail_in < 40; fail_in++) {
		outcome = run(show_iommu, "iommufd", NULL);
		if (outcome.status == EXIT_YES)
			shown += strstr(outcome.out, "none: " ADDR ": ") != NULL;
		else
			ended += strstr(outcome.err, "Input/output error") != NULL;
	}
	fail_in = 0;
	assert_in_range(shown, 5, 30);
	assert_in_range(ended, 2, 5);
}

static int new_kernel(void **state)
{
	(void)state;
	unsetenv("WEIR_IOMMU");
	fake_start();
	fake.iommufd.exists = true;
	fake.device.regions[7] = (struct wr_vfio_region_info){ .flags = 3, .size = 256 };
	return 0;
}

static int end_kernel(void **state)
{
	(void)state;
	assert_int_equal(fake.open_fds, 0);
	fake_stop();
	return 0;
}

#define WITH_KERNEL(test) cmocka_unit_test_setup_teardown(test, new_kernel, end_kernel)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_soft_iommu),
		WITH_KERNEL(test_iommu),
		WITH_KERNEL(test_untold_iommu),
		WITH_KERNEL(test_failing_iommu),
	};

	return cmocka_run_group_tests_name("info", tests, NULL, NULL);
}
