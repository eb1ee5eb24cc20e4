/* SPDX-License-Identifier: MIT */
#include "lab_rig.h"

void pause_ms(unsigned int ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

uint64_t reg(struct lab_test *t, uint64_t offset)
{
	return weir_read64(t->regs, offset);
}

void ring_setup(struct lab_test *t)
{
	memset(t->ring, 0, t->page);
	t->tail = 0;
	weir_write64(t->regs, LAB_RING_BASE, t->ring_at);
	weir_write64(t->regs, LAB_RING_SIZE, RING);
}

struct lab_descriptor *submit(struct lab_test *t, weir_iova source, weir_iova dest, uint32_t len,
			      uint32_t vector)
{
	struct lab_descriptor *d = &t->ring[t->tail];

	*d = (struct lab_descriptor){ htole64(source), htole64(dest), htole32(len),
				      htole32(vector), LAB_PENDING, 0 };
	t->tail = (t->tail + 1) % RING;
	weir_dma_wmb();
	weir_write32(t->regs, LAB_RING_TAIL, t->tail);
	return d;
}

bool wait_clear(struct lab_test *t, uint64_t offset, uint64_t bits)
{
	for (int64_t end = now_ms() + TIMEOUT_MS; now_ms() < end; pause_ms(1))
		if (!(reg(t, offset) & bits))
			return true;
	return false;
}

uint32_t wait_done(struct lab_test *t, const struct lab_descriptor *d)
{
	assert_true(wait_clear(t, LAB_STATUS, LAB_STATUS_BUSY));
	weir_dma_rmb();
	return le32toh(d->status);
}

void fill(struct lab_test *t, unsigned int seed)
{
	for (size_t i = 0; i < t->page; i++)
		t->source[i] = (uint8_t)(seed + i * 13 + (i >> 8));
	memset(t->dest, 0, t->page);
}

void copies(struct lab_test *t, uint32_t vector)
{
	static unsigned int seed;
	struct lab_descriptor *d;

	fill(t, ++seed);
	d = submit(t, t->source_at, t->dest_at, (uint32_t)t->page, vector);
	assert_int_equal(wait_done(t, d), LAB_DONE);
	assert_memory_equal(t->dest, t->source, t->page);
}

void start_trouble(struct lab_test *t, unsigned int what, uint64_t address, uint64_t count)
{
	weir_write64(t->regs, LAB_ADDRESS, address);
	weir_write64(t->regs, LAB_COUNT, count);
	weir_write8(t->regs, LAB_TROUBLE, (uint8_t)what);
}

void trouble(struct lab_test *t, unsigned int what, uint64_t address, uint64_t count)
{
	start_trouble(t, what, address, count);
	assert_true(wait_clear(t, LAB_TROUBLE, UINT64_MAX));
}

void expect_trouble(struct lab_test *t, unsigned int went_through, unsigned int refused,
		    int error)
{
	assert_int_equal(reg(t, LAB_WENT_THROUGH), went_through);
	assert_int_equal(reg(t, LAB_REFUSED), refused);
	assert_int_equal(reg(t, LAB_ERROR), error);
}

void expect_fault(struct lab_test *t, weir_iova iova, bool write)
{
	struct weir_device_info info;
	struct weir_fault fault;

	assert_int_equal(weir_device_info(t->dev, &info), 0);
	assert_int_equal(weir_ioas_faults(t->as, &fault, 1), 1);
	assert_true(fault.iova == iova);
	assert_int_equal(fault.write, write);
	assert_int_equal(fault.requester, info.requester);
	assert_true(fault.text && *fault.text);
}

void attach(struct lab_test *t)
{
	int ret = t->model ? weir_device_open_model(NULL, t->model, NULL, &t->dev) :
			     weir_device_open(NULL, "soft:lab", NULL, &t->dev);

	if (ret)
		fail_msg("%s", weir_errmsg());
	t->as = weir_device_ioas(t->dev);
	assert_int_equal(weir_mem_alloc(t->as, 4 * t->page, NULL, &t->mem), 0);
	t->ring = weir_mem_ptr(t->mem);
	t->source = (uint8_t *)t->ring + t->page;
	t->dest = t->source + t->page;
	t->canary = t->dest + t->page;
	t->ring_at = weir_mem_iova(t->mem);
	t->source_at = t->ring_at + t->page;
	t->dest_at = t->source_at + t->page;
	t->nowhere = t->ring_at + (64u << 20);
	memset(t->canary, 0xca, t->page);
	assert_int_equal(weir_bar_open(t->dev, 0, WEIR_BAR_AUTO, &t->regs), 0);
	assert_int_equal(weir_bar_open(t->dev, 2, WEIR_BAR_AUTO, &t->memory), 0);
	assert_int_equal(weir_device_bus_master(t->dev, true), 0);
	ring_setup(t);
}

void detach(struct lab_test *t)
{
	assert_int_equal(weir_bar_close(t->regs), 0);
	assert_int_equal(weir_bar_close(t->memory), 0);
	assert_int_equal(weir_mem_free(t->mem), 0);
	assert_int_equal(weir_device_close(t->dev), 0);
}

struct lab_test *new_test(struct weir_model *model)
{
	struct lab_test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->page = (size_t)sysconf(_SC_PAGESIZE);
	t->model = model;
	attach(t);
	return t;
}

int setup(void **state)
{
	*state = new_test(NULL);
	return 0;
}

int setup_model(void **state)
{
	struct weir_model *model;

	assert_int_equal(lab_model_create(NULL, &model), 0);
	*state = new_test(model);
	return 0;
}

int teardown(void **state)
{
	struct lab_test *t = *state;
	struct weir_fault fault;

	assert_int_equal(weir_ioas_faults(t->as, &fault, 1), 0);
	for (enum weir_irq irq = WEIR_IRQ_INTX; irq < WEIR_IRQS; irq++)
		assert_int_equal(weir_irq_disable(t->dev, irq), 0);
	assert_int_equal(weir_device_reset(t->dev), 0);
	assert_int_equal(weir_device_bus_master(t->dev, true), 0);
	ring_setup(t);
	assert_int_equal(weir_irq_enable(t->dev, WEIR_IRQ_MSIX, LAB_VECTORS), 0);
	copies(t, 7);
	assert_int_equal(weir_irq_wait(t->dev, WEIR_IRQ_MSIX, 7, TIMEOUT_MS), 1);
	for (size_t i = 0; i < t->page; i++)
		assert_int_equal(t->canary[i], 0xca);
	assert_int_equal(weir_ioas_faults(t->as, &fault, 1), 0);
	detach(t);
	assert_int_equal(lab_model_destroy(t->model), 0);
	free(t);
	return 0;
}
