/* SPDX-License-Identifier: MIT */
/* The plain list of the mixed load: what should be mapped, and what the next call should answer. */
#ifndef LOAD_LIST_H
#define LOAD_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

#include "fake_vfio.h"

#define PAGE 4096ull
#define MB2 (2ull << 20)
#define GB (1ull << 30)

#define WORKERS 4
#define PARTS 5			/* of a unit, at most */
#define LIVE 40			/* mappings at once, before another unit is made */
#define STRIPE (8ull << 20)	/* of memory, for each worker */
#define GIANT (4 * GB)		/* addresses without memory, for large mappings */
#define FILE_PAGES 16ull	/* of each worker's file */
#define DEVICES (FAKE_GROUPS + 1)
#define SOFT FAKE_GROUPS	/* the device that is a model */
#define RANGES_MAX 64
#define COMPARED 64		/* all is compared after so many changes */

/* A mapping. */
struct entry {
	uint64_t iova, len, vaddr;
	enum weir_dma_dir dir;
	uint64_t age;
	uint64_t says;		/* what its first page begins with, the next a page's size more */
	uint64_t unit, unit_len;	/* what it is a part of, or all of it */
	bool moves;		/* by weir_ioas_update_vaddr() */
};

struct range {
	uint64_t first, last;
};

/* What all workers are on. */
struct field {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct weir_model *model;
	char *memory;		/* a stripe for each worker; each page begins with its address */
	char *giant;		/* no memory at all */
	bool blind;		/* to that */
};

struct worker {
	struct field *field;
	unsigned int number;
	bool alone;
	unsigned long long first_seed;
	uint64_t seed;
	unsigned long ops, done;	/* operations to do, and done */
	struct entry e[LIVE + PARTS];	/* by IOVA */
	unsigned int n;
	uint64_t age;
	unsigned int room;	/* for mappings, says the kernel */
	int fd;
	struct weir_device *dev[DEVICES];
	unsigned int dma_bits[DEVICES];
	struct range ranges[RANGES_MAX];
	unsigned int n_ranges;
	uint64_t limit;
};

/* A number below @below, by chance. */
uint64_t any(struct worker *w, uint64_t below);

/* A page's IOVA for it, by chance. */
uint64_t choose_iova(struct worker *w);

/* Tell what is wrong and how to get there again, and end the program. */
__attribute__((format(printf, 2, 3), noreturn))
void wrong(const struct worker *w, const char *fmt, ...);
void expect(const struct worker *w, const char *what, uint64_t is, uint64_t should);

/* Where mappings may be for one device, and for all there are; without one, it isn't told. */
extern const struct range untold[3];
unsigned int ranges_of(unsigned int dev, struct range *ranges);
void recompute(struct worker *w);
bool within(const struct range *ranges, unsigned int n, uint64_t first, uint64_t last);

bool is_giant(const struct worker *w, uint64_t vaddr);
bool is_refused(const struct worker *w, uint64_t vaddr);	/* by the software IOMMU */
const struct entry *at_iova(const struct worker *w, uint64_t iova);
const struct entry *oldest_at(const struct worker *w, uint64_t vaddr);
bool is_free(const struct worker *w, uint64_t iova, uint64_t len);
void enter(struct worker *w, const struct entry *e);
void leave(struct worker *w, const struct entry *e);	/* and the rest of its unit */
void move(struct worker *w, const struct entry *e, uint64_t vaddr);

/* Where an automatic mapping goes; 0 for nowhere. @bits: of the addresses of its memory. */
uint64_t lowest(const struct worker *w, uint64_t bits, uint64_t len, uint64_t limit);

/* One change, right or wrong, and what the address space then must say of it: load_map.c. */
void map_something(struct worker *w);
void copy_something(struct worker *w);
void unmap_something(struct worker *w);
void unmap_all(struct worker *w);
void move_something(struct worker *w);
void open_file(struct worker *w);	/* what some of it maps */

/* Single look-ups, and several of all kinds: load_look.c. */
void look_up_iova(struct worker *w, uint64_t vaddr);
void look_up_vaddr(struct worker *w, uint64_t iova);
void look(struct worker *w);

#endif
