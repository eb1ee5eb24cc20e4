/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TOOL_CLEAN_H
#define WEIR_TOOL_CLEAN_H

/*
 * Make text harmless to a terminal and valid UTF-8, in place: what a terminal would act upon
 * (control characters, escapes, changes of direction) and what is no UTF-8 becomes '?'.
 * Returns @text.
 */
char *clean(char *text);

#endif
