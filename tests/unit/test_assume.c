/* SPDX-License-Identifier: MIT */
/* IOMMU groups, computed with what isn't so. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/groups.h>

#include "machine.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ON .group = 1

static char *root;
static struct weir_host *host;

/*
 * Two root ports of one device, the first without ACS, the second with it switched off; a switch
 * below a third, with an empty port; and a conventional bridge.
 */
static const struct machine_function machine[] = {
	{ .path = "00:01.0", .kind = ROOT_PORT, .header = BRIDGE | MULTI, ON },
	{ .path = "00:01.1", .kind = ROOT_PORT, .header = BRIDGE | MULTI, .cap = ALL_ACS, ON },
	{ .path = "00:02.0", .kind = ROOT_PORT, .header = BRIDGE, .cap = ALL_ACS, .ctrl = ALL_ACS,
	  ON },
	{ .path = "00:1e.0", .kind = PCI, .header = BRIDGE, ON },
	{ .path = "00:01.0/01:00.0", .kind = ENDPOINT, .header = MULTI, ON },
	{ .path = "00:01.0/01:00.1", .kind = ENDPOINT, .header = MULTI, ON },
	{ .path = "00:01.1/02:00.0", .kind = ENDPOINT, ON },
	{ .path = "00:01.1/02:10.0", .kind = ENDPOINT, .pf = "02:00.0", ON },
	{ .path = "00:01.1/03:10.0", .kind = ENDPOINT, .pf = "02:00.0", ON },
	{ .path = "00:02.0/04:00.0", .kind = UPSTREAM, .header = BRIDGE, ON },
	{ .path = "00:02.0/04:00.0/05:00.0", .kind = DOWNSTREAM, .header = BRIDGE, ON,
	  .vendor = 0x1234, .device = 0x11e9 },
	{ .path = "00:02.0/04:00.0/05:01.0", .kind = DOWNSTREAM, .header = BRIDGE, .cap = ALL_ACS,
	  .ctrl = ALL_ACS, ON },
	{ .path = "00:02.0/04:00.0/05:00.0/06:00.0", .kind = ENDPOINT, ON },
};

#define PORTS_TODAY "00:01.0 00:01.1 01:00.0 01:00.1 02:00.0 02:10.0 03:10.0"
#define REST " | 04:00.0 | 05:00.0 06:00.0 | 05:01.0"
#define TODAY PORTS_TODAY " | 00:02.0 | 00:1e.0" REST

static int open_machine(void **state)
{
	(void)state;
	root = tree_new();
	machine_build(root, machine, ARRAY_SIZE(machine));
	return weir_host_open(root, &host);
}

static int close_machine(void **state)
{
	(void)state;
	weir_host_close(host);
	tree_free(root);
	return 0;
}

static const struct weir_host_function *function_of(const char *address)
{
	const struct weir_host_function *fn;

	if (weir_host_find(host, address, &fn) < 0)
		fail_msg("%s", weir_errmsg());
	return fn;
}

/* Groups by their first function: "00:01.0 01:00.0 | 00:02.0", a '?' behind what isn't sure. */
static const char *text_of(const struct weir_host_computed *computed, bool held)
{
	static char text[2][4096];
	const struct weir_host_function *fn, *other;
	size_t len = 0;
	char *to = text[held];

	to[0] = '\0';
	for (unsigned int i = 0; (fn = weir_host_function(host, i)); i++) {
		struct weir_host_place place = weir_host_place(computed, fn);
		bool first = true;

		for (unsigned int j = 0; (other = weir_host_function(host, j)); j++) {
			struct weir_host_place there = weir_host_place(computed, other);

			if ((held ? there.held : there.group) != (held ? place.held : place.group))
				continue;
			if (first && j < i)
				break;
			len += (size_t)snprintf(to + len, sizeof(text[0]) - len, "%s%s%s",
						!first ? " " : i ? " | " : "", other->address + 5,
						there.unsure ? "?" : "");
			first = false;
		}
	}
	return to;
}

static void expect(const struct weir_host_assume *assume, size_t n, const char *groups,
		   const char *held)
{
	const struct weir_host_compute_opts opts = { .assume = assume, .n = n };
	struct weir_host_computed *computed;

	if (weir_host_compute(host, &opts, &computed) < 0)
		fail_msg("%s", weir_errmsg());
	assert_string_equal(text_of(computed, false), groups);
	assert_string_equal(text_of(computed, true), held);
	weir_host_computed_close(computed);
}

#define EXPECT(groups, held, ...)                                                                  \
	do {                                                                                       \
		const struct weir_host_assume assume_[] = { __VA_ARGS__ };                         \
		expect(assume_, ARRAY_SIZE(assume_), groups, held);                                \
	} while (0)

static void refuse(const struct weir_host_assume *assume, size_t n, int err, const char *part)
{
	const struct weir_host_compute_opts opts = { .assume = assume, .n = n };
	struct weir_host_computed *computed = NULL;

	assert_int_equal(weir_host_compute(host, &opts, &computed), err);
	assert_null(computed);
	if (!strstr(weir_errmsg(), part))
		fail_msg("'%s' isn't in: %s", part, weir_errmsg());
}

#define REFUSE(err, part, ...)                                                                     \
	do {                                                                                       \
		const struct weir_host_assume assume_[] = { __VA_ARGS__ };                         \
		refuse(assume_, ARRAY_SIZE(assume_), err, part);                                   \
	} while (0)

static struct weir_host_assume acs(const char *address)
{
	return (struct weir_host_assume){ .kind = WEIR_ASSUME_ACS,
					  .function = function_of(address) };
}

static struct weir_host_assume config_acs(const char *address, uint16_t mask, uint16_t bits)
{
	return (struct weir_host_assume){ .kind = WEIR_ASSUME_CONFIG_ACS, .mask = mask,
					  .bits = bits, .function = function_of(address) };
}

static struct weir_host_assume moved(const char *address, const char *port)
{
	return (struct weir_host_assume){ .kind = WEIR_ASSUME_MOVED,
					  .function = function_of(address),
					  .port = function_of(port) };
}

static void test_bad_input(void **state)
{
	(void)state;
	REFUSE(-EINVAL, "kind", { .kind = (enum weir_host_assume_kind)99 });
	REFUSE(-EINVAL, "needs a function", { .kind = WEIR_ASSUME_ACS });
	REFUSE(-EINVAL, "needs a port", { .kind = WEIR_ASSUME_MOVED,
					  .function = function_of("01:00.0") });
	REFUSE(-EINVAL, "conventional", acs("00:1e.0"));
	REFUSE(-EINVAL, "no ACS capability", config_acs("00:01.0", 0x7f, 0x7f));
	REFUSE(-EINVAL, "root bus", moved("00:02.0", "05:01.0"));
	REFUSE(-EINVAL, "part of what 0000:04:00.0 is", moved("05:00.0", "00:01.1"),
	       moved("02:00.0", "05:01.0"));
	REFUSE(-EINVAL, "is a VF", moved("02:10.0", "05:01.0"));
	REFUSE(-EINVAL, "isn't a root port", moved("01:00.0", "00:1e.0"));
	REFUSE(-EINVAL, "isn't a root port", moved("01:00.0", "04:00.0"));
	REFUSE(-EINVAL, "behind itself", moved("04:00.0", "05:01.0"));
	REFUSE(-EBUSY, "02:00.0 is there", moved("01:00.0", "00:01.1"));
	REFUSE(-EBUSY, "is there", moved("01:00.0", "05:01.0"), moved("02:00.0", "05:01.0"));
}

static void test_nothing(void **state)
{
	(void)state;
	expect(NULL, 0, TODAY, TODAY);
}

/* The patch only pretends, and leaves alone what has ACS. */
static void test_override(void **state)
{
	const struct weir_host_assume downstream = { .kind = WEIR_ASSUME_DOWNSTREAM };
	const struct weir_host_assume multifunction = { .kind = WEIR_ASSUME_MULTIFUNCTION };

	(void)state;
	EXPECT("00:01.0 | 00:01.1 02:00.0 02:10.0 03:10.0 | 00:02.0 | 00:1e.0 | 01:00.0 01:00.1"
	       " | 04:00.0 | 05:00.0 | 05:01.0 | 06:00.0", TODAY, downstream);
	EXPECT(TODAY, TODAY, multifunction);
	EXPECT("00:01.0 | 00:01.1 02:00.0 02:10.0 03:10.0 | 00:02.0 | 00:1e.0 | 01:00.0 | 01:00.1"
	       " | 04:00.0 | 05:00.0 | 05:01.0 | 06:00.0", TODAY, downstream, multifunction);
}

static void expect_booted(const char *cmdline, const char *groups)
{
	const struct weir_host_compute_opts opts = { .as_booted = true };
	struct weir_host_computed *computed;

	tree_text(root, "proc/cmdline", cmdline);
	if (weir_host_compute(host, &opts, &computed) < 0)
		fail_msg("%s", weir_errmsg());
	assert_string_equal(text_of(computed, false), groups);
	assert_string_equal(text_of(computed, true), TODAY);
	weir_host_computed_close(computed);
}

/* What the kernel was started with, as the patch reads it. */
static void test_as_booted(void **state)
{
	const struct weir_host_compute_opts opts = { .as_booted = true };
	struct weir_host_computed *computed;
	char text[16];

	(void)state;
	assert_int_equal(weir_host_acs_override(host, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	expect_booted("quiet\n", TODAY);
	expect_booted("pcie_acs_override=upstream,id:,id:1234,id:1234:,id:x:11e9\n", TODAY);
	expect_booted("pcie_acs_override=multifunction,downstream\n",
		      "00:01.0 | 00:01.1 02:00.0 02:10.0 03:10.0 | 00:02.0 | 00:1e.0 | 01:00.0"
		      " | 01:00.1 | 04:00.0 | 05:00.0 | 05:01.0 | 06:00.0");
	expect_booted("pcie_acs_override=id:8086:a33c,id:1234:11e9 quiet\n",
		      PORTS_TODAY " | 00:02.0 | 00:1e.0 | 04:00.0 | 05:00.0 | 05:01.0 | 06:00.0");
	assert_int_equal(weir_host_acs_override(host, text, sizeof(text)), -EOVERFLOW);
	tree_remove(root, "proc/cmdline");
	tree_folder(root, "proc/cmdline");
	assert_int_equal(weir_host_compute(host, &opts, &computed), -EISDIR);
	assert_non_null(strstr(weir_errmsg(), "/proc/cmdline can't be read"));
}

/* One that has ACS can really isolate; one that hasn't can't. */
static void test_acs(void **state)
{
	(void)state;
	EXPECT("00:01.0 01:00.0 01:00.1 | 00:01.1 | 00:02.0 | 00:1e.0 | 02:00.0 | 02:10.0 | 03:10.0"
	       REST,
	       "00:01.0 01:00.0 01:00.1 | 00:01.1 | 00:02.0 | 00:1e.0 | 02:00.0 | 02:10.0 | 03:10.0"
	       REST, acs("00:01.1"));
	EXPECT("00:01.0 | 00:01.1 02:00.0 02:10.0 03:10.0 | 00:02.0 | 00:1e.0 | 01:00.0 01:00.1"
	       REST, TODAY, acs("00:01.0"));
}

static void test_config(void **state)
{
	(void)state;
	EXPECT("00:01.0 01:00.0 01:00.1 | 00:01.1 | 00:02.0 | 00:1e.0 | 02:00.0 | 02:10.0 | 03:10.0"
	       REST,
	       "00:01.0 01:00.0 01:00.1 | 00:01.1 | 00:02.0 | 00:1e.0 | 02:00.0 | 02:10.0 | 03:10.0"
	       REST, config_acs("00:01.1", 0x1d, 0x1d));
	/* A bit is missing. */
	EXPECT(TODAY, TODAY, config_acs("00:01.1", 0x1d, 0x1c));
	/* What is left to firmware, which nobody knows any more, and what it surely had off. */
	EXPECT(PORTS_TODAY " | 00:02.0? 04:00.0? 05:00.0? 05:01.0? 06:00.0? | 00:1e.0",
	       PORTS_TODAY " | 00:02.0? 04:00.0? 05:00.0? 05:01.0? 06:00.0? | 00:1e.0",
	       config_acs("00:02.0", 0x01, 0x01));
	EXPECT(TODAY, TODAY, config_acs("00:01.1", 0x01, 0x01));
	EXPECT(PORTS_TODAY " | 00:02.0 04:00.0 05:00.0 05:01.0 06:00.0 | 00:1e.0",
	       PORTS_TODAY " | 00:02.0 04:00.0 05:00.0 05:01.0 06:00.0 | 00:1e.0",
	       config_acs("00:02.0", 0x04, 0x00));
}

/* A device goes with all of its functions and VFs, and what is below it; two can swap places. */
static void test_move(void **state)
{
	(void)state;
	EXPECT("00:01.0 00:01.1 02:00.0 02:10.0 03:10.0 | 00:02.0 | 00:1e.0 | 01:00.0 01:00.1" REST,
	       "00:01.0 00:01.1 02:00.0 02:10.0 03:10.0 | 00:02.0 | 00:1e.0 | 01:00.0 01:00.1" REST,
	       moved("01:00.1", "05:01.0"));
	EXPECT("00:01.0 00:01.1 01:00.0 01:00.1 | 00:02.0 | 00:1e.0 | 02:00.0 | 02:10.0 | 03:10.0"
	       REST,
	       "00:01.0 00:01.1 01:00.0 01:00.1 | 00:02.0 | 00:1e.0 | 02:00.0 | 02:10.0 | 03:10.0"
	       REST, moved("02:00.0", "05:01.0"));
	EXPECT("00:01.0 00:01.1 01:00.0 01:00.1 04:00.0 05:00.0 05:01.0 06:00.0"
	       " | 00:02.0 | 00:1e.0 | 02:00.0 | 02:10.0 | 03:10.0",
	       "00:01.0 00:01.1 01:00.0 01:00.1 04:00.0 05:00.0 05:01.0 06:00.0"
	       " | 00:02.0 | 00:1e.0 | 02:00.0 | 02:10.0 | 03:10.0",
	       moved("02:00.0", "00:02.0"), moved("04:00.0", "00:01.1"));
}

/* A bridge that isn't in the scan is no failure: it leaves no message behind. */
static void test_no_bridge(void **state)
{
	const struct weir_host_function *fn;
	struct weir_host_computed *computed;
	struct weir_host *lacking;
	char before[256];

	(void)state;
	tree_remove(root, "sys/bus/pci/devices/0000:00:01.1");
	assert_int_equal(weir_host_open(root, &lacking), 0);
	assert_int_equal(weir_host_find(lacking, "7f:00.0", &fn), -ENOENT);
	snprintf(before, sizeof(before), "%s", weir_errmsg());
	assert_int_equal(weir_host_compute(lacking, NULL, &computed), 0);
	assert_string_equal(weir_errmsg(), before);
	weir_host_computed_close(computed);
	weir_host_close(lacking);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_machine, close_machine)
	static const struct CMUnitTest tests[] = {
		TEST(test_bad_input),
		TEST(test_nothing),
		TEST(test_override),
		TEST(test_as_booted),
		TEST(test_acs),
		TEST(test_config),
		TEST(test_move),
		TEST(test_no_bridge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
