/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "fail_heap.h"

struct heap heap;

/* The linker makes a call of malloc() one of __wrap_malloc(), and of __real_malloc() malloc(). */
#define WRAP(type, name, params, args)                                                             \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails() ? NULL : counted(__real_##name args);                               \
	}

static bool fails(void)
{
	if (++heap.calls != heap.fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

static void *counted(void *ptr)
{
	if (ptr)
		atomic_fetch_add(&heap.alive, 1);
	return ptr;
}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, aligned_alloc, (size_t align, size_t size), (align, size))
WRAP(char *, strdup, (const char *s), (s))

/* These replace what there is, if there is something. */
#define WRAP_AGAIN(name, params, args)                                                             \
	void *__real_##name params;                                                                \
	void *__wrap_##name params;                                                                \
	void *__wrap_##name params                                                                 \
	{                                                                                          \
		void *new;                                                                         \
                                                                                                   \
		if (fails())                                                                       \
			return NULL;                                                               \
		new = __real_##name args;                                                          \
		return ptr ? new : counted(new);                                                   \
	}

WRAP_AGAIN(realloc, (void *ptr, size_t size), (ptr, size))
WRAP_AGAIN(reallocarray, (void *ptr, size_t n, size_t size), (ptr, n, size))

/* The tree's nodes are the C library's own, which it allocates without a call of ours. */
void *__real_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *))
{
	return fails() ? NULL : __real_tsearch(key, root, compare);
}

void __real_free(void *ptr);
void __wrap_free(void *ptr);
void __wrap_free(void *ptr)
{
	if (ptr)
		atomic_fetch_sub(&heap.alive, 1);
	__real_free(ptr);
}
