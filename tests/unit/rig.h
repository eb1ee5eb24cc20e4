/* SPDX-License-Identifier: MIT */
/* An address space between a fake kernel (fake_vfio.h) and a model on the software IOMMU. */
#ifndef RIG_H
#define RIG_H

#include <weir/weir.h>

#include "fake_vfio.h"
#include "ioas/ioas.h"
#include "says.h"

#define PAGES 16

extern size_t page;

struct rig {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct wr_endpoint eps[FAKE_GROUPS];	/* the fake kernel's devices */
	char *memory;				/* PAGES of them */
	struct weir_model *model;
	struct weir_device *soft;		/* it, opened */
};

/* With nothing attached. Teardown sees that the fake kernel has no fd and no memory left. */
int rig_setup(void **state);
int rig_setup_for(struct rig *rig, const char *interface);
int rig_teardown(void **state);

/* Open the group of the n-th device, and attach it; and back. */
int get_group(struct rig *rig, unsigned int n);
int attach(struct rig *rig, unsigned int n);
void detach(struct rig *rig, unsigned int n);

/* The interface by which the first device is attached, that is tried and undone. */
const char *backend(struct rig *rig);

/* The model, with bus mastering on; and whether it reaches an IOVA: 0 or -errno. */
void attach_soft(struct rig *rig);
int soft_reaches(struct rig *rig, weir_iova iova);

int map_at(struct rig *rig, weir_iova iova, void *vaddr, size_t len);
bool is_mapped(struct rig *rig, weir_iova iova);
struct weir_ioas_caps caps_of(struct rig *rig);

#endif
