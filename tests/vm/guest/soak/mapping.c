/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/chance.h"
#include "tests/vm/guest/soak/mapping.h"
#include "tests/vm/guest/soak/soak.h"

#define HUGE (2ul << 20)

static struct iovec memory(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return (struct iovec){ at == MAP_FAILED ? NULL : at, len };
}

/* Pages of one mapping: few as a rule. */
static size_t some_pages(uint64_t *random)
{
	return PAGE * (1 + chance(random, chance(random, 8) ? 16 : 512));
}

static int make_plain(struct weir_ioas *as, struct mapping *m, uint64_t *random)
{
	m->n = 1;
	m->piece[0] = memory(some_pages(random));
	m->len = m->piece[0].iov_len;
	return m->piece[0].iov_base ? weir_ioas_map(as, m->piece[0].iov_base, m->len, NULL,
						    &m->iova) : -ENOMEM;
}

static int make_batch(struct weir_ioas *as, struct mapping *m, uint64_t *random)
{
	m->n = 2 + (unsigned int)chance(random, PIECES - 1);
	for (unsigned int i = 0; i < m->n; i++) {
		m->piece[i] = memory(PAGE * (1 + chance(random, 8)));
		if (!m->piece[i].iov_base)
			return -ENOMEM;
		m->len += m->piece[i].iov_len;
	}
	return weir_ioas_mapv(as, m->piece, m->n, NULL, &m->iova);
}

static int make_file(struct weir_ioas *as, struct mapping *m, uint64_t *random)
{
	size_t offset = PAGE * chance(random, 4);
	int fd = memfd_create("soak", MFD_CLOEXEC), ret;

	m->n = 1;
	m->file = true;
	m->len = some_pages(random);
	if (fd < 0)
		return -errno;
	ret = ftruncate(fd, (off_t)(offset + m->len)) ? -errno :
	      weir_ioas_map_fd(as, fd, offset, m->len, NULL, &m->iova);
	close(fd);
	if (!ret)
		ret = weir_ioas_to_vaddr(as, m->iova, &m->piece[0].iov_base,
					 &m->piece[0].iov_len);
	return ret || m->piece[0].iov_len >= m->len ? ret : -EIO;
}

static int make_mem(struct weir_ioas *as, struct mapping *m, uint64_t *random,
		    const struct weir_mem_opts *opts, size_t len)
{
	int ret = weir_mem_alloc(as, len, opts, &m->mem);

	(void)random;
	if (ret)
		return ret;
	m->n = 1;
	m->len = weir_mem_len(m->mem);
	m->iova = weir_mem_iova(m->mem);
	m->piece[0].iov_base = weir_mem_ptr(m->mem);
	return 0;
}

static int make(struct weir_ioas *as, struct mapping *m, uint64_t *random, bool pool)
{
	struct weir_mem_opts opts = { .shared = chance(random, 2) };
	int ret;

	switch (chance(random, 8)) {
	case 0:
	case 1:
		return make_plain(as, m, random);
	case 2:
	case 3:
		return make_batch(as, m, random);
	case 4:
	case 5:
		return make_file(as, m, random);
	case 6:
		opts.huge = true;
		return make_mem(as, m, random, &opts, HUGE);
	default:
		opts.page_size = pool && chance(random, 2) ? HUGE : 0;
		ret = make_mem(as, m, random, &opts, opts.page_size ? HUGE : some_pages(random));
		/* Others may have taken them all. */
		return ret == -ENOMEM && opts.page_size ? -EAGAIN : ret;
	}
}

/* What mapping_drop() gives back. */
static void give_back(struct mapping *m)
{
	for (unsigned int i = 0; i < m->n && !m->mem && !m->file; i++)
		if (m->piece[i].iov_base)
			munmap(m->piece[i].iov_base, m->piece[i].iov_len);
	free(m->copy);
	*m = (struct mapping){ 0 };
}

int mapping_make(struct weir_ioas *as, struct mapping *m, uint64_t *random, bool pool)
{
	int ret = make(as, m, random, pool);
	unsigned char *copy;

	if (ret) {
		give_back(m);
		return ret;
	}
	if (m->n == 1)
		m->piece[0].iov_len = m->len;
	m->copy = copy = malloc(m->len);
	if (!copy)
		return -ENOMEM;
	fill(copy, m->len, chance(random, UINT64_MAX));
	for (unsigned int i = 0; i < m->n; i++) {
		memcpy(m->piece[i].iov_base, copy, m->piece[i].iov_len);
		copy += m->piece[i].iov_len;
	}
	return 0;
}

bool mapping_right(const struct mapping *m)
{
	const unsigned char *copy = m->copy;
	bool right = true;

	for (unsigned int i = 0; i < m->n; i++) {
		right &= !memcmp(m->piece[i].iov_base, copy, m->piece[i].iov_len);
		copy += m->piece[i].iov_len;
	}
	return right;
}

int mapping_drop(struct weir_ioas *as, struct mapping *m)
{
	int ret = m->mem ? weir_mem_free(m->mem) : weir_ioas_unmap(as, m->iova, m->len);

	if (!ret)
		give_back(m);
	return ret;
}

struct spot mapping_spot(const struct mapping *m, uint64_t *random, size_t len)
{
	unsigned int piece = (unsigned int)chance(random, m->n);
	const struct iovec *p = &m->piece[piece];
	unsigned char *copy = m->copy;
	size_t offset;

	for (unsigned int i = 0; i < piece; i++)
		copy += m->piece[i].iov_len;
	len = len < p->iov_len ? len : p->iov_len;
	offset = chance(random, p->iov_len - len + 1);
	return (struct spot){ (unsigned char *)p->iov_base + offset, copy + offset, len };
}
