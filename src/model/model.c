/* SPDX-License-Identifier: MIT */
/*
 * A model's host. Two faces: the model calls weir_model_…(), from any thread; the transport that
 * its driver came by calls wr_model_…().
 *
 * Locks. Neither the model's operations nor bus->dma, begin, end and translate are called with a
 * lock held, so a model may hold its own lock around any call here. bus->irq is called with
 * model->lock held: when wr_model_irq_enable() has disabled a kind, no interrupt of that kind is
 * under way any more, and the transport may close its eventfds. Hence bus->irq must not call back
 * into this file, nor wait for a lock that is held around such a call.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "model/config.h"
#include "model/model.h"

/*
 * The gate counts the uses of the bus that are under way; GATE_OPEN is set while a driver has the
 * device open. Users don't block one another, and one user may enter again (DMA inside a bracket,
 * or inside a register access that a bracket's thread makes). Closing it and waiting until the
 * count is 0 is what makes detach safe; after closing, even a second entry is refused, so that
 * nobody inside can be waiting for the one who waits for them.
 */
#define GATE_OPEN 0x80000000u

struct weir_model {
	struct weir_model_desc desc;
	char *name;
	const struct weir_model_ops *ops;
	void *priv;

	/* Set while the gate is closed and nobody is inside. */
	const struct wr_model_bus *bus;
	void *arg;

	atomic_uint gate;
	/* Copies of what is under the lock, for the paths that must be quick. */
	atomic_uint command;
	atomic_uint msi;		/* vectors enabled */

	pthread_mutex_t lock;
	pthread_cond_t drained;		/* the gate is closed and the count became 0 */
	bool attached;
	struct wr_model_config config;
	bool intx_enabled;
	bool intx_masked;
	bool intx_level;		/* what the model drives on the pin */
};

/*
 * The brackets that this thread is in. A thread that is in brackets of more models than this at
 * once is beyond what peer-to-peer devices need.
 */
#define BRACKETS_MAX 8

struct bracket {
	const struct weir_model *model;
	unsigned int depth;
};

static _Thread_local struct bracket brackets[BRACKETS_MAX];

static struct bracket *find_bracket(const struct weir_model *model)
{
	for (unsigned int i = 0; i < BRACKETS_MAX; i++)
		if (brackets[i].depth && brackets[i].model == model)
			return &brackets[i];
	return NULL;
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

static bool gate_enter(struct weir_model *model)
{
	unsigned int gate = atomic_load(&model->gate);

	do {
		if (!(gate & GATE_OPEN))
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

	while (gate & GATE_OPEN)
		if (atomic_compare_exchange_weak(&model->gate, &gate, gate - 1))
			return;
	pthread_mutex_lock(&model->lock);
	if (atomic_fetch_sub(&model->gate, 1) == 1)
		pthread_cond_signal(&model->drained);
	pthread_mutex_unlock(&model->lock);
}

static void gate_close(struct weir_model *model)
{
	pthread_mutex_lock(&model->lock);
	atomic_fetch_and(&model->gate, ~GATE_OPEN);
	while (atomic_load(&model->gate))
		pthread_cond_wait(&model->drained, &model->lock);
	pthread_mutex_unlock(&model->lock);
}

/* May the device use the bus? 0 with the gate entered, -ENODEV or -EPERM. */
static int bus_enter(struct weir_model *model)
{
	if (!gate_enter(model))
		return wr_fail(-ENODEV, "%s: no driver has the device open, there is nothing to "
			       "do DMA with", model->name);
	if (atomic_load(&model->command) & WR_PCI_COMMAND_MASTER)
		return 0;
	gate_leave(model);
	return wr_fail(-EPERM, "%s: DMA while the driver has bus mastering off: see "
		       "weir_device_bus_master()", model->name);
}

/* Interrupts. Call these with the lock held. */

/*
 * VFIO's rules for a level-triggered line (drivers/vfio/pci/vfio_pci_intrs.c): each signal masks
 * it, and unmasking it while it is still asserted signals again. Nothing else needs to remember
 * that an interrupt is pending: the level does.
 */
static void intx_update(struct weir_model *model)
{
	if (!model->intx_enabled || !model->intx_level || model->intx_masked)
		return;
	model->intx_masked = true;
	model->bus->irq(model->arg, WEIR_IRQ_INTX, 0);
}

static void intx_drive(struct weir_model *model, bool level)
{
	uint16_t status = wr_model_config_get16(&model->config, WR_PCI_STATUS);

	status &= (uint16_t)~WR_PCI_STATUS_INTX;
	if (level)
		status |= WR_PCI_STATUS_INTX;
	wr_model_config_set16(&model->config, WR_PCI_STATUS, status);
	model->intx_level = level;
	intx_update(model);
}

/*
 * Under VFIO the INTx Disable bit and the mask are one thing: setting it masks the line, clearing
 * it unmasks it, whoever masked it (vfio_basic_config_write() in vfio_pci_config.c).
 */
static void command_changed(struct weir_model *model)
{
	unsigned int old = atomic_load(&model->command);
	unsigned int now = wr_model_config_get16(&model->config, WR_PCI_COMMAND);

	atomic_store(&model->command, now);
	if (!((old ^ now) & WR_PCI_COMMAND_INTX_OFF))
		return;
	model->intx_masked = now & WR_PCI_COMMAND_INTX_OFF;
	intx_update(model);
}

/* At detach: config space needn't follow, attach makes it anew. */
static void irqs_off(struct weir_model *model)
{
	model->intx_enabled = false;
	model->intx_masked = false;
	atomic_store(&model->msi, 0);
}

/* The model's face. */

int weir_model_create(const struct weir_model_desc *desc, const struct weir_model_ops *ops,
		      void *priv, struct weir_model **out)
{
	struct weir_model *model;
	int ret;

	ret = wr_model_config_check(desc);
	if (ret)
		return ret;
	if (!ops || !ops->read || !ops->write)
		return wr_fail(-EINVAL, "%s: a model must have read and write operations",
			       desc->name);
	for (size_t i = 0; i < sizeof(ops->reserved) / sizeof(ops->reserved[0]); i++)
		if (ops->reserved[i])
			return wr_fail(-EINVAL, "%s: weir_model_ops.reserved[%zu] isn't NULL: use "
				       "a newer libweir", desc->name, i);
	model = calloc(1, sizeof(*model));
	if (!model)
		return wr_fail(-ENOMEM, "%s: no memory for the model", desc->name);
	model->name = strdup(desc->name);
	if (!model->name) {
		free(model);
		return wr_fail(-ENOMEM, "%s: no memory for the model", desc->name);
	}
	model->desc = *desc;
	model->desc.name = model->name;
	model->ops = ops;
	model->priv = priv;
	atomic_init(&model->gate, 0);
	atomic_init(&model->command, 0);
	atomic_init(&model->msi, 0);
	pthread_mutex_init(&model->lock, NULL);
	pthread_cond_init(&model->drained, NULL);
	wr_model_config_init(&model->config, desc);
	*out = model;
	return 0;
}

int weir_model_destroy(struct weir_model *model)
{
	bool attached;

	if (!model)
		return 0;
	pthread_mutex_lock(&model->lock);
	attached = model->attached;
	pthread_mutex_unlock(&model->lock);
	if (attached)
		return wr_fail(-EBUSY, "%s: a driver has the device open: close it first",
			       model->name);
	pthread_cond_destroy(&model->drained);
	pthread_mutex_destroy(&model->lock);
	free(model->name);
	free(model);
	return 0;
}

void *weir_model_priv(const struct weir_model *model)
{
	return model->priv;
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
	if (!model->bus->translate)
		return wr_fail(-ENOTSUP, "%s: the driver's memory can't be reached by pointer "
			       "here: use weir_model_dma_read() and _write()", model->name);
	ret = check_reach(model, iova, len);
	if (ret)
		return ret;
	return model->bus->translate(model->arg, iova, len, write, ptr, run);
}

int weir_model_msi(struct weir_model *model, unsigned int vector)
{
	int ret = 0;

	pthread_mutex_lock(&model->lock);
	if (!(atomic_load(&model->gate) & GATE_OPEN))
		ret = wr_fail(-ENODEV, "%s: no driver has the device open, there is nobody to "
			      "interrupt", model->name);
	else if (vector >= atomic_load(&model->msi))
		ret = wr_fail(-EINVAL, "%s: the driver hasn't enabled MSI vector %u", model->name,
			      vector);
	else if (!(atomic_load(&model->command) & WR_PCI_COMMAND_MASTER))
		/* A message is a write to memory like any other. */
		ret = wr_fail(-EPERM, "%s: MSI while the driver has bus mastering off: see "
			      "weir_device_bus_master()", model->name);
	else
		model->bus->irq(model->arg, WEIR_IRQ_MSI, vector);
	pthread_mutex_unlock(&model->lock);
	return ret;
}

bool weir_model_msi_enabled(const struct weir_model *model)
{
	return atomic_load(&model->msi);
}

int weir_model_intx(struct weir_model *model, bool level)
{
	if (!model->desc.intx)
		return wr_fail(-EINVAL, "%s: the model was made without an interrupt pin",
			       model->name);
	pthread_mutex_lock(&model->lock);
	intx_drive(model, level);
	pthread_mutex_unlock(&model->lock);
	return 0;
}

/* The transport's face. */

int wr_model_attach(struct weir_model *model, const struct wr_model_bus *bus, void *arg)
{
	int ret = 0;

	pthread_mutex_lock(&model->lock);
	if (model->attached) {
		ret = wr_fail(-EBUSY, "%s: the model is opened already", model->name);
	} else {
		model->attached = true;
		model->bus = bus;
		model->arg = arg;
		wr_model_config_init(&model->config, &model->desc);
		wr_model_config_set16(&model->config, WR_PCI_COMMAND, WR_PCI_COMMAND_MEMORY);
		atomic_store(&model->command, WR_PCI_COMMAND_MEMORY);
		/* What the model did to its pin while nobody looked. */
		intx_drive(model, model->intx_level);
		atomic_fetch_or(&model->gate, GATE_OPEN);
	}
	pthread_mutex_unlock(&model->lock);
	return ret;
}

void wr_model_detach(struct weir_model *model)
{
	pthread_mutex_lock(&model->lock);
	wr_model_config_set16(&model->config, WR_PCI_COMMAND, 0);
	atomic_store(&model->command, 0);
	irqs_off(model);
	pthread_mutex_unlock(&model->lock);

	gate_close(model);
	if (model->ops->reset)
		model->ops->reset(model);

	pthread_mutex_lock(&model->lock);
	intx_drive(model, false);
	model->bus = NULL;
	model->arg = NULL;
	model->attached = false;
	pthread_mutex_unlock(&model->lock);
}

const char *wr_model_name(const struct weir_model *model)
{
	return model->name;
}

unsigned int wr_model_dma_bits(const struct weir_model *model)
{
	return model->desc.dma_bits ? model->desc.dma_bits : 64;
}

/* The messages from here on leave it to the caller to name the device. */

static uint64_t region_size(const struct weir_model *model, unsigned int region)
{
	if (region <= WEIR_REGION_BAR5)
		return model->desc.bars[region].size;
	return region == WEIR_REGION_CONFIG ? WR_PCI_CONFIG_SIZE : 0;
}

int wr_model_region_info(struct weir_model *model, unsigned int region,
			 struct weir_region_info *info)
{
	if (region >= WEIR_REGIONS)
		return wr_fail(-EINVAL, "there is no region %u, they are 0 to %u", region,
			       WEIR_REGIONS - 1);
	memset(info, 0, sizeof(*info));
	info->size = region_size(model, region);
	info->readable = info->writable = info->size;
	return 0;
}

static int check_range(const struct weir_model *model, unsigned int region, uint64_t offset,
		       size_t len)
{
	uint64_t size;

	if (region >= WEIR_REGIONS)
		return wr_fail(-EINVAL, "there is no region %u, they are 0 to %u", region,
			       WEIR_REGIONS - 1);
	size = region_size(model, region);
	if (!size)
		return wr_fail(-EINVAL, "the device has no region %u", region);
	if (!len)
		return wr_fail(-EINVAL, "access to no byte of region %u", region);
	if (offset >= size || len > size - offset)
		return wr_fail(-EINVAL, "0x%zx bytes at 0x%llx are outside region %u, which has "
			       "0x%llx", len, (unsigned long long)offset, region,
			       (unsigned long long)size);
	return 0;
}

/* The widest aligned access that starts at @offset, as the kernel splits them. */
static unsigned int piece(uint64_t offset, size_t len, unsigned int max)
{
	while (max > len || offset & (max - 1))
		max /= 2;
	return max;
}

static int check_decoding(const struct weir_model *model)
{
	if (atomic_load(&model->command) & WR_PCI_COMMAND_MEMORY)
		return 0;
	return wr_fail(-EIO, "the device doesn't answer: memory space is off in its command "
		       "register");
}

int wr_model_region_read(struct weir_model *model, unsigned int region, uint64_t offset, void *buf,
			 size_t len)
{
	uint8_t *bytes = buf;
	int ret;

	ret = check_range(model, region, offset, len);
	if (ret)
		return ret;
	if (region == WEIR_REGION_CONFIG) {
		pthread_mutex_lock(&model->lock);
		memcpy(buf, model->config.bytes + offset, len);
		pthread_mutex_unlock(&model->lock);
		return 0;
	}
	while (len) {
		unsigned int width = piece(offset, len, 8);
		uint64_t value;

		ret = check_decoding(model);
		if (ret)
			return ret;
		value = model->ops->read(model, region, offset, width);
		for (unsigned int i = 0; i < width; i++)
			bytes[i] = (uint8_t)(value >> (8 * i));
		bytes += width;
		offset += width;
		len -= width;
	}
	return 0;
}

static void config_write(struct weir_model *model, unsigned int offset, const uint8_t *bytes,
			 size_t len)
{
	pthread_mutex_lock(&model->lock);
	while (len) {
		unsigned int width = piece(offset, len, 4);

		wr_model_config_write(&model->config, offset, bytes, width);
		command_changed(model);
		bytes += width;
		offset += width;
		len -= width;
	}
	pthread_mutex_unlock(&model->lock);
}

int wr_model_region_write(struct weir_model *model, unsigned int region, uint64_t offset,
			  const void *buf, size_t len)
{
	const uint8_t *bytes = buf;
	int ret;

	ret = check_range(model, region, offset, len);
	if (ret)
		return ret;
	if (region == WEIR_REGION_CONFIG) {
		config_write(model, (unsigned int)offset, bytes, len);
		return 0;
	}
	while (len) {
		unsigned int width = piece(offset, len, 8);
		uint64_t value = 0;

		ret = check_decoding(model);
		if (ret)
			return ret;
		for (unsigned int i = 0; i < width; i++)
			value |= (uint64_t)bytes[i] << (8 * i);
		model->ops->write(model, region, offset, width, value);
		bytes += width;
		offset += width;
		len -= width;
	}
	return 0;
}

int wr_model_irq_info(struct weir_model *model, enum weir_irq irq, struct weir_irq_info *info)
{
	if ((unsigned int)irq >= WEIR_IRQS)
		return wr_fail(-EINVAL, "there is no interrupt kind %u", (unsigned int)irq);
	memset(info, 0, sizeof(*info));
	if (irq == WEIR_IRQ_INTX && model->desc.intx) {
		info->count = 1;
		info->maskable = true;
		info->automasked = true;
	} else if (irq == WEIR_IRQ_MSI) {
		info->count = model->desc.msi;
	}
	return 0;
}

int wr_model_irq_enable(struct weir_model *model, enum weir_irq irq, unsigned int count)
{
	struct weir_irq_info info;
	int ret;

	ret = wr_model_irq_info(model, irq, &info);
	if (ret)
		return ret;
	if (count > info.count)
		return wr_fail(-EINVAL, "%u vectors of interrupt kind %u, the device has %u",
			       count, (unsigned int)irq, info.count);
	pthread_mutex_lock(&model->lock);
	if (irq == WEIR_IRQ_INTX) {
		model->intx_enabled = count;
		model->intx_masked = atomic_load(&model->command) & WR_PCI_COMMAND_INTX_OFF;
		intx_update(model);
	} else if (irq == WEIR_IRQ_MSI && model->desc.msi) {
		atomic_store(&model->msi, count);
		wr_model_config_msi(&model->config, count);
	}
	pthread_mutex_unlock(&model->lock);
	return 0;
}

int wr_model_irq_mask(struct weir_model *model, enum weir_irq irq, bool mask)
{
	int ret = 0;

	if (irq != WEIR_IRQ_INTX)
		return wr_fail(-ENOTSUP, "only INTx can be masked on this device, its MSI has no "
			       "mask bits");
	pthread_mutex_lock(&model->lock);
	if (!model->intx_enabled) {
		ret = wr_fail(-EINVAL, "INTx isn't enabled");
	} else if (mask) {
		model->intx_masked = true;
	} else if (!(atomic_load(&model->command) & WR_PCI_COMMAND_INTX_OFF)) {
		model->intx_masked = false;
		intx_update(model);
	}
	pthread_mutex_unlock(&model->lock);
	return ret;
}

bool wr_model_can_reset(const struct weir_model *model)
{
	return model->ops->reset;
}

int wr_model_reset(struct weir_model *model)
{
	if (!model->ops->reset)
		return wr_fail(-ENOTSUP, "the model has no reset");
	model->ops->reset(model);
	/* A device that was reset drives no interrupt, even if its model forgets about the pin. */
	pthread_mutex_lock(&model->lock);
	intx_drive(model, false);
	pthread_mutex_unlock(&model->lock);
	return 0;
}
