/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"
#include "device/device.h"

static const char *const irq_names[WEIR_IRQS] = {
	"INTx", "MSI", "MSI-X", "the error interrupt", "the request interrupt",
};

static int check_irq(struct weir_device *dev, enum weir_irq irq)
{
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

/* Have @count eventfds, without a signal from when they were last enabled. */
static int make_fds(struct wr_irqs *irqs, unsigned int count)
{
	int *fds = reallocarray(irqs->fds, count > irqs->made ? count : irqs->made, sizeof(*fds));
	uint64_t stale;

	if (!fds)
		return wr_fail(-ENOMEM, "no memory for %u interrupt vectors", count);
	irqs->fds = fds;
	for (; irqs->made < count; irqs->made++) {
		fds[irqs->made] = wr_sys->eventfd();
		if (fds[irqs->made] < 0)
			return wr_fail(fds[irqs->made], "making an eventfd: %s",
				       strerror(-fds[irqs->made]));
	}
	for (unsigned int i = 0; i < count; i++)
		while (read(fds[i], &stale, sizeof(stale)) == sizeof(stale))
			;
	return 0;
}

static int check_enable(struct weir_device *dev, enum weir_irq irq, unsigned int count)
{
	struct weir_irq_info info;
	int ret = weir_irq_info(dev, irq, &info);

	if (ret)
		return ret;
	if (!info.count)
		return wr_fail(-EINVAL, "%s: it hasn't got %s", dev->name, irq_names[irq]);
	if (!count || count > info.count)
		return wr_fail(-EINVAL, "%s: %u vectors of %s: it has 1 to %u", dev->name, count,
			       irq_names[irq], info.count);
	if (dev->irqs[irq].count)
		return wr_fail(-EBUSY, "%s: %s is enabled already", dev->name, irq_names[irq]);
	for (unsigned int other = WEIR_IRQ_INTX; irq <= WEIR_IRQ_MSIX && other <= WEIR_IRQ_MSIX;
	     other++)
		if (dev->irqs[other].count)
			return wr_fail(-EBUSY, "%s: %s is enabled: disable it first, a device uses "
				       "one of INTx, MSI and MSI-X", dev->name, irq_names[other]);
	return 0;
}

int weir_irq_enable(struct weir_device *dev, enum weir_irq irq, unsigned int count)
{
	struct wr_irqs *irqs;
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	irqs = &dev->irqs[irq];
	pthread_mutex_lock(&dev->lock);
	ret = check_enable(dev, irq, count);
	if (!ret) {
		ret = make_fds(irqs, count);
		if (!ret)
			ret = dev->transport->irq_enable(dev, irq, count, irqs->fds);
		if (!ret)
			irqs->count = count;
		else
			wr_fail_in(ret, "%s: %s", dev->name, irq_names[irq]);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static int disable_locked(struct weir_device *dev, enum weir_irq irq)
{
	struct wr_irqs *irqs = &dev->irqs[irq];
	int ret;

	if (!irqs->count)
		return 0;
	ret = dev->transport->irq_disable(dev, irq);
	if (ret)
		return wr_fail_in(ret, "%s: %s", dev->name, irq_names[irq]);
	irqs->count = 0;
	return 0;
}

int weir_irq_disable(struct weir_device *dev, enum weir_irq irq)
{
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = disable_locked(dev, irq);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

void wr_irqs_close(struct weir_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	for (unsigned int irq = 0; irq < WEIR_IRQS; irq++) {
		struct wr_irqs *irqs = &dev->irqs[irq];

		/* Where the kernel refuses, closing the device's fd will do it. */
		disable_locked(dev, irq);
		for (unsigned int i = 0; i < irqs->made; i++)
			wr_close(irqs->fds[i]);
		free(irqs->fds);
		*irqs = (struct wr_irqs){ 0 };
	}
	pthread_mutex_unlock(&dev->lock);
}

static int check_vector(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	int ret = check_irq(dev, irq);

	if (ret)
		return ret;
	if (vector >= dev->irqs[irq].count)
		return wr_fail(-EINVAL, "%s: vector %u of %s isn't enabled", dev->name, vector,
			       irq_names[irq]);
	return 0;
}

int weir_irq_fd(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	int ret;

	pthread_mutex_lock(&dev->lock);
	ret = check_vector(dev, irq, vector);
	if (!ret)
		ret = dev->irqs[irq].fds[vector];
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int weir_irq_wait(struct weir_device *dev, enum weir_irq irq, unsigned int vector, int timeout_ms)
{
	int64_t end = timeout_ms > 0 ? now_ms() + timeout_ms : 0;
	struct pollfd pfd = { .events = POLLIN };
	int ret, left = timeout_ms;
	uint64_t times;

	pfd.fd = weir_irq_fd(dev, irq, vector);
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
			int64_t rest = end - now_ms();

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

int weir_irq_trigger(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	int ret;

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
