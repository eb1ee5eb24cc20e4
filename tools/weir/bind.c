/* SPDX-License-Identifier: MIT */
/* weir bind: from their drivers to vfio-pci. --json: see steps.c. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "out.h"
#include "steps.h"
#include "weir.h"

static const char usage[] =
	"usage: weir bind [OPTION...] BDF...\n"
	"\n"
	"Takes PCI functions from their drivers and gives them to vfio-pci, until 'weir\n"
	"release' or a restart. Shows the steps first. What is in use is refused; a step that\n"
	"fails has those before it undone.\n"
	"\n"
	"      --group     also the members of their IOMMU groups that are in the way\n"
	"      --owner USER[:GROUP]\n"
	"                  the VFIO nodes go to that user, to that group (:GROUP), or both\n"
	"      --force     though it is in use, or a member of the group is in the way; but\n"
	"                  never the disk of the root file system\n"
	"      --dry-run   only show the steps\n"
	"      --json      for programs\n"
	"  -h, --help      this text\n"
	"\n"
	"Exit status: 0 bound, 1 refused, 2 could not be done.\n"
	"\n"
	"Example: weir bind 0000:01:00.0 --group --owner $USER";

/* A number that the whole text is, for users and groups without a name. */
static int read_id(const char *text, unsigned int *id)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value >= (unsigned int)-1)
		return -1;
	*id = (unsigned int)value;
	return 0;
}

/* GO_ON, or the exit status. */
static int read_owner(const char *owner, struct weir_host_bind_opts *opts)
{
	const char *group = strchr(owner, ':');
	const struct passwd *user;
	const struct group *entry;
	char name[256];

	opts->set_owner = true;
	opts->uid = (uid_t)-1;
	opts->gid = (gid_t)-1;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(owner, ":"), owner);
	if (!name[0] && !(group && group[1]))
		return fail("bind: --owner wants a user, a group, or both, as in --owner alice or "
			    "--owner :kvm");
	user = name[0] ? getpwnam(name) : NULL;
	if (user)
		opts->uid = user->pw_uid;
	else if (name[0] && read_id(name, &opts->uid))
		return fail("bind: there is no user '%s'; 'getent passwd' lists them", name);
	if (!group)
		return GO_ON;
	entry = getgrnam(++group);
	if (entry)
		opts->gid = entry->gr_gid;
	else if (read_id(group, &opts->gid))
		return fail("bind: there is no group '%s'; 'getent group' lists them", group);
	return GO_ON;
}

int cmd_bind(int argc, char **argv)
{
	struct weir_host_bind_opts opts = { .show = steps_show };
	struct options options = { 0 };
	struct steps steps = { 0 };
	const char *owner = NULL;
	const struct own_option own[] = {
		{ .name = "dry-run", .flag = &opts.dry_run },
		{ .name = "force", .flag = &opts.force },
		{ .name = "group", .flag = &opts.group },
		{ .name = "owner", .value = &owner },
	};
	int status = read_own_options(argc, argv, own, sizeof(own) / sizeof(own[0]), usage,
				      &options);

	if (status == GO_ON && owner)
		status = read_owner(owner, &opts);
	if (status != GO_ON)
		return status;
	if (optind == argc)
		return fail("bind wants PCI functions, as in 'weir bind 0000:01:00.0'; 'weir list' "
			    "shows those there are");
	opts.arg = &steps;
	steps.json = options.json;
	steps.dry_run = opts.dry_run;
	return steps_end(&steps, weir_host_bind(NULL, (const char *const *)argv + optind,
						(size_t)(argc - optind), &opts),
			 "bound; 'weir release' gives back");
}
