/* SPDX-License-Identifier: MIT */
/* What the fake kernel's IOMMUFD consists of: objects, and what is mapped in address spaces. */
#ifndef FAKE_IOAS_H
#define FAKE_IOAS_H

#include "fake_vfio.h"
#include "kernel/uapi_hwpt.h"

#define OBJECTS		64
#define WRITTEN		8
#define ALLOWED		64
#define PASIDS		4

struct area {
	struct area *next;
	struct wr_iommu_map map;
	ino_t file;			/* of what was mapped by MAP_FILE; 0: an address */
	unsigned long pages;		/* what is pinned: the same for copies */
	bool writable;			/* it is pinned so */
	unsigned int process;		/* that is charged */
};

enum type { FREE, DEVICE, IOAS, HWPT, NESTED, FAULT, VIOMMU, VDEVICE, VEVENTQ, HW_QUEUE, ANY };

/* Its number is its place in the table, from 1 on. */
struct object {
	enum type type;
	struct fake_context *ctx;
	unsigned int users;
	struct area *areas;		/* of an IOAS, by IOVA */
	struct wr_iommu_iova_range allowed[ALLOWED];	/* promised */
	unsigned int n_allowed;
	bool small_pages;
	struct object *ioas;		/* of a page table */
	struct fake_group *group;	/* whose IOMMU it is for; of a device */
	bool dirty, tracking;
	bool automatic;			/* goes with the last device */
	uint64_t written[WRITTEN];	/* pages, while it is tracking */
	unsigned int n_written;
	struct object *hwpt;		/* of a device, attached */
	struct { uint32_t pasid; struct object *hwpt; } pasids[PASIDS];
	bool nest_parent, pasid;
	struct object *fault;
	struct object *parent;		/* what it was made from, unless an IOAS */
	struct object *device;		/* a virtual one's */
	uint64_t number;
	uint32_t kind;
	_Alignas(8) char bytes[1024];	/* of a queue, to be read */
	size_t n_bytes;
};

/* An open /dev/iommu. It lives on while devices are bound to it. */
struct fake_context {
	unsigned int refs, objects;
	bool by_process;
	struct object *compat;		/* for a group, in a container's place */
};

extern struct object fake_object_table[OBJECTS];

/* Objects; a number leads to one of that type and context. */
struct object *fake_new_object(struct fake_context *ctx, enum type type);
struct object *fake_find_object(struct fake_context *ctx, uint32_t id, enum type type);
void fake_free_object(struct object *object);
int fake_destroy(struct fake_context *ctx, uint32_t id);
uint32_t fake_object_id(const struct object *object);

/* What is mapped, and where can be. */
struct area **fake_find_area(struct object *ioas, uint64_t iova, uint64_t last);
bool fake_has_table(const struct object *ioas);
bool fake_in_group(const struct fake_group *g, uint64_t iova, uint64_t last);
bool fake_in_aperture(const struct fake_group *g, uint64_t last);
unsigned int fake_ranges_of(const struct object *ioas, struct wr_iommu_iova_range *out,
			    unsigned int room);
int fake_iova_ranges(struct fake_context *ctx, struct wr_iommu_ranges *get);
int fake_pin(const struct area *area, uint64_t pinned);
bool fake_allowed_in(const struct object *ioas, const struct fake_group *g, bool aperture);
int fake_allow(struct fake_context *ctx, const struct wr_iommu_allow *arg);
int fake_map(struct object *ioas, const struct wr_iommu_map *map, ino_t file);
int fake_ioas_map(struct fake_context *ctx, const struct wr_iommu_map *arg);
int fake_map_file(struct fake_context *ctx, const struct wr_iommu_map_file *arg);
int fake_copy(struct fake_context *ctx, const struct wr_iommu_copy *arg);
int fake_huge_pages(struct fake_context *ctx, struct wr_iommu_option *arg);
int fake_change_process(struct fake_context *ctx, const struct wr_iommu_change_process *arg);
int fake_unmap(struct object *ioas, uint64_t iova, uint64_t *length);
int fake_ioas_unmap(struct fake_context *ctx, struct wr_iommu_unmap *arg);

/* fake_hwpt.c */
int fake_new_hwpt(struct object *ioas, struct fake_group *g, bool dirty, struct object **out);
int fake_hwpt_alloc(struct fake_context *ctx, struct wr_iommu_hwpt_alloc *given);
int fake_invalidate(struct fake_context *ctx, struct wr_iommu_invalidate *arg);
int fake_set_dirty(struct fake_context *ctx, const struct wr_iommu_set_dirty *arg);
int fake_get_dirty(struct fake_context *ctx, const struct wr_iommu_get_dirty *arg);
int fake_attach_pasid(struct object *device, const struct wr_vfio_attach *arg);
int fake_detach_pasid(struct object *device, uint32_t pasid);
bool fake_has_pasids(const struct object *device);
int fake_fault_alloc(struct fake_context *ctx, struct wr_iommu_fault_alloc *arg);
int fake_veventq_alloc(struct fake_context *ctx, struct wr_iommu_veventq_alloc *arg);
int fake_viommu_alloc(struct fake_context *ctx, struct wr_iommu_viommu_alloc *arg);
int fake_vdevice_alloc(struct fake_context *ctx, struct wr_iommu_vdevice_alloc *arg);
int fake_hw_queue_alloc(struct fake_context *ctx, struct wr_iommu_hw_queue_alloc *arg);
void fake_queue_put(struct object *queue, const void *bytes, size_t len);
ssize_t fake_queue_read(struct object *queue, void *buf, size_t len);
ssize_t fake_queue_write(struct object *queue, const void *buf, size_t len);

/* An fd of it, which holds it (fake_iommufd.c). */
int fake_queue_fd(struct object *queue);

#endif
