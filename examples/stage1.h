/* SPDX-License-Identifier: MIT */
/*
 * What a guest's driver of an SMMUv3 keeps in the guest's memory for one of its devices: a context
 * descriptor, and a table of four levels of 4 KiB pages. Arm SMMUv3 specification, sections 5.2 and
 * 5.4; Arm architecture reference manual, D8.3.
 */
#ifndef EXAMPLES_STAGE1_H
#define EXAMPLES_STAGE1_H

#include <endian.h>
#include <string.h>

#include <weir/viommu.h>

#define STAGE1_ASID	1
#define STAGE1_PAGES	5		/* of guest memory: the descriptor, and one of each level */
#define STAGE1_ENTRIES	512

/* Of a leaf. AP: anybody reads and writes; SH: inner shareable; AF: it was accessed. */
#define STAGE1_LEAF		(3u | 1u << 6 | 3u << 8 | 1u << 10)
#define STAGE1_READ_ONLY	(1u << 7)

/* A guest's memory: where weir's process has it, and at which of the guest's addresses. */
struct stage1 {
	unsigned char *at;
	weir_iova guest;
};

static inline uint64_t *stage1_page(const struct stage1 *s, unsigned int page)
{
	return (uint64_t *)(void *)(s->at + 4096u * page);
}

/* The table that the pages behind the descriptor are: one path, to @va's leaves. */
static inline void stage1_init(const struct stage1 *s, weir_iova va)
{
	uint64_t *cd = stage1_page(s, 0);

	memset(s->at, 0, 4096u * STAGE1_PAGES);
	cd[0] = htole64(16 |			/* T0SZ: 48 bits */
			1u << 8 | 1u << 10 |	/* IR0, OR0: walks go by the caches */
			3u << 12 |		/* SH0: inner shareable */
			1u << 30 |		/* EPD1: no second table */
			1u << 31 |		/* V */
			UINT64_C(4) << 32 |	/* IPS: 44 bits */
			UINT64_C(1) << 41 |	/* AA64 */
			UINT64_C(1) << 45 |	/* R: faults are recorded */
			UINT64_C(1) << 46 |	/* A: and end the access */
			UINT64_C(1) << 47 |	/* ASET */
			(uint64_t)STAGE1_ASID << 48);
	cd[1] = htole64(s->guest + 4096);
	cd[3] = htole64(0xff);			/* MAIR: attribute 0 is normal memory, write-back */
	for (unsigned int level = 0; level < 3; level++) {
		unsigned int index = va >> (39 - 9 * level) & (STAGE1_ENTRIES - 1);

		stage1_page(s, 1 + level)[index] = htole64((s->guest + 4096u * (2 + level)) | 3);
	}
}

/* A leaf: 4 KiB at @va are at @to in the guest's memory. @bits 0: nothing is. */
static inline void stage1_set(const struct stage1 *s, weir_iova va, weir_iova to, uint64_t bits)
{
	uint64_t *leaf = &stage1_page(s, 4)[va >> 12 & (STAGE1_ENTRIES - 1)];

	__atomic_store_n(leaf, htole64(bits ? to | bits : 0), __ATOMIC_RELEASE);
}

/* The stream table entry that the guest has for the device. */
static inline struct weir_nested stage1_nested(const struct stage1 *s)
{
	return (struct weir_nested){ .type = WEIR_NESTED_SMMUV3, .u.smmuv3.ste = {
		htole64(1 | 5u << 1 | s->guest),	/* V, Config: stage 1, S1ContextPtr */
		/* S1CIR, S1COR, S1CSH: the descriptor is read by the caches, inner shareable */
		htole64(1u << 2 | 1u << 4 | 3u << 6) } };
}

/* One without a stage 1: Config 0 stops the device's DMA, 4 lets it through to stage 2. */
static inline struct weir_nested stage1_none(unsigned int config)
{
	return (struct weir_nested){ .type = WEIR_NESTED_SMMUV3,
				     .u.smmuv3.ste[0] = htole64(1 | config << 1) };
}

/* CMD_TLBI_NH_VA: what was known of the 4 KiB at @va is forgotten (section 4.4.2). */
static inline struct weir_smmuv3_command stage1_forget(weir_iova va)
{
	return (struct weir_smmuv3_command){ { htole64(0x12 | (uint64_t)STAGE1_ASID << 48),
					       htole64(va | 1) } };
}

#endif
