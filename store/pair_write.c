/* pair_write.c - the writing half of kith/pairs.h: pairs in, blocks out, then the meta record and the seal. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "first_error.h"
#include "pair_codec.h"
#include "pair_planes.h"

#define PAGES_BYTES (18ull << 20) /* of the container, until they are written */
#define ZSTD_BYTES  (2ull << 20)  /* of the contexts of one thread */

/* A block that is being filled, or waits to be encoded. */
typedef struct filling {
	uint32_t count;          /* pairs so far */
	kith_pair_planes planes; /* with room for a whole block; bits from `count` on are 0 */
	kith_block_scratch scratch;
} filling;

struct kith_pair_writer {
	kith_pair_meta meta;
	kith_container *container;
	const char *path; /* the container's */
	uint32_t threads;
	filling blocks[KITH_STORE_THREADS]; /* `threads` of them, encoded together when all are full */
	uint32_t full;                      /* of these */
	uint64_t written;                   /* blocks, in the file */
	uint64_t *seen;                     /* a bit for each pair of a block: it is present in some layer */
	uint64_t next_i, next_j;            /* the least pair that may follow */
};

/* The default, or with many layers fewer, whole cache lines of bits. */
static uint32_t choose_block_pairs(uint32_t layers, uint32_t tiers)
{
	uint64_t most = 4ull * KITH_PAIR_BLOCK_BYTES / kith_pair_quarters(layers, tiers) / 512 * 512;
	return most < KITH_PAIR_BLOCK_DEFAULT ? (uint32_t)most : KITH_PAIR_BLOCK_DEFAULT;
}

uint64_t kith_pair_writer_bytes(const kith_pair_info *info, int threads)
{
	uint64_t pairs = info->block_pairs ? info->block_pairs : choose_block_pairs(info->layer_count, info->tiers);
	uint64_t block = pairs * kith_pair_quarters(info->layer_count, info->tiers) / 4,
		 padding = 128ull * info->layer_count * info->tiers; /* sets of bits are whole cache lines */
	/* the block; its value, which grows by half and is then there twice; ids as gaps and one byte plane of them;
	 * the bitmaps of a layer; zstd's own */
	return PAGES_BYTES + pairs / 8 +
	       kith_store_threads(threads) *
		       (block + padding + block * 5 / 2 + pairs * 9 + pairs * info->tiers / 4 + ZSTD_BYTES);
}

static size_t bits_bytes(const kith_pair_planes *b)
{
	return 2 * b->stride * b->tiers * b->layers * sizeof *b->bits;
}

/* The block that the next pair goes to, allocated when it is first needed: few pairs need only one. */
static int get_block(kith_pair_writer *w, filling **out, kith_err *err)
{
	const kith_pair_info *info = &w->meta.info;
	filling *f = &w->blocks[w->full];
	int rc = 0;
	*out = f;
	if (f->planes.bits)
		return 0;
	if ((rc = kith_planes_reserve(&f->planes, info->block_pairs, info->layer_count, info->tiers, err)))
		return rc;
	memset(f->planes.bits, 0, bits_bytes(&f->planes));
	return f->scratch.encoder.plain ? 0 : kith_block_scratch_init(&f->scratch, err);
}

int kith_pair_writer_create(kith_pair_writer **out, const char *path, const kith_pair_info *info, int threads,
			    kith_err *err)
{
	kith_pair_info wanted = *info;
	int rc;
	if (!wanted.block_pairs && info->layer_count <= KITH_MAX_LAYERS && info->tiers <= KITH_MAX_TIERS)
		wanted.block_pairs = choose_block_pairs(info->layer_count, info->tiers);
	if ((rc = kith_fail_in(err, kith_pair_info_check(&wanted, err), path)))
		return rc;
	kith_pair_writer *w = kith_alloc_zero(1, sizeof *w);
	if (!w)
		return kith_fail_nomem(err, "a writer of pairs", sizeof *w);
	w->threads = kith_store_threads(threads);
	if (!(rc = kith_pair_meta_init(&w->meta, &wanted, err)) &&
	    !(rc = kith_block_scratch_init(&w->blocks[0].scratch, err)) &&
	    !(w->seen = kith_alloc(kith_plane_words(wanted.block_pairs), sizeof *w->seen)))
		rc = kith_fail_nomem(err, "a block of pairs", wanted.block_pairs / 8);
	if (!rc)
		rc = kith_container_create(&w->container, path, KITH_CONTAINER_PAIRS, err);
	if (rc) {
		kith_pair_writer_abort(w);
		return rc;
	}
	w->path = kith_container_path(w->container);
	*out = w;
	return 0;
}

void kith_pair_writer_abort(kith_pair_writer *w)
{
	if (!w)
		return;
	kith_container_close(w->container);
	for (uint32_t b = 0; b < KITH_STORE_THREADS; b++) {
		kith_pair_planes_free(&w->blocks[b].planes);
		kith_block_scratch_free(&w->blocks[b].scratch);
	}
	kith_pair_meta_free(&w->meta);
	free(w->seen);
	free(w);
}

static int put_block(kith_pair_writer *w, filling *f, kith_err *err)
{
	const kith_encoder *value = &f->scratch.encoder;
	if (w->written == UINT32_MAX)
		return kith_fail(err, KITH_EUSAGE, "%s: more pairs than blocks of %u can hold", w->path,
				 w->meta.info.block_pairs);
	memset(f->planes.bits, 0, bits_bytes(&f->planes));
	f->count = 0;
	return kith_container_put(w->container, KITH_TABLE_PAIR_BLOCKS, (uint32_t)w->written++, value->bytes,
				  value->size, err);
}

/* Encodes the first `count` blocks, each in a thread of its own, and puts them in order. */
static int flush(kith_pair_writer *w, uint32_t count, kith_err *err)
{
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(count) schedule(static, 1) if (count > 1)
	for (uint32_t b = 0; b < count; b++) {
		filling *f = &w->blocks[b];
		kith_err why;
		int rc = kith_pair_block_encode(&f->scratch, &w->meta.info, w->written + b, f->count, &f->planes, &why);
		kith_first_error_note(&failed, b, rc, &why);
	}
	int rc = kith_fail_in(err, kith_first_error_get(&failed, err), w->path);
	for (uint32_t b = 0; !rc && b < count; b++)
		rc = put_block(w, &w->blocks[b], err);
	w->full = 0;
	return rc;
}

/* Checks that the planes of the next `count` pairs are cumulative, and marks in `seen` the pairs that some layer has.
 */
static int check_bits(kith_pair_writer *w, const filling *f, uint32_t count, kith_err *err)
{
	const kith_pair_planes *b = &f->planes;
	size_t first = f->count / 64, end = (f->count + count + 63) / 64;
	uint64_t wrong = 0;
	memset(w->seen + first, 0, (end - first) * sizeof *w->seen);
	for (uint32_t direction = 0; direction < 2; direction++)
		for (uint32_t v = 0; v < b->layers; v++) {
			const uint64_t *plane = kith_pair_plane(b, v, 0, direction);
			for (uint32_t q = 1; q < b->tiers; q++) {
				const uint64_t *below = plane;
				plane = kith_pair_plane(b, v, q, direction);
				for (size_t x = first; x < end; x++)
					wrong |= below[x] & ~plane[x];
			}
			for (size_t x = first; x < end; x++)
				w->seen[x] |= plane[x];
		}
	if (wrong)
		return kith_fail(err, KITH_EBUG, "%s: a pair is there at some k and not at a larger one", w->path);
	return 0;
}

/* Checks the next `count` pairs, which are in the block already: pairs of two samples, ascending, after all before
 * them, each present in some layer. */
static int check_pairs(kith_pair_writer *w, const filling *f, uint32_t count, kith_err *err)
{
	int rc = check_bits(w, f, count, err);
	for (uint32_t p = f->count; !rc && p < f->count + count; p++) {
		uint32_t i = f->planes.i[p], j = f->planes.j[p];
		int in_order = i > w->next_i || (i == w->next_i && j >= w->next_j);
		int somewhere = w->seen[p / 64] >> p % 64 & 1;
		if (!in_order || j <= i || j >= w->meta.info.n || !somewhere)
			return kith_fail(err, KITH_EBUG, "%s: pair {%u, %u} is %s", w->path, i, j,
					 !in_order    ? "out of order"
					 : !somewhere ? "in no layer"
						      : "no pair of two samples");
		w->next_i = i;
		w->next_j = j + 1ull;
	}
	return rc;
}

int kith_pair_writer_append_planes(kith_pair_writer *w, uint64_t count, const uint32_t *i, const uint32_t *j,
				   const uint64_t *bits, size_t stride, kith_err *err)
{
	kith_pair_info *info = &w->meta.info;
	filling *f;
	int rc;
	for (uint64_t from = 0; from < count;) {
		if ((rc = get_block(w, &f, err)))
			return rc;
		uint32_t room = info->block_pairs - f->count,
			 take = count - from < room ? (uint32_t)(count - from) : room;
		kith_pair_planes *b = &f->planes;
		memcpy(b->i + f->count, i + from, take * sizeof *i);
		memcpy(b->j + f->count, j + from, take * sizeof *j);
		for (size_t plane = 0; plane < 2 * (size_t)b->tiers * b->layers; plane++)
			kith_bits_copy(b->bits + plane * b->stride, f->count, bits + plane * stride, from, take);
		if ((rc = check_pairs(w, f, take, err)))
			return rc;
		f->count += take;
		info->pairs += take;
		from += take;
		w->full += f->count == info->block_pairs;
		if (w->full == w->threads && (rc = flush(w, w->full, err)))
			return rc;
	}
	return 0;
}

int kith_pair_writer_finish(kith_pair_writer *w, kith_err *err)
{
	kith_block_scratch *scratch = &w->blocks[0].scratch;
	const kith_encoder *value = &scratch->encoder;
	uint32_t left = w->full + (w->blocks[w->full].count != 0);
	int rc = left ? flush(w, left, err) : 0;
	if (!rc)
		rc = kith_pair_meta_encode(scratch, &w->meta, err);
	if (!rc)
		rc = kith_container_put(w->container, KITH_TABLE_META, 0, value->bytes, value->size, err);
	if (!rc)
		rc = kith_container_seal(w->container, err);
	kith_pair_writer_abort(w);
	return rc;
}
