/* SPDX-License-Identifier: MIT */
/* What the files behind out.h share. */
#ifndef WEIR_TOOL_OUT_PARTS_H
#define WEIR_TOOL_OUT_PARTS_H

#include <stdarg.h>

void no_memory(void) __attribute__((noreturn));

/* @ptr, which isn't NULL. */
void *need(void *ptr);

/* A text, cleaned; free() it. */
char *format(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

#endif
