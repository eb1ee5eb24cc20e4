/* SPDX-License-Identifier: MIT */
/*
 * Links are made last, when everything else is in its place. So there is none that a file's path
 * could lead through while the archive is read, and a link that comes to lie where something is
 * already, or above it, fails by that.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/libarchive.h"
#include "host/unpack.h"

#define PREFIX		"weir-root-"
#define NAME_PATTERN	PREFIX "XXXXXX"

/* Several times what a machine with thousands of functions has. */
#define ENTRIES_MAX	1000000
#define FILE_SIZE_MAX	(16 << 20)
#define SUM_MAX		(1LL << 30)
#define LINKS_MAX	(128LL << 20)	/* they are kept in memory until the end */
#define PATH_SIZE_MAX	1024
#define DEPTH_MAX	64

struct link {
	char *path;
	char *target;
};

struct unpacking {
	const char *file;
	const struct wr_libarchive *la;
	struct archive *archive;
	int folder;
	long entries, folders;
	long long sum, sum_of_links;
	struct link *links;
	size_t n_links, room;
	char last[PATH_SIZE_MAX];	/* folder that is known to be there */
};

static int refuse(const struct unpacking *u, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What the archive says may end on a terminal: all of it is checked before it is quoted. */
static int refuse(const struct unpacking *u, int err, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return wr_fail(err, "%s: %s; nothing of it was kept", u->file, why);
}

static int too_many(const struct unpacking *u)
{
	return refuse(u, -EFBIG, "there are more than %d things in it", ENTRIES_MAX);
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*(const unsigned char *)text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/*
 * How many names a path has that must lead downwards alone; -1 when one of them is empty, "." or
 * "..", which are what ".." begins with.
 */
static int count_names(const char *path)
{
	int n = 0;

	while (*path) {
		size_t len = strcspn(path, "/");

		if (!len || !strncmp(path, "..", len) || len > NAME_MAX)
			return -1;
		n++;
		path += len;
		if (*path == '/' && !*++path)
			return -1;
	}
	return n;
}

/* "../../name/name": upwards no further than the root, then downwards alone. */
static bool is_safe(const char *path, const char *target)
{
	int depth = count_names(path) - 1;

	if (!*target || !is_printable(target) || strlen(target) >= PATH_SIZE_MAX)
		return false;
	for (; !strncmp(target, "../", 3); target += 3)
		depth--;
	if (!strcmp(target, "..")) {
		depth--;
		target = "";
	}
	return depth >= 0 && count_names(target) >= 0;
}

bool wr_unpack_takes(const char *path, const char *target)
{
	int depth = count_names(path);

	return is_printable(path) && strlen(path) < PATH_SIZE_MAX && depth > 0 &&
	       depth <= DEPTH_MAX && (!target || is_safe(path, target));
}

/* "./sys/", as tar writes it, is "sys". Returns 1 for the folder itself, else 0 or -errno. */
static int check_path(const struct unpacking *u, const char *given, char path[PATH_SIZE_MAX])
{
	size_t len;
	int depth;

	if (!given || !is_printable(given))
		return refuse(u, -EINVAL, "entry %ld has a name that isn't text", u->entries);
	while (!strncmp(given, "./", 2))
		given += 2;
	len = strlen(given);
	if (len >= PATH_SIZE_MAX)
		return refuse(u, -EFBIG, "the name %.60s... is longer than %d bytes", given,
			      PATH_SIZE_MAX - 1);
	memcpy(path, given, len + 1);
	if (len && path[len - 1] == '/')
		path[len - 1] = '\0';
	if (!*path || !strcmp(path, "."))
		return 1;
	depth = count_names(path);
	if (depth < 0)
		return refuse(u, -EINVAL, "the name %.200s leads out of the archive, or isn't one",
			      given);
	if (depth > DEPTH_MAX)
		return refuse(u, -EFBIG, "%.60s... lies more than %d folders deep", given,
			      DEPTH_MAX);
	return 0;
}

/* Make the folders above @path, or with @whole that folder itself. */
static int make_folders(struct unpacking *u, const char *path, bool whole)
{
	char part[PATH_SIZE_MAX];
	size_t len = strlen(path);

	memcpy(part, path, len + 1);
	if (!whole) {
		char *slash = strrchr(part, '/');

		if (!slash)
			return 0;
		*slash = '\0';
	}
	if (!strcmp(part, u->last))
		return 0;
	for (char *c = part;; c++) {
		char was = *c;

		if (was && was != '/')
			continue;
		*c = '\0';
		if (!mkdirat(u->folder, part, 0700)) {
			/* One name can stand for as many as it is deep. */
			if (++u->folders > ENTRIES_MAX)
				return too_many(u);
		} else if (errno != EEXIST) {
			return refuse(u, errno == ENOTDIR ? -EINVAL : -errno, "the folder %.200s "
				      "can't be made: %s", part, strerror(errno));
		}
		*c = was;
		if (!was)
			break;
	}
	strcpy(u->last, part);
	return 0;
}

/* A folder may be in the archive twice, and by what lies in it; anything else once. */
static int add_folder(struct unpacking *u, const char *path)
{
	struct stat st;
	int ret = make_folders(u, path, true);

	if (ret < 0)
		return ret;
	if (fstatat(u->folder, path, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
		return refuse(u, -EINVAL, "%.200s is in it as a folder and as a file", path);
	return 0;
}

static int unreadable(const struct unpacking *u)
{
	const char *why = u->la->archive_error_string(u->archive);

	return refuse(u, -EINVAL, "it is damaged or cut off behind entry %ld (%.200s)", u->entries,
		      why && is_printable(why) ? why : "libarchive doesn't say why");
}

static int copy_data(struct unpacking *u, const char *path, int fd)
{
	char buf[65536];
	long long size = 0;
	ssize_t len;

	while ((len = u->la->archive_read_data(u->archive, buf, sizeof(buf)))) {
		if (len < 0)
			return unreadable(u);
		size += len;
		u->sum += len;
		if (size > FILE_SIZE_MAX)
			return refuse(u, -EFBIG, "%.200s is larger than %d MiB, as nothing in "
				      "sysfs or procfs is", path, FILE_SIZE_MAX >> 20);
		if (u->sum > SUM_MAX)
			return refuse(u, -EFBIG, "there is more than %lld MiB in it",
				      SUM_MAX >> 20);
		if (write(fd, buf, (size_t)len) != len)
			return refuse(u, -ENOSPC, "%.200s can't be written: %s", path,
				      strerror(errno));
	}
	return 0;
}

static int add_file(struct unpacking *u, const char *path)
{
	int fd, ret = make_folders(u, path, false);

	if (ret < 0)
		return ret;
	fd = openat(u->folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EEXIST || errno == ENOTDIR))
		return refuse(u, -EINVAL, "%.200s is in it twice, or as a folder and as a file",
			      path);
	if (fd < 0)
		return refuse(u, -errno, "%.200s can't be made: %s", path, strerror(errno));
	ret = copy_data(u, path, fd);
	close(fd);
	return ret;
}

static int keep_link(struct unpacking *u, const char *path, const char *target)
{
	struct link link, *more;

	if (!target || !is_safe(path, target))
		return refuse(u, -EINVAL, "the link %.200s leads out of the archive, or by a way "
			      "that can't be followed safely", path);
	u->sum_of_links += (long long)(strlen(path) + strlen(target));
	if (u->sum_of_links > LINKS_MAX)
		return refuse(u, -EFBIG, "there are more than %lld MiB of links in it",
			      LINKS_MAX >> 20);
	if (u->n_links == u->room) {
		u->room = u->room ? u->room * 2 : 1024;
		more = reallocarray(u->links, u->room, sizeof(*more));
		if (!more)
			return refuse(u, -ENOMEM, "no memory for its links");
		u->links = more;
	}
	link = (struct link){ strdup(path), strdup(target) };
	if (!link.path || !link.target) {
		free(link.path);
		free(link.target);
		return refuse(u, -ENOMEM, "no memory for its links");
	}
	u->links[u->n_links++] = link;
	return 0;
}

static int make_links(struct unpacking *u)
{
	int ret = 0;

	/* Their folders first, as long as no path leads through a link. */
	for (size_t i = 0; !ret && i < u->n_links; i++)
		ret = make_folders(u, u->links[i].path, false);
	for (size_t i = 0; !ret && i < u->n_links; i++) {
		const char *path = u->links[i].path;

		if (symlinkat(u->links[i].target, u->folder, path))
			ret = refuse(u, errno == EEXIST || errno == ENOTDIR ? -EINVAL : -errno,
				     "the link %.200s can't be made: %s", path, strerror(errno));
	}
	return ret;
}

static int add_entry(struct unpacking *u, struct archive_entry *entry)
{
	char path[PATH_SIZE_MAX];
	int ret;

	ret = check_path(u, u->la->archive_entry_pathname(entry), path);
	if (ret < 0)
		return ret;
	if (u->la->archive_entry_hardlink(entry))
		return refuse(u, -EINVAL, "%.200s is a hard link, which a capture never has", path);
	switch (u->la->archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return ret ? 0 : add_folder(u, path);
	case AE_IFREG:
		return ret ? refuse(u, -EINVAL, "a file in it has no name") : add_file(u, path);
	case AE_IFLNK:
		return ret ? refuse(u, -EINVAL, "a link in it has no name") :
		       keep_link(u, path, u->la->archive_entry_symlink(entry));
	default:
		return refuse(u, -EINVAL, "%.200s is neither file, folder nor link", path);
	}
}

static int read_entries(struct unpacking *u)
{
	struct archive_entry *entry;
	int ret;

	for (;;) {
		ret = u->la->archive_read_next_header(u->archive, &entry);
		if (ret == ARCHIVE_EOF)
			break;
		/* A warning is about what isn't used here, owners' names say. */
		if (ret != ARCHIVE_OK && ret != ARCHIVE_WARN)
			return unreadable(u);
		if (++u->entries > ENTRIES_MAX)
			return too_many(u);
		ret = add_entry(u, entry);
		if (ret < 0)
			return ret;
	}
	if (!u->entries)
		return refuse(u, -EINVAL, "it is empty");
	return make_links(u);
}

static int read_archive(struct unpacking *u, int fd)
{
	struct archive *a = u->la->archive_read_new();
	int ret;

	if (!a)
		return refuse(u, -ENOMEM, "no memory to read it");
	u->archive = a;
	/* No format and no filter more than these: each is code that a stranger's file reaches. */
	if (u->la->archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    u->la->archive_read_support_filter_gzip(a) != ARCHIVE_OK)
		ret = refuse(u, -ENOTSUP, "this machine's libarchive can't read tar or gzip");
	else if (u->la->archive_read_open_fd(a, fd, 65536) != ARCHIVE_OK)
		ret = refuse(u, -EINVAL, "it is no tar archive, plain or with gzip, as 'weir "
			     "capture' makes, or is cut off; a root is such a file or a folder");
	else
		ret = read_entries(u);
	u->la->archive_read_free(a);
	return ret;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path) && errno != ENOENT;
}

static void remove_folder(const char *folder)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *place(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && *tmp ? tmp : "/tmp";
}

/* Whose process is gone, its lock is too. */
static void remove_stale(const char *folder)
{
	struct stat st;
	int fd;

	fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!fstat(fd, &st) && st.st_uid == geteuid() && !flock(fd, LOCK_EX | LOCK_NB)) {
		wr_log(WEIR_LOG_INFO, "%s is removed: a process that died left it", folder);
		remove_folder(folder);
	}
	close(fd);
}

static void remove_all_stale(void)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(place());

	while (dir && (entry = readdir(dir)))
		if (strlen(entry->d_name) == strlen(NAME_PATTERN) &&
		    !strncmp(entry->d_name, PREFIX, strlen(PREFIX)) &&
		    snprintf(path, sizeof(path), "%s/%s", place(), entry->d_name) <
		    (int)sizeof(path))
			remove_stale(path);
	if (dir)
		closedir(dir);
}

/* Between its making and its locking another process may take it for stale: then once more. */
static int make_folder(struct wr_unpacked *out)
{
	struct stat st;
	int fd;

	for (;;) {
		if (asprintf(&out->folder, "%s/%s", place(), NAME_PATTERN) < 0) {
			out->folder = NULL;
			return -ENOMEM;
		}
		if (!mkdtemp(out->folder))
			return -errno;
		fd = open(out->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			if (!flock(fd, LOCK_EX) && !fstat(fd, &st) && st.st_nlink) {
				out->lock = fd;
				return 0;
			}
			close(fd);
		} else if (errno != ENOENT) {
			return -errno;
		}
		free(out->folder);
	}
}

static int unpack_fd(const char *file, int fd, struct wr_unpacked *out)
{
	struct unpacking u = { .file = file, .la = wr_libarchive() };
	struct wr_unpacked made = { 0 };
	int ret;

	if (!u.la)
		return -ENOTSUP;
	remove_all_stale();
	ret = make_folder(&made);
	if (ret < 0) {
		free(made.folder);
		return wr_fail(ret, "%s: no folder can be made in %s to unpack it: %s", file,
			       place(), strerror(-ret));
	}
	u.folder = made.lock;
	ret = read_archive(&u, fd);
	for (size_t i = 0; i < u.n_links; i++) {
		free(u.links[i].path);
		free(u.links[i].target);
	}
	free(u.links);
	if (ret < 0)
		wr_unpacked_remove(&made);
	else
		*out = made;
	return ret;
}

int wr_unpack(const char *file, struct wr_unpacked *out)
{
	int fd, ret;

	fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return wr_fail(-errno, "%s can't be read: %s", file, strerror(errno));
	ret = unpack_fd(file, fd, out);
	close(fd);
	return ret;
}

void wr_unpacked_remove(struct wr_unpacked *unpacked)
{
	if (!unpacked->folder)
		return;
	remove_folder(unpacked->folder);
	close(unpacked->lock);
	free(unpacked->folder);
	*unpacked = (struct wr_unpacked){ 0 };
}
