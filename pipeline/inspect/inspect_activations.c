/* inspect_activations.c - activations as text, and checked. */
#include <stdlib.h>

#include "activations.h"
#include "alloc.h"
#include "filetype.h"
#include "machine.h"
#include "text.h"

static void put_row(const double *row, uint64_t d, FILE *out)
{
	char number[KITH_DOUBLE_TEXT];
	for (uint64_t t = 0; t < d; t++)
		fprintf(out, t ? "\t%s" : "%s", kith_double_text(row[t], number));
	putc('\n', out);
}

static void put_row_json(const double *row, uint64_t d, kith_json *j)
{
	kith_json_gap(j, "\n ");
	kith_json_begin(j, '[');
	for (uint64_t t = 0; t < d; t++)
		kith_json_number(j, row[t]);
	kith_json_end(j);
}

static int show(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	kith_activations *a = NULL;
	double *row = NULL;
	kith_json json = {.out = out};
	uint64_t last;
	int rc = kith_activations_open_as(&a, path, &o->how, err);
	if (rc)
		return rc;
	const kith_activations_info *info = kith_activations_get_info(a);
	const char *dtype = kith_dtype_name(info->dtype);
	uint64_t n = info->n, d = info->d;
	if ((rc = kith_show_last(path, o, n, &last, err)))
		goto done;
	if (!(row = kith_alloc(d, sizeof *row))) {
		rc = kith_fail_nomem(err, "a row", d * sizeof *row);
		goto done;
	}
	if (o->json) {
		kith_json_begin(&json, '{');
		kith_json_put_count(&json, "n", n);
		kith_json_put_count(&json, "d", d);
		kith_json_put_string(&json, "dtype", dtype);
		kith_json_open(&json, "rows", '[');
	} else {
		fprintf(out, "# activations\n# n\t%llu\n# d\t%llu\n# dtype\t%s\n", (unsigned long long)n,
			(unsigned long long)d, dtype);
	}
	for (uint64_t i = o->first; i < last; i++) {
		if ((rc = kith_progress_tick(&o->progress, "rows", i - o->first, last - o->first, err)) ||
		    (rc = kith_activations_read(a, i, 1, row, NULL, err)))
			goto done;
		if (o->json)
			put_row_json(row, d, &json);
		else
			put_row(row, d, out);
	}
	if (o->json)
		kith_show_end_json(&json);
	rc = kith_activations_unchanged(a, err);
done:
	free(row);
	kith_activations_close(a);
	return rc;
}

static int check(const char *path, const kith_input_how *how, const kith_progress *progress, kith_err *err)
{
	kith_activations *a;
	kith_activations_watch watch;
	kith_progress watched;
	kith_scan scan;
	int rc = kith_activations_open_as(&a, path, how, err);
	if (rc)
		return rc;
	watched = kith_activations_watched(&watch, a, progress);
	rc = kith_activations_scan(a, kith_machine_budget(32u << 20), kith_machine_cores(), &watched, &scan, NULL, err);
	rc = rc ? kith_activations_blame(&watch, rc, err) : kith_activations_unchanged(a, err);
	kith_activations_close(a);
	return rc;
}

/* ---- the arrays of a file ---- */

typedef struct listing {
	FILE *out;
	kith_json *json; /* NULL: as text */
} listing;

/* A name with what would break the table in a neutral form. */
static void put_name(const char *name, FILE *out)
{
	for (; *name; name++)
		putc((unsigned char)*name < ' ' || *name == 127 ? '?' : *name, out);
}

static int put_array(void *context, const kith_source_entry *e, kith_err *err)
{
	const listing *l = context;
	(void)err;
	if (l->json) {
		kith_json_gap(l->json, "\n ");
		kith_json_begin(l->json, '{');
		if (e->file)
			kith_json_put_string(l->json, "file", e->file);
		kith_json_put_string(l->json, "name", e->name ? e->name : "");
		kith_json_put_string(l->json, "dtype", e->type);
		kith_json_open(l->json, "shape", '[');
		for (int i = 0; i < e->dims; i++)
			kith_json_count(l->json, e->shape[i]);
		kith_json_end(l->json);
		kith_json_put_count(l->json, "bytes", e->bytes);
		kith_json_end(l->json);
		return 0;
	}
	if (e->file) {
		put_name(e->file, l->out);
		putc(':', l->out);
	}
	put_name(e->name ? e->name : "-", l->out);
	putc('\t', l->out);
	put_name(e->type, l->out);
	putc('\t', l->out);
	for (int i = 0; i < e->dims; i++)
		fprintf(l->out, i ? ",%llu" : "%llu", (unsigned long long)e->shape[i]);
	fprintf(l->out, "\t%llu\n", (unsigned long long)e->bytes);
	return 0;
}

int kith_show_list(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	kith_json json = {.out = out};
	listing l = {out, o->json ? &json : NULL};
	if (o->json) {
		kith_json_begin(&json, '{');
		kith_json_open(&json, "arrays", '[');
	} else {
		fprintf(out, "# name\ttype\tshape\tbytes\n");
	}
	int rc = kith_source_list(path, &o->how, put_array, &l, err);
	if (!rc && o->json)
		kith_show_end_json(&json);
	if (!rc && (fflush(out) || ferror(out)))
		rc = kith_fail_errno(err, "cannot write the output");
	return rc;
}

static int recognise(const char *path, const kith_file_ends *ends)
{
	return kith_source_recognise(path, ends->head, ends->head_size, ends->bytes) != NULL;
}

const kith_filetype kith_activations_file = {recognise, show, .check_as = check};
