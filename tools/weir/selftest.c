/* SPDX-License-Identifier: MIT */
/*
 * weir selftest: does this device work here, end to end, and is it held back where it should be?
 *
 * JSON: {"device": "soft:edu", "backend": "soft", "window": null, or what was made (window.h),
 *	  "steps": [{"name": "open", "result": "pass" | "fail" | "impossible", "why": text}]}
 *
 * "impossible" is what can't be tried with this device on this machine; all else passes or fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weir/host.h>
#include <weir/weir.h>

#include "drivers/edu/edu.h"
#include "options.h"
#include "out.h"
#include "weir.h"
#include "window.h"

enum result { PASS, FAIL, IMPOSSIBLE };

struct test {
	const char *name;
	bool soft, unsafe_noiommu;
	size_t page;
	unsigned int seed;		/* of the last pattern */
	struct weir_host_function host;	/* what sysfs says of it, unless soft */
	struct weir_iommu *iommu;
	struct weir_device *dev;
	struct weir_ioas *as;
	bool isolated;			/* the device reaches only what is mapped */
	struct weir_window_opts asked;	/* a window that is to be made, unless its pages are 0 */
	struct weir_window window;	/* and was */
	struct weir_device_info info;
	struct edu *edu;		/* NULL: there is no sample driver for it */
	struct weir_mem *out, *in;	/* a page each, a huge one where it must be */
	char why[512];
};

static enum result because(struct test *t, enum result result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum result because(struct test *t, enum result result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
	return result;
}

static enum result failed(struct test *t)
{
	return because(t, FAIL, "%s", weir_errmsg());
}

/* The driver isn't part of libweir and leaves no message of its own. */
static enum result driver_failed(struct test *t, const char *what, int err)
{
	return because(t, FAIL, "%s: %s", what, strerror(-err));
}

static enum result no_driver(struct test *t)
{
	return because(t, IMPOSSIBLE, "weir has no sample driver for %04x:%04x", t->info.vendor,
		       t->info.device);
}

/* Another pattern at each call, so that nothing left over from before passes for it. */
static void fill(struct test *t, void *buf, size_t len)
{
	uint32_t x = ++t->seed * 2654435761u;
	unsigned char *p = buf;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = (unsigned char)x;
	}
}

static size_t transfer_size(const struct test *t)
{
	return t->page < EDU_BUFFER_SIZE ? t->page : EDU_BUFFER_SIZE;
}

/* ---- the steps ---- */

static enum result step_open(struct test *t)
{
	return because(t, PASS, "by %s", t->info.backend);
}

static enum result step_identity(struct test *t)
{
	const struct weir_device_info *info = &t->info;

	if (!t->soft && (info->vendor != t->host.vendor || info->device != t->host.device ||
			 info->class_code != t->host.class_code))
		return because(t, FAIL, "config space says %04x:%04x class %06x, sysfs %04x:%04x "
			       "class %06x", info->vendor, info->device, info->class_code,
			       t->host.vendor, t->host.device, t->host.class_code);
	return because(t, PASS, "%04x:%04x, class %06x, revision %02x", info->vendor, info->device,
		       info->class_code, info->revision);
}

static enum result step_regions(struct test *t)
{
	size_t len = 0;

	t->why[0] = '\0';
	for (unsigned int region = WEIR_REGION_BAR0; region <= WEIR_REGION_BAR5; region++) {
		struct weir_region_info info;
		char size[SIZE_TEXT_MAX];
		struct weir_bar *bar;
		bool mapped;

		if (weir_region_info(t->dev, region, &info))
			return failed(t);
		if (!info.size)
			continue;
		if (weir_bar_open(t->dev, region, WEIR_BAR_AUTO, &bar))
			return failed(t);
		mapped = bar->map;
		if (weir_bar_close(bar))
			return failed(t);
		len += (size_t)snprintf(t->why + len, sizeof(t->why) - len, "%sBAR %u: %s, %s",
					len ? "; " : "", region, size_text(info.size, size),
					mapped ? "mapped" : "by calls");
	}
	return len ? PASS : because(t, FAIL, "it has no BAR");
}

/* Bus mastering can be switched and is read back; it's off until a driver wants it. */
static enum result step_config(struct test *t)
{
	struct weir_cap caps[64];
	uint16_t command[3];
	int n = weir_config_caps(t->dev, caps, 64);

	if (n < 0)
		return failed(t);
	if (weir_config_read16(t->dev, 0x04, &command[0]) ||
	    weir_device_bus_master(t->dev, true) ||
	    weir_config_read16(t->dev, 0x04, &command[1]) ||
	    weir_device_bus_master(t->dev, false) ||
	    weir_config_read16(t->dev, 0x04, &command[2]))
		return failed(t);
	if (command[0] & 4 || !(command[1] & 4) || command[2] & 4)
		return because(t, FAIL, "bus mastering doesn't follow: command register %04x after "
			       "opening, %04x when on, %04x when off", command[0], command[1],
			       command[2]);
	return because(t, PASS, "%d capabilit%s; bus mastering switches", n,
		       n == 1 ? "y" : "ies");
}

static enum result step_map(struct test *t)
{
	struct weir_map_opts fixed = { .fixed = true };
	weir_iova iova, found;
	void *vaddr;
	size_t len;
	int ret;

	if (weir_mem_alloc(t->as, t->page, NULL, &t->out) ||
	    weir_mem_alloc(t->as, t->page, NULL, &t->in))
		return failed(t);
	iova = weir_mem_iova(t->out);
	if (weir_ioas_to_iova(t->as, weir_mem_ptr(t->out), &found, &len) ||
	    weir_ioas_to_vaddr(t->as, iova, &vaddr, &len))
		return failed(t);
	if (!iova || found != iova || vaddr != weir_mem_ptr(t->out) ||
	    len != weir_mem_len(t->out))
		return because(t, FAIL, "looking up IOVA 0x%" PRIx64 " and its memory answers "
			       "0x%" PRIx64 " and %p", iova, found, vaddr);
	ret = weir_ioas_map(t->as, weir_mem_ptr(t->in), t->page, &fixed, &iova);
	if (ret != -EEXIST)
		return because(t, FAIL, "a second mapping at IOVA 0x%" PRIx64 " isn't refused: %d",
			       iova, ret);
	return because(t, PASS, "2 pages, at IOVA 0x%" PRIx64 " and 0x%" PRIx64,
		       weir_mem_iova(t->out), weir_mem_iova(t->in));
}

static enum result step_dma_out(struct test *t)
{
	size_t len = transfer_size(t);
	int ret;

	fill(t, weir_mem_ptr(t->out), len);
	ret = edu_write(t->edu, weir_mem_ptr(t->out), len, 0);
	if (ret)
		return driver_failed(t, "memory to device", ret);
	return because(t, PASS, "%zu bytes from memory to the device", len);
}

static enum result step_dma_in(struct test *t)
{
	size_t len = transfer_size(t);
	int ret;

	memset(weir_mem_ptr(t->in), 0, len);
	ret = edu_read(t->edu, weir_mem_ptr(t->in), len, 0);
	if (ret)
		return driver_failed(t, "device to memory", ret);
	return because(t, PASS, "%zu bytes from the device to memory", len);
}

static enum result step_verify(struct test *t)
{
	const unsigned char *out = weir_mem_ptr(t->out), *in = weir_mem_ptr(t->in);
	size_t len = transfer_size(t);

	for (size_t i = 0; i < len; i++)
		if (in[i] != out[i])
			return because(t, FAIL, "byte %zu came back as %02x, was sent as %02x", i,
				       in[i], out[i]);
	return because(t, PASS, "what came back is what was sent");
}

static enum result step_interrupt(struct test *t)
{
	uint32_t bits = 0;
	int ret, kind;

	kind = edu_irq_enable(t->edu);
	if (kind < 0)
		return driver_failed(t, "enabling the interrupt", kind);
	ret = edu_irq_raise(t->edu, 0x5a);
	if (!ret)
		ret = edu_irq_wait(t->edu, 5000, &bits);
	edu_irq_disable(t->edu);
	if (ret)
		return driver_failed(t, "waiting for the interrupt", ret);
	if (bits != 0x5a)
		return because(t, FAIL, "the device raised 0x5a, the driver saw 0x%x", bits);
	return because(t, PASS, "%s, through an eventfd", kind == WEIR_IRQ_MSI ? "MSI" : "INTx");
}

/*
 * A page, held in place, and its physical address, which only root may know (pagemap.rst). 0: not
 * to be had.
 */
static uint64_t physical_address(const void *page, size_t page_size)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / page_size * 8)) != 8)
		entry = 0;
	close(fd);
	return entry >> 63 ? (entry & ((1ull << 55) - 1)) * page_size : 0;
}

/* Take all faults from the record, and say whether there is one of the page at @iova. */
static bool fault_seen(struct test *t, weir_iova iova)
{
	struct weir_fault fault;
	bool seen = false;

	while (weir_ioas_faults(t->as, &fault, 1) == 1)
		seen = seen || fault.iova / t->page == iova / t->page;
	return seen;
}

/* Whether any aligned 8 bytes are the same in both: by chance they aren't. */
static bool something_arrived(const void *here, const void *there, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i += 8)
		if (!memcmp((const char *)here + i, (const char *)there + i, 8))
			return true;
	return false;
}

/*
 * Let the device write to and read from @iova, and see that neither reached the memory at @canary.
 * @what is said of the address.
 */
static enum result blocked(struct test *t, weir_iova iova, void *canary, const char *what)
{
	unsigned char before[EDU_BUFFER_SIZE];
	struct weir_ioas_caps caps;
	size_t len = transfer_size(t);
	int ret;

	fill(t, canary, len);
	memcpy(before, canary, len);
	weir_ioas_caps(t->as, &caps);
	fault_seen(t, iova);	/* leaves none of earlier steps */

	/* The device's buffer holds another pattern, which must neither arrive nor be replaced. */
	fill(t, weir_mem_ptr(t->out), len);
	ret = edu_write(t->edu, weir_mem_ptr(t->out), len, 0);
	if (!ret)
		ret = edu_dma(t->edu, iova, 0, len, false);
	if (!ret && memcmp(canary, before, len))
		return because(t, FAIL, "NOT blocked: the device wrote to %s 0x%" PRIx64, what,
			       iova);
	if (!ret)
		ret = edu_dma(t->edu, iova, 0, len, true);
	if (!ret)
		ret = edu_read(t->edu, weir_mem_ptr(t->in), len, 0);
	if (ret)
		return driver_failed(t, "the device's transfer", ret);
	if (something_arrived(weir_mem_ptr(t->in), before, len))
		return because(t, FAIL, "NOT blocked: the device read from %s 0x%" PRIx64, what,
			       iova);
	if (caps.faults && !fault_seen(t, iova))
		return because(t, FAIL, "blocked at %s 0x%" PRIx64 ", but no fault was recorded",
			       what, iova);
	return because(t, PASS, "%s 0x%" PRIx64 " neither written nor read%s", what, iova,
		       caps.faults ? "; fault recorded" : "");
}

/*
 * Without an IOMMU nothing is blocked: let the device write to and read from memory that isn't
 * mapped, at physical address @target, and see that both go through.
 */
static enum result exposed_at(struct test *t, void *memory, weir_iova target)
{
	size_t len = transfer_size(t);
	int ret;

	fill(t, memory, len);
	ret = edu_dma(t->edu, target, 0, len, true);
	if (!ret)
		ret = edu_read(t->edu, weir_mem_ptr(t->in), len, 0);
	if (ret)
		return driver_failed(t, "the device's transfer", ret);
	if (memcmp(weir_mem_ptr(t->in), memory, len))
		return because(t, FAIL, "%s holds nothing back, yet the device didn't read what is "
			       "at physical address 0x%" PRIx64, t->info.backend, target);
	fill(t, weir_mem_ptr(t->out), len);
	ret = edu_write(t->edu, weir_mem_ptr(t->out), len, 0);
	if (!ret)
		ret = edu_dma(t->edu, target, 0, len, false);
	if (ret)
		return driver_failed(t, "the device's transfer", ret);
	if (memcmp(memory, weir_mem_ptr(t->out), len))
		return because(t, FAIL, "%s holds nothing back, yet the device didn't write to "
			       "physical address 0x%" PRIx64, t->info.backend, target);
	return because(t, IMPOSSIBLE, "NOT BLOCKED, there is no IOMMU: the device read and "
		       "overwrote memory that isn't mapped, at physical address 0x%" PRIx64
		       "; it can do so to all of this machine's memory", target);
}

/*
 * The memory is the second half of a huge page: where it is, and that it stays there, is known by
 * the mapping of the first half. @unmapped: it was mapped, until a moment ago.
 */
static enum result exposed(struct test *t, bool unmapped)
{
	const size_t size = 2ul << 20, half = size / 2;
	weir_iova first, second;
	enum result result;
	char *huge;

	huge = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT, -1, 0);
	if (huge == MAP_FAILED)
		return because(t, FAIL, "no third huge page of 2 MiB: %s", strerror(errno));
	if (weir_ioas_map(t->as, huge, half, NULL, &first)) {
		result = failed(t);
	} else {
		result = PASS;
		if (unmapped && (weir_ioas_map(t->as, huge + half, half, NULL, &second) ||
				 weir_ioas_unmap(t->as, second, half)))
			result = failed(t);
		if (result == PASS)
			result = exposed_at(t, huge + half, first + half);
		if (weir_ioas_unmap(t->as, first, half))
			result = failed(t);
	}
	munmap(huge, size);
	return result;
}

/* Map a page and unmap it again: an IOVA that led to @page a moment ago. */
static int stale_iova(struct test *t, void *page, weir_iova *iova)
{
	int ret = weir_ioas_map(t->as, page, t->page, NULL, iova);

	return ret ? ret : weir_ioas_unmap(t->as, *iova, t->page);
}

static enum result outside_at(struct test *t, void *page)
{
	weir_iova target;
	void *mapped;

	if (t->soft) {
		if (stale_iova(t, page, &target))
			return failed(t);
		return blocked(t, target, page, "unmapped IOVA");
	}
	if (mlock(page, t->page))
		return because(t, FAIL, "mlock: %s", strerror(errno));
	target = physical_address(page, t->page);
	if (!target)
		return because(t, IMPOSSIBLE, "it aims at a physical address, and "
			       "/proc/self/pagemap tells those to root only");
	if (!weir_ioas_to_vaddr(t->as, target, &mapped, NULL))
		return because(t, FAIL, "physical address 0x%" PRIx64 " is a mapped IOVA as well: "
			       "try again", target);
	return blocked(t, target, page, "physical address");
}

/* A page as weir_mem_alloc() had to take it, which is a huge one in a window of larger pages. */
static size_t unit(const struct test *t)
{
	return weir_mem_len(t->out);
}

static void *new_page(struct test *t)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *page;

	if (unit(t) > t->page)
		flags |= MAP_HUGETLB | __builtin_ctzl(unit(t)) << MAP_HUGE_SHIFT;
	page = mmap(NULL, unit(t), PROT_READ | PROT_WRITE, flags, -1, 0);
	return page == MAP_FAILED ? NULL : page;
}

static enum result with_page(struct test *t, enum result (*at)(struct test *t, void *page))
{
	void *page = new_page(t);
	enum result result;

	if (!page)
		return because(t, FAIL, "no memory for a page of %zu bytes", unit(t));
	result = at(t, page);
	munmap(page, unit(t));
	return result;
}

static enum result step_outside(struct test *t)
{
	if (!t->isolated)
		return exposed(t, false);
	return with_page(t, outside_at);
}

/* The mapping works, then it's gone: the second half is only worth something after the first. */
static enum result after_unmap_at(struct test *t, void *page)
{
	size_t len = transfer_size(t);
	weir_iova iova;
	int ret;

	if (weir_ioas_map(t->as, page, unit(t), NULL, &iova))
		return failed(t);
	fill(t, weir_mem_ptr(t->out), len);
	ret = edu_write(t->edu, weir_mem_ptr(t->out), len, 0);
	if (!ret)
		ret = edu_read(t->edu, page, len, 0);
	if (weir_ioas_unmap(t->as, iova, unit(t)))
		return failed(t);
	if (ret)
		return driver_failed(t, "DMA before the unmap", ret);
	if (memcmp(page, weir_mem_ptr(t->out), len))
		return because(t, FAIL, "DMA to IOVA 0x%" PRIx64 " doesn't arrive even while it is "
			       "mapped", iova);
	return blocked(t, iova, page, "IOVA");
}

static enum result step_after_unmap(struct test *t)
{
	if (!t->isolated)
		return exposed(t, true);
	return with_page(t, after_unmap_at);
}

/* The device writes the second of four pages. */
static enum result dirty_pages(struct test *t, struct weir_mem *mem, enum weir_dirty kind)
{
	uint64_t bitmap = 0, expected = kind == WEIR_DIRTY_ALL ? 0xf : 0;
	int n, ret;

	if (t->edu) {
		ret = edu_read(t->edu, (char *)weir_mem_ptr(mem) + t->page, transfer_size(t), 0);
		if (ret)
			return driver_failed(t, "device to memory", ret);
		expected |= 0x2;
	}
	n = weir_ioas_dirty_read(t->as, weir_mem_iova(mem), weir_mem_len(mem), &bitmap);
	if (n < 0)
		return failed(t);
	if (bitmap != expected || n != __builtin_popcountll(expected))
		return because(t, FAIL, "of 4 pages, the pages 0x%" PRIx64 " are reported, not "
			       "0x%" PRIx64, bitmap, expected);
	if (kind == WEIR_DIRTY_ALL)
		return because(t, PASS, "%s reports every mapped page, written or not",
			       t->info.backend);
	return because(t, PASS, t->edu ? "exactly the page that was written" :
		       "none reported, and without a driver none was written");
}

static enum result step_dirty(struct test *t)
{
	struct weir_ioas_caps caps;
	struct weir_mem *mem;
	enum result result;

	weir_ioas_caps(t->as, &caps);
	if (caps.dirty == WEIR_DIRTY_NONE)
		return because(t, IMPOSSIBLE, "%s has no dirty tracking", t->info.backend);
	if (weir_mem_alloc(t->as, 4 * t->page, NULL, &mem))
		return failed(t);
	if (weir_ioas_dirty_start(t->as)) {
		result = failed(t);
	} else {
		result = dirty_pages(t, mem, caps.dirty);
		if (weir_ioas_dirty_stop(t->as))
			result = failed(t);
	}
	return weir_mem_free(mem) ? failed(t) : result;
}

static enum result step_reset(struct test *t)
{
	struct weir_device_info after;

	if (!t->info.can_reset) {
		weir_device_reset(t->dev);
		return because(t, IMPOSSIBLE, "%s", weir_errmsg());
	}
	if (weir_device_reset(t->dev) || weir_device_info(t->dev, &after))
		return failed(t);
	if (after.vendor != t->info.vendor || after.device != t->info.device)
		return because(t, FAIL, "after it the device says that it is %04x:%04x",
			       after.vendor, after.device);
	if (t->edu && edu_live(t->edu))
		return because(t, FAIL, "after it the device doesn't answer");
	return because(t, PASS, "and it answers");
}

/* A window is where the platform puts it: that the device reaches it is the user's word. */
static unsigned int dma_bits(const struct test *t)
{
	if (t->asked.page_size)
		return 0;
	return t->host.vendor == EDU_VENDOR && t->host.device == EDU_DEVICE ? EDU_DMA_BITS : 0;
}

static int open_device(struct test *t)
{
	struct weir_device_opts opts = { .dma_bits = dma_bits(t) };
	struct weir_ioas_caps caps;
	int ret = weir_device_open(t->iommu, t->name, &opts, &t->dev);

	if (ret)
		return ret;
	t->as = weir_device_ioas(t->dev);
	ret = window_make(t->as, &t->asked, &t->window);
	if (!ret)
		ret = weir_ioas_caps(t->as, &caps);
	t->isolated = !ret && caps.isolation;
	return ret;
}

/* It refuses while it is in use, then it lets go, and can be had again. */
static enum result step_release(struct test *t)
{
	edu_close(t->edu);
	t->edu = NULL;
	if (t->in && weir_device_close(t->dev) != -EBUSY) {
		t->dev = NULL;
		return because(t, FAIL, "the device was closed under memory that it could reach");
	}
	if (weir_mem_free(t->in) || weir_mem_free(t->out) || weir_device_close(t->dev)) {
		t->dev = NULL;
		return failed(t);
	}
	t->in = t->out = NULL;
	t->dev = NULL;
	if (open_device(t))
		return failed(t);
	if (weir_device_close(t->dev))
		return failed(t);
	t->dev = NULL;
	return because(t, PASS, "closed, opened once more, closed");
}

static const struct step {
	const char *name;
	enum result (*run)(struct test *t);
	bool driver;	/* needs a sample driver */
	bool memory;	/* needs the step map */
} steps[] = {
	{ "open", step_open, false, false },
	{ "identity", step_identity, false, false },
	{ "regions", step_regions, false, false },
	{ "config space", step_config, false, false },
	{ "map", step_map, false, false },
	{ "DMA out", step_dma_out, true, true },
	{ "DMA in", step_dma_in, true, true },
	{ "verify", step_verify, true, true },
	{ "interrupt", step_interrupt, true, false },
	{ "DMA outside the mapping is blocked", step_outside, true, true },
	{ "DMA after unmap is blocked", step_after_unmap, true, true },
	{ "dirty pages", step_dirty, false, false },
	{ "reset", step_reset, false, false },
	{ "release", step_release, false, false },
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

struct outcome {
	enum result result;
	char why[512];
};

static enum result run_step(struct test *t, const struct step *step)
{
	int ret;

	if (step->driver && (t->info.vendor != EDU_VENDOR || t->info.device != EDU_DEVICE))
		return no_driver(t);
	/* The driver comes in only now: before, nothing may have touched the device. */
	if (step->driver && !t->edu) {
		ret = edu_open(t->dev, &t->edu);
		if (ret)
			return driver_failed(t, "the driver doesn't start", ret);
	}
	if (step->memory && (!t->out || !t->in))
		return because(t, FAIL, "not tried: 'map' failed");
	return step->run(t);
}

/* The device can't be opened: say so in the document, too. */
static void nothing_opened(struct outcome outcomes[STEPS])
{
	outcomes[0].result = FAIL;
	snprintf(outcomes[0].why, sizeof(outcomes[0].why), "%s", weir_errmsg());
	for (size_t i = 1; i < STEPS; i++) {
		outcomes[i].result = IMPOSSIBLE;
		snprintf(outcomes[i].why, sizeof(outcomes[i].why), "not tried: 'open' failed");
	}
}

static bool run_steps(struct test *t, struct outcome outcomes[STEPS])
{
	bool good = true;

	for (size_t i = 0; i < STEPS; i++) {
		t->why[0] = '\0';
		outcomes[i].result = run_step(t, &steps[i]);
		memcpy(outcomes[i].why, t->why, sizeof(t->why));
		good = good && outcomes[i].result != FAIL;
		/* POWER stops a device whose DMA it blocked (EEH), and the next step needs it. */
		if (t->dev && weir_eeh_state(t->dev) > 0)
			weir_eeh_recover(t->dev, WEIR_EEH_RESET_HOT);
	}
	return good;
}

/* ---- what is printed ---- */

static const struct {
	const char *name, *colour;
} results[] = {
	[PASS] = { "pass", "green" },
	[FAIL] = { "fail", "red" },
	[IMPOSSIBLE] = { "impossible", "brown" },
};

static void print_json(const struct test *t, const struct outcome outcomes[STEPS])
{
	struct json_object *object = js_object(), *list = js_list();

	js_add(object, "device", js_text(t->name));
	js_add(object, "backend", js_text(t->info.backend));
	js_add(object, "window", js_window(&t->window));
	for (size_t i = 0; i < STEPS; i++) {
		struct json_object *step = js_object();

		js_add(step, "name", js_text(steps[i].name));
		js_add(step, "result", js_text(results[outcomes[i].result].name));
		js_add(step, "why", js_text(outcomes[i].why));
		js_append(list, step);
	}
	js_add(object, "steps", list);
	js_print(object);
}

static void print_table(const struct test *t, const struct outcome outcomes[STEPS])
{
	static const struct column columns[] = {
		{ .name = "STEP" }, { .name = "RESULT" }, { .name = "WHY", .wrap = true },
	};
	struct out_table *table = table_new(columns, 3, true);
	unsigned int counts[3] = { 0 };
	char where[WINDOW_TEXT_MAX];

	for (size_t i = 0; i < STEPS; i++) {
		struct out_row *row = table_row(table);

		table_cell(row, 0, "%s", steps[i].name);
		table_cell(row, 1, "%s", results[outcomes[i].result].name);
		table_colour(row, 1, results[outcomes[i].result].colour);
		table_cell(row, 2, "%s", outcomes[i].why);
		counts[outcomes[i].result]++;
	}
	table_print(table);
	if (!t->isolated)
		say("%s can read and write ALL of this machine's memory: nothing holds it back",
		    t->name);
	say("%s by %s%s: %u steps passed, %u failed, %u impossible here", t->name, t->info.backend,
	    window_text(&t->window, where), counts[PASS], counts[FAIL], counts[IMPOSSIBLE]);
}

static const char usage[] =
	"usage: weir selftest [--json] [--unsafe-noiommu] [--window PAGE_SIZE] [DEVICE]\n"
	"\n"
	"Tries a device end to end: registers, DMA both ways, an interrupt, and DMA that must\n"
	"be blocked. DEVICE is a PCI function bound to vfio-pci, or soft:edu (the default), a\n"
	"model in this process behind a software IOMMU. The device is reset, and what it was\n"
	"doing is lost.\n"
	"\n"
	"      --json      for programs\n"
	UNSAFE_USAGE
	WINDOW_USAGE
	"  -h, --help      this text\n"
	"\n"
	"Exit status: 0 nothing failed, 1 something failed, 2 the device can't be opened.\n"
	"\n"
	"Example: weir selftest 0000:01:00.0";

/* What sysfs says of it: who it is, and so which driver, before it is opened. */
static int look_up(struct test *t)
{
	const struct weir_host_function *function;
	struct weir_host *host;
	int ret = weir_host_open(NULL, &host);

	if (ret)
		return ret;
	ret = weir_host_find(host, t->name, &function);
	if (!ret)
		t->host = *function;
	weir_host_close(host);
	return ret;
}

static int selftest(struct test *t, bool json)
{
	const struct weir_iommu_opts opts = { .unsafe_noiommu = t->unsafe_noiommu };
	static struct outcome outcomes[STEPS];
	bool good;

	t->soft = !strncmp(t->name, "soft:", 5);
	if ((!t->soft && look_up(t)) || weir_iommu_open(&opts, &t->iommu) || open_device(t) ||
	    weir_device_info(t->dev, &t->info)) {
		nothing_opened(outcomes);
		if (json)
			print_json(t, outcomes);
		fail("%s", outcomes[0].why);
		weir_device_close(t->dev);
		weir_iommu_close(t->iommu);
		return EXIT_UNKNOWN;
	}
	good = run_steps(t, outcomes);
	weir_iommu_close(t->iommu);
	if (json)
		print_json(t, outcomes);
	else
		print_table(t, outcomes);
	return good ? EXIT_YES : EXIT_NO;
}

int cmd_selftest(int argc, char **argv)
{
	struct test t = { .name = "soft:edu", .page = (size_t)sysconf(_SC_PAGESIZE) };
	struct options options = { 0 };
	int status = read_options(argc, argv, TAKES_UNSAFE | TAKES_WINDOW, usage, &options);

	if (status != GO_ON)
		return status;
	if (window_read("selftest", options.window, &t.asked))
		return EXIT_UNKNOWN;
	if (argc - optind > 1)
		return fail("selftest takes one device, not %d", argc - optind);
	if (optind < argc)
		t.name = argv[optind];
	t.unsafe_noiommu = options.unsafe_noiommu;
	return selftest(&t, options.json);
}
