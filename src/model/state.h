/* SPDX-License-Identifier: MIT */
/* What the files of a model's host share. Its two faces are <weir/model.h> and model.h. */
#ifndef WR_MODEL_STATE_H
#define WR_MODEL_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "model/config.h"
#include "model/model.h"

/*
 * The gate counts the uses of the bus that are under way; WR_GATE_OPEN is set while a driver has
 * the device open, but for its resets. Users don't block one another, and one user may enter again
 * (DMA inside a bracket, or inside a register access that a bracket's thread makes). Closing it and
 * waiting until the count is 0 is what makes detach and reset safe; after closing, even a second
 * entry is refused, so that nobody inside can be waiting for the one who waits for them. Removal
 * closes it without waiting: detach comes later, and does. While WR_GATE_HELD is set, who
 * comes waits, unless it is inside already.
 */
#define WR_GATE_OPEN	0x80000000u
#define WR_GATE_HELD	0x40000000u
#define WR_GATE_FLAGS	(WR_GATE_OPEN | WR_GATE_HELD)

struct weir_model {
	unsigned int process;		/* whose it is */
	struct weir_model_desc desc;
	char *name;
	const struct weir_model_ops *ops;
	void *priv;

	/* Set while the gate is closed and nobody is inside. */
	const struct wr_model_bus *bus;
	void *arg;

	atomic_uint gate;
	/* Changed under the lock, and read without it on the paths that must be quick. */
	atomic_uint command;
	atomic_uint vectors[WEIR_IRQS];	/* enabled, of each kind */
	atomic_bool gone;		/* pulled out while it was attached */

	pthread_mutex_t lock;
	pthread_cond_t drained;		/* the gate is closed or held, and the count became 0 */
	pthread_cond_t going_on;	/* it is no longer held */
	bool attached;
	bool resetting;
	struct wr_model_config config;
	struct wr_model_config power_on;	/* what config is at attach */
	bool intx_masked;
	bool intx_level;		/* what the model drives on the pin */
};

/* Close the gate and wait until nobody uses the bus. */
void wr_model_gate_close(struct weir_model *model);

/* -ENODEV, and a message that says why the gate is closed. */
int wr_model_cut_off(const struct weir_model *model);

/* Whether this thread is between weir_model_dma_begin() and _end(). */
bool wr_model_in_bracket(const struct weir_model *model);

#endif
