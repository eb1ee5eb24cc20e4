/* SPDX-License-Identifier: MIT */
/*
 * The page. All text that comes from the machine passes put(), which makes it harmless. Boxes in
 * boxes are bridges and what is behind them; a colour is an IOMMU group, and so is the number
 * beside it. Nothing is said by colour alone, and the page asks the network for nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "out.h"
#include "out_parts.h"
#include "report.h"

static const struct {
	const char *name, *sign, *words, *tile;
} verdicts[REPORT_VERDICTS] = {
	[REPORT_FREE] = { "free", "✓", "free", "can be given away" },
	[REPORT_TOGETHER] = { "together", "✓", "with its group", "only with their group" },
	[REPORT_GIVEN] = { "given", "→", "given", "are given away" },
	[REPORT_TAKEN] = { "taken", "✕", "can't", "can't be given away" },
	[REPORT_UNTOLD] = { "untold", "?", "can't tell", "can't be told" },
	[REPORT_BRIDGE] = { "bridge", "", "bridge", "bridges" },
};

static const struct {
	const char *name, *sign;
} severities[] = {
	[WEIR_HOST_OK] = { "good", "✓" },
	[WEIR_HOST_NOTE] = { "note", "·" },
	[WEIR_HOST_WARNING] = { "warning", "!" },
	[WEIR_HOST_UNKNOWN] = { "unknown", "?" },
	[WEIR_HOST_STOP] = { "in the way", "✕" },
};

static void put(FILE *file, const char *text)
{
	char *copy = clean(need(strdup(text)));

	for (const char *c = copy; *c; c++) {
		switch (*c) {
		case '&':
			fputs("&amp;", file);
			break;
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		case '\'':
			fputs("&#39;", file);
			break;
		default:
			putc(*c, file);
		}
	}
	free(copy);
}

static void element(FILE *file, const char *name, const char *class, const char *text)
{
	fprintf(file, "<%s class=\"%s\">", name, class);
	put(file, text);
	fprintf(file, "</%s>", name);
}

/* So far apart that neighbours differ: by the golden angle. */
static void group_colour(FILE *file, int group)
{
	if (group < 0)
		fputs(" class=\"fn none\"", file);
	else
		fprintf(file, " class=\"fn\" style=\"--h:%u\"", (unsigned int)group * 137 % 360);
}

static void group_link(FILE *file, int group)
{
	if (group < 0)
		fputs("<span class=\"chip\">no group</span>", file);
	else
		fprintf(file, "<a class=\"chip\" href=\"#group-%d\">group %d</a>", group, group);
}

static const char *short_name(const struct report *report, const struct weir_host_function *fn,
			      char buf[2 * NAME_TEXT_MAX])
{
	const char *name = device_name(report->names, fn, buf);

	return name ? name : full_name(report->names, fn, buf);
}

static void verdict_mark(FILE *file, enum verdict verdict)
{
	if (verdict != REPORT_BRIDGE)
		fprintf(file, "<span class=\"verdict %s\"><b>%s</b> %s</span>",
			verdicts[verdict].name, verdicts[verdict].sign, verdicts[verdict].words);
}

/* ---- the map ---- */

static void map_function(const struct report *report, FILE *file, unsigned int i)
{
	const struct report_function *function = &report->functions[i];
	char buf[2 * NAME_TEXT_MAX];

	fputs("<div", file);
	group_colour(file, function->fn->group);
	fputs("><span class=\"line\">", file);
	element(file, "code", "address", function->fn->address);
	group_link(file, function->fn->group);
	verdict_mark(file, function->verdict);
	fputs("</span>", file);
	element(file, "span", "name", short_name(report, function->fn, buf));
	fputs("</div>\n", file);
}

static void map_below(const struct report *report, FILE *file, unsigned int i)
{
	const struct report_function *function = &report->functions[i];

	if (function->first == REPORT_ROOT) {
		map_function(report, file, i);
		return;
	}
	fprintf(file, "<div class=\"port%s\">\n", function->leaves > 2 ? " wide" : "");
	map_function(report, file, i);
	fputs("<div class=\"behind\">\n", file);
	for (i = function->first; i != REPORT_ROOT; i = report->functions[i].next)
		map_below(report, file, i);
	fputs("</div></div>\n", file);
}

static void map(const struct report *report, FILE *file)
{
	const char *bus = NULL;

	fputs("<section><h2>Map</h2>\n"
	      "<p class=\"how\">A box is a bridge with what is behind it. A colour is an IOMMU "
	      "group: its functions can only be given away together.</p>\n", file);
	for (unsigned int i = 0; i < report->n; i++) {
		const struct report_function *function = &report->functions[i];

		if (function->parent != REPORT_ROOT)
			continue;
		if (!bus || strcmp(bus, function->fn->root_bus)) {
			if (bus)
				fputs("</div></div>\n", file);
			bus = function->fn->root_bus;
			fputs("<div class=\"bus\">", file);
			element(file, "h3", "", *bus ? bus : "unknown bus");
			fputs("<div class=\"behind\">\n", file);
		}
		map_below(report, file, i);
	}
	fputs(bus ? "</div></div></section>\n" : "</section>\n", file);
}

/* ---- what was found ---- */

static void finding(const struct finding *found, FILE *file)
{
	fprintf(file, "<li class=\"s%d\"><b title=\"%s\">%s</b> ", (int)found->severity,
		severities[found->severity].name, severities[found->severity].sign);
	element(file, "span", "text", found->text);
	if (*found->cure)
		element(file, "span", "cure", found->cure);
	if (*found->file)
		element(file, "code", "file", found->file);
	fputs("</li>\n", file);
}

static size_t some(const struct findings *found, FILE *file, enum weir_host_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < found->n; i++) {
		if (found->all[i].severity != severity)
			continue;
		if (file)
			finding(&found->all[i], file);
		n++;
	}
	return n;
}

/* The worst first; what is no trouble only for who wants to see it. */
static void findings(const struct findings *found, FILE *file)
{
	size_t quiet = some(found, NULL, WEIR_HOST_NOTE) + some(found, NULL, WEIR_HOST_OK);

	if (found->n > quiet) {
		fputs("<ul class=\"findings\">\n", file);
		some(found, file, WEIR_HOST_STOP);
		some(found, file, WEIR_HOST_UNKNOWN);
		some(found, file, WEIR_HOST_WARNING);
		fputs("</ul>\n", file);
	}
	if (quiet) {
		fprintf(file, "<details><summary>%zu %s no trouble</summary>\n"
			"<ul class=\"findings\">\n", quiet,
			quiet == 1 ? "finding that is" : "findings that are");
		some(found, file, WEIR_HOST_NOTE);
		some(found, file, WEIR_HOST_OK);
		fputs("</ul></details>\n", file);
	}
}

static void device(const struct report *report, FILE *file, unsigned int i)
{
	const struct report_function *function = &report->functions[i];
	const struct weir_host_function *fn = function->fn;
	char buf[2 * NAME_TEXT_MAX], reset[256];
	const char *class = class_name(report->names, fn, buf);

	fputs("<div class=\"device\"><div class=\"line\">", file);
	element(file, "code", "address", fn->address);
	verdict_mark(file, function->verdict);
	fputs("</div>", file);
	element(file, "div", "name", full_name(report->names, fn, buf));
	fputs("<div class=\"facts\">", file);
	class = class_name(report->names, fn, buf);
	element(file, "span", "", class ? class : "unknown class");
	fprintf(file, "<span>%04x:%04x</span><span>", fn->vendor, fn->device);
	if (*fn->driver) {
		fputs("driver ", file);
		put(file, fn->driver);
	} else {
		fputs("no driver", file);
	}
	fputs("</span>", file);
	if (function->verdict != REPORT_BRIDGE &&
	    weir_host_reset_methods(report->host, fn, reset, sizeof(reset)) > 0) {
		fputs("<span>reset by ", file);
		put(file, reset);
		fputs("</span>", file);
	}
	fputs("</div>\n", file);
	findings(&function->findings, file);
	fputs("</div>\n", file);
}

static void group(const struct report *report, FILE *file, int number)
{
	const struct weir_host_function *fn;
	struct weir_host_group about;

	fprintf(file, "<article id=\"group-%d\"", number);
	group_colour(file, number);
	fprintf(file, "><h3>Group %d", number);
	if (!weir_host_group(report->host, number, &about) && *about.type)
		element(file, "span", "type", about.type);
	fputs("</h3>\n", file);
	for (unsigned int i = 0; (fn = weir_host_member(report->host, number, i)); i++)
		device(report, file, index_of(report->host, fn));
	fputs("</article>\n", file);
}

static void groups(const struct report *report, FILE *file)
{
	bool any = false;

	fputs("<section><h2>Groups and devices</h2>\n<div class=\"groups\">\n", file);
	for (int number = -1; (number = weir_host_next_group(report->host, number)) >= 0;)
		group(report, file, number);
	for (unsigned int i = 0; i < report->n; i++) {
		if (report->functions[i].fn->group >= 0)
			continue;
		if (!any)
			fputs("<article class=\"fn none\"><h3>In no group</h3>\n", file);
		any = true;
		device(report, file, i);
	}
	fputs(any ? "</article>\n</div></section>\n" : "</div></section>\n", file);
}

static void tiles(const struct report *report, FILE *file)
{
	fputs("<div class=\"tiles\">", file);
	for (int i = 0; i < REPORT_VERDICTS; i++)
		if (report->counts[i] || i == REPORT_FREE)
			fprintf(file, "<div class=\"tile %s\"><b>%u <i>%s</i></b> %s</div>",
				verdicts[i].name, report->counts[i], verdicts[i].sign,
				verdicts[i].tile);
	fputs("</div>\n", file);
}

/* What the machine says of itself, if anything. */
static void machine(const struct report *report, FILE *file)
{
	struct weir_host_about about;

	weir_host_about(report->host, &about);
	if (!*about.model && !*about.kernel)
		return;
	fputs("<p class=\"how machine\">", file);
	put(file, about.model);
	fputs(*about.model && *about.kernel ? ", Linux " : *about.kernel ? "Linux " : "", file);
	put(file, about.kernel);
	fputs("</p>\n", file);
}

void report_page(const struct report *report, FILE *file)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" "
	      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	      "<title>What this machine can give away</title>\n<style>\n", file);
	fputs(report_style, file);
	fputs("</style>\n</head>\n<body>\n"
	      "<header><h1>What this machine can give away</h1>\n", file);
	machine(report, file);
	tiles(report, file);
	fputs("</header>\n<main>\n<section><h2>The machine</h2>\n", file);
	findings(&report->machine, file);
	fputs("</section>\n", file);
	map(report, file);
	groups(report, file);
	fputs("</main>\n"
	      "<footer>Made by weir report, from sysfs and procfs. 'weir groups --why' says why "
	      "functions share a group, 'weir bind' gives them away.</footer>\n"
	      "</body>\n</html>\n", file);
}
