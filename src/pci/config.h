/* SPDX-License-Identifier: MIT */
/*
 * Config space: the registers weir uses by name (PCI Local Bus 3.0 chapter 6, PCI Express Base
 * chapter 7). The walk along its capabilities is public: weir_config_walk() in <weir/device.h>.
 */
#ifndef WR_PCI_CONFIG_H
#define WR_PCI_CONFIG_H

#define WR_PCI_VENDOR		0x00
#define WR_PCI_DEVICE		0x02
#define WR_PCI_COMMAND		0x04
#define WR_PCI_COMMAND_IO	0x0001
#define WR_PCI_COMMAND_MEMORY	0x0002
#define WR_PCI_COMMAND_MASTER	0x0004
#define WR_PCI_COMMAND_INTX_OFF	0x0400
#define WR_PCI_COMMAND_RESERVED	0xf800
#define WR_PCI_STATUS		0x06
#define WR_PCI_STATUS_INTX	0x0008
#define WR_PCI_STATUS_CAPS	0x0010
#define WR_PCI_REVISION		0x08
#define WR_PCI_CLASS		0x09	/* three bytes */
#define WR_PCI_HEADER_TYPE	0x0e
#define WR_PCI_BAR0		0x10
#define WR_PCI_SUBSYSTEM_VENDOR	0x2c
#define WR_PCI_SUBSYSTEM_DEVICE	0x2e
#define WR_PCI_CAP_POINTER	0x34
#define WR_PCI_INTERRUPT_LINE	0x3c
#define WR_PCI_INTERRUPT_PIN	0x3d

#define WR_PCI_CONFIG_SIZE	256
#define WR_PCI_EXT_CONFIG_SIZE	4096

#define WR_PCI_CAP_PM		0x01
#define WR_PCI_CAP_MSI		0x05
#define WR_PCI_CAP_EXPRESS	0x10
#define WR_PCI_CAP_MSIX		0x11

#define WR_PCI_EXT_CAP_ACS	0x000d

/* MSI, offsets from its capability; flags as in its message control register. */
#define WR_PCI_MSI_CONTROL	0x02
#define WR_PCI_MSI_ENABLE	0x0001
#define WR_PCI_MSI_QMASK	0x000e	/* log2 of the vectors it has */
#define WR_PCI_MSI_QSIZE	0x0070	/* log2 of the vectors in use */
#define WR_PCI_MSI_64BIT	0x0080
#define WR_PCI_MSIX_CONTROL	0x02
#define WR_PCI_MSIX_SIZE	0x07ff	/* vectors - 1 */
#define WR_PCI_MSIX_ENABLE	0x8000
#define WR_PCI_MSIX_TABLE	0x04	/* offset in the BAR; its number is in the lowest 3 bits */
#define WR_PCI_MSIX_PBA		0x08

/* PCI Express, as above. */
#define WR_PCI_EXP_FLAGS	0x02
#define WR_PCI_EXP_DEVCAP	0x04
#define WR_PCI_EXP_DEVCAP_FLR	0x10000000
#define WR_PCI_EXP_DEVCTL	0x08
#define WR_PCI_EXP_DEVCTL_FLR	0x8000

#endif
