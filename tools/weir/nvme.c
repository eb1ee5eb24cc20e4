/* SPDX-License-Identifier: MIT */
/*
 * weir nvme: an NVMe controller by the sample driver, drivers/nvme.
 *
 * identify's JSON: {"device": "0000:00:05.0", "backend": "type1v2", "window": null, or what was
 *	made (window.h), "model": text, "serial": text,
 *	"firmware": text, "vendor": "0x1b36", "version": "1.4.0", "mdts": bytes or null for no
 *	limit, "max_transfer": bytes, "max_depth": 2047, "ready_ms": 7500, "write_cache": bool,
 *	"max_namespaces": 256, "namespaces": [{"id": 1, "block_size": 512, "blocks": 131072,
 *	"used": blocks, "metadata": bytes a block}]}
 *
 * That of read, write and bench is in nvme_move.c and nvme_bench.c.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nvme.h"

static const char usage[] =
	"usage: weir nvme VERB [OPTION...] DEVICE\n"
	"\n"
	"Drives an NVMe controller from userspace. DEVICE is a PCI function bound to vfio-pci.\n"
	"The controller is reset, and afterwards shut down.\n"
	"\n"
	"  identify   what it is, and its namespaces\n"
	"  read       blocks to a file or stdout\n"
	"  write      blocks from a file or stdin\n"
	"  bench      how fast it is, and whether it returns what was written\n"
	"\n"
	"  -h, --help      this text; 'weir nvme VERB --help' for one verb\n"
	"\n"
	"Exit status: 0 done, 1 bench --verify found other data, 2 it couldn't be done.\n"
	"\n"
	"Example: weir nvme identify 0000:01:00.0";

static const char identify_usage[] =
	"usage: weir nvme identify [--json] [--unsafe-noiommu] [--window PAGES] DEVICE\n"
	"\n"
	"Says what an NVMe controller is and which namespaces it has.\n"
	"\n"
	"      --json      for programs\n"
	UNSAFE_USAGE
	WINDOW_USAGE
	"  -h, --help      this text\n"
	"\n"
	"Example: weir nvme identify 0000:01:00.0";

/* ---- what the verbs share ---- */

/* The controller whose registers may go away under us: a signal handler gets no argument. */
static const struct nvme *guarded;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	/* Not ours: the access repeats, and ends the command. */
	if (!guarded || !nvme_sigbus(guarded, info->si_addr))
		signal(sig, SIG_DFL);
}

int disk_open(struct disk *disk, const char *name, const struct options *options, bool irq)
{
	const struct weir_iommu_opts context = { .unsafe_noiommu = options->unsafe_noiommu };
	const struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	const struct nvme_opts opts = { .irq = irq };
	struct weir_window_opts window;
	struct weir_device_info info;
	int status = window_read("nvme", options->window, &window);

	if (status)
		return status;
	disk->name = name;
	if (weir_iommu_open(&context, &disk->iommu) ||
	    weir_device_open(disk->iommu, name, NULL, &disk->dev) ||
	    window_make(weir_device_ioas(disk->dev), &window, &disk->window) ||
	    weir_device_info(disk->dev, &info)) {
		status = fail("%s", weir_errmsg());
		weir_device_close(disk->dev);
		weir_iommu_close(disk->iommu);
		return status;
	}
	disk->backend = info.backend;
	if (nvme_open(disk->dev, &opts, &disk->nvme)) {
		weir_device_close(disk->dev);
		weir_iommu_close(disk->iommu);
		return fail("%s", nvme_errmsg());
	}
	guarded = disk->nvme;
	sigaction(SIGBUS, &action, NULL);
	nvme_info(disk->nvme, &disk->info);
	return 0;
}

int disk_queue(struct disk *disk, const char *nsid, unsigned int depth, size_t memory)
{
	uint64_t id = 1;

	if (nsid && !read_number("nvme", "namespace", nsid, &id))
		return EXIT_UNKNOWN;
	if (!id || id > UINT32_MAX)
		return fail("%s: there is no namespace %" PRIu64, disk->name, id);
	if (nvme_namespace(disk->nvme, (uint32_t)id, &disk->ns) ||
	    nvme_queue_open(disk->nvme, depth, &disk->queue))
		return fail("%s", nvme_errmsg());
	if (weir_mem_alloc(weir_device_ioas(disk->dev), memory, NULL, &disk->mem))
		return fail("%s", weir_errmsg());
	disk->data = weir_mem_ptr(disk->mem);
	return 0;
}

int disk_close(struct disk *disk, int status)
{
	int ret = nvme_queue_close(disk->queue);

	guarded = NULL;
	if (!ret)
		ret = nvme_close(disk->nvme);
	else
		nvme_close(disk->nvme);
	if (ret && status == EXIT_YES)
		status = fail("%s", nvme_errmsg());
	if ((weir_mem_free(disk->mem) || weir_device_close(disk->dev) ||
	     weir_iommu_close(disk->iommu)) && status == EXIT_YES)
		status = fail("%s", weir_errmsg());
	return status;
}

int disk_range(const struct disk *disk, uint64_t lba, uint64_t *blocks)
{
	uint64_t all = disk->ns.blocks;

	if (lba >= all)
		return fail("%s: there is no LBA %" PRIu64 ": namespace %u ends at LBA %" PRIu64,
			    disk->name, lba, disk->ns.id, all - 1);
	if (!*blocks)
		*blocks = all - lba;
	if (*blocks > all - lba)
		return fail("%s: %" PRIu64 " blocks from LBA %" PRIu64 " on are beyond the end of "
			    "namespace %u, which is LBA %" PRIu64, disk->name, *blocks, lba,
			    disk->ns.id, all - 1);
	return 0;
}

int disk_refuse(const struct disk *disk, uint64_t lba, uint64_t blocks)
{
	char what[SIZE_TEXT_MAX], of[SIZE_TEXT_MAX];

	return fail("%s: this overwrites %s: LBA %" PRIu64 " to %" PRIu64 " of namespace %u, which "
		    "has %s; nothing was written; with --yes it is done", disk->name,
		    size_text(blocks * disk->ns.block_size, what), lba, lba + blocks - 1,
		    disk->ns.id, size_text(disk->ns.blocks * disk->ns.block_size, of));
}

const char *one_device(int argc, char **argv)
{
	if (argc - optind == 1)
		return argv[optind];
	fail("%s takes one device, not %d; see 'weir %s --help'", argv[0], argc - optind, argv[0]);
	return NULL;
}

/* ---- identify ---- */

#define LISTED 64	/* namespaces that are asked for at a time */

/* Calls @each for all namespaces. Returns 0, or what fail() returned. */
static int each_namespace(const struct disk *disk, void (*each)(void *arg, const struct nvme_ns *),
			  void *arg)
{
	uint32_t ids[LISTED], after = 0;
	struct nvme_ns ns;
	int n;

	while ((n = nvme_namespaces(disk->nvme, after, ids, LISTED)) > 0) {
		for (int i = 0; i < n; i++) {
			if (nvme_namespace(disk->nvme, ids[i], &ns))
				return fail("%s", nvme_errmsg());
			each(arg, &ns);
		}
		/* They ascend, or there would be no end. */
		if (ids[n - 1] <= after)
			return fail("%s: the controller's list of namespaces has no order",
				    disk->name);
		after = ids[n - 1];
	}
	return n < 0 ? fail("%s", nvme_errmsg()) : 0;
}

static void js_namespace(void *arg, const struct nvme_ns *ns)
{
	struct json_object *list = arg, *object = js_object();

	js_add(object, "id", js_size(ns->id));
	js_add(object, "block_size", js_size(ns->block_size));
	js_add(object, "blocks", js_size(ns->blocks));
	js_add(object, "used", js_size(ns->used));
	js_add(object, "metadata", js_size(ns->metadata));
	js_append(list, object);
}

static void version_text(uint32_t version, char *text, size_t len)
{
	snprintf(text, len, "%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
}

static int identify_json(const struct disk *disk)
{
	struct json_object *object = js_object(), *list = js_list();
	const struct nvme_info *info = &disk->info;
	char version[32];
	int status = each_namespace(disk, js_namespace, list);

	version_text(info->version, version, sizeof(version));
	js_add(object, "device", js_text(disk->name));
	js_add(object, "backend", js_text(disk->backend));
	js_add(object, "window", js_window(&disk->window));
	js_add(object, "model", js_text(info->model));
	js_add(object, "serial", js_text(info->serial));
	js_add(object, "firmware", js_text(info->firmware));
	js_add(object, "vendor", js_hex(info->vendor, 4));
	js_add(object, "version", js_text(version));
	js_add(object, "mdts", info->mdts ? js_size(info->mdts) : NULL);
	js_add(object, "max_transfer", js_size(info->max_transfer));
	js_add(object, "max_depth", js_size(info->max_depth));
	js_add(object, "ready_ms", js_size(info->ready_ms));
	js_add(object, "write_cache", js_bool(info->write_cache));
	js_add(object, "max_namespaces", js_size(info->namespaces));
	js_add(object, "namespaces", list);
	if (status)
		js_free(object);
	else
		js_print(object);
	return status;
}

static void row_namespace(void *arg, const struct nvme_ns *ns)
{
	struct out_row *row = table_row(arg);
	char block[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX], used[SIZE_TEXT_MAX];

	table_cell(row, 0, "%u", ns->id);
	table_cell(row, 1, "%s", size_text(ns->blocks * ns->block_size, size));
	table_cell(row, 2, "%" PRIu64, ns->blocks);
	table_cell(row, 3, "%s", size_text(ns->block_size, block));
	table_cell(row, 4, "%s", size_text(ns->used * ns->block_size, used));
	table_cell(row, 5, "%u B", ns->metadata);
}

static void fact(struct out_table *table, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void fact(struct out_table *table, const char *name, const char *fmt, ...)
{
	struct out_row *row = table_row(table);
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_cell(row, 0, "%s", name);
	table_cell(row, 1, "%s", text);
}

static int identify_table(const struct disk *disk)
{
	static const struct column facts[] = { { .name = "FACT" }, { .name = "VALUE" } };
	static const struct column columns[] = {
		{ .name = "NAMESPACE", .right = true }, { .name = "SIZE", .right = true },
		{ .name = "BLOCKS", .right = true }, { .name = "OF", .right = true },
		{ .name = "USED", .right = true }, { .name = "METADATA", .right = true },
	};
	struct out_table *table = table_new(facts, 2, false);
	struct out_table *namespaces = table_new(columns, 6, true);
	const struct nvme_info *info = &disk->info;
	char text[SIZE_TEXT_MAX], version[32], where[WINDOW_TEXT_MAX];
	int status = each_namespace(disk, row_namespace, namespaces);

	if (status)
		return status;
	version_text(info->version, version, sizeof(version));
	fact(table, "controller", "%s by %s%s", disk->name, disk->backend,
	     window_text(&disk->window, where));
	fact(table, "model", "%s", info->model);
	fact(table, "serial number", "%s", info->serial);
	fact(table, "firmware", "%s", info->firmware);
	fact(table, "NVMe version", "%s", version);
	fact(table, "largest transfer", "%s", size_text(info->max_transfer, text));
	fact(table, "queue depth", "1 to %u", info->max_depth);
	fact(table, "write cache", "%s", info->write_cache ? "volatile" : "none that a loss of "
	     "power would empty");
	table_print(table);
	say("%s", "");
	table_print(namespaces);
	return 0;
}

static int nvme_identify_verb(int argc, char **argv)
{
	struct options options = { 0 };
	struct disk disk = { 0 };
	const char *name;
	int status = read_options(argc, argv, TAKES_UNSAFE | TAKES_WINDOW, identify_usage,
				  &options);

	if (status != GO_ON)
		return status;
	name = one_device(argc, argv);
	if (!name)
		return EXIT_UNKNOWN;
	status = disk_open(&disk, name, &options, false);
	if (status)
		return status;
	return disk_close(&disk, options.json ? identify_json(&disk) : identify_table(&disk));
}

/* ---- the verb ---- */

static const struct {
	const char *name;
	char full[16];		/* how it calls itself: getopt() gets it as argv[0] */
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "identify", "nvme identify", nvme_identify_verb },
	{ "read", "nvme read", nvme_read_verb },
	{ "write", "nvme write", nvme_write_verb },
	{ "bench", "nvme bench", nvme_bench_verb },
};

int cmd_nvme(int argc, char **argv)
{
	if (argc < 2)
		return fail("nvme needs a verb: identify, read, write or bench; see "
			    "'weir nvme --help'");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		puts(usage);
		return EXIT_YES;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		char full[sizeof(verbs[i].full)];

		if (strcmp(argv[1], verbs[i].name))
			continue;
		memcpy(full, verbs[i].full, sizeof(full));
		argv[1] = full;
		return verbs[i].run(argc - 1, argv + 1);
	}
	return fail("nvme has no verb '%s', only identify, read, write and bench", argv[1]);
}
