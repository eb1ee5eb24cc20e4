/* SPDX-License-Identifier: MIT */
/* Config space: the walk along its capabilities ends, and stays inside; and what is masked. */
#include <stdlib.h>
#include <string.h>

#include <weir/device.h>

#include "fuzz.h"
#include "host/capture.h"

struct bytes {
	const uint8_t *data;
	size_t size;
	unsigned int reads;
};

void add_seeds(void)
{
	uint8_t config[4096] = {
		0x34, 0x12, 0xe8, 0x11, [6] = 0x10, [0x34] = 0x40, [0x40] = 0x05, 0x50,
		[0x50] = 0x10, 0x60, 0x02, 0x00, [0x60] = 0x11, 0x70, [0x70] = 0x03,
		[0x100] = 0x0d, 0x00, 0x01, 0x14, [0x140] = 0x03, 0x00, 0x01, 0x15,
		[0x150] = 0x10, 0x00, 0x01, 0x00,
	};

	add_seed(config, sizeof(config));
	add_seed(config, 256);
	add_seed(config, 64);
	memset(config + 0x100, 0xff, sizeof(config) - 0x100);
	add_seed(config, sizeof(config));
}

static int read_bytes(void *arg, unsigned int offset, void *buf, unsigned int len)
{
	struct bytes *bytes = arg;

	must(len == 1 || len == 2 || len == 4);
	must(offset + len <= bytes->size);
	must(++bytes->reads < 3000);
	memcpy(buf, bytes->data + offset, len);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size, 0 };
	struct wr_mask mask = { 0 };
	struct weir_cap caps[8];
	uint8_t *copy;
	int n;

	if (size > 4096)
		return 0;
	n = weir_config_walk(read_bytes, &bytes, (unsigned int)size, caps, 8);
	must(n >= 0 && n <= 1024);
	for (int i = 0; i < n && i < 8; i++) {
		must(caps[i].offset + 4U <= size && caps[i].id);
		weir_cap_name(&caps[i]);
	}
	copy = malloc(size + !size);
	must(copy != NULL);
	memcpy(copy, data, size);
	wr_mask_config(&mask, copy, size);
	free(copy);
	return 0;
}
