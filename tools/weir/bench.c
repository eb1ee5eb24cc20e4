/* SPDX-License-Identifier: MIT */
/*
 * weir bench: what weir itself costs, beside what the machine allows at best.
 *
 * JSON: [{"bench": "lookup", "case": "4096 mappings", "value": 4.1, "unit": "ns", "bare": 1.2,
 *	   "ratio": 3.4, "note": null}], where bare is the limit that was measured in the same
 * run, and ratio value / bare. Of "x" more is better, of all else less. The note says why there
 * is no value, or what else there is to say.
 *
 * Each case and its limit are measured in turns; what is printed are medians. Only the public
 * headers are used, and without a device, of the kernel's part only what clears pages is measured.
 * One file per family, bench_*.c.
 */
#include <math.h>
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
#define CASES_MAX	128

static const char usage[] =
	"usage: weir bench [--json] [NAME...]\n"
	"       weir bench [--json] [--count] [--memory SIZE] [--unsafe-noiommu] map DEVICE\n"
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
	"With a DEVICE, map and unmap on its IOMMU, in pages of each kind, by each interface that\n"
	"it has got, or the one that WEIR_IOMMU names. The limit is the kernel's calls alone.\n"
	"\n"
	"      --count     not times, which mean nothing in an emulated machine, but ioctls, and\n"
	"                  instructions outside of the kernel, stepped through one by one\n"
	"      --memory SIZE\n"
	"                  map so much at once at most, and scale that to a GiB (default: 1G, or\n"
	"                  half of the memory that is available)\n"
	UNSAFE_USAGE
	"      --json      for programs\n"
	"  -h, --help      this text\n"
	"\n"
	"Examples: weir bench lookup\n"
	"          weir bench map 0000:01:00.0";

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
	const char *bench, *name, *unit, *note;
	double (*run)(void *arg);
	double (*bare)(void *arg);
	void *arg;
	double value, limit;
};

static struct bench cases[CASES_MAX];
static size_t n_cases;

uint64_t bench_sink;

static struct bench *add(const char *bench, const char *name, const char *unit)
{
	struct bench *b = &cases[n_cases];

	if (n_cases++ == CASES_MAX)
		exit(fail("more than %d cases", CASES_MAX));
	*b = (struct bench){ .bench = bench, .name = name, .unit = unit };
	return b;
}

void bench_add(const char *bench, const char *name, const char *unit, double (*run)(void *arg),
	       double (*bare)(void *arg), void *arg)
{
	struct bench *b = add(bench, name, unit);

	b->run = run;
	b->bare = bare;
	b->arg = arg;
}

static const char *copy(const char *text)
{
	char *copied = strdup(text);

	if (!copied)
		exit(fail("no memory"));
	return copied;
}

void bench_row(const char *bench, const char *name, const char *unit, double value, double bare,
	       const char *note)
{
	struct bench *b = add(bench, copy(name), unit);

	b->value = value;
	b->limit = bare;
	b->note = note && *note ? copy(note) : NULL;
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

void bench_measure(double (*run)(void *arg), double (*bare)(void *arg), void *arg, double *value,
		   double *limit)
{
	double values[ROUNDS], limits[ROUNDS];

	run(arg);
	if (bare)
		bare(arg);
	for (int i = 0; i < ROUNDS; i++) {
		values[i] = run(arg);
		limits[i] = bare ? bare(arg) : NAN;
	}
	qsort(values, ROUNDS, sizeof(double), compare);
	if (bare)
		qsort(limits, ROUNDS, sizeof(double), compare);
	*value = values[ROUNDS / 2];
	*limit = limits[ROUNDS / 2];
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

static struct json_object *number(double value)
{
	return isnan(value) ? NULL : js_real(value);
}

static void print_json(void)
{
	struct json_object *list = js_list();

	for (const struct bench *b = cases; b < cases + n_cases; b++) {
		struct json_object *object = js_object();

		js_add(object, "bench", js_text(b->bench));
		js_add(object, "case", js_text(b->name));
		js_add(object, "value", number(b->value));
		js_add(object, "unit", js_text(b->unit));
		js_add(object, "bare", number(b->limit));
		js_add(object, "ratio", number(b->value / b->limit));
		js_add(object, "note", js_text(b->note));
		js_append(list, object);
	}
	js_print(list);
}

static void print_table(void)
{
	static const struct column columns[] = {
		{ .name = "BENCH" }, { .name = "CASE" }, { .name = "VALUE", .right = true },
		{ .name = "BARE", .right = true }, { .name = "UNIT" },
		{ .name = "RATIO", .right = true }, { .name = "NOTE", .wrap = true },
	};
	struct out_table *table;
	size_t n = 6;

	for (const struct bench *b = cases; b < cases + n_cases; b++)
		n = b->note ? 7 : n;
	table = table_new(columns, n, true);
	for (const struct bench *b = cases; b < cases + n_cases; b++) {
		struct out_row *row = table_row(table);

		table_cell(row, 0, "%s", b->bench);
		table_cell(row, 1, "%s", b->name);
		if (!isnan(b->value)) {
			table_cell(row, 2, "%.1f", b->value);
			table_cell(row, 4, "%s", b->unit);
		}
		if (!isnan(b->limit)) {
			table_cell(row, 3, "%.1f", b->limit);
			table_cell(row, 5, "%.2f", b->value / b->limit);
		}
		if (b->note)
			table_cell(row, 6, "%s", b->note);
	}
	table_print(table);
}

/* The DEVICE of 'map DEVICE'; NULL if that isn't what was given. Names of families have no ':'. */
static const char *device_of_map(int argc, char **argv)
{
	return argc - optind == 2 && !strcmp(argv[optind], "map") && strchr(argv[optind + 1], ':') ?
	       argv[optind + 1] : NULL;
}

static int run_families(int argc, char **argv)
{
	if (unknown(argc, argv))
		return fail("there is no bench '%s'; weir bench --help lists them",
			    unknown(argc, argv));
	for (const struct family *f = families; f < families + FAMILIES; f++)
		if (wanted(f->name, argc, argv))
			f->add();
	for (struct bench *b = cases; b < cases + n_cases; b++)
		bench_measure(b->run, b->bare, b->arg, &b->value, &b->limit);
	return GO_ON;
}

int cmd_bench(int argc, char **argv)
{
	const char *memory_text = NULL, *device;
	struct options options = { 0 };
	uint64_t memory = GB;
	bool count = false;
	const struct own_option own[] = {
		{ .name = "count", .flag = &count },
		{ .name = "memory", .value = &memory_text },
		{ .name = "unsafe-noiommu", .flag = &options.unsafe_noiommu },
	};
	int status = read_own_options(argc, argv, own, 3, usage, &options);

	if (status != GO_ON)
		return status;
	if (memory_text && !read_number("bench", "memory", memory_text, &memory))
		return EXIT_UNKNOWN;
	device = device_of_map(argc, argv);
	if (!device && (count || memory_text || options.unsafe_noiommu))
		return fail("bench: --%s goes with a device: weir bench map DEVICE",
			    count ? "count" : memory_text ? "memory" : "unsafe-noiommu");
	if (memory < 2 * MB || memory > GB || memory & (memory - 1))
		return fail("bench: --memory is a power of two, from 2M to 1G");
	status = !device ? run_families(argc, argv) :
		 bench_device(device, count, memory, options.unsafe_noiommu);
	if (status != GO_ON)
		return status;
	if (options.json)
		print_json();
	else
		print_table();
	return EXIT_YES;
}
