/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups as the kernel made them: Documentation/ABI/testing/sysfs-kernel-iommu_groups, and
 * drivers/iommu/iommu.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "host/host.h"
#include "host/text.h"

/* An attribute in sysfs has at most a page, of which 64 KiB are the largest. */
#define ATTRIBUTE_MAX 65537

static int compare(const void *a, const void *b)
{
	const struct wr_grouped *ga = a, *gb = b;

	/* The functions themselves are in order already. */
	if (ga->group != gb->group)
		return ga->group < gb->group ? -1 : 1;
	return ga->function < gb->function ? -1 : ga->function > gb->function;
}

int wr_host_find_groups(struct weir_host *host)
{
	int ret = wr_folder_open(host->root, "/sys/kernel/iommu_groups", &host->groups);

	/* Without an IOMMU there is none; a captured tree may lack it, but for the links to it. */
	if (ret < 0)
		host->groups = (struct wr_folder){ .fd = -1 };
	if (ret < 0 && ret != -ENOENT)
		return wr_fail(ret, "%s/sys/kernel/iommu_groups can't be opened: %s", host->root,
			       strerror(-ret));
	if (!host->count)
		return 0;
	host->grouped = malloc((size_t)host->count * sizeof(*host->grouped));
	if (!host->grouped)
		return wr_fail(-ENOMEM, "no memory for the list of IOMMU groups");
	for (int i = 0; i < host->count; i++)
		if (host->functions[i].group >= 0)
			host->grouped[host->n_grouped++] = (struct wr_grouped){
				.group = host->functions[i].group, .function = i };
	qsort(host->grouped, (size_t)host->n_grouped, sizeof(*host->grouped), compare);
	return 0;
}

/* The place of the first member of a group, or of the next group that there is. */
static int first_of(const struct weir_host *host, int group)
{
	int low = 0, high = host->n_grouped;

	while (low < high) {
		int middle = low + (high - low) / 2;

		if (host->grouped[middle].group < group)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int weir_host_next_group(const struct weir_host *host, int after)
{
	int i = after == INT_MAX ? host->n_grouped : first_of(host, after + 1);

	return i < host->n_grouped ? host->grouped[i].group : -1;
}

const struct weir_host_function *weir_host_member(const struct weir_host *host, int number,
						  unsigned int n)
{
	int first = first_of(host, number);

	if (n >= (unsigned int)(host->n_grouped - first) ||
	    host->grouped[first + (int)n].group != number)
		return NULL;
	return &host->functions[host->grouped[first + (int)n].function];
}

/* Returns the text's length, 0 when there is no such attribute, or -errno with a message. */
static int read_text(const struct weir_host *host, const struct wr_folder *folder, int number,
		     const char *name, char *buf, size_t size)
{
	int ret = folder->fd < 0 ? -ENOENT : wr_folder_text(folder, name, buf, size);

	if (ret >= 0)
		return ret;
	buf[0] = '\0';
	if (ret == -ENOENT || ret == -ENODEV)
		return 0;
	return wr_fail(ret == -EACCES || ret == -EPERM ? -EACCES : -EIO,
		       "%s/sys/kernel/iommu_groups/%d/%s can't be read: %s", host->root, number,
		       name, strerror(-ret));
}

static int enter(const struct weir_host *host, int number, struct wr_folder *folder)
{
	char name[16];
	int ret;

	folder->fd = -1;
	if (host->groups.fd < 0)
		return 0;
	snprintf(name, sizeof(name), "%d", number);
	ret = wr_folder_enter(&host->groups, name, folder);
	if (ret < 0)
		folder->fd = -1;
	return ret == -ENOENT || !ret ? 0 :
	       wr_fail(ret == -EACCES ? ret : -EIO, "%s/sys/kernel/iommu_groups/%d can't be "
		       "opened: %s", host->root, number, strerror(-ret));
}

int wr_host_group_read(const struct weir_host *host, int number, struct weir_host_group *out)
{
	struct weir_host_group group = { .number = number };
	int first = first_of(host, number), ret;
	struct wr_folder folder;

	while (first + (int)group.members < host->n_grouped &&
	       host->grouped[first + (int)group.members].group == number)
		group.members++;
	if (!group.members)
		return wr_fail(-ENOENT, "no PCI function is in an IOMMU group %d", number);
	ret = enter(host, number, &folder);
	if (ret < 0)
		return ret;
	ret = read_text(host, &folder, number, "type", group.type, sizeof(group.type));
	if (ret >= 0)
		ret = read_text(host, &folder, number, "name", group.name, sizeof(group.name));
	wr_folder_leave(&folder);
	if (ret < 0)
		return ret;
	*out = group;
	return 0;
}

static int by_number(const void *key, const void *element)
{
	const struct wr_told *told = element;
	int number = *(const int *)key;

	return number < told->group.number ? -1 : number > told->group.number;
}

int weir_host_group(const struct weir_host *host, int number, struct weir_host_group *out)
{
	const struct wr_told *told = NULL;

	if (host->n_told)
		told = bsearch(&number, host->told, (size_t)host->n_told, sizeof(*host->told),
			       by_number);
	if (!told || !told->read)
		return wr_host_group_read(host, number, out);
	*out = told->group;
	return 0;
}

/* ---- reserved regions ---- */

/* One line: first address, last address, type (iommu_group_show_resv_regions()). */
static bool parse_line(const char **text, struct weir_host_reserved *region)
{
	const char *c = *text;
	size_t len;

	*region = (struct weir_host_reserved){ 0 };
	if (!wr_hex_0x(&c, &region->first) || *c++ != ' ' || !wr_hex_0x(&c, &region->last) ||
	    *c++ != ' ' || region->last < region->first)
		return false;
	len = strcspn(c, "\n");
	if (!len || len >= sizeof(region->type))
		return false;
	memcpy(region->type, c, len);
	*text = c + len + (c[len] == '\n');
	return true;
}

static int parse(const char *text, struct weir_host_reserved *regions, size_t n)
{
	struct weir_host_reserved region;
	int count = 0;

	while (*text) {
		if (!parse_line(&text, &region))
			return -EINVAL;
		if ((size_t)count < n)
			regions[count] = region;
		count++;
	}
	return count;
}

int weir_host_reserved(const struct weir_host *host, int group,
		       struct weir_host_reserved *regions, size_t n)
{
	struct wr_folder folder;
	char *text;
	int ret;

	ret = enter(host, group, &folder);
	if (ret < 0)
		return ret;
	text = malloc(ATTRIBUTE_MAX);
	if (!text) {
		wr_folder_leave(&folder);
		return wr_fail(-ENOMEM, "no memory for the reserved regions of group %d", group);
	}
	ret = folder.fd < 0 ? -ENOENT :
	      wr_folder_text(&folder, "reserved_regions", text, ATTRIBUTE_MAX);
	wr_folder_leave(&folder);
	if (ret >= 0)
		ret = parse(text, regions, n);
	free(text);
	if (ret >= 0)
		return ret;
	if (ret == -ENOENT)
		return wr_fail(ret, "which regions are reserved in group %d isn't said: there is "
			       "no %s/sys/kernel/iommu_groups/%d/reserved_regions", group,
			       host->root, group);
	return wr_fail(ret == -EACCES ? ret : -EIO, "%s/sys/kernel/iommu_groups/%d/"
		       "reserved_regions %s", host->root, group, ret == -EINVAL ?
		       "makes no sense; the kernel never writes that, so the tree is damaged" :
		       strerror(-ret));
}
