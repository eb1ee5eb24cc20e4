/* SPDX-License-Identifier: MIT */
/* Names of PCI devices, by libpci. */
#include <pthread.h>
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
 * The file of another machine's names, NULL if there is none. In a captured tree it may be
 * anything: what a link leads to outside of the tree, a FIFO and a device aren't read.
 */
static char *names_file(const char *root)
{
	char *base, *path, *file;
	struct stat st;
	size_t len;

	if (!root || !*root)
		return NULL;
	if (asprintf(&path, "%s/usr/share/misc/pci.ids", root) < 0)
		no_memory();
	base = realpath(root, NULL);
	file = realpath(path, NULL);
	len = base ? strlen(base) : 0;
	if (!file || !len || strncmp(file, base, len) || (len > 1 && file[len] != '/') ||
	    stat(file, &st) || !S_ISREG(st.st_mode)) {
		free(file);
		file = NULL;
	}
	free(base);
	free(path);
	return file;
}

/* What was looked up last: on a big machine most functions are like the one before. */
struct answer {
	bool given, known;
	int ids[2];
	char text[NAME_TEXT_MAX];
};

struct names {
	struct pci_access *access;
	struct answer vendor, device, class;
	pthread_t loader;
	bool loading;
};

/* Its file has 40,000 lines: they are read while the machine is looked at. */
static void *load(void *arg)
{
	struct names *names = arg;

	pci_load_name_list(names->access);
	return NULL;
}

static struct pci_access *loaded(struct names *names)
{
	if (names->loading)
		pthread_join(names->loader, NULL);
	names->loading = false;
	return names->access;
}

/* pci_alloc() opens nothing; pci_init(), which would look for a way to config space, isn't needed
 * for names. */
struct names *names_open(const char *root)
{
	struct names *names = calloc(1, sizeof(*names));
	char *file = names_file(root);

	if (!names)
		no_memory();
	names->access = pci_alloc();
	if (file)
		pci_set_name_list_path(names->access, file, 1);
	names->access->error = complain;
	names->access->warning = ignore;
	names->access->debug = ignore;
	names->loading = !pthread_create(&names->loader, NULL, load, names);
	return names;
}

void names_close(struct names *names)
{
	pci_cleanup(loaded(names));
	free(names);
}

/* A class and a vendor have one id, and libpci takes no notice of a second. */
static const char *look_up(struct names *names, struct answer *answer, int what, int first,
			   int second, char buf[NAME_TEXT_MAX])
{
	if (!answer->given || answer->ids[0] != first || answer->ids[1] != second) {
		answer->known = pci_lookup_name(loaded(names), answer->text, NAME_TEXT_MAX,
						FLAGS | what, first, second);
		answer->given = true;
		answer->ids[0] = first;
		answer->ids[1] = second;
	}
	return answer->known ? strcpy(buf, answer->text) : NULL;
}

const char *vendor_name(struct names *names, const struct weir_host_function *fn,
			char buf[NAME_TEXT_MAX])
{
	return look_up(names, &names->vendor, PCI_LOOKUP_VENDOR, fn->vendor, 0, buf);
}

const char *device_name(struct names *names, const struct weir_host_function *fn,
			char buf[NAME_TEXT_MAX])
{
	return look_up(names, &names->device, PCI_LOOKUP_DEVICE, fn->vendor, fn->device, buf);
}

const char *subsystem_name(struct names *names, const struct weir_host_function *fn,
			   char buf[NAME_TEXT_MAX])
{
	return pci_lookup_name(loaded(names), buf, NAME_TEXT_MAX,
			       FLAGS | PCI_LOOKUP_SUBSYSTEM | PCI_LOOKUP_DEVICE, fn->vendor,
			       fn->device, fn->subsystem_vendor, fn->subsystem_device);
}

const char *class_name(struct names *names, const struct weir_host_function *fn,
		       char buf[NAME_TEXT_MAX])
{
	return look_up(names, &names->class, PCI_LOOKUP_CLASS, (int)(fn->class_code >> 8), 0, buf);
}

const char *lspci_name(struct names *names, const struct weir_host_function *fn,
		       char buf[LSPCI_TEXT_MAX])
{
	char class[NAME_TEXT_MAX], device[2 * NAME_TEXT_MAX];

	snprintf(buf, LSPCI_TEXT_MAX, "%s: %s",
		 pci_lookup_name(loaded(names), class, sizeof(class),
				 LSPCI_FLAGS | PCI_LOOKUP_CLASS, fn->class_code >> 8),
		 pci_lookup_name(loaded(names), device, sizeof(device),
				 LSPCI_FLAGS | PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, fn->vendor,
				 fn->device));
	return buf;
}
