/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#include "base/err.h"
#include "host/libarchive.h"

#define SONAME "libarchive.so.13"

static struct wr_libarchive functions;
static const char *missing;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* What the linker does for libraries that are named when it is built. */
static void load(void)
{
	void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
	static const struct {
		const char *name;
		size_t offset;
	} wanted[] = {
#define FUNCTION(name) { #name, offsetof(struct wr_libarchive, name) },
		WR_LIBARCHIVE(FUNCTION)
#undef FUNCTION
	};

	if (!library) {
		missing = SONAME;
		return;
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		void *function = dlsym(library, wanted[i].name);

		if (!function)
			missing = wanted[i].name;
		memcpy((char *)&functions + wanted[i].offset, &function, sizeof(function));
	}
}

const struct wr_libarchive *wr_libarchive(void)
{
	pthread_once(&once, load);
	if (!missing)
		return &functions;
	wr_message("archives need libarchive, but %s can't be loaded; install it (Debian: "
		   "libarchive13)", missing);
	return NULL;
}
