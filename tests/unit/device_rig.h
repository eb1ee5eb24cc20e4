/* SPDX-License-Identifier: MIT */
/*
 * The fake kernel's device (fake_vfio.h), opened by the library: BAR 0 can be mapped, BAR 2 is
 * reached by calls, BAR 4 is smaller than a page.
 */
#ifndef DEVICE_RIG_H
#define DEVICE_RIG_H

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "base/sys.h"
#include "fake_vfio.h"
#include "says.h"

#define NAME		"0000:01:00.0"
#define BAR0_SIZE	0x40000
#define BAR2_SIZE	0x100
#define BAR2_AT		0x60000
#define BAR4_AT		0x70000
#define CONFIG_AT	0x80000

static struct weir_device *dev;
static int fds_before;
static long mapped_open;		/* by the opened device itself */

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* What is in the device's little-endian registers, past the library. */
static inline void poke(uint64_t at, uint32_t value)
{
	value = htole32(value);
	assert_int_equal(pwrite(fake.device.memory, &value, 4, (off_t)at), 4);
}

static inline uint32_t peek(uint64_t at)
{
	uint32_t value;

	assert_int_equal(pread(fake.device.memory, &value, 4, (off_t)at), 4);
	return le32toh(value);
}

/* Tests that change the device open it by themselves. */
static int start(void **state)
{
	struct fake_device *d = &fake.device;

	(void)state;
	fake_start();
	d->info.flags |= WR_VFIO_DEVICE_RESETS;
	d->regions[0] = (struct wr_vfio_region_info){ .flags = 7, .size = BAR0_SIZE };
	d->regions[2] = (struct wr_vfio_region_info){ .flags = 3, .size = BAR2_SIZE,
						      .offset = BAR2_AT };
	d->regions[4] = (struct wr_vfio_region_info){ .flags = 7, .size = 16, .offset = BAR4_AT };
	d->regions[6] = (struct wr_vfio_region_info){ .flags = 1, .size = 0x1000,
						      .offset = BAR2_AT };
	d->regions[7] = (struct wr_vfio_region_info){ .flags = 3, .size = 256,
						      .offset = CONFIG_AT };
	poke(CONFIG_AT, 0x56781234);
	poke(CONFIG_AT + 4, 0x00100002);
	poke(CONFIG_AT + 8, 0x02000001);
	d->irqs[0] = (struct wr_vfio_irq_info){ .flags = 7, .count = 1 };
	d->irqs[1] = (struct wr_vfio_irq_info){ .flags = 9, .count = 8 };
	d->irqs[2] = (struct wr_vfio_irq_info){ .flags = 1, .count = FAKE_VECTORS };
	d->irqs[3] = (struct wr_vfio_irq_info){ .flags = 9, .count = 1 };
	d->irqs[4] = (struct wr_vfio_irq_info){ .flags = 9, .count = 1 };
	d->vectors_free = 12;
	fds_before = count_fds();
	dev = NULL;
	return 0;
}

static inline void open_device(void)
{
	assert_int_equal(weir_device_open(NULL, NAME, NULL, &dev), 0);
	mapped_open = fake.mapped;
}

static inline int setup(void **state)
{
	start(state);
	open_device();
	return 0;
}

/* Nothing is left: no fd, no memory, no mapping. */
static inline int teardown(void **state)
{
	(void)state;
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(fake.open_fds, 0);
	assert_int_equal(fake.mapped, 0);
	assert_int_equal(count_fds(), fds_before);
	fake_stop();
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_CLOSED(f) cmocka_unit_test_setup_teardown(f, start, teardown)

#endif
