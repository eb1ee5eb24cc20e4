/* SPDX-License-Identifier: MIT */
/*
 * A guest's translation nested in the host's, in front of real DMA: an edu behind an SMMUv3 that
 * QEMU emulates, the guest's tables in mapped memory. What follows is what a VMM does for a guest,
 * and what the guest's driver does in its memory (examples/stage1.h).
 */
#include "examples/stage1.h"
#include "tests/vm/guest/guest.h"

#define GUEST		0x1000000	/* where the guest's memory begins, for the guest */
#define PAGES		16		/* and how much it has: tables first, then data */
#define A		(STAGE1_PAGES + 0)
#define B		(STAGE1_PAGES + 1)
#define C		(STAGE1_PAGES + 2)
#define OUTSIDE		(GUEST + PAGES * PAGE)
#define VA		UINT64_C(0x8080604000)	/* an index of each level that isn't 0 */
#define STREAM		0x10		/* the guest's number for the device */
#define DOORBELL	0x8000000	/* of interrupts, for devices (MSI_IOVA_BASE of Linux) */
#define ACCESS		4		/* as many bytes as QEMU's SMMU is asked about at once */

struct rig {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct opened edu;
	unsigned char *ram;
	struct stage1 stage1;
	struct weir_hwpt *parent;
	struct weir_viommu *viommu;
	struct weir_vdevice *vdevice;
	struct weir_hwpt *nested;	/* with stage1's table, and attached */
	struct weir_eventq *events;
};

static weir_iova guest(unsigned int page)
{
	return GUEST + (weir_iova)page * PAGE;
}

static unsigned char *ram(const struct rig *r, unsigned int page)
{
	return r->ram + (size_t)page * PAGE;
}

static void open_guest(struct rig *r)
{
	const struct weir_map_opts there = { .fixed = true };
	weir_iova iova = GUEST;

	r->iommu = open_iommu("iommufd");
	MUST(weir_ioas_open(r->iommu, &r->as));
	r->edu = open_edu(r->iommu, device("WEIR_TEST_EDU"), r->as);
	r->ram = page_of(0, PAGES);
	MUST(weir_ioas_map(r->as, r->ram, PAGES * PAGE, &there, &iova));
	r->stage1 = (struct stage1){ r->ram, GUEST };
	stage1_init(&r->stage1, VA);
	stage1_set(&r->stage1, VA, guest(A), STAGE1_LEAF);
	stage1_set(&r->stage1, VA + PAGE, guest(B), STAGE1_LEAF);
}

static void close_guest(struct rig *r)
{
	MUST(weir_ioas_unmap(r->as, GUEST, PAGES * PAGE));
	close_edu(r->edu);
	MUST(weir_ioas_close(r->as));
	MUST(weir_iommu_close(r->iommu));
	munmap(r->ram, PAGES * PAGE);
}

static struct weir_hwpt *nest(struct rig *r, const struct weir_nested *nested)
{
	struct weir_hwpt *hwpt;

	MUST(weir_viommu_nest(r->viommu, r->edu.dev, nested, NULL, &hwpt));
	return hwpt;
}

static void open_viommu(struct rig *r)
{
	const struct weir_hwpt_opts parent = { .nest_parent = true };

	MUST(weir_hwpt_alloc(r->as, r->edu.dev, &parent, &r->parent));
	MUST(weir_viommu_alloc(r->parent, r->edu.dev, WEIR_VIOMMU_SMMUV3, NULL, 0, &r->viommu));
}

static void close_viommu(struct rig *r)
{
	MUST(weir_viommu_free(r->viommu));
	MUST(weir_hwpt_free(r->parent));
}

static int setup(void **state)
{
	static struct rig r;
	struct weir_nested nested;

	open_guest(&r);
	open_viommu(&r);
	MUST(weir_vdevice_alloc(r.viommu, r.edu.dev, STREAM, &r.vdevice));
	MUST(weir_eventq_open(r.viommu, WEIR_EVENTQ_SMMUV3, 0, 64, &r.events));
	nested = stage1_nested(&r.stage1);
	r.nested = nest(&r, &nested);
	MUST(weir_hwpt_attach(r.nested, r.edu.dev));
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	MUST(weir_hwpt_detach(r->nested, r->edu.dev));
	MUST(weir_hwpt_free(r->nested));
	MUST(weir_eventq_close(r->events));
	MUST(weir_vdevice_free(r->vdevice));
	close_viommu(r);
	close_guest(r);
	return 0;
}

/* By a device: out of the guest's memory, as it sees it, and into it. */
static void copy(struct edu *edu, weir_iova from, weir_iova to)
{
	MUST(edu_dma(edu, from, 0, PAGE, true));
	MUST(edu_dma(edu, to, 0, PAGE, false));
}

/* The device copies one page of the guest's memory, filled with @byte, to another. */
static void must_copy(struct rig *r, weir_iova from, unsigned int source, weir_iova to,
		      unsigned int target, unsigned char byte)
{
	memset(ram(r, source), byte, PAGE);
	memset(ram(r, target), ~byte, PAGE);
	copy(r->edu.edu, from, to);
	assert_memory_equal(ram(r, source), ram(r, target), PAGE);
}

static void must_be_filled(struct rig *r, unsigned int page, unsigned char byte)
{
	unsigned char due[PAGE];

	memset(due, byte, PAGE);
	assert_memory_equal(ram(r, page), due, PAGE);
}

static void forget(struct rig *r, weir_iova va)
{
	const struct weir_smmuv3_command command = stage1_forget(va);
	size_t done;

	MUST(weir_viommu_invalidate(r->viommu, WEIR_INVALIDATE_SMMUV3, &command, sizeof(command),
				    1, &done));
	assert_int_equal(done, 1);
}

static void must_be_quiet(struct rig *r)
{
	struct weir_smmuv3_event event;
	uint64_t lost;

	assert_int_equal(MUST(weir_eventq_read(r->events, 100, &event, &lost)), 0);
	assert_int_equal(lost, 0);
}

/* One access of a device, which nothing comes of but one event of that type. */
static void must_tell_of(struct rig *r, struct edu *edu, uint32_t stream, unsigned int type,
			 weir_iova va, bool read)
{
	struct weir_smmuv3_event event;
	struct weir_smmuv3_event_info info;
	uint64_t lost;

	MUST(edu_dma(edu, va, 0, ACCESS, read));
	assert_int_equal(MUST(weir_eventq_read(r->events, 2000, &event, &lost)), 1);
	assert_int_equal(lost, 0);
	weir_smmuv3_event_decode(&event, &info);
	print_message("# 0x%02x at 0x%llx from 0x%x: %s\n", info.type,
		      (unsigned long long)info.address, info.stream, info.text);
	assert_int_equal(info.type, type);
	assert_int_equal(info.stream, stream);
	assert_true(info.has_address);
	assert_int_equal(info.address, va);
	assert_int_equal(info.read, read);
	assert_false(info.stage2 || info.stalled || info.exec || info.has_substream);
	must_be_quiet(r);
}

static void must_tell(struct rig *r, unsigned int type, weir_iova va, bool read)
{
	must_tell_of(r, r->edu.edu, STREAM, type, va, read);
}

static void dma_goes_through_both_stages(void **state)
{
	struct rig *r = *state;

	must_copy(r, VA, A, VA + PAGE, B, 0x11);
	must_copy(r, VA + PAGE, B, VA, A, 0x12);
	must_be_quiet(r);
	/* What is mapped in stage 2 alone isn't the device's to see. */
	memset(ram(r, A), 0x13, PAGE);
	must_tell(r, 0x10, guest(A), false);
	must_be_filled(r, A, 0x13);
}

static void changed_entry_counts_after_the_invalidation(void **state)
{
	struct rig *r = *state;

	must_copy(r, VA, A, VA + PAGE, B, 0x21);
	memset(ram(r, C), 0x22, PAGE);
	stage1_set(&r->stage1, VA, guest(C), STAGE1_LEAF);
	/* QEMU's SMMU goes by what it has read before; hardware may or may not. */
	copy(r->edu.edu, VA, VA + PAGE);
	assert_memory_equal(ram(r, A), ram(r, B), PAGE);
	forget(r, VA);
	copy(r->edu.edu, VA, VA + PAGE);
	assert_memory_equal(ram(r, C), ram(r, B), PAGE);
	must_copy(r, VA + PAGE, B, VA, C, 0x23);
	must_be_quiet(r);
}

static void removed_entry_is_an_event(void **state)
{
	struct rig *r = *state;

	must_copy(r, VA, A, VA + PAGE, B, 0x31);
	stage1_set(&r->stage1, VA, 0, 0);
	forget(r, VA);
	memset(ram(r, A), 0x32, PAGE);
	must_tell(r, 0x10, VA + 8, false);
	must_be_filled(r, A, 0x32);
	must_tell(r, 0x10, VA, true);
}

static void read_only_entry_is_another_event(void **state)
{
	struct rig *r = *state;

	stage1_set(&r->stage1, VA, guest(A), STAGE1_LEAF | STAGE1_READ_ONLY);
	must_copy(r, VA, A, VA + PAGE, B, 0x41);
	memset(ram(r, A), 0x42, PAGE);
	must_tell(r, 0x13, VA, false);
	must_be_filled(r, A, 0x42);
}

/* A guest that maps what it hasn't got. The host is told, the guest isn't. */
static void stage_2_still_holds(void **state)
{
	unsigned char *host = page_of(0x51, 1);
	struct rig *r = *state;

	stage1_set(&r->stage1, VA, OUTSIDE, STAGE1_LEAF);
	must_be_blocked(r->edu.edu, VA, host);
	must_be_quiet(r);
	munmap(host, PAGE);
}

static void events_that_are_lost_are_counted(void **state)
{
	struct weir_smmuv3_event event;
	unsigned int got, came = 0;
	uint64_t lost, all = 0;
	struct rig *r = *state;

	MUST(weir_eventq_close(r->events));
	MUST(weir_eventq_open(r->viommu, WEIR_EVENTQ_SMMUV3, 0, 1, &r->events));
	for (unsigned int i = 0; i < 6; i++)
		MUST(edu_dma(r->edu.edu, VA + 2 * PAGE, 0, ACCESS, true));
	do {
		got = MUST(weir_eventq_read(r->events, 1000, &event, &lost));
		came += got;
		all += lost;
	} while (got || lost);
	print_message("# %u events came, %llu were lost\n", came, (unsigned long long)all);
	assert_int_equal(came + all, 6);
	assert_true(came && all);
}

static void entries_without_a_stage_1(void **state)
{
	const struct weir_nested off = { .type = WEIR_NESTED_SMMUV3 };
	const struct weir_nested stop = stage1_none(0), through = stage1_none(4);
	struct rig *r = *state;
	struct weir_hwpt *bypass = nest(r, &through), *abort = nest(r, &stop);
	struct weir_hwpt *invalid = nest(r, &off);

	MUST(weir_hwpt_attach(bypass, r->edu.dev));
	must_copy(r, guest(A), A, guest(B), B, 0x61);
	MUST(weir_hwpt_attach(abort, r->edu.dev));
	must_be_blocked(r->edu.edu, guest(A), ram(r, A));
	must_be_blocked(r->edu.edu, VA, ram(r, A));
	MUST(weir_hwpt_attach(bypass, r->edu.dev));
	must_copy(r, guest(A), A, guest(B), B, 0x62);
	MUST(weir_hwpt_attach(invalid, r->edu.dev));
	must_be_blocked(r->edu.edu, guest(A), ram(r, A));
	MUST(weir_hwpt_attach(r->nested, r->edu.dev));
	must_copy(r, VA, A, VA + PAGE, B, 0x63);
	MUST(weir_hwpt_free(bypass));
	MUST(weir_hwpt_free(abort));
	MUST(weir_hwpt_free(invalid));
}

static void back_to_the_automatic_table(void **state)
{
	struct rig *r = *state;

	must_copy(r, VA, A, VA + PAGE, B, 0x71);
	MUST(weir_hwpt_detach(r->nested, r->edu.dev));
	must_copy(r, guest(A), A, guest(B), B, 0x72);
	must_be_blocked(r->edu.edu, VA, ram(r, A));
	MUST(weir_hwpt_attach(r->parent, r->edu.dev));
	must_copy(r, guest(A), A, guest(B), B, 0x73);
	MUST(weir_hwpt_attach(r->nested, r->edu.dev));
	must_copy(r, VA, A, VA + PAGE, B, 0x74);
}

/* An MSI is a write like others: a guest that doesn't map the doorbell has none, but an event. */
static void interrupts_go_through_both_stages(void **state)
{
	struct rig *r = *state;
	const struct stage1 other = { ram(r, C + 1), guest(C + 1) };
	const struct weir_nested nested = stage1_nested(&other);
	struct weir_hwpt *hwpt = nest(r, &nested);
	struct weir_smmuv3_event_info info;
	struct weir_smmuv3_event event;
	uint32_t bits;
	uint64_t lost;

	stage1_init(&other, DOORBELL);
	MUST(weir_hwpt_attach(hwpt, r->edu.dev));
	MUST(edu_irq_enable_kind(r->edu.edu, WEIR_IRQ_MSI));
	MUST(edu_irq_raise(r->edu.edu, 0x20));
	assert_int_equal(MUST(weir_eventq_read(r->events, 2000, &event, &lost)), 1);
	weir_smmuv3_event_decode(&event, &info);
	assert_int_equal(info.type, 0x10);
	assert_false(info.read);
	assert_int_equal(info.address / PAGE, DOORBELL / PAGE);
	assert_int_equal(edu_irq_wait(r->edu.edu, 200, &bits), -ETIMEDOUT);
	stage1_set(&other, DOORBELL, DOORBELL, STAGE1_LEAF);
	forget(r, DOORBELL);
	MUST(edu_irq_raise(r->edu.edu, 0x40));
	MUST(edu_irq_wait(r->edu.edu, 10000, &bits));
	assert_true(bits & 0x40);
	must_be_quiet(r);
	MUST(edu_irq_disable(r->edu.edu));
	MUST(weir_hwpt_attach(r->nested, r->edu.dev));
	MUST(weir_hwpt_free(hwpt));
}

/* The first is good, the second none of a guest's: what is said to be done is done. */
static void invalidations_are_done_as_counted(void **state)
{
	const struct weir_smmuv3_command commands[] = {
		stage1_forget(VA),
		{ { htole64(0x03), 0 } },	/* CMD_CFGI_STE */
	};
	struct rig *r = *state;
	size_t done;

	must_copy(r, VA, A, VA + PAGE, B, 0x81);
	memset(ram(r, C), 0x82, PAGE);
	stage1_set(&r->stage1, VA, guest(C), STAGE1_LEAF);
	must_fail(weir_viommu_invalidate(r->viommu, WEIR_INVALIDATE_SMMUV3, commands,
					 sizeof(commands[0]), 2, &done), -EIO,
		  "invalidation 1 of 2");
	assert_int_equal(done, 1);
	copy(r->edu.edu, VA, VA + PAGE);
	assert_memory_equal(ram(r, C), ram(r, B), PAGE);
	must_fail(weir_viommu_invalidate(r->viommu, WEIR_INVALIDATE_SMMUV3, commands + 1,
					 sizeof(commands[0]), 1, &done), -EIO,
		  "invalidation 0 of 1");
	assert_int_equal(done, 0);
	must_fail(weir_viommu_invalidate(r->viommu, WEIR_INVALIDATE_VTD_S1, NULL, 0, 0, NULL),
		  -EINVAL, "the IOMMU hasn't got them");
	must_fail(weir_viommu_invalidate(r->viommu, WEIR_INVALIDATE_SMMUV3, NULL, 0, 0, NULL),
		  -EINVAL, "can't be asked");
}

/* What a guest may say of its stage 1 (section 4.1), all at once; and of a stream it hasn't got. */
static void guests_commands(void **state)
{
	const uint64_t stream = (uint64_t)STREAM << 32, asid = (uint64_t)STAGE1_ASID << 48;
	const struct weir_smmuv3_command commands[] = {
		{ { htole64(0x30) } },			/* CMD_TLBI_NSNH_ALL */
		{ { htole64(0x10) } },			/* CMD_TLBI_NH_ALL */
		{ { htole64(0x11 | asid) } },		/* CMD_TLBI_NH_ASID */
		stage1_forget(VA),
		{ { htole64(0x13), htole64(VA) } },	/* CMD_TLBI_NH_VAA */
		{ { htole64(0x05 | stream) } },		/* CMD_CFGI_CD */
		{ { htole64(0x06 | stream) } },		/* CMD_CFGI_CD_ALL */
		{ { htole64(0x06 | (stream + stream)) } },
	};
	struct rig *r = *state;
	size_t done;

	must_copy(r, VA, A, VA + PAGE, B, 0x85);
	stage1_set(&r->stage1, VA, guest(C), STAGE1_LEAF);
	MUST(weir_viommu_invalidate(r->viommu, WEIR_INVALIDATE_SMMUV3, commands,
				    sizeof(commands[0]), 7, &done));
	assert_int_equal(done, 7);
	must_copy(r, VA, C, VA + PAGE, B, 0x86);
	must_fail(weir_viommu_invalidate(r->viommu, WEIR_INVALIDATE_SMMUV3, commands,
					 sizeof(commands[0]), 8, &done), -EIO,
		  "invalidation 7 of 8");
	assert_int_equal(done, 7);
}

/* Those of one guest have one vIOMMU, and may have one stage 1. A group is attached as a whole. */
static void devices_share_a_viommu(void **state)
{
	struct rig *r = *state;
	struct opened pair[2] = { open_edu(r->iommu, device("WEIR_TEST_PAIR0"), r->as) };
	struct weir_vdevice *numbers[2];

	MUST(weir_vdevice_alloc(r->viommu, pair[0].dev, STREAM + 1, &numbers[0]));
	must_fail(weir_hwpt_attach(r->nested, pair[0].dev), -ENOENT, "isn't open");
	MUST(weir_vdevice_free(numbers[0]));
	pair[1] = open_edu(r->iommu, device("WEIR_TEST_PAIR1"), r->as);
	must_fail(weir_hwpt_attach(r->nested, pair[0].dev), -EINVAL, "no number for");
	for (unsigned int i = 0; i < 2; i++)
		MUST(weir_vdevice_alloc(r->viommu, pair[i].dev, STREAM + 1 + i, &numbers[i]));
	MUST(weir_hwpt_attach(r->nested, pair[0].dev));
	memset(ram(r, A), 0xb1, PAGE);
	memset(ram(r, C), 0xb2, PAGE);
	for (unsigned int i = 0; i < 2; i++) {
		copy(pair[i].edu, VA, VA + PAGE);
		must_be_filled(r, B, 0xb1);
		must_tell_of(r, pair[i].edu, STREAM + 1 + i, 0x10, VA + 2 * PAGE, true);
	}
	stage1_set(&r->stage1, VA, guest(C), STAGE1_LEAF);
	forget(r, VA);
	for (unsigned int i = 0; i < 2; i++) {
		memset(ram(r, B), 0, PAGE);
		copy(pair[i].edu, VA, VA + PAGE);
		must_be_filled(r, B, 0xb2);
	}
	must_tell(r, 0x10, VA + 2 * PAGE, true);
	MUST(weir_hwpt_detach(r->nested, pair[0].dev));
	for (unsigned int i = 0; i < 2; i++) {
		MUST(weir_vdevice_free(numbers[i]));
		close_edu(pair[i]);
	}
}

/* ---- orders ---- */

static void nothing_goes_before_what_is_made_of_it(void **state)
{
	struct weir_vdevice *vdevice;
	struct weir_eventq *events;
	struct rig *r = *state;

	must_fail(weir_vdevice_alloc(r->viommu, r->edu.dev, STREAM + 1, &vdevice), -EEXIST,
		  "has a virtual device already");
	must_fail(weir_eventq_open(r->viommu, WEIR_EVENTQ_SMMUV3, 0, 4, &events), -EEXIST,
		  "has an event queue of type 1 already");
	must_fail(weir_hwpt_free(r->nested), -EBUSY, "is attached to it");
	must_fail(weir_viommu_free(r->viommu), -EBUSY, "3 nested page tables, virtual devices");
	must_fail(weir_hwpt_free(r->parent), -EBUSY, "are made from it");
	MUST(edu_close(r->edu.edu));
	must_fail(weir_device_close(r->edu.dev), -EBUSY, "a virtual device is made of it");
	MUST(edu_open(r->edu.dev, &r->edu.edu));
	must_copy(r, VA, A, VA + PAGE, B, 0x91);
}

static void entries_that_cant_be(void **state)
{
	struct weir_nested bad[] = { stage1_none(6), stage1_none(4), stage1_none(4) };
	static const char *const why[] = { "Config is 6", "EATS is 2", "bits that a guest" };
	struct weir_nested nested;
	struct weir_hwpt *hwpt;
	struct rig *r = *state;

	bad[1].u.smmuv3.ste[1] = htole64(2u << 28);
	bad[2].u.smmuv3.ste[1] = htole64(UINT64_C(1) << 40);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		must_fail(weir_viommu_nest(r->viommu, r->edu.dev, &bad[i], NULL, &hwpt), -EINVAL,
			  why[i]);
	nested = stage1_nested(&r->stage1);
	must_fail(weir_hwpt_nest(r->parent, r->edu.dev, &nested, NULL, &hwpt), -ENOTSUP,
		  "weir_viommu_nest()");
}

static void wrong_orders_while_it_is_built(void **state)
{
	static struct rig r;
	struct weir_nested nested;
	struct weir_viommu *viommu;
	struct weir_hwpt *plain;

	(void)state;
	open_guest(&r);
	MUST(weir_hwpt_alloc(r.as, r.edu.dev, NULL, &plain));
	must_fail(weir_viommu_alloc(plain, r.edu.dev, WEIR_VIOMMU_SMMUV3, NULL, 0, &viommu),
		  -EINVAL, "is no nest parent");
	MUST(weir_hwpt_free(plain));
	open_viommu(&r);
	must_fail(weir_viommu_alloc(r.parent, r.edu.dev, WEIR_VIOMMU_TEGRA241_CMDQV, NULL, 0,
				    &viommu), -ENOTSUP, "no vIOMMU of type 2");
	nested = stage1_nested(&r.stage1);
	r.nested = nest(&r, &nested);
	must_fail(weir_hwpt_attach(r.nested, r.edu.dev), -EINVAL, "weir_vdevice_alloc()");
	must_copy(&r, guest(A), A, guest(B), B, 0xa1);
	MUST(weir_hwpt_free(r.nested));
	close_viommu(&r);
	close_guest(&r);
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_RIG(dma_goes_through_both_stages),
		ON_RIG(changed_entry_counts_after_the_invalidation),
		ON_RIG(removed_entry_is_an_event),
		ON_RIG(read_only_entry_is_another_event),
		ON_RIG(stage_2_still_holds),
		ON_RIG(events_that_are_lost_are_counted),
		ON_RIG(entries_without_a_stage_1),
		ON_RIG(back_to_the_automatic_table),
		ON_RIG(interrupts_go_through_both_stages),
		ON_RIG(invalidations_are_done_as_counted),
		ON_RIG(guests_commands),
		ON_RIG(devices_share_a_viommu),
		ON_RIG(nothing_goes_before_what_is_made_of_it),
		ON_RIG(entries_that_cant_be),
		cmocka_unit_test(wrong_orders_while_it_is_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
