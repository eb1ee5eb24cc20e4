/* SPDX-License-Identifier: MIT */
/*
 * A worker: a context with two address spaces, and a thread for each device that it opens, which
 * does what comes. All of it can end at any moment, by the parent's SIGKILL.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/edu/edu.h"
#include "tests/chance.h"
#include "tests/unit/growth.h"
#include "tests/vm/guest/soak/mapping.h"
#include "tests/vm/guest/soak/soak.h"

#define SPACES 2
#define MAPPINGS 8		/* of a driver in an address space */
#define IRQ_MS 10000

/* Where nothing is mapped without asking for it: each driver has a GiB for itself. */
#define OWN_IOVA(number) ((64ull + (number)) << 30)

struct space {
	struct weir_ioas *as;
	/* Two pages: what the last device has written, and room for the next one to read it. */
	struct weir_mem *relay;
	uint64_t relayed;	/* the seed of what was written */
	pthread_mutex_t lock;	/* of the relay */
};

struct driver {
	struct session *s;
	unsigned int number;
	const char *name;
	uint64_t random;
	unsigned int space;
	unsigned int steps;
	struct weir_device *dev;
	struct weir_device_info info;
	struct edu *edu;
	struct mapping maps[SPACES][MAPPINGS];
	pthread_t thread;
};

struct session {
	const struct soak *soak;
	struct weir_iommu *iommu;
	struct space spaces[SPACES];
	struct driver drivers[SOAK_EDUS + 1];	/* the last one is the NVMe's */
	bool pair;		/* both functions of the group are open */
};

static uint64_t worker_seed;

static _Noreturn __attribute__((format(printf, 2, 3))) void die(const struct driver *d,
								const char *fmt, ...)
{
	va_list args;

	flockfile(stderr);
	fprintf(stderr, "seed %llu: ", (unsigned long long)worker_seed);
	if (d)
		fprintf(stderr, "%s, %u steps before its end: ", d->name, d->steps);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	_exit(1);
}

static int did(const struct driver *d, int ret, const char *call, int line)
{
	if (ret < 0)
		die(d, "line %d: %s: %d, %s", line, call, ret, weir_errmsg());
	return ret;
}

#define DID(d, call) did((d), (call), #call, __LINE__)

static void must_be(const struct driver *d, int got, int want, const char *call)
{
	if (got != want)
		die(d, "%s: %d, not %d; %s", call, got, want, weir_errmsg());
}

/* weir has nothing to complain of, but of an edu without a reset. */
static void listen_for_trouble(void *arg, enum weir_log_level level, const char *msg)
{
	(void)arg;
	(void)level;
	if (!strstr(msg, "can't be reset by itself"))
		die(NULL, "weir says: %s", msg);
}

static struct space *space_of(struct driver *d)
{
	return &d->s->spaces[d->space];
}

/* ---- what a driver does ---- */

static void open_device(struct driver *d)
{
	static const unsigned int bits[] = { 32, 40, 64 };
	struct weir_device_opts opts = {
		.ioas = space_of(d)->as, .dma_bits = bits[chance(&d->random, 3)],
	};

	DID(d, weir_device_open(d->s->iommu, d->name, &opts, &d->dev));
	DID(d, weir_device_info(d->dev, &d->info));
	if (strcmp(d->info.backend, d->s->soak->interface))
		die(d, "attached by %s, not by %s", d->info.backend, d->s->soak->interface);
	DID(d, edu_open(d->dev, &d->edu));
	count(&d->s->soak->done->devices, 1);
}

static void close_device(struct driver *d)
{
	DID(d, edu_close(d->edu));
	DID(d, weir_device_close(d->dev));
}

static void drop(struct driver *d, struct weir_ioas *as, struct mapping *m)
{
	if (!mapping_right(m))
		die(d, "wrong bytes in what is mapped at 0x%llx, %zu bytes",
		    (unsigned long long)m->iova, m->len);
	DID(d, mapping_drop(as, m));
}

static void change_mapping(struct driver *d)
{
	unsigned int space = (unsigned int)chance(&d->random, SPACES);
	struct mapping *m = &d->maps[space][chance(&d->random, MAPPINGS)];
	struct weir_ioas *as = d->s->spaces[space].as;
	int ret;

	if (m->len) {
		drop(d, as, m);
		return;
	}
	ret = mapping_make(as, m, &d->random, d->s->soak->pool);
	if (ret && ret != -EAGAIN)
		die(d, "mapping: %d, %s", ret, weir_errmsg());
	count(&d->s->soak->done->mappings, !ret);
}

static struct mapping *any_mapping(struct driver *d)
{
	struct mapping *maps = d->maps[d->space];
	unsigned int first = (unsigned int)chance(&d->random, MAPPINGS);

	for (unsigned int i = 0; i < MAPPINGS; i++)
		if (maps[(first + i) % MAPPINGS].len)
			return &maps[(first + i) % MAPPINGS];
	return NULL;
}

/* Through the device's buffer from one place to another, which may be in the same memory. */
static void transfer(struct driver *d)
{
	struct mapping *from = any_mapping(d), *to = any_mapping(d);
	unsigned char bytes[EDU_BUFFER_SIZE];
	struct spot source, target;
	uint32_t offset;

	if (!from)
		return;
	source = mapping_spot(from, &d->random, 1 + chance(&d->random, EDU_BUFFER_SIZE));
	target = mapping_spot(to, &d->random, source.len);
	offset = (uint32_t)chance(&d->random, EDU_BUFFER_SIZE - source.len + 1);
	DID(d, edu_write(d->edu, source.at, source.len, offset));
	DID(d, edu_read(d->edu, target.at, target.len, offset));
	memcpy(bytes, source.copy, target.len);
	memcpy(target.copy, bytes, target.len);
	/* What is before and behind it is looked at, too, when it is unmapped at the latest. */
	if (memcmp(target.at, target.copy, target.len))
		die(d, "wrong bytes after a transfer of %zu bytes", target.len);
	count(&d->s->soak->done->transfers, 1);
	count(&d->s->soak->done->bytes, source.len + target.len);
}

/* Whoever comes next finds what the device before it, mostly another, has written. */
static void relay(struct driver *d)
{
	struct space *space = space_of(d);
	unsigned char *page = weir_mem_ptr(space->relay), *other = page + PAGE;
	uint64_t due[PAGE / 8];

	pthread_mutex_lock(&space->lock);
	fill(due, PAGE, space->relayed);
	DID(d, edu_write(d->edu, page, PAGE, 0));
	DID(d, edu_read(d->edu, other, PAGE, 0));
	if (memcmp(page, due, PAGE) || memcmp(other, due, PAGE))
		die(d, "wrong bytes where another device has written");
	space->relayed = chance(&d->random, UINT64_MAX);
	fill(other, PAGE, space->relayed);
	DID(d, edu_write(d->edu, other, PAGE, 0));
	DID(d, edu_read(d->edu, page, PAGE, 0));
	if (memcmp(page, other, PAGE))
		die(d, "wrong bytes in the relay's page");
	pthread_mutex_unlock(&space->lock);
	count(&d->s->soak->done->transfers, 2);
	count(&d->s->soak->done->bytes, 4 * PAGE);
}

/* Each interrupt arrives, once. */
static void interrupts(struct driver *d)
{
	enum weir_irq kind = chance(&d->random, 2) ? WEIR_IRQ_MSI : WEIR_IRQ_INTX;
	unsigned int n = 1 + (unsigned int)chance(&d->random, 8);
	uint32_t bits, got;

	DID(d, edu_irq_enable_kind(d->edu, kind));
	for (unsigned int i = 0; i < n; i++) {
		bits = 1u << chance(&d->random, 8);
		DID(d, edu_irq_raise(d->edu, bits));
		DID(d, edu_irq_wait(d->edu, IRQ_MS, &got));
		if (got != bits)
			die(d, "interrupt with bits 0x%x, not 0x%x", got, bits);
	}
	transfer(d);
	must_be(d, weir_irq_wait(d->dev, kind, 0, 0), -ETIMEDOUT, "a surplus interrupt");
	DID(d, edu_irq_disable(d->edu));
	count(&d->s->soak->done->interrupts, n);
}

/* Of the function, or of the bus that it is alone on. */
static void reset(struct driver *d)
{
	if (d->info.can_reset && chance(&d->random, 2))
		DID(d, weir_device_hot_reset(d->dev));
	else
		must_be(d, weir_device_reset(d->dev), d->info.can_reset ? 0 : -ENOTSUP, "reset");
	DID(d, edu_live(d->edu));
	count(&d->s->soak->done->resets, d->info.can_reset);
}

/* To the other address space, where the interface can. One of a pair would leave the other. */
static void move(struct driver *d)
{
	bool can = !strcmp(d->info.backend, "iommufd");

	if (d->s->pair && (d->number == 1 || d->number == 2))
		return;
	must_be(d, weir_device_move(d->dev, d->s->spaces[!d->space].as), can ? 0 : -ENOTSUP,
		"move");
	if (can)
		d->space = !d->space;
	count(&d->s->soak->done->moves, can);
}

/* Memory that was mapped can't be written any more. */
static void blocked(struct driver *d)
{
	const struct weir_map_opts fixed = { .fixed = true };
	weir_iova iova = OWN_IOVA(d->number) + PAGE * chance(&d->random, 1000);
	unsigned char *page = aligned_alloc(PAGE, PAGE);
	uint64_t before[PAGE / 8];

	if (!page)
		die(d, "no memory");
	DID(d, weir_ioas_map(space_of(d)->as, page, PAGE, &fixed, &iova));
	fill(page, PAGE, iova);
	fill(before, PAGE, iova);
	DID(d, edu_dma(d->edu, iova, 0, PAGE, true));
	fill(page, PAGE, ~iova);
	DID(d, edu_dma(d->edu, iova, 0, PAGE, false));
	if (memcmp(page, before, PAGE))
		die(d, "wrong bytes in a page before it is unmapped");
	DID(d, weir_ioas_unmap(space_of(d)->as, iova, PAGE));
	fill(page, PAGE, ~iova);
	fill(before, PAGE, ~iova);
	DID(d, edu_dma(d->edu, iova, 0, PAGE, false));
	if (memcmp(page, before, PAGE))
		die(d, "DMA to IOVA 0x%llx got through after unmap", (unsigned long long)iova);
	free(page);
	count(&d->s->soak->done->blocked, 1);
	count(&d->s->soak->done->bytes, 2 * PAGE);
}

static void step(struct driver *d)
{
	uint64_t dice = chance(&d->random, 100);

	if (dice < 50)
		for (uint64_t n = 1 + chance(&d->random, MAPPINGS); n; n--)
			change_mapping(d);
	else if (dice < 72)
		transfer(d);
	else if (dice < 77)
		relay(d);
	else if (dice < 84)
		interrupts(d);
	else if (dice < 88)
		reset(d);
	else if (dice < 94)
		move(d);
	else if (dice < 97)
		blocked(d);
	else {
		close_device(d);
		open_device(d);
	}
}

static void drop_all(struct driver *d)
{
	for (unsigned int space = 0; space < SPACES; space++)
		for (unsigned int i = 0; i < MAPPINGS; i++)
			if (d->maps[space][i].len)
				drop(d, d->s->spaces[space].as, &d->maps[space][i]);
}

static void *drive(void *arg)
{
	struct driver *d = arg;
	bool mappings_first = chance(&d->random, 2);

	open_device(d);
	while (d->steps) {
		step(d);
		d->steps--;
	}
	if (mappings_first)
		drop_all(d);
	close_device(d);
	drop_all(d);
	return NULL;
}

static __attribute__((noreturn)) void nvme_failed(void *arg, const char *what, long value)
{
	die(arg, "%s: %ld", what, value);
}

static void *drive_nvme(void *arg)
{
	struct driver *d = arg;
	struct soak_nvme n = {
		.soak = d->s->soak, .iommu = d->s->iommu, .as = space_of(d)->as,
		.random = d->random, .fail = nvme_failed, .arg = d,
	};

	soak_nvme(&n);
	return NULL;
}

/* ---- a session ---- */

static void open_space(struct space *space, struct weir_iommu *iommu)
{
	DID(NULL, weir_ioas_open(iommu, &space->as));
	DID(NULL, weir_mem_alloc(space->as, 2 * PAGE, NULL, &space->relay));
	fill(weir_mem_ptr(space->relay), PAGE, space->relayed);
	pthread_mutex_init(&space->lock, NULL);
}

static void choose(struct session *s, unsigned int number, const char *name, uint64_t *random)
{
	struct driver *d = &s->drivers[number];

	d->s = s;
	d->number = number;
	d->name = name;
	d->random = chance(random, UINT64_MAX);
	d->steps = 5 + (unsigned int)chance(random, 30);
	/* Functions of one group must be in one address space. */
	d->space = number == 2 && s->drivers[1].s ? s->drivers[1].space
						   : (unsigned int)chance(random, SPACES);
}

static void session(const struct soak *soak, uint64_t *random)
{
	struct session s = { .soak = soak };

	DID(NULL, weir_iommu_open(NULL, &s.iommu));
	for (unsigned int i = 0; i < SPACES; i++)
		open_space(&s.spaces[i], s.iommu);
	for (unsigned int i = 0; i <= SOAK_EDUS; i++)
		if (chance(random, 4))
			choose(&s, i, i < SOAK_EDUS ? soak->edus[i] : soak->nvme, random);
	s.pair = s.drivers[1].s && s.drivers[2].s;
	for (unsigned int i = 0; i <= SOAK_EDUS; i++)
		if (s.drivers[i].s &&
		    pthread_create(&s.drivers[i].thread, NULL,
				   i < SOAK_EDUS ? drive : drive_nvme, &s.drivers[i]))
			die(NULL, "no thread");
	for (unsigned int i = 0; i <= SOAK_EDUS; i++)
		if (s.drivers[i].s)
			pthread_join(s.drivers[i].thread, NULL);
	for (unsigned int i = 0; i < SPACES; i++) {
		DID(NULL, weir_mem_free(s.spaces[i].relay));
		DID(NULL, weir_ioas_close(s.spaces[i].as));
		pthread_mutex_destroy(&s.spaces[i].lock);
	}
	DID(NULL, weir_iommu_close(s.iommu));
}

_Noreturn void soak_worker(const struct soak *soak, uint64_t seed)
{
	uint64_t random = worker_seed = seed;
	unsigned int fds = growth_open_fds();

	weir_log_set(listen_for_trouble, NULL, WEIR_LOG_WARN);
	for (uint64_t sessions = 1 + chance(&random, 2); sessions; sessions--)
		session(soak, &random);
	if (growth_open_fds() != fds)
		die(NULL, "%u open files, %u at the start", growth_open_fds(), fds);
	if (growth_held())
		die(NULL, "%lu KiB locked or pinned after all was closed", growth_held());
	_exit(0);
}
