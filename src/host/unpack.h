/* SPDX-License-Identifier: MIT */
/*
 * An archive that 'weir capture' made, as a folder that can be a root. It may come from a stranger:
 * nothing of it ends up outside of the folder, and it has no more of anything than a machine has.
 */
#ifndef WR_HOST_UNPACK_H
#define WR_HOST_UNPACK_H

#include <stdbool.h>

#include "base/err.h"

/* Zeroed: none. */
struct wr_unpacked {
	char *folder;
	int lock;	/* shows others that its process lives */
};

/*
 * Unpack a tar archive, plain or with gzip, into a new folder that only this user can enter, below
 * $TMPDIR or /tmp. Folders there whose process died before it could remove them are removed first.
 * Returns 0, or -errno with a message and nothing left behind: -EINVAL when it is no such archive,
 * or cut off, or something in it that a capture never has, -EFBIG when it has too much of
 * something, -ENOTSUP when weir was built without libarchive.
 */
int wr_unpack(const char *file, struct wr_unpacked *out);

/*
 * Whether such a file or folder, or link where @target isn't NULL, would be unpacked: what can't be
 * isn't worth being captured.
 */
bool wr_unpack_takes(const char *path, const char *target);

/* Remove the folder and all that is in it. */
void wr_unpacked_remove(struct wr_unpacked *unpacked);

#endif
