/* SPDX-License-Identifier: MIT */
/*
 * Every call on mock devices, again and again, and each time the next allocation that the kernel
 * makes in it fails (Documentation/fault-injection/fault-injection.rst, /proc/thread-self/fail-nth;
 * as tools/testing/selftests/iommu/iommufd_fail_nth.c does by ioctls). A call that fails says why,
 * leaves the devices with the page tables that they had, and works when it is made again. In the
 * end no object is left in the kernel, and no page pinned (rig_teardown()).
 */
#include "tests/vm/guest/mock/mock.h"

#define STEPS_MOST 1000

/* What calls make. All of it is given back in the order in which that is possible. */
struct made {
	struct rig *r;
	struct weir_device *dev;
	struct weir_hwpt *a, *b, *parent, *nested;
	struct weir_faultq *faults;
	struct weir_viommu *viommu;
	struct weir_vdevice *vdevice;
	struct weir_eventq *events;
	struct weir_hwqueue *queue;
	struct weir_page_group group;
	void *lent;
	weir_iova iova;
};

struct walk {
	const char *name;
	void (*setup)(struct made *m);
	int (*run)(struct made *m);
	bool silent;			/* the kernel allocates nothing in it */
};

static void give_back(struct made *m)
{
	struct rig *r = m->r;

	MUST(weir_vdevice_free(m->vdevice));
	MUST(weir_device_close(m->dev));
	MUST(weir_device_close(r->second));
	MUST(weir_device_close(r->dev));
	r->dev = r->second = NULL;
	MUST(weir_eventq_close(m->events));
	MUST(weir_hwqueue_free(m->queue));
	if (m->lent)
		MUST(weir_viommu_unmap(m->viommu, m->lent));
	MUST(weir_hwpt_free(m->nested));
	MUST(weir_viommu_free(m->viommu));
	MUST(weir_hwpt_free(m->parent));
	MUST(weir_hwpt_free(m->a));
	MUST(weir_hwpt_free(m->b));
	MUST(weir_faultq_close(m->faults));
}

/* ---- injecting ---- */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s: %s: the kernel is built without CONFIG_FAULT_INJECTION", path,
			 strerror(errno));
	close(fd);
}

static void arm(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	assert_int_equal(pwrite(fd, text, (size_t)len, 0), len);
}

/* Whether a fault was injected since. To ask and to switch it off can be what fails. */
static bool disarm(int fd)
{
	char text[16] = "";
	bool fired = false;
	int tries;

	for (tries = 3; pread(fd, text, sizeof(text) - 1, 0) < 0 && tries--;)
		fired = true;
	for (tries = 3; pwrite(fd, "0", 1, 0) < 0 && tries--;)
		fired = true;
	return fired || !atoi(text);
}

/* ---- walking ---- */

/* Returns whether the call got as far as the n-th allocation. */
static bool step(const struct walk *walk, int fd, unsigned int n)
{
	struct made m = { 0 };
	uint32_t tables[2];
	void *rig;
	bool fired;
	int ret;

	rig_setup(&rig);
	m.r = rig;
	m.iova = AT + PAGES * PAGE;
	if (walk->setup)
		walk->setup(&m);
	tables[0] = mock_table(0);
	tables[1] = mock_table(1);
	must_fail(weir_hwpt_alloc(NULL, m.r->dev, NULL, &m.a), -EINVAL, "no address space");
	arm(fd, n);
	ret = walk->run(&m);
	fired = disarm(fd);
	if (ret < 0) {
		if (!fired)
			fail_msg("%s: undisturbed it says %d, %s", walk->name, ret, weir_errmsg());
		if (strstr(weir_errmsg(), "no address space is given"))
			fail_msg("%s: allocation %u fails, and there is no message", walk->name, n);
		if (mock_table(0) != tables[0] || mock_table(1) != tables[1])
			fail_msg("%s: allocation %u fails, and a device has another page table",
				 walk->name, n);
		ret = walk->run(&m);
		if (ret < 0)
			fail_msg("%s: after allocation %u failed, it says %d, %s", walk->name, n,
				 ret, weir_errmsg());
	}
	give_back(&m);
	rig_teardown(&rig);
	return fired;
}

static void each_failure_leaves_all_as_it_was(void **state)
{
	const struct walk *walk = *state;
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	unsigned int n = 1;

	assert_true(fd >= 0);
	put("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	put("/sys/kernel/debug/failslab/verbose", "0");
	put("/sys/kernel/debug/fail_iommufd/verbose", "0");
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
	while (step(walk, fd, n))
		assert_true(++n < STEPS_MOST);
	close(fd);
	if ((n == 1) != walk->silent)
		fail_msg("%s: %u allocations can fail in it", walk->name, n - 1);
}

/* ---- page tables ---- */

static const struct weir_hwpt_opts plain, dirty = { .dirty = true }, pasid = { .pasid = true };
static const struct mock_nested stage1 = { .iotlb = MOCK_IOTLB_DEFAULT };

static int make(struct made *m, const struct weir_hwpt_opts *opts, struct weir_hwpt **out)
{
	return weir_hwpt_alloc(m->r->as, m->r->dev, opts, out);
}

static int alloc(struct made *m)
{
	return make(m, &plain, &m->a);
}

static int alloc_dirty(struct made *m)
{
	return make(m, &dirty, &m->a);
}

static int alloc_parent(struct made *m)
{
	return make(m, &nest_parent, &m->parent);
}

static void has_faults(struct made *m)
{
	MUST(weir_faultq_open(m->r->iommu, &m->faults));
}

static int alloc_faults(struct made *m)
{
	const struct weir_hwpt_opts opts = { .faults = m->faults };

	return make(m, &opts, &m->a);
}

static void tracks(struct made *m)
{
	MUST(weir_ioas_dirty_start(m->r->as));
}

static int alloc_elsewhere(struct made *m)
{
	return weir_hwpt_alloc(m->r->other, m->r->dev, &pasid, &m->a);
}

static void has_parent(struct made *m)
{
	MUST(alloc_parent(m));
}

static int nest(struct made *m)
{
	const struct weir_nested nested = mock_stage1(&stage1);

	return weir_hwpt_nest(m->parent, m->r->dev, &nested, NULL, &m->nested);
}

static void has_nested(struct made *m)
{
	has_parent(m);
	MUST(nest(m));
}

static int free_nested(struct made *m)
{
	int ret = weir_hwpt_free(m->nested);

	m->nested = ret ? m->nested : NULL;
	return ret;
}

static void has_a(struct made *m)
{
	MUST(alloc_dirty(m));
}

static int ranges(struct made *m)
{
	return weir_hwpt_ranges(m->r->dev, &nest_parent, NULL, 0);
}

static int free_a(struct made *m)
{
	int ret = weir_hwpt_free(m->a);

	m->a = ret ? m->a : NULL;
	return ret;
}

static int invalidate(struct made *m)
{
	const struct mock_invalidation all = { .flags = MOCK_INVALIDATE_ALL };

	return weir_hwpt_invalidate(m->nested, MOCK_INVALIDATE_TYPE, &all, sizeof(all), 1, NULL);
}

/* ---- attaching ---- */

static int attach_a(struct made *m)
{
	return weir_hwpt_attach(m->a, m->r->dev);
}

static void has_a_and_faulting_b(struct made *m)
{
	struct weir_hwpt_opts opts = { 0 };

	has_faults(m);
	opts.faults = m->faults;
	MUST(make(m, &opts, &m->b));
	has_a(m);
	MUST(attach_a(m));
}

static int attach_b(struct made *m)
{
	return weir_hwpt_attach(m->b, m->r->dev);
}

static int attach_nested(struct made *m)
{
	return weir_hwpt_attach(m->nested, m->r->dev);
}

static void is_attached(struct made *m)
{
	has_a(m);
	MUST(attach_a(m));
}

static int detach_a(struct made *m)
{
	return weir_hwpt_detach(m->a, m->r->dev);
}

static void has_pasid_tables(struct made *m)
{
	MUST(make(m, &pasid, &m->a));
	MUST(weir_hwpt_alloc(m->r->other, m->r->dev, &pasid, &m->b));
	MUST(attach_a(m));
}

static int attach_pasid(struct made *m)
{
	return weir_hwpt_attach_pasid(m->b, m->r->dev, 7);
}

static void has_pasid(struct made *m)
{
	has_pasid_tables(m);
	MUST(weir_hwpt_attach_pasid(m->a, m->r->dev, 7));
}

static int detach_pasid(struct made *m)
{
	return weir_hwpt_detach_pasid(m->a, m->r->dev, 7);
}

/* ---- what else uses them ---- */

static int map(struct made *m)
{
	const struct weir_map_opts fixed = { .fixed = true };

	return weir_ioas_map(m->r->as, m->r->memory, PAGES * PAGE, &fixed, &m->iova);
}

static int unmap(struct made *m)
{
	return weir_ioas_unmap(m->r->as, AT, PAGES * PAGE);
}

static int open_third(struct made *m)
{
	const struct weir_device_opts in = { .ioas = m->r->as };

	return weir_device_open(m->r->iommu, mock_name(2), &in, &m->dev);
}

static void has_third_attached(struct made *m)
{
	has_a(m);
	MUST(open_third(m));
	MUST(weir_hwpt_attach(m->a, m->dev));
}

static int close_third(struct made *m)
{
	int ret = weir_device_close(m->dev);

	m->dev = ret ? m->dev : NULL;
	return ret;
}

static int move(struct made *m)
{
	return weir_device_move(m->r->dev, m->r->other);
}

static int hw_info(struct made *m)
{
	struct weir_hw_info info;

	return weir_device_hw_info(m->r->dev, WEIR_HW_NONE, &info);
}

/* ---- dirty tracking ---- */

static int dirty_start(struct made *m)
{
	return weir_hwpt_dirty_start(m->a);
}

static void is_tracked(struct made *m)
{
	const uint64_t pages = 3;

	has_a(m);
	MUST(dirty_start(m));
	assert_int_equal(mock_write(m->r->iommufd, number(m->a), AT, PAGES, &pages), 0);
}

static int dirty_stop(struct made *m)
{
	return weir_hwpt_dirty_stop(m->a);
}

static int dirty_keep(struct made *m)
{
	const struct weir_dirty_opts keep = { .keep = true };
	uint64_t bitmap = 0;
	int ret = weir_hwpt_dirty_read(m->a, AT, PAGES * PAGE, &keep, &bitmap);

	if (!ret)
		assert_int_equal(bitmap, 3);
	return ret;
}

static int dirty_start_all(struct made *m)
{
	return weir_ioas_dirty_start(m->r->as);
}

/* ---- page faults ---- */

static int faultq_open(struct made *m)
{
	return weir_faultq_open(m->r->iommu, &m->faults);
}

static int faultq_close(struct made *m)
{
	int ret = weir_faultq_close(m->faults);

	m->faults = ret ? m->faults : NULL;
	return ret;
}

static void has_request(struct made *m)
{
	has_faults(m);
	MUST(alloc_faults(m));
	MUST(attach_a(m));
	assert_int_equal(mock_page_request(0, 0, 1, 1, AT), 0);
}

static int faultq_read(struct made *m)
{
	return weir_faultq_read(m->faults, 1000, &m->group) - 1;
}

static void has_taken(struct made *m)
{
	has_request(m);
	MUST(faultq_read(m));
}

static int faultq_answer(struct made *m)
{
	return weir_faultq_answer(m->faults, m->group.id, true);
}

static int faultq_expire(struct made *m)
{
	return weir_faultq_expire(m->faults, 0);
}

/* ---- vIOMMUs ---- */

static int viommu_alloc(struct made *m)
{
	struct mock_viommu data = { .in_data = 1 };

	return weir_viommu_alloc(m->parent, m->r->dev, MOCK_VIOMMU_TYPE, &data, sizeof(data),
				 &m->viommu);
}

static void has_viommu(struct made *m)
{
	has_parent(m);
	MUST(viommu_alloc(m));
}

static int viommu_free(struct made *m)
{
	int ret = weir_viommu_free(m->viommu);

	m->viommu = ret ? m->viommu : NULL;
	return ret;
}

static int viommu_nest(struct made *m)
{
	const struct weir_nested nested = mock_stage1(&stage1);

	return weir_viommu_nest(m->viommu, m->r->dev, &nested, NULL, &m->nested);
}

static int vdevice_alloc(struct made *m)
{
	return weir_vdevice_alloc(m->viommu, m->r->dev, 0x99, &m->vdevice);
}

static void has_vdevice(struct made *m)
{
	has_viommu(m);
	MUST(vdevice_alloc(m));
}

static int vdevice_free(struct made *m)
{
	int ret = weir_vdevice_free(m->vdevice);

	m->vdevice = ret ? m->vdevice : NULL;
	return ret;
}

static int viommu_invalidate(struct made *m)
{
	const struct mock_viommu_invalidation one = { .vdev_id = 0x99 };

	return weir_viommu_invalidate(m->viommu, MOCK_INVALIDATE_TYPE, &one, sizeof(one), 1, NULL);
}

static int eventq_open(struct made *m)
{
	return weir_eventq_open(m->viommu, MOCK_EVENTQ_TYPE, 4, 2, &m->events);
}

static void has_event(struct made *m)
{
	has_vdevice(m);
	MUST(eventq_open(m));
	MUST(viommu_nest(m));
	MUST(attach_nested(m));
	assert_int_equal(mock_event(0), 0);
}

static int eventq_read(struct made *m)
{
	uint32_t event;

	return weir_eventq_read(m->events, 1000, &event, NULL) - 1;
}

static int hwqueue_alloc(struct made *m)
{
	return weir_hwqueue_alloc(m->viommu, MOCK_HWQUEUE_TYPE, 0, AT, PAGE, &m->queue);
}

static void has_hwqueue(struct made *m)
{
	has_viommu(m);
	MUST(hwqueue_alloc(m));
}

static int hwqueue_free(struct made *m)
{
	int ret = weir_hwqueue_free(m->queue);

	m->queue = ret ? m->queue : NULL;
	return ret;
}

size_t mock_walks(struct CMUnitTest *tests, size_t room)
{
	static const struct walk walks[] = {
		{ "hwpt_alloc", NULL, alloc, false },
		{ "hwpt_alloc_dirty", NULL, alloc_dirty, false },
		{ "hwpt_alloc_dirty_while_tracking", tracks, alloc_dirty, false },
		{ "hwpt_alloc_parent", NULL, alloc_parent, false },
		{ "hwpt_alloc_faults", has_faults, alloc_faults, false },
		{ "hwpt_alloc_in_another_space", NULL, alloc_elsewhere, false },
		{ "hwpt_ranges", NULL, ranges, false },
		{ "hwpt_free", has_a, free_a, false },
		{ "hwpt_nest", has_parent, nest, false },
		{ "hwpt_free_nested", has_nested, free_nested, true },
		{ "hwpt_invalidate", has_nested, invalidate, false },
		{ "hwpt_attach", has_a, attach_a, false },
		{ "hwpt_attach_replaces", has_a_and_faulting_b, attach_b, false },
		{ "hwpt_attach_nested", has_nested, attach_nested, false },
		{ "hwpt_detach", is_attached, detach_a, false },
		{ "hwpt_attach_pasid", has_pasid_tables, attach_pasid, false },
		{ "hwpt_attach_pasid_replaces", has_pasid, attach_pasid, false },
		{ "hwpt_detach_pasid", has_pasid, detach_pasid, false },
		{ "ioas_map_beside", is_attached, map, false },
		{ "ioas_unmap_beside", is_attached, unmap, false },
		{ "device_open_beside", is_attached, open_third, false },
		{ "device_close_attached", has_third_attached, close_third, false },
		{ "device_move", NULL, move, false },
		{ "device_hw_info", NULL, hw_info, false },
		{ "hwpt_dirty_start", has_a, dirty_start, false },
		{ "hwpt_dirty_stop", is_tracked, dirty_stop, false },
		{ "hwpt_dirty_read", is_tracked, dirty_keep, false },
		{ "ioas_dirty_start", is_attached, dirty_start_all, false },
		{ "faultq_open", NULL, faultq_open, false },
		{ "faultq_close", has_faults, faultq_close, true },
		{ "faultq_read", has_request, faultq_read, false },
		{ "faultq_answer", has_taken, faultq_answer, true },
		{ "faultq_expire", has_taken, faultq_expire, true },
		{ "viommu_alloc", has_parent, viommu_alloc, false },
		{ "viommu_free", has_viommu, viommu_free, false },
		{ "viommu_nest", has_viommu, viommu_nest, false },
		{ "viommu_invalidate", has_vdevice, viommu_invalidate, false },
		{ "vdevice_alloc", has_viommu, vdevice_alloc, false },
		{ "vdevice_free", has_vdevice, vdevice_free, true },
		{ "eventq_open", has_viommu, eventq_open, false },
		{ "eventq_read", has_event, eventq_read, true },
		{ "hwqueue_alloc", has_viommu, hwqueue_alloc, false },
		{ "hwqueue_free", has_hwqueue, hwqueue_free, true },
	};
	size_t n = sizeof(walks) / sizeof(walks[0]);

	assert_true(n <= room);
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){
			.name = walks[i].name,
			.test_func = each_failure_leaves_all_as_it_was,
			.initial_state = (void *)&walks[i],
		};
	return n;
}
