/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/process.h"
#include "base/sys.h"
#include "ioas/domain.h"
#include "ioas/iommu.h"
#include "kernel/group.h"
#include "kernel/iommufd.h"

/* Fits kernel devices: what WEIR_IOMMU may name. */
static bool is_kernel_interface(const struct wr_domain_ops *ops)
{
	struct wr_group group = { .fd = -1 }, bare = { .fd = -1, .noiommu = true };
	struct wr_endpoint ep = { .group = &group }, bare_ep = { .group = &bare };

	return ops->fits(&ep) || ops->fits(&bare_ep);
}

static int choose_interface(struct weir_iommu *iommu, const char *wanted)
{
	const char *from = "weir_iommu_opts.interface";
	char known[128] = "";

	if (!wanted) {
		wanted = getenv("WEIR_IOMMU");
		from = "WEIR_IOMMU";
	}
	if (!wanted || !*wanted)
		return 0;
	for (size_t i = 0; wr_domains[i]; i++) {
		if (!is_kernel_interface(wr_domains[i]))
			continue;
		if (!strcmp(wanted, wr_domains[i]->name)) {
			iommu->forced = wr_domains[i];
			return 0;
		}
		wr_append(known, sizeof(known), "%s%s", *known ? ", " : "", wr_domains[i]->name);
	}
	return wr_fail(-EINVAL, "%s: no IOMMU interface \"%s\"; there are %s", from, wanted, known);
}

static int choose_soft_bits(struct weir_iommu *iommu, unsigned int bits)
{
	const char *env = getenv("WEIR_SOFT_BITS");

	if (!bits && env && *env) {
		char *end;
		unsigned long value = strtoul(env, &end, 10);

		if (*end || env[0] < '0' || env[0] > '9' || value > 64)
			return wr_fail(-EINVAL, "WEIR_SOFT_BITS is \"%s\": the software IOMMU is "
				       "39, 48 or 57 bits wide", env);
		bits = (unsigned int)value;
	}
	if (!bits)
		bits = 48;
	if (bits != 39 && bits != 48 && bits != 57)
		return wr_fail(-EINVAL, "the software IOMMU is 39, 48 or 57 bits wide, not what "
			       "weir_iommu_opts.soft_bits or WEIR_SOFT_BITS asks for");
	iommu->soft_bits = bits;
	return 0;
}

/* Another fd for a /dev/iommu from outside, held until it is put. @how it is to count. */
static int use_iommufd(struct weir_iommu *iommu, int fd, enum weir_accounting how)
{
	int copy, ret;

	if (!wr_iommufd_is(fd))
		return wr_fail(-EINVAL, "fd %d isn't a %s", fd, WR_IOMMUFD_NODE);
	copy = wr_sys->dup(fd);
	if (copy < 0)
		return wr_fail(copy, "fd %d: %s", fd, strerror(-copy));
	ret = wr_iommufd_account(copy, how);
	if (ret) {
		wr_close(copy);
		return ret;
	}
	iommu->iommufd = copy;
	iommu->iommufd_users = 1;
	iommu->memlock = wr_iommufd_memlock(copy);
	return 0;
}

/* The caller's: never put, and so kept until the context is closed. */
static int use_given(struct weir_iommu *iommu, int fd)
{
	int ret;

	if (iommu->forced == &wr_domain_compat)
		return wr_fail(-EINVAL, "weir_iommu_opts.iommufd isn't for \"compat\", which needs "
			       "a %s for each address space", WR_IOMMUFD_NODE);
	ret = use_iommufd(iommu, fd, iommu->accounting);
	iommu->iommufd_given = !ret;
	return ret ? wr_fail_in(ret, "weir_iommu_opts.iommufd") : 0;
}

int weir_iommu_open(const struct weir_iommu_opts *opts, struct weir_iommu **out)
{
	static const struct weir_iommu_opts automatic;
	struct weir_iommu *iommu;
	int ret;

	if (!opts)
		opts = &automatic;
	ret = WR_RESERVED(opts, "weir_iommu_opts");
	if (!ret && (unsigned int)opts->accounting > WEIR_ACCOUNTING_PROCESS)
		ret = wr_fail(-EINVAL, "%d is no weir_accounting", (int)opts->accounting);
	if (ret)
		return ret;
	iommu = calloc(1, sizeof(*iommu));
	if (!iommu)
		return wr_fail(-ENOMEM, "no memory for a context");
	ret = choose_interface(iommu, opts->interface);
	if (!ret)
		ret = choose_soft_bits(iommu, opts->soft_bits);
	iommu->iommufd = -1;
	iommu->accounting = opts->accounting;
	if (!ret && opts->use_iommufd)
		ret = use_given(iommu, opts->iommufd);
	if (ret) {
		free(iommu);
		return ret;
	}
	iommu->process = wr_process();
	iommu->unsafe_noiommu = opts->unsafe_noiommu;
	pthread_mutex_init(&iommu->lock, NULL);
	pthread_mutex_init(&iommu->attach_lock, NULL);
	wr_list_init(&iommu->groups);
	*out = iommu;
	return 0;
}

int weir_iommu_close(struct weir_iommu *iommu)
{
	unsigned int spaces, queues;
	int ret;

	if (!iommu)
		return 0;
	ret = wr_check_process(iommu->process);
	if (ret)
		return ret;
	pthread_mutex_lock(&iommu->lock);
	spaces = iommu->spaces;
	queues = iommu->queues;
	pthread_mutex_unlock(&iommu->lock);
	if (spaces)
		return wr_fail(-EBUSY, "the context has %u address spaces, those of devices "
			       "included: close them first", spaces);
	if (queues)
		return wr_fail(-EBUSY, "the context has %u fault queues: weir_faultq_close() them "
			       "first", queues);
	wr_close(iommu->iommufd);
	pthread_mutex_destroy(&iommu->attach_lock);
	pthread_mutex_destroy(&iommu->lock);
	free(iommu);
	return 0;
}

/* With the lock held. */
static struct wr_group *find_group(struct weir_iommu *iommu, int number)
{
	struct wr_group *group;

	wr_list_for_each(group, &iommu->groups, link)
		if (group->number == number)
			return group;
	return NULL;
}

struct wr_group *wr_iommu_group_find(struct weir_iommu *iommu, int number)
{
	struct wr_group *group;

	pthread_mutex_lock(&iommu->lock);
	group = find_group(iommu, number);
	if (group)
		group->users++;
	pthread_mutex_unlock(&iommu->lock);
	return group;
}

static int new_group(struct weir_iommu *iommu, int number, struct wr_group **out)
{
	int noiommu = wr_group_is_noiommu(number);
	struct wr_group *group;

	if (noiommu < 0)
		return noiommu;
	group = calloc(1, sizeof(*group));
	if (!group)
		return wr_fail(-ENOMEM, "no memory for an IOMMU group");
	group->number = number;
	group->fd = -1;
	group->noiommu = noiommu;
	snprintf(group->node, sizeof(group->node), "/dev/vfio/%s%d",
		 group->noiommu ? "noiommu-" : "", number);
	wr_list_init(&group->link);
	wr_list_add_tail(&iommu->groups, &group->link);
	*out = group;
	return 0;
}

int wr_iommu_group_get(struct weir_iommu *iommu, int number, struct wr_group **out)
{
	struct wr_group *found;
	int ret = 0;

	pthread_mutex_lock(&iommu->lock);
	found = find_group(iommu, number);
	if (!found)
		ret = new_group(iommu, number, &found);
	if (!ret)
		found->users++;
	pthread_mutex_unlock(&iommu->lock);
	if (!ret)
		*out = found;
	return ret;
}

void wr_iommu_group_put(struct weir_iommu *iommu, struct wr_group *group)
{
	pthread_mutex_lock(&iommu->lock);
	if (!--group->users) {
		wr_list_del(&group->link);
		free(group);
	}
	pthread_mutex_unlock(&iommu->lock);
}

/* ---- /dev/iommu ---- */

/* With the lock held. */
static int open_iommufd(struct weir_iommu *iommu)
{
	int fd = wr_iommufd_open(iommu->accounting);

	if (fd < 0)
		return fd;
	iommu->iommufd = fd;
	iommu->memlock = wr_iommufd_memlock(fd);
	return 0;
}

int wr_iommu_iommufd_get(struct weir_iommu *iommu)
{
	int ret = 0;

	pthread_mutex_lock(&iommu->lock);
	if (wr_iommu_handed(iommu))
		ret = wr_fail(-EPERM, "the context's %s was handed over with an address space",
			      WR_IOMMUFD_NODE);
	else if (!iommu->iommufd_users)
		ret = open_iommufd(iommu);
	if (!ret)
		iommu->iommufd_users++;
	pthread_mutex_unlock(&iommu->lock);
	return ret;
}

int wr_iommu_iommufd_adopt(struct weir_iommu *iommu, int fd)
{
	int ret;

	pthread_mutex_lock(&iommu->lock);
	if (iommu->iommufd_users)
		ret = wr_fail(-EBUSY, "the context has a %s of its own already: take another one",
			      WR_IOMMUFD_NODE);
	else if (iommu->forced && iommu->forced != &wr_domain_iommufd)
		ret = wr_fail(-EINVAL, "%s is asked for, and it comes by iommufd",
			      iommu->forced->name);
	else if (iommu->accounting == WEIR_ACCOUNTING_PROCESS)
		ret = wr_fail(-EINVAL, "weir_iommu_opts.accounting demands that what is pinned is "
			      "counted by process, and what comes from another one counts by user");
	else
		ret = use_iommufd(iommu, fd, WEIR_ACCOUNTING_AUTO);
	pthread_mutex_unlock(&iommu->lock);
	return ret;
}

void wr_iommu_iommufd_put(struct weir_iommu *iommu)
{
	pthread_mutex_lock(&iommu->lock);
	if (!--iommu->iommufd_users) {
		wr_close(iommu->iommufd);
		iommu->iommufd = -1;
	}
	pthread_mutex_unlock(&iommu->lock);
}

int weir_iommu_fd(struct weir_iommu *iommu)
{
	int fd = wr_check_process(iommu->process);

	if (fd)
		return fd;
	pthread_mutex_lock(&iommu->lock);
	fd = iommu->iommufd;
	pthread_mutex_unlock(&iommu->lock);
	return fd < 0 ? wr_fail(-ENODEV, "no device of this context is attached by iommufd") : fd;
}
