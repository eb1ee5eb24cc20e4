/* SPDX-License-Identifier: MIT */
/* The model's host between model and bus: interrupts, DMA, and drivers that come and go. */
#include <endian.h>
#include <pthread.h>

#include "toy.h"

/* Interrupts. */

static void test_irq_info(void **state)
{
	struct weir_model *model = ((struct fixture *)*state)->toy.model;
	struct weir_irq_info info;

	assert_int_equal(wr_model_irq_info(model, WEIR_IRQ_INTX, &info), 0);
	assert_int_equal(info.count, 1);
	assert_true(info.maskable && info.automasked && !info.resizable);
	assert_int_equal(wr_model_irq_info(model, WEIR_IRQ_MSI, &info), 0);
	assert_int_equal(info.count, 4);
	assert_false(info.maskable || info.automasked || info.resizable);
	assert_int_equal(wr_model_irq_info(model, WEIR_IRQS, &info), -EINVAL);
	assert_int_equal(wr_model_irq_mask(model, WEIR_IRQ_MSI, true), -ENOTSUP);
	assert_int_equal(wr_model_irq_mask(model, WEIR_IRQ_INTX, true), -EINVAL);
}

static void test_intx_level(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	/* Not enabled: nobody is told, the level is kept. */
	assert_int_equal(weir_model_intx(model, true), 0);
	assert_int_equal(f->bus.intx, 0);
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2),
			 WR_PCI_STATUS_CAPS | WR_PCI_STATUS_INTX);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_INTX, 1), 0);
	assert_int_equal(f->bus.intx, 1);
	/* It has masked itself. */
	weir_model_intx(model, true);
	weir_model_intx(model, false);
	weir_model_intx(model, true);
	assert_int_equal(f->bus.intx, 1);
	/* Still asserted: again. */
	assert_int_equal(wr_model_irq_mask(model, WEIR_IRQ_INTX, false), 0);
	assert_int_equal(f->bus.intx, 2);
	/* Released in time: not again, but the next one comes. */
	weir_model_intx(model, false);
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2), WR_PCI_STATUS_CAPS);
	assert_int_equal(wr_model_irq_mask(model, WEIR_IRQ_INTX, false), 0);
	assert_int_equal(f->bus.intx, 2);
	weir_model_intx(model, true);
	assert_int_equal(f->bus.intx, 3);
}

static void test_intx_mask(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	wr_model_irq_enable(model, WEIR_IRQ_INTX, 1);
	assert_int_equal(wr_model_irq_mask(model, WEIR_IRQ_INTX, true), 0);
	weir_model_intx(model, true);
	assert_int_equal(f->bus.intx, 0);
	wr_model_irq_mask(model, WEIR_IRQ_INTX, false);
	assert_int_equal(f->bus.intx, 1);
	wr_model_irq_enable(model, WEIR_IRQ_INTX, 0);
	weir_model_intx(model, false);
	weir_model_intx(model, true);
	assert_int_equal(f->bus.intx, 1);
	assert_int_equal(wr_model_irq_mask(model, WEIR_IRQ_INTX, false), -EINVAL);
}

static void test_intx_disable_bit(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	wr_model_irq_enable(model, WEIR_IRQ_INTX, 1);
	command(model, WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_INTX_OFF);
	weir_model_intx(model, true);
	assert_int_equal(f->bus.intx, 0);
	/* The status bit tells of it nevertheless (PCI Local Bus 3.0, section 6.2.3). */
	assert_true(config_read(model, WR_PCI_STATUS, 2) & WR_PCI_STATUS_INTX);
	wr_model_irq_mask(model, WEIR_IRQ_INTX, false);
	assert_int_equal(f->bus.intx, 0);
	command(model, WR_PCI_COMMAND_MEMORY);
	assert_int_equal(f->bus.intx, 1);
	/* Set while INTx gets enabled. */
	wr_model_irq_enable(model, WEIR_IRQ_INTX, 0);
	command(model, WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_INTX_OFF);
	wr_model_irq_enable(model, WEIR_IRQ_INTX, 1);
	assert_int_equal(f->bus.intx, 1);
	command(model, WR_PCI_COMMAND_MEMORY);
	assert_int_equal(f->bus.intx, 2);
}

static void test_msi(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	assert_int_equal(weir_model_msi(model, 0), -EINVAL);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 5), -EINVAL);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 3), 0);
	assert_true(weir_model_msi_enabled(model));
	assert_int_equal(weir_model_msi(model, 0), -EPERM);
	assert_non_null(strstr(weir_errmsg(), "bus mastering"));
	assert_int_equal(f->bus.msi[0], 0);
	bus_master(model);
	assert_int_equal(weir_model_msi(model, 0), 0);
	assert_int_equal(weir_model_msi(model, 2), 0);
	assert_int_equal(weir_model_msi(model, 2), 0);
	assert_int_equal(weir_model_msi(model, 3), -EINVAL);
	assert_int_equal(weir_model_msi(model, UINT32_MAX), -EINVAL);
	assert_int_equal(f->bus.msi[0], 1);
	assert_int_equal(f->bus.msi[1], 0);
	assert_int_equal(f->bus.msi[2], 2);
	wr_model_irq_enable(model, WEIR_IRQ_MSI, 0);
	assert_false(weir_model_msi_enabled(model));
	assert_int_equal(weir_model_msi(model, 0), -EINVAL);
}

/* DMA. */

static void test_dma_refusals(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	uint8_t bytes[8] = { 0 };

	assert_int_equal(weir_model_dma_read(model, 0, bytes, 8), -EPERM);
	assert_int_equal(weir_model_dma_write(model, 0, bytes, 8), -EPERM);
	assert_int_equal(weir_model_dma_begin(model), -EPERM);
	assert_int_equal(weir_model_dma_read(model, 0, bytes, 0), 0);
	bus_master(model);
	/* 32 address bits. */
	assert_int_equal(weir_model_dma_read(model, 1ull << 32, bytes, 1), -EFAULT);
	assert_non_null(strstr(weir_errmsg(), "32 address bits"));
	assert_int_equal(weir_model_dma_read(model, UINT32_MAX - 6ull, bytes, 8), -EFAULT);
	assert_int_equal(weir_model_dma_write(model, UINT64_MAX, bytes, 8), -EFAULT);
	assert_int_equal(f->bus.dmas, 0);
	/* The bus's own refusal comes through. */
	assert_int_equal(weir_model_dma_read(model, UINT32_MAX - 7ull, bytes, 8), -EFAULT);
	assert_int_equal(f->bus.dmas, 1);
	wr_model_detach(model);
	assert_int_equal(weir_model_dma_read(model, 0, bytes, 8), -ENODEV);
	assert_int_equal(weir_model_dma_write(model, 0, bytes, 8), -ENODEV);
	assert_int_equal(weir_model_dma_begin(model), -ENODEV);
	assert_int_equal(weir_model_msi(model, 0), -ENODEV);
	assert_int_equal(f->bus.dmas, 1);
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), 0);
}

static void test_dma_copies(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	char text[8] = "";

	bus_master(model);
	assert_int_equal(weir_model_dma_write(model, 100, "weir", 5), 0);
	assert_string_equal((char *)f->bus.memory + 100, "weir");
	assert_int_equal(weir_model_dma_read(model, 101, text, 4), 0);
	assert_string_equal(text, "eir");
}

/* 64 bits: to the very last byte, and not around. */
static void test_dma_all_bits(void **state)
{
	struct weir_model_desc desc = { .name = "wide", .vendor = 1 };
	struct toy toy = { 0 };
	struct weir_model *model = make(&desc, &toy);
	struct bus bus = { 0 };
	uint8_t bytes[2] = { 0 };

	(void)state;
	assert_int_equal(wr_model_attach(model, &test_bus, &bus), 0);
	bus_master(model);
	assert_int_equal(weir_model_dma_write(model, UINT64_MAX, bytes, 1), -EFAULT);
	assert_int_equal(bus.dmas, 1);
	assert_int_equal(weir_model_dma_write(model, UINT64_MAX, bytes, 2), -EFAULT);
	assert_int_equal(bus.dmas, 1);
	wr_model_detach(model);
	assert_int_equal(weir_model_destroy(model), 0);
}

/* A register write that does DMA before it returns: no lock of the host may be held. */
static void test_dma_inside_register_access(void **state)
{
	struct fixture *f = *state;
	uint32_t word = htole32(0x40);

	bus_master(f->toy.model);
	f->toy.dma_in_write = true;
	f->toy.dma_ret = 1;
	assert_int_equal(wr_model_region_write(f->toy.model, 0, 0, &word, 4), 0);
	assert_int_equal(f->toy.dma_ret, 0);
	assert_int_equal(f->bus.dmas, 1);
}

static void test_bracket(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	size_t run = 0;
	void *ptr = NULL;
	uint8_t byte;

	bus_master(model);
	assert_int_equal(weir_model_dma_translate(model, 8, 8, false, &ptr, &run), -EINVAL);
	assert_int_equal(weir_model_dma_begin(model), 0);
	assert_int_equal(weir_model_dma_translate(model, 8, 8, false, &ptr, &run), 0);
	assert_ptr_equal(ptr, f->bus.memory + 8);
	assert_int_equal(run, 8);
	assert_int_equal(weir_model_dma_translate(model, 8, 0, false, &ptr, &run), -EINVAL);
	assert_int_equal(weir_model_dma_translate(model, 1ull << 32, 1, true, &ptr, &run),
			 -EFAULT);
	assert_int_equal(f->bus.translated, 1);
	/* They nest, and plain DMA goes on inside. */
	assert_int_equal(weir_model_dma_begin(model), 0);
	assert_int_equal(weir_model_dma_read(model, 0, &byte, 1), 0);
	weir_model_dma_end(model);
	assert_int_equal(weir_model_dma_translate(model, 8, 8, true, &ptr, &run), 0);
	weir_model_dma_end(model);
	assert_int_equal(weir_model_dma_translate(model, 8, 8, true, &ptr, &run), -EINVAL);
	assert_int_equal(f->bus.begun, 2);
	assert_int_equal(f->bus.ended, 2);
	/* One end too many does nothing. */
	weir_model_dma_end(model);
	assert_int_equal(f->bus.ended, 2);
}

static void test_bracket_without_pointers(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	size_t run;
	void *ptr;

	wr_model_detach(model);
	assert_int_equal(wr_model_attach(model, &plain_bus, &f->bus), 0);
	bus_master(model);
	assert_int_equal(weir_model_dma_begin(model), 0);
	assert_int_equal(weir_model_dma_translate(model, 8, 8, false, &ptr, &run), -ENOTSUP);
	weir_model_dma_end(model);
}

static void test_brackets_of_many_models(void **state)
{
	struct weir_model *models[9];
	struct toy toys[9] = { 0 };
	struct bus bus = { 0 };
	size_t run;
	void *ptr;

	(void)state;
	for (int i = 0; i < 9; i++) {
		models[i] = make(&toy_desc, &toys[i]);
		assert_int_equal(wr_model_attach(models[i], &test_bus, &bus), 0);
		bus_master(models[i]);
		assert_int_equal(weir_model_dma_begin(models[i]), i < 8 ? 0 : -ENOSPC);
	}
	assert_int_equal(weir_model_dma_translate(models[8], 0, 1, false, &ptr, &run), -EINVAL);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(weir_model_dma_translate(models[i], 0, 1, false, &ptr, &run), 0);
		weir_model_dma_end(models[i]);
	}
	for (int i = 0; i < 9; i++) {
		wr_model_detach(models[i]);
		assert_int_equal(weir_model_destroy(models[i]), 0);
	}
}

/* Attach, detach, reset. */

static void test_attach_twice(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), -EBUSY);
	assert_int_equal(weir_model_destroy(model), -EBUSY);
	assert_non_null(strstr(weir_errmsg(), "toy"));
	wr_model_detach(model);
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), 0);
}

/* What a driver leaves behind is gone for the next one. */
static void test_detach_cleans(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	unsigned int cap = config_read(model, WR_PCI_CAP_POINTER, 1);

	bus_master(model);
	config_write(model, WR_PCI_BAR0, 4, 0xfebf0000);
	wr_model_irq_enable(model, WEIR_IRQ_MSI, 4);
	weir_model_intx(model, true);
	wr_model_detach(model);
	assert_int_equal(f->toy.resets, 1);
	assert_false(weir_model_msi_enabled(model));
	assert_int_equal(f->bus.intx, 0);
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), 0);
	assert_int_equal(config_read(model, WR_PCI_COMMAND, 2), WR_PCI_COMMAND_MEMORY);
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2), WR_PCI_STATUS_CAPS);
	assert_int_equal(config_read(model, WR_PCI_BAR0, 4), 0);
	assert_int_equal(config_read(model, cap + 2, 2), WR_PCI_MSI_64BIT | 2 << 1);
	wr_model_irq_enable(model, WEIR_IRQ_INTX, 1);
	assert_int_equal(f->bus.intx, 0);
}

/* A model may move its pin while no driver has it; the next one is told. */
static void test_intx_before_attach(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	wr_model_detach(model);
	assert_int_equal(weir_model_intx(model, true), 0);
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), 0);
	assert_true(config_read(model, WR_PCI_STATUS, 2) & WR_PCI_STATUS_INTX);
	wr_model_irq_enable(model, WEIR_IRQ_INTX, 1);
	assert_int_equal(f->bus.intx, 1);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	struct weir_model *lasting;
	struct bus bus = { 0 };

	assert_true(wr_model_can_reset(model));
	bus_master(model);
	wr_model_irq_enable(model, WEIR_IRQ_INTX, 1);
	weir_model_intx(model, true);
	assert_int_equal(wr_model_reset(model), 0);
	assert_int_equal(f->toy.resets, 1);
	/* The pin is released; what the driver set up stays. */
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2), WR_PCI_STATUS_CAPS);
	assert_int_equal(config_read(model, WR_PCI_COMMAND, 2),
			 WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_MASTER);
	wr_model_irq_mask(model, WEIR_IRQ_INTX, false);
	assert_int_equal(f->bus.intx, 1);
	weir_model_intx(model, true);
	assert_int_equal(f->bus.intx, 2);

	assert_int_equal(weir_model_create(&toy_desc, &no_reset_ops, NULL, &lasting), 0);
	assert_false(wr_model_can_reset(lasting));
	assert_int_equal(wr_model_reset(lasting), -ENOTSUP);
	assert_int_equal(wr_model_attach(lasting, &test_bus, &bus), 0);
	wr_model_detach(lasting);
	assert_int_equal(weir_model_destroy(lasting), 0);
}

/* Detach against a device at work. */

struct worker {
	struct weir_model *model;
	int ret, ret2;
	atomic_bool entered, go;
};

static void *do_dma(void *arg)
{
	struct worker *w = arg;
	uint8_t byte = 0;

	w->ret = weir_model_dma_read(w->model, 0, &byte, 1);
	return NULL;
}

struct detacher {
	struct weir_model *model;
	atomic_bool done;
};

static void *do_detach(void *arg)
{
	struct detacher *d = arg;

	wr_model_detach(d->model);
	atomic_store(&d->done, true);
	return NULL;
}

static void wait_for_int(atomic_int *value, int wanted)
{
	for (int i = 0; i < 50000 && atomic_load(value) != wanted; i++)
		usleep(100);
	assert_int_equal(atomic_load(value), wanted);
}

static void wait_for(atomic_bool *value)
{
	for (int i = 0; i < 50000 && !atomic_load(value); i++)
		usleep(100);
	assert_true(atomic_load(value));
}

static void test_detach_waits_for_dma(void **state)
{
	struct fixture *f = *state;
	struct worker w = { .model = f->toy.model };
	struct detacher d = { .model = f->toy.model };
	pthread_t worker, detacher;

	bus_master(f->toy.model);
	f->bus.slow = true;
	assert_int_equal(pthread_create(&worker, NULL, do_dma, &w), 0);
	wait_for_int(&f->bus.inside, 1);
	assert_int_equal(pthread_create(&detacher, NULL, do_detach, &d), 0);
	wait_until_closed(f->toy.model);
	usleep(20000);
	assert_false(d.done);
	f->bus.slow = false;
	wait_for(&d.done);
	assert_int_equal(f->bus.inside, 0);
	pthread_join(detacher, NULL);
	pthread_join(worker, NULL);
	assert_int_equal(w.ret, 0);
	assert_int_equal(f->toy.resets, 1);
	assert_int_equal(wr_model_attach(f->toy.model, &test_bus, &f->bus), 0);
}

static void *do_bracket(void *arg)
{
	struct worker *w = arg;
	uint8_t byte = 0;

	w->ret = weir_model_dma_begin(w->model);
	atomic_store(&w->entered, true);
	while (!atomic_load(&w->go))
		usleep(100);
	/* The gate is closed: refused, rather than waiting for the one who waits for us. */
	w->ret2 = weir_model_dma_read(w->model, 0, &byte, 1);
	weir_model_dma_end(w->model);
	return NULL;
}

static void test_detach_waits_for_bracket(void **state)
{
	struct fixture *f = *state;
	struct worker w = { .model = f->toy.model };
	struct detacher d = { .model = f->toy.model };
	pthread_t worker, detacher;

	bus_master(f->toy.model);
	assert_int_equal(pthread_create(&worker, NULL, do_bracket, &w), 0);
	wait_for(&w.entered);
	assert_int_equal(w.ret, 0);
	assert_int_equal(pthread_create(&detacher, NULL, do_detach, &d), 0);
	wait_until_closed(f->toy.model);
	usleep(20000);
	assert_false(d.done);
	assert_int_equal(f->bus.ended, 0);
	w.go = true;
	wait_for(&d.done);
	pthread_join(detacher, NULL);
	pthread_join(worker, NULL);
	assert_int_equal(w.ret2, -ENODEV);
	assert_int_equal(f->bus.ended, 1);
	assert_int_equal(f->bus.dmas, 0);
	assert_int_equal(wr_model_attach(f->toy.model, &test_bus, &f->bus), 0);
}

/* Two transfers at once: one doesn't wait for the other. */
static void test_dma_in_parallel(void **state)
{
	struct fixture *f = *state;
	struct worker w[4];
	pthread_t threads[4];

	bus_master(f->toy.model);
	f->bus.slow = true;
	for (int i = 0; i < 4; i++) {
		w[i].model = f->toy.model;
		assert_int_equal(pthread_create(&threads[i], NULL, do_dma, &w[i]), 0);
	}
	wait_for_int(&f->bus.inside, 4);
	/* Neither do interrupts and config space. */
	assert_int_equal(weir_model_intx(f->toy.model, true), 0);
	bus_master(f->toy.model);
	f->bus.slow = false;
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(w[i].ret, 0);
	}
}

/* Everything at once, for the sanitizers; drivers come and go meanwhile. */
struct storm {
	struct weir_model *model;
	atomic_bool stop;
	atomic_int odd;
};

static bool expected(int ret)
{
	return ret == 0 || ret == -ENODEV || ret == -EPERM || ret == -EINVAL;
}

static void *storm_main(void *arg)
{
	struct storm *s = arg;
	uint8_t bytes[64] = { 0 };
	size_t run;
	void *ptr;

	while (!atomic_load(&s->stop)) {
		bool ok = expected(weir_model_dma_read(s->model, 0, bytes, sizeof(bytes)));

		ok &= expected(weir_model_msi(s->model, 1));
		ok &= expected(weir_model_intx(s->model, true));
		ok &= expected(weir_model_intx(s->model, false));
		if (!weir_model_dma_begin(s->model)) {
			ok &= !weir_model_dma_translate(s->model, 4096, 1, false, &ptr, &run);
			weir_model_dma_end(s->model);
		}
		if (!ok)
			atomic_fetch_add(&s->odd, 1);
	}
	return NULL;
}

static void test_storm(void **state)
{
	struct fixture *f = *state;
	struct storm s = { .model = f->toy.model };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm_main, &s), 0);
	for (int i = 0; i < 200; i++) {
		enum weir_irq irq = i & 1 ? WEIR_IRQ_MSI : WEIR_IRQ_INTX;

		bus_master(f->toy.model);
		wr_model_irq_enable(f->toy.model, irq, 1 + (i & 1));
		wr_model_irq_mask(f->toy.model, WEIR_IRQ_INTX, false);
		command(f->toy.model, WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_INTX_OFF);
		wr_model_irq_enable(f->toy.model, irq, 0);
		wr_model_reset(f->toy.model);
		wr_model_detach(f->toy.model);
		/* The transport is gone: nothing may touch it now. */
		memset(f->bus.memory, i, sizeof(f->bus.memory));
		assert_int_equal(f->bus.inside, 0);
		assert_int_equal(f->bus.begun, f->bus.ended);
		assert_int_equal(wr_model_attach(f->toy.model, &test_bus, &f->bus), 0);
	}
	atomic_store(&s.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(s.odd, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TOY(test_irq_info),
		WITH_TOY(test_intx_level),
		WITH_TOY(test_intx_mask),
		WITH_TOY(test_intx_disable_bit),
		WITH_TOY(test_msi),
		WITH_TOY(test_dma_refusals),
		WITH_TOY(test_dma_copies),
		cmocka_unit_test(test_dma_all_bits),
		WITH_TOY(test_dma_inside_register_access),
		WITH_TOY(test_bracket),
		WITH_TOY(test_bracket_without_pointers),
		cmocka_unit_test(test_brackets_of_many_models),
		WITH_TOY(test_attach_twice),
		WITH_TOY(test_detach_cleans),
		WITH_TOY(test_intx_before_attach),
		WITH_TOY(test_reset),
		WITH_TOY(test_detach_waits_for_dma),
		WITH_TOY(test_detach_waits_for_bracket),
		WITH_TOY(test_dma_in_parallel),
		WITH_TOY(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
