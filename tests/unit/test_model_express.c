/* SPDX-License-Identifier: MIT */
/* The model's host for PCI Express devices: config space, MSI-X, the model's own capabilities. */
#include "toy.h"

#define TABLE	0x800
#define PBA	0xa00

static const struct weir_model_desc express_desc = {
	.name = "express",
	.vendor = 0x1af4,
	.pcie = true,
	.msi = 2,
	.msix = 32,
	.msix_bar = 2,
	.msix_table = TABLE,
	.msix_pba = PBA,
	.bars = {
		[0] = { .size = 4096 },
		[2] = { .size = 4096, .is64 = true },
	},
};

static int express_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->toy.model = make(&express_desc, &f->toy);
	*state = f;
	return wr_model_attach(f->toy.model, &test_bus, &f->bus);
}

#define WITH_EXPRESS(fn) cmocka_unit_test_setup_teardown(fn, express_setup, teardown)

/* Descriptions. */

static void test_bad_msix(void **state)
{
	static const struct {
		unsigned int msix, bar;
		uint64_t table, pba;
		const char *why;
	} bad[] = {
		{ 0, 2, 0, 0, "how many" },
		{ 0, 0, 8, 0, "how many" },
		{ 0, 0, 0, 8, "how many" },
		{ 2049, 2, TABLE, PBA, "1 to 2048" },
		{ UINT32_MAX, 2, TABLE, PBA, "1 to 2048" },
		{ 32, 1, TABLE, PBA, "BAR 1" },
		{ 32, 3, TABLE, PBA, "BAR 3" },		/* an upper half */
		{ 32, 6, TABLE, PBA, "BAR 6" },
		{ 32, UINT32_MAX, TABLE, PBA, "hasn't got" },
		{ 32, 2, TABLE + 4, PBA, "table is at 0x804, not at a multiple of 8" },
		{ 32, 2, TABLE, PBA + 1, "pending bits is at 0xa01, not at a multiple" },
		{ 32, 2, 4096 - 504, 0, "takes 0x200 bytes at 0xe08, BAR 2 has 0x1000" },
		{ 32, 2, 4096, 0, "takes" },
		{ 32, 2, 1ull << 32, 0, "32 bits" },
		{ 32, 2, UINT64_MAX - 7, 0, "32 bits" },
		{ 32, 2, 0, 4096, "pending bits takes 0x8 bytes" },
		{ 65, 2, 0, 4096 - 8, "pending bits takes 0x10 bytes" },
		{ 32, 2, TABLE, TABLE, "overlap" },
		{ 32, 2, TABLE, TABLE + 504, "overlap" },
		{ 32, 2, TABLE, TABLE + 8, "overlap" },
		{ 65, 2, 16, 8, "overlap" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct weir_model_desc desc = express_desc;

		desc.msix = bad[i].msix;
		desc.msix_bar = bad[i].bar;
		desc.msix_table = bad[i].table;
		desc.msix_pba = bad[i].pba;
		refused(&desc, bad[i].why);
	}
}

/* To the last byte, side by side, and as many as there can be. */
static void test_msix_limits(void **state)
{
	struct weir_model_desc desc = express_desc;
	struct weir_irq_info info;
	struct weir_model *model;

	(void)state;
	desc.msix_table = 4096 - 512;
	desc.msix_pba = 4096 - 520;
	model = make(&desc, NULL);
	assert_int_equal(weir_model_destroy(model), 0);
	desc.bars[2].size = 65536;
	desc.msix = 2048;
	desc.msix_table = 256;
	desc.msix_pba = 0;
	model = make(&desc, NULL);
	assert_int_equal(wr_model_irq_info(model, WEIR_IRQ_MSIX, &info), 0);
	assert_int_equal(info.count, 2048);
	assert_true(info.resizable);
	assert_false(info.maskable || info.automasked);
	assert_int_equal(weir_model_destroy(model), 0);
}

/* Config space. */

static int read_config(void *arg, unsigned int offset, void *buf, unsigned int len)
{
	return wr_model_region_read(arg, WEIR_REGION_CONFIG, offset, buf, len);
}

static void expect_caps(struct weir_model *model, const uint16_t *ids, int n)
{
	struct weir_region_info info;
	struct weir_cap caps[16];

	assert_int_equal(wr_model_region_info(model, WEIR_REGION_CONFIG, &info), 0);
	assert_int_equal(weir_config_walk(read_config, model, (unsigned int)info.size, caps, 16),
			 n);
	for (int i = 0; i < n; i++)
		assert_int_equal(caps[i].id, ids[i]);
}

static void test_config_space(void **state)
{
	static const uint16_t ids[] = { WR_PCI_CAP_EXPRESS, WR_PCI_CAP_MSI, WR_PCI_CAP_MSIX };
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	struct weir_region_info info;
	uint8_t byte;

	assert_int_equal(wr_model_region_read(model, WEIR_REGION_CONFIG, 4096, &byte, 1), -EINVAL);
	assert_int_equal(wr_model_region_info(model, WEIR_REGION_CONFIG, &info), 0);
	assert_int_equal(info.size, 4096);
	assert_int_equal(config_read(model, 4092, 4), 0);
	config_write(model, 4092, 4, 0xffffffff);
	assert_int_equal(config_read(model, 4092, 4), 0);
	expect_caps(model, ids, 3);

	/* Version 2, integrated endpoint; reset by function; nothing of it moves but control. */
	assert_int_equal(config_read(model, 0x42, 2), 0x92);
	assert_int_equal(config_read(model, 0x44, 4), 0x10008000);
	assert_int_equal(config_read(model, 0x48, 4), 0x2810);
	for (unsigned int offset = 0x40; offset < 0x7c; offset += 4)
		config_write(model, offset, 4, offset == 0x48 ? 0xffff7fff : 0xffffffff);
	assert_int_equal(config_read(model, 0x40, 4), 0x00928010);
	assert_int_equal(config_read(model, 0x44, 4), 0x10008000);
	assert_int_equal(config_read(model, 0x48, 4), 0x781f);
	for (unsigned int offset = 0x4c; offset < 0x7c; offset += 4)
		assert_int_equal(config_read(model, offset, 4), 0);
}

static void test_config_msix(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	assert_int_equal(config_read(model, 0x90, 4), 31u << 16 | WR_PCI_CAP_MSIX);
	assert_int_equal(config_read(model, 0x94, 4), TABLE | 2);
	assert_int_equal(config_read(model, 0x98, 4), PBA | 2);
	for (unsigned int offset = 0x90; offset < 0xa0; offset += 4)
		config_write(model, offset, 4, 0xffffffff);
	assert_int_equal(config_read(model, 0x90, 4), 31u << 16 | WR_PCI_CAP_MSIX);
	assert_int_equal(config_read(model, 0x94, 4), TABLE | 2);
	assert_int_equal(config_read(model, 0x98, 4), PBA | 2);
	assert_false(weir_model_msi_enabled(model));
	/* The enable bit follows, and the driver's own writes don't touch it. */
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSIX, 5), 0);
	assert_int_equal(config_read(model, 0x92, 2), WR_PCI_MSIX_ENABLE | 31);
	config_write(model, 0x92, 2, 0);
	assert_int_equal(config_read(model, 0x92, 2), WR_PCI_MSIX_ENABLE | 31);
	assert_int_equal(config_read(model, 0x82, 2) & WR_PCI_MSI_ENABLE, 0);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSIX, 0), 0);
	assert_int_equal(config_read(model, 0x92, 2), 31);
}

/* Its bit asks for a reset, and reads 0; a device without reset has no such bit. */
static void test_config_flr(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	struct weir_model *lasting;
	struct bus bus = { 0 };

	config_write(model, 0x48, 2, 0x7fff);
	config_write(model, 0x4a, 2, 0xffff);
	config_write(model, 0x48, 1, 0xff);
	assert_int_equal(f->toy.resets, 0);
	config_write(model, 0x49, 1, 0x80);
	assert_int_equal(f->toy.resets, 1);
	config_write(model, 0x48, 4, 0x8000);
	assert_int_equal(f->toy.resets, 2);
	assert_int_equal(config_read(model, 0x48, 2), 0);

	assert_int_equal(weir_model_create(&express_desc, &no_reset_ops, NULL, &lasting), 0);
	assert_int_equal(wr_model_attach(lasting, &test_bus, &bus), 0);
	assert_int_equal(config_read(lasting, 0x44, 4), 0x8000);
	config_write(lasting, 0x48, 2, 0x8000);
	wr_model_detach(lasting);
	assert_int_equal(weir_model_destroy(lasting), 0);
}

/* The MSI-X table and its pending bits are the host's. */

static void test_msix_table(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	uint8_t bytes[536];

	f->toy.answer = 0x1111111111111111;
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(wr_model_region_read(model, 2, TABLE - 8, bytes, sizeof(bytes)), 0);
	assert_int_equal(f->toy.accesses, 2);
	assert_int_equal(f->toy.offsets[0], TABLE - 8);
	assert_int_equal(f->toy.offsets[1], PBA + 8);
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i < 8 || i >= 528 ? 0x11 : i < 520 ? 0xff : 0);

	memset(bytes, 0xaa, sizeof(bytes));
	f->toy.accesses = 0;
	assert_int_equal(wr_model_region_write(model, 2, TABLE, bytes, 512), 0);
	assert_int_equal(wr_model_region_write(model, 2, PBA, bytes, 8), 0);
	assert_int_equal(wr_model_region_write(model, 2, PBA + 7, bytes, 1), 0);
	assert_int_equal(f->toy.accesses, 0);
	assert_int_equal(wr_model_region_write(model, 2, PBA + 7, bytes, 2), 0);
	assert_int_equal(f->toy.accesses, 1);
	/* The same offsets of another BAR are the model's. */
	assert_int_equal(wr_model_region_read(model, 0, TABLE, bytes, 8), 0);
	assert_int_equal(bytes[0], 0x11);
	/* Nothing answers while memory space is off. */
	command(model, 0);
	assert_int_equal(wr_model_region_read(model, 2, TABLE, bytes, 8), -EIO);
	assert_int_equal(wr_model_region_write(model, 2, TABLE, bytes, 8), -EIO);
}

static void test_msix_vectors(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSIX, 33), -EINVAL);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSIX, UINT32_MAX), -EINVAL);
	assert_int_equal(wr_model_irq_mask(model, WEIR_IRQ_MSIX, true), -ENOTSUP);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSIX, 3), 0);
	assert_true(weir_model_msi_enabled(model));
	assert_int_equal(weir_model_msi(model, 0), -EPERM);
	bus_master(model);
	assert_int_equal(weir_model_msi(model, 2), 0);
	assert_int_equal(weir_model_msi(model, 3), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "MSI-X vector 3"));
	/* More, while it is enabled, then fewer. */
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSIX, 32), 0);
	assert_int_equal(weir_model_msi(model, 31), 0);
	assert_int_equal(weir_model_msi(model, 2), 0);
	assert_int_equal(weir_model_msi(model, 32), -EINVAL);
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSIX, 1), 0);
	assert_int_equal(weir_model_msi(model, 2), -EINVAL);
	assert_int_equal(weir_model_msi(model, 0), 0);
	assert_int_equal(f->bus.msix[0], 1);
	assert_int_equal(f->bus.msix[2], 2);
	assert_int_equal(f->bus.msix[31], 1);
	/* Disabling another kind that isn't enabled leaves it alone. */
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 0), 0);
	assert_true(weir_model_msi_enabled(model));
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSIX, 0), 0);
	assert_false(weir_model_msi_enabled(model));
	assert_int_equal(weir_model_msi(model, 0), -EINVAL);
	/* The same call serves MSI. */
	assert_int_equal(wr_model_irq_enable(model, WEIR_IRQ_MSI, 2), 0);
	assert_int_equal(weir_model_msi(model, 1), 0);
	assert_int_equal(f->bus.msi[1], 1);
	assert_int_equal(f->bus.msix[1], 0);
}

/* Errors and requests. */

static void test_signal(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	struct weir_model *plain = make(&toy_desc, &f->toy);
	struct weir_irq_info info;

	assert_int_equal(weir_model_signal(model, WEIR_IRQ_INTX), -EINVAL);
	assert_int_equal(weir_model_signal(model, WEIR_IRQ_MSI), -EINVAL);
	assert_int_equal(weir_model_signal(model, WEIR_IRQ_MSIX), -EINVAL);
	assert_int_equal(weir_model_signal(model, WEIR_IRQS), -EINVAL);
	assert_int_equal(weir_model_signal(model, (enum weir_irq)-1), -EINVAL);
	assert_int_equal(weir_model_signal(plain, WEIR_IRQ_ERR), -EINVAL);
	assert_non_null(strstr(weir_errmsg(), "PCI Express"));
	assert_int_equal(weir_model_signal(plain, WEIR_IRQ_REQ), -ENODEV);
	assert_int_equal(weir_model_destroy(plain), 0);

	for (enum weir_irq irq = WEIR_IRQ_ERR; irq <= WEIR_IRQ_REQ; irq++) {
		atomic_int *fired = irq == WEIR_IRQ_ERR ? &f->bus.err : &f->bus.req;

		assert_int_equal(wr_model_irq_info(model, irq, &info), 0);
		assert_int_equal(info.count, 1);
		assert_false(info.maskable || info.automasked || info.resizable);
		assert_int_equal(wr_model_irq_mask(model, irq, true), -ENOTSUP);
		assert_int_equal(weir_model_signal(model, irq), -EINVAL);
		assert_non_null(strstr(weir_errmsg(), "hasn't enabled"));
		assert_int_equal(wr_model_irq_enable(model, irq, 2), -EINVAL);
		assert_int_equal(wr_model_irq_enable(model, irq, 1), 0);
		/* Neither is DMA: bus mastering is off here. */
		assert_int_equal(weir_model_signal(model, irq), 0);
		assert_int_equal(*fired, 1);
		assert_false(weir_model_msi_enabled(model));
		assert_int_equal(wr_model_irq_enable(model, irq, 0), 0);
		assert_int_equal(weir_model_signal(model, irq), -EINVAL);
		assert_int_equal(*fired, 1);
	}
}

/* Capabilities of the model's own. */

static void bad_config(struct weir_model *model, unsigned int offset, size_t len, const char *why)
{
	static const uint8_t bytes[4096];

	assert_int_equal(weir_model_config(model, offset, bytes, NULL, len), -EINVAL);
	if (!strstr(weir_errmsg(), why))
		fail_msg("'%s' doesn't say '%s'", weir_errmsg(), why);
}

static void test_bad_own_config(void **state)
{
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;
	struct weir_model *plain = make(&toy_desc, NULL);

	bad_config(model, 0, 4, "weir's");
	bad_config(model, 0x34, 1, "weir's");
	bad_config(model, 0x9f, 1, "weir's");
	bad_config(model, 0x9f, 2, "weir's");
	bad_config(model, 4096, 1, "outside");
	bad_config(model, 4095, 2, "outside");
	bad_config(model, 0xa0, 4096, "outside");
	bad_config(model, 0xa0, SIZE_MAX, "outside");
	bad_config(model, UINT32_MAX, 1, "outside");
	bad_config(model, 0xa0, 0, "nothing");
	assert_int_equal(weir_model_config(model, 0xa0, NULL, NULL, 4), -EINVAL);
	bad_config(plain, 0x100, 4, "isn't a PCI Express device");
	bad_config(plain, 0xfe, 4, "outside");
	assert_int_equal(weir_model_destroy(plain), 0);
	assert_int_equal(config_read(model, 0x90, 1), WR_PCI_CAP_MSIX);
}

static void test_own_config(void **state)
{
	static const uint16_t ids[] = { WR_PCI_CAP_EXPRESS, WR_PCI_CAP_MSI, WR_PCI_CAP_MSIX, 9, 3 };
	static const uint8_t own[8] = { 9, 0, 8, 0, 1, 2, 3, 4 }, zero[8];
	static const uint8_t writable[8] = { [5] = 0xf0, [6] = 0xff };
	static const uint8_t serial[4] = { 3, 0, 1, 0 };
	struct fixture *f = *state;
	struct weir_model *model = f->toy.model;

	assert_int_equal(weir_model_config(model, 0x100, serial, NULL, 4), 0);
	assert_int_equal(weir_model_config(model, 0xa0, own, writable, 8), 0);
	expect_caps(model, ids, 5);
	config_write(model, 0xa4, 4, 0xffffffff);
	assert_int_equal(config_read(model, 0xa4, 4), 0x04fff201);
	config_write(model, 0xa0, 4, 0xffffffff);
	config_write(model, 0x100, 4, 0xffffffff);
	expect_caps(model, ids, 5);
	/* The next driver finds it as after power-on. */
	wr_model_detach(model);
	assert_int_equal(wr_model_attach(model, &test_bus, &f->bus), 0);
	assert_int_equal(config_read(model, 0xa4, 4), 0x04030201);
	expect_caps(model, ids, 5);
	/* Written anew: what was writable no longer is. */
	assert_int_equal(weir_model_config(model, 0xa0, own, NULL, 8), 0);
	config_write(model, 0xa4, 4, 0xffffffff);
	assert_int_equal(config_read(model, 0xa4, 4), 0x04030201);
	/* Gone again, with its link. */
	assert_int_equal(weir_model_config(model, 0xa0, zero, NULL, 8), 0);
	assert_int_equal(config_read(model, 0x91, 1), 0);
}

/* On a device whose host has none, the chain is all the model's. */
static void test_own_config_alone(void **state)
{
	static const uint8_t own[4] = { 9, 0xa0, 4, 0 };
	static const uint16_t ids[] = { 9 };
	const struct weir_model_desc desc = { .name = "bare", .vendor = 1 };
	struct weir_model *model = make(&desc, NULL);

	(void)state;
	expect_caps(model, ids, 0);
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2), 0);
	assert_int_equal(weir_model_config(model, 0xa0, own, NULL, 4), 0);
	assert_int_equal(config_read(model, WR_PCI_STATUS, 2), WR_PCI_STATUS_CAPS);
	assert_int_equal(config_read(model, WR_PCI_CAP_POINTER, 1), 0xa0);
	expect_caps(model, ids, 1);
	assert_int_equal(weir_model_config(model, 0xff, own, NULL, 1), 0);
	assert_int_equal(weir_model_destroy(model), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_msix),
		cmocka_unit_test(test_msix_limits),
		WITH_EXPRESS(test_config_space),
		WITH_EXPRESS(test_config_msix),
		WITH_EXPRESS(test_config_flr),
		WITH_EXPRESS(test_msix_table),
		WITH_EXPRESS(test_msix_vectors),
		WITH_EXPRESS(test_signal),
		WITH_EXPRESS(test_bad_own_config),
		WITH_EXPRESS(test_own_config),
		cmocka_unit_test(test_own_config_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
