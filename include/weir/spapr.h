/* SPDX-License-Identifier: MIT */
/*
 * What POWER's IOMMU has and others don't (sPAPR TCE, drivers/vfio/vfio_iommu_spapr_tce.c): windows
 * of IOVAs that are made and removed. All of it is for address spaces whose devices are attached by
 * "spaprv2"; elsewhere it is refused with -ENOTSUP.
 */
#ifndef WEIR_SPAPR_H
#define WEIR_SPAPR_H

#include <weir/ioas.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- windows ---- */

#ifdef __cplusplus
}
#endif

#endif
