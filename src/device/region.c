/* SPDX-License-Identifier: MIT */
/* Regions, config space and bars. */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "device/device.h"
#include "pci/config.h"

static const char *const region_names[WEIR_REGIONS] = {
	"BAR 0", "BAR 1", "BAR 2", "BAR 3", "BAR 4", "BAR 5", "ROM", "config space", "VGA",
};

int weir_region_info(struct weir_device *dev, unsigned int region, struct weir_region_info *info)
{
	int ret;

	if (region >= WEIR_REGIONS)
		return wr_fail(-EINVAL, "%s: %u is no weir_region", dev->name, region);
	ret = dev->transport->region_info(dev, region, info);
	return ret ? wr_fail_in(ret, "%s", dev->name) : 0;
}

static int check_access(struct weir_device *dev, unsigned int region, uint64_t offset, size_t len,
			bool write)
{
	struct weir_region_info info;
	int ret = weir_region_info(dev, region, &info);

	if (ret)
		return ret;
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
	int ret = check_access(dev, region, offset, len, false);

	if (ret)
		return ret;
	ret = dev->transport->region_read(dev, region, offset, buf, len);
	return ret ? wr_fail_in(ret, "%s: %s, offset 0x%" PRIx64, dev->name, region_names[region],
				offset) : 0;
}

int weir_region_write(struct weir_device *dev, unsigned int region, uint64_t offset,
		      const void *buf, size_t len)
{
	int ret = check_access(dev, region, offset, len, true);

	if (ret)
		return ret;
	ret = dev->transport->region_write(dev, region, offset, buf, len);
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

/* ---- bars ---- */

static int map_bar(struct weir_bar *bar, const struct weir_region_info *info,
		   enum weir_bar_map how)
{
	struct weir_device *dev = bar->dev;
	void *map;
	int ret;

	if (how == WEIR_BAR_CALLS)
		return 0;
	ret = -ENOTSUP;
	if (info->mappable && dev->transport->region_map)
		ret = dev->transport->region_map(dev, bar->region, info->size, &map);
	if (ret == -ENOTSUP && how == WEIR_BAR_AUTO)
		return 0;
	if (ret == -ENOTSUP)
		return wr_fail(ret, "%s: %s can't be mapped as a whole; open it for calls",
			       dev->name, region_names[bar->region]);
	if (ret)
		return wr_fail_in(ret, "%s: mapping %s", dev->name, region_names[bar->region]);
	bar->map = map;
	bar->map_len = info->size;
	return 0;
}

int weir_bar_open(struct weir_device *dev, unsigned int region, enum weir_bar_map how,
		  struct weir_bar **out)
{
	struct weir_region_info info;
	struct weir_bar *bar;
	int ret;

	if (region > WEIR_REGION_ROM)
		return wr_fail(-EINVAL, "%s: region %u is neither a BAR nor the ROM", dev->name,
			       region);
	if ((unsigned int)how > WEIR_BAR_MAPPED)
		return wr_fail(-EINVAL, "%s: %d is no weir_bar_map", dev->name, (int)how);
	ret = weir_region_info(dev, region, &info);
	if (ret)
		return ret;
	if (!info.size)
		return wr_fail(-ENOENT, "%s: it has no %s", dev->name, region_names[region]);
	bar = calloc(1, sizeof(*bar));
	if (!bar)
		return wr_fail(-ENOMEM, "%s: no memory for a bar", dev->name);
	bar->dev = dev;
	bar->region = region;
	bar->size = info.size;
	ret = map_bar(bar, &info, how);
	if (ret) {
		free(bar);
		return ret;
	}
	pthread_mutex_lock(&dev->lock);
	dev->bars++;
	pthread_mutex_unlock(&dev->lock);
	*out = bar;
	return 0;
}

int weir_bar_close(struct weir_bar *bar)
{
	struct weir_device *dev;

	if (!bar)
		return 0;
	dev = bar->dev;
	if (bar->map)
		dev->transport->region_unmap(dev, (void *)bar->map, bar->map_len);
	pthread_mutex_lock(&dev->lock);
	dev->bars--;
	pthread_mutex_unlock(&dev->lock);
	free(bar);
	return 0;
}

static int check_register(const struct weir_bar *bar, uint64_t offset, unsigned int width)
{
	if (width != 1 && width != 2 && width != 4 && width != 8)
		return wr_fail(-EINVAL, "%s: %s: a register has 1, 2, 4 or 8 bytes, not %u",
			       bar->dev->name, region_names[bar->region], width);
	if (offset % width)
		return wr_fail(-EINVAL, "%s: %s, offset 0x%" PRIx64 " isn't a multiple of the "
			       "register's %u bytes", bar->dev->name, region_names[bar->region],
			       offset, width);
	return 0;
}

uint64_t weir_bar_read_slow(const struct weir_bar *bar, uint64_t offset, unsigned int width)
{
	uint64_t raw = 0;

	if (check_register(bar, offset, width) ||
	    weir_region_read(bar->dev, bar->region, offset, &raw, width))
		return UINT64_MAX;
	/* The bytes came in the device's order, from the lowest address on. */
	return le64toh(raw);
}

void weir_bar_write_slow(const struct weir_bar *bar, uint64_t offset, unsigned int width,
			 uint64_t value)
{
	uint64_t raw = htole64(value);

	if (!check_register(bar, offset, width))
		weir_region_write(bar->dev, bar->region, offset, &raw, width);
}
