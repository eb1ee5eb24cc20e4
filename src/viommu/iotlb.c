/* SPDX-License-Identifier: MIT */
#include "viommu/iotlb.h"

void wr_iotlb_insert(struct wr_iotlb *tlb, uint64_t generation, uint16_t requester, uint64_t iova,
		     const struct wr_walk *walk, bool writable)
{
	uint64_t key = wr_iotlb_key(requester, iova);
	struct wr_iotlb_entry *e = &tlb->entries[wr_iotlb_index(key)];
	uint64_t version = __atomic_load_n(&e->version, __ATOMIC_RELAXED);
	uint64_t value = (walk->addr & WR_VTDSS_ADDR) | (uint64_t)walk->shift << WR_IOTLB_SHIFT |
			 (walk->shift > 12 ? WR_IOTLB_LARGE : 0) |
			 (walk->read ? WR_VTDSS_READ : 0) | (writable ? WR_VTDSS_WRITE : 0);

	/* Somebody else is at it: their entry is as good. */
	if (version & 1 || !__atomic_compare_exchange_n(&e->version, &version, version + 1, false,
							__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&e->generation, generation, __ATOMIC_RELEASE);
	__atomic_store_n(&e->key, key, __ATOMIC_RELEASE);
	__atomic_store_n(&e->value, value, __ATOMIC_RELEASE);
	__atomic_store_n(&e->version, version + 2, __ATOMIC_RELEASE);
}
