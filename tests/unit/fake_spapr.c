/* SPDX-License-Identifier: MIT */
/*
 * What is mapped is a list as type1 has it, with an entry for each call. The traps are the
 * kernel's: a positive number for an IOVA that isn't aligned, no check of where a mapping ends, and
 * none of what is there already.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "fake_type1.h"

#define HIGH (1ull << 59)

bool fake_is_spapr(unsigned long type)
{
	return type == WR_VFIO_SPAPR || type == WR_VFIO_SPAPRv2;
}

bool fake_has_spapr(unsigned long type)
{
	return fake.spapr.exists && fake_is_spapr(type);
}

static bool is_v2(const struct fake_container *c)
{
	return c->type == WR_VFIO_SPAPRv2;
}

/* A group more; c->groups has it already if it is the first. */
int fake_spapr_attach(struct fake_container *c, unsigned long type)
{
	if (c->type && type == WR_VFIO_SPAPR)
		return -EBUSY;
	if (type == WR_VFIO_SPAPRv2 && !fake.spapr.page_sizes)
		return -EINVAL;
	if (!c->type)
		c->spapr = (struct fake_windows){ .pending = true };
	return 0;
}

static int charge(uint64_t bytes)
{
	if (bytes > fake.spapr.memlock - fake.spapr.locked)
		return -ENOMEM;
	fake.spapr.locked += bytes;
	return 0;
}

static void unmap_range(struct fake_container *c, uint64_t first, uint64_t last)
{
	struct mapping **m;

	while (*(m = fake_find_mapping(c, first, last)))
		fake_drop(c, m);
}

void fake_spapr_drop(struct fake_container *c)
{
	struct fake_windows *s = &c->spapr;

	if (!fake_is_spapr(c->type))
		return;
	for (unsigned int i = 0; i < FAKE_WINDOWS; i++)
		fake.spapr.locked -= s->w[i].charged;
	for (unsigned int i = 0; i < FAKE_REGIONS; i++)
		fake.spapr.locked -= s->regions[i].size;
	fake.spapr.locked -= s->charged;
	*s = (struct fake_windows){ 0 };
}

/* ---- windows ---- */

static int make_window(struct fake_windows *s, unsigned int shift, uint64_t size, uint64_t *start)
{
	unsigned int i = s->w[0].size ? 1 : 0;
	uint64_t table = size >> shift << 3;
	int ret;

	if (s->w[i].size)
		return -ENOSPC;
	ret = charge(table);
	if (ret)
		return ret;
	*start = i ? HIGH : 0;
	s->w[i].start = *start;
	s->w[i].size = size;
	s->w[i].shift = shift;
	s->w[i].charged = table;
	return 0;
}

static int make_pending(struct fake_windows *s)
{
	uint64_t start;
	int ret = s->pending ? make_window(s, 12, fake.spapr.low_size, &start) : 0;

	if (!ret)
		s->pending = false;
	return ret;
}

/* tce_iommu_create_window(); the charge of one that the platform refuses isn't given back. */
static int create(struct fake_container *c, struct wr_vfio_spapr_create *arg)
{
	struct fake_windows *s = &c->spapr;
	int ret;

	if (arg->argsz < sizeof(*arg) || arg->flags)
		return -EINVAL;
	fake.spapr.creates++;
	fake.spapr.last_shift = arg->page_shift;
	ret = make_pending(s);
	if (ret)
		return ret;
	if (s->w[0].size && s->w[1].size)
		return -ENOSPC;
	if (!(fake.spapr.page_sizes >> arg->page_shift & 1) || !arg->levels ||
	    arg->levels > fake.spapr.levels || arg->window_size & (arg->window_size - 1))
		return -EINVAL;
	if (fake.spapr.blacklisted)
		return -ENODEV;
	if (fake.spapr.one_more && s->w[1].size)
		return -EPERM;
	if (fake.spapr.create_error) {
		fake.spapr.locked += arg->window_size >> arg->page_shift << 3;
		fake.spapr.blacklisted = fake.spapr.one_more;
		return fake.spapr.create_error;
	}
	return make_window(s, arg->page_shift, arg->window_size, &arg->start);
}

static int remove_window(struct fake_container *c, const struct wr_vfio_spapr_remove *arg)
{
	struct fake_windows *s = &c->spapr;

	if (arg->argsz < sizeof(*arg) || arg->flags)
		return -EINVAL;
	if (s->pending && !arg->start) {
		s->pending = false;
		return 0;
	}
	for (unsigned int i = 0; i < FAKE_WINDOWS; i++) {
		if (arg->start - s->w[i].start >= s->w[i].size)
			continue;
		unmap_range(c, s->w[i].start, s->w[i].start + (s->w[i].size - 1));
		fake.spapr.locked -= s->w[i].charged;
		memset(&s->w[i], 0, sizeof(s->w[i]));
		return 0;
	}
	return -EINVAL;
}

/* ---- memory ---- */

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static int register_memory(struct fake_container *c, const struct wr_vfio_spapr_memory *arg)
{
	struct fake_windows *s = &c->spapr;
	unsigned int i = 0;
	int ret;

	if (arg->argsz < sizeof(*arg) || arg->flags || (arg->vaddr | arg->size) % wr_page_size())
		return -EINVAL;
	for (unsigned int r = 0; r < FAKE_REGIONS; r++) {
		if (!s->regions[r].size)
			continue;
		if (s->regions[r].vaddr == arg->vaddr && s->regions[r].size == arg->size)
			return -EBUSY;
		if (overlaps(s->regions[r].vaddr, s->regions[r].size, arg->vaddr, arg->size))
			return -EINVAL;
	}
	if (fake.spapr.register_error)
		return fake.spapr.register_error;
	if (fake.bad_memory && (uintptr_t)fake.bad_memory - arg->vaddr < arg->size)
		return -EFAULT;
	while (i < FAKE_REGIONS && s->regions[i].size)
		i++;
	ret = i == FAKE_REGIONS ? -ENOSPC : charge(arg->size);
	if (ret)
		return ret;
	s->regions[i].vaddr = arg->vaddr;
	s->regions[i].size = arg->size;
	s->enabled = true;
	return 0;
}

static int unregister_memory(struct fake_container *c, const struct wr_vfio_spapr_memory *arg)
{
	struct fake_windows *s = &c->spapr;

	if (!s->enabled)
		return -EPERM;
	for (const struct mapping *m = c->mappings; m; m = m->next)
		if (overlaps(m->dma.vaddr, m->dma.size, arg->vaddr, arg->size))
			return -EBUSY;
	if (fake.spapr.unregister_error)
		return fake.spapr.unregister_error;
	for (unsigned int i = 0; i < FAKE_REGIONS; i++) {
		if (s->regions[i].vaddr != arg->vaddr || s->regions[i].size != arg->size)
			continue;
		s->regions[i].size = s->regions[i].vaddr = 0;
		fake.spapr.locked -= arg->size;
		return 0;
	}
	return -ENOENT;
}

static bool is_registered(const struct fake_windows *s, uint64_t vaddr, uint64_t size)
{
	for (unsigned int i = 0; i < FAKE_REGIONS; i++)
		if (s->regions[i].vaddr <= vaddr &&
		    vaddr + size <= s->regions[i].vaddr + s->regions[i].size)
			return true;
	return false;
}

/* ---- mappings ---- */

static int find_window(struct fake_windows *s, uint64_t iova)
{
	for (int i = 0; i < FAKE_WINDOWS; i++)
		if (iova - s->w[i].start < s->w[i].size)
			return i;
	return -ENXIO;
}

static int map(struct fake_container *c, const struct wr_vfio_map_dma *arg)
{
	struct fake_windows *s = &c->spapr;
	struct mapping *m, **at;
	uint64_t page;
	int ret, i;

	if (!s->enabled)
		return -EPERM;
	if (arg->argsz < sizeof(*arg) || arg->flags & ~3u || !arg->flags)
		return -EINVAL;
	ret = make_pending(s);
	i = ret ? ret : find_window(s, arg->iova);
	if (i < 0)
		return i;
	page = 1ull << s->w[i].shift;
	if ((arg->size | arg->vaddr) & (page - 1))
		return -EINVAL;
	if (arg->iova & (page - 1))
		return 1;
	if (fake.spapr.map_error)
		return fake.spapr.map_error;
	if (s->w[i].shift > fake.spapr.backing)
		return is_v2(c) ? -EINVAL : -EPERM;
	for (uint64_t at_byte = 0; is_v2(c) && at_byte < arg->size; at_byte += page)
		if (!is_registered(s, arg->vaddr + at_byte, page))
			return -EINVAL;
	if (!is_v2(c) && fake.bad_memory && (uintptr_t)fake.bad_memory - arg->vaddr < arg->size)
		return -EFAULT;
	fake.spapr.overrun += arg->iova - s->w[i].start + arg->size > s->w[i].size;
	fake.spapr.replaced += *fake_find_mapping(c, arg->iova, arg->iova + arg->size - 1) != NULL;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	for (at = &c->mappings; *at && (*at)->dma.iova < arg->iova;)
		at = &(*at)->next;
	*m = (struct mapping){ .next = *at, .dma = *arg };
	*at = m;
	return 0;
}

/* What isn't mapped is passed over, and the size isn't written. */
static int unmap(struct fake_container *c, const struct wr_vfio_unmap_dma *arg)
{
	struct fake_windows *s = &c->spapr;
	uint64_t page;
	int ret, i;

	if (!s->enabled)
		return -EPERM;
	if (arg->argsz < sizeof(*arg) || arg->flags)
		return -EINVAL;
	ret = make_pending(s);
	i = ret ? ret : find_window(s, arg->iova);
	if (i < 0)
		return i;
	page = 1ull << s->w[i].shift;
	if (arg->size & (page - 1))
		return -EINVAL;
	if (arg->iova & (page - 1) || arg->iova - s->w[i].start + arg->size > s->w[i].size)
		return 1;
	if (fake.spapr.unmap_error)
		return fake.spapr.unmap_error;
	unmap_range(c, arg->iova, arg->iova + arg->size - 1);
	return 0;
}

/* ---- the rest ---- */

static int info(const struct fake_container *c, struct wr_vfio_spapr_info *out)
{
	if (out->argsz < 16)
		return -EINVAL;
	out->flags = is_v2(c) ? WR_VFIO_SPAPR_DDW : 0;
	out->dma32_start = 0;
	out->dma32_size = fake.spapr.low_size;
	if (is_v2(c) && out->argsz >= sizeof(*out)) {
		out->pgsizes = fake.spapr.page_sizes;
		out->max_windows = FAKE_WINDOWS;
		out->levels = fake.spapr.levels;
	}
	return 0;
}

/* tce_iommu_enable(): the whole window, used or not. */
static int enable(struct fake_windows *s)
{
	int ret;

	if (s->enabled)
		return -EBUSY;
	ret = charge(fake.spapr.low_size);
	if (ret)
		return ret;
	s->charged = fake.spapr.low_size;
	s->enabled = true;
	return 0;
}

static int disable(struct fake_windows *s)
{
	fake.spapr.locked -= s->charged;
	s->charged = 0;
	s->enabled = false;
	return 0;
}

int fake_spapr_ioctl(struct fake_container *c, unsigned long request, void *arg)
{
	switch (request) {
	case WR_VFIO_SPAPR_GET_INFO:
		return info(c, arg);
	case WR_VFIO_IOMMU_MAP_DMA:
		return map(c, arg);
	case WR_VFIO_IOMMU_UNMAP_DMA:
		return unmap(c, arg);
	case WR_VFIO_EEH_PE_OP:
		return fake.spapr.eeh;
	default:
		break;
	}
	if (!is_v2(c))
		return request == WR_VFIO_SPAPR_ENABLE ? enable(&c->spapr) :
		       request == WR_VFIO_SPAPR_DISABLE ? disable(&c->spapr) : -ENOTTY;
	switch (request) {
	case WR_VFIO_SPAPR_REGISTER:
		return register_memory(c, arg);
	case WR_VFIO_SPAPR_UNREGISTER:
		return unregister_memory(c, arg);
	case WR_VFIO_SPAPR_CREATE:
		return create(c, arg);
	case WR_VFIO_SPAPR_REMOVE:
		return remove_window(c, arg);
	default:
		return -ENOTTY;
	}
}

unsigned int fake_regions(unsigned int group)
{
	unsigned int n = 0;

	for (unsigned int i = 0; fake.groups[group].in && i < FAKE_REGIONS; i++)
		n += fake.groups[group].in->spapr.regions[i].size != 0;
	return n;
}

unsigned int fake_windows(unsigned int group)
{
	unsigned int n = 0;

	for (unsigned int i = 0; fake.groups[group].in && i < FAKE_WINDOWS; i++)
		n += fake.groups[group].in->spapr.w[i].size != 0;
	return n;
}
