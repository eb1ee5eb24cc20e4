/* SPDX-License-Identifier: MIT */
/* The fake kernel's type1 IOMMU. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "fake_type1.h"

static uint64_t smallest_page(void)
{
	return fake.page_sizes & -fake.page_sizes;
}

/* The first mapping with a byte in [iova, last]. */
struct mapping **fake_find_mapping(struct fake_container *c, uint64_t iova, uint64_t last)
{
	struct mapping **m = &c->mappings;

	while (*m && ((*m)->dma.iova + ((*m)->dma.size - 1) < iova || (*m)->dma.iova > last))
		m = &(*m)->next;
	return m;
}

bool fake_in_ranges(const struct fake_group *g, uint64_t iova, uint64_t last)
{
	for (unsigned int i = 0; i < g->n_ranges; i++)
		if (g->ranges[i].start <= iova && last <= g->ranges[i].end)
			return true;
	return false;
}

static bool in_all_ranges(const struct fake_container *c, uint64_t iova, uint64_t last)
{
	for (unsigned int i = 0; i < FAKE_GROUPS; i++)
		if (fake.groups[i].in == c && !fake_in_ranges(&fake.groups[i], iova, last))
			return false;
	return true;
}

static bool has_bad_memory(const struct wr_vfio_map_dma *map)
{
	return fake.bad_memory && (uintptr_t)fake.bad_memory - map->vaddr < map->size;
}

static uint64_t pinned(const struct fake_container *c)
{
	uint64_t bytes = 0;

	for (const struct mapping *m = c->mappings; m; m = m->next)
		bytes += m->dma.size;
	return bytes;
}

static int map_vaddr(struct mapping *m, const struct wr_vfio_map_dma *map)
{
	if (!m)
		return -ENOENT;
	if (!m->lost || m->dma.iova != map->iova || m->dma.size != map->size)
		return -EINVAL;
	if (fake.vaddr_errors && fake.vaddr_errors--)
		return -ENOMEM;
	m->dma.vaddr = map->vaddr;
	m->lost = false;
	return 0;
}

/* vfio_dma_do_map() */
int fake_map_dma(struct fake_container *c, const struct wr_vfio_map_dma *map)
{
	uint64_t mask = smallest_page() - 1, last = map->iova + (map->size - 1);
	struct mapping **at, *m;

	if (map->argsz < sizeof(*map) || map->flags & ~7u || !map->flags || !map->size ||
	    (map->flags & WR_VFIO_MAP_VADDR && map->flags != WR_VFIO_MAP_VADDR))
		return -EINVAL;
	if (last < map->iova || map->vaddr + (map->size - 1) < map->vaddr)
		return -EOVERFLOW;
	if ((map->iova | map->vaddr | map->size) & mask)
		return -EINVAL;
	if (map->flags & WR_VFIO_MAP_VADDR)
		return map_vaddr(*fake_find_mapping(c, map->iova, last), map);
	if (*fake_find_mapping(c, map->iova, last))
		return -EEXIST;
	if (!c->entries_left)
		return -ENOSPC;
	if (!in_all_ranges(c, map->iova, last))
		return -EINVAL;
	if (fake.map_error)
		return fake.map_error;
	if (map->size > fake.memlock - pinned(c))
		return -ENOMEM;
	if (has_bad_memory(map))
		return -EFAULT;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	for (at = &c->mappings; *at && (*at)->dma.iova < map->iova;)
		at = &(*at)->next;
	*m = (struct mapping){ .next = *at, .dma = *map };
	*at = m;
	c->entries_left--;
	return 0;
}

void fake_drop(struct fake_container *c, struct mapping **at)
{
	struct mapping *m = *at;

	*at = m->next;
	c->entries_left++;
	free(m);
}

static bool cuts_a_mapping(struct fake_container *c, uint64_t iova, uint64_t last)
{
	struct mapping *m = *fake_find_mapping(c, iova, iova);

	if (m && m->dma.iova != iova)
		return true;
	m = *fake_find_mapping(c, last, last);
	return m && m->dma.iova + (m->dma.size - 1) != last;
}

/* vfio_dma_do_unmap(); the size is written by success alone */
int fake_unmap_dma(struct fake_container *c, struct wr_vfio_unmap_dma *unmap)
{
	uint64_t mask = smallest_page() - 1, last = unmap->iova + (unmap->size - 1), done = 0;
	struct mapping **m;

	if (unmap->argsz < sizeof(*unmap) || unmap->flags & ~6u ||
	    (unmap->flags & WR_VFIO_UNMAP_FLAG_ALL && (unmap->iova || unmap->size)))
		return -EINVAL;
	if (unmap->flags & WR_VFIO_UNMAP_FLAG_ALL)
		last = UINT64_MAX;
	else if ((unmap->iova | unmap->size) & mask || !unmap->size || last < unmap->iova)
		return -EINVAL;
	if (fake.unmap_error)
		return fake.unmap_error;
	if (unmap->flags & WR_VFIO_UNMAP_FLAG_VADDR) {
		m = fake_find_mapping(c, unmap->iova, last);
		if (!*m || (*m)->lost)
			return *m ? -EINVAL : 0;
		(*m)->lost = true;
		unmap->size = (*m)->dma.size;
		return 0;
	}
	if (c->type == WR_VFIO_TYPE1v2 && cuts_a_mapping(c, unmap->iova, last))
		return -EINVAL;
	while (*(m = fake_find_mapping(c, unmap->iova, last))) {
		if (c->type == WR_VFIO_TYPE1 && unmap->iova > (*m)->dma.iova)
			break;
		done += (*m)->dma.size;
		if (fake.unmap_less && fake.unmap_less < (*m)->dma.size) {
			/* No kernel does so; if one did, its front would be gone. */
			(*m)->dma.iova += (*m)->dma.size - fake.unmap_less;
			(*m)->dma.size = fake.unmap_less;
			done -= fake.unmap_less;
			break;
		}
		fake_drop(c, m);
	}
	unmap->size = done;
	return 0;
}

static void set_page_bits(struct fake_container *c, const struct wr_vfio_dirty_get *get)
{
	uint64_t *bitmap = (uint64_t *)(uintptr_t)get->bitmap.data, page = smallest_page();

	for (uint64_t i = 0; i < get->size / page; i++)
		if (*fake_find_mapping(c, get->iova + i * page, get->iova + i * page))
			bitmap[i / 64] |= 1ull << (i % 64);
}

/* vfio_iommu_type1_dirty_pages() */
int fake_dirty_pages(struct fake_container *c, const struct wr_vfio_dirty *arg)
{
	const struct wr_vfio_dirty_get *get = (const void *)arg;
	uint64_t mask = smallest_page() - 1;

	fake.dirty_calls++;
	if (c->type != WR_VFIO_TYPE1v2)
		return -EACCES;
	if (arg->argsz < sizeof(*arg))
		return -EINVAL;
	switch (arg->flags) {
	case WR_VFIO_DIRTY_START:
		c->tracking = true;
		return 0;
	case WR_VFIO_DIRTY_STOP:
		c->tracking = false;
		return 0;
	case WR_VFIO_DIRTY_GET:
		if (arg->argsz < sizeof(*get) || get->iova + (get->size - 1) < get->iova ||
		    get->bitmap.pgsize != smallest_page() || (get->iova | get->size) & mask ||
		    !c->tracking || cuts_a_mapping(c, get->iova, get->iova + (get->size - 1)) ||
		    get->bitmap.size < (get->size / smallest_page() + 63) / 64 * 8)
			return -EINVAL;
		set_page_bits(c, get);
		return 0;
	default:
		return -EINVAL;
	}
}

/* The ranges of all groups in the container. */
static unsigned int common_ranges(const struct fake_container *c, struct wr_vfio_iova_range *out)
{
	unsigned int n = 1;

	out[0] = (struct wr_vfio_iova_range){ 0, UINT64_MAX };
	for (unsigned int i = 0; i < FAKE_GROUPS; i++) {
		struct wr_vfio_iova_range both[FAKE_RANGES * FAKE_GROUPS];
		const struct fake_group *g = &fake.groups[i];
		unsigned int n_both = 0;

		if (g->in != c)
			continue;
		for (unsigned int a = 0; a < n; a++) {
			for (unsigned int b = 0; b < g->n_ranges; b++) {
				uint64_t start = out[a].start > g->ranges[b].start ?
						 out[a].start : g->ranges[b].start;
				uint64_t end = out[a].end < g->ranges[b].end ?
					       out[a].end : g->ranges[b].end;

				if (start <= end)
					both[n_both++] = (struct wr_vfio_iova_range){ start, end };
			}
		}
		n = n_both;
		memcpy(out, both, n * sizeof(*out));
	}
	return n;
}

/*
 * The chain of vfio_iommu_type1_get_info(): migration, entries left, ranges. Returns its size; its
 * offsets are those of its place behind the structure.
 */
static uint32_t make_chain(const struct fake_container *c, char *chain)
{
	struct wr_vfio_cap *migration = (void *)chain, *avail = (void *)(chain + 32);
	struct wr_vfio_cap_iova_range *ranges = (void *)(chain + 48);
	uint32_t at = sizeof(struct wr_vfio_iommu_info);

	*migration = (struct wr_vfio_cap){ .id = 2, .version = 1, .next = at + 32 };
	*avail = (struct wr_vfio_cap){ .id = 3, .version = 1, .next = at + 48 };
	memcpy(avail + 1, &c->entries_left, sizeof(c->entries_left));
	if (fake.no_ranges) {
		migration->next = 0;
		return 32;
	}
	ranges->header = (struct wr_vfio_cap){ .id = 1, .version = 1 };
	ranges->nr_iovas = common_ranges(c, ranges->ranges);
	return (uint32_t)(48 + sizeof(*ranges) + ranges->nr_iovas * sizeof(ranges->ranges[0]));
}

int fake_iommu_info(const struct fake_container *c, struct wr_vfio_iommu_info *info)
{
	_Alignas(8) char chain[48 + 16 + FAKE_RANGES * FAKE_GROUPS * 16] = { 0 };
	uint32_t argsz = info->argsz, size = make_chain(c, chain);
	bool told = argsz >= offsetof(struct wr_vfio_iommu_info, pad);

	if (argsz < 16)
		return -EINVAL;
	if (fake.info && argsz < fake.info_size) {
		info->argsz = fake.info_size;
		return 0;
	}
	if (fake.info) {
		memcpy(info, fake.info, fake.info_size);
		return 0;
	}
	if (fake.growth) {
		fake.growth--;
		size = argsz + 8;
	}
	info->flags = WR_VFIO_IOMMU_PGSIZES | WR_VFIO_IOMMU_CAPS;
	info->iova_pgsizes = fake.page_sizes;
	if (told)
		info->cap_offset = 0;
	if (argsz < sizeof(*info) + size) {
		info->argsz = (uint32_t)sizeof(*info) + size;
		return 0;
	}
	memcpy(info + 1, chain, size);
	if (told)
		info->cap_offset = sizeof(*info);
	return 0;
}

