/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <weir/device.h>

#include "src/base/sys.h"
#include "src/kernel/uapi_hwpt.h"
#include "tests/vm/guest/mock/seam.h"

#define GROUP(n)	(1000 + (int)(n))
#define MAJOR_NUMBER	511
#define CONFIG_SIZE	256
#define PASIDS		8
#define OBJECTS		256		/* numbers that are looked through */

#define TEST_CMD	WR_IOMMU_IO(32)

/* Operations of iommufd_test.h */
enum {
	OP_RESERVE = 1, OP_CHECK_MAP = 3, OP_REPLACE = 10, OP_MOCK_DOMAIN_FLAGS = 12, OP_DIRTY = 13,
	OP_CHECK_IOTLB = 14, OP_TRIGGER_IOPF = 15, OP_CHECK_CACHE = 16, OP_TRIGGER_VEVENT = 17,
	OP_PASID_ATTACH = 18, OP_PASID_REPLACE = 19, OP_PASID_DETACH = 20, OP_PASID_CHECK = 21,
};

struct test_cmd {
	uint32_t size, op, id, reserved;
	union {
		struct { uint64_t start, length; } reserve;
		struct { uint32_t stdev, hwpt, devid, flags; } mock;
		struct { uint32_t pt; } replace;
		struct { uint64_t iova, length, uptr; } map;
		struct {
			uint32_t flags;
			uint64_t iova, length, page_size, uptr, n;
		} dirty;
		struct { uint32_t id, value; } cache;
		struct { uint32_t devid, pasid, group, perm; uint64_t addr; } iopf;
		struct { uint32_t devid; } vevent;
		struct { uint32_t pasid, pt; } pasid;
	} u;
	uint32_t last;
};

/* One mock device. Its node is a file without a name, so that its fds are real ones. */
static struct mock {
	uint32_t flags;			/* that it gets */
	unsigned int fds;
	int iommufd;			/* that it is bound to; -1 */
	uint32_t stdev, devid;
	uint32_t ioas, parked;		/* its own, for while it is attached to nothing */
	uint32_t table;
	uint32_t pasids[PASIDS];	/* attached; 0: none */
	unsigned char config[CONFIG_SIZE];
} mocks[MOCKS];

/* Whose node each fd is. */
static struct mock *nodes[1024];

static int command(int fd, uint32_t op, uint32_t id, struct test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	cmd->id = id;
	return wr_sys_kernel.ioctl(fd, TEST_CMD, cmd);
}

/* ---- faults that are injected don't hit what VFIO does without fail ---- */

/* Numbers in /proc/self/fail-nth; reading and writing may be what fails. */
static int pause_injection(void)
{
	char text[16] = "";
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), tries = 3, left;

	if (fd < 0)
		return 0;
	while (pread(fd, text, sizeof(text) - 1, 0) < 0 && tries--)
		;
	left = atoi(text);
	for (tries = 3; left && pwrite(fd, "0", 1, 0) < 0 && tries--;)
		;
	close(fd);
	return left;
}

static void go_on_injecting(int left)
{
	char text[16];
	int fd = left ? open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	if (pwrite(fd, text, (size_t)snprintf(text, sizeof(text), "%d", left), 0) < 0)
		abort();
	close(fd);
}

static void destroy(int fd, uint32_t id)
{
	struct wr_iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	if (id && wr_sys_kernel.ioctl(fd, WR_IOMMU_DESTROY, &destroy))
		abort();
}

/* ---- a mock device's life ---- */

/* What it is attached to when VFIO's would be attached to nothing. */
static uint32_t nowhere(const struct mock *m)
{
	return m->parked ? m->parked : m->ioas;
}

static int replace(struct mock *m, uint32_t pt, uint32_t *got)
{
	struct test_cmd cmd = { .u.replace.pt = pt };
	int ret = command(m->iommufd, OP_REPLACE, m->stdev, &cmd);

	if (!ret)
		m->table = *got = cmd.u.replace.pt;
	return ret;
}

/* Beside PASIDs only a page table for them can be used, for nothing as well. */
static int park(struct mock *m)
{
	struct wr_iommu_hwpt_alloc alloc = {
		.size = offsetof(struct wr_iommu_hwpt_alloc, data_type),
		.flags = WR_IOMMU_HWPT_PASID, .dev_id = m->devid, .pt_id = m->ioas,
	};
	int ret = wr_sys_kernel.ioctl(m->iommufd, WR_IOMMU_HWPT_ALLOC, &alloc);

	if (ret)
		return ret;
	m->parked = alloc.out_hwpt_id;
	return replace(m, m->parked, &m->table);
}

static void unbind(struct mock *m)
{
	int left = pause_injection();

	for (unsigned int i = 0; i < PASIDS; i++) {
		struct test_cmd cmd = { .u.pasid.pasid = m->pasids[i] };

		if (m->pasids[i] && command(m->iommufd, OP_PASID_DETACH, m->stdev, &cmd))
			abort();
		m->pasids[i] = 0;
	}
	destroy(m->iommufd, m->stdev);
	destroy(m->iommufd, m->parked);
	destroy(m->iommufd, m->ioas);
	close(m->iommufd);
	m->iommufd = -1;
	m->stdev = m->devid = m->parked = m->ioas = m->table = 0;
	go_on_injecting(left);
}

static int bind(struct mock *m, struct wr_vfio_bind *bind)
{
	struct wr_iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct test_cmd cmd = { .u.mock.flags = m->flags };
	int ret;

	if (m->iommufd >= 0)
		return -EINVAL;
	m->iommufd = fcntl(bind->iommufd, F_DUPFD_CLOEXEC, 0);
	if (m->iommufd < 0)
		return -errno;
	ret = wr_sys_kernel.ioctl(m->iommufd, WR_IOMMU_IOAS_ALLOC, &alloc);
	if (ret)
		goto unbind;
	m->ioas = alloc.out_ioas_id;
	ret = command(m->iommufd, OP_MOCK_DOMAIN_FLAGS, m->ioas, &cmd);
	if (ret)
		goto unbind;
	m->stdev = cmd.u.mock.stdev;
	m->devid = bind->out_devid = cmd.u.mock.devid;
	if (m->flags & MOCK_PASID)
		ret = park(m);
	if (!ret)
		return 0;
unbind:
	unbind(m);
	return ret;
}

/* ---- what VFIO answers ---- */

static uint32_t *place_of(struct mock *m, uint32_t pasid)
{
	for (unsigned int i = 0; i < PASIDS; i++)
		if (m->pasids[i] == pasid)
			return &m->pasids[i];
	return NULL;
}

/* vfio_df_ioctl_attach_pt() */
static int attach(struct mock *m, struct wr_vfio_attach *arg)
{
	struct test_cmd cmd = { .u.pasid = { .pasid = arg->pasid, .pt = arg->pt_id } };
	uint32_t *place;
	int ret;

	if (!(arg->flags & WR_VFIO_ATTACH_PASID))
		return replace(m, arg->pt_id, &arg->pt_id);
	place = place_of(m, arg->pasid);
	ret = command(m->iommufd, place ? OP_PASID_REPLACE : OP_PASID_ATTACH, m->stdev, &cmd);
	if (!ret && !place)
		*place_of(m, 0) = arg->pasid;
	return ret;
}

static int detach(struct mock *m, const struct wr_vfio_detach *arg)
{
	uint32_t *place = arg->flags & WR_VFIO_ATTACH_PASID ? place_of(m, arg->pasid) : NULL;
	struct test_cmd cmd = { .u.pasid.pasid = arg->argsz > 8 ? arg->pasid : 0 };
	int ret = 0, left = pause_injection();
	uint32_t got;

	if (!(arg->flags & WR_VFIO_ATTACH_PASID))
		ret = replace(m, nowhere(m), &got);
	else if (place)
		ret = command(m->iommufd, OP_PASID_DETACH, m->stdev, &cmd);
	if (!ret && place)
		*place = 0;
	go_on_injecting(left);
	return ret;
}

static int region_info(struct wr_vfio_region_info *info)
{
	info->size = info->index == WEIR_REGION_CONFIG ? CONFIG_SIZE : 0;
	info->flags = info->size ? WR_VFIO_REGION_READ | WR_VFIO_REGION_WRITE : 0;
	info->offset = 0;
	info->cap_offset = 0;
	return 0;
}

static int node_ioctl(struct mock *m, unsigned long request, void *arg)
{
	struct wr_vfio_device_info *info = arg;
	struct wr_vfio_irq_info *irq = arg;

	if (request == WR_VFIO_DEVICE_BIND_IOMMUFD)
		return bind(m, arg);
	if (m->iommufd < 0)
		return -EINVAL;
	switch (request) {
	case WR_VFIO_DEVICE_ATTACH_PT:
		return attach(m, arg);
	case WR_VFIO_DEVICE_DETACH_PT:
		return detach(m, arg);
	case WR_VFIO_DEVICE_GET_INFO:
		info->flags = WR_VFIO_DEVICE_PCI | WR_VFIO_DEVICE_RESETS;
		info->num_regions = 9;
		info->num_irqs = 5;
		return 0;
	case WR_VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case WR_VFIO_DEVICE_GET_IRQ_INFO:
		irq->count = irq->flags = 0;
		return 0;
	default:
		return -ENOTTY;
	}
}

/* ---- the seam ---- */

/* Of which device of ours a path in sysfs is, and what comes behind its folder. */
static struct mock *in_sysfs(const char *path, const char **rest)
{
	static const char folder[] = "/sys/bus/pci/devices/";

	if (strncmp(path, folder, sizeof(folder) - 1))
		return NULL;
	for (unsigned int n = 0; n < MOCKS; n++) {
		size_t len = strlen(mock_name(n));

		if (strncmp(path + sizeof(folder) - 1, mock_name(n), len))
			continue;
		*rest = path + sizeof(folder) - 1 + len;
		return &mocks[n];
	}
	return NULL;
}

static int text_file(const char *text)
{
	int fd = memfd_create("mock", MFD_CLOEXEC), ret;

	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		return fd;
	ret = errno ? -errno : -EIO;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int add_node(struct mock *m, int fd)
{
	if (fd < 0)
		return fd;
	if (fd >= (int)(sizeof(nodes) / sizeof(nodes[0])))
		abort();
	nodes[fd] = m;
	m->fds++;
	return fd;
}

static int seam_open(const char *path, int flags)
{
	const char *rest;
	struct mock *m = in_sysfs(path, &rest);
	unsigned int n;
	char text[32];

	if (sscanf(path, "/dev/vfio/devices/vfiomock%u", &n) == 1 && n < MOCKS)
		return add_node(&mocks[n], text_file(""));
	if (!strncmp(path, "/sys/kernel/iommu_groups/100", 28))
		return text_file("DMA\n");
	if (!m)
		return wr_sys_kernel.open(path, flags);
	if (strncmp(rest, "/vfio-dev/", 10))
		return -ENOENT;
	snprintf(text, sizeof(text), "%d:%d\n", MAJOR_NUMBER, (int)(m - mocks));
	return text_file(text);
}

static struct mock *node(int fd)
{
	return fd >= 0 && fd < (int)(sizeof(nodes) / sizeof(nodes[0])) ? nodes[fd] : NULL;
}

static int seam_close(int fd)
{
	struct mock *m = node(fd);

	if (m) {
		nodes[fd] = NULL;
		if (!--m->fds && m->iommufd >= 0)
			unbind(m);
	}
	return wr_sys_kernel.close(fd);
}

static int seam_access(const char *path)
{
	const char *rest;

	return in_sysfs(path, &rest) ? 0 : wr_sys_kernel.access(path);
}

static ssize_t seam_readlink(const char *path, char *buf, size_t size)
{
	const char *rest;
	struct mock *m = in_sysfs(path, &rest);

	if (!m)
		return wr_sys_kernel.readlink(path, buf, size);
	if (!strcmp(rest, "/driver"))
		return snprintf(buf, size, "../../bus/pci/drivers/vfio-pci");
	if (!strcmp(rest, "/iommu_group"))
		return snprintf(buf, size, "../../kernel/iommu_groups/%d", GROUP(m - mocks));
	return -ENOENT;
}

static int seam_find(const char *folder, const char *prefix, char *name, size_t size)
{
	const char *rest;
	struct mock *m = in_sysfs(folder, &rest);

	if (!m)
		return wr_sys_kernel.find(folder, prefix, name, size);
	if (strcmp(prefix, "vfio"))
		return -ENOENT;
	snprintf(name, size, "vfiomock%d", (int)(m - mocks));
	return 0;
}

static int seam_char_device(int fd, dev_t *device)
{
	struct mock *m = node(fd);

	if (!m)
		return wr_sys_kernel.char_device(fd, device);
	*device = makedev(MAJOR_NUMBER, (unsigned int)(m - mocks));
	return 0;
}

static int seam_ioctl(int fd, unsigned long request, void *arg)
{
	struct mock *m = node(fd);

	return m ? node_ioctl(m, request, arg) : wr_sys_kernel.ioctl(fd, request, arg);
}

static ssize_t seam_pread(int fd, void *buf, size_t len, off_t offset)
{
	struct mock *m = node(fd);

	if (!m)
		return wr_sys_kernel.pread(fd, buf, len, offset);
	memcpy(buf, m->config + offset, len);
	return (ssize_t)len;
}

static ssize_t seam_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct mock *m = node(fd);

	if (!m)
		return wr_sys_kernel.pwrite(fd, buf, len, offset);
	memcpy(m->config + offset, buf, len);
	return (ssize_t)len;
}

void mock_start(void)
{
	static struct wr_sys seam;

	for (unsigned int n = 0; n < MOCKS; n++) {
		mocks[n] = (struct mock){ .iommufd = -1 };
		mocks[n].config[0] = 0xde;
	}
	seam = wr_sys_kernel;
	seam.open = seam_open;
	seam.close = seam_close;
	seam.access = seam_access;
	seam.readlink = seam_readlink;
	seam.find = seam_find;
	seam.char_device = seam_char_device;
	seam.ioctl = seam_ioctl;
	seam.pread = seam_pread;
	seam.pwrite = seam_pwrite;
	wr_sys = &seam;
}

void mock_stop(void)
{
	wr_sys = &wr_sys_kernel;
}

/* ---- past weir ---- */

const char *mock_name(unsigned int n)
{
	static const char *const names[MOCKS] = {
		"00f0:00:00.0", "00f0:00:01.0", "00f0:00:02.0", "00f0:00:03.0",
	};

	return names[n];
}

uint32_t mock_devid(unsigned int n)
{
	return mocks[n].devid;
}

void mock_be(unsigned int n, uint32_t flags)
{
	mocks[n].flags = flags;
}

/* Who looks for one destroys it; but then it was one too many. */
unsigned int mock_objects(int iommufd)
{
	unsigned int n = 0;

	for (uint32_t id = 1; id <= OBJECTS; id++) {
		struct wr_iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

		n += wr_sys_kernel.ioctl(iommufd, WR_IOMMU_DESTROY, &destroy) != -ENOENT;
	}
	return n;
}

uint32_t mock_table(unsigned int n)
{
	return mocks[n].table;
}

int mock_check_pasid(unsigned int n, uint32_t pasid, uint32_t hwpt)
{
	struct test_cmd cmd = { .u.pasid = { .pasid = pasid, .pt = hwpt } };

	return command(mocks[n].iommufd, OP_PASID_CHECK, mocks[n].stdev, &cmd);
}

int mock_check_map(int iommufd, uint32_t hwpt, uint64_t iova, const void *vaddr, uint64_t len)
{
	struct test_cmd cmd = {
		.u.map = { .iova = iova, .length = len, .uptr = (uintptr_t)vaddr },
	};

	return command(iommufd, OP_CHECK_MAP, hwpt, &cmd);
}

int mock_write(int iommufd, uint32_t hwpt, uint64_t iova, uint64_t pages, const uint64_t *bitmap)
{
	struct test_cmd cmd = {
		.u.dirty = {
			.iova = iova, .length = pages * wr_page_size(),
			.page_size = wr_page_size(), .uptr = (uintptr_t)bitmap,
		},
	};

	return command(iommufd, OP_DIRTY, hwpt, &cmd);
}

int mock_check_iotlb(int iommufd, uint32_t hwpt, uint32_t id, uint32_t value)
{
	struct test_cmd cmd = { .u.cache = { .id = id, .value = value } };

	return command(iommufd, OP_CHECK_IOTLB, hwpt, &cmd);
}

int mock_check_cache(unsigned int n, uint32_t id, uint32_t value)
{
	struct test_cmd cmd = { .u.cache = { .id = id, .value = value } };

	return command(mocks[n].iommufd, OP_CHECK_CACHE, mocks[n].devid, &cmd);
}

int mock_page_request(unsigned int n, uint32_t pasid, uint32_t group, uint32_t perm,
		      uint64_t addr)
{
	struct test_cmd cmd = {
		.u.iopf = {
			.devid = mocks[n].devid, .pasid = pasid, .group = group, .perm = perm,
			.addr = addr,
		},
	};

	return command(mocks[n].iommufd, OP_TRIGGER_IOPF, 0, &cmd);
}

int mock_event(unsigned int n)
{
	struct test_cmd cmd = { .u.vevent.devid = mocks[n].devid };

	return command(mocks[n].iommufd, OP_TRIGGER_VEVENT, 0, &cmd);
}

int mock_reserve(int iommufd, uint32_t ioas, uint64_t first, uint64_t len)
{
	struct test_cmd cmd = { .u.reserve = { .start = first, .length = len } };

	return command(iommufd, OP_RESERVE, ioas, &cmd);
}
