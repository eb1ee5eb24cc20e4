/* SPDX-License-Identifier: MIT */
/* The ACS verdict of single functions: the kernel's quirks, and the rules without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "host/acs.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PORT WR_EXPRESS_ROOT_PORT
#define DOWN WR_EXPRESS_DOWNSTREAM
#define END WR_EXPRESS_ENDPOINT
#define RCIEP WR_EXPRESS_INTEGRATED

/* One of several functions, without ACS; so it doesn't isolate if no quirk says so. */
static struct wr_acs function_of(uint16_t vendor, uint16_t device, enum wr_express type)
{
	return (struct wr_acs){ .vendor = vendor, .device = device, .multifunction = true,
				.express = true, .type = type };
}

static void test_quirks(void **state)
{
	static const struct {
		uint16_t vendor, device;
		enum wr_express type;
		bool isolates;
	} devices[] = {
		{ 0x1924, 0x0923, END, true },
		{ 0x1924, 0x0924, END, false },
		{ 0x8086, 0x10f7, END, true },
		{ 0x8086, 0x10fc, END, true },
		{ 0x8086, 0x10fd, END, false },
		{ 0x8086, 0x10c9, END, true },
		{ 0x8086, 0x1521, END, true },
		{ 0x8086, 0x1524, END, true },
		{ 0x8086, 0x1525, END, false },
		{ 0x8086, 0x1234, RCIEP, true },
		{ 0x1234, 0x1234, RCIEP, false },
		{ 0x17cb, 0x0401, PORT, true },
		{ 0x17cb, 0x0402, PORT, false },
		{ 0x1dbf, 0x0401, PORT, true },
		{ 0x8086, 0x1c1f, PORT, true },
		{ 0x8086, 0x1c20, PORT, false },
		{ 0x8086, 0x1c1f, DOWN, false },
		{ 0x8086, 0x1d12, PORT, true },
		{ 0x8086, 0x1d13, PORT, false },
		{ 0x177d, 0xa000, PORT, true },
		{ 0x177d, 0xa7ff, PORT, true },
		{ 0x177d, 0xa800, PORT, false },
		{ 0x177d, 0xa100, DOWN, false },
		{ 0x177d, 0xa059, END, true },
		{ 0x1def, 0xe00c, PORT, true },
		{ 0x1def, 0xe00d, PORT, false },
		{ 0x14e4, 0x1751, END, true },
		{ 0x14e4, 0xd714, PORT, true },
		{ 0x0014, 0x7a49, PORT, true },
		{ 0x1c36, 0x0031, PORT, true },
		{ 0x1c36, 0x0031, DOWN, false },
		{ 0x1957, 0x8d83, PORT, true },
		{ 0x1957, 0x8da2, PORT, false },
		{ 0x1d17, 0x0710, DOWN, true },
		{ 0x1d17, 0x071f, DOWN, false },
		{ 0x1d17, 0x9083, END, true },
		{ 0x8088, 0x010f, END, true },
		{ 0x8088, 0x0110, END, false },
		{ 0x1022, 0x7809, END, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		struct wr_acs acs = function_of(devices[i].vendor, devices[i].device,
						devices[i].type);

		if (wr_acs_verdict(&acs).isolates != devices[i].isolates)
			fail_msg("%04x:%04x of type %d", devices[i].vendor, devices[i].device,
				 devices[i].type);
	}
}

/* A quirk outweighs registers, in both directions. */
static void test_denied(void **state)
{
	struct wr_acs zhaoxin = function_of(0x1d17, 0x0001, PORT);
	struct wr_acs wangxun = function_of(0x8088, 0x0001, END);

	(void)state;
	zhaoxin.has_acs = wangxun.has_acs = true;
	zhaoxin.cap = zhaoxin.ctrl = wangxun.cap = wangxun.ctrl = WR_ACS_ALL;
	assert_false(wr_acs_verdict(&zhaoxin).isolates);
	assert_false(wr_acs_can(&zhaoxin));
	assert_false(wr_acs_verdict(&wangxun).isolates);
	wangxun.vf = true;
	wangxun.multifunction = false;
	assert_false(wr_acs_verdict(&wangxun).isolates);
	zhaoxin.type = END;
	assert_true(wr_acs_verdict(&zhaoxin).isolates);
}

/* The kernel doesn't say whether it could make these isolate. */
static void test_pch(void **state)
{
	struct wr_acs pch = function_of(0x8086, 0x8c10, PORT);

	(void)state;
	assert_true(wr_acs_verdict(&pch).isolates);
	assert_false(wr_acs_verdict(&pch).sure);
}

/* Where capability and control register have 32 bits each. */
static void test_wide(void **state)
{
	struct wr_acs spt = function_of(0x8086, 0xa110, PORT);

	(void)state;
	assert_int_equal(wr_acs_verdict(&spt).reason, WR_ACS_NO_CAPABILITY);
	spt.has_acs = true;
	spt.cap = WR_ACS_NEEDED;
	spt.ctrl = WR_ACS_NEEDED;	/* the capability's upper half */
	assert_false(wr_acs_verdict(&spt).isolates);
	assert_int_equal(wr_acs_verdict(&spt).lacks, WR_ACS_NEEDED);
	spt.ctrl = 0;
	spt.wide_ctrl = WR_ACS_NEEDED;
	assert_true(wr_acs_verdict(&spt).isolates);
	spt.type = DOWN;
	assert_false(wr_acs_verdict(&spt).isolates);
}

static void test_amd(void **state)
{
	struct wr_acs sb = function_of(0x1002, 0x4385, END);

	(void)state;
	sb.express = false;
	sb.on_root_bus = true;
	assert_false(wr_acs_verdict(&sb).isolates);
	sb.ivrs = true;
	assert_true(wr_acs_verdict(&sb).isolates);
	sb.multifunction = false;
	assert_false(wr_acs_verdict(&sb).isolates);
	sb.multifunction = true;
	sb.on_root_bus = false;
	assert_false(wr_acs_verdict(&sb).isolates);
}

/* IDT's switches validate badly, so the kernel forgets that they can. */
static void test_idt(void **state)
{
	struct wr_acs idt = function_of(0x111d, 0x80b5, DOWN);

	(void)state;
	idt.has_acs = true;
	idt.cap = WR_ACS_ALL;
	idt.ctrl = WR_ACS_NEEDED & ~WR_ACS_SV;
	assert_true(wr_acs_verdict(&idt).isolates);
	idt.device++;
	assert_false(wr_acs_verdict(&idt).isolates);
	assert_int_equal(wr_acs_verdict(&idt).lacks, WR_ACS_SV);
}

static void test_types(void **state)
{
	struct wr_acs acs = function_of(0x1234, 0x11e8, END);

	(void)state;
	assert_int_equal(wr_acs_verdict(&acs).reason, WR_ACS_NO_CAPABILITY);
	acs.multifunction = false;
	assert_int_equal(wr_acs_verdict(&acs).reason, WR_ACS_SINGLE);
	assert_true(wr_acs_verdict(&acs).isolates);
	acs.has_acs = true;
	acs.cap = acs.ctrl = WR_ACS_ALL;
	acs.type = WR_EXPRESS_TO_PCI;
	assert_int_equal(wr_acs_verdict(&acs).reason, WR_ACS_NEVER);
	acs.type = WR_EXPRESS_FROM_PCI;
	assert_false(wr_acs_verdict(&acs).isolates);
	acs.type = WR_EXPRESS_COLLECTOR;
	assert_false(wr_acs_verdict(&acs).isolates);
	acs.type = 15;			/* there is none yet */
	assert_true(wr_acs_verdict(&acs).isolates);
	acs.express = false;
	assert_int_equal(wr_acs_verdict(&acs).reason, WR_ACS_CONVENTIONAL);
	acs.config = WR_CONFIG_SHORT;
	assert_int_equal(wr_acs_verdict(&acs).reason, WR_ACS_UNREADABLE);
	assert_false(wr_acs_verdict(&acs).sure);
	acs.vf = true;
	assert_true(wr_acs_verdict(&acs).isolates && wr_acs_verdict(&acs).sure);
}

/* Whatever config space holds, nothing is read beyond it, and it ends. */
static void test_garbage(void **state)
{
	uint8_t config[4096];
	struct wr_acs acs;
	uint32_t seed = 1;

	(void)state;
	for (int turn = 0; turn < 2000; turn++) {
		size_t len = turn % 2 ? sizeof(config) : (size_t)turn % 300;

		for (size_t i = 0; i < sizeof(config); i++) {
			seed = seed * 1664525 + 1013904223;
			config[i] = (uint8_t)(seed >> 24);
		}
		memset(&acs, 0, sizeof(acs));
		wr_acs_parse(&acs, config, len);
		wr_acs_verdict(&acs);
	}
	memset(config, 0xff, sizeof(config));
	memset(&acs, 0, sizeof(acs));
	wr_acs_parse(&acs, config, sizeof(config));
	assert_int_equal(acs.config, WR_CONFIG_NONE);
}

static void test_bits(void **state)
{
	char buf[WR_ACS_BITS_MAX];

	(void)state;
	assert_string_equal(wr_acs_bits(WR_ACS_NEEDED, buf), "SV RR CR UF");
	assert_string_equal(wr_acs_bits(0xffff, buf), "SV TB RR CR UF EC DT");
	assert_string_equal(wr_acs_bits(0, buf), "");
}

/* Where a list is searched in order, what comes behind an entry for all is never reached. */
static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < wr_acs_n_quirks; i++) {
		assert_true(wr_acs_quirks[i].first <= wr_acs_quirks[i].last);
		assert_true(wr_acs_quirks[i].step == 1 || wr_acs_quirks[i].step == 2);
		assert_non_null(wr_acs_quirks[i].name);
	}
	for (size_t i = 0; i < wr_alias_n_quirks; i++)
		assert_true(wr_alias_quirks[i].first <= wr_alias_quirks[i].last);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quirks),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_pch),
		cmocka_unit_test(test_wide),
		cmocka_unit_test(test_amd),
		cmocka_unit_test(test_idt),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
