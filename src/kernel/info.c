/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/sys.h"
#include "kernel/info.h"

int wr_vfio_info(int fd, unsigned long request, const void *head, uint32_t size, void **out)
{
	uint32_t room = size, argsz;
	char *info = NULL;

	for (;;) {
		char *bigger = realloc(info, room);
		int ret;

		if (!bigger) {
			free(info);
			return -ENOMEM;
		}
		info = bigger;
		memset(info, 0, room);
		memcpy(info, head, size);
		memcpy(info, &room, sizeof(room));	/* argsz */
		ret = wr_sys->ioctl(fd, request, info);
		if (ret < 0) {
			free(info);
			return ret;
		}
		memcpy(&argsz, info, sizeof(argsz));
		if (argsz <= room) {
			*out = info;
			return (int)(argsz < size ? size : argsz);
		}
		room = argsz;
	}
}

const void *wr_vfio_cap(const void *info, uint32_t size, uint32_t first, unsigned int id,
			uint32_t min, uint32_t *room)
{
	uint32_t at = first;

	/* Each capability takes at least its header: a longer walk than this is a loop. */
	for (uint32_t steps = size / sizeof(struct wr_vfio_cap); at && steps; steps--) {
		const struct wr_vfio_cap *cap;

		if (at % 8 || at > size || size - at < sizeof(*cap))
			break;
		cap = (const void *)((const char *)info + at);
		*room = size - at;
		if (cap->id == id && *room >= min)
			return cap;
		at = cap->next;
	}
	return NULL;
}
