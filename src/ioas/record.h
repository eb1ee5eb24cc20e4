/* SPDX-License-Identifier: MIT */
/*
 * What is said of an address space that goes from one process to another, beside the fds: a file
 * of its own. It stays on one machine, but may go from one version of this library to another.
 */
#ifndef WR_IOAS_RECORD_H
#define WR_IOAS_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include <weir/ioas.h>
#include <weir/irq.h>

#define WR_RECORD_TRACKING	(1u << 0)	/* of the record: dirty tracking is on */
#define WR_RECORD_SMALL_PAGES	(1u << 1)	/* and pages are small */
#define WR_RECORD_DIRTY		(1u << 0)	/* of a device: wr_numbers.dirty */
#define WR_RECORD_WRITE		(1u << 0)	/* of a unit: wr_file.write */

struct wr_record_head {
	char magic[8];			/* these two are the writer's, and so is the checksum */
	uint32_t version;
	uint32_t flags;
	uint64_t len;			/* of the record, in bytes */
	uint64_t checksum;		/* over all of it, this one being 0 */
	uint32_t number;		/* the kernel's, of the domain */
	uint32_t n_devices;
	uint32_t n_units;
	uint32_t n_ranges;		/* where IOVAs are to lie; 0: wherever they can */
	uint32_t n_vectors;		/* of all devices */
	uint32_t reserved;
};

struct wr_record_device {
	char name[24];
	uint32_t devid, table, dma_bits, flags;
	uint32_t vectors[WEIR_IRQS];	/* enabled */
	uint32_t reserved;
};

struct wr_record_unit {
	uint64_t iova, len, offset;
	uint32_t dir, flags;
};

/*
 * A record in memory. Behind it, in this order, the fds: its own, /dev/iommu, a node for each
 * device, a file for each unit, an eventfd for each vector that signals one.
 */
struct wr_record {
	struct wr_record_head *head;
	struct wr_record_device *devices;
	struct wr_record_unit *units;
	struct weir_iova_range *ranges;
	uint8_t *signals;		/* a byte for each vector: whether it signals an eventfd */
};

/* How long a record is that has so many of them; and where they are in memory of that length. */
uint64_t wr_record_len(const struct wr_record_head *head);
struct wr_record wr_record_in(void *memory);

/* Write it to a file, with its checksum. Returns the fd. */
int wr_record_write(const struct wr_record *r);

/*
 * Read it from a file, which comes with @n fds in all. Its lists are as long as they say then, and
 * all else in it is still to be checked. The caller frees its head.
 */
int wr_record_read(int fd, size_t n, struct wr_record *out);

#endif
