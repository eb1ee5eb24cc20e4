/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "bench.h"
#include "bench_pages.h"

#define THP_FOLDER "/sys/kernel/mm/transparent_hugepage/"

static const struct {
	const char *name;
	size_t size;
	struct weir_mem_opts opts;
} kinds[KINDS] = {
	[SMALL_PAGES] = { "4 KiB pages", PAGE, { 0 } },
	[TRANSPARENT_PAGES] = { "THP", 2 * MB, { .huge = true } },
	[POOL_PAGES] = { "2 MiB pages", 2 * MB, { .page_size = 2 * MB } },
};

const char *pages_name(enum kind kind)
{
	return kinds[kind].name;
}

size_t pages_size(enum kind kind)
{
	return kinds[kind].size;
}

/* What /proc says by this name, in bytes: of the machine's memory, or with @start of the process's
 * mapping that @start is in. 0 where it doesn't. */
static uint64_t proc_bytes(const char *path, const char *name, const char *start)
{
	FILE *file = fopen(path, "re");
	bool here = !start;
	char line[256];
	uint64_t kib = 0;

	if (!file)
		return 0;
	while (!kib && fgets(line, sizeof(line), file)) {
		uint64_t first, end;

		if (start && sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &first, &end) == 2)
			here = first <= (uintptr_t)start && (uintptr_t)start < end;
		else if (here && !strncmp(line, name, strlen(name)))
			kib = strtoull(line + strlen(name), NULL, 10);
	}
	fclose(file);
	return kib << 10;
}

/* The first reason is the one that is told. */
static void explain(struct pages *pages, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void explain(struct pages *pages, const char *fmt, ...)
{
	va_list ap;

	if (*pages->note)
		return;
	va_start(ap, fmt);
	vsnprintf(pages->note, sizeof(pages->note), fmt, ap);
	va_end(ap);
}

/* Who takes all the memory that there is takes it from others. */
static void limit(struct pages *pages)
{
	uint64_t half = proc_bytes("/proc/meminfo", "MemAvailable:", NULL) / 2;

	if (pages->len <= half)
		return;
	explain(pages, "half of the memory that is available is %" PRIu64 " MiB", half >> 20);
	while (pages->len > half && pages->len > 2 * MB)
		pages->len /= 2;
}

static int alloc(struct weir_ioas *store, enum kind kind, struct pages *pages, bool shared)
{
	struct weir_mem_opts opts = kinds[kind].opts;
	int was = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), ret;

	opts.shared = shared;
	if (kind == SMALL_PAGES)
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	ret = weir_mem_alloc(store, pages->len, &opts, &pages->mem);
	if (kind == SMALL_PAGES)
		prctl(PR_SET_THP_DISABLE, was > 0, 0, 0, 0);
	if (ret) {
		explain(pages, "%s", weir_errmsg());
		return ret;
	}
	pages->start = weir_mem_ptr(pages->mem);
	pages->fd = shared ? weir_mem_fd(pages->mem) : -1;
	/* Nor later on, in the background. */
	if (kind == SMALL_PAGES)
		madvise(pages->start, pages->len, MADV_NOHUGEPAGE);
	return 0;
}

/* Which pages are made huge is the kernel's own decision. */
static int check_transparent(struct pages *pages)
{
	bool file = pages->fd >= 0;
	uint64_t huge = proc_bytes("/proc/self/smaps", file ? "ShmemPmdMapped:" : "AnonHugePages:",
				   pages->start);

	if (huge >= pages->len)
		return 0;
	explain(pages, "%" PRIu64 " of %zu MiB are in transparent huge pages: see " THP_FOLDER
		"%s", huge >> 20, pages->len >> 20, file ? "shmem_enabled" : "enabled");
	pages_free(pages);
	return huge ? -ENOMEM : -ENOTSUP;
}

int pages_make(struct weir_ioas *store, enum kind kind, bool shared, size_t len,
	       struct pages *pages)
{
	int ret;

	*pages = (struct pages){ .len = len, .fd = -1 };
	if (kind != POOL_PAGES)
		limit(pages);
	for (;;) {
		ret = alloc(store, kind, pages, shared);
		if (!ret && kind == TRANSPARENT_PAGES)
			ret = check_transparent(pages);
		if (ret != -ENOMEM || pages->len == kinds[kind].size)
			return ret;
		pages->len /= 2;
	}
}

void pages_free(struct pages *pages)
{
	bench_must(weir_mem_free(pages->mem));
}
