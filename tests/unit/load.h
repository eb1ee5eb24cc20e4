/* SPDX-License-Identifier: MIT */
/*
 * A mixed load on an address space, at random: mapping, copying, moving and unmapping, of single
 * mappings, batches and files, rightly and wrongly; look-ups; DMA; devices of a fake kernel and a
 * model that come and go. Of one thread, calls of the kernel fail now and then, and all is unmapped
 * at once. Each call is held against a plain list of what should be mapped. What differs is told,
 * with the seed, and ends the program.
 *
 * Environment: WEIR_TEST_SEED, WEIR_TEST_OPS (calls of weir), WEIR_TEST_SECONDS (instead of that);
 * WEIR_TEST_BLIND where the kernel, or what emulates it, doesn't tell that something isn't memory.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>

/*
 * One thread, which knows all there is; or several, each with IOVAs and memory of its own, and a
 * device of its own, on the same address space.
 */
void load_alone(unsigned long long seed, unsigned long ops);
void load_together(unsigned long long seed, unsigned long ops);

/* What the environment asks for; the seed differs each time otherwise. */
unsigned long long load_seed(void);
unsigned long load_ops(unsigned long otherwise);
double load_seconds(double otherwise);

/* Seconds since some moment. */
double load_now(void);

#endif
