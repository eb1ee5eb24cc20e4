/* SPDX-License-Identifier: MIT */
/* The ways through what devices do. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "fake_vfio.h"
#include "ioas/ioas.h"
#include "walk.h"

#define SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- devices ---- */

static int open_named(struct world *w, const char *name, bool private)
{
	const struct weir_device_opts opts = { .ioas = private ? NULL : w->as };

	return weir_device_open(private ? NULL : w->iommu, name, &opts, &w->new_dev);
}

static int open_first(struct world *w)
{
	return open_named(w, "0000:01:00.0", false);
}

static int open_second(struct world *w)
{
	return open_named(w, "0000:02:00.0", false);
}

static int open_private(struct world *w)
{
	return open_named(w, "0000:01:00.0", true);
}

static int open_edu(struct world *w)
{
	return open_named(w, "soft:edu", false);
}

static int open_edu_private(struct world *w)
{
	return open_named(w, "soft:edu", true);
}

static void second_is_alone(struct world *w)
{
	(void)w;
	fake.groups[1].alone = true;
}

/* The domain that the device joins tracks, and so it must. */
static void is_tracked(struct world *w)
{
	second_is_alone(w);
	assert_int_equal(weir_ioas_dirty_start(w->as), 0);
}

/* ---- IOMMUFD, and other address spaces ---- */

static void has_iommufd(struct world *w)
{
	(void)w;
	fake.iommufd.exists = true;
	fake.groups[0].tracks_dirty = fake.groups[1].tracks_dirty = true;
	fake.groups[1].iommu = 1;
}

static void has_second_by_iommufd(struct world *w)
{
	has_iommufd(w);
	assert_int_equal(open_second(w), 0);
}

static int open_again(struct world *w)
{
	const struct weir_device_opts opts = { .ioas = w->as };

	return weir_device_open(w->iommu, "0000:01:00.0", &opts, &w->dev);
}

static void undo_dev(struct world *w)
{
	assert_int_equal(weir_device_close(w->dev), 0);
	w->dev = NULL;
}

static void has_space(struct world *w)
{
	assert_int_equal(weir_ioas_open(w->iommu, &w->new_as), 0);
	assert_int_equal(weir_ioas_map(w->new_as, w->memory, wr_page_size(), NULL, &w->iova), 0);
}

static void has_space_and_iommufd(struct world *w)
{
	has_second_by_iommufd(w);
	has_space(w);
}

static int move_soft(struct world *w)
{
	return weir_device_move(w->soft, w->new_as);
}

static int move_new(struct world *w)
{
	return weir_device_move(w->new_dev, w->new_as);
}

static int open_model(struct world *w)
{
	const struct weir_device_opts opts = { .ioas = w->as };

	return weir_device_open_model(w->iommu, w->model, &opts, &w->new_dev);
}

/* What the kernel does when the last fd of a device is closed. */
static int close_device(struct weir_device **dev)
{
	const uint16_t command = 0;
	int ret = weir_device_close(*dev);

	*dev = NULL;
	assert_int_equal(pwrite(fake.device.memory, &command, 2, WALK_CONFIG_AT + 4), 2);
	return ret;
}

static int close_new(struct world *w)
{
	return close_device(&w->new_dev);
}

static void undo_open(struct world *w)
{
	assert_int_equal(close_new(w), 0);
}

static int close_dev(struct world *w)
{
	return close_device(&w->dev);
}

static int close_soft(struct world *w)
{
	return close_device(&w->soft);
}

static void has_private(struct world *w)
{
	assert_int_equal(open_private(w), 0);
	assert_int_equal(weir_device_bus_master(w->new_dev, true), 0);
}

static void has_second(struct world *w)
{
	assert_int_equal(open_second(w), 0);
}

static void has_second_alone(struct world *w)
{
	second_is_alone(w);
	has_second(w);
}

static int device_info(struct world *w)
{
	struct weir_device_info info;

	return weir_device_info(w->dev, &info);
}

static int bus_master(struct world *w)
{
	return weir_device_bus_master(w->dev, false);
}

static int device_reset(struct world *w)
{
	return weir_device_reset(w->dev);
}

static int hot_reset(struct world *w)
{
	return weir_device_hot_reset(w->dev);
}

static int hot_reset_info(struct world *w)
{
	struct weir_dependent list[2];

	return weir_device_hot_reset_info(w->dev, list, 2);
}

static int low_power(struct world *w)
{
	return weir_device_low_power(w->dev, true, -1);
}

static void full_power(struct world *w)
{
	weir_device_low_power(w->dev, false, -1);
}

static int device_has(struct world *w)
{
	return weir_device_has(w->dev, WEIR_FEATURE_LOW_POWER);
}

static int device_gone(struct world *w)
{
	return weir_device_gone(w->dev);
}

static int soft_reset(struct world *w)
{
	return weir_device_reset(w->soft);
}

/* ---- registers ---- */

static int region_info(struct world *w)
{
	struct weir_region_info info;

	return weir_region_info(w->dev, WEIR_REGION_BAR0, &info);
}

static int region_read(struct world *w)
{
	uint32_t value;

	return weir_region_read(w->dev, WEIR_REGION_BAR0, 8, &value, sizeof(value));
}

static int region_write(struct world *w)
{
	return weir_region_write(w->dev, WEIR_REGION_BAR0, 8, "\1\2\3", 4);
}

#define CONFIG(bits)                                                                               \
	static int config_read##bits(struct world *w)                                              \
	{                                                                                          \
		uint##bits##_t value = 0x55, was = value;                                          \
		int ret = weir_config_read##bits(w->dev, 0, &value);                               \
                                                                                                   \
		assert_true(ret == 0 || value == was);                                             \
		return ret;                                                                        \
	}                                                                                          \
                                                                                                   \
	static int config_write##bits(struct world *w)                                             \
	{                                                                                          \
		return weir_config_write##bits(w->dev, 0, (uint##bits##_t)0x12345678);             \
	}

CONFIG(8)
CONFIG(16)
CONFIG(32)

/* A status register with the list's bit, and a list of two. */
static void has_caps(struct world *w)
{
	(void)w;
	assert_int_equal(pwrite(fake.device.memory, "\x10", 1, WALK_CONFIG_AT + 6), 1);
	assert_int_equal(pwrite(fake.device.memory, "\x40", 1, WALK_CONFIG_AT + 0x34), 1);
	assert_int_equal(pwrite(fake.device.memory, "\x01\x50", 2, WALK_CONFIG_AT + 0x40), 2);
	assert_int_equal(pwrite(fake.device.memory, "\x05\x00", 2, WALK_CONFIG_AT + 0x50), 2);
}

static int config_caps(struct world *w)
{
	struct weir_cap caps[4];

	return weir_config_caps(w->dev, caps, SIZE(caps));
}

static int bar_open(struct world *w)
{
	return weir_bar_open(w->dev, WEIR_REGION_BAR0, WEIR_BAR_AUTO, &w->bar);
}

static int bar_open_for_calls(struct world *w)
{
	return weir_bar_open(w->dev, WEIR_REGION_BAR0, WEIR_BAR_CALLS, &w->bar);
}

static int bar_close(struct world *w)
{
	int ret = weir_bar_close(w->bar);

	w->bar = NULL;
	return ret;
}

static int bar_sigbus(struct world *w)
{
	return weir_bar_sigbus(w->bar, (const void *)w->bar->map) == 1 ? 0 : -ENXIO;
}

static int region_areas(struct world *w)
{
	struct weir_area areas[2];

	return weir_region_areas(w->dev, WEIR_REGION_BAR0, areas, 2);
}

static int ioeventfd(struct world *w)
{
	if (w->fd < 0)
		w->fd = eventfd(0, EFD_CLOEXEC);
	return weir_ioeventfd(w->dev, WEIR_REGION_BAR0, 8, 4, 1, w->fd);
}

static void remove_ioeventfd(struct world *w)
{
	assert_int_equal(weir_ioeventfd(w->dev, WEIR_REGION_BAR0, 8, 4, 1, -1), 0);
}

static void close_bar(struct world *w)
{
	assert_int_equal(bar_close(w), 0);
}

static void has_bar(struct world *w)
{
	assert_int_equal(bar_open(w), 0);
}

static void has_bar_for_calls(struct world *w)
{
	assert_int_equal(bar_open_for_calls(w), 0);
}

static void has_exported_bar(struct world *w)
{
	has_bar(w);
	fake.device.features |= 1u << WEIR_FEATURE_DMA_BUF;
}

static int map_bar(struct world *w)
{
	return weir_ioas_map_bar(w->as, w->bar, 0, wr_page_size(), NULL, &w->iova);
}

static void unmap_bar(struct world *w)
{
	assert_int_equal(weir_ioas_unmap(w->as, w->iova, wr_page_size()), 0);
}

static void has_bar_and_space(struct world *w)
{
	has_exported_bar(w);
	assert_int_equal(weir_ioas_open(w->iommu, &w->new_as), 0);
}

static int map_bar_into_new(struct world *w)
{
	return weir_ioas_map_bar(w->new_as, w->bar, 0, wr_page_size(), NULL, &w->iova);
}

static void unmap_bar_from_new(struct world *w)
{
	assert_int_equal(weir_ioas_unmap(w->new_as, w->iova, wr_page_size()), 0);
}

static void has_bar_by_iommufd(struct world *w)
{
	has_iommufd(w);
	assert_int_equal(open_again(w), 0);
	has_exported_bar(w);
}

static void unmap_bar_and_close(struct world *w)
{
	unmap_bar(w);
	close_bar(w);
	undo_dev(w);
}

/* How these fail is that they read all ones, and write nothing. */
static int bar_read_slow(struct world *w)
{
	return weir_bar_read_slow(w->bar, 8, 8) == UINT64_MAX ? -ENXIO : 0;
}

static int bar_write_slow(struct world *w)
{
	uint64_t value = 0x1122334455667788, is;

	weir_bar_write_slow(w->bar, 0, 8, value);
	assert_int_equal(pread(fake.device.memory, &is, 8, 0), 8);
	return le64toh(is) == value ? 0 : -ENXIO;
}

/* ---- interrupts ---- */

static int irq_info(struct world *w)
{
	struct weir_irq_info info;

	return weir_irq_info(w->dev, WEIR_IRQ_MSIX, &info);
}

static int irq_enable(struct world *w)
{
	return weir_irq_enable(w->dev, WEIR_IRQ_MSIX, 3);
}

static int irq_enable_soft(struct world *w)
{
	return weir_irq_enable(w->soft, WEIR_IRQ_MSI, 3);
}

static int irq_disable(struct world *w)
{
	return weir_irq_disable(w->dev, WEIR_IRQ_MSIX);
}

static void has_irq(struct world *w)
{
	assert_int_equal(irq_enable(w), 0);
}

static void has_soft_irq(struct world *w)
{
	assert_int_equal(irq_enable_soft(w), 0);
}

static void disable_irq(struct world *w)
{
	assert_int_equal(irq_disable(w), 0);
}

static void disable_soft_irq(struct world *w)
{
	assert_int_equal(weir_irq_disable(w->soft, WEIR_IRQ_MSI), 0);
}

static void has_intx(struct world *w)
{
	assert_int_equal(weir_irq_enable(w->dev, WEIR_IRQ_INTX, 1), 0);
}

static void has_eventfd(struct world *w)
{
	w->fd = eventfd(0, EFD_CLOEXEC);
	assert_true(w->fd >= 0);
}

static void has_irq_and_eventfd(struct world *w)
{
	has_irq(w);
	has_eventfd(w);
}

/* Two vectors get another eventfd, or a first one. */
static int irq_set(struct world *w)
{
	const int fds[] = { w->fd, w->fd };

	return weir_irq_set(w->dev, WEIR_IRQ_MSIX, 1, 2, fds);
}

static int irq_add(struct world *w)
{
	return weir_irq_set(w->dev, WEIR_IRQ_MSIX, 3, 1, NULL);
}

static void has_intx_and_eventfd(struct world *w)
{
	has_intx(w);
	has_eventfd(w);
}

static int irq_unmask_fd(struct world *w)
{
	return weir_irq_unmask_fd(w->dev, WEIR_IRQ_INTX, 0, w->fd);
}

static int irq_mask(struct world *w)
{
	return weir_irq_mask(w->dev, WEIR_IRQ_INTX, 0);
}

static int irq_unmask(struct world *w)
{
	return weir_irq_unmask(w->dev, WEIR_IRQ_INTX, 0);
}

static int irq_trigger(struct world *w)
{
	return weir_irq_trigger(w->dev, WEIR_IRQ_MSIX, 1);
}

static int irq_fd(struct world *w)
{
	return weir_irq_fd(w->dev, WEIR_IRQ_MSIX, 1) < 0;
}

static int irq_wait(struct world *w)
{
	assert_int_equal(weir_irq_trigger(w->soft, WEIR_IRQ_MSI, 1), 0);
	return weir_irq_wait(w->soft, WEIR_IRQ_MSI, 1, -1);
}

const struct operation walk_device[] = {
	{ "weir_device_open", "kernel", .run = open_first, .undo = undo_open },
	{ "weir_device_open", "private", .run = open_private, .undo = undo_open },
	{ "weir_device_open", "beside soft", .with = WITH_SOFT, .run = open_first,
	  .undo = undo_open },
	{ "weir_device_open", "same container", .with = WITH_DEV, .run = open_second,
	  .undo = undo_open },
	{ "weir_device_open", "own container", .with = WITH_DEV, .setup = second_is_alone,
	  .run = open_second, .undo = undo_open },
	{ "weir_device_open", "tracking", .with = WITH_DEV, .setup = is_tracked,
	  .run = open_second, .undo = undo_open },
	{ "weir_device_open", "iommufd", .setup = has_iommufd, .run = open_first,
	  .undo = undo_open },
	{ "weir_device_open", "iommufd, beside soft", .with = WITH_SOFT, .setup = has_iommufd,
	  .run = open_first, .undo = undo_open },
	{ "weir_device_open", "iommufd, joins", .setup = has_second_by_iommufd, .run = open_again,
	  .undo = undo_dev },
	{ "weir_device_close", "iommufd", .setup = has_second_by_iommufd, .run = close_new,
	  .must = true, .keeps_ranges = true },
	{ "weir_device_move", "soft", .with = WITH_SOFT, .setup = has_space, .run = move_soft,
	  .keeps_ranges = true, .says = -EFAULT },
	{ "weir_device_move", "iommufd", .setup = has_space_and_iommufd, .run = move_new,
	  .keeps_ranges = true },
	{ "weir_device_open", "edu", .run = open_edu, .undo = undo_open, .says = -EFAULT },
	{ "weir_device_open", "edu, private", .run = open_edu_private, .undo = undo_open },
	{ "weir_device_open_model", "soft", .run = open_model, .undo = undo_open,
	  .says = -EFAULT },
	{ "weir_device_open_model", "beside kernel", .with = WITH_DEV, .run = open_model,
	  .undo = undo_open, .says = -EFAULT },
	{ "weir_device_close", "kernel", .with = WITH_DEV, .run = close_dev, .must = true,
	  .keeps_ranges = true },
	{ "weir_device_close", "interrupts", .with = WITH_DEV, .setup = has_irq,
	  .run = close_dev, .must = true, .keeps_ranges = true },
	{ "weir_device_close", "private", .setup = has_private, .run = close_new,
	  .must = true, .keeps_ranges = true },
	{ "weir_device_close", "of two", .with = WITH_DEV, .setup = has_second,
	  .run = close_new, .must = true, .keeps_ranges = true },
	{ "weir_device_close", "of two domains", .with = WITH_BOTH, .setup = has_second_alone,
	  .run = close_new, .must = true, .keeps_ranges = true },
	{ "weir_device_close", "soft", .with = WITH_SOFT, .run = close_soft, .must = true,
	  .keeps_ranges = true },
	{ "weir_device_info", .with = WITH_DEV, .run = device_info },
	{ "weir_device_bus_master", .with = WITH_DEV, .run = bus_master },
	{ "weir_device_gone", .with = WITH_DEV, .run = device_gone },
	{ "weir_device_reset", "kernel", .with = WITH_DEV, .run = device_reset },
	{ "weir_device_hot_reset", .with = WITH_DEV, .run = hot_reset },
	{ "weir_device_hot_reset_info", .with = WITH_DEV, .run = hot_reset_info },
	{ "weir_device_has", .with = WITH_DEV, .run = device_has },
	{ "weir_device_low_power", .with = WITH_DEV, .run = low_power, .undo = full_power },
	{ "weir_device_reset", "soft", .with = WITH_SOFT, .run = soft_reset,
	  .silent = "it is a call of the model" },

	{ "weir_region_info", .with = WITH_DEV, .run = region_info,
	  .silent = "it was read when the device was opened" },
	{ "weir_region_read", .with = WITH_DEV, .run = region_read },
	{ "weir_region_write", .with = WITH_DEV, .run = region_write },
	{ "weir_config_read8", .with = WITH_DEV, .run = config_read8 },
	{ "weir_config_read16", .with = WITH_DEV, .run = config_read16 },
	{ "weir_config_read32", .with = WITH_DEV, .run = config_read32 },
	{ "weir_config_write8", .with = WITH_DEV, .run = config_write8 },
	{ "weir_config_write16", .with = WITH_DEV, .run = config_write16 },
	{ "weir_config_write32", .with = WITH_DEV, .run = config_write32 },
	{ "weir_config_caps", .with = WITH_DEV, .setup = has_caps, .run = config_caps },
	{ "weir_bar_open", "mapped", .with = WITH_DEV, .run = bar_open, .undo = close_bar },
	{ "weir_bar_open", "for calls", .with = WITH_DEV, .run = bar_open_for_calls,
	  .undo = close_bar },
	{ "weir_bar_sigbus", .with = WITH_DEV, .setup = has_bar, .run = bar_sigbus,
	  .silent = "it runs in a signal handler, and asks the kernel without the seam" },
	{ "weir_region_areas", .with = WITH_DEV, .run = region_areas,
	  .silent = "they were read when the device was opened" },
	{ "weir_ioeventfd", .with = WITH_DEV, .run = ioeventfd, .undo = remove_ioeventfd },
	{ "weir_bar_close", .with = WITH_DEV, .setup = has_bar, .run = bar_close, .must = true,
	  .silent = "it gives memory back" },
	{ "weir_bar_read_slow", .with = WITH_DEV, .setup = has_bar_for_calls,
	  .run = bar_read_slow, .says = -ENXIO },
	{ "weir_bar_write_slow", .with = WITH_DEV, .setup = has_bar_for_calls,
	  .run = bar_write_slow, .says = -ENXIO },

	{ "weir_ioas_map_bar", "type1", .with = WITH_DEV, .setup = has_exported_bar,
	  .run = map_bar, .undo = unmap_bar },
	{ "weir_ioas_map_bar", "recorded", .with = WITH_DEV, .setup = has_bar_and_space,
	  .run = map_bar_into_new, .undo = unmap_bar_from_new },
	{ "weir_ioas_map_bar", "iommufd", .setup = has_bar_by_iommufd, .run = map_bar,
	  .undo = unmap_bar_and_close },

	{ "weir_irq_info", .with = WITH_DEV, .run = irq_info },
	{ "weir_irq_enable", "kernel", .with = WITH_DEV, .run = irq_enable, .undo = disable_irq },
	{ "weir_irq_enable", "soft", .with = WITH_SOFT, .run = irq_enable_soft,
	  .undo = disable_soft_irq },
	{ "weir_irq_set", "anew", .with = WITH_DEV, .setup = has_eventfd, .run = irq_set,
	  .undo = disable_irq },
	{ "weir_irq_set", "others", .with = WITH_DEV, .setup = has_irq_and_eventfd,
	  .run = irq_set, .undo = disable_irq },
	{ "weir_irq_set", "one more", .with = WITH_DEV, .setup = has_irq, .run = irq_add,
	  .undo = disable_irq },
	{ "weir_irq_unmask_fd", .with = WITH_DEV, .setup = has_intx_and_eventfd,
	  .run = irq_unmask_fd },
	{ "weir_irq_disable", .with = WITH_DEV, .setup = has_irq, .run = irq_disable },
	{ "weir_irq_mask", .with = WITH_DEV, .setup = has_intx, .run = irq_mask },
	{ "weir_irq_unmask", .with = WITH_DEV, .setup = has_intx, .run = irq_unmask },
	{ "weir_irq_trigger", .with = WITH_DEV, .setup = has_irq, .run = irq_trigger },
	{ "weir_irq_fd", .with = WITH_DEV, .setup = has_irq, .run = irq_fd,
	  .silent = "it was made before" },
	{ "weir_irq_wait", .with = WITH_SOFT, .setup = has_soft_irq, .run = irq_wait,
	  .silent = "poll() and read() of an eventfd have nothing to leave behind" },
	{ 0 }
};
