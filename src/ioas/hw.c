/* SPDX-License-Identifier: MIT */
/*
 * IOMMUs' registers in words: the fields that bear on nesting, PASIDs, page faults and dirty
 * tracking. Constant tables, by the specifications that weir/hw.h names.
 */
#include <weir/hw.h>

struct field {
	const char *name, *meaning;
	unsigned int word;		/* which register, in the order of the structure */
	unsigned int low, bits;
	unsigned int plus;		/* added to what the field holds */
};

/* .flags, CAP_REG (11.4.2), ECAP_REG (11.4.3) */
static const struct field vtd[] = {
	{ "ERRATA_772415", "a nest parent mustn't have read-only mappings", 0, 0, 1, 0 },
	{ "ND", "domain ids, as a power of two: 4 + 2 x this", 1, 0, 3, 0 },
	{ "CM", "caching mode: what isn't present may be cached (an emulated IOMMU)", 1, 7, 1, 0 },
	{ "SAGAW.39", "second stage: tables of 3 levels, 39 bits", 1, 9, 1, 0 },
	{ "SAGAW.48", "second stage: tables of 4 levels, 48 bits", 1, 10, 1, 0 },
	{ "SAGAW.57", "second stage: tables of 5 levels, 57 bits", 1, 11, 1, 0 },
	{ "MGAW", "bits of the addresses that it translates", 1, 16, 6, 1 },
	{ "SSLPS.2M", "second stage: pages of 2 MiB", 1, 34, 1, 0 },
	{ "SSLPS.1G", "second stage: pages of 1 GiB", 1, 35, 1, 0 },
	{ "FS1GP", "first stage: pages of 1 GiB", 1, 56, 1, 0 },
	{ "FS5LP", "first stage: tables of 5 levels, 57 bits", 1, 60, 1, 0 },
	{ "DT", "devices may keep translations (device TLB, ATS)", 2, 2, 1, 0 },
	{ "IR", "interrupts are remapped", 2, 3, 1, 0 },
	{ "SC", "it can enforce coherency (snoop control)", 2, 7, 1, 0 },
	{ "NEST", "first stage nested on second stage", 2, 26, 1, 0 },
	{ "PRS", "page requests", 2, 29, 1, 0 },
	{ "SRS", "supervisor requests", 2, 31, 1, 0 },
	{ "NWFS", "first stage: no-write flag", 2, 33, 1, 0 },
	{ "EAFS", "first stage: extended accessed flag", 2, 34, 1, 0 },
	{ "PSS", "bits of PASIDs", 2, 35, 5, 1 },
	{ "PASID", "process address space ids", 2, 40, 1, 0 },
	{ "SMTS", "scalable mode", 2, 43, 1, 0 },
	{ "SSADS", "second stage: accessed and dirty bits", 2, 45, 1, 0 },
	{ "SSTS", "scalable mode: second-stage translation", 2, 46, 1, 0 },
	{ "FSTS", "scalable mode: first-stage translation", 2, 47, 1, 0 },
};

/* .flags, IDR0 to IDR5: what struct iommu_hw_info_arm_smmuv3 says may be looked at. */
static const struct field smmuv3[] = {
	{ "ERRATA_T264", "TLBI and CFGI commands must be sent twice", 0, 0, 1, 0 },
	{ "TTF", "formats of tables: 1 AArch32, 2 AArch64, 3 both", 1, 2, 2, 0 },
	{ "ASID16", "address space ids of 16 bits, otherwise 8", 1, 12, 1, 0 },
	{ "CD2L", "context descriptors in tables of two levels", 1, 19, 1, 0 },
	{ "TTENDIAN", "tables' byte order: 0 either, 2 little, 3 big endian", 1, 21, 2, 0 },
	{ "STALL_MODEL", "faults: 0 stall or abort, 1 abort alone, 2 stall alone", 1, 24, 2, 0 },
	{ "TERM_MODEL", "a terminated access: 0 may read as zero, 1 aborts", 1, 26, 1, 0 },
	{ "ST_LEVEL", "stream tables: 0 linear, 1 of two levels as well", 1, 27, 2, 0 },
	{ "SIDSIZE", "bits of stream ids", 2, 0, 6, 0 },
	{ "SSIDSIZE", "bits of substream ids (PASIDs)", 2, 6, 5, 0 },
	{ "RIL", "invalidation of ranges", 4, 10, 1, 0 },
	{ "BBML", "changing the size of a mapping: level of support", 4, 11, 2, 0 },
	{ "GRAN4K", "granules of 4 KiB", 6, 4, 1, 0 },
	{ "GRAN16K", "granules of 16 KiB", 6, 5, 1, 0 },
	{ "GRAN64K", "granules of 64 KiB", 6, 6, 1, 0 },
	{ "DS", "addresses of 52 bits with granules of 4 and 16 KiB", 6, 7, 1, 0 },
	{ "VAX", "virtual addresses: 0 of 48 bits, 1 of 52, 2 of 56", 6, 10, 2, 0 },
};

/* EFR (MMIO 0030h), EFR2 (01A0h) */
static const struct field amd[] = {
	{ "PPRSup", "page requests (PPR)", 0, 1, 1, 0 },
	{ "XTSup", "x2APIC", 0, 2, 1, 0 },
	{ "GTSup", "guest translation: first stage, and PASIDs", 0, 4, 1, 0 },
	{ "GASup", "virtual APIC", 0, 7, 1, 0 },
	{ "HATS", "host tables: 4 levels, plus this", 0, 10, 2, 0 },
	{ "GATS", "guest tables: 4 levels, plus this", 0, 12, 2, 0 },
	{ "GLXSup", "guest CR3 tables: 1 level, plus this", 0, 14, 2, 0 },
	{ "PASmax", "bits of PASIDs", 0, 32, 5, 1 },
	{ "GIOSup", "guest I/O protection", 0, 48, 1, 0 },
	{ "HASup", "host tables: accessed bits", 0, 49, 1, 0 },
	{ "EPHSup", "enhanced page-fault handling", 0, 50, 1, 0 },
	{ "HDSup", "host tables: dirty bits", 0, 52, 1, 0 },
	{ "GCR3TRPMode", "guest CR3 table by guest physical address", 1, 3, 1, 0 },
};

/* Of the structure's fields, in host order; fewer where it has only some of them. */
static size_t registers(const struct weir_hw_info *info, uint64_t *words)
{
	switch (info->type) {
	case WEIR_HW_VTD:
		words[0] = info->u.vtd.flags;
		words[1] = info->u.vtd.cap;
		words[2] = info->u.vtd.ecap;
		return 3;
	case WEIR_HW_SMMUV3:
		words[0] = info->u.smmuv3.flags;
		for (int i = 0; i < 6; i++)
			words[1 + i] = info->u.smmuv3.idr[i];
		return 7;
	case WEIR_HW_AMD:
		words[0] = info->u.amd.efr;
		words[1] = info->u.amd.efr2;
		return 2;
	default:
		return 0;
	}
}

static int tegra241(const struct weir_hw_tegra241_cmdqv *is, struct weir_hw_word *words, size_t n)
{
	const struct weir_hw_word all[] = {
		{ "VERSION", "version of the CMDQ-V", is->version },
		{ "LOG2VCMDQS", "command queues, as a power of two", is->log2vcmdqs },
		{ "LOG2VSIDS", "stream ids of one guest, as a power of two", is->log2vsids },
	};

	for (size_t i = 0; i < n && i < 3; i++)
		words[i] = all[i];
	return 3;
}

int weir_hw_words(const struct weir_hw_info *info, struct weir_hw_word *words, size_t n)
{
	static const struct {
		const struct field *fields;
		size_t n;
	} makes[] = {
		[WEIR_HW_VTD] = { vtd, sizeof(vtd) / sizeof(vtd[0]) },
		[WEIR_HW_SMMUV3] = { smmuv3, sizeof(smmuv3) / sizeof(smmuv3[0]) },
		[WEIR_HW_AMD] = { amd, sizeof(amd) / sizeof(amd[0]) },
	};
	uint64_t values[7];

	if (info->type == WEIR_HW_TEGRA241_CMDQV)
		return tegra241(&info->u.tegra241_cmdqv, words, n);
	if (!registers(info, values))
		return 0;
	for (size_t i = 0; i < n && i < makes[info->type].n; i++) {
		const struct field *f = &makes[info->type].fields[i];

		words[i] = (struct weir_hw_word){
			.name = f->name,
			.meaning = f->meaning,
			.value = (values[f->word] >> f->low & ((1ull << f->bits) - 1)) + f->plus,
		};
	}
	return (int)makes[info->type].n;
}
