/* SPDX-License-Identifier: MIT */
/*
 * A model's config space: a type 0 header and at most an MSI capability, built from the model's
 * description. Nothing here locks or calls the model; model.c does.
 */
#ifndef WR_MODEL_CONFIG_H
#define WR_MODEL_CONFIG_H

#include <weir/model.h>

#include "pci/config.h"

struct wr_model_config {
	uint8_t bytes[WR_PCI_CONFIG_SIZE];
	uint8_t writable[WR_PCI_CONFIG_SIZE];	/* bit set: the driver may change it */
};

/* Whether a PCI function can be like this; else -EINVAL with a sentence that says why not. */
int wr_model_config_check(const struct weir_model_desc *desc);

/* The state after power-on: everything off, BARs at 0. */
void wr_model_config_init(struct wr_model_config *config, const struct weir_model_desc *desc);

/* The driver writes: only writable bits change. The range has been checked. */
void wr_model_config_write(struct wr_model_config *config, unsigned int offset, const uint8_t *buf,
			   unsigned int len);

/* The device itself changes a register, or reads one. */
uint16_t wr_model_config_get16(const struct wr_model_config *config, unsigned int offset);
void wr_model_config_set16(struct wr_model_config *config, unsigned int offset, uint16_t value);

/* MSI enabled for @count vectors, 0: disabled. The model has the capability. */
void wr_model_config_msi(struct wr_model_config *config, unsigned int count);

#endif
