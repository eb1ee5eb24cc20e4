/* SPDX-License-Identifier: MIT */
/*
 * A model's config space: a type 0 header and the capabilities for PCI Express, MSI and MSI-X,
 * built from the model's description, and then the model's own capabilities. Nothing here locks or
 * calls the model; model.c does.
 */
#ifndef WR_MODEL_CONFIG_H
#define WR_MODEL_CONFIG_H

#include <weir/model.h>

#include "pci/config.h"

struct wr_model_config {
	uint8_t bytes[WR_PCI_EXT_CONFIG_SIZE];
	uint8_t writable[WR_PCI_EXT_CONFIG_SIZE];	/* bit set: the driver may change it */
};

/* Where the host's capabilities are, if they are there: always at the same place. */
#define WR_MODEL_EXPRESS	0x40
#define WR_MODEL_MSI		0x80
#define WR_MODEL_MSIX		0x90

/* Whether a PCI function can be like this; else -EINVAL with a sentence that says why not. */
int wr_model_config_check(const struct weir_model_desc *desc);

/* 256 or, with PCI Express, 4096. */
unsigned int wr_model_config_size(const struct weir_model_desc *desc);

/* The state after power-on: everything off, BARs at 0. @flr: it can be reset. */
void wr_model_config_init(struct wr_model_config *config, const struct weir_model_desc *desc,
			  bool flr);

/* The model's own part changes; from WEIR_MODEL_CONFIG_OWN on, the range has been checked. */
void wr_model_config_own(struct wr_model_config *config, unsigned int offset, const void *bytes,
			 const void *writable, size_t len);

/* The driver writes: only writable bits change. The range has been checked. */
void wr_model_config_write(struct wr_model_config *config, unsigned int offset, const uint8_t *buf,
			   unsigned int len);

/* The device itself changes a register, or reads one. */
uint16_t wr_model_config_get16(const struct wr_model_config *config, unsigned int offset);
void wr_model_config_set16(struct wr_model_config *config, unsigned int offset, uint16_t value);

/* MSI or MSI-X enabled for @count vectors, 0: disabled. The model has the capability. */
void wr_model_config_msi(struct wr_model_config *config, unsigned int count);
void wr_model_config_msix(struct wr_model_config *config, unsigned int count);

/* Bytes of the MSI-X table and of its array of pending bits, for @vectors. */
uint64_t wr_model_msix_table_len(unsigned int vectors);
uint64_t wr_model_msix_pba_len(unsigned int vectors);

#endif
