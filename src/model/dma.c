/* SPDX-License-Identifier: MIT */
/* A model's host: its gate to the bus, and DMA. model.c says how it locks. */
#include "base/err.h"
#include "base/process.h"
#include "model/state.h"

/*
 * The brackets that this thread is in. A thread that is in brackets of more models than this at
 * once is beyond what peer-to-peer devices need.
 */
#define BRACKETS_MAX 8

struct bracket {
	const struct weir_model *model;
	unsigned int depth;
};

/* A fixed distance from the thread pointer, as in viommu/unit.c. */
static _Thread_local struct bracket brackets[BRACKETS_MAX]
	__attribute__((tls_model("initial-exec")));

static struct bracket *find_bracket(const struct weir_model *model)
{
	for (unsigned int i = 0; i < BRACKETS_MAX; i++)
		if (brackets[i].depth && brackets[i].model == model)
			return &brackets[i];
	return NULL;
}

bool wr_model_in_bracket(const struct weir_model *model)
{
	return find_bracket(model);
}

static struct bracket *new_bracket(const struct weir_model *model)
{
	for (unsigned int i = 0; i < BRACKETS_MAX; i++) {
		if (brackets[i].depth)
			continue;
		brackets[i].model = model;
		return &brackets[i];
	}
	return NULL;
}

/* The gate isn't just open. Returns its state when it is worth another try, or 0: it is closed. */
static unsigned int gate_wait(struct weir_model *model)
{
	bool inside = wr_model_in_bracket(model);
	unsigned int gate;

	pthread_mutex_lock(&model->lock);
	while ((gate = atomic_load(&model->gate)) & WR_GATE_HELD && !inside)
		pthread_cond_wait(&model->going_on, &model->lock);
	pthread_mutex_unlock(&model->lock);
	return gate & WR_GATE_OPEN ? gate : 0;
}

static bool gate_enter(struct weir_model *model)
{
	unsigned int gate = atomic_load(&model->gate);

	do {
		if ((gate & WR_GATE_FLAGS) == WR_GATE_OPEN)
			continue;
		gate = gate_wait(model);
		if (!gate)
			return false;
	} while (!atomic_compare_exchange_weak(&model->gate, &gate, gate + 1));
	return true;
}

/*
 * Once the gate is closed the last one out must be done with the model before detach goes on,
 * since the model may be destroyed next: hence under the lock.
 */
static void gate_leave(struct weir_model *model)
{
	unsigned int gate = atomic_load(&model->gate);

	while ((gate & WR_GATE_FLAGS) == WR_GATE_OPEN)
		if (atomic_compare_exchange_weak(&model->gate, &gate, gate - 1))
			return;
	pthread_mutex_lock(&model->lock);
	if (!((atomic_fetch_sub(&model->gate, 1) - 1) & ~WR_GATE_FLAGS))
		pthread_cond_broadcast(&model->drained);
	pthread_mutex_unlock(&model->lock);
}

static void drain(struct weir_model *model)
{
	while (atomic_load(&model->gate) & ~WR_GATE_FLAGS)
		pthread_cond_wait(&model->drained, &model->lock);
}

void wr_model_gate_close(struct weir_model *model)
{
	pthread_mutex_lock(&model->lock);
	atomic_fetch_and(&model->gate, ~WR_GATE_OPEN);
	drain(model);
	pthread_mutex_unlock(&model->lock);
}

void wr_model_hold(struct weir_model *model)
{
	pthread_mutex_lock(&model->lock);
	atomic_fetch_or(&model->gate, WR_GATE_HELD);
	drain(model);
	pthread_mutex_unlock(&model->lock);
}

void wr_model_go_on(struct weir_model *model)
{
	pthread_mutex_lock(&model->lock);
	atomic_fetch_and(&model->gate, ~WR_GATE_HELD);
	pthread_cond_broadcast(&model->going_on);
	pthread_mutex_unlock(&model->lock);
}

int wr_model_cut_off(const struct weir_model *model)
{
	if (atomic_load(&model->gone))
		return wr_fail(-ENODEV, "%s: the device was removed", model->name);
	return wr_fail(-ENODEV, "%s: no driver has the device open, or it is being reset: there is "
		       "nothing to do DMA with and nobody to interrupt", model->name);
}

/* May the device use the bus? 0 with the gate entered, -ENODEV or -EPERM. */
static int bus_enter(struct weir_model *model)
{
	int ret = wr_check_process(model->process);

	if (ret)
		return ret;
	if (!gate_enter(model))
		return wr_model_cut_off(model);
	if (atomic_load(&model->command) & WR_PCI_COMMAND_MASTER)
		return 0;
	gate_leave(model);
	return wr_fail(-EPERM, "%s: DMA while the driver has bus mastering off: see "
		       "weir_device_bus_master()", model->name);
}

/*
 * A device has no lines for the address bits above dma_bits: on hardware such an access would go
 * out truncated, and hit whatever is mapped there. That is never what was meant, so it is refused
 * here; it doesn't reach the IOMMU and is no fault of the address space. A device that is known to
 * truncate does so in its model.
 */
static int check_reach(const struct weir_model *model, weir_iova iova, size_t len)
{
	unsigned int bits = wr_model_dma_bits(model);
	uint64_t last = UINT64_MAX >> (64 - bits);

	if (iova <= last && len - 1 <= last - iova)
		return 0;
	return wr_fail(-EFAULT, "%s: DMA of 0x%zx bytes at IOVA 0x%llx is beyond the %u address "
		       "bits that the device drives", model->name, len, (unsigned long long)iova,
		       bits);
}

static int dma(struct weir_model *model, weir_iova iova, void *buf, size_t len, bool write)
{
	int ret;

	if (!len)
		return 0;
	ret = bus_enter(model);
	if (ret)
		return ret;
	ret = check_reach(model, iova, len);
	if (!ret)
		ret = model->bus->dma(model->arg, iova, buf, len, write);
	gate_leave(model);
	return ret;
}

int weir_model_dma_read(struct weir_model *model, weir_iova iova, void *buf, size_t len)
{
	return dma(model, iova, buf, len, false);
}

int weir_model_dma_write(struct weir_model *model, weir_iova iova, const void *buf, size_t len)
{
	return dma(model, iova, (void *)buf, len, true);
}

int weir_model_dma_begin(struct weir_model *model)
{
	struct bracket *bracket = find_bracket(model);
	int ret;

	ret = bus_enter(model);
	if (ret)
		return ret;
	if (!bracket)
		bracket = new_bracket(model);
	if (!bracket) {
		gate_leave(model);
		return wr_fail(-ENOSPC, "%s: this thread is inside brackets of %u other models",
			       model->name, BRACKETS_MAX);
	}
	bracket->depth++;
	if (model->bus->begin)
		model->bus->begin(model->arg);
	return 0;
}

void weir_model_dma_end(struct weir_model *model)
{
	struct bracket *bracket = find_bracket(model);

	if (!bracket) {
		wr_log(WEIR_LOG_ERROR, "%s: weir_model_dma_end() in a thread that is in no bracket",
		       model->name);
		return;
	}
	bracket->depth--;
	if (model->bus->end)
		model->bus->end(model->arg);
	gate_leave(model);
}

/*
 * Bus mastering was checked when the bracket began: to turn it off doesn't call back what is
 * under way, as on the bus.
 */
int weir_model_dma_translate(struct weir_model *model, weir_iova iova, size_t len, bool write,
			     void **ptr, size_t *run)
{
	int ret;

	if (!find_bracket(model))
		return wr_fail(-EINVAL, "%s: weir_model_dma_translate() outside a bracket: call "
			       "weir_model_dma_begin() first, in the same thread", model->name);
	if (!len)
		return wr_fail(-EINVAL, "%s: nothing to translate", model->name);
	if (atomic_load(&model->gone))
		return wr_model_cut_off(model);
	if (!model->bus->translate)
		return wr_fail(-ENOTSUP, "%s: the driver's memory can't be reached by pointer "
			       "here: use weir_model_dma_read() and _write()", model->name);
	ret = check_reach(model, iova, len);
	if (ret)
		return ret;
	return model->bus->translate(model->arg, iova, len, write, ptr, run);
}
