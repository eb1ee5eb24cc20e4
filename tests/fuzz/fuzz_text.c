/* SPDX-License-Identifier: MIT */
/* Addresses and numbers; and the lines of files that are masked, by each of their rules. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fuzz.h"
#include "host/capture.h"
#include "pci/addr.h"

static const wr_mask_line rules[] = {
	NULL, wr_mask_args, wr_mask_cmdline, wr_mask_grub, wr_mask_iomem, wr_mask_log,
	wr_mask_modprobe, wr_mask_modules, wr_mask_mounts, wr_mask_route, wr_mask_route6,
	wr_mask_swaps, wr_mask_version, wr_mask_initramfs,
};

void add_seeds(void)
{
	static const char *const texts[] = {
		"0000:01:00.0", "1:00.0", "ffff:ff:1f.7", "10000:00:00.0", "0x1234",
		"18446744073709551615",
		"\2root=UUID=d3adbeef-0000-4000-8000-123456789abc iommu=pt quiet -- x",
		"\3GRUB_CMDLINE_LINUX='iommu=pt a=b'",
		"\3GRUB_CMDLINE_LINUX_DEFAULT=\"${GRUB_CMDLINE_LINUX_DEFAULT} a=b\" # c",
		"\4  02000000-02ffffff : Kernel code",
		"\5" "4,7,0,-;kvm 10.1.2.3", "\5 SUBSYSTEM=pci", "\6options b c=10.1.2.3 d=\"e f\"",
		"\6install zfs /root/x", "\7vfio 1 2 kvm, Live 0xffffffffc0123000",
		("\10" "23 22 0:40 /a /home/b/c rw shared:5 - nfs4 h:/a rw,addr=1"),
		"\11enx0123456789ab\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000",
		"\12fe80000000000000032345fffe6789ab 02 40 20 80 wlx0123456789ab",
		"\13/home/a/swap file", "\14Linux version 6.1 (a@b) (gcc) #1",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		add_text_seed(texts[i]);
}

static void check_address(const char *text)
{
	struct wr_pci_addr addr, again;
	char canonical[WR_PCI_ADDR_MAX];

	if (wr_pci_addr_parse(text, &addr) < 0)
		return;
	wr_pci_addr_format(&addr, canonical);
	must(!wr_pci_addr_parse(canonical, &again));
	must(again.domain == addr.domain && again.bus == addr.bus &&
	     again.device == addr.device && again.function == addr.function);
	must(addr.device < 32 && addr.function < 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr_mask mask = { 0 };
	size_t rule = size ? data[0] % (sizeof(rules) / sizeof(rules[0])) : 0, len;
	char *text = strndup((const char *)data, size);
	uint64_t number;

	must(text != NULL);
	check_address(text);
	wr_parse_u64(text, &number);
	free(text);

	text = strndup((const char *)data + !!size, size - !!size);
	must(text != NULL);
	len = strlen(text);
	text = wr_mask_text(&mask, rules[rule], text, &len);
	must(text && strlen(text) == len);
	free(text);
	wr_mask_free(&mask);
	return 0;
}
