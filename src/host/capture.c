/* SPDX-License-Identifier: MIT */
/*
 * What is read of a machine, as a table: whoever comes to read more below a root adds it here. None
 * of these attributes wakes a sleeping device (in drivers/pci/pci-sysfs.c those that do call
 * pci_config_pm_runtime_get()), but for config space, of which see take_config().
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/root.h"
#include "base/sys.h"
#include "host/capture.h"
#include "host/host.h"
#include "host/text.h"
#include "host/unpack.h"

#define FILE_MAX	(8 << 20)
#define CONFIG_MAX	4096
#define CONFIG_CUT	64	/* what users without privilege see of it */

enum kind {
	KIND_TEXT,	/* a file's text, a link, or that a folder is there */
	KIND_THERE,	/* that it is there */
	KIND_NODE,	/* whose node it is */
	KIND_CONFIG,
	KIND_FIRST,	/* what is said of the first processor */
	KIND_ABOUT,	/* lines that are about our subject */
	KIND_VMM,	/* of a process: if it is a VMM, or starts them */
};

#define TEXT(folder, names)		{ folder, names, KIND_TEXT, NULL }
#define MASKED(folder, names, mask)	{ folder, names, KIND_TEXT, mask }
#define THERE(folder, names)		{ folder, names, KIND_THERE, NULL }
#define NODE(folder, names)		{ folder, names, KIND_NODE, NULL }
#define CONFIG(folder, names)		{ folder, names, KIND_CONFIG, NULL }
#define FIRST(folder, names)		{ folder, names, KIND_FIRST, NULL }
#define ABOUT(folder, names, mask)	{ folder, names, KIND_ABOUT, mask }
#define VMM(folder, names, mask)	{ folder, names, KIND_VMM, mask }

/* Names are as fnmatch(3) has them, in a folder's path as well. */
static const struct pattern {
	const char *folder;
	const char *names;
	enum kind kind;
	wr_mask_line mask;
} patterns[] = {
	TEXT("/sys/bus/pci/devices/*", "vendor device subsystem_vendor subsystem_device class "
	     "revision numa_node local_cpulist resource irq uevent modalias enable boot_vga "
	     "boot_display label index reset_method power_state d3cold_allowed "
	     "driver_override msi_bus ari_enabled dma_mask_bits consistent_dma_mask_bits "
	     "broken_parity_status removable untrusted sriov_* driver iommu iommu_group "
	     "physfn virtfn* subsystem of_node devspec"),
	THERE("/sys/bus/pci/devices/*", "rom reset resource? resource?_wc vpd"),
	CONFIG("/sys/bus/pci/devices/*", "config"),
	TEXT("/sys/bus/pci/devices/*/power", "control runtime_status runtime_enabled wakeup"),
	TEXT("/sys/bus/pci/devices/*/msi_irqs", "*"),
	TEXT("/sys/bus/pci/devices/*/vfio-dev", "*"),
	TEXT("/sys/bus/pci/devices/*/vfio-dev/*", "dev"),
	TEXT("/sys/bus/pci/devices/*/mdev_supported_types", "*"),
	TEXT("/sys/bus/pci/drivers/*", "module"),
	THERE("/sys/bus/pci/drivers/*", "new_id"),
	TEXT("/sys/bus/pci/slots/*", "address"),
	TEXT("/sys/kernel/iommu_groups/*", "type name reserved_regions"),
	TEXT("/sys/kernel/iommu_groups/*/devices", "*"),
	TEXT("/sys/class/iommu/*", "device"),
	TEXT("/sys/class/iommu/*/intel-iommu", "*"),
	TEXT("/sys/class/iommu/*/amd-iommu", "*"),
	TEXT("/sys/class/iommu/*/devices", "*"),
	TEXT("/sys/class/vfio/*", "dev"),
	TEXT("/sys/class/vfio-dev/*", "dev"),

	/* who uses what */
	TEXT("/sys/class/block/*", "dev partition ro size device"),
	TEXT("/sys/class/block/*/holders", "*"),
	TEXT("/sys/class/block/*/slaves", "*"),
	MASKED("/sys/class/block/*/dm", "name", wr_mask_volume),
	TEXT("/sys/class/block/*/md", "level"),
	TEXT("/sys/class/drm/*", "dev device status enabled"),
	TEXT("/sys/class/graphics/*", "name device"),
	TEXT("/sys/class/infiniband/*", "device"),
	TEXT("/sys/class/net/*", "flags operstate type device master upper_* lower_*"),
	TEXT("/sys/class/nvme/*", "device"),
	TEXT("/sys/class/nvme-subsystem/*", "nvme*"),
	TEXT("/sys/class/sound/*", "device"),
	TEXT("/sys/class/vtconsole/*", "name bind"),
	MASKED("/proc", "swaps", wr_mask_swaps),
	MASKED("/proc/self", "mountinfo", wr_mask_mounts),
	MASKED("/proc/net", "route", wr_mask_route),
	MASKED("/proc/net", "ipv6_route if_inet6", wr_mask_route6),

	/* the kernel, and what it was told */
	MASKED("/proc", "cmdline", wr_mask_cmdline),
	MASKED("/proc", "version", wr_mask_version),
	MASKED("/proc", "modules", wr_mask_modules),
	MASKED("/proc", "iomem", wr_mask_iomem),
	TEXT("/proc", "meminfo interrupts misc devices"),
	FIRST("/proc", "cpuinfo"),
	TEXT("/proc/self", "limits status"),
	VMM("/proc/[1-9]*", "comm limits status", NULL),
	VMM("/proc/[1-9]*", "cmdline", wr_mask_args),
	ABOUT("/dev", "kmsg", wr_mask_log),
	ABOUT("/boot", "config-*", NULL),
	ABOUT("/lib/modules/*", "modules.dep modules.builtin config", NULL),
	TEXT("/proc/sys/kernel", "osrelease ostype tainted modules_disabled"),
	TEXT("/proc/sys/vm", "nr_hugepages nr_overcommit_hugepages max_map_count"),
	TEXT("/sys/kernel/security", "lockdown"),
	TEXT("/sys/kernel/mm/transparent_hugepage", "enabled"),
	TEXT("/sys/kernel/mm/hugepages/*", "nr_* free_* resv_* surplus_*"),
	TEXT("/sys/devices/system/node", "online possible"),
	TEXT("/sys/devices/system/node/*", "cpulist distance"),
	TEXT("/sys/devices/system/node/*/hugepages/*", "nr_* free_* surplus_*"),
	TEXT("/sys/devices/system/cpu", "online possible"),
	TEXT("/sys/devices/system/memory", "block_size_bytes"),
	TEXT("/sys/module", "vfio* iommu* kvm* pci_stub pci_pf_stub irqbypass xen_pciback "
	     "snd_hda_intel nouveau nvidia* amdgpu radeon i915 xe qat_* nvme* mlx5_core"),
	TEXT("/sys/module/vfio*/parameters", "*"),
	TEXT("/sys/module/iommu*/parameters", "*"),
	TEXT("/sys/module/kvm*/parameters", "*"),
	TEXT("/sys/module/pci_stub/parameters", "*"),

	/* firmware, and whether this is a guest */
	TEXT("/sys/class/dmi/id", "sys_vendor product_name product_family board_vendor board_name "
	     "bios_vendor bios_version bios_date chassis_type"),
	TEXT("/sys/hypervisor", "type"),
	TEXT("/sys/hypervisor/properties", "features"),
	THERE("/sys/bus/acpi/devices", "QEMU0002:00"),
	THERE("/sys/bus/platform/devices", "arm-smmu*"),
	TEXT("/sys/firmware", "efi devicetree"),
	THERE("/sys/firmware/acpi/tables", "*"),
	TEXT("/sys/firmware/devicetree/base", "model compatible"),
	TEXT("/sys/firmware/devicetree/base/hypervisor", "compatible"),
	TEXT("/sys/firmware/efi", "fw_platform_size"),
	TEXT("/proc/device-tree", "model compatible"),

	/* the distribution, and where it keeps the kernel's options */
	TEXT("/etc", "os-release"),
	MASKED("/etc/default", "grub", wr_mask_grub),
	MASKED("/etc/default/grub.d", "*.cfg", wr_mask_grub),
	MASKED("/etc/kernel", "cmdline", wr_mask_cmdline),
	THERE("/etc/kernel", "proxmox-boot-uuids"),
	MASKED("/etc/cmdline.d", "*.conf", wr_mask_cmdline),
	MASKED("/etc/modprobe.d", "*", wr_mask_modprobe),
	MASKED("/run/modprobe.d", "*.conf", wr_mask_modprobe),
	MASKED("/lib/modprobe.d", "*.conf", wr_mask_modprobe),
	TEXT("/etc/modules-load.d", "*"),
	TEXT("/etc", "modules"),
	ABOUT("/etc", "mkinitcpio.conf booster.yaml", wr_mask_initramfs),
	ABOUT("/etc/initramfs-tools", "*", wr_mask_initramfs),
	ABOUT("/etc/dracut.conf.d", "*", wr_mask_initramfs),
	ABOUT("/etc/mkinitcpio.conf.d", "*", wr_mask_initramfs),
	THERE("/run", "ostree-booted"),
	THERE("/usr/sbin", "update-grub grub-mkconfig grub2-mkconfig grubby proxmox-boot-tool "
	      "update-initramfs dracut"),
	THERE("/usr/bin", "bootc bootctl booster dracut grub-mkconfig grub2-mkconfig grubby "
	      "kernelstub mkinitcpio rpm-ostree"),

	NODE("/dev", "iommu kvm vfio"),
	NODE("/dev/vfio", "*"),
	NODE("/dev/vfio/devices", "*"),
};

struct capture {
	const char *root;
	const struct weir_host_capture_opts *opts;
	char real[PATH_MAX];		/* the root without links */
	struct wr_entries entries;
	struct wr_mask mask;
	struct weir_host_captured told;
	char *missing;			/* a line for each */
	size_t missing_len;
	FILE *notes;
};

/* An opened folder: as it is in the archive, and whether its links are kept. */
struct folder {
	char path[PATH_MAX];
	int fd;
	bool links;
};

static int no_memory(void)
{
	return wr_fail(-ENOMEM, "no memory for what is captured");
}

/* Left out, and said so; what vanished meanwhile, or a driver doesn't answer, isn't worth that. */
static int leave_out(struct capture *c, const char *path, int err)
{
	char *name = wr_mask_path(&c->mask, strdup(path));

	if (!name)
		return no_memory();
	/* A name may have been given by who wants the list to say something else. */
	for (char *at = name; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	if (err != -ENOENT && err != -ENODEV && err != -ENXIO && err != -ESRCH) {
		fprintf(c->notes, "missing %s: %s\n", name, strerror(-err));
		c->told.unreadable++;
		wr_log(WEIR_LOG_INFO, "%s is left out: %s", path, strerror(-err));
	}
	free(name);
	return 0;
}

static int add(struct capture *c, const char *path, char *data, size_t len)
{
	char *name = wr_mask_path(&c->mask, strdup(path + 1));

	if (name && !wr_unpack_takes(name, NULL)) {
		free(name);
		free(data);
		return leave_out(c, path, -EINVAL);
	}
	c->told.files += !!data;
	return wr_entries_add(&c->entries, (struct wr_captured){ name, NULL, data, len });
}

static int add_empty(struct capture *c, const char *path)
{
	char *data = strdup("");

	return data ? add(c, path, data, 0) : no_memory();
}

/* One processor of many; and of the last paragraph, which is the machine's on POWER, its kind. */
static void keep_first(char *text, size_t *len)
{
	char *end = strstr(text, "\n\n"), *platform = end ? strstr(end, "\nplatform\t") : NULL;
	size_t n;

	if (!end)
		return;
	*++end = '\0';
	if (platform) {
		n = strcspn(platform + 1, "\n");
		memmove(end, platform + 1, n);
		end[n] = '\n';
		end[n + 1] = '\0';
	}
	*len = strlen(text);
}

/* Lines about devices, IOMMUs and memory for them; of all that kernels and distributions say. */
static void keep_about(char *text, size_t *len)
{
	static const char *const words[] = { "vfio", "iommu", "dmar", "amd-vi", "smmu", "remap",
					     "pci", "hugepage", "memlock", "x2apic", "lockdown",
					     "d3cold", "kvm", "firmware bug" };
	char *to = text, *left = text, *line;

	while (left && *left) {
		bool about = false;

		line = strsep(&left, "\n");
		for (size_t i = 0; !about && i < sizeof(words) / sizeof(words[0]); i++)
			about = strcasestr(line, words[i]);
		if (about) {
			size_t n = strlen(line);

			memmove(to, line, n);
			to += n;
			*to++ = '\n';
		}
	}
	*to = '\0';
	*len = (size_t)(to - text);
}

static int take_text(struct capture *c, const struct pattern *p, const char *path, int fd)
{
	char *data;
	size_t len;
	int ret = wr_read_all(fd, FILE_MAX, &data, &len);

	if (ret < 0) {
		free(data);
		return ret == -ENOMEM ? no_memory() : leave_out(c, path, ret);
	}
	/* Between arguments stand NULs. */
	for (size_t i = 0; p->kind == KIND_VMM && i < len; i++)
		data[i] = data[i] ? data[i] : ' ';
	if (p->kind == KIND_ABOUT)
		keep_about(data, &len);
	if (p->kind == KIND_FIRST)
		keep_first(data, &len);
	data = wr_mask_text(&c->mask, p->mask, data, &len);
	return data ? add(c, path, data, len) : no_memory();
}

static bool says(int folder, const char *path, const char *word)
{
	char text[32] = "";
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return !strncmp(text, word, strlen(word));
}

/* To reach a function the kernel resumes the bridges above it as well. */
static bool is_asleep(const struct folder *folder)
{
	char path[PATH_MAX] = ".";

	for (int up = 0; up < 32; up++) {
		size_t len = strlen(path);
		struct stat st;

		strcpy(path + len, "/power/runtime_status");
		if (up && fstatat(folder->fd, path, &st, 0))
			break;
		if (says(folder->fd, path, "suspend"))	/* suspended, suspending */
			return true;
		strcpy(path + len, "/power_state");
		if (says(folder->fd, path, "D3"))
			return true;
		strcpy(path + len, "/..");
	}
	return false;
}

/* Reading it wakes a function. */
static int take_config(struct capture *c, const struct folder *folder, const char *path, int fd)
{
	char *data;
	size_t len;
	int ret;

	if (!c->opts->wake && is_asleep(folder)) {
		fprintf(c->notes, "asleep %s\n", path);
		c->told.asleep++;
		return 0;
	}
	ret = wr_read_all(fd, CONFIG_MAX, &data, &len);
	if (ret < 0) {
		free(data);
		return ret == -ENOMEM ? no_memory() : leave_out(c, path, ret);
	}
	if (len == CONFIG_CUT) {
		fprintf(c->notes, "cut %s\n", path);
		c->told.cut++;
	}
	wr_mask_config(&c->mask, (uint8_t *)data, len);
	return add(c, path, data, len);
}

static int take_file(struct capture *c, const struct pattern *p, const struct folder *folder,
		     const char *name, const char *path)
{
	int fd, ret;

	if (p->kind == KIND_THERE)
		return add_empty(c, path);
	fd = folder->links ? openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
				    O_NOCTTY | O_CLOEXEC) : wr_root_open(c->root, path, 0);
	if (fd < 0)
		return leave_out(c, path, folder->links ? -errno : fd);
	ret = p->kind == KIND_CONFIG ? take_config(c, folder, path, fd) : take_text(c, p, path, fd);
	close(fd);
	return ret;
}

/* A node: as wr_root_stat() reads it; or a file with what an earlier capture said of one. */
static int take_node(struct capture *c, const struct pattern *p, const struct folder *folder,
		     const char *name, const char *path, const struct stat *st)
{
	static const char bits[] = "rwxrwxrwx";
	char mode[sizeof(bits)], *text;
	int len;

	if (S_ISREG(st->st_mode) && st->st_size)
		return take_file(c, p, folder, name, path);
	if (S_ISDIR(st->st_mode))
		return add(c, path, NULL, 0);
	if (!S_ISCHR(st->st_mode) && !S_ISREG(st->st_mode))
		return 0;
	for (int i = 0; i < 9; i++)
		mode[i] = (char)(st->st_mode & 0400 >> i ? bits[i] : '-');
	mode[9] = '\0';
	len = asprintf(&text, "%c%s %u:%u %u:%u\n", S_ISCHR(st->st_mode) ? 'c' : '-', mode,
		       st->st_uid, st->st_gid, major(st->st_rdev), minor(st->st_rdev));
	return len < 0 ? no_memory() : add(c, path, text, (size_t)len);
}

/* Where a link leads, seen from the root; only forms that unpack.c takes. */
static int resolve(const char *folder, const char *target, char path[PATH_MAX])
{
	size_t len = strlen(folder);

	if (*target == '/' || len + strlen(target) + 2 > PATH_MAX)
		return -EXDEV;
	memcpy(path, folder, len + 1);
	for (; !strncmp(target, "..", 2) && (!target[2] || target[2] == '/');
	     target += target[2] ? 3 : 2) {
		char *slash = strrchr(path, '/');

		if (!slash)
			return -EXDEV;
		*slash = '\0';
	}
	if (!*target)
		return 0;
	strcat(path, "/");
	strcat(path, target);
	return strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../") ? -EXDEV : 0;
}

static int take_link(struct capture *c, const struct folder *folder, const char *name,
		     const char *path)
{
	char target[PATH_MAX], resolved[PATH_MAX], *kept;
	ssize_t len = readlinkat(folder->fd, name, target, sizeof(target) - 1);
	int ret;

	if (len < 0)
		return leave_out(c, path, -errno);
	target[len] = '\0';
	ret = wr_unpack_takes(path + 1, target) ? resolve(folder->path, target, resolved) : -EXDEV;
	if (ret < 0)
		return leave_out(c, path, ret);
	kept = wr_mask_path(&c->mask, strdup(target));
	if (!kept)
		return no_memory();
	return wr_entries_add(&c->entries, (struct wr_captured){
		.path = wr_mask_path(&c->mask, strdup(path + 1)), .target = kept });
}

/* The one node that is read. */
static bool is_log(const struct pattern *p)
{
	return !strcmp(p->folder, "/dev") && p->kind == KIND_ABOUT;
}

static int take(struct capture *c, const struct pattern *p, const struct folder *folder,
		const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int ret;

	if (snprintf(path, sizeof(path), "%s/%s", folder->path, name) >= (int)sizeof(path))
		return leave_out(c, folder->path, -ENAMETOOLONG);
	if (folder->links)
		ret = fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
	else
		ret = wr_root_stat(c->root, path, &st);
	if (ret < 0)
		return leave_out(c, path, ret);
	if (p->kind == KIND_NODE)
		return take_node(c, p, folder, name, path, &st);
	if (S_ISLNK(st.st_mode))
		return take_link(c, folder, name, path);
	if (S_ISDIR(st.st_mode))
		return add(c, path, NULL, 0);
	if (!S_ISREG(st.st_mode) && !(is_log(p) && S_ISCHR(st.st_mode)))
		return 0;
	return take_file(c, p, folder, name, path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The entries of a folder that match, sorted: they lie in any order, and numbers depend on it. */
static int list(struct capture *c, const struct folder *folder, const char *pattern, char ***names)
{
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n;

	*names = NULL;
	if (fd < 0)
		return leave_out(c, folder->path, -errno);
	n = wr_read_names(fd, pattern, names);
	if (n > 0)
		qsort(*names, (size_t)n, sizeof(**names), by_name);
	return n < 0 ? no_memory() : n;
}

/* A process that has a device by VFIO as an argument, or libvirt's daemon. */
static bool is_vmm(const struct folder *folder)
{
	bool is = says(folder->fd, "comm", "virtqemud") || says(folder->fd, "comm", "libvirtd");
	char *args;
	size_t len;
	int fd;

	fd = is ? -1 : openat(folder->fd, "cmdline",
			      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return is;
	if (!wr_read_all(fd, FILE_MAX, &args, &len))
		is = memmem(args, len, "vfio", 4);
	free(args);
	close(fd);
	return is;
}

static int take_names(struct capture *c, const struct pattern *p, const struct folder *folder)
{
	char words[1024], *left = words, *word, **names = NULL;
	int ret;

	if (p->kind == KIND_VMM && !is_vmm(folder))
		return 0;
	ret = add(c, folder->path, NULL, 0);
	strcpy(words, p->names);
	while (ret >= 0 && (word = strsep(&left, " "))) {
		int n;

		if (!strpbrk(word, "*?[")) {
			ret = take(c, p, folder, word);
			continue;
		}
		n = list(c, folder, word, &names);
		if (n < 0)
			return n;
		for (int i = 0; ret >= 0 && i < n; i++)
			ret = take(c, p, folder, names[i]);
		wr_names_free(names, n);
	}
	return ret;
}

/*
 * A folder by its path. In sysfs its links are in the archive, too, so it must lie where its path
 * says: else they would lead elsewhere when it is read.
 */
static int open_folder(struct capture *c, const char *path, struct folder *folder)
{
	char proc[32], real[PATH_MAX];
	ssize_t len;

	folder->links = !strncmp(path, "/sys", 4);
	strcpy(folder->path, path);
	folder->fd = wr_root_open(c->root, path, O_DIRECTORY);
	if (folder->fd < 0)
		return folder->fd == -ENOTDIR ? -ENOENT : folder->fd;
	if (!folder->links)
		return 0;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", folder->fd);
	len = readlink(proc, real, sizeof(real) - 1);
	real[len < 0 ? 0 : len] = '\0';
	if (!strncmp(real, c->real, strlen(c->real)) && !strcmp(real + strlen(c->real), path))
		return 0;
	close(folder->fd);
	return -EXDEV;
}

static int walk(struct capture *c, const struct pattern *p, const char *path, const char *rest);

/* One entry on the way: a folder, or a link to one. */
static int step(struct capture *c, const struct pattern *p, const struct folder *folder,
		const char *name, const char *rest)
{
	char path[PATH_MAX], target[PATH_MAX], next[PATH_MAX];
	ssize_t len;
	int ret;

	if (snprintf(path, sizeof(path), "%s/%s", folder->path, name) >= (int)sizeof(path))
		return leave_out(c, folder->path, -ENAMETOOLONG);
	len = folder->links ? readlinkat(folder->fd, name, target, sizeof(target) - 1) : -1;
	if (len < 0)
		return walk(c, p, path, rest);
	target[len] = '\0';
	ret = take_link(c, folder, name, path);
	if (!ret && !resolve(folder->path, target, next))
		ret = walk(c, p, next, rest);
	return ret;
}

/* Go on from a folder along the @rest of a pattern. */
static int walk(struct capture *c, const struct pattern *p, const char *path, const char *rest)
{
	struct folder folder;
	char word[64], **names = NULL;
	size_t len;
	int ret, n;

	ret = open_folder(c, path, &folder);
	if (ret < 0)
		return leave_out(c, path, ret);
	rest += *rest == '/';
	len = strcspn(rest, "/");
	snprintf(word, sizeof(word), "%.*s", (int)len, rest);
	if (!len) {
		ret = take_names(c, p, &folder);
	} else if (!strpbrk(word, "*?[")) {
		ret = step(c, p, &folder, word, rest + len);
	} else {
		n = list(c, &folder, word, &names);
		ret = n < 0 ? n : 0;
		for (int i = 0; ret >= 0 && i < n; i++)
			ret = step(c, p, &folder, names[i], rest + len);
		if (n >= 0)
			wr_names_free(names, n);
	}
	close(folder.fd);
	return ret;
}

static int take_pattern(struct capture *c, const struct pattern *p)
{
	char top[16];
	size_t len = 1 + strcspn(p->folder + 1, "/");

	snprintf(top, sizeof(top), "%.*s", (int)len, p->folder);
	return walk(c, p, top, p->folder + len);
}

static int add_notes(struct capture *c)
{
	char *text;
	int len;

	if (fclose(c->notes)) {
		c->notes = NULL;
		return no_memory();
	}
	c->notes = NULL;
	len = asprintf(&text, "weir capture 1\nmasked %s\n%s", c->opts->unmasked ? "no" : "yes",
		       c->missing);
	return len < 0 ? no_memory() : add(c, "/weir-capture", text, (size_t)len);
}

static int take_all(struct capture *c)
{
	int ret = 0;

	c->notes = open_memstream(&c->missing, &c->missing_len);
	if (!c->notes)
		return no_memory();
	for (size_t i = 0; !ret && i < sizeof(patterns) / sizeof(patterns[0]); i++)
		ret = take_pattern(c, &patterns[i]);
	if (!ret)
		ret = add_notes(c);
	if (!ret && c->mask.failed)
		ret = no_memory();
	return ret;
}

static int check_root(struct capture *c)
{
	struct wr_scan scan;
	mode_t type;
	int ret;

	if (*c->root) {
		ret = wr_root_type(c->root, &type);
		if (ret < 0)
			return ret;
		if (type == S_IFREG)
			return wr_fail(-ENOTDIR, "%s is a file; a capture is made of a machine, or "
				       "of the folder in which its sys/ lies", c->root);
		if (!realpath(c->root, c->real))
			return wr_fail(-errno, "%s can't be reached: %s", c->root, strerror(errno));
		if (!strcmp(c->real, "/"))
			c->real[0] = '\0';
	}
	ret = wr_open_bus(&scan, c->root, c->root);
	if (!ret)
		wr_scan_close(&scan);
	return ret;
}

static int check(struct capture *c, const char *file)
{
	if (!wr_sys->access(file) && !c->opts->force)
		return wr_fail(-EEXIST, "%s is there already; --force replaces it", file);
	return check_root(c);
}

int weir_host_capture(const char *root, const char *file, const struct weir_host_capture_opts *opts,
		      struct weir_host_captured *out)
{
	static const struct weir_host_capture_opts none;
	struct capture c = { .root = root ? root : "", .opts = opts ? opts : &none };
	int ret = WR_RESERVED(c.opts, "weir_host_capture_opts");

	if (!ret)
		ret = check(&c, file);
	if (ret < 0)
		return ret;
	c.mask.off = c.opts->unmasked;
	ret = take_all(&c);
	if (!ret)
		ret = wr_entries_write(&c.entries, file, c.opts);
	if (!ret && out)
		*out = c.told;
	if (c.notes)
		fclose(c.notes);
	free(c.missing);
	wr_mask_free(&c.mask);
	wr_entries_free(&c.entries);
	return ret;
}
