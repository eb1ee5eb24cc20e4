/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

static void broken(const char *what)
{
	fprintf(stderr, "the test's tree: %s: %s\n", what, strerror(errno));
	abort();
}

static void path_of(char path[PATH_MAX], const char *root, const char *name)
{
	if (snprintf(path, PATH_MAX, "%s/%s", root, name) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		broken(name);
	}
}

static void make_folders(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *c = part + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(part, 0777) && errno != EEXIST)
			broken(part);
		*c = '/';
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_all(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		broken(path);
}

void tree_remove(const char *root, const char *name)
{
	char path[PATH_MAX];

	path_of(path, root, name);
	remove_all(path);
}

char *tree_new(void)
{
	const char *tmp = getenv("TMPDIR");
	char *root;

	if (asprintf(&root, "%s/weir-test-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0 ||
	    !mkdtemp(root))
		broken("a folder for it");
	tree_folder(root, "sys/bus/pci/devices");
	return root;
}

void tree_free(char *root)
{
	remove_all(root);
	free(root);
}

void tree_bytes(const char *root, const char *name, const void *bytes, size_t len)
{
	char path[PATH_MAX];
	FILE *file;

	path_of(path, root, name);
	tree_remove(root, name);
	make_folders(path);
	file = fopen(path, "we");
	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file))
		broken(path);
}

void tree_text(const char *root, const char *name, const char *text)
{
	tree_bytes(root, name, text, strlen(text));
}

void tree_folder(const char *root, const char *name)
{
	char path[PATH_MAX];

	path_of(path, root, name);
	make_folders(path);
	if (mkdir(path, 0777) && errno != EEXIST)
		broken(path);
}

void tree_link(const char *root, const char *name, const char *target)
{
	char path[PATH_MAX];

	path_of(path, root, name);
	tree_remove(root, name);
	make_folders(path);
	if (symlink(target, path))
		broken(path);
}

static unsigned long id_of(const char *root, const char *addr, const char *attr)
{
	char name[PATH_MAX], path[PATH_MAX], text[16] = "";
	FILE *file;

	snprintf(name, sizeof(name), "sys/bus/pci/devices/%s/%s", addr, attr);
	path_of(path, root, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return strtoul(text, NULL, 16);
}

/* pci_uevent() in drivers/pci/pci-driver.c; without a driver. */
static void write_uevent(const char *root, const char *addr)
{
	char name[PATH_MAX], text[256];

	snprintf(text, sizeof(text), "PCI_CLASS=%04lX\nPCI_ID=%04lX:%04lX\n"
		 "PCI_SUBSYS_ID=%04lX:%04lX\nPCI_SLOT_NAME=%.32s\n", id_of(root, addr, "class"),
		 id_of(root, addr, "vendor"), id_of(root, addr, "device"),
		 id_of(root, addr, "subsystem_vendor"), id_of(root, addr, "subsystem_device"),
		 addr);
	snprintf(name, sizeof(name), "sys/bus/pci/devices/%s/uevent", addr);
	tree_text(root, name, text);
}

void tree_attr(const char *root, const char *addr, const char *attr, const char *text)
{
	static const char *const ids[] = {
		"vendor", "device", "class", "subsystem_vendor", "subsystem_device",
	};
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "sys/bus/pci/devices/%s/%s", addr, attr);
	tree_text(root, name, text);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (!strcmp(attr, ids[i]))
			write_uevent(root, addr);
}

void tree_attr_link(const char *root, const char *addr, const char *link, const char *target)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "sys/bus/pci/devices/%s/%s", addr, link);
	tree_link(root, name, target);
}

void tree_function(const char *root, const char *addr)
{
	tree_attr(root, addr, "vendor", "0x1234\n");
	tree_attr(root, addr, "device", "0x11e8\n");
	tree_attr(root, addr, "class", "0x00ff00\n");
	tree_attr(root, addr, "subsystem_vendor", "0x1af4\n");
	tree_attr(root, addr, "subsystem_device", "0x1100\n");
	tree_attr(root, addr, "revision", "0x10\n");
	tree_attr(root, addr, "numa_node", "-1\n");
}

void tree_function_at(const char *root, const char *path)
{
	const char *addr = strrchr(path, '/') + 1;
	char name[PATH_MAX], target[PATH_MAX];

	tree_folder(root, path);
	snprintf(name, sizeof(name), "sys/bus/pci/devices/%s", addr);
	snprintf(target, sizeof(target), "../../../%s", path + strlen("sys/"));
	tree_link(root, name, target);
	tree_function(root, addr);
}
