/* SPDX-License-Identifier: MIT */
/*
 * Which memory a device has written, as who migrates it must know: all is sent once, and then again
 * and again what was written meanwhile, the last time with the device at rest.
 * usage: dirty [DEVICE] (an edu)
 */
#include <stdio.h>

#include "copier.h"

#define PAGE	4096
#define PAGES	64		/* as many as a word has bits */

/* The device works on while it is sent: it fills some pages from the first one. */
static void work(const struct copier *c, weir_iova ram, int round)
{
	for (int i = 1; i <= 3 - round; i++)
		copier_copy(c, ram, ram + (weir_iova)(i * 7 + round) * PAGE, PAGE);
}

/* Pages that were written since the last time; reading forgets them. */
static int send_dirty(struct weir_hwpt *table, weir_iova ram)
{
	const struct weir_dirty_opts by_pages = { .granularity = PAGE };
	uint64_t bitmap = 0;
	int n = 0;

	must(weir_hwpt_dirty_read(table, ram, PAGES * PAGE, &by_pages, &bitmap));
	printf("sent:");
	for (int i = 0; i < PAGES; i++) {
		if (!(bitmap >> i & 1))
			continue;
		printf(" %d", i);
		n++;
	}
	printf("%s\n", n ? "" : " nothing");
	return n;
}

int main(int argc, char **argv)
{
	const struct weir_hwpt_opts tracked = { .dirty = true };
	struct weir_hwpt *table;
	struct weir_ioas *as;
	struct weir_mem *mem;
	struct copier c;
	weir_iova ram;

	c = copier_open(NULL, argc > 1 ? argv[1] : "soft:edu", NULL);
	as = weir_device_ioas(c.dev);
	must(weir_mem_alloc(as, PAGES * PAGE, NULL, &mem));
	ram = weir_mem_iova(mem);

	/* From here on writes are seen: only now may be sent what is there. */
	must(weir_hwpt_alloc(as, c.dev, &tracked, &table));
	must(weir_hwpt_attach(table, c.dev));
	must(weir_hwpt_dirty_start(table));
	printf("sent: all %d pages\n", PAGES);

	for (int round = 0; round < 3; round++) {
		work(&c, ram, round);
		send_dirty(table, ram);
	}
	must(weir_device_bus_master(c.dev, false));
	if (send_dirty(table, ram))
		errx(1, "pages were written by a device at rest");

	must(weir_hwpt_dirty_stop(table));
	must(weir_hwpt_detach(table, c.dev));
	must(weir_hwpt_free(table));
	must(weir_mem_free(mem));
	copier_close(&c);
	return 0;
}
