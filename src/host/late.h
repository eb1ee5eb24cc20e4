/* SPDX-License-Identifier: MIT */
/*
 * Libraries that are loaded when they are needed, for what few commands do: each brings many others
 * along, and with all of them every command would take twice as long to start.
 */
#ifndef WR_HOST_LATE_H
#define WR_HOST_LATE_H

#include <stddef.h>

#include "base/err.h"

/* A library's functions by their own names: with LIST(X) being X(name) of each. */
#define WR_LATE_POINTER(name) typeof(name) *name;
#define WR_LATE_NAME(name) #name,

struct wr_late {
	const char *soname;
	const char *const *names;
	void *functions;	/* a struct of as many pointers, in the order of names */
	size_t n;
	const char *missing;	/* the library or the function that isn't there */
	bool loaded;
};

/* Returns NULL, or what is missing. Any thread may call it; it loads but once. */
const char *wr_late_load(struct wr_late *late);

#endif
