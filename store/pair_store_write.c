/* pair_store_write.c - the writing half of kith/pairs.h: pairs in, blocks out, then the meta record and the seal. */
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "pair_codec.h"

struct kith_pair_writer {
	kith_pair_meta meta;
	kith_container *container;
	char *path;
	/* the block at hand */
	uint32_t pending;
	uint32_t *i, *j;
	uint8_t *tier; /* layer v's at v * block_pairs */
	uint8_t *seen; /* of a batch: all tiers of a pair and-ed, KITH_PAIR_ABSENT if it has none */
	uint8_t wrong[256];
	uint64_t next_i, next_j; /* the least pair that may follow */
	uint64_t chunks;         /* values of extras so far */
	kith_block_scratch scratch;
};

static uint32_t choose_block_pairs(uint32_t layers)
{
	uint32_t most = KITH_PAIR_BLOCK_BYTES / (layers + 8);
	return most < KITH_PAIR_BLOCK_DEFAULT ? most : KITH_PAIR_BLOCK_DEFAULT;
}

static int allocate(kith_pair_writer *w, kith_err *err)
{
	uint32_t count = w->meta.info.block_pairs;
	w->i = kith_alloc(count, sizeof *w->i);
	w->j = kith_alloc(count, sizeof *w->j);
	w->tier = kith_alloc((size_t)count * w->meta.info.layer_count, 1);
	w->seen = kith_alloc(count, 1);
	if (!w->i || !w->j || !w->tier || !w->seen)
		return kith_fail_nomem(err, "a block of pairs", (w->meta.info.layer_count + 9ull) * count);
	return kith_block_scratch_init(&w->scratch, err);
}

int kith_pair_writer_create(kith_pair_writer **out, const char *path, const kith_pair_info *info, kith_err *err)
{
	kith_pair_info wanted = *info;
	kith_err why;
	int rc;
	if (!wanted.block_pairs)
		wanted.block_pairs = choose_block_pairs(info->layer_count);
	if ((rc = kith_pair_info_check(&wanted, &why)))
		return kith_fail(err, rc, "%s: %s", path, why.msg);
	kith_pair_writer *w = kith_alloc_zero(1, sizeof *w);
	if (!w || !(w->path = strdup(path))) {
		free(w);
		return kith_fail_nomem(err, "a writer of pairs", sizeof *w);
	}
	kith_pair_wrong_tiers(info->levels, w->wrong);
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
	free(w->i);
	free(w->j);
	free(w->tier);
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
	rc = kith_pair_block_encode(&w->scratch, info, block, w->pending, w->i, w->j, w->tier, info->block_pairs, err);
	if (!rc)
		rc = kith_container_put(w->container, KITH_TABLE_PAIR_BLOCKS, (uint32_t)block, w->scratch.value.bytes,
					w->scratch.value.size, err);
	w->pending = 0;
	return rc;
}

/* Are these pairs in order, each present somewhere, and after all before them? They fit in the block at hand. */
static int check_pairs(kith_pair_writer *w, uint32_t count, const uint32_t *i, const uint32_t *j, const uint8_t *tier,
		       size_t stride, kith_err *err)
{
	uint8_t wrong = 0;
	memset(w->seen, KITH_PAIR_ABSENT, count);
	for (uint32_t v = 0; v < w->meta.info.layer_count; v++)
		for (uint32_t p = 0; p < count; p++) {
			wrong |= w->wrong[tier[v * stride + p]];
			w->seen[p] &= tier[v * stride + p];
		}
	if (wrong)
		return kith_fail(err, KITH_EBUG, "%s: a pair has a level that is none of the %u", w->path,
				 w->meta.info.levels);
	for (uint32_t p = 0; p < count; p++) {
		int in_order = i[p] > w->next_i || (i[p] == w->next_i && j[p] >= w->next_j);
		if (!in_order || j[p] <= i[p] || j[p] >= w->meta.info.n || w->seen[p] == KITH_PAIR_ABSENT)
			return kith_fail(err, KITH_EBUG, "%s: pair {%u, %u} is %s", w->path, i[p], j[p],
					 !in_order                        ? "out of order"
					 : w->seen[p] == KITH_PAIR_ABSENT ? "in no layer"
									  : "no pair of two samples");
		w->next_i = i[p];
		w->next_j = j[p] + 1ull;
	}
	return 0;
}

int kith_pair_writer_append(kith_pair_writer *w, uint64_t count, const uint32_t *i, const uint32_t *j,
			    const uint8_t *tier, size_t stride, kith_err *err)
{
	kith_pair_info *info = &w->meta.info;
	while (count) {
		uint32_t room = info->block_pairs - w->pending, take = count < room ? (uint32_t)count : room;
		int rc = check_pairs(w, take, i, j, tier, stride, err);
		if (rc)
			return rc;
		memcpy(w->i + w->pending, i, take * sizeof *i);
		memcpy(w->j + w->pending, j, take * sizeof *j);
		for (uint32_t v = 0; v < info->layer_count; v++)
			memcpy(w->tier + (size_t)v * info->block_pairs + w->pending, tier + v * stride, take);
		w->pending += take;
		info->pairs += take;
		if (w->pending == info->block_pairs && (rc = flush(w, err)))
			return rc;
		count -= take;
		i += take;
		j += take;
		tier += take;
	}
	return 0;
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
