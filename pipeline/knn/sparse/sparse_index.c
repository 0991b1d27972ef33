/* sparse_index.c - see sparse_index.h */
#include "sparse_index.h"

#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "set_bits.h"
#include "workspace.h"

#define CHUNK (64u << 10) /* bytes of samples' bits that a tile of rows is tried with, in the second cache */

/* ---- the table of edges ---- */

static void list_table(kith_sparse_index *x, uint64_t ids, kith_workspace *w)
{
	x->ids = ids;
	KITH_BUFFER(w, x->has, (ids + 63) / 64);
	KITH_BUFFER(w, x->before, (ids + 63) / 64);
}

uint64_t kith_sparse_table_bytes(uint64_t ids)
{
	kith_sparse_index x;
	kith_workspace w = {0};
	list_table(&x, ids, &w);
	return kith_workspace_bytes(&w);
}

int kith_sparse_index_init(kith_sparse_index *x, uint64_t ids, kith_err *err)
{
	kith_workspace w = {0};
	list_table(x, ids, &w);
	return kith_workspace_alloc(&w, &x->table, "a table of edges", err);
}

void kith_sparse_index_free(kith_sparse_index *x)
{
	free(x->table);
	free(x->numbers);
	free(x->lists);
	*x = (kith_sparse_index){0};
}

static inline int has_edge(const kith_sparse_index *x, uint64_t id)
{
	return x->has[id / 64] >> id % 64 & 1;
}

/* The number of an edge that it has. */
static inline uint32_t number_of(const kith_sparse_index *x, uint64_t id)
{
	uint64_t lower = x->has[id / 64] & ((1ull << id % 64) - 1);
	return x->before[id / 64] + (uint32_t)__builtin_popcountll(lower);
}

KITH_CLONES static void number_edges(kith_sparse_index *x)
{
	const kith_sparse_rows *rows = &x->rows;
	uint32_t edges = 0;
	memset(x->has, 0, (x->ids + 63) / 64 * sizeof *x->has);
	for (uint64_t e = rows->at[0]; e < rows->at[rows->count]; e++)
		x->has[rows->id[e] / 64] |= 1ull << rows->id[e] % 64;
	for (uint64_t w = 0; w < (x->ids + 63) / 64; w++) {
		x->before[w] = edges;
		edges += (uint32_t)__builtin_popcountll(x->has[w]);
	}
	x->edges = edges;
}

/* begin[e + 1]: how many samples have edge e. */
KITH_CLONES static void count_edges(kith_sparse_index *x)
{
	const kith_sparse_rows *rows = &x->rows;
	for (uint64_t e = rows->at[0]; e < rows->at[rows->count]; e++)
		x->begin[number_of(x, rows->id[e]) + 1]++;
}

/* Which edges become bits, or places in the matrix, and where the others' lists begin; begin[e + 1] is the edge's count
 * on entry. Returns how many entries are in lists. */
static uint32_t place_edges(kith_sparse_index *x, uint32_t dense_part)
{
	uint32_t listed = 0, bits = 0;
	for (uint64_t e = 0; e < x->edges; e++) {
		uint32_t count = x->begin[e + 1];
		int dense = dense_part && (uint64_t)count * dense_part >= x->rows.count;
		x->bit[e] = dense ? bits++ : KITH_NO_BIT;
		x->begin[e] = listed;
		listed += dense ? 0 : count;
	}
	x->begin[x->edges] = x->begin[x->edges + 1] = listed;
	x->words = x->rows.value ? 0 : (bits + 255) / 256 * 4;
	x->columns = x->rows.value ? bits : 0;
	return listed;
}

/* A sample's value in a column of the matrix. */
static inline double *place_of(const kith_sparse_index *x, uint64_t sample, uint64_t column)
{
	return x->matrix + (sample / KITH_SPARSE_GROUP * x->columns + column) * KITH_SPARSE_GROUP +
	       sample % KITH_SPARSE_GROUP;
}

static uint64_t groups_of(uint64_t samples)
{
	return (samples + KITH_SPARSE_GROUP - 1) / KITH_SPARSE_GROUP;
}

/* Lists are filled from their ends, which begin one edge on; so that is where they begin afterwards. */
KITH_CLONES static void fill_lists(kith_sparse_index *x)
{
	const kith_sparse_rows *rows = &x->rows;
	for (uint64_t r = rows->count; r-- > 0;)
		for (uint64_t e = rows->at[r]; e < rows->at[r + 1]; e++) {
			uint32_t number = number_of(x, rows->id[e]), bit = x->bit[number];
			if (bit != KITH_NO_BIT && x->columns) {
				*place_of(x, r, bit) = rows->value[e];
				continue;
			}
			if (bit != KITH_NO_BIT) {
				x->bits[r * x->words + bit / 64] |= 1ull << bit % 64;
				continue;
			}
			uint32_t at = --x->begin[number + 1];
			if (x->value)
				x->value[at] = rows->value[e];
			x->sample[at] = (uint16_t)r;
		}
	x->begin++;
}

int kith_sparse_index_build(kith_sparse_index *x, const kith_sparse_rows *rows, int dense_part, kith_err *err)
{
	kith_workspace numbers = {0}, lists = {0};
	uint64_t entries = rows->at[rows->count] - rows->at[0];
	x->rows = *rows;
	if (entries > UINT32_MAX)
		return kith_fail(err, KITH_EBUG, "%llu entries in an index", (unsigned long long)entries);
	number_edges(x);
	KITH_BUFFER(&numbers, x->begin, x->edges + 2);
	KITH_BUFFER(&numbers, x->bit, x->edges);
	int rc = kith_workspace_place(&numbers, &x->numbers, &x->number_capacity, "edges", err);
	if (rc)
		return rc;
	memset(x->begin, 0, (x->edges + 2) * sizeof *x->begin);
	count_edges(x);
	uint32_t listed = place_edges(x, (uint32_t)dense_part);
	KITH_BUFFER(&lists, x->bits, rows->count * x->words);
	KITH_BUFFER(&lists, x->matrix, groups_of(rows->count) * x->columns * KITH_SPARSE_GROUP);
	KITH_BUFFER(&lists, x->sample, listed);
	KITH_BUFFER(&lists, x->value, rows->value ? listed : 0);
	if ((rc = kith_workspace_place(&lists, &x->lists, &x->list_capacity, "an index of edges", err)))
		return rc;
	if (!rows->value)
		x->value = NULL;
	memset(x->bits, 0, rows->count * x->words * sizeof *x->bits);
	memset(x->matrix, 0, groups_of(rows->count) * x->columns * KITH_SPARSE_GROUP * sizeof *x->matrix);
	fill_lists(x);
	return 0;
}

/* Bits are KITH_SPARSE_DENSE at most for each entry, places in the matrix KITH_SPARSE_MATRIX, but for the last group's.
 */
uint64_t kith_sparse_index_bytes(uint64_t samples, uint64_t entries, uint64_t ids, int valued)
{
	uint64_t edges = entries < ids ? entries : ids, places = KITH_SPARSE_MATRIX * sizeof(double);
	uint64_t padding = valued ? (entries / samples + 1) * places * KITH_SPARSE_GROUP : 0;
	return edges * 8 + samples * 32 + padding + entries * (valued ? places : 2 + (KITH_SPARSE_DENSE + 7) / 8);
}

/* ---- counting ---- */

static void list_scratch(kith_sparse_scratch *s, uint64_t samples, uint32_t words, uint64_t columns, int valued,
			 kith_workspace *w)
{
	KITH_BUFFER(w, s->bits, (uint64_t)KITH_SPARSE_TILE * words);
	KITH_BUFFER(w, s->dense, KITH_SPARSE_TILE * columns);
	KITH_BUFFER(w, s->common, valued ? 0 : KITH_SPARSE_TILE * samples);
	KITH_BUFFER(w, s->product, valued ? KITH_SPARSE_TILE * samples : 0);
	KITH_BUFFER(w, s->distance, samples);
}

int kith_sparse_scratch_place(kith_sparse_scratch *s, const kith_sparse_index *x, kith_err *err)
{
	kith_workspace w = {0};
	list_scratch(s, x->rows.count, x->words, x->columns, x->rows.value != NULL, &w);
	return kith_workspace_place(&w, &s->memory, &s->capacity, "what rows have in common", err);
}

uint64_t kith_sparse_scratch_bytes(uint64_t samples, uint64_t row_entries, int valued)
{
	kith_sparse_scratch s;
	kith_workspace w = {0};
	list_scratch(&s, samples, (uint32_t)(KITH_SPARSE_DENSE * row_entries / 64 + 4),
		     valued ? KITH_SPARSE_MATRIX * (row_entries + 1) : 0, valued, &w);
	return kith_workspace_bytes(&w);
}

/* Multiplies what is in lists, and sets the row's values of the matrix' columns. */
KITH_CLONES static void multiply_edges(const kith_sparse_index *x, const kith_sparse_rows *rows, uint64_t r,
				       double *dense, double *product)
{
	memset(product, 0, x->rows.count * sizeof *product);
	memset(dense, 0, x->columns * sizeof *dense);
	for (uint64_t e = rows->at[r]; e < rows->at[r + 1]; e++) {
		if (!has_edge(x, rows->id[e]))
			continue;
		uint32_t number = number_of(x, rows->id[e]), bit = x->bit[number], end = x->begin[number + 1];
		double value = rows->value[e];
		if (bit != KITH_NO_BIT)
			dense[bit] = value;
		for (uint32_t p = x->begin[number]; p < end; p++)
			product[x->sample[p]] += value * x->value[p];
	}
}

typedef double lanes __attribute__((vector_size(32)));

/* Two rows' products with a group of samples: eight sums that stay in registers. */
KITH_CLONES static void multiply_group(const double *a, const double *b, const double *group, uint64_t columns,
				       double sums[2][KITH_SPARSE_GROUP])
{
	lanes s[4] = {{0}}, t[4] = {{0}};
	for (uint64_t c = 0; c < columns; c++) {
		const lanes *of = (const lanes *)(group + c * KITH_SPARSE_GROUP);
		for (int i = 0; i < 4; i++) {
			s[i] += a[c] * of[i];
			t[i] += b[c] * of[i];
		}
	}
	memcpy(sums[0], s, sizeof s);
	memcpy(sums[1], t, sizeof t);
}

/* Multiplies the rows with the matrix. */
static void multiply_matrix(const kith_sparse_index *x, uint32_t count, const kith_sparse_scratch *scratch)
{
	uint64_t samples = x->rows.count;
	for (uint64_t from = 0; x->columns && from < samples; from += KITH_SPARSE_GROUP) {
		uint64_t some = samples - from < KITH_SPARSE_GROUP ? samples - from : KITH_SPARSE_GROUP;
		for (uint32_t r = 0; r < count; r += 2) {
			uint32_t two = count - r < 2 ? 1 : 2;
			const double *row = scratch->dense + r * x->columns;
			double sums[2][KITH_SPARSE_GROUP];
			multiply_group(row, row + (two - 1) * x->columns, place_of(x, from, 0), x->columns, sums);
			for (uint32_t i = 0; i < two; i++)
				for (uint64_t j = 0; j < some; j++)
					scratch->product[(r + i) * samples + from + j] += sums[i][j];
		}
	}
}

/* Counts those of lists, and sets the row's bits. */
KITH_CLONES static void look_up_edges(const kith_sparse_index *x, const kith_sparse_rows *rows, uint64_t r,
				      uint64_t *bits, uint32_t *common)
{
	memset(common, 0, x->rows.count * sizeof *common);
	memset(bits, 0, x->words * sizeof *bits);
	for (uint64_t e = rows->at[r]; e < rows->at[r + 1]; e++) {
		if (!has_edge(x, rows->id[e]))
			continue;
		uint32_t number = number_of(x, rows->id[e]), bit = x->bit[number], end = x->begin[number + 1];
		if (bit != KITH_NO_BIT)
			bits[bit / 64] |= 1ull << bit % 64;
		for (uint32_t p = x->begin[number]; p < end; p++)
			common[x->sample[p]]++;
	}
}

void kith_sparse_index_count(const kith_sparse_index *x, const kith_sparse_rows *rows, uint64_t first, uint32_t count,
			     kith_sparse_scratch *scratch)
{
	kith_set_bits add = kith_set_bits_best();
	uint64_t samples = x->rows.count, chunk = x->words ? CHUNK / (8ull * x->words) + 1 : samples;
	for (uint32_t r = 0; r < count; r++) {
		if (x->rows.value)
			multiply_edges(x, rows, first + r, scratch->dense + r * x->columns,
				       scratch->product + r * samples);
		else
			look_up_edges(x, rows, first + r, scratch->bits + (uint64_t)r * x->words,
				      scratch->common + r * samples);
	}
	multiply_matrix(x, count, scratch);
	for (uint64_t from = 0; x->words && from < samples; from += chunk) {
		uint64_t some = samples - from < chunk ? samples - from : chunk;
		for (uint32_t r = 0; r < count; r++)
			add(scratch->bits + (uint64_t)r * x->words, x->bits + from * x->words, x->words, some,
			    scratch->common + r * samples + from);
	}
}
