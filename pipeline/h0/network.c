/* network.c - a network's arrays: read once, digested, and weights kept. See network.h. */
#include "network.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "workspace.h"

void kith_network_free(kith_network *n)
{
	if (!n)
		return;
	for (uint32_t l = 0; n->activations && l < n->info.layer_count; l++)
		kith_activations_close(n->activations[l]);
	for (uint32_t o = 0; n->files && o < n->info.op_count; o++)
		kith_activations_close(n->files[o]);
	for (uint32_t o = 0; n->weights && o < n->info.op_count; o++) {
		free(n->weights[o].single);
		free(n->weights[o].wide);
		free(n->weights[o].strongest);
	}
	for (size_t s = 0; s < n->string_count; s++)
		free(n->strings[s]);
	free(n->strings);
	free(n->weights);
	free(n->files);
	free(n->activations);
	free(n->info.ops);
	free(n->info.layers);
	free((char *)(uintptr_t)n->path);
	free(n);
}

int kith_network_is_source(const kith_network *n, uint32_t layer)
{
	for (uint32_t o = 0; o < n->info.op_count; o++)
		if (n->info.ops[o].from == layer)
			return 1;
	return 0;
}

static int is_wide(const kith_activations *a)
{
	return kith_dtype_is_wide(kith_activations_get_info(a)->dtype);
}

int kith_op_rounds(const kith_network *n, uint32_t op)
{
	return is_wide(n->activations[n->info.ops[op].from]) || (n->files[op] && is_wide(n->files[op]));
}

static uint64_t weight_bytes(const kith_activations *file)
{
	const kith_activations_info *i = kith_activations_get_info(file);
	uint64_t kernels = i->dims == 4 && !is_wide(file) ? i->n * i->shape[1] : 0;
	return i->n * i->d * (is_wide(file) ? sizeof(double) : sizeof(float)) + kernels * sizeof(float);
}

uint64_t kith_network_weight_bytes(const kith_network *n)
{
	uint64_t bytes = 0;
	for (uint32_t o = 0; o < n->info.op_count; o++)
		bytes = kith_add_bytes(bytes, n->files[o] ? weight_bytes(n->files[o]) : 0);
	return bytes;
}

uint64_t kith_network_kept_bytes(const kith_network *n, uint64_t memory)
{
	uint64_t bytes = 0, most = kith_source_most_kept(memory);
	for (uint32_t l = 0; l < n->info.layer_count; l++)
		bytes += n->activations[l] ? kith_activations_get_info(n->activations[l])->kept : 0;
	for (uint32_t o = 0; o < n->info.op_count; o++)
		bytes += n->files[o] ? kith_activations_get_info(n->files[o])->kept : 0;
	return bytes < most ? bytes : most;
}

/* Rows first..first+count-1 of weights, into their place as |w|, unless they are not finite. */
static int take_rows(const kith_source *source, kith_op_weights *to, uint64_t first, uint64_t count, const double *rows,
		     kith_err *err)
{
	const kith_source_info *i = kith_source_get_info(source);
	char place[KITH_PLACE_TEXT];
	for (uint64_t t = 0; t < count * i->d; t++) {
		uint64_t at = first * i->d + t;
		if (!isfinite(rows[t]))
			return kith_fail(err, KITH_EUSAGE, "%s: %s is %s: weights have to be numbers", i->path,
					 kith_source_place(source, at / i->d, at % i->d, place),
					 isnan(rows[t]) ? "NaN" : "infinite");
		if (to->wide)
			to->wide[at] = fabs(rows[t]);
		else
			to->single[at] = (float)fabs(rows[t]);
	}
	return 0;
}

/* Values first, so that what is wrong with them is said of weights; then the digest, with which the second reading is
 * compared. */
static int load_weights(kith_activations *file, kith_op_weights *to, uint64_t memory, int threads,
			const kith_progress *progress, char *digest, size_t size, kith_err *err)
{
	const kith_activations_info *i = kith_activations_get_info(file);
	uint64_t step = memory / (i->row_bytes + i->d * sizeof(double)) + 1;
	kith_scan scan;
	int rc = 0;
	while (step & (step - 1)) /* a power of two: whole blocks, which are compared with what was digested */
		step &= step - 1;
	step = step < i->n ? step : i->n;
	double *rows = kith_alloc(step * i->d, sizeof *rows);
	if (!rows)
		return kith_fail_nomem(err, "rows of weights", step * i->d * sizeof *rows);
	if (is_wide(file))
		to->wide = kith_alloc(i->n * i->d, sizeof *to->wide);
	else
		to->single = kith_alloc(i->n * i->d, sizeof *to->single);
	if (!to->wide && !to->single)
		rc = kith_fail_nomem(err, "weights", weight_bytes(file));
	for (int time = 0; time < 2 && !rc; time++) {
		for (uint64_t first = 0; !rc && first < i->n; first += step) {
			uint64_t count = step < i->n - first ? step : i->n - first;
			if (!(rc = kith_progress_tick(progress, "weights", first, i->n, err)) &&
			    !(rc = kith_activations_read(file, first, count, rows, NULL, err)))
				rc = take_rows(kith_activations_source(file), to, first, count, rows, err);
		}
		if (!rc && !time && !(rc = kith_activations_scan(file, memory, threads, progress, &scan, NULL, err)))
			snprintf(digest, size, "xxh3:%016" PRIx64, scan.digest);
	}
	free(rows);
	return rc ? rc : kith_activations_unchanged(file, err);
}

/* The largest weight of each kernel, and the smallest of all. */
static int find_strongest(const kith_activations *file, kith_op_weights *w, kith_err *err)
{
	const kith_activations_info *i = kith_activations_get_info(file);
	if (i->dims != 4 || !w->single)
		return 0;
	uint64_t kernels = i->n * i->shape[1], size = i->shape[2] * i->shape[3];
	if (!(w->strongest = kith_alloc_zero(kernels, sizeof *w->strongest)))
		return kith_fail_nomem(err, "weights", kernels * sizeof *w->strongest);
	w->least = INFINITY;
	for (uint64_t k = 0; k < kernels * size; k++) {
		if (w->single[k] > w->strongest[k / size])
			w->strongest[k / size] = w->single[k];
		if (w->single[k] > 0 && w->single[k] < w->least)
			w->least = w->single[k];
	}
	return 0;
}

/* Room for a digest, which lives as long as the network. */
static char *new_digest(kith_network *n, kith_err *err)
{
	char *digest = kith_alloc_zero(1, 32);
	if (!digest)
		kith_fail_nomem(err, "a digest", 32);
	else
		n->strings[n->string_count++] = digest;
	return digest;
}

int kith_network_load(kith_network *n, uint64_t memory, int threads, const kith_progress *progress, kith_err *err)
{
	kith_scan scan;
	char *digest;
	int rc = 0;
	for (uint32_t o = 0; !rc && o < n->info.op_count; o++) {
		if (!n->files[o])
			continue;
		if (!(digest = new_digest(n, err)))
			return KITH_ENOMEM;
		n->info.ops[o].digest = digest;
		rc = load_weights(n->files[o], &n->weights[o], memory, threads, progress, digest, 32, err);
		if (!rc && n->info.ops[o].kind == KITH_CONV2D)
			rc = find_strongest(n->files[o], &n->weights[o], err);
	}
	for (uint32_t l = 0; !rc && l < n->info.layer_count; l++) {
		if (!kith_network_is_source(n, l))
			continue;
		if (!(digest = new_digest(n, err)))
			return KITH_ENOMEM;
		n->info.layers[l].digest = digest;
		if (!(rc = kith_activations_scan(n->activations[l], memory, threads, progress, &scan, NULL, err)))
			snprintf(digest, 32, "xxh3:%016" PRIx64, scan.digest);
	}
	return rc;
}

int kith_network_verify(const kith_network *n, int threads, const kith_progress *progress, kith_err *err)
{
	int rc = 0;
	for (uint32_t l = 0; !rc && l < n->info.layer_count; l++)
		if (kith_network_is_source(n, l))
			rc = kith_activations_verify(n->activations[l], threads, progress, err);
	return rc;
}
