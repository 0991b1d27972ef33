/* value.h - one stored value: a checksummed header and a sequence of zstd-compressed streams. FORMAT.md, section 3.
 * The only user of zstd. Encoders and decoders are scratch for one thread each. */
#ifndef KITH_VALUE_H
#define KITH_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

/* The kind of a value: a part of its key and of its header, so that a value found under the wrong key is noticed. */
enum {
	KITH_TABLE_META = 0,
	KITH_TABLE_ROWS = 1, /* of graphs */
	KITH_TABLE_NEAR = 2,
	KITH_TABLE_REVERSE = 3,
	KITH_TABLE_PAIR_BLOCKS = 4, /* of pair stores */
				    /* 5: what older writers kept beside the pairs (FORMAT.md) */
	KITH_TABLE_AUDIT = 6,       /* of graphs */
	KITH_TABLE_TIES = 7,
};

/* ---- encoding: start, any number of streams, seal ------------------------------------------------------------ */

/* Makes one value after the other. Zero it, then kith_encoder_init; release with kith_encoder_free. */
typedef struct kith_encoder {
	uint8_t *bytes; /* the value */
	size_t size, capacity;
	void *matching, *plain; /* zstd's contexts: one looks for matches, one does not */
	uint8_t *plane, *matched;
	size_t plane_capacity, matched_capacity;
} kith_encoder;
int kith_encoder_init(kith_encoder *e, kith_err *err);
void kith_encoder_free(kith_encoder *e);

int kith_value_start(kith_encoder *e, uint32_t table, uint32_t block, uint32_t nodes, uint64_t items, kith_err *err);
int kith_value_stream(kith_encoder *e, const void *raw, size_t size, kith_err *err);
/* The same for bytes in which no repeats are to be expected, which saves the time to look for them. */
int kith_value_noise(kith_encoder *e, const void *raw, size_t size, kith_err *err);
/* The low `width` bytes (1..4) of each number, as `width` streams, one per byte plane, lowest first. */
int kith_value_u32s(kith_encoder *e, const uint32_t *numbers, size_t count, int width, kith_err *err);
/* The low `width` bytes (1..8) of numbers that come in runs, each of its own kind: zstd forgets what it knows of the
 * bytes at least every `run` of them (rounded to a power of two from 2^10 on). */
int kith_value_u64s(kith_encoder *e, const uint64_t *numbers, size_t count, int width, size_t run, kith_err *err);
int kith_value_seal(kith_encoder *e); /* returns 0 */

/* ---- decoding: open, the same streams, end --------------------------------------------------------------------- */

/* Zero it, then kith_decoder_init; release with kith_decoder_free. */
typedef struct kith_decoder {
	void *zstd;
	uint8_t *plane;
	size_t plane_capacity;
} kith_decoder;
int kith_decoder_init(kith_decoder *d, kith_err *err);
void kith_decoder_free(kith_decoder *d);

/* A value that is being read. All reads are bounded by the value; on damage they return KITH_ECORRUPT with a reason,
 * without the file's name. */
typedef struct kith_view {
	kith_decoder *decoder;
	const uint8_t *at, *end;
	uint32_t nodes;
	uint64_t items;
} kith_view;

/* The number of items in a value's header, 0 if the value is too short for one. The checksum is not verified. */
uint64_t kith_view_items(const void *bytes, size_t size);
/* The raw size of the stream that comes next, or 0. */
uint64_t kith_view_next_size(const kith_view *view);
int kith_view_open(kith_view *view, kith_decoder *decoder, const void *bytes, size_t size, uint32_t table,
		   uint32_t block, kith_err *err);
int kith_view_stream(kith_view *view, void *raw, size_t size, kith_err *err);
int kith_view_u32s(kith_view *view, uint32_t *numbers, size_t count, int width, kith_err *err);
int kith_view_u64s(kith_view *view, uint64_t *numbers, size_t count, int width, kith_err *err);
int kith_view_skip(kith_view *view, int streams, kith_err *err);
int kith_view_end(const kith_view *view, kith_err *err); /* KITH_ECORRUPT unless all streams have been read */

/* ---- sets of ids ----------------------------------------------------------------------------------------------- */

/* Bytes needed for numbers below `limit`: 1..4. */
int kith_width(uint64_t limit);

/* Ascending ids <-> gaps: the first id less `base`, then each id less its predecessor less 1. Decoding checks that
 * every id is below n and returns 0, or -1. */
void kith_gaps_encode(const uint32_t *ids, size_t count, uint32_t base, uint32_t *gaps);
int kith_gaps_decode(uint32_t *gaps_to_ids, size_t count, uint64_t base, uint64_t n);

/* Decodes sets of ascending ids, the r-th into ids[offset[r]..offset[r+1]-1], from the streams of their gaps
 * (kith_value_u32s, of kith_width(n) bytes), whose bases are base + r * step. The caller has checked that offsets do
 * not descend and that the last one is the number of gaps. `ids` has KITH_SPARE items more, which are overwritten. *bad
 * says whether some id is not below n. */
#define KITH_SPARE 16
int kith_view_sets(kith_view *view, const uint64_t *offset, size_t sets, uint64_t base, uint64_t step, uint64_t n,
		   uint32_t *ids, int *bad, kith_err *err);

/* 64-bit words that hold a bit for each of n ids: bit i % 64 of word i / 64. */
static inline size_t kith_words(uint64_t n)
{
	return (size_t)((n + 63) / 64);
}

/* Ids below n to bits, and all ids in `count` words of bits. */
void kith_bits_encode(const uint32_t *ids, size_t count, uint64_t n, uint64_t *words);
void kith_bits_decode(const uint64_t *words, size_t count, uint32_t *ids);

#endif
