/* SPDX-License-Identifier: MIT */
/* The machine's IOMMUs: /sys/class/iommu, by drivers/iommu/iommu-sysfs.c. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "host/host.h"
#include "host/text.h"

#define CLASS "/sys/class/iommu"

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int append(struct weir_host *host, const char *name)
{
	char (*more)[64] = realloc(host->iommus, ((size_t)host->n_iommus + 1) * sizeof(*more));

	if (!more)
		return wr_fail(-ENOMEM, "no memory for the list of IOMMUs");
	host->iommus = more;
	strcpy(host->iommus[host->n_iommus++], name);
	return 0;
}

int wr_host_find_iommus(struct weir_host *host)
{
	struct dirent *entry;
	DIR *dir;
	int ret = wr_root_dir(host->root, CLASS, &dir);

	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return wr_fail(ret, "%s" CLASS " can't be listed: %s", host->root, strerror(-ret));
	while (ret >= 0 && (errno = 0, entry = readdir(dir))) {
		/* CONFIG_IOMMUFD_TEST's: no device is behind it. */
		if (!strncmp(entry->d_name, "iommufd_selftest_iommu", 22))
			continue;
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < sizeof(*host->iommus))
			ret = append(host, entry->d_name);
	}
	if (!ret && errno)
		ret = wr_fail(-errno, "%s" CLASS " can't be listed: %s", host->root,
			      strerror(errno));
	closedir(dir);
	if (host->n_iommus)
		qsort(host->iommus, (size_t)host->n_iommus, sizeof(*host->iommus), compare);
	return ret;
}

bool weir_host_has_iommu(const struct weir_host *host)
{
	return host->n_iommus;
}

/* ---- one of them ---- */

static int damaged(const struct weir_host *host, const char *name, const char *attr, int err)
{
	return wr_fail(err == -EACCES ? err : -EIO, "%s" CLASS "/%s/%s can't be read: %s",
		       host->root, name, attr, err == -EINVAL || err == -ERANGE ?
		       "it makes no sense" : strerror(-err));
}

/* One number as "%llx" makes it, or two with a colon between. */
static int read_register(const struct weir_host *host, const struct weir_host_iommu *iommu,
			 const char *attr, uint64_t *value, uint64_t *second, bool *known)
{
	char path[PATH_MAX], text[64];
	const char *rest = text;
	int ret;

	snprintf(path, sizeof(path), CLASS "/%s/%s", iommu->name, attr);
	ret = wr_root_text(host->root, path, text, sizeof(text));
	if (ret == -ENOENT)
		return 0;
	if (ret >= 0)
		ret = wr_hex(&rest, value) ? 0 : -EINVAL;
	if (!ret && second && *rest == ':') {
		rest++;
		ret = wr_hex(&rest, second) ? 0 : -EINVAL;
	}
	if (!ret && *rest)
		ret = -EINVAL;
	if (ret < 0)
		return damaged(host, iommu->name, attr, ret);
	*known = true;
	return 0;
}

/* intel_iommu_attrs[] in drivers/iommu/intel/iommu.c */
static int read_vtd(const struct weir_host *host, struct weir_host_iommu *iommu)
{
	bool known;
	int ret = read_register(host, iommu, "intel-iommu/cap", &iommu->cap, NULL,
				&iommu->cap_known);

	if (!ret)
		ret = read_register(host, iommu, "intel-iommu/ecap", &iommu->ecap, NULL,
				    &iommu->ecap_known);
	if (!ret)
		ret = read_register(host, iommu, "intel-iommu/address", &iommu->address, NULL,
				    &known);
	return ret;
}

/* amd_iommu_attrs[] in drivers/iommu/amd/init.c */
static int read_amd(const struct weir_host *host, struct weir_host_iommu *iommu)
{
	int ret = read_register(host, iommu, "amd-iommu/cap", &iommu->cap, NULL,
				&iommu->cap_known);

	if (!ret)
		ret = read_register(host, iommu, "amd-iommu/features", &iommu->ecap,
				    &iommu->ecap2, &iommu->ecap_known);
	return ret;
}

static bool has(const struct weir_host *host, const char *name, const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CLASS "/%s/%s", name, folder);
	return wr_root_has(host->root, path);
}

/*
 * What its path says: ".../0000:00:00.2/iommu/ivhd0" of a function, ".../0000:00:03.0/virtio0/
 * iommu/0000:00:03.0" of a virtio device.
 */
static void tell_place(const struct weir_host *host, struct weir_host_iommu *iommu)
{
	char path[PATH_MAX], target[PATH_MAX], *last;

	snprintf(path, sizeof(path), CLASS "/%s", iommu->name);
	if (wr_root_link(host->root, path, target, sizeof(target)) < 0)
		return;
	last = strrchr(target, '/');
	if (last)
		*last = '\0';
	while ((last = strrchr(target, '/'))) {
		*last++ = '\0';
		if (!strncmp(last, "virtio", 6) && isdigit((unsigned char)last[6]))
			iommu->kind = WEIR_HOST_IOMMU_VIRTIO;
		if (wr_is_address(last)) {
			strcpy(iommu->function, last);
			return;
		}
	}
}

int weir_host_iommu(const struct weir_host *host, unsigned int n, struct weir_host_iommu *out)
{
	struct weir_host_iommu iommu = { .kind = WEIR_HOST_IOMMU_OTHER };
	int ret = 0;

	if (n >= (unsigned int)host->n_iommus)
		return -ENOENT;
	strcpy(iommu.name, host->iommus[n]);
	tell_place(host, &iommu);
	if (has(host, iommu.name, "intel-iommu"))
		iommu.kind = WEIR_HOST_IOMMU_VTD;
	else if (has(host, iommu.name, "amd-iommu"))
		iommu.kind = WEIR_HOST_IOMMU_AMD;
	else if (!strncmp(iommu.name, "smmu3.", 6))
		iommu.kind = WEIR_HOST_IOMMU_SMMUV3;
	else if (!strncmp(iommu.name, "smmu.", 5))
		iommu.kind = WEIR_HOST_IOMMU_SMMU;
	if (iommu.kind == WEIR_HOST_IOMMU_VTD)
		ret = read_vtd(host, &iommu);
	else if (iommu.kind == WEIR_HOST_IOMMU_AMD)
		ret = read_amd(host, &iommu);
	if (!ret)
		*out = iommu;
	return ret;
}
