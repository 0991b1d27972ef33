/* h0_write.c - the writing half of kith/generators.h. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "h0_codec.h"

#define PAGES_BYTES (20u << 20) /* LMDB's pages that are to be written, as container.c batches them, and some more */
#define ZSTD_BYTES  (2u << 20)  /* of one thread */

/* What one thread has encoded. */
typedef struct encoded {
	kith_h0_block_scratch scratch;
	uint64_t block, edges, classes;
} encoded;

struct kith_h0_writer {
	kith_h0_meta meta;
	const char *path; /* the container's */
	kith_container *container;
	encoded *threads;
	int thread_count;
	uint64_t written; /* blocks */
};

uint32_t kith_h0_block_samples(const kith_h0_info *info)
{
	uint32_t samples = 1;
	while (2 * samples <= KITH_MAX_H0_BLOCK && 2 * samples * info->vertices <= KITH_H0_BLOCK_UNITS)
		samples *= 2;
	return samples;
}

uint64_t kith_h0_writer_bytes(const kith_h0_info *info, int threads)
{
	uint64_t edges = kith_h0_block_samples(info) * info->vertices;
	/* numbers, and what is known of sources; the two values, which grow by half and are then there twice; weights,
	 * as they are, in planes and in such a value */
	return PAGES_BYTES + (uint64_t)threads * (kith_h0_encode_bytes(edges) + edges * 18 * 5 / 2 + ZSTD_BYTES) +
	       kith_h0_weight_count(info) * 15;
}

int kith_h0_writer_create(kith_h0_writer **out, const char *path, const kith_h0_info *info, int threads, kith_err *err)
{
	int rc = 0;
	kith_h0_writer *w = kith_alloc_zero(1, sizeof *w);
	if (!w || !(w->threads = kith_alloc_zero((size_t)threads, sizeof *w->threads))) {
		free(w);
		return kith_fail_nomem(err, "a writer", sizeof *w);
	}
	w->thread_count = threads;
	rc = kith_h0_meta_init(&w->meta, info, err);
	for (int t = 0; !rc && t < threads; t++)
		rc = kith_h0_block_scratch_init(&w->threads[t].scratch, err);
	if (!rc)
		rc = kith_container_create(&w->container, path, KITH_CONTAINER_GENERATORS, err);
	if (rc) {
		kith_h0_writer_abort(w);
		return rc;
	}
	w->meta.info.block_samples = kith_h0_block_samples(info);
	w->meta.info.edges = w->meta.info.classes = 0;
	w->path = kith_container_path(w->container);
	*out = w;
	return 0;
}

void kith_h0_writer_abort(kith_h0_writer *w)
{
	if (!w)
		return;
	kith_container_close(w->container);
	for (int t = 0; t < w->thread_count; t++)
		kith_h0_block_scratch_free(&w->threads[t].scratch);
	kith_h0_meta_free(&w->meta);
	free(w->threads);
	free(w);
}

int kith_h0_writer_encode(kith_h0_writer *w, int thread, uint64_t block, const kith_h0_samples *samples, kith_err *err)
{
	encoded *e = &w->threads[thread];
	e->block = block;
	e->edges = samples->edge_at[samples->count];
	e->classes = 0;
	for (uint64_t k = 0; k < e->edges; k++)
		e->classes += samples->mark[k] == KITH_MARK_BIRTH;
	return kith_fail_in(err, kith_h0_block_encode(&e->scratch, &w->meta.info, block, samples, err), w->path);
}

int kith_h0_writer_put(kith_h0_writer *w, int thread, kith_err *err)
{
	encoded *e = &w->threads[thread];
	const kith_encoder *forests = &e->scratch.forests, *values = &e->scratch.values;
	kith_h0_info *info = &w->meta.info;
	if (e->block != w->written)
		return kith_fail(err, KITH_EBUG, "%s: block %llu out of order", w->path, (unsigned long long)e->block);
	int rc = kith_container_put(w->container, KITH_TABLE_FORESTS, (uint32_t)e->block, forests->bytes, forests->size,
				    err);
	if (!rc && info->values)
		rc = kith_container_put(w->container, KITH_TABLE_VALUES, (uint32_t)e->block, values->bytes,
					values->size, err);
	w->written++;
	info->edges += e->edges;
	info->classes += e->classes;
	return rc;
}

int kith_h0_writer_finish(kith_h0_writer *w, kith_err *err)
{
	kith_h0_block_scratch *s = &w->threads[0].scratch;
	int rc = 0;
	if (w->written != kith_h0_info_blocks(&w->meta.info))
		rc = kith_fail(err, KITH_EBUG, "%s: %llu blocks of %llu", w->path, (unsigned long long)w->written,
			       (unsigned long long)kith_h0_info_blocks(&w->meta.info));
	if (!rc)
		rc = kith_h0_meta_encode(s, &w->meta, err);
	if (!rc)
		rc = kith_container_put(w->container, KITH_TABLE_META, 0, s->forests.bytes, s->forests.size, err);
	if (!rc)
		rc = kith_container_seal(w->container, err);
	kith_h0_writer_abort(w);
	return rc;
}
