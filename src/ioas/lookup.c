/* SPDX-License-Identifier: MIT */
/* Look-ups in what is mapped, both ways. They take no lock (mem/maps.h). */
#include "base/err.h"
#include "ioas/ioas.h"

static int not_mapped(const void *vaddr)
{
	return wr_fail(-ENOENT, "%p isn't mapped", vaddr);
}

/*
 * What the first try doesn't answer, out of line: ending in these calls, the look-ups save and
 * restore no registers, which is a fifth of their time.
 */
static __attribute__((noinline)) int to_iova_slow(struct weir_ioas *as, const void *vaddr,
						  weir_iova *iova, size_t *len)
{
	return wr_maps_to_iova(&as->maps, vaddr, iova, len) ? 0 : not_mapped(vaddr);
}

static __attribute__((noinline)) int to_vaddr_slow(struct weir_ioas *as, weir_iova iova,
						   void **vaddr, size_t *len)
{
	return wr_maps_to_vaddr(&as->maps, iova, vaddr, len) ? 0 : wr_ioas_nothing_at(iova);
}

int weir_ioas_to_iova(struct weir_ioas *as, const void *vaddr, weir_iova *iova, size_t *len)
{
	uint64_t value;

	if (!wr_maps_try(&as->maps.by_vaddr, (uintptr_t)vaddr, &value, len))
		return to_iova_slow(as, vaddr, iova, len);
	*iova = value;
	return 0;
}

int weir_ioas_to_vaddr(struct weir_ioas *as, weir_iova iova, void **vaddr, size_t *len)
{
	uint64_t value;

	if (!wr_maps_try(&as->maps.by_iova, iova, &value, len))
		return to_vaddr_slow(as, iova, vaddr, len);
	*vaddr = (void *)(uintptr_t)value;
	return 0;
}

size_t weir_ioas_to_iovas(struct weir_ioas *as, const void *const *vaddrs, weir_iova *iovas,
			  size_t n)
{
	return wr_maps_to_iovas(&as->maps, vaddrs, iovas, n);
}

/* Runs that are being listed; the last one may grow. */
struct runs {
	struct weir_seg last;
	struct weir_seg *segs;
	size_t n, count;
};

static int add_runs(struct weir_ioas *as, const void *vaddr, size_t len, struct runs *runs)
{
	const char *at = vaddr;

	if ((uintptr_t)vaddr > UINTPTR_MAX - (len - 1))
		return wr_fail(-EINVAL, "a buffer of %zu bytes at %p wraps", len, vaddr);
	while (len) {
		weir_iova iova;
		size_t run;

		if (!wr_maps_try(&as->maps.by_vaddr, (uintptr_t)at, &iova, &run) &&
		    !wr_maps_to_iova(&as->maps, at, &iova, &run))
			return not_mapped(at);
		if (run > len)
			run = len;
		at += run;
		len -= run;
		if (runs->count && runs->last.iova + runs->last.len == iova) {
			runs->last.len += run;
		} else {
			runs->last = (struct weir_seg){ iova, run };
			runs->count++;
		}
		if (runs->count <= runs->n)
			runs->segs[runs->count - 1] = runs->last;
	}
	return 0;
}

int weir_ioas_segs(struct weir_ioas *as, const void *vaddr, size_t len, struct weir_seg *segs,
		   size_t n)
{
	struct runs runs = { .segs = segs, .n = n };
	int ret;

	if (!len)
		return wr_fail(-EINVAL, "a buffer of 0 bytes at %p", vaddr);
	ret = add_runs(as, vaddr, len, &runs);
	return ret ? ret : (int)runs.count;
}

int weir_ioas_segsv(struct weir_ioas *as, const struct iovec *iov, size_t n_iov,
		    struct weir_seg *segs, size_t n)
{
	struct runs runs = { .segs = segs, .n = n };
	int ret;

	for (size_t i = 0; i < n_iov; i++) {
		if (!iov[i].iov_len)
			continue;
		ret = add_runs(as, iov[i].iov_base, iov[i].iov_len, &runs);
		if (ret)
			return wr_fail_in(ret, "buffer %zu", i);
	}
	return runs.count ? (int)runs.count : wr_fail(-EINVAL, "%zu buffers of 0 bytes", n_iov);
}
