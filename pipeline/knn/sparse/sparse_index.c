/* sparse_index.c - see sparse_index.h */
#include "sparse_index.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "set_bits.h"
#include "workspace.h"

#define FIRST_SLOTS 1024u
#define CHUNK       (128u << 10) /* bytes of samples' bits that a tile of rows is tried with, in the second cache */

/* ---- the table of edges ---- */

/* Edges eight by eight, which is a few cache lines: forests have them in runs. */
static inline uint64_t slot_of(const kith_sparse_index *x, uint64_t id)
{
	uint64_t at = ((id >> 3) * 0x9e3779b97f4a7c15u >> 20) << 3 | (id & 7);
	for (;; at++) {
		at &= x->slots - 1;
		if (!x->slot[at].count || x->slot[at].id == id)
			return at;
	}
}

static int make_table(kith_sparse_index *x, uint64_t slots, kith_err *err)
{
	kith_edge_slot *old = x->slot;
	uint64_t old_slots = x->slots;
	if (!(x->slot = kith_alloc_zero(slots, sizeof *x->slot))) {
		x->slot = old;
		return kith_fail_nomem(err, "a table of edges", slots * sizeof *x->slot);
	}
	x->slots = slots;
	for (uint64_t i = 0; i < old_slots; i++)
		if (old[i].count)
			x->slot[slot_of(x, old[i].id)] = old[i];
	free(old);
	return 0;
}

static int count_edges(kith_sparse_index *x, kith_err *err)
{
	const kith_sparse_rows *rows = &x->rows;
	int rc = 0;
	if (x->slots)
		memset(x->slot, 0, x->slots * sizeof *x->slot);
	else
		rc = make_table(x, FIRST_SLOTS, err);
	x->used = 0;
	for (uint64_t e = rows->at[0]; !rc && e < rows->at[rows->count]; e++) {
		kith_edge_slot *slot = &x->slot[slot_of(x, rows->id[e])];
		if (!slot->count++) {
			slot->id = rows->id[e];
			if (++x->used > x->slots / 4 * 3)
				rc = make_table(x, 2 * x->slots, err);
		}
	}
	return rc;
}

/* Which edges become bits; returns how many entries are in lists. */
static uint64_t place_edges(kith_sparse_index *x)
{
	uint64_t listed = 0;
	uint32_t bits = 0;
	for (uint64_t i = 0; i < x->slots; i++) {
		kith_edge_slot *s = &x->slot[i];
		int dense = s->count && x->dense_part && (uint64_t)s->count * (uint32_t)x->dense_part >= x->rows.count;
		s->bit = dense ? bits++ : KITH_NO_BIT;
		s->begin = listed;
		listed += dense ? 0 : s->count;
	}
	x->words = (bits + 255) / 256 * 4;
	return listed;
}

static void fill(kith_sparse_index *x)
{
	const kith_sparse_rows *rows = &x->rows;
	for (uint64_t r = 0; r < rows->count; r++)
		for (uint64_t e = rows->at[r]; e < rows->at[r + 1]; e++) {
			kith_edge_slot *s = &x->slot[slot_of(x, rows->id[e])];
			if (s->bit != KITH_NO_BIT) {
				x->bits[r * x->words + s->bit / 64] |= 1ull << s->bit % 64;
				continue;
			}
			if (x->value)
				x->value[s->begin] = rows->value[e];
			x->sample[s->begin++] = (uint32_t)r;
		}
	for (uint64_t i = 0; i < x->slots; i++)
		if (x->slot[i].bit == KITH_NO_BIT)
			x->slot[i].begin -= x->slot[i].count;
}

int kith_sparse_index_build(kith_sparse_index *x, const kith_sparse_rows *rows, int dense_part, kith_err *err)
{
	kith_workspace w = {0};
	free(x->memory);
	x->memory = NULL;
	x->rows = *rows;
	x->dense_part = rows->value ? 0 : dense_part;
	x->value = NULL;
	int rc = count_edges(x, err);
	uint64_t listed = rc ? 0 : place_edges(x);
	KITH_BUFFER_ZERO(&w, x->bits, rows->count * x->words);
	KITH_BUFFER(&w, x->sample, listed);
	if (rows->value)
		KITH_BUFFER(&w, x->value, listed);
	if (!rc && !(rc = kith_workspace_alloc(&w, &x->memory, "an index of edges", err)))
		fill(x);
	return rc;
}

void kith_sparse_index_free(kith_sparse_index *x)
{
	free(x->slot);
	free(x->memory);
	*x = (kith_sparse_index){0};
}

/* Bits are fewer than KITH_SPARSE_DENSE for each entry; a table has up to 8 / 3 slots for an edge, and half as many
 * while it grows. */
uint64_t kith_sparse_index_bytes(uint64_t samples, uint64_t entries, uint64_t ids, int valued)
{
	uint64_t edges = entries < ids ? entries : ids;
	return edges * sizeof(kith_edge_slot) * 4 + FIRST_SLOTS * sizeof(kith_edge_slot) + samples * 32 +
	       entries * (valued ? 12 : 4 + (KITH_SPARSE_DENSE + 7) / 8);
}

/* ---- counting ---- */

static void list_scratch(kith_sparse_scratch *s, uint64_t samples, uint32_t words, int valued, kith_workspace *w)
{
	KITH_BUFFER(w, s->bits, (uint64_t)KITH_SPARSE_TILE * words);
	KITH_BUFFER(w, s->common, valued ? 0 : KITH_SPARSE_TILE * samples);
	KITH_BUFFER(w, s->product, valued ? KITH_SPARSE_TILE * samples : 0);
	KITH_BUFFER(w, s->distance, samples);
}

int kith_sparse_scratch_place(kith_sparse_scratch *s, const kith_sparse_index *x, kith_err *err)
{
	kith_workspace w = {0};
	list_scratch(s, x->rows.count, x->words, x->rows.value != NULL, &w);
	return kith_workspace_place(&w, &s->memory, &s->capacity, "what rows have in common", err);
}

uint64_t kith_sparse_scratch_bytes(uint64_t samples, uint64_t row_entries, int valued)
{
	kith_sparse_scratch s;
	kith_workspace w = {0};
	list_scratch(&s, samples, (uint32_t)(KITH_SPARSE_DENSE * row_entries / 64 + 4), valued, &w);
	return kith_workspace_bytes(&w);
}

static void multiply(const kith_sparse_index *x, const kith_sparse_rows *rows, uint64_t r, double *product)
{
	memset(product, 0, x->rows.count * sizeof *product);
	for (uint64_t e = rows->at[r]; e < rows->at[r + 1]; e++) {
		const kith_edge_slot *s = &x->slot[slot_of(x, rows->id[e])];
		const uint32_t *sample = x->sample + s->begin;
		const double *values = x->value + s->begin;
		double value = rows->value[e];
		for (uint32_t p = 0, of = s->count; p < of; p++)
			product[sample[p]] += value * values[p];
	}
}

/* Counts those of lists, and sets the row's bits. */
static void look_up(const kith_sparse_index *x, const kith_sparse_rows *rows, uint64_t r, uint64_t *bits,
		    uint32_t *common)
{
	memset(common, 0, x->rows.count * sizeof *common);
	memset(bits, 0, x->words * sizeof *bits);
	for (uint64_t e = rows->at[r]; e < rows->at[r + 1]; e++) {
		const kith_edge_slot *s = &x->slot[slot_of(x, rows->id[e])];
		if (s->count && s->bit != KITH_NO_BIT) {
			bits[s->bit / 64] |= 1ull << s->bit % 64;
			continue;
		}
		const uint32_t *sample = x->sample + s->begin;
		for (uint32_t p = 0, of = s->count; p < of; p++)
			common[sample[p]]++;
	}
}

void kith_sparse_index_count(const kith_sparse_index *x, const kith_sparse_rows *rows, uint64_t first, uint32_t count,
			     kith_sparse_scratch *scratch)
{
	kith_set_bits add = kith_set_bits_best();
	uint64_t samples = x->rows.count, chunk = x->words ? CHUNK / (8ull * x->words) + 1 : samples;
	for (uint32_t r = 0; r < count; r++) {
		if (x->rows.value)
			multiply(x, rows, first + r, scratch->product + r * samples);
		else
			look_up(x, rows, first + r, scratch->bits + (uint64_t)r * x->words, scratch->common + r * samples);
	}
	for (uint64_t from = 0; x->words && from < samples; from += chunk) {
		uint64_t some = samples - from < chunk ? samples - from : chunk;
		for (uint32_t r = 0; r < count; r++)
			add(scratch->bits + (uint64_t)r * x->words, x->bits + from * x->words, x->words, some,
			    scratch->common + r * samples + from);
	}
}
