/* SPDX-License-Identifier: MIT */
/*
 * --json of bind and release prints
 *	{"steps": [{"action": "load", "override", "unbind", "bind", "owner", "forget" or "keep",
 *		"subject": a function's address or a module's name,
 *		"from", "to": text, null for nothing, "why": text, null for none}],
 *	 "done": bool, false also when the steps were only shown,
 *	 "why": why not, null otherwise}
 * where steps is null if what is to be done couldn't be told.
 */
#include <errno.h>
#include <stdio.h>

#include <weir/error.h>

#include "out.h"
#include "steps.h"
#include "weir.h"

static const char *action_name(enum weir_host_action action)
{
	switch (action) {
	case WEIR_HOST_LOAD:
		return "load";
	case WEIR_HOST_OVERRIDE:
		return "override";
	case WEIR_HOST_UNBIND:
		return "unbind";
	case WEIR_HOST_BIND:
		return "bind";
	case WEIR_HOST_OWNER:
		return "owner";
	case WEIR_HOST_FORGET:
		return "forget";
	case WEIR_HOST_KEEP:
		break;
	}
	return "keep";
}

static void keep(struct steps *shown, const struct weir_host_step *steps, size_t n)
{
	if (!shown->list)
		shown->list = js_list();
	for (size_t i = 0; i < n; i++) {
		struct json_object *step = js_object();

		js_add(step, "action", js_text(action_name(steps[i].action)));
		js_add(step, "subject", js_text(steps[i].subject));
		js_add(step, "from", js_text(steps[i].from));
		js_add(step, "to", js_text(steps[i].to));
		js_add(step, "why", js_text(steps[i].why));
		js_append(shown->list, step);
	}
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

void steps_show(void *arg, const struct weir_host_step *steps, size_t n)
{
	enum { SUBJECT, STEP, FROM, TO, WHY, COLUMNS };
	static const struct column columns[COLUMNS] = {
		[SUBJECT] = { .name = "WHAT" },
		[STEP] = { .name = "STEP" },
		[FROM] = { .name = "FROM" },
		[TO] = { .name = "TO" },
		[WHY] = { .name = "WHY", .wrap = true },
	};
	struct steps *shown = arg;
	struct out_table *table;
	size_t last = TO;

	if (shown->json) {
		keep(shown, steps, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (steps[i].why[0])
			last = WHY;
	table = table_new(columns, last + 1, true);
	for (size_t i = 0; i < n; i++) {
		struct out_row *row = table_row(table);

		table_cell(row, SUBJECT, "%s", steps[i].subject);
		table_cell(row, STEP, "%s", action_name(steps[i].action));
		table_cell(row, FROM, "%s", or_dash(steps[i].from));
		table_cell(row, TO, "%s", or_dash(steps[i].to));
		if (last == WHY)
			table_cell(row, WHY, "%s", steps[i].why);
	}
	table_print(table);
	if (!n)
		say("nothing is to be done");
	fflush(stdout);
}

int steps_end(struct steps *steps, int ret, const char *done)
{
	if (steps->json) {
		struct json_object *report = js_object();

		js_add(report, "steps", steps->list);
		js_add(report, "done", js_bool(!ret && !steps->dry_run));
		js_add(report, "why", ret ? js_text(weir_errmsg()) : NULL);
		js_print(report);
	} else if (!ret) {
		say("%s", steps->dry_run ? "nothing was changed (--dry-run)" : done);
	}
	if (ret < 0)
		fail("%s", weir_errmsg());
	return !ret ? EXIT_YES : ret == -EBUSY ? EXIT_NO : EXIT_UNKNOWN;
}
