/* SPDX-License-Identifier: MIT */
/*
 * A slot with two functions, which are reset together (SLOT0 and SLOT1, two e1000e of one IOMMU
 * group): by IOMMUFD, which knows by itself whose they are, and by a container, to which their
 * groups are named.
 */
#include "tests/vm/guest/guest.h"

/* A register that nothing depends on without traffic: VLAN Ether Type. */
#define VET		0x38
#define VET_RESET	0x8100

static const char *const interfaces[] = { "iommufd", "type1v2" };

struct slot {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct weir_device *dev[2];	/* NULL: not opened */
	struct weir_bar *bar[2];
};

static void open_function(struct slot *s, int n)
{
	const struct weir_device_opts opts = { .ioas = s->as };

	MUST(weir_device_open(s->iommu, device(n ? "WEIR_TEST_SLOT1" : "WEIR_TEST_SLOT0"), &opts,
			      &s->dev[n]));
	MUST(weir_bar_open(s->dev[n], WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &s->bar[n]));
	weir_write32(s->bar[n], VET, 0x1234);
	assert_int_equal(weir_read32(s->bar[n], VET), 0x1234);
}

static void open_slot(struct slot *s, const char *interface, int functions)
{
	const struct weir_iommu_opts opts = { .interface = interface };
	struct weir_device_info info;

	memset(s, 0, sizeof(*s));
	MUST(weir_iommu_open(&opts, &s->iommu));
	MUST(weir_ioas_open(s->iommu, &s->as));
	for (int n = 0; n < functions; n++)
		open_function(s, n);
	MUST(weir_device_info(s->dev[0], &info));
	assert_string_equal(info.backend, interface);
}

static void close_slot(struct slot *s)
{
	for (int n = 0; n < 2; n++) {
		MUST(weir_bar_close(s->bar[n]));
		MUST(weir_device_close(s->dev[n]));
	}
	MUST(weir_ioas_close(s->as));
	MUST(weir_iommu_close(s->iommu));
}

/* What would be reset: both, in one group, as far as the kernel lets them be known. */
static void must_be_told(struct slot *s, bool second_owned)
{
	struct weir_dependent list[4];

	assert_int_equal(MUST(weir_device_hot_reset_info(s->dev[0], list, 4)), 2);
	assert_string_equal(list[0].address, device("WEIR_TEST_SLOT0"));
	assert_string_equal(list[1].address, device("WEIR_TEST_SLOT1"));
	assert_true(list[0].owned);
	assert_int_equal(list[1].owned, second_owned);
	assert_true(list[0].group >= 0);
	assert_int_equal(list[0].group, list[1].group);
}

static void both_are_reset(void **state)
{
	struct slot s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		open_slot(&s, interfaces[i], 2);
		must_be_told(&s, true);
		MUST(weir_device_hot_reset(s.dev[1]));
		for (int n = 0; n < 2; n++)
			assert_int_equal(weir_read32(s.bar[n], VET), VET_RESET);
		/* They live on. */
		weir_write32(s.bar[0], VET, 0x4321);
		assert_int_equal(weir_read32(s.bar[0], VET), 0x4321);
		close_slot(&s);
	}
}

/* One that nobody has opened belongs to whoever has its group. */
static void unopened_one_is_no_hindrance(void **state)
{
	struct slot s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		open_slot(&s, interfaces[i], 1);
		must_be_told(&s, true);
		MUST(weir_device_hot_reset(s.dev[0]));
		assert_int_equal(weir_read32(s.bar[0], VET), VET_RESET);
		close_slot(&s);
	}
}

/* Without a driver it isn't VFIO's, and nobody may reset it. */
static void unbound_one_hinders(void **state)
{
	struct slot s;

	(void)state;
	write_text("/sys/bus/pci/drivers/vfio-pci/unbind", device("WEIR_TEST_SLOT1"));
	open_slot(&s, "iommufd", 1);
	must_be_told(&s, false);
	must_fail(weir_device_hot_reset(s.dev[0]), -EPERM, "isn't this context's: bind it to vfio");
	assert_int_equal(weir_read32(s.bar[0], VET), 0x1234);
	close_slot(&s);
	open_slot(&s, "type1v2", 1);
	must_fail(weir_device_hot_reset(s.dev[0]), -EINVAL, "isn't bound to vfio-pci");
	assert_int_equal(weir_read32(s.bar[0], VET), 0x1234);
	close_slot(&s);
	write_text("/sys/bus/pci/drivers/vfio-pci/bind", device("WEIR_TEST_SLOT1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unbound_one_hinders),
		cmocka_unit_test(both_are_reset),
		cmocka_unit_test(unopened_one_is_no_hindrance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
