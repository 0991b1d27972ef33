/* property_pairs.c - random stacks as pair stores: what was written is read, whole or some layers of it; every question
 * is answered as the definitions answer it; what breaks the contract or the definitions is refused. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "components.h"
#include "kith/pairs.h"
#include "query.h"
#include "sandbox.h"
#include "slow.h"

#define MOST_LAYERS 130

static const char *const asks[] = {
	[KITH_ASK_ALL] = "all",   [KITH_ASK_PERSIST] = "persist", [KITH_ASK_RUN] = "run", [KITH_ASK_BORN] = "born",
	[KITH_ASK_DIES] = "dies", [KITH_ASK_RETURNS] = "returns", [KITH_ASK_GAP] = "gap"};

typedef struct stack {
	size_t n, layers, width;
	uint32_t *ranks[MOST_LAYERS];
	kith_layer layer[MOST_LAYERS];
	char name[MOST_LAYERS][32];
	kith_pair_info info;
	slow_pairs pairs;
} stack;

static void draw_row(uint32_t *out, size_t width, size_t n, size_t i, int hubs, rng *r)
{
	uint32_t *row = must_alloc(n, sizeof *row);
	size_t found = 0;
	for (size_t j = 0; j < n; j++)
		if (j != i)
			row[found++] = (uint32_t)j;
	if (!hubs)
		rng_shuffle(r, row, found);
	else /* the first samples are everyone's neighbours, in almost one order */
		for (size_t s = 0; s + 1 < found; s++)
			if (rng_chance(r, 30)) {
				uint32_t other = row[s];
				row[s] = row[s + 1];
				row[s + 1] = other;
			}
	memcpy(out, row, width * sizeof *out);
	free(row);
}

/* A layer is new, or an earlier one with some rows changed. */
static void draw_ranks(stack *s, size_t v, int hubs, rng *r)
{
	size_t cells = s->n * s->width;
	unsigned changed = v && rng_chance(r, 80) ? (unsigned)rng_below(r, 60) : 100;
	s->ranks[v] = must_alloc(cells, sizeof **s->ranks);
	if (changed < 100)
		memcpy(s->ranks[v], s->ranks[rng_chance(r, 70) ? v - 1 : rng_below(r, v)], cells * sizeof **s->ranks);
	for (size_t i = 0; i < s->n; i++)
		if (rng_chance(r, changed))
			draw_row(s->ranks[v] + i * s->width, s->width, s->n, i, hubs, r);
}

static void draw_shape(stack *s, rng *r)
{
	static const size_t layers[] = {63, 64, 65, 127, 128, 129};
	static const uint32_t blocks[] = {1, 2, 3, 7, 63, 64, 65, 513, 1000, 0};
	if (rng_chance(r, 10)) {
		s->n = rng_between(r, 2, 6);
		s->layers = layers[rng_below(r, 6)];
	} else {
		s->n = rng_between(r, 2, rng_chance(r, 10) ? 300 : rng_chance(r, 50) ? 40 : 8);
		s->layers = rng_between(r, 1, s->n > 100 ? 3 : 9);
	}
	s->width = s->n - 1 < 60 ? s->n - 1 : 60;
	s->info.n = s->n;
	s->info.layer_count = (uint32_t)s->layers;
	s->info.tiers = slow_random_ladder(r, (uint32_t)s->width, rng_chance(r, 20) ? KITH_MAX_TIERS : 3, s->info.k);
	s->info.block_pairs = blocks[s->n > 100 ? rng_between(r, 4, 9) : rng_below(r, 10)];
	strcpy(s->info.command, "property_pairs \"quoted\"");
}

static void draw_stack(stack *s, rng *r)
{
	static char metric[] = "l2", engine[] = "exact", empty[] = "", command[] = "kith-knn \xff\n -o x";
	int hubs = rng_chance(r, 30);
	draw_shape(s, r);
	for (size_t v = 0; v < s->layers; v++) {
		draw_ranks(s, v, hubs, r);
		snprintf(s->name[v], sizeof s->name[v], "L%zu", v);
		s->layer[v] = (kith_layer){.name = s->name[v],
					   .dim = rng_below(r, 100000000),
					   .metric = metric,
					   .engine = rng_chance(r, 50) ? engine : empty,
					   .digest = NULL,
					   .input = rng_chance(r, 50) ? s->name[v] : NULL,
					   .command = command,
					   .recall = rng_unit(r)};
	}
	s->info.layers = s->layer;
	s->pairs =
		slow_pairs_of((const uint32_t *const *)s->ranks, s->layers, s->n, s->width, s->info.k, s->info.tiers);
}

static void free_stack(stack *s)
{
	for (size_t v = 0; v < s->layers; v++)
		free(s->ranks[v]);
	slow_pairs_free(&s->pairs);
	free(s);
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

/* The tier of the p-th pair in a layer, by direction; SLOW_TIER_ABSENT if there is none. */
static unsigned tier_of(const slow_pairs *pairs, size_t p, size_t v, unsigned direction)
{
	return pairs->tiers[p * pairs->layers + v] >> 4 * direction & 15;
}

static int write_store(const char *path, const stack *s, rng *r, kith_err *err)
{
	kith_pair_writer *writer = NULL;
	int status = kith_pair_writer_create(&writer, path, &s->info, (int)rng_between(r, 1, 3), err);
	if (status)
		return status;
	for (size_t from = 0, count; !status && from < s->pairs.count; from += count) {
		count = rng_below(r, s->pairs.count - from + 1);
		if (rng_chance(r, 60) && count > 9)
			count = rng_below(r, 9);
		status = slow_pairs_append(writer, &s->pairs, s->info.tiers, from, count, r, err);
	}
	if (!status)
		return kith_pair_writer_finish(writer, err);
	kith_pair_writer_abort(writer);
	return status;
}

/* Breaks a pair in one of the ways that kith_pair_writer_append_planes promises to notice. */
static void break_pair(stack *s, rng *r)
{
	slow_pairs *t = &s->pairs;
	size_t p = rng_below(r, t->count);
	switch (rng_below(r, 4)) {
	case 0:
		t->j[p] = (uint32_t)s->n;
		break;
	case 1:
		t->j[p] = t->i[p];
		break;
	case 2:
		memset(t->tiers + p * s->layers, SLOW_PAIR_ABSENT, s->layers);
		break;
	default: /* twice, or later than the next */
		if (p + 1 < t->count) {
			t->i[p] = t->i[p + 1];
			t->j[p] = t->j[p + 1];
		} else {
			t->j[p] = t->i[p];
		}
	}
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int differ(char *why, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return 1;
}

static int same_text(const char *got, const char *want)
{
	return !strcmp(got, want ? want : "");
}

static int info_differs(const kith_pair_store *store, const stack *s, char *why, size_t size)
{
	const kith_pair_info *got = kith_pair_store_get_info(store);
	if (got->n != s->n || got->layer_count != s->layers || got->pairs != s->pairs.count ||
	    got->tiers != s->info.tiers || memcmp(got->k, s->info.k, s->info.tiers * sizeof *got->k) ||
	    (s->info.block_pairs && got->block_pairs != s->info.block_pairs) || strcmp(got->command, s->info.command) ||
	    strcmp(got->version, KITH_VERSION))
		return differ(why, size, "info");
	for (size_t v = 0; v < s->layers; v++) {
		const kith_layer *a = &got->layers[v], *b = &s->layer[v];
		if (!same_text(a->name, b->name) || !same_text(a->metric, b->metric) ||
		    !same_text(a->engine, b->engine) || !same_text(a->digest, b->digest) ||
		    !same_text(a->input, b->input) || !same_text(a->command, b->command) || a->dim != b->dim ||
		    a->recall != b->recall)
			return differ(why, size, "what it says of layer %zu", v);
	}
	return 0;
}

/* The block whose first pair is the p-th, in layers `wanted`. */
static int planes_differ(const kith_pair_planes *b, const stack *s, size_t p, uint32_t layers, const uint32_t *wanted,
			 char *why, size_t size)
{
	if (b->layers != layers || b->tiers != s->info.tiers || p + b->count > s->pairs.count || b->stride % 8 ||
	    64 * b->stride < b->count || (uintptr_t)b->bits % 64)
		return differ(why, size, "%u layers, %u tiers, %u pairs, %zu words", b->layers, b->tiers, b->count,
			      b->stride);
	if (memcmp(b->i, s->pairs.i + p, b->count * sizeof *b->i) ||
	    memcmp(b->j, s->pairs.j + p, b->count * sizeof *b->j))
		return differ(why, size, "other pairs");
	const uint64_t *plane = b->bits;
	for (unsigned direction = 0; direction < 2; direction++)
		for (uint32_t q = 0; q < b->tiers; q++)
			for (uint32_t w = 0; w < layers; w++, plane += b->stride)
				for (size_t x = 0; x < 64 * b->stride; x++) {
					int want = x < b->count && tier_of(&s->pairs, p + x, wanted[w], direction) <= q;
					if ((int)(plane[x / 64] >> x % 64 & 1) != want)
						return differ(why, size, "direction %u, tier %u, layer %u, bit %zu",
							      direction, q, wanted[w], x);
				}
	return 0;
}

/* Block by block, in a random choice of layers each. */
static int pairs_differ(kith_pair_store *store, const stack *s, rng *r, char *why, size_t size)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
	kith_pair_planes planes = {0};
	char what[256];
	kith_err err;
	uint64_t p = 0;
	int differs = 0;
	for (uint64_t b = 0; !differs && b < kith_pair_info_blocks(info); b++) {
		uint32_t wanted[MOST_LAYERS], layers = 0;
		unsigned share = rng_chance(r, 30) ? 100 : (unsigned)rng_below(r, 100);
		for (uint32_t v = 0; v < s->layers; v++)
			if (rng_chance(r, share))
				wanted[layers++] = v;
		int all = layers == s->layers && rng_chance(r, 50);
		if (kith_pair_store_read_planes(store, b, layers, all ? NULL : wanted, &planes, &err))
			differs = differ(why, size, "block %llu: %s", (unsigned long long)b, err.msg);
		else if (planes_differ(&planes, s, p, layers, wanted, what, sizeof what))
			differs = differ(why, size, "block %llu: %s", (unsigned long long)b, what);
		p += planes.count;
	}
	if (!differs && p != s->pairs.count)
		differs = differ(why, size, "%llu pairs, not %zu", (unsigned long long)p, s->pairs.count);
	kith_pair_planes_free(&planes);
	return differs;
}

static int find_differs(kith_pair_store *store, const stack *s, rng *r, char *why, size_t size)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
	uint64_t node = rng_below(r, s->n + 1), got = 0, want;
	size_t p = 0;
	kith_err err;
	while (p < s->pairs.count && s->pairs.i[p] < node)
		p++;
	want = p == s->pairs.count ? kith_pair_info_blocks(info) : p / info->block_pairs;
	if (kith_pair_store_find(store, node, &got, &err))
		return differ(why, size, "find: %s", err.msg);
	return got == want ? 0
			   : differ(why, size, "pairs of %llu are in block %llu, not %llu", (unsigned long long)node,
				    (unsigned long long)want, (unsigned long long)got);
}

/* ---- questions ------------------------------------------------------------------------------------------------ */

typedef struct list {
	size_t count;
	kith_pair_found *found; /* room for every pair */
} list;

static int take(void *context, const kith_pair_found *found, kith_err *err)
{
	list *l = context;
	(void)err;
	l->found[l->count++] = *found;
	return 0;
}

/* The layers that come with a pair found: of the run that has layer `first`, or of all. */
static void expected_layers(const unsigned char *present, size_t layers, const kith_pair_query *q,
			    kith_pair_found *want)
{
	int of_run = q->ask != KITH_ASK_ALL && q->ask != KITH_ASK_RETURNS && q->ask != KITH_ASK_GAP;
	size_t from = 0, to = layers;
	for (size_t v = 0; of_run && v < layers; v++) {
		if (!present[v] && v < q->first)
			from = v + 1;
		if (!present[v] && v > q->first && to == layers)
			to = v;
	}
	want->first = (uint32_t)((const unsigned char *)memchr(present + from, 1, to - from) - present);
	want->last = (uint32_t)((const unsigned char *)memrchr(present + from, 1, to - from) - present);
}

static int answer_differs(kith_pair_store *store, const stack *s, const kith_pair_query *q, list *got, char *why,
			  size_t size)
{
	unsigned char present[MOST_LAYERS];
	uint64_t count = 0, counted = 0;
	size_t at = 0;
	kith_err err;
	got->count = 0;
	if (kith_pair_query_run(store, q, &(kith_pair_taker){take, got, 1}, &count, &err) ||
	    kith_pair_query_run(store, q, &(kith_pair_taker){0}, &counted, &err))
		return differ(why, size, "%s", err.msg);
	for (size_t p = 0; p < s->pairs.count; p++) {
		kith_pair_found want = {s->pairs.i[p], s->pairs.j[p], 0, 0};
		slow_presence(s->pairs.tiers + p * s->layers, s->layers, q->tier, q->graph, present);
		if (!slow_asked(present, s->layers, asks[q->ask], q->first, q->last))
			continue;
		expected_layers(present, s->layers, q, &want);
		if (at == got->count || memcmp(&got->found[at], &want, sizeof want))
			return differ(why, size, "answer %zu of %zu should be {%u, %u} in %u..%u", at, got->count,
				      want.i, want.j, want.first, want.last);
		at++;
	}
	if (at != got->count || count != at || counted != at)
		return differ(why, size, "%zu found, %llu and %llu counted, should be %zu", got->count,
			      (unsigned long long)count, (unsigned long long)counted, at);
	return 0;
}

static int components_differ(const stack *s, const list *edges, char *why, size_t size)
{
	uint32_t *i = must_alloc(edges->count, sizeof *i), *j = must_alloc(edges->count, sizeof *j);
	uint32_t *want = must_alloc(s->n, sizeof *want), *times = must_alloc(s->n, sizeof *times);
	kith_components c = {0};
	uint64_t count = 0, expected = 0;
	kith_err err;
	int differs = kith_components_init(&c, s->n, &err);
	for (size_t p = 0; !differs && p < edges->count; p++) {
		i[p] = edges->found[p].i;
		j[p] = edges->found[p].j;
		kith_components_join(&c, i[p], j[p]);
	}
	slow_components(s->n, edges->count, i, j, want);
	for (size_t x = 0; x < s->n; x++) {
		times[want[x]]++;
		expected += want[x] == x;
	}
	differs = differs || kith_components_finish(&c, &count, &err) || count != expected ||
		  memcmp(c.of, want, s->n * sizeof *want) || memcmp(c.size, times, s->n * sizeof *times);
	if (differs)
		differ(why, size, "components: %llu, should be %llu", (unsigned long long)count,
		       (unsigned long long)expected);
	kith_components_free(&c);
	free(i);
	free(j);
	free(want);
	free(times);
	return differs;
}

/* Runs and presences add up to the paper's tables. */
static int table_differs(kith_pair_store *store, const stack *s, const kith_pair_query *like, char *why, size_t size)
{
	uint64_t *count = must_alloc(s->layers * s->layers, sizeof *count),
		 *pairs = must_alloc(s->layers, sizeof *pairs);
	kith_pair_query q = *like;
	int differs = 0;
	slow_nntp((const uint32_t *const *)s->ranks, s->layers, s->n, s->width, s->info.k[q.tier], q.graph, 0, count,
		  pairs);
	for (q.first = 0; q.first < s->layers && !differs; q.first++)
		for (q.last = q.first; q.last < s->layers && !differs; q.last++) {
			uint64_t runs = 0, there = 0;
			kith_err err = {0};
			q.ask = KITH_ASK_RUN;
			differs = kith_pair_query_run(store, &q, &(kith_pair_taker){0}, &runs, &err);
			q.ask = KITH_ASK_PERSIST;
			differs = differs || kith_pair_query_run(store, &q, &(kith_pair_taker){0}, &there, &err) ||
				  runs != count[q.first * s->layers + q.last] ||
				  (q.first == q.last && there != pairs[q.first]);
			if (differs)
				differ(why, size, "NNTP[%u][%u]: %llu, should be %llu; %llu there %s", q.first, q.last,
				       (unsigned long long)runs,
				       (unsigned long long)count[q.first * s->layers + q.last],
				       (unsigned long long)there, err.msg);
		}
	free(count);
	free(pairs);
	return differs;
}

static int questions_differ(kith_pair_store *store, const stack *s, rng *r, char *why, size_t size)
{
	list got = {0, must_alloc(s->pairs.count, sizeof *got.found)};
	kith_pair_query q = {0};
	char what[512];
	int differs = 0;
	for (int ask = 0; ask <= KITH_ASK_GAP && !differs; ask++) {
		q.ask = (kith_pair_ask)ask;
		q.graph = rng_chance(r, 50) ? KITH_UNION : KITH_MUTUAL;
		q.tier = (uint32_t)rng_below(r, s->info.tiers);
		q.first = q.last = (uint32_t)rng_below(r, s->layers);
		if (q.ask == KITH_ASK_GAP) {
			if (s->layers < 3)
				break;
			q.first = (uint32_t)rng_below(r, s->layers - 2);
			q.last = (uint32_t)rng_between(r, q.first + 2, s->layers - 1);
		} else if (q.ask == KITH_ASK_PERSIST || q.ask == KITH_ASK_RUN) {
			q.last = (uint32_t)rng_between(r, q.first, s->layers - 1);
		}
		differs = answer_differs(store, s, &q, &got, what, sizeof what) ||
			  components_differ(s, &got, what, sizeof what);
		if (differs)
			differ(why, size, "%s %u:%u, graph %d, k=%u: %s", asks[ask], q.first, q.last, (int)q.graph,
			       s->info.k[q.tier], what);
	}
	if (!differs && s->layers <= 5 && s->n <= 100)
		differs = table_differs(store, s, &q, why, size);
	free(got.found);
	return differs;
}

/* ---- rounds --------------------------------------------------------------------------------------------------- */

static int store_differs(const char *path, const stack *s, int lacks, rng *r, char *why, size_t size)
{
	kith_pair_store *store = NULL;
	kith_err err = {0};
	int status, differs;
	if (kith_pair_store_open(&store, path, &err))
		return differ(why, size, "open: %s", err.msg);
	status = kith_pair_store_check(store, NULL, &err);
	if (status != (lacks ? KITH_ECORRUPT : 0))
		differs = differ(why, size, "check: status %d, %s", status, err.msg);
	else
		differs = info_differs(store, s, why, size) || pairs_differ(store, s, r, why, size) ||
			  find_differs(store, s, r, why, size) || (!lacks && questions_differ(store, s, r, why, size));
	kith_pair_store_close(store);
	return differs;
}

static int round_pairs(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	stack *s = must_alloc(1, sizeof *s);
	kith_err err = {0};
	char path[SANDBOX_PATH], what[1500] = "";
	size_t entries;
	draw_stack(s, &r);
	int breaks = rng_chance(&r, 10), lacks = !breaks && rng_chance(&r, 10), differs = 0, status;
	if (breaks)
		break_pair(s, &r);
	if (lacks) /* in order, but no layer's rows are whole any more */
		s->pairs.count--;
	remove(sandbox_path(path, "stack.kpr"));
	entries = sandbox_entries();
	status = write_store(path, s, &r, &err);
	if (status != (breaks ? KITH_EBUG : 0) || (status && !err.msg[0]))
		differs = differ(what, sizeof what, "writing: status %d, \"%s\"", status, err.msg);
	else if (sandbox_entries() != entries + !breaks)
		differs = differ(what, sizeof what, "something is left behind");
	else if (!breaks)
		differs = store_differs(path, s, lacks, &r, what, sizeof what);
	if (differs)
		snprintf(why, size, "n=%zu, %zu layers, %u k, blocks of %u, %zu pairs%s: %s", s->n, s->layers,
			 s->info.tiers, s->info.block_pairs, s->pairs.count,
			 breaks  ? ", broken"
			 : lacks ? ", one lost"
				 : "",
			 what);
	free_stack(s);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_pairs", property_start(argc, argv, 3000), round_pairs);
}
