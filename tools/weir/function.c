/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "function.h"

#define CLASS_BRIDGES 0x06

const char *full_name(struct names *names, const struct weir_host_function *fn,
		      char buf[2 * NAME_TEXT_MAX])
{
	char vendor[NAME_TEXT_MAX], device[NAME_TEXT_MAX];

	if (!vendor_name(names, fn, vendor))
		snprintf(vendor, sizeof(vendor), "vendor %04x", fn->vendor);
	if (!device_name(names, fn, device))
		snprintf(device, sizeof(device), "device %04x", fn->device);
	snprintf(buf, 2 * NAME_TEXT_MAX, "%s %s", vendor, device);
	return buf;
}

void js_add_function(struct json_object *object, struct names *names,
		       const struct weir_host_function *fn)
{
	char buf[NAME_TEXT_MAX];

	js_add(object, "address", js_text(fn->address));
	js_add(object, "vendor", js_hex(fn->vendor, 4));
	js_add(object, "device", js_hex(fn->device, 4));
	js_add(object, "subsystem_vendor", js_hex(fn->subsystem_vendor, 4));
	js_add(object, "subsystem_device", js_hex(fn->subsystem_device, 4));
	js_add(object, "class", js_hex(fn->class_code, 6));
	js_add(object, "revision", js_hex(fn->revision, 2));
	js_add(object, "vendor_name", js_text(vendor_name(names, fn, buf)));
	js_add(object, "device_name", js_text(device_name(names, fn, buf)));
	js_add(object, "class_name", js_text(class_name(names, fn, buf)));
	js_add(object, "driver", js_text(fn->driver));
	js_add(object, "group", js_number(fn->group));
	js_add(object, "iommu", js_text(fn->iommu));
	js_add(object, "numa_node", js_number(fn->numa_node));
	js_add(object, "vfio_node", js_text(fn->vfio_node));
	js_add(object, "parent", js_text(fn->parent));
	js_add(object, "root_bus", js_text(fn->root_bus));
	js_add(object, "slot", js_text(fn->slot));
	js_add(object, "physfn", js_text(fn->physfn));
	js_add(object, "vfs", js_number(fn->vfs ? (int)fn->vfs : -1));
}

bool is_bridge(const struct weir_host_function *fn)
{
	return fn->class_code >> 16 == CLASS_BRIDGES;
}

unsigned int index_of(const struct weir_host *host, const struct weir_host_function *fn)
{
	return (unsigned int)(fn - weir_host_function(host, 0));
}

const char *role_name(enum weir_role role)
{
	static const char *const names[] = {
		[WEIR_ROLE_FREE] = "free",
		[WEIR_ROLE_VFIO] = "vfio",
		[WEIR_ROLE_HARMLESS] = "harmless",
		[WEIR_ROLE_IN_THE_WAY] = "in the way",
	};

	return names[role];
}
