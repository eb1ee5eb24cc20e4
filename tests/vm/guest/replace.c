/* SPDX-License-Identifier: MIT */
/*
 * Page tables replaced under devices at work. The kernel promises that DMA goes by the old table,
 * by the new one, or nowhere (__iommu_group_set_domain_internal() in drivers/iommu/iommu.c). The
 * drivers of VT-d and AMD-Vi block it for a moment, and virtio-iommu's until all is mapped anew,
 * unless another device uses the table, too.
 *
 * Edus copy while tables are replaced as fast as can be, and each byte must be one of those three.
 * An NVMe, which fails when it is blocked, shows what loses nothing anywhere: mappings that come
 * and go beside what it uses, and tables replaced between its commands.
 */
#include <pthread.h>

#include "drivers/nvme/nvme.h"
#include "tests/vm/guest/guest.h"

#define EDUS		2
#define COPIES		8		/* of each edu in one test, at least */
#define TIMES		200		/* that something is replaced, at least */
#define UNTOUCHED	0x5a

#define LANES		16
#define PAGES		4		/* of an NVMe's command */
#define SIZE		((size_t)PAGES * PAGE)

/* An edu that copies from @from to @to, where @target is. At @from is one page in one address
 * space, and another one in the other. */
struct copier {
	struct opened edu;
	unsigned char *first, *second, *target;
	weir_iova from, to;
	unsigned int seed;
	pthread_t thread;
	bool stop;
	unsigned int copies;		/* all of them, and what they were */
	unsigned int by_first, by_second, mixed, blocked, wrong;
	int error;
};

struct lane {
	struct flow *flow;
	unsigned char *out, *in;
	uint64_t lba;
};

/* An NVMe that writes what is in @out and reads it into @in, in all lanes at once. */
struct flow {
	struct weir_device *dev;
	struct nvme *nvme;
	struct nvme_queue *queue;
	struct nvme_ns ns;
	struct weir_mem *mem;
	struct lane lanes[LANES];
	uint64_t seed;
	pthread_t thread;
	bool stop;
	unsigned long commands;		/* that ended well */
	unsigned long wrong;		/* pages */
	int error;
	char why[256];
};

struct rig {
	struct weir_iommu *iommu;
	struct weir_ioas *as, *other;	/* the NVMe's memory is in both, at the same IOVAs */
	struct weir_hwpt *tables[2];	/* of @as */
	struct copier copiers[EDUS];
	struct opened behind;
	struct flow flow;
	bool virtio;
	int log;			/* the kernel's */
};

/* DMA faults that the kernel has logged since the last call; of many it leaves most out. */
static int logged_faults(struct rig *r)
{
	static const char *const faults[] = { "fault addr", "IO_PAGE_FAULT", "page fault from EP" };
	char record[8192];
	int found = 0;
	ssize_t len;

	/* They are logged by an interrupt. */
	usleep(50000);
	for (;;) {
		len = read(r->log, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)
			continue;	/* overwritten before it was read */
		if (len <= 0)
			return found;
		record[len] = '\0';
		for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
			found += strstr(record, faults[i]) != NULL;
	}
}

/* ---- edus ---- */

static void fill(struct copier *c)
{
	c->seed++;
	for (size_t i = 0; i < PAGE; i++) {
		c->first[i] = (unsigned char)(c->seed * 41 + i * 7 + (i >> 8) * 13);
		c->second[i] = (unsigned char)~c->first[i];
	}
	memset(c->target, UNTOUCHED, PAGE);
}

/* Where QEMU's edu can't read it gets zeros. */
static void judge(struct copier *c)
{
	size_t first = 0, second = 0, none = 0;

	for (size_t i = 0; i < PAGE; i++) {
		if (c->target[i] == c->first[i])
			first++;
		else if (c->target[i] == c->second[i])
			second++;
		else if (c->target[i] == UNTOUCHED || !c->target[i])
			none++;
	}
	if (first + second + none != PAGE)
		c->wrong++;
	else if (none)
		c->blocked++;
	else if (first && second)
		c->mixed++;
	else if (first)
		c->by_first++;
	else
		c->by_second++;
	__atomic_add_fetch(&c->copies, 1, __ATOMIC_RELAXED);
}

static int copy(struct copier *c)
{
	int ret;

	fill(c);
	ret = edu_dma(c->edu.edu, c->from, 0, PAGE, true);
	if (!ret)
		ret = edu_dma(c->edu.edu, c->to, 0, PAGE, false);
	if (ret)
		return ret;
	judge(c);
	return 0;
}

static void *copy_on(void *arg)
{
	struct copier *c = arg;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED) && !c->error)
		c->error = copy(c);
	return NULL;
}

static void start_copying(struct copier *c)
{
	c->copies = c->by_first = c->by_second = c->mixed = c->blocked = c->wrong = 0;
	c->stop = false;
	assert_int_equal(pthread_create(&c->thread, NULL, copy_on, c), 0);
}

static void stop_copying(struct copier *c, struct copier *sum)
{
	__atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
	pthread_join(c->thread, NULL);
	assert_int_equal(c->error, 0);
	sum->copies += c->copies;
	sum->by_first += c->by_first;
	sum->by_second += c->by_second;
	sum->mixed += c->mixed;
	sum->blocked += c->blocked;
	sum->wrong += c->wrong;
}

static bool copied_enough(const struct rig *r)
{
	bool enough = true;

	for (int i = 0; i < EDUS; i++)
		enough &= __atomic_load_n(&r->copiers[i].copies, __ATOMIC_RELAXED) >= COPIES ||
			  __atomic_load_n(&r->copiers[i].error, __ATOMIC_RELAXED);
	return enough;
}

/* At rest, where it was in the beginning, it goes by the first again. */
static void must_copy(struct copier *c)
{
	c->by_first = 0;
	assert_int_equal(copy(c), 0);
	assert_int_equal(c->by_first, 1);
}

/* What the edus did while @replace went on, an even number of times. Returns it for all of them. */
static struct copier storm(struct rig *r, void (*replace)(struct rig *r, int i), const char *what)
{
	struct copier sum = { 0 };
	int times = 0, faults;

	logged_faults(r);
	for (int i = 0; i < EDUS; i++)
		start_copying(&r->copiers[i]);
	while (!copied_enough(r) || times < TIMES || times % 2)
		replace(r, times++);
	for (int i = 0; i < EDUS; i++)
		stop_copying(&r->copiers[i], &sum);
	faults = logged_faults(r);
	print_message("# %s %d times: of %u copies %u went by the one, %u by the other, %u by "
		      "both, %u were blocked; %d faults in the kernel's log\n", what, times,
		      sum.copies, sum.by_first, sum.by_second, sum.mixed, sum.blocked, faults);
	assert_int_equal(sum.wrong, 0);
	for (int i = 0; i < EDUS; i++)
		must_copy(&r->copiers[i]);
	return sum;
}

/* ---- the NVMe ---- */

static void ended_badly(struct flow *f, int error)
{
	if (!f->error)
		snprintf(f->why, sizeof(f->why), "%s", nvme_errmsg());
	f->error = error;
}

static void was_read(void *arg, int result)
{
	struct lane *lane = arg;

	if (result) {
		ended_badly(lane->flow, result);
		return;
	}
	lane->flow->commands++;
	for (size_t at = 0; at < SIZE; at += PAGE)
		lane->flow->wrong += memcmp(lane->in + at, lane->out + at, PAGE) != 0;
}

static void submit(struct lane *lane, enum nvme_op op, void *buf, nvme_done_fn done)
{
	struct flow *f = lane->flow;
	int ret = nvme_submit(f->queue, op, &f->ns, lane->lba, buf, SIZE, done, lane);

	if (ret)
		ended_badly(f, ret);
}

static void was_written(void *arg, int result)
{
	struct lane *lane = arg;

	if (result) {
		ended_badly(lane->flow, result);
		return;
	}
	lane->flow->commands++;
	memset(lane->in, UNTOUCHED, SIZE);
	submit(lane, NVME_READ, lane->in, was_read);
}

/* A write and a read in each lane. */
static void go_round(struct flow *f)
{
	int ret = 0;

	for (struct lane *lane = f->lanes; lane < f->lanes + LANES && !f->error; lane++) {
		uint64_t *words = (uint64_t *)lane->out;

		for (size_t i = 0; i < SIZE / sizeof(*words); i++)
			words[i] = f->seed += 0x9e3779b97f4a7c15;
		submit(lane, NVME_WRITE, lane->out, was_written);
	}
	while (ret >= 0 && nvme_outstanding(f->queue))
		ret = nvme_wait(f->queue);
	if (ret < 0)
		ended_badly(f, ret);
}

static void *flow_on(void *arg)
{
	struct flow *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED) && !f->error && !f->wrong)
		go_round(f);
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	return NULL;
}

static void reset_counts(struct flow *f)
{
	f->commands = f->wrong = 0;
	f->error = 0;
	f->stop = false;
}

static void start_flow(struct flow *f)
{
	reset_counts(f);
	assert_int_equal(pthread_create(&f->thread, NULL, flow_on, f), 0);
}

static bool flows(const struct flow *f)
{
	return !__atomic_load_n(&f->stop, __ATOMIC_RELAXED);
}

static void stop_flow(struct flow *f)
{
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	pthread_join(f->thread, NULL);
}

static void assert_right(const struct flow *f)
{
	if (f->error || f->wrong)
		fail_msg("%lu pages are wrong, %d: %s", f->wrong, f->error,
			 f->error ? f->why : "no command failed");
	assert_true(f->commands > TIMES);
}

/* ---- the rig ---- */

#define NVME_MUST(call) \
	do { \
		int ret_ = (call); \
\
		if (ret_) \
			fail_msg("line %d: %s: %d, %s", __LINE__, #call, ret_, nvme_errmsg()); \
	} while (0)

static void open_flow(struct rig *r)
{
	const struct weir_device_opts opts = { .ioas = r->as };
	const struct nvme_opts how = { .timeout_ms = 5000 };
	struct flow *f = &r->flow;

	*f = (struct flow){ .seed = 1 };
	MUST(weir_device_open(r->iommu, device("WEIR_TEST_NVME"), &opts, &f->dev));
	NVME_MUST(nvme_open(f->dev, &how, &f->nvme));
	NVME_MUST(nvme_namespace(f->nvme, 1, &f->ns));
	NVME_MUST(nvme_queue_open(f->nvme, LANES, &f->queue));
	MUST(weir_mem_alloc(r->as, 2 * LANES * SIZE, NULL, &f->mem));
	for (unsigned int i = 0; i < LANES; i++)
		f->lanes[i] = (struct lane){
			.flow = f, .lba = i * SIZE / f->ns.block_size,
			.out = (unsigned char *)weir_mem_ptr(f->mem) + i * SIZE,
			.in = (unsigned char *)weir_mem_ptr(f->mem) + (LANES + i) * SIZE,
		};
}

static void open_copier(struct rig *r, struct copier *c, const char *name)
{
	const struct weir_map_opts fixed = { .fixed = true };

	*c = (struct copier){ .edu = open_edu(r->iommu, device(name), r->as) };
	c->first = page_of(0, 1);
	c->second = page_of(0, 1);
	c->target = page_of(0, 1);
	MUST(weir_ioas_map(r->as, c->first, PAGE, NULL, &c->from));
	MUST(weir_ioas_map(r->as, c->target, PAGE, NULL, &c->to));
	MUST(weir_ioas_map(r->other, c->second, PAGE, &fixed, &c->from));
	MUST(weir_ioas_map(r->other, c->target, PAGE, &fixed, &c->to));
}

static void close_copier(struct copier *c)
{
	close_edu(c->edu);
	munmap(c->first, PAGE);
	munmap(c->second, PAGE);
	munmap(c->target, PAGE);
}

/* All that is mapped in one address space in another one, too, at the same IOVAs; but so that
 * devices can't write there where it starts at one of these. */
static void copy_mappings(struct weir_ioas *from, struct weir_ioas *to, const void *read_only,
			  const void *read_only_too)
{
	const weir_iova end = (weir_iova)64 << 20;
	weir_iova iova = PAGE;

	while (iova < end) {
		struct weir_map_opts opts = { .fixed = true };
		size_t len = PAGE;
		void *vaddr;

		if (!weir_ioas_to_vaddr(from, iova, &vaddr, &len)) {
			if (vaddr == read_only || vaddr == read_only_too)
				opts.dir = WEIR_DMA_TO_DEVICE;
			MUST(weir_ioas_copy(to, from, iova, len, &opts, &iova));
		} else {
			len = PAGE;
		}
		iova += len;
	}
}

static int setup(void **state)
{
	struct weir_hw_info info;
	static struct rig r;

	r.iommu = open_iommu("iommufd");
	MUST(weir_ioas_open(r.iommu, &r.as));
	MUST(weir_ioas_open(r.iommu, &r.other));
	open_flow(&r);
	copy_mappings(r.as, r.other, NULL, NULL);
	open_copier(&r, &r.copiers[0], "WEIR_TEST_EDU");
	open_copier(&r, &r.copiers[1], "WEIR_TEST_PAIR0");
	r.behind = open_edu(r.iommu, device("WEIR_TEST_BEHIND"), r.as);
	for (int i = 0; i < 2; i++)
		MUST(weir_hwpt_alloc(r.as, r.flow.dev, NULL, &r.tables[i]));
	r.log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(r.log >= 0 && lseek(r.log, 0, SEEK_END) >= 0);
	MUST(weir_device_hw_info(r.flow.dev, WEIR_HW_NONE, &info));
	r.virtio = info.type == WEIR_HW_NONE;
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	close(r->log);
	for (int i = 0; i < EDUS; i++)
		close_copier(&r->copiers[i]);
	close_edu(r->behind);
	/* The NVMe's memory can't be freed while it is mapped there, too. */
	MUST(weir_ioas_unmap_all(r->other));
	NVME_MUST(nvme_queue_close(r->flow.queue));
	NVME_MUST(nvme_close(r->flow.nvme));
	MUST(weir_mem_free(r->flow.mem));
	MUST(weir_device_close(r->flow.dev));
	for (int i = 0; i < 2; i++)
		MUST(weir_hwpt_free(r->tables[i]));
	MUST(weir_ioas_close(r->other));
	MUST(weir_ioas_close(r->as));
	MUST(weir_iommu_close(r->iommu));
	return 0;
}

/* ---- the tests ---- */

static void attach_edus(struct rig *r, int i)
{
	for (int e = 0; e < EDUS; e++)
		MUST(weir_hwpt_attach(r->tables[i % 2], r->copiers[e].edu.dev));
}

static void tables_of_one_space(void **state)
{
	struct rig *r = *state;
	struct copier sum = storm(r, attach_edus, "replaced");

	assert_int_equal(sum.by_second + sum.mixed, 0);
	for (int i = 0; i < EDUS; i++)
		MUST(weir_hwpt_detach(r->tables[1], r->copiers[i].edu.dev));
}

static void tables_that_others_use(void **state)
{
	struct rig *r = *state;
	struct copier sum;

	MUST(weir_hwpt_attach(r->tables[0], r->behind.dev));
	MUST(weir_hwpt_attach(r->tables[1], r->flow.dev));
	sum = storm(r, attach_edus, "replaced, with others on both tables,");
	assert_int_equal(sum.by_second + sum.mixed, 0);
	assert_true(!r->virtio || !sum.blocked);
	for (int i = 0; i < EDUS; i++)
		MUST(weir_hwpt_detach(r->tables[1], r->copiers[i].edu.dev));
	MUST(weir_hwpt_detach(r->tables[0], r->behind.dev));
	MUST(weir_hwpt_detach(r->tables[1], r->flow.dev));
}

static void move_edus(struct rig *r, int i)
{
	for (int e = 0; e < EDUS; e++)
		MUST(weir_device_move(r->copiers[e].edu.dev, i % 2 ? r->as : r->other));
}

static void two_spaces(void **state)
{
	storm(*state, move_edus, "moved to another address space or back");
}

static void spaces_that_others_use(void **state)
{
	struct rig *r = *state;
	struct copier sum;

	/* One is in each of them. */
	MUST(weir_device_move(r->flow.dev, r->other));
	sum = storm(r, move_edus, "moved, with others in both address spaces,");
	assert_true(!r->virtio || !sum.blocked);
	MUST(weir_device_move(r->flow.dev, r->as));
}

/* Where it is at rest, it is known which memory it reaches. */
static void each_is_where_it_is_put(void **state)
{
	struct rig *r = *state;
	struct copier *c = r->copiers;

	c->by_first = c->by_second = 0;
	for (unsigned int i = 0; i < 6; i++) {
		move_edus(r, (int)i);
		assert_int_equal(copy(c), 0);
		assert_int_equal(c->by_second, i / 2 + 1);
		assert_int_equal(c->by_first, (i + 1) / 2);
	}
}

/* What is mapped and unmapped beside what a device uses doesn't touch it. */
static void mappings_come_and_go(void **state)
{
	struct rig *r = *state;
	unsigned char *more = page_of(0, 512);
	weir_iova iova;

	start_flow(&r->flow);
	for (int i = 0; i < TIMES; i++) {
		MUST(weir_ioas_map(r->as, more, 512 * PAGE, NULL, &iova));
		usleep(1000);
		MUST(weir_ioas_unmap(r->as, iova, 512 * PAGE));
	}
	stop_flow(&r->flow);
	print_message("# mapped and unmapped %d times: %lu commands of %u pages were right\n",
		      TIMES, r->flow.commands, PAGES);
	assert_right(&r->flow);
	assert_int_equal(logged_faults(r), 0);
	munmap(more, 512 * PAGE);
}

/* One replacement of many under the NVMe, which ends where it began after five. */
static void replace_nvme(struct rig *r, int i)
{
	struct weir_device *dev = r->flow.dev;

	switch (i % 5) {
	case 0:
		MUST(weir_device_move(dev, r->other));
		break;
	case 1:
		MUST(weir_device_move(dev, r->as));
		break;
	case 2:
	case 3:
		MUST(weir_hwpt_attach(r->tables[i % 5 - 2], dev));
		break;
	default:
		MUST(weir_hwpt_detach(r->tables[1], dev));
	}
}

static void between_commands(void **state)
{
	struct rig *r = *state;
	struct flow *f = &r->flow;

	reset_counts(f);
	for (int i = 0; i < TIMES; i++) {
		go_round(f);
		replace_nvme(r, i);
	}
	print_message("# %d replaced between commands: %lu of %u pages were right\n", TIMES,
		      f->commands, PAGES);
	assert_right(f);
	assert_int_equal(logged_faults(r), 0);
}

/*
 * Blocked for a moment, QEMU's NVMe takes what it doesn't reach for zeros, ends a command with an
 * error, or stops. Its driver learns of the latter two, and then resets it. Where nothing is
 * blocked nothing happens.
 */
static void under_commands(void **state)
{
	struct rig *r = *state;
	struct flow *f = &r->flow;
	int times = 0;

	MUST(weir_hwpt_attach(r->tables[0], r->behind.dev));
	MUST(weir_hwpt_attach(r->tables[1], r->copiers[0].edu.dev));
	MUST(weir_hwpt_attach(r->tables[0], f->dev));
	start_flow(f);
	while (times < TIMES && flows(f)) {
		MUST(weir_hwpt_attach(r->tables[++times % 2], f->dev));
		usleep(1000);
	}
	stop_flow(f);
	print_message("# replaced %d times under commands: %lu of %u pages ended well; %lu pages "
		      "wrong, %s\n", times, f->commands, PAGES, f->wrong,
		      f->error ? f->why : "no command failed");
	if (r->virtio) {
		assert_right(f);
		assert_int_equal(logged_faults(r), 0);
	}
	NVME_MUST(nvme_reset(f->nvme));
	reset_counts(f);
	while (f->commands <= TIMES && !f->error)
		go_round(f);
	assert_right(f);
	MUST(weir_hwpt_detach(r->tables[times % 2], f->dev));
	MUST(weir_hwpt_detach(r->tables[0], r->behind.dev));
	MUST(weir_hwpt_detach(r->tables[1], r->copiers[0].edu.dev));
}

/* That the tests above would fail: tables by which devices can't write. */
static void what_is_missing_is_noticed(void **state)
{
	struct rig *r = *state;
	struct flow *f = &r->flow;
	struct copier *c = r->copiers;
	struct weir_ioas *narrow;

	MUST(weir_ioas_open(r->iommu, &narrow));
	copy_mappings(r->as, narrow, weir_mem_ptr(f->mem), c->target);
	MUST(weir_device_move(f->dev, narrow));
	reset_counts(f);
	go_round(f);
	assert_int_equal(f->error, 0);
	assert_int_equal(f->wrong, LANES * PAGES);
	MUST(weir_device_move(c->edu.dev, narrow));
	c->blocked = 0;
	assert_int_equal(copy(c), 0);
	assert_int_equal(c->blocked, 1);
	MUST(weir_device_move(c->edu.dev, r->as));
	MUST(weir_device_move(f->dev, r->as));
	MUST(weir_ioas_unmap_all(narrow));
	MUST(weir_ioas_close(narrow));
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	/* Those without faults first: the kernel logs few of many. */
	const struct CMUnitTest tests[] = {
		ON_RIG(mappings_come_and_go),
		ON_RIG(between_commands),
		ON_RIG(each_is_where_it_is_put),
		ON_RIG(tables_that_others_use),
		ON_RIG(spaces_that_others_use),
		ON_RIG(under_commands),
		ON_RIG(tables_of_one_space),
		ON_RIG(two_spaces),
		ON_RIG(what_is_missing_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
