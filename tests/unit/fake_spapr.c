/* SPDX-License-Identifier: MIT */
/*
 * POWER's container (drivers/vfio/vfio_iommu_spapr_tce.c) with the windows of PowerNV
 * (arch/powerpc/platforms/powernv/pci-ioda.c) or of pSeries (arch/powerpc/platforms/pseries/
 * iommu.c), and the memory that all containers of a process have registered together
 * (arch/powerpc/mm/book3s64/iommu_api.c). Checks come in the kernel's order, and what it leaks is
 * leaked. What is mapped is a list as type1 has it, with an entry for each call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/*
 * tce_iommu_attach_group(): a group more; c->groups has it already if it is the first. On pSeries
 * a window is one group's (spapr_tce_set_window()).
 */
int fake_spapr_attach(struct fake_container *c, unsigned long type)
{
	if (c->type && type == WR_VFIO_SPAPR)
		return -EBUSY;
	if (type == WR_VFIO_SPAPRv2 && !fake.spapr.page_sizes)
		return -EINVAL;
	if (!c->type)
		c->spapr = (struct fake_windows){ .pending = true };
	else if (fake.spapr.pseries && (c->spapr.w[0].size || c->spapr.w[1].size))
		return -EPERM;
	return 0;
}

/* account_locked_vm(): whole pages of it. */
static int charge(uint64_t bytes)
{
	bytes &= ~(uint64_t)(wr_page_size() - 1);
	if (bytes > fake.spapr.memlock - fake.spapr.locked)
		return -ENOMEM;
	fake.spapr.locked += bytes;
	return 0;
}

static void uncharge(uint64_t bytes)
{
	fake.spapr.locked -= bytes & ~(uint64_t)(wr_page_size() - 1);
}

/* ---- memory ---- */

static bool is_of(size_t i, pid_t mm)
{
	return fake.spapr.memory[i].used && fake.spapr.memory[i].mm == mm;
}

/* mm_iommu_get(), by its number; -1: there is none such. */
static int get_memory(pid_t mm, uint64_t vaddr, uint64_t size)
{
	for (int i = 0; i < FAKE_REGIONS; i++) {
		if (!is_of(i, mm) || fake.spapr.memory[i].vaddr != vaddr ||
		    fake.spapr.memory[i].size != size)
			continue;
		fake.spapr.memory[i].used++;
		return i;
	}
	return -1;
}

/* mm_iommu_put() */
static int put_memory(int i)
{
	if (--fake.spapr.memory[i].used)
		return 0;
	if (fake.spapr.memory[i].mapped) {
		fake.spapr.memory[i].used++;
		return -EBUSY;
	}
	uncharge(fake.spapr.memory[i].size);
	return 0;
}

/* mm_iommu_lookup() */
static int find_memory(pid_t mm, uint64_t vaddr, uint64_t size)
{
	for (int i = 0; i < FAKE_REGIONS; i++)
		if (is_of(i, mm) && fake.spapr.memory[i].vaddr <= vaddr &&
		    vaddr + size <= fake.spapr.memory[i].vaddr + fake.spapr.memory[i].size)
			return i;
	return -1;
}

/* The largest pages that can be mapped of it: mm_iommu_table_group_mem_t.pageshift */
static unsigned int shift_of(int i)
{
	uint64_t aligned = fake.spapr.memory[i].vaddr | fake.spapr.memory[i].size;
	unsigned int shift = (unsigned int)__builtin_ctzll(aligned);

	return shift < fake.spapr.backing ? shift : fake.spapr.backing;
}

/* pin_user_pages(): where not all of it can be pinned, how much was comes out as if it were ret. */
static int pin(uint64_t vaddr, uint64_t size)
{
	uint64_t good = (uintptr_t)fake.bad_memory - vaddr;

	if (!fake.bad_memory || good >= size)
		return 0;
	return good / wr_page_size() ? (int)(good / wr_page_size()) : -EFAULT;
}

/* mm_iommu_new() */
static int new_memory(pid_t mm, uint64_t vaddr, uint64_t size, int *out)
{
	int ret = charge(size), i = 0;

	if (ret)
		return ret;
	ret = fake.spapr.register_error ? fake.spapr.register_error : pin(vaddr, size);
	for (int j = 0; j < FAKE_REGIONS; j++)
		if (!ret && is_of(j, mm) && fake.spapr.memory[j].vaddr < vaddr + size &&
		    vaddr < fake.spapr.memory[j].vaddr + fake.spapr.memory[j].size)
			ret = -EINVAL;
	while (i < FAKE_REGIONS && fake.spapr.memory[i].used)
		i++;
	if (!ret && i == FAKE_REGIONS)
		ret = -ENOSPC;
	if (ret) {
		uncharge(size);
		return ret;
	}
	fake.spapr.memory[i].vaddr = vaddr;
	fake.spapr.memory[i].size = size;
	fake.spapr.memory[i].mm = mm;
	fake.spapr.memory[i].used = 1;
	fake.spapr.memory[i].mapped = 0;
	*out = i;
	return 0;
}

static int register_memory(struct fake_windows *s, const struct wr_vfio_spapr_memory *arg)
{
	int i, ret;

	s->mm = getpid();
	if (arg->argsz < sizeof(*arg) || arg->flags || (arg->vaddr | arg->size) % wr_page_size() ||
	    arg->vaddr + arg->size < arg->vaddr)
		return -EINVAL;
	i = get_memory(s->mm, arg->vaddr, arg->size);
	if (i >= 0 && s->registered[i]) {
		put_memory(i);
		return -EBUSY;
	}
	ret = i < 0 ? new_memory(s->mm, arg->vaddr, arg->size, &i) : 0;
	if (ret)
		return ret;
	s->registered[i] = true;
	s->enabled = true;
	return 0;
}

/*
 * tce_iommu_unregister_pages(): of what is mapped it says that it did it. By then nobody has it,
 * and it stays for good.
 */
static int unregister_memory(struct fake_windows *s, const struct wr_vfio_spapr_memory *arg)
{
	int i;

	if (!s->mm)
		return -EPERM;
	if (arg->argsz < sizeof(*arg) || arg->flags || (arg->vaddr | arg->size) % wr_page_size())
		return -EINVAL;
	if (fake.spapr.unregister_error)
		return fake.spapr.unregister_error;
	i = get_memory(s->mm, arg->vaddr, arg->size);
	if (i < 0)
		return -ENOENT;
	if (!s->registered[i]) {
		put_memory(i);
		return -ENOENT;
	}
	s->registered[i] = false;
	put_memory(i);
	fake.spapr.forsaken += put_memory(i) != 0;
	return 0;
}

/* ---- windows ---- */

static int find_window(const struct fake_windows *s, uint64_t iova)
{
	for (int i = 0; i < FAKE_WINDOWS; i++)
		if (iova - s->w[i].start < s->w[i].size)
			return i;
	return -ENXIO;
}

/* tce_iommu_clear(): what isn't mapped is passed over. */
static void unmap_range(struct fake_container *c, uint64_t first, uint64_t last)
{
	const struct fake_windows *s = &c->spapr;
	struct mapping **m;

	while (*(m = fake_find_mapping(c, first, last))) {
		uint64_t page = 1ull << s->w[find_window(s, (*m)->dma.iova)].shift;

		for (uint64_t at = 0; is_v2(c) && at < (*m)->dma.size; at += page) {
			int i = find_memory(s->mm, (*m)->dma.vaddr + at, page);

			if (i >= 0)
				fake.spapr.memory[i].mapped--;
		}
		fake_drop(c, m);
	}
}

static void clear_windows(struct fake_container *c)
{
	const struct fake_windows *s = &c->spapr;

	for (unsigned int i = 0; i < FAKE_WINDOWS; i++)
		if (s->w[i].size)
			unmap_range(c, s->w[i].start, s->w[i].start + (s->w[i].size - 1));
}

/* tce_iommu_release_ownership(): the tables are cleared that other groups go on to use. */
void fake_spapr_detach(struct fake_container *c)
{
	if (fake_is_spapr(c->type))
		clear_windows(c);
}

/* tce_iommu_release() */
void fake_spapr_drop(struct fake_container *c)
{
	struct fake_windows *s = &c->spapr;

	if (!fake_is_spapr(c->type))
		return;
	clear_windows(c);
	for (unsigned int i = 0; i < FAKE_WINDOWS; i++)
		uncharge(s->w[i].charged);
	for (int i = 0; i < FAKE_REGIONS; i++)
		if (s->registered[i])
			fake.spapr.forsaken += put_memory(i) != 0;
	uncharge(s->charged);
	*s = (struct fake_windows){ 0 };
}

/* pnv_pci_ioda2_get_table_size() or spapr_tce_get_table_size() */
static uint64_t table_size(unsigned int shift, uint64_t size, unsigned int levels)
{
	uint64_t table, direct, bytes = 0, page = wr_page_size();

	if (fake.spapr.pseries)
		return levels > 1 ? UINT32_MAX : size >> (shift - 3);
	if (!levels || levels > 5 || size & (size - 1))
		return 0;
	table = size >> shift << 3;
	table = table < 0x1000 ? 0x1000 : table;
	direct = 8;
	for (unsigned int l = 0; l * levels < (unsigned int)__builtin_ctzll(size) - shift; l++)
		direct *= 2;
	direct = direct < page ? page : direct;
	for (; levels; levels--) {
		bytes += (table + direct - 1) / direct * direct;
		table = table / direct << 3;
		table = table < direct ? direct : table;
	}
	return 2 * bytes;
}

/* pnv_pci_ioda2_table_alloc_pages() */
static int create_powernv(unsigned int shift, uint64_t size, unsigned int levels)
{
	unsigned int entries = ((unsigned int)__builtin_ctzll(size) - shift + levels - 1) / levels;
	unsigned int level = (unsigned int)__builtin_ctzl(wr_page_size()) - 3;

	level = entries < level ? level : entries;
	return level * levels + shift >= 55 ? -EINVAL : fake.spapr.create_error;
}

/* spapr_tce_create_table() */
static int create_pseries(const struct fake_windows *s, int num, unsigned int shift, uint64_t size,
			  unsigned int levels)
{
	bool standard = shift == 12 && size <= fake.spapr.low_size;

	if (size & (size - 1) || levels > 1)
		return -EINVAL;
	if (fake.spapr.blacklisted)
		return -ENODEV;
	/* There is never a second one beside one of these. */
	if (!num && s->w[1].size)
		return -EPERM;
	if (!num && standard)
		return 0;
	fake.spapr.blacklisted = fake.spapr.create_error && fake.spapr.create_error != -EINVAL;
	return fake.spapr.create_error;
}

/* tce_iommu_create_window(): what the platform refuses stays charged. */
static int make_window(struct fake_container *c, unsigned int shift, uint64_t size,
		       unsigned int levels, uint64_t *start)
{
	struct fake_windows *s = &c->spapr;
	uint64_t table;
	int ret, num = 0;

	while (num < FAKE_WINDOWS && s->w[num].size)
		num++;
	if (num == FAKE_WINDOWS)
		return -ENOSPC;
	if (shift > 63 || !((fake.spapr.page_sizes | 4096) >> shift & 1))
		return -EINVAL;
	table = table_size(shift, size, levels);
	ret = table ? charge(table) : -EINVAL;
	if (ret)
		return ret;
	ret = fake.spapr.pseries ? create_pseries(s, num, shift, size, levels) :
				   create_powernv(shift, size, levels);
	if (ret)
		return ret;
	if (fake.spapr.pseries && c->groups > 1) {
		uncharge(table);
		return -EPERM;
	}
	*start = num || (fake.spapr.pseries && (shift > 12 || size > fake.spapr.low_size)) ?
		 HIGH : 0;
	if (fake.spapr.place)
		*start = fake.spapr.place;
	s->w[num].start = *start;
	s->w[num].size = size;
	s->w[num].shift = shift;
	s->w[num].charged = table;
	return 0;
}

/* tce_iommu_create_default_window() */
static int make_pending(struct fake_container *c)
{
	struct fake_windows *s = &c->spapr;
	uint64_t start;
	int ret = s->pending ? make_window(c, 12, fake.spapr.low_size, 1, &start) : 0;

	if (!ret)
		s->pending = false;
	return ret;
}

static int create(struct fake_container *c, struct wr_vfio_spapr_create *arg)
{
	int ret;

	c->spapr.mm = getpid();
	if (arg->argsz < sizeof(*arg) || arg->flags)
		return -EINVAL;
	ret = make_pending(c);
	if (ret)
		return ret;
	if (arg->page_shift >= 12) {
		fake.spapr.creates++;
		fake.spapr.last_shift = arg->page_shift;
	}
	return make_window(c, arg->page_shift, arg->window_size, arg->levels, &arg->start);
}

static int remove_window(struct fake_container *c, const struct wr_vfio_spapr_remove *arg)
{
	struct fake_windows *s = &c->spapr;
	int i;

	s->mm = getpid();
	if (arg->argsz < sizeof(*arg) || arg->flags)
		return -EINVAL;
	if (s->pending && !arg->start) {
		s->pending = false;
		return 0;
	}
	i = find_window(s, arg->start);
	if (i < 0)
		return -EINVAL;
	unmap_range(c, s->w[i].start, s->w[i].start + (s->w[i].size - 1));
	uncharge(s->w[i].charged);
	memset(&s->w[i], 0, sizeof(s->w[i]));
	return 0;
}

/* ---- mappings ---- */

/* tce_iommu_build_v2(): where the hypervisor refuses a page, its count isn't given back. */
static int build_v2(struct fake_windows *s, uint64_t vaddr, uint64_t size, unsigned int shift)
{
	uint64_t page = 1ull << shift, done = 0;
	int i = 0, ret = 0;

	for (; !ret && done < size; done += ret ? 0 : page) {
		i = find_memory(s->mm, vaddr + done, page);
		if (i < 0 || shift > shift_of(i)) {
			ret = -EINVAL;
			break;
		}
		fake.spapr.memory[i].mapped++;
		fake.spapr.borrowed += !s->registered[i];
		ret = fake.spapr.map_error;
	}
	for (uint64_t at = 0; ret && at < done; at += page)
		fake.spapr.memory[find_memory(s->mm, vaddr + at, page)].mapped--;
	return ret;
}

/* tce_iommu_build() */
static int build(uint64_t vaddr, uint64_t size, unsigned int shift)
{
	if (fake.bad_memory && (uintptr_t)fake.bad_memory - vaddr < size)
		return -EFAULT;
	return shift > fake.spapr.backing ? -EPERM : fake.spapr.map_error;
}

static int map(struct fake_container *c, const struct wr_vfio_map_dma *arg)
{
	struct fake_windows *s = &c->spapr;
	struct mapping *m, **at;
	uint64_t page;
	int ret, i;

	if (!s->enabled)
		return -EPERM;
	if (arg->argsz < sizeof(*arg) || arg->flags & ~3u)
		return -EINVAL;
	ret = make_pending(c);
	i = ret ? ret : find_window(s, arg->iova);
	if (i < 0)
		return i;
	page = 1ull << s->w[i].shift;
	if ((arg->size | arg->vaddr) & (page - 1) || !arg->flags)
		return -EINVAL;
	if (arg->iova & (page - 1))
		return 1;
	ret = is_v2(c) ? build_v2(s, arg->vaddr, arg->size, s->w[i].shift) :
			 build(arg->vaddr, arg->size, s->w[i].shift);
	if (ret)
		return ret;
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

/* The size isn't written; and what the hypervisor says isn't told. */
static int unmap(struct fake_container *c, const struct wr_vfio_unmap_dma *arg)
{
	struct fake_windows *s = &c->spapr;
	uint64_t page;
	int ret, i;

	if (!s->enabled)
		return -EPERM;
	if (arg->argsz < sizeof(*arg) || arg->flags)
		return -EINVAL;
	ret = make_pending(c);
	i = ret ? ret : find_window(s, arg->iova);
	if (i < 0)
		return i;
	page = 1ull << s->w[i].shift;
	if (arg->size & (page - 1))
		return -EINVAL;
	fake.spapr.overrun += arg->iova - s->w[i].start + arg->size > s->w[i].size;
	if (arg->iova & (page - 1))
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
	if (out->argsz < sizeof(*out))
		return 0;
	out->pgsizes = is_v2(c) ? fake.spapr.page_sizes : 0;
	out->max_windows = is_v2(c) ? fake.spapr.windows : 0;
	out->levels = is_v2(c) ? fake.spapr.levels : 0;
	return 0;
}

/* tce_iommu_enable(): the whole window, used or not. */
static int enable(struct fake_windows *s)
{
	int ret;

	if (s->enabled)
		return -EBUSY;
	if (!fake.spapr.low_size)
		return -EPERM;
	s->mm = getpid();
	ret = charge(fake.spapr.low_size);
	if (ret)
		return ret;
	s->charged = fake.spapr.low_size;
	s->enabled = true;
	return 0;
}

static int disable(struct fake_windows *s)
{
	uncharge(s->charged);
	s->charged = 0;
	s->enabled = false;
	return 0;
}

int fake_spapr_ioctl(struct fake_container *c, unsigned long request, void *arg)
{
	if (c->spapr.mm && c->spapr.mm != getpid())
		return -EPERM;
	switch (request) {
	case WR_VFIO_SPAPR_GET_INFO:
		return info(c, arg);
	case WR_VFIO_IOMMU_MAP_DMA:
		return map(c, arg);
	case WR_VFIO_IOMMU_UNMAP_DMA:
		return unmap(c, arg);
	case WR_VFIO_EEH_PE_OP:
		return fake_eeh(arg);
	default:
		break;
	}
	if (!is_v2(c))
		return request == WR_VFIO_SPAPR_ENABLE ? enable(&c->spapr) :
		       request == WR_VFIO_SPAPR_DISABLE ? disable(&c->spapr) : -ENOTTY;
	switch (request) {
	case WR_VFIO_SPAPR_REGISTER:
		return register_memory(&c->spapr, arg);
	case WR_VFIO_SPAPR_UNREGISTER:
		return unregister_memory(&c->spapr, arg);
	case WR_VFIO_SPAPR_CREATE:
		return create(c, arg);
	case WR_VFIO_SPAPR_REMOVE:
		return remove_window(c, arg);
	default:
		return -ENOTTY;
	}
}

/* do_procmap_query() of fs/proc/task_mmu.c */
int fake_procmap(struct wr_procmap_query *query)
{
	if (query->size != sizeof(*query) || query->flags)
		return -EINVAL;
	if (!fake.spapr.vmas[0].page)
		return -ENOTTY;
	for (size_t i = 0; i < sizeof(fake.spapr.vmas) / sizeof(fake.spapr.vmas[0]); i++) {
		if (query->addr < fake.spapr.vmas[i].start || query->addr >= fake.spapr.vmas[i].end)
			continue;
		query->start = fake.spapr.vmas[i].start;
		query->end = fake.spapr.vmas[i].end;
		query->page_size = fake.spapr.vmas[i].page;
		return 0;
	}
	return -ENOENT;
}

unsigned int fake_regions(unsigned int group)
{
	unsigned int n = 0;

	for (unsigned int i = 0; fake.groups[group].in && i < FAKE_REGIONS; i++)
		n += fake.groups[group].in->spapr.registered[i];
	return n;
}

unsigned int fake_memory(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FAKE_REGIONS; i++)
		n += fake.spapr.memory[i].used != 0;
	return n;
}

unsigned int fake_windows(unsigned int group)
{
	unsigned int n = 0;

	for (unsigned int i = 0; fake.groups[group].in && i < FAKE_WINDOWS; i++)
		n += fake.groups[group].in->spapr.w[i].size != 0;
	return n;
}
