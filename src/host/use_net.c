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

/* Whether a line of a file says it of an interface. */
typedef bool (*line_says)(const char *line, const char *name);

#define WORDS 10

static void split(const char *line, char words[WORDS][40])
{
	for (int i = 0; i < WORDS; i++)
		words[i][0] = '\0';
	sscanf(line, "%39s %39s %39s %39s %39s %39s %39s %39s %39s %39s", words[0], words[1],
	       words[2], words[3], words[4], words[5], words[6], words[7], words[8], words[9]);
}

/* /proc/net/route (net/ipv4/fib_trie.c): interface, destination, ..., mask */
static bool is_route(const char *line, const char *name)
{
	char words[WORDS][40];

	split(line, words);
	return !strcmp(words[0], name);
}

static bool is_default(const char *line, const char *name)
{
	char words[WORDS][40];

	split(line, words);
	return !strcmp(words[0], name) && !strcmp(words[1], "00000000") &&
	       !strcmp(words[7], "00000000");
}

/* /proc/net/ipv6_route (net/ipv6/route.c): destination, prefix length, ..., interface */
static bool is_default6(const char *line, const char *name)
{
	char words[WORDS][40];

	split(line, words);
	return strspn(words[0], "0") == 32 && !strcmp(words[1], "00") && !strcmp(words[9], name);
}

/*
 * /proc/net/if_inet6 (net/ipv6/addrconf.c): address, index, prefix length, scope, flags, interface.
 * Every interface that is up gives itself an address of link scope.
 */
static bool is_address6(const char *line, const char *name)
{
	char words[WORDS][40];

	split(line, words);
	return strcmp(words[3], "20") && !strcmp(words[5], name);
}

/* Returns 1 or 0, or -errno with a message; 0 where there is no file, as without IPv6. */
static int any_line(const char *root, const char *path, line_says says, const char *name)
{
	int fd = wr_root_open(root, path, 0);
	char *line = NULL;
	size_t size = 0;
	bool is = false;
	FILE *file;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return wr_fail(fd, "%s%s can't be read: %s", root, path, strerror(-fd));
	file = fdopen(fd, "r");
	if (!file) {
		wr_close(fd);
		return wr_fail(-ENOMEM, "no memory for the routes");
	}
	while (!is && getline(&line, &size, file) > 0)
		is = says(line, name);
	free(line);
	fclose(file);
	return is;
}

static int has_address_here(const char *name)
{
	struct ifaddrs *list;
	bool has = false;
	int ret;

	ret = wr_sys->getifaddrs(&list);
	if (ret < 0)
		return wr_fail(ret, "whether %s has an address can't be told: %s", name,
			       strerror(-ret));
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		const struct sockaddr_in6 *in6 = (const void *)i->ifa_addr;

		if (strcmp(i->ifa_name, name) || !i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET ||
		    (i->ifa_addr->sa_family == AF_INET6 &&
		     !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)))
			has = true;
	}
	wr_sys->freeifaddrs(list);
	return has;
}

/*
 * Below another root files must tell. None has IPv4 addresses by interface; but one that is up has
 * with its address a route (fib_add_ifaddr() in net/ipv4/fib_frontend.c), unless its network is
 * that address alone.
 */
static int has_address(const char *root, const char *name)
{
	static const char routes[] = "/proc/net/route";
	int ret;

	if (!*root)
		return has_address_here(name);
	ret = any_line(root, "/proc/net/if_inet6", is_address6, name);
	if (ret)
		return ret;
	if (!wr_root_has(root, routes))
		return wr_fail(-ENOENT, "whether %s has an address can't be told: there is no "
			       "%s%s", name, root, routes);
	return any_line(root, routes, is_route, name);
}

static int use_routes(const char *root, const char *name, char use[WR_USE_MAX])
{
	static const struct {
		const char *path;
		line_says says;
	} files[] = {
		{ "/proc/net/route", is_default }, { "/proc/net/ipv6_route", is_default6 },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int ret = any_line(root, files[i].path, files[i].says, name);

		if (ret < 0)
			return ret;
		if (ret) {
			snprintf(use, WR_USE_MAX, "the default route goes over its interface %s "
				 "(%.300s%s)", name, root, files[i].path);
			return WR_USE_SOME;
		}
	}
	return WR_USE_NONE;
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
	bool plain;
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
	ret = has_address(root, name);
	if (ret <= 0)
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
