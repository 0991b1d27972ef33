/* pair_output.c - see pair_output.h */
#include "pair_output.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "components.h"
#include "outfile.h"
#include "text.h"

typedef struct answer {
	kith_pair_store *store;
	const kith_pair_info *info;
	const kith_pair_query *query;
	const kith_pair_output *output;
	FILE *out;
	kith_components components;
} answer;

/* A full disk is noticed at once, not after hours of reading. */
static int check_out(const answer *a, kith_err *err)
{
	return ferror(a->out) ? kith_fail_errno(err, "%s: cannot write", a->output->name) : 0;
}

static void put_header(const answer *a, const char *what)
{
	fprintf(a->out, "# kith %s\n# n\t%llu\n# k\t%u\n# graph\t%s\n# pairs\t%s\n", what,
		(unsigned long long)a->info->n, a->info->k[a->query->tier], kith_graph_kind_name(a->query->graph),
		a->output->question);
}

/* ---- text ---- */

static int take_tsv(void *context, const kith_pair_found *f, kith_err *err)
{
	const answer *a = context;
	fprintf(a->out, "%u\t%u\t%s\t%s\n", f->i, f->j, a->info->layers[f->first].name, a->info->layers[f->last].name);
	return check_out(a, err);
}

static int write_tsv(answer *a, uint64_t *count, kith_err *err)
{
	put_header(a, "pairs");
	fputs("# i\tj\tfirst\tlast\n", a->out);
	return kith_pair_query_run(a->store, a->query, &(kith_pair_taker){take_tsv, a, 1}, count, err);
}

/* ---- .npy ---- */

static int take_npy(void *context, const kith_pair_found *f, kith_err *err)
{
	const answer *a = context;
	const uint32_t pair[2] = {f->i, f->j}; /* little-endian: kith runs nowhere else */
	fwrite(pair, sizeof pair, 1, a->out);
	return check_out(a, err);
}

static int write_npy(answer *a, uint64_t *count, kith_err *err)
{
	int rc;
	/* the number of pairs is known only at the end, so the header is written twice */
	kith_put_npy_header(a->out, "<u4", 0, 2);
	rc = kith_pair_query_run(a->store, a->query, &(kith_pair_taker){take_npy, a, 0}, count, err);
	if (rc)
		return rc;
	if (fseek(a->out, 0, SEEK_SET))
		return kith_fail_errno(err, "%s: cannot write the array's header", a->output->name);
	kith_put_npy_header(a->out, "<u4", *count, 2);
	return 0;
}

/* ---- GraphML ---- */

static int take_graphml(void *context, const kith_pair_found *f, kith_err *err)
{
	const answer *a = context;
	fprintf(a->out, "<edge source=\"%u\" target=\"%u\"><data key=\"first\">", f->i, f->j);
	kith_put_xml(a->out, a->info->layers[f->first].name);
	fputs("</data><data key=\"last\">", a->out);
	kith_put_xml(a->out, a->info->layers[f->last].name);
	fputs("</data></edge>\n", a->out);
	return check_out(a, err);
}

static int write_graphml(answer *a, uint64_t *count, kith_err *err)
{
	int rc = 0;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	      "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n"
	      "<key id=\"pairs\" for=\"graph\" attr.name=\"pairs\" attr.type=\"string\"/>\n"
	      "<key id=\"first\" for=\"edge\" attr.name=\"first\" attr.type=\"string\"/>\n"
	      "<key id=\"last\" for=\"edge\" attr.name=\"last\" attr.type=\"string\"/>\n"
	      "<graph edgedefault=\"undirected\">\n<data key=\"pairs\">",
	      a->out);
	kith_put_xml(a->out, a->output->question);
	fputs("</data>\n", a->out);
	for (uint64_t i = 0; !rc && i < a->info->n; i++) {
		fprintf(a->out, "<node id=\"%llu\"/>\n", (unsigned long long)i);
		rc = check_out(a, err);
	}
	if (!rc)
		rc = kith_pair_query_run(a->store, a->query, &(kith_pair_taker){take_graphml, a, 1}, count, err);
	fputs("</graph>\n</graphml>\n", a->out);
	return rc;
}

/* ---- components ---- */

static int take_join(void *context, const kith_pair_found *f, kith_err *err)
{
	answer *a = context;
	(void)err;
	kith_components_join(&a->components, f->i, f->j);
	return 0;
}

static int put_sizes(answer *a, uint64_t components, kith_err *err)
{
	const uint32_t *size = a->components.size;
	uint32_t largest = 0, *times;
	for (uint64_t i = 0; i < a->info->n; i++)
		largest = size[i] > largest ? size[i] : largest;
	if (!(times = kith_alloc_zero(largest + 1ull, sizeof *times)))
		return kith_fail_nomem(err, "sizes of components", 4ull * largest);
	for (uint64_t i = 0; i < a->info->n; i++)
		times[size[i]]++;
	fprintf(a->out, "# components\t%llu\n# size\tcomponents\n", (unsigned long long)components);
	for (uint64_t s = 1; s <= largest; s++)
		if (times[s])
			fprintf(a->out, "# %llu\t%u\n", (unsigned long long)s, times[s]);
	free(times);
	return 0;
}

static int find_components(answer *a, int list, uint64_t *count, kith_err *err)
{
	uint64_t pairs;
	int rc = kith_components_init(&a->components, a->info->n, err);
	if (rc || (rc = kith_pair_query_run(a->store, a->query, &(kith_pair_taker){take_join, a, 0}, &pairs, err)) ||
	    (rc = kith_components_finish(&a->components, count, err)) || !list)
		return rc;
	put_header(a, "components");
	rc = put_sizes(a, *count, err);
	fputs("# node\tcomponent\n", a->out);
	for (uint64_t i = 0; !rc && i < a->info->n; i++) {
		fprintf(a->out, "%llu\t%u\n", (unsigned long long)i, a->components.of[i]);
		rc = check_out(a, err);
	}
	return rc;
}

int kith_pair_answer(kith_pair_store *store, const kith_pair_query *query, const kith_pair_output *output,
		     uint64_t *count, kith_err *err)
{
	answer a = {store, kith_pair_store_get_info(store), query, output, output->stream, {0}};
	int rc = 0;
	switch (output->format) {
	case KITH_PAIRS_COUNT:
		rc = kith_pair_query_run(store, query, &(kith_pair_taker){0}, count, err);
		break;
	case KITH_PAIRS_TSV:
		rc = write_tsv(&a, count, err);
		break;
	case KITH_PAIRS_NPY:
		rc = write_npy(&a, count, err);
		break;
	case KITH_PAIRS_GRAPHML:
		rc = write_graphml(&a, count, err);
		break;
	case KITH_PAIRS_COMPONENTS:
	case KITH_PAIRS_COMPONENTS_COUNT:
		rc = find_components(&a, output->format == KITH_PAIRS_COMPONENTS, count, err);
		break;
	}
	if (!rc && (output->format == KITH_PAIRS_COUNT || output->format == KITH_PAIRS_COMPONENTS_COUNT))
		fprintf(a.out, "%llu\n", (unsigned long long)*count);
	kith_components_free(&a.components);
	if (!rc && (fflush(a.out) || ferror(a.out)))
		rc = kith_fail_errno(err, "%s: cannot write", output->name);
	return rc;
}
