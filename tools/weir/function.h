/* SPDX-License-Identifier: MIT */
/* What verbs say of a PCI function: its names, and its part of their JSON. */
#ifndef WEIR_TOOL_FUNCTION_H
#define WEIR_TOOL_FUNCTION_H

#include <weir/host.h>

#include "out.h"

#define NAME_TEXT_MAX 256

/* Names from pci.ids; NULL for one that isn't known. */
struct names;

/* @root: as of the options; names come from its usr/share/misc/pci.ids, if it has that. */
struct names *names_open(const char *root);
void names_close(struct names *names);
const char *vendor_name(struct names *names, const struct weir_host_function *fn,
			char buf[NAME_TEXT_MAX]);
const char *device_name(struct names *names, const struct weir_host_function *fn,
			char buf[NAME_TEXT_MAX]);
const char *subsystem_name(struct names *names, const struct weir_host_function *fn,
			   char buf[NAME_TEXT_MAX]);
const char *class_name(struct names *names, const struct weir_host_function *fn,
		       char buf[NAME_TEXT_MAX]);

/*
 * Class, vendor and device as 'lspci -nn' has them: "VGA compatible controller [0300]: NVIDIA
 * Corporation Device [10de:2489]".
 */
#define LSPCI_TEXT_MAX (3 * NAME_TEXT_MAX)
const char *lspci_name(struct names *names, const struct weir_host_function *fn,
		       char buf[LSPCI_TEXT_MAX]);

/* Vendor and device in one; the numbers where a name isn't known. */
const char *full_name(struct names *names, const struct weir_host_function *fn,
		      char buf[2 * NAME_TEXT_MAX]);

/* Whether it is a bridge of any kind: to another bus, or of the host. */
bool is_bridge(const struct weir_host_function *fn);

/* Its number in the scan, as weir_host_function() takes it. */
unsigned int index_of(const struct weir_host *host, const struct weir_host_function *fn);

/* As in the JSON of 'weir info'. */
const char *role_name(enum weir_role role);

/* Add the members that 'weir list' and 'weir info' have in common: see list.c. */
void js_add_function(struct json_object *object, struct names *names,
		       const struct weir_host_function *fn);

#endif
