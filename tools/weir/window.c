/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "weir.h"
#include "window.h"

int window_read(const char *verb, const char *text, struct weir_window_opts *opts)
{
	char page[64];
	const char *comma;

	*opts = (struct weir_window_opts){ 0 };
	if (!text)
		return 0;
	comma = strchrnul(text, ',');
	snprintf(page, sizeof(page), "%.*s", (int)(comma - text), text);
	if (!read_number(verb, "window", page, &opts->page_size) ||
	    (*comma && !read_number(verb, "window", comma + 1, &opts->size)))
		return EXIT_UNKNOWN;
	return opts->page_size ? 0 : fail("%s: --window %s: pages of no size", verb, text);
}

int window_make(struct weir_ioas *as, const struct weir_window_opts *opts,
		struct weir_window *window)
{
	struct weir_iova_range range;
	int ret;

	*window = (struct weir_window){ 0 };
	if (!opts->page_size)
		return 0;
	ret = weir_ioas_add_window(as, opts, window);
	if (ret)
		return ret;
	range = (struct weir_iova_range){ window->first, window->last };
	return weir_ioas_allow(as, &range, 1);
}

const char *window_text(const struct weir_window *window, char text[WINDOW_TEXT_MAX])
{
	char page[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX];

	*text = '\0';
	if (window->page_size)
		snprintf(text, WINDOW_TEXT_MAX, ", in a window of %s at 0x%llx in pages of %s",
			 size_text(window->last - window->first + 1, size),
			 (unsigned long long)window->first, size_text(window->page_size, page));
	return text;
}

struct json_object *js_window(const struct weir_window *window)
{
	struct json_object *object;

	if (!window->page_size)
		return NULL;
	object = js_object();
	js_add(object, "first", js_hex(window->first, 1));
	js_add(object, "last", js_hex(window->last, 1));
	js_add(object, "page_size", js_size(window->page_size));
	js_add(object, "made", js_bool(window->made));
	return object;
}
