/* SPDX-License-Identifier: MIT */
/* Address spaces of the fake kernel's IOMMUFD (drivers/iommu/iommufd/io_pagetable.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "fake_ioas.h"

struct object fake_object_table[OBJECTS];

/* ---- objects ---- */

struct object *fake_new_object(struct fake_context *ctx, enum type type)
{
	for (unsigned int i = 0; i < OBJECTS; i++) {
		if (fake_object_table[i].type != FREE)
			continue;
		fake_object_table[i] = (struct object){ .type = type, .ctx = ctx };
		ctx->objects++;
		return &fake_object_table[i];
	}
	return NULL;
}

uint32_t fake_object_id(const struct object *object)
{
	return (uint32_t)(object - fake_object_table) + 1;
}

struct object *fake_find_object(struct fake_context *ctx, uint32_t id, enum type type)
{
	struct object *object = id && id <= OBJECTS ? &fake_object_table[id - 1] : NULL;

	return object && object->type != FREE && (type == ANY || object->type == type) &&
	       object->ctx == ctx ? object : NULL;
}

void fake_free_object(struct object *object)
{
	while (object->areas) {
		struct area *area = object->areas;

		object->areas = area->next;
		free(area);
	}
	if (object->ioas)
		object->ioas->users--;
	if (object->parent)
		object->parent->users--;
	if (object->fault)
		object->fault->users--;
	object->ctx->objects--;
	object->type = FREE;
}

int fake_destroy(struct fake_context *ctx, uint32_t id)
{
	struct object *object = id && id <= OBJECTS ? &fake_object_table[id - 1] : NULL;

	if (!object || object->type == FREE || object->ctx != ctx)
		return -ENOENT;
	if (object->type == DEVICE || object->users)
		return -EBUSY;
	fake_free_object(object);
	return 0;
}

/* ---- where can be mapped ---- */

bool fake_in_group(const struct fake_group *g, uint64_t iova, uint64_t last)
{
	for (unsigned int i = 0; i < g->n_ranges; i++)
		if (g->ranges[i].start <= iova && last <= g->ranges[i].end)
			return true;
	return false;
}

/* Without a device a page table only says how far it reaches. */
bool fake_in_aperture(const struct fake_group *g, uint64_t last)
{
	return last <= g->ranges[g->n_ranges - 1].end;
}

static uint64_t last_of(const struct object *hwpt)
{
	return hwpt->nest_parent && fake.iommufd.parent_last ? fake.iommufd.parent_last :
	       hwpt->group->ranges[hwpt->group->n_ranges - 1].end;
}

bool fake_has_table(const struct object *ioas)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (fake_object_table[i].type == HWPT && fake_object_table[i].ioas == ioas)
			return true;
	return false;
}

static bool can_map(const struct object *ioas, uint64_t iova, uint64_t last)
{
	for (unsigned int i = 0; i < OBJECTS; i++) {
		const struct object *o = &fake_object_table[i];

		if (o->type == HWPT && o->ioas == ioas && last > last_of(o))
			return false;
		if (o->type == DEVICE && o->hwpt && o->hwpt->ioas == ioas &&
		    !fake_in_group(o->group, iova, last))
			return false;
	}
	return true;
}

/* The next place, from @at on, where that changes. */
static uint64_t next_edge(uint64_t at)
{
	uint64_t parent = fake.iommufd.parent_last;
	uint64_t next = parent && at <= parent ? parent + 1 : UINT64_MAX;

	for (unsigned int i = 0; i < FAKE_GROUPS; i++) {
		for (unsigned int r = 0; r < fake.groups[i].n_ranges; r++) {
			const struct wr_vfio_iova_range *range = &fake.groups[i].ranges[r];

			if (range->start > at && range->start < next)
				next = range->start;
			if (range->end >= at && range->end < UINT64_MAX && range->end + 1 > at &&
			    range->end + 1 < next)
				next = range->end + 1;
		}
	}
	return next;
}

unsigned int fake_ranges_of(const struct object *ioas, struct wr_iommu_iova_range *out,
			      unsigned int room)
{
	unsigned int n = 0;
	bool open = false;
	uint64_t at = 0;

	for (;;) {
		uint64_t next = next_edge(at);
		uint64_t last = next == UINT64_MAX ? UINT64_MAX : next - 1;

		if (!can_map(ioas, at, at)) {
			open = false;
		} else {
			if (!open && n < room)
				out[n].start = at;
			n += !open;
			open = true;
			if (n <= room)
				out[n - 1].last = last;
		}
		if (next == UINT64_MAX)
			return n;
		at = next;
	}
}

/* What is promised must be where the device, or at first its page table, can have it. */
bool fake_allowed_in(const struct object *ioas, const struct fake_group *g, bool aperture)
{
	for (unsigned int i = 0; i < ioas->n_allowed; i++)
		if (aperture ? !fake_in_aperture(g, ioas->allowed[i].last) :
			       !fake_in_group(g, ioas->allowed[i].start, ioas->allowed[i].last))
			return false;
	return true;
}

/* iommufd_ioas_allow_iovas() */
int fake_allow(struct fake_context *ctx, const struct wr_iommu_allow *arg)
{
	const struct wr_iommu_iova_range *r = (void *)(uintptr_t)arg->allowed_iovas;
	struct object *ioas = fake_find_object(ctx, arg->ioas_id, IOAS);

	if (arg->reserved)
		return -EOPNOTSUPP;
	if (!ioas)
		return -ENOENT;
	if (arg->num_iovas > ALLOWED)
		return -ENOMEM;
	for (unsigned int i = 0; i < arg->num_iovas; i++) {
		if (r[i].start >= r[i].last)
			return -EINVAL;
		for (unsigned int j = 0; j < i; j++)
			if (r[j].start <= r[i].last && r[i].start <= r[j].last)
				return -EINVAL;
		if (!can_map(ioas, r[i].start, r[i].last))
			return -EADDRINUSE;
	}
	if (fake.iommufd.allow_error)
		return fake.iommufd.allow_error;
	for (unsigned int i = 0; i < arg->num_iovas; i++)
		ioas->allowed[i] = r[i];
	ioas->n_allowed = arg->num_iovas;
	return 0;
}

/* iopt_disable_large_pages() */
int fake_huge_pages(struct fake_context *ctx, struct wr_iommu_option *arg)
{
	struct object *ioas = fake_find_object(ctx, arg->object_id, IOAS);

	if (!ioas)
		return -ENOENT;
	if (arg->op == WR_IOMMU_OPTION_GET) {
		arg->val64 = !ioas->small_pages;
		return 0;
	}
	if (arg->val64 > 1)
		return -EINVAL;
	if (!arg->val64 && !ioas->small_pages && ioas->areas && fake_has_table(ioas))
		return -EINVAL;
	ioas->small_pages = !arg->val64;
	return 0;
}

int fake_iova_ranges(struct fake_context *ctx, struct wr_iommu_ranges *get)
{
	struct object *ioas = fake_find_object(ctx, get->ioas_id, IOAS);
	unsigned int n, room = get->num_iovas;

	if (!ioas)
		return -ENOENT;
	if (get->reserved)
		return -EOPNOTSUPP;
	n = fake_ranges_of(ioas, (void *)(uintptr_t)get->allowed_iovas, room);
	get->num_iovas = n;
	get->out_iova_alignment = fake_has_table(ioas) ? wr_page_size() : 1;
	return n > room ? -EMSGSIZE : 0;
}

/* ---- mappings ---- */

struct area **fake_find_area(struct object *ioas, uint64_t iova, uint64_t last)
{
	struct area **a = &ioas->areas;

	while (*a && ((*a)->map.iova + ((*a)->map.length - 1) < iova || (*a)->map.iova > last))
		a = &(*a)->next;
	return a;
}

/* What pinning an area says. */
int fake_pin(const struct area *area, uint64_t pinned)
{
	if (area->map.length > fake.memlock - pinned)
		return -ENOMEM;
	if (!area->file && fake.bad_memory &&
	    (uintptr_t)fake.bad_memory - area->map.user_va < area->map.length)
		return -EFAULT;
	return 0;
}

/* The pinned area with these pages that comes first. */
static const struct area *first_with(unsigned long pages)
{
	for (unsigned int i = 0; i < OBJECTS; i++) {
		const struct object *o = &fake_object_table[i];

		if (o->type != IOAS || !fake_has_table(o))
			continue;
		for (const struct area *a = o->areas; a; a = a->next)
			if (a->pages == pages)
				return a;
	}
	return NULL;
}

uint64_t fake_pinned(void)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < OBJECTS; i++) {
		const struct object *o = &fake_object_table[i];

		if (o->type != IOAS)
			continue;
		for (const struct area *a = o->areas; a; a = a->next)
			if (first_with(a->pages) == a)
				bytes += a->map.length;
	}
	return bytes;
}

/* iopt_map_pages() */
static int add_area(struct object *ioas, const struct area *what)
{
	const struct wr_iommu_map *map = &what->map;
	uint64_t last = map->iova + (map->length - 1);
	struct area **at, *area;
	int ret = 0;

	if (!(map->flags & (WR_IOMMU_MAP_READ | WR_IOMMU_MAP_WRITE)) || !map->length)
		return -EINVAL;
	if (last < map->iova)
		return -EOVERFLOW;
	if (fake_has_table(ioas) && (map->iova | map->length) & (wr_page_size() - 1))
		return -EINVAL;
	if (!can_map(ioas, map->iova, last))
		return -EINVAL;
	if (*fake_find_area(ioas, map->iova, last))
		return -EEXIST;
	if (fake.map_error)
		return fake.map_error;
	area = malloc(sizeof(*area));
	if (!area)
		return -ENOMEM;
	*area = *what;
	if (fake_has_table(ioas) && !first_with(area->pages))
		ret = fake_pin(area, fake_pinned());
	if (ret) {
		free(area);
		return ret;
	}
	for (at = &ioas->areas; *at && (*at)->map.iova < map->iova;)
		at = &(*at)->next;
	area->next = *at;
	*at = area;
	return 0;
}

int fake_map(struct object *ioas, const struct wr_iommu_map *map, ino_t file)
{
	static unsigned long pages;
	const struct area area = {
		.map = *map, .file = file, .pages = ++pages,
		.writable = map->flags & WR_IOMMU_MAP_WRITE,
		.process = fake.iommufd.process,
	};

	return add_area(ioas, &area);
}

int fake_ioas_map(struct fake_context *ctx, const struct wr_iommu_map *arg)
{
	struct object *ioas = fake_find_object(ctx, arg->ioas_id, IOAS);

	if (arg->flags & ~7u || arg->reserved)
		return -EOPNOTSUPP;
	if (!(arg->flags & WR_IOMMU_MAP_FIXED))
		return -EOPNOTSUPP;	/* weir doesn't */
	return ioas ? fake_map(ioas, arg, 0) : -ENOENT;
}

/* memfd_pin_folios() takes files of memory only, which have seals; iopt_map_dmabuf() dma-bufs. */
int fake_map_file(struct fake_context *ctx, const struct wr_iommu_map_file *arg)
{
	struct object *ioas = fake_find_object(ctx, arg->ioas_id, IOAS);
	const struct wr_iommu_map address = {
		.flags = arg->flags,
		.user_va = arg->start,
		.length = arg->length,
		.iova = arg->iova,
	};
	struct stat st;

	if (fake.iommufd.no_map_file)
		return -ENOTTY;
	if (!ioas)
		return -ENOENT;
	if (fstat(arg->fd, &st))
		return -EBADF;
	if (fake_is_dma_buf(arg->fd)) {
		if (fake.iommufd.no_dma_bufs)
			return -EINVAL;
		if (fake.device.not_decoding)
			return -ENODEV;
	} else if (fcntl(arg->fd, F_GET_SEALS) < 0) {
		return -EINVAL;
	}
	return fake_map(ioas, &address, st.st_ino);
}

/*
 * iommufd_ioas_change_process(): of all the address spaces of a context, and charged to the new
 * process while the old one still is.
 */
int fake_change_process(struct fake_context *ctx, const struct wr_iommu_change_process *arg)
{
	uint64_t bytes = 0;

	if (fake.iommufd.no_change_process)
		return -ENOTTY;
	if (arg->reserved)
		return -EOPNOTSUPP;
	for (unsigned int i = 0; i < OBJECTS; i++) {
		const struct object *o = &fake_object_table[i];

		if (o->type != IOAS || o->ctx != ctx)
			continue;
		for (const struct area *a = o->areas; a; a = a->next) {
			if (!a->file)
				return -EINVAL;
			if (a->process != fake.iommufd.process && first_with(a->pages) == a)
				bytes += a->map.length;
		}
	}
	if (bytes > fake.memlock)
		return -ENOMEM;
	for (unsigned int i = 0; i < OBJECTS; i++) {
		const struct object *o = &fake_object_table[i];

		for (struct area *a = o->type == IOAS && o->ctx == ctx ? o->areas : NULL; a;
		     a = a->next)
			a->process = fake.iommufd.process;
	}
	return 0;
}

static void drop(struct area **at)
{
	struct area *area = *at;

	*at = area->next;
	free(area);
}

/* The area that is the next of those to be copied: weir takes them as a whole. */
static const struct area *next_to_copy(struct object *from, const struct wr_iommu_copy *arg,
				       uint64_t done)
{
	uint64_t at = arg->src_iova + done;
	const struct area *area = *fake_find_area(from, at, at);

	return area && area->map.iova == at && area->map.length <= arg->length - done ? area : NULL;
}

/* iommufd_ioas_copy() */
int fake_copy(struct fake_context *ctx, const struct wr_iommu_copy *arg)
{
	struct object *from = fake_find_object(ctx, arg->src_ioas_id, IOAS);
	struct object *to = fake_find_object(ctx, arg->dst_ioas_id, IOAS);
	uint64_t done = 0;
	int ret = 0;

	if (arg->flags & ~7u || !(arg->flags & WR_IOMMU_MAP_FIXED))
		return -EOPNOTSUPP;	/* the second weir doesn't */
	if (!from || !to)
		return -ENOENT;
	while (done < arg->length && !ret) {
		const struct area *source = next_to_copy(from, arg, done);
		struct area copy;

		if (!source) {
			ret = -ENOENT;
			break;
		}
		copy = *source;
		copy.map.iova = arg->dst_iova + done;
		copy.map.flags = arg->flags;
		ret = arg->flags & WR_IOMMU_MAP_WRITE && !copy.writable ? -EPERM :
		      add_area(to, &copy);
		if (!ret)
			done += copy.map.length;
	}
	if (!ret) {
		fake.iommufd.copies++;
		return 0;
	}
	while (done) {
		struct area **last = fake_find_area(to, arg->dst_iova + done - 1,
						    arg->dst_iova + done - 1);

		done -= (*last)->map.length;
		drop(last);
	}
	return ret;
}

/* iopt_unmap_iova_range() */
int fake_unmap(struct object *ioas, uint64_t iova, uint64_t *length)
{
	uint64_t last = *length == UINT64_MAX ? UINT64_MAX : iova + (*length - 1), done = 0;
	bool all = !iova && *length == UINT64_MAX;
	struct area **at;

	if (!*length)
		return -EINVAL;
	if (fake.unmap_error)
		return fake.unmap_error;
	while (*(at = fake_find_area(ioas, iova, last))) {
		if ((*at)->map.iova < iova || (*at)->map.iova + ((*at)->map.length - 1) > last)
			return -ENOENT;
		if (fake.unmap_stops && done >= fake.unmap_stops)
			return -EBUSY;
		done += (*at)->map.length;
		drop(at);
	}
	if (!done && !all)
		return -ENOENT;
	*length = done - fake.unmap_less;
	return 0;
}

int fake_ioas_unmap(struct fake_context *ctx, struct wr_iommu_unmap *arg)
{
	struct object *ioas = fake_find_object(ctx, arg->ioas_id, IOAS);

	return ioas ? fake_unmap(ioas, arg->iova, &arg->length) : -ENOENT;
}

