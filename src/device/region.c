/* SPDX-License-Identifier: MIT */
/* Regions and config space. */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "device/device.h"
#include "kernel/vdev.h"
#include "pci/config.h"

static const char *const region_names[WEIR_REGIONS] = {
	"BAR 0", "BAR 1", "BAR 2", "BAR 3", "BAR 4", "BAR 5", "ROM", "config space", "VGA",
};

const char *wr_region_name(unsigned int region)
{
	return region_names[region];
}

int weir_region_info(struct weir_device *dev, unsigned int region, struct weir_region_info *info)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	if (region >= WEIR_REGIONS)
		return wr_fail(-EINVAL, "%s: %u is no weir_region", dev->name, region);
	ret = dev->transport->region_info(dev, region, info);
	return ret ? wr_fail_in(ret, "%s", dev->name) : 0;
}

int weir_region_areas(struct weir_device *dev, unsigned int region, struct weir_area *areas,
		      size_t n)
{
	const struct weir_area *all = NULL;
	struct weir_region_info info;
	int ret = weir_region_info(dev, region, &info);
	unsigned int count = 0;

	if (ret)
		return ret;
	if (dev->transport->region_areas)
		count = dev->transport->region_areas(dev, region, &all);
	for (unsigned int i = 0; i < count && i < n; i++)
		areas[i] = all[i];
	return (int)count;
}

static int check_access(struct weir_device *dev, unsigned int region, uint64_t offset,
			const void *buf, size_t len, bool write)
{
	struct weir_region_info info;
	int ret = weir_region_info(dev, region, &info);

	if (ret)
		return ret;
	if (!buf)
		return wr_fail(-EINVAL, "%s: no buffer is given", dev->name);
	if (!info.size)
		return wr_fail(-EINVAL, "%s: it has no %s", dev->name, region_names[region]);
	if (!len || offset >= info.size || len > info.size - offset)
		return wr_fail(-EINVAL, "%s: %s has 0x%" PRIx64 " bytes; %zu at 0x%" PRIx64
			       " aren't in it", dev->name, region_names[region], info.size, len,
			       offset);
	if (!(write ? info.writable : info.readable))
		return wr_fail(-EINVAL, "%s: %s can't be %s", dev->name, region_names[region],
			       write ? "written" : "read");
	return 0;
}

int weir_region_read(struct weir_device *dev, unsigned int region, uint64_t offset, void *buf,
		     size_t len)
{
	int ret = check_access(dev, region, offset, buf, len, false);

	if (ret)
		return ret;
	ret = dev->transport->region_read(dev, region, offset, buf, len);
	return ret ? wr_fail_in(ret, "%s: %s, offset 0x%" PRIx64, dev->name, region_names[region],
				offset) : 0;
}

int weir_region_write(struct weir_device *dev, unsigned int region, uint64_t offset,
		      const void *buf, size_t len)
{
	int ret = check_access(dev, region, offset, buf, len, true);

	if (ret)
		return ret;
	ret = dev->transport->region_write(dev, region, offset, buf, len);
	return ret ? wr_fail_in(ret, "%s: %s, offset 0x%" PRIx64, dev->name, region_names[region],
				offset) : 0;
}

static int check_ioeventfd(unsigned int region, uint64_t offset, unsigned int width, uint64_t value,
			   int fd)
{
	if (region > WEIR_REGION_BAR5)
		return wr_fail(-EINVAL, "an eventfd can only write a BAR's registers");
	if (width != 1 && width != 2 && width != 4 && width != 8)
		return wr_fail(-EINVAL, "a register has 1, 2, 4 or 8 bytes, not %u", width);
	if (offset % width)
		return wr_fail(-EINVAL, "it isn't a multiple of the register's %u bytes", width);
	if (width < 8 && value >> (8 * width))
		return wr_fail(-EINVAL, "0x%" PRIx64 " doesn't fit into the register's %u bytes",
			       value, width);
	return fd == -1 ? 0 : wr_check_eventfd(fd);
}

int weir_ioeventfd(struct weir_device *dev, unsigned int region, uint64_t offset,
		   unsigned int width, uint64_t value, int fd)
{
	int ret = check_access(dev, region, offset, &value, width, true);

	if (ret)
		return ret;
	ret = check_ioeventfd(region, offset, width, value, fd);
	if (!ret && !dev->transport->ioeventfd)
		ret = wr_fail(-ENOTSUP, "a model in this process has no kernel that could write "
			      "its registers for an eventfd");
	if (!ret)
		ret = dev->transport->ioeventfd(dev, region, offset, width, value, fd);
	return ret ? wr_fail_in(ret, "%s: %s, offset 0x%" PRIx64, dev->name, region_names[region],
				offset) : 0;
}

/* ---- config space ---- */

static int check_field(struct weir_device *dev, unsigned int offset, unsigned int width)
{
	if (offset % width)
		return wr_fail(-EINVAL, "%s: config space offset 0x%x isn't a multiple of %u",
			       dev->name, offset, width);
	return 0;
}

#define CONFIG_ACCESS(bits, TO_CPU, TO_LE)                                                         \
	int weir_config_read##bits(struct weir_device *dev, unsigned int offset,                   \
				   uint##bits##_t *value)                                          \
	{                                                                                          \
		uint##bits##_t raw;                                                                \
		int ret = check_field(dev, offset, bits / 8);                                      \
                                                                                                   \
		if (!ret)                                                                          \
			ret = weir_region_read(dev, WEIR_REGION_CONFIG, offset, &raw, bits / 8);   \
		if (!ret)                                                                          \
			*value = TO_CPU(raw);                                                      \
		return ret;                                                                        \
	}                                                                                          \
                                                                                                   \
	int weir_config_write##bits(struct weir_device *dev, unsigned int offset,                  \
				    uint##bits##_t value)                                          \
	{                                                                                          \
		uint##bits##_t raw = TO_LE(value);                                                 \
		int ret = check_field(dev, offset, bits / 8);                                      \
                                                                                                   \
		if (!ret)                                                                          \
			ret = weir_region_write(dev, WEIR_REGION_CONFIG, offset, &raw, bits / 8);  \
		return ret;                                                                        \
	}

CONFIG_ACCESS(8, , )
CONFIG_ACCESS(16, le16toh, htole16)
CONFIG_ACCESS(32, le32toh, htole32)

static int read_config(void *arg, unsigned int offset, void *buf, unsigned int len)
{
	return weir_region_read(arg, WEIR_REGION_CONFIG, offset, buf, len);
}

int weir_config_caps(struct weir_device *dev, struct weir_cap *caps, size_t n)
{
	struct weir_region_info info;
	int ret = weir_region_info(dev, WEIR_REGION_CONFIG, &info);

	if (ret)
		return ret;
	return weir_config_walk(read_config, dev, (unsigned int)info.size, caps, n);
}
