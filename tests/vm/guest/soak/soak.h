/* SPDX-License-Identifier: MIT */
/*
 * The soak test's two halves: worker processes that use the devices at random, and the parent,
 * which kills them, and looks from outside at what they left (../soak.c).
 */
#ifndef SOAK_H
#define SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOAK_EDUS 4
#define PAGE 4096

/* What all workers have done, in memory that they share with the parent. */
struct soak_done {
	uint64_t devices;	/* opened */
	uint64_t mappings;
	uint64_t transfers;	/* by edu, each out and in again */
	uint64_t blocked;	/* DMA outside of what is mapped */
	uint64_t interrupts;
	uint64_t resets;
	uint64_t moves;
	uint64_t blocks;	/* of NVMe, written and read */
	uint64_t bytes;		/* moved by DMA, and compared */
};

struct soak {
	const char *edus[SOAK_EDUS];	/* addresses; the second and third share a group */
	const char *nvme;
	const char *interface;		/* that devices must be attached by */
	bool pool;			/* the machine has hugepages of 2 MiB */
	struct soak_done *done;
};

/* A worker, from its seed to the end of its process: 0, or 1 after a sentence on stderr. */
_Noreturn void soak_worker(const struct soak *soak, uint64_t seed);

/* The driver of the NVMe in a worker; @fail is told what went wrong, and doesn't return. */
struct soak_nvme {
	const struct soak *soak;
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	uint64_t random;
	void (*fail)(void *arg, const char *what, long value) __attribute__((noreturn));
	void *arg;
};

void soak_nvme(struct soak_nvme *n);

/* Bytes that are different each time. @len is a multiple of 8. */
static inline void fill(void *at, size_t len, uint64_t seed)
{
	uint64_t *words = at;

	for (size_t i = 0; i < len / 8; i++)
		words[i] = seed += 0x9e3779b97f4a7c15;
}

static inline void count(uint64_t *what, uint64_t n)
{
	__atomic_add_fetch(what, n, __ATOMIC_RELAXED);
}

#endif
