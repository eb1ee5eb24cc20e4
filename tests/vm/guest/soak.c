/* SPDX-License-Identifier: MIT */
/*
 * Processes that use devices in every way, at random, one after the other, most of them killed in
 * the middle (soak/worker.c); and what they leave, seen from outside: the devices can be used and
 * are as they should be, no DMA comes late, nothing stays pinned, nothing grows, and the kernel has
 * nothing to complain of.
 *
 * Environment: WEIR_TEST_SECONDS; WEIR_TEST_SEED, the first worker's seed, which is printed; each
 * other's is the one's before plus one. WEIR_IOMMU: what devices must be attached by.
 */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/chance.h"
#include "tests/unit/growth.h"
#include "tests/vm/guest/left.h"
#include "tests/vm/guest/soak/soak.h"

#define KILL_MS 3000		/* later than that a worker isn't killed */
#define END_SECONDS 120		/* but by then it must have ended by itself */
#define MIB (1ul << 20)

enum { NVME = SOAK_EDUS, DEVICES };

static const struct {
	const char *variable;
	bool resets;
} devices[DEVICES] = {
	{ "WEIR_TEST_EDU", false },
	{ "WEIR_TEST_PAIR0", false },
	{ "WEIR_TEST_PAIR1", false },
	{ "WEIR_TEST_BEHIND", true },	/* by the bus behind its port */
	{ "WEIR_TEST_NVME", true },
};

static struct soak soak;
static uint64_t seed;			/* the worker's */
static int kernel_log;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- what the kernel says ---- */

/* Into the kernel's log, beside what it says itself; what is urgent comes to the console. */
static __attribute__((format(printf, 2, 3))) void tell(int level, const char *fmt, ...)
{
	char text[600];
	va_list args;
	int len = snprintf(text, sizeof(text), "<%d>weir-test: soak: ", level);

	va_start(args, fmt);
	vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, args);
	va_end(args);
	if (write(kernel_log, text, strlen(text)) < 0)
		fail_msg("/dev/kmsg: %s", strerror(errno));
}

/*
 * What it may warn of: DMA that was blocked (dmar_fault() in drivers/iommu/intel/dmar.c); resets,
 * and that a bus's is without its bridge's lock, which is its own doing (drivers/pci/pci.c); and
 * that an emulated machine on a busy host is slow.
 */
static const char *const expected[] = {
	";DMAR: DRHD: handling fault status",
	";DMAR: [DMA ",
	";dmar_fault: ",
	": resetting\n",
	": reset done\n",
	": unlocked secondary bus reset via: ",
	";hrtimer: interrupt took ",
	";clocksource: ",
	" hogged CPU for ",
};

/* A record begins with its level, which has a part above 7 when it isn't the kernel's. */
static bool is_trouble(const char *record)
{
	if (strtoul(record, NULL, 10) > 4)
		return false;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (strstr(record, expected[i]))
			return false;
	return true;
}

static void look_at_kernel_log(void)
{
	char record[8192];
	ssize_t len;

	while ((len = read(kernel_log, record, sizeof(record) - 1)) > 0) {
		record[len] = '\0';
		if (is_trouble(record))
			fail_msg("worker %llu: the kernel says: %s", (unsigned long long)seed,
				 record);
	}
	if (errno != EAGAIN)
		fail_msg("/dev/kmsg: %s", strerror(errno));
}

/* A number of /proc/meminfo or /proc/vmstat. */
static unsigned long number_of(const char *path, const char *name)
{
	unsigned long value, found = 0;
	FILE *file = fopen(path, "re");
	char line[256], key[64];
	bool there = false;

	assert_non_null(file);
	while (!there && fgets(line, sizeof(line), file)) {
		there = sscanf(line, "%63[^: ]%*[: ]%lu", key, &value) == 2 && !strcmp(key, name);
		found = value;
	}
	fclose(file);
	if (!there)
		fail_msg("%s has no %s", path, name);
	return found;
}

static unsigned long kib(const char *name)
{
	return number_of("/proc/meminfo", name);
}

/* Pages that are pinned for DMA, of anybody (mm/gup.c). */
static unsigned long pinned(void)
{
	/* What the processors have counted each for itself is added up (mm/vmstat.c). */
	write_text("/proc/sys/vm/stat_refresh", "1");
	return number_of("/proc/vmstat", "nr_foll_pin_acquired") -
	       number_of("/proc/vmstat", "nr_foll_pin_released");
}

/* Pages that are free, but kept by a processor for itself: tens of MiB, now more, now less. */
static unsigned long kept_free(void)
{
	FILE *zones = fopen("/proc/zoneinfo", "re");
	unsigned long pages, sum = 0;
	char line[256];

	assert_non_null(zones);
	while (fgets(line, sizeof(line), zones))
		if (sscanf(line, " count: %lu", &pages) == 1)
			sum += pages;
	fclose(zones);
	return sum;
}

/* ---- what must not grow ---- */

enum { USED, KERNEL, UNEVICTABLE, OWN, WATCHED };

static struct growth watched[WATCHED] = {
	[USED] = { .what = "memory in use", .slack = 4 * MIB },
	[KERNEL] = { .what = "memory of the kernel's", .slack = 2 * MIB },
	[UNEVICTABLE] = { .what = "memory that can't be evicted", .slack = MIB },
	[OWN] = { .what = "this process", .slack = MIB },
};

static size_t amount(unsigned int which)
{
	switch (which) {
	case USED:
		return ((kib("MemTotal") - kib("MemAvailable")) << 10) - kept_free() * PAGE;
	case KERNEL:
		return (kib("SUnreclaim") + kib("PageTables") + kib("Percpu")) << 10;
	case UNEVICTABLE:
		return kib("Unevictable") << 10;
	default:
		return growth_resident();
	}
}

static void nothing_grows(bool warming_up)
{
	write_text("/proc/sys/vm/drop_caches", "3");
	for (unsigned int i = 0; i < WATCHED; i++) {
		struct growth *g = &watched[i];
		size_t bytes = amount(i);

		/* What has ended may still be on its way out. */
		for (int tries = 0; tries < 40 && bytes > g->warm + g->slack && !warming_up;
		     tries++) {
			usleep(250000);
			bytes = amount(i);
		}
		if (!growth_look(g, bytes, warming_up))
			fail_msg("worker %llu: %s: %zu KiB, %zu after warming up",
				 (unsigned long long)seed, g->what, bytes >> 10, g->warm >> 10);
	}
}

/* ---- a worker, and what it leaves ---- */

/* Returns whether it was killed. */
static bool run_worker(void)
{
	uint64_t random = ~seed;
	bool killed = chance(&random, 3);
	double end = now() +
		     (killed ? (20 + (double)chance(&random, KILL_MS)) / 1000 : END_SECONDS);
	pid_t pid, gone;
	int status;

	tell(6, "worker %llu%s", (unsigned long long)seed, killed ? ", to be killed" : "");
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		soak_worker(&soak, seed);
	while (!(gone = waitpid(pid, &status, WNOHANG)) && now() < end)
		usleep(2000);
	if (!gone) {
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!killed)
			fail_msg("worker %llu hasn't ended after %d s", (unsigned long long)seed,
				 END_SECONDS);
	}
	/* It may have ended by itself, well or not, before it was to be killed. */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !gone)
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("worker %llu failed: status 0x%x", (unsigned long long)seed, status);
	return false;
}

/*
 * All devices, by a process that is new to them; one of them is at work for a moment. Each edu's
 * driver quiets what it was left with: an edu that can't be reset may hold its interrupt pin up,
 * also while it is closed, since closing it restores its command register
 * (vfio_pci_core_disable()). For another on the same line that is a storm, after which the kernel
 * turns the line off.
 */
static void next_user(void)
{
	uint64_t random = seed;
	unsigned int chosen = (unsigned int)chance(&random, SOAK_EDUS);
	struct weir_device *dev[DEVICES];
	struct edu *edu[SOAK_EDUS];
	struct weir_ioas *as;
	struct weir_mem *mem;

	MUST(weir_ioas_open(NULL, &as));
	MUST(weir_mem_alloc(as, 2 * PAGE, NULL, &mem));
	for (unsigned int i = 0; i < DEVICES; i++)
		dev[i] = open_left(NULL, as, device(devices[i].variable), devices[i].resets);
	nvme_was_reset(dev[NVME]);
	for (unsigned int i = 0; i < SOAK_EDUS; i++) {
		MUST(edu_open(dev[i], &edu[i]));
		MUST(edu_live(edu[i]));
	}
	round_trip(edu[chosen], weir_mem_ptr(mem), (unsigned char)seed);
	for (unsigned int i = 0; i < SOAK_EDUS; i++)
		MUST(edu_close(edu[i]));
	for (unsigned int i = 0; i < DEVICES; i++)
		MUST(weir_device_close(dev[i]));
	MUST(weir_mem_free(mem));
	MUST(weir_ioas_close(as));
}

static void one_round(unsigned long *kills)
{
	bool killed = run_worker();

	*kills += killed;
	for (unsigned int i = 0; i < DEVICES; i++)
		bus_mastering_is_off(device(devices[i].variable));
	if (killed)
		no_late_dma();
	next_user();
	if (pinned() || growth_held())
		fail_msg("worker %llu: %lu pages stay pinned, %lu KiB are held here",
			 (unsigned long long)seed, pinned(), growth_held());
	if (kib("HugePages_Free") != kib("HugePages_Total"))
		fail_msg("worker %llu: %lu hugepages stay taken", (unsigned long long)seed,
			 kib("HugePages_Total") - kib("HugePages_Free"));
	look_at_kernel_log();
}

static void say_done(unsigned long rounds, unsigned long kills)
{
	const struct soak_done *d = soak.done;
	char text[512];

	snprintf(text, sizeof(text), "%s: %lu workers, %lu killed; %lu devices opened, %lu "
		 "mappings, %lu transfers, %lu blocked, %lu blocks, %lu KiB compared; %lu "
		 "interrupts, %lu resets, %lu moves", soak.interface, rounds, kills, d->devices,
		 d->mappings, d->transfers, d->blocked, d->blocks, d->bytes >> 10, d->interrupts,
		 d->resets, d->moves);
	tell(5, "%s", text);
	printf("# soak: %s\n", text);
	for (unsigned int i = 0; i < WATCHED; i++)
		printf("# soak: %s: %zu KiB after warming up, %zu at most since\n",
		       watched[i].what, watched[i].warm >> 10, watched[i].most >> 10);
	fflush(stdout);
}

static void nothing_is_lost(void **state)
{
	double seconds = strtod(device("WEIR_TEST_SECONDS"), NULL), begin = now(), told = begin;
	unsigned int fds = growth_open_fds();
	unsigned long rounds = 0, kills = 0;

	(void)state;
	for (; now() < begin + seconds || rounds < 5; rounds++, seed++) {
		one_round(&kills);
		nothing_grows(now() < begin + seconds * GROWTH_WARM_UP || rounds < 4);
		assert_int_equal(growth_open_fds(), fds);
		if (now() > told + 60) {
			told = now();
			tell(5, "%lu workers, %lu killed, %zu KiB in use", rounds + 1,
				    kills, amount(USED) >> 10);
		}
	}
	say_done(rounds, kills);
	assert_true(kills);
	assert_true(soak.done->transfers && soak.done->interrupts && soak.done->blocked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost),
	};
	const char *text = getenv("WEIR_TEST_SEED");

	seed = text && *text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 100000;
	for (unsigned int i = 0; i < SOAK_EDUS; i++)
		soak.edus[i] = getenv(devices[i].variable);
	soak.nvme = getenv(devices[NVME].variable);
	soak.interface = getenv("WEIR_IOMMU");
	soak.done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	kernel_log = open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (soak.done == MAP_FAILED || kernel_log < 0 || lseek(kernel_log, 0, SEEK_END) < 0 ||
	    !soak.interface) {
		perror("soak");
		return 1;
	}
	soak.pool = kib("HugePages_Total");
	write_text("/proc/sys/vm/drop_caches", "4");	/* and don't tell each time */
	printf("# soak: WEIR_TEST_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
