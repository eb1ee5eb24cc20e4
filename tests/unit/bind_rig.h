/* SPDX-License-Identifier: MIT */
/* What tests of bind and release have in common: functions in a fake kernel's tree. */
#ifndef BIND_RIG_H
#define BIND_RIG_H

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/host.h>

#include "base/err.h"
#include "fake_sysfs.h"
#include "says.h"
#include "tree.h"

#define NVME "0000:01:00.0"
#define EDU "0000:02:00.0"
#define CARD "0000:03:00.0"	/* of a group with SOUND and a bridge */
#define SOUND "0000:03:00.1"
#define PORT "0000:00:1c.0"

#define JOURNAL "var/lib/weir/journal"

static inline int start(void **state)
{
	char *root = tree_new();

	*state = root;
	fake_sysfs_start(root);
	fake_function(NVME, 5, "nvme");
	fake_function(EDU, 6, NULL);
	fake_function(CARD, 7, "nouveau");
	fake_function(SOUND, 7, "snd_hda_intel");
	fake_function(PORT, 7, "pcieport");
	tree_bytes(root, "sys/bus/pci/devices/" PORT "/config", (char[64]){ [0x0e] = 1 }, 64);
	return 0;
}

static inline int stop(void **state)
{
	fake_sysfs_stop();
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
	tree_free(*state);
	return 0;
}

static inline int bind_with(const struct weir_host_bind_opts *opts, const char *address)
{
	return weir_host_bind(fake_sysfs->root, &address, 1, opts);
}

static inline int release_all(void)
{
	return weir_host_release(fake_sysfs->root, NULL, 0, NULL);
}

static inline bool is_there(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", fake_sysfs->root, name);
	return !access(path, F_OK);
}

/* What show was told, as "ACTION SUBJECT FROM>TO;" each. */
struct told {
	int calls;
	char text[1024];
};

static inline void tell(void *arg, const struct weir_host_step *steps, size_t n)
{
	static const char *const names[] = {
		[WEIR_HOST_LOAD] = "load", [WEIR_HOST_OVERRIDE] = "override",
		[WEIR_HOST_UNBIND] = "unbind", [WEIR_HOST_BIND] = "bind",
		[WEIR_HOST_OWNER] = "owner", [WEIR_HOST_FORGET] = "forget",
		[WEIR_HOST_KEEP] = "keep",
	};
	struct told *told = arg;

	told->calls++;
	told->text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		wr_append(told->text, sizeof(told->text), "%s %s %s>%s%s;", names[steps[i].action],
			  steps[i].subject, steps[i].from, steps[i].to, steps[i].why);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

#endif
