/* pair_batch.c - see pair_batch.h */
#include "pair_batch.h"

#include <string.h>

#define BATCH_BYTES (4u << 20)
#define MOST_PAIRS  (1u << 17)

uint32_t kith_pair_batch_room(const kith_count_plan *p)
{
	uint64_t bytes_of_pair = 8 + p->tiers * (8ull * kith_mask_words(p) + p->layers / 4);
	uint64_t room = BATCH_BYTES / bytes_of_pair;
	room = room < MOST_PAIRS ? room : MOST_PAIRS;
	room = room > p->sparse_ids ? room : p->sparse_ids;
	return (uint32_t)(room + 63) / 64 * 64;
}

void kith_pair_batch_list(kith_workspace *w, kith_pair_batch *b, const kith_count_plan *p)
{
	uint64_t room = p->pair_room;
	*b = (kith_pair_batch){.plan = p, .kernels = kith_bit_kernels_get()};
	KITH_BUFFER(w, b->i, room);
	KITH_BUFFER(w, b->j, room);
	KITH_BUFFER(w, b->masks, p->tiers * kith_mask_words(p) * room);
	KITH_BUFFER(w, b->planes, 2ull * p->tiers * p->layers * room / 64);
}

void kith_pair_batch_reserve(kith_pair_batch *b, uint32_t count)
{
	kith_err err;
	if (count <= b->plan->pair_room - b->count)
		return;
	kith_pair_batch_transpose(b);
	kith_pair_batch_write(b, b->writer, &err); /* whoever writes the last pairs will see */
}

/* Plane words `word` of one tier and word of masks: bit g of a mask is of layer g's row or, from `reverse` on, of layer
 * g - reverse's reverse list. */
static void put_square(kith_pair_batch *b, uint32_t tier, uint32_t w, const uint64_t *square, size_t word)
{
	const kith_count_plan *p = b->plan;
	uint32_t reverse = kith_mask_to_reverse(p);
	for (uint32_t bit = 0; bit < 64; bit++) {
		uint32_t g = 64 * w + bit, direction = g >= reverse, v = g - direction * reverse;
		size_t plane = ((size_t)direction * p->tiers + tier) * p->layers + v;
		if (v < p->layers)
			b->planes[plane * (p->pair_room / 64) + word] = square[bit];
	}
}

void kith_pair_batch_transpose(kith_pair_batch *b)
{
	const kith_count_plan *p = b->plan;
	uint64_t square[64];
	for (uint32_t q = 0; q < p->tiers; q++)
		for (uint32_t w = 0; w < kith_mask_words(p); w++) {
			uint64_t *masks = kith_pair_batch_masks(b, q, w);
			memset(masks + b->count, 0, (-b->count & 63) * sizeof *masks);
			for (uint32_t e = 0; e < b->count; e += 64) {
				b->kernels->transpose(square, masks + e);
				put_square(b, q, w, square, e / 64);
			}
		}
}

int kith_pair_batch_write(kith_pair_batch *b, kith_pair_writer *writer, kith_err *err)
{
	if (!b->rc)
		b->rc = kith_pair_writer_append_planes(writer, b->count, b->i, b->j, b->planes, b->plan->pair_room / 64,
						       &b->err);
	b->count = 0;
	return b->rc ? kith_fail(err, (kith_status)b->rc, "%s", b->err.msg) : 0;
}
