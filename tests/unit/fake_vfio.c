/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "fake_type1.h"

#define FIRST_FD	100000
#define FILES		64
#define CONTAINERS	16

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

/* ---- containers and groups ---- */

static int attach_group(struct fake_container *c, const struct fake_group *g)
{
	if (g->attach_error)
		return g->attach_error;
	if (fake_is_spapr(c->type))
		return fake_spapr_attach(c, c->type);
	if (g->alone && c->groups > (g->in == c))
		return -EINVAL;
	for (const struct mapping *m = c->mappings; m; m = m->next)
		if (!fake_in_ranges(g, m->dma.iova, m->dma.iova + (m->dma.size - 1)))
			return -EINVAL;
	return 0;
}

static int set_iommu(struct fake_container *c, unsigned long type)
{
	if (!c->groups || c->type)
		return -EINVAL;
	if (fake_has_spapr(type)) {
		int ret = fake_spapr_attach(c, type);

		c->type = ret ? 0 : type;
		return ret;
	}
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
		fake_spapr_drop(c);
		while (c->mappings)
			fake_drop(c, &c->mappings);
		c->type = 0;
		c->tracking = false;
	}
	c->used = c->open || c->groups;
}

static int unset_container(struct fake_group *g)
{
	struct fake_container *c = g->in;

	if (g->iommufd) {
		fake_iommufd_unset_container(g);
		return 0;
	}
	if (!c)
		return -EINVAL;
	if (g->devices)
		return -EBUSY;
	fake_spapr_detach(c);
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

	if (g->in || g->iommufd)
		return -EINVAL;
	if (fake_iommufd_owns(*fd))
		return fake_iommufd_set_container(g, *fd);
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

	/* Any function of its slot is in the group. */
	if (strncmp(name, g->device, len - 1) || !name[len - 1])
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

	if (!g->iommufd && (!g->in || !g->in->type))
		return -EINVAL;
	if (g->device_error)
		return g->device_error;
	if (!ret && g->iommufd && !g->devices)
		ret = fake_iommufd_first_device(g);
	if (ret)
		return ret;
	g->devices++;
	return new_file(DEVICE, NULL, g);
}

static void group_drop(struct fake_group *g)
{
	if (!g->open && !g->devices && (g->in || g->iommufd))
		unset_container(g);
}

static void last_device(struct fake_group *g)
{
	if (g->iommufd)
		fake_iommufd_last_device(g);
	fake_device_closed();
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
			return c->type && !fake.no_ranges && !fake_is_spapr(c->type);
		if (fake_has_spapr((uintptr_t)arg))
			return 1;
		return !fake.no_type1 && ((uintptr_t)arg == WR_VFIO_TYPE1 ||
					  ((uintptr_t)arg == WR_VFIO_TYPE1v2 && !fake.no_v2));
	case WR_VFIO_SET_IOMMU:
		return set_iommu(c, (unsigned long)(uintptr_t)arg);
	default:
		break;
	}
	if (!c->type)
		return -EINVAL;
	if (fake_is_spapr(c->type))
		return fake_spapr_ioctl(c, request, arg);
	switch (request) {
	case WR_VFIO_IOMMU_GET_INFO:
		return fake_iommu_info(c, arg);
	case WR_VFIO_IOMMU_MAP_DMA:
		return fake_map_dma(c, arg);
	case WR_VFIO_IOMMU_UNMAP_DMA:
		return fake_unmap_dma(c, arg);
	case WR_VFIO_IOMMU_DIRTY_PAGES:
		return fake_dirty_pages(c, arg);
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
	if (g->open || g->devices || g->bound)
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

static bool fake_power(void)
{
	return fake.spapr.power || fake.spapr.exists;
}

static int fake_open(const char *path, int flags)
{
	int fd;

	pthread_mutex_lock(&lock);
	if (fails())
		fd = fake.fail_with;
	else if (!strcmp(path, "/dev/iommu") ||
		 (fake.iommufd.is_container && !strcmp(path, "/dev/vfio/vfio")))
		fd = fake_iommufd_open(path[5] == 'v');
	else if (!strncmp(path, "/dev/vfio/devices/", 18))
		fd = fake_iommufd_open_node(path);
	else if (!strcmp(path, "/dev/vfio/vfio"))
		fd = open_container();
	else if (!strncmp(path, "/dev/vfio/", 10))
		fd = open_group(path);
	else if ((fd = fake_open_sysfs(path)) == -ENOENT)
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
	if (fake_iommufd_owns(fd)) {
		fake_iommufd_close(fd);
	} else if (!file) {
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
				last_device(was.group);
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
	else if (fake_iommufd_owns(fd))
		ret = fake_iommufd_ioctl(fd, request, arg);
	else if (request == WR_PROCMAP_QUERY)
		ret = fake_procmap(arg);
	else if (!file)
		ret = -EBADF;
	else if (file->kind == CONTAINER)
		ret = container_ioctl(file->container, request, arg);
	else if (file->kind == GROUP)
		ret = group_ioctl(file->group, request, arg);
	else
		ret = fake_device_ioctl(request, arg);
	pthread_mutex_unlock(&lock);
	if (request == WR_VFIO_EEH_PE_OP && fake.eeh.asserted && fake.eeh.during_reset)
		fake.eeh.during_reset();
	return ret;
}

static int fake_dup(int fd)
{
	int ret = fails_now();

	return ret ? ret : fake_iommufd_owns(fd) ? fake_iommufd_dup(fd) : wr_sys_kernel.dup(fd);
}

static bool is_ours(int fd)
{
	return file_of(fd) || fake_iommufd_owns(fd);
}

static int fake_char_device(int fd, dev_t *device)
{
	return fake_iommufd_owns(fd) ? fake_iommufd_char_device(fd, device) :
	       wr_sys_kernel.char_device(fd, device);
}

static ssize_t fake_pread(int fd, void *buf, size_t len, off_t offset)
{
	ssize_t ret = fails_now();

	return ret ? ret : is_ours(fd) ? fake_device_read(buf, len, offset) :
	       wr_sys_kernel.pread(fd, buf, len, offset);
}

static ssize_t fake_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	ssize_t ret = fails_now();

	return ret ? ret : is_ours(fd) ? fake_device_write(buf, len, offset) :
	       wr_sys_kernel.pwrite(fd, buf, len, offset);
}

static ssize_t fake_read(int fd, void *buf, size_t len)
{
	ssize_t ret = fails_now();

	return ret ? ret : fake_iommufd_is_queue(fd) ? fake_iommufd_read(fd, buf, len) :
	       wr_sys_kernel.read(fd, buf, len);
}

static ssize_t fake_write(int fd, const void *buf, size_t len)
{
	ssize_t ret = fails_now();

	return ret ? ret : fake_iommufd_is_queue(fd) ? fake_iommufd_write(fd, buf, len) :
	       wr_sys_kernel.write(fd, buf, len);
}

static int fake_poll(int fd, int timeout)
{
	int ret = fails_now();

	return ret ? ret : fake_iommufd_is_queue(fd) ? fake_iommufd_poll(fd) :
	       wr_sys_kernel.poll(fd, timeout);
}

static int fake_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	int ret;

	pthread_mutex_lock(&lock);
	if (fails())
		ret = fake.fail_with;
	else if (fake_iommufd_is_context(fd))
		ret = (uint64_t)offset != fake.iommufd.lent_at || len != fake.iommufd.lent_len ?
		      -ENXIO : wr_sys_kernel.mmap(hint, len, prot, MAP_PRIVATE | MAP_ANONYMOUS,
						  -1, 0, out);
	else if (is_ours(fd))
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

	fake_iommufd_start();
	fake = (struct fake){
		.entry_limit = 65535,
		.memlock = UINT64_MAX,
		.page_sizes = (uint64_t)wr_page_size() | 1ull << 21 | 1ull << 30,
		.fail_with = -EIO,
		.spapr = {
			.low_size = 1u << 30,
			.page_sizes = 0x1211000,
			.levels = 5,
			.windows = FAKE_WINDOWS,
			.backing = (unsigned int)__builtin_ctzl(wr_page_size()),
			.memlock = UINT64_MAX,
		},
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
	seam.power = fake_power;
	seam.open = fake_open;
	seam.close = fake_close;
	seam.dup = fake_dup;
	seam.access = fake_access;
	seam.readlink = fake_readlink;
	seam.find = fake_find;
	seam.char_device = fake_char_device;
	seam.ioctl = fake_ioctl;
	seam.pread = fake_pread;
	seam.pwrite = fake_pwrite;
	seam.read = fake_read;
	seam.write = fake_write;
	seam.poll = fake_poll;
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
	m = *fake_find_mapping(fake.groups[group].in, iova, iova);
	return m && m->dma.iova == iova && m->dma.size == size &&
	       m->dma.vaddr == (uintptr_t)vaddr && m->dma.flags == flags;
}

int fake_device_fd(unsigned int group)
{
	fake.groups[group].devices++;
	return new_file(DEVICE, NULL, &fake.groups[group]);
}
