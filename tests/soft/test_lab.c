/* SPDX-License-Identifier: MIT */
/* What the lab device does: registers, the ring, interrupts, wanted and unwanted ones. */
#include "lab_rig.h"

static void it_is_made_and_destroyed(void **state)
{
	struct lab_model_opts opts = { .caps = (enum lab_caps)3 };
	struct weir_model *model = NULL;
	struct weir_device *dev;

	(void)state;
	assert_int_equal(lab_model_create(&opts, &model), -EINVAL);
	assert_null(model);
	assert_int_equal(lab_model_destroy(NULL), 0);
	opts.caps = LAB_CAPS_SOUND;
	assert_int_equal(lab_model_create(&opts, &model), 0);
	assert_int_equal(weir_device_open_model(NULL, model, NULL, &dev), 0);
	assert_int_equal(lab_model_destroy(model), -EBUSY);
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(lab_model_destroy(model), 0);
}

static void it_is_described(void **state)
{
	static const uint16_t ids[] = { 0x10, 0x05, 0x11, 0x09, 0x0003 };
	static const unsigned int vectors[WEIR_IRQS] = { 1, 4, LAB_VECTORS, 1, 1 };
	static const uint64_t sizes[] = { 4096, 0, 65536, 0, 8192, 0, 0, 4096, 0 };
	struct lab_test *t = *state;
	struct weir_region_info region;
	struct weir_device_info info;
	struct weir_irq_info irq;
	struct weir_cap caps[8];

	assert_int_equal(weir_device_info(t->dev, &info), 0);
	assert_int_equal(info.vendor, LAB_VENDOR);
	assert_int_equal(info.device, LAB_DEVICE);
	assert_true(info.can_reset);
	assert_string_equal(info.name, "soft:lab");
	assert_int_equal(weir_config_caps(t->dev, caps, 8), 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(caps[i].id, ids[i]);
	assert_true(caps[4].extended);
	for (unsigned int i = 0; i < WEIR_REGIONS; i++) {
		assert_int_equal(weir_region_info(t->dev, i, &region), 0);
		assert_int_equal(region.size, sizes[i]);
	}
	for (enum weir_irq i = 0; i < WEIR_IRQS; i++) {
		assert_int_equal(weir_irq_info(t->dev, i, &irq), 0);
		assert_int_equal(irq.count, vectors[i]);
		assert_int_equal(irq.resizable, i == WEIR_IRQ_MSIX);
	}
}

static void registers_take_any_width(void **state)
{
	struct lab_test *t = *state;

	assert_true(reg(t, LAB_ID) == LAB_ID_VALUE);
	weir_write64(t->regs, LAB_ID, 0);
	assert_int_equal(weir_read8(t->regs, LAB_ID + 1), 'a');
	weir_write64(t->regs, LAB_SCRATCH, 0x8877665544332211);
	assert_int_equal(weir_read8(t->regs, LAB_SCRATCH + 7), 0x88);
	assert_int_equal(weir_read16(t->regs, LAB_SCRATCH + 2), 0x4433);
	assert_int_equal(weir_read32(t->regs, LAB_SCRATCH + 4), 0x88776655);
	weir_write8(t->regs, LAB_SCRATCH, 0xaa);
	weir_write16(t->regs, LAB_SCRATCH + 2, 0xbbbb);
	weir_write32(t->regs, LAB_SCRATCH + 4, 0xcccccccc);
	assert_true(reg(t, LAB_SCRATCH) == 0xccccccccbbbb22aa);
	assert_true(reg(t, 0xb8) == UINT64_MAX);
	assert_int_equal(weir_read8(t->regs, 4095), 0xff);
	weir_write64(t->regs, 0xb8, 1);

	weir_write16_be(t->regs, LAB_BE, 0x12fe);
	assert_int_equal(weir_read16_be(t->regs, LAB_BE), 0x12ff);
	weir_write32_be(t->regs, LAB_BE, 0x1234ffff);
	assert_int_equal(weir_read32_be(t->regs, LAB_BE), 0x12350000);
	assert_int_equal(weir_read32(t->regs, LAB_BE), 0x00003512);
	weir_write64_be(t->regs, LAB_BE, 0x00ffffffffffffff);
	assert_true(weir_read64_be(t->regs, LAB_BE) == 0x0100000000000000);
}

static void memory_bar_keeps_data(void **state)
{
	struct lab_test *t = *state;
	uint8_t out[100], in[100];

	for (unsigned int i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i + 1);
	assert_int_equal(weir_region_write(t->dev, 2, 65536 - 100, out, 100), 0);
	assert_int_equal(weir_region_read(t->dev, 2, 65536 - 100, in, 100), 0);
	assert_memory_equal(in, out, 100);
	assert_int_equal(weir_read16(t->memory, 65534), 100 << 8 | 99);
	assert_int_equal(weir_region_write(t->dev, 2, 65536 - 99, out, 100), -EINVAL);
	assert_int_equal(weir_device_reset(t->dev), 0);
	assert_int_equal(weir_read16(t->memory, 65534), 0);
}

static void msix_table_is_out_of_reach(void **state)
{
	struct lab_test *t = *state;
	struct weir_bar *bar;

	assert_int_equal(weir_bar_open(t->dev, 4, WEIR_BAR_AUTO, &bar), 0);
	weir_write64(bar, 0, 0xfee00000);
	assert_true(weir_read64(bar, 0) == UINT64_MAX);
	assert_int_equal(weir_read32(bar, 16 * LAB_VECTORS - 4), UINT32_MAX);
	assert_true(weir_read64(bar, 0x1000) == 0);
	assert_int_equal(weir_bar_close(bar), 0);
}

static void ring_goes_around(void **state)
{
	struct lab_test *t = *state;

	for (unsigned int i = 0; i < 3 * RING; i++) {
		copies(t, LAB_NO_VECTOR);
		assert_int_equal(reg(t, LAB_RING_HEAD), (i + 1) % RING);
	}
	/* Several at once, one of them short: not a byte beside it. */
	fill(t, 77);
	for (unsigned int i = 0; i < RING - 2; i++)
		submit(t, t->source_at + 8 * i, t->dest_at + 8 * i, 8, LAB_NO_VECTOR);
	assert_int_equal(wait_done(t, submit(t, t->source_at + 100, t->dest_at + 101, 1,
					     LAB_NO_VECTOR)), LAB_DONE);
	assert_memory_equal(t->dest, t->source, 8 * (RING - 2));
	assert_int_equal(t->dest[101], t->source[100]);
	assert_int_equal(t->dest[100] | t->dest[102], 0);
}

/* As high as the IOMMU goes: 39, 48 or 57 bits. */
static void dma_has_64_bits(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	struct lab_test *t = *state;
	struct weir_iova_range ranges[8];
	weir_iova high;
	uint8_t *page;
	int n;

	n = weir_ioas_ranges(t->as, ranges, 8);
	assert_in_range(n, 1, 8);
	high = ranges[n - 1].last - t->page + 1;
	assert_true(high > UINT32_MAX);
	page = mmap(NULL, t->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(weir_ioas_map(t->as, page, t->page, &fixed, &high), 0);
	fill(t, 3);
	assert_int_equal(wait_done(t, submit(t, t->source_at, high, (uint32_t)t->page,
					     LAB_NO_VECTOR)), LAB_DONE);
	assert_memory_equal(page, t->source, t->page);
	/* One byte too far: what comes before has been copied. */
	assert_int_equal(wait_done(t, submit(t, t->source_at, high + 1, (uint32_t)t->page,
					     LAB_NO_VECTOR)), LAB_DEST_BLOCKED);
	expect_fault(t, high + t->page, true);
	assert_int_equal(weir_ioas_unmap(t->as, high, t->page), 0);
	munmap(page, t->page);
}

/* ---- interrupts ---- */

static void each_vector_by_itself(struct lab_test *t, enum weir_irq irq, unsigned int count)
{
	assert_int_equal(weir_irq_enable(t->dev, irq, count), 0);
	for (unsigned int i = 0; i < count; i++) {
		copies(t, i);
		assert_int_equal(weir_irq_wait(t->dev, irq, i, TIMEOUT_MS), 1);
		for (unsigned int other = 0; other < count; other++)
			assert_int_equal(weir_irq_wait(t->dev, irq, other, 0), -ETIMEDOUT);
	}
	assert_int_equal(reg(t, LAB_LOST), 0);
	assert_int_equal(reg(t, LAB_IRQ_STATUS), 0);
	assert_int_equal(weir_irq_disable(t->dev, irq), 0);
}

static void messages_by_vector(void **state)
{
	struct lab_test *t = *state;

	each_vector_by_itself(t, WEIR_IRQ_MSIX, LAB_VECTORS);
	each_vector_by_itself(t, WEIR_IRQ_MSI, 4);
	each_vector_by_itself(t, WEIR_IRQ_MSIX, 3);
}

static void pin_is_level_triggered(void **state)
{
	struct lab_test *t = *state;

	assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_INTX, 1), 0);
	copies(t, 3);
	copies(t, 9);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_INTX, 0, TIMEOUT_MS), 1);
	assert_int_equal(reg(t, LAB_IRQ_STATUS), 1 << 3 | 1 << 9);
	weir_write16(t->regs, LAB_IRQ_STATUS, 1 << 3);
	/* The other one is still there. */
	assert_int_equal(weir_irq_unmask(t->dev, WEIR_IRQ_INTX, 0), 0);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_INTX, 0, TIMEOUT_MS), 1);
	weir_write8(t->regs, LAB_IRQ_STATUS + 1, 1 << 1);
	assert_int_equal(weir_irq_unmask(t->dev, WEIR_IRQ_INTX, 0), 0);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_INTX, 0, 0), -ETIMEDOUT);
	assert_int_equal(reg(t, LAB_IRQ_STATUS), 0);
}

/* Vectors that aren't enabled, or that no device of this kind has. */
static void stray_vectors_are_refused(void **state)
{
	static const unsigned int stray[] = { 2, 15, 16, 2048, UINT32_MAX };
	struct lab_test *t = *state;

	assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_MSIX, 2), 0);
	for (size_t i = 0; i < sizeof(stray) / sizeof(stray[0]); i++) {
		trouble(t, LAB_TROUBLE_STORM, stray[i], 3);
		expect_trouble(t, 0, 3, EINVAL);
	}
	copies(t, 2);
	assert_int_equal(reg(t, LAB_LOST), 1);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSIX, 0, 0), -ETIMEDOUT);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSIX, 1, 0), -ETIMEDOUT);
	/* A message is DMA. */
	assert_int_equal(weir_device_bus_master(t->dev, false), 0);
	trouble(t, LAB_TROUBLE_STORM, 0, 1);
	expect_trouble(t, 0, 1, EPERM);
}

/* None is lost, none is invented, and the other vector is left alone. */
static void storm_of_messages(void **state)
{
	struct lab_test *t = *state;

	assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_MSIX, 2), 0);
	trouble(t, LAB_TROUBLE_STORM, 1, 100000);
	expect_trouble(t, 100000, 0, 0);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSIX, 1, 0), 100000);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSIX, 0, 0), -ETIMEDOUT);
	/* Disabled in the middle of one. */
	start_trouble(t, LAB_TROUBLE_STORM, 1, 1000000);
	assert_int_equal(weir_irq_disable(t->dev, WEIR_IRQ_MSIX), 0);
	assert_true(wait_clear(t, LAB_TROUBLE, UINT64_MAX));
	assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_MSIX, 2), 0);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSIX, 1, 0), -ETIMEDOUT);
}

/* A line that masks itself can't flood anybody. */
static void storm_on_the_pin(void **state)
{
	struct lab_test *t = *state;

	assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_INTX, 1), 0);
	trouble(t, LAB_TROUBLE_STORM, 0, 1000);
	expect_trouble(t, 1000, 0, 0);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_INTX, 0, 0), 1);
	assert_int_equal(reg(t, LAB_IRQ_STATUS), 0);
	assert_int_equal(weir_irq_unmask(t->dev, WEIR_IRQ_INTX, 0), 0);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_INTX, 0, 0), -ETIMEDOUT);
	/* One without end does end with a reset, as with the device's closing. */
	start_trouble(t, LAB_TROUBLE_STORM, 0, UINT64_MAX);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_INTX, 0, TIMEOUT_MS), 1);
	assert_int_equal(weir_device_reset(t->dev), 0);
	assert_int_equal(reg(t, LAB_TROUBLE), 0);
}

static void errors_and_requests(void **state)
{
	struct lab_test *t = *state;

	for (enum weir_irq irq = WEIR_IRQ_ERR; irq <= WEIR_IRQ_REQ; irq++) {
		unsigned int what = irq == WEIR_IRQ_ERR ? LAB_TROUBLE_ERR : LAB_TROUBLE_REQ;

		trouble(t, what, 0, 0);
		expect_trouble(t, 0, 1, EINVAL);
		/* They come beside the device's own interrupts. */
		if (irq == WEIR_IRQ_ERR)
			assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_MSIX, 1), 0);
		assert_int_equal(weir_irq_enable(t->dev, irq, 1), 0);
		trouble(t, what, 0, 0);
		expect_trouble(t, 1, 0, 0);
		assert_int_equal(weir_irq_wait(t->dev, irq, 0, TIMEOUT_MS), 1);
		assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSIX, 0, 0), -ETIMEDOUT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_made_and_destroyed),
		WITH_LAB(it_is_described),
		WITH_LAB(registers_take_any_width),
		WITH_LAB(memory_bar_keeps_data),
		WITH_LAB(msix_table_is_out_of_reach),
		WITH_LAB(ring_goes_around),
		WITH_LAB(dma_has_64_bits),
		WITH_LAB(messages_by_vector),
		WITH_LAB(pin_is_level_triggered),
		WITH_LAB(stray_vectors_are_refused),
		WITH_LAB(storm_of_messages),
		WITH_LAB(storm_on_the_pin),
		WITH_LAB(errors_and_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
