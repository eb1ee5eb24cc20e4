/* SPDX-License-Identifier: MIT */
/*
 * A model's host. Two faces: the model calls weir_model_…(), from any thread; the transport that
 * its driver came by calls wr_model_…(). DMA is in dma.c.
 *
 * Locks. Neither the model's operations nor bus->dma, begin, end and translate are called with a
 * lock held, so a model may hold its own lock around any call here. bus->irq is called with
 * model->lock held: when wr_model_irq_enable() has disabled a kind, no interrupt of that kind is
 * under way any more, and the transport may close its eventfds. Hence bus->irq must not call back
 * into the host, nor wait for a lock that is held around such a call.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/process.h"
#include "model/state.h"

/* Interrupts. Call these with the lock held. */

/*
 * VFIO's rules for a level-triggered line (drivers/vfio/pci/vfio_pci_intrs.c): each signal masks
 * it, and unmasking it while it is still asserted signals again. Nothing else needs to remember
 * that an interrupt is pending: the level does.
 */
static void intx_update(struct weir_model *model)
{
	if (!atomic_load(&model->vectors[WEIR_IRQ_INTX]) || !model->intx_level ||
	    model->intx_masked)
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

/* The device goes: config space needn't follow, attach makes it anew. */
static void irqs_off(struct weir_model *model)
{
	for (unsigned int irq = 0; irq < WEIR_IRQS; irq++)
		atomic_store(&model->vectors[irq], 0);
	model->intx_masked = false;
}

/* The model's face. */

int weir_model_create(const struct weir_model_desc *desc, const struct weir_model_ops *ops,
		      void *priv, struct weir_model **out)
{
	struct weir_model *model;
	int ret;

	if (!desc)
		return wr_fail(-EINVAL, "no description of a model is given");
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
	model->process = wr_process();
	atomic_init(&model->gate, 0);
	atomic_init(&model->command, 0);
	for (unsigned int irq = 0; irq < WEIR_IRQS; irq++)
		atomic_init(&model->vectors[irq], 0);
	atomic_init(&model->gone, false);
	pthread_mutex_init(&model->lock, NULL);
	pthread_cond_init(&model->drained, NULL);
	pthread_cond_init(&model->going_on, NULL);
	wr_model_config_init(&model->power_on, desc, ops->reset);
	model->config = model->power_on;
	*out = model;
	return 0;
}

int weir_model_destroy(struct weir_model *model)
{
	bool attached;
	int ret;

	if (!model)
		return 0;
	ret = wr_check_process(model->process);
	if (ret)
		return ret;
	pthread_mutex_lock(&model->lock);
	attached = model->attached;
	pthread_mutex_unlock(&model->lock);
	if (attached)
		return wr_fail(-EBUSY, "%s: a driver has the device open: close it first",
			       model->name);
	pthread_cond_destroy(&model->going_on);
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

int weir_model_config(struct weir_model *model, unsigned int offset, const void *bytes,
		      const void *writable, size_t len)
{
	unsigned int size = wr_model_config_size(&model->desc);
	int ret = wr_check_process(model->process);

	if (ret)
		return ret;
	if (!len || !bytes)
		return wr_fail(-EINVAL, "%s: nothing to put into config space", model->name);
	if (offset < WEIR_MODEL_CONFIG_OWN)
		return wr_fail(-EINVAL, "%s: config space at 0x%x is weir's, a model's own begins "
			       "at 0x%x", model->name, offset, WEIR_MODEL_CONFIG_OWN);
	if (offset >= size || len > size - offset)
		return wr_fail(-EINVAL, "%s: 0x%zx bytes at 0x%x are outside its config space of "
			       "0x%x bytes%s", model->name, len, offset, size,
			       model->desc.pcie ? "" : ": it isn't a PCI Express device");
	pthread_mutex_lock(&model->lock);
	wr_model_config_own(&model->power_on, offset, bytes, writable, len);
	wr_model_config_own(&model->config, offset, bytes, writable, len);
	pthread_mutex_unlock(&model->lock);
	return 0;
}

int weir_model_msi(struct weir_model *model, unsigned int vector)
{
	enum weir_irq irq = WEIR_IRQ_MSI;
	int ret = wr_check_process(model->process);

	if (ret)
		return ret;
	pthread_mutex_lock(&model->lock);
	if (atomic_load(&model->vectors[WEIR_IRQ_MSIX]))
		irq = WEIR_IRQ_MSIX;
	if (!(atomic_load(&model->gate) & WR_GATE_OPEN))
		ret = wr_model_cut_off(model);
	else if (vector >= atomic_load(&model->vectors[irq]))
		ret = wr_fail(-EINVAL, "%s: the driver hasn't enabled MSI%s vector %u", model->name,
			      irq == WEIR_IRQ_MSIX ? "-X" : "", vector);
	else if (!(atomic_load(&model->command) & WR_PCI_COMMAND_MASTER))
		/* A message is a write to memory like any other. */
		ret = wr_fail(-EPERM, "%s: MSI while the driver has bus mastering off: see "
			      "weir_device_bus_master()", model->name);
	else
		model->bus->irq(model->arg, irq, vector);
	pthread_mutex_unlock(&model->lock);
	return ret;
}

bool weir_model_msi_enabled(const struct weir_model *model)
{
	return atomic_load(&model->vectors[WEIR_IRQ_MSI]) ||
	       atomic_load(&model->vectors[WEIR_IRQ_MSIX]);
}

int weir_model_intx(struct weir_model *model, bool level)
{
	int ret = wr_check_process(model->process);

	if (ret)
		return ret;
	if (!model->desc.intx)
		return wr_fail(-EINVAL, "%s: the model was made without an interrupt pin",
			       model->name);
	pthread_mutex_lock(&model->lock);
	intx_drive(model, level);
	pthread_mutex_unlock(&model->lock);
	return 0;
}

int weir_model_signal(struct weir_model *model, enum weir_irq irq)
{
	int ret = wr_check_process(model->process);

	if (ret)
		return ret;
	if (irq != WEIR_IRQ_ERR && irq != WEIR_IRQ_REQ)
		return wr_fail(-EINVAL, "%s: weir_model_signal() is for WEIR_IRQ_ERR and "
			       "WEIR_IRQ_REQ, not for interrupt kind %u", model->name,
			       (unsigned int)irq);
	if (irq == WEIR_IRQ_ERR && !model->desc.pcie)
		return wr_fail(-EINVAL, "%s: only a PCI Express device can report an error",
			       model->name);
	pthread_mutex_lock(&model->lock);
	if (!(atomic_load(&model->gate) & WR_GATE_OPEN))
		ret = wr_model_cut_off(model);
	else if (!atomic_load(&model->vectors[irq]))
		ret = wr_fail(-EINVAL, "%s: the driver hasn't enabled WEIR_IRQ_%s", model->name,
			      irq == WEIR_IRQ_ERR ? "ERR" : "REQ");
	else
		model->bus->irq(model->arg, irq, 0);
	pthread_mutex_unlock(&model->lock);
	return ret;
}

int weir_model_remove(struct weir_model *model)
{
	int ret = wr_check_process(model->process);

	if (ret)
		return ret;
	pthread_mutex_lock(&model->lock);
	if (!model->attached) {
		ret = wr_fail(-ENODEV, "%s: no driver has the device open, there is nobody to take "
			      "it from", model->name);
	} else {
		atomic_store(&model->gone, true);
		atomic_fetch_and(&model->gate, ~WR_GATE_OPEN);
		irqs_off(model);
	}
	pthread_mutex_unlock(&model->lock);
	return ret;
}

/* The transport's face. */

int wr_model_attach(struct weir_model *model, const struct wr_model_bus *bus, void *arg)
{
	int ret = wr_check_process(model->process);

	if (ret)
		return ret;
	pthread_mutex_lock(&model->lock);
	if (model->attached) {
		ret = wr_fail(-EBUSY, "%s: the model is opened already", model->name);
	} else {
		model->attached = true;
		model->bus = bus;
		model->arg = arg;
		atomic_store(&model->gone, false);
		model->config = model->power_on;
		wr_model_config_set16(&model->config, WR_PCI_COMMAND, WR_PCI_COMMAND_MEMORY);
		atomic_store(&model->command, WR_PCI_COMMAND_MEMORY);
		/* What the model did to its pin while nobody looked. */
		intx_drive(model, model->intx_level);
		atomic_fetch_or(&model->gate, WR_GATE_OPEN);
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

	wr_model_gate_close(model);
	if (model->ops->reset)
		model->ops->reset(model);

	pthread_mutex_lock(&model->lock);
	intx_drive(model, false);
	model->bus = NULL;
	model->arg = NULL;
	model->attached = false;
	pthread_mutex_unlock(&model->lock);
}

bool wr_model_gone(const struct weir_model *model)
{
	return atomic_load(&model->gone);
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
	return region == WEIR_REGION_CONFIG ? wr_model_config_size(&model->desc) : 0;
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

/*
 * Registers that the model isn't asked for: all of them when the device is gone, and the MSI-X
 * table, where vfio_pci_bar_rw() of drivers/vfio/pci/vfio_pci_rdwr.c reads all ones and drops what
 * is written. The pending bits VFIO leaves to the device; here none is ever set. Both ranges are
 * whole multiples of 8, so an access is in one or it isn't.
 */
static bool host_answers(const struct weir_model *model, unsigned int bar, uint64_t offset,
			 uint64_t *value)
{
	const struct weir_model_desc *desc = &model->desc;

	*value = UINT64_MAX;
	if (atomic_load(&model->gone))
		return true;
	if (!desc->msix || bar != desc->msix_bar)
		return false;
	if (offset >= desc->msix_table &&
	    offset - desc->msix_table < wr_model_msix_table_len(desc->msix))
		return true;
	*value = 0;
	return offset >= desc->msix_pba &&
	       offset - desc->msix_pba < wr_model_msix_pba_len(desc->msix);
}

static void config_read(struct weir_model *model, unsigned int offset, uint8_t *bytes, size_t len)
{
	pthread_mutex_lock(&model->lock);
	if (atomic_load(&model->gone))
		memset(bytes, 0xff, len);
	else
		memcpy(bytes, model->config.bytes + offset, len);
	pthread_mutex_unlock(&model->lock);
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
		config_read(model, (unsigned int)offset, bytes, len);
		return 0;
	}
	while (len) {
		unsigned int width = piece(offset, len, 8);
		uint64_t value;

		ret = check_decoding(model);
		if (ret)
			return ret;
		if (!host_answers(model, region, offset, &value)) {
			value = model->ops->read(model, region, offset, width);
			/* What a model does after its removal nobody sees. */
			if (atomic_load(&model->gone))
				value = UINT64_MAX;
		}
		for (unsigned int i = 0; i < width; i++)
			bytes[i] = (uint8_t)(value >> (8 * i));
		bytes += width;
		offset += width;
		len -= width;
	}
	return 0;
}

/* Whether this writes the bit that asks for a function-level reset. It always reads 0. */
static bool asks_for_flr(const struct weir_model *model, unsigned int offset, const uint8_t *bytes,
			 size_t len)
{
	const unsigned int upper = WR_MODEL_EXPRESS + WR_PCI_EXP_DEVCTL + 1;

	return model->desc.pcie && model->ops->reset && offset <= upper && upper - offset < len &&
	       bytes[upper - offset] & WR_PCI_EXP_DEVCTL_FLR >> 8;
}

static void config_write(struct weir_model *model, unsigned int offset, const uint8_t *bytes,
			 size_t len)
{
	bool flr = asks_for_flr(model, offset, bytes, len);

	pthread_mutex_lock(&model->lock);
	while (len && !atomic_load(&model->gone)) {
		unsigned int width = piece(offset, len, 4);

		wr_model_config_write(&model->config, offset, bytes, width);
		command_changed(model);
		bytes += width;
		offset += width;
		len -= width;
	}
	pthread_mutex_unlock(&model->lock);
	/* As under VFIO (vfio_exp_config_write() in vfio_pci_config.c): the write itself succeeds,
	 * even when the reset can't be had now. */
	if (flr)
		wr_model_reset(model);
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
		uint64_t value = 0, kept;

		ret = check_decoding(model);
		if (ret)
			return ret;
		for (unsigned int i = 0; i < width; i++)
			value |= (uint64_t)bytes[i] << (8 * i);
		if (!host_answers(model, region, offset, &kept))
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
	} else if (irq == WEIR_IRQ_MSIX) {
		info->count = model->desc.msix;
		info->resizable = model->desc.msix;
	} else if (irq == WEIR_IRQ_ERR) {
		info->count = model->desc.pcie;
	} else if (irq == WEIR_IRQ_REQ) {
		/* It comes from the host, not from the device. */
		info->count = 1;
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
	if (count && atomic_load(&model->gone)) {
		ret = wr_fail(-ENODEV, "the device was removed");
	} else if (info.count) {
		atomic_store(&model->vectors[irq], count);
		if (irq == WEIR_IRQ_MSI) {
			wr_model_config_msi(&model->config, count);
		} else if (irq == WEIR_IRQ_MSIX) {
			wr_model_config_msix(&model->config, count);
		} else if (irq == WEIR_IRQ_INTX) {
			model->intx_masked = atomic_load(&model->command) & WR_PCI_COMMAND_INTX_OFF;
			intx_update(model);
		}
	}
	pthread_mutex_unlock(&model->lock);
	return ret;
}

int wr_model_irq_mask(struct weir_model *model, enum weir_irq irq, bool mask)
{
	int ret = 0;

	if (irq != WEIR_IRQ_INTX)
		return wr_fail(-ENOTSUP, "only INTx can be masked, as under VFIO");
	pthread_mutex_lock(&model->lock);
	if (atomic_load(&model->gone)) {
		ret = wr_fail(-ENODEV, "the device was removed");
	} else if (!atomic_load(&model->vectors[WEIR_IRQ_INTX])) {
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
	int ret = 0;

	if (!model->ops->reset)
		return wr_fail(-ENOTSUP, "the model has no reset");
	if (wr_model_in_bracket(model))
		return wr_fail(-EDEADLK, "a reset inside weir_model_dma_begin() and _end(), whose "
			       "end it waits for");
	pthread_mutex_lock(&model->lock);
	if (atomic_load(&model->gone))
		ret = wr_fail(-ENODEV, "the device was removed");
	else if (model->resetting)
		ret = wr_fail(-EAGAIN, "it is being reset already");
	else
		model->resetting = true;
	pthread_mutex_unlock(&model->lock);
	if (ret)
		return ret;

	wr_model_gate_close(model);
	model->ops->reset(model);

	pthread_mutex_lock(&model->lock);
	/* A device that was reset drives no interrupt, even if its model forgets about the pin. */
	intx_drive(model, false);
	model->resetting = false;
	if (!atomic_load(&model->gone))
		atomic_fetch_or(&model->gate, WR_GATE_OPEN);
	pthread_mutex_unlock(&model->lock);
	return 0;
}
