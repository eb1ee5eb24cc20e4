/* SPDX-License-Identifier: MIT */
/*
 * Each function that libweir exports, with each of its system calls and allocations failing: see
 * walk.h. A new function gets a line in one of the tables of walk_*.c, or below in quiet[].
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "walk.h"

#define SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define WAYS_MAX 500

static const struct operation *const tables[] = {
	walk_ioas, walk_device, walk_model, walk_bare, walk_hwpt, walk_spapr,
};

/* What makes no system call and no allocation, and why that is plain to see. */
static const struct {
	const char *function, *why;
} quiet[] = {
	{ "weir_bar_ptr", "a pointer" },
	{ "weir_cap_name", "a table of constants" },
	{ "weir_config_walk", "reads by a call of its caller's" },
	{ "weir_device_fd", "a number" },
	{ "weir_device_ioas", "a pointer" },
	{ "weir_errmsg", "a pointer" },
	{ "weir_eventq_fd", "a number" },
	{ "weir_faultq_fd", "a number" },
	{ "weir_hw_words", "tables of constants" },
	{ "weir_ioas_caps", "reads under a lock" },
	{ "weir_ioas_faults", "reads under a lock" },
	{ "weir_ioas_ranges", "reads under a lock" },
	{ "weir_ioas_segs", "a look-up" },
	{ "weir_ioas_segsv", "a look-up" },
	{ "weir_ioas_to_iova", "a look-up" },
	{ "weir_ioas_to_iovas", "a look-up" },
	{ "weir_ioas_to_vaddr", "a look-up" },
	{ "weir_ioas_window_info", "reads under a lock" },
	{ "weir_ioas_windows", "reads under a lock" },
	{ "weir_iommu_fd", "a number" },
	{ "weir_log_set", "stores a pointer" },
	{ "weir_mem_fd", "a number" },
	{ "weir_mem_iova", "a number" },
	{ "weir_mem_len", "a number" },
	{ "weir_mem_ptr", "a pointer" },
	{ "weir_model_config", "copies bytes" },
	{ "weir_model_dma_begin", "counts" },
	{ "weir_model_dma_end", "counts" },
	{ "weir_model_dma_read", "copies memory" },
	{ "weir_model_dma_translate", "walks tables" },
	{ "weir_model_dma_write", "copies memory" },
	{ "weir_model_intx", "writes an eventfd, whose reader it can only miss when full" },
	{ "weir_model_msi", "writes an eventfd, whose reader it can only miss when full" },
	{ "weir_model_msi_enabled", "reads a number" },
	{ "weir_model_priv", "a pointer" },
	{ "weir_model_remove", "sets a flag" },
	{ "weir_model_signal", "writes an eventfd, whose reader it can only miss when full" },
	{ "weir_smmuv3_event_decode", "reads bits" },
	{ "weir_spapr_locked", "adds, and asks whether there is a folder" },
};

static void each_failure_leaves_all_as_it_was(void **state)
{
	walk(*state);
}

static bool is_listed(const char *function)
{
	for (size_t i = 0; i < SIZE(tables); i++)
		for (const struct operation *op = tables[i]; op->function; op++)
			if (!strcmp(function, op->function))
				return true;
	for (size_t i = 0; i < SIZE(quiet); i++)
		if (!strcmp(function, quiet[i].function))
			return true;
	return false;
}

/* The exports are read from the version map, one to a line. */
static void every_exported_function_is_listed(void **state)
{
	char line[256], name[128];
	unsigned int n = 0;
	FILE *map = fopen(LIBWEIR_MAP, "r");

	(void)state;
	assert_non_null(map);
	while (fgets(line, sizeof(line), map)) {
		if (sscanf(line, " weir_%100[a-z0-9_];", name) != 1)
			continue;
		snprintf(line, sizeof(line), "weir_%s", name);
		if (!is_listed(line))
			fail_msg("%s isn't walked through: see the top of this file", line);
		n++;
	}
	fclose(map);
	assert_true(n >= SIZE(quiet));
}

int main(void)
{
	static char names[WAYS_MAX][100];
	struct CMUnitTest tests[WAYS_MAX] = {
		cmocka_unit_test(every_exported_function_is_listed),
	};
	size_t n = 1;

	for (size_t i = 0; i < SIZE(tables); i++) {
		for (const struct operation *op = tables[i]; op->function && n < WAYS_MAX; op++) {
			snprintf(names[n], sizeof(names[n]), "%s%s%s%s", op->function,
				 op->how ? " (" : "", op->how ? op->how : "", op->how ? ")" : "");
			tests[n] = (struct CMUnitTest){
				.name = names[n],
				.test_func = each_failure_leaves_all_as_it_was,
				.initial_state = (void *)op,
			};
			n++;
		}
	}
	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return _cmocka_run_group_tests("walk", tests, n, NULL, NULL);
}
