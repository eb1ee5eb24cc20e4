/* SPDX-License-Identifier: MIT */
/* --window PAGE_SIZE[,SIZE]: a window of IOVAs that a verb makes, and maps all it maps in. */
#ifndef WEIR_TOOL_WINDOW_H
#define WEIR_TOOL_WINDOW_H

#include <weir/weir.h>

#include "out.h"

/* What a verb that takes it says of it. */
#define WINDOW_USAGE "      --window PAGE_SIZE[,SIZE]\n"                                           \
		     "                  on POWER: make a window of IOVAs with such pages, and\n"   \
		     "                  map everything there; larger pages than the system's\n"    \
		     "                  take memory from its pool (hugetlb)\n"

/*
 * What was given to the option as @text; NULL: nothing was, and then nothing is made. Returns 0, or
 * what fail() returned.
 */
int window_read(const char *verb, const char *text, struct weir_window_opts *opts);

/*
 * Make it, before anything is mapped, and let IOVAs lie there alone. Without opts->page_size
 * nothing is done, and @window->page_size is 0. Returns 0 or -errno with the library's message.
 */
int window_make(struct weir_ioas *as, const struct weir_window_opts *opts,
		struct weir_window *window);

/* Behind a sentence: where it is; "" where there is none. */
#define WINDOW_TEXT_MAX 96

const char *window_text(const struct weir_window *window, char text[WINDOW_TEXT_MAX]);

/* {"first": "0x800000000000000", "last", "page_size": bytes, "made": bool}; null: there is none. */
struct json_object *js_window(const struct weir_window *window);

#endif
