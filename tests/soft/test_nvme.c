/* SPDX-License-Identifier: MIT */
/*
 * The NVMe driver over a model that is strict, beside its own thread, and sometimes ill: contents
 * are compared with what the model's disks hold, and whatever goes wrong must end, be said, and
 * leave nothing that touches memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/nvme/nvme.h"
#include "drivers/nvme/spec.h"
#include "tests/soft/nvme_model.h"

#define MEM	(2 * NVME_MODEL_DISK)
#define DEPTH	8

struct fixture {
	struct weir_model *model;
	struct weir_device *dev;
	struct weir_ioas *as;
	struct weir_mem *mem;
	uint8_t *data;
	struct nvme *nvme;
	struct nvme_queue *queue;
	struct nvme_ns small, large;	/* namespaces 1 and 2 */
};

static void fill(uint8_t *data, size_t len)
{
	static uint32_t state = 12345;

	for (size_t i = 0; i < len; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = (uint8_t)(state >> 24);
	}
}

static void plug(struct fixture *f, const struct nvme_model_opts *opts)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(nvme_model_create(opts, &f->model), 0);
	assert_int_equal(weir_device_open_model(NULL, f->model, NULL, &f->dev), 0);
	f->as = weir_device_ioas(f->dev);
	assert_int_equal(weir_mem_alloc(f->as, MEM, NULL, &f->mem), 0);
	f->data = weir_mem_ptr(f->mem);
}

static void must(int ret)
{
	if (ret)
		fail_msg("%d: %s", ret, nvme_errmsg());
}

static void start(struct fixture *f, const struct nvme_opts *opts)
{
	must(nvme_open(f->dev, opts, &f->nvme));
	must(nvme_queue_open(f->nvme, DEPTH, &f->queue));
	must(nvme_namespace(f->nvme, 1, &f->small));
	must(nvme_namespace(f->nvme, 2, &f->large));
}

static void bus_master_is(struct fixture *f, bool on)
{
	uint16_t command;

	assert_int_equal(weir_config_read16(f->dev, 4, &command), 0);
	assert_int_equal(command & 4, on ? 4 : 0);
}

/* Whatever happened: no fault, no rule broken, nothing left. */
static void unplug(struct fixture *f)
{
	struct weir_fault fault;

	assert_int_equal(weir_ioas_faults(f->as, &fault, 1), 0);
	assert_string_equal(nvme_model_complaint(f->model), "");
	assert_int_equal(weir_mem_free(f->mem), 0);
	assert_int_equal(weir_device_close(f->dev), 0);
	assert_int_equal(nvme_model_destroy(f->model), 0);
}

static void stop(struct fixture *f)
{
	must(nvme_queue_close(f->queue));
	must(nvme_close(f->nvme));
	bus_master_is(f, false);
	assert_true(nvme_model_was_shut_down(f->model));
	unplug(f);
}

/* ---- what isn't to be opened ---- */

static void refused(const struct nvme_model_opts *how, enum nvme_trouble trouble,
		    const struct nvme_opts *opts, int error, const char *word)
{
	struct nvme *nvme = NULL;
	struct fixture f;

	plug(&f, how);
	nvme_model_trouble(f.model, trouble);
	assert_int_equal(nvme_open(f.dev, opts, &nvme), error);
	assert_null(nvme);
	assert_non_null(strstr(nvme_errmsg(), word));
	bus_master_is(&f, false);
	assert_int_equal(weir_irq_fd(f.dev, WEIR_IRQ_MSIX, 0), -EINVAL);
	unplug(&f);
}

static void test_refused(void **state)
{
	const struct nvme_opts irq = { .irq = true }, two = { .queues = 2 },
		five = { .queues = 5, .irq = true }, many = { .queues = 65536 },
		thousand = { .queues = 4096 };

	(void)state;
	refused(&(struct nvme_model_opts){ .class_code = 0x010801 }, NVME_GOOD, NULL, -ENODEV,
		"0x010801");
	refused(&(struct nvme_model_opts){ .no_nvm = true }, NVME_GOOD, NULL, -ENOTSUP,
		"NVM command set");
	refused(&(struct nvme_model_opts){ .page_shift = 20 }, NVME_GOOD, NULL, -ENOTSUP,
		"1024 KiB");
	refused(&(struct nvme_model_opts){ .no_msix = true }, NVME_GOOD, &irq, -ENOTSUP, "MSI-X");
	refused(NULL, NVME_GOOD, &five, -ENOSPC, "need 6");
	refused(NULL, NVME_GOOD, &many, -EINVAL, "65536");
	refused(NULL, NVME_GOOD, &thousand, -ENOSPC, "doorbells");
	refused(&(struct nvme_model_opts){ .queues = 1 }, NVME_GOOD, &two, -ENOSPC,
		"1 I/O queues, not 2");
	refused(NULL, NVME_NEVER_READY, NULL, -ETIMEDOUT, "isn't ready");
	assert_int_equal(nvme_close(NULL), 0);
	assert_int_equal(nvme_queue_close(NULL), 0);
}

/* ---- what it says of itself ---- */

static void test_identify(void **state)
{
	struct nvme_info info;
	uint32_t ids[8] = { 0 };
	struct nvme_ns ns;
	struct fixture f;

	(void)state;
	plug(&f, NULL);
	start(&f, NULL);
	nvme_info(f.nvme, &info);
	assert_string_equal(info.serial, "S 1");
	assert_string_equal(info.model, "a model of a model with 40 bytes of name");
	assert_string_equal(info.firmware, "f1");
	assert_int_equal(info.vendor, 0x1234);
	assert_int_equal(info.version, 0x20000);
	assert_int_equal(info.namespaces, 4);
	assert_int_equal(info.mdts, 32768);
	assert_int_equal(info.max_transfer, 32768);
	assert_int_equal(info.max_depth, NVME_MODEL_MQES);
	assert_int_equal(info.ready_ms, 2000);
	assert_true(info.write_cache);

	assert_int_equal(nvme_namespaces(f.nvme, 0, ids, 8), 3);
	assert_int_equal(ids[0], 1);
	assert_int_equal(ids[1], 2);
	assert_int_equal(ids[2], 4);
	assert_int_equal(nvme_namespaces(f.nvme, 2, ids, 8), 1);
	assert_int_equal(ids[0], 4);
	assert_int_equal(nvme_namespaces(f.nvme, 0, ids, 2), 2);
	assert_int_equal(nvme_namespaces(f.nvme, 4, ids, 8), 0);

	assert_int_equal(f.small.block_size, 512);
	assert_true(f.small.blocks == NVME_MODEL_DISK / 512);
	assert_true(f.small.used == 7);
	assert_int_equal(f.large.block_size, 4096);
	assert_int_equal(f.large.metadata, 0);
	assert_int_equal(nvme_namespace(f.nvme, 4, &ns), 0);
	assert_int_equal(ns.metadata, 8);
	assert_int_equal(nvme_namespace(f.nvme, 0, &ns), -ENOENT);
	assert_int_equal(nvme_namespace(f.nvme, 3, &ns), -ENOENT);
	assert_int_equal(nvme_namespace(f.nvme, 5, &ns), -ENOENT);
	assert_non_null(strstr(nvme_errmsg(), "no namespace 5"));
	stop(&f);
}

/* ---- data ---- */

/* Writes and reads back a part of a disk, from memory at @offset, and not a byte beside it. */
static void both_ways(struct fixture *f, const struct nvme_ns *ns, uint64_t lba, size_t len,
		      size_t offset)
{
	uint8_t *disk = nvme_model_disk(f->model, ns->id) + lba * ns->block_size;
	uint8_t *from = f->data + offset, *to = from + NVME_MODEL_DISK;

	fill(from, len);
	must(nvme_write(f->queue, ns, lba, from, len));
	assert_memory_equal(disk, from, len);
	fill(disk, len);
	memset(f->data + NVME_MODEL_DISK, 0xee, NVME_MODEL_DISK);
	must(nvme_read(f->queue, ns, lba, to, len));
	assert_memory_equal(to, disk, len);
	if (offset)
		assert_int_equal(to[-1], 0xee);
	if (offset + len < NVME_MODEL_DISK)
		assert_int_equal(to[len], 0xee);
	assert_int_equal(nvme_outstanding(f->queue), 0);
}

static void all_sizes(struct fixture *f)
{
	static const size_t offsets[] = { 0, 4, 508, 512, 2048, 4092 };

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		both_ways(f, &f->small, 3, 512, offsets[i]);
		both_ways(f, &f->small, 77, 4096, offsets[i]);
		both_ways(f, &f->small, 78, 4608, offsets[i]);
		both_ways(f, &f->small, 5, 32768, offsets[i]);
		both_ways(f, &f->small, 6, 33280, offsets[i]);
		both_ways(f, &f->large, 9, 4096, offsets[i]);
		both_ways(f, &f->large, 10, 12288, offsets[i]);
		both_ways(f, &f->large, 1, 1 << 20, offsets[i]);
	}
	both_ways(f, &f->small, 0, NVME_MODEL_DISK, 0);
	both_ways(f, &f->large, 0, NVME_MODEL_DISK, 0);
	both_ways(f, &f->small, f->small.blocks - 1, 512, 8);
}

static void test_data(void **state)
{
	static const struct nvme_model_opts how[] = {
		{ 0 }, { .stride = 3 }, { .mdts = 255 }, { .mdts = 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		for (int irq = 0; irq < 2; irq++) {
			const struct nvme_opts opts = { .irq = irq };
			unsigned int before;
			struct fixture f;

			plug(&f, &how[i]);
			start(&f, &opts);
			all_sizes(&f);
			before = nvme_model_commands(f.model);
			both_ways(&f, &f.large, 0, NVME_MODEL_DISK, 0);
			/* As few commands as the controller allows, or the list: 2 MiB. */
			assert_int_equal(nvme_model_commands(f.model) - before,
					 2 * NVME_MODEL_DISK / (how[i].mdts == 255 ? 2 << 20 :
								how[i].mdts == 1 ? 8192 : 32768));
			assert_int_equal(nvme_model_flushes(f.model), 0);
			must(nvme_flush(f.queue, &f.small));
			assert_int_equal(nvme_model_flushes(f.model), 1);
			stop(&f);
		}
	}
}

/* Pages side by side for the driver, in any order and apart for the controller. */
static void test_scattered(void **state)
{
	const struct weir_map_opts fixed = { .fixed = true };
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 64;
	struct nvme_model_opts how = { .mdts = 255 };
	struct fixture f;
	uint8_t *pages;

	(void)state;
	plug(&f, &how);
	start(&f, NULL);
	pages = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	for (size_t i = 0; i < n; i++) {
		weir_iova iova = 0x40000000 + (i * 37 % n) * 2 * page;

		assert_int_equal(weir_ioas_map(f.as, pages + i * page, page, &fixed, &iova), 0);
	}
	for (size_t offset = 0; offset < 2 * page; offset += 1532) {
		size_t len = (n - 3) * page + 512;

		fill(pages, n * page);
		must(nvme_write(f.queue, &f.small, 1, pages + offset, len));
		assert_memory_equal(nvme_model_disk(f.model, 1) + 512, pages + offset, len);
		memset(pages, 0, n * page);
		must(nvme_read(f.queue, &f.small, 1, pages + offset, len));
		assert_memory_equal(nvme_model_disk(f.model, 1) + 512, pages + offset, len);
	}
	/* One page isn't there: nothing moves. */
	assert_int_equal(weir_ioas_unmap(f.as, 0x40000000 + (50 * 37 % n) * 2 * page, page), 0);
	n = nvme_model_commands(f.model);
	assert_int_equal(nvme_write(f.queue, &f.small, 1, pages, 51 * page), -ENOENT);
	assert_int_equal(nvme_model_commands(f.model), n);
	must(nvme_write(f.queue, &f.small, 1, pages, 50 * page));
	must(nvme_queue_close(f.queue));
	must(nvme_queue_open(f.nvme, NVME_MODEL_MQES, &f.queue));
	both_ways(&f, &f.large, 0, NVME_MODEL_DISK, 0);
	must(nvme_queue_close(f.queue));
	must(nvme_close(f.nvme));
	for (size_t i = 0; i < 64; i++)
		if (i != 50)
			assert_int_equal(weir_ioas_unmap(f.as, 0x40000000 +
							 (i * 37 % 64) * 2 * page, page), 0);
	munmap(pages, 64 * page);
	unplug(&f);
}

/* ---- what is refused, with nothing done ---- */

static void ended(void *arg, int result)
{
	int *at = arg;

	*at = result;
}

static int submit(struct fixture *f, const struct nvme_ns *ns, uint64_t lba, void *buf, size_t len)
{
	static int result;

	return nvme_submit(f->queue, NVME_READ, ns, lba, buf, len, ended, &result);
}

static void test_refusals(void **state)
{
	struct nvme_queue *other = NULL;
	static uint8_t own[2 * 65536] __attribute__((aligned(65536)));
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct nvme_ns with_metadata;
	weir_iova iova;
	struct fixture f;
	unsigned int commands;

	(void)state;
	plug(&f, NULL);
	start(&f, NULL);
	commands = nvme_model_commands(f.model);
	assert_int_equal(nvme_namespace(f.nvme, 4, &with_metadata), 0);
	assert_int_equal(nvme_queue_open(f.nvme, DEPTH, &other), -ENOSPC);
	must(nvme_queue_close(f.queue));
	assert_int_equal(nvme_queue_open(f.nvme, 0, &other), -EINVAL);
	assert_int_equal(nvme_queue_open(f.nvme, NVME_MODEL_MQES + 1, &other), -EINVAL);
	assert_non_null(strstr(nvme_errmsg(), "1 to 63"));
	assert_null(other);
	must(nvme_queue_open(f.nvme, 1, &f.queue));

	assert_int_equal(submit(&f, &f.small, 0, f.data, 0), -EINVAL);
	assert_int_equal(submit(&f, &f.small, 0, f.data, 511), -EINVAL);
	assert_int_equal(submit(&f, &f.large, 0, f.data, 512), -EINVAL);
	assert_int_equal(submit(&f, &f.small, 0, f.data + 2, 512), -EINVAL);
	assert_int_equal(submit(&f, &f.small, 0, f.data, 32768 + 512), -EINVAL);
	assert_int_equal(submit(&f, &f.small, f.small.blocks, f.data, 512), -ERANGE);
	assert_int_equal(submit(&f, &f.small, f.small.blocks - 1, f.data, 1024), -ERANGE);
	assert_int_equal(submit(&f, &f.small, UINT64_MAX, f.data, 1024), -ERANGE);
	assert_non_null(strstr(nvme_errmsg(), "LBA 18446744073709551615"));
	assert_int_equal(submit(&f, &f.small, 0, own, 512), -ENOENT);
	/* Of two pages the second isn't mapped. */
	must(weir_ioas_map(f.as, own, page, NULL, &iova));
	assert_int_equal(submit(&f, &f.small, 0, own + page - 512, 1024), -ENOENT);
	must(weir_ioas_unmap(f.as, iova, page));
	assert_int_equal(submit(&f, &with_metadata, 0, f.data, 512), -ENOTSUP);
	assert_int_equal(nvme_read(f.queue, &f.small, 1, f.data, NVME_MODEL_DISK), -ERANGE);
	assert_int_equal(nvme_write(f.queue, &f.small, 0, own, 512), -ENOENT);
	assert_int_equal(nvme_write(f.queue, &f.small, 0, own, SIZE_MAX), -EINVAL);
	assert_int_equal(nvme_submit(f.queue, NVME_FLUSH, &f.small, 1, NULL, 0, ended, NULL),
			 -EINVAL);
	assert_int_equal(nvme_submit(f.queue, (enum nvme_op)7, &f.small, 0, f.data, 512, ended,
				     NULL), -EINVAL);
	assert_int_equal(nvme_outstanding(f.queue), 0);
	assert_int_equal(nvme_poll(f.queue), 0);
	assert_int_equal(nvme_wait(f.queue), 0);
	assert_int_equal(nvme_model_commands(f.model), commands);
	assert_int_equal(nvme_sigbus(f.nvme, own), 0);
	both_ways(&f, &f.small, 0, 65536, 0);
	stop(&f);
}

/* The controller knows better than the driver what there is. */
static void test_failing(void **state)
{
	static const struct {
		unsigned int sc;
		int error;
	} all[] = {
		{ NVME_SC_NAMESPACE, -ENOENT }, { NVME_SC_LBA_RANGE, -ERANGE },
		{ NVME_SC_PROTECTED, -EROFS }, { NVME_SC_CAPACITY, -ENOSPC },
		{ NVME_SC_READ_ERROR, -EIO }, { NVME_SC_INVALID_FIELD, -EINVAL },
		{ NVME_SC_DENIED, -EACCES }, { 0x7ff, -EIO },
	};
	struct fixture f;

	(void)state;
	plug(&f, NULL);
	start(&f, NULL);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		nvme_model_status(f.model, all[i].sc);
		nvme_model_trouble(f.model, NVME_FAILS);
		assert_int_equal(nvme_read(f.queue, &f.small, 9, f.data, 1 << 20), all[i].error);
		assert_non_null(strstr(nvme_errmsg(), "read of 64 blocks at LBA 9 of namespace 1"));
		assert_int_equal(nvme_outstanding(f.queue), 0);
		both_ways(&f, &f.small, 0, 512, 0);
	}
	/* The namespace has become smaller since the driver looked. */
	f.small.blocks++;
	assert_int_equal(nvme_read(f.queue, &f.small, f.small.blocks - 1, f.data, 512), -ERANGE);
	f.small.id = 3;
	assert_int_equal(nvme_flush(f.queue, &f.small), -ENOENT);
	assert_non_null(strstr(nvme_errmsg(), "flush of namespace 3"));
	stop(&f);
}

/* ---- several at once ---- */

static void test_outstanding(void **state)
{
	int results[DEPTH];
	struct fixture f;

	(void)state;
	plug(&f, NULL);
	start(&f, NULL);
	fill(nvme_model_disk(f.model, 1), NVME_MODEL_DISK);
	nvme_model_trouble(f.model, NVME_SILENT);
	for (unsigned int i = 0; i < DEPTH; i++) {
		results[i] = 1;
		must(nvme_submit(f.queue, NVME_READ, &f.small, i, f.data + i * 4096, 512, ended,
				 &results[i]));
	}
	assert_int_equal(submit(&f, &f.small, 0, f.data, 512), -EAGAIN);
	assert_int_equal(nvme_outstanding(f.queue), DEPTH);
	assert_int_equal(nvme_poll(f.queue), 0);
	assert_int_equal(nvme_queue_close(f.queue), -EBUSY);
	assert_int_equal(nvme_close(f.nvme), -EBUSY);
	/* Two times four, each four in the reverse order. */
	nvme_model_trouble(f.model, NVME_BACKWARDS);
	while (nvme_outstanding(f.queue))
		assert_true(nvme_wait(f.queue) > 0);
	for (unsigned int i = 0; i < DEPTH; i++) {
		assert_int_equal(results[i], 0);
		assert_memory_equal(f.data + i * 4096, nvme_model_disk(f.model, 1) + i * 512, 512);
	}
	both_ways(&f, &f.small, 0, NVME_MODEL_DISK, 0);
	nvme_model_trouble(f.model, NVME_GOOD);
	stop(&f);
}

/* Each end starts the next, from within. */
struct chain {
	struct fixture *f;
	unsigned int left;
	int result;
};

static void next_of_chain(void *arg, int result)
{
	struct chain *chain = arg;

	chain->result = result;
	if (result || !chain->left)
		return;
	chain->left--;
	must(nvme_submit(chain->f->queue, NVME_WRITE, &chain->f->small, chain->left, chain->f->data,
			 512, next_of_chain, chain));
}

static void test_chain(void **state)
{
	struct chain chains[DEPTH];
	time_t start_at = time(NULL);
	struct fixture f;

	(void)state;
	plug(&f, NULL);
	start(&f, &(struct nvme_opts){ .irq = true });
	for (unsigned int i = 0; i < DEPTH; i++) {
		chains[i] = (struct chain){ &f, 100, 0 };
		next_of_chain(&chains[i], 0);
	}
	assert_int_equal(nvme_outstanding(f.queue), DEPTH);
	while (nvme_outstanding(f.queue))
		assert_true(nvme_wait(f.queue) > 0);
	for (unsigned int i = 0; i < DEPTH; i++)
		assert_int_equal(chains[i].left + (unsigned int)chains[i].result, 0);
	assert_int_equal(nvme_model_commands(f.model), 100 * DEPTH);
	/* Without interrupts each round would take 100 ms. */
	assert_true(time(NULL) - start_at < 8);
	stop(&f);
}

struct worker {
	struct fixture *f;
	struct nvme_queue *queue;
	unsigned int nth;
	int result;
};

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	size_t part = 256 << 10;
	uint8_t *mine = w->f->data + w->nth * 2 * part;
	uint64_t lba = w->nth * part / 512;

	for (int round = 0; round < 10 && !w->result; round++) {
		memset(mine, (int)(w->nth * 16 + (unsigned int)round), part);
		memset(mine + part, 0, part);
		w->result = nvme_write(w->queue, &w->f->small, lba, mine, part);
		if (!w->result)
			w->result = nvme_read(w->queue, &w->f->small, lba, mine + part, part);
		if (!w->result && memcmp(mine, mine + part, part))
			w->result = -EILSEQ;
	}
	return NULL;
}

static void with_threads(struct fixture *f, enum nvme_trouble trouble, int result)
{
	struct worker workers[NVME_MODEL_QUEUES];
	pthread_t threads[NVME_MODEL_QUEUES];

	nvme_model_trouble(f->model, trouble);
	for (unsigned int i = 0; i < NVME_MODEL_QUEUES; i++) {
		workers[i] = (struct worker){ f, f->queue, i, 0 };
		if (i)
			must(nvme_queue_open(f->nvme, i + 1, &workers[i].queue));
	}
	for (unsigned int i = 0; i < NVME_MODEL_QUEUES; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker_main, &workers[i]), 0);
	for (unsigned int i = 0; i < NVME_MODEL_QUEUES; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].result, result);
	}
	for (unsigned int i = 1; i < NVME_MODEL_QUEUES; i++)
		assert_int_equal(nvme_queue_close(workers[i].queue), result);
}

static void test_threads(void **state)
{
	(void)state;
	for (int irq = 0; irq < 2; irq++) {
		const struct nvme_opts opts = { .queues = NVME_MODEL_QUEUES, .irq = irq };
		struct fixture f;

		plug(&f, NULL);
		start(&f, &opts);
		with_threads(&f, NVME_GOOD, 0);
		/* What one queue comes to know, all end by. */
		with_threads(&f, NVME_FATAL, -EIO);
		must(nvme_reset(f.nvme));
		both_ways(&f, &f.small, 0, 65536, 0);
		stop(&f);
	}
}

/* ---- trouble ---- */

static void test_trouble(void **state)
{
	static const struct {
		enum nvme_trouble trouble;
		int error;
		const char *word;
	} all[] = {
		{ NVME_SILENT, -ETIMEDOUT, "didn't end within 2000 ms" },
		{ NVME_FATAL, -EIO, "fatal status" },
		{ NVME_TWICE, -EIO, "isn't outstanding" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(all) / sizeof(all[0]); i++) {
		const struct nvme_opts opts = {
			.timeout_ms = all[i / 2].trouble == NVME_SILENT ? 2000 : 0,
			.irq = i & 1,
		};
		struct nvme_ns ns;
		struct fixture f;

		plug(&f, NULL);
		start(&f, &opts);
		nvme_model_trouble(f.model, all[i / 2].trouble);
		assert_int_equal(nvme_read(f.queue, &f.small, 0, f.data, 65536), all[i / 2].error);
		assert_non_null(strstr(nvme_errmsg(), all[i / 2].word));
		bus_master_is(&f, false);
		assert_int_equal(nvme_outstanding(f.queue), 0);
		/* So it stays, until it is reset. */
		assert_int_equal(submit(&f, &f.small, 0, f.data, 512), all[i / 2].error);
		assert_int_equal(nvme_poll(f.queue), all[i / 2].error);
		assert_int_equal(nvme_namespace(f.nvme, 1, &ns), all[i / 2].error);
		assert_non_null(strstr(nvme_errmsg(), "reset it"));
		must(nvme_reset(f.nvme));
		bus_master_is(&f, true);
		nvme_model_trouble(f.model, NVME_GOOD);
		both_ways(&f, &f.small, 0, 65536, 0);
		stop(&f);
	}
}

static void test_closed_failed(void **state)
{
	struct fixture f;

	(void)state;
	plug(&f, NULL);
	start(&f, NULL);
	nvme_model_trouble(f.model, NVME_FATAL);
	assert_int_equal(nvme_flush(f.queue, &f.small), -EIO);
	assert_int_equal(nvme_queue_close(f.queue), -EIO);
	assert_int_equal(nvme_close(f.nvme), -EIO);
	unplug(&f);
}

static void test_removed(void **state)
{
	(void)state;
	for (int irq = 0; irq < 2; irq++) {
		const struct nvme_opts opts = { .irq = irq };
		struct nvme *again;
		struct fixture f;

		plug(&f, NULL);
		start(&f, &opts);
		nvme_model_trouble(f.model, NVME_REMOVED);
		assert_int_equal(nvme_read(f.queue, &f.small, 0, f.data, 1 << 20), -ENODEV);
		assert_non_null(strstr(nvme_errmsg(), "gone"));
		assert_int_equal(nvme_reset(f.nvme), -ENODEV);
		assert_int_equal(nvme_read(f.queue, &f.small, 0, f.data, 512), -ENODEV);
		assert_int_equal(nvme_queue_close(f.queue), -ENODEV);
		assert_int_equal(nvme_close(f.nvme), -ENODEV);
		assert_int_equal(nvme_open(f.dev, NULL, &again), -ENODEV);
		unplug(&f);
	}
}

static void test_reset(void **state)
{
	struct nvme_model_opts stubborn = { .no_reset = true };
	int results[3] = { 1, 1, 1 };
	struct fixture f;

	(void)state;
	/* In the middle of it all: what is outstanding ends here, and nowhere else. */
	plug(&f, NULL);
	start(&f, &(struct nvme_opts){ .irq = true });
	nvme_model_trouble(f.model, NVME_SILENT);
	for (int i = 0; i < 3; i++)
		must(nvme_submit(f.queue, NVME_READ, &f.small, 0, f.data, 512, ended, &results[i]));
	must(nvme_reset(f.nvme));
	for (int i = 0; i < 3; i++)
		assert_int_equal(results[i], -ECANCELED);
	assert_int_equal(nvme_poll(f.queue), 0);
	nvme_model_trouble(f.model, NVME_GOOD);
	both_ways(&f, &f.small, 0, 65536, 0);
	/* By CC.EN it doesn't go, by the function's reset it does. */
	nvme_model_trouble(f.model, NVME_NEVER_DISABLED);
	must(nvme_reset(f.nvme));
	both_ways(&f, &f.small, 0, 65536, 0);
	stop(&f);

	plug(&f, &stubborn);
	start(&f, NULL);
	nvme_model_trouble(f.model, NVME_NEVER_DISABLED);
	assert_int_equal(nvme_reset(f.nvme), -ETIMEDOUT);
	assert_int_equal(nvme_flush(f.queue, &f.small), -ETIMEDOUT);
	nvme_model_trouble(f.model, NVME_GOOD);
	must(nvme_reset(f.nvme));
	both_ways(&f, &f.small, 0, 65536, 0);
	stop(&f);
}

/* An earlier driver may have left anything. */
static void test_taken_over(void **state)
{
	struct nvme *second;
	struct fixture f;

	(void)state;
	plug(&f, NULL);
	start(&f, NULL);
	must(nvme_open(f.dev, NULL, &second));
	must(nvme_close(second));
	assert_true(nvme_model_was_shut_down(f.model));
	must(nvme_open(f.dev, NULL, &second));	/* after a shutdown, too */
	must(nvme_close(second));
	must(nvme_reset(f.nvme));
	both_ways(&f, &f.small, 0, 65536, 0);
	stop(&f);
}

static void test_not_shut_down(void **state)
{
	struct fixture f;

	(void)state;
	plug(&f, NULL);
	start(&f, NULL);
	must(nvme_queue_close(f.queue));
	nvme_model_trouble(f.model, NVME_NEVER_SHUT_DOWN);
	assert_int_equal(nvme_close(f.nvme), -ETIMEDOUT);
	assert_non_null(strstr(nvme_errmsg(), "may be lost"));
	bus_master_is(&f, false);
	unplug(&f);
}

/* "slow": what waits for the end of times, which has nothing to do with page tables. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identify),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_scattered),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_failing),
		cmocka_unit_test(test_outstanding),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_closed_failed),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_taken_over),
	};
	const struct CMUnitTest slow[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_not_shut_down),
	};

	if (argc > 1 && !strcmp(argv[1], "slow"))
		return cmocka_run_group_tests(slow, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
