/* SPDX-License-Identifier: MIT */
/*
 * EEH on the real kernel of a PowerNV machine. QEMU's bridge freezes nothing, and its firmware
 * makes no errors: what a frozen device is like isn't seen here, but all that brings one back is.
 * Of hot resets skiboot fails some ("Error -6 on hot reset"), which the kernel doesn't notice
 * (pnv_pci_reset_secondary_bus()): so what a reset turns off needn't be off after one.
 */
#include "tests/vm/guest/guest.h"

/* An edu by each version of the container, with memory that it reaches and an interrupt. */
struct rig {
	struct weir_iommu *iommu;
	struct opened o;
	struct weir_mem *mem;
	enum weir_irq irq;
};

static void open_rig(struct rig *r, const char *interface)
{
	r->iommu = open_iommu(interface);
	r->o = open_edu(r->iommu, device("WEIR_TEST_EDU"), NULL);
	MUST(weir_mem_alloc(weir_device_ioas(r->o.dev), 2 * PAGE, NULL, &r->mem));
	r->irq = (enum weir_irq)MUST(edu_irq_enable(r->o.edu));
}

static void close_rig(struct rig *r)
{
	MUST(edu_close(r->o.edu));
	MUST(weir_mem_free(r->mem));
	MUST(weir_device_close(r->o.dev));
	MUST(weir_iommu_close(r->iommu));
}

/* DMA by content, whose end an interrupt tells; and one that is asked for. */
static void works(struct rig *r, unsigned char byte)
{
	uint32_t bits;

	assert_int_equal(weir_eeh_state(r->o.dev), WEIR_EEH_NORMAL);
	MUST(edu_live(r->o.edu));
	round_trip(r->o.edu, weir_mem_ptr(r->mem), byte);
	MUST(edu_irq_raise(r->o.edu, 0x20));
	MUST(edu_irq_wait(r->o.edu, 10000, &bits));
	assert_int_equal(bits, 0x20);
}

static void nothing_is_frozen(void **state)
{
	const struct weir_eeh_error error = { .function = 0 };
	struct rig r;

	(void)state;
	open_rig(&r, NULL);
	assert_int_equal(weir_eeh_state(r.o.dev), WEIR_EEH_NORMAL);
	MUST(weir_eeh_enable(r.o.dev, true));
	MUST(weir_eeh_unfreeze(r.o.dev, false));
	MUST(weir_eeh_unfreeze(r.o.dev, true));
	MUST(weir_eeh_configure(r.o.dev));
	works(&r, 0x11);
	/* skiboot says OPAL_UNSUPPORTED (-7), and the kernel -EIO (pnv_eeh_err_inject()). */
	must_fail(weir_eeh_inject(r.o.dev, &error), -EIO, "injecting an error");
	works(&r, 0x12);
	MUST(weir_eeh_enable(r.o.dev, false));
	close_rig(&r);
}

/* What a reset turns off, the caller turns on. */
static void turn_on(struct rig *r)
{
	MUST(weir_eeh_configure(r->o.dev));
	MUST(weir_device_bus_master(r->o.dev, true));
	assert_int_equal(edu_irq_enable(r->o.edu), r->irq);
}

/* In QEMU skiboot fails at first: "Unexpected slot state", "Error -6 on fundamental reset". */
static void fundamental(struct weir_device *dev)
{
	uint16_t command;
	int ret, tries = 3;

	do {
		ret = weir_eeh_reset(dev, WEIR_EEH_RESET_FUNDAMENTAL);
		/* In either case config space is blocked until its end. */
		must_fail(weir_config_read16(dev, 4, &command), -ENODEV, "config space");
		MUST(weir_eeh_reset(dev, WEIR_EEH_RESET_END));
	} while (ret == -EIO && --tries);
	assert_int_equal(ret, 0);
}

static void step_by_step(void **state)
{
	uint16_t command;
	struct rig r;

	(void)state;
	open_rig(&r, NULL);
	works(&r, 0x21);
	MUST(edu_irq_disable(r.o.edu));
	MUST(weir_eeh_reset(r.o.dev, WEIR_EEH_RESET_HOT));
	/* Config space can't be reached until its end. */
	must_fail(weir_config_read16(r.o.dev, 4, &command), -ENODEV, "config space");
	must_fail(weir_device_bus_master(r.o.dev, true), -ENODEV, "config space");
	MUST(weir_eeh_reset(r.o.dev, WEIR_EEH_RESET_END));
	turn_on(&r);
	works(&r, 0x22);

	MUST(edu_irq_disable(r.o.edu));
	fundamental(r.o.dev);
	turn_on(&r);
	works(&r, 0x23);
	close_rig(&r);
}

static void recovered_at_once(const char *interface)
{
	struct rig r;

	open_rig(&r, interface);
	works(&r, 0x31);
	MUST(weir_eeh_recover(r.o.dev, WEIR_EEH_RESET_HOT));
	works(&r, 0x32);
	MUST(weir_eeh_recover(r.o.dev, WEIR_EEH_RESET_FUNDAMENTAL));
	works(&r, 0x33);
	/* Bus mastering was off: it stays so. */
	MUST(weir_device_bus_master(r.o.dev, false));
	MUST(weir_eeh_recover(r.o.dev, WEIR_EEH_RESET_HOT));
	memset(weir_mem_ptr(r.mem), 0x34, PAGE);
	MUST(edu_irq_disable(r.o.edu));
	must_be_blocked(r.o.edu, weir_mem_iova(r.mem), weir_mem_ptr(r.mem));
	assert_int_equal(edu_irq_enable(r.o.edu), r.irq);
	MUST(weir_device_bus_master(r.o.dev, true));
	works(&r, 0x35);
	close_rig(&r);
}

static void recovered_by_version_2(void **state)
{
	(void)state;
	recovered_at_once("spaprv2");
}

static void recovered_by_version_1(void **state)
{
	(void)state;
	recovered_at_once("spapr");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_frozen),
		cmocka_unit_test(step_by_step),
		cmocka_unit_test(recovered_by_version_2),
		cmocka_unit_test(recovered_by_version_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
