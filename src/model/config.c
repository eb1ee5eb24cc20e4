/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/err.h"
#include "model/config.h"

/* Message address, upper address and data: offsets from the capability, of the 64-bit form. */
#define MSI_ADDRESS	0x04
#define MSI_DATA	0x0c

/*
 * PCI Express Base, section 7.5.3: version 2 of the capability, and no link, since the device hangs
 * on none: it is integrated into the root complex.
 */
#define EXP_FLAGS		(9 << 4 | 2)
#define EXP_DEVCAP_ROLE_BASED	0x00008000
#define EXP_DEVCTL_DEFAULT	0x2810		/* relaxed ordering, no snoop, reads of 512 bytes */
#define EXP_DEVCTL_WRITABLE	0x781f		/* these, and the reporting of errors */

#define MSIX_ENTRY	16
#define MSIX_MAX	2048

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

uint64_t wr_model_msix_table_len(unsigned int vectors)
{
	return (uint64_t)vectors * MSIX_ENTRY;
}

/* A bit each, in whole words of 64. */
uint64_t wr_model_msix_pba_len(unsigned int vectors)
{
	return ((uint64_t)vectors + 63) / 64 * 8;
}

static int check_msix_part(const struct weir_model_desc *desc, const char *what, uint64_t offset,
			   uint64_t len)
{
	uint64_t size = desc->bars[desc->msix_bar].size;

	if (offset % 8)
		return wr_fail(-EINVAL, "%s: the MSI-X %s is at 0x%llx, not at a multiple of 8",
			       desc->name, what, (unsigned long long)offset);
	if (offset > UINT32_MAX)
		return wr_fail(-EINVAL, "%s: the MSI-X %s is at 0x%llx, and the capability has 32 "
			       "bits to tell where", desc->name, what, (unsigned long long)offset);
	if (offset > size || len > size - offset)
		return wr_fail(-EINVAL, "%s: the MSI-X %s takes 0x%llx bytes at 0x%llx, BAR %u has "
			       "0x%llx", desc->name, what, (unsigned long long)len,
			       (unsigned long long)offset, desc->msix_bar,
			       (unsigned long long)size);
	return 0;
}

static int check_msix(const struct weir_model_desc *desc)
{
	uint64_t table_len = wr_model_msix_table_len(desc->msix);
	uint64_t pba_len = wr_model_msix_pba_len(desc->msix);
	int ret;

	if (!desc->msix && (desc->msix_bar || desc->msix_table || desc->msix_pba))
		return wr_fail(-EINVAL, "%s: it says where its MSI-X table is, but not how many "
			       "vectors it has", desc->name);
	if (!desc->msix)
		return 0;
	if (desc->msix > MSIX_MAX)
		return wr_fail(-EINVAL, "%s: %u MSI-X vectors, there can be 1 to %u", desc->name,
			       desc->msix, MSIX_MAX);
	if (desc->msix_bar > 5 || !desc->bars[desc->msix_bar].size)
		return wr_fail(-EINVAL, "%s: its MSI-X table is in BAR %u, which it hasn't got",
			       desc->name, desc->msix_bar);
	ret = check_msix_part(desc, "table", desc->msix_table, table_len);
	if (!ret)
		ret = check_msix_part(desc, "pending bits", desc->msix_pba, pba_len);
	if (ret)
		return ret;
	if (desc->msix_table < desc->msix_pba + pba_len &&
	    desc->msix_pba < desc->msix_table + table_len)
		return wr_fail(-EINVAL, "%s: the MSI-X table at 0x%llx and the pending bits at "
			       "0x%llx overlap", desc->name, (unsigned long long)desc->msix_table,
			       (unsigned long long)desc->msix_pba);
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
	return check_msix(desc);
}

unsigned int wr_model_config_size(const struct weir_model_desc *desc)
{
	return desc->pcie ? WR_PCI_EXT_CONFIG_SIZE : WR_PCI_CONFIG_SIZE;
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
	uint8_t *writable = config->writable + WR_MODEL_MSI;

	config->bytes[WR_MODEL_MSI] = WR_PCI_CAP_MSI;
	wr_model_config_set16(config, WR_MODEL_MSI + WR_PCI_MSI_CONTROL,
			      (uint16_t)(WR_PCI_MSI_64BIT | log2_up(count) << 1));
	put(writable + MSI_ADDRESS, 8, ~3ull);
	put(writable + MSI_DATA, 2, 0xffff);
}

/* Message control is the host's, as with MSI; so is the table. */
static void init_msix(struct wr_model_config *config, const struct weir_model_desc *desc)
{
	uint8_t *cap = config->bytes + WR_MODEL_MSIX;

	cap[0] = WR_PCI_CAP_MSIX;
	put(cap + WR_PCI_MSIX_CONTROL, 2, desc->msix - 1);
	put(cap + WR_PCI_MSIX_TABLE, 4, desc->msix_table | desc->msix_bar);
	put(cap + WR_PCI_MSIX_PBA, 4, desc->msix_pba | desc->msix_bar);
}

static void init_express(struct wr_model_config *config, bool flr)
{
	uint8_t *cap = config->bytes + WR_MODEL_EXPRESS;

	cap[0] = WR_PCI_CAP_EXPRESS;
	put(cap + WR_PCI_EXP_FLAGS, 2, EXP_FLAGS);
	put(cap + WR_PCI_EXP_DEVCAP, 4,
	    EXP_DEVCAP_ROLE_BASED | (flr ? WR_PCI_EXP_DEVCAP_FLR : 0));
	put(cap + WR_PCI_EXP_DEVCTL, 2, EXP_DEVCTL_DEFAULT);
	put(config->writable + WR_MODEL_EXPRESS + WR_PCI_EXP_DEVCTL, 2, EXP_DEVCTL_WRITABLE);
}

/*
 * Link the capabilities that are there, and then the model's own chain, if it has one. Extended
 * ones need no link: their chain starts at 0x100, and all of it is the model's.
 */
static void link_caps(struct wr_model_config *config)
{
	static const uint8_t places[] = { WR_MODEL_EXPRESS, WR_MODEL_MSI, WR_MODEL_MSIX };
	uint16_t status = wr_model_config_get16(config, WR_PCI_STATUS);
	unsigned int pointer = WR_PCI_CAP_POINTER;

	for (size_t i = 0; i < sizeof(places); i++) {
		if (!config->bytes[places[i]])
			continue;
		config->bytes[pointer] = places[i];
		pointer = places[i] + 1;
	}
	config->bytes[pointer] = config->bytes[WEIR_MODEL_CONFIG_OWN] ? WEIR_MODEL_CONFIG_OWN : 0;
	status &= (uint16_t)~WR_PCI_STATUS_CAPS;
	if (config->bytes[WR_PCI_CAP_POINTER])
		status |= WR_PCI_STATUS_CAPS;
	wr_model_config_set16(config, WR_PCI_STATUS, status);
}

void wr_model_config_own(struct wr_model_config *config, unsigned int offset, const void *bytes,
			 const void *writable, size_t len)
{
	memcpy(config->bytes + offset, bytes, len);
	if (writable)
		memcpy(config->writable + offset, writable, len);
	else
		memset(config->writable + offset, 0, len);
	link_caps(config);
}

void wr_model_config_init(struct wr_model_config *config, const struct weir_model_desc *desc,
			  bool flr)
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
	if (desc->pcie)
		init_express(config, flr);
	if (desc->msi)
		init_msi(config, desc->msi);
	if (desc->msix)
		init_msix(config, desc);
	link_caps(config);
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
	uint16_t control = wr_model_config_get16(config, WR_MODEL_MSI + WR_PCI_MSI_CONTROL);

	control &= (uint16_t)~(WR_PCI_MSI_ENABLE | WR_PCI_MSI_QSIZE);
	if (count)
		control |= (uint16_t)(WR_PCI_MSI_ENABLE | log2_up(count) << 4);
	wr_model_config_set16(config, WR_MODEL_MSI + WR_PCI_MSI_CONTROL, control);
}

void wr_model_config_msix(struct wr_model_config *config, unsigned int count)
{
	uint16_t control = wr_model_config_get16(config, WR_MODEL_MSIX + WR_PCI_MSIX_CONTROL);

	control &= (uint16_t)~WR_PCI_MSIX_ENABLE;
	if (count)
		control |= WR_PCI_MSIX_ENABLE;
	wr_model_config_set16(config, WR_MODEL_MSIX + WR_PCI_MSIX_CONTROL, control);
}
