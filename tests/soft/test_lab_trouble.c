/* SPDX-License-Identifier: MIT */
/*
 * What the lab device does wrong. Each misdeed must be held back and told of, leave memory alone,
 * and leave a device that works: teardown sees to that.
 */
#include "lab_rig.h"

/* ---- DMA that goes wrong ---- */

static void bad_descriptors(void **state)
{
	struct lab_test *t = *state;

	fill(t, 5);
	assert_int_equal(wait_done(t, submit(t, t->source_at, t->dest_at, 0, LAB_NO_VECTOR)),
			 LAB_BAD_LEN);
	assert_int_equal(wait_done(t, submit(t, t->source_at, t->dest_at, LAB_LEN_MAX + 1,
					     LAB_NO_VECTOR)), LAB_BAD_LEN);
	assert_int_equal(wait_done(t, submit(t, t->nowhere, t->dest_at, 8, LAB_NO_VECTOR)),
			 LAB_SOURCE_BLOCKED);
	expect_fault(t, t->nowhere, false);
	assert_int_equal(wait_done(t, submit(t, t->source_at, t->nowhere, 8, LAB_NO_VECTOR)),
			 LAB_DEST_BLOCKED);
	expect_fault(t, t->nowhere, true);
	for (size_t i = 0; i < t->page; i++)
		assert_int_equal(t->dest[i], 0);
	copies(t, LAB_NO_VECTOR);
}

/* The ring itself is where the device can't read it. */
static void ring_out_of_reach(void **state)
{
	struct lab_test *t = *state;

	weir_write64(t->regs, LAB_RING_BASE, t->nowhere);
	weir_write32(t->regs, LAB_RING_TAIL, 1);
	assert_true(wait_clear(t, LAB_STATUS, LAB_STATUS_BUSY));
	assert_int_equal(reg(t, LAB_STATUS), LAB_STATUS_STOPPED);
	assert_int_equal(reg(t, LAB_RING_HEAD), 0);
	expect_fault(t, t->nowhere, false);
	/* Stopped is stopped, until it is set up anew. */
	weir_write32(t->regs, LAB_RING_TAIL, 2);
	assert_int_equal(reg(t, LAB_RING_TAIL), 1);
	ring_setup(t);
	assert_int_equal(reg(t, LAB_STATUS), 0);
	copies(t, LAB_NO_VECTOR);
	weir_write32(t->regs, LAB_RING_TAIL, RING);
	assert_int_equal(reg(t, LAB_STATUS), LAB_STATUS_STOPPED);
}

static void strays_are_blocked(void **state)
{
	struct lab_test *t = *state;
	struct weir_fault fault;

	trouble(t, LAB_TROUBLE_READ, t->nowhere, 1);
	expect_trouble(t, 0, 1, EFAULT);
	expect_fault(t, t->nowhere, false);
	/* Past the end of a mapping, page by page. */
	trouble(t, LAB_TROUBLE_WRITE, t->nowhere + 1, 3);
	expect_trouble(t, 0, 3, EFAULT);
	for (unsigned int i = 0; i < 3; i++)
		expect_fault(t, t->nowhere + 1 + 4096 * i, true);
	trouble(t, LAB_TROUBLE_WRITE, t->ring_at + 4 * t->page, 1);
	expect_trouble(t, 0, 1, EFAULT);
	expect_fault(t, t->ring_at + 4 * t->page, true);
	/* The top of 64 bits; it wraps around, too. */
	trouble(t, LAB_TROUBLE_WRITE, UINT64_MAX - 7, 1);
	expect_trouble(t, 0, 1, EFAULT);
	expect_fault(t, UINT64_MAX - 7, true);
	trouble(t, LAB_TROUBLE_READ, UINT64_MAX - 3, 1);
	expect_trouble(t, 0, 1, EFAULT);
	/* A flood fills the record and nothing else. */
	trouble(t, LAB_TROUBLE_WRITE, t->nowhere, 10000);
	expect_trouble(t, 0, 10000, EFAULT);
	expect_fault(t, t->nowhere, true);
	while (weir_ioas_faults(t->as, &fault, 1) == 1)
		assert_true(fault.iova >= t->nowhere);
}

/* Memory that may only be read, and memory that was taken away. */
static void direction_and_unmap(void **state)
{
	const struct weir_map_opts to_device = { .dir = WEIR_DMA_TO_DEVICE };
	struct lab_test *t = *state;
	uint64_t *page;
	weir_iova iova;

	page = mmap(NULL, t->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	*page = 42;
	assert_int_equal(weir_ioas_map(t->as, page, t->page, &to_device, &iova), 0);
	trouble(t, LAB_TROUBLE_READ, iova, 1);
	expect_trouble(t, 1, 0, 0);
	trouble(t, LAB_TROUBLE_WRITE, iova, 1);
	expect_trouble(t, 0, 1, EFAULT);
	expect_fault(t, iova, true);
	assert_int_equal(*page, 42);
	assert_int_equal(weir_ioas_unmap(t->as, iova, t->page), 0);
	trouble(t, LAB_TROUBLE_READ, iova, 1);
	expect_trouble(t, 0, 1, EFAULT);
	expect_fault(t, iova, false);
	munmap(page, t->page);
}

static void without_bus_mastering(void **state)
{
	struct lab_test *t = *state;

	fill(t, 1);
	assert_int_equal(weir_device_bus_master(t->dev, false), 0);
	trouble(t, LAB_TROUBLE_READ, t->source_at, 2);
	expect_trouble(t, 0, 2, EPERM);
	trouble(t, LAB_TROUBLE_WRITE, t->dest_at, 1);
	expect_trouble(t, 0, 1, EPERM);
	trouble(t, LAB_TROUBLE_SLOW, t->dest_at, 0);
	expect_trouble(t, 0, 1, EPERM);
	submit(t, t->source_at, t->dest_at, 8, LAB_NO_VECTOR);
	assert_true(wait_clear(t, LAB_STATUS, LAB_STATUS_BUSY));
	assert_int_equal(reg(t, LAB_STATUS), LAB_STATUS_STOPPED);
	for (size_t i = 0; i < t->page; i++)
		assert_int_equal(t->dest[i], 0);
}

static void unmap_waits_for_the_slow(void **state)
{
	struct lab_test *t = *state;
	uint64_t *page;
	weir_iova iova;

	page = mmap(NULL, t->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(weir_ioas_map(t->as, page, t->page, NULL, &iova), 0);
	start_trouble(t, LAB_TROUBLE_SLOW, iova, 300);
	while (!(reg(t, LAB_STATUS) & LAB_STATUS_HOLDING))
		assert_true(reg(t, LAB_TROUBLE));
	assert_int_equal(weir_ioas_unmap(t->as, iova, t->page), 0);
	/* It has written by now, or never will. */
	assert_true(*page == LAB_PATTERN);
	munmap(page, t->page);
	assert_true(wait_clear(t, LAB_TROUBLE, UINT64_MAX));
	expect_trouble(t, 1, 0, 0);
	assert_int_equal(reg(t, LAB_STATUS), 0);
	trouble(t, LAB_TROUBLE_SLOW, iova, 0);
	expect_trouble(t, 0, 1, EFAULT);
	expect_fault(t, iova, true);
}

/* ---- commands that don't end, resets ---- */

static void hang_ends_with_a_reset(void **state)
{
	struct lab_test *t = *state;

	fill(t, 9);
	trouble(t, LAB_TROUBLE_HANG, 0, 0);
	submit(t, t->source_at, t->dest_at, 8, LAB_NO_VECTOR);
	pause_ms(20);
	assert_int_equal(reg(t, LAB_STATUS), LAB_STATUS_BUSY);
	assert_int_equal(t->ring[0].status, LAB_PENDING);
	/* It keeps to its ring, and so it would stay. */
	weir_write64(t->regs, LAB_RING_BASE, t->nowhere);
	assert_true(reg(t, LAB_RING_BASE) == t->ring_at);
	assert_int_equal(weir_device_reset(t->dev), 0);
	assert_int_equal(reg(t, LAB_STATUS), 0);
	assert_int_equal(t->dest[0], 0);
}

/* The host has cut the device off before it asks it to reset. */
static void nothing_comes_late(void **state)
{
	struct lab_test *t = *state;

	memset(t->dest, 0, t->page);
	trouble(t, LAB_TROUBLE_LATE, t->dest_at, 0);
	assert_int_equal(weir_device_reset(t->dev), 0);
	assert_int_equal(reg(t, LAB_LATE), ENODEV);
	assert_int_equal(t->dest[0], 0);
	/* A reset in the middle of something slow, or long. */
	start_trouble(t, LAB_TROUBLE_SLOW, t->dest_at, 300);
	while (!(reg(t, LAB_STATUS) & LAB_STATUS_HOLDING))
		assert_true(reg(t, LAB_TROUBLE));
	assert_int_equal(weir_device_reset(t->dev), 0);
	assert_int_equal(reg(t, LAB_TROUBLE), 0);
	memset(t->dest, 0, t->page);
	start_trouble(t, LAB_TROUBLE_WRITE, t->dest_at, UINT64_MAX);
	assert_int_equal(weir_device_reset(t->dev), 0);
	assert_int_equal(reg(t, LAB_TROUBLE), 0);
	memset(t->dest, 0, t->page);
	pause_ms(5);
	assert_int_equal(t->dest[0], 0);
	/* Whatever it wrote to behind that page. */
	memset(t->canary, 0xca, t->page);
	for (struct weir_fault fault; weir_ioas_faults(t->as, &fault, 1) == 1;)
		assert_true(fault.write);
}

static void unknown_trouble(void **state)
{
	struct lab_test *t = *state;

	trouble(t, LAB_TROUBLE_REMOVE + 1, 0, 0);
	expect_trouble(t, 0, 1, EINVAL);
	trouble(t, 255, 0, 0);
	expect_trouble(t, 0, 1, EINVAL);
	trouble(t, LAB_TROUBLE_CAPS, LAB_CAPS_GARBAGE + 1, 0);
	expect_trouble(t, 0, 1, EINVAL);
}

/* ---- config space that makes no sense ---- */

static int caps_end(struct weir_device *dev)
{
	static const uint16_t ids[] = { 0x10, 0x05, 0x11, 0x09 };
	struct weir_cap caps[64];
	int n = weir_config_caps(dev, caps, 64);

	/* Each place once at most, and what is sound is found. */
	assert_in_range(n, 5, (256 - 64) / 4 + (4096 - 256) / 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(caps[i].id, ids[i]);
	return n;
}

static void chains_that_dont_end(void **state)
{
	struct lab_test *t = *state;

	trouble(t, LAB_TROUBLE_CAPS, LAB_CAPS_LOOP, 0);
	assert_int_equal(caps_end(t->dev), 7);
	copies(t, LAB_NO_VECTOR);
	trouble(t, LAB_TROUBLE_CAPS, LAB_CAPS_GARBAGE, 0);
	caps_end(t->dev);
	copies(t, LAB_NO_VECTOR);
	/* The vendor's last 4 bytes are for the driver to write, the rest isn't. */
	assert_int_equal(weir_config_write32(t->dev, 0xac, 0x12345678), 0);
	assert_int_equal(weir_config_write32(t->dev, 0xa0, 0), 0);
	caps_end(t->dev);
	trouble(t, LAB_TROUBLE_CAPS, LAB_CAPS_SOUND, 0);
	assert_int_equal(caps_end(t->dev), 5);
}

static void chains_from_power_on(void **state)
{
	(void)state;
	for (enum lab_caps caps = LAB_CAPS_SOUND; caps <= LAB_CAPS_GARBAGE; caps++) {
		const struct lab_model_opts opts = { .caps = caps };
		struct weir_model *model;
		struct lab_test *t;
		int n;

		assert_int_equal(lab_model_create(&opts, &model), 0);
		t = new_test(model);
		n = caps_end(t->dev);
		assert_true(caps == LAB_CAPS_GARBAGE || n == (caps == LAB_CAPS_LOOP ? 7 : 5));
		trouble(t, LAB_TROUBLE_CAPS, LAB_CAPS_SOUND, 0);
		assert_int_equal(caps_end(t->dev), 5);
		assert_int_equal(weir_device_reset(t->dev), 0);
		assert_int_equal(caps_end(t->dev), n);
		assert_int_equal(weir_device_bus_master(t->dev, true), 0);
		ring_setup(t);
		copies(t, LAB_NO_VECTOR);
		detach(t);
		assert_int_equal(lab_model_destroy(model), 0);
		free(t);
	}
}

/* ---- surprise removal ---- */

static void pulled_out(void **state)
{
	struct lab_test *t = *state;
	struct weir_device_info info;
	uint32_t word = 0;

	assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_MSIX, 2), 0);
	start_trouble(t, LAB_TROUBLE_REMOVE, 0, 0);
	for (int64_t end = now_ms() + TIMEOUT_MS; reg(t, LAB_STATUS) != UINT64_MAX; pause_ms(1))
		assert_true(now_ms() < end);

	/* All ones, no error; the driver's calls end, and say what happened where they can't. */
	assert_int_equal(weir_read8(t->regs, LAB_SCRATCH), 0xff);
	weir_write64(t->regs, LAB_SCRATCH, 5);
	assert_int_equal(weir_region_read(t->dev, 2, 0, &word, 4), 0);
	assert_int_equal(word, UINT32_MAX);
	assert_int_equal(weir_device_info(t->dev, &info), 0);
	assert_int_equal(info.vendor, 0xffff);
	assert_in_range(weir_config_caps(t->dev, NULL, 0), 0, 1);
	assert_int_equal(weir_device_gone(t->dev), 1);
	assert_int_equal(weir_device_bus_master(t->dev, true), -ENODEV);
	assert_int_equal(weir_irq_trigger(t->dev, WEIR_IRQ_MSIX, 0), -ENODEV);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSIX, 0, 10), -ETIMEDOUT);
	assert_int_equal(weir_irq_disable(t->dev, WEIR_IRQ_MSIX), 0);
	assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_MSIX, 2), -ENODEV);
	assert_non_null(strstr(weir_errmsg(), "removed"));
	assert_int_equal(weir_device_reset(t->dev), -ENODEV);
	assert_non_null(strstr(weir_errmsg(), "removed"));

	/* Let go of it, and plug it in again. */
	detach(t);
	attach(t);
	assert_int_equal(weir_device_gone(t->dev), 0);
	assert_true(reg(t, LAB_ID) == LAB_ID_VALUE);
	assert_int_equal(reg(t, LAB_SCRATCH), 0);
	copies(t, LAB_NO_VECTOR);
}

/* While it copies and interrupts; the driver never waits for good. */
static void pulled_out_at_work(void **state)
{
	struct lab_test *t = *state;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_MSIX, 1), 0);
		for (unsigned int n = 0; n < RING - 1; n++)
			submit(t, t->source_at, t->dest_at, (uint32_t)t->page, 0);
		assert_int_equal(weir_model_remove(t->model), 0);
		assert_true(reg(t, LAB_STATUS) == UINT64_MAX);
		detach(t);
		attach(t);
		copies(t, LAB_NO_VECTOR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LAB(bad_descriptors),
		WITH_LAB(ring_out_of_reach),
		WITH_LAB(strays_are_blocked),
		WITH_LAB(direction_and_unmap),
		WITH_LAB(without_bus_mastering),
		WITH_LAB(unmap_waits_for_the_slow),
		WITH_LAB(hang_ends_with_a_reset),
		WITH_LAB(nothing_comes_late),
		WITH_LAB(unknown_trouble),
		WITH_LAB(chains_that_dont_end),
		cmocka_unit_test(chains_from_power_on),
		WITH_MODEL(pulled_out),
		WITH_MODEL(pulled_out_at_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
