/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "fake_vfio.h"

#define FIRST_FD	100000
#define FILES		64
#define CONTAINERS	16

struct mapping {
	struct mapping *next;
	struct wr_vfio_map_dma dma;
	bool lost;			/* its address, by WR_VFIO_UNMAP_FLAG_VADDR */
};

struct fake_container {
	bool used;			/* by a file or a group */
	bool open;
	unsigned int groups;
	unsigned long type;		/* 0: none chosen yet */
	unsigned int entries_left;
	struct mapping *mappings;	/* by IOVA */
	bool tracking;
};

enum kind { NONE, CONTAINER, GROUP, DEVICE };

struct file {
	enum kind kind;
	struct fake_container *container;
	struct fake_group *group;
};

struct fake fake;
static struct file files[FILES];
static struct fake_container containers[CONTAINERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- failing ---- */

static bool fails(void)
{
	return ++fake.calls == fake.fail_at;
}

/* ---- type1 ---- */

static uint64_t smallest_page(void)
{
	return fake.page_sizes & -fake.page_sizes;
}

/* The first mapping with a byte in [iova, last]. */
static struct mapping **find(struct fake_container *c, uint64_t iova, uint64_t last)
{
	struct mapping **m = &c->mappings;

	while (*m && ((*m)->dma.iova + ((*m)->dma.size - 1) < iova || (*m)->dma.iova > last))
		m = &(*m)->next;
	return m;
}

static bool in_ranges(const struct fake_group *g, uint64_t iova, uint64_t last)
{
	for (unsigned int i = 0; i < g->n_ranges; i++)
		if (g->ranges[i].start <= iova && last <= g->ranges[i].end)
			return true;
	return false;
}

static bool in_all_ranges(const struct fake_container *c, uint64_t iova, uint64_t last)
{
	for (unsigned int i = 0; i < FAKE_GROUPS; i++)
		if (fake.groups[i].in == c && !in_ranges(&fake.groups[i], iova, last))
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
static int map_dma(struct fake_container *c, const struct wr_vfio_map_dma *map)
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
		return map_vaddr(*find(c, map->iova, last), map);
	if (*find(c, map->iova, last))
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

static void drop(struct fake_container *c, struct mapping **at)
{
	struct mapping *m = *at;

	*at = m->next;
	c->entries_left++;
	free(m);
}

static bool cuts_a_mapping(struct fake_container *c, uint64_t iova, uint64_t last)
{
	struct mapping *m = *find(c, iova, iova);

	if (m && m->dma.iova != iova)
		return true;
	m = *find(c, last, last);
	return m && m->dma.iova + (m->dma.size - 1) != last;
}

/* vfio_dma_do_unmap(); the size is written by success alone */
static int unmap_dma(struct fake_container *c, struct wr_vfio_unmap_dma *unmap)
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
		m = find(c, unmap->iova, last);
		if (!*m || (*m)->lost)
			return *m ? -EINVAL : 0;
		(*m)->lost = true;
		unmap->size = (*m)->dma.size;
		return 0;
	}
	if (c->type == WR_VFIO_TYPE1v2 && cuts_a_mapping(c, unmap->iova, last))
		return -EINVAL;
	while (*(m = find(c, unmap->iova, last))) {
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
		drop(c, m);
	}
	unmap->size = done;
	return 0;
}

static void set_page_bits(struct fake_container *c, const struct wr_vfio_dirty_get *get)
{
	uint64_t *bitmap = (uint64_t *)(uintptr_t)get->bitmap.data, page = smallest_page();

	for (uint64_t i = 0; i < get->size / page; i++)
		if (*find(c, get->iova + i * page, get->iova + i * page))
			bitmap[i / 64] |= 1ull << (i % 64);
}

/* vfio_iommu_type1_dirty_pages() */
static int dirty_pages(struct fake_container *c, const struct wr_vfio_dirty *arg)
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

static int iommu_info(const struct fake_container *c, struct wr_vfio_iommu_info *info)
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

/* ---- containers and groups ---- */

static int attach_group(struct fake_container *c, const struct fake_group *g)
{
	if (g->attach_error)
		return g->attach_error;
	if (g->alone && c->groups > (g->in == c))
		return -EINVAL;
	for (const struct mapping *m = c->mappings; m; m = m->next)
		if (!in_ranges(g, m->dma.iova, m->dma.iova + (m->dma.size - 1)))
			return -EINVAL;
	return 0;
}

static int set_iommu(struct fake_container *c, unsigned long type)
{
	if (!c->groups || c->type)
		return -EINVAL;
	if (fake.no_type1 || (type != WR_VFIO_TYPE1 && (type != WR_VFIO_TYPE1v2 || fake.no_v2)))
		return -ENODEV;
	for (unsigned int i = 0; i < FAKE_GROUPS; i++) {
		int ret = fake.groups[i].in == c ? attach_group(c, &fake.groups[i]) : 0;

		if (ret)
			return ret;
	}
	c->type = type;
	c->entries_left = fake.entry_limit;
	return 0;
}

static void container_drop(struct fake_container *c)
{
	if (!c->groups) {
		while (c->mappings)
			drop(c, &c->mappings);
		c->type = 0;
		c->tracking = false;
	}
	c->used = c->open || c->groups;
}

static int unset_container(struct fake_group *g)
{
	struct fake_container *c = g->in;

	if (!c)
		return -EINVAL;
	if (g->devices)
		return -EBUSY;
	g->in = NULL;
	c->groups--;
	container_drop(c);
	return 0;
}

static struct file *file_of(int fd)
{
	struct file *file = fd >= FIRST_FD && fd < FIRST_FD + FILES ? &files[fd - FIRST_FD] : NULL;

	return file && file->kind != NONE ? file : NULL;
}

static int set_container(struct fake_group *g, const int32_t *fd)
{
	struct file *file = file_of(*fd);
	int ret;

	if (g->in)
		return -EINVAL;
	if (!file)
		return -EBADF;
	if (file->kind != CONTAINER)
		return -EBADFD;
	if (!g->viable)
		return -EPERM;
	if (g->set_container_error)
		return g->set_container_error;
	ret = file->container->type ? attach_group(file->container, g) : 0;
	if (ret)
		return ret;
	g->in = file->container;
	g->in->groups++;
	return 0;
}

static int new_file(enum kind kind, struct fake_container *c, struct fake_group *g)
{
	for (int i = 0; i < FILES; i++) {
		if (files[i].kind != NONE)
			continue;
		files[i] = (struct file){ kind, c, g };
		fake.open_fds++;
		return FIRST_FD + i;
	}
	return -EMFILE;
}

/* vfio_pci_core_match() */
static int match_device(const struct fake_group *g, const char *name)
{
	size_t len = strlen(g->device);
	const char *token = NULL;

	if (strncmp(name, g->device, len))
		return -ENODEV;
	if (!strncmp(name + len, " vf_token=", 10))
		token = name + len + 10;
	else if (name[len])
		return -EINVAL;
	if (token && !g->token)
		return -EINVAL;
	return g->token && (!token || strcmp(token, g->token)) ? -EACCES : 0;
}

static int get_device_fd(struct fake_group *g, const char *name)
{
	int ret = match_device(g, name);

	if (!g->in || !g->in->type)
		return -EINVAL;
	if (g->device_error)
		return g->device_error;
	if (ret)
		return ret;
	g->devices++;
	return new_file(DEVICE, NULL, g);
}

static void group_drop(struct fake_group *g)
{
	if (!g->open && !g->devices && g->in)
		unset_container(g);
}

static int group_ioctl(struct fake_group *g, unsigned long request, void *arg)
{
	struct wr_vfio_group_status *status = arg;

	switch (request) {
	case WR_VFIO_GROUP_GET_STATUS:
		if (g->status_error)
			return g->status_error;
		if (status->argsz < sizeof(*status))
			return -EINVAL;
		status->flags = (g->viable ? WR_VFIO_GROUP_VIABLE : 0) | (g->in ? 2 : 0);
		return 0;
	case WR_VFIO_GROUP_SET_CONTAINER:
		return set_container(g, arg);
	case WR_VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(g);
	case WR_VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(g, arg);
	default:
		return -ENOTTY;
	}
}

static int container_ioctl(struct fake_container *c, unsigned long request, void *arg)
{
	switch (request) {
	case WR_VFIO_GET_API_VERSION:
		return fake.api_version;
	case WR_VFIO_CHECK_EXTENSION:
		if ((uintptr_t)arg == WR_VFIO_UNMAP_ALL || (uintptr_t)arg == WR_VFIO_UPDATE_VADDR)
			return c->type && !fake.no_ranges;
		return !fake.no_type1 && ((uintptr_t)arg == WR_VFIO_TYPE1 ||
					  ((uintptr_t)arg == WR_VFIO_TYPE1v2 && !fake.no_v2));
	case WR_VFIO_SET_IOMMU:
		return set_iommu(c, (unsigned long)(uintptr_t)arg);
	default:
		break;
	}
	if (!c->type)
		return -EINVAL;
	switch (request) {
	case WR_VFIO_IOMMU_GET_INFO:
		return iommu_info(c, arg);
	case WR_VFIO_IOMMU_MAP_DMA:
		return map_dma(c, arg);
	case WR_VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(c, arg);
	case WR_VFIO_IOMMU_DIRTY_PAGES:
		return dirty_pages(c, arg);
	default:
		return -ENOTTY;
	}
}

/* ---- the seam ---- */

static int open_group(const char *path)
{
	struct fake_group *g = NULL;
	int number;

	if (sscanf(path, "/dev/vfio/%d", &number) == 1)
		for (unsigned int i = 0; i < FAKE_GROUPS; i++)
			if (number == FAKE_GROUP((int)i))
				g = &fake.groups[i];
	if (!g || !g->exists)
		return -ENOENT;
	if (g->open_error)
		return g->open_error;
	if (g->open || g->devices)
		return -EBUSY;
	g->open = true;
	return new_file(GROUP, NULL, g);
}

static int open_container(void)
{
	if (fake.container_error)
		return fake.container_error;
	for (unsigned int i = 0; i < CONTAINERS; i++) {
		struct fake_container *c = &containers[i];

		if (c->used)
			continue;
		*c = (struct fake_container){ .used = true, .open = true };
		return new_file(CONTAINER, c, NULL);
	}
	return -ENOMEM;
}

static int fake_open(const char *path, int flags)
{
	int fd;

	pthread_mutex_lock(&lock);
	if (fails())
		fd = fake.fail_with;
	else if (!strcmp(path, "/dev/vfio/vfio"))
		fd = open_container();
	else if (!strncmp(path, "/dev/vfio/", 10))
		fd = open_group(path);
	else
		fd = wr_sys_kernel.open(path, flags);
	pthread_mutex_unlock(&lock);
	return fd;
}

/* A file is closed even where close says that something went wrong. */
static int fake_close(int fd)
{
	struct file *file;
	int ret;

	pthread_mutex_lock(&lock);
	file = file_of(fd);
	ret = fails() ? fake.fail_with : 0;
	if (!file) {
		if (wr_sys_kernel.close(fd) < 0)
			ret = -EBADF;
	} else {
		struct file was = *file;

		file->kind = NONE;
		fake.open_fds--;
		if (was.kind == CONTAINER) {
			was.container->open = false;
			container_drop(was.container);
		} else {
			if (was.kind == GROUP)
				was.group->open = false;
			else if (!--was.group->devices)
				fake_device_closed();
			group_drop(was.group);
		}
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

/* For what takes no lock otherwise: 0, or what the call is to say instead of working. */
static int fails_now(void)
{
	int ret;

	pthread_mutex_lock(&lock);
	ret = fails() ? fake.fail_with : 0;
	pthread_mutex_unlock(&lock);
	return ret;
}

#define PASSED_ON(name, params, args)                                                              \
	static int fake_##name params                                                              \
	{                                                                                          \
		int ret = fails_now();                                                             \
                                                                                                   \
		return ret ? ret : wr_sys_kernel.name args;                                        \
	}

PASSED_ON(dup, (int fd), (fd))
PASSED_ON(madvise, (void *addr, size_t len, int advice), (addr, len, advice))
PASSED_ON(memfd, (const char *name, unsigned int flags), (name, flags))
PASSED_ON(ftruncate, (int fd, off_t len), (fd, len))
PASSED_ON(seal, (int fd, int seals), (fd, seals))
PASSED_ON(eventfd, (void), ())

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	struct file *file;
	int ret;

	pthread_mutex_lock(&lock);
	file = file_of(fd);
	if (fails())
		ret = fake.fail_with;
	else if (!file)
		ret = -EBADF;
	else if (file->kind == CONTAINER)
		ret = container_ioctl(file->container, request, arg);
	else if (file->kind == GROUP)
		ret = group_ioctl(file->group, request, arg);
	else
		ret = fake_device_ioctl(request, arg);
	pthread_mutex_unlock(&lock);
	return ret;
}

static ssize_t fake_pread(int fd, void *buf, size_t len, off_t offset)
{
	ssize_t ret = fails_now();

	return ret ? ret : file_of(fd) ? fake_device_read(buf, len, offset) :
	       wr_sys_kernel.pread(fd, buf, len, offset);
}

static ssize_t fake_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	ssize_t ret = fails_now();

	return ret ? ret : file_of(fd) ? fake_device_write(buf, len, offset) :
	       wr_sys_kernel.pwrite(fd, buf, len, offset);
}

static int fake_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	int ret;

	pthread_mutex_lock(&lock);
	if (fails())
		ret = fake.fail_with;
	else if (file_of(fd))
		ret = fake_device_mmap(hint, len, prot, flags, offset, out);
	else
		ret = wr_sys_kernel.mmap(hint, len, prot, flags, fd, offset, out);
	/* With a fixed place it replaces what was mapped there. */
	if (!ret && !(flags & MAP_FIXED))
		fake.mapped += (long)len;
	pthread_mutex_unlock(&lock);
	return ret;
}

/* Memory whose unmapping failed is still there; nobody could do anything about it. */
static int fake_munmap(void *addr, size_t len)
{
	int ret;

	pthread_mutex_lock(&lock);
	ret = wr_sys_kernel.munmap(addr, len);
	if (!ret)
		fake.mapped -= (long)len;
	pthread_mutex_unlock(&lock);
	return ret;
}

/* Not on every machine may a process do it. */
static int fake_mbind(void *addr, size_t len, int mode, const unsigned long *nodes,
		      unsigned long bits, unsigned int flags)
{
	(void)addr, (void)len, (void)mode, (void)nodes, (void)bits, (void)flags;
	return fails_now();
}

/* ---- for the tests ---- */

void fake_start(void)
{
	static struct wr_sys seam;
	static const char *const names[FAKE_GROUPS] = {
		"0000:01:00.0", "0000:02:00.0", "0000:03:00.0",
	};

	fake = (struct fake){
		.entry_limit = 65535,
		.memlock = UINT64_MAX,
		.page_sizes = (uint64_t)wr_page_size() | 1ull << 21 | 1ull << 30,
		.fail_with = -EIO,
		.device = {
			.info = { .flags = WR_VFIO_DEVICE_PCI, .num_regions = 9, .num_irqs = 5 },
			.vectors_free = 8,
			.most = 256,
		},
	};
	for (unsigned int i = 0; i < FAKE_GROUPS; i++) {
		fake.groups[i] = (struct fake_group){
			.exists = true,
			.viable = true,
			.n_ranges = 2,
			.ranges = { { 0, 0xfedfffff }, { 0xfef00000, (1ull << 48) - 1 } },
			.device = names[i],
		};
	}
	memset(files, 0, sizeof(files));
	for (unsigned int i = 0; i < CONTAINERS; i++) {
		containers[i].groups = 0;
		container_drop(&containers[i]);
	}
	memset(containers, 0, sizeof(containers));
	fake_device_start();
	seam = wr_sys_kernel;
	seam.open = fake_open;
	seam.close = fake_close;
	seam.dup = fake_dup;
	seam.access = fake_access;
	seam.readlink = fake_readlink;
	seam.ioctl = fake_ioctl;
	seam.pread = fake_pread;
	seam.pwrite = fake_pwrite;
	seam.mmap = fake_mmap;
	seam.munmap = fake_munmap;
	seam.madvise = fake_madvise;
	seam.memfd = fake_memfd;
	seam.ftruncate = fake_ftruncate;
	seam.seal = fake_seal;
	seam.mbind = fake_mbind;
	seam.eventfd = fake_eventfd;
	wr_sys = &seam;
}

void fake_stop(void)
{
	wr_sys = &wr_sys_kernel;
	fake_device_stop();
}

unsigned int fake_mappings(unsigned int group)
{
	unsigned int n = 0;

	if (fake.groups[group].in)
		for (const struct mapping *m = fake.groups[group].in->mappings; m; m = m->next)
			n++;
	return n;
}

bool fake_has(unsigned int group, uint64_t iova, uint64_t size, const void *vaddr, uint32_t flags)
{
	struct mapping *m;

	if (!fake.groups[group].in)
		return false;
	m = *find(fake.groups[group].in, iova, iova);
	return m && m->dma.iova == iova && m->dma.size == size &&
	       m->dma.vaddr == (uintptr_t)vaddr && m->dma.flags == flags;
}

int fake_device_fd(unsigned int group)
{
	fake.groups[group].devices++;
	return new_file(DEVICE, NULL, &fake.groups[group]);
}
