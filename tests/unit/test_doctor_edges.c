/* SPDX-License-Identifier: MIT */
/* What is easily taken for something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "doctor_rig.h"
#include "tree.h"

#define PCI "/sys/bus/pci/devices/"

/* By the header's type, as the kernel decides it; a class with "bridge" in its name says little. */
static void test_endpoint_header(void **state)
{
	unsigned char config[64] = { 0x34, 0x12 };
	const char *root = *state;

	tree_attr(root, CARD, "class", "0x068000\n");	/* an NVSwitch */
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", config, sizeof(config));
	assert_well(root, CARD, "endpoint");
	config[0x0e] = 0x81;
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", config, sizeof(config));
	assert_found(root, CARD, "endpoint", WEIR_HOST_STOP, "is a bridge (header type 1",
		     PCI CARD "/config");
	/* What answers with ones has no such type: then its class says it. */
	memset(config, 0xff, sizeof(config));
	tree_bytes(root, "sys/bus/pci/devices/" CARD "/config", config, sizeof(config));
	assert_well(root, CARD, "endpoint");
	tree_attr(root, CARD, "class", "0x060900\n");
	assert_found(root, CARD, "endpoint", WEIR_HOST_STOP, "is a bridge (class 060900",
		     PCI CARD "/class");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doctor_start, doctor_stop)

void run_edge_tests(int *failed)
{
	const struct CMUnitTest edges[] = {
		TEST(test_endpoint_header),
	};

	*failed += cmocka_run_group_tests(edges, NULL, NULL);
}
