/* SPDX-License-Identifier: MIT */
/* The model's host when a device is cut off: pulled out, or while it is being reset. */
#include <pthread.h>

#include "toy.h"

static void wait_until(atomic_bool *value)
{
	for (int i = 0; i < 50000 && !atomic_load(value); i++)
		usleep(100);
	assert_true(atomic_load(value));
}

static void wait_until_inside(struct bus *bus)
{
	for (int i = 0; i < 50000 && !atomic_load(&bus->inside); i++)
		usleep(100);
	assert_int_equal(atomic_load(&bus->inside), 1);
}

/* Removal. */

static void test_nothing_to_remove(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	wr_model_detach(model);
	assert_int_equal(weir_model_remove(model), -ENODEV);
	assert_false(wr_model_gone(model));
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), 0);
	assert_false(wr_model_gone(model));
}

static void no_more(struct weir_model *model, int ret)
{
	assert_int_equal(ret, -ENODEV);
	assert_true(wr_model_gone(model));
	if (!strstr(weir_errmsg(), "removed"))
		fail_msg("'%s' doesn't say that it was removed", weir_errmsg());
}

static void test_removed(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	uint8_t bytes[32];

	bus_master(model);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 4), 0);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_REQ, 1), 0);
	assert_int_equal(weir_model_remove(model), 0);
	assert_int_equal(weir_model_remove(model), 0);
	assert_true(wr_model_gone(model));

	/* Registers and config space; what is out of range still is. */
	assert_int_equal(wr_model_region_read(model, 0, 4090, bytes, 8), -EINVAL);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(wr_model_region_read(model, 0, 3, bytes, 29), 0);
	for (int i = 0; i < 29; i++)
		assert_int_equal(bytes[i], 0xff);
	assert_int_equal(wr_model_region_write(model, 0, 3, bytes, 29), 0);
	assert_int_equal(f->toy.accesses, 0);
	assert_int_equal(config_read(model, 0, 4), 0xffffffff);
	command(model, 0);
	assert_int_equal(config_read(model, WR_PCI_COMMAND, 2), 0xffff);
	/* Nothing decodes or not: all ones, no error. */
	assert_int_equal(wr_model_region_read(model, 0, 0, bytes, 4), 0);

	/* What the device wants. */
	no_more(model, weir_model_dma_read(model, 0, bytes, 8));
	no_more(model, weir_model_dma_write(model, 0, bytes, 8));
	no_more(model, weir_model_dma_begin(model));
	no_more(model, weir_model_msi(model, 0));
	no_more(model, weir_model_signal(model, WEIR_IRQ_REQ));
	assert_false(weir_model_msi_enabled(model));
	assert_int_equal(f->bus.dmas + f->bus.begun + f->bus.msi[0] + f->bus.req, 0);

	/* What the driver wants: to switch off always works. */
	no_more(model, wr_model_irq_enable(model, WEIR_IRQ_MSI, 1));
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 0), 0);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_REQ, 0), 0);
	no_more(model, wr_model_irq_mask(model, WEIR_IRQ_INTX, false));
	no_more(model, wr_model_reset(model));
	assert_int_equal(f->toy.resets, 0);
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), -EBUSY);
	assert_int_equal(weir_model_destroy(model), -EBUSY);
}

static void test_removed_intx(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_INTX, 1), 0);
	assert_int_equal(weir_model_remove(model), 0);
	assert_int_equal(weir_model_intx(model, true), 0);
	command(model, WR_PCI_COMMAND_INTX_OFF);
	command(model, 0);
	assert_int_equal(f->bus.intx, 0);
}

/* The device was plugged in again. */
static void test_back_again(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	uint8_t byte;

	bus_master(model);
	config_write(model, WR_PCI_BAR0, 4, 0xfebf0000);
	assert_int_equal(weir_model_remove(model), 0);
	weir_model_intx(model, true);
	wr_model_detach(model);
	assert_int_equal(f->toy.resets, 1);
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), 0);
	assert_false(wr_model_gone(model));
	assert_int_equal(config_read(model, WR_PCI_COMMAND, 2), WR_PCI_COMMAND_MEMORY);
	assert_int_equal(config_read(model, WR_PCI_BAR0, 4), 0);
	assert_int_equal(wr_model_region_read(model, 0, 0, &byte, 1), 0);
	assert_int_equal(f->toy.accesses, 1);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_INTX, 1), 0);
	assert_int_equal(f->bus.intx, 0);
	bus_master(model);
	assert_int_equal(weir_model_dma_read(model, 0, &byte, 1), 0);
	assert_int_equal(wr_model_reset(model), 0);
}

/* From inside a bracket, and with a transfer of another thread under way: nobody waits. */

struct worker {
	struct weir_model *model;
	int ret;
	atomic_bool done;
};

static void *do_dma(void *arg)
{
	struct worker *w = arg;
	uint8_t byte = 0;

	w->ret = weir_model_dma_read(w->model, 0, &byte, 1);
	atomic_store(&w->done, true);
	return NULL;
}

static void test_remove_doesnt_wait(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	struct worker w = { .model = model };
	pthread_t thread;
	size_t run;
	void *ptr;

	bus_master(model);
	f->bus.slow = true;
	assert_int_equal(pthread_create(&thread, NULL, do_dma, &w), 0);
	wait_until_inside(&f->bus);
	assert_int_equal(weir_model_dma_begin(model), 0);
	assert_int_equal(weir_model_remove(model), 0);
	no_more(model, weir_model_dma_translate(model, 0, 1, true, &ptr, &run));
	weir_model_dma_end(model);
	assert_int_equal(f->bus.begun, f->bus.ended);
	assert_false(w.done);
	f->bus.slow = false;
	pthread_join(thread, NULL);
	assert_int_equal(w.ret, 0);
	no_more(model, weir_model_dma_begin(model));
}

/* Reset. */

static void *do_reset(void *arg)
{
	struct worker *w = arg;

	w->ret = wr_model_reset(w->model);
	atomic_store(&w->done, true);
	return NULL;
}

static void test_reset_cuts_off(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	char text[5] = "";

	bus_master(model);
	f->toy.dma_in_reset = true;
	assert_int_equal(wr_model_reset(model), 0);
	assert_int_equal(f->toy.dma_ret, -ENODEV);
	assert_int_equal(f->bus.dmas, 0);
	assert_string_equal((char *)f->bus.memory, "");
	/* Over: it may again. */
	assert_int_equal(weir_model_dma_read(model, 0, text, 4), 0);
	/* Detach resets, too. */
	f->toy.dma_ret = 0;
	wr_model_detach(model);
	assert_int_equal(f->toy.dma_ret, -ENODEV);
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), 0);
	f->toy.dma_in_reset = false;
}

static void test_reset_in_bracket(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	bus_master(model);
	assert_int_equal(weir_model_dma_begin(model), 0);
	assert_int_equal(wr_model_reset(model), -EDEADLK);
	assert_int_equal(f->toy.resets, 0);
	weir_model_dma_end(model);
	assert_int_equal(wr_model_reset(model), 0);
}

static void test_reset_waits_for_dma(void **state)
{
	struct fixture *f = *state;
	struct worker dma = { .model = f->toy.model }, reset = dma;
	pthread_t dma_thread, reset_thread;

	bus_master(f->toy.model);
	f->bus.slow = true;
	assert_int_equal(pthread_create(&dma_thread, NULL, do_dma, &dma), 0);
	wait_until_inside(&f->bus);
	assert_int_equal(pthread_create(&reset_thread, NULL, do_reset, &reset), 0);
	wait_until_closed(f->toy.model);
	usleep(20000);
	assert_false(reset.done);
	assert_int_equal(f->toy.resets, 0);
	f->bus.slow = false;
	pthread_join(dma_thread, NULL);
	pthread_join(reset_thread, NULL);
	assert_int_equal(dma.ret, 0);
	assert_int_equal(reset.ret, 0);
	assert_int_equal(f->toy.resets, 1);
}

/* In the middle of one: no second one, no messages; and one that is pulled out stays out. */
static void test_during_reset(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	struct worker reset = { .model = model };
	pthread_t thread;
	uint8_t byte;

	bus_master(model);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 1), 0);
	f->toy.slow_reset = true;
	assert_int_equal(pthread_create(&thread, NULL, do_reset, &reset), 0);
	wait_until(&f->toy.in_reset);
	assert_int_equal(wr_model_reset(model), -EAGAIN);
	assert_int_equal(weir_model_msi(model, 0), -ENODEV);
	assert_int_equal(weir_model_dma_read(model, 0, &byte, 1), -ENODEV);
	assert_non_null(strstr(weir_errmsg(), "reset"));
	assert_int_equal(weir_model_remove(model), 0);
	f->toy.slow_reset = false;
	pthread_join(thread, NULL);
	assert_int_equal(reset.ret, 0);
	assert_int_equal(f->toy.resets, 1);
	no_more(model, weir_model_dma_read(model, 0, &byte, 1));
	assert_int_equal(f->bus.msi[0], 0);
}

/* Everything at once, for the sanitizers. */
struct storm {
	struct weir_model *model;
	atomic_bool stop;
};

static void *storm_main(void *arg)
{
	struct storm *s = arg;
	uint8_t bytes[64] = { 0 };

	while (!atomic_load(&s->stop)) {
		weir_model_dma_write(s->model, 0, bytes, sizeof(bytes));
		weir_model_msi(s->model, 0);
		weir_model_signal(s->model, WEIR_IRQ_REQ);
		weir_model_intx(s->model, true);
		weir_model_config(s->model, 0xa0, bytes, NULL, sizeof(bytes));
		if (!weir_model_dma_begin(s->model))
			weir_model_dma_end(s->model);
		weir_model_remove(s->model);
	}
	return NULL;
}

static void test_storm(void **state)
{
	struct fixture *f = *state;
	struct storm s = { .model = f->toy.model };
	pthread_t threads[3];
	uint32_t word;

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm_main, &s), 0);
	for (int i = 0; i < 200; i++) {
		bus_master(f->toy.model);
		wr_model_irq_enable(f->toy.model, WEIR_IRQ_REQ, 1);
		wr_model_irq_enable(f->toy.model, WEIR_IRQ_MSI, 1);
		wr_model_reset(f->toy.model);
		assert_int_equal(wr_model_region_read(f->toy.model, 0, 0, &word, 4), 0);
		wr_model_detach(f->toy.model);
		assert_int_equal(f->bus.inside, 0);
		assert_int_equal(f->bus.begun, f->bus.ended);
		assert_int_equal(wr_model_attach(f->toy.model, &test_bus, &f->bus), 0);
	}
	atomic_store(&s.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TOY(test_nothing_to_remove),
		WITH_TOY(test_removed),
		WITH_TOY(test_removed_intx),
		WITH_TOY(test_back_again),
		WITH_TOY(test_remove_doesnt_wait),
		WITH_TOY(test_reset_cuts_off),
		WITH_TOY(test_reset_in_bracket),
		WITH_TOY(test_reset_waits_for_dma),
		WITH_TOY(test_during_reset),
		WITH_TOY(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
