/* SPDX-License-Identifier: MIT */
/* The journal: what can be read is the same when it was written and read again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "host/journal.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

static char root[256], path[300];

static void make(const char *name)
{
	char folder[300];

	snprintf(folder, sizeof(folder), "%s/%s", root, name);
	must(!mkdir(folder, 0700));
}

void add_seeds(void)
{
	static const char *const folders[] = { "", "var", "var/lib", "var/lib/weir", "proc",
					       "proc/sys", "proc/sys/kernel",
					       "proc/sys/kernel/random" };

	temporary("root", root);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		make(folders[i]);
	snprintf(path, sizeof(path), "%s/proc/sys/kernel/random/boot_id", root);
	write_file(path, BOOT "\n", sizeof(BOOT));
	snprintf(path, sizeof(path), "%s/var/lib/weir/journal", root);

	add_text_seed("weir-journal 1\nboot " BOOT "\n");
	add_text_seed("weir-journal 1\nboot " BOOT "\nfunction 0000:01:00.0 1234:11e8\n"
		      "driver e1000e\noverride x\nnode 0:0 600 /dev/vfio/5\n"
		      "function 0000:02:00.0 1234:11e8\n");
	add_text_seed("weir-journal 1\nboot 21111111-2222-3333-4444-555555555555\n"
		      "function 0000:01:00.0 1234:11e8\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr_journal journal, again;

	write_file(path, data, size);
	if (wr_journal_read(root, &journal) < 0)
		return 0;
	if (journal.n && !journal.outdated) {
		must(!wr_journal_write(root, &journal));
		must(!wr_journal_read(root, &again));
		must(again.n == journal.n);
		for (size_t i = 0; i < journal.n; i++) {
			must(!strcmp(again.entries[i].address, journal.entries[i].address));
			must(!strcmp(again.entries[i].driver, journal.entries[i].driver));
			must(again.entries[i].n_nodes == journal.entries[i].n_nodes);
		}
		wr_journal_free(&again);
	}
	wr_journal_free(&journal);
	return 0;
}
