/* SPDX-License-Identifier: MIT */
/*
 * weir list: the PCI functions of a machine.
 *
 * --json prints a list, by address, of
 *	{"address": "0000:01:00.0",
 *	 "vendor": "0x144d", "device": "0xa808",
 *	 "subsystem_vendor": "0x144d", "subsystem_device": "0xa801",
 *	 "class": "0x010802", "revision": "0x00",
 *	 "vendor_name", "device_name", "class_name": text, null where pci.ids has none,
 *	 "driver": text, null when it is bound to none,
 *	 "group": number, null when it is in no IOMMU group,
 *	 "iommu": "dmar0", null when it is behind none,
 *	 "numa_node": number, null for none or unknown,
 *	 "vfio_node": "/dev/vfio/5", null unless bound to VFIO,
 *	 "parent": "0000:00:01.0", the bridge it is behind, null on a root bus,
 *	 "root_bus": "pci0000:00", null when it isn't known,
 *	 "slot": text, the physical slot that its card is in, null when it isn't known,
 *	 "physfn": "0000:01:00.0", of a VF its PF, otherwise null,
 *	 "vfs": how many VFs it has now, null for none}
 */
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "function.h"
#include "options.h"
#include "weir.h"

static const char usage[] =
	"usage: weir list [--json] [--root ROOT]\n"
	"\n"
	"Lists the PCI functions of this machine. Looking wakes no device.\n"
	"\n"
	"      --json       for programs\n"
	"      --root ROOT  another machine's: the folder in which its sys/ lies, or what 'weir\n"
	"                   capture' made of it\n"
	"  -h, --help       this text\n"
	"\n"
	"Example: weir list --json | jq -r '.[] | select(.group == 5).address'";

static void print_json(const struct weir_host *host, struct names *names)
{
	const struct weir_host_function *fn;
	struct json_object *list = js_list();

	for (unsigned int i = 0; (fn = weir_host_function(host, i)); i++) {
		struct json_object *object = js_object();

		js_add_function(object, names, fn);
		js_append(list, object);
	}
	js_print(list);
}

static void text_cell(struct out_row *row, size_t column, const char *text)
{
	table_cell(row, column, "%s", text && *text ? text : "-");
}

static void print_table(const struct weir_host *host, struct names *names)
{
	enum { ADDRESS, ID, GROUP, IOMMU, NUMA, DRIVER, VFIO, CLASS, NAME, COLUMNS };
	static const struct column columns[COLUMNS] = {
		[ADDRESS] = { .name = "ADDRESS" },
		[ID] = { .name = "ID" },
		[GROUP] = { .name = "GROUP", .right = true },
		[IOMMU] = { .name = "IOMMU", .spare = 3 },
		[NUMA] = { .name = "NUMA", .right = true, .spare = 2 },
		[DRIVER] = { .name = "DRIVER" },
		[VFIO] = { .name = "VFIO", .spare = 1 },
		[CLASS] = { .name = "CLASS", .cut = true, .spare = 4 },
		[NAME] = { .name = "NAME", .cut = true },
	};
	struct out_table *table = table_new(columns, COLUMNS, true);
	const struct weir_host_function *fn;
	char buf[2 * NAME_TEXT_MAX];

	for (unsigned int i = 0; (fn = weir_host_function(host, i)); i++) {
		struct out_row *row = table_row(table);

		table_cell(row, ADDRESS, "%s", fn->address);
		table_cell(row, ID, "%04x:%04x", fn->vendor, fn->device);
		table_number(row, GROUP, fn->group);
		text_cell(row, IOMMU, fn->iommu);
		table_number(row, NUMA, fn->numa_node);
		text_cell(row, DRIVER, fn->driver);
		text_cell(row, VFIO, fn->vfio_node);
		text_cell(row, CLASS, class_name(names, fn, buf));
		text_cell(row, NAME, full_name(names, fn, buf));
		if (fn->role == WEIR_ROLE_VFIO) {
			table_colour(row, DRIVER, "green");
			table_colour(row, VFIO, "green");
		}
	}
	table_print(table);
}

int cmd_list(int argc, char **argv)
{
	struct options options = { 0 };
	struct weir_host *host;
	struct names *names;
	int status;

	status = read_options(argc, argv, TAKES_ROOT, usage, &options);
	if (status != GO_ON)
		return status;
	if (optind < argc)
		return fail("list takes no '%s'; for one device use 'weir info %s'", argv[optind],
			    argv[optind]);
	names = names_open(options.root);
	if (weir_host_open(options.root, &host) < 0) {
		names_close(names);
		return fail("%s", weir_errmsg());
	}
	if (options.json)
		print_json(host, names);
	else
		print_table(host, names);
	names_close(names);
	weir_host_close(host);
	return EXIT_YES;
}
