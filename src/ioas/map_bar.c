/* SPDX-License-Identifier: MIT */
/* Mapping a bar's registers for devices. */
#include <inttypes.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/map.h"

int wr_ioas_map_bar(struct weir_ioas *as, void *vaddr, size_t len, int fd,
		    struct wr_lender *lender, const struct weir_map_opts *opts, weir_iova *iova)
{
	static const struct weir_map_opts automatic;
	struct wr_batch *batch = wr_batch_of(vaddr, len, (struct wr_file){ fd, 0, true });

	if (!batch) {
		if (fd >= 0)
			wr_close(fd);
		return -ENOMEM;
	}
	batch->parts[0].bar = true;
	batch->lender = lender;
	pthread_mutex_lock(&lender->lock);
	wr_list_add_tail(&lender->mappings, &batch->lent);
	pthread_mutex_unlock(&lender->lock);
	return wr_map_batch(as, batch, opts ? opts : &automatic, iova);
}

int wr_ioas_check_lender(struct wr_lender *lender)
{
	const struct wr_batch *batch = NULL;
	weir_iova iova = 0;
	uint64_t len = 0;

	pthread_mutex_lock(&lender->lock);
	if (!wr_list_empty(&lender->mappings)) {
		batch = wr_container_of(lender->mappings.next, struct wr_batch, lent);
		iova = batch->iova;
		len = batch->len;
	}
	pthread_mutex_unlock(&lender->lock);
	return batch ? wr_fail(-EBUSY, "its registers are mapped at IOVA 0x%" PRIx64 " (%" PRIu64
			       " bytes), for devices: unmap them first", iova, len) : 0;
}
