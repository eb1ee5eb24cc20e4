/* SPDX-License-Identifier: MIT */
/*
 * Registers over the fake kernel: what can be mapped and what can't, eventfds that write, devices
 * that are gone, and mapped registers that go away (a file that is cut short raises a real SIGBUS).
 */
#include "device_rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static size_t page;

/* Region 0's areas, for before the device is opened. */
static void make_sparse(const struct wr_vfio_sparse_area *areas, unsigned int n)
{
	static struct {
		struct wr_vfio_cap header;
		uint32_t nr_areas, reserved;
		struct wr_vfio_sparse_area areas[4];
	} chain;

	chain.header = (struct wr_vfio_cap){ .id = WR_VFIO_REGION_CAP_SPARSE_MMAP };
	chain.nr_areas = n;
	for (unsigned int i = 0; i < n; i++)
		chain.areas[i] = areas[i];
	fake.device.chain = &chain;
	fake.device.chain_size = sizeof(chain);
	fake.device.chain_offset = sizeof(struct wr_vfio_region_info);
}

static struct weir_bar *open_bar(unsigned int region, enum weir_bar_map how)
{
	struct weir_bar *bar;

	assert_int_equal(weir_bar_open(dev, region, how, &bar), 0);
	return bar;
}

/* ---- mapping ---- */

static void what_can_be_mapped_is_listed(void **state)
{
	struct weir_area areas[2] = { { 7, 7 }, { 7, 7 } };
	struct weir_region_info info;

	(void)state;
	assert_int_equal(weir_region_areas(dev, WEIR_REGIONS, areas, 2), -EINVAL);
	assert_int_equal(weir_region_areas(dev, ~0u, areas, 2), -EINVAL);
	assert_int_equal(weir_region_areas(dev, 0, NULL, 0), 1);
	assert_int_equal(weir_region_areas(dev, 0, areas, 2), 1);
	assert_true(areas[0].offset == 0 && areas[0].len == BAR0_SIZE && areas[1].len == 7);
	assert_int_equal(weir_region_areas(dev, 1, areas, 2), 0);
	assert_int_equal(weir_region_areas(dev, 2, areas, 2), 0);
	assert_int_equal(weir_region_areas(dev, 4, areas, 2), 1);
	assert_true(areas[0].len == 16);
	assert_int_equal(weir_region_areas(dev, WEIR_REGION_CONFIG, areas, 2), 0);
	assert_int_equal(weir_region_info(dev, 0, &info), 0);
	assert_true(info.mappable && !info.msix_mappable);
	assert_int_equal(weir_region_info(dev, 2, &info), 0);
	assert_false(info.mappable);
}

static void msix_bar_is_told(void **state)
{
	static const struct wr_vfio_cap cap = { .id = WR_VFIO_REGION_CAP_MSIX_MAPPABLE };
	struct weir_region_info info;

	(void)state;
	fake.device.chain = &cap;
	fake.device.chain_size = sizeof(cap);
	fake.device.chain_offset = sizeof(struct wr_vfio_region_info);
	open_device();
	assert_int_equal(weir_region_info(dev, 0, &info), 0);
	assert_true(info.mappable && info.msix_mappable);
	assert_int_equal(weir_region_areas(dev, 0, NULL, 0), 1);
}

static void whole_bar_is_one_map(void **state)
{
	struct weir_bar *bar = open_bar(0, WEIR_BAR_MAPPED);
	struct weir_bar *small = open_bar(4, WEIR_BAR_MAPPED), *none = (void *)1;
	unsigned long before = fake.device.accesses;

	(void)state;
	assert_true(bar->map && bar->map_len == BAR0_SIZE);
	poke(0x104, 0x11223344);
	assert_int_equal(weir_read32(bar, 0x104), 0x11223344);
	weir_write64(bar, BAR0_SIZE - 8, 0x0807060504030201);
	assert_int_equal(peek(BAR0_SIZE - 4), 0x08070605);
	weir_write32(small, 12, 0x55667788);
	assert_int_equal(peek(BAR4_AT + 12), 0x55667788);
	assert_int_equal(fake.device.accesses, before);
	/* The rest of its page isn't the bar's. */
	assert_int_equal(weir_read32(small, 16), 0xffffffff);
	assert_says("BAR 4 has 0x10 bytes");

	assert_int_equal(weir_bar_open(dev, 2, WEIR_BAR_MAPPED, &none), -ENOTSUP);
	assert_int_equal(weir_bar_open(dev, WEIR_REGION_ROM, WEIR_BAR_MAPPED, &none), -ENOTSUP);
	assert_says(NAME ": ROM can't be mapped as a whole");
	assert_ptr_equal(none, (void *)1);
	/* Closing in the wrong order. */
	assert_int_equal(weir_device_close(dev), -EBUSY);
	assert_says("2 of its bars are open");
	assert_int_equal(weir_bar_close(small), 0);
	assert_int_equal(weir_bar_close(bar), 0);
}

static void holes_are_reached_by_calls(void **state)
{
	const struct wr_vfio_sparse_area areas[] = {
		{ 4 * page, 4 * page }, { 12 * page, page }, { 0, 2 * page },
	};
	struct weir_bar *bar, *whole;
	unsigned long calls;

	(void)state;
	make_sparse(areas, 3);
	open_device();
	assert_int_equal(weir_bar_open(dev, 0, WEIR_BAR_MAPPED, &whole), -ENOTSUP);
	assert_int_equal(fake.mapped, mapped_open);
	bar = open_bar(0, WEIR_BAR_AUTO);
	assert_true(bar->map_first == 4 * page && bar->map_len == 4 * page);
	assert_int_equal(fake.mapped - mapped_open, 7 * page);

	for (unsigned int i = 0; i < BAR0_SIZE / page; i++) {
		bool mapped = i < 2 || (i >= 4 && i < 8) || i == 12;

		calls = fake.device.accesses;
		weir_write64(bar, i * page, i | 0x1122334455660000);
		weir_write32_be(bar, i * page + 8, i);
		weir_write16(bar, (i + 1) * page - 2, (uint16_t)(i + 1));
		weir_write8(bar, i * page + 13, (uint8_t)(i + 2));
		assert_int_equal(peek(i * page), 0x55660000 | i);
		assert_int_equal(peek(i * page + 8), __builtin_bswap32(i));
		assert_true(weir_read64(bar, i * page) == (i | 0x1122334455660000));
		assert_int_equal(weir_read32_be(bar, i * page + 8), i);
		assert_int_equal(weir_read16(bar, (i + 1) * page - 2), i + 1);
		assert_int_equal(weir_read8(bar, i * page + 13), i + 2);
		assert_int_equal(fake.device.accesses - calls, mapped ? 0 : 8);
	}
	assert_int_equal(weir_read64(bar, 2 * page - 4), UINT64_MAX);
	assert_says("isn't a multiple");
	assert_int_equal(weir_read32(bar, BAR0_SIZE), 0xffffffff);
	assert_says("BAR 0 has 0x40000 bytes");
	assert_int_equal(weir_bar_close(bar), 0);
}

static void pointers_stay_in_one_part(void **state)
{
	const struct wr_vfio_sparse_area areas[] = { { 0, page }, { page, 2 * page } };
	struct weir_bar *bar, *calls;

	(void)state;
	make_sparse(areas, 2);
	open_device();
	bar = open_bar(0, WEIR_BAR_AUTO);
	calls = open_bar(0, WEIR_BAR_CALLS);
	poke(page + 8, 0xabcdef01);
	assert_int_equal(*(volatile uint32_t *)weir_bar_ptr(bar, page + 8, 4),
			 htole32(0xabcdef01));
	assert_non_null(weir_bar_ptr(bar, 0, page));
	assert_non_null(weir_bar_ptr(bar, page, 2 * page));
	assert_non_null(weir_bar_ptr(bar, 3 * page - 1, 1));
	assert_null(weir_bar_ptr(bar, 0, page + 1));
	assert_null(weir_bar_ptr(bar, page - 1, 2));
	assert_null(weir_bar_ptr(bar, 3 * page, 1));
	assert_null(weir_bar_ptr(bar, page, 0));
	assert_null(weir_bar_ptr(bar, UINT64_MAX, 2));
	assert_null(weir_bar_ptr(bar, 1, UINT64_MAX));
	assert_null(weir_bar_ptr(calls, 0, 1));
	assert_null(weir_bar_ptr(NULL, 0, 1));
	assert_int_equal(weir_bar_close(calls), 0);
	assert_int_equal(weir_bar_close(bar), 0);
}

static void bar_without_areas_is_reached_by_calls(void **state)
{
	struct weir_region_info info;
	struct weir_bar *bar;

	(void)state;
	make_sparse(NULL, 0);
	open_device();
	assert_int_equal(weir_region_info(dev, 0, &info), 0);
	assert_false(info.mappable);
	assert_int_equal(weir_bar_open(dev, 0, WEIR_BAR_MAPPED, &bar), -ENOTSUP);
	bar = open_bar(0, WEIR_BAR_AUTO);
	assert_null(bar->map);
	poke(0x10, 0x12345678);
	assert_int_equal(weir_read32(bar, 0x10), 0x12345678);
	assert_int_equal(fake.mapped, mapped_open);
	assert_int_equal(weir_bar_close(bar), 0);
}

static void failed_maps_leave_nothing(void **state)
{
	const struct wr_vfio_sparse_area areas[] = { { 0, page }, { 4 * page, page } };
	struct weir_bar *bar = (void *)1;

	(void)state;
	make_sparse(areas, 2);
	open_device();
	/* Each map, and each keeping it from children. */
	for (unsigned int n = 1; n <= 4; n++) {
		fake.fail_at = fake.calls + n;
		assert_int_equal(weir_bar_open(dev, 0, WEIR_BAR_AUTO, &bar), -EIO);
		assert_says(NAME ": mapping BAR 0, 0x");
		assert_ptr_equal(bar, (void *)1);
		assert_int_equal(fake.mapped, mapped_open);
	}
	bar = open_bar(0, WEIR_BAR_AUTO);
	assert_int_equal(weir_bar_close(bar), 0);
}

static void children_have_no_registers(void **state)
{
	struct weir_bar *bar = open_bar(0, WEIR_BAR_AUTO);
	void *map = (void *)(uintptr_t)bar->map;
	unsigned char there;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mincore(map, page, &there), 0);
	pid = fork();
	if (!pid)
		_exit(mincore(map, page, &there) < 0 && errno == ENOMEM ? 42 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	assert_int_equal(weir_bar_close(bar), 0);
}

/* ---- accesses ---- */

static void any_length_is_split(void **state)
{
	uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, back[8];

	(void)state;
	for (size_t len = 1; len <= 8; len++) {
		memset(back, 0, sizeof(back));
		assert_int_equal(weir_region_write(dev, 2, 0x11, bytes, len), 0);
		assert_int_equal(weir_region_read(dev, 2, 0x11, back, len), 0);
		assert_memory_equal(back, bytes, len);
	}
	assert_int_equal(weir_region_read(dev, 2, 0, NULL, 4), -EINVAL);
	assert_says(NAME ": no buffer is given");
	assert_int_equal(weir_region_write(dev, 2, 0, NULL, 4), -EINVAL);
	assert_int_equal(weir_region_read(dev, 2, BAR2_SIZE - 2, back, 3), -EINVAL);
	assert_int_equal(weir_region_write(dev, WEIR_REGION_ROM, 0, bytes, 4), -EINVAL);
	assert_says("ROM can't be written");
	fake.device.most = 3;
	assert_int_equal(weir_region_read(dev, 2, 0, back, 4), -EIO);
	assert_says(NAME ": BAR 2, offset 0x0: reading registers: 3 of 4 bytes");
	fake.device.most = 256;
	fake.device.access_error = -EIO;
	assert_int_equal(weir_region_write(dev, 2, 0, bytes, 4), -EIO);
	assert_says("memory space is off");
	fake.device.access_error = 0;
}

static void eventfds_write_registers(void **state)
{
	static const struct {
		unsigned int region;
		uint64_t offset;
		unsigned int width;
		uint64_t value;
		const char *part;
	} bad[] = {
		{ WEIR_REGIONS, 0, 4, 0, "no weir_region" },
		{ WEIR_REGION_CONFIG, 0, 4, 0, "only write a BAR's registers" },
		{ WEIR_REGION_ROM, 0, 4, 0, "ROM" }, { 1, 0, 4, 0, "it has no BAR 1" },
		{ 0, BAR0_SIZE, 4, 0, "BAR 0 has" }, { 0, BAR0_SIZE - 2, 4, 0, "BAR 0 has" },
		{ 0, UINT64_MAX - 3, 4, 0, "BAR 0 has" }, { 0, 2, 4, 0, "multiple" },
		{ 0, 0, 0, 0, "BAR 0 has" }, { 0, 0, 3, 0, "not 3" }, { 0, 0, 16, 0, "not 16" },
		{ 0, 0, 1, 0x100, "0x100 doesn't fit" }, { 0, 0, 2, 0x10000, "doesn't fit" },
		{ 0, 0, 4, 1ull << 32, "doesn't fit" },
		{ 0, 0, 8, 1, "the kernel refuses" },
	};
	int efd = wr_sys->eventfd(), ends[2];

	(void)state;
	assert_true(efd >= 0);
	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(weir_ioeventfd(dev, bad[i].region, bad[i].offset, bad[i].width,
						bad[i].value, efd), -EINVAL);
		assert_says(NAME);
		assert_says(bad[i].part);
	}
	assert_int_equal(weir_ioeventfd(dev, 0, 0, 4, 1, -2), -EINVAL);
	assert_int_equal(weir_ioeventfd(dev, 0, 0, 4, 1, ends[0]), -EINVAL);
	assert_says("is no eventfd");
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(weir_ioeventfd(dev, 0, 0, 4, 1, ends[0]), -EBADF);
	assert_says("isn't open");
	assert_int_equal(weir_ioeventfd(dev, 0, 0, 4, 1, -1), -ENODEV);
	assert_says(NAME ": BAR 0, offset 0x0: there is no eventfd");

	assert_int_equal(weir_ioeventfd(dev, 2, 0x10, 4, 0xffffffff, efd), 0);
	assert_true(fake.device.ioeventfds[FAKE_IOEVENTFDS - 1].offset == BAR2_AT + 0x10);
	assert_int_equal(weir_ioeventfd(dev, 2, 0x10, 4, 0xffffffff, efd), -EEXIST);
	assert_says("writes this value there already");
	assert_int_equal(weir_ioeventfd(dev, 2, 0x10, 4, 2, efd), 0);
	assert_int_equal(weir_ioeventfd(dev, 2, 0x10, 2, 2, efd), 0);
	assert_int_equal(weir_ioeventfd(dev, 2, 0x10, 1, 2, efd), -ENOSPC);
	assert_says("remove one first");
	assert_int_equal(weir_ioeventfd(dev, 2, 0x10, 4, 2, -1), 0);
	assert_int_equal(weir_ioeventfd(dev, 2, 0x10, 1, 2, efd), 0);
	close(efd);
}

/* ---- gone ---- */

static void gone_is_what_the_device_says(void **state)
{
	(void)state;
	assert_int_equal(weir_device_gone(dev), 0);
	/* What is virtual says nothing. */
	poke(CONFIG_AT, 0xffffffff);
	assert_int_equal(weir_device_gone(dev), 0);
	poke(CONFIG_AT + 8, 0xffffff00);
	assert_int_equal(weir_device_gone(dev), 0);
	poke(CONFIG_AT + 8, 0xffffffff);
	assert_int_equal(weir_device_gone(dev), 1);
	poke(CONFIG_AT + 8, 0);
	assert_int_equal(weir_device_gone(dev), 0);
	fake.device.access_error = -ENODEV;
	assert_int_equal(weir_device_gone(dev), 1);
	fake.device.access_error = -ENXIO;
	assert_int_equal(weir_device_gone(dev), 1);
	/* It can't be woken: who knows? */
	fake.device.access_error = -EIO;
	assert_int_equal(weir_device_gone(dev), -EIO);
	assert_says(NAME ": reading registers");
	fake.device.access_error = 0;
	fake.device.most = 2;
	assert_int_equal(weir_device_gone(dev), -EIO);
	fake.device.most = 256;
}

static void gone_device_reads_ones_and_closes(void **state)
{
	struct weir_bar *bar = open_bar(2, WEIR_BAR_AUTO);
	uint32_t value;

	(void)state;
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSI, 2), 0);
	/* Ones by themselves are a value like any other. */
	poke(BAR2_AT, 0xffffffff);
	assert_int_equal(weir_config_read32(dev, 1, &value), -EINVAL);
	assert_int_equal(weir_read32(bar, 0), 0xffffffff);
	assert_says("isn't a multiple");
	for (unsigned int i = 0; i < 256; i += 4)
		poke(CONFIG_AT + i, 0xffffffff);
	assert_int_equal(weir_read16(bar, 0), 0xffff);
	assert_says(NAME ": BAR 2, offset 0x0: the device is gone");
	assert_int_equal(weir_region_read(dev, 2, 0, &value, 4), 0);
	assert_int_equal(value, 0xffffffff);
	assert_int_equal(weir_device_bus_master(dev, true), -ENODEV);
	assert_says("is gone, or doesn't answer");

	/* Where the kernel notices, it says so. */
	fake.device.access_error = -ENODEV;
	assert_int_equal(weir_read8(bar, 1), 0xff);
	assert_says("BAR 2, offset 0x1");
	assert_true(weir_read64_be(bar, 8) == UINT64_MAX);
	weir_write32(bar, 4, 1);
	assert_says("writing registers");
	assert_int_equal(peek(BAR2_AT + 4), 0);
	assert_int_equal(weir_irq_disable(dev, WEIR_IRQ_MSI), 0);
	assert_int_equal(weir_irq_enable(dev, WEIR_IRQ_MSIX, 2), 0);
	assert_int_equal(weir_bar_close(bar), 0);
	/* Teardown sees that it closes, and nothing is left. */
}

/* ---- SIGBUS ---- */

static struct weir_bar *handled;
static atomic_int caught, refused;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	caught++;
	errno = 1234;
	if (!weir_bar_sigbus(handled, info->si_addr)) {
		refused++;
		signal(sig, SIG_DFL);
	}
	if (errno != 1234)
		refused++;
}

static void catch_sigbus(struct weir_bar *bar)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	handled = bar;
	caught = refused = 0;
	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
}

static void registers_that_go_away_read_ones(void **state)
{
	struct weir_bar *bar = open_bar(0, WEIR_BAR_MAPPED), *again;

	(void)state;
	catch_sigbus(bar);
	weir_write32(bar, 0, 0x11223344);
	assert_int_equal(ftruncate(fake.device.memory, 0), 0);
	assert_int_equal(weir_read32(bar, 0), 0xffffffff);
	assert_int_equal(caught, 1);
	/* The page stays; the next one goes by itself. */
	assert_true(weir_read64(bar, page - 8) == UINT64_MAX);
	assert_int_equal(caught, 1);
	weir_write8(bar, page + 3, 0);
	assert_int_equal(caught, 2);
	assert_int_equal(weir_read32(bar, page + 4), 0xffffffff);
	assert_int_equal(weir_read8(bar, BAR0_SIZE - 1), 0xff);
	assert_int_equal(caught, 3);
	assert_int_equal(refused, 0);

	/* The device is back: pages that weren't touched are registers again. */
	assert_int_equal(ftruncate(fake.device.memory, 1 << 20), 0);
	poke(0, 0x55667788);
	poke(2 * page, 0x99aabbcc);
	assert_int_equal(weir_read32(bar, 0), 0xffffffff);
	assert_int_equal(weir_read32(bar, 2 * page), 0x99aabbcc);
	again = open_bar(0, WEIR_BAR_MAPPED);
	assert_int_equal(weir_read32(again, 0), 0x55667788);
	assert_int_equal(weir_bar_close(again), 0);
	assert_int_equal(weir_bar_close(bar), 0);
	signal(SIGBUS, SIG_DFL);
}

static void only_the_bars_own_addresses_are_handled(void **state)
{
	const struct wr_vfio_sparse_area areas[] = { { 0, page }, { 4 * page, 2 * page } };
	struct weir_bar *bar, *calls;
	unsigned char *parts[2];

	(void)state;
	make_sparse(areas, 2);
	open_device();
	bar = open_bar(0, WEIR_BAR_AUTO);
	calls = open_bar(0, WEIR_BAR_CALLS);
	for (unsigned int i = 0; i < 2; i++)
		parts[i] = (unsigned char *)(uintptr_t)weir_bar_ptr(bar, areas[i].offset, 1);
	assert_int_equal(weir_bar_sigbus(NULL, parts[0]), 0);
	assert_int_equal(weir_bar_sigbus(bar, NULL), 0);
	assert_int_equal(weir_bar_sigbus(bar, &areas), 0);
	assert_int_equal(weir_bar_sigbus(bar, parts[0] - 1), parts[1] + 2 * page == parts[0]);
	assert_int_equal(weir_bar_sigbus(calls, parts[0]), 0);
	/* A part that isn't the largest. */
	poke(0, 1);
	assert_int_equal(weir_read32(bar, 0), 1);
	assert_int_equal(weir_bar_sigbus(bar, parts[0] + page - 1), 1);
	assert_int_equal(weir_read32(bar, 0), 0xffffffff);
	assert_int_equal(weir_bar_sigbus(bar, parts[1] + 2 * page - 1), 1);
	poke(4 * page, 2);
	assert_int_equal(weir_read32(bar, 4 * page), 2);
	assert_int_equal(weir_read32(bar, 5 * page), 0xffffffff);
	assert_int_equal(weir_bar_close(calls), 0);
	assert_int_equal(weir_bar_close(bar), 0);
}

/* Without memory it says so, and errno is the interrupted code's. In a child, for the limit. */
static void handler_may_get_no_memory(void **state)
{
	/* Where it is found in the child too, which leaves it behind. */
	static struct weir_bar *bar;
	struct rlimit limit, none;
	const void *at;
	int status;
	pid_t pid;

	(void)state;
	bar = open_bar(0, WEIR_BAR_MAPPED);
	at = (const void *)(uintptr_t)bar->map;
	assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
	none = (struct rlimit){ 0, limit.rlim_max };
	pid = fork();
	if (!pid) {
		bool none_and_said;

		setrlimit(RLIMIT_AS, &none);
		errno = 1234;
		none_and_said = weir_bar_sigbus(bar, at) == 0 && errno == 1234;
		/* valgrind wants some when it ends. */
		setrlimit(RLIMIT_AS, &limit);
		_exit(none_and_said ? 42 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	assert_int_equal(weir_bar_close(bar), 0);
}

static void *sum_registers(void *arg)
{
	const struct weir_bar *bar = arg;
	uintptr_t not_ones = 0;

	for (uint64_t at = 0; at < BAR0_SIZE; at += page / 2)
		not_ones += weir_read32(bar, at) != 0xffffffff;
	return (void *)not_ones;
}

/* No thread ever sees anything but ones, whoever's fault it was that was handled. */
static void threads_fault_together(void **state)
{
	struct weir_bar *bar = open_bar(0, WEIR_BAR_MAPPED);
	pthread_t threads[4];
	void *not_ones;

	(void)state;
	catch_sigbus(bar);
	assert_int_equal(ftruncate(fake.device.memory, 0), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sum_registers, bar), 0);
	for (unsigned int i = 0; i < 4; i++) {
		pthread_join(threads[i], &not_ones);
		assert_null(not_ones);
	}
	assert_int_equal(refused, 0);
	assert_int_equal(ftruncate(fake.device.memory, 1 << 20), 0);
	assert_int_equal(weir_bar_close(bar), 0);
	signal(SIGBUS, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_can_be_mapped_is_listed),
		TEST_CLOSED(msix_bar_is_told),
		TEST(whole_bar_is_one_map),
		TEST_CLOSED(holes_are_reached_by_calls),
		TEST_CLOSED(pointers_stay_in_one_part),
		TEST_CLOSED(bar_without_areas_is_reached_by_calls),
		TEST_CLOSED(failed_maps_leave_nothing),
		TEST(children_have_no_registers),
		TEST(any_length_is_split),
		TEST(eventfds_write_registers),
		TEST(gone_is_what_the_device_says),
		TEST(gone_device_reads_ones_and_closes),
		TEST_CLOSED(only_the_bars_own_addresses_are_handled),
		TEST(handler_may_get_no_memory),
		TEST(registers_that_go_away_read_ones),
		TEST(threads_fault_together),
	};

	unsetenv("WEIR_IOMMU");
	page = wr_page_size();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
