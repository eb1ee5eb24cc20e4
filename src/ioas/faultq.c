/* SPDX-License-Identifier: MIT */
/*
 * Page faults of devices. The kernel's cookies for groups are used again as soon as one is answered
 * or its device detached, so that a late answer could reach the wrong group: groups have numbers of
 * weir's own. Which devices the queue is for is kept here, since the kernel knows them by numbers.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/process.h"
#include "base/sys.h"
#include "ioas/hwpt.h"
#include "kernel/hwpt.h"
#include "kernel/iommufd.h"

#define FAULTS_FIRST	64
#define FAULTS_MOST	65536		/* in one group: more than any device keeps up */
#define NO_DEVICE	0		/* is no number of the kernel's (iommufd_ctx's objects) */

/* A device that a page table with this queue is attached to, once for each of these. */
struct user {
	struct user *next;
	struct wr_endpoint *ep;
};

/* A group that was taken, and not answered yet. */
struct waiting {
	struct waiting *next;
	const struct wr_endpoint *ep;
	uint64_t id;
	uint32_t cookie;
	int64_t since;			/* wr_now_ms() */
};

struct weir_faultq {
	struct weir_iommu *iommu;
	uint32_t number;		/* the kernel's */
	int fd;
	unsigned int hwpts;		/* under the context's attach_lock */
	pthread_mutex_t lock;		/* a leaf, for: */
	struct user *users;
	struct waiting *waiting;
	/* who reads */
	struct wr_iommu_pgfault *faults;
	struct weir_page *pages;
	size_t room, n, at;		/* in faults: that were read, and up to there taken */
	uint64_t last_id;
};

static int grow(struct weir_faultq *q)
{
	size_t room = q->room ? 2 * q->room : FAULTS_FIRST;
	struct wr_iommu_pgfault *faults = calloc(room, sizeof(*faults));
	struct weir_page *pages = calloc(room, sizeof(*pages));

	if (!faults || !pages) {
		free(faults);
		free(pages);
		return wr_fail(-ENOMEM, "no memory for %zu page faults", room);
	}
	free(q->faults);
	free(q->pages);
	q->faults = faults;
	q->pages = pages;
	q->room = room;
	return 0;
}

static void free_queue(struct weir_faultq *q)
{
	free(q->faults);
	free(q->pages);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int weir_faultq_open(struct weir_iommu *iommu, struct weir_faultq **out)
{
	struct weir_faultq *q;
	int ret = wr_check_process(iommu->process);

	if (ret)
		return ret;
	q = calloc(1, sizeof(*q));
	if (!q)
		return wr_fail(-ENOMEM, "no memory for a fault queue");
	pthread_mutex_init(&q->lock, NULL);
	q->iommu = iommu;
	ret = grow(q);
	if (!ret)
		ret = wr_iommu_iommufd_get(iommu);
	if (ret)
		goto free_queue;
	ret = wr_iommufd_faultq_alloc(iommu->iommufd, &q->number, &q->fd);
	if (ret)
		goto put_iommufd;
	pthread_mutex_lock(&iommu->lock);
	iommu->queues++;
	pthread_mutex_unlock(&iommu->lock);
	*out = q;
	return 0;
put_iommufd:
	wr_iommu_iommufd_put(iommu);
free_queue:
	free_queue(q);
	return ret;
}

int weir_faultq_close(struct weir_faultq *queue)
{
	struct weir_iommu *iommu;
	unsigned int hwpts;
	int ret;

	if (!queue)
		return 0;
	iommu = queue->iommu;
	ret = wr_check_process(iommu->process);
	if (ret)
		return ret;
	pthread_mutex_lock(&iommu->attach_lock);
	hwpts = queue->hwpts;
	pthread_mutex_unlock(&iommu->attach_lock);
	if (hwpts)
		return wr_fail(-EBUSY, "the fault queue is in use by %u page tables: free them "
			       "first", hwpts);
	/* The fd holds the queue, too. */
	wr_close(queue->fd);
	wr_iommufd_destroy(iommu->iommufd, queue->number);
	wr_iommu_iommufd_put(iommu);
	pthread_mutex_lock(&iommu->lock);
	iommu->queues--;
	pthread_mutex_unlock(&iommu->lock);
	while (queue->waiting) {
		struct waiting *w = queue->waiting;

		queue->waiting = w->next;
		free(w);
	}
	free_queue(queue);
	return 0;
}

int weir_faultq_fd(struct weir_faultq *queue)
{
	int ret = wr_check_process(queue->iommu->process);

	return ret ? ret : queue->fd;
}

/* ---- page tables and devices ---- */

uint32_t wr_faultq_get(struct weir_faultq *queue)
{
	queue->hwpts++;
	return queue->number;
}

void wr_faultq_put(struct weir_faultq *queue)
{
	queue->hwpts--;
}

bool wr_faultq_is_of(const struct weir_faultq *queue, const struct weir_iommu *iommu)
{
	return queue->iommu == iommu;
}

int wr_faultq_add(struct weir_faultq *queue, struct wr_endpoint *ep)
{
	struct user *user = malloc(sizeof(*user));

	if (!user)
		return wr_fail(-ENOMEM, "no memory");
	user->ep = ep;
	pthread_mutex_lock(&queue->lock);
	user->next = queue->users;
	queue->users = user;
	pthread_mutex_unlock(&queue->lock);
	return 0;
}

/* By detaching it the kernel has answered what waited (iommufd_auto_response_faults()). */
void wr_faultq_remove(struct weir_faultq *queue, struct wr_endpoint *ep)
{
	struct user **at = &queue->users, *user;
	struct waiting **w = &queue->waiting;

	pthread_mutex_lock(&queue->lock);
	while ((*at)->ep != ep)
		at = &(*at)->next;
	user = *at;
	*at = user->next;
	for (at = &queue->users; *at && (*at)->ep != ep;)
		at = &(*at)->next;
	/* Its number can be another device's next. */
	for (size_t i = queue->at; !*at && i < queue->n; i++)
		if (queue->faults[i].dev_id == ep->devid)
			queue->faults[i].dev_id = NO_DEVICE;
	while (!*at && *w) {
		struct waiting *gone = *w;

		if (gone->ep != ep) {
			w = &gone->next;
			continue;
		}
		*w = gone->next;
		free(gone);
	}
	pthread_mutex_unlock(&queue->lock);
	free(user);
}

/* ---- groups ---- */

/* A cookie that comes again was free: the group that had it has been answered, by a detach. */
static void forget_answered(struct weir_faultq *q)
{
	for (size_t i = 0; i < q->n; i++) {
		for (struct waiting **at = &q->waiting; *at;) {
			struct waiting *w = *at;

			if (w->cookie != q->faults[i].cookie) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			free(w);
		}
	}
}

/*
 * Cookies are given by read(): no answer may come between that and what it says of the older ones.
 * Returns as read().
 */
static ssize_t read_groups(struct weir_faultq *q)
{
	const size_t size = sizeof(*q->faults);
	ssize_t ret;

	pthread_mutex_lock(&q->lock);
	ret = wr_sys->read(q->fd, q->faults, q->room * size);
	if (ret > 0 && !((size_t)ret % size) && (size_t)ret <= q->room * size) {
		q->n = (size_t)ret / size;
		q->at = 0;
		forget_answered(q);
	}
	pthread_mutex_unlock(&q->lock);
	return ret;
}

/* Read from the kernel what it has, whole groups: 1, or 0 for none until then. */
static int fill(struct weir_faultq *q, int64_t end)
{
	ssize_t ret = wr_iommufd_wait(q->fd, end);

	if (ret > 0)
		ret = read_groups(q);
	while (ret == -EINVAL) {
		/* The first group is larger. */
		if (q->room >= FAULTS_MOST)
			return wr_fail(-EIO, "a device asks for more than %d pages in one group",
				       FAULTS_MOST);
		ret = grow(q);
		if (ret)
			return (int)ret;
		ret = read_groups(q);
	}
	if (ret < 0)
		return wr_fail((int)ret, "reading page faults: %s", strerror((int)-ret));
	if (ret && q->at == q->n)
		return wr_fail(-EIO, "%zd bytes of page faults were read, and each has %zu", ret,
			       sizeof(*q->faults));
	return ret > 0;
}

static struct wr_endpoint *find_device(const struct weir_faultq *q, uint32_t devid)
{
	const struct user *user = q->users;

	while (user && user->ep->devid != devid)
		user = user->next;
	return user ? user->ep : NULL;
}

/* Of the group that is next in what was read. */
static size_t group_len(const struct weir_faultq *q)
{
	const struct wr_iommu_pgfault *first = &q->faults[q->at];
	size_t n = 1;

	while (q->at + n < q->n && first[n].cookie == first->cookie &&
	       !(first[n - 1].flags & WR_IOMMU_FAULT_LAST))
		n++;
	return n;
}

static void tell(struct weir_faultq *q, struct wr_endpoint *ep, uint64_t id, size_t n,
		 struct weir_page_group *group)
{
	const struct wr_iommu_pgfault *first = &q->faults[q->at];

	*group = (struct weir_page_group){
		.dev = ep->dev,
		.has_pasid = first->flags & WR_IOMMU_FAULT_HAS_PASID,
		.pasid = first->flags & WR_IOMMU_FAULT_HAS_PASID ? first->pasid : 0,
		.index = first->grpid,
		.id = id,
		.n = n,
		.pages = q->pages,
	};
	for (size_t i = 0; i < n; i++)
		q->pages[i] = (struct weir_page){
			.iova = first[i].addr,
			.len = first[i].length,
			.read = first[i].perm & WR_IOMMU_FAULT_READ,
			.write = first[i].perm & WR_IOMMU_FAULT_WRITE,
			.exec = first[i].perm & WR_IOMMU_FAULT_EXEC,
			.priv = first[i].perm & WR_IOMMU_FAULT_PRIV,
		};
}

/* 1, or 0 when it is of a device that was detached since. Without memory it can be taken again. */
static int take(struct weir_faultq *q, struct weir_page_group *group)
{
	struct waiting *w = malloc(sizeof(*w));
	size_t n = group_len(q);
	struct wr_endpoint *ep;

	if (!w)
		return wr_fail(-ENOMEM, "no memory for a group of page faults");
	pthread_mutex_lock(&q->lock);
	ep = find_device(q, q->faults[q->at].dev_id);
	if (ep) {
		*w = (struct waiting){
			.next = q->waiting,
			.ep = ep,
			.id = ++q->last_id,
			.cookie = q->faults[q->at].cookie,
			.since = wr_now_ms(),
		};
		q->waiting = w;
		tell(q, ep, w->id, n, group);
	}
	q->at += n;
	pthread_mutex_unlock(&q->lock);
	if (!ep)
		free(w);
	return ep != NULL;
}

int weir_faultq_read(struct weir_faultq *queue, int timeout, struct weir_page_group *group)
{
	int ret = wr_check_process(queue->iommu->process);
	const int64_t end = wr_iommufd_end(timeout);

	/* Another reader may be faster, and a group be of a device that has been detached. */
	while (!ret) {
		if (queue->at == queue->n) {
			ret = fill(queue, end);
			if (ret < 0 || (!ret && wr_now_ms() >= end))
				return ret;
		}
		ret = queue->at == queue->n ? 0 : take(queue, group);
	}
	return ret;
}

/* With the lock held. The kernel knows it no longer: so does weir. */
static int answer(struct weir_faultq *q, struct waiting **at, bool mapped)
{
	const struct wr_iommu_page_response response = {
		.cookie = (*at)->cookie,
		.code = mapped ? WR_IOMMU_RESPONSE_SUCCESS : WR_IOMMU_RESPONSE_INVALID,
	};
	ssize_t ret = wr_sys->write(q->fd, &response, sizeof(response));
	struct waiting *w = *at;

	if (ret < 0 && ret != -EINVAL)
		return wr_fail((int)ret, "answering page faults: %s", strerror((int)-ret));
	*at = w->next;
	free(w);
	return ret < 0 ? -ENOENT : 0;
}

int weir_faultq_answer(struct weir_faultq *queue, uint64_t id, bool mapped)
{
	int ret = wr_check_process(queue->iommu->process);
	struct waiting **at = &queue->waiting;

	if (ret)
		return ret;
	pthread_mutex_lock(&queue->lock);
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	ret = *at ? answer(queue, at, mapped) : -ENOENT;
	pthread_mutex_unlock(&queue->lock);
	if (ret == -ENOENT)
		return wr_fail(ret, "no group %llu of page faults waits for an answer: it has got "
			       "one, or its device was detached, and told that it is invalid",
			       (unsigned long long)id);
	return ret;
}

int weir_faultq_expire(struct weir_faultq *queue, unsigned int age)
{
	int ret = wr_check_process(queue->iommu->process), n = 0;
	struct waiting **at = &queue->waiting;
	int64_t now = wr_now_ms();

	if (ret)
		return ret;
	pthread_mutex_lock(&queue->lock);
	while (*at && !ret) {
		if (now - (*at)->since < age) {
			at = &(*at)->next;
			continue;
		}
		ret = answer(queue, at, false);
		n += !ret;
		if (ret == -ENOENT)
			ret = 0;
	}
	pthread_mutex_unlock(&queue->lock);
	return ret ? ret : n;
}
