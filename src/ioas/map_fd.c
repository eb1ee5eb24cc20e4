/* SPDX-License-Identifier: MIT */
/* Mapping the memory of a file, which weir maps into the process. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/map.h"
#include "mem/pages.h"

static int check_file(int fd, uint64_t offset, uint64_t len)
{
	struct stat st;

	if (fstat(fd, &st))
		return wr_fail(-errno, "fd %d: %s", fd, strerror(errno));
	/* Of devices' nodes the size isn't known. */
	if (S_ISREG(st.st_mode) &&
	    (offset > (uint64_t)st.st_size || len > (uint64_t)st.st_size - offset))
		return wr_fail(-EINVAL, "%" PRIu64 " bytes from offset 0x%" PRIx64 " on: the file "
			       "(fd %d) has only %lld", len, offset, fd, (long long)st.st_size);
	return 0;
}

int wr_ioas_map_file(struct weir_ioas *as, int fd, uint64_t offset, size_t len, bool write,
		     const struct weir_map_opts *opts, weir_iova *iova)
{
	struct wr_batch *batch;
	void *mapped;
	int ret, copy;

	ret = wr_ioas_check_range(offset, len, "offset");
	if (!ret)
		ret = check_file(fd, offset, len);
	if (ret)
		return ret;
	/* Domains that map files map it again when a device comes. */
	copy = wr_sys->dup(fd);
	if (copy < 0)
		return wr_fail(copy, "fd %d: %s", fd, strerror(-copy));
	ret = wr_pages_map(fd, offset, len, write, &mapped);
	if (ret)
		goto close_copy;
	batch = wr_batch_of(mapped, len, (struct wr_file){ copy, offset, write });
	if (batch) {
		batch->memory->mapped = mapped;
		return wr_map_batch(as, batch, opts, iova);
	}
	ret = -ENOMEM;
	wr_pages_unmap(mapped, len);
close_copy:
	wr_close(copy);
	return ret;
}

int weir_ioas_map_fd(struct weir_ioas *as, int fd, uint64_t offset, size_t len,
		     const struct weir_map_opts *opts, weir_iova *iova)
{
	static const struct weir_map_opts automatic;
	int ret = wr_ioas_check_change(as);

	if (!opts)
		opts = &automatic;
	return ret ? ret : wr_ioas_map_file(as, fd, offset, len, opts->dir != WEIR_DMA_TO_DEVICE,
					    opts, iova);
}
