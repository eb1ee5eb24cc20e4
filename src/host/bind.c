/* SPDX-License-Identifier: MIT */
/* The way to vfio-pci: look, refuse or plan, journal, do, and undo what was done when it fails. */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/sys.h"
#include "host/step.h"
#include "host/text.h"
#include "host/use.h"

#define HOST_BRIDGE 0x0600	/* class and subclass */

struct bind {
	const char *root;
	const struct weir_host_bind_opts *opts;
	bool again;			/* for what was bound a moment ago */
	struct weir_host *host;
	size_t n;
	const struct weir_host_function **fns;
	struct wr_entry *before;	/* of each function, with the nodes that changed owner */
	struct wr_journal old;		/* without what an earlier boot left */
	struct wr_journal journal;
	struct wr_plan plan;
};

/* ---- which functions ---- */

static bool is_taken(const struct bind *bind, const struct weir_host_function *fn)
{
	for (size_t i = 0; i < bind->n; i++)
		if (bind->fns[i] == fn)
			return true;
	return false;
}

static void take(struct bind *bind, const struct weir_host_function *fn)
{
	if (!is_taken(bind, fn))
		bind->fns[bind->n++] = fn;
}

/* vfio-pci takes only functions whose header is of type 0 (vfio_pci_core.c). */
static int is_bridge(const struct bind *bind, const struct weir_host_function *fn)
{
	uint8_t header[PCI_STD_HEADER_SIZEOF];
	int ret = weir_host_config(bind->host, fn, header, sizeof(header));

	if (ret < 0)
		return ret;
	if (ret <= PCI_HEADER_TYPE)
		return wr_fail(-EIO, "%s: its config space has only %d bytes", fn->address, ret);
	return header[PCI_HEADER_TYPE] & 0x7f ? 1 : 0;
}

static int take_named(struct bind *bind, const char *address)
{
	const struct weir_host_function *fn;
	int ret = weir_host_find(bind->host, address, &fn);

	if (!ret)
		ret = is_bridge(bind, fn);
	if (ret > 0)
		return wr_fail(-EINVAL, "%s is a bridge, and vfio-pci takes none; name the "
			       "functions behind it", fn->address);
	/* It has a header of type 0, and vfio-pci takes it; but it is a part of the machine. */
	if (!ret && fn->class_code >> 8 == HOST_BRIDGE)
		return wr_fail(-EINVAL, "%s is a host bridge, by which the machine reaches its "
			       "devices, and none itself; name one of those", fn->address);
	if (!ret)
		take(bind, fn);
	return ret;
}

/* What keeps the groups of the functions from being given away: taken along, or named. */
static int take_members(struct bind *bind)
{
	const struct weir_host_function *fn;
	struct wr_few hinder = { .n = 0 };
	size_t named = bind->n;
	bool bridge = false;
	int ret;

	for (unsigned int k = 0; (fn = weir_host_function(bind->host, k)); k++) {
		bool member = false;

		for (size_t i = 0; i < named; i++)
			member |= fn->group >= 0 && bind->fns[i]->group == fn->group;
		if (!member || fn->role != WEIR_ROLE_IN_THE_WAY || is_taken(bind, fn))
			continue;
		ret = is_bridge(bind, fn);
		if (ret < 0)
			return ret;
		bridge |= ret;
		if (bind->opts->group && !ret)
			take(bind, fn);
		else
			wr_few_add(&hinder, "%s (%s)", fn->address, fn->driver);
	}
	if (!hinder.n || bind->opts->force) {
		if (hinder.n)
			wr_log(WEIR_LOG_WARN, "the group isn't usable before these have left their "
			       "drivers: %s", hinder.text);
		return 0;
	}
	return wr_fail(-EBUSY, "%s can't be given away alone: in its IOMMU group %d are also %s; "
		       "%s", bind->fns[0]->address, bind->fns[0]->group, hinder.text,
		       bridge ? "a bridge must leave its driver by hand" :
		       "take them along with --group");
}

/* ---- what speaks against it ---- */

static bool is_there(const char *root, const char *what)
{
	char path[WR_PCI_PATH_MAX];

	return snprintf(path, sizeof(path), "%s%s", root, what) < (int)sizeof(path) &&
	       !wr_sys->access(path);
}

/* By a device tree, a function gets its group when the first driver is tried with it. */
static bool may_come_late(const char *root)
{
	return wr_pci_any_iommu(root) && is_there(root, "/sys/firmware/devicetree/base");
}

/*
 * Whether vfio-pci takes functions without a group, by vfio's parameter: 1 or 0; -ENOENT where
 * the kernel was built without it; -EAGAIN as long as the module isn't there, for modprobe's
 * files and the kernel's command line may have the parameter be on. path[] gets its file.
 */
static int noiommu_mode(const char *root, char path[WR_PCI_PATH_MAX])
{
	char mode[8];
	int ret;

	if (snprintf(path, WR_PCI_PATH_MAX, "%s/sys/module/vfio/parameters/"
		     "enable_unsafe_noiommu_mode", root) >= WR_PCI_PATH_MAX)
		return -EAGAIN;
	ret = wr_read_text(path, mode, sizeof(mode));
	if (ret >= 0)
		return mode[0] == 'Y';
	return ret == -ENOENT && is_there(root, "/sys/module/vfio") ? -ENOENT : -EAGAIN;
}

static int check_group(const struct bind *bind, const struct weir_host_function *fn)
{
	static const char on[] = "switch the IOMMU on, in the firmware (VT-d, AMD-Vi) and on the "
		"kernel's command line (intel_iommu=on)";
	char path[WR_PCI_PATH_MAX];
	int mode;

	if (fn->group >= 0 || may_come_late(bind->root))
		return 0;
	mode = noiommu_mode(bind->root, path);
	if (mode == -ENOENT)
		return wr_fail(-ENODEV, "%s is in no IOMMU group, so vfio-pci refuses it; %s; this "
			       "kernel can't do without (there is no %s)", fn->address, on, path);
	if (!mode)
		return wr_fail(-ENODEV, "%s is in no IOMMU group, so vfio-pci refuses it; %s, or, "
			       "to do without any isolation, write Y to %s", fn->address, on, path);
	return 0;
}

/* What can't be known of a function before vfio-pci is tried with it; "" for nothing. */
static const char *doubt(const struct bind *bind, const struct weir_host_function *fn)
{
	char path[WR_PCI_PATH_MAX];

	if (fn->group >= 0)
		return "";
	if (may_come_late(bind->root))
		return "its IOMMU group isn't there before; if others in it are in the way, this "
		       "is undone";
	return noiommu_mode(bind->root, path) == -EAGAIN ?
	       "it is in no IOMMU group: vfio-pci refuses it, unless the module vfio comes with "
	       "no-IOMMU mode on" : "";
}

static int check_use(const struct bind *bind, const struct weir_host_function *fn)
{
	char use[WR_USE_MAX] = "";
	int ret;

	if (fn->role != WEIR_ROLE_VFIO)
		ret = wr_use(bind->root, fn, use);
	else
		ret = bind->opts->set_owner ? wr_use_vfio(bind->root, fn, use) : WR_USE_NONE;
	if (ret == WR_USE_ROOT)
		return wr_fail(-EBUSY, "%s is in use: %s; the disk of the root file system isn't "
			       "taken, not even with --force", fn->address, use);
	if (ret > WR_USE_NONE && !bind->opts->force)
		return wr_fail(-EBUSY, "%s is in use: %s; end that first, or take it all the same "
			       "with --force", fn->address, use);
	if (ret > WR_USE_NONE)
		wr_log(WEIR_LOG_WARN, "%s is taken although it is in use: %s", fn->address, use);
	return ret < 0 ? ret : 0;
}

static int check(struct bind *bind)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < bind->n; i++) {
		ret = check_group(bind, bind->fns[i]);
		if (!ret)
			ret = check_use(bind, bind->fns[i]);
	}
	return ret;
}

/* ---- the plan ---- */

static int plan_modules(struct bind *bind)
{
	const char *containers = wr_container_module();
	char path[64];
	int ret = 0;

	if (!is_there(bind->root, "/sys/bus/pci/drivers/" WR_VFIO_PCI))
		ret = wr_plan_add(&bind->plan, WEIR_HOST_LOAD, WR_VFIO_PCI, "", "", "");
	snprintf(path, sizeof(path), "/sys/module/%s", containers);
	if (!ret && !is_there(bind->root, path))
		ret = wr_plan_add(&bind->plan, WEIR_HOST_LOAD, containers, "", "", "");
	return ret;
}

static int find_nodes(const char *root, const char *address, char nodes[WR_NODES_MAX][64])
{
	struct weir_host_function fn = { 0 };
	int ret, n = 0;

	snprintf(fn.address, sizeof(fn.address), "%s", address);
	ret = wr_host_scan(root, &fn);
	if (ret < 0)
		return ret == -ENOENT ? wr_fail(ret, "%s was unplugged", address) : ret;
	if (fn.role != WEIR_ROLE_VFIO)
		return 0;
	if (fn.vfio_node[0])
		strcpy(nodes[n++], fn.vfio_node);
	wr_cdev(root, address, nodes[n]);
	return nodes[n][0] ? n + 1 : n;
}

static int stat_node(const char *root, const char *path, struct wr_node *node)
{
	char full[WR_PCI_PATH_MAX];
	struct stat st;
	int ret;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
	ret = wr_sys->stat(full, &st);
	if (ret < 0)
		return wr_fail(ret, "%s can't be looked at: %s", full, strerror(-ret));
	*node = (struct wr_node){ .uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode & 07777 };
	snprintf(node->path, sizeof(node->path), "%s", path);
	return 0;
}

/* What a node is to have: a group that is named may open it, others may not. */
static struct wr_node wanted(const struct bind *bind, const struct wr_node *now)
{
	const struct weir_host_bind_opts *opts = bind->opts;
	struct wr_node node = *now;

	if (opts->uid != (uid_t)-1)
		node.uid = opts->uid;
	if (opts->gid != (gid_t)-1)
		node.gid = opts->gid;
	node.mode = opts->gid != (gid_t)-1 ? 0660 : 0600;
	return node;
}

/* Whether its nodes are there and have the owner that is wanted. */
static bool is_owned(const struct bind *bind, const char *address)
{
	char nodes[WR_NODES_MAX][64];
	int n = find_nodes(bind->root, address, nodes);

	for (int i = 0; i < n; i++) {
		struct wr_node now, want;

		if (stat_node(bind->root, nodes[i], &now) < 0)
			return false;
		want = wanted(bind, &now);
		if (memcmp(&now, &want, sizeof(now)))
			return false;
	}
	return n > 0;
}

static int plan_owner(struct bind *bind, const char *address)
{
	const struct weir_host_bind_opts *opts = bind->opts;
	char to[64] = "";

	if (is_owned(bind, address))
		return 0;
	if (opts->uid != (uid_t)-1)
		wr_append(to, sizeof(to), "%u", opts->uid);
	wr_append(to, sizeof(to), ":");
	if (opts->gid != (gid_t)-1)
		wr_append(to, sizeof(to), "%u", opts->gid);
	return wr_plan_add(&bind->plan, WEIR_HOST_OWNER, address, "", to, "");
}

static int plan_bind(struct bind *bind, const struct weir_host_function *fn,
		     const struct wr_entry *before)
{
	int ret = wr_plan_move(&bind->plan, before, WR_VFIO_PCI, WR_VFIO_PCI);
	struct weir_host_step *last = bind->plan.n ? &bind->plan.steps[bind->plan.n - 1] : NULL;

	if (!ret && last && last->action == WEIR_HOST_BIND && !strcmp(last->subject, fn->address))
		snprintf(last->why, sizeof(last->why), "%s", doubt(bind, fn));
	return ret;
}

static int plan(struct bind *bind)
{
	bool moves = false;
	int ret = 0;

	for (size_t i = 0; i < bind->n; i++)
		moves |= bind->fns[i]->role != WEIR_ROLE_VFIO;
	if (moves)
		ret = plan_modules(bind);
	for (size_t i = 0; !ret && i < bind->n; i++) {
		const char *address = bind->fns[i]->address;

		ret = wr_state_read(bind->root, address, &bind->before[i]);
		if (ret == -ENOENT)
			wr_message("%s was unplugged", address);
		if (!ret && bind->fns[i]->role != WEIR_ROLE_VFIO)
			ret = plan_bind(bind, bind->fns[i], &bind->before[i]);
	}
	for (size_t i = 0; !ret && bind->opts->set_owner && i < bind->n; i++)
		ret = plan_owner(bind, bind->fns[i]->address);
	return ret;
}

/* ---- doing it ---- */

static int journal_all(struct bind *bind)
{
	int ret = wr_journal_copy(&bind->old, &bind->journal);

	for (size_t i = 0; !ret && i < bind->n; i++) {
		const struct wr_entry *before = &bind->before[i];
		struct wr_entry *entry = wr_journal_find(&bind->journal, before->address);
		bool changes = false;

		for (size_t k = 0; k < bind->plan.n; k++)
			changes |= !strcmp(bind->plan.steps[k].subject, before->address);
		/* What an interrupted bind wrote is what the function really had. */
		if (!changes || (entry && entry->vendor == before->vendor &&
				 entry->device == before->device))
			continue;
		wr_journal_drop(&bind->journal, before->address);
		ret = wr_journal_add(&bind->journal, before);
	}
	return ret ? ret : wr_journal_write(bind->root, &bind->journal);
}

/* Whose a node was before weir: what the journal says of it, for any function, or what it is. */
static const struct wr_node *had(const struct bind *bind, const struct wr_node *now)
{
	for (size_t i = 0; i < bind->journal.n; i++) {
		const struct wr_entry *entry = &bind->journal.entries[i];

		for (unsigned int k = 0; k < entry->n_nodes; k++)
			if (!strcmp(entry->nodes[k].path, now->path))
				return &entry->nodes[k];
	}
	return now;
}

static bool has_node(const struct wr_entry *entry, const char *path)
{
	for (unsigned int i = 0; i < entry->n_nodes; i++)
		if (!strcmp(entry->nodes[i].path, path))
			return true;
	return false;
}

static int own_node(struct bind *bind, struct wr_entry *before, const char *path)
{
	struct wr_entry *entry = wr_journal_find(&bind->journal, before->address);
	struct wr_node now, want;
	int ret;

	ret = stat_node(bind->root, path, &now);
	if (ret < 0)
		return ret;
	if (!has_node(entry, path)) {
		entry->nodes[entry->n_nodes++] = *had(bind, &now);
		ret = wr_journal_write(bind->root, &bind->journal);
	}
	if (ret < 0)
		return ret;
	before->nodes[before->n_nodes++] = now;
	want = wanted(bind, &now);
	return wr_node_set(bind->root, &want);
}

/* A function that left VFIO and came back may have got nodes of other numbers. */
static void forget_others(struct wr_entry *entry, char nodes[WR_NODES_MAX][64], int n)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < entry->n_nodes; i++) {
		bool is = false;

		for (int k = 0; k < n; k++)
			is |= !strcmp(entry->nodes[i].path, nodes[k]);
		if (is)
			entry->nodes[kept++] = entry->nodes[i];
	}
	entry->n_nodes = kept;
}

static int own_nodes(struct bind *bind, const char *address)
{
	char nodes[WR_NODES_MAX][64];
	struct wr_entry *before = bind->before;
	int n, ret = 0;

	while (strcmp(before->address, address))
		before++;
	n = find_nodes(bind->root, address, nodes);
	if (!n)
		return wr_fail(-ENOENT, "%s has no node under /dev/vfio; is devtmpfs mounted on "
			       "/dev?", address);
	forget_others(wr_journal_find(&bind->journal, address), nodes, n);
	for (int i = 0; !ret && i < n; i++)
		ret = own_node(bind, before, nodes[i]);
	return n < 0 ? n : ret;
}

/* In reverse, as far as it goes. */
static int undo(struct bind *bind)
{
	int ret = 0;

	for (size_t i = bind->n; i-- > 0;) {
		struct wr_entry *before = &bind->before[i];
		int err = 0;

		while (before->n_nodes && !err)
			err = wr_node_set(bind->root, &before->nodes[--before->n_nodes]);
		if (!err)
			err = wr_restore(bind->root, before);
		if (err && !ret)
			ret = err;
	}
	return ret ? ret : wr_journal_write(bind->root, &bind->old);
}

/* Undo it all because of an error, which has left a message. */
static int take_back(struct bind *bind, int err)
{
	char cause[WR_USE_MAX];

	snprintf(cause, sizeof(cause), "%s", weir_errmsg());
	if (undo(bind) < 0) {
		char why[WR_USE_MAX];

		snprintf(why, sizeof(why), "%s", weir_errmsg());
		return wr_fail(err, "%s; and not all of it could be undone: %s; 'weir release' "
			       "tries again", cause, why);
	}
	return wr_fail(err, "%s; whatever was done was undone", cause);
}

static int run(struct bind *bind)
{
	size_t done = 0;
	int ret;

	ret = journal_all(bind);
	while (!ret && done < bind->plan.n) {
		const struct weir_host_step *step = &bind->plan.steps[done];

		ret = step->action == WEIR_HOST_OWNER ? own_nodes(bind, step->subject) :
		      wr_step_take(bind->root, step);
		done++;
	}
	return ret && done ? take_back(bind, ret) : ret;
}

static int bind_all(struct bind *bind, const char *const *addresses, size_t n)
{
	int ret;

	ret = weir_host_open(bind->root, &bind->host);
	if (ret < 0)
		return ret;
	bind->fns = calloc(weir_host_count(bind->host) + 1, sizeof(*bind->fns));
	bind->before = calloc(weir_host_count(bind->host) + 1, sizeof(*bind->before));
	if (!bind->fns || !bind->before)
		return wr_fail(-ENOMEM, "no memory for the list of functions");
	for (size_t i = 0; !ret && i < n; i++)
		ret = take_named(bind, addresses[i]);
	if (!ret)
		ret = take_members(bind);
	if (!ret)
		ret = check(bind);
	if (!ret)
		ret = wr_journal_read(bind->root, &bind->old);
	if (!ret && bind->old.outdated) {
		wr_log(WEIR_LOG_INFO, "the journal is from before the machine restarted, which "
		       "undid what is in it");
		wr_journal_free(&bind->old);
	}
	if (!ret)
		ret = plan(bind);
	if (!ret && bind->opts->show && (bind->plan.n || !bind->again))
		bind->opts->show(bind->opts->arg, bind->plan.steps, bind->plan.n);
	return ret || bind->opts->dry_run || !bind->plan.n ? ret : run(bind);
}

static void forget(struct bind *bind)
{
	wr_plan_free(&bind->plan);
	wr_journal_free(&bind->journal);
	wr_journal_free(&bind->old);
	free(bind->before);
	free(bind->fns);
	weir_host_close(bind->host);
}

/*
 * A function may have got its group only now (wr_pci_any_iommu()): what is to be done for the
 * group's other members, or speaks against it, shows when it is bound once more.
 */
static int bind_late_groups(struct bind *bind, const char *const *addresses, size_t n)
{
	struct bind again = { .root = bind->root, .opts = bind->opts, .again = true };
	bool late = false;
	int ret;

	for (size_t i = 0; i < bind->n; i++)
		late |= bind->fns[i]->group < 0;
	if (!late || bind->opts->dry_run)
		return 0;
	ret = bind_all(&again, addresses, n);
	forget(&again);
	return ret ? take_back(bind, ret) : 0;
}

int weir_host_bind(const char *root, const char *const *addresses, size_t n,
		   const struct weir_host_bind_opts *opts)
{
	static const struct weir_host_bind_opts none = { 0 };
	struct bind bind = { .root = root ? root : "", .opts = opts ? opts : &none };
	int lock = -1, ret;

	ret = WR_RESERVED(bind.opts, "weir_host_bind_opts");
	if (ret < 0)
		return ret;
	if (!n)
		return wr_fail(-EINVAL, "no function is named to be bound");
	if (!bind.opts->dry_run) {
		lock = wr_journal_lock(bind.root);
		if (lock < 0)
			return lock;
	}
	ret = bind_all(&bind, addresses, n);
	if (!ret)
		ret = bind_late_groups(&bind, addresses, n);
	forget(&bind);
	wr_close(lock);
	return ret;
}
