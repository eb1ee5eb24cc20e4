/* SPDX-License-Identifier: MIT */
/* The kernel's calls that map and unmap, made without the library: the limit of what it can be. */
#ifndef WEIR_TOOL_BENCH_HAND_H
#define WEIR_TOOL_BENCH_HAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/weir.h>

struct hand {
	int fd;			/* a container's, or /dev/iommu; they stay the library's */
	bool iommufd;
	uint32_t ioas;
};

/* What a device of @iommu is attached by. Returns 0 or -errno. */
int hand_find(struct hand *hand, struct weir_iommu *iommu);

/* What weir_ioas_map() and weir_ioas_map_fd() would do; @fd is -1 for the first. Return -errno. */
int hand_map(const struct hand *hand, void *vaddr, int fd, size_t len, weir_iova iova);
int hand_unmap(const struct hand *hand, size_t len, weir_iova iova);

#endif
