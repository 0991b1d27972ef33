/* show_pairs.c - pair stores as text; see show.h. */
#include <string.h>

#include "kith/pairs.h"
#include "show.h"
#include "text.h"

static void header_tsv(const kith_pair_store *store, FILE *out)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
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

static void header_json(const kith_pair_store *store, FILE *out)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
	char ladder[256], recall[KITH_DOUBLE_TEXT];
	fprintf(out,
		"{\"format\": \"kith-pairs\", \"version\": 1, \"n\": %llu, \"k\": [%s], \"pairs\": %llu,\n"
		" \"layers\": [",
		(unsigned long long)info->n, kith_ladder_text(info->k, info->tiers, ladder, sizeof ladder),
		(unsigned long long)info->pairs);
	for (uint32_t v = 0; v < info->layer_count; v++) {
		const kith_layer *l = &info->layers[v];
		fputs(v ? ",\n  {\"name\": " : "\n  {\"name\": ", out);
		kith_put_json(out, l->name);
		fprintf(out, ", \"dim\": %llu, \"metric\": ", (unsigned long long)l->dim);
		kith_put_json(out, l->metric);
		fputs(", \"engine\": ", out);
		kith_put_json(out, l->engine);
		fprintf(out, ", \"recall\": %s, \"digest\": ", kith_double_text(l->recall, recall));
		kith_put_json(out, l->digest);
		fputc('}', out);
	}
	fputs("],\n \"extras\": [],\n \"rows\": [", out); /* of what older kiths wrote beside the pairs */
}

/* The tier of the p-th pair's edge in a layer, in one direction; `tiers` if there is none. */
static uint32_t tier_of(const kith_pair_planes *b, uint32_t v, uint32_t direction, uint32_t p)
{
	uint32_t q = 0;
	while (q < b->tiers && !(kith_pair_plane(b, v, q, direction)[p / 64] >> p % 64 & 1))
		q++;
	return q;
}

/* The k at which an edge appears, or `none`. */
static void put_k(const kith_pair_info *info, uint32_t tier, const char *none, FILE *out)
{
	if (tier == info->tiers)
		fputs(none, out);
	else
		fprintf(out, "%u", info->k[tier]);
}

/* In each layer the k at which i -> j appears and that at which j -> i does, as in 15/100; - where there is none. */
static void row_tsv(const kith_pair_info *info, const kith_pair_planes *b, uint32_t p, FILE *out)
{
	fprintf(out, "%u\t%u", b->i[p], b->j[p]);
	for (uint32_t v = 0; v < b->layers; v++) {
		uint32_t to = tier_of(b, v, 0, p), from = tier_of(b, v, 1, p);
		fputc('\t', out);
		put_k(info, to, "-", out);
		if (to == b->tiers && from == b->tiers)
			continue;
		fputc('/', out);
		put_k(info, from, "-", out);
	}
	fputc('\n', out);
}

static void row_json(const kith_pair_info *info, const kith_pair_planes *b, uint32_t p, int first, FILE *out)
{
	fprintf(out, "%s\n  {\"i\": %u, \"j\": %u, \"to\": [", first ? "" : ",", b->i[p], b->j[p]);
	for (uint32_t direction = 0; direction < 2; direction++) {
		for (uint32_t v = 0; v < b->layers; v++) {
			fputs(v ? ", " : "", out);
			put_k(info, tier_of(b, v, direction, p), "null", out);
		}
		fputs(direction ? "]}" : "], \"from\": [", out);
	}
}

/* Pairs belong to their smaller sample. */
static int put_rows(kith_pair_store *store, const kith_show_options *o, uint64_t last, FILE *out, kith_err *err)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
	kith_pair_planes block = {0};
	uint64_t b = 0, blocks = kith_pair_info_blocks(info), shown = 0;
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
				row_json(info, &block, p, !shown++, out);
			else
				row_tsv(info, &block, p, out);
		}
	}
	kith_pair_planes_free(&block);
	return rc;
}

int kith_show_pairs(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	kith_pair_store *store = NULL;
	int rc = kith_pair_store_open(&store, path, err);
	if (rc)
		return rc;
	uint64_t n = kith_pair_store_get_info(store)->n, last = o->last == UINT64_MAX ? n : o->last;
	if ((rc = kith_show_nodes_check(path, o, last, n, err)))
		goto done;
	if (o->json)
		header_json(store, out);
	else
		header_tsv(store, out);
	rc = put_rows(store, o, last, out, err);
	if (!rc && o->json)
		fputs("\n ]}\n", out);
done:
	kith_pair_store_close(store);
	return rc;
}
