/* SPDX-License-Identifier: MIT */
/*
 * A bar as memory of other devices, over the fake kernel: who can map it, how, and who can't; and
 * that it stays open meanwhile.
 */
#include "device_rig.h"
#include "idle_model.h"

#include <fcntl.h>

#define PEER		"0000:02:00.0"
#define BOTH		(WR_VFIO_MAP_READ | WR_VFIO_MAP_WRITE)
#define BOTH_IOAS	(WR_IOMMU_MAP_READ | WR_IOMMU_MAP_WRITE)
#define DMA_BUFS	(1u << WEIR_FEATURE_DMA_BUF)

static size_t page;
static struct weir_bar *bar;		/* BAR 0 of dev */
static struct weir_iommu *iommu;	/* not that of dev */
static struct weir_ioas *as;		/* of iommu */
static struct weir_device *peer;	/* in as */
static weir_iova iova;

/* Both devices opened, by an interface of which @interface is the name. */
static void open_both(const char *interface)
{
	const struct weir_iommu_opts by = { .interface = interface };
	struct weir_device_opts opts = { 0 };

	assert_int_equal(weir_iommu_open(&by, &iommu), 0);
	assert_int_equal(weir_ioas_open(iommu, &as), 0);
	opts.ioas = as;
	assert_int_equal(weir_device_open(NULL, PEER, &opts, &peer), 0);
	open_device();
	assert_int_equal(weir_bar_open(dev, 0, WEIR_BAR_AUTO, &bar), 0);
}

static int start_closed(void **state)
{
	page = wr_page_size();
	start(state);
	bar = NULL;
	iommu = NULL;
	as = NULL;
	peer = NULL;
	iova = 0x5000;
	return 0;
}

static int setup_both(void **state)
{
	start_closed(state);
	open_both(NULL);
	return 0;
}

static int setup_iommufd(void **state)
{
	start_closed(state);
	fake.iommufd.exists = true;
	fake.device.features |= DMA_BUFS;
	open_both("iommufd");
	return 0;
}

static void close_both(void)
{
	assert_int_equal(weir_device_close(peer), 0);
	assert_int_equal(weir_ioas_close(as), 0);
	assert_int_equal(weir_iommu_close(iommu), 0);
	assert_int_equal(weir_bar_close(bar), 0);
	assert_int_equal(weir_device_close(dev), 0);
	dev = NULL;
}

static int teardown_both(void **state)
{
	close_both();
	return teardown(state);
}

static int map(uint64_t offset, size_t len)
{
	return weir_ioas_map_bar(as, bar, offset, len, NULL, &iova);
}

/* Refused so, with nothing left. */
static void refused(int ret, int err, const char *part)
{
	struct weir_seg seg;

	if (ret != err)
		fail_msg("returned %d, not %d: %s\n", ret, err, weir_errmsg());
	assert_says(NAME ": ");
	assert_says(part);
	assert_int_equal(iova, 0x5000);
	assert_int_equal(weir_ioas_unmap_all(as), 0);
	if (bar && bar->map)
		assert_int_equal(weir_ioas_segs(as, (void *)bar->map, 1, &seg, 1), -ENOENT);
	assert_int_equal(fake_mappings(1) + fake_ioas_mappings(1), 0);
}

/* ---- bad input ---- */

static void what_is_no_part_of_it_is_refused(void **state)
{
	const uint64_t top = UINT64_MAX & ~(page - 1);

	(void)state;
	refused(map(0, 0), -EINVAL, "BAR 0: a length of 0 bytes");
	refused(map(0, 1), -EINVAL, "a length of 1 bytes isn't a positive multiple");
	refused(map(0, page + 1), -EINVAL, "isn't a positive multiple of the page size");
	refused(map(1, page), -EINVAL, "offset 0x1 isn't a multiple of the page size");
	refused(map(BAR0_SIZE, page), -EINVAL, "BAR 0: it has 0x40000 bytes; 0x1000 at 0x40000");
	refused(map(BAR0_SIZE - page, 2 * page), -EINVAL, "aren't in it");
	refused(map(0, BAR0_SIZE + page), -EINVAL, "aren't in it");
	refused(map(top, page), -EINVAL, "aren't in it");
	refused(map(top, 2 * page), -EINVAL, "don't fit into 64 bits");
	refused(map(page, (size_t)top), -EINVAL, "");
	assert_int_equal(fake.device.exports, 0);
}

/* Those of I/O ports can't be mapped either: the kernel says so of the region. */
static void what_is_not_mapped_is_refused(void **state)
{
	struct weir_bar *calls, *ports, *small, *rom;

	(void)state;
	fake.device.regions[6].size = 0x10000;
	fake.device.regions[2].size = 0x2000;
	assert_int_equal(weir_bar_close(bar), 0);
	assert_int_equal(weir_device_close(dev), 0);
	open_device();
	assert_int_equal(weir_bar_open(dev, 0, WEIR_BAR_CALLS, &calls), 0);
	assert_int_equal(weir_bar_open(dev, 2, WEIR_BAR_AUTO, &ports), 0);
	assert_int_equal(weir_bar_open(dev, 4, WEIR_BAR_AUTO, &small), 0);
	assert_int_equal(weir_bar_open(dev, WEIR_REGION_ROM, WEIR_BAR_AUTO, &rom), 0);
	bar = calls;
	refused(map(0, page), -ENOTSUP, "BAR 0: 0x1000 bytes at 0x0 can't be mapped for devices");
	bar = ports;
	refused(map(0, page), -ENOTSUP, "BAR 2: 0x1000 bytes at 0x0 can't be mapped for devices");
	bar = small;
	refused(map(0, page), -EINVAL, "BAR 4: it has 0x10 bytes");
	bar = rom;
	refused(map(0, page), -EINVAL, "ROM: only a BAR can be mapped for devices");
	assert_int_equal(weir_bar_close(calls), 0);
	assert_int_equal(weir_bar_close(ports), 0);
	assert_int_equal(weir_bar_close(small), 0);
	bar = rom;
}

static void what_spans_a_hole_is_refused(void **state)
{
	static struct {
		struct wr_vfio_cap header;
		uint32_t nr_areas, reserved;
		struct wr_vfio_sparse_area areas[2];
	} chain = {
		.header = { .id = WR_VFIO_REGION_CAP_SPARSE_MMAP },
		.nr_areas = 2,
	};

	(void)state;
	chain.areas[0] = (struct wr_vfio_sparse_area){ 0, 2 * page };
	chain.areas[1] = (struct wr_vfio_sparse_area){ 3 * page, 8 * page };
	fake.device.chain = &chain;
	fake.device.chain_size = sizeof(chain);
	fake.device.chain_offset = sizeof(struct wr_vfio_region_info);
	open_both(NULL);
	refused(map(0, 3 * page), -ENOTSUP, "hasn't got them mapped in one piece");
	refused(map(2 * page, page), -ENOTSUP, "hasn't got them mapped in one piece");
	refused(map(0, BAR0_SIZE), -ENOTSUP, "hasn't got them mapped in one piece");
	assert_int_equal(map(3 * page, 8 * page), 0);
	assert_true(fake_has(1, iova, 8 * page, (void *)weir_bar_ptr(bar, 3 * page, 1), BOTH));
	assert_int_equal(weir_ioas_unmap(as, iova, 8 * page), 0);
}

static void bad_options_are_refused(void **state)
{
	struct weir_map_opts opts = { .dir = (enum weir_dma_dir)3 };

	(void)state;
	fake.device.features |= DMA_BUFS;
	refused(weir_ioas_map_bar(as, bar, 0, page, &opts, &iova), -EINVAL, "3 is no weir_dma_dir");
	opts = (struct weir_map_opts){ .reserved = { 1 } };
	refused(weir_ioas_map_bar(as, bar, 0, page, &opts, &iova), -EINVAL, "reserved");
	opts = (struct weir_map_opts){ .limit = page };
	refused(weir_ioas_map_bar(as, bar, 0, page, &opts, &iova), -ENOSPC, "no free IOVA");
	opts = (struct weir_map_opts){ .fixed = true };
	iova = 0x5001;
	assert_int_equal(weir_ioas_map_bar(as, bar, 0, page, &opts, &iova), -EINVAL);
	iova = 0xfee00000;
	assert_int_equal(weir_ioas_map_bar(as, bar, 0, page, &opts, &iova), -EINVAL);
	iova = 0x5000;
	assert_int_equal(weir_ioas_map_bar(as, bar, 0, page, &opts, &iova), 0);
	assert_int_equal(weir_ioas_map_bar(as, bar, page, page, &opts, &iova), -EEXIST);
	assert_says(NAME ": BAR 0: IOVA 0x5000 to 0x5fff overlaps the mapping at 0x5000");
	assert_int_equal(weir_ioas_unmap(as, iova, page), 0);
}

/* Of the kernel's own refusals each has its cause named, and the dma-buf doesn't stay. */
static void kernels_refusal_is_explained(void **state)
{
	(void)state;
	fake.device.features |= DMA_BUFS;
	fake.bad_memory = (const void *)bar->map;
	refused(map(0, page), -EFAULT, "its memory space is off, or it is in a low-power state");
	fake.bad_memory = NULL;
	fake.map_error = -EBUSY;
	refused(map(0, page), -EBUSY, "Device or resource busy");
	fake.map_error = 0;
	assert_int_equal(fake.device.exports, 2);
}

static void without_fds_it_is_refused(void **state)
{
	(void)state;
	fake.device.features |= DMA_BUFS;
	fake.fail_with = -EMFILE;
	fake.fail_at = fake.calls + 1;
	refused(map(0, page), -EMFILE, "making a dma-buf of it: Too many open files");
}

/* ---- by a container ---- */

static void container_has_it_by_its_address(void **state)
{
	struct weir_map_opts opts = { .dir = WEIR_DMA_FROM_DEVICE };
	void *at = (void *)weir_bar_ptr(bar, 2 * page, 1), *back;
	weir_iova second = 0, found;
	struct weir_seg seg;

	(void)state;
	assert_int_equal(map(2 * page, 3 * page), 0);
	assert_true(fake_has(1, iova, 3 * page, at, BOTH));
	assert_int_equal(weir_ioas_map_bar(as, bar, 0, page, &opts, &second), 0);
	assert_true(fake_has(1, second, page, (void *)bar->map, WR_VFIO_MAP_WRITE));
	/* It is found as memory is. */
	assert_int_equal(weir_ioas_to_iova(as, (char *)at + 5, &found, NULL), 0);
	assert_int_equal(found, iova + 5);
	assert_int_equal(weir_ioas_segs(as, (char *)at + 8, 2 * page, &seg, 1), 1);
	assert_true(seg.iova == iova + 8 && seg.len == 2 * page);
	assert_int_equal(weir_ioas_to_vaddr(as, second, &back, NULL), 0);
	assert_ptr_equal(back, (void *)bar->map);
	/* It is a unit, and has no other address. */
	assert_int_equal(weir_ioas_unmap(as, iova, page), -EINVAL);
	assert_int_equal(weir_ioas_update_vaddr(as, iova, 3 * page, at), -EINVAL);
	assert_says("nor a bar");
	assert_int_equal(weir_ioas_unmap(as, iova, 3 * page), 0);
	assert_int_equal(weir_ioas_unmap(as, second, page), 0);
	assert_int_equal(fake_mappings(1), 0);
}

/* Where the kernel makes dma-bufs, but the container has no use for one. */
static void container_needs_no_dma_buf(void **state)
{
	(void)state;
	fake.device.features |= DMA_BUFS;
	assert_int_equal(map(0, page), 0);
	assert_true(fake_has(1, iova, page, (void *)bar->map, BOTH));
	assert_int_equal(weir_ioas_unmap(as, iova, page), 0);
}

static void bar_stays_open_meanwhile(void **state)
{
	struct weir_bar *twin;
	weir_iova second = 0;

	(void)state;
	fake.device.features |= DMA_BUFS;
	assert_int_equal(weir_bar_open(dev, 0, WEIR_BAR_AUTO, &twin), 0);
	assert_int_equal(map(0, page), 0);
	assert_int_equal(weir_ioas_map_bar(as, bar, 0, 2 * page, NULL, &second), 0);
	assert_int_equal(weir_bar_close(bar), -EBUSY);
	assert_says(NAME ": BAR 0: its registers are mapped at IOVA 0x1000 (4096 bytes)");
	assert_int_equal(weir_device_close(dev), -EBUSY);
	assert_says("2 of its bars are open");
	/* The other one isn't concerned. */
	assert_int_equal(weir_bar_close(twin), 0);
	assert_int_equal(weir_ioas_unmap(as, iova, page), 0);
	assert_int_equal(weir_bar_close(bar), -EBUSY);
	assert_says("at IOVA 0x2000 (8192 bytes)");
	assert_true(fake_has(1, second, 2 * page, (void *)bar->map, BOTH));
	/* A refusal of the kernel's keeps it, as it keeps the mapping. */
	fake.unmap_error = -EBUSY;
	assert_int_equal(weir_ioas_unmap(as, second, 2 * page), -EBUSY);
	fake.unmap_error = 0;
	assert_int_equal(weir_bar_close(bar), -EBUSY);
	assert_int_equal(weir_ioas_unmap_all(as), 0);
	assert_int_equal(weir_bar_close(bar), 0);
	bar = NULL;
}

/* An address space gives back what it has when it is closed. */
static void closing_the_space_gives_it_back(void **state)
{
	struct weir_ioas *own = weir_device_ioas(dev), *empty;

	(void)state;
	fake.device.features |= DMA_BUFS;
	assert_int_equal(map(0, page), 0);
	assert_int_equal(weir_ioas_open(NULL, &empty), 0);
	iova = 0x5000;
	assert_int_equal(weir_ioas_map_bar(empty, bar, 0, page, NULL, &iova), 0);
	/* Its own device's space, too. */
	assert_int_equal(weir_ioas_map_bar(own, bar, 0, page, NULL, &iova), 0);
	assert_true(fake_has(0, iova, page, (void *)bar->map, BOTH));
	assert_int_equal(weir_ioas_close(empty), 0);
	assert_int_equal(weir_device_close(peer), 0);
	assert_int_equal(weir_ioas_close(as), 0);
	peer = NULL;
	as = NULL;
	assert_int_equal(weir_bar_close(bar), -EBUSY);
	assert_int_equal(weir_ioas_unmap(own, iova, page), 0);
	assert_int_equal(weir_bar_close(bar), 0);
	bar = NULL;
}

/* ---- by IOMMUFD ---- */

static void iommufd_has_it_by_a_dma_buf(void **state)
{
	const struct weir_map_opts opts = { .dir = WEIR_DMA_TO_DEVICE };
	const struct fake_device *d = &fake.device;
	int fds = count_fds();

	(void)state;
	assert_int_equal(map(2 * page, 3 * page), 0);
	assert_true(d->exported.region_index == 0 && d->exported_range.offset == 2 * page &&
		    d->exported_range.length == 3 * page && d->exported.open_flags & O_CLOEXEC);
	assert_true(fake_ioas_has(1, iova, 3 * page, 0, BOTH_IOAS, d->exported_file));
	/* It is kept for devices that come later. */
	assert_int_equal(count_fds(), fds + 1);
	assert_int_equal(weir_bar_close(bar), -EBUSY);
	assert_int_equal(weir_ioas_unmap(as, iova, 3 * page), 0);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(weir_ioas_map_bar(as, bar, 0, page, &opts, &iova), 0);
	assert_true(fake_ioas_has(1, iova, page, 0, WR_IOMMU_MAP_READ, d->exported_file));
	assert_int_equal(weir_ioas_unmap_all(as), 0);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(fake_ioas_mappings(1), 0);
}

static void iommufd_says_what_it_takes(void **state)
{
	const char *what = "that takes Linux 6.19 with CONFIG_PCI_P2PDMA, or VFIO's own container";

	(void)state;
	fake.iommufd.no_dma_bufs = true;
	refused(map(0, page), -ENOTSUP, what);
	fake.iommufd.no_map_file = true;
	refused(map(0, page), -ENOTSUP, what);
	fake.device.features = 0;
	refused(map(0, page), -ENOTSUP, what);
	fake.iommufd.no_map_file = fake.iommufd.no_dma_bufs = false;
	refused(map(0, page), -ENOTSUP, what);
	fake.device.features = DMA_BUFS;
	fake.device.not_decoding = true;
	refused(map(0, page), -ENODEV, "its memory space is off, or it is in a low-power state");
}

/* One that is recorded goes along with each device that comes. */
static void later_device_has_it_too(void **state)
{
	const struct weir_device_opts opts = { .ioas = as };
	ino_t file;

	(void)state;
	assert_int_equal(weir_device_close(peer), 0);
	peer = NULL;
	assert_int_equal(map(0, page), 0);
	file = fake.device.exported_file;
	assert_int_equal(weir_device_open(NULL, PEER, &opts, &peer), 0);
	assert_true(fake_ioas_has(1, iova, page, 0, BOTH_IOAS, file));
	assert_int_equal(weir_ioas_unmap(as, iova, page), 0);
	assert_int_equal(fake_ioas_mappings(1), 0);
}

/* ---- who can't have it ---- */

/* What can't map it is passed over; what is left can. */
static void recorded_one_decides_the_interface(void **state)
{
	struct weir_device_opts opts = { 0 };
	struct weir_device_info info;

	(void)state;
	open_both(NULL);
	assert_int_equal(weir_device_close(peer), 0);
	peer = NULL;
	fake.iommufd.exists = true;
	opts.ioas = as;
	assert_int_equal(map(0, page), 0);
	assert_int_equal(weir_device_open(NULL, PEER, &opts, &peer), 0);
	assert_int_equal(weir_device_info(peer, &info), 0);
	assert_string_equal(info.backend, "type1v2");
	assert_true(fake_has(1, iova, page, (void *)bar->map, BOTH));
	assert_int_equal(weir_ioas_unmap(as, iova, page), 0);
}

/* In a container's place it takes a dma-buf as well, by a call of its own. */
static void iommufd_as_container_takes_a_dma_buf(void **state)
{
	(void)state;
	fake.device.features |= DMA_BUFS;
	fake.iommufd.exists = true;
	for (int i = 0; i < 2; i++) {
		fake.iommufd.is_container = i;
		open_both(i ? "type1v2" : "compat");
		fake.iommufd.no_dma_bufs = true;
		refused(map(0, page), -ENOTSUP, "takes Linux 6.19");
		fake.iommufd.no_dma_bufs = false;
		assert_int_equal(map(page, page), 0);
		assert_true(fake_ioas_has(1, iova, page, 0, BOTH_IOAS, fake.device.exported_file));
		assert_int_equal(weir_ioas_unmap(as, iova, page), 0);
		assert_int_equal(fake_ioas_mappings(1), 0);
		iova = 0x5000;
		if (!i)
			close_both();
	}
}

static struct weir_model *new_model(void)
{
	const struct weir_model_desc desc = {
		.name = "tiny", .vendor = 1, .bars = { { .size = 4 * page } },
	};
	struct weir_model *model;

	assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &model), 0);
	return model;
}

/* Neither comes to a space that has one, nor is one mapped in a space that has a model. */
static void model_cant_reach_it(void **state)
{
	const struct weir_device_opts opts = { .ioas = as };
	struct weir_model *model = new_model();
	struct weir_device *soft;

	(void)state;
	assert_int_equal(map(0, page), 0);
	assert_int_equal(weir_device_open_model(NULL, model, &opts, &soft), -ENOTSUP);
	assert_says("tiny: the software IOMMU can't map a device's registers");
	assert_true(fake_has(1, iova, page, (void *)bar->map, BOTH));
	assert_int_equal(weir_ioas_unmap_all(as), 0);
	assert_int_equal(weir_device_open_model(NULL, model, &opts, &soft), 0);
	iova = 0x5000;
	refused(map(0, page), -ENOTSUP, "the software IOMMU can't map a device's registers");
	assert_int_equal(weir_device_close(soft), 0);
	assert_int_equal(weir_model_destroy(model), 0);
}

static void models_own_is_no_memory(void **state)
{
	struct weir_model *model = new_model();
	struct weir_device *soft;
	struct weir_bar *own;

	(void)state;
	assert_int_equal(weir_device_open_model(NULL, model, NULL, &soft), 0);
	assert_int_equal(weir_bar_open(soft, 0, WEIR_BAR_AUTO, &own), 0);
	assert_int_equal(weir_ioas_map_bar(as, own, 0, page, NULL, &iova), -ENOTSUP);
	assert_says("tiny: BAR 0: 0x1000 bytes at 0x0 can't be mapped for devices");
	assert_int_equal(weir_bar_close(own), 0);
	assert_int_equal(weir_device_close(soft), 0);
	assert_int_equal(weir_model_destroy(model), 0);
}

#define PEERS(f) cmocka_unit_test_setup_teardown(f, setup_both, teardown_both)
#define PEERS_IOMMUFD(f) cmocka_unit_test_setup_teardown(f, setup_iommufd, teardown_both)
#define PEERS_CLOSED(f) cmocka_unit_test_setup_teardown(f, start_closed, teardown_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEERS(what_is_no_part_of_it_is_refused),
		PEERS(what_is_not_mapped_is_refused),
		PEERS_CLOSED(what_spans_a_hole_is_refused),
		PEERS(bad_options_are_refused),
		PEERS(kernels_refusal_is_explained),
		PEERS(without_fds_it_is_refused),
		PEERS(container_has_it_by_its_address),
		PEERS(container_needs_no_dma_buf),
		PEERS(bar_stays_open_meanwhile),
		PEERS(closing_the_space_gives_it_back),
		PEERS_IOMMUFD(iommufd_has_it_by_a_dma_buf),
		PEERS_IOMMUFD(iommufd_says_what_it_takes),
		PEERS_IOMMUFD(later_device_has_it_too),
		PEERS_CLOSED(recorded_one_decides_the_interface),
		PEERS_CLOSED(iommufd_as_container_takes_a_dma_buf),
		PEERS(model_cant_reach_it),
		PEERS(models_own_is_no_memory),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
