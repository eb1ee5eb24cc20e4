/* SPDX-License-Identifier: MIT */
/* What page tables by hand do with a device: whether it may, and its name in front of refusals. */
#include <weir/hw.h>

#include "base/err.h"
#include "device/device.h"
#include "ioas/hwpt.h"

static int named(const struct weir_device *dev, int ret)
{
	return ret < 0 ? wr_fail_in(ret, "%s", dev->name) : ret;
}

int weir_hwpt_alloc(struct weir_ioas *as, struct weir_device *dev,
		    const struct weir_hwpt_opts *opts, struct weir_hwpt **out)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	if (!as)
		return wr_fail(-EINVAL, "%s: no address space is given", dev->name);
	if (as->iommu != weir_device_ioas(dev)->iommu)
		return wr_fail(-EINVAL, "%s: the address space belongs to another context than the "
			       "device's", dev->name);
	return named(dev, wr_hwpt_alloc(as, &dev->ep, opts, out));
}

int weir_hwpt_ranges(struct weir_device *dev, const struct weir_hwpt_opts *opts,
		     struct weir_iova_range *ranges, size_t n)
{
	struct wr_ranges found;
	int ret = wr_device_check(dev);

	if (!ret)
		ret = named(dev, wr_hwpt_ranges(&dev->ep, opts, &found));
	if (ret)
		return ret;
	for (size_t i = 0; i < n && i < found.n; i++)
		ranges[i] = found.r[i];
	return (int)found.n;
}

int weir_hwpt_nest(struct weir_hwpt *parent, struct weir_device *dev,
		   const struct weir_nested *nested, const struct weir_nested_opts *opts,
		   struct weir_hwpt **out)
{
	int ret = wr_device_check(dev);

	return ret ? ret : named(dev, wr_hwpt_nest(parent, NULL, &dev->ep, nested, opts, out));
}

int weir_viommu_nest(struct weir_viommu *viommu, struct weir_device *dev,
		     const struct weir_nested *nested, const struct weir_nested_opts *opts,
		     struct weir_hwpt **out)
{
	int ret = wr_device_check(dev);

	return ret ? ret : named(dev, wr_hwpt_nest(viommu->parent, viommu, &dev->ep, nested, opts,
						   out));
}

int weir_hwpt_attach(struct weir_hwpt *hwpt, struct weir_device *dev)
{
	int ret = wr_device_check(dev);

	return ret ? ret : named(dev, wr_hwpt_attach(hwpt, &dev->ep, WR_NO_PASID));
}

int weir_hwpt_detach(struct weir_hwpt *hwpt, struct weir_device *dev)
{
	int ret = wr_device_check(dev);

	return ret ? ret : named(dev, wr_hwpt_detach(hwpt, &dev->ep, WR_NO_PASID));
}

static int check_pasid(struct weir_device *dev, uint32_t pasid)
{
	int ret = wr_device_check(dev);

	if (!ret && pasid == WR_NO_PASID)
		ret = wr_fail(-EINVAL, "%s: PASID 0 is the device itself: weir_hwpt_attach(), "
			      "weir_hwpt_detach()", dev->name);
	return ret;
}

int weir_hwpt_attach_pasid(struct weir_hwpt *hwpt, struct weir_device *dev, uint32_t pasid)
{
	int ret = check_pasid(dev, pasid);

	return ret ? ret : named(dev, wr_hwpt_attach(hwpt, &dev->ep, pasid));
}

int weir_hwpt_detach_pasid(struct weir_hwpt *hwpt, struct weir_device *dev, uint32_t pasid)
{
	int ret = check_pasid(dev, pasid);

	return ret ? ret : named(dev, wr_hwpt_detach(hwpt, &dev->ep, pasid));
}

int weir_viommu_alloc(struct weir_hwpt *parent, struct weir_device *dev, uint32_t type, void *data,
		      size_t len, struct weir_viommu **out)
{
	int ret = wr_device_check(dev);

	return ret ? ret : named(dev, wr_viommu_alloc(parent, &dev->ep, type, data, len, out));
}

int weir_vdevice_alloc(struct weir_viommu *viommu, struct weir_device *dev, uint64_t number,
		       struct weir_vdevice **out)
{
	int ret = wr_device_check(dev);

	return ret ? ret : named(dev, wr_vdevice_alloc(viommu, &dev->ep, number, out));
}

int weir_device_hw_info(struct weir_device *dev, uint32_t type, struct weir_hw_info *info)
{
	int ret = wr_device_check(dev);

	return ret ? ret : named(dev, wr_hw_info(&dev->ep, type, info));
}
