/* SPDX-License-Identifier: MIT */
/*
 * weir bench map DEVICE: map and unmap on a device's IOMMU, by each interface that it has got here,
 * beside the kernel's calls alone.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_hand.h"
#include "bench_pages.h"
#include "count.h"
#include "options.h"
#include "out.h"
#include "weir.h"

#define SAMPLE	2e6	/* nanoseconds that are measured in one go, at least */

struct place {
	const char *interface;
	struct weir_ioas *as;
	struct weir_ioas *store;	/* keeps memory, and has no device */
	bool unsafe_noiommu;		/* the device needn't have an IOMMU */
	bool by_hand;			/* there are calls of the kernel's for it */
	struct hand hand;
	bool count;			/* in place of time */
	size_t memory;			/* to map at once, at most */
};

/* What is mapped and unmapped again, and where it was mapped last. */
struct piece {
	const struct place *place;
	char *start;
	int fd;				/* -1: not by its file */
	size_t len;
	weir_iova iova;
	unsigned int times;		/* in one go */
};

static int map(struct piece *p)
{
	static const struct weir_map_opts opts = { .scattered = true };

	return p->fd < 0 ? weir_ioas_map(p->place->as, p->start, p->len, &opts, &p->iova) :
	       weir_ioas_map_fd(p->place->as, p->fd, 0, p->len, &opts, &p->iova);
}

static void by_weir(void *arg)
{
	struct piece *p = arg;

	bench_must(map(p));
	bench_must(weir_ioas_unmap(p->place->as, p->iova, p->len));
}

static int try_by_hand(const struct piece *p)
{
	const struct hand *hand = &p->place->hand;
	int ret = hand_map(hand, p->start, p->fd, p->len, p->iova);

	return ret ? ret : hand_unmap(hand, p->len, p->iova);
}

static void by_hand(void *arg)
{
	const struct piece *p = arg;
	int ret = try_by_hand(p);

	if (ret)
		exit(fail("mapping %zu bytes by hand: %s", p->len, strerror(-ret)));
}

/* ---- one row ---- */

static double go(struct piece *p, void (*pair)(void *arg))
{
	double start = bench_now();

	for (unsigned int i = 0; i < p->times; i++)
		pair(p);
	return (bench_now() - start) / p->times;
}

static double go_by_weir(void *arg)
{
	return go(arg, by_weir);
}

static double go_by_hand(void *arg)
{
	return go(arg, by_hand);
}

/* @scale: as many of it make up what the row is about. */
static void add_times(struct piece *p, const char *name, const char *unit, double scale,
		      const char *note)
{
	double value, bare, once;

	p->times = 1;
	by_weir(p);
	once = go(p, by_weir);
	if (once < SAMPLE)
		p->times = (unsigned int)(SAMPLE / (once + 1)) + 1;
	if (!strcmp(unit, "us"))
		scale /= 1e3;
	bench_measure(go_by_weir, p->place->by_hand ? go_by_hand : NULL, p, &value, &bare);
	bench_row("map", name, unit, value * scale, bare * scale, note);
}

static void add_counts(struct piece *p, const char *name, double scale, const char *note)
{
	double ioctls = NAN, instructions = NAN;
	struct count weir, hand;
	char calls[64] = "";

	count_run(by_weir, p, &weir);
	if (p->place->by_hand) {
		count_run(by_hand, p, &hand);
		ioctls = (double)hand.ioctls * scale;
		instructions = (double)hand.instructions * scale;
	}
	if (weir.other_calls)
		snprintf(calls, sizeof(calls), "other system calls: %.0f",
			 (double)weir.other_calls * scale);
	bench_row("map", name, "ioctls", (double)weir.ioctls * scale, ioctls, calls);
	bench_row("map", name, "instructions", (double)weir.instructions * scale, instructions,
		  note);
}

/*
 * Whether it can be mapped, or a half of it, or a half of that and so on, down to a page of @least
 * bytes: the limit of locked memory may allow no more, or the device. @why says why not all of it.
 */
static bool possible(struct piece *p, size_t least, char *why, size_t size)
{
	int ret;

	while (((ret = map(p)) == -ENOMEM || ret == -ENOSPC) && p->len / 2 >= least) {
		snprintf(why, size, "%s", weir_errmsg());
		p->len /= 2;
	}
	if (ret) {
		snprintf(why, size, "%s", weir_errmsg());
		return false;
	}
	bench_must(weir_ioas_unmap(p->place->as, p->iova, p->len));
	/* The library would map it by its address then. */
	ret = p->fd >= 0 && p->place->by_hand ? try_by_hand(p) : 0;
	if (ret)
		snprintf(why, size, "the kernel doesn't map such a file: %s", ret == -ENOTTY ?
			 "IOMMU_IOAS_MAP_FILE is of Linux 6.13" : strerror(-ret));
	return !ret;
}

/* @want: what the row is about; of what is more than there is, it is scaled. */
static void add_row(const struct place *place, const char *what, const struct pages *pages,
		    size_t least, size_t want)
{
	struct piece p = {
		.place = place,
		.start = pages->start,
		.fd = pages->fd,
		.len = want < pages->len ? want : pages->len,
	};
	char name[96], why[512], size[SIZE_TEXT_MAX], note[640] = "";
	double scale;

	snprintf(why, sizeof(why), "%s", pages->note);
	snprintf(name, sizeof(name), "%s, %s", what, size_text(want, size));
	if (!possible(&p, least, why, sizeof(why))) {
		bench_row("map", name, NULL, NAN, NAN, why);
		return;
	}
	if (p.len < want)
		snprintf(note, sizeof(note), "by %s%s%s", size_text(p.len, size),
			 *why ? ": " : "", why);
	scale = (double)want / (double)p.len;
	if (place->count)
		add_counts(&p, name, scale, note);
	else
		add_times(&p, name, want >= GB ? "us" : "ns", scale, note);
}

/* ---- all of them ---- */

static void add_kind(const struct place *place, enum kind kind, bool file)
{
	size_t least = pages_size(kind);
	struct pages pages;
	char what[64];

	snprintf(what, sizeof(what), "%s%s, %s", place->interface, file ? " file" : "",
		 pages_name(kind));
	if (pages_make(place->store, kind, file, place->memory, &pages)) {
		bench_row("map", what, NULL, NAN, NAN, pages.note);
		return;
	}
	if (least < 2 * MB)
		add_row(place, what, &pages, least, least);
	add_row(place, what, &pages, least, 2 * MB);
	add_row(place, what, &pages, least, GB);
	pages_free(&pages);
}

/* @interface: NULL: as weir does by itself, or WEIR_IOMMU says. Returns 0, or -errno. */
static int open_device(const struct place *place, const char *interface, const char *name,
		       struct weir_iommu **iommu, struct weir_device **dev)
{
	const struct weir_iommu_opts opts = {
		.interface = interface, .unsafe_noiommu = place->unsafe_noiommu,
	};
	int ret = weir_iommu_open(&opts, iommu);

	if (ret)
		return ret;
	ret = weir_device_open(*iommu, name, NULL, dev);
	if (ret)
		weir_iommu_close(*iommu);
	return ret;
}

static void close_device(struct weir_iommu *iommu, struct weir_device *dev)
{
	bench_must(weir_device_close(dev));
	bench_must(weir_iommu_close(iommu));
}

static void add_interface(struct place *place, const char *device)
{
	const char *by_choice = strcmp(place->interface, "soft") ? place->interface : NULL;
	struct weir_iommu *iommu;
	struct weir_device *dev;
	int ret;

	if (open_device(place, by_choice, device, &iommu, &dev)) {
		bench_row("map", place->interface, NULL, NAN, NAN, weir_errmsg());
		return;
	}
	place->as = weir_device_ioas(dev);
	ret = place->by_hand ? hand_find(&place->hand, iommu) : 0;
	if (ret)
		exit(fail("%s: what it is attached by, %s, isn't found: %s", device,
			  place->interface, strerror(-ret)));
	for (enum kind kind = 0; kind < KINDS; kind++)
		add_kind(place, kind, false);
	if (!strcmp(place->interface, "iommufd"))
		for (enum kind kind = 0; kind < KINDS; kind++)
			add_kind(place, kind, true);
	close_device(iommu, dev);
}

/* All that are of the kind of the device's @own, unless one is asked for. */
static void add_interfaces(struct place *place, const char *device, const char *own)
{
	static const char *const with_iommu[] = { "iommufd", "type1v2", "type1", "compat", NULL };
	static const char *const without[] = { "iommufd-noiommu", "noiommu", NULL };
	static const char *const soft[] = { "soft", NULL };
	const char *const *const kinds[] = { with_iommu, without, soft };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		bool its_own = false;

		for (const char *const *name = kinds[i]; *name; name++)
			its_own |= !strcmp(*name, own);
		place->by_hand = kinds[i] == with_iommu;
		for (const char *const *name = kinds[i]; its_own && *name; name++) {
			place->interface = *name;
			if (!getenv("WEIR_IOMMU") || !strcmp(*name, own))
				add_interface(place, device);
		}
	}
}

int bench_device(const char *device, bool count, size_t memory, bool unsafe_noiommu)
{
	struct place place = {
		.count = count, .memory = memory, .unsafe_noiommu = unsafe_noiommu,
	};
	struct weir_device_info info;
	struct weir_iommu *iommu;
	struct weir_device *dev;
	int status;

	/* If that fails, why is said at once. */
	if (open_device(&place, NULL, device, &iommu, &dev))
		return fail("%s", weir_errmsg());
	bench_must(weir_device_info(dev, &info));
	close_device(iommu, dev);
	status = count ? count_start() : GO_ON;
	if (status != GO_ON)
		return status;
	bench_must(weir_ioas_open(NULL, &place.store));
	add_interfaces(&place, device, info.backend);
	bench_must(weir_ioas_close(place.store));
	if (count)
		count_end();
	return GO_ON;
}
