/* value.c - see value.h and FORMAT.md. Every number is little-endian (cpu.h refuses to compile elsewhere). */
#include "value.h"

#include <stdlib.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY /* for ZSTD_c_literalCompressionMode, and nothing else */
#include <zstd.h>

#include "alloc.h"
#include "cpu.h"
#include "hash.h"
#include "set_kernels.h"

/* A value, and a stream in it; stored size = raw size means that the bytes are as they were.
 *
 *     +-----------+-----------+-----------+-----------+-----------+-----------+
 *     | hash u64  | table u32 | nodes u32 | items u64 | stream    | stream    | ...
 *     | of what   | block u32 | zero u32  |           |           |           |
 *     | follows   |           |           |           |           |           |
 *     +-----------+-----------+-----------+-----------+-----------+-----------+
 *                                                      raw size u64, stored size u64, stored bytes
 */
#define HEADER_BYTES 32
#define STREAM_BYTES 16

/* A stream is stored raw unless zstd saves at least one byte in LEAST_GAIN. It decodes some 2 GB/s: where it saves a
 * quarter, it takes as long as to read what it saves from a disk of 0.5 GB/s. */
#define LEAST_GAIN 4

/* ---- encoding ---- */

/* Gaps and bits seldom repeat themselves, but among so many of them zstd always finds some match. Short matches take
 * more space than the entropy of the bytes they replace, and twice the time to decode. So zstd looks for matches only
 * where the caller expects them and a sample of the stream says that they gain, and they have to save at least one byte
 * in MATCH_GAIN. Level 1: above it the gain is small, and the time doubles. */
#define MATCHES    1
#define NO_MATCHES -1000
#define MATCH_GAIN 8
#define SAMPLE     65536u /* bytes, or a quarter of the stream if that is more */

int kith_encoder_init(kith_encoder *e, kith_err *err)
{
	e->matching = ZSTD_createCCtx();
	e->plain = ZSTD_createCCtx();
	if (!e->matching || !e->plain)
		return kith_fail_nomem(err, "zstd's contexts", 1u << 20);
	ZSTD_CCtx_setParameter(e->matching, ZSTD_c_compressionLevel, MATCHES);
	ZSTD_CCtx_setParameter(e->plain, ZSTD_c_compressionLevel, NO_MATCHES);
	/* no part of zstd's stable interface: a zstd that does not know it makes streams that matches make smaller */
	ZSTD_CCtx_setParameter(e->plain, ZSTD_c_literalCompressionMode, ZSTD_ps_enable);
	return 0;
}

void kith_encoder_free(kith_encoder *e)
{
	ZSTD_freeCCtx(e->matching);
	ZSTD_freeCCtx(e->plain);
	free(e->bytes);
	free(e->plane);
	free(e->matched);
	memset(e, 0, sizeof *e);
}

static int reserve(kith_encoder *e, size_t more, kith_err *err)
{
	if (e->capacity - e->size >= more)
		return 0;
	size_t capacity = e->size + more + (e->size + more) / 2;
	uint8_t *bytes = kith_alloc(capacity, 1);
	if (!bytes)
		return kith_fail_nomem(err, "a stored value", capacity);
	memcpy(bytes, e->bytes ? e->bytes : bytes, e->size);
	free(e->bytes);
	e->bytes = bytes;
	e->capacity = capacity;
	return 0;
}

int kith_value_start(kith_encoder *e, uint32_t table, uint32_t block, uint32_t nodes, uint64_t items, kith_err *err)
{
	const uint32_t head[4] = {table, block, nodes, 0};
	e->size = 0;
	if (reserve(e, HEADER_BYTES, err))
		return KITH_ENOMEM;
	memset(e->bytes, 0, 8);
	memcpy(e->bytes + 8, head, 16);
	memcpy(e->bytes + 24, &items, 8);
	e->size = HEADER_BYTES;
	return 0;
}

/* The size of a stream with matches, in e->matched, that takes `plain` bytes without; SIZE_MAX if they gain too little.
 */
static size_t match(kith_encoder *e, const void *raw, size_t size, size_t plain)
{
	size_t sample = size / 4 > SAMPLE ? size / 4 : size < SAMPLE ? size : SAMPLE;
	size_t stored = ZSTD_compress2(e->matching, e->matched, e->matched_capacity, raw, sample);
	if (ZSTD_isError(stored) || (double)stored * (double)size >= (double)plain * (double)sample)
		return SIZE_MAX;
	if (sample < size)
		stored = ZSTD_compress2(e->matching, e->matched, e->matched_capacity, raw, size);
	return ZSTD_isError(stored) || stored > plain - plain / MATCH_GAIN ? SIZE_MAX : stored;
}

static int put_stream(kith_encoder *e, const void *raw, size_t size, int matches, kith_err *err)
{
	size_t bound = ZSTD_compressBound(size), stored = 0, matched = SIZE_MAX;
	int rc = reserve(e, STREAM_BYTES + bound, err);
	if (rc || (matches && (rc = KITH_SCRATCH(e->matched, e->matched_capacity, bound, err))))
		return rc;
	uint8_t *body = e->bytes + e->size + STREAM_BYTES;
	if (size) {
		stored = ZSTD_compress2(e->plain, body, bound, raw, size);
		if (ZSTD_isError(stored))
			return kith_fail(err, KITH_ENOMEM, "zstd: %s", ZSTD_getErrorName(stored));
	}
	if (size && matches && (matched = match(e, raw, size, stored)) < stored) {
		stored = matched;
		memcpy(body, e->matched, stored);
	}
	if (stored > size - size / LEAST_GAIN) {
		stored = size;
		memcpy(body, raw, size);
	}
	const uint64_t head[2] = {size, stored};
	memcpy(e->bytes + e->size, head, STREAM_BYTES);
	e->size += STREAM_BYTES + stored;
	return 0;
}

int kith_value_stream(kith_encoder *e, const void *raw, size_t size, kith_err *err)
{
	return put_stream(e, raw, size, 1, err);
}

int kith_value_noise(kith_encoder *e, const void *raw, size_t size, kith_err *err)
{
	return put_stream(e, raw, size, 0, err);
}

KITH_CLONES static void take_plane(const uint32_t *numbers, size_t count, int shift, uint8_t *plane)
{
	for (size_t i = 0; i < count; i++)
		plane[i] = (uint8_t)(numbers[i] >> shift);
}

int kith_value_u32s(kith_encoder *e, const uint32_t *numbers, size_t count, int width, kith_err *err)
{
	int rc = KITH_SCRATCH(e->plane, e->plane_capacity, count, err);
	for (int p = 0; !rc && p < width; p++) {
		take_plane(numbers, count, 8 * p, e->plane);
		rc = kith_value_noise(e, e->plane, count, err);
	}
	return rc;
}

KITH_CLONES static void take_wide_plane(const uint64_t *numbers, size_t count, int shift, uint8_t *plane)
{
	for (size_t i = 0; i < count; i++)
		plane[i] = (uint8_t)(numbers[i] >> shift);
}

/* zstd has a code for each of its blocks, which are no larger than its window. */
int kith_value_u64s(kith_encoder *e, const uint64_t *numbers, size_t count, int width, size_t run, kith_err *err)
{
	int window = 10, rc = KITH_SCRATCH(e->plane, e->plane_capacity, count, err);
	while (window < 17 && 1ull << (window + 1) <= run)
		window++;
	ZSTD_CCtx_setParameter(e->plain, ZSTD_c_windowLog, window);
	for (int p = 0; !rc && p < width; p++) {
		take_wide_plane(numbers, count, 8 * p, e->plane);
		rc = kith_value_noise(e, e->plane, count, err);
	}
	ZSTD_CCtx_setParameter(e->plain, ZSTD_c_windowLog, 0);
	return rc;
}

int kith_value_seal(kith_encoder *e)
{
	uint64_t hash = kith_hash(e->bytes + 8, e->size - 8);
	memcpy(e->bytes, &hash, 8);
	return 0;
}

/* ---- decoding ---- */

int kith_decoder_init(kith_decoder *d, kith_err *err)
{
	d->zstd = ZSTD_createDCtx();
	return d->zstd ? 0 : kith_fail_nomem(err, "a zstd context", 1u << 17);
}

void kith_decoder_free(kith_decoder *d)
{
	ZSTD_freeDCtx(d->zstd);
	free(d->plane);
	memset(d, 0, sizeof *d);
}

uint64_t kith_view_items(const void *bytes, size_t size)
{
	uint64_t items = 0;
	if (size >= HEADER_BYTES)
		memcpy(&items, (const uint8_t *)bytes + 24, 8);
	return items;
}

uint64_t kith_view_next_size(const kith_view *view)
{
	uint64_t size = 0;
	if (view->end - view->at >= STREAM_BYTES)
		memcpy(&size, view->at, sizeof size);
	return size;
}

int kith_view_open(kith_view *view, kith_decoder *decoder, const void *bytes, size_t size, uint32_t table,
		   uint32_t block, kith_err *err)
{
	const uint8_t *at = bytes;
	uint64_t hash;
	uint32_t head[4];

	if (size < HEADER_BYTES)
		return kith_fail(err, KITH_ECORRUPT, "value %u/%u is only %zu bytes", table, block, size);
	memcpy(&hash, at, 8);
	if (hash != kith_hash(at + 8, size - 8))
		return kith_fail(err, KITH_ECORRUPT, "value %u/%u fails its checksum", table, block);
	memcpy(head, at + 8, 16);
	if (head[0] != table || head[1] != block)
		return kith_fail(err, KITH_ECORRUPT, "value %u/%u stands where %u/%u belongs", head[0], head[1], table,
				 block);
	view->decoder = decoder;
	view->nodes = head[2];
	memcpy(&view->items, at + 24, 8);
	view->at = at + HEADER_BYTES;
	view->end = at + size;
	return 0;
}

/* Finds the next stream's stored bytes and steps over it. */
static int next_stream(kith_view *view, uint64_t *raw, const uint8_t **stored, uint64_t *stored_size, kith_err *err)
{
	uint64_t head[2];
	if (view->end - view->at < STREAM_BYTES)
		return kith_fail(err, KITH_ECORRUPT, "a value lacks a stream");
	memcpy(head, view->at, STREAM_BYTES);
	if (head[1] > (uint64_t)(view->end - view->at - STREAM_BYTES) || head[1] > head[0])
		return kith_fail(err, KITH_ECORRUPT, "a stream runs past its value");
	*raw = head[0];
	*stored = view->at + STREAM_BYTES;
	*stored_size = head[1];
	view->at += STREAM_BYTES + head[1];
	return 0;
}

int kith_view_stream(kith_view *view, void *raw, size_t size, kith_err *err)
{
	uint64_t raw_size = 0, stored_size = 0;
	const uint8_t *stored = NULL;
	int rc = next_stream(view, &raw_size, &stored, &stored_size, err);
	if (rc)
		return rc;
	if (raw_size != size)
		return kith_fail(err, KITH_ECORRUPT, "a stream holds %llu bytes where %zu belong",
				 (unsigned long long)raw_size, size);
	if (stored_size == raw_size) {
		memcpy(raw, stored, size);
		return 0;
	}
	size_t got = ZSTD_decompressDCtx(view->decoder->zstd, raw, size, stored, stored_size);
	if (ZSTD_isError(got) || got != size)
		return kith_fail(err, KITH_ECORRUPT, "a stream does not decompress");
	return 0;
}

KITH_CLONES static void put_plane(uint32_t *numbers, size_t count, int shift, const uint8_t *plane)
{
	if (shift == 0)
		for (size_t i = 0; i < count; i++)
			numbers[i] = plane[i];
	else
		for (size_t i = 0; i < count; i++)
			numbers[i] |= (uint32_t)plane[i] << shift;
}

int kith_view_u32s(kith_view *view, uint32_t *numbers, size_t count, int width, kith_err *err)
{
	kith_decoder *d = view->decoder;
	int rc = KITH_SCRATCH(d->plane, d->plane_capacity, count, err);
	for (int p = 0; !rc && p < width; p++) {
		rc = kith_view_stream(view, d->plane, count, err);
		if (!rc)
			put_plane(numbers, count, 8 * p, d->plane);
	}
	return rc;
}

/* A stream that may be read KITH_SPARE bytes beyond its end: where it is, if it is stored raw and the value has that
 * many bytes more, else in `room`. */
static int view_plane(kith_view *view, uint8_t *room, size_t size, const uint8_t **plane, kith_err *err)
{
	kith_view after = *view;
	uint64_t raw = 0, stored = 0;
	int rc = next_stream(&after, &raw, plane, &stored, err);
	if (rc)
		return rc;
	if (raw == size && stored == size && after.end - after.at >= KITH_SPARE) {
		*view = after;
		return 0;
	}
	*plane = room;
	return kith_view_stream(view, room, size, err);
}

int kith_view_sets(kith_view *view, const uint64_t *offset, size_t sets, uint64_t base, uint64_t step, uint64_t n,
		   uint32_t *ids, int *bad, kith_err *err)
{
	kith_decoder *d = view->decoder;
	int width = kith_width(n), rc;
	size_t count = offset[sets], stride = count + KITH_SPARE;
	const uint8_t *planes[3];
	*bad = 0;
	if (width > 3) { /* in place: no kernel takes four planes */
		if ((rc = kith_view_u32s(view, ids, count, width, err)))
			return rc;
		for (size_t r = 0; r < sets; r++, base += step)
			*bad |= kith_gaps_decode(ids + offset[r], offset[r + 1] - offset[r], base, n);
		return 0;
	}
	rc = KITH_SCRATCH(d->plane, d->plane_capacity, (size_t)width * stride, err);
	for (int p = 0; !rc && p < width; p++)
		rc = view_plane(view, d->plane + (size_t)p * stride, count, &planes[p], err);
	if (!rc)
		*bad = kith_set_kernels_get()->unpack(planes, width, offset, sets, base, step, n, ids);
	return rc;
}

#define CHUNK 1024u /* numbers that stay in the first cache while their planes are put together */

KITH_CLONES static void put_wide_plane(uint64_t *numbers, size_t count, int shift, const uint8_t *plane)
{
	if (shift == 0)
		for (size_t i = 0; i < count; i++)
			numbers[i] = plane[i];
	else
		for (size_t i = 0; i < count; i++)
			numbers[i] |= (uint64_t)plane[i] << shift;
}

int kith_view_u64s(kith_view *view, uint64_t *numbers, size_t count, int width, kith_err *err)
{
	kith_decoder *d = view->decoder;
	int rc = KITH_SCRATCH(d->plane, d->plane_capacity, (size_t)width * count, err);
	for (int p = 0; !rc && p < width; p++)
		rc = kith_view_stream(view, d->plane + (size_t)p * count, count, err);
	for (size_t at = 0; !rc && at < count; at += CHUNK)
		for (int p = 0; p < width; p++)
			put_wide_plane(numbers + at, count - at < CHUNK ? count - at : CHUNK, 8 * p,
				       d->plane + (size_t)p * count + at);
	return rc;
}

int kith_view_skip(kith_view *view, int streams, kith_err *err)
{
	uint64_t raw = 0, stored_size = 0;
	const uint8_t *stored = NULL;
	int rc = 0;
	while (!rc && streams-- > 0)
		rc = next_stream(view, &raw, &stored, &stored_size, err);
	return rc;
}

int kith_view_end(const kith_view *view, kith_err *err)
{
	if (view->at != view->end)
		return kith_fail(err, KITH_ECORRUPT, "a value has %td bytes too many", view->end - view->at);
	return 0;
}

/* ---- sets of ids ---- */

int kith_width(uint64_t limit)
{
	return limit <= 1u << 8 ? 1 : limit <= 1u << 16 ? 2 : limit <= 1u << 24 ? 3 : 4;
}

void kith_gaps_encode(const uint32_t *ids, size_t count, uint32_t base, uint32_t *gaps)
{
	uint32_t next = base;
	for (size_t i = 0; i < count; i++) {
		gaps[i] = ids[i] - next;
		next = ids[i] + 1;
	}
}

int kith_gaps_decode(uint32_t *ids, size_t count, uint64_t base, uint64_t n)
{
	/* 64 bits: `count` gaps of 32 bits cannot wrap around, so only the last, the largest, needs a check. */
	uint64_t next = base;
	for (size_t i = 0; i < count; i++) {
		next += ids[i];
		ids[i] = (uint32_t)next;
		next++;
	}
	return next <= n || !count ? 0 : -1;
}

void kith_bits_encode(const uint32_t *ids, size_t count, uint64_t n, uint64_t *words)
{
	memset(words, 0, kith_words(n) * sizeof *words);
	for (size_t i = 0; i < count; i++)
		words[ids[i] / 64] |= 1ull << (ids[i] % 64);
}

void kith_bits_decode(const uint64_t *words, size_t count, uint32_t *ids)
{
	for (size_t w = 0; w < count; w++)
		for (uint64_t rest = words[w]; rest; rest &= rest - 1)
			*ids++ = (uint32_t)(64 * w + (unsigned)__builtin_ctzll(rest));
}
