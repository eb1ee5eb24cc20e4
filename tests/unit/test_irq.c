/* SPDX-License-Identifier: MIT */
/*
 * Interrupts over the fake kernel, which keeps to vfio_pci_intrs.c: vectors that are added and
 * replaced, failures that take others along, the lines, and the caller's eventfds.
 */
#include "device_rig.h"
#include "idle_model.h"

#include <pthread.h>
#include <stdatomic.h>

#define EVENTFDS 4

static int mine[EVENTFDS];	/* the caller's */

static int setup_fds(void **state)
{
	setup(state);
	for (unsigned int i = 0; i < EVENTFDS; i++)
		assert_true((mine[i] = wr_sys->eventfd()) >= 0);
	return 0;
}

static int teardown_fds(void **state)
{
	for (unsigned int i = 0; i < EVENTFDS; i++)
		wr_close(mine[i]);
	return teardown(state);
}

/* How many signals there are in an eventfd; it is empty afterwards. */
static unsigned int signals_in(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? (unsigned int)n : 0;
}

/* The device fires a vector, and it arrives in an eventfd of weir's. */
static void assert_fires(enum weir_irq irq, unsigned int vector)
{
	assert_true(fake_interrupt(irq, vector));
	assert_int_equal(weir_irq_wait(dev, irq, vector, 0), 1);
}

static void assert_fires_mine(enum weir_irq irq, unsigned int vector, int fd)
{
	assert_int_equal(signals_in(fd), 0);
	assert_true(fake_interrupt(irq, vector));
	assert_int_equal(signals_in(fd), 1);
	assert_int_equal(weir_irq_fd(dev, irq, vector), fd);
	assert_int_equal(weir_irq_wait(dev, irq, vector, 0), -EINVAL);
	assert_says("the caller's: wait on that");
}

static void assert_silent(enum weir_irq irq, unsigned int vector)
{
	assert_false(fake_interrupt(irq, vector));
	assert_int_equal(weir_irq_fd(dev, irq, vector), -EINVAL);
	assert_int_equal(weir_irq_wait(dev, irq, vector, 0), -EINVAL);
	assert_int_equal(weir_irq_trigger(dev, irq, vector), -EINVAL);
}

/* ---- bad input ---- */

static void vectors_are_in_range(void **state)
{
	static const struct {
		enum weir_irq irq;
		unsigned int first, count;
		const char *part;
	} bad[] = {
		{ WEIR_IRQS, 0, 1, "5 is no weir_irq" }, { (enum weir_irq)-1, 0, 1, "no weir_irq" },
		{ WEIR_IRQ_MSI, 0, 0, "0 vectors of MSI" },
		{ WEIR_IRQ_MSI, 0, 9, "9 vectors of MSI, from vector 0 on: it has 1 to 8" },
		{ WEIR_IRQ_MSI, 8, 1, "from vector 8 on" }, { WEIR_IRQ_MSI, 7, 2, "it has" },
		{ WEIR_IRQ_MSI, 1, ~0u, "it has" }, { WEIR_IRQ_MSI, ~0u, 1, "it has" },
		{ WEIR_IRQ_MSI, ~0u, ~0u, "it has" }, { WEIR_IRQ_MSI, 2, ~0u - 1, "it has" },
		{ WEIR_IRQ_INTX, 1, 1, "it has" }, { WEIR_IRQ_INTX, 0, 2, "it has" },
		{ WEIR_IRQ_REQ, 0, 2, "of the request interrupt" },
		{ WEIR_IRQ_ERR, 0, 1, "it hasn't got the error interrupt" },
	};

	(void)state;
	fake.device.irqs[3].count = 0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(weir_irq_set(dev, bad[i].irq, bad[i].first, bad[i].count, NULL),
				 -EINVAL);
		assert_says(NAME);
		assert_says(bad[i].part);
	}
	/* The kernel would refuse to disable what isn't there. */
	for (int irq = 0; irq < WEIR_IRQS; irq++)
		assert_int_equal(weir_irq_disable(dev, irq), 0);
	assert_int_equal(fake.device.last_set.argsz, 0);
}

static void only_eventfds_are_taken(void **state)
{
	int ends[2], fds[2] = { mine[0], 0 };

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSI, 0, 1, NULL), 0);
	memset(&fake.device.last_set, 0, sizeof(fake.device.last_set));
	fds[1] = ends[1];
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 2, fds), -EBUSY);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSI), 0);
	memset(&fake.device.last_set, 0, sizeof(fake.device.last_set));
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 2, fds), -EINVAL);
	assert_says(NAME ": MSI-X: fd ");
	assert_says("is no eventfd");
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 2, fds), -EBADF);
	assert_says("isn't open");
	fds[1] = -2;
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 2, fds), -EINVAL);
	assert_says("-2 is no fd");
	/* The kernel wasn't asked. */
	assert_int_equal(fake.device.last_set.argsz, 0);
	assert_silent(WEIR_IRQ_MSIX, 0);
}

/* ---- adding and replacing ---- */

static void vectors_are_added(void **state)
{
	unsigned int set;

	(void)state;
	/* Those before the first are there, and silent. */
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 1, 2, NULL), 0);
	assert_silent(WEIR_IRQ_MSIX, 0);
	assert_says("vector 0 of MSI-X has no eventfd");
	assert_silent(WEIR_IRQ_MSIX, 3);
	assert_says("vector 3 of MSI-X isn't enabled");
	assert_fires(WEIR_IRQ_MSIX, 1);

	/* What runs isn't touched, and its pending signals stay. */
	assert_true(fake_interrupt(WEIR_IRQ_MSIX, 1));
	set = fake.device.handlers[1] + fake.device.handlers[2];
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 6, NULL), 0);
	assert_int_equal(fake.device.handlers[1] + fake.device.handlers[2], set);
	assert_int_equal(weir_irq_wait(dev, WEIR_IRQ_MSIX, 1, 0), 1);
	for (unsigned int i = 0; i < 6; i++)
		assert_fires(WEIR_IRQ_MSIX, i);
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 8), -EBUSY);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_INTX, 0, 1, NULL), -EBUSY);
	assert_says("MSI-X is enabled: disable it first");
}

static void msi_cant_grow(void **state)
{
	const int fd = mine[0];

	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 2), 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSI, 2, 1, NULL), -EINVAL);
	assert_says("MSI was enabled with 2 vectors, and can't get more while it is: disable");
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSI, 1, 1, &fd), 0);
	assert_fires(WEIR_IRQ_MSI, 0);
	assert_fires_mine(WEIR_IRQ_MSI, 1, fd);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSI), 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSI, 0, 3, NULL), 0);
	assert_fires(WEIR_IRQ_MSI, 2);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSI), 0);
	/* Nor can MSI-X where the platform can't. */
	fake.device.irqs[2].flags |= WR_VFIO_IRQ_NORESIZE;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 2), 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 1, 2, NULL), -EINVAL);
	assert_fires(WEIR_IRQ_MSIX, 1);
}

static void host_may_have_fewer(void **state)
{
	(void)state;
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 13, NULL), -ENOSPC);
	assert_says(NAME ": MSI-X: enabling 13 interrupt vectors: the host has 12 to give");
	assert_silent(WEIR_IRQ_MSIX, 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 11, NULL), 0);
	/* Of two more there is one: neither is added, and those that run go on. */
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 10, 3, NULL), -ENOSPC);
	assert_silent(WEIR_IRQ_MSIX, 11);
	assert_says("vector 11 of MSI-X isn't enabled");
	assert_fires(WEIR_IRQ_MSIX, 10);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 11, 1, NULL), 0);
	assert_fires(WEIR_IRQ_MSIX, 11);
}

static void callers_fds_stay_the_callers(void **state)
{
	const int fds[3] = { mine[0], -1, mine[1] };
	int own, copy;

	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 4), 0);
	own = weir_irq_fd(dev, WEIR_IRQ_MSIX, 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 3, fds), 0);
	assert_fires_mine(WEIR_IRQ_MSIX, 0, mine[0]);
	assert_silent(WEIR_IRQ_MSIX, 1);
	assert_fires_mine(WEIR_IRQ_MSIX, 2, mine[1]);
	assert_fires(WEIR_IRQ_MSIX, 3);
	assert_int_equal(weir_irq_trigger(dev, WEIR_IRQ_MSIX, 0), 0);
	assert_int_equal(signals_in(mine[0]), 1);

	/* Closed by the caller, it's signalled on; and can be put back after a failure. */
	copy = wr_sys->dup(mine[0]);
	wr_close(mine[0]);
	fake.device.bad_vectors = 1 << 1;
	fake.device.bad_times = 1;
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 2, (int[2]){ mine[2], mine[3] }),
			 -ENOMEM);
	assert_true(fake_interrupt(WEIR_IRQ_MSIX, 0));
	assert_int_equal(signals_in(copy), 1);
	assert_int_equal(signals_in(mine[2]), 0);
	mine[0] = copy;

	/* One eventfd for several vectors; then weir's again, the same as before. */
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 2, (int[2]){ mine[3], mine[3] }), 0);
	assert_fires_mine(WEIR_IRQ_MSIX, 0, mine[3]);
	assert_fires_mine(WEIR_IRQ_MSIX, 1, mine[3]);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 1, NULL), 0);
	assert_int_equal(weir_irq_fd(dev, WEIR_IRQ_MSIX, 0), own);
	assert_fires(WEIR_IRQ_MSIX, 0);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSIX), 0);
	assert_silent(WEIR_IRQ_MSIX, 1);
	assert_int_equal(signals_in(mine[3]), 0);
}

/* ---- failures ---- */

/* Vectors 0 to 3: weir's, the caller's, none, weir's. */
static void some_vectors(void)
{
	const int fds[3] = { mine[0], -1 };

	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 4), 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 1, 2, fds), 0);
}

static void assert_some_vectors(void)
{
	assert_fires(WEIR_IRQ_MSIX, 0);
	assert_fires_mine(WEIR_IRQ_MSIX, 1, mine[0]);
	assert_silent(WEIR_IRQ_MSIX, 2);
	assert_fires(WEIR_IRQ_MSIX, 3);
	assert_silent(WEIR_IRQ_MSIX, 4);
	assert_int_equal(signals_in(mine[3]), 0);
}

static void failed_vectors_are_put_back(void **state)
{
	const int fds[6] = { mine[3], mine[3], mine[3], mine[3], mine[3], mine[3] };

	(void)state;
	some_vectors();
	for (unsigned int bad = 0; bad < 6; bad++) {
		fake.device.bad_vectors = 1u << bad;
		fake.device.bad_times = 1;
		assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 6, fds), -ENOMEM);
		assert_says(NAME ": MSI-X: setting up vectors ");
		assert_int_equal(fake.device.bad_times, 0);
		assert_some_vectors();
	}
	fake.device.bad_vectors = 1u << 5;
	fake.device.bad_times = 1;
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 6, NULL), -ENOMEM);
	assert_some_vectors();
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 6, fds), 0);
	assert_fires_mine(WEIR_IRQ_MSIX, 5, mine[3]);
}

static void what_cant_be_put_back_is_listed(void **state)
{
	const int fds[4] = { mine[3], mine[3], mine[3], mine[3] };

	(void)state;
	some_vectors();
	fake.device.bad_vectors = 1 << 1;
	fake.device.bad_times = ~0u;
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 4, fds), -EIO);
	assert_says(NAME ": MSI-X: setting up vectors 1 to 1: Cannot allocate memory; "
		    "vectors that worked before couldn't be put back, and signal nothing now: 1");
	assert_silent(WEIR_IRQ_MSIX, 1);
	assert_fires(WEIR_IRQ_MSIX, 0);
	assert_fires(WEIR_IRQ_MSIX, 3);
	/* Vector 0 was set already when 3 failed. */
	fake.device.bad_vectors = 1 << 3;
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 4, fds), -EIO);
	assert_says("signal nothing now: 3");
	assert_fires(WEIR_IRQ_MSIX, 0);
	assert_silent(WEIR_IRQ_MSIX, 1);
	assert_silent(WEIR_IRQ_MSIX, 3);
	fake.device.bad_times = 0;
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 4, NULL), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_fires(WEIR_IRQ_MSIX, i);
	assert_int_equal(signals_in(mine[3]), 0);
}

/* Whichever call fails; what the kernel half did it undoes. */
static void every_call_may_fail(void **state)
{
	unsigned int failed = 0;
	int fds;

	(void)state;
	some_vectors();
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 4, NULL), 0);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 1, 2, (int[2]){ mine[0], -1 }), 0);
	fds = count_fds();
	fake.fail_with = -EMFILE;
	for (; ; failed++) {
		const int theirs[5] = { mine[1], -1, mine[2], mine[1], mine[2] };
		int ret;

		fake.fail_at = fake.calls + 1 + failed;
		ret = weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 5, theirs);
		if (!ret)
			break;
		assert_int_equal(ret, -EMFILE);
		assert_some_vectors();
		assert_int_equal(count_fds(), fds);
	}
	/* What the device has, four duplicates, five vectors; then closing, which can't fail. */
	assert_int_equal(failed, 10);
	fake.fail_at = 0;
	assert_fires_mine(WEIR_IRQ_MSIX, 4, mine[2]);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSIX), 0);

	/* weir's own, of which those that were made are kept, and a kind that wasn't enabled. */
	for (failed = 0; ; failed++) {
		fake.fail_at = fake.calls + 1 + failed;
		if (!weir_irq_set(dev, WEIR_IRQ_MSIX, 4, 3, NULL))
			break;
		assert_silent(WEIR_IRQ_MSIX, 4);
		assert_says("isn't enabled");
	}
	assert_int_equal(failed, 4);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSIX), -EMFILE);
	assert_fires(WEIR_IRQ_MSIX, 6);
}

/* ---- INTx and the lines ---- */

static void eventfd_unmasks_intx(void **state)
{
	const int fd = mine[0];

	(void)state;
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_MSI, 0, mine[1]), -ENOTSUP);
	assert_says("MSI can't be masked");
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQS, 0, mine[1]), -EINVAL);
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 0, mine[1]), -EINVAL);
	assert_says("vector 0 of INTx isn't enabled");
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_INTX, 0, 1, &fd), 0);
	assert_fires_mine(WEIR_IRQ_INTX, 0, fd);
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 1, mine[1]), -EINVAL);
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 0, -2), -EINVAL);
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 0, fake.device.memory), -EINVAL);
	assert_says("is no eventfd");
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 0, mine[1]), 0);
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 0, mine[2]), -EBUSY);
	assert_says(NAME ": INTx: an eventfd unmasks it already");
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 0, -1), 0);
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 0, -1), 0);
	assert_int_equal(weir_irq_unmask_fd(dev, WEIR_IRQ_INTX, 0, mine[2]), 0);

	assert_int_equal(weir_irq_mask(dev, WEIR_IRQ_INTX, 0), 0);
	assert_true(fake.device.masked);
	assert_int_equal(weir_irq_unmask(dev, WEIR_IRQ_INTX, 0), 0);
	assert_false(fake.device.masked);
	/* A failure leaves what it signalled. */
	fake.fail_at = fake.calls + 2;
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_INTX, 0, 1, &mine[3]), -EIO);
	assert_fires_mine(WEIR_IRQ_INTX, 0, fd);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_INTX, 0, 1, NULL), 0);
	assert_fires(WEIR_IRQ_INTX, 0);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_INTX), 0);
	assert_silent(WEIR_IRQ_INTX, 0);
}

static void lines_are_like_vectors(void **state)
{
	(void)state;
	for (int irq = WEIR_IRQ_ERR; irq <= WEIR_IRQ_REQ; irq++) {
		const int fd = mine[irq - WEIR_IRQ_ERR], none = -1;

		assert_int_equal(weir_irq_enable(dev, irq, 1), 0);
		assert_fires(irq, 0);
		assert_int_equal(weir_irq_trigger(dev, irq, 0), 0);
		assert_int_equal(weir_irq_wait(dev, irq, 0, 0), 1);
		assert_int_equal(weir_irq_mask(dev, irq, 0), -ENOTSUP);
		assert_int_equal(weir_irq_set(dev, irq, 0, 1, &fd), 0);
		assert_fires_mine(irq, 0, fd);
		/* They don't stand in the way of the others. */
		assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_INTX, 1), 0);
		assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_INTX), 0);
		/* None is disabled, which the kernel would refuse to do again. */
		assert_int_equal(weir_irq_set(dev, irq, 0, 1, &none), 0);
		assert_silent(irq, 0);
		assert_int_equal(weir_irq_disable(dev, irq), 0);
		assert_int_equal(weir_irq_set(dev, irq, 0, 1, &none), 0);
		assert_int_equal(weir_irq_enable(dev, irq, 1), 0);
		assert_int_equal(weir_irq_disable(dev, irq), 0);
		assert_silent(irq, 0);
	}
}

/* ---- under way ---- */

struct firing {
	atomic_bool stop;
	unsigned int fired;
};

static void *fire(void *arg)
{
	struct firing *f = arg;

	do {
		f->fired += fake_interrupt(WEIR_IRQ_MSIX, 0);
	} while (!atomic_load(&f->stop));
	return NULL;
}

/* However the other vectors come and go, none of a running vector's signals is lost. */
static void running_vectors_lose_nothing(void **state)
{
	const int fds[5] = { mine[0], mine[1], -1, mine[2], mine[3] };
	struct firing f = { 0 };
	unsigned int got = 0;
	pthread_t thread;
	int ret;

	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, fire, &f), 0);
	for (unsigned int i = 0; i < 200; i++) {
		assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 1, 5, i % 2 ? fds : NULL), 0);
		assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 6, NULL), 0);
		ret = weir_irq_wait(dev, WEIR_IRQ_MSIX, 0, 0);
		got += ret > 0 ? (unsigned int)ret : 0;
	}
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	ret = weir_irq_wait(dev, WEIR_IRQ_MSIX, 0, 0);
	got += ret > 0 ? (unsigned int)ret : 0;
	assert_true(f.fired);
	assert_int_equal(got, f.fired);
}

/* ---- models in this process ---- */

static void count_warning(void *arg, enum weir_log_level level, const char *text)
{
	(void)level, (void)text;
	++*(unsigned int *)arg;
}

static void models_signal_the_same_way(void **state)
{
	static const struct weir_model_desc desc = {
		.name = "toy", .vendor = 1, .intx = true, .msi = 4, .bars = { { .size = 16 } },
	};
	const int fds[2] = { mine[0], -1 };
	unsigned int warnings = 0;
	struct weir_model *model;
	struct weir_device *soft;

	(void)state;
	assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &model), 0);
	assert_int_equal(weir_device_open_model(NULL, model, NULL, &soft), 0);
	assert_int_equal(weir_device_bus_master(soft, true), 0);
	assert_int_equal(weir_irq_set(soft, WEIR_IRQ_MSI, 0, 5, NULL), -EINVAL);
	assert_int_equal(weir_irq_set(soft, WEIR_IRQ_MSI, 1, 2, fds), 0);
	/* A vector that signals nothing isn't written to. */
	weir_log_set(count_warning, &warnings, WEIR_LOG_WARN);
	assert_int_equal(weir_model_msi(model, 0), 0);
	assert_int_equal(weir_model_msi(model, 1), 0);
	assert_int_equal(weir_model_msi(model, 2), 0);
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
	assert_int_equal(warnings, 0);
	assert_int_equal(weir_model_msi(model, 3), -EINVAL);
	assert_int_equal(signals_in(mine[0]), 1);
	assert_int_equal(weir_irq_fd(soft, WEIR_IRQ_MSI, 0), -EINVAL);
	assert_int_equal(weir_irq_set(soft, WEIR_IRQ_MSI, 2, 2, NULL), -EINVAL);
	assert_says("disable it first");
	assert_int_equal(weir_irq_set(soft, WEIR_IRQ_MSI, 0, 3, NULL), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(weir_model_msi(model, i), 0);
		assert_int_equal(weir_irq_wait(soft, WEIR_IRQ_MSI, i, 0), 1);
	}
	assert_int_equal(signals_in(mine[0]), 0);
	assert_int_equal(weir_irq_disable(soft, WEIR_IRQ_MSI), 0);
	assert_int_equal(weir_irq_enable(soft, WEIR_IRQ_INTX, 1), 0);
	assert_int_equal(weir_irq_unmask_fd(soft, WEIR_IRQ_INTX, 0, mine[1]), -ENOTSUP);
	assert_says("toy: a model in this process");
	assert_int_equal(weir_ioeventfd(soft, 0, 0, 4, 0, mine[1]), -ENOTSUP);
	assert_says("toy: BAR 0, offset 0x0: a model in this process");
	assert_int_equal(weir_device_gone(soft), 0);
	assert_int_equal(weir_region_areas(soft, 0, NULL, 0), 0);
	assert_int_equal(weir_device_close(soft), 0);
	assert_int_equal(weir_model_destroy(model), 0);
}

/* MSI-X of a model can grow, and what runs goes on. */
static void models_get_more_vectors(void **state)
{
	static const struct weir_model_desc desc = {
		.name = "toy", .vendor = 1, .bars = { { .size = 4096 } },
		.msix = 6, .msix_table = 0, .msix_pba = 2048,
	};
	struct weir_model *model;
	struct weir_device *soft;

	(void)state;
	assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &model), 0);
	assert_int_equal(weir_device_open_model(NULL, model, NULL, &soft), 0);
	assert_int_equal(weir_device_bus_master(soft, true), 0);
	assert_int_equal(weir_irq_enable(soft, WEIR_IRQ_MSIX, 2), 0);
	assert_int_equal(weir_model_msi(model, 1), 0);
	assert_int_equal(weir_model_msi(model, 2), -EINVAL);
	assert_int_equal(weir_irq_set(soft, WEIR_IRQ_MSIX, 4, 2, mine), 0);
	assert_int_equal(weir_irq_wait(soft, WEIR_IRQ_MSIX, 1, 0), 1);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(weir_model_msi(model, i), 0);
	assert_int_equal(weir_irq_wait(soft, WEIR_IRQ_MSIX, 0, 0), 1);
	assert_int_equal(weir_irq_fd(soft, WEIR_IRQ_MSIX, 3), -EINVAL);
	assert_int_equal(signals_in(mine[0]), 1);
	assert_int_equal(signals_in(mine[1]), 1);

	/* Gone, it gets no more, keeps what it has, and closes. */
	assert_int_equal(weir_irq_set(soft, WEIR_IRQ_REQ, 0, 1, NULL), 0);
	assert_int_equal(weir_model_signal(model, WEIR_IRQ_REQ), 0);
	assert_int_equal(weir_irq_wait(soft, WEIR_IRQ_REQ, 0, 0), 1);
	assert_int_equal(weir_irq_disable(soft, WEIR_IRQ_MSIX), 0);
	assert_int_equal(weir_irq_enable(soft, WEIR_IRQ_MSIX, 2), 0);
	assert_int_equal(weir_model_remove(model), 0);
	assert_int_equal(weir_irq_set(soft, WEIR_IRQ_MSIX, 1, 3, NULL), -ENODEV);
	assert_says("toy: MSI-X: the device was removed");
	assert_int_equal(weir_irq_fd(soft, WEIR_IRQ_MSIX, 2), -EINVAL);
	assert_true(weir_irq_fd(soft, WEIR_IRQ_MSIX, 1) >= 0);
	assert_int_equal(weir_device_close(soft), 0);
	assert_int_equal(weir_model_destroy(model), 0);
}

#define TEST_FDS(f) cmocka_unit_test_setup_teardown(f, setup_fds, teardown_fds)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(vectors_are_in_range),
		TEST_FDS(only_eventfds_are_taken),
		TEST(vectors_are_added),
		TEST_FDS(msi_cant_grow),
		TEST(host_may_have_fewer),
		TEST_FDS(callers_fds_stay_the_callers),
		TEST_FDS(failed_vectors_are_put_back),
		TEST_FDS(what_cant_be_put_back_is_listed),
		TEST_FDS(every_call_may_fail),
		TEST_FDS(eventfd_unmasks_intx),
		TEST_FDS(lines_are_like_vectors),
		TEST_FDS(running_vectors_lose_nothing),
		TEST_FDS(models_signal_the_same_way),
		TEST_FDS(models_get_more_vectors),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
