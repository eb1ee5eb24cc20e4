/* SPDX-License-Identifier: MIT */
/* Devices, over models in this process: opening, regions, bars, interrupts. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "says.h"

#define BAR_SIZE 0x100

/* A device that is memory, little-endian, and notes what it is asked. */
struct memory {
	uint8_t bytes[BAR_SIZE];
	unsigned int reads, writes, resets;
	unsigned int last_width;
};

static uint64_t memory_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			    unsigned int width)
{
	struct memory *m = weir_model_priv(model);
	uint64_t value = 0;

	m->reads++;
	m->last_width = width;
	for (unsigned int i = 0; !bar && i < width; i++)
		value |= (uint64_t)m->bytes[offset + i] << (8 * i);
	return value;
}

static void memory_write(struct weir_model *model, unsigned int bar, uint64_t offset,
			 unsigned int width, uint64_t value)
{
	struct memory *m = weir_model_priv(model);

	m->writes++;
	m->last_width = width;
	for (unsigned int i = 0; !bar && i < width; i++)
		m->bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

static void memory_reset(struct weir_model *model)
{
	((struct memory *)weir_model_priv(model))->resets++;
}

static const struct weir_model_ops with_reset = {
	.read = memory_read, .write = memory_write, .reset = memory_reset,
};
static const struct weir_model_ops without_reset = { .read = memory_read, .write = memory_write };

static const struct weir_model_desc desc = {
	.name = "memory",
	.vendor = 0x1234,
	.device = 0x5678,
	.subsystem_vendor = 0x9abc,
	.subsystem_device = 0xdef0,
	.class_code = 0x058042,
	.revision = 7,
	.intx = true,
	.msi = 4,
	.bars = { { .size = BAR_SIZE, .is64 = true }, { 0 }, { .size = 16 } },
};

struct rig {
	struct memory memory;
	struct weir_model *model;
	struct weir_device *dev;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_int_equal(weir_model_create(&desc, &with_reset, &rig->memory, &rig->model), 0);
	assert_int_equal(weir_device_open_model(NULL, rig->model, NULL, &rig->dev), 0);
	for (unsigned int i = 0; i < BAR_SIZE; i++)
		rig->memory.bytes[i] = (uint8_t)i;
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_device_close(rig->dev), 0);
	assert_int_equal(weir_model_destroy(rig->model), 0);
	free(rig);
	return 0;
}

/* ---- opening and closing ---- */

static void bad_names_are_refused(void **state)
{
	static const struct {
		const char *name;
		int err;
		const char *part;
	} cases[] = {
		{ "", -EINVAL, "" },
		{ "nonsense", -EINVAL, "nonsense" },
		{ "0000:01:00", -EINVAL, "0000:01:00" },
		{ "0000:01:00.8", -EINVAL, "" },
		{ "0000:01:20.0", -EINVAL, "" },
		{ "0000:01:00.0x", -EINVAL, "" },
		{ "ffff:ff:1f.7", -ENOENT, "ffff:ff:1f.7" },
		{ "soft:", -ENOENT, "soft:edu" },
		{ "soft:nosuch", -ENOENT, "soft:nosuch: no such sample model; there are soft:edu, "
		  "soft:edu-be, soft:lab" },
		{ "soft:edu2", -ENOENT, "soft:edu" },
		{ "Soft:edu", -EINVAL, "" },
	};
	struct weir_device *dev = (void *)1;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(weir_device_open(NULL, cases[i].name, NULL, &dev), cases[i].err);
		assert_says(cases[i].part);
		assert_ptr_equal(dev, (void *)1);
	}
	assert_int_equal(weir_device_close(NULL), 0);
	assert_int_equal(weir_bar_close(NULL), 0);
	assert_int_equal(weir_device_open_model(NULL, NULL, NULL, &dev), -EINVAL);
	assert_int_equal(weir_model_create(NULL, NULL, NULL, NULL), -EINVAL);
}

static void bad_options_are_refused(void **state)
{
	struct weir_device_opts opts = { 0 };
	struct weir_iommu *one, *other;
	struct weir_device *dev;
	struct weir_ioas *as;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		opts.reserved[i] = 1;
		assert_int_equal(weir_device_open(NULL, "soft:edu", &opts, &dev), -EINVAL);
		assert_says("weir_device_opts.reserved");
		opts.reserved[i] = 0;
	}
	opts.dma_bits = 65;
	assert_int_equal(weir_device_open(NULL, "soft:edu", &opts, &dev), -EINVAL);
	assert_says("soft:edu: 65 address bits");
	opts.dma_bits = 0;
	opts.vf_token = "00112233-4455-6677-8899-aabbccddeeff";
	assert_int_equal(weir_device_open(NULL, "soft:edu", &opts, &dev), -EINVAL);
	assert_says("takes no VF token");
	opts.vf_token = NULL;

	assert_int_equal(weir_iommu_open(NULL, &one), 0);
	assert_int_equal(weir_iommu_open(NULL, &other), 0);
	assert_int_equal(weir_ioas_open(one, &as), 0);
	opts.ioas = as;
	assert_int_equal(weir_device_open(other, "soft:edu", &opts, &dev), -EINVAL);
	assert_says("another context");
	assert_int_equal(weir_iommu_close(other), 0);
	assert_int_equal(weir_ioas_close(as), 0);
	assert_int_equal(weir_iommu_close(one), 0);
}

/* A model that was refused is as it was: it can be opened, and destroyed. */
static void model_is_opened_once(void **state)
{
	const struct weir_device_opts token = { .vf_token = "x" };
	struct rig *rig = *state;
	struct weir_device *dev = (void *)1;

	assert_int_equal(weir_device_open_model(NULL, rig->model, NULL, &dev), -EBUSY);
	assert_says("memory");
	assert_ptr_equal(dev, (void *)1);
	assert_int_equal(weir_model_destroy(rig->model), -EBUSY);
	assert_int_equal(weir_device_close(rig->dev), 0);
	assert_int_equal(rig->memory.resets, 1);
	assert_int_equal(weir_device_open_model(NULL, rig->model, &token, &dev), -EINVAL);
	assert_int_equal(weir_device_open_model(NULL, rig->model, NULL, &rig->dev), 0);
}

static void device_knows_itself(void **state)
{
	struct rig *rig = *state;
	struct weir_device_info info;

	assert_int_equal(weir_device_info(rig->dev, &info), 0);
	assert_string_equal(info.name, "memory");
	assert_string_equal(info.backend, "soft");
	assert_int_equal(info.vendor, 0x1234);
	assert_int_equal(info.device, 0x5678);
	assert_int_equal(info.subsystem_vendor, 0x9abc);
	assert_int_equal(info.subsystem_device, 0xdef0);
	assert_int_equal(info.class_code, 0x058042);
	assert_int_equal(info.revision, 7);
	assert_true(info.can_reset);
	assert_int_equal(info.requester, 1 << 3);
	assert_non_null(weir_device_ioas(rig->dev));
}

static void devices_in_one_address_space_have_their_own_ids(void **state)
{
	struct rig *rig = *state;
	const struct weir_device_opts opts = { .ioas = weir_device_ioas(rig->dev) };
	struct weir_device *second;
	struct weir_device_info info;

	assert_int_equal(weir_device_open(NULL, "soft:edu", &opts, &second), 0);
	assert_ptr_equal(weir_device_ioas(second), opts.ioas);
	assert_int_equal(weir_device_info(second, &info), 0);
	assert_string_equal(info.name, "soft:edu");
	assert_int_equal(info.requester, 2 << 3);
	/* It is in the first one's private address space. */
	assert_int_equal(weir_device_close(rig->dev), -EBUSY);
	assert_says("memory: soft:edu uses its private address space");
	assert_int_equal(weir_device_close(second), 0);
}

static void device_in_use_isnt_closed(void **state)
{
	struct rig *rig = *state;
	struct weir_bar *a, *b;
	struct weir_mem *mem;
	uint8_t value;

	assert_int_equal(weir_bar_open(rig->dev, 0, WEIR_BAR_AUTO, &a), 0);
	assert_int_equal(weir_bar_open(rig->dev, 0, WEIR_BAR_CALLS, &b), 0);
	assert_int_equal(weir_device_close(rig->dev), -EBUSY);
	assert_says("memory: 2 of its bars");
	assert_int_equal(weir_bar_close(a), 0);
	assert_int_equal(weir_device_close(rig->dev), -EBUSY);
	assert_int_equal(weir_bar_close(b), 0);

	assert_int_equal(weir_mem_alloc(weir_device_ioas(rig->dev), 1, NULL, &mem), 0);
	assert_int_equal(weir_device_close(rig->dev), -EBUSY);
	assert_says("weir_mem_alloc");
	assert_int_equal(weir_mem_free(mem), 0);

	/* Nothing was done: it works as before. */
	assert_int_equal(weir_config_read8(rig->dev, 8, &value), 0);
	assert_int_equal(rig->memory.resets, 0);
}

static void device_isnt_closed_inside_a_bracket(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_device_bus_master(rig->dev, true), 0);
	assert_int_equal(weir_model_dma_begin(rig->model), 0);
	assert_int_equal(weir_device_close(rig->dev), -EDEADLK);
	weir_model_dma_end(rig->model);
}

static void reset_needs_a_reset(void **state)
{
	struct rig *rig = *state;
	struct weir_model *model;
	struct weir_device *dev;
	struct weir_device_info info;

	assert_int_equal(weir_device_reset(rig->dev), 0);
	assert_int_equal(rig->memory.resets, 1);
	assert_int_equal(weir_model_create(&desc, &without_reset, &rig->memory, &model), 0);
	assert_int_equal(weir_device_open_model(NULL, model, NULL, &dev), 0);
	assert_int_equal(weir_device_info(dev, &info), 0);
	assert_false(info.can_reset);
	assert_int_equal(weir_device_reset(dev), -ENOTSUP);
	assert_says("memory: it has no reset of its own");
	assert_int_equal(weir_device_close(dev), 0);
	assert_int_equal(weir_model_destroy(model), 0);
}

/* ---- regions and config space ---- */

static void regions_are_as_described(void **state)
{
	static const uint64_t sizes[WEIR_REGIONS] = { [0] = BAR_SIZE, [2] = 16, [7] = 256 };
	struct rig *rig = *state;
	struct weir_region_info info;

	for (unsigned int i = 0; i < WEIR_REGIONS; i++) {
		assert_int_equal(weir_region_info(rig->dev, i, &info), 0);
		assert_true(info.size == sizes[i]);
		assert_int_equal(info.readable, sizes[i] != 0);
		assert_int_equal(info.writable, sizes[i] != 0);
		assert_false(info.mappable);
	}
	assert_int_equal(weir_region_info(rig->dev, WEIR_REGIONS, &info), -EINVAL);
	assert_says("memory: 9 is no weir_region");
	assert_int_equal(weir_region_info(rig->dev, ~0u, &info), -EINVAL);
}

static void accesses_are_checked(void **state)
{
	static const struct {
		unsigned int region;
		uint64_t offset;
		size_t len;
	} bad[] = {
		{ 0, 0, 0 }, { 0, BAR_SIZE, 1 }, { 0, BAR_SIZE - 1, 2 }, { 0, 0, BAR_SIZE + 1 },
		{ 0, UINT64_MAX, 1 }, { 0, 1, SIZE_MAX }, { 0, UINT64_MAX, SIZE_MAX },
		{ 1, 0, 1 }, { WEIR_REGION_ROM, 0, 1 }, { WEIR_REGION_VGA, 0, 1 },
		{ WEIR_REGION_CONFIG, 256, 1 }, { WEIR_REGION_CONFIG, 0, 257 },
		{ WEIR_REGIONS, 0, 1 }, { ~0u, 0, 1 },
	};
	struct rig *rig = *state;
	uint8_t bytes[BAR_SIZE];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(weir_region_read(rig->dev, bad[i].region, bad[i].offset, bytes,
						  bad[i].len), -EINVAL);
		assert_says(bad[i].region ? "memory: " : "memory: BAR 0 has 0x100 bytes");
		assert_int_equal(weir_region_write(rig->dev, bad[i].region, bad[i].offset, bytes,
						   bad[i].len), -EINVAL);
	}
	assert_int_equal(rig->memory.reads + rig->memory.writes, 0);

	/* All of it, and any part: split into aligned accesses. */
	assert_int_equal(weir_region_read(rig->dev, 0, 0, bytes, BAR_SIZE), 0);
	assert_memory_equal(bytes, rig->memory.bytes, BAR_SIZE);
	assert_int_equal(rig->memory.reads, BAR_SIZE / 8);
	assert_int_equal(weir_region_read(rig->dev, 0, 1, bytes, 7), 0);
	assert_memory_equal(bytes, rig->memory.bytes + 1, 7);
	assert_int_equal(rig->memory.reads, BAR_SIZE / 8 + 3);
	assert_int_equal(weir_region_write(rig->dev, 0, BAR_SIZE - 1, "\x5a", 1), 0);
	assert_int_equal(rig->memory.bytes[BAR_SIZE - 1], 0x5a);
}

static void config_fields_are_aligned_and_inside(void **state)
{
	struct rig *rig = *state;
	uint32_t value32 = 0x11223344;
	uint16_t value16;
	uint8_t value8;

	assert_int_equal(weir_config_read16(rig->dev, 1, &value16), -EINVAL);
	assert_says("memory: config space offset 0x1 isn't a multiple of 2");
	assert_int_equal(weir_config_read32(rig->dev, 2, &value32), -EINVAL);
	assert_int_equal(weir_config_write16(rig->dev, 5, 0), -EINVAL);
	assert_int_equal(weir_config_write32(rig->dev, 6, 0), -EINVAL);
	assert_int_equal(weir_config_read8(rig->dev, 256, &value8), -EINVAL);
	assert_says("config space has 0x100 bytes");
	assert_int_equal(weir_config_read32(rig->dev, 0xfffffffc, &value32), -EINVAL);
	assert_int_equal(weir_config_write8(rig->dev, 256, 0), -EINVAL);
	assert_int_equal(value32, 0x11223344);

	assert_int_equal(weir_config_read32(rig->dev, 0, &value32), 0);
	assert_int_equal(value32, 0x56781234);
	assert_int_equal(weir_config_read16(rig->dev, 2, &value16), 0);
	assert_int_equal(value16, 0x5678);
	assert_int_equal(weir_config_read8(rig->dev, 8, &value8), 0);
	assert_int_equal(value8, 7);
	/* A BAR keeps what is an address, above its size. */
	assert_int_equal(weir_config_write32(rig->dev, 0x10, 0xffffffff), 0);
	assert_int_equal(weir_config_read32(rig->dev, 0x10, &value32), 0);
	assert_int_equal(value32, 0xffffff00 | 4);
	assert_int_equal(weir_config_write8(rig->dev, 0x3c, 0x5a), 0);
	assert_int_equal(weir_config_read8(rig->dev, 0x3c, &value8), 0);
	assert_int_equal(value8, 0x5a);
	assert_int_equal(weir_config_write16(rig->dev, 0, 0), 0);
	assert_int_equal(weir_config_read16(rig->dev, 0, &value16), 0);
	assert_int_equal(value16, 0x1234);
}

static void bus_mastering_is_a_bit(void **state)
{
	struct rig *rig = *state;
	uint16_t before, command;
	char byte;

	assert_int_equal(weir_config_read16(rig->dev, 4, &before), 0);
	assert_int_equal(before & 4, 0);
	assert_int_equal(weir_model_dma_read(rig->model, 0x1000, &byte, 1), -EPERM);
	assert_int_equal(weir_device_bus_master(rig->dev, true), 0);
	assert_int_equal(weir_config_read16(rig->dev, 4, &command), 0);
	assert_int_equal(command, before | 4);
	assert_int_equal(weir_model_dma_read(rig->model, 0x1000, &byte, 1), -EFAULT);
	assert_int_equal(weir_device_bus_master(rig->dev, false), 0);
	assert_int_equal(weir_config_read16(rig->dev, 4, &command), 0);
	assert_int_equal(command, before);
}

static void capabilities_are_listed(void **state)
{
	struct rig *rig = *state;
	struct weir_cap caps[2] = { { 0 } };

	assert_int_equal(weir_config_caps(rig->dev, NULL, 0), 1);
	assert_int_equal(weir_config_caps(rig->dev, caps, 2), 1);
	assert_int_equal(caps[0].id, 5);
	assert_false(caps[0].extended);
	assert_int_equal(caps[1].id, 0);
}

/* ---- bars ---- */

static void bars_are_opened_where_they_are(void **state)
{
	struct rig *rig = *state;
	struct weir_bar *bar = (void *)1;

	assert_int_equal(weir_bar_open(rig->dev, WEIR_REGION_CONFIG, WEIR_BAR_AUTO, &bar), -EINVAL);
	assert_int_equal(weir_bar_open(rig->dev, WEIR_REGION_VGA, WEIR_BAR_AUTO, &bar), -EINVAL);
	assert_int_equal(weir_bar_open(rig->dev, ~0u, WEIR_BAR_AUTO, &bar), -EINVAL);
	assert_int_equal(weir_bar_open(rig->dev, 0, (enum weir_bar_map)3, &bar), -EINVAL);
	assert_int_equal(weir_bar_open(rig->dev, 1, WEIR_BAR_AUTO, &bar), -ENOENT);
	assert_says("memory: it has no BAR 1");
	assert_int_equal(weir_bar_open(rig->dev, WEIR_REGION_ROM, WEIR_BAR_AUTO, &bar), -ENOENT);
	assert_int_equal(weir_bar_open(rig->dev, 0, WEIR_BAR_MAPPED, &bar), -ENOTSUP);
	assert_says("can't be mapped");
	assert_ptr_equal(bar, (void *)1);
	assert_int_equal(weir_bar_open(rig->dev, 2, WEIR_BAR_AUTO, &bar), 0);
	assert_true(bar->size == 16 && !bar->map);
	assert_int_equal(weir_bar_close(bar), 0);
}

static void accessors_have_their_width_and_order(void **state)
{
	struct rig *rig = *state;
	struct memory *m = &rig->memory;
	struct weir_bar *bar;

	assert_int_equal(weir_bar_open(rig->dev, 0, WEIR_BAR_AUTO, &bar), 0);
	assert_int_equal(weir_read8(bar, 3), 0x03);
	assert_int_equal(m->last_width, 1);
	assert_int_equal(weir_read16(bar, 4), 0x0504);
	assert_int_equal(m->last_width, 2);
	assert_int_equal(weir_read32(bar, 4), 0x07060504);
	assert_int_equal(m->last_width, 4);
	assert_true(weir_read64(bar, 8) == 0x0f0e0d0c0b0a0908);
	assert_int_equal(m->last_width, 8);
	assert_int_equal(weir_read16_be(bar, 4), 0x0405);
	assert_int_equal(weir_read32_be(bar, 4), 0x04050607);
	assert_true(weir_read64_be(bar, 8) == 0x08090a0b0c0d0e0f);
	assert_int_equal(m->reads, 7);

	weir_write8(bar, 0x20, 0xfe);
	weir_write16(bar, 0x22, 0x1122);
	weir_write32(bar, 0x24, 0x33445566);
	weir_write64(bar, 0x28, 0x8877665544332211);
	assert_memory_equal(m->bytes + 0x20, "\xfe\x21\x22\x11\x66\x55\x44\x33", 8);
	assert_memory_equal(m->bytes + 0x28, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	weir_write16_be(bar, 0x32, 0x1122);
	weir_write32_be(bar, 0x34, 0x33445566);
	weir_write64_be(bar, 0x38, 0x8877665544332211);
	assert_memory_equal(m->bytes + 0x32, "\x11\x22\x33\x44\x55\x66", 6);
	assert_memory_equal(m->bytes + 0x38, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	assert_int_equal(m->writes, 7);
	assert_int_equal(weir_bar_close(bar), 0);
}

static void assert_nothing_there(const struct weir_bar *bar, uint64_t offset, const char *part)
{
	assert_true(weir_read64(bar, offset) == UINT64_MAX);
	assert_says(part);
	weir_write64(bar, offset, 0);
	assert_says(part);
}

static void accesses_that_cant_be_made_read_all_ones(void **state)
{
	struct rig *rig = *state;
	struct weir_bar *bar;

	assert_int_equal(weir_bar_open(rig->dev, 0, WEIR_BAR_AUTO, &bar), 0);
	assert_nothing_there(bar, BAR_SIZE, "memory: BAR 0 has 0x100 bytes; 8 at 0x100");
	assert_nothing_there(bar, UINT64_MAX - 7, "aren't in it");
	for (uint64_t offset = 1; offset < 8; offset++)
		assert_nothing_there(bar, offset, "isn't a multiple of the register's 8 bytes");
	assert_int_equal(weir_read8(bar, BAR_SIZE), 0xff);
	assert_int_equal(weir_read16(bar, 1), 0xffff);
	assert_int_equal(weir_read32(bar, BAR_SIZE - 2), 0xffffffff);
	assert_int_equal(weir_read32_be(bar, BAR_SIZE), 0xffffffff);
	/* What calls the library by itself may ask for any width. */
	for (unsigned int width = 0; width < 20; width++) {
		if (width == 1 || width == 2 || width == 4 || width == 8)
			continue;
		assert_true(weir_bar_read_slow(bar, 0, width) == UINT64_MAX);
		assert_says("a register has 1, 2, 4 or 8 bytes");
		weir_bar_write_slow(bar, 0, width, 0);
	}
	assert_int_equal(rig->memory.reads + rig->memory.writes, 0);

	/* Memory space off: it doesn't answer. */
	assert_int_equal(weir_config_write16(rig->dev, 4, 0), 0);
	assert_nothing_there(bar, 0, "memory space is off");
	assert_int_equal(rig->memory.reads + rig->memory.writes, 0);
	assert_int_equal(weir_config_write16(rig->dev, 4, 2), 0);
	assert_int_equal(weir_read8(bar, 5), 5);
	assert_int_equal(weir_bar_close(bar), 0);
}

/* The mapped path of the accessors, over memory of the test's own. */
static void mapped_registers_are_reached_without_calls(void **state)
{
	struct rig *rig = *state;
	_Alignas(8) unsigned char map[16] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct weir_bar bar = { .map = map, .map_first = 8, .map_len = 16, .size = 32,
				.dev = rig->dev, .region = 0 };

	assert_int_equal(weir_read32(&bar, 8), 0x04030201);
	assert_int_equal(weir_read32_be(&bar, 8), 0x01020304);
	weir_write16(&bar, 22, 0x1122);
	assert_memory_equal(map + 14, "\x22\x11", 2);
	assert_int_equal(rig->memory.reads + rig->memory.writes, 0);
	/* Before it, behind it, across its ends: the device is asked. */
	assert_true(weir_read64(&bar, 0) == 0x0706050403020100);
	assert_int_equal(weir_read8(&bar, 24), 24);
	assert_int_equal(rig->memory.reads, 2);
	assert_true(weir_bar_reg(&bar, 20, 8) == NULL);
	assert_true(weir_bar_reg(&bar, 16, 8) == map + 8);
	assert_true(weir_bar_reg(&bar, UINT64_MAX, 1) == NULL);
	assert_true(weir_bar_reg(&bar, 9, 2) == NULL);
}

/* ---- interrupts ---- */

static void interrupt_kinds_are_as_described(void **state)
{
	static const unsigned int counts[WEIR_IRQS] = { 1, 4, 0, 0, 1 };
	struct rig *rig = *state;
	struct weir_irq_info info;

	for (int irq = 0; irq < WEIR_IRQS; irq++) {
		assert_int_equal(weir_irq_info(rig->dev, irq, &info), 0);
		assert_int_equal(info.count, counts[irq]);
		assert_int_equal(info.maskable, irq == WEIR_IRQ_INTX);
		assert_int_equal(info.automasked, irq == WEIR_IRQ_INTX);
	}
	assert_int_equal(weir_irq_info(rig->dev, WEIR_IRQS, &info), -EINVAL);
	assert_says("memory: 5 is no weir_irq");
	assert_int_equal(weir_irq_info(rig->dev, (enum weir_irq)-1, &info), -EINVAL);
}

static void assert_no_vector(struct weir_device *dev, enum weir_irq irq, unsigned int vector)
{
	assert_int_equal(weir_irq_fd(dev, irq, vector), -EINVAL);
	assert_int_equal(weir_irq_wait(dev, irq, vector, 0), -EINVAL);
	assert_int_equal(weir_irq_trigger(dev, irq, vector), -EINVAL);
}

static void vectors_are_counted(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 0), -EINVAL);
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 5), -EINVAL);
	assert_says("memory: 5 vectors of MSI, from vector 0 on: it has 1 to 4");
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, ~0u), -EINVAL);
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSIX, 1), -EINVAL);
	assert_says("it hasn't got MSI-X");
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQS, 1), -EINVAL);
	assert_int_equal(weir_irq_disable(rig->dev, WEIR_IRQS), -EINVAL);
	assert_int_equal(weir_irq_disable(rig->dev, WEIR_IRQ_MSI), 0);
	assert_no_vector(rig->dev, WEIR_IRQ_MSI, 0);
	assert_no_vector(rig->dev, WEIR_IRQS, 0);

	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 2), 0);
	assert_true(weir_irq_fd(rig->dev, WEIR_IRQ_MSI, 1) >= 0);
	assert_no_vector(rig->dev, WEIR_IRQ_MSI, 2);
	assert_no_vector(rig->dev, WEIR_IRQ_INTX, 0);
	assert_int_equal(weir_irq_disable(rig->dev, WEIR_IRQ_MSI), 0);
	assert_no_vector(rig->dev, WEIR_IRQ_MSI, 0);
}

static void one_kind_at_a_time(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 1), 0);
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 1), -EBUSY);
	assert_says("memory: MSI is enabled already");
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_INTX, 1), -EBUSY);
	assert_says("MSI is enabled: disable it first");
	assert_int_equal(weir_irq_disable(rig->dev, WEIR_IRQ_MSI), 0);
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_INTX, 1), 0);
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 1), -EBUSY);
	assert_says("INTx is enabled");
	/* Left enabled: closing disables it. */
}

static void waits_count_and_time_out(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_device_bus_master(rig->dev, true), 0);
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 4), 0);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_MSI, 3, 0), -ETIMEDOUT);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_MSI, 3, 20), -ETIMEDOUT);
	assert_says("memory: no interrupt by MSI, vector 3, within 20 ms");
	for (int i = 0; i < 3; i++)
		assert_int_equal(weir_irq_trigger(rig->dev, WEIR_IRQ_MSI, 3), 0);
	assert_int_equal(weir_model_msi(rig->model, 3), 0);
	assert_int_equal(weir_model_msi(rig->model, 1), 0);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_MSI, 3, -1), 4);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_MSI, 3, 0), -ETIMEDOUT);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_MSI, 1, 1000), 1);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_MSI, 0, 0), -ETIMEDOUT);
}

static void intx_is_masked_and_unmasked(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_irq_mask(rig->dev, WEIR_IRQ_MSI, 0), -ENOTSUP);
	assert_says("memory: MSI can't be masked");
	assert_int_equal(weir_irq_unmask(rig->dev, WEIR_IRQS, 0), -EINVAL);
	assert_int_equal(weir_irq_mask(rig->dev, WEIR_IRQ_INTX, 0), -EINVAL);
	assert_says("vector 0 of INTx isn't enabled");
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_INTX, 1), 0);
	assert_int_equal(weir_irq_mask(rig->dev, WEIR_IRQ_INTX, 1), -EINVAL);
	assert_int_equal(weir_irq_mask(rig->dev, WEIR_IRQ_INTX, 0), 0);
	assert_int_equal(weir_model_intx(rig->model, true), 0);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_INTX, 0, 0), -ETIMEDOUT);
	assert_int_equal(weir_irq_unmask(rig->dev, WEIR_IRQ_INTX, 0), 0);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_INTX, 0, 1000), 1);
	/* It masked itself when it fired; still asserted, it fires again at once. */
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_INTX, 0, 0), -ETIMEDOUT);
	assert_int_equal(weir_irq_unmask(rig->dev, WEIR_IRQ_INTX, 0), 0);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_INTX, 0, 1000), 1);
	assert_int_equal(weir_model_intx(rig->model, false), 0);
	assert_int_equal(weir_irq_unmask(rig->dev, WEIR_IRQ_INTX, 0), 0);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_INTX, 0, 0), -ETIMEDOUT);
}

struct waiter {
	struct rig *rig;
	atomic_int ended;
	int timeout_ms;
};

static void *wait_for_one(void *arg)
{
	struct waiter *w = arg;
	int ret = weir_irq_wait(w->rig->dev, WEIR_IRQ_MSI, 0, w->timeout_ms);

	atomic_fetch_add(&w->ended, 1);
	return (void *)(intptr_t)ret;
}

/* A waiter keeps its eventfd while the interrupt is disabled, and gets what comes afterwards. */
static void waiting_outlives_disabling(void **state)
{
	struct rig *rig = *state;
	struct waiter waiter = { .rig = rig, .timeout_ms = 10000 };
	pthread_t thread;
	void *ret;
	int fd;

	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 1), 0);
	fd = weir_irq_fd(rig->dev, WEIR_IRQ_MSI, 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &waiter), 0);
	usleep(20000);
	assert_int_equal(weir_irq_disable(rig->dev, WEIR_IRQ_MSI), 0);
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 2), 0);
	assert_int_equal(weir_irq_fd(rig->dev, WEIR_IRQ_MSI, 0), fd);
	assert_int_equal(weir_irq_trigger(rig->dev, WEIR_IRQ_MSI, 0), 0);
	pthread_join(thread, &ret);
	assert_int_equal((intptr_t)ret, 1);

	/* What came before it was disabled doesn't show when it is enabled again. */
	assert_int_equal(weir_irq_trigger(rig->dev, WEIR_IRQ_MSI, 1), 0);
	assert_int_equal(weir_irq_disable(rig->dev, WEIR_IRQ_MSI), 0);
	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 2), 0);
	assert_int_equal(weir_irq_wait(rig->dev, WEIR_IRQ_MSI, 1, 0), -ETIMEDOUT);
	assert_int_equal(weir_irq_disable(rig->dev, WEIR_IRQ_MSI), 0);
}

/* An interrupt ends one thread's wait; the others go on waiting. */
static void two_threads_wait_for_two_interrupts(void **state)
{
	static const int timeouts[] = { -1, 60000 };
	struct rig *rig = *state;

	assert_int_equal(weir_irq_enable(rig->dev, WEIR_IRQ_MSI, 1), 0);
	for (int i = 0; i < 50; i++) {
		struct waiter w = { .rig = rig, .timeout_ms = timeouts[i % 2] };
		pthread_t threads[2];
		void *first, *second;

		for (int t = 0; t < 2; t++)
			assert_int_equal(pthread_create(&threads[t], NULL, wait_for_one, &w), 0);
		assert_int_equal(weir_irq_trigger(rig->dev, WEIR_IRQ_MSI, 0), 0);
		while (!atomic_load(&w.ended))
			usleep(100);
		/* Time for the other one to give up, if it did. */
		usleep(3000);
		assert_int_equal(weir_irq_trigger(rig->dev, WEIR_IRQ_MSI, 0), 0);
		pthread_join(threads[0], &first);
		pthread_join(threads[1], &second);
		assert_int_equal((intptr_t)first, 1);
		assert_int_equal((intptr_t)second, 1);
	}
}

static void *fire(void *arg)
{
	struct waiter *w = arg;

	while (!atomic_load(&w->ended)) {
		(void)weir_model_msi(w->rig->model, 3);
		(void)weir_model_intx(w->rig->model, true);
	}
	return NULL;
}

static void interrupts_come_and_go_while_the_model_fires(void **state)
{
	struct rig *rig = *state;
	struct waiter w = { .rig = rig };
	pthread_t thread;

	assert_int_equal(weir_device_bus_master(rig->dev, true), 0);
	assert_int_equal(pthread_create(&thread, NULL, fire, &w), 0);
	for (int i = 0; i < 300; i++) {
		enum weir_irq irq = i % 2 ? WEIR_IRQ_MSI : WEIR_IRQ_INTX;
		unsigned int vectors = i % 2 ? 4 : 1;

		assert_int_equal(weir_irq_enable(rig->dev, irq, vectors), 0);
		assert_true(weir_irq_wait(rig->dev, irq, vectors - 1, -1) > 0);
		assert_int_equal(weir_irq_disable(rig->dev, irq), 0);
	}
	atomic_store(&w.ended, 1);
	pthread_join(thread, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_names_are_refused),
		cmocka_unit_test(bad_options_are_refused),
		TEST(model_is_opened_once),
		TEST(device_knows_itself),
		TEST(devices_in_one_address_space_have_their_own_ids),
		TEST(device_in_use_isnt_closed),
		TEST(device_isnt_closed_inside_a_bracket),
		TEST(reset_needs_a_reset),
		TEST(regions_are_as_described),
		TEST(accesses_are_checked),
		TEST(config_fields_are_aligned_and_inside),
		TEST(bus_mastering_is_a_bit),
		TEST(capabilities_are_listed),
		TEST(bars_are_opened_where_they_are),
		TEST(accessors_have_their_width_and_order),
		TEST(accesses_that_cant_be_made_read_all_ones),
		TEST(mapped_registers_are_reached_without_calls),
		TEST(interrupt_kinds_are_as_described),
		TEST(vectors_are_counted),
		TEST(one_kind_at_a_time),
		TEST(waits_count_and_time_out),
		TEST(waiting_outlives_disabling),
		TEST(intx_is_masked_and_unmasked),
		TEST(two_threads_wait_for_two_interrupts),
		TEST(interrupts_come_and_go_while_the_model_fires),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
