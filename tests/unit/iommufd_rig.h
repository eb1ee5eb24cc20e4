/* SPDX-License-Identifier: MIT */
/* The rig (rig.h) on a kernel that has IOMMUFD, and what the tests of it ask. */
#ifndef IOMMUFD_RIG_H
#define IOMMUFD_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

#define BOTH (WR_IOMMU_MAP_READ | WR_IOMMU_MAP_WRITE)

static inline int setup(void **state)
{
	int ret = rig_setup(state);

	fake.iommufd.exists = true;
	return ret;
}

static inline int setup_forced(void **state)
{
	static struct rig rig;

	*state = &rig;
	rig_setup_for(&rig, "iommufd");
	fake.iommufd.exists = true;
	return 0;
}

/* Nothing is left in IOMMUFD either. */
static inline int teardown(void **state)
{
	int ret = rig_teardown(state);

	assert_int_equal(fake_objects(), 0);
	return ret;
}

/* As backend(), which leaves nothing. */
static inline const char *backend_alone(struct rig *rig)
{
	const char *name = backend(rig);

	assert_int_equal(fake.open_fds, 0);
	assert_int_equal(fake_objects(), 0);
	return name;
}

static char said[4096];

static inline void hear(void *arg, enum weir_log_level level, const char *message)
{
	(void)arg, (void)level;
	strncat(said, message, sizeof(said) - strlen(said) - 1);
	strncat(said, "\n", sizeof(said) - strlen(said) - 1);
}

/* Passed over for type1v2, with that word in the log. */
static inline void assert_passed_over(struct rig *rig, const char *why)
{
	said[0] = '\0';
	weir_log_set(hear, NULL, WEIR_LOG_INFO);
	assert_string_equal(backend_alone(rig), "type1v2");
	weir_log_set(NULL, NULL, WEIR_LOG_WARN);
	if (!strstr(said, why) || !strstr(said, "0000:01:00.0: iommufd doesn't work: "))
		fail_msg("\"%s\" isn't in the log:\n%s\n", why, said);
}

/* Refused where nothing else is allowed. */
static inline void assert_refused(struct rig *rig, int err, const char *part)
{
	assert_int_equal(attach(rig, 0), err);
	assert_says("0000:01:00.0: ");
	assert_says(part);
	assert_int_equal(caps_of(rig).domains, 0);
	assert_int_equal(fake.open_fds, 0);
	assert_int_equal(fake_objects(), 0);
	assert_int_equal(weir_iommu_fd(rig->iommu), -ENODEV);
}

static inline int memory_file(unsigned int pages)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(pages * page)), 0);
	return fd;
}

/* In a container's place alone. */
static inline int setup_compat(void **state)
{
	static struct rig rig;

	*state = &rig;
	rig_setup_for(&rig, "compat");
	fake.iommufd.exists = true;
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_FORCED(f) cmocka_unit_test_setup_teardown(f, setup_forced, teardown)
#define TEST_COMPAT(f) cmocka_unit_test_setup_teardown(f, setup_compat, teardown)

#endif
