/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "pci/addr.h"
#include "pci/config.h"
#include "pci/sysfs.h"
#include "tree.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ADDR "0000:01:00.0"

/* ---- addresses ---- */

static void test_addr_malformed(void **state)
{
	static const char *const bad[] = {
		"", " ", "00:zz", "zz", "0", ":", "::", ":::", "0000:", "01:00", "01:00.",
		"01.00.0",
		"01:00:0", "01:00.0 ", " 01:00.0", "01:00.0\n", "01:00.00", "01:00.8", "01:00.f",
		"01:20.0", "01:ff.0", "001:00.0", "1:00.0", "01:0.0", "01:000.0", "000:01:00.0",
		"0:01:00.0", "000000000:01:00.0", "123456789:01:00.0", "-001:01:00.0",
		"+000:01:00.0", "0x00:01:00.0", "0000:0x:00.0", "0000:01:00.0/../x",
		"0000:01:00.0x", "0000::01:00.0", "0000:01:00:0", "0000:01:00.-", "0000:01: 0.0",
		"serial8250", "soft:edu", "../../0000:01:00.0", "\xff\xff:\xff\xff.\xff",
	};
	struct wr_pci_addr addr = { 1, 2, 3, 4 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (wr_pci_addr_parse(bad[i], &addr) != -EINVAL)
			fail_msg("'%s' was taken for an address", bad[i]);
		assert_non_null(strstr(weir_errmsg(), "0000:01:00.0"));
	}
	assert_int_equal(wr_pci_addr_parse(NULL, &addr), -EINVAL);
	/* What fails leaves the result alone. */
	assert_int_equal(addr.domain, 1);
	assert_int_equal(addr.function, 4);
}

static void test_addr_message(void **state)
{
	struct wr_pci_addr addr;
	char huge[3000];

	(void)state;
	assert_int_equal(wr_pci_addr_parse("00:zz", &addr), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "'00:zz'"));
	assert_non_null(strstr(weir_errmsg(), "device"));

	/* The advice at the end survives however long the name is. */
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(wr_pci_addr_parse(huge, &addr), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "0000:01:00.0"));
	assert_true(strlen(weir_errmsg()) < 200);

	assert_int_equal(wr_pci_addr_parse("\033[2J\a:\xc2\x9b", &addr), -EINVAL);
	for (const char *c = weir_errmsg(); *c; c++)
		assert_in_range(*c, 0x20, 0x7e);
}

static void test_addr_good(void **state)
{
	static const struct {
		const char *text, *canonical;
		struct wr_pci_addr addr;
		unsigned int requester;
	} good[] = {
		{ "0000:01:00.0", "0000:01:00.0", { 0, 1, 0, 0 }, 0x0100 },
		{ "01:00.0", "0000:01:00.0", { 0, 1, 0, 0 }, 0x0100 },
		{ "ff:1f.7", "0000:ff:1f.7", { 0, 0xff, 0x1f, 7 }, 0xffff },
		{ "FF:1F.7", "0000:ff:1f.7", { 0, 0xff, 0x1f, 7 }, 0xffff },
		{ "10000:e1:0a.3", "10000:e1:0a.3", { 0x10000, 0xe1, 0x0a, 3 }, 0xe153 },
		{ "ffffffff:00:00.0", "ffffffff:00:00.0", { 0xffffffff, 0, 0, 0 }, 0 },
		{ "00000001:00:00.0", "0001:00:00.0", { 1, 0, 0, 0 }, 0 },
	};
	char text[WR_PCI_ADDR_MAX];
	struct wr_pci_addr addr;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(wr_pci_addr_parse(good[i].text, &addr), 0);
		assert_int_equal(addr.domain, good[i].addr.domain);
		assert_int_equal(addr.bus, good[i].addr.bus);
		assert_int_equal(addr.device, good[i].addr.device);
		assert_int_equal(addr.function, good[i].addr.function);
		assert_int_equal(wr_pci_addr_requester(&addr), good[i].requester);
		wr_pci_addr_format(&addr, text);
		assert_string_equal(text, good[i].canonical);
	}
}

/* ---- capabilities ---- */

struct space {
	uint8_t bytes[WR_PCI_EXT_CONFIG_SIZE];
	unsigned int size;
	unsigned int reads;
	unsigned int fail_at;	/* the how-manieth read fails, 0: none */
};

/* Any read outside, or unaligned, is an error of the walk. */
static int read_space(void *arg, unsigned int offset, void *buf, unsigned int len)
{
	struct space *space = arg;

	assert_true(len == 1 || len == 2 || len == 4);
	assert_int_equal(offset % len, 0);
	assert_true(offset + len <= space->size);
	if (++space->reads == space->fail_at)
		return -EIO;
	memcpy(buf, space->bytes + offset, len);
	return 0;
}

static void init_space(struct space *space, unsigned int size, uint8_t first)
{
	memset(space, 0, sizeof(*space));
	space->size = size;
	space->bytes[WR_PCI_STATUS] = WR_PCI_STATUS_CAPS;
	space->bytes[WR_PCI_CAP_POINTER] = first;
}

static void put_cap(struct space *space, unsigned int offset, uint8_t id, uint8_t next)
{
	space->bytes[offset] = id;
	space->bytes[offset + 1] = next;
}

static void put_ext(struct space *space, unsigned int offset, uint16_t id, unsigned int version,
		    unsigned int next)
{
	uint32_t header = id | version << 16 | next << 20;

	for (unsigned int i = 0; i < 4; i++)
		space->bytes[offset + i] = (uint8_t)(header >> 8 * i);
}

static int walk(struct space *space, struct weir_cap *caps, size_t n)
{
	return weir_config_walk(read_space, space, space->size, caps, n);
}

static void test_caps_none(void **state)
{
	struct weir_cap caps[4];
	struct space space;

	(void)state;
	/* The status bit says whether the pointer means anything. */
	init_space(&space, 256, 0x40);
	space.bytes[WR_PCI_STATUS] = 0;
	put_cap(&space, 0x40, WR_PCI_CAP_MSI, 0);
	assert_int_equal(walk(&space, caps, 4), 0);

	init_space(&space, 256, 0);
	assert_int_equal(walk(&space, caps, 4), 0);

	/* What users without privilege see. */
	init_space(&space, 64, 0x40);
	assert_int_equal(walk(&space, caps, 4), 0);
	init_space(&space, 0, 0x40);
	assert_int_equal(walk(&space, caps, 4), 0);

	/* A device that is gone. */
	init_space(&space, 4096, 0);
	memset(space.bytes, 0xff, sizeof(space.bytes));
	assert_int_equal(walk(&space, caps, 4), 0);
}

static void test_caps_loops(void **state)
{
	struct weir_cap caps[8];
	struct space space;

	(void)state;
	init_space(&space, 256, 0x40);
	put_cap(&space, 0x40, WR_PCI_CAP_PM, 0x40);
	assert_int_equal(walk(&space, caps, 8), 1);

	init_space(&space, 256, 0x40);
	put_cap(&space, 0x40, WR_PCI_CAP_PM, 0x50);
	put_cap(&space, 0x50, WR_PCI_CAP_MSI, 0x60);
	put_cap(&space, 0x60, WR_PCI_CAP_MSIX, 0x50);
	assert_int_equal(walk(&space, caps, 8), 3);
	assert_int_equal(caps[2].id, WR_PCI_CAP_MSIX);

	/* The reserved bits don't make another offset of it. */
	init_space(&space, 256, 0x40);
	put_cap(&space, 0x40, WR_PCI_CAP_PM, 0x43);
	assert_int_equal(walk(&space, caps, 8), 1);

	init_space(&space, 4096, 0);
	put_ext(&space, 0x100, 0x000d, 1, 0x100);
	assert_int_equal(walk(&space, caps, 8), 1);

	init_space(&space, 4096, 0);
	put_ext(&space, 0x100, 0x000d, 1, 0x200);
	put_ext(&space, 0x200, 0x000e, 1, 0x100);
	assert_int_equal(walk(&space, caps, 8), 2);

	/* The longest chains there can be, each closed to a loop. */
	init_space(&space, 4096, 0x40);
	for (unsigned int at = 0x40; at < 0x100; at += 4)
		put_cap(&space, at, 0x09, (uint8_t)(at + 4 < 0x100 ? at + 4 : 0x40));
	for (unsigned int at = 0x100; at < 0x1000; at += 4)
		put_ext(&space, at, 0x000b, 1, at + 4 < 0x1000 ? at + 4 : 0x100);
	assert_int_equal(walk(&space, caps, 8), (0x100 - 0x40) / 4 + (0x1000 - 0x100) / 4);
}

static void test_caps_out_of_range(void **state)
{
	static const uint8_t header_pointers[] = { 0x01, 0x04, 0x34, 0x3c, 0x3f };
	struct weir_cap caps[8];
	struct space space;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(header_pointers); i++) {
		init_space(&space, 256, header_pointers[i]);
		assert_int_equal(walk(&space, caps, 8), 0);
		init_space(&space, 256, 0x40);
		put_cap(&space, 0x40, WR_PCI_CAP_PM, header_pointers[i]);
		assert_int_equal(walk(&space, caps, 8), 1);
	}
	/* At the very end, and beyond a space that is shorter (a CardBus bridge's, to users). */
	init_space(&space, 256, 0xfc);
	put_cap(&space, 0xfc, WR_PCI_CAP_PM, 0);
	assert_int_equal(walk(&space, caps, 8), 1);
	assert_int_equal(caps[0].offset, 0xfc);
	init_space(&space, 128, 0x80);
	assert_int_equal(walk(&space, caps, 8), 0);
	init_space(&space, 128, 0x7c);
	put_cap(&space, 0x7c, WR_PCI_CAP_PM, 0);
	assert_int_equal(walk(&space, caps, 8), 1);

	/* An extended chain doesn't lead back into the standard space. */
	init_space(&space, 4096, 0);
	put_ext(&space, 0x100, 0x000d, 1, 0x0fc);
	put_cap(&space, 0xfc, WR_PCI_CAP_PM, 0);
	assert_int_equal(walk(&space, caps, 8), 1);
	init_space(&space, 4096, 0);
	put_ext(&space, 0x100, 0x000d, 1, 0xffc);
	put_ext(&space, 0xffc, 0x000e, 1, 0xfff);
	assert_int_equal(walk(&space, caps, 8), 2);
	assert_int_equal(caps[1].offset, 0xffc);
}

static void test_caps_odd(void **state)
{
	struct weir_cap caps[8];
	struct space space;

	(void)state;
	/* The reserved bits of a pointer are masked, not followed. */
	init_space(&space, 4096, 0x43);
	put_cap(&space, 0x40, WR_PCI_CAP_PM, 0x51);
	put_cap(&space, 0x50, WR_PCI_CAP_MSI, 0x02);
	put_ext(&space, 0x100, 0x000d, 1, 0x203);
	put_ext(&space, 0x200, 0x000e, 2, 0);
	assert_int_equal(walk(&space, caps, 8), 4);
	assert_int_equal(caps[0].offset, 0x40);
	assert_int_equal(caps[1].offset, 0x50);
	assert_int_equal(caps[2].offset, 0x100);
	assert_int_equal(caps[3].offset, 0x200);

	/* Null capabilities carry the chain on and aren't capabilities. */
	init_space(&space, 4096, 0x40);
	put_cap(&space, 0x40, 0, 0x50);
	put_cap(&space, 0x50, WR_PCI_CAP_MSI, 0);
	put_ext(&space, 0x100, 0, 0, 0x140);
	put_ext(&space, 0x140, 0x001b, 1, 0);
	assert_int_equal(walk(&space, caps, 8), 2);
	assert_int_equal(caps[0].id, WR_PCI_CAP_MSI);
	assert_int_equal(caps[1].id, 0x001b);

	/* All ones ends a chain. */
	init_space(&space, 4096, 0x40);
	put_cap(&space, 0x40, WR_PCI_CAP_PM, 0x50);
	put_cap(&space, 0x50, 0xff, 0x60);
	put_cap(&space, 0x60, WR_PCI_CAP_MSI, 0);
	put_ext(&space, 0x100, 0xffff, 1, 0x200);
	put_ext(&space, 0x200, 0x000d, 1, 0);
	assert_int_equal(walk(&space, caps, 8), 1);

	/* A CardBus bridge keeps its pointer elsewhere. */
	init_space(&space, 256, 0x40);
	space.bytes[WR_PCI_HEADER_TYPE] = 0x82;
	space.bytes[0x14] = 0x80;
	put_cap(&space, 0x40, WR_PCI_CAP_MSI, 0);
	put_cap(&space, 0x80, WR_PCI_CAP_PM, 0);
	assert_int_equal(walk(&space, caps, 8), 1);
	assert_int_equal(caps[0].offset, 0x80);
}

static void test_caps_stored(void **state)
{
	struct weir_cap caps[4];
	struct space space;

	(void)state;
	init_space(&space, 4096, 0x40);
	put_cap(&space, 0x40, WR_PCI_CAP_EXPRESS, 0x80);
	put_cap(&space, 0x80, WR_PCI_CAP_MSIX, 0);
	put_ext(&space, 0x100, 0x0001, 2, 0x148);
	put_ext(&space, 0x148, 0x000d, 1, 0);
	memset(caps, 0xee, sizeof(caps));
	assert_int_equal(walk(&space, caps, 3), 4);
	assert_int_equal(caps[0].id, WR_PCI_CAP_EXPRESS);
	assert_false(caps[0].extended);
	assert_int_equal(caps[0].version, 0);
	assert_int_equal(caps[1].offset, 0x80);
	assert_int_equal(caps[2].id, 0x0001);
	assert_int_equal(caps[2].version, 2);
	assert_true(caps[2].extended);
	/* The fourth had no room. */
	assert_int_equal(caps[3].id, 0xeeee);
	assert_int_equal(walk(&space, NULL, 0), 4);
}

static void test_caps_read_errors(void **state)
{
	struct weir_cap caps[8];
	struct space space;
	unsigned int total;

	(void)state;
	init_space(&space, 4096, 0x40);
	put_cap(&space, 0x40, WR_PCI_CAP_PM, 0x50);
	put_cap(&space, 0x50, WR_PCI_CAP_MSI, 0);
	put_ext(&space, 0x100, 0x000d, 1, 0);
	assert_int_equal(walk(&space, caps, 8), 3);
	total = space.reads;
	assert_true(total >= 6);
	for (unsigned int i = 1; i <= total; i++) {
		space.reads = 0;
		space.fail_at = i;
		assert_int_equal(walk(&space, caps, 8), -EIO);
	}
}

static void test_caps_garbage(void **state)
{
	struct weir_cap caps[16];
	struct space space;

	(void)state;
	srand(20210823);
	for (unsigned int round = 0; round < 2000; round++) {
		init_space(&space, round & 1 ? 256 : 4096, 0);
		for (size_t i = 0; i < sizeof(space.bytes); i++)
			space.bytes[i] = (uint8_t)rand();
		space.bytes[WR_PCI_STATUS] |= WR_PCI_STATUS_CAPS;
		assert_in_range(walk(&space, caps, 16), 0, 1024);
	}
}

static void test_cap_names(void **state)
{
	static const struct {
		struct weir_cap cap;
		const char *name;
	} known[] = {
		{ { .id = 0x01 }, "Power Management" },
		{ { .id = 0x05 }, "MSI" },
		{ { .id = 0x10 }, "PCI Express" },
		{ { .id = 0x11 }, "MSI-X" },
		{ { .id = 0x15 }, "Flattening Portal Bridge" },
		{ { .id = 0x0001, .extended = true }, "Advanced Error Reporting" },
		{ { .id = 0x000d, .extended = true }, "Access Control Services" },
		{ { .id = 0x0010, .extended = true }, "Single Root I/O Virtualization" },
		{ { .id = 0x001b, .extended = true }, "Process Address Space ID" },
		{ { .id = 0x002e, .extended = true }, "Data Object Exchange" },
	};
	static const struct weir_cap unknown[] = {
		{ .id = 0x00 }, { .id = 0x16 }, { .id = 0xff }, { .id = 0xffff },
		{ .id = 0, .extended = true }, { .id = 0x0014, .extended = true },
		{ .id = 0x0037, .extended = true }, { .id = 0xffff, .extended = true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		assert_string_equal(weir_cap_name(&known[i].cap), known[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_null(weir_cap_name(&unknown[i]));
}

/* ---- sysfs ---- */

static int new_tree(void **state)
{
	*state = tree_new();
	tree_function(*state, ADDR);
	return 0;
}

static int free_tree(void **state)
{
	wr_sys = &wr_sys_kernel;
	tree_free(*state);
	return 0;
}

static void test_exists(void **state)
{
	static const char *const never[] = {
		"", ".", "..", "/", "../devices", "../devices/" ADDR, ADDR "/", ADDR "/vendor",
		"0000:02:00.0",
	};
	const char *root = *state;
	char huge[2 * NAME_MAX];

	assert_int_equal(wr_pci_exists(root, ADDR), 0);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		assert_int_equal(wr_pci_exists(root, never[i]), -ENOENT);
	assert_non_null(strstr(weir_errmsg(), "0000:02:00.0"));
	memset(huge, '0', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(wr_pci_exists(root, huge), -ENOENT);

	/* A link that leads nowhere, as when a device goes. */
	tree_link(root, "sys/bus/pci/devices/0000:03:00.0", "../nowhere");
	assert_int_equal(wr_pci_exists(root, "0000:03:00.0"), -ENOENT);
}

static void test_exists_elsewhere(void **state)
{
	const char *root = *state;

	tree_folder(root, "sys/bus/usb/devices");
	tree_folder(root, "sys/bus/platform/devices/serial8250");
	assert_int_equal(wr_pci_exists(root, "serial8250"), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "serial8250"));
	assert_non_null(strstr(weir_errmsg(), "platform"));
	assert_int_equal(wr_pci_exists(root, "serial8251"), -ENOENT);

	tree_folder(root, "sys/bus/platform/devices/a\033[2J");
	assert_int_equal(wr_pci_exists(root, "a\033[2J"), -EINVAL);
	assert_null(strchr(weir_errmsg(), '\033'));

	/* A tree without any bus. */
	tree_remove(root, "sys/bus");
	assert_int_equal(wr_pci_exists(root, ADDR), -ENOENT);
}

static void test_attr(void **state)
{
	const char *root = *state;
	char buf[8], path[PATH_MAX];

	assert_int_equal(wr_pci_attr(root, ADDR, "vendor", buf, sizeof(buf)), 6);
	assert_string_equal(buf, "0x1234");

	/* Seven bytes of text and their NUL fit, eight don't; the newline doesn't count. */
	tree_attr(root, ADDR, "a", "1234567");
	assert_int_equal(wr_pci_attr(root, ADDR, "a", buf, sizeof(buf)), 7);
	assert_string_equal(buf, "1234567");
	tree_attr(root, ADDR, "a", "12345678");
	assert_int_equal(wr_pci_attr(root, ADDR, "a", buf, sizeof(buf)), -EOVERFLOW);
	tree_attr(root, ADDR, "a", "");
	assert_int_equal(wr_pci_attr(root, ADDR, "a", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	tree_attr(root, ADDR, "a", "\n\n");
	assert_int_equal(wr_pci_attr(root, ADDR, "a", buf, sizeof(buf)), 1);
	assert_int_equal(wr_pci_attr(root, ADDR, "a", buf, 0), -EINVAL);

	tree_bytes(root, "sys/bus/pci/devices/" ADDR "/a", "1\0002", 3);
	assert_int_equal(wr_pci_attr(root, ADDR, "a", buf, sizeof(buf)), -EINVAL);

	assert_int_equal(wr_pci_attr(root, ADDR, "b", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(wr_pci_attr(root, "..", "vendor", buf, sizeof(buf)), -ENOENT);
	tree_folder(root, "sys/bus/pci/devices/" ADDR "/b");
	assert_int_equal(wr_pci_attr(root, ADDR, "b", buf, sizeof(buf)), -EISDIR);

	/* A FIFO doesn't make it wait; the alarm fails the test where it does. */
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" ADDR "/fifo", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(10);
	assert_true(wr_pci_attr(root, ADDR, "fifo", buf, sizeof(buf)) < 0);
	alarm(0);
}

static void test_attr_number(void **state)
{
	static const char *const bad[] = {
		"", "\n", "0x", "x", "-1", "+1", " 1", "1 ", "1\n\n", "0x 1", "0x-1", "0xg", "1a",
		"0X10", "1.0", "0x1\t", "18446744073709551616", "0x10000000000000000",
		"0000000000000000000000000000000000000000001", "\xff",
	};
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 }, { "0x0\n", 0 }, { "12\n", 12 }, { "012", 12 }, { "0x1234\n", 0x1234 },
		{ "0xAbCd", 0xabcd }, { "18446744073709551615", UINT64_MAX },
		{ "0xffffffffffffffff\n", UINT64_MAX },
	};
	const char *root = *state;
	uint64_t value = 77;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_attr(root, ADDR, "n", bad[i]);
		if (wr_pci_attr_u64(root, ADDR, "n", &value) >= 0)
			fail_msg("'%s' was taken for a number", bad[i]);
	}
	assert_int_equal(value, 77);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		tree_attr(root, ADDR, "n", good[i].text);
		assert_int_equal(wr_pci_attr_u64(root, ADDR, "n", &value), 0);
		assert_true(value == good[i].value);
	}
	assert_int_equal(wr_pci_attr_u64(root, ADDR, "absent", &value), -ENOENT);
}

static int no_open(const char *path, int flags)
{
	(void)path;
	(void)flags;
	return -EMFILE;
}

static ssize_t gone_pread(int fd, void *buf, size_t len, off_t offset)
{
	(void)fd;
	(void)buf;
	(void)len;
	(void)offset;
	return -ENODEV;
}

static int interrupted;

/* One byte at a time, interrupted before each. */
static ssize_t slow_pread(int fd, void *buf, size_t len, off_t offset)
{
	if (!(interrupted++ & 1))
		return -EINTR;
	return wr_sys_kernel.pread(fd, buf, len ? 1 : 0, offset);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_attr_system_errors(void **state)
{
	static struct wr_sys sys;
	const char *root = *state;
	int before = open_fds();
	char buf[16];

	sys = wr_sys_kernel;
	wr_sys = &sys;
	sys.open = no_open;
	assert_int_equal(wr_pci_attr(root, ADDR, "vendor", buf, sizeof(buf)), -EMFILE);
	sys.open = wr_sys_kernel.open;
	sys.pread = gone_pread;
	assert_int_equal(wr_pci_attr(root, ADDR, "vendor", buf, sizeof(buf)), -ENODEV);
	sys.pread = slow_pread;
	assert_int_equal(wr_pci_attr(root, ADDR, "vendor", buf, sizeof(buf)), 6);
	assert_string_equal(buf, "0x1234");
	assert_int_equal(open_fds(), before);
}

static void test_link(void **state)
{
	const char *root = *state;
	char name[WR_PCI_NAME_MAX], target[256];

	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), -ENOENT);
	tree_attr_link(root, ADDR, "driver", "../../../bus/pci/drivers/nvme");
	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), 0);
	assert_string_equal(name, "nvme");
	tree_attr_link(root, ADDR, "driver", "nvme");
	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), 0);
	assert_string_equal(name, "nvme");

	tree_attr_link(root, ADDR, "driver", "drivers/");
	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), -EINVAL);
	tree_attr_link(root, ADDR, "driver", "drivers/..");
	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), -EINVAL);
	tree_attr(root, ADDR, "driver", "nvme\n");
	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), -EINVAL);

	/* The longest name that fits, and one more. */
	memset(target, 'd', sizeof(target));
	target[WR_PCI_NAME_MAX - 1] = '\0';
	tree_attr_link(root, ADDR, "driver", target);
	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), 0);
	assert_string_equal(name, target);
	target[WR_PCI_NAME_MAX - 1] = 'd';
	target[WR_PCI_NAME_MAX] = '\0';
	tree_attr_link(root, ADDR, "driver", target);
	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), -ENAMETOOLONG);
	assert_int_equal(wr_pci_link(root, "../" ADDR, "driver", name), -ENOENT);
}

static void test_long_root(void **state)
{
	char root[WR_PCI_PATH_MAX + 16], name[WR_PCI_NAME_MAX], buf[8];

	(void)state;
	memset(root, '/', sizeof(root) - 1);
	root[sizeof(root) - 1] = '\0';
	assert_int_equal(wr_pci_attr(root, ADDR, "vendor", buf, sizeof(buf)), -ENAMETOOLONG);
	assert_int_equal(wr_pci_link(root, ADDR, "driver", name), -ENAMETOOLONG);
	assert_int_equal(wr_pci_exists(root, ADDR), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_malformed),
		cmocka_unit_test(test_addr_message),
		cmocka_unit_test(test_addr_good),
		cmocka_unit_test(test_caps_none),
		cmocka_unit_test(test_caps_loops),
		cmocka_unit_test(test_caps_out_of_range),
		cmocka_unit_test(test_caps_odd),
		cmocka_unit_test(test_caps_stored),
		cmocka_unit_test(test_caps_read_errors),
		cmocka_unit_test(test_caps_garbage),
		cmocka_unit_test(test_cap_names),
		cmocka_unit_test_setup_teardown(test_exists, new_tree, free_tree),
		cmocka_unit_test_setup_teardown(test_exists_elsewhere, new_tree, free_tree),
		cmocka_unit_test_setup_teardown(test_attr, new_tree, free_tree),
		cmocka_unit_test_setup_teardown(test_attr_number, new_tree, free_tree),
		cmocka_unit_test_setup_teardown(test_attr_system_errors, new_tree, free_tree),
		cmocka_unit_test_setup_teardown(test_link, new_tree, free_tree),
		cmocka_unit_test(test_long_root),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
