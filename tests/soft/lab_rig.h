/* SPDX-License-Identifier: MIT */
/*
 * A small driver for the lab device, over the public interface alone, and a fixture around it.
 */
#ifndef TESTS_SOFT_LAB_RIG_H
#define TESTS_SOFT_LAB_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "models/lab/lab.h"

#define RING	4
#define TIMEOUT_MS 60000	/* where many tests run at once */

struct lab_test {
	struct weir_model *model;	/* NULL: a sample, by name */
	struct weir_device *dev;
	struct weir_ioas *as;
	struct weir_bar *regs, *memory;
	struct weir_mem *mem;		/* the pages: ring, source, destination, a canary */
	size_t page;
	struct lab_descriptor *ring;
	uint8_t *source, *dest, *canary;
	weir_iova ring_at, source_at, dest_at;
	weir_iova nowhere;		/* where nothing is mapped, with room behind it */
	unsigned int tail;
};

void pause_ms(unsigned int ms);
int64_t now_ms(void);

uint64_t reg(struct lab_test *t, uint64_t offset);
void ring_setup(struct lab_test *t);

/* Put a descriptor into the ring, and let the device have it. */
struct lab_descriptor *submit(struct lab_test *t, weir_iova source, weir_iova dest, uint32_t len,
			      uint32_t vector);

/* Wait until bits of a register are gone. */
bool wait_clear(struct lab_test *t, uint64_t offset, uint64_t bits);

/* Wait until the ring is done; returns the status of @d. */
uint32_t wait_done(struct lab_test *t, const struct lab_descriptor *d);

/* A pattern in the source page, zeros in the other. */
void fill(struct lab_test *t, unsigned int seed);

/* Copy a page, and see that it is a copy. */
void copies(struct lab_test *t, uint32_t vector);

/* One of LAB_TROUBLE_…: start it; start it and wait; what became of it. */
void start_trouble(struct lab_test *t, unsigned int what, uint64_t address, uint64_t count);
void trouble(struct lab_test *t, unsigned int what, uint64_t address, uint64_t count);
void expect_trouble(struct lab_test *t, unsigned int went_through, unsigned int refused,
		    int error);

/* Take the oldest fault out of the record: it must be this one. */
void expect_fault(struct lab_test *t, weir_iova iova, bool write);

/* Open the device, map its memory, set up the ring; and let go of all that. */
void attach(struct lab_test *t);
void detach(struct lab_test *t);

/* @model: the caller's, to be opened; NULL: soft:lab. */
struct lab_test *new_test(struct weir_model *model);

int setup(void **state);
/* With a model of the test's own, which outlives the device. */
int setup_model(void **state);
/* Whatever it did: after a reset it works, and there is no fault that the test didn't expect. */
int teardown(void **state);

#define WITH_LAB(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define WITH_MODEL(fn) cmocka_unit_test_setup_teardown(fn, setup_model, teardown)

#endif
