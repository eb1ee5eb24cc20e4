/* SPDX-License-Identifier: MIT */
/*
 * The hardware half of the software IOMMU: a remapping unit in this process. It knows which
 * requester uses which second-stage table, translates each access by it or by what it remembers
 * of it (iotlb.h), and records what it blocks. It does not write tables and knows nothing of
 * mappings: what it is told is what hardware is told (a context entry, an invalidation).
 *
 * Accesses happen inside brackets (begin/end), in any thread. wr_unit_sync() waits for those that
 * began before it, so that memory may go away after it.
 */
#ifndef WR_VIOMMU_UNIT_H
#define WR_VIOMMU_UNIT_H

#include <weir/ioas.h>

struct wr_unit;

int wr_unit_create(struct wr_unit **out);
void wr_unit_destroy(struct wr_unit *unit);

/*
 * Let @requester translate by the second-stage table at @root (pgtable/vtdss.h, in this process's
 * memory). Returns 0, -EEXIST, -EINVAL (no such table) or -ENOMEM.
 */
int wr_unit_attach(struct wr_unit *unit, uint16_t requester, uint64_t root, unsigned int levels);

/* Let one that is attached use another table; what was translated by the old one has ended then. */
void wr_unit_replace(struct wr_unit *unit, uint16_t requester, uint64_t root, unsigned int levels);

/* From here on the requester's accesses fault; those under way have ended on return. */
void wr_unit_detach(struct wr_unit *unit, uint16_t requester);

/* Whether writes mark leaves dirty from now on. Follow it by wr_unit_sync(). */
void wr_unit_track_dirty(struct wr_unit *unit, bool on);

/*
 * Invalidate: no translation that was read from the tables before this call is used after it, and
 * no access that used one is under way. Must not be called inside a bracket of this thread.
 */
void wr_unit_sync(struct wr_unit *unit);

/* A bracket. They nest, and end in the thread that began them. */
void wr_unit_begin(struct wr_unit *unit);
void wr_unit_end(struct wr_unit *unit);

/* Whether this thread is inside a bracket, of any unit. */
bool wr_unit_in_bracket(void);

/*
 * Inside a bracket: a pointer to what @iova translates to, good until the bracket ends. @run: how
 * many bytes from there on are contiguous and allowed, 1 to @len. @len isn't 0.
 *
 * Returns 0, or -EFAULT with the fault recorded and this thread's message set.
 */
int wr_unit_translate(struct wr_unit *unit, uint16_t requester, weir_iova iova, size_t len,
		      bool write, void **ptr, size_t *run);

/*
 * Copy @len bytes to (@write) or from @iova, in a bracket of its own. Returns 0 or -EFAULT;
 * what lies before the blocked page has been copied, as on hardware.
 */
int wr_unit_dma(struct wr_unit *unit, uint16_t requester, weir_iova iova, void *buf, size_t len,
		bool write);

/* Take at most @n recorded faults out, oldest first; returns how many. Full: new ones are lost. */
int wr_unit_faults(struct wr_unit *unit, struct weir_fault *faults, size_t n);

#endif
