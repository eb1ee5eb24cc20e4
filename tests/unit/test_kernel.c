/* SPDX-License-Identifier: MIT */
/*
 * VFIO's nodes one by one, over a kernel that is made up (fake_vfio.c): what a container tells of
 * itself, device fds and what they answer. Chains and counts that no kernel makes must do no harm.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/sys.h"
#include "fake_vfio.h"
#include "ioas/iommu.h"
#include "kernel/container.h"
#include "kernel/group.h"
#include "kernel/vdev.h"
#include "says.h"

#define ADDR "0000:01:00.0"
#define TOKEN "00112233-4455-6677-8899-aabbccddeeff"

struct rig {
	struct weir_iommu *iommu;
	struct wr_group *group;
	int container;
};

static int setup(void **state)
{
	static struct rig rig;

	fake_start();
	assert_int_equal(weir_iommu_open(NULL, &rig.iommu), 0);
	assert_int_equal(wr_iommu_group_get(rig.iommu, FAKE_GROUP(0), &rig.group), 0);
	rig.container = wr_container_open(WR_VFIO_TYPE1v2);
	assert_true(rig.container >= 0);
	assert_int_equal(wr_container_add(rig.container, rig.group, WR_VFIO_TYPE1v2), 0);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	wr_container_remove(rig->group);
	wr_close(rig->container);
	wr_iommu_group_put(rig->iommu, rig->group);
	assert_int_equal(weir_iommu_close(rig->iommu), 0);
	assert_int_equal(fake.open_fds, 0);
	fake_stop();
	return 0;
}

/* ---- groups ---- */

static void assert_wont_open(int err, const char *part)
{
	struct wr_group group = { .number = FAKE_GROUP(1), .node = "/dev/vfio/11", .fd = -1 };

	assert_int_equal(wr_group_open(&group), err);
	assert_int_equal(group.fd, -1);
	assert_says(part);
	/* The fixture's two. */
	assert_int_equal(fake.open_fds, 2);
}

static void group_that_cant_be_opened_is_explained(void **state)
{
	static const struct {
		int says, err;
		const char *part;
	} cases[] = {
		{ -EACCES, -EACCES, "/dev/vfio/11 may not be opened by this user" },
		{ -EBUSY, -EBUSY, "/dev/vfio/11 is open elsewhere" },
		{ -ENOENT, -ENODEV, "/dev/vfio/11 doesn't exist" },
		{ -ENXIO, -ENODEV, "/dev/vfio/11 doesn't exist" },
		{ -EPERM, -EPERM, "opening /dev/vfio/11" },
		{ -EINTR, -EINTR, "opening /dev/vfio/11" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.groups[1].open_error = cases[i].says;
		assert_wont_open(cases[i].err, cases[i].part);
	}
	fake.groups[1].open_error = 0;
	fake.groups[1].exists = false;
	assert_wont_open(-ENODEV, "doesn't exist");
}

static void group_that_isnt_viable_is_explained(void **state)
{
	(void)state;
	fake.groups[1].viable = false;
	assert_wont_open(-EPERM, "group 11 is not viable");
	fake.groups[1].viable = true;
	fake.groups[1].status_error = -ENODEV;
	assert_wont_open(-ENODEV, "status of /dev/vfio/11");
}

static void group_is_kept_once_and_counted(void **state)
{
	struct rig *rig = *state;
	struct wr_group *a, *b, *other;

	assert_int_equal(wr_iommu_group_get(rig->iommu, FAKE_GROUP(1), &a), 0);
	assert_int_equal(wr_iommu_group_get(rig->iommu, FAKE_GROUP(1), &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(wr_iommu_group_get(rig->iommu, FAKE_GROUP(2), &other), 0);
	assert_ptr_not_equal(a, other);
	/* Nothing needs its node yet. */
	assert_int_equal(fake.open_fds, 2);

	/* The kernel lets another context not have it. */
	assert_int_equal(wr_group_open(a), 0);
	other->number = a->number;
	strcpy(other->node, a->node);
	assert_int_equal(wr_group_open(other), -EBUSY);
	assert_says("/dev/vfio/11");
	wr_group_close(a);
	wr_iommu_group_put(rig->iommu, a);
	wr_iommu_group_put(rig->iommu, other);
	assert_int_equal(wr_iommu_group_get(rig->iommu, FAKE_GROUP(1), &b), 0);
	assert_ptr_equal(a, b);
	wr_iommu_group_put(rig->iommu, a);
	wr_iommu_group_put(rig->iommu, a);
}

/* ---- what the container tells ---- */

struct chain {
	struct wr_vfio_iommu_info info;
	_Alignas(8) unsigned char caps[64];
};

static void information_may_grow(void **state)
{
	struct rig *rig = *state;
	struct wr_container_info info = { 0 };

	fake.growth = 5;
	assert_int_equal(wr_container_info(rig->container, &info), 0);
	assert_int_equal(fake.growth, 0);
	assert_int_equal(info.ranges.n, 2);
	assert_true(info.ranges.r[0].first == 0 && info.ranges.r[0].last == 0xfedfffff);
	assert_true(info.ranges.r[1].first == 0xfef00000 &&
		    info.ranges.r[1].last == (1ull << 48) - 1);
	assert_true(info.page_sizes == fake.page_sizes);
	assert_true(info.room == fake.entry_limit);
}

static void failed_information_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct wr_container_info info = { 7, { 1, { { 5, 6 } } }, 8, true };

	/* At once, and when it has grown. */
	for (unsigned int n = 1; n <= 3; n++) {
		fake.growth = n - 1;
		fake.fail_at = fake.calls + n;
		assert_int_equal(wr_container_info(rig->container, &info), -EIO);
		assert_true(info.ranges.n == 1 && info.ranges.r[0].first == 5 &&
			    info.page_sizes == 7 && info.room == 8);
	}
}

static void old_kernels_tell_no_ranges(void **state)
{
	struct rig *rig = *state;
	struct wr_container_info info = { 0 };

	fake.no_ranges = true;
	assert_int_equal(wr_container_info(rig->container, &info), 0);
	assert_memory_equal(&info.ranges, &wr_ranges_default,
			    offsetof(struct wr_ranges, r) + 3 * sizeof(info.ranges.r[0]));
	assert_true(info.room == UINT64_MAX);
}

static void assert_default_ranges(struct rig *rig, const struct chain *chain)
{
	struct wr_container_info info = { 0 };

	fake.info = chain;
	fake.info_size = sizeof(*chain);
	assert_int_equal(wr_container_info(rig->container, &info), 0);
	assert_true(info.page_sizes == wr_page_size());
	assert_int_equal(info.ranges.n, 3);
	assert_true(info.ranges.r[2].last == UINT64_MAX);
}

/* Each chain ends where it makes no sense, and then nothing is known of ranges. */
static void hostile_chains_end(void **state)
{
	struct rig *rig = *state;
	struct chain chain = { .info = {
		.argsz = sizeof(chain),
		.flags = WR_VFIO_IOMMU_PGSIZES | WR_VFIO_IOMMU_CAPS,
		.iova_pgsizes = wr_page_size(),
	} };
	struct wr_vfio_cap *cap = (void *)chain.caps;
	struct wr_vfio_cap_iova_range *ranges = (void *)chain.caps;
	const uint32_t at = offsetof(struct chain, caps);
	static const uint32_t elsewhere[] = {
		0, 1, 4, 7, offsetof(struct chain, caps) + 4, sizeof(struct chain) - 4,
		sizeof(struct chain), sizeof(struct chain) + 8, UINT32_MAX - 7, UINT32_MAX,
	};

	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		chain.info.cap_offset = elsewhere[i];
		assert_default_ranges(rig, &chain);
		/* The same behind a capability that is all right. */
		chain.info.cap_offset = at;
		*cap = (struct wr_vfio_cap){ .id = 2, .next = elsewhere[i] };
		assert_default_ranges(rig, &chain);
	}
	/* Round and round. */
	cap[0] = (struct wr_vfio_cap){ .id = 2, .next = at + 8 };
	cap[1] = (struct wr_vfio_cap){ .id = 2, .next = at };
	assert_default_ranges(rig, &chain);
	/* More ranges than there is room for. */
	for (uint32_t nr = 4; nr; nr = nr < 8 ? nr + 1 : nr << 2) {
		*ranges = (struct wr_vfio_cap_iova_range){ .header.id = 1, .nr_iovas = nr };
		assert_default_ranges(rig, &chain);
	}
	/* All there, but where no capability can start. */
	*ranges = (struct wr_vfio_cap_iova_range){ .header.id = 1, .nr_iovas = 1 };
	for (uint32_t off = 1; off < 8; off++) {
		memmove(chain.caps + off, chain.caps + off - 1, sizeof(chain.caps) - off);
		chain.info.cap_offset = at + off;
		assert_default_ranges(rig, &chain);
	}
	memset(chain.caps, 0, sizeof(chain.caps));
	*ranges = (struct wr_vfio_cap_iova_range){ .header.id = 1, .nr_iovas = 8 };
	/* Its header is the last of the structure. */
	chain.info.cap_offset = sizeof(chain) - 8;
	memcpy(chain.caps + sizeof(chain.caps) - 8, &ranges->header, 8);
	assert_default_ranges(rig, &chain);
	/* The flags are what counts. */
	chain.info.flags = 0;
	chain.info.cap_offset = at;
	*ranges = (struct wr_vfio_cap_iova_range){ .header.id = 1, .nr_iovas = 0 };
	assert_default_ranges(rig, &chain);
}

static void ranges_that_fill_the_structure_are_read(void **state)
{
	struct rig *rig = *state;
	struct chain chain = { .info = {
		.argsz = sizeof(chain),
		.flags = WR_VFIO_IOMMU_CAPS,
		.cap_offset = offsetof(struct chain, caps),
	} };
	struct wr_vfio_cap_iova_range *cap = (void *)chain.caps;
	struct wr_container_info info = { 0 };

	cap->header.id = 1;
	cap->nr_iovas = 3;
	for (uint64_t i = 0; i < 3; i++)
		cap->ranges[i] = (struct wr_vfio_iova_range){ i << 20, (i << 20) + 0xfff };
	fake.info = &chain;
	fake.info_size = sizeof(chain);
	assert_int_equal(wr_container_info(rig->container, &info), 0);
	assert_int_equal(info.ranges.n, 3);
	assert_true(info.ranges.r[2].first == 2 << 20 &&
		    info.ranges.r[2].last == (2 << 20) + 0xfff);
	/* It doesn't say: the system's, and any number. */
	assert_true(info.page_sizes == wr_page_size());
	assert_true(info.room == UINT64_MAX);
}

static void unmap_tells_what_wasnt_mapped(void **state)
{
	struct rig *rig = *state;

	/* For the kernel that's a success of 0 bytes. */
	assert_int_equal(wr_container_unmap(rig->container, wr_page_size(), wr_page_size()), -EIO);
	assert_says("the kernel unmapped 0");
}

/* ---- device fds ---- */

static void device_fd_or_why_not(void **state)
{
	static const struct {
		int says, err;
		const char *part;
	} cases[] = {
		{ -ENODEV, -ENODEV, "no longer a VFIO device of group 10" },
		{ -EAGAIN, -EAGAIN, "busy resetting" },
		{ -EBUSY, -EBUSY, "opening the device in /dev/vfio/10" },
		{ -EINVAL, -EINVAL, "opening the device in /dev/vfio/10" },
	};
	struct rig *rig = *state;
	int fd;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.groups[0].device_error = cases[i].says;
		assert_int_equal(wr_group_device_fd(rig->group, ADDR, NULL), cases[i].err);
		assert_says(cases[i].part);
	}
	fake.groups[0].device_error = 0;
	assert_int_equal(wr_group_device_fd(rig->group, "0000:09:00.0", NULL), -ENODEV);
	fd = wr_group_device_fd(rig->group, ADDR, NULL);
	assert_true(fd >= 0);
	wr_close(fd);
}

static void token_is_given_or_asked_for(void **state)
{
	struct rig *rig = *state;
	int fd;

	assert_int_equal(wr_group_device_fd(rig->group, ADDR, TOKEN), -EINVAL);
	assert_says("the kernel refuses the VF token");
	fake.groups[0].token = TOKEN;
	assert_int_equal(wr_group_device_fd(rig->group, ADDR, NULL), -EACCES);
	assert_says("a VF token is needed, and none was given");
	assert_int_equal(wr_group_device_fd(rig->group, ADDR, "short"), -EINVAL);
	assert_says("a UUID of 36 characters, this one has 5");
	assert_int_equal(wr_group_device_fd(rig->group, ADDR,
					    "00000000-0000-0000-0000-000000000000"), -EACCES);
	assert_says("a VF token is needed, and the one given is wrong");
	fd = wr_group_device_fd(rig->group, ADDR, TOKEN);
	assert_true(fd >= 0);
	wr_close(fd);
}

static int device_of(struct rig *rig)
{
	int fd = wr_group_device_fd(rig->group, ADDR, NULL);

	assert_true(fd >= 0);
	return fd;
}

/* What region 0 looks like with this chain; the areas are the caller's. */
static struct wr_vdev_region region_with(int fd, const void *chain, uint32_t size, uint32_t offset)
{
	struct wr_vdev_region region;

	fake.device.regions[0] = (struct wr_vfio_region_info){ .flags = 7, .size = 0x40000 };
	fake.device.chain = chain;
	fake.device.chain_size = size;
	fake.device.chain_offset = offset;
	assert_int_equal(wr_vdev_region(fd, 0, &region), 0);
	assert_true(region.size == 0x40000);
	return region;
}

/* The whole of it is one area; or nothing is. */
static bool is_whole(int fd, const void *chain, uint32_t size, uint32_t offset)
{
	struct wr_vdev_region region = region_with(fd, chain, size, offset);
	bool whole = region.n_areas == 1 && region.areas[0].offset == 0 &&
		     region.areas[0].len == 0x40000;

	assert_true(whole || (!region.n_areas && !region.areas));
	free(region.areas);
	return whole;
}

static void regions_tell_of_sparse_mapping(void **state)
{
	const uint32_t at = sizeof(struct wr_vfio_region_info);
	struct wr_vfio_cap caps[4] = { { .id = 3, .next = at + 16 }, { 0 }, { .id = 1 } };
	struct wr_vdev_region region;
	int fd = device_of(*state);

	assert_true(is_whole(fd, NULL, 0, 0));
	/* An empty list: nothing can be mapped. */
	assert_false(is_whole(fd, caps, sizeof(caps), at));
	assert_false(is_whole(fd, caps, sizeof(caps), at + 16));
	caps[0].next = 0;
	assert_true(is_whole(fd, caps, sizeof(caps), at));
	/* Where no capability can start, outside, cut off by the end, round and round. */
	for (uint32_t offset = 1; offset < 8; offset++) {
		unsigned char moved[32] = { 0 };

		memcpy(moved + offset, &caps[2], sizeof(caps[2]));
		assert_true(is_whole(fd, moved, sizeof(moved), at + offset));
	}
	assert_true(is_whole(fd, caps, sizeof(caps), at + sizeof(caps)));
	assert_true(is_whole(fd, caps, sizeof(caps), UINT32_MAX - 7));
	assert_true(is_whole(fd, caps, 20, at + 16));
	caps[0].next = at + 8;
	caps[1] = (struct wr_vfio_cap){ .id = 3, .next = at };
	assert_true(is_whole(fd, caps, sizeof(caps), at));

	/* A region that isn't there; VGA, of which the kernel says so by an error. */
	assert_int_equal(wr_vdev_region(fd, 5, &region), 0);
	assert_true(!region.size && !region.n_areas && !region.msix_mappable);
	assert_int_equal(wr_vdev_region(fd, 8, &region), -EINVAL);
	/* One that can't be mapped at all, whatever its capabilities say. */
	fake.device.chain_size = 0;
	fake.device.regions[0].flags = 3;
	assert_int_equal(wr_vdev_region(fd, 0, &region), 0);
	assert_int_equal(region.n_areas, 0);
	/* One that no offset can reach. */
	fake.device.regions[0].offset = INT64_MAX - 0xffff;
	assert_int_equal(wr_vdev_region(fd, 0, &region), -EOVERFLOW);
	wr_close(fd);
}

struct sparse {
	struct wr_vfio_cap msix, pad;
	struct wr_vfio_cap header;
	uint32_t nr_areas, reserved;
	struct wr_vfio_sparse_area areas[3];
};

static void areas_are_sorted(void **state)
{
	const uint32_t at = sizeof(struct wr_vfio_region_info);
	const uint64_t page = wr_page_size();
	struct sparse chain = {
		.msix = { .id = 3, .next = at + 16 }, .header = { .id = 1 }, .nr_areas = 3,
		.areas = { { 8 * page, page }, { 0, 2 * page }, { 2 * page, page } },
	};
	struct wr_vdev_region region;
	int fd = device_of(*state);

	region = region_with(fd, &chain, sizeof(chain), at);
	assert_true(region.msix_mappable);
	assert_int_equal(region.n_areas, 3);
	assert_true(region.areas[0].offset == 0 && region.areas[0].len == 2 * page);
	assert_true(region.areas[1].offset == 2 * page && region.areas[1].len == page);
	assert_true(region.areas[2].offset == 8 * page && region.areas[2].len == page);
	free(region.areas);
	/* As many as there are said to be, not as there is room for. */
	chain.nr_areas = 1;
	region = region_with(fd, &chain, sizeof(chain), at + 16);
	assert_false(region.msix_mappable);
	assert_true(region.n_areas == 1 && region.areas[0].offset == 8 * page);
	free(region.areas);
	wr_close(fd);
}

static void hostile_areas_are_no_areas(void **state)
{
	const uint64_t page = wr_page_size(), size = 0x40000;
	const struct wr_vfio_sparse_area bad[] = {
		{ 0, 0 }, { 1, page }, { 0, page + 1 }, { 0, 1 }, { page / 2, page },
		{ 0, size + page }, { size, page }, { size - page, 2 * page },
		{ 0, UINT64_MAX }, { UINT64_MAX, 1 }, { UINT64_MAX - (page - 1), page },
		{ UINT64_MAX - (page - 1), 2 * page }, { page, UINT64_MAX - (page - 1) },
		/* Over the good one, from before, from behind, inside, around. */
		{ 4 * page, 4 * page }, { 3 * page, 2 * page }, { 7 * page, 2 * page },
		{ 5 * page, page }, { 3 * page, 6 * page },
	};
	struct sparse chain = { .header = { .id = 1 }, .nr_areas = 2 };
	const uint32_t at = sizeof(struct wr_vfio_region_info) + 16;
	int fd = device_of(*state);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned int place = 0; place < 2; place++) {
			chain.areas[place] = bad[i];
			chain.areas[!place] = (struct wr_vfio_sparse_area){ 4 * page, 4 * page };
			assert_false(is_whole(fd, &chain, sizeof(chain), at));
		}
	}
	/* More areas than there is room for. */
	for (uint32_t nr = 4; nr; nr = nr < 8 ? nr + 1 : nr << 2) {
		chain.nr_areas = nr;
		assert_false(is_whole(fd, &chain, sizeof(chain), at));
	}
	chain.nr_areas = UINT32_MAX;
	assert_false(is_whole(fd, &chain, sizeof(chain), at));
	/* Its header is the last of the structure. */
	chain.areas[2].size = 0;
	memcpy(&chain.areas[2].size, &chain.header, sizeof(chain.header));
	assert_false(is_whole(fd, &chain, sizeof(chain),
			      sizeof(struct wr_vfio_region_info) + sizeof(chain) - 8));
	wr_close(fd);
}

static void every_call_for_regions_may_fail(void **state)
{
	static const struct wr_vfio_cap cap = { .id = 1 };
	struct wr_vdev_region region;
	int fd = device_of(*state);

	fake.device.chain = &cap;
	fake.device.chain_size = sizeof(cap);
	fake.device.chain_offset = sizeof(struct wr_vfio_region_info);
	for (unsigned int n = 1; n <= 2; n++) {
		fake.fail_at = fake.calls + n;
		assert_int_equal(wr_vdev_region(fd, 0, &region), -EIO);
		assert_says("region 0");
		assert_null(region.areas);
	}
	wr_close(fd);
}

static void interrupts_are_told_and_set(void **state)
{
	struct wr_vfio_irq_info info;
	int fds[3], fd = device_of(*state);

	for (unsigned int i = 0; i < 3; i++)
		assert_true((fds[i] = wr_sys->eventfd()) >= 0);
	fake.device.irqs[1] = (struct wr_vfio_irq_info){ .flags = 9, .count = 4 };
	assert_int_equal(wr_vdev_irq(fd, 1, &info), 0);
	assert_true(info.count == 4 && info.flags == 9);
	/* Not a PCI Express device: the kernel refuses to speak of its error line. */
	assert_int_equal(wr_vdev_irq(fd, 3, &info), 0);
	assert_true(info.count == 0);

	/* A positive answer isn't success. */
	fake.device.vectors_free = 2;
	assert_int_equal(wr_vdev_irq_set(fd, 1, 0, 3, fds), -ENOSPC);
	assert_says("enabling 3 interrupt vectors: the host has 2 to give");
	fake.device.vectors_free = 8;

	assert_int_equal(wr_vdev_irq_set(fd, 1, 1, 3, fds), 0);
	assert_int_equal(fake.device.last_set.flags,
			 WR_VFIO_IRQ_SET_EVENTFDS | WR_VFIO_IRQ_SET_TRIGGER);
	assert_true(fake.device.last_set.count == 3 && fake.device.last_set.start == 1);
	assert_false(fake_interrupt(1, 0));
	assert_true(fake_interrupt(1, 3));
	assert_int_equal(wr_vdev_irq_set(fd, 1, 0, 5, (int[5]){ -1, -1, -1, -1, -1 }), -EINVAL);
	assert_says("setting up vectors 0 to 4");

	assert_int_equal(wr_vdev_irq_disable(fd, 1), 0);
	assert_int_equal(fake.device.last_set.flags,
			 WR_VFIO_IRQ_SET_NONE | WR_VFIO_IRQ_SET_TRIGGER);
	assert_int_equal(fake.device.last_set.count, 0);
	/* Of a kind that the device hasn't got, and of one that isn't enabled. */
	assert_int_equal(wr_vdev_irq_disable(fd, 0), -EINVAL);
	assert_says("disabling interrupts");
	assert_int_equal(wr_vdev_irq_disable(fd, 1), -EINVAL);
	assert_int_equal(wr_vdev_irq_act(fd, 1, 4, WR_VFIO_IRQ_SET_MASK), -EINVAL);
	assert_says("masking");
	for (unsigned int i = 0; i < 3; i++)
		wr_close(fds[i]);
	wr_close(fd);
}

static void half_an_access_is_an_error(void **state)
{
	uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, back[8] = { 0 };
	int fd = device_of(*state);

	assert_int_equal(wr_vdev_write(fd, 0x10, bytes, 8), 0);
	assert_int_equal(wr_vdev_read(fd, 0x10, back, 8), 0);
	assert_memory_equal(back, bytes, 8);
	assert_int_equal(wr_vdev_read(fd, 0x14, back, 4), 0);
	assert_memory_equal(back, bytes + 4, 4);
	fake.device.most = 4;
	assert_int_equal(wr_vdev_read(fd, 0, back, 8), -EIO);
	assert_says("reading registers: 4 of 8 bytes");
	assert_int_equal(wr_vdev_write(fd, 0, bytes, 8), -EIO);
	assert_says("writing registers: 4 of 8 bytes");
	fake.device.access_error = -EIO;
	assert_int_equal(wr_vdev_read(fd, 0, back, 8), -EIO);
	assert_says("memory space is off");
	assert_int_equal(wr_vdev_read(-1, 0, back, 8), -EBADF);
	wr_close(fd);
}

static void resets_may_be_refused(void **state)
{
	int fd = device_of(*state);
	struct wr_vfio_device_info info;

	assert_int_equal(wr_vdev_reset(fd), 0);
	fake.device.reset_error = -EAGAIN;
	assert_int_equal(wr_vdev_reset(fd), -EAGAIN);
	assert_says("try again");
	fake.device.reset_error = -EINVAL;
	assert_int_equal(wr_vdev_reset(fd), -EINVAL);
	assert_int_equal(wr_vdev_info(fd, &info), 0);
	assert_int_equal(info.flags, WR_VFIO_DEVICE_PCI);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(wr_vdev_info(fd, &info), -EIO);
	wr_close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(group_that_cant_be_opened_is_explained),
		TEST(group_that_isnt_viable_is_explained),
		TEST(group_is_kept_once_and_counted),
		TEST(information_may_grow),
		TEST(failed_information_changes_nothing),
		TEST(old_kernels_tell_no_ranges),
		TEST(hostile_chains_end),
		TEST(ranges_that_fill_the_structure_are_read),
		TEST(unmap_tells_what_wasnt_mapped),
		TEST(device_fd_or_why_not),
		TEST(token_is_given_or_asked_for),
		TEST(regions_tell_of_sparse_mapping),
		TEST(areas_are_sorted),
		TEST(hostile_areas_are_no_areas),
		TEST(every_call_for_regions_may_fail),
		TEST(interrupts_are_told_and_set),
		TEST(half_an_access_is_an_error),
		TEST(resets_may_be_refused),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
