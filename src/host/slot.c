/* SPDX-License-Identifier: MIT */
/*
 * The machine's physical slots: Documentation/ABI/testing/sysfs-bus-pci, /sys/bus/pci/slots, and
 * drivers/pci/slot.c. Of a slot only the address is read, which asks no hardware.
 */
#include <stdio.h>
#include <stdlib.h>

#include "host/host.h"

struct slot {
	char name[32];
	char address[24];	/* "0000:01:00", or "0000:01" when it has a bus of its own */
};

static bool is_slot_address(const char *text)
{
	char whole[32];

	snprintf(whole, sizeof(whole), "%s.0", text);
	if (wr_is_address(whole))
		return true;
	snprintf(whole, sizeof(whole), "%s:00.0", text);
	return wr_is_address(whole);
}

static int read_slot(const struct weir_host *host, const struct wr_folder *slots,
		     const char *name, struct slot *slot)
{
	struct wr_folder folder;
	int ret = wr_folder_enter(slots, name, &folder);

	if (ret < 0)
		return ret == -ENOENT || ret == -ENOTDIR ? -ENOENT :
		       wr_fail(ret, "%s/sys/bus/pci/slots/%s can't be opened: %s", host->root,
			       name, strerror(-ret));
	ret = wr_folder_text(&folder, "address", slot->address, sizeof(slot->address));
	wr_folder_leave(&folder);
	if (ret == -ENOENT || ret == -ENODEV)
		return -ENOENT;
	if (ret == -EACCES || (ret >= 0 && is_slot_address(slot->address))) {
		strcpy(slot->name, name);
		return ret < 0 ? wr_fail(ret, "%s/sys/bus/pci/slots/%s/address can't be read: %s",
					 host->root, name, strerror(-ret)) : 0;
	}
	return wr_fail(-EIO, "%s/sys/bus/pci/slots/%s/address is no slot's address; the kernel "
		       "never writes that, so the tree is damaged", host->root, name);
}

/* Returns how many, or -errno with a message. */
static int read_slots(const struct weir_host *host, const struct wr_folder *folder, DIR *dir,
		      struct slot **out)
{
	struct slot *slots = NULL, *more;
	struct dirent *entry;
	int n = 0, ret = 0;

	while (!ret && (errno = 0, entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(slots->name))
			continue;
		more = realloc(slots, ((size_t)n + 1) * sizeof(*slots));
		if (!more) {
			ret = wr_fail(-ENOMEM, "no memory for the list of slots");
			break;
		}
		slots = more;
		ret = read_slot(host, folder, entry->d_name, &slots[n]);
		n += !ret;
		/* It vanished. */
		if (ret == -ENOENT)
			ret = 0;
	}
	if (!ret && errno)
		ret = wr_fail(-errno, "%s/sys/bus/pci/slots can't be listed: %s", host->root,
			      strerror(errno));
	*out = slots;
	return ret < 0 ? ret : n;
}

static const char *slot_of(const struct slot *slots, int n, const char *address)
{
	/* All parts of both have a fixed width. */
	for (int i = 0; i < n; i++)
		if (!strncmp(address, slots[i].address, strlen(slots[i].address)))
			return slots[i].name;
	return NULL;
}

/* A VF is in its PF's slot, and what is behind a card's bridge in the card's. */
static void tell(struct weir_host *host, const struct slot *slots, int n)
{
	for (int i = 0; i < host->count; i++) {
		struct weir_host_function *fn = &host->functions[i];
		const char *slot = slot_of(slots, n, fn->physfn[0] ? fn->physfn : fn->address);
		const struct weir_host_function *parent = slot ? NULL : weir_host_parent(host, fn);

		/* Bridges come first in the list, so theirs is known. */
		if (!slot && parent && parent < fn)
			slot = parent->slot;
		if (slot)
			strcpy(fn->slot, slot);
	}
}

int wr_host_find_slots(struct weir_host *host)
{
	struct slot *slots = NULL;
	struct wr_folder folder;
	DIR *dir = NULL;
	int ret;

	ret = wr_folder_open(host->root, "/sys/bus/pci/slots", &folder);
	/* Not every machine has slots. */
	if (ret == -ENOENT)
		return 0;
	if (!ret) {
		ret = wr_folder_dir(&folder, &dir);
		if (ret < 0)
			wr_folder_close(&folder);
	}
	if (ret < 0)
		return wr_fail(ret, "%s/sys/bus/pci/slots can't be listed: %s", host->root,
			       strerror(-ret));
	ret = read_slots(host, &folder, dir, &slots);
	closedir(dir);
	wr_folder_close(&folder);
	if (ret > 0)
		tell(host, slots, ret);
	free(slots);
	return ret < 0 ? ret : 0;
}
