/* SPDX-License-Identifier: MIT */
/* Names of PCI devices, by libpci. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pci/pci.h>

#include "function.h"
#include "out_parts.h"
#include "weir.h"

/*
 * Known names only, and never by network. udev's database holds the same names as pci.ids, and
 * libpci loses memory at each look-up where it isn't installed.
 */
#define FLAGS (PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB)
#define LSPCI_FLAGS (PCI_LOOKUP_MIXED | PCI_LOOKUP_NO_HWDB)

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

/*
 * The file of another machine's names, NULL if there is none. It may be anything in a captured
 * tree: a link elsewhere, a FIFO or a device isn't read.
 */
static char *names_file(const char *root)
{
	struct stat st;
	char *path;

	if (!root || !*root)
		return NULL;
	if (asprintf(&path, "%s/usr/share/misc/pci.ids", root) < 0)
		no_memory();
	if (!lstat(path, &st) && S_ISREG(st.st_mode))
		return path;
	free(path);
	return NULL;
}

/* pci_alloc() opens nothing; pci_init(), which would look for a way to config space, isn't needed
 * for names. */
struct names *names_open(const char *root)
{
	struct pci_access *access = pci_alloc();
	char *file = names_file(root);

	if (file)
		pci_set_name_list_path(access, file, 1);

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

const char *lspci_name(struct names *names, const struct weir_host_function *fn,
		       char buf[LSPCI_TEXT_MAX])
{
	char class[NAME_TEXT_MAX], device[2 * NAME_TEXT_MAX];

	snprintf(buf, LSPCI_TEXT_MAX, "%s: %s",
		 pci_lookup_name((struct pci_access *)names, class, sizeof(class),
				 LSPCI_FLAGS | PCI_LOOKUP_CLASS, fn->class_code >> 8),
		 pci_lookup_name((struct pci_access *)names, device, sizeof(device),
				 LSPCI_FLAGS | PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, fn->vendor,
				 fn->device));
	return buf;
}
