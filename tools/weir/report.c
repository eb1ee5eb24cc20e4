/* SPDX-License-Identifier: MIT */
/* weir report: one page for people, of what this machine can give away. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/error.h>

#include "options.h"
#include "out_parts.h"
#include "report.h"
#include "weir.h"

static const char usage[] =
	"usage: weir report [--root ROOT] [--output FILE]\n"
	"\n"
	"Writes a page (HTML, whole in itself) about this machine: a map of its PCI functions\n"
	"with their IOMMU groups, what can be given away, and why the rest can't. Looking wakes\n"
	"no device.\n"
	"\n"
	"      --output FILE\n"
	"                  to this file instead of stdout (-); there all at once, or not at all\n"
	"      --root ROOT of another machine: the folder in which its sys/ lies, or what\n"
	"                  'weir capture' made of it\n"
	"  -h, --help      this text\n"
	"\n"
	"Example: weir report --output host.html";

/* The worst, but for a group with members that could come along. */
static enum weir_host_severity worst(const struct findings *findings)
{
	enum weir_host_severity worst = WEIR_HOST_OK;

	for (size_t i = 0; i < findings->n; i++)
		if (findings->all[i].severity > worst &&
		    strcmp(findings->all[i].id, "group-viable"))
			worst = findings->all[i].severity;
	return worst;
}

/* Devices that can only be given away together: what is in the way of one is in all's. */
struct company {
	enum weir_host_severity severity;
	unsigned int devices;
	bool given;
};

static struct company company_of_none(const struct report *report)
{
	return (struct company){ .severity = worst(&report->machine), .given = true };
}

static void join(struct company *company, const struct report_function *function)
{
	enum weir_host_severity severity = worst(&function->findings);
	enum weir_role role = function->fn->role;

	if (is_bridge(function->fn))
		return;
	if (severity > company->severity)
		company->severity = severity;
	company->devices++;
	company->given &= role == WEIR_ROLE_VFIO || role == WEIR_ROLE_FREE;
}

static enum verdict judge(const struct company *company, const struct weir_host_function *fn)
{
	if (is_bridge(fn))
		return REPORT_BRIDGE;
	if (fn->role == WEIR_ROLE_VFIO && company->given)
		return REPORT_GIVEN;
	if (company->severity == WEIR_HOST_STOP)
		return REPORT_TAKEN;
	if (company->severity == WEIR_HOST_UNKNOWN)
		return REPORT_UNTOLD;
	return company->devices > 1 ? REPORT_TOGETHER : REPORT_FREE;
}

static void judge_group(struct report *report, int number)
{
	struct company company = company_of_none(report);
	const struct weir_host_function *fn;

	for (unsigned int i = 0; (fn = weir_host_member(report->host, number, i)); i++)
		join(&company, &report->functions[index_of(report->host, fn)]);
	for (unsigned int i = 0; (fn = weir_host_member(report->host, number, i)); i++)
		report->functions[index_of(report->host, fn)].verdict = judge(&company, fn);
}

static void judge_all(struct report *report)
{
	for (int number = -1; (number = weir_host_next_group(report->host, number)) >= 0;)
		judge_group(report, number);
	for (unsigned int i = 0; i < report->n; i++) {
		struct report_function *function = &report->functions[i];
		struct company alone = company_of_none(report);

		if (function->fn->group < 0) {
			join(&alone, function);
			function->verdict = judge(&alone, function->fn);
		}
		report->counts[function->verdict]++;
	}
}

/* From the last on, so that siblings come by address. */
static void link_functions(struct report *report)
{
	for (unsigned int i = report->n; i-- > 0;) {
		struct report_function *function = &report->functions[i];
		const struct weir_host_function *up = weir_host_parent(report->host, function->fn);
		struct report_function *parent;

		function->parent = up ? index_of(report->host, up) : REPORT_ROOT;
		function->leaves += function->verdict != REPORT_BRIDGE;
		if (function->parent == REPORT_ROOT)
			continue;
		parent = &report->functions[function->parent];
		function->next = parent->first;
		parent->first = i;
	}
	/* A bridge comes before what is behind it nearly always, but not by rule. */
	for (unsigned int i = 0; i < report->n; i++) {
		unsigned int up = report->functions[i].parent, steps = 0;

		if (report->functions[i].verdict == REPORT_BRIDGE)
			continue;
		for (; up != REPORT_ROOT && steps < report->n; steps++) {
			report->functions[up].leaves++;
			up = report->functions[up].parent;
		}
	}
}

static int collect(struct report *report)
{
	report->n = weir_host_count(report->host);
	report->functions = need(calloc(report->n + 1, sizeof(*report->functions)));
	if (weir_host_check(report->host, NULL, findings_keep, &report->machine) < 0)
		return fail("%s", weir_errmsg());
	for (unsigned int i = 0; i < report->n; i++) {
		struct report_function *function = &report->functions[i];

		function->fn = weir_host_function(report->host, i);
		function->first = function->next = REPORT_ROOT;
		if (!is_bridge(function->fn) &&
		    weir_host_check(report->host, function->fn, findings_keep,
				    &function->findings) < 0)
			return fail("%s", weir_errmsg());
	}
	judge_all(report);
	link_functions(report);
	return EXIT_YES;
}

/* To a name beside it first: whoever looks sees the old page or the new one. */
static int write_file(const struct report *report, const char *path)
{
	mode_t mask = umask(0);
	char *beside;
	FILE *file;
	int fd, err = 0;

	umask(mask);
	if (asprintf(&beside, "%s.XXXXXX", path) < 0)
		no_memory();
	fd = mkostemp(beside, O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		err = errno;
	} else {
		report_page(report, file);
		if (fchmod(fd, 0666 & ~mask) || fflush(file) || ferror(file))
			err = errno;
		if (fclose(file) && !err)
			err = errno;
		if (!err && rename(beside, path))
			err = errno;
		if (err)
			unlink(beside);
	}
	free(beside);
	return err ? fail("%s can't be written: %s", path, strerror(err)) : EXIT_YES;
}

int cmd_report(int argc, char **argv)
{
	struct options options = { 0 };
	struct report report = { 0 };
	const char *output = NULL;
	const struct own_option own[] = {
		{ .name = "root", .value = &options.root },
		{ .name = "output", .value = &output },
	};
	int status;

	status = read_own_options(argc, argv, own, 2, usage, &options);
	if (status != GO_ON)
		return status;
	if (options.json)
		return fail("report is for people; for programs there is --json of list, groups "
			    "and doctor");
	if (optind < argc)
		return fail("report takes no '%s': it is about the whole machine", argv[optind]);
	if (weir_host_open_with(options.root, WEIR_HOST_AHEAD | WEIR_HOST_BRIEF, &report.host) < 0)
		return fail("%s", weir_errmsg());
	report.names = names_open(options.root);
	status = collect(&report);
	if (status == EXIT_YES && output && strcmp(output, "-"))
		status = write_file(&report, output);
	else if (status == EXIT_YES)
		report_page(&report, stdout);
	for (unsigned int i = 0; i < report.n; i++)
		findings_free(&report.functions[i].findings);
	findings_free(&report.machine);
	free(report.functions);
	names_close(report.names);
	weir_host_close(report.host);
	return status;
}
