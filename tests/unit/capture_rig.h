/* SPDX-License-Identifier: MIT */
/* A machine's tree, and beside it a folder for what is captured of it. Behind cmocka.h. */
#ifndef CAPTURE_RIG_H
#define CAPTURE_RIG_H

#include <stdio.h>
#include <stdlib.h>

#include "host/unpack.h"
#include "tree.h"

struct machine {
	char *root;
	char *other;			/* where the archive lies */
	char file[300];			/* the archive */
	struct wr_unpacked back;	/* what it holds, if that was unpacked */
};

/* With an empty bus. */
static inline struct machine *machine_new(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->root = tree_new();
	m->other = tree_new();
	snprintf(m->file, sizeof(m->file), "%s/m.tar.gz", m->other);
	return m;
}

static inline int stop(void **state)
{
	struct machine *m = *state;

	wr_unpacked_remove(&m->back);
	tree_free(m->root);
	tree_free(m->other);
	free(m);
	return 0;
}

#endif
