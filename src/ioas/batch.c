/* SPDX-License-Identifier: MIT */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/sys.h"
#include "ioas/batch.h"
#include "mem/pages.h"

/* They never overlap, so that those that do are one, or a place inside one. */
static int compare(const void *a, const void *b)
{
	const struct wr_span *x = a, *y = b;

	if (x->iova + (x->len - 1) < y->iova)
		return -1;
	return y->iova + (y->len - 1) < x->iova;
}

struct wr_batch *wr_batch_at(const struct weir_ioas *as, weir_iova iova)
{
	const struct wr_span place = { .iova = iova, .len = 1 };

	return (*(struct wr_span **)tfind(&place, &as->batches, compare))->batch;
}

struct wr_batch *wr_batch_new(size_t n, size_t n_spans)
{
	struct wr_batch *batch = calloc(1, sizeof(*batch) + n * sizeof(batch->parts[0]) +
				     n_spans * sizeof(batch->spans[0]));

	if (!batch) {
		wr_fail(-ENOMEM, "no memory to record %zu mappings", n);
		return NULL;
	}
	batch->n = n;
	batch->n_spans = n_spans;
	batch->spans = (struct wr_span *)&batch->parts[n];
	return batch;
}

static void put_memory(struct wr_memory *memory)
{
	if (__atomic_sub_fetch(&memory->units, 1, __ATOMIC_ACQ_REL))
		return;
	if (memory->mapped) {
		wr_pages_unmap(memory->mapped, memory->len);
		wr_close(memory->file.fd);
	}
	free(memory);
}

static void end_loan(struct wr_batch *batch)
{
	pthread_mutex_lock(&batch->lender->lock);
	wr_list_del(&batch->lent);
	pthread_mutex_unlock(&batch->lender->lock);
	if (batch->memory->file.fd >= 0)
		wr_close(batch->memory->file.fd);
}

void wr_batch_free(struct wr_batch *batch)
{
	if (batch->lender)
		end_loan(batch);
	if (batch->memory)
		put_memory(batch->memory);
	free(batch);
}

struct wr_batch *wr_batch_of(void *vaddr, uint64_t len, struct wr_file file)
{
	struct wr_memory *memory = calloc(1, sizeof(*memory));
	struct wr_batch *batch;

	if (!memory) {
		wr_fail(-ENOMEM, "no memory to record a mapping");
		return NULL;
	}
	batch = wr_batch_new(1, 1);
	if (!batch) {
		free(memory);
		return NULL;
	}
	*memory = (struct wr_memory){ .units = 1, .len = len, .file = file };
	batch->memory = memory;
	batch->len = len;
	batch->parts[0].vaddr = vaddr;
	batch->parts[0].len = len;
	if (file.fd >= 0)
		batch->parts[0].file = &memory->file;
	return batch;
}

struct wr_batch *wr_batch_copy(const struct wr_batch *source)
{
	struct wr_batch *batch = wr_batch_new(source->n, 1);

	if (!batch)
		return NULL;
	batch->len = source->len;
	memcpy(batch->parts, source->parts, source->n * sizeof(source->parts[0]));
	batch->memory = source->memory;
	if (batch->memory)
		__atomic_add_fetch(&batch->memory->units, 1, __ATOMIC_RELAXED);
	return batch;
}

static void leave(struct weir_ioas *as, struct wr_batch *batch, size_t n_spans)
{
	while (n_spans--)
		tdelete(&batch->spans[n_spans], &as->batches, compare);
}

int wr_batch_enter(struct weir_ioas *as, struct wr_batch *batch)
{
	batch->iova = batch->parts[0].iova;
	for (size_t i = 0; i < batch->n_spans; i++) {
		struct wr_span *span = &batch->spans[i];

		span->iova = batch->parts[i].iova;
		span->len = batch->n_spans == 1 ? batch->len : batch->parts[i].len;
		span->batch = batch;
		if (!tsearch(span, &as->batches, compare)) {
			leave(as, batch, i);
			return wr_fail(-ENOMEM, "no memory to record %zu mappings", batch->n);
		}
	}
	return 0;
}

void wr_batch_leave(struct weir_ioas *as, struct wr_batch *batch)
{
	leave(as, batch, batch->n_spans);
}

static void forget_span(void *span)
{
	struct wr_batch *batch = ((struct wr_span *)span)->batch;

	if (!--batch->n_spans)
		wr_batch_free(batch);
}

void wr_ioas_forget(struct weir_ioas *as)
{
	tdestroy(as->batches, forget_span);
	as->batches = NULL;
	as->placed = 0;
}
