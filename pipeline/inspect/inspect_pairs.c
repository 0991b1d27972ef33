/* inspect_pairs.c - a pair store as text, and checked. */
#include "filetype.h"
#include "kith/pairs.h"
#include "text.h"

static void put_header(const kith_pair_info *info, FILE *out)
{
	char ladder[256], recall[KITH_DOUBLE_TEXT];
	fprintf(out, "# kith pairs\n# n\t%llu\n# k\t%s\n# pairs\t%llu\n# layers\t%u\n", (unsigned long long)info->n,
		kith_ladder_text(info->k, info->tiers, ladder, sizeof ladder), (unsigned long long)info->pairs,
		info->layer_count);
	fputs("# layer\tname\td\tmetric\tengine\trecall\tdigest\n", out);
	for (uint32_t v = 0; v < info->layer_count; v++) {
		const kith_layer *l = &info->layers[v];
		fprintf(out, "# %u\t%s\t%llu\t%s\t%s\t%s\t%s\n", v, l->name, (unsigned long long)l->dim, l->metric,
			l->engine, kith_double_text(l->recall, recall), l->digest);
	}
	fputs("# i\tj", out);
	for (uint32_t v = 0; v < info->layer_count; v++)
		fprintf(out, "\t%s", info->layers[v].name);
	fputc('\n', out);
}

static void begin_json(const kith_pair_info *info, kith_json *j)
{
	kith_json_begin(j, '{');
	kith_json_put_string(j, "format", "kith-pairs");
	kith_json_put_count(j, "version", 1);
	kith_json_put_count(j, "n", info->n);
	kith_show_ladder(j, info->k, info->tiers);
	kith_json_put_count(j, "pairs", info->pairs);
	kith_json_gap(j, "\n ");
	kith_json_open(j, "layers", '[');
	for (uint32_t v = 0; v < info->layer_count; v++) {
		const kith_layer *l = &info->layers[v];
		kith_json_gap(j, "\n  ");
		kith_json_begin(j, '{');
		kith_json_put_string(j, "name", l->name);
		kith_json_put_count(j, "dim", l->dim);
		kith_json_put_string(j, "metric", l->metric);
		kith_json_put_string(j, "engine", l->engine);
		kith_json_put_number(j, "recall", l->recall);
		kith_json_put_string(j, "digest", l->digest);
		kith_json_end(j);
	}
	kith_json_end(j);
	kith_json_gap(j, "\n ");
	kith_json_key(j, "extras"); /* what older kiths wrote beside the pairs */
	kith_json_begin(j, '[');
	kith_json_end(j);
	kith_json_gap(j, "\n ");
	kith_json_open(j, "rows", '[');
}

/* The tier of the p-th pair's edge in a layer, in one direction; `tiers` if there is none. */
static uint32_t tier_of(const kith_pair_planes *b, uint32_t v, uint32_t direction, uint32_t p)
{
	uint32_t q = 0;
	while (q < b->tiers && !(kith_pair_plane(b, v, q, direction)[p / 64] >> p % 64 & 1))
		q++;
	return q;
}

/* The k at which an edge appears. */
static void put_k(const kith_pair_info *info, uint32_t tier, FILE *out)
{
	if (tier == info->tiers)
		fputc('-', out);
	else
		fprintf(out, "%u", info->k[tier]);
}

/* In each layer the k at which i -> j appears and that at which j -> i does, as in 15/100; - where there is none. */
static void put_row(const kith_pair_info *info, const kith_pair_planes *b, uint32_t p, FILE *out)
{
	fprintf(out, "%u\t%u", b->i[p], b->j[p]);
	for (uint32_t v = 0; v < b->layers; v++) {
		uint32_t to = tier_of(b, v, 0, p), from = tier_of(b, v, 1, p);
		fputc('\t', out);
		put_k(info, to, out);
		if (to == b->tiers && from == b->tiers)
			continue;
		fputc('/', out);
		put_k(info, from, out);
	}
	fputc('\n', out);
}

static void put_row_json(const kith_pair_info *info, const kith_pair_planes *b, uint32_t p, kith_json *j)
{
	kith_json_gap(j, "\n  ");
	kith_json_begin(j, '{');
	kith_json_put_count(j, "i", b->i[p]);
	kith_json_put_count(j, "j", b->j[p]);
	for (uint32_t direction = 0; direction < 2; direction++) {
		kith_json_open(j, direction ? "from" : "to", '[');
		for (uint32_t v = 0; v < b->layers; v++) {
			uint32_t tier = tier_of(b, v, direction, p);
			if (tier == info->tiers)
				kith_json_null(j);
			else
				kith_json_count(j, info->k[tier]);
		}
		kith_json_end(j);
	}
	kith_json_end(j);
}

/* Pairs belong to their smaller sample. */
static int put_rows(kith_pair_store *store, const kith_show_options *o, uint64_t last, kith_json *json, kith_err *err)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
	kith_pair_planes block = {0};
	uint64_t b = 0, blocks = kith_pair_info_blocks(info);
	int rc = kith_pair_store_find(store, o->first, &b, err);
	for (int more = 1; !rc && more && b < blocks; b++) {
		if ((rc = kith_progress_tick(&o->progress, "blocks", b, blocks, err)) ||
		    (rc = kith_pair_store_read_planes(store, b, 0, NULL, &block, err)))
			break;
		for (uint32_t p = 0; p < block.count && more; p++) {
			more = block.i[p] < last;
			if (!more || block.i[p] < o->first)
				continue;
			if (o->json)
				put_row_json(info, &block, p, json);
			else
				put_row(info, &block, p, json->out);
		}
	}
	kith_pair_planes_free(&block);
	return rc;
}

static int show(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	kith_pair_store *store = NULL;
	kith_json json = {.out = out};
	uint64_t last;
	int rc = kith_pair_store_open(&store, path, err);
	if (rc)
		return rc;
	const kith_pair_info *info = kith_pair_store_get_info(store);
	if ((rc = kith_show_last(path, o, info->n, &last, err)))
		goto done;
	if (o->json)
		begin_json(info, &json);
	else
		put_header(info, out);
	rc = put_rows(store, o, last, &json, err);
	if (!rc && o->json)
		kith_show_end_json(&json);
	rc = rc ? rc : kith_pair_store_unchanged(store, err);
done:
	kith_pair_store_close(store);
	return rc;
}

static int check(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_pair_store *store;
	int rc = kith_pair_store_open(&store, path, err);
	if (rc)
		return rc;
	if (!(rc = kith_pair_store_check(store, progress, err)))
		rc = kith_pair_store_unchanged(store, err);
	kith_pair_store_close(store);
	return rc;
}

static int recognise(const char *path, const kith_file_ends *ends)
{
	(void)path;
	return kith_is_lmdb(ends) && ends->has_tail && !memcmp(ends->tail, "KITHPAIR", sizeof ends->tail);
}

const kith_filetype kith_pairs_file = {recognise, show, .check = check};
