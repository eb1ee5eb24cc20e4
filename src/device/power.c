/* SPDX-License-Identifier: MIT */
/* Resets, power, and what else a device may have. */
#include <stdlib.h>

#include "base/err.h"
#include "device/device.h"
#include "kernel/vdev.h"

int weir_device_reset(struct weir_device *dev)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	if (!dev->transport->can_reset(dev))
		return wr_fail(-ENOTSUP, "%s: it has no reset of its own (function-level reset or "
			       "another that the kernel knows)", dev->name);
	ret = dev->transport->reset(dev);
	return ret ? wr_eeh_explain(dev, wr_fail_in(ret, "%s", dev->name)) : 0;
}

static int no_bus(struct weir_device *dev)
{
	return wr_fail(-ENOTSUP, "%s: a model in this process sits on no bus", dev->name);
}

int weir_device_hot_reset_info(struct weir_device *dev, struct weir_dependent *list, size_t n)
{
	struct weir_dependent *all;
	int count = wr_device_check(dev);

	if (count)
		return count;
	if (!dev->transport->hot_reset_info)
		return no_bus(dev);
	count = dev->transport->hot_reset_info(dev, &all);
	if (count < 0)
		return wr_fail_in(count, "%s", dev->name);
	for (int i = 0; i < count && (size_t)i < n; i++)
		list[i] = all[i];
	free(all);
	return count;
}

int weir_device_hot_reset(struct weir_device *dev)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	if (!dev->transport->hot_reset)
		return no_bus(dev);
	ret = dev->transport->hot_reset(dev);
	return ret ? wr_fail_in(ret, "%s", dev->name) : 0;
}

static bool is_feature(enum weir_feature feature)
{
	switch (feature) {
	case WEIR_FEATURE_VF_TOKEN:
	case WEIR_FEATURE_MIGRATION:
	case WEIR_FEATURE_LOW_POWER:
	case WEIR_FEATURE_LOW_POWER_WAKEUP:
	case WEIR_FEATURE_DMA_LOGGING:
	case WEIR_FEATURE_DMA_BUF:
		return true;
	}
	return false;
}

int weir_device_has(struct weir_device *dev, enum weir_feature feature)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	if (!is_feature(feature))
		return wr_fail(-EINVAL, "%s: %d is no weir_feature", dev->name, (int)feature);
	if (!dev->transport->has)
		return 0;
	ret = dev->transport->has(dev, feature);
	return ret < 0 ? wr_fail_in(ret, "%s", dev->name) : ret;
}

int weir_device_low_power(struct weir_device *dev, bool on, int wakeup)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	if (!dev->transport->low_power)
		return wr_fail(-ENOTSUP, "%s: a model in this process takes no power", dev->name);
	if (!on && wakeup != -1)
		return wr_fail(-EINVAL, "%s: an eventfd is for low power on", dev->name);
	ret = wakeup == -1 ? 0 : wr_check_eventfd(wakeup);
	if (!ret)
		ret = dev->transport->low_power(dev, on, wakeup);
	return ret ? wr_fail_in(ret, "%s", dev->name) : 0;
}
