/* SPDX-License-Identifier: MIT */
/* Nested tables, page faults and vIOMMUs on the kernel's mock devices. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "examples/demand.h"
#include "tests/vm/guest/mock/mock.h"

/* ---- nested tables ---- */

static const struct mock_nested stage1 = { .iotlb = MOCK_IOTLB_DEFAULT };

static void check_iotlb(struct rig *r, const struct weir_hwpt *hwpt, unsigned int done)
{
	for (uint32_t id = 0; id < 4; id++)
		assert_int_equal(mock_check_iotlb(r->iommufd, number(hwpt), id,
						  id < done ? 0 : MOCK_IOTLB_DEFAULT), 0);
}

static void nested_table_on_a_parent(void **state)
{
	const struct weir_nested nested = mock_stage1(&stage1);
	struct rig *r = *state;
	struct weir_hwpt *parent = paging(r, &nest_parent), *a, *b;

	MUST(weir_hwpt_nest(parent, r->dev, &nested, NULL, &a));
	MUST(weir_hwpt_nest(parent, r->dev, &nested, NULL, &b));
	must_fail(weir_hwpt_free(parent), -EBUSY, "2 nested page tables or vIOMMUs");
	MUST(weir_hwpt_attach(parent, r->dev));
	MUST(weir_hwpt_attach(a, r->dev));
	assert_int_equal(mock_table(0), number(a));
	MUST(weir_hwpt_attach(b, r->dev));
	MUST(weir_hwpt_attach(b, r->second));
	must_fail(weir_hwpt_free(b), -EBUSY, "is attached to it");
	MUST(weir_hwpt_free(a));
	MUST(weir_hwpt_detach(b, r->dev));
	MUST(weir_hwpt_attach(parent, r->second));
	MUST(weir_hwpt_free(b));
	MUST(weir_hwpt_detach(parent, r->second));
	MUST(weir_hwpt_free(parent));
}

static void nested_table_that_cant_be(void **state)
{
	struct weir_nested nested = mock_stage1(&stage1);
	struct rig *r = *state;
	struct weir_hwpt *parent = paging(r, &nest_parent), *plain = paging(r, NULL), *hwpt;

	must_fail(weir_hwpt_nest(plain, r->dev, &nested, NULL, &hwpt), -EINVAL, "no nest parent");
	nested.u.raw.len = 2;
	must_fail(weir_hwpt_nest(parent, r->dev, &nested, NULL, &hwpt), -EINVAL,
		  "driver refuses the nested page table");
	nested.u.raw.len = 0;
	must_fail(weir_hwpt_nest(parent, r->dev, &nested, NULL, &hwpt), -EINVAL, "no data");
	nested = (struct weir_nested){ .type = WEIR_NESTED_SMMUV3 };
	must_fail(weir_hwpt_nest(parent, r->dev, &nested, NULL, &hwpt), -ENOTSUP,
		  "weir_viommu_nest()");
	nested = (struct weir_nested){ .type = WEIR_NESTED_VTD_S1, .u.vtd_s1.width = 39 };
	must_fail(weir_hwpt_nest(parent, r->dev, &nested, NULL, &hwpt), -EINVAL, "48 or 57 bits");
	/* As it should be, and of no IOMMU that is here. */
	nested.u.vtd_s1.width = 48;
	must_fail(weir_hwpt_nest(parent, r->dev, &nested, NULL, &hwpt), -ENOTSUP,
		  "nests no page table of that type");
	MUST(weir_hwpt_free(parent));
	MUST(weir_hwpt_free(plain));
}

static void invalidations_are_counted(void **state)
{
	const struct weir_nested nested = mock_stage1(&stage1);
	struct mock_invalidation list[] = {
		{ .iotlb_id = 0 }, { .iotlb_id = 1 }, { .iotlb_id = 9 }, { .iotlb_id = 2 },
	};
	const size_t size = sizeof(list[0]);
	struct rig *r = *state;
	struct weir_hwpt *parent = paging(r, &nest_parent), *hwpt;
	size_t done;

	MUST(weir_hwpt_nest(parent, r->dev, &nested, NULL, &hwpt));
	check_iotlb(r, hwpt, 0);
	MUST(weir_hwpt_invalidate(hwpt, MOCK_INVALIDATE_TYPE, NULL, 0, 0, &done));
	assert_int_equal(done, 0);
	must_fail(weir_hwpt_invalidate(hwpt, WEIR_INVALIDATE_VTD_S1, NULL, 0, 0, &done), -EINVAL,
		  "invalidations of type 0");
	MUST(weir_hwpt_invalidate(hwpt, MOCK_INVALIDATE_TYPE, list, size, 1, &done));
	assert_int_equal(done, 1);
	check_iotlb(r, hwpt, 1);
	must_fail(weir_hwpt_invalidate(hwpt, MOCK_INVALIDATE_TYPE, list, size, 4, &done), -EINVAL,
		  "invalidation 2 of 4");
	assert_int_equal(done, 2);
	check_iotlb(r, hwpt, 2);
	must_fail(weir_hwpt_invalidate(hwpt, MOCK_INVALIDATE_TYPE, list, 1, 1, &done), -EINVAL,
		  "invalidation 0 of 1");
	must_fail(weir_hwpt_invalidate(parent, MOCK_INVALIDATE_TYPE, list, size, 1, NULL),
		  -ENOTSUP, "isn't nested");
	list[0].flags = MOCK_INVALIDATE_ALL;
	MUST(weir_hwpt_invalidate(hwpt, MOCK_INVALIDATE_TYPE, list, size, 1, NULL));
	check_iotlb(r, hwpt, 4);
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_hwpt_free(parent));
}

/* ---- page faults ---- */

static struct weir_hwpt *with_faults(struct rig *r, struct weir_faultq **queue, bool pasid)
{
	struct weir_hwpt_opts opts = { .pasid = pasid };

	MUST(weir_faultq_open(r->iommu, queue));
	opts.faults = *queue;
	return paging(r, &opts);
}

static void page_requests_are_answered(void **state)
{
	struct weir_page_group group, second;
	struct weir_faultq *queue;
	struct rig *r = *state;
	struct weir_hwpt *hwpt = with_faults(r, &queue, false);
	struct pollfd pfd = { .fd = MUST(weir_faultq_fd(queue)), .events = POLLIN };

	MUST(weir_hwpt_attach(hwpt, r->dev));
	MUST(weir_hwpt_attach(hwpt, r->second));
	assert_int_equal(weir_faultq_read(queue, 0, &group), 0);
	assert_int_equal(weir_faultq_read(queue, 20, &group), 0);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(mock_page_request(0, 0, 5, 1 | 2, AT + 123), 0);
	assert_int_equal(mock_page_request(1, 0, 6, 1, AT), 0);
	assert_int_equal(poll(&pfd, 1, 1000), 1);
	assert_int_equal(weir_faultq_read(queue, -1, &group), 1);
	assert_ptr_equal(group.dev, r->dev);
	assert_false(group.has_pasid);
	assert_int_equal(group.index, 5);
	assert_int_equal(group.n, 1);
	assert_int_equal(group.pages[0].iova, AT + 123);
	assert_true(group.pages[0].read && group.pages[0].write);
	assert_false(group.pages[0].exec || group.pages[0].priv);
	assert_int_equal(weir_faultq_read(queue, 1000, &second), 1);
	assert_ptr_equal(second.dev, r->second);
	assert_false(second.pages[0].write);
	MUST(weir_faultq_answer(queue, group.id, true));
	must_fail(weir_faultq_answer(queue, group.id, true), -ENOENT, "waits for an answer");
	MUST(weir_faultq_answer(queue, second.id, false));
	must_fail(weir_faultq_close(queue), -EBUSY, "in use by 1 page tables");
	must_fail(weir_iommu_close(r->iommu), -EBUSY, "address spaces");
	MUST(weir_hwpt_detach(hwpt, r->second));
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_faultq_close(queue));
	MUST(weir_faultq_close(NULL));
}

/* The kernel answers what waits when a device is detached; so late answers are nobody's. */
static void page_requests_end_with_a_detach(void **state)
{
	struct weir_page_group group, next;
	struct weir_faultq *queue;
	struct rig *r = *state;
	struct weir_hwpt *hwpt = with_faults(r, &queue, false), *other = paging(r, NULL);

	MUST(weir_hwpt_attach(hwpt, r->dev));
	assert_int_equal(mock_page_request(0, 0, 1, 1, AT), 0);
	assert_int_equal(weir_faultq_read(queue, 1000, &group), 1);
	assert_int_equal(mock_page_request(0, 0, 2, 1, AT), 0);
	MUST(weir_hwpt_attach(other, r->dev));
	assert_int_equal(weir_faultq_read(queue, 20, &next), 0);
	must_fail(weir_faultq_answer(queue, group.id, true), -ENOENT, "was detached");
	/* The kernel's cookie is used again. */
	MUST(weir_hwpt_attach(hwpt, r->dev));
	assert_int_equal(mock_page_request(0, 0, 3, 1, AT), 0);
	assert_int_equal(weir_faultq_read(queue, 1000, &next), 1);
	must_fail(weir_faultq_answer(queue, group.id, true), -ENOENT, "was detached");
	MUST(weir_faultq_answer(queue, next.id, true));
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_hwpt_free(other));
	MUST(weir_faultq_close(queue));
}

static void page_requests_expire(void **state)
{
	struct weir_page_group group[3];
	struct weir_faultq *queue;
	struct rig *r = *state;
	struct weir_hwpt *hwpt = with_faults(r, &queue, true);

	MUST(weir_hwpt_attach(hwpt, r->dev));
	MUST(weir_hwpt_attach_pasid(hwpt, r->dev, 9));
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(mock_page_request(0, i ? 9 : 0, i, 2, AT), 0);
		assert_int_equal(weir_faultq_read(queue, 1000, &group[i]), 1);
	}
	assert_true(group[1].has_pasid);
	assert_int_equal(group[1].pasid, 9);
	assert_int_equal(weir_faultq_expire(queue, 60000), 0);
	MUST(weir_faultq_answer(queue, group[1].id, true));
	usleep(3000);
	assert_int_equal(weir_faultq_expire(queue, 1), 2);
	assert_int_equal(weir_faultq_expire(queue, 0), 0);
	must_fail(weir_faultq_answer(queue, group[2].id, true), -ENOENT, "waits for an answer");
	/* What nobody takes goes with the page table. */
	assert_int_equal(mock_page_request(0, 9, 4, 2, AT), 0);
	MUST(weir_hwpt_detach_pasid(hwpt, r->dev, 9));
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_faultq_close(queue));
}

/*
 * examples/demand.h, which examples/fault.c can't run on an emulated IOMMU. Whose own the PASID's
 * address space is doesn't matter here: it gets nothing.
 */
static void devices_get_what_they_ask_for(void **state)
{
	struct rig *r = *state;
	struct weir_faultq *queue;
	struct weir_hwpt *hwpt = with_faults(r, &queue, true);
	struct demand d = { .as = r->as, .first = AT + 64 * PAGE, .len = 4 * PAGE, .page = PAGE };

	d.ram = page_of(0x33, 4);
	MUST(weir_hwpt_attach(hwpt, r->dev));
	MUST(weir_hwpt_attach(hwpt, r->second));
	MUST(weir_hwpt_attach_pasid(hwpt, r->dev, 7));
	assert_int_equal(demand_serve(&d, queue, 0), 0);
	assert_int_equal(mock_page_request(0, 0, 1, 3, d.first + PAGE + 5), 0);
	assert_int_equal(mock_page_request(1, 0, 1, 1, d.first + PAGE), 0);
	assert_int_equal(mock_page_request(0, 0, 2, 1, d.first + 4 * PAGE), 0);
	assert_int_equal(mock_page_request(1, 0, 2, 1, d.first - 1), 0);
	assert_int_equal(mock_page_request(0, 7, 3, 1, d.first + 2 * PAGE), 0);
	assert_int_equal(mock_page_request(0, 0, 4, 1, d.first + 3 * PAGE), 0);
	assert_int_equal(demand_serve(&d, queue, 100), 6);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(mock_check_map(r->iommufd, number(hwpt), d.first + i * PAGE,
						d.ram + i * PAGE, PAGE), i & 1 ? 0 : -EINVAL);
	assert_int_equal(weir_faultq_expire(queue, 0), 0);
	MUST(weir_hwpt_detach_pasid(hwpt, r->dev, 7));
	MUST(weir_hwpt_detach(hwpt, r->second));
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_ioas_unmap(r->as, d.first + PAGE, PAGE));
	MUST(weir_ioas_unmap(r->as, d.first + 3 * PAGE, PAGE));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_faultq_close(queue));
	munmap(d.ram, 4 * PAGE);
}

static void fault_queues_have_their_context(void **state)
{
	struct weir_hwpt_opts opts = { .nest_parent = true };
	struct weir_faultq *queue, *foreign;
	struct weir_iommu *iommu;
	struct rig *r = *state;
	struct weir_hwpt *hwpt;

	MUST(weir_faultq_open(r->iommu, &queue));
	opts.faults = queue;
	must_fail(weir_hwpt_alloc(r->as, r->dev, &opts, &hwpt), -EINVAL, "no page faults");
	MUST(weir_iommu_open(NULL, &iommu));
	MUST(weir_faultq_open(iommu, &foreign));
	opts = (struct weir_hwpt_opts){ .faults = foreign };
	must_fail(weir_hwpt_alloc(r->as, r->dev, &opts, &hwpt), -EINVAL, "of another context");
	must_fail(weir_iommu_close(iommu), -EBUSY, "1 fault queues");
	MUST(weir_faultq_close(foreign));
	MUST(weir_iommu_close(iommu));
	MUST(weir_faultq_close(queue));
}

/* How many objects are left of a fault queue in a /dev/iommu of its own. */
static unsigned int left_of_a_queue(bool in_child)
{
	struct weir_iommu_opts opts = { .use_iommufd = true };
	struct weir_faultq *queue;
	struct weir_iommu *iommu;
	unsigned int left;
	pid_t child = 0;

	opts.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	assert_true(opts.iommufd >= 0);
	MUST(weir_iommu_open(&opts, &iommu));
	MUST(weir_faultq_open(iommu, &queue));
	if (in_child) {
		child = fork();
		assert_true(child >= 0);
		while (!child)
			pause();
	}
	MUST(weir_faultq_close(queue));
	MUST(weir_iommu_close(iommu));
	if (in_child) {
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	left = mock_objects(opts.iommufd);
	close(opts.iommufd);
	return left;
}

/* As weir/faultq.h says; closing works all the same. */
static void child_keeps_a_queue_in_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(left_of_a_queue(false), 0);
	assert_int_equal(left_of_a_queue(true), 1);
}

/* A nested table's faults are the guest's; those of the stage below it nobody's. */
static void nested_tables_have_faults(void **state)
{
	const struct weir_nested nested = mock_stage1(&stage1);
	struct weir_nested_opts opts = { 0 };
	struct weir_page_group group;
	struct weir_hwpt *parent, *hwpt;
	struct rig *r = *state;

	parent = paging(r, &nest_parent);
	MUST(weir_faultq_open(r->iommu, &opts.faults));
	MUST(weir_hwpt_nest(parent, r->dev, &nested, &opts, &hwpt));
	MUST(weir_hwpt_attach(hwpt, r->dev));
	assert_int_equal(mock_page_request(0, 0, 1, 1, 0x1000), 0);
	assert_int_equal(weir_faultq_read(opts.faults, 1000, &group), 1);
	assert_int_equal(group.pages[0].iova, 0x1000);
	MUST(weir_faultq_answer(opts.faults, group.id, true));
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_hwpt_free(parent));
	MUST(weir_faultq_close(opts.faults));
}

/* ---- vIOMMUs ---- */

static struct weir_viommu *viommu_of(struct rig *r, struct weir_hwpt *parent)
{
	struct weir_viommu *viommu;

	MUST(weir_viommu_alloc(parent, r->dev, MOCK_VIOMMU_TYPE, NULL, 0, &viommu));
	return viommu;
}

static void viommu_lends_registers(void **state)
{
	struct mock_viommu data = { .in_data = 0x1234 };
	struct rig *r = *state;
	struct weir_hwpt *parent = paging(r, &nest_parent);
	struct weir_viommu *viommu;
	void *at, *again;

	MUST(weir_viommu_alloc(parent, r->dev, MOCK_VIOMMU_TYPE, &data, sizeof(data), &viommu));
	assert_int_equal(data.out_data, 0x1234);
	must_fail(weir_viommu_map(viommu, data.map_offset + PAGE, data.map_len, &at), -EINVAL,
		  "to lend");
	must_fail(weir_viommu_map(viommu, data.map_offset, data.map_len / 2, &at), -EINVAL,
		  "to lend");
	MUST(weir_viommu_map(viommu, data.map_offset, data.map_len, &at));
	assert_int_equal(*(volatile uint32_t *)at, 0x1234);
	MUST(weir_viommu_map(viommu, data.map_offset, data.map_len, &again));
	must_fail(weir_viommu_free(viommu), -EBUSY, "registers of it are mapped");
	MUST(weir_viommu_unmap(viommu, at));
	must_fail(weir_viommu_unmap(viommu, at), -EINVAL, "no registers");
	MUST(weir_viommu_unmap(viommu, again));
	must_fail(weir_hwpt_free(parent), -EBUSY, "vIOMMUs are made from it");
	MUST(weir_viommu_free(viommu));
	MUST(weir_hwpt_free(parent));
}

static void viommu_that_cant_be(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *parent = paging(r, &nest_parent), *plain = paging(r, NULL);
	struct weir_viommu *viommu;

	must_fail(weir_viommu_alloc(plain, r->dev, MOCK_VIOMMU_TYPE, NULL, 0, &viommu), -EINVAL,
		  "no nest parent");
	must_fail(weir_viommu_alloc(parent, r->dev, WEIR_VIOMMU_SMMUV3, NULL, 0, &viommu),
		  -ENOTSUP, "no vIOMMU of type 1");
	must_fail(weir_viommu_alloc(parent, r->dev, 0, NULL, 0, &viommu), -ENOTSUP, "of type 0");
	must_fail(weir_viommu_alloc(parent, r->dev, MOCK_VIOMMU_TYPE, NULL, 4, &viommu), -EINVAL,
		  "4 bytes of data");
	MUST(weir_hwpt_free(parent));
	MUST(weir_hwpt_free(plain));
}

static void virtual_devices(void **state)
{
	const struct weir_nested nested = mock_stage1(&stage1);
	struct mock_viommu_invalidation list[] = {
		{ .vdev_id = 0x99, .cache_id = 1 }, { .vdev_id = 0x77, .cache_id = 2 },
	};
	struct rig *r = *state;
	struct weir_hwpt *parent = paging(r, &nest_parent), *hwpt;
	struct weir_viommu *viommu = viommu_of(r, parent);
	struct weir_vdevice *vdevice, *second;
	size_t done;

	MUST(weir_vdevice_alloc(viommu, r->dev, 0x99, &vdevice));
	must_fail(weir_vdevice_alloc(viommu, r->dev, 0x98, &second), -EEXIST, "already");
	must_fail(weir_vdevice_alloc(viommu, r->second, 0x99, &second), -EEXIST, "another's");
	must_fail(weir_device_close(r->dev), -EBUSY, "weir_vdevice_free() it first");
	MUST(weir_viommu_nest(viommu, r->dev, &nested, NULL, &hwpt));
	MUST(weir_hwpt_attach(hwpt, r->dev));
	assert_int_equal(mock_check_cache(0, 1, MOCK_CACHE_DEFAULT), 0);
	MUST(weir_viommu_invalidate(viommu, MOCK_INVALIDATE_TYPE, list, sizeof(list[0]), 1, &done));
	assert_int_equal(done, 1);
	assert_int_equal(mock_check_cache(0, 1, 0), 0);
	assert_int_equal(mock_check_cache(0, 2, MOCK_CACHE_DEFAULT), 0);
	must_fail(weir_viommu_invalidate(viommu, MOCK_INVALIDATE_TYPE, list, sizeof(list[0]), 2,
					 &done), -EINVAL, "invalidation 1 of 2");
	assert_int_equal(done, 1);
	must_fail(weir_viommu_free(viommu), -EBUSY, "2 nested page tables, virtual devices");
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_vdevice_free(vdevice));
	MUST(weir_vdevice_alloc(viommu, r->dev, 0x98, &vdevice));
	MUST(weir_vdevice_alloc(viommu, r->second, 0x99, &second));
	MUST(weir_vdevice_free(vdevice));
	MUST(weir_vdevice_free(second));
	MUST(weir_viommu_free(viommu));
	MUST(weir_hwpt_free(parent));
}

static void lost_events_are_counted(void **state)
{
	const struct weir_nested nested = mock_stage1(&stage1);
	struct rig *r = *state;
	struct weir_hwpt *parent = paging(r, &nest_parent), *hwpt;
	struct weir_viommu *viommu = viommu_of(r, parent);
	struct weir_eventq *queue, *second;
	struct weir_vdevice *vdevice;
	uint32_t event = 0;
	uint64_t lost = 1;

	must_fail(weir_eventq_open(viommu, MOCK_EVENTQ_TYPE, 0, 2, &queue), -EINVAL, "size");
	must_fail(weir_eventq_open(viommu, MOCK_EVENTQ_TYPE, 4, 0, &queue), -EINVAL, "524288");
	MUST(weir_eventq_open(viommu, MOCK_EVENTQ_TYPE, 4, 2, &queue));
	must_fail(weir_eventq_open(viommu, MOCK_EVENTQ_TYPE, 4, 2, &second), -EEXIST, "already");
	MUST(weir_viommu_nest(viommu, r->dev, &nested, NULL, &hwpt));
	MUST(weir_vdevice_alloc(viommu, r->dev, 0x99, &vdevice));
	MUST(weir_hwpt_attach(hwpt, r->dev));
	assert_int_equal(weir_eventq_read(queue, 20, &event, &lost), 0);
	assert_int_equal(lost, 0);
	assert_int_equal(mock_event(0), 0);
	assert_int_equal(weir_eventq_read(queue, 1000, &event, &lost), 1);
	assert_int_equal(event, 0x99);
	assert_int_equal(lost, 0);
	/* Two fit; two more are lost at the end, then one in between. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(mock_event(0), 0);
	assert_int_equal(weir_eventq_read(queue, 1000, &event, NULL), 1);
	assert_int_equal(weir_eventq_read(queue, 1000, &event, &lost), 1);
	assert_int_equal(lost, 0);
	assert_int_equal(weir_eventq_read(queue, 1000, &event, &lost), 0);
	assert_int_equal(lost, 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(mock_event(0), 0);
	assert_int_equal(weir_eventq_read(queue, 1000, &event, &lost), 1);
	assert_int_equal(mock_event(0), 0);
	assert_int_equal(weir_eventq_read(queue, 1000, &event, &lost), 1);
	assert_int_equal(lost, 0);
	assert_int_equal(weir_eventq_read(queue, 1000, &event, &lost), 1);
	assert_int_equal(lost, 1);
	assert_int_equal(weir_eventq_read(queue, 0, &event, &lost), 0);
	assert_int_equal(lost, 0);
	must_fail(weir_viommu_free(viommu), -EBUSY, "event queues");
	MUST(weir_hwpt_detach(hwpt, r->dev));
	MUST(weir_hwpt_free(hwpt));
	MUST(weir_vdevice_free(vdevice));
	MUST(weir_eventq_close(queue));
	MUST(weir_viommu_free(viommu));
	MUST(weir_hwpt_free(parent));
}

static void hardware_queues_hold_their_memory(void **state)
{
	struct rig *r = *state;
	struct weir_hwpt *parent = paging(r, &nest_parent);
	struct weir_viommu *viommu = viommu_of(r, parent);
	struct weir_hwqueue *queues[2], *none;

	must_fail(weir_hwqueue_alloc(viommu, MOCK_HWQUEUE_TYPE, 1, AT, PAGE, &none), -EIO,
		  "those below it come first");
	must_fail(weir_hwqueue_alloc(viommu, WEIR_HWQUEUE_TEGRA241_CMDQV, 0, AT, PAGE, &none),
		  -ENOTSUP, "no queues of type 1");
	must_fail(weir_hwqueue_alloc(viommu, MOCK_HWQUEUE_TYPE, 0, 0x70000000, PAGE, &none),
		  -ENOENT, "isn't mapped");
	must_fail(weir_hwqueue_alloc(viommu, MOCK_HWQUEUE_TYPE, 0, AT, 0, &none), -EINVAL,
		  "0 bytes");
	MUST(weir_hwqueue_alloc(viommu, MOCK_HWQUEUE_TYPE, 0, AT + PAGE, PAGE, &queues[0]));
	must_fail(weir_hwqueue_alloc(viommu, MOCK_HWQUEUE_TYPE, 0, AT, PAGE, &none), -EEXIST,
		  "is there already");
	MUST(weir_hwqueue_alloc(viommu, MOCK_HWQUEUE_TYPE, 1, AT, PAGE, &queues[1]));
	must_fail(weir_ioas_unmap(r->as, AT, PAGES * PAGE), -EBUSY, "weir_hwqueue_free() it first");
	must_fail(weir_ioas_unmap_all(r->as), -EBUSY, "weir_hwqueue_free() it first");
	must_fail(weir_hwqueue_free(queues[0]), -EBUSY, "before those with higher");
	must_fail(weir_viommu_free(viommu), -EBUSY, "reads a queue of it");
	MUST(weir_hwqueue_free(queues[1]));
	MUST(weir_hwqueue_free(queues[0]));
	MUST(weir_viommu_free(viommu));
	MUST(weir_hwpt_free(parent));
	MUST(weir_ioas_unmap(r->as, AT, PAGES * PAGE));
}

size_t mock_nested_tests(struct CMUnitTest *tests, size_t room)
{
	static const struct CMUnitTest all[] = {
		ON_RIG(nested_table_on_a_parent),
		ON_RIG(nested_table_that_cant_be),
		ON_RIG(invalidations_are_counted),
		ON_RIG(page_requests_are_answered),
		ON_RIG(page_requests_end_with_a_detach),
		ON_RIG(page_requests_expire),
		ON_RIG(devices_get_what_they_ask_for),
		ON_RIG(fault_queues_have_their_context),
		ON_RIG(child_keeps_a_queue_in_the_kernel),
		ON_RIG(nested_tables_have_faults),
		ON_RIG(viommu_lends_registers),
		ON_RIG(viommu_that_cant_be),
		ON_RIG(virtual_devices),
		ON_RIG(lost_events_are_counted),
		ON_RIG(hardware_queues_hold_their_memory),
	};
	size_t n = sizeof(all) / sizeof(all[0]);

	assert_true(n <= room);
	memcpy(tests, all, sizeof(all));
	return n;
}
