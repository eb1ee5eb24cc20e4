/* SPDX-License-Identifier: MIT */
#ifndef WR_IOAS_IOMMU_H
#define WR_IOAS_IOMMU_H

#include <pthread.h>
#include <stdbool.h>

#include <weir/iommu.h>

#include "base/list.h"
#include "kernel/memlock.h"

struct weir_ioas;
struct wr_group;

struct weir_iommu {
	unsigned int process;			/* whose it is, with all that is made from it */
	pthread_mutex_t lock;
	const struct wr_domain_ops *forced;	/* the one interface for kernel devices, or NULL */
	unsigned int soft_bits;			/* 39, 48 or 57 */
	enum weir_accounting accounting;	/* as is asked for */
	bool unsafe_noiommu;			/* consent to devices without an IOMMU */
	/*
	 * Held over each attach and detach, before the address space's own lock: a group is shared
	 * by devices that may go to different address spaces.
	 */
	pthread_mutex_t attach_lock;
	/*
	 * Which of its address spaces was handed over to another process, with the /dev/iommu; NULL
	 * for none. Atomic: others ask for it at any time.
	 */
	struct weir_ioas *handed;
	/* under the lock */
	unsigned int spaces;			/* address spaces made from it */
	unsigned int queues;			/* fault queues made from it */
	struct wr_list groups;			/* IOMMU groups of its devices */
	int iommufd;				/* /dev/iommu, opened while it is needed; -1 */
	enum wr_memlock memlock;		/* how that counts what is pinned */
	unsigned int iommufd_users;		/* domains, queues; one if it is the caller's */
	bool iommufd_given;			/* it is the caller's */
};

/* Hold an IOMMU group, which devices share. Let it go with _put. */
int wr_iommu_group_get(struct weir_iommu *iommu, int number, struct wr_group **out);
void wr_iommu_group_put(struct weir_iommu *iommu, struct wr_group *group);

/* The same for a group that is open already; NULL: it isn't. */
struct wr_group *wr_iommu_group_find(struct weir_iommu *iommu, int number);

/*
 * Hold the context's /dev/iommu: 0 with .iommufd and .memlock to be read, or -errno. The second
 * makes it that of @fd, which stays the caller's: -EBUSY when it has one.
 */
int wr_iommu_iommufd_get(struct weir_iommu *iommu);
int wr_iommu_iommufd_adopt(struct weir_iommu *iommu, int fd);
void wr_iommu_iommufd_put(struct weir_iommu *iommu);

static inline struct weir_ioas *wr_iommu_handed(const struct weir_iommu *iommu)
{
	return __atomic_load_n(&iommu->handed, __ATOMIC_RELAXED);
}

#endif
