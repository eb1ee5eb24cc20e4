/* SPDX-License-Identifier: MIT */
/* Network interfaces: in use when up and either addressed, routed over, or below another. */
#include <dirent.h>
#include <ifaddrs.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/sys.h"
#include "host/use.h"

static int has_address(const char *name, bool *has)
{
	struct ifaddrs *list;
	int ret;

	*has = false;
	ret = wr_sys->getifaddrs(&list);
	if (ret < 0)
		return wr_fail(ret, "whether %s has an address can't be told: %s", name,
			       strerror(-ret));
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		const struct sockaddr_in6 *in6 = (const void *)i->ifa_addr;

		if (strcmp(i->ifa_name, name) || !i->ifa_addr)
			continue;
		/* Every interface that is up gives itself an IPv6 address of link scope. */
		if (i->ifa_addr->sa_family == AF_INET ||
		    (i->ifa_addr->sa_family == AF_INET6 &&
		     !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)))
			*has = true;
	}
	wr_sys->freeifaddrs(list);
	return 0;
}

/*
 * Whether a line is the default route over an interface: of /proc/net/ipv6_route destination,
 * prefix length, ..., interface (net/ipv6/route.c); of /proc/net/route interface, destination, ...,
 * mask (net/ipv4/fib_trie.c).
 */
static bool is_default_line(const char *line, bool v6, const char *name)
{
	char words[10][40] = { "" };

	sscanf(line, "%39s %39s %39s %39s %39s %39s %39s %39s %39s %39s", words[0], words[1],
	       words[2], words[3], words[4], words[5], words[6], words[7], words[8], words[9]);
	if (v6)
		return strspn(words[0], "0") == 32 && !strcmp(words[1], "00") &&
		       !strcmp(words[9], name);
	return !strcmp(words[0], name) && !strcmp(words[1], "00000000") &&
	       !strcmp(words[7], "00000000");
}

/* A kernel without IPv6 has no such file. */
static int is_default(const char *path, bool v6, const char *name, bool *is)
{
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	*is = false;
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? 0 : wr_fail(-errno, "%s can't be read: %s", path,
						     strerror(errno));
	while (!*is && getline(&line, &size, file) > 0)
		*is = is_default_line(line, v6, name);
	free(line);
	fclose(file);
	return 0;
}

static int use_routes(const char *root, const char *name, char use[WR_USE_MAX])
{
	static const char *const files[] = { "/proc/net/route", "/proc/net/ipv6_route" };
	char path[WR_PCI_PATH_MAX];
	bool is = false;
	int ret = 0;

	for (int v6 = 0; !ret && v6 < 2; v6++) {
		if (snprintf(path, sizeof(path), "%s%s", root, files[v6]) >= (int)sizeof(path))
			return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
		ret = is_default(path, v6, name, &is);
		if (!ret && is) {
			snprintf(use, WR_USE_MAX, "the default route goes over its interface %s "
				 "(%.300s)", name, path);
			ret = WR_USE_SOME;
		}
	}
	return ret;
}

/* Bridges, bonds, VLANs: whatever is built on it shows as a link upper_NAME. */
static int use_upper(const char *folder, const char *name, char use[WR_USE_MAX])
{
	char path[WR_PCI_PATH_MAX + 32];
	struct dirent *entry;
	int ret = WR_USE_NONE;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%.31s", folder, name);
	dir = opendir(path);
	while (dir && !ret && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "upper_", 6))
			continue;
		snprintf(use, WR_USE_MAX, "its interface %s is up and below %.31s (%.300s/%.40s)",
			 name, entry->d_name + 6, path, entry->d_name);
		ret = WR_USE_SOME;
	}
	if (dir)
		closedir(dir);
	return ret;
}

static int use_interface(const char *root, const char *folder, const char *name,
			 char use[WR_USE_MAX])
{
	char path[WR_PCI_PATH_MAX + 64];
	uint64_t flags = 0;
	bool has;
	int ret;

	snprintf(path, sizeof(path), "%s/%.31s/flags", folder, name);
	ret = wr_read_u64(path, &flags);
	if (ret == -ENOENT || ret == -ENODEV)
		return WR_USE_NONE;
	if (ret < 0)
		return wr_fail(ret, "%s can't be read: %s", path, strerror(-ret));
	if (!(flags & IFF_UP))
		return WR_USE_NONE;

	ret = use_routes(root, name, use);
	if (!ret)
		ret = use_upper(folder, name, use);
	if (ret)
		return ret;
	ret = has_address(name, &has);
	if (ret < 0 || !has)
		return ret;
	snprintf(use, WR_USE_MAX, "its interface %s is up (%.300s) and has an address; "
		 "'ip link set %s down' ends that", name, path, name);
	return WR_USE_SOME;
}

int wr_use_net(const char *root, const struct weir_host_function *fn, char use[WR_USE_MAX])
{
	struct wr_class class;
	const char *name;
	int ret;

	ret = wr_class_open(&class, root, "net", fn->address);
	if (ret < 0)
		return ret;
	while (!ret && (name = wr_class_next(&class)))
		ret = use_interface(root, class.path, name, use);
	wr_class_close(&class);
	return ret;
}
