/* SPDX-License-Identifier: MIT */
/*
 * A machine as a tree below $TMPDIR, of which an input changes some files: each of its records is
 * the number of one, two bytes (its length, and above that what it becomes), and its content.
 */
#ifndef FUZZ_MACHINE_H
#define FUZZ_MACHINE_H

#include "fuzz.h"

/* Make the tree at the first call. The root. */
const char *machine_root(void);

/* Change it, and change it back. */
void machine_change(const uint8_t *data, size_t size);
void machine_restore(void);

/* A seed for each of its files: as it is. From here on nothing of this machine is asked. */
void machine_seeds(void);

#endif
