/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static char folder[256];
static unsigned int seeds;

void must_hold(int holds, const char *what, const char *file, int line)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

const char *temporary(const char *name, char path[256])
{
	const char *tmp = getenv("TMPDIR");

	must(tmp && snprintf(path, 256, "%s/%s", tmp, name) < 256);
	return path;
}

void write_file(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "we");

	must(file && fwrite(data, 1, size, file) == size && !fclose(file));
}

void add_seed(const void *data, size_t size)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%u", folder, seeds++);
	write_file(path, data, size);
}

void add_text_seed(const char *text)
{
	add_seed(text, strlen(text));
}

/* The seeds' folder becomes the corpus. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char **more = calloc((size_t)*argc + 2, sizeof(*more));

	must(more && !mkdir(temporary("seeds", folder), 0700));
	add_seeds();
	memcpy(more, *argv, (size_t)*argc * sizeof(*more));
	more[(*argc)++] = folder;
	*argv = more;
	return 0;
}
