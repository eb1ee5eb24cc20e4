/* SPDX-License-Identifier: MIT */
/* What is mounted, by libmount. */
#include <libmount/libmount.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/root.h"
#include "base/sys.h"
#include "host/mounts.h"

struct wr_mounts {
	const char *root;
	struct libmnt_table *mounted;
	struct libmnt_table *swaps;
};

static const char *last_part(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path ? path : "";
}

/* Some file systems (btrfs) have device numbers of their own, so the source counts as well: by the
 * disk's name, or the one that dm gave it. */
static bool is_on(struct libmnt_fs *fs, const char *name, const char *dm, dev_t number)
{
	const char *source = last_part(mnt_fs_get_srcpath(fs));

	return mnt_fs_get_devno(fs) == number || !strcmp(source, name) ||
	       (*dm && !strcmp(source, dm));
}

static int use_mount(struct wr_mounts *mounts, const char *name, dev_t number,
		     char use[WR_USE_MAX])
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	char path[WR_PCI_PATH_MAX], dm[128];
	int ret = WR_USE_NONE;
	struct libmnt_fs *fs;

	if (!iter)
		return wr_fail(-ENOMEM, "no memory for the table of mounts");
	snprintf(path, sizeof(path), "/sys/class/block/%s/dm/name", name);
	if (wr_root_text(mounts->root, path, dm, sizeof(dm)) < 0)
		dm[0] = '\0';
	while (ret != WR_USE_ROOT && !mnt_table_next_fs(mounts->mounted, iter, &fs)) {
		const char *target = mnt_fs_get_target(fs);

		if (!target || !is_on(fs, name, dm, number))
			continue;
		snprintf(use, WR_USE_MAX, "%s is mounted on %.150s (%.150s/proc/self/mountinfo)",
			 name, target, mounts->root);
		ret = strcmp(target, "/") ? WR_USE_SOME : WR_USE_ROOT;
	}
	mnt_free_iter(iter);
	return ret;
}

static int use_swap(struct wr_mounts *mounts, const char *name, char use[WR_USE_MAX])
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	int ret = WR_USE_NONE;
	struct libmnt_fs *fs;

	if (!iter)
		return wr_fail(-ENOMEM, "no memory for the table of swaps");
	while (!ret && !mnt_table_next_fs(mounts->swaps, iter, &fs)) {
		if (strcmp(last_part(mnt_fs_get_source(fs)), name))
			continue;
		snprintf(use, WR_USE_MAX, "%s is swap (%.200s/proc/swaps); 'swapoff' ends that",
			 name, mounts->root);
		ret = WR_USE_SOME;
	}
	mnt_free_iter(iter);
	return ret;
}

int wr_mounts_use(struct wr_mounts *mounts, const char *name, dev_t number, char use[WR_USE_MAX])
{
	int ret = use_mount(mounts, name, number, use);

	return ret == WR_USE_NONE ? use_swap(mounts, name, use) : ret;
}

/* libmount opens by path: that of what is open already leads nowhere else. */
static int read_table(struct wr_mounts *mounts, const char *path,
		      int (*parse)(struct libmnt_table *, const char *),
		      struct libmnt_table *table)
{
	int fd = wr_root_open(mounts->root, path, 0), ret;
	char open_path[32];

	if (fd < 0)
		return fd;
	snprintf(open_path, sizeof(open_path), "/proc/self/fd/%d", fd);
	ret = parse(table, open_path);
	wr_close(fd);
	return ret > 0 ? -EIO : ret;
}

static int read_tables(struct wr_mounts *mounts)
{
	int ret;

	mounts->mounted = mnt_new_table();
	mounts->swaps = mnt_new_table();
	if (!mounts->mounted || !mounts->swaps)
		return wr_fail(-ENOMEM, "no memory for the table of mounts");
	ret = read_table(mounts, "/proc/self/mountinfo", mnt_table_parse_file, mounts->mounted);
	if (ret)
		return wr_fail(ret, "%s/proc/self/mountinfo can't be read, so nobody knows what "
			       "is mounted", mounts->root);
	/* A kernel without swap has no such file. */
	ret = read_table(mounts, "/proc/swaps", mnt_table_parse_swaps, mounts->swaps);
	return ret && ret != -ENOENT ?
	       wr_fail(ret, "%s/proc/swaps can't be read, so nobody knows what is swap",
		       mounts->root) : 0;
}

int wr_mounts_read(const char *root, struct wr_mounts **out)
{
	struct wr_mounts *mounts = calloc(1, sizeof(*mounts));
	int ret;

	if (!mounts)
		return wr_fail(-ENOMEM, "no memory for the table of mounts");
	mounts->root = root;
	ret = read_tables(mounts);
	if (ret) {
		wr_mounts_free(mounts);
		return ret;
	}
	*out = mounts;
	return 0;
}

void wr_mounts_free(struct wr_mounts *mounts)
{
	if (!mounts)
		return;
	mnt_unref_table(mounts->mounted);
	mnt_unref_table(mounts->swaps);
	free(mounts);
}
