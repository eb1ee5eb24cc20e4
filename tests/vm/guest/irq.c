/* SPDX-License-Identifier: MIT */
/*
 * Interrupts beyond one vector and weir's own eventfds: an igb, the registers of whose interrupts
 * the 82576's data sheet describes in section 8.8, and an edu for INTx.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "tests/vm/guest/guest.h"

#define IGB_GPIE	0x1514		/* general purpose interrupt enable */
#define IGB_EICS	0x1520		/* causes are set by writing them */
#define IGB_EIMS	0x1524		/* causes that may fire */
#define IGB_EIAC	0x152c		/* causes that are cleared as they fire */
#define GPIE_MULTIPLE_MSIX	0x10	/* cause n is vector n's */

#define VECTORS 10

struct igb {
	struct weir_device *dev;
	struct weir_bar *bar;
};

/* Ready to fire any vector that is enabled. */
static struct igb open_igb(void)
{
	struct igb igb;

	MUST(weir_device_open(NULL, device("WEIR_TEST_IGB"), NULL, &igb.dev));
	MUST(weir_bar_open(igb.dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &igb.bar));
	MUST(weir_device_bus_master(igb.dev, true));
	weir_write32(igb.bar, IGB_GPIE, GPIE_MULTIPLE_MSIX);
	weir_write32(igb.bar, IGB_EIAC, (1 << VECTORS) - 1);
	weir_write32(igb.bar, IGB_EIMS, (1 << VECTORS) - 1);
	return igb;
}

static void close_igb(struct igb igb)
{
	MUST(weir_bar_close(igb.bar));
	MUST(weir_device_close(igb.dev));
}

/* How often an eventfd was written since the last time, waiting for the first; 0 for never. */
static uint64_t signals(int fd, int timeout_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;

	if (MUST(poll(&ready, 1, timeout_ms)) == 1)
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}

static void ring(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

struct run {
	struct igb igb;
	unsigned int running;		/* vectors 0 to running - 1 are fired */
	unsigned int rounds;
	bool stop;
	char why[256];
};

static bool fire(struct run *r)
{
	unsigned int running = __atomic_load_n(&r->running, __ATOMIC_ACQUIRE);
	int ret;

	weir_write32(r->igb.bar, IGB_EICS, (1u << running) - 1);
	for (unsigned int i = 0; i < running; i++) {
		ret = weir_irq_wait(r->igb.dev, WEIR_IRQ_MSIX, i, 10000);
		if (ret != 1) {
			snprintf(r->why, sizeof(r->why), "round %u, vector %u of %u: %d, %s",
				 r->rounds, i, running, ret, ret < 0 ? weir_errmsg() : "");
			return false;
		}
	}
	__atomic_add_fetch(&r->rounds, 1, __ATOMIC_RELEASE);
	return true;
}

static void *fire_on(void *arg)
{
	struct run *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED) && fire(r))
		continue;
	__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
	return NULL;
}

/* More rounds, or the end of the thread that makes them. */
static void let_it_run(struct run *r)
{
	unsigned int until = __atomic_load_n(&r->rounds, __ATOMIC_ACQUIRE) + 20;

	while ((int)(__atomic_load_n(&r->rounds, __ATOMIC_ACQUIRE) - until) < 0 &&
	       !__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
		usleep(1000);
}

/* Each signal of a vector that runs arrives, once, whatever is added beside it; and each vector
 * that was added fires. */
static void added_while_others_fire(void **state)
{
	struct run r = { .igb = open_igb(), .running = 1 };
	struct weir_device *dev = r.igb.dev;
	struct weir_irq_info info;
	pthread_t thread;

	(void)state;
	MUST(weir_irq_info(dev, WEIR_IRQ_MSIX, &info));
	assert_int_equal(info.count, VECTORS);
	assert_true(info.resizable);
	MUST(weir_irq_set(dev, WEIR_IRQ_MSIX, 0, 1, NULL));
	assert_int_equal(pthread_create(&thread, NULL, fire_on, &r), 0);
	for (unsigned int i = 1; i < VECTORS; i++) {
		let_it_run(&r);
		MUST(weir_irq_set(dev, WEIR_IRQ_MSIX, i, 1, NULL));
		__atomic_store_n(&r.running, i + 1, __ATOMIC_RELEASE);
	}
	let_it_run(&r);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	if (r.why[0])
		fail_msg("%s", r.why);
	for (unsigned int i = 0; i < VECTORS; i++)
		must_fail(weir_irq_wait(dev, WEIR_IRQ_MSIX, i, 0), -ETIMEDOUT, "MSI-X");
	print_message("# %u rounds\n", r.rounds);
	MUST(weir_irq_disable(dev, WEIR_IRQ_MSIX));
	close_igb(r.igb);
}

/* Eventfds of the caller's, given, replaced and taken away, while another vector has weir's. */
static void eventfds_of_the_callers(void **state)
{
	struct igb igb = open_igb();
	int fds[3] = { eventfd(0, 0), eventfd(0, 0), -1 };

	(void)state;
	MUST(weir_irq_set(igb.dev, WEIR_IRQ_MSIX, 0, 1, NULL));
	MUST(weir_irq_set(igb.dev, WEIR_IRQ_MSIX, 1, 2, fds));
	weir_write32(igb.bar, IGB_EICS, 7);
	assert_int_equal(weir_irq_wait(igb.dev, WEIR_IRQ_MSIX, 0, 5000), 1);
	assert_int_equal(signals(fds[0], 5000), 1);
	assert_int_equal(signals(fds[1], 5000), 1);

	MUST(weir_irq_set(igb.dev, WEIR_IRQ_MSIX, 1, 2, fds + 1));
	weir_write32(igb.bar, IGB_EICS, 3);
	assert_int_equal(weir_irq_wait(igb.dev, WEIR_IRQ_MSIX, 0, 5000), 1);
	assert_int_equal(signals(fds[1], 5000), 1);
	assert_int_equal(signals(fds[0], 200), 0);
	MUST(weir_irq_set(igb.dev, WEIR_IRQ_MSIX, 2, 1, NULL));
	weir_write32(igb.bar, IGB_EICS, 4);
	assert_int_equal(weir_irq_wait(igb.dev, WEIR_IRQ_MSIX, 2, 5000), 1);
	close(fds[0]);
	close(fds[1]);
	close_igb(igb);
}

/* The kernel writes the register that fires a vector, when an eventfd is written. */
static void doorbell(void **state)
{
	struct igb igb = open_igb();
	int fd = eventfd(0, 0);

	(void)state;
	MUST(weir_irq_enable(igb.dev, WEIR_IRQ_MSIX, 2));
	MUST(weir_ioeventfd(igb.dev, WEIR_REGION_BAR0, IGB_EICS, 4, 2, fd));
	ring(fd);
	assert_int_equal(weir_irq_wait(igb.dev, WEIR_IRQ_MSIX, 1, 5000), 1);
	must_fail(weir_irq_wait(igb.dev, WEIR_IRQ_MSIX, 0, 0), -ETIMEDOUT, "MSI-X");
	must_fail(weir_ioeventfd(igb.dev, WEIR_REGION_BAR0, IGB_EICS, 4, 2, fd), -EEXIST, "");
	MUST(weir_ioeventfd(igb.dev, WEIR_REGION_BAR0, IGB_EICS, 4, 2, -1));
	ring(fd);
	must_fail(weir_irq_wait(igb.dev, WEIR_IRQ_MSIX, 1, 200), -ETIMEDOUT, "MSI-X");
	close(fd);
	close_igb(igb);
}

/* INTx that is let go by an eventfd: each time, and no longer when that is taken away. */
static void unmasked_by_eventfd(void **state)
{
	struct opened a = open_edu(NULL, device("WEIR_TEST_EDU"), NULL);
	int fd = eventfd(0, 0);

	(void)state;
	MUST(edu_irq_enable_kind(a.edu, WEIR_IRQ_INTX));
	MUST(weir_irq_unmask_fd(a.dev, WEIR_IRQ_INTX, 0, fd));
	MUST(edu_irq_raise(a.edu, 1));
	/* The line stays up: each time it is let go it fires again. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(weir_irq_wait(a.dev, WEIR_IRQ_INTX, 0, 5000), 1);
		must_fail(weir_irq_wait(a.dev, WEIR_IRQ_INTX, 0, 100), -ETIMEDOUT, "INTx");
		ring(fd);
	}
	assert_int_equal(weir_irq_wait(a.dev, WEIR_IRQ_INTX, 0, 5000), 1);
	MUST(weir_irq_unmask_fd(a.dev, WEIR_IRQ_INTX, 0, -1));
	ring(fd);
	must_fail(weir_irq_wait(a.dev, WEIR_IRQ_INTX, 0, 200), -ETIMEDOUT, "INTx");
	close(fd);
	close_edu(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(added_while_others_fire),
		cmocka_unit_test(eventfds_of_the_callers),
		cmocka_unit_test(doorbell),
		cmocka_unit_test(unmasked_by_eventfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
