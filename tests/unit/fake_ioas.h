/* SPDX-License-Identifier: MIT */
/* What the fake kernel's IOMMUFD consists of: objects, and what is mapped in address spaces. */
#ifndef FAKE_IOAS_H
#define FAKE_IOAS_H

#include "fake_vfio.h"

#define OBJECTS		64
#define WRITTEN		8
#define ALLOWED		64

struct area {
	struct area *next;
	struct wr_iommu_map map;
	ino_t file;			/* of what was mapped by MAP_FILE; 0: an address */
	unsigned long pages;		/* what is pinned: the same for copies */
	bool writable;			/* it is pinned so */
	unsigned int process;		/* that is charged */
};

enum type { FREE, DEVICE, IOAS, HWPT };

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

#endif
