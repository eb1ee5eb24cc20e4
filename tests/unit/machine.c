/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "machine.h"

#define CONFIG_EXPRESS	4096
#define CONFIG_PCI	256

static void put(uint8_t *config, unsigned int at, unsigned int len, uint32_t value)
{
	for (unsigned int i = 0; i < len; i++)
		config[at + i] = (uint8_t)(value >> 8 * i);
}

/* The PCI Express type of a kind: PCI Express Base, section 7.5.3.2. */
static uint32_t type_of(enum machine_kind kind)
{
	static const uint8_t types[] = {
		[ENDPOINT] = 0, [LEGACY] = 1, [ROOT_PORT] = 4, [UPSTREAM] = 5, [DOWNSTREAM] = 6,
		[TO_PCI] = 7, [FROM_PCI] = 8, [INTEGRATED] = 9, [COLLECTOR] = 10,
	};

	return types[kind];
}

const char *machine_address(const char *text)
{
	static char buf[8][32];
	static unsigned int turn;
	char *address = buf[turn++ % 8];

	snprintf(address, 32, "0000:%s", text);
	return address;
}

static void write_config(const char *root, const char *address, const struct machine_function *f)
{
	uint8_t config[CONFIG_EXPRESS] = { 0 };
	char path[PATH_MAX];

	put(config, 0x00, 2, f->vendor);
	put(config, 0x02, 2, f->device);
	put(config, 0x0e, 1, f->header);
	if (f->kind != PCI) {
		put(config, 0x06, 2, 0x10);	/* there are capabilities */
		put(config, 0x34, 1, 0x40);
		put(config, 0x40, 1, 0x10);
		put(config, 0x42, 2, type_of(f->kind) << 4 | 2);
	}
	if (f->cap) {
		put(config, 0x100, 4, 0x0001000d);
		put(config, 0x104, 2, f->cap);
		put(config, 0x106, 2, f->ctrl);
		put(config, 0x108, 4, f->ctrl);
	}
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", address);
	tree_bytes(root, path, config, f->kind == PCI ? CONFIG_PCI : CONFIG_EXPRESS);
}

static void number(const char *root, const char *address, const char *attr, const char *fmt,
		   unsigned int value)
{
	char text[32];

	snprintf(text, sizeof(text), fmt, value);
	tree_attr(root, address, attr, text);
}

static void join_group(const char *root, const char *address, int group)
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/type", group);
	tree_text(root, path, "DMA-FQ\n");
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d", group);
	tree_attr_link(root, address, "iommu_group", target);
	tree_attr_link(root, address, "iommu", "../../../virtual/iommu/dmar0");
	tree_folder(root, "sys/class/iommu/dmar0");
}

void machine_add(const char *root, const struct machine_function *given)
{
	struct machine_function f = *given;
	char path[PATH_MAX], target[PATH_MAX], parts[PATH_MAX], *save;
	const char *address = NULL;
	size_t len;

	if (!f.vendor) {
		f.vendor = 0x1234;
		f.device = 0x11e8;
	}
	/* An expander's root bus has its number in its name. */
	len = (size_t)snprintf(path, sizeof(path), "sys/devices/pci0000:%.2s", f.path);
	snprintf(parts, sizeof(parts), "%s", f.path);
	for (char *part = strtok_r(parts, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		address = machine_address(part);
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/%s", address);
	}
	tree_function_at(root, path);
	number(root, address, "vendor", "0x%04x\n", f.vendor);
	number(root, address, "device", "0x%04x\n", f.device);
	if (!f.class_code)
		f.class_code = f.header & BRIDGE ? 0x060400 : 0x00ff00;
	number(root, address, "class", "0x%06x\n", f.class_code);
	number(root, address, "revision", "0x%02x\n", f.revision);
	write_config(root, address, &f);
	if (f.group)
		join_group(root, address, f.group - 1);
	if (f.driver) {
		snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", f.driver);
		tree_attr_link(root, address, "driver", target);
	}
	if (f.pf) {
		snprintf(target, sizeof(target), "../%s", machine_address(f.pf));
		tree_attr_link(root, address, "physfn", target);
	}
}

void machine_build(const char *root, const struct machine_function *functions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		machine_add(root, &functions[i]);
}
