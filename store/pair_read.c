/* pair_read.c - the reading half of kith/pairs.h. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "pair_codec.h"

struct kith_pair_store {
	kith_pair_meta meta;
	const char *path; /* the container's */
	kith_container *container;
	kith_block_scratch scratch;
	kith_pair_planes sought; /* kith_pair_store_find's */
};

int kith_pair_store_open(kith_pair_store **out, const char *path, kith_err *err)
{
	const void *bytes;
	size_t size;
	int rc;
	kith_pair_store *s = kith_alloc_zero(1, sizeof *s);

	if (!s)
		return kith_fail_nomem(err, "a pair store", sizeof *s);
	if (!(rc = kith_container_open(&s->container, path, KITH_CONTAINER_PAIRS, err)) &&
	    !(rc = kith_container_get(s->container, KITH_TABLE_META, 0, &bytes, &size, err)) &&
	    !(rc = kith_block_scratch_init(&s->scratch, err)))
		rc = kith_fail_in(err, kith_pair_meta_decode(&s->scratch, bytes, size, &s->meta, err), path);
	if (rc) {
		kith_pair_store_close(s);
		return rc;
	}
	s->path = kith_container_path(s->container);
	*out = s;
	return 0;
}

void kith_pair_store_close(kith_pair_store *s)
{
	if (!s)
		return;
	kith_container_close(s->container);
	kith_block_scratch_free(&s->scratch);
	kith_pair_meta_free(&s->meta);
	kith_pair_planes_free(&s->sought);
	free(s);
}

int kith_pair_store_unchanged(const kith_pair_store *s, kith_err *err)
{
	return kith_container_unchanged(s->container, err);
}

const kith_pair_info *kith_pair_store_get_info(const kith_pair_store *s)
{
	return &s->meta.info;
}

const char *kith_pair_store_path(const kith_pair_store *s)
{
	return s->path;
}

/* The value of a block that there is, for layers that there are. */
static int find_block(kith_pair_store *s, uint64_t block, uint32_t *layers, const uint32_t *wanted, const void **bytes,
		      size_t *size, kith_err *err)
{
	const kith_pair_info *info = &s->meta.info;
	if (block >= kith_pair_info_blocks(info))
		return kith_fail(err, KITH_EUSAGE, "%s: block %llu asked for, but there are %llu", s->path,
				 (unsigned long long)block, (unsigned long long)kith_pair_info_blocks(info));
	if (!wanted)
		*layers = info->layer_count;
	for (uint32_t w = 0; wanted && w < *layers; w++)
		if (wanted[w] >= info->layer_count || (w && wanted[w] <= wanted[w - 1]))
			return kith_fail(err, KITH_EUSAGE, "%s: layer %u asked for: there are %u, to be in order",
					 s->path, wanted[w], info->layer_count);
	return kith_container_get(s->container, KITH_TABLE_PAIR_BLOCKS, (uint32_t)block, bytes, size, err);
}

int kith_pair_store_read_planes(kith_pair_store *s, uint64_t block, uint32_t layers, const uint32_t *wanted,
				kith_pair_planes *out, kith_err *err)
{
	const void *bytes;
	size_t size;
	int rc = find_block(s, block, &layers, wanted, &bytes, &size, err);
	if (rc)
		return rc;
	rc = kith_pair_block_decode(&s->scratch, &s->meta.info, block, bytes, size, layers, wanted, out, err);
	return kith_fail_in(err, rc, s->path);
}

int kith_pair_store_find(kith_pair_store *s, uint64_t node, uint64_t *block, kith_err *err)
{
	const uint32_t none = 0;
	uint64_t low = 0, high = kith_pair_info_blocks(&s->meta.info);
	while (low < high) { /* all blocks before `low` end below node, those from `high` on do not */
		uint64_t middle = low + (high - low) / 2;
		int rc = kith_pair_store_read_planes(s, middle, 0, &none, &s->sought, err);
		if (rc)
			return rc;
		if (s->sought.i[s->sought.count - 1] < node)
			low = middle + 1;
		else
			high = middle;
	}
	*block = low;
	return 0;
}
