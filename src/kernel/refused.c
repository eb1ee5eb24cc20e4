/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "kernel/refused.h"

int wr_map_refused(const struct wr_mapping *m, int err, enum wr_memlock whose)
{
	if (err == -ENOMEM && wr_memlock_explains(m, whose))
		return err;
	if (err == -EFAULT)
		return wr_fail(err, "mapping %" PRIu64 " bytes at %p: not all of it is memory that "
			       "can be %s", m->len, (void *)m->vaddr,
			       m->dir == WEIR_DMA_TO_DEVICE ? "read" : "written");
	return wr_fail(err, "mapping %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": %s", m->len, m->iova,
		       strerror(-err));
}

int wr_bar_refused(const struct wr_mapping *m, int err)
{
	return wr_fail(err, "mapping %" PRIu64 " bytes of registers: the device doesn't decode "
		       "them: its memory space is off, or it is in a low-power state", m->len);
}

int wr_unmap_answered(int ret, weir_iova iova, uint64_t len, uint64_t done)
{
	if (ret < 0)
		return wr_fail(ret, "unmapping %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": %s", len,
			       iova, strerror(-ret));
	if (done != len)
		return wr_fail(-EIO, "unmapping %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": the "
			       "kernel unmapped %" PRIu64, len, iova, done);
	return 0;
}
