/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "pci/sysfs.h"

/* A name that is one component of a path, so that it can't lead elsewhere. */
static bool is_component(const char *name)
{
	return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

static int device_path(char path[WR_PCI_PATH_MAX], const char *root, const char *bus,
		       const char *addr, const char *attr)
{
	int len;

	if (!is_component(addr))
		return -ENOENT;
	len = snprintf(path, WR_PCI_PATH_MAX, "%s/sys/bus/%s/devices/%s%s%s", root, bus, addr,
		       *attr ? "/" : "", attr);
	return len < WR_PCI_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool on_bus(const char *root, const char *bus, const char *addr)
{
	char path[WR_PCI_PATH_MAX];
	struct stat st;

	return !device_path(path, root, bus, addr, "") && !stat(path, &st);
}

/* Which other bus has a device of that name; false for none. */
static bool other_bus(const char *root, const char *addr, char bus[NAME_MAX + 1])
{
	char path[WR_PCI_PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (snprintf(path, sizeof(path), "%s/sys/bus", root) >= (int)sizeof(path))
		return false;
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "pci"))
			continue;
		found = on_bus(root, entry->d_name, addr);
		if (found)
			strcpy(bus, entry->d_name);
	}
	closedir(dir);
	return found;
}

int wr_pci_exists(const char *root, const char *addr)
{
	char bus[NAME_MAX + 1], name[WR_PCI_NAME_MAX];
	size_t i;

	if (on_bus(root, "pci", addr))
		return 0;

	/* It may be anything a user typed, and the message may end on a terminal. */
	for (i = 0; addr[i] && i < sizeof(name) - 1; i++)
		name[i] = (char)(addr[i] >= 0x20 && addr[i] < 0x7f ? addr[i] : '?');
	name[i] = '\0';
	if (other_bus(root, addr, bus))
		return wr_fail(-EINVAL, "%s is a device of the %s bus; weir takes PCI functions, "
			       "which 'weir list' shows", name, bus);
	return wr_fail(-ENOENT, "%s: there is no such PCI function%s%s; 'weir list' shows those "
		       "there are", name, *root ? " under " : "", root);
}

/* Read what fits into @size bytes; more than that is -EOVERFLOW. */
static int read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t ret;

	for (;;) {
		ret = wr_sys->pread(fd, buf + len, size - len, (off_t)len);
		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			return ret < 0 ? (int)ret : (int)len;
		len += (size_t)ret;
		if (len == size)
			return -EOVERFLOW;
	}
}

int wr_pci_attr(const char *root, const char *addr, const char *attr, char *buf, size_t size)
{
	char path[WR_PCI_PATH_MAX];
	int fd, len;

	if (!size || size > INT_MAX)
		return -EINVAL;
	len = device_path(path, root, "pci", addr, attr);
	if (len < 0)
		return len;
	/* Not blocking: in a captured tree anything may lie here, a FIFO too. */
	fd = wr_sys->open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	len = read_all(fd, buf, size);
	wr_close(fd);
	if (len < 0)
		return len;
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return strlen(buf) == (size_t)len ? len : -EINVAL;
}

int wr_pci_attr_u64(const char *root, const char *addr, const char *attr, uint64_t *value)
{
	char text[32], *end;
	unsigned long long number;
	bool hex;
	int len = wr_pci_attr(root, addr, attr, text, sizeof(text));

	if (len < 0)
		return len;
	/* strtoull() alone would take blanks, a sign, and octal. */
	hex = text[0] == '0' && text[1] == 'x';
	if (!strlen(text + (hex ? 2 : 0)) ||
	    strspn(text + (hex ? 2 : 0), hex ? "0123456789abcdefABCDEF" : "0123456789") !=
	    (size_t)len - (hex ? 2 : 0))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, hex ? 16 : 10);
	if (errno)
		return -ERANGE;
	*value = number;
	return 0;
}

int wr_pci_link(const char *root, const char *addr, const char *link, char name[WR_PCI_NAME_MAX])
{
	char path[WR_PCI_PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t len;
	int ret = device_path(path, root, "pci", addr, link);

	if (ret < 0)
		return ret;
	len = readlink(path, target, sizeof(target));
	if (len < 0)
		return -errno;
	if ((size_t)len == sizeof(target))
		return -ENAMETOOLONG;
	target[len] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (!is_component(last))
		return -EINVAL;
	if (strlen(last) >= WR_PCI_NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(name, last);
	return 0;
}

enum weir_role wr_pci_role(const char *root, const char *addr, const char *driver)
{
	char path[WR_PCI_PATH_MAX];

	if (!*driver)
		return WEIR_ROLE_FREE;
	if (strstr(driver, "vfio") ||
	    (snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/vfio-dev", root, addr) <
	     (int)sizeof(path) && !access(path, F_OK)))
		return WEIR_ROLE_VFIO;
	if (!strcmp(driver, "pcieport") || !strcmp(driver, "pci-stub") ||
	    !strcmp(driver, "pci-pf-stub"))
		return WEIR_ROLE_HARMLESS;
	return WEIR_ROLE_IN_THE_WAY;
}
