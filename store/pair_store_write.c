/* pair_store_write.c - the writing half of kith/pairs.h: pairs in, blocks out, then the meta record and the seal. */
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "pair_codec.h"
#include "pair_planes.h"

struct kith_pair_writer {
	kith_pair_meta meta;
	kith_container *container;
	char *path;
	/* the block at hand */
	uint32_t pending;
	kith_pair_planes block;  /* bits from `pending` on are 0 */
	uint64_t *seen;          /* of a batch: the pairs that are in some layer */
	uint64_t next_i, next_j; /* the least pair that may follow */
	uint64_t chunks;         /* values of extras so far */
	kith_block_scratch scratch;
};

/* Of many layers less than the default, and then whole words of bits. */
static uint32_t choose_block_pairs(uint32_t layers, uint32_t levels)
{
	uint64_t most = 4ull * KITH_PAIR_BLOCK_BYTES / kith_pair_quarters(layers, levels) / 512 * 512;
	return most < KITH_PAIR_BLOCK_DEFAULT ? (uint32_t)most : KITH_PAIR_BLOCK_DEFAULT;
}

static size_t bits_bytes(const kith_pair_planes *b)
{
	return 2 * b->stride * b->levels * b->layers * sizeof *b->bits;
}

static int allocate(kith_pair_writer *w, kith_err *err)
{
	const kith_pair_info *info = &w->meta.info;
	int rc = kith_planes_reserve(&w->block, info->block_pairs, info->layer_count, info->levels, err);
	if (rc)
		return rc;
	memset(w->block.bits, 0, bits_bytes(&w->block));
	if (!(w->seen = kith_alloc(w->block.stride, sizeof *w->seen)))
		return kith_fail_nomem(err, "a block of pairs", w->block.stride * sizeof *w->seen);
	return kith_block_scratch_init(&w->scratch, err);
}

int kith_pair_writer_create(kith_pair_writer **out, const char *path, const kith_pair_info *info, kith_err *err)
{
	kith_pair_info wanted = *info;
	kith_err why;
	int rc;
	if (!wanted.block_pairs && info->layer_count <= KITH_MAX_LAYERS && info->levels <= KITH_MAX_TIERS)
		wanted.block_pairs = choose_block_pairs(info->layer_count, info->levels);
	if ((rc = kith_pair_info_check(&wanted, &why)))
		return kith_fail(err, rc, "%s: %s", path, why.msg);
	kith_pair_writer *w = kith_alloc_zero(1, sizeof *w);
	if (!w || !(w->path = strdup(path))) {
		free(w);
		return kith_fail_nomem(err, "a writer of pairs", sizeof *w);
	}
	if (!(rc = kith_pair_meta_init(&w->meta, &wanted, err)) && !(rc = allocate(w, err)))
		rc = kith_container_create(&w->container, path, KITH_CONTAINER_PAIRS, err);
	if (rc)
		kith_pair_writer_abort(w);
	else
		*out = w;
	return rc;
}

void kith_pair_writer_abort(kith_pair_writer *w)
{
	if (!w)
		return;
	kith_container_close(w->container);
	kith_block_scratch_free(&w->scratch);
	kith_pair_meta_free(&w->meta);
	kith_pair_planes_free(&w->block);
	free(w->seen);
	free(w->path);
	free(w);
}

static int flush(kith_pair_writer *w, kith_err *err)
{
	const kith_pair_info *info = &w->meta.info;
	uint64_t block = (info->pairs - 1) / info->block_pairs;
	int rc;
	if (block >= UINT32_MAX)
		return kith_fail(err, KITH_EUSAGE, "%s: more pairs than blocks of %u can hold", w->path,
				 info->block_pairs);
	rc = kith_pair_block_encode(&w->scratch, info, block, w->pending, &w->block, err);
	if (!rc)
		rc = kith_container_put(w->container, KITH_TABLE_PAIR_BLOCKS, (uint32_t)block, w->scratch.value.bytes,
					w->scratch.value.size, err);
	memset(w->block.bits, 0, bits_bytes(&w->block));
	w->pending = 0;
	return rc;
}

/* Are the bits of pairs from `pending` on what bits can be? Marks the pairs that are in some layer. */
static int check_bits(kith_pair_writer *w, uint32_t count, kith_err *err)
{
	const kith_pair_planes *b = &w->block;
	size_t first = w->pending / 64, end = (w->pending + count + 63) / 64;
	uint64_t wrong = 0;
	memset(w->seen + first, 0, (end - first) * sizeof *w->seen);
	for (uint32_t direction = 0; direction < 2; direction++)
		for (uint32_t v = 0; v < b->layers; v++) {
			const uint64_t *plane = kith_pair_plane(b, v, 0, direction);
			for (uint32_t q = 1; q < b->levels; q++) {
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

/* Are the next `count` pairs, which are in the block already, in order, present somewhere, and after all before? */
static int check_pairs(kith_pair_writer *w, uint32_t count, kith_err *err)
{
	int rc = check_bits(w, count, err);
	for (uint32_t p = w->pending; !rc && p < w->pending + count; p++) {
		uint32_t i = w->block.i[p], j = w->block.j[p];
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

static void take_bits(kith_pair_writer *w, uint64_t from, uint32_t count, const uint64_t *bits, size_t stride)
{
	const kith_pair_planes *b = &w->block;
	for (size_t plane = 0; plane < 2 * (size_t)b->levels * b->layers; plane++)
		kith_bits_copy(b->bits + plane * b->stride, w->pending, bits + plane * stride, from, count);
}

static int take_tiers(kith_pair_writer *w, uint64_t from, uint32_t count, const uint8_t *tier, size_t stride)
{
	int rc = 0;
	for (uint32_t v = 0; v < w->block.layers; v++)
		rc |= kith_planes_from_tiers(&w->block, v, w->pending, count, tier + v * stride + from);
	return rc;
}

/* From either bits or tiers. */
static int append(kith_pair_writer *w, uint64_t count, const uint32_t *i, const uint32_t *j, const uint64_t *bits,
		  const uint8_t *tier, size_t stride, kith_err *err)
{
	kith_pair_info *info = &w->meta.info;
	int rc;
	for (uint64_t from = 0; from < count;) {
		uint32_t room = info->block_pairs - w->pending,
			 take = count - from < room ? (uint32_t)(count - from) : room;
		memcpy(w->block.i + w->pending, i + from, take * sizeof *i);
		memcpy(w->block.j + w->pending, j + from, take * sizeof *j);
		if (bits)
			take_bits(w, from, take, bits, stride);
		else if (take_tiers(w, from, take, tier, stride))
			return kith_fail(err, KITH_EBUG, "%s: a pair has a level that is none of the %u", w->path,
					 info->levels);
		if ((rc = check_pairs(w, take, err)))
			return rc;
		w->pending += take;
		info->pairs += take;
		from += take;
		if (w->pending == info->block_pairs && (rc = flush(w, err)))
			return rc;
	}
	return 0;
}

int kith_pair_writer_append(kith_pair_writer *w, uint64_t count, const uint32_t *i, const uint32_t *j,
			    const uint8_t *tier, size_t stride, kith_err *err)
{
	return append(w, count, i, j, NULL, tier, stride, err);
}

int kith_pair_writer_append_planes(kith_pair_writer *w, uint64_t count, const uint32_t *i, const uint32_t *j,
				   const uint64_t *bits, size_t stride, kith_err *err)
{
	return append(w, count, i, j, bits, NULL, stride, err);
}

int kith_pair_writer_put_extra(kith_pair_writer *w, const char *name, const void *bytes, uint64_t size, kith_err *err)
{
	kith_pair_info *info = &w->meta.info;
	const uint8_t *at = bytes;
	int rc;
	for (uint32_t e = 0; e < info->extras; e++)
		if (!strcmp(w->meta.extras[e].name, name))
			return kith_fail(err, KITH_EBUG, "%s: extra %s is there already", w->path, name);
	if (!*name || strlen(name) >= KITH_PAIR_EXTRA_NAME || info->extras == KITH_MAX_PAIR_EXTRAS)
		return kith_fail(err, KITH_EBUG, "%s: extra '%s': no name, too long a name, or one extra too many",
				 w->path, name);
	kith_pair_extra *x = &w->meta.extras[info->extras];
	strcpy(x->name, name);
	x->size = size;
	x->chunk = (uint32_t)w->chunks;
	for (uint64_t left = size; left;) {
		size_t take = left < KITH_EXTRA_CHUNK ? left : KITH_EXTRA_CHUNK;
		uint32_t chunk = (uint32_t)w->chunks++;
		if ((rc = kith_pair_extra_encode(&w->scratch, chunk, at, take, err)) ||
		    (rc = kith_container_put(w->container, KITH_TABLE_EXTRAS, chunk, w->scratch.value.bytes,
					     w->scratch.value.size, err)))
			return rc;
		at += take;
		left -= take;
	}
	info->extras++;
	return 0;
}

int kith_pair_writer_finish(kith_pair_writer *w, kith_err *err)
{
	const kith_value *value = &w->scratch.value;
	int rc = w->pending ? flush(w, err) : 0;
	if (!rc)
		rc = kith_pair_meta_encode(&w->scratch, &w->meta, err);
	if (!rc)
		rc = kith_container_put(w->container, KITH_TABLE_META, 0, value->bytes, value->size, err);
	if (!rc)
		rc = kith_container_seal(w->container, err);
	kith_pair_writer_abort(w);
	return rc;
}
