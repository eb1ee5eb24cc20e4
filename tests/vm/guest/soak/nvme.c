/* SPDX-License-Identifier: MIT */
/* The worker's NVMe: blocks at random are written, read back into other memory, and compared. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/nvme/nvme.h"
#include "tests/chance.h"
#include "tests/vm/guest/soak/soak.h"

#define BUFFER (64u << 10)

struct disk {
	struct weir_device *dev;
	struct nvme *nvme;
	struct nvme_queue *queue;
	struct nvme_ns ns;
	struct weir_mem *mem;	/* two buffers */
};

static void did(const struct soak_nvme *n, int ret, const char *what)
{
	if (ret) {
		fprintf(stderr, "%s\n", nvme_errmsg());
		n->fail(n->arg, what, ret);
	}
}

static void open_disk(struct soak_nvme *n, struct disk *disk)
{
	const struct weir_device_opts opts = { .ioas = n->as };
	const struct nvme_opts how = { .irq = chance(&n->random, 2) };

	did(n, weir_device_open(n->iommu, n->soak->nvme, &opts, &disk->dev), "opening the NVMe");
	did(n, nvme_open(disk->dev, &how, &disk->nvme), "starting the NVMe");
	did(n, nvme_namespace(disk->nvme, 1, &disk->ns), "its namespace");
	did(n, nvme_queue_open(disk->nvme, 1 + (unsigned int)chance(&n->random, 16), &disk->queue),
	    "its queue");
	did(n, weir_mem_alloc(n->as, 2 * BUFFER, NULL, &disk->mem), "its memory");
	count(&n->soak->done->devices, 1);
}

static void close_disk(struct soak_nvme *n, struct disk *disk)
{
	did(n, nvme_queue_close(disk->queue), "closing its queue");
	did(n, nvme_close(disk->nvme), "closing the NVMe");
	did(n, weir_mem_free(disk->mem), "freeing its memory");
	did(n, weir_device_close(disk->dev), "closing its device");
}

static void there_and_back(struct soak_nvme *n, struct disk *disk)
{
	unsigned char *out = weir_mem_ptr(disk->mem), *in = out + BUFFER;
	uint64_t blocks = 1 + chance(&n->random, BUFFER / disk->ns.block_size);
	uint64_t lba = chance(&n->random, disk->ns.blocks - blocks);
	size_t len = blocks * disk->ns.block_size;

	fill(out, BUFFER, chance(&n->random, UINT64_MAX));
	memset(in, 0x5a, BUFFER);
	did(n, nvme_write(disk->queue, &disk->ns, lba, out, len), "writing");
	did(n, nvme_read(disk->queue, &disk->ns, lba, in, len), "reading");
	if (memcmp(in, out, len))
		n->fail(n->arg, "wrong bytes in blocks from", (long)lba);
	for (size_t i = len; i < BUFFER; i++)
		if (in[i] != 0x5a)
			n->fail(n->arg, "wrong bytes behind what was read, at", (long)i);
	count(&n->soak->done->blocks, blocks);
	count(&n->soak->done->bytes, 2 * len);
}

void soak_nvme(struct soak_nvme *n)
{
	struct disk disk;

	for (uint64_t times = 1 + chance(&n->random, 2); times; times--) {
		open_disk(n, &disk);
		for (uint64_t steps = 20 + chance(&n->random, 300); steps; steps--) {
			there_and_back(n, &disk);
			/* The other devices need a processor, too. */
			usleep(2000);
			if (!chance(&n->random, 200)) {
				did(n, nvme_reset(disk.nvme), "starting it anew");
				count(&n->soak->done->resets, 1);
			}
		}
		close_disk(n, &disk);
	}
}
