/* SPDX-License-Identifier: MIT */
/*
 * Whether something grows that shouldn't, in a program that does the same over and over: what it
 * comes to once all has run for a while, and what it comes to afterwards. For the soak tests.
 */
#ifndef GROWTH_H
#define GROWTH_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#define GROWTH_WARM_UP 0.2	/* of the time */
#define GROWTH_FDS 1024

struct growth {
	const char *what;
	size_t slack;		/* by how much rounds may differ */
	size_t warm;		/* the most while warming up */
	size_t most;		/* and afterwards */
};

/* Look once more; false when it has grown. */
static inline bool growth_look(struct growth *g, size_t now, bool warming_up)
{
	size_t *most = warming_up ? &g->warm : &g->most;

	*most = now > *most ? now : *most;
	return warming_up || now <= g->warm + g->slack;
}

/* Bytes of this process that are resident; 0 when the kernel doesn't say. */
static inline size_t growth_resident(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "re");

	if (!statm)
		return 0;
	if (fscanf(statm, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(statm);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* KiB of this process that the kernel counts as locked or pinned. */
static inline unsigned long growth_held(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long kib, sum = 0;
	char line[256];

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmLck: %lu kB", &kib) == 1 ||
		    sscanf(line, "VmPin: %lu kB", &kib) == 1)
			sum += kib;
	if (status)
		fclose(status);
	return sum;
}

static inline unsigned int growth_open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < GROWTH_FDS; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#endif
