/* SPDX-License-Identifier: MIT */
/* weir doctor, run in this process over trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "out.h"
#include "weir.h"

#include <cmocka.h>
#include <json-c/json.h>

#include "doctor_rig.h"
#include "tree.h"
#include "verb.h"

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("the JSON has no '%s'", key);
	return value;
}

static const char *text_of(struct json_object *object, const char *key)
{
	const char *text = json_object_get_string(get(object, key));

	return text ? text : "null";
}

static struct json_object *examine(const char *root, const char *device, int status)
{
	struct outcome got = run(cmd_doctor, "doctor", "--json", "--root", root, device, NULL);
	struct json_object *report;

	assert_int_equal(got.status, status);
	assert_string_equal(got.err, "");
	report = json_tokener_parse(got.out);
	assert_non_null(report);
	return report;
}

/* The finding of that id. */
static struct json_object *finding_of(struct json_object *report, const char *id)
{
	struct json_object *list = get(report, "findings");

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *finding = json_object_array_get_idx(list, i);

		if (!strcmp(text_of(finding, "id"), id))
			return finding;
	}
	fail_msg("there is no finding %s", id);
	return NULL;
}

static void test_json(void **state)
{
	static const char *const order[] = { "stop", "unknown", "warning", "note", "ok" };
	struct json_object *report, *finding, *list;
	const char *root = *state;
	size_t rank = 0;

	report = examine(root, CARD, EXIT_YES);
	assert_string_equal(text_of(report, "verdict"), "yes");
	assert_string_equal(text_of(report, "device"), CARD);
	json_object_put(report);

	tree_text(root, GROUP "reserved_regions", "0x1000 0x1fff direct\n");
	tree_attr(root, CARD, "reset_method", "\n");
	report = examine(root, "01:00.0", EXIT_NO);
	assert_string_equal(text_of(report, "verdict"), "no");
	finding = finding_of(report, "reserved-direct");
	assert_string_equal(text_of(finding, "severity"), "stop");
	assert_string_equal(text_of(finding, "device"), CARD);
	assert_string_equal(text_of(finding, "file"), "/" GROUP "reserved_regions");
	assert_non_null(strstr(text_of(finding, "cure"), "firmware"));
	finding = finding_of(report, "iommu-on");
	assert_string_equal(text_of(finding, "device"), "null");
	assert_string_equal(text_of(finding, "cure"), "null");
	/* Worst first. */
	list = get(report, "findings");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		const char *severity = text_of(json_object_array_get_idx(list, i), "severity");

		while (rank < ARRAY_SIZE(order) && strcmp(order[rank], severity))
			rank++;
		assert_true(rank < ARRAY_SIZE(order));
	}
	json_object_put(report);

	/* The machine alone knows nothing of that. */
	report = examine(root, NULL, EXIT_YES);
	assert_string_equal(text_of(report, "device"), "null");
	json_object_put(report);

	tree_text(root, GROUP "reserved_regions", "rubbish\n");
	report = examine(root, CARD, EXIT_UNKNOWN);
	assert_string_equal(text_of(report, "verdict"), "unknown");
	json_object_put(report);
}

/* The texts are weir's own, and whole in every locale. */
static void assert_ascii(const char *text)
{
	for (; *text; text++)
		if (*text & 0x80)
			fail_msg("a byte beyond ASCII in: %.80s", text);
}

static void test_table(void **state)
{
	static const char bridge[64] = { [0x0e] = 1 };
	const char *root = *state;
	struct outcome got;

	got = run(cmd_doctor, "doctor", "--root", root, CARD, NULL);
	assert_int_equal(got.status, EXIT_YES);
	assert_non_null(strstr(got.out, CARD " can be given away\n"));
	assert_non_null(strstr(got.out, "\"error getting device from group ... verify"));
	assert_ascii(got.out);
	tree_text(root, GROUP "reserved_regions", "0x1000 0x1fff direct\n");
	/* Nothing of a file reaches the terminal as it is. */
	tree_text(root, "dev/kmsg", "3,1,1,-;vfio-pci " CARD ": \033[2Jfault addr 0\n");
	got = run(cmd_doctor, "doctor", "--root", root, CARD, NULL);
	assert_int_equal(got.status, EXIT_NO);
	assert_null(strchr(got.out, '\033'));
	assert_non_null(strstr(got.out, "?[2Jfault addr"));
	assert_non_null(strstr(got.out, "cure: in the firmware's setup what uses such memory"));
	assert_true(strstr(got.out, "reserved-direct") < strstr(got.out, "dma-faults"));
	assert_non_null(strstr(got.out, CARD " can't be given away as it is: see what is marked "
			       "'stop' (1)\n"));
	tree_attr(root, CARD, "class", "0x060400\n");
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", bridge, sizeof(bridge));
	got = run(cmd_doctor, "doctor", "--root", root, CARD, NULL);
	assert_int_equal(got.status, EXIT_NO);
	assert_non_null(strstr(got.out, "cure: give away what is behind it"));
	assert_null(strstr(got.out, "dma-faults"));
	got = run(cmd_doctor, "doctor", "--root", root, NULL);
	assert_non_null(strstr(got.out, "this machine can give devices away\n"));
}

/* What is fine is counted and named, and told when it is asked for; programs get all. */
static void test_all(void **state)
{
	const char *root = *state, *line;
	struct json_object *report, *list;
	unsigned int fine = 0, named = 1, said;
	struct outcome got;

	report = examine(root, CARD, EXIT_YES);
	list = get(report, "findings");
	for (size_t i = 0; i < json_object_array_length(list); i++)
		fine += !strcmp(text_of(json_object_array_get_idx(list, i), "severity"), "ok");
	json_object_put(report);

	got = run(cmd_doctor, "doctor", "--root", root, CARD, NULL);
	line = strstr(got.out, "\nok ");
	assert_non_null(line);
	assert_null(strstr(line + 1, "\nok "));
	assert_int_equal(sscanf(line, " ok %u checks", &said), 1);
	assert_int_equal(said, fine);
	for (const char *c = strchr(line, ':'); *c != '\n'; c++)
		named += *c == ',';
	assert_int_equal(named, fine);
	assert_non_null(strstr(line, "(--all tells more): guest, "));
	assert_non_null(strstr(line, ", iommu-group, "));
	assert_null(strstr(got.out, "is in IOMMU group 5"));

	got = run(cmd_doctor, "doctor", "--all", "--root", root, CARD, NULL);
	assert_int_equal(got.status, EXIT_YES);
	assert_null(strstr(got.out, "--all"));
	assert_non_null(strstr(got.out, CARD " is in IOMMU group 5 [/sys/"));
	for (line = got.out; (line = strstr(line, "\nok ")); line++)
		fine--;
	assert_int_equal(fine, 0);
	assert_non_null(strstr(got.out, CARD " can be given away\n"));
}

static void test_bad_input(void **state)
{
	const char *root = *state;
	struct outcome got;

	got = run(cmd_doctor, "doctor", "--root", "/proc", NULL);
	assert_complaint(&got, "no PCI bus");
	got = run(cmd_doctor, "doctor", "--root", root, "0000:09:00.0", NULL);
	assert_complaint(&got, "no such PCI function");
	got = run(cmd_doctor, "doctor", "--root", root, "\033[2J", NULL);
	assert_complaint(&got, "?[2J");
	got = run(cmd_doctor, "doctor", "--root", root, CARD, PORT, NULL);
	assert_complaint(&got, "is another");
	got = run(cmd_doctor, "doctor", "--checks", CARD, NULL);
	assert_complaint(&got, "go alone");
	got = run(cmd_doctor, "doctor", "--checks", "--causes", NULL);
	assert_complaint(&got, "go alone");
	got = run(cmd_doctor, "doctor", "--memlock", "1G", "--root", root, NULL);
	assert_complaint(&got, "go alone");
	got = run(cmd_doctor, "doctor", "--all", "--causes", NULL);
	assert_complaint(&got, "go alone");
}

static void test_lists(void **state)
{
	struct json_object *list;
	struct outcome got;

	(void)state;
	got = run(cmd_doctor, "doctor", "--json", "--checks", NULL);
	list = json_tokener_parse(got.out);
	assert_true(json_object_array_length(list) > 40);
	assert_string_equal(text_of(json_object_array_get_idx(list, 0), "of"), "machine");
	json_object_put(list);
	got = run(cmd_doctor, "doctor", "--json", "--causes", NULL);
	list = json_tokener_parse(got.out);
	assert_int_equal(json_object_array_length(list), 40);
	assert_string_equal(text_of(json_object_array_get_idx(list, 0), "check"),
			    "firmware-table");
	json_object_put(list);
	got = run(cmd_doctor, "doctor", "--causes", NULL);
	assert_int_equal(got.status, EXIT_YES);
	assert_non_null(strstr(got.out, "none: it is a program's own mistake"));
	assert_non_null(strstr(got.out, "DMAR reported at address ..."));
	assert_ascii(got.out);
	got = run(cmd_doctor, "doctor", "--checks", NULL);
	assert_non_null(strstr(got.out, "interrupt-remapping"));
	assert_ascii(got.out);
}

static void test_memlock(void **state)
{
	static const char *const bad[][2] = {
		{ "", "needs the VM's memory" }, { "much", "isn't a number" },
		{ "8G,devices=x", "isn't a number" }, { "8G,devices=65537", "more than" },
		{ "8G,cards=1", "no part 'cards=1'" }, { "0", "some memory" },
		{ "8G,max=1G", "some memory" }, { "17179869183G", "64 bits" },
		{ "8192", "8192 is less than a MiB; give a unit (K, M, G or T), as in 8192M" },
		{ "8G,max=16384", "less than a MiB" }, { "1023K", "less than a MiB" },
		{ "8GB", "8GB: that isn't a number, with K, M, G or T behind it" },
	};
	struct json_object *report;
	struct outcome got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		got = run(cmd_doctor, "doctor", "--memlock", bad[i][0], NULL);
		assert_complaint(&got, bad[i][1]);
	}
	got = run(cmd_doctor, "doctor", "--memlock", "8G,devices=2,viommu", NULL);
	assert_int_equal(got.status, EXIT_YES);
	assert_non_null(strstr(got.out, "a VM of 8 GiB with 2 devices and an IOMMU of its own:\n"));
	assert_non_null(strstr(got.out, "17825792 KiB (17.00 GiB): LimitMEMLOCK=17825792K"));
	got = run(cmd_doctor, "doctor", "--json", "--memlock", "8G,devices=2,powernv", NULL);
	report = json_tokener_parse(got.out);
	assert_string_equal(text_of(report, "platform"), "powernv");
	assert_int_equal(json_object_get_uint64(get(report, "limit")), 8292ULL << 20);
	/* Memory, and of each window a table of 4 MiB and its copy. */
	assert_int_equal(json_object_get_uint64(get(report, "program")), (8192ULL + 16) << 20);
	json_object_put(report);
	got = run(cmd_doctor, "doctor", "--memlock", "6G,max=16G", NULL);
	assert_non_null(strstr(got.out, "a VM of 6 GiB, at most 16 GiB, with 1 device:\n"));
	/* What is too much to be a mistake is bytes. */
	got = run(cmd_doctor, "doctor", "--memlock", "1048576", NULL);
	assert_int_equal(got.status, EXIT_YES);
	assert_non_null(strstr(got.out, "a VM of 1 MiB with 1 device:\n"));
	got = run(cmd_doctor, "doctor", "--json", "--memlock", "8G", NULL);
	report = json_tokener_parse(got.out);
	assert_string_equal(text_of(report, "program"), "null");
	json_object_put(report);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doctor_start, doctor_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_json),
		TEST(test_table),
		TEST(test_all),
		TEST(test_bad_input),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_memlock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
