/* SPDX-License-Identifier: MIT */
/* What is read of one function when it is asked for: regions, config space, reset methods. */
#include <stdlib.h>

#include "base/file.h"
#include "base/sys.h"
#include "host/host.h"
#include "host/text.h"

/* The kernel's resource flags (include/linux/ioport.h), as the attribute "resource" shows them. */
#define RESOURCE_IO		0x00000100U
#define RESOURCE_MEM		0x00000200U
#define RESOURCE_PREFETCH	0x00002000U
#define RESOURCE_MEM_64		0x00100000U

#define RESOURCE_LINES		(WEIR_REGION_ROM + 1)
#define CONFIG_MAX		4096

static int enter(const struct weir_host *host, const struct weir_host_function *function,
		 struct wr_folder *folder)
{
	/* What the scan keeps open changes, the scan doesn't. */
	return wr_scan_enter((struct wr_scan *)&host->scan, function->address, folder, NULL);
}

static int read_text(const struct weir_host *host, const struct weir_host_function *function,
		     const char *attr, char *buf, size_t size)
{
	struct wr_folder folder;
	int ret = enter(host, function, &folder);

	if (ret < 0)
		return ret;
	ret = wr_folder_text(&folder, attr, buf, size);
	wr_folder_leave(&folder);
	return ret;
}

/* One line: first address, last address, flags. Returns 0 for a region that isn't there. */
static int parse_line(const char *line, struct weir_host_region *region)
{
	uint64_t first, last, flags;

	if (!wr_hex_0x(&line, &first) || *line++ != ' ' || !wr_hex_0x(&line, &last) ||
	    *line++ != ' ' || !wr_hex_0x(&line, &flags) || (*line && *line != '\n'))
		return -EIO;
	if (!(flags & (RESOURCE_IO | RESOURCE_MEM)))
		return 0;
	if (last < first || last - first == UINT64_MAX)
		return -EIO;
	region->start = first;
	region->size = last - first + 1;
	region->io = flags & RESOURCE_IO;
	region->is64 = flags & RESOURCE_MEM_64;
	region->prefetchable = flags & RESOURCE_PREFETCH;
	return 1;
}

int weir_host_regions(const struct weir_host *host, const struct weir_host_function *function,
		      struct weir_host_region *regions, size_t n)
{
	char text[4096];
	const char *line = text;
	int count = 0, ret;

	ret = read_text(host, function, "resource", text, sizeof(text));
	if (ret < 0)
		return wr_fail(ret == -ENODEV ? -ENOENT : ret, "%s: its regions (attribute "
			       "resource) can't be read: %s", function->address, strerror(-ret));

	/* After the ROM come SR-IOV's regions and a bridge's windows. */
	for (unsigned int i = 0; i < RESOURCE_LINES && *line; i++) {
		struct weir_host_region region = { .region = i };

		ret = parse_line(line, &region);
		if (ret < 0)
			return wr_fail(-EIO, "%s: line %u of its attribute resource makes no "
				       "sense; the kernel never writes that, so the tree is "
				       "damaged", function->address, i + 1);
		if (ret && (size_t)count < n)
			regions[count] = region;
		count += ret;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return count;
}

int weir_host_config(const struct weir_host *host, const struct weir_host_function *function,
		     void *buf, size_t size)
{
	struct wr_folder folder;
	int fd, ret;

	ret = enter(host, function, &folder);
	if (!ret) {
		fd = wr_folder_file(&folder, "config");
		wr_folder_leave(&folder);
		ret = fd < 0 ? fd : wr_read_fd(fd, buf, size < CONFIG_MAX ? size : CONFIG_MAX);
		wr_close(fd);
	}
	if (ret < 0)
		return wr_fail(ret, "%s: its config space (%s/sys/bus/pci/devices/%s/config) "
			       "can't be read: %s", function->address, host->root,
			       function->address, strerror(-ret));
	return ret;
}

int weir_host_reset_methods(const struct weir_host *host,
			    const struct weir_host_function *function, char *buf, size_t size)
{
	int ret;

	if (!size)
		return wr_fail(-EINVAL, "%s: no room for its reset methods", function->address);
	/* Not for a caller's copy of the function. */
	if (host->resets && function >= host->functions &&
	    function < host->functions + host->count) {
		const struct wr_reset *reset = &host->resets[function - host->functions];

		if (reset->len >= 0 && (size_t)reset->len < size) {
			memcpy(buf, reset->methods, (size_t)reset->len + 1);
			return reset->len;
		}
	}
	ret = read_text(host, function, "reset_method", buf, size);
	if (ret == -ENOENT) {
		/* It can't be reset, or the kernel is older than 5.15. */
		buf[0] = '\0';
		return 0;
	}
	if (ret < 0)
		return wr_fail(ret, "%s: its reset methods (attribute reset_method) can't be "
			       "read: %s", function->address, strerror(-ret));
	return ret;
}

bool weir_host_is_asleep(const struct weir_host *host, const struct weir_host_function *function)
{
	struct wr_folder folder, power;
	char status[16], state[16];
	int ret = enter(host, function, &folder);

	if (ret < 0)
		return false;
	/* Neither reads config space: drivers/base/power/sysfs.c, pci-sysfs.c. */
	if (wr_folder_text(&folder, "power_state", state, sizeof(state)) < 0)
		state[0] = '\0';
	status[0] = '\0';
	if (!wr_folder_enter(&folder, "power", &power)) {
		if (wr_folder_text(&power, "runtime_status", status, sizeof(status)) < 0)
			status[0] = '\0';
		wr_folder_leave(&power);
	}
	wr_folder_leave(&folder);
	return !strcmp(status, "suspended") || !strncmp(state, "D3", 2);
}

int weir_host_vfs_max(const struct weir_host *host, const struct weir_host_function *function)
{
	struct wr_folder folder;
	uint64_t vfs = 0;
	int ret = enter(host, function, &folder);

	if (!ret) {
		ret = wr_folder_u64(&folder, "sriov_totalvfs", &vfs);
		wr_folder_leave(&folder);
		if (ret == -ENOENT)
			return 0;
	}
	/* The capability has 16 bits for it (PCIe 9.3.3.4). */
	if (ret == -EINVAL || ret == -ERANGE || ret == -EOVERFLOW || vfs > UINT16_MAX)
		return wr_fail(-EIO, "%s: its attribute sriov_totalvfs makes no sense; the kernel "
			       "never writes that, so the tree is damaged", function->address);
	return ret < 0 ? wr_fail(ret, "%s: how many VFs it can have (attribute sriov_totalvfs) "
				 "can't be read: %s", function->address, strerror(-ret)) :
	       (int)vfs;
}
