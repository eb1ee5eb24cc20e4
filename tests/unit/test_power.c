/* SPDX-License-Identifier: MIT */
/* Hot reset, low power, and what a device has beyond what all have. */
#include <stdio.h>

#include "device_rig.h"

static char heard[512];

static void hear(void *arg, enum weir_log_level level, const char *msg)
{
	(void)arg;
	snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%d: %s\n", (int)level, msg);
}

/* Who opens a device is told whether it is as new, or as somebody has left it. */
static void opening_tells_of_the_reset(void **state)
{
	struct weir_device_info info;

	(void)state;
	for (int resets = 0; resets < 2; resets++) {
		assert_int_equal(weir_device_close(dev), 0);
		if (resets)
			fake.device.info.flags |= WR_VFIO_DEVICE_RESETS;
		else
			fake.device.info.flags &= ~WR_VFIO_DEVICE_RESETS;
		heard[0] = '\0';
		weir_log_set(hear, NULL, resets ? WEIR_LOG_INFO : WEIR_LOG_WARN);
		assert_int_equal(weir_device_open(NULL, NAME, NULL, &dev), 0);
		weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
		if (!strstr(heard, resets ? "2: " NAME ": it was reset as it was opened\n" :
			    "1: " NAME ": it can't be reset by itself, so it is as"))
			fail_msg("told: %s", heard);
		assert_int_equal(weir_device_info(dev, &info), 0);
		assert_int_equal(info.can_reset, resets);
		assert_int_equal(weir_device_reset(dev), resets ? 0 : -ENOTSUP);
	}
}

/* Two functions of its slot, in its own group; then one of another group. */
static void add_dependents(unsigned int n)
{
	static const struct wr_vfio_dependent all[] = {
		{ FAKE_GROUP(0), 0, 1, 0x00 }, { FAKE_GROUP(0), 0, 1, 0x01 },
		{ FAKE_GROUP(1), 0, 1, 0x0a },
	};

	memcpy(fake.device.dependents, all, sizeof(all));
	fake.device.n_dependents = n;
}

static void dependents_are_listed(void **state)
{
	struct weir_dependent list[3];

	(void)state;
	add_dependents(3);
	assert_int_equal(weir_device_hot_reset_info(dev, list, 3), 3);
	assert_string_equal(list[0].address, NAME);
	assert_string_equal(list[1].address, "0000:01:00.1");
	assert_string_equal(list[2].address, "0000:01:01.2");
	assert_true(list[0].owned && list[1].owned && !list[2].owned);
	assert_int_equal(list[2].group, FAKE_GROUP(1));
	/* Room for one: the others are counted. */
	list[1].address[0] = '?';
	assert_int_equal(weir_device_hot_reset_info(dev, list, 1), 3);
	assert_int_equal(list[1].address[0], '?');
	/* More are plugged in at each look. */
	fake.device.dependents_growth = 3;
	assert_int_equal(weir_device_hot_reset_info(dev, NULL, 0), 6);
}

static void slot_is_reset_by_its_groups(void **state)
{
	(void)state;
	add_dependents(2);
	assert_int_equal(weir_device_hot_reset(dev), 0);
	assert_int_equal(fake.device.hot_resets, 1);
	/* Both functions are of one group. */
	assert_int_equal(fake.device.reset_groups, 1);
}

static void others_hinder_a_hot_reset(void **state)
{
	struct weir_iommu *iommu;
	struct weir_device *other, *first;

	(void)state;
	add_dependents(3);
	assert_int_equal(weir_device_hot_reset(dev), -EPERM);
	assert_says(NAME ": 0000:01:01.2 would be reset as well, and its group 11 isn't open");
	assert_int_equal(fake.device.hot_resets, 0);
	assert_int_equal(weir_device_close(dev), 0);

	/* A device of that group, in the same context. */
	assert_int_equal(weir_iommu_open(NULL, &iommu), 0);
	assert_int_equal(weir_device_open(iommu, NAME, NULL, &first), 0);
	assert_int_equal(weir_device_open(iommu, fake.groups[1].device, NULL, &other), 0);
	assert_int_equal(weir_device_hot_reset(first), 0);
	assert_int_equal(fake.device.reset_groups, 2);
	assert_int_equal(weir_device_close(other), 0);
	assert_int_equal(weir_device_hot_reset(first), -EPERM);
	assert_int_equal(weir_device_close(first), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
	dev = NULL;
}

/* By its own node, the kernel knows by itself whose the others are. */
static void node_needs_no_groups(void **state)
{
	struct fake_device *d = &fake.device;
	struct weir_dependent list[3];

	(void)state;
	fake.iommufd.exists = true;
	open_device();
	add_dependents(3);
	d->dependents[0].group = 5;
	d->dependents[1].group = 0;
	d->dependents[2].group = WR_VFIO_DEVID_NOT_OWNED;
	assert_int_equal(weir_device_hot_reset_info(dev, list, 3), 3);
	assert_true(list[0].owned && list[1].owned && !list[2].owned);
	/* The kernel doesn't say; sysfs knows of the first two alone. */
	assert_int_equal(list[0].group, FAKE_GROUP(0));
	assert_int_equal(list[1].group, FAKE_GROUP(0));
	assert_int_equal(list[2].group, -1);
	assert_int_equal(weir_device_hot_reset(dev), -EPERM);
	assert_says(NAME ": 0000:01:01.2 would be reset as well, and isn't this context's");
	assert_int_equal(d->hot_resets, 0);
	add_dependents(2);
	d->reset_groups = 7;
	assert_int_equal(weir_device_hot_reset(dev), 0);
	assert_int_equal(d->reset_groups, 0);
	assert_int_equal(d->hot_resets, 1);
}

static void hot_resets_that_fail(void **state)
{
	static const struct {
		int says, err;
		const char *part;
	} cases[] = {
		{ -EBUSY, -EBUSY, "try again" }, { -EAGAIN, -EAGAIN, "try again" },
		{ -EINVAL, -EINVAL, "isn't bound to vfio-pci" }, { -EIO, -EIO, "hot reset: " },
		{ -ENOTTY, -EIO, "didn't come back" },
	};

	(void)state;
	assert_int_equal(weir_device_hot_reset(dev), -ENOTSUP);
	assert_says("root bus");
	assert_int_equal(weir_device_hot_reset_info(dev, NULL, 0), -ENOTSUP);
	add_dependents(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.device.hot_reset_error = cases[i].says;
		assert_int_equal(weir_device_hot_reset(dev), cases[i].err);
		assert_says(cases[i].part);
	}
}

static void features_are_probed(void **state)
{
	(void)state;
	assert_int_equal(weir_device_has(dev, WEIR_FEATURE_LOW_POWER), 0);
	fake.device.features = 1u << WEIR_FEATURE_LOW_POWER | 1u << WEIR_FEATURE_DMA_BUF |
			       1u << WEIR_FEATURE_MIGRATION;
	assert_int_equal(weir_device_has(dev, WEIR_FEATURE_LOW_POWER), 1);
	assert_int_equal(weir_device_has(dev, WEIR_FEATURE_DMA_BUF), 1);
	assert_int_equal(weir_device_has(dev, WEIR_FEATURE_MIGRATION), 1);
	assert_int_equal(weir_device_has(dev, WEIR_FEATURE_LOW_POWER_WAKEUP), 0);
	fake.device.no_exports = true;
	assert_int_equal(weir_device_has(dev, WEIR_FEATURE_DMA_BUF), 0);
	assert_false(fake.device.low_power);
	assert_int_equal(weir_device_has(dev, (enum weir_feature)5), -EINVAL);
	assert_says("5 is no weir_feature");
	assert_int_equal(weir_device_has(dev, (enum weir_feature)99), -EINVAL);
}

static void low_power_is_entered_and_left(void **state)
{
	int eventfd = wr_sys_kernel.eventfd();

	(void)state;
	assert_int_equal(weir_device_low_power(dev, true, -1), -ENOTSUP);
	assert_says("Linux 6.1");
	fake.device.features = 7u << 3;
	assert_int_equal(weir_device_low_power(dev, true, -1), 0);
	assert_true(fake.device.low_power);
	assert_int_equal(weir_device_low_power(dev, true, -1), -EINVAL);
	assert_says("is on already");
	assert_int_equal(weir_device_low_power(dev, false, eventfd), -EINVAL);
	assert_int_equal(weir_device_low_power(dev, false, -1), 0);
	assert_false(fake.device.low_power);
	assert_int_equal(weir_device_low_power(dev, false, -1), 0);
	assert_int_equal(weir_device_low_power(dev, true, eventfd), 0);
	assert_true(fake.device.low_power);
	assert_int_equal(weir_device_low_power(dev, true, 1 << 20), -EBADF);
	close(eventfd);
}

static void models_have_none_of_it(void **state)
{
	struct weir_device *soft;

	(void)state;
	assert_int_equal(weir_device_open(NULL, "soft:edu", NULL, &soft), 0);
	assert_int_equal(weir_device_hot_reset(soft), -ENOTSUP);
	assert_says("soft:edu: a model in this process sits on no bus");
	assert_int_equal(weir_device_hot_reset_info(soft, NULL, 0), -ENOTSUP);
	assert_int_equal(weir_device_has(soft, WEIR_FEATURE_LOW_POWER), 0);
	assert_int_equal(weir_device_has(soft, (enum weir_feature)2), -EINVAL);
	assert_int_equal(weir_device_low_power(soft, true, -1), -ENOTSUP);
	assert_int_equal(weir_device_close(soft), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opening_tells_of_the_reset),
		TEST(dependents_are_listed),
		TEST(slot_is_reset_by_its_groups),
		TEST(others_hinder_a_hot_reset),
		TEST_CLOSED(node_needs_no_groups),
		TEST(hot_resets_that_fail),
		TEST(features_are_probed),
		TEST(low_power_is_entered_and_left),
		TEST(models_have_none_of_it),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
