/* SPDX-License-Identifier: MIT */
/*
 * weir doctor: why a device can't be given away, or what will go wrong when it is.
 *
 * --json prints an object:
 *	{"device": "0000:01:00.0", null for the machine alone,
 *	 "verdict": "yes", "no" or "unknown",
 *	 "findings": a list, worst first, of
 *		{"id": the check's,
 *		 "severity": "stop", "unknown", "warning", "note" or "ok",
 *		 "device": the address, null for a finding of the machine,
 *		 "text": text, "file": text, "cure": text, null for none}}
 * With --checks a list of
 *	{"id", "of": "machine" or "device", "worst": a severity, "asks": text, "reads": text}
 * with --causes a list of
 *	{"cause": text, "symptom": text, "check": id, null when none can find it,
 *	 "why_not": text, null when one can}
 * and with --memlock
 *	{"memory": bytes, "devices": number, "viommu": bool, "platform": "x86", "powernv" or
 *	 "pseries", "limit": bytes for QEMU, "program": bytes for a program that uses weir itself,
 *	 on POWER, else null}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/doctor.h>
#include <weir/error.h>

#include "doctor.h"
#include "findings.h"
#include "options.h"
#include "out.h"
#include "out_parts.h"
#include "weir.h"

static const char usage[] =
	"usage: weir doctor [--all] [--json] [--root ROOT] [DEVICE]\n"
	"       weir doctor [--json] --memlock RAM[,PART...]\n"
	"       weir doctor [--json] --checks | --causes\n"
	"\n"
	"Says what keeps this machine from giving devices away, or DEVICE from being given\n"
	"away, what will go wrong, and the cure on this distribution. It changes nothing and\n"
	"wakes no device. As root it sees more.\n"
	"\n"
	"      --all          also what is as it should be, in full\n"
	"      --json         for programs, with all\n"
	"      --root ROOT    another machine's: the folder in which its sys/ lies, or what\n"
	"                     'weir capture' made of it\n"
	"      --memlock RAM  how much memory a VM with so much (8G) must be allowed to lock;\n"
	"                     PART: devices=N, viommu (it has an IOMMU of its own), max=RAM\n"
	"                     (what may be plugged counted in), vdpa=N; for POWER powernv or\n"
	"                     pseries, and bridges=N\n"
	"      --checks       what is looked into, and in which files\n"
	"      --causes       what goes wrong in the field, and which check finds it\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 it can be given away, 1 it can't, 2 could not tell.\n"
	"\n"
	"Example: weir doctor 01:00.0";

static const struct {
	const char *name;
	const char *colour;
} severities[] = {
	[WEIR_HOST_OK] = { "ok", "green" },
	[WEIR_HOST_NOTE] = { "note", "cyan" },
	[WEIR_HOST_WARNING] = { "warning", "yellow" },
	[WEIR_HOST_UNKNOWN] = { "unknown", "magenta" },
	[WEIR_HOST_STOP] = { "stop", "red" },
};

/* ---- findings ---- */

static int worst_first(const void *a, const void *b)
{
	const struct finding *fa = a, *fb = b;

	if (fa->severity != fb->severity)
		return fa->severity > fb->severity ? -1 : 1;
	return fa->order < fb->order ? -1 : fa->order > fb->order;
}

static int verdict(const struct findings *list)
{
	enum weir_host_severity worst = list->n ? list->all[0].severity : WEIR_HOST_OK;

	return worst == WEIR_HOST_STOP ? EXIT_NO : worst == WEIR_HOST_UNKNOWN ? EXIT_UNKNOWN :
	       EXIT_YES;
}

static void print_json(const struct findings *list, const char *device)
{
	static const char *const verdicts[] = {
		[EXIT_YES] = "yes", [EXIT_NO] = "no", [EXIT_UNKNOWN] = "unknown",
	};
	struct json_object *report = js_object(), *found = js_list();

	for (size_t i = 0; i < list->n; i++) {
		const struct finding *finding = &list->all[i];
		struct json_object *object = js_object();

		js_add(object, "id", js_text(finding->id));
		js_add(object, "severity", js_text(severities[finding->severity].name));
		js_add(object, "device", js_text(finding->device));
		js_add(object, "text", js_text(finding->text));
		js_add(object, "file", js_text(finding->file));
		js_add(object, "cure", js_text(finding->cure));
		js_append(found, object);
	}
	js_add(report, "device", js_text(device));
	js_add(report, "verdict", js_text(verdicts[verdict(list)]));
	js_add(report, "findings", found);
	js_print(report);
}

/* "guest, iommu-on"; free() it. */
static char *ids_text(const struct finding *findings, size_t n)
{
	char *text = need(strdup(findings->id)), *longer;

	for (size_t i = 1; i < n; i++) {
		if (asprintf(&longer, "%s, %s", text, findings[i].id) < 0)
			no_memory();
		free(text);
		text = longer;
	}
	return text;
}

/* What is as it should be comes last: one row says that it was looked into, unless @all. */
static void print_table(const struct findings *list, bool all)
{
	enum { SEVERITY, CHECK, FINDING, COLUMNS };
	static const struct column columns[COLUMNS] = {
		[SEVERITY] = { .name = "SEVERITY" },
		[CHECK] = { .name = "CHECK" },
		[FINDING] = { .name = "FINDING", .wrap = true },
	};
	struct out_table *table = table_new(columns, COLUMNS, true);

	for (size_t i = 0; i < list->n; i++) {
		const struct finding *finding = &list->all[i];
		struct out_row *row = table_row(table);

		table_cell(row, SEVERITY, "%s", severities[finding->severity].name);
		table_colour(row, SEVERITY, severities[finding->severity].colour);
		if (finding->severity == WEIR_HOST_OK && !all) {
			size_t fine = list->n - i;
			char *ids = ids_text(finding, fine);

			table_cell(row, CHECK, "%zu check%s", fine, fine == 1 ? "" : "s");
			table_cell(row, FINDING, "as it should be (--all tells more): %s", ids);
			free(ids);
			break;
		}
		table_cell(row, CHECK, "%s", finding->id);
		table_cell(row, FINDING, "%s [%s]", finding->text, finding->file);
		if (!*finding->cure)
			continue;
		row = table_row(table);
		table_cell(row, SEVERITY, "%s", "");
		table_cell(row, CHECK, "%s", "");
		table_cell(row, FINDING, "cure: %s", finding->cure);
	}
	table_print(table);
}

static void print_verdict(const struct findings *list, const char *device)
{
	unsigned int counts[WEIR_HOST_STOP + 1] = { 0 };
	const char *what = *device ? device : "this machine";

	for (size_t i = 0; i < list->n; i++)
		counts[list->all[i].severity]++;
	switch (verdict(list)) {
	case EXIT_NO:
		say_heading("%s can't %s: see what is marked 'stop' (%u)", what,
			    *device ? "be given away as it is" : "give devices away as it is",
			    counts[WEIR_HOST_STOP]);
		break;
	case EXIT_UNKNOWN:
		say_heading("whether %s can %s couldn't be told: see what is marked 'unknown' (%u)",
			    what, *device ? "be given away" : "give devices away",
			    counts[WEIR_HOST_UNKNOWN]);
		break;
	default:
		say_heading("%s can %s%s", what, *device ? "be given away" : "give devices away",
			    counts[WEIR_HOST_WARNING] ? "; mind the warnings" : "");
	}
}

static int examine(const char *root, const char *address, bool json, bool all)
{
	const struct weir_host_function *fn = NULL;
	struct findings list = { 0 };
	struct weir_host *host;
	int status;

	if (weir_host_open(root, &host) < 0)
		return fail("%s", weir_errmsg());
	if ((address && weir_host_find(host, address, &fn) < 0) ||
	    weir_host_check(host, NULL, findings_keep, &list) < 0 ||
	    (fn && weir_host_check(host, fn, findings_keep, &list) < 0)) {
		status = fail("%s", weir_errmsg());
	} else {
		qsort(list.all, list.n, sizeof(*list.all), worst_first);
		if (json) {
			print_json(&list, fn ? fn->address : "");
		} else {
			print_table(&list, all);
			print_verdict(&list, fn ? fn->address : "");
		}
		status = verdict(&list);
	}
	findings_free(&list);
	weir_host_close(host);
	return status;
}

/* ---- what there is to be found ---- */

static int print_checks(bool json)
{
	enum { ID, OF, WORST, ASKS, READS, COLUMNS };
	static const struct column columns[COLUMNS] = {
		[ID] = { .name = "CHECK" },
		[OF] = { .name = "OF" },
		[WORST] = { .name = "WORST" },
		[ASKS] = { .name = "ASKS", .wrap = true },
		[READS] = { .name = "READS", .wrap = true },
	};
	struct out_table *table = json ? NULL : table_new(columns, COLUMNS, true);
	struct json_object *list = json ? js_list() : NULL;
	const struct weir_host_check_info *check;

	for (unsigned int i = 0; (check = weir_host_check_info(i)); i++) {
		const char *of = check->of_function ? "device" : "machine";

		if (json) {
			struct json_object *object = js_object();

			js_add(object, "id", js_text(check->id));
			js_add(object, "of", js_text(of));
			js_add(object, "worst", js_text(severities[check->worst].name));
			js_add(object, "asks", js_text(check->asks));
			js_add(object, "reads", js_text(check->reads));
			js_append(list, object);
		} else {
			struct out_row *row = table_row(table);

			table_cell(row, ID, "%s", check->id);
			table_cell(row, OF, "%s", of);
			table_cell(row, WORST, "%s", severities[check->worst].name);
			table_cell(row, ASKS, "%s", check->asks);
			table_cell(row, READS, "%s", check->reads);
		}
	}
	if (json)
		js_print(list);
	else
		table_print(table);
	return EXIT_YES;
}

static int print_causes(bool json)
{
	enum { CAUSE, SYMPTOM, CHECK, COLUMNS };
	static const struct column columns[COLUMNS] = {
		[CAUSE] = { .name = "CAUSE", .wrap = true },
		[SYMPTOM] = { .name = "SYMPTOM", .wrap = true },
		[CHECK] = { .name = "CHECK", .wrap = true },
	};
	struct out_table *table = json ? NULL : table_new(columns, COLUMNS, true);
	struct json_object *list = json ? js_list() : NULL;
	const struct weir_host_cause *cause;

	for (unsigned int i = 0; (cause = weir_host_cause(i)); i++) {
		if (json) {
			struct json_object *object = js_object();

			js_add(object, "cause", js_text(cause->cause));
			js_add(object, "symptom", js_text(cause->symptom));
			js_add(object, "check", js_text(cause->check));
			js_add(object, "why_not", js_text(cause->why_not));
			js_append(list, object);
		} else {
			struct out_row *row = table_row(table);

			table_cell(row, CAUSE, "%s", cause->cause);
			table_cell(row, SYMPTOM, "%s", cause->symptom);
			if (cause->check)
				table_cell(row, CHECK, "%s", cause->check);
			else
				table_cell(row, CHECK, "none: %s", cause->why_not);
		}
	}
	if (json)
		js_print(list);
	else
		table_print(table);
	return EXIT_YES;
}

int cmd_doctor(int argc, char **argv)
{
	const char *root = NULL, *memlock = NULL;
	bool all = false, checks = false, causes = false;
	const struct own_option own[] = {
		{ .name = "all", .flag = &all },
		{ .name = "root", .value = &root },
		{ .name = "memlock", .value = &memlock },
		{ .name = "checks", .flag = &checks },
		{ .name = "causes", .flag = &causes },
	};
	struct options options = { 0 };
	int status;

	status = read_own_options(argc, argv, own, sizeof(own) / sizeof(own[0]), usage, &options);
	if (status != GO_ON)
		return status;
	if (argc - optind > 1)
		return fail("doctor takes one device, and '%s' is another", argv[optind + 1]);
	if (!!memlock + checks + causes > 1 ||
	    ((memlock || checks || causes) && (optind < argc || root || all)))
		return fail("doctor: --memlock, --checks and --causes each go alone, without a "
			    "device, --root and --all");
	if (memlock)
		return doctor_memlock(memlock, options.json);
	if (checks)
		return print_checks(options.json);
	if (causes)
		return print_causes(options.json);
	return examine(root, argv[optind], options.json, all);
}
