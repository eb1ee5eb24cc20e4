/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include <string.h>

#include "base/err.h"
#include "model/config.h"

/* The first place a capability can have: right behind the header. */
#define MSI_CAP 0x40

/* Message address, upper address and data: offsets from the capability, of the 64-bit form. */
#define MSI_ADDRESS	0x04
#define MSI_DATA	0x0c

#define BAR_MEM_64	0x4
#define BAR_PREFETCH	0x8

static void put(uint8_t *at, unsigned int len, uint64_t value)
{
	for (unsigned int i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

uint16_t wr_model_config_get16(const struct wr_model_config *config, unsigned int offset)
{
	return (uint16_t)(config->bytes[offset] | config->bytes[offset + 1] << 8);
}

void wr_model_config_set16(struct wr_model_config *config, unsigned int offset, uint16_t value)
{
	put(config->bytes + offset, 2, value);
}

static unsigned int log2_up(unsigned int n)
{
	unsigned int bits = 0;

	while (1u << bits < n)
		bits++;
	return bits;
}

static int check_bar(const struct weir_model_desc *desc, unsigned int n)
{
	const struct weir_model_bar *bar = &desc->bars[n];

	if (!bar->size)
		return 0;
	if (bar->size & (bar->size - 1))
		return wr_fail(-EINVAL, "%s: BAR %u has 0x%llx bytes, not a power of two: a BAR "
			       "tells its size by the address bits it doesn't keep", desc->name, n,
			       (unsigned long long)bar->size);
	if (bar->size < 16)
		return wr_fail(-EINVAL, "%s: BAR %u has %u bytes, less than the 16 that a memory "
			       "BAR can tell", desc->name, n, (unsigned int)bar->size);
	if (!bar->is64 && bar->size > 1ull << 31)
		return wr_fail(-EINVAL, "%s: BAR %u has 0x%llx bytes, more than the 2 GiB that a "
			       "32-bit BAR can tell: make it a 64-bit one", desc->name, n,
			       (unsigned long long)bar->size);
	if (!bar->is64)
		return 0;
	if (n == 5)
		return wr_fail(-EINVAL, "%s: BAR 5 is the last one, it can't be the lower half of "
			       "a 64-bit BAR", desc->name);
	if (desc->bars[n + 1].size)
		return wr_fail(-EINVAL, "%s: BAR %u is a 64-bit one, BAR %u is its upper half and "
			       "must have size 0", desc->name, n, n + 1);
	return 0;
}

int wr_model_config_check(const struct weir_model_desc *desc)
{
	int ret;

	if (!desc->name)
		return wr_fail(-EINVAL, "a model must have a name, for messages");
	ret = WR_RESERVED(desc, "weir_model_desc");
	if (ret)
		return ret;
	if (desc->vendor == 0xffff)
		return wr_fail(-EINVAL, "%s: vendor id 0xffff is what is read where no device is",
			       desc->name);
	if (desc->class_code > 0xffffff)
		return wr_fail(-EINVAL, "%s: class code 0x%x has more than 24 bits", desc->name,
			       desc->class_code);
	if (desc->dma_bits > 64)
		return wr_fail(-EINVAL, "%s: %u address bits for DMA, the bus has 64", desc->name,
			       desc->dma_bits);
	/* Mappings are whole pages, and no machine has smaller ones than 4 KiB. */
	if (desc->dma_bits && desc->dma_bits < 12)
		return wr_fail(-EINVAL, "%s: with %u address bits it can't reach all of a page: "
			       "12 at least, 0 for 64", desc->name, desc->dma_bits);
	if (desc->msi > 32 || (desc->msi & (desc->msi - 1)))
		return wr_fail(-EINVAL, "%s: %u MSI vectors, it can be 0, 1, 2, 4, 8, 16 or 32",
			       desc->name, desc->msi);
	for (unsigned int n = 0; n < 6; n++) {
		ret = check_bar(desc, n);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Software learns a BAR's size by writing all ones and looking which bits stick: those below the
 * size are wired to zero, but for the flags.
 */
static void init_bar(struct wr_model_config *config, const struct weir_model_bar *bar,
		     unsigned int n)
{
	unsigned int offset = WR_PCI_BAR0 + 4 * n;

	if (!bar->size)
		return;
	put(config->bytes + offset, 4,
	    (bar->is64 ? BAR_MEM_64 : 0) | (bar->prefetchable ? BAR_PREFETCH : 0));
	put(config->writable + offset, bar->is64 ? 8 : 4, ~(bar->size - 1));
}

/*
 * Message control is the host's: the driver's side enables MSI by wr_model_irq_enable(), and what
 * a driver writes there has no effect. The message itself is storage only: vectors are eventfds
 * here, as under VFIO, and no address is ever written to.
 */
static void init_msi(struct wr_model_config *config, unsigned int count)
{
	uint8_t *writable = config->writable + MSI_CAP;

	config->bytes[WR_PCI_CAP_POINTER] = MSI_CAP;
	wr_model_config_set16(config, WR_PCI_STATUS, WR_PCI_STATUS_CAPS);
	config->bytes[MSI_CAP] = WR_PCI_CAP_MSI;
	wr_model_config_set16(config, MSI_CAP + WR_PCI_MSI_CONTROL,
			      (uint16_t)(WR_PCI_MSI_64BIT | log2_up(count) << 1));
	put(writable + MSI_ADDRESS, 8, ~3ull);
	put(writable + MSI_DATA, 2, 0xffff);
}

void wr_model_config_init(struct wr_model_config *config, const struct weir_model_desc *desc)
{
	memset(config, 0, sizeof(*config));
	wr_model_config_set16(config, WR_PCI_VENDOR, desc->vendor);
	wr_model_config_set16(config, WR_PCI_DEVICE, desc->device);
	wr_model_config_set16(config, WR_PCI_SUBSYSTEM_VENDOR, desc->subsystem_vendor);
	wr_model_config_set16(config, WR_PCI_SUBSYSTEM_DEVICE, desc->subsystem_device);
	config->bytes[WR_PCI_REVISION] = desc->revision;
	put(config->bytes + WR_PCI_CLASS, 3, desc->class_code);
	put(config->writable + WR_PCI_COMMAND, 2,
	    WR_PCI_COMMAND_MEMORY | WR_PCI_COMMAND_MASTER | WR_PCI_COMMAND_INTX_OFF);
	for (unsigned int n = 0; n < 6; n++)
		init_bar(config, &desc->bars[n], n);
	/* The line is a scratch register for whoever routes interrupts. */
	config->writable[WR_PCI_INTERRUPT_LINE] = 0xff;
	config->bytes[WR_PCI_INTERRUPT_PIN] = desc->intx;
	if (desc->msi)
		init_msi(config, desc->msi);
}

void wr_model_config_write(struct wr_model_config *config, unsigned int offset, const uint8_t *buf,
			   unsigned int len)
{
	for (unsigned int i = 0; i < len; i++) {
		uint8_t mask = config->writable[offset + i];
		uint8_t *byte = &config->bytes[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (buf[i] & mask));
	}
}

void wr_model_config_msi(struct wr_model_config *config, unsigned int count)
{
	uint16_t control = wr_model_config_get16(config, MSI_CAP + WR_PCI_MSI_CONTROL);

	control &= (uint16_t)~(WR_PCI_MSI_ENABLE | WR_PCI_MSI_QSIZE);
	if (count)
		control |= (uint16_t)(WR_PCI_MSI_ENABLE | log2_up(count) << 4);
	wr_model_config_set16(config, MSI_CAP + WR_PCI_MSI_CONTROL, control);
}
