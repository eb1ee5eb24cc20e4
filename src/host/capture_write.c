/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sys.h"
#include "host/capture.h"
#include "host/libarchive.h"

int wr_entries_add(struct wr_entries *entries, struct wr_captured entry)
{
	if (entries->n == entries->room) {
		size_t room = entries->room ? entries->room * 2 : 1024;
		struct wr_captured *more = reallocarray(entries->list, room, sizeof(*more));

		if (more) {
			entries->list = more;
			entries->room = room;
		}
	}
	if (entries->n < entries->room && entry.path) {
		entries->list[entries->n++] = entry;
		return 0;
	}
	free(entry.path);
	free(entry.target);
	free(entry.data);
	return wr_fail(-ENOMEM, "no memory for what is captured");
}

void wr_entries_free(struct wr_entries *entries)
{
	for (size_t i = 0; i < entries->n; i++) {
		free(entries->list[i].path);
		free(entries->list[i].target);
		free(entries->list[i].data);
	}
	free(entries->list);
}

/* Of what was met twice, once as a folder, that which says more comes first. */
static int compare(const void *a, const void *b)
{
	const struct wr_captured *ea = a, *eb = b;
	int ret = strcmp(ea->path, eb->path);

	return ret ? ret : (eb->data || eb->target) - (ea->data || ea->target);
}

static int write_entry(const struct wr_libarchive *la, struct archive *a,
		       struct archive_entry *entry, const struct wr_captured *one)
{
	la->archive_entry_clear(entry);
	la->archive_entry_set_pathname(entry, one->path);
	if (one->target) {
		la->archive_entry_set_filetype(entry, AE_IFLNK);
		la->archive_entry_set_symlink(entry, one->target);
		la->archive_entry_set_perm(entry, 0777);
	} else {
		la->archive_entry_set_filetype(entry, one->data ? AE_IFREG : AE_IFDIR);
		la->archive_entry_set_perm(entry, one->data ? 0644 : 0755);
		la->archive_entry_set_size(entry, (la_int64_t)one->len);
	}
	if (la->archive_write_header(a, entry) != ARCHIVE_OK)
		return -EIO;
	if (one->len && la->archive_write_data(a, one->data, one->len) != (la_ssize_t)one->len)
		return -EIO;
	return 0;
}

static int write_all(const struct wr_libarchive *la, struct wr_entries *entries, int fd,
		     const char *file)
{
	struct archive *a = la->archive_write_new();
	struct archive_entry *entry = la->archive_entry_new();
	int ret = a && entry ? 0 : -ENOMEM;

	if (!ret &&
	    (la->archive_write_set_format_gnutar(a) != ARCHIVE_OK ||
	     la->archive_write_add_filter_gzip(a) != ARCHIVE_OK ||
	     la->archive_write_set_filter_option(a, "gzip", "timestamp", NULL) != ARCHIVE_OK ||
	     la->archive_write_open_fd(a, fd) != ARCHIVE_OK))
		ret = -EIO;
	for (size_t i = 0; !ret && i < entries->n; i++)
		if (!i || strcmp(entries->list[i].path, entries->list[i - 1].path))
			ret = write_entry(la, a, entry, &entries->list[i]);
	if (!ret && la->archive_write_close(a) != ARCHIVE_OK)
		ret = -EIO;
	if (ret)
		ret = wr_fail(ret, "%s can't be written: %s", file,
			      a && la->archive_error_string(a) ? la->archive_error_string(a) :
			      strerror(-ret));
	la->archive_entry_free(entry);
	la->archive_write_free(a);
	return ret;
}

static int put_in_place(int fd, const char *made, const char *file, bool force)
{
	int ret = wr_sys->fsync(fd);

	if (!ret && force)
		ret = wr_sys->rename(made, file);
	else if (!ret && renameat2(AT_FDCWD, made, AT_FDCWD, file, RENAME_NOREPLACE))
		ret = -errno;
	/* NFS can't refuse to replace; there a look that was taken before must do. */
	if (ret == -EINVAL && !force)
		ret = wr_sys->access(file) ? wr_sys->rename(made, file) : -EEXIST;
	if (ret == -EEXIST)
		return wr_fail(ret, "%s is there already; --force replaces it", file);
	return ret < 0 ? wr_fail(ret, "%s can't be written: %s", file, strerror(-ret)) : 0;
}

/* Beside the file that it becomes. One of that name was left by a process that is dead. */
static int create(const char *made, bool private)
{
	int fd;

	unlink(made);
	fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, private ? 0600 : 0666);
	return fd < 0 ? -errno : fd;
}

int wr_entries_write(struct wr_entries *entries, const char *file,
		     const struct weir_host_capture_opts *opts)
{
	const struct wr_libarchive *la = wr_libarchive();
	char *made;
	int fd, ret;

	if (!la)
		return -ENOTSUP;
	if (asprintf(&made, "%s.%d", file, getpid()) < 0)
		return wr_fail(-ENOMEM, "no memory for a name");
	fd = create(made, opts->unmasked);
	if (fd < 0) {
		free(made);
		return wr_fail(fd, "%s can't be made: %s", file, strerror(-fd));
	}
	qsort(entries->list, entries->n, sizeof(*entries->list), compare);
	ret = write_all(la, entries, fd, file);
	if (!ret)
		ret = put_in_place(fd, made, file, opts->force);
	if (ret < 0)
		unlink(made);
	close(fd);
	free(made);
	return ret;
}
