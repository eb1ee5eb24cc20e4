/* SPDX-License-Identifier: MIT */
/* The computed half of 'weir groups': --what-if, --check, --why. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "groups.h"
#include "out_parts.h"
#include "weir.h"

#define FLAGS_MAX	7	/* SV to DT */
#define DOUBTS_SHOWN	8

static bool find(const struct groups_wish *wish, const char *address,
		 const struct weir_host_function **fn)
{
	if (!weir_host_find(wish->host, address, fn))
		return true;
	fail("%s", weir_errmsg());
	return false;
}

static void add_assumption(struct groups_wish *wish, const struct weir_host_assume *assume)
{
	wish->assume = need(realloc(wish->assume, (wish->n_assume + 1) * sizeof(*assume)));
	wish->assume[wish->n_assume++] = *assume;
}

static bool read_acs_item(struct groups_wish *wish, const char *item)
{
	struct weir_host_assume assume = { .kind = WEIR_ASSUME_ACS };

	if (!strcmp(item, "downstream"))
		assume.kind = WEIR_ASSUME_DOWNSTREAM;
	else if (!strcmp(item, "multifunction"))
		assume.kind = WEIR_ASSUME_MULTIFUNCTION;
	else if (!find(wish, item, &assume.function))
		return false;
	add_assumption(wish, &assume);
	return true;
}

/* A list, as that of pcie_acs_override=. */
static bool read_acs(struct groups_wish *wish, const char *what)
{
	char *list = need(strdup(what)), *rest = list, *item;
	bool good = true;

	while (good && (item = strsep(&rest, ",")))
		good = read_acs_item(wish, item);
	free(list);
	return good;
}

/* As pci=config_acs= takes them: the last character is bit 0. */
static bool read_flags(const char *flags, size_t len, struct weir_host_assume *assume)
{
	if (!len || len > FLAGS_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint16_t bit = (uint16_t)(1U << (len - 1 - i));

		if (!strchr("01xX", flags[i]))
			return false;
		if (flags[i] == '0' || flags[i] == '1')
			assume->mask |= bit;
		if (flags[i] == '1')
			assume->bits |= bit;
	}
	return true;
}

static bool read_config(struct groups_wish *wish, const char *what)
{
	struct weir_host_assume assume = { .kind = WEIR_ASSUME_CONFIG_ACS };
	const char *at = strchr(what, '@');

	if (!at || !read_flags(what, (size_t)(at - what), &assume)) {
		fail("groups: --what-if config_acs=%s: it takes FLAGS@BDF, FLAGS being up to 7 "
		     "of 0, 1 and x, the last for SV, then TB, RR, CR, UF, EC and DT", what);
		return false;
	}
	if (!find(wish, at + 1, &assume.function))
		return false;
	add_assumption(wish, &assume);
	return true;
}

static bool read_move(struct groups_wish *wish, const char *what)
{
	struct weir_host_assume assume = { .kind = WEIR_ASSUME_MOVED };
	const char *at = strchr(what, '@');
	char address[32];

	if (!at || (size_t)(at - what) >= sizeof(address)) {
		fail("groups: --what-if move=%s: it takes BDF@PORT, both addresses like "
		     "01:00.0", what);
		return false;
	}
	snprintf(address, sizeof(address), "%.*s", (int)(at - what), what);
	if (!find(wish, address, &assume.function) || !find(wish, at + 1, &assume.port))
		return false;
	add_assumption(wish, &assume);
	return true;
}

int read_what_if(struct groups_wish *wish)
{
	static const struct {
		const char *name;
		bool (*read)(struct groups_wish *wish, const char *what);
	} kinds[] = {
		{ "acs=", read_acs },
		{ "config_acs=", read_config },
		{ "move=", read_move },
	};

	for (size_t i = 0; i < wish->n_what_if; i++) {
		const char *text = wish->what_if[i];
		size_t kind = 0;

		while (kind < 3 && strncmp(text, kinds[kind].name, strlen(kinds[kind].name)))
			kind++;
		if (kind == 3)
			return fail("groups: --what-if %s: it takes acs=, config_acs= or move=; "
				    "what pcie_acs_override= takes is acs= here; see 'weir groups "
				    "--help'", text);
		if (!kinds[kind].read(wish, text + strlen(kinds[kind].name)))
			return EXIT_UNKNOWN;
	}
	return GO_ON;
}

/* A function, and the groups that two ways of grouping put it into. */
struct placed {
	int one, other;
	unsigned int function;
};

static int by_one(const void *a, const void *b)
{
	const struct placed *pa = a, *pb = b;

	return pa->one < pb->one ? -1 : pa->one > pb->one;
}

/* Of each function, whether all that share its group one way share theirs the other way. */
static bool *stay_together(const int *one, const int *other, unsigned int n)
{
	struct placed *all = need(calloc(n + 1, sizeof(*all)));
	bool *together = need(calloc(n + 1, sizeof(*together)));
	unsigned int end;

	for (unsigned int i = 0; i < n; i++)
		all[i] = (struct placed){ one[i], other[i], i };
	qsort(all, n, sizeof(*all), by_one);
	for (unsigned int first = 0; first < n; first = end) {
		bool same = true;

		for (end = first; end < n && all[end].one == all[first].one; end++)
			same &= all[end].other == all[first].other;
		for (unsigned int i = first; i < end; i++)
			together[all[i].function] = same;
	}
	free(all);
	return together;
}

bool is_split(const struct groups_wish *wish, const struct weir_host_computed *plain)
{
	unsigned int n = weir_host_count(wish->host);
	int *now = need(calloc(n + 1, sizeof(*now)));
	int *whole = need(calloc(n + 1, sizeof(*whole)));
	bool *together, split = false;

	for (unsigned int i = 0; i < n; i++) {
		const struct weir_host_function *fn = weir_host_function(wish->host, i);

		now[i] = fn->group;
		whole[i] = weir_host_place(plain, fn).group;
	}
	together = stay_together(whole, now, n);
	for (unsigned int i = 0; i < n; i++) {
		const struct weir_host_function *fn = weir_host_function(wish->host, i);

		split |= now[i] >= 0 && whole[i] >= 0 && !together[i] &&
			 !weir_host_place(plain, fn).unsure;
	}
	free(together);
	free(whole);
	free(now);
	return split;
}

void compare_groups(struct groups_wish *wish, const struct weir_host_computed *computed)
{
	unsigned int n = weir_host_count(wish->host);
	int *now = need(calloc(n + 1, sizeof(*now)));
	int *then = need(calloc(n + 1, sizeof(*then)));
	int *held = need(calloc(n + 1, sizeof(*held)));
	int *held_now = need(calloc(n + 1, sizeof(*held_now)));
	bool *nobody_left, *nobody_came, *nobody_freed, *nobody_freed_now;

	for (unsigned int i = 0; i < n; i++) {
		const struct weir_host_function *fn = weir_host_function(wish->host, i);
		struct weir_host_place place = weir_host_place(computed, fn);

		now[i] = group_now(wish, fn);
		then[i] = place.group;
		held[i] = place.held;
		held_now[i] = wish->before ? weir_host_place(wish->before, fn).held : -1;
	}
	nobody_left = stay_together(now, then, n);
	nobody_came = stay_together(then, now, n);
	nobody_freed = stay_together(held, then, n);
	nobody_freed_now = stay_together(held_now, now, n);
	wish->agrees = need(calloc(n + 1, sizeof(*wish->agrees)));
	wish->pretended = need(calloc(n + 1, sizeof(*wish->pretended)));
	wish->was_pretended = need(calloc(n + 1, sizeof(*wish->was_pretended)));
	for (unsigned int i = 0; i < n; i++) {
		wish->agrees[i] = now[i] < 0 || then[i] < 0 ? now[i] < 0 && then[i] < 0 :
				  nobody_left[i] && nobody_came[i];
		wish->pretended[i] = held[i] >= 0 && !nobody_freed[i];
		wish->was_pretended[i] = held_now[i] >= 0 && !nobody_freed_now[i];
	}
	free(nobody_freed_now);
	free(nobody_freed);
	free(nobody_came);
	free(nobody_left);
	free(held_now);
	free(held);
	free(then);
	free(now);
}

/* Whether the answer is about a function: about all, or those of the groups asked for. */
static bool concerns(const struct groups_wish *wish, const struct weir_host_computed *computed,
		     const struct weir_host_function *fn)
{
	const struct weir_host_function *about = wish->about;

	if (!about)
		return is_wanted(wish, fn->group);
	return weir_host_place(computed, fn).group == weir_host_place(computed, about).group ||
	       (fn->group >= 0 && fn->group == about->group);
}

bool is_unsure(const struct groups_wish *wish, const struct weir_host_computed *computed)
{
	const struct weir_host_function *fn;

	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++)
		if (weir_host_place(computed, fn).unsure && concerns(wish, computed, fn))
			return true;
	return false;
}

/* A group of the kernel's isn't held against one that isn't sure. */
static bool differs(const struct groups_wish *wish, const struct weir_host_computed *computed,
		    const struct weir_host_function *fn)
{
	return !agrees(wish, fn) && (wish->now || !weir_host_place(computed, fn).unsure);
}

/* The functions whose company changes. Returns how many there are. */
static int print_changes(const struct groups_wish *wish, const struct weir_host_computed *computed)
{
	enum { NOW, THEN, FUNCTION, DRIVER, NAME, COLUMNS };
	const struct column columns[COLUMNS] = {
		[NOW] = { .name = "NOW", .right = true },
		[THEN] = { .name = wish->n_what_if ? "THEN" : "COMPUTED", .right = true },
		[FUNCTION] = { .name = "FUNCTION" },
		[DRIVER] = { .name = "DRIVER" },
		[NAME] = { .name = "NAME", .cut = true },
	};
	struct out_table *table = table_new(columns, COLUMNS, true);
	const struct weir_host_function *fn;
	char name[2 * NAME_TEXT_MAX];
	int count = 0;

	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++) {
		struct out_row *row;

		if (!differs(wish, computed, fn) || !concerns(wish, computed, fn))
			continue;
		row = table_row(table);
		table_number(row, NOW, group_now(wish, fn));
		table_number(row, THEN, weir_host_place(computed, fn).group);
		table_cell(row, FUNCTION, "%s", fn->address);
		table_cell(row, DRIVER, "%s", *fn->driver ? fn->driver : "-");
		table_cell(row, NAME, "%s", full_name(wish->names, fn, name));
		count++;
	}
	table_print(table);
	if (count) {
		say("%s", "");
		say("%s is numbered anew: its groups aren't those of the same numbers in NOW.",
		    columns[THEN].name);
	}
	return count;
}

/* The members of a group, computed or, with NULL, now: "0000:01:00.0 0000:01:00.1"; free() it. */
static char *members_text(const struct groups_wish *wish,
			  const struct weir_host_computed *computed, int group)
{
	const struct weir_host_function *fn;
	char *text = NULL;

	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++) {
		char *longer;

		if ((computed ? weir_host_place(computed, fn).group : group_now(wish, fn)) != group)
			continue;
		if (asprintf(&longer, "%s%s%s", text ? text : "", text ? " " : "",
			     fn->address) < 0)
			no_memory();
		free(text);
		text = longer;
	}
	return text;
}

/* Whether @fn is the first, by address, of its computed group. */
static bool is_first(const struct groups_wish *wish, const struct weir_host_computed *computed,
		     const struct weir_host_function *fn)
{
	const struct weir_host_function *other;
	int group = weir_host_place(computed, fn).group;

	for (unsigned int i = 0; (other = weir_host_function(wish->host, i)) != fn; i++)
		if (weir_host_place(computed, other).group == group)
			return false;
	return true;
}

/* Whether what stays together for the hardware with @fn has one of those that it is about. */
static bool held_concerns(const struct groups_wish *wish,
			  const struct weir_host_computed *computed,
			  const struct weir_host_function *fn)
{
	const struct weir_host_function *other;
	int held = weir_host_place(computed, fn).held;

	for (unsigned int i = 0; (other = weir_host_function(wish->host, i)); i++)
		if (weir_host_place(computed, other).held == held &&
		    concerns(wish, computed, other))
			return true;
	return false;
}

static bool heads_held(const struct groups_wish *wish, const struct weir_host_computed *computed,
		       const struct weir_host_function *fn)
{
	const struct weir_host_function *other;
	int held = weir_host_place(computed, fn).held;

	for (unsigned int i = 0; (other = weir_host_function(wish->host, i)) != fn; i++)
		if (weir_host_place(computed, other).held == held)
			return false;
	return true;
}

static void warn_of_price(void)
{
	say("%s", "");
	say_heading("This isolation is only pretended.");
	say("Nothing in the hardware changes: DMA may still go between these groups without the");
	say("IOMMU seeing it. Whoever drives a device of one of them may make it read and write");
	say("registers and memory of the devices in the others.");
}

/* The price: what stays together for the hardware, and is called separate. */
static void print_price(const struct groups_wish *wish, const struct weir_host_computed *computed)
{
	const struct weir_host_function *fn, *other;
	bool any = false;

	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++) {
		int held = weir_host_place(computed, fn).held;

		if (!wish->pretended[i] || !heads_held(wish, computed, fn) ||
		    !held_concerns(wish, computed, fn))
			continue;
		if (!any)
			warn_of_price();
		any = true;
		say("%s", "");
		for (unsigned int j = 0; (other = weir_host_function(wish->host, j)); j++) {
			int group = weir_host_place(computed, other).group;
			char *text;

			if (weir_host_place(computed, other).held != held ||
			    !is_first(wish, computed, other))
				continue;
			text = members_text(wish, computed, group);
			say("  %3d: %s", group, text);
			free(text);
		}
	}
}

/* What the answer stands on: which config space couldn't be read, and whose groups that leaves
 * open. */
static void print_doubts(const struct groups_wish *wish, const struct weir_host_computed *computed)
{
	const struct weir_host_function *fn;
	int unsure = 0, asleep = 0, shut = 0, shown = 0, most;

	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++) {
		struct weir_host_place place = weir_host_place(computed, fn);

		unsure += place.unsure && concerns(wish, computed, fn);
		asleep += place.asleep;
		shut += place.unread && !place.asleep;
	}
	if (!unsure)
		return;
	most = unsure > DOUBTS_SHOWN ? DOUBTS_SHOWN - 1 : unsure;
	say_heading("Of %d functions this isn't sure:", unsure);
	for (unsigned int i = 0; shown < most && (fn = weir_host_function(wish->host, i)); i++)
		if (weir_host_place(computed, fn).unsure && concerns(wish, computed, fn)) {
			say("  %s", fn->address);
			shown++;
		}
	if (shown < unsure)
		say("  and %d more", unsure - shown);
	if (shut && wish->options.root && *wish->options.root)
		say("The config space of %d wasn't captured: capture it as root.", shut);
	else if (shut)
		say("The config space of %d couldn't be read, which takes root.", shut);
	if (asleep)
		say("%s of %d wasn't read, since that would wake something; --wake reads it.",
		    shut ? "That" : "The config space", asleep);
	if (!shut && !asleep)
		say("It depends on what no file tells: see WHAT ISN'T SURE in weir-groups(1).");
	if (wish->now && !wish->off && !wish->about)
		say("NOW is computed from the same: what differs comes of the assumption alone.");
	say("%s", "");
}

/* What doesn't change in the table may still become true. */
static void print_made_real(const struct groups_wish *wish,
			    const struct weir_host_computed *computed)
{
	const struct weir_host_function *fn;
	bool any = false;

	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++) {
		if (!*wish->override || !wish->was_pretended[i] || wish->pretended[i] ||
		    !agrees(wish, fn) || weir_host_place(computed, fn).unsure ||
		    !concerns(wish, computed, fn))
			continue;
		if (!any)
			say("The isolation of these is pretended now, and would be real then:");
		any = true;
		say("  %s", fn->address);
	}
}

/* When none changes of those that it is about. */
static void say_unchanged(const struct groups_wish *wish,
			  const struct weir_host_computed *computed)
{
	const struct weir_host_function *fn;
	bool others = false;

	if (is_unsure(wish, computed)) {
		say("No group is known to %s.", wish->n_what_if ? "change" : "differ");
		return;
	}
	if (!wish->n_what_if) {
		say("The groups are as weir computes them.");
		return;
	}
	for (unsigned int i = 0; (fn = weir_host_function(wish->host, i)); i++)
		others |= differs(wish, computed, fn);
	if (wish->n_numbers == 1)
		say("Group %d doesn't change%s.", wish->numbers[0], others ? "; others do" : "");
	else
		say("No group changes%s.", others ? " of those asked for; others do" : "");
}

int show_computed(const struct groups_wish *wish, const struct weir_host_computed *computed)
{
	print_doubts(wish, computed);
	if (wish->off)
		say("The IOMMU is off, or there is none. NOW is what there would be with it on.");
	if (*wish->override && wish->n_what_if)
		say("The kernel was started with pcie_acs_override=%s; THEN is with it, too.",
		    wish->override);
	if (!print_changes(wish, computed))
		say_unchanged(wish, computed);
	if (*wish->override && !wish->n_what_if) {
		say("The kernel was started with pcie_acs_override=%s: what is apart in NOW and",
		    wish->override);
		say("together in COMPUTED only pretends to be isolated.");
	}
	print_made_real(wish, computed);
	print_price(wish, computed);
	return EXIT_YES;
}

static void say_sentence(void *arg, const char *sentence)
{
	(void)arg;
	say("%c%s.", toupper((unsigned char)*sentence), sentence + 1);
}

static void add_sentence(void *arg, const char *sentence)
{
	js_append(arg, js_text(sentence));
}

/*
 * Whether the kernel's group has members without a reason that is there now. With a device tree
 * kernels may switch on ACS only afterwards (drivers/iommu/of_iommu.c in 6.12).
 */
static bool is_wider(const struct groups_wish *wish, const struct weir_host_computed *computed,
		     const struct weir_host_function *fn)
{
	struct weir_host_place place = weir_host_place(computed, fn);
	const struct weir_host_function *other;

	if (wish->off || fn->group < 0 || place.unsure || place.group < 0)
		return false;
	for (unsigned int i = 0; (other = weir_host_function(wish->host, i)); i++)
		if (other->group == fn->group &&
		    weir_host_place(computed, other).group != place.group)
			return true;
	return false;
}

/* The kernel's group, and the one that is explained, where that is another. */
static void say_where(const struct groups_wish *wish, const struct weir_host_computed *computed)
{
	const struct weir_host_function *fn = wish->about;
	int group = weir_host_place(computed, fn).group;
	bool assumed = wish->off || wish->n_what_if;
	char *text;

	if (wish->off)
		say("The IOMMU is off, or there is none. This is what there would be with it on.");
	if (!assumed && fn->group >= 0) {
		text = members_text(wish, NULL, fn->group);
		say_heading("%s is in group %d: %s", fn->address, fn->group, text);
		free(text);
		if (agrees(wish, fn))
			return;
	}
	if (group < 0)
		return;
	text = members_text(wish, computed, group);
	if (assumed)
		say_heading("%s would be in group %d: %s", fn->address, group, text);
	else
		say("As weir computes it, its group would be: %s", text);
	free(text);
}

int show_why(const struct groups_wish *wish, const struct weir_host_computed *computed)
{
	const struct weir_host_function *fn = wish->about;

	print_doubts(wish, computed);
	say_where(wish, computed);
	if (weir_host_why(computed, fn, say_sentence, NULL) < 0)
		no_memory();
	if (!wish->n_what_if && is_wider(wish, computed, fn))
		say("The kernel's group %d has more members: what isolates now didn't when the "
		    "kernel made it. It stays so until its devices are removed and found anew.",
		    fn->group);
	print_price(wish, computed);
	return EXIT_YES;
}

struct json_object *js_why(const struct groups_wish *wish,
			   const struct weir_host_computed *computed)
{
	struct json_object *list = js_list();

	if (weir_host_why(computed, wish->about, add_sentence, list) < 0)
		no_memory();
	return list;
}
