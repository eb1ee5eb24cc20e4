/* SPDX-License-Identifier: MIT */
/* Bind and release, over a tree in which a fake kernel binds drivers (fake_sysfs.h). */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "bind_rig.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static int release(const char *address)
{
	return weir_host_release(fake_sysfs->root, &address, 1, NULL);
}

static const char *read_back(const char *name)
{
	static char text[4096];
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", fake_sysfs->root, name);
	file = fopen(path, "re");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

/* ---- bad input ---- */

static void test_bad(void **state)
{
	struct weir_host_bind_opts opts = { .reserved = { 1 } };
	struct weir_host_release_opts back = { .reserved = { 0, 1 } };
	const char *root = *state, *address = NVME;

	assert_int_equal(bind_with(&opts, NVME), -EINVAL);
	assert_int_equal(weir_host_release(root, &address, 1, &back), -EINVAL);
	assert_int_equal(weir_host_bind(root, NULL, 0, NULL), -EINVAL);
	assert_int_equal(bind_with(NULL, "00:zz"), -EINVAL);
	assert_int_equal(bind_with(NULL, "0000:7f:00.0"), -ENOENT);
	assert_int_equal(bind_with(NULL, PORT), -EINVAL);
	assert_says("bridge");
	assert_int_equal(release("00:zz"), -EINVAL);
	assert_int_equal(release("0000:7f:00.0"), -ENOENT);
	tree_bytes(root, "sys/bus/pci/devices/" NVME "/config", "short", 5);
	assert_int_equal(bind_with(NULL, NVME), -EIO);
	tree_attr(root, NVME, "config", "");
	assert_int_equal(bind_with(NULL, NVME), -EIO);
	assert_string_equal(fake_state(NVME), "nvme/-");
	assert_false(is_there(JOURNAL));
}

static void test_bad_state(void **state)
{
	static const char *const bad[] = {
		"a\nb", "\033[2J",
		"0123456789012345678901234567890123456789012345678901234567890123",
	};
	const char *root = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_attr(root, NVME, "driver_override", bad[i]);
		assert_true(bind_with(NULL, NVME) < 0);
		assert_int_equal(strncmp(fake_state(NVME), "nvme/", 5), 0);
	}
	tree_remove(root, "sys/bus/pci/devices/" NVME "/driver_override");
	assert_int_equal(bind_with(NULL, NVME), -ENOTSUP);
	assert_says("driver_override");
}

#define GOOD "weir-journal 1\nboot 11111111-2222\n"

static void test_damaged_journal(void **state)
{
	static const char *const bad[] = {
		"x", "weir-journal 2\nboot 1\n", "weir-journal 1", "weir-journal 1\nfunction x\n",
		GOOD "driver nvme\n", GOOD "function\n", GOOD "function 0000:01:00.0\n",
		GOOD "function zz 1:2\n", GOOD "function 0000:01:00.0 1234\n",
		GOOD "function 0000:01:00.0 1234:11e8\nfunction 01:00.0 1234:11e8\n",
		GOOD "function 0000:01:00.0 1234:11e8\nwhat is this\n",
		GOOD "function 0000:01:00.0 1234:11e8\nnode\n",
		GOOD "function 0000:01:00.0 1234:11e8\nnode 0:0 600 /etc/passwd\n",
		GOOD "function 0000:01:00.0 1234:11e8\nnode 0:0 600 /dev/vfio/../../etc/passwd\n",
		GOOD "function 0000:01:00.0 1234:11e8\nnode 0:0 600 /dev/vfio/1\n"
		"node 0:0 600 /dev/vfio/2\nnode 0:0 600 /dev/vfio/3\n",
		GOOD "function 0000:01:00.0 1234:11e8\ndriver "
		"0123456789012345678901234567890123456789012345678901234567890123\n",
	};
	const char *root = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tree_text(root, JOURNAL, bad[i]);
		if (release_all() != -EIO || bind_with(NULL, NVME) != -EIO)
			fail_msg("journal %zu was taken: %s", i, bad[i]);
		assert_says(JOURNAL);
		assert_string_equal(read_back(JOURNAL), bad[i]);
		assert_string_equal(fake_state(NVME), "nvme/-");
	}
	tree_bytes(root, JOURNAL, "weir\0x", 6);
	assert_int_equal(release_all(), -EIO);
	tree_remove(root, JOURNAL);
	tree_remove(root, "proc/sys/kernel/random/boot_id");
	assert_int_equal(bind_with(NULL, NVME), -ENOENT);
	assert_says("boot_id");
}

/* ---- there and back ---- */

static void test_there_and_back(void **state)
{
	struct told told = { 0 };
	struct weir_host_bind_opts opts = { .show = tell, .arg = &told };
	struct weir_host_release_opts back = { .show = tell, .arg = &told };
	const char *root = *state, *address = NVME;

	assert_int_equal(bind_with(&opts, "01:00.0"), 0);
	assert_string_equal(told.text, "override " NVME " >vfio-pci;unbind " NVME " nvme>;"
			    "bind " NVME " >vfio-pci;");
	assert_string_equal(fake_state(NVME), "vfio-pci/vfio-pci");
	assert_string_equal(read_back(JOURNAL), GOOD "function " NVME " 1234:11e8\ndriver nvme\n");
	assert_false(is_there(JOURNAL ".new"));

	/* Again: nothing. */
	assert_int_equal(bind_with(&opts, NVME), 0);
	assert_string_equal(told.text, "");
	assert_string_equal(read_back(JOURNAL), GOOD "function " NVME " 1234:11e8\ndriver nvme\n");

	assert_int_equal(weir_host_release(root, &address, 1, &back), 0);
	assert_string_equal(told.text, "override " NVME " vfio-pci>;unbind " NVME " vfio-pci>;"
			    "bind " NVME " >nvme;");
	assert_string_equal(fake_state(NVME), "nvme/-");
	assert_false(is_there(JOURNAL));
	assert_int_equal(weir_host_release(root, &address, 1, &back), 0);
	assert_string_equal(told.text, "keep " NVME " nvme>nvmeit isn't bound by 'weir bind';");
	assert_int_equal(release_all(), 0);
	assert_int_equal(fake_sysfs->loads, 0);
}

static void test_without_driver(void **state)
{
	const char *root = *state;

	assert_int_equal(bind_with(NULL, EDU), 0);
	assert_string_equal(fake_state(EDU), "vfio-pci/vfio-pci");
	assert_int_equal(release(EDU), 0);
	assert_string_equal(fake_state(EDU), "-/-");

	/* An override of the user's, which is given back as well. */
	fake_function(EDU, 6, "pci-stub");
	tree_attr(root, EDU, "driver_override", "pci-stub\n");
	assert_int_equal(bind_with(NULL, EDU), 0);
	assert_int_equal(release(EDU), 0);
	assert_string_equal(fake_state(EDU), "pci-stub/pci-stub");
}

static void test_several(void **state)
{
	const char *both[] = { EDU, NVME, "01:00.0" };
	struct told told = { 0 };
	struct weir_host_release_opts back = { .show = tell, .arg = &told };

	assert_int_equal(weir_host_bind(*state, both, 3, NULL), 0);
	assert_string_equal(fake_state(EDU), "vfio-pci/vfio-pci");
	assert_string_equal(fake_state(NVME), "vfio-pci/vfio-pci");
	assert_int_equal(release(EDU), 0);
	assert_string_equal(read_back(JOURNAL), GOOD "function " NVME " 1234:11e8\ndriver nvme\n");
	assert_int_equal(bind_with(NULL, EDU), 0);
	/* Backwards, as they came. */
	assert_int_equal(weir_host_release(*state, NULL, 0, &back), 0);
	assert_true(strstr(told.text, EDU) < strstr(told.text, NVME));
	assert_string_equal(fake_state(EDU), "-/-");
	assert_string_equal(fake_state(NVME), "nvme/-");
}

static void test_others_bind(void **state)
{
	/* In VFIO's hands without weir: stays, and isn't given to a driver that nobody knows. */
	fake_function(EDU, 6, "mlx5_vfio_pci");
	assert_int_equal(bind_with(NULL, EDU), 0);
	assert_string_equal(fake_state(EDU), "mlx5_vfio_pci/-");
	assert_false(is_there(JOURNAL));
	assert_int_equal(release(EDU), -ENOENT);
	assert_says("mlx5_vfio_pci");
	assert_int_equal(weir_host_bind(*state, (const char *[]){ NVME }, 1, NULL), 0);
	assert_int_equal(weir_host_release(*state, (const char *[]){ NVME, EDU }, 2, NULL),
			 -ENOENT);
	assert_string_equal(fake_state(NVME), "vfio-pci/vfio-pci");
}

static void test_dry_run(void **state)
{
	struct told told = { 0 };
	struct weir_host_bind_opts opts = { .dry_run = true, .show = tell, .arg = &told };
	struct weir_host_release_opts back = { .dry_run = true, .show = tell, .arg = &told };

	assert_int_equal(bind_with(&opts, NVME), 0);
	assert_int_equal(told.calls, 1);
	assert_non_null(strstr(told.text, "unbind " NVME));
	assert_int_equal(weir_host_release(*state, NULL, 0, &back), 0);
	assert_int_equal(fake_sysfs->calls, 0);
	assert_false(is_there("var"));
	assert_int_equal(bind_with(NULL, NVME), 0);
	fake_sysfs->calls = 0;
	assert_int_equal(weir_host_release(*state, NULL, 0, &back), 0);
	assert_non_null(strstr(told.text, "bind " NVME " >nvme"));
	assert_int_equal(fake_sysfs->calls, 0);
}

static void test_modules(void **state)
{
	struct told told = { 0 };
	struct weir_host_bind_opts opts = { .show = tell, .arg = &told };
	const char *root = *state;

	tree_remove(root, "sys/bus/pci/drivers/vfio-pci");
	tree_remove(root, "sys/module/vfio_iommu_type1");
	assert_int_equal(bind_with(&opts, EDU), 0);
	assert_int_equal(strncmp(told.text, "load vfio-pci >;load vfio_iommu_type1 >;", 40), 0);
	assert_int_equal(fake_sysfs->loads, 2);
	assert_int_equal(release_all(), 0);

	/* POWER's containers are another module's. */
	fake_sysfs->power = true;
	told = (struct told){ 0 };
	assert_int_equal(bind_with(&opts, EDU), 0);
	assert_int_equal(strncmp(told.text, "load vfio_iommu_spapr_tce >;", 28), 0);
	fake_sysfs->power = false;

	/* The former driver's module is gone: the function stays in the journal. */
	assert_int_equal(bind_with(NULL, NVME), 0);
	tree_remove(root, "sys/bus/pci/drivers/nvme");
	assert_int_equal(release(NVME), -ENOENT);
	assert_says("no driver nvme");
	assert_string_equal(fake_state(NVME), "-/-");
	fake_function("0000:09:00.0", 9, "nvme");
	assert_int_equal(release(NVME), 0);
	assert_string_equal(fake_state(NVME), "nvme/-");
}

/* ---- owners ---- */

static void assert_owner(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct fake_node *node = fake_owner(path);

	assert_non_null(node);
	assert_int_equal(node->uid, uid);
	assert_int_equal(node->gid, gid);
	assert_int_equal(node->mode, mode);
}

static void test_owner(void **state)
{
	struct weir_host_bind_opts opts = { .set_owner = true, .uid = 1000, .gid = (gid_t)-1 };
	struct told told = { 0 };

	(void)state;
	opts.show = tell;
	opts.arg = &told;
	assert_int_equal(bind_with(&opts, NVME), 0);
	assert_non_null(strstr(told.text, "owner " NVME " >1000:;"));
	assert_owner("/dev/vfio/5", 1000, 0, 0600);
	assert_owner("/dev/vfio/devices/vfio0", 1000, 0, 0600);
	assert_non_null(strstr(read_back(JOURNAL), "node 0:0 600 /dev/vfio/5\n"));
	assert_int_equal(bind_with(&opts, NVME), 0);
	assert_string_equal(told.text, "");

	/* Another owner: the journal still knows the first. */
	opts.uid = (uid_t)-1;
	opts.gid = 44;
	assert_int_equal(bind_with(&opts, NVME), 0);
	assert_non_null(strstr(told.text, "owner " NVME " >:44;"));
	assert_owner("/dev/vfio/5", 1000, 44, 0660);
	assert_non_null(strstr(read_back(JOURNAL), "node 0:0 600 /dev/vfio/5\n"));
	assert_int_equal(release(NVME), 0);
	assert_false(is_there("dev/vfio/5"));
	assert_string_equal(fake_state(NVME), "nvme/-");
	assert_false(is_there(JOURNAL));

	fake_sysfs->no_cdev = true;
	assert_int_equal(bind_with(&opts, EDU), 0);
	assert_owner("/dev/vfio/6", 0, 44, 0660);
	assert_null(strstr(read_back(JOURNAL), "devices"));
}

/* The node of a group is several functions': it is given back with the last of them. */
static void test_shared_node(void **state)
{
	struct weir_host_bind_opts opts = { .group = true, .set_owner = true, .uid = 1000,
					    .gid = (gid_t)-1 };

	assert_int_equal(bind_with(&opts, CARD), 0);
	assert_int_equal(release(CARD), 0);
	assert_owner("/dev/vfio/7", 1000, 0, 0600);
	assert_int_equal(release(SOUND), 0);
	assert_false(is_there("dev/vfio/7"));

	/* A function that was VFIO's before has only its nodes given back. */
	fake_function(EDU, 6, "vfio-pci");
	tree_text(*state, "dev/vfio/6", "");
	opts.group = false;
	assert_int_equal(bind_with(&opts, EDU), 0);
	assert_owner("/dev/vfio/6", 1000, 0, 0600);
	assert_int_equal(release(EDU), 0);
	assert_owner("/dev/vfio/6", 0, 0, 0600);
	assert_string_equal(fake_state(EDU), "vfio-pci/-");

	/* Two of one group, given to one user after the other: the node was root's. */
	fake_function("0000:02:00.1", 6, "vfio-pci");
	assert_int_equal(bind_with(&opts, EDU), 0);
	opts.uid = 2000;
	assert_int_equal(bind_with(&opts, "0000:02:00.1"), 0);
	assert_int_equal(release(EDU), 0);
	assert_owner("/dev/vfio/6", 2000, 0, 0600);
	assert_int_equal(release("0000:02:00.1"), 0);
	assert_owner("/dev/vfio/6", 0, 0, 0600);

	tree_remove(*state, "dev/vfio/6");
	assert_int_equal(bind_with(&opts, EDU), -ENOENT);
	assert_says("/dev");
	assert_false(is_there(JOURNAL));
}

/* ---- each call fails, each call is the last ---- */

static const char *const pair[] = { NVME, CARD };
static const struct weir_host_bind_opts everything = {
	.group = true, .set_owner = true, .uid = 1000, .gid = 50,
};

static int bind_everything(void)
{
	return weir_host_bind(fake_sysfs->root, pair, 2, &everything);
}

static void assert_as_before(int n)
{
	static const char *const all[][2] = {
		{ NVME, "nvme/-" }, { CARD, "nouveau/-" }, { SOUND, "snd_hda_intel/-" },
		{ PORT, "pcieport/-" }, { EDU, "-/-" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(fake_state(all[i][0]), all[i][1]))
			fail_msg("call %d: %s is %s, not %s", n, all[i][0], fake_state(all[i][0]),
				 all[i][1]);
	for (int i = 0; i < FAKE_NODES; i++)
		assert_string_equal(fake_sysfs->nodes[i].path, "");
}

static void test_each_fails(void **state)
{
	int n = 0, ret;

	(void)state;
	do {
		fake_sysfs->calls = 0;
		fake_sysfs->fail_at = ++n;
		ret = bind_everything();
		if (fake_sysfs->calls < n)
			break;	/* there are no more */
		/* What couldn't be removed of the folders or the journal doesn't count. */
		fake_sysfs->fail_at = 0;
		if (ret < 0) {
			assert_as_before(n);
			assert_null(strstr(weir_errmsg(), "could be undone"));
			if (strstr(weir_errmsg(), "was undone"))
				assert_false(is_there(JOURNAL));
		}
		assert_int_equal(release_all(), 0);
		assert_as_before(n);
	} while (n < 500);
	assert_true(n > 20);
	assert_int_equal(ret, 0);
}

/* From one call on, nothing works, not even undoing: the journal stays and says how it was. */
static void test_all_fail_from(void **state)
{
	int n = 0, ret;

	(void)state;
	fake_sysfs->fail_on = true;
	do {
		fake_sysfs->calls = 0;
		fake_sysfs->fail_at = ++n;
		ret = bind_everything();
		fake_sysfs->fail_at = 0;
		if (ret && strstr(weir_errmsg(), "weir release"))
			assert_true(is_there(JOURNAL));
		assert_int_equal(release_all(), 0);
		assert_as_before(n);
	} while (ret && n < 500);
	assert_true(n > 20);
}

/* In a child, which ends at its n-th call; returns whether it came so far. */
static bool killed(int n, int (*what)(void))
{
	int status;
	pid_t pid;

	fake_sysfs->calls = 0;
	pid = fork();
	if (!pid) {
		fake_sysfs->kill_at = n;
		_exit(what() ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	fake_sysfs->kill_at = 0;
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == FAKE_KILLED || !WEXITSTATUS(status));
	return WEXITSTATUS(status) == FAKE_KILLED;
}

static void test_killed(void **state)
{
	int n = 0;

	(void)state;
	while (killed(++n, bind_everything)) {
		assert_int_equal(release_all(), 0);
		assert_as_before(n);
		assert_false(is_there(JOURNAL));
	}
	assert_true(n > 20);
	/* And with the journal that the killed one left, another bind. A member that the killed one
	 * left without a driver is in nobody's way. */
	for (int k = 1; k < n; k++) {
		assert_int_equal(release_all(), 0);
		killed(k, bind_everything);
		assert_int_equal(bind_everything(), 0);
		assert_string_equal(fake_state(CARD), "vfio-pci/vfio-pci");
		assert_string_not_equal(fake_state(SOUND), "snd_hda_intel/-");
		assert_int_equal(release_all(), 0);
		assert_as_before(k);
	}
}

static void test_release_killed(void **state)
{
	bool again = true;
	int n = 0;

	(void)state;
	while (again) {
		assert_int_equal(bind_everything(), 0);
		again = killed(++n, release_all);
		assert_int_equal(release_all(), 0);
		assert_as_before(n);
		assert_false(is_there(JOURNAL));
	}
	assert_true(n > 20);
}

static void test_refused_by_kernel(void **state)
{
	(void)state;
	fake_sysfs->stubborn = true;
	assert_int_equal(bind_with(NULL, NVME), -EINVAL);
	assert_says("drivers/vfio-pci/bind");
	assert_says("undone");
	assert_string_equal(fake_state(NVME), "nvme/-");
	assert_false(is_there(JOURNAL));

	fake_sysfs->stubborn = false;
	fake_sysfs->deaf = true;
	assert_int_equal(bind_with(NULL, NVME), -EIO);
	assert_says("with no driver though vfio-pci took it");
	assert_string_equal(fake_state(NVME), "nvme/-");
}

/* ---- what happened meanwhile ---- */

static void test_restarted(void **state)
{
	struct told told = { 0 };
	struct weir_host_release_opts back = { .show = tell, .arg = &told };
	const char *address = NVME;

	assert_int_equal(bind_with(NULL, NVME), 0);
	tree_text(*state, "proc/sys/kernel/random/boot_id", "33333333-4444\n");
	fake_function(NVME, 5, "other");
	assert_int_equal(weir_host_release(*state, &address, 1, &back), 0);
	assert_string_equal(told.text,
			    "forget " NVME " >the machine was restarted, which undid it;");
	assert_string_equal(fake_state(NVME), "other/-");
	assert_false(is_there(JOURNAL));

	/* A bind begins a new journal. */
	tree_text(*state, JOURNAL, "weir-journal 1\nboot 1\nfunction " NVME " 1234:11e8\n");
	assert_int_equal(bind_with(NULL, EDU), 0);
	assert_string_equal(read_back(JOURNAL),
			    "weir-journal 1\nboot 33333333-4444\nfunction " EDU " 1234:11e8\n");
}

static void test_replaced(void **state)
{
	struct told told = { 0 };
	struct weir_host_release_opts back = { .show = tell, .arg = &told };

	assert_int_equal(bind_with(NULL, NVME), 0);
	assert_int_equal(bind_with(NULL, EDU), 0);
	tree_attr(*state, NVME, "device", "0x4321\n");
	tree_remove(*state, "sys/bus/pci/devices/" EDU);
	assert_int_equal(weir_host_release(*state, NULL, 0, &back), 0);
	assert_string_equal(told.text, "forget " EDU " >it was unplugged;"
			    "forget " NVME " >another device is there by now;");
	assert_string_equal(fake_state(NVME), "vfio-pci/vfio-pci");
	assert_false(is_there(JOURNAL));
}

static void test_open_elsewhere(void **state)
{
	struct weir_host_bind_opts opts = { .set_owner = true, .uid = 1000, .gid = (gid_t)-1 };
	char path[PATH_MAX];
	int fd;

	fake_sysfs->holders = true;
	assert_int_equal(bind_with(NULL, NVME), 0);
	fake_sysfs->busy = "/dev/vfio/5";
	assert_int_equal(release(NVME), -EBUSY);
	assert_says("another process");
	assert_int_equal(bind_with(&opts, NVME), -EBUSY);
	fake_sysfs->busy = NULL;
	snprintf(path, sizeof(path), "%s/dev/vfio/devices/vfio0", (char *)*state);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(release(NVME), -EBUSY);
	assert_says("process ");
	assert_says("/dev/vfio/devices/vfio0");
	assert_string_equal(fake_state(NVME), "vfio-pci/vfio-pci");
	close(fd);
	assert_int_equal(release(NVME), 0);
}

/* Their nodes have other names. */
static void test_nodes_without_iommu(void **state)
{
	struct weir_host_bind_opts opts = { .set_owner = true, .uid = 1000, .gid = (gid_t)-1 };
	char path[PATH_MAX];
	int fd;

	fake_sysfs->holders = true;
	fake_sysfs->noiommu = true;
	assert_int_equal(bind_with(&opts, NVME), 0);
	assert_owner("/dev/vfio/noiommu-5", 1000, 0, 0600);
	assert_owner("/dev/vfio/devices/noiommu-vfio0", 1000, 0, 0600);
	snprintf(path, sizeof(path), "%s/dev/vfio/devices/noiommu-vfio0", (char *)*state);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(release(NVME), -EBUSY);
	assert_says("/dev/vfio/devices/noiommu-vfio0");
	close(fd);
	assert_int_equal(release(NVME), 0);
	assert_false(is_there("dev/vfio/devices/noiommu-vfio0"));
}

static void test_two_at_once(void **state)
{
	char path[PATH_MAX];
	int ready[2], fd, status;
	char byte;
	pid_t pid;

	assert_int_equal(release_all(), 0);
	assert_int_equal(pipe(ready), 0);
	snprintf(path, sizeof(path), "%s/var/lib/weir/lock", (char *)*state);
	pid = fork();
	if (!pid) {
		fd = open(path, O_RDWR);
		if (fd < 0 || flock(fd, LOCK_EX) || write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep(200000);
		tree_text(*state, "was-first", "");
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(bind_with(NULL, NVME), 0);
	assert_true(is_there("was-first"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad),
		TEST(test_bad_state),
		TEST(test_damaged_journal),
		TEST(test_there_and_back),
		TEST(test_without_driver),
		TEST(test_several),
		TEST(test_others_bind),
		TEST(test_dry_run),
		TEST(test_modules),
		TEST(test_owner),
		TEST(test_shared_node),
		TEST(test_each_fails),
		TEST(test_all_fail_from),
		TEST(test_killed),
		TEST(test_release_killed),
		TEST(test_refused_by_kernel),
		TEST(test_restarted),
		TEST(test_replaced),
		TEST(test_open_elsewhere),
		TEST(test_nodes_without_iommu),
		TEST(test_two_at_once),
	};

	return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
