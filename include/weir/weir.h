/* SPDX-License-Identifier: MIT */
/*
 * libweir, all of it: take a PCI device out of the kernel's hands and use it from userspace,
 * behind whatever IOMMU interface there is. libweir-host has a header of its own, <weir/host.h>.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/bar.h>
#include <weir/device.h>
#include <weir/error.h>
#include <weir/faultq.h>
#include <weir/hw.h>
#include <weir/hwpt.h>
#include <weir/ioas.h>
#include <weir/iommu.h>
#include <weir/irq.h>
#include <weir/mem.h>
#include <weir/model.h>
#include <weir/spapr.h>
#include <weir/types.h>
#include <weir/viommu.h>

#endif
