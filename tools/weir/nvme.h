/* SPDX-License-Identifier: MIT */
/* What the verbs of weir nvme share. */
#ifndef WEIR_TOOL_NVME_H
#define WEIR_TOOL_NVME_H

#include <weir/weir.h>

#include "drivers/nvme/nvme.h"
#include "options.h"
#include "out.h"
#include "weir.h"
#include "window.h"

/* A controller that is open, for one verb. */
struct disk {
	const char *name;
	const char *backend;
	struct weir_iommu *iommu;
	struct weir_device *dev;
	struct weir_window window;	/* that was made; with pages of 0 bytes: none */
	struct nvme *nvme;
	struct nvme_info info;
	struct nvme_queue *queue;	/* NULL until disk_queue() */
	struct nvme_ns ns;
	struct weir_mem *mem;
	char *data;			/* it is at mem, for the queue's commands */
};

/* Each returns 0, or what fail() returned. */
int disk_open(struct disk *disk, const char *name, const struct options *options, bool irq);
int disk_queue(struct disk *disk, const char *nsid, unsigned int depth, size_t memory);
/* Give it all back. Returns @status, or if that is EXIT_YES what went wrong. */
int disk_close(struct disk *disk, int status);

/* The blocks that a verb is about. @blocks is 0 where nothing was said: up to the end. Returns 0,
 * or what fail() returned. */
int disk_range(const struct disk *disk, uint64_t lba, uint64_t *blocks);

/* Refuse to overwrite blocks without the user's yes, and say which. Returns what fail() returns. */
int disk_refuse(const struct disk *disk, uint64_t lba, uint64_t blocks);

/* Read the verb's DEVICE; returns NULL, and says so, unless there is exactly one. */
const char *one_device(int argc, char **argv);

int nvme_read_verb(int argc, char **argv);
int nvme_write_verb(int argc, char **argv);
int nvme_bench_verb(int argc, char **argv);

#endif
