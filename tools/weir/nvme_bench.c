/* SPDX-License-Identifier: MIT */
/*
 * weir nvme bench: many commands at once, and whether what is read is what was written.
 *
 * JSON: {"device": "0000:00:05.0", "backend": "type1v2", "window": null, or what was made
 *	(window.h), "namespace": 1, "block_size": 4096, "depth": 32, "random": bool, "irq": bool,
 *	"phases": [{"op": "read" or "write", "commands": n, "bytes": n, "seconds": 3.0,
 *		    "iops": 1.0, "mib_per_s": 1.0, "latency_us": {"mean": 1.0, "p50": 1.0,
 *		    "p99": 1.0, "p99_9": 1.0, "max": 1.0}}],
 *	"verified": null without --verify, or {"blocks": n, "wrong": n, "first_wrong": LBA or null}}
 *
 * where block_size is that of a command, and "blocks" are the namespace's.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nvme.h"

#define SECONDS		3
#define DEPTH		32
#define BLOCK		4096

static const char usage[] =
	"usage: weir nvme bench [OPTION...] DEVICE\n"
	"\n"
	"Reads from a namespace, one command after the other, and says how fast that was. With\n"
	"--verify it writes a pattern, reads it back, and compares. What overwrites blocks needs\n"
	"--yes, and without it says which.\n"
	"\n"
	"      --write            write instead of read\n"
	"      --verify           write each block once, then read each and compare\n"
	"      --random           in random order\n"
	"      --block-size SIZE  bytes a command; otherwise 4K\n"
	"      --depth N          commands at once; otherwise 32\n"
	"      --irq              wait by interrupt (MSI-X) instead of polling\n"
	"      --time SECONDS     end after that; otherwise after 3, or with --verify or --count\n"
	"                         when all is done\n"
	"      --count N          end after that many commands\n"
	"      --namespace ID     of this namespace; otherwise of 1\n"
	"      --lba LBA          from there on; otherwise from 0\n"
	"      --blocks N         in so many blocks; otherwise up to the end\n"
	"      --yes              overwrite them\n"
	"      --json             for programs\n"
	UNSAFE_USAGE
	WINDOW_USAGE
	"  -h, --help             this text\n"
	"\n"
	"Example: weir nvme bench --random --depth 1 0000:01:00.0";

/* Latencies by their power of two, each in 16 parts: at most 6 % off. */
#define PARTS	16u
#define BUCKETS	(61u * PARTS)

struct phase {
	enum nvme_op op;
	uint64_t commands;	/* that have ended well */
	double seconds;
	uint64_t sum, max;	/* of latencies, in ns */
	uint64_t counts[BUCKETS];
};

struct bench;

/* A command's place. */
struct place {
	struct bench *b;
	char *data;
	uint64_t unit;
	uint64_t start;
};

struct bench {
	struct disk disk;
	struct options options;
	bool write, verify, random, irq, yes;
	uint64_t lba, blocks, block_size, depth, count, seconds;

	uint64_t units;		/* commands of block_size that the blocks hold */
	uint64_t seed;
	uint64_t random_state;
	uint32_t *order;	/* of units, with verify and random */

	struct phase *phase;	/* that is under way */
	uint64_t issued, limit;	/* commands; @limit 0: none */
	uint64_t end;		/* ns; 0: none */
	bool failed;

	struct phase phases[2];
	unsigned int n_phases;
	uint64_t wrong, first_wrong;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* splitmix64: every number leads to another one that looks random. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t random_below(struct bench *b, uint64_t n)
{
	return mix(b->random_state++) % n;
}

/* ---- the pattern: every 8 bytes say where on the disk they belong, and to which run ---- */

static uint64_t pattern_at(const struct bench *b, uint64_t byte)
{
	return htole64(mix(b->seed ^ byte));
}

static void fill(const struct bench *b, const struct place *place)
{
	uint64_t first = b->lba * b->disk.ns.block_size + place->unit * b->block_size;

	for (uint64_t at = 0; at < b->block_size; at += 8) {
		uint64_t value = pattern_at(b, first + at);

		memcpy(place->data + at, &value, sizeof(value));
	}
}

static void compare(struct bench *b, const struct place *place)
{
	uint32_t block_size = b->disk.ns.block_size;
	uint64_t first = b->lba * block_size + place->unit * b->block_size;

	for (uint64_t block = 0; block < b->block_size; block += block_size) {
		uint64_t lba = (first + block) / block_size;
		bool good = true;

		for (uint64_t at = block; at < block + block_size; at += 8) {
			uint64_t value = pattern_at(b, first + at);

			good = good && !memcmp(place->data + at, &value, sizeof(value));
		}
		if (good)
			continue;
		if (!b->wrong++ || lba < b->first_wrong)
			b->first_wrong = lba;
	}
}

/* ---- one phase ---- */

static unsigned int bucket(uint64_t ns)
{
	unsigned int bits = 63 - (unsigned int)__builtin_clzll(ns | 1);

	return ns < PARTS ? (unsigned int)ns :
		(bits - 3) * PARTS + (unsigned int)(ns >> (bits - 4) & (PARTS - 1));
}

static double bucket_ns(unsigned int bucket)
{
	if (bucket < PARTS)
		return bucket;
	return (double)((uint64_t)(PARTS + bucket % PARTS) << (bucket / PARTS - 1));
}

static double percentile(const struct phase *phase, double percent)
{
	uint64_t rank = (uint64_t)((double)phase->commands * percent / 100), seen = 0;

	for (unsigned int i = 0; i < BUCKETS; i++) {
		seen += phase->counts[i];
		if (seen > rank)
			return bucket_ns(i);
	}
	return (double)phase->max;
}

static uint64_t next_unit(struct bench *b)
{
	if (b->order)
		return b->order[b->issued % b->units];
	return b->random ? random_below(b, b->units) : b->issued % b->units;
}

static void ended(void *arg, int result);

/* Start a command in this place, unless the phase is over. */
static void issue(struct place *place)
{
	struct bench *b = place->b;
	uint64_t lba;

	if (b->failed || (b->limit && b->issued >= b->limit) || (b->end && now_ns() >= b->end))
		return;
	place->unit = next_unit(b);
	b->issued++;
	if (b->verify && b->phase->op == NVME_WRITE)
		fill(b, place);
	else if (b->verify)
		memset(place->data, 0, b->block_size);
	lba = b->lba + place->unit * (b->block_size / b->disk.ns.block_size);
	place->start = now_ns();
	if (!nvme_submit(b->disk.queue, b->phase->op, &b->disk.ns, lba, place->data, b->block_size,
			 ended, place))
		return;
	b->failed = true;
	fail("%s", nvme_errmsg());
}

static void ended(void *arg, int result)
{
	struct place *place = arg;
	struct bench *b = place->b;
	struct phase *phase = b->phase;
	uint64_t took = now_ns() - place->start;

	if (result) {
		if (!b->failed)
			fail("%s", nvme_errmsg());
		b->failed = true;
		return;
	}
	phase->commands++;
	phase->sum += took;
	phase->max = took > phase->max ? took : phase->max;
	phase->counts[bucket(took)]++;
	if (b->verify && phase->op == NVME_READ)
		compare(b, place);
	issue(place);
}

/* Returns 0, or EXIT_UNKNOWN when a command failed, which has been said. */
static int run_phase(struct bench *b, enum nvme_op op, uint64_t limit, uint64_t seconds)
{
	struct place *places = calloc(b->depth, sizeof(*places));
	uint64_t start = now_ns();

	if (!places)
		return fail("no memory for %" PRIu64 " commands", b->depth);
	b->phase = &b->phases[b->n_phases++];
	b->phase->op = op;
	b->issued = 0;
	b->limit = limit;
	b->end = seconds ? start + seconds * 1000000000 : 0;
	for (uint64_t i = 0; i < b->depth; i++) {
		places[i] = (struct place){ .b = b, .data = b->disk.data + i * b->block_size };
		issue(&places[i]);
	}
	while (nvme_outstanding(b->disk.queue))
		nvme_wait(b->disk.queue);
	if (op == NVME_WRITE && !b->failed && nvme_flush(b->disk.queue, &b->disk.ns)) {
		b->failed = true;
		fail("%s", nvme_errmsg());
	}
	b->phase->seconds = (double)(now_ns() - start) / 1e9;
	free(places);
	return b->failed ? EXIT_UNKNOWN : 0;
}

static void shuffle(struct bench *b, uint64_t n)
{
	for (uint64_t i = n; i > 1; i--) {
		uint64_t other = random_below(b, i);
		uint32_t unit = b->order[i - 1];

		b->order[i - 1] = b->order[other];
		b->order[other] = unit;
	}
}

/* What was written is read back, in an order of its own where that is random. */
static int run_verify(struct bench *b)
{
	uint64_t limit = b->count && b->count < b->units ? b->count : b->units;
	int status;

	if (b->random) {
		if (b->units > UINT32_MAX)
			return fail("--random --verify is for 2^32 commands at most: say --blocks");
		b->order = malloc(b->units * sizeof(*b->order));
		if (!b->order)
			return fail("no memory for the order of %" PRIu64 " commands", b->units);
		for (uint64_t i = 0; i < b->units; i++)
			b->order[i] = (uint32_t)i;
		shuffle(b, b->units);
	}
	status = run_phase(b, NVME_WRITE, limit, b->seconds);
	if (!status && b->random)
		shuffle(b, b->issued);
	if (!status && b->issued)
		status = run_phase(b, NVME_READ, b->issued, 0);
	free(b->order);
	b->order = NULL;
	return status;
}

/* ---- what is printed ---- */

static const char *op_name(enum nvme_op op)
{
	return op == NVME_READ ? "read" : "write";
}

static uint64_t verified(const struct bench *b)
{
	return b->phases[1].commands * (b->block_size / b->disk.ns.block_size);
}

static void print_json(const struct bench *b)
{
	struct json_object *object = js_object(), *list = js_list(), *verify = NULL;

	js_add(object, "device", js_text(b->disk.name));
	js_add(object, "backend", js_text(b->disk.backend));
	js_add(object, "window", js_window(&b->disk.window));
	js_add(object, "namespace", js_size(b->disk.ns.id));
	js_add(object, "block_size", js_size(b->block_size));
	js_add(object, "depth", js_size(b->depth));
	js_add(object, "random", js_bool(b->random));
	js_add(object, "irq", js_bool(b->irq));
	for (const struct phase *p = b->phases; p < b->phases + b->n_phases; p++) {
		struct json_object *phase = js_object(), *latency = js_object();
		double bytes = (double)(p->commands * b->block_size);

		js_add(phase, "op", js_text(op_name(p->op)));
		js_add(phase, "commands", js_size(p->commands));
		js_add(phase, "bytes", js_size(p->commands * b->block_size));
		js_add(phase, "seconds", js_real(p->seconds));
		js_add(phase, "iops", js_real((double)p->commands / p->seconds));
		js_add(phase, "mib_per_s", js_real(bytes / p->seconds / (1 << 20)));
		js_add(latency, "mean", js_real((double)p->sum / 1e3 /
						(p->commands ? (double)p->commands : 1)));
		js_add(latency, "p50", js_real(percentile(p, 50) / 1e3));
		js_add(latency, "p99", js_real(percentile(p, 99) / 1e3));
		js_add(latency, "p99_9", js_real(percentile(p, 99.9) / 1e3));
		js_add(latency, "max", js_real((double)p->max / 1e3));
		js_add(phase, "latency_us", latency);
		js_append(list, phase);
	}
	js_add(object, "phases", list);
	if (b->verify) {
		verify = js_object();
		js_add(verify, "blocks", js_size(verified(b)));
		js_add(verify, "wrong", js_size(b->wrong));
		js_add(verify, "first_wrong", b->wrong ? js_size(b->first_wrong) : NULL);
	}
	js_add(object, "verified", verify);
	js_print(object);
}

static void print_table(const struct bench *b)
{
	static const struct column columns[] = {
		{ .name = "PHASE" }, { .name = "COMMANDS", .right = true },
		{ .name = "SECONDS", .right = true }, { .name = "IOPS", .right = true },
		{ .name = "MiB/s", .right = true }, { .name = "MEAN us", .right = true },
		{ .name = "50 %", .right = true }, { .name = "99 %", .right = true },
		{ .name = "99.9 %", .right = true }, { .name = "MAX", .right = true },
	};
	struct out_table *table = table_new(columns, 10, true);
	char size[SIZE_TEXT_MAX], where[WINDOW_TEXT_MAX];

	for (const struct phase *p = b->phases; p < b->phases + b->n_phases; p++) {
		struct out_row *row = table_row(table);
		double n = p->commands ? (double)p->commands : 1;

		table_cell(row, 0, "%s", op_name(p->op));
		table_cell(row, 1, "%" PRIu64, p->commands);
		table_cell(row, 2, "%.2f", p->seconds);
		table_cell(row, 3, "%.0f", (double)p->commands / p->seconds);
		table_cell(row, 4, "%.1f", (double)(p->commands * b->block_size) / p->seconds /
			   (1 << 20));
		table_cell(row, 5, "%.1f", (double)p->sum / n / 1e3);
		table_cell(row, 6, "%.1f", percentile(p, 50) / 1e3);
		table_cell(row, 7, "%.1f", percentile(p, 99) / 1e3);
		table_cell(row, 8, "%.1f", percentile(p, 99.9) / 1e3);
		table_cell(row, 9, "%.1f", (double)p->max / 1e3);
	}
	table_print(table);
	say("%s by %s%s, namespace %u: %s, %s a command, %" PRIu64 " at once, %s", b->disk.name,
	    b->disk.backend, window_text(&b->disk.window, where), b->disk.ns.id,
	    b->random ? "random" : "in sequence", size_text(b->block_size, size), b->depth,
	    b->irq ? "by interrupt" : "polling");
	if (b->verify && b->wrong)
		say("NOT as written: %" PRIu64 " of %" PRIu64 " blocks, the first at LBA %" PRIu64,
		    b->wrong, verified(b), b->first_wrong);
	else if (b->verify)
		say("verified: %" PRIu64 " blocks, all read as they were written", verified(b));
}

/* ---- the verb ---- */

static int check(struct bench *b)
{
	const struct disk *disk = &b->disk;
	int status = disk_range(disk, b->lba, &b->blocks);

	if (status)
		return status;
	if (b->block_size % disk->ns.block_size)
		return fail("%s: --block-size %" PRIu64 ": these aren't whole blocks of %u",
			    disk->name, b->block_size, disk->ns.block_size);
	b->units = b->blocks / (b->block_size / disk->ns.block_size);
	if (!b->units)
		return fail("%s: %" PRIu64 " blocks of %u are less than a command moves",
			    disk->name, b->blocks, disk->ns.block_size);
	if ((b->write || b->verify) && !b->yes)
		return disk_refuse(disk, b->lba,
				   b->units * (b->block_size / disk->ns.block_size));
	return 0;
}

static int run(struct bench *b)
{
	uint64_t seconds = b->seconds || b->count ? b->seconds : SECONDS;
	int status = check(b);

	if (status)
		return status;
	b->seed = b->random_state = mix(now_ns());
	status = b->verify ? run_verify(b) :
			     run_phase(b, b->write ? NVME_WRITE : NVME_READ, b->count, seconds);
	if (status)
		return status;
	if (b->options.json)
		print_json(b);
	else
		print_table(b);
	return b->wrong ? EXIT_NO : EXIT_YES;
}

struct number {
	const char *name, *text;
	uint64_t *to;
	uint64_t most;
	bool zero;		/* may be 0 */
};

static bool read_numbers(const char *verb, const struct number *numbers, size_t n)
{
	for (const struct number *number = numbers; number < numbers + n; number++) {
		if (!number->text)
			continue;
		if (!read_number(verb, number->name, number->text, number->to))
			return false;
		if ((!*number->to && !number->zero) || *number->to > number->most) {
			fail("%s: --%s is from %d to %" PRIu64 ", not %s", verb, number->name,
			     !number->zero, number->most, number->text);
			return false;
		}
	}
	return true;
}

static int read_bench(int argc, char **argv, struct bench *b, const char **nsid)
{
	struct number numbers[] = {
		{ "block-size", NULL, &b->block_size, 1 << 30, false },
		{ "depth", NULL, &b->depth, UINT16_MAX, false },
		{ "time", NULL, &b->seconds, 1000000000, false },
		{ "count", NULL, &b->count, UINT64_MAX, false },
		{ "lba", NULL, &b->lba, UINT64_MAX, true },
		{ "blocks", NULL, &b->blocks, UINT64_MAX, false },
	};
	const struct own_option own[] = {
		{ .name = "write", .flag = &b->write }, { .name = "verify", .flag = &b->verify },
		{ .name = "random", .flag = &b->random }, { .name = "irq", .flag = &b->irq },
		{ .name = "yes", .flag = &b->yes }, { .name = "namespace", .value = nsid },
		{ .name = "unsafe-noiommu", .flag = &b->options.unsafe_noiommu },
		{ .name = "window", .value = &b->options.window },
		{ .name = "block-size", .value = &numbers[0].text },
		{ .name = "depth", .value = &numbers[1].text },
		{ .name = "time", .value = &numbers[2].text },
		{ .name = "count", .value = &numbers[3].text },
		{ .name = "lba", .value = &numbers[4].text },
		{ .name = "blocks", .value = &numbers[5].text },
	};
	int status = read_own_options(argc, argv, own, sizeof(own) / sizeof(own[0]), usage,
				      &b->options);

	if (status != GO_ON)
		return status;
	if (!read_numbers(argv[0], numbers, sizeof(numbers) / sizeof(numbers[0])))
		return EXIT_UNKNOWN;
	if (b->write && b->verify)
		return fail("%s: --verify writes and reads: leave --write out", argv[0]);
	return GO_ON;
}

int nvme_bench_verb(int argc, char **argv)
{
	struct bench b = { .block_size = BLOCK, .depth = DEPTH };
	const char *name, *nsid = NULL;
	int status = read_bench(argc, argv, &b, &nsid);

	if (status != GO_ON)
		return status;
	name = one_device(argc, argv);
	if (!name)
		return EXIT_UNKNOWN;
	status = disk_open(&b.disk, name, &b.options, b.irq);
	if (status)
		return status;
	if (b.block_size > b.disk.info.max_transfer)
		status = fail("%s: a command moves %zu bytes at most, not %" PRIu64, name,
			      b.disk.info.max_transfer, b.block_size);
	if (!status)
		status = disk_queue(&b.disk, nsid, (unsigned int)b.depth, b.depth * b.block_size);
	return disk_close(&b.disk, status ? status : run(&b));
}
