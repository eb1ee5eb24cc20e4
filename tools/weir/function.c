/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pci/pci.h>

#include "function.h"
#include "weir.h"

/*
 * Known names only, and never by network. udev's database holds the same names as pci.ids, and
 * libpci loses memory at each look-up where it isn't installed.
 */
#define FLAGS (PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB)

static void complain(char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* libpci's errors don't return; its only one on our way is a pci.ids that it can't parse. */
static void complain(char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text[strcspn(text, "\n")] = '\0';
	exit(fail("the names of PCI devices: %s; reinstall pci.ids", text));
}

static void ignore(char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void ignore(char *fmt, ...)
{
	(void)fmt;
}

/* pci_alloc() opens nothing; pci_init(), which would look for a way to config space, isn't needed
 * for names. */
struct names *names_open(void)
{
	struct pci_access *access = pci_alloc();

	access->error = complain;
	access->warning = ignore;
	access->debug = ignore;
	return (struct names *)access;
}

void names_close(struct names *names)
{
	pci_cleanup((struct pci_access *)names);
}

const char *vendor_name(struct names *names, const struct weir_host_function *fn,
			char buf[NAME_TEXT_MAX])
{
	return pci_lookup_name((struct pci_access *)names, buf, NAME_TEXT_MAX,
			       FLAGS | PCI_LOOKUP_VENDOR, fn->vendor);
}

const char *device_name(struct names *names, const struct weir_host_function *fn,
			char buf[NAME_TEXT_MAX])
{
	return pci_lookup_name((struct pci_access *)names, buf, NAME_TEXT_MAX,
			       FLAGS | PCI_LOOKUP_DEVICE, fn->vendor, fn->device);
}

const char *subsystem_name(struct names *names, const struct weir_host_function *fn,
			   char buf[NAME_TEXT_MAX])
{
	return pci_lookup_name((struct pci_access *)names, buf, NAME_TEXT_MAX,
			       FLAGS | PCI_LOOKUP_SUBSYSTEM | PCI_LOOKUP_DEVICE, fn->vendor,
			       fn->device, fn->subsystem_vendor, fn->subsystem_device);
}

const char *class_name(struct names *names, const struct weir_host_function *fn,
		       char buf[NAME_TEXT_MAX])
{
	return pci_lookup_name((struct pci_access *)names, buf, NAME_TEXT_MAX,
			       FLAGS | PCI_LOOKUP_CLASS, fn->class_code >> 8);
}

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
}
