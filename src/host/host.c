/* SPDX-License-Identifier: MIT */
/* The list of functions: one scan, kept sorted. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/host.h"

static int compare(const void *a, const void *b)
{
	const struct weir_host_function *fa = a, *fb = b;
	size_t la = strlen(fa->address), lb = strlen(fb->address);

	/* All parts have a fixed width but the domain, which is longer only when it is greater. */
	if (la != lb)
		return la < lb ? -1 : 1;
	return strcmp(fa->address, fb->address);
}

static int append(struct weir_host *host, const struct weir_host_function *fn, int *room)
{
	struct weir_host_function *more;

	if (host->count == *room) {
		if (*room > INT_MAX / 2)
			return wr_fail(-ENOMEM, "more PCI functions than weir can list");
		*room = *room ? *room * 2 : 64;
		more = realloc(host->functions, (size_t)*room * sizeof(*more));
		if (!more)
			return wr_fail(-ENOMEM, "no memory for the list of PCI functions");
		host->functions = more;
	}
	host->functions[host->count++] = *fn;
	return 0;
}

/* Whether @name is an address as the kernel writes it; nothing else belongs into the folder. */
static bool is_address(const char *name)
{
	char canonical[WR_PCI_ADDR_MAX];
	struct wr_pci_addr addr;

	if (wr_pci_addr_parse(name, &addr) < 0)
		return false;
	wr_pci_addr_format(&addr, canonical);
	return !strcmp(name, canonical);
}

static int scan_entry(struct weir_host *host, const char *name, int *room)
{
	struct weir_host_function fn = { 0 };
	int ret;

	if (!is_address(name)) {
		wr_log(WEIR_LOG_WARN, "%s/sys/bus/pci/devices/%s is left out: it isn't named like "
		       "a PCI function", host->root, name);
		return 0;
	}
	strcpy(fn.address, name);
	ret = wr_host_scan(host->root, &fn);
	if (ret == -ENOENT) {
		wr_log(WEIR_LOG_INFO, "%s is left out: it has no identity, or vanished while "
		       "it was looked at", name);
		return 0;
	}
	return ret < 0 ? ret : append(host, &fn, room);
}

static int scan(struct weir_host *host, DIR *dir)
{
	struct dirent *entry;
	int ret = 0, room = 0;

	while (!ret) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? wr_fail(-errno, "%s/sys/bus/pci/devices can't be listed: %s",
					       host->root, strerror(errno)) : 0;
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = scan_entry(host, entry->d_name, &room);
	}
	return ret;
}

static int open_bus(const char *root, DIR **dir)
{
	char path[WR_PCI_PATH_MAX];
	int err;

	if (snprintf(path, sizeof(path), "%s/sys/bus/pci/devices", root) >= (int)sizeof(path))
		return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
	*dir = opendir(path);
	if (*dir)
		return 0;
	err = errno;
	if (err == ENOTDIR)
		err = ENOENT;
	if (err == ENOENT && *root)
		return wr_fail(-ENOENT, "%s holds no PCI bus: there is no folder %s; the root is "
			       "the folder under which sys/ lies", root, path);
	if (err == ENOENT)
		return wr_fail(-ENOENT, "this machine shows no PCI bus: there is no folder %s; "
			       "is sysfs mounted?", path);
	return wr_fail(-err, "%s can't be listed: %s", path, strerror(err));
}

int weir_host_open(const char *root, struct weir_host **out)
{
	struct weir_host *host;
	DIR *dir;
	int ret;

	ret = open_bus(root ? root : "", &dir);
	if (ret < 0)
		return ret;
	host = calloc(1, sizeof(*host));
	if (host)
		host->root = strdup(root ? root : "");
	if (!host || !host->root)
		ret = wr_fail(-ENOMEM, "no memory for the list of PCI functions");
	else
		ret = scan(host, dir);
	closedir(dir);
	if (ret < 0) {
		weir_host_close(host);
		return ret;
	}
	if (host->count)
		qsort(host->functions, (size_t)host->count, sizeof(*host->functions), compare);
	*out = host;
	return 0;
}

int weir_host_close(struct weir_host *host)
{
	if (host) {
		free(host->functions);
		free(host->root);
		free(host);
	}
	return 0;
}

unsigned int weir_host_count(const struct weir_host *host)
{
	return (unsigned int)host->count;
}

const struct weir_host_function *weir_host_function(const struct weir_host *host, unsigned int n)
{
	return n < weir_host_count(host) ? &host->functions[n] : NULL;
}

bool weir_host_has_iommu(const struct weir_host *host)
{
	return wr_pci_any_iommu(host->root);
}

int weir_host_find(const struct weir_host *host, const char *address,
		   const struct weir_host_function **function)
{
	struct weir_host_function key = { 0 };
	struct wr_pci_addr addr;
	void *found = NULL;
	int ret;

	if (wr_pci_addr_parse(address, &addr) < 0) {
		if (address && *address && wr_pci_exists(host->root, address) == -EINVAL)
			return -EINVAL;
		return wr_pci_addr_parse(address, &addr);
	}
	wr_pci_addr_format(&addr, key.address);
	if (host->count)
		found = bsearch(&key, host->functions, (size_t)host->count,
				sizeof(*host->functions), compare);
	if (found) {
		*function = found;
		return 0;
	}
	ret = wr_pci_exists(host->root, key.address);
	if (ret < 0)
		return ret;
	return wr_fail(-ENOENT, "%s came after this machine was looked at, or can't be read; try "
		       "again", key.address);
}
