/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <ifaddrs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/holder.h"
#include "base/sys.h"
#include "machine.h"

enum kind { TEXT, LINK, FOLDER, NOTHING };

#define PORT	"sys/devices/pci0000:00/0000:00:01.0/"
#define CARD	PORT "0000:01:00.0/"
#define FROM_CARD "../../../../"
#define FROM_CLASS "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/"

/* Config space of a root port: MSI-X's place is Express's, then ACS as its first extended one. */
static uint8_t port_config[4096] = {
	0x86, 0x80, 0x01, 0x19, [6] = 0x10, [0x0a] = 0x04, 0x06, [0x0e] = 0x01, [0x34] = 0x40,
	[0x40] = 0x10, 0x00, 0x42, 0x01, [0x100] = 0x0d, 0x00, 0x01, 0x00, 0x1f, 0x00, 0x1d, 0x00,
};

/* Of its card: VPD, Express, and a serial number. */
static uint8_t card_config[4096] = {
	0x34, 0x12, 0xe8, 0x11, [6] = 0x10, [0x0b] = 0x02, [0x34] = 0x40, [0x40] = 0x03, 0x50,
	[0x50] = 0x10, 0x00, 0x02, 0x00, [0x100] = 0x03, 0x00, 0x01, 0x00, 1, 2, 3, 4, 5, 6, 7, 8,
};

static const struct part {
	const char *path;
	enum kind kind;
	const char *content;
	const uint8_t *bytes;	/* instead, as many as config space has */
} parts[] = {
	{ "sys/bus/pci/devices/0000:00:01.0", LINK, "../../../devices/pci0000:00/0000:00:01.0",
	  NULL },
	{ "sys/bus/pci/devices/0000:01:00.0", LINK,
	  "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0", NULL },
	{ PORT "uevent", TEXT, "DRIVER=pcieport\nPCI_CLASS=60400\nPCI_ID=8086:1901\n"
	  "PCI_SUBSYS_ID=0000:0000\nPCI_SLOT_NAME=0000:00:01.0\n", NULL },
	{ PORT "vendor", TEXT, "0x8086\n", NULL },
	{ PORT "config", TEXT, NULL, port_config },
	{ PORT "driver", LINK, "../../../bus/pci/drivers/pcieport", NULL },
	{ PORT "iommu_group", LINK, "../../../kernel/iommu_groups/1", NULL },
	{ PORT "power/runtime_status", TEXT, "active\n", NULL },
	{ CARD "uevent", TEXT, "DRIVER=e1000e\nPCI_CLASS=20000\nPCI_ID=1234:11E8\n"
	  "PCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=0000:01:00.0\n", NULL },
	{ CARD "vendor", TEXT, "0x1234\n", NULL },
	{ CARD "class", TEXT, "0x020000\n", NULL },
	{ CARD "revision", TEXT, "0x10\n", NULL },
	{ CARD "numa_node", TEXT, "-1\n", NULL },
	{ CARD "config", TEXT, NULL, card_config },
	{ CARD "resource", TEXT,
	  "0x00000000fe000000 0x00000000fe0fffff 0x0000000000040200\n"
	  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	  "0x000000000000e000 0x000000000000e01f 0x0000000000040101\n", NULL },
	{ CARD "reset_method", TEXT, "flr bus\n", NULL },
	{ CARD "boot_vga", TEXT, "0\n", NULL },
	{ CARD "sriov_numvfs", TEXT, "0\n", NULL },
	{ CARD "power_state", TEXT, "D0\n", NULL },
	{ CARD "power/runtime_status", TEXT, "active\n", NULL },
	{ CARD "driver", LINK, FROM_CARD "bus/pci/drivers/e1000e", NULL },
	{ CARD "iommu", LINK, FROM_CARD "devices/virtual/iommu/dmar0", NULL },
	{ CARD "iommu_group", LINK, FROM_CARD "kernel/iommu_groups/1", NULL },
	{ CARD "physfn", NOTHING, NULL, NULL },
	{ CARD "vfio-dev/vfio0/dev", NOTHING, NULL, NULL },
	{ CARD "net/enx0123456789ab/flags", TEXT, "0x1003\n", NULL },
	{ CARD "net/enx0123456789ab/upper_br0", LINK, "../../x/br0", NULL },
	{ CARD "block/sda/dev", TEXT, "8:0\n", NULL },
	{ CARD "block/sda/holders/dm-0", LINK, "../../x/dm-0", NULL },
	{ CARD "graphics/fb0/name", TEXT, "simple\n", NULL },
	{ "sys/class/net/enx0123456789ab", LINK, FROM_CLASS "net/enx0123456789ab", NULL },
	{ "sys/class/block/sda", LINK, FROM_CLASS "block/sda", NULL },
	{ "sys/class/block/dm-0", LINK, "../../devices/virtual/block/dm-0", NULL },
	{ "sys/devices/virtual/block/dm-0/dev", TEXT, "254:0\n", NULL },
	{ "sys/devices/virtual/block/dm-0/dm/name", TEXT, "vg-root\n", NULL },
	{ "sys/class/graphics/fb0", LINK, FROM_CLASS "graphics/fb0", NULL },
	{ "sys/class/vtconsole/vtcon0/name", TEXT, "(M) frame buffer device\n", NULL },
	{ "sys/class/vtconsole/vtcon0/bind", TEXT, "1\n", NULL },
	{ "sys/class/iommu/dmar0", LINK, "../../devices/virtual/iommu/dmar0", NULL },
	{ "sys/devices/virtual/iommu/dmar0/intel-iommu/cap", TEXT, "d2008c222f0686\n", NULL },
	{ "sys/devices/virtual/iommu/dmar0/intel-iommu/ecap", TEXT, "f00f5a\n", NULL },
	{ "sys/kernel/iommu_groups/1/type", TEXT, "DMA-FQ\n", NULL },
	{ "sys/kernel/iommu_groups/1/reserved_regions", TEXT,
	  "0x00000000000a0000 0x00000000000bffff direct\n"
	  "0x00000000fee00000 0x00000000feefffff msi\n", NULL },
	{ "sys/kernel/iommu_groups/1/devices/0000:01:00.0", LINK, "../../../../devices/pci0000:00/"
	  "0000:00:01.0/0000:01:00.0", NULL },
	{ "proc/cmdline", TEXT, "root=UUID=d3adbeef-0000-4000-8000-123456789abc iommu=pt quiet\n",
	  NULL },
	{ "proc/modules", TEXT, "vfio 1 2 kvm, Live 0xffffffffc0123000\n", NULL },
	{ "proc/version", TEXT, "Linux version 6.1 (me@here) (gcc) #1\n", NULL },
	{ "proc/iomem", TEXT, "00001000-0009ffff : System RAM\n  02000000-02ffffff : Kernel code\n",
	  NULL },
	{ "proc/cpuinfo", TEXT, "processor : 0\nflags : vmx\n\nprocessor : 1\n", NULL },
	{ "proc/meminfo", TEXT, "MemTotal:       24684660 kB\nHugePages_Total:       0\n", NULL },
	{ "proc/interrupts", TEXT, "   CPU0\n  1:  9  IR-IO-APIC  1-edge  i8042\n", NULL },
	{ "proc/self/limits", TEXT, "Max locked memory  8388608  8388608  bytes\n", NULL },
	{ "proc/self/mountinfo", TEXT, "22 1 8:0 / / rw - ext4 /dev/sda rw\n"
	  "23 22 0:40 /a /home/b rw shared:5 - nfs4 h:/a rw,addr=1\n", NULL },
	{ "proc/swaps", TEXT, "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1 partition 1 0 -2\n",
	  NULL },
	{ "proc/net/route", TEXT, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
	  "enx0123456789ab\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\n", NULL },
	{ "proc/net/ipv6_route", TEXT, "00000000000000000000000000000000 00 "
	  "00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 "
	  "1 0 3 eth0\n", NULL },
	{ "proc/net/if_inet6", TEXT, "20010db8000000000000000000000001 02 40 00 80 "
	  "enx0123456789ab\n", NULL },
	{ "etc/os-release", TEXT, "ID=debian\nVERSION_ID=\"13\"\n", NULL },
	{ "etc/default/grub", TEXT, "GRUB_CMDLINE_LINUX=\"iommu=pt a=b\"\n", NULL },
	{ "etc/default/grub.d/a.cfg", TEXT, "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX a=b\"\n",
	  NULL },
	{ "etc/modprobe.d/a.conf", TEXT, "options vfio-pci ids=10de:1b80\noptions b c=10.1.2.3\n"
	  "install a /bin/false\n",
	  NULL },
	{ "dev/kmsg", TEXT, "6,1,0,-;DMAR: IOMMU enabled\n SUBSYSTEM=pci\n"
	  "30,2,0,-;a[1]: kvm\n6,3,0,-;kvm 10.1.2.3\n", NULL },
	{ "dev/kvm", TEXT, "crw-rw---- 0:105 10:232\n", NULL },
	{ "proc/77/comm", TEXT, "qemu-system-x86\n", NULL },
	{ "proc/77/cmdline", TEXT, "qemu -m 4G -device vfio-pci,host=01:00.0", NULL },
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

static char root[256];
static bool changed[PARTS];

static const char *path_of(size_t n, char path[512])
{
	snprintf(path, 512, "%s/%s", root, parts[n].path);
	return path;
}

static void put(size_t n, enum kind kind, const void *content, size_t size)
{
	char path[512], target[4096];

	path_of(n, path);
	must(!remove(path) || errno == ENOENT);
	if (kind == TEXT)
		write_file(path, content, size);
	if (kind == FOLDER)
		must(!mkdir(path, 0700));
	if (kind == LINK && size && size < sizeof(target)) {
		memcpy(target, content, size);
		target[size] = '\0';
		must(!symlink(target, path) || errno == ENOENT);
	}
}

static void put_default(size_t n)
{
	const struct part *part = &parts[n];

	if (part->bytes)
		put(n, part->kind, part->bytes, sizeof(card_config));
	else
		put(n, part->kind, part->content, part->content ? strlen(part->content) : 0);
	changed[n] = false;
}

static void make_folders(size_t n)
{
	char path[512];

	path_of(n, path);
	for (char *c = path + strlen(root) + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		must(!mkdir(path, 0700) || errno == EEXIST);
		*c = '/';
	}
}

const char *machine_root(void)
{
	if (root[0])
		return root;
	must(!mkdir(temporary("machine", root), 0700));
	for (size_t n = 0; n < PARTS; n++)
		make_folders(n);
	for (size_t n = 0; n < PARTS; n++)
		put_default(n);
	return root;
}

void machine_change(const uint8_t *data, size_t size)
{
	machine_root();
	while (size > 3) {
		size_t n = data[0] % PARTS, len = data[1] | (data[2] & 0x3f) << 8;

		if (len > size - 3)
			len = size - 3;
		put(n, data[2] >> 6, data + 3, len);
		changed[n] = true;
		data += 3 + len;
		size -= 3 + len;
	}
}

void machine_restore(void)
{
	for (size_t n = 0; n < PARTS; n++)
		if (changed[n])
			put_default(n);
}

/*
 * Who has nodes open here, and which addresses this machine has, isn't the input's affair. The
 * linker puts this in its place.
 */
int __wrap_wr_holder(const char *path, char *buf, size_t size);
int __wrap_wr_holder(const char *path, char *buf, size_t size)
{
	(void)path, (void)buf, (void)size;
	return -ENOENT;
}

static int no_addresses(struct ifaddrs **list)
{
	*list = NULL;
	return 0;
}

static void free_none(struct ifaddrs *list)
{
	(void)list;
}

static void add_record(size_t n, enum kind kind, const void *content, size_t len)
{
	uint8_t seed[3 + sizeof(card_config)] = {
		(uint8_t)n, (uint8_t)len, (uint8_t)(len >> 8 | (unsigned int)kind << 6)
	};

	if (len)
		memcpy(seed + 3, content, len);
	add_seed(seed, 3 + len);
}

void machine_seeds(void)
{
	/* What the search would take long to come upon. */
	static const struct part bad[] = {
		{ CARD "resource", TEXT, "0xfe0fffff 0xfe000000 0x40200\n", NULL },
		{ CARD "resource", TEXT, "0x0 0xffffffffffffffff 0x40200\n", NULL },
		{ CARD "iommu_group", LINK, FROM_CARD "kernel/iommu_groups/99999999999", NULL },
		{ CARD "power/runtime_status", TEXT, "suspended\n", NULL },
		{ CARD "physfn", LINK, "../0000:01:00.0", NULL },
		{ "sys/kernel/iommu_groups/1/reserved_regions", TEXT, "0x2 0x1 msi\n", NULL },
		{ "sys/class/block/dm-0", LINK, "../../devices", NULL },
		{ "sys/class/block/sda", LINK, "../../../../../../dev", NULL },
		{ "proc/cmdline", TEXT, "-- intel_iommu= iommu=off,pt amd_iommu", NULL },
		{ "proc/cmdline", TEXT, "pcie_acs_override=,id:10ee:,downstream,id::", NULL },
		{ "proc/self/mountinfo", TEXT, "1 - / - - - -\n", NULL },
	};
	static struct wr_sys sys;

	sys = wr_sys_kernel;
	sys.getifaddrs = no_addresses;
	sys.freeifaddrs = free_none;
	wr_sys = &sys;

	for (size_t n = 0; n < PARTS; n++) {
		const struct part *part = &parts[n];

		if (part->bytes)
			add_record(n, part->kind, part->bytes, 0x140);
		else
			add_record(n, part->kind, part->content,
				   part->content ? strlen(part->content) : 0);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			if (!strcmp(bad[i].path, part->path))
				add_record(n, bad[i].kind, bad[i].content, strlen(bad[i].content));
	}
}
