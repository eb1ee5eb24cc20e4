/* SPDX-License-Identifier: MIT */
/*
 * A model's host: what stands between a weir_model and whatever transport its driver comes by.
 * It keeps the config space, checks accesses, and turns what the driver's side asks for into
 * calls of the model. The calls here are those of a VFIO device, so that each transport only
 * forwards.
 */
#ifndef WR_MODEL_MODEL_H
#define WR_MODEL_MODEL_H

#include <weir/device.h>
#include <weir/irq.h>
#include <weir/model.h>

/*
 * What a transport offers to the model while a driver has it open. @arg is the transport's. The
 * host has checked bus mastering and arguments.
 */
struct wr_model_bus {
	/* As weir_model_dma_read() and _write(). */
	int (*dma)(void *arg, weir_iova iova, void *buf, size_t len, bool write);
	/* The bracket and translate may be missing: then translate is -ENOTSUP. */
	void (*begin)(void *arg);
	void (*end)(void *arg);
	int (*translate)(void *arg, weir_iova iova, size_t len, bool write, void **ptr,
			 size_t *run);
	/*
	 * Signal a vector: write its eventfd. Called with a lock of the host's held: it must not
	 * call the host, nor wait for a lock that is held around calls of it.
	 */
	void (*irq)(void *arg, enum weir_irq irq, unsigned int vector);
};

/* Open the model for a driver. -EBUSY when it is opened already. Memory space is on and bus
 * mastering off afterwards, as vfio-pci leaves a device. */
int wr_model_attach(struct weir_model *model, const struct wr_model_bus *bus, void *arg);

/* Bus mastering off, interrupts off, the model reset; no call of @bus is under way on return. */
void wr_model_detach(struct weir_model *model);

/*
 * Keep uses of the bus waiting that begin from now on, but for those inside a bracket, and wait for
 * those under way; then, when the bus is another one behind the same calls, let them go on. Not
 * inside a bracket.
 */
void wr_model_hold(struct weir_model *model);
void wr_model_go_on(struct weir_model *model);

/* Whether weir_model_remove() has pulled it out; until it is attached again. */
bool wr_model_gone(const struct weir_model *model);

const char *wr_model_name(const struct weir_model *model);
unsigned int wr_model_dma_bits(const struct weir_model *model);	/* 1 to 64 */

int wr_model_region_info(struct weir_model *model, unsigned int region,
			 struct weir_region_info *info);
/* Split into aligned accesses of at most 8 bytes, as the kernel does. -EINVAL, -EIO. */
int wr_model_region_read(struct weir_model *model, unsigned int region, uint64_t offset, void *buf,
			 size_t len);
int wr_model_region_write(struct weir_model *model, unsigned int region, uint64_t offset,
			  const void *buf, size_t len);

int wr_model_irq_info(struct weir_model *model, enum weir_irq irq, struct weir_irq_info *info);
/*
 * Enable vectors 0 to count - 1 of a kind, or with 0 disable it. The config space follows. The
 * caller has checked that of INTx, MSI and MSI-X no other is enabled. A kind that is resizable may
 * be enabled again with another count, and the vectors in both go on working. -EINVAL, -ENODEV.
 */
int wr_model_irq_enable(struct weir_model *model, enum weir_irq irq, unsigned int count);
/* INTx: hold the line back, let it go; let go while it is asserted, it fires at once. */
int wr_model_irq_mask(struct weir_model *model, enum weir_irq irq, bool mask);

bool wr_model_can_reset(const struct weir_model *model);
/* -ENOTSUP; -ENODEV when it was removed; -EAGAIN while another thread resets it; -EDEADLK inside a
 * bracket of this thread's, whose end it would wait for. */
int wr_model_reset(struct weir_model *model);

#endif
