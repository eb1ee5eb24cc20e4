/* SPDX-License-Identifier: MIT */
/* Memory of each kind of page that there is, to be mapped by weir bench map. */
#ifndef WEIR_TOOL_BENCH_PAGES_H
#define WEIR_TOOL_BENCH_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/weir.h>

enum kind {
	SMALL_PAGES,		/* 4 KiB, and no larger ones by themselves */
	TRANSPARENT_PAGES,	/* 2 MiB, made of these as the kernel finds right */
	POOL_PAGES,		/* 2 MiB, from the system's pool */
	KINDS
};

struct pages {
	struct weir_mem *mem;
	char *start;
	size_t len;		/* a power of two */
	int fd;			/* -1 unless it is a file's */
	char note[512];		/* why it is less than was asked for, or none; "" */
};

const char *pages_name(enum kind kind);
size_t pages_size(enum kind kind);	/* of one */

/*
 * At most @len bytes of memory, faulted in; @shared: a file's. @store: an address space without a
 * device, to keep it. Returns 0, or -errno, and then the note says why there is none.
 */
int pages_make(struct weir_ioas *store, enum kind kind, bool shared, size_t len,
	       struct pages *pages);
void pages_free(struct pages *pages);

#endif
