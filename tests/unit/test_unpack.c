/* SPDX-License-Identifier: MIT */
/* Archives as roots: hostile ones leave nothing behind, neither outside nor inside. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/host.h>

#include "host/unpack.h"
#include "tree.h"

#define ADDR "0000:01:00.0"

/* $TMPDIR is a folder of the test's own, which must be as empty afterwards as before. */
struct place {
	char *folder;
	char file[300];
	char tmp[300];
	char *saved;
};

static int start(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	place->folder = tree_new();
	snprintf(place->file, sizeof(place->file), "%s/archive", place->folder);
	snprintf(place->tmp, sizeof(place->tmp), "%s/tmp", place->folder);
	tree_folder(place->folder, "tmp");
	place->saved = getenv("TMPDIR") ? strdup(getenv("TMPDIR")) : NULL;
	setenv("TMPDIR", place->tmp, 1);
	*state = place;
	return 0;
}

static int count(const char *folder)
{
	DIR *dir = opendir(folder);
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static int stop(void **state)
{
	struct place *place = *state;

	if (place->saved)
		setenv("TMPDIR", place->saved, 1);
	else
		unsetenv("TMPDIR");
	free(place->saved);
	tree_free(place->folder);
	free(place);
	return 0;
}

/* ---- archives ---- */

static struct archive *begin(const struct place *place)
{
	struct archive *a = archive_write_new();

	assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
	assert_int_equal(archive_write_add_filter_gzip(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, place->file), ARCHIVE_OK);
	return a;
}

static void end(struct archive *a)
{
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
}

static void put(struct archive *a, const char *path, unsigned int type, const char *text)
{
	struct archive_entry *entry = archive_entry_new();
	bool link = type == AE_IFLNK;

	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, 0777);
	if (link)
		archive_entry_set_symlink(entry, text);
	else if (text)
		archive_entry_set_size(entry, (la_int64_t)strlen(text));
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	if (!link && text)
		assert_int_equal(archive_write_data(a, text, strlen(text)), strlen(text));
	archive_entry_free(entry);
}

/* @err, with a sentence that names the file and has @part in it, and nothing is left. */
static void refused(const struct place *place, int err, const char *part)
{
	struct wr_unpacked unpacked = { 0 };

	assert_int_equal(wr_unpack(place->file, &unpacked), err);
	assert_null(unpacked.folder);
	assert_int_equal(strncmp(weir_errmsg(), place->file, strlen(place->file)), 0);
	if (!strstr(weir_errmsg(), part))
		fail_msg("'%s' isn't in: %s", part, weir_errmsg());
	for (const char *c = weir_errmsg(); *c; c++)
		assert_true((unsigned char)*c >= 0x20);
	assert_int_equal(count(place->tmp), 0);
}

static void test_no_archive(void **state)
{
	const struct place *place = *state;
	struct wr_unpacked unpacked = { 0 };

	assert_int_equal(wr_unpack("/nonexistent", &unpacked), -ENOENT);
	tree_text(place->folder, "archive", "");
	refused(place, -EINVAL, "no tar archive");
	tree_text(place->folder, "archive", "\033[2J is no archive");
	refused(place, -EINVAL, "no tar archive");
	tree_bytes(place->folder, "archive", "\x1f\x8b\x08\0\0\0\0\0", 8);
	refused(place, -EINVAL, "");
	tree_remove(place->folder, "archive");
	tree_folder(place->folder, "archive");
	refused(place, -EINVAL, "");
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		int err;
		const char *part;
	} names[] = {
		{ "../outside", -EINVAL, "leads out" },
		{ "sys/../../outside", -EINVAL, "leads out" },
		{ "sys/..", -EINVAL, "leads out" },
		{ "..", -EINVAL, "leads out" },
		{ "/etc/outside", -EINVAL, "leads out" },
		{ "sys//x", -EINVAL, "leads out" },
		{ "sys/./x", -EINVAL, "leads out" },
		{ "sys/\033[2Jx", -EINVAL, "isn't text" },
		{ "sys/a\nb", -EINVAL, "isn't text" },
	};
	const struct place *place = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct archive *a = begin(place);

		put(a, "sys/good", AE_IFREG, "good\n");
		put(a, names[i].name, AE_IFREG, "bad\n");
		end(a);
		refused(place, names[i].err, names[i].part);
	}
	assert_int_equal(count(place->folder), 3);	/* archive, sys, tmp */
}

static void test_kinds(void **state)
{
	static const unsigned int kinds[] = { AE_IFIFO, AE_IFCHR, AE_IFBLK };
	const struct place *place = *state;
	struct archive_entry *entry;
	struct archive *a;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		a = begin(place);
		put(a, "dev/node", kinds[i], NULL);
		end(a);
		refused(place, -EINVAL, "neither file");
	}
	a = begin(place);
	put(a, "sys/good", AE_IFREG, "good\n");
	entry = archive_entry_new();
	archive_entry_set_pathname(entry, "sys/hard");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_hardlink(entry, "/etc/passwd");
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	archive_entry_free(entry);
	end(a);
	refused(place, -EINVAL, "hard link");
}

static void test_links(void **state)
{
	static const char *const targets[] = {
		"/etc", "../../..", "../../../x", "a/../../../x", "a/..", "..//x", "a//b",
		"./a", "\033[2J",
	};
	const struct place *place = *state;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct archive *a = begin(place);

		put(a, "sys/folder/link", AE_IFLNK, targets[i]);
		end(a);
		refused(place, -EINVAL, "sys/folder/link lead");
	}
}

static void test_twice(void **state)
{
	static const struct {
		const char *names[3];
		unsigned int types[3];
		const char *texts[3];
	} cases[] = {
		{ { "a", "a" }, { AE_IFREG, AE_IFREG }, { "x", "y" } },
		{ { "a", "a/b" }, { AE_IFREG, AE_IFREG }, { "x", "y" } },
		{ { "a/b", "a" }, { AE_IFREG, AE_IFREG }, { "x", "y" } },
		{ { "a", "a" }, { AE_IFREG, AE_IFDIR }, { "x", NULL } },
		{ { "a", "a" }, { AE_IFDIR, AE_IFREG }, { NULL, "x" } },
		/* A file, a folder and a link below a link, whichever comes first. */
		{ { "b", "a", "a/c" }, { AE_IFDIR, AE_IFLNK, AE_IFREG }, { NULL, "b", "x" } },
		{ { "b", "a/c", "a" }, { AE_IFDIR, AE_IFREG, AE_IFLNK }, { NULL, "x", "b" } },
		{ { "b", "a", "a/c" }, { AE_IFDIR, AE_IFLNK, AE_IFDIR }, { NULL, "b", NULL } },
		{ { "d", "p/q/r/a", "p/q/r/a/c" }, { AE_IFDIR, AE_IFLNK, AE_IFLNK },
		  { NULL, "../../../d", "../../../../n" } },
		{ { "a", "a" }, { AE_IFLNK, AE_IFLNK }, { "b", "c" } },
		{ { "a", "a" }, { AE_IFLNK, AE_IFREG }, { "../x", "c" } },
	};
	const struct place *place = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct archive *a = begin(place);

		for (size_t n = 0; n < 3 && cases[i].names[n]; n++)
			put(a, cases[i].names[n], cases[i].types[n], cases[i].texts[n]);
		end(a);
		refused(place, -EINVAL, "");
	}
}

/* Zeroes pack well. */
static void put_zeroes(struct archive *a, const char *path, size_t size)
{
	struct archive_entry *entry = archive_entry_new();
	static char zeroes[1 << 20];

	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_size(entry, (la_int64_t)size);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	for (size_t done = 0; done < size; done += sizeof(zeroes))
		archive_write_data(a, zeroes, size - done < sizeof(zeroes) ? size - done :
				   sizeof(zeroes));
	archive_entry_free(entry);
}

static void test_bombs(void **state)
{
	const struct place *place = *state;
	char path[4096] = "";
	struct archive *a = begin(place);

	put_zeroes(a, "proc/iomem", (16 << 20) + 1);
	end(a);
	refused(place, -EFBIG, "proc/iomem is larger than 16 MiB");

	for (int i = 0; i < 100; i++)
		strcat(path, "d/");
	a = begin(place);
	put(a, path, AE_IFDIR, NULL);
	end(a);
	refused(place, -EFBIG, "folders deep");

	memset(path, 'd', 2000);
	path[2000] = '\0';
	for (int i = 100; i < 2000; i += 100)
		path[i] = '/';
	a = begin(place);
	put(a, path, AE_IFREG, "x");
	end(a);
	refused(place, -EFBIG, "longer than");
}

/* Each is small, and costs nothing in the archive. */
static void test_many_links(void **state)
{
	const struct place *place = *state;
	struct archive *a = begin(place);
	char name[1024];

	for (int i = 0; i < 1023; i++)
		name[i] = i % 128 ? 'd' : '/';
	name[0] = 'd';
	name[1023] = '\0';
	for (int i = 0; i < 66000; i++)
		put(a, name, AE_IFLNK, name);
	end(a);
	refused(place, -EFBIG, "more than 128 MiB of links");
}

/* A file that claims to be huge by holes alone, in GNU's old form. */
static void test_sparse(void **state)
{
	const struct place *place = *state;
	struct archive_entry *entry = archive_entry_new();
	struct archive *a = begin(place);

	archive_entry_set_pathname(entry, "proc/iomem");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_size(entry, 1LL << 40);
	archive_entry_sparse_add_entry(entry, (1LL << 40) - 1, 1);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	archive_write_data(a, "", 1);
	archive_entry_free(entry);
	archive_write_free(a);
	refused(place, -EFBIG, "larger than 16 MiB");
}

static void good(const struct place *place)
{
	struct archive *a = begin(place);

	put(a, "./", AE_IFDIR, NULL);
	put(a, "./sys/bus/pci/devices/" ADDR, AE_IFLNK, "../../../devices/pci0000:00/" ADDR);
	put(a, "sys/devices/pci0000:00/" ADDR "/vendor", AE_IFREG, "0x1234\n");
	put(a, "sys/devices/pci0000:00/" ADDR "/uevent", AE_IFREG,
	    "PCI_CLASS=FF00\nPCI_ID=1234:11E8\nPCI_SUBSYS_ID=1AF4:1100\n");
	put(a, "sys/devices/pci0000:00/" ADDR "/", AE_IFDIR, NULL);
	put(a, "sys/devices/pci0000:00/" ADDR "/device_up", AE_IFLNK, "..");
	end(a);
}

static void test_root(void **state)
{
	const struct place *place = *state;
	struct weir_host *host;

	good(place);
	assert_int_equal(weir_host_open(place->file, &host), 0);
	assert_int_equal(weir_host_count(host), 1);
	assert_string_equal(weir_host_function(host, 0)->address, ADDR);
	assert_int_equal(count(place->tmp), 1);
	weir_host_close(host);
	assert_int_equal(count(place->tmp), 0);
}

static void test_private(void **state)
{
	const struct place *place = *state;
	struct wr_unpacked unpacked = { 0 };
	char path[400];
	struct stat st;

	good(place);
	assert_int_equal(wr_unpack(place->file, &unpacked), 0);
	assert_int_equal(stat(unpacked.folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/sys/devices/pci0000:00/" ADDR "/vendor", unpacked.folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	wr_unpacked_remove(&unpacked);
	assert_null(unpacked.folder);
	wr_unpacked_remove(&unpacked);
}

/* Cut off anywhere, it is refused, or was complete before the cut: tar ends with empty blocks. */
static void test_cut(void **state)
{
	const struct place *place = *state;
	char whole[65536], copy[65536];
	FILE *file;
	size_t len;

	good(place);
	file = fopen(place->file, "re");
	assert_non_null(file);
	len = fread(whole, 1, sizeof(whole), file);
	fclose(file);
	for (size_t cut = 1; cut < len - 30; cut += 7) {
		memcpy(copy, whole, cut);
		tree_bytes(place->folder, "archive", copy, cut);
		refused(place, -EINVAL, "cut off");
	}
}

/* What a process that was killed left is removed by the next one; what is in use stays. */
static void test_killed(void **state)
{
	const struct place *place = *state;
	struct wr_unpacked mine = { 0 }, unpacked = { 0 };
	int status, ready[2];
	char byte;
	pid_t pid;

	good(place);
	assert_int_equal(wr_unpack(place->file, &mine), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		if (wr_unpack(place->file, &unpacked) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(count(place->tmp), 2);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(count(place->tmp), 2);
	assert_int_equal(wr_unpack(place->file, &unpacked), 0);
	assert_int_equal(count(place->tmp), 2);
	assert_int_equal(access(mine.folder, F_OK), 0);
	wr_unpacked_remove(&unpacked);
	wr_unpacked_remove(&mine);
	assert_int_equal(count(place->tmp), 0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_archive, start, stop),
		cmocka_unit_test_setup_teardown(test_names, start, stop),
		cmocka_unit_test_setup_teardown(test_kinds, start, stop),
		cmocka_unit_test_setup_teardown(test_links, start, stop),
		cmocka_unit_test_setup_teardown(test_twice, start, stop),
		cmocka_unit_test_setup_teardown(test_bombs, start, stop),
		cmocka_unit_test_setup_teardown(test_many_links, start, stop),
		cmocka_unit_test_setup_teardown(test_sparse, start, stop),
		cmocka_unit_test_setup_teardown(test_root, start, stop),
		cmocka_unit_test_setup_teardown(test_private, start, stop),
		cmocka_unit_test_setup_teardown(test_cut, start, stop),
		cmocka_unit_test_setup_teardown(test_killed, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
