/* SPDX-License-Identifier: MIT */
/* Bars: a device's registers, mapped where they can be. */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/process.h"
#include "base/sys.h"
#include "device/device.h"

/* What weir_bar_open() makes. */
struct open_bar {
	struct weir_bar bar;
	struct wr_lender lender;
};

static struct wr_lender *lender_of(struct weir_bar *bar)
{
	return &wr_container_of(bar, struct open_bar, bar)->lender;
}

/* ---- opening and closing ---- */

static void unmap_parts(struct weir_bar *bar)
{
	struct weir_device *dev = bar->dev;

	for (unsigned int i = 0; i < bar->n_parts; i++)
		dev->transport->region_unmap(dev, (void *)bar->parts[i].map, bar->parts[i].len);
	free(bar->parts);
}

static int map_parts(struct weir_bar *bar, const struct weir_area *areas, unsigned int n)
{
	struct weir_device *dev = bar->dev;

	bar->parts = calloc(n, sizeof(*bar->parts));
	if (!bar->parts)
		return wr_fail(-ENOMEM, "%s: no memory for a bar", dev->name);
	for (; bar->n_parts < n; bar->n_parts++) {
		const struct weir_area *area = &areas[bar->n_parts];
		void *map;
		int ret = dev->transport->region_map(dev, bar->region, area, &map);

		if (ret) {
			unmap_parts(bar);
			return wr_fail_in(ret, "%s: mapping %s, 0x%" PRIx64 " bytes at 0x%" PRIx64,
					  dev->name, wr_region_name(bar->region), area->len,
					  area->offset);
		}
		bar->parts[bar->n_parts] = (struct weir_bar_part){ map, area->offset, area->len };
		if (area->len > bar->map_len) {
			bar->map = map;
			bar->map_first = area->offset;
			bar->map_len = area->len;
		}
	}
	return 0;
}

static int map_bar(struct weir_bar *bar, enum weir_bar_map how)
{
	struct weir_device *dev = bar->dev;
	const struct weir_area *areas;
	unsigned int n = 0;

	if (how != WEIR_BAR_CALLS && dev->transport->region_areas)
		n = dev->transport->region_areas(dev, bar->region, &areas);
	if (how == WEIR_BAR_MAPPED && (n != 1 || areas[0].len != bar->size))
		return wr_fail(-ENOTSUP, "%s: %s can't be mapped as a whole; open it for calls",
			       dev->name, wr_region_name(bar->region));
	return n ? map_parts(bar, areas, n) : 0;
}

static void free_bar(struct weir_bar *bar)
{
	pthread_mutex_destroy(&lender_of(bar)->lock);
	free(wr_container_of(bar, struct open_bar, bar));
}

int weir_bar_open(struct weir_device *dev, unsigned int region, enum weir_bar_map how,
		  struct weir_bar **out)
{
	struct weir_region_info info;
	struct open_bar *opened;
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
		return wr_fail(-ENOENT, "%s: it has no %s", dev->name, wr_region_name(region));
	opened = calloc(1, sizeof(*opened));
	if (!opened)
		return wr_fail(-ENOMEM, "%s: no memory for a bar", dev->name);
	pthread_mutex_init(&opened->lender.lock, NULL);
	wr_list_init(&opened->lender.mappings);
	bar = &opened->bar;
	bar->dev = dev;
	bar->region = region;
	bar->size = info.size;
	ret = map_bar(bar, how);
	if (ret) {
		free_bar(bar);
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
	int ret;

	if (!bar)
		return 0;
	dev = bar->dev;
	ret = wr_check_process(dev->process);
	if (ret)
		return ret;
	ret = wr_ioas_check_lender(lender_of(bar));
	if (ret)
		return wr_fail_in(ret, "%s: %s", dev->name, wr_region_name(bar->region));
	unmap_parts(bar);
	pthread_mutex_lock(&dev->lock);
	dev->bars--;
	pthread_mutex_unlock(&dev->lock);
	free_bar(bar);
	return 0;
}

/* ---- for other devices ---- */

/* Where it is in this process, if it can be mapped for devices. */
static int check_lent(const struct weir_bar *bar, uint64_t offset, uint64_t len, void **vaddr)
{
	int ret = wr_ioas_check_range(offset, len, "offset");

	if (ret)
		return ret;
	if (bar->region > WEIR_REGION_BAR5)
		return wr_fail(-EINVAL, "only a BAR can be mapped for devices");
	if (offset >= bar->size || len > bar->size - offset)
		return wr_fail(-EINVAL, "it has 0x%" PRIx64 " bytes; 0x%" PRIx64 " at 0x%" PRIx64
			       " aren't in it", bar->size, len, offset);
	*vaddr = (void *)weir_bar_ptr(bar, offset, len);
	if (!*vaddr)
		return wr_fail(-ENOTSUP, "0x%" PRIx64 " bytes at 0x%" PRIx64 " can't be mapped for "
			       "devices: this process hasn't got them mapped in one piece, since "
			       "the bar was opened for calls, or they can't be "
			       "(weir_region_areas())", len, offset);
	return 0;
}

int weir_ioas_map_bar(struct weir_ioas *as, struct weir_bar *bar, uint64_t offset, size_t len,
		      const struct weir_map_opts *opts, weir_iova *iova)
{
	struct weir_device *dev = bar->dev;
	void *vaddr;
	int fd, ret = wr_device_check(dev);

	if (ret)
		return ret;
	ret = check_lent(bar, offset, len, &vaddr);
	if (!ret)
		ret = wr_ioas_check_change(as);
	if (ret)
		goto failed;
	/* Whether it is needed only the domains know, those that come later included. */
	fd = ret = dev->transport->region_export(dev, bar->region, offset, len);
	if (ret >= 0 || ret == -ENOTSUP)
		ret = wr_ioas_map_bar(as, vaddr, len, fd, lender_of(bar), opts, iova);
failed:
	return ret ? wr_fail_in(ret, "%s: %s", dev->name, wr_region_name(bar->region)) : 0;
}

/* ---- accesses ---- */

volatile void *weir_bar_ptr(const struct weir_bar *bar, uint64_t offset, uint64_t len)
{
	if (!bar || !len)
		return NULL;
	for (unsigned int i = 0; i < bar->n_parts; i++) {
		const struct weir_bar_part *part = &bar->parts[i];
		uint64_t at = offset - part->first;

		if (len <= part->len && at <= part->len - len)
			return part->map + at;
	}
	return NULL;
}

static int check_register(const struct weir_bar *bar, uint64_t offset, unsigned int width)
{
	if (width != 1 && width != 2 && width != 4 && width != 8)
		return wr_fail(-EINVAL, "%s: %s: a register has 1, 2, 4 or 8 bytes, not %u",
			       bar->dev->name, wr_region_name(bar->region), width);
	if (offset % width)
		return wr_fail(-EINVAL, "%s: %s, offset 0x%" PRIx64 " isn't a multiple of the "
			       "register's %u bytes", bar->dev->name, wr_region_name(bar->region),
			       offset, width);
	return 0;
}

static uint64_t read_mapped(volatile const void *reg, unsigned int width)
{
	weir_bar_order();
	switch (width) {
	case 1:
		return *(volatile const uint8_t *)reg;
	case 2:
		return le16toh(*(volatile const uint16_t *)reg);
	case 4:
		return le32toh(*(volatile const uint32_t *)reg);
	default:
		return le64toh(*(volatile const uint64_t *)reg);
	}
}

static void write_mapped(volatile void *reg, unsigned int width, uint64_t value)
{
	weir_bar_order();
	switch (width) {
	case 1:
		*(volatile uint8_t *)reg = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)reg = htole16((uint16_t)value);
		break;
	case 4:
		*(volatile uint32_t *)reg = htole32((uint32_t)value);
		break;
	default:
		*(volatile uint64_t *)reg = htole64(value);
		break;
	}
}

static void explain_ones(const struct weir_bar *bar, uint64_t offset)
{
	const char *why = wr_eeh_frozen(bar->dev) ? "EEH has stopped the device" :
			  weir_device_gone(bar->dev) == 1 ? "the device is gone" : NULL;

	if (why)
		wr_message("%s: %s, offset 0x%" PRIx64 ": %s, all of it reads ones",
			   bar->dev->name, wr_region_name(bar->region), offset, why);
}

uint64_t weir_bar_read_slow(const struct weir_bar *bar, uint64_t offset, unsigned int width)
{
	volatile void *reg;
	uint64_t raw = 0;

	if (check_register(bar, offset, width))
		return UINT64_MAX;
	reg = weir_bar_ptr(bar, offset, width);
	if (reg)
		return read_mapped(reg, width);
	if (weir_region_read(bar->dev, bar->region, offset, &raw, width))
		return UINT64_MAX;
	/* The bytes came in the device's order, from the lowest address on. */
	raw = le64toh(raw);
	if (raw == UINT64_MAX >> (64 - 8 * width))
		explain_ones(bar, offset);
	return raw;
}

void weir_bar_write_slow(const struct weir_bar *bar, uint64_t offset, unsigned int width,
			 uint64_t value)
{
	uint64_t raw = htole64(value);
	volatile void *reg;

	if (check_register(bar, offset, width))
		return;
	reg = weir_bar_ptr(bar, offset, width);
	if (reg)
		write_mapped(reg, width, value);
	else
		weir_region_write(bar->dev, bar->region, offset, &raw, width);
}

/* ---- SIGBUS ---- */

/*
 * Nothing here but system calls and stores: it runs in a signal handler. The page is filled before
 * it is moved to its place in one step, so that no other thread finds zeroes there.
 */
static int put_ones(uintptr_t at, size_t page)
{
	volatile unsigned long *ones = mmap(NULL, page, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ones == MAP_FAILED)
		return 0;
	for (size_t i = 0; i < page / sizeof(*ones); i++)
		ones[i] = ~0ul;
	if (mremap((void *)ones, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, at) != MAP_FAILED)
		return 1;
	munmap((void *)ones, page);
	return 0;
}

int weir_bar_sigbus(const struct weir_bar *bar, const void *addr)
{
	int done = 0, saved = errno;
	size_t page = wr_page_size();

	for (unsigned int i = 0; bar && i < bar->n_parts && !done; i++) {
		const struct weir_bar_part *part = &bar->parts[i];

		if ((uintptr_t)addr - (uintptr_t)part->map < part->len)
			done = put_ones((uintptr_t)addr & ~(page - 1), page);
	}
	errno = saved;
	return done;
}
