/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/record.h"
#include "mem/maps.h"
#include "mem/pages.h"

#define MAGIC		"weirioas"
#define VERSION		1
#define VECTORS_MAX	2048	/* of MSI-X: PCI Local Bus 3.0, section 6.8.2 */

_Static_assert(sizeof(struct wr_record_head) == 56 && sizeof(struct wr_record_device) == 64 &&
	       sizeof(struct wr_record_unit) == 32 && sizeof(struct weir_iova_range) == 16,
	       "so it is laid out in version 1");

uint64_t wr_record_len(const struct wr_record_head *head)
{
	return sizeof(*head) + head->n_devices * (uint64_t)sizeof(struct wr_record_device) +
	       head->n_units * (uint64_t)sizeof(struct wr_record_unit) +
	       head->n_ranges * (uint64_t)sizeof(struct weir_iova_range) + head->n_vectors;
}

struct wr_record wr_record_in(void *memory)
{
	struct wr_record r = { .head = memory };

	r.devices = (struct wr_record_device *)(r.head + 1);
	r.units = (struct wr_record_unit *)(r.devices + r.head->n_devices);
	r.ranges = (struct weir_iova_range *)(r.units + r.head->n_units);
	r.signals = (uint8_t *)(r.ranges + r.head->n_ranges);
	return r;
}

static size_t n_eventfds(const struct wr_record *r)
{
	size_t n = 0;

	for (uint32_t i = 0; i < r->head->n_vectors; i++)
		n += r->signals[i];
	return n;
}

/* FNV-1a, against what breaks by accident. */
static uint64_t checksum(struct wr_record_head *head)
{
	const unsigned char *at = (const unsigned char *)head;
	uint64_t hash = 0xcbf29ce484222325, was = head->checksum;

	head->checksum = 0;
	for (uint64_t i = 0; i < head->len; i++)
		hash = (hash ^ at[i]) * 0x100000001b3;
	head->checksum = was;
	return hash;
}

int wr_record_write(const struct wr_record *r)
{
	size_t len = r->head->len;
	int fd = wr_pages_file(len, 0);
	ssize_t done;

	memcpy(r->head->magic, MAGIC, sizeof(r->head->magic));
	r->head->version = VERSION;
	r->head->checksum = checksum(r->head);
	if (fd < 0)
		return wr_fail(fd, "making a file of %zu bytes: %s", len, strerror(-fd));
	done = wr_sys->pwrite(fd, r->head, len, 0);
	if (done == (ssize_t)len)
		return fd;
	wr_close(fd);
	return done < 0 ? wr_fail((int)done, "writing a file of %zu bytes: %s", len,
				  strerror((int)-done)) :
			  wr_fail(-EIO, "writing a file: %zd of %zu bytes", done, len);
}

/* With that the lists lie inside it. */
static int check_head(struct wr_record_head *head, uint64_t len)
{
	if (memcmp(head->magic, MAGIC, sizeof(head->magic)))
		return wr_fail(-EINVAL, "it is no record of an address space");
	if (head->version != VERSION)
		return wr_fail(-ENOTSUP, "it is of version %u, and this library knows version %u",
			       head->version, VERSION);
	if (head->len != len || wr_record_len(head) != len || head->checksum != checksum(head))
		return wr_fail(-EINVAL, "it is damaged: its length or its checksum is wrong");
	if (head->flags & ~(WR_RECORD_TRACKING | WR_RECORD_SMALL_PAGES) || head->reserved ||
	    !head->n_devices)
		return wr_fail(-EINVAL, "it is damaged: flags 0x%x, %u devices",
			       head->flags | head->reserved, head->n_devices);
	return 0;
}

static int check_record(const struct wr_record *r, size_t n)
{
	const struct wr_record_head *head = r->head;
	uint64_t vectors = 0;

	for (uint32_t i = 0; i < head->n_devices; i++) {
		for (unsigned int irq = 0; irq < WEIR_IRQS; irq++) {
			if (r->devices[i].vectors[irq] > VECTORS_MAX)
				return wr_fail(-EINVAL, "it is damaged: device %u has %u vectors",
					       i, r->devices[i].vectors[irq]);
			vectors += r->devices[i].vectors[irq];
		}
	}
	if (vectors != head->n_vectors)
		return wr_fail(-EINVAL, "it is damaged: it tells of %u vectors, and its devices "
			       "have %" PRIu64, head->n_vectors, vectors);
	for (uint32_t i = 0; i < head->n_vectors; i++)
		if (r->signals[i] > 1)
			return wr_fail(-EINVAL, "it is damaged: vector %u signals %u eventfds", i,
				       r->signals[i]);
	if (n != 2 + (uint64_t)head->n_devices + head->n_units + n_eventfds(r))
		return wr_fail(-EINVAL, "it goes with %" PRIu64 " fds in all, and here are %zu",
			       2 + (uint64_t)head->n_devices + head->n_units + n_eventfds(r), n);
	return 0;
}

int wr_record_read(int fd, size_t n, struct wr_record *out)
{
	uint64_t most = sizeof(struct wr_record_head) +
			WR_RANGES_MAX * sizeof(struct weir_iova_range) +
			n * (sizeof(struct wr_record_device) + (uint64_t)WEIR_IRQS * VECTORS_MAX);
	struct stat st;
	void *memory;
	ssize_t done;
	int ret;

	if (fstat(fd, &st))
		return wr_fail(-errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct wr_record_head) ||
	    (uint64_t)st.st_size > most)
		return wr_fail(-EINVAL, "it is no record of an address space");
	memory = malloc((size_t)st.st_size);
	if (!memory)
		return wr_fail(-ENOMEM, "no memory for %lld bytes", (long long)st.st_size);
	done = wr_sys->pread(fd, memory, (size_t)st.st_size, 0);
	if (done != st.st_size) {
		ret = done < 0 ? wr_fail((int)done, "reading it: %s", strerror((int)-done)) :
		      wr_fail(-EINVAL, "it became shorter while it was read");
	} else {
		ret = check_head(memory, (uint64_t)st.st_size);
		if (!ret) {
			*out = wr_record_in(memory);
			ret = check_record(out, n);
		}
	}
	if (ret)
		free(memory);
	return ret;
}
