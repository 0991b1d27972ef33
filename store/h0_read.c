/* h0_read.c - the reading half of kith/generators.h. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "h0_codec.h"

struct kith_h0_store {
	kith_h0_meta meta;
	const char *path; /* the container's */
	kith_container *container;
	kith_h0_block_scratch scratch;
};

int kith_h0_store_open(kith_h0_store **out, const char *path, kith_err *err)
{
	const void *bytes;
	size_t size;
	int rc;
	kith_h0_store *s = kith_alloc_zero(1, sizeof *s);
	if (!s)
		return kith_fail_nomem(err, "a file of generators", sizeof *s);
	if (!(rc = kith_container_open(&s->container, path, KITH_CONTAINER_GENERATORS, err)) &&
	    !(rc = kith_container_get(s->container, KITH_TABLE_META, 0, &bytes, &size, err)) &&
	    !(rc = kith_h0_block_scratch_init(&s->scratch, err)))
		rc = kith_fail_in(err, kith_h0_meta_decode(&s->scratch, bytes, size, &s->meta, err), path);
	if (rc) {
		kith_h0_store_close(s);
		return rc;
	}
	s->path = kith_container_path(s->container);
	*out = s;
	return 0;
}

void kith_h0_store_close(kith_h0_store *s)
{
	if (!s)
		return;
	kith_container_close(s->container);
	kith_h0_block_scratch_free(&s->scratch);
	kith_h0_meta_free(&s->meta);
	free(s);
}

uint64_t kith_h0_store_bytes(const kith_h0_info *info, unsigned parts)
{
	uint64_t samples = info->n < info->block_samples ? info->n : info->block_samples;
	return kith_h0_decode_bytes(info, samples, parts);
}

int kith_h0_store_unchanged(const kith_h0_store *s, kith_err *err)
{
	return kith_container_unchanged(s->container, err);
}

const kith_h0_info *kith_h0_store_get_info(const kith_h0_store *s)
{
	return &s->meta.info;
}

const char *kith_h0_store_path(const kith_h0_store *s)
{
	return s->path;
}

int kith_h0_store_read(kith_h0_store *s, uint64_t block, unsigned parts, kith_h0_samples *out, kith_err *err)
{
	const kith_h0_info *info = &s->meta.info;
	const void *bytes;
	size_t size;
	int rc;
	if (block >= kith_h0_info_blocks(info))
		return kith_fail(err, KITH_EUSAGE, "%s: block %llu asked for, but there are %llu", s->path,
				 (unsigned long long)block, (unsigned long long)kith_h0_info_blocks(info));
	if (parts & KITH_H0_VALUES && !info->values)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: was made with --no-values: it has no phi but that of births and deaths", s->path);
	if ((rc = kith_container_get(s->container, KITH_TABLE_FORESTS, (uint32_t)block, &bytes, &size, err)))
		return rc;
	rc = kith_h0_forests_decode(&s->scratch, info, block, parts, bytes, size, out, err);
	if (!rc && parts & KITH_H0_VALUES &&
	    !(rc = kith_container_get(s->container, KITH_TABLE_VALUES, (uint32_t)block, &bytes, &size, err)))
		rc = kith_h0_values_decode(&s->scratch, info, block, bytes, size, out, err);
	if (!rc && parts & KITH_H0_CLASSES)
		rc = kith_h0_classes_decode(&s->scratch, info, out, err);
	return rc == KITH_ECORRUPT ? kith_fail_in(err, rc, s->path) : rc;
}
