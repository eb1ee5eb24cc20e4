/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench_hand.h"
#include "src/kernel/uapi.h"

static int call(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

/* A container has no call for its fd in the library: but this process has it open, and once. */
static int find_container(void)
{
	DIR *fds = opendir("/proc/self/fd");
	const struct dirent *entry;
	int fd = -ENOENT;

	if (!fds)
		return -errno;
	while (fd < 0 && (entry = readdir(fds))) {
		char path[64] = "";

		if (readlinkat(dirfd(fds), entry->d_name, path, sizeof(path) - 1) > 0 &&
		    (!strcmp(path, "/dev/vfio/vfio") || !strcmp(path, "/dev/iommu")))
			fd = atoi(entry->d_name);
	}
	closedir(fds);
	return fd;
}

/* Objects are numbered from 1 on (iommufd_fops_open() in drivers/iommu/iommufd/main.c); of the few
 * that there are for one device, one is an IOAS. */
static int find_ioas(struct hand *hand)
{
	for (hand->ioas = 1; hand->ioas <= 16; hand->ioas++) {
		struct wr_iommu_ranges ranges = { .size = sizeof(ranges), .ioas_id = hand->ioas };
		int ret = call(hand->fd, WR_IOMMU_IOAS_IOVA_RANGES, &ranges);

		if (!ret || ret == -EMSGSIZE)
			return 0;
	}
	return -ENOENT;
}

int hand_find(struct hand *hand, struct weir_iommu *iommu)
{
	hand->fd = weir_iommu_fd(iommu);
	hand->iommufd = hand->fd >= 0;
	if (hand->iommufd)
		return find_ioas(hand);
	hand->fd = find_container();
	return hand->fd < 0 ? hand->fd : 0;
}

static int map_file(const struct hand *hand, int fd, size_t len, weir_iova iova)
{
	struct wr_iommu_map_file map = {
		.size = sizeof(map),
		.flags = WR_IOMMU_MAP_FIXED | WR_IOMMU_MAP_READ | WR_IOMMU_MAP_WRITE,
		.ioas_id = hand->ioas,
		.fd = fd,
		.length = len,
		.iova = iova,
	};

	return call(hand->fd, WR_IOMMU_IOAS_MAP_FILE, &map);
}

static int map_ioas(const struct hand *hand, void *vaddr, size_t len, weir_iova iova)
{
	struct wr_iommu_map map = {
		.size = sizeof(map),
		.flags = WR_IOMMU_MAP_FIXED | WR_IOMMU_MAP_READ | WR_IOMMU_MAP_WRITE,
		.ioas_id = hand->ioas,
		.user_va = (uintptr_t)vaddr,
		.length = len,
		.iova = iova,
	};

	return call(hand->fd, WR_IOMMU_IOAS_MAP, &map);
}

static int map_container(const struct hand *hand, void *vaddr, size_t len, weir_iova iova)
{
	struct wr_vfio_map_dma map = {
		.argsz = sizeof(map),
		.flags = WR_VFIO_MAP_READ | WR_VFIO_MAP_WRITE,
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = len,
	};

	return call(hand->fd, WR_VFIO_IOMMU_MAP_DMA, &map);
}

int hand_map(const struct hand *hand, void *vaddr, int fd, size_t len, weir_iova iova)
{
	if (!hand->iommufd)
		return map_container(hand, vaddr, len, iova);
	return fd < 0 ? map_ioas(hand, vaddr, len, iova) : map_file(hand, fd, len, iova);
}

int hand_unmap(const struct hand *hand, size_t len, weir_iova iova)
{
	struct wr_iommu_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = hand->ioas,
		.iova = iova,
		.length = len,
	};
	struct wr_vfio_unmap_dma unmap_dma = {
		.argsz = sizeof(unmap_dma),
		.iova = iova,
		.size = len,
	};

	return hand->iommufd ? call(hand->fd, WR_IOMMU_IOAS_UNMAP, &unmap) :
	       call(hand->fd, WR_VFIO_IOMMU_UNMAP_DMA, &unmap_dma);
}
