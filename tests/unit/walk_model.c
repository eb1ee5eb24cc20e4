/* SPDX-License-Identifier: MIT */
/* The ways through what models do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "walk.h"

static uint64_t all_zero(struct weir_model *model, unsigned int bar, uint64_t offset,
			 unsigned int width)
{
	(void)model, (void)bar, (void)offset, (void)width;
	return 0;
}

static void ignored(struct weir_model *model, unsigned int bar, uint64_t offset,
		    unsigned int width, uint64_t value)
{
	(void)model, (void)bar, (void)offset, (void)width, (void)value;
}

static int model_create(struct world *w)
{
	static const struct weir_model_ops ops = { .read = all_zero, .write = ignored };
	const struct weir_model_desc desc = { .name = "new", .vendor = 1 };

	return weir_model_create(&desc, &ops, NULL, &w->new_model);
}

static int model_destroy(struct world *w)
{
	int ret = weir_model_destroy(w->new_model);

	w->new_model = NULL;
	return ret;
}

static void destroy_model(struct world *w)
{
	assert_int_equal(model_destroy(w), 0);
}

static void has_model(struct world *w)
{
	assert_int_equal(model_create(w), 0);
}

const struct operation walk_model[] = {
	{ "weir_model_create", .run = model_create, .undo = destroy_model },
	{ "weir_model_destroy", .setup = has_model, .run = model_destroy, .must = true,
	  .silent = "it gives memory back" },
	{ 0 }
};
