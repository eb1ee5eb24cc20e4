/* SPDX-License-Identifier: MIT */
/*
 * An address space that goes to another process, on a made-up IOMMUFD (fake_iommufd.c). Both are
 * this one; whom the kernel takes it for, fake.iommufd.process says.
 */
#ifndef HANDOVER_RIG_H
#define HANDOVER_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "device/device.h"
#include "device_rig.h"
#include "ioas/ioas.h"

#define PAGE	wr_page_size()
#define FDS	32
#define FIRST_FAKE_FD 100000
#define THERE	2		/* the process that it goes to */
#define BOTH	(WR_IOMMU_MAP_READ | WR_IOMMU_MAP_WRITE)

static struct weir_ioas *as;
static struct weir_mem *mem;
static int file, mine;
static weir_iova file_at;
static int fds[FDS], n_fds;
static unsigned int objects;

static inline struct weir_device *open_by(const char *name, struct weir_ioas *space)
{
	const struct weir_device_opts opts = { .ioas = space, .dma_bits = 40 };
	struct weir_device *opened;

	assert_int_equal(weir_device_open(NULL, name, &opts, &opened), 0);
	return opened;
}

/* Two units, three vectors, of which one signals the caller's eventfd; the device does DMA. */
static inline int open_all(void **state)
{
	const struct weir_mem_opts shared = { .shared = true, .dir = WEIR_DMA_TO_DEVICE };

	unsetenv("WEIR_IOMMU");
	start(state);
	fake.iommufd.exists = true;
	assert_int_equal(weir_ioas_open(NULL, &as), 0);
	file = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(file, (off_t)(8 * PAGE)), 0);
	assert_int_equal(weir_ioas_map_fd(as, file, 2 * PAGE, 4 * PAGE, NULL, &file_at), 0);
	dev = open_by(NAME, as);
	assert_int_equal(weir_mem_alloc(as, 2 * PAGE, &shared, &mem), 0);
	memset(weir_mem_ptr(mem), 0x5a, 2 * PAGE);
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 2), 0);
	mine = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(weir_irq_set(dev, WEIR_IRQ_MSIX, 2, 1, &mine), 0);
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_REQ, 1), 0);
	assert_int_equal(weir_device_bus_master(dev, true), 0);
	objects = fake_objects();
	return 0;
}

static inline void close_here(void)
{
	assert_int_equal(weir_mem_free(mem), 0);
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(weir_ioas_close(as), 0);
	mem = NULL;
	dev = NULL;
	as = NULL;
}

static inline int close_all(void **state)
{
	close_here();
	close(file);
	close(mine);
	assert_int_equal(fake_objects(), 0);
	return teardown(state);
}

/* Whatever happened elsewhere, here it is, and works. */
static inline void assert_whole(void)
{
	weir_iova iova;

	assert_int_equal(fake_objects(), objects);
	assert_int_equal(fake_ioas_mappings(0), 2);
	assert_true(peek(CONFIG_AT + 4) & 4);
	assert_int_equal(weir_ioas_map_fd(as, file, 0, PAGE, NULL, &iova), 0);
	assert_int_equal(weir_ioas_unmap(as, iova, PAGE), 0);
	assert_true(fake_interrupt(WEIR_IRQ_MSIX, 0));
	assert_int_equal(weir_irq_wait(dev, WEIR_IRQ_MSIX, 0, 0), 1);
}

static inline void hand_over(void)
{
	n_fds = weir_ioas_export(as, fds, FDS);
	if (n_fds < 0)
		fail_msg("%s", weir_errmsg());
	/* The record, /dev/iommu, a node, two files, three eventfds of weir's. */
	assert_int_equal(n_fds, 8);
}

static inline struct weir_ioas *import(const int *list)
{
	struct weir_ioas *space;

	fake.iommufd.process = THERE;
	if (weir_ioas_import(NULL, list, (size_t)n_fds, &space))
		fail_msg("%s", weir_errmsg());
	return space;
}

/* As if they had come through a socket. */
static inline void receive(int *list)
{
	for (int i = 0; i < n_fds; i++) {
		list[i] = wr_sys->dup(fds[i]);
		assert_true(list[i] >= 0);
	}
}

static inline void close_list(const int *list)
{
	for (int i = 0; i < n_fds; i++)
		wr_close(list[i]);
}

static inline ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

#endif
