/* SPDX-License-Identifier: MIT */
/* Where functions lie, IOMMU groups with what is reserved in them, and the IOMMUs. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/host.h>

#include "tree.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ADDR "0000:01:00.0"

static int new_tree(void **state)
{
	*state = tree_new();
	return 0;
}

static int free_tree(void **state)
{
	tree_free(*state);
	return 0;
}

static struct weir_host *open_tree(const char *root)
{
	struct weir_host *host;

	if (weir_host_open(root, &host))
		fail_msg("%s", weir_errmsg());
	return host;
}

static const struct weir_host_function *find(const struct weir_host *host, const char *address)
{
	const struct weir_host_function *fn;

	assert_int_equal(weir_host_find(host, address, &fn), 0);
	return fn;
}

/* ---- places ---- */

static void test_bad_places(void **state)
{
	static const char *const above[] = {
		"0000:00:01.0", "pci0000:00/x", "pci0000:00/0000:00:01.0/x", "PCI0000:00", "pci:00",
		"pci000:00", "pci0000:0", "pci0000:000", "pci0000:0g", "pci123456789:00",
		"\033[2J", "0000:00:01.8",
	};
	const struct weir_host_function *fn;
	const char *root = *state;
	struct weir_host *host;
	char name[128];

	/* What isn't said isn't guessed. */
	for (size_t i = 0; i < ARRAY_SIZE(above); i++) {
		snprintf(name, sizeof(name), "sys/devices/%s/" ADDR, above[i]);
		tree_function_at(root, name);
		host = open_tree(root);
		fn = find(host, ADDR);
		assert_string_equal(fn->root_bus, "");
		assert_string_equal(fn->parent, i ? "" : "0000:00:01.0");
		assert_null(weir_host_parent(host, fn));
		weir_host_close(host);
	}
	/* A bridge that isn't in the list. */
	tree_function_at(root, "sys/devices/pci0000:00/0000:00:01.0/" ADDR);
	tree_remove(root, "sys/bus/pci/devices/0000:00:01.0");
	host = open_tree(root);
	fn = find(host, ADDR);
	assert_string_equal(fn->parent, "0000:00:01.0");
	assert_string_equal(fn->root_bus, "pci0000:00");
	assert_null(weir_host_parent(host, fn));
	weir_host_close(host);
}

static void test_places(void **state)
{
	static const struct {
		const char *path, *parent, *root_bus;
	} functions[] = {
		{ "sys/devices/pci0000:00/0000:00:01.0", "", "pci0000:00" },
		{ "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0", "0000:00:01.0",
		  "pci0000:00" },
		{ "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:1f.7", "0000:01:00.0",
		  "pci0000:00" },
		/* Where devices are found by a device tree; VMD's own domain. */
		{ "sys/devices/platform/10000000.pcie/pci0001:ff/0001:ff:00.0", "", "pci0001:ff" },
		{ "sys/devices/pci0000:00/0000:00:0e.0", "", "pci0000:00" },
		{ "sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0", "",
		  "pci10000:e0" },
		{ "sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0",
		  "10000:e0:06.0", "pci10000:e0" },
	};
	const struct weir_host_function *fn, *parent;
	const char *root = *state;
	struct weir_host *host;

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		tree_function_at(root, functions[i].path);
	host = open_tree(root);
	assert_int_equal(weir_host_count(host), ARRAY_SIZE(functions));
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		fn = find(host, strrchr(functions[i].path, '/') + 1);
		assert_string_equal(fn->parent, functions[i].parent);
		assert_string_equal(fn->root_bus, functions[i].root_bus);
		parent = weir_host_parent(host, fn);
		if (fn->parent[0])
			assert_string_equal(parent->address, fn->parent);
		else
			assert_null(parent);
	}
	weir_host_close(host);
}

static void test_vfs(void **state)
{
	const char *root = *state;
	struct weir_host *host;

	tree_function(root, ADDR);
	tree_function(root, "0000:01:00.1");
	tree_function(root, "0000:01:10.0");
	tree_function(root, "0000:01:10.2");
	tree_attr_link(root, "0000:01:10.0", "physfn", "../" ADDR);
	tree_attr_link(root, "0000:01:10.2", "physfn", "../" ADDR);
	host = open_tree(root);
	assert_int_equal(find(host, ADDR)->vfs, 2);
	assert_int_equal(find(host, "0000:01:00.1")->vfs, 0);
	assert_string_equal(find(host, ADDR)->physfn, "");
	assert_string_equal(find(host, "0000:01:10.2")->physfn, ADDR);
	weir_host_close(host);

	/* Its PF isn't there; then it has none. */
	tree_attr_link(root, "0000:01:10.2", "physfn", "../0000:07:00.0");
	host = open_tree(root);
	assert_int_equal(find(host, ADDR)->vfs, 1);
	weir_host_close(host);
	tree_attr_link(root, "0000:01:10.2", "physfn", "../eth0");
	assert_int_equal(weir_host_open(root, &host), -EIO);
	assert_non_null(strstr(weir_errmsg(), "physfn"));
}

static void test_vfs_max(void **state)
{
	static const char *const bad[] = { "\n", "x\n", "-1\n", "65536\n", "1 2\n", "\033[2J\n" };
	const struct weir_host_function *fn;
	const char *root = *state;
	struct weir_host *host;

	tree_function(root, ADDR);
	host = open_tree(root);
	fn = find(host, ADDR);
	assert_int_equal(weir_host_vfs_max(host, fn), 0);
	tree_attr(root, ADDR, "sriov_totalvfs", "65535\n");
	assert_int_equal(weir_host_vfs_max(host, fn), 65535);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_attr(root, ADDR, "sriov_totalvfs", bad[i]);
		assert_int_equal(weir_host_vfs_max(host, fn), -EIO);
		assert_non_null(strstr(weir_errmsg(), "sriov_totalvfs"));
	}
	weir_host_close(host);
}

static void test_bad_slots(void **state)
{
	static const char *const bad[] = {
		"", "x", "0000", "0000:", "0000:01:", "0000:01:00.0", "0000:01:20", "0000:1:00",
		"0000:01:00\n\n", "\033[2J", "0000:01:00:00:00:00:00:00:00",
	};
	const char *root = *state;
	struct weir_host *host;

	tree_function(root, ADDR);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_text(root, "sys/bus/pci/slots/1/address", bad[i]);
		if (weir_host_open(root, &host) != -EIO)
			fail_msg("'%s' was accepted", bad[i]);
		assert_non_null(strstr(weir_errmsg(), "slots/1/address"));
	}
	/* One that vanishes, and what is no slot. */
	tree_remove(root, "sys/bus/pci/slots/1/address");
	tree_text(root, "sys/bus/pci/slots/README", "captured");
	host = open_tree(root);
	assert_string_equal(find(host, ADDR)->slot, "");
	weir_host_close(host);
}

static void test_slots(void **state)
{
	static const struct {
		const char *path, *slot;
	} functions[] = {
		{ "sys/devices/pci0000:00/0000:00:01.0", "" },
		{ "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0", "1" },
		/* A VF, whose number is another device's. */
		{ "sys/devices/pci0000:00/0000:00:01.0/0000:01:10.0", "1" },
		/* What is behind the card's own bridge, but for what is in a slot of its own. */
		{ "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:03.0", "1" },
		{ "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:04.1", "2-1" },
		/* All that is on a bus, whatever its number. */
		{ "sys/devices/pci0000:00/0000:00:03.0/0000:05:1f.7", "bay" },
		{ "sys/devices/pci0000:00/0000:00:04.0", "" },
	};
	const char *root = *state;
	struct weir_host *host;

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		tree_function_at(root, functions[i].path);
	tree_attr_link(root, "0000:01:10.0", "physfn", "../" ADDR);
	tree_text(root, "sys/bus/pci/slots/1/address", "0000:01:00\n");
	tree_text(root, "sys/bus/pci/slots/2-1/address", "0000:02:04\n");
	tree_text(root, "sys/bus/pci/slots/bay/address", "0000:05\n");
	tree_text(root, "sys/bus/pci/slots/empty/address", "0000:07:00\n");
	host = open_tree(root);
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		assert_string_equal(find(host, strrchr(functions[i].path, '/') + 1)->slot,
				    functions[i].slot);
	weir_host_close(host);
}

/* ---- trees that lead outside ---- */

static void test_outside(void **state)
{
	static const char *const targets[] = {
		"../../../../../outside/" ADDR, "../../../../../outside/sub/" ADDR,
		"../../../../../outside",
	};
	const char *all = *state;
	struct weir_host *host;
	char *root, *absolute;

	assert_true(asprintf(&root, "%s/root", all) > 0);
	tree_folder(all, "root");
	tree_function_at(root, "sys/devices/pci0000:00/" ADDR);
	tree_text(all, "outside/" ADDR "/uevent", "PCI_CLASS=20000\nPCI_ID=1234:5678\n"
		  "PCI_SUBSYS_ID=1234:5678\n");
	tree_text(all, "outside/uevent", "PCI_CLASS=20000\nPCI_ID=1234:5678\n"
		  "PCI_SUBSYS_ID=1234:5678\n");
	tree_link(all, "outside/sub", ".");
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		tree_link(all, "root/sys/bus/pci/devices/" ADDR, targets[i]);
		assert_int_equal(weir_host_open(root, &host), -EXDEV);
		assert_non_null(strstr(weir_errmsg(), "devices/" ADDR));
	}
	/* Loops, and what isn't there. */
	tree_link(all, "root/sys/bus/pci/devices/" ADDR, ADDR);
	assert_int_equal(weir_host_open(root, &host), -ELOOP);
	tree_link(all, "root/sys/bus/pci/devices/" ADDR, "../devices/" ADDR);
	assert_int_equal(weir_host_open(root, &host), -ELOOP);
	tree_link(all, "root/sys/bus/pci/devices/" ADDR, "/");
	assert_int_equal(weir_host_open(root, &host), -EXDEV);
	/* To this machine's root. */
	assert_true(asprintf(&absolute, "%s/outside/" ADDR, all) > 0);
	tree_link(all, "root/sys/bus/pci/devices/" ADDR, absolute);
	assert_int_equal(weir_host_open(root, &host), -EXDEV);
	free(absolute);
	tree_link(all, "root/sys/bus/pci/devices/" ADDR, "/proc");
	assert_int_equal(weir_host_open(root, &host), -EXDEV);
	tree_link(all, "root/sys/bus/pci/devices/" ADDR, "absent/" ADDR);
	host = open_tree(root);
	assert_int_equal(weir_host_count(host), 0);
	weir_host_close(host);

	/* An attribute that isn't one. */
	tree_remove(all, "root/sys/bus/pci/devices/" ADDR);
	tree_link(all, "root/sys/bus/pci/devices/" ADDR "/uevent",
		  "../../../../../../outside/uevent");
	assert_int_equal(weir_host_open(root, &host), -EIO);
	assert_non_null(strstr(weir_errmsg(), "uevent"));

	/* The whole bus, the groups. */
	tree_link(all, "root/sys/bus/pci/devices", "../../../../outside");
	assert_int_equal(weir_host_open(root, &host), -EXDEV);
	tree_remove(all, "root/sys/bus/pci/devices");
	tree_folder(all, "root/sys/bus/pci/devices");
	tree_link(all, "root/sys/kernel/iommu_groups", "../../../outside");
	assert_int_equal(weir_host_open(root, &host), -EXDEV);
	free(root);
}

static void test_asleep(void **state)
{
	static const struct {
		const char *attr, *text;
		bool asleep;
	} cases[] = {
		{ "power/runtime_status", "suspended\n", true },
		{ "power/runtime_status", "active\n", false },
		{ "power/runtime_status", "suspending\n", false },
		{ "power/runtime_status", "unsupported\n", false },
		{ "power/runtime_status", "a text that is longer than any\n", false },
		{ "power_state", "D0\n", false }, { "power_state", "D3hot\n", true },
		{ "power_state", "D3cold\n", true }, { "power_state", "unknown\n", false },
	};
	const char *root = *state;
	struct weir_host *host;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tree_function(root, ADDR);
		host = open_tree(root);
		assert_false(weir_host_is_asleep(host, find(host, ADDR)));
		tree_attr(root, ADDR, cases[i].attr, cases[i].text);
		if (weir_host_is_asleep(host, find(host, ADDR)) != cases[i].asleep)
			fail_msg("%s %s", cases[i].attr, cases[i].text);
		tree_remove(root, "sys/bus/pci/devices/" ADDR);
		assert_false(weir_host_is_asleep(host, find(host, "0000:01:00.0")));
		weir_host_close(host);
	}
}

/* ---- groups ---- */

static void test_no_groups(void **state)
{
	struct weir_host_reserved regions[1];
	struct weir_host_group group;
	const char *root = *state;
	struct weir_host *host;

	tree_function(root, ADDR);
	host = open_tree(root);
	assert_int_equal(weir_host_next_group(host, -1), -1);
	assert_int_equal(weir_host_next_group(host, INT_MAX), -1);
	assert_int_equal(weir_host_group(host, 0, &group), -ENOENT);
	assert_int_equal(weir_host_group(host, -1, &group), -ENOENT);
	assert_null(weir_host_member(host, 0, 0));
	assert_null(weir_host_member(host, -1, 0));
	assert_int_equal(weir_host_reserved(host, 0, regions, 1), -ENOENT);
	weir_host_close(host);
}

static void test_groups(void **state)
{
	static const struct {
		const char *address;
		int group;
	} functions[] = {
		{ "0000:00:00.0", 7 }, { "0000:00:01.0", 0 }, { "0000:00:02.0", INT_MAX },
		{ "0000:00:03.0", -1 }, { "0000:00:04.0", 7 }, { "0000:00:05.0", 0 },
	};
	const char *root = *state;
	struct weir_host *host;
	char target[64];

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		tree_function(root, functions[i].address);
		snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%d",
			 functions[i].group);
		if (functions[i].group >= 0)
			tree_attr_link(root, functions[i].address, "iommu_group", target);
	}
	host = open_tree(root);
	assert_int_equal(weir_host_next_group(host, -1), 0);
	assert_int_equal(weir_host_next_group(host, 0), 7);
	assert_int_equal(weir_host_next_group(host, 3), 7);
	assert_int_equal(weir_host_next_group(host, 7), INT_MAX);
	assert_int_equal(weir_host_next_group(host, INT_MAX), -1);
	assert_string_equal(weir_host_member(host, 7, 0)->address, "0000:00:00.0");
	assert_string_equal(weir_host_member(host, 7, 1)->address, "0000:00:04.0");
	assert_null(weir_host_member(host, 7, 2));
	assert_null(weir_host_member(host, 7, UINT_MAX));
	assert_null(weir_host_member(host, 6, 0));
	assert_string_equal(weir_host_member(host, INT_MAX, 0)->address, "0000:00:02.0");
	assert_null(weir_host_member(host, INT_MAX, 1));
	weir_host_close(host);
}

static void test_group(void **state)
{
	struct weir_host_group group = { .number = 42 };
	const char *root = *state;
	struct weir_host *host;

	/* Of a tree without the groups' own folder there's still who is in one. */
	tree_function(root, ADDR);
	tree_attr_link(root, ADDR, "iommu_group", "groups/5");
	host = open_tree(root);
	assert_int_equal(weir_host_group(host, 5, &group), 0);
	assert_int_equal(group.number, 5);
	assert_int_equal(group.members, 1);
	assert_string_equal(group.type, "");
	assert_string_equal(group.name, "");
	weir_host_close(host);

	tree_text(root, "sys/kernel/iommu_groups/5/type", "DMA-FQ\n");
	tree_text(root, "sys/kernel/iommu_groups/5/name", "vfio-noiommu\n");
	host = open_tree(root);
	assert_int_equal(weir_host_group(host, 5, &group), 0);
	assert_string_equal(group.type, "DMA-FQ");
	assert_string_equal(group.name, "vfio-noiommu");

	/* A type that is yet to come is passed on; what can't be one isn't. */
	tree_text(root, "sys/kernel/iommu_groups/5/type", "nested\n");
	assert_int_equal(weir_host_group(host, 5, &group), 0);
	assert_string_equal(group.type, "nested");
	tree_text(root, "sys/kernel/iommu_groups/5/type", "a type of more than sixteen\n");
	assert_int_equal(weir_host_group(host, 5, &group), -EIO);
	assert_non_null(strstr(weir_errmsg(), "iommu_groups/5/type"));
	tree_bytes(root, "sys/kernel/iommu_groups/5/type", "DMA\0\n", 5);
	assert_int_equal(weir_host_group(host, 5, &group), -EIO);
	assert_string_equal(group.type, "nested");
	weir_host_close(host);
}

/* ---- reserved regions ---- */

#define REGION "0x00000000fee00000 0x00000000feefffff "

static int reserved(const char *root, const char *text, struct weir_host_reserved *regions,
		    size_t n)
{
	struct weir_host *host;
	int ret;

	tree_text(root, "sys/kernel/iommu_groups/5/reserved_regions", text);
	host = open_tree(root);
	ret = weir_host_reserved(host, 5, regions, n);
	weir_host_close(host);
	return ret;
}

/* Many enough for threads: what was read along is told; what couldn't be read is asked again. */
static void test_all(void **state)
{
	char address[20], target[64], buf[128];
	struct weir_host_function copy;
	struct weir_host_group group;
	const char *root = *state;
	struct weir_host *host;

	for (unsigned int i = 0; i < 320; i++) {
		snprintf(address, sizeof(address), "0000:%02x:%02x.0", i / 32, i % 32);
		snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%u", i / 2);
		tree_function(root, address);
		tree_attr_link(root, address, "iommu_group", target);
	}
	tree_attr(root, "0000:00:05.0", "reset_method", "flr pm\n");
	tree_text(root, "sys/kernel/iommu_groups/2/type", "DMA\n");
	tree_text(root, "sys/kernel/iommu_groups/150/type", "a type of more than sixteen\n");
	assert_int_equal(weir_host_open_with(root, WEIR_HOST_AHEAD, &host), 0);
	tree_attr(root, "0000:00:05.0", "reset_method", "bus\n");
	tree_text(root, "sys/kernel/iommu_groups/2/type", "identity\n");
	tree_text(root, "sys/kernel/iommu_groups/150/type", "DMA-FQ\n");
	assert_int_equal(weir_host_reset_methods(host, find(host, "0000:00:05.0"), buf, 128), 6);
	assert_string_equal(buf, "flr pm");
	assert_int_equal(weir_host_reset_methods(host, find(host, "0000:00:06.0"), buf, 128), 0);
	assert_int_equal(weir_host_group(host, 2, &group), 0);
	assert_string_equal(group.type, "DMA");
	assert_int_equal(group.members, 2);
	assert_int_equal(weir_host_group(host, 150, &group), 0);
	assert_string_equal(group.type, "DMA-FQ");
	assert_int_equal(weir_host_group(host, 160, &group), -ENOENT);
	/* A copy has no place, and too little room is no other answer. */
	copy = *find(host, "0000:00:05.0");
	assert_int_equal(weir_host_reset_methods(host, &copy, buf, 128), 3);
	assert_int_equal(weir_host_reset_methods(host, find(host, "0000:00:05.0"), buf, 3),
			 -EOVERFLOW);
	weir_host_close(host);
}

/* What isn't wanted isn't read, be it damaged. */
static void test_brief(void **state)
{
	const struct weir_host_function *fn;
	const char *root = *state;
	struct weir_host *host;

	tree_function(root, ADDR);
	tree_attr(root, ADDR, "numa_node", "1\n");
	assert_int_equal(weir_host_open_with(root, 0, &host), 0);
	fn = find(host, ADDR);
	assert_int_equal(fn->revision, 0x10);
	assert_int_equal(fn->numa_node, 1);
	weir_host_close(host);
	tree_attr(root, ADDR, "numa_node", "damaged\n");
	tree_attr(root, ADDR, "revision", "damaged\n");
	assert_int_equal(weir_host_open_with(root, WEIR_HOST_AHEAD, &host), -EIO);
	assert_int_equal(weir_host_open_with(root, WEIR_HOST_BRIEF, &host), 0);
	fn = find(host, ADDR);
	assert_int_equal(fn->vendor, 0x1234);
	assert_int_equal(fn->revision, 0);
	assert_int_equal(fn->numa_node, -1);
	weir_host_close(host);
	assert_int_equal(weir_host_open_with(root, 8 | WEIR_HOST_BRIEF, &host), -EINVAL);
}

static void test_reserved_bad(void **state)
{
	static const char *const bad[] = {
		"\n\n", "x\n", "0x0\n", "0x0 0x0\n", "0x0 0x0 \n", "0 0x0 msi\n", "0x0 0 msi\n",
		"0x0  0x0 msi\n", "0x1 0x0 msi\n", "-0x1 0x0 msi\n", "0x 0x0 msi\n",
		"0x10000000000000000 0x10000000000000000 msi\n", REGION "msi\n\n" REGION "msi\n",
		REGION "msi\n" REGION, "0x0 0x0\nmsi\n", REGION "a type that is longer than any\n",
		"0x0000000000000000000000000000000000000000 0x0 msi\n",
	};
	struct weir_host_reserved regions[2];
	const char *root = *state;
	char huge[70000];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (reserved(root, bad[i], regions, 2) != -EIO)
			fail_msg("'%s' was accepted", bad[i]);
		assert_non_null(strstr(weir_errmsg(), "iommu_groups/5/reserved_regions"));
	}
	memset(huge, '0', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(reserved(root, huge, regions, 2), -EIO);
}

static void test_reserved(void **state)
{
	struct weir_host_reserved regions[8];
	const char *root = *state;

	assert_int_equal(reserved(root, "", regions, 8), 0);
	assert_int_equal(reserved(root, REGION "msi", regions, 8), 1);
	assert_string_equal(regions[0].type, "msi");
	assert_int_equal(reserved(root,
				  "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
				  "0x000000007b800000 0x000000007fffffff direct\n"
				  REGION "msi\n"
				  "0x000000fd00000000 0xffffffffffffffff reserved\n"
				  REGION "yet to come\n", regions, 8), 5);
	assert_string_equal(regions[0].type, "direct-relaxable");
	assert_true(regions[0].first == 0 && regions[0].last == 0xffffff);
	assert_string_equal(regions[1].type, "direct");
	assert_true(regions[3].first == 0xfd00000000 && regions[3].last == UINT64_MAX);
	assert_string_equal(regions[4].type, "yet to come");

	memset(regions, 0xee, sizeof(regions));
	assert_int_equal(reserved(root, REGION "msi\n" REGION "direct\n", regions, 1), 2);
	assert_string_equal(regions[0].type, "msi");
	assert_true(regions[1].first == 0xeeeeeeeeeeeeeeee);
	assert_int_equal(reserved(root, REGION "msi\n", NULL, 0), 1);
}

/* ---- IOMMUs ---- */

static void test_no_iommu(void **state)
{
	struct weir_host_iommu iommu;
	const char *root = *state;
	struct weir_host *host;

	host = open_tree(root);
	assert_false(weir_host_has_iommu(host));
	assert_int_equal(weir_host_iommu(host, 0, &iommu), -ENOENT);
	weir_host_close(host);
}

static void test_iommus_bad(void **state)
{
	static const struct {
		const char *attr, *text;
	} bad[] = {
		{ "intel-iommu/cap", "\n" }, { "intel-iommu/cap", "0x12\n" },
		{ "intel-iommu/cap", "12:34\n" }, { "intel-iommu/ecap", "12345678123456781\n" },
		{ "intel-iommu/address", "zz\n" }, { "intel-iommu/address", "-1\n" },
		{ "amd-iommu/cap", "1 2\n" }, { "amd-iommu/features", ":\n" },
		{ "amd-iommu/features", "12:\n" }, { "amd-iommu/features", "1:2:3\n" },
		{ "amd-iommu/features", "\033[2J\n" },
	};
	struct weir_host_iommu iommu = { .cap = 42 };
	const char *root = *state;
	struct weir_host *host;
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(path, sizeof(path), "sys/class/iommu/x/%s", bad[i].attr);
		tree_text(root, path, bad[i].text);
		host = open_tree(root);
		if (weir_host_iommu(host, 0, &iommu) != -EIO)
			fail_msg("%s '%s' was accepted", bad[i].attr, bad[i].text);
		assert_non_null(strstr(weir_errmsg(), bad[i].attr));
		assert_null(strchr(weir_errmsg(), '\033'));
		weir_host_close(host);
		tree_remove(root, "sys/class/iommu/x");
	}
	assert_int_equal(iommu.cap, 42);
}

static void test_iommus(void **state)
{
	static const struct {
		const char *name, *link;
		enum weir_host_iommu_kind kind;
		const char *function;
	} iommus[] = {
		{ "0000:00:03.0",
		  "../../devices/pci0000:00/0000:00:03.0/virtio0/iommu/0000:00:03.0",
		  WEIR_HOST_IOMMU_VIRTIO, "0000:00:03.0" },
		{ "dmar0", "../../devices/virtual/iommu/dmar0", WEIR_HOST_IOMMU_VTD, "" },
		{ "dmar1", "../../devices/virtual/iommu/dmar1", WEIR_HOST_IOMMU_VTD, "" },
		{ "ivhd0", "../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0",
		  WEIR_HOST_IOMMU_AMD, "0000:00:00.2" },
		{ "riscv-iommu@10000000", "../../devices/virtual/iommu/riscv-iommu@10000000",
		  WEIR_HOST_IOMMU_OTHER, "" },
		{ "smmu.0x0000000009050000",
		  "../../devices/platform/arm-smmu.0/iommu/smmu.0x0000000009050000",
		  WEIR_HOST_IOMMU_SMMU, "" },
		{ "smmu3.0x0000000009050000",
		  "../../devices/platform/arm-smmu-v3.0/iommu/smmu3.0x0000000009050000",
		  WEIR_HOST_IOMMU_SMMUV3, "" },
	};
	struct weir_host_iommu iommu;
	const char *root = *state;
	struct weir_host *host;
	char path[256];

	for (size_t i = ARRAY_SIZE(iommus); i-- > 0;) {
		snprintf(path, sizeof(path), "sys/%s", iommus[i].link + strlen("../../"));
		tree_folder(root, path);
		snprintf(path, sizeof(path), "sys/class/iommu/%s", iommus[i].name);
		tree_link(root, path, iommus[i].link);
	}
	tree_text(root, "sys/devices/virtual/iommu/dmar0/intel-iommu/cap", "d2008c40660462\n");
	tree_text(root, "sys/devices/virtual/iommu/dmar0/intel-iommu/ecap", "f050da\n");
	tree_text(root, "sys/devices/virtual/iommu/dmar0/intel-iommu/address", "fed90000\n");
	tree_folder(root, "sys/devices/virtual/iommu/dmar1/intel-iommu");
	tree_text(root, "sys/devices/pci0000:00/0000:00:00.2/iommu/ivhd0/amd-iommu/cap",
		  "190b640f\n");
	tree_text(root, "sys/devices/pci0000:00/0000:00:00.2/iommu/ivhd0/amd-iommu/features",
		  "246577efa2254afa:ff\n");
	host = open_tree(root);
	assert_true(weir_host_has_iommu(host));
	for (size_t i = 0; i < ARRAY_SIZE(iommus); i++) {
		assert_int_equal(weir_host_iommu(host, (unsigned int)i, &iommu), 0);
		assert_string_equal(iommu.name, iommus[i].name);
		assert_int_equal(iommu.kind, iommus[i].kind);
		assert_string_equal(iommu.function, iommus[i].function);
	}
	assert_int_equal(weir_host_iommu(host, ARRAY_SIZE(iommus), &iommu), -ENOENT);
	assert_int_equal(weir_host_iommu(host, 1, &iommu), 0);
	assert_true(iommu.cap == 0xd2008c40660462 && iommu.ecap == 0xf050da &&
		    iommu.address == 0xfed90000 && iommu.cap_known && iommu.ecap_known);
	assert_int_equal(weir_host_iommu(host, 2, &iommu), 0);
	assert_true(!iommu.cap && !iommu.ecap && !iommu.address && !iommu.cap_known &&
		    !iommu.ecap_known);
	assert_int_equal(weir_host_iommu(host, 3, &iommu), 0);
	assert_true(iommu.cap == 0x190b640f && iommu.ecap == 0x246577efa2254afa &&
		    iommu.ecap2 == 0xff);
	/* Kernels before EFR2. */
	tree_text(root, "sys/devices/pci0000:00/0000:00:00.2/iommu/ivhd0/amd-iommu/features",
		  "246577efa2254afa\n");
	assert_int_equal(weir_host_iommu(host, 3, &iommu), 0);
	assert_true(iommu.ecap == 0x246577efa2254afa && !iommu.ecap2 && iommu.ecap_known);
	weir_host_close(host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_tree, free_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_places),
		TEST(test_places),
		TEST(test_vfs),
		TEST(test_vfs_max),
		TEST(test_bad_slots),
		TEST(test_slots),
		TEST(test_outside),
		TEST(test_asleep),
		TEST(test_no_groups),
		TEST(test_groups),
		TEST(test_group),
		TEST(test_all),
		TEST(test_brief),
		TEST(test_reserved_bad),
		TEST(test_reserved),
		TEST(test_no_iommu),
		TEST(test_iommus_bad),
		TEST(test_iommus),
	};

	return cmocka_run_group_tests_name("host-groups", tests, NULL, NULL);
}
