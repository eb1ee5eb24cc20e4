/* SPDX-License-Identifier: MIT */
/* What one call maps is one unit: batches, files. All at once; memory that moves; many look-ups. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

#define RW (WR_VFIO_MAP_READ | WR_VFIO_MAP_WRITE)

static int both(void **state)
{
	int ret = rig_setup(state);

	if (!ret) {
		attach_soft(*state);
		ret = attach(*state, 0);
	}
	return ret;
}

static int neither(void **state)
{
	struct rig *rig = *state;

	detach(rig, 0);
	return rig_teardown(state);
}

/* Pages 0, 4 to 5, and 2, of memory in which each page has its number. */
static void pieces(struct rig *rig, struct iovec iov[3])
{
	for (char i = 0; i < 8; i++)
		rig->memory[i * (long)page] = i;
	iov[0] = (struct iovec){ rig->memory, page };
	iov[1] = (struct iovec){ rig->memory + 4 * page, 2 * page };
	iov[2] = (struct iovec){ rig->memory + 2 * page, page };
}

static int soft_byte(struct rig *rig, weir_iova iova)
{
	char byte = 0;

	return weir_model_dma_read(rig->model, iova, &byte, 1) ? -1 : byte;
}

/* ---- batches ---- */

static void batch_is_one_unit(void **state)
{
	static const char order[] = { 0, 4, 5, 2 };
	struct rig *rig = *state;
	struct iovec iov[3];
	weir_iova iova, at;
	void *vaddr;
	size_t len;

	pieces(rig, iov);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), 0);
	assert_int_equal(fake_mappings(0), 3);
	assert_true(fake_has(0, iova + page, 2 * page, iov[1].iov_base, RW));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(soft_byte(rig, iova + i * page), order[i]);
	/* Look-ups know the pieces. */
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + 5 * page + 7, &at, &len), 0);
	assert_true(at == iova + 2 * page + 7 && len == page - 7);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, iova + page, &vaddr, &len), 0);
	assert_true(vaddr == iov[1].iov_base && len == 2 * page);

	/* A part of it can't be unmapped, nor what is a mapping to the kernel. */
	assert_int_equal(weir_ioas_unmap(rig->as, iova, page), -EINVAL);
	assert_says("has 16384 bytes, and is unmapped as a whole");
	assert_int_equal(weir_ioas_unmap(rig->as, iova + page, 2 * page), -EINVAL);
	assert_int_equal(weir_ioas_unmap(rig->as, iova + 3 * page, page), -EINVAL);
	assert_int_equal(fake_mappings(0), 3);
	/* What overlaps it is told of all of it. */
	assert_int_equal(map_at(rig, iova + 3 * page, rig->memory, page), -EEXIST);
	assert_says("(16384 bytes)");

	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), 0);
	assert_int_equal(fake_mappings(0), 0);
	assert_int_equal(soft_byte(rig, iova), -1);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory, &at, NULL), -ENOENT);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), -ENOENT);
}

static void batch_is_unmapped_by_one_call_of_the_kernel(void **state)
{
	struct rig *rig = *state;
	unsigned long calls;
	struct iovec iov[3];
	weir_iova iova;

	pieces(rig, iov);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), 0);
	calls = fake.calls;
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), 0);
	assert_int_equal(fake.calls, calls + 1);
}

static void batch_of_the_same_memory(void **state)
{
	struct rig *rig = *state;
	const struct iovec twice[2] = { { rig->memory, 2 * page }, { rig->memory, page } };
	weir_iova iova, at;
	size_t len;

	assert_int_equal(weir_ioas_mapv(rig->as, twice, 2, NULL, &iova), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory, &at, &len), 0);
	assert_true(at == iova && len == 2 * page);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 3 * page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory, &at, NULL), -ENOENT);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &at, NULL), -ENOENT);
}

/* Nothing is left, wherever the kernel stops. */
static void batch_is_all_or_none(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[3];
	weir_iova iova = 0;

	pieces(rig, iov);
	for (size_t i = 0; i < 3; i++) {
		fake.bad_memory = iov[i].iov_base;
		assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), -EFAULT);
		assert_says("memory that can be written");
		assert_int_equal(fake_mappings(0), 0);
		assert_int_equal(soft_byte(rig, page), -1);
		assert_false(is_mapped(rig, page));
	}
	fake.bad_memory = NULL;
	assert_false(caps_of(rig).degraded);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), 0);
	/* And an unmap that is refused leaves all of it. */
	fake.unmap_error = -ENOTTY;
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), -ENOTTY);
	fake.unmap_error = 0;
	assert_int_equal(fake_mappings(0), 3);
	assert_int_equal(soft_byte(rig, iova + page), 4);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), 0);
}

static void batch_that_cant_be_undone_degrades(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[3];
	weir_iova iova = 0;

	pieces(rig, iov);
	fake.bad_memory = iov[2].iov_base;
	fake.unmap_error = -ENOTTY;
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), -EFAULT);
	assert_says("memory that can be written");
	assert_says("can't be undone on type1v2");
	assert_true(caps_of(rig).degraded);
	assert_false(is_mapped(rig, page));
	fake.unmap_error = 0;
}

static void batch_is_replayed_with_its_direction(void **state)
{
	const struct weir_map_opts opts = { .dir = WEIR_DMA_TO_DEVICE };
	struct rig *rig = *state;
	struct iovec iov[3];
	weir_iova iova;
	char byte = 9;

	pieces(rig, iov);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, &opts, &iova), 0);
	attach_soft(rig);
	assert_int_equal(attach(rig, 0), 0);
	assert_true(fake_has(0, iova, page, iov[0].iov_base, WR_VFIO_MAP_READ));
	assert_true(fake_has(0, iova + page, 2 * page, iov[1].iov_base, WR_VFIO_MAP_READ));
	assert_int_equal(soft_byte(rig, iova + 3 * page), 2);
	assert_int_equal(weir_model_dma_write(rig->model, iova + 3 * page, &byte, 1), -EFAULT);
	detach(rig, 0);
}

static void batch_of_nonsense(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[2] = { { rig->memory, page }, { rig->memory + page, page } };
	const struct weir_map_opts fixed = { .fixed = true }, bad = { .reserved[1] = 1 };
	weir_iova iova = page;

	assert_int_equal(weir_ioas_mapv(rig->as, iov, 0, NULL, &iova), -EINVAL);
	assert_says("at least 1");
	assert_int_equal(weir_ioas_mapv(rig->as, iov, (size_t)1 << 40, NULL, &iova), -EINVAL);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, &bad, &iova), -EINVAL);
	iov[1].iov_len = 0;
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, NULL, &iova), -EINVAL);
	assert_says("piece 1: a length of 0");
	iov[1].iov_len = page + 1;
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, NULL, &iova), -EINVAL);
	iov[1] = (struct iovec){ rig->memory + 1, page };
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, NULL, &iova), -EINVAL);
	assert_says("piece 1: address");
	iov[1] = (struct iovec){ NULL, SIZE_MAX - page + 1 };
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, NULL, &iova), -EFAULT);
	iov[1] = (struct iovec){ rig->memory + page, page };
	iova = 1;
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, &fixed, &iova), -EINVAL);
	/* The second one would wrap. */
	iova = 0 - (weir_iova)page;
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, &fixed, &iova), -EINVAL);
	assert_says("64 bits");
	assert_int_equal(fake_mappings(0), 0);
	/* It fits between two others, exactly. */
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(map_at(rig, 4 * page, rig->memory, page), 0);
	iova = 3 * page;
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, &fixed, &iova), -EEXIST);
	iova = 2 * page;
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 2, &fixed, &iova), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
}

static void dirty_pages_of_a_batch(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[3];
	uint64_t bits = 0;
	weir_iova iova;

	pieces(rig, iov);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), 0);
	assert_int_equal(weir_ioas_dirty_start(rig->as), 0);
	assert_int_equal(weir_ioas_dirty_read(rig->as, iova, page, &bits), -EINVAL);
	assert_int_equal(weir_ioas_dirty_read(rig->as, iova + page, 3 * page, &bits), -EINVAL);
	assert_says("whole mappings");
	assert_int_equal(weir_ioas_dirty_read(rig->as, iova, 4 * page, &bits), 4);
	assert_int_equal(bits, 0xf);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), 0);
}

/* ---- files ---- */

static int file_of(size_t pages)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0 && !ftruncate(fd, (off_t)(pages * page)));
	return fd;
}

static void file_is_mapped_and_unmapped(void **state)
{
	struct rig *rig = *state;
	int fd = file_of(4);
	weir_iova iova, at;
	long mapped;
	void *vaddr;
	size_t len;
	char byte = 7;

	/* The address space has its own memory after the first mapping. */
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	mapped = fake.mapped;
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, page, 2 * page, NULL, &iova), 0);
	assert_int_equal(fake.mapped, mapped + 2 * (long)page);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, iova, &vaddr, &len), 0);
	assert_int_equal(len, 2 * page);
	assert_int_equal(weir_ioas_to_iova(rig->as, vaddr, &at, NULL), 0);
	assert_true(at == iova);
	/* What a device writes is in the file, and the other way round. */
	assert_int_equal(weir_model_dma_write(rig->model, iova + page, &byte, 1), 0);
	assert_int_equal(pread(fd, &byte, 1, 2 * (off_t)page), 1);
	assert_int_equal(byte, 7);
	byte = 8;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)page), 1);
	close(fd);
	assert_int_equal(soft_byte(rig, iova), 8);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 2 * page), 0);
	assert_int_equal(fake.mapped, mapped);
}

static void file_may_be_left_to_close(void **state)
{
	struct rig *rig = *state;
	int fd = file_of(1);
	weir_iova iova;

	/* Teardown sees whether it is unmapped. */
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 0, page, NULL, &iova), 0);
	close(fd);
}

static void files_that_cant_be_mapped(void **state)
{
	const struct weir_map_opts readable = { .dir = WEIR_DMA_TO_DEVICE };
	struct rig *rig = *state;
	int fd = file_of(2), only;
	char path[64];
	weir_iova iova = 5;

	assert_int_equal(weir_ioas_map_fd(rig->as, -1, 0, page, NULL, &iova), -EBADF);
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 0, 0, NULL, &iova), -EINVAL);
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 1, page, NULL, &iova), -EINVAL);
	assert_says("offset 0x1 isn't a multiple");
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, page, 2 * page, NULL, &iova), -EINVAL);
	assert_says("has only 8192");
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 0 - page, page, NULL, &iova), -EINVAL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(only >= 0);
	assert_int_equal(weir_ioas_map_fd(rig->as, only, 0, page, NULL, &iova), -EACCES);
	assert_says("can't be mapped to be written");
	assert_true(iova == 5 && !fake_mappings(0));
	assert_int_equal(weir_ioas_map_fd(rig->as, only, 0, page, &readable, &iova), 0);
	assert_true(fake_mappings(0) == 1);
	fake.map_error = -EOVERFLOW;
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 0, page, NULL, &iova), -EOVERFLOW);
	fake.map_error = 0;
	close(only);
	close(fd);
}

/* ---- all at once ---- */

static void all_is_unmapped_by_one_call(void **state)
{
	struct rig *rig = *state;
	unsigned long calls;
	struct iovec iov[3];
	weir_iova iova;
	int fd = file_of(1);

	pieces(rig, iov);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), 0);
	assert_int_equal(weir_ioas_map_fd(rig->as, fd, 0, page, NULL, &iova), 0);
	for (weir_iova i = 0; i < 10; i++)
		assert_int_equal(map_at(rig, (i + 100) * page, rig->memory, page), 0);
	calls = fake.calls;
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	/* The container's, and closing the file. */
	assert_int_equal(fake.calls, calls + 2);
	assert_int_equal(fake_mappings(0), 0);
	assert_int_equal(soft_byte(rig, iova), -1);
	assert_false(is_mapped(rig, iova));
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory, &iova, NULL), -ENOENT);
	/* Its IOVAs are free again. */
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_true(iova == page);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	close(fd);
}

static void old_kernels_unmap_all_in_two_halves(void **state)
{
	struct rig *rig = *state;

	fake.no_ranges = true;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(map_at(rig, 1ull << 47, rig->memory, page), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(fake_mappings(0), 0);
	assert_false(is_mapped(rig, page));
	detach(rig, 0);
}

static void all_or_none_is_unmapped(void **state)
{
	struct weir_mem *mem;
	struct rig *rig = *state;

	assert_int_equal(map_at(rig, page, rig->memory, page), 0);
	assert_int_equal(weir_mem_alloc(rig->as, page, NULL, &mem), 0);
	assert_int_equal(weir_ioas_unmap_all(rig->as), -EBUSY);
	assert_says("free it first");
	assert_int_equal(weir_mem_free(mem), 0);
	/* The soft domain has done it when the kernel refuses. */
	rig->memory[0] = 3;
	fake.unmap_error = -ENOTTY;
	assert_int_equal(weir_ioas_unmap_all(rig->as), -ENOTTY);
	assert_says("unmapping all");
	fake.unmap_error = 0;
	assert_int_equal(fake_mappings(0), 1);
	assert_int_equal(soft_byte(rig, page), 3);
	assert_true(is_mapped(rig, page));
	assert_false(caps_of(rig).degraded);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
}

/* ---- memory that moves ---- */

/* A file's four pages at two addresses. */
static void two_views(char *view[2])
{
	int fd = file_of(4);

	for (int i = 0; i < 2; i++) {
		view[i] = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		assert_true(view[i] != MAP_FAILED);
	}
	close(fd);
	view[0][page] = 11;
}

static void memory_moves(void **state)
{
	struct rig *rig = *state;
	weir_iova iova, at;
	char *view[2];
	void *vaddr;
	size_t len;

	two_views(view);
	assert_int_equal(weir_ioas_map(rig->as, view[0], 4 * page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, 4 * page, view[1]), 0);
	munmap(view[0], 4 * page);
	assert_true(fake_has(0, iova, 4 * page, view[1], RW));
	assert_int_equal(soft_byte(rig, iova + page), 11);
	assert_int_equal(weir_ioas_to_iova(rig->as, view[0], &at, NULL), -ENOENT);
	assert_int_equal(weir_ioas_to_iova(rig->as, view[1] + page, &at, &len), 0);
	assert_true(at == iova + page && len == 3 * page);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, iova, &vaddr, &len), 0);
	assert_true(vaddr == view[1] && len == 4 * page);
	/* To where it is: fine. */
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, 4 * page, view[1]), 0);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), 0);
	munmap(view[1], 4 * page);
}

/* By a page, so that old and new place overlap: the books don't mind. */
static void memory_moves_a_little(void **state)
{
	struct rig *rig = *state;
	weir_iova iova, other, at;
	void *vaddr;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, 4 * page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory + 4 * page, 2 * page, NULL, &other),
			 0);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, 4 * page, rig->memory + page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory, &at, NULL), -ENOENT);
	for (size_t i = 1; i < 4; i++) {
		assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + i * page, &at, NULL), 0);
		assert_true(at == iova + (i - 1) * page);
	}
	/* There an older one shows, until it goes. */
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + 4 * page, &at, NULL), 0);
	assert_true(at == other);
	assert_int_equal(weir_ioas_unmap(rig->as, other, 2 * page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + 4 * page, &at, NULL), 0);
	assert_true(at == iova + 3 * page);
	assert_int_equal(weir_ioas_to_vaddr(rig->as, iova, &vaddr, NULL), 0);
	assert_true(vaddr == rig->memory + page);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &at, NULL), -ENOENT);
}

static void memory_that_cant_move(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[3];
	weir_iova iova, batch, at;
	char *view[2];

	two_views(view);
	pieces(rig, iov);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &batch), 0);
	assert_int_equal(weir_ioas_map(rig->as, view[0], 4 * page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, 4 * page, view[1] + 1), -EINVAL);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, page, view[1]), -EINVAL);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova + page, page, view[1]), -EINVAL);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, 64 * page, page, view[1]), -ENOENT);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, batch, 4 * page, view[1]), -EINVAL);
	assert_says("only what weir_ioas_map() mapped");

	/* The soft domain has moved it when the kernel refuses: both have it at the old place. */
	fake.vaddr_errors = 1;
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, 4 * page, view[1]), -ENOMEM);
	assert_true(fake_has(0, iova, 4 * page, view[0], RW));
	assert_false(caps_of(rig).degraded);
	assert_int_equal(weir_ioas_to_iova(rig->as, view[0], &at, NULL), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, view[1], &at, NULL), -ENOENT);
	munmap(view[1], 4 * page);
	assert_int_equal(soft_byte(rig, iova + page), 11);
	/* Where nothing is, the soft domain sees that. */
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, 4 * page, view[1]), -EFAULT);
	assert_int_equal(soft_byte(rig, iova + page), 11);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	munmap(view[0], 4 * page);
}

/* Of what is mapped twice the oldest still answers; and nothing is left where it was to go. */
static void refused_move_leaves_the_oldest(void **state)
{
	struct rig *rig = *state;
	weir_iova oldest, younger, there, at;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, 2 * page, NULL, &oldest), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, 2 * page, NULL, &younger), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory + 4 * page, 2 * page, NULL, &there), 0);
	fake.vaddr_errors = 1;
	assert_int_equal(weir_ioas_update_vaddr(rig->as, oldest, 2 * page,
						rig->memory + 3 * page), -ENOMEM);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &at, NULL), 0);
	assert_true(at == oldest + page);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + 3 * page, &at, NULL), -ENOENT);
	assert_int_equal(weir_ioas_unmap(rig->as, there, 2 * page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + 4 * page, &at, NULL), -ENOENT);
	assert_int_equal(weir_ioas_unmap(rig->as, oldest, 2 * page), 0);
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory + page, &at, NULL), 0);
	assert_true(at == younger + page);
	assert_int_equal(weir_ioas_unmap(rig->as, younger, 2 * page), 0);
}

static void kernel_that_loses_an_address_degrades(void **state)
{
	struct rig *rig = *state;
	weir_iova iova;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	fake.vaddr_errors = 2;
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, page, rig->memory + page), -EIO);
	assert_says("has no address for the kernel");
	assert_true(caps_of(rig).degraded);
	assert_int_equal(weir_ioas_unmap(rig->as, iova, page), 0);
}

static void old_kernels_cant_move_memory(void **state)
{
	struct rig *rig = *state;
	weir_iova iova, at;

	fake.no_ranges = true;
	attach_soft(rig);
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_map(rig->as, rig->memory, page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_update_vaddr(rig->as, iova, page, rig->memory + page),
			 -ENOTSUP);
	assert_says("unmap it and map it again");
	assert_int_equal(weir_ioas_to_iova(rig->as, rig->memory, &at, NULL), 0);
	assert_int_equal(caps_of(rig).mappings == UINT64_MAX, 1);
	detach(rig, 0);
}

/* ---- the kernel's limit of mappings ---- */

static unsigned int warnings;

static void count_warnings(void *arg, enum weir_log_level level, const char *text)
{
	(void)arg;
	warnings += level == WEIR_LOG_WARN && strstr(text, "mappings are in use");
}

static void limit_of_mappings_is_said_before(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[3];
	unsigned long calls;
	weir_iova iova;

	weir_log_set(count_warnings, NULL, WEIR_LOG_WARN);
	warnings = 0;
	pieces(rig, iov);
	assert_true(caps_of(rig).mappings == UINT64_MAX);
	fake.entry_limit = 16;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(caps_of(rig).mappings, 16);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), 0);
	assert_int_equal(caps_of(rig).mappings, 13);
	for (weir_iova i = 0; i < 12; i++)
		assert_int_equal(map_at(rig, (100 + i) * page, rig->memory, page), 0);
	assert_int_equal(warnings, 0);
	assert_int_equal(map_at(rig, 200 * page, rig->memory, page), 0);
	assert_int_equal(warnings, 1);
	assert_int_equal(caps_of(rig).mappings, 0);
	calls = fake.calls;
	assert_int_equal(map_at(rig, 300 * page, rig->memory, page), -ENOSPC);
	assert_says("limit of 16 mappings is reached");
	assert_int_equal(fake.calls, calls);
	assert_int_equal(weir_ioas_unmap(rig->as, 200 * page, page), 0);
	/* There is room for one of three. */
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), 0);
	assert_int_equal(caps_of(rig).mappings, 4);
	assert_int_equal(map_at(rig, 200 * page, rig->memory, 2 * page), 0);
	assert_int_equal(map_at(rig, 300 * page, rig->memory, 2 * page), 0);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), -ENOSPC);
	assert_int_equal(caps_of(rig).mappings, 2);
	assert_int_equal(weir_ioas_unmap_all(rig->as), 0);
	assert_int_equal(caps_of(rig).mappings, 16);
	detach(rig, 0);
	weir_log_set(NULL, NULL, WEIR_LOG_WARN);
}

/* Of three mappings the kernel unmaps one, and half of the next. */
static void room_is_asked_for_after_half_an_unmap(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[3];
	weir_iova iova;

	pieces(rig, iov);
	fake.entry_limit = 16;
	assert_int_equal(attach(rig, 0), 0);
	assert_int_equal(weir_ioas_mapv(rig->as, iov, 3, NULL, &iova), 0);
	fake.unmap_less = page;
	assert_int_equal(weir_ioas_unmap(rig->as, iova, 4 * page), -EIO);
	assert_int_equal(fake_mappings(0), 2);
	assert_int_equal(caps_of(rig).mappings, 14);
	detach(rig, 0);
}

/* ---- look-ups of many ---- */

static void many_addresses_at_once(void **state)
{
	struct rig *rig = *state;
	const void *vaddrs[100];
	weir_iova iova, iovas[100];

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, 2 * page, NULL, &iova), 0);
	for (size_t i = 0; i < 100; i++)
		vaddrs[i] = i % 10 ? rig->memory + i : rig->memory + 2 * page + i;
	assert_int_equal(weir_ioas_to_iovas(rig->as, vaddrs, iovas, 100), 90);
	for (size_t i = 0; i < 100; i++)
		assert_true(iovas[i] == (i % 10 ? iova + i : WEIR_IOVA_NONE));
	assert_int_equal(weir_ioas_to_iovas(rig->as, vaddrs, iovas, 0), 0);
}

static void runs_of_several_buffers(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[4] = {
		{ rig->memory + 10, 90 }, { NULL, 0 }, { rig->memory + 100, 50 },
		{ rig->memory + page - 8, 16 },
	};
	struct weir_seg segs[4];
	weir_iova iova;

	assert_int_equal(weir_ioas_map(rig->as, rig->memory, 2 * page, NULL, &iova), 0);
	assert_int_equal(weir_ioas_segsv(rig->as, iov, 4, segs, 4), 2);
	assert_true(segs[0].iova == iova + 10 && segs[0].len == 140);
	assert_true(segs[1].iova == iova + page - 8 && segs[1].len == 16);
	/* Room for one: the other is counted. */
	segs[1].len = 77;
	assert_int_equal(weir_ioas_segsv(rig->as, iov, 4, segs, 1), 2);
	assert_true(segs[0].len == 140 && segs[1].len == 77);
	assert_int_equal(weir_ioas_segsv(rig->as, iov + 1, 1, segs, 4), -EINVAL);
	assert_int_equal(weir_ioas_segsv(rig->as, iov, 0, segs, 4), -EINVAL);
	iov[3].iov_len = 2 * page;
	assert_int_equal(weir_ioas_segsv(rig->as, iov, 4, segs, 4), -ENOENT);
	assert_says("buffer 3: ");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
#define ON_BOTH(test) cmocka_unit_test_setup_teardown(test, both, neither)
	const struct CMUnitTest tests[] = {
		ON_BOTH(batch_is_one_unit),
		ON_BOTH(batch_is_unmapped_by_one_call_of_the_kernel),
		ON_BOTH(batch_of_the_same_memory),
		ON_BOTH(batch_is_all_or_none),
		ON_BOTH(batch_that_cant_be_undone_degrades),
		TEST(batch_is_replayed_with_its_direction),
		ON_BOTH(batch_of_nonsense),
		ON_BOTH(dirty_pages_of_a_batch),
		ON_BOTH(file_is_mapped_and_unmapped),
		ON_BOTH(file_may_be_left_to_close),
		ON_BOTH(files_that_cant_be_mapped),
		ON_BOTH(all_is_unmapped_by_one_call),
		TEST(old_kernels_unmap_all_in_two_halves),
		ON_BOTH(all_or_none_is_unmapped),
		ON_BOTH(memory_moves),
		TEST(memory_moves_a_little),
		ON_BOTH(memory_that_cant_move),
		ON_BOTH(refused_move_leaves_the_oldest),
		ON_BOTH(kernel_that_loses_an_address_degrades),
		TEST(old_kernels_cant_move_memory),
		TEST(limit_of_mappings_is_said_before),
		TEST(room_is_asked_for_after_half_an_unmap),
		TEST(many_addresses_at_once),
		TEST(runs_of_several_buffers),
	};

	unsetenv("WEIR_IOMMU");
	unsetenv("WEIR_SOFT_BITS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
