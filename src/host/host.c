/* SPDX-License-Identifier: MIT */
/* The list of functions: one scan, kept sorted. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "host/host.h"
#include "host/machine.h"

static int compare(const void *a, const void *b)
{
	const struct weir_host_function *fa = a, *fb = b;
	size_t la = strlen(fa->address), lb = strlen(fb->address);

	/* All parts have a fixed width but the domain, which is longer only when it is greater. */
	if (la != lb)
		return la < lb ? -1 : 1;
	return strcmp(fa->address, fb->address);
}

/* pci_setup_device() in drivers/pci/probe.c: "%04x:%02x:%02x.%d" */
bool wr_is_address(const char *name)
{
	static const char hex[] = "0123456789abcdef";
	size_t domain = strspn(name, hex);
	const char *rest = name + domain;

	return domain >= 4 && domain <= 8 && (domain == 4 || name[0] != '0') &&
	       rest[0] == ':' && strspn(rest + 1, hex) == 2 &&
	       rest[3] == ':' && (rest[4] == '0' || rest[4] == '1') && strspn(rest + 4, hex) == 2 &&
	       rest[6] == '.' && rest[7] >= '0' && rest[7] <= '7' && !rest[8];
}

static int append(struct weir_host *host, const char *name, int *room)
{
	struct weir_host_function *more;

	if (!wr_is_address(name)) {
		wr_log(WEIR_LOG_WARN, "%s/sys/bus/pci/devices/%s is left out: it isn't named like "
		       "a PCI function", host->root, name);
		return 0;
	}
	if (host->count == *room) {
		if (*room > INT_MAX / 2)
			return wr_fail(-ENOMEM, "more PCI functions than weir can list");
		*room = *room ? *room * 2 : 64;
		more = realloc(host->functions, (size_t)*room * sizeof(*more));
		if (!more)
			return wr_fail(-ENOMEM, "no memory for the list of PCI functions");
		host->functions = more;
	}
	host->functions[host->count] = (struct weir_host_function){ 0 };
	strcpy(host->functions[host->count++].address, name);
	return 0;
}

/* Which functions there are, in order. */
static int list(struct weir_host *host)
{
	int ret, room = 0;
	struct dirent *entry;
	DIR *dir;

	ret = wr_folder_dir(&host->scan.devices, &dir);
	if (ret < 0)
		return wr_fail(ret, "%s/sys/bus/pci/devices can't be listed: %s", host->root,
			       strerror(-ret));
	while (!ret && (errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = append(host, entry->d_name, &room);
	if (!ret && errno)
		ret = wr_fail(-errno, "%s/sys/bus/pci/devices can't be listed: %s", host->root,
			      strerror(errno));
	closedir(dir);
	if (host->count)
		qsort(host->functions, (size_t)host->count, sizeof(*host->functions), compare);
	return ret;
}

const struct weir_host_function *wr_host_search(const struct weir_host *host, const char *address)
{
	struct weir_host_function key = { 0 };

	if (!host->count)
		return NULL;
	snprintf(key.address, sizeof(key.address), "%s", address);
	return bsearch(&key, host->functions, (size_t)host->count, sizeof(*host->functions),
		       compare);
}

/* A VF's attribute is its link to the PF; so the PF's VFs needn't be asked for. */
static void count_vfs(struct weir_host *host)
{
	for (int i = 0; i < host->count; i++) {
		const struct weir_host_function *vf = &host->functions[i], *pf;

		pf = vf->physfn[0] ? wr_host_search(host, vf->physfn) : NULL;
		if (pf)
			host->functions[pf - host->functions].vfs++;
	}
}

#define ROOT_IS "a root is the folder in which a machine's sys/ lies, or what 'weir capture' made"

int wr_root_type(const char *root, mode_t *type)
{
	struct stat st;

	if (stat(root, &st)) {
		if (errno == ENOENT)
			return wr_fail(-ENOENT, "there is no %s; " ROOT_IS, root);
		return wr_fail(-errno, "%s can't be reached: %s", root, strerror(errno));
	}
	*type = st.st_mode & S_IFMT;
	if (*type == S_IFDIR || *type == S_IFREG)
		return 0;
	return wr_fail(-ENOTDIR, "%s is neither a folder nor a file; " ROOT_IS, root);
}

int wr_open_bus(struct wr_scan *scan, const char *root, const char *name)
{
	int ret = wr_scan_open(scan, root);

	if (ret == -ENOTDIR)
		ret = -ENOENT;
	if (ret == -ENOENT && *root)
		return wr_fail(ret, "%s holds no PCI bus: there is no folder sys/bus/pci/devices "
			       "in it; " ROOT_IS, name);
	if (ret == -ENOENT)
		return wr_fail(ret, "this machine shows no PCI bus: there is no folder "
			       "/sys/bus/pci/devices; is sysfs mounted?");
	if (ret == -EXDEV)
		return wr_fail(ret, "%s/sys/bus/pci/devices leads out of that root, where nothing "
			       "is read", name);
	return ret < 0 ? wr_fail(ret, "%s/sys/bus/pci/devices can't be opened: %s", name,
				 strerror(-ret)) : 0;
}

/* A folder, or an archive that becomes one. */
static int take_root(struct weir_host *host, const char *root)
{
	mode_t type = S_IFDIR;
	int ret = *root ? wr_root_type(root, &type) : 0;

	if (!ret && type == S_IFREG) {
		ret = wr_unpack(root, &host->unpacked);
		root = host->unpacked.folder;
	}
	if (ret < 0)
		return ret;
	host->root = strdup(root);
	return host->root ? 0 : wr_fail(-ENOMEM, "no memory for the list of PCI functions");
}

int weir_host_open_with(const char *root, unsigned int wishes, struct weir_host **out)
{
	struct weir_host *host;
	int ret;

	if (wishes & ~(unsigned int)(WEIR_HOST_AHEAD | WEIR_HOST_BRIEF))
		return wr_fail(-EINVAL, "a scan has no wishes %#x", wishes);
	host = calloc(1, sizeof(*host));
	if (!host)
		return wr_fail(-ENOMEM, "no memory for the list of PCI functions");
	host->wishes = wishes;
	host->groups.fd = -1;
	ret = take_root(host, root ? root : "");
	if (!ret)
		ret = wr_open_bus(&host->scan, host->root, root ? root : "");
	if (ret < 0) {
		wr_unpacked_remove(&host->unpacked);
		free(host->root);
		free(host);
		return ret;
	}
	ret = list(host);
	if (!ret)
		ret = wr_host_look(host);
	if (!ret)
		ret = wr_host_find_groups(host);
	if (!ret && wishes & WEIR_HOST_AHEAD)
		ret = wr_host_look_at_groups(host);
	if (!ret)
		ret = wr_host_find_iommus(host);
	if (!ret)
		ret = wr_host_find_slots(host);
	if (ret < 0) {
		weir_host_close(host);
		return ret;
	}
	count_vfs(host);
	*out = host;
	return 0;
}

int weir_host_open(const char *root, struct weir_host **out)
{
	return weir_host_open_with(root, 0, out);
}

int weir_host_close(struct weir_host *host)
{
	if (host) {
		wr_machine_free(host->machine);
		wr_scan_close(&host->scan);
		wr_folder_close(&host->groups);
		wr_unpacked_remove(&host->unpacked);
		free(host->iommus);
		free(host->grouped);
		free(host->resets);
		free(host->told);
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

const struct weir_host_function *weir_host_parent(const struct weir_host *host,
						  const struct weir_host_function *function)
{
	return function->parent[0] ? wr_host_search(host, function->parent) : NULL;
}

int weir_host_find(const struct weir_host *host, const char *address,
		   const struct weir_host_function **function)
{
	const struct weir_host_function *found;
	char canonical[WR_PCI_ADDR_MAX];
	struct wr_pci_addr addr;
	int ret;

	if (wr_pci_addr_parse(address, &addr) < 0) {
		if (address && *address && wr_pci_exists(host->root, address) == -EINVAL)
			return -EINVAL;
		return wr_pci_addr_parse(address, &addr);
	}
	wr_pci_addr_format(&addr, canonical);
	found = wr_host_search(host, canonical);
	if (found) {
		*function = found;
		return 0;
	}
	ret = wr_pci_exists(host->root, canonical);
	if (ret < 0)
		return ret;
	return wr_fail(-ENOENT, "%s came after this machine was looked at, or can't be read; try "
		       "again", canonical);
}
