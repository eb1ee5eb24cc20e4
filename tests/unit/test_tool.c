/* SPDX-License-Identifier: MIT */
/* The command's verbs that look, run in this process over trees, with their output caught. */
#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "clean.h"
#include "out.h"
#include "steps.h"
#include "weir.h"

#include <cmocka.h>

#include "fake_vfio.h"
#include "json_rig.h"
#include "tree.h"
#include "verb.h"

#define ADDR "0000:01:00.0"
#define NONE "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"

static int new_tree(void **state)
{
	*state = tree_new();
	tree_function(*state, ADDR);
	return 0;
}

static int free_tree(void **state)
{
	tree_free(*state);
	return 0;
}

/* ---- what is shared ---- */

static void test_clean(void **state)
{
	static const char *const texts[][2] = {
		{ "", "" },
		{ "vfio-pci", "vfio-pci" },
		{ "\033[2J", "?[2J" },
		{ "a\nb\tc\r", "a?b?c?" },
		{ "\x7f\x01", "??" },
		{ "\xc2\x9b" "31m", "?31m" },		/* CSI, as UTF-8 */
		{ "\x9b" "31m", "?31m" },		/* CSI, as one byte */
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "caf\xc3", "caf?" },			/* cut off */
		{ "\xe2\x82", "??" },
		{ "\xc0\x9b[", "??[" },			/* too long a form of ESC */
		{ "\xe0\x80\x9b", "???" },
		{ "\xed\xa0\x80", "???" },		/* a surrogate */
		{ "\xf4\x90\x80\x80", "????" },		/* above the last character */
		{ "\xff\xfe", "??" },
		{ "a\xe2\x80\xae" "b", "a?b" },		/* right-to-left override */
		{ "a\xe2\x81\xa6" "b", "a?b" },		/* isolate */
		{ "\xe2\x80\xa8", "?" },		/* line separator */
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		strcpy(buf, texts[i][0]);
		assert_string_equal(clean(buf), texts[i][1]);
	}
}

static void test_size_text(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {
		{ 0, "0 B" }, { 1, "1 B" }, { 1023, "1023 B" }, { 1024, "1 KiB" },
		{ 1536, "1536 B" }, { 96ULL << 20, "96 MiB" }, { 1ULL << 63, "8 EiB" },
		{ UINT64_MAX, "18446744073709551615 B" },
	};
	char buf[SIZE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_string_equal(size_text(sizes[i].bytes, buf), sizes[i].text);
}

static void test_bad_options(void **state)
{
	static int (*const verbs[])(int, char **) = { cmd_list, cmd_info, cmd_bind, cmd_release };
	static char *const names[] = { "list", "info", "bind", "release" };
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		outcome = run(verbs[i], names[i], "--bogus", NULL);
		assert_complaint(&outcome, "--bogus");
		outcome = run(verbs[i], names[i], "-x", NULL);
		assert_complaint(&outcome, "-x");
		outcome = run(verbs[i], names[i], "--json", "-xh", NULL);
		assert_complaint(&outcome, "-x");
		outcome = run(verbs[i], names[i], "--json=3", NULL);
		assert_complaint(&outcome, "--json");
		outcome = run(verbs[i], names[i], "--root", NULL);
		assert_complaint(&outcome, "--root");
		outcome = run(verbs[i], names[i], "--root", "/nonexistent", ADDR, ADDR, NULL);
		assert_int_equal(outcome.status, EXIT_UNKNOWN);
		outcome = run(verbs[i], names[i], "--\033[2J", NULL);
		assert_complaint(&outcome, "--?[2J");
		outcome = run(verbs[i], names[i], "--help", NULL);
		assert_int_equal(outcome.status, EXIT_YES);
		assert_non_null(strstr(outcome.out, "Example:"));
		assert_string_equal(outcome.err, "");
	}
}

/* What a script's variable that isn't set makes of it: not this machine. */
static void test_empty_root(void **state)
{
	static int (*const verbs[])(int, char **) = { cmd_list, cmd_info, cmd_groups, cmd_doctor,
						      cmd_report, cmd_capture };
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		outcome = run(verbs[i], "verb", "--root", "", NULL);
		assert_complaint(&outcome, "--root is empty");
		outcome = run(verbs[i], "verb", "--root=", NULL);
		assert_complaint(&outcome, "--root is empty");
	}
}

/* Who only looks needs no consent, and says so. */
static void test_consent(void **state)
{
	struct outcome outcome;

	(void)state;
	outcome = run(cmd_list, "list", "--unsafe-noiommu", NULL);
	assert_complaint(&outcome, "--unsafe-noiommu");
	outcome = run(cmd_info, "info", "--unsafe-noiommu=yes", "soft:edu", NULL);
	assert_complaint(&outcome, "--unsafe-noiommu");
	outcome = run(cmd_info, "info", "--unsafe-noiommu", "soft:edu", NULL);
	assert_int_equal(outcome.status, EXIT_YES);
}

/* ---- list ---- */

static void test_list_bad(void **state)
{
	struct outcome outcome;
	char *root = *state;

	outcome = run(cmd_list, "list", "--root", "/nonexistent", NULL);
	assert_complaint(&outcome, "/nonexistent");
	outcome = run(cmd_list, "list", ADDR, NULL);
	assert_complaint(&outcome, "weir info");
	tree_attr(root, ADDR, "uevent", "\033[2J\n");
	outcome = run(cmd_list, "list", "--root", root, NULL);
	assert_complaint(&outcome, "uevent");
}

static void test_list_escapes(void **state)
{
	struct json_object *list;
	struct outcome outcome;
	char *root = *state;

	tree_attr_link(root, ADDR, "driver", "drivers/a\033[2J\xff\nb");
	outcome = run(cmd_list, "list", "--root", root, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "a?[2J??b"));
	assert_null(strchr(outcome.out, '\033'));
	outcome = run(cmd_list, "list", "--json", "--root", root, NULL);
	list = parse(outcome.out);
	assert_string_equal(get_text(json_object_array_get_idx(list, 0), "driver"), "a?[2J??b");
	json_object_put(list);
}

static void test_list(void **state)
{
	struct json_object *list, *first, *second;
	struct outcome outcome;
	char *root = *state;

	tree_function(root, "0000:00:01.0");
	tree_attr(root, ADDR, "numa_node", "0\n");
	tree_attr_link(root, ADDR, "driver", "drivers/vfio-pci");
	tree_attr_link(root, ADDR, "iommu_group", "groups/0");
	tree_attr_link(root, ADDR, "iommu", "iommu/dmar0");
	tree_text(root, "dev/vfio/0", "");
	outcome = run(cmd_list, "list", "--root", root, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "0000:00:01.0 1234:11e8"));
	assert_non_null(strstr(outcome.out, "/dev/vfio/0"));

	outcome = run(cmd_list, "list", "--json", "--root", root, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	list = parse(outcome.out);
	assert_int_equal(json_object_array_length(list), 2);
	first = json_object_array_get_idx(list, 0);
	second = json_object_array_get_idx(list, 1);
	assert_string_equal(get_text(first, "address"), "0000:00:01.0");
	assert_string_equal(get_text(first, "vendor"), "0x1234");
	assert_string_equal(get_text(first, "device"), "0x11e8");
	assert_string_equal(get_text(first, "class"), "0x00ff00");
	assert_string_equal(get_text(first, "revision"), "0x10");
	assert_null(get(first, "driver"));
	assert_null(get(first, "group"));
	assert_null(get(first, "iommu"));
	assert_null(get(first, "numa_node"));
	assert_null(get(first, "vfio_node"));
	assert_null(get(first, "parent"));
	assert_null(get(first, "root_bus"));
	assert_null(get(first, "slot"));
	assert_null(get(first, "physfn"));
	assert_null(get(first, "vfs"));
	assert_string_equal(get_text(second, "driver"), "vfio-pci");
	assert_string_equal(get_text(second, "iommu"), "dmar0");
	assert_string_equal(get_text(second, "vfio_node"), "/dev/vfio/0");
	assert_true(json_object_is_type(get(second, "group"), json_type_int));
	assert_int_equal(json_object_get_int(get(second, "group")), 0);
	assert_int_equal(json_object_get_int(get(second, "numa_node")), 0);
	json_object_put(list);

	tree_remove(root, "sys/bus/pci/devices/" ADDR);
	tree_remove(root, "sys/bus/pci/devices/0000:00:01.0");
	outcome = run(cmd_list, "list", "--json", "--root", root, NULL);
	list = parse(outcome.out);
	assert_int_equal(json_object_array_length(list), 0);
	json_object_put(list);
}

/* ---- info ---- */

static void test_info_bad(void **state)
{
	static char *const malformed[] = {
		"00:zz", "", "0000:01:00.8", "eth0", "../0000:01:00.0", "01:00.0 ", "a\033[2J",
	};
	struct outcome outcome;
	char *root = *state;

	tree_folder(root, "sys/bus/platform/devices/serial8250");
	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
		outcome = run(cmd_info, "info", "--json", "--root", root, malformed[i], NULL);
		assert_complaint(&outcome, "0000:01:00.0");	/* what one looks like */
		assert_null(strchr(outcome.err, '\033'));
	}
	outcome = run(cmd_info, "info", "--root", root, "00:zz", NULL);
	assert_complaint(&outcome, "00:zz");
	outcome = run(cmd_info, "info", "--root", root, "0000:7f:1f.7", NULL);
	assert_complaint(&outcome, "0000:7f:1f.7");
	outcome = run(cmd_info, "info", "--root", root, "serial8250", NULL);
	assert_complaint(&outcome, "serial8250 is a device of the platform bus");
	outcome = run(cmd_info, "info", "--root", root, NULL);
	assert_complaint(&outcome, "weir info");
	outcome = run(cmd_info, "info", "--root", root, ADDR, ADDR, NULL);
	assert_complaint(&outcome, "weir info");
	outcome = run(cmd_info, "info", "--root", root, "soft:edu", NULL);
	assert_complaint(&outcome, "--root");
}

/* A config space with MSI for 8 vectors, MSI-X for 2048, ACS, and loops in both chains. */
static void put_config(const char *root, size_t size)
{
	static const struct {
		unsigned int at;
		unsigned char byte;
	} set[] = {
		{ 0x06, 0x10 }, { 0x34, 0x40 }, { 0x3d, 2 },
		{ 0x40, 0x05 }, { 0x41, 0x60 }, { 0x42, 3 << 1 },
		{ 0x60, 0x11 }, { 0x61, 0x41 }, { 0x62, 0xff }, { 0x63, 0x07 },
		{ 0x100, 0x0d }, { 0x102, 0x01 }, { 0x103, 0x10 },
	};
	unsigned char bytes[4096] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(set); i++)
		bytes[set[i].at] = set[i].byte;
	tree_bytes(root, "sys/bus/pci/devices/" ADDR "/config", bytes, size);
}

static void put_group(const char *root)
{
	static const struct {
		const char *addr, *driver;
	} members[] = {
		{ "0000:00:1c.0", "pcieport" }, { "0000:01:00.1", "snd_hda_intel" },
		{ "0000:01:00.2", "vfio-pci" }, { "0000:01:00.3", NULL },
		{ "0000:01:00.4", "pci-stub" },
	};

	tree_attr_link(root, ADDR, "driver", "drivers/nouveau");
	tree_attr_link(root, ADDR, "iommu_group", "groups/5");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		tree_function(root, members[i].addr);
		tree_attr_link(root, members[i].addr, "iommu_group", "groups/5");
		if (members[i].driver)
			tree_attr_link(root, members[i].addr, "driver", members[i].driver);
	}
	tree_attr(root, "0000:00:1c.0", "class", "0x060400\n");
	/* Of another group. */
	tree_function(root, "0000:02:00.0");
	tree_attr_link(root, "0000:02:00.0", "iommu_group", "groups/55");
}

static void put_details(const char *root)
{
	tree_attr(root, ADDR, "resource",
		  "0x00000000fe000000 0x00000000fe0fffff 0x0000000000040200\n" NONE NONE NONE
		  NONE NONE NONE);
	tree_attr(root, ADDR, "reset_method", "flr \033[2J bus\n");
}

static void test_info_json(void **state)
{
	static const char *const roles[] = {
		"harmless", "in the way", "in the way", "vfio", "free", "harmless",
	};
	struct json_object *info, *list, *item;
	struct outcome outcome;
	char *root = *state;

	put_config(root, 4096);
	put_group(root);
	put_details(root);
	outcome = run(cmd_info, "info", "--json", "--root", root, "01:00.0", NULL);
	assert_string_equal(outcome.err, "");
	assert_int_equal(outcome.status, EXIT_YES);
	info = parse(outcome.out);
	assert_string_equal(get_text(info, "name"), ADDR);
	assert_string_equal(get_text(info, "address"), ADDR);
	assert_string_equal(get_text(info, "driver"), "nouveau");

	list = get(info, "group_members");
	assert_int_equal(json_object_array_length(list), ARRAY_SIZE(roles));
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		assert_string_equal(get_text(json_object_array_get_idx(list, i), "role"), roles[i]);

	list = get(info, "regions");
	assert_int_equal(json_object_array_length(list), 1);
	item = json_object_array_get_idx(list, 0);
	assert_string_equal(get_text(item, "region"), "BAR0");
	assert_int_equal(json_object_get_int(get(item, "size")), 1 << 20);
	assert_string_equal(get_text(item, "address"), "0xfe000000");

	item = get(info, "interrupts");
	assert_string_equal(get_text(item, "intx"), "B");
	assert_int_equal(json_object_get_int(get(item, "msi")), 8);
	assert_int_equal(json_object_get_int(get(item, "msix")), 2048);

	list = get(info, "capabilities");
	assert_int_equal(json_object_array_length(list), 3);
	item = json_object_array_get_idx(list, 2);
	assert_string_equal(get_text(item, "id"), "0x000d");
	assert_string_equal(get_text(item, "offset"), "0x100");
	assert_string_equal(get_text(item, "name"), "Access Control Services");

	list = get(info, "reset_methods");
	assert_int_equal(json_object_array_length(list), 3);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(list, 1)), "?[2J");

	item = get(info, "weir");
	assert_false(json_object_get_boolean(get(item, "opened")));
	assert_non_null(strstr(get_text(item, "why"), "--root"));
	json_object_put(info);
}

static void test_info_text(void **state)
{
	static const char *const parts[] = {
		ADDR "\n", "1234:11e8", "nouveau", "group 5", "harmless bridge", "snd_hda_intel",
		"in the way", "BAR0", "1 MiB", "at 0xfe000000", "pin B", "8 vectors",
		"2048 vectors", "0x100 000d Access Control Services", "not opened: --root",
	};
	struct outcome outcome;
	char *root = *state;

	put_config(root, 4096);
	put_group(root);
	put_details(root);
	outcome = run(cmd_info, "info", ADDR, "--root", root, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.err, "");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strstr(outcome.out, parts[i]))
			fail_msg("'%s' isn't in:\n%s", parts[i], outcome.out);
	assert_null(strstr(outcome.out, "0000:02:00.0"));
	assert_null(strchr(outcome.out, '\033'));
}

/* What sysfs shows to users without privilege. */
static void test_info_short_config(void **state)
{
	struct json_object *info, *interrupts;
	struct outcome outcome;
	char *root = *state;

	put_config(root, 64);
	put_details(root);
	outcome = run(cmd_info, "info", "--json", "--root", root, ADDR, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	info = parse(outcome.out);
	assert_null(get(info, "capabilities"));
	interrupts = get(info, "interrupts");
	assert_string_equal(get_text(interrupts, "intx"), "B");
	assert_null(get(interrupts, "msi"));
	assert_null(get(interrupts, "msix"));
	json_object_put(info);
	outcome = run(cmd_info, "info", "--root", root, ADDR, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "only root may read that part of config space, or "
					"capture it"));
}

/* What can't be read is said, and the rest is told all the same. */
static void test_info_damaged(void **state)
{
	struct json_object *info;
	struct outcome outcome;
	char *root = *state;

	outcome = run(cmd_info, "info", "--json", "--root", root, ADDR, NULL);
	assert_int_equal(outcome.status, EXIT_UNKNOWN);
	assert_non_null(strstr(outcome.err, "config"));
	assert_non_null(strstr(outcome.err, "resource"));
	info = parse(outcome.out);
	assert_string_equal(get_text(info, "vendor"), "0x1234");
	assert_null(get(info, "regions"));
	assert_null(get(info, "capabilities"));
	assert_null(get(info, "group_members"));
	json_object_put(info);
}

static void test_info_garbage_config(void **state)
{
	unsigned char bytes[4096];
	struct json_object *info;
	struct outcome outcome;
	char *root = *state;

	put_details(root);
	srand(42);
	for (unsigned int round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = round ? (unsigned char)rand() : 0xff;
		tree_bytes(root, "sys/bus/pci/devices/" ADDR "/config", bytes,
			   round % 3 ? 4096 : 256);
		outcome = run(cmd_info, "info", "--json", "--root", root, ADDR, NULL);
		assert_int_equal(outcome.status, EXIT_YES);
		info = parse(outcome.out);
		json_object_put(info);
	}
}

/* ---- report ---- */

static void test_report_to_stdout(void **state)
{
	struct outcome outcome, dash;

	outcome = run(cmd_report, "report", "--root", *state, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "</html>"));
	dash = run(cmd_report, "report", "--output", "-", "--root", *state, NULL);
	assert_int_equal(dash.status, EXIT_YES);
	assert_string_equal(dash.out, outcome.out);
	assert_int_not_equal(access("-", F_OK), 0);
}

/* ---- bind, release ---- */

/* What is there isn't looked at before the options make sense. */
static void test_bind_bad(void **state)
{
	static const char *const owners[] = {
		"", ":", "no-such-user", "0:no-such-group", "0:", "4294967295", "-1", "0x0",
		"0:4294967296",
	};
	struct outcome outcome;

	(void)state;
	outcome = run(cmd_bind, "bind", NULL);
	assert_complaint(&outcome, "wants PCI functions");
	outcome = run(cmd_bind, "bind", "--dry-run", "00:zz", NULL);
	assert_complaint(&outcome, "00:zz");
	outcome = run(cmd_bind, "bind", "--owner", NULL);
	assert_complaint(&outcome, "--owner");
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		char owner[32];

		strcpy(owner, owners[i]);
		outcome = run(cmd_bind, "bind", "--dry-run", "--owner", owner, "00:zz", NULL);
		assert_int_equal(outcome.status, EXIT_UNKNOWN);
		assert_null(strstr(outcome.err, "00:zz"));
	}
	outcome = run(cmd_release, "release", NULL);
	assert_complaint(&outcome, "--all");
	outcome = run(cmd_release, "release", "--all", "01:00.0", NULL);
	assert_complaint(&outcome, "either");
}

static const struct weir_host_step some_steps[] = {
	{ .action = WEIR_HOST_LOAD, .subject = "vfio-pci" },
	{ .action = WEIR_HOST_UNBIND, .subject = ADDR, .from = "n\033vme" },
	{ .action = WEIR_HOST_KEEP, .subject = ADDR, .from = "nvme", .to = "nvme", .why = "so" },
};

static int show(int argc, char **argv)
{
	struct steps steps = { .json = argc > 1, .dry_run = !strcmp(argv[0], "dry") };

	steps_show(&steps, some_steps, strcmp(argv[0], "none") ? ARRAY_SIZE(some_steps) : 0);
	return steps_end(&steps, strcmp(argv[0], "busy") ? 0 : -EBUSY, "done it");
}

static void test_steps(void **state)
{
	struct json_object *report, *step;
	struct outcome outcome;

	(void)state;
	outcome = run(show, "all", NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.out,
			    "WHAT         STEP   FROM  TO   WHY\n"
			    "vfio-pci     load   -     -    \n"
			    ADDR " unbind n?vme -    \n"
			    ADDR " keep   nvme  nvme so\n"
			    "done it\n");
	outcome = run(show, "dry", NULL);
	assert_non_null(strstr(outcome.out, "nothing was changed"));
	outcome = run(show, "none", NULL);
	assert_string_equal(outcome.out, "nothing is to be done\ndone it\n");
	outcome = run(show, "busy", NULL);
	assert_int_equal(outcome.status, EXIT_NO);

	outcome = run(show, "busy", "--json", NULL);
	assert_int_equal(outcome.status, EXIT_NO);
	report = parse(outcome.out);
	assert_false(json_object_get_boolean(get(report, "done")));
	assert_int_equal(json_object_array_length(get(report, "steps")), 3);
	step = json_object_array_get_idx(get(report, "steps"), 1);
	assert_string_equal(get_text(step, "action"), "unbind");
	assert_string_equal(get_text(step, "subject"), ADDR);
	assert_string_equal(get_text(step, "from"), "n?vme");
	assert_null(get(step, "to"));
	assert_null(get(step, "why"));
	json_object_put(report);
	outcome = run(show, "all", "--json", NULL);
	report = parse(outcome.out);
	assert_true(json_object_get_boolean(get(report, "done")));
	assert_null(get(report, "why"));
	json_object_put(report);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_tree, free_tree)

/* ---- weir eeh ---- */

/* The fake kernel's device, on POWER. */
static int new_power(void **state)
{
	(void)state;
	fake_start();
	fake.no_type1 = true;
	fake.spapr.exists = true;
	fake.device.regions[7] = (struct wr_vfio_region_info){ .flags = 3, .size = 256 };
	return 0;
}

static int end_power(void **state)
{
	(void)state;
	assert_int_equal(fake.open_fds, 0);
	fake_stop();
	return 0;
}

static void test_eeh_bad_input(void **state)
{
	struct outcome outcome = run(cmd_eeh, "eeh", NULL);
	struct utsname us;

	(void)state;
	assert_complaint(&outcome, "eeh wants one device");
	outcome = run(cmd_eeh, "eeh", ADDR, ADDR, NULL);
	assert_complaint(&outcome, "eeh wants one device");
	outcome = run(cmd_eeh, "eeh", "--reset", NULL);
	assert_complaint(&outcome, "--reset needs a value");
	outcome = run(cmd_eeh, "eeh", "--reset", "cold", ADDR, NULL);
	assert_complaint(&outcome, "hot or fundamental, not cold");
	outcome = run(cmd_eeh, "eeh", "soft:edu", NULL);
	assert_complaint(&outcome, "EEH is POWER's");
	outcome = run(cmd_eeh, "eeh", "--reset", "hot", "soft:edu", NULL);
	assert_complaint(&outcome, "EEH is POWER's");
	outcome = run(cmd_eeh, "eeh", "ffff:00:00.0", NULL);
	assert_complaint(&outcome, "ffff:00:00.0");
	assert_int_equal(uname(&us), 0);
	if (strncmp(us.machine, "ppc64", 5)) {
		assert_complaint(&outcome, "EEH is POWER's");
		assert_complaint(&outcome, us.machine);
	}
	outcome = run(cmd_eeh, "eeh", "--help", NULL);
	assert_int_equal(outcome.status, EXIT_YES);
}

static void test_eeh_state(void **state)
{
	struct outcome outcome = run(cmd_eeh, "eeh", ADDR, NULL);

	(void)state;
	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.out, ADDR " by spaprv2: normal\n");
	fake.eeh.state = WR_VFIO_EEH_STOPPED;
	outcome = run(cmd_eeh, "eeh", ADDR, NULL);
	assert_int_equal(outcome.status, EXIT_NO);
	assert_string_equal(outcome.out, ADDR " by spaprv2: frozen\n");
	outcome = run(cmd_eeh, "eeh", "--json", ADDR, NULL);
	assert_int_equal(outcome.status, EXIT_NO);
	assert_non_null(strstr(outcome.out, "\"state\": \"frozen\""));
	assert_non_null(strstr(outcome.out, "\"reset\": null"));
}

static void test_eeh_reset(void **state)
{
	struct outcome outcome;

	(void)state;
	fake.eeh.state = WR_VFIO_EEH_STOPPED;
	outcome = run(cmd_eeh, "eeh", "--reset", "fundamental", ADDR, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_string_equal(outcome.out, ADDR " by spaprv2: normal, after a fundamental reset\n");
	assert_string_equal(fake.eeh.done, "2758");
	outcome = run(cmd_eeh, "eeh", "--reset", "hot", "--json", ADDR, NULL);
	assert_int_equal(outcome.status, EXIT_YES);
	assert_non_null(strstr(outcome.out, "\"reset\": \"hot\""));
	assert_string_equal(fake.eeh.done, "2758658");
	fake.eeh.bad_resets = 9;
	outcome = run(cmd_eeh, "eeh", "--reset", "hot", ADDR, NULL);
	assert_int_equal(outcome.status, EXIT_NO);
	assert_non_null(strstr(outcome.out, "frozen, after a hot reset"));
	assert_non_null(strstr(outcome.err, "still: frozen"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_size_text),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_empty_root),
		cmocka_unit_test(test_consent),
		TEST(test_list_bad),
		TEST(test_list_escapes),
		TEST(test_list),
		TEST(test_info_bad),
		TEST(test_info_json),
		TEST(test_info_text),
		TEST(test_info_short_config),
		TEST(test_info_damaged),
		TEST(test_info_garbage_config),
		TEST(test_report_to_stdout),
		cmocka_unit_test(test_bind_bad),
		cmocka_unit_test(test_steps),
		cmocka_unit_test_setup_teardown(test_eeh_bad_input, new_power, end_power),
		cmocka_unit_test_setup_teardown(test_eeh_state, new_power, end_power),
		cmocka_unit_test_setup_teardown(test_eeh_reset, new_power, end_power),
	};

	return cmocka_run_group_tests_name("tool", tests, NULL, NULL);
}
