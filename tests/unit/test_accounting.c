/* SPDX-License-Identifier: MIT */
/* How IOMMUFD counts what is pinned: weir_iommu_opts.accounting. */
#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"
#include "iommufd_rig.h"

static void open_context(struct rig *rig, const char *interface, enum weir_accounting accounting)
{
	const struct weir_iommu_opts opts = { .interface = interface, .accounting = accounting };

	assert_int_equal(weir_ioas_close(rig->as), 0);
	assert_int_equal(weir_iommu_close(rig->iommu), 0);
	assert_int_equal(weir_iommu_open(&opts, &rig->iommu), 0);
	assert_int_equal(weir_ioas_open(rig->iommu, &rig->as), 0);
}

static void pinned_memory_is_counted_as_asked(void **state)
{
	static const struct {
		enum weir_accounting accounting;
		bool privileged, by_process;
	} cases[] = {
		{ WEIR_ACCOUNTING_AUTO, true, false },
		{ WEIR_ACCOUNTING_AUTO, false, false },
		{ WEIR_ACCOUNTING_USER, true, false },
		{ WEIR_ACCOUNTING_USER, false, false },
		{ WEIR_ACCOUNTING_PROCESS, true, true },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_context(rig, "iommufd", cases[i].accounting);
		fake.iommufd.unprivileged = !cases[i].privileged;
		assert_int_equal(attach(rig, 0), 0);
		assert_int_equal(fake_by_process(0), cases[i].by_process);
		detach(rig, 0);
	}
	fake.iommufd.unprivileged = true;
	open_context(rig, "iommufd", WEIR_ACCOUNTING_PROCESS);
	assert_refused(rig, -EPERM, "/dev/iommu can't be told to count what is pinned by process, "
		       "which weir_iommu_opts.accounting demands: this process hasn't got "
		       "CAP_SYS_RESOURCE");
}

static void compat_counts_as_asked_too(void **state)
{
	struct rig *rig = *state;

	open_context(rig, "compat", WEIR_ACCOUNTING_PROCESS);
	assert_int_equal(attach(rig, 0), 0);
	detach(rig, 0);
	fake.iommufd.unprivileged = true;
	assert_refused(rig, -EPERM, "this process hasn't got CAP_SYS_RESOURCE");
}

static int open_with(int fd, enum weir_accounting accounting)
{
	const struct weir_iommu_opts opts = {
		.use_iommufd = true, .iommufd = fd, .accounting = accounting,
	};
	struct weir_iommu *iommu;
	int ret = weir_iommu_open(&opts, &iommu);

	return ret ? ret : weir_iommu_close(iommu);
}

static void given_fds_count_as_they_do_or_as_asked(void **state)
{
	int fd = wr_sys->open("/dev/iommu", O_RDWR);
	uint32_t ioas[3] = { sizeof(ioas) };
	struct wr_iommu_option mode = { .size = sizeof(mode), .op = WR_IOMMU_OPTION_GET };

	(void)state;
	assert_int_equal(open_with(fd, (enum weir_accounting)3), -EINVAL);
	assert_says("3 is no weir_accounting");
	assert_int_equal(open_with(fd, WEIR_ACCOUNTING_AUTO), 0);
	assert_int_equal(wr_sys->ioctl(fd, WR_IOMMU_OPTION, &mode), 0);
	assert_int_equal(mode.val64, 0);
	fake.iommufd.unprivileged = true;
	assert_int_equal(open_with(fd, WEIR_ACCOUNTING_PROCESS), -EPERM);
	assert_says("CAP_SYS_RESOURCE");
	assert_int_equal(open_with(fd, WEIR_ACCOUNTING_USER), 0);
	fake.iommufd.unprivileged = false;
	assert_int_equal(open_with(fd, WEIR_ACCOUNTING_PROCESS), 0);
	assert_int_equal(wr_sys->ioctl(fd, WR_IOMMU_OPTION, &mode), 0);
	assert_int_equal(mode.val64, 1);
	assert_int_equal(wr_sys->ioctl(fd, WR_IOMMU_IOAS_ALLOC, ioas), 0);
	assert_int_equal(open_with(fd, WEIR_ACCOUNTING_USER), -EBUSY);
	assert_says("by user, which weir_iommu_opts.accounting demands: something was made");
	wr_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_FORCED(pinned_memory_is_counted_as_asked),
		TEST(compat_counts_as_asked_too),
		TEST(given_fds_count_as_they_do_or_as_asked),
	};

	unsetenv("WEIR_IOMMU");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
