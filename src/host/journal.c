/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/sys.h"
#include "host/journal.h"

#define HEADER		"weir-journal 1"
#define FOLDER		"/var/lib/weir"
#define TEXT_MAX	(1U << 20)	/* some thousand functions */

static int path_of(char path[WR_PCI_PATH_MAX], const char *root, const char *name)
{
	if (snprintf(path, WR_PCI_PATH_MAX, "%s%s", root, name) >= WR_PCI_PATH_MAX)
		return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
	return 0;
}

static int make_folder(const char *root)
{
	static const char *const parts[] = { "/var", "/var/lib", FOLDER };
	char path[WR_PCI_PATH_MAX];
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(parts) / sizeof(parts[0]); i++) {
		ret = path_of(path, root, parts[i]);
		if (!ret)
			ret = wr_sys->mkdir(path, 0755);
		if (ret == -EEXIST)
			ret = 0;
		else if (ret < 0)
			ret = wr_fail(ret, "the journal's folder %s can't be made: %s%s", path,
				      strerror(-ret), ret == -EACCES ? "; run as root" : "");
	}
	return ret;
}

int wr_journal_lock(const char *root)
{
	char path[WR_PCI_PATH_MAX];
	int fd, ret;

	ret = make_folder(root);
	if (!ret)
		ret = path_of(path, root, FOLDER "/lock");
	if (ret < 0)
		return ret;
	fd = wr_sys->create(path, 0600);
	if (fd < 0)
		return wr_fail(fd, "%s can't be made: %s%s", path, strerror(-fd),
			       fd == -EACCES ? "; run as root" : "");
	ret = wr_sys->flock(fd, LOCK_EX | LOCK_NB);
	if (ret == -EWOULDBLOCK)
		wr_log(WEIR_LOG_INFO, "another process binds or releases (it holds %s): waiting",
		       path);
	while (ret == -EWOULDBLOCK || ret == -EINTR)
		ret = wr_sys->flock(fd, LOCK_EX);
	if (ret < 0) {
		wr_close(fd);
		return wr_fail(ret, "%s can't be locked: %s", path, strerror(-ret));
	}
	return fd;
}

static int damaged(const char *path, const char *line)
{
	return wr_fail(-EIO, "the journal %s is damaged at '%.40s'; give the functions back by "
		       "hand (driver_override, unbind, bind in sysfs), then remove it", path, line);
}

/* The rest of a line that begins with @key and a blank; NULL for another line. */
static const char *value_of(const char *line, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(line, key, len) && line[len] == ' ' ? line + len + 1 : NULL;
}

static bool store(char *to, size_t size, const char *value)
{
	return snprintf(to, size, "%s", value) < (int)size;
}

static bool read_function(const char *value, struct wr_entry *entry)
{
	struct wr_pci_addr addr;
	char address[32];

	if (sscanf(value, "%31s %4hx:%4hx", address, &entry->vendor, &entry->device) != 3 ||
	    wr_pci_addr_parse(address, &addr) < 0)
		return false;
	wr_pci_addr_format(&addr, entry->address);
	return true;
}

static bool read_node(const char *value, struct wr_entry *entry)
{
	struct wr_node *node = &entry->nodes[entry->n_nodes];

	if (entry->n_nodes == WR_NODES_MAX ||
	    sscanf(value, "%u:%u %o %63s", &node->uid, &node->gid, &node->mode, node->path) != 4)
		return false;
	entry->n_nodes++;
	return !strncmp(node->path, "/dev/vfio/", 10) && !strstr(node->path, "..");
}

/* One line below the header; the entries fill as they come. */
static int read_line(struct wr_journal *journal, const char *path, const char *line)
{
	struct wr_entry *last = journal->n ? &journal->entries[journal->n - 1] : NULL;
	const char *value;
	bool good = false;

	value = value_of(line, "function");
	if (value) {
		struct wr_entry entry = { 0 };

		if (!read_function(value, &entry) || wr_journal_find(journal, entry.address))
			return damaged(path, line);
		return wr_journal_add(journal, &entry);
	}
	if (!last)
		return damaged(path, line);
	if ((value = value_of(line, "driver")))
		good = store(last->driver, sizeof(last->driver), value);
	else if ((value = value_of(line, "override")))
		good = store(last->override, sizeof(last->override), value);
	else if ((value = value_of(line, "node")))
		good = read_node(value, last);
	return good ? 0 : damaged(path, line);
}

static int parse(struct wr_journal *journal, const char *path, char *text)
{
	char *line, *rest = text;
	const char *boot;
	int ret = 0;

	line = strsep(&rest, "\n");
	if (strcmp(line, HEADER))
		return damaged(path, line);
	line = strsep(&rest, "\n");
	boot = line ? value_of(line, "boot") : NULL;
	if (!boot)
		return damaged(path, line ? line : HEADER);
	journal->outdated = strcmp(boot, journal->boot);
	while (!ret && (line = strsep(&rest, "\n")))
		if (*line)
			ret = read_line(journal, path, line);
	return ret;
}

static int read_boot(const char *root, char boot[64])
{
	char path[WR_PCI_PATH_MAX];
	int ret = path_of(path, root, "/proc/sys/kernel/random/boot_id");

	if (!ret)
		ret = wr_read_text(path, boot, 64);
	if (ret <= 0)
		return wr_fail(ret ? ret : -EIO, "%s can't be read (%s); without it nobody knows "
			       "whether a journal is from before a restart", path, strerror(-ret));
	return 0;
}

int wr_journal_read(const char *root, struct wr_journal *journal)
{
	char path[WR_PCI_PATH_MAX], *text;
	int ret;

	*journal = (struct wr_journal){ 0 };
	ret = read_boot(root, journal->boot);
	if (!ret)
		ret = path_of(path, root, FOLDER "/journal");
	if (ret < 0)
		return ret;
	text = malloc(TEXT_MAX);
	if (!text)
		return wr_fail(-ENOMEM, "no memory for the journal");
	ret = wr_read_text(path, text, TEXT_MAX);
	if (ret == -EINVAL)
		ret = damaged(path, "");
	else if (ret < 0 && ret != -ENOENT)
		ret = wr_fail(ret, "the journal %s can't be read: %s", path, strerror(-ret));
	else
		ret = ret < 0 ? 0 : parse(journal, path, text);
	free(text);
	if (ret < 0)
		wr_journal_free(journal);
	return ret;
}

static void print(const struct wr_journal *journal, FILE *to)
{
	fprintf(to, HEADER "\nboot %s\n", journal->boot);
	for (size_t i = 0; i < journal->n; i++) {
		const struct wr_entry *entry = &journal->entries[i];

		fprintf(to, "function %s %04x:%04x\n", entry->address, entry->vendor,
			entry->device);
		if (entry->driver[0])
			fprintf(to, "driver %s\n", entry->driver);
		if (entry->override[0])
			fprintf(to, "override %s\n", entry->override);
		for (unsigned int k = 0; k < entry->n_nodes; k++)
			fprintf(to, "node %u:%u %o %s\n", entry->nodes[k].uid,
				entry->nodes[k].gid, entry->nodes[k].mode, entry->nodes[k].path);
	}
}

static int write_all(int fd, const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t ret = wr_sys->pwrite(fd, text + done, len - done, (off_t)done);

		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			return ret < 0 ? (int)ret : -ENOSPC;
		done += (size_t)ret;
	}
	return 0;
}

/* A rename, or a removal, is on disk when its folder is. */
static int sync_folder(const char *root)
{
	char path[WR_PCI_PATH_MAX];
	int fd, ret = path_of(path, root, FOLDER);

	if (ret < 0)
		return ret;
	fd = wr_sys->open(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	ret = wr_sys->fsync(fd);
	wr_close(fd);
	return ret;
}

static int replace(const char *from, const char *to, const char *text, size_t len)
{
	int fd, ret;

	fd = wr_sys->create(from, 0644);
	if (fd < 0)
		return fd;
	ret = write_all(fd, text, len);
	if (!ret)
		ret = wr_sys->fsync(fd);
	wr_close(fd);
	return ret < 0 ? ret : wr_sys->rename(from, to);
}

int wr_journal_write(const char *root, const struct wr_journal *journal)
{
	char from[WR_PCI_PATH_MAX], to[WR_PCI_PATH_MAX], *text = NULL;
	size_t len = 0;
	FILE *stream;
	int ret;

	ret = path_of(from, root, FOLDER "/journal.new");
	if (!ret)
		ret = path_of(to, root, FOLDER "/journal");
	if (ret < 0)
		return ret;
	if (journal->n) {
		stream = open_memstream(&text, &len);
		if (stream)
			print(journal, stream);
		if (!stream || fclose(stream))
			ret = -ENOMEM;
		else
			ret = replace(from, to, text, len);
		free(text);
	} else {
		ret = wr_sys->unlink(to);
		if (ret == -ENOENT)
			return 0;
	}
	if (!ret)
		ret = sync_folder(root);
	if (ret < 0)
		return wr_fail(ret, "the journal %s can't be written: %s", to, strerror(-ret));
	return 0;
}

struct wr_entry *wr_journal_find(const struct wr_journal *journal, const char *address)
{
	for (size_t i = 0; i < journal->n; i++)
		if (!strcmp(journal->entries[i].address, address))
			return &journal->entries[i];
	return NULL;
}

int wr_journal_add(struct wr_journal *journal, const struct wr_entry *entry)
{
	struct wr_entry *more;

	more = reallocarray(journal->entries, journal->n + 1, sizeof(*more));
	if (!more)
		return wr_fail(-ENOMEM, "no memory for the journal");
	journal->entries = more;
	journal->entries[journal->n++] = *entry;
	return 0;
}

int wr_journal_copy(const struct wr_journal *from, struct wr_journal *to)
{
	int ret = 0;

	*to = *from;
	to->n = 0;
	to->entries = NULL;
	for (size_t i = 0; !ret && i < from->n; i++)
		ret = wr_journal_add(to, &from->entries[i]);
	if (ret < 0)
		wr_journal_free(to);
	return ret;
}

void wr_journal_drop(struct wr_journal *journal, const char *address)
{
	struct wr_entry *entry = wr_journal_find(journal, address);

	if (!entry)
		return;
	journal->n--;
	memmove(entry, entry + 1,
		(size_t)(journal->entries + journal->n - entry) * sizeof(*entry));
}

void wr_journal_free(struct wr_journal *journal)
{
	free(journal->entries);
	journal->entries = NULL;
	journal->n = 0;
}
