/* SPDX-License-Identifier: MIT */
/*
 * weir bench: what weir itself costs, beside what the machine allows at best.
 *
 * JSON: [{"bench": "lookup", "case": "4096 mappings", "value": 4.1, "unit": "ns", "bare": 1.2,
 *	   "ratio": 3.4}], where bare is the limit that was measured in the same run, and ratio
 * value / bare. Of "ns" less is better, of "x" more.
 *
 * Each case and its limit are measured in turns; what is printed are medians. Only the public
 * headers are used, and of the kernel's part only what clears pages is measured. One file per
 * family, bench_*.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bench.h"
#include "options.h"
#include "out.h"
#include "weir.h"

#define ROUNDS		15
#define CASES_MAX	64

static const char usage[] =
	"usage: weir bench [--json] [NAME...]\n"
	"\n"
	"Measures weir's own cost, each case beside the limit of the machine in the same run.\n"
	"Without a NAME, all of these:\n"
	"  lookup     memory to IOVA, one address\n"
	"  segs       memory to IOVA, a buffer\n"
	"  threads    look-ups on all processors at once, as a multiple of what one does\n"
	"  map        map and unmap, without the kernel's part\n"
	"  prefault   memory for DMA, allocated and given back\n"
	"  translate  IOVA to memory, as a device model does it\n"
	"  dma        copies by a device model\n"
	"For steady figures, on a quiet processor: taskset -c 2 weir bench\n"
	"\n"
	"      --json      for programs\n"
	"  -h, --help      this text\n"
	"\n"
	"Example: weir bench lookup";

static const struct family {
	const char *name;
	void (*add)(void);
} families[] = {
	{ "lookup", bench_lookup },
	{ "segs", bench_segs },
	{ "threads", bench_threads },
	{ "map", bench_map },
	{ "prefault", bench_prefault },
	{ "translate", bench_translate },
	{ "dma", bench_dma },
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

struct bench {
	const char *bench, *name, *unit;
	double (*run)(void *arg);
	double (*bare)(void *arg);
	void *arg;
	double value, limit;
};

static struct bench cases[CASES_MAX];
static size_t n_cases;

uint64_t bench_sink;

void bench_add(const char *bench, const char *name, const char *unit, double (*run)(void *arg),
	       double (*bare)(void *arg), void *arg)
{
	if (n_cases == CASES_MAX)
		exit(fail("more than %d cases", CASES_MAX));
	cases[n_cases++] = (struct bench){ bench, name, unit, run, bare, arg, 0, 0 };
}

double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

uint64_t bench_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

void *bench_memory(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED)
		exit(fail("no %zu MiB of memory", len >> 20));
	return mem;
}

char *bench_reserve(size_t len)
{
	char *mem = mmap(NULL, len + GB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);

	if (mem == MAP_FAILED)
		exit(fail("no %zu GiB of address space", len >> 30));
	return (char *)(((uintptr_t)mem + GB - 1) & ~(GB - 1));
}

void bench_failed(void)
{
	exit(fail("%s", weir_errmsg()));
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

		for (size_t k = 0; k < FAMILIES; k++)
			known = known || !strcmp(argv[i], families[k].name);
		if (!known)
			return argv[i];
	}
	return NULL;
}

static void print_json(void)
{
	struct json_object *list = js_list();

	for (const struct bench *b = cases; b < cases + n_cases; b++) {
		struct json_object *object = js_object();

		js_add(object, "bench", js_text(b->bench));
		js_add(object, "case", js_text(b->name));
		js_add(object, "value", js_real(b->value));
		js_add(object, "unit", js_text(b->unit));
		js_add(object, "bare", js_real(b->limit));
		js_add(object, "ratio", js_real(b->value / b->limit));
		js_append(list, object);
	}
	js_print(list);
}

static void print_table(void)
{
	static const struct column columns[] = {
		{ .name = "BENCH" }, { .name = "CASE" }, { .name = "VALUE", .right = true },
		{ .name = "BARE", .right = true }, { .name = "UNIT" },
		{ .name = "RATIO", .right = true },
	};
	struct libscols_table *table = table_new(columns, 6, true);

	for (const struct bench *b = cases; b < cases + n_cases; b++) {
		struct libscols_line *row = table_row(table);

		table_cell(row, 0, "%s", b->bench);
		table_cell(row, 1, "%s", b->name);
		table_cell(row, 2, "%.1f", b->value);
		table_cell(row, 3, "%.1f", b->limit);
		table_cell(row, 4, "%s", b->unit);
		table_cell(row, 5, "%.2f", b->value / b->limit);
	}
	table_print(table);
}

int cmd_bench(int argc, char **argv)
{
	struct options options = { 0 };
	int status = read_options(argc, argv, 0, usage, &options);

	if (status != GO_ON)
		return status;
	if (unknown(argc, argv))
		return fail("there is no bench '%s'; weir bench --help lists them",
			    unknown(argc, argv));
	for (const struct family *f = families; f < families + FAMILIES; f++)
		if (wanted(f->name, argc, argv))
			f->add();
	for (struct bench *b = cases; b < cases + n_cases; b++)
		measure(b);
	if (options.json)
		print_json();
	else
		print_table();
	return EXIT_YES;
}
