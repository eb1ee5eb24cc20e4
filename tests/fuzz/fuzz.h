/* SPDX-License-Identifier: MIT */
/*
 * What targets share. Each is a program of libFuzzer's: LLVMFuzzerTestOneInput() takes one input,
 * and add_seeds() makes those that the search begins from. What a target works on lies in $TMPDIR,
 * which run.py makes and removes.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target's: calls add_seed() for each. */
void add_seeds(void);
void add_seed(const void *data, size_t size);
void add_text_seed(const char *text);

/* A name in $TMPDIR. */
const char *temporary(const char *name, char path[256]);

/* End the search when what must hold doesn't. */
#define must(what) must_hold(what, #what, __FILE__, __LINE__)
void must_hold(int holds, const char *what, const char *file, int line);

/* Files with the input as their content. */
void write_file(const char *path, const void *data, size_t size);

#endif
