/* SPDX-License-Identifier: MIT */
/*
 * weir bench: what weir itself costs, beside what the machine allows at best.
 *
 * JSON: [{"bench": "lookup", "case": "4096 mappings", "value": 4.1, "unit": "ns", "bare": 1.2,
 *	   "ratio": 3.4}], where bare is the limit that was measured in the same run, and ratio
 * value / bare.
 *
 * Each case and its limit are measured in turns; what is printed are medians. Nothing of the
 * kernel's is measured: the address spaces have no device, and the memory is only reserved.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <weir/weir.h>

#include "options.h"
#include "out.h"
#include "weir.h"

#define ROUNDS		15
#define QUERIES		(1u << 16)
#define PAGE		4096ul
#define MB		(1ul << 20)
#define GB		(1ul << 30)

static const char usage[] =
	"usage: weir bench [--json] [NAME...]\n"
	"\n"
	"Measures weir's own cost, each case beside the limit of the machine in the same run.\n"
	"NAME is 'lookup' (memory to IOVA) or 'map' (map and unmap, without the kernel's part);\n"
	"without one, both. For steady figures, on a quiet processor: taskset -c 2 weir bench\n"
	"\n"
	"      --json      for programs\n"
	"  -h, --help      this text\n"
	"\n"
	"Example: weir bench lookup";

/* A case: its function returns nanoseconds an operation, and so does that of its limit. */
struct bench {
	const char *bench, *name;
	double (*run)(void *arg);
	double (*bare)(void *arg);
	void *arg;
	double value, limit;
};

static uint64_t sink;	/* what would otherwise be computed for nobody */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(struct bench *b)
{
	double values[ROUNDS], limits[ROUNDS];

	b->run(b->arg);
	b->bare(b->arg);
	for (int i = 0; i < ROUNDS; i++) {
		values[i] = b->run(b->arg);
		limits[i] = b->bare(b->arg);
	}
	qsort(values, ROUNDS, sizeof(double), compare);
	qsort(limits, ROUNDS, sizeof(double), compare);
	b->value = values[ROUNDS / 2];
	b->limit = limits[ROUNDS / 2];
}

/* Address space of the process, without memory; ends the command where there is none. */
static char *reserve(size_t len)
{
	char *mem = mmap(NULL, len + GB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);

	if (mem == MAP_FAILED) {
		fail("no %zu GiB of address space", len >> 30);
		exit(EXIT_UNKNOWN);
	}
	return (char *)(((uintptr_t)mem + GB - 1) & ~(GB - 1));
}

static void must(int ret)
{
	if (ret < 0) {
		fail("%s", weir_errmsg());
		exit(EXIT_UNKNOWN);
	}
}

/* ---- look-ups ---- */

/*
 * Mapped memory, where to look in it, and for the limit a buffer of the size of what a look-up
 * can't do without: one entry of 8 bytes for each query's page, spread as the pages are.
 */
struct lookup {
	struct weir_ioas *as;
	char *queries[QUERIES];
	uint64_t *lines;
	uint32_t where[QUERIES];
};

static double lookup_each(void *arg)
{
	struct lookup *l = arg;
	double start = now();
	weir_iova iova = 0;

	for (unsigned int i = 0; i < QUERIES; i++) {
		weir_ioas_to_iova(l->as, l->queries[i], &iova, NULL);
		sink += iova;
	}
	return (now() - start) / QUERIES;
}

static double lookup_len(void *arg)
{
	struct lookup *l = arg;
	double start = now();
	weir_iova iova = 0;
	size_t len = 0;

	for (unsigned int i = 0; i < QUERIES; i++) {
		weir_ioas_to_iova(l->as, l->queries[i], &iova, &len);
		sink += iova + len;
	}
	return (now() - start) / QUERIES;
}

/* Each needs the one before. */
static double lookup_chain(void *arg)
{
	struct lookup *l = arg;
	double start = now();
	weir_iova iova = 0;

	for (unsigned int i = 0; i < QUERIES; i++)
		weir_ioas_to_iova(l->as, l->queries[(i + (iova & 1)) % QUERIES], &iova, NULL);
	sink += iova;
	return (now() - start) / QUERIES;
}

static double load_each(void *arg)
{
	struct lookup *l = arg;
	double start = now();

	for (unsigned int i = 0; i < QUERIES; i++)
		sink += *(volatile uint64_t *)&l->lines[l->where[i]];
	return (now() - start) / QUERIES;
}

static double load_chain(void *arg)
{
	struct lookup *l = arg;
	double start = now();
	uint64_t value = 0;

	for (unsigned int i = 0; i < QUERIES; i++)
		value = *(volatile uint64_t *)&l->lines[l->where[(i + (value & 1)) % QUERIES]];
	sink += value;
	return (now() - start) / QUERIES;
}

/* @n mappings of these sizes by turns, each followed by a gap; @entries: words of the limit. */
static struct lookup *lookup_over(size_t n, const size_t *sizes, size_t n_sizes, size_t gap,
				  size_t entries)
{
	struct lookup *l = malloc(sizeof(*l));
	char **starts = malloc(n * sizeof(*starts)), *at;
	uint64_t random = 88172645463325252ull;
	size_t span = n * (sizes[n_sizes - 1] + gap);
	weir_iova iova;

	if (!l || !starts)
		exit(fail("no memory for %zu mappings", n));
	l->lines = calloc(entries, sizeof(uint64_t));
	if (!l->lines)
		exit(fail("no memory for the limit's buffer"));
	memset(l->lines, 2, entries * sizeof(uint64_t));
	must(weir_ioas_open(NULL, &l->as));
	at = reserve(span);
	for (size_t i = 0; i < n; i++) {
		size_t size = sizes[i % n_sizes];

		at = (char *)(((uintptr_t)at + size - 1) & ~(size - 1));
		must(weir_ioas_map(l->as, at, size, NULL, &iova));
		starts[i] = at;
		at += size + gap;
	}
	for (unsigned int i = 0; i < QUERIES; i++) {
		size_t which = next_random(&random) % n;

		l->queries[i] = starts[which] + next_random(&random) % sizes[which % n_sizes];
		l->where[i] = (uint32_t)(next_random(&random) % entries);
	}
	free(starts);
	return l;
}

static size_t add_lookups(struct bench *b)
{
	static const size_t mixed[] = { PAGE, 64 << 10, 2 * MB }, pages[] = { PAGE };
	struct lookup *some = lookup_over(4096, mixed, 3, 0, 4096 * 8);
	struct lookup *many = lookup_over(1000000, pages, 1, PAGE, 2000000);

	b[0] = (struct bench){ "lookup", "4096 mappings", lookup_each, load_each, some, 0, 0 };
	b[1] = (struct bench){ "lookup", "4096, with length", lookup_len, load_each, some, 0, 0 };
	b[2] = (struct bench){ "lookup", "4096, dependent", lookup_chain, load_chain, some, 0, 0 };
	b[3] = (struct bench){ "lookup", "1000000 mappings", lookup_each, load_each, many, 0, 0 };
	return 4;
}

/* ---- map and unmap ---- */

struct mapping {
	struct weir_ioas *as;
	char *mem;
	size_t size;
};

static double map_unmap(void *arg)
{
	struct mapping *m = arg;
	double start = now();
	weir_iova iova;

	for (unsigned int i = 0; i < QUERIES; i++) {
		must(weir_ioas_map(m->as, m->mem, m->size, NULL, &iova));
		must(weir_ioas_unmap(m->as, iova, m->size));
	}
	return (now() - start) / QUERIES;
}

/* Two calls that lock something can't be had for less. */
static double lock_twice(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	double start = now();

	(void)arg;
	for (unsigned int i = 0; i < 2 * QUERIES; i++) {
		pthread_mutex_lock(&lock);
		sink++;
		pthread_mutex_unlock(&lock);
	}
	return (now() - start) / QUERIES;
}

/* With @n mappings of a page alive; @holes: every other one of them is unmapped again. */
static struct mapping *mapping_beside(size_t n, size_t size, bool holes)
{
	struct mapping *m = malloc(sizeof(*m));
	weir_iova *iovas = malloc(n * sizeof(*iovas));
	char *mem;

	if (!m || !iovas)
		exit(fail("no memory for %zu mappings", n));
	must(weir_ioas_open(NULL, &m->as));
	mem = reserve(2 * n * PAGE);
	for (size_t i = 0; i < n; i++)
		must(weir_ioas_map(m->as, mem + 2 * i * PAGE, PAGE, NULL, &iovas[i]));
	for (size_t i = 0; holes && i < n; i += 2)
		must(weir_ioas_unmap(m->as, iovas[i], PAGE));
	free(iovas);
	m->mem = reserve(size);
	m->size = size;
	return m;
}

static size_t add_maps(struct bench *b)
{
	static const struct {
		const char *name;
		size_t n, size;
		bool holes;
	} cases[] = {
		{ "4 KiB beside 4096", 4096, PAGE, false },
		{ "4 KiB beside 1000000", 1000000, PAGE, false },
		{ "8 KiB, 8192 holes of 4 KiB", 16384, 2 * PAGE, true },
		{ "2 MiB beside 4096", 4096, 2 * MB, false },
		{ "1 GiB beside 4096", 4096, GB, false },
	};
	size_t n = sizeof(cases) / sizeof(cases[0]);

	for (size_t i = 0; i < n; i++)
		b[i] = (struct bench){ "map", cases[i].name, map_unmap, lock_twice,
				       mapping_beside(cases[i].n, cases[i].size, cases[i].holes),
				       0, 0 };
	return n;
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	size_t (*add)(struct bench *b);
} benches[] = {
	{ "lookup", add_lookups },
	{ "map", add_maps },
};

#define BENCHES (sizeof(benches) / sizeof(benches[0]))

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = optind; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return optind == argc;
}

static const char *unknown(int argc, char **argv)
{
	for (int i = optind; i < argc; i++) {
		bool known = false;

		for (size_t k = 0; k < BENCHES; k++)
			known = known || !strcmp(argv[i], benches[k].name);
		if (!known)
			return argv[i];
	}
	return NULL;
}

static void print_json(const struct bench *b, size_t n)
{
	struct json_object *list = js_list();

	for (size_t i = 0; i < n; i++) {
		struct json_object *object = js_object();

		js_add(object, "bench", js_text(b[i].bench));
		js_add(object, "case", js_text(b[i].name));
		js_add(object, "value", js_real(b[i].value));
		js_add(object, "unit", js_text("ns"));
		js_add(object, "bare", js_real(b[i].limit));
		js_add(object, "ratio", js_real(b[i].value / b[i].limit));
		js_append(list, object);
	}
	js_print(list);
}

static void print_table(const struct bench *b, size_t n)
{
	static const struct column columns[] = {
		{ .name = "BENCH" }, { .name = "CASE" }, { .name = "NS", .right = true },
		{ .name = "BARE", .right = true }, { .name = "RATIO", .right = true },
	};
	struct libscols_table *table = table_new(columns, 5, true);

	for (size_t i = 0; i < n; i++) {
		struct libscols_line *row = table_row(table);

		table_cell(row, 0, "%s", b[i].bench);
		table_cell(row, 1, "%s", b[i].name);
		table_cell(row, 2, "%.1f", b[i].value);
		table_cell(row, 3, "%.1f", b[i].limit);
		table_cell(row, 4, "%.2f", b[i].value / b[i].limit);
	}
	table_print(table);
}

int cmd_bench(int argc, char **argv)
{
	struct options options = { 0 };
	int status = read_options(argc, argv, false, usage, &options);
	struct bench all[16];
	size_t n = 0;

	if (status != GO_ON)
		return status;
	if (unknown(argc, argv))
		return fail("there is no bench '%s'; there are lookup and map",
			    unknown(argc, argv));
	for (size_t i = 0; i < BENCHES; i++)
		if (wanted(benches[i].name, argc, argv))
			n += benches[i].add(&all[n]);
	for (size_t i = 0; i < n; i++)
		measure(&all[i]);
	if (options.json)
		print_json(all, n);
	else
		print_table(all, n);
	return EXIT_YES;
}
