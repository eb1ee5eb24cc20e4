/* SPDX-License-Identifier: MIT */
/*
 * A remapping unit in this process.
 *
 * Brackets are counted. wr_unit_sync() waits until it has seen each count at zero once, reading
 * it by the same kind of atomic operation that brackets use to change it: all these operations on
 * one count have one order. A bracket that began before the zero in that order has ended, and
 * what was done in it happened before the zero; one that begins after it sees all that the caller
 * of sync had done, such as a cleared page-table entry. This holds whichever count a bracket
 * chooses. That there are two, and sync turns new brackets away from the one it waits for, only
 * keeps it from waiting for brackets without end.
 *
 * What a walk found is kept in the IOTLB (iotlb.h), and sync begins a new generation of it before
 * it looks at the counts. So a bracket that begins after the zero finds that generation or a later
 * one, and takes no entry that is older. Nor are there old findings under a new generation: who
 * inserts has read the generation first, by acquire; if it was the new one, then its walk saw the
 * tables as the caller of sync had left them. The same holds for what else an entry stands for:
 * the requester's context, and whether writes were being tracked. Where they were, an entry serves
 * writes only if its walk was one: then the walk marked the leaf dirty in the entry's generation,
 * or found it marked. Who clears the mark calls sync; a write by way of the entry has ended when
 * that returns, so the page it wrote is among those that were reported.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "pgtable/vtdss.h"
#include "viommu/iotlb.h"
#include "viommu/unit.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

#define CACHE_LINE	64
#define FAULTS		64	/* as many as the unit records until they are taken */
#define CONTEXT_LEVELS	7ull

/*
 * Writes to these addresses are interrupt messages on VT-d, and no page table is asked about
 * them. A model sends its interrupts by other means, so DMA that arrives here is a mistake; it
 * must not reach memory, whatever is mapped here. Of the specification's reasons this is the one
 * for DMA and the interrupt range in legacy mode (LGN.4). The reasons for interrupt requests,
 * 0x20 to 0x26, don't fit: their records have an interrupt's index and no address.
 */
#define INTERRUPT_FIRST	0xfee00000ull
#define INTERRUPT_SIZE	0x00100000ull

struct count {
	unsigned long n;
	char alone[CACHE_LINE - sizeof(unsigned long)];
};

/* The third count is for brackets that a thread can't keep book of, see below. */
enum { PHASES = 2, OVERFLOW = PHASES, COUNTS };

struct wr_unit {
	/*
	 * By bus, then by device and function: the address of the requester's top-level table,
	 * and in the low bits the number of levels; 0 if there is none. One store changes it.
	 */
	uint64_t *contexts[256];
	bool dirty;
	unsigned int phase;		/* the count that new brackets choose */
	_Alignas(CACHE_LINE) struct wr_iotlb iotlb;
	_Alignas(CACHE_LINE) struct count brackets[COUNTS];

	pthread_mutex_t contexts_lock;	/* for who writes them */
	pthread_mutex_t sync_lock;

	pthread_mutex_t faults_lock;
	struct weir_fault faults[FAULTS];
	unsigned int oldest, recorded;
	unsigned long lost;
};

/*
 * The brackets of this thread: in which units it is, how deep, and by which count. A thread that
 * is in more units at once than there is room for uses their third count.
 */
struct bracket {
	struct wr_unit *unit;		/* NULL: not in use */
	unsigned int depth;
	unsigned int count;
};

struct brackets {
	unsigned int depth;		/* over all units */
	struct bracket in[4];
};

/*
 * A fixed distance from the thread pointer: found without a call. The loader has room for this
 * much also where the library is opened late (dlopen).
 */
static _Thread_local struct brackets brackets __attribute__((tls_model("initial-exec")));

int wr_unit_create(struct wr_unit **out)
{
	struct wr_unit *unit = aligned_alloc(_Alignof(struct wr_unit), sizeof(*unit));

	if (!unit)
		return wr_fail(-ENOMEM, "no memory for a software IOMMU");
	memset(unit, 0, sizeof(*unit));
	unit->iotlb.generation = 1;
	pthread_mutex_init(&unit->contexts_lock, NULL);
	pthread_mutex_init(&unit->sync_lock, NULL);
	pthread_mutex_init(&unit->faults_lock, NULL);
	*out = unit;
	return 0;
}

void wr_unit_destroy(struct wr_unit *unit)
{
	if (!unit)
		return;
	pthread_mutex_destroy(&unit->contexts_lock);
	pthread_mutex_destroy(&unit->sync_lock);
	pthread_mutex_destroy(&unit->faults_lock);
	for (unsigned int bus = 0; bus < 256; bus++)
		free(unit->contexts[bus]);
	free(unit);
}

/* ---- requesters ---- */

static uint64_t *context_of(struct wr_unit *unit, uint16_t requester)
{
	uint64_t *bus = __atomic_load_n(&unit->contexts[requester >> 8], __ATOMIC_ACQUIRE);

	return bus ? &bus[requester & 0xff] : NULL;
}

static int attach_locked(struct wr_unit *unit, uint16_t requester, uint64_t context)
{
	uint64_t *slot = context_of(unit, requester), *bus;

	if (!slot) {
		bus = calloc(256, sizeof(*bus));
		if (!bus)
			return wr_fail(-ENOMEM, "no memory for the context entries of bus %02x",
				       requester >> 8);
		__atomic_store_n(&unit->contexts[requester >> 8], bus, __ATOMIC_RELEASE);
		slot = context_of(unit, requester);
	}
	if (*slot)
		return wr_fail(-EEXIST, "requester %02x:%02x.%u is attached already",
			       requester >> 8, requester >> 3 & 0x1f, requester & 7);
	__atomic_store_n(slot, context, __ATOMIC_RELEASE);
	return 0;
}

int wr_unit_attach(struct wr_unit *unit, uint16_t requester, uint64_t root, unsigned int levels)
{
	int ret;

	if (!root || root & ~WR_VTDSS_ADDR || levels < 3 || levels > 5)
		return wr_fail(-EINVAL, "0x%llx isn't the address of a page table, or %u not a "
			       "number of levels", (unsigned long long)root, levels);
	pthread_mutex_lock(&unit->contexts_lock);
	ret = attach_locked(unit, requester, root | levels);
	pthread_mutex_unlock(&unit->contexts_lock);
	return ret;
}

static void set_context(struct wr_unit *unit, uint16_t requester, uint64_t context)
{
	uint64_t *slot;

	pthread_mutex_lock(&unit->contexts_lock);
	slot = context_of(unit, requester);
	if (slot)
		__atomic_store_n(slot, context, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&unit->contexts_lock);
	wr_unit_sync(unit);
}

void wr_unit_replace(struct wr_unit *unit, uint16_t requester, uint64_t root, unsigned int levels)
{
	set_context(unit, requester, root | levels);
}

void wr_unit_detach(struct wr_unit *unit, uint16_t requester)
{
	set_context(unit, requester, 0);
}

void wr_unit_track_dirty(struct wr_unit *unit, bool on)
{
	__atomic_store_n(&unit->dirty, on, __ATOMIC_RELAXED);
}

/* ---- brackets ---- */

static struct bracket *find(struct brackets *all, const struct wr_unit *unit)
{
	for (size_t i = 0; i < sizeof(all->in) / sizeof(all->in[0]); i++)
		if (all->in[i].unit == unit)
			return &all->in[i];
	return NULL;
}

void wr_unit_begin(struct wr_unit *unit)
{
	struct brackets *mine = &brackets;
	struct bracket *bracket = mine->in;
	unsigned int count = OVERFLOW;

	if (mine->depth++) {
		bracket = find(mine, unit);
		if (bracket) {
			bracket->depth++;
			return;
		}
		bracket = find(mine, NULL);
	}
	if (bracket) {
		count = __atomic_load_n(&unit->phase, __ATOMIC_RELAXED);
		*bracket = (struct bracket){ unit, 1, count };
	}
	__atomic_fetch_add(&unit->brackets[count].n, 1, __ATOMIC_SEQ_CST);
}

void wr_unit_end(struct wr_unit *unit)
{
	struct brackets *mine = &brackets;
	struct bracket *bracket = find(mine, unit);
	unsigned int count = OVERFLOW;

	mine->depth--;
	if (bracket) {
		if (--bracket->depth)
			return;
		bracket->unit = NULL;
		count = bracket->count;
	}
	__atomic_fetch_sub(&unit->brackets[count].n, 1, __ATOMIC_RELEASE);
}

bool wr_unit_in_bracket(void)
{
	return brackets.depth;
}

/* Brackets are short: a while of watching, then give way, then sleep. */
static void wait_a_little(unsigned int tries)
{
	struct timespec nap = { .tv_nsec = tries < 1000 ? 20000 : 500000 };

	if (tries >= 200)
		nanosleep(&nap, NULL);
	else if (tries >= 100)
		sched_yield();
}

/*
 * Wait until a count is zero. Adding nothing is the point, see at the top; but it takes the cache
 * line from the brackets' threads, so it is only done when it promises success.
 */
static void drain(struct count *count)
{
	unsigned int tries = 0;

	while (__atomic_load_n(&count->n, __ATOMIC_RELAXED) ||
	       __atomic_fetch_add(&count->n, 0, __ATOMIC_SEQ_CST))
		wait_a_little(tries++);
}

/*
 * The count that isn't chosen now goes first: it has what is left from the last time, and from
 * threads that chose it and were slow to count; none of them does so twice.
 */
void wr_unit_sync(struct wr_unit *unit)
{
	unsigned int phase;

	wr_iotlb_invalidate(&unit->iotlb);
	pthread_mutex_lock(&unit->sync_lock);
	phase = unit->phase;
	drain(&unit->brackets[!phase]);
	__atomic_store_n(&unit->phase, !phase, __ATOMIC_RELAXED);
	drain(&unit->brackets[phase]);
	drain(&unit->brackets[OVERFLOW]);
	pthread_mutex_unlock(&unit->sync_lock);
}

/* ---- faults ---- */

static void record(struct wr_unit *unit, const struct weir_fault *fault)
{
	pthread_mutex_lock(&unit->faults_lock);
	if (unit->recorded < FAULTS)
		unit->faults[(unit->oldest + unit->recorded++) % FAULTS] = *fault;
	else
		unit->lost++;
	pthread_mutex_unlock(&unit->faults_lock);
}

static int blocked(struct wr_unit *unit, uint16_t requester, weir_iova iova, bool write,
		   unsigned int reason)
{
	const struct weir_fault fault = {
		.iova = iova,
		.requester = requester,
		.write = write,
		.reason = reason,
		.text = wr_vtd_reason_text(reason),
	};

	record(unit, &fault);
	return wr_fail(-EFAULT, "%02x:%02x.%u: DMA %s at IOVA 0x%llx was blocked: %s (VT-d fault "
		       "0x%x)", requester >> 8, requester >> 3 & 0x1f, requester & 7,
		       write ? "write" : "read", (unsigned long long)iova, fault.text, reason);
}

int wr_unit_faults(struct wr_unit *unit, struct weir_fault *faults, size_t n)
{
	unsigned long lost;
	unsigned int i;

	pthread_mutex_lock(&unit->faults_lock);
	for (i = 0; i < n && unit->recorded; i++) {
		faults[i] = unit->faults[unit->oldest];
		unit->oldest = (unit->oldest + 1) % FAULTS;
		unit->recorded--;
	}
	lost = unit->lost;
	if (i)
		unit->lost = 0;
	pthread_mutex_unlock(&unit->faults_lock);
	if (i && lost)
		wr_log(WEIR_LOG_WARN, "%lu DMA faults after the recorded ones were dropped: the "
		       "record holds %d", lost, FAULTS);
	return (int)i;
}

/* ---- access ---- */

/* Returns 0 or the fault's reason. */
static unsigned int walk_and_keep(struct wr_unit *unit, uint16_t requester, uint64_t iova,
				  bool write, struct wr_walk *walk)
{
	uint64_t generation = wr_iotlb_generation(&unit->iotlb);
	const uint64_t *slot = context_of(unit, requester);
	uint64_t context = slot ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : 0;
	bool dirty = __atomic_load_n(&unit->dirty, __ATOMIC_RELAXED);
	int reason;

	if (iova - INTERRUPT_FIRST < INTERRUPT_SIZE)
		return WR_VTD_INTERRUPT_RANGE;
	if (!context)
		return WR_VTD_CONTEXT_NOT_PRESENT;
	reason = wr_vtdss_walk(&wr_pt_here, context & ~CONTEXT_LEVELS, context & CONTEXT_LEVELS,
			       iova, write, dirty, walk);
	if (reason)
		return (unsigned int)reason;
	/* A large leaf may cover the interrupt range: what is kept of it is only this page. */
	if (iova < INTERRUPT_FIRST && walk->run > INTERRUPT_FIRST - iova) {
		walk->run = INTERRUPT_FIRST - iova;
		walk->shift = 12;
	}
	wr_iotlb_insert(&unit->iotlb, generation, requester, iova, walk,
			walk->write && (write || !dirty));
	return 0;
}

/* Not inlined, so that a hit doesn't save and restore registers. */
static __attribute__((noinline)) int translate_slow(struct wr_unit *unit, uint16_t requester,
						    weir_iova iova, size_t len, bool write,
						    void **ptr, size_t *run)
{
	struct wr_walk walk;
	unsigned int reason = walk_and_keep(unit, requester, iova, write, &walk);

	if (reason)
		return blocked(unit, requester, iova, write, reason);
	*ptr = (void *)(uintptr_t)walk.addr;
	*run = walk.run < len ? walk.run : len;
	return 0;
}

static inline int translate(struct wr_unit *unit, uint16_t requester, weir_iova iova, size_t len,
			    bool write, void **ptr, size_t *run)
{
	uint64_t addr, leaf;

	if (!wr_iotlb_find(&unit->iotlb, requester, iova, write, &addr, &leaf))
		return translate_slow(unit, requester, iova, len, write, ptr, run);
	*ptr = (void *)(uintptr_t)addr;
	*run = leaf < len ? leaf : len;
	return 0;
}

int wr_unit_translate(struct wr_unit *unit, uint16_t requester, weir_iova iova, size_t len,
		      bool write, void **ptr, size_t *run)
{
	return translate(unit, requester, iova, len, write, ptr, run);
}

/*
 * DMA goes to memory that the driver uses at the same time, polling it or building its next
 * command there. That is what DMA is, and how devices and drivers agree on who reads when is
 * their business; C calls it a data race. So ThreadSanitizer is told not to look at the driver's
 * side of a copy. It still looks at the device's, and at all of the unit's own state.
 */
#ifdef UNDER_TSAN
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
void __tsan_read_range(void *addr, long size);
void __tsan_write_range(void *addr, long size);

static void copy_begins(void *buf, size_t len, bool buf_written)
{
	if (buf_written)
		__tsan_write_range(buf, (long)len);
	else
		__tsan_read_range(buf, (long)len);
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}

static void copy_ends(void)
{
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

#define fence(order) do { } while (0)	/* it knows none, and runs where they cost nothing */
#else
#define copy_begins(buf, len, buf_written) do { } while (0)
#define copy_ends() do { } while (0)
#define fence(order) __atomic_thread_fence(order)
#endif

typedef uint16_t __attribute__((may_alias)) any16;
typedef uint32_t __attribute__((may_alias)) any32;
typedef uint64_t __attribute__((may_alias)) any64;

/*
 * The largest word, of up to 8 bytes, that ends at @end, is aligned, and has at most @len bytes.
 */
static size_t last_word(const char *end, size_t len)
{
	size_t size = 1u << __builtin_ctz((unsigned int)(uintptr_t)end | 8);

	while (size > len)
		size /= 2;
	return size;
}

/*
 * As posted writes arrive: after what the device wrote before. The last word comes last and
 * whole, since drivers poll it (a completion's phase bit, a counter).
 */
static void to_memory(char *memory, const char *buf, size_t len)
{
	size_t word = last_word(memory + len, len), rest = len - word;
	uint64_t value64;
	uint32_t value32;
	uint16_t value16;

	fence(__ATOMIC_RELEASE);
	memcpy(memory, buf, rest);
	switch (word) {
	case 8:
		memcpy(&value64, buf + rest, 8);
		__atomic_store_n((any64 *)(memory + rest), value64, __ATOMIC_RELEASE);
		break;
	case 4:
		memcpy(&value32, buf + rest, 4);
		__atomic_store_n((any32 *)(memory + rest), value32, __ATOMIC_RELEASE);
		break;
	case 2:
		memcpy(&value16, buf + rest, 2);
		__atomic_store_n((any16 *)(memory + rest), value16, __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n(memory + rest, buf[rest], __ATOMIC_RELEASE);
	}
}

/* A single aligned word is read whole; later reads see memory no older than this one did. */
static void from_memory(char *buf, const char *memory, size_t len)
{
	size_t word = last_word(memory + len, len);
	uint64_t value64;
	uint32_t value32;
	uint16_t value16;

	if (word != len) {
		memcpy(buf, memory, len);
	} else if (len == 8) {
		value64 = __atomic_load_n((const any64 *)memory, __ATOMIC_ACQUIRE);
		memcpy(buf, &value64, 8);
	} else if (len == 4) {
		value32 = __atomic_load_n((const any32 *)memory, __ATOMIC_ACQUIRE);
		memcpy(buf, &value32, 4);
	} else if (len == 2) {
		value16 = __atomic_load_n((const any16 *)memory, __ATOMIC_ACQUIRE);
		memcpy(buf, &value16, 2);
	} else {
		*buf = __atomic_load_n(memory, __ATOMIC_ACQUIRE);
	}
	fence(__ATOMIC_ACQUIRE);
}

static void copy(char *memory, char *device, size_t len, bool write)
{
	copy_begins(device, len, !write);
	if (write)
		to_memory(memory, device, len);
	else
		from_memory(device, memory, len);
	copy_ends();
}

/* Pages that follow each other in memory too are copied in one go, which memcpy is better at. */
int wr_unit_dma(struct wr_unit *unit, uint16_t requester, weir_iova iova, void *buf, size_t len,
		bool write)
{
	char *device = buf, *memory = NULL;
	size_t known = 0, run;		/* bytes at memory that are still to be copied */
	void *ptr;
	int ret = 0;

	wr_unit_begin(unit);
	while (known < len) {
		ret = translate(unit, requester, iova + known, len - known, write, &ptr, &run);
		if (!ret && ptr == memory + known) {
			known += run;
			continue;
		}
		if (known)
			copy(memory, device, known, write);
		iova += known;
		device += known;
		len -= known;
		known = 0;
		if (ret)
			break;
		memory = ptr;
		known = run;
	}
	if (known)
		copy(memory, device, known, write);
	wr_unit_end(unit);
	return ret;
}
