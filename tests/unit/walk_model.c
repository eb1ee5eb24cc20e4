/* SPDX-License-Identifier: MIT */
/* The ways through what models do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "idle_model.h"
#include "walk.h"

static int model_create(struct world *w)
{
	const struct weir_model_desc desc = { .name = "new", .vendor = 1 };

	return weir_model_create(&desc, &idle_model, NULL, &w->new_model);
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
