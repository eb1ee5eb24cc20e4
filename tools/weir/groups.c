/* SPDX-License-Identifier: MIT */
/*
 * weir groups: the IOMMU groups of a machine, why they are as they are, and what would be if.
 *
 * --json prints
 *	{"groups": [{"group": number,
 *		"type": of its default domain: "DMA", "DMA-FQ", "identity" …, null when unknown,
 *		"name": "vfio-noiommu", null when it has none, as most,
 *		"viable": whether it can be given away: no driver of the kernel's is in the way,
 *		"in_the_way": address of the first member that is, or null,
 *		"functions": [what 'weir list --json' says of each, and
 *			{"role": "free", "vfio", "harmless" or "in the way", as in 'weir info',
 *			 "reset_methods": ["flr", "bus"], best first, null when they can't be
 *			 read}]}],
 *	 "ungrouped": [addresses of the functions that are in no group],
 *	 "rules": "Linux 7.3", by whose rules and list of quirks, or null,
 *	 "computed": with --check, --why and --what-if a list, by address, else null:
 *		[{"address",
 *		  "group": the kernel's number, null for none (where the IOMMU is off: weir's own),
 *		  "computed": weir's own, from 0 on, with all that is assumed, null for none,
 *		  "held": the same, with what of that the hardware can do; numbers of its own,
 *		  "agrees": whether it shares its group with the same functions in both,
 *		  "unsure": whether that depends on what couldn't be known,
 *		  "config": "read", "asleep" (it wasn't, since that would wake something), "short"
 *			(not enough: without privilege 64 bytes, or none)}],
 *	 "why": with --why its sentences, else null}
 * Only the groups that were asked for are in "groups".
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "groups.h"
#include "out_parts.h"
#include "weir.h"

#define RESET_TEXT_MAX 256

static const char usage[] =
	"usage: weir groups [OPTION...] [GROUP...]\n"
	"\n"
	"Shows the IOMMU groups of this machine: what can only be given away together.\n"
	"Looking wakes no device. GROUP is a number, or a function in it.\n"
	"\n"
	"      --plain     a line for each function, as scripts around lspci print it\n"
	"      --json      for programs\n"
	"      --why BDF   why this function shares its group with others\n"
	"      --what-if ASSUMPTION, which may be repeated, one of\n"
	"          acs=downstream     ports isolate, as the ACS override patch pretends\n"
	"          acs=multifunction  functions of multifunction devices do\n"
	"          acs=BDF            this function does; of these also a list, with commas\n"
	"          config_acs=FLAGS@BDF\n"
	"                             the kernel was started with pci=config_acs=FLAGS@BDF\n"
	"          move=BDF@PORT      the device is behind another port\n"
	"      --check     whether weir computes the groups that the kernel made\n"
	"      --wake      read also the config space of what sleeps\n"
	"      --root ROOT another machine's: the folder in which its sys/ lies, or what 'weir\n"
	"                  capture' made of it\n"
	"  -h, --help      this text\n"
	"\n"
	"--why, --what-if and --check compute groups as the kernel does, by the rules and the\n"
	"list of quirks of Linux 7.3. For that they read config space, of which only root sees\n"
	"enough. They wake nothing either: what would have to be woken is left out and said,\n"
	"unless there is --wake.\n"
	"\n"
	"Exit status: 2 if the answer isn't sure. Of --check 1 if the groups differ.\n"
	"\n"
	"Example: weir groups --what-if acs=downstream";

bool is_wanted(const struct groups_wish *wish, int number)
{
	for (size_t i = 0; i < wish->n_numbers; i++)
		if (wish->numbers[i] == number)
			return true;
	return !wish->n_numbers;
}

const struct weir_host_function *in_the_way(const struct weir_host *host, int number)
{
	const struct weir_host_function *fn;

	for (unsigned int i = 0; (fn = weir_host_member(host, number, i)); i++)
		if (fn->role == WEIR_ROLE_IN_THE_WAY)
			return fn;
	return NULL;
}

/* The groups that are wanted, one after the other, as weir_host_next_group(). */
static int next_wanted(const struct groups_wish *wish, int after)
{
	do
		after = weir_host_next_group(wish->host, after);
	while (after >= 0 && !is_wanted(wish, after));
	return after;
}

static const char *no_groups(const struct groups_wish *wish)
{
	return weir_host_has_iommu(wish->host) ? "No function is in an IOMMU group." :
	       "There are no IOMMU groups: the IOMMU is off, or there is none.";
}

/* What isn't a line for a function doesn't go among them. */
static void print_plain(const struct groups_wish *wish)
{
	const struct weir_host_function *fn;
	char name[LSPCI_TEXT_MAX];

	if (next_wanted(wish, -1) < 0)
		fail("%s", no_groups(wish));
	for (int group = next_wanted(wish, -1); group >= 0; group = next_wanted(wish, group))
		for (unsigned int i = 0; (fn = weir_host_member(wish->host, group, i)); i++) {
			char revision[16] = "";

			if (fn->revision)
				snprintf(revision, sizeof(revision), " (rev %02x)", fn->revision);
			say("Group:  %d%s  %s %s%s%s%s", group, group < 10 ? " " : "", fn->address,
			    lspci_name(wish->names, fn, name), revision,
			    *fn->driver ? "   Driver: " : "", fn->driver);
		}
}

/* What can be done with a group: behind bridges alone there is nothing to give away. */
static void group_cell(const struct groups_wish *wish, struct out_row *row, size_t column,
		       int number)
{
	const struct weir_host_function *fn, *way = in_the_way(wish->host, number);
	int devices = 0, given = 0;

	for (unsigned int i = 0; (fn = weir_host_member(wish->host, number, i)); i++) {
		devices += !is_bridge(fn);
		given += !is_bridge(fn) && fn->role == WEIR_ROLE_VFIO;
	}
	if (!devices) {
		table_cell(row, column, "bridges alone");
	} else if (way) {
		table_cell(row, column, "kept by %s: %s", way->address, way->driver);
		table_colour(row, column, "yellow");
	} else {
		table_cell(row, column, given == devices ? "given away" : "can be given away");
		table_colour(row, column, "green");
	}
}

/* Many can't be read for one cause: it is said of the first, and each shows as what it is. */
static void say_unread(struct groups_wish *wish)
{
	if (!wish->unread)
		fail("%s", weir_errmsg());
	wish->unread = true;
}

/* False when it can't be read. */
static bool read_group(struct groups_wish *wish, int number, struct weir_host_group *about)
{
	if (!weir_host_group(wish->host, number, about))
		return true;
	say_unread(wish);
	*about = (struct weir_host_group){ .number = number };
	return false;
}

static bool read_reset(struct groups_wish *wish, const struct weir_host_function *fn,
		       char buf[RESET_TEXT_MAX])
{
	if (weir_host_reset_methods(wish->host, fn, buf, RESET_TEXT_MAX) >= 0)
		return true;
	say_unread(wish);
	return false;
}

static const char *reset_text(struct groups_wish *wish, const struct weir_host_function *fn,
			      char buf[RESET_TEXT_MAX])
{
	if (!read_reset(wish, fn, buf))
		return "?";
	return *buf ? buf : "-";
}

static void add_group(struct groups_wish *wish, struct out_table *table, int number)
{
	enum { GROUP, DRIVER, RESET, NAME };
	struct out_row *group = table_row(table);
	const struct weir_host_function *fn;
	struct weir_host_group about;
	char reset[RESET_TEXT_MAX], name[2 * NAME_TEXT_MAX];

	if (!read_group(wish, number, &about))
		table_cell(group, GROUP, "%d ?", number);
	else
		table_cell(group, GROUP, "%d%s%s", number, *about.type ? " " : "", about.type);
	group_cell(wish, group, NAME, number);
	for (unsigned int i = 0; (fn = weir_host_member(wish->host, number, i)); i++) {
		struct out_row *row = table_child(table, group);

		table_cell(row, GROUP, "%s", fn->address);
		table_cell(row, DRIVER, "%s", *fn->driver ? fn->driver : "-");
		table_cell(row, RESET, "%s", reset_text(wish, fn, reset));
		table_cell(row, NAME, "%s", full_name(wish->names, fn, name));
		if (fn->role == WEIR_ROLE_VFIO)
			table_colour(row, DRIVER, "green");
		else if (fn->role == WEIR_ROLE_IN_THE_WAY)
			table_colour(row, DRIVER, "yellow");
	}
}

/* Of these groups it isn't known here which the hardware keeps apart. */
static void say_override(struct groups_wish *wish)
{
	if (weir_host_acs_override(wish->host, wish->override, sizeof(wish->override)) < 0) {
		say_unread(wish);
	} else if (*wish->override) {
		say("%s", "");
		say("The kernel was started with pcie_acs_override=%s:", wish->override);
		say("'weir groups --check' shows which groups, if any, it only pretends.");
	}
}

static void print_tree(struct groups_wish *wish)
{
	static const struct column columns[] = {
		{ .name = "GROUP", .tree = true },
		{ .name = "DRIVER" },
		{ .name = "RESET", .cut = true },
		{ .name = "NAME", .cut = true },
	};
	struct out_table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]), true);
	int group = next_wanted(wish, -1);

	if (group < 0)
		say("%s", no_groups(wish));
	for (; group >= 0; group = next_wanted(wish, group))
		add_group(wish, table, group);
	table_print(table);
	if (weir_host_has_iommu(wish->host))
		say_override(wish);
}

static struct json_object *words(char *text)
{
	struct json_object *list = js_list();
	char *save;

	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		js_append(list, js_text(word));
	return list;
}

static struct json_object *js_member(struct groups_wish *wish, const struct weir_host_function *fn)
{
	struct json_object *object = js_object();
	char reset[RESET_TEXT_MAX];

	js_add_function(object, wish->names, fn);
	js_add(object, "role", js_text(role_name(fn->role)));
	js_add(object, "reset_methods", read_reset(wish, fn, reset) ? words(reset) : NULL);
	return object;
}

static struct json_object *js_group(struct groups_wish *wish, int number)
{
	const struct weir_host_function *fn, *way = in_the_way(wish->host, number);
	struct json_object *object = js_object(), *members = js_list();
	struct weir_host_group about;

	read_group(wish, number, &about);
	js_add(object, "group", js_number(number));
	js_add(object, "type", js_text(about.type));
	js_add(object, "name", js_text(about.name));
	js_add(object, "viable", js_bool(!way));
	js_add(object, "in_the_way", js_text(way ? way->address : NULL));
	for (unsigned int i = 0; (fn = weir_host_member(wish->host, number, i)); i++)
		js_append(members, js_member(wish, fn));
	js_add(object, "functions", members);
	return object;
}

static struct json_object *js_computed(const struct groups_wish *wish,
				       const struct weir_host_computed *computed)
{
	struct json_object *list = computed ? js_list() : NULL;
	const struct weir_host_function *fn;

	for (unsigned int i = 0; computed && (fn = weir_host_function(wish->host, i)); i++) {
		struct weir_host_place place = weir_host_place(computed, fn);
		struct json_object *object = js_object();

		js_add(object, "address", js_text(fn->address));
		js_add(object, "group", js_number(group_now(wish, fn)));
		js_add(object, "computed", js_number(place.group));
		js_add(object, "held", js_number(place.held));
		js_add(object, "agrees", js_bool(agrees(wish, fn)));
		js_add(object, "unsure", js_bool(place.unsure));
		js_add(object, "config", js_text(place.asleep ? "asleep" :
						 place.unread ? "short" : "read"));
		js_append(list, object);
	}
	return list;
}

static int print_json(struct groups_wish *wish, const struct weir_host_computed *computed)
{
	struct json_object *object = js_object(), *groups = js_list(), *without = js_list();
	const struct weir_host_function *fn;

	for (int group = next_wanted(wish, -1); group >= 0; group = next_wanted(wish, group))
		js_append(groups, js_group(wish, group));
	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++)
		if (fn->group < 0)
			js_append(without, js_text(fn->address));
	js_add(object, "groups", groups);
	js_add(object, "ungrouped", without);
	js_add(object, "rules", js_text(computed ? "Linux 7.3" : NULL));
	js_add(object, "computed", js_computed(wish, computed));
	js_add(object, "why", wish->why ? js_why(wish, computed) : NULL);
	js_print(object);
	return wish->unread ? EXIT_UNKNOWN : EXIT_YES;
}

int group_now(const struct groups_wish *wish, const struct weir_host_function *fn)
{
	return wish->now ? weir_host_place(wish->now, fn).group : fn->group;
}

bool agrees(const struct groups_wish *wish, const struct weir_host_function *fn)
{
	return wish->agrees[index_of(wish->host, fn)];
}

/* Those that differ without a doubt come before those that may. */
static int check_status(const struct groups_wish *wish, const struct weir_host_computed *computed)
{
	const struct weir_host_function *fn;
	int status = EXIT_YES;

	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++) {
		if (weir_host_place(computed, fn).unsure)
			status = EXIT_UNKNOWN;
		else if (!agrees(wish, fn))
			return EXIT_NO;
	}
	return status;
}

/* A kernel without the ACS override patch ignores its option: its groups tell. */
static int find_override(struct groups_wish *wish)
{
	struct weir_host_compute_opts opts = { .wake = wish->wake };
	struct weir_host_computed *plain;

	if (weir_host_acs_override(wish->host, wish->override, sizeof(wish->override)) < 0)
		return fail("%s", weir_errmsg());
	if (!*wish->override)
		return GO_ON;
	if (weir_host_compute(wish->host, &opts, &plain) < 0)
		return fail("%s", weir_errmsg());
	if (!is_split(wish, plain))
		*wish->override = '\0';
	weir_host_computed_close(plain);
	return GO_ON;
}

static int compute_before(struct groups_wish *wish)
{
	struct weir_host_compute_opts opts = { .wake = wish->wake, .as_booted = *wish->override };

	wish->off = !weir_host_has_iommu(wish->host);
	if (!wish->off && !wish->n_what_if)
		return GO_ON;
	if (weir_host_compute(wish->host, &opts, &wish->before) < 0)
		return fail("%s", weir_errmsg());
	if (wish->off && wish->check)
		return fail("groups: --check: the IOMMU is off, or there is none: there are no "
			    "groups to compare with");
	return GO_ON;
}

/* For programs "group" is the kernel's; and --check is about those. */
static bool is_now_computed(const struct groups_wish *wish,
			    const struct weir_host_computed *computed)
{
	return wish->off || (wish->n_what_if && !wish->options.json && !wish->check &&
			     is_unsure(wish, computed));
}

static int compute(struct groups_wish *wish)
{
	struct weir_host_compute_opts opts = { .wake = wish->wake };
	struct weir_host_computed *computed;
	int status = read_what_if(wish);

	if (status == GO_ON && wish->why && weir_host_find(wish->host, wish->why, &wish->about) < 0)
		return fail("%s", weir_errmsg());
	if (status == GO_ON)
		status = find_override(wish);
	if (status == GO_ON)
		status = compute_before(wish);
	if (status != GO_ON)
		return status;
	opts.assume = wish->assume;
	opts.n = wish->n_assume;
	opts.as_booted = wish->n_what_if && *wish->override;
	if (weir_host_compute(wish->host, &opts, &computed) < 0)
		return fail("%s", weir_errmsg());
	if (is_now_computed(wish, computed))
		wish->now = wish->before;
	compare_groups(wish, computed);
	if (wish->options.json)
		status = print_json(wish, computed);
	else if (wish->why)
		status = show_why(wish, computed);
	else
		status = show_computed(wish, computed);
	if (wish->check)
		status = check_status(wish, computed);
	else if (is_unsure(wish, computed))
		status = EXIT_UNKNOWN;
	weir_host_computed_close(computed);
	return status;
}

static int show(struct groups_wish *wish)
{
	if (wish->check || wish->why || wish->n_what_if)
		return compute(wish);
	if (wish->options.json)
		return print_json(wish, NULL);
	if (wish->plain)
		print_plain(wish);
	else
		print_tree(wish);
	return wish->unread ? EXIT_UNKNOWN : EXIT_YES;
}

/* A group by its number, or by the address of a function in it. */
static int read_group_name(const struct groups_wish *wish, const char *text, int *group)
{
	const struct weir_host_function *fn;
	char *end;
	long number = strtol(text, &end, 10);

	if (strchr(text, ':')) {
		if (weir_host_find(wish->host, text, &fn) < 0)
			return fail("%s", weir_errmsg());
		if (fn->group < 0)
			return fail("groups: %s is in no group", fn->address);
		*group = fn->group;
		return GO_ON;
	}
	if (*text < '0' || *text > '9' || *end || number > INT_MAX)
		return fail("groups: '%s' isn't a group's number or a function's address", text);
	if (!weir_host_member(wish->host, (int)number, 0))
		return fail("groups: there is no group %ld; 'weir groups' shows those there are",
			    number);
	*group = (int)number;
	return GO_ON;
}

static int read_groups(struct groups_wish *wish, int argc, char **argv)
{
	wish->numbers = need(calloc((size_t)(argc - optind) + 1, sizeof(*wish->numbers)));
	for (; optind < argc; optind++) {
		int status = read_group_name(wish, argv[optind], &wish->numbers[wish->n_numbers]);

		if (status != GO_ON)
			return status;
		wish->n_numbers++;
	}
	return GO_ON;
}

static int read_wish(struct groups_wish *wish, int argc, char **argv)
{
	const struct own_option own[] = {
		{ .name = "check", .flag = &wish->check },
		{ .name = "plain", .flag = &wish->plain },
		{ .name = "root", .value = &wish->options.root },
		{ .name = "wake", .flag = &wish->wake },
		{ .name = "what-if", .value = wish->what_if, .count = &wish->n_what_if },
		{ .name = "why", .value = &wish->why },
	};
	int status = read_own_options(argc, argv, own, sizeof(own) / sizeof(own[0]), usage,
				      &wish->options);

	if (status == GO_ON && wish->plain &&
	    (wish->options.json || wish->check || wish->why || wish->n_what_if))
		return fail("groups: --plain shows the groups that there are; it goes with no "
			    "other option but --root");
	if (status == GO_ON && wish->why && optind < argc)
		return fail("groups: --why is about the group of its function; it takes no other");
	return status;
}

/* Of a few groups only they are read; and tables have no revisions and NUMA nodes. */
static unsigned int scan_wishes(const struct groups_wish *wish, bool few)
{
	return (few || wish->plain ? 0 : WEIR_HOST_AHEAD) |
	       (wish->options.json || wish->plain ? 0 : WEIR_HOST_BRIEF);
}

int cmd_groups(int argc, char **argv)
{
	struct groups_wish wish = { 0 };
	struct weir_host *host;
	int status = read_wish(&wish, argc, argv);

	if (status != GO_ON)
		return status;
	wish.names = names_open(wish.options.root);
	if (weir_host_open_with(wish.options.root, scan_wishes(&wish, optind < argc), &host) < 0) {
		names_close(wish.names);
		return fail("%s", weir_errmsg());
	}
	wish.host = host;
	status = read_groups(&wish, argc, argv);
	if (status == GO_ON)
		status = show(&wish);
	weir_host_computed_close(wish.before);
	names_close(wish.names);
	weir_host_close(host);
	free(wish.assume);
	free(wish.was_pretended);
	free(wish.pretended);
	free(wish.agrees);
	free(wish.numbers);
	return status;
}
