/* SPDX-License-Identifier: MIT */
/* Binding, and IOMMU groups: none, with others in it, or one that shows late. */
#include "bind_rig.h"

#define LATE "0000:04:00.0"
#define LONG_NAME "a_driver_whose_name_has_as_many_letters_as_one_can_have_now"

static void test_no_group(void **state)
{
	struct told told = { 0 };
	struct weir_host_bind_opts opts = { .show = tell, .arg = &told };
	const char *root = *state;

	fake_function("0000:04:00.0", -1, NULL);
	tree_text(root, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
	assert_int_equal(bind_with(&opts, "04:00.0"), -ENODEV);
	assert_says("write Y to");
	assert_says("enable_unsafe_noiommu_mode");
	tree_text(root, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	assert_int_equal(bind_with(&opts, "04:00.0"), 0);
	assert_string_equal(told.text, "override 0000:04:00.0 >vfio-pci;"
			    "bind 0000:04:00.0 >vfio-pci;");
	assert_int_equal(release_all(), 0);

	/* Built without it: nothing could switch it on. */
	tree_text(root, "sys/module/vfio/initstate", "live\n");
	tree_remove(root, "sys/module/vfio/parameters");
	opts.dry_run = true;
	assert_int_equal(bind_with(&opts, "04:00.0"), -ENODEV);
	assert_says("this kernel can't do without");
	/* Nor does that speak against others. */
	assert_int_equal(bind_with(&opts, NVME), 0);
	assert_null(strstr(told.text, "group"));

	/* Loaded by these steps, it may come with the mode on: whether it does shows then. */
	tree_remove(root, "sys/module/vfio");
	assert_int_equal(bind_with(&opts, "04:00.0"), 0);
	assert_non_null(strstr(told.text, "bind 0000:04:00.0 >vfio-pciit is in no IOMMU group: "
			       "vfio-pci refuses it, unless the module vfio comes with no-IOMMU "
			       "mode on;"));
	assert_int_equal(bind_with(&opts, NVME), 0);
	assert_null(strstr(told.text, "group"));
	opts.dry_run = false;
	assert_int_equal(bind_with(&opts, "04:00.0"), 0);
}

/* vfio-pci would take it, as its header is no bridge's; with a group it goes along. */
static void test_host_bridge(void **state)
{
	struct weir_host_bind_opts opts = { .group = true };
	const char *root = *state;

	fake_function("0000:00:00.0", 7, "skl_uncore");
	tree_attr(root, "0000:00:00.0", "class", "0x060000\n");
	assert_int_equal(bind_with(NULL, "00:00.0"), -EINVAL);
	assert_says("is a host bridge");
	assert_int_equal(bind_with(&opts, "00:00.0"), -EINVAL);
	assert_string_equal(fake_state("0000:00:00.0"), "skl_uncore/-");
	assert_int_equal(bind_with(&opts, CARD), 0);
	assert_string_equal(fake_state("0000:00:00.0"), "vfio-pci/vfio-pci");
	assert_int_equal(release_all(), 0);
	/* An ISA bridge may have to go along with others of its slot. */
	tree_attr(root, "0000:00:00.0", "class", "0x060100\n");
	assert_int_equal(bind_with(&opts, "00:00.0"), 0);
	assert_int_equal(release_all(), 0);
}

static void test_group(void **state)
{
	struct weir_host_bind_opts opts = { .group = true };

	assert_int_equal(bind_with(NULL, CARD), -EBUSY);
	assert_says(SOUND " (snd_hda_intel)");
	assert_says("--group");
	assert_null(strstr(weir_errmsg(), PORT));
	assert_string_equal(fake_state(CARD), "nouveau/-");

	assert_int_equal(bind_with(&opts, CARD), 0);
	assert_string_equal(fake_state(CARD), "vfio-pci/vfio-pci");
	assert_string_equal(fake_state(SOUND), "vfio-pci/vfio-pci");
	assert_string_equal(fake_state(PORT), "pcieport/-");
	assert_int_equal(release_all(), 0);
	assert_string_equal(fake_state(CARD), "nouveau/-");
	assert_string_equal(fake_state(SOUND), "snd_hda_intel/-");

	/* All of them named is as good; by force, one alone. */
	assert_int_equal(weir_host_bind(*state, (const char *[]){ CARD, SOUND }, 2, NULL), 0);
	assert_int_equal(release_all(), 0);
	opts = (struct weir_host_bind_opts){ .force = true };
	assert_int_equal(bind_with(&opts, CARD), 0);
	assert_string_equal(fake_state(SOUND), "snd_hda_intel/-");
	assert_int_equal(release_all(), 0);

	/* A bridge on another driver can't be taken along. */
	fake_function(PORT, 7, "shpchp");
	tree_bytes(*state, "sys/bus/pci/devices/" PORT "/config", (char[64]){ [0x0e] = 0x81 }, 64);
	opts = (struct weir_host_bind_opts){ .group = true };
	assert_int_equal(bind_with(&opts, CARD), -EBUSY);
	assert_says(PORT " (shpchp)");
	assert_says("by hand");
}

/* Those that a sentence has room for, whole, and the number of the others. */
static void test_many_members(void **state)
{
	char address[32];

	for (unsigned int i = 0; i < 17; i++) {
		snprintf(address, sizeof(address), "0000:05:%02x.0", i);
		fake_function(address, 5, "nvme");
	}
	assert_int_equal(bind_with(NULL, NVME), -EBUSY);
	assert_says("are also 0000:05:00.0 (nvme), 0000:05:01.0 (nvme), ");
	assert_says(", 0000:05:07.0 (nvme) and 9 more; ");
	for (unsigned int i = 0; i < 17; i++) {
		snprintf(address, sizeof(address), "0000:05:%02x.0", i);
		tree_attr_link(*state, address, "driver", "../drivers/" LONG_NAME);
	}
	assert_int_equal(bind_with(NULL, NVME), -EBUSY);
	assert_says("as_one_can_have_now) and 11 more; ");
}

/* A function whose group shows only when it is bound, as where a device tree names devices. */
static void test_late_group(void **state)
{
	struct told told = { 0 };
	struct weir_host_bind_opts opts = { .show = tell, .arg = &told };
	const char *root = *state;

	fake_function(LATE, -1, NULL);
	tree_text(root, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
	tree_folder(root, "sys/class/iommu");
	tree_folder(root, "sys/firmware/devicetree/base");
	assert_int_equal(bind_with(NULL, LATE), -ENODEV);
	/* Where there is no device tree, it's left out on purpose. */
	tree_folder(root, "sys/class/iommu/smmu3.0");
	tree_remove(root, "sys/firmware/devicetree/base");
	assert_int_equal(bind_with(NULL, LATE), -ENODEV);
	assert_string_equal(fake_state(LATE), "-/-");

	/* Alone in it. */
	tree_folder(root, "sys/firmware/devicetree/base");
	fake_sysfs->late_group = 9;
	assert_int_equal(bind_with(&opts, LATE), 0);
	assert_int_equal(told.calls, 1);
	assert_string_equal(fake_state(LATE), "vfio-pci/vfio-pci");
	assert_int_equal(release_all(), 0);

	/* With others, which are on their drivers. */
	fake_sysfs->late_group = 7;
	tree_remove(root, "sys/bus/pci/devices/" LATE "/iommu_group");
	assert_int_equal(bind_with(NULL, LATE), -EBUSY);
	assert_says("IOMMU group 7 are also " CARD " (nouveau), " SOUND " (snd_hda_intel)");
	assert_says("--group");
	assert_says("whatever was done was undone");
	assert_string_equal(fake_state(LATE), "-/-");
	assert_int_equal(release_all(), 0);

	opts.dry_run = true;
	told = (struct told){ 0 };
	tree_remove(root, "sys/bus/pci/devices/" LATE "/iommu_group");
	assert_int_equal(bind_with(&opts, LATE), 0);
	assert_int_equal(told.calls, 1);
	assert_non_null(strstr(told.text, ">vfio-pciits IOMMU group isn't there before; "));
	assert_string_equal(fake_state(LATE), "-/-");

	opts.dry_run = false;
	opts.group = true;
	told = (struct told){ 0 };
	assert_int_equal(bind_with(&opts, LATE), 0);
	assert_int_equal(told.calls, 2);
	assert_string_equal(fake_state(LATE), "vfio-pci/vfio-pci");
	assert_string_equal(fake_state(CARD), "vfio-pci/vfio-pci");
	assert_int_equal(release_all(), 0);
	assert_string_equal(fake_state(CARD), "nouveau/-");

	/* What fails after the group showed is undone with the rest. */
	tree_remove(root, "sys/bus/pci/devices/" LATE "/iommu_group");
	tree_remove(root, "sys/bus/pci/devices/" SOUND "/driver_override");
	assert_int_equal(bind_with(&opts, LATE), -ENOTSUP);
	assert_string_equal(fake_state(LATE), "-/-");
	assert_string_equal(fake_state(CARD), "nouveau/-");
	assert_false(is_there(JOURNAL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_group),
		TEST(test_group),
		TEST(test_host_bridge),
		TEST(test_many_members),
		TEST(test_late_group),
	};

	return cmocka_run_group_tests_name("bind-group", tests, NULL, NULL);
}
