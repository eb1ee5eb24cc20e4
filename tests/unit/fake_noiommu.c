/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys.h"
#include "fake_noiommu.h"

#define PAGEMAP_FD	300000
#define FLAGS_FD	300001
#define RING_FD		300002
#define REGIONS		64
#define SWITCH		"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

/* Huge pages that are mapped. */
struct region {
	char *start;
	size_t len;
	uint64_t *phys;		/* of each page */
	bool reserved;		/* by fake_huge(): address space to be given back */
};

struct fake_bare bare;
static struct region regions[REGIONS];
static struct iovec slots[WR_URING_BUFFERS_MAX];
static bool table;		/* the ring has its slots */
static struct wr_sys below;	/* the fake that lies under this one */

static bool fails(void)
{
	return ++fake.calls == fake.fail_at;
}

/* ---- memory ---- */

static struct region *region_at(const void *vaddr)
{
	for (int i = 0; i < REGIONS; i++)
		if (regions[i].start && (uintptr_t)vaddr - (uintptr_t)regions[i].start <
		    regions[i].len)
			return &regions[i];
	return NULL;
}

/* NULL: no memory for it. */
static struct region *add_region(char *start, size_t len)
{
	for (int i = 0; i < REGIONS; i++) {
		struct region *r = &regions[i];

		if (r->start)
			continue;
		*r = (struct region){ .start = start, .len = len };
		r->phys = calloc(len / FAKE_HUGE, sizeof(*r->phys));
		if (!r->phys) {
			*r = (struct region){ 0 };
			return NULL;
		}
		for (size_t page = 0; page < len / FAKE_HUGE; page++) {
			r->phys[page] = bare.next;
			bare.next += (uint64_t)bare.step;
		}
		return r;
	}
	abort();
}

static void drop_region(struct region *r)
{
	free(r->phys);
	*r = (struct region){ 0 };
}

/* Aligned address space with nothing in it. */
static char *reserve(size_t len, int prot)
{
	char *start, *aligned;
	void *mapped;

	if (wr_sys_kernel.mmap(NULL, len + FAKE_HUGE, prot, MAP_PRIVATE | MAP_ANONYMOUS |
			       MAP_NORESERVE, -1, 0, &mapped))
		abort();
	start = mapped;
	aligned = (char *)(((uintptr_t)start + FAKE_HUGE - 1) & ~(FAKE_HUGE - 1));
	if (aligned > start)
		munmap(start, (size_t)(aligned - start));
	munmap(aligned + len, (size_t)(start + FAKE_HUGE - aligned));
	return aligned;
}

char *fake_huge(size_t len)
{
	char *start = reserve(len, PROT_NONE);

	add_region(start, len)->reserved = true;
	return start;
}

void fake_huge_here(char *pages, size_t len)
{
	add_region(pages, len);
}

char *fake_huge_again(const char *pages, size_t len)
{
	char *again = fake_huge(len);

	memcpy(region_at(again)->phys, region_at(pages)->phys,
	       len / FAKE_HUGE * sizeof(uint64_t));
	return again;
}

/* Memory of any other kind is somewhere too. */
uint64_t fake_phys(const void *vaddr)
{
	const struct region *r = region_at(vaddr);
	size_t at = r ? (size_t)((const char *)vaddr - r->start) : 0;

	return r ? r->phys[at / FAKE_HUGE] + at % FAKE_HUGE :
		   (1ull << 45) + ((uintptr_t)vaddr & ((1ull << 40) - 1));
}

static bool is_huge(uint64_t phys)
{
	for (int i = 0; i < REGIONS; i++)
		for (size_t page = 0; page < regions[i].len / FAKE_HUGE; page++)
			if (phys - regions[i].phys[page] < FAKE_HUGE)
				return true;
	return false;
}

static ssize_t read_entries(int fd, uint64_t *entries, size_t len, uint64_t first)
{
	size_t page = wr_page_size();
	bool huge = false;

	bare.reads += fd == PAGEMAP_FD;
	for (size_t i = 0; i < len / 8; i++) {
		uint64_t at = (first + i) * page;

		if (fd == PAGEMAP_FD) {
			entries[i] = 1ull << 63;
			if (!bare.no_frames)
				entries[i] |= fake_phys((void *)(uintptr_t)at) / page;
			continue;
		}
		/* Asked anew for each huge page alone: to look for it takes long. */
		if (!i || !(at % FAKE_HUGE))
			huge = is_huge(at);
		entries[i] = huge ? 1ull << 17 : 0;
	}
	return (ssize_t)len;
}

/* ---- io_uring ---- */

static void move(const struct iovec *iov)
{
	struct region *r = region_at(iov->iov_base);

	for (size_t i = 0; r && bare.moves && i < r->len / FAKE_HUGE; i++)
		r->phys[i] += bare.moves;
}

static int update(const struct wr_uring_update *arg)
{
	const struct iovec *iov = (const void *)(uintptr_t)arg->iovecs;
	struct iovec *slot = &slots[arg->first];
	int error = iov->iov_base ? bare.pin_error : bare.unpin_error;

	if (!table)
		return -ENXIO;
	if (arg->n != 1 || arg->reserved || arg->reserved2 || arg->tags ||
	    arg->first >= WR_URING_BUFFERS_MAX)
		return -EINVAL;
	if (iov->iov_len > 1ul << 30 || !iov->iov_base != !iov->iov_len)
		return -EFAULT;
	if (error)
		return error;
	move(iov);
	bare.pins += !!iov->iov_base - !!slot->iov_base;
	bare.pinned += iov->iov_len - slot->iov_len;
	*slot = *iov;
	return 1;
}

static int bare_uring(void)
{
	if (fails())
		return fake.fail_with;
	if (bare.uring_error)
		return bare.uring_error;
	fake.open_fds++;
	return RING_FD;
}

static int bare_uring_register(int fd, unsigned int opcode, void *arg, unsigned int n)
{
	if (fails())
		return fake.fail_with;
	if (fd != RING_FD)
		return -EBADF;
	if (opcode == WR_URING_BUFFERS_UPDATE)
		return n == sizeof(struct wr_uring_update) ? update(arg) : -EINVAL;
	if (opcode != WR_URING_REGISTER_BUFFERS || n > WR_URING_BUFFERS_MAX)
		return -EINVAL;
	if (!bare.table_error)
		table = true;
	return bare.table_error;
}

/* ---- the seam ---- */

static int text_file(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	return fd;
}

static int open_own(const char *path)
{
	if (bare.secret && !strcmp(path, bare.secret))
		return -EACCES;
	if (!strcmp(path, "/sys/kernel/iommu_groups/10/name"))
		return text_file("vfio-noiommu\n");
	if (!strcmp(path, SWITCH))
		return bare.mode ? text_file(bare.mode) : -ENOENT;
	if (!strcmp(path, "/proc/self/pagemap") || !strcmp(path, "/proc/kpageflags")) {
		fake.open_fds++;
		return path[6] == 's' ? PAGEMAP_FD : FLAGS_FD;
	}
	return 0;
}

/* The fake below has devices with an IOMMU: other names. */
static const char *plain(const char *path, char *out, size_t size)
{
	const char *prefix = strstr(path, "noiommu-vfio");

	if (!prefix)
		return path;
	snprintf(out, size, "%.*s%s", (int)(prefix - path), path, strchr(prefix, '-') + 1);
	return out;
}

static int bare_find(const char *folder, const char *prefix, char *name, size_t size)
{
	char plain_name[32];
	int ret;

	if (!bare.has_node)
		return -ENOENT;
	if (strncmp(prefix, "noiommu-", 8))
		return below.find(folder, prefix, name, size);
	ret = below.find(folder, prefix + 8, plain_name, sizeof(plain_name));
	if (!ret)
		snprintf(name, size, "noiommu-%s", plain_name);
	return ret;
}

static int bare_open(const char *path, int flags)
{
	char other[128];
	int fd = open_own(path);

	if (fd && fails()) {
		if (fd > 0)
			wr_sys->close(fd);
		return fake.fail_with;
	}
	if (fd)
		return fd;
	if (!strcmp(path, "/dev/vfio/noiommu-10"))
		return bare.node_error ? bare.node_error : below.open("/dev/vfio/10", flags);
	if (!strcmp(path, "/dev/iommu") && !bare.has_node)
		return bare.no_iommufd ? -ENOENT : below.open("/dev/vfio/vfio", flags);
	if (!strcmp(path, "/dev/vfio/vfio") && bare.no_container)
		return -ENOENT;
	return below.open(plain(path, other, sizeof(other)), flags);
}

static int bare_close(int fd)
{
	if (fd < PAGEMAP_FD || fd > RING_FD)
		return below.close(fd);
	fake.open_fds--;
	if (fd == RING_FD) {
		memset(slots, 0, sizeof(slots));
		table = false;
		bare.pins = 0;
		bare.pinned = 0;
	}
	return 0;
}

/* The fake below takes it for type1; drivers/vfio/container.c says what there isn't. */
static int bare_ioctl(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case WR_IOMMU_IOAS_ALLOC:
	case WR_IOMMU_DESTROY:
		if (!bare.has_node)
			return fails() ? fake.fail_with : 0;
		break;
	case WR_IOMMU_IOAS_GET_PA:
		if (!bare.has_node)
			return fails() ? fake.fail_with : -ENOTTY;
		break;
	case WR_VFIO_CHECK_EXTENSION:
		if ((uintptr_t)arg == WR_VFIO_NOIOMMU)
			return fails() ? fake.fail_with : !bare.cant;
		break;
	case WR_VFIO_SET_IOMMU:
		if ((uintptr_t)arg == WR_VFIO_NOIOMMU)
			return below.ioctl(fd, request, (void *)WR_VFIO_TYPE1v2);
		break;
	case WR_VFIO_IOMMU_GET_INFO:
	case WR_VFIO_IOMMU_MAP_DMA:
	case WR_VFIO_IOMMU_UNMAP_DMA:
		if (fake.groups[0].in)
			return -ENOTTY;
		break;
	default:
		break;
	}
	return below.ioctl(fd, request, arg);
}

static ssize_t bare_pread(int fd, void *buf, size_t len, off_t offset)
{
	if (fd != PAGEMAP_FD && fd != FLAGS_FD)
		return below.pread(fd, buf, len, offset);
	return fails() ? fake.fail_with : read_entries(fd, buf, len, (uint64_t)offset / 8);
}

static ssize_t bare_readlink(const char *path, char *buf, size_t size)
{
	if (bare.no_group && strstr(path, "/iommu_group"))
		return -ENOENT;
	return below.readlink(path, buf, size);
}

static int bare_mmap(void *hint, size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	if (!(flags & MAP_HUGETLB) && !(fd >= 0 && fd < FAKE_GROUP(99999) && bare.files_are_huge))
		return below.mmap(hint, len, prot, flags, fd, offset, out);
	if (fails())
		return fake.fail_with;
	*out = reserve(len, prot);
	if (!add_region(*out, len)) {
		munmap(*out, len);
		return -ENOMEM;
	}
	fake.mapped += (long)len;
	return 0;
}

static int bare_munmap(void *addr, size_t len)
{
	struct region *r = region_at(addr);
	int ret = below.munmap(addr, len);

	if (!ret && r && r->start == addr)
		drop_region(r);
	return ret;
}

/* ---- for the tests ---- */

void fake_bare_start(void)
{
	static struct wr_sys seam;

	fake_start();
	below = *wr_sys;
	fake.iommufd.phys = fake_phys;
	bare = (struct fake_bare){ .mode = "Y\n", .next = 64ull << 20, .step = FAKE_HUGE };
	seam = below;
	seam.open = bare_open;
	seam.close = bare_close;
	seam.ioctl = bare_ioctl;
	seam.pread = bare_pread;
	seam.find = bare_find;
	seam.readlink = bare_readlink;
	seam.mmap = bare_mmap;
	seam.munmap = bare_munmap;
	seam.uring = bare_uring;
	seam.uring_register = bare_uring_register;
	wr_sys = &seam;
}

void fake_bare_stop(void)
{
	for (int i = 0; i < REGIONS; i++) {
		if (regions[i].reserved)
			munmap(regions[i].start, regions[i].len);
		drop_region(&regions[i]);
	}
	fake_stop();
}
