/* SPDX-License-Identifier: MIT */
/* The way back: each function to what the journal says it had, whatever state it is in now. */
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "host/step.h"
#include "host/use.h"

struct release {
	const char *root;
	const struct weir_host_release_opts *opts;
	struct wr_journal journal;
	struct wr_plan plan;
};

/* Not in the journal: nothing to do, unless nobody knows where it belongs. */
static int plan_stranger(struct release *release, const char *address)
{
	struct weir_host_function fn = { 0 };
	int ret = wr_pci_exists(release->root, address);

	if (ret < 0)
		return ret;
	snprintf(fn.address, sizeof(fn.address), "%s", address);
	ret = wr_host_scan(release->root, &fn);
	if (ret < 0)
		return ret == -ENOENT ? wr_fail(ret, "%s was unplugged", address) : ret;
	if (fn.role == WEIR_ROLE_VFIO)
		return wr_fail(-ENOENT, "%s is with %s, but 'weir bind' didn't bring it there, so "
			       "what it had before isn't known; write it to %s's unbind in sysfs "
			       "to take it away", address, fn.driver, fn.driver);
	return wr_plan_add(&release->plan, WEIR_HOST_KEEP, address, fn.driver, fn.driver,
			   "it isn't bound by 'weir bind'");
}

static bool is_elsewhere(const struct release *release, const struct wr_entry *but,
			 const char *path)
{
	for (size_t i = 0; i < release->journal.n; i++) {
		const struct wr_entry *entry = &release->journal.entries[i];

		for (unsigned int k = 0; entry != but && k < entry->n_nodes; k++)
			if (!strcmp(entry->nodes[k].path, path))
				return true;
	}
	return false;
}

/* A function that is what it was when it was bound. */
static int plan_back(struct release *release, const struct wr_entry *entry,
		     const struct wr_entry *now)
{
	char use[WR_USE_MAX], to[64];
	struct weir_host_function fn = { 0 };
	size_t before = release->plan.n;
	int ret = 0;

	if (entry->n_nodes) {
		snprintf(to, sizeof(to), "%u:%u", entry->nodes[0].uid, entry->nodes[0].gid);
		ret = wr_plan_add(&release->plan, WEIR_HOST_OWNER, entry->address, "", to, "");
	}
	if (!ret)
		ret = wr_plan_move(&release->plan, now, entry->driver, entry->override);
	if (ret < 0)
		return ret;
	if (release->plan.n == before)
		return wr_plan_add(&release->plan, WEIR_HOST_FORGET, entry->address, now->driver,
				   now->driver, "it has what it had before");

	/* The kernel would wait, in unbind, for who has it open (drivers/vfio/vfio_main.c). */
	strcpy(fn.address, entry->address);
	ret = wr_host_scan(release->root, &fn);
	if (!ret && fn.role == WEIR_ROLE_VFIO)
		ret = wr_use_vfio(release->root, &fn, use);
	if (ret == WR_USE_SOME)
		return wr_fail(-EBUSY, "%s is in use: %s; end that first", entry->address, use);
	return ret;
}

static int plan_entry(struct release *release, const struct wr_entry *entry)
{
	const char *why = NULL;
	struct wr_entry now;
	int ret = 0;

	if (release->journal.outdated) {
		why = "the machine was restarted, which undid it";
	} else {
		ret = wr_state_read(release->root, entry->address, &now);
		if (ret == -ENOENT)
			why = "it was unplugged";
		else if (ret < 0)
			return ret;
		else if (now.vendor != entry->vendor || now.device != entry->device)
			why = "another device is there by now";
	}
	if (why)
		return wr_plan_add(&release->plan, WEIR_HOST_FORGET, entry->address, "", "", why);
	return plan_back(release, entry, &now);
}

static int plan_one(struct release *release, const char *address)
{
	char canonical[WR_PCI_ADDR_MAX];
	const struct wr_entry *entry;
	struct wr_pci_addr addr;
	int ret;

	ret = wr_pci_addr_parse(address, &addr);
	if (ret < 0)
		return ret;
	wr_pci_addr_format(&addr, canonical);
	for (size_t i = 0; i < release->plan.n; i++)
		if (!strcmp(release->plan.steps[i].subject, canonical))
			return 0;	/* named twice */
	entry = wr_journal_find(&release->journal, canonical);
	return entry ? plan_entry(release, entry) : plan_stranger(release, canonical);
}

static bool is_named(const char *address, const char *const *addresses, size_t n)
{
	char canonical[WR_PCI_ADDR_MAX];
	struct wr_pci_addr addr;

	for (size_t i = 0; i < n; i++) {
		if (wr_pci_addr_parse(addresses[i], &addr) < 0)
			continue;
		wr_pci_addr_format(&addr, canonical);
		if (!strcmp(canonical, address))
			return true;
	}
	return !n;
}

/* Those in the journal backwards, as they came, then the others. An outdated journal goes whole. */
static int plan(struct release *release, const char *const *addresses, size_t n)
{
	const struct wr_journal *journal = &release->journal;
	int ret = 0;

	for (size_t i = journal->n; !ret && i-- > 0;)
		if (journal->outdated || is_named(journal->entries[i].address, addresses, n))
			ret = plan_one(release, journal->entries[i].address);
	for (size_t i = 0; !ret && i < n; i++)
		ret = plan_one(release, addresses[i]);
	return ret;
}

static int give_nodes(struct release *release, const struct wr_entry *entry)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < entry->n_nodes; i++)
		if (!is_elsewhere(release, entry, entry->nodes[i].path))
			ret = wr_node_set(release->root, &entry->nodes[i]);
	return ret;
}

static int take_step(struct release *release, const struct weir_host_step *step)
{
	if (step->action == WEIR_HOST_OWNER)
		return give_nodes(release, wr_journal_find(&release->journal, step->subject));
	return wr_step_take(release->root, step);
}

/* The steps of one function, which follow each other; then it is out of the journal. */
static int run_one(struct release *release, size_t *next)
{
	const struct weir_host_step *steps = release->plan.steps;
	const char *address = steps[*next].subject;
	int ret = 0;

	for (; *next < release->plan.n && !strcmp(steps[*next].subject, address); ++*next)
		if (!ret)
			ret = take_step(release, &steps[*next]);
	if (ret < 0 || !wr_journal_find(&release->journal, address))
		return ret;
	wr_journal_drop(&release->journal, address);
	return wr_journal_write(release->root, &release->journal);
}

static int run(struct release *release)
{
	char first[WR_USE_MAX] = "";
	size_t next = 0, failed = 0;
	int ret = 0;

	while (next < release->plan.n) {
		int err = run_one(release, &next);

		if (!err)
			continue;
		if (!failed++) {
			ret = err;
			snprintf(first, sizeof(first), "%s", weir_errmsg());
		}
	}
	if (failed > 1)
		return wr_fail(ret, "%s; and %zu more could not be given back", first, failed - 1);
	return failed ? wr_fail(ret, "%s", first) : 0;
}

int weir_host_release(const char *root, const char *const *addresses, size_t n,
		      const struct weir_host_release_opts *opts)
{
	static const struct weir_host_release_opts none = { 0 };
	struct release release = { .root = root ? root : "", .opts = opts ? opts : &none };
	int lock = -1, ret;

	ret = WR_RESERVED(release.opts, "weir_host_release_opts");
	if (ret < 0)
		return ret;
	if (!release.opts->dry_run) {
		lock = wr_journal_lock(release.root);
		if (lock < 0)
			return lock;
	}
	ret = wr_journal_read(release.root, &release.journal);
	if (!ret)
		ret = plan(&release, addresses, n);
	if (!ret && release.opts->show)
		release.opts->show(release.opts->arg, release.plan.steps, release.plan.n);
	if (!ret && !release.opts->dry_run)
		ret = run(&release);
	wr_plan_free(&release.plan);
	wr_journal_free(&release.journal);
	wr_close(lock);
	return ret;
}
