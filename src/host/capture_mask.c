/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include <weir/device.h>

#include "host/capture.h"
#include "host/grub.h"

#define CAP_VPD		0x03
#define CAP_SERIAL	0x0003	/* extended */

/*
 * What may be told of the kernel's command line and modprobe's options: the parameters that have to
 * do with devices, IOMMUs, memory, consoles and processors. Of others only that they are there.
 * A '-' is a '_' here, as it is to the kernel (parameq() in kernel/params.c).
 */
static const char *const told[] = {
	"acpi*", "amd_iommu*", "amdgpu.*", "apic", "arm_smmu*", "bochs.*", "cma", "console",
	"default_hugepagesz", "disable_ddw", "disable_mtrr*", "drm.*", "earlycon", "efifb",
	"fbcon*", "huge*", "i915.*", "init_on_*", "initcall_blacklist", "intel_*", "intremap",
	"iomem", "iommu", "iommu.*", "iommufd.*", "irqaffinity", "isolcpus", "kvm*", "lockdown",
	"loglevel", "mem", "memmap", "mitigations", "module_blacklist", "modprobe.*", "movablecore",
	"nohz_full", "nouveau.*", "nvidia*", "nvme*", "panic", "pci", "pci_stub.*", "pcie*",
	"preempt", "qat_*", "radeon.*", "rcu_nocbs", "rd.driver.*", "security", "snd*", "swiotlb",
	"systemd.show_status", "thunderbolt.*", "transparent_hugepage", "tsc", "vfio*", "vga",
	"video", "virtio*", "xe.*", "xen_pciback.*",
};

#define MET_MAX 4096	/* behind them all are alike */

/* The how manieth it is, from 1 on. */
static size_t number_of_key(struct wr_mask *mask, const char key[WR_MASK_KEY])
{
	void *more;

	for (size_t i = 0; i < mask->n; i++)
		if (!strcmp(mask->met[i], key))
			return i + 1;
	if (mask->n == MET_MAX)
		return 0;
	more = reallocarray(mask->met, mask->n + 1, sizeof(*mask->met));
	if (!more) {
		mask->failed = true;
		return 0;
	}
	mask->met = more;
	memcpy(mask->met[mask->n++], key, sizeof(*mask->met));
	return mask->n;
}

static size_t number_of(struct wr_mask *mask, const char *text, size_t len)
{
	char key[WR_MASK_KEY] = "";
	size_t digits = 0;

	/* The digits alone: in an interface's name an address has nothing between them. */
	for (size_t i = 0; i < len && digits < sizeof(key) - 1; i++)
		if (isxdigit((unsigned char)text[i]))
			key[digits++] = (char)tolower((unsigned char)text[i]);
	return number_of_key(mask, key);
}

/* Put a number in the place of the hexadecimal digits of @text, whatever stands between them. */
static void replace(char *text, size_t len, size_t number)
{
	while (len--)
		if (isxdigit((unsigned char)text[len])) {
			text[len] = "0123456789abcdef"[number & 15];
			number >>= 4;
		}
}

/* The length of groups of digits with @between after each, such as "2222 22" for a UUID; or 0. */
static size_t groups(const char *text, const int *digits, size_t n, char between)
{
	const char *c = text;

	for (size_t i = 0; i < n; i++) {
		for (int d = 0; d < digits[i]; d++)
			if (!isxdigit((unsigned char)*c++))
				return 0;
		if (i + 1 < n && *c++ != between)
			return 0;
	}
	return isxdigit((unsigned char)*c) ? 0 : (size_t)(c - text);
}

static size_t secret(const char *text)
{
	static const int uuid[] = { 8, 4, 4, 4, 12 }, mac[] = { 2, 2, 2, 2, 2, 2 };
	static const int name[] = { 12 };
	size_t len = groups(text, uuid, 5, '-');

	if (!len)
		len = groups(text, mac, 6, ':');
	if (!len)
		len = groups(text, mac, 6, '-');
	return len ? len : groups(text, name, 1, 0);
}

/*
 * MAC addresses and UUIDs wherever they stand. MAC addresses are also in the names of interfaces
 * (enx0123456789ab, wlx...: systemd.net-naming-scheme(7)).
 */
static void mask_forms(struct wr_mask *mask, char *text)
{
	for (char *c = text; *c; c++) {
		bool named = c - text >= 3 && c[-1] == 'x' && (!strncmp(c - 3, "enx", 3) ||
							       !strncmp(c - 3, "wlx", 3));
		size_t len;

		if (!isxdigit((unsigned char)*c) || (c > text && isalnum((unsigned char)c[-1]) &&
						     !named))
			continue;
		len = secret(c);
		/* Twelve digits are an address in such a name alone. */
		if (!len || (len == 12 && !named))
			continue;
		replace(c, len, number_of(mask, c, len));
		c += len - 1;
	}
}

char *wr_mask_text(struct wr_mask *mask, wr_mask_line line, char *text, size_t *len)
{
	char *result = NULL, *left = text, *one;
	FILE *out;

	if (mask->off)
		return text;
	if (line) {
		out = open_memstream(&result, len);
		while (out && left && *left) {
			one = strsep(&left, "\n");
			mask_forms(mask, one);
			line(mask, one, out);
		}
		if (!out || fclose(out)) {
			free(result);
			result = NULL;
		}
		free(text);
		return result;
	}
	mask_forms(mask, text);
	return text;
}

char *wr_mask_path(struct wr_mask *mask, char *path)
{
	if (path && !mask->off)
		mask_forms(mask, path);
	return path;
}

/* A parameter of the kernel's, or of a module unless that is "". */
static bool is_told(const char *module, const char *word, size_t len)
{
	char key[64];

	if (snprintf(key, sizeof(key), "%s%s%.*s", module, *module ? "." : "", (int)len, word) >=
	    (int)sizeof(key))
		return false;
	for (char *c = key; *c; c++)
		*c = (char)(*c == '-' ? '_' : *c);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (!fnmatch(told[i], key, 0))
			return true;
	return false;
}

/* Blanks between quotes are part of a word (next_arg() in lib/cmdline.c). */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, " \t"), *end;
	bool quoted = false;

	for (end = word; *end && (quoted || (*end != ' ' && *end != '\t')); end++)
		quoted ^= *end == '"';
	*line = end + !!*end;
	*end = '\0';
	return *word ? word : NULL;
}

static void mask_words(char *line, const char *module, FILE *out)
{
	const char *between = "";
	char *word;

	while ((word = next_word(&line))) {
		bool quoted = *word == '"';
		size_t len;

		word += quoted;
		len = strcspn(word, "=");
		/* What follows is for init. */
		if (!strcmp(word, "--"))
			break;
		fputs(between, out);
		if (!quoted && (word[len] ? is_told(module, word, len) : !strchr(word, '"')))
			fputs(word, out);
		else if (!word[len])
			fputs("masked", out);
		else
			fprintf(out, "%.*s=masked", (int)len, word);
		between = " ";
	}
}

void wr_mask_cmdline(struct wr_mask *mask, char *line, FILE *out)
{
	(void)mask;
	mask_words(line, "", out);
	fputc('\n', out);
}

/* What -device names, as QEMU has it in either of its forms. */
static bool is_device(const char *word)
{
	static const char *const kinds[] = { "vfio-pci", "intel-iommu", "amd-iommu",
					     "virtio-iommu", "arm-smmuv3" };
	static const char json[] = "{\"driver\":\"";

	if (!strncmp(word, json, sizeof(json) - 1))
		word += sizeof(json) - 1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(word, kinds[i], strlen(kinds[i])))
			return true;
	return false;
}

/* But files, of which those of ROMs lie in users' folders. */
static void put_argument(const char *word, FILE *out)
{
	for (const char *c = word; *c; c++) {
		bool begins = c == word || strchr("=\":", c[-1]);

		if (*c != '/' || !begins || !strncmp(c, "/sys/", 5) || !strncmp(c, "/dev/", 5)) {
			fputc(*c, out);
			continue;
		}
		fputs("/masked", out);
		c += strcspn(c, ",\"") - 1;
	}
}

/*
 * What a process was started with, as blanks have come to stand between the words: of a VMM its
 * devices, its IOMMU and how much memory it has.
 */
void wr_mask_args(struct wr_mask *mask, char *line, FILE *out)
{
	const char *before = "", *between = "";
	char *word;

	(void)mask;
	while ((word = strsep(&line, " "))) {
		fputs(between, out);
		if (word[0] == '-' && word[1] && !strchr(word, '='))
			fputs(word, out);
		else if (is_device(word) || !strcmp(before, "-m") || !strcmp(before, "-M") ||
			 !strcmp(before, "-machine") || !strcmp(before, "-accel"))
			put_argument(word, out);
		else
			fputs("masked", out);
		between = " ";
		before = word;
	}
	fputc('\n', out);
}

static bool has_command_line(const char *line)
{
	return strcasestr(line, "command line") || strcasestr(line, "cmdline");
}

/* The length of an IPv4 address; 0: there is none. */
static size_t quad(const char *text)
{
	const char *c = text;

	for (int i = 0; i < 4; i++) {
		size_t digits = strspn(c, "0123456789");

		if (!digits || digits > 3 || (i < 3 && c[digits] != '.'))
			return 0;
		c += digits + (i < 3);
	}
	return *c == '.' && isdigit((unsigned char)c[1]) ? 0 : (size_t)(c - text);
}

/* In the place of each stands one that is nobody's (RFC 5737). */
static void put_quads(const char *text, FILE *out)
{
	for (const char *c = text; *c; c++) {
		bool begins = c == text || !(isalnum((unsigned char)c[-1]) || c[-1] == '.');
		size_t len = begins ? quad(c) : 0;

		if (len)
			fputs("192.0.2.0", out);
		else
			fputc(*c, out);
		c += len ? len - 1 : 0;
	}
	fputc('\n', out);
}

/*
 * /dev/kmsg: "PRIORITY,...;TEXT", then lines that begin with a blank and name the device
 * (kernel/printk/printk.c). What programs said, the facility tells, which can't be 0 for them;
 * command lines, audit's records of what programs did, and servers' names stand among the kernel's
 * own.
 */
void wr_mask_log(struct wr_mask *mask, char *line, FILE *out)
{
	unsigned long priority;
	char *end;

	(void)mask;
	priority = strtoul(line, &end, 10);
	if (*line != ' ' && (!isdigit((unsigned char)*line) || *end != ',' || priority >> 3))
		return;
	if (!has_command_line(line) && !strcasestr(line, "audit") && !strcasestr(line, "server "))
		put_quads(line, out);
}

/* Of what an initramfs is made by. */
void wr_mask_initramfs(struct wr_mask *mask, char *line, FILE *out)
{
	(void)mask;
	if (!has_command_line(line))
		fprintf(out, "%s\n", line);
}

/*
 * GRUB_CMDLINE_LINUX="…" and its like; other lines have passwords in them. Of what is more than an
 * assignment it is told that it is there: then the options aren't sure.
 */
void wr_mask_grub(struct wr_mask *mask, char *line, FILE *out)
{
	struct wr_grub_line said;
	char quote[2] = "";

	(void)mask;
	if (wr_grub_line(line, &said) == WR_GRUB_SCRIPT) {
		fputs("masked\n", out);
		return;
	}
	if (!said.name || strncmp(said.name, "GRUB_CMDLINE_", 13))
		return;
	quote[0] = said.quote;
	fprintf(out, "%s=%s", said.name, quote);
	mask_words(said.value, "", out);
	if (said.after) {
		fprintf(out, "%s${%s} ", *said.value ? " " : "", said.name);
		mask_words(said.after, "", out);
	}
	fprintf(out, "%s\n", quote);
}

/* Where the kernel lies is what its randomization hides. */
void wr_mask_iomem(struct wr_mask *mask, char *line, FILE *out)
{
	(void)mask;
	if (!strstr(line, " : Kernel "))
		fprintf(out, "%s\n", line);
}

static void mask_options(char *options, FILE *out)
{
	const char *module = next_word(&options);

	if (!module)
		return;
	fprintf(out, "options %s ", module);
	mask_words(options, module, out);
	fputc('\n', out);
}

/* Options may have addresses in them; commands that a module's loading runs may be anything. */
void wr_mask_modprobe(struct wr_mask *mask, char *line, FILE *out)
{
	static const char *const kept[] = { "softdep ", "blacklist ", "alias " };
	static const char *const cut[] = { "install ", "remove " };

	(void)mask;
	if (!strncmp(line, "options ", 8))
		mask_options(line + 8, out);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (!strncmp(line, kept[i], strlen(kept[i])))
			fprintf(out, "%s\n", line);
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		const char *module = line + strlen(cut[i]), *command;
		int len;

		if (strncmp(line, cut[i], strlen(cut[i])))
			continue;
		module += strspn(module, " \t");
		len = (int)strcspn(module, " \t");
		command = module + len + strspn(module + len, " \t");
		fprintf(out, "%s%.*s %s\n", cut[i], len, module,
			!strcmp(command, "/bin/false") || !strcmp(command, "/bin/true") ?
			command : "masked");
	}
}

/* The last but one word is an address (print_modules() in kernel/module/procfs.c). */
void wr_mask_modules(struct wr_mask *mask, char *line, FILE *out)
{
	char *address = strstr(line, " 0x");

	(void)mask;
	for (char *c = address ? address + 3 : NULL; c && isxdigit((unsigned char)*c); c++)
		*c = '0';
	fprintf(out, "%s\n", line);
}

/*
 * A volume of the device mapper's. Volume groups are named after hosts, by installers already; one
 * that is named after its UUID is masked.
 */
static void put_volume(struct wr_mask *mask, const char *name, FILE *out)
{
	char key[WR_MASK_KEY];

	if (!strncmp(name, "luks-", 5) && secret(name + 5) == strlen(name + 5)) {
		fputs(name, out);
		return;
	}
	snprintf(key, sizeof(key), "/%s", name);
	fprintf(out, "volume-%zu", number_of_key(mask, key));
}

void wr_mask_volume(struct wr_mask *mask, char *line, FILE *out)
{
	put_volume(mask, line, out);
	fputc('\n', out);
}

#define MAPPER "/dev/mapper/"

/* What is mounted, or swap; below /dev/disk and /dev/md names have serial numbers and hosts. */
static void put_source(struct wr_mask *mask, const char *source, FILE *out)
{
	if (!strncmp(source, MAPPER, strlen(MAPPER))) {
		fputs(MAPPER, out);
		put_volume(mask, source + strlen(MAPPER), out);
	} else if (!strncmp(source, "/dev/", 5) ?
		   !strncmp(source, "/dev/disk/", 10) || !strncmp(source, "/dev/md/", 8) :
		   !!strpbrk(source, "/:@.")) {
		fputs(*source == '/' ? "/masked" : "masked", out);
	} else {
		fputs(source, out);
	}
}

/* Of folders that users choose, the first. */
static const char *masked_folder(const char *path, char buf[64])
{
	static const char *const kept[] = { "boot", "dev", "etc", "opt", "proc", "sys", "tmp",
					    "usr" };
	size_t len = strcspn(path + 1, "/");

	if (!path[len + 1] || len > 40)
		return len > 40 ? "/masked" : path;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strlen(kept[i]) == len && !strncmp(path + 1, kept[i], len))
			return path;
	snprintf(buf, 64, "%.*s/masked", (int)len + 1, path);
	return buf;
}

/*
 * Documentation/filesystems/proc.rst, 3.5: numbers, root and folder; options; "-"; type, source and
 * the file system's own options, which have servers, users and passwords in them.
 */
void wr_mask_mounts(struct wr_mask *mask, char *line, FILE *out)
{
	char *words[6], *rest = line, *type, *source, *tail, buf[64];

	for (size_t i = 0; i < 6; i++)
		words[i] = strsep(&rest, " ");
	tail = rest ? strstr(rest, "- ") : NULL;
	if (!tail || words[4][0] != '/')
		return;
	*tail = '\0';
	tail += 2;
	type = strsep(&tail, " ");
	source = strsep(&tail, " ");
	if (!source || !tail)
		return;
	fprintf(out, "%s %s %s %s %s %s %s- %s ", words[0], words[1], words[2],
		strcmp(words[3], "/") ? "/masked" : "/", masked_folder(words[4], buf), words[5],
		rest, type);
	put_source(mask, source, out);
	fprintf(out, " %.2s\n", tail);
}

void wr_mask_swaps(struct wr_mask *mask, char *line, FILE *out)
{
	size_t len = strcspn(line, " \t");
	char *rest = line[len] ? line + len + 1 : line + len, between = line[len];

	line[len] = '\0';
	put_source(mask, line, out);
	if (between)
		fprintf(out, "%c%s", between, rest);
	fputc('\n', out);
}

/*
 * Destination and gateway, of which only that they are zero is told; net/ipv4/fib_trie.c prints
 * them as they lie in memory. In their place stands a network that is nobody's (RFC 5737).
 */
void wr_mask_route(struct wr_mask *mask, char *line, FILE *out)
{
	char *word;

	(void)mask;
	for (int i = 0; (word = strsep(&line, "\t")); i++)
		fprintf(out, "%s%s", i ? "\t" : "",
			(i == 1 || i == 2) && strlen(word) == 8 && strspn(word, "0") != 8 &&
			strspn(word, "0123456789ABCDEF") == 8 ? "000200C0" : word);
	fputc('\n', out);
}

/*
 * The same (RFC 3849) of /proc/net/ipv6_route and if_inet6 (net/ipv6/route.c, addrconf.c), where
 * it also matters whether an address is of link scope.
 */
void wr_mask_route6(struct wr_mask *mask, char *line, FILE *out)
{
	const char *between = "";
	char *word;

	(void)mask;
	while ((word = strsep(&line, " "))) {
		if (strlen(word) != 32 || strspn(word, "0") == 32)
			fprintf(out, "%s%s", between, word);
		else
			fprintf(out, "%s%s%024d", between,
				strncmp(word, "fe80", 4) ? "20010db8" : "fe800000", 1);
		between = " ";
	}
	fputc('\n', out);
}

/* "Linux version RELEASE (USER@HOST) (COMPILER) VERSION" (init/version-timestamp.c) */
void wr_mask_version(struct wr_mask *mask, char *line, FILE *out)
{
	char *builder = strchr(line, '('), *end = builder ? strchr(builder, ')') : NULL;

	(void)mask;
	if (!end || !memchr(builder, '@', (size_t)(end - builder)))
		fprintf(out, "%s\n", line);
	else
		fprintf(out, "%.*s(masked@masked%s\n", (int)(builder - line), line, end);
}

struct bytes {
	const uint8_t *data;
	size_t len;
};

static int read_bytes(void *arg, unsigned int offset, void *buf, unsigned int len)
{
	const struct bytes *bytes = arg;

	if (offset + len > bytes->len)
		return -EIO;
	memcpy(buf, bytes->data + offset, len);
	return 0;
}

static void wipe(uint8_t *config, size_t len, size_t first, size_t n)
{
	for (size_t i = first; i < first + n && i < len; i++)
		config[i] = 0;
}

void wr_mask_config(struct wr_mask *mask, uint8_t *config, size_t len)
{
	struct bytes bytes = { config, len };
	struct weir_cap caps[1024];	/* more than have room */
	int n;

	if (mask->off)
		return;
	n = weir_config_walk(read_bytes, &bytes, (unsigned int)len, caps,
			     sizeof(caps) / sizeof(caps[0]));
	for (int i = 0; i < n && i < (int)(sizeof(caps) / sizeof(caps[0])); i++) {
		if (caps[i].extended && caps[i].id == CAP_SERIAL)
			wipe(config, len, caps[i].offset + 4U, 8);
		if (!caps[i].extended && caps[i].id == CAP_VPD)
			wipe(config, len, caps[i].offset + 4U, 4);
	}
}

void wr_mask_free(struct wr_mask *mask)
{
	free(mask->met);
}
