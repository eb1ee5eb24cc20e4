/* SPDX-License-Identifier: MIT */
/* A model whose registers do nothing, for tests that want its DMA, or that it is there. */
#ifndef IDLE_MODEL_H
#define IDLE_MODEL_H

#include <weir/model.h>

static uint64_t no_read(struct weir_model *model, unsigned int bar, uint64_t offset,
			unsigned int width)
{
	(void)model, (void)bar, (void)offset, (void)width;
	return 0;
}

static void no_write(struct weir_model *model, unsigned int bar, uint64_t offset,
		     unsigned int width, uint64_t value)
{
	(void)model, (void)bar, (void)offset, (void)width, (void)value;
}

static const struct weir_model_ops idle_model = { .read = no_read, .write = no_write };

#endif
