/* SPDX-License-Identifier: MIT */
/* The translation map: what is mapped, in both directions, and memory mapped several times. */
#include "maps_rig.h"
#include "tests/chance.h"

static void assert_iova(const struct wr_maps *maps, uint64_t vaddr, weir_iova iova, uint64_t len)
{
	weir_iova found = 7;
	size_t run = 7;

	assert_true(wr_maps_to_iova(maps, (void *)(uintptr_t)vaddr, &found, &run));
	assert_true(found == iova);
	assert_true(run == len);
	found = 7;
	assert_true(wr_maps_to_iova(maps, (void *)(uintptr_t)vaddr, &found, NULL));
	assert_true(found == iova);
}

static void assert_vaddr(const struct wr_maps *maps, weir_iova iova, uint64_t vaddr, uint64_t len)
{
	void *found = NULL;
	size_t run = 7;

	assert_true(wr_maps_to_vaddr(maps, iova, &found, &run));
	assert_true((uintptr_t)found == vaddr);
	assert_true(run == len);
	assert_true(wr_maps_to_vaddr(maps, iova, &found, NULL));
	assert_true((uintptr_t)found == vaddr);
}

static void assert_no_iova(const struct wr_maps *maps, uint64_t vaddr)
{
	weir_iova iova = 7;
	size_t len = 7;

	assert_false(wr_maps_to_iova(maps, (void *)(uintptr_t)vaddr, &iova, &len));
	assert_true(iova == 7 && len == 7);
}

static void assert_next(struct wr_maps *maps, weir_iova first, weir_iova last, weir_iova iova,
			uint64_t len)
{
	struct wr_mapping m = { 0 };

	assert_true(wr_maps_next(maps, first, last, &m));
	assert_true(m.iova == iova && m.len == len);
}

static void assert_no_next(struct wr_maps *maps, weir_iova first, weir_iova last)
{
	struct wr_mapping m;

	assert_false(wr_maps_next(maps, first, last, &m));
}

/* ---- the map ---- */

static void empty_map_finds_nothing(void **state)
{
	void *vaddr;

	assert_no_next(*state, 0, TOP);
	assert_no_iova(*state, 0);
	assert_no_iova(*state, TOP);
	assert_false(wr_maps_to_vaddr(*state, 0, &vaddr, NULL));
	assert_false(wr_maps_to_vaddr(*state, TOP, &vaddr, NULL));
}

static void bounds_are_to_the_byte(void **state)
{
	struct wr_maps *maps = *state;
	struct wr_mapping m = mapping(2 * PAGE, MEMORY, 2 * PAGE);
	void *vaddr;

	m.dir = WEIR_DMA_FROM_DEVICE;
	assert_int_equal(wr_maps_add(maps, &m), 0);
	assert_no_next(maps, 0, 2 * PAGE - 1);
	assert_no_next(maps, 4 * PAGE, TOP);
	assert_next(maps, 0, 2 * PAGE, 2 * PAGE, 2 * PAGE);
	assert_next(maps, 3 * PAGE + 1, 3 * PAGE + 1, 2 * PAGE, 2 * PAGE);
	assert_next(maps, 4 * PAGE - 1, TOP, 2 * PAGE, 2 * PAGE);
	m.dir = WEIR_DMA_BOTH;
	assert_true(wr_maps_next(maps, 0, TOP, &m));
	assert_int_equal(m.dir, WEIR_DMA_FROM_DEVICE);
	assert_true((uintptr_t)m.vaddr == MEMORY);
	assert_vaddr(maps, 2 * PAGE, MEMORY, 2 * PAGE);
	assert_vaddr(maps, 4 * PAGE - 1, MEMORY + 2 * PAGE - 1, 1);
	assert_iova(maps, MEMORY + 5, 2 * PAGE + 5, 2 * PAGE - 5);
	assert_no_iova(maps, MEMORY - 1);
	assert_no_iova(maps, MEMORY + 2 * PAGE);
	assert_false(wr_maps_to_vaddr(maps, 4 * PAGE, &vaddr, NULL));
}

static void neighbours_stay_apart(void **state)
{
	struct wr_maps *maps = *state;

	/* Not in order, adjacent in both directions, and the first and last byte of 64 bits. */
	add_at(maps, 2 * PAGE, MEMORY + 2 * PAGE, PAGE);
	add_at(maps, TOP - PAGE + 1, MEMORY - PAGE, PAGE);
	add_at(maps, 1 * PAGE, MEMORY + 1 * PAGE, PAGE);
	add_at(maps, 0, MEMORY, PAGE);
	assert_int_equal(maps->n, 4);
	for (weir_iova n = 0; n < 3; n++) {
		assert_next(maps, n * PAGE, TOP, n * PAGE, PAGE);
		assert_vaddr(maps, n * PAGE + 1, MEMORY + n * PAGE + 1, PAGE - 1);
		assert_iova(maps, MEMORY + n * PAGE, n * PAGE, PAGE);
	}
	assert_next(maps, 3 * PAGE, TOP, TOP - PAGE + 1, PAGE);
	assert_next(maps, TOP, TOP, TOP - PAGE + 1, PAGE);
	assert_no_next(maps, 3 * PAGE, TOP - PAGE);
	remove_at(maps, PAGE);
	assert_int_equal(maps->n, 3);
	assert_no_next(maps, PAGE, 2 * PAGE - 1);
	remove_at(maps, TOP - PAGE + 1);
	assert_no_next(maps, 3 * PAGE, TOP);
	remove_at(maps, 0);
	assert_no_iova(maps, MEMORY);
	assert_iova(maps, MEMORY + 2 * PAGE, 2 * PAGE, PAGE);
}

static void every_shape_is_one_mapping(void **state)
{
	static const uint64_t lens[] = {
		PAGE, 63 * PAGE, 64 * PAGE, 65 * PAGE, 512 * PAGE, MB2 + PAGE, 65 * MB2, GB - PAGE,
		GB,
		GB + PAGE, 2 * GB + MB2 + PAGE, 70 * GB + 3 * PAGE,
	};
	static const uint64_t offsets[] = { 0, PAGE, MB2 - PAGE, MB2, GB - PAGE, GB - MB2 };
	static const weir_iova bases[] = {
		4 * GB, (1ull << 48) - 2 * GB, 1ull << 48, (1ull << 57) - GB, 1ull << 57,
		0 - 75 * GB,
	};
	struct wr_maps *maps = *state;

	for (size_t n = 0; n < 12 * 6 * 6; n++) {
		uint64_t len = lens[n % 12], vaddr = MEMORY + offsets[n / 12 % 6];
		weir_iova iova = bases[n / 72] + offsets[(n + n / 12) % 6];

		add_at(maps, iova, vaddr, len);
		assert_next(maps, 0, TOP, iova, len);
		assert_next(maps, iova + len - 1, iova + len - 1, iova, len);
		for (uint64_t at = 0; at < len; at += len / 7 + 1) {
			assert_iova(maps, vaddr + at, iova + at, len - at);
			assert_vaddr(maps, iova + at, vaddr + at, len - at);
		}
		assert_iova(maps, vaddr + len - 1, iova + len - 1, 1);
		assert_no_iova(maps, vaddr - 1);
		assert_no_iova(maps, vaddr + len);
		assert_no_next(maps, iova + len, TOP);
		assert_no_next(maps, 0, iova - 1);
		remove_at(maps, iova);
		assert_no_next(maps, 0, TOP);
	}
}

static void the_largest_mapping_there_can_be(void **state)
{
	add_at(*state, 0 - WR_RADIX_LEN_MAX, PAGE, WR_RADIX_LEN_MAX);
	assert_vaddr(*state, TOP, WR_RADIX_LEN_MAX + PAGE - 1, 1);
	assert_iova(*state, 5 * GB, 5 * GB - PAGE - WR_RADIX_LEN_MAX,
		    WR_RADIX_LEN_MAX - 5 * GB + PAGE);
	remove_at(*state, 0 - WR_RADIX_LEN_MAX);
	assert_no_next(*state, 0, TOP);
}

/* ---- memory mapped several times ---- */

/* In pieces of every size; and not a byte before or behind. */
static void memory_that_is_mapped_is_found(void **state)
{
	static const uint64_t sizes[] = { PAGE, MB2, GB };
	struct wr_maps *maps = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t at = MEMORY + 4 * GB, len = 3 * sizes[i];
		weir_iova iova = 0;

		add_at(maps, 8 * GB, at, len);
		assert_false(wr_maps_have(maps, (void *)MEMORY, 4 * GB, &iova));
		assert_false(wr_maps_have(maps, (void *)(at + len), GB, &iova));
		assert_int_equal(iova, 0);
		assert_true(wr_maps_have(maps, (void *)MEMORY, 4 * GB + 1, &iova));
		assert_int_equal(iova, 8 * GB);
		assert_true(wr_maps_have(maps, (void *)(at + len - PAGE), 8 * GB, &iova));
		assert_int_equal(iova, 8 * GB + len - PAGE);
		assert_true(wr_maps_have(maps, (void *)(at + PAGE), PAGE, &iova) &&
			    iova == 8 * GB + PAGE);
		remove_at(maps, 8 * GB);
	}
}

static void memory_answers_with_its_oldest_mapping(void **state)
{
	struct wr_maps *maps = *state;

	add_at(maps, 8 * PAGE, MEMORY + PAGE, 2 * PAGE);
	add_at(maps, 1 * PAGE, MEMORY, 4 * PAGE);
	assert_no_iova(maps, MEMORY - 1);
	assert_iova(maps, MEMORY, PAGE, 4 * PAGE);
	assert_iova(maps, MEMORY + PAGE, 8 * PAGE, 2 * PAGE);
	assert_iova(maps, MEMORY + 3 * PAGE - 1, 10 * PAGE - 1, 1);
	assert_iova(maps, MEMORY + 3 * PAGE, 4 * PAGE, PAGE);
	assert_no_iova(maps, MEMORY + 4 * PAGE);

	/* Mapped anew, the oldest has become the youngest. */
	remove_at(maps, 8 * PAGE);
	assert_iova(maps, MEMORY + PAGE, 2 * PAGE, 3 * PAGE);
	add_at(maps, 8 * PAGE, MEMORY + PAGE, 2 * PAGE);
	assert_iova(maps, MEMORY + PAGE, 2 * PAGE, 3 * PAGE);
	remove_at(maps, PAGE);
	assert_no_iova(maps, MEMORY);
	assert_iova(maps, MEMORY + PAGE, 8 * PAGE, 2 * PAGE);
}

/* Three mappings over each other, of every leaf size, in every order of removal. */
static void the_next_oldest_follows(void **state)
{
	static const struct {
		uint64_t at, len;
	} shapes[] = {
		{ 0, PAGE }, { 0, MB2 }, { 0, GB }, { 0, 2 * GB }, { MB2 - PAGE, 2 * PAGE },
		{ MB2, MB2 }, { PAGE, GB }, { GB - MB2, 2 * MB2 }, { MB2 + PAGE, 2 * MB2 },
	};
	enum { N = sizeof(shapes) / sizeof(shapes[0]) };
	struct wr_maps *maps = *state;

	for (size_t n = 0; n < N * N * N * 6; n++) {
		const size_t shape[] = { n % N, n / N % N, n / N / N % N };
		const size_t order[] = { n / N / N / N % 3, (n / N / N / N % 3 + 1 +
							     n / N / N / N / 3) % 3 };
		bool live[] = { true, true, true };

		for (size_t i = 0; i < 3; i++)
			add_at(maps, (i + 1) * 16 * GB, MEMORY + shapes[shape[i]].at,
			       shapes[shape[i]].len);
		for (size_t gone = 0; ; gone++) {
			for (uint64_t at = 0; at < 2 * GB; at += at % MB2 ? MB2 - PAGE : PAGE) {
				size_t i = 0;

				if (at > 4 * MB2 && at < GB - 2 * MB2)
					at = GB - 2 * MB2;
				while (i < 3 && !(live[i] && at - shapes[shape[i]].at <
							     shapes[shape[i]].len))
					i++;
				if (i == 3)
					assert_no_iova(maps, MEMORY + at);
				else
					assert_iova(maps, MEMORY + at, (i + 1) * 16 * GB + at -
						    shapes[shape[i]].at, shapes[shape[i]].len -
						    (at - shapes[shape[i]].at));
				if (at > GB + 4 * MB2)
					break;
			}
			if (gone == 2)
				break;
			remove_at(maps, (order[gone] + 1) * 16 * GB);
			live[order[gone]] = false;
		}
		remove_at(maps, (3 - order[0] - order[1] + 1) * 16 * GB);
		assert_int_equal(maps->n_hidden, 0);
	}
	assert_int_equal(maps->by_vaddr.tables, 63);
}

/* Small pieces hidden below a large leaf take tables when that goes, which prepare() has made. */
static void uncovering_needs_no_memory(void **state)
{
	struct wr_maps *maps = *state;

	add_at(maps, 16 * GB, MEMORY, 2 * GB);
	for (uint64_t i = 0; i < 500; i++)
		add_at(maps, PAGE + i * 2 * PAGE, MEMORY + i * 2 * MB2 + i * PAGE, PAGE);
	add_at(maps, 32 * GB, MEMORY - PAGE, 2 * GB + 2 * PAGE);
	remove_at(maps, 16 * GB);
	for (uint64_t i = 0; i < 500; i++)
		assert_iova(maps, MEMORY + i * 2 * MB2 + i * PAGE, PAGE + i * 2 * PAGE, PAGE);
	assert_iova(maps, MEMORY + GB + MB2, 32 * GB + PAGE + GB + MB2, GB - MB2 + PAGE);
	assert_true(maps->by_vaddr.tables <= 500 + 2 + 2 + 3 * 63);
	for (uint64_t i = 0; i < 500; i++)
		remove_at(maps, PAGE + i * 2 * PAGE);
	assert_iova(maps, MEMORY - PAGE, 32 * GB, 2 * GB + 2 * PAGE);
	remove_at(maps, 32 * GB);
	assert_int_equal(maps->n_hidden, 0);
}

/* The same memory, mapped a thousand times: no tables are made for what needs none. */
static void hidden_mappings_take_no_tables(void **state)
{
	struct wr_maps *maps = *state;

	for (uint64_t i = 1; i <= 1000; i++)
		add_at(maps, i * 4 * GB, MEMORY, i % 2 ? 2 * GB : GB);
	for (uint64_t i = 1; i <= 1000; i++) {
		assert_iova(maps, MEMORY, i * 4 * GB, i % 2 ? 2 * GB : GB);
		remove_at(maps, i * 4 * GB);
	}
	assert_no_iova(maps, MEMORY);
	assert_int_equal(maps->by_vaddr.tables, 0);
}

/* ---- at random, against a list ---- */

#define N 40

static uint64_t seed;

static unsigned int any(unsigned int below)
{
	return (unsigned int)chance(&seed, below);
}

/* The oldest first. */
struct list {
	struct wr_mapping m[N];
	int n;
};

static const struct wr_ranges windows = { 4, {
	{ 0, 3 * GB - 1 }, { 3 * GB, 5 * GB + 3 * PAGE - 1 }, { (1ull << 48) - 2 * GB,
	(1ull << 48) + 2 * GB - 1 }, { 0 - 3 * GB, TOP } } };

static bool is_free_there(const struct list *list, weir_iova first, uint64_t len)
{
	weir_iova last = first + (len - 1);

	if (last < first || !first || !wr_ranges_hold(&windows, first, last))
		return false;
	for (int i = 0; i < list->n; i++)
		if (first - list->m[i].iova < list->m[i].len ||
		    list->m[i].iova - first < len)
			return false;
	return true;
}

/* The lowest place begins where a window does, or behind a mapping, rounded up. */
static weir_iova lowest(const struct list *list, uint64_t len, uint64_t align, weir_iova limit)
{
	weir_iova best = 0;

	for (int i = 0; i < list->n + (int)windows.n; i++) {
		weir_iova at = i < list->n ? list->m[i].iova + list->m[i].len :
			       windows.r[i - list->n].first;

		at = at ? (at + align - 1) & ~(align - 1) :
		     i < list->n ? 0 : align;
		if (at && is_free_there(list, at, len) && at + (len - 1) <= limit &&
		    (!best || at < best))
			best = at;
	}
	return best;
}

static uint64_t random_len(void)
{
	static const uint64_t sizes[] = { PAGE, PAGE, 16 * PAGE, 70 * PAGE, MB2, 3 * MB2, GB };
	uint64_t len = sizes[any(7)];

	if (!any(3))
		len += any(3) * PAGE;
	if (!any(3) && len > PAGE)
		len -= PAGE;
	return len;
}

static uint64_t random_vaddr(void)
{
	static const uint64_t bases[] = { GB, MEMORY, (1ull << 48) - GB, (1ull << 57) - GB };

	return bases[any(4)] + any(2) * GB + any(3) * (MB2 << any(6)) +
	       any(2) * PAGE * any(600);
}

static void look_up_at_random(struct wr_maps *maps, const struct list *list)
{
	const struct wr_mapping *in = &list->m[any((unsigned int)list->n)], *oldest = NULL;
	uint64_t at = any(2) ? any((unsigned int)(in->len / PAGE)) * PAGE + any(PAGE) :
			any(2) ? in->len : 0 - 1ull;
	uint64_t key = (uintptr_t)in->vaddr + at;
	struct wr_mapping next;

	for (int i = list->n; i-- > 0;)
		if (key - (uintptr_t)list->m[i].vaddr < list->m[i].len)
			oldest = &list->m[i];
	if (oldest) {
		uint64_t offset = key - (uintptr_t)oldest->vaddr;

		assert_iova(maps, key, oldest->iova + offset, oldest->len - offset);
	} else {
		assert_no_iova(maps, key);
	}
	if (at < in->len)
		assert_vaddr(maps, in->iova + at, key, in->len - at);
	assert_true(wr_maps_next(maps, in->iova, in->iova + (in->len - 1), &next));
	assert_true(next.iova == in->iova && next.len == in->len && next.vaddr == in->vaddr &&
		    next.dir == in->dir);
}

static void check_all(struct wr_maps *maps, const struct list *list)
{
	struct wr_mapping m;
	weir_iova at = 0;
	int n = 0;

	while (wr_maps_next(maps, at, TOP, &m)) {
		bool found = false;

		for (int i = 0; i < list->n; i++)
			found = found || (list->m[i].iova == m.iova && list->m[i].len == m.len);
		assert_true(found);
		n++;
		at = m.iova + m.len;
		if (!at)
			break;
	}
	assert_int_equal(n, list->n);
	assert_int_equal(maps->n, list->n);
}

static void add_at_random(struct wr_maps *maps, struct list *list)
{
	struct wr_mapping m = mapping(0, random_vaddr(), random_len());
	static const uint64_t aligns[] = { PAGE, MB2, GB };
	unsigned int align = any(3);
	weir_iova limit = any(3) ? TOP : any(2) ? (1ull << 39) - 1 : any(1u << 31);
	int ret;

	m.dir = (enum weir_dma_dir)any(3);
	if (any(2)) {
		m.iova = lowest(list, m.len, aligns[align], limit);
		assert_choice(maps, m.len, (enum wr_space_align)align, limit, m.iova);
		if (!m.iova)
			return;
	} else {
		const struct weir_iova_range *r = &windows.r[any(4)];

		m.iova = r->first + any((unsigned int)((r->last - r->first) / PAGE)) * PAGE;
		if (any(2))
			m.iova &= ~(GB - 1);
		if (!is_free_there(list, m.iova, m.len))
			return;
	}
	calls_left = any(8) ? -1 : 0;
	ret = wr_maps_add(maps, &m);
	calls_left = -1;
	if (ret) {
		assert_int_equal(ret, -ENOMEM);
		check_all(maps, list);
	} else {
		list->m[list->n++] = m;
	}
}

static void random_steps_match_the_reference(void **state)
{
	static struct list list;
	struct wr_maps *maps = *state;

	seed = 20240229;
	assert_int_equal(wr_maps_set_ranges(maps, &windows), 0);
	for (int step = 0; step < 30000; step++) {
		if (list.n == N || (list.n && !any(3))) {
			int i = (int)any((unsigned int)list.n);

			remove_at(maps, list.m[i].iova);
			list.n--;
			memmove(&list.m[i], &list.m[i + 1],
				(size_t)(list.n - i) * sizeof(list.m[0]));
		}
		add_at_random(maps, &list);
		for (int i = 0; list.n && i < 6; i++)
			look_up_at_random(maps, &list);
		if (step % 256 == 0)
			check_all(maps, &list);
		if (step % 1000 == 0)
			assert_int_equal(wr_maps_set_ranges(maps, &windows), 0);
	}
	while (list.n)
		remove_at(maps, list.m[--list.n].iova);
	assert_int_equal(maps->n_hidden, 0);
	check_all(maps, &list);
	assert_true(maps->by_iova.tables <= 4 * 63 && maps->by_vaddr.tables <= 8 * 63);
}

/* ---- without memory ---- */

/* Every call for memory of an add fails once; what was there stays, and is found. */
static void adding_is_all_or_nothing(void **state)
{
	static struct list list;
	struct wr_maps *maps = *state;
	/* With memory that an older one has, at addresses that take all the levels there are. */
	const struct wr_mapping m = mapping(1ull << 57, MEMORY - PAGE, 2 * GB);
	int n = 0;

	add_at(maps, PAGE, MEMORY, PAGE);
	list.m[list.n++] = mapping(PAGE, MEMORY, PAGE);
	for (;; n++) {
		/* No table is left over, so that some must be had. */
		while (maps->by_iova.spares)
			add(maps, (1ull << 58) + maps->n * GB + PAGE, PAGE);
		while (maps->by_vaddr.spares)
			add(maps, (1ull << 58) + maps->n * GB + PAGE, PAGE);
		list.n = 1;
		calls_left = n;
		if (!wr_maps_add(maps, &m))
			break;
		calls_left = -1;
		assert_no_next(maps, m.iova, m.iova + (m.len - 1));
		assert_no_iova(maps, MEMORY - PAGE);
		assert_iova(maps, MEMORY, PAGE, PAGE);
		assert_no_iova(maps, MEMORY + PAGE);
		assert_true(wr_space_is_free(&maps->space, m.iova, m.iova + (m.len - 1)));
		assert_int_equal(maps->n_hidden, 0);
	}
	calls_left = -1;
	assert_true(n >= 1);
	assert_int_equal(maps->n_hidden, 1);
	remove_at(maps, m.iova);
	assert_iova(maps, MEMORY, PAGE, PAGE);
}

/* Removing what can't be removed without memory is refused beforehand. */
static void preparing_to_remove_can_fail(void **state)
{
	struct wr_maps *maps = *state;
	struct wr_mapping m;

	add_at(maps, 16 * GB, MEMORY, GB);
	for (uint64_t i = 0; i < 70; i++)
		add_at(maps, PAGE + i * 2 * PAGE, MEMORY + i * 2 * MB2 + PAGE, PAGE);
	assert_true(wr_maps_next(maps, 16 * GB, 16 * GB, &m));
	for (int n = 0; ; n++) {
		calls_left = n;
		if (!wr_maps_prepare_remove(maps, &m, 1))
			break;
		assert_in_range(n, 0, 1);
		assert_iova(maps, MEMORY, 16 * GB, GB);
		assert_iova(maps, MEMORY + PAGE, 16 * GB + PAGE, GB - PAGE);
	}
	calls_left = -1;
	remove_at(maps, 16 * GB);
	for (uint64_t i = 0; i < 70; i++)
		assert_iova(maps, MEMORY + i * 2 * MB2 + PAGE, PAGE + i * 2 * PAGE, PAGE);
}

#define HIDDEN 150		/* more than two chunks have tables */

/* A mapping of one large leaf, and pages that it hides. */
static void add_hiding(struct wr_maps *maps, weir_iova iova, uint64_t at, uint64_t from)
{
	add_at(maps, iova, at, GB);
	for (uint64_t i = from; i < from + HIDDEN; i++)
		add_at(maps, PAGE + i * 2 * PAGE, at + (i - from) * 2 * MB2 + PAGE, PAGE);
}

static void assert_uncovered(const struct wr_maps *maps, uint64_t at, uint64_t from)
{
	for (uint64_t i = from; i < from + HIDDEN; i++)
		assert_iova(maps, at + (i - from) * 2 * MB2 + PAGE, PAGE + i * 2 * PAGE, PAGE);
}

static void several_are_removed_without_memory(void **state)
{
	const struct wr_mapping m[2] = {
		mapping(16 * GB, MEMORY, GB), mapping(17 * GB, MEMORY + 4 * GB, GB),
	};
	struct wr_maps *maps = *state;

	add_hiding(maps, m[0].iova, MEMORY, 0);
	add_hiding(maps, m[1].iova, MEMORY + 4 * GB, HIDDEN);
	assert_int_equal(wr_maps_prepare_remove(maps, m, 2), 0);
	calls_left = 0;
	for (size_t i = 0; i < 2; i++)
		wr_maps_remove(maps, &m[i]);
	assert_int_equal(calls_left, 0);
	calls_left = -1;
	assert_uncovered(maps, MEMORY, 0);
	assert_uncovered(maps, MEMORY + 4 * GB, HIDDEN);
}

/* Of any number that follow one another, a few extents are made, also where a range ends now. */
static void many_are_removed_with_little_memory(void **state)
{
	const struct wr_ranges two = { 2, { { 0, 2 * GB - 1 }, { 2 * GB, TOP } } };
	static struct wr_mapping m[1000];
	struct wr_maps *maps = *state;
	size_t nodes;

	for (size_t from_last = 0; from_last < 2; from_last++) {
		for (uint64_t i = 0; i < 1000; i++) {
			m[i] = mapping(2 * GB + i * PAGE - 500 * PAGE, MEMORY, PAGE);
			assert_int_equal(wr_maps_add(maps, &m[i]), 0);
		}
		assert_int_equal(wr_maps_set_ranges(maps, &two), 0);
		assert_int_equal(wr_maps_prepare_remove(maps, m, 1000), 0);
		nodes = maps->space.nodes;
		assert_in_range(nodes, 1, 20);
		for (size_t i = 0; i < 1000; i++)
			wr_maps_remove(maps, &m[from_last ? 999 - i : i]);
		assert_int_equal(maps->space.nodes, nodes);
		assert_choice(maps, 2 * GB - PAGE, WR_SPACE_PAGE, TOP, PAGE);
		assert_choice(maps, 2 * GB, WR_SPACE_PAGE, TOP, 2 * GB);
		assert_int_equal(wr_maps_set_ranges(maps, &everything), 0);
	}
}

/* Each leaves an extent of its own, for which preparing it makes room. */
static void every_second_of_many_is_removed(void **state)
{
	struct wr_maps *maps = *state;

	for (uint64_t i = 1; i <= 4000; i++)
		add(maps, i * PAGE, PAGE);
	for (uint64_t i = 2; i <= 4000; i += 2)
		remove_at(maps, i * PAGE);
	for (uint64_t i = 2; i <= 4000; i += 2) {
		assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, i * PAGE);
		add(maps, i * PAGE, PAGE);
	}
	assert_choice(maps, PAGE, WR_SPACE_PAGE, TOP, 4001 * PAGE);
}

/* Its beginning has all the memory that it takes, or changes nothing, as undoing it does. */
static void memory_moves_without_memory(void **state)
{
	const struct wr_mapping m = mapping(16 * GB, MEMORY, GB);
	char *there = (char *)(uintptr_t)(MEMORY + 4 * GB + PAGE);
	struct wr_maps *maps = *state;
	int n = 0, ret;

	add_hiding(maps, m.iova, MEMORY, 0);
	add_at(maps, GB, MEMORY + 5 * GB, PAGE);
	do {
		calls_left = n;
		ret = wr_maps_move_begin(maps, &m, there);
		calls_left = 0;
		if (!ret)
			wr_maps_move_undo(maps, &m, there);
		assert_int_equal(calls_left, 0);
		assert_in_range(++n, 1, 20);
		assert_iova(maps, MEMORY, m.iova, GB);
		assert_no_iova(maps, (uintptr_t)there);
		assert_int_equal(maps->n_hidden, HIDDEN);
	} while (ret);
	assert_true(n > 1);
	calls_left = -1;
	assert_int_equal(wr_maps_move_begin(maps, &m, there), 0);
	calls_left = 0;
	wr_maps_move_end(maps, &m, there);
	assert_int_equal(calls_left, 0);
	calls_left = -1;
	assert_uncovered(maps, MEMORY, 0);
	assert_no_iova(maps, MEMORY);
	assert_iova(maps, (uintptr_t)there, m.iova, GB);
	assert_vaddr(maps, m.iova, (uintptr_t)there, GB);
	/* What it is hidden by there shows it when that goes. */
	remove_at(maps, GB);
	assert_iova(maps, MEMORY + 5 * GB, m.iova + GB - PAGE, PAGE);
}

/* Onto one page, where they come to light by the order in which they came. */
static void what_moves_is_hidden_by_age(void **state)
{
	struct wr_maps *maps = *state;

	add_at(maps, GB, MEMORY, PAGE);
	for (uint64_t i = 1; i <= 50; i++)
		add_at(maps, i * PAGE, MEMORY + GB - i * PAGE, PAGE);
	for (uint64_t i = 50; i; i--) {
		struct wr_mapping m = mapping(i * PAGE, MEMORY + GB - i * PAGE, PAGE);

		assert_int_equal(wr_maps_move_begin(maps, &m, (char *)(uintptr_t)MEMORY), 0);
		wr_maps_move_end(maps, &m, (char *)(uintptr_t)MEMORY);
	}
	assert_iova(maps, MEMORY, GB, PAGE);
	remove_at(maps, GB);
	for (uint64_t i = 50; i; i--) {
		assert_iova(maps, MEMORY, i * PAGE, PAGE);
		remove_at(maps, i * PAGE);
	}
	assert_int_equal(maps->n_hidden, 0);
}

/* Of any number, of all sizes, with what isn't mapped and what lies above 2^48 in between. */
static void many_are_as_one_by_one(void **state)
{
	static const size_t counts[] = { 0, 1, 255, 256, 257, 400 };
	static const uint64_t lens[] = { PAGE, 3 * PAGE, MB2, GB };
	struct wr_maps *maps = *state;
	const void *vaddrs[400];
	weir_iova iovas[401];

	for (uint64_t i = 0; i < 4; i++)
		add_at(maps, (5 + i) * GB, MEMORY + i * GB, lens[i]);
	add_at(maps, 20 * GB, TOP - PAGE + 1, PAGE);
	for (uint64_t i = 0; i < 400; i++)
		vaddrs[i] = (void *)(uintptr_t)(MEMORY + i % 5 * GB + i * i * 64);
	vaddrs[130] = (void *)(uintptr_t)(TOP - 5);
	vaddrs[131] = (void *)(uintptr_t)(1ull << 48);
	for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
		size_t found = 0, got;

		memset(iovas, 7, sizeof(iovas));
		got = wr_maps_to_iovas(maps, vaddrs, iovas, counts[n]);
		for (size_t i = 0; i < counts[n]; i++) {
			weir_iova iova = WEIR_IOVA_NONE;

			found += wr_maps_to_iova(maps, vaddrs[i], &iova, NULL);
			assert_true(iovas[i] == iova);
		}
		assert_int_equal(got, found);
		assert_true(iovas[counts[n]] == 0x0707070707070707ull);
	}
	assert_true(iovas[130] == 20 * GB + PAGE - 6 && iovas[131] == WEIR_IOVA_NONE);
	assert_true(iovas[3] == 8 * GB + 9 * 64 && iovas[4] == WEIR_IOVA_NONE);
}

/* What is all of pages has a way of its own, which one that isn't mapped leads out of. */
static void many_pages_and_one_that_is_missing(void **state)
{
	static const size_t missing[] = { 0, 1, 255, 256, 258, 259 };
	struct wr_maps *maps = *state;
	const void *vaddrs[260];
	weir_iova iovas[260];

	for (uint64_t i = 0; i < 260; i++) {
		add_at(maps, (1 + i * 3) * PAGE, MEMORY + i * MB2, PAGE);
		vaddrs[i] = (void *)(uintptr_t)(MEMORY + i * MB2 + i);
	}
	assert_int_equal(wr_maps_to_iovas(maps, vaddrs, iovas, 260), 260);
	for (uint64_t i = 0; i < 260; i++)
		assert_true(iovas[i] == (1 + i * 3) * PAGE + i);
	for (size_t n = 0; n < sizeof(missing) / sizeof(missing[0]); n++) {
		uint64_t gone = missing[n];

		remove_at(maps, (1 + gone * 3) * PAGE);
		assert_int_equal(wr_maps_to_iovas(maps, vaddrs, iovas, 260), 259);
		for (uint64_t i = 0; i < 260; i++)
			assert_true(iovas[i] ==
				    (i == gone ? WEIR_IOVA_NONE : (1 + i * 3) * PAGE + i));
		add_at(maps, (1 + gone * 3) * PAGE, MEMORY + gone * MB2, PAGE);
	}
}

static void a_new_map_can_fail(void **state)
{
	struct wr_maps maps;
	int n = 0;

	(void)state;
	for (;; n++) {
		calls_left = n;
		if (!wr_maps_init(&maps))
			break;
	}
	calls_left = -1;
	assert_int_equal(n, 6);
	wr_maps_free(&maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(empty_map_finds_nothing),
		TEST(bounds_are_to_the_byte),
		TEST(neighbours_stay_apart),
		TEST(every_shape_is_one_mapping),
		TEST(the_largest_mapping_there_can_be),
		TEST(memory_that_is_mapped_is_found),
		TEST(memory_answers_with_its_oldest_mapping),
		TEST(the_next_oldest_follows),
		TEST(uncovering_needs_no_memory),
		TEST(hidden_mappings_take_no_tables),
		TEST(random_steps_match_the_reference),
		TEST(adding_is_all_or_nothing),
		TEST(preparing_to_remove_can_fail),
		TEST(several_are_removed_without_memory),
		TEST(many_are_removed_with_little_memory),
		TEST(every_second_of_many_is_removed),
		TEST(memory_moves_without_memory),
		TEST(what_moves_is_hidden_by_age),
		TEST(many_are_as_one_by_one),
		TEST(many_pages_and_one_that_is_missing),
		TEST(a_new_map_can_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
