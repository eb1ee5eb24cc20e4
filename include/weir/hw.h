/* SPDX-License-Identifier: MIT */
/*
 * What the IOMMU in front of a device can do, as IOMMUFD tells it (IOMMU_GET_HW_INFO;
 * include/uapi/linux/iommufd.h): what holds for all makes, each make's own registers, and those in
 * words. A VMM shows its guest the same, or less.
 */
#ifndef WEIR_HW_H
#define WEIR_HW_H

#include <weir/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** weir_hw_type - the make of an IOMMU: the kernel's numbers (enum iommu_hw_info_type). */
enum weir_hw_type {
	WEIR_HW_NONE = 0,		/**< its driver tells nothing of its own; asked for: any */
	WEIR_HW_VTD = 1,		/**< Intel VT-d */
	WEIR_HW_SMMUV3 = 2,		/**< Arm SMMUv3 */
	WEIR_HW_TEGRA241_CMDQV = 3,	/**< NVIDIA's command queues of a SMMUv3; when asked for */
	WEIR_HW_AMD = 4,		/**< AMD IOMMU */
};

/** weir_hw_vtd - registers of VT-d (specification, sections 11.4.2 and 11.4.3). */
struct weir_hw_vtd {
	uint32_t flags;		/**< 1: a nest parent mustn't have read-only mappings (772415) */
	uint32_t reserved;
	uint64_t cap;
	uint64_t ecap;
};

/**
 * weir_hw_smmuv3 - registers of an SMMUv3 (specification, sections 6.3.1 to 6.3.6). Of .idr a VMM
 * may look at those fields alone that struct iommu_hw_info_arm_smmuv3 names; weir_hw_words() does.
 */
struct weir_hw_smmuv3 {
	uint32_t flags;		/**< 1: TLBI and CFGI commands must be sent twice */
	uint32_t reserved;
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

/** weir_hw_tegra241_cmdqv - the PARAM register of NVIDIA's CMDQV. */
struct weir_hw_tegra241_cmdqv {
	uint32_t flags;
	uint8_t version;
	uint8_t log2vcmdqs;	/**< command queues, as a power of two */
	uint8_t log2vsids;	/**< stream ids, as a power of two */
	uint8_t reserved;
};

/** weir_hw_amd - registers of AMD's IOMMU: 0030h EFR and 01A0h EFR2 (specification 48882). */
struct weir_hw_amd {
	uint64_t efr;
	uint64_t efr2;
};

/** weir_hw_info - what an IOMMU can do for a device. */
struct weir_hw_info {
	uint32_t type;		/**< of enum weir_hw_type, or one that weir doesn't know */
	unsigned int pasid_bits; /**< how wide the device's PASIDs are; 0: it has none */
	bool pasid_exec;	/**< a request with a PASID can be for execution */
	bool pasid_priv;	/**< a request with a PASID can be privileged */
	bool dirty;		/**< page tables can track what is written */
	bool ats;		/**< nothing says that it can't keep translations (PCIe ATS) */
	uint32_t len;		/**< bytes that the kernel has of its make's; see @u */
	union {
		struct weir_hw_vtd vtd;
		struct weir_hw_smmuv3 smmuv3;
		struct weir_hw_tegra241_cmdqv tegra241_cmdqv;
		struct weir_hw_amd amd;
		unsigned char bytes[128];	/**< of makes that weir doesn't know; zero behind */
	} u;
	/** For later versions; zero. */
	uint64_t reserved[4];
};

/**
 * weir_device_hw_info() - ask what the IOMMU in front of a device can do.
 * @type: which make's registers are wanted, when there are several; WEIR_HW_NONE: its own.
 *
 * Returns 0; -ENOTSUP when the device isn't attached by "iommufd" and isn't of the software IOMMU,
 * or its IOMMU isn't of that type; -EPERM as weir_device_info(); or what the kernel says.
 */
WEIR_API int weir_device_hw_info(struct weir_device *dev, uint32_t type, struct weir_hw_info *info);

/** weir_hw_word - one thing that an IOMMU can do or not. */
struct weir_hw_word {
	const char *name;	/**< as its specification calls it; constant */
	const char *meaning;	/**< what that is; constant */
	/** The field's value. Where it is a number of bits or a size, that number. */
	uint64_t value;
};

/**
 * weir_hw_words() - the registers of an IOMMU in words, field by field, those that concern what
 * weir_hwpt and its kin offer. Reads @info alone.
 * @words: filled with at most @n.
 *
 * Returns their number, 0 for a make that weir doesn't know.
 */
WEIR_API int weir_hw_words(const struct weir_hw_info *info, struct weir_hw_word *words, size_t n);

#ifdef __cplusplus
}
#endif

#endif
