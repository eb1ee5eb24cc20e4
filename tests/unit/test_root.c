/* SPDX-License-Identifier: MIT */
/* Files below a root that may be hostile: nothing outside of it is read, and nothing blocks. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/root.h"
#include "base/sys.h"
#include "tree.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A folder with the root "root" in it, and what it must not lead to beside it. */
struct trees {
	char *all;
	char root[PATH_MAX];
};

static int new_trees(void **state)
{
	struct trees *trees = calloc(1, sizeof(*trees));

	trees->all = tree_new();
	snprintf(trees->root, sizeof(trees->root), "%s/root", trees->all);
	tree_text(trees->all, "secret/file", "secret\n");
	tree_text(trees->all, "root-too/file", "secret\n");
	tree_text(trees->all, "root/sys/file", "12\n");
	tree_text(trees->all, "root/sys/sub/file", "sub\n");
	*state = trees;
	return 0;
}

static int free_trees(void **state)
{
	struct trees *trees = *state;

	wr_sys = &wr_sys_kernel;
	tree_free(trees->all);
	free(trees);
	return 0;
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* All ways to read what a path leads to, which must agree. */
static int text_of(const struct trees *trees, const char *path, char *buf, size_t size)
{
	int fd = wr_root_open(trees->root, path, 0), ret;

	ret = wr_root_text(trees->root, path, buf, size);
	assert_int_equal(fd < 0 ? fd : 0, ret < 0 && ret != -EISDIR ? ret : 0);
	wr_close(fd);
	return ret;
}

/* ---- what leads outside ---- */

static void test_outside(void **state)
{
	struct trees *trees = *state;
	char absolute[PATH_MAX];
	const struct {
		const char *link, *target;
		int ret;
	} links[] = {
		{ "root/sys/up", "../../secret/file", -EXDEV },
		{ "root/sys/beside", "../../root-too/file", -EXDEV },
		{ "root/sys/folder", "../../secret", -EXDEV },
		{ "root/sys/top", "/", -EXDEV },
		{ "root/sys/absolute", absolute, -EXDEV },
		{ "root/sys/device", "/dev/null", -EXDEV },
		{ "root/sys/proc", "/proc/self/fd/0", 0 },
		{ "root/sys/twice", "up", -EXDEV },
		{ "root/sys/nowhere", "../../absent", -ENOENT },
		{ "root/sys/loop", "loop", -ELOOP },
		{ "root/sys/loop1", "loop2", -ELOOP }, { "root/sys/loop2", "loop1", -ELOOP },
	};
	char path[PATH_MAX], buf[64];
	struct wr_folder folder;
	int fds = open_fds(), ret;
	uint64_t value;
	DIR *dir;

	snprintf(absolute, sizeof(absolute), "%s/secret/file", trees->all);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		tree_link(trees->all, links[i].link, links[i].target);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		const char *inner = links[i].link + strlen("root");

		strcpy(buf, "none");
		ret = text_of(trees, inner, buf, sizeof(buf));
		/* What is behind /proc/self/fd/0 may be anything, but nothing of the root's. */
		if (links[i].ret ? ret != links[i].ret : ret >= 0)
			fail_msg("%s -> %s: %d", inner, links[i].target, ret);
		assert_string_equal(buf, "none");
		assert_true(wr_root_u64(trees->root, inner, &value) < 0);
		assert_false(wr_root_has(trees->root, inner));
		assert_true(wr_root_dir(trees->root, inner, &dir) < 0);
		assert_true(wr_folder_open(trees->root, inner, &folder) < 0);
		/* The link itself lies inside. */
		assert_int_equal(wr_root_link(trees->root, inner, path, sizeof(path)),
				 strlen(links[i].target));
		assert_string_equal(path, links[i].target);
	}
	assert_int_equal(text_of(trees, "/sys/folder/file", buf, sizeof(buf)), -EXDEV);
	assert_int_equal(text_of(trees, "/../secret/file", buf, sizeof(buf)), -EXDEV);
	assert_int_equal(text_of(trees, "/sys/../../secret/file", buf, sizeof(buf)), -EXDEV);
	assert_int_equal(text_of(trees, "/..", buf, sizeof(buf)), -EXDEV);
	assert_int_equal(wr_root_link(trees->root, "/sys/folder/file", path, sizeof(path)), -EXDEV);
	assert_int_equal(open_fds(), fds);
}

/* Links inside are as the kernel has them in sysfs. */
static void test_inside(void **state)
{
	struct trees *trees = *state;
	char buf[64], root[PATH_MAX + 16];
	uint64_t value = 0;

	tree_link(trees->all, "root/sys/link", "../sys/sub/../file");
	tree_link(trees->all, "root/sys/out-and-in", "../../root/sys/file");
	assert_int_equal(text_of(trees, "/sys/file", buf, sizeof(buf)), 2);
	assert_string_equal(buf, "12");
	assert_int_equal(text_of(trees, "sys/file", buf, sizeof(buf)), 2);
	assert_int_equal(text_of(trees, "///sys//file", buf, sizeof(buf)), 2);
	assert_int_equal(text_of(trees, "/sys/link", buf, sizeof(buf)), 2);
	assert_int_equal(text_of(trees, "/sys/out-and-in", buf, sizeof(buf)), 2);
	assert_int_equal(wr_root_u64(trees->root, "/sys/link", &value), 0);
	assert_int_equal(value, 12);
	assert_true(wr_root_has(trees->root, "/sys/link"));
	assert_true(wr_root_has(trees->root, "/"));
	assert_false(wr_root_has(trees->root, "/absent"));

	/* A root that is a link itself, that ends in slashes, or is the machine's. */
	tree_link(trees->all, "link-to-root", "root");
	snprintf(root, sizeof(root), "%s/link-to-root", trees->all);
	assert_int_equal(wr_root_text(root, "/sys/file", buf, sizeof(buf)), 2);
	snprintf(root, sizeof(root), "%s///", trees->root);
	assert_int_equal(wr_root_text(root, "/sys/file", buf, sizeof(buf)), 2);
	snprintf(root, sizeof(root), "%s/sys/file", trees->root);
	/* "/" itself is another folder where QEMU runs the test. */
	assert_int_equal(wr_root_text("/proc/self/root", root, buf, sizeof(buf)), 2);
	assert_int_equal(wr_root_text("", root, buf, sizeof(buf)), 2);
}

static void test_no_root(void **state)
{
	struct trees *trees = *state;
	char huge[2 * PATH_MAX], file[PATH_MAX + 16], buf[64];
	struct wr_folder folder;

	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	snprintf(file, sizeof(file), "%s/sys/file", trees->root);
	assert_int_equal(wr_root_text("/nonexistent", "/sys", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(wr_root_text(huge, "/sys", buf, sizeof(buf)), -ENAMETOOLONG);
	assert_int_equal(wr_root_text(trees->root, huge, buf, sizeof(buf)), -ENAMETOOLONG);
	assert_int_equal(wr_root_text(file, "/sys", buf, sizeof(buf)), -ENOTDIR);
	assert_int_equal(wr_folder_open("/nonexistent", "/sys", &folder), -ENOENT);
	assert_int_equal(wr_folder_open("", "/nonexistent", &folder), -ENOENT);
}

/* ---- what is no file ---- */

static void test_odd_files(void **state)
{
	static const struct {
		const char *name;
		int ret;
	} odd[] = { { "fifo", -EINVAL }, { "socket", -EINVAL }, { "sub", -EISDIR } };
	struct trees *trees = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[PATH_MAX + 16], here[PATH_MAX], buf[64];
	struct wr_folder folder;
	int fd;

	snprintf(path, sizeof(path), "%s/sys/fifo", trees->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	/* A socket's path is short. */
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(path, sizeof(path), "%s/sys", trees->root);
	assert_int_equal(chdir(path), 0);
	strcpy(address.sun_path, "socket");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(chdir(here), 0);

	assert_int_equal(wr_folder_open(trees->root, "/sys", &folder), 0);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		snprintf(path, sizeof(path), "/sys/%s", odd[i].name);
		assert_int_equal(text_of(trees, path, buf, sizeof(buf)), odd[i].ret);
		assert_int_equal(wr_folder_text(&folder, odd[i].name, buf, sizeof(buf)),
				 odd[i].ret);
	}
	wr_folder_close(&folder);

	/* Devices are made by root alone; their folder serves as one. */
	assert_int_equal(wr_root_text("/dev", "/null", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(wr_folder_open("/dev", "/", &folder), 0);
	assert_int_equal(wr_folder_text(&folder, "null", buf, sizeof(buf)), -EINVAL);
	wr_folder_close(&folder);
}

static void test_texts(void **state)
{
	struct trees *trees = *state;
	char buf[16], *huge = malloc(1 << 20);
	struct wr_folder folder;
	uint64_t value = 42;

	memset(huge, '1', 1 << 20);
	tree_bytes(trees->all, "root/sys/huge", huge, 1 << 20);
	tree_bytes(trees->all, "root/sys/nul", "a\0b\n", 4);
	tree_text(trees->all, "root/sys/number", "0x1f\n");
	free(huge);
	assert_int_equal(wr_folder_open(trees->root, "/sys", &folder), 0);
	assert_int_equal(wr_root_text(trees->root, "/sys/huge", buf, sizeof(buf)),
			 -EOVERFLOW);
	assert_int_equal(wr_folder_text(&folder, "huge", buf, sizeof(buf)), -EOVERFLOW);
	assert_int_equal(wr_folder_u64(&folder, "huge", &value), -EOVERFLOW);
	assert_int_equal(wr_root_text(trees->root, "/sys/nul", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(wr_folder_text(&folder, "nul", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(wr_folder_text(&folder, "file", buf, 0), -EINVAL);
	assert_int_equal(wr_folder_text(&folder, "file", buf, 3), -EOVERFLOW);
	assert_int_equal(wr_folder_u64(&folder, "nul", &value), -EINVAL);
	assert_int_equal(value, 42);
	assert_int_equal(wr_folder_u64(&folder, "number", &value), 0);
	assert_int_equal(value, 31);
	wr_folder_close(&folder);
}

/* ---- links ---- */

static void test_links(void **state)
{
	struct trees *trees = *state;
	struct wr_folder folder;
	char buf[PATH_MAX];

	tree_link(trees->all, "root/sys/link", "a\033[2J\n/b");
	assert_int_equal(wr_folder_open(trees->root, "/sys", &folder), 0);
	assert_int_equal(wr_root_link(trees->root, "/sys/link", buf, sizeof(buf)), 8);
	assert_string_equal(buf, "a\033[2J\n/b");
	assert_int_equal(wr_folder_link(&folder, "link", buf, sizeof(buf)), 8);
	assert_int_equal(wr_root_link(trees->root, "/sys/link", buf, 9), 8);
	assert_int_equal(wr_root_link(trees->root, "/sys/link", buf, 8), -ENAMETOOLONG);
	assert_int_equal(wr_folder_link(&folder, "link", buf, 8), -ENAMETOOLONG);
	assert_int_equal(wr_root_link(trees->root, "/sys/link", buf, 0), -EINVAL);
	assert_int_equal(wr_folder_link(&folder, "link", buf, 0), -EINVAL);
	assert_int_equal(wr_root_link(trees->root, "/sys/file", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(wr_folder_link(&folder, "file", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(wr_root_link(trees->root, "/sys/sub", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(wr_root_link(trees->root, "/absent", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(wr_folder_link(&folder, "absent", buf, sizeof(buf)), -ENOENT);
	wr_folder_close(&folder);
}

/* ---- folders ---- */

static void test_folder_outside(void **state)
{
	static const char *const outside[] = { "out", "../..", "../../secret", "..//../secret" };
	struct trees *trees = *state;
	struct wr_folder folder, sub;
	int fds = open_fds();
	char buf[64];

	tree_link(trees->all, "root/sys/out", "../../secret");
	tree_link(trees->all, "root/sys/link", "../../secret/file");
	tree_link(trees->all, "root/sys/short", "file");
	assert_int_equal(wr_folder_open(trees->root, "/sys", &folder), 0);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		if (wr_folder_enter(&folder, outside[i], &sub) != -EXDEV)
			fail_msg("%s was entered", outside[i]);
	/* An entry that is a link isn't followed, wherever it leads. */
	assert_int_equal(wr_folder_text(&folder, "link", buf, sizeof(buf)), -ELOOP);
	assert_int_equal(wr_folder_text(&folder, "short", buf, sizeof(buf)), -ELOOP);
	assert_int_equal(wr_folder_file(&folder, "link"), -ELOOP);
	assert_int_equal(wr_folder_enter(&folder, "file", &sub), -ENOTDIR);
	assert_int_equal(wr_folder_enter(&folder, "absent", &sub), -ENOENT);
	wr_folder_close(&folder);
	assert_int_equal(wr_folder_open(trees->root, "/", &folder), 0);
	assert_int_equal(wr_folder_enter(&folder, "..", &sub), -EXDEV);
	wr_folder_close(&folder);
	assert_int_equal(open_fds(), fds);
}

static void test_folder(void **state)
{
	struct trees *trees = *state;
	struct wr_folder folder, sub;
	char buf[64], path[PATH_MAX + 16];
	struct dirent *entry;
	int fds = open_fds(), n = 0;
	DIR *dir;

	tree_link(trees->all, "root/sys/link", "sub");
	tree_link(trees->all, "root/sys/short", "file");
	snprintf(path, sizeof(path), "%s/sys", trees->root);
	/* Once below a root, once on this machine. */
	for (int machine = 0; machine < 2; machine++) {
		assert_int_equal(machine ? wr_folder_open("", path, &folder) :
				 wr_folder_open(trees->root, "/sys", &folder), 0);
		assert_int_equal(wr_folder_text(&folder, "file", buf, sizeof(buf)), 2);
		assert_int_equal(wr_folder_text(&folder, "short", buf, sizeof(buf)), -ELOOP);
		assert_true(wr_folder_has(&folder, "link"));
		assert_false(wr_folder_has(&folder, "absent"));
		for (int i = 0; i < 4; i++) {
			static const char *const ways[] = { "sub", "link", "../sys/sub", "sub/." };

			assert_int_equal(wr_folder_enter(&folder, ways[i], &sub), 0);
			assert_int_equal(wr_folder_text(&sub, "file", buf, sizeof(buf)), 3);
			assert_string_equal(buf, "sub");
			wr_folder_leave(&sub);
		}
		n = 0;
		assert_int_equal(wr_folder_dir(&folder, &dir), 0);
		while ((entry = readdir(dir)))
			n += entry->d_name[0] != '.';
		closedir(dir);
		assert_int_equal(n, 4);
		wr_folder_close(&folder);
	}
	assert_int_equal(open_fds(), fds);

	/* One that vanishes while it is open. */
	assert_int_equal(wr_folder_open(trees->root, "/sys/sub", &folder), 0);
	tree_remove(trees->root, "sys/sub");
	assert_int_equal(wr_folder_text(&folder, "file", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(wr_folder_enter(&folder, "x", &sub), -ENOENT);
	wr_folder_close(&folder);
}

/* ---- the system's errors ---- */

static struct {
	int calls;
	int fail_at;
} failing;

static int fail_open(const char *path, int flags)
{
	return ++failing.calls == failing.fail_at ? -EMFILE : wr_sys_kernel.open(path, flags);
}

static int fail_openat(int folder, const char *path, int flags)
{
	return ++failing.calls == failing.fail_at ? -EMFILE :
	       wr_sys_kernel.openat(folder, path, flags);
}

static void test_errors(void **state)
{
	struct trees *trees = *state;
	struct wr_sys sys = wr_sys_kernel;
	struct wr_folder folder, sub;
	int fds = open_fds(), n = 0;
	char buf[64];
	DIR *dir;

	sys.open = fail_open;
	sys.openat = fail_openat;
	wr_sys = &sys;
	/* Until none fails. */
	for (failing.fail_at = 1; failing.fail_at < 20; failing.fail_at++) {
		int ret;

		failing.calls = 0;
		ret = wr_root_text(trees->root, "/sys/file", buf, sizeof(buf));
		if (ret > 0)
			ret = wr_root_dir(trees->root, "/sys", &dir);
		if (!ret) {
			closedir(dir);
			ret = wr_folder_open(trees->root, "/sys", &folder);
		}
		if (!ret) {
			ret = wr_folder_enter(&folder, "sub", &sub);
			if (!ret) {
				ret = wr_folder_text(&sub, "file", buf, sizeof(buf));
				wr_folder_leave(&sub);
			}
			wr_folder_close(&folder);
		}
		assert_int_equal(open_fds(), fds);
		if (ret >= 0)
			break;
		assert_int_equal(ret, -EMFILE);
		n++;
	}
	assert_int_equal(n, failing.calls);
	assert_int_equal(n, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_trees, free_trees)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_outside),
		TEST(test_inside),
		TEST(test_no_root),
		TEST(test_odd_files),
		TEST(test_texts),
		TEST(test_links),
		TEST(test_folder_outside),
		TEST(test_folder),
		TEST(test_errors),
	};

	return cmocka_run_group_tests_name("root", tests, NULL, NULL);
}
