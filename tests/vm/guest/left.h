/* SPDX-License-Identifier: MIT */
/*
 * What a process that was killed has left, seen by the next one: no DMA, no bus mastering, and a
 * device that was reset if it can be; and weir says whether it was.
 */
#ifndef TESTS_VM_GUEST_LEFT_H
#define TESTS_VM_GUEST_LEFT_H

#include <linux/pci_regs.h>
#include <stdbool.h>

#include "tests/vm/guest/guest.h"

#define LATE_MS 250		/* an edu's transfer comes 100 ms after it was asked for */
#define CANARY (32ul << 20)

/* NVM Express Base 2.0, sections 3.1.3.5 and 3.1.3.6: enabled, and ready. */
#define NVME_CC 0x14
#define NVME_CSTS 0x1c

/* By the kernel's own look at config space, while nobody has the device. */
static inline void bus_mastering_is_off(const char *address)
{
	uint16_t command = 0;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
	fd = open(path, O_RDONLY);
	if (fd < 0 || pread(fd, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
	if (command & PCI_COMMAND_MASTER)
		fail_msg("%s is left with bus mastering on", address);
}

/* The memory that the process had is others' now, and stays as they have written it. */
static inline void no_late_dma(void)
{
	uint64_t *canary = mmap(NULL, CANARY, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	assert_ptr_not_equal(canary, MAP_FAILED);
	for (size_t i = 0; i < CANARY / 8; i++)
		canary[i] = ~i;
	usleep(LATE_MS * 1000);
	for (size_t i = 0; i < CANARY / 8; i++)
		if (canary[i] != ~i)
			fail_msg("a process was killed, and %p was written since",
				 (void *)&canary[i]);
	munmap(canary, CANARY);
}

static char left_told[1024];

static inline void left_hear(void *told, enum weir_log_level level, const char *msg)
{
	(void)level;
	strncat(told, msg, sizeof(left_told) - strlen(told) - 2);
	strcat(told, "\n");
}

/* The next user's opening. */
static inline struct weir_device *open_left(struct weir_iommu *iommu, struct weir_ioas *as,
					    const char *address, bool resets)
{
	const struct weir_device_opts opts = { .ioas = as };
	struct weir_device_info info;
	struct weir_device *dev;
	uint16_t command;

	left_told[0] = '\0';
	weir_log_set(left_hear, left_told, WEIR_LOG_INFO);
	MUST(weir_device_open(iommu, address, &opts, &dev));
	weir_log_set(NULL, NULL, WEIR_LOG_ERROR);
	if (!strstr(left_told, resets ? "it was reset as it was opened" :
		    "it can't be reset by itself, so it is as whoever used it last has left it"))
		fail_msg("%s: weir doesn't tell: %s", address, left_told);
	MUST(weir_device_info(dev, &info));
	assert_int_equal(info.can_reset, resets);
	MUST(weir_config_read16(dev, PCI_COMMAND, &command));
	assert_false(command & PCI_COMMAND_MASTER);
	return dev;
}

/* A controller that was at work is disabled by a reset, and by nothing else. */
static inline void nvme_was_reset(struct weir_device *dev)
{
	struct weir_bar *bar;

	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_AUTO, &bar));
	assert_int_equal(weir_read32(bar, NVME_CC) & 1, 0);
	assert_int_equal(weir_read32(bar, NVME_CSTS) & 1, 0);
	MUST(weir_bar_close(bar));
}

#endif
