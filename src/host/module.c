/* SPDX-License-Identifier: MIT */
/* Kernel modules, by libkmod: with their dependencies and options, as modprobe loads them. */
#include <libkmod.h>

#include "host/step.h"

static int insert(struct kmod_list *list)
{
	struct kmod_list *item;
	int ret = 0;

	kmod_list_foreach(item, list) {
		struct kmod_module *module = kmod_module_get_module(item);

		if (!ret)
			ret = kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);
		kmod_module_unref(module);
	}
	return ret;
}

static int load(const char *name)
{
	struct kmod_list *list = NULL;
	struct kmod_ctx *ctx;
	int ret;

	ctx = kmod_new(NULL, NULL);
	if (!ctx)
		return -ENOMEM;
	/* libkmod prints to stderr otherwise. */
	kmod_set_log_priority(ctx, 0);
	ret = kmod_module_new_from_lookup(ctx, name, &list);
	if (!ret && !list)
		ret = -ENOENT;
	if (!ret)
		ret = insert(list);
	kmod_module_unref_list(list);
	kmod_unref(ctx);
	return ret;
}

int (*wr_module_load)(const char *name) = load;
