/* SPDX-License-Identifier: MIT */
/* Modules with their dependencies and options, as modprobe loads them: for bind alone. */
#include <libkmod.h>

#include "host/late.h"
#include "host/step.h"

#define LIBKMOD(FUNCTION)							\
	FUNCTION(kmod_list_next)						\
	FUNCTION(kmod_module_get_module)					\
	FUNCTION(kmod_module_new_from_lookup)					\
	FUNCTION(kmod_module_probe_insert_module)				\
	FUNCTION(kmod_module_unref)						\
	FUNCTION(kmod_module_unref_list)					\
	FUNCTION(kmod_new)							\
	FUNCTION(kmod_set_log_priority)						\
	FUNCTION(kmod_unref)

struct libkmod {
	LIBKMOD(WR_LATE_POINTER)
};

static const struct libkmod *libkmod(void)
{
	static const char *const names[] = { LIBKMOD(WR_LATE_NAME) };
	static struct libkmod functions;
	static struct wr_late late = { .soname = "libkmod.so.2", .names = names,
				       .functions = &functions,
				       .n = sizeof(names) / sizeof(names[0]) };
	const char *missing = wr_late_load(&late);

	if (missing)
		wr_log(WEIR_LOG_INFO, "%s can't be loaded", missing);
	return missing ? NULL : &functions;
}

static int insert(const struct libkmod *k, struct kmod_list *list)
{
	int ret = 0;

	for (struct kmod_list *item = list; !ret && item; item = k->kmod_list_next(list, item)) {
		struct kmod_module *module = k->kmod_module_get_module(item);

		ret = k->kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);
		k->kmod_module_unref(module);
	}
	return ret;
}

int wr_libkmod_load(const char *name)
{
	const struct libkmod *k = libkmod();
	struct kmod_list *list = NULL;
	struct kmod_ctx *ctx;
	int ret;

	if (!k)
		return -ENOSYS;
	ctx = k->kmod_new(NULL, NULL);
	if (!ctx)
		return -ENOMEM;
	/* libkmod prints to stderr otherwise. */
	k->kmod_set_log_priority(ctx, 0);
	ret = k->kmod_module_new_from_lookup(ctx, name, &list);
	if (!ret && !list)
		ret = -ENOENT;
	if (!ret)
		ret = insert(k, list);
	k->kmod_module_unref_list(list);
	k->kmod_unref(ctx);
	return ret;
}
