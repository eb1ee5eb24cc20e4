/* SPDX-License-Identifier: MIT */
/* Network interfaces: in use when up and either addressed, routed over, or below another. */
#include <ifaddrs.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "host/text.h"
#include "host/use.h"

#define INTERFACE_MAX 64	/* "/sys/class/net/NAME/flags" */

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
static int is_default(const char *root, const char *path, bool v6, const char *name, bool *is)
{
	int fd = wr_root_open(root, path, 0);
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	*is = false;
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return wr_fail(fd, "%s%s can't be read: %s", root, path, strerror(-fd));
	file = fdopen(fd, "r");
	if (!file) {
		wr_close(fd);
		return wr_fail(-ENOMEM, "no memory for the routes");
	}
	while (!*is && getline(&line, &size, file) > 0)
		*is = is_default_line(line, v6, name);
	free(line);
	fclose(file);
	return 0;
}

static int use_routes(const char *root, const char *name, char use[WR_USE_MAX])
{
	static const char *const files[] = { "/proc/net/route", "/proc/net/ipv6_route" };
	bool is = false;
	int ret = 0;

	for (int v6 = 0; !ret && v6 < 2; v6++) {
		ret = is_default(root, files[v6], v6, name, &is);
		if (!ret && is) {
			snprintf(use, WR_USE_MAX, "the default route goes over its interface %s "
				 "(%.300s%s)", name, root, files[v6]);
			ret = WR_USE_SOME;
		}
	}
	return ret;
}

/* Bridges, bonds, VLANs: whatever is built on it shows as a link upper_NAME. */
static int use_upper(const char *root, const char *name, char use[WR_USE_MAX])
{
	char path[INTERFACE_MAX];
	struct dirent *entry;
	int ret = WR_USE_NONE;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/net/%.31s", name);
	if (wr_root_dir(root, path, &dir) < 0)
		return WR_USE_NONE;
	while (!ret && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "upper_", 6))
			continue;
		snprintf(use, WR_USE_MAX, "its interface %s is up and below %.31s "
			 "(%.250s%s/%.40s)", name, entry->d_name + 6, root, path, entry->d_name);
		ret = WR_USE_SOME;
	}
	closedir(dir);
	return ret;
}

static int use_interface(const char *root, const char *name, char use[WR_USE_MAX])
{
	char path[INTERFACE_MAX];
	uint64_t flags = 0;
	bool has, plain;
	int ret;

	snprintf(path, sizeof(path), "/sys/class/net/%.31s/flags", name);
	ret = wr_root_u64(root, path, &flags);
	if (ret == -ENOENT || ret == -ENODEV)
		return WR_USE_NONE;
	if (ret < 0)
		return wr_fail(ret, "%s%s can't be read: %s", root, path, strerror(-ret));
	if (!(flags & IFF_UP))
		return WR_USE_NONE;

	ret = use_routes(root, name, use);
	if (!ret)
		ret = use_upper(root, name, use);
	if (ret)
		return ret;
	ret = has_address(name, &has);
	if (ret < 0 || !has)
		return ret;
	plain = wr_is_plain(name);
	snprintf(use, WR_USE_MAX, "its interface %.31s is up (%.250s%s) and has an address"
		 "%s%.31s%s", name, root, path, plain ? "; 'ip link set " : "",
		 plain ? name : "", plain ? " down' ends that" : "");
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
		ret = use_interface(root, name, use);
	wr_class_close(&class);
	return ret;
}
