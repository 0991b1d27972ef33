/* pair_builder.c - see pair_builder.h */
#include "pair_builder.h"

#include "first_error.h"

/* The arguments of kith_pair_builder_run. */
typedef struct build {
	kith_pair_writer *writer;
	kith_counter *counters;
	uint32_t threads;
	const kith_count_plan *plan;
	const kith_count_sources *sources;
} build;

/* A sample has at most this many pairs. */
static uint64_t pairs_at_most(const build *b, uint64_t node)
{
	uint64_t pairs = 0, larger = b->plan->n - 1 - node;
	for (size_t i = 0; i < 2 * b->sources->count && pairs < larger; i++) {
		const kith_count_set set = kith_count_set_at(&b->sources->source[i], node);
		pairs += set.bits ? larger : set.count;
	}
	return pairs < larger ? pairs : larger;
}

/* The end of the part that begins with sample `from`: as many samples as there is room for the pairs of, up to `end`.
 */
static uint64_t end_of_part(const build *b, uint64_t from, uint64_t end)
{
	uint64_t pairs = 0, to = from;
	while (to < end && (pairs += pairs_at_most(b, to)) <= b->plan->pair_room)
		to++;
	return to;
}

/* Counts a part for every thread, of samples *node..end-1, and writes them; moves *node past them. */
static int run_parts(const build *b, uint64_t *node, uint64_t end, kith_err *err)
{
	uint64_t from[KITH_MAX_COUNTERS + 1], share = (end - *node + b->threads - 1) / b->threads;
	kith_first_error failed = {0};
	from[0] = *node;
	for (uint32_t t = 0; t < b->threads; t++)
		from[t + 1] = end_of_part(b, from[t], end - from[t] < share ? end : from[t] + share);
	*node = from[b->threads];
#pragma omp parallel for num_threads(b->threads) schedule(static, 1)
	for (uint32_t t = 0; t < b->threads; t++) {
		kith_err why;
		int rc = kith_counter_run(&b->counters[t], b->sources, from[t], from[t + 1] - from[t], &why);
		kith_first_error_note(&failed, t, rc, &why);
		kith_pair_batch_transpose(&b->counters[t].pairs);
	}
	int rc = kith_first_error_get(&failed, err);
	for (uint32_t t = 0; !rc && t < b->threads; t++)
		rc = kith_pair_batch_write(&b->counters[t].pairs, b->writer, err);
	return rc;
}

/* A sample with more pairs than there is room for is counted alone: its pairs are written whenever the batch is full.
 */
static int run_alone(const build *b, uint64_t node, kith_err *err)
{
	kith_pair_batch *pairs = &b->counters[0].pairs;
	pairs->writer = b->writer;
	int rc = kith_counter_run(&b->counters[0], b->sources, node, 1, err);
	pairs->writer = NULL;
	kith_pair_batch_transpose(pairs);
	return rc ? rc : kith_pair_batch_write(pairs, b->writer, err);
}

int kith_pair_builder_run(kith_pair_writer *writer, kith_counter *counters, uint32_t threads,
			  const kith_count_sources *sources, uint64_t first, uint64_t nodes, kith_err *err)
{
	const build b = {writer, counters, threads, counters[0].counts.plan, sources};
	uint64_t end = first + nodes;
	int rc = 0;
	for (uint64_t node = first; !rc && node < end;)
		if (pairs_at_most(&b, node) > b.plan->pair_room)
			rc = run_alone(&b, node++, err);
		else
			rc = run_parts(&b, &node, end, err);
	return rc;
}
