/* SPDX-License-Identifier: MIT */
/* What is captured of a machine, what of it is masked, and that reading it back says the same. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/host.h>

#include "base/root.h"
#include "capture_rig.h"
#include "host/use.h"

#define ADDR	"0000:01:00.0"
#define BRIDGE	"0000:00:01.0"
#define AT	"sys/devices/pci0000:00/" BRIDGE "/" ADDR
#define UUID	"d3adbeef-0000-4000-8000-123456789abc"

/* Config space with a VPD capability at 0x40, and extended ones: a serial number, then ACS. */
static void add_config(const char *root)
{
	uint8_t config[4096] = { 0x34, 0x12, 0xe8, 0x11, [6] = 0x10, [0x34] = 0x40, [0x40] = 0x03 };
	static const uint8_t serial[] = { 0x03, 0x00, 0x01, 0x14, 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t acs[] = { 0x0d, 0x00, 0x01, 0x00, 0x1f, 0x00, 0x1d, 0x00 };

	memcpy(config + 0x44, "\x11\x22\x33\x44", 4);
	memcpy(config + 0x100, serial, sizeof(serial));
	memcpy(config + 0x140, acs, sizeof(acs));
	tree_bytes(root, AT "/config", config, sizeof(config));
}

static void add_function(const char *root)
{
	tree_text(root, AT "/uevent", "DRIVER=e1000e\nPCI_CLASS=20000\nPCI_ID=1234:11E8\n"
		  "PCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=" ADDR "\n");
	tree_text(root, AT "/vendor", "0x1234\n");
	tree_text(root, AT "/device", "0x11e8\n");
	tree_text(root, AT "/class", "0x020000\n");
	tree_text(root, AT "/subsystem_vendor", "0x1af4\n");
	tree_text(root, AT "/numa_node", "-1\n");
	tree_text(root, AT "/rom", "secret of the firmware");
	tree_text(root, AT "/serial_number", "01-02-03-04-05-06-07-08\n");
	tree_text(root, AT "/power/runtime_status", "active\n");
	tree_text(root, AT "/power_state", "D0\n");
	tree_link(root, AT "/driver", "../../../../bus/pci/drivers/e1000e");
	tree_link(root, AT "/iommu_group", "../../../../kernel/iommu_groups/5");
	tree_link(root, "sys/bus/pci/devices/" ADDR,
		  "../../../devices/pci0000:00/" BRIDGE "/" ADDR);
	tree_link(root, "sys/kernel/iommu_groups/5/devices/" ADDR,
		  "../../../../devices/pci0000:00/" BRIDGE "/" ADDR);
	tree_text(root, "sys/kernel/iommu_groups/5/type", "DMA-FQ\n");
	tree_text(root, "sys/kernel/iommu_groups/5/reserved_regions",
		  "0x00000000fee00000 0x00000000feefffff msi\n");
	add_config(root);
}

static void add_bridge(const char *root)
{
	const char *at = "sys/devices/pci0000:00/" BRIDGE;
	char path[100];

	for (int i = 0; i < 3; i++) {
		static const char *const attrs[][2] = {
			{ "vendor", "0x8086\n" }, { "power/runtime_status", "active\n" },
			{ "uevent", "PCI_CLASS=60400\nPCI_ID=8086:1901\nPCI_SUBSYS_ID=0:0\n" },
		};

		snprintf(path, sizeof(path), "%s/%s", at, attrs[i][0]);
		tree_text(root, path, attrs[i][1]);
	}
	tree_link(root, "sys/bus/pci/devices/" BRIDGE, "../../../devices/pci0000:00/" BRIDGE);
}

static void add_uses(const char *root)
{
	tree_text(root, AT "/net/enx0123456789ab/flags", "0x1003\n");
	tree_text(root, AT "/net/enx0123456789ab/address", "01:23:45:67:89:ab\n");
	tree_link(root, "sys/class/net/enx0123456789ab",
		  "../../devices/pci0000:00/" BRIDGE "/" ADDR "/net/enx0123456789ab");
	tree_text(root, "proc/net/route",
		  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
		  "enx0123456789ab\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\n"
		  "enx0123456789ab\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n");
	tree_text(root, "proc/net/if_inet6",
		  "fe80000000000000032345fffe6789ab 02 40 20 80 enx0123456789ab\n"
		  "2a02000000000000032345fffe6789ab 02 40 00 80 enx0123456789ab\n");
	tree_text(root, "proc/self/mountinfo",
		  "22 1 254:0 / / rw - ext4 /dev/mapper/luks-" UUID " rw\n"
		  "23 22 0:40 /alice /home/alice/secret rw shared:5 - nfs4 10.1.2.3:/alice "
		  "rw,addr=10.1.2.3\n"
		  "24 22 0:41 / /proc rw - proc proc rw\n"
		  "25 22 254:1 / /srv rw - ext4 /dev/mapper/wonderland--vg-srv rw\n"
		  "26 22 9:0 / /data rw - ext4 /dev/md/wonderland:0 rw\n");
	tree_text(root, "proc/swaps", "Filename\tType\n/home/alice/swap\tfile\n/dev/dm-1\tpart\n");
	tree_text(root, "sys/devices/virtual/block/dm-0/dm/name", "luks-" UUID "\n");
	tree_text(root, "sys/devices/virtual/block/dm-0/dev", "254:0\n");
	tree_link(root, "sys/class/block/dm-0", "../../devices/virtual/block/dm-0");
	tree_text(root, "sys/devices/virtual/block/dm-1/dm/name", "wonderland--vg-srv\n");
	tree_link(root, "sys/class/block/dm-1", "../../devices/virtual/block/dm-1");
}

static void add_kernel(const char *root)
{
	static const char args[] = "qemu\0-m\0" "4G\0-name\0hunter2\0-device\0"
				   "vfio-pci,host=01:00.0,romfile=/home/alice/x.rom,id=a";

	tree_text(root, "proc/cmdline",
		  "BOOT_IMAGE=/vmlinuz root=UUID=" UUID " intel_iommu=on,sm_on iommu=pt quiet "
		  "vfio-pci.ids=10de:1b80 rd.iscsi.password=hunter2 a=\"b hunter2\" "
		  "\"c=d hunter2\" \"hunter2 e\" -- secret\n");
	tree_text(root, "proc/version", "Linux version 6.1 (alice@wonderland) (gcc) #1 SMP\n");
	tree_text(root, "proc/modules", "vfio 1 2 kvm, Live 0xffffffffc0123000\n");
	tree_text(root, "proc/iomem", "00001000-0009ffff : System RAM\n"
		  "  02000000-02ffffff : Kernel code\nfee00000-fee00fff : Local APIC\n");
	tree_text(root, "proc/cpuinfo", "processor\t: 0\nflags\t: vmx\n\nprocessor\t: 1\n");
	tree_text(root, "etc/default/grub", "GRUB_PASSWORD=hunter2\n"
		  "GRUB_CMDLINE_LINUX=\"iommu=pt crypt=hunter2 quiet\"\n");
	tree_text(root, "etc/default/grub.d/a.cfg", "# hunter2\n  . /etc/hunter2\n"
		  "GRUB_CMDLINE_LINUX=\"iommu=pt $GRUB_CMDLINE_LINUX a=hunter2\" # hunter2\n"
		  "GRUB_CMDLINE_LINUX_DEFAULT=$(hunter2)\n"
		  "GRUB_CMDLINE_XEN='dom0_mem=1 x=hunter2'\n");
	tree_text(root, "etc/modprobe.d/a.conf", "# hunter2\noptions vfio-pci ids=10de:1b80\n"
		  "options pci_stub ids=1:2 x\noptions bonding mode=1 arp_ip_target=10.1.2.3\n"
		  "options netconsole netconsole=\"6666@10.1.2.3/eth0 hunter2\"\noptions \n"
		  "options xen-pciback hide=(0000:01:00.0)\n"
		  "install nouveau /bin/false\ninstall zfs /root/hunter2\n"
		  "install nvidia /bin/true hunter2\n");
	tree_text(root, "usr/lib/os-release", "ID=debian\n");
	tree_link(root, "etc/os-release", "../usr/lib/os-release");
	tree_text(root, "etc/shadow", "hunter2\n");
	tree_text(root, "sys/module/vfio_pci/parameters/ids", "10de:1b80\n");
	tree_text(root, "sys/firmware/acpi/tables/DMAR", "serial number and such");
	tree_text(root, "dev/kvm", "crw-rw---- 0:105 10:232\n");
	tree_text(root, "dev/sda", "hunter2");
	tree_text(root, "dev/kmsg", "6,1,0,-;Kernel command line: iommu=pt root=hunter2\n"
		  "6,2,0,-;usb 1-1: SerialNumber: hunter2\n"
		  "5,2,0,-;audit: type=1400 comm=\"kvm\" name=\"/home/hunter2\"\n"
		  "6,3,0,-;pci 0000:01:00.0: 01:23:45:67:89:ab\n SUBSYSTEM=pci\n"
		  "30,5,0,-;systemd[1]: Mounting /srv/kvm-hunter2\n"
		  "12,6,0,-;hunter2: vfio-pci\n6;hunter2 vfio\nhunter2 pci\n"
		  "4,7,0,-;nfs: server kvm-wonderland not responding\n"
		  "7,8,0,caller=T1;iommu: kvm 10.1.2.3, 10.1.2.3.\n"
		  "4,9,0,-;kvm v1.2.3.4 1.2.3 1.2.3.4.5 1.2.3.4567\n"
		  "6,4,0,-;DMAR: IOMMU enabled\n");
	tree_text(root, "etc/dracut.conf.d/a.conf", "add_drivers+=\" vfio-pci \"\n"
		  "kernel_cmdline+=\" iommu=pt x=hunter2 \"\nhost=hunter2\n");
	tree_text(root, "boot/config-6.1", "CONFIG_A=y\nCONFIG_VFIO=m\n");
	tree_bytes(root, "proc/77/cmdline", args, sizeof(args) - 1);
	tree_text(root, "proc/77/comm", "qemu-system-x86\n");
	tree_text(root, "proc/78/cmdline", "hunter2");
	tree_text(root, "proc/78/comm", "bash\n");
}

static int start(void **state)
{
	struct machine *m = machine_new();

	add_bridge(m->root);
	add_function(m->root);
	add_uses(m->root);
	add_kernel(m->root);
	*state = m;
	return 0;
}

static struct weir_host_captured capture(struct machine *m, struct weir_host_capture_opts opts)
{
	struct weir_host_captured told;

	opts.force = true;
	wr_unpacked_remove(&m->back);
	if (weir_host_capture(m->root, m->file, &opts, &told))
		fail_msg("%s", weir_errmsg());
	assert_int_equal(wr_unpack(m->file, &m->back), 0);
	return told;
}

/* What the archive holds at @path; NULL for nothing. */
static const char *text(const struct machine *m, const char *path)
{
	static char buf[4096];

	return wr_root_text(m->back.folder, path, buf, sizeof(buf)) < 0 ? NULL : buf;
}

static void config(const struct machine *m, uint8_t bytes[4096])
{
	int fd = wr_root_open(m->back.folder, "/" AT "/config", 0);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, 4096), 4096);
	close(fd);
}

static void test_masked(void **state)
{
	struct machine *m = *state;
	uint8_t bytes[4096];
	struct stat st;

	capture(m, (struct weir_host_capture_opts){ 0 });
	assert_string_equal(text(m, "/proc/cmdline"), "BOOT_IMAGE=masked root=masked "
			    "intel_iommu=on,sm_on iommu=pt quiet vfio-pci.ids=10de:1b80 "
			    "rd.iscsi.password=masked a=masked c=masked masked");
	assert_string_equal(text(m, "/proc/version"),
			    "Linux version 6.1 (masked@masked) (gcc) #1 SMP");
	assert_string_equal(text(m, "/proc/modules"), "vfio 1 2 kvm, Live 0x0000000000000000");
	assert_string_equal(text(m, "/proc/iomem"), "00001000-0009ffff : System RAM\n"
			    "fee00000-fee00fff : Local APIC");
	assert_string_equal(text(m, "/proc/cpuinfo"), "processor\t: 0\nflags\t: vmx");
	assert_string_equal(text(m, "/proc/swaps"),
			    "Filename\tType\n/masked\tfile\n/dev/dm-1\tpart");
	assert_string_equal(text(m, "/etc/default/grub"),
			    "GRUB_CMDLINE_LINUX=\"iommu=pt crypt=masked quiet\"");
	assert_string_equal(text(m, "/etc/default/grub.d/a.cfg"), "masked\n"
			    "GRUB_CMDLINE_LINUX=\"iommu=pt ${GRUB_CMDLINE_LINUX} a=masked\"\n"
			    "masked\nGRUB_CMDLINE_XEN='dom0_mem=masked x=masked'");
	assert_string_equal(text(m, "/etc/modprobe.d/a.conf"), "options vfio-pci ids=10de:1b80\n"
			    "options pci_stub ids=1:2 x\n"
			    "options bonding mode=masked arp_ip_target=masked\n"
			    "options netconsole netconsole=masked\n"
			    "options xen-pciback hide=(0000:01:00.0)\n"
			    "install nouveau /bin/false\ninstall zfs masked\n"
			    "install nvidia masked");
	assert_string_equal(text(m, "/etc/os-release"), "ID=debian");
	assert_string_equal(text(m, "/sys/module/vfio_pci/parameters/ids"), "10de:1b80");
	assert_string_equal(text(m, "/sys/firmware/acpi/tables/DMAR"), "");
	assert_string_equal(text(m, "/" AT "/rom"), "");
	assert_string_equal(text(m, "/dev/kvm"), "crw-rw---- 0:105 10:232");
	assert_int_equal(wr_root_stat(m->back.folder, "/dev/kvm", &st), 0);
	assert_int_equal(st.st_mode, S_IFCHR | 0660);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, 105);
	assert_int_equal(st.st_rdev, makedev(10, 232));
	assert_string_equal(text(m, "/dev/kmsg"), "6,3,0,-;pci 0000:01:00.0: 00:00:00:00:00:03\n"
			    " SUBSYSTEM=pci\n"
			    "7,8,0,caller=T1;iommu: kvm 192.0.2.0, 192.0.2.0.\n"
			    "4,9,0,-;kvm v1.2.3.4 1.2.3 1.2.3.4.5 1.2.3.4567\n"
			    "6,4,0,-;DMAR: IOMMU enabled");
	assert_string_equal(text(m, "/boot/config-6.1"), "CONFIG_VFIO=m");
	assert_string_equal(text(m, "/etc/dracut.conf.d/a.conf"), "add_drivers+=\" vfio-pci \"");
	assert_string_equal(text(m, "/proc/77/cmdline"),
			    "masked -m 4G -name masked -device vfio-pci,host=01:00.0,"
			    "romfile=/masked,id=a");
	assert_string_equal(text(m, "/proc/77/comm"), "qemu-system-x86");
	assert_false(wr_root_has(m->back.folder, "/proc/78"));
	assert_null(text(m, "/etc/shadow"));
	assert_null(text(m, "/dev/sda"));
	assert_null(text(m, "/" AT "/serial_number"));
	assert_string_equal(text(m, "/weir-capture"), "weir capture 1\nmasked yes");
	config(m, bytes);
	assert_memory_equal(bytes + 0x100, "\x03\x00\x01\x14\0\0\0\0\0\0\0\0", 12);
	assert_memory_equal(bytes + 0x140, "\x0d\x00\x01\x00\x1f\x00\x1d\x00", 8);
	assert_memory_equal(bytes + 0x44, "\0\0\0\0", 4);
}

static int holds_secret(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	static const char *const secrets[] = { "hunter2", "alice", "wonderland", "d3adbeef",
					       "0123456789ab", "01:23:45:67:89:ab", "10.1.2.3",
					       "0101A8C0", "ffffffffc0123000" };
	char bytes[8192];
	size_t len = 0;
	FILE *file;

	(void)type, (void)ftw;
	if (S_ISREG(st->st_mode)) {
		file = fopen(path, "re");
		assert_non_null(file);
		len = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
	} else if (S_ISLNK(st->st_mode)) {
		len = (size_t)readlink(path, bytes, sizeof(bytes));
	}
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (strstr(path, secrets[i]) || memmem(bytes, len, secrets[i], strlen(secrets[i])))
			fail_msg("%s has '%s' in it", path, secrets[i]);
	return 0;
}

static void test_no_secret(void **state)
{
	struct machine *m = *state;

	capture(m, (struct weir_host_capture_opts){ 0 });
	assert_int_equal(nftw(m->back.folder, holds_secret, 16, FTW_PHYS), 0);
}

/* Of names, addresses and UUIDs the same stands everywhere for the same. */
static void test_aliases(void **state)
{
	struct machine *m = *state;
	char name[64], volume[64], line[400];
	struct wr_class class;

	capture(m, (struct weir_host_capture_opts){ 0 });
	assert_int_equal(wr_class_open(&class, m->back.folder, "net", ADDR), 0);
	snprintf(name, sizeof(name), "%s", wr_class_next(&class));
	wr_class_close(&class);
	assert_string_equal(name, "enx000000000003");
	assert_null(text(m, "/sys/class/net/enx0123456789ab/flags"));
	snprintf(line, sizeof(line), "/sys/class/net/%s/flags", name);
	assert_string_equal(text(m, line), "0x1003");
	assert_null(text(m, "/sys/class/net/x/address"));

	snprintf(line, sizeof(line), "\n%s\t00000000\t000200C0\t0003\t", name);
	assert_non_null(strstr(text(m, "/proc/net/route"), line));
	snprintf(line, sizeof(line), "\n%s\t000200C0\t00000000\t0001\t", name);
	assert_non_null(strstr(text(m, "/proc/net/route"), line));
	assert_non_null(strstr(text(m, "/proc/net/if_inet6"), "fe800000"));
	assert_non_null(strstr(text(m, "/proc/net/if_inet6"), "20010db8"));
	assert_null(strstr(text(m, "/proc/net/if_inet6"), "6789ab"));

	snprintf(name, sizeof(name), "%.60s", text(m, "/sys/class/block/dm-0/dm/name"));
	assert_int_equal(strncmp(name, "luks-00000000-0000-0000-0000-00000000000", 40), 0);
	snprintf(volume, sizeof(volume), "%.60s", text(m, "/sys/class/block/dm-1/dm/name"));
	assert_int_equal(strncmp(volume, "volume-", 7), 0);
	snprintf(line, sizeof(line), "22 1 254:0 / / rw - ext4 /dev/mapper/%s rw\n"
		 "23 22 0:40 /masked /home/masked rw shared:5 - nfs4 masked rw\n"
		 "24 22 0:41 / /proc rw - proc proc rw\n"
		 "25 22 254:1 / /srv rw - ext4 /dev/mapper/%s rw\n"
		 "26 22 9:0 / /data rw - ext4 /masked rw", name, volume);
	assert_string_equal(text(m, "/proc/self/mountinfo"), line);
}

static void test_unmasked(void **state)
{
	struct machine *m = *state;
	uint8_t bytes[4096];
	struct stat st;

	capture(m, (struct weir_host_capture_opts){ .unmasked = true });
	assert_non_null(strstr(text(m, "/proc/cmdline"), "root=UUID=" UUID));
	assert_non_null(strstr(text(m, "/proc/self/mountinfo"), "/home/alice/secret"));
	assert_string_equal(text(m, "/sys/class/net/enx0123456789ab/flags"), "0x1003");
	assert_null(text(m, "/sys/class/net/enx0123456789ab/address"));
	assert_string_equal(text(m, "/weir-capture"), "weir capture 1\nmasked no");
	config(m, bytes);
	assert_memory_equal(bytes + 0x100, "\x03\x00\x01\x14\1\2\3\4\5\6\7\x8", 12);
	/* It isn't for everybody. */
	assert_int_equal(stat(m->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* Asleep itself, or below a bridge that is. */
static void test_asleep(void **state)
{
	static const char *const signs[][2] = {
		{ AT "/power/runtime_status", "suspended\n" },
		{ AT "/power/runtime_status", "suspending\n" },
		{ AT "/power_state", "D3hot\n" },
		{ AT "/power_state", "D3cold\n" },
		{ "sys/devices/pci0000:00/" BRIDGE "/power/runtime_status", "suspended\n" },
	};
	struct machine *m = *state;
	struct weir_host_captured told;

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		tree_text(m->root, signs[i][0], signs[i][1]);
		told = capture(m, (struct weir_host_capture_opts){ 0 });
		assert_int_equal(told.asleep, 1);
		assert_null(text(m, "/" AT "/config"));
		assert_non_null(strstr(text(m, "/weir-capture"), "\nasleep /" AT "/config"));
		told = capture(m, (struct weir_host_capture_opts){ .wake = true });
		assert_int_equal(told.asleep, 0);
		assert_true(wr_root_has(m->back.folder, "/" AT "/config"));
		tree_text(m->root, signs[i][0], i == 2 || i == 3 ? "D0\n" : "active\n");
	}
}

static void test_cut(void **state)
{
	struct machine *m = *state;

	tree_bytes(m->root, AT "/config", (char[64]){ 0 }, 64);
	assert_int_equal(capture(m, (struct weir_host_capture_opts){ 0 }).cut, 1);
	assert_non_null(strstr(text(m, "/weir-capture"), "\ncut /" AT "/config"));
}

/* By a user who may not read everything. */
static void test_unreadable(void **state)
{
	struct machine *m = *state;
	char path[400];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/proc/iomem", m->root);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(chmod(m->root, 0755), 0);
	assert_int_equal(chmod(m->other, 0777), 0);
	pid = fork();
	if (!pid) {
		struct weir_host_captured told;

		if (geteuid() == 0 && setuid(65534))
			_exit(1);
		if (weir_host_capture(m->root, m->file, NULL, &told))
			_exit(2);
		_exit(told.unreadable == 1 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(wr_unpack(m->file, &m->back), 0);
	assert_null(text(m, "/proc/iomem"));
	assert_non_null(strstr(text(m, "/weir-capture"), "\nmissing /proc/iomem: Permission"));
}

static void read_bytes(const char *path, char *bytes, size_t *len)
{
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	*len = fread(bytes, 1, 65536, file);
	fclose(file);
}

static void test_same_bytes(void **state)
{
	struct machine *m = *state;
	static char first[65536], second[65536];
	size_t n, also;

	capture(m, (struct weir_host_capture_opts){ 0 });
	read_bytes(m->file, first, &n);
	sleep(1);
	/* Made anew, the folder lists its entries in another order. */
	tree_remove(m->root, "sys/kernel");
	add_function(m->root);
	capture(m, (struct weir_host_capture_opts){ 0 });
	read_bytes(m->file, second, &also);
	assert_true(n < sizeof(first));
	assert_int_equal(n, also);
	assert_memory_equal(first, second, n);
}

/* In whichever order a folder lists its entries, they are numbered by their names. */
static void test_numbers(void **state)
{
	struct machine *m = *state;
	char name[100];

	for (int i = 9; i >= 0; i--) {
		snprintf(name, sizeof(name), "sys/class/net/enx00aabbccdd%02x/flags", i * 7 + 1);
		tree_text(m->root, name, "0x0\n");
		snprintf(name, sizeof(name), "sys/class/net/enx00aabbccdd%02x/type", i * 7 + 1);
		snprintf(name + 60, 40, "%d", i);
		tree_text(m->root, name, name + 60);
	}
	capture(m, (struct weir_host_capture_opts){ 0 });
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "/sys/class/net/enx%012x/type", i + 3);
		assert_non_null(text(m, name));
		assert_int_equal(atoi(text(m, name)), i);
	}
}

/* A capture of a capture is the same. */
static void test_again(void **state)
{
	struct machine *m = *state;
	static char first[65536], second[65536];
	char other[400];
	size_t n, also;

	capture(m, (struct weir_host_capture_opts){ 0 });
	read_bytes(m->file, first, &n);
	snprintf(other, sizeof(other), "%s/again", m->other);
	assert_int_equal(weir_host_capture(m->back.folder, other, NULL, NULL), 0);
	read_bytes(other, second, &also);
	assert_int_equal(n, also);
	assert_memory_equal(first, second, n);
}

static void test_file(void **state)
{
	struct machine *m = *state;
	const struct weir_host_capture_opts wrong = { .reserved = { 1 } };
	struct stat st;

	assert_int_equal(weir_host_capture(m->root, m->file, &wrong, NULL), -EINVAL);
	tree_text(m->other, "m.tar.gz", "mine");
	assert_int_equal(weir_host_capture(m->root, m->file, NULL, NULL), -EEXIST);
	assert_non_null(strstr(weir_errmsg(), "--force"));
	assert_int_equal(stat(m->file, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(weir_host_capture(m->root, "/nonexistent/x", NULL, NULL), -ENOENT);
	assert_int_equal(weir_host_capture("/nonexistent", "/tmp/never", NULL, NULL), -ENOENT);
	tree_remove(m->root, "sys/bus");
	tree_remove(m->other, "m.tar.gz");
	assert_int_equal(weir_host_capture(m->root, m->file, NULL, NULL), -ENOENT);
	assert_int_equal(stat(m->file, &st), -1);
}

/* Nothing outside of the root is taken, and nothing that would block. */
static void test_hostile(void **state)
{
	struct machine *m = *state;
	struct weir_host_captured told;
	char path[400];

	tree_text(m->other, "secret/vendor", "0x1234\n");
	snprintf(path, sizeof(path), "%s/secret", m->other);
	tree_link(m->root, "sys/bus/pci/devices/0000:02:00.0", path);
	tree_link(m->root, "sys/bus/pci/devices/0000:03:00.0", "../../../../../../../etc");
	tree_link(m->root, "sys/bus/pci/devices/0000:04:00.0", "0000:04:00.0");
	tree_link(m->root, "sys/bus/pci/devices/0000:05:00.0", "0000:01:00.0");
	tree_link(m->root, "proc/meminfo", "/proc/meminfo");
	tree_link(m->root, "dev/kvm", "/dev/null");
	tree_link(m->root, "usr/bin/grubby", "/bin/sh");
	tree_remove(m->root, AT "/numa_node");
	snprintf(path, sizeof(path), "%s/" AT "/numa_node", m->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	told = capture(m, (struct weir_host_capture_opts){ 0 });
	assert_true(told.unreadable >= 3);
	assert_null(text(m, "/sys/bus/pci/devices/0000:02:00.0/vendor"));
	assert_null(text(m, "/sys/bus/pci/devices/0000:03:00.0/passwd"));
	assert_null(text(m, "/proc/meminfo"));
	assert_false(wr_root_has(m->back.folder, "/dev/kvm"));
	assert_non_null(strstr(text(m, "/weir-capture"), "\nmissing /dev/kvm: "));
	assert_false(wr_root_has(m->back.folder, "/usr/bin/grubby"));
	assert_null(text(m, "/" AT "/numa_node"));
	assert_string_equal(text(m, "/sys/bus/pci/devices/" ADDR "/vendor"), "0x1234");
}

static void test_scan(void **state)
{
	struct machine *m = *state;
	struct weir_host *host, *back;
	uint8_t config_of[2][4096];

	capture(m, (struct weir_host_capture_opts){ .unmasked = true });
	assert_int_equal(weir_host_open(m->root, &host), 0);
	assert_int_equal(weir_host_open(m->file, &back), 0);
	assert_int_equal(weir_host_count(host), 2);
	assert_int_equal(weir_host_count(back), 2);
	for (unsigned int i = 0; i < 2; i++)
		assert_memory_equal(weir_host_function(host, i), weir_host_function(back, i),
				    sizeof(struct weir_host_function));
	assert_int_equal(weir_host_config(host, weir_host_function(host, 1), config_of[0], 4096),
			 4096);
	assert_int_equal(weir_host_config(back, weir_host_function(back, 1), config_of[1], 4096),
			 4096);
	assert_memory_equal(config_of[0], config_of[1], 4096);
	weir_host_close(host);
	weir_host_close(back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_masked, start, stop),
		cmocka_unit_test_setup_teardown(test_no_secret, start, stop),
		cmocka_unit_test_setup_teardown(test_aliases, start, stop),
		cmocka_unit_test_setup_teardown(test_unmasked, start, stop),
		cmocka_unit_test_setup_teardown(test_asleep, start, stop),
		cmocka_unit_test_setup_teardown(test_cut, start, stop),
		cmocka_unit_test_setup_teardown(test_unreadable, start, stop),
		cmocka_unit_test_setup_teardown(test_same_bytes, start, stop),
		cmocka_unit_test_setup_teardown(test_numbers, start, stop),
		cmocka_unit_test_setup_teardown(test_again, start, stop),
		cmocka_unit_test_setup_teardown(test_file, start, stop),
		cmocka_unit_test_setup_teardown(test_hostile, start, stop),
		cmocka_unit_test_setup_teardown(test_scan, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
