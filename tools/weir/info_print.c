/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "info.h"
#include "window.h"

#define UNSEEN "unknown: only root may read that part of config space, or capture it"

static const char *region_name(unsigned int region)
{
	static const char *const names[] = {
		"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5", "ROM",
	};

	return names[region];
}

static const char *dirty_name(enum weir_dirty dirty)
{
	switch (dirty) {
	case WEIR_DIRTY_ALL:
		return "all";
	case WEIR_DIRTY_EXACT:
		return "exact";
	default:
		return "none";
	}
}

/* ---- for people ---- */

struct out_table *pairs(void)
{
	static const struct column columns[] = {
		[KEY] = { .name = "KEY" },
		[VALUE] = { .name = "VALUE" },
	};

	return table_new(columns, 2, false);
}

struct out_row *pair(struct out_table *table, const char *key)
{
	struct out_row *row = table_row(table);

	table_cell(row, KEY, "  %s", key);
	return row;
}

static void print_ids(const struct info *info, struct names *names)
{
	const struct weir_host_function *fn = &info->fn;
	struct out_table *table = pairs();
	char buf[2 * NAME_TEXT_MAX];
	const char *name;

	say_heading("%s", info->name);
	table_cell(pair(table, "name"), VALUE, "%s", full_name(names, fn, buf));
	table_cell(pair(table, "ids"), VALUE, "%04x:%04x, revision %02x", fn->vendor, fn->device,
		   fn->revision);
	name = subsystem_name(names, fn, buf);
	if (fn->subsystem_vendor)
		table_cell(pair(table, "subsystem"), VALUE, "%04x:%04x%s%s", fn->subsystem_vendor,
			   fn->subsystem_device, name ? ", " : "", name ? name : "");
	name = class_name(names, fn, buf);
	table_cell(pair(table, "class"), VALUE, "%06x%s%s", fn->class_code, name ? ", " : "",
		   name ? name : "");
	if (info->on_bus) {
		table_cell(pair(table, "driver"), VALUE, "%s", *fn->driver ? fn->driver : "none");
		table_cell(pair(table, "IOMMU"), VALUE, "%s", *fn->iommu ? fn->iommu : "none");
		if (fn->numa_node >= 0)
			table_cell(pair(table, "NUMA node"), VALUE, "%d", fn->numa_node);
		if (*fn->vfio_node)
			table_cell(pair(table, "VFIO node"), VALUE, "%s", fn->vfio_node);
		table_cell(pair(table, "reset"), VALUE, "%s",
			   *info->reset ? info->reset : "no method that the kernel names");
	}
	table_print(table);
}

static void print_group(const struct info *info, struct names *names)
{
	enum { ADDRESS, DRIVER, NOTE, NAME };
	static const struct column columns[] = {
		[ADDRESS] = { .name = "ADDRESS" },
		[DRIVER] = { .name = "DRIVER" },
		[NOTE] = { .name = "NOTE" },
		[NAME] = { .name = "NAME", .cut = true },
	};
	struct out_table *table;
	char buf[2 * NAME_TEXT_MAX];

	if (info->fn.group < 0)
		return;
	say_heading("group %d", info->fn.group);
	table = table_new(columns, 4, false);
	for (int i = 0; i < info->n_members; i++) {
		const struct weir_host_function *member = info->members[i];
		struct out_row *row = table_row(table);

		table_cell(row, ADDRESS, "  %s", member->address);
		table_cell(row, DRIVER, "%s", *member->driver ? member->driver : "-");
		table_cell(row, NOTE, "%s%s", role_name(member->role),
			   member->role == WEIR_ROLE_HARMLESS && is_bridge(member) ? " bridge"
										    : "");
		table_cell(row, NAME, "%s", full_name(names, member, buf));
		if (member->role == WEIR_ROLE_IN_THE_WAY)
			table_colour(row, NOTE, "red");
	}
	table_print(table);
}

static void print_regions(const struct info *info)
{
	enum { REGION, SIZE, TYPE };
	static const struct column columns[] = {
		[REGION] = { .name = "REGION" },
		[SIZE] = { .name = "SIZE", .right = true },
		[TYPE] = { .name = "TYPE" },
	};
	char size[SIZE_TEXT_MAX], where[32];
	struct out_table *table;

	if (info->n_regions <= 0)
		return;
	say_heading("regions");
	table = table_new(columns, 3, false);
	for (int i = 0; i < info->n_regions; i++) {
		const struct info_region *region = &info->regions[i];
		struct out_row *row = table_row(table);

		snprintf(where, sizeof(where), " at 0x%llx", (unsigned long long)region->start);
		table_cell(row, REGION, "  %s", region_name(region->region));
		table_cell(row, SIZE, "%s", size_text(region->size, size));
		table_cell(row, TYPE, "%s%s%s%s", region->io ? "I/O ports" : "memory",
			   region->is64 ? ", 64 bits" : "",
			   region->prefetchable ? ", prefetchable" : "",
			   region->start ? where : "");
	}
	table_print(table);
}

static void print_vectors(struct out_table *table, const char *name, int vectors)
{
	struct out_row *row = pair(table, name);

	if (vectors < 0)
		table_cell(row, VALUE, UNSEEN);
	else if (!vectors)
		table_cell(row, VALUE, "none");
	else
		table_cell(row, VALUE, "%d vector%s", vectors, vectors == 1 ? "" : "s");
}

static void print_interrupts(const struct info *info)
{
	struct out_table *table = pairs();
	struct out_row *row;

	say_heading("interrupts");
	row = pair(table, "INTx");
	if (info->intx_pin < 0)
		table_cell(row, VALUE, "unknown");
	else if (!info->intx_pin)
		table_cell(row, VALUE, "none");
	else
		table_cell(row, VALUE, "pin %c", 'A' + info->intx_pin - 1);
	print_vectors(table, "MSI", info->msi);
	print_vectors(table, "MSI-X", info->msix);
	table_print(table);
}

static void print_caps(const struct info *info)
{
	enum { OFFSET, ID, NAME };
	static const struct column columns[] = {
		[OFFSET] = { .name = "OFFSET" },
		[ID] = { .name = "ID" },
		[NAME] = { .name = "NAME", .cut = true },
	};
	struct out_table *table;

	say_heading("capabilities");
	if (info->n_caps <= 0) {
		say("  %s", info->n_caps ? UNSEEN : "none");
		return;
	}
	table = table_new(columns, 3, false);
	for (int i = 0; i < info->n_caps; i++) {
		const struct weir_cap *cap = &info->caps[i];
		const char *name = weir_cap_name(cap);
		struct out_row *row = table_row(table);

		table_cell(row, OFFSET, "  0x%03x", cap->offset);
		table_cell(row, ID, cap->extended ? "%04x" : "%02x", cap->id);
		table_cell(row, NAME, "%s", name ? name : "unknown");
	}
	table_print(table);
}

/* Page sizes come in long runs where the IOMMU splits as it likes: "4 KiB to 8 EiB". */
static void page_sizes_text(uint64_t sizes, char *buf, size_t room)
{
	char size[SIZE_TEXT_MAX];
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned int bit = 0; bit < 64; bit++) {
		unsigned int last = bit;

		if (!(sizes >> bit & 1))
			continue;
		while (last < 63 && sizes >> (last + 1) & 1)
			last++;
		len += (size_t)snprintf(buf + len, room - len, "%s%s", len ? ", " : "",
					size_text(1ULL << bit, size));
		if (last > bit + 1 && len < room) {
			len += (size_t)snprintf(buf + len, room - len, " to %s",
						size_text(1ULL << last, size));
			bit = last;
		}
		if (len >= room)
			return;
	}
}

static void features_text(const struct info_interface *itf, char *text, size_t room)
{
	size_t len = 0;

	*text = '\0';
	for (int i = 0; i < INFO_FEATURES && len < room; i++)
		if (itf->features[i])
			len += (size_t)snprintf(text + len, room - len, "%s%s", len ? ", " : "",
						info_features[i].name);
}

static void print_windows(const struct info_interface *itf, struct out_table *table)
{
	char text[1024];

	for (int i = 0; i < itf->n_windows; i++)
		table_cell(pair(table, i ? "" : "windows"), VALUE, "0x%llx to 0x%llx, pages of %s",
			   (unsigned long long)itf->windows[i].first,
			   (unsigned long long)itf->windows[i].last,
			   size_text(itf->windows[i].page_size, text));
	page_sizes_text(itf->can.page_sizes, text, sizeof(text));
	if (itf->can.page_sizes)
		table_cell(pair(table, "can be made"), VALUE, "with pages of %s, %u in all, tables "
			   "of up to %u level%s", text, itf->can.windows, itf->can.levels,
			   itf->can.levels == 1 ? "" : "s");
}

/* POWER's IOMMU tells the kernel nothing; where EEH stops the device, that is to be seen. */
static const char *faults_text(const struct info_interface *itf)
{
	if (itf->caps.faults)
		return "told";
	if (!itf->caps.isolation)
		return "none, since nothing is blocked";
	if (!strncmp(itf->backend, "spapr", 5))
		return "not told; 'weir eeh' says whether the device was stopped";
	return "in the kernel's log only";
}

void info_print_interface(const struct info *info)
{
	const struct info_interface *itf = &info->interface;
	struct out_table *table;
	char text[1024];

	say_heading("weir");
	if (!info->opened) {
		say("  not opened: %s", info->why);
		return;
	}
	table = pairs();
	table_cell(pair(table, "interface"), VALUE, "%s", itf->backend);
	table_cell(pair(table, "isolated"), VALUE, "%s", itf->caps.isolation ?
		   "yes, it reaches only what is mapped" : "NO, it reaches all memory");
	for (int i = 0; i < itf->n_ranges; i++)
		table_cell(pair(table, i ? "" : "IOVAs"), VALUE, "0x%llx to 0x%llx",
			   (unsigned long long)itf->ranges[i].first,
			   (unsigned long long)itf->ranges[i].last);
	page_sizes_text(itf->caps.page_sizes, text, sizeof(text));
	table_cell(pair(table, "page sizes"), VALUE, "%s", text);
	if (itf->can.windows)
		print_windows(itf, table);
	table_cell(pair(table, "dirty tracking"), VALUE, "%s",
		   itf->caps.dirty == WEIR_DIRTY_ALL ? "reports every mapped page" :
		   dirty_name(itf->caps.dirty));
	table_cell(pair(table, "faults"), VALUE, "%s", faults_text(itf));
	table_cell(pair(table, "reset by weir"), VALUE, "%s", itf->can_reset ? "yes" : "no");
	features_text(itf, text, sizeof(text));
	table_cell(pair(table, "features"), VALUE, "%s", *text ? text : "none");
	table_print(table);
	info_print_iommu(itf);
}

void info_print_facts(const struct info *info, struct names *names)
{
	print_ids(info, names);
	print_group(info, names);
	print_regions(info);
	print_interrupts(info);
	print_caps(info);
}

void info_print_text(const struct info *info, struct names *names)
{
	info_print_facts(info, names);
	info_print_interface(info);
}

/* ---- for programs ---- */

static struct json_object *js_members(const struct info *info)
{
	struct json_object *list;

	if (info->fn.group < 0)
		return NULL;
	list = js_list();
	for (int i = 0; i < info->n_members; i++) {
		const struct weir_host_function *member = info->members[i];
		struct json_object *object = js_object();

		js_add(object, "address", js_text(member->address));
		js_add(object, "vendor", js_hex(member->vendor, 4));
		js_add(object, "device", js_hex(member->device, 4));
		js_add(object, "class", js_hex(member->class_code, 6));
		js_add(object, "driver", js_text(member->driver));
		js_add(object, "role", js_text(role_name(member->role)));
		js_append(list, object);
	}
	return list;
}

static struct json_object *js_regions(const struct info *info)
{
	struct json_object *list;

	if (info->n_regions < 0)
		return NULL;
	list = js_list();
	for (int i = 0; i < info->n_regions; i++) {
		const struct info_region *region = &info->regions[i];
		struct json_object *object = js_object();

		js_add(object, "region", js_text(region_name(region->region)));
		js_add(object, "size", js_size(region->size));
		js_add(object, "type", js_text(region->io ? "io" : "memory"));
		js_add(object, "bits", js_number(region->is64 ? 64 : 32));
		js_add(object, "prefetchable", js_bool(region->prefetchable));
		js_add(object, "address", region->start ? js_hex(region->start, 1) : NULL);
		js_append(list, object);
	}
	return list;
}

static struct json_object *js_interrupts(const struct info *info)
{
	struct json_object *object = js_object();
	char pin[2] = { (char)('A' + info->intx_pin - 1), '\0' };

	js_add(object, "intx", info->intx_pin > 0 ? js_text(pin) : NULL);
	js_add(object, "msi", js_number(info->msi));
	js_add(object, "msix", js_number(info->msix));
	return object;
}

static struct json_object *js_caps(const struct info *info)
{
	struct json_object *list;

	if (info->n_caps < 0)
		return NULL;
	list = js_list();
	for (int i = 0; i < info->n_caps; i++) {
		const struct weir_cap *cap = &info->caps[i];
		struct json_object *object = js_object();

		js_add(object, "id", js_hex(cap->id, 4));
		js_add(object, "offset", js_hex(cap->offset, 3));
		js_add(object, "extended", js_bool(cap->extended));
		js_add(object, "version", js_number(cap->version));
		js_add(object, "name", js_text(weir_cap_name(cap)));
		js_append(list, object);
	}
	return list;
}

static struct json_object *js_reset_methods(const struct info *info)
{
	struct json_object *list = js_list();
	char text[sizeof(info->reset)], *rest = NULL;

	memcpy(text, info->reset, sizeof(text));
	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		js_append(list, js_text(word));
	return list;
}

static struct json_object *js_page_sizes(uint64_t sizes)
{
	struct json_object *list = js_list();

	for (unsigned int bit = 0; bit < 64; bit++)
		if (sizes >> bit & 1)
			js_append(list, js_size(1ULL << bit));
	return list;
}

struct json_object *info_js_ranges(const struct weir_iova_range *ranges, int n)
{
	struct json_object *list = js_list();

	for (int i = 0; i < n; i++) {
		struct json_object *range = js_object();

		js_add(range, "first", js_hex(ranges[i].first, 1));
		js_add(range, "last", js_hex(ranges[i].last, 1));
		js_append(list, range);
	}
	return list;
}

static struct json_object *js_windows(const struct info_interface *itf)
{
	struct json_object *object, *list;

	if (!itf->can.windows)
		return NULL;
	object = js_object();
	list = js_list();
	for (int i = 0; i < itf->n_windows; i++)
		js_append(list, js_window(&itf->windows[i]));
	js_add(object, "are", list);
	js_add(object, "page_sizes", js_page_sizes(itf->can.page_sizes));
	js_add(object, "most", js_size(itf->can.windows));
	js_add(object, "levels", js_size(itf->can.levels));
	return object;
}

static struct json_object *js_interface(const struct info *info)
{
	const struct info_interface *itf = &info->interface;
	struct json_object *object = js_object(), *list;

	js_add(object, "opened", js_bool(info->opened));
	if (!info->opened) {
		js_add(object, "why", js_text(info->why));
		return object;
	}
	js_add(object, "backend", js_text(itf->backend));
	js_add(object, "isolation", js_bool(itf->caps.isolation));
	js_add(object, "page_sizes", js_page_sizes(itf->caps.page_sizes));
	js_add(object, "iova_ranges", info_js_ranges(itf->ranges, itf->n_ranges));
	js_add(object, "windows", js_windows(itf));
	js_add(object, "dirty_tracking", js_text(dirty_name(itf->caps.dirty)));
	js_add(object, "faults", js_bool(itf->caps.faults));
	js_add(object, "can_reset", js_bool(itf->can_reset));
	list = js_list();
	for (int i = 0; i < INFO_FEATURES; i++)
		if (itf->features[i])
			js_append(list, js_text(info_features[i].name));
	js_add(object, "features", list);
	js_add(object, "iommu", info_js_iommu(itf));
	return object;
}

void info_print_json(const struct info *info, struct names *names)
{
	struct json_object *object = js_object();

	js_add(object, "name", js_text(info->name));
	js_add_function(object, names, &info->fn);
	js_add(object, "group_members", js_members(info));
	js_add(object, "regions", js_regions(info));
	js_add(object, "interrupts", js_interrupts(info));
	js_add(object, "capabilities", js_caps(info));
	js_add(object, "reset_methods", js_reset_methods(info));
	js_add(object, "weir", js_interface(info));
	js_print(object);
}
