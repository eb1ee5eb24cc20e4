/* SPDX-License-Identifier: MIT */
/* The changes of load.h's mixed load: what each must answer is foretold from the list. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"
#include "load_list.h"

/* What is to be mapped by one call. */
struct unit {
	enum { ONE, SEVERAL, FILES, COPY } how;
	struct entry parts[PARTS];
	unsigned int n;
	uint64_t len;
	uint64_t offset;	/* of a file's */
	struct weir_map_opts opts;
	weir_iova iova;		/* as it is given, and what is answered */
};

/* ---- calls of the kernel that fail ---- */

/*
 * One of the next, now and then. Not of a change that is refused, since undoing may not fail; nor
 * where others call the kernel too.
 */
static void let_fail(struct worker *w, int should)
{
	if (w->alone && !should && !any(w, 8))
		fake.fail_at = fake.calls + 1 + any(w, 12);
}

/* The answer must be what it should be, or that a call failed. */
static void check_answer(struct worker *w, const char *what, int ret, int should)
{
	bool failed = fake.fail_at && fake.calls >= fake.fail_at;

	if (w->alone)
		fake.fail_at = 0;
	/* The software IOMMU takes whatever goes wrong with memory for memory that isn't there. */
	if (!failed || (ret != fake.fail_with && (ret != -EFAULT || !w->dev[SOFT])))
		expect(w, what, (uint64_t)ret, (uint64_t)should);
}

/* ---- files ---- */

/* What the pages of a worker's file begin with: no address of memory. */
static uint64_t in_file(const struct worker *w, uint64_t offset)
{
	return (w->number + 1ull) << 60 | offset;
}

void open_file(struct worker *w)
{
	w->fd = memfd_create("load", MFD_CLOEXEC);
	expect(w, "the file's size", (uint64_t)ftruncate(w->fd, FILE_PAGES * PAGE), 0);
	for (uint64_t offset = 0; offset < FILE_PAGES * PAGE; offset += PAGE) {
		uint64_t says = in_file(w, offset);

		expect(w, "writing the file",
		       (uint64_t)pwrite(w->fd, &says, sizeof(says), (off_t)offset), sizeof(says));
	}
}

/* Where the library mapped it, it says; until it is unmapped, that is this worker's alone. */
static void check_file(struct worker *w, struct unit *u)
{
	struct entry *e = &u->parts[0];
	void *vaddr = NULL;
	size_t len = 0;

	expect(w, "looking for the file",
	       (uint64_t)weir_ioas_to_vaddr(w->field->as, u->iova, &vaddr, &len), 0);
	e->vaddr = (uintptr_t)vaddr;
	expect(w, "the file's length", len, u->len);
	expect(w, "what is in the file", *(uint64_t *)vaddr, e->says);
}

/* ---- mapping ---- */

/* Giant mappings are for where the kernel has room: else both it and the soft IOMMU may refuse. */
static void choose_memory(struct worker *w, struct entry *e, bool small)
{
	static const uint64_t lens[] = { PAGE, PAGE, 3 * PAGE, 16 * PAGE, 70 * PAGE, MB2 };
	uint64_t stripe = (uintptr_t)w->field->memory + w->number * STRIPE;

	e->len = lens[any(w, small ? 3 : any(w, 4) ? 4 : 6)] + any(w, 3) * PAGE;
	if (w->alone && w->n + PARTS <= w->room && !any(w, 32)) {
		e->vaddr = (uintptr_t)w->field->giant + any(w, 2) * GB +
			   any(w, 2) * any(w, 9) * PAGE;
		e->len += any(w, 3) * GB;
	} else if (any(w, 3)) {
		e->vaddr = stripe + any(w, (STRIPE - e->len) / PAGE) * PAGE;
	} else {
		e->vaddr = stripe + any(w, 3) * MB2;
	}
	e->says = e->vaddr;
}

/* For large pages, or not quite. */
static void choose_large(struct worker *w, struct entry *e)
{
	uint64_t stripe = (uintptr_t)w->field->memory + w->number * STRIPE;

	e->len = MB2 + !any(w, 4) * PAGE;
	e->vaddr = e->says = stripe + any(w, 3) * MB2 + !any(w, 4) * PAGE;
}

static void choose_file(struct worker *w, struct unit *u)
{
	struct entry *e = &u->parts[0];

	e->len = (1 + any(w, FILE_PAGES)) * PAGE;
	u->offset = any(w, FILE_PAGES + 1 - e->len / PAGE) * PAGE;
	e->says = in_file(w, u->offset);
	/* The IOVAs that others look at are for memory that they know. */
	if (!w->alone)
		u->opts.fixed = false;
}

static void choose_unit(struct worker *w, struct unit *u)
{
	static const uint64_t limits[] = { 40 * PAGE, MB2, 64ull << 20, 1ull << 32, 1ull << 40 };
	uint64_t what = any(w, 16);
	bool large = false;

	*u = (struct unit){
		.how = what < 12 ? ONE : what < 15 ? SEVERAL : FILES,
		.opts = { .dir = (enum weir_dma_dir)any(w, 3), .fixed = any(w, 2) },
		.n = 1,
	};
	if (u->how == SEVERAL) {
		u->n = 1 + (unsigned int)any(w, PARTS);
		large = !any(w, 32);
	}
	for (unsigned int i = 0; i < u->n; i++) {
		if (u->how == FILES)
			choose_file(w, u);
		else if (i && !any(w, 4))
			u->parts[i] = u->parts[i - 1];	/* the same once more */
		else if (large)
			choose_large(w, &u->parts[i]);
		else
			choose_memory(w, &u->parts[i], u->how == SEVERAL);
		u->len += u->parts[i].len;
	}
	if (u->opts.fixed)
		u->iova = choose_iova(w);
	else if (!any(w, 4))
		u->opts.limit = limits[any(w, 5)] - 1 + any(w, 2);
}

static int map_unit(struct worker *w, struct unit *u)
{
	struct weir_ioas *as = w->field->as;
	struct iovec iov[PARTS];

	for (unsigned int i = 0; i < u->n; i++)
		iov[i] = (struct iovec){ (void *)(uintptr_t)u->parts[i].vaddr, u->parts[i].len };
	switch (u->how) {
	case ONE:
		return weir_ioas_map(as, iov[0].iov_base, iov[0].iov_len, &u->opts, &u->iova);
	case SEVERAL:
		return weir_ioas_mapv(as, iov, u->n, &u->opts, &u->iova);
	default:
		return weir_ioas_map_fd(as, w->fd, u->offset, u->parts[0].len, &u->opts, &u->iova);
	}
}

/* What no address space takes, and changes nothing. */
static void map_nonsense(struct worker *w, struct unit *u)
{
	struct entry *e = &u->parts[any(w, u->n)];
	bool file = u->how == FILES;
	weir_iova was;

	switch (any(w, file || u->how == SEVERAL ? 7 : 6)) {
	case 0: *(file ? &u->offset : &e->vaddr) += 1 + any(w, PAGE - 1); break;
	case 1: e->len = any(w, 2) * (1 + any(w, PAGE - 1)); break;
	case 2: *(file ? &u->offset : &e->vaddr) = 0 - PAGE; e->len = 2 * PAGE; break;
	case 3: u->opts.dir = (enum weir_dma_dir)(3 + any(w, 9)); break;
	case 4: u->opts.reserved[any(w, 4)] = 1 + any(w, 9); break;
	case 5: u->opts.fixed = true; u->iova += 1 + any(w, PAGE - 1); break;
	/* Beyond the file's end; or nothing at all. */
	default:
		u->offset = FILE_PAGES * PAGE - u->len + (1 + any(w, 9)) * PAGE;
		u->n = file;
	}
	was = u->iova;
	expect(w, "nonsense mapped", (uint64_t)map_unit(w, u), (uint64_t)-EINVAL);
	expect(w, "its IOVA", u->iova, was);
}

static bool has_kernel(const struct worker *w)
{
	for (unsigned int dev = 0; dev < SOFT; dev++)
		if (w->dev[dev])
			return true;
	return false;
}

/* Where large pages are possible in all its memory, no bit is set below their size. */
static uint64_t all_bits(const struct unit *u)
{
	uint64_t bits = 0, at = 0;

	for (unsigned int i = 0; i < u->n; i++) {
		bits |= u->parts[i].vaddr | at;
		at += u->parts[i].len;
	}
	return bits;
}

/* What mapping it must answer; where it goes if it isn't fixed. */
static int foretell(const struct worker *w, const struct unit *u, uint64_t *iova)
{
	uint64_t last;

	if (!u->opts.fixed) {
		*iova = lowest(w, all_bits(u), u->len, u->opts.limit);
		if (!*iova)
			return -ENOSPC;
	}
	last = *iova + (u->len - 1);
	if (last < *iova)
		return -EINVAL;
	if (!is_free(w, *iova, u->len))
		return -EEXIST;
	if (!within(w->ranges, w->n_ranges, *iova, last))
		return -EINVAL;
	if (has_kernel(w) && w->n + u->n > w->room)
		return -ENOSPC;
	for (unsigned int i = 0; w->dev[SOFT] && i < u->n; i++)
		if (is_refused(w, u->parts[i].vaddr))
			return -EFAULT;
	return 0;
}

/* Of several workers, one can't know where an automatic mapping goes, but where it must not. */
static void check_place(struct worker *w, const struct unit *u)
{
	uint64_t last = u->iova + (u->len - 1), limit = u->opts.limit;

	if (!u->iova || last < u->iova || (limit && last > limit) ||
	    !is_free(w, u->iova, u->len) || !within(untold, 3, u->iova, last))
		wrong(w, "IOVA 0x%" PRIx64 " was given, up to 0x%" PRIx64, u->iova, limit);
}

static void enter_unit(struct worker *w, struct unit *u)
{
	uint64_t at = u->iova;

	if (u->how == FILES)
		check_file(w, u);
	for (unsigned int i = 0; i < u->n; i++) {
		struct entry e = u->parts[i];

		e.iova = at;
		e.dir = u->opts.dir;
		e.unit = u->iova;
		e.unit_len = u->len;
		e.moves = u->how == ONE || (u->how == COPY && e.moves);
		enter(w, &e);
		at += e.len;
	}
}

void map_something(struct worker *w)
{
	int ret, should = 0;
	weir_iova iova, given;
	struct unit u;
	bool known;

	w->done++;
	choose_unit(w, &u);
	if (!any(w, 20)) {
		map_nonsense(w, &u);
		return;
	}
	iova = given = u.iova;
	known = w->alone || u.opts.fixed;
	if (known)
		should = foretell(w, &u, &iova);
	let_fail(w, should);
	ret = map_unit(w, &u);
	if (known || ret != -ENOSPC || !u.opts.limit)
		check_answer(w, "mapping", ret, should);
	if (ret || known)
		expect(w, "the IOVA", u.iova, ret ? given : iova);
	else
		check_place(w, &u);
	if (!ret)
		enter_unit(w, &u);
}

/* ---- units that are there ---- */

/*
 * Name a unit, or something else, and what answer that deserves; false: in what isn't this worker's
 * it may be another's unit.
 */
static bool name_unit(struct worker *w, uint64_t *iova, uint64_t *len, const struct entry **e,
		      int *should)
{
	*e = &w->e[any(w, w->n)];
	*iova = (*e)->unit;
	*len = (*e)->unit_len;
	*should = 0;
	if (any(w, 4))
		return true;
	if (any(w, 2)) {
		*iova = choose_iova(w);
	} else {
		*iova = (*e)->iova + any(w, 3) * any(w, (*e)->len / PAGE + 1) * PAGE;
		*len = (*e)->len;
	}
	if (any(w, 2))
		*len = any(w, 70) * PAGE;
	*e = at_iova(w, *iova);
	/* An automatic IOVA behind one of this worker's may be another's. */
	if (!*e && !w->alone && *iova < 8 * GB)
		return false;
	*should = !*e ? -ENOENT : (*e)->unit != *iova || (*e)->unit_len != *len ? -EINVAL : 0;
	return true;
}

/* All of the unit that @e is of, to be mapped once more. */
static void choose_copy(struct worker *w, const struct entry *e, struct unit *u)
{
	*u = (struct unit){
		.how = COPY, .opts = { .dir = (enum weir_dma_dir)any(w, 3), .fixed = any(w, 2) },
	};
	for (unsigned int i = 0; i < w->n; i++) {
		if (w->e[i].unit != e->unit)
			continue;
		u->parts[u->n++] = w->e[i];
		u->len += w->e[i].len;
	}
	/* As of files that are mapped: see choose_file(). */
	if (!w->alone && e->says != e->vaddr)
		u->opts.fixed = false;
	if (u->opts.fixed)
		u->iova = choose_iova(w);
}

/* Where what is wrong with it isn't known, it isn't copied: see choose_memory(). */
static bool is_doubtful(const struct worker *w, const struct unit *u)
{
	for (unsigned int i = 0; i < u->n; i++)
		if (is_giant(w, u->parts[i].vaddr))
			return w->n + u->n > w->room;
	return false;
}

/* In the same address space: what the list knows. */
void copy_something(struct worker *w)
{
	bool automatic = !any(w, 4), known;
	uint64_t source, len, iova, given;
	const struct entry *e;
	struct unit u = { 0 };
	int ret, should;

	w->done++;
	if (!name_unit(w, &source, &len, &e, &should))
		return;
	if (e)
		choose_copy(w, e, &u);
	if (is_doubtful(w, &u))
		return;
	if (automatic)
		u.opts = (struct weir_map_opts){ .dir = e ? e->dir : WEIR_DMA_BOTH };
	known = w->alone || u.opts.fixed;
	iova = given = u.iova;
	/* That is seen before the unit is looked for. */
	if (u.opts.fixed && (!len || u.iova + (len - 1) < u.iova))
		should = -EINVAL;
	if (!should && e->dir != WEIR_DMA_BOTH && u.opts.dir != e->dir)
		should = -EACCES;
	if (!should && known)
		should = foretell(w, &u, &iova);
	let_fail(w, should);
	ret = weir_ioas_copy(w->field->as, w->field->as, source, len, automatic ? NULL : &u.opts,
			     &u.iova);
	check_answer(w, "copying", ret, should);
	if (ret || known)
		expect(w, "the copy's IOVA", u.iova, ret ? given : iova);
	else
		check_place(w, &u);
	if (!ret)
		enter_unit(w, &u);
}

void unmap_something(struct worker *w)
{
	const struct entry *e;
	uint64_t iova, len;
	int ret, should;

	w->done++;
	if (!name_unit(w, &iova, &len, &e, &should))
		return;
	let_fail(w, should);
	ret = weir_ioas_unmap(w->field->as, iova, len);
	check_answer(w, "unmapping", ret, should);
	if (!ret)
		leave(w, e);
}

void unmap_all(struct worker *w)
{
	int ret;

	w->done++;
	let_fail(w, 0);
	ret = weir_ioas_unmap_all(w->field->as);
	check_answer(w, "unmapping all", ret, 0);
	if (!ret)
		w->n = 0;
}

/* Anywhere; in its own memory to where it overlaps its old place, too. */
static uint64_t choose_place(struct worker *w, const struct entry *e, uint64_t len)
{
	uint64_t stripe = (uintptr_t)w->field->memory + w->number * STRIPE;
	uint64_t giant = (uintptr_t)w->field->giant, near;

	if (len > STRIPE || (w->alone && !any(w, 16)))
		return giant + any(w, 2) * any(w, (GIANT - len) / PAGE) * PAGE;
	near = e ? e->vaddr + (any(w, 9) - 4) * PAGE : 0;
	if (any(w, 2) && near >= stripe && near + len <= stripe + STRIPE)
		return near;
	return stripe + any(w, (STRIPE - len) / PAGE + 1) * PAGE;
}

/* The other pages are no copies: that they are the same is the caller's word. */
void move_something(struct worker *w)
{
	const struct entry *e;
	uint64_t iova, len, vaddr;
	int ret, should;

	w->done++;
	if (!name_unit(w, &iova, &len, &e, &should))
		return;
	vaddr = choose_place(w, e, len) + !any(w, 20) * (1 + any(w, PAGE - 1));
	if (!len || vaddr % PAGE || (e && !e->moves && !should))
		should = -EINVAL;
	if (!should && w->dev[SOFT] && is_refused(w, vaddr))
		should = -EFAULT;
	let_fail(w, should);
	ret = weir_ioas_update_vaddr(w->field->as, iova, len, (void *)(uintptr_t)vaddr);
	check_answer(w, "moving", ret, should);
	if (!ret && vaddr != e->vaddr)
		move(w, e, vaddr);
}
