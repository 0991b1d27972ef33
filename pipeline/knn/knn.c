/* knn.c - see kith/knn.h: the stage from file to file. */
#include "kith/knn.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exact.h"
#include "machine.h"
#include "vectors.h"

void kith_knn_defaults(kith_knn_options *o)
{
	uint64_t half = kith_machine_memory() / 2;
	memset(o, 0, sizeof *o);
	o->tiers = 1;
	o->ladder[0] = 15;
	o->engine = "exact";
	o->memory = half < 4ull << 30 ? half : 4ull << 30;
	o->threads = kith_machine_cores();
	o->command = "";
}

static int check_ladder(const kith_npy *npy, const kith_knn_options *o, kith_err *err)
{
	unsigned long long n = kith_npy_n(npy);
	if (n < 2)
		return kith_fail(err, KITH_EUSAGE, "%s: holds 1 sample, which has no neighbours", kith_npy_path(npy));
	for (uint32_t t = 0; t < o->tiers; t++)
		if (o->ladder[t] >= n)
			return kith_fail(err, KITH_EUSAGE,
					 "%s: k=%u, but each of its %llu samples has only %llu others: use a smaller k",
					 kith_npy_path(npy), o->ladder[t], n, n - 1);
	return 0;
}

/* A copy cut to the field's size, on a character boundary: what is cut is for people to read, so nothing depends on it.
 */
static void copy_text(char *field, size_t size, const char *text)
{
	size_t length = strlen(text);
	length = length < size ? length : size - 1;
	while (length && text[length] && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	memcpy(field, text, length);
	field[length] = 0;
}

static void fill_info(kith_graph_info *info, const kith_rows *rows, const kith_knn_options *o)
{
	const char *path = kith_npy_path(rows->npy), *slash = strrchr(path, '/');
	memset(info, 0, sizeof *info);
	info->n = rows->n;
	info->d = rows->d;
	info->tiers = o->tiers;
	memcpy(info->ladder, o->ladder, o->tiers * sizeof *o->ladder);
	info->near = kith_info_k(info) < KITH_NEAR_DEFAULT ? kith_info_k(info) : KITH_NEAR_DEFAULT;
	info->block_nodes = o->block_nodes;
	info->recall = 1;
	copy_text(info->metric, sizeof info->metric, o->metric == KITH_COSINE ? "cosine" : "l2");
	copy_text(info->engine, sizeof info->engine, o->engine);
	copy_text(info->input, sizeof info->input, slash ? slash + 1 : path);
	copy_text(info->command, sizeof info->command, o->command);
	snprintf(info->digest, sizeof info->digest, "xxh3:%016llx", (unsigned long long)rows->digest);
}

static int check_engine(const kith_knn_options *o, kith_err *err)
{
	if (strcmp(o->engine, "exact"))
		return kith_fail(err, KITH_EUSAGE, "engine %s: this build has only the engine exact", o->engine);
	return 0;
}

static uint64_t scan_memory(const kith_knn_options *o)
{
	return o->memory / 4 < 32u << 20 ? o->memory / 4 : 32u << 20;
}

/* The stored distances, and ids at about the entropy of a random set, one and a half times: in the rows, and half of
 * them in reverse lists. */
static uint64_t graph_bytes(const kith_graph_info *info)
{
	double n = (double)info->n, k = kith_info_k(info);
	return (uint64_t)(n * (6.7 * info->near + 0.205 * k * (log2(n / k) + 1.44))) + 16384;
}

int kith_knn_foresee(const char *input, const kith_knn_options *o, kith_knn_estimate *out, kith_err *err)
{
	kith_npy *npy = NULL;
	kith_rows rows = {0};
	kith_graph_info info;
	kith_plan plan;
	int rc;
	kith_knn_estimate found = {0};

	if ((rc = check_engine(o, err)))
		return rc;
	omp_set_num_threads(o->threads);
	if ((rc = kith_npy_open(&npy, input, err)) || (rc = check_ladder(npy, o, err)) ||
	    (rc = kith_rows_glance(&rows, npy, o->metric, scan_memory(o), err)))
		goto done;
	fill_info(&info, &rows, o);
	if ((rc = kith_exact_plan(&rows, &info, o, &plan, found.plan, sizeof found.plan, err)))
		goto done;
	found.n = rows.n;
	found.d = rows.d;
	found.seconds = plan.seconds;
	found.memory = plan.memory;
	found.temporary = plan.disk;
	found.graph = graph_bytes(&info);
	*out = found;
done:
	kith_rows_free(&rows);
	kith_npy_close(npy);
	return rc;
}

int kith_knn_build(const char *input, const char *output, const kith_knn_options *o, kith_knn_summary *summary,
		   kith_err *err)
{
	kith_npy *npy = NULL;
	kith_rows rows = {0};
	kith_graph_info info;
	kith_graph_writer *writer = NULL;
	kith_knn_summary done = {0};
	int rc;

	if ((rc = check_engine(o, err)))
		return rc;
	omp_set_num_threads(o->threads);
	if ((rc = kith_npy_open(&npy, input, err)) || (rc = check_ladder(npy, o, err)) ||
	    (rc = kith_rows_init(&rows, npy, o->metric, scan_memory(o), &o->progress, err)))
		goto done;
	fill_info(&info, &rows, o);
	if ((rc = kith_graph_create(&writer, output, &info, o->memory, o->threads, err)) ||
	    (rc = kith_exact_run(&rows, &info, o, output, writer, &done, err)))
		goto done;
	done.n = rows.n;
	done.d = rows.d;
	done.recall = info.recall;
	kith_rows_free(&rows); /* the reverse lists get all the memory */
	rc = kith_graph_finish(writer, &o->progress, err);
	writer = NULL;
	if (!rc)
		*summary = done;
done:
	kith_graph_abort(writer);
	kith_rows_free(&rows);
	kith_npy_close(npy);
	return rc;
}
