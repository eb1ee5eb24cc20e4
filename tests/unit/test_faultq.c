/* SPDX-License-Identifier: MIT */
/*
 * Queues on a made-up IOMMUFD: page requests in groups, and events of vIOMMUs; and what a child has
 * after fork() of all that belongs to page tables by hand: nothing.
 */
#include <endian.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "examples/demand.h"
#include "hwpt_rig.h"

#define EVENT	4			/* bytes of a fake event: its sequence number */

static struct weir_hwpt *with_faults(struct hwpt_rig *r, struct weir_faultq **queue)
{
	struct weir_hwpt_opts opts = { 0 };
	struct weir_hwpt *hwpt;

	assert_int_equal(weir_faultq_open(r->iommu, queue), 0);
	opts.faults = *queue;
	hwpt = alloc(r, &opts);
	assert_int_equal(weir_hwpt_attach(hwpt, r->dev[0]), 0);
	return hwpt;
}

static void without_faults(struct hwpt_rig *r, struct weir_hwpt *hwpt, struct weir_faultq *queue)
{
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_faultq_close(queue), 0);
}

/* Several in the kernel's queue come one by one, each whole. */
static void groups_are_kept_together(void **state)
{
	struct hwpt_rig *r = *state;
	struct weir_page_group group;
	struct weir_faultq *queue;
	struct weir_hwpt *hwpt = with_faults(r, &queue);
	uint64_t ids[3];

	fake_page_request(0, 0x10000, 3, 1);
	fake_page_request(0, 0x20000, 1, 2);
	fake_page_request(0, 0x30000, 2, 3);
	for (int i = 0; i < 3; i++) {
		const size_t sizes[] = { 3, 1, 2 };

		assert_int_equal(weir_faultq_read(queue, 0, &group), 1);
		assert_ptr_equal(group.dev, r->dev[0]);
		assert_int_equal(group.index, i + 1);
		assert_int_equal(group.n, sizes[i]);
		assert_false(group.has_pasid);
		for (size_t j = 0; j < group.n; j++) {
			assert_int_equal(group.pages[j].iova, 0x10000 * (i + 1) + j * r->page);
			assert_true(group.pages[j].read);
			assert_false(group.pages[j].write);
		}
		ids[i] = group.id;
	}
	assert_int_equal(weir_faultq_read(queue, 0, &group), 0);
	assert_int_equal(weir_faultq_answer(queue, ids[1], true), 0);
	assert_int_equal(weir_faultq_answer(queue, ids[0], false), 0);
	must_fail(weir_faultq_answer(queue, ids[0], false), -ENOENT, "waits for an answer");
	must_fail(weir_faultq_answer(queue, 99, false), -ENOENT, "no group 99");
	assert_int_equal(weir_faultq_expire(queue, UINT_MAX), 0);
	assert_int_equal(weir_faultq_expire(queue, 0), 1);
	assert_int_equal(fake.iommufd.answers[0], 1);
	assert_int_equal(fake.iommufd.answers[1], 2);
	assert_int_equal(fake.iommufd.cookies, 0);
	without_faults(r, hwpt, queue);
}

/* The kernel forgets what it has answered itself, and uses its cookie again. */
static void cookie_is_used_again(void **state)
{
	struct weir_page_group old, group;
	struct hwpt_rig *r = *state;
	struct weir_faultq *queue;
	struct weir_hwpt *hwpt = with_faults(r, &queue);

	fake_page_request(0, 0x10000, 1, 1);
	assert_int_equal(weir_faultq_read(queue, 0, &old), 1);
	fake.iommufd.cookies = 0;
	fake_page_request(0, 0x20000, 1, 1);
	assert_int_equal(weir_faultq_read(queue, 0, &group), 1);
	assert_int_not_equal(old.id, group.id);
	must_fail(weir_faultq_answer(queue, old.id, false), -ENOENT, "waits for an answer");
	assert_int_equal(fake.iommufd.answers[1], 0);
	assert_int_equal(weir_faultq_answer(queue, group.id, true), 0);
	/* And one whose answer comes too late for the kernel. */
	fake_page_request(0, 0x20000, 1, 2);
	assert_int_equal(weir_faultq_read(queue, 0, &group), 1);
	fake.iommufd.cookies = 0;
	must_fail(weir_faultq_answer(queue, group.id, true), -ENOENT, "was detached");
	assert_int_equal(weir_faultq_expire(queue, 0), 0);
	without_faults(r, hwpt, queue);
}

/* Requests of a device that is detached meanwhile are passed over. */
static void detached_device_asks_no_more(void **state)
{
	struct weir_page_group group;
	struct hwpt_rig *r = *state;
	struct weir_faultq *queue;
	struct weir_hwpt *hwpt = with_faults(r, &queue);

	fake_page_request(0, 0x10000, 2, 1);
	fake_page_request(0, 0x10000, 1, 2);
	assert_int_equal(weir_faultq_read(queue, 0, &group), 1);
	assert_int_equal(weir_hwpt_detach(hwpt, r->dev[0]), 0);
	assert_int_equal(weir_faultq_read(queue, 0, &group), 0);
	must_fail(weir_faultq_answer(queue, group.id, true), -ENOENT, "was detached");
	assert_int_equal(weir_hwpt_free(hwpt), 0);
	assert_int_equal(weir_faultq_close(queue), 0);
}

/* examples/demand.h: what is answered, and that all of a group must be there. */
static void memory_is_mapped_on_demand(void **state)
{
	struct hwpt_rig *r = *state;
	struct weir_faultq *queue;
	struct weir_hwpt *hwpt = with_faults(r, &queue);
	struct demand d = {
		.as = r->as, .ram = (unsigned char *)r->memory, .first = 0x100000 * r->page,
		.len = 4 * r->page, .page = r->page,
	};

	fake_page_request(0, d.first, 2, 1);
	fake_page_request(0, d.first + r->page, 1, 2);
	assert_int_equal(demand_serve(&d, queue, 0), 2);
	assert_int_equal(fake.iommufd.answers[0], 2);
	fake_page_request(0, d.first + 3 * r->page, 2, 3);
	fake_page_request(0, d.first - r->page, 1, 4);
	assert_int_equal(demand_serve(&d, queue, 0), 2);
	assert_int_equal(fake.iommufd.answers[0], 2);
	assert_int_equal(fake.iommufd.answers[1], 2);
	/* Answered by the kernel before: nothing to complain of. */
	fake_page_request(0, d.first, 1, 5);
	fake.iommufd.cookies = 0;
	assert_int_equal(demand_serve(&d, queue, 0), 1);
	fake_page_request(0, d.first, 1, 6);
	fake.fail_with = -EIO;
	fake.fail_at = fake.calls + 3;
	assert_int_equal(demand_serve(&d, queue, 0), -EIO);
	fake.fail_at = 0;
	assert_int_equal(weir_faultq_expire(queue, 0), 1);
	for (int i = 0; i < 4; i++)
		if (i != 2)
			assert_int_equal(weir_ioas_unmap(r->as, d.first + i * r->page, r->page), 0);
	without_faults(r, hwpt, queue);
}

/* ---- events ---- */

struct events {
	struct weir_hwpt *parent;
	struct weir_viommu *viommu;
	struct weir_eventq *queue;
};

static struct events open_events(struct hwpt_rig *r, size_t size)
{
	struct events e = { .parent = alloc(r, &(struct weir_hwpt_opts){ .nest_parent = true }) };

	assert_int_equal(weir_viommu_alloc(e.parent, r->dev[0], RAW, NULL, 0, &e.viommu), 0);
	assert_int_equal(weir_eventq_open(e.viommu, RAW, size, 8, &e.queue), 0);
	return e;
}

static void close_events(struct events e)
{
	assert_int_equal(weir_eventq_close(e.queue), 0);
	assert_int_equal(weir_viommu_free(e.viommu), 0);
	assert_int_equal(weir_hwpt_free(e.parent), 0);
}

static void events_are_numbered(void **state)
{
	struct events e = open_events(*state, EVENT);
	uint32_t event;
	uint64_t lost;

	fake_event(0, 2, false);
	fake_event(5, 1, false);
	fake_event(9, 1, true);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(weir_eventq_read(e.queue, 0, &event, &lost), 1);
		assert_int_equal(event, i);
		assert_int_equal(lost, 0);
	}
	/* Told later by who asks. */
	assert_int_equal(weir_eventq_read(e.queue, 0, &event, NULL), 1);
	assert_int_equal(event, 5);
	assert_int_equal(weir_eventq_read(e.queue, 0, &event, &lost), 0);
	assert_int_equal(lost, 3 + 4);
	assert_int_equal(weir_eventq_read(e.queue, 0, &event, &lost), 0);
	assert_int_equal(lost, 0);
	close_events(e);
}

static void sequence_wraps(void **state)
{
	struct events e = open_events(*state, EVENT);
	uint32_t event;
	uint64_t lost;

	fake_event(INT_MAX, 2, false);
	assert_int_equal(weir_eventq_read(e.queue, 0, &event, &lost), 1);
	assert_int_equal(lost, INT_MAX);
	assert_int_equal(weir_eventq_read(e.queue, 0, &event, &lost), 1);
	assert_int_equal(event, 0);
	assert_int_equal(lost, 0);
	close_events(e);
}

static void events_of_another_size(void **state)
{
	struct events e = open_events(*state, EVENT + 4);
	uint64_t event;

	fake_event(0, 1, false);
	must_fail(weir_eventq_read(e.queue, 0, &event, NULL), -EIO, "gives 12 bytes");
	close_events(e);
}

/* F_TRANSLATION as QEMU's SMMUv3 records it, with a PASID, of a read by stage 2. */
static void smmu_event_is_decoded(void **state)
{
	const struct weir_smmuv3_event event = { .evt = {
		htole64(0x1000000010 | 1 << 11 | 0x12345ull << 12),
		htole64(1ull << 35 | 1ull << 33 | 1ull << 39 | 1u << 31), htole64(0xa00000), 0,
	} };
	const struct weir_smmuv3_event bad = { .evt = { htole64(0x2000000004), 0, 5, 0 } };
	const struct weir_smmuv3_event other = { .evt = { htole64(0xff) } };
	struct weir_smmuv3_event_info info;

	(void)state;
	weir_smmuv3_event_decode(&event, &info);
	assert_int_equal(info.type, 0x10);
	assert_non_null(strstr(info.text, "F_TRANSLATION"));
	assert_int_equal(info.stream, 0x10);
	assert_true(info.has_substream && info.has_address);
	assert_int_equal(info.substream, 0x12345);
	assert_int_equal(info.address, 0xa00000);
	assert_true(info.read && info.priv && info.stage2 && info.stalled && !info.exec);
	weir_smmuv3_event_decode(&bad, &info);
	assert_non_null(strstr(info.text, "C_BAD_STE"));
	assert_int_equal(info.stream, 0x20);
	assert_false(info.has_address || info.has_substream || info.address);
	weir_smmuv3_event_decode(&other, &info);
	assert_int_equal(info.type, 0xff);
	assert_non_null(strstr(info.text, "doesn't know"));
}

/* ---- after a fork ---- */

#define REFUSED(call) \
	do { \
		if ((call) != -EPERM) { \
			fprintf(stderr, "%s: %s\n", #call, weir_errmsg()); \
			_exit(1); \
		} \
	} while (0)

/* All of it is the parent's, who may be holding any lock. */
static void children_may_not(void **state)
{
	const struct weir_nested nested = { .u.raw = { RAW, 4, "abc" } };
	struct hwpt_rig *r = *state;
	struct weir_faultq *queue;
	struct weir_hwpt *hwpt = with_faults(r, &queue), *none;
	struct events e = open_events(r, EVENT);
	struct weir_page_group group;
	struct weir_hwqueue *hwqueue;
	struct weir_vdevice *vdevice;
	struct weir_viommu *viommu;
	struct weir_faultq *other;
	struct weir_eventq *events;
	struct weir_hw_info info;
	uint64_t bits = 0;
	void *at;
	int status;
	pid_t child;

	assert_int_equal(weir_vdevice_alloc(e.viommu, r->dev[0], 1, &vdevice), 0);
	assert_int_equal(weir_hwqueue_alloc(e.viommu, RAW, 0, r->page, r->page, &hwqueue), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		REFUSED(weir_hwpt_alloc(r->as, r->dev[0], NULL, &none));
		REFUSED(weir_hwpt_ranges(r->dev[0], NULL, NULL, 0));
		REFUSED(weir_hwpt_nest(e.parent, r->dev[0], &nested, NULL, &none));
		REFUSED(weir_hwpt_attach(hwpt, r->dev[0]));
		REFUSED(weir_hwpt_detach(hwpt, r->dev[0]));
		REFUSED(weir_hwpt_attach_pasid(hwpt, r->dev[0], 1));
		REFUSED(weir_hwpt_detach_pasid(hwpt, r->dev[0], 1));
		REFUSED(weir_hwpt_invalidate(hwpt, RAW, &bits, 8, 1, NULL));
		REFUSED(weir_hwpt_dirty_start(hwpt));
		REFUSED(weir_hwpt_dirty_stop(hwpt));
		REFUSED(weir_hwpt_dirty_read(hwpt, 0, r->page, NULL, &bits));
		REFUSED(weir_hwpt_free(hwpt));
		REFUSED(weir_faultq_open(r->iommu, &other));
		REFUSED(weir_faultq_fd(queue));
		REFUSED(weir_faultq_read(queue, 0, &group));
		REFUSED(weir_faultq_answer(queue, 1, true));
		REFUSED(weir_faultq_expire(queue, 0));
		REFUSED(weir_faultq_close(queue));
		REFUSED(weir_viommu_alloc(e.parent, r->dev[0], RAW, NULL, 0, &viommu));
		REFUSED(weir_viommu_nest(e.viommu, r->dev[0], &nested, NULL, &none));
		REFUSED(weir_viommu_invalidate(e.viommu, RAW, &bits, 8, 1, NULL));
		REFUSED(weir_viommu_map(e.viommu, 0, r->page, &at));
		REFUSED(weir_viommu_unmap(e.viommu, NULL));
		REFUSED(weir_viommu_free(e.viommu));
		REFUSED(weir_vdevice_alloc(e.viommu, r->dev[0], 1, &vdevice));
		REFUSED(weir_vdevice_free(vdevice));
		REFUSED(weir_eventq_open(e.viommu, RAW, 4, 1, &events));
		REFUSED(weir_eventq_fd(e.queue));
		REFUSED(weir_eventq_read(e.queue, 0, &bits, NULL));
		REFUSED(weir_eventq_close(e.queue));
		REFUSED(weir_hwqueue_alloc(e.viommu, RAW, 1, r->page, r->page, &hwqueue));
		REFUSED(weir_hwqueue_free(hwqueue));
		REFUSED(weir_device_hw_info(r->dev[0], WEIR_HW_NONE, &info));
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(weir_hwqueue_free(hwqueue), 0);
	assert_int_equal(weir_vdevice_free(vdevice), 0);
	close_events(e);
	without_faults(r, hwpt, queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(groups_are_kept_together),
		TEST(cookie_is_used_again),
		TEST(detached_device_asks_no_more),
		TEST(memory_is_mapped_on_demand),
		TEST(events_are_numbered),
		TEST(sequence_wraps),
		TEST(events_of_another_size),
		TEST(children_may_not),
		cmocka_unit_test(smmu_event_is_decoded),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
