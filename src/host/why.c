/* SPDX-License-Identifier: MIT */
/*
 * Why functions share a group, in words. All steps that the kernel took on its way to the group's
 * members make a graph; it is told from the function that was asked for outwards. Steps that lead
 * to the same function by the same rule make one sentence.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/computed.h"

#define LIST_MAX	1024
#define SENTENCE_MAX	2048
#define NAMES_SHOWN	8
#define CLASS_BRIDGE	0x0604

struct story {
	const struct weir_host_computed *computed;
	int group;
	bool *told;		/* of each step */
	int *queue;		/* functions that were reached, in order */
	bool *reached;
	int *from;		/* of the sentence that is being made */
	int n_queue;
	weir_host_sentence tell;
	void *arg;
};

static const char *name_of(const struct story *s, int i)
{
	return s->computed->host->functions[i].address;
}

static const struct wr_grouping_function *function_of(const struct story *s, int i)
{
	return &s->computed->grouping.functions[i];
}

static void tell(const struct story *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(const struct story *s, const char *fmt, ...)
{
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->tell(s->arg, text);
}

/* What a function is, for people. */
static const char *kind_of(const struct wr_acs *acs)
{
	if (!acs->express)
		return acs->class_code >> 8 == CLASS_BRIDGE ? "conventional PCI bridge" :
							      "conventional PCI function";
	switch (acs->type) {
	case WR_EXPRESS_ROOT_PORT:
		return "root port";
	case WR_EXPRESS_UPSTREAM:
		return "switch's upstream port";
	case WR_EXPRESS_DOWNSTREAM:
		return "switch's downstream port";
	case WR_EXPRESS_TO_PCI:
		return "bridge to conventional PCI";
	case WR_EXPRESS_FROM_PCI:
		return "bridge from conventional PCI";
	case WR_EXPRESS_INTEGRATED:
		return "endpoint in the root complex";
	case WR_EXPRESS_COLLECTOR:
		return "event collector";
	default:
		return "endpoint";
	}
}

/* Why it doesn't isolate, behind its name: "has no ACS capability". */
static const char *fault_of(const struct story *s, const struct wr_grouping_function *f,
			    char buf[LIST_MAX])
{
	const struct wr_acs_verdict *verdict = &f->verdict;
	char bits[WR_ACS_BITS_MAX];

	switch (verdict->reason) {
	case WR_ACS_NO_CAPABILITY:
		return "has no ACS capability";
	case WR_ACS_BITS:
		snprintf(buf, LIST_MAX, "has %s switched off in its ACS control register%s",
			 wr_acs_bits(verdict->lacks, bits),
			 verdict->sure ? "" : ", unless firmware switched them on");
		return buf;
	case WR_ACS_CONVENTIONAL:
		return "is conventional PCI, which has no ACS: all on the bus hear each other";
	case WR_ACS_NEVER:
		return "is of a kind that has no ACS";
	case WR_ACS_QUIRK:
		snprintf(buf, LIST_MAX, "is on the kernel's list of those that don't isolate, or "
			 "can't be made to (%s)", verdict->quirk->name);
		return buf;
	case WR_ACS_UNREADABLE:
		snprintf(buf, LIST_MAX, "is taken as not isolating, since its config space %s",
			 f->acs.config == WR_CONFIG_ASLEEP ? "couldn't be read without waking it" :
			 *s->computed->host->root ? "wasn't captured, which takes root" :
			 "couldn't be read, which takes root");
		return buf;
	case WR_ACS_ASSUMED:
	case WR_ACS_SINGLE:
		break;
	}
	return "isolates";
}

static bool same_edge(const struct wr_grouping_step *a, const struct wr_grouping_step *b)
{
	return a->rule == b->rule && a->to == b->to;
}

static bool in_story(const struct story *s, int function)
{
	return s->computed->result.places[function].group == s->group;
}

/* The steps that were taken for members of the group, one after the other. */
static int next_step(const struct story *s, int after)
{
	const struct wr_grouping_result *result = &s->computed->result;

	for (int i = after + 1; i < result->n_steps; i++)
		if (in_story(s, result->steps[i].of))
			return i;
	return -1;
}

static void reach(struct story *s, int function)
{
	if (!s->reached[function])
		s->queue[s->n_queue++] = function;
	s->reached[function] = true;
}

/* "A, B and C": from where steps like this one come; they are told with it, and reached. */
static const char *list_from(struct story *s, const struct wr_grouping_step *like,
			     char buf[LIST_MAX], int *count)
{
	const struct wr_grouping_result *result = &s->computed->result;
	int *from = s->from, n = 0, shown;
	size_t len = 0;

	buf[0] = '\0';
	for (int i = next_step(s, -1); i >= 0; i = next_step(s, i)) {
		const struct wr_grouping_step *step = &result->steps[i];
		bool known = false;

		if (!same_edge(step, like))
			continue;
		s->told[i] = true;
		for (int j = 0; j < n; j++)
			known |= from[j] == step->from;
		if (!known)
			from[n++] = step->from;
	}
	shown = n > NAMES_SHOWN ? NAMES_SHOWN - 1 : n;
	for (int j = 0; j < n; j++) {
		reach(s, from[j]);
		if (j < shown)
			len += (size_t)snprintf(buf + len, LIST_MAX - len, "%s%s",
						!j ? "" : j == n - 1 ? " and " : ", ",
						name_of(s, from[j]));
	}
	if (n > shown)
		snprintf(buf + len, LIST_MAX - len, " and %d others", n - shown);
	*count = n;
	return buf;
}

static void tell_path(struct story *s, const struct wr_grouping_step *step)
{
	char list[LIST_MAX], fault[LIST_MAX];
	int n, breaks = wr_grouping_breaks(&s->computed->grouping, step->to);
	const struct wr_grouping_function *f = function_of(s, breaks);
	const char *from = list_from(s, step, list, &n);

	if (breaks == step->to)
		tell(s, "%s: %s behind %s, a %s which %s", from, n > 1 ? "they are" : "it is",
		     name_of(s, breaks), kind_of(&f->acs), fault_of(s, f, fault));
	else
		tell(s, "%s: %s behind %s, and between that and the root is %s, a %s which %s",
		     from, n > 1 ? "they are" : "it is", name_of(s, step->to), name_of(s, breaks),
		     kind_of(&f->acs), fault_of(s, f, fault));
}

static void tell_peer(struct story *s, const struct wr_grouping_step *step)
{
	char list[LIST_MAX], fault[LIST_MAX];
	int n;
	const char *from = list_from(s, step, list, &n);
	const struct wr_grouping_function *f = function_of(s, step->to);

	tell(s, "%s and %s: they are functions of one device, which aren't kept apart, since %s %s",
	     from, name_of(s, step->to), name_of(s, step->to), fault_of(s, f, fault));
}

static void tell_bridge(struct story *s, const struct wr_grouping_step *step)
{
	const struct wr_grouping_function *f = function_of(s, step->to);
	char list[LIST_MAX], fault[LIST_MAX];
	int n;
	const char *from = list_from(s, step, list, &n);

	if (f->acs.config == WR_CONFIG_READ)
		tell(s, "%s: the DMA arrives under the id of %s, a %s, so that the IOMMU can't "
		     "tell apart what is behind it", from, name_of(s, step->to),
		     kind_of(&f->acs));
	else
		tell(s, "%s: if %s is a conventional PCI bridge the DMA arrives under its id; that "
		     "can't be told, and it %s", from, name_of(s, step->to), fault_of(s, f, fault));
}

static void tell_step(struct story *s, const struct wr_grouping_step *step)
{
	char list[LIST_MAX];
	int n;

	switch (step->rule) {
	case WR_GROUPING_PATH:
		tell_path(s, step);
		break;
	case WR_GROUPING_PEER:
		tell_peer(s, step);
		break;
	case WR_GROUPING_BRIDGE:
		tell_bridge(s, step);
		break;
	case WR_GROUPING_ALIAS:
		tell(s, "%s and %s: DMA of one of them is known to arrive under the other's id, so "
		     "that the IOMMU can't tell them apart", list_from(s, step, list, &n),
		     name_of(s, step->to));
		break;
	case WR_GROUPING_DMA:
		tell(s, "%s: the DMA goes as that of %s, the VMD in front of it",
		     list_from(s, step, list, &n), name_of(s, step->to));
		break;
	}
	reach(s, step->to);
}

static void tell_steps_at(struct story *s, int function)
{
	const struct wr_grouping_result *result = &s->computed->result;

	for (int i = next_step(s, -1); i >= 0; i = next_step(s, i))
		if (!s->told[i] &&
		    (result->steps[i].from == function || result->steps[i].to == function))
			tell_step(s, &result->steps[i]);
}

/* What keeps a function that is alone from others, upwards. */
static void tell_alone(const struct story *s, int function)
{
	const struct wr_grouping *g = &s->computed->grouping;
	char list[LIST_MAX] = "";
	size_t len = 0;

	for (int bus = g->functions[function].bus; bus >= 0; bus = g->buses[bus].parent)
		if (g->buses[bus].self >= 0 && len < LIST_MAX)
			len += (size_t)snprintf(list + len, LIST_MAX - len, "%s%s",
						len ? ", " : "", name_of(s, g->buses[bus].self));
	if (len)
		tell(s, "%s is alone in its group: all that is between it and the root isolates "
		     "(%s)", name_of(s, function), list);
	else
		tell(s, "%s is alone in its group: it is on a root bus, and no other function of "
		     "its device could take part", name_of(s, function));
}

static int members_of(const struct story *s)
{
	int count = 0;

	for (int i = 0; i < s->computed->grouping.n; i++)
		count += in_story(s, i);
	return count;
}

/* The group that the kernel made is smaller, and may be by pretending. */
static void tell_override(const struct story *s, int at)
{
	const struct weir_host_function *functions = s->computed->host->functions;

	for (int i = 0; i < s->computed->grouping.n; i++)
		if (s->computed->override[0] && in_story(s, i) &&
		    functions[i].group != functions[at].group) {
			tell(s, "the kernel was started with pcie_acs_override=%s: with the ACS "
			     "override patch it pretends that what is told here isn't so",
			     s->computed->override);
			return;
		}
}

/* Whether a device, all that is on its bus, shares its group with others and could be moved. */
static bool would_better_move(const struct story *s, int at)
{
	const struct wr_grouping *g = &s->computed->grouping;
	const struct wr_acs *acs = &g->functions[at].acs;
	int bus = g->functions[at].bus, up = g->buses[bus].self;
	bool shares = false;

	if (up < 0 || !wr_acs_is_port(&g->functions[up].acs) || !acs->express || acs->vf ||
	    acs->class_code >> 8 == CLASS_BRIDGE)
		return false;
	for (int i = 0; i < g->n; i++)
		shares |= in_story(s, i) && g->functions[i].bus != bus;
	return shares;
}

/* Whether a device behind it would share its group with nothing else. */
static bool is_better_port(const struct story *s, int port)
{
	const struct wr_grouping *g = &s->computed->grouping;
	const struct wr_grouping_place *places = s->computed->result.places;
	const struct wr_grouping_function *f = &g->functions[port];

	if (!wr_acs_is_port(&f->acs) || !f->path)
		return false;
	for (int i = 0; i < g->n; i++)
		if (g->buses[g->functions[i].bus].self == port ||
		    (i != port && places[i].group == places[port].group))
			return false;
	return places[port].group >= 0;
}

/* What to try next. */
static void tell_ports(const struct story *s, int at)
{
	char list[LIST_MAX] = "";
	size_t len = 0;
	int first = -1, n = 0;

	if (s->computed->assumed || !would_better_move(s, at))
		return;
	for (int i = 0; i < s->computed->grouping.n; i++) {
		if (!is_better_port(s, i))
			continue;
		if (!n++)
			first = i;
		if (n <= NAMES_SHOWN)
			len += (size_t)snprintf(list + len, LIST_MAX - len, "%s%s",
						n > 1 ? ", " : "", name_of(s, i));
	}
	if (n > NAMES_SHOWN)
		snprintf(list + len, LIST_MAX - len, " and %d more", n - NAMES_SHOWN);
	if (n)
		tell(s, "ports that isolate and have nothing behind them: %s; if there is a slot, "
		     "try 'weir groups --what-if move=%s@%s'", list, name_of(s, at),
		     name_of(s, first));
}

int weir_host_why(const struct weir_host_computed *computed,
		  const struct weir_host_function *function, weir_host_sentence sentence, void *arg)
{
	int at = (int)(function - computed->host->functions);
	struct story s = {
		.computed = computed,
		.group = computed->result.places[at].group,
		.told = calloc((size_t)computed->result.n_steps + 1, sizeof(bool)),
		.queue = calloc((size_t)computed->grouping.n + 1, sizeof(int)),
		.reached = calloc((size_t)computed->grouping.n + 1, sizeof(bool)),
		.from = calloc((size_t)computed->grouping.n + 1, sizeof(int)),
		.tell = sentence,
		.arg = arg,
	};
	int ret = 0;

	if (!s.told || !s.queue || !s.reached || !s.from) {
		ret = wr_fail(-ENOMEM, "no memory to explain a group");
	} else if (s.group < 0) {
		tell(&s, "%s is in no group: it isn't behind an IOMMU", function->address);
	} else {
		reach(&s, at);
		for (int i = 0; i < s.n_queue; i++)
			tell_steps_at(&s, s.queue[i]);
		if (members_of(&s) == 1)
			tell_alone(&s, at);
		tell_override(&s, at);
		tell_ports(&s, at);
	}
	free(s.told);
	free(s.queue);
	free(s.reached);
	free(s.from);
	return ret;
}
