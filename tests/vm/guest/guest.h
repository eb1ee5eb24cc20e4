/* SPDX-License-Identifier: MIT */
/*
 * What the programs share that tests/vm/run.py runs in its machines. The harness says by
 * WEIR_TEST_… which devices there are, bound to vfio-pci (machines.py: Machine.programs).
 */
#ifndef TESTS_VM_GUEST_GUEST_H
#define TESTS_VM_GUEST_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/weir.h>

#include "drivers/edu/edu.h"

#define PAGE 4096
#define MUST(call) must((call), #call, __LINE__)

static inline int must(int ret, const char *call, int line)
{
	if (ret < 0)
		fail_msg("line %d: %s: %d, %s", line, call, ret, weir_errmsg());
	return ret;
}

/* It must fail so, and the sentence must hold this. */
static inline void must_fail(int ret, int err, const char *part)
{
	if (ret != err)
		fail_msg("returned %d, not %d: %s", ret, err, weir_errmsg());
	if (!strstr(weir_errmsg(), part))
		fail_msg("\"%s\" isn't in: %s", part, weir_errmsg());
}

static inline const char *device(const char *which)
{
	const char *addr = getenv(which);

	if (!addr)
		fail_msg("%s isn't set: run by tests/vm/run.py", which);
	return addr;
}

static inline void *page_of(unsigned char byte, size_t pages)
{
	void *page = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	memset(page, byte, pages * PAGE);
	return page;
}

/* By this interface and no other; NULL: the best. */
static inline struct weir_iommu *open_iommu(const char *interface)
{
	const struct weir_iommu_opts opts = { .interface = interface };
	struct weir_iommu *iommu;

	MUST(weir_iommu_open(&opts, &iommu));
	return iommu;
}

struct opened {
	struct weir_device *dev;
	struct edu *edu;
};

static inline struct opened open_edu(struct weir_iommu *iommu, const char *name,
				     struct weir_ioas *as)
{
	struct weir_device_opts opts = { .ioas = as, .dma_bits = EDU_DMA_BITS };
	struct opened o;

	MUST(weir_device_open(iommu, name, &opts, &o.dev));
	MUST(edu_open(o.dev, &o.edu));
	return o;
}

static inline void close_edu(struct opened o)
{
	MUST(edu_close(o.edu));
	MUST(weir_device_close(o.dev));
}

/* Through the device's buffer from one half of a two-page buffer to the other. */
static inline void round_trip(struct edu *edu, unsigned char *buf, unsigned char byte)
{
	memset(buf, byte, PAGE);
	memset(buf + PAGE, 0, PAGE);
	MUST(edu_write(edu, buf, PAGE, 0));
	MUST(edu_read(edu, buf + PAGE, PAGE, 0));
	assert_memory_equal(buf, buf + PAGE, PAGE);
}

/* The device can't write to the page behind @iova. */
static inline void must_be_blocked(struct edu *edu, weir_iova iova, const unsigned char *page)
{
	unsigned char before[PAGE];

	memcpy(before, page, PAGE);
	MUST(edu_dma(edu, iova, 0, PAGE, false));
	assert_memory_equal(page, before, PAGE);
}

/* Ask the host for one of the machine's actions (machines.py: Machine.host). It is done, or at
 * least begun, some time after this returns; if it can't be, the case fails. */
static inline void host(const char *action)
{
	int fd = open(device("WEIR_TEST_RESULTS"), O_WRONLY | O_NOCTTY);

	if (fd < 0 || dprintf(fd, "@weir host %s\n", action) < 0)
		fail_msg("the harness isn't there: %s", strerror(errno));
	close(fd);
}

/* A file of sysfs: its number, in decimal or, after 0x, hexadecimal. */
static inline unsigned long long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
	return strtoull(text, NULL, 0);
}

/* One of the kernel's counts for this process, in KiB: VmLck, what is locked, or VmPin. */
static inline unsigned long status_kib(const char *field)
{
	size_t len = strlen(field);
	unsigned long kib = 0;
	bool found = false;
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		found |= !strncmp(line, field, len) && sscanf(line + len, ": %lu kB", &kib) == 1;
	fclose(status);
	assert_true(found);
	return kib;
}

/* With a capability of those below 32, or without; it can be had back. */
static inline void may(unsigned int capability, bool yes)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	MUST((int)syscall(SYS_capget, &header, data));
	if (yes)
		data[0].effective |= 1u << capability;
	else
		data[0].effective &= ~(1u << capability);
	MUST((int)syscall(SYS_capset, &header, data));
}

/* The limit of locked memory, for this process, which counts from then on; and the old one. */
static inline struct rlimit limit_to(rlim_t bytes)
{
	struct rlimit before, now;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	now = (struct rlimit){ .rlim_cur = bytes, .rlim_max = before.rlim_max };
	if (now.rlim_max < bytes)
		now.rlim_max = bytes;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &now), 0);
	may(CAP_IPC_LOCK, false);
	return before;
}

static inline void unlimit(const struct rlimit *before)
{
	may(CAP_IPC_LOCK, true);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, before), 0);
}

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s: '%s' not written: %s", path, text, strerror(errno));
	close(fd);
}

/* Wait up to 20 seconds for a condition that the kernel or the host brings about. */
#define EVENTUALLY(condition) \
	do { \
		int tries = 1000; \
\
		while (!(condition)) { \
			if (!tries--) \
				fail_msg("line %d: it never came: %s", __LINE__, #condition); \
			usleep(20000); \
		} \
	} while (0)

#endif
