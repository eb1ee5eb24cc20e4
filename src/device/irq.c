/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"
#include "device/device.h"
#include "ioas/handover.h"
#include "kernel/vdev.h"

static const char *const irq_names[WEIR_IRQS] = {
	"INTx", "MSI", "MSI-X", "the error interrupt", "the request interrupt",
};

static int check_irq(struct weir_device *dev, enum weir_irq irq)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	if ((unsigned int)irq >= WEIR_IRQS)
		return wr_fail(-EINVAL, "%s: %d is no weir_irq", dev->name, (int)irq);
	return 0;
}

int weir_irq_info(struct weir_device *dev, enum weir_irq irq, struct weir_irq_info *info)
{
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	*info = (struct weir_irq_info){ 0 };
	ret = dev->transport->irq_info(dev, irq, info);
	return ret ? wr_fail_in(ret, "%s", dev->name) : 0;
}

static int check_kind(struct weir_device *dev, enum weir_irq irq)
{
	for (unsigned int other = WEIR_IRQ_INTX; irq <= WEIR_IRQ_MSIX && other <= WEIR_IRQ_MSIX;
	     other++)
		if (other != irq && dev->irqs[other].count)
			return wr_fail(-EBUSY, "%s: %s is enabled: disable it first, a device uses "
				       "one of INTx, MSI and MSI-X", dev->name, irq_names[other]);
	return 0;
}

static int check_set(struct weir_device *dev, enum weir_irq irq, unsigned int first,
		     unsigned int count)
{
	unsigned int enabled = dev->irqs[irq].count;
	struct weir_irq_info info;
	int ret = weir_irq_info(dev, irq, &info);

	if (ret)
		return ret;
	if (!info.count)
		return wr_fail(-EINVAL, "%s: it hasn't got %s", dev->name, irq_names[irq]);
	if (!count || first >= info.count || count > info.count - first)
		return wr_fail(-EINVAL, "%s: %u vectors of %s, from vector %u on: it has 1 to %u",
			       dev->name, count, irq_names[irq], first, info.count);
	if (enabled && first + count > enabled && !info.resizable)
		return wr_fail(-EINVAL, "%s: %s was enabled with %u vectors, and can't get more "
			       "while it is: disable it first", dev->name, irq_names[irq], enabled);
	return check_kind(dev, irq);
}

static int make_room(struct wr_irqs *irqs, unsigned int room)
{
	struct wr_vector *v;

	if (room <= irqs->room)
		return 0;
	v = reallocarray(irqs->v, room, sizeof(*v));
	if (!v)
		return wr_fail(-ENOMEM, "no memory for %u interrupt vectors", room);
	irqs->v = v;
	for (; irqs->room < room; irqs->room++)
		v[irqs->room] = (struct wr_vector){ .own = -1, .given = -1, .fd = -1 };
	return 0;
}

/* weir's eventfd for a vector, without a signal from when it was last used. */
static int use_own(struct wr_vector *v, int *out)
{
	uint64_t stale;

	if (v->own < 0) {
		int fd = wr_sys->eventfd();

		if (fd < 0)
			return wr_fail(fd, "making an eventfd: %s", strerror(-fd));
		v->own = fd;
	}
	if (v->fd != v->own)
		while (read(v->own, &stale, sizeof(stale)) == sizeof(stale))
			;
	*out = v->own;
	return 0;
}

/* A duplicate of a caller's eventfd, so that it can be set again whatever becomes of the number. */
static int use_given(int fd, int *out)
{
	int ret;

	*out = -1;
	if (fd == -1)
		return 0;
	ret = wr_check_eventfd(fd);
	if (ret)
		return ret;
	*out = wr_sys->dup(fd);
	return *out < 0 ? wr_fail(*out, "keeping hold of fd %d: %s", fd, strerror(-*out)) : 0;
}

static void close_all(const int *fds, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		wr_close(fds[i]);
}

/* What the vectors are to signal; when that fails, no duplicate is left. */
static int collect(struct wr_vector *v, unsigned int count, const int *fds, int *want)
{
	for (unsigned int i = 0; i < count; i++) {
		int ret = fds ? use_given(fds[i], &want[i]) : use_own(&v[i], &want[i]);

		if (!ret)
			continue;
		if (fds)
			close_all(want, i);
		return ret;
	}
	return 0;
}

/* From now on it signals @fd, of the caller's @given (-1: not the caller's). */
static void now_signals(struct wr_vector *v, int fd, int given)
{
	if (v->given >= 0)
		wr_close(v->fd);
	v->fd = fd;
	v->given = given;
}

/*
 * After vector @failed of those that were set one after the other: all up to it signal again what
 * they did. Returns @err, or -EIO with what was lost.
 */
static int restore(struct weir_device *dev, enum weir_irq irq, unsigned int first,
		   unsigned int failed, const int *want, int err)
{
	char why[512], lost[256] = "";

	snprintf(why, sizeof(why), "%s", weir_errmsg());
	for (unsigned int i = 0; i <= failed; i++) {
		struct wr_vector *v = &dev->irqs[irq].v[first + i];

		if (want[i] == v->fd ||
		    !dev->transport->irq_set(dev, irq, first + i, 1, &v->fd) || v->fd < 0)
			continue;
		wr_append(lost, sizeof(lost), " %u", first + i);
		now_signals(v, -1, -1);
	}
	if (!*lost)
		return wr_fail(err, "%s", why);
	return wr_fail(-EIO, "%s; vectors that worked before couldn't be put back, and signal "
		       "nothing now:%s", why, lost);
}

/*
 * A kind that isn't enabled takes its vectors as a block, all or none. Later they are set one by
 * one, since of a block that fails the kernel drops all vectors up to the failing one, and doesn't
 * say which that was (vfio_msi_set_block() in drivers/vfio/pci/vfio_pci_intrs.c). What signals
 * already what it is to signal isn't touched: setting it again could lose an interrupt.
 */
static int apply(struct weir_device *dev, enum weir_irq irq, unsigned int first,
		 unsigned int count, const int *want)
{
	const struct wr_vector *v = dev->irqs[irq].v + first;

	if (!dev->irqs[irq].count)
		return dev->transport->irq_set(dev, irq, first, count, want);
	for (unsigned int i = 0; i < count; i++) {
		int ret = want[i] == v[i].fd ? 0 :
			  dev->transport->irq_set(dev, irq, first + i, 1, &want[i]);

		if (ret)
			return restore(dev, irq, first, i, want, ret);
	}
	return 0;
}

static int set_locked(struct weir_device *dev, enum weir_irq irq, unsigned int first,
		      unsigned int count, const int *fds)
{
	struct wr_irqs *irqs = &dev->irqs[irq];
	int *want, ret = make_room(irqs, first + count);

	if (ret)
		return ret;
	want = calloc(count, sizeof(*want));
	if (!want)
		return wr_fail(-ENOMEM, "no memory for %u interrupt vectors", count);
	ret = collect(irqs->v + first, count, fds, want);
	if (!ret) {
		ret = apply(dev, irq, first, count, want);
		if (ret && fds)
			close_all(want, count);
	}
	if (!ret) {
		for (unsigned int i = 0; i < count; i++)
			now_signals(&irqs->v[first + i], want[i], fds ? fds[i] : -1);
		if (first + count > irqs->count)
			irqs->count = first + count;
		/* There the kernel takes -1 for disabling (vfio_pci_set_ctx_trigger_single()). */
		if (irq > WEIR_IRQ_MSIX && irqs->v[0].fd < 0)
			irqs->count = 0;
	}
	free(want);
	return ret;
}

static int is_suspended(const struct weir_device *dev)
{
	return wr_fail(-EAGAIN, "%s: it is being recovered (EEH), and its interrupts with it: try "
		       "again", dev->name);
}

static int set(struct weir_device *dev, enum weir_irq irq, unsigned int first, unsigned int count,
	       const int *fds, bool anew)
{
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	if (dev->irqs_suspended)
		ret = is_suspended(dev);
	else if (anew && dev->irqs[irq].count)
		ret = wr_fail(-EBUSY, "%s: %s is enabled already", dev->name, irq_names[irq]);
	else
		ret = check_set(dev, irq, first, count);
	if (!ret) {
		ret = set_locked(dev, irq, first, count, fds);
		if (ret)
			wr_fail_in(ret, "%s: %s", dev->name, irq_names[irq]);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int weir_irq_set(struct weir_device *dev, enum weir_irq irq, unsigned int first,
		 unsigned int count, const int *fds)
{
	return set(dev, irq, first, count, fds, false);
}

int weir_irq_enable(struct weir_device *dev, enum weir_irq irq, unsigned int count)
{
	return set(dev, irq, 0, count, NULL, true);
}

static void is_disabled(struct wr_irqs *irqs)
{
	for (unsigned int i = 0; i < irqs->count; i++)
		now_signals(&irqs->v[i], -1, -1);
	irqs->count = 0;
}

static int disable_locked(struct weir_device *dev, enum weir_irq irq)
{
	int ret;

	if (!dev->irqs[irq].count)
		return 0;
	ret = dev->transport->irq_disable(dev, irq);
	if (ret)
		return wr_fail_in(ret, "%s: %s", dev->name, irq_names[irq]);
	is_disabled(&dev->irqs[irq]);
	return 0;
}

int weir_irq_disable(struct weir_device *dev, enum weir_irq irq)
{
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = dev->irqs_suspended ? is_suspended(dev) : disable_locked(dev, irq);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static int suspend_locked(struct weir_device *dev, struct wr_suspended *s)
{
	int ret;

	while (s->irq <= WEIR_IRQ_MSIX && !dev->irqs[s->irq].count)
		s->irq++;
	if (s->irq > WEIR_IRQ_MSIX)
		return 0;
	s->count = dev->irqs[s->irq].count;
	s->fds = calloc(s->count, sizeof(*s->fds));
	if (!s->fds)
		return wr_fail(-ENOMEM, "%s: no memory for %u interrupt vectors", dev->name,
			       s->count);
	for (unsigned int i = 0; i < s->count; i++)
		s->fds[i] = dev->irqs[s->irq].v[i].fd;
	ret = dev->transport->irq_disable(dev, s->irq);
	if (!ret)
		return 0;
	free(s->fds);
	return wr_fail_in(ret, "%s: %s", dev->name, irq_names[s->irq]);
}

int wr_irqs_suspend(struct weir_device *dev, struct wr_suspended *s)
{
	int ret;

	*s = (struct wr_suspended){ .irq = WEIR_IRQ_INTX };
	pthread_mutex_lock(&dev->lock);
	ret = dev->irqs_suspended ? is_suspended(dev) : suspend_locked(dev, s);
	if (!ret)
		dev->irqs_suspended = true;
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int wr_irqs_resume(struct weir_device *dev, struct wr_suspended *s, bool again)
{
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	dev->irqs_suspended = false;
	if (again && s->count)
		ret = dev->transport->irq_set(dev, s->irq, 0, s->count, s->fds);
	if (ret)
		wr_fail_in(ret, "%s: enabling %s again", dev->name, irq_names[s->irq]);
	if (s->count && (ret || !again))
		is_disabled(&dev->irqs[s->irq]);
	pthread_mutex_unlock(&dev->lock);
	free(s->fds);
	return ret;
}

bool wr_irqs_vector(const struct wr_endpoint *ep, unsigned int irq, unsigned int vector,
		    int *eventfd)
{
	const struct weir_device *dev = wr_container_of(ep, struct weir_device, ep);
	const struct wr_irqs *irqs = &dev->irqs[irq];

	if (vector >= irqs->count)
		return false;
	*eventfd = irqs->v[vector].given < 0 ? irqs->v[vector].fd : -1;
	return true;
}

int wr_irqs_unpack(struct weir_device *dev, struct wr_parcel *parcel)
{
	const int *eventfd = parcel->eventfds;
	int ret = 0;

	for (unsigned int irq = 0; irq < WEIR_IRQS && !ret; irq++)
		ret = make_room(&dev->irqs[irq], parcel->vectors[irq]);
	for (unsigned int irq = 0; irq < WEIR_IRQS; irq++) {
		struct wr_irqs *irqs = &dev->irqs[irq];

		if (ret) {
			free(irqs->v);
			*irqs = (struct wr_irqs){ 0 };
			continue;
		}
		irqs->count = parcel->vectors[irq];
		for (unsigned int i = 0; i < irqs->count; i++)
			irqs->v[i].own = irqs->v[i].fd = *eventfd++;
	}
	if (!ret)
		parcel->n_eventfds = 0;
	return ret;
}

void wr_irqs_close(struct weir_device *dev, bool handed)
{
	pthread_mutex_lock(&dev->lock);
	for (unsigned int irq = 0; irq < WEIR_IRQS; irq++) {
		struct wr_irqs *irqs = &dev->irqs[irq];

		/* Where the kernel refuses, closing the device's fd will do it. */
		if (!handed)
			disable_locked(dev, irq);
		for (unsigned int i = 0; i < irqs->room; i++) {
			now_signals(&irqs->v[i], -1, -1);
			wr_close(irqs->v[i].own);
		}
		free(irqs->v);
		*irqs = (struct wr_irqs){ 0 };
	}
	pthread_mutex_unlock(&dev->lock);
}

static int check_vector(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	if (vector >= dev->irqs[irq].count)
		return wr_fail(-EINVAL, "%s: vector %u of %s isn't enabled", dev->name, vector,
			       irq_names[irq]);
	if (dev->irqs[irq].v[vector].fd < 0)
		return wr_fail(-EINVAL, "%s: vector %u of %s has no eventfd to signal", dev->name,
			       vector, irq_names[irq]);
	return 0;
}

int weir_irq_fd(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = check_vector(dev, irq, vector);
	if (!ret) {
		const struct wr_vector *v = &dev->irqs[irq].v[vector];

		ret = v->given >= 0 ? v->given : v->fd;
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* weir's eventfd of a vector. */
static int own_fd(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = check_vector(dev, irq, vector);
	if (!ret && dev->irqs[irq].v[vector].given >= 0)
		ret = wr_fail(-EINVAL, "%s: vector %u of %s signals an eventfd of the caller's: "
			      "wait on that", dev->name, vector, irq_names[irq]);
	if (!ret)
		ret = dev->irqs[irq].v[vector].own;
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int weir_irq_wait(struct weir_device *dev, enum weir_irq irq, unsigned int vector, int timeout_ms)
{
	int64_t end = timeout_ms > 0 ? wr_now_ms() + timeout_ms : 0;
	struct pollfd pfd = { .events = POLLIN };
	int ret, left = timeout_ms;
	uint64_t times;

	pfd.fd = own_fd(dev, irq, vector);
	if (pfd.fd < 0)
		return pfd.fd;
	for (;;) {
		ret = poll(&pfd, 1, left);
		if (ret < 0)
			return wr_fail(-errno, "%s: waiting for %s, vector %u: %s", dev->name,
				       irq_names[irq], vector, strerror(errno));
		if (ret && read(pfd.fd, &times, sizeof(times)) == sizeof(times))
			return times > INT_MAX ? INT_MAX : (int)times;
		if (!ret || errno != EAGAIN)
			return wr_fail(-ETIMEDOUT, "%s: no interrupt by %s, vector %u, within "
				       "%d ms", dev->name, irq_names[irq], vector, timeout_ms);
		/* Another thread was faster: there is nothing left to be read, wait on. */
		if (timeout_ms > 0) {
			int64_t rest = end - wr_now_ms();

			left = rest > 0 ? (int)rest : 0;
		}
	}
}

static int set_mask(struct weir_device *dev, enum weir_irq irq, unsigned int vector, bool mask)
{
	struct weir_irq_info info;
	int ret = weir_irq_info(dev, irq, &info);

	if (ret)
		return ret;
	if (!info.maskable)
		return wr_fail(-ENOTSUP, "%s: %s can't be masked", dev->name, irq_names[irq]);
	pthread_mutex_lock(&dev->lock);
	ret = check_vector(dev, irq, vector);
	if (!ret) {
		ret = dev->transport->irq_mask(dev, irq, vector, mask);
		if (ret)
			wr_fail_in(ret, "%s: %s", dev->name, irq_names[irq]);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int weir_irq_mask(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	return set_mask(dev, irq, vector, true);
}

int weir_irq_unmask(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	return set_mask(dev, irq, vector, false);
}

static int check_unmask_fd(struct weir_device *dev, enum weir_irq irq, int fd)
{
	struct weir_irq_info info;
	int ret = weir_irq_info(dev, irq, &info);

	if (ret)
		return ret;
	if (!info.maskable)
		return wr_fail(-ENOTSUP, "%s: %s can't be masked", dev->name, irq_names[irq]);
	if (!dev->transport->irq_unmask_fd)
		return wr_fail(-ENOTSUP, "%s: a model in this process has no kernel that could "
			       "unmask it for an eventfd: call weir_irq_unmask()", dev->name);
	ret = fd == -1 ? 0 : wr_check_eventfd(fd);
	return ret ? wr_fail_in(ret, "%s: %s", dev->name, irq_names[irq]) : 0;
}

int weir_irq_unmask_fd(struct weir_device *dev, enum weir_irq irq, unsigned int vector, int fd)
{
	int ret = check_unmask_fd(dev, irq, fd);

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = check_vector(dev, irq, vector);
	if (!ret) {
		ret = dev->transport->irq_unmask_fd(dev, irq, vector, fd);
		if (ret)
			wr_fail_in(ret, "%s: %s", dev->name, irq_names[irq]);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int weir_irq_trigger(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = check_vector(dev, irq, vector);
	if (!ret) {
		ret = dev->transport->irq_trigger(dev, irq, vector);
		if (ret)
			wr_fail_in(ret, "%s: %s", dev->name, irq_names[irq]);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}
