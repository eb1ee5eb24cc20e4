/* SPDX-License-Identifier: MIT */
/*
 * Numbers and layouts of NVMe, as far as the driver uses them. Sections are those of the NVM
 * Express Base Specification 2.0, and where it says so of the NVM Command Set Specification 1.0
 * or the NVMe over PCIe Transport Specification 1.0. Everything is little-endian.
 */
#ifndef DRIVERS_NVME_SPEC_H
#define DRIVERS_NVME_SPEC_H

#include <stdint.h>

/* Controller properties, section 3.1.3, at the start of BAR 0. */
#define NVME_CAP	0x00		/* 8 bytes */
#define NVME_VS		0x08
#define NVME_CC		0x14
#define NVME_CSTS	0x1c
#define NVME_AQA	0x24
#define NVME_ASQ	0x28		/* 8 bytes */
#define NVME_ACQ	0x30		/* 8 bytes */
#define NVME_CRTO	0x68

/* Doorbells: PCIe transport, section 3.1.2. Submission queue y is the 2y-th, its completion queue
 * the one after; they are 4 << CAP.DSTRD bytes apart. */
#define NVME_DOORBELLS	0x1000

#define NVME_CAP_MQES(cap)	((unsigned int)(cap) & 0xffff)		/* entries - 1 */
#define NVME_CAP_TO(cap)	((unsigned int)((cap) >> 24) & 0xff)	/* in 500 ms */
#define NVME_CAP_DSTRD(cap)	((unsigned int)((cap) >> 32) & 0xf)
#define NVME_CAP_NVM(cap)	((cap) >> 37 & 1)	/* CSS: the NVM command set */
#define NVME_CAP_MPSMIN(cap)	((unsigned int)((cap) >> 48) & 0xf)	/* 2^(12 + n) bytes */
#define NVME_CAP_CRWMS(cap)	((cap) >> 59 & 1)	/* CRTO has the time to be ready */
#define NVME_CRTO_CRWMT(crto)	((unsigned int)(crto) & 0xffff)	/* in 500 ms */

#define NVME_CC_EN		(1u << 0)
#define NVME_CC_MPS(n)		((uint32_t)(n) << 7)
#define NVME_CC_SHN_MASK	(3u << 14)
#define NVME_CC_SHN_NORMAL	(1u << 14)
#define NVME_CC_IOSQES		(6u << 16)	/* entries of 2^6 bytes */
#define NVME_CC_IOCQES		(4u << 20)

#define NVME_CSTS_RDY		(1u << 0)
#define NVME_CSTS_CFS		(1u << 1)	/* fatal, section 9.5 */
#define NVME_CSTS_SHST_MASK	(3u << 2)
#define NVME_CSTS_SHST_DONE	(2u << 2)

/* A submission queue's entry, section 3.3.3.1. */
struct nvme_command {
	uint8_t opcode;
	uint8_t flags;		/* not fused, PRPs */
	uint16_t id;
	uint32_t nsid;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp1;
	uint64_t prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

/* A completion queue's entry, section 3.3.3.2. */
struct nvme_completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t id;
	uint16_t status;	/* bit 0: the phase; above it what nvme_status_text() knows */
};

_Static_assert(sizeof(struct nvme_command) == 64, "1 << CC.IOSQES");
_Static_assert(sizeof(struct nvme_completion) == 16, "1 << CC.IOCQES");

/* Admin commands, section 5. */
#define NVME_ADMIN_DELETE_SQ	0x00
#define NVME_ADMIN_CREATE_SQ	0x01
#define NVME_ADMIN_DELETE_CQ	0x04
#define NVME_ADMIN_CREATE_CQ	0x05
#define NVME_ADMIN_IDENTIFY	0x06
#define NVME_ADMIN_SET_FEATURES	0x09

#define NVME_QUEUE_CONTIGUOUS	1u	/* sections 5.4 and 5.5, dword 11 */
#define NVME_QUEUE_INTERRUPTS	2u

#define NVME_CNS_NAMESPACE	0x00	/* section 5.17 */
#define NVME_CNS_CONTROLLER	0x01
#define NVME_CNS_ACTIVE		0x02
#define NVME_IDENTIFY_SIZE	4096

#define NVME_FEATURE_QUEUES	0x07	/* section 5.27.1.5 */

/* I/O commands: section 7.1, and section 3.2 of the NVM Command Set. */
#define NVME_CMD_FLUSH		0x00
#define NVME_CMD_WRITE		0x01
#define NVME_CMD_READ		0x02

/* Identify Controller, section 5.17.2.1. */
#define NVME_ID_VID		0	/* 2 bytes */
#define NVME_ID_SN		4	/* 20 bytes, as the next two ASCII filled with blanks */
#define NVME_ID_MN		24	/* 40 bytes */
#define NVME_ID_FR		64	/* 8 bytes */
#define NVME_ID_MDTS		77	/* 2^n pages of CAP.MPSMIN; 0: no limit */
#define NVME_ID_RTD3E		88	/* 4 bytes: how long a shutdown takes, in us; 0: unknown */
#define NVME_ID_NN		516	/* 4 bytes */
#define NVME_ID_VWC		525	/* bit 0: there is a volatile write cache */

/* Identify Namespace, section 4.1.5.1 of the NVM Command Set. */
#define NVME_NS_NSZE		0	/* 8 bytes */
#define NVME_NS_NUSE		16	/* 8 bytes */
#define NVME_NS_NLBAF		25	/* formats - 1 */
#define NVME_NS_FLBAS		26	/* the format in use: bits 0 to 3, above them 5 and 6 */
#define NVME_NS_LBAF		128	/* 4 bytes each: bytes of metadata, bits 16 to 23 LBADS */

/* Status codes, section 3.3.3.2.1: type << 8 | code. */
#define NVME_SC(status)		((unsigned int)(status) >> 1 & 0x7ff)

#define NVME_SC_INVALID_OPCODE	0x001
#define NVME_SC_INVALID_FIELD	0x002
#define NVME_SC_DATA_TRANSFER	0x004
#define NVME_SC_INTERNAL	0x006
#define NVME_SC_ABORTED		0x007
#define NVME_SC_SQ_DELETED	0x008
#define NVME_SC_NAMESPACE	0x00b
#define NVME_SC_PRP_OFFSET	0x013
#define NVME_SC_PROTECTED	0x020
#define NVME_SC_LBA_RANGE	0x080
#define NVME_SC_CAPACITY	0x081
#define NVME_SC_NOT_READY	0x082
#define NVME_SC_RESERVATION	0x083
#define NVME_SC_FORMATTING	0x084
#define NVME_SC_CQ_INVALID	0x100
#define NVME_SC_QUEUE_ID	0x101
#define NVME_SC_QUEUE_SIZE	0x102
#define NVME_SC_VECTOR		0x108
#define NVME_SC_READ_ONLY_RANGE	0x182
#define NVME_SC_WRITE_FAULT	0x280
#define NVME_SC_READ_ERROR	0x281
#define NVME_SC_GUARD		0x282
#define NVME_SC_APPLICATION_TAG	0x283
#define NVME_SC_REFERENCE_TAG	0x284
#define NVME_SC_DENIED		0x286
#define NVME_SC_DEALLOCATED	0x287

#endif
