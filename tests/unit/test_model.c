/* SPDX-License-Identifier: MIT */
/* The model's host, as its driver sees it: descriptions, config space, regions. */
#include "toy.h"

/* Descriptions. */

static void test_bad_bars(void **state)
{
	struct weir_model_desc desc = toy_desc;

	(void)state;
	desc.bars[0].size = 4095;
	refused(&desc, "power of two");
	desc.bars[0].size = 8;
	refused(&desc, "16");
	desc.bars[0].size = 1;
	refused(&desc, "16");
	desc.bars[0].size = 1ull << 32;
	refused(&desc, "2 GiB");

	desc = toy_desc;
	desc.bars[5].is64 = true;
	refused(&desc, "last one");

	desc = toy_desc;
	desc.bars[2].size = 4096;
	refused(&desc, "upper half");
}

static void test_bad_descriptions(void **state)
{
	struct weir_model_desc desc = toy_desc;

	(void)state;
	desc.name = NULL;
	refused(&desc, "name");

	desc = toy_desc;
	desc.reserved[3] = 1;
	refused(&desc, "reserved");

	desc = toy_desc;
	desc.vendor = 0xffff;
	refused(&desc, "vendor");

	desc = toy_desc;
	desc.class_code = 0x1000000;
	refused(&desc, "24 bits");

	desc = toy_desc;
	desc.dma_bits = 65;
	refused(&desc, "64");
	desc.dma_bits = 11;
	refused(&desc, "page");
	desc.dma_bits = 1;
	refused(&desc, "page");

	desc = toy_desc;
	desc.msi = 3;
	refused(&desc, "MSI");
	desc.msi = 64;
	refused(&desc, "MSI");
	desc.msi = 1u << 31;
	refused(&desc, "MSI");
}

static void test_bad_operations(void **state)
{
	const struct weir_model_ops blind = { .write = toy_write };
	const struct weir_model_ops deaf = { .read = toy_read };
	struct weir_model *model = NULL;

	(void)state;
	assert_int_equal(weir_model_create(&toy_desc, NULL, NULL, &model), -EINVAL);
	assert_int_equal(weir_model_create(&toy_desc, &blind, NULL, &model), -EINVAL);
	assert_int_equal(weir_model_create(&toy_desc, &deaf, NULL, &model), -EINVAL);
	assert_null(model);
}

/* The description is copied; the limits themselves are allowed. */
static void test_description_limits(void **state)
{
	struct weir_model_desc desc = {
		.name = NULL, .vendor = 1, .msi = 32, .class_code = 0xffffff,
		.bars = { [0] = { .size = 1u << 31 }, [4] = { .size = 1ull << 63, .is64 = true } },
	};
	char name[] = "temporary";
	struct weir_model *model;
	struct weir_region_info info;

	(void)state;
	desc.name = name;
	model = make(&desc, NULL);
	memset(name, 'x', sizeof(name) - 1);
	memset(&desc, 0xff, sizeof(desc));
	assert_string_equal(wr_model_name(model), "temporary");
	assert_int_equal(wr_model_dma_bits(model), 64);
	assert_int_equal(wr_model_region_info(model, 4, &info), 0);
	assert_true(info.size == 1ull << 63);
	assert_int_equal(weir_model_destroy(model), 0);
	assert_int_equal(weir_model_destroy(NULL), 0);
}

/* Config space. */

static void test_config_header(void **state)
{
	struct weir_model *model = ((struct fixture *)*state)->toy.model;

	assert_int_equal(config_read(model, WR_PCI_VENDOR, 4), 0x10f01af4);
	assert_int_equal(config_read(model, WR_PCI_COMMAND, 2), WR_PCI_COMMAND_MEMORY);
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2), WR_PCI_STATUS_CAPS);
	assert_int_equal(config_read(model, WR_PCI_REVISION, 4), 0x0880ff07);
	assert_int_equal(config_read(model, WR_PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(config_read(model, WR_PCI_SUBSYSTEM_VENDOR, 4), 0x22221111);
	assert_int_equal(config_read(model, WR_PCI_INTERRUPT_PIN, 1), 1);
	/* Ids and class are wired. */
	for (unsigned int offset = 0; offset < 0x10; offset += 4) {
		uint32_t before = config_read(model, offset, 4);

		if (offset == WR_PCI_COMMAND)
			continue;
		config_write(model, offset, 4, ~before);
		assert_int_equal(config_read(model, offset, 4), before);
	}
	config_write(model, WR_PCI_INTERRUPT_LINE, 2, 0xff0b);
	assert_int_equal(config_read(model, WR_PCI_INTERRUPT_LINE, 2), 0x010b);
}

static void test_config_command(void **state)
{
	struct weir_model *model = ((struct fixture *)*state)->toy.model;
	const unsigned int all = WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_MASTER |
				 WR_PCI_COMMAND_INTX_OFF;

	config_write(model, WR_PCI_COMMAND, 4, 0xffffffff);
	assert_int_equal(config_read(model, WR_PCI_COMMAND, 2), all);
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2), WR_PCI_STATUS_CAPS);
	config_write(model, WR_PCI_COMMAND + 1, 1, 0);
	assert_int_equal(config_read(model, WR_PCI_COMMAND, 2),
			 WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_MASTER);
	command(model, 0);
	assert_int_equal(config_read(model, WR_PCI_COMMAND, 2), 0);
}

static void test_config_bar_sizing(void **state)
{
	struct weir_model *model = ((struct fixture *)*state)->toy.model;
	static const uint32_t at_rest[6] = { 0, 0xc, 0, 0, 0, 0 };
	static const uint32_t sized[6] = { 0xfffff000, 0xc, 0xfffffff0, 0, 0, 0xfffffff0 };

	for (unsigned int n = 0; n < 6; n++)
		assert_int_equal(config_read(model, WR_PCI_BAR0 + 4 * n, 4), at_rest[n]);
	for (unsigned int n = 0; n < 6; n++)
		config_write(model, WR_PCI_BAR0 + 4 * n, 4, 0xffffffff);
	for (unsigned int n = 0; n < 6; n++)
		assert_int_equal(config_read(model, WR_PCI_BAR0 + 4 * n, 4), sized[n]);
	/* By halves too, and an address sticks. */
	config_write(model, WR_PCI_BAR0, 4, 0);
	config_write(model, WR_PCI_BAR0 + 2, 2, 0xfebf);
	assert_int_equal(config_read(model, WR_PCI_BAR0, 4), 0xfebf0000);
}

static void test_config_msi(void **state)
{
	struct weir_model *model = ((struct fixture *)*state)->toy.model;
	unsigned int cap = config_read(model, WR_PCI_CAP_POINTER, 1);

	assert_in_range(cap, 0x40, 0xf0);
	assert_int_equal(cap & 3, 0);
	assert_int_equal(config_read(model, cap, 2), WR_PCI_CAP_MSI);
	assert_int_equal(config_read(model, cap + 2, 2), WR_PCI_MSI_64BIT | 2 << 1);
	/* The driver's own enable bit has no effect. */
	config_write(model, cap + 2, 2, 0xffff);
	assert_int_equal(config_read(model, cap + 2, 2), WR_PCI_MSI_64BIT | 2 << 1);
	assert_false(weir_model_msi_enabled(model));
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 3), 0);
	assert_int_equal(config_read(model, cap + 2, 2),
			 WR_PCI_MSI_64BIT | 2 << 1 | 2 << 4 | WR_PCI_MSI_ENABLE);
	config_write(model, cap + 2, 2, 0);
	assert_true(weir_model_msi_enabled(model));
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 0), 0);
	assert_int_equal(config_read(model, cap + 2, 2), WR_PCI_MSI_64BIT | 2 << 1);
	config_write(model, cap + 4, 4, 0xfee00003);
	assert_int_equal(config_read(model, cap + 4, 4), 0xfee00000);
	config_write(model, cap + 12, 4, 0xffff1234);
	assert_int_equal(config_read(model, cap + 12, 4), 0x1234);
}

static void test_config_without_capabilities(void **state)
{
	struct weir_model_desc desc = { .name = "bare", .vendor = 1 };
	struct toy toy = { 0 };
	struct weir_model *model = make(&desc, &toy);
	struct weir_irq_info info;
	struct bus bus = { 0 };

	(void)state;
	assert_int_equal(wr_model_attach(model, &test_bus, &bus), 0);
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2), 0);
	assert_int_equal(config_read(model, WR_PCI_CAP_POINTER, 1), 0);
	assert_int_equal(config_read(model, WR_PCI_INTERRUPT_PIN, 1), 0);
	for (unsigned int irq = 0; irq < WEIR_IRQS; irq++) {
		/* Its host can always ask for it back. */
		unsigned int count = irq == WEIR_IRQ_REQ;

		assert_int_equal(wr_model_irq_info(model, irq, &info), 0);
		assert_int_equal(info.count, count);
		assert_int_equal(wr_model_irq_enable(model, irq, 0), 0);
		assert_int_equal(wr_model_irq_enable(model, irq, count + 1), -EINVAL);
	}
	assert_int_equal(weir_model_intx(model, true), -EINVAL);
	for (unsigned int offset = 0x40; offset < 256; offset += 4)
		assert_int_equal(config_read(model, offset, 4), 0);
	wr_model_detach(model);
	assert_int_equal(weir_model_destroy(model), 0);
}

/* Regions. */

static void test_region_info(void **state)
{
	struct weir_model *model = ((struct fixture *)*state)->toy.model;
	static const uint64_t sizes[WEIR_REGIONS] = {
		4096, 1ull << 36, 0, 0, 0, 16, 0, 256, 0
	};
	struct weir_region_info info;

	for (unsigned int n = 0; n < WEIR_REGIONS; n++) {
		memset(&info, 0xff, sizeof(info));
		assert_int_equal(wr_model_region_info(model, n, &info), 0);
		assert_true(info.size == sizes[n]);
		assert_int_equal(info.readable, !!sizes[n]);
		assert_int_equal(info.writable, !!sizes[n]);
		assert_false(info.mappable);
	}
	assert_int_equal(wr_model_region_info(model, WEIR_REGIONS, &info), -EINVAL);
	assert_int_equal(wr_model_region_info(model, UINT32_MAX, &info), -EINVAL);
}

static void bad_access(struct weir_model *model, unsigned int region, uint64_t offset, size_t len)
{
	uint8_t bytes[32] = { 0 };

	assert_int_equal(wr_model_region_read(model, region, offset, bytes, len), -EINVAL);
	assert_int_equal(wr_model_region_write(model, region, offset, bytes, len), -EINVAL);
}

static void test_region_bad_access(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	bad_access(model, 0, 0, 0);
	bad_access(model, 0, 4096, 1);
	bad_access(model, 0, 4095, 2);
	bad_access(model, 0, UINT64_MAX, 1);
	bad_access(model, 0, UINT64_MAX, 8);
	bad_access(model, 0, 1, SIZE_MAX);
	bad_access(model, 2, 0, 4);
	bad_access(model, WEIR_REGION_ROM, 0, 1);
	bad_access(model, WEIR_REGION_VGA, 0, 1);
	bad_access(model, WEIR_REGIONS, 0, 1);
	bad_access(model, UINT32_MAX, 0, 1);
	bad_access(model, WEIR_REGION_CONFIG, 256, 1);
	bad_access(model, WEIR_REGION_CONFIG, 254, 4);
	assert_int_equal(f->toy.accesses, 0);
}

static void test_region_memory_space_off(void **state)
{
	struct fixture *f = *state;
	uint32_t word = 0;

	command(f->toy.model, WR_PCI_COMMAND_MASTER);
	assert_int_equal(wr_model_region_read(f->toy.model, 0, 0, &word, 4), -EIO);
	assert_int_equal(wr_model_region_write(f->toy.model, 0, 0, &word, 4), -EIO);
	/* Out of range is out of range, whatever the device does. */
	assert_int_equal(wr_model_region_read(f->toy.model, 0, 4096, &word, 4), -EINVAL);
	assert_int_equal(f->toy.accesses, 0);
	command(f->toy.model, WR_PCI_COMMAND_MEMORY);
	assert_int_equal(wr_model_region_read(f->toy.model, 0, 0, &word, 4), 0);
}

static void test_region_split(void **state)
{
	struct fixture *f = *state;
	static const unsigned int widths[] = { 1, 2, 4, 8, 8, 2, 1 };
	static const uint64_t offsets[] = { 1, 2, 4, 8, 16, 24, 26 };
	uint8_t bytes[26];
	uint64_t value;

	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + 1);
	assert_int_equal(wr_model_region_write(f->toy.model, 0, 1, bytes, sizeof(bytes)), 0);
	assert_int_equal(f->toy.accesses, 7);
	for (unsigned int i = 0; i < 7; i++) {
		assert_int_equal(f->toy.widths[i], widths[i]);
		assert_true(f->toy.offsets[i] == offsets[i]);
		value = 0;
		for (unsigned int b = widths[i]; b--;)
			value = value << 8 | (offsets[i] + b);
		assert_true(f->toy.values[i] == value);
	}

	f->toy.accesses = 0;
	f->toy.answer = 0x8877665544332211;
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(wr_model_region_read(f->toy.model, 1, (1ull << 36) - 9, bytes, 9), 0);
	assert_int_equal(f->toy.accesses, 2);
	assert_int_equal(f->toy.bar, 1);
	assert_memory_equal(bytes, "\x11\x11\x22\x33\x44\x55\x66\x77\x88\0", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_bars),
		cmocka_unit_test(test_bad_descriptions),
		cmocka_unit_test(test_bad_operations),
		cmocka_unit_test(test_description_limits),
		WITH_TOY(test_config_header),
		WITH_TOY(test_config_command),
		WITH_TOY(test_config_bar_sizing),
		WITH_TOY(test_config_msi),
		cmocka_unit_test(test_config_without_capabilities),
		WITH_TOY(test_region_info),
		WITH_TOY(test_region_bad_access),
		WITH_TOY(test_region_memory_space_off),
		WITH_TOY(test_region_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
