/* SPDX-License-Identifier: MIT */
/*
 * The journal: what the functions that were bound had before. /var/lib/weir/journal is text: first
 * "weir-journal 1" and the id of the boot it belongs to (what bind changes doesn't survive a
 * restart), then a few lines per function, each a key and the rest of the line.
 */
#ifndef WR_HOST_JOURNAL_H
#define WR_HOST_JOURNAL_H

#include "host/host.h"

#define WR_NODES_MAX 2

/* A VFIO node, and whose it was. */
struct wr_node {
	char path[64];		/* without the root */
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/* A function as it was. */
struct wr_entry {
	char address[WR_PCI_ADDR_MAX];
	uint16_t vendor;
	uint16_t device;
	char driver[WR_PCI_NAME_MAX];	/* "": none */
	char override[WR_PCI_NAME_MAX];	/* "": none */
	unsigned int n_nodes;
	struct wr_node nodes[WR_NODES_MAX];
};

struct wr_journal {
	char boot[64];			/* this boot's id */
	bool outdated;			/* the entries are of an earlier boot */
	size_t n;
	struct wr_entry *entries;	/* in the order in which they came */
};

/* Wait for whoever else binds or releases. Returns an fd to close, or -errno with a message. */
int wr_journal_lock(const char *root);

/* No journal is an empty one. Returns 0, or -errno with a message and nothing to free. */
int wr_journal_read(const char *root, struct wr_journal *journal);

/*
 * Replace the journal, or remove it when it has no entries: as a whole or not at all, and on disk
 * when this returns. It's of this boot then. Returns 0 or -errno with a message.
 */
int wr_journal_write(const char *root, const struct wr_journal *journal);

/* Returns NULL when there is none. */
struct wr_entry *wr_journal_find(const struct wr_journal *journal, const char *address);

/* Returns 0, or -ENOMEM with a message. */
int wr_journal_add(struct wr_journal *journal, const struct wr_entry *entry);
int wr_journal_copy(const struct wr_journal *from, struct wr_journal *to);

void wr_journal_drop(struct wr_journal *journal, const char *address);
void wr_journal_free(struct wr_journal *journal);

#endif
