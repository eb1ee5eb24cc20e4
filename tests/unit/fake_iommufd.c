/* SPDX-License-Identifier: MIT */
/* The fake kernel's IOMMUFD, and devices' own nodes (drivers/vfio/device_cdev.c). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/sys.h"
#include "fake_ioas.h"

#define FIRST_FD	200000
#define FDS		64

/* What several fds can be of. */
struct file {
	unsigned int fds;
	struct fake_context *ctx;	/* an open /dev/iommu; or what a node is bound to, NULL */
	struct fake_group *group;	/* a node's; NULL: it is no node */
	unsigned int function;
	struct object *device;
	struct object *queue;		/* it is a fault or event queue's; NULL: it isn't */
};

static struct file *fds[FDS];

static void put_context(struct fake_context *ctx)
{
	if (--ctx->refs)
		return;
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (fake_object_table[i].type >= HWPT && fake_object_table[i].ctx == ctx)
			fake_free_object(&fake_object_table[i]);
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (fake_object_table[i].type != FREE && fake_object_table[i].ctx == ctx)
			fake_free_object(&fake_object_table[i]);
	free(ctx);
}

/* ---- page tables and devices ---- */

/* What an IOMMU says to a device that is to use it: 0 or -errno. */
static int may_attach(const struct fake_group *g, const struct object *hwpt)
{
	if (g->attach_error)
		return g->attach_error;
	if (hwpt->group->iommu != g->iommu || (hwpt->dirty && !g->tracks_dirty))
		return -EINVAL;
	if (hwpt->type == NESTED)
		return 0;
	for (const struct area *a = hwpt->ioas->areas; a; a = a->next)
		if (!fake_in_group(g, a->map.iova, a->map.iova + (a->map.length - 1)))
			return -EADDRINUSE;
	return fake_allowed_in(hwpt->ioas, g, false) ? 0 : -EADDRINUSE;
}

static void use(struct object *device, struct object *hwpt)
{
	struct object *old = device->hwpt;

	if (old && !--old->users && old->automatic)
		fake_free_object(old);
	device->hwpt = hwpt;
	if (hwpt)
		hwpt->users++;
}

/* iommufd_device_auto_get_domain(), as far as the IOAS has one device */
static int automatic(struct object *ioas, struct fake_group *g, struct object **hwpt)
{
	int ret;

	if (!ioas)
		return -ENOENT;
	ret = fake_new_hwpt(ioas, g, false, hwpt);
	if (!ret)
		(*hwpt)->automatic = true;
	return ret;
}

/* All devices of a group have one page table: who gets another takes the others along. */
static int attach(struct file *node, struct wr_vfio_attach *arg)
{
	struct object *hwpt = fake_find_object(node->ctx, arg->pt_id, ANY);
	int ret = 0;

	if (arg->argsz < 12 || arg->flags & ~WR_VFIO_ATTACH_PASID)
		return -EINVAL;
	if (arg->flags)
		return fake_attach_pasid(node->device, arg);
	if (hwpt && hwpt->type == IOAS)
		hwpt = NULL;
	if (hwpt && !hwpt->pasid && fake_has_pasids(node->device))
		return -EINVAL;
	if (!hwpt)
		ret = automatic(fake_find_object(node->ctx, arg->pt_id, IOAS), node->group, &hwpt);
	if (ret)
		return ret;
	ret = may_attach(node->group, hwpt);
	if (ret) {
		node->group->blocked |= node->device->hwpt && ret == -EINVAL;
		return ret;
	}
	/* The table that it has needn't be attached. */
	node->group->blocked &= node->device->hwpt == hwpt;
	for (unsigned int i = 0; i < OBJECTS; i++) {
		struct object *o = &fake_object_table[i];

		if (o->type != DEVICE || o->group != node->group || !o->hwpt || o->hwpt == hwpt)
			continue;
		if (!node->device->hwpt)
			return -EINVAL;
		use(o, hwpt);
	}
	if (node->device->hwpt != hwpt)
		use(node->device, hwpt);
	fake.iommufd.attaches++;
	return 0;
}

static int check_token(const struct fake_group *g, const struct wr_vfio_bind *arg)
{
	const unsigned char *token = (const void *)(uintptr_t)arg->token;
	char text[40] = "";

	if (!(arg->flags & WR_VFIO_BIND_TOKEN))
		return g->token ? -EACCES : 0;
	if (arg->argsz < 24 || !g->token)
		return -EINVAL;
	for (int i = 0; i < 16; i++)
		sprintf(text + strlen(text), "%s%02x",
			i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", token[i]);
	return strcmp(text, g->token) ? -EACCES : 0;
}

/* vfio_df_ioctl_bind_iommufd() */
static int bind(struct file *node, struct wr_vfio_bind *arg)
{
	struct file *file = fake_iommufd_owns(arg->iommufd) ? fds[arg->iommufd - FIRST_FD] : NULL;
	struct fake_group *g = node->group;
	int ret;

	if (arg->argsz < 16 || arg->flags & ~WR_VFIO_BIND_TOKEN || arg->iommufd < 0)
		return -EINVAL;
	if (node->ctx || g->bound & 1u << node->function)
		return -EINVAL;
	if (g->open || g->devices)
		return -EBUSY;
	if (!file || file->group)
		return -EBADFD;
	if (fake.iommufd.bind_error)
		return fake.iommufd.bind_error;
	ret = g->viable ? check_token(g, arg) : -EPERM;
	if (ret)
		return ret;
	node->device = fake_new_object(file->ctx, DEVICE);
	if (!node->device)
		return -ENOMEM;
	node->device->group = g;
	node->device->kind = node->function;
	node->ctx = file->ctx;
	node->ctx->refs++;
	g->bound |= 1u << node->function;
	arg->out_devid = fake_object_id(node->device);
	return 0;
}

static int hw_info(struct fake_context *ctx, struct wr_iommu_hw_info *info)
{
	const struct object *device = fake_find_object(ctx, info->dev_id, DEVICE);
	size_t len = fake.iommufd.hw_len;

	if (!device)
		return -ENOENT;
	if (fake.iommufd.no_hw_info)
		return -EOPNOTSUPP;
	if (info->flags & WR_IOMMU_HW_INFO_TYPE && info->data_type != fake.iommufd.hw_type)
		return -EOPNOTSUPP;
	if (len)
		memcpy((void *)(uintptr_t)info->data_uptr, fake.iommufd.hw_data,
		       len < info->data_len ? len : info->data_len);
	info->data_len = (uint32_t)len;
	info->data_type = fake.iommufd.hw_type;
	info->out_max_pasid_log2 = fake.iommufd.pasid_bits;
	info->out_capabilities = fake.iommufd.hw_caps |
				 (device->group->tracks_dirty ? WR_IOMMU_HW_DIRTY : 0);
	return 0;
}

/* ---- in a container's place: vfio_compat.c ---- */

int fake_iommufd_set_container(struct fake_group *g, int fd)
{
	struct file *file = fake_iommufd_owns(fd) ? fds[fd - FIRST_FD] : NULL;

	if (!file || file->group)
		return -EBADFD;
	if (!file->ctx->compat)
		file->ctx->compat = fake_new_object(file->ctx, IOAS);
	if (!file->ctx->compat)
		return -ENOMEM;
	file->ctx->refs++;
	g->iommufd = file->ctx;
	return 0;
}

void fake_iommufd_unset_container(struct fake_group *g)
{
	put_context(g->iommufd);
	g->iommufd = NULL;
}

/* Only now the group is attached. */
int fake_iommufd_first_device(struct fake_group *g)
{
	struct object *hwpt, *device;
	int ret;

	if (!g->viable)
		return -EPERM;
	ret = fake_new_hwpt(g->iommufd->compat, g, false, &hwpt);
	if (ret)
		return ret;
	ret = may_attach(g, hwpt);
	device = ret ? NULL : fake_new_object(g->iommufd, DEVICE);
	if (!device) {
		fake_free_object(hwpt);
		return ret ? ret : -ENOMEM;
	}
	device->group = g;
	use(device, hwpt);
	return 0;
}

void fake_iommufd_last_device(struct fake_group *g)
{
	for (unsigned int i = 0; i < OBJECTS; i++) {
		if (fake_object_table[i].type != DEVICE || fake_object_table[i].group != g)
			continue;
		fake_free_object(fake_object_table[i].hwpt);
		fake_free_object(&fake_object_table[i]);
	}
}

static int compat_info(struct object *ioas, struct wr_vfio_iommu_info *info)
{
	struct wr_vfio_cap_dma_avail *avail = (void *)(info + 1);
	struct wr_vfio_cap_iova_range *ranges = (void *)((char *)avail + 16);
	struct wr_iommu_iova_range list[16];
	unsigned int n = fake_ranges_of(ioas, list, 16), size = 24 + 16 + 16 + n * 16;
	uint32_t argsz = info->argsz;

	info->argsz = size;
	info->flags = WR_VFIO_IOMMU_PGSIZES | WR_VFIO_IOMMU_CAPS;
	info->iova_pgsizes = fake_has_table(ioas) ? fake.page_sizes : -(uint64_t)wr_page_size();
	if (argsz < size)
		return 0;
	info->cap_offset = 24;
	*avail = (struct wr_vfio_cap_dma_avail){ { 3, 1, 40 }, UINT32_MAX };
	*ranges = (struct wr_vfio_cap_iova_range){ .header = { 1, 1, 0 }, .nr_iovas = n };
	memcpy(ranges->ranges, list, n * sizeof(list[0]));
	return 0;
}

static int compat_unmap(struct object *ioas, struct wr_vfio_unmap_dma *arg)
{
	int ret;

	if (arg->flags & ~WR_VFIO_UNMAP_FLAG_ALL)
		return -EINVAL;
	if (arg->flags && (arg->iova || arg->size))
		return -EINVAL;
	if (arg->flags)
		arg->size = UINT64_MAX;
	else if (!*fake_find_area(ioas, arg->iova, arg->iova + (arg->size - 1)))
		return (int)(arg->size = 0);
	ret = fake_unmap(ioas, arg->iova, &arg->size);
	return ret;
}

static int check_extension(uintptr_t extension)
{
	if (extension == 4) {
		errno = ENODEV;
		return -ENODEV;
	}
	return extension == WR_VFIO_TYPE1 || extension == WR_VFIO_TYPE1v2 ||
	       extension == WR_VFIO_UNMAP_ALL || extension == 8;
}

static int compat_ioctl(struct fake_context *ctx, unsigned long request, void *arg)
{
	const struct wr_vfio_map_dma *dma = arg;
	struct wr_iommu_map address;

	if (request == WR_VFIO_GET_API_VERSION)
		return 0;
	if (request == WR_VFIO_CHECK_EXTENSION)
		return check_extension((uintptr_t)arg);
	if (!ctx->compat)
		return -ENODEV;
	switch (request) {
	case WR_VFIO_SET_IOMMU:
		return (uintptr_t)arg == WR_VFIO_TYPE1 || (uintptr_t)arg == WR_VFIO_TYPE1v2 ? 0 :
		       -EINVAL;
	case WR_VFIO_IOMMU_GET_INFO:
		return compat_info(ctx->compat, arg);
	case WR_VFIO_IOMMU_MAP_DMA:
		if (dma->flags & ~3u)
			return -EINVAL;
		address = (struct wr_iommu_map){
			.flags = (dma->flags & WR_VFIO_MAP_READ ? WR_IOMMU_MAP_READ : 0) |
				 (dma->flags & WR_VFIO_MAP_WRITE ? WR_IOMMU_MAP_WRITE : 0),
			.user_va = dma->vaddr,
			.length = dma->size,
			.iova = dma->iova,
		};
		return fake_map(ctx->compat, &address, 0);
	case WR_VFIO_IOMMU_UNMAP_DMA:
		return compat_unmap(ctx->compat, arg);
	default:
		return -ENOTTY;
	}
}

/* ---- calls ---- */

static int option(struct fake_context *ctx, struct wr_iommu_option *arg)
{
	if (arg->option_id == WR_IOMMU_OPTION_HUGE_PAGES && !arg->reserved)
		return fake_huge_pages(ctx, arg);
	if (arg->option_id != WR_IOMMU_OPTION_RLIMIT_MODE || arg->object_id || arg->reserved)
		return -EOPNOTSUPP;
	if (arg->op == WR_IOMMU_OPTION_GET) {
		arg->val64 = ctx->by_process;
		return 0;
	}
	if (fake.iommufd.unprivileged)
		return -EPERM;
	if (ctx->objects)
		return -EBUSY;
	if (arg->val64 > 1)
		return -EINVAL;
	ctx->by_process = arg->val64;
	return 0;
}

static int ioas_alloc(struct fake_context *ctx, struct wr_iommu_ioas_alloc *alloc)
{
	struct object *ioas = fake_new_object(ctx, IOAS);

	if (!ioas)
		return -ENOMEM;
	alloc->out_ioas_id = fake_object_id(ioas);
	return 0;
}

/* iopt_get_phys() */
static int get_pa(struct fake_context *ctx, struct wr_iommu_get_pa *arg)
{
	struct object *ioas = fake_find_object(ctx, arg->ioas_id, IOAS);
	const struct area *area = ioas ? *fake_find_area(ioas, arg->iova, arg->iova) : NULL;
	uint64_t page = wr_page_size(), len = page, most;
	const char *memory;

	if (!fake.iommufd.phys)
		return -EOPNOTSUPP;
	if (fake.iommufd.phys_error)
		return fake.iommufd.phys_error;
	if (arg->flags || arg->reserved || !arg->length)
		return -EINVAL;
	if (!area)
		return -ENOENT;
	if (!fake_has_table(ioas))
		return -EOPNOTSUPP;
	memory = (const char *)(uintptr_t)(area->map.user_va + (arg->iova - area->map.iova));
	most = area->map.length - (arg->iova - area->map.iova);
	most = most < arg->length ? most : arg->length;
	arg->out_phys = fake.iommufd.phys(memory);
	while (len < most && fake.iommufd.phys(memory + len) == arg->out_phys + len)
		len += page;
	arg->length = len < most ? len : most;
	if (fake.iommufd.phys_answer)
		*arg = *fake.iommufd.phys_answer;
	return 0;
}

static int vfio_ioas(struct fake_context *ctx, struct wr_iommu_vfio_ioas *arg)
{
	if (arg->reserved || arg->op != WR_IOMMU_VFIO_IOAS_GET)
		return -EOPNOTSUPP;
	if (!ctx->compat)
		return -ENODEV;
	arg->ioas_id = fake_object_id(ctx->compat);
	return 0;
}

/* The smallest structures that the kernel takes (iommufd_ioctl_ops[]). */
static int context_ioctl(struct fake_context *ctx, unsigned long request, void *arg)
{
	static const uint32_t least[] = {
		8, 12, 24, 40, 32, 40, 24, 24, 12, 24, 32, 16, 48, 32, 16, 40, 24, 24, 8, 28, 40,
	};
	uint32_t size;

	if (request == WR_IOMMU_IOAS_GET_PA)
		return *(uint32_t *)arg < 40 ? -EINVAL : get_pa(ctx, arg);
	if (request < WR_IOMMU_DESTROY || request > WR_IOMMU_HW_QUEUE_ALLOC)
		return compat_ioctl(ctx, request, arg);
	memcpy(&size, arg, sizeof(size));
	if (size < least[request - WR_IOMMU_DESTROY])
		return -EINVAL;
	switch (request) {
	case WR_IOMMU_DESTROY:
		return fake_destroy(ctx, ((struct wr_iommu_destroy *)arg)->id);
	case WR_IOMMU_IOAS_ALLOC:
		return ioas_alloc(ctx, arg);
	case WR_IOMMU_IOAS_ALLOW_IOVAS:
		return fake_allow(ctx, arg);
	case WR_IOMMU_IOAS_COPY:
		return fake_copy(ctx, arg);
	case WR_IOMMU_IOAS_IOVA_RANGES:
		return fake_iova_ranges(ctx, arg);
	case WR_IOMMU_IOAS_MAP:
		return fake_ioas_map(ctx, arg);
	case WR_IOMMU_IOAS_MAP_FILE:
		return fake_map_file(ctx, arg);
	case WR_IOMMU_IOAS_CHANGE_PROCESS:
		return fake_change_process(ctx, arg);
	case WR_IOMMU_IOAS_UNMAP:
		return fake_ioas_unmap(ctx, arg);
	case WR_IOMMU_OPTION:
		return option(ctx, arg);
	case WR_IOMMU_VFIO_IOAS:
		return vfio_ioas(ctx, arg);
	case WR_IOMMU_HWPT_ALLOC:
		return fake_hwpt_alloc(ctx, arg);
	case WR_IOMMU_HWPT_INVALIDATE:
		return fake_invalidate(ctx, arg);
	case WR_IOMMU_FAULT_QUEUE_ALLOC:
		return fake_fault_alloc(ctx, arg);
	case WR_IOMMU_VIOMMU_ALLOC:
		return fake_viommu_alloc(ctx, arg);
	case WR_IOMMU_VDEVICE_ALLOC:
		return fake_vdevice_alloc(ctx, arg);
	case WR_IOMMU_VEVENTQ_ALLOC:
		return fake_veventq_alloc(ctx, arg);
	case WR_IOMMU_HW_QUEUE_ALLOC:
		return fake_hw_queue_alloc(ctx, arg);
	case WR_IOMMU_GET_HW_INFO:
		return hw_info(ctx, arg);
	case WR_IOMMU_SET_DIRTY_TRACKING:
		return fake_set_dirty(ctx, arg);
	case WR_IOMMU_GET_DIRTY_BITMAP:
		return fake_get_dirty(ctx, arg);
	default:
		return -ENOTTY;
	}
}

int fake_iommufd_ioctl(int fd, unsigned long request, void *arg)
{
	struct file *file = fds[fd - FIRST_FD];
	const struct wr_vfio_detach *detach = arg;
	int ret;

	if (file->queue)
		return -ENOTTY;
	if (!file->group)
		return context_ioctl(file->ctx, request, arg);
	if (request == WR_VFIO_DEVICE_BIND_IOMMUFD)
		return bind(file, arg);
	if (!file->ctx)
		return -EINVAL;
	switch (request) {
	case WR_VFIO_DEVICE_ATTACH_PT:
		return attach(file, arg);
	case WR_VFIO_DEVICE_DETACH_PT:
		if (detach->flags)
			return fake_detach_pasid(file->device, detach->pasid);
		fake.iommufd.detaches++;
		use(file->device, NULL);
		return 0;
	default:
		break;
	}
	fake.device.by_node = true;
	ret = fake_device_ioctl(request, arg);
	fake.device.by_node = false;
	return ret;
}

/* ---- fds ---- */

bool fake_iommufd_owns(int fd)
{
	return fd >= FIRST_FD && fd < FIRST_FD + FDS && fds[fd - FIRST_FD];
}

static int new_fd(struct file *file)
{
	for (int i = 0; i < FDS; i++) {
		if (fds[i])
			continue;
		fds[i] = file;
		file->fds++;
		fake.open_fds++;
		return FIRST_FD + i;
	}
	return -EMFILE;
}

static int new_file(const struct file *what)
{
	struct file *file = malloc(sizeof(*file));

	if (!file)
		return -ENOMEM;
	*file = *what;
	return new_fd(file);
}

int fake_iommufd_open(bool as_container)
{
	struct file file = { 0 };
	int fd;

	if (fake.iommufd.open_error)
		return fake.iommufd.open_error;
	if (!fake.iommufd.exists)
		return -ENOENT;
	file.ctx = calloc(1, sizeof(*file.ctx));
	if (!file.ctx)
		return -ENOMEM;
	file.ctx->refs = 1;
	file.ctx->by_process = as_container;
	fd = new_file(&file);
	if (fd < 0)
		free(file.ctx);
	return fd;
}

int fake_iommufd_open_node(const char *path)
{
	unsigned int number;

	if (fake.iommufd.node_error)
		return fake.iommufd.node_error;
	if (sscanf(path, "/dev/vfio/devices/vfio%u", &number) != 1 || number >= 2 * FAKE_GROUPS)
		return -ENOENT;
	return new_file(&(struct file){
		.group = &fake.groups[number / 2],
		.function = number % 2,
	});
}

int fake_queue_fd(struct object *queue)
{
	int fd = new_file(&(struct file){ .queue = queue, .ctx = queue->ctx });

	if (fd >= 0)
		queue->ctx->refs++;
	return fd;
}

bool fake_iommufd_is_context(int fd)
{
	return fake_iommufd_owns(fd) && !fds[fd - FIRST_FD]->queue && !fds[fd - FIRST_FD]->group;
}

bool fake_iommufd_is_queue(int fd)
{
	return fake_iommufd_owns(fd) && fds[fd - FIRST_FD]->queue;
}

ssize_t fake_iommufd_read(int fd, void *buf, size_t len)
{
	return fake_queue_read(fds[fd - FIRST_FD]->queue, buf, len);
}

ssize_t fake_iommufd_write(int fd, const void *buf, size_t len)
{
	return fake_queue_write(fds[fd - FIRST_FD]->queue, buf, len);
}

int fake_iommufd_poll(int fd)
{
	return fds[fd - FIRST_FD]->queue->n_bytes > 0;
}

int fake_iommufd_dup(int fd)
{
	return new_fd(fds[fd - FIRST_FD]);
}

void fake_iommufd_close(int fd)
{
	struct file *file = fds[fd - FIRST_FD];

	fds[fd - FIRST_FD] = NULL;
	fake.open_fds--;
	if (--file->fds)
		return;
	if (file->queue)
		file->queue->users--;
	if (file->device) {
		for (unsigned int i = 0; i < PASIDS; i++)
			fake_detach_pasid(file->device, file->device->pasids[i].pasid);
		use(file->device, NULL);
		fake_free_object(file->device);
		file->group->bound &= ~(1u << file->function);
		fake_device_closed();
	}
	if (file->ctx)
		put_context(file->ctx);
	free(file);
}

int fake_iommufd_char_device(int fd, dev_t *device)
{
	const struct file *file = fds[fd - FIRST_FD];

	*device = file->group ? fake_iommufd_number(file->group, file->function) : makedev(10, 120);
	return 0;
}

dev_t fake_iommufd_number(const struct fake_group *g, unsigned int function)
{
	return makedev(240, (unsigned int)(g - fake.groups) * 2 + function);
}

/* ---- for the tests ---- */

static struct object *device_of(unsigned int group, unsigned int function)
{
	for (unsigned int i = 0; i < OBJECTS; i++) {
		struct object *o = &fake_object_table[i];

		if (o->type == DEVICE && o->group == &fake.groups[group] && o->kind == function)
			return o;
	}
	return NULL;
}

/* What has the mappings of what the n-th device's first function is attached to. */
static struct object *table_of(unsigned int group)
{
	const struct object *device = device_of(group, 0);
	struct object *hwpt;

	if (!device)
		device = device_of(group, 1);
	hwpt = device ? device->hwpt : NULL;
	while (hwpt && !hwpt->ioas)
		hwpt = hwpt->parent;
	return hwpt;
}

uint32_t fake_table(unsigned int group, unsigned int function)
{
	const struct object *device = device_of(group, function);

	return device && device->hwpt ? fake_object_id(device->hwpt) : 0;
}

void fake_page_request(unsigned int group, uint64_t iova, unsigned int n, uint32_t cookie)
{
	const struct object *device = device_of(group, 0);
	struct wr_iommu_pgfault fault = {
		.dev_id = fake_object_id(device), .perm = WR_IOMMU_FAULT_READ, .grpid = cookie,
		.cookie = cookie,
	};

	for (unsigned int i = 0; i < n; i++) {
		fault.addr = iova + i * wr_page_size();
		fault.flags = i + 1 == n ? WR_IOMMU_FAULT_LAST : 0;
		fake_queue_put(device->hwpt->fault, &fault, sizeof(fault));
	}
	fake.iommufd.cookies |= 1u << cookie;
}

void fake_event(uint32_t sequence, unsigned int n, bool lost)
{
	struct object *queue = NULL;

	for (unsigned int i = 0; i < OBJECTS; i++)
		if (fake_object_table[i].type == VEVENTQ)
			queue = &fake_object_table[i];
	for (; n--; sequence = (sequence + 1) & INT_MAX) {
		const struct wr_iommu_vevent_header header = {
			.flags = lost ? WR_IOMMU_VEVENT_LOST : 0, .sequence = sequence,
		};

		fake_queue_put(queue, &header, sizeof(header));
		if (!lost)
			fake_queue_put(queue, &sequence, sizeof(sequence));
	}
}

unsigned int fake_ioas_mappings(unsigned int group)
{
	const struct object *hwpt = table_of(group);
	unsigned int n = 0;

	if (hwpt)
		for (const struct area *a = hwpt->ioas->areas; a; a = a->next)
			n++;
	return n;
}

bool fake_ioas_has(unsigned int group, uint64_t iova, uint64_t size, uint64_t va, uint32_t flags,
		   ino_t file)
{
	struct object *hwpt = table_of(group);
	const struct area *area = hwpt ? *fake_find_area(hwpt->ioas, iova, iova) : NULL;

	return area && area->map.iova == iova && area->map.length == size &&
	       area->map.user_va == va && (area->map.flags & 6) == flags && area->file == file;
}

unsigned int fake_ioas_allowed(unsigned int group, struct wr_iommu_iova_range *first)
{
	struct object *hwpt = table_of(group);

	if (hwpt && hwpt->ioas->n_allowed)
		*first = hwpt->ioas->allowed[0];
	return hwpt ? hwpt->ioas->n_allowed : 0;
}

bool fake_ioas_small(unsigned int group)
{
	struct object *hwpt = table_of(group);

	return hwpt && hwpt->ioas->small_pages;
}

bool fake_by_process(unsigned int group)
{
	struct object *hwpt = table_of(group);

	return hwpt && hwpt->ctx->by_process;
}

bool fake_same_table(unsigned int a, unsigned int b)
{
	return table_of(a) && table_of(a) == table_of(b);
}

bool fake_same_ioas(unsigned int a, unsigned int b)
{
	return table_of(a) && table_of(b) && table_of(a)->ioas == table_of(b)->ioas;
}

unsigned int fake_objects(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < OBJECTS; i++)
		n += fake_object_table[i].type != FREE;
	return n;
}

uint64_t fake_charged(unsigned int process)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < OBJECTS; i++)
		if (fake_object_table[i].type == IOAS)
			for (struct area *a = fake_object_table[i].areas; a; a = a->next)
				bytes += a->process == process ? a->map.length : 0;
	return bytes;
}

void fake_written(unsigned int group, uint64_t iova)
{
	struct object *hwpt = table_of(group);

	if (hwpt && hwpt->tracking && hwpt->n_written < WRITTEN)
		hwpt->written[hwpt->n_written++] = iova;
}

void fake_iommufd_start(void)
{
	for (unsigned int i = 0; i < FDS; i++)
		if (fds[i])
			fake_iommufd_close(FIRST_FD + (int)i);
}
