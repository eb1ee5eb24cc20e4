/* SPDX-License-Identifier: MIT */
/* Trees like sysfs, built by tests in a folder of their own. A call that fails ends the test. */
#ifndef TEST_TREE_H
#define TEST_TREE_H

#include <stddef.h>

/* Make a folder with an empty PCI bus; tree_free() removes it and all that is in it. */
char *tree_new(void);
void tree_free(char *root);

/* Make a file, a folder, a link at @root/@path, and the folders above. What is there already is
 * replaced. */
void tree_text(const char *root, const char *path, const char *text);
void tree_bytes(const char *root, const char *path, const void *bytes, size_t len);
void tree_folder(const char *root, const char *path);
void tree_link(const char *root, const char *path, const char *target);
void tree_remove(const char *root, const char *path);

/* A PCI function 1234:11e8 without links; then one of its attributes, a link of it. Its uevent
 * follows its ids. */
void tree_function(const char *root, const char *addr);
/* The same where the kernel has it, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0", with the
 * bus's link to it. */
void tree_function_at(const char *root, const char *path);
void tree_attr(const char *root, const char *addr, const char *attr, const char *text);
void tree_attr_link(const char *root, const char *addr, const char *link, const char *target);

#endif
