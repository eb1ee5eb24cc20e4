/* SPDX-License-Identifier: MIT */
/*
 * weir nvme in this process: the linker puts a model where the verbs open a device. What is
 * printed, what is on the disk afterwards, and that nothing is where it must not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before cmocka.h, which has a macro of the name fail(). */
#include "nvme.h"

#include <cmocka.h>
#include <json-c/json.h>

#include "drivers/nvme/spec.h"
#include "tests/capture.h"
#include "tests/soft/nvme_model.h"

static struct weir_model *model;
static uint8_t *disk;		/* of namespace 1 */

int __wrap_weir_device_open(struct weir_iommu *iommu, const char *name,
			    const struct weir_device_opts *opts, struct weir_device **out);

int __wrap_weir_device_open(struct weir_iommu *iommu, const char *name,
			    const struct weir_device_opts *opts, struct weir_device **out)
{
	assert_string_equal(name, "disk");
	return weir_device_open_model(iommu, model, opts, out);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(nvme_model_create(NULL, &model), 0);
	disk = nvme_model_disk(model, 1);
	for (unsigned int i = 0; i < NVME_MODEL_DISK; i++)
		disk[i] = (uint8_t)(i * 7 + (i >> 9));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_string_equal(nvme_model_complaint(model), "");
	assert_int_equal(nvme_model_destroy(model), 0);
	return 0;
}

/* ---- running the verb ---- */

static char out[65536], err[4096];
static size_t out_len;

/* @line: the words after "weir". What is printed is in out and err. */
static int run(const char *line)
{
	char words[512], *argv[32] = { NULL }, *save = NULL;
	struct capture to_out, to_err;
	int argc = 0, status;

	snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	optind = 0;
	to_out = capture(stdout);
	to_err = capture(stderr);
	status = cmd_nvme(argc, argv);
	out_len = captured(&to_out, out, sizeof(out));
	captured(&to_err, err, sizeof(err));
	return status;
}

/* It says no in one sentence with this in it, prints nothing else, and has touched nothing. */
static void says_no(const char *line, const char *word)
{
	unsigned int before = nvme_model_commands(model);

	if (run(line) != EXIT_UNKNOWN || strncmp(err, "weir: ", 6) || !strstr(err, word) ||
	    strchr(err, '\n') != err + strlen(err) - 1 || *out)
		fail_msg("weir %s: '%s' and '%s', not one sentence with '%s'", line, out, err,
			 word);
	assert_int_equal(nvme_model_commands(model), before);
}

static void test_bad_input(void **state)
{
	static const struct {
		const char *line, *word;
	} all[] = {
		{ "nvme", "needs a verb" },
		{ "nvme format disk", "no verb 'format'" },
		{ "nvme identify", "one device, not 0" },
		{ "nvme identify disk disk", "one device, not 2" },
		{ "nvme identify --yes disk", "nvme identify: there is no option --yes" },
		{ "nvme read disk", "--lba is missing" },
		{ "nvme read --lba 0 disk", "--blocks is missing" },
		{ "nvme read --lba --blocks", "--lba --blocks: that isn't a number" },
		{ "nvme read --lba", "--lba needs a value" },
		{ "nvme read --lba 0 --blocks 0 disk", "nothing to do" },
		{ "nvme read --lba -1 --blocks 1 disk", "--lba -1" },
		{ "nvme read --lba 1x --blocks 1 disk", "--lba 1x" },
		{ "nvme read --lba 0 --blocks 17000000000000T disk", "isn't a number" },
		{ "nvme read --lba 0 --blocks 1 --yes disk", "no option --yes" },
		{ "nvme read --lba 0 --blocks 1 --json disk", "not JSON" },
		{ "nvme read --lba 0 --blocks 1 --namespace 3 disk", "no namespace 3" },
		{ "nvme read --lba 0 --blocks 1 --namespace 0 disk", "no namespace 0" },
		{ "nvme read --lba 0 --blocks 1 --namespace 4294967297 disk", "4294967297" },
		{ "nvme read --lba 8192 --blocks 1 disk", "ends at LBA 8191" },
		{ "nvme read --lba 8191 --blocks 2 disk", "beyond the end" },
		{ "nvme read --lba 1 --blocks 0xffffffffffffffff disk", "beyond the end" },
		{ "nvme read --lba 0 --blocks 1 --namespace 4 disk", "metadata" },
		{ "nvme read --lba 0 --blocks 1 --file /nowhere/x disk", "/nowhere/x" },
		{ "nvme write --lba 0 --file /nowhere/x disk", "/nowhere/x" },
		{ "nvme write --lba 0 --file /dev/null --yes disk", "--blocks must say" },
		{ "nvme write --lba 0 --blocks 9 --file /dev/zero disk", "LBA 0 to 8 of" },
		{ "nvme write --lba 8190 --blocks 3 --file /dev/zero --yes disk",
		  "beyond the end" },
		{ "nvme bench --write disk", "overwrites 4 MiB: LBA 0 to 8191" },
		{ "nvme bench --verify --lba 8 --blocks 25 disk", "LBA 8 to 31" },
		{ "nvme bench --verify --write --yes disk", "leave --write out" },
		{ "nvme bench --depth 0 disk", "--depth is from 1" },
		{ "nvme bench --depth 64 disk", "1 to 63" },
		{ "nvme bench --block-size 0 disk", "--block-size is from 1" },
		{ "nvme bench --block-size 64K disk", "32768 bytes at most" },
		{ "nvme bench --block-size 513 disk", "whole blocks of 512" },
		{ "nvme bench --blocks 7 disk", "less than a command" },
		{ "nvme bench --window 64K disk", "on POWER, by \"spaprv2\" alone" },
		{ "nvme bench --window 64K,x disk", "--window x: that isn't a number" },
		{ "nvme identify --window 0 disk", "pages of no size" },
		{ "nvme read --lba 0 --blocks 1 --window 3K disk", "must be powers of two" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		says_no(all[i].line, all[i].word);
	for (unsigned int i = 0; i < NVME_MODEL_DISK; i++)
		assert_int_equal(disk[i], (uint8_t)(i * 7 + (i >> 9)));
}

static void test_help(void **state)
{
	static const char *const lines[] = {
		"nvme --help", "nvme -h", "nvme identify --help", "nvme read -h",
		"nvme write --help", "nvme bench --help",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(run(lines[i]), EXIT_YES);
		assert_int_equal(strncmp(out, "usage: weir nvme", 16), 0);
		assert_string_equal(err, "");
	}
}

static struct json_object *document(const char *line, int status)
{
	struct json_object *object;

	assert_int_equal(run(line), status);
	object = json_tokener_parse(out);
	assert_non_null(object);
	return object;
}

static uint64_t number(struct json_object *object, const char *key)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(object, key, &value));
	assert_int_equal(json_object_get_type(value), json_type_int);
	return json_object_get_uint64(value);
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(object, key, &value));
	return value;
}

static void test_identify(void **state)
{
	struct json_object *object, *list;

	(void)state;
	object = document("nvme identify --json disk", EXIT_YES);
	assert_string_equal(json_object_get_string(member(object, "serial")), "S 1");
	assert_string_equal(json_object_get_string(member(object, "version")), "2.0.0");
	assert_int_equal(number(object, "mdts"), 32768);
	list = member(object, "namespaces");
	assert_int_equal(json_object_array_length(list), 3);
	assert_int_equal(number(json_object_array_get_idx(list, 1), "block_size"), 4096);
	json_object_put(object);

	assert_int_equal(run("nvme identify disk"), EXIT_YES);
	assert_non_null(strstr(out, "a model of a model"));
	assert_non_null(strstr(out, "4 MiB"));
	assert_string_equal(err, "");
	assert_true(nvme_model_was_shut_down(model));
}

static void test_read_write(void **state)
{
	char path[] = "/tmp/weir-nvme-XXXXXX", line[256];
	struct json_object *object;
	uint8_t data[5 * 512];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	memset(data, 0xd5, sizeof(data));
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	snprintf(line, sizeof(line), "nvme write --lba 3 --file %s disk", path);
	says_no(line, "overwrites 2560 B: LBA 3 to 7 of namespace 1, which has 4 MiB; nothing");
	snprintf(line, sizeof(line), "nvme write --lba 3 --blocks 6 --yes --file %s disk", path);
	says_no(line, "2560 bytes");

	snprintf(line, sizeof(line), "nvme write --lba 3 --yes --json --file %s disk", path);
	object = document(line, EXIT_YES);
	assert_int_equal(number(object, "blocks"), 5);
	assert_int_equal(number(object, "bytes"), 2560);
	json_object_put(object);
	assert_memory_equal(disk + 3 * 512, data, sizeof(data));
	assert_int_equal(disk[3 * 512 - 1], (uint8_t)((3 * 512 - 1) * 7 + 2));
	assert_int_equal(disk[8 * 512], 8);
	assert_int_equal(nvme_model_flushes(model), 1);
	assert_true(nvme_model_was_shut_down(model));

	assert_int_equal(run("nvme read --lba 2 --blocks 7 --irq disk"), EXIT_YES);
	assert_int_equal(out_len, 7 * 512);
	assert_memory_equal(out, disk + 2 * 512, 7 * 512);
	/* Not a whole number of blocks any more. */
	assert_int_equal(ftruncate(fd, 2559), 0);
	snprintf(line, sizeof(line), "nvme write --lba 3 --yes --file %s disk", path);
	says_no(line, "2559 bytes");
	/* Of the whole disk, and more than goes at a time. */
	snprintf(line, sizeof(line), "nvme read --lba 0 --blocks 8192 --file %s disk", path);
	assert_int_equal(run(line), EXIT_YES);
	assert_int_equal(lseek(fd, 0, SEEK_END), NVME_MODEL_DISK);
	assert_int_equal(unlink(path), 0);
	close(fd);

	/* It ends half-way: what was written is told. */
	nvme_model_status(model, NVME_SC_READ_ERROR);
	nvme_model_trouble(model, NVME_FAILS);
	assert_int_equal(run("nvme read --lba 0 --blocks 1 disk"), EXIT_UNKNOWN);
	assert_non_null(strstr(err, "lost the data"));
	assert_int_equal(out_len, 0);
}

static void test_bench(void **state)
{
	struct json_object *object, *list;

	(void)state;
	object = document("nvme bench --json --count 500 --random --depth 63 disk", EXIT_YES);
	list = member(object, "phases");
	assert_int_equal(json_object_array_length(list), 1);
	assert_int_equal(number(json_object_array_get_idx(list, 0), "commands"), 500);
	assert_null(member(object, "verified"));
	json_object_put(object);
	assert_int_equal(nvme_model_commands(model), 500);

	assert_int_equal(run("nvme bench --verify --random --irq --yes disk"), EXIT_YES);
	assert_non_null(strstr(out, "verified: 8192 blocks"));
	assert_int_equal(nvme_model_flushes(model), 1);
	/* Another run has another pattern, and leaves alone what it isn't told to touch. */
	object = document("nvme bench --verify --lba 1 --blocks 18 --namespace 1 --yes "
			  "--block-size 1536 --json disk", EXIT_YES);
	assert_int_equal(number(member(object, "verified"), "blocks"), 18);
	json_object_put(object);
	assert_int_equal(run("nvme bench --verify --count 3 --lba 100 --yes disk"), EXIT_YES);
	assert_non_null(strstr(out, "verified: 24 blocks"));
}

/* A write that doesn't get to the disk, or a read to memory: that is found, and where. */
static void test_lost(void **state)
{
	struct json_object *object, *verified;

	(void)state;
	nvme_model_trouble(model, NVME_LOSES_WRITE);
	object = document("nvme bench --verify --yes --lba 40 --block-size 1024 --json disk",
			  EXIT_NO);
	verified = member(object, "verified");
	assert_int_equal(number(verified, "wrong"), 2);
	assert_int_equal(number(verified, "first_wrong"), 40);
	json_object_put(object);
	nvme_model_trouble(model, NVME_LOSES_WRITE);
	assert_int_equal(run("nvme bench --verify --random --yes disk"), EXIT_NO);
	assert_non_null(strstr(out, "NOT as written: 8 of 8192 blocks"));
	/* What the memory held before must not pass for what was read. */
	nvme_model_trouble(model, NVME_LOSES_READ);
	assert_int_equal(run("nvme bench --verify --yes --blocks 8 disk"), EXIT_NO);
	assert_non_null(strstr(out, "NOT as written: 8 of 8 blocks, the first at LBA 0"));
	/* A command that fails is another matter. */
	nvme_model_status(model, NVME_SC_WRITE_FAULT);
	nvme_model_trouble(model, NVME_FAILS);
	assert_int_equal(run("nvme bench --verify --yes disk"), EXIT_UNKNOWN);
	assert_string_equal(out, "");
	assert_non_null(strstr(err, "write fault"));
	nvme_model_trouble(model, NVME_REMOVED);
	assert_int_equal(run("nvme bench --time 60 disk"), EXIT_UNKNOWN);
	assert_non_null(strstr(err, "gone"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_input),
		TEST(test_help),
		TEST(test_identify),
		TEST(test_read_write),
		TEST(test_bench),
		TEST(test_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
