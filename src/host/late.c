/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "host/late.h"

/* What the linker does for libraries that are named when it is built. */
static const char *load(const struct wr_late *late)
{
	void *library = dlopen(late->soname, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return late->soname;
	for (size_t i = 0; i < late->n; i++) {
		void *function = dlsym(library, late->names[i]);

		if (!function)
			return late->names[i];
		memcpy((char *)late->functions + i * sizeof(function), &function, sizeof(function));
	}
	return NULL;
}

const char *wr_late_load(struct wr_late *late)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	if (!late->loaded)
		late->missing = load(late);
	late->loaded = true;
	pthread_mutex_unlock(&lock);
	return late->missing;
}
