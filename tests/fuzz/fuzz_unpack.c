/* SPDX-License-Identifier: MIT */
/* Archives: what comes out is files, folders, and links that stay inside. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "host/unpack.h"

static char whole[65536];

/* What a changed header would be refused for: its sum, in which its own bytes count as blanks. */
static void mend_sums(char *data, size_t size)
{
	for (size_t at = 0; at + 512 <= size; at += 512) {
		char *sum = data + at + 148;
		unsigned int value = 0;

		if (memcmp(data + at + 257, "ustar", 5))
			continue;
		memset(sum, ' ', 8);
		for (int i = 0; i < 512; i++)
			value += (unsigned char)data[at + (size_t)i];
		snprintf(sum, 8, "%06o", value & 0777777);
	}
}

static void put(struct archive *a, const char *path, unsigned int type, const char *text)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, 0644);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(entry, text);
	else
		archive_entry_set_size(entry, text ? (la_int64_t)strlen(text) : 0);
	archive_write_header(a, entry);
	if (type == AE_IFREG && text)
		archive_write_data(a, text, strlen(text));
	archive_entry_free(entry);
}

static void seed(int (*format)(struct archive *), bool gzip, const char *target, bool device)
{
	struct archive *a = archive_write_new();
	char longer[200];
	size_t len;

	memset(longer, 'n', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	format(a);
	if (gzip)
		archive_write_add_filter_gzip(a);
	archive_write_set_bytes_in_last_block(a, 1);
	archive_write_open_memory(a, whole, sizeof(whole), &len);
	put(a, "./sys/a", AE_IFDIR, NULL);
	put(a, "sys/a/vendor", AE_IFREG, "0x1234\n");
	put(a, "sys/b/link", AE_IFLNK, target);
	put(a, longer, AE_IFREG, "x");
	put(a, "l", AE_IFLNK, longer);
	if (device)
		put(a, "dev/x", AE_IFCHR, NULL);
	archive_write_close(a);
	archive_write_free(a);
	add_seed(whole, len);
}

void add_seeds(void)
{
	static int (*const formats[])(struct archive *) = {
		archive_write_set_format_gnutar, archive_write_set_format_pax,
		archive_write_set_format_ustar, archive_write_set_format_v7tar,
	};
	static const char *const targets[] = { "../a", "../../sys", "../../../x", "/etc", "..",
					       "a/.." };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		seed(formats[i], false, targets[0], false);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		seed(formats[0], i & 1, targets[i], i == 1);
}

static size_t inside;
static const char *folder;

static int check(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char real[PATH_MAX];

	(void)type, (void)ftw;
	must(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode));
	must(!S_ISREG(st->st_mode) || (st->st_nlink == 1 && (st->st_mode & 07777) == 0600));
	if (S_ISLNK(st->st_mode) && realpath(path, real))
		must(!strncmp(real, folder, inside) && (!real[inside] || real[inside] == '/'));
	return 0;
}

static int count(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	must(dir != NULL);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr_unpacked unpacked = { 0 };
	char path[256], *copy;
	int before;

	copy = malloc(size + !size);
	must(copy != NULL);
	memcpy(copy, data, size);
	mend_sums(copy, size);
	write_file(temporary("archive", path), copy, size);
	free(copy);
	before = count(getenv("TMPDIR"));
	if (!wr_unpack(path, &unpacked)) {
		folder = unpacked.folder;
		inside = strlen(folder);
		must(!nftw(folder, check, 16, FTW_PHYS));
	}
	wr_unpacked_remove(&unpacked);
	must(count(getenv("TMPDIR")) == before);
	return 0;
}
